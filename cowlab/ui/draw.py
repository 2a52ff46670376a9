"""``cowlab draw``: a picture into a file. What is drawn follows from the options, how from the ending of the name."""

import argparse

from ..litmus.errors import LitmusError
from ..terminal import waiting

__all__ = ["WHAT", "add_parser", "drawing"]

WHAT = {
    "state": "the machine at one moment",
    "executions": "all executions as one graph",
    "deciding": "the same, folded to the steps that decide",
    "sharing": "who shares what at one moment",
    "path": "one step inside the kernel, on every --kernel",
    "family": "who forks whom",
    "compare": "one schedule on two or more kernels (.txt, .html)",
}


def add_parser(commands) -> None:
    p = commands.add_parser(
        "draw",
        help="draw a state, an execution or all executions into a file",
        description="Draw a test into a file: .svg, .png (where something here can), .dot or .txt. With --schedule "
        "one moment of that execution (.txt without --step: all of it); without it all executions as one graph.",
        epilog='example: cowlab draw child-reads-parent-secret --kernel v5.7 --schedule "P C C P" -o leak.svg',
    )
    p.add_argument("test", metavar="TEST", help="a .litmus file, or the name of a test in the catalogue")
    p.add_argument("--kernel", action="append", type=_row, metavar="NAME", help="default v5.7; path, compare: several")
    p.add_argument("--schedule", metavar='"P P C C"', help="one execution: whose step comes next")
    p.add_argument("--step", type=int, metavar="N", help="the moment after N steps; 0 is the start (default: the end)")
    p.add_argument("--what", choices=WHAT, help="; ".join(f"{name}: {said}" for name, said in WHAT.items()))
    p.add_argument("-o", "--output", required=True, metavar="FILE", help="where to: FILE.svg, .png, .dot, .txt")
    p.set_defaults(run=_run)


def _row(name: str):
    from ..mm import kernel

    try:
        return kernel(name)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from None


def _run(args) -> int:
    from ..litmus import load

    test = load(args.test)
    with waiting("drawing"):
        drawn = drawing(test, args.kernel or [_row("v5.7")], args.what, args.schedule, args.step)
    try:
        with waiting("drawing"):
            written = drawn.save(args.output)
        print(written)
    except OSError as e:
        raise LitmusError(f"cannot write {args.output}: {e.strerror}", "give a place where a file can be") from None
    except ValueError as e:
        raise LitmusError(str(e)) from None
    return 0


def drawing(test, kernels, what: str | None = None, schedule: str | None = None, step: int | None = None):
    """What ``cowlab draw`` saves: something with ``save(path)``. Raises LitmusError where an option is missing, or a
    step that there is not, is asked for."""
    from ..litmus import judge, run

    what = what or ("executions" if schedule is None else "state")
    if what not in WHAT:
        raise LitmusError(f"unknown drawing {what!r}", legal=WHAT)
    if what in ("state", "sharing", "path", "compare") and schedule is None:
        raise LitmusError(f"{what} is about one execution", 'say which, such as --schedule "P C C P"')
    if len(kernels) > 1 and what not in ("path", "compare"):
        raise LitmusError(
            f"{what} is drawn on one kernel, not on {len(kernels)}", "for several: --what path or compare"
        )
    if what == "family":
        from ..view.graphs import family

        return family(test)
    if what in ("executions", "deciding"):
        diagram = judge(test, kernels[0], schedule).diagram()
        return diagram.fold() if what == "deciding" else diagram
    if what == "compare":
        from ..view.compare import compare

        return compare(test, schedule, kernels)
    traces = [run(test, k, schedule) for k in kernels]
    last = min(map(len, traces)) - 1
    if step is not None and not 0 <= step <= last:
        raise LitmusError(f"no step {step}", f"choose 0 (the start) to {last}")
    if what == "path":
        from ..view.path import call_paths

        if not step:
            raise LitmusError("path is about one step", f"say which: --step 1 to --step {last}")
        return call_paths(traces, step)
    if what == "sharing":
        from ..view.graphs import who_shares

        return who_shares(traces[0], last if step is None else step)
    from ..view.bundle import Story, picture

    return Story(traces[0]) if step is None else picture(traces[0], step)
