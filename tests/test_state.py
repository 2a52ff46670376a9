"""States: counts are read off, freed frames are junk, nothing can be changed in place."""

from dataclasses import FrozenInstanceError, fields

import pytest
from machine import ALL, check, play

from cowlab import kernel
from cowlab.mm import FREED, PINNED, ZERO_PAGE, Action, Frame, Mm, Proc, Pte, Ref, State, Vma, boot, replace, step

COUNTS = [  # facts/kernel.md 1.1: +1 a mapping, +1 the page cache, +1 a FOLL_GET, +1024 a FOLL_PIN
    ("P: x = 1", "P: read x", "P.x=A A(1,1)"),
    ("P: x = 1", "P: fork C; C: fork D", "; P.x=A D.x=A A(3,3)"),
    ("P: x = 1", "P: gup_fast x -> a; P: gup_fast x -> b", "P.x=A A(2,1); A(3,1)"),
    ("P: x = 1", "P: pin x -> a; P: pin x -> b; P: gup_fast x -> c; P: put a",
        "P.x=A A(1025,1); A(2049,1); A(2050,1); A(1026,1)"),
    ("P: x = 1 shared", "P: read x; P: fork C; C: read x", "P.x=A A(2,1); A(2,1); A(3,2)"),
    ("P: x = 1 file", "P: read x; P: gup_fast_only x -> r; P: munmap x", "P.x=A A(2,1); A(3,1); P.r@A A(2,0)"),
    ("P: x = 1 file", "P: read x; P: write x 2", "P.x=A A(2,1); A(1,0)"),
    ("P: x = 1", "P: userptr x -> g; P: munmap x", "P.x=A; P.x=none P.g==revoked"),
]  # fmt: skip


@pytest.mark.parametrize(("init", "steps", "cells"), COUNTS)
def test_counts(init, steps, cells):
    """Every holder counts once, and GUP never changes the map count."""
    for name in ALL.split():
        check(play(name, init, steps), cells)


FREES = [  # (steps, is the first frame of x freed after them?)
    ("P: munmap x", True),
    ("P: exit", True),
    ("P: exec", True),
    ("P: madvise x dontneed", True),
    ("P: fork C; P: munmap x", False),
    ("P: fork C; P: munmap x; C: exec", True),
    ("P: gup x -> r; P: munmap x", False),
    ("P: gup x -> r; P: munmap x; P: put r", True),
    ("P: pin x -> r; P: exit", False),
    ("P: perf x -> n; P: munmap x", True),
    ("P: userptr x -> g; P: munmap x", True),
]


@pytest.mark.parametrize(("steps", "freed"), FREES)
def test_a_frame_is_freed_with_its_last_holder(steps, freed):
    """... and is junk from then on, which nothing reads by accident."""
    for name in ALL.split():
        seen = play(name, "P: x = secret", steps)
        assert (FREED in seen[-1].state.frames) == freed
        assert any(f.value == "secret" for f in seen[-1].state.frames) != freed


def test_a_number_is_never_handed_out_twice():
    """A frame that is freed and needed again is a new one, so that `is` cannot be fooled."""
    seen = play("v6.1", "P: x = a", "P: perf x -> n; P: madvise x dontneed; P: write x a; P: perf x -> m")
    (first, *_), last = seen[1:], seen[-1].state
    assert {r[2] for r in last.procs[0].regs} == {first.state.at("P", 0)[1].frame, last.at("P", 0)[1].frame}
    assert len({r[2] for r in last.procs[0].regs}) == 2


def test_the_zero_page_stays():
    """It is frame 0, it reads zero, and no step frees it or writes it."""
    for name in ALL.split():
        for moment in play(name, "P: x untouched", "P: read x; P: gup x -> r; P: store r 1; P: munmap x; P: put r"):
            assert moment.state.frames[ZERO_PAGE].value == "zero"


def test_states_are_frozen():
    """Assignment fails on every class, equal states hash alike, and a name that is no field is refused."""
    s = boot(kernel("v5.7"), "P", {"x": ("old", frozenset())})
    for thing in (
        s,
        s.procs[0],
        s.procs[0].mm,
        *s.procs[0].mm.vmas,
        *s.procs[0].mm.ptes,
        s.frames[1],
        Ref("P", "r", 0, 1),
    ):
        with pytest.raises((FrozenInstanceError, AttributeError)):
            setattr(thing, fields(thing)[0].name, None)
        assert not hasattr(thing, "__dict__"), "slots"
        assert replace(thing) == thing
        assert hash(replace(thing)) == hash(thing)
        with pytest.raises((AssertionError, TypeError)):
            replace(thing, colour="red")
    assert s == boot(kernel("v5.7"), "P", {"x": ("old", frozenset())})


def test_counts_are_derived():
    """No count is a field of anything: a reference put in by hand counts at once."""
    s = step(boot(kernel("v5.7"), "P", {"x": ("v", frozenset())}), kernel("v5.7"), Action("P", "fork", arg="C")).state
    s = replace(s, refs=(Ref("P", "r", 0, 1, pin=True),))
    assert (s.mapcount(1), s.refcount(1), s.pins(1), s.refcount(1, bias=1)) == (2, 2 + PINNED, 1, 3)
    assert not {"mapcount", "refcount", "pins", "count"} & {
        f.name for c in (Frame, Pte, Vma, Mm, Proc, Ref, State) for f in fields(c)
    }
