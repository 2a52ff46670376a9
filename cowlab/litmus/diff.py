"""Two kernels side by side: the rules that differ, and the verdicts that differ with them."""

import re
from collections.abc import Iterable
from dataclasses import fields
from typing import NamedTuple

from ..mm import Kernel, gup
from .parse import Test
from .verdict import judge

__all__ = ["Change", "Flip", "differing_fields", "flips"]

LABELS = ("name", "about", "commits", "aliases")  # who the row is, and not what it does
FLAGS = sorted((bit, name) for name, bit in vars(gup).items() if name.startswith("FOLL_"))


class Change(NamedTuple):
    """One rule of a row, before and after, and where the kernel has it (empty where no docstring says so)."""

    field: str
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.field:<23} {self.before} -> {self.after}" + (f"  ({self.source})" if self.source else "")


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
    force_cow_break         take_as_is -> break_cow  (should_force_cow_break(), 17839856fd)
    """
    pairs = [(f.name, getattr(a, f.name), getattr(b, f.name)) for f in fields(a) if f.name not in LABELS]
    return [Change(n, _word(x), _word(y), _source(y if y.__doc__ else x)) for n, x, y in pairs if x != y]


def flips(a: Kernel, b: Kernel, tests: Iterable[Test]) -> list[Flip]:
    """The tests that the two rows judge differently, in the order given.

    >>> from cowlab import kernel, litmus
    >>> flips(kernel("v5.7"), kernel("v5.8"), [litmus.load("child-reads-parent-secret")])
    [Flip(test='child-reads-parent-secret', before='Sometimes', after='Never')]
    """
    return [Flip(t.name, x, y) for t in tests if (x := judge(t, a).verdict) != (y := judge(t, b).verdict)]


def _word(value) -> str:
    if type(value) is int:  # the one kind of number in a row
        return " | ".join(name for bit, name in FLAGS if value & bit)
    return value.__name__ if callable(value) else str(value)


def _source(rule) -> str:
    found = callable(rule) and re.search(r"Source: (.+?)\.(?= |$)", " ".join((rule.__doc__ or "").split()))
    return found[1] if found else ""
