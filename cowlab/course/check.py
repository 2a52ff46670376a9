"""Advisory checks of an exercise: what is right so far, what differs, and where. Nothing here gives marks.

Each check recomputes the answer with the engine, for the test at hand; no key is stored, and none is printed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..explore.schedules import explore
from ..explore.symmetry import renamed
from ..litmus import LitmusError, Moment, Test, Trace, judge, load, parse
from ..litmus.run import final_values, frame_of, parents_of, ready
from ..litmus.verdict import initial_frames
from ..mm import Kernel, boot, kernel, step
from .ask import live, markup, plain, reply
from .bank import QUESTIONS
from .progress import DONT_KNOW

__all__ = ["Advice", "check_choice", "check_schedule", "check_test"]


@dataclass(frozen=True)
class Advice:
    """What a check says. ``score`` runs from 0 to 1; ``trace`` is an execution that explains it, if there is one."""

    said: tuple[str, ...]
    score: float = 0.0
    trace: Trace | None = None

    @property
    def ok(self) -> bool:
        return self.score == 1

    def points(self, of: float) -> float:
        """The score, out of so many points."""
        return round(self.score * of, 2)

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
            who = _or(road.movers()) or "nobody, all columns are used up"
            lines.append(f"{n}  {proc} {what} here. Who can: {who}.")
            return Advice(tuple(lines), 0.0, road.trace)
        road.move(proc)
        lines.append(f"{n}  {_caption(road.moments[-1])}")
        first = n if first is None and road.holds() else first
        closed = n if closed is None and road.moves_left() is None else closed
    n, score = len(road.moments) - 1, 0.0
    if not n:
        lines.append(f"No moves yet. Who can make the first: {_or(road.movers())}.")
    elif road.holds():
        score = 0.5 if shortest and n > whole else 1.0
        lines.append(
            f"Yes: {goal} after {n} moves." + (" None of them can be spared." if shortest and score == 1 else "")
        )
        if score < 1:
            late = f" It holds after move {first} already." if first < n else " One that you made is not needed."
            lines.append(f"There is a shorter schedule.{late}")
    elif closed:
        before = f"After move {closed - 1} it was" if closed > 1 else "At the start it was"
        lines.append(f"Not so: {goal}. {before} still within reach; move {closed} closed the road. Read its reason.")
    else:
        lines.append(f"Not yet: {goal}. It is still within reach. Who moves next: {_or(road.movers())}?")
    return Advice(tuple(lines), score, road.trace)


def check_test(
    text: str, leaks_on: str = "v5.7", not_on: str = "v5.8", without: tuple[str, ...] = ("munmap",)
) -> Advice:
    """Is ``text`` a litmus test in which one process's reference ends up with what another one wrote, in a private
    mapping, on one kernel and not on the other, and without these steps? Half for a leak, all for both.

    >>> check_test(load("child-reads-parent-secret").text)
    This one is to do without munmap. How else does a process stop mapping a page?
    """
    if not isinstance(text, str) or not text.strip():
        return Advice(("A litmus test is text. Start from the one in the lesson.",))
    try:
        test = parse(text, "your test")
    except LitmusError as e:
        return Advice((f"Not a litmus test yet: {e}",))
    problem = _not_a_leak(test, without)
    if problem:
        return Advice((problem,))
    old, new = judge(test, kernel(leaks_on)), judge(test, kernel(not_on))
    if not old.positive:
        last = old.finals[-1].trace
        return Advice((
            f"It parses. On {leaks_on} no order makes `{test.condition.text}` hold ({old.executions} tried).",
            f"Here is one of them: `{'; '.join(last.steps)}`. Look at the write: who maps the frame just then?",
        ), 0.0, last)  # fmt: skip
    if new.positive:
        return Advice((
            f"Right so far: it leaks on {leaks_on}, in {old.positive} of {old.executions} executions.",
            f"But it leaks on {not_on} too: `{'; '.join(new.witness.steps)}`. When is the reference taken "
            f"there, and of what?",
        ), 0.5, new.witness)  # fmt: skip
    return Advice((
        f"Yes. {leaks_on}: {old.verdict} ({old.positive} of {old.executions}). {not_on}: {new.verdict}.",
        f"First order that leaks: `{'; '.join(old.witness.steps)}`.",
    ), 1.0, old.witness)  # fmt: skip


def check_choice(answer: Mapping[str, str], **questions: str) -> Advice:
    """Several choices at once: ``check_choice(q3, choice="05-ex-exec", reason="05-ex-exec-reason")``.

    >>> check_choice({}, choice="05-ex-exec")
    choice: nothing chosen yet.
    """
    if not isinstance(answer, Mapping):
        return Advice((f"The answer is a dict with {_or([repr(key) for key in questions], 'and')}.",))
    said, right, trace = [], 0, None
    for key, id in questions.items():
        given, question = str(answer.get(key, DONT_KNOW)).strip().lower(), QUESTIONS[id]
        if given == DONT_KNOW:
            said.append(f"{key}: nothing chosen yet.")
            continue
        response = reply(question, given)
        right += given == question.right
        said.append(f"{key}: {response.text}" + (f" {response.look}" if given != question.right else ""))
        if response.schedule and given != question.right and trace is None:
            trace = response.schedule.trace()
    return Advice(tuple(said), right / len(questions), trace)


def _not_a_leak(test: Test, without: tuple[str, ...]) -> str:
    """Why the condition does not speak of one process's reference and another one's write, or an empty string."""
    used = sorted({a.op for program in test.columns.values() for a in program} & set(without))
    if used:
        words = _or([f"`{op}`" for op in used])
        return f"This one is to do without {words}. How else does a process stop mapping a page?"
    m = re.fullmatch(r"(\S+)\.(\S+) == (\S+)", test.condition.text)
    if test.condition.quantifier != "exists" or not m:
        return "The condition should have the form `exists C.pipe == new`: what a process's reference holds at the end."
    proc, name, value = m.groups()
    taken = next((a for a in test.columns.get(proc, ()) if a.ref == name and a.page), None)
    if taken is None:
        return f"`{proc}.{name}` is no reference that {proc} takes. Steps such as `vmsplice x -> pipe` take one."
    if "shared" in test.pages[taken.page][1]:
        return f"`{taken.page}` is shared, so everybody is meant to see it. The question is about a private mapping."
    steps = [a for program in test.columns.values() for a in program]
    writers = {a.proc for a in steps if a.op in ("write", "store") and a.arg == value}
    if value in {v for v, _ in test.pages.values()} or not writers or proc in writers:
        return f"`{value}` should be something that another process than {proc} writes, and not there at the start."
    return ""


def _caption(moment: Moment) -> str:
    from ..view.words import caption

    return caption(moment)


def _or(words: list[str], joined: str = "or") -> str:
    return f" {joined} ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
