"""What a seed draws for exercises 05 to 08, and the checks of its tables. (01 to 04: :mod:`.seeds`; 09 to 12:
:mod:`.later`.)

Of one question all seeds are equally hard: the shortest solutions have the same length, and their numbers are at most
a factor of two apart (:mod:`.search` counts them, and a test holds this for all that can be drawn). Seed 0 draws the
first of each list, which is what stands in the repository.

>>> avoid(0), avoid(1) == avoid(1)
(('munmap',), True)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product, zip_longest
from typing import Any

from ..course.check import Advice, listed
from ..litmus import Test, judge, load, parse
from ..mm import CALLERS, kernel, replace
from ..mm.callers import MIRRORS, flags_of
from ..mm.gup import FOLL_WRITE
from .rubric import check_table, row
from .seeds import _rng

__all__ = [
    "COMES_BACK", "Claim", "Wanted", "avoid", "check_callers", "check_lookups", "coherence", "isolation", "left_out",
    "longer", "lookups", "six", "verdicts",
]  # fmt: skip


def _pick(seed: int, options: Sequence) -> Any:
    rng = _rng(seed)
    return rng.choice(options) if seed else options[0]


def _written(name: str, condition: str, x: str = "old", **columns: Sequence[str]) -> Test:
    rows = [tuple(columns), *zip_longest(*columns.values(), fillvalue="")]
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" | ".join(f"{cell:<{n}}" for cell, n in zip(row, wide, strict=True)).rstrip() for row in rows]
    return parse("\n".join([f"litmus {name}", "init", f"  P: x = {x}", "", *lines, "", condition, ""]))


# Exercise 05: a shortest leak of a program of three processes; a leak without some steps


SPLICE = "vmsplice x -> pipe"
LONGER = (  # who holds, and the programs of P, C and D
    ("C", ("fork C", "write x new", "read x"), (SPLICE, "fork D", "munmap x", "exit"),
     ("read x", "write x own", "exit")),
    ("D", ("read x", "fork C", "madvise x dontneed", "read x"), ("fork D", "write x new", "read x", "read x"),
     (SPLICE, "write x own", "exit")),
    ("C", ("read x", "fork C", "munmap x", "exit"), ("fork D", SPLICE, "munmap x", "exit"),
     ("write x new", "read x", "read x")),
    ("C", ("read x", "fork C", "write x new", "read x"), ("fork D", SPLICE, "write x own", "read x"),
     ("munmap x", "exit")),
    ("D", ("fork C", "write x new", "read x"), ("read x", "fork D", "write x other", "exit"),
     (SPLICE, "write x own", "read x")),
    ("D", ("fork C", "fork D", "write x other", "read x"), ("write x new",),
     ("read x", SPLICE, "write x own", "read x")),
    ("C", ("read x", "fork C", "write x other", "exit"), ("fork D", SPLICE, "munmap x"), ("write x new", "read x")),
    ("C", ("fork C", "write x new", "read x"), (SPLICE, "fork D", "write x own", "read x"),
     ("read x", "madvise x dontneed", "exit")),
)  # fmt: skip
AVOIDED = (
    ("munmap",), ("munmap", "exit"), ("munmap", "exec"), ("munmap", "madvise"), ("exit", "vmsplice"),
    ("exec", "vmsplice"), ("madvise", "vmsplice"),
)  # fmt: skip


def longer(seed: int = 0) -> Test:
    """A program of three processes; 7 moves are the fewest after which a pipe holds new. The children have names of
    the seed's own, so that a neighbour's schedule is none here."""
    rng = _rng(seed)
    holder, *programs = rng.choice(LONGER) if seed else LONGER[0]
    names = dict(zip("PCD", ("P", *(rng.sample("ABCDEFGH", 2) if seed else "CD")), strict=True))
    told = [[f"fork {names[s[-1]]}" if s.startswith("fork ") else s for s in program] for program in programs]
    return _written("longer", f"exists {names[holder]}.pipe == new", **dict(zip(names.values(), told, strict=True)))


def avoid(seed: int = 0) -> tuple[str, ...]:
    """Steps that are not to occur in a leak of one's own."""
    return _pick(seed, AVOIDED)


# Exercise 06: what should never happen


WORDS = (("new", "mine"), ("one", "two"), ("red", "blue"), ("salt", "sugar"), ("day", "night"))
PIPES = (  # programs of P and C; p and c are what they write
    (("fork C", SPLICE, "write x {p}"), (SPLICE, "write x {c}", "munmap x")),
    (("fork C", SPLICE, "write x {p}", "munmap x"), (SPLICE, "write x {c}")),
    (("fork C", SPLICE, "write x {p}"), (SPLICE, "write x {c}", "exec")),
    (("fork C", "write x {p}", SPLICE), (SPLICE, "write x {c}", "munmap x")),
    (("fork C", SPLICE, "write x {p}", "munmap x"), ("write x {c}", SPLICE)),
    (("fork C", SPLICE, "write x {p}"), (SPLICE, "write x {c}", "madvise x dontneed")),
    (("fork C", SPLICE, "write x {p}", "exec"), (SPLICE, "write x {c}")),
)
PINS = (  # who pins, and the programs of P and C
    ("C", ("fork C", "write x {p}"), ("pin x -> dma", "write x {c}")),
    ("P", ("fork C", "pin x -> dma", "write x {p}"), ("write x {c}",)),
    ("P", ("fork C", "pin x -> dma", "write x {p}"), ("read x", "write x {c}")),
    ("C", ("fork C", "read x", "write x {p}"), ("pin x -> dma", "write x {c}")),
    ("P", ("fork C", "pin x -> dma longterm", "write x {p}"), ("write x {c}",)),
    ("C", ("fork C", "write x {p}"), ("pin x -> dma longterm", "write x {c}")),
)


@dataclass(frozen=True)
class Claim:
    """What an invariant is asked about: it holds at every end of ``test`` on the good kernels, and not on the bad
    ones. ``believes``: of a misconception the invariant that follows from it. The fields are the arguments of
    :func:`.rubric.check_invariant`."""

    test: Test
    good: tuple[str, ...]
    bad: tuple[str, ...]
    believes: dict[str, str]

    def __repr__(self) -> str:
        text = self.test.text.rpartition("\n\n")[0].strip()  # without the condition: that is what is asked
        said = f"true at every end on {listed([*self.good], 'and')}; false at some end on {listed([*self.bad], 'and')}"
        return f"{text}\n\nthe invariant is {said}"


def isolation(seed: int = 0) -> Claim:
    """Two pipes, two writers, and memory pressure: whose values may stand in whose pipe?"""
    (mine, its), (p, c) = _pick(seed, [*product(PIPES, WORDS)])
    programs = {"P": [s.format(p=p, c=c) for s in mine], "C": [s.format(p=p, c=c) for s in its]}
    test = _written("two-pipes", f"exists C.pipe == {p}", **programs, kswapd=["reclaim x"])
    return Claim(test, ("v5.8", "v5.18", "v6.1"), ("v5.7", "v5.9"),
                 {"M6": "C.pipe == old and P.pipe == old", "M8": f"C.pipe == {c} and P.pipe == {p}"})  # fmt: skip


def coherence(seed: int = 0) -> Claim:
    """A pin for reading, and two writers: does the pin show what its own process sees?"""
    (who, mine, its), (p, c) = _pick(seed, [*product(PINS, WORDS)])
    programs = {"P": [s.format(p=p, c=c) for s in mine], "C": [s.format(p=p, c=c) for s in its]}
    test = _written("a-pin-for-reading", f"exists {who}.dma == {c}", **programs)
    return Claim(test, ("v5.8", "v5.19", "v6.12"), ("v5.7", "v5.9", "v5.18"),
                 {"M7": f"{who}.dma != {p if who == 'C' else c}", "M6": f"{who}.dma == old"})  # fmt: skip


# Exercise 07: verdicts to be brought about, and half a backport


COMES_BACK = _written("a-lookup-comes-back", "forall C.pipe == old", "old ro", P=["fork C"], C=[SPLICE])
_FIELDS = ("force_cow_break", "fast_walk", "follow_write")
_ROWS = (  # what the wanted verdicts are computed from; each is three changes from v5.7, and the first one is v5.8's
    ("break_cow", "only_writable", "after_cow"), ("break_cow_by_flag", "only_writable", "after_cow"),
    ("break_cow_by_flag", "only_writable", "after_cow_or_zero"),
    ("break_cow_by_flag", "only_writable_if_asked", "after_cow"),
    ("break_cow_by_flag", "only_writable_if_asked", "after_cow_or_zero"),
)  # fmt: skip
_NOTICED = (
    "child-reads-parent-secret", "read-only-mapping-leaks-too", "pinned-page-taken-over", "zero-page-stays-shared",
    "futex-on-a-read-only-file-mapping", "monitor-waits-for-itself", "dirty-cow",
)  # fmt: skip


class Wanted(dict):
    """Test -> the verdict that is wanted; displays as a table."""

    def __repr__(self) -> str:
        wide = max(map(len, self))
        return "\n".join(f"{name:<{wide}}  {verdict}" for name, verdict in self.items())


def verdicts(seed: int = 0) -> Wanted:
    """Verdicts that a row three changes away from v5.7 has: for seed 0 those of v5.8, else of a kernel that was never
    released. ``a-lookup-comes-back`` is COMES_BACK; the other tests are of the catalogue."""
    k = row("v5.7", dict(zip(_FIELDS, _pick(seed, _ROWS), strict=True)))
    tests = {name: load(name) for name in _NOTICED} | {COMES_BACK.name: COMES_BACK}
    return Wanted({name: judge(test, k).verdict for name, test in tests.items()})


LOOKUP = "litmus mine\ninit\n  P: x = old\n\nP | C\nfork C | {}\nwrite x new | munmap x\n\nexists C.r == new\n"
EXEMPT = "gup_fast_only x -> r"


def lookups(seed: int = 0) -> tuple[str, ...]:
    """Five lookups of C's page: one that tries the lockless walk first, two by the slow path alone, one for writing,
    and the one that never falls back."""
    rng = _rng(seed)
    if not seed:
        return "gup x -> r", "vmsplice x -> r", EXEMPT, "io_uring x -> r", "pin x -> r slow"
    fast = rng.choice(("vmsplice x -> r", "gup_fast x -> r", "pin x -> r", "odirect x -> r"))
    writes = rng.choice(("io_uring x -> r", "rdma x -> r"))
    return tuple(rng.sample((fast, "gup x -> r", "pin x -> r slow", writes, EXEMPT), 5))


def check_lookups(rows: Sequence[Sequence[str]], five: Sequence[str]) -> Advice:
    """Of each lookup two words, ``leaks`` or ``safe``: on v5.7 with two of the three changes of v5.8, without
    ``fast_walk``, and on v5.8. Each row that is right counts the same."""
    new = kernel("v5.8")
    half = replace(kernel("v5.7"), force_cow_break=new.force_cow_break, follow_write=new.follow_write)
    expected = [
        ["leaks" if judge(parse(LOOKUP.format(step)), k).positive else "safe" for k in (half, new)] for step in five
    ]
    exempt = [*five].index(EXEMPT)
    beliefs = {
        "M12": [[row[0], "safe"] for row in expected], "M7": [["leaks", "leaks"]] * 5, "M13": [["safe", "safe"]] * 5
    }  # fmt: skip
    believes = {m: [r if n == exempt or m == "M13" else ["", ""] for n, r in enumerate(table)]
                for m, table in beliefs.items() if table[exempt] != expected[exempt]}  # fmt: skip
    return check_table(rows, expected, columns=("on the half backport", "on v5.8"), believes=believes)


# Exercise 08: six callers, and what the fix left out


OLDER = """litmus older-reference
init
  P: x = old

P           | C
{0} x -> r  | write x theirs
fork C      |
write x new |

exists P.r == theirs
"""
LEFT_OUT = (("munmap", "vmsplice"), ("exec", "munmap", "vmsplice"), ("exit", "munmap", "vmsplice"),
            ("madvise", "munmap", "vmsplice"))  # fmt: skip


def six(seed: int = 0) -> tuple[str, ...]:
    """Six callers: one that holds to read, one that holds to write, two that are told, one that lets go, and perf."""
    rng = _rng(seed)
    if not seed:
        return "odirect", "perf", "rdma", "kvm", "process_vm_readv", "userptr"
    held = rng.choice(("odirect", "vmsplice", "gup", "gup_fast", "gup_fast_only"))
    chosen = (held, rng.choice(("rdma", "io_uring")), rng.choice(("process_vm_readv", "ptrace", "uprobe")))
    return tuple(rng.sample((*chosen, "kvm", "userptr", "perf"), 6))


def left_out(seed: int = 0) -> tuple[str, ...]:
    """Steps that are not to occur in a leak of v5.8."""
    return _pick(seed, LEFT_OUT)


def check_callers(rows: Sequence[Sequence[str]], names: Sequence[str]) -> Advice:
    """Of each caller what it asks for, what becomes of the page, and whether it leaks in OLDER on v5.8. Each row that
    is right counts the same."""
    expected = _callers(names, OLDER, "v5.8")
    believes = {
        "M12": [[asks, page, "no"] if leak == "yes" else None for asks, page, leak in expected],
        "M16": [[asks, "held", "yes"] if asks == "address" else None for asks, page, leak in expected],
        "M17": [[asks, page, "yes"] if page == "told" else None for asks, page, leak in expected],
    }
    believes = {m: [row or ["", "", ""] for row in table] for m, table in believes.items()}
    return check_table(rows, expected, columns=("asks", "page", "leak"), believes=believes)


def _callers(names: Sequence[str], program: str, on: str) -> list[list[str]]:
    """What is true of some callers on one kernel, a row each: what it asks for (``writes``, ``address`` or ``data``),
    what becomes of the page (``told``, ``let go`` or ``held``), and whether the condition of ``program``, a litmus test
    with {0} for the caller, can hold (``yes`` or ``no``)."""
    k, found = kernel(on), []
    for op in names:
        caller = CALLERS[op]
        asks = "writes" if flags_of(k, op) & FOLL_WRITE else "address" if caller.lasts == "a moment" else "data"
        keeps = "told" if op in MIRRORS else "let go" if caller.lasts in ("a moment", "one call") else "held"
        found.append([asks, keeps, "yes" if judge(parse(program.format(op)), k).positive else "no"])
    return found
