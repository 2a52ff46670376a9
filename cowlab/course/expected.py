"""What somebody expected after a step, and is not so: which step decides it, and where it would be so.

Nothing here is asserted. Every answer is an execution that the engine has run: an earlier moment of the same one, the
same steps in another order, or the same order on another kernel.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ..explore.schedules import TooManyStates, explore
from ..litmus import LitmusError, Moment, Test, Trace, catalogue, load
from ..litmus.run import DRAIN, parents_of, ready, run_actions
from ..mm import KERNELS, Action, Kernel, Pte, State, boot, step
from ..view.scene import Scene, scenes

__all__ = ["Elsewhere", "decided", "elsewhere", "everything", "origin", "same"]

BOUND = 5_000  # states: beyond it nothing is said of other orders


def everything(s: Scene) -> dict[str, str]:
    """All that can be asked of a moment: ``"P.x entry"``, ``"frame 0 mapcount"``, ``"C.pipe frame"`` -> what is so."""
    return dict(_cells(s))


def _cells(s: Scene) -> Iterator[tuple[str, str]]:
    for p in s.processes:
        for e in p.entries:
            if e.there:
                yield f"{e.name} entry", e.access
                yield f"{e.name} frame", e.frame or "none"
    for f in s.frames:
        if f.there and f.state != "allocated":
            yield f"{f.title} value", "junk"
        elif f.there:
            yield f"{f.title} value", f.value
            counts = (("mapcount", f.mapcount), ("refcount", f.refcount), ("pins", f.pins))
            yield from ((f"{f.title} {what}", str(n)) for what, n in counts if n is not None)
    for h in s.holders:
        if h.there:
            yield f"{h.name} frame", h.frame or "none"


def same(given: str, truth: str | None) -> bool:
    """Typed by hand: ``frame 1`` is 1, and letters may be large or small."""
    return truth is not None and given.lower().strip().removeprefix("frame ").strip() == truth.lower()


def decided(trace: Trace, step: int, cell: str) -> int:
    """The step that gave the cell the value that it has after ``step`` steps; 0 where it has it from the start.

    >>> from cowlab import kernel, run
    >>> t = run(load("child-reads-parent-secret"), kernel("v5.7"), "P C C P")
    >>> decided(t, 3, "frame 0 mapcount"), decided(t, 3, "P.x entry"), decided(t, 3, "P.x frame")
    (3, 1, 0)
    """
    values = [everything(s).get(cell) for s in scenes(trace)[: step + 1]]
    return next((n for n in range(step, 0, -1) if values[n - 1] != values[n]), 0)


@dataclass(frozen=True)
class Elsewhere:
    """Where an expected value is found: ``said``, and the trace and its step in which it stands. Of a value that is
    found nowhere ``trace`` is None, and ``said`` says what was searched."""

    said: str
    trace: Trace | None = None
    step: int = 0


def elsewhere(trace: Trace, step: int, cell: str, typed: str, test: Test | None = None) -> Elsewhere:
    """Where would the cell be as typed? Searched in this order: earlier moments of the trace; the same steps in every
    other order, on the same kernel; with the trace's ``test`` the same order on every kernel of the catalogue.

    >>> from cowlab import kernel, run
    >>> test = load("child-reads-parent-secret")
    >>> t = run(test, kernel("v5.7"), "P C C P")
    >>> elsewhere(t, 3, "frame 0 mapcount", "2", test).said
    'What you typed was so until step 3, C: munmap x.'
    >>> elsewhere(t, 4, "P.x frame", "1", test).said
    'What you typed would be so in the order P C P C of the same steps.'
    >>> elsewhere(t, 4, "frame 0 pins", "1", test).said
    'What you typed would be so in no order of these steps, and in this order on none of 9 kernels.'
    """
    drawn = scenes(trace)
    for n in reversed(range(step)):
        if same(typed, everything(drawn[n]).get(cell)):
            return Elsewhere(f"What you typed was so until step {n + 1}, {drawn[n + 1].action}.", trace, n + 1)
    orders = _orders(trace, step)
    for other in orders or ():
        if same(typed, everything(scenes(other)[-1]).get(cell)):
            here = f"in the order {' '.join(order(other))} of the same steps"
            return Elsewhere(f"What you typed would be so {here}.", other, step)
    on = [t for t in _kernels(trace, step, test) if same(typed, everything(scenes(t)[-1]).get(cell))]
    if on:
        names = " and ".join(", ".join(t.kernel.name for t in on).rsplit(", ", 1))
        return Elsewhere(f"What you typed would be so on {names}, in this order.", on[0], step)
    said = ["no order of these steps"] * (orders is not None)
    said += [f"this order on none of {len(KERNELS)} kernels"] * (test is not None)
    return Elsewhere(f"What you typed would be so in {', and in '.join(said)}." if said else "")


def order(trace: Trace) -> list[str]:
    """Whose step came next, as in a schedule."""
    return [column(m.action) for m in trace.moments[1:]]


def column(a: Action) -> str:
    return a.thread or a.proc


def origin(trace: Trace, test: Test | None = None) -> Test | None:
    """The test that a trace is an execution of: ``test``, or the catalogue's of that name; None where it is neither,
    which the engine finds out by running it again."""
    try:
        found = test or (load(trace.name) if trace.name in catalogue() else None)
    except LitmusError:
        return None
    start = found and boot(trace.kernel, found.processes[0], found.pages)
    return found if found and start == trace.moments[0].state else None


@lru_cache(maxsize=4)
def _orders(trace: Trace, last: int) -> list[Trace] | None:
    """The first ``last`` steps in every order in which all of them can be taken: one trace for each state in which that
    ends, and each numbering of its frames, those first that begin as this one does. None where there are too many, or
    where the kernel's own steps are among them."""
    done = [m.action for m in trace.moments[1 : last + 1]]
    programs = {name: tuple(a for a in done if column(a) == name) for name in dict.fromkeys(map(column, done))}
    threads = {a.thread: a.proc for a in done if a.thread}
    parents = parents_of(Test("", "", {}, programs, None, (), threads=threads))
    names, start = list(programs), trace.moments[0].state
    if DRAIN in programs:
        return None
    try:
        graph = explore(
            (start, _met(start)), list(programs.values()), lambda at, a: _next(*at, trace.kernel, a),
            lambda at, c: ready(at[0], names[c], parents), lambda at: at, BOUND,
        )  # fmt: skip
    except TooManyStates:
        return None
    found = []
    for end in graph.endings(lambda at: at).values():
        left, moments = {name: iter(program) for name, program in programs.items()}, [trace.moments[0]]
        for a in (next(left[names[c]]) for c in end.witness):
            moments.append(Moment(a, *step(moments[-1].state, trace.kernel, a)))
        if len(moments) == last + 1:
            found.append(Trace(trace.kernel, tuple(moments), trace.name))
    return sorted(found, key=lambda t: -_alike(order(t), order(trace)))


def _next(s: State, met: tuple, kernel: Kernel, a: Action) -> tuple[State, tuple]:
    after = step(s, kernel, a).state
    return after, tuple(dict.fromkeys([*met, *_met(after)]))


def _met(s: State) -> tuple:
    """What a frame's number follows from, in the order in which it shows up: see Trace.numbers."""
    mapped = [t.frame for p in s.procs if p.mm for t in p.mm.ptes if isinstance(t, Pte)]
    return (*mapped, *((r.proc, r.name, r.frame) for r in s.refs))


def _alike(a: list[str], b: list[str]) -> int:
    """How many steps two orders begin with together."""
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _kernels(trace: Trace, last: int, test: Test | None) -> Iterator[Trace]:
    """The first ``last`` steps on every other kernel of the catalogue that takes them all."""
    for row in KERNELS.values() if test else ():
        start = boot(row, test.processes[0], test.pages)
        t = run_actions(start, row, [m.action for m in trace.moments[1 : last + 1]], trace.name)
        if row != trace.kernel and len(t) == last + 1:
            yield t
