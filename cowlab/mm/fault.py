"""Page faults (mm/memory.c): who copies, who reuses. Each rule returns (state, result, why).

The question that the generations answer differently is asked in do_wp_page(): a store meets a read-only
entry of a private mapping; may the writer take the old page over? The answers stand at the end, each a
plain function named for what it decides.
"""

from . import huge
from .reclaim import do_swap_page
from .state import NO_TABLE, TAILS, ZERO_PAGE, Pte, State, Swp, Why, replace

VM_FAULT_WRITE = "VM_FAULT_WRITE"  # "this fault resolved a COW by writing"; the kernel dropped it in v6.2
BLOCKED = "BLOCKED"


def handle_mm_fault(s: State, k, proc: str, page: int, write=False, unshare=False, breaking=False):
    """One page fault; the caller has checked that the access is allowed. ``breaking``: COW is to be broken,
    but nobody writes (a road not taken). Source: handle_pte_fault()."""
    vma, pte = s.at(proc, page)
    if isinstance(pte, Swp):
        s, write, why = do_swap_page(s, k, proc, page, write)
        if not write:
            return s, VM_FAULT_WRITE if why.did.endswith("writable") else "", (why,)
        s, result, then = do_wp_page(s, k, proc, page)
        return s, result, (why, *then)
    if pte is not None and write and pte.wp == "uffd" and not breaking:
        return s, BLOCKED, (Why("handle_userfault", "waits for the monitor", "userfaultfd write-protects the page"),)
    if pte is not None and pte.huge and vma.cow:
        return huge.do_huge_pmd_wp_page(s, k, proc, page, unshare)
    if pte is not None:
        return do_wp_page(s, k, proc, page, unshare)
    if vma.huge and s.proc(proc).mm.tails[page] == NO_TABLE:
        return huge.do_huge_pmd_anonymous_page(s, k, proc, page, write)
    if vma.file is None:
        return do_anonymous_page(s, k, proc, page, write)
    s = grab_cache_page(s, vma.file)
    if write and vma.cow:
        return do_cow_fault(s, k, proc, page)
    # do_read_fault(), do_shared_fault(): vm_page_prot of a private mapping lacks the write bit
    s = s.put(proc, page, vma, Pte(s.files[vma.file], vma.shared and vma.write, dirty=write))
    fn = "do_shared_fault" if write else "do_read_fault"
    return s, "", (Why(fn, "maps the page-cache page", "the mapping has a file"),)


def grab_cache_page(s: State, file: int) -> State:
    """Fill a hole: shmem allocates the page-cache page."""
    if s.files[file] is not None:
        return s
    s, new = s.alloc("zero", anon=False)
    return s.with_file(file, new)


def do_anonymous_page(s: State, k, proc: str, page: int, write: bool):
    vma, _ = s.at(proc, page)
    if not write:
        s = s.put(proc, page, vma, Pte(ZERO_PAGE))
        return s, "", (Why("do_anonymous_page", "maps the zero page", "a read of memory never written"),)
    s, new = s.alloc("zero", exclusive=k.exclusive)
    s = s.put(proc, page, replace(vma, anon_vma=True), Pte(new, vma.write, dirty=vma.write))
    return s, "", (Why("do_anonymous_page", "allocates a page of zeros", "a write to memory never written"),)


def do_cow_fault(s: State, k, proc: str, page: int):
    vma, _ = s.at(proc, page)
    s, new = s.alloc(s.frames[s.files[vma.file]].value, exclusive=k.exclusive)
    s = s.put(proc, page, replace(vma, anon_vma=True), Pte(new, vma.write, dirty=True))
    return s, "", (Why("do_cow_fault", "copies", "a page-cache page, written through a private mapping", copied=True),)


def do_wp_page(s: State, k, proc: str, page: int, unshare=False):
    """A write meets a read-only entry; or FAULT_FLAG_UNSHARE (v5.19) asks for an exclusive page, which
    leaves the entry read-only on reuse, and maps a copy read-only and clean."""
    vma, pte = s.at(proc, page)
    old = s.frames[pte.frame]
    if vma.shared:
        s = s.put(proc, page, vma, Pte(pte.frame, vma.write, dirty=True))
        return s, VM_FAULT_WRITE, (Why("wp_page_shared", "makes the entry writable", "a shared mapping"),)
    if pte.frame == ZERO_PAGE:
        reuse, because = False, "the zero page is nobody's own"
    elif not old.anon:
        reuse, because = False, "a page-cache page in a private mapping"
    else:
        reuse, because = (k.reuse_ksm if old.ksm else k.reuse)(s, pte.frame)
    if reuse:
        if not old.exclusive:
            s = s.try_to_free_swap(pte.frame).with_frame(pte.frame, exclusive=k.exclusive, ksm=False)
        if unshare:
            return s, "", (Why("do_wp_page", "marks the page exclusive", because),)
        wp = pte.wp if pte.wp == "uffd" else ""
        s = s.put(proc, page, vma, Pte(pte.frame, vma.write and not wp, dirty=True, wp=wp))
        return s, VM_FAULT_WRITE, (Why("do_wp_page", "reuses the page", because),)
    s, new = s.alloc(old.value, exclusive=k.exclusive)
    wp = pte.wp if pte.wp == "uffd" else ""
    s = s.put(proc, page, replace(vma, anon_vma=True), Pte(new, vma.write and not (unshare or wp), not unshare, wp=wp))
    if k.copy_frees_swap_cache:
        s = s.try_to_free_swap(pte.frame, unless_mapped=True)
    s = mmu_notifier_invalidate(s, proc, page).swept()
    zero = pte.frame == ZERO_PAGE
    why = Why("do_wp_page", "allocates a page of zeros" if zero else "copies", because, copied=not zero)
    return s, "" if unshare else VM_FAULT_WRITE, (why,)


def mmu_notifier_invalidate(s: State, proc: str, page: int) -> State:
    """Whoever mirrors this page table lets the page go: here i915 userptr and KVM do, and the reference is
    ``revoked``. Source: mmu_notifier_invalidate_range_start()."""
    for r in s.refs:
        if r.mirror and r.frame is not None and (r.proc, r.page) == (proc, page):
            s = s.with_ref(replace(r, frame=None, error="revoked"))
    return s


# -- Kernel.reuse, Kernel.reuse_huge: may the writer take an anonymous page over? ------------------------


def sole_mapper(s: State, frame: int) -> tuple[bool, str]:
    """Nobody else maps it or has it in swap; references do not count. Of a THP, no part may be mapped
    twice. Source: mm/swapfile.c reuse_swap_page(), to v5.8."""
    n, slot = s.trans_huge_mapcount(frame), s.slot_of(frame)
    if slot is None:
        return n == 1, f"mapcount {n}"
    return n + s.swapcount(slot) == 1, f"mapcount {n}, swapcount {s.swapcount(slot)}"


def sole_reference(s: State, frame: int) -> tuple[bool, str]:
    """No other reference of any kind: a pipe counts as much as a mapping, and so does the swap cache.
    Source: 09854ba94c6a, v5.9."""
    n = s.refcount(frame)
    return n == 1, f"page_count {n}"


def sole_reference_but_swap_cache(s: State, frame: int) -> tuple[bool, str]:
    """The same, after lru_add_drain(), and with the page taken out of the swap cache if it can be. Source:
    53a05ad9f21d, d4c470970d45, v5.18."""
    return sole_reference(s.drained().try_to_free_swap(frame), frame)


def exclusive_or_sole_reference(s: State, frame: int) -> tuple[bool, str]:
    """PageAnonExclusive decides; only a page without it is counted. Source: 6c287605fd56, v5.19."""
    if s.frames[frame].exclusive:
        return True, "PageAnonExclusive"
    reuse, because = sole_reference_but_swap_cache(s, frame)
    return reuse, f"not exclusive, {because}"


def exclusive_or_only_mm(s: State, frame: int) -> tuple[bool, str]:
    """The same; a part of a large folio also if one mm alone maps all of it that is mapped, in more than one
    part, and nothing else refers to it. Source: wp_can_reuse_anon_folio(), 1da190f4d0a6, v6.15."""
    reuse, because = exclusive_or_sole_reference(s, frame)
    if reuse or not s.frames[frame].huge:
        return reuse, because
    mapped = s.mapcount(frame) + TAILS * s.tails(frame)
    mms = {p.name for p in s.procs if p.mm and frame in p.mm.tails} | {proc for proc, _, _ in s.entries(frame)}
    return len(mms) == 1 < mapped == s.refcount(frame), f"large folio mapped {mapped} times by {len(mms)} mm, {because}"


# -- Kernel.reuse_ksm --------------------------------------------------------------------------------------


def sole_ksm_reference(s: State, frame: int) -> tuple[bool, str]:
    """A KSM page that nobody else refers to. Source: do_wp_page(), reuse_ksm_page(), to v5.8."""
    n = s.refcount(frame)
    return n == 1, f"PageKsm, page_count {n}"


def never_reuse_ksm(s: State, frame: int) -> tuple[bool, str]:
    """Source: 09854ba94c6a, v5.9."""
    return False, "PageKsm"


# -- Kernel.mprotect_writable: does mprotect(PROT_WRITE) set the write bit of a private entry? -----------


def never(frame, pte: Pte) -> bool:
    return False


def if_exclusive_and_dirty(frame, pte: Pte) -> bool:
    """Source: mm/mprotect.c can_change_pte_writable(), 64fe24a3e05e, v6.0."""
    return frame.exclusive and pte.dirty and not pte.wp


def if_exclusive(frame, pte: Pte) -> bool:
    """Source: can_change_pte_writable(), v6.12."""
    return frame.exclusive and not pte.wp
