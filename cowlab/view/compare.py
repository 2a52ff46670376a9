"""One schedule on two or more kernels, step by step, with the first difference and the rules that make it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from textwrap import fill

from ..litmus import LitmusError, Moment, Test, Trace, load, run
from ..litmus.rules import asks, said, word
from ..litmus.run import parents_of, ready
from ..mm import Kernel, boot, kernel, step
from .bundle import figure
from .decide import between
from .html import TWIN, details, html_and_text, paragraphs, pre
from .scene import Scene, room, scenes
from .svg import scene_svg

__all__ = ["Comparison", "compare"]

BUDGET = 90_000  # bytes of HTML in a stored comparison; beyond it, places in words only


@dataclass(frozen=True, repr=False)
class Comparison:
    """``places[n]`` is where each trace stands after n moves of the schedule: a step that a kernel does not take,
    because the process is dead or blocked there, leaves its trace where it was. Displays as pictures, prints as
    words."""

    name: str
    schedule: tuple[str, ...]
    traces: tuple[Trace, ...]
    places: tuple[tuple[int, ...], ...]

    def __repr__(self) -> str:
        return f"<{self.name} side by side on {self.kernels}: {len(self.schedule)} steps>"

    def __str__(self) -> str:
        return self.text

    @property
    def kernels(self) -> str:
        return " and ".join(t.kernel.name for t in self.traces)

    @cached_property
    def scenes(self) -> tuple[tuple[Scene, ...], ...]:
        """For each place the scenes of all kernels; all of them have the same places for the same things."""
        rooms = [room(t) for t in self.traces]
        common = rooms[0]
        for other in rooms[1:]:
            common |= other
        drawn = [scenes(t, common) for t in self.traces]
        return tuple(tuple(d[at] for d, at in zip(drawn, place, strict=True)) for place in self.places)

    @cached_property
    def differs(self) -> tuple[frozenset[tuple[str, str]], ...]:
        """For each place the boxes (kind, name) that are not the same on all kernels."""
        return tuple(_differing(place) for place in self.scenes)

    @cached_property
    def first(self) -> int | None:
        """The first place at which something differs; None where nothing ever does."""
        return next((n for n, boxes in enumerate(self.differs) if boxes), None)

    def moved(self, n: int, k: int) -> Moment | None:
        """What kernel ``k`` did in move ``n``; None if its process could not move there."""
        at = self.places[n][k]
        return self.traces[k].moments[at] if n and at != self.places[n - 1][k] else None

    def action(self, n: int) -> str:
        """Move ``n`` in words."""
        moves = [m for k in range(len(self.traces)) if (m := self.moved(n, k))]
        return str(moves[0].action) if moves else "the start" if n == 0 else f"{self.schedule[n - 1]}: no move"

    @cached_property
    def why(self) -> tuple[str, ...]:
        """The first difference explained, a sentence each: what each kernel did, and the rules that decided it."""
        if self.first is None:
            return (f"{self.kernels} do not differ in this schedule.",)
        n = self.first
        if n == 0:
            return ("They differ from the start.",)
        lines = [f"The first difference is at step {n} of {len(self.schedule)}, {self.action(n)}."]
        for k, t in enumerate(self.traces):
            done = " ".join(self.scenes[n][k].events) if self.moved(n, k) else "the process cannot move."
            lines.append(f"On {t.kernel.name}: {done}")
        return (*lines, *self.rules)

    @cached_property
    def rules(self) -> tuple[str, ...]:
        """The rules that decide at the first difference, and each kernel's answer."""
        n, fields, told = self.first or 0, {}, []
        for k, t in enumerate(self.traces):
            if m := self.moved(n, k):
                before = t.moments[self.places[n][k] - 1].state
                rivals = (u.kernel for u in self.traces if u is not t)
                fields |= dict.fromkeys(f for u in rivals for f in between(before, t.kernel, m, u))
        for field in fields:
            answers = []
            for t in self.traces:
                rule = getattr(t.kernel, field)
                law = said(field, rule)[0]
                answers.append(f"{t.kernel.name}: {word(rule)}" + (f" ({law.rstrip('.')})" if law else ""))
            told.append(f"The rule that differs, {asks()[field].rstrip('?.')}? {'; '.join(answers)}.")
        return tuple(told)

    @cached_property
    def text(self) -> str:
        lines = [f"{self.name} side by side on {self.kernels}", ""]
        lines += [fill(line, 100, subsequent_indent="  ") for line in self.why]
        for n, place in enumerate(self.scenes):
            lines += ["", f"{self.place(n)}: {self.action(n)}"]
            boxes = ", ".join(self.names(n))
            for k, (t, s) in enumerate(zip(self.traces, place, strict=True)):
                told = " ".join(s.events) if self.moved(n, k) else "" if n == 0 else "It cannot move here."
                said = " ".join(filter(None, [f"on {t.kernel.name}:", told, s.summary]))
                lines.append(fill(said, 100, initial_indent="  ",
                                  subsequent_indent="    "))  # fmt: skip
            lines.append(fill(f"differs: {boxes}" if boxes else "the same", 100, initial_indent="  "))
        return "\n".join(lines)

    def place(self, n: int) -> str:
        return f"step {n} of {len(self.schedule)}" if n else "start"

    def names(self, n: int) -> list[str]:
        """What differs at a place, by the names that the pictures have: P.x, frame 0, C.pipe."""
        s, differs = self.scenes[n][0], self.differs[n]
        named = [("process", p.name, f"process {p.name}") for p in s.processes]
        named += [
            ("entry", f"{p.name}.{i}", f"{p.name}.{e.page}") for p in s.processes for i, e in enumerate(p.entries)
        ]
        named += [("register", f"{p.name}.{r.name}", f"{p.name}.{r.name}") for p in s.processes for r in p.registers]
        named += [("frame", f.label, f.title) for f in s.frames] + [("holder", h.name, h.name) for h in s.holders]
        return [name for kind, key, name in named if (kind, key) in differs]

    def html(self, anchor: str = "") -> str:
        """Without script or style: the explanation, then every move folded, the first difference open above."""
        shown = [self._pictures(n) for n in range(len(self.places))]
        words, where = pre(self.text), self.first or 0
        spent, keep = len(words) + len(shown[where]), {where}
        for n in sorted(range(len(shown)), key=lambda n: (n != len(shown) - 1, n)):
            if n not in keep and spent + len(shown[n]) < BUDGET:
                keep.add(n)
                spent += len(shown[n])
        parts = [f"<p><b>{self.name} side by side on {self.kernels}</b></p>", paragraphs(self.why), shown[where]]
        for n, pictures in enumerate(shown):
            inside = pictures if n != where and n in keep else f"<p>{'Above.' if n == where else 'In words below.'}</p>"
            there = f'<div id="{anchor}-{n}">{inside}</div>' if anchor else inside
            parts.append(details(f"{self.place(n).capitalize()}: {self.action(n)}", there))
        return "\n".join([*parts, details("In words", words, TWIN if len(keep) == len(shown) else "")])

    def _pictures(self, n: int) -> str:
        place = self.scenes[n]
        if not self.differs[n] and len({s.caption for s in place}) == 1:
            return f"<p>The same on {self.kernels}:</p>{figure(place[0], scene_svg(place[0]))}"
        marks = self.differs[n]
        return "".join(f"<p><b>On {s.kernel}</b></p>{figure(s, scene_svg(s, marks=marks))}" for s in place)

    def save(self, path: str | Path) -> Path:
        """Write ``.txt``, or ``.html`` with all the pictures in it."""
        path = Path(path)
        ways = {".txt": lambda: self.text, ".html": lambda: f"<!doctype html><meta charset=utf-8>{self.html()}"}
        if path.suffix not in ways:
            raise ValueError(f"cannot write {path.name!r}: choose a name that ends in {', '.join(ways)}")
        path.write_text(ways[path.suffix]().rstrip("\n") + "\n", "utf-8")
        return path

    def _repr_mimebundle_(self, include=None, exclude=None):
        return html_and_text(self.html(), self.text)


def compare(test: str | Test, schedule: str, kernels: Iterable[str | Kernel] = ("v5.7", "v5.8")) -> Comparison:
    """Run one schedule on several kernels (rows, or their names). The first kernel must be able to take all of it,
    else LitmusError says where it went wrong; a step that another one cannot take is left out there.

    >>> c = compare("child-reads-parent-secret", "P C C P")
    >>> c.first, c.why[0]
    (2, 'The first difference is at step 2 of 4, C: vmsplice x -> pipe.')
    """
    test = test if isinstance(test, Test) else load(test)
    rows = [k if isinstance(k, Kernel) else kernel(k) for k in ([kernels] if isinstance(kernels, str) else kernels)]
    if len(rows) < 2:
        raise LitmusError(f"{len(rows)} kernel is nothing to compare", "give two or more, such as ('v5.7', 'v5.8')")
    first = run(test, rows[0], schedule)
    order = schedule.split() if isinstance(schedule, str) else list(schedule)
    others = [_follow(test, k, order) for k in rows[1:]]
    traces = (first, *(t for t, _ in others))
    places = tuple(zip(range(len(order) + 1), *(at for _, at in others), strict=True))
    return Comparison(test.name, tuple(order), traces, places)


def _follow(test: Test, k: Kernel, order: list[str]) -> tuple[Trace, list[int]]:
    """As run(), but a column that cannot move is left out; and after each move how many moments there are."""
    at, parents, places = dict.fromkeys(test.columns, 0), parents_of(test), [0]
    moments = [Moment(None, boot(k, test.processes[0], test.pages))]
    for proc in order:
        if at[proc] < len(test.columns[proc]) and ready(moments[-1].state, proc, parents):
            a = test.columns[proc][at[proc]]
            moments.append(Moment(a, *step(moments[-1].state, k, a)))
            at[proc] += 1
        places.append(len(moments) - 1)
    return Trace(k, tuple(moments), test.name), places


def _differing(place: tuple[Scene, ...]) -> frozenset[tuple[str, str]]:
    looks = [dict(_look(s)) for s in place]
    keys = {key for look in looks for key in look}
    return frozenset(key for key in keys if len({look.get(key) for look in looks}) > 1)


def _look(s: Scene):
    """What is seen in each box; the PageAnonExclusive bit, which half of the kernels do not have, is left out."""
    for p in s.processes:
        yield ("process", p.name), (p.there, p.status)
        for i, e in enumerate(p.entries):
            yield ("entry", f"{p.name}.{i}"), (e.there, e.mapping, e.frame, e.write, e.slot, e.notes, e.reads)
        for r in p.registers:
            yield ("register", f"{p.name}.{r.name}"), (r.there, r.value)
    for f in s.frames:
        flags = tuple(w for w in f.flags if "exclusive" not in w)
        yield ("frame", f.label), (f.there, f.state, f.value, f.mapcount, f.refcount, f.pins, flags)
    for h in s.holders:
        yield ("holder", h.name), (h.there, h.state, h.frame, h.error, h.value, h.pin)
