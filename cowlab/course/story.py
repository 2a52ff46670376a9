"""Stories drawn from a seed: what some processes do with one page, and what the kernel makes of it.

A question that is asked again gets a new story. The right answer is read off the engine's trace; the wrong ones are
what somebody with a known misconception would say about the same story.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from random import Random

from ..litmus import Trace, parse, run
from ..mm import kernel
from .bank import Choice, Schedule

__all__ = ["Story", "believers", "draw", "named", "shortened"]

NAMES = ("P", "C", "D")
TRIES = 5000  # of a draw; the stories asked for here are common


@dataclass(frozen=True)
class Story:
    """``steps``, such as ``P: fork C``, in the order in which they happen; P exists at the start, and has page x."""

    steps: tuple[str, ...]
    init: str = "P: x = old"

    @property
    def schedule(self) -> str:
        return " ".join(step.partition(":")[0] for step in self.steps)

    @property
    def setting(self) -> str:
        return "\n".join(self.steps)

    def text(self, condition: str = "exists P.x is init.x") -> str:
        """The story as a litmus test: a column for each process that moves."""
        columns: dict[str, list[str]] = {}
        for step in self.steps:
            proc, _, rest = step.partition(": ")
            columns.setdefault(proc, []).append(rest)
        rows = [" | ".join(columns), *(" | ".join(row) for row in zip_longest(*columns.values(), fillvalue=""))]
        return f"litmus story\ninit\n  {self.init}\n\n" + "\n".join(rows) + f"\n\n{condition}\n"

    @cached_property
    def trace(self) -> Trace:
        return run(parse(self.text()), kernel("v5.7"), self.schedule)

    @property
    def alive(self) -> list[str]:
        return [p.name for p in self.trace.final.procs if p.mm]

    @property
    def first_frame(self) -> int:
        """The frame that x is in at the start."""
        return self.trace.moments[0].state.at("P", 0)[1].frame

    def mapcounts(self) -> list[int]:
        """After each step, how many entries map the frame of the start."""
        return [m.state.mapcount(self.first_frame) for m in self.trace.moments[1:]]

    def settled(self, look: str) -> Schedule:
        """The story to step through; its condition says whose entry points at the first frame in the end."""
        mapping = {proc for proc, _, _ in self.trace.final.entries(self.first_frame)}
        said = [f"{p}.x {'is' if p in mapping else 'isnt'} init.x" for p in self.alive]
        return Schedule(self.text("exists " + " and ".join(said)), self.schedule, look)


def draw(rng: Random, moves: int, fits: Callable[[Story], bool], first: tuple[str, ...] = ("P: fork C",)) -> Story:
    """A story of so many moves (forks, writes, exits) that ``fits``."""
    for _ in range(TRIES):
        steps, alive = list(first), ["P", "C"]
        while len(steps) < moves:
            who = rng.choice(alive)
            choices = [f"write x {rng.choice('abcdef')}{len(steps)}"] * 2
            choices += ["fork D"] * ("D" not in " ".join(steps)) + ["exit"] * (len(alive) > 1)
            step = rng.choice(choices)
            steps.append(f"{who}: {step}")
            if step == "exit":
                alive.remove(who)
            elif step == "fork D":
                alive.append("D")
        story = Story(tuple(steps))
        if fits(story):
            return story
    raise AssertionError("no story fits")


# What a write does to the set of those who map the first frame, as a misconception has it.
WRITES = {
    "M2": lambda mapping, who: {"P"} if who == "P" else mapping - {who},  # the original stays with P
    "M3": lambda mapping, who: mapping,  # what is read-only cannot be written
    "M4": lambda mapping, who: mapping - {who},  # each write copies, the last mapper's too
}


def believers(story: Story) -> dict[str, set[str]]:
    """Who maps the first frame in the end, as each misconception has it. M1: fork copied, so at most P."""
    out = {"M1": {"P"}}
    for belief, write in WRITES.items():
        mapping = {"P"}
        for step in story.steps:
            who, op, *rest = step.replace(":", "").split()
            if op == "fork" and who in mapping:
                mapping = mapping | {rest[0]}
            elif op == "write" and who in mapping:
                mapping = write(mapping, who)
        out[belief] = mapping
    return {belief: mapping & {*story.alive} for belief, mapping in out.items()}


def named(procs: Iterable[str]) -> str:
    """Whose: ``P's and D's``."""
    whose = [f"{p}'s" for p in NAMES if p in procs]
    return " and ".join(filter(None, [", ".join(whose[:-1]), *whose[-1:]])) if whose else "Nobody's"


def shortened(choices: Iterable[tuple[str, str]], right: str, because: str, refuted_by: Schedule) -> tuple[Choice, ...]:
    """The right answer and those beliefs whose answer is another one, each answer once: (misconception, answer)."""
    wrong = {text: belief for belief, text in reversed([*choices]) if text != right}
    return (
        Choice(right, because=because),
        *(Choice(text, believes=belief, refuted_by=refuted_by) for text, belief in reversed(wrong.items())),
    )
