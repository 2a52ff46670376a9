"""What a machine looks like: frames, page tables, processes, references. All of it is frozen.

Counts are never stored: they are read off the page tables and the references, so they cannot disagree with
them. A frame is an index into State.frames, a page an index into State.pages (one page is one 4 KiB VMA).
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

ZERO_PAGE = 0  # frame number of the one page of zeros, which no count describes
PINNED = 1024  # GUP_PIN_COUNTING_BIAS: what one FOLL_PIN adds to the reference count (v5.7)


class Why(NamedTuple):
    """One thing that the kernel did, and the reason: Why("do_wp_page", "copies", "mapcount 2")."""

    fn: str
    did: str
    because: str
    copied: bool = False  # a frame was filled from another frame

    def __str__(self) -> str:
        return f"{self.fn} {self.did}: {self.because}"


@dataclass(frozen=True, slots=True)
class Frame:
    """struct page. ``anon`` is PageAnon, ``exclusive`` is PageAnonExclusive (v5.19)."""

    value: str
    anon: bool = True
    exclusive: bool = False


FREED = Frame("(freed)", anon=False)  # junk on free: whoever still looks here must see that it is gone


@dataclass(frozen=True, slots=True)
class Pte:
    """A present page table entry; an absent one is None."""

    frame: int
    write: bool = False
    dirty: bool = False


@dataclass(frozen=True, slots=True)
class Vma:
    """A mapping of one page. VM_MAYWRITE is always set: mprotect could make any of them writable."""

    write: bool = True  # VM_WRITE
    shared: bool = False  # VM_SHARED
    file: int | None = None  # index into State.files; MAP_SHARED | MAP_ANONYMOUS has one too (shmem)
    anon_vma: bool = False  # has held an anonymous page: only then does fork copy its entries
    dontcopy: bool = False  # VM_DONTCOPY, by madvise(MADV_DONTFORK)

    @property
    def cow(self) -> bool:
        """is_cow_mapping(): private and could become writable, so also when it is PROT_READ now."""
        return not self.shared


@dataclass(frozen=True, slots=True)
class Mm:
    vmas: tuple[Vma | None, ...]
    ptes: tuple[Pte | None, ...]
    has_pinned: bool = False  # MMF_HAS_PINNED: a FOLL_PIN was asked for here; never cleared


@dataclass(frozen=True, slots=True)
class Proc:
    name: str
    mm: Mm | None  # None: the process is dead
    fault: str | None = None  # SIGSEGV, or BLOCKED in a step that never ends
    regs: tuple[tuple[str, str, int | None], ...] = ()  # (name, value, frame), sorted


@dataclass(frozen=True, slots=True)
class Ref:
    """What get_user_pages() gave; it outlives its mapping and its process. Without a frame, ``error`` says
    why: an errno, ``nopage``, or ``revoked`` (the GPU's own table was told to let go)."""

    proc: str
    name: str
    page: int
    frame: int | None
    error: str = ""
    pin: bool = False
    gpu: bool = False


@dataclass(frozen=True, slots=True)
class State:
    pages: tuple[str, ...]
    procs: tuple[Proc, ...]  # in order of creation
    frames: tuple[Frame, ...]
    files: tuple[int | None, ...] = ()  # the page cache: each file's one page; None while it is a hole
    refs: tuple[Ref, ...] = ()  # sorted by (proc, name)

    def proc(self, name: str) -> Proc:
        return next(p for p in self.procs if p.name == name)

    def alive(self, name: str) -> bool:
        return any(p.name == name and p.mm is not None for p in self.procs)

    def ref(self, proc: str, name: str) -> Ref | None:
        return next((r for r in self.refs if (r.proc, r.name) == (proc, name)), None)

    def at(self, proc: str, page: int) -> tuple[Vma | None, Pte | None]:
        mm = self.proc(proc).mm
        return mm.vmas[page], mm.ptes[page]

    def mapcount(self, frame: int) -> int:
        """page_mapcount(): entries that point at the frame, over all processes."""
        return sum(t is not None and t.frame == frame for p in self.procs if p.mm for t in p.mm.ptes)

    def pins(self, frame: int) -> int:
        return sum(r.pin for r in self.refs if r.frame == frame)

    def refcount(self, frame: int, bias: int = PINNED) -> int:
        """page_count(): 1 a mapping, 1 for the page cache, 1 a FOLL_GET, ``bias`` a FOLL_PIN."""
        held = sum(bias if r.pin else 1 for r in self.refs if r.frame == frame)
        return self.mapcount(frame) + (frame in self.files) + held

    def would_read(self, proc: str, page: int) -> str:
        """What a load there would find: a value, ``zero`` or ``unmapped``."""
        vma, pte = self.at(proc, page)
        if vma is None:
            return "unmapped"
        frame = pte.frame if pte else None if vma.file is None else self.files[vma.file]
        return self.frames[frame or ZERO_PAGE].value

    def with_proc(self, name: str, **changes) -> "State":
        return replace(self, procs=tuple(replace(p, **changes) if p.name == name else p for p in self.procs))

    def put(self, proc: str, page: int, vma: Vma | None, pte: Pte | None) -> "State":
        mm = self.proc(proc).mm
        return self.with_proc(proc, mm=replace(mm, vmas=_at(mm.vmas, page, vma), ptes=_at(mm.ptes, page, pte)))

    def with_frame(self, frame: int, **changes) -> "State":
        return replace(self, frames=_at(self.frames, frame, replace(self.frames[frame], **changes)))

    def with_file(self, file: int, frame: int) -> "State":
        return replace(self, files=_at(self.files, file, frame))

    def with_ref(self, ref: Ref) -> "State":
        others = [r for r in self.refs if (r.proc, r.name) != (ref.proc, ref.name)]
        return replace(self, refs=tuple(sorted([*others, ref], key=lambda r: (r.proc, r.name))))

    def with_reg(self, proc: str, name: str, value: str, frame: int | None = None) -> "State":
        regs = [r for r in self.proc(proc).regs if r[0] != name]
        return self.with_proc(proc, regs=tuple(sorted([*regs, (name, value, frame)])))

    def alloc(self, value: str, anon: bool = True, exclusive: bool = False) -> tuple["State", int]:
        """A new frame. Its number was never handed out before in this run."""
        return replace(self, frames=(*self.frames, Frame(value, anon, exclusive))), len(self.frames)

    def swept(self) -> "State":
        """Frames that nothing refers to are freed, and filled with junk."""
        held = {ZERO_PAGE, *self.files, *(r.frame for r in self.refs)}
        held.update(t.frame for p in self.procs if p.mm for t in p.mm.ptes if t)
        return replace(self, frames=tuple(f if i in held else FREED for i, f in enumerate(self.frames)))


_FIELDS = {cls: tuple(f.name for f in fields(cls)) for cls in (Frame, Pte, Vma, Mm, Proc, Ref, State)}


def replace(old, /, **changes):
    """dataclasses.replace() for the classes above, in a third of its time."""
    new = type(old)(*[changes.pop(n) if n in changes else getattr(old, n) for n in _FIELDS[type(old)]])
    assert not changes, f"{type(old).__name__} has no field {', '.join(changes)}"
    return new


def _at(items: tuple, index: int, item) -> tuple:
    return (*items[:index], item, *items[index + 1 :])
