"""What single fields of a row decide where no recorded execution and no verdict of the catalogue shows it: counts,
write and dirty bits, and the rows that no data file measured. test_mutants asks for such a row where one is missing.

Sources are kernel functions and commits; facts/kernel.md, and where it is silent the kernel's source [from memory].
"""

import pytest
from machine import ALL, G0, G1, G2, G2A, G3, G3A, G3B, check, play, rows

from cowlab import KERNELS, kernel
from cowlab.mm import Action, Ref, replace, step

OLD = f"{G0} {G1} v5.9"  # before 5.10.y
UNMARKED = f"{G0} {G1} {G2}"  # before PageAnonExclusive
FILE_AGAIN = "P: write x 2; P: madvise x dontneed; P: read x"  # a page-cache page where an anonymous one was
DIRTY_COW = (
    "P: read x; P: gup_start x -> r write force; P: gup_look r; P: gup_fault r; P: madvise x dontneed;"
    "P: gup_look r; P: gup_fault r; P: gup_look r; P: gup_fault r; P: gup_look r"
)
FIELDS = {
    # iov_iter_extract_pages(), v6.5; facts/kernel.md 12.1
    "odirect": ("P: x = 1", "P: odirect x -> r", [
        (f"{UNMARKED} {G3A}", "", "A(2,1) P.r@A"), (G3B, "", "A(1025,1) P.r@A"),
    ]),
    # ib_umem_get(): FOLL_FORCE | FOLL_WRITE even for a read-only region, until v6.2; facts/kernel.md 12.1
    "rdma_read_only": ("P: x = 1", "P: fork C; P: rdma x -> r ro", [
        (f"{UNMARKED} {G3A}", "", "C.x=A; C.x=A P.x=B:WD P.r@B B(1025,1)"),
        (G3B, "", "C.x=A; C.x=A P.x=B:RC P.r@B B(1025,1)"),
    ]),
    # 70e806e4e645 copies what looks pinned, page-cache pages too; not 5.10.223; not from v5.19 on; 4.3
    "fork_copies: a page of the page cache": ("P: x = 1 file", f"{FILE_AGAIN}; P: pin x -> r; P: fork C", [
        (f"{G0} {G1} v5.10 {G3}", "", "P.x=A C.x=A"),
        ("v5.9 v5.18", "", "P.x=A C.x=B"),
    ]),
    # clear_soft_dirty(), v5.11 and 5.10.y: a pinned page stays writable, and the TLB is flushed
    "clear_refs_keeps_pinned": ("P: x = 1", "P: io_uring x -> r; P: clear_refs", [
        (OLD, "", "P.x=A:W; P.x=A:R"), (f"v5.10 v5.18 {G3}", "", "P.x=A:W; P.x=A:W"),
    ]),
    "clear_refs_flushes": ("P: x = 1", "P: clear_refs; P: write x 2", [
        (OLD, "", "P.x=A:R; P.x=A:R P.x==2"), (f"v5.10 v5.18 {G3}", "", "P.x=A:R; P.x=A:W P.x==2"),
    ]),
    # do_huge_pmd_wp_page(): 5.18 counts references, others ask the map count or the bit. 511 parts count once split
    "reuse_huge": ("P: x = 1 huge", "P: gup x -> r; P: clear_refs; P: write x 2; P: mprotect x ro", [
        (f"{G0} {G1} {G2A} {G3}", "", "P.x=A; P.x=A; P.x=A A(2,1); P.x=A"),
        ("v5.18", "", "P.x=A; P.x=A; P.x=B B(1,1) P.r@A; P.x=B"),
    ]),
    # do_huge_pmd_wp_page(): 3917c80280c9, v5.8, splits the huge zero page; do_huge_zero_wp_pmd(), v6.13, does not.
    # A pin of a THP counts 1, of a page 1024
    "allocates_huge_for_zero": ("P: x untouched huge", "P: read x; P: write x 1; P: io_uring x -> r", [
        (G0, "", "P.x=Z; P.x=A A(1,1); P.x=A A(2,1) P.r@A"),
        (f"{G1} {G2} {G3A} v6.12", "", "P.x=Z; P.x=A A(1,1); P.x=A A(1025,1) P.r@A"),
        ("v6.18", "", "P.x=Z; P.x=A A(1,1); P.x=A A(2,1) P.r@A"),
    ]),
    # __split_huge_pmd_locked(): the dirty bit, 0ccf7f168e17, v6.1
    "split_keeps_dirty": ("P: x = 1 hugepte", "P: read x", [
        (f"{UNMARKED} v5.19", "", "P.x=A:WC"), (f"v6.1 {G3B}", "", "P.x=A:WD"),
    ]),
    # wp_page_copy(), free_swap_cache(): seen on 5.15.100. The old page is in the swap cache and held: does it stay?
    "copy_frees_swap_cache": ("P: x = 1", "P: fork C; kswapd: reclaim x; P: gup x -> r; C: munmap x; P: write x 2", [
        ("v5.9", "", "P.r@A A(3,1); A(3,1); P.x=B:W A(2,0)"),
        (f"v5.10 v5.18 {G3}", "", "P.r@A A(3,1); A(3,1); P.x=B:W A(1,0)"),
    ]),
    # do_swap_page(): an exclusive page is mapped writable by a read since v6.9; before, only by a write
    "swap_in: by a read": ("P: x = 1", "kswapd: reclaim x; P: read x", [
        (f"{UNMARKED} {G3A}", "", "P.x=A:R P.x==1"), (G3B, "", "P.x=A:W P.x==1"),
    ]),
    # can_change_pte_writable(): 64fe24a3e05e asks for a dirty entry, v6.12 does not
    "mprotect_writable": ("P: x = 1", "P: mprotect x ro; P: mprotect x rw", [
        (f"{UNMARKED} v5.19", "", "P.x=A:R; P.x=A:R"), (f"v6.1 {G3B}", "", "P.x=A:R; P.x=A:W"),
    ]),
    "mprotect_writable: a clean entry": ("P: x = 1", "P: fork C; P: pin x -> r; P: mprotect x ro; P: mprotect x rw", [
        ("v5.19 v6.1", "", "P.x=A:RCE; P.x=A:RCE; P.x=A:RCE"), (G3B, "", "P.x=A:RCE; P.x=A:RCE; P.x=A:WCE"),
    ]),
    # mfill_atomic_install_pte(), v5.16 [from memory]
    "uffd_continue": ("P: x = 1 file", "P: uffd_continue x", [
        (f"{OLD} v5.10", "", "P.x=none ret=EINVAL"), (f"v5.18 {G3}", "", "P.x=A:RD A(2,1)"),
    ]),
    # faultin_page(): what Dirty COW did. FOLL_WRITE is forgotten up to v4.8.2, and then the page cache is found
    "after_break": ("P: x = 7 file ro", DIRTY_COW, [
        ("v4.8", "", f"P.x=A:R; {'; ' * 8}P.r@A A(3,1) P.x=A"),
        (ALL, "", f"P.x=A:R; {'; ' * 8}P.r@B A(1,0) P.x=B:R"),
    ]),
    # the roads not taken: C13, C14, C16
    "roads: the zero page": ("P: x untouched", "P: read x; P: gup x -> r", [
        ("spare-zero-page caller-flag", "", "P.x=Z; P.r@Z"), ("break-cow-flag v5.8", "", "P.x=Z; P.r@A P.x=A:W"),
    ]),
    "roads: a shared page": ("P: x = 1", "P: fork C; P: TAKE", [
        ("spare-zero-page break-cow-flag", "gup x -> r | gup_fast x -> r | vmsplice x -> r", "C.x=A; P.r@B P.x=B:W"),
        ("caller-flag", "gup x -> r | gup_fast x -> r", "C.x=A; P.r@A P.x=A:R"),
        ("caller-flag", "vmsplice x -> r", "C.x=A; P.r@B P.x=B:W"),
    ]),
    "roads: FOLL_BREAK_COW is no write to userfaultfd": ("P: x = 1", "P: fork C; P: uffd_wp x; P: gup x -> r", [
        ("spare-zero-page break-cow-flag", "", "C.x=A; P.x=A:R; P.r@B P.x=B:R"),
        ("v5.8", "", "C.x=A; P.x=A:R; P.fault==BLOCKED"),
    ]),
    "roads: PROT_READ": ("P: x = 1 ro", "P: fork C; P: gup x -> r", [
        ("spare-zero-page break-cow-flag v5.8", "", "C.x=A; P.r@B P.x=B:RD C.x=A:R"),
        ("caller-flag", "", "C.x=A; P.r@A"),
    ]),
}  # fmt: skip
ROWS = dict(rows(FIELDS))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_field(row):
    """The field shows in a count, in an entry or in what the step returns."""
    kernel, init, steps, cells = row
    check(play(kernel, init, steps), cells)


# internal_get_user_pages_fast(): a walk that may not take a read-only entry makes a detour, whatever comes of it
FALLS_BACK = {
    "gup_fast": "v5.8 spare-zero-page break-cow-flag",
    "vmsplice": "v5.8 spare-zero-page break-cow-flag caller-flag",
}
WALKS = [(row, op) for op in FALLS_BACK for row in f"{ALL} caller-flag spare-zero-page break-cow-flag".split()]


def falls_back(row, op):
    """Does a lookup of a page that fork has shared need the slow path?"""
    return any(
        w.did == "falls back to the slow path" for w in play(row, "P: x = 1", f"P: fork C; P: {op} x -> r")[-1].why
    )


@pytest.mark.parametrize(("row", "op"), WALKS)
def test_the_lockless_walk(row, op):
    """Only the rule of v5.8 sends a read to the slow path; on the road C16 only the callers that ask go there."""
    assert falls_back(row, op) == (row in FALLS_BACK[op].split())


def copies_a_crowded_page(row):
    """1,024 references to a page that C shares look like a pin, and the mm has pinned another: is it copied for D?"""
    seen = play(row, "P: x = 1; P: y = 2", "P: fork C; P: pin y -> p; P: gup x -> r")
    s = seen[-1].state
    crowd = [Ref("P", f"r{n}", 0, s.ref("P", "r").frame) for n in range(1024)]
    s = replace(s, refs=tuple(sorted([*s.refs, *crowd], key=lambda r: (r.proc, r.name))))
    return any(
        w.fn == "copy_present_page" and "x" in w.did
        for w in step(s, KERNELS.get(row) or kernel(row), Action("P", "fork", arg="D")).why
    )


CROWDED = {"v5.9": True, "v5.10": True, "v5.18": True, **dict.fromkeys(G3.split(), False)}


@pytest.mark.parametrize("row", CROWDED)
def test_a_crowd_of_references(row):
    """70e806e4e645 copies; from v5.19 on no page can be pinned that is not exclusive, so it is shared. 6.1."""
    assert copies_a_crowded_page(row) == CROWDED[row]
