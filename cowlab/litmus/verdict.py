"""Every execution of a test against one kernel: Never, Sometimes or Always, as herd7 says it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..explore.schedules import CHOICE, Graph, TooManyStates, explore
from ..explore.symmetry import renamed
from ..mm import Kernel, State, boot, step
from .errors import LitmusError
from .parse import Test
from .run import DRAIN, Trace, final_values, frame_of, parents_of, ready, run

__all__ = ["Final", "Verdict", "judge", "verdict_alone"]


@dataclass(frozen=True)
class Final:
    """A final state: how many executions end in it, and the first of them as a trace."""

    count: int
    satisfies: bool
    trace: Trace
    node: int = 0

    def as_json(self) -> dict[str, Any]:
        t = self.trace
        return {
            "count": self.count, "satisfies": self.satisfies, "values": t.values, "frames": t.frames,
            "copies": t.copies, "witness": t.steps,
        }  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What all executions of ``test`` on ``kernel`` say. Counts are exact, and of executions."""

    test: Test
    kernel: Kernel
    finals: tuple[Final, ...]
    distinct_states: int
    graph: Graph | None = None

    @cached_property
    def positive(self) -> int:
        return sum(f.count for f in self.finals if f.satisfies)

    @cached_property
    def negative(self) -> int:
        return sum(f.count for f in self.finals if not f.satisfies)

    @property
    def executions(self) -> int:
        return self.positive + self.negative

    @property
    def verdict(self) -> str:
        return "Never" if not self.positive else "Sometimes" if self.negative else "Always"

    @property
    def passes(self) -> bool:
        return self.test.condition.passes(self.positive, self.negative)

    @property
    def witness(self) -> Trace | None:
        """The first execution that satisfies the condition."""
        return next((f.trace for f in self.finals if f.satisfies), None)

    def as_json(self) -> dict[str, Any]:
        c = self.test.condition
        return {
            "test": self.test.name, "kernel": self.kernel.name, "quantifier": c.quantifier, "condition": c.text,
            "verdict": self.verdict, "passes": self.passes, "executions": self.executions,
            "positive": self.positive, "negative": self.negative, "distinct_states": self.distinct_states,
            "finals": [f.as_json() for f in self.finals],
        }  # fmt: skip

    def diagram(self, bad: bool | None = None):
        """All executions as one graph, a :class:`cowlab.view.Diagram`. ``bad``: are the ends bad in which the
        condition holds? Unless said: yes for ``exists`` and ``~exists``, no for ``forall``."""
        from ..view import Diagram

        return Diagram.of(self, bad)

    def to_dot(self):
        """The graph of all executions as a :class:`graphviz.Digraph`."""
        return self.diagram().to_dot()

    def _repr_mimebundle_(self, include=None, exclude=None):
        from ..view import verdict_bundle

        return verdict_bundle(self)

    def __repr__(self) -> str:
        return f"<{self.test.name} on {self.kernel.name}: {self.verdict} {self.positive} {self.negative}>"

    def __str__(self) -> str:
        """The histogram of final states, in the manner of herd7."""
        c = self.test.condition
        lines = [f"Test {self.test.name} on {self.kernel.name}", f"Finals {len(self.finals)}"]
        for f in self.finals:
            values = " ".join(f"{n}={v}" for n, v in f.trace.values.items())
            frames = " ".join(f"{n}:{v}" for n, v in f.trace.frames.items())
            mark = "*" if f.satisfies else ":"
            lines.append(f"{f.count:>6} {mark}> {values}  [frames {frames or 'none'}; copies {f.trace.copies}]")
            lines.append(f"          {'; '.join(f.trace.steps)}")
        lines.append(f"{'Ok' if self.passes else 'No'} ({c.quantifier} {c.text})")
        lines.append(f"Observation {self.test.name} {self.verdict} {self.positive} {self.negative}")
        return "\n".join(lines)


def ending(s: State, initial: dict[str, int], keep: int):
    """Two executions end alike when this is equal: the values, which names share a frame, and which names
    still have their page's initial frame."""
    by_frame: dict[int, list[str]] = {}
    for name, frame in frame_of(s).items():
        by_frame.setdefault(frame, []).append(name)
    shared = frozenset(tuple(names) for names in by_frame.values() if len(names) > 1)
    still = frozenset((name, f) for f, names in by_frame.items() if 0 < f < keep for name in names)
    return tuple(final_values(s).items()), shared, still


def initial_frames(start: State) -> dict[str, int]:
    """``init.PAGE`` -> the frame that holds the page at the start: mapped, or in the page cache."""
    mm, frames = start.procs[0].mm, {}
    for page, vma, pte in zip(start.pages, mm.vmas, mm.ptes, strict=True):
        frame = pte.frame if pte else None if vma.file is None else start.files[vma.file]
        if frame is not None:
            frames[f"init.{page}"] = frame
    return frames


def _graph(test: Test, kernel: Kernel, start: State, hidden: bool = False, take=step) -> Graph:
    """All executions. A step is taken by ``take``: :func:`cowlab.mm.step`, or what remembers what it did."""
    columns, parents, keep = list(test.columns), parents_of(test), len(start.frames)
    try:
        return explore(
            start,
            list(test.columns.values()),
            lambda s, a: take(s, kernel, a).state,
            lambda s, column: ready(s, columns[column], parents),
            lambda s: renamed(s, keep),
            choose=(lambda s: drained if (drained := s.drained()) != s else None) if hidden else None,
        )
    except TooManyStates as e:
        remedy = "shorten it, or judge one execution with --schedule"
        raise LitmusError(f"{test.name} has {e} on {kernel.name}", remedy) from None


def verdict_alone(test: Test, kernel: Kernel, take=step) -> str:
    """Never, Sometimes or Always, without counts and witnesses: for judging a test on thousands of rows."""
    start = boot(kernel, test.processes[0], test.pages)
    initial, graph = initial_frames(start), _graph(test, kernel, start, take=take)
    ends = [s for (_, s), out in zip(graph.nodes, graph.edges, strict=True) if not out]
    holds = [test.condition.holds(final_values(s), frame_of(s) | initial) for s in ends]
    return "Always" if all(holds) else "Sometimes" if any(holds) else "Never"


def judge(test: Test, kernel: Kernel, schedule: str | None = None, hidden: bool = False) -> Verdict:
    """All executions of the test (or the one that ``schedule`` names) on one kernel.

    With ``hidden``, a new page may sit in a per-CPU LRU batch, whose reference no schedule shows: before each
    step the kernel may drain the batches or not, and executions are counted with these choices.

    >>> from cowlab import litmus, kernel
    >>> judge(litmus.load("child-reads-parent-secret"), kernel("v5.7"))
    <child-reads-parent-secret on v5.7: Sometimes 1 2>
    """
    start = boot(kernel, test.processes[0], test.pages, hidden)
    initial, keep = initial_frames(start), len(start.frames)

    def holds(s: State) -> bool:
        return test.condition.holds(final_values(s), frame_of(s) | initial)

    if schedule is not None:
        trace = run(test, kernel, schedule, hidden)
        states = {(n, renamed(m.state, keep)) for n, m in enumerate(trace.moments)}
        return Verdict(test, kernel, (Final(1, holds(trace.final), trace),), len(states))
    graph, columns = _graph(test, kernel, start, hidden), list(test.columns)
    finals = []
    for e in graph.endings(lambda s: ending(s, initial, keep)).values():
        trace = run(test, kernel, [DRAIN if c == CHOICE else columns[c] for c in e.witness], hidden)
        finals.append(Final(e.count, holds(graph.nodes[e.node][1]), trace, e.node))
    return Verdict(test, kernel, tuple(finals), len(graph.nodes), graph)
