"""A table with cells to fill in, under a picture. It knows nothing of what is right: who made it does."""

from collections.abc import Callable, Sequence

import anywidget
import traitlets

from .shown import CSS, script

__all__ = ["TableForm"]


class TableForm(anywidget.AnyWidget):
    """``rows``: (name, cells), a cell is {"text"} or {"ask": its name, "options": the legal values, if they are few}.
    ``heard`` is given what was typed, by cell, and returns what to say and which cells are right."""

    _esm = script("table.js")
    _css = CSS
    prompt = traitlets.List().tag(sync=True)
    svg = traitlets.Unicode().tag(sync=True)
    caption = traitlets.Unicode().tag(sync=True)
    head = traitlets.List().tag(sync=True)
    rows = traitlets.List().tag(sync=True)
    marks = traitlets.Dict().tag(sync=True)
    said = traitlets.List().tag(sync=True)

    def __init__(self, prompt: Sequence[str], svg: str, caption: str, head, rows, heard: Callable[[dict], tuple]):
        super().__init__(prompt=list(prompt), svg=svg, caption=caption, head=list(head), rows=list(rows))
        self.heard = heard
        self.on_msg(self._receive)

    def _receive(self, _widget, content, _buffers):
        given = content.get("answer")
        if isinstance(given, dict):
            said, marks = self.heard({str(name): str(value) for name, value in given.items()})
            self.said = []  # so that the same answer, given twice, is told twice
            self.marks = marks  # first: the script reads it when ``said`` changes
            self.said = list(said)
