"""The space of free exploration: any process may take any of the listed steps, at any time, without bound.

Design: design/litmus.md 7. A process holds one reference at a time, a fork fills the lowest free slot, and a dead
process leaves nothing behind: `exit` puts its reference too. A failed lookup leaves no reference. All that happens
happens in ``mm.step``; this module lists what may be tried, and tidies up after it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..mm import FREED, GRAMMAR, KERNEL_THREADS, Action, Kernel, Pte, Slot, State, Swp, boot, replace, step

__all__ = ["NAMES", "NEVER", "PAGES", "STEPS", "Space", "parse_steps", "violates"]

NAMES = "PCDEFGHI"  # the slots for processes, as litmus tests call them: at most eight
PAGES = "xyzuvwabcdefghij"  # at most sixteen
STEPS = ("write", "read", "munmap", "fork", "exit", "gup", "put", "reclaim")
VALUE = "data"  # every store stores the same: which frame it goes to is what matters
REF, FORKED = "r", "r-forked"  # a process's one reference; and when the process has forked since it took it
THREADS = {op: thread for thread, op in KERNEL_THREADS.items()}
UNFIT = ("gup_start", "gup_look", "gup_fault", "filewrite", "uffd_continue")  # turns of threads; files

NEVER = {
    "leak": "a process can write to a frame on which another holds a reference",
    "leak-after-fork": "the same; only references whose holder has not forked since count",
    "stale": "a process maps the page, but no longer the frame that it holds",
}


@dataclass(frozen=True)
class Space:
    """Which machine is explored: its kernel, its size, the steps (as actions without a process and a page), and
    whether references remember a later fork of their holder."""

    kernel: Kernel
    processes: int
    pages: int
    steps: tuple[Action, ...]
    remembers_forks: bool = False

    symmetric_pages = True  # may pages be renamed?

    @cached_property
    def start(self) -> State:
        """One process, every page private, anonymous and written once."""
        return boot(self.kernel, NAMES[0], {page: (VALUE, frozenset()) for page in PAGES[: self.pages]})

    def actions(self, s: State) -> Iterator[Action]:
        """What may be tried in ``s``: processes in the order of their slots, then the kernel's threads.

        A step on a page needs the mapping, a lookup a free hand, `put` and the like a reference, `fork` a slot."""
        held = {r.proc: r.name for r in s.refs}
        taken = {p.name for p in s.procs}
        slot = next((name for name in NAMES[: self.processes] if name not in taken), None)
        for p in sorted(s.procs, key=lambda p: NAMES.index(p.name)):
            if p.fault is None:
                for a in self.steps:
                    yield from self._of(a, p, s.pages, held.get(p.name), slot)
        for a in self.steps:
            if a.proc == "kswapd":
                yield from (a._replace(page=page) for page in s.pages)
            elif a.proc == "ksmd":
                yield from (a._replace(page=x, arg=y) for x in s.pages for y in s.pages if x != y)

    def _of(self, a: Action, p, pages: Sequence[str], held: str | None, slot: str | None) -> Iterator[Action]:
        args = GRAMMAR[a.op]
        if a.proc or ("-> REF" in args and held):
            return
        if a.op == "fork":
            if slot:
                yield Action(p.name, "fork", arg=slot)
        elif args.startswith("REF"):
            if held:
                yield a._replace(proc=p.name, ref=held)
        elif "PAGE" in args:
            for page, vma in zip(pages, p.mm.vmas, strict=True):
                if vma is not None:
                    yield a._replace(proc=p.name, page=page)
        else:
            yield a._replace(proc=p.name)

    def apply(self, s: State, a: Action) -> State:
        """The step, and then no dead process and no failed reference."""
        held = next((r.name for r in s.refs if r.proc == a.proc), None)
        if a.op == "exit" and held:
            s = step(s, self.kernel, Action(a.proc, "put", ref=held)).state
        s = step(s, self.kernel, a).state
        if a.op == "fork" and held == REF and self.remembers_forks:
            refs = (replace(r, name=FORKED) if r.proc == a.proc else r for r in s.refs)
            s = replace(s, refs=tuple(sorted(refs, key=lambda r: (r.proc, r.name))))
        dead = {p.name for p in s.procs if p.mm is None}
        for r in s.refs:
            if r.proc in dead:
                s = step(s, self.kernel, Action(r.proc, "put", ref=r.name)).state
        if dead:
            s = s.but(procs=tuple([p for p in s.procs if p.name not in dead]))
        if any(r.frame is None for r in s.refs):
            s = s.but(refs=tuple([r for r in s.refs if r.frame is not None]))
        return s

    def renumbered(self, s: State, before: State) -> State:
        """``s`` with each new frame, and each new swap slot, at the lowest number that was free ``before`` the step.

        The engine never hands out a number twice, so without this no space would be finite."""
        used = {t.slot for p in s.procs for t in p.mm.ptes if isinstance(t, Swp)}
        free = [i for i, f in enumerate(before.frames) if f == FREED]
        new = [i for i in range(len(before.frames), len(s.frames)) if s.frames[i] != FREED]
        frames = dict(zip(new, [*free, *range(len(before.frames), len(s.frames))], strict=False))
        idle = [i for i, x in enumerate(before.slots) if x == EMPTY]
        fresh = [i for i in range(len(before.slots), len(s.slots)) if i in used or s.slots[i].frame is not None]
        slots = dict(zip(fresh, [*idle, *range(len(before.slots), len(s.slots))], strict=False))

        def entry(t):
            if isinstance(t, Swp):
                return replace(t, slot=slots.get(t.slot, t.slot))
            return t and replace(t, frame=frames.get(t.frame, t.frame))

        procs = tuple(
            replace(p, mm=replace(p.mm, ptes=tuple(map(entry, p.mm.ptes))))
            for p in sorted(s.procs, key=lambda p: NAMES.index(p.name))
        )
        refs = tuple(replace(r, frame=frames.get(r.frame, r.frame)) for r in s.refs)
        kept = [f if i < len(before.frames) else FREED for i, f in enumerate(s.frames)]
        for i, to in frames.items():
            kept[to] = s.frames[i]
        cache = [
            EMPTY if i in slots or (i not in used and x.frame is None) else _slot(x, frames)
            for i, x in enumerate(s.slots)
        ]
        for i, to in slots.items():
            cache[to] = _slot(s.slots[i], frames)
        return replace(s, procs=procs, frames=_stripped(kept, FREED), slots=_stripped(cache, EMPTY), refs=refs)


EMPTY = Slot("", None)  # a swap slot that nothing needs


def _slot(x: Slot, frames: dict[int, int]) -> Slot:
    return x if x.frame is None else Slot("", frames.get(x.frame, x.frame))


def _stripped(items: list, last) -> tuple:
    while items and items[-1] == last:
        items.pop()
    return tuple(items)


def parse_steps(steps: str | Sequence[str]) -> tuple[Action, ...]:
    """``"write, fork, gup write, mprotect ro"``: steps of section 2, without pages, values and names.

    `mprotect` and `madvise` alone stand for all that they may ask. Raises ValueError, which names what is legal."""
    listed = [s.strip() for s in (steps.split(",") if isinstance(steps, str) else steps)]
    legal = [op for op in GRAMMAR if op not in UNFIT]
    found: list[Action] = []
    for words in (s.split() for s in listed if s):
        op, *options = words
        if op not in legal:
            from difflib import get_close_matches

            near = get_close_matches(op, legal, 1, 0.6)
            why = "no step of free exploration" if op in GRAMMAR else "unknown step"
            hint = f"did you mean {near[0]!r}? " if near and op not in GRAMMAR else ""
            raise ValueError(f"{why} {op!r}; {hint}choose from {', '.join(legal)}")
        choices = [w for w in GRAMMAR[op].split() if w.islower() and "|" in w] or [""]
        asked = [c for c in choices[0].split("|") if c and c in options] or choices[0].split("|")
        optional = tuple(w[1:-1] for w in GRAMMAR[op].split() if w.startswith("[") and w.endswith("]"))
        wrong = [w for w in options if w not in optional and w not in choices[0].split("|")]
        if wrong:
            takes = ", ".join([*optional, *filter(None, choices[0].split("|"))]) or "nothing"
            raise ValueError(f"`{op}` takes no {wrong[0]!r} here; it takes {takes}")
        chosen = tuple(o for o in optional if o in options)
        value = VALUE if "VALUE" in GRAMMAR[op] else ""
        ref = REF if "-> REF" in GRAMMAR[op] else ""
        found += [Action(THREADS.get(op, ""), op, arg=value or arg, ref=ref, options=chosen) for arg in asked]
    if not found:
        raise ValueError(f"no steps; choose from {', '.join(legal)}")
    return tuple(dict.fromkeys(found))


def violates(s: State, never: str) -> bool:
    """Has ``s`` what shall never be? Frames and entries are compared, and nothing else is known about them."""
    if never == "stale":
        return any(_stale(s, r) for r in s.refs if r.frame is not None)
    held = {(r.proc, r.frame) for r in s.refs if r.frame is not None and (never == "leak" or r.name != FORKED)}
    return any(
        holder != p.name and frame == t.frame
        for p in s.procs
        for t in p.mm.ptes
        if isinstance(t, Pte) and t.write
        for holder, frame in held
    )


def _stale(s: State, r) -> bool:
    """The mapping is there; the frame is neither in its entry nor in the swap cache of its swap entry."""
    vma, t = s.at(r.proc, r.page)
    return vma is not None and r.frame != (s.slots[t.slot].frame if isinstance(t, Swp) else t and t.frame)
