"""What was answered, in the order in which it was answered. In memory; on disk only if the learner says so."""

import json
from pathlib import Path
from typing import NamedTuple

__all__ = ["Answer", "answers", "first_answer", "forget", "keep", "record"]

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
        try:
            old = [Answer(**a) for a in json.loads(file.read_text(encoding="utf-8"))]
        except (ValueError, TypeError) as e:
            raise ValueError(f"{file} is no file of answers ({e}); choose another name") from None
        _given[:0] = [a for a in old if a not in _given]
    _file = file
    _write()
    return file


def forget() -> None:
    """Forget all answers and close all hints; a file that was kept is emptied."""
    _given.clear()
    _opened.clear()
    if _file:
        _write()


def _write() -> None:
    _file.write_text(json.dumps([a._asdict() for a in _given], indent=1) + "\n", encoding="utf-8")
