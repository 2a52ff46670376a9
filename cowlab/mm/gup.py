"""get_user_pages() and its relatives (mm/gup.c): how a reference to a user's page is taken.

The slow path is a loop: look up, fault, look up again. The fast path walks the page tables without a lock
and falls back to the slow one. The fast-only path never faults. A lookup returns (state, frame or None,
error, why); the answers that differ between generations stand at the end.
"""

from .fault import BLOCKED, VM_FAULT_WRITE, handle_mm_fault
from .state import ZERO_PAGE, Frame, Pte, State, Vma, Why, replace

# include/linux/mm.h, v5.8
FOLL_WRITE, FOLL_GET, FOLL_FORCE, FOLL_COW, FOLL_LONGTERM, FOLL_PIN = 0x01, 0x04, 0x10, 0x4000, 0x10000, 0x40000


def get_user_pages(s: State, k, proc: str, page: int, flags: int):
    """The slow path; ``flags`` has FOLL_GET or FOLL_PIN. EFAULT: no mapping, or FOLL_WRITE without VM_WRITE
    (FOLL_FORCE helps in a private mapping). BLOCKED: the loop makes no headway and would never end.
    Source: __get_user_pages(), check_vma_flags(), faultin_page()."""
    vma, _ = s.at(proc, page)
    if vma is None:
        return s, None, "EFAULT", (Why("__get_user_pages", "fails", "no mapping there"),)
    if flags & FOLL_WRITE and not vma.write and not (flags & FOLL_FORCE and vma.cow):
        return s, None, "EFAULT", (Why("check_vma_flags", "refuses", "FOLL_WRITE, and no VM_WRITE"),)
    s, foll, why, seen = _has_pinned(s, proc, flags), k.force_cow_break(vma, flags), [], set()
    if foll != flags:
        why = [Why("should_force_cow_break", "adds FOLL_WRITE", "a COW mapping, and the page itself is wanted")]
    while (s, foll) not in seen:
        seen.add((s, foll))
        frame, unshare, looked = follow_page_pte(s, k, proc, page, foll)
        why.append(looked)
        if frame is not None:
            return s, frame, "", tuple(why)
        s, result, faulted = handle_mm_fault(s, k, proc, page, bool(foll & FOLL_WRITE), unshare)
        why += faulted
        if result == BLOCKED:
            return s, None, BLOCKED, tuple(why)
        if result == VM_FAULT_WRITE and not vma.write:
            foll |= FOLL_COW
            why.append(Why("faultin_page", "remembers FOLL_COW", "COW is broken, but the entry stays read-only"))
    why.append(Why("__get_user_pages", "loops for ever", "no fault makes the entry one that it may follow"))
    return s, None, BLOCKED, tuple(why)


def follow_page_pte(s: State, k, proc: str, page: int, flags: int) -> tuple[int | None, bool, Why]:
    """Look up under the page table lock: (frame or None, whether the fault is to unshare, why)."""
    vma, pte = s.at(proc, page)
    if not isinstance(pte, Pte):
        return None, False, Why("follow_page_pte", "asks for a fault", "a swap entry" if pte else "no entry")
    if flags & FOLL_WRITE and not k.follow_write(vma, pte, s.frames[pte.frame], flags):
        return None, False, Why("follow_page_pte", "asks for a write fault", "FOLL_WRITE, and the entry is read-only")
    if not pte.write and k.must_unshare(vma, s.frames[pte.frame], flags):
        return None, True, Why("follow_page_pte", "asks for unsharing", "gup_must_unshare(): a pin needs its own page")
    return pte.frame, False, Why("follow_page_pte", "takes the page", _entry(pte))


def get_user_pages_fast(s: State, k, proc: str, page: int, flags: int, only=False):
    """The lockless walk, then the slow path; with ``only`` nothing more, and the error is ``nopage``.

    The walk sees entries and no VMA, so it cannot tell a COW entry from another read-only one, and it
    refuses the zero page, whose entry is special. Source: internal_get_user_pages_fast(), gup_pte_range()."""
    _, pte = s.at(proc, page)
    if not isinstance(pte, Pte):
        because = "a swap entry" if pte else "no entry"
    elif pte.frame == ZERO_PAGE and not pte.huge:
        because = "the zero page's entry is special"
    elif not pte.write and (flags if only else k.fast_walk(flags)) & FOLL_WRITE:
        because = "the entry is read-only" + ("" if flags & FOLL_WRITE else ", and might need COW breaking")
    elif not pte.write and k.must_unshare(None, s.frames[pte.frame], flags):
        because = "gup_must_unshare(): the page may be shared"
    else:
        return _has_pinned(s, proc, flags), pte.frame, "", (Why("gup_pte_range", "takes the page", _entry(pte)),)
    if only:
        return s, None, "nopage", (Why("gup_pte_range", "returns nothing", because),)
    s, frame, error, why = get_user_pages(s, k, proc, page, flags)
    return s, frame, error, (Why("gup_pte_range", "falls back to the slow path", because), *why)


def _has_pinned(s: State, proc: str, flags: int) -> State:
    return s.with_proc(proc, mm=replace(s.proc(proc).mm, has_pinned=True)) if flags & FOLL_PIN else s


def _entry(pte: Pte) -> str:
    return "the entry is writable" if pte.write else "the entry is read-only"


# -- Kernel.force_cow_break: does a lookup for reading break COW? ----------------------------------------


def take_as_is(vma: Vma, flags: int) -> int:
    return flags


def break_cow(vma: Vma, flags: int) -> int:
    """Yes, if the page itself is wanted; permissions were checked with the caller's flags. Source:
    should_force_cow_break(), 17839856fd."""
    return flags | FOLL_WRITE if vma.cow and flags & (FOLL_GET | FOLL_PIN) else flags


# -- Kernel.fast_walk: which entries may the lockless walk take? -----------------------------------------


def any_present(flags: int) -> int:
    return flags


def only_writable(flags: int) -> int:
    """Writable ones, even for a read. Source: internal_get_user_pages_fast(), 17839856fd."""
    return flags | FOLL_WRITE


# -- Kernel.follow_write: may FOLL_WRITE follow this entry? ----------------------------------------------


def after_forced_cow(vma: Vma, pte: Pte, frame: Frame, flags: int) -> bool:
    """A read-only one only with FOLL_FORCE, once COW is broken. Source: can_follow_write_pte(), v4.8.3."""
    return pte.write or bool(flags & FOLL_FORCE and flags & FOLL_COW and pte.dirty)


def after_cow(vma: Vma, pte: Pte, frame: Frame, flags: int) -> bool:
    """Once COW is broken, with or without FOLL_FORCE. Source: can_follow_write_pte(), 17839856fd."""
    return pte.write or bool(flags & FOLL_COW and pte.dirty)


def exclusive_if_forced(vma: Vma, pte: Pte, frame: Frame, flags: int) -> bool:
    """With FOLL_FORCE, if the page is exclusive. Source: can_follow_write_pte(), 5535be309971, v6.0."""
    return pte.write or bool(flags & FOLL_FORCE and vma.cow and not vma.write and frame.exclusive)


# -- Kernel.must_unshare: must a read-only entry's page be unshared first? (vma None: lockless) ----------


def never_unshare(vma: Vma | None, frame: Frame, flags: int) -> bool:
    return False


def unshare_if_pinned(vma: Vma | None, frame: Frame, flags: int) -> bool:
    """For FOLL_PIN, an anonymous page that is not exclusive. Source: gup_must_unshare(), v5.19."""
    return bool(flags & FOLL_PIN and not flags & FOLL_WRITE and frame.anon and not frame.exclusive)


def unshare_if_pinned_longterm(vma: Vma | None, frame: Frame, flags: int) -> bool:
    """With FOLL_LONGTERM also the zero page and page-cache pages of a COW mapping. Source: v6.2."""
    if frame.anon or not flags & FOLL_LONGTERM:
        return unshare_if_pinned(vma, frame, flags)
    return bool(flags & FOLL_PIN and not flags & FOLL_WRITE and (vma is None or vma.cow))
