"""Litmus tests in cells: ``%load_ext cowlab``, then ``%%litmus [KERNEL ...]`` above a test.

    %%litmus v5.7 v5.8
    litmus demo
    init
      P: x = old
    P        | C
    fork C   | read x -> r
    exists C.r == old

The result is a :class:`Judged`. Displayed, it is the table of verdicts, the graph of all executions and the player.
An error points at the token in the cell, in one message. Loaded by IPython only; `import cowlab` does not come here.
"""

import re
from dataclasses import dataclass, replace
from itertools import pairwise

from IPython.core.error import UsageError
from IPython.core.magic_arguments import MagicArgumentParser

from .litmus import LitmusError, Test, Trace, Verdict, judge, load, parse
from .mm import KERNELS, Kernel, kernel
from .ui import player
from .view import Diagram, VerdictTable

__all__ = ["Judged", "litmus", "register"]

MAGIC = "%%litmus"
WORD = re.compile(r'"[^"]*"|\S+')


@dataclass(frozen=True, repr=False)
class Judged:
    """One test on some kernels. ``chosen`` is the verdict that graph and player show: the first, in the order of the
    kernels, with an execution that satisfies the condition, else the first."""

    test: Test
    verdicts: tuple[Verdict, ...]

    @property
    def chosen(self) -> Verdict:
        return next((v for v in self.verdicts if v.witness), self.verdicts[0])

    @property
    def table(self) -> VerdictTable:
        return VerdictTable(tuple(v.kernel for v in self.verdicts), ((self.test.name, self.verdicts),))

    @property
    def trace(self) -> Trace:
        """The execution to step through: one that satisfies the condition, if any does."""
        return self.chosen.witness or self.chosen.finals[0].trace

    def diagram(self) -> Diagram:
        return self.chosen.diagram()

    def player(self):
        """The widget; without anywidget the trace itself, which has every step as a picture and in words."""
        return player(self.trace)

    def __repr__(self) -> str:
        said = ", ".join(f"{v.verdict} on {v.kernel.name}" for v in self.verdicts)
        return f"<{self.test.name}: {said}>"

    def __str__(self) -> str:
        return f"{self.table}\n\n{self.diagram()}\n\n{self.trace.text()}"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        said = f"All executions on {self.chosen.kernel.name}, then one of them, step by step:"
        display(self.table)
        display({"text/markdown": said, "text/plain": said}, raw=True)
        display(self.diagram())
        display(self.player())


def register(shell) -> None:
    """Make ``%litmus`` and ``%%litmus`` known to an IPython shell."""
    shell.register_magic_function(lambda line, cell=None: litmus(line, cell, shell), "line_cell", "litmus")


def litmus(line: str, cell: str | None = None, shell=None) -> Judged:
    """%%litmus [KERNEL ...] [--schedule "P P C C"] [--hidden] [--to NAME]: judge the test in the cell.

    No kernel is every kernel. ``%litmus NAME [KERNEL ...]`` judges a test of the catalogue, or a file.
    ``--to NAME`` also keeps the result in a variable. Bad input raises UsageError, which IPython prints without a
    traceback: ``cell:LINE:COLUMN``, the line, and a caret under the token.
    """
    line = line.strip()
    prefix = MAGIC if cell is not None else MAGIC[1:]
    above = _lines_above(shell, line, cell)
    try:
        args, kernels = _arguments(prefix, line)
        test = load(args.test) if cell is None else _parse(cell, above)
        judged = Judged(test, tuple(judge(test, k, args.schedule, args.hidden) for k in kernels))
    except LitmusError as e:
        if not e.line:  # in the magic's own line: a kernel, the schedule, or the name of a test
            e.at("cell", above, len(prefix) + 2 + _where(e, line), f"{prefix} {line}")
        raise UsageError(str(e)) from None
    if args.to and shell is not None:
        shell.push({args.to: judged})
    return judged


def _arguments(prefix: str, line: str):
    """Options and kernels. LitmusError at a word that is no kernel; UsageError at an unknown option."""
    parser = MagicArgumentParser(prog=prefix, add_help=False)
    if prefix != MAGIC:
        parser.add_argument("test", metavar="NAME")
    parser.add_argument("kernels", nargs="*", metavar="KERNEL")
    parser.add_argument("--schedule")
    parser.add_argument("--hidden", action="store_true")
    parser.add_argument("--to", metavar="NAME")
    args = parser.parse_args([w[0].strip('"') for w in WORD.finditer(line)])
    if args.to and not args.to.isidentifier():
        raise UsageError(f"{prefix}: --to {args.to}: a variable is named by letters, digits and underscores")
    rows: dict[str, Kernel] = {}
    for name in args.kernels:
        try:
            row = kernel(name)
        except ValueError as e:
            what, _, remedy = str(e).partition("; ")
            error = LitmusError(what, remedy)
            error.word = name
            raise error from None
        rows[row.name] = row
    return args, list(rows.values()) or list(KERNELS.values())


def _where(e: LitmusError, line: str) -> int:
    """The place in the magic's line that an error without a line of its own is about."""
    words = list(WORD.finditer(line))
    if place := re.match(r"schedule, (?:after )?place (\d+)", e.what):
        value = next(b for a, b in pairwise(words) if a[0] == "--schedule")
        moves = [value.start(), *(value.start() + m.start() for m in re.finditer(r"[^\s\"]+", value[0]))]
        return moves[min(int(place[1]), len(moves) - 1)]
    word = getattr(e, "word", e.file)
    return next((w.start() for w in reversed(words) if w[0].strip('"') == word), 0)


def _parse(cell: str, above: int) -> Test:
    """The test in a cell. The lines of an error count from the top of the cell, as the editor's do."""
    return replace(parse("\n" * above + cell, "cell"), text=cell)


def _lines_above(shell, line: str, cell: str | None) -> int:
    """How many lines of the cell stand above the test: the magic's own, and empty ones before it."""
    history = getattr(shell, "history_manager", None)
    raw = history.input_hist_raw[-1] if history and history.input_hist_raw else ""
    top, _, rest = raw.partition(MAGIC)
    is_this = rest.partition("\n")[0].strip() == line and rest.rstrip().endswith((cell or "").rstrip())
    return 1 + (top.count("\n") if cell and is_this else 0)
