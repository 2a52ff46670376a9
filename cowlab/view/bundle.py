"""What a notebook shows and stores: HTML that survives everywhere, and the same in words.

No output is a bare image/svg+xml: it is an <img> with an alt sentence, and the words beside it (why: view.html).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path

from ..litmus import Test, Trace, Verdict, judge, load
from ..mm import KERNELS, Kernel, kernel
from .dot import executions_dot, scene_dot
from .drawn import Drawn, save
from .executions import FULL, LIMIT, Executions, executions_text, fold
from .html import TWIN, details, html_and_text, image, pre, table
from .scene import Scene, scene, scenes
from .svg import scene_svg
from .text import scene_text, trace_text
from .words import plural

__all__ = [
    "BUDGET", "Diagram", "Picture", "VerdictTable", "picture", "trace_bundle", "trace_html", "verdict_bundle",
    "verdict_table",
]  # fmt: skip

BUDGET = 60_000  # bytes of HTML for a stored trace; beyond it, steps in words only
SYMBOLS = {"Never": "○", "Sometimes": "◐", "Always": "●"}


@dataclass(frozen=True, repr=False)
class Picture:
    """One moment of a trace: displays as a picture, prints as words."""

    scene: Scene

    def __repr__(self) -> str:
        return f"<picture of {self.scene.title}>"

    def __str__(self) -> str:
        return self.text

    @cached_property
    def svg(self) -> str:
        return scene_svg(self.scene)

    @cached_property
    def text(self) -> str:
        return scene_text(self.scene)

    def to_dot(self):
        """The same state as a :class:`graphviz.Digraph`."""
        return scene_dot(self.scene)

    def save(self, path: str | Path) -> Path:
        """Write ``.svg``, ``.txt``, ``.dot``, or ``.png`` where something can, by the ending of the name."""
        return save(path, lambda: self.svg, lambda: self.text, lambda: self.to_dot().source)

    def _repr_mimebundle_(self, include=None, exclude=None):
        return html_and_text(figure(self.scene, self.svg) + details("In words", pre(self.text)), self.text)


def figure(s: Scene, svg: str) -> str:
    """The picture with its caption below. The alternative text says what is seen, not what is said below."""
    alt = f"{s.title}: {s.action}. {s.summary}"
    return f"{image(svg, alt, _width(svg))}<p>{escape(s.caption)}</p>"


def _width(svg: str) -> float:
    return float(svg.split('" width="', 1)[1].split('"', 1)[0])


def trace_html(trace: Trace, anchor: str = "") -> str:
    """The whole trace without script or style: the start as a picture, every step folded, all of it in words. With
    ``anchor`` a link to ``#ANCHOR-4`` leads to step 4.

    A trace beyond BUDGET bytes keeps the pictures of its start, its end and of steps that copy or fault, as
    many as fit; the other steps are in words.
    """
    drawn = scenes(trace)
    figures = [figure(s, scene_svg(s)) for s in drawn]
    words = pre(trace_text(drawn))
    room, keep = BUDGET - len(words) - 300 * len(drawn), set()

    def importance(n: int):
        return n != 0, n != len(drawn) - 1, not drawn[n].copies, not drawn[n].faults, n

    for n in sorted(range(len(drawn)), key=importance):
        if len(figures[n]) <= room or n == 0:
            keep.add(n)
            room -= len(figures[n])
    parts = [f"<p><b>{escape(repr(trace)[1:-1])}</b></p>", figures[0]]
    for n, s in enumerate(drawn[1:], 1):
        inside = figures[n] if n in keep else f"<p>{escape(s.caption)} (Picture: .show({n}))</p>"
        inside = f'<div id="{anchor}-{n}">{inside}</div>' if anchor else inside
        parts.append(details(f"{s.place.capitalize()}: {s.action}", inside))
    return "\n".join([*parts, details("The whole trace in words", words, TWIN if len(keep) == len(drawn) else "")])


def trace_bundle(trace: Trace) -> dict[str, str]:
    """What a displayed :class:`Trace` is."""
    return html_and_text(trace_html(trace), trace_text(scenes(trace)))


# -- Verdicts -------------------------------------------------------------------------------------------


def verdict_bundle(v: Verdict) -> dict[str, str]:
    """What a displayed :class:`Verdict` is: a table of the final states, and its text as herd7 writes it."""
    rows = []
    for f in v.finals:
        frames = {n: f" (frame {x})" for n, x in f.trace.frames.items()}
        values = ", ".join(escape(f"{n}={x}{frames.get(n, '')}") for n, x in f.trace.values.items())
        holds = "yes ✱" if f.satisfies else "no"
        rows.append((str(f.count), (holds, values, str(f.trace.copies), escape("; ".join(f.trace.steps)))))
    c = v.test.condition
    counted = f"{v.positive} of {plural(v.executions, 'execution')}"
    caption = f"{v.test.name} on {v.kernel.name}: {SYMBOLS[v.verdict]} {v.verdict} ({counted})"
    finals = table(caption, ("executions", c.text, "values at the end", "copies", "first such execution"), rows)
    return html_and_text(finals + details("In words", pre(str(v))), str(v))


@dataclass(frozen=True, repr=False)
class Story(Picture):
    """A whole trace, to be saved: its last moment as a picture, and all of it in words."""

    trace: Trace

    def __init__(self, trace: Trace):
        object.__setattr__(self, "trace", trace)
        object.__setattr__(self, "scene", scene(trace))

    @cached_property
    def text(self) -> str:
        return trace_text(scenes(self.trace))


@dataclass(frozen=True, repr=False)
class Diagram(Drawn):
    """All executions of a test as one graph: displays as a picture, prints as words."""

    executions: Executions

    @classmethod
    def of(cls, verdict: Verdict, bad: bool | None = None) -> "Diagram":
        """Beyond LIMIT states the graph is folded, and says so."""
        x = Executions.of(verdict, bad)
        return cls(fold(x) if len(x.labels) > LIMIT else x)

    def __repr__(self) -> str:
        x = self.executions
        size = plural(len(x.labels), "group" if x.folded else "state")
        return f"<diagram of {x.verdict.test.name} on {x.verdict.kernel.name}: {size}>"

    def fold(self) -> "Diagram":
        """One group for all states from which the same ends can still be reached: what is left are the steps that
        decide."""
        return Diagram(fold(self.executions))

    @cached_property
    def text(self) -> str:
        return executions_text(self.executions)

    @property
    def alt(self) -> str:
        x, v = self.executions, self.executions.verdict
        bad, size = sum(e.count for e in x.ends if e and e.bad), plural(len(x.labels), "group" if x.folded else "state")
        said = f"All executions of {v.test.name} on {v.kernel.name}, {size}. "
        return said + f"Bad ends: {bad} of {plural(v.executions, 'execution')}."

    def to_dot(self):
        return executions_dot(self.executions)

    def _repr_mimebundle_(self, include=None, exclude=None):
        """No page is wide enough for hundreds of states: the graph that is folded stands in front of the whole one."""
        n, folded = len(self.executions.labels), self.fold()
        if n <= FULL or folded.executions is self.executions or self.svg is None:
            return super()._repr_mimebundle_(include, exclude)
        whole = f'<div style="overflow-x:auto">{image(self.svg, self.alt, self.width, fit=False)}</div>'
        parts = [image(folded.svg, folded.alt, folded.width), details(f"All {n} states, to be scrolled", whole)]
        return html_and_text("\n".join([*parts, details("In words", pre(self.text), TWIN)]), self.text)


@dataclass(frozen=True, repr=False)
class VerdictTable:
    """Tests by kernels: Never, Sometimes or Always in each cell."""

    kernels: tuple[Kernel, ...]
    rows: tuple[tuple[str, tuple[Verdict, ...]], ...] = field(default=())

    def __repr__(self) -> str:
        return f"<verdicts of {plural(len(self.rows), 'test')} on {plural(len(self.kernels), 'kernel')}>"

    def __str__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        lines = [("test", *(k.name for k in self.kernels))]
        lines += [(name, *(v.verdict for v in verdicts)) for name, verdicts in self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)

    def _repr_mimebundle_(self, include=None, exclude=None):
        rows = [(name, [f"{SYMBOLS[v.verdict]} {v.verdict}" for v in verdicts]) for name, verdicts in self.rows]
        head = ("test", *(k.name for k in self.kernels))
        return html_and_text(table("In which executions does the condition hold?", head, rows), self.text)


def verdict_table(tests: Iterable[str | Test], kernels: Iterable[str | Kernel] = tuple(KERNELS)) -> VerdictTable:
    """Judge every test on every kernel; both may be given by name.

    >>> print(verdict_table(["child-reads-parent-secret"], ["v5.7", "v5.8"]))
    test                       v5.7       v5.8
    child-reads-parent-secret  Sometimes  Never
    """
    tests = [tests] if isinstance(tests, str | Test) else tests
    read = [t if isinstance(t, Test) else load(t) for t in tests]
    rows = tuple(k if isinstance(k, Kernel) else kernel(k) for k in kernels)
    return VerdictTable(rows, tuple((t.name, tuple(judge(t, k) for k in rows)) for t in read))


def picture(trace: Trace, step: int = -1) -> Picture:
    return Picture(scene(trace, step))
