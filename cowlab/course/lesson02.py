"""The questions of lesson 02 (what fork copies)."""

from random import Random

from .bank import Choice, Question, Schedule
from .story import Story, believers, draw, named, shortened

ONE_FORK = "litmus one-fork\ninit\n  P: x = old\n\nP\nfork C\n\nexists C.x is P.x and P.x is init.x\n"
CHILD_READS = """litmus child-reads-first
init
  P: x = old

P      | C
fork C | read x -> seen

exists C.x is P.x and C.seen == old
"""
GRANDCHILD = """litmus three-generations
init
  P: x = old

P      | C
fork C | fork D
       | write x new

exists P.x is init.x and D.x is init.x and C.x isnt init.x
"""
STORE_AFTER_FORK = """litmus store-after-fork
init
  P: x = old

P
fork C
write x new

exists P.x == new and C.x == old
"""
STORE_AFTER_MPROTECT = """litmus store-after-mprotect
init
  P: x = old

P
mprotect x ro
write x new

exists P.fault == SIGSEGV
"""
PINNED = "litmus pinned-and-forked\ninit\n  P: x = old\n\nP\npin x -> nic\nfork C\n\nexists C.x isnt P.x\n"

FOUR_PAGES = """litmus four-pages-one-fork
init
  P: a = 1
  P: s = 2 shared
  P: d = 3
  P: p = 4

P
madvise d dontfork
pin p -> card
fork C

exists C.a is P.a
"""

FAMILY = "The first frame is the one that x is in at the start."


def _who_maps(rng: Random) -> Question:
    """Another family, and the same question: whose entries still point at the first frame?"""

    def fits(story: Story) -> bool:
        right = named({proc for proc, _, _ in story.trace.final.entries(story.first_frame)})
        wrong = {named(mapping) for mapping in believers(story).values()} - {right}
        return len(story.alive) > 1 and "write" in story.setting and len(wrong) > 1

    story = draw(rng, 5, fits)
    right = {proc for proc, _, _ in story.trace.final.entries(story.first_frame)}
    look = f"Count the entries that point at frame 0: {', '.join(map(str, story.mapcounts()))} after the moves."
    return Question(
        id="02-exit-family", prompt=WHO_MAPS, setting=story.setting, hints=WHO_MAPS_HINTS,
        shows=story.settled(look),
        choices=shortened(
            ((belief, f"{named(mapping)}.") for belief, mapping in believers(story).items()), f"{named(right)}.",
            "A fork adds an entry. A write to a shared frame takes one away: the writer's. An exit takes one away too.",
            story.settled(look),
        ),
    )  # fmt: skip


WHO_MAPS = f"{FAMILY} Kernel with the rules of v5.7. Whose entries point at it in the end?"
WHO_MAPS_HINTS = (
    "Write down the set of those who map the frame, and change it move by move.",
    "Fork adds the child to the set, if the parent is in it. What does a write do, when there are two in the set?",
    "A writer leaves the set if somebody else is in it. If the writer is alone, it stays.",
)

QUESTIONS = (
    Question(
        id="02-after-fork",
        prompt="P has one page, x. It is in frame 0, and P may write to it. Then P forks C. What is there, as soon as "
        "`fork()` has returned?",
        setting="P: fork C",
        choices=(
            Choice("Two frames with the same contents, one for each process.", believes="M1", refuted_by=Schedule(
                ONE_FORK, "P", "Move 1: one frame, and two entries that point at it.")),
            Choice("One frame. P's entry stays writable, and C's is read-only: the original is P's.", believes="M2",
                   refuted_by=Schedule(ONE_FORK, "P", "Move 1: compare the two entries.")),
            Choice("One frame. C's table is empty, and C gets its copy when it first reads.", believes="M1",
                   refuted_by=Schedule(CHILD_READS, "P C", "Move 1: C has its entry already. Move 2: C reads, and "
                                       "there is still one frame.")),
            Choice(
                "One frame. Both entries point at it, and both are read-only.",
                because="`fork()` copies the table. The frame stays where it is, and P loses the right to write to "
                        "it without asking, just as C does.",
            ),
        ),
        hints=(
            "`fork()` has to copy something. What is smaller: the table, or what the table points at?",
            "Suppose P could still write without asking. What would C see?",
            "The word read-only stands at two places in the picture.",
        ),
        shows=Schedule(ONE_FORK, "P", "Move 1: one frame, two entries, both read-only."),
    ),
    Question(
        id="02-who-leaves",
        prompt="P forks C, and C forks D. All three map frame 0. Then C, the one in the middle, writes. Whose "
               "entries point at frame 0 afterwards?",
        setting="P: fork C\nC: fork D\nC: write x new",
        choices=(
            Choice("P's alone. The copy goes down the family, to C and to its child D.", believes="M2",
                   refuted_by=Schedule(GRANDCHILD, "P C C", "Move 3: one entry moves. D's stays where it was.")),
            Choice(
                "P's and D's.",
                because="The one who writes leaves. Nobody else is asked, and nobody else's entry is touched: who "
                        "forked whom plays no part.",
            ),
            Choice("C's alone. P and D are given copies of the old contents.", believes="M2", refuted_by=Schedule(
                GRANDCHILD, "P C C", "Move 3: frame 0 is still mapped by two, and C is not one of them.")),
            Choice("P's alone. C and D have had frames of their own since the forks.", believes="M1",
                   refuted_by=Schedule(GRANDCHILD, "P C C", "Move 2: three entries, one frame.")),
        ),
        hints=(
            "The fault handler works for one process: the one that wrote.",
            "What would it cost to change the tables of all the others? What does it cost to change one?",
            "The family tree is not in the picture. Does the kernel need it here?",
        ),
        shows=Schedule(GRANDCHILD, "P C C", "Move 3: C's entry goes to frame 1. Two are left behind, and share."),
    ),
    Question(
        id="02-read-only",
        prompt="Two programs. In both of them P's entry for x is read-only when P stores to x. What happens?",
        setting="first:   P: fork C           P: write x new\nsecond:  P: mprotect x ro    P: write x new",
        choices=(
            Choice("Both stores are refused: read-only is read-only.", believes="M3", refuted_by=Schedule(
                STORE_AFTER_FORK, "P P", "Before move 2 the entry is read-only. After it P reads what it wrote.")),
            Choice(
                "The first store succeeds, the second one kills P with SIGSEGV.",
                because="The read-only bit of an entry only means: ask the kernel first. The kernel's answer comes "
                        "from another place, the mapping (VMA): there it says whether P may write.",
            ),
            Choice("Both stores succeed: it is P's own memory, and the kernel makes the entry writable.",
                   believes="M3", refuted_by=Schedule(
                       STORE_AFTER_MPROTECT, "P P", "Move 2: the entry looks the same as after fork, and the mapping "
                       "does not: it says `ro`.")),
        ),
        hints=(
            "Who made the entry read-only in the first program? And in the second?",
            "Did P ask for read-only memory in the first program?",
            "The picture says `private` in one case, and `private ro` in the other. That is the mapping.",
        ),
        shows=Schedule(STORE_AFTER_MPROTECT, "P P", "Move 1 looks like a fork: the entry is read-only. The mapping "
                       "says `ro` too, and that decides."),
    ),
    Question(
        id="02-exit-family",
        prompt=WHO_MAPS,
        setting="P: fork C\nC: write x c1\nP: fork D\nP: write x p3",
        choices=(
            Choice("P's.", believes="M1", refuted_by=Schedule(
                Story(("P: fork C", "C: write x c1", "P: fork D", "P: write x p3")).text(
                    "exists D.x is init.x and P.x isnt init.x and C.x isnt init.x"), "P C P P",
                "Move 4: it is P that leaves frame 0.")),
            Choice("P's, C's and D's.", believes="M3", refuted_by=Schedule(
                Story(("P: fork C", "C: write x c1", "P: fork D", "P: write x p3")).text(
                    "exists C.x == c1 and P.x == p3 and C.x isnt init.x"), "P C P P",
                "Moves 2 and 4: both stores succeed, and each time an entry moves.")),
            Choice(
                "D's.",
                because="C leaves at its write. P forks D, so P and D share; then P writes, and leaves. D has never "
                        "done a thing, and is the last one to map the frame that was P's.",
            ),
            Choice("Nobody's.", believes="M4", refuted_by=Schedule(
                Story(("P: fork C", "C: write x c1", "P: fork D", "P: write x p3")).text(
                    "exists D.x is init.x and D.x == old"), "P C P P",
                "After move 4 look at D: it has not moved.")),
        ),
        hints=WHO_MAPS_HINTS,
        again=_who_maps,
    ),
    Question(
        id="02-exit-never",
        prompt="\"`fork()` never copies a page, it only shares.\" Of which page is this not true?",
        choices=(
            Choice("Of a page that P was about to write: it is copied during the fork.", believes="M1",
                   refuted_by=Schedule(ONE_FORK, "P", "Move 1: what P does next plays no part.")),
            Choice("Of a page that is read-only: the child could never get its own later.", believes="M3",
                   refuted_by=Schedule(
                       "litmus read-only-and-forked\ninit\n  P: x = old ro\n\nP\nfork C\n\nexists C.x is P.x\n", "P",
                       "Move 1: a read-only page is shared like any other.")),
            Choice(
                "Of a page that a device holds by a pin, on v5.9 and later.",
                because="`copy_present_page()` copies it for the child at once (70e806e4e645, v5.9), so that the "
                        "parent and the device keep the frame that they share.",
            ),
            Choice("Of none. Since there is copy-on-write, fork copies nothing.", believes="M4", refuted_by=Schedule(
                PINNED, "P P", "Move 2: a new frame appears, during the fork.", kernel="v5.9")),
        ),
        hints=(
            "The twist of this lesson had four pages. One of them was copied.",
            "Why would a copy at the next write come too late? Think of who else holds the page.",
            "Which of the four pages came out differently on v5.7 and on v5.9?",
        ),
        shows=Schedule(PINNED, "P P", "Move 2: P keeps frame 0, which the device holds. C gets a new one.",
                       kernel="v5.9"),
    ),
)  # fmt: skip

HINTS = {
    "02-ex-family": (
        "Write down who maps frame 0, and go through the moves one by one. Each row of the drawing has one "
        "value that you can check against.",
        "A writer who shares moves to a new frame, alone and writable. The others are left where they were, "
        "and their entries are not touched.",
        "A fork makes the entries of both sides read-only, and leaves them so until their owner writes.",
    ),
    "02-ex-partners": (
        "Take the pages one by one. For x: who has to leave, and who has to stay? For y?",
        "A process leaves a frame by a write of its own. It must do so when D has its entry already, or D "
        "never shares.",
        "Each column has its moves in a fixed order. Which of them stand in the way of the one that you need?",
    ),
    "02-ex-snapshot": (
        "Two pages, two kinds of mapping. Which of them is copy-on-write?",
        "Private: whose entry moves, when P writes? Shared: is there a trap at all?",
        "The twist of the lesson had a page `s`. Everybody is meant to see the writes to it.",
    ),
}
