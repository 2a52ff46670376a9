"""fork(): what is shared, what is copied at once, what is skipped. facts/kernel.md 1.3, 2.3, 4.3, 6.1."""

import pytest
from machine import ALL, G0, G1, G2, G3, check, deciders, play, rows

from cowlab import KERNELS
from cowlab.litmus.parse import parse_init, parse_steps
from cowlab.mm import Action, Ref, boot, replace, step

SHARES, COPIES = "P.x=A:R C.x=A:R", "P.x=A:W C.x=B:WD"
FILE_AGAIN = "P: write x 2; P: madvise x dontneed; P: read x"  # a page-cache page where an anonymous one was
# Kernel.fork_copies. P has A; then P forks C
DECIDES = {
    "share": [
        ("P: x = 1", "P: read x", SHARES),
        ("P: x = 1", "P: gup x -> r", SHARES),
        ("P: x = 1", "P: pin x -> r", SHARES),
        ("P: x = 1", "P: io_uring x -> r", SHARES),
    ],
    "copy_if_maybe_pinned": [
        ("P: x = 1", "P: read x", SHARES),
        ("P: x = 1", "P: gup x -> r write", SHARES),
        ("P: x = 1", "P: pin x -> r", COPIES),
        ("P: x = 1", "P: pin x -> r write", COPIES),
        ("P: x = 1", "P: io_uring x -> r", COPIES),
        ("P: x = 1", "P: pin x -> r; P: put r", SHARES),
        ("P: x = 1", "P: fork D; D: pin x -> r", SHARES),  # it was D's mm that pinned
        ("P: x = 1 file", f"{FILE_AGAIN}; P: pin x -> r", "P.x=A:R C.x=B"),  # until v5.18, 4.3
        ("P: x untouched", "P: write x 1; P: madvise x dontneed; P: pin x -> r", "P.x=Z C.x=Z"),
    ],
    "copy_if_maybe_pinned_anon": [
        ("P: x = 1", "P: gup x -> r", SHARES),
        ("P: x = 1", "P: pin x -> r", COPIES),
        ("P: x = 1", "P: fork D; D: pin x -> r", SHARES),
        ("P: x = 1 file", f"{FILE_AGAIN}; P: pin x -> r", SHARES),  # [SRC 5.10.223]
    ],
    "copy_exclusive_if_maybe_pinned": [
        ("P: x = 1", "P: gup x -> r", "P.x=A:RS C.x=A:RS"),
        ("P: x = 1", "P: pin x -> r", "P.x=A:WE C.x=B:WDE"),
        ("P: x = 1", "P: pin x -> r; P: put r", "P.x=A:RS C.x=A:RS"),
        ("P: x = 1", "P: fork D; P: pin x -> r", "P.x=A:RE C.x=B:WDE"),  # unshared by the pin, read-only in P
        ("P: x = 1", "P: fork D; D: pin x -> r", "P.x=A:RS C.x=A:RS"),
        ("P: x = 1 file", f"{FILE_AGAIN}; P: pin x -> r", SHARES),
    ],
}  # fmt: skip
CASES = {
    f"{fn}: {init} | {steps}": (fn, init, steps, cell) for fn, cases in DECIDES.items() for init, steps, cell in cases
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_decision(case):
    """Each answer to the question, on every row that gives it. The child's copy reads what the parent reads."""
    fn, init, steps, cell = case
    for name in deciders("fork_copies", fn):
        seen = play(name, init, f"{steps}; P: fork C")
        check(seen, cell)
        s = seen[-1].state
        assert s.would_read("P", 0) == s.would_read("C", 0)


@pytest.mark.parametrize("name", ALL.split())
def test_a_thousand_and_twenty_four_references_look_like_a_pin(name):
    """70e806e4e645 counts; it cannot tell 1024 FOLL_GET from one FOLL_PIN. But only in an mm that ever pinned."""
    k = KERNELS[name]
    first, pages = parse_init(["P: x = 1", "P: y = 2"])
    for pinned_before in ("P: pin y -> p", "P: read y"):
        s = boot(k, first, pages)
        s = step(s, k, parse_steps([pinned_before], first, pages)[0]).state
        frame = s.at("P", 0)[1].frame
        many = tuple(Ref("P", f"r{i:04}", 0, frame) for i in range(1023))
        s = step(
            replace(s, refs=tuple(sorted((*s.refs, *many), key=lambda r: (r.proc, r.name)))),
            k,
            Action("P", "fork", arg="C"),
        ).state
        copied = s.at("C", 0)[1].frame != frame
        assert copied == (name not in (G0, G1) and "pin" in pinned_before)


FORKS = {
    "no anon_vma: the child refaults": ("P: x = 1 file", "P: read x; P: fork C; C: read x", [
        (ALL, "", "P.x=A:R A(2,1); P.x=A:R C.x=none A(2,1); C.x=A:R A(3,2)"),
    ]),
    "nor is MAP_SHARED copied": ("P: x = 1 shared", "P: read x; P: fork C; C: write x 2", [
        (ALL, "", "P.x=A:W; P.x=A:W C.x=none A(2,1); C.x=A:W A(3,2) P.x==2"),
    ]),
    "nor the zero page": ("P: x untouched", "P: read x; P: fork C; C: read x", [(ALL, "", "P.x=Z; C.x=none; C.x=Z")]),
    "untouched": ("P: x untouched", "P: fork C; C: write x 1", [(ALL, "", "C.x=none; C.x=A:W P.x==zero")]),
    "unmapped": ("P: x = 1", "P: munmap x; P: fork C", [(ALL, "", "; C.x==unmapped")]),
    "MADV_DONTFORK": ("P: x = 1", "P: madvise x dontfork; P: fork C; P: write x 2", [
        (ALL, "", "P.x=A:W; P.x=A:W C.x==unmapped A(1,1); P.x=A:W C.x==unmapped"),
    ]),
    "PROT_READ goes along": ("P: x = 1 ro", "P: fork C; C: write x 2", [
        (ALL, "", "P.x=A:R C.x=A:R; C.fault==SIGSEGV A(1,1)"),
    ]),
    "an early copy in a PROT_READ mapping": ("P: x = 1",
        "P: pin x -> r; P: mprotect x ro; P: fork C; C: mprotect x rw", [
        (f"{G0} {G1}", "", "P.x=A; P.x=A:R; P.x=A:R C.x=A:R A(1026,2); C.x=A:R"),
        (f"{G2} {G3}", "", "P.x=A; P.x=A:R; P.x=A:R C.x=B:R A(1025,1) B(1,1)"+"; C.x=B"),
    ]),
    "three generations": ("P: x = 1", "P: fork C; C: fork D; C: exit; D: write x 3; P: write x 2", [
        (ALL, "", "P.x=A A(2,2); A(3,3); A(2,2); D.x=B:W A(1,1); P.x=A:W D.x==3"),
    ]),
    "only the pinned page is copied": ("P: x = 1; P: y = 2", "P: pin x -> r; P: fork C", [
        (f"{G0} {G1}", "", "P.x=A P.y=B; C.x=A C.y=B"),
        (f"{G2} {G3}", "", "P.x=A P.y=B; C.x=D C.y=B P.x=A:W P.y=B:R"),
    ]),
}  # fmt: skip
ROWS = dict(rows(FORKS))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_fork(row):
    """Which entries the child starts with."""
    kernel, init, steps, cells = row
    check(play(kernel, init, steps), cells)
