"""Predict, then look: the state after a step as a table with holes. What was typed is recorded before anything is
shown; a cell that is not so is met with the execution, open at the step that decides it, and not with the right value.
Of what was typed instead it is said where it would be so, as the engine finds it (:mod:`cowlab.course.expected`)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape

from ..litmus import LitmusError, Test, Trace
from ..litmus.errors import nearest
from ..view.bundle import figure
from ..view.html import details, html_and_text, pre
from ..view.scene import Scene, scenes
from ..view.svg import scene_svg
from ..view.text import scene_text
from .ask import live
from .expected import Elsewhere, decided, elsewhere, everything, origin, same
from .progress import DONT_KNOW, first_answer, record

__all__ = ["Looked", "Prediction", "predict"]

HEAD = ("entry", "frame", "value", "mapcount", "refcount", "pins")
ENTRIES = ("writable", "read-only", "no entry", "unmapped")
HOLE = "____"


@dataclass(frozen=True, repr=False)
class Prediction:
    """A state to predict. Live it is a form, stored or printed a table with holes; neither has the right values."""

    id: str
    trace: Trace
    step: int
    cells: tuple[str, ...]
    prompt: str
    test: Test | None = None

    def __repr__(self) -> str:
        names = ["", *HEAD]
        rows = [[name, *(HOLE if ask else text for text, ask in row)] for name, row in self.rows.items()]
        widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in (names, *rows)]
        return "\n".join([f"Predict {self.id}", self.prompt, *lines, f"Fill in {', '.join(self.cells)}."])

    @cached_property
    def scenes(self) -> tuple[Scene, Scene]:
        """Before the step and after it."""
        drawn = scenes(self.trace)
        return drawn[self.step - 1], drawn[self.step]

    @cached_property
    def truth(self) -> dict[str, str]:
        """Every cell that there is after the step, by its name, as the engine has it: ``"P.x entry"``, ``"frame 0
        mapcount"``, ``"C.pipe frame"``."""
        return everything(self.scenes[1])

    @property
    def entries(self) -> tuple[str, ...]:
        """What can stand in an entry on this machine."""
        return (
            *ENTRIES,
            *(h.name.replace("slot", "swap slot") for h in self.scenes[1].holders if h.kind == "swap slot"),
        )

    @property
    def rows(self) -> dict[str, list[tuple[str, bool]]]:
        """Name of the thing -> for each column what stands there, and whether it is to be filled in."""
        things = dict.fromkeys(name.rpartition(" ")[0] for name in self.truth)
        return {
            thing: [(self.truth.get(f"{thing} {what}", ""), f"{thing} {what}" in self.cells) for what in HEAD]
            for thing in things
        }

    def html(self) -> str:
        before, _ = self.scenes
        head = "".join(f'<th scope="col">{h}</th>' for h in ("", *HEAD))
        body = "".join(
            f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>'
            + "".join(f"<td>{HOLE if ask else escape(text)}</td>" for text, ask in row) + "</tr>"
            for name, row in self.rows.items()
        )  # fmt: skip
        return (
            f"<p><b>Predict.</b> {escape(self.prompt)}</p>{figure(before, scene_svg(before))}"
            f"<table><caption>After {escape(self.scenes[1].action)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            "<p><em>Run this cell to answer. Your answer is recorded before anything is shown.</em></p>"
            + details("Before the step, in words", pre(scene_text(before)))
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        return html_and_text(self.html(), repr(self))

    def _ipython_display_(self):
        live(self, "show_table", self)

    def answer(self, given: Mapping[str, str]) -> "Looked":
        """Record what was predicted, ``{"frame 0 mapcount": 2}``, and say which cells are so; an empty dict says "I do
        not know". LitmusError names the cells that were asked."""
        for name in given:
            if name not in self.cells:
                raise LitmusError(f"{name!r} was not asked", nearest(name, self.cells), legal=self.cells)
        typed = {name: str(given.get(name, "")).strip() for name in self.cells}
        marks = {name: same(value, self.truth[name]) for name, value in typed.items() if value}
        right = all(marks.get(name) for name in self.cells)
        again = first_answer(self.id) is not None
        told = "; ".join(f"{name} = {value or DONT_KNOW}" for name, value in typed.items())
        record(self.id, told if marks else DONT_KNOW, right)
        return Looked(self, marks, again, typed)


@dataclass(frozen=True, repr=False)
class Looked:
    """What follows a prediction: which cells are so, and the execution, open at ``step``: where the first decision
    falls that was missed, or where everything was asked."""

    prediction: Prediction
    marks: dict[str, bool]
    again: bool = False
    typed: Mapping[str, str] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        return all(self.marks.get(name) for name in self.prediction.cells)

    @cached_property
    def decided(self) -> dict[str, int]:
        """Cells that are not so -> the step that decides them."""
        p = self.prediction
        return {name: decided(p.trace, p.step, name) for name, so in self.marks.items() if not so}

    @cached_property
    def elsewhere(self) -> dict[str, Elsewhere]:
        """Cells that are not so -> where they would be as typed."""
        p = self.prediction
        test = origin(p.trace, p.test)
        return {name: elsewhere(p.trace, p.step, name, self.typed[name], test) for name in self.decided}

    @property
    def step(self) -> int:
        return min(self.decided.values(), default=self.prediction.step)

    @property
    def shown(self) -> Elsewhere | None:
        """The first execution, if there is one, that is not the one asked about and in which something is as typed."""
        own = (None, self.prediction.trace)
        return next((e for e in self.elsewhere.values() if e.trace not in own), None)

    @property
    def said(self) -> tuple[str, ...]:
        p, drawn = self.prediction, scenes(self.prediction.trace)
        first = "Recorded too, after your first answer" if self.again else "Recorded"
        look = f"Look at step {p.step}, {p.scenes[1].action}, and at the reason that the kernel has."
        if not self.marks:
            return (f"{first}: I do not know. That is a good place to start from.", look)
        if self.right:
            return (f"{first}. Yes, {'that is so' if len(p.cells) == 1 else 'all of it is so'}.", look)
        told, open_ = [], [name for name in p.cells if name not in self.marks]
        for name, n in self.decided.items():
            at = f"Step {n}, {drawn[n].action}, decides it." if n else "No step changes it: it is as at the start."
            found = self.elsewhere[name]
            then = found.trace is p.trace and found.step == n
            told.append(f"Not so: {name}. {at} {'Until then it was as you typed.' if then else found.said}".rstrip())
        told += [f"Left open: {', '.join(open_)}."] * bool(open_)
        here = f"step {self.step}, {drawn[self.step].action}" if self.step else "the start"
        look = f"Below stands {here}. Step on to step {p.step}." if self.step < p.step else look
        return (f"{first}: {sum(self.marks.values())} of {len(p.cells)} are so.", *told, look)

    def __repr__(self) -> str:
        return "\n".join([*self.said, "", scene_text(scenes(self.prediction.trace)[self.step])])

    def html(self) -> str:
        return "".join(f"<p>{escape(line)}</p>" for line in self.said)

    def _repr_mimebundle_(self, include=None, exclude=None):
        here = scenes(self.prediction.trace)[self.step]
        return html_and_text(self.html() + figure(here, scene_svg(here)), repr(self))

    def _ipython_display_(self):
        live(self, "show_stepped", self.html(), self.prediction.trace, at=self.step)


def predict(
    id: str, trace: Trace, step: int, cells: Iterable[str], prompt: str = "", *, test: Test | None = None
) -> Prediction:
    """Ask for the state after ``step`` steps of a trace. ``cells`` are the ones to fill in; the others stand there.

    A cell is a thing and what is asked of it: ``"P.x entry"`` (writable, read-only, no entry, unmapped, swap slot 0),
    ``"P.x frame"`` and ``"C.pipe frame"`` (a frame's number, or none), ``"frame 0 value"``, ``mapcount``, ``refcount``,
    ``pins``. Answers go to ``answers()`` under ``id``, as those to questions do. ``test`` is the one that the trace is
    an execution of; one of the catalogue's is found by its name. With it other kernels are searched for what was typed.
    Raises LitmusError for a step or a cell that there is not, and names the legal ones.

    >>> from cowlab import kernel, load, run
    >>> p = predict("doc-two", run(load("child-reads-parent-secret"), kernel("v5.7"), "P C C P"), 3,
    ...             ["frame 0 mapcount", "frame 0 refcount"])
    >>> print(p)
    Predict doc-two
    What is so after step 3, C: munmap x, on v5.7?
             entry      frame  value  mapcount  refcount  pins
    P.x      read-only  0
    C.x      unmapped   none
    frame 0                    old    ____      ____      0
    C.pipe              0
    Fill in frame 0 mapcount, frame 0 refcount.
    """
    if not 0 < step < len(trace):
        raise LitmusError(f"no step {step} to predict", f"choose 1 to {len(trace) - 1}")
    asked, after = tuple(cells), scenes(trace)[step]
    prompt = prompt or f"What is so after step {step}, {after.action}, on {trace.kernel.name}?"
    legal = everything(after)
    for cell in asked:
        if cell not in legal:
            raise LitmusError(f"no cell {cell!r} after step {step}", nearest(cell, legal), legal=legal)
    if not asked:
        raise LitmusError("nothing is asked", "name a cell or more", legal=legal)
    return Prediction(id, trace, step, asked, prompt, test)
