"""What every widget of cowlab does when it is displayed: a static form that stays, and a live view in its place."""

from collections.abc import Iterable, Sequence
from importlib.resources import files

import anywidget

from ..litmus import Moment
from ..view.html import TWIN, html_and_text
from ..view.svg import STYLE

__all__ = ["CSS", "Shown", "Table", "says", "script"]

_DEAD = ".jp-OutputArea-child:has(.cowlab-static)+.jp-OutputArea-child:not(:has(.cowlab-player)){display:none}"
_PAPER = (  # paper has no clicks, and no room for 100 columns of the usual size
    f"@media print{{.cowlab-static details:not(.{TWIN})::details-content{{content-visibility:visible}}"
    f".cowlab-static details.{TWIN},.cowlab-static summary::marker{{display:none;content:''}}"
    ".cowlab-static details{break-inside:avoid}.cowlab-static p:has(+img){break-after:avoid}"
    ".cowlab-static img{max-width:100%!important}"
    ".cowlab-static details pre,.cowlab-static details pre code{font-size:9px!important;line-height:1.3!important;"
    "white-space:pre!important}}"
)


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


CSS = _read("player.css") + STYLE


def script(name: str) -> str:
    """A widget's module: what all share, then its own."""
    return _read("common.js") + _read(name)


class Shown(anywidget.AnyWidget):
    """A widget says in ``html()`` and ``text`` what stands for it where no kernel runs."""

    _css = CSS

    def html(self) -> str:
        raise NotImplementedError

    @property
    def text(self) -> str:
        """The words that stand for it: print them in the next cell."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.text

    def static(self) -> dict[str, str]:
        """What stands in the notebook when no kernel runs. Its style hides the message that JupyterLab shows for a
        widget without a kernel, and unfolds everything on paper."""
        return html_and_text(f"<style>{_DEAD}{_PAPER}</style><div class='cowlab-static'>{self.html()}</div>", self.text)

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


def says(moment: Moment, events: Sequence[str], decides: Sequence[str]) -> list[str]:
    """Of all that the kernel did in a step the event that matters most, and what the step returned."""
    why = moment.why
    order = [(w.copied, w.did.startswith("reuses"), bool(decides[n]), n) for n, w in enumerate(why)]
    return [*(events[max(order)[3]] for _ in why[:1]), *events[len(why) :]]


class Table(dict):
    """Strings by their numbers: what is sent often is sent once."""

    def numbers(self, strings: Iterable[str]) -> list[int]:
        return [self.setdefault(s, len(self)) for s in strings]
