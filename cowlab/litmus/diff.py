"""Two kernels side by side: the rules that differ, who changed them, and the verdicts that differ with them."""

import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from ..mm import KERNELS, Kernel, gup
from .parse import Test
from .shared import Asked
from .verdict import judge

__all__ = ["Change", "Diff", "Flip", "asks", "diff", "differing_fields", "flips"]

LABELS = ("name", "about", "commits", "aliases")  # who the row is, and not what it does
FLAGS = sorted((bit, name) for name, bit in vars(gup).items() if name.startswith("FOLL_"))
PLAIN = {  # where an answer that is no function comes from, if it is not that of v5.7
    "exclusive": "6c287605fd56, v5.19",
    "copies_whole_huge": "do_huge_pmd_wp_page(), 3917c80280c9, v5.8",
    "allocates_huge_for_zero": "do_huge_pmd_wp_page(), 3917c80280c9, v5.8",
    "split_keeps_dirty": "__split_huge_pmd_locked(), seen on 6.1.192",
    "copy_frees_swap_cache": "wp_page_copy(), seen on 5.18.12",
    "keeps_pinned": "shrink_page_list(), feb889fb40fa, v5.11, and in 5.10.y",
    "clear_refs_flushes": "clear_soft_dirty(), 5.10.223",
    "clear_refs_keeps_pinned": "clear_soft_dirty(), 5.10.223",
    "userptr": "drivers/gpu/drm/i915/gem, 2170ecfa7688, v5.8",
    "odirect": "iov_iter_extract_pages(), v6.5",
    "rdma_read_only": "ib_umem_get(), v6.2",
    "uffd_continue": "mfill_atomic_install_pte(), v5.16",
    "io_uring_files": "io_sqe_buffer_register()",
}


class Change(NamedTuple):
    """One rule of a row, before and after. A ``source`` is the kernel function, commit or version that a docstring
    or PLAIN gives, else empty; ``source`` itself is that of the later answer, if it has one."""

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
        """Commit -> the fields whose answers cite it; first those of b, with all that its row names, then those of a."""
        found: dict[str, list[str]] = {}
        for side, row, other in ((1, self.b, self.a), (0, self.a, self.b)):
            found |= {c: [] for c in row.commits if c not in other.commits}
            for f in self.fields:
                for commit in re.findall(r"\b[0-9a-f]{10,12}\b", f.sources[side]):
                    found.setdefault(commit, []).append(f.field)
        return found

    def as_json(self) -> dict[str, Any]:
        """{"a", "b", "fields": [{"field", "asks", "a", "b", "source_a", "source_b"}], "commits": [hash],
        "flips": [{"test", "a", "b"}]}. ``asks``: the kernel function, and what it decides there. In a field ``a`` and ``b``
        are answers: the name of a function of cowlab.mm, True, False or FOLL_* flags; in a flip they are verdicts."""
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
            for k, word, law, source in zip((self.a, self.b), f[1:3], f.laws, f.sources, strict=True):
                lines.append(f"  {k.name:<8} {word}" + (f": {law}" if law else "") + (f" [{source}]" if source else ""))
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
            (law_x, source_x), (law_y, source_y) = _said(name, x), _said(name, y)
            source = source_y or source_x
            found.append(Change(name, _word(x), _word(y), source, (law_x, law_y), (source_x, source_y)))
    return found


def flips(a: Kernel, b: Kernel, tests: Iterable[Test]) -> list[Flip]:
    """The tests that the two rows judge differently, in the order given; a test that asks the first row for nothing
    in which they differ is not judged twice. On a terminal a line on stderr says how far it is, after a second.

    >>> from cowlab import kernel, litmus
    >>> flips(kernel("v5.7"), kernel("v5.8"), [litmus.load("child-reads-parent-secret")])
    [Flip(test='child-reads-parent-secret', before='Sometimes', after='Never')]
    """
    found, begun, shown = [], time.monotonic(), False
    for t in tests:
        if sys.stderr.isatty() and time.monotonic() - begun > 1:
            shown = True
            print(f"\r\x1b[Kjudging {t.name}", end="", file=sys.stderr, flush=True)
        verdict = judge(t, asked := Asked(a)).verdict
        if not asked.alike(b) and verdict != (other := judge(t, b).verdict):
            found.append(Flip(t.name, verdict, other))
    if shown:
        print("\r\x1b[K", end="", file=sys.stderr)
    return found


@cache
def asks() -> dict[str, str]:
    """Field -> the kernel function, and what it decides there, from the comments beside the fields in mm/kernels.py.

    >>> asks()["fork_copies"]
    'copy_present_pte(): does the child get a copy at once?'
    """
    text = files(__package__.rpartition(".")[0]).joinpath("mm", "kernels.py").read_text("utf-8")
    said, subject = {}, ""
    for name, comment in re.findall(r"^    (\w+): [^#\n]+#\s*(.+)$", text, re.M):
        subject = comment.split()[0] if not comment.startswith("...") else subject
        said[name] = comment.replace("...", subject)
    return said


def _word(rule) -> str:
    if type(rule) is int:  # the one kind of number in a row
        return " | ".join(name for bit, name in FLAGS if rule & bit)
    return rule.__name__ if callable(rule) else str(rule)


def _said(name: str, rule) -> tuple[str, str]:
    """The law and the source of an answer: of a function, the first sentence of its docstring, and its `Source:`."""
    if not callable(rule):
        return "", PLAIN[name] if rule != getattr(KERNELS["v5.7"], name) else ""
    text = " ".join((rule.__doc__ or "").split())
    found = re.search(r"Source: (.+?)\.(?= |$)", text)
    law = re.match(r"(?!Source: ).+?[.](?= |$)", text)
    return law[0] if law else "", found[1] if found else ""
