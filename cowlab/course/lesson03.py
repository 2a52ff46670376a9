"""The questions of lesson 03 (copy or reuse)."""

from random import Random

from .bank import Choice, Question, Schedule
from .story import draw, shortened

CHILD_LEAVES = """litmus child-leaves-first
init
  P: x = old

P           | C
fork C      | exit
write x new |

exists P.x is init.x and P.x == new
"""
TWO_WRITERS = """litmus two-writers
init
  P: x = old

P           | C
fork C      | write x mine
write x new |

exists P.x is init.x and C.x isnt init.x and P.x == new
"""
ZERO = """litmus zero-page-then-write
init
  P: x untouched

P
read x -> seen
write x new

exists P.seen == zero and P.x == new and P.x isnt init.x
"""
COUNTED = """litmus one-copy-of-two-writes
init
  P: x = old

P           | C       | D
fork C      | fork D    | exit
write x new | write x c |

exists P.x is init.x and C.x isnt init.x
"""
NUMBERS = ("None", "One", "Two", "Three", "Four", "Five")
HOW_MANY = "Kernel with the rules of v5.7. How many frames are copied, all in all?"
HOW_MANY_HINTS = (
    "Keep a tally of how many entries point at the first frame.",
    "At each write ask twice: is the writer's entry read-only, and does another entry point at the same frame?",
    "A write copies only if both answers are yes. A fork copies nothing, and an exit makes the tally smaller.",
)


def _how_many(rng: Random) -> Question:
    """Another story, and the same question: how many copies?"""

    def tallies(story):
        events = [w for m in story.trace.moments for w in m.why]
        return {
            "M4": sum(w.fn == "do_wp_page" for w in events),  # each fault copies
            "M1": sum(": fork" in step for step in story.steps),  # each fork copies
            "M3": 0,  # no store succeeds
        }

    def fits(story):
        reuses = any(w.did.startswith("reuses") for m in story.trace.moments for w in m.why)
        return reuses and story.trace.copies and len({*tallies(story).values(), story.trace.copies}) > 2

    story = draw(rng, 6, fits)
    look = f"Entries that point at frame 0, after each move: {', '.join(map(str, story.mapcounts()))}."
    return Question(
        id="03-exit-copies", prompt=HOW_MANY, setting=story.setting, hints=HOW_MANY_HINTS, shows=story.settled(look),
        choices=shortened(
            ((belief, f"{NUMBERS[n]}.") for belief, n in tallies(story).items()), f"{NUMBERS[story.trace.copies]}.",
            "A write copies if its entry is read-only and another entry maps the same frame. The rest is reuse.",
            story.settled(look),
        ),
    )  # fmt: skip


QUESTIONS = (
    Question(
        id="03-child-leaves",
        prompt="P forks C. C exits at once, without touching anything. Then P writes to x, whose entry is still "
               "read-only since the fork. How many frames are copied?",
        setting="P: fork C\nC: exit\nP: write x new",
        choices=(
            Choice("One. A write to a read-only entry of a COW mapping makes a copy.", believes="M4",
                   refuted_by=Schedule(CHILD_LEAVES, "P C P", "Move 3 faults, and no new frame appears.")),
            Choice("One, at the fork. C had its copy, and took it away when it exited.", believes="M1",
                   refuted_by=Schedule(CHILD_LEAVES, "P C P", "Move 1: one frame, two entries. Move 2 takes one "
                                       "entry away.")),
            Choice(
                "None.",
                because="The fault handler counts the entries that point at the frame. There is one left, P's own. "
                        "Nobody needs the old contents, so P takes the frame as it is.",
            ),
            Choice("None: the store is refused, because the entry is read-only.", believes="M3",
                   refuted_by=Schedule(CHILD_LEAVES, "P C P", "Move 3: the store succeeds. What does the entry "
                                       "say afterwards?")),
        ),
        hints=(
            "What is a copy good for? Whom does it protect from what?",
            "Who would be surprised, if P wrote into frame 0 after C has gone?",
            "How many entries point at frame 0 when P writes?",
        ),
        shows=Schedule(CHILD_LEAVES, "P C P", "Move 3: a fault, and no copy. The entry becomes writable."),
    ),
    Question(
        id="03-second-writer",
        prompt="P forks C. First C writes, and gets a copy. Then P writes. What happens at the second write?",
        setting="P: fork C\nC: write x mine\nP: write x new",
        choices=(
            Choice("A second copy. Each of the two writes was promised one by the fork.", believes="M4",
                   refuted_by=Schedule(TWO_WRITERS, "P C P", "Move 3: count the frames before and after.")),
            Choice("Nothing special, not even a fault: when C left, P got its right to write back.", believes="M2",
                   refuted_by=Schedule(TWO_WRITERS, "P C P", "After move 2 look at P's entry: it is still read-only. "
                                       "Move 3 is a fault.")),
            Choice("P must copy, and C's new frame is the original from now on.", believes="M9",
                   refuted_by=Schedule(TWO_WRITERS, "P C P", "Move 3: P stays in frame 0, where it always was.")),
            Choice(
                "A fault, and no copy: P keeps the frame.",
                because="C has moved away, so P's is the only entry for frame 0. But nobody told P's entry: it is "
                        "read-only until the fault finds out.",
            ),
        ),
        hints=(
            "What did C's write change: C's entry, P's entry, or both?",
            "Is P's entry writable when P writes? And is P alone?",
            "These are two questions, and they have different answers.",
        ),
        shows=Schedule(TWO_WRITERS, "P C P", "Move 3: read-only and alone. That is a fault without a copy."),
    ),
    Question(
        id="03-exit-copies",
        prompt=HOW_MANY,
        setting="P: fork C\nC: fork D\nC: write x c\nD: exit\nP: write x new",
        choices=(
            Choice("Two, one for each write.", believes="M4", refuted_by=Schedule(
                COUNTED, "P C C D P", "Move 5: a write, and no new frame.")),
            Choice(
                "One.",
                because="C's write finds three entries, and copies. Then C has moved away and D is gone, so P's write "
                        "finds P alone.",
            ),
            Choice("Two, one for each fork.", believes="M1", refuted_by=Schedule(
                COUNTED, "P C C D P", "Moves 1 and 2: forks, and there is one frame all the time.")),
            Choice("None: the entries are read-only.", believes="M3", refuted_by=Schedule(
                COUNTED, "P C C D P", "Move 3: a new frame.")),
        ),
        hints=HOW_MANY_HINTS,
        shows=Schedule(COUNTED, "P C C D P", "Move 3 copies, move 5 does not. Read the two reasons."),
        again=_how_many,
    ),
    Question(
        id="03-exit-zero",
        prompt="P is the only process. It has asked for memory and never written to it. It reads x, and finds zeros. "
               "Then it writes x. It was never forked, and its entry for x is the only one there is. What does the "
               "kernel do at the write?",
        setting="P: read x -> seen\nP: write x new",
        choices=(
            Choice("It lets P take the frame over: nobody else maps it.", believes="M14", refuted_by=Schedule(
                ZERO, "P P", "After move 1 look at the frame: it is Z, and it is not counted.")),
            Choice(
                "It gives P a new frame: the one that P has read belongs to nobody.",
                because="All the untouched memory of all processes shows the same page of zeros. `do_wp_page()` never "
                        "gives that one away, however few map it.",
            ),
            Choice("Nothing: the read has already brought a frame of P's own.", believes="M1", refuted_by=Schedule(
                ZERO, "P P", "Move 1 maps the zero page, read-only. Move 2 allocates.")),
            Choice("It sends SIGSEGV: the entry is read-only.", believes="M3", refuted_by=Schedule(
                ZERO, "P P", "Move 2: the store succeeds.")),
        ),
        hints=(
            "In which frame are the zeros that P has read?",
            "Could P write into that frame, without somebody else finding out?",
            "Not every page may be taken over. The twist had a list.",
        ),
        shows=Schedule(ZERO, "P P", "Move 1: frame Z, the page of zeros for everybody. Move 2: a frame of P's own."),
    ),
)  # fmt: skip

HINTS = {
    "03-ex-cards": (
        "A write faults only if its entry is read-only. What makes an entry of P's read-only?",
        "The first of the two writes should find somebody else at the frame, and the second one nobody. Who "
        "has to leave between?",
        "Three processes can be at the frame. All but one must have left it before the second write; a "
        "writer leaves by its copy.",
    ),
    "03-ex-bill": (
        "COW goes page by page. Make a row for each of a, b, c, and count the entries at each frame.",
        "Who has left page b when P writes to it? And how?",
        "`exit` takes C's entries away. It does not change P's.",
    ),
    "03-ex-inherits": (
        "D must be the last one at the frame when it writes. Who else is there at that time?",
        "P and C have to leave. Each of them can leave by a write, or by an exit that comes later in its column.",
        "Whoever writes last takes the frame over. All that counts before is that the two others have left it.",
    ),
}
