"""All executions of a test as one graph of states, in data and in words; view.dot draws it."""

from dataclasses import dataclass

from ..explore.schedules import CHOICE, Graph
from ..litmus.run import DRAIN, final_values, frame_of
from ..litmus.verdict import Verdict, initial_frames
from ..mm import ZERO_PAGE, Action, State, Swp, step
from .words import plural, short

__all__ = ["LIMIT", "End", "Executions", "executions_text"]

_DRAIN = Action(DRAIN, "drain")
LIMIT = 60  # states: beyond that neither a drawing nor a list says anything


@dataclass(frozen=True)
class End:
    """Where executions end: ``bad`` or not, and how many of them end in this state."""

    bad: bool
    count: int


@dataclass(frozen=True)
class Executions:
    """What a drawing of all executions needs, for each state by its number: what it holds, the steps out of
    it (words, what they break COW by, successor), and the end it is, if it is one."""

    verdict: Verdict
    labels: tuple[tuple[str, ...], ...]
    steps: tuple[tuple[tuple[str, str, int], ...], ...]
    ends: tuple[End | None, ...]

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
        return cls(v, labels, tuple(steps), counted)

    @property
    def bad_words(self) -> str:
        """What makes an end bad, in the words of the condition."""
        c = self.verdict.test.condition
        holds = any(f.satisfies for f in self.verdict.finals)
        return c.text if c.quantifier != "forall" or not holds else f"not ({c.text})"


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


def executions_text(x: Executions) -> str:
    """The same graph in words: each state, the steps out of it and where they lead, and the ends."""
    v = x.verdict
    counts = ((len(x.labels), "state"), (sum(map(len, x.steps)), "step"), (v.executions, "execution"))
    size = ", ".join(plural(n, noun) for n, noun in counts)
    lines = [f"All executions of {v.test.name} on {v.kernel.name}", size, f"An end is bad where: {x.bad_words}", ""]
    if len(x.labels) > LIMIT:
        lines[3] = f"More than {LIMIT} states: too many to draw or to list. The ends:"
        for f in v.finals:
            held = "; ".join(f"{n}={value}" for n, value in f.trace.values.items())
            lines.append(f"  {plural(f.count, 'execution')}: {held}")
        return "\n".join(lines)
    for i, (label, end, out) in enumerate(zip(x.labels, x.ends, x.steps, strict=True)):
        head = f"state {i + 1}" + (", start" if i == 0 else "")
        if end:
            head += f", {'BAD END' if end.bad else 'good end'} of {plural(end.count, 'execution')}"
        lines.append(head)
        lines += [f"  {line}" for line in label]
        lines += [f"  {words} -> state {j + 1}" + (f"  ({how})" if how else "") for words, how, j in out]
    return "\n".join(lines)
