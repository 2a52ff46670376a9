"""What an exercise asks, and what a submission answers. Both are notebooks; a submission may be anything at all."""

import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..litmus.errors import LitmusError, nearest

__all__ = ["Exercise", "Question", "Submission", "exercise", "exercises", "read_notebook", "read_submission", "source"]

MEGABYTES = 16  # of a submission: a hundred times what an exercise with pictures takes
CELLS = 1000
ANSWER = 100_000  # letters of one answer cell
# No link is followed and no pipe waited for, where the system has such files; and bytes stay as they are.
FLAGS = sum(getattr(os, name, 0) for name in ("O_RDONLY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
SOLUTION = re.compile(r"^[ \t]*### BEGIN SOLUTION[ \t]*\n(?:.*\n)*?[ \t]*### END SOLUTION[ \t]*(?:\n|\Z)", re.MULTILINE)
MARKER = re.compile(r"^([ \t]*)#.*(?:NBVAL_|PYTEST_VALIDATE_).*$", re.MULTILINE)


@dataclass(frozen=True)
class Question:
    """One solution cell and its check cell. ``parts`` is how many equal parts the points come in; ``call`` the
    expression that gives the answer as plain data, when the cell has run; ``stub`` what the learner is handed out."""

    id: str
    points: float
    parts: int
    call: str
    hints: tuple[str, ...]
    stub: str
    check: str


@dataclass(frozen=True)
class Exercise:
    """``cells`` are our code cells in order: ("setup", source) or ("question", a :class:`Question`)."""

    name: str
    cells: tuple[tuple[str, Any], ...]
    title: str = ""

    @property
    def questions(self) -> list[Question]:
        return [q for kind, q in self.cells if kind == "question"]

    @property
    def points(self) -> float:
        return sum(q.points for q in self.questions)


@dataclass(frozen=True)
class Submission:
    """``answers``: question -> source of its cell. ``problems``: question -> why there is none. ``refused``: why the
    file as a whole could not be used, or an empty string. ``exercise`` is the name that the file gives itself."""

    answers: dict[str, str]
    problems: dict[str, str]
    refused: str = ""
    exercise: str = ""


# Notebooks as they are


def source(cell: dict) -> str:
    """The text of a cell, in whichever of nbformat's two ways it is kept. Raises ValueError."""
    text = cell.get("source")
    if isinstance(text, list) and all(isinstance(line, str) for line in text):
        text = "".join(text)
    if not isinstance(text, str):
        raise ValueError("has a cell whose source is no text")
    return text


def read_notebook(path: str | Path) -> dict[str, Any]:
    """A notebook of format 4, as plain data, with a list of cells that are dicts. Raises ValueError: why not."""
    try:
        fd = os.open(path, FLAGS)
    except OSError as e:
        link = os.path.islink(path)
        why = "is a symbolic link; hand in the file itself" if link else f"cannot be read ({e.strerror})"
        raise ValueError(why) from None
    about = os.fstat(fd)
    if not stat.S_ISREG(about.st_mode):
        os.close(fd)
        raise ValueError("is not a regular file")
    with os.fdopen(fd, "rb") as file:
        if about.st_size > MEGABYTES << 20:
            raise ValueError(f"has {about.st_size >> 20} MB; the limit is {MEGABYTES} MB: clear its outputs")
        data = file.read((MEGABYTES << 20) + 1)
    try:
        found = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as e:
        raise ValueError(f"is not a notebook: not UTF-8 (byte {e.start})") from None
    except json.JSONDecodeError as e:
        raise ValueError(f"is not a notebook: not JSON, or cut off (line {e.lineno}: {e.msg})") from None
    except (ValueError, RecursionError, MemoryError) as e:
        raise ValueError(f"is not a notebook: JSON that cannot be used ({type(e).__name__})") from None
    if not isinstance(found, dict) or "nbformat" not in found:
        raise ValueError("is not a notebook: it has no nbformat")
    if type(found["nbformat"]) is not int or found["nbformat"] != 4:
        version = str(found["nbformat"])[:20]
        raise ValueError(f"is a notebook of format {version}; open it in Jupyter and save it as format 4")
    cells = found.get("cells")
    if not isinstance(cells, list) or not all(isinstance(c, dict) for c in cells):
        raise ValueError("is not a notebook: it has no list of cells")
    if len(cells) > CELLS:
        raise ValueError(f"has {len(cells):,} cells; the limit is {CELLS:,}")
    return found


def part(holder: Any, *keys: str) -> dict:
    """A dict inside dicts; an empty one where there is none."""
    for key in keys:
        holder = holder.get(key) if isinstance(holder, dict) else None
    return holder if isinstance(holder, dict) else {}


# What is handed in


def read_submission(path: str | Path, exercise: Exercise | None = None) -> Submission:
    """Only the source of the answer cells, found by ``grade_id``. Whatever else the file has is not looked at."""
    try:
        notebook = read_notebook(path)
    except ValueError as e:
        return Submission({}, {}, str(e))
    name = part(notebook, "metadata", "cowlab").get("exercise")
    name = name if isinstance(name, str) and re.fullmatch(r"[\w-]{1,80}", name) else ""
    if exercise is None:
        return Submission({}, {}, "", name)
    answers, problems = {}, {}
    for q in exercise.questions:
        found = [c for c in notebook["cells"] if part(c, "metadata", "nbgrader").get("grade_id") == q.id]
        try:
            answers[q.id] = _answer(found)
        except ValueError as e:
            problems[q.id] = str(e)
    return Submission(answers, problems, "", name)


def _answer(found: list[dict]) -> str:
    if len(found) != 1:
        raise ValueError(f"there are {len(found)} answer cells of this name" if found else "the answer cell is missing")
    cell = found[0]
    if cell.get("cell_type") != "code":
        raise ValueError("the answer cell is no code cell")
    text = source(cell)
    if len(text) > ANSWER:
        raise ValueError(f"the answer cell has {len(text):,} letters; the limit is {ANSWER:,}")
    return MARKER.sub(r"\1#", text)


# What is asked


def exercise(path: str | Path) -> Exercise:
    """An exercise, from the learners' form or from a source with solutions. Raises LitmusError: what is wrong with it,
    and where."""
    try:
        notebook = read_notebook(path)
    except ValueError as e:
        raise LitmusError(f"{path}: {e}", "give an exercise, such as exercises/05-either-way.ipynb") from None
    try:
        return _exercise(notebook, Path(path).stem)
    except ValueError as e:
        raise LitmusError(f"{path}: {e}", "see `pydoc cowlab.grade` for what an exercise is made of") from None


def _exercise(notebook: dict, name: str) -> Exercise:
    cells: list[tuple[str, Any]] = []
    seen: set[str] = set()
    pending: dict[str, dict] = {}
    name = part(notebook, "metadata", "cowlab").get("exercise", name)
    for cell in notebook["cells"]:
        marks, about = part(cell, "metadata", "nbgrader"), part(cell, "metadata", "cowlab")
        if "known" in about or cell.get("cell_type") != "code":
            continue
        id = marks.get("grade_id")
        if not isinstance(id, str) or not re.fullmatch(r"[A-Za-z_]\w*", id):
            raise ValueError(f"a code cell has the grade_id {id!r}; it should be a Python name, such as q1")
        if id in seen:
            raise ValueError(f"two cells have the grade_id {id}")
        seen.add(id)
        if marks.get("solution"):
            pending[id] = cell
        elif marks.get("grade"):
            of = id.removesuffix("_check")
            if of not in pending or not id.endswith("_check"):
                raise ValueError(f"{id}: no solution cell {of} comes before it")
            cells.append(("question", _question(of, pending.pop(of), cell)))
        else:
            cells.append(("setup", source(cell)))
    if pending:
        raise ValueError(f"{next(iter(pending))}: its check cell {next(iter(pending))}_check is missing")
    if not any(kind == "question" for kind, _ in cells):
        raise ValueError("it asks nothing: no solution cell with nbgrader metadata")
    first = notebook["cells"][0]
    title = source(first).partition("\n")[0].lstrip("# ") if first.get("cell_type") == "markdown" else name
    return Exercise(str(name), tuple(cells), title)


def _question(id: str, solution: dict, check: dict) -> Question:
    about, points = part(solution, "metadata", "cowlab"), part(check, "metadata", "nbgrader").get("points")
    parts, call, hints = about.get("parts"), about.get("call"), about.get("hints")
    if type(points) not in (int, float) or points <= 0:
        raise ValueError(f"{id}_check: points is {points!r}; it should be a number above 0")
    if type(parts) is not int or not 1 <= parts <= 60:
        raise ValueError(f"{id}: parts is {parts!r}; it should say in how many equal parts the points come (1 to 60)")
    if not isinstance(hints, list) or len(hints) != 3 or not all(isinstance(h, str) for h in hints):
        raise ValueError(f"{id}: hints should be a list of three texts")
    try:
        compile(call, id, "eval")
        compile(source(check), f"{id}_check", "exec")
    except (TypeError, ValueError, SyntaxError) as e:
        raise ValueError(f"{id}: call and check cell should be Python ({e})") from None
    return Question(id, points, parts, call, tuple(hints), SOLUTION.sub("", source(solution)), source(check))


def exercises() -> dict[str, Path]:
    """Those of this clone, or those that ship with cowlab: name -> learners' form."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_lessons" / "exercises", package.parent / "exercises"):
        if found := sorted(folder.glob("*.ipynb")):
            return {p.stem: p for p in found}
    return {}


def find_exercise(name: str, given: dict[str, Exercise], file: str) -> Exercise:
    """The exercise of this name. Raises ValueError, which names those that there are."""
    if name in given:
        return given[name]
    near = nearest(name, given)
    raise ValueError(f"{file} belongs to no exercise known here ({', '.join(given)}){near and f'; {near}'}")
