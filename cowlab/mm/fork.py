"""fork(2): which pages the child shares, and which are copied for it at once (mm/memory.c)."""

from .huge import split_huge_pmd
from .state import NO_TABLE, ZERO_PAGE, Mm, Proc, Pte, State, Swp, Why, replace


def dup_mm(s: State, k, parent: str, _page: int, child: str) -> tuple[State, tuple[Why, ...]]:
    """A mapping that never held an anonymous page is not copied, so the child faults by itself; MAP_SHARED
    is such a mapping. The child has no MMF_HAS_PINNED. Source: dup_mmap(), copy_page_range(), mm_init()."""
    mm, why = s.proc(parent).mm, []
    vmas = tuple(None if v is None or v.dontcopy else v for v in mm.vmas)
    tails = tuple(tail if vma else None for vma, tail in zip(vmas, mm.tails, strict=True))
    s = replace(s, procs=(*s.procs, Proc(child, Mm(vmas, (None,) * len(vmas), tails))))
    for page, (vma, pte) in enumerate(zip(vmas, mm.ptes, strict=True)):
        if vma and vma.anon_vma:
            s = s.mmu_notifier_invalidate(parent, page)
            if isinstance(pte, Swp):  # pte_swp_clear_exclusive()
                s = s.put(parent, page, vma, Swp(pte.slot)).put(child, page, vma, Swp(pte.slot))
                s = s.with_tails(child, page, None)
                why.append(Why("copy_nonpresent_pte", f"shares the swap entry of {s.pages[page]}", "swap_duplicate()"))
            elif pte:
                s, because = copy_present_pte(s, k, parent, child, page)
                why.append(because)
        elif vma and pte:
            why.append(Why("copy_page_range", f"skips {s.pages[page]}", "no anonymous page was ever there"))
    return s, tuple(why) or (Why("dup_mmap", "copies no entry", "none is present"),)


def copy_present_pte(s: State, k, parent: str, child: str, page: int) -> tuple[State, Why]:
    """Share the page, both entries read-only; or copy it for the child, and leave the parent's alone."""
    (vma, pte), mm = s.at(parent, page), s.proc(parent).mm
    copy, because = k.fork_copies(s, mm, pte.frame)
    if copy and pte.huge:  # copy_huge_pmd() returns -EAGAIN, and all 512 parts are copied one by one
        s = split_huge_pmd(s, k, parent, page).with_tails(child, page, None)
    elif mm.tails[page] not in (None, NO_TABLE) and k.fork_copies(s, mm, mm.tails[page])[0]:
        s = s.with_tails(child, page, None)
    if copy:
        s, new = s.alloc(s.frames[pte.frame].value, exclusive=k.exclusive)
        s = s.put(child, page, vma, Pte(new, vma.write, dirty=True))
        return s, Why("copy_present_page", f"copies {s.pages[page]} for the child", because, copied=True)
    s = s.with_frame(pte.frame, exclusive=False)
    entry = Pte(pte.frame, False, pte.dirty, pte.huge, pte.wp)
    s = s.put(parent, page, vma, entry).put(child, page, vma, replace(entry, wp="" if pte.wp == "uffd" else pte.wp))
    return s, Why("copy_present_pte", f"shares {s.pages[page]}, read-only on both sides", because)


# fmt: off
# -- Kernel.fork_copies: is the page copied for the child at once? ---------------------------------------
def share(s: State, mm: Mm, frame: int) -> tuple[bool, str]:
    """Never. Source: copy_one_pte(), to v5.8."""
    return False, "fork looks at no references"

def copy_if_maybe_pinned(s: State, mm: Mm, frame: int) -> tuple[bool, str]:
    """If this mm ever pinned and the count is that of a pin; 1024 plain references look the same. Source:
    copy_present_page(), page_maybe_dma_pinned(), 70e806e4e645, v5.9."""
    if frame == ZERO_PAGE or not mm.has_pinned:
        return False, "nothing of this mm was ever pinned"
    pinned = s.maybe_pinned(frame)
    return pinned, f"page_count {s.refcount(frame)}, {'maybe' if pinned else 'not'} pinned"

def copy_if_maybe_pinned_anon(s: State, mm: Mm, frame: int) -> tuple[bool, str]:
    """The same, but no page-cache page. Source: copy_present_page(), 5.10.223."""
    return copy_if_maybe_pinned(s, mm, frame) if s.frames[frame].anon else (False, "not an anonymous page")

def copy_exclusive_if_maybe_pinned(s: State, mm: Mm, frame: int) -> tuple[bool, str]:
    """The same, but only an exclusive page: no other can be pinned. Source: page_try_dup_anon_rmap(), v5.19."""
    return copy_if_maybe_pinned(s, mm, frame) if s.frames[frame].exclusive else (False, "the page is not exclusive")
