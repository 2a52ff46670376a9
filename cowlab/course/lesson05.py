"""The questions of lesson 05 (COW can break either way), and the hints of its exercise."""

from .bank import Choice, Question, Schedule

LEAK = "child-reads-parent-secret"

QUESTIONS = (
    Question(
        id="05-first-writer",
        prompt="After the fork, P and C map the same frame. Now P writes. Whose entry points at a new frame "
               "afterwards?",
        setting="P: fork C\nP: write x new",
        choices=(
            Choice("C's. The child gets the copy, the parent keeps the original.", believes="M2"),
            Choice(
                "P's. Whoever writes makes the copy.",
                because="`do_wp_page()` finds two entries that map the frame, copies it, and points the writer's entry "
                "at the copy. The one who did not write keeps the old frame.",
            ),
            Choice("Nobody's. `fork()` gave each of them a frame already.", believes="M1"),
            Choice("Nobody's. The entry is read-only since the fork, so the write fails.", believes="M3"),
        ),
        hints=(
            "`fork()` copies the table of entries. What does it do with the frames?",
            "Only one of the two processes takes a fault here.",
            "The fault handler has one process in its hands: the one that wrote. It can change that one's entry.",
        ),
        shows=Schedule(LEAK, "P P C C", "Move 2: P's entry moves to frame 1. C's entry stays where it was.",
                       holds=False),
    ),
    Question(
        id="05-secret",
        prompt="C puts the page into a pipe and then unmaps it. Is there an order of these moves after which "
               "C's pipe holds "
        "`new`, the value that P wrote for itself?",
        setting="P           | C\nfork C      | vmsplice x -> pipe\nwrite x new | munmap x",
        choices=(
            Choice("No. P writes, so P makes a copy, and the pipe keeps the old frame.", believes="M9"),
            Choice("No. The pipe holds a reference, and a reference keeps the data as they were.", believes="M6"),
            Choice("Only if both run at the same instant on two processors.", believes="M10"),
            Choice(
                "Yes, in plain order, one move after another.",
                because="Which order? That is your next move. You are the scheduler.",
            ),
        ),
        hints=(
            "A reference keeps the frame alive. Who may write to the frame is decided somewhere else.",
            "When P writes, one number decides whether P copies. Which of C's moves changes that number?",
            "`munmap` takes an entry away. After it, how many entries still map the frame?",
        ),
    ),
    Question(
        id="05-exit-two-counts",
        prompt="A kernel with the rules of v5.7. P is the only process that maps a frame, and the entry is "
               "read-only. Another "
        "process holds the same frame in a pipe: mapcount 1, refcount 2. P writes. What does the kernel do?",
        choices=(
            Choice("It copies the frame for P, because two hold it.", believes="M5", refuted_by=Schedule(
                LEAK, "P C C P", "After move 3: mapcount 1, refcount 2. At move 4 no copy is made.")),
            Choice("It first saves the old contents for the pipe, because a reference keeps the data.", believes="M6",
                   refuted_by=Schedule(LEAK, "P C C P", "Move 4: the pipe still holds frame 0, and now reads `new`.")),
            Choice(
                "It lets P have the frame as it is, and makes the entry writable.",
                because="`do_wp_page()` asks how many entries map the frame. It finds one, P's own. That somebody else "
                "holds the frame is a different number, and nobody looks at it.",
            ),
            Choice("It sends SIGSEGV, because the entry is read-only.", believes="M3", refuted_by=Schedule(
                LEAK, "P C C P", "Move 4: the store succeeds.")),
        ),
        hints=(
            "Two numbers are given. Which of them does v5.7 ask for?",
            "`reuse_swap_page()` counts entries that map the frame.",
            "Step to move 4 of the leak and read the reason.",
        ),
        shows=Schedule(LEAK, "P C C P", "Move 4: the reason says which number was asked for."),
    ),
    Question(
        id="05-exit-report",
        prompt="A colleague reads the bug report and sums it up: \"Two threads race, and the child corrupts the "
               "parent's "
        "memory.\" How much of that is right?",
        choices=(
            Choice("All of it.", believes="M20"),
            Choice("The race. If each move finishes before the next starts, nothing happens.", believes="M10"),
            Choice("The corruption. After the bug the parent's page no longer holds what it wrote.", believes="M20"),
            Choice(
                "Neither.",
                because="Four moves, one after another, no thread anywhere. And every page of the parent's "
                        "holds what the "
                "parent put there. The bug is that somebody else can read it.",
            ),
        ),
        hints=(
            "Count the processes that run at the same time in your schedule.",
            "Look at the parent's page at the end of the leak. Is the value wrong?",
            "There are two kinds of harm: somebody changes your data, or somebody reads them.",
        ),
    ),
)  # fmt: skip

HINTS = {
    "05-ex-schedule": (
        "Every move that is in the test happens at most once, but you need not make all of them. Start with the "
        "last one that "
        "you need, and ask what must be true just before it.",
        "When the secret is written, the writer must be the only one who maps the frame that the pipe holds. So two "
        "processes have to leave that frame first: how can each of them?",
        "A process that writes to a shared frame moves to a copy, and so leaves the old frame to the others. And a "
        "child can only inherit what its parent still maps.",
    ),
    "05-ex-test": (
        "Start from the text of the lesson's test, and change one step.",
        "Lesson 05 ended with a table: four ways to stop mapping a frame.",
        "If your test leaks on v5.8 too, see when the reference is taken. v5.8 breaks COW at that moment, so "
        "after `fork`.",
    ),
    "05-ex-exec": (
        "What does `execve()` take away: entries, references, or both?",
        "Count the entries that map the frame when the server writes.",
        "It is the schedule of the lesson, with another move in place of `munmap`.",
    ),
}
