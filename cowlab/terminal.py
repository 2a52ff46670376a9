"""What a terminal gets and a pipe does not: colours, and a sign of life where something takes long."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOBase

__all__ = ["colours", "paint", "progress", "say", "waiting"]

STYLES = {"bold": "1", "good": "32", "bad": "31", "unsure": "33", "faint": "2"}
DELAY, EVERY = 1.0, 0.5  # seconds: until a sign of life shows, and between two


def colours(stream: TextIOBase | None = None) -> bool:
    """May ``stream`` (stdout, unless said) have colours? Only a terminal that knows them, and NO_COLOR forbids it."""
    stream = sys.stdout if stream is None else stream
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def paint(text: str, style: str, stream: TextIOBase | None = None) -> str:
    """``text`` in one of STYLES, or as it is where colours() says no. A colour never says what words do not."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if colours(stream) else text


def progress(things: Iterable, total: int | None, doing: str, done: int = 0) -> Iterable:
    """``things``, one by one, with a bar on stderr once DELAY has passed. No bar where stderr is no terminal.
    ``done`` of the total were done before."""
    try:
        from tqdm import tqdm
    except ImportError:  # in a web page; or only the engine was installed
        return things
    return tqdm(
        things, doing, total, leave=False, delay=DELAY, disable=None, ascii=not _utf8(sys.stderr), dynamic_ncols=True,
        initial=done,
    )  # fmt: skip


def say(text: object, stream: TextIOBase | None = None) -> None:
    """Print a line at once, on stdout unless said; above the bar, if there is one."""
    stream = sys.stdout if stream is None else stream
    if "tqdm" in sys.modules:
        sys.modules["tqdm"].tqdm.write(str(text), stream)
    else:
        print(text, file=stream)
    stream.flush()


@contextmanager
def waiting(doing: str) -> Iterator[None]:
    """A block whose end nobody knows: once DELAY has passed, ``doing`` and its seconds on stderr, if a terminal."""
    stream = sys.stderr
    if not stream.isatty():
        yield
        return
    from threading import Event, Thread
    from time import monotonic

    done, began = Event(), monotonic()

    def show() -> None:
        line = ""
        while not done.wait(EVERY if line else DELAY):
            line = f"{doing}: {monotonic() - began:.0f} s"
            print(f"\r{line}", end="", file=stream, flush=True)
        print(f"\r{' ' * len(line)}\r" if line else "", end="", file=stream, flush=True)

    shower = Thread(target=show, daemon=True)
    shower.start()
    try:
        yield
    finally:
        done.set()
        shower.join()


def _utf8(stream: TextIOBase) -> bool:
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"
