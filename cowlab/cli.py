"""The command line: parse, call, print. Exit status 0, 1 (a mismatch) or 2 (bad input, in one message)."""

import argparse
import atexit
import gc
import os
import sys
from importlib import import_module

from . import __version__, manual

__all__ = ["HOMES", "main"]

HOMES = {  # command -> the module whose add_parser() describes it, and perhaps another command
    "completion": "manual",
    "conformance": "commands",
    "designs": "designs",
    "diff": "commands",
    "doctor": "doctor",
    "draw": "ui.draw",
    "explore": "explore.command",
    "fuzz": "live.commands",
    "grade": "grade.command",
    "lab": "lab",
    "litmus": "commands",
    "probe": "live.commands",
    "release": "grade.command",
    "replay": "commands",
    "site": "site",
    "slides": "slides",
}

atexit.register(gc.freeze)  # what is about to end is not searched for garbage: ten of its seventy milliseconds


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns the exit status; bad input prints one message on stderr."""
    argv = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):  # a sign that it does not have, such as ◐ on Windows, is no reason to stop
        if getattr(stream, "errors", "") == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    if "_ARGCOMPLETE" in os.environ:
        manual.complete(_parser(_named(os.environ.get("COMP_LINE", "").split())))
    named = _named(argv)
    args = _parser(named, alone=argv[:1] == [named]).parse_args(argv)
    try:
        return args.run(args)
    except ValueError as e:
        from .litmus.errors import LitmusError

        if not isinstance(e, LitmusError):
            raise
        message = f"cowlab: {e}" if not e.line else str(e)
    except BrokenPipeError:  # the reader (head, less) has gone
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("cowlab: interrupted", file=sys.stderr)
        return 130
    print(message, file=sys.stderr)  # here: with the exception its frames are gone, and any bar that they showed
    return 2


def _named(words: list[str]) -> str:
    """The command among these words, which is the first that can be one; empty when there is none."""
    return next((w for w in words if w in HOMES), "")


def _parser(named: str | None = None, alone: bool = False) -> argparse.ArgumentParser:
    """`cowlab`, with the whole of the command ``named``, and of each other what the front page says. None: all whole.

    A command's module is loaded only when it is named: the front page, and `cowlab explore`, need no notebook tools.
    ``alone``: the command stands first, so the others need not be told.
    """
    parser = _Top(prog="cowlab", description="Copy-on-write and get_user_pages(), for several kernels of Linux.")
    parser.add_argument("--version", action="version", version=f"cowlab {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=_Parser, prog="cowlab"
    )
    for name in HOMES if named is None else filter(None, [named]):
        if name not in commands.choices:
            import_module(f".{HOMES[name]}", __package__).add_parser(commands)
    for name, line in manual.lines().items():
        if name not in commands.choices and not alone:
            commands.add_parser(name, help=line)
    manual.add_examples(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """argparse with one message instead of a usage dump, and the nearest word."""

    def error(self, message: str):
        if "invalid choice: " in message:
            from .litmus.errors import nearest

            word = message.split("invalid choice: ")[1].split("'")[1]
            words = [w.strip(" '()") for w in message.split("choose from")[-1].split(",")]
            what = "unknown command" if "argument COMMAND" in message else message.split(":")[0] + ": unknown"
            message = f"{what} {word!r}; {nearest(word, words) or 'choose one of'} {', '.join(words)}"
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


class _Top(_Parser, manual.Front):
    """`cowlab` itself."""


if __name__ == "__main__":
    sys.exit(main())
