"""Run cells in a process that can do no harm, and take plain data out. The outside of :mod:`.launch`.

What comes out may be forged in any way that the cells like; all that it can say is what their answers are.
"""

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..litmus.errors import LitmusError
from .plain import NotPlain, loads

__all__ = ["LADDER", "Cell", "Limits", "Outcome", "run_cells", "run_program"]

LADDER = ("namespaces", "landlock", "limits")  # from strict to lenient; the first that can be had is taken
OUTPUT = 8 << 20  # bytes that a run may say, all in all
LINE = 2 << 20  # and in one line
PATIENCE = 10.0  # seconds to start in, and to end in, beyond the cells' own
LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Cell:
    """``source`` to run, then ``call``, an expression whose value is the answer; ``given`` are names to set before."""

    id: str
    source: str
    call: str = ""
    given: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """``seconds`` of wall time for each cell; ``megabytes`` of address space; ``isolation``: the least that will do."""

    seconds: float = 10.0
    megabytes: int = 1024
    isolation: str = "limits"
    only: str = ""  # for tests: this rung of the ladder and no other
    python: str = sys.executable

    @property
    def ladder(self) -> list[str]:
        return [self.only] if self.only else list(LADDER[: LADDER.index(self.isolation) + 1])


@dataclass
class Outcome:
    """``values`` of the cells that gave one, ``problems`` of those that did not, and what isolation was in force."""

    values: dict
    problems: dict[str, str]
    isolation: str = ""


def run_cells(cells: Sequence[Cell], limits: Limits) -> Outcome:
    """Run the cells in order in one process. If a cell kills it or overstays, it is left out and the rest is run
    again in a new one: each cell costs what it costs, and no other.

    Raises LitmusError if the isolation that is asked for is not to be had."""
    outcome, left = Outcome({}, {}), list(cells)
    while left:
        fatal = _once(left, limits, outcome)
        if fatal is None:
            break
        left = [c for c in left if c.id != fatal]
        if all(c.id in outcome.values or c.id in outcome.problems for c in left):
            break
    for cell in cells:
        if cell.id not in outcome.values:
            outcome.problems.setdefault(cell.id, "gave no answer")
    return outcome


def _once(cells: list[Cell], limits: Limits, outcome: Outcome) -> str | None:
    """One process. The id of the cell that it did not survive, or None."""
    known, running, ended = {c.id for c in cells}, None, False
    total = limits.seconds * len(cells) + PATIENCE
    job = {"cells": [vars(c) for c in cells], "argv": None, "seconds": total, "megabytes": limits.megabytes}
    with _process(job, limits) as process:
        started: set[str] = set()
        for line in _lines(process, total):
            try:
                event = loads(line)
                if type(event) is not dict:
                    raise NotPlain("no event")
                id = event.get("id")
            except NotPlain:
                continue  # somebody else's words
            if not outcome.isolation and type(event.get("isolation")) is str:
                outcome.isolation = event["isolation"]
            elif event.get("start") in known and event["start"] not in started:
                running = event["start"]
                started.add(running)
                process.deadline = time.monotonic() + limits.seconds
            elif type(id) is str and id in known and id not in outcome.values and id not in outcome.problems:
                if type(event.get("error")) is str:
                    outcome.problems[id] = event["error"][:400]
                elif "value" in event:
                    outcome.values[id] = event["value"]
            elif event.get("end") is True:
                ended = True
                break
        told = process.finish()
    if not outcome.isolation:
        cannot = [e["cannot"] for e in told if "cannot" in e]
        raise LitmusError("; ".join(cannot) or "the isolated process did not start", _remedy(limits))
    if ended:
        return None
    running = running or cells[0].id
    code = next((e["ended"] for e in told if "ended" in e), None)
    outcome.values.pop(running, None)
    outcome.problems[running] = process.verdict or _how(code)
    return running


def _remedy(limits: Limits) -> str:
    rest = LADDER[LADDER.index(limits.isolation) + 1 :]
    return f"isolation by {rest[0]} would be next; run without --require-isolation to take it" if rest else ""


def _how(code: int | None) -> str:
    """In words, how the process ended before its answers were out."""
    number = None if code is None else -code if code < 0 else code - 128 if code > 128 else None
    if number is not None and number in set(signal.Signals):
        return f"its process was killed ({signal.Signals(number).name}) before the answer was out"
    return "its process ended before the answer was out" + ("" if code is None else f" (exit status {code})")


class _Process:
    """The keeper. ``deadline``: by then the cell that runs must be done. ``verdict``: why it was stopped."""

    def __init__(self, popen: subprocess.Popen, scratch: str):
        self.popen, self.scratch, self.verdict = popen, scratch, ""
        self.deadline = time.monotonic() + PATIENCE

    def finish(self) -> list[dict]:
        """Let the keeper clear up; what it said on standard error."""
        with contextlib.suppress(OSError):
            self.popen.stdin.close()
        try:
            said = self.popen.stderr.read(100_000) if self._ends() else b""
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()
        events = []
        for line in said.splitlines():
            with contextlib.suppress(ValueError):
                events.append(json.loads(line))
        return [e for e in events if isinstance(e, dict)]

    def _ends(self) -> bool:
        try:
            self.popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return False
        return True


@contextlib.contextmanager
def _process(job: dict, limits: Limits, env: dict[str, str] | None = None, files: dict[str, str] | None = None):
    """Start the keeper in a scratch directory with a clean environment; afterwards nothing of either is left."""
    scratch = tempfile.mkdtemp(prefix="cowlab-")
    popen = None
    try:
        for name, text in (files or {}).items():
            Path(scratch, name).write_text(text, "utf-8")
        popen = subprocess.Popen(
            [limits.python, "-I", "-B", str(LAUNCH)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=scratch,
            env=environment(scratch) | (env or {}), close_fds=True, start_new_session=True,
        )  # fmt: skip
        job = job | {"scratch": scratch, "ladder": limits.ladder, "parent": os.getpid()}
        with contextlib.suppress(BrokenPipeError):
            popen.stdin.write(json.dumps(job).encode() + b"\n")
            popen.stdin.flush()
        yield _Process(popen, scratch)
    finally:
        if popen is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(popen.pid, signal.SIGKILL)
            popen.wait()
            for pipe in (popen.stdin, popen.stdout, popen.stderr):
                with contextlib.suppress(OSError):
                    pipe.close()
        remove(scratch)


def environment(scratch: str) -> dict[str, str]:
    """All that a process of ours needs, and nothing that is the user's."""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {"PATH": os.defpath, "HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8", **threads}


def remove(folder: str) -> None:
    """Whatever is in it: unreadable directories, a thousand levels, odd names. No link is followed."""

    def open_up(function, path, _error):
        with contextlib.suppress(OSError):
            os.chmod(os.path.dirname(path), 0o700)
            if not os.path.islink(path):
                os.chmod(path, 0o700)

    for _ in range(3):
        with contextlib.suppress(RecursionError, OSError):
            shutil.rmtree(folder, onerror=open_up)
        if not os.path.lexists(folder):
            return
    subprocess.run(["rm", "-rf", "--", folder], stdin=subprocess.DEVNULL, capture_output=True, check=False)


def _lines(process: _Process, total: float):
    """Lines of standard output until it ends, or too much time (in all, or by ``process.deadline``) or text has gone
    by; then ``process.verdict`` says so."""
    stream, buffer, size, last = process.popen.stdout, b"", 0, time.monotonic() + total
    os.set_blocking(stream.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while (left := min(process.deadline, last) - time.monotonic()) > 0:
            if not selector.select(left):
                continue
            chunk = stream.read(1 << 16)
            if not chunk:
                return
            size += len(chunk)
            if size > OUTPUT:
                process.verdict = f"was stopped: it sent more than {OUTPUT >> 20} MB"
                return
            *lines, buffer = (buffer + chunk).split(b"\n")
            yield from (line for line in lines if len(line) <= LINE)
        process.verdict = "was stopped: it took too long"


def run_program(argv: Sequence[str], limits: Limits, env: dict[str, str], files: dict[str, str], wanted: str):
    """Run a program of ours over files in a scratch directory, with limits and no isolation, and kill all that it has
    started. The text of the file ``wanted`` if it wrote one in time, else None."""
    job = {"argv": list(argv), "seconds": limits.seconds * 4, "megabytes": limits.megabytes}
    with _process(job, replace(limits, only="limits"), env, files) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.popen.wait(limits.seconds)
        process.finish()
        path = Path(process.scratch, wanted)
        return path.read_text("utf-8", "replace") if path.is_file() else None
