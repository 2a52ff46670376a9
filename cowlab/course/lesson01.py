"""The questions of lesson 01 (what your own kernel shares)."""

from random import Random

from .bank import Choice, Question, Schedule
from .story import Story, draw, shortened

WATCHED = """litmus watched
init
  P: x = old

P
fork C
write x new

exists C.x is init.x and P.x isnt init.x
"""
CHILD_WRITES = """litmus child-writes
init
  P: x = old

P      | C
fork C | write x mine
       | exit

exists P.x is init.x and P.x == old
"""
LEAK = "child-reads-parent-secret"

BITS = "Before the first move P's bit is 1. What is it after each of the moves?"
BITS_HINTS = (
    "The bit is 1 if one page table alone maps the frame that P has just then.",
    "Which moves bring another table to P's frame? Which take one away from it?",
    "It need not be P who changes P's bit.",
)


def exclusive(story: Story) -> list[int]:
    """P's bit after each step: is its frame mapped once?"""
    states = [m.state for m in story.trace.moments[1:]]
    return [int(s.mapcount(s.at("P", 0)[1].frame) == 1) for s in states]


def _digits(bits: list[int]) -> str:
    return " ".join(map(str, bits))


def _bits(rng: Random) -> Question:
    """Another story, and the same question: P's bit after each move."""

    def guesses(story: Story) -> dict[str, list[int]]:
        own = [1]
        for step in story.steps:
            forks, writes = step.startswith("P: fork"), step.startswith("P: write")
            own.append(0 if forks else 1 if writes else own[-1])
        return {"M2": own[1:], "M1": [1] * len(story.steps), "M3": [0] * len(story.steps)}

    def fits(story: Story) -> bool:
        if "P: exit" in story.steps:
            return False
        return len({_digits(b) for b in (*guesses(story).values(), exclusive(story))}) > 3

    story = draw(rng, 5, fits)
    look = f"P's bit after the moves: {_digits(exclusive(story))}. Look for the move that changes it and is not P's."
    return Question(
        id="01-exit-bits", prompt=BITS, setting=story.setting, hints=BITS_HINTS, shows=story.settled(look),
        choices=shortened(
            ((belief, f"{_digits(bits)}.") for belief, bits in guesses(story).items()), f"{_digits(exclusive(story))}.",
            "A fork by one who has the frame makes it 0. It is 1 again when all others have left the frame, or P has.",
            story.settled(look),
        ),
    )  # fmt: skip


QUESTIONS = (
    Question(
        id="01-bits",
        prompt="P has written to its page x. Bit 56 of its pagemap entry says whether P's page table alone maps the "
               "frame: it is 1. Then P forks C; then P writes to x. What is P's bit at the start, after the fork, "
               "and after the write?",
        setting="         P: fork C       P: write x new\n   1           ?                 ?",
        choices=(
            Choice("1, 1, 1. C has a copy of its own from the start.", believes="M1", refuted_by=Schedule(
                WATCHED, "P P", "Move 1: one frame, mapped by two.")),
            Choice("1, 0, 0. What is shared stays shared, until one of the two is gone.", believes="M3",
                   refuted_by=Schedule(WATCHED, "P P", "Move 2: P's entry moves to a frame that only P maps.")),
            Choice(
                "1, 0, 1.",
                because="After the fork both tables map the same frame. P's write moves P to a new one, and P is alone "
                        "there.",
            ),
            Choice("1, 0, and then the write fails: the page is shared, and P may not change what C reads.",
                   believes="M3", refuted_by=Schedule(WATCHED, "P P", "Move 2: the store succeeds, and C still "
                                                      "reads `old`.")),
        ),
        hints=(
            "Does `fork()` need new memory for the page?",
            "After the write P and C read different things from x. Can they still be in one frame?",
            "If P is in a new frame: who else maps that one?",
        ),
        shows=Schedule(WATCHED, "P P", "Move 1: mapcount 2. Move 2: two frames, mapcount 1 each."),
    ),
    Question(
        id="01-child-side",
        prompt="The same two moves, seen from C. C has done nothing at all. What is the bit of C's page after P's "
               "write?",
        setting="P: fork C         C's bit: 0\nP: write x new    C's bit: ?",
        choices=(
            Choice("0: C has not written, so what it has is still shared.", believes="M4", refuted_by=Schedule(
                WATCHED, "P P", "Move 2: how many entries point at frame 0 now?")),
            Choice(
                "1: P has left, and C is alone with the old frame.",
                because="The bit is about the frame. Others can change it, without your doing anything.",
            ),
            Choice("There is none: the old frame went to P, and C will get a copy when it reads.", believes="M2",
                   refuted_by=Schedule(WATCHED, "P P", "Move 2: C's entry has not moved. It is P's that has.")),
        ),
        hints=(
            "Which of the two has changed frames?",
            "Count the entries of the old frame, before and after.",
            "The child need not do anything to get a frame of its own. It may be left with one.",
        ),
        shows=Schedule(WATCHED, "P P", "Move 2: frame 0 has mapcount 1, and the entry is C's."),
    ),
    Question(
        id="01-exit-bits",
        prompt=BITS,
        setting="P: fork C\nC: write x mine\nC: exit",
        choices=(
            Choice(
                "0 1 1.",
                because="C's write moves C to a copy, so P is alone with the old frame again: P's bit changes, and P "
                        "has done nothing. C's exit takes away C's own frame only.",
            ),
            Choice("0 0 1.", believes="M2", refuted_by=Schedule(
                CHILD_WRITES, "P C C", "Move 2: who is left in frame 0?")),
            Choice("1 1 1.", believes="M1", refuted_by=Schedule(
                CHILD_WRITES, "P C C", "Move 1: one frame, mapped by two.")),
            Choice("0 0 0.", believes="M3", refuted_by=Schedule(
                CHILD_WRITES, "P C C", "Move 2: C moves away, so one entry is left at frame 0.")),
        ),
        hints=BITS_HINTS,
        shows=Schedule(CHILD_WRITES, "P C C", "Move 2: P is alone with frame 0 from here on."),
        again=_bits,
    ),
    Question(
        id="01-exit-version",
        prompt="`uname -r` on an old server says 5.4.195. Commit 17839856fd, which closed a leak, was released with "
               "5.8. Does the server have the leak?",
        choices=(
            Choice("Yes: 5.4 is older than 5.8.", believes="M18", refuted_by=Schedule(
                LEAK, "P C C P", "Move 2: the lookup already breaks copy-on-write, as on 5.8.", kernel="5.4.195",
                holds=False)),
            Choice("Yes: a fix for such a thing cannot be carried back to an older kernel.", believes="M18",
                   refuted_by=Schedule(LEAK, "P C C P", "5.7.6 is older than 5.8 too. Move 2 copies there.",
                                       kernel="5.7.6", holds=False)),
            Choice(
                "The number does not tell. It takes an experiment, or the list of backports.",
                because="As it happens 5.4.195 carries the rule of 5.8 as a backport, and 5.4.0 does not. A release "
                        "number is a name. The behaviour is a set of rules.",
            ),
            Choice("No: a leak like that corrupts memory, and somebody would have noticed.", believes="M20",
                   refuted_by=Schedule(LEAK, "P C C P", "On 5.4.0 it leaks. The parent's page holds exactly what "
                                       "the parent wrote.", kernel="5.4.0")),
        ),
        hints=(
            "How did `probe()` find out which generation your kernel is?",
            "Distributions keep a number for years. Do they keep the bugs, too?",
            "`kernel(\"5.4.195\").name` says which row of rules stands for it.",
        ),
        shows=Schedule(LEAK, "P C C P", "5.4.195 has the rules of v5.8: move 2 copies.", kernel="5.4.195", holds=False),
    ),
)  # fmt: skip

HINTS = {
    "01-ex-programs": (
        "A bit is about one frame: it is 1 if one entry alone, of all page tables, points there. First find "
        "out which frame P's entry points at in the end.",
        "Four moves bring an entry or take one away: a fork brings one; a write to a shared frame, an "
        "unmap, an exit (or an exec) take one away from it.",
        "A pipe has no entry. So `vmsplice` changes neither bit, whatever else it does.",
    ),
    "01-ex-dance": (
        "A 0 says that somebody shares P's frame. Which move of P's, or of whose else, makes the number of "
        "those larger?",
        "A 1 after a 0: the last one of the others has just left P's frame. There are three ways to leave.",
        "If the number does not change, make a move that does not matter: a read, or a move of somebody who "
        "has left the frame already.",
    ),
    "01-ex-alone": (
        "Draw the frame, and a line to it from everybody who has something to do with it. Which lines does "
        "the bit count?",
        "Which of the five moves take lines away, and of which kind?",
        "The twist of the lesson had one process less, and the same question: *who holds?*",
    ),
}
