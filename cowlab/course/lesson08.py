"""The questions of lesson 08 (who does not care which page it gets)."""

from .bank import Choice, Question, Schedule

PERF = "perf-breaks-nothing"
NO_NOTIFIER = "no-notifier-wrong-side"
NEVER_WRONG = "userptr-read-only-never-wrong"
FUTEX = "futex-on-a-read-only-file-mapping"


def _looked_at_by(caller: str, condition: str) -> str:
    """The program of the leak, with another caller in the place of vmsplice."""
    columns = f"P           | C\nfork C      | {caller} x -> r\nwrite x new | munmap x"
    return f"litmus looked-at-by-{caller.replace('_', '-')}\ninit\n  P: x = old\n\n{columns}\n\n{condition}\n"


ALREADY_WRONG = """litmus right-when-asked
init
  P: x = old

P
fork C
perf x -> where

exists P.where is P.x
"""
GPU_WRITES = """litmus gpu-writes-into-the-frame
init
  P: x = old

P
userptr x -> gpu
store gpu drawn

exists P.x == drawn and P.gpu is P.x and P.x is init.x
"""
LET_GO = """litmus process-keeps-what-the-gpu-lets-go
init
  P: x = old
  P: y = old

P
userptr x -> a
userptr y -> b
put a
put b

exists P.x is init.x and P.y is init.y
"""

QUESTIONS = (
    Question(
        id="08-perf",
        prompt="perf samples a process and wants to know in which frame of memory the access fell. P and C share the "
        "frame. perf is told its number, and then P writes. What is wrong with the number that perf wrote down?",
        setting="P: fork C\nP: perf x -> before\nP: write x new",
        choices=(
            Choice("It was wrong at once: the page was shared, so no number could be right.", believes="M14",
                   refuted_by=Schedule(ALREADY_WRONG, "P P", "Move 2: perf is told the frame that P's entry points at. "
                                       "That C's entry points there too does not make it wrong.")),
            Choice("It now names a page that another process controls, so perf needs the fix like everybody else.",
                   believes="M16"),
            Choice("Nothing: since v5.8 each lookup first gives the process a page of its own.", believes="M12",
                   refuted_by=Schedule(PERF, "P C C", "Move 3, on v5.8: perf is told frame 0, and P and C both still "
                                       "map it.", kernel="v5.8")),
            Choice(
                "Nothing. It was P's frame when perf asked, and perf does nothing with the frame.",
                because="The number goes into a statistic. perf holds no reference, so there is nothing that could "
                "read or write the frame after P has left it.",
            ),
        ),
        hints=(
            "Two moments are to be kept apart: when perf asks, and when P writes.",
            "What does perf hold after move 2? Look at the right-hand column of the picture.",
            "Who could be harmed by an old number? Somebody who follows it. Does perf?",
        ),
        shows=Schedule("perf-answer-goes-stale", "P P P P C", "Move 2 is told frame 0. Move 3 moves P to frame 1. "
                       "Nobody holds anything.", kernel="v5.8"),
    ),
    Question(
        id="08-who-needs-it",
        prompt="The rules of v5.7. In place of `vmsplice` stand four other callers. With which one can C "
        "end up with what P writes later?",
        setting="P           | C\nfork C      | CALLER x -> r\nwrite x new | munmap x",
        choices=(
            Choice("`io_uring`: its pin lasts the longest.", believes="M5", refuted_by=Schedule(
                _looked_at_by("io_uring", "exists C.r == old and P.x is init.x"), "P C C P",
                "Move 2 asks for writing, and that has always broken COW. How long C then holds its own page "
                "harms nobody.")),
            Choice("`process_vm_readv`: it reads a page that might be broken the other way.", believes="M14",
                   refuted_by=Schedule(_looked_at_by("process_vm_readv", "exists C.r == old and P.x == new"),
                                       "P C C P", "Move 2 looks, reads and lets go. When P writes, nothing is held.")),
            Choice("`kvm`: the guest's page table goes on pointing at the frame.", believes="M17", refuted_by=Schedule(
                _looked_at_by("kvm", "exists C.r == revoked"), "P C C P",
                "Move 3: the notifier tells KVM that C's entry goes away, and the guest's entry goes too.")),
            Choice(
                "`odirect`: its I/O may still be under way.",
                because="It asks for reading, it holds the frame while the device works, and nobody tells it when C's "
                "entry changes. For as long as the I/O takes it is in the place of the pipe.",
            ),
        ),
        hints=(
            "The leak needs three things: a lookup that does not break COW, a hold that lasts, and nobody who says "
            "\"let go\". Strike out the callers that lack one.",
            "Who asks for writing breaks COW on every kernel. Who lets go at once holds nothing when P writes.",
            "Two are left. One of them is told by an mmu notifier when C unmaps.",
        ),
        shows=Schedule(_looked_at_by("odirect", "exists C.r == new"), "P C C P", "The four moves of lesson 05, with a "
                       "device in the place of the pipe."),
    ),
    Question(
        id="08-gpu",
        prompt="A driver puts one page of P's into the GPU's own table, by `userptr`. The tracepoint "
        "`gpu_mem_total` then says `size=4096`. How many frames more are in use than before?",
        choices=(
            Choice("One. The GPU has its own memory, and the data were copied there.", believes="M17"),
            Choice(
                "None. The GPU's table points at the frame that P's entry points at.",
                because="`userptr` makes a second table entry, not a second page. The tracepoint counts "
                "what the GPU can reach, and P can reach the same.",
            ),
            Choice("None at first; one as soon as the GPU writes, because the writer copies.", believes="M9",
                   refuted_by=Schedule(GPU_WRITES, "P P", "Move 2: the GPU writes into the frame itself. No page table "
                                       "of the processor is asked, so there is no fault and no copy.")),
        ),
        hints=(
            "The name says user pointer: the driver is given an address in P's memory.",
            "What does `get_user_pages()` give a driver: bytes, or frames?",
            "Count the boxes in the middle column of the picture before and after.",
        ),
        shows=Schedule("userptr-looks-up-again", "P P P C P", "Move 1: a GPU appears on the right, and no frame.",
                       kernel="v5.8"),
    ),
    Question(
        id="08-futex",
        prompt="A shared futex (one without `FUTEX_PRIVATE_FLAG`), in a read-only private file mapping. To wait on it "
        "the kernel only needs to know which page it is; that is the futex's name. It looks the page up for reading. "
        "What does `FUTEX_WAIT` do on v5.8?",
        setting="P: x = old file ro\n\nP: read x\nP: futex_wait x -> answer",
        choices=(
            Choice("It works as before. A lookup for reading changes nothing.", believes="M7", refuted_by=Schedule(
                FUTEX, "P P", "Move 2 looks the page up for reading, and P's entry moves to a copy.",
                kernel="v5.8", holds=False)),
            Choice("It works, and is safer than before.", believes="M13", refuted_by=Schedule(
                FUTEX, "P P", "Move 2: COW is broken first, then the kernel refuses the page that it has just made.",
                kernel="v5.8", holds=False)),
            Choice(
                "It fails with `EFAULT`.",
                because="The lookup breaks COW, so it comes back with an anonymous copy in place of the file's page. A "
                "read-only anonymous page is no name that others could find, and `get_futex_key()` refuses it.",
            ),
        ),
        hints=(
            "Does the commit ask what the caller wants the page for?",
            "The mapping is private, and the page itself is wanted. So what happens first?",
            "After COW is broken, is it still the file's page?",
        ),
        shows=Schedule(FUTEX, "P P", "Move 2, event by event.", kernel="v5.8", holds=False),
    ),
    Question(
        id="08-exit-wrong-side",
        prompt="v5.8. P and C share a page. i915 takes it from P for a read-only object by "
        "`__get_user_pages_fast()`, which breaks no COW. Then P writes, then C writes. What is in the GPU's table?",
        setting="P: fork C\nP: userptr x -> gpu ro\nP: write x new\nC: write x mine",
        choices=(
            Choice("`mine`. COW broke the other way, and the GPU is left on C's page.", believes="M14",
                   refuted_by=Schedule(NEVER_WRONG, "P P P C", "Move 3: P's entry changes, and the GPU is told.",
                                       kernel="v5.8")),
            Choice("`new`. v5.8 keeps a reference on the side of the one who took it.", believes="M12",
                   refuted_by=Schedule(NEVER_WRONG, "P P P C", "Move 2 takes the shared frame as it is, v5.8 or not.",
                                       kernel="v5.8")),
            Choice(
                "Nothing of this page. The driver has let it go.",
                because="To end on the wrong side, P's own entry must change. The mmu notifier tells the driver just "
                "that, and the driver looks up again when the object is next used.",
            ),
            Choice("`old`. The reference keeps the data.", believes="M6", refuted_by=Schedule(
                NO_NOTIFIER, "P P P C", "The same without a notifier: what is held after move 4 is `mine`.",
                kernel="v5.8")),
        ),
        hints=(
            "Which of the four moves changes P's entry?",
            "Who is told when P's entry changes?",
            "In the graph of the lesson, look for the word `revoked`.",
        ),
        shows=Schedule(NEVER_WRONG, "P P P C", "Move 3: P copies, and the GPU's entry is revoked.", kernel="v5.8"),
    ),
    Question(
        id="08-exit-memory",
        prompt="`gpu_mem_total` says `size=8192` for a process with two userptr objects of a page each. The driver "
        "lets both go. How much memory becomes free?",
        choices=(
            Choice("8192 bytes. That is what the GPU held.", believes="M17", refuted_by=Schedule(
                LET_GO, "P P P P", "After move 4 the GPU has let both go, and both frames are still P's.",
                kernel="v5.8")),
            Choice("4096 bytes: a page is freed when its refcount drops, and one of them was the GPU's.", believes="M5",
                   refuted_by=Schedule(LET_GO, "P P P P", "Move 4: refcount and mapcount of both frames are 1. A frame "
                                       "is free when the refcount is 0.", kernel="v5.8")),
            Choice(
                "None. The process still maps both pages.",
                because="The GPU had entries of its own that pointed at the process's frames. The frames stay with "
                "whoever still maps them.",
            ),
        ),
        hints=(
            "Whose frames were they before the driver came?",
            "A frame is freed when nobody maps it and nobody holds it.",
            "After both puts: who maps them?",
        ),
        shows=Schedule(LET_GO, "P P P P", "Move 4: two frames, both mapped by P.", kernel="v5.8"),
    ),
)  # fmt: skip
