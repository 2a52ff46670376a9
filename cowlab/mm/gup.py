"""get_user_pages() and its relatives (mm/gup.c): how a reference to a user's page is taken.

The slow path is a loop: look up, fault, look up again. The fast path walks the page tables without a lock and falls
back to the slow one; the fast-only path never faults. A lookup returns (state, frame or None, error, why)."""

from .fault import BLOCKED, VM_FAULT_WRITE, handle_mm_fault
from .state import ZERO_PAGE, Frame, Pte, State, Vma, Why, replace

# include/linux/mm.h, v5.8; the last two are in no kernel: a flag inside, and one that callers can set (C14, C16)
FOLL_WRITE, FOLL_GET, FOLL_FORCE, FOLL_COW, FOLL_LONGTERM, FOLL_PIN = 0x01, 0x04, 0x10, 0x4000, 0x10000, 0x40000
FOLL_BREAK_COW, FOLL_ASK_BREAK = 0x200000, 0x400000


def get_user_pages(s: State, k, proc: str, page: int, flags: int):
    """The slow path; ``flags`` has FOLL_GET or FOLL_PIN. BLOCKED: the loop never ends. Source: __get_user_pages()."""
    s, foll, error, why = check_vma_flags(s, k, proc, page, flags)
    seen = set()
    while not error and (s, foll) not in seen:
        seen.add((s, foll))
        frame, want, looked = follow_page_pte(s, k, proc, page, foll)
        if frame is not None:
            return s, frame, "", (*why, looked)
        s, foll, error, faulted = faultin_page(s, k, proc, page, foll, want)
        why = (*why, looked, *faulted)
    if not error:
        why += (Why("__get_user_pages", "loops for ever", "no fault makes the entry one that it may follow"),)
    return s, None, error or BLOCKED, why


def check_vma_flags(s: State, k, proc: str, page: int, flags: int):
    """Before the loop: (state, its flags, error, why). FOLL_FORCE makes up for VM_WRITE in a private mapping."""
    vma, _ = s.at(proc, page)
    if vma is None:
        return s, flags, "EFAULT", (Why("__get_user_pages", "fails", "no mapping there"),)
    if flags & FOLL_WRITE and not vma.write and not (flags & FOLL_FORCE and vma.cow):
        return s, flags, "EFAULT", (Why("check_vma_flags", "refuses", "FOLL_WRITE, and no VM_WRITE"),)
    foll = k.force_cow_break(vma, flags)
    did = "adds FOLL_WRITE" if foll & FOLL_WRITE else "adds FOLL_BREAK_COW"
    broken = Why("should_force_cow_break", did, "a COW mapping, and the page itself is wanted")
    return mm_set_has_pinned(s, proc, flags), foll, "", (broken,) if foll != flags else ()


def follow_page_pte(s: State, k, proc: str, page: int, flags: int) -> tuple[int | None, str, Why]:
    """Look up under the page table lock: (frame or None, the fault to ask for, why)."""
    vma, pte = s.at(proc, page)
    if not isinstance(pte, Pte):
        return None, "fault", Why("follow_page_pte", "asks for a fault", "a swap entry" if pte else "no entry")
    wants = "FOLL_WRITE" if flags & FOLL_WRITE else "FOLL_BREAK_COW" if flags & FOLL_BREAK_COW else ""
    if wants and not k.follow_write(vma, pte, s.frames[pte.frame], flags):
        return None, "break", Why("follow_page_pte", "asks for a write fault", f"{wants}, and the entry is read-only")
    if not pte.write and k.must_unshare(vma, s.frames[pte.frame], flags):
        return None, "unshare", Why("follow_page_pte", "asks for unsharing", "gup_must_unshare(): this is a pin")
    because = "the entry is writable" if pte.write else "the entry is read-only"
    return pte.frame, "", Why("follow_page_pte", "takes the page", because)


def faultin_page(s: State, k, proc: str, page: int, flags: int, want: str):
    """Fault once: (state, flags from now on, error, why). FOLL_BREAK_COW breaks only what is mapped."""
    if s.at(proc, page)[0] is None:  # another thread has unmapped it
        return s, flags, "EFAULT", (Why("__get_user_pages", "fails", "no mapping there"),)
    write, breaking = bool(flags & FOLL_WRITE), want == "break" and not flags & FOLL_WRITE
    s, result, why = handle_mm_fault(s, k, proc, page, write or breaking, want == "unshare", breaking)
    if result == VM_FAULT_WRITE and not s.at(proc, page)[1].write:
        flags = k.after_break(flags)
        did = "remembers FOLL_COW" if flags & FOLL_COW else "forgets FOLL_WRITE"
        why += (Why("faultin_page", did, "COW is broken, but the entry stays read-only"),)
    return s, flags, result if result == BLOCKED else "", why


def get_user_pages_fast(s: State, k, proc: str, page: int, flags: int, only=False):
    """The lockless walk, then the slow path; or, with ``only``, the error ``nopage``. The walk sees no VMA, so it
    cannot tell a COW entry from another read-only one. Source: internal_get_user_pages_fast(), gup_pte_range()."""
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
        why = Why("gup_pte_range", "takes the page", f"the entry is {'writable' if pte.write else 'read-only'}")
        return mm_set_has_pinned(s, proc, flags), pte.frame, "", (why,)
    if only:
        return s, None, "nopage", (Why("gup_pte_range", "returns nothing", because),)
    s, frame, error, why = get_user_pages(s, k, proc, page, flags)
    return s, frame, error, (Why("gup_pte_range", "falls back to the slow path", because), *why)


def mm_set_has_pinned(s: State, proc: str, flags: int) -> State:
    return s.with_proc(proc, mm=replace(s.proc(proc).mm, has_pinned=True)) if flags & FOLL_PIN else s


# fmt: off
# -- Kernel.force_cow_break: does a lookup for reading break COW? ----------------------------------------
def take_as_is(vma: Vma, flags: int) -> int:
    return flags

def break_cow(vma: Vma, flags: int) -> int:
    """Yes, if the page itself is wanted; permissions were checked with the caller's flags. Source:
    should_force_cow_break(), 17839856fd."""
    return flags | FOLL_WRITE if vma.cow and flags & (FOLL_GET | FOLL_PIN) else flags

def break_cow_by_flag(vma: Vma, flags: int) -> int:
    """Yes, but by a flag of its own, which is no write to anybody else. Source: Peter Xu, "mm/gup: Allow real
    explicit breaking of COW", v3, 11 August 2020; not merged."""
    return flags | FOLL_BREAK_COW if vma.cow and flags & (FOLL_GET | FOLL_PIN) and not flags & FOLL_WRITE else flags

def break_cow_if_asked(vma: Vma, flags: int) -> int:
    """If the caller asks. Source: named in the message of 17839856fd; never written."""
    return flags | FOLL_WRITE if vma.cow and flags & FOLL_ASK_BREAK else flags

# -- Kernel.fast_walk: which entries may the lockless walk take? -----------------------------------------
def any_present(flags: int) -> int:
    return flags

def only_writable(flags: int) -> int:
    """Writable ones, even for a read. Source: internal_get_user_pages_fast(), 17839856fd."""
    return flags | FOLL_WRITE

def only_writable_if_asked(flags: int) -> int:
    return flags | FOLL_WRITE if flags & FOLL_ASK_BREAK else flags

# -- Kernel.after_break: what does the loop remember, when COW is broken but the entry stays read-only? --
def remember_cow(flags: int) -> int:
    """Source: faultin_page(), 19be0eaffa3a, v4.8.3."""
    return flags | FOLL_COW

def forget_write(flags: int) -> int:
    """From here on it is a read: Dirty COW, CVE-2016-5195. Source: faultin_page(), to v4.8.2."""
    return flags & ~FOLL_WRITE

# -- Kernel.follow_write: may FOLL_WRITE follow this entry? ----------------------------------------------
def writable(vma: Vma, pte: Pte, frame: Frame, flags: int) -> bool:
    """Never a read-only one. Source: follow_page_pte(), to v4.8.2."""
    return pte.write

def after_forced_cow(vma: Vma, pte: Pte, frame: Frame, flags: int) -> bool:
    """A read-only one only with FOLL_FORCE, once COW is broken. Source: can_follow_write_pte(), v4.8.3."""
    return pte.write or bool(flags & FOLL_FORCE and flags & FOLL_COW and pte.dirty)

def after_cow(vma: Vma, pte: Pte, frame: Frame, flags: int) -> bool:
    """Once COW is broken, with or without FOLL_FORCE. Source: can_follow_write_pte(), 17839856fd."""
    return pte.write or bool(flags & FOLL_COW and pte.dirty)

def after_cow_or_zero(vma: Vma, pte: Pte, frame: Frame, flags: int) -> bool:
    """The same, and the zero page for a read: C13, in no kernel."""
    return after_cow(vma, pte, frame, flags) or (pte.frame == ZERO_PAGE and not flags & FOLL_WRITE)

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
