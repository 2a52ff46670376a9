"""What this machine is, which generation of rules its kernel *shows*, what it hides, and what the lessons do about it.

The generation is found by experiment: each schedule is run on the live kernel, and every row of the model that
does not allow its outcome is out. A version string would miss backports.
"""

from dataclasses import dataclass, field
from typing import Any

from ..litmus.parse import parse_init, parse_steps
from ..mm import KERNELS, Kernel, kernel
from .compare import allowed, judge_outcome
from .reach import NEEDS, WHAT, Reach, machine, reach
from .runs import Spoiled, execute
from .session import Session, Unreachable, session
from .show import Shown

__all__ = ["EXPERIMENTS", "Experiment", "Probe", "generation", "probe"]

EXPERIMENTS = {  # what it tells apart -> (init, steps)
    "does the writer take over a page that a pipe still holds?": (
        "P: x = old", "P: fork C; C: vmsplice x -> r; C: munmap x; P: write x new"),
    "does a lookup break COW?": (
        "P: x = old", "P: fork C; C: vmsplice x -> r; P: write x new; C: write x mine"),
    "does a reference from before the fork make the writer copy?": (
        "P: x = old", "P: vmsplice x -> r; P: fork C; C: munmap x; P: write x new"),
    "does fork copy a pinned page?": (
        "P: x = old", "P: io_uring x -> r; P: fork C; P: write x new"),
    "is a pinned page lost after mprotect?": (
        "P: x = old", "P: io_uring x -> r; P: mprotect x ro; P: mprotect x rw; P: write x new"),
    "does a pin for reading unshare the page?": (
        "P: x = old", "P: fork C; C: process_vm_readv x -> seen"),
    "does O_DIRECT pin its pages?": (
        "P: x = old", "P: fork C; C: odirect x -> r; C: put r"),
    "does a lookup replace the zero page?": (
        "P: x untouched", "P: read x; P: vmsplice x -> r"),
    "who takes over a huge page?": (
        "P: x = old huge", "P: fork C; C: vmsplice x -> r; C: munmap x; P: write x new"),
    "is a part of a split huge page reused?": (
        "P: x = old hugepte", "P: fork C; C: exit; P: write x new"),
    "who takes over a page that comes back from swap?": (
        "P: x = old", "P: madvise x pageout; P: fork C; C: vmsplice x -> r; C: munmap x; P: write x new"),
    "are pinned pages kept from reclaim?": (
        "P: x = old", "P: io_uring x -> r; P: madvise x pageout"),
}  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """One schedule and the rows that allow what it showed; ``rows`` is empty where ``skipped`` says why."""

    question: str
    init: str
    steps: tuple[str, ...]
    rows: tuple[str, ...] = ()
    values: dict[str, str] = field(default_factory=dict)
    skipped: str = ""

    def as_json(self) -> dict[str, Any]:
        known = {"question": self.question, "init": [self.init], "steps": list(self.steps)}
        return known | ({"skipped": self.skipped} if self.skipped else {"rows": list(self.rows), "values": self.values})


@dataclass(frozen=True, repr=False)
class Probe(Shown):
    """The answer of :func:`probe`; ``rows`` are the generations that allow everything that was seen, and ``row`` is
    the one to compare with. ``reason`` is empty, or says in a sentence why the live kernel is out of reach."""

    about: dict[str, str]
    rows: tuple[str, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    here: Reach = field(default_factory=Reach)
    reason: str = ""

    @property
    def row(self) -> str | None:
        """Of the rows that are left the one whose releases come nearest to this one from below; else the newest."""
        named = _row_of(self.about.get("release", ""))
        return named if named in self.rows else self.rows[-1] if self.rows else None

    def as_json(self) -> dict[str, Any]:
        """{"machine", "reachable", "reason", "generation": row or null, "rows", "experiments", "steps", "frames",
        "bits", "missing": {facility: reason}, "instead": {facility: what the lessons do}}"""
        return {
            "machine": self.about, "reachable": not self.reason, "reason": self.reason, "generation": self.row,
            "rows": list(self.rows), "experiments": [e.as_json() for e in self.experiments],
            "steps": [] if self.reason else list(self.here.steps), "frames": not self.reason and self.here.frames,
            "bits": not self.reason and self.here.bits, "missing": self.here.missing,
            "instead": {name: INSTEAD[name] for name in self.here.missing if name in INSTEAD},
        }  # fmt: skip

    def table(self) -> list[tuple[str, str]]:
        """Ten lines: what, and the answer."""
        return _rows(self)

    title = "This machine"


INSTEAD = {  # what the lessons do where it is missing
    "frames": "lessons number frames from the model, and show the bit",
    "pagemap": "lesson 01 shows the recorded bits",
    "vmsplice": "lessons take references on the model only, and show recorded observations",
    "io_uring": "pins are shown on the model, and as recorded",
    "reclaim": "memory pressure is shown on the model, and as recorded",
    "pageout": "swap is shown on the model, and as recorded",
    "clear_refs": "soft-dirty tracking is shown on the model",
    "huge": "huge pages are shown on the model, and as recorded",
}


def probe() -> Probe:
    """Look at this machine: about a dozen schedules, well under a second. Never raises; safe to repeat and to
    interrupt. Displays as a table in a notebook, prints as ten lines, and ``as_json()`` is one document."""
    try:
        with session() as live:
            return _probe(live)
    except Unreachable as e:
        return Probe(machine(), reason=str(e))


def generation(live: Session) -> Kernel | None:
    """The row of the model to compare this kernel with; None if it behaves like none. Found once per helper."""
    if not hasattr(live, "probe"):
        _probe(live)
    return live.probe.row and kernel(live.probe.row)


def _probe(live: Session) -> Probe:
    here = reach(live)
    done = tuple(_experiment(live, here, question, *what) for question, what in EXPERIMENTS.items())
    rows = tuple(k for k in KERNELS if all(k in e.rows for e in done if not e.skipped))
    live.probe = Probe(machine(), rows, done, here)
    return live.probe


def _experiment(live: Session, here: Reach, question: str, init: str, steps: str) -> Experiment:
    lines = tuple(steps.split("; "))
    first, pages = parse_init([init])
    actions = parse_steps(lines, first, pages)
    needs = [NEEDS[a.op] for a in actions] + ["pageout"] * ("pageout" in steps) + ["huge"] * ("huge" in init)
    lacking = [n for n in needs if n in here.missing]
    if lacking:
        return Experiment(question, init, lines, skipped=f"{WHAT[lacking[0]]}: {here.missing[lacking[0]]}")
    try:
        outcome = execute(live, here, first, pages, actions)
    except Spoiled as e:
        return Experiment(question, init, lines, skipped=str(e))
    rows = [k for k, row in KERNELS.items() if not judge_outcome(outcome, allowed(row, first, pages, actions))[1]]
    return Experiment(question, init, lines, tuple(rows), outcome.values)


def _row_of(release: str) -> str | None:
    """The newest row of which some release is not newer than this one: a guess, to choose among what is left."""
    wanted, found = _number(release), None
    for row in KERNELS.values():
        if _number(row.name.removeprefix("v")) <= wanted:
            found = row.name
    return found


def _number(release: str) -> tuple[int, ...]:
    parts = release.split("-")[0].split(".")[:2]
    return tuple(int(p) if p.isdigit() else 0 for p in parts)


def _rows(p: Probe) -> list[tuple[str, str]]:
    from .recorded import releases

    about, here, out = p.about, p.here, []
    layer = "".join(f", {about[k]}" for k in ("layer", "seccomp") if k in about)
    out.append(("machine", f"{about['system']} {about['release']}, {about['processor']}{layer}"))
    if p.reason:
        out += [
            ("live kernel", f"out of reach: {p.reason}"),
            ("generation", "unknown: nothing can be tried here"),
            ("instead", f"recorded observations of the releases {', '.join(releases())}"),
            ("lessons", "every lesson runs on the model; live cells show what was recorded, with the release"),
        ]
        return out
    done = [e for e in p.experiments if not e.skipped]
    if p.row:
        also = [r for r in p.rows if r != p.row]
        others = f"; nothing here tells it from {', '.join(also)}" if also else ""
        out.append(("generation", f"{p.row}: {kernel(p.row).about}{others}"))
    else:
        best = max(KERNELS, key=lambda k: sum(k in e.rows for e in done))
        off = [e.question for e in done if best not in e.rows]
        out.append(("generation", f"none that cowlab knows; nearest is {best}, which fails: {' '.join(off)}"))
    skipped = [e for e in p.experiments if e.skipped]
    out.append(("decided by", f"{len(done)} experiments, {len(skipped)} left out"))
    said = _row_of(about["release"])
    agrees = "agrees" if said in p.rows else f"stands for {said}, and does not agree: backports, or a patched kernel"
    out.append(("version string", f"{about['release']} {agrees}"))
    out.append(("steps", ", ".join(here.steps)))
    out.append(("references", "pipe (vmsplice)" * ("vmsplice" not in here.missing)
                + ", fixed buffer (io_uring)" * ("io_uring" not in here.missing) or "none"))  # fmt: skip
    out.append(("frame numbers", here.missing.get("frames", "visible")))
    out.append(("exclusive bit", here.missing.get("pagemap", "visible, without privilege")))
    hidden = [f"{name} ({reason})" for name, reason in here.missing.items() if name not in ("frames", "pagemap")]
    out.append(("not here", "; ".join(hidden) or "nothing"))
    without = {name for name in here.missing if name != "frames" or here.bits}
    instead = [INSTEAD[name] for name in INSTEAD if name in without]
    out.append(("lessons", "; ".join(instead) or "use all of it"))
    return out
