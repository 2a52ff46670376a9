"""Two small graphs: who shares what in one moment, and who forked whom. Drawn by graphviz, and in words."""

import re
from dataclasses import dataclass
from functools import cached_property

from ..litmus import Test, Trace, load
from ..mm import KERNEL_THREADS
from .dot import digraph, node
from .drawn import Drawn
from .scene import Scene, scene
from .words import plural, short

__all__ = ["Family", "Shared", "family", "who_shares"]


@dataclass(frozen=True, repr=False)
class Shared(Drawn):
    """Who can see whose data: everything that maps or holds pages on one side, the frames that two or more of them
    share on the other. A frame that only one has stands inside its box."""

    scene: Scene

    def __repr__(self) -> str:
        return f"<who shares what in {self.scene.title}>"

    @cached_property
    def links(self) -> tuple[tuple[str, str, str, str], ...]:
        """(who, frame, by what, how): how is writable, read-only, reference, pin, cache or none."""
        s = self.scene
        mapped = [(e.name.partition(".")[0], e.frame, e.page, "writable" if e.write else "read-only") for e in s.mapped]
        held = [(f"{h.name} ({h.kind})", h.frame, "", h.edge) for h in s.holders if h.there and h.frame is not None]
        return (*mapped, *held)

    @property
    def shared(self) -> list[str]:
        """The frames that two or more have."""
        owners: dict[str, set[str]] = {}
        for who, frame, _, _ in self.links:
            owners.setdefault(frame, set()).add(who)
        return [f.label for f in self.scene.frames if len(owners.get(f.label, ())) > 1]

    def _what(self, frame: str) -> str:
        f = next(f for f in self.scene.frames if f.label == frame)
        return f"{f.title}, {'junk' if f.state != 'allocated' else short(f.value, 14)}"

    def _boxes(self) -> dict[str, list[str]]:
        """Who -> what only they have, in words."""
        living = [p.name for p in self.scene.processes if p.there and not p.status]
        boxes = {who: [] for who in dict.fromkeys([*living, *(who for who, *_ in self.links)])}
        for who, frame, page, _ in self.links:
            if frame not in self.shared:
                boxes[who].append(f"{page and page + ': '}alone with {self._what(frame)}")
        return boxes

    @cached_property
    def text(self) -> str:
        lines = [f"Who shares what in {self.scene.title}"]
        for frame in self.shared:
            lines.append(f"{self._what(frame)}, is shared by:")
            lines += [
                f"  {who}: {' '.join(filter(None, [page, how]))}" for who, f, page, how in self.links if f == frame
            ]
        for who, alone in self._boxes().items():
            lines += [f"{who}: {words}" for words in alone]
            if not alone and not any(w == who for w, *_ in self.links):
                lines.append(f"{who}: has no frame")
        return "\n".join(lines)

    @property
    def alt(self) -> str:
        return f"Who shares what in {self.scene.title}. {self.scene.summary}"

    def to_dot(self):
        g = digraph("shared", self.scene.title)
        for who, alone in self._boxes().items():
            node(g, f"who {who}", "\n".join([who, *alone]), "rounded" if "(" in who else "solid")
        for frame in self.shared:
            node(g, f"frame {frame}", self._what(frame), "solid,bold")
        for who, frame, page, how in self.links:
            if frame in self.shared:
                style = {"writable": "solid", "read-only": "dashed"}.get(how, "dotted")
                g.edge(f"who {who}", f"frame {frame}", label=" " + " ".join(filter(None, [page, how])), style=style)
        return g


@dataclass(frozen=True, repr=False)
class Family(Drawn):
    """Who forked whom, and what else each process does: a tree. Threads stand with their process."""

    name: str
    steps: tuple[tuple[str, tuple[str, ...]], ...]  # process -> its own steps, in order
    forks: tuple[tuple[str, str, int], ...]  # parent, child, after how many steps of the parent
    threads: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"<family tree of {self.name}: {plural(len(self.forks), 'fork')}>"

    def _label(self, proc: str) -> list[str]:
        return [proc, *(step for step in dict(self.steps)[proc] if not step.startswith("fork "))]

    def _when(self, parent: str, n: int) -> str:
        return "first of all" if n == 0 else f"after {dict(self.steps)[parent][n - 1]}"

    @cached_property
    def text(self) -> str:
        lines, parents = [f"Family tree of {self.name}"], {child: (parent, n) for parent, child, n in self.forks}
        children = {p: [c for q, c, _ in self.forks if q == p] for p, _ in self.steps}

        def tell(proc, depth):
            head, *does = self._label(proc)
            born = f", forked by {parents[proc][0]} {self._when(*parents[proc])}" if proc in parents else ""
            thread = f", a thread of {dict(self.threads)[proc]}" if proc in dict(self.threads) else ""
            lines.append(f"{'  ' * depth}{head}{born}{thread}" + (f": {'; '.join(does)}" if does else ""))
            for child in children[proc]:
                tell(child, depth + 1)

        for proc, _ in self.steps:
            if proc not in parents:
                tell(proc, 0)
        return "\n".join(lines)

    @property
    def alt(self) -> str:
        return " ".join([f"Family tree of {self.name}.", *(f"{p} forks {c}." for p, c, _ in self.forks)])

    def to_dot(self):
        g = digraph("family", self.name)
        g.attr(rankdir="TB")
        for proc, _ in self.steps:
            kind = "dotted" if proc in KERNEL_THREADS else "dashed" if proc in dict(self.threads) else "solid"
            name, *steps = map(_in_record, self._label(proc))
            label = "{%s|%s}" % (name, "".join(step + "\\l" for step in steps)) if steps else name  # noqa: UP031
            g.node(proc, label, shape="record", style=kind)
        for parent, child, n in self.forks:
            g.edge(parent, child, label=f"   fork, {self._when(parent, n)} ")
        for thread, proc in self.threads:
            g.edge(proc, thread, label=" thread", style="dashed", dir="none")
        return g


def _in_record(text: str) -> str:
    """As graphviz wants it in a box of several parts."""
    return re.sub(r"([{}|<>\\])", r"\\\1", text)


def who_shares(trace: Trace, step: int = -1) -> Shared:
    """Who shares what after ``step`` steps of a trace; 0 is the start, -1 the end. Raises IndexError.

    >>> from cowlab import kernel, load, run
    >>> print(who_shares(run(load("child-reads-parent-secret"), kernel("v5.7"), "P C C P")))
    Who shares what in child-reads-parent-secret on v5.7, step 4 of 4
    frame 0, new, is shared by:
      P: x writable
      C.pipe (pipe): reference
    C: has no frame
    """
    return Shared(scene(trace, step))


def family(test: Test | str) -> Family:
    """The fork tree of a test, or of a test of the catalogue by its name.

    >>> print(family("child-reads-parent-secret"))
    Family tree of child-reads-parent-secret
    P: write x new
      C, forked by P first of all: vmsplice x -> pipe; munmap x
    """
    test = test if isinstance(test, Test) else load(test)
    programs = {p: tuple(str(a).partition(": ")[2] for a in test.columns.get(p, ())) for p in test.processes}
    programs |= {c: tuple(str(a).partition(": ")[2] for a in actions) for c, actions in test.columns.items()}
    forks = [(p, a.arg, n) for p, actions in test.columns.items() for n, a in enumerate(actions) if a.op == "fork"]
    return Family(test.name, tuple(programs.items()), tuple(forks), tuple(test.threads.items()))
