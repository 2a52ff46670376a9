"""Free exploration: can it ever happen, whoever does what and when? The answer holds for all executions.

    >>> from cowlab.explore.free import explore
    >>> from cowlab import kernel
    >>> found = explore(kernel("v5.7"), never="leak")
    >>> found.verdict
    'violated'
    >>> print(*found.shortest, sep="; ")
    P: gup x -> r; P: fork C; P: write x data; C: write x data

`explore()` walks the machines breadth first, so what it finds is a shortest witness, and what it does not find within
the whole space is not there. A state is an island: processes that are tied to each other by frames, up to renaming,
whatever stands beside them (islands.py). With ``machines=True`` it is a whole machine up to renaming, and with
``full=True`` a machine: none are merged, and frames and swap slots are handed out lowest number first.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..mm import Action, Kernel, State
from .islands import Islands, islands_of
from .space import FORKED, NAMES, NEVER, PAGES, REF, STEPS, Space, parse_steps, violates
from .symmetry import renamed

__all__ = ["Exploration", "Progress", "explore"]


class Progress(NamedTuple):
    """How far an exploration has come; ``memory`` is the process's, in MiB."""

    states: int
    frontier: int
    transitions: int
    seconds: float
    memory: float


@dataclass(frozen=True, eq=False, repr=False)
class Exploration:
    """What was found. ``states`` are those visited, ``merged`` says up to what, and ``transitions`` the steps tried
    from them; after a violation that is not the whole space, unless the search was asked to go on.

    ``shortest`` is a witness as text, ``actions`` the same as actions, and ``witness`` the machine at the start and
    after each of them, every one made by ``mm.step``. All are None where nothing was violated."""

    kernel: Kernel
    processes: int
    pages: int
    steps: tuple[str, ...]
    never: str
    verdict: str  # holds, violated or undecided
    states: int
    transitions: int
    seconds: float
    why: str = ""  # what kept an undecided one from an answer
    merged: str = ""
    actions: tuple[Action, ...] | None = None
    witness: tuple[State, ...] | None = None

    @property
    def shortest(self) -> list[str] | None:
        return None if self.actions is None else [str(a).replace(FORKED, REF) for a in self.actions]

    def as_json(self) -> dict[str, Any]:
        return {
            "kernel": self.kernel.name, "processes": self.processes, "pages": self.pages, "steps": list(self.steps),
            "never": self.never, "verdict": self.verdict, "states": self.states, "transitions": self.transitions,
            "shortest": self.shortest, "seconds": round(self.seconds, 4),
        } | ({"why": self.why} if self.why else {})  # fmt: skip

    def __repr__(self) -> str:
        return f"<{self.never} on {self.kernel.name}: {self.verdict}, {self.states} states>"

    def __str__(self) -> str:
        size = f"{self.processes} processes, {self.pages} page{'s' * (self.pages > 1)}"
        lines = [
            f"Never {self.never} on {self.kernel.name}: {NEVER[self.never]}",
            f"Steps {', '.join(self.steps)}; {size}",
        ]
        lines += [f"{n:>4}  {step}" for n, step in enumerate(self.shortest or (), 1)]
        lines.append(f"{self.states:,} states {self.merged}, {self.transitions:,} transitions, {self.seconds:.2f} s")
        said = self.verdict + (f" in {len(self.shortest)} steps" if self.shortest else f": {self.why}" * bool(self.why))
        return "\n".join([*lines, f"Exploration {self.never} {self.kernel.name} {said}"])


def explore(
    kernel: Kernel,
    processes: int = 2,
    pages: int = 1,
    steps: str | tuple[str, ...] = STEPS,
    never: str = "leak",
    full: bool = False,
    project: bool = False,
    product: bool = False,
    machines: bool = False,
    go_on: bool = False,
    max_states: int | None = None,
    max_memory: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Exploration:
    """Can ``never`` happen with so many processes and pages, if any process may take any of the steps at any time?

    ``never`` is `leak`, `leak-after-fork` or `stale` (see ``NEVER``). ``full``: no reduction. ``machines``: the states
    are machines up to renaming, and not islands; the verdict and the length of the witness are the same. ``project``:
    one page is explored for all (column.py); refused where frames cross. ``product``: the product of that page's
    automaton is walked by NumPy; its states are all machines, up to renaming of frames and pages. ``go_on``: count the
    whole space even when something was found. ``max_memory`` is in MiB; beyond either bound, or on Ctrl-C, the verdict
    is `undecided` (or `violated`, if something was found before), and the counts say what was visited. ``progress`` is
    called every few hundred states. Raises ValueError on bad input. design/litmus.md 7.
    """
    if never not in NEVER:
        raise ValueError(f"unknown property {never!r}; choose one of {', '.join(NEVER)}")
    for what, n, most in (("processes", processes, len(NAMES)), ("pages", pages, len(PAGES))):
        if not 1 <= n <= most:
            raise ValueError(f"{n} {what}; from 1 to {most} can be explored")
    space = Space(kernel, processes, pages, parse_steps(steps), never == "leak-after-fork")
    if full + project + product > 1:
        raise ValueError("full, project and product exclude each other; ask for one of them")
    seen = space
    if project or product:
        from .column import column_of

        seen = column_of(space)
    bounds = go_on, max_states, max_memory, progress
    if full or any(a.op == "merge" for a in space.steps):
        walks = [_whole(space, never, full)]
    else:
        islands = Islands(seen, never)
        walks = [_machines(islands)] if machines or product else [_alone(islands), _machines(islands)]
    for walk in walks:  # the second where no machine can go the way that an island went alone
        found = _product(space, never, walk, *bounds) if product else search(walk, *bounds)
        taken = _replay(space, seen, walk, found.path) if found.path else None
        if taken or not found.path:
            break
    else:
        raise AssertionError("no step leads along the path: two machines with one key behave differently")
    actions, witness = taken or (None, None)
    verdict = "violated" if taken else "undecided" if found.why else "holds"
    listed = tuple(" ".join(w for w in (a.op, "" if a.arg == "data" else a.arg, *a.options) if w) for a in space.steps)
    return Exploration(
        kernel, processes, pages, listed, never, verdict, found.states, found.transitions, found.seconds,
        found.why, walk.merged, actions, witness,
    )  # fmt: skip


class Walk(NamedTuple):
    """A graph: ``successors`` of a node are (steps tried, nodes); ``bad`` judges a node; ``shows`` says whether a
    machine is what the node stands for, or has it in it; ``merged`` says what a node is, for the reader."""

    start: Hashable
    successors: Callable[[Any], tuple[int, list]]
    bad: Callable[[Any], bool]
    shows: Callable[[State, Any], bool]
    merged: str


def _alone(islands: Islands) -> Walk:
    """Nodes are islands, each by itself."""

    def shows(s, island):
        return any(islands.machine(part) == (island,) for part in islands_of(s))

    (start,) = islands.machine(islands.space.start)
    return Walk(start, islands.alone, islands.bad.__getitem__, shows, "up to symmetry, one island for all")


def _machines(islands: Islands) -> Walk:
    """Nodes are multisets of islands."""

    def bad(machine):
        return any(map(islands.bad.__getitem__, machine))

    def shows(s, machine):
        return islands.machine(s) == machine

    return Walk(islands.machine(islands.space.start), islands.successors, bad, shows, "up to symmetry")


def _whole(space: Space, never: str, full: bool) -> Walk:
    """Nodes are machines, every step taken by ``mm.step``; without ``full`` up to renaming of frames and slots."""

    def successors(s):
        found = [space.apply(s, a) for a in space.actions(s)]
        return len(found), [space.renumbered(t, s) if full else renamed(t, 1) for t in found]

    def shows(s, node):
        return (s if full else renamed(s, 1)) == node

    start = space.start if full else renamed(space.start, 1)
    merged = "without reduction" if full else "up to names of frames"
    return Walk(start, successors, lambda s: violates(s, never), shows, merged)


class Found(NamedTuple):
    """What a search came back with; ``why`` it stopped early, if it did."""

    states: int
    transitions: int
    seconds: float
    path: list | None  # the nodes of a shortest way to a bad one
    why: str


def _product(space: Space, never: str, walk: Walk, go_on, *bounds) -> Found:
    """The product decides; the way to what it finds is found in the projection, and must be as short."""
    from .product import product
    from .tables import automaton

    began = time.perf_counter()
    p = product(automaton(space, never), space.pages, go_on=go_on, look=_limits(*bounds))
    path = None
    if p.depth is not None:
        path = search(walk).path
        assert len(path) == p.depth + 1, "the product and the projection disagree"
    return Found(p.states, p.transitions, time.perf_counter() - began, path, p.why)


def _limits(max_states, max_memory, progress) -> Callable[[int, int, int, float], str]:
    """A function that tells how far it has come, and says why to stop, or nothing."""

    def look(states: int, frontier: int, transitions: int, seconds: float) -> str:
        if progress:
            progress(Progress(states, frontier, transitions, seconds, memory()))
        if max_memory is not None and memory() > max_memory:
            return f"more than {max_memory:g} MiB of memory"
        if max_states is not None and states > max_states:
            return f"more than {max_states:,} states"
        return ""

    return look


EVERY = 64  # states between two looks at the clock and the memory


def search(walk: Walk, go_on=False, max_states=None, max_memory=None, progress=None) -> Found:
    """Breadth first, from the start; the first bad node met is a nearest one."""
    began, transitions, why = time.perf_counter(), 0, ""
    start, successors, bad = walk[:3]
    look = _limits(max_states, max_memory, progress)
    came_from, frontier, nearest, visited = {start: None}, [start], start if bad(start) else None, 0
    try:
        while frontier and not why and (nearest is None or go_on):
            following = []
            for node in frontier:
                steps, found = successors(node)
                transitions += steps
                for after in found:
                    if after not in came_from:
                        came_from[after] = node
                        following.append(after)
                        if nearest is None and bad(after):
                            nearest = after
                            if not go_on:
                                break
                visited += 1
                if visited % EVERY == 0 or (max_states is not None and len(came_from) > max_states):
                    why = look(len(came_from), len(frontier), transitions, time.perf_counter() - began)
                if why or (nearest is not None and not go_on):
                    break
            frontier = following
    except KeyboardInterrupt:
        why = "interrupted"
    path = None
    if nearest is not None:
        path = [nearest]
        while came_from[path[-1]] is not None:
            path.append(came_from[path[-1]])
    return Found(len(came_from), transitions, time.perf_counter() - began, path and path[::-1], why)


def memory() -> float:
    """The resident memory of this process, in MiB; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * 4096 / 2**20
    except OSError:
        return 0.0


def _replay(space: Space, seen: Space, walk: Walk, path: list) -> tuple[tuple[Action, ...], tuple[State, ...]] | None:
    """A way along the nodes, really taken: at each the first action that leads to the next. Where a projection was
    ``seen``, the whole machine goes along. None where no action leads on: others take up the room for a fork."""
    actions, states, at = [], [space.start], seen.start
    for node in path[1:]:
        for a in seen.actions(at):
            after = seen.apply(at, a)
            if walk.shows(after, node):
                break
        else:
            return None
        actions.append(a)
        at = after
        states.append(space.renumbered(space.apply(states[-1], a), states[-1]))
    return tuple(actions), tuple(states)
