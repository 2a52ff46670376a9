"""What a terminal gets and a pipe does not: colours, and a bar where something takes long."""

import os
import sys
from collections.abc import Iterable
from typing import TextIO

__all__ = ["colours", "paint", "progress"]

STYLES = {"bold": "1", "good": "32", "bad": "31", "unsure": "33", "faint": "2"}


def colours(stream: TextIO | None = None) -> bool:
    """May ``stream`` (stdout, unless said) have colours? Only a terminal that knows them, and NO_COLOR forbids it."""
    stream = sys.stdout if stream is None else stream
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """``text`` in one of STYLES, or as it is where colours() says no. A colour never says what words do not."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if colours(stream) else text


def progress(things: Iterable, total: int | None, doing: str) -> Iterable:
    """``things``, one by one, with a bar on stderr once a second has passed. No bar where stderr is no terminal."""
    try:
        from tqdm import tqdm
    except ImportError:  # in a web page; or only the engine was installed
        return things
    return tqdm(
        things, doing, total, leave=False, delay=1, disable=None, ascii=not _utf8(sys.stderr), dynamic_ncols=True
    )


def _utf8(stream: TextIO) -> bool:
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"
