"""One execution of a test, step by step: a :class:`Trace`, which everything that is drawn is made from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ..mm import KERNEL_THREADS, ZERO_PAGE, Action, Kernel, Pte, State, Swp, Why, boot, step
from .errors import LitmusError
from .parse import Test

__all__ = ["Moment", "Trace", "final_values", "frame_of", "run", "run_actions"]


class Moment(NamedTuple):
    """The machine after one step (after init: ``action`` is None)."""

    action: Action | None
    state: State
    why: tuple[Why, ...] = ()
    result: str | None = None


@dataclass(frozen=True)
class Trace:
    """One execution on one kernel: ``moments[0]`` is the machine after init, then one moment a step."""

    kernel: Kernel
    moments: tuple[Moment, ...]
    name: str = ""

    def __len__(self) -> int:
        return len(self.moments)

    def __repr__(self) -> str:
        return f"<trace of {self.name or 'a run'} on {self.kernel.name}: {len(self.moments) - 1} steps>"

    @property
    def final(self) -> State:
        return self.moments[-1].state

    @property
    def steps(self) -> list[str]:
        """The steps as text, such as ``P: write x new``."""
        return [str(m.action) for m in self.moments[1:]]

    @property
    def copies(self) -> int:
        """How many frames were filled from another frame."""
        return sum(w.copied for m in self.moments for w in m.why)

    @cached_property
    def numbers(self) -> dict[int, int | str]:
        """Frame -> its number for people: 0, 1, ... by first appearance in a live mapping, then those that
        only references ever held; ``Z`` is the zero page."""
        order = [
            f for m in self.moments for p in m.state.procs if p.mm for f in map(_mapped, p.mm.ptes) if f is not None
        ]
        seen: set[tuple[str, str]] = set()
        for m in self.moments:
            taken = [r for r in m.state.refs if (r.proc, r.name) not in seen]
            seen.update((r.proc, r.name) for r in taken)
            order += [r.frame for r in taken if r.frame is not None]
        frames = dict.fromkeys(f for f in order if f != ZERO_PAGE)
        return {ZERO_PAGE: "Z"} | {f: n for n, f in enumerate(frames)}

    @cached_property
    def values(self) -> dict[str, str]:
        return final_values(self.final)

    @cached_property
    def frames(self) -> dict[str, int | str]:
        """Name -> number of the frame behind it at the end; what has no frame is absent."""
        frames = {name: self.numbers[f] for name, f in frame_of(self.final).items() if f in self.numbers}
        swapped = {
            f"{p.name}.{page}": "S"
            for p in self.final.procs
            for page, t in zip(self.final.pages, p.mm.ptes if p.mm else (), strict=False)
            if isinstance(t, Swp)
        }
        return dict(sorted((frames | swapped).items()))

    def text(self) -> str:
        """The whole trace in words: what the pictures show, the same bytes everywhere."""
        from ..view import scenes, trace_text

        return trace_text(scenes(self))

    def show(self, step: int = -1):
        """The machine after ``step`` steps as a :class:`cowlab.view.Picture`; 0 is the start, -1 the end."""
        from ..view import picture

        return picture(self, step)

    def to_dot(self, step: int = -1):
        """The same moment as a :class:`graphviz.Digraph`."""
        return self.show(step).to_dot()

    def player(self, at: int = 0):
        """A widget to step through the trace in the browser; the trace itself, where widgets are not installed."""
        from ..ui import player

        return player(self, start=at)

    def _repr_mimebundle_(self, include=None, exclude=None):
        from ..view import trace_bundle

        return trace_bundle(self)


def final_values(s: State) -> dict[str, str]:
    """What every name reads in this state: pages of live processes, references held or failed, registers,
    ``PROC.fault``. Sorted by name."""
    values = {f"{r.proc}.{r.name}": r.error if r.frame is None else s.frames[r.frame].value for r in s.refs}
    for p in s.procs:
        values |= {f"{p.name}.{name}": value for name, value, _ in p.regs}
        if p.mm:
            values |= {f"{p.name}.{page}": s.would_read(p.name, i) for i, page in enumerate(s.pages)}
        if p.fault:
            values[f"{p.name}.fault"] = p.fault
    return dict(sorted(values.items()))


def frame_of(s: State) -> dict[str, int]:
    """The frame behind every name that has one: pages, references, perf registers. Sorted by name."""
    frames = {f"{r.proc}.{r.name}": r.frame for r in s.refs if r.frame is not None}
    for p in s.procs:
        frames |= {f"{p.name}.{name}": frame for name, _, frame in p.regs if frame is not None}
        if p.mm:
            frames |= {f"{p.name}.{s.pages[i]}": t.frame for i, t in enumerate(p.mm.ptes) if isinstance(t, Pte)}
    return dict(sorted(frames.items()))


def _mapped(pte: Pte | Swp | None) -> int | None:
    return pte.frame if isinstance(pte, Pte) else None


DRAIN = "lru"  # in a schedule: the kernel drains its LRU batches


class ThreadOf(str):
    """The process of a column that is another thread of it."""


def ready(s: State, proc: str, parents: Mapping[str, str]) -> bool | None:
    """May the process move? True, False (not forked yet) or None (dead, blocked, or never to be forked)."""
    if proc in KERNEL_THREADS:
        return True
    if isinstance(parents.get(proc), ThreadOf):
        return ready(s, str(parents[proc]), parents)
    for p in s.procs:
        if p.name == proc:
            return True if p.mm is not None and p.fault is None else None
    return None if proc in parents and ready(s, parents[proc], parents) is None else False


def run_actions(start: State, kernel: Kernel, actions: Iterable[Action], name: str = "") -> Trace:
    """Do the actions in this order; steps of a process that is dead or blocked are left out."""
    moments = [Moment(None, start)]
    for a in actions:
        if ready(moments[-1].state, a.proc, {}):
            moments.append(Moment(a, *step(moments[-1].state, kernel, a)))
    return Trace(kernel, tuple(moments), name)


def parents_of(test: Test) -> dict[str, str]:
    """Column -> the process that forks it; for a thread, ThreadOf its process."""
    forks = {a.arg: a.proc for program in test.columns.values() for a in program if a.op == "fork"}
    return forks | {thread: ThreadOf(proc) for thread, proc in test.threads.items()}


def run(test: Test, kernel: Kernel, schedule: str | Sequence[str], hidden: bool = False) -> Trace:
    """The one execution in which the columns take their next step in this order.

    ``schedule`` is ``"P P C C"`` or a list of process names; with ``hidden`` references, ``lru`` in it drains the
    LRU batches. Raises LitmusError where a named process cannot
    move, or where the schedule stops while one still can.
    """
    order = schedule.split() if isinstance(schedule, str) else list(schedule)
    parents, at = parents_of(test), dict.fromkeys(test.columns, 0)
    moments = [Moment(None, boot(kernel, test.processes[0], test.pages, hidden))]

    def can_move(proc):
        left = at[proc] < len(test.columns[proc])
        return left and ready(moments[-1].state, proc, parents)

    for n, proc in enumerate(order, 1):
        if hidden and proc == DRAIN:
            drain = Action(DRAIN, "drain")
            moments.append(Moment(drain, *step(moments[-1].state, kernel, drain)))
            continue
        movers = [p for p in at if can_move(p)]
        if proc not in at:
            raise LitmusError(f"schedule, place {n}: {test.name} has no column {proc!r}", "", legal=at)
        if proc not in movers:
            why = _why_not(moments[-1].state, test, proc, at[proc])
            raise LitmusError(f"schedule, place {n}: {proc} cannot move: {why}", "", legal=movers)
        action = test.columns[proc][at[proc]]
        at[proc] += 1
        moments.append(Moment(action, *step(moments[-1].state, kernel, action)))
    left = [p for p in at if can_move(p)]
    if left:
        remedy = f"its next step is `{str(test.columns[left[0]][at[left[0]]]).partition(': ')[2]}`"
        raise LitmusError(f"schedule, after place {len(order)}: {left[0]} can still move", remedy, legal=left)
    return Trace(kernel, tuple(moments), test.name)


def _why_not(s: State, test: Test, proc: str, at: int) -> str:
    if at == len(test.columns[proc]):
        return "its column is used up"
    if any(p.name == proc for p in s.procs):
        return "it is blocked" if s.proc(proc).mm else "it is dead"
    return "it has not been forked yet"
