"""Vote sheets for peer instruction: each question with its choices, and what somebody believes who takes each."""

from dataclasses import dataclass
from html import escape

from .ask import markup, plain
from .bank import QUESTIONS, Choice, Question
from .misconceptions import MISCONCEPTIONS

__all__ = ["VoteSheet", "vote_sheet"]


@dataclass(frozen=True, repr=False)
class VoteSheet:
    """Displays as one table a question, with room to write down two votes; prints as words."""

    questions: tuple[Question, ...]

    def __repr__(self) -> str:
        lines = []
        for q in self.questions:
            choices = [f"  {letter}) {plain(c.text)}\n     [{says(c)}]" for letter, c in lettered(q)]
            lines += [f"{q.id}  {plain(q.prompt)}", *choices, ""]
        return "\n".join(lines).rstrip()

    def html(self) -> str:
        return "".join(map(_table, self.questions))

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": repr(self), "text/html": self.html()}


def lettered(q: Question):
    return zip(q.letters, q.choices, strict=True)


def says(c: Choice) -> str:
    """What a vote for this choice says about the voter."""
    return "right" if c.right else f"{c.believes}: {MISCONCEPTIONS[c.believes].belief}"


def _table(q: Question) -> str:
    left = ' style="text-align:left"'
    head = "".join(f"<th{left}>{h}</th>" for h in ("", "choice", "who takes it believes", "1st vote", "2nd vote"))
    rows = "".join(
        f"<tr><th>{letter}</th><td{left}>{markup(c.text)}</td><td{left}>{escape(says(c))}</td><td></td><td></td></tr>"
        for letter, c in lettered(q)
    )
    caption = f"<caption{left}><b>{q.id}</b>: {markup(q.prompt)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def vote_sheet(lesson: str = "", *, exits: bool = False) -> VoteSheet:
    """The questions of a lesson (``"05"``; of all, if none is named) that a class votes on, in their order; with
    ``exits`` those of its exit ticket too. Those of exercises are never among them. ValueError names the lessons.

    >>> print(vote_sheet("05"))  # doctest: +ELLIPSIS
    05-first-writer  After the fork, P and C map the same frame. ...
      a) C's. The child gets the copy, the parent keeps the original.
         [M2: the child gets the copy, the parent keeps the original]
      b) P's. Whoever writes makes the copy.
         [right]
    ...
    """
    lessons = sorted({id[:2] for id in QUESTIONS})
    if lesson and lesson not in lessons:
        raise ValueError(f"no lesson {lesson!r} with questions; choose one of {', '.join(lessons)}")
    chosen = [q for id, q in QUESTIONS.items() if id.startswith(lesson) and not id[2:].startswith("-ex-")]
    return VoteSheet(tuple(q for q in chosen if exits or not q.id[2:].startswith("-exit")))
