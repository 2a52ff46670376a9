"""Litmus tests for copy-on-write: the text format, its errors, its verdicts, and the catalogue."""

from pathlib import Path

from .condition import Condition
from .errors import LitmusError, nearest
from .parse import Test, parse, read
from .run import Moment, Trace, run
from .verdict import Final, Verdict, judge

__all__ = [
    "Condition", "Final", "LitmusError", "Moment", "Test", "Trace", "Verdict", "catalogue", "judge", "load", "parse",
    "read", "run",
]  # fmt: skip


def catalogue() -> dict[str, Path]:
    """The tests that ship with cowlab: name -> file, sorted by name."""
    from importlib.resources import files  # slow to load, and most commands read no catalogue

    paths = (Path(str(p)) for p in files(__name__).joinpath("catalogue").iterdir())
    return {p.stem: p for p in sorted(paths) if p.suffix == ".litmus"}


def load(name: str | Path) -> Test:
    """A test by its name in the catalogue, or by the path of a file. Raises LitmusError.

    >>> load("child-reads-parent-secret").condition.text
    'C.pipe == new'
    """
    known = catalogue()
    if str(name) in known:
        return read(known[str(name)])
    if not Path(name).exists() and "/" not in str(name) and not str(name).endswith(".litmus"):
        error = LitmusError("no such file, and no such test in the catalogue", nearest(str(name), known))
        error.file = str(name)
        raise error
    return read(name)
