"""Every interleaving of a few programs, by walking the graph of states instead of the tree of schedules.

A node is (how far each column has come, state). Two schedules that meet in a node share all that follows, so
17 million schedules may be 3,000 nodes; the counts stay exact, because paths are counted over the graph.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["CHOICE", "Ending", "Graph", "TooManyStates", "explore"]


CHOICE = -1  # the column of what the kernel does by itself


class TooManyStates(RuntimeError):
    """The graph outgrew its bound; nothing is known about what was not reached."""


@dataclass(slots=True)
class Ending:
    """All complete executions that end alike: how many, and the first in column order, as column numbers."""

    count: int
    node: int
    witness: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Graph:
    """``nodes[i]`` is (positions, state); ``edges[i]`` lists (column, successor), leftmost column first."""

    nodes: list[tuple[tuple[int, ...], Any]]
    edges: list[list[tuple[int, int]]]

    def backward(self) -> list[int]:
        """Node numbers, successors first: every step raises the sum of the positions, and a choice of the
        kernel, which does not, leads to a node without one."""
        chosen = [bool(out) and out[-1][0] == CHOICE for out in self.edges]
        return sorted(range(len(self.nodes)), key=lambda i: (-sum(self.nodes[i][0]), chosen[i]))

    def executions(self) -> list[int]:
        """For each node, how many complete interleavings lead on from it."""
        counts = [1] * len(self.nodes)
        for i in self.backward():
            if self.edges[i]:
                counts[i] = sum(counts[j] for _, j in self.edges[i])
        return counts

    def endings(self, classify: Callable[[Any], Hashable]) -> dict[Hashable, Ending]:
        """Complete executions grouped by ``classify(state)``, in the order of their witnesses."""
        below: list[dict[Hashable, tuple[int, int]]] = [{} for _ in self.nodes]  # class -> (count, first edge)
        for i in self.backward():
            if not self.edges[i]:
                label = classify(self.nodes[i][1])
                below[i][label] = (1, -1)
            for edge, (_, j) in enumerate(self.edges[i]):
                for label, (count, _) in below[j].items():
                    have = below[i].get(label)
                    below[i][label] = (count, edge) if have is None else (have[0] + count, have[1])
        endings = {}
        for label, (count, _) in below[0].items():
            ending, i = Ending(count, 0), 0
            while self.edges[i]:
                column, i = self.edges[i][below[i][label][1]]
                ending.witness.append(column)
            ending.node = i
            endings[label] = ending
        return endings


def explore(
    start: Any,
    programs: Sequence[Sequence[Any]],
    step: Callable[[Any, Any], Any],
    ready: Callable[[Any, int], bool | None],
    key: Callable[[Any], Hashable],
    bound: int = 2_000_000,
    choose: Callable[[Any], Any] | None = None,
) -> Graph:
    """The graph of all interleavings.

    ``step(state, action)`` is the next state; ``ready(state, column)`` is True (may move), False (not yet) or
    None (never again: what is left of the column vanishes); ``key(state)`` is a state that stands for all that
    count as the same; ``choose(state)`` is a state to which the kernel may go by itself before the next step, or
    None. Raises TooManyStates beyond ``bound`` nodes.
    """

    def settle(positions: tuple[int, ...], state: Any):
        return tuple(
            len(program) if at < len(program) and ready(state, column) is None else at
            for column, (at, program) in enumerate(zip(positions, programs, strict=True))
        )

    first = (settle((0,) * len(programs), start), key(start))
    nodes, edges, index = [first], [], {first: 0}
    at = 0
    while at < len(nodes):
        positions, state = nodes[at]
        found: list[tuple[int, tuple]] = []
        for column, program in enumerate(programs):
            here = positions[column]
            if here == len(program) or not ready(state, column):
                continue
            after = key(step(state, program[here]))
            found.append((column, (settle((*positions[:column], here + 1, *positions[column + 1 :]), after), after)))
        if found and choose and (other := choose(state)) is not None:
            found.append((CHOICE, (positions, key(other))))
        out = []
        for column, node in found:
            number = index.get(node)
            if number is None:
                if len(nodes) >= bound:
                    raise TooManyStates(f"more than {bound:,} states")
                number = index[node] = len(nodes)
                nodes.append(node)
            out.append((column, number))
        edges.append(out)
        at += 1
    return Graph(nodes, edges)
