"""One step inside the kernel, event by event: which function decided, and where the call went from there."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..litmus import Moment, Trace
from ..mm import ZERO_PAGE, Why
from .decide import decisions
from .drawn import Drawn

if TYPE_CHECKING:
    from graphviz import Digraph

__all__ = ["CallPaths", "call_paths"]

FONT, GREY, RED = "Helvetica", "#57606a", "#d55e00"
ENDINGS = {"ret=0": "gets nothing", "BLOCKED": "never comes back"}


@dataclass(frozen=True, repr=False)
class CallPaths(Drawn):
    """The same step on several kernels, side by side: functions as boxes, numbered events as arrows. Bold and marked
    ``decides`` are the events in which another generation would have done something else. Displays as a picture, prints
    as words. A step that never ends is drawn as what it is, a circle without an exit."""

    step: str
    paths: tuple[tuple[str, tuple[Why, ...], str], ...]  # kernel, events, how it ended
    decides: tuple[frozenset[int], ...] = ()  # for each path, which events (from 0)

    def __repr__(self) -> str:
        return f"<call paths of {self.step} on {', '.join(name for name, _, _ in self.paths)}>"

    @cached_property
    def text(self) -> str:
        parts = [self.step]
        for at, (name, why, end) in enumerate(self.paths):
            marks = ["  (decides)" * (n in self.decided(at)) for n in range(len(why))]
            parts += [f"on {name}: {end}", *(f"  {n}. {w}{marks[n - 1]}" for n, w in enumerate(why, 1))]
        return "\n".join(parts)

    def decided(self, at: int) -> frozenset[int]:
        return self.decides[at] if self.decides else frozenset()

    def to_dot(self) -> "Digraph":
        from graphviz import Digraph

        g = Digraph("paths", comment=self.step)
        g.attr(bgcolor="white", fontname=FONT, fontsize="12", ranksep="0.4", nodesep="0.35")
        g.attr("node", shape="box", fontname=FONT, fontsize="12", margin="0.12,0.06", color=GREY)
        g.attr("edge", fontname=FONT, fontsize="11", color=GREY, arrowsize="0.7")
        for at, (name, why, end) in enumerate(self.paths):
            with g.subgraph(name=f"cluster_{at}") as box:
                box.attr(label=f"{name}: {end}", style="rounded", color="#d0d7de", fontname=FONT, margin="14")
                endless = why[-1].did == "loops for ever"
                if not endless:
                    box.node(f"{at} end", end, penwidth="2.5", style="rounded")
                edges, again = _edges(why, endless)
                for (here, there, did), numbers in edges.items():
                    box.node(f"{at} {here}", here)
                    strong = {"color": RED, "penwidth": "2.5"} if numbers[-1] >= again else {}
                    said, room = f"{', '.join(map(str, numbers))}. {did}", " "
                    if any(n - 1 in self.decided(at) for n in numbers):
                        strong, room = strong | {"penwidth": "4"}, "   "  # a thick arrow needs more of it
                        said += f"\\n{room}DECIDES "
                        box.node(f"{at} {here}", penwidth="3", color="#1b1f24")
                    box.edge(f"{at} {here}", f"{at} {there}", label=f"{room}{said} ", **strong)
        return g

    @property
    def alt(self) -> str:
        return f"{self.step}, event by event. " + " ".join(f"On {name} it {end}." for name, _, end in self.paths)


def _edges(why: tuple[Why, ...], endless: bool) -> tuple[dict[tuple[str, str, str], list[int]], int]:
    """(from, to, what was done) -> the numbers of the events; and the event at which an endless path begins to
    go round, which is where its last arrow leads."""
    fns = [w.fn for w in why[: len(why) - endless]]  # the last word on an endless one is the engine's
    head = next((fn for fn in fns if fns.count(fn) > 1), "") if endless else "end"
    again = fns.index(head, fns.index(head) + 1) + 1 if endless else len(fns) + 1
    edges: dict[tuple[str, str, str], list[int]] = {}
    for n, (here, there) in enumerate(zip(fns, [*fns[1:], head], strict=True), 1):
        edges.setdefault((here, there, why[n - 1].did), []).append(n)
    return edges, again


def _end(m: Moment) -> str:
    ref = m.state.ref(m.action.proc, m.action.ref)
    if ref is None or ref.frame is None:
        return ENDINGS.get(m.result, f"ends with {m.result}")
    if ref.frame == ZERO_PAGE:
        return "gets the zero page"
    mappers = [p.name for p in m.state.procs if p.mm and any(t and t.frame == ref.frame for t in p.mm.ptes)]
    who = f"{' and '.join(mappers)} map" if mappers[1:] else f"only {mappers[0]} maps" if mappers else "nobody maps"
    return f"gets a page that {who}"


def call_paths(traces: Iterable[Trace], step: int) -> CallPaths:
    """What the kernel did in this step of each trace; the traces differ in their kernels.

    >>> from cowlab import kernel, load, run
    >>> test = load("child-reads-parent-secret")
    >>> print(call_paths([run(test, kernel("v5.7"), "P C C P")], 2))
    C: vmsplice x -> pipe
    on v5.7: gets a page that P and C map
      1. gup_pte_range takes the page: the entry is read-only  (decides)
    """
    traces = tuple(traces)
    paths = tuple((t.kernel.name, t.moments[step].why, _end(t.moments[step])) for t in traces)
    found = [decisions(t.moments[step - 1].state, t.kernel, t.moments[step]) for t in traces]
    decides = tuple(frozenset(d.event for d in ds if d.flips) for ds in found)
    return CallPaths(str(traces[0].moments[step].action), paths, decides)
