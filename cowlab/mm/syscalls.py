"""What a process can do besides fork and looking pages up: touch memory, change mappings, go away."""

from .callers import flags_of
from .fault import BLOCKED, grab_cache_page, handle_mm_fault
from .gup import FOLL_WRITE, get_user_pages_fast
from .reclaim import reclaim_frame
from .state import NO_TABLE, ZERO_PAGE, Pte, State, Swp, Vma, Why, replace


def access(s: State, k, proc: str, page: int, value: str | None = None):
    """A load, or with ``value`` a store, by the CPU: it faults until the entry allows it, or dies."""
    write, why = value is not None, ()
    while True:
        vma, pte = s.at(proc, page)
        if vma is None or (write and not vma.write):
            why += (Why("bad_area", "sends SIGSEGV", "the mapping lacks VM_WRITE" if vma else "no mapping there"),)
            return exit_mmap(s, proc, "SIGSEGV"), why, "SIGSEGV"
        if isinstance(pte, Pte) and (pte.write or pte.tlb or not write):
            break
        s, result, faulted = handle_mm_fault(s, k, proc, page, write)
        why += faulted
        if result == BLOCKED:
            return s.with_proc(proc, fault=BLOCKED), why, BLOCKED
    if not write:
        return s, why or (Why("the load", "needs no fault", "the entry is present"),), s.frames[pte.frame].value
    s = (s if pte.dirty else s.put(proc, page, vma, replace(pte, dirty=True))).with_frame(pte.frame, value=value)
    because = "the entry is writable" if pte.write else "the CPU still caches a writable entry"
    return s, why or (Why("the store", "needs no fault", because),), None


def mprotect(s: State, k, proc: str, page: int, protection: str):
    """Source: mm/mprotect.c change_pte_range(), can_change_pte_writable() (v6.0)."""
    vma, pte = s.at(proc, page)
    vma, writable = replace(vma, write=protection == "rw"), False
    if isinstance(pte, Pte):
        upgrade = pte.frame != ZERO_PAGE and k.mprotect_writable(s.frames[pte.frame], pte)
        writable = vma.write and (vma.shared or pte.write or upgrade)
        pte = replace(pte, write=writable, tlb=False)
    why = Why("change_pte_range", f"leaves the entry {'writable' if writable else 'read-only'}", protection)
    return s.mmu_notifier_invalidate(proc, page).put(proc, page, vma, pte), (why,)


def madvise(s: State, k, proc: str, page: int, advice: str):
    vma, pte = s.at(proc, page)
    if advice == "dontfork":
        return s.put(proc, page, replace(vma, dontcopy=True), pte), (Why("madvise", "sets VM_DONTCOPY", advice),)
    if advice == "dontneed":
        return zap(s, proc, page, vma).swept(), (Why("zap_pte_range", "removes the entry", advice),)
    if isinstance(pte, Pte) and s.mapcount(pte.frame) == 1:
        s, why = reclaim_frame(s, k, pte.frame)
        return s.swept(), (why,)
    return s, (Why("madvise_cold_or_pageout_pte_range", "does nothing", "no page there, or others map it too"),)


def munmap(s: State, k, proc: str, page: int, _arg: str):
    return zap(s, proc, page, None).swept(), (Why("unmap_vmas", "removes the mapping", "its references stay"),)


def zap(s: State, proc: str, page: int, vma: Vma | None) -> State:
    """Remove an entry, and the page from the swap cache where nobody needs it. Source: zap_pte_range()."""
    (_, pte), tail = s.at(proc, page), s.proc(proc).mm.tails[page]
    s = s.mmu_notifier_invalidate(proc, page).put(proc, page, vma, None)
    s = s.with_tails(proc, page, NO_TABLE if vma and tail == NO_TABLE else None)
    frame = s.slots[pte.slot].frame if isinstance(pte, Swp) else pte and pte.frame
    return s if frame is None else s.try_to_free_swap(frame, unless_mapped=True)


def exit_mmap(s: State, proc: str, fault: str | None = None, exec: bool = False) -> State:
    """All mappings go; references stay with whoever holds them."""
    for page in range(len(s.pages)):
        s = zap(s, proc, page, None)
    return s.with_proc(proc, mm=replace(s.proc(proc).mm, has_pinned=False) if exec else None, fault=fault).swept()


def clear_refs(s: State, k, proc: str, _page: int, _arg: str):
    """4 into /proc/self/clear_refs write-protects entries, so that the next write shows. Source: clear_soft_dirty()."""
    mm, kept = s.proc(proc).mm, []
    for page, (vma, pte) in enumerate(zip(mm.vmas, mm.ptes, strict=True)):
        keeps = k.clear_refs_keeps_pinned and mm.has_pinned and vma and vma.cow
        if isinstance(pte, Pte) and pte.write and keeps and s.maybe_pinned(pte.frame):
            kept.append(s.pages[page])
        elif isinstance(pte, Pte):
            tlb = pte.write and not k.clear_refs_flushes
            s = s.put(proc, page, vma, replace(pte, write=False, wp=pte.wp or "soft-dirty", tlb=tlb))
    because = f"{', '.join(kept)} may be pinned and stays" if kept else "soft-dirty tracking starts"
    return s, (Why("clear_soft_dirty", "write-protects the entries", because),)


def uffd_wp(s: State, k, proc: str, page: int, _arg: str):
    """userfaultfd write-protects what is mapped there; the monitor is the process itself."""
    vma, pte = s.at(proc, page)
    s = s.put(proc, page, vma, replace(pte, write=False, wp="uffd", tlb=False)) if isinstance(pte, Pte) else s
    did = "write-protects the entry" if pte else "finds no entry"
    return s, (Why("mwriteprotect_range", did, "UFFDIO_WRITEPROTECT"),)


def uffd_continue(s: State, k, proc: str, page: int, _arg: str):
    """UFFDIO_CONTINUE maps the page-cache page, in a private mapping read-only, and dirty all the same.
    Source: mfill_atomic_install_pte(), v5.16 [from memory]; the way into CVE-2022-2590."""
    vma, pte = s.at(proc, page)
    if not k.uffd_continue or vma.file is None or pte is not None:
        return s, (Why("mcontinue_atomic_pte", "refuses", "not here, or not in this kernel"),), "EINVAL"
    s, cached = grab_cache_page(s, vma.file)
    s = s.put(proc, page, vma, Pte(cached, vma.shared and vma.write, dirty=True))
    return s, (Why("mfill_atomic_install_pte", "maps the page-cache page, dirty", "UFFDIO_CONTINUE"),)


def filewrite(s: State, k, proc: str, page: int, value: str):
    """write(2) to the file behind the page: it changes the page cache, and nothing else."""
    vma, _ = s.at(proc, page)
    if vma.file is None:
        return s, (Why("write", "fails", "no file is behind the page"),), "EBADF"
    s, cached = grab_cache_page(s, vma.file)
    return s.with_frame(cached, value=value), (Why("generic_perform_write", "writes the page-cache page", value),)


def futex_wait(s: State, k, proc: str, page: int):
    """A shared futex: its key is the page, looked up for writing and then, if that may not be, for reading;
    there an anonymous page is refused. Source: kernel/futex.c get_futex_key(), v5.8."""
    flags = flags_of(k, "futex_wait")
    s, frame, error, why = get_user_pages_fast(s, k, proc, page, flags)
    if error == "EFAULT":
        s, frame, error, again = get_user_pages_fast(s, k, proc, page, flags & ~FOLL_WRITE)
        why += again
        if frame is not None and (s.frames[frame].anon or frame == ZERO_PAGE):
            return s, (*why, Why("get_futex_key", "refuses", "an anonymous page, and read-only")), "EFAULT"
    return s, (*why, Why("get_futex_key", "fails" if error else "builds the key", "from the page")), error or "EAGAIN"
