"""When are two machines the same? A key that knows fields and no semantics."""

from ..mm import Pte, State, replace

__all__ = ["renamed"]


def renamed(s: State, keep: int) -> State:
    """``s`` with its frames numbered by where they are seen, its processes sorted by name, and nothing
    left of freed frames. The first ``keep`` frames (the zero page and the initial ones) keep their numbers.

    Two states that differ only in the numbers of later frames become equal; a step of a renamed state is
    the renamed step. Terms: frames are interchangeable because no rule compares their numbers.
    """
    names: dict[int | None, int | None] = {None: None} | {i: i for i in range(keep)}
    frames = list(s.frames[:keep])

    def new(frame):
        if frame not in names:
            names[frame] = len(frames)
            frames.append(s.frames[frame])
        return names[frame]

    procs = []
    for p in sorted(s.procs, key=lambda p: p.name):
        mm = p.mm and replace(p.mm, ptes=tuple(t and Pte(new(t.frame), t.write, t.dirty) for t in p.mm.ptes))
        procs.append(replace(p, mm=mm, regs=tuple((n, v, new(f)) for n, v, f in p.regs)))
    files = tuple(new(f) for f in s.files)
    refs = tuple(replace(r, frame=new(r.frame)) for r in s.refs)
    return State(s.pages, tuple(procs), tuple(frames), files, refs)
