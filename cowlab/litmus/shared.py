"""Executions on many kernels at once: a step is taken once for all kernels that answer its questions alike.

A step asks the kernel's row for some of its rules and cannot see the others, so another row with the same answers
to the same questions takes the same step. Nothing here knows what a rule means.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..mm import Action, Kernel, State, boot, step
from .run import Moment, Trace, ready

__all__ = ["Asked", "Runs"]


class Asked:
    """A kernel's row that remembers which of its rules were asked for: ``answers`` maps rule -> answer.

    >>> from cowlab import kernel
    >>> row = Asked(kernel("v5.8"))
    >>> row.exclusive, row.answers, row.alike(kernel("v5.7")), row.alike(kernel("v6.1"))
    (False, {'exclusive': False}, True, False)
    """

    __slots__ = ("answers", "row")

    def __init__(self, row: Kernel):
        self.row, self.answers = row, {}

    def __getattr__(self, name: str) -> Any:
        answer = self.answers[name] = getattr(self.row, name)
        return answer

    def alike(self, other: Kernel) -> bool:
        """Would the other row have given the same answers?"""
        for name, answer in self.answers.items():  # noqa: SIM110 (twice as fast as all())
            if getattr(other, name) != answer:
                return False
        return True


class _Node:
    """A state, and what follows: action -> one edge for each set of answers."""

    __slots__ = ("next", "state")

    def __init__(self, state: State):
        self.state, self.next = state, {}


class _Edge(NamedTuple):
    asked: Asked
    moment: Moment
    to: _Node


class Runs:
    """The executions that begin with one machine. What they have in common is run once, on one kernel or on
    several; where two kernels come to equal states, for whatever reasons, they share the state object.

    >>> from cowlab import kernel
    >>> from cowlab.litmus.parse import parse_init, parse_steps
    >>> first, pages = parse_init(["P: x = old"])
    >>> runs, steps = Runs(first, pages), parse_steps(["P: write x new"], first, pages)
    >>> runs.trace(kernel("v5.7"), steps).final is runs.trace(kernel("v5.8"), steps).final
    True
    """

    def __init__(self, first: str, pages: dict):
        self.first, self.pages = first, pages
        self.boots: list[_Edge] = []

    def trace(self, row: Kernel, actions: Iterable[Action], name: str = "") -> Trace:
        """As :func:`cowlab.litmus.run.run_actions`, from the start of this machine."""
        edge = _follow(self.boots, row, lambda asked: Moment(None, boot(asked, self.first, self.pages)))
        moments = [edge.moment]
        for a in actions:
            node = edge.to
            if ready(node.state, a.proc, {}):
                edges = node.next.setdefault(a, [])
                edge = _follow(edges, row, lambda asked, s=node.state, a=a: Moment(a, *step(s, asked, a)))
                moments.append(edge.moment)
        return Trace(row, tuple(moments), name)


def _follow(edges: list[_Edge], row: Kernel, run: Callable[[Asked], Moment]) -> _Edge:
    for edge in edges:
        if edge.asked.alike(row):
            return edge
    moment = run(asked := Asked(row))
    same = next((e.to for e in edges if e.to.state == moment.state), None)
    to = same or _Node(moment.state)
    edges.append(_Edge(asked, moment._replace(state=to.state), to))
    return edges[-1]
