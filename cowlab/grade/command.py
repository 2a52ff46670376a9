"""`cowlab grade` and `cowlab release`: parse, call, print."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ..litmus.errors import LitmusError

__all__ = ["add_parser"]

LADDER = ("limits", "landlock", "namespaces")


def add_parser(commands) -> None:
    """Describe both commands to argparse."""
    p = commands.add_parser(
        "grade",
        help="grade submissions of exercises",
        description="Grade submissions: run each answer in isolation, take plain data out, judge it, validate by "
        "nbval. A folder stands for all notebooks in it. Exit status: 0 all graded (or a self-test passed), 1 a "
        "self-test failed, 2 bad usage.",
        epilog="example: cowlab grade submissions/ --csv marks.csv --html reports/",
    )
    p.add_argument("paths", nargs="+", metavar="PATH", help="a submission, or a folder of them")
    p.add_argument("--exercise", action="append", metavar="FILE", help="grade against this exercise, or its source "
                   "(default: the exercises of cowlab, by name)")  # fmt: skip
    p.add_argument("--json", action="store_true", help="print one JSON document")
    p.add_argument("--csv", type=Path, metavar="F", help="write a table of points, and of misconceptions")
    p.add_argument("--html", type=Path, metavar="DIR", help="write a class report, index.html, and a page for each "
                   "submission, in folders like those of the submissions")  # fmt: skip
    p.add_argument("--time", type=_seconds, default=10.0, metavar="S", help="seconds for each answer (default: 10)")
    p.add_argument("--memory", type=_megabytes, default=1024, metavar="MB", help="of address space (default: 1024)")
    p.add_argument("--require-isolation", choices=LADDER, default="limits", metavar="KIND",
                   help="grade only with this isolation or a stricter one: limits, landlock, namespaces")  # fmt: skip
    p.add_argument("--no-nbval", dest="nbval", action="store_false", help="take the rubric's word, start no kernel")
    p.add_argument("--jobs", type=_count, metavar="N", help="submissions at a time (default: 1)")
    p.add_argument("--scheduler", metavar="ADDRESS", help="have the workers of this Dask scheduler do it")
    p.add_argument("--journal", type=Path, metavar="F", help="keep results in this file as they come; a run that was "
                   "broken off goes on from there, and what has not changed is not graded again (default: beside the "
                   "table of --csv, with the ending .journal)")  # fmt: skip
    p.add_argument("--seed", type=_count0, default=0, metavar="N", help="they were handed out with this seed")
    p.add_argument("--students", type=Path, metavar="CSV", help="they were handed out by this roster: a submission is "
                   "in a folder with its student's id, or its name ends in -ID")  # fmt: skip
    p.add_argument("--self-test", action="store_true", help="PATH is a source with solutions: do its reference, an "
                   "empty answer and its known answers earn what its author says?")  # fmt: skip
    p.set_defaults(run=run_grade)

    p = commands.add_parser(
        "release",
        help="make the learners' form of an exercise",
        description="Make the learners' form of exercises out of their sources with solutions.",
        epilog="example: cowlab release tests/solutions/05-either-way.ipynb --to exercises",
    )
    p.add_argument("sources", nargs="+", type=Path, metavar="SOURCE", help="a notebook with solutions")
    p.add_argument("--to", type=Path, default=Path("exercises"), metavar="DIR", help="where to (default: exercises)")
    p.add_argument("--seed", type=_count0, default=0, metavar="N", help="with other problems, equally hard")
    p.add_argument("--students", type=Path, metavar="CSV", help="a folder for each id in the first column of this "
                   "file (it has a heading), with problems of the student's own")  # fmt: skip
    p.set_defaults(run=run_release)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; give seconds, from 0.1 to 3600")
    return value


def _count0(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) >= 1 << 31:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; give a whole number, 0 or more")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of jobs; give 1 to 256")
    return int(text)


def _megabytes(text: str) -> int:
    if not text.isdigit() or not 256 <= int(text) <= 1 << 20:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of memory; give megabytes, 256 or more")
    return int(text)


def run_grade(args) -> int:
    if not sys.platform.startswith("linux"):  # and some of what follows cannot even be loaded
        raise LitmusError("cowlab grade needs Linux", "grade in a container, or on another machine")
    from .box import Limits
    from .notebook import exercise, exercises
    from .run import Work
    from .validate import require

    limits = Limits(args.time, args.memory, args.require_isolation)
    by = require() if args.nbval else ""
    if args.self_test:
        return _self_test(args, limits)
    loaded = [exercise(p) for p in args.exercise or exercises().values()]
    if not loaded:
        raise LitmusError("no exercise to grade against", "give one with --exercise FILE")
    if args.jobs and args.scheduler is not None:
        raise LitmusError("--jobs and --scheduler exclude each other", "a cluster does as many as its workers can")
    for what, file in (("the table", args.csv), ("the journal", args.journal)):
        if file and not file.absolute().parent.is_dir():
            raise LitmusError(f"{file.parent} is no folder", f"make it first, or write {what} elsewhere")
    from .classrun import grade_class

    paths = list(dict.fromkeys(p for word in args.paths for p in submissions(word)))
    return grade_class(args, paths, Work({e.name: e for e in loaded}, limits, by))


def submissions(word: str) -> Iterator[str]:
    """A file stands for itself, a folder for all notebooks in it, in order; no link is followed."""
    if not os.path.lexists(word):
        raise LitmusError(f"{word}: no such file or folder", "give a submission, or a folder of them")
    if not os.path.isdir(word) or os.path.islink(word.rstrip("/")):
        yield word
        return
    unreadable = []
    for folder, below, names in os.walk(word, onerror=lambda e: unreadable.append(e.filename)):
        below[:] = sorted(d for d in below if not d.startswith("."))
        yield from (os.path.join(folder, n) for n in sorted(names) if n.endswith(".ipynb") and not n.startswith("."))
    yield from unreadable  # each is refused, and so in the report


def _self_test(args, limits) -> int:
    from .difficulty import measured
    from .release import self_test

    status, found = 0, {}
    for path in args.paths:
        rows = found[path] = self_test(Path(path), limits, args.nbval)
        bad = [r for r in rows if r["wrong"]]
        status = status or int(bool(bad))
        if not args.json:
            print(f"{path}: {len(rows) - len(bad)} of {len(rows)} known answers earn what they should")
            for r in rows:
                wrong = f"  WRONG: {r['wrong']}" if r["wrong"] else ""
                print(f"  {r['question']}  {r['earned']:<5g} {r['name']}{wrong}")
            for question, hard in measured(Path(path)).items():
                print(f"  {question}  difficulty: {hard or 'not measured (its metadata does not say how)'}")
    if args.json:
        print(json.dumps(found, indent=1))
    return status


def run_release(args) -> int:
    from .classroom import hand_out, roster, seed_of
    from .release import release

    folders = {args.to: args.seed}
    if args.students:
        if args.seed:
            raise LitmusError("--seed and --students exclude each other", "a student's seed is made of the id")
        if not args.to.is_dir():
            raise LitmusError(f"{args.to} is no folder", "make it first, or give another one with --to")
        folders = {args.to / id: seed_of(id) for id in roster(args.students)}
    for folder, seed in folders.items():
        if args.students:
            folder.mkdir(exist_ok=True)
        for path in args.sources:
            form = release(path, folder)
            if seed:
                hand_out(form, seed)
            print(form)
    return 0
