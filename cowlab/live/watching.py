"""The moment of lesson 01: pagemap's "exclusively mapped" bit over fork and write, on the learner's own kernel."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..litmus.parse import parse_init, parse_steps
from .compare import allowed, judge_outcome
from .generation import generation
from .reach import machine, reach
from .recorded import probed
from .runs import execute
from .session import Unreachable, session
from .show import Shown

__all__ = ["Watch", "watch", "watch_cow"]

COW = ("P: fork C", "P: write x new")
RECORDED = "6.12"  # the newest release that was probed from inside after every step


@dataclass(frozen=True, repr=False)
class Watch(Shown):
    """What was seen after each step. ``bits[n]`` maps ``P.x`` to True (this page table alone maps the frame), False
    (another maps it too) or None (nothing is mapped there); ``frames[n]`` to a frame number, where those are shown.
    ``recorded`` is empty, or the release of the recording that is shown because ``reason``."""

    steps: tuple[str, ...]
    bits: tuple[dict[str, bool | None], ...]
    release: str
    frames: tuple[dict[str, int | str], ...] = ()
    recorded: str = ""
    reason: str = ""
    agrees: str = ""
    title: str = "Is the page exclusively mapped?"
    names: tuple[str, ...] = field(default=("P.x", "C.x"))

    @property
    def header(self) -> tuple[str, ...]:
        return ("after", *self.names)

    def of(self, name: str) -> list[int | None]:
        """The bit of one page, moment by moment, such as [1, 0, 1]."""
        return [None if row.get(name) is None else int(row[name]) for row in self.bits]

    def table(self) -> list[tuple[str, ...]]:
        rows = []
        for n, (label, bits) in enumerate(zip(("P: write x old (init)", *self.steps), self.bits, strict=True)):
            cells = []
            for name in self.names:
                number = self.frames[n].get(name) if self.frames else None
                frame = "" if number is None else f" (frame {number})"
                cells.append("-" if bits.get(name) is None else f"{int(bits[name])}{frame}")
            rows.append((label, *cells))
        return rows

    def notes(self) -> list[str]:
        if self.recorded:
            how = "by a probe inside the kernel: 1 where the mapcount was 1"
            return [f"The live kernel is out of reach: {self.reason}.", f"Recorded on Linux {self.recorded} {how}."]
        return [f"Linux {self.release}, /proc/PID/pagemap bit 56, read after every step: 1 if this page table alone "
                f"maps the frame. {self.agrees}"]  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """{"steps", "bits": [{name: bool or null}], "frames": [{name: number}], "release", "recorded", "reason"}"""
        return {
            "steps": list(self.steps), "bits": list(self.bits), "frames": list(self.frames), "release": self.release,
            "recorded": self.recorded, "reason": self.reason,
        }  # fmt: skip


def watch_cow() -> Watch:
    """Fork, then write: the bit of the parent's page goes 1, 0, 1. A few milliseconds, without privilege; safe to
    repeat and to interrupt. Out of reach of the live kernel it shows what a recorded kernel did, and says so.

    >>> watch_cow().of("P.x")
    [1, 0, 1]
    """
    return watch(COW)


def watch(steps: Sequence[str], init: Sequence[str] = ("P: x = old",)) -> Watch:
    """Any steps of design/litmus.md that user space can order, such as ``P: fork C``, watched the same way. Raises
    LitmusError for bad steps; Unreachable only if the live kernel is out of reach and nothing like it was recorded."""
    first, pages = parse_init(list(init))
    actions = parse_steps(list(steps), first, pages)
    names = tuple(f"{p}.{page}" for p in (first, *(a.arg for a in actions if a.op == "fork")) for page in pages)
    try:
        with session() as live:
            here, row = reach(live), generation(live)
            if not here.bits:
                raise Unreachable(f"pagemap: {here.missing['pagemap']}")
            outcome = execute(live, here, first, pages, actions)
            agrees = ""
            if row:
                found = judge_outcome(outcome, allowed(row, first, pages, actions))[1]
                agrees = f"The model ({row.name}) {'says otherwise: ' + str(found[0]) if found else 'agrees'}."
    except Unreachable as e:
        return _recorded(tuple(steps), str(e), names)
    bits = tuple({n: b["exclusive"] if b["present"] else None for n, b in look.items()} for look in outcome.bits)
    return Watch(tuple(steps), bits, machine()["release"], tuple(outcome.looks), agrees=agrees, names=names)


def _recorded(steps: tuple[str, ...], reason: str, names: tuple[str, ...]) -> Watch:
    found = probed(RECORDED, ("P: x untouched",), ("P: write x old", *steps))
    if found is None:
        raise Unreachable(f"{reason}; and nothing like it was recorded")
    bits, frames = [], []
    for after in found:
        ptes = {n: p for n, p in after["ptes"].items() if isinstance(p, dict) and "frame" in p}
        bits.append({n: after["counts"][p["frame"]]["mapcount"] == 1 for n, p in ptes.items()})
        frames.append({n: ord(p["frame"]) - ord("A") for n, p in ptes.items()})
    return Watch(steps, tuple(bits), RECORDED, tuple(frames), RECORDED, reason, names=names)
