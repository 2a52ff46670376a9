"""The second opinion: nbval runs our own check cells in a fresh kernel, which gets answers as data, and has never seen
a learner's code. JUnit XML, cell by cell, becomes points.

The notebook that nbval validates is the same for every submission, stored outputs and all: what the check cells print
for full marks, and `True` for every part of the points. It gives nothing away, and neither does a difference.
"""

import importlib.util
import json
import os
import sys
import xml.etree.ElementTree as xml
from pathlib import Path
from typing import Any

from ..litmus.errors import LitmusError
from .box import Limits, run_program
from .notebook import Exercise

__all__ = ["check_notebook", "junit", "require", "validate"]

SETUP = """\
import json
from pathlib import Path
display = lambda *shown, **more: None
answers = json.loads(Path("answers.json").read_text("utf-8"))"""
# jsonschema would load a grammar of internationalized addresses, which takes a second and is not asked for here.
PYTEST = "import sys; sys.modules['rfc3987_syntax'] = None; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
MEGABYTES = 8192  # of address space; a kernel reserves far more than it uses


def check_notebook(exercise: Exercise) -> tuple[dict[str, Any], list[tuple[str, int]]]:
    """The notebook to validate, and what each of its code cells is: (question, 0) for a check cell, (question, n) for
    part n of its points, ("", 0) for anything else."""
    cells, meaning = [], []

    def add(source: str, output: str | None = None, means: tuple[str, int] = ("", 0)):
        count = len(cells) + 1
        outputs = [] if output is None else [{
            "output_type": "execute_result", "execution_count": count, "metadata": {}, "data": {"text/plain": output},
        }]  # fmt: skip
        cells.append({
            "cell_type": "code", "id": f"cell-{count}", "metadata": {}, "source": source, "execution_count": count,
            "outputs": outputs,
        })  # fmt: skip
        meaning.append(means)

    add(SETUP)
    for kind, cell in exercise.cells:
        if kind == "setup":
            add(cell)
            continue
        add(f"{cell.id} = answers.get({cell.id!r}); advice = None")
        add(cell.check, repr(round(float(cell.points), 2)), (cell.id, 0))
        for n in range(1, cell.parts + 1):
            add(f"advice.reached({n}, {cell.parts})", "True", (cell.id, n))
    spec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}, meaning


def require() -> str:
    """What validates, with its version. Raises LitmusError if it is not installed."""
    if any(importlib.util.find_spec(name) is None for name in ("nbval", "pytest")):
        raise LitmusError("nbval is missing", "install it with: pip install 'cowlab[grade]', or use --no-nbval")
    from importlib.metadata import version

    return f"nbval {version('nbval')}"


def validate(exercise: Exercise, answers: dict[str, Any], limits: Limits) -> dict[str, tuple[bool, int]] | None:
    """Of each question: did its check cell print full marks, and how many parts of the points passed. None if nbval
    did not finish."""
    notebook, meaning = check_notebook(exercise)
    argv = [
        sys.executable, "-I", "-c", PYTEST, "check.ipynb", "-p", "nbval.plugin", "--nbval", "--nbval-current-env",
        f"--nbval-cell-timeout={limits.seconds * 2:g}", "-p", "no:cacheprovider", "-c", "pytest.ini", "--rootdir=.",
        "--junitxml=junit.xml", "-q", "--tb=no", "--no-header",
    ]  # fmt: skip
    root = str(Path(__file__).resolve().parents[2])
    env = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    if os.path.dirname(root) and importlib.util.find_spec("cowlab") and root not in _site():
        env["PYTHONPATH"] = root  # the kernel's; pytest itself is isolated
    files = {"check.ipynb": json.dumps(notebook), "answers.json": json.dumps(answers), "pytest.ini": "[pytest]\n"}
    total = limits.seconds * (2 + len(exercise.questions)) + 60
    xml_text = run_program(argv, Limits(seconds=total, megabytes=MEGABYTES), env, files, "junit.xml")
    return None if xml_text is None else junit(xml_text, meaning)


def _site() -> list[str]:
    import site

    return [*site.getsitepackages(), site.getusersitepackages()]


def junit(text: str, meaning: list[tuple[str, int]]) -> dict[str, tuple[bool, int]] | None:
    """Points out of JUnit XML. What failed, was skipped, is not there or is there twice has not passed; None if the
    cells are not those of the notebook."""
    try:
        cases = xml.fromstring(text).iter("testcase")
    except xml.ParseError:
        return None
    passed: dict[int, bool] = {}
    for case in cases:
        number = case.get("name", "").rpartition(" ")[2]
        if not number.isdigit() or int(number) >= len(meaning):
            return None
        passed[int(number)] = int(number) not in passed and len(case) == 0
    if len(passed) != len(meaning):
        return None
    found: dict[str, tuple[bool, int]] = {}
    for n, (question, part) in enumerate(meaning):
        if question:
            full, parts = found.get(question, (False, 0))
            found[question] = (passed[n], parts) if part == 0 else (full, parts + passed[n])
    return found
