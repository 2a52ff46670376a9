"""How long grading takes: python tests/bench/grade.py [RUNS]. Run it on a quiet machine; it asserts nothing.

One submission of exercise 05 (three questions), all right: in all, and its stages.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from cowlab.grade.box import Cell, Limits, run_cells
from cowlab.grade.marking import grade, judge_answers
from cowlab.grade.notebook import read_notebook
from cowlab.grade.release import known_answers, student_form
from cowlab.grade.validate import validate

ROOT = Path(__file__).resolve().parents[2]


def seconds(runs: int, function) -> tuple[float, float, float]:
    """Wall time, median and maximum, and the median of the processor time, which a busy machine changes less."""
    taken, busy = [], []
    for _ in range(runs):
        begun, before = time.perf_counter(), sum(os.times()[:4])
        function()
        taken.append(time.perf_counter() - begun)
        busy.append(sum(os.times()[:4]) - before)
    return statistics.median(taken), max(taken), statistics.median(busy)


def main(runs: int) -> None:
    source = ROOT / "tests" / "solutions" / "05-either-way.ipynb"
    asked, known = known_answers(source)
    right = {k.of: k.answer for k in reversed(known) if k.name == "the reference"}
    notebook = student_form(read_notebook(source), asked.name)
    for cell in notebook["cells"]:
        cell["source"] = right.get(cell["metadata"]["nbgrader"]["grade_id"], cell["source"])
    limits, given = Limits(), {asked.name: asked}
    setup = [Cell(f"setup {n}", c) for n, (kind, c) in enumerate(asked.cells) if kind == "setup"]
    cells = [*setup, *(Cell(q.id, right[q.id], q.call) for q in asked.questions)]
    answers = {q: v for q, v in run_cells(cells, limits).values.items() if q in right}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "05-either-way.ipynb")
        path.write_text(json.dumps(notebook))
        result = grade(path, given, limits)
        print(f"{result['points']:g} of {result['of']:g} points; {result['isolation']}; {result['validated']}")
        for name, function in {
            "one submission, in all": lambda: grade(path, given, limits),
            "  without nbval": lambda: grade(path, given, limits, nbval=False),
            "  running the answers": lambda: run_cells(cells, limits),
            "  the rubric": lambda: judge_answers(asked, answers, limits),
            "  nbval": lambda: validate(asked, answers, limits),
        }.items():
            median, most, busy = seconds(runs, function)
            print(f"{name:<26} median {median:5.2f} s   most {most:5.2f} s   processor {busy:5.2f} s   ({runs} runs)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 7)
