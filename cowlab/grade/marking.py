"""From a submission to marks: read, run in isolation, judge by the rubric, validate by nbval, say why."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..course.misconceptions import MISCONCEPTIONS
from .box import Cell, Limits, run_cells
from .notebook import Exercise, Question, Submission, find_exercise, read_submission
from .validate import require, validate

__all__ = ["Graded", "grade", "grade_answers", "grade_found", "judge_answers", "line", "read"]

# Our own check cell, as the rubric's process runs it: `display` shows nothing, and its advice leaves as plain data.
MARKS = "__import__('cowlab.grade.rubric', fromlist=['marks']).marks(advice)"
NOTHING = {"score": 0.0, "said": [], "believes": [], "hint": 1, "schedule": None}


@dataclass(frozen=True)
class Graded:
    """Answers that are judged: one dict a question, with what :func:`grade` says of it; what was in force."""

    questions: list[dict[str, Any]]
    isolation: str
    validated: str
    doubt: str = ""


def grade(path: str | Path, given: dict[str, Exercise], limits: Limits, nbval: bool = True) -> dict[str, Any]:
    """Grade one submission. ``given``: the exercises that it may be of; one alone is taken without asking for its name.

    Nothing that a submission does raises an exception: its questions get 0 points, and say why. The result is plain
    data: ``submission``, ``exercise``, ``points``, ``of``, ``problem`` (why nothing could be graded, or empty),
    ``isolation``, ``validated`` (by what, or empty), ``doubt`` (for a person to look at, or empty), and ``questions``,
    each with ``id``, ``points``, ``of``, ``score``, ``said``, ``believes``, ``hint``, ``schedule`` and ``problem``.
    Raises LitmusError where the fault is not the submission's: the isolation asked for, or nbval, is not to be had.
    """
    return grade_found(path, *read(path, given), limits, nbval)


def read(path: str | Path, given: dict[str, Exercise]) -> tuple[Exercise | None, Submission]:
    """Which of the given exercises a submission is of, or None, and what it answers. It is refused, and says why, if
    it cannot be read or is of none."""
    exercise, found = next(iter(given.values())) if len(given) == 1 else None, read_submission(path)
    if not found.refused:
        try:
            name = found.exercise if found.exercise in given else _by_file(Path(path), given)
            exercise = exercise or find_exercise(name, given, Path(path).name)
            found = read_submission(path, exercise)
        except ValueError as e:
            found = Submission({}, {}, str(e))
    return exercise, found


def grade_found(
    path: str | Path, exercise: Exercise | None, found: Submission, limits: Limits, nbval: bool = True
) -> dict[str, Any]:
    """:func:`grade` of what was read before, perhaps on another machine. ``path`` is what it is called."""
    if found.refused or exercise is None:
        lost = [_lost(q, found.refused) for q in exercise.questions] if exercise else []
        return _report(path, exercise, lost, problem=found.refused)
    graded = grade_answers(exercise, found, limits, nbval)
    return _report(path, exercise, graded.questions, "", graded.isolation, graded.validated, graded.doubt)


def _by_file(path: Path, given: dict[str, Exercise]) -> str:
    """05-either-way.ipynb, 05-either-way-alice.ipynb, alice-05-either-way.ipynb."""
    return next((name for name in given if name in path.stem), path.stem)


def grade_answers(exercise: Exercise, found: Submission, limits: Limits, nbval: bool = True) -> Graded:
    """Run the answers in isolation and judge what comes out."""
    validated = require() if nbval else ""
    cells, questions = [], {q.id: q for q in exercise.questions}
    for n, (kind, cell) in enumerate(exercise.cells):
        if kind == "setup":
            cells.append(Cell(f"setup {n}", cell))
        elif cell.id in found.answers:
            cells.append(Cell(cell.id, found.answers[cell.id], cell.call))
    ran = run_cells(cells, limits)
    answers = {id: ran.values[id] for id in questions if id in ran.values}
    problems = {id: ran.problems[id] for id in questions if id in ran.problems} | found.problems
    judged, late = judge_answers(exercise, answers, limits) if answers else ({}, {})
    validated = validated if answers else ""  # nothing to start a kernel for
    for id, why in late.items():
        answers.pop(id, None)
        problems.setdefault(id, f"the answer could not be judged: {why}")
    opinion = validate(exercise, answers, limits) if validated else None
    results, doubt = [], []
    for q in exercise.questions:
        if q.id not in judged or q.id in problems:
            results.append(_lost(q, problems.get(q.id, "there is no answer")))
            continue
        verdict, parts = judged[q.id], int(judged[q.id]["score"] * q.parts + 1e-9)
        if validated and (opinion is None or opinion.get(q.id) != (parts == q.parts, parts)):
            doubt.append(f"{q.id}: the rubric gives {parts} of {q.parts} parts, {_told(opinion, q)}")
            parts = min(parts, opinion[q.id][1] if opinion else 0)
        results.append(_earned(q, verdict, parts))
    return Graded(results, ran.isolation, validated, "; ".join(doubt))


def _told(opinion, q: Question) -> str:
    return f"nbval {opinion[q.id][1]}" if opinion else "and nbval did not finish"


def judge_answers(exercise: Exercise, answers: dict[str, Any], limits: Limits) -> tuple[dict, dict[str, str]]:
    """The rubric, in a process of its own that has seen no learner's code: question -> marks, and question -> why it
    could not be judged. Questions without an answer are left out. If a cell of the exercise itself fails, none is."""
    cells = [
        Cell(f"setup {n}", cell) if kind == "setup" else Cell(cell.id, cell.check, MARKS, {cell.id: answers[cell.id]})
        for n, (kind, cell) in enumerate(exercise.cells)
        if kind == "setup" or cell.id in answers
    ]
    ran = run_cells(cells, limits)
    broken = {id: why for id, why in ran.problems.items() if id.startswith("setup ")}
    if broken:
        return {}, dict.fromkeys(answers, f"a cell of the exercise itself fails: {next(iter(broken.values()))}")
    judged = {q: ran.values[q] for q in answers if q in ran.values}
    return judged, {q: ran.problems[q] for q in answers if q in ran.problems}


def _earned(q: Question, verdict: dict[str, Any], parts: int) -> dict[str, Any]:
    points = round(q.points * parts / q.parts, 2)
    hint = q.hints[verdict["hint"] - 1] if parts < q.parts and 1 <= verdict["hint"] <= len(q.hints) else ""
    beliefs = [m for m in verdict["believes"] if m in MISCONCEPTIONS]
    return {
        "id": q.id, "points": points, "of": q.points, "score": parts / q.parts,
        "said": [clean(text) for text in verdict["said"]], "believes": beliefs, "hint": hint,
        "schedule": verdict["schedule"] or _refutation(beliefs), "problem": "",
    }  # fmt: skip


def _refutation(beliefs: list[str]) -> dict[str, Any] | None:
    """The schedule that refutes the first of these misconceptions, where the answer itself makes none."""
    for m in beliefs:
        if s := MISCONCEPTIONS[m].refutation:
            t = s.trace()
            return {"test": t.name, "kernel": t.kernel.name, "order": s.schedule, "steps": t.steps, "text": t.text()}
    return None


def _lost(q: Question, why: str) -> dict[str, Any]:
    return _earned(q, NOTHING, 0) | {"problem": line(why)}


def line(text: str, most: int = 400) -> str:
    """Text that somebody else wrote, as one harmless line: no control characters, no terminal codes."""
    return re.sub(r"\s+", " ", clean(str(text))).strip()[:most]


def clean(text: str) -> str:
    """The same, with its line ends."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def _report(path, exercise, questions, problem="", isolation="", validated="", doubt="") -> dict[str, Any]:
    return {
        "submission": line(str(path)), "exercise": exercise.name if exercise else "",
        "points": round(sum(q["points"] for q in questions), 2), "of": exercise.points if exercise else 0,
        "problem": line(problem), "isolation": isolation, "validated": validated, "doubt": doubt,
        "questions": questions,
    }  # fmt: skip
