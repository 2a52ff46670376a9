"""You are the scheduler, as a widget: moves go to Python, which answers with the next position."""

from collections.abc import Callable, Sequence

import traitlets

from ..litmus import LitmusError
from ..view.decide import decisions
from ..view.svg import scene_parts
from ..view.text import scene_text
from ..view.words import plural
from .game import Game
from .shown import Shown, says, script

__all__ = ["Scheduler"]


class Scheduler(Shown):
    """``game`` is the position. ``made`` counts every move, ``back`` those that were taken back."""

    _esm = script("game.js")
    view = traitlets.Dict().tag(sync=True)  # all that is seen
    levels = traitlets.List().tag(sync=True)
    kernels = traitlets.List().tag(sync=True)

    def __init__(self, game: Game, levels: Sequence[str], kernels: Sequence[str], new: Callable[[str, str], Game]):
        self.game, self.made, self.back, self.new, self.start = game, 0, 0, new, game
        super().__init__(levels=list(levels), kernels=list(kernels), view=self._view(""))
        self.on_msg(self._receive)

    def __repr__(self) -> str:
        v = self.start.board.verdict
        return f"Scheduler({v.test.name} on {v.kernel.name})"

    def html(self) -> str:
        return self.start.html()

    @property
    def text(self) -> str:
        return self.start.text

    def _receive(self, _widget, content, _buffers):
        """``{"do": "move", "what": "P"}``; do is move, undo, restart, hint, level or kernel."""
        do, what, hint = content.get("do"), str(content.get("what", "")), ""
        v = self.game.board.verdict
        try:
            if do == "move":
                self.game, self.made = self.game.move(what), self.made + 1
            elif do == "undo" and self.game.moves:
                self.game, self.back = self.game.undo(), self.back + 1
            elif do == "restart":
                self.game, self.made, self.back = self.start, 0, 0
            elif do == "hint":
                hint = self._hint()
            elif do in ("level", "kernel") and what in (self.levels if do == "level" else self.kernels):
                name, on = (what, v.kernel.name) if do == "level" else (v.test.name, what)
                self.game = self.start = self.new(name, on)
                self.made = self.back = 0
        except LitmusError as e:  # such as two clicks, of which the first one ended the game
            hint = str(e)
        self.view = self._view(hint)

    def _hint(self) -> str:
        best, back = self.game.best(), self.game
        if self.game.won:
            return ""
        if best is None and self.game.optimum is None:
            return "There is none, whoever moves." if self.game.moves else self.game.standing
        if best is None:
            while back.left is None:
                back = back.undo()
            taken = len(self.game.moves) - len(back.moves)
            return f"Take {plural(taken, 'move')} back: from there it takes {plural(back.left, 'more move')}."
        step = next(o.step for o in self.game.options if o.column == best)
        return f"A shortest way starts with {best}: {step}. {plural(self.game.left, 'move')} to go."

    def _view(self, hint: str) -> dict:
        g, v, s = self.game, self.game.board.verdict, self.game.scene
        m, before = g.trace.moments[-1], g.trace.moments[-2] if g.moves else None
        found = decisions(before.state, v.kernel, m) if before else ()
        decides = [" ".join(str(d) for d in found if d.flips and d.event == n) for n in range(len(s.events))]
        return {
            "title": f"You are the scheduler: {v.test.name} on {v.kernel.name}", "level": v.test.name,
            "kernel": v.kernel.name, "goal": g.board.goal, "about": v.test.description, "columns": self._columns(),
            "moves": list(g.moves), "over": g.over, "won": g.won, "shut": g.left is None,
            "action": f"Move {len(g.moves)}: {s.action}" if g.moves else "Your move.",
            "says": says(m, s.events, decides) if g.moves else [],
            "standing": g.standing if g.moves else "", "count": self._count(), "hint": hint,
            "events": [[said, decides[n]] for n, said in enumerate(s.events)],
            "svg": "".join(scene_parts(s, style=False)), "text": scene_text(s),
        }  # fmt: skip

    def _columns(self) -> list[dict]:
        """The programs: each step with the number of the move that took it (0: not taken), and whether it is the one
        that can be taken now. What a dead process never does is ``gone``."""
        g, columns = self.game, []
        can = {o.column for o in g.options} if not g.over else set()
        at = g.board.verdict.graph.nodes[g.node][0]
        for c, (name, actions) in enumerate(g.board.verdict.test.columns.items()):
            taken = [n for n, proc in enumerate(g.moves, 1) if proc == name]
            steps = []
            for n, action in enumerate(actions):
                move = taken[n] if n < len(taken) else 0
                gone = not move and n < at[c]
                steps.append({"step": str(action).partition(": ")[2], "move": move, "gone": gone,
                              "next": name in can and n == len(taken)})  # fmt: skip
            columns.append({"name": name, "steps": steps})
        return columns

    def _count(self) -> str:
        g, back = self.game, f", {plural(self.back, 'move')} taken back" if self.back else ""
        said = f"{plural(self.made, 'move')} made{back}."
        if g.won:
            best = "None of them could be spared." if self.made == g.optimum else f"The fewest is {g.optimum}."
            return f"{said} {best}"
        return said
