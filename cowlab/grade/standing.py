"""Where a learner's design stands: among all kernels of history, the roads not taken, and the Pareto front of
`cowlab designs`. A table in words, and a picture of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

from .. import designs
from ..course.check import listed
from ..litmus import LitmusError
from ..mm import KERNELS, ROADS
from .rubric import row

__all__ = ["Standing", "standing"]

KINDS = len(designs.TESTS)
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 420, 56, 16, 64, 50
SHAPES = {  # what stands for what; never a colour alone
    "history": ('<circle cx="{x}" cy="{y}" r="5" fill="#0072b2"/>', "a kernel of history"),
    "road": ('<rect x="{x5}" y="{y5}" width="10" height="10" fill="#d55e00"/>', "a road not taken"),
    "front": ('<path d="M{x5} {y}h10M{x} {y5}v10" stroke="#57606a" stroke-width="2"/>', "a design of the front"),
    "yours": ('<path d="M{x} {y9}L{x9} {y}L{x} {yy9}L{xx9} {y}Z" fill="#fff8d6" stroke="#1b1f24" stroke-width="3"/>',
              "yours"),
}  # fmt: skip


def standing(changes: Mapping[str, Any], base: str, front: Sequence[designs.Assessment] = ()) -> "Standing":
    """Where the row ``base`` with these fields changed stands; without changes, where ``base`` does. With ``front``,
    what ``designs.pareto(designs.table())`` found, the designs that no other one beats stand there as well.

    >>> str(standing({}, "v5.8")).endswith("nowhere worse, and somewhere better.")
    True
    """
    return Standing(changes, base, tuple(front))


@dataclass(frozen=True, repr=False)
class Standing:
    """Prints as a table: a line for each row, less being better; `*` is on the Pareto front of these lines. Displays
    with a picture: pages filled from left to right, tests lost from bottom to top."""

    changes: Mapping[str, Any]
    base: str
    front: tuple[designs.Assessment, ...] = ()

    @cached_property
    def lines(self) -> list[tuple[str, str, designs.Assessment]]:
        """(kind, name, assessment) of each row; the last one is the learner's. Raises LitmusError."""
        yours = designs.assess(row(self.base, self.changes))
        rows = (KERNELS | ROADS).items()
        found = [("history" if n.startswith("v") else "road", n, designs.assess(k)) for n, k in rows]
        return [*found, *(("front", a.kernel.name, a) for a in self.front), ("yours", "yours", yours)]

    @cached_property
    def problem(self) -> str:
        """Why this is no row, or an empty string."""
        if not isinstance(self.changes, Mapping):
            return "The answer is a dict: field -> rule."
        try:
            row(self.base, self.changes)
        except LitmusError as e:
            return str(e)
        return ""

    @property
    def best(self) -> set[tuple[int, ...]]:
        """The columns of those that no other line beats."""
        return {a.columns for a in designs.pareto(a for _, _, a in self.lines)}

    @property
    def verdict(self) -> str:
        """Who beats it."""
        yours = self.lines[-1][2]
        if stronger := [name for _, name, a in self.lines if a.beats(yours)]:
            return f"Yours is beaten by {listed(stronger, 'and')}: nowhere worse, and somewhere better."
        return "Nothing in this table beats yours."

    def __repr__(self) -> str:
        if self.problem:
            return self.problem
        best = self.best
        wide = max(len(name) for _, name, _ in self.lines)
        text = [" " * (wide + 2) + "".join(f"{h:>12}" for h in (*designs.TESTS, *designs.WORKLOADS))]
        for _, name, a in self.lines:
            star = "*" if a.columns in best else " "
            text.append(f"{star} {name:<{wide}}" + "".join(f"{n:>12}" for n in a.columns))
        return "\n".join([*text, self.verdict])

    def svg(self) -> str:
        """The picture: tests lost over pages filled, all kinds and all workloads together."""
        at: dict[tuple[int, int], list] = {}
        for line in self.lines:
            columns = line[2].columns
            at.setdefault((sum(columns[KINDS:]), sum(columns[:KINDS])), []).append(line)
        best = self.best
        most_x, most_y = (max(point[n] for point in at) for n in (0, 1))
        least_x = min(x for x, _ in at) - 1

        def place(x: float, y: float) -> tuple[float, float]:
            across = (x - least_x) / (most_x + 2 - least_x)
            return (round(LEFT + across * (WIDTH - LEFT - RIGHT), 1),
                    round(HEIGHT - BOTTOM - y / (most_y + 2) * (HEIGHT - TOP - BOTTOM), 1))  # fmt: skip

        parts, (left, floor) = [], place(least_x, 0)
        for n in range(0, most_y + 2, 5):
            y = place(0, n)[1]
            parts.append(f'<path d="M{left} {y}H{WIDTH - RIGHT}" stroke="#d0d7de"/>')
            parts.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{n}</text>')
        for n in range(least_x + 1, most_x + 2):
            parts.append(f'<text x="{place(n, 0)[0]}" y="{floor + 18}" text-anchor="middle">{n}</text>')
        for (px, py), here in sorted(at.items()):
            x, y = place(px, py)
            kinds = dict.fromkeys(kind for kind, _, _ in here)
            parts += [_shape(kind, x, y) for kind in kinds]
            if not (names := [f"* {n}" if a.columns in best else n for kind, n, a in here if kind != "front"]):
                continue
            crowded = any((px, py - n) in at for n in (1, 2))  # then the name stands to the left
            side = f'x="{x - 13}" text-anchor="end"' if crowded else f'x="{x + 13}"'
            weight = ' font-weight="700"' if "yours" in kinds else ""
            parts.append(f'<text {side} y="{y + 4}"{weight}>{escape(", ".join(names))}</text>')
        legend = [kind for kind in SHAPES if any(k == kind for k, _, _ in self.lines)]
        for n, kind in enumerate(legend):
            parts.append(_shape(kind, LEFT + 12 + 160 * n, 16))
            parts.append(f'<text x="{LEFT + 28 + 160 * n}" y="20">{SHAPES[kind][1]}</text>')
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">pages filled, five workloads</text>')
        parts.append(f'<text x="14" y="{TOP - 14}">tests lost, of all kinds</text>')
        said = f"Down and to the left is better; * is on the Pareto front of all columns. {self.verdict}"
        return (f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
                'style="max-width:100%;height:auto;background:#fff;font:12px system-ui,Helvetica,Arial,sans-serif" '
                f'fill="#1b1f24"><title>Where your design stands</title><desc>{escape(said)}</desc>'
                f"{''.join(parts)}</svg>")  # fmt: skip

    def _repr_mimebundle_(self, include=None, exclude=None):
        if self.problem:
            return {"text/plain": self.problem}
        text = f"<pre>{escape(repr(self))}</pre>"
        return {"text/plain": repr(self), "text/html": f'<figure style="margin:0">{self.svg()}{text}</figure>'}


def _shape(kind: str, x: float, y: float) -> str:
    places = {"x": x, "y": y, "x5": x - 5, "y5": y - 5, "x9": x + 9, "y9": y - 9, "xx9": x - 9, "yy9": y + 9}
    return SHAPES[kind][0].format(**{name: round(value, 1) for name, value in places.items()})
