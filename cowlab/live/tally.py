"""A litmus test on the live kernel: every schedule really run, tallied as klitmus does, next to the model's verdict."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..litmus import Test, Verdict, judge, load, parse
from ..litmus import run as run_model
from ..litmus.verdict import initial_frames
from ..mm import KERNELS, Kernel
from .compare import AGAIN, Difference, allowed, explained, judge_outcome, passing
from .generation import generation
from .reach import check, machine, reach
from .recorded import find
from .runs import Outcome, Spoiled, execute
from .session import Session, Unreachable, session
from .show import Shown

__all__ = ["LIMIT", "Final", "Tally", "Violation", "observation", "orders", "run"]

LIMIT = 200  # schedules: more are sampled
Order = tuple[str, ...]


@dataclass(frozen=True)
class Final:
    """A final state of the live kernel: how many runs ended in it, and the first of them."""

    count: int
    satisfies: bool
    outcome: Outcome
    schedule: Order
    steps: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        known = {"count": self.count, "satisfies": self.satisfies} | self.outcome.as_json()
        return known | {"witness": list(self.steps), "schedule": " ".join(self.schedule)}


@dataclass(frozen=True)
class Violation:
    """One schedule whose live outcome the model does not allow."""

    test: Test
    kernel: Kernel
    schedule: Order
    steps: tuple[str, ...]
    live: Outcome
    model: tuple[dict[str, Any], ...]
    differences: tuple[Difference, ...]

    def as_json(self) -> dict[str, Any]:
        """The schedule, both sides, and the line that `cowlab replay` reads."""
        return {
            "schedule": " ".join(self.schedule), "live": self.live.as_json(), "model": list(self.model),
            "differences": [str(d) for d in self.differences],
            "observation": observation(self.test.name, init_of(self.test), self.steps, self.live, self.kernel.name),
        }  # fmt: skip

    def __str__(self) -> str:
        order = " ".join(self.schedule)
        return "\n".join([
            f'MODEL VIOLATION {self.test.name}, schedule "{order}"', *(f"    {s}" for s in self.steps),
            f"  live   {_said(self.live.values, self.live.frames)}",
            *(f"  model  {_said(m['values'], m['frames'])}" for m in self.model),
            *(f"  differs {d}" for d in self.differences),
            f'  replay: cowlab litmus FILE --kernel {self.kernel.name} --hidden --schedule "{order}"',
            f'          cowlab litmus FILE --live --schedule "{order}"',
        ])  # fmt: skip


@dataclass(frozen=True, repr=False)
class Tally(Shown):
    """What :func:`run` found. ``reachable`` is False where nothing was run; then ``recorded`` maps a release to what
    it did in the same schedules, as far as that was recorded, and ``reason`` says in a sentence why."""

    test: Test
    release: str
    kernel: Kernel | None = None
    model: Verdict | None = None
    finals: tuple[Final, ...] = ()
    violations: tuple[Violation, ...] = ()
    known: dict[str, int] = field(default_factory=dict)  # where the model is known to err: why, and how often
    executions: int = 0  # as the model counts them
    runs: int = 0
    spoiled: dict[str, int] = field(default_factory=dict)
    matched: bool = True  # False: the kernel behaves like no row, and ``kernel`` is only the newest
    reason: str = ""
    recorded: dict[str, dict[str, Any]] = field(default_factory=dict)
    once: tuple[Violation, ...] = ()  # that did not come back in the runs after it, and are not tallied

    @property
    def reachable(self) -> bool:
        return not self.reason

    @property
    def positive(self) -> int:
        return sum(f.count for f in self.finals if f.satisfies)

    @property
    def negative(self) -> int:
        return sum(f.count for f in self.finals if not f.satisfies)

    @property
    def verdict(self) -> str:
        return "Never" if not self.positive else "Sometimes" if self.negative else "Always"

    @property
    def sampled(self) -> bool:
        return self.reachable and self.runs < self.executions

    @property
    def agrees(self) -> bool:
        """No run left the model; and where every schedule was run, the verdicts are the same word. (A hidden
        reference may make the kernel copy where the model without one does not: then only the first is asked.)"""
        return not self.violations

    def as_json(self) -> dict[str, Any]:
        """As a verdict of the model (design/litmus.md, section 4), with "live", "runs", "sampled", "spoiled",
        "model" (its verdict), "violations"; or with "reason" and "recorded"."""
        c = self.test.condition
        known = {"test": self.test.name, "live": self.reachable, "release": self.release,
                 "quantifier": c.quantifier, "condition": c.text}  # fmt: skip
        if not self.reachable:
            return known | {"reason": self.reason, "recorded": self.recorded}
        model = {"verdict": self.model.verdict, "positive": self.model.positive, "negative": self.model.negative}
        return known | {
            "kernel": self.kernel.name, "verdict": self.verdict, "passes": c.passes(self.positive, self.negative),
            "executions": self.executions, "runs": self.runs, "sampled": self.sampled, "spoiled": self.spoiled,
            "positive": self.positive, "negative": self.negative, "finals": [f.as_json() for f in self.finals],
            "model": model, "agrees": self.agrees, "known": self.known,
            "violations": [v.as_json() for v in self.violations], "once": [v.as_json() for v in self.once],
        }  # fmt: skip

    header = ("runs", "", "final state")

    @property
    def title(self) -> str:
        where = f"Linux {self.release}" if self.reachable else "recorded kernels"
        return f"{self.test.name} on {where}"

    def table(self) -> list[tuple[str, ...]]:
        if not self.reachable:
            return [(r, "", _said(o["values"], o["frames"])) for r, o in self.recorded.items()] or [("-", "", "-")]
        rows = [(str(f.count), "*>" if f.satisfies else ":>", _said(f.outcome.values, f.outcome.frames))
                for f in self.finals]  # fmt: skip
        return rows or [("0", "", "no run could be judged")]

    def notes(self) -> list[str]:
        c = self.test.condition
        if not self.reachable:
            what = "Recorded instead, of one schedule: what each release did." if self.recorded else (
                "Nothing like it was recorded; the model's verdicts are what there is.")  # fmt: skip
            return [f"The live kernel is out of reach: {self.reason}.", what]
        how = f"a random sample of {self.runs} of {self.executions:,} schedules" if self.sampled else (
            f"all {self.executions:,} schedules")  # fmt: skip
        passes = "Ok" if c.passes(self.positive, self.negative) else "No"
        like = "" if self.matched else "no row of the model, so it is compared with "
        lines = [f"Linux {self.release}, which behaves like {like}{self.kernel.name}: {how} run."]
        lines += [f"{n} runs could not be judged: {why}." for why, n in self.spoiled.items()]
        lines += [f"{n} runs left the model, as is known of {why}." for why, n in self.known.items()]
        lines += [f'Schedule "{" ".join(v.schedule)}" left the model once, and not in {AGAIN} more runs: it is not '
                  f"counted. {'; '.join(map(str, v.differences))}." for v in self.once]  # fmt: skip
        lines += [f"{passes} ({c.quantifier} {c.text})",
                  f"Observation {self.test.name} {self.verdict} {self.positive} {self.negative}",
                  f"Model {self.kernel.name} {self.model.verdict} {self.model.positive} {self.model.negative}: "
                  + ("every live final is one that it allows" if self.agrees else "VIOLATED")]  # fmt: skip
        return lines + [str(v) for v in self.violations[:3]]

    def __str__(self) -> str:
        return "\n".join([f"Test {self.title}", super().__str__()])


def run(test: Test | str, schedule: str | None = None, limit: int = LIMIT, seed: int = 0) -> Tally:
    """Run the schedules of a test with real processes and real system calls, and hold every outcome against the model.

    ``test`` is a test, its name in the catalogue, the path of a file, or its text. All schedules are run, or a random
    sample of ``limit``, or the one that ``schedule`` names. Well under a second for the tests of the lessons; safe to
    repeat and to interrupt. Out of reach of the live kernel the result says so and has recorded observations. Raises
    LitmusError for a bad test, and for one that user space cannot express.
    """
    if isinstance(test, str):
        test = parse(test) if "\n" in test else load(test)
    try:
        with session() as live:
            return _run(live, test, schedule, limit, seed)
    except Unreachable as e:
        return Tally(test, machine()["release"], reason=str(e), recorded=_recorded(test))


def _run(live: Session, test: Test, schedule: str | None, limit: int, seed: int) -> Tally:
    here = reach(live)
    check(test, here)
    row = generation(live)
    kernel = row or list(KERNELS.values())[-1]
    model = judge(test, kernel, schedule)
    wanted = [tuple(schedule.split())] if schedule is not None else list(orders(model, limit, random.Random(seed)))
    first, finals, violations, once, known, spoiled = test.processes[0], {}, [], [], {}, {}
    for order in wanted:
        trace = run_model(test, kernel, order)
        actions = [m.action for m in trace.moments[1:]]
        steps = tuple(map(str, actions))
        try:
            outcome = execute(live, here, first, test.pages, actions)
        except Spoiled as e:
            spoiled[str(e)] = spoiled.get(str(e), 0) + 1
            continue
        ways = allowed(kernel, first, test.pages, actions)
        nearest, found = judge_outcome(outcome, ways)
        frames = nearest.frames | (outcome.frames or {}) | _initial(nearest)
        holds = test.condition.holds(outcome.values, frames)
        if found and (why := explained(nearest)):
            known[why] = known.get(why, 0) + 1
        elif found:
            said = {_said(t.values, t.frames): {"values": t.values, "frames": t.frames} for t in ways}
            bad = Violation(test, kernel, order, steps, outcome, tuple(said.values()), tuple(found))
            if passing(lambda a=actions, w=ways: bool(judge_outcome(execute(live, here, first, test.pages, a), w)[1])):
                once.append(bad)
                continue
            violations.append(bad)
        key = (outcome.key, holds)
        old = finals.get(key)
        finals[key] = Final(1, holds, outcome, order, steps) if old is None else (
            Final(old.count + 1, holds, old.outcome, old.schedule, old.steps))  # fmt: skip
    return Tally(test, machine()["release"], kernel, model, tuple(finals.values()), tuple(violations), known,
                 model.executions, len(wanted), spoiled, row is not None, once=tuple(once))  # fmt: skip


def _initial(trace) -> dict[str, int]:
    """``init.PAGE``: the numbers of the frames that held the pages at the start. Those that only the page cache had
    have none, so they count from below zero and equal nothing that was seen."""
    numbers = trace.numbers
    return {name: numbers.get(f, -f) for name, f in initial_frames(trace.moments[0].state).items()}


def orders(model: Verdict, limit: int, rng: random.Random) -> Iterator[Order]:
    """The schedules that --live can take, in column order; or ``limit`` of them at random, each as likely as any
    other. Where an O_DIRECT write has begun, its `put` comes next: the kernel has finished it by then."""
    graph, columns = model.graph, list(model.test.columns)
    counts = graph.executions()
    if counts[0] <= limit:
        yield from (tuple(columns[c] for c in path) for path in _paths(graph, model.test, 0))
        return
    for _ in range(limit):
        node, order = 0, []
        while graph.edges[node]:
            edges = _possible(graph, model.test, node)
            column, node = rng.choices(edges, [counts[j] for _, j in edges])[0]
            order.append(columns[column])
        yield tuple(order)


def _paths(graph, test: Test, node: int) -> Iterator[tuple[int, ...]]:
    edges = _possible(graph, test, node)
    if not edges:
        yield ()
    for column, after in edges:
        for rest in _paths(graph, test, after):
            yield (column, *rest)


def _possible(graph, test: Test, node: int) -> list[tuple[int, int]]:
    """The edges of a node; only one where a `put` has to follow an `odirect`."""
    positions = graph.nodes[node][0]
    for number, (at, program) in enumerate(zip(positions, test.columns.values(), strict=True)):
        if 0 < at < len(program) and program[at - 1].op == "odirect":
            mine = [e for e in graph.edges[node] if e[0] == number]
            if mine:
                return mine
    return graph.edges[node]


def observation(name: str, init: Sequence[str], steps: Sequence[str], live: Outcome, kernel: str) -> dict[str, Any]:
    """The line that `cowlab replay` reads (design/litmus.md, section 6); ``kernels`` has the row of the model that
    stands for this kernel, ``release`` what it calls itself."""
    return {"id": name, "init": list(init), "steps": list(steps), "observed": [{"kernels": [kernel]} | live.as_json()],
            "unstable": [], "release": machine()["release"]}  # fmt: skip


def init_of(test: Test) -> list[str]:
    """The ``init`` of the test, as an observation has it."""
    what = {page: f"= {value}" if value else "untouched" for page, (value, _) in test.pages.items()}
    return [" ".join((f"{test.processes[0]}:", page, what[page], *sorted(attributes)))
            for page, (_, attributes) in test.pages.items()]  # fmt: skip


def _said(values: dict[str, str], frames: dict[str, Any] | None) -> str:
    text = " ".join(f"{n}={v}" for n, v in values.items())
    shown = " ".join(f"{n}:{v}" for n, v in (frames or {}).items())
    return text + (f"  [frames {shown}]" if shown else "")


def _recorded(test: Test) -> dict[str, dict[str, Any]]:
    """What recorded kernels did in the first schedule of the test that was recorded; the one that satisfies the
    condition on some row of the model is looked for first."""
    verdicts = [judge(test, k) for k in KERNELS.values()]
    traces = [v.witness for v in verdicts if v.witness] + [f.trace for v in verdicts for f in v.finals]
    for steps in dict.fromkeys(tuple(t.steps) for t in traces):
        if found := find(init_of(test), steps):
            return found
    return {}
