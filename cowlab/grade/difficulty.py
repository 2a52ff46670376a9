"""How hard a question is, measured by the engine: the length of a shortest solution, and how many solutions there are.

A source says how to measure its question: ``difficulty`` in the ``cowlab`` metadata of the answer cell is an
expression over the names of the setup cells and this module as ``measure``, such as ``measure.schedules(longer)``.
`cowlab grade --self-test` prints what comes out, for the instructor.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from ..course.check import _Road
from ..litmus import LitmusError, Test
from ..litmus.run import ready
from ..mm import kernel, step
from . import seeds
from .notebook import exercise, part, read_notebook

__all__ = ["Difficulty", "cards", "choices", "measured", "moves", "schedules", "table"]


@dataclass(frozen=True)
class Difficulty:
    """``shortest`` moves make a solution, or have to be followed; ``solutions`` of that length are right, out of
    ``tries`` (0: not counted)."""

    shortest: int
    solutions: int
    tries: int = 0

    def __str__(self) -> str:
        out_of = f" out of {self.tries:,}" if self.tries else ""
        return f"shortest solution {self.shortest} moves; solutions of that length: {self.solutions:,}{out_of}"


def schedules(test: Test, rules: str = "v5.7") -> Difficulty:
    """Of a question for a shortest schedule: all schedules of the shortest length after which the condition holds.

    >>> from cowlab import load
    >>> schedules(load("child-reads-parent-secret"))
    Difficulty(shortest=4, solutions=1, tries=3)
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


def table(rows: Sequence[Sequence]) -> Difficulty:
    """Of a table to fill in, a row for each move or process."""
    return Difficulty(len(rows), 1)


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
