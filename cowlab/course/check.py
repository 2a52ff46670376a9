"""What a check of an answer says: what is right so far, what differs, and where. And the check of a schedule; the
others, and marks, are cowlab.grade's.

Each check recomputes the answer with the engine, for the test at hand; no key is stored, and none is printed.
"""

from dataclasses import dataclass, replace

from ..explore.schedules import explore
from ..explore.symmetry import renamed
from ..litmus import Moment, Test, Trace, load
from ..litmus.run import final_values, frame_of, parents_of, ready
from ..litmus.verdict import initial_frames
from ..mm import Kernel, boot, kernel, step
from .ask import live, markup, plain

__all__ = ["Advice", "check_schedule", "listed"]

ADVISORY = "This check is advisory: it ran in your own notebook. Marks count only from your instructor's run."


@dataclass(frozen=True)
class Advice:
    """What a check says. ``score`` runs from 0 to 1; ``trace`` is an execution that explains it, if there is one;
    ``believes`` are the misconceptions that the answer shows, ``hint`` is the rung of the hint that fits (1 to 3)."""

    said: tuple[str, ...]
    score: float = 0.0
    trace: Trace | None = None
    believes: tuple[str, ...] = ()
    hint: int = 1

    @property
    def ok(self) -> bool:
        return self.score == 1

    def points(self, of: float) -> float:
        """The score, out of so many points."""
        return round(self.score * of, 2)

    def reached(self, part: int, of: int) -> bool:
        """Is the score at least so many of so many equal parts?"""
        return self.score * of >= part - 1e-9

    def advisory(self) -> "Advice":
        """The same for a learner, who is told what it is worth: nothing but advice."""
        return replace(self, said=(*self.said, ADVISORY))

    def __repr__(self) -> str:
        return "\n".join(map(plain, self.said))

    def html(self) -> str:
        *before, last = map(markup, self.said)
        return (f"<p>{'<br>'.join(before)}</p>" if before else "") + f"<p>{last}</p>"

    def _repr_mimebundle_(self, include=None, exclude=None):
        last = self.trace.show()._repr_mimebundle_()["text/html"] if self.trace else ""
        return {"text/plain": repr(self), "text/html": self.html() + last}

    def _ipython_display_(self):
        live(self, self.trace and "show_stepped", self.html(), self.trace, at=-1)


class _Road:
    """A schedule under way: where the columns are, what has happened, and what is still within reach."""

    def __init__(self, test: Test, k: Kernel):
        self.test, self.kernel, self.parents = test, k, parents_of(test)
        self.at = dict.fromkeys(test.columns, 0)
        self.moments = [Moment(None, boot(k, test.processes[0], test.pages))]
        self.initial, self.keep = initial_frames(self.state), len(self.state.frames)

    @property
    def state(self):
        return self.moments[-1].state

    @property
    def trace(self) -> Trace:
        return Trace(self.kernel, tuple(self.moments), self.test.name)

    def next_of(self, proc: str):
        """The next action of a column, or None when it cannot move."""
        if self.at[proc] == len(self.test.columns[proc]) or not ready(self.state, proc, self.parents):
            return None
        return self.test.columns[proc][self.at[proc]]

    def movers(self) -> list[str]:
        return [f"{p} (`{str(a).partition(': ')[2]}`)" for p in self.at if (a := self.next_of(p))]

    def move(self, proc: str) -> None:
        self.moments.append(Moment(a := self.next_of(proc), *step(self.state, self.kernel, a)))
        self.at[proc] += 1

    def holds(self, s=None) -> bool:
        s = s or self.state
        return self.test.condition.holds(final_values(s), frame_of(s) | self.initial)

    def moves_left(self) -> int | None:
        """The fewest moves after which the condition can hold from here; None when it never will."""
        columns = list(self.at)
        graph = explore(
            self.state,
            [self.test.columns[p][self.at[p] :] for p in columns],
            lambda s, a: step(s, self.kernel, a).state,
            lambda s, column: ready(s, columns[column], self.parents),
            lambda s: renamed(s, self.keep),
        )
        wave, seen, n = [0], {0}, 0
        while wave:
            if any(self.holds(graph.nodes[i][1]) for i in wave):
                return n
            wave = [j for i in wave for _, j in graph.edges[i]]
            wave = [j for j in dict.fromkeys(wave) if not (j in seen or seen.add(j))]
            n += 1
        return None


def check_schedule(test: Test | str, schedule: str, kernel_name: str = "v5.7", *, shortest: bool = False) -> Advice:
    """Does the condition of ``test`` hold after these moves? The schedule may stop early, and may be unfinished:
    then the answer says whether it can still be reached. With ``shortest`` a detour costs half.

    >>> check_schedule("child-reads-parent-secret", "P P")
    1  P: fork C. copy_present_pte shares x, read-only on both sides, because fork looks at no references.
    2  P: write x new. do_wp_page copies, because mapcount is 2.
    Not so: C.pipe == new. After move 1 it was still within reach; move 2 closed the road. Read its reason.
    """
    test = load(test) if isinstance(test, str) else test
    if not isinstance(schedule, str):
        return Advice(('A schedule is text: whose move it is, in order, such as "P C".',))
    road, closed, goal = _Road(test, kernel(kernel_name)), None, f"`{test.condition.text}`"
    whole, first, lines = road.moves_left(), None, []
    for n, proc in enumerate(schedule.split(), 1):
        if proc not in road.at or not road.next_of(proc):
            what = "cannot move" if proc in road.at else "has no column"
            who = listed(road.movers()) or "nobody, all columns are used up"
            lines.append(f"{n}  {proc} {what} here. Who can: {who}.")
            return Advice(tuple(lines), 0.0, road.trace)
        road.move(proc)
        lines.append(f"{n}  {_caption(road.moments[-1])}")
        first = n if first is None and road.holds() else first
        closed = n if closed is None and road.moves_left() is None else closed
    n, score, believes, hint = len(road.moments) - 1, 0.0, (), 1
    if not n:
        lines.append(f"No moves yet. Who can make the first: {listed(road.movers())}.")
    elif road.holds():
        score = 0.5 if shortest and n > whole else 1.0
        lines.append(
            f"Yes: {goal} after {n} moves." + (" None of them can be spared." if shortest and score == 1 else "")
        )
        if score < 1:
            late = f" It holds after move {first} already." if first < n else " One that you made is not needed."
            lines.append(f"There is a shorter schedule.{late}")
            hint = 3
    elif closed:
        before = f"After move {closed - 1} it was" if closed > 1 else "At the start it was"
        lines.append(f"Not so: {goal}. {before} still within reach; move {closed} closed the road. Read its reason.")
        copied = any(why.copied for why in road.moments[closed].why)
        believes, hint = ("M9",) if copied and road.moments[closed].action.op == "write" else (), 2
    else:
        lines.append(f"Not yet: {goal}. It is still within reach. Who moves next: {listed(road.movers())}?")
    return Advice(tuple(lines), score, road.trace, believes, hint)


def _caption(moment: Moment) -> str:
    from ..view.words import caption

    return caption(moment)


def listed(words: list[str], joined: str = "or") -> str:
    """Words as a sentence lists them.

    >>> listed(["a", "b", "c"])
    'a, b or c'
    """
    return f" {joined} ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
