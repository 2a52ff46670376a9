"""`cowlab probe`, `cowlab fuzz` and `cowlab litmus --live`: parse, call, print."""

import argparse
import json
import sys
from pathlib import Path

from .. import terminal
from ..terminal import progress, waiting

__all__ = ["add_parser", "conformance_note", "run_litmus", "say"]

SAMPLE = 50  # schedules of a test that has more


def add_parser(commands) -> None:
    """Describe `cowlab probe` and `cowlab fuzz` to argparse."""
    p = commands.add_parser(
        "probe",
        help="which generation does this kernel show?",
        description="What this machine is, which generation of rules its kernel shows (by experiment, not by its "
        "version string), what it will not let us see, and what the lessons do instead. Needs no root.",
    )
    p.add_argument("--json", action="store_true", help="print one JSON document")
    p.set_defaults(run=_run_probe)

    p = commands.add_parser(
        "fuzz",
        help="random schedules, this kernel against the model",
        description="Run random schedules on the live kernel and on the model, and compare values, frames and pagemap "
        "bits. A disagreement is shrunk to the shortest and written as a line that `cowlab replay` reads. "
        "Exit status: 0 none, 1 some, 2 bad input or no live kernel.",
        epilog="example: cowlab fuzz --minutes 5 -o fuzz.jsonl",
    )
    p.add_argument("--minutes", type=_minutes, default=1.0, metavar="N", help="how long (default: 1)")
    p.add_argument("--seed", type=int, metavar="N", help="the first round's (default: 0, or where the file left off)")
    p.add_argument(
        "-o", dest="file", type=Path, metavar="FILE.jsonl", help="append disagreements; an existing file is resumed"
    )
    p.add_argument("--json", action="store_true", help="print one JSON document")
    p.set_defaults(run=_run_fuzz)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes; more than 0, such as 5 or 0.5")
    return minutes


def _run_probe(args) -> int:
    from . import probe

    with waiting("asking the kernel"):
        found = probe()
    print(json.dumps(found.as_json(), indent=1) if args.json else found)
    return 0


def _run_fuzz(args) -> int:
    from ..litmus import LitmusError
    from .fuzz import fuzz
    from .session import Unreachable

    try:
        report = fuzz(args.minutes, args.seed, args.file)
    except Unreachable as e:
        raise LitmusError(f"fuzz: the live kernel is out of reach: {e}") from None
    except OSError as e:
        raise LitmusError(f"fuzz: {args.file}: {e.strerror}", "name a file that can be written") from None
    print(json.dumps(report.as_json(), indent=1) if args.json else report)
    return 1 if report.disagreements else 0


def run_litmus(files: list[str], schedule: str | None, as_json: bool) -> int:
    """`cowlab litmus --live`: exit status 0, 1 (a model violation, or no live kernel) or 2 (bad input)."""
    from ..litmus import LitmusError, load
    from .tally import run

    tallies, status = [], 0
    for file in progress(files, len(files), "running"):
        try:
            tallies.append(run(load(file), schedule))
        except LitmusError as e:
            e.file = e.file or str(file)
            terminal.say(e, sys.stderr)
            status = 2
    if as_json:
        if tallies or not status:
            print(json.dumps([t.as_json() for t in tallies], indent=1))
    elif tallies:
        print("\n\n".join(map(str, tallies)))
    return status or int(any(t.violations or not t.reachable for t in tallies))


def conformance_note() -> dict:
    """The catalogue on the live kernel: {"release", "kernel", "passed", "violated": [test], "refused": {reason: n}}, or
    {"release", "reason"} where it is out of reach."""
    from ..litmus import LitmusError, catalogue, load
    from .reach import machine
    from .tally import run

    passed, violated, refused, row = 0, [], {}, ""
    for name in progress(catalogue(), len(catalogue()), "running"):
        try:
            tally = run(load(name), limit=SAMPLE)
        except LitmusError as e:
            reason = e.what.partition(": ")[2].partition("; ")[0]
            refused[reason] = refused.get(reason, 0) + 1
            continue
        if not tally.reachable:
            return {"release": machine()["release"], "reason": tally.reason}
        row = tally.kernel.name
        if tally.violations:
            violated.append(name)
        elif tally.finals:
            passed += 1
        else:
            reason = next(iter(tally.spoiled), "no run could be judged")
            refused[reason] = refused.get(reason, 0) + 1
    return {"release": machine()["release"], "kernel": row, "passed": passed, "violated": violated, "refused": refused}


def say(note: dict) -> str:
    """The same in words."""
    if "reason" in note:
        return f"Live, Linux {note['release']}: out of reach: {note['reason']}."
    n, bad, left = note["passed"], note["violated"], sum(note["refused"].values())
    lines = [f"Live, Linux {note['release']} as {note['kernel']}: {n + len(bad)} tests of the catalogue were run, "
             f"{n} passed, {len(bad)} violated the model; {left} cannot be run here."]  # fmt: skip
    lines += [f"Violated: {', '.join(bad)}."] if bad else []
    return "\n".join([*lines, *(f"Not run, because {why}: {count}." for why, count in note["refused"].items())])
