"""Is every field of every kernel's row needed? Change one field, and see what notices.

    python tests/mutants.py [ROW ...]     prints row, field, value, and what killed the mutant first, or SURVIVED

A mutant is a row with one field set to another value that some row has for it; flags are also swapped, FOLL_GET for
FOLL_PIN. It is killed by a row of a unit test's table, by a verdict of EXPECTED in test_catalogue, or by a recorded
execution of a real kernel that ends otherwise. What survives is explained in EQUIVALENT.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, NamedTuple
from unittest.mock import patch

import test_callers
import test_catalogue
import test_fault
import test_fork
import test_gup
import test_scenarios
from machine import check, play

from cowlab import KERNELS, kernel, litmus
from cowlab.litmus.diff import LABELS
from cowlab.litmus.parse import parse_init, parse_steps
from cowlab.litmus.replay import _outcome, _probe, _reclaimed_of, _unwritten, shipped
from cowlab.litmus.rules import word
from cowlab.litmus.shared import Asked, Runs
from cowlab.mm import ROADS, Kernel
from cowlab.mm.gup import FOLL_GET, FOLL_PIN

PARENT = {"v4.8": "v5.7", "spare-zero-page": "v5.8", "break-cow-flag": "v5.8", "caller-flag": "v5.8"}  # of the roads
FIRST = ()
EQUIVALENT = {}


class Mutant(NamedTuple):
    row: str
    field: str
    value: Any

    @property
    def kernel(self) -> Kernel:
        return replace(row_of(self.row), **{self.field: self.value})

    def __str__(self) -> str:
        return f"{self.row} {self.field}={word(self.value)}"


def row_of(name: str) -> Kernel:
    return (KERNELS | ROADS)[name]


def values(field: str, row: Kernel) -> list:
    """The values that any row has for the field, and what else is legal; without the row's own."""
    own = getattr(row, field)
    found = dict.fromkeys(getattr(k, field) for k in (KERNELS | ROADS).values())
    if isinstance(own, bool):
        found |= dict.fromkeys((False, True))
    elif isinstance(own, int):
        found |= {own ^ FOLL_GET ^ FOLL_PIN: None}
    return [v for v in found if v != own]


def mutants(rows: Iterable[str] = ()) -> list[Mutant]:
    """Of a road not taken, the fields by which it left the road: no kernel and no source says more about it."""
    found = []
    for name in rows or (KERNELS | ROADS):
        row = row_of(name)
        for field in (f.name for f in fields(Kernel) if f.name not in LABELS):
            if name in KERNELS or getattr(row, field) != getattr(KERNELS[PARENT[name]], field):
                found += [Mutant(name, field, value) for value in values(field, row)]
    return found


# -- What may notice: (id, row, test), where test(kernel) says whether all is as it should be ---------------


class Witness(NamedTuple):
    id: str
    row: str
    holds: Callable[[Kernel], bool]


def tables() -> Iterator[Witness]:
    """The rows of the unit tests' tables: page tables, counts and results, step by step."""
    for module in (test_scenarios, test_callers, test_fault, test_fork, test_gup):
        for name, (row, init, steps, cells) in module.ROWS.items():
            yield Witness(f"{module.__name__} {name}", row, _table(row, init, steps, cells))


def _table(row: str, init: str, steps: str, cells: str) -> Callable[[Kernel], bool]:
    def holds(k: Kernel) -> bool:
        with patch.dict(KERNELS, {row: k}):
            try:
                check(play(row, init, steps), cells)
            except Exception:
                return False
        return True

    return holds


def verdicts() -> Iterator[Witness]:
    """The catalogue: one witness a test and row, where the facts decide."""
    for name, letters in test_catalogue.EXPECTED.items():
        if name in litmus.catalogue():
            test = litmus.load(name)
            for row, letter in zip(test_catalogue.ROWS, letters, strict=True):
                if letter != "?":
                    yield Witness(f"litmus {name}", row, lambda k, t=test, x=letter: litmus.judge(t, k).verdict[0] == x)


def observations(only: Iterable[str] = (), but: Iterable[str] = ()) -> Iterator[Witness]:
    """The recorded executions, all or only those of these ids. Its witnesses share what runs alike."""
    only, but = set(only), set(but)
    for path in shipped():
        for text in path.open():
            line = json.loads(text)
            name = f"{path.stem} {line['id']}"
            if (only and name not in only) or name in but or _unwritten(line):
                continue
            silent = {*line.get("unstable", ()), *line.get("skipped", ())}
            replayed = Replayed(line)
            for outcome in [line] if "after" in line else line["observed"]:
                for release in [line["kernel"]] if "after" in line else outcome["kernels"]:
                    if release not in silent:
                        yield Witness(f"{name} on {release}", kernel(release).name, replayed.agrees(outcome, release))


class Replayed:
    def __init__(self, line: dict):
        self.runs = Runs(*parse_init(line["init"]))
        self.actions = parse_steps(line["steps"], self.runs.first, self.runs.pages)
        taken = _reclaimed_of(self.actions, line["after"]) if "after" in line else {}
        self.steps = [taken.get(n, a) for n, a in enumerate(self.actions)]
        self.known: dict[tuple, bool] = {}

    def agrees(self, outcome: dict, release: str) -> Callable[[Kernel], bool]:
        def holds(k: Kernel) -> bool:
            try:
                trace = self.runs.trace(k, self.steps)
                key = (id(outcome), release if "after" in outcome else "", *[id(m.state) for m in trace.moments],
                       *[m.result for m in trace.moments])  # fmt: skip
                if key not in self.known:
                    differs = _probe(trace, self.actions, outcome["after"], release) if "after" in outcome else _outcome(trace, outcome)
                    self.known[key] = next(iter(differs), None) is None
                return self.known[key]
            except Exception:
                return False

        return holds


# -- The hunt ------------------------------------------------------------------------------------------------


@dataclass
class Hunt:
    """``killed``: mutant -> the id of what killed it; ``alive``: row -> field -> mutants."""

    killed: dict[Mutant, str]
    alive: dict[str, dict[str, list[Mutant]]]

    @classmethod
    def of(cls, found: Iterable[Mutant]) -> "Hunt":
        alive: dict[str, dict[str, list[Mutant]]] = {}
        for m in found:
            alive.setdefault(m.row, {}).setdefault(m.field, []).append(m)
        return cls({}, alive)

    def show(self, witnesses: Iterable[Witness]) -> "Hunt":
        """Only mutants of a field that the witness asks for can be noticed by it."""
        for w in witnesses:
            by_field = self.alive.get(w.row)
            if not by_field:
                continue
            asked = Asked(row_of(w.row))
            assert w.holds(asked), f"{w.id} on {w.row} fails without any mutant"
            for field in by_field.keys() & asked.answers.keys():
                for m in by_field[field]:
                    if not w.holds(m.kernel):
                        self.killed[m] = w.id
                left = [m for m in by_field[field] if m not in self.killed]
                by_field.pop(field) if not left else by_field.update({field: left})
        return self

    @property
    def survivors(self) -> list[Mutant]:
        return [m for by_field in self.alive.values() for found in by_field.values() for m in found]


def hunt(rows: Iterable[str] = (), quick: bool = False) -> Hunt:
    """Everything against every mutant; quick, without the many recorded executions that are not in FIRST."""
    found = Hunt.of(mutants(rows))
    found.show(observations(FIRST)) if FIRST else None
    found.show(tables()).show(verdicts())
    return found if quick else found.show(observations(but=FIRST))


def main(rows: list[str]) -> int:
    import time
    t=time.process_time()
    found = hunt(rows)
    for m in mutants(rows):
        print(f"{m.row:<16} {m.field:<24} {word(m.value):<32} {found.killed.get(m, 'SURVIVED')}")
    print(len(found.killed), "killed", len(found.survivors), "survived", time.process_time()-t)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
