"""Symmetry: which machines are the same, and which parts of a machine know nothing of each other.

An *island* is a set of processes that are tied to each other by frames: one maps, holds or has in swap a frame that
another maps, holds or has in swap. What a process does is seen on its own island only, so a machine is the multiset
of its islands, each of them up to renaming of its frames, swap slots and processes; two machines are the same up to
renaming exactly if these multisets are equal. A step of an island is one run of ``mm.step``, remembered: the same
island need not be stepped again beside other ones.

More: what shall never be is seen on one island, and of the others an island needs nothing but room for a fork. So a
search need not put islands side by side. It follows one, and where that falls apart, each part by itself (`alone`).
A run of a machine, looked at from one island back to the start, is such a run. A run of one island is one of a machine
whose other islands stand still, unless they take the room for a fork; whether they do shows when the witness is
replayed, and then whole machines decide (free.py). This is the partial order among islands, all of it: steps of
different islands commute, and no order of them is ever tried. Within an island partial-order reduction would leave
out two states in a hundred at best (`python tests/bench/compare.py order`), and is not built.

Nothing here knows what a field means: only which fields are names of frames, slots, processes and pages. That
nothing crosses the water is tested, kernel by kernel, against machines stepped whole (tests/test_symmetry.py). KSM
does cross it, and chooses by the order of the processes' names: with `merge` no machine is split (see free.py).
"""

from collections.abc import Iterator
from itertools import groupby, permutations, product
from math import factorial, prod
from typing import NamedTuple

from ..mm import Pte, State, Swp, replace
from .space import NAMES, Space, violates
from .symmetry import renamed

__all__ = ["Islands", "Moves", "islands_of"]

Machine = tuple[int, ...]  # its islands by number, sorted


class Moves(NamedTuple):
    """What an island can become. ``own`` and ``forks`` list each outcome once, and not the island itself; ``steps``
    and ``fork_steps`` count all steps; ``threads[n]`` is the outcome of the n-th step of the kernel's threads."""

    own: tuple[Machine, ...]
    forks: tuple[Machine, ...]
    steps: int
    fork_steps: int
    threads: tuple[Machine, ...]


class Islands:
    """The islands met so far in one space: ``states[n]`` stands for all islands with the number n."""

    def __init__(self, space: Space, never: str | None):
        self.space, self.never = space, never
        self.states: list[State] = []
        self.sizes: list[int] = []  # how many processes
        self.bad: list[bool] = []
        self.automorphisms: list[int] = []  # how many renamings of its processes leave it as it is
        self.twins: list[dict[str, int]] = []  # of processes that only their names tell apart, the first: how many
        self._moves: list[Moves | None] = []
        self._mirrored: list[Machine | None] = []
        self._numbers: dict[tuple, int] = {}
        self._shapes: dict[tuple, int] = {}
        orders = permutations(range(space.pages))
        self._orders = list(orders) if space.symmetric_pages else [next(orders)]
        self.thread_steps = sum(a.proc not in NAMES for a in space.actions(replace(space.start, procs=(), refs=())))

    def machine(self, s: State) -> Machine:
        """The machine as the numbers of its islands: equal for two machines that are the same up to renaming."""
        return self.least([self.number(part) for part in islands_of(s)])

    def least(self, islands: list[int]) -> Machine:
        """The least of the machines that differ by a permutation of the pages."""
        least = sorted(islands)
        for order in range(1, len(self._orders)):
            mirrored = sorted([(self._mirrored[i] or self._mirror(i))[order] for i in islands])
            if mirrored < least:
                least = mirrored
        return tuple(least)

    def _mirror(self, i: int) -> Machine:
        self._mirrored[i] = tuple(self.number(_with_pages(self.states[i], order)) for order in self._orders)
        return self._mirrored[i]

    def number(self, s: State) -> int:
        """The number of an island; frames, swap slots and processes have no names in its key.

        The shape of a process is what is seen of it without names; a frame or slot that nobody else knows is named
        by its place. Processes of equal shape are tried in every order; the key is the shapes, and the least list of
        names by first appearance."""
        refs: dict[str, list] = {}
        for r in s.refs:
            refs.setdefault(r.proc, []).append(r)
        found: list[tuple] = []
        users: dict[int, int] = {}  # how many processes know the frame or slot
        for p in s.procs:
            shape, names = _shape(s, p, refs.get(p.name, ()))
            for n in set(names):
                users[n] = users.get(n, 0) + 1
            found.append((self._shapes.setdefault(shape, len(self._shapes)), p.name, names))
        found = sorted((shape, name, _own(names, users)) for shape, name, names in found)
        alike = [list(g) for _, g in groupby(found, key=lambda f: f[0])]
        least, best, ways = None, None, 0
        for order in product(*map(_orders, alike)):
            seen: dict[int, int] = {}
            row = [
                n if n < 0 else seen.setdefault(n, len(seen)) for group in order for _, _, names in group for n in names
            ]
            if least is None or row < least:
                least, best, ways = row, order, 0
            ways += row == least
        key = (*(f[0] for f in found), *least)
        if key not in self._numbers:
            self._numbers[key] = len(self.states)
            names = {name: NAMES[n] for n, (_, name, _) in enumerate(f for group in best for f in group)}
            self.states.append(_with_names(s, names))
            self.sizes.append(len(s.procs))
            self.bad.append(self.never is not None and violates(self.states[-1], self.never))
            same: dict[tuple, list[str]] = {}
            for shape, name, own in found:
                same.setdefault((shape, *own), []).append(names[name])
            self.twins.append({twins[0]: len(twins) for twins in same.values()})
            self.automorphisms.append(ways * prod(factorial(len(twins)) for twins in same.values()))
            self._moves.append(None)
            self._mirrored.append(None)
        return self._numbers[key]

    def alone(self, i: int) -> tuple[int, list[int]]:
        """As ``successors``, of the machine that is this island: the islands that come of it, each by itself."""
        m = self.moves(i)
        room = self.sizes[i] < self.space.processes
        found = dict.fromkeys(j for to in (*m.own, *(m.forks if room else ()), *m.threads) for j in to)
        steps = m.steps + (m.fork_steps if room else 0) + self.thread_steps
        return steps, [self.least([j])[0] for j in found]

    def moves(self, i: int) -> Moves:
        """Every step of the island, taken by ``mm.step`` when it is asked for the first time; of twins, the first's."""
        if self._moves[i] is None:
            s, own, forks, threads, steps, fork_steps = self.states[i], [], [], [], 0, 0
            for a in self.space.actions(s):
                n = self.twins[i].get(a.proc, 0)
                if not n and a.proc in NAMES:
                    continue
                after = self.space.apply(s, a)
                to = (i,) if after == s else tuple(sorted(self.number(part) for part in islands_of(after)))
                if a.proc not in NAMES:
                    threads.append(to)
                elif a.op == "fork":
                    forks.append(to)
                    fork_steps += n
                else:
                    own.append(to)
                    steps += n
            own, forks = (tuple(m for m in dict.fromkeys(found) if m != (i,)) for found in (own, forks))
            self._moves[i] = Moves(own, forks, steps, fork_steps, tuple(threads))
        return self._moves[i]

    def successors(self, machine: Machine) -> tuple[int, list[Machine]]:
        """How many steps can be taken, and the machines that they lead to."""
        room = sum(self.sizes[i] for i in machine) < self.space.processes
        steps, found = 0, []
        for at, i in enumerate(machine):
            m = self._moves[i] or self.moves(i)
            steps += m.steps + m.fork_steps if room else m.steps
            if at and machine[at - 1] == i:
                continue  # an island like the last one
            rest = machine[:at] + machine[at + 1 :]
            found += [self.least([*rest, *to]) for to in (m.own + m.forks if room else m.own)]
        for n in range(self.thread_steps):
            found.append(self.least([j for i in machine for j in self._moves[i].threads[n]]))
        return steps + self.thread_steps, found


def islands_of(s: State) -> list[State]:
    """The parts of a machine that share no frame and no swap slot; the zero page ties nobody."""
    groups: list[tuple[set[str], set[int]]] = []
    for p in s.procs:
        names, ties = {p.name}, set()
        for t in p.mm.ptes:
            ties.update(_ties(s, t))
        ties.update(r.frame for r in s.refs if r.proc == p.name and r.frame)
        apart = []
        for group in groups:
            if ties.isdisjoint(group[1]):
                apart.append(group)
            else:
                names, ties = names | group[0], ties | group[1]
        groups = [*apart, (names, ties)]
    if len(groups) == 1:
        return [s]
    return [
        s.but(procs=tuple([p for p in s.procs if p.name in names]), refs=tuple([r for r in s.refs if r.proc in names]))
        for names, _ in groups
    ]


def _ties(s: State, t) -> tuple[int, ...]:
    """What an entry ties its process to: a frame; a swap slot (counted down from -1), and the frame it caches."""
    if isinstance(t, Swp):
        return (-1 - t.slot, s.slots[t.slot].frame or -1 - t.slot)
    return (t.frame,) if t and t.frame else ()


def _shape(s: State, p, refs) -> tuple[tuple, list[int]]:
    """What is seen of a process without names, and the names of frames and slots in the order of their places."""
    shape, names = [p.fault, p.mm.has_pinned], []
    cached = {x.frame for x in s.slots if x.frame is not None}
    for vma, t, tail in zip(p.mm.vmas, p.mm.ptes, p.mm.tails, strict=True):
        shape += [vma, tail]
        if isinstance(t, Pte):
            shape += [t.write, t.dirty, t.huge, t.wp, t.tlb, s.frames[t.frame], t.frame in cached, t.frame == 0]
            names.append(t.frame)
        elif isinstance(t, Swp):
            slot = s.slots[t.slot]
            in_cache = slot.frame is not None
            shape += ["swap", t.exclusive, s.frames[slot.frame] if in_cache else slot.value]
            names.append(slot.frame if in_cache else len(s.frames) + t.slot)
        else:
            shape.append(None)
    for r in refs:
        shape += [r.name, r.page, r.pin, r.mirror, r.counted, r.error, s.frames[r.frame], r.frame in cached]
        names.append(r.frame)
    return tuple(shape), names


def _own(names: list[int], users: dict[int, int]) -> list[int]:
    """The names; those that no other process knows are counted down from -1, by their place."""
    own: dict[int, int] = {}
    return [n if users[n] > 1 else -1 - own.setdefault(n, len(own)) for n in names]


def _orders(alike: list[tuple]) -> Iterator[list[tuple]]:
    """Every order of processes of one shape; of two with the same names, one order is enough."""
    if len(alike) == 1:
        yield alike
        return
    for at, one in enumerate(alike):
        if one[2] not in [names for _, _, names in alike[:at]]:
            for rest in _orders(alike[:at] + alike[at + 1 :]):
                yield [one, *rest]


def _with_names(s: State, names: dict[str, str]) -> State:
    """The island with its processes, frames and swap slots named afresh."""
    procs = tuple(replace(p, name=names[p.name]) for p in s.procs)
    refs = tuple(sorted((replace(r, proc=names[r.proc]) for r in s.refs), key=lambda r: (r.proc, r.name)))
    return renamed(replace(s, procs=procs, refs=refs), 1)


def _with_pages(s: State, order: tuple[int, ...]) -> State:
    """The island with page n where page ``order[n]`` was."""

    def moved(items):
        return tuple(items[i] for i in order)

    procs = tuple(
        replace(p, mm=replace(p.mm, vmas=moved(p.mm.vmas), ptes=moved(p.mm.ptes), tails=moved(p.mm.tails)))
        for p in s.procs
    )
    return replace(s, procs=procs, refs=tuple(replace(r, page=order.index(r.page)) for r in s.refs))
