"""The questions of lesson 04 (mapcount, refcount, pins)."""

from .bank import Choice, Question, Schedule

HELD = """litmus held-after-munmap
init
  P: x = old

P      | C
fork C | vmsplice x -> pipe
       | munmap x

exists C.pipe == old and P.x is init.x
"""
ALONE = """litmus held-by-nobody-who-maps
init
  P: x = old

P
vmsplice x -> pipe
munmap x

exists P.pipe == old
"""
CHANGED = """litmus the-frame-not-the-data
init
  P: x = old

P
vmsplice x -> pipe
write x new

exists P.pipe == new
"""
PIN = "litmus pin-alone\ninit\n  P: x = old\n\nP\npin x -> card\n\nexists P.card is P.x\n"
PIN_AND_PIPE = """litmus pin-and-pipe
init
  P: x = old

P
pin x -> card
vmsplice x -> pipe

exists P.card is P.pipe
"""
FILE = """litmus one-mapper-two-references
init
  P: x = old file

P
read x -> seen

exists P.seen == old and P.x == old
"""
PUT = """litmus put-and-gone
init
  P: x = old

P
vmsplice x -> pipe
munmap x
put pipe

exists P.x == unmapped
"""

QUESTIONS = (
    Question(
        id="04-after-lookup",
        prompt="P has forked C, so two entries point at frame 0: mapcount 2, refcount 2. Now C puts the page into a "
               "pipe, and then unmaps it. What are the two numbers after each of the two moves?",
        setting="P: fork C             mapcount 2   refcount 2\nC: vmsplice x -> pipe          ?            ?\n"
                "C: munmap x                    ?            ?",
        choices=(
            Choice("3 and 3, then 2 and 2. One user more, one user less.", believes="M5", refuted_by=Schedule(
                HELD, "P C C", "After move 2 the two numbers are not equal any more.")),
            Choice(
                "2 and 3, then 1 and 2.",
                because="The pipe holds the frame, but has no page table that could point at it. So the lookup moves "
                        "the refcount only, and `munmap` takes one entry away, which counts in both.",
            ),
            Choice("2 and 3, then 1 and 1. What C has unmapped, C no longer holds.", believes="M5", refuted_by=Schedule(
                HELD, "P C C", "After move 3 the pipe is still there. Who counts it?")),
            Choice("2 and 2, then 1 and 1. `vmsplice()` only reads; it changes nothing.", believes="M7",
                   refuted_by=Schedule(HELD, "P C C", "Move 2: one number grows.")),
        ),
        hints=(
            "mapcount counts entries in page tables. Does a pipe have a page table?",
            "refcount counts everything that would be hurt if the frame were freed.",
            "Each entry counts in both numbers. A pipe counts in one.",
        ),
        shows=Schedule(HELD, "P C C", "Move 2 changes one number, move 3 changes both."),
    ),
    Question(
        id="04-last-entry",
        prompt="P puts its page into a pipe and then unmaps it. There is no other process. Nobody maps the frame any "
               "more. What can still be read from the pipe?",
        setting="P: vmsplice x -> pipe\nP: munmap x",
        choices=(
            Choice("Junk: when the last entry goes, the frame is freed.", believes="M5", refuted_by=Schedule(
                ALONE, "P P", "After move 2: mapcount 0, and the frame is not junk.")),
            Choice("Nothing: `munmap()` empties the pipe too.", believes="M5", refuted_by=Schedule(
                ALONE, "P P", "Move 2: the pipe keeps its line to the frame.")),
            Choice(
                "What P had put into it.",
                because="A frame is freed when its refcount gets to zero. The pipe is still counted there.",
            ),
        ),
        hints=(
            "Which number decides when a frame is freed?",
            "mapcount 0 means: no page table points here. Is that all there is?",
            "If the frame were freed, it would be given to somebody else. What would the pipe show then?",
        ),
        shows=Schedule(PUT, "P P P", "Move 2: mapcount 0, refcount 1. Move 3 puts the last reference, and the frame "
                       "is freed."),
    ),
    Question(
        id="04-which-number",
        prompt="A page of a file, mapped private. P has read it once, and nobody else maps it. No pipe, no device, "
               "no other process. What are its numbers?",
        setting="init   P: x = old file\nP: read x -> seen",
        choices=(
            Choice("mapcount 1, refcount 1: P is the only one who has anything to do with it.", believes="M5",
                   refuted_by=Schedule(FILE, "P", "After move 1 there is a holder that is not a process.")),
            Choice(
                "mapcount 1, refcount 2.",
                because="The page cache holds the page too, so that the next reader of the file finds it there. The "
                        "kernel itself can be a holder.",
            ),
            Choice("mapcount 0, refcount 1: the page is the file's, and P has a copy of it.", believes="M1",
                   refuted_by=Schedule(FILE, "P", "After move 1 P's entry points at the very page of the file.")),
        ),
        hints=(
            "Where was the page before P read it?",
            "If P unmaps it, and another process reads the file: is the disk needed again?",
            "Somebody remembers the page of the file, without mapping it.",
        ),
        shows=Schedule(FILE, "P", "Move 1: P maps it, and the page cache holds it."),
    ),
    Question(
        id="04-exit-data",
        prompt="P puts its page into a pipe. Then P writes `new` into the page. Nobody has forked. What can be read "
               "from the pipe afterwards?",
        setting="P: vmsplice x -> pipe\nP: write x new",
        choices=(
            Choice("`old`: the reference protects the data that were there when it was taken.", believes="M6",
                   refuted_by=Schedule(CHANGED, "P P", "Move 2: whose frame does P write into?")),
            Choice(
                "`new`: the pipe holds the frame, and P has written into that frame.",
                because="A reference keeps the frame from being freed. It says nothing about what is in it.",
            ),
            Choice("`old`: a page that somebody holds is copied when it is written.", believes="M5",
                   refuted_by=Schedule(CHANGED, "P P", "Move 2: refcount 2, and no copy.")),
            Choice("`old`: `get_user_pages()` gives a page that stands still.", believes="M8",
                   refuted_by=Schedule(CHANGED, "P P", "Move 2: the page is the same one, and it has changed.")),
        ),
        hints=(
            "Is P's entry read-only when P writes?",
            "If there is no fault, nobody is asked.",
            "There is one frame in this story. Who can see it?",
        ),
        shows=Schedule(CHANGED, "P P", "Move 2: no fault, no copy. The pipe and P share the frame."),
    ),
    Question(
        id="04-exit-numbers",
        prompt="You look at a frame of anonymous memory, on a kernel with the rules of v5.7, without swap: mapcount 1, "
               "refcount 1026, pins 1. Which story fits?",
        choices=(
            Choice("1026 processes share it, and one of them has pinned it.", believes="M5", refuted_by=Schedule(
                PIN, "P",
                "Move 1: one process, one pin. Look at the refcount.")),
            Choice("One process maps it, a device has pinned it, and a pipe holds it.",
                   because="1 for the entry, 1024 for the pin, 1 for the pipe."),
            Choice("One process maps it, and a device has pinned it. The refcount is 1024 and 2, because both sides "
                   "count twice.", believes="M5", refuted_by=Schedule(
                PIN, "P",
                "Move 1: an entry and a pin. That makes 1025.")),
        ),
        hints=(
            "Take the biggest part away first. What adds 1024?",
            "1026 - 1024 = 2. One of the two is the entry that you know of.",
            "Somebody holds the frame who neither maps nor pins it.",
        ),
        shows=Schedule(
            PIN_AND_PIPE, "P P", "Move 2: 1 for the entry, 1024 for the pin, 1 for the pipe."),
    ),
)  # fmt: skip

HINTS = {
    "04-ex-table": (
        "Two questions after each move: who maps frame 0? Who holds it without mapping it?",
        "Each entry counts in mapcount and in refcount. A pipe counts in the refcount, 1. A pin counts "
        "there with 1024, and once in pins.",
        "A write to a frame that others map moves the writer away: one entry less. A write by the only one "
        "who maps it moves nothing.",
    ),
    "04-ex-numbers": (
        "Take the refcount apart: entries, pins of 1024, and what is left are plain references.",
        "A process can take a reference and then let go of its entry; the reference stays.",
        "Whose pipe and whose card do you need? A fork gives you a second of each, and an entry that you may not want.",
    ),
    "04-ex-leaves": (
        "Two questions: is the frame alive in the end? And is it the one that P wrote into?",
        "At P's write, how many entries point at frame 0? So what does P do?",
        "A frame lives as long as its refcount is above 0, whoever maps it.",
    ),
}
