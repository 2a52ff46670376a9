"""All executions as a graph in which a state can be chosen. The drawing is graphviz's; the picture of a state is made
when it is asked for."""

import re
from functools import cached_property, reduce
from operator import or_

import traitlets

from ..explore.schedules import CHOICE
from ..litmus import Moment, Trace
from ..litmus.run import DRAIN
from ..litmus.verdict import Final
from ..mm import Action, boot, step
from ..view.bundle import Diagram
from ..view.render import render, slimmed
from ..view.scene import Room, room, scenes
from ..view.svg import scene_parts
from ..view.text import scene_text
from ..view.words import plural
from .shown import Shown, script

__all__ = ["Executions"]

_NODE = re.compile(r'<g id="[^"]*" class="node">\s*<title>s(\d+)</title>')


class Executions(Shown):
    """``chosen`` is the number of the state that is shown, counting from 1; both sides may set it."""

    _esm = script("graph.js")
    title = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    svg = traitlets.Unicode().tag(sync=True)
    nodes = traitlets.List().tag(sync=True)  # name, what it holds, steps: (words, number of the state it leads to)
    chosen = traitlets.Int(1).tag(sync=True)
    shown = traitlets.Dict().tag(sync=True)

    def __init__(self, diagram: Diagram):
        self.diagram, x = diagram, diagram.executions
        self.came = _ways(x)
        v, thing = x.verdict, "group" if x.folded else "state"
        nodes = []
        for i, (label, end, out) in enumerate(zip(x.labels, x.ends, x.steps, strict=True)):
            name = f"{thing} {i + 1}" + (", start" if i == 0 else "")
            if end:
                name += f", {'BAD END' if end.bad else 'good end'} of {plural(end.count, 'execution')}"
            steps = [[words + (f" ({how})" if how else ""), j + 1] for words, how, j in out]
            nodes.append({"name": name, "holds": list(label), "steps": steps})
        self.count = plural(len(nodes), thing)
        super().__init__(
            title=f"All executions of {v.test.name} on {v.kernel.name}", alt=diagram.alt, svg=_svg(diagram),
            nodes=nodes, shown=self._shown(0),
        )  # fmt: skip
        self.observe(lambda change: self.set_trait("shown", self._shown(change["new"] - 1)), "chosen")

    @traitlets.validate("chosen")
    def _clamped(self, proposal):
        return max(1, min(proposal["value"], len(self.nodes) or 1))

    def __repr__(self) -> str:
        return f"Executions({self.title.removeprefix('All executions of ')}, {self.count})"

    def html(self) -> str:
        return self.diagram._repr_mimebundle_()["text/html"]

    @property
    def text(self) -> str:
        return self.diagram.text

    @cached_property
    def room(self) -> Room:
        """Places for all that shows up in some execution."""
        return reduce(or_, (room(f.trace) for f in self.diagram.executions.verdict.finals))

    def trace(self, i: int) -> Trace:
        """A shortest way from the start to state ``i``, run on the engine."""
        v, way = self.diagram.executions.verdict, []
        while self.came[i] is not None:
            i, action = self.came[i]
            way.append(action)
        moments = [Moment(None, boot(v.kernel, v.test.processes[0], v.test.pages, _hidden(v.finals[0])))]
        for action in reversed(way):
            moments.append(Moment(action, *step(moments[-1].state, v.kernel, action)))
        return Trace(v.kernel, tuple(moments), v.test.name)

    def _shown(self, i: int) -> dict:
        x = self.diagram.executions
        if x.folded or x.verdict.graph is None:
            return {"at": i + 1, "svg": "", "text": "", "way": ""}
        trace = self.trace(i)
        s = scenes(trace, self.room)[-1]
        way = "; ".join(trace.steps) or "nothing has happened yet"
        return {"at": i + 1, "svg": "".join(scene_parts(s, style=False)), "text": scene_text(s), "way": way}


def _hidden(final: Final) -> bool:
    return final.trace.moments[0].state.batches


def _ways(x) -> dict[int, tuple[int, Action] | None]:
    """For each state the one before it on a shortest way, and the action that leads on."""
    came: dict[int, tuple[int, Action] | None] = {0: None}
    graph = x.verdict.graph
    if x.folded or graph is None:
        return came
    programs, wave = list(x.verdict.test.columns.values()), [0]
    while wave:
        found = []
        for i in wave:
            for column, j in graph.edges[i]:
                if j not in came:
                    positions = graph.nodes[i][0]
                    action = Action(DRAIN, "drain") if column == CHOICE else programs[column][positions[column]]
                    came[j] = (i, action)
                    found.append(j)
        wave = found
    return came


def _svg(diagram: Diagram) -> str:
    """Graphviz's drawing, with a mark on each box that the script finds it by. What most lines have is in the style."""
    drawn = render(diagram.to_dot().source, slim=False).decode()
    svg = slimmed(_NODE.sub(r'<g data-node="\1">', drawn)).replace('role="img" ', 'text-anchor="middle" ', 1)
    svg = re.sub(r' (?:xml:space="preserve"|text-anchor="middle"(?= x=))', "", svg)
    svg = (
        re.sub(r"<g>\n(.*?)\n</g>", r"\1", svg, flags=re.S).replace(' stroke="#57606a"', "").replace(' fill="none"', "")
    )
    return re.sub(r' (?:d|points|x|y)="[^"]*"', _whole, svg)  # hundreds of states are many numbers


def _whole(attribute: re.Match) -> str:
    return re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.0f}", attribute[0])
