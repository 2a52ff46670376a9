"""Who calls get_user_pages(), and how. facts/kernel.md 12; the appendix, 3."""

import pytest
from machine import ALL, G0, G1, G2, G3, G3A, G3B, check, play, rows

from cowlab.mm import CALLERS, GRAMMAR

CALLS = {
    "vmsplice is a FOLL_GET to this day": ("P: x = 1", "P: TAKE", [(ALL, "vmsplice x -> r",
        "P.x=A A(2,1) P.r@A ret=1")]),
    "io_uring pins for writing": ("P: x = 1", "P: fork C; P: TAKE", [
        (ALL, "io_uring x -> r", "C.x=A; P.x=B:W B(1025,1) P.r@B"),
    ]),
    "userptr gets, from v5.8 on it pins": ("P: x = 1", "P: TAKE", [
        (G0, "userptr x -> r | userptr x -> r ro", "P.x=A A(2,1) P.r@A"),
        (f"{G1} {G2} {G3}", "userptr x -> r | userptr x -> r ro", "P.x=A A(1025,1) P.r@A"),
    ]),
    "userptr tries the lockless walk first": ("P: x = 1", "P: fork C; P: TAKE", [
        (G0, "userptr x -> r ro", "C.x=A; P.x=A:R P.r@A A(3,2)"),
        (f"{G1} {G2}", "userptr x -> r ro", "C.x=A; P.x=A:R P.r@A A(1026,2)"),  # 3.1.6: may or may not care
        (G3, "userptr x -> r ro", "C.x=A; P.x=B:RE P.r@B"),
        (ALL, "userptr x -> r", "C.x=A; P.x=B:W P.r@B"),
    ]),
    "and its worker takes the slow path": ("P: x untouched", "P: TAKE", [
        (f"{G0} {G2} {G3}", "userptr x -> r ro", "P.x=Z P.r@Z"),
        (G1, "userptr x -> r ro", "P.x=A:W P.r@A"),
        (ALL, "userptr x -> r", "P.x=A:W P.r@A"),
    ]),
    "perf keeps nothing and breaks nothing": ("P: x = 1", "P: fork C; P: TAKE", [
        (ALL, "perf x -> r", "C.x=A; P.r@A P.r==frame P.x=A:R A(2,2)"),
    ]),
    "O_DIRECT gets, later it pins": ("P: x = 1", "P: TAKE", [
        (f"{G0} {G1} {G2} {G3A}", "odirect x -> r", "P.x=A A(2,1) P.r@A"),
        (G3B, "odirect x -> r", "P.x=A A(1025,1) P.r@A"),
    ]),
    "RDMA forces a write, until v6.2": ("P: x = 1 ro", "P: fork C; P: TAKE", [
        (f"{G0} {G1} {G2} {G3A}", "rdma x -> r ro", "C.x=A; P.x=B:RD B(1025,1) P.r@B"),
        (G3B, "rdma x -> r ro", "C.x=A; P.x=B:RCE B(1025,1) P.r@B"),
    ]),
    "process_vm_readv may change its target": ("P: x = 1", "P: fork C; P: TAKE", [  # S26
        (f"{G0} {G2}", "process_vm_readv x -> a", "C.x=A; P.x=A:R A(2,2) P.a==1"),
        (G1, "process_vm_readv x -> a", "C.x=A; P.x=B:W B(1,1) P.a==1"),
        (G3, "process_vm_readv x -> a", "C.x=A; P.x=B:RE B(1,1) P.a==1"),
    ]),
    "fixed buffers and files": ("P: x = 1 file", "P: read x; P: TAKE", [  # the appendix, 3: after the lookup has run
        (f"{G0} {G1}", "io_uring x -> r", "P.x=A; P.r==EOPNOTSUPP ret=EOPNOTSUPP P.x=B:W B(1,1)"),
        (f"{G2} {G3}", "io_uring x -> r", "P.x=A; P.r@B P.x=B:W B(1025,1)"),
    ]),
    "fixed buffers and shmem": ("P: x = 1 shared", "P: TAKE", [
        (f"{G0} {G1}", "io_uring x -> r", "P.x=A:W P.r==EOPNOTSUPP A(2,1)"),
        (f"{G2} {G3}", "io_uring x -> r", "P.x=A:W P.r@A A(1026,1)"),
    ]),
}  # fmt: skip
ROWS = dict(rows(CALLS))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_caller(row):
    """Entry point and flags show in the counts, in the frame, and in what the lookup leaves behind."""
    kernel, init, steps, cells = row
    check(play(kernel, init, steps), cells)


NOTIFIED = {  # 12.2: what happens to the owner's entry, and is the GPU told?
    "P: munmap x": True, "P: madvise x dontneed": True, "P: mprotect x ro": True, "P: fork C": True, "P: exit": True,
    "P: exec": True, "P: write x 2": False, "P: read x": False, "P: gup x -> r": False, "P: load gpu": False,
}  # fmt: skip


@pytest.mark.parametrize("event", NOTIFIED)
def test_notifier(event):
    """Whoever mirrors the page table is told when an entry changes, and then holds `revoked` and no page."""
    for name in ALL.split():
        seen = play(name, "P: x = 1", f"P: userptr x -> gpu; {event}")
        check(seen, f"P.gpu@A; {'P.gpu==revoked' if NOTIFIED[event] else 'P.gpu@A'}")
        assert seen[-1].state.pins(seen[1].state.ref("P", "gpu").frame) == (0 if NOTIFIED[event] or name == G0 else 1)


def test_notifier_of_a_cow_break():
    """The owner's copy revokes; another process's events do not."""
    for name in f"{G0} {G1}".split():
        check(play(name, "P: x = 1", "P: fork C; P: userptr x -> gpu ro; P: write x 2"), "; P.gpu==1; P.gpu==revoked")
    for name in ALL.split():
        other = "C: write x 2; C: munmap x; C: exit"
        check(
            play(name, "P: x = 1", f"P: fork C; P: userptr x -> gpu; {other}"), "; P.gpu@B; P.gpu@B; P.gpu@B; P.gpu@B"
        )


def test_every_caller_is_a_step():
    """The table of callers is the one that the format, the lessons and this file go by."""
    assert set(CALLERS) <= set(GRAMMAR)
    for name, caller in CALLERS.items():
        assert caller.args == GRAMMAR[name]
        assert caller.lasts, name
        assert caller.source, name
