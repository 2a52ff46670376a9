"""A class and its problems: who gets which, and whose a submission is.

A roster is a CSV file whose first column is a student's id, under a heading. A student's seed is made of the id alone,
so that nothing has to be kept: the same roster gives the same problems again. What is handed in is graded on the
student's own problem, whatever the file says.
"""

import csv
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..litmus.errors import LitmusError
from .notebook import Exercise, read_notebook, source

__all__ = ["hand_out", "reseeded", "roster", "seed_of", "student_of"]

SEED = re.compile(r"^SEED = 0$", re.MULTILINE)  # in a setup cell
ID = re.compile(r"[\w.@+-]{1,80}")
SEEDS = 1 << 31


def roster(path: Path) -> list[str]:
    """The ids of a roster, in order. Raises LitmusError: which line is wrong, and what would be right."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [(n, row[0].strip()) for n, row in enumerate(csv.reader(file), 1) if row and row[0].strip()]
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise LitmusError(
            f"{path}: no roster ({e})", "give a CSV file in UTF-8, with ids in its first column"
        ) from None
    seen: dict[str, int] = {}
    for n, id in rows[1:]:
        if not ID.fullmatch(id) or id.strip(".") == "":
            remedy = "an id has letters, digits and . @ + - _ only: it names a folder"
            raise LitmusError(f"{path}, line {n}: {id[:40]!r} cannot be an id", remedy)
        if id in seen:
            raise LitmusError(f"{path}, line {n}: {id} stands in line {seen[id]} already", "give each id once")
        seen[id] = n
    if not seen:
        raise LitmusError(f"{path}: no ids", "the first line is a heading; below it comes one student a line")
    return list(seen)


def seed_of(id: str) -> int:
    """The same for the same id everywhere.

    >>> seed_of("anna") == seed_of("anna") != seed_of("bert")
    True
    """
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:4], "big") % SEEDS


def reseeded(exercise: Exercise, seed: int) -> Exercise:
    """The exercise with the problems of this seed; unchanged if it has no ``SEED = 0`` in a setup cell."""
    cells = ((kind, SEED.sub(f"SEED = {seed}", c) if kind == "setup" else c) for kind, c in exercise.cells)
    return replace(exercise, cells=tuple(cells))


def hand_out(form: Path, seed: int) -> None:
    """Write the seed into a learners' form. Raises LitmusError if it takes none."""
    notebook, found = read_notebook(form), 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and not cell["metadata"]["nbgrader"]["solution"]:
            text, n = SEED.subn(f"SEED = {seed}", source(cell))
            cell["source"], found = text.splitlines(True), found + n
    if found != 1:
        form.unlink()
        remedy = "it should have the line SEED = 0 in one setup cell; or release it without --seed and --students"
        raise LitmusError(f"{form.stem} takes no seed", remedy)
    form.write_text(json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")


def student_of(path: str | Path, ids: Iterable[str]) -> str:
    """Whose submission this is: the nearest folder above it with the name of a student, or the end of its name after
    a hyphen. An empty string if it is nobody's."""
    known = set(ids)
    above = [p for p in reversed(Path(path).parts[:-1]) if p in known]
    stem = Path(path).stem
    return next(iter(above), "") or max((i for i in known if stem == i or stem.endswith(f"-{i}")), key=len, default="")
