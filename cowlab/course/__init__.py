"""Questions, misconceptions, hints and advisory checks: what a lesson asks, and how it answers.

A lesson uses these names. Importing them costs nothing: widgets load when something is shown.

* ``ask("05-first-writer")`` shows a question. Its answer is recorded before anything is revealed, and a wrong one
  is met with a schedule to step through, not with a sentence. "I do not know" is always among the choices.
  ``ask("05-first-writer", seed=7)`` asks it again, another way; its id is then ``"05-first-writer#7"``.
* ``answer("05-first-writer", "a")`` answers without a widget (``"?"`` is "I do not know").
* ``hint("05-first-writer")`` opens the next of three hints.
* ``predict("04-counts", trace, 3, ["frame 0 mapcount"])`` asks for the state after step 3, in a table with holes. A
  wrong cell opens the step that decides it, and says in which order, or on which kernel, it would be as typed.
* ``answers()`` is what was answered so far; ``keep("answers.json")`` also writes it to a file that is the
  learner's to read and to delete; ``forget()`` empties both. ``so_far()`` counts them by lesson.
* ``check_schedule`` says what is right so far in a schedule. It is advisory: marks come from :mod:`cowlab.grade`.

Questions are data. A module ``lessonNN.py`` in this folder has a tuple ``QUESTIONS`` of :class:`Question`, and
is found by its name. ``id`` is ``"NN-word"``. Of the choices exactly one is right; each other one names a
misconception (M1 to M20), and has, or inherits from it, the :class:`Schedule` that refutes it. Tests run every schedule
on the engine: it must end as it says. The right answers stand in these files for anyone to read: they are for the
learner's own use.

>>> question = QUESTIONS["05-first-writer"]
>>> ask(question.id)  # doctest: +ELLIPSIS
Question 05-first-writer
...
  ?) I do not know
...
"""

from .ask import answer, ask, hint
from .bank import QUESTIONS, Choice, Question, Schedule
from .check import check_schedule
from .misconceptions import MISCONCEPTIONS, Misconception
from .predict import predict
from .progress import answers, forget, keep, so_far
from .table import check_counts, counts_table

__all__ = [
    "MISCONCEPTIONS", "QUESTIONS", "Choice", "Misconception", "Question", "Schedule", "answer", "answers", "ask",
    "check_counts", "check_schedule", "counts_table", "forget", "hint", "keep",
    "predict", "so_far",
]  # fmt: skip
