"""The form behind ask(): native radio buttons, labelled, with the reply in a live region. Loaded when shown."""

from html import escape

import anywidget
import traitlets
from ipywidgets import HTML, VBox

from .ask import UNSURE, Reply, markup, reply
from .bank import Question
from .progress import DONT_KNOW, open_next, opened

__all__ = ["QuestionForm", "show_form", "show_stepped", "show_table"]

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

ESM = """
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
function withHtml(tag, html, attributes) {
  const made = element(tag, attributes);
  made.innerHTML = html;
  return made;
}
function render({ model, el }) {
  const root = element("form", { class: "cowlab-ask", "data-lm-suppress-shortcuts": "true" });
  root.addEventListener("keydown", (event) => event.stopPropagation());
  const group = element("fieldset", {}, withHtml("legend", model.get("prompt")));
  if (model.get("setting")) group.append(element("pre", {}, model.get("setting")));
  // A label around its button needs no id; two forms on a page would have the same ones.
  for (const [letter, html] of model.get("choices")) {
    const radio = element("input", { type: "radio", name: "answer", value: letter });
    group.append(element("label", {}, radio, withHtml("span", html)));
  }
  const send = element("button", { type: "submit" }, "Record my answer");
  const help = element("button", { type: "button" });
  const hints = element("ol", { "aria-label": "Hints", "aria-live": "polite" });
  const said = element("div", { role: "status", "aria-live": "polite", class: "said" });
  root.append(group, element("div", { class: "buttons" }, send, help), hints, said);
  root.addEventListener("submit", (event) => {
    event.preventDefault();
    const chosen = root.querySelector("input:checked");
    if (chosen) model.send({ answer: chosen.value });
    else said.textContent = "Nothing is recorded yet: choose one of the answers first.";
  });
  help.addEventListener("click", () => model.send({ hint: true }));
  const tell = () => { said.innerHTML = model.get("said"); };
  const show = () => {
    const open = model.get("hints"), of = model.get("rungs");
    help.textContent = open.length < of ? `Hint (${open.length} of ${of} open)` : "All hints are open";
    help.setAttribute("aria-disabled", open.length >= of);  // "disabled" would drop the focus
    hints.replaceChildren(...open.map((html) => withHtml("li", html)));
    hints.hidden = !open.length;
  };
  model.on("change:said", tell);
  model.on("change:hints", show);
  tell();
  show();
  el.append(root);
}
export default { render };
"""

CSS = """
.cowlab-ask {
  max-width: 46em; line-height: 1.5; color: var(--jp-content-font-color1, inherit);
  font-family: var(--jp-content-font-family, inherit); font-size: var(--jp-content-font-size1, inherit);
}
.cowlab-ask fieldset {
  margin: 0; padding: .4em 1em .8em; border: 1px solid var(--jp-border-color1, #888); border-radius: 4px;
}
.cowlab-ask legend { /* floated, or the border would be drawn through a prompt of two lines */
  float: left; width: 100%; margin: .3em 0 .5em; padding: 0; font-weight: 600;
}
.cowlab-ask legend + * { clear: both; }
.cowlab-ask pre {
  margin: 0 0 .6em; padding: .5em .8em; overflow-x: auto; color: inherit;
  background: var(--jp-layout-color2, #f3f3f3); font-family: var(--jp-code-font-family, monospace);
}
.cowlab-ask label { display: flex; gap: .6em; align-items: baseline; padding: .2em 0; cursor: pointer; }
.cowlab-ask label input { flex: none; }
.cowlab-ask .buttons { display: flex; gap: .8em; margin: .7em 0; }
.cowlab-ask button {
  font: inherit; padding: .25em .9em; cursor: pointer; color: inherit; background: var(--jp-layout-color2, #eee);
  border: 1px solid var(--jp-border-color1, #888); border-radius: 4px;
}
.cowlab-ask button[aria-disabled="true"] { opacity: .6; cursor: default; }
.cowlab-ask :is(button, input):focus-visible { outline: 3px solid #0072B2; outline-offset: 2px; }
.cowlab-ask .said:not(:empty) { border-left: 4px solid #0072B2; padding: .2em .8em; }
.cowlab-ask .said p { margin: .3em 0; }
/* Live, the form stands in for its static form, which is the output before it. */
.jp-OutputArea-child:has(.cowlab-asked):has(+ .jp-OutputArea-child .cowlab-ask) { display: none; }
"""


class QuestionForm(anywidget.AnyWidget):
    """``heard(reply)`` is called after each answer, when it has been recorded."""

    _esm = ESM
    _css = CSS
    prompt = traitlets.Unicode().tag(sync=True)
    setting = traitlets.Unicode().tag(sync=True)
    choices = traitlets.List().tag(sync=True)
    rungs = traitlets.Int().tag(sync=True)
    hints = traitlets.List().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)

    def __init__(self, question: Question, heard):
        choices = [
            [letter, f"{letter}) {markup(c.text)}"]
            for letter, c in zip(question.letters, question.choices, strict=True)
        ]
        super().__init__(
            prompt=markup(question.prompt), setting=question.setting, choices=[*choices, [DONT_KNOW, UNSURE]],
            rungs=len(question.hints), hints=[markup(h) for h in question.hints[: opened(question.id)]],
        )  # fmt: skip
        self.question, self.heard = question, heard
        self.on_msg(self._receive)

    def _receive(self, _widget, content, _buffers):
        if content.get("hint"):
            n = open_next(self.question.id, len(self.question.hints))
            self.hints = [markup(h) for h in self.question.hints[:n]]
        elif "answer" in content:
            said = reply(self.question, str(content["answer"]))
            self.said = said.html()
            self.heard(said)


PROSE = "line-height: 1.5; font-size: var(--jp-content-font-size1)"  # ipywidgets' own lines are 28 pixels apart
DEAD = ".jp-OutputArea-child:has(.cowlab-{0})+.jp-OutputArea-child:not(:has(.cowlab-{0},.{1})){{display:none}}"


def _show(static: dict, kind: str, alive: str, box: VBox) -> None:
    """Two outputs, the static form and the live one, of which one is seen (why two: cowlab.ui.shown). ``alive`` is a
    class that only the live one has; CSS that comes with it hides the static form."""
    from IPython.display import display

    html = f"<style>{DEAD.format(kind, alive)}</style><div class='cowlab-{kind}'>{static['text/html']}</div>"
    display(static | {"text/html": html}, raw=True)
    display({WIDGET_VIEW: {"version_major": 2, "version_minor": 0, "model_id": box.model_id}}, raw=True)


def show_form(question: Question, static: dict) -> VBox:
    """Display the form of one question; a schedule to step through appears below it."""
    box = VBox()

    def heard(said: Reply) -> None:
        box.children = (ask, said.schedule.trace().player()) if said.schedule else (ask,)

    ask = QuestionForm(question, heard)
    box.children = (ask,)
    _show(static, "asked", "cowlab-ask", box)
    return box


def show_table(prediction, static: dict) -> VBox:
    """Display the table of a prediction. When it is recorded the execution appears below it, open at the step that
    decides; and, if there is one, an execution in which things are as they were expected."""
    from ..ui.tabling import TableForm
    from ..view.svg import scene_svg
    from .expected import order
    from .predict import HEAD

    box, (before, after) = VBox(), prediction.scenes

    def heard(given: dict) -> tuple:
        looked = prediction.answer(given)
        below, other = [prediction.trace.player(at=looked.step)], looked.shown
        if other:
            name = next(name for name, e in looked.elsewhere.items() if e is other)
            where = f"On {other.trace.kernel.name}, in the order {' '.join(order(other.trace))}"
            words = f"<p>{escape(where)}, {escape(name)} is as you typed it:</p>"
            below += [HTML(f'<div style="{PROSE}">{words}</div>'), other.trace.player(at=other.step)]
        box.children = (form, *below)
        return looked.said, looked.marks

    rows = []
    for name, cells in prediction.rows.items():
        row = []
        for what, (text, ask) in zip(HEAD, cells, strict=True):
            options = list(prediction.entries) if what == "entry" else []
            row.append({"ask": f"{name} {what}", "options": options} if ask else {"text": text})
        rows.append([name, row])
    svg = scene_svg(before, style=False)
    form = TableForm([prediction.prompt], svg, f"After {after.action}", HEAD, rows, heard)
    box.children = (form,)
    _show(static, "predicted", "cowlab-predict", box)
    return box


def show_stepped(html: str, trace, static: dict, at: int = 0) -> VBox:
    """Display words, and the player below them."""
    box = VBox((HTML(f'<div style="{PROSE}">{html}</div>'), trace.player(at=at)))
    _show(static, "static", "cowlab-player", box)
    return box
