"""What was answered, in the order in which it was answered. In memory; on disk only if the learner says so."""

import json
from pathlib import Path
from typing import NamedTuple

__all__ = ["Answer", "answers", "first_answer", "forget", "keep", "record", "so_far"]

DONT_KNOW = "?"


class Answer(NamedTuple):
    """``choice`` is a letter, or ``?`` for "I do not know"."""

    question: str
    choice: str
    right: bool
    hints: int = 0  # how many were open


_given: list[Answer] = []
_opened: dict[str, int] = {}
_file: Path | None = None


def answers() -> list[Answer]:
    """All answers so far, first attempts included: the first one to a question is the prediction."""
    return list(_given)


def record(question: str, choice: str, right: bool) -> Answer:
    _given.append(Answer(question, choice, right, _opened.get(question, 0)))
    if _file:
        _write()
    return _given[-1]


def first_answer(question: str) -> Answer | None:
    return next((a for a in _given if a.question == question), None)


def opened(question: str) -> int:
    return _opened.get(question, 0)


def open_next(question: str, of: int) -> int:
    """Open one more hint; the number of hints that are open now."""
    _opened[question] = min(of, opened(question) + 1)
    return _opened[question]


def keep(path: str | Path = "my-answers.json") -> Path:
    """From now on write every answer to this file too, and take in what it has. Delete it when you like."""
    global _file
    file = Path(path)
    if file.exists():
        _given[:0] = [a for a in _read(file) if a not in _given]
    _file = file
    _write()
    return file


def forget() -> None:
    """Forget all answers and close all hints; a file that was kept is emptied."""
    _given.clear()
    _opened.clear()
    if _file:
        _write()


def so_far(path: str | Path = "my-answers.json") -> str:
    """A line for each lesson that was begun: questions answered, and right at the first try. From the answers in
    memory and from the file that :func:`keep` wrote, if it is there. Raises ValueError if it is no such file."""
    from .bank import QUESTIONS

    kept = _read(Path(path)) if Path(path).exists() else []
    first: dict[str, Answer] = {}
    for a in (*kept, *_given):
        first.setdefault(a.question.partition("#")[0], a)  # with whatever seed
    lines = []
    for lesson in sorted({id[:2] for id in first}):
        mine, there = [a for id, a in first.items() if id[:2] == lesson], [id for id in QUESTIONS if id[:2] == lesson]
        right = sum(a.right for a in mine)
        lines.append(f"lesson {lesson}: {len(mine)} of {len(there)} questions answered, {right} right at the first try")
    return "\n".join(lines) or f"No answers are kept yet. Call keep() in a lesson, and they are written to {path}."


def _read(file: Path) -> list[Answer]:
    try:
        return [Answer(**a) for a in json.loads(file.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as e:
        raise ValueError(f"{file} is no file of answers ({e}); choose another name") from None


def _write() -> None:
    _file.write_text(json.dumps([a._asdict() for a in _given], indent=1) + "\n", encoding="utf-8")
