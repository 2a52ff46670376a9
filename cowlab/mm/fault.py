"""Page faults (mm/memory.c): who copies, who reuses. Each rule returns (state, result, why).

do_wp_page() asks what the generations answer differently: a store meets a read-only entry of a private mapping; may the
writer take the old page over? The answers stand at the end, each a plain function named for what it decides."""

from .huge import split_huge_pmd
from .state import NO_TABLE, TAILS, ZERO_PAGE, Frame, Pte, State, Swp, Why, replace

VM_FAULT_WRITE = "VM_FAULT_WRITE"  # "this fault resolved a COW by writing"; the kernel dropped it in v6.2
BLOCKED = "BLOCKED"  # the result of a fault that nobody will ever resolve


def handle_mm_fault(s: State, k, proc: str, page: int, write=False, unshare=False, breaking=False):
    """A fault of an access that is allowed. ``breaking``: only COW is to be broken. Source: handle_pte_fault()."""
    vma, pte = s.at(proc, page)
    if pte is None:
        return (do_anonymous_page if vma.file is None else do_fault)(s, k, proc, page, write)
    if isinstance(pte, Swp):
        return do_swap_page(s, k, proc, page, write)
    if pte.wp == "uffd" and write and not breaking:
        return s, BLOCKED, (Why("handle_userfault", "waits for the monitor", "userfaultfd write-protects the page"),)
    return do_wp_page(s, k, proc, page, unshare)


def do_anonymous_page(s: State, k, proc: str, page: int, write: bool):
    """First touch. Source: do_anonymous_page(), do_huge_pmd_anonymous_page(), which always prepares the anon_vma."""
    vma, _ = s.at(proc, page)
    huge = vma.huge and s.proc(proc).mm.tails[page] == NO_TABLE
    vma, fn = replace(vma, anon_vma=vma.anon_vma or write or huge), f"do_{'huge_pmd_' if huge else ''}anonymous_page"
    if not write:
        did = "maps the huge zero page" if huge else "maps the zero page"
        return s.put(proc, page, vma, Pte(ZERO_PAGE, huge=huge)), "", (Why(fn, did, "a read of memory never written"),)
    s, new = s.alloc("zero", exclusive=k.exclusive, huge=huge)
    s = s.put(proc, page, vma, Pte(new, vma.write, dirty=vma.write, huge=huge))
    return s, "", (Why(fn, f"allocates a {'THP' if huge else 'page'} of zeros", "a write to memory never written"),)


def do_fault(s: State, k, proc: str, page: int, write: bool):
    """The mapping has a file. A private one is mapped read-only: its vm_page_prot lacks the write bit."""
    vma, _ = s.at(proc, page)
    s, cached = grab_cache_page(s, vma.file)
    if write and vma.cow:
        s, new = s.alloc(s.frames[cached].value, exclusive=k.exclusive)
        s = s.put(proc, page, replace(vma, anon_vma=True), Pte(new, vma.write, dirty=True))
        return s, "", (Why("do_cow_fault", "copies", "a page-cache page, written through a private mapping", True),)
    s = s.put(proc, page, vma, Pte(cached, vma.shared and vma.write, dirty=write))
    return s, "", (Why("do_shared_fault" if write else "do_read_fault", "maps the page-cache page", "a file mapping"),)


def grab_cache_page(s: State, file: int, value: str = "zero") -> tuple[State, int]:
    """The page-cache page; a hole is filled, by shmem with zeros."""
    if s.files[file] is None:
        s, new = s.alloc(value, anon=False)
        s = replace(s, files=(*s.files[:file], new, *s.files[file + 1 :]))
    return s, s.files[file]


def do_swap_page(s: State, k, proc: str, page: int, write: bool):
    """Bring a page back, in a new frame if it was written out. What a write cannot take over is for do_wp_page()."""
    vma, swp = s.at(proc, page)
    frame = s.slots[swp.slot].frame
    if frame is None:
        s, frame = s.alloc(s.slots[swp.slot].value)
        s = s.with_slot(swp.slot, frame=frame)
    s = s.put(proc, page, vma, None)  # swap_free()
    s, own, writable, because = k.swap_in(s, swp, frame, write)
    s = s.with_frame(frame, exclusive=True) if own and k.exclusive else s
    s = s.put(proc, page, vma, Pte(frame, writable and vma.write, dirty=write and own)).swept()
    why = Why("do_swap_page", "maps it writable" if write and own else "maps the page", because)
    done = own or not write
    s, result, then = (s, VM_FAULT_WRITE if write else "", ()) if done else do_wp_page(s, k, proc, page)
    return s, result, (why, *then)


def do_wp_page(s: State, k, proc: str, page: int, unshare=False):
    """A write meets a read-only entry; or FAULT_FLAG_UNSHARE (v5.19) asks for an exclusive page, which leaves the
    entry read-only on reuse, and maps a copy read-only and clean. Source: do_wp_page(), do_huge_pmd_wp_page()."""
    vma, pte = s.at(proc, page)
    old, zero, huge = s.frames[pte.frame], pte.frame == ZERO_PAGE, pte.huge
    fn, thing = ("do_huge_pmd_wp_page", "THP") if huge else ("do_wp_page", "page")
    if vma.shared:
        s = s.put(proc, page, vma, Pte(pte.frame, vma.write, dirty=True))
        return s, VM_FAULT_WRITE, (Why("wp_page_shared", "makes the entry writable", "a shared mapping"),)
    if zero:
        reuse, because = False, "the huge zero page" if huge else "the zero page is nobody's own"
    elif not old.anon:
        reuse, because = False, "a page-cache page in a private mapping"
    else:
        reuse, because = (k.reuse_huge if huge else k.reuse_ksm if old.ksm else k.reuse)(s, pte.frame)
    wp = "uffd" if pte.wp == "uffd" and not huge else ""  # a write ends soft-dirty's watch, not userfaultfd's
    writable = vma.write and not wp
    if reuse and not old.exclusive:
        s = s.try_to_free_swap(pte.frame).with_frame(pte.frame, exclusive=k.exclusive, ksm=False)
    if reuse and unshare:
        return s, "", (Why(fn, f"marks the {thing} exclusive", because),)
    if reuse:
        entry = replace(pte, write=writable, dirty=True) if huge else Pte(pte.frame, writable, dirty=True, wp=wp)
        return s.put(proc, page, vma, entry), VM_FAULT_WRITE, (Why(fn, f"reuses the {thing}", because),)
    if huge and (unshare or not (k.allocates_huge_for_zero if zero else k.copies_whole_huge)):
        s, result, then = do_wp_page(split_huge_pmd(s, k, proc, page), k, proc, page, unshare)
        return s, result, (Why(fn, "splits the PMD", because), *then)
    s, new = s.alloc(old.value, exclusive=k.exclusive, huge=huge)
    s = s.put(proc, page, replace(vma, anon_vma=True), Pte(new, writable and not unshare, not unshare, huge, wp))
    s = s.try_to_free_swap(pte.frame, unless_mapped=True) if k.copy_frees_swap_cache else s
    s = s.mmu_notifier_invalidate(proc, page).swept()
    did = f"allocates a {thing} of zeros" if zero else "copies the whole THP" if huge else "copies"
    return s, "" if unshare else VM_FAULT_WRITE, (Why(fn, did, because, copied=not zero),)


# fmt: off
# -- Kernel.reuse, Kernel.reuse_huge: may the writer take an anonymous page over? ------------------------
def sole_mapper(s: State, frame: int) -> tuple[bool, str]:
    """Nobody else maps it or has it in swap; references do not count. Of a THP, no part may be mapped
    twice. Source: mm/swapfile.c reuse_swap_page(), to v5.8."""
    entries, slot = s.entries(frame), s.slot_of(frame)
    n = max(len(entries), sum(t.huge for _, _, t in entries) + s.tails(frame))
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
    reuse, because = sole_reference_but_swap_cache(s, frame)
    return (True, "PageAnonExclusive") if s.frames[frame].exclusive else (reuse, f"not exclusive, {because}")

def exclusive_or_only_mm(s: State, frame: int) -> tuple[bool, str]:
    """The same; a part of a large folio also if one mm alone maps all of it that is mapped, in more than one
    part, and nothing else refers to it. Source: wp_can_reuse_anon_folio(), 1da190f4d0a6, v6.15."""
    reuse, because = exclusive_or_sole_reference(s, frame)
    if reuse or not s.frames[frame].huge:
        return reuse, because
    mapped = s.mapcount(frame) + TAILS * s.tails(frame)
    mms = {p.name for p in s.procs if p.mm and frame in p.mm.tails} | {proc for proc, _, _ in s.entries(frame)}
    return len(mms) == 1 < mapped == s.refcount(frame), f"large folio mapped {mapped} times by {len(mms)} mm, {because}"

# -- Kernel.reuse_ksm: and a KSM page? -------------------------------------------------------------------
def sole_ksm_reference(s: State, frame: int) -> tuple[bool, str]:
    """A KSM page that nobody else refers to. Source: do_wp_page(), reuse_ksm_page(), to v5.8."""
    n = s.refcount(frame)
    return n == 1, f"PageKsm, page_count {n}"

def never_reuse_ksm(s: State, frame: int) -> tuple[bool, str]:
    """Source: 09854ba94c6a, v5.9."""
    return False, "PageKsm"

# -- Kernel.swap_in: whose is the page that comes back? (state, the faulter's own, writable, why) --------
def sole_swap_user(s: State, swp: Swp, frame: int, write: bool):
    """A write fault takes the page over if nobody else maps it or has it in swap; references do not count.
    Source: reuse_swap_page() in do_swap_page(), to v5.17."""
    n, swapped = s.mapcount(frame), s.swapcount(swp.slot) + 1  # the entry of the fault is gone, but it counts
    own = write and not s.frames[frame].ksm and n + swapped == 1
    return s.try_to_free_swap(frame) if own else s, own, own, f"mapcount {n}, swapcount {swapped}"

def sole_swap_reference(s: State, swp: Swp, frame: int, write: bool):
    """A write fault takes the page over if nothing else refers to it. Source: c145e0b47c77, v5.18."""
    if write and s.refcount(frame) == 1:  # and the fault's own reference: page_count() == 2
        s = s.try_to_free_swap(frame)
    n = s.refcount(frame) + 1
    own = write and n == 1 and not s.frames[frame].ksm
    return s, own, own, f"page_count {n}"

def exclusive_or_sole_swap_reference(s: State, swp: Swp, frame: int, write: bool):
    """The same; and a swap entry remembers that the page was exclusive, for reads too. Source: 1493a1913e34, v5.19."""
    s, own, _, because = sole_swap_reference(s, swp, frame, write)
    own = swp.exclusive or own or s.refcount(frame) == 0
    return s, own, own and write, "the swap entry is exclusive" if swp.exclusive else because

def writable_if_exclusive(s: State, swp: Swp, frame: int, write: bool):
    """The same, and an exclusive page is mapped writable even by a read. Source: do_swap_page(), v6.12."""
    s, own, _, because = exclusive_or_sole_swap_reference(s, swp, frame, write)
    return s, own, own, because

# -- Kernel.mprotect_writable: does mprotect(PROT_WRITE) set the write bit of a private entry? -----------
def never(frame: Frame, pte: Pte) -> bool:
    return False

def if_exclusive_and_dirty(frame: Frame, pte: Pte) -> bool:
    """Source: mm/mprotect.c can_change_pte_writable(), 64fe24a3e05e, v6.0."""
    return frame.exclusive and pte.dirty and not pte.wp

def if_exclusive(frame: Frame, pte: Pte) -> bool:
    """Source: can_change_pte_writable(), v6.12."""
    return frame.exclusive and not pte.wp
