"""Bad input, said once: what, where, what would be right."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["LitmusError", "nearest"]


class LitmusError(ValueError):
    """An error in the text of a test. ``str()`` is the whole message: ``FILE:LINE:COL: what; remedy``, the
    line with a caret under the token, and the legal words. Lines and columns count from 1."""

    def __init__(self, what: str, remedy: str = "", *, legal: Iterable[str] = ()):
        what, remedy = _short(what), _short(remedy)
        super().__init__(what)
        self.what, self.remedy, self.legal = what, remedy, tuple(legal)
        self.file, self.line, self.column, self.text = "", 0, 0, ""

    def at(self, file: str, line: int, column: int, text: str) -> "LitmusError":
        self.file, self.line, self.column, self.text = file, line, column, text
        return self

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: " if self.file else ""
        message = place + self.what + (f"; {self.remedy}" if self.remedy else "")
        if self.line:
            shown = "".join(c if c.isprintable() else " " for c in self.text.rstrip("\r\n"))  # a place each
            start = max(0, self.column - 81)  # a very long line is cut, so that the caret stays in sight
            message += f"\n  {shown[start : start + 120]}\n  {' ' * (self.column - 1 - start)}^"
        if self.legal:
            message += f"\n  legal here: {', '.join(self.legal)}"
        return message


def _short(text: str) -> str:
    """A token of a million letters is no help in a message."""
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]}"


def nearest(word: str, words: Iterable[str]) -> str:
    """``did you mean 'write'?``, or nothing."""
    near = get_close_matches(word, list(words), 1, 0.6)
    return f"did you mean {near[0]!r}?" if near else ""
