"""You are the scheduler: the rules of the game. No widgets here: frozen positions, and a move gives the next one.

The board is the explorer's graph of all executions, so what it says of a position is proved: whether the goal can still
be reached, in how many moves at least, and by which move. The pictures come from running the moves on the engine.
"""

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from html import escape
from operator import or_
from typing import NamedTuple

from ..litmus import LitmusError, Moment, Test, Trace, Verdict, catalogue, judge, load, parse
from ..litmus.run import final_values, frame_of
from ..litmus.verdict import initial_frames
from ..mm import Kernel, boot, kernel, step
from ..view.bundle import figure, trace_html
from ..view.html import TWIN, details, html_and_text, paragraphs, pre
from ..view.scene import Room, Scene, room, scenes
from ..view.svg import scene_svg
from ..view.words import plural

__all__ = ["UNTIL", "Board", "Game", "Option", "game", "levels"]

UNTIL = ("end", "first")
ENOUGH = 3  # a level has at least as many executions


class Option(NamedTuple):
    """A move that can be made: whose, what it does, and the position's node after it."""

    column: str
    step: str
    node: int


@dataclass(frozen=True, eq=False)
class Board:
    """What a test on a kernel is as a game. ``left[i]`` is the fewest moves from node i to the goal, or None."""

    verdict: Verdict
    bad: bool
    goal: str
    until: str
    left: tuple[int | None, ...]

    @property
    def columns(self) -> list[str]:
        return list(self.verdict.test.columns)

    @property
    def wins(self) -> int:
        """How many executions reach the goal at the end."""
        return self.verdict.positive if self.bad else self.verdict.negative

    @cached_property
    def room(self) -> Room:
        """Places for all that shows up in some execution, so that nothing jumps while one plays."""
        return reduce(or_, (room(f.trace) for f in self.verdict.finals))


@dataclass(frozen=True, eq=False, repr=False)
class Game:
    """A position: the board, and whose moves led here. Displays as pictures and words, prints as words."""

    board: Board
    moves: tuple[str, ...] = ()

    def __repr__(self) -> str:
        v = self.board.verdict
        return f"<the scheduler of {v.test.name} on {v.kernel.name}: {plural(len(self.moves), 'move')} made>"

    def __str__(self) -> str:
        return self.text

    @cached_property
    def node(self) -> int:
        at, graph = 0, self.board.verdict.graph
        for proc in self.moves:
            at = next(j for c, j in graph.edges[at] if self.board.columns[c] == proc)
        return at

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """The moves that can be made, leftmost column first."""
        v = self.board.verdict
        positions, columns = v.graph.nodes[self.node][0], self.board.columns
        found = []
        for c, j in v.graph.edges[self.node]:
            action = v.test.columns[columns[c]][positions[c]]
            found.append(Option(columns[c], str(action).partition(": ")[2], j))
        return tuple(found)

    def move(self, proc: str) -> "Game":
        """The position after the next step of this column. LitmusError names who can move."""
        legal = [o.column for o in self.options]
        if proc not in legal:
            raise LitmusError(f"{proc} cannot move here", "" if legal else "the game is over", legal=legal)
        return replace(self, moves=(*self.moves, proc))

    def undo(self) -> "Game":
        return replace(self, moves=self.moves[:-1])

    @property
    def left(self) -> int | None:
        """The fewest moves from here to the goal; None when no play from here reaches it."""
        return self.board.left[self.node]

    @property
    def optimum(self) -> int | None:
        """The fewest moves from the start to the goal; None when the kernel does not allow it at all."""
        return self.board.left[0]

    @property
    def won(self) -> bool:
        return self.left == 0

    @property
    def over(self) -> bool:
        return self.won or not self.options

    def best(self) -> str | None:
        """The column whose next step starts a shortest way to the goal; the leftmost of several."""
        if not self.left:
            return None
        return next(o.column for o in self.options if self.board.left[o.node] == self.left - 1)

    @cached_property
    def trace(self) -> Trace:
        """The moves so far, run on the engine."""
        v = self.board.verdict
        moments = [Moment(None, boot(v.kernel, v.test.processes[0], v.test.pages))]
        at = dict.fromkeys(v.test.columns, 0)
        for proc in self.moves:
            action = v.test.columns[proc][at[proc]]
            at[proc] += 1
            moments.append(Moment(action, *step(moments[-1].state, v.kernel, action)))
        return Trace(v.kernel, tuple(moments), v.test.name)

    @cached_property
    def scene(self) -> Scene:
        """The picture of the position. Its places are those of every position of the game."""
        s = scenes(self.trace, self.board.room)[-1]
        return replace(s, last=max(len(f.trace) - 1 for f in self.board.verdict.finals))

    def finish(self) -> "Game":
        """The same, played on along a shortest way to the goal, if there is one."""
        at = self
        while proc := at.best():
            at = at.move(proc)
        return at

    @property
    def standing(self) -> str:
        """What is known of this position, in a sentence or two. The proof is the graph of all executions."""
        v = self.board.verdict
        if self.won:
            return f"Reached: {self.board.goal}."
        if self.optimum is None:
            return (
                f"No play wins on {v.kernel.name}: all {plural(v.executions, 'execution')} were tried, none reaches it."
            )
        if self.left is None and not self.options:
            return f"Everybody is done, and it is not so: {self.board.goal}. Take moves back to try another order."
        if self.left is None:
            return "From here it cannot be reached any more, whoever moves. Take moves back."
        return "It can still be reached from here."

    @property
    def text(self) -> str:
        b, v = self.board, self.board.verdict
        lines = [f"You are the scheduler: {v.test.name} on {v.kernel.name}", f"Goal: {b.goal}"]
        lines += [f"Moves so far: {' '.join(self.moves)}"] * bool(self.moves)
        lines += [
            f"Who can move: {'; '.join(f'{o.column} ({o.step})' for o in self.options) or 'nobody'}",
            self.standing,
        ]
        return "\n".join(lines)

    def html(self) -> str:
        """Without a kernel: the goal, the programs, the picture, and, folded, what the explorer knows."""
        b, v = self.board, self.board.verdict
        rows = "".join(f"<li><b>{escape(o.column)}</b>: {escape(o.step)}</li>" for o in self.options)
        parts = [
            paragraphs((f"You are the scheduler: {v.test.name} on {v.kernel.name}.", f"Goal: {b.goal}.")),
            pre(program(v.test)), "<p>The machine now:</p>", figure(self.scene, scene_svg(self.scene)),
            f"<p>Who moves next?</p><ul>{rows or '<li>nobody</li>'}</ul>",
        ]  # fmt: skip
        if self.optimum is None:
            parts.append(details("Can the goal be reached?", paragraphs((self.standing,))))
        else:
            said = f"{self.standing} In {plural(self.left, 'move')} at least." if self.left else self.standing
            parts.append(details("Can the goal still be reached?", paragraphs((said,))))
            if self.left:
                parts.append(details("A shortest play", trace_html(self.finish().trace)))
        return "\n".join([*parts, details("In words", pre(self.text), TWIN)])

    def _repr_mimebundle_(self, include=None, exclude=None):
        return html_and_text(self.html(), self.text)


def program(test: Test) -> str:
    """The columns of a test as it is written, without its name, init and condition."""
    lines = test.text[test.text.index("init") :].splitlines()[1:]
    start = next(n for n, line in enumerate(lines) if re.match(rf"\s*{test.processes[0]}\s*(\||$)", line))
    stop = next((n for n, line in enumerate(lines) if _CONDITION.match(line)), len(lines))
    return "\n".join(line.rstrip() for line in lines[start:stop] if line.strip())


_CONDITION = re.compile(r"\s*(exists|forall|~)\b|\s*~")


def game(test: str | Test, on: str | Kernel = "v5.7", goal: str | None = None, until: str = "end") -> Game:
    """A new game. ``test`` is a catalogue name, a path, the text of a test, or a Test.

    The goal is the test's condition: to make it hold, or, of ``forall``, to make it fail. ``goal`` is another
    expression in its place, such as ``"C.pipe == new"``. It must hold when everybody is done (``until="end"``, so that
    "no play wins" is the same as the verdict Never), or at any moment (``until="first"``). Raises LitmusError.

    >>> g = game("child-reads-parent-secret")
    >>> g.optimum, g.best(), game("child-reads-parent-secret", "v5.8").optimum
    (4, 'P', None)
    >>> g.move("P").move("P").standing
    'From here it cannot be reached any more, whoever moves. Take moves back.'
    """
    if until not in UNTIL:
        raise LitmusError(f"unknown until={until!r}", legal=UNTIL)
    if isinstance(test, str):
        test = parse(test) if test.lstrip().startswith("litmus ") else load(test)
    if goal is not None:
        lines = test.text.splitlines()
        at = next(n for n in reversed(range(len(lines))) if _CONDITION.match(lines[n]))
        test = parse("\n".join([*lines[:at], f"exists {goal}"]), "the goal")
    v = judge(test, on if isinstance(on, Kernel) else kernel(on))
    c = test.condition
    bad = c.quantifier != "forall"
    return Game(Board(v, bad, c.text if bad else f"not ({c.text})", until, _distances(v, bad, until)))


def _distances(v: Verdict, bad: bool, until: str) -> tuple[int | None, ...]:
    """For each node the fewest moves to one that meets the goal."""
    initial = initial_frames(v.graph.nodes[0][1])
    left: list[int | None] = [None] * len(v.graph.nodes)
    came: list[list[int]] = [[] for _ in left]
    queue: deque[int] = deque()
    for i, ((_, state), out) in enumerate(zip(v.graph.nodes, v.graph.edges, strict=True)):
        for _, j in out:
            came[j].append(i)
        holds = v.test.condition.holds(final_values(state), frame_of(state) | initial)
        if holds == bad and (until == "first" or not out):
            left[i] = 0
            queue.append(i)
    while queue:
        j = queue.popleft()
        for i in came[j]:
            if left[i] is None:
                left[i] = left[j] + 1
                queue.append(i)
    return tuple(left)


def levels(on: str | Kernel = "v5.7", tests: Iterable[str | Test] | None = None) -> list[tuple[str, int, int, int]]:
    """The catalogue as levels, easiest first: (name, moves of a shortest win, winning executions, executions) of each
    test that can be won on this kernel and can be lost too. ``tests`` are others than the catalogue's.

    >>> [row for row in levels("v5.7", ["child-reads-parent-secret", "second-writer-reuses"])]
    [('child-reads-parent-secret', 4, 1, 3)]
    """
    rows = []
    for test in catalogue() if tests is None else tests:
        g = game(test, on)
        v = g.board.verdict
        if g.optimum is not None and v.executions >= ENOUGH and 0 < g.board.wins < v.executions:
            rows.append((v.test.name, g.optimum, g.board.wins, v.executions))
    return sorted(rows, key=lambda row: (row[1], -row[2] / row[3], row[0]))
