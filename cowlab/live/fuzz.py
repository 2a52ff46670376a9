"""Differential fuzzing: schedules that Hypothesis makes, run on the live kernel and on the model, and compared.

A disagreement is shrunk to the shortest schedule that still shows it. Hypothesis is not needed for anything else,
so it is imported where it is used; it comes with ``pip install 'cowlab[test]'``.
"""

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..litmus import LitmusError
from ..litmus.parse import parse_init, parse_steps
from ..mm import KERNELS, Kernel
from .compare import AGAIN, Difference, allowed, explained, judge_outcome, passing
from .generation import generation
from .reach import Reach, machine, reach
from .runs import Outcome, Spoiled, execute
from .session import Session, session
from .tally import observation

__all__ = ["Disagreement", "Report", "compare", "fuzz", "programs"]

KINDS = (  # of pages; the first is what they are shrunk to
    "= old", "= old ro", "untouched", "= old shared", "untouched shared", "= old file", "= old file shared",
    "= old file ro", "= old huge", "= old hugepte",
)  # fmt: skip
ROUND = 250  # schedules with one seed: what a resumed file starts again from
PROCESSES, PAGES, LENGTH = ("P", "C", "D"), ("x", "y"), 12
MISSING = "Hypothesis makes the schedules; install it with: pip install 'cowlab[test]'"


class Known(Exception):
    """The model is known to err on this schedule, and why."""


class Passing(Exception):
    """A disagreement that did not come back; it is the argument."""


@dataclass(frozen=True)
class Disagreement:
    """One schedule on which live kernel and model differ: its init, its steps, both sides."""

    init: tuple[str, ...]
    steps: tuple[str, ...]
    live: Outcome
    model: dict[str, Any]
    differences: tuple[Difference, ...]

    def as_json(self, name: str, kernel: str) -> dict[str, Any]:
        """A line that `cowlab replay` reads; ``differences`` and ``model`` are for readers."""
        return observation(name, self.init, self.steps, self.live, kernel) | {
            "model": self.model, "differences": [str(d) for d in self.differences],
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [*self.init, *(f"    {s}" for s in self.steps), *(f"  {d}" for d in self.differences)]
        return "\n".join(lines)


@dataclass
class Report:
    """What a session of fuzzing came to."""

    release: str
    kernel: str
    schedules: int = 0
    seconds: float = 0.0
    spoiled: int = 0
    known: dict[str, int] = field(default_factory=dict)
    seed: int = 0  # of the round that comes next
    earlier: int = 0  # schedules of the sessions that this one resumes
    disagreements: list[Disagreement] = field(default_factory=list)
    passing: list[Disagreement] = field(default_factory=list)  # seen once, and not in the runs after it

    def as_json(self) -> dict[str, Any]:
        return {
            "release": self.release, "kernel": self.kernel, "schedules": self.schedules, "spoiled": self.spoiled,
            "known": self.known, "seconds": round(self.seconds, 1),
            "per_second": round(self.schedules / self.seconds) if self.seconds else 0,
            "next_seed": self.seed, "schedules_before": self.earlier,
            "disagreements": [d.as_json(f"fuzz-{n}", self.kernel) for n, d in enumerate(self.disagreements, 1)],
            "passing": [d.as_json(f"passing-{n}", self.kernel) for n, d in enumerate(self.passing, 1)],
        }  # fmt: skip

    def __str__(self) -> str:
        rate = f"{self.schedules / self.seconds:.0f} a second" if self.seconds else "none"
        lines = [f"Linux {self.release} against {self.kernel}: {self.schedules} schedules, {rate}, "
                 f"{len(self.disagreements)} disagreements"]  # fmt: skip
        lines += [f"{self.earlier} schedules in earlier sessions"] * bool(self.earlier)
        lines += [f"{self.spoiled} runs could not be judged"] * bool(self.spoiled)
        lines += [f"{n} differ as is known of {why}" for why, n in self.known.items()]
        once = [f"Seen once, and not in {AGAIN} more runs of the same schedule:\n{d}" for d in self.passing]
        return "\n".join([*lines, *map(str, self.disagreements), *once, f"Next seed: {self.seed}"])


def compare(
    live: Session, here: Reach, kernel: Kernel, init: Sequence[str], steps: Sequence[str]
) -> Disagreement | None:
    """Run one schedule on both sides; None if the model allows what the live kernel did. Raises Spoiled, Known where
    they differ in a way that is known, and Passing where they differed once and not again."""
    first, pages = parse_init(list(init))
    actions = parse_steps(list(steps), first, pages)
    ways = allowed(kernel, first, pages, actions)
    outcome = execute(live, here, first, pages, actions)
    nearest, found = judge_outcome(outcome, ways)
    if not found:
        return None
    if why := explained(nearest):
        raise Known(why)
    model = {"values": nearest.values, "frames": nearest.frames}
    differs = Disagreement(tuple(init), tuple(steps), outcome, model, tuple(found))
    if passing(lambda: bool(judge_outcome(execute(live, here, first, pages, actions), ways)[1])):
        raise Passing(differs)
    return differs


def programs(here: Reach):
    """A Hypothesis strategy: (init, steps) of schedules that user space can order on this machine.

    Whatever is drawn is a schedule: a word that makes no sense where it stands (a step of a process not yet forked,
    a `put` of nothing) is left out, so that Hypothesis can cut any part away when it shrinks.
    """
    from hypothesis import strategies as st

    kinds = [k for k in KINDS if not {"file", "shared"} & set(k.split()) or "file" not in here.missing]
    kinds = [k for k in kinds if not {"huge", "hugepte"} & set(k.split()) or "huge" not in here.missing]
    ops = ["write", "read", "fork", "munmap", "exit", "vmsplice", "io_uring", "put", "load", "store", "mprotect",
           "dontneed", "dontfork", "process_vm_readv", "ptrace", "odirect", "filewrite", "futex_wait", "clear_refs",
           "pageout", "exec", "reclaim"]  # fmt: skip
    needs = {"dontneed": "", "dontfork": "", "store": "io_uring", "filewrite": "file"}
    ops = [op for op in ops if needs.get(op, op) not in here.missing]
    often = ["write", "fork", "munmap", "vmsplice", "io_uring"]
    ops += [op for op in often if op in ops] * 2
    word = st.tuples(
        st.sampled_from(ops), st.integers(0, len(PROCESSES) - 1), st.integers(0, len(PAGES) - 1), st.integers(0, 3)
    )
    pages = st.lists(st.sampled_from(kinds + ["= old"] * 6), min_size=1, max_size=len(PAGES))
    return st.builds(written, pages, st.lists(word, max_size=LENGTH))


def written(
    kinds: Sequence[str], words: Sequence[tuple[str, int, int, int]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words as text, with what makes no sense left out."""
    init = tuple(f"P: {page} {kind}" for page, kind in zip(PAGES, kinds, strict=False))
    living, steps, refs = ["P"], [], {}  # refs: process -> {name: kind}, those that were not put
    unborn = [p for p in PROCESSES if p != "P"]
    for op, who, which, n in words:
        if not living:
            break
        at = len(steps)  # gives values, references and registers names of their own
        proc, page = living[who % len(living)], PAGES[which % len(init)]
        mine = refs.setdefault(proc, {})
        on = [r for r, kind in mine.items() if kind == "io_uring" or op != "store"]
        if op == "fork":
            if not unborn:
                continue
            child = unborn.pop(0)
            living.append(child)
            text = f"fork {child}"
        elif op in ("put", "load", "store"):
            if not on:
                continue
            ref = on[n % len(on)]
            text = f"{op} {ref}" + (f" v{at}" if op == "store" else f" -> seen{at}" * (op == "load"))
            if op == "put":
                del mine[ref]
        elif op in ("write", "filewrite"):
            text = f"{op} {page} v{at}"
        elif op in ("read", "process_vm_readv", "ptrace", "futex_wait"):
            text = f"{op} {page} -> seen{at}"
        elif op in ("vmsplice", "io_uring", "odirect"):
            text = f"{op} {page} -> r{at}"
            if op == "odirect":
                steps.append(f"{proc}: {text}")
                text = f"put r{at}"
            else:
                mine[f"r{at}"] = op
        elif op == "mprotect":
            text = f"mprotect {page} {('ro', 'rw')[n % 2]}"
        elif op in ("dontneed", "dontfork", "pageout"):
            text = f"madvise {page} {op}"
        elif op == "reclaim":
            if len(init) > 1 or kinds[0] not in ("= old", "untouched"):
                continue  # memory pressure takes every page
            proc, text = "kswapd", f"reclaim {page}"
        elif op == "munmap":
            text = f"munmap {page}"
        else:
            text = op
            if op == "exit":
                living.remove(proc)
        steps.append(f"{proc}: {text}")
    return init, tuple(steps)


def fuzz(
    minutes: float, seed: int | None = None, file: str | Path | None = None,
    most: int | None = None, tick: Callable[[Report], None] | None = None,
) -> Report:  # fmt: skip
    """Fuzz for so long (or ``most`` schedules). Rounds have seeds of their own, one after the other; a round that is
    interrupted is begun again when ``file`` is resumed. Raises LitmusError without Hypothesis, Unreachable."""
    try:
        import hypothesis  # noqa: F401
    except ImportError:
        raise LitmusError("fuzz needs Hypothesis", MISSING) from None
    path = Path(file) if file else None
    before = _resume(path) if path else {"next_seed": 0, "schedules": 0}
    with session() as live:
        here, kernel = reach(live), generation(live) or list(KERNELS.values())[-1]
        first = before["next_seed"] if seed is None else seed
        report = Report(machine()["release"], kernel.name, seed=first, earlier=before["schedules"])
        started, end = time.monotonic(), time.monotonic() + 60 * minutes
        bar = _bar(minutes)
        try:
            while time.monotonic() < end and (most is None or report.schedules < most):
                size = ROUND if most is None else min(ROUND, most - report.schedules)
                found = _round(live, here, kernel, report, size, end, lambda: _tick(bar, started, report, tick))
                report.seed += 1
                if found:
                    report.disagreements.append(found)
                report.seconds = time.monotonic() - started
                if path:
                    _save(path, report, found)
        except KeyboardInterrupt:  # what was found so far is worth a report
            pass
        finally:
            report.seconds = time.monotonic() - started
            if bar is not None:
                bar.close()
    return report


def _round(live, here, kernel, report: Report, size: int, end: float, tick) -> Disagreement | None:
    """One seed's schedules; the first disagreement, shrunk."""
    import hypothesis
    from hypothesis import HealthCheck, Phase, given, settings

    shortest: list[Disagreement] = []

    @hypothesis.seed(report.seed)
    @settings(
        max_examples=size, database=None, deadline=None, derandomize=False, print_blob=False,
        suppress_health_check=list(HealthCheck), verbosity=hypothesis.Verbosity.quiet,
        phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(programs(here))
    def check(program):
        if time.monotonic() > end and not shortest:
            return
        try:
            found = compare(live, here, kernel, *program)
        except Spoiled:
            report.spoiled += 1
            return
        except Known as e:
            report.known[str(e)] = report.known.get(str(e), 0) + 1
            found = None
        except Passing as e:
            report.passing.append(e.args[0])
            found = None
        report.schedules += 1
        tick()
        if found:
            shortest.append(found)
            raise AssertionError(str(found))

    with contextlib.suppress(AssertionError, hypothesis.errors.Flaky, ExceptionGroup):  # it is in ``shortest``
        check()
    if not shortest:
        return None
    found = min(shortest, key=lambda d: (len(d.steps), len(d.init), d.steps))
    while (shorter := _shorter(live, here, kernel, found)) is not None:
        found = shorter
    return found


def _shorter(live, here, kernel, found: Disagreement) -> Disagreement | None:
    """The same with a step or a page left out, if that still disagrees: Hypothesis may stop before it is shortest."""
    cuts = [(found.init, found.steps[:n] + found.steps[n + size :]) for n, size in _units(found.steps)]
    cuts += [(found.init[:n] + found.init[n + 1 :], found.steps) for n in range(len(found.init)) if len(found.init) > 1]
    for init, steps in cuts:
        with contextlib.suppress(LitmusError, Spoiled, Known, Passing):  # a step may need the one that was left out
            if shorter := compare(live, here, kernel, init, steps):
                return shorter
    return None


def _units(steps: Sequence[str]) -> list[tuple[int, int]]:
    """(where, how many steps) can be left out: an O_DIRECT write is over at once, so it goes with its `put`.

    >>> _units(["P: fork C", "C: odirect x -> r1", "C: put r1", "P: munmap x"])
    [(0, 1), (1, 2), (3, 1)]
    """
    starts = [n for n in range(len(steps)) if n == 0 or " odirect " not in steps[n - 1]]
    return [(n, end - n) for n, end in zip(starts, [*starts[1:], len(steps)], strict=False)]


def _bar(minutes: float):
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=round(60 * minutes), unit="s", desc="fuzz", leave=False, disable=None, dynamic_ncols=True)


def _tick(bar, started: float, report: Report, tick) -> None:
    if bar is not None:
        bar.n = min(bar.total, int(time.monotonic() - started))
        bar.set_postfix_str(f"{report.schedules} schedules, {len(report.disagreements)} disagreements", refresh=False)
        bar.update(0)
    if tick:
        tick(report)


def _state(path: Path) -> Path:
    return path.with_suffix(".state.json")


def _resume(path: Path) -> dict[str, int]:
    """What stands beside the file: {"next_seed", "schedules"}; zeros if nothing does. Raises LitmusError."""
    state = _state(path)
    try:
        said = json.loads(state.read_text("utf-8")) if state.exists() else {}
        return {key: int(said.get(key, 0)) for key in ("next_seed", "schedules")}
    except (ValueError, TypeError, AttributeError):
        raise LitmusError(f"{state}: not the state of a fuzzing session", "delete it to begin again") from None


def _save(path: Path, report: Report, found: Disagreement | None) -> None:
    """Append the disagreement, and note which round comes next."""
    with path.open("a", encoding="utf-8") as f:
        if found:
            f.write(json.dumps(found.as_json(f"fuzz-seed{report.seed - 1}", report.kernel)) + "\n")
    total = {"next_seed": report.seed, "schedules": report.earlier + report.schedules}
    _state(path).write_text(json.dumps(total) + "\n", "utf-8")
