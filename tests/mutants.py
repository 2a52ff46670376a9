"""Is every field of every kernel's row needed? Change one field, and see what notices.

    python tests/mutants.py [ROW ...]     prints row, field, value, and what killed the mutant first, or SURVIVED
    python tests/mutants.py --reduce      prints the recorded executions that FIRST should list

A mutant is a row with one field set to another value that some row has for it; flags are also swapped, FOLL_GET for
FOLL_PIN. It is killed by a recorded execution of a real kernel that ends otherwise, by a verdict in the tables of
test_catalogue, or by a row of a unit test's table. What survives is explained in EQUIVALENT.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple
from unittest.mock import patch

import test_callers
import test_catalogue
import test_fault
import test_fields
import test_fork
import test_gup
import test_scenarios
from machine import check, play

from cowlab import KERNELS, kernel, litmus
from cowlab.litmus.diff import LABELS
from cowlab.litmus.parse import parse_init, parse_steps
from cowlab.litmus.replay import _outcome, _probe, _reclaimed_of, _unwritten, shipped
from cowlab.litmus.rules import word
from cowlab.litmus.run import Trace
from cowlab.litmus.shared import Asked, Runs
from cowlab.mm import ROADS, Kernel
from cowlab.mm.gup import FOLL_GET, FOLL_PIN

PARENT = {"v4.8": "v5.7", "spare-zero-page": "v5.8", "break-cow-flag": "v5.8", "caller-flag": "v5.8"}  # of the roads

# Recorded executions that together kill every mutant that any recorded execution kills; found greedily, by --reduce
FIRST = (
    "observations r0615", "probe S18d", "hand S20", "observations r2335", "probe S22", "huge hr0029", "probe S23",
    "huge hr0017", "huge hr0100", "hand SW3", "probe S4f", "probe S17", "probe S18e", "reclaim w0171", "probe S17d",
    "hand S12-pageout-rd", "hand SW4-S0", "probe S14c", "probe S18b", "probe S8e", "probe S11c", "probe S18c",
    "huge hr0575",
)  # fmt: skip

NO_BIT = "no page is ever PageAnonExclusive before v5.19 (Kernel.exclusive), so the rule never says yes for its sake"
NO_COW = (
    "check_vma_flags() lets FOLL_WRITE meet a mapping without VM_WRITE only with FOLL_FORCE: no FOLL_COW without it, "
    "for an mprotect() between two turns of the loop would have to wait for mmap_lock"
)
EQUIVALENT = [  # (field, its values, on these rows, what makes the mutant and the row one)
    ("reuse", "exclusive_or_sole_reference", "v5.18", NO_BIT),
    ("reuse_huge", "exclusive_or_sole_reference", "v5.18", NO_BIT),
    ("swap_in", "exclusive_or_sole_swap_reference writable_if_exclusive", "v5.18", NO_BIT),
    ("fork_copies", "copy_exclusive_if_maybe_pinned", "v5.7 v5.8", NO_BIT),
    ("mprotect_writable", "if_exclusive_and_dirty if_exclusive", "v5.7 v5.8 v5.9 v5.10 v5.18", NO_BIT),
    ("swap_in", "sole_swap_reference exclusive_or_sole_swap_reference writable_if_exclusive", "v5.7 v5.8",
     "a write fault that do_swap_page() does not end goes on to do_wp_page(), where reuse_swap_page() counts the same "
     "mappings and swap entries"),
    ("copy_frees_swap_cache", "True", "v5.7 v5.8",
     "reuse_swap_page(): a copy is made only if another mapping or swap entry is left, and free_swap_cache() leaves "
     "a page alone that is mapped or whose slot is needed"),
    ("follow_write", "after_cow", "v5.7 v5.9 v5.10 v5.18 v5.19", NO_COW),
    ("follow_write", "after_cow_or_zero", "v5.7 v5.8 v5.9 v5.10 v5.18 v5.19",
     "as after_cow; the zero page only without FOLL_WRITE, which takes FOLL_BREAK_COW, a flag of two roads. " + NO_COW),
    ("follow_write", "after_forced_cow after_cow after_cow_or_zero exclusive_if_forced", "v4.8",
     "faultin_page() forgets FOLL_WRITE and never sets FOLL_COW, and no page is PageAnonExclusive"),
]  # fmt: skip


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
    for module in (test_scenarios, test_callers, test_fault, test_fork, test_gup, test_fields):
        for name, case in module.ROWS.items():
            yield Witness(f"{module.__name__} {name}", case[0], _passes(_in_table, *case))
    for row, op in test_fields.WALKS:
        yield Witness(f"test_fields lockless {op}", row, _passes(test_fields.test_the_lockless_walk, row, op))
    for row in test_fields.CROWDED:
        yield Witness("test_fields crowd", row, _passes(test_fields.test_a_crowd_of_references, row))


def _in_table(row: str, init: str, steps: str, cells: str) -> None:
    check(play(row, init, steps), cells)


def _passes(test: Callable, row: str, *case) -> Callable[[Kernel], bool]:
    """The test, when another kernel stands under the name of the row."""

    def holds(k: Kernel) -> bool:
        with patch.dict(KERNELS, {row: k}):
            try:
                test(row, *case)
            except Exception:
                return False
        return True

    return holds


def verdicts() -> Iterator[Witness]:
    """The catalogue: one witness a test and row, where the facts decide."""
    c = test_catalogue
    for table, rows, hidden in ((c.EXPECTED, c.ROWS, False), (c.ON_ROADS, c.ROADS, False), (c.HIDDEN, c.ROWS, True)):
        for name, letters in table.items():
            judged = Judged(name, hidden)
            for row, letter in zip(rows, letters, strict=True):
                if letter != "?":
                    yield Witness(f"litmus {name}{' --hidden' if hidden else ''}", row, judged.says(letter))


class Judged:
    """A test's verdicts; kernels that answer its questions alike are judged once."""

    def __init__(self, name: str, hidden: bool):
        self.test, self.hidden = litmus.load(name), hidden
        self.known: list[tuple[Asked, str]] = []

    def says(self, letter: str) -> Callable[[Kernel], bool]:
        return lambda k: self.verdict(k) == letter

    def verdict(self, k: Kernel) -> str:
        for asked, letter in self.known:
            if asked.alike(k):
                return letter
        asked = Asked(k)
        self.known.append((asked, litmus.judge(self.test, asked, hidden=self.hidden).verdict[0]))
        return self.known[-1][1]


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
    """A recorded execution on any kernels; equal states are compared with the record once."""

    def __init__(self, line: dict):
        self.line, self.runs = line, Runs(*parse_init(line["init"]))
        self.actions = parse_steps(line["steps"], self.runs.first, self.runs.pages)
        taken = _reclaimed_of(self.actions, line["after"]) if "after" in line else {}
        self.steps = [taken.get(n, a) for n, a in enumerate(self.actions)]

    def agrees(self, outcome: dict, release: str) -> Callable[[Kernel], bool]:
        known: dict[tuple, bool] = {}

        def holds(k: Kernel) -> bool:
            try:
                trace = self.runs.trace(k, self.steps)
                key = tuple((id(m.state), m.result) for m in trace.moments)
                if key not in known:
                    known[key] = not any(self.differences(trace, outcome, release))
                return known[key]
            except Exception:
                return False

        return holds

    def differences(self, trace: Trace, outcome: dict, release: str) -> Iterator[tuple]:
        if "after" in self.line:
            return _probe(trace, self.actions, self.line["after"], release)
        return _outcome(trace, outcome)


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


def hunt(rows: Iterable[str] = (), everything: bool = True) -> Hunt:
    """All mutants (of these rows) before all witnesses. What real kernels did comes first, then the verdicts, then
    the unit tests; with ``everything`` also the recorded executions that are not in FIRST."""
    found = Hunt.of(mutants(rows)).show(observations(FIRST)).show(verdicts()).show(tables())
    return found.show(observations(but=FIRST)) if everything else found


def explained(m: Mutant) -> str:
    """What makes the mutant equivalent to its row, or nothing."""
    for field, names, rows, why in EQUIVALENT:
        if field == m.field and word(m.value) in names.split() and m.row in rows.split():
            return why
    return ""


def reduce() -> list[str]:
    """FIRST, found greedily: the lines that together kill what all of them kill."""
    kills: dict[str, set[Mutant]] = {}
    everyone = Hunt.of(mutants()).alive
    for w in observations():
        asked = Asked(row_of(w.row))
        w.holds(asked)
        for field in everyone.get(w.row, {}).keys() & asked.answers.keys():
            killed = {m for m in everyone[w.row][field] if not w.holds(m.kernel)}
            kills.setdefault(w.id.partition(" on ")[0], set()).update(killed)
    left, found = set().union(*kills.values()), []
    while left:
        found.append(max(kills, key=lambda line: (len(kills[line] & left), line.startswith(("hand", "probe")))))
        left -= kills[found[-1]]
    return found


def main(arguments: list[str]) -> int:
    if arguments == ["--reduce"]:
        print(*reduce(), sep="\n")
        return 0
    if unknown := set(arguments) - {*KERNELS, *ROADS}:
        print(f"unknown row {min(unknown)!r}; choose from {', '.join([*KERNELS, *ROADS])}", file=sys.stderr)
        return 2
    found, unexplained = hunt(arguments), []
    print(f"{'row':<15} {'field':<23} {'value':<60} killed by")
    for m in mutants(arguments):
        by = found.killed.get(m) or ("EQUIVALENT" if explained(m) else "SURVIVED")
        unexplained += [m] if by == "SURVIVED" else []
        print(f"{m.row:<15} {m.field:<23} {word(m.value):<60} {by}")
    print()
    for field, names, rows, why in EQUIVALENT:
        print(f"equivalent: {field} = {' or '.join(names.split())} on {', '.join(rows.split())}: {why}.")
    sorts = Counter(by.split()[0] for by in found.killed.values())
    records = sum(n for sort, n in sorts.items() if sort in {p.stem for p in shipped()})
    units = sum(n for sort, n in sorts.items() if sort.startswith("test_"))
    print(f"\n{len(mutants(arguments))} mutants: {len(found.killed)} killed ({records} by what real kernels did, "
          f"{sorts['litmus']} by verdicts, {units} by unit tests), "
          f"{len(found.survivors) - len(unexplained)} equivalent, {len(unexplained)} survived")  # fmt: skip
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
