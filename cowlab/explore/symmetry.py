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

    def entry(t):  # what keeps its number is not built anew: this is most of what there is
        if isinstance(t, Swp):
            slot = slots.setdefault(t.slot, len(slots))
            return t if slot == t.slot else replace(t, slot=slot)
        return t if t is None or new(t.frame) == t.frame else replace(t, frame=names[t.frame])

    def process(p):
        if p.mm is None:
            return p if not p.regs else replace(p, regs=tuple([(n, v, new(f)) for n, v, f in p.regs]))
        ptes, tails = tuple(map(entry, p.mm.ptes)), tuple(map(new, p.mm.tails))
        regs = tuple([(n, v, new(f)) for n, v, f in p.regs])
        mm = p.mm if (ptes, tails) == (p.mm.ptes, p.mm.tails) else replace(p.mm, ptes=ptes, tails=tails)
        return p if mm is p.mm and regs == p.regs else replace(p, mm=mm, regs=regs)

    procs = tuple([process(p) for p in sorted(s.procs, key=lambda p: p.name)])
    files = tuple(map(new, s.files))
    refs = tuple([r if new(r.frame) == r.frame else replace(r, frame=names[r.frame]) for r in s.refs])
    # a slot without a swap entry matters while the swap cache holds a frame that somebody has
    cached = {names[x.frame]: i for i, x in enumerate(s.slots) if x.frame is not None and x.frame in names}
    for _, i in sorted(cached.items()):
        slots.setdefault(i, len(slots))
    cache = tuple(
        replace(s.slots[i], frame=new(s.slots[i].frame), value="" if s.slots[i].frame is not None else s.slots[i].value)
        for i in slots
    )
    return State(s.pages, procs, tuple(frames), files, cache, refs, s.batches)
