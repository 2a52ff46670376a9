"""The questions of lesson 06 (looking at every order)."""

from itertools import zip_longest

from .bank import Choice, Question, Schedule

LEAK = "child-reads-parent-secret"


def _program(name: str, parent: list[str], child: list[str], condition: str = "exists C.pipe == new") -> str:
    rows = "\n".join(f"{p:12}| {c}" for p, c in zip_longest(parent, child, fillvalue=""))
    return f"litmus {name}\ninit\n  P: x = old\n\nP           | C\n{rows}\n\n{condition}\n"


PARENT, CHILD = ["fork C", "write x new"], ["vmsplice x -> pipe", "munmap x"]
NEEDLE = _program("needle", [*PARENT, *["read x"] * 4], [*["read x"] * 4, *CHILD])
NEEDLE_ORDER = "P C C C C C C P P P P P"
BROKEN_FIRST = _program("broken-before-it-is-taken", PARENT, ["write x mine", *CHILD], "exists C.pipe == mine")
READ_ONLY = _program("read-only-first", PARENT, ["mprotect x ro", *CHILD])
OWN_WRITE = _program("own-write-in-place-of-munmap", PARENT, ["vmsplice x -> pipe", "write x mine"])
GONE = _program("gone-for-good", PARENT, [*CHILD, "exit"])
BEFORE_FORK = _program("taken-before-the-fork", ["vmsplice x -> pipe", "fork C", "write x new"], ["write x mine"],
                       "exists P.pipe == mine")  # fmt: skip

QUESTIONS = (
    Question(
        id="06-stress",
        prompt="The two programs of lesson 05, with some reading around them. You run them 200 times on v5.7, each "
        "time in a random order, and the secret never comes out. What do you know now?",
        setting="P           | C\nfork C      | read x, four times\nwrite x new | vmsplice x -> pipe\n"
        "read x, four times | munmap x",
        choices=(
            Choice("That it is safe: P writes, so P copies. The runs agree.", believes="M9", refuted_by=Schedule(
                NEEDLE, NEEDLE_ORDER, "Move 8: P writes, and no copy is made.")),
            Choice("That it takes two moves at the same instant, and 200 runs have had none.", believes="M10",
                   refuted_by=Schedule(NEEDLE, NEEDLE_ORDER, "Each of these moves is over before the next one "
                                       "starts. After move 8 the pipe holds `new`.")),
            Choice(
                "Something about 200 orders, and nothing about the others.",
                because="How often an order comes up and whether it exists are two questions. A test run answers the "
                "first. To answer the second you must look at all of them.",
            ),
            Choice("That a lock is missing: with one, such things cannot hide.", believes="M11", refuted_by=Schedule(
                LEAK, "P C C P", "C makes both its moves before P makes its second. A lock around each "
                "program's part would allow this very order.")),
        ),
        hints=(
            "How many orders are there? P has 5 moves after the fork, C has 6.",
            "462. If one of them leaks, how likely is it to be among 200 random ones?",
            "Read the three statements again. Which of them says no more than the runs have shown?",
        ),
        shows=Schedule(NEEDLE, NEEDLE_ORDER, "The one order that leaks. Move 8 decides."),
    ),
    Question(
        id="06-one-step",
        prompt="You may add one step to C's program, so that on v5.7 no order leaks any more. Which one?",
        setting="P           | C\nfork C      | vmsplice x -> pipe\nwrite x new | munmap x",
        choices=(
            Choice("`mprotect x ro` at the top: what is read-only cannot be written.", believes="M3",
                   refuted_by=Schedule(READ_ONLY, "P C C C P", "Move 2 makes C's mapping read-only. Move 5 is P's"
                                       " write, through P's own entry.")),
            Choice(
                "`write x mine` at the top.",
                because="C's write breaks COW before the page is taken. So the pipe gets a frame that is C's own, "
                "whoever writes later. Keep this in mind for lesson 07.",
            ),
            Choice("`exit` at the bottom: a dead process holds nothing.", believes="M5", refuted_by=Schedule(
                GONE, "P C C C P", "After move 4 C is gone: mapcount 1, refcount 2. The pipe is still there.")),
        ),
        hints=(
            "What must not happen is that P is the only mapper of the frame that is in the pipe.",
            "So the frame in the pipe must be one that P does not map. How can C get such a frame?",
            "Usually whoever writes makes the copy.",
        ),
        shows=Schedule(BROKEN_FIRST, "P C C C P", "Move 2 gives C its own frame 1. The pipe gets that one."),
    ),
    Question(
        id="06-lock",
        prompt="You put a lock around the page: P takes it for its write, C takes it for both of its moves together. "
        "v5.7. Can the pipe still end up with `new`?",
        setting="P                         | C\n"
        "fork C                    | lock; vmsplice x -> pipe; munmap x; unlock\n"
        "lock; write x new; unlock |",
        choices=(
            Choice("No. P cannot write while C is in the middle.", believes="M11", refuted_by=Schedule(
                LEAK, "P C C P", "C is not in the middle: it has made both moves, and let the lock go, before "
                "move 4.")),
            Choice("No. The bug was a race, and now there is none.", believes="M10", refuted_by=Schedule(
                LEAK, "P C C P", "There was no race before either. The lock allows this order.")),
            Choice(
                "Yes. The order that leaks is one that the lock allows.",
                because="A lock takes orders away. Of the three orders it forbids the one in which P writes between "
                "C's moves, and that one was harmless.",
            ),
        ),
        hints=(
            "Write down the three orders. Which of them does the lock forbid?",
            "It forbids the one in which P's write falls between C's two moves.",
            "Was that the one that leaks?",
        ),
        shows=Schedule(LEAK, "P C C P", "Moves 2 and 3 under the lock, then move 4 under the lock."),
    ),
    Question(
        id="06-exit-never",
        prompt="For a program with four children `cowlab litmus` says on v5.8: Never, 0 of 106,920. What has been "
        "shown?",
        choices=(
            Choice("That v5.8 does not leak.", believes="M12", refuted_by=Schedule(
                BEFORE_FORK, "P P P C", "Another program, on the same kernel. After move 4 P's pipe holds what C "
                "wrote.",
                kernel="v5.8")),
            Choice("Nothing. It is a model, and a kernel is something else.", believes="M19", refuted_by=Schedule(
                LEAK, "P C C P", "The recording S1 of the real 5.4.0 has these four moves and this value. A "
                "schedule of the model can be tried on a kernel, and these were.")),
            Choice(
                "That this program leaks in no order, under the rules that the model has for v5.8.",
                because="All three parts matter: this program, every order of it, and these rules. Whether the rules "
                "are the kernel's is a question for recordings.",
            ),
            Choice("That it would take a race to leak there.", believes="M10", refuted_by=Schedule(
                BEFORE_FORK, "P P P C", "Four moves in plain order, and the parent's pipe holds what the child wrote.",
                kernel="v5.8")),
        ),
        hints=(
            "\"Never\" is said of a program. Of which one?",
            "Would the answer be the same with one step more?",
            "And whose rules were applied?",
        ),
    ),
    Question(
        id="06-exit-own-write",
        prompt="In this program C unmaps nothing. Still one order leaks on v5.7. Which of C's steps does what "
        "`munmap` did?",
        setting="P           | C\nfork C      | vmsplice x -> pipe\nwrite x new | write x mine",
        choices=(
            Choice("`vmsplice`: it takes the page away from C.", believes="M5", refuted_by=Schedule(
                OWN_WRITE, "P C C P", "After move 2 mapcount is still 2: C maps the frame, and the pipe holds it.")),
            Choice(
                "`write x mine`: C moves to a copy, and leaves the held frame to P.",
                because="After it P is the only one who maps the frame in the pipe. How that came about is all the "
                "same to `reuse_swap_page()`.",
            ),
            Choice("None. The child gets the copy at the fork, so P always has the frame for itself.", believes="M2",
                   refuted_by=Schedule(OWN_WRITE, "P C C P", "After move 1 both map frame 0. Only move 3 changes "
                                       "that.")),
        ),
        hints=(
            "After which step does P alone map the frame that the pipe holds?",
            "Usually whoever writes makes the copy.",
            "C's entry must leave frame 0. Which step makes it leave?",
        ),
        shows=Schedule(OWN_WRITE, "P C C P", "Move 3: C leaves frame 0. Move 4: P takes it over."),
    ),
)  # fmt: skip

HINTS = {
    "06-edits": (
        "From P's side: what could P do before the fork, or instead of sharing, so that C has no entry for the page?",
        "An order leaks if P's write comes after both of C's moves. How do you make most orders have that form?",
        "Steps of C that come after `munmap` do no harm themselves. They leave more places for P's write.",
    ),
}
