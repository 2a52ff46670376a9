"""Memory pressure and KSM: what the kernel's own threads do to a page."""

from .huge import split_huge_page
from .state import TAILS, ZERO_PAGE, Pte, Slot, State, Swp, Why, replace


def shrink_page_list(s: State, k, _proc: str, page: int, of: str) -> tuple[State, tuple[Why, ...]]:
    """Reclaim every frame that stands at the page, in all processes; with ``of``, only that process's (the
    frame goes from all who map it). Source: mm/vmscan.c shrink_page_list(), add_to_swap(), try_to_unmap()."""
    here = [p.mm.ptes[page] for p in s.procs if p.mm and of in ("", p.name)]
    why: tuple[Why, ...] = ()
    for frame in dict.fromkeys(t.frame for t in here if isinstance(t, Pte)):
        s, because = reclaim_frame(s, k, frame)
        why += (because,)
    return s.swept(), why or (Why("shrink_page_list", "finds nothing", "no frame is mapped there"),)


def reclaim_frame(s: State, k, frame: int) -> tuple[State, Why]:
    page = s.frames[frame]
    if frame == ZERO_PAGE:
        return s, Why("shrink_page_list", "leaves the zero page", "it is on no LRU list")
    if page.huge and s.refcount(frame) > s.mapcount(frame) + TAILS * s.tails(frame):
        return s, Why("shrink_page_list", "keeps the THP", "an extra reference: it cannot be split")
    if page.anon and k.keeps_pinned and s.maybe_pinned(frame):
        return s, Why("shrink_page_list", "keeps the page", "page_maybe_dma_pinned()")
    s = split_huge_page(s, frame) if page.huge else s
    slot = s.slot_of(frame)
    if page.anon and slot is None:
        s, slot = replace(s, slots=(*s.slots, Slot(page.value, frame))), len(s.slots)
    for proc, at, _ in s.entries(frame):
        entry = Swp(slot, page.exclusive) if page.anon else None
        s = s.mmu_notifier_invalidate(proc, at).put(proc, at, s.at(proc, at)[0], entry)
    if not page.anon:
        return s, Why("try_to_unmap", "removes every entry", "the page stays in the page cache")
    s = s.with_frame(frame, exclusive=False)
    if s.refcount(frame) == 1:
        s = s.with_slot(slot, frame=None, value=page.value)
        return s, Why("pageout", "writes the page out and frees it", "no reference")
    return s, Why("try_to_unmap", "makes every entry a swap entry", "a reference keeps the frame in the swap cache")


def merge_pages(s: State, k, _proc: str, page: int, other: str) -> tuple[State, tuple[Why, ...]]:
    """KSM merges equal pages that stand at two pages, in all processes; it leaves one that somebody else refers to.
    Which of them stays does not depend on who forked whom. Source: mm/ksm.c try_to_merge_one_page()."""
    mms = [p.mm for p in sorted(s.procs, key=lambda p: p.name) if p.mm]
    here = [mm.ptes[at] for at in (page, s.pages.index(other)) for mm in mms]
    equal: dict[str, list[int]] = {}
    for frame in dict.fromkeys(t.frame for t in here if isinstance(t, Pte)):
        unused = s.refcount(frame) == s.mapcount(frame) + (s.slot_of(frame) is not None)
        if s.frames[frame].anon and not s.frames[frame].huge and unused:
            equal.setdefault(s.frames[frame].value, []).append(frame)
    same = [frames for frames in equal.values() if len(frames) > 1]
    for first, *others in same:
        s = s.with_frame(first, ksm=True, exclusive=False)
        for proc, at, t in [entry for frame in (first, *others) for entry in s.entries(frame)]:
            s = s.mmu_notifier_invalidate(proc, at).put(proc, at, s.at(proc, at)[0], Pte(first, False, t.dirty))
    if not same:
        return s, (Why("try_to_merge_one_page", "merges nothing", "no two equal pages without a reference"),)
    return s.swept(), (Why("try_to_merge_with_ksm_page", "merges the pages, read-only", "equal contents"),)
