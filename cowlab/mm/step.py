"""The one list of what can happen. Everything that moves in cowlab moves through step()."""

from typing import NamedTuple

from . import callers
from .fault import BLOCKED, grab_cache_page, handle_mm_fault, mmu_notifier_invalidate
from .fork import dup_mm
from .gup import FOLL_GET, FOLL_PIN, FOLL_WRITE, get_user_pages_fast
from .huge import split_huge_pmd
from .reclaim import merge_pages, reclaim_frame, shrink_page_list
from .state import NO_TABLE, ZERO_PAGE, Frame, Mm, Proc, Pte, Ref, State, Swp, Vma, Why, replace

GRAMMAR = {  # step: its arguments, as in a litmus test
    "read": "PAGE [-> REG]", "write": "PAGE VALUE",
    "fork": "PROC", "exec": "", "exit": "",
    "munmap": "PAGE", "mprotect": "PAGE ro|rw", "madvise": "PAGE dontneed|dontfork|pageout",
    **{op: caller.args for op, caller in callers.CALLERS.items()},
    "put": "REF", "load": "REF [-> REG]", "store": "REF VALUE",
    "filewrite": "PAGE VALUE", "clear_refs": "", "uffd_wp": "PAGE", "futex_wait": "PAGE -> REG",
    "reclaim": "PAGE", "merge": "PAGE PAGE2",
}  # fmt: skip
KERNEL_THREADS = {"kswapd": "reclaim", "ksmd": "merge"}  # what each of them does


class Action(NamedTuple):
    """One step of one process; ``str()`` is its text in a litmus test."""

    proc: str
    op: str
    page: str = ""
    arg: str = ""  # the value, the process to fork, ro, dontneed, ...
    ref: str = ""
    reg: str = ""
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        named = self.ref if self.op in ("put", "load", "store") else ""
        target = self.reg or ("" if named else self.ref)
        words = (self.op, self.page, named, self.arg, target and f"-> {target}", *self.options)
        return f"{self.proc}: {' '.join(w for w in words if w)}"


class Stepped(NamedTuple):
    """``result`` is what the call returned: a value that was read, ``ret=1``, an errno, or None."""

    state: State
    why: tuple[Why, ...]
    result: str | None = None


def boot(k, proc: str, pages: dict[str, tuple[str | None, frozenset[str]]]) -> State:
    """The machine before the first step: {page: (value or None for untouched, attributes)}, all of ``proc``."""
    vmas, tails, files, frames = [], [], [], [Frame("zero", anon=False)]
    for value, attributes in pages.values():
        has_file, huge = bool(attributes & {"file", "shared"}), bool(attributes & {"huge", "hugepte"})
        vmas.append(Vma(shared="shared" in attributes, file=len(files) if has_file else None, huge=huge))
        tails.append(NO_TABLE if huge else None)
        if has_file:
            files.append(len(frames) if value and "file" in attributes else None)
            frames += [Frame(value, anon=False)] * (files[-1] is not None)
    mm = Mm(tuple(vmas), (None,) * len(vmas), tuple(tails))
    s = State(tuple(pages), (Proc(proc, mm),), tuple(frames), tuple(files))
    for page, (value, attributes) in pages.items():
        if value and "file" not in attributes:
            s = step(s, k, Action(proc, "write", page, value)).state
        if "hugepte" in attributes:
            s = split_huge_pmd(s, k, proc, s.pages.index(page)) if value else s.with_tails(proc, s.pages.index(page), None)
        if "ro" in attributes:
            s = step(s, k, Action(proc, "mprotect", page, "ro")).state
    return s


def step(s: State, k, a: Action) -> Stepped:
    """What ``a`` does to ``s`` under the rules of kernel ``k``. A step that the kernel refuses has a
    ``result`` that says so; a bad access kills the process."""
    op, proc, page = a.op, a.proc, s.pages.index(a.page) if a.page else 0
    if op == "reclaim":
        return Stepped(*shrink_page_list(s, k, page, a.arg))
    if op == "merge":
        return Stepped(*merge_pages(s, k, (page, s.pages.index(a.arg))))
    vma, pte = s.at(proc, page)
    ref = s.ref(proc, a.ref) if a.ref else None
    if op in ("read", "write"):
        return access(s, k, a, page)
    if op in callers.CALLERS:
        return reference(s, k, a, page)
    if op == "fork":
        return Stepped(*dup_mm(s, k, proc, a.arg))
    if op in ("exec", "exit"):
        nothing = (None,) * len(s.pages)
        return leave(s, k, proc, Mm(nothing, nothing, nothing) if op == "exec" else None)
    if op == "clear_refs":
        return clear_refs(s, k, proc)
    if op == "put" and ref and ref.frame is not None:
        s = replace(s, refs=tuple(r for r in s.refs if r is not ref)).swept()
        return Stepped(s, (Why("put_page", "drops the reference", a.ref),))
    if op in ("put", "load", "store"):
        return through(s, a, ref)
    if vma is None:
        return Stepped(s, (Why(op, "finds no mapping", "nothing is done"),), None if op == "munmap" else "ENOMEM")
    if op == "filewrite":
        return filewrite(s, a, vma)
    if op == "futex_wait":
        return futex_wait(s, k, a, page)
    if a.arg == "pageout":  # it leaves pages that other processes map too
        if isinstance(pte, Pte) and s.mapcount(pte.frame) == 1:
            s, why = reclaim_frame(s, k, pte.frame)
            return Stepped(s.swept(), (why,))
        return Stepped(s, (Why("madvise_cold_or_pageout_pte_range", "does nothing", "no page of its own there"),))
    if op == "uffd_wp":
        if isinstance(pte, Pte):
            pte = replace(pte, write=False, wp="uffd", tlb=False)
        why = Why("mwriteprotect_range", "write-protects the entry" if pte else "finds no entry", "userfaultfd")
    elif op == "mprotect":
        vma = replace(vma, write=a.arg == "rw")
        if isinstance(pte, Pte):
            upgrade = pte.frame != ZERO_PAGE and k.mprotect_writable(s.frames[pte.frame], pte)
            pte = replace(pte, write=vma.write and (vma.shared or pte.write or upgrade), tlb=False)
        writable = isinstance(pte, Pte) and pte.write
        why = Why("change_pte_range", f"leaves the entry {'writable' if writable else 'read-only'}", a.arg)
    elif a.arg == "dontfork":
        return Stepped(s.put(proc, page, replace(vma, dontcopy=True), pte), (Why("madvise", "sets VM_DONTCOPY", "dontfork"),))
    else:
        vma = vma if op == "madvise" else None
        why = Why("zap_pte_range", "removes the entry" if vma else "removes the mapping", a.arg or op)
        return Stepped(zap(s, proc, page, vma).swept(), (why,))
    return Stepped(mmu_notifier_invalidate(s, proc, page).put(proc, page, vma, pte), (why,))


def zap(s: State, proc: str, page: int, vma: Vma | None) -> State:
    """Remove an entry, and the page from the swap cache when nobody else needs it there. Source:
    zap_pte_range(), free_swap_and_cache(), free_pages_and_swap_cache()."""
    _, pte = s.at(proc, page)
    tail = s.proc(proc).mm.tails[page]
    s = mmu_notifier_invalidate(s, proc, page).put(proc, page, vma, None)
    s = s.with_tails(proc, page, NO_TABLE if vma and tail == NO_TABLE else None)
    frame = s.slots[pte.slot].frame if isinstance(pte, Swp) else pte and pte.frame
    return s if frame is None else s.try_to_free_swap(frame, unless_mapped=True)


def clear_refs(s: State, k, proc: str) -> Stepped:
    """Write 4 to /proc/self/clear_refs: every entry is write-protected, so that the next write shows.
    Source: fs/proc/task_mmu.c clear_soft_dirty()."""
    kept = []
    for page, (vma, pte) in enumerate(zip(s.proc(proc).mm.vmas, s.proc(proc).mm.ptes, strict=True)):
        pinned = k.clear_refs_keeps_pinned and s.proc(proc).mm.has_pinned and vma and vma.cow
        if isinstance(pte, Pte) and pte.write and pinned and s.maybe_pinned(pte.frame):
            kept.append(s.pages[page])
        elif isinstance(pte, Pte):
            tlb = pte.write and not k.clear_refs_flushes
            s = s.put(proc, page, vma, replace(pte, write=False, wp=pte.wp or "soft-dirty", tlb=tlb))
    because = f"{', '.join(kept)} may be pinned and stays" if kept else "soft-dirty tracking starts"
    return Stepped(s, (Why("clear_soft_dirty", "write-protects the entries", because),))


def filewrite(s: State, a: Action, vma: Vma) -> Stepped:
    """write(2) to the file behind the page: it changes the page cache, and nothing else."""
    if vma.file is None:
        return Stepped(s, (Why("write", "fails", "no file is behind the page"),), "EBADF")
    s = grab_cache_page(s, vma.file)
    return Stepped(s.with_frame(s.files[vma.file], value=a.arg), (Why("generic_perform_write", "writes", "the page cache"),))


def futex_wait(s: State, k, a: Action, page: int) -> Stepped:
    """A shared futex: its key is the page, looked up for writing and then, if that may not be, for reading;
    an anonymous page is refused there. Source: kernel/futex.c get_futex_key(), v5.8."""
    why: tuple[Why, ...] = ()
    for flags in (FOLL_GET | FOLL_WRITE, FOLL_GET):
        s, frame, error, looked = get_user_pages_fast(s, k, a.proc, page, flags)
        why += looked
        if error != "EFAULT":
            break
    if error == BLOCKED:
        return Stepped(s.with_proc(a.proc, fault=BLOCKED), why, BLOCKED)
    read_only_anon = frame is not None and not flags & FOLL_WRITE and (s.frames[frame].anon or frame == ZERO_PAGE)
    error = error or ("EFAULT" if read_only_anon else "EAGAIN")
    why += (Why("get_futex_key", "refuses" if error == "EFAULT" else "builds the key", "anonymous, read-only" if read_only_anon else "of the page"),)
    return Stepped(s.with_reg(a.proc, a.reg, error), why, f"ret=-1 errno={error}")


def access(s: State, k, a: Action, page: int) -> Stepped:
    """A load or a store by the CPU: it faults until the entry allows it, or dies."""
    write, why = a.op == "write", ()
    while True:
        vma, pte = s.at(a.proc, page)
        if vma is None or (write and not vma.write):
            because = "no mapping there" if vma is None else "the mapping lacks VM_WRITE"
            return leave(s, k, a.proc, None, "SIGSEGV", (*why, Why("bad_area", "sends SIGSEGV", because)))
        if isinstance(pte, Pte) and (pte.write or pte.tlb or not write):
            break
        s, result, faulted = handle_mm_fault(s, k, a.proc, page, write)
        why += faulted
        if result == BLOCKED:
            return Stepped(s.with_proc(a.proc, fault=BLOCKED), why, BLOCKED)
    if write:
        s = s.put(a.proc, page, vma, replace(pte, dirty=True)).with_frame(pte.frame, value=a.arg)
        return Stepped(s, why or (Why("the store", "needs no fault", "the entry is writable"),))
    value = s.frames[pte.frame].value
    s = s.with_reg(a.proc, a.reg, value) if a.reg else s
    return Stepped(s, why or (Why("the load", "needs no fault", "the entry is present"),), value)


def reference(s: State, k, a: Action, page: int) -> Stepped:
    """A caller takes a reference; perf only looks, and lets go at once."""
    s, frame, error, why = callers.look_up(s, k, a.proc, page, a.op, a.options)
    if error == BLOCKED:
        return Stepped(s.with_proc(a.proc, fault=BLOCKED), why, error)
    if a.op == "process_vm_readv":
        value = s.frames[frame].value if frame is not None else error
        return Stepped(s.with_reg(a.proc, a.reg, value) if a.reg else s, why, value)
    if a.op == "perf":
        return Stepped(s.with_reg(a.proc, a.reg, "nopage" if frame is None else "frame", frame), why, error or "ret=1")
    if a.op == "io_uring" and frame is not None and s.at(a.proc, page)[0].file is not None and not k.io_uring_files:
        frame, error = None, "EOPNOTSUPP"
        why += (Why("io_sqe_buffer_register", "refuses", "the mapping has a file, seen after the lookup"),)
    pin = bool(callers.flags_of(k, a.op, a.options) & FOLL_PIN) and frame is not None
    s = s.with_ref(Ref(a.proc, a.ref, page, frame, error, pin, gpu=a.op == "userptr"))
    return Stepped(s, why, "ret=0" if error == "nopage" else error or "ret=1")


def through(s: State, a: Action, ref: Ref | None) -> Stepped:
    """The holder reads or writes the frame itself: no page table is asked."""
    if ref is None or ref.frame is None:
        return Stepped(s, (Why(a.op, "does nothing", ref.error if ref else "the reference was put"),))
    if a.op == "load":
        value = s.frames[ref.frame].value
        s = s.with_reg(a.proc, a.reg, value) if a.reg else s
        return Stepped(s, (Why("the holder", "reads the frame", f"through {a.ref}"),), value)
    if ref.frame == ZERO_PAGE:
        return Stepped(s, (Why("the holder", "must not write", "the zero page belongs to everybody"),))
    return Stepped(s.with_frame(ref.frame, value=a.arg), (Why("the holder", "writes the frame", f"through {a.ref}"),))


def leave(s: State, k, proc: str, mm: Mm | None, fault: str | None = None, why: tuple[Why, ...] = ()) -> Stepped:
    """All mappings go (exec, exit, SIGSEGV); references stay with whoever holds them."""
    for page in range(len(s.pages)):
        s = zap(s, proc, page, None)
    s = s.with_proc(proc, mm=mm, fault=fault).swept()
    return Stepped(s, why or (Why("exit_mmap", "removes every mapping", "references stay"),), fault)
