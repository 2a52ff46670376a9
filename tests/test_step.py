"""Steps: what each does to page tables, references and registers, in every generation alike. design/litmus.md 2."""

import re

import pytest
from machine import ALL, check, play

from cowlab import KERNELS, kernel
from cowlab.litmus.parse import parse_steps
from cowlab.mm import GRAMMAR, KERNEL_THREADS, Action, boot, step

STEPS = [  # (init, steps, cells): the same on every kernel
    ("P: x = 1", "P: read x -> a", "P.a==1 ret=1"),
    ("P: x untouched", "P: read x -> a", "P.a==zero P.x=Z"),
    ("P: x = 1", "P: read x -> a; P: write x 2; P: read x -> a", "P.a==1; P.a==1; P.a==2"),
    ("P: x = 1", "P: write x 2", "P.x==2 P.x=A:WD"),
    ("P: x = 1", "P: munmap x; P: munmap x", "P.x==unmapped P.x=none; P.x==unmapped P.x=none"),
    ("P: x = 1", "P: munmap x; P: mprotect x ro; P: madvise x dontneed", "; ret=ENOMEM; ret=ENOMEM"),
    ("P: x = 1", "P: munmap x; P: read x -> a", "; P.fault==SIGSEGV ret=SIGSEGV"),
    ("P: x = 1", "P: mprotect x ro; P: read x -> a; P: write x 2", "P.x=A:R; P.a==1; P.fault==SIGSEGV P.a==1"),
    ("P: x = 1", "P: mprotect x ro; P: mprotect x rw; P: write x 2", "P.x=A:R; P.x=A; P.x=A:W P.x==2"),
    ("P: x untouched", "P: mprotect x ro; P: read x; P: write x 2", "P.x=none; P.x=Z; P.fault==SIGSEGV"),
    ("P: x = 1 shared", "P: mprotect x ro; P: mprotect x rw", "P.x=A:R; P.x=A:W"),
    ("P: x = 1", "P: madvise x dontneed; P: read x", "P.x=none P.x==zero; P.x=Z"),
    ("P: x = 1 file", "P: write x 2; P: madvise x dontneed; P: read x", "P.x=A P.x==2; P.x=none P.x==1; P.x=B P.x==1"),
    ("P: x = 1 shared", "P: write x 2; P: madvise x dontneed; P: read x", "P.x=A; P.x=none P.x==2; P.x=A P.x==2"),
    ("P: x = 1", "P: madvise x dontfork; P: write x 2", "P.x=A:W P.x==1; P.x=A:W"),
    ("P: x = 1", "P: fork C; C: write x 2", "C.x==1; C.x==2 P.x==1"),
    ("P: x = 1 shared", "P: fork C; C: write x 2", "C.x==1; C.x==2 P.x==2"),
    ("P: x = 1", "P: gup x -> r; P: exec; P: load r -> a; P: store r 2; P: put r",
     "P.r@A; P.x==unmapped P.r==1 A(1,0); P.a==1; P.r==2 A(1,0); P.a==1"),
    ("P: x = 1", "P: gup x -> r; P: store r 2; P: load r", "P.r@A; P.x==2 P.r==2; ret=2"),
    ("P: x = 1", "P: gup x -> r; P: put r; P: put r; P: load r -> a; P: store r 2",
        "P.x=A; A(1,1); A(1,1); A(1,1); P.x==1"),
    ("P: x = 1", "P: munmap x; P: gup x -> r; P: put r; P: load r -> a; P: store r 2",
     "; P.r==EFAULT; P.r==EFAULT; P.r==EFAULT; P.r==EFAULT"),
    ("P: x untouched", "P: gup_fast_only x -> r; P: put r", "P.r==nopage; P.r==nopage"),
    ("P: x = 1", "P: fork C; C: gup_fast_only x -> r; C: exit; P: read x",
        "P.x=A A(2,2); A(3,2); A(2,1) C.r==1; C.r==1"),
    ("P: x = 1 ro", "P: fork C; C: gup_fast_only x -> r; C: write x 2", "P.x=A; C.r@A; C.fault==SIGSEGV C.r@A A(2,1)"),
]  # fmt: skip


@pytest.mark.parametrize(("init", "steps", "cells"), STEPS, ids=[f"{s[0]} | {s[1]}" for s in STEPS])
def test_step(init, steps, cells):
    """One step, one effect; and a step that the kernel refuses changes nothing else."""
    for name in ALL.split():
        check(play(name, init, steps), cells)


BOOTS = [  # (init, what the machine looks like before the first step): design/litmus.md 1
    ("P: x = old", "P.x=A:WD A(1,1) P.x==old"),
    ("P: x = old ro", "P.x=A:R A(1,1) P.x==old"),
    ("P: x = old shared", "P.x=A:WD A(2,1) P.x==old"),
    ("P: x = old shared ro", "P.x=A:R A(2,1) P.x==old"),
    ("P: x = old file", "P.x=none P.x==old"),
    ("P: x = old file shared", "P.x=none P.x==old"),
    ("P: x = old file ro", "P.x=none P.x==old"),
    ("P: x untouched", "P.x=none P.x==zero"),
    ("P: x untouched shared", "P.x=none P.x==zero"),
    ("P: x = old; P: y = 7", "P.x=A P.y=B P.y==7"),
]


@pytest.mark.parametrize(("init", "cell"), BOOTS)
def test_boot(init, cell):
    """Each attribute of `init`, as `madvise x dontfork` finds it: that step looks at nothing and touches no entry."""
    for name in ALL.split():
        check(play(name, init, "P: madvise x dontfork"), cell)


TEXTS = [
    "P: read x", "P: read x -> a", "P: write x new", "P: fork C", "P: exec", "P: exit", "P: munmap x",
        "P: mprotect x ro",
    "P: madvise x dontneed", "P: gup x -> r", "P: gup x -> r write", "P: gup x -> r write force",
        "P: gup_fast x -> r write",
    "P: gup_fast_only x -> r", "P: pin x -> r write longterm slow", "P: vmsplice x -> r", "P: io_uring x -> r",
    "P: userptr x -> r ro", "P: perf x -> a",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_an_action_is_its_text(text):
    """`str()` of an action is the step that a litmus test would have."""
    (action,) = parse_steps([text], "P", {"x": ("old", frozenset())})
    assert str(action) == text
    taken = parse_steps(
        ["P: gup x -> r", "P: load r -> a", "P: store r 1", "P: put r"], "P", {"x": ("old", frozenset())}
    )
    assert [str(a) for a in taken[1:]] == ["P: load r -> a", "P: store r 1", "P: put r"]


def test_every_step_says_why():
    """A rule returns the new state and why: what was done, and the reason, by the name of a kernel function."""
    for steps in (s[1] for s in STEPS):
        for moment in play("v6.1", "P: x = 1", steps.replace("; C:", "; C:"))[1:]:
            assert moment.why, moment.action
            assert all(w.fn and w.did and w.because for w in moment.why), moment.action


ARGUMENTS = {"PAGE": "x", "PAGE2": "y", "VALUE": "v", "PROC": "C", "REF": "r", "REG": "a"}


@pytest.mark.parametrize("op", GRAMMAR)
def test_step_is_the_one_list(op):
    """Whatever the grammar names, the parser reads and step() does, with every option."""
    init, pages = "P", {"x": ("old", frozenset()), "y": ("old", frozenset())}
    words = re.findall(r"\[(?!->)([^]]*)]|([^][ ]+)", GRAMMAR[op])
    line = " ".join(ARGUMENTS.get(w, w.split("|")[0]) for w in (option or word for option, word in words))
    who = next((thread for thread, does in KERNEL_THREADS.items() if does == op), "P")
    before = ["P: gup_start x -> r"] if GRAMMAR[op].startswith("REF") else []
    actions = parse_steps([*before, f"{who}: {op} {line}".strip()], init, pages)
    for k in KERNELS.values():
        s = boot(k, "P", pages)
        for action in actions:
            after = step(s, k, action)
            assert after.why, op
            s = after.state


def test_the_caller_s_state_is_not_touched():
    """step() is a function: the same input gives the same output, and the input is as it was."""
    k = kernel("v5.8")
    s = boot(k, "P", {"x": ("old", frozenset())})
    before = repr(s)
    first, second = (step(s, k, Action("P", "fork", arg="C")) for _ in range(2))
    assert first == second
    assert hash(first.state) == hash(second.state)
    assert repr(s) == before
