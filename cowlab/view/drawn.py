"""What every graph is when it is displayed: a picture that graphviz drew, if anything here can, and the words."""

from functools import cached_property
from pathlib import Path

from .html import TWIN, details, html_and_text, image, pre
from .png import png
from .render import render

__all__ = ["Drawn", "save"]


class Drawn:
    """A graph says ``text``, ``alt`` (a sentence) and ``to_dot()``; the same nodes, edges and labels stand in all."""

    text: str
    alt: str

    def to_dot(self):
        raise NotImplementedError

    def __str__(self) -> str:
        return self.text

    @cached_property
    def svg(self) -> str | None:
        """The drawing, or None where nothing can draw it."""
        drawn = render(self.to_dot().source)
        return drawn and drawn.decode()

    @property
    def width(self) -> float:
        """Of the drawing, in pixels."""
        return float(self.svg.split('width="', 1)[1].split("pt", 1)[0]) * 4 / 3

    def save(self, path: str | Path) -> Path:
        """Write ``.svg`` or ``.png`` (if it can be drawn), ``.txt`` or ``.dot``, by the ending of the name."""
        return save(path, lambda: self.svg, lambda: self.text, lambda: self.to_dot().source)

    def _repr_mimebundle_(self, include=None, exclude=None):
        if self.svg is None:
            return html_and_text(pre(self.text), self.text)
        words = details("In words", pre(self.text), TWIN)
        return html_and_text(image(self.svg, self.alt, self.width) + words, self.text)


def save(path: str | Path, svg, text, dot) -> Path:
    """Write what the ending of the name asks for, made by these functions. Raises ValueError with the legal endings, or
    where nothing here can draw."""
    path = Path(path)
    ways = {".svg": svg, ".txt": text, ".dot": dot, ".png": lambda: (drawn := svg()) and png(drawn)}
    if path.suffix not in ways:
        raise ValueError(f"cannot write {path.name!r}: choose a name that ends in {', '.join(ways)}")
    made = ways[path.suffix]()
    if made is None:
        legal = ".svg, .txt or .dot" if path.suffix == ".png" and svg() else ".txt or .dot"
        raise ValueError(f"nothing here can draw {path.name!r}: choose a name that ends in {legal}")
    path.write_bytes(made if isinstance(made, bytes) else (made.rstrip("\n") + "\n").encode())
    return path
