"""The questions of lesson 11 (the museum: where else this happens)."""

from .bank import Choice, Question, Schedule

SANDBOX = "museum-gvisor-pin-over-fork"
PINS = "museum-gpu-that-pins"
TWICE = "museum-second-fork-before-a-write"
PLAIN = "museum-plain-reference-over-fork"
LEAK = "child-reads-parent-secret"

QUESTIONS = (
    Question(
        id="11-sandbox",
        prompt="A sandbox brings its own memory manager, with a `fork()` that copies on write. It pins a page of a "
        "program for a device. The program forks, and then writes to the page. What does the device work on now?",
        setting="P: pin x -> dma longterm\nP: fork C\nP: write x new",
        choices=(
            Choice("On the program's page. A pin keeps the data in place.", believes="M6", refuted_by=Schedule(
                SANDBOX, "P P P C", "Move 3: the write makes a copy. The pin holds the old frame.", kernel="v5.8",
                holds=False)),
            Choice("On a copy of its own, as always.", believes="M17"),
            Choice(
                "On the old frame. The program has moved to a copy.",
                because="The pin keeps the frame, and `fork()` did not look at pins. So the program's own write "
                "moves the program away from its device. On Linux nothing happens if the child has gone by then, "
                "which makes it hard to find.",
            ),
            Choice("On a page that is torn: two have written to it.", believes="M20", refuted_by=Schedule(
                SANDBOX, "P P P C", "After move 3 each frame holds exactly what was written to it. The device just "
                "looks at the other one.", kernel="v5.8", holds=False)),
        ),
        hints=(
            "It is no Linux, but the four questions are the same. Who maps, and who holds, after the fork?",
            "The page is shared read-only after `fork()`. What does a write to it do?",
            "The device has no entry that the fault handler could change.",
        ),
        shows=Schedule(SANDBOX, "P P P C", "Move 3: P leaves the frame that its device holds.", kernel="v5.8",
                       holds=False),
    ),
    Question(
        id="11-one-line",
        prompt="A GPU driver uses `get_user_pages_fast()`. A user of a 5.15 kernel reports that after a fork and a "
        "write the GPU works on the wrong frame, and asks for `pin_user_pages_fast()` instead. Would that one line "
        "help?",
        choices=(
            Choice("No. A GPU has its own memory, so the two cannot drift apart by a fork.", believes="M17"),
            Choice(
                "Yes on 5.15, where `fork()` sees a pin. On a kernel with the rules of v5.8 it changes nothing.",
                because="From v5.9 on `fork()` copies a page that may be pinned for the child, at once. Before, a "
                "pin was told apart from other references, but nobody asked.",
            ),
            Choice("Yes, on every kernel since v5.8. There COW was fixed for all lookups.", believes="M12",
                   refuted_by=Schedule(PINS, "P P P", "Move 3, v5.8: P copies away from the pin.", kernel="v5.8",
                                       holds=False)),
            Choice("Not before v5.19. 5.15 is too old for reliable pins.", believes="M18", refuted_by=Schedule(
                PINS, "P P P", "5.15.100: move 2 copies for the child, because the page may be pinned.",
                kernel="5.15.100")),
        ),
        hints=(
            "What can the kernel know about a pin that it cannot know about a plain reference?",
            "Who would have to ask for it: the lookup, the fork, or the write?",
            "Lesson 10: which commit made `fork()` ask, and from which release on?",
        ),
        shows=Schedule(PINS, "P P P", "Move 2: the child gets a copy, and P keeps the page of its GPU.",
                       kernel="5.15.100"),
    ),
    Question(
        id="11-model",
        prompt="Model A: reclaim just unmaps a page. It says that memory pressure makes the pipe leak, as the commit "
        "message does. Model B counts swap entries, says that it does not, and agrees with 5.4.0. Neither has "
        "hugetlb pages, and with those the four moves leak on v6.12. Which model is right?",
        choices=(
            Choice("A. The author of the commit must know.", believes="M19", refuted_by=Schedule(
                "pressure-alone-never-leaks", "P C kswapd P", "Move 4: C's swap entry counts, so P copies. 5.4.0 did "
                "the same (line SW6 of the recordings).", holds=False)),
            Choice("B. It agrees with every recording, so it is the kernel.", believes="M19", refuted_by=Schedule(
                "copies-for-no-visible-reason", "P P P", "Move 3: no copy in this model. A real 5.10.223 did copy "
                "here, when a processor still had the page in a batch: row S11g. Ask for `hidden=True` and the model "
                "has that too.", kernel="v5.10")),
            Choice("None. Only a real machine can tell.", believes="M19", refuted_by=Schedule(
                LEAK, "P P C C", "A machine shows you one order, such as this one: no leak. The leak is in another "
                "order.",
                holds=False)),
            Choice(
                "The question is put wrongly. Each is good for some questions, and one must know where it ends.",
                because="A model leaves things out on purpose. B is useful for pressure, and says nothing about "
                "hugetlb, where no test of it can fail. What it leaves out stands in the README.",
            ),
        ),
        hints=(
            "Which question would you ask of A, and which of B?",
            "What does each of them leave out? Does the question at hand depend on that?",
            "A recording can show that a model is wrong somewhere. Can it show that it is right everywhere?",
        ),
    ),
    Question(
        id="11-exit-second-fork",
        prompt="P forks C, C forks D, and nobody has written yet. D writes, and is killed for it. The entry was "
        "read-only: that much was true. What did this system mix up?",
        setting="P: fork C\nC: fork D\nD: write x mine",
        choices=(
            Choice(
                "The entry and the mapping.",
                because="An entry is read-only because the hardware must stop the write. Whether the process may "
                "write is a property of its mapping. Linux asks the mapping first: `access_error()`, v5.7.",
            ),
            Choice("mapcount and refcount.", believes="M5", refuted_by=Schedule(
                TWICE, "P C D", "After move 2 frame 0 has mapcount 3 and refcount 3. There is no reference here.")),
            Choice("Child and parent: the copy is the child's, and D has no right to one.", believes="M2",
                   refuted_by=Schedule(TWICE, "P C D", "Move 3: the writer gets the copy, whoever forked whom.")),
            Choice("Read-only entries and read-only memory are the same. The system is right.", believes="M3",
                   refuted_by=Schedule(TWICE, "P C D", "Before move 3 the entry is read-only. The store succeeds.",
                                       kernel="v6.18")),
        ),
        hints=(
            "After the first fork C's entry is read-only. Was C's memory read-only?",
            "There are two places where the kernel could look up whether a process may write.",
            "What does the second fork see if it looks at the entry alone?",
        ),
        shows=Schedule(TWICE, "P C D", "Move 3: the entry was read-only, the mapping was not.", kernel="v6.18"),
    ),
    Question(
        id="11-exit-own",
        prompt="Your own kernel, today. P puts a page into a pipe, forks, and writes. The pipe still says `old`. Is "
        "that the bug of lesson 05?",
        setting="P: vmsplice x -> pipe\nP: fork C\nP: write x new",
        choices=(
            Choice("Yes. Pipe and process disagree, so memory is corrupted.", believes="M20", refuted_by=Schedule(
                PLAIN, "P P P", "After move 3 each frame holds exactly what was written to it.", kernel="v6.18")),
            Choice("It cannot happen. Since v5.19 a page knows whose it is.", believes="M12", refuted_by=Schedule(
                PLAIN, "P P P", "Move 2: fork() takes the mark off the page, because a plain reference cannot be "
                "seen. Move 3 copies.", kernel="v5.19")),
            Choice(
                "No. Nobody reads what somebody else wrote. The pipe just does not follow P.",
                because="The value in the pipe is P's own, from the time when it was put there. In lesson 05 the "
                "pipe read what another process wrote later. A plain reference over a fork was never promised to "
                "follow.",
            ),
            Choice("Yes. `get_user_pages()` promises the page as P sees it.", believes="M8", refuted_by=Schedule(
                PLAIN, "P P P", "Move 3: P moves to a copy, and the pipe keeps its frame. FOLL_GET promises no more.",
                kernel="v6.18")),
        ),
        hints=(
            "Whose value is it that the pipe shows?",
            "In lesson 05: who wrote, and who read?",
            "One is a leak, the other one is stale. Which is which?",
        ),
        shows=Schedule(PLAIN, "P P P", "Move 3: P leaves. The pipe keeps what P had given it.", kernel="v6.18"),
    ),
)  # fmt: skip
