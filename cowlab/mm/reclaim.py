"""Memory pressure and KSM: what the kernel's own threads do to a page, and how it comes back from swap."""

from .state import TAILS, ZERO_PAGE, Pte, Slot, State, Swp, Why, replace


def shrink_page_list(s: State, k, page: int, of: str = "") -> tuple[State, tuple[Why, ...]]:
    """Reclaim every frame that stands at the page, in all processes; with ``of``, only that process's (the
    frame goes from all who map it). Source: mm/vmscan.c shrink_page_list(), add_to_swap(), try_to_unmap()."""
    here = [p.mm.ptes[page] for p in s.procs if p.mm and of in ("", p.name)]
    why: list[Why] = []
    for frame in dict.fromkeys(t.frame for t in here if isinstance(t, Pte)):
        s, because = reclaim_frame(s, k, frame)
        why.append(because)
    return s.swept(), tuple(why) or (Why("shrink_page_list", "finds nothing", "no frame is mapped there"),)


def reclaim_frame(s: State, k, frame: int) -> tuple[State, Why]:
    from .fault import mmu_notifier_invalidate

    page = s.frames[frame]
    if frame == ZERO_PAGE:
        return s, Why("shrink_page_list", "leaves the zero page", "it is on no LRU list")
    if page.huge and s.refcount(frame) > s.mapcount(frame) + TAILS * s.tails(frame):
        return s, Why("shrink_page_list", "keeps the THP", "an extra reference: it cannot be split")
    if page.anon and k.keeps_pinned and s.maybe_pinned(frame):
        return s, Why("shrink_page_list", "keeps the page", "page_maybe_dma_pinned()")
    if page.huge:
        s = split_huge_page(s, frame)
    slot = s.slot_of(frame)
    if page.anon and slot is None:
        s, slot = replace(s, slots=(*s.slots, Slot(page.value, frame))), len(s.slots)
    for proc, at, _ in s.entries(frame):
        s = mmu_notifier_invalidate(s, proc, at)
        s = s.put(proc, at, s.at(proc, at)[0], Swp(slot, page.exclusive) if page.anon else None)
    if not page.anon:
        return s, Why("try_to_unmap", "removes every entry", "the page stays in the page cache")
    s = s.with_frame(frame, exclusive=False)
    if s.refcount(frame) == 1:
        return s.with_slot(slot, None, page.value), Why("pageout", "writes the page out and frees it", "no reference")
    return s, Why("try_to_unmap", "makes every entry a swap entry", "a reference keeps the frame in the swap cache")


def split_huge_page(s: State, frame: int) -> State:
    """The compound page becomes 512 pages of its own. Source: split_huge_page_to_list()."""
    s = s.with_frame(frame, huge=False)
    for p in s.procs:
        for page, tail in enumerate(p.mm.tails if p.mm else ()):
            pte = p.mm.ptes[page]
            if tail == frame or (isinstance(pte, Pte) and pte.frame == frame):
                s = s.with_tails(p.name, page, None)
            if isinstance(pte, Pte) and pte.frame == frame:
                s = s.put(p.name, page, p.mm.vmas[page], replace(pte, huge=False))
    return s


def do_swap_page(s: State, k, proc: str, page: int, write: bool) -> tuple[State, bool, Why]:
    """Bring a page back: (state, whether a write fault is left for do_wp_page(), why). A page that was
    written out comes back in a new frame, in the swap cache. Source: mm/memory.c do_swap_page()."""
    vma, swp = s.at(proc, page)
    frame = s.slots[swp.slot].frame
    if frame is None:
        s, frame = s.alloc(s.slots[swp.slot].value)
        s = s.with_slot(swp.slot, frame)
    s, own, writable, because = k.swap_in(s, proc, page, frame, write)
    if own and k.exclusive:
        s = s.with_frame(frame, exclusive=True)
    done = write and own
    s = s.put(proc, page, vma, Pte(frame, writable and vma.write, dirty=done)).swept()
    return s, write and not own, Why("do_swap_page", "maps it writable" if done else "maps the page", because)


def merge_pages(s: State, k, pages: tuple[int, int]) -> tuple[State, tuple[Why, ...]]:
    """KSM merges the equal pages that stand at two pages, in all processes; the first one stays. It leaves
    a page that somebody else refers to. Source: mm/ksm.c try_to_merge_one_page(), write_protect_page()."""
    frames = []
    for p in s.procs:
        for t in [p.mm.ptes[page] for page in pages] if p.mm else ():
            if isinstance(t, Pte) and t.frame != ZERO_PAGE and s.frames[t.frame].anon and not s.frames[t.frame].huge:
                frames.append(t.frame)
    frames = [f for f in dict.fromkeys(frames) if s.refcount(f) == s.mapcount(f) + (s.slot_of(f) is not None)]
    same = [f for f in frames if s.frames[f].value == s.frames[frames[0]].value]
    if len(same) < 2:
        return s, (Why("try_to_merge_one_page", "merges nothing", "no two equal pages without a reference"),)
    s = s.with_frame(same[0], ksm=True, exclusive=False)
    for frame in same:
        for proc, page, t in s.entries(frame):
            s = s.put(proc, page, s.at(proc, page)[0], Pte(same[0], False, t.dirty))
    return s.swept(), (Why("try_to_merge_with_ksm_page", "merges the pages, read-only", "equal contents"),)


# -- Kernel.swap_in: whose is the page that comes back? (state, the faulter's own, writable, why) ---------


def sole_swap_user(s: State, proc: str, page: int, frame: int, write: bool):
    """A write fault takes the page over if nobody else maps it or has it in swap; references do not count.
    Source: reuse_swap_page() in do_swap_page(), to v5.17."""
    vma, swp = s.at(proc, page)
    n, swapped = s.mapcount(frame), s.swapcount(swp.slot)
    own = write and not s.frames[frame].ksm and n + swapped == 1
    s = s.put(proc, page, vma, None)  # swap_free()
    return s.try_to_free_swap(frame) if own else s, own, own, f"mapcount {n}, swapcount {swapped}"


def sole_swap_reference(s: State, proc: str, page: int, frame: int, write: bool):
    """A write fault takes the page over if nothing else refers to it. Source: c145e0b47c77, v5.18."""
    s = s.put(proc, page, s.at(proc, page)[0], None)
    if write and s.refcount(frame) == 1:  # and the fault's own reference: page_count() == 2
        s = s.try_to_free_swap(frame)
    n = s.refcount(frame) + 1
    own = write and n == 1 and not s.frames[frame].ksm
    return s, own, own, f"page_count {n}"


def exclusive_or_sole_swap_reference(s: State, proc: str, page: int, frame: int, write: bool):
    """The same; and a swap entry remembers that the page was exclusive, for reads too. Source: 1493a1913e34,
    v5.19."""
    exclusive = s.at(proc, page)[1].exclusive
    s, own, _, because = sole_swap_reference(s, proc, page, frame, write)
    if exclusive or own or s.refcount(frame) == 0:
        return s, True, write, "the swap entry is exclusive" if exclusive else because
    return s, False, False, because


def writable_if_exclusive(s: State, proc: str, page: int, frame: int, write: bool):
    """The same, and an exclusive page is mapped writable even by a read. Source: do_swap_page(), v6.12."""
    s, own, _, because = exclusive_or_sole_swap_reference(s, proc, page, frame, write)
    return s, own, own, because
