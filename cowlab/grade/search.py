"""Exhaustive searches, for how hard a question is: all rows, designs, invariants or tests up to the shortest that earn
full marks. What an author needs, and an instructor sees; learners' checks do not come here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import combinations, product

from .. import designs
from ..litmus import LitmusError, Test, judge, load
from ..litmus.condition import Token, parse_condition
from ..litmus.run import final_values, frame_of
from ..litmus.shared import Asked
from ..litmus.verdict import initial_frames
from ..mm import KERNELS, ROADS, Kernel, kernel

__all__ = ["Difficulty", "design", "invariant", "litmus_tests", "rows"]


@dataclass(frozen=True)
class Difficulty:
    """``shortest`` moves (or what ``of`` says) make a solution, or have to be followed; ``solutions`` of that length
    are right, out of ``tries`` (0: not counted)."""

    shortest: int
    solutions: int
    tries: int = 0
    of: str = "moves"

    def __str__(self) -> str:
        out_of = f" out of {self.tries:,}" if self.tries else ""
        of = self.of[:-1] if self.shortest == 1 else self.of
        return f"shortest solution {self.shortest} {of}; solutions of that length: {self.solutions:,}{out_of}"


# Rows of the table of kernels


def _legal() -> dict[str, list]:
    """Field -> the rules that some row gives it."""
    names = [f.name for f in fields(Kernel) if f.name not in ("name", "about", "commits", "aliases")]
    every = (KERNELS | ROADS).values()
    return {name: list(dict.fromkeys(getattr(k, name) for k in every)) for name in names}


def _answered(run: Callable) -> Callable:
    """``run`` of a row: what it returns, and which fields it asked for. Rows that answer alike share a run."""
    seen: list[tuple[Asked, object]] = []

    def of(row: Kernel):
        for asked, found in seen:
            if asked.alike(row):
                return found, asked.answers
        asked = Asked(row)
        seen.append((asked, run(asked)))
        return seen[-1][1], asked.answers

    return of


def rows(base: str, wanted: Mapping[str, str], tests: Mapping[str, Test] | None = None, most: int = 4) -> Difficulty:
    """Of a question for a row with these verdicts: the fewest fields of ``base`` to change, and in how many ways.

    Complete: a test that is not right yet can only be mended by a field that it asks for.
    """
    asked = {name: (tests or {}).get(name) or load(name) for name in wanted}
    asks = {name: _answered(lambda row, test=test: judge(test, row).verdict) for name, test in asked.items()}
    start, legal, level, tried = kernel(base), _legal(), {frozenset()}, 0
    for n in range(most + 1):
        right, further = 0, set()
        for changes in level:
            row = replace(start, **dict(changes))
            found = ((asks[name](row), verdict) for name, verdict in wanted.items())
            wrong = next((fields for (got, fields), verdict in found if got != verdict), None)
            right += wrong is None
            for name in set(wrong or ()) & set(legal) - {name for name, _ in changes}:
                further |= {changes | {(name, v)} for v in legal[name] if v != getattr(start, name)}
        tried = len(level)
        if right:
            return Difficulty(n, right, tried, "changes")
        level = further
    raise LitmusError(f"no {most} changes of {base} give these verdicts", "give verdicts that can be had")


def design(base: str, good: Callable[[designs.Assessment], bool]) -> Difficulty:
    """Of a question for a design: how many of the six questions of ``designs.POLICY`` have to be answered otherwise
    than by ``base``, and in how many ways, of all that answer so many otherwise."""
    found = [(n, good(a)) for n, a in _around(base)]
    fewest = min((n for n, ok in found if ok), default=None)
    if fewest is None:
        raise LitmusError(f"no design that begins with {base} is within the budget", "give a larger one")
    level = [ok for n, ok in found if n == fewest]
    return Difficulty(fewest, sum(level), len(level), "answers")


@cache
def _around(base: str) -> list[tuple[int, designs.Assessment]]:
    """Each design over the other fields of ``base``, and in how many answers it differs from it."""
    start, found = kernel(base), []
    mine = designs.answers(start)
    for row in designs.enumerate_designs():
        policy = {f for options in designs.POLICY.values() for chosen in options.values() for f in chosen}
        changed = replace(start, name=row.name, **{f: getattr(row, f) for f in (*policy, "exclusive")})
        far = sum(mine[q] != answer for q, answer in designs.answers(row).items())
        found.append((far, designs.assess(changed)))
    return found


# Invariants


def invariant(test: Test, good: Sequence[str], bad: Sequence[str]) -> Difficulty:
    """Of a question for an invariant: how many atoms (`A == B` and the like, joined by `and` or `or`) it takes to tell
    the good kernels from the bad ones, and how many such expressions do."""
    ends = {name: [f.trace for f in judge(test, kernel(name)).finals] for name in (*good, *bad)}
    states = [(name, t.final, initial_frames(t.moments[0].state)) for name, ts in ends.items() for t in ts]
    read = [(name, final_values(s), frame_of(s) | initial) for name, s, initial in states]
    names = sorted({n for _, values, _ in read for n in values})
    values = sorted({v for _, known, _ in read for v in known.values() if v.isidentifier()})
    framed = [*names, *sorted({n for _, _, frames in read for n in frames} - set(names))]
    pairs = [(a, b, "== !=") for a, b in (*combinations(names, 2), *product(names, values))]
    pairs += [(a, b, "is isnt") for a, b in combinations(framed, 2)]
    holds = {}
    for a, b, how in pairs:
        for word in how.split():
            condition = parse_condition([Token(w, 1, 1) for w in ("exists", a, word, b)], lambda token, identity: None)
            holds[f"{a} {word} {b}"] = tuple(condition.holds(values, frames) for _, values, frames in read)
    owners = [name for name, _, _ in read]

    def right(said: Sequence[bool]) -> bool:
        accepts = dict.fromkeys(owners, True)
        for name, ok in zip(owners, said, strict=True):
            accepts[name] &= ok
        return all(accepts[n] for n in good) and not any(accepts[n] for n in bad)

    if single := sum(map(right, holds.values())):
        return Difficulty(1, single, len(holds), "atoms")
    both = [[join(p, q) for p, q in zip(a, b, strict=True)] for join in (lambda p, q: p and q, lambda p, q: p or q)
            for a, b in combinations(holds.values(), 2)]  # fmt: skip
    if not (double := sum(map(right, both))):
        raise LitmusError(f"{test.name}: no two atoms tell the kernels apart", "give others")
    return Difficulty(2, double, len(both), "atoms")


# Tests


def litmus_tests(
    right: Callable[[str], bool], columns: Mapping[str, Sequence[str]], condition: str, most: int = 4
) -> Difficulty:
    """Of a question for a litmus test: the fewest steps, chosen for each column out of those given, with which it
    is ``right``; and how many such tests there are. ``condition`` is the last line of all."""
    for n in range(1, most + 1):
        if any(found := [right(text) for text in _tests(columns, condition, n)]):
            return Difficulty(n, sum(found), len(found), "steps")
    raise LitmusError(f"no {most} of these steps make a test that earns all", "give more steps, or others")


def _tests(columns: Mapping[str, Sequence[str]], condition: str, length: int) -> Iterator[str]:
    """All tests of so many steps: those of one process, and those in which P forks the others."""
    names = list(columns)
    for split in product(range(length + 1), repeat=len(names)):
        if sum(split) != length or not split[0]:
            continue
        for chosen in product(*(product(columns[p], repeat=n) for p, n in zip(names, split, strict=True))):
            programs = dict(zip(names, chosen, strict=True))
            forked = [step for program in programs.values() for step in program if step.startswith("fork ")]
            there = ["P", *(step.split()[1] for step in forked)]
            if len(set(there)) < len(there) or any(programs[p] and p not in there for p in names):
                continue
            used = [p for p in names if programs[p]]
            height = max(split)
            lines = [" | ".join(dict(enumerate(programs[p])).get(i, "") for p in used) for i in range(height)]
            yield "\n".join(["litmus tried", "init", "  P: x = old", "", " | ".join(used), *lines, "", condition, ""])
