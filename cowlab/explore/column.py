"""Projection: the space of many pages, seen from one of them.

Where no frame stands at two pages, a page's entries and frames change only by steps on that page, by steps on whole
processes, and by what other pages leave in the process: a reference in its one hand, and MMF_HAS_PINNED. So a column
is a machine with two pages: x, which is explored, and y, which stands for all others. On y only lookups are tried,
and after every step y is made fresh again: each process has a writable page of its own there.

A run of the whole space, seen at x, is a run of the column (drop the steps on other pages that are no lookups); a run
of the column is one of the whole space with two pages or more. So what can be violated, and in how many steps, is the
same. That frames do not cross is not believed but looked at after every step; KSM, which moves them, is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ..mm import CALLERS, NO_TABLE, Action, Pte, State, Swp, replace
from .space import Space

__all__ = ["Column", "column_of"]


def column_of(space: Space) -> Space:
    """The column of a space; the space itself, if it has but one page. Raises ValueError where frames cross."""
    if space.pages == 1:
        return space
    if any(a.op == "merge" for a in space.steps):
        raise ValueError("`merge` moves a frame from page to page, so that one page does not stand for all; leave out "
                         "--project, or `merge`")  # fmt: skip
    return Column(space.kernel, space.processes, 2, space.steps, space.remembers_forks)


@dataclass(frozen=True)
class Column(Space):
    """x, and y for all other pages."""

    symmetric_pages = False

    def actions(self, s: State) -> Iterator[Action]:
        """On y only lookups: what else happens there is not seen at x."""
        return (a for a in super().actions(s) if a.page != s.pages[1] or a.op in CALLERS)

    def apply(self, s: State, a: Action) -> State:
        s = super().apply(s, a)
        if crossing := _at(s, 0) & _at(s, 1):
            raise ValueError(f"{self.kernel.name}: after `{a}` frame {min(crossing)} stands at two pages")
        return self.refreshed(s)

    def refreshed(self, s: State) -> State:
        """y as it was at the start, in every process; a reference to it is to that page."""
        mm = self.start.procs[0].mm
        vma, entry, frame = mm.vmas[1], mm.ptes[1], self.start.frames[mm.ptes[1].frame]
        frames, procs, fresh = list(s.frames), [], {}
        for p in s.procs:
            t = p.mm.ptes[1]
            as_it_was = p.mm.vmas[1] == vma and _alike(t, entry) and s.frames[t.frame] == frame
            if as_it_was and t.frame not in fresh.values():
                fresh[p.name] = t.frame
                procs.append(p)
                continue
            fresh[p.name] = len(frames)
            frames.append(frame)
            ptes = p.mm.ptes[0], replace(entry, frame=fresh[p.name])
            procs.append(replace(p, mm=replace(p.mm, vmas=(p.mm.vmas[0], vma), ptes=ptes)))
        if len(frames) == len(s.frames) and all(r.page == 0 or r.frame == fresh[r.proc] for r in s.refs):
            return s
        refs = [replace(r, frame=fresh[r.proc]) if r.page == 1 else r for r in s.refs]
        return s.but(tuple(procs), tuple(frames), refs=tuple(refs)).swept()


def _alike(t, entry: Pte) -> bool:
    """The same entry, but for the number of the frame."""
    return isinstance(t, Pte) and (t.write, t.dirty, t.huge, t.wp, t.tlb) == (
        entry.write, entry.dirty, entry.huge, entry.wp, entry.tlb
    )  # fmt: skip


def _at(s: State, page: int) -> set[int]:
    """The frames that stand at a page: in entries, in the swap cache, in page tables of a THP, and held."""
    found = {r.frame for r in s.refs if r.page == page and r.frame}
    for p in s.procs:
        t, tail = p.mm.ptes[page], p.mm.tails[page]
        if isinstance(t, Pte) and t.frame:
            found.add(t.frame)
        elif isinstance(t, Swp) and s.slots[t.slot].frame is not None:
            found.add(s.slots[t.slot].frame)
        if tail not in (None, NO_TABLE):
            found.add(tail)
    return found
