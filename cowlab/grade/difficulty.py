"""How hard a question is, measured by the engine: the length of a shortest solution, and how many solutions there are.

A source says how to measure its question: ``difficulty`` in the ``cowlab`` metadata of the answer cell is an
expression over the names of the setup cells and this module as ``measure``, such as ``measure.schedules(longer)``.
`cowlab grade --self-test` prints what comes out, for the instructor.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

from ..course.check import _Road
from ..litmus import LitmusError, Test
from ..litmus.run import ready
from ..mm import kernel, step
from . import seeds
from .design_rubric import within
from .notebook import exercise, part, read_notebook
from .search import Difficulty, design, invariant, litmus_tests, rows

__all__ = [
    "ALONE", "TAKERS", "Difficulty", "cards", "choices", "design", "invariant", "litmus_tests", "measured", "moves",
    "rows", "schedules", "table", "told", "within",
]  # fmt: skip


# The steps that tests are made of, where all tests up to a length are tried
TAKERS = {
    "P": ["fork C", "write x new", "read x", "vmsplice x -> pipe", "gup x -> pipe"],
    "C": ["vmsplice x -> pipe", "gup x -> pipe", "gup_fast_only x -> pipe", "read x", "write x mine", "munmap x",
          "exit", "exec", "madvise x dontneed"],
}  # fmt: skip
ALONE = ["write x new", "read x", "mprotect x ro", "mprotect x rw", "munmap x", "madvise x dontneed"]


def told(steps: Sequence[str]) -> tuple[dict[str, list[str]], str]:
    """Of a report that speaks of these steps (who takes the reference, the fork, and how the child goes): what a test
    may be made of, and its last line. A child that holds is about a leak, a parent about what it misses."""
    taken, _, gone = steps
    leaves = {"munmap": "munmap x", "madvise": "madvise x dontneed"}.get(gone, gone)
    holds = [f"{taken} x -> r"]
    if taken in ("vmsplice", "gup_fast_only"):
        return {"P": ["fork C", "write x new", "read x"], "C": [*holds, leaves, "read x"]}, "forall C.r != new"
    return {"P": ["fork C", *holds, "write x new", "read x"], "C": [leaves, "read x"]}, "forall P.r == new"


def schedules(test: Test, rules: str = "v5.7") -> Difficulty:
    """Of a question for a shortest schedule: all schedules of the shortest length after which the condition holds.

    >>> from cowlab import load
    >>> schedules(load("child-reads-parent-secret"))
    Difficulty(shortest=4, solutions=1, tries=3, of='moves')
    """
    road = _Road(test, kernel(rules))
    columns = list(test.columns)
    now = Counter({((0,) * len(columns), road.state): 1})
    length = 0
    while now:
        right = sum(ways for (_, s), ways in now.items() if road.holds(s))
        if right:
            return Difficulty(length, right, sum(now.values()))
        after: Counter = Counter()
        for (at, s), ways in now.items():
            for c, (n, name) in enumerate(zip(at, columns, strict=True)):
                if n < len(test.columns[name]) and ready(s, name, road.parents):
                    further = (*at[:c], n + 1, *at[c + 1 :])
                    after[further, step(s, road.kernel, test.columns[name][n]).state] += ways
        now, length = after, length + 1
    raise LitmusError(f"{test.name}: no schedule makes the condition hold on {rules}", "give a test that can be solved")


def moves(allowed: Sequence[str], most: int, seen, target: Sequence[int], fewest: bool = True) -> Difficulty:
    """Of a question for moves: how many of ``most`` moves lead to ``target``, or of fewer where the fewest count."""
    levels = seeds.solutions(allowed, most, seen)
    for n, found in enumerate(levels, 1):
        if tuple(target) in found and (fewest or n == most):
            return Difficulty(n, found[tuple(target)], sum(found.values()))
    raise LitmusError(f"no {most} moves lead to {tuple(target)}", "give a target that can be reached")


def cards(five: Sequence[str]) -> Difficulty:
    """Of a question for an order of all the cards."""
    tries, right = seeds.orders(tuple(sorted(five)))
    return Difficulty(len(five), right, tries)


def choices(followed: int, *questions: Mapping | int) -> Difficulty:
    """Of choices about an execution of so many moves: one combination of letters is right."""
    return Difficulty(followed, 1, prod(q if isinstance(q, int) else len(q) for q in questions))


def table(rows: int, *ways: int) -> Difficulty:
    """Of a table to fill in: so many rows, and in how many ways each cell of a row can be filled (none: endless)."""
    return Difficulty(rows, 1, prod(ways) ** rows if ways else 0, "rows")


def measured(path: Path) -> dict[str, Difficulty | None]:
    """Question -> its difficulty; None where its author does not say how to measure it. Runs the setup cells of the
    exercise, which are the instructor's own."""
    names: dict = {"display": lambda *shown, **more: None}
    asked = exercise(path)
    how = {
        part(c, "metadata", "nbgrader").get("grade_id"): part(c, "metadata", "cowlab").get("difficulty")
        for c in read_notebook(path)["cells"]
    }
    found: dict[str, Difficulty | None] = {}
    for kind, cell in asked.cells:
        if kind == "setup":
            exec(cell, names)
        elif how.get(cell.id):
            found[cell.id] = eval(how[cell.id], names | {"measure": sys.modules[__name__]})
        else:
            found[cell.id] = None
    return found
