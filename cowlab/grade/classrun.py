"""`cowlab grade`, from paths to reports: who is graded here or elsewhere, what is shown meanwhile, what is written."""

import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..litmus.errors import LitmusError
from ..terminal import DELAY, progress
from .classroom import roster, seed_of, student_of
from .journal import contents
from .marking import line
from .overview import as_overview
from .report import as_csv, as_text, write_html
from .run import Stop, Work, locally, run_class

__all__ = ["grade_class"]

RETURN = ("timestamp.txt", "submission_secret.txt")  # `nbgrader release_feedback` wants them beside a page
LETTERS = 1000  # that they can have


def grade_class(args, paths: list[str], work: Work) -> int:
    """Grade all of them, and write what the command line asks for. The exit status."""
    ids = roster(args.students) if args.students else None
    whose = {path: student_of(path, ids) for path in paths} if ids else {}

    def seed(path: str) -> int | None:
        return args.seed if ids is None else seed_of(whose[path]) if whose[path] else None

    results, before = _graded(args, paths, work, seed)
    if len(results) < len(paths):
        kept = f", and are in {_journal(args)}" if _journal(args) else "; with --journal FILE they would have been kept"
        text = f"cowlab: interrupted: {len(results)} of {len(paths)} are graded{kept}. The same command again goes on."
        print(text, file=sys.stderr)
        return 130
    found = [results[p] | ({"student": whose[p]} if ids else {}) for p in paths]
    missing = [id for id in ids or () if id not in whose.values()]
    _write(args, paths, found, missing, work)
    if not args.json and before:
        print(f"\n{before} of {len(paths)} were graded before: {_journal(args)}")
    return 0


def _graded(args, paths, work: Work, seed) -> tuple[dict[str, dict[str, Any]], int]:
    """The result of each path that was graded before Ctrl-C, and how many of them stood in the journal."""
    found, before, bars, begun = {}, 0, [], time.monotonic()

    def watch(each, total, done):
        bars.append(progress(each, total, "grading", done))
        return bars[0]

    def tell(now: list[str]) -> None:
        if bars and hasattr(bars[0], "set_postfix_str") and time.monotonic() > begun + DELAY:
            bars[0].set_postfix_str(line(", ".join(Path(p).stem for p in now), 40))

    with ExitStack() as stack:
        stop = stack.enter_context(Stop())
        if args.scheduler is not None:
            from .cluster import connected, on_cluster

            graders = on_cluster(stack.enter_context(connected(args.scheduler)), work, seed, stop, tell)
        else:
            graders = locally(lambda path: work.grade(path, seed(path)), args.jobs or 1, stop, tell)
        for path, result, kept in run_class(paths, lambda p: work.key(p, seed(p)), graders, _journal(args), watch):
            found[path] = result
            before += kept
    return found, before


def _journal(args) -> Path | None:
    """Where results are kept: where one says, or beside the table, if that is a file."""
    if args.journal or not args.csv:
        return args.journal
    ordinary = not args.csv.is_symlink() and (args.csv.is_file() or not args.csv.exists())
    return args.csv.with_suffix(".journal") if ordinary else None


def _write(args, paths, results, missing, work: Work) -> None:
    try:
        if args.csv:
            args.csv.write_text(as_csv(results), "utf-8")
        if args.html:
            _write_pages(args.html, args.paths, paths, results, missing, work)
    except OSError as e:
        raise LitmusError(f"{e.filename}: cannot be written ({e.strerror})", "write the report elsewhere") from None
    if args.json:
        print(json.dumps(results, indent=1))
    elif args.html:
        refused = sum(bool(r["problem"]) for r in results)
        print(f"submissions: {len(results)}, of which could not be graded: {refused}; see {args.html / 'index.html'}")
    else:
        print(as_text(results))


def _write_pages(folder: Path, words, paths, results, missing, work: Work) -> None:
    """The class report, and a page for each submission where it stands below what all of them have in common."""
    folders = [w if os.path.isdir(w) and not os.path.islink(w.rstrip("/")) else os.path.dirname(w) for w in words]
    top = os.path.commonpath([os.path.abspath(f) for f in folders])
    pages = write_html(results, folder, [os.path.relpath(p, top) for p in paths])
    for path, page in zip(paths, pages, strict=True):
        for name in RETURN:
            if text := contents(Path(path).with_name(name)):
                page.with_name(name).write_bytes(text[:LETTERS])
    from .. import __version__

    about = [
        f"Each answer had {work.limits.seconds:g} seconds and {work.limits.megabytes} MB of address space.",
        f"Graded by cowlab {__version__}.",
    ]
    text = as_overview(results, [p.relative_to(folder).as_posix() for p in pages], missing, about)
    (folder / "index.html").write_text(text, "utf-8")
