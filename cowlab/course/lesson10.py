"""The questions of lesson 10 (what came after 17839856fd)."""

from .bank import Choice, Question, Schedule

LEAK = "child-reads-parent-secret"
ALONE = "reference-lost-after-mprotect"
PINNED = "museum-gpu-that-pins"
HUGE = "thp-takeover-after-munmap"
CACHE = "file-page-is-never-taken-over"
TAKEN = """litmus the-pipe-gets-the-shared-frame
init
  P: x = old

P           | C
fork C      | vmsplice x -> pipe
write x new | munmap x

exists C.pipe is init.x and P.x isnt init.x
"""
FORK = "litmus fork-shares\ninit\n  P: x = old\n\nP\nfork C\n\nexists C.x is P.x\n"

QUESTIONS = (
    Question(
        id="10-who-counts",
        prompt="v5.9 took all three rules of 17839856fd out again. The four moves once more. Which move copies the "
        "page on v5.9, if any?",
        setting="P: fork C\nC: vmsplice x -> pipe\nC: munmap x\nP: write x new",
        choices=(
            Choice("C's `vmsplice`, as on v5.8. A fix stays in.", believes="M12", refuted_by=Schedule(
                TAKEN, "P C C P", "Move 2: the pipe gets frame 0, which P maps too. Nothing is copied there.",
                kernel="v5.9")),
            Choice("None. The rules are out, so the leak is back.", believes="M5", refuted_by=Schedule(
                LEAK, "P C C P", "Before move 4: mapcount 1, refcount 2. On v5.9 the second number is asked for.",
                kernel="v5.9", holds=False)),
            Choice("`fork`. The child starts with copies.", believes="M1", refuted_by=Schedule(
                FORK, "P", "After `fork` both entries point at frame 0.", kernel="v5.9")),
            Choice(
                "P's `write`, because the pipe counts too.",
                because="`do_wp_page()` now asks how many references of any kind there are (09854ba94c6a). It finds "
                "two, P's entry and the pipe, so P copies. The pipe keeps the old frame, and the old value.",
            ),
        ),
        hints=(
            "Three moments could break COW: the fork, the lookup, the write. v5.8 chose the lookup.",
            "Before the last move one process maps frame 0, and one pipe holds it. Which number sees both?",
            "If the writer counts every reference, what does it find?",
        ),
        shows=Schedule(LEAK, "P C C P", "Move 4: the reason says which number was asked for.", kernel="v5.9",
                       holds=False),
    ),
    Question(
        id="10-one-process",
        prompt="v5.9, and one process that never forks. It puts its page into a pipe, makes the mapping read-only, "
        "makes it writable again, and writes. What can be read from the pipe?",
        setting="P: vmsplice x -> pipe\nP: mprotect x ro\nP: mprotect x rw\nP: write x new",
        choices=(
            Choice("`new`. There is one process and one page. A kernel that counts more carefully cannot be worse.",
                   believes="M13"),
            Choice(
                "`old`. P has moved to a copy.",
                because="The entry is read-only, so the store faults. `do_wp_page()` counts two references, P's and "
                "the pipe's, and copies to be on the safe side. There was nobody to be safe from.",
            ),
            Choice("`new`. Only P maps the page, so the count is 1 and nothing is copied.", believes="M5",
                   refuted_by=Schedule(ALONE, "P P P P", "Before move 4: mapcount 1, refcount 2. v5.9 asks for the "
                                       "second.", kernel="v5.9", holds=False)),
            Choice("Nothing new: the entry is read-only, so the write fails.", believes="M3", refuted_by=Schedule(
                ALONE, "P P P P", "Move 4: the store succeeds. It is the pipe that misses it.", kernel="v5.9",
                holds=False)),
        ),
        hints=(
            "After the two `mprotect` calls, may P's entry be written without a fault?",
            "In the fault v5.9 asks one question. How many references does the page have?",
            "Whose page is it after a copy, and what does the pipe still hold?",
        ),
        shows=Schedule(ALONE, "P P P P", "Move 4: a copy, and nobody who needed it.", kernel="v5.9", holds=False),
    ),
    Question(
        id="10-pinned-fork",
        prompt="v5.9. A driver has pinned P's page for a device, for long. Now P forks C. Nobody has written yet. "
        "Who maps the pinned frame?",
        setting="P: pin x -> gpu write longterm\nP: fork C",
        choices=(
            Choice("Both, read-only. Whoever writes first will copy.", believes="M9", refuted_by=Schedule(
                PINNED, "P P P", "Move 2: frame 1 is there before anybody has written. Move 3 copies nothing.",
                kernel="v5.9")),
            Choice("Both. `fork` waits with the copy until the device is done.", believes="M11", refuted_by=Schedule(
                PINNED, "P P P", "Move 2 is over while the pin is still held.", kernel="v5.9")),
            Choice(
                "P, and its entry stays writable. C got a copy at once.",
                because="`copy_present_page()` sees that the page may be pinned, and copies it for the child on the "
                "spot (70e806e4e645). The device goes on with its own process.",
            ),
            Choice("P. From v5.9 on `fork` copies all of the parent's memory.", believes="M1", refuted_by=Schedule(
                "only-the-pinned-page-is-copied-at-fork", "P P", "After move 2 page y, which nobody pinned, is "
                "shared as ever.", kernel="v5.9")),
        ),
        hints=(
            "What would P's next write do if the frame were shared after the fork?",
            "A pin can be told apart from a plain reference: it counts 1024.",
            "The kernel wants the device and P to stay together. Which of the two entries must get another frame?",
        ),
        shows=Schedule(PINNED, "P P P", "Move 2 makes frame 1, for C. P's entry stays writable.", kernel="v5.9"),
    ),
    Question(
        id="10-exit-version",
        prompt="\"The leak was fixed in v5.9\", says a colleague. \"So 5.15.100 has no such leak, and 5.4.195 has "
        "it.\" Think of an ordinary page, and of a huge one. What is right?",
        choices=(
            Choice("All of it. Newer is safer.", believes="M18", refuted_by=Schedule(
                HUGE, "P C C P", "5.15.100, a huge page: move 4 reuses it, and the pipe reads the secret.",
                kernel="5.15.100")),
            Choice("Only that 5.4.195 leaks: it is older than 5.8.", believes="M18", refuted_by=Schedule(
                LEAK, "P C C P", "5.4.195: move 2 copies. It carries the rules of v5.8.", kernel="5.4.195",
                holds=False)),
            Choice("That 5.15.100 does not leak: since 5.8 COW is in order.", believes="M12", refuted_by=Schedule(
                HUGE, "P C C P", "5.15.100, a huge page: move 4 reuses it, and the pipe reads the secret.",
                kernel="5.15.100")),
            Choice(
                "Nothing. 5.4.195 leaks neither, and 5.15.100 leaks the huge one.",
                because="5.4.195 took 17839856fd over, and that covers huge pages too. 5.15.100 has the rules of the "
                "row v5.10, which count references for small pages only.",
            ),
        ),
        hints=(
            "Which rows do these two releases belong to? `kernel(\"5.15.100\").name` says it.",
            "Look at the row `thp-takeover-after-munmap` of the matrix.",
            "The huge page has a field of its own, `reuse_huge`.",
        ),
        shows=Schedule(HUGE, "P C C P", "Move 4: `do_huge_pmd_wp_page()` asks the old question.", kernel="5.15.100"),
    ),
    Question(
        id="10-exit-cache",
        prompt="v5.7. P has a private mapping of a file, and has only read it. P forks C, C puts the page into a "
        "pipe and unmaps it. Then P writes `new`. What does the pipe hold?",
        setting="P: x = old file\n\nP: read x\nP: fork C\nC: vmsplice x -> pipe\nC: munmap x\nP: write x new",
        choices=(
            Choice("`new`. It is a COW mapping, so it can break either way.", believes="M14", refuted_by=Schedule(
                CACHE, "P P C C P", "Move 5: the page belongs to the page cache. It is copied, and never taken over.",
                holds=False)),
            Choice(
                "`old`. P copies, whatever the counts say.",
                because="A page of the page cache is not anonymous. Nobody may take it over, since it is the file. "
                "So which way COW breaks is known here: the writer copies.",
            ),
            Choice("`new`. Only P maps the page, so mapcount is 1.", believes="M5", refuted_by=Schedule(
                CACHE, "P P C C P", "Move 5: that question is asked for anonymous pages only.", holds=False)),
        ),
        hints=(
            "Whose page is it before anybody has written: a process's, or the file's?",
            "If P took the page over and wrote to it, who else would see that?",
            "`do_wp_page()` asks first whether the page is anonymous.",
        ),
        shows=Schedule(CACHE, "P P C C P", "Move 5: a copy, although only P maps the page.", holds=False),
    ),
)  # fmt: skip
