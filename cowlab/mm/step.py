"""The one list of what can happen. Everything that moves in cowlab moves through step()."""

from typing import NamedTuple

from . import callers
from .fault import handle_mm_fault, mmu_notifier_invalidate
from .fork import dup_mm
from .gup import FOLL_PIN
from .state import ZERO_PAGE, Frame, Mm, Proc, Ref, State, Vma, Why, replace

GRAMMAR = {  # step: its arguments, as in a litmus test
    "read": "PAGE [-> REG]", "write": "PAGE VALUE",
    "fork": "PROC", "exec": "", "exit": "",
    "munmap": "PAGE", "mprotect": "PAGE ro|rw", "madvise": "PAGE dontneed|dontfork",
    **{op: caller.args for op, caller in callers.CALLERS.items()},
    "put": "REF", "load": "REF [-> REG]", "store": "REF VALUE",
}  # fmt: skip


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
    vmas, files, frames = [], [], [Frame("zero", anon=False)]
    for value, attributes in pages.values():
        has_file = bool(attributes & {"file", "shared"})
        vmas.append(Vma(shared="shared" in attributes, file=len(files) if has_file else None))
        if has_file:
            files.append(len(frames) if value and "file" in attributes else None)
            frames += [Frame(value, anon=False)] * (files[-1] is not None)
    s = State(tuple(pages), (Proc(proc, Mm(tuple(vmas), (None,) * len(vmas))),), tuple(frames), tuple(files))
    for page, (value, attributes) in pages.items():
        if value and "file" not in attributes:
            s = step(s, k, Action(proc, "write", page, value)).state
        if "ro" in attributes:
            s = step(s, k, Action(proc, "mprotect", page, "ro")).state
    return s


def step(s: State, k, a: Action) -> Stepped:
    """What ``a`` does to ``s`` under the rules of kernel ``k``. A step that the kernel refuses has a
    ``result`` that says so; a bad access kills the process."""
    op, proc, page = a.op, a.proc, s.pages.index(a.page) if a.page else 0
    vma, pte = s.at(proc, page)
    ref = s.ref(proc, a.ref) if a.ref else None
    if op in ("read", "write"):
        return access(s, k, a, page)
    if op in callers.CALLERS:
        return reference(s, k, a, page)
    if op == "fork":
        return Stepped(*dup_mm(s, k, proc, a.arg))
    if op in ("exec", "exit"):
        return leave(s, proc, Mm((None,) * len(s.pages), (None,) * len(s.pages)) if op == "exec" else None)
    if op == "put" and ref and ref.frame is not None:
        s = replace(s, refs=tuple(r for r in s.refs if r is not ref)).swept()
        return Stepped(s, (Why("put_page", "drops the reference", a.ref),))
    if op in ("put", "load", "store"):
        return through(s, a, ref)
    if vma is None:
        return Stepped(s, (Why(op, "finds no mapping", "nothing is done"),), None if op == "munmap" else "ENOMEM")
    if op == "mprotect":
        vma = replace(vma, write=a.arg == "rw")
        upgrade = pte and pte.frame != ZERO_PAGE and k.mprotect_writable(s.frames[pte.frame], pte)
        if pte:
            pte = replace(pte, write=vma.write and (vma.shared or pte.write or upgrade))
        why = Why("change_pte_range", f"leaves the entry {'writable' if pte and pte.write else 'read-only'}", a.arg)
    elif a.arg == "dontfork":
        vma, why = replace(vma, dontcopy=True), Why("madvise_behavior", "sets VM_DONTCOPY", "dontfork")
    else:
        vma, pte = vma if op == "madvise" else None, None
        why = Why("zap_pte_range", "removes the entry" if vma else "removes the mapping", a.arg or op)
    if a.arg != "dontfork":
        s = mmu_notifier_invalidate(s, proc, page)
    return Stepped(s.put(proc, page, vma, pte).swept(), (why,))


def access(s: State, k, a: Action, page: int) -> Stepped:
    """A load or a store by the CPU: it faults until the entry allows it, or dies."""
    write, why = a.op == "write", ()
    while True:
        vma, pte = s.at(a.proc, page)
        if vma is None or (write and not vma.write):
            because = "no mapping there" if vma is None else "the mapping lacks VM_WRITE"
            return leave(s, a.proc, None, "SIGSEGV", (*why, Why("bad_area", "sends SIGSEGV", because)))
        if pte and (pte.write or not write):
            break
        s, _, faulted = handle_mm_fault(s, k, a.proc, page, write)
        why += faulted
    if write:
        s = s.put(a.proc, page, vma, replace(pte, dirty=True)).with_frame(pte.frame, value=a.arg)
        return Stepped(s, why or (Why("the store", "needs no fault", "the entry is writable"),))
    value = s.frames[pte.frame].value
    s = s.with_reg(a.proc, a.reg, value) if a.reg else s
    return Stepped(s, why or (Why("the load", "needs no fault", "the entry is present"),), value)


def reference(s: State, k, a: Action, page: int) -> Stepped:
    """A caller takes a reference; perf only looks, and lets go at once."""
    s, frame, error, why = callers.look_up(s, k, a.proc, page, a.op, a.options)
    if error == "BLOCKED":
        return Stepped(s.with_proc(a.proc, fault="BLOCKED"), why, error)
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


def leave(s: State, proc: str, mm: Mm | None, fault: str | None = None, why: tuple[Why, ...] = ()) -> Stepped:
    """All mappings go (exec, exit, SIGSEGV); references stay with whoever holds them."""
    for page in range(len(s.pages)):
        s = mmu_notifier_invalidate(s, proc, page)
    s = s.with_proc(proc, mm=mm, fault=fault).swept()
    return Stepped(s, why or (Why("exit_mmap", "removes every mapping", "references stay"),), fault)
