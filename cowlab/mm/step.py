"""The one list of what can happen. Everything that moves in cowlab moves through step()."""

from typing import NamedTuple

from . import callers, syscalls
from .fault import grab_cache_page
from .fork import dup_mm
from .gup import FOLL_PIN, check_vma_flags, faultin_page, follow_page_pte
from .huge import split_huge_pmd
from .reclaim import merge_pages, shrink_page_list
from .state import NO_TABLE, ZERO_PAGE, Frame, Mm, Proc, Ref, State, Vma, Why, replace

GRAMMAR = {  # step: its arguments, as in a litmus test
    "read": "PAGE [-> REG]", "write": "PAGE VALUE", "fork": "PROC", "exec": "", "exit": "", "munmap": "PAGE",
    "mprotect": "PAGE ro|rw", "madvise": "PAGE dontneed|dontfork|pageout",
    **{op: caller.args for op, caller in callers.CALLERS.items()},
    "put": "REF", "load": "REF [-> REG]", "store": "REF VALUE", "filewrite": "PAGE VALUE", "clear_refs": "",
    "uffd_wp": "PAGE", "uffd_continue": "PAGE", "gup_start": "PAGE -> REF [write] [force]", "gup_look": "REF",
    "gup_fault": "REF", "reclaim": "PAGE", "merge": "PAGE PAGE2",
}  # fmt: skip
KERNEL_THREADS = {"kswapd": "reclaim", "ksmd": "merge"}  # what each of them does
ON_REF = ("put", "load", "store", "gup_look", "gup_fault")
DOES = {  # step: the function of (state, kernel, process, page, argument) that does it
    "fork": dup_mm, "munmap": syscalls.munmap, "mprotect": syscalls.mprotect, "madvise": syscalls.madvise,
    "filewrite": syscalls.filewrite, "clear_refs": syscalls.clear_refs, "uffd_wp": syscalls.uffd_wp,
    "uffd_continue": syscalls.uffd_continue, "reclaim": shrink_page_list, "merge": merge_pages,
}  # fmt: skip


class Action(NamedTuple):
    """One step of one process; ``str()`` is its text in a litmus test."""

    proc: str
    op: str
    page: str = ""
    arg: str = ""  # the value, the process to fork, ro, dontneed, the second page, ...
    ref: str = ""
    reg: str = ""
    options: tuple[str, ...] = ()
    thread: str = ""  # the thread of ``proc`` that takes the step, if it is not the first

    def __str__(self) -> str:
        named = self.ref if self.op in ON_REF else ""
        target = self.reg or ("" if named else self.ref)
        words = (self.op, self.page, named, self.arg, target and f"-> {target}", *self.options)
        return f"{self.thread or self.proc}: {' '.join(w for w in words if w)}"


class Stepped(NamedTuple):
    state: State
    why: tuple[Why, ...]
    result: str | None = None  # what the call returned: a value that was read, ``ret=1``, an errno, or None


def boot(k, proc: str, pages: dict[str, tuple[str | None, frozenset[str]]], batches: bool = False) -> State:
    """The machine before the first step: {page: (value or None for untouched, attributes)}, all of ``proc``.
    With ``batches`` new pages wait in an LRU batch, which holds a hidden reference until it is drained."""
    vmas, files = [], []
    for value, attributes in pages.values():
        has_file, huge = bool(attributes & {"file", "shared"}), bool(attributes & {"huge", "hugepte"})
        vmas.append(Vma(shared="shared" in attributes, file=len(files) if has_file else None, huge=huge))
        files += [value if "file" in attributes else None] * has_file
    mm = Mm(tuple(vmas), (None,) * len(vmas), tuple(NO_TABLE if v.huge else None for v in vmas))
    s = State(tuple(pages), (Proc(proc, mm),), (Frame("zero", anon=False),), (None,) * len(files), batches=batches)
    for file, value in enumerate(files):
        s = grab_cache_page(s, file, value)[0] if value else s
    for page, (name, (value, attributes)) in enumerate(pages.items()):
        if value and "file" not in attributes:
            s = step(s, k, Action(proc, "write", name, value)).state
        if "hugepte" in attributes:
            s = split_huge_pmd(s, k, proc, page) if value else s.with_tails(proc, page, None)
        if "ro" in attributes:
            s = step(s, k, Action(proc, "mprotect", name, "ro")).state
    return s


def step(s: State, k, a: Action) -> Stepped:
    """What ``a`` does to ``s`` under the rules of kernel ``k``. A step that the kernel refuses has a
    ``result`` that says so; a bad access kills the process; a step that never ends blocks it."""
    op, proc, page = a.op, a.proc, s.pages.index(a.page) if a.page else 0
    if op == "drain":
        return Stepped(s.drained(), (Why("lru_add_drain", "drops the references of the LRU batches", "any time"),))
    if op in ("exec", "exit"):
        why = Why("exit_mmap", "removes every mapping", "references stay")
        return Stepped(syscalls.exit_mmap(s, proc, exec=op == "exec"), (why,))
    if op in ("read", "write"):
        s, why, value = syscalls.access(s, k, proc, page, a.arg if op == "write" else None)
        return Stepped(_register(s, a, value), why, value)
    if op == "futex_wait":
        s, why, error = syscalls.futex_wait(s, k, proc, page)
        return Stepped(_register(s, a, error), why, f"ret=-1 errno={error}")
    if op == "gup_start" or (op in ("gup_look", "gup_fault") and s.ref(proc, a.ref)):
        return _turn(s, k, a, page)
    if op in ON_REF:
        return _through(s, a, s.ref(proc, a.ref))
    if op in callers.CALLERS:
        return _look_up(s, k, a, page)
    if a.page and op not in KERNEL_THREADS.values() and s.at(proc, page)[0] is None:
        return Stepped(s, (Why(op, "does nothing", "no mapping there"),), None if op == "munmap" else "ENOMEM")
    return Stepped(*DOES[op](s, k, proc, page, a.arg))


def _register(s: State, a: Action, value: str, frame: int | None = None) -> State:
    """A value that was read goes into the register, if the step names one and the process lives."""
    if not a.reg or s.proc(a.proc).fault:
        return s
    others = [r for r in s.proc(a.proc).regs if r[0] != a.reg]
    return s.with_proc(a.proc, regs=tuple(sorted([*others, (a.reg, value, frame)])))


def _look_up(s: State, k, a: Action, page: int) -> Stepped:
    """A caller looks the page up; those that only look let go at once, the others hold a reference."""
    s, frame, error, why = callers.look_up(s, k, a.proc, page, a.op, a.options)
    if error == "BLOCKED":
        return Stepped(s.with_proc(a.proc, fault=error), why, error)
    if a.op == "perf":
        return Stepped(_register(s, a, "nopage" if frame is None else "frame", frame), why, error or "ret=1")
    if not a.ref:
        value = error if frame is None else s.frames[frame].value
        return Stepped(_register(s, a, value), why, value)
    if a.op == "io_uring" and frame is not None and s.at(a.proc, page)[0].file is not None and not k.io_uring_files:
        frame, error = None, "EOPNOTSUPP"
        why += (Why("io_sqe_buffer_register", "refuses", "the mapping has a file, seen after the lookup"),)
    pin = bool(callers.flags_of(k, a.op, a.options) & FOLL_PIN) and frame is not None
    ref = Ref(a.proc, a.ref, page, frame, error, pin, mirror=a.op in callers.MIRRORS, counted=a.op != "kvm")
    return Stepped(s.with_ref(ref).swept(), why, "ret=0" if error == "nopage" else error or "ret=1")


def _turn(s: State, k, a: Action, page: int) -> Stepped:
    """The slow path, one turn at a time, so that other threads of the process may come between."""
    ref = s.ref(a.proc, a.ref)
    if a.op == "gup_start":
        s, foll, error, why = check_vma_flags(s, k, a.proc, page, callers.flags_of(k, "gup", a.options))
        ref = Ref(a.proc, a.ref, page, None, foll=foll)
        why = why or (Why("__get_user_pages", "starts", "gup_look and gup_fault are its turns"),)
    elif a.op == "gup_look" and ref.error == "looking":
        frame, want, looked = follow_page_pte(s, k, a.proc, ref.page, ref.foll)
        found = replace(ref, frame=frame, error=want, foll=ref.foll if want else 0)
        return Stepped(s.with_ref(found), (looked,), None if want else "ret=1")
    elif a.op == "gup_fault" and ref.error in ("fault", "break", "unshare"):
        s, foll, error, why = faultin_page(s, k, a.proc, ref.page, ref.foll, ref.error)
        if error == "BLOCKED":
            return Stepped(s.with_proc(a.proc, fault=error), why, error)
        ref = replace(ref, foll=0 if error else foll)
    else:
        return Stepped(s, (Why(a.op, "is not the next turn", ref.error or "the page is found"),))
    return Stepped(s.with_ref(replace(ref, error=error or "looking")), why, error or None)


def _through(s: State, a: Action, ref: Ref | None) -> Stepped:
    """The holder puts the reference, or reads or writes the frame itself: no page table is asked."""
    if ref is None or ref.frame is None:
        return Stepped(s, (Why(a.op, "does nothing", ref.error if ref else "the reference was put"),))
    if a.op == "put":
        s = s.but(refs=tuple([r for r in s.refs if r is not ref])).swept()
        return Stepped(s, (Why("put_page", "drops the reference", a.ref),))
    if a.op == "load":
        value = s.frames[ref.frame].value
        return Stepped(_register(s, a, value), (Why("the holder", "reads the frame", f"through {a.ref}"),), value)
    if ref.frame == ZERO_PAGE:
        return Stepped(s, (Why("the holder", "must not write", "the zero page belongs to everybody"),))
    return Stepped(s.with_frame(ref.frame, value=a.arg), (Why("the holder", "writes the frame", f"through {a.ref}"),))
