"""How far the model has been judged by real kernels: kernel by family of observations, from the shipped data.

What the kernels did is also compared with what other kernels did, without any model: where no line tells two
releases apart, agreement with both says no more than agreement with one.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from ..mm import KERNELS, kernel
from .replay import each, shipped

__all__ = ["FAMILIES", "Conformance", "conformance", "family"]

FAMILIES = {  # what a line touches; it counts in the last family of this table that it touches
    "base page": "private anonymous memory; vmsplice and bare lookups are how a reference to it is held",
    "untouched": "a page that is not written first: a read or a lookup finds the zero page",
    "shared": "MAP_SHARED",
    "file": "a file's page in the page cache, mapped privately or shared",
    "callers": "io_uring O_DIRECT userptr perf KVM RDMA ptrace uprobes",
    "soft-dirty etc.": "clear_refs futex userfaultfd process_vm_readv filewrite KSM",
    "huge": "a THP, mapped by a PMD or by PTEs",
    "swap": "reclaim, or madvise pageout",
}
STEPS = {
    "callers": {"io_uring", "odirect", "userptr", "perf", "kvm", "rdma", "ptrace", "uprobe"},
    "soft-dirty etc.": {
        "clear_refs",
        "futex_wait",
        "uffd_wp",
        "uffd_continue",
        "process_vm_readv",
        "filewrite",
        "merge",
    },
    "swap": {"reclaim"},
}
SCOPES = {  # where releases are compared with each other
    "4 KiB pages without swap": [f for f in FAMILIES if f not in ("huge", "swap")],
    "huge pages": ["huge"],
    "swap": ["swap"],
    "all of it": list(FAMILIES),
}
OUTCOMES, PROBE = "outcomes", "probe"
SEEN = {OUTCOMES: "Outcomes, seen from user space", PROBE: "Step by step, seen by a probe inside the kernel"}


def family(line: dict) -> str:
    """The one family in which an observation counts.

    >>> family({"init": ["P: x = old", "P: y = 1 file"], "steps": ["P: fork C", "C: write x new"]})
    'base page'
    >>> family({"init": ["P: x = old huge"], "steps": ["P: io_uring x -> r", "P: madvise x pageout"]})
    'swap'
    """
    steps = [text.partition(": ")[2].split() for text in line["steps"]]
    ops, named = {op for op, *_ in steps}, {}
    for op, *words in steps:
        named.update((w, op) for w in words[:1] if w not in named)  # page -> the step that names it first
    touched = {name for name, of in STEPS.items() if ops & of} | {"base page"}
    touched |= {"swap"} if any("pageout" in words for words in steps) else set()
    for text in line["init"]:
        page, *words = text.partition(": ")[2].split()
        if page in named:
            touched |= {"huge" if w == "hugepte" else w for w in words[0 if words[0] == "untouched" else 2 :]}
            touched -= {"untouched"} if named[page] == "write" else set()
    return next(name for name in reversed(FAMILIES) if name in touched)


@dataclass(frozen=True)
class Conformance:
    """``cells`` maps (release, outcomes or probe, family) to [judged, mismatched]; ``alike`` maps a scope to the
    groups of releases that no line in it tells apart; ``silent`` counts the pairs that judge nothing, by reason."""

    cells: dict[tuple[str, str, str], list[int]]
    alike: dict[str, dict[str, list[list[str]]]]
    unjudged: list[str]
    silent: dict[str, int]
    unsupported: list[dict[str, str]]

    def as_json(self) -> dict[str, Any]:
        """{"kernels": [{"release", "row", "outcomes"|"probe": {family: {"judged", "mismatched"}}}], "families": {name:
        what}, "alike": {"outcomes"|"probe": {scope: [[release]]}}, "unjudged": [row], "silent": {reason: pairs},
        "unsupported": [{"id", "kernel", "reason"}]}"""
        kernels: dict[str, dict[str, Any]] = {}
        for (release, how, name), (judged, mismatched) in self.cells.items():
            entry = kernels.setdefault(release, {"release": release, "row": kernel(release).name})
            entry.setdefault(how, {})[name] = {"judged": judged, "mismatched": mismatched}
        return {
            "kernels": list(kernels.values()), "families": FAMILIES, "alike": self.alike, "unjudged": self.unjudged,
            "silent": self.silent, "unsupported": self.unsupported,
        }  # fmt: skip

    def rows(self, how: str) -> list[list[str]]:
        """The table: a header, then one row a release: its name, the row it stands for, the families, all."""
        table = [["release", "row", *FAMILIES, "all"]]
        for release in dict.fromkeys(r for r, h, _ in self.cells if h == how):
            cells = [self.cells.get((release, how, name), [0, 0]) for name in FAMILIES]
            cells.append([sum(column) for column in zip(*cells, strict=True)])
            table.append(
                [release, kernel(release).name, *(f"{n}{f' ({m} wrong)' if m else ''}" if n else "-" for n, m in cells)]
            )
        return table

    def notes(self) -> list[str]:
        """What the numbers do not say by themselves, a sentence each."""
        judged, wrong = (sum(c[i] for c in self.cells.values()) for i in (0, 1))
        lines = [f"{judged} pairs of an observation and a kernel were judged, {wrong} mismatched.",
                 f"An observation counts once, in the last family that it touches: {', '.join(FAMILIES)}."]  # fmt: skip
        for how, scopes in self.alike.items():
            said: dict[str, list[str]] = {}
            for scope, groups in scopes.items():
                said.setdefault(" ".join(f"{{{', '.join(g)}}}" for g in groups), []).append(scope)
            for groups, where in said.items():
                lines.append(
                    f"No datum of the {how} tells apart the releases within braces: {groups} ({', '.join(where)})."
                )
        if self.unjudged:
            lines.append(
                f"No datum judges {', '.join(self.unjudged)}: such a row rests on kernel source and the catalogue."
            )
        lines += [f"Pairs that judge nothing, because {reason}: {n}." for reason, n in self.silent.items()]
        return lines + [f"{u['id']} on {u['kernel']} judges nothing: {u['reason']}." for u in self.unsupported]

    def __str__(self) -> str:
        blocks = []
        for how, title in SEEN.items():
            table = self.rows(how)
            widths = [max(map(len, column)) * (-1) ** (i < 2) for i, column in enumerate(zip(*table, strict=True))]
            lines = [
                "  ".join(f"{w:{'<' if n < 0 else '>'}{abs(n)}}" for w, n in zip(row, widths, strict=True))
                for row in table
            ]
            blocks.append("\n".join([title, *lines]))
        return "\n\n".join([*blocks, "\n".join(self.notes())])

    def markdown(self) -> str:
        """The same for the README."""
        blocks = []
        for how, title in SEEN.items():
            head, *body = (f"| {' | '.join(row)} |" for row in self.rows(how))
            rule = f"|---|---|{'--:|' * (len(FAMILIES) + 1)}"
            blocks.append("\n".join([f"{title}:", "", head, rule, *body]))
        return "\n\n".join([*blocks, "\n".join(f"* {note}" for note in self.notes())])


def conformance(paths: Iterable[str | Path] | None = None, watch: Callable = iter) -> Conformance:
    """Replay the files (those that ship with cowlab, unless said) and count. Raises as replay() does. The lines
    pass through ``watch``, a progress bar, say."""
    cells: dict[tuple[str, str, str], list[int]] = {}
    silent, unsupported = Counter(), []
    records: dict[tuple, dict[str, Any]] = {}  # (how, family, execution) -> release -> what was seen
    for line, name, pairs in watch(each(shipped() if paths is None else paths)):
        how, of = PROBE if "after" in line else OUTCOMES, family(line)
        for p in pairs:
            if p.reason:
                unsupported.append({"id": name, "kernel": p.kernel, "reason": p.reason})
                continue
            cell = cells.setdefault((p.kernel, how, of), [0, 0])
            cell[0] += 1
            cell[1] += bool(p.differences)
            seen = records.setdefault((how, of, *line["init"], *line["steps"]), {})
            seen[p.kernel] = _probed(line) if how == PROBE else _outcome(line, p.kernel)
        silent.update({why: len(line[key]) for key, why in
                       (("unstable", "repeated runs differed"), ("skipped", "the kernel could not run it"))
                       if line.get(key)})  # fmt: skip
    order = {alias: i for i, alias in enumerate(a for k in KERNELS.values() for a in k.aliases)}
    cells = dict(sorted(cells.items(), key=lambda c: order[c[0][0]]))
    alike = {how: {scope: _alike([seen for (h, of, *_), seen in records.items() if h == how and of in families], order)
                   for scope, families in SCOPES.items()} for how in SEEN}  # fmt: skip
    judged = {kernel(release).name for release, _, _ in cells}
    return Conformance(cells, alike, [k for k in KERNELS if k not in judged], dict(silent), unsupported)


def _outcome(line: dict, release: str) -> Any:
    outcome = next(o for o in line["observed"] if release in o["kernels"])
    return outcome["values"], outcome.get("frames")


def _probed(line: dict) -> Any:
    """What was read and returned: the numbers of a probe depend on more than the rules."""
    return [(a.get("result"), {ref: held["value"] for ref, held in a["held"].items()}) for a in line["after"]]


def _alike(records: list[dict[str, Any]], order: dict[str, int]) -> list[list[str]]:
    """Groups of releases with equal records of every execution that both have; a release without any is left out."""
    apart = {pair for seen in records for pair in combinations(sorted(seen), 2) if seen[pair[0]] != seen[pair[1]]}
    groups: list[list[str]] = []
    for release in sorted({r for seen in records for r in seen}, key=order.__getitem__):
        fits = (g for g in groups if not any(tuple(sorted((release, other))) in apart for other in g))
        group = next(fits, None)
        groups.append([release]) if group is None else group.append(release)
    return groups
