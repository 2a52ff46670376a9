"""Which events of a step does the generation decide? Found by asking the engine, not by a list.

The step is run again with one rule of the kernel's row replaced by another generation's answer. Where the events
part, that rule decided. A rule that words its reason otherwise but does the same is named too: it was asked.
"""

from functools import cache
from typing import NamedTuple

from ..litmus.rules import asks, said, word
from ..litmus.run import Moment
from ..litmus.shared import Asked
from ..mm import KERNELS, Kernel, State, replace, step

__all__ = ["Decision", "between", "decisions"]


class Decision(NamedTuple):
    """``event`` counts from 0 in the moment's ``why``. ``answer`` is this row's rule. ``flips``: with another
    generation's answer the kernel would have done something else here; ``others`` are these answers, and the names of
    the kernels that give them."""

    event: int
    field: str
    answer: str
    others: tuple[tuple[str, tuple[str, ...]], ...]
    flips: bool
    law: str = ""

    def __str__(self) -> str:
        question = asks()[self.field].rstrip("?.") + "?"
        elsewhere = "; ".join(f"{answer} on {', '.join(names)}" for answer, names in self.others)
        return f"{question} Here {self.answer}" + (f", but {elsewhere}." if elsewhere else ", and others do the same.")


def decisions(before: State, kernel: Kernel, moment: Moment) -> tuple[Decision, ...]:
    """The rules of ``kernel`` that decided in this step, in the order of their events.

    >>> from cowlab import kernel, load, run
    >>> t = run(load("child-reads-parent-secret"), kernel("v5.7"), "P C C P")
    >>> [(d.event, d.field, d.answer, d.flips) for d in decisions(t.moments[3].state, t.kernel, t.moments[4])]
    [(0, 'reuse', 'sole_mapper', True)]
    """
    if moment.action is None or not moment.why:
        return ()
    asked = Asked(kernel)
    step(before, asked, moment.action)
    found = []
    for field in asked.answers:
        if field not in _rivals(kernel):
            continue
        events, flips, others = [], False, []
        for answer, names, row in _rivals(kernel)[field]:
            parting = _parting(moment, step(before, row, moment.action))
            if parting is None:
                continue
            at, does = parting
            events.append((not does, at))
            flips = flips or does
            if does:
                others.append((answer, names))
        if events:
            law = said(field, getattr(kernel, field))[0]
            answer = word(getattr(kernel, field))
            found.append(Decision(min(events)[1], field, answer, tuple(others), flips, law))
    return tuple(sorted(found, key=lambda d: (d.event, not d.flips)))


def between(before: State, a: Kernel, moment: Moment, b: Kernel) -> list[str]:
    """The fields of the rows in which ``a`` and ``b`` differ, and which decide in this step of ``a``: with ``b``'s
    answer to one of them the step goes otherwise. If it takes several together, all that were asked; if the two do the
    same here, none."""
    if not _parts(moment, step(before, b, moment.action)):
        return []
    asked = Asked(a)
    step(before, asked, moment.action)
    fields = [f for f in asks() if f in asked.answers and getattr(a, f) != getattr(b, f)]
    one = [f for f in fields if _parts(moment, step(before, replace(a, **{f: getattr(b, f)}), moment.action))]
    return one or fields


def _parts(moment: Moment, other) -> bool:
    parting = _parting(moment, other)
    return parting is not None and parting[1]


def _parting(moment: Moment, other) -> tuple[int, bool] | None:
    """The event at which two runs of a step part, and whether they do different things or only word it otherwise;
    None where they agree. The PageAnonExclusive bits are no difference by themselves: nobody sees them."""
    mine, theirs = ([(w.fn, w.did, w.copied) for w in m.why] for m in (moment, other))
    same = mine == theirs and _seen(moment.state) == _seen(other.state)
    if same and moment.why == other.why:
        return None
    if same:
        return next(n for n, (a, b) in enumerate(zip(moment.why, other.why, strict=True)) if a != b), False
    at = next((n for n, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), min(len(mine), len(theirs)))
    return min(at, len(mine) - 1), True


def _seen(s: State) -> State:
    return replace(s, frames=tuple(replace(f, exclusive=False) if f.exclusive else f for f in s.frames))


@cache
def _rivals(kernel: Kernel) -> dict[str, tuple[tuple[str, tuple[str, ...], Kernel], ...]]:
    """Field -> (answer, kernels of the catalogue that give it, this row with that answer), other answers only."""
    found = {}
    for field in asks():
        answers: dict = {}
        for name, row in KERNELS.items():
            if getattr(row, field) != getattr(kernel, field):
                answers.setdefault(getattr(row, field), []).append(name)
        if answers:
            found[field] = tuple((word(a), tuple(names), replace(kernel, **{field: a})) for a, names in answers.items())
    return found
