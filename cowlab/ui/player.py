"""The player: step through a trace in the browser. All frames are sent once, so stepping asks no kernel."""

from importlib.resources import files

import anywidget
import traitlets

from ..litmus import Trace
from ..view.bundle import html_and_text, trace_html
from ..view.scene import scenes
from ..view.svg import STYLE, scene_svg
from ..view.text import scene_text, trace_text

__all__ = ["Player"]

_DEAD = ".jp-OutputArea-child:has(.cowlab-static)+.jp-OutputArea-child:not(:has(.cowlab-player)){display:none}"


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


class Player(anywidget.AnyWidget):
    """``at`` is the step that is shown, 0 for the start; both sides may set it. The trace does not change."""

    _esm = _read("player.js")
    _css = _read("player.css") + STYLE
    title = traitlets.Unicode().tag(sync=True)
    frames = traitlets.List().tag(sync=True)
    at = traitlets.Int().tag(sync=True)

    def __init__(self, trace: Trace, at: int = 0):
        drawn = scenes(trace)
        self.trace = trace
        frames = [
            {"place": s.place, "action": s.action, "events": list(s.events) if s.step else [s.caption],
             "svg": scene_svg(s, style=False), "text": scene_text(s), "stop": bool(s.copies or s.faults)}
            for s in drawn
        ]  # fmt: skip
        super().__init__(title=f"{trace.name or 'a run'} on {trace.kernel.name}", frames=frames, at=at)

    @traitlets.validate("at")
    def _clamped(self, proposal):
        at, n = proposal["value"], len(self.trace)
        return max(0, min(at + n if at < 0 else at, n - 1))

    def __repr__(self) -> str:
        return f"Player({self.title}, {len(self.frames)} frames)"

    def static(self) -> dict[str, str]:
        """What stands in the notebook when no kernel runs: every step as a picture and in words. Its style
        hides the message that JupyterLab shows for a widget without a kernel."""
        html = f"<style>{_DEAD}</style><div class='cowlab-static'>{trace_html(self.trace)}</div>"
        return html_and_text(html, trace_text(scenes(self.trace)))

    def _repr_mimebundle_(self, **kwargs):
        """The live view and the static form in one, for whoever asks for a single output."""
        live, metadata = super()._repr_mimebundle_(**kwargs)
        return self.static() | live, metadata

    def _ipython_display_(self):
        """Two outputs, the static form and the live view, of which exactly one is seen. One output with both
        would not do: in a trusted notebook without this kernel JupyterLab takes the live view, and
        shows "Error displaying widget: model not found" where the static form should stand."""
        from IPython.display import display

        live, _ = super()._repr_mimebundle_()
        display(self.static(), raw=True)
        display(live, raw=True)
