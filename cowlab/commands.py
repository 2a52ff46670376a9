"""`cowlab litmus`, `replay`, `diff` and `conformance`: parse, call, print."""

import argparse
import json
import sys

from .terminal import colours, paint, progress, say

__all__ = ["add_parser"]


def add_parser(commands) -> None:
    """Describe the four commands to argparse."""
    _litmus(commands)
    _replay(commands)
    _diff(commands)
    _conformance(commands)


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
            verdicts += [
                litmus.judge(test, k, args.schedule, args.hidden) for k in progress(kernels, len(kernels), test.name)
            ]
        except litmus.LitmusError as e:
            e.file = e.file or str(file)
            say(e, sys.stderr)
            status = 2
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

    names = litmus.catalogue()
    found = diff(args.a, args.b, progress(map(litmus.load, names), len(names), "judging"))
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
