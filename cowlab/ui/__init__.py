"""Widgets for the browser. Nothing here is needed to compute or to draw, and importing it loads no widget.

A lesson uses these functions. Each gives something to display as the last line of a cell; where no kernel runs, its
static form stands in the output, and ``print(str(it))`` in the next cell is its text twin. Where anywidget is not
installed, the static form is all there is.

>>> from cowlab.ui import executions, levels, scheduler, side_by_side
>>> side_by_side("child-reads-parent-secret", "P C C P", ["v5.7", "v5.8"])
SideBySide(child-reads-parent-secret side by side on v5.7 and v5.8, 5 frames)
>>> scheduler("child-reads-parent-secret", "v5.8")
Scheduler(child-reads-parent-secret on v5.8)
>>> executions("child-reads-parent-secret", "v5.7")
Executions(child-reads-parent-secret on v5.7, 8 states)
>>> levels("v5.7")[5]
('child-reads-parent-secret', 4, 1, 3)
"""

from collections.abc import Iterable

__all__ = ["Player", "SideBySide", "executions", "levels", "player", "scheduler", "side_by_side"]


def player(what, kernel="v5.7", schedule: str | None = None, *, start: int = 0, anchor: str = ""):
    """Step through one execution: previous, next, play, scrub, jump to the next fault or copy.

    ``what`` is a Trace, or a test (or its name in the catalogue) that is run on ``kernel`` in the order ``schedule``,
    or, without one, as its first execution that satisfies the condition (or just its first). ``start`` is the step
    that is shown first; -1 is the end. With ``anchor="leak"`` a link to ``#leak-4`` anywhere in the notebook, such as
    ``[step 4](#leak-4)``, shows step 4 here; in a converted page it leads to the picture of step 4.
    """
    from ..litmus import Trace

    trace = what if isinstance(what, Trace) else _trace(what, kernel, schedule)
    widget = _widget("Player")
    return widget(trace, start, anchor) if widget else trace


def side_by_side(test, schedule: str, kernels: Iterable = ("v5.7", "v5.8"), *, start: int = 0, anchor: str = ""):
    """One schedule on two or more kernels, with one slider; the first difference is marked and explained by the rules
    that make it.

    ``test`` is a Test or its name in the catalogue, ``schedule`` as in ``"P C C P"``, ``kernels`` are rows or their
    names. The first kernel must be able to take every step; a step that another one cannot take (its process is
    dead or blocked there) is left out there, and that is said. ``start`` and ``anchor`` as in :func:`player`.
    The comparison by itself, without a widget, is :func:`cowlab.view.compare`. Raises LitmusError.
    """
    from ..view.compare import compare

    comparison, widget = compare(test, schedule, kernels), _widget("SideBySide")
    return widget(comparison, start, anchor) if widget else comparison


def scheduler(
    test="child-reads-parent-secret", kernel="v5.7", *, goal: str | None = None, until: str = "end",
    kernels: Iterable[str] | None = None, tests: Iterable | None = None,
):  # fmt: skip
    """You are the scheduler: choose who moves next, and reach the goal.

    ``test`` is a Test, a name in the catalogue, a path, or the text of a test: anyone's own test is a level. The goal
    is its condition (of ``forall``: to break it), or ``goal``, an expression such as ``"C.pipe == new"``. It must hold
    when everybody is done (``until="end"``), or at any moment (``until="first"``). The explorer's graph says whether
    the goal can still be reached and what the next move of a shortest way is; on a kernel whose verdict is Never, it
    has proved that no play wins. ``kernels`` can be chosen in the widget (default: v5.7, v5.8, v5.9, v6.1, and
    ``kernel``), and ``tests`` as levels beside ``test`` (default: none; ``"catalogue"`` gives all of :func:`levels`).

    The game without a widget is :func:`cowlab.ui.game.game`. Raises LitmusError.
    """
    from ..litmus import Test
    from .game import game, levels

    first = game(test, kernel, goal, until)
    board = first.board.verdict
    widget = _widget("Scheduler")
    if widget is None:
        return first
    more = [row[0] for row in levels(kernel)] if tests == "catalogue" else list(tests or ())
    named = {t.name if isinstance(t, Test) else t: t for t in more}
    rows = dict.fromkeys([*(kernels or ("v5.7", "v5.8", "v5.9", "v6.1")), board.kernel.name])
    own = {board.kernel.name: board.kernel}  # a row of the learner's own has a name that the catalogue lacks

    def new(name: str, on: str):
        mine = name == board.test.name
        return game(test if mine else named[name], own.get(on, on), goal if mine else None, until)

    return widget(first, list(dict.fromkeys([board.test.name, *named])), list(rows), new)


def executions(test="child-reads-parent-secret", kernel="v5.7", *, bad: bool | None = None, fold: bool = False):
    """All schedules of a test as a graph: choose a state by mouse or keyboard to see its picture, how one comes there,
    and the steps that lead on from it.

    Bad ends are red, double-edged and say so; a shortest way to one is bold; steps that copy or reuse are marked.
    ``bad``: are the ends bad in which the condition holds? By default yes, and of ``forall`` no. With ``fold`` (and
    beyond 300 states by itself) states from which the same ends can still be reached are one group: what is left are
    the steps that decide. Where nothing can draw graphviz, this is the graph in words.
    The graph without a widget is ``verdict.diagram()``. Raises LitmusError.
    """
    from ..litmus import Test, judge, load
    from ..mm import Kernel
    from ..mm import kernel as row
    from ..view import Diagram

    test = test if isinstance(test, Test) else load(test)
    diagram = Diagram.of(judge(test, kernel if isinstance(kernel, Kernel) else row(kernel)), bad)
    diagram, widget = diagram.fold() if fold else diagram, _widget("Executions")
    return widget(diagram) if widget and diagram.svg else diagram


def levels(kernel="v5.7", tests: Iterable | None = None) -> list[tuple[str, int, int, int]]:
    """The levels of the game, easiest first: (name, moves of a shortest win, winning executions, executions) for each
    test of the catalogue, or of ``tests``, that can be won on this kernel and can be lost too."""
    from .game import levels

    return levels(kernel, tests)


def _trace(what, on, schedule):
    from ..litmus import Test, judge, load, run
    from ..mm import Kernel, kernel

    test, row = what if isinstance(what, Test) else load(what), on if isinstance(on, Kernel) else kernel(on)
    if schedule is not None:
        return run(test, row, schedule)
    verdict = judge(test, row)
    return verdict.witness or verdict.finals[0].trace


HOMES = {"Executions": "graph", "Player": "stepping", "SideBySide": "stepping", "Scheduler": "playing"}


def _widget(name: str):
    """The class of a widget, or None where its libraries are not installed."""
    from importlib import import_module

    try:
        return getattr(import_module(f".{HOMES[name]}", __name__), name)
    except ImportError as e:
        if (e.name or "").startswith("cowlab"):
            raise
        return None


def __getattr__(name: str):
    if name in HOMES:
        found = _widget(name)
        if found is None:
            raise ImportError("the player needs anywidget; without it, display the trace itself")
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
