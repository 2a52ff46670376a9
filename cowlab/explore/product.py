"""The product of an automaton with itself, breadth first, in whole levels: generic, and by NumPy.

A state of the product is one state of the automaton for each column, packed into an integer; which were visited is
a bitmap over all such integers, so the automaton must be small. Columns are alike, so with ``symmetric`` only states
whose columns are sorted are visited.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from .tables import Automaton

__all__ = ["Product", "product"]

LARGEST = 2**31  # bytes of the bitmap


class Product(NamedTuple):
    """What was found: ``depth`` is the number of steps to a nearest bad state, or None."""

    states: int
    transitions: int
    seconds: float
    depth: int | None
    why: str


def product(
    table: Automaton,
    columns: int,
    symmetric: bool = True,
    go_on: bool = False,
    look: Callable[[int, int, int, float], str] | None = None,
) -> Product:
    """Walk the product of so many columns. ``look`` is told states, frontier, transitions and seconds after each
    level, and says why to stop, or nothing. Raises ValueError where it is too large, or NumPy is missing."""
    try:
        import numpy as np
    except ImportError:
        raise ValueError("the product explorer needs NumPy; get it with: pip install 'cowlab[fast]'") from None
    size, began = len(table.bad), time.perf_counter()
    if size**columns > LARGEST:
        raise ValueError(f"{size:,} states of one page make too large a product of {columns}; explore without it")
    letters, bad = _letters(np, table, columns), np.array(table.bad)
    visited = np.zeros(size**columns, bool)
    visited[0] = True
    level, states, transitions, depth, at, why = np.zeros(1, np.int64), 1, 0, None, 0, ""
    try:
        while len(level) and not why and (depth is None or go_on):
            split = [level // size**c % size for c in range(columns)]
            if depth is None and any(bad[s].any() for s in split):
                depth = at
                continue
            new = []
            for moves in letters:
                to = [s if table is None else table[s] for s, table in zip(split, moves, strict=True)]
                enabled = np.flatnonzero(np.minimum.reduce(to) >= 0)
                transitions += len(enabled)
                to = [t[enabled] for t in to]
                if symmetric:
                    to = np.sort(np.stack(to), axis=0)
                codes = sum(t * size**c for c, t in enumerate(to))
                codes = codes[~visited[codes]]
                visited[codes] = True
                new.append(np.unique(codes))
            level, at = np.concatenate(new), at + 1
            states += len(level)
            if look:
                why = look(states, len(level), transitions, time.perf_counter() - began)
    except KeyboardInterrupt:
        why = "interrupted"
    return Product(states, transitions, time.perf_counter() - began, depth, why)


def _letters(np, table: Automaton, columns: int) -> list[list]:
    """For each letter at each page, the table of each column, or None where the column stays."""
    found = [[np.array(to)] * columns for to in table.whole.values()]
    for at in range(columns):
        for to in table.own.values():
            found.append([np.array(to) if c == at else None for c in range(columns)])
        for letter, to in table.lookup.items():
            aside = np.array(table.elsewhere[letter])
            found.append([np.array(to) if c == at else aside for c in range(columns)])
    return found
