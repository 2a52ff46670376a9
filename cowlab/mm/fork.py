"""fork(2): which pages the child shares, and which are copied for it at once (mm/memory.c)."""

from .fault import mmu_notifier_invalidate
from .huge import split_huge_pmd
from .state import NO_TABLE, ZERO_PAGE, Mm, Proc, Pte, State, Swp, Why, replace


def dup_mm(s: State, k, parent: str, child: str) -> tuple[State, tuple[Why, ...]]:
    """A mapping that never held an anonymous page is not copied, so the child faults by itself; MAP_SHARED
    is such a mapping. The child has no MMF_HAS_PINNED. Source: dup_mmap(), copy_page_range(), mm_init()."""
    mm, why = s.proc(parent).mm, []
    vmas = tuple(None if v is None or v.dontcopy else v for v in mm.vmas)
    tails = tuple(NO_TABLE if v and v.huge and t == NO_TABLE else None for v, t in zip(vmas, mm.tails, strict=True))
    s = replace(s, procs=(*s.procs, Proc(child, Mm(vmas, (None,) * len(vmas), tails))))
    for page, (vma, pte) in enumerate(zip(vmas, mm.ptes, strict=True)):
        if vma is not None and vma.anon_vma:
            s = mmu_notifier_invalidate(s, parent, page)
            if isinstance(pte, Swp):
                for proc in (parent, child):  # pte_swp_clear_exclusive()
                    s = s.put(proc, page, vma if proc == child else mm.vmas[page], Swp(pte.slot))
                why.append(Why("copy_nonpresent_pte", f"shares the swap entry of {s.pages[page]}", "swap_duplicate()"))
            elif pte is not None:
                s, because = copy_present_pte(s, k, parent, child, page)
                why.append(because)
            elif mm.tails[page] not in (None, NO_TABLE):
                s = s.with_tails(child, page, mm.tails[page])
        elif pte is not None and vma is not None:
            why.append(Why("copy_page_range", f"skips {s.pages[page]}", "no anonymous page was ever there"))
    return s, tuple(why) or (Why("dup_mmap", "copies no entry", "none is present"),)


def copy_present_pte(s: State, k, parent: str, child: str, page: int) -> tuple[State, Why]:
    """Share the page, both entries read-only; or copy it for the child, and leave the parent's alone."""
    vma, pte = s.at(parent, page)
    copy, because = k.fork_copies(s, s.proc(parent).mm, pte.frame)
    tail = s.proc(parent).mm.tails[page]
    if copy and pte.huge:  # copy_huge_pmd() returns -EAGAIN, and all 512 parts are copied one by one
        s = split_huge_pmd(s, k, parent, page).with_tails(child, page, None)
    elif tail not in (None, NO_TABLE):
        s = s.with_tails(child, page, None if k.fork_copies(s, s.proc(parent).mm, tail)[0] else tail)
    if copy:
        s, new = s.alloc(s.frames[pte.frame].value, exclusive=k.exclusive)
        s = s.put(child, page, vma, Pte(new, vma.write, dirty=True))
        return s, Why("copy_present_page", f"copies {s.pages[page]} for the child", because, copied=True)
    s = s.with_frame(pte.frame, exclusive=False)
    for proc in (parent, child):
        wp = pte.wp if proc == parent or pte.wp != "uffd" else ""
        s = s.put(proc, page, s.at(proc, page)[0], Pte(pte.frame, False, pte.dirty, pte.huge, wp))
    return s, Why("copy_present_pte", f"shares {s.pages[page]}, read-only on both sides", because)


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
