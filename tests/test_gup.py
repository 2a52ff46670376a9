"""get_user_pages() and its relatives. facts/kernel.md 1.5, 2.2, 3.1, 3.2, 6.3, 6.4; the appendix."""

import pytest
from machine import ALL, G0, G1, G2, G3, G3A, G3B, check, deciders, play, rows

SHARED = "P: fork C"  # A is P's and C's, read-only on both sides; then P takes it
WALK, FALL_BACK, LOOK, FAULT = "gup_pte_range", "gup_pte_range", "follow_page_pte", "do_wp_page"
# field of the row -> function -> (init, steps before, the lookup, what is seen)
DECIDES = {
    "force_cow_break": {
        "take_as_is": [
            ("P: x = 1", SHARED, "P: gup x -> r", "P.r@A A(3,2) P.x=A:R"),
            ("P: x untouched", "P: read x", "P: gup x -> r", "P.r@Z P.x=Z"),
            ("P: x = 1 file", "P: read x", "P: gup x -> r", "P.r@A A(3,1)"),
        ],
        "break_cow": [
            ("P: x = 1", SHARED, "P: gup x -> r", "P.r@B P.x=B:WD C.x=A:R"),
            ("P: x = 1", SHARED, "P: pin x -> r slow", "P.r@B P.x=B:WD C.x=A:R"),
            ("P: x untouched", "P: read x", "P: gup x -> r", "P.r@B P.x=B:WD"),
            ("P: x untouched", "P: fork C", "P: gup x -> r", "P.r@B P.x=B:WD"),
            ("P: x = 1 file", "P: read x", "P: gup x -> r", "P.r@B P.x=B:WD"),
            ("P: x = 1 file ro", "P: read x", "P: gup x -> r", "P.r@B P.x=B:RD"),
            ("P: x untouched ro", "P: read x", "P: gup x -> r", "P.r@B P.x=B:RD"),
            ("P: x = 1 ro", SHARED, "P: gup x -> r", "P.r@B P.x=B:RD"),
            ("P: x = 1", "P: fork C; C: exit", "P: gup x -> r", "P.r@A P.x=A:W A(2,1)"),  # a lone mapper: reused
            ("P: x = 1 shared ro", "P: read x", "P: gup x -> r", "P.r@A P.x=A:R"),  # no COW mapping
            ("P: x = 1 shared", "P: fork C; P: read x", "P: gup x -> r", "P.r@A"),
        ],
    },
    "fast_walk": {
        "any_present": [
            ("P: x = 1", SHARED, "P: gup_fast x -> r", "P.r@A A(3,2) P.x=A:R"),
            ("P: x = 1 shared ro", "P: read x", "P: gup_fast x -> r", "P.r@A A(3,1)"),
        ],
        "only_writable": [
            ("P: x = 1", "P: read x", "P: gup_fast x -> r", "P.r@A P.x=A:W A(2,1)"),
            ("P: x = 1", SHARED, "P: gup_fast x -> r", "P.r@B P.x=B:WD"),
            ("P: x = 1", SHARED, "P: gup_fast_only x -> r", "P.r@A P.x=A:R"),  # exempt
            ("P: x = 1 shared ro", "P: read x", "P: gup_fast x -> r", "P.r@A P.x=A:R A(3,1)"),
        ],
    },
    "follow_write": {  # FOLL_FORCE in a PROT_READ mapping
        "after_forced_cow": [
            ("P: x = 1 ro", "P: read x", "P: gup x -> r write force", "P.r@A P.x=A:RD"),
            ("P: x = 1 ro", SHARED, "P: gup x -> r write force", "P.r@B P.x=B:RD C.x=A"),
            ("P: x = 1 file ro", "P: read x", "P: gup x -> r write force", "P.r@B P.x=B:RD"),
            ("P: x untouched ro", "P: read x", "P: gup x -> r write force", "P.r@B P.x=B:RD"),
        ],
        "after_cow": [
            ("P: x = 1 ro", SHARED, "P: gup x -> r write force", "P.r@B P.x=B:RD C.x=A"),
            ("P: x = 1 ro", SHARED, "P: gup x -> r", "P.r@B P.x=B:RD C.x=A"),  # without FOLL_FORCE, or it would loop
            ("P: x = 1 file ro", "P: read x", "P: gup_fast x -> r", "P.r@B P.x=B:RD"),
        ],
        "exclusive_if_forced": [
            ("P: x = 1 ro", "P: read x", "P: gup x -> r write force", "P.r@A P.x=A:RE"),
            ("P: x = 1 ro", SHARED, "P: gup x -> r write force", "P.r@B P.x=B:RDE C.x=A:RS"),
            ("P: x = 1 file ro", "P: read x", "P: gup x -> r write force", "P.r@B P.x=B:RDE"),
            ("P: x = 1 ro", "P: gup x -> q write force", "P: gup x -> r write force", "P.r@A P.q@A"),
        ],
    },
    "after_break": {  # FOLL_COW ends the loop, where the entry stays read-only; see also the race below
        "remember_cow": [
            ("P: x = 1 ro", SHARED, "P: gup x -> r write force", "P.r@B P.x=B:RD"),
            ("P: x = 1 file ro", "P: read x", "P: gup x -> r write force", "P.r@B P.x=B:RD"),
        ],
    },
    "must_unshare": {  # 6.4, the table
        "never_unshare": [
            ("P: x untouched", "P: read x", "P: gup x -> r write", "P.r@B P.x=B:W"),
            ("P: x = 1", SHARED, "P: gup_fast_only x -> r", "P.r@A P.x=A:R"),
        ],
        "unshare_if_pinned": [
            ("P: x = 1", SHARED, "P: gup_fast x -> r", "P.r@A P.x=A:RS"),
            ("P: x = 1", SHARED, "P: pin x -> r write", "P.r@B P.x=B:WDE"),
            ("P: x = 1", SHARED, "P: pin x -> r", "P.r@B P.x=B:RCE"),
            ("P: x = 1", SHARED, "P: pin x -> r slow", "P.r@B P.x=B:RCE"),
            ("P: x = 1", "P: fork C; C: exit", "P: pin x -> r", "P.r@A P.x=A:RE"),
            ("P: x = 1", "P: mprotect x ro", "P: pin x -> r", "P.r@A P.x=A:RE"),
            ("P: x = 1 ro", SHARED, "P: pin x -> r", "P.r@B P.x=B:RCE"),
            ("P: x untouched", "P: read x", "P: pin x -> r longterm", "P.r@Z P.x=Z"),
            ("P: x = 1 file", "P: read x", "P: pin x -> r longterm", "P.r@A P.x=A:R"),
        ],
        "unshare_if_pinned_longterm": [
            ("P: x = 1", SHARED, "P: gup_fast x -> r", "P.r@A P.x=A:RS"),
            ("P: x = 1", SHARED, "P: pin x -> r", "P.r@B P.x=B:RCE"),
            ("P: x = 1", SHARED, "P: pin x -> r longterm", "P.r@B P.x=B:RCE"),
            ("P: x untouched", "P: read x", "P: pin x -> r", "P.r@Z P.x=Z"),
            ("P: x untouched", "P: read x", "P: pin x -> r longterm", "P.r@B P.x=B:RCE P.r==zero"),
            ("P: x untouched", "P: fork C", "P: pin x -> r longterm slow", "P.r@B P.x=B:RCE P.r==zero"),
            ("P: x = 1 file", "P: read x", "P: pin x -> r", "P.r@A P.x=A:R"),
            ("P: x = 1 file", "P: read x", "P: pin x -> r longterm", "P.r@B P.x=B:RCE P.r==1"),
            ("P: x = 1 shared ro", "P: read x", "P: pin x -> r longterm", "P.r@A P.x=A:R"),  # no COW mapping
        ],
    },
}  # fmt: skip
CASES = {
    f"{field} {fn}: {init} | {before} | {lookup}": (field, fn, init, before, lookup, cell)
    for field, fns in DECIDES.items()
    for fn, cases in fns.items()
    for init, before, lookup, cell in cases
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_decision(case):
    """Each answer to the question, on every row that gives it."""
    field, fn, init, before, lookup, cell = case
    for name in deciders(field, fn):
        first = (
            "P.x=A"
            if (" = " in init and "file" not in init) or ("read x" in before and "untouched" not in init)
            else ""
        )
        check(play(name, init, f"{before}; {lookup}"), f"{first}; {'; ' * before.count(';')}{cell}")


VMA = {  # the appendix, 1: the mapping is looked at first
    "no mapping": ("P: x = 1", "P: munmap x; TAKE", [
        (ALL, "P: gup x -> r | P: gup_fast x -> r | P: pin x -> r write | P: pin x -> r slow | P: vmsplice x -> r |"
              "P: io_uring x -> r | P: userptr x -> r | P: gup x -> r write force",
                  "; P.r==EFAULT ret=EFAULT P.x==unmapped"),
        (ALL, "P: gup_fast_only x -> r", "; P.r==nopage ret=0"),
    ]),
    "no VM_WRITE": ("P: x = 1 ro", "P: fork C; TAKE", [
        (ALL, "P: gup x -> r write | P: gup_fast x -> r write | P: pin x -> r write | P: io_uring x -> r |"
              "P: userptr x -> r", "P.x=A; P.r==EFAULT ret=EFAULT P.x=A:R A(2,2)"),
        (ALL, "P: gup x -> r force", "P.x=A; ret=1"),
    ]),
    "FOLL_FORCE in a shared mapping": ("P: x = 1 shared ro", "P: read x; TAKE", [
        (ALL, "P: gup x -> r write force", "P.x=A; P.r==EFAULT ret=EFAULT P.x=A:R A(2,1)"),
        (ALL, "P: gup x -> r force", "P.x=A; P.r@A"),
    ]),
    "after exec": ("P: x = 1", "P: gup x -> before; P: exec; TAKE", [
        (ALL, "P: gup x -> r", "P.before@A; P.before@A A(1,0); P.r==EFAULT P.before==1"),
    ]),
}  # fmt: skip
ROWS = dict(rows(VMA))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_mapping_is_checked_first(row):
    """EFAULT where there is no mapping, or FOLL_WRITE meets no VM_WRITE; and then nothing has changed."""
    kernel, init, steps, cells = row
    check(play(kernel, init, steps), cells)


# What the kernel does, in its order: which functions a lookup goes through
VIA = {
    ("P: x = 1", "P: read x", "P: gup_fast x -> r"): {ALL: "gup_pte_range"},
    ("P: x = 1", SHARED, "P: gup_fast x -> r"): {
        f"{G0} {G2} {G3}": "gup_pte_range",
        G1: "gup_pte_range should_force_cow_break follow_page_pte do_wp_page follow_page_pte",
    },
    ("P: x = 1", SHARED, "P: gup_fast_only x -> r"): {ALL: "gup_pte_range"},
    ("P: x = 1", SHARED, "P: gup x -> r"): {
        f"{G0} {G2} {G3}": "follow_page_pte",
        G1: "should_force_cow_break follow_page_pte do_wp_page follow_page_pte",
    },
    ("P: x = 1 shared ro", "P: read x", "P: gup_fast x -> r"): {
        f"{G0} {G2} {G3}": "gup_pte_range",
        G1: "gup_pte_range follow_page_pte",  # 16, trap 13: it then simply succeeds
    },
    ("P: x = 1", SHARED, "P: pin x -> r"): {
        f"{G0} {G2}": "gup_pte_range",
        G3: "gup_pte_range follow_page_pte do_wp_page follow_page_pte",
    },
    ("P: x untouched", "P: read x", "P: gup_fast x -> r"): {
        f"{G0} {G2} {G3}": "gup_pte_range follow_page_pte",
        G1: "gup_pte_range should_force_cow_break follow_page_pte do_wp_page follow_page_pte",
    },
    ("P: x = 1 ro", SHARED, "P: gup x -> r write force"): {
        f"{G0} {G1} {G2} v5.19": "follow_page_pte do_wp_page faultin_page follow_page_pte",
        "v6.1 v6.12 v6.18": "follow_page_pte do_wp_page follow_page_pte",  # FOLL_COW is gone
    },
    ("P: x = 1 ro", SHARED, "P: gup x -> r"): {
        G1: "should_force_cow_break follow_page_pte do_wp_page faultin_page follow_page_pte",
    },
    ("P: x untouched", "P: read x", "P: pin x -> r longterm"): {
        G3A: "gup_pte_range follow_page_pte",
        G3B: "gup_pte_range follow_page_pte do_wp_page follow_page_pte",
    },
}  # fmt: skip


@pytest.mark.parametrize("case", VIA, ids=" | ".join)
def test_the_slow_path_is_a_loop(case):
    """Look up, fault, look up again: the trace shows each turn, and why the fast walk gave up."""
    init, before, lookup = case
    for kernels, expected in VIA[case].items():
        for name in kernels.split():
            functions = [w.fn for w in play(name, init, f"{before}; {lookup}")[-1].why]
            kept = [f for f in functions if f in expected.split() or not f.startswith(("__get_user", "faultin_page"))]
            assert kept == expected.split(), name


RACE = (  # Dirty COW: another thread drops the private copy between the fault and the next look, and may read
    "P: read x; P: gup_start x -> r write force; P: gup_look r; P: gup_fault r; P: madvise x dontneed; {};"
    "P: gup_look r; P: gup_fault r; P: gup_look r; P: gup_fault r; P: gup_look r; P: store r 8; P: madvise x dontneed"
)


@pytest.mark.parametrize("between", ["P: perf x -> n", "P: read x"])
@pytest.mark.parametrize("name", ["v4.8", *ALL.split()])
def test_the_file_survives_the_race(name, between):
    """A forced write reaches a private copy, however the turns fall; before FOLL_COW it reached the file. (C15)

    It is the dirty bit, later the exclusive bit, that tells the copy from the file's page after FOLL_COW.
    """
    check(play(name, "P: x = 7 file ro", RACE.format(between)), f"P.x=none P.x=={8 if name == 'v4.8' else 7}")


def test_a_turn_on_a_reference_that_was_put():
    """`gup_look` and `gup_fault` on a reference that was put do nothing, as `load` and `store`."""
    check(
        play("v5.7", "P: x = 1", "P: gup_start x -> r; P: gup_look r; P: put r; P: gup_look r"),
        "; P.r==1; A(1,1) P.x=A; ",
    )


def test_a_forced_write_twice_v5_9():
    """FOLL_COW lives in one lookup: the next one faults again, and the first reference makes it copy."""
    for name in G2.split():
        check(
            play(name, "P: x = 1 ro", "P: gup x -> a write force; P: gup x -> b write force"),
            "P.a@A; P.b@B P.a@A P.x=B:R",
        )
