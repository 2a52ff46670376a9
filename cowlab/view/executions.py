"""All executions of a test as one graph of states, in data and in words; view.dot draws it.

Up to FULL states a box says all that its state holds, up to LIMIT it is a number and the words say the rest. Beyond
that the states are folded: one group for all from which the same outcomes can still be reached.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

from ..explore.schedules import CHOICE, Graph
from ..litmus.run import DRAIN, final_values, frame_of
from ..litmus.verdict import Verdict, ending, initial_frames
from ..mm import ZERO_PAGE, Action, State, Swp, step
from .words import plural, short

__all__ = ["FULL", "LIMIT", "End", "Executions", "executions_text", "fold"]

_DRAIN = Action(DRAIN, "drain")
FULL, LIMIT = 60, 300  # states


@dataclass(frozen=True)
class End:
    """Where executions end: ``bad`` or not, and how many of them end in this state."""

    bad: bool
    count: int


@dataclass(frozen=True)
class Executions:
    """What a drawing of all executions needs, for each state by its number: what it holds, the steps out of
    it (words, what they break COW by, successor), and the end it is, if it is one. ``way``: the steps of a shortest way
    to a bad end; ``bold``: the same as (state, number of the step out of it). ``folded`` is empty, or says of what."""

    verdict: Verdict
    labels: tuple[tuple[str, ...], ...]
    steps: tuple[tuple[tuple[str, str, int], ...], ...]
    ends: tuple[End | None, ...]
    way: tuple[str, ...] = ()
    bold: frozenset[tuple[int, int]] = frozenset()
    folded: str = ""

    @classmethod
    def of(cls, v: Verdict, bad: bool | None = None) -> "Executions":
        """``bad``: is an end bad where the condition holds (True) or where it does not (False)? By default it
        holds in the bad ends of ``exists`` and ``~exists``, and in the good ends of ``forall``."""
        bad = v.test.condition.quantifier != "forall" if bad is None else bad
        graph = v.graph or _one_execution(v)
        initial = initial_frames(graph.nodes[0][1])
        programs = list(v.test.columns.values())
        ways = [1] + [0] * (len(graph.nodes) - 1)
        steps, ends = [], []
        for i in reversed(graph.backward()):
            for _, j in graph.edges[i]:
                ways[j] += ways[i]
        for (positions, state), out in zip(graph.nodes, graph.edges, strict=True):
            row = []
            for column, j in out:
                action = _DRAIN if column == CHOICE else programs[column][positions[column]]
                why = step(state, v.kernel, action).why
                row.append((str(action), _break(why), j))
            steps.append(tuple(row))
            ends.append(None if out else v.test.condition.holds(final_values(state), frame_of(state) | initial) == bad)
        labels = tuple(tuple(_label(s, initial)) for _, s in graph.nodes)
        counted = tuple(None if b is None else End(b, n) for b, n in zip(ends, ways, strict=True))
        bold = _shortest(steps, counted)
        return cls(v, labels, tuple(steps), counted, tuple(steps[i][n][0] for i, n in bold), frozenset(bold))

    @property
    def bad_words(self) -> str:
        """What makes an end bad, in the words of the condition."""
        c = self.verdict.test.condition
        holds = any(f.satisfies for f in self.verdict.finals)
        return c.text if c.quantifier != "forall" or not holds else f"not ({c.text})"


def _shortest(steps, ends: Sequence[End | None]) -> list[tuple[int, int]]:
    """A shortest way from the start to a bad end, as (state, number of the step out of it); empty if there is none."""
    came: dict[int, tuple[int, int] | None] = {0: None}
    queue = deque([0])
    while queue:
        i = queue.popleft()
        if ends[i] and ends[i].bad:
            way = []
            while came[i] is not None:
                way.append(came[i])
                i = came[i][0]
            return way[::-1]
        for n, (_, _, j) in enumerate(steps[i]):
            if j not in came:
                came[j] = (i, n)
                queue.append(j)
    return []


def _one_execution(v: Verdict) -> Graph:
    """The graph of a verdict over one schedule: a chain."""
    moments, columns = v.finals[0].trace.moments, list(v.test.columns)
    at, nodes, edges = [0] * len(columns), [], []
    for n, m in enumerate(moments):
        nodes.append((tuple(at), m.state))
        if n + 1 < len(moments):
            action = moments[n + 1].action
            column = CHOICE if action.proc == DRAIN else columns.index(action.thread or action.proc)
            edges.append([(column, n + 1)])
            if column != CHOICE:
                at[column] += 1
    return Graph(nodes, [*edges, []])


def _break(why) -> str:
    """``copy``, ``reuse`` or both, if this step decided who keeps the page."""
    said = ["copy"] * any(w.copied for w in why) + ["reuse"] * any(w.did.startswith("reuses") for w in why)
    return " and ".join(said)


def _label(s: State, initial: dict[str, int]):
    """A line for each frame that something names: which frame, what it holds, who names it."""
    names: dict[int, list[str]] = {}
    for name, frame in frame_of(s).items():
        names.setdefault(frame, []).append(name)
    known = {f: name for name, f in initial.items()} | {ZERO_PAGE: "zero page"}
    later = sorted(f for f in names if f not in known)
    known |= {f: "new frame" + (f" {n}" if len(later) > 1 else "") for n, f in enumerate(later, 1)}
    for frame in sorted(names):
        yield f"{known[frame]} holds {short(s.frames[frame].value, 12)}: {', '.join(names[frame])}"
    for p in s.procs:
        if p.mm is None or p.fault:
            yield f"{p.name} {p.fault or 'exited'}"
        entries = zip(s.pages, p.mm.ptes, strict=True) if p.mm else ()
        yield from (f"{p.name}.{page} in swap" for page, t in entries if isinstance(t, Swp))
    yield from (f"{r.proc}.{r.name} {r.error}" for r in s.refs if r.frame is None)
    registers = [f"{p.name}.{n} = {short(value, 12)}" for p in s.procs for n, value, frame in p.regs if frame is None]
    yield from registers


def fold(x: Executions) -> Executions:
    """One group for all states from which the same final states can still be reached; where that leaves more than
    FULL, for all from which bad ends, good ends, or both can still be reached. A verdict over one schedule stays."""
    graph = x.verdict.graph
    if graph is None or x.folded:
        return x
    start = graph.nodes[0][1]
    initial, keep = initial_frames(start), len(start.frames)
    kinds = [None if out else ending(s, initial, keep) for (_, s), out in zip(graph.nodes, graph.edges, strict=True)]
    outcomes = list(dict.fromkeys(k for k in kinds if k is not None))
    folded = _fold(x, [None if k is None else outcomes.index(k) for k in kinds])
    return folded if len(folded.labels) <= FULL else _fold(x, [None if e is None else int(e.bad) for e in x.ends])


def _fold(x: Executions, kinds: Sequence[int | None]) -> Executions:
    """``kinds``: for each state the kind of end it is, or None."""
    reach: list[frozenset[int]] = [frozenset()] * len(kinds)
    for i in x.verdict.graph.backward():
        own = () if kinds[i] is None else (kinds[i],)
        reach[i] = frozenset(own).union(*(reach[j] for _, _, j in x.steps[i]))
    groups = list(dict.fromkeys((reach[i], kinds[i] is not None) for i in range(len(kinds))))
    group_of = [groups.index((reach[i], kinds[i] is not None)) for i in range(len(kinds))]
    bad = {k: x.ends[i].bad for i, k in enumerate(kinds) if k is not None}
    labels, steps, ends, bold = [], [], [], set()
    for g, (open_, last) in enumerate(groups):
        inside = [i for i, a in enumerate(group_of) if a == g]
        out: dict[tuple[str, int], list[str]] = {}
        for i in inside:
            for n, (words, how, j) in enumerate(x.steps[i]):
                if group_of[j] != g:
                    out.setdefault((how, group_of[j]), []).append(words)
                    if (i, n) in x.bold:
                        bold.add((g, list(out).index((how, group_of[j]))))
        rows = []
        for (how, j), words in out.items():
            first, *more = dict.fromkeys(words)
            rows.append((first + (f", and {plural(len(more), 'other step')}" if more else ""), how, j))
        steps.append(tuple(rows))
        ends.append(End(x.ends[inside[0]].bad, sum(x.ends[i].count for i in inside)) if last else None)
        if last:
            same = [line for line in x.labels[inside[0]] if all(line in x.labels[i] for i in inside)]
        else:
            counts = [(sum(bad[k] for k in open_), "bad outcome"), (sum(not bad[k] for k in open_), "good outcome")]
            same = [f"still open: {' and '.join(plural(n, noun) for n, noun in counts if n)}"]
        labels.append((plural(len(inside), "state"), *same))
    many = f"{plural(len(x.labels), 'state')}{' are too many to draw' if len(x.labels) > LIMIT else ''}"
    said = f"Folded: {many}. States from which the same ends can still be reached are one group; a step from group to "
    said += "group decided something."
    return Executions(x.verdict, tuple(labels), tuple(steps), tuple(ends), x.way, frozenset(bold), said)


def executions_text(x: Executions) -> str:
    """The same graph in words: each state, the steps out of it and where they lead, and the ends. ``bold`` marks the
    steps of a shortest way to a bad end."""
    v, thing = x.verdict, "group" if x.folded else "state"
    counts = ((len(x.labels), thing), (sum(map(len, x.steps)), "step"), (v.executions, "execution"))
    size = ", ".join(plural(n, noun) for n, noun in counts)
    lines = [f"All executions of {v.test.name} on {v.kernel.name}", size, f"An end is bad where: {x.bad_words}"]
    lines += fill(x.folded, 100).splitlines()
    if x.way:
        lines += fill(f"Shortest way to a bad end: {'; '.join(x.way)}", 100, subsequent_indent="  ").splitlines()
    lines.append("")
    for i, (label, end, out) in enumerate(zip(x.labels, x.ends, x.steps, strict=True)):
        head = f"{thing} {i + 1}" + (", start" if i == 0 else "")
        if end:
            head += f", {'BAD END' if end.bad else 'good end'} of {plural(end.count, 'execution')}"
        lines.append(head)
        lines += [f"  {line}" for line in label]
        for n, (words, how, j) in enumerate(out):
            marks = [f"  ({mark})" for mark in (how, "bold" * ((i, n) in x.bold)) if mark]
            lines.append(f"  {words} -> {thing} {j + 1}{''.join(marks)}")
    return "\n".join(lines)
