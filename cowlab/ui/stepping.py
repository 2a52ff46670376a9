"""The player and the comparison: step through traces in the browser. All steps are sent once, and what they have in
common is sent once too, so stepping asks no kernel."""

import re
from collections.abc import Sequence

import traitlets

from ..litmus import LitmusError, Trace
from ..view.bundle import trace_html
from ..view.compare import Comparison
from ..view.decide import decisions
from ..view.scene import Scene, scenes
from ..view.svg import scene_parts
from ..view.text import scene_text, trace_text
from .shown import Shown, Table, says, script

__all__ = ["Player", "SideBySide"]


class Stepping(Shown):
    """``at`` is the step that is shown, 0 for the start; both sides may set it. The rest does not change."""

    _esm = script("player.js")
    title = traitlets.Unicode().tag(sync=True)
    steps = traitlets.List().tag(sync=True)  # place, action, stop: is it one of the steps to jump to?
    panels = traitlets.List().tag(sync=True)  # name, frames
    parts = traitlets.List().tag(sync=True)  # of pictures
    lines = traitlets.List().tag(sync=True)  # of their words
    first = traitlets.Int(-1).tag(sync=True)  # where panels differ first
    why = traitlets.List().tag(sync=True)
    anchor = traitlets.Unicode().tag(sync=True)
    at = traitlets.Int().tag(sync=True)

    @traitlets.validate("at")
    def _clamped(self, proposal):
        at, n = proposal["value"], len(self.steps)
        return max(0, min(at + n if at < 0 else at, n - 1))

    @traitlets.validate("anchor")
    def _named(self, proposal):
        if not re.fullmatch(r"([a-z][a-z0-9-]*)?", proposal["value"]):
            raise LitmusError(f"{proposal['value']!r} is no anchor", "small letters, digits and -, such as 'leak'")
        return proposal["value"]


def _frame(s: Scene, trace: Trace, at: int, moved: bool, parts: Table, lines: Table, marks=()) -> dict:
    """One picture with its words. ``says``: the event that matters most, and what the step returned. ``events``: all,
    each with the rules that decide in it."""
    moment, why = trace.moments[at], trace.moments[at].why
    found = decisions(trace.moments[at - 1].state, trace.kernel, moment) if moved and at else ()
    decides = [" ".join(str(d) for d in found if d.flips and d.event == n) for n in range(len(why))]
    words = list(s.events) if moved else []
    events = [[said, decides[n] if n < len(decides) else ""] for n, said in enumerate(words)] if at else []
    told = [s.caption] if not at else says(moment, words, decides) if moved else ["It cannot move here."]
    return {
        "svg": parts.numbers(scene_parts(s, style=False, marks=marks)),
        "text": lines.numbers(scene_text(s).split("\n")),
        "says": told, "events": events, "moved": moved,
    }  # fmt: skip


class Player(Stepping):
    """One trace. ``Trace.player()`` and ``cowlab.ui.player()`` make one."""

    def __init__(self, trace: Trace, at: int = 0, anchor: str = ""):
        drawn, parts, lines = scenes(trace), Table(), Table()
        self.trace = trace
        steps = [{"place": s.place, "action": s.action, "stop": bool(s.copies or s.faults)} for s in drawn]
        frames = [_frame(s, trace, n, n > 0, parts, lines) for n, s in enumerate(drawn)]
        title = f"Player, {trace.name or 'a run'} on {trace.kernel.name}"
        super().__init__(
            title=title, steps=steps, panels=[{"name": "", "frames": frames}], parts=list(parts), lines=list(lines),
            anchor=anchor, at=at,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"Player({self.title.removeprefix('Player, ')}, {len(self.steps)} frames)"

    def html(self) -> str:
        return trace_html(self.trace, self.anchor)

    @property
    def text(self) -> str:
        return trace_text(scenes(self.trace))


class SideBySide(Stepping):
    """One schedule on several kernels, with one slider. ``cowlab.ui.side_by_side()`` makes one."""

    def __init__(self, comparison: Comparison, at: int = 0, anchor: str = ""):
        c, parts, lines = comparison, Table(), Table()
        self.comparison = c
        steps = [{"place": c.place(n), "action": c.action(n), "stop": n == c.first} for n in range(len(c.places))]
        panels = [{"name": t.kernel.name, "frames": self._frames(k, parts, lines)} for k, t in enumerate(c.traces)]
        super().__init__(
            title=f"{c.name} side by side on {c.kernels}", steps=steps, panels=panels, parts=list(parts),
            lines=list(lines), first=-1 if c.first is None else c.first, why=[c.why[0], *c.rules], anchor=anchor, at=at,
        )  # fmt: skip

    def _frames(self, k: int, parts: Table, lines: Table) -> Sequence[dict]:
        c, frames = self.comparison, []
        for n, place in enumerate(c.places):
            moved = n == 0 or c.moved(n, k) is not None
            frames.append(_frame(c.scenes[n][k], c.traces[k], place[k], moved, parts, lines, c.differs[n]))
        return frames

    def __repr__(self) -> str:
        return f"SideBySide({self.title}, {len(self.steps)} frames)"

    def html(self) -> str:
        return self.comparison.html(self.anchor)

    @property
    def text(self) -> str:
        return self.comparison.text
