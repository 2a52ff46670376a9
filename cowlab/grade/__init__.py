"""Exercises: the rubric that judges answers, and the grader that marks submissions.

Two layers. While learning, a check cell in the notebook says what is right so far; it runs in the learner's own
process, is advisory, and says so. For marks, `cowlab grade` takes only the source of the answer cells out of a
submission, by ``grade_id``; runs it in an isolated process; lets only plain data come out; judges that with the same
rubric, in a process that has seen no learner's code; and has nbval validate our own check cells, with stored outputs,
in a fresh kernel that has seen none either. Marks count only from that run. Isolation is a process with limits, in
namespaces where the system has them; a real exam wants a container around it.

Adding an exercise in one file
------------------------------

Write ``tests/solutions/NN-name.ipynb``. It is the only file with answers in it, and never in the wheel. Its code cells
have nbgrader's metadata (schema 3), with a Python name as ``grade_id``, so that it is quickest to copy a source and to
change it::

    "metadata": {"nbgrader": {"schema_version": 3, "grade_id": "q1", "solution": true, "grade": false, "locked": false,
                              "task": false},
                 "cowlab": {"call": "q1", "parts": 2, "hints": ["...", "...", "..."]}}

* *setup* (``locked``, neither ``solution`` nor ``grade``): imports, and what the questions are about. Such cells may
  stand anywhere; they must print nothing.
* *a question's answer*, ``q1`` (``solution``): first what learners are handed out, then between ``### BEGIN SOLUTION``
  and ``### END SOLUTION`` the reference. Beside ``nbgrader`` it has ``cowlab``: ``call`` is the expression that gives
  the answer as plain data, mostly ``q1`` itself; ``hints`` are three texts; ``parts`` is in how many equal parts the
  points come (2: all, half or nothing); ``difficulty`` is how to measure it, in the words of :mod:`.difficulty`.
* *its check*, ``q1_check`` (``grade``, ``locked``, ``points``), which assigns ``advice`` and knows no key::

      advice = check_schedule(test, q1, "v5.7", shortest=True)
      display(advice.advisory())
      advice.points(3)

* *known answers*, as many as you like, with ``cowlab`` metadata alone: ``{"known": {"of": "q1", "name": "too long",
  "score": 0.5, "says": "shorter", "believes": ["M9"]}}``; ``says`` (a piece of what it is told), ``believes`` and
  ``hint`` may be left out, and ``slip`` marks a wrong answer that stands for no misconception. The cell is the answer.
  Give two right ones that differ, and three wrong ones.

Then ``cowlab grade --self-test tests/solutions/NN-name.ipynb`` proves that the reference earns full marks, an empty
answer none, and each known answer what you say; ``cowlab release`` makes ``exercises/NN-name.ipynb`` of it.

The checks are in :mod:`.rubric`; a check of your own is a function from plain data to :class:`Advice`. A question that
the explorer answers in one call should be about using it, or ask about a variant.

From nbgrader's point of view the learners' form is a source: set ``c.ClearSolutions.enabled = False``, or it takes
away what they are handed out.
"""

from importlib import import_module

__all__ = [
    "Advice", "check_choice", "check_invariant", "check_kernel", "check_predicate", "check_schedule", "check_table",
    "check_test", "row",
]  # fmt: skip


def __getattr__(name: str):
    """The rubric is loaded when it is asked for: the command line asks for nothing of it to show its help."""
    if name in __all__:
        return getattr(import_module(".rubric", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
