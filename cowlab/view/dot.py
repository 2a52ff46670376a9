"""Graphviz source: a state as page table entry -> frame <- reference, and all executions of a test as one graph.

Nothing here draws; see view.render.
"""

from textwrap import fill
from typing import TYPE_CHECKING

from .executions import FULL, Executions
from .scene import Scene
from .words import plural, short

if TYPE_CHECKING:
    from graphviz import Digraph

__all__ = ["digraph", "executions_dot", "node", "scene_dot"]

FONT = "Helvetica"
GREY, COPY, REUSE = "#57606a", ("#0072b2", "#00517d"), ("#b07500", "#7a5100")  # edges: line and text
BAD, GOOD = ("#d55e00", "#fbe3d6"), ("#009e73", "#e3f4ee")  # ends: edge and fill


def scene_dot(s: Scene) -> "Digraph":
    """The state of one moment: clusters of page table entries, frames, and what else holds a frame."""
    from graphviz import escape

    g = digraph("state", s.title)
    for n, p in reversed([*enumerate(p for p in s.processes if p.there)]):  # graphviz stacks clusters upwards
        with g.subgraph(name=f"cluster_{n}") as c:
            status = f", {p.status}" if p.status else ""
            c.attr(label=escape(p.name + status), style="rounded", color="#d0d7de", fontname=FONT)
            for r in reversed(p.registers):
                if r.there:
                    label = f"register {r.name} = {short(r.value, 20)}"
                    node(c, f"register {p.name}.{r.name}", label, "dotted", r.changed)
            for e in reversed(p.entries):
                if not e.there:
                    continue
                label = f"{e.page}: {', '.join([e.access, *e.notes])}\n{' '.join(e.mapping)}"
                style = "dotted" if e.frame is None else "solid" if e.write else "dashed"
                node(c, f"pte {e.name}", label.strip(), style, e.changed)
            if not any(x.there for x in (*p.entries, *p.registers)):
                node(c, f"process {p.name}", "no page", "invis")
    anchors = [f"pte {e.name}" for p in s.processes for e in p.entries if e.there]
    framed = [f for f in s.frames if f.there]
    for f in s.frames:
        if f.there:
            if f.state != "allocated":
                label = f"{f.title}\njunk\n{'freed' if f.state == 'freed' else 'freed, still named'}"
                node(g, f"frame {f.label}", label, "dotted,diagonals", f.changed)
                continue
            counts = f"mapcount {f.mapcount}, refcount {f.refcount}, pins {f.pins}"
            counts = "not counted" if f.mapcount is None else counts
            label = f"{f.title}: {short(f.value, 20)}\n{counts}\n{', '.join(f.flags)}"
            node(g, f"frame {f.label}", label, "solid", f.changed)
    for e in s.mapped:
        g.edge(f"pte {e.name}", f"frame {e.frame}", style="solid" if e.write else "dashed", **_thick(e.changed))
    for f in framed:  # columns: what nothing maps stands with the frames all the same
        if anchors and not f.mapcount:
            g.edge(anchors[0], f"frame {f.label}", style="invis")
    for h in s.holders:
        if h.there:
            label = f"{h.kind}\n{', '.join(filter(None, [h.name, 'pinned' * h.pin, h.gone, short(h.value, 20)]))}"
            node(g, f"holder {h.name}", label, "rounded" if h.frame is not None else "rounded,dotted", h.changed)
            if h.frame is not None:
                style = {"dir": "back", "style": "dotted", "arrowtail": "normal" if h.counted else "odot"}
                g.edge(f"frame {h.frame}", f"holder {h.name}", **style, **_thick(h.changed))
            elif framed:
                g.edge(f"frame {framed[0].label}", f"holder {h.name}", style="invis")
    return g


def digraph(name: str, tooltip: str) -> "Digraph":
    from graphviz import Digraph

    g = Digraph(name, comment=tooltip)
    g.attr(rankdir="LR", bgcolor="white", fontname=FONT, fontsize="12", nodesep="0.25", ranksep="0.6")
    g.attr("node", shape="box", fontname=FONT, fontsize="12", margin="0.12,0.06", color=GREY)
    g.attr("edge", fontname=FONT, fontsize="11", color=GREY, arrowsize="0.7")
    return g


def _thick(changed: bool) -> dict[str, str]:
    return {"penwidth": "3"} if changed else {}


def node(g, name: str, label: str, style: str, changed: bool = False) -> None:
    from graphviz import escape

    fill = {"fillcolor": "#fff8d6", "style": f"{style},filled"} if changed else {"style": style}
    g.node(name, escape(label).replace("\n", "\\n"), **fill, **_thick(changed))


def executions_dot(x: Executions) -> "Digraph":
    """States as boxes, steps as arrows; ``copy`` and ``reuse`` mark the steps that broke COW, a shortest way to a bad
    end is bold, bad ends are red, double-edged and say so. Beyond FULL states boxes have numbers and arrows the names
    of processes: the words have the rest. A folded graph says so above itself."""
    from graphviz import escape

    v, terse, thing = x.verdict, len(x.labels) > FULL, "group" if x.folded else "state"
    g = digraph("executions", f"{v.test.name} on {v.kernel.name}")
    g.attr(rankdir="TB", ranksep="0.45")
    if x.folded:
        g.attr(label="\\n".join(escape(line) for line in fill(x.folded, 80).splitlines()) + "\\n ", labelloc="t")
    for i, (label, end) in enumerate(zip(x.labels, x.ends, strict=True)):
        head = f"{thing} {i + 1}" + (", start" if i == 0 else "")
        style: dict[str, str] = {"style": "solid" if terse else "rounded"}
        if end:
            head = f"{'BAD END' if end.bad else 'good end'}, {plural(end.count, 'execution')}"
            colour, tint = BAD if end.bad else GOOD
            style = {"style": "filled" if end.bad else "rounded,filled", "color": colour, "fillcolor": tint}
            style |= {"penwidth": "3", "peripheries": "2"} if end.bad else {"penwidth": "2"}
        elif terse:
            head = "start" if i == 0 else str(i + 1)
        lines = (head,) if terse else (head, *label)
        g.node(f"s{i + 1}", "\\n".join(escape(line) for line in lines), **style)
    for i, out in enumerate(x.steps):
        for n, (words, how, j) in enumerate(out):
            style = {}
            if how:
                colour, text = COPY if "copy" in how else REUSE
                style = {"color": colour, "fontcolor": text, "penwidth": "2.5"}
                style["style"] = "solid" if "copy" in how else "dashed"
            if (i, n) in x.bold:
                style |= {"penwidth": "5", "arrowsize": "1"}
            label = words.partition(":")[0] if terse else words
            mark = how.upper() and (f" {how.upper()}" if terse else f"\\n{how.upper()}")
            room = "    " if (i, n) in x.bold else "  " if how else " "  # a thick arrow needs more of it
            mark = mark.replace("\\n", f"\\n{room}")
            g.edge(f"s{i + 1}", f"s{j + 1}", label=escape(f"{room}{label}") + mark, **style)
    return g
