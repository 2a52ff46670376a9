"""What a machine looks like: frames, page tables, processes, references. All of it is frozen.

Counts are never stored: they are read off the page tables and the references, so they cannot disagree with them.
A frame is an index into State.frames, a page an index into State.pages (one page is one 4 KiB VMA)."""

from dataclasses import dataclass, replace
from typing import NamedTuple

ZERO_PAGE = 0  # frame number of the one page of zeros, which no count describes
PINNED = 1024  # GUP_PIN_COUNTING_BIAS: what one FOLL_PIN adds to the reference count (v5.7)
TAILS = 511  # the parts of a THP that the tests do not watch
NO_TABLE = -1  # stands in Mm.tails: no page table is there yet, so a fault may map a THP


class Why(NamedTuple):
    """One thing that the kernel did, and the reason: Why("do_wp_page", "copies", "mapcount 2")."""

    fn: str
    did: str
    because: str
    copied: bool = False  # a frame was filled from another frame

    def __str__(self) -> str:
        return f"{self.fn} {self.did}: {self.because}"


@dataclass(frozen=True, slots=True)
class Frame:  # struct page
    value: str
    anon: bool = True  # PageAnon
    exclusive: bool = False  # PageAnonExclusive, v5.19
    huge: bool = False  # the watched part of a compound page of 512, a THP
    ksm: bool = False  # PageKsm
    batched: bool = False  # a per-CPU LRU batch still holds a reference


FREED = Frame("(freed)", anon=False)  # junk on free: whoever still looks here must see that it is gone


@dataclass(frozen=True, slots=True)
class Pte:
    frame: int  # a present entry; an absent one is None
    write: bool = False
    dirty: bool = False
    huge: bool = False  # a PMD that maps the whole THP
    wp: str = ""  # write-protected for a watcher: "uffd" or "soft-dirty"
    tlb: bool = False  # a CPU still caches it as writable: nobody flushed


@dataclass(frozen=True, slots=True)
class Swp:
    slot: int  # a swap entry: index into State.slots
    exclusive: bool = False  # pte_swp_exclusive(), v5.19


@dataclass(frozen=True, slots=True)
class Slot:
    value: str  # what was written to swap there
    frame: int | None  # what the swap cache holds for it


@dataclass(frozen=True, slots=True)
class Vma:  # a mapping of one page; VM_MAYWRITE is always set: mprotect could make any of them writable
    write: bool = True  # VM_WRITE
    shared: bool = False  # VM_SHARED
    file: int | None = None  # index into State.files; MAP_SHARED | MAP_ANONYMOUS has one too (shmem)
    anon_vma: bool = False  # has held an anonymous page: only then does fork copy its entries
    dontcopy: bool = False  # VM_DONTCOPY, by madvise(MADV_DONTFORK)
    huge: bool = False  # a fault may map a THP here
    cow = property(lambda self: not self.shared)  # is_cow_mapping(): could become writable, if it is PROT_READ now


@dataclass(frozen=True, slots=True)
class Mm:
    vmas: tuple[Vma | None, ...]
    ptes: tuple[Pte | Swp | None, ...]
    tails: tuple[int | None, ...]  # the THP whose other 511 parts this page table maps; or NO_TABLE
    has_pinned: bool = False  # MMF_HAS_PINNED: a FOLL_PIN was asked for here; never cleared


@dataclass(frozen=True, slots=True)
class Proc:
    name: str
    mm: Mm | None  # None: the process is dead
    fault: str | None = None  # SIGSEGV, or BLOCKED in a step that never ends
    regs: tuple[tuple[str, str, int | None], ...] = ()  # (name, value, frame), sorted


@dataclass(frozen=True, slots=True)
class Ref:  # what get_user_pages() gave; it outlives its mapping and its process
    proc: str
    name: str
    page: int
    frame: int | None
    error: str = ""  # why there is no frame: an errno, nopage, revoked; or what a lookup on its way does next
    pin: bool = False
    mirror: bool = False  # a device's own page table shows the frame, and an mmu notifier watches its owner
    counted: bool = True  # False: only the mirror is left, the reference was dropped
    foll: int = 0  # the FOLL_* flags of a lookup on its way


@dataclass(frozen=True, slots=True)
class State:
    pages: tuple[str, ...]
    procs: tuple[Proc, ...]  # in order of creation
    frames: tuple[Frame, ...]
    files: tuple[int | None, ...] = ()  # the page cache: each file's one page; None while it is a hole
    slots: tuple[Slot, ...] = ()  # swap, with the swap cache
    refs: tuple[Ref, ...] = ()  # sorted by (proc, name)
    batches: bool = False  # new anonymous pages wait in an LRU batch, until it is drained

    def proc(self, name: str) -> Proc:
        return [p for p in self.procs if p.name == name][0]  # noqa: RUF015 (twice as fast as next())

    def ref(self, proc: str, name: str) -> Ref | None:
        return next((r for r in self.refs if (r.proc, r.name) == (proc, name)), None)

    def at(self, proc: str, page: int) -> tuple[Vma | None, Pte | Swp | None]:
        mm = self.proc(proc).mm
        return mm.vmas[page], mm.ptes[page]

    def would_read(self, proc: str, page: int) -> str:
        """What a load there would find: a value, ``zero`` or ``unmapped``."""
        vma, pte = self.at(proc, page)
        if vma is None:
            return "unmapped"
        if isinstance(pte, Swp):
            slot = self.slots[pte.slot]
            return slot.value if slot.frame is None else self.frames[slot.frame].value
        frame = pte.frame if pte else None if vma.file is None else self.files[vma.file]
        return self.frames[frame or ZERO_PAGE].value

    def entries(self, frame: int) -> list[tuple[str, int, Pte]]:
        """The reverse map: (process, page, entry) of every present entry for the frame."""
        every = [(p.name, page, t) for p in self.procs if p.mm for page, t in enumerate(p.mm.ptes)]
        return [entry for entry in every if isinstance(entry[2], Pte) and entry[2].frame == frame]

    def mapcount(self, frame: int) -> int:  # page_mapcount()
        return len(self.entries(frame))

    def tails(self, frame: int) -> int:  # how many page tables map the other 511 parts of the THP
        return sum(tail == frame for p in self.procs if p.mm for tail in p.mm.tails)

    def slot_of(self, frame: int) -> int | None:  # the swap slot in whose cache the frame is
        return next((i for i, slot in enumerate(self.slots) if slot.frame == frame), None)

    def swapcount(self, slot: int | None) -> int:  # page_swapcount(): swap entries for the slot
        return sum(isinstance(t, Swp) and t.slot == slot for p in self.procs if p.mm for t in p.mm.ptes)

    def pins(self, frame: int) -> int:
        return sum(r.pin for r in self.refs if r.frame == frame)

    def refcount(self, frame: int, bias: int = PINNED) -> int:
        """page_count(): 1 a mapping, a cache or a FOLL_GET; ``bias`` a FOLL_PIN (of a THP 1, and a count apart)."""
        held = sum(bias if r.pin and not self.frames[frame].huge else r.counted for r in self.refs if r.frame == frame)
        cached = self.frames[frame].batched + (frame in self.files) + (self.slot_of(frame) is not None)
        return self.mapcount(frame) + TAILS * self.tails(frame) + cached + held

    def maybe_pinned(self, frame: int) -> bool:
        """page_maybe_dma_pinned(): 1024 plain references look like a pin; a THP counts its pins."""
        return self.pins(frame) > 0 if self.frames[frame].huge else self.refcount(frame) >= PINNED

    def but(self, procs=None, frames=None, slots=None, refs=None) -> "State":  # replace(), but twice as fast
        procs, frames = self.procs if procs is None else procs, self.frames if frames is None else frames
        slots, refs = self.slots if slots is None else slots, self.refs if refs is None else refs
        return State(self.pages, procs, frames, self.files, slots, refs, self.batches)

    def with_proc(self, name: str, **changes) -> "State":
        return self.but(procs=tuple([replace(p, **changes) if p.name == name else p for p in self.procs]))

    def put(self, proc: str, page: int, vma: Vma | None, pte: Pte | Swp | None) -> "State":
        p = self.proc(proc)
        vmas = p.mm.vmas if vma is p.mm.vmas[page] else _at(p.mm.vmas, page, vma)
        new = Proc(proc, Mm(vmas, _at(p.mm.ptes, page, pte), p.mm.tails, p.mm.has_pinned), p.fault, p.regs)
        return self.but(procs=tuple([new if q is p else q for q in self.procs]))

    def with_tails(self, proc: str, page: int, frame: int | None) -> "State":
        mm = self.proc(proc).mm
        tails = _at(mm.tails, page, frame)
        return self if tails == mm.tails else self.with_proc(proc, mm=replace(mm, tails=tails))

    def with_frame(self, frame: int, **changes) -> "State":
        return self.but(frames=_at(self.frames, frame, replace(self.frames[frame], **changes)))

    def with_slot(self, slot: int, **changes) -> "State":
        return self.but(slots=_at(self.slots, slot, replace(self.slots[slot], **changes)))

    def with_ref(self, ref: Ref) -> "State":
        others = [r for r in self.refs if (r.proc, r.name) != (ref.proc, ref.name)]
        return self.but(refs=tuple(sorted([*others, ref], key=lambda r: (r.proc, r.name))))

    def alloc(self, value: str, anon=True, exclusive=False, huge=False) -> tuple["State", int]:
        """A new frame. Its number was never handed out before in this run."""
        new = Frame(value, anon, exclusive, huge, batched=self.batches and anon and not huge)
        return self.but(frames=(*self.frames, new)), len(self.frames)

    def try_to_free_swap(self, frame: int, unless_mapped: bool = False) -> "State":
        """Take the frame out of the swap cache, if no swap entry needs the slot. Source: mm/swapfile.c."""
        slot = self.slot_of(frame)
        stays = slot is None or self.swapcount(slot) or (unless_mapped and self.mapcount(frame))
        return self if stays else self.with_slot(slot, frame=None)

    def mmu_notifier_invalidate(self, proc: str, page: int) -> "State":
        """Whoever mirrors this page table (i915 userptr, KVM) lets the page go: the reference is ``revoked``."""
        told = [r for r in self.refs if r.mirror and r.frame is not None and (r.proc, r.page) == (proc, page)]
        refs = [replace(r, frame=None, error="revoked") if r in told else r for r in self.refs]
        return self.but(refs=tuple(refs)) if told else self

    def drained(self) -> "State":  # lru_add_drain(): the batches are emptied, and their references dropped
        frames = tuple(replace(f, batched=False) if f.batched else f for f in self.frames)
        return self.but(frames=frames).swept() if frames != self.frames else self

    def swept(self) -> "State":  # frames that nothing refers to are freed, and filled with junk
        held = {ZERO_PAGE, *self.files, *[r.frame for r in self.refs]}
        held.update([i for i, f in enumerate(self.frames) if f.batched])
        for mm in [p.mm for p in self.procs if p.mm]:
            held.update(mm.tails)
            held.update([self.slots[t.slot].frame if isinstance(t, Swp) else t.frame for t in mm.ptes if t])
        frames = tuple([f if i in held else FREED for i, f in enumerate(self.frames)])
        return self.but(frames=frames, slots=tuple([x if x.frame in held else Slot(x.value, None) for x in self.slots]))


def _at(items: tuple, index: int, item) -> tuple:
    return (*items[:index], item, *items[index + 1 :])
