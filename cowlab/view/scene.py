"""One scene per moment of a trace: what is there, where it stands, and what the step changed.

Text, SVG and DOT are all made from scenes, so they cannot disagree. Every scene of a trace has the same
places in the same order; what does not exist yet, or no more, leaves its place empty (``there`` is False).

What the engine does not have is not drawn. It has no page lock (PG_locked): its steps are whole, so nobody ever meets a
page that is locked while it is swapped in or faulted in, and no frame here is shown as locked. Of what it has, three
things are left out, because nobody can look at them from outside: whether an area ever held an anonymous page
(``Vma.anon_vma``), whether a fault may map a huge page there (``Vma.huge``), MMF_HAS_PINNED (``Mm.has_pinned``).
"""

from dataclasses import dataclass, replace

from ..litmus import Trace
from ..mm import CALLERS, FREED, ZERO_PAGE, Pte, Swp
from .words import caption, events

__all__ = ["Entry", "Frame", "Holder", "Process", "Register", "Room", "Scene", "room", "scene", "scenes"]

HOLDERS = {  # step that took the reference: what holds it
    "vmsplice": "pipe", "io_uring": "fixed buffer", "userptr": "GPU's table", "pin": "pin", "perf": "perf sample",
    "odirect": "O_DIRECT I/O", "rdma": "RDMA region", "kvm": "KVM's table",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One page of one process: its VMA (``mapping`` is empty where there is none) and its page table entry
    (``frame`` is None where it is not present; ``slot`` is set where it is a swap entry). ``notes``: dirty,
    PMD, ... ``tails``: the frame of the THP whose other 511 parts this page table maps. ``reads`` is what a
    load there would find."""

    name: str
    page: str
    there: bool = False
    mapping: tuple[str, ...] = ()
    frame: str | None = None
    write: bool = False
    slot: str = ""
    notes: tuple[str, ...] = ()
    tails: str | None = None
    reads: str = ""
    changed: bool = False

    @property
    def access(self) -> str:
        """``writable``, ``read-only``, or what stands there instead of a present entry."""
        if not self.mapping:
            return "unmapped"
        if self.frame is None:
            return self.slot or "no entry"
        return "writable" if self.write else "read-only"


@dataclass(frozen=True, slots=True)
class Register:
    name: str
    there: bool = False
    value: str = ""
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Process:
    """``status`` is empty while it lives and can move: otherwise ``exited``, ``SIGSEGV`` or ``BLOCKED``."""

    name: str
    there: bool
    status: str
    moves: bool
    entries: tuple[Entry, ...]
    registers: tuple[Register, ...]
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """``label`` is its number in the trace, ``Z`` for the zero page, the page's name for a page-cache page
    that was never mapped. ``state``: allocated, freed, or junk (freed, and something still names it).
    The zero page has no counts: they are None."""

    label: str
    title: str
    there: bool = False
    state: str = "allocated"
    value: str = ""
    mapcount: int | None = None
    refcount: int | None = None
    pins: int | None = None
    flags: tuple[str, ...] = ()
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Holder:
    """What keeps a frame without mapping it: a reference, the page cache, a swap slot with its swap cache, an
    LRU batch; or what only knows it (``counted`` is False): perf, and the KVM's table, which hold no reference.
    ``state``: held, failed (``error`` says why), dropped, under way (``error`` says what comes next), stored or
    free (a swap slot whose ``value`` is on the disk alone, or that nothing needs)."""

    name: str
    kind: str
    there: bool = False
    state: str = "held"
    frame: str | None = None
    error: str = ""
    value: str = ""
    pin: bool = False
    counted: bool = True
    changed: bool = False

    @property
    def edge(self) -> str:
        """Which kind of arrow it draws."""
        if not self.counted:
            return "none"
        return "cache" if self.kind in ("page cache", "swap slot", "LRU batch") else "pin" if self.pin else "reference"

    @property
    def gone(self) -> str:
        """Why there is no arrow, if there is none."""
        return self.error or ("" if self.state == "held" else self.state)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything in one picture. ``step`` counts from 0, the start, to ``last``."""

    name: str
    kernel: str
    step: int
    last: int
    action: str
    caption: str
    events: tuple[str, ...]
    copies: int
    faults: bool
    processes: tuple[Process, ...]
    frames: tuple[Frame, ...]
    holders: tuple[Holder, ...]
    edges: frozenset[str] = frozenset()  # the kinds of edge in the whole trace, for a legend that stays

    @property
    def place(self) -> str:
        """``start`` or ``step 3 of 4``."""
        return f"step {self.step} of {self.last}" if self.step else "start"

    @property
    def title(self) -> str:
        return f"{self.name or 'a run'} on {self.kernel}, {self.place}"

    @property
    def mapped(self) -> list[Entry]:
        return [e for p in self.processes for e in p.entries if e.frame is not None]

    @property
    def summary(self) -> str:
        """Who shares what, in a few sentences: ``Frame 0 holds new: P.x, C.pipe.``"""
        said = []
        for f in self.frames:
            names = [e.name for e in self.mapped if e.frame == f.label]
            names += [h.name for h in self.holders if h.frame == f.label]
            if names:
                said.append(f"{f.title} {'is freed' if f.state == 'junk' else f'holds {f.value}'}: {', '.join(names)}.")
        said += [f"{h.name}: {h.error}." for h in self.holders if h.state == "failed"]
        said += [f"{p.name}: {p.status}." for p in self.processes if p.status]
        return " ".join(s[0].upper() + s[1:] for s in said) or "No frame is in use."


@dataclass(frozen=True, slots=True)
class Room:
    """Places kept free for what a trace does not have and others do, so that the pictures of several traces have the
    same places: processes, registers by process, the keys of holders with their kinds, a number of frames, and the
    kinds of edge in the legend."""

    procs: tuple[str, ...] = ()
    regs: tuple[tuple[str, str], ...] = ()
    holders: tuple[tuple[tuple[str, str], str], ...] = ()
    frames: int = 0
    zero: bool = False
    edges: frozenset[str] = frozenset()

    def __or__(self, other: "Room") -> "Room":
        def both(a, b):
            return tuple(dict.fromkeys([*a, *b]))

        holders = tuple((dict(other.holders) | dict(self.holders)).items())
        frames = max(self.frames, other.frames)
        procs, regs = both(self.procs, other.procs), both(self.regs, other.regs)
        return Room(procs, regs, holders, frames, self.zero or other.zero, self.edges | other.edges)


def room(trace: Trace) -> Room:
    """The places that a trace has by itself."""
    p = _Places(trace, Room())
    frames = sum(label.isdigit() for label in p.labels.values())
    regs = tuple((proc, reg) for proc, regs in p.regs.items() for reg in regs)
    holders = tuple((key, kind) for key, (kind, _) in p.holders if kind != "LRU batch")
    return Room(tuple(p.procs), regs, holders, frames, "Z" in p.labels.values(), scenes(trace)[0].edges)


def scenes(trace: Trace, room: Room | None = None) -> tuple[Scene, ...]:
    """The scene of every moment, in order. With ``room`` there are places for what stands in it too."""
    room = room or Room()
    places = _Places(trace, room)
    drawn: list[Scene] = []
    for n in range(len(trace)):
        drawn.append(_marked(places.scene(n), drawn[-1] if drawn else None))
    edges = room.edges | {kind for s in drawn for kind in _edges(s)}
    return tuple(replace(s, edges=edges) for s in drawn)


def scene(trace: Trace, step: int = -1) -> Scene:
    """The scene after ``step`` steps; 0 is the start, -1 the end. Raises IndexError with the legal range."""
    if not -len(trace) <= step < len(trace):
        raise IndexError(f"no step {step}: choose 0 (the start) to {len(trace) - 1}, or -1 for the end")
    return scenes(trace)[step]


def _edges(s: Scene):
    for e in s.mapped:
        yield "writable" if e.write else "read-only"
    for h in s.holders:
        if h.frame is not None:
            yield h.edge
    yield from ("freed" for f in s.frames if f.there and f.state != "allocated")


def _marked(now: Scene, before: Scene | None) -> Scene:
    """``now`` with ``changed`` set on whatever differs from ``before``."""
    if before is None:
        return now

    def marked(new, old):
        return replace(new, changed=new != replace(old, changed=False))

    def process(new, old):
        new = replace(
            new,
            entries=tuple(map(marked, new.entries, old.entries)),
            registers=tuple(map(marked, new.registers, old.registers)),
        )
        return replace(new, changed=(new.there, new.status) != (old.there, old.status))

    return replace(
        now,
        processes=tuple(map(process, now.processes, before.processes)),
        frames=tuple(map(marked, now.frames, before.frames)),
        holders=tuple(map(marked, now.holders, before.holders)),
    )


_NEVER = 1_000_000  # a frame number that no trace has: its place stays empty


class _Places:
    """What appears anywhere in a trace, each thing in its place."""

    def __init__(self, trace: Trace, room: Room):
        self.trace, states = trace, [m.state for m in trace.moments]
        self.procs = list(dict.fromkeys([*(p.name for s in states for p in s.procs), *room.procs]))
        if room.procs:  # their order is that of the room, whoever is forked first
            self.procs.sort(key=lambda p: room.procs.index(p) if p in room.procs else len(room.procs))
        actions = [m.action for m in trace.moments if m.action and m.action.op in CALLERS]
        taken = {(a.proc, a.ref or a.reg): a.op for a in actions}
        self.files = [self._file(states, i) for i in range(len(states[0].files))]
        self.regs: dict[str, dict[str, None]] = {p: {} for p in self.procs}
        for proc, reg in room.regs:
            self.regs[proc][reg] = None
        holders: dict[tuple[str, str], tuple[str, int | None]] = {}  # -> (kind, first frame)
        holders |= {key: (kind, None) for key, kind in room.holders}
        for s in states:
            found = [((r.proc, r.name), HOLDERS.get(taken.get((r.proc, r.name)), "reference"), r.frame) for r in s.refs]
            for p in s.procs:
                for name, value, frame in p.regs:
                    if frame is not None or value == "nopage":
                        found.append(((p.name, name), HOLDERS["perf"], frame))
                    else:
                        self.regs[p.name][name] = None
            found += [(("", page), "page cache", f) for page, f in zip(self.files, s.files, strict=True)]
            found += [(("", f"slot {i}"), "swap slot", slot.frame) for i, slot in enumerate(s.slots)]
            found += [(("", f"batch {i}"), "LRU batch", i) for i, f in enumerate(s.frames) if f.batched]
            for key, kind, frame in found:
                if holders.get(key, (kind, None))[1] is None:
                    holders[key] = (kind, frame)
        numbers = {f: str(n) for f, n in trace.numbers.items() if f != ZERO_PAGE}
        used = {r.frame for s in states for r in s.refs}
        used |= {t.frame for s in states for p in s.procs if p.mm for t in p.mm.ptes if isinstance(t, Pte)}
        for s in states:
            numbers |= {f: page for page, f in zip(self.files, s.files, strict=True) if f not in (None, *numbers)}
        empty = range(sum(label.isdigit() for label in numbers.values()), room.frames)
        numbers = (
            {f: label for f, label in numbers.items() if label.isdigit()}
            | {_NEVER + n: str(n) for n in empty}
            | {f: label for f, label in numbers.items() if not label.isdigit()}
        )
        self.labels = numbers | ({ZERO_PAGE: "Z"} if room.zero or ZERO_PAGE in used else {})
        rank = {f: n for n, f in enumerate(self.labels)} | {None: len(self.labels)}
        kept = {key: n for n, (key, _) in enumerate(room.holders)}
        self.holders = sorted(holders.items(), key=lambda item: (kept.get(item[0], len(kept)), rank[item[1][1]]))

    @staticmethod
    def _file(states, index: int) -> str:
        for s in states:
            for p in s.procs:
                for page, vma in zip(s.pages, p.mm.vmas if p.mm else (), strict=False):
                    if vma and vma.file == index:
                        return page
        return f"file {index}"

    def scene(self, n: int) -> Scene:
        m, t = self.trace.moments[n], self.trace
        start = f"The start: {', '.join(self._start(m.state))}."
        return Scene(
            t.name, t.kernel.name, n, len(t) - 1, str(m.action) if m.action else "the start",
            caption(m) if m.action else start, events(m), sum(w.copied for w in m.why),
            any(w.fn.startswith(("do_", "wp_page", "handle_userfault")) for w in m.why),
            tuple(self._process(m, name) for name in self.procs),
            tuple(self._frame(m.state, f) for f in self.labels),
            tuple(self._holder(m.state, key, kind, n) for key, (kind, _) in self.holders),
        )  # fmt: skip

    def _start(self, s):
        for p in s.procs:
            if p.mm:
                for page, vma, pte in zip(s.pages, p.mm.vmas, p.mm.ptes, strict=True):
                    if vma:
                        value = s.would_read(p.name, s.pages.index(page))
                        yield f"{p.name}.{page} holds {value}" + ("" if pte else ", not yet touched")

    def _process(self, m, name: str) -> Process:
        s, p = m.state, next((p for p in m.state.procs if p.name == name), None)
        values = {r: value for r, value, _ in p.regs} if p else {}
        registers = tuple(Register(r, r in values, values.get(r, "")) for r in self.regs[name])
        entries = tuple(self._entry(s, p, i) for i in range(len(s.pages)))
        status = "" if p is None else p.fault or ("" if p.mm else "exited")
        moves = m.action is not None and m.action.proc == name
        return Process(name, p is not None, status, moves, entries, registers)

    def _entry(self, s, p, i: int) -> Entry:
        page = s.pages[i]
        name = f"{p.name}.{page}" if p else page
        if p is None or p.mm is None:
            return Entry(name, page)
        vma, pte = p.mm.vmas[i], p.mm.ptes[i]
        if vma is None:
            return Entry(name, page, True, reads="unmapped")
        words = ("shared" if vma.shared else "private",)
        words += ("file",) * (vma.file is not None) + ("ro",) * (not vma.write) + ("dontfork",) * vma.dontcopy
        reads, tails = s.would_read(p.name, i), self.labels.get(p.mm.tails[i])
        if isinstance(pte, Swp):
            notes = ("exclusive",) * pte.exclusive
            return Entry(name, page, True, words, slot=f"swap slot {pte.slot}", notes=notes, tails=tails, reads=reads)
        if pte is None:
            return Entry(name, page, True, words, tails=tails, reads=reads)
        notes = ("dirty",) * pte.dirty + ("PMD",) * pte.huge + (pte.wp,) * bool(pte.wp) + ("stale TLB",) * pte.tlb
        return Entry(name, page, True, words, self.labels[pte.frame], pte.write, "", notes, tails, reads)

    def _frame(self, s, f: int) -> Frame:
        label = self.labels[f]
        title = "zero page" if f == ZERO_PAGE else f"frame {label}" if label.isdigit() else f"{label}'s page"
        if f >= len(s.frames):
            return Frame(label, title)
        if f == ZERO_PAGE:
            return Frame(label, title, True, value="zero", flags=("nobody's own",))
        if s.frames[f] is FREED or s.frames[f] == FREED:
            named = any(frame == f for p in s.procs for _, _, frame in p.regs)
            return Frame(label, title, True, "junk" if named else "freed", "junk", 0, 0, 0)
        frame, exclusive = s.frames[f], self.trace.kernel.exclusive and s.frames[f].anon
        flags = ("anon" if frame.anon else "page cache",)
        flags += ("THP",) * frame.huge + ("KSM",) * frame.ksm
        flags += (("exclusive" if frame.exclusive else "not exclusive"),) * exclusive
        return Frame(label, title, True, "allocated", frame.value, s.mapcount(f), s.refcount(f), s.pins(f), flags)

    def _holder(self, s, key: tuple[str, str], kind: str, n: int) -> Holder:
        proc, name = key
        if kind == "page cache":
            f = s.files[self.files.index(name)]
            return Holder(f"cache of {name}", kind, f is not None, frame=None if f is None else self.labels[f])
        if kind == "LRU batch":
            f = int(name.removeprefix("batch "))
            held = f < len(s.frames) and s.frames[f].batched
            return Holder(f"batch of {self.labels[f]}", kind, held, frame=self.labels[f] if held else None)
        if kind == "swap slot":
            i = int(name.removeprefix("slot "))
            if i >= len(s.slots) or (s.slots[i].frame is None and not s.swapcount(i)):
                return Holder(name, kind, i < len(s.slots), "free")
            f = s.slots[i].frame
            if f is None:
                return Holder(name, kind, True, "stored", value=s.slots[i].value)
            return Holder(name, kind, True, frame=self.labels[f])
        full = f"{proc}.{name}"
        if kind == HOLDERS["perf"]:
            p = next((p for p in s.procs if p.name == proc), None)
            value, f = next(((v, f) for r, v, f in p.regs if r == name), (None, None)) if p else (None, None)
            state = "held" if f is not None else "failed"
            frame = None if f is None else self.labels[f]
            error = "" if f is not None else value or ""
            return Holder(full, kind, value is not None, state, frame, error, counted=False)
        ref = s.ref(proc, name)
        if ref is None:
            was = any(m.state.ref(proc, name) for m in self.trace.moments[:n])
            return Holder(full, kind, was, "dropped")
        if ref.frame is None and ref.foll:
            turn = "look" if ref.error == "looking" else ref.error
            return Holder(full, kind, True, "under way", error=f"next: {turn}")
        if ref.frame is None:
            return Holder(full, kind, True, "failed", error=ref.error)
        return Holder(full, kind, True, "held", self.labels[ref.frame], pin=ref.pin, counted=ref.counted)
