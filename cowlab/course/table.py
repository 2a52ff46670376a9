"""Three numbers of one frame after each of six moves: a table to fill in, and one for every seed."""

from dataclasses import dataclass
from html import escape
from itertools import pairwise
from random import Random

from ..litmus import Trace
from .check import Advice
from .story import Story

__all__ = ["CountsTable", "check_counts", "counts_table"]

ROWS, TRIES = 6, 20_000
COLUMNS = ("mapcount", "refcount", "pins")
Row = tuple[int, int, int]


@dataclass(frozen=True, repr=False)
class CountsTable:
    """Six moves, on the rules of v5.7, and after each of them the numbers of the frame that x is in at the start.
    Displays and prints with the numbers left out."""

    seed: int
    story: Story

    @property
    def rows(self) -> list[Row]:
        """The numbers, as the engine has them."""
        states, f = [m.state for m in self.story.trace.moments[1:]], self.story.first_frame
        return [(s.mapcount(f), s.refcount(f), s.pins(f)) for s in states]

    def __repr__(self) -> str:
        steps = [f"{n}  {step.ljust(26)}" for n, step in enumerate(self.story.steps, 1)]
        lines = [f"Six moves (seed {self.seed}). Frame 0 holds x at the start: mapcount 1, refcount 1, pins 0."]
        lines += [f"   {'move'.ljust(26)}{'  '.join(COLUMNS)}"]
        lines += [f"{step}{'  '.join('_'.center(len(c)) for c in COLUMNS)}".rstrip() for step in steps]
        return "\n".join([*lines, f"Check with check_counts([(2, 2, 0), ...], seed={self.seed}): six rows of three."])

    def _repr_mimebundle_(self, include=None, exclude=None):
        head = "".join(f'<th scope="col">{c}</th>' for c in ("", "move", *COLUMNS))
        body = "".join(
            f'<tr><td>{n}</td><th scope="row" style="text-align:left"><code>{escape(step)}</code></th>'
            + "<td>…</td>" * len(COLUMNS) + "</tr>"
            for n, step in enumerate(self.story.steps, 1)
        )  # fmt: skip
        caption = f"Six moves (seed {self.seed}). Frame 0 holds x at the start: mapcount 1, refcount 1, pins 0."
        table = f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return {"text/html": table, "text/plain": repr(self)}


def counts_table(seed: int = 0) -> CountsTable:
    """The table of this seed; the same on every machine. Raises ValueError for a seed that is none.

    >>> counts_table(1).rows[0]
    (2, 2, 0)
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"{seed!r} is no seed; give a whole number, 0 or more")
    rng = Random(seed)
    for _ in range(TRIES):
        story = _draw(rng)
        if story and _worth_it(CountsTable(seed, story)):
            return CountsTable(seed, story)
    raise AssertionError("no table fits")


def _draw(rng: Random) -> Story | None:
    """Six moves that are possible, of P, and of C once it is there; None if one gets stuck before."""
    steps: list[str] = []
    mapped, taken, held = ["P"], set(), []
    alive, forked = ["P"], False
    while len(steps) < ROWS:
        who = rng.choice(alive)
        choices = [] if forked else ["fork C"] * (who == "P")
        if who in mapped:
            choices += ["munmap x", f"write x w{len(steps) + 1}"]
            choices += [call for call in ("vmsplice x -> pipe", "pin x -> card") if (who, call[-4:]) not in taken]
        choices += [f"put {ref}" for owner, ref in held if owner == who]
        choices += ["exit"] * (len(alive) > 1)
        if not choices:
            return None
        step = rng.choice(choices)
        steps.append(f"{who}: {step}")
        if step == "fork C":
            forked = True
            alive.append("C")
            mapped += ["C"] * ("P" in mapped)
        elif step == "munmap x":
            mapped.remove(who)
        elif step.startswith("put "):
            held.remove((who, step[4:]))
        elif step == "exit":
            alive.remove(who)
            mapped = [p for p in mapped if p != who]
        elif "->" in step:
            taken.add((who, step[-4:]))
            held.append((who, step[-4:]))
    return Story(tuple(steps))


def _worth_it(table: CountsTable) -> bool:
    """An early fork; the two counts part; each count moves alone at least once; and few rows repeat the one before."""
    rows = [(1, 1, 0), *table.rows]
    moved = [(a[0] != b[0], a[1] != b[1]) for a, b in pairwise(rows)]
    alone = (False, True) in moved and any(m < r for m, r, _ in rows)
    fell = any(b[0] < a[0] for a, b in pairwise(rows))
    return "P: fork C" in table.story.steps[:4] and alone and fell and moved.count((False, False)) <= 1


def check_counts(rows, seed: int = 0) -> Advice:
    """How much of the table is right, and which number of which row is the first that is not; with the moves up to
    there to step through. ``rows``: six triples (mapcount, refcount, pins).

    >>> check_counts([(2, 2, 0)], seed=1)
    The answer is a list of 6 rows, each (mapcount, refcount, pins). There are 1.
    """
    table = counts_table(seed)
    problem = _malformed(rows)
    if problem:
        return Advice((problem,))
    right = [tuple(given) == row for given, row in zip(rows, table.rows, strict=True)]
    if all(right):
        return Advice(("Yes, all six rows.", f"Another table: counts_table({seed + 1})."), 1.0, table.story.trace)
    first = right.index(False)
    given, row, step = tuple(rows[first]), table.rows[first], table.story.steps[first]
    name = next(c for c, a, b in zip(COLUMNS, given, row, strict=True) if a != b)
    said = (
        f"{_plural(sum(right))} of {ROWS} right." + (f" The first {first} are." if first else ""),
        f"Row {first + 1}, `{step}`: the {name} is not {given[COLUMNS.index(name)]}. {_belief(given, row)}",
    )
    moments = table.story.trace.moments[: first + 2]
    return Advice(said, sum(right) / ROWS, Trace(table.story.trace.kernel, moments, "table"))


def _belief(given: Row, row: Row) -> str:
    """The question that fits the mistake."""
    if given[0] == given[1] != row[1] and row[0] != row[1]:
        return "Is everybody who holds the frame also mapping it?"
    if row[2] and given[1] == row[0] + (row[1] - row[0]) % 1024 + row[2]:
        return "How much does one pin add to the refcount?"
    if given[0] != row[0]:
        return "Count the entries that point at frame 0, and nothing else."
    return "Count again: the entries, the references, and 1024 for a pin. Whose frame did the move touch?"


def _malformed(rows) -> str:
    wanted = f"The answer is a list of {ROWS} rows, each (mapcount, refcount, pins)."
    if not isinstance(rows, list | tuple):
        return wanted
    if len(rows) != ROWS:
        return f"{wanted} There are {len(rows)}."
    for n, row in enumerate(rows, 1):
        if not isinstance(row, list | tuple) or len(row) != 3 or not all(type(x) is int for x in row):
            return f"{wanted} Row {n} is {str(row)[:40]}."
    return ""


def _plural(n: int) -> str:
    return f"{n} row{'' if n == 1 else 's'}"
