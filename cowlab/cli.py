"""The command line: parse, call, print. Exit status 0, 1 (a mismatch) or 2 (bad input, in one message)."""

import argparse
import json
import os
import sys

from . import manual
from .terminal import colours, paint, progress

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns the exit status; bad input prints one message on stderr."""
    named = (sys.argv[1:] if argv is None else argv)[:1]
    parser = _explorer() if named == ["explore"] else _parser()
    if "_ARGCOMPLETE" in os.environ:
        manual.complete(parser)
    args = parser.parse_args(argv)
    try:
        return args.run(args)
    except ValueError as e:
        from .litmus.errors import LitmusError

        if not isinstance(e, LitmusError):
            raise
        print(f"cowlab: {e}" if not e.line else e, file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader (head, less) has gone
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("cowlab: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    """All commands. A module of a storey describes its own with add_parser(); their order here does not matter."""
    parser = _Top(prog="cowlab", description="Copy-on-write and get_user_pages(), for several kernels of Linux.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    _litmus(commands)
    _replay(commands)
    _diff(commands)
    _conformance(commands)
    from . import designs, doctor, lab, site, slides
    from .explore import command
    from .grade import command as grading
    from .live import commands as live
    from .ui import draw

    command.add_parser(commands)
    designs.add_parser(commands)
    draw.add_parser(commands)
    lab.add_parser(commands)
    live.add_parser(commands)
    slides.add_parser(commands)
    site.add_parser(commands)
    doctor.add_parser(commands)
    grading.add_parser(commands)
    manual.add_parser(commands)
    manual.add_examples(commands)
    return parser


def _explorer() -> argparse.ArgumentParser:
    """`cowlab explore` alone, without loading what the other commands need: its answers come in milliseconds."""
    from .explore import command

    parser = _Top(prog="cowlab")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=_Parser, prog="cowlab"
    )
    command.add_parser(commands)
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


def _kernel(name: str):
    from .mm import kernel

    try:
        return kernel(name)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from None


def _kernel_name(name: str) -> str:
    _kernel(name)
    return name


def _litmus(commands) -> None:
    p = commands.add_parser(
        "litmus",
        help="judge litmus tests over all schedules",
        description="Judge litmus tests: over every schedule, does the condition hold never, sometimes or always?",
        epilog="example: cowlab litmus child-reads-parent-secret --kernel v5.7 --kernel v5.8",
    )
    p.add_argument("files", nargs="*", metavar="FILE", help="a .litmus file, or the name of a test in the catalogue")
    p.add_argument("--kernel", action="append", type=_kernel, metavar="NAME", help="a kernel (default: all of them)")
    p.add_argument("--schedule", metavar='"P P C C"', help="run one execution: whose step comes next")
    p.add_argument("--json", action="store_true", help="print one JSON document")
    p.add_argument("--hidden", action="store_true", help="let pages sit in LRU batches, which hold hidden references")
    p.add_argument("--live", action="store_true", help="really run the schedules, on the kernel of this machine")
    p.add_argument("--list", action="store_true", help="list the catalogue, and stop")
    p.set_defaults(run=_run_litmus, parser=p)


def _run_litmus(args) -> int:
    from . import litmus
    from .mm import KERNELS

    if args.list:
        for name in litmus.catalogue():
            print(f"{name:<44} {litmus.load(name).description.partition('. ')[0].rstrip('.')}.")
        return 0
    if not args.files:
        args.parser.error("no test; give a .litmus file or a name from `cowlab litmus --list`")
    if args.live:
        if args.kernel or args.hidden:
            args.parser.error("--live runs on this machine's kernel, with hidden references: no --kernel, no --hidden")
        from .live.commands import run_litmus

        return run_litmus(args.files, args.schedule, args.json)
    kernels = list(dict.fromkeys(args.kernel or KERNELS.values()))
    verdicts, status = [], 0
    for file in progress(args.files, len(args.files), "judging"):
        try:
            test = litmus.load(file)
            verdicts += [litmus.judge(test, k, args.schedule, args.hidden) for k in kernels]
        except litmus.LitmusError as e:
            e.file = e.file or str(file)
            print(e, file=sys.stderr)
            status = 2
            continue
    if args.json:
        if verdicts or not status:
            print(json.dumps([v.as_json() for v in verdicts], indent=1))
        return status
    blocks = []
    for v in verdicts:
        block = _painted(str(v))
        if args.schedule is not None:
            block = "\n".join([*_steps(v.finals[0].trace), block])
        blocks.append(block)
    if blocks:
        print("\n\n".join(blocks))
    return status


def _painted(verdict: str) -> str:
    """The text of a verdict; on a terminal with its last two lines, which say the verdict, in colour."""
    if not colours():
        return verdict
    *finals, ok, observation = verdict.splitlines()
    return "\n".join([*finals, paint(ok, "good" if ok.startswith("Ok") else "bad"), paint(observation, "bold")])


def _steps(trace) -> list[str]:
    """The one execution, step by step, each with its reasons."""
    lines = [f"Trace on {trace.kernel.name}"]
    for n, m in enumerate(trace.moments[1:], 1):
        lines.append(f"{n:>4}  {m.action}" + (f"  [{m.result}]" if m.result is not None else ""))
        lines += [f"        {why}" for why in m.why]
    return lines


def _replay(commands) -> None:
    p = commands.add_parser(
        "replay",
        help="replay what real kernels did on the model",
        description="Replay recorded executions of real kernels on the model and compare. "
        "Exit status: 0 all agree, 1 a mismatch, 2 a malformed line.",
    )
    p.add_argument(
        "files", nargs="*", metavar="FILE.jsonl", help="observation files (default: those that ship with cowlab)"
    )
    p.add_argument(
        "--kernel", action="append", type=_kernel_name, metavar="NAME", help="a release or a kernel of the catalogue"
    )
    p.add_argument("--json", action="store_true", help="print one JSON document")
    p.set_defaults(run=_run_replay)


def _run_replay(args) -> int:
    from .litmus.replay import replay, shipped

    files = args.files or shipped()
    report = replay(files, args.kernel or (), _watched(files))
    print(json.dumps(report.as_json(), indent=1) if args.json else report)
    return 1 if report.mismatches else 0


def _watched(files):
    """A progress bar over the lines of the files; without a total where they cannot be counted, as of a pipe."""
    from pathlib import Path

    paths = [Path(f) for f in files]
    lines = sum(p.read_bytes().count(b"\n") for p in paths) if all(p.is_file() for p in paths) else None
    return lambda each: progress(each, lines, "replaying")


def _diff(commands) -> None:
    p = commands.add_parser(
        "diff",
        help="what sets two kernels apart",
        description="Print the rules in which two kernels differ, the kernel functions and commits behind them, "
        "and the verdicts of the catalogue that flip.",
        epilog="example: cowlab diff v5.7 v5.8",
    )
    p.add_argument("a", type=_kernel, metavar="A", help="a kernel or a release")
    p.add_argument("b", type=_kernel, metavar="B", help="another")
    p.add_argument("--json", action="store_true", help="print one JSON document")
    p.set_defaults(run=_run_diff)


def _run_diff(args) -> int:
    from . import litmus
    from .litmus.diff import diff

    found = diff(args.a, args.b, map(litmus.load, litmus.catalogue()))
    print(json.dumps(found.as_json(), indent=1) if args.json else found)
    return 0


def _conformance(commands) -> None:
    p = commands.add_parser(
        "conformance",
        help="how far the model was judged by real kernels",
        description="Replay the recorded executions that ship with cowlab, and count by kernel and kind of memory. "
        "Exit status: 0 all agree, 1 a mismatch.",
    )
    form = p.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument("--markdown", action="store_true", help="print the tables as they stand in the README")
    p.set_defaults(run=_run_conformance)


def _run_conformance(args) -> int:
    from .litmus.conformance import conformance
    from .litmus.replay import shipped

    found = conformance(watch=_watched(shipped()))
    if args.markdown:
        print(found.markdown())
    else:
        from .live.commands import conformance_note, say

        live = conformance_note()
        print(json.dumps(found.as_json() | {"live": live}, indent=1) if args.json else f"{found}\n\n{say(live)}")
    return 1 if any(wrong for _, wrong in found.cells.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
