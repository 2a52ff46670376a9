"""Two kernels side by side: the rules that differ, and the verdicts that differ with them."""

import re
from collections.abc import Iterable
from dataclasses import fields
from typing import NamedTuple

from ..mm import Kernel
from ..mm.gup import FOLL_GET, FOLL_PIN
from .parse import Test
from .verdict import judge

__all__ = ["Change", "Flip", "differing_fields", "flips"]

LABELS = ("name", "about", "commits", "aliases")  # who the row is, and not what it does
FLAGS = {FOLL_GET: "FOLL_GET", FOLL_PIN: "FOLL_PIN"}


class Change(NamedTuple):
    """One rule of a row: its answer before and after, and where the kernel has the new one (the
    old one, where the new answer is the plain one; empty where the docstring names none)."""

    field: str
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.field:<16} {self.before} -> {self.after}" + (f"  ({self.source})" if self.source else "")


class Flip(NamedTuple):
    """A litmus test whose verdict differs."""

    test: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.test:<44} {self.before} -> {self.after}"


def differing_fields(a: Kernel, b: Kernel) -> list[Change]:
    """The rules in which two rows differ, in the order of the row. Names, commits and aliases are no rules.

    >>> from cowlab import kernel
    >>> print(differing_fields(kernel("v5.7"), kernel("v5.8"))[0])
    force_cow_break  take_as_is -> break_cow  (should_force_cow_break(), 17839856fd)
    """
    pairs = [(f.name, getattr(a, f.name), getattr(b, f.name)) for f in fields(a) if f.name not in LABELS]
    return [Change(n, _word(n, x), _word(n, y), _source(y) or _source(x)) for n, x, y in pairs if x != y]


def flips(a: Kernel, b: Kernel, tests: Iterable[Test]) -> list[Flip]:
    """The tests that the two rows judge differently, in the order given.

    >>> from cowlab import kernel, litmus
    >>> flips(kernel("v5.7"), kernel("v5.8"), [litmus.load("child-reads-parent-secret")])
    [Flip(test='child-reads-parent-secret', before='Sometimes', after='Never')]
    """
    verdicts = ((t.name, judge(t, a).verdict, judge(t, b).verdict) for t in tests)
    return [Flip(*v) for v in verdicts if v[1] != v[2]]


def _word(field: str, value) -> str:
    return value.__name__ if callable(value) else FLAGS[value] if field == "userptr" else str(value)


def _source(value) -> str:
    text = " ".join((getattr(value, "__doc__", "") or "").split())
    found = callable(value) and re.search(r"Source: (.+?)\.(?= |$)", text)
    return found[1] if found else ""
