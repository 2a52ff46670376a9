"""Tables: one page's column, stepped once by the engine, as an automaton of integers.

Where frames do not cross (column.py), a machine of many pages is the product of its columns. A *letter* is a step
without its page. A letter of a whole process (`fork`, `put`, ...) is taken by every column; a lookup is taken at one
page, and the others see that it was elsewhere; any other step is taken at one page, and the others do not see it.
product.py walks such a product, and knows no kernel.
"""

from typing import NamedTuple

from ..mm import CALLERS, Action
from .column import column_of
from .islands import islands_of
from .space import NAMES, Space, violates
from .symmetry import renamed

__all__ = ["Automaton", "automaton"]


class Automaton(NamedTuple):
    """State 0 is the start; each table maps a letter (an action without a page) to the states that follow, or -1
    where the letter cannot be taken. ``bad[s]``: the column alone violates the property."""

    whole: dict[Action, list[int]]
    own: dict[Action, list[int]]
    lookup: dict[Action, list[int]]  # at this page
    elsewhere: dict[Action, list[int]]  # the same lookups at another
    bad: list[bool]


def automaton(space: Space, never: str) -> Automaton:
    """Every state of the column, frames renamed and processes not, and every step of each by ``mm.step``.

    A state is the set of its islands, and an island is stepped once, whatever stands beside it (islands.py).
    Raises ValueError where frames cross, and for one page, of which there is no product."""
    if space.pages == 1:
        raise ValueError("one page has no product; explore two or more")
    islands = _Named(column_of(space))
    start = islands.of(islands.column.start)
    states, numbers, tables = [start], {start: 0}, ({}, {}, {}, {})
    for number, s in enumerate(states):  # which grows
        for table, letter, after in islands.steps(s):
            if after not in numbers:
                numbers[after] = len(states)
                states.append(after)
            tables[table].setdefault(letter, {})[number] = numbers[after]
    whole, own, lookup, elsewhere = (
        {letter: [to.get(n, -1) for n in range(len(states))] for letter, to in table.items()} for table in tables
    )
    bad = [violates(s, never) for s in islands.states]
    return Automaton(whole, own, lookup, elsewhere, [any(bad[i] for i in s) for s in states])


class _Named:
    """Islands whose processes keep their names, by number."""

    def __init__(self, column):
        self.column, self.states, self.numbers, self.known = column, [], {}, {}
        self.pages = column.start.pages
        self.threads = list(column.actions(column.start.but(procs=(), refs=())))
        self.forks = any(a.op == "fork" for a in column.steps)

    def of(self, s) -> frozenset[int]:
        found = [renamed(part, 1) for part in islands_of(s)]
        for part in found:
            if part not in self.numbers:
                self.numbers[part] = len(self.states)
                self.states.append(part)
        return frozenset(self.numbers[part] for part in found)

    def steps(self, s: frozenset[int]):
        """(table, letter, what follows) of every step; a fork fills the lowest slot that no island has."""
        taken = {p.name for i in s for p in self.states[i].procs}
        slot = next((name for name in NAMES[: self.column.processes] if name not in taken), None)
        for i in sorted(s):
            for table, letter, to in self.moves(i, slot):
                yield table, letter, (s - {i}) | to
        for a in self.threads:
            yield *self.letter(a), frozenset().union(*(self.moved(i, a) for i in s))

    def moves(self, i: int, slot: str | None):
        if (i, slot) not in self.known:
            own = [a for a in self.column.actions(self.states[i]) if a.proc in NAMES and a.op != "fork"]
            if slot and self.forks:
                own += [Action(p.name, "fork", arg=slot) for p in self.states[i].procs if p.fault is None]
            self.known[i, slot] = [(*self.letter(a), self.moved(i, a)) for a in own]
        return self.known[i, slot]

    def moved(self, i: int, a: Action) -> frozenset[int]:
        if (i, a) not in self.known:
            self.known[i, a] = self.of(self.column.apply(self.states[i], a))
        return self.known[i, a]

    def letter(self, a: Action) -> tuple[int, Action]:
        """The table that the step belongs to, in the order of Automaton, and the step without its page."""
        table = 0 if not a.page else 1 if a.op not in CALLERS else 2 if a.page == self.pages[0] else 3
        return table, a._replace(page="", ref="")
