"""Two kernels side by side: the rules that differ, who changed them, and the verdicts that differ with them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from ..mm import Kernel
from .parse import Test
from .rules import asks, said, word
from .shared import Asked
from .verdict import judge

__all__ = ["Change", "Diff", "Flip", "diff", "differing_fields", "flips"]

LABELS = ("name", "about", "commits", "aliases")  # who the row is, and not what it does


class Change(NamedTuple):
    """One rule of a row, before and after. A ``source`` is the kernel function, commit or version that a docstring
    or :mod:`.rules` gives, else empty; ``source`` itself is that of the later answer, if it has one."""

    field: str
    before: str
    after: str
    source: str
    laws: tuple[str, str] = ("", "")  # of both answers, a sentence each
    sources: tuple[str, str] = ("", "")

    def __str__(self) -> str:
        return f"{self.field:<23} {self.before} -> {self.after}" + (f"  ({self.source})" if self.source else "")


class Flip(NamedTuple):
    """A litmus test whose verdict differs."""

    test: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.test:<44} {self.before} -> {self.after}"


@dataclass(frozen=True)
class Diff:
    """Everything that sets ``b`` apart from ``a``; its text is what `cowlab diff A B` prints."""

    a: Kernel
    b: Kernel
    fields: list[Change]
    flips: list[Flip]

    @property
    def commits(self) -> dict[str, list[str]]:
        """Commit -> the fields whose answers cite it; first those of b, with all its row's own, then those of a."""
        found: dict[str, list[str]] = {}
        for side, row, other in ((1, self.b, self.a), (0, self.a, self.b)):
            found |= {c: [] for c in row.commits if c not in other.commits}
            for f in self.fields:
                for commit in re.findall(r"\b[0-9a-f]{10,12}\b", f.sources[side]):
                    found[commit] = [*dict.fromkeys([*found.get(commit, []), f.field])]
        return found

    def as_json(self) -> dict[str, Any]:
        """{"a", "b", "fields": [{"field", "asks", "a", "b", "source_a", "source_b"}], "commits": [hash],
        "flips": [{"test", "a", "b"}]}. ``asks``: the kernel function, and what it decides there. In a field ``a``
        and ``b`` are answers (a function of cowlab.mm, True, False or FOLL_* flags), in a flip they are verdicts."""
        keys = ("field", "asks", "a", "b", "source_a", "source_b")
        rules = [(f.field, asks()[f.field], f.before, f.after, *f.sources) for f in self.fields]
        return {
            "a": self.a.name, "b": self.b.name, "fields": [dict(zip(keys, r, strict=True)) for r in rules],
            "commits": list(self.commits), "flips": [dict(zip(("test", "a", "b"), f, strict=True)) for f in self.flips],
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [f"{k.name:<8} {k.about}" for k in (self.a, self.b)]
        for f in self.fields:
            lines += ["", f"{f.field}  -- {asks()[f.field]}"]
            for k, answer, law, source in zip((self.a, self.b), f[1:3], f.laws, f.sources, strict=True):
                text = answer + (f": {law}" if law else "") + (f" [{source}]" if source else "")
                lines.append(f"  {k.name:<8} {text}")
        lines += ["", "Commits:" if self.commits else "Commits: none"]
        lines += [f"  {commit:<12}  {', '.join(of)}".rstrip() for commit, of in self.commits.items()]
        lines += ["", f"{len(self.flips)} verdicts of the catalogue flip, {self.a.name} -> {self.b.name}:"]
        return "\n".join([*lines, *(f"  {f}" for f in self.flips)])


def diff(a: Kernel, b: Kernel, tests: Iterable[Test]) -> Diff:
    """The rules in which two rows differ, and those of ``tests`` that they judge differently."""
    return Diff(a, b, differing_fields(a, b), flips(a, b, tests))


def differing_fields(a: Kernel, b: Kernel) -> list[Change]:
    """The rules in which two rows differ, in the order of the row. Names, commits and aliases are no rules.

    >>> from cowlab import kernel
    >>> print(differing_fields(kernel("v5.7"), kernel("v5.8"))[0])
    force_cow_break         take_as_is -> break_cow  (should_force_cow_break(), 17839856fd)
    """
    found = []
    for name in (f.name for f in fields(a) if f.name not in LABELS):
        x, y = getattr(a, name), getattr(b, name)
        if x != y:
            (law_x, source_x), (law_y, source_y) = said(name, x), said(name, y)
            source = source_y or source_x
            found.append(Change(name, word(x), word(y), source, (law_x, law_y), (source_x, source_y)))
    return found


def flips(a: Kernel, b: Kernel, tests: Iterable[Test]) -> list[Flip]:
    """The tests that the two rows judge differently, in the order given; a test that asks the first row for nothing
    in which they differ is not judged twice.

    >>> from cowlab import kernel, litmus
    >>> flips(kernel("v5.7"), kernel("v5.8"), [litmus.load("child-reads-parent-secret")])
    [Flip(test='child-reads-parent-secret', before='Sometimes', after='Never')]
    """
    found = []
    for t in tests if differing_fields(a, b) else ():
        verdict = judge(t, asked := Asked(a)).verdict
        if not asked.alike(b) and verdict != (other := judge(t, b).verdict):
            found.append(Flip(t.name, verdict, other))
    return found
