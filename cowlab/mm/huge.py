"""Transparent huge pages (mm/huge_memory.c): a PMD maps 512 parts; splitting it leaves one page table.

The tests watch one 4 KiB part. ``Mm.tails`` says which THP the other 511 entries of the page table map.
"""

from .state import ZERO_PAGE, Pte, State, Why, replace


def do_huge_pmd_anonymous_page(s: State, k, proc: str, page: int, write: bool):
    """First touch: the huge zero page for a read, a THP for a write. Both prepare the anon_vma."""
    vma = replace(s.at(proc, page)[0], anon_vma=True)
    if not write:
        s = s.put(proc, page, vma, Pte(ZERO_PAGE, huge=True))
        return s, "", (Why("do_huge_pmd_anonymous_page", "maps the huge zero page", "a read of memory never written"),)
    s, new = s.alloc("zero", exclusive=k.exclusive, huge=True)
    s = s.put(proc, page, vma, Pte(new, vma.write, dirty=vma.write, huge=True))
    return s, "", (Why("do_huge_pmd_anonymous_page", "allocates a THP of zeros", "a write to memory never written"),)


def do_huge_pmd_wp_page(s: State, k, proc: str, page: int, unshare=False):
    """A write (or a wish for an exclusive page) meets a read-only PMD. Source: do_huge_pmd_wp_page()."""
    from .fault import VM_FAULT_WRITE, do_wp_page, mmu_notifier_invalidate

    vma, pmd = s.at(proc, page)
    zero = pmd.frame == ZERO_PAGE
    reuse, because = (False, "the huge zero page") if zero else k.reuse_huge(s, pmd.frame)
    if reuse:
        s = s.with_frame(pmd.frame, exclusive=k.exclusive)
        if unshare:
            return s, "", (Why("do_huge_pmd_wp_page", "marks the THP exclusive", because),)
        s = s.put(proc, page, vma, replace(pmd, write=vma.write, dirty=True))
        return s, VM_FAULT_WRITE, (Why("do_huge_pmd_wp_page", "reuses the THP", because),)
    if (k.allocates_huge_for_zero if zero else k.copies_whole_huge) and not unshare:
        s, new = s.alloc(s.frames[pmd.frame].value, exclusive=k.exclusive, huge=True)
        s = s.put(proc, page, vma, Pte(new, vma.write, dirty=True, huge=True))
        s = mmu_notifier_invalidate(s, proc, page).swept()
        did = "allocates a THP of zeros" if zero else "copies the whole THP"
        return s, VM_FAULT_WRITE, (Why("do_huge_pmd_wp_page", did, because, copied=not zero),)
    s, why = split_huge_pmd(s, k, proc, page), Why("do_huge_pmd_wp_page", "splits the PMD", because)
    s, result, then = do_wp_page(s, k, proc, page, unshare)
    return s, result, (why, *then)


def split_huge_pmd(s: State, k, proc: str, page: int) -> State:
    """512 entries for the same THP, which stays whole. Source: __split_huge_pmd_locked()."""
    vma, pmd = s.at(proc, page)
    s = s.put(proc, page, vma, replace(pmd, huge=False, dirty=pmd.dirty and k.split_keeps_dirty))
    return s.with_tails(proc, page, None if pmd.frame == ZERO_PAGE else pmd.frame)
