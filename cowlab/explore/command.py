"""`cowlab explore`: can it ever happen, whoever does what and when?"""

import argparse
import sys

from ..mm import kernel
from .free import Progress, explore
from .space import NEVER, STEPS

__all__ = ["add_parser"]

FIRST, EVERY, QUIETLY = 1.0, 0.25, 10.0  # seconds: until progress shows, on a terminal, and in a file


def add_parser(commands) -> argparse.ArgumentParser:
    """Describe `cowlab explore` to argparse."""
    p = commands.add_parser(
        "explore",
        help="explore every execution of any length",
        description="Can it ever happen? Any process may take any of the steps at any time; the whole space is "
        "explored, and a shortest witness is shown.",
        epilog="example: cowlab explore --kernel v5.7 --never leak",
    )
    p.add_argument("--kernel", required=True, metavar="NAME", help="a kernel or a release")
    p.add_argument("--processes", type=int, default=2, metavar="N", help="at most so many at a time (default: 2)")
    p.add_argument("--pages", type=int, default=1, metavar="M", help="so many pages (default: 1)")
    p.add_argument("--steps", default=",".join(STEPS), metavar="LIST", help=f"default: {','.join(STEPS)}")
    p.add_argument(
        "--never", default="leak", metavar="|".join(NEVER), help="what shall never be: "
        + "; ".join(f"{name}: {about}" for name, about in NEVER.items()),
    )  # fmt: skip
    way = p.add_mutually_exclusive_group()
    way.add_argument("--full", action="store_true", help="merge no states: without any reduction")
    way.add_argument("--project", action="store_true", help="one page for all, where no frame goes from page to page")
    way.add_argument("--product", action="store_true", help="the product of one page's automaton, with NumPy")
    p.add_argument("--machines", action="store_true", help="count whole machines up to symmetry, and not islands: "
                   "processes that are tied by frames, whatever stands beside them")  # fmt: skip
    p.add_argument("--go-on", action="store_true", help="count the whole space even when something was found")
    p.add_argument("--max-states", type=int, metavar="N", help="beyond so many states the verdict is `undecided`")
    p.add_argument("--max-memory", type=float, metavar="MIB", help="the same for memory")
    p.add_argument("--json", action="store_true", help="print one JSON document")
    p.set_defaults(run=_run)
    return p


def _run(args) -> int:
    shown = Shown()
    try:
        found = explore(
            kernel(args.kernel), args.processes, args.pages, args.steps, args.never, args.full, args.project,
            args.product, args.machines, args.go_on, args.max_states, args.max_memory, shown,
        )  # fmt: skip
    except ValueError as e:
        shown.clear()
        print(f"cowlab: {e}", file=sys.stderr)
        return 2
    shown.clear()
    if args.json:
        import json

        print(json.dumps(found.as_json(), indent=1))
    else:
        print(found)
    return 130 if found.why == "interrupted" else 0


class Shown:
    """The progress line on stderr; on a terminal it is written over."""

    def __init__(self):
        self.terminal, self.next, self.width = sys.stderr.isatty(), FIRST, 0

    def __call__(self, p: Progress) -> None:
        if p.seconds < self.next:
            return
        self.next = p.seconds + (EVERY if self.terminal else QUIETLY)
        rate = p.states / p.seconds
        line = f"{p.states:,} states, frontier {p.frontier:,}, {rate:,.0f} states/s, {p.memory:,.0f} MiB"
        print(f"\r{line:<{self.width}}" if self.terminal else line, end="" if self.terminal else "\n",
              file=sys.stderr, flush=True)  # fmt: skip
        self.width = len(line)

    def clear(self) -> None:
        """Leave nothing of the line on a terminal."""
        if self.terminal and self.width:
            print(f"\r{' ' * self.width}\r", end="", file=sys.stderr, flush=True)
