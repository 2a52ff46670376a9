"""Memory pressure, KSM, huge pages and soft-dirty tracking. facts/kernel.md 4.4, 4.5, 8, and 10: S4, S15, S17, S18.

The cells are taken from there. A swap entry is `S`; a page that comes back from swap while a reference holds it is
the same frame.
"""

import pytest
from machine import ALL, G0, G1, G2, G2A, G2B, G3, G3A, G3B, GET, check, deciders, play, rows

OLD, ONLY = f"{G0} {G1}", "gup_fast_only x -> r"
PRESSURE = "P: fork C; C: TAKE; kswapd: reclaim x"  # A is both sides'; C holds it; then it goes to swap on both

SCENARIOS = {
    "S4a": ("P: x = 100", f"{PRESSURE}; P: write x 101; C: read x; C: write x 200", [
        (G0, f"{GET} | {ONLY}", "P.x=A; A(3,2); P.x=S C.x=S A(2,0) C.r@A; P.x=B:W C.r==100; C.x=A; C.x=A:W C.r==200"),
        (G1, ONLY, "P.x=A; A(3,2); P.x=S C.x=S A(2,0); P.x=B:W C.r==100; C.x=A; C.x=A:W C.r==200"),
        (f"{G2} {G3}", f"{GET} | {ONLY}",
            "P.x=A; A(3,2); P.x=S C.x=S A(2,0); P.x=B:W C.r==100; C.x=A; C.x=D:W C.r==100"),
    ]),
    "S4a v5.8": ("P: x = 100", f"{PRESSURE}; P: write x 101; C: write x 200", [
        (G1, GET, "P.x=A; C.x=B C.r@B A(1,1); C.x=S B(2,0); P.x==101; C.x=B:W C.r==200"),
    ]),
    "S4b": ("P: x = 100", f"{PRESSURE}; P: read x; P: write x 101", [
        (f"{G0} {G2} {G3}", GET, "P.x=A; C.r@A; P.x=S; P.x=A:R; P.x=B:W C.r==100"),
    ]),
    "S4c": ("P: x = 100", f"{PRESSURE}; C: munmap x; P: write x 101", [
        (f"{G0} {G2A}", GET, "P.x=A; C.r@A; P.x=S; P.x=S; P.x=A:W C.r==101"),  # the hole is open again
        (G1, ONLY, "P.x=A; C.r@A; P.x=S; P.x=S; P.x=A:W C.r==101"),
        (G1, GET, "P.x=A; C.r@B; P.x=S; P.x=S; C.r==100"),
        (f"{G2B} {G3}", GET, "P.x=A; C.r@A; P.x=S; P.x=S; P.x=B:W C.r==100"),
    ]),
    "S4c2": ("P: x = 100", f"{PRESSURE}; C: munmap x; P: read x; P: write x 101", [
        (G0, GET, "P.x=A; C.r@A; P.x=S; P.x=S; P.x=A:R; P.x=A:W C.r==101"),
        (G2A, GET, "P.x=A; C.r@A; P.x=S; P.x=S; P.x=A:R A(3,1); P.x=B:W C.r==100"),
        (f"{G2B} {G3}", GET, "P.x=A; C.r@A; P.x=S; P.x=S; P.x=A:R; P.x=B:W C.r==100"),
    ]),
    "S4c3": ("P: x = 100", f"{PRESSURE}; C: write x 200; P: write x 101", [
        (f"{G0} {G2A}", GET, "P.x=A; C.r@A; P.x=S; C.x=B:W; P.x=A:W C.r==101"),
        (G1, GET, "P.x=A; C.r@B; P.x=S; C.x=B C.r==200; C.r==200"),
        (f"{G2B} {G3}", GET, "P.x=A; C.r@A; P.x=S; C.x=B:W; P.x=D:W C.r==100"),
    ]),
    "S23": ("P: x = 100", "kswapd: reclaim x; P: fork C; C: TAKE; C: munmap x; P: write x 101", [
        (f"{G0} {G2A}", GET, "P.x=S; C.x=S; C.r@A P.x=S; P.x=S; P.x=A:W C.r==101"),
        (G1, GET, "P.x=S; C.x=S; C.r==100; P.x=S; C.r==100 P.x==101"),
        (f"{G2B} {G3}", GET, "P.x=S; C.x=S; C.r@A; P.x=S; P.x=B:W C.r==100"),
    ]),
    "S4d": ("P: x = 100", "P: gup x -> r write; kswapd: reclaim x; P: write x 101", [
        (f"{OLD} {G2A}", "", "P.x=A; P.x=S A(2,0); P.x=A:W P.r==101"),
        (G2B, "", "P.x=A; P.x=S A(2,0); P.x=B:W P.r==100"),
        (G3, "", "P.x=A; P.x=S A(2,0); P.x=A:WE A(3,1) P.r==101"),
    ]),
    "S4e": ("P: x = 100", "P: TAKE; kswapd: reclaim x; P: read x; P: write x 101", [
        (OLD, GET, "P.x=A; P.x=S A(2,0); P.x=A:R; P.x=A:W P.r==101"),
        ("v5.9", GET, "P.x=A; P.x=S; P.x=A:R A(3,1); P.x=B:W B(1,1) A(2,0) P.r==100"),
        ("v5.10", GET, "P.x=A; P.x=S; P.x=A:R A(3,1); P.x=B:W B(1,1) P.r==100"),
        (G2B, GET, "P.x=A; P.x=S; P.x=A:R; P.x=B:W P.r==100"),
        (G3A, GET, "P.x=A; P.x=S; P.x=A:RE; P.x=A:WE P.r==101"),
        (G3B, GET, "P.x=A; P.x=S; P.x=A:WE; P.x=A:WE P.r==101"),
    ]),
    "S4f": ("P: x = 100", "P: pin x -> r write; kswapd: reclaim x; P: read x; P: write x 101", [
        (OLD, "", "P.x=A A(1025,1); P.x=S; P.x=A; P.x=A:W P.r==101"),
        ("v5.9", "", "P.x=A; P.x=S; P.x=A:R; P.x=B:W P.r==100"),
        (f"v5.10 {G2B} {G3}", "", "P.x=A; P.x=A:W A(1025,1); P.x=A:W; P.x=A:W P.r==101"),
    ]),
    "U4c": ("P: x = 100", "P: fork C; C: TAKE; C: munmap x; kswapd: reclaim x; P: write x 101", [
        (f"{G0} {G2A}", GET, "P.x=A; C.r@A; A(2,1); P.x=S; P.x=A:W C.r==101"),
        (G1, GET, "P.x=A; C.r@B; B(1,0); P.x=S; C.r==100"),
        (f"{G2B} {G3}", GET, "P.x=A; C.r@A; A(2,1); P.x=S; P.x=B:W C.r==100"),
    ]),
    "S22": ("P: x = 100", "kswapd: reclaim x; P: read x; P: write x 101", [  # no reference at all
        (OLD, "", "P.x=S; P.x=A:R; P.x=A:W"),
        (G2A, "", "P.x=S; P.x=A:R A(2,1); P.x=B:W"),  # the swap cache's reference counts
        (G2B, "", "P.x=S; P.x=A:R A(2,1); P.x=A:W A(1,1)"),
        (G3, "", "P.x=S; P.x=A; P.x=A:WE"),
    ]),
    "S7 in swap": ("P: x = 100", "kswapd: reclaim x; P: perf x -> a", [(ALL, "", "P.x=S; P.a==nopage P.x=S")]),
    "fast-only in swap": ("P: x = 100", "kswapd: reclaim x; P: TAKE; P: put r", [
        (ALL, ONLY, "P.x=S; P.r==nopage ret=0; P.x=S P.x==100"),
    ]),
    # A page of zeros that many share is never reclaimed; a page-cache page only loses its entries
    "the zero page": ("P: x untouched", "P: read x; kswapd: reclaim x", [(ALL, "", "P.x=Z; P.x=Z")]),
    "a file's page": ("P: x = 7 file", "P: read x; kswapd: reclaim x; P: read x", [(ALL, "",
        "P.x=A; P.x=none; P.x=A:R")]),
    # KSM: K is merged, read-only on both pages (K(2,2))
    "S15": ("P: x = 1; P: y = 1", "ksmd: merge x y; P: TAKE; P: write x 2", [
        (f"{G0} {G2} {G3}", f"{GET} | {ONLY}", "P.x=K:RKS P.y=K K(2,2); K(3,2) P.r@K; P.x=B:W P.r==1"),
        (G1, ONLY, "P.x=K:RK P.y=K K(2,2); K(3,2) P.r@K; P.x=B:W P.r==1"),
        (G1, GET, "P.x=K:RK P.y=K; P.x=B:W B(2,1) P.r@B K(1,1); P.x=B:W P.r==2"),
        (G2, "pin x -> r", "P.x=K:RK P.y=K; K(1026,2) P.r@K; P.x=B:W P.r==1"),
        (G1, "pin x -> r", "P.x=K:RK P.y=K; P.x=B:W B(1025,1) P.r@B; P.r==2"),
        (G3, "pin x -> r", "P.x=K:RKS P.y=K; P.x=B:RE B(1025,1) P.r@B; P.x=B:WE P.r==2"),
    ]),
    "S15 referenced pages are not merged": ("P: x = 1; P: y = 1", "P: TAKE; ksmd: merge x y", [
        (ALL, f"{GET} | {ONLY} | pin x -> r", "P.x=A P.y=B; P.x=A:W P.y=B:W"),
    ]),
    "KSM: a mirror is told": ("P: x = 1; P: y = 1", "P: kvm x -> r; ksmd: merge x y", [
        (ALL, "", "P.r@A; P.x=A:RK P.y=A:RK P.r==revoked"),
    ]),
    "KSM: all that are equal": ("P: x = 1; P: y = 2", "P: fork C; C: write x 2; C: write y 1; ksmd: merge x y", [
        (ALL, "", "; ; ; P.x=A:RK C.y=A:RK P.y=B:RK C.x=B:RK"),
    ]),
    "S15 different pages are not merged": ("P: x = 1; P: y = 2", "ksmd: merge x y", [(ALL, "", "P.x=A:W P.y=B:W")]),
    # soft-dirty tracking write-protects the entry
    "S17": ("P: x = 100", "P: TAKE; P: clear_refs; P: write x 101", [
        (OLD, "gup x -> r write", "P.x=A:W; P.x=A:R; P.r==101 P.x=A"),
        (f"v5.10 {G2B}", "gup x -> r write", "P.x=A:W; P.x=A:R; P.x=B:W P.r==100"),
        (G3, "gup x -> r write", "P.x=A:W; P.x=A:RE; P.x=A:WE P.r==101"),
        (f"v5.10 {G2B} {G3}", "pin x -> r write", "P.x=A:W; P.x=A:W; P.x=A:W P.r==101"),
    ]),
    # a THP mapped by a PMD
    "S18": ("P: x = 100 huge", "P: fork C; C: TAKE; C: munmap x; P: write x 101", [
        (f"{G0} {G2A}", GET, "P.x=A:RH C.x=A; C.r@A; C.x=none; P.x=A:WH C.r==101"),
        (G1, GET, "P.x=A:RH; C.x=B:WT C.r@B; C.x=none; P.x=A C.r==100"),
        (G1, ONLY, "P.x=A:RH; C.r@A; C.x=none; P.x=A:WH C.r==101"),
        (f"{G2B} {G3}", GET, "P.x=A:RH; C.r@A; C.x=none; P.x=B:WT C.r==100"),
        (G3, "pin x -> r", "P.x=A:RH; C.x=B:RTE C.r@B; C.x=none; P.x=A:W C.r==100"),
    ]),
    "S18c": ("P: x = 100 huge", "P: fork C; P: write x 101", [
        (G0, "", "P.x=A:RH; P.x=B:WH"),  # a whole huge page is copied
        (f"{G1} {G2} {G3}", "", "P.x=A:RH; P.x=B:WT"),  # 4 KiB of it
    ]),
    "S18e": ("P: x = 100 huge", "P: pin x -> r; P: fork C", [
        (OLD, "", "P.x=A:WH; P.x=A:RH C.x=A:RH"),
        (f"{G2} {G3}", "", "P.x=A:WH; P.x=A:WT C.x=B:WT P.r@A"),
    ]),
    "a part of a large folio": ("P: x = 1 hugepte", "P: perf x -> a; P: fork C; C: exit; P: write x 2", [
        (OLD, "", "P.a@A; C.x=A:RT; P.x=A; P.x=A:WT"),
        (f"{G2} {G3A} v6.12", "", "P.a@A; C.x=A:RT; P.x=A; P.x=B:WT"),
        ("v6.18", "", "P.a@A; C.x=A:RT; P.x=A; P.x=A:WT"),  # 1da190f4d0a6
    ]),
    "the huge zero page": ("P: x untouched huge", "P: read x; P: write x 1", [
        (G0, "", "P.x=Z; P.x=A:WH"),
        (f"{G1} {G2} {G3A} v6.12", "", "P.x=Z; P.x=A:WT"),
        ("v6.18", "", "P.x=Z; P.x=A:WH"),  # do_huge_zero_wp_pmd()
    ]),
}  # fmt: skip
ROWS = dict(rows(SCENARIOS))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_scenario(row):
    """The model goes through the same page tables as the booted kernels."""
    kernel, init, steps, cells = row
    check(play(kernel, init, steps), cells)


# Kernel.swap_in, Kernel.reuse_ksm, Kernel.reuse_huge: (init, steps before, the step, what is seen)
HELD = "P: gup x -> r; kswapd: reclaim x"  # one process; its page is in the swap cache, and it holds it
LONE = "ksmd: merge x y; P: munmap y"  # a KSM page with one mapper
DECIDES = {
    "swap_in": {
        "sole_swap_user": [
            ("P: x = 1", HELD, "P: write x 2", "P.x=A:W P.r==2"),
            ("P: x = 1", HELD, "P: read x", "P.x=A:R"),
            ("P: x = 1", f"P: fork C; {HELD}", "P: write x 2", "P.x=B:W C.x=S"),
            ("P: x = 1", f"P: fork C; {HELD}; C: read x", "P: write x 2", "P.x=B:W C.x=A"),
            ("P: x = 1", "kswapd: reclaim x", "P: write x 2", "P.x=A:WD A(1,1)"),
            ("P: x = 1", "kswapd: reclaim x", "P: read x", "P.x=A:R A(2,1)"),
        ],
        "sole_swap_reference": [
            ("P: x = 1", HELD, "P: write x 2", "P.x=B:W P.r==1"),
            ("P: x = 1", HELD, "P: read x", "P.x=A:R"),
            ("P: x = 1", f"P: fork C; {HELD}", "P: write x 2", "P.x=B:W C.x=S"),
            ("P: x = 1", "kswapd: reclaim x", "P: write x 2", "P.x=A:WD A(1,1)"),
            ("P: x = 1", "kswapd: reclaim x", "P: read x", "P.x=A:R"),
        ],
        "exclusive_or_sole_swap_reference": [
            ("P: x = 1", HELD, "P: write x 2", "P.x=A:WE P.r==2"),
            ("P: x = 1", HELD, "P: read x", "P.x=A:RE"),
            ("P: x = 1", f"P: fork C; {HELD}", "P: write x 2", "P.x=B:WE C.x=S"),
            ("P: x = 1", f"{HELD}; P: fork C", "P: read x", "P.x=A:RS C.x=S"),  # fork clears the mark on both sides
            ("P: x = 1", f"{HELD}; P: fork C; C: exit", "P: write x 2", "P.x=B:WE P.r==1"),
            ("P: x = 1", "kswapd: reclaim x", "P: read x", "P.x=A:RE"),
        ],
        "writable_if_exclusive": [
            ("P: x = 1", HELD, "P: write x 2", "P.x=A:WE P.r==2"),
            ("P: x = 1", HELD, "P: read x", "P.x=A:WE"),
            ("P: x = 1", f"{HELD}; P: fork C", "P: read x", "P.x=A:RS C.x=S"),
            ("P: x = 1 ro", HELD, "P: read x", "P.x=A:RE"),
        ],
    },
    "reuse_ksm": {
        "sole_ksm_reference": [
            ("P: x = 1; P: y = 1", "ksmd: merge x y", "P: write x 2", "P.x=B:W P.y=K:RK"),
            ("P: x = 1; P: y = 1", f"P: perf x -> a; {LONE}", "P: write x 2", "P.x=K:W P.a@K K(1,1)"),
            ("P: x = 1; P: y = 1", f"{LONE}; P: gup_fast_only x -> r", "P: write x 2", "P.x=B:W P.r@K"),
        ],
        "never_reuse_ksm": [
            ("P: x = 1; P: y = 1", "ksmd: merge x y", "P: write x 2", "P.x=B:W P.y=K:RK"),
            ("P: x = 1; P: y = 1", f"P: perf x -> a; {LONE}", "P: write x 2", "P.a@K P.x=B:W"),
        ],
    },
    "reuse_huge": {
        "sole_mapper": [
            ("P: x = 1 huge", "P: perf x -> a; P: fork C; C: exit", "P: write x 2", "P.x=A:WH P.a@A"),
            ("P: x = 1 huge", "P: gup x -> r; P: fork C; C: exit", "P: write x 2", "P.x=A:WH P.r@A"),
        ],
        "sole_reference_but_swap_cache": [
            ("P: x = 1 huge", "P: perf x -> a; P: fork C; C: exit", "P: write x 2", "P.x=A:WH P.a@A"),
            ("P: x = 1 huge", "P: gup x -> r; P: fork C; C: exit", "P: write x 2", "P.x=B:WT P.r@A"),
        ],
        "exclusive_or_sole_reference": [
            ("P: x = 1 huge", "P: perf x -> a; P: fork C; C: exit", "P: write x 2", "P.x=A:WHE P.a@A"),
            ("P: x = 1 huge", "P: gup x -> r; P: fork C; C: exit", "P: write x 2", "P.x=B:WT P.r@A"),
            ("P: x = 1 huge", "P: gup x -> r; P: mprotect x ro; P: mprotect x rw", "P: write x 2", "P.x=A:WHE P.r@A"),
        ],
    },
}  # fmt: skip
CASES = {
    f"{field} {fn}: {before} | {then}": (field, fn, init, before, then, cell)
    for field, fns in DECIDES.items()
    for fn, cases in fns.items()
    for init, before, then, cell in cases
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_decision(case):
    """Each answer to the question, on every row that gives it. (v5.8 would break COW at the lookup.)"""
    field, fn, init, before, then, cell = case
    for name in deciders(field, fn):
        if "fork" not in before or name != G1 or "perf" in before:
            check(play(name, init, f"P: read x; {before}; {then}"), f"{';' * before.count(';')};;{cell}")


UFFD = [  # UFFDIO_CONTINUE maps the page-cache page, read-only and dirty: what Dirty COW's cousin needed (6.4)
    ("v5.7 v5.8 v5.9 v5.10", "P: x = 1 shared; P: y = 1 file", "P.y=none ret=EINVAL"),
    (f"{G2B} {G3}", "P: x = 1 shared; P: y = 1 file", "P.y=A:RD"),
]


@pytest.mark.parametrize(("kernels", "init", "cell"), UFFD)
def test_uffd_continue(kernels, init, cell):
    for name in kernels.split():
        check(play(name, init, "P: uffd_continue y"), cell)


BLOCKS = [  # 3.4: on v5.8 a read lookup of a userfaultfd write-protected page is a write, and waits for itself
    ("P: vmsplice x -> r", G1), ("P: process_vm_readv x -> a", G1), ("P: read x -> a", ""), ("P: write x 2", ALL),
]  # fmt: skip


@pytest.mark.parametrize(("step", "where"), BLOCKS)
def test_uffd_wp(step, where):
    """A step that would block for ever ends the process's column: its `fault` reads BLOCKED."""
    for name in ALL.split():
        last = play(name, "P: x = 1", f"P: uffd_wp x; {step}")[-1]
        assert (last.state.procs[0].fault == "BLOCKED") == (name in where.split()), name


FUTEX = [
    ("P: x = 1 file ro", "v5.8"),
    ("P: x = 1 file", ""),
    ("P: x = 1", ""),
    ("P: x = 1 shared ro", ""),
    ("P: x = 1 ro", ALL),
]


@pytest.mark.parametrize(("init", "refused"), FUTEX)
def test_futex(init, refused):
    """3.4: FUTEX_WAIT in a PROT_READ private file mapping is EFAULT on v5.8 alone; anonymous read-only everywhere."""
    for name in ALL.split():
        check(play(name, init, "P: futex_wait x -> a"), f"P.a=={'EFAULT' if name in refused.split() else 'EAGAIN'}")
