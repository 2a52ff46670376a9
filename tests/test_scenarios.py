"""The scenarios of facts/kernel.md section 10, step by step: page_count and map count, entries, who reads what.

Every cell is taken from there (seen on booted kernels 5.6.4, 5.8.1, 5.9.1, 5.15.100, 5.19 and 6.12), not from the
model. GET is a FOLL_GET for reading; A, B, D are frames in the order of that document (its C' is our D).
"""

import pytest
from machine import ALL, G0, G1, G2, G3, G3A, G3B, GET, check, play, rows

ONLY, PIN, SLOW = "gup_fast_only x -> r", "pin x -> r", "pin x -> r | pin x -> r slow"
READS = f"{GET} | {ONLY}"
GETS = f"{READS} | gup x -> r write | gup_fast x -> r write | gup_fast_only x -> r write"  # of a writable entry
PINS = f"{SLOW} | pin x -> r write | pin x -> r longterm | io_uring x -> r"
OLD, SHARED = f"{G0} {G1}", "A(2,2) P.x=A:R C.x=A:R"

SCENARIOS = {
    # C takes the page and unmaps it, P writes: what does C's reference read?
    "S1": ("P: x = 100", "P: fork C; C: TAKE; C: munmap x; P: write x 101", [
        (G0, READS, f"{SHARED}; A(3,2) C.r@A; A(2,1); A(2,1) P.x=A:W C.r==101"),
        (G0, SLOW, f"{SHARED}; A(1026,2); A(1025,1); A(1025,1) P.x=A:W C.r==101"),
        (G1, GET, f"{SHARED}; C.r@B C.x=B:W B(2,1) P.x=A:R A(1,1); B(1,0); P.x=A:W A(1,1) C.r==100"),
        (G1, SLOW, f"{SHARED}; C.r@B C.x=B:W B(1025,1) P.x=A:R A(1,1); B(1024,0); P.x=A:W A(1,1) C.r==100"),
        (G1, ONLY, f"{SHARED}; A(3,2) C.r@A; A(2,1); A(2,1) P.x=A:W C.r==101"),
        (f"{G2} {G3}", READS, f"{SHARED}; A(3,2) C.r@A; A(2,1); P.x=B:W B(1,1) A(1,0) C.r==100"),
        (G2, SLOW, f"{SHARED}; A(1026,2) C.r@A; A(1025,1); P.x=B:W B(1,1) A(1024,0) C.r==100"),
        (G3, SLOW, f"{SHARED} P.x=A:RS; C.x=B:RE C.r@B B(1025,1) A(1,1); B(1024,0); P.x=A:WE A(1,1) C.r==100"),
    ]),
    # C keeps the mapping; P writes first, then C
    "S2": ("P: x = 100", "P: fork C; C: TAKE; P: write x 101; C: write x 200", [
        (G0, READS, f"{SHARED}; A(3,2); P.x=B:W B(1,1) A(2,1) C.x=A:R; C.x=A:W A(2,1) C.r==200"),
        (G1, GET, f"{SHARED}; C.x=B:W B(2,1); P.x=A:W A(1,1); C.x=B:W B(2,1) C.r==200"),
        (G1, ONLY, f"{SHARED}; A(3,2); P.x=B:W A(2,1); C.x=A:W C.r==200"),
        (f"{G2} {G3}", READS, f"{SHARED}; A(3,2); P.x=B:W B(1,1) A(2,1); C.x=D:W D(1,1) A(1,0) C.r==100 C.x==200"),
        (G2, PIN, f"{SHARED}; A(1026,2); P.x=B:W A(1025,1); C.x=D:W A(1024,0) C.r==100"),
        (G3, PIN, f"{SHARED}; C.x=B:RE B(1025,1); P.x=A:WE A(1,1); C.x=B:WE B(1025,1) C.r==200"),
    ]),
    # C writes first, then P
    "S3": ("P: x = 100", "P: fork C; C: TAKE; C: write x 200; P: write x 101", [
        (G0, READS, f"{SHARED}; A(3,2); C.x=B:W B(1,1) A(2,1) P.x=A:R; P.x=A:W A(2,1) C.r==101 C.x==200"),
        (G1, ONLY, f"{SHARED}; A(3,2); C.x=B:W B(1,1) A(2,1) P.x=A:R; P.x=A:W A(2,1) C.r==101 C.x==200"),
        (G1, GET, f"{SHARED}; C.x=B:W; C.x=B:W B(2,1); P.x=A:W A(1,1) C.r==200"),
        (G1, SLOW, f"{SHARED}; C.x=B:W; C.x=B:W B(1025,1); P.x=A:W A(1,1) C.r==200"),
        (f"{G2} {G3}", READS, f"{SHARED}; A(3,2); C.x=B:W B(1,1) A(2,1); P.x=D:W D(1,1) A(1,0) C.r==100"),
        (G2, SLOW, f"{SHARED}; A(1026,2); C.x=B:W A(1025,1); P.x=D:W A(1024,0) C.r==100"),
        (G3, SLOW, f"{SHARED}; C.x=B:RE; C.x=B:WE B(1025,1); P.x=A:WE A(1,1) C.r==200"),
    ]),
    # P takes it before the fork (DMA-out, userptr style), P writes first
    "S5": ("P: x = 100", "P: TAKE; P: fork C; P: write x 101; C: write x 200", [
        (OLD, GETS, "P.x=A:W A(2,1); A(3,2) P.x=A:R C.x=A:R; P.x=B:W B(1,1) A(2,1); C.x=A:W A(2,1) P.r==200"),
        (OLD, PINS, "P.x=A:W A(1025,1); A(1026,2); P.x=B:W B(1,1) A(1025,1); C.x=A:W A(1025,1) P.r==200"),
        (f"{G2} {G3}", GETS, "P.x=A:W A(2,1); A(3,2) P.x=A:R C.x=A:R; P.x=B:W A(2,1); C.x=D:W A(1,0) P.r==100"),
        (f"{G2} {G3}", PINS, "P.x=A:W A(1025,1); C.x=B:W B(1,1) P.x=A:W A(1025,1);"
                             "P.x=A:W A(1025,1) P.r==101; C.x=B:W B(1,1) P.r==101"),
    ]),
    # ... and with C writing first: up to v5.8 the order of the first writes decides
    "S5c": ("P: x = 100", "P: TAKE; P: fork C; C: write x 200; P: write x 101", [
        (OLD, GETS, "P.x=A:W; A(3,2); C.x=B:W A(2,1) P.x=A:R; P.x=A:W A(2,1) P.r==101"),
        (OLD, PINS, "P.x=A:W; A(1026,2); C.x=B:W A(1025,1) P.x=A:R; P.x=A:W A(1025,1) P.r==101"),
        (f"{G2} {G3}", GETS, "P.x=A:W; A(3,2); C.x=B:W A(2,1); P.x=D:W A(1,0) P.r==100"),
        (f"{G2} {G3}", PINS, "P.x=A:W; C.x=B:W A(1025,1); C.x=B:W B(1,1); P.x=A:W A(1025,1) P.r==101"),
    ]),
    # the child only exits
    "S6": ("P: x = 100", "P: TAKE; P: fork C; C: exit; P: write x 101", [
        (OLD, GETS, "P.x=A; A(3,2); A(2,1) P.x=A:R; P.x=A:W A(2,1) P.r==101"),
        (OLD, PINS, "P.x=A; A(1026,2); A(1025,1) P.x=A:R; P.x=A:W A(1025,1) P.r==101"),
        (G2, GETS, "P.x=A; A(3,2); A(2,1); P.x=B:W B(1,1) A(1,0) P.r==100"),
        (G3, GETS, "P.x=A:WE; A(3,2) P.x=A:RS; A(2,1) P.x=A:RS; P.x=B:WE B(1,1) A(1,0) P.r==100"),
        (f"{G2} {G3}", PINS, "P.x=A; C.x=B:W P.x=A:W; A(1025,1); P.x=A:W A(1025,1) P.r==101"),
    ]),
    # perf looks up and lets go: true when asked, stale after the next COW of that process
    "S7": ("P: x = 100", "P: fork C; C: perf x -> a; P: perf x -> p; P: write x 101; C: perf x -> b;"
                         "C: write x 200; C: perf x -> c", [
        (ALL, "", f"{SHARED}; C.a@A A(2,2); P.p@A A(2,2); P.x=B:W P.p@A A(1,1); C.b@A; C.x=A:W A(1,1); C.c@A"),
    ]),
    "S7 other order": ("P: x = 100", "P: fork C; C: perf x -> a; P: perf x -> p; C: write x 200", [
        (ALL, "", f"{SHARED}; C.a@A; P.p@A; C.x=B:W C.a@A P.x=A P.p@A"),
    ]),
    "S7 nothing there": ("P: x untouched", "P: perf x -> none; P: read x; P: perf x -> zero0", [
        (ALL, "", "P.none==nopage P.x=none; P.x=Z; P.zero0==nopage P.x=Z"),
    ]),
    # a page never written
    "S8": ("P: x untouched", "P: TAKE; P: write x 101", [
        (f"{G0} {G2} {G3}", GET, "P.x=Z P.r@Z; P.x=A:W A(1,1) P.r==zero"),
        (G1, GET, "P.x=A:W A(2,1) P.r@A; P.x=A:W A(2,1) P.r==101"),
        (ALL, ONLY, "P.x=none P.r==nopage ret=0; P.x=A:W A(1,1) P.r==nopage"),
        (G1, SLOW, "P.x=A:W A(1025,1) P.r@A; P.x=A:W A(1025,1) P.r==101"),
        (f"{G2} {G3A}", f"{SLOW} | pin x -> r longterm", "P.x=Z P.r@Z; P.x=A:W A(1,1) P.r==zero"),
        (G3B, SLOW, "P.x=Z P.r@Z; P.x=A:W A(1,1) P.r==zero"),
        (G3B, "pin x -> r longterm | pin x -> r longterm slow",
            "P.x=A:RE A(1025,1) P.r@A; P.x=A:WE A(1025,1) P.r==101"),
    ]),
    # a private mapping of a file (A: the page cache's page)
    "S9": ("P: x = 7 file", "P: read x; P: TAKE; P: write x 101", [
        (f"{G0} {G2} {G3}", GET, "P.x=A:R A(2,1); P.x=A:R A(3,1) P.r@A; P.x=B:W B(1,1) A(2,0) P.r==7"),
        (G1, GET, "P.x=A:R; P.x=B:W B(2,1) P.r@B A(1,0); P.x=B:W B(2,1) P.r==101"),
        (ALL, ONLY, "P.x=A:R; P.x=A:R A(3,1) P.r@A; P.x=B:W A(2,0) P.r==7"),
        (f"{G2} {G3A}", f"{SLOW} | pin x -> r longterm", "P.x=A:R; A(1026,1) P.r@A; P.x=B:W B(1,1) A(1025,0) P.r==7"),
        (G3B, SLOW, "P.x=A:R; A(1026,1) P.r@A; P.x=B:W B(1,1) A(1025,0) P.r==7"),
        (G3B, "pin x -> r longterm", "P.x=A:R; P.x=B:RE B(1025,1) P.r@B A(1,0); P.x=B:WE B(1025,1) P.r==101"),
    ]),
    "S9 not yet touched": ("P: x = 7 file", "P: TAKE; P: write x 101", [
        (f"{G0} {G2} {G3}", GET, "P.x=A:R A(3,1) P.r@A; P.x=B:W B(1,1) A(2,0) P.r==7"),
        (G1, GET, "P.x=B:W B(2,1) P.r@B; P.r==101"),
        (ALL, ONLY, "P.x=none P.r==nopage; P.x=B:W B(1,1)"),
    ]),
    # MAP_SHARED: one page for everybody, in every generation, through every entry point
    "S10": ("P: x = 100 shared", "P: fork C; C: read x; C: TAKE; P: write x 101; C: write x 200", [
        (ALL, READS, "C.x=none P.x=A:W A(2,1); C.x=A A(3,2); A(4,2) C.r@A; A(4,2) C.r==101; A(4,2) C.r==200 P.x==200"),
        (ALL, SLOW, "C.x=none; C.x=A A(3,2); A(1027,2) C.r@A; A(1027,2) C.r==101; A(1027,2) C.r==200"),
    ]),
    # the fast path and the entry that it meets
    "S11 writable": ("P: x = 100", "P: TAKE", [
        (ALL, GETS, "P.x=A:W A(2,1) P.r@A"),
        (ALL, PINS, "P.x=A:W A(1025,1) P.r@A"),
    ]),
    "S11 read-only, shared": ("P: x = 100", "P: fork C; P: TAKE", [
        (ALL, ONLY, f"{SHARED}; A(3,2) P.r@A P.x=A:R"),
        (ALL, "gup_fast_only x -> r write", f"{SHARED}; A(2,2) P.r==nopage ret=0"),
        (f"{G0} {G2} {G3}", "gup_fast x -> r", f"{SHARED}; A(3,2) P.r@A P.x=A:R"),
        (G1, "gup_fast x -> r", f"{SHARED}; P.x=B:W B(2,1) P.r@B A(1,1)"),
        (G3, PIN, f"{SHARED}; P.x=B:RE B(1025,1) P.r@B A(1,1)"),
        (ALL, "gup_fast x -> r write", f"{SHARED}; P.x=B:W B(2,1) P.r@B A(1,1)"),
    ]),
    "S11 read-only, lone mapper": ("P: x = 100", "P: fork C; C: exit; P: TAKE; P: write x 101", [
        (OLD, ONLY, "; A(1,1) P.x=A:R; A(2,1) P.x=A:R; P.x=A:W P.r==101"),
        (f"{G2} {G3}", ONLY, "; P.x=A:R; A(2,1) P.x=A:R; P.x=B:W A(1,0) P.r==100"),
        (ALL, "gup_fast_only x -> r write", "; P.x=A:R; A(1,1) P.x=A:R P.r==nopage; P.x=A:W"),
        (G0, "gup_fast x -> r", "; P.x=A:R; A(2,1) P.x=A:R; P.x=A:W P.r==101"),
        (G1, "gup_fast x -> r", "; P.x=A:R; A(2,1) P.x=A:W; P.x=A:W P.r==101"),
        (f"{G2} {G3}", "gup_fast x -> r", "; P.x=A:R; A(2,1) P.x=A:R; P.x=B:W A(1,0) P.r==100"),
        (G3, PIN, "; P.x=A:RS; A(1025,1) P.x=A:RE P.r@A; P.x=A:WE A(1025,1) P.r==101"),
    ]),
    "S11 read-only, exclusive": ("P: x = 100", "P: mprotect x ro; P: TAKE", [
        (G3, f"{PIN} | pin x -> r slow", "P.x=A:RE; A(1025,1) P.x=A:RE P.r@A"),
        (G3, ONLY, "P.x=A:RE; A(2,1) P.x=A:RE P.r@A"),
        (ALL, "gup_fast_only x -> r write", "P.x=A:R; A(1,1) P.r==nopage"),
    ]),
    "S11 read-only, MAP_SHARED": ("P: x = 100 shared ro", "P: TAKE", [
        (ALL, READS, "P.x=A:R A(3,1) P.r@A"),
        (ALL, SLOW, "P.x=A:R A(1026,1) P.r@A"),
        (ALL, "gup_fast_only x -> r write", "P.x=A:R A(2,1) P.r==nopage"),
    ]),
    # a pin that was released before the fork protects nothing
    "S12 released": ("P: x = 100", "P: TAKE; P: put r; P: fork C", [
        (ALL, "pin x -> r | pin x -> r write | io_uring x -> r",
            "P.x=A A(1025,1); P.x=A:W A(1,1); P.x=A:R C.x=A:R A(2,2)"),
    ]),
    # both sides take the page, then both write
    "S13": ("P: x = 100", "P: fork C; P: TAKE; C: TAKE; P: write x 101; C: write x 200", [
        (G0, READS, f"{SHARED}; A(3,2); A(4,2); P.x=B:W A(3,1); C.x=A:W P.r==200 C.r==200"),
        (G1, ONLY, f"{SHARED}; A(3,2); A(4,2); P.x=B:W A(3,1); C.x=A:W P.r==200 C.r==200"),
        (G1, GET, f"{SHARED}; P.x=B:W B(2,1) A(1,1); C.x=A:W A(2,1); P.r==101; C.r==200 P.r==101"),
        (f"{G2} {G3}", READS, f"{SHARED}; A(3,2); A(4,2); P.x=B:W A(3,1); C.x=D:W A(2,0) P.r==100 C.r==100"),
        (G2, PIN, f"{SHARED}; A(1026,2); A(2050,2); P.x=B:W; C.x=D:W A(2048,0) P.r==100 C.r==100"),
        (G3, PIN, f"{SHARED}; P.x=B:RE B(1025,1); C.x=A:RE A(1025,1); P.r==101; C.r==200 P.r==101"),
    ]),
    # PROT_READ now, but it could become writable
    "S14": ("P: x = 100 ro", "P: fork C; C: TAKE; C: munmap x; P: mprotect x rw; P: write x 101", [
        (G0, READS, f"{SHARED}; A(3,2); A(2,1); P.x=A:R; P.x=A:W C.r==101"),
        (G1, ONLY, f"{SHARED}; A(3,2); A(2,1); P.x=A:R; P.x=A:W C.r==101"),
        (G1, GET, f"{SHARED}; C.x=B:RD B(2,1) C.r@B; B(1,0); P.x=A:R; P.x=A:W C.r==100"),
        (f"{G2} {G3}", READS, f"{SHARED}; A(3,2) C.r@A; A(2,1); P.x=A:R; P.x=B:W A(1,0) C.r==100"),
        (G2, PIN, f"{SHARED}; A(1026,2) C.r@A; A(1025,1); P.x=A:R; P.x=B:W A(1024,0) C.r==100"),
        (G3, PIN, f"{SHARED}; C.x=B:REC B(1025,1) C.r@B; B(1024,0); P.x=A:R; P.x=A:WE C.r==100"),
    ]),
    "S14 FOLL_FORCE": ("P: x = 100 ro", "P: fork C; C: gup x -> r write force", [
        (ALL, "", f"{SHARED}; C.x=B:RD B(2,1) C.r@B A(1,1)"),
    ]),
    "S14f": ("P: x = 7 file ro", "P: read x; P: TAKE", [
        (G1, GET, "P.x=A:R; P.x=B:RD B(2,1) P.r@B"),
        (f"{G0} {G2} {G3}", GET, "P.x=A:R A(2,1); P.x=A:R A(3,1) P.r@A"),
        (G3B, "pin x -> r longterm", "P.x=A:R; P.x=B:RE B(1025,1) P.r@B"),
    ]),
    # no fork at all: write-protected and back, then a write
    "S24": ("P: x = 100", "P: TAKE; P: mprotect x ro; P: mprotect x rw; P: write x 101", [
        (OLD, GETS, "P.x=A:W; P.x=A:R; P.x=A:R; P.x=A:W A(2,1) P.r==101"),
        (G2, GETS, "P.x=A:W; P.x=A:R; P.x=A:R; P.x=B:W B(1,1) A(1,0) P.r==100"),
        (G2, PINS, "P.x=A:W; P.x=A:R; P.x=A:R; P.x=B:W B(1,1) A(1024,0) P.r==100"),
        ("v5.19", f"{GETS} | {PINS}", "P.x=A:WE; P.x=A:RE; P.x=A:RE; P.x=A:WE P.r==101"),
        ("v6.12 v6.18", f"{GETS} | {PINS}", "P.x=A:WE; P.x=A:RE; P.x=A:WE; P.x=A:WE P.r==101"),
        ("v6.1", f"{GETS} | {PINS}", "P.x=A:WE; P.x=A:RE; P.x=A; P.x=A:WE P.r==101"),
    ]),
}  # fmt: skip
ROWS = dict(rows(SCENARIOS))

# facts/kernel.md 14: a user-space program (vmsplice is the reference), 5.6.4 5.8.1 5.9.1 5.15.100 5.18.12 5.19 6.12
KERNELS_SEEN = ("v5.7", "v5.8", "v5.9", "v5.10", "v5.18", "v5.19", "v6.12")
HELD = {
    "P: fork C; C: vmsplice x -> r; C: munmap x; P: write x 101": "101 100 100 100 100 100 100",
    "P: fork C; C: vmsplice x -> r; C: write x 200; P: write x 101": "101 200 100 100 100 100 100",
    "P: vmsplice x -> r; P: mprotect x ro; P: mprotect x rw; P: write x 101": "101 101 100 100 100 101 101",
    "P: vmsplice x -> r; P: fork C; C: exit; P: write x 101": "101 101 100 100 100 100 100",
    "P: vmsplice x -> r; P: fork C; P: write x 101; C: write x 200": "200 200 100 100 100 100 100",
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_scenario(row):
    """The model goes through the same page tables and counts as the booted kernels."""
    kernel, init, steps, cells = row
    check(play(kernel, init, steps), cells)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_generation_has_its_row(name):
    """A scenario says what every row of the catalogue does."""
    said = {k for kernels, _, _ in SCENARIOS[name][2] for k in kernels.split()}
    assert said == set(ALL.split())


@pytest.mark.parametrize("steps", HELD)
def test_user_space_program(steps):
    """What read() on the pipe returns, from user space alone."""
    holder = "C.r" if "C: vmsplice" in steps else "P.r"
    for kernel, value in zip(KERNELS_SEEN, HELD[steps].split(), strict=True):
        check(play(kernel, "P: x = 100", steps), f"{holder}=={value}")
