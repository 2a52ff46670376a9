"""Splitting transparent huge pages (mm/huge_memory.c): a PMD maps 512 parts; split, it leaves one page table.
The tests watch one 4 KiB part. ``Mm.tails`` says which THP the other 511 entries of the page table map."""

from .state import ZERO_PAGE, State, replace


def split_huge_pmd(s: State, k, proc: str, page: int) -> State:
    """512 entries for the same THP, which stays whole. Source: __split_huge_pmd_locked()."""
    vma, pmd = s.at(proc, page)
    s = s.put(proc, page, vma, replace(pmd, huge=False, dirty=pmd.dirty and k.split_keeps_dirty))
    return s.with_tails(proc, page, None if pmd.frame == ZERO_PAGE else pmd.frame)


def split_huge_page(s: State, frame: int) -> State:
    """The compound page becomes 512 pages of its own. Source: split_huge_page_to_list()."""
    s = s.with_frame(frame, huge=False)
    for proc, page, pte in s.entries(frame):
        s = s.put(proc, page, s.at(proc, page)[0], replace(pte, huge=False)).with_tails(proc, page, None)
    for proc, page in [(p.name, at) for p in s.procs if p.mm for at, t in enumerate(p.mm.tails) if t == frame]:
        s = s.with_tails(proc, page, None)
    return s
