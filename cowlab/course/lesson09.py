"""The questions of lesson 09 (what safety costs, and the roads not taken)."""

from .bank import Choice, Question, Schedule

MONITOR = "monitor-waits-for-itself"
PINNED = "pinned-page-taken-over"
SPARED = """litmus the-zero-page-is-nobodys
init
  P: x untouched

P
vmsplice x -> pipe
write x new

exists P.pipe == zero and P.x == new
"""
ONE_PAGE = """litmus one-page-and-then-the-fast-path
init
  P: x untouched

P
vmsplice x -> a
put a
vmsplice x -> b
write x new

exists P.b == new
"""
NAME_OF_A_FUTEX = "futex-on-a-read-only-file-mapping"

QUESTIONS = (
    Question(
        id="09-spare",
        prompt="A road not taken: break COW at each lookup, but spare the zero page, which every process shares. "
        "P has never written to x. A pipe takes the page, and then P writes. What does the pipe show, and whom does "
        "it harm?",
        setting="P: x untouched\n\nP: vmsplice x -> pipe\nP: write x new",
        choices=(
            Choice("It may show anything: all processes share that page, so any of them may take it over.",
                   believes="M14", refuted_by=Schedule(
                       SPARED, "P P", "Move 2: whoever writes gets a new page. Nobody can take the zero page over.",
                       kernel="spare-zero-page")),
            Choice("`new`. Since v5.8 a reference stays with its process.", believes="M12", refuted_by=Schedule(
                SPARED, "P P", "Move 1 takes the zero page as it is, and move 2 leaves it behind.",
                kernel="spare-zero-page")),
            Choice(
                "Zeros, for ever. No other process's data can appear there; P's own pipe misses P's write.",
                because="The zero page is always copied and never taken over. So sparing it is safe for others. The "
                "holder loses touch with its own page, as it did on v5.7.",
            ),
        ),
        hints=(
            "Two harms are to be kept apart: another process's data come in, or my own do not.",
            "When P writes to the zero page, does P copy, or take over?",
            "After the write: who maps the page that the pipe holds?",
        ),
        shows=Schedule(SPARED, "P P", "Move 1 takes the zero page. Move 2 gives P a page of its own.",
                       kernel="spare-zero-page"),
    ),
    Question(
        id="09-monitor",
        prompt="userfaultfd: a monitor is told when a page is about to be written. It has write-protected x. Now it "
        "reads the page itself, with `vmsplice()`, to save it. (Here the monitor is P.) What happens on v5.8?",
        setting="P: uffd_wp x\nP: vmsplice x -> pipe",
        choices=(
            Choice("It gets the page. It only reads.", believes="M7", refuted_by=Schedule(
                MONITOR, "P P P", "Move 3 asks to read, and ends in `handle_userfault`.", kernel="v5.8")),
            Choice(
                "It waits for ever. The kernel has asked the monitor, and the monitor is waiting for the kernel.",
                because="The lookup is turned into one for writing, so there is a write fault. Write faults on this "
                "page are reported to the monitor, and it is the monitor that stands in the fault.",
            ),
            Choice("`EFAULT`: a write-protected page cannot be looked up for writing.", believes="M3",
                   refuted_by=Schedule(MONITOR, "P P P", "Move 3 does not fail. It takes a write fault, and does not "
                                       "come back from it.", kernel="v5.8")),
        ),
        hints=(
            "What does v5.8 make of a read-only lookup in a COW mapping?",
            "Who is told of a write fault on a page that userfaultfd write-protects?",
            "And what is that process doing at the moment?",
        ),
        shows=Schedule(MONITOR, "P P P", "Move 3, event by event.", kernel="v5.8"),
    ),
    Question(
        id="09-best",
        prompt="Twenty designs: four rules for the writer times five for the lookup. Each is judged (leaks, references "
        "that lose their page, programs that break) and priced in pages on five workloads. Is one of them best in "
        "every column?",
        choices=(
            Choice("Yes: the strictest writer together with the strictest lookup. More checks are safer.",
                   believes="M13"),
            Choice("Yes: a lookup that breaks COW, as on v5.8. That is the fix.", believes="M12"),
            Choice("Yes: to break nothing at the lookup. Forced copies are pure cost.", believes="M15"),
            Choice(
                "No. Whatever is best in one column is beaten in another.",
                because="Each rule that keeps a reference in touch with its process does so by changing something for "
                "a program that only looked. The table shows who pays.",
            ),
        ),
        hints=(
            "A rule that is strict about one harm may cause another. Think of a program that only looks.",
            "Which of the three kinds of test does v5.7 pass completely?",
            "Which design could do better than v5.7 in leaks, and not worse in broken programs and in references?",
        ),
    ),
    Question(
        id="09-vmsplice",
        prompt="A benchmark, `stress-ng --vm-splice`, puts memory into a pipe that it has never written, over and "
        "over. Up to v5.7 the zero page goes into the pipe. v5.8 has to make a real page. How does the benchmark's "
        "speed change with the commit?",
        setting="P: x untouched\n\nP: vmsplice x -> pipe\nP: put pipe\n(and again, and again)",
        choices=(
            Choice("It is slower: each round has to make a page.", believes="M15", refuted_by=Schedule(
                ONE_PAGE, "P P P P", "Move 1 falls back to the slow path and makes a page. Move 3 finds that page's "
                "entry writable, and the lockless walk takes it: no page, and no slow path.", kernel="v5.8")),
            Choice("It is the same: a lookup for reading changes nothing.", believes="M7", refuted_by=Schedule(
                "zero-page-holder-misses-the-write", "P P", "Move 1 takes a write fault and makes a page.",
                kernel="v5.8")),
            Choice(
                "It is more than twenty times as fast.",
                because="Only the first round makes a page. The next cell counts what the other rounds are spared.",
            ),
        ),
        hints=(
            "\"Over and over\": what is different in the second round?",
            "Which entries may the lockless walk take? The zero page's entry is special.",
            "After the first round on v5.8: is the entry writable?",
        ),
    ),
    Question(
        id="09-exit-flag",
        prompt="Suppose the kernel had taken the road of a flag that callers set if they want COW broken. A driver "
        "pins a page for reading, and its author has never heard of the flag. What can happen?",
        setting="P           | C\nfork C      | pin x -> r\nwrite x new | munmap x",
        choices=(
            Choice("Nothing. From v5.8 on each lookup breaks COW.", believes="M12", refuted_by=Schedule(
                PINNED, "P C C P", "Move 2 pins the shared page as it is: nobody has asked.", kernel="caller-flag")),
            Choice(
                "What could happen on v5.7: the pin ends on the other process's page.",
                because="A default protects those who have not thought about it. A flag serves those who have.",
            ),
            Choice("The pin fails, because COW is not broken.", believes="M3", refuted_by=Schedule(
                PINNED, "P C C P", "Move 2 gets its page. A read-only entry is no obstacle to a lookup for reading.",
                kernel="caller-flag")),
        ),
        hints=(
            "Whose job is it, under this design, to know that the page is shared?",
            "Without the flag, which row's rules does the lookup follow?",
            "Then play the four moves of lesson 05, with a pin.",
        ),
        shows=Schedule(PINNED, "P C C P", "The four moves of lesson 05, with a pin.", kernel="caller-flag"),
    ),
    Question(
        id="09-exit-gone",
        prompt="The rule of 17839856fd lasted three months: a308c71bf1e6 took it out for v5.9. Why?",
        choices=(
            Choice("It made too many copies, and was slow.", believes="M15"),
            Choice("A lock was found that does the same.", believes="M11"),
            Choice(
                "It made reading act like writing, and programs that only look were hurt by it.",
                because="A monitor that waits for itself, a futex that fails, text pages copied for a look. And "
                "another answer was there by then, at the place where the writer decides.",
            ),
        ),
        hints=(
            "Which column of the table is worst for v5.8?",
            "Think of the monitor.",
            "Was it about the number of copies?",
        ),
        shows=Schedule(NAME_OF_A_FUTEX, "P P", "Move 2: one of those that were hurt.", kernel="v5.8", holds=False),
    ),
)  # fmt: skip

HINTS = {
    "09-policy": (
        "Isolation first. Print `a.fails['isolation']` for `mine`: what do the six names have in common? There is a "
        "rule for just that moment.",
        "Now the regressions. A writer that counts references is too strict with a process that shares with nobody. "
        "From v5.19 on the writer asks for something else first.",
        "Now coherence. Two moments are left at which a pinned page goes astray: `fork()`, and the lookup itself. "
        "v5.19 has a rule for each.",
    ),
}
