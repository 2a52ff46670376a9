"""ask(), answer(), hint(): a question as a form, as a list on paper, and as plain text; and what follows an answer."""

import re
from html import escape
from importlib import import_module
from textwrap import fill

from .bank import HINTS, QUESTIONS, Question, Schedule, UnknownQuestion
from .progress import DONT_KNOW, first_answer, open_next, record

__all__ = ["Asked", "Reply", "answer", "ask", "hint", "markup"]

UNSURE = "I do not know"
WIDTH = 96  # of plain text


def markup(text: str) -> str:
    """Plain text with `code` in backticks, as HTML."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def plain(text: str) -> str:
    return text.replace("`", "")


class Asked:
    """A question on show. In a live notebook it is a form; in a stored one a list, which does not give the
    answer away; in a terminal plain text."""

    def __init__(self, question: Question):
        self.question = question

    def __repr__(self) -> str:
        q = self.question
        lines = [f"Question {q.id}", fill(plain(q.prompt), WIDTH)]
        lines += [f"    {line}" for line in q.setting.splitlines()]
        choices = [*zip(q.letters, (c.text for c in q.choices), strict=True), (DONT_KNOW, UNSURE)]
        lines += [fill(f"  {letter}) {plain(text)}", WIDTH, subsequent_indent="     ") for letter, text in choices]
        return "\n".join([*lines, f'Answer with answer("{q.id}", "{q.letters[0]}"), or in the form when this is run.'])

    def html(self) -> str:
        q = self.question
        setting = f"<pre>{escape(q.setting)}</pre>" if q.setting else ""
        choices = [*zip(q.letters, (markup(c.text) for c in q.choices), strict=True), (DONT_KNOW, UNSURE)]
        items = "".join(f"<li><b>{letter}</b>: {text}</li>" for letter, text in choices)
        return (
            f"<p><b>Question.</b> {markup(q.prompt)}</p>{setting}<ul>{items}</ul>"
            "<p><em>Run this cell to answer. Your answer is recorded before anything is shown.</em></p>"
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": repr(self), "text/html": self.html()}

    def _ipython_display_(self):
        live(self, "show_form", self.question)


class Reply:
    """What is said after an answer: ``text`` and, where one settles it, the schedule to step through."""

    def __init__(self, text: str, schedule: Schedule | None = None):
        self.text, self.schedule = text, schedule

    @property
    def look(self) -> str:
        s = self.schedule
        return f"Step through {s.schedule} on {s.kernel}. {s.look}" if s else ""

    def __repr__(self) -> str:
        parts = [plain(self.text)]
        if self.schedule:
            parts += [plain(self.look), "", self.schedule.trace().text()]
        return "\n".join(parts)

    def html(self) -> str:
        return f"<p>{markup(self.text)}</p>" + (f"<p>{markup(self.look)}</p>" if self.schedule else "")

    def _repr_mimebundle_(self, include=None, exclude=None):
        steps = self.schedule.trace()._repr_mimebundle_()["text/html"] if self.schedule else ""
        return {"text/plain": repr(self), "text/html": self.html() + steps}

    def _ipython_display_(self):
        live(self, self.schedule and "show_stepped", self.html(), self.schedule and self.schedule.trace())


def live(shown, how: str | None, *args, **more) -> None:
    """Display ``shown`` by a function of the widget module; without one, or without widgets, as it stands."""
    from IPython.display import display

    static = shown._repr_mimebundle_()
    try:
        widget = import_module(f"{__package__}.widget") if how else None
    except ImportError:
        widget = None
    if widget:
        getattr(widget, how)(*args, static=static, **more)
    else:
        display(static, raw=True)


def ask(id: str, seed: int | None = None) -> Asked:
    """Show a question. With a ``seed`` it is asked again: about another machine where the question can be, with its
    choices in another order at least. Raises UnknownQuestion (a KeyError), which names the questions that there are.

    >>> ask("05-secret", seed=3).question.id
    '05-secret#3'
    """
    if seed is None:
        return Asked(QUESTIONS[id])
    if not isinstance(seed, int) or seed < 0:
        raise UnknownQuestion(f"{seed!r} is no seed; give a whole number, 0 or more")
    return Asked(QUESTIONS[f"{id}#{seed}"])


def answer(id: str, choice: str) -> Reply:
    """Answer a question with a letter, or with ``"?"`` for "I do not know". It is recorded, then replied to.

    >>> answer("05-first-writer", "?")
    Recorded: I do not know. That is a good place to start from. Go on, look, and come back to choose.
    """
    return reply(QUESTIONS[id], str(choice).strip().lower())


def reply(q: Question, letter: str) -> Reply:
    if letter != DONT_KNOW and (len(letter) != 1 or letter not in q.letters):
        return Reply(f"Nothing is recorded: {letter!r} is none of {', '.join(q.letters)} and {DONT_KNOW}.")
    again = first_answer(q.id) is not None
    chosen = None if letter == DONT_KNOW else q.choices[q.letters.index(letter)]
    record(q.id, letter, bool(chosen and chosen.right))
    said = "Recorded too, after your first answer" if again else "Recorded"
    if chosen is None:
        return Reply(f"{said}: {UNSURE}. That is a good place to start from. Go on, look, and come back to choose.")
    if chosen.right:
        return Reply(f"{said}: {letter}. Yes. {chosen.because}", q.shows)
    here = f"{said}: {letter}. Here is an execution in which it goes otherwise. Then choose again."
    return Reply(here, chosen.refutation)


class Hints:
    """The hints that are open."""

    def __init__(self, opened: tuple[str, ...], of: int):
        self.opened, self.of = opened, of

    def __repr__(self) -> str:
        left = self.of - len(self.opened)
        said = [f"Hint {n}. {plain(h)}" for n, h in enumerate(self.opened, 1)]
        return "\n".join([*said, f"{left} more: call hint again." if left else "That was the last one."])


def hint(id: str) -> Hints:
    """Open the next of a question's or a task's three hints."""
    rungs = HINTS[id] if id in HINTS else QUESTIONS[id].hints
    return Hints(rungs[: open_next(id, len(rungs))], len(rungs))
