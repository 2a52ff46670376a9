"""The hints of exercises 06 to 12: three rungs each."""

HINTS = {
    "06-ex-isolation": (
        "Isolation: nobody's reference shows what *somebody else* wrote. Who writes which value in this test?",
        "It must hold on kernels where a pipe stays behind and on kernels where it follows its own process. So do not "
        "say what the pipe holds. Say what it never holds.",
        "If it rejects a good kernel, step through the execution that comes with it: whose value stands in the pipe?",
    ),
    "06-ex-coherence": (
        "Two things can go wrong with a reference: it shows another one's data, or it misses its own process's. This "
        "question is about the second.",
        "At the end the pin and the process that took it should agree. Which two names of the final state are those?",
        "`is` compares frames and `==` compares contents. What does the one who pinned write last?",
    ),
    "06-ex-shield": (
        "Count who maps the frame just before P writes.",
        "D was a shield as long as it lived.",
        "Which orders does a lock around C's two moves forbid? Is this one of them?",
    ),
    "07-ex-row": (
        "Lesson 07 printed the fields that differ, and which of them cite the commit.",
        'Ask of each field: which of the tests would notice? `judge(load(NAME), row("v5.7", {…}))` tells, with '
        "`from cowlab.grade import row`.",
        "If a verdict is not that of v5.8, look at the roads not taken: `cowlab diff v5.8 caller-flag` and its like "
        "name other rules for these fields. At the end leave one change out and judge all tests again: what makes no "
        "difference is not needed.",
    ),
    "07-ex-backport": (
        "Of each lookup ask first: by which path does it come, the lockless walk or the slow one?",
        "The lost rule is the one that sends the lockless walk back when the entry is read-only.",
        "One lookup never takes the slow path, and one has always asked for writing.",
    ),
    "07-ex-stable": (
        "Who carries which rules? The lesson has a list of releases.",
        "At which move did the child get a frame of its own?",
        "Step to move 2 and read every line.",
    ),
    "08-ex-callers": (
        "The table of the lesson has the flags of each caller, and how long it holds. Who asks only where the page is "
        "holds for a moment; who reads through it, or lets others read, wants the data.",
        "This time the reference is older than the fork. Does asking for writing still help?",
        "Who is safe has let go, or is told when the entry changes.",
    ),
    "08-ex-exempt": (
        "One entry point was left as it was.",
        "It needs a caller that keeps the page. Which one of the table does?",
        "Then let the child stop mapping the page in another way than by munmap: lesson 05 has four.",
    ),
    "08-ex-perf": (
        "Which process's entry moved to a new frame at move 3?",
        "Does perf hold anything when the copy is made?",
        "A number can be old without anybody being able to read through it.",
    ),
    "09-ex-policy": (
        "Begin with isolation: which rule for the writer, and which for swap-in, keep all its tests?",
        "Then look at the prices of your row: which workload pays more than on v5.7, and for which rule?",
        "Coherence can be bought at `fork()` and at the lookup. One of the two is cheaper on these workloads.",
    ),
    "09-ex-road": (
        "Which callers ask on that road? Column `cares` of lesson 08's table.",
        "For those that do not ask, all rules are v5.7's.",
        "So it is the schedule of lesson 05 once more.",
    ),
    "10-ex-separate": (
        "v5.9 to v5.18 count references when somebody writes. From v5.19 on the page itself says whose it is. What "
        "about a process that shares with nobody?",
        "You need a write fault on a page that has a reference and is nobody else's.",
        "Two more things came in v5.9 and v5.18, for fork and for swap. Keep pins, `reclaim` and THPs out, and your "
        "test is about the bit alone.",
    ),
    "10-ex-huge": (
        "Which row of the table does that release behave like?",
        "Huge pages have a write fault of their own. Which question did it ask then?",
        "Compare with `thp-takeover-after-munmap`. What is `execve()` here instead of?",
    ),
    "11-ex-report": (
        "Fill in the table of the lesson first: who maps, who holds, who writes, who decides?",
        "The child needs a column of its own, with the one step that decides between right and wrong.",
        "Who takes the reference, and is that before the fork or after it? `forall` says what should be true at every "
        "end: what the reference shows, or what it must never show.",
    ),
    "11-ex-row": (
        "Two of the rules of a row are about pins. One is asked at `fork()`, one at the lookup.",
        "`cowlab diff v5.7 v5.9` and `cowlab diff v5.18 v5.19` name the rules that there are, with a sentence each. A "
        "rule that asks for `PageAnonExclusive` needs the field that keeps that bit.",
        "The last test must not change: plain references are as they were. So leave the writer's rule alone.",
    ),
    "12-ex-design": (
        "Which row of history loses the fewest tests of coherence, and which of its prices is too high for you? "
        "`standing({}, budget.base)` shows all of them.",
        "Undo what 17839856fd did at the lookup, or every reader pays. Then isolation has to come from the writer.",
        "Four questions are left: the writer, swap-in, fork, and the lookup by pin. Take a rule for each from the "
        "table of kernels, and what these rules need. Do not take more.",
    ),
    "12-ex-defend": (
        "Assess the row of v6.12 twice, once with a single field changed. Which columns move?",
        '`designs.assess(k).fails["coherence"]` of each kernel in `KERNELS`: which name is in all of them?',
        "What does a plain `FOLL_GET` promise over a fork? Lesson 10 and lesson 11 end with it.",
    ),
}
