"""Page faults: who copies, who reuses. facts/kernel.md 2.1, 4.1, 6.2 (do_wp_page), 8.1 (the zero page)."""

import pytest
from machine import ALL, G0, G1, G2, G3, check, deciders, play, rows

# Kernel.reuse. The page A is P's, read-only in P's page table; then P writes. `P.x=A`: reused, `P.x=B`: copied
REUSE = {
    "sole_mapper": [
        ("the other has gone", "P: fork C; C: exit", "P.x=A:W"),
        ("another mapper", "P: fork C", "P.x=B:W"),
        ("two other mappers", "P: fork C; P: fork D", "P.x=B:W"),
        ("another's reference", "P: fork C; C: gup_fast_only x -> r; C: munmap x", "P.x=A:W C.r@A"),
        ("another's reference, and it has exited", "P: fork C; C: gup_fast_only x -> r; C: exit", "P.x=A:W C.r@A"),
        ("its own reference", "P: gup x -> r; P: mprotect x ro; P: mprotect x rw", "P.x=A:W P.r@A"),
        ("its own pin", "P: pin x -> r; P: mprotect x ro; P: mprotect x rw", "P.x=A:W P.r@A"),
    ],
    "sole_reference": [
        ("the other has gone", "P: fork C; C: exit", "P.x=A:W"),
        ("another mapper", "P: fork C", "P.x=B:W"),
        ("another's reference", "P: fork C; C: gup_fast_only x -> r; C: munmap x", "P.x=B:W C.r@A"),
        ("a reference that was put", "P: fork C; C: gup_fast x -> r; C: munmap x; C: put r", "P.x=A:W"),
        ("perf looked", "P: fork C; C: perf x -> n; C: munmap x", "P.x=A:W"),
        ("its own reference", "P: gup x -> r; P: mprotect x ro; P: mprotect x rw", "P.x=B:W P.r@A"),
        ("its own pin", "P: pin x -> r; P: mprotect x ro; P: mprotect x rw", "P.x=B:W P.r@A"),
        ("the GPU's pin", "P: fork C; C: exit; P: userptr x -> g ro", "P.x=B:W P.g==revoked"),
    ],
    "exclusive_or_sole_reference": [
        ("the other has gone", "P: fork C; C: exit", "P.x=A:WE"),
        ("another mapper", "P: fork C", "P.x=B:WE"),
        ("another's reference", "P: fork C; C: gup_fast_only x -> r; C: munmap x", "P.x=B:WE C.r@A"),
        ("a reference that was put", "P: fork C; C: gup_fast x -> r; C: munmap x; C: put r", "P.x=A:WE"),
        ("its own reference, and exclusive", "P: gup x -> r; P: mprotect x ro; P: mprotect x rw", "P.x=A:WE P.r@A"),
        ("its own reference, and no more exclusive", "P: gup x -> r; P: fork C; C: exit", "P.x=B:WE P.r@A"),
        ("its own pin", "P: pin x -> r; P: mprotect x ro; P: mprotect x rw", "P.x=A:WE P.r@A"),
        ("a pin that made it exclusive", "P: fork C; C: exit; P: pin x -> r", "P.x=A:WE P.r@A"),
    ],
}  # fmt: skip
REUSE["sole_reference_but_swap_cache"] = REUSE["sole_reference"]  # the same for pages that are not in the swap cache
REUSE["exclusive_or_only_mm"] = REUSE["exclusive_or_sole_reference"]  # the same for pages that are no part of a THP
# Kernel.mprotect_writable: the entry after PROT_READ and back (and then a write: the page stays)
MPROTECT = {
    "never": [
        ("written", "P: mprotect x ro; P: mprotect x rw", "P.x=A:R"),
        ("shared", "P: fork C; P: mprotect x ro; P: mprotect x rw", "P.x=A:R"),
    ],
    "if_exclusive_and_dirty": [
        ("written", "P: mprotect x ro; P: mprotect x rw", "P.x=A:WDE"),
        ("shared", "P: fork C; P: mprotect x ro; P: mprotect x rw", "P.x=A:RS"),
        ("exclusive, clean", "P: fork C; P: pin x -> r; P: mprotect x ro; P: mprotect x rw", "P.x=B:RCE"),
    ],
    "if_exclusive": [
        ("written", "P: mprotect x ro; P: mprotect x rw", "P.x=A:WDE"),
        ("shared", "P: fork C; P: mprotect x ro; P: mprotect x rw", "P.x=A:RS"),
        ("exclusive, clean", "P: fork C; P: pin x -> r; P: mprotect x ro; P: mprotect x rw", "P.x=B:WCE"),
    ],
}  # fmt: skip
DECIDES = {"reuse": REUSE, "mprotect_writable": MPROTECT}
CASES = {
    f"{field} {fn}: {case}": (field, fn, steps, cell)
    for field, fns in DECIDES.items()
    for fn, cases in fns.items()
    for case, steps, cell in cases
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_decision(case):
    """Each answer to the question, on every row that gives it."""
    field, fn, steps, cell = case
    for name in deciders(field, fn):
        if field == "reuse":
            before = play(name, "P: x = 100", steps)
            assert not before[-1].state.at("P", 0)[1].write or name in ("v6.1", "v6.12", "v6.18")
            check(
                play(name, "P: x = 100", f"P: read x; {steps}; P: write x 101"),
                f"P.x=A; {'; ' * steps.count(';')}; {cell}",
            )
        else:
            check(play(name, "P: x = 100", f"P: read x; {steps}"), f"P.x=A; {'; ' * steps.count(';')}{cell}")


FAULTS = {
    "do_anonymous_page": ("P: x untouched", "TAKE", [
        (ALL, "P: read x", "P.x=Z P.x==zero"),
        (f"{G0} {G1} {G2}", "P: write x 1", "P.x=A:WDS A(1,1)"),
        (G3, "P: write x 1", "P.x=A:WDE A(1,1)"),
    ]),
    "the zero page is copied, never reused": ("P: x untouched", "P: read x; P: write x 1; P: fork C; TAKE", [
        (ALL, "C: read x", "P.x=Z; P.x=A:WD A(1,1); P.x=A:R C.x=A; C.x==1"),
    ]),
    "do_read_fault, do_shared_fault": ("P: x = 1 shared file", "TAKE", [
        (ALL, "P: read x", "P.x=A:WC A(2,1) P.x==1"),
        (ALL, "P: write x 2", "P.x=A:WD A(2,1) P.x==2"),
    ]),
    "shmem allocates": ("P: x untouched shared", "TAKE; P: fork C; C: write x 2", [
        (ALL, "P: read x", "P.x=A A(2,1) P.x==zero; C.x=none; C.x=A:W P.x==2"),
        (ALL, "P: write x 1", "P.x=A A(2,1) P.x==1; C.x=none; C.x=A:W P.x==2"),
    ]),
    "do_cow_fault": ("P: x = 1 file", "TAKE", [
        (ALL, "P: read x", "P.x=A:RC A(2,1)"),
        (f"{G0} {G1} {G2}", "P: write x 2", "P.x=A:WDS A(1,1) P.x==2"),
        (G3, "P: write x 2", "P.x=A:WDE A(1,1) P.x==2"),
    ]),
    "a page-cache page is copied, never reused": ("P: x = 1 file", "P: read x; TAKE", [
        (ALL, "P: write x 2", "P.x=A:R A(2,1); P.x=B:WD B(1,1) A(1,0)"),
    ]),
    "wp_page_shared": ("P: x = 1 shared", "P: mprotect x ro; TAKE; P: mprotect x rw; P: write x 2", [
        (ALL, "P: gup x -> r", "P.x=A:R; P.r@A; P.x=A:W; P.x=A:WD P.r==2 A(3,1)"),
    ]),
    "a write in place": ("P: x = 1", "P: write x 2; TAKE", [
        (ALL, "P: write x 3", "P.x=A:WD; P.x=A:WD A(1,1) P.x==3"),
    ]),
    "bad_area": ("P: x = 1 ro", "TAKE", [
        (ALL, "P: write x 2", "P.fault==SIGSEGV ret=SIGSEGV"),
        (ALL, "P: munmap x; P: read x", "; P.fault==SIGSEGV"),
        (ALL, "P: exec; P: read x", "; P.fault==SIGSEGV"),
        (ALL, "P: read x", "P.x==1"),
    ]),
}  # fmt: skip
ROWS = dict(rows(FAULTS))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_fault(row):
    """The page that a fault maps, and how."""
    kernel, init, steps, cells = row
    check(play(kernel, init, steps), cells)


def test_why_says_who_decided():
    """The reason carries the number that decided: the map count up to v5.8, the page count, or the bit."""
    leak = "P: fork C; C: gup_fast_only x -> r; C: munmap x; P: write x 2"
    said = {name: play(name, "P: x = 1", leak)[-1].why[-1].because for name in ("v5.7", "v5.9", "v6.1")}
    assert ["mapcount 1" in said["v5.7"], "page_count 2" in said["v5.9"], "page_count 2" in said["v6.1"]] == [True] * 3
    alone = play("v6.1", "P: x = 1", "P: fork C; C: exit; P: pin x -> r; P: write x 2")
    assert "PageAnonExclusive" in alone[-1].why[-1].because
