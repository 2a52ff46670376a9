"""`cowlab release`: the learners' form out of a source with solutions. And the self-test of a source."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..course.misconceptions import MISCONCEPTIONS
from ..litmus.errors import LitmusError
from .box import Limits
from .marking import grade_answers
from .notebook import SOLUTION, Exercise, Submission, exercise, part, read_notebook, source

__all__ = ["Known", "known_answers", "release", "self_test", "student_form"]

REGION = re.compile(r"###\s*(BEGIN|END)\b")
KEPT = ("nbgrader", "cowlab")  # metadata of a cell that learners get
FULL, EMPTY = "the reference", "an empty answer"


@dataclass(frozen=True)
class Known:
    """An answer whose marks are known: ``score`` from 0 to 1; ``says`` is in what is said about it; ``believes`` are
    its misconceptions and ``hint`` its rung, where the author says so."""

    of: str
    name: str
    answer: str
    score: float
    says: str = ""
    believes: tuple[str, ...] | None = None
    hint: int | None = None


def student_form(notebook: dict[str, Any], name: str) -> dict[str, Any]:
    """The notebook without solutions, known answers, outputs and whatever an editor left. Raises ValueError."""
    cells = []
    for cell in notebook["cells"]:
        metadata = {key: cell["metadata"][key] for key in KEPT if key in part(cell, "metadata")}
        if "known" in part(metadata, "cowlab"):
            continue
        text = SOLUTION.sub("", source(cell)).rstrip("\n")
        if mark := REGION.search(text):
            id = part(metadata, "nbgrader").get("grade_id", cell.get("id"))
            raise ValueError(f"{id}: {mark[0]} without its other half; solutions stand between ### BEGIN SOLUTION and "
                             "### END SOLUTION")  # fmt: skip
        form = {"cell_type": cell["cell_type"], "id": cell["id"], "metadata": metadata, "source": text.splitlines(True)}
        cells.append(form | ({"execution_count": None, "outputs": []} if cell["cell_type"] == "code" else {}))
    metadata = {
        "cowlab": {"exercise": name},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def release(path: Path, to: Path) -> Path:
    """Write the learners' form of a source into the folder ``to``, under the name of the source; where it is. Raises
    LitmusError: what is wrong with the source, or with where it should go."""
    known_answers(path)
    try:
        form = student_form(read_notebook(path), path.stem)
    except ValueError as e:
        raise LitmusError(f"{path}: {e}") from None
    target = to / path.name
    if target.exists() and target.samefile(path):
        raise LitmusError(f"{target} is the source itself", "give another folder with --to")
    if not to.is_dir():
        raise LitmusError(f"{to} is no folder", "make it first, or give another one with --to")
    target.write_text(json.dumps(form, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
    return target


def known_answers(path: Path) -> tuple[Exercise, list[Known]]:
    """The exercise of a source; the reference, nothing at all, what learners are handed out, and the known answers of
    each question. Raises LitmusError: which cell is wrong, and what would be right."""
    asked = exercise(path)
    cells, found = read_notebook(path)["cells"], []
    for q in asked.questions:
        cell = next(c for c in cells if part(c, "metadata", "nbgrader").get("grade_id") == q.id)
        if not SOLUTION.search(source(cell)):
            remedy = "put it between ### BEGIN SOLUTION and ### END SOLUTION"
            raise LitmusError(f"{path}: {q.id} has no solution", remedy)
        found += [Known(q.id, FULL, source(cell), 1.0), Known(q.id, EMPTY, "", 0.0)]
        found += [Known(q.id, "as handed out", q.stub, 0.0)]
    for cell in cells:
        about = part(cell, "metadata", "cowlab", "known")
        if about:
            found.append(_known(path, cell, about, asked))
    return asked, found


def _known(path: Path, cell: dict, about: dict, asked: Exercise) -> Known:
    def wrong(what: str, right: str):
        return LitmusError(f"{path}: the known answer {cell.get('id')}: {what}", right)

    q = next((q for q in asked.questions if q.id == about.get("of")), None)
    score, believes, hint = about.get("score"), about.get("believes"), about.get("hint")
    if q is None:
        raise wrong(f"of {about.get('of')!r}", f"of should be one of {', '.join(q.id for q in asked.questions)}")
    if type(score) not in (int, float) or not 0 <= score <= 1:
        raise wrong(f"score {score!r}", "score should be a number from 0 to 1")
    if abs(score * q.parts - round(score * q.parts)) > 1e-6:
        raise wrong(f"score {score}", f"the points of {q.id} come in {q.parts} parts; see its metadata")
    if believes is not None and not set(believes) <= set(MISCONCEPTIONS):
        raise wrong(f"believes {believes}", "believes should be a list out of M1 to M20")
    if hint not in (None, 1, 2, 3):
        raise wrong(f"hint {hint!r}", "hint should be 1, 2 or 3")
    return Known(q.id, str(about.get("name", cell.get("id"))), source(cell), float(score), str(about.get("says", "")),
                 None if believes is None else tuple(believes), hint)  # fmt: skip


def self_test(path: Path, limits: Limits, nbval: bool = True) -> list[dict[str, Any]]:
    """Grade all known answers of a source: one row each, with ``question``, ``name``, ``score``, ``earned``, ``said``
    and ``wrong``: what is not as its author says, or an empty string. The first row of a question is its reference."""
    asked, known = known_answers(path)
    by_question = {q.id: [k for k in known if k.of == q.id] for q in asked.questions}
    hints = {q.id: q.hints for q in asked.questions}
    rows: dict[str, list] = {id: [] for id in by_question}
    for n in range(max(map(len, by_question.values()))):  # the nth answer of each question makes one submission
        answers = {id: ks[n].answer for id, ks in by_question.items() if n < len(ks)}
        graded = grade_answers(asked, Submission(answers, {}), limits, nbval)
        for result in graded.questions:
            if result["id"] in answers:
                k = by_question[result["id"]][n]
                rows[k.of].append(_row(k, result, graded.doubt, hints[k.of]))
    return [row for rs in rows.values() for row in rs]


def _row(k: Known, result: dict[str, Any], doubt: str, hints: tuple[str, ...]) -> dict[str, Any]:
    said = " ".join([*result["said"], result["problem"]]).replace("`", "")
    wrong = []
    if abs(result["score"] - k.score) > 1e-6:
        wrong.append(f"earns {result['score']:g}, should earn {k.score:g}")
    if k.says and k.says not in said:
        wrong.append(f"is not told {k.says!r}")
    if k.believes is not None and set(k.believes) != set(result["believes"]):
        wrong.append(f"shows {' '.join(result['believes']) or 'no misconception'}, should show {' '.join(k.believes)}")
    if k.hint is not None and result["hint"] != hints[k.hint - 1]:
        given = hints.index(result["hint"]) + 1 if result["hint"] in hints else "none"
        wrong.append(f"is given hint {given}, should be given hint {k.hint}")
    if doubt and k.of in doubt:
        wrong.append(doubt)
    return {
        "question": k.of, "name": k.name, "score": k.score, "earned": result["score"], "said": said,
        "wrong": "; ".join(wrong),
    }  # fmt: skip
