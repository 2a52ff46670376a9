"""When are two machines the same? A key that knows fields and no semantics."""

from ..mm import NO_TABLE, State, Swp, replace

__all__ = ["renamed"]


def renamed(s: State, keep: int) -> State:
    """``s`` with its frames numbered by where they are seen, its processes sorted by name, and nothing
    left of freed frames. The first ``keep`` frames (the zero page and the initial ones) keep their numbers.

    Two states that differ only in the numbers of later frames become equal; a step of a renamed state is
    the renamed step. Terms: frames are interchangeable because no rule compares their numbers.
    """
    names: dict[int | None, int | None] = {None: None, NO_TABLE: NO_TABLE} | {i: i for i in range(keep)}
    frames = list(s.frames[:keep])

    slots: dict[int, int] = {}

    def new(frame):
        if frame not in names:
            names[frame] = len(frames)
            frames.append(s.frames[frame])
        return names[frame]

    def entry(t):
        if isinstance(t, Swp):
            return replace(t, slot=slots.setdefault(t.slot, len(slots)))
        return t and replace(t, frame=new(t.frame))

    procs = []
    for p in sorted(s.procs, key=lambda p: p.name):
        mm = p.mm and replace(p.mm, ptes=tuple(map(entry, p.mm.ptes)), tails=tuple(map(new, p.mm.tails)))
        procs.append(replace(p, mm=mm, regs=tuple((n, v, new(f)) for n, v, f in p.regs)))
    files = tuple(new(f) for f in s.files)
    refs = tuple(replace(r, frame=new(r.frame)) for r in s.refs)
    # a slot without a swap entry matters while the swap cache holds a frame that somebody has
    cached = {names[x.frame]: i for i, x in enumerate(s.slots) if x.frame is not None and x.frame in names}
    for _, i in sorted(cached.items()):
        slots.setdefault(i, len(slots))
    cache = tuple(
        replace(s.slots[i], frame=new(s.slots[i].frame), value="" if s.slots[i].frame is not None else s.slots[i].value)
        for i in slots
    )
    return State(s.pages, tuple(procs), tuple(frames), files, cache, refs, s.batches)
