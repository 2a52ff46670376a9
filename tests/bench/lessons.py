"""How long the lessons take: the machine, cell by cell, and the reader.

    python tests/bench/lessons.py [NOTEBOOK...]

The machine's part is measured: every code cell of a notebook, in a kernel of its own, as Jupyter runs it. The reader's
part is a sum, and says no more than its terms: words of text and of questions at 150 a minute, three minutes a question
(to choose, and to step through the reply), a minute and a half a code cell (to run it and to look), two minutes for
each cell that wants something written down or filled in first, five for each "Your move" or "Your turn", and three for
the open question. Speaker notes and text twins are not read.
"""

import re
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from cowlab.course import QUESTIONS

LESSONS = Path(__file__).parent.parent.parent / "notebooks"
WORDS_A_MINUTE, QUESTION, CELL, PAPER, MOVE, OPEN = 150, 3, 1.5, 2, 5, 3
ON_PAPER = r"write down|before you (run|look|read)|\bfill\b|on paper|say .{0,20}aloud"


def seconds(path: Path) -> dict[str, float]:
    """Cell id -> seconds, from the kernel's "busy" to its "idle"."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=60, kernel_name="python3", record_timing=True).execute(cwd=folder)
    times = {c.id: c.metadata.execution for c in notebook.cells if c.cell_type == "code"}
    busy, idle = "iopub.status.busy", "iopub.status.idle"
    return {
        id: (datetime.fromisoformat(t[idle]) - datetime.fromisoformat(t[busy])).total_seconds()
        for id, t in times.items()
    }


def minutes(path: Path) -> tuple[int, int, int, float]:
    """Words, questions, code cells, and the sum in minutes."""
    cells = nbformat.read(path, as_version=4).cells
    read = [c for c in cells if c.metadata.get("slideshow", {}).get("slide_type") not in ("skip", "notes")]
    text = " ".join(c.source for c in read if c.cell_type == "markdown")
    questions = [q for q in QUESTIONS.values() if f'"{q.id}"' in " ".join(c.source for c in cells)]
    words = len(text.split())
    words += sum(len(" ".join([q.prompt, q.setting, *(c.text for c in q.choices)]).split()) for q in questions)
    code = sum(c.cell_type == "code" for c in read) - sum("ask(" in c.source for c in read)
    moves = text.count("## Your move") + text.count("## Your turn")
    paper = sum(bool(re.search(ON_PAPER, c.source, re.I)) for c in read if c.cell_type == "markdown")
    total = PAPER * paper + words / WORDS_A_MINUTE + QUESTION * len(questions) + CELL * code + MOVE * moves + OPEN
    return words, len(questions), code, total


if __name__ == "__main__":
    print(f"{'notebook':26}{'words':>6}{'questions':>10}{'cells':>6}{'minutes':>8}{'run, s':>8}  slowest cell")
    for path in map(Path, sys.argv[1:]) if sys.argv[1:] else sorted(LESSONS.glob("[01][0-9]-*.ipynb")):
        took = seconds(path)
        slowest = max(took, key=took.get)
        words, questions, code, total = minutes(path)
        print(f"{path.stem:26}{words:6}{questions:10}{code:6}{total:8.0f}{sum(took.values()):8.2f}", end="")
        print(f"  {slowest} {took[slowest]:.2f}")
