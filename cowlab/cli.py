"""The command line: parse, call, print. Exit status 0, 1 (a mismatch) or 2 (bad input, in one message)."""

import argparse
import json
import sys

from .litmus.errors import LitmusError, nearest

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns the exit status; bad input prints one message on stderr."""
    parser = _Parser(prog="cowlab", description="Copy-on-write and get_user_pages(), for several kernels.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _litmus(commands)
    _replay(commands)
    _diff(commands)
    _conformance(commands)
    from . import lab

    lab.add_parser(commands)
    args = parser.parse_args(argv)
    try:
        return args.run(args)
    except LitmusError as e:
        print(f"cowlab: {e}" if not e.line else e, file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader (head, less) has gone
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("cowlab: interrupted", file=sys.stderr)
        return 130


class _Parser(argparse.ArgumentParser):
    """argparse with one message instead of a usage dump, and the nearest word."""

    def error(self, message: str):
        if "invalid choice: " in message:
            word = message.split("invalid choice: ")[1].split("'")[1]
            words = [w.strip(" '()") for w in message.split("choose from")[-1].split(",")]
            message = f"unknown command {word!r}; {nearest(word, words) or 'choose one of'} {', '.join(words)}"
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


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
    kernels = list(dict.fromkeys(args.kernel or KERNELS.values()))
    verdicts, status = [], 0
    for file in args.files:
        try:
            test = litmus.load(file)
            verdicts += [litmus.judge(test, k, args.schedule, args.hidden) for k in kernels]
        except LitmusError as e:
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
        block = str(v)
        if args.schedule is not None:
            block = "\n".join([*_steps(v.finals[0].trace), block])
        blocks.append(block)
    if blocks:
        print("\n\n".join(blocks))
    return status


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

    report = replay(args.files or shipped(), args.kernel or ())
    print(json.dumps(report.as_json(), indent=1) if args.json else report)
    return 1 if report.mismatches else 0


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

    found = conformance()
    print(json.dumps(found.as_json(), indent=1) if args.json else found.markdown() if args.markdown else found)
    return 1 if any(wrong for _, wrong in found.cells.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
