"""What people believe about copy-on-write, and the execution that shows otherwise.

A belief without a ``refutation`` is not one that a single execution of the engine can settle (yet): its lesson brings
what does.
"""

from dataclasses import dataclass

from .bank import Schedule

__all__ = ["MISCONCEPTIONS", "Misconception"]


@dataclass(frozen=True)
class Misconception:
    """``lesson`` is the first one that takes it up. ``model_only``: why no recording of a real kernel has the
    refutation; the others are each in a recording, and real kernels agree."""

    id: str
    belief: str
    lesson: str
    refutation: Schedule | None = None
    model_only: str = ""


def _test(name: str, init: str, columns: str, condition: str) -> str:
    return f"litmus {name}\ninit\n  {init}\n\n{columns}\n\n{condition}\n"


FORK_ONLY = _test("fork-shares", "P: x = old", "P\nfork C", "exists C.x is P.x")
PARENT_WRITES = _test(
    "parent-writes-first", "P: x = old", "P\nfork C\nwrite x new", "exists C.x is init.x and P.x isnt init.x"
)
CHILD_LEAVES = _test(
    "child-leaves-first",
    "P: x = old",
    "P           | C\nfork C      | exit\nwrite x new |",
    "exists P.x is init.x and P.x == new",
)
SAME_FRAME = _test(
    "reference-follows-the-frame",
    "P: x = old",
    "P\nvmsplice x -> pipe\nwrite x new",
    "exists P.pipe == new and P.pipe is init.x",
)
CHILD_EXITS = _test(
    "child-exits-with-a-pipe", "P: x = old",
    "P           | C\nfork C      | vmsplice x -> pipe\nwrite x new | exit", "exists C.pipe == new",
)  # fmt: skip
NEVER_TORN = _test(
    "nothing-is-torn", "P: x = old",
    "P           | C\nfork C      | vmsplice x -> pipe\nwrite x new | munmap x", "exists C.pipe == new and P.x == new",
)  # fmt: skip
SHARED = _test(
    "shared-is-not-stable", "P: x = old shared", "P\nvmsplice x -> pipe\nwrite x new", "exists P.pipe == new"
)
BEFORE_FORK = _test(
    "reference-before-fork", "P: x = old",
    "P                  | C\nvmsplice x -> pipe | write x theirs\nfork C             |\nwrite x new        |",
    "exists P.pipe == theirs",
)  # fmt: skip
OWN_WRITE_LOST = _test(
    "one-process-loses-touch", "P: x = old",
    "P\nvmsplice x -> pipe\nmprotect x ro\nmprotect x rw\nwrite x new", "exists P.pipe == old and P.x == new",
)  # fmt: skip
PRIVATE_FILE = _test(
    "page-cache-page-is-left-alone", "P: x = old file",
    "P\nread x\nvmsplice x -> pipe\nwrite x new", "exists P.pipe == old",
)  # fmt: skip
ZEROS = _test("a-page-for-the-holder", "P: x untouched", "P\nvmsplice x -> pipe\nwrite x new", "exists P.pipe == new")
PERF_ASKS = _test(
    "perf-was-right-when-asked", "P: x = old", "P\nfork C\nperf x -> where\nwrite x new",
    "exists P.where is C.x and P.where isnt P.x",
)  # fmt: skip
USERPTR = _test("gpu-shares-the-frame", "P: x = old", "P\nuserptr x -> gpu\nwrite x new", "exists P.gpu is P.x")

MISCONCEPTIONS = {
    m.id: m
    for m in (
        Misconception("M1", "fork copies memory", "01-your-machine", Schedule(
            FORK_ONLY, "P", "After `fork`, both entries point at frame 0, and there is no frame 1.")),
        Misconception("M2", "the child gets the copy, the parent keeps the original", "02-fork-shares", Schedule(
            PARENT_WRITES, "P P", "Move 2: it is the parent's entry that moves to a new frame.")),
        Misconception("M3", "a read-only entry means read-only memory", "02-fork-shares", Schedule(
            PARENT_WRITES, "P P", "Before move 2 the entry is read-only. The store still succeeds: the fault handler "
            "makes the entry one that allows it.")),
        Misconception("M4", "a copy-on-write fault always copies", "03-the-write-fault", Schedule(
            CHILD_LEAVES, "P C P", "Move 3 is a copy-on-write fault, and no new frame appears.")),
        Misconception("M5", "mapcount and refcount are the same number", "04-three-counts", Schedule(
            NEVER_TORN, "P C C P", "After move 3 frame 0 has mapcount 1 and refcount 2. One of them is the pipe's.")),
        Misconception("M6", "a reference keeps my data (it keeps the frame)", "04-three-counts", Schedule(
            SAME_FRAME, "P P", "Move 2: the pipe still holds the same frame. What is in the frame has changed.")),
        Misconception("M7", "a read-only get_user_pages is harmless", "05-either-way", Schedule(
            CHILD_EXITS, "P C C P", "Move 2 only asks to read. After move 4 it holds what another process wrote.")),
        Misconception("M8", "get_user_pages returns a stable page", "05-either-way", Schedule(
            SHARED, "P P", "Move 2: there is one page for everybody, and the pipe holds that one.", kernel="v6.1")),
        Misconception("M9", "the writer always copies, so the direction is fixed", "05-either-way", Schedule(
            CHILD_LEAVES, "P C P", "Move 3: the parent writes, and it takes frame 0 over instead of copying it.")),
        Misconception("M10", "it takes threads or a race", "05-either-way", Schedule(
            CHILD_EXITS, "P C C P", "Four moves. Each has finished before the next one starts.")),
        Misconception("M11", "locking would fix it", "07-the-fix", Schedule(
            NEVER_TORN, "P C C P", "No two moves overlap, so there is nothing for a lock to keep apart.")),
        Misconception("M12", "5.8 fixed COW", "07-the-fix", Schedule(
            BEFORE_FORK, "P P P C", "The reference is older than the fork, so there was nothing to break when it was "
            "taken. After move 4 the parent's pipe holds the child's data.", kernel="v5.8")),
        Misconception("M13", "more checks are safer", "10-what-came-later", Schedule(
            OWN_WRITE_LOST, "P P P P", "Move 4: the process loses touch with its own page. On v5.8 it does not.",
            kernel="v5.10")),
        Misconception("M14", "every page of a COW mapping is ambiguous", "10-what-came-later", Schedule(
            PRIVATE_FILE, "P P P", "Move 3: a page-cache page is always copied, never taken over.")),
        Misconception("M15", "forcing a copy is pure cost", "09-the-price", Schedule(
            ZEROS, "P P", "Move 1 makes a page, where v5.7 takes the zero page. For that price the pipe shows P's "
            "write after move 2; on v5.7 it shows zeros for ever.", kernel="v5.8")),
        Misconception("M16", "perf needs the fix", "08-who-does-not-care", Schedule(
            PERF_ASKS, "P P P", "Move 2 is told the frame that P maps just then, and takes nothing along. After move 3 "
            "the number is old, and there is no reference through which anything could leak."),
            model_only="nothing records what perf was told; S7 of the probe has its lookup, put at once"),
        Misconception("M17", "the GPU has its own memory", "08-who-does-not-care", Schedule(
            USERPTR, "P P", "The GPU's own table points at the frame that the process writes."),
            model_only="nothing records the page table of a GPU"),
        Misconception("M18", "a version number is a behaviour", "10-what-came-later", Schedule(
            "thp-takeover-after-munmap", "P C C P", "Move 4: a huge page leaks on 5.10.223, which is newer than 5.8. "
            "On 5.4.195, which is older, it does not: that one carries the rules of v5.8.", kernel="5.10.223")),
        Misconception("M19", "a model is right or wrong", "11-museum", Schedule(
            "pressure-alone-never-leaks", "P C kswapd P", "Move 4: C's swap entry counts, so P copies, as 5.4.0 did. A "
            "model in which reclaim only unmaps says otherwise, and is good for other questions.", holds=False)),
        Misconception("M20", "a security bug means memory corruption", "05-either-way", Schedule(
            NEVER_TORN, "P C C P", "The parent's page holds exactly what the parent wrote. Somebody else can "
                                   "read it.")),
    )
}  # fmt: skip
