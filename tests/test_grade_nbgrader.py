"""The real nbgrader, in an environment of its own, takes our exercises as they stand, and our points come through."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from machine import ROOT

import cowlab
from cowlab.grade.notebook import exercise, read_notebook
from cowlab.grade.release import known_answers

pytestmark = pytest.mark.full
NAME = "05-either-way"
CONFIG = "c = get_config()\nc.CourseDirectory.course_id = 'cow'\nc.ClearSolutions.enabled = False\n"
# One move too many, a right test, a wrong choice without a reason: 1.5 + 3 + 0.
BOB = {"q1": 'q1 = "P C C C D D D P"', "q3": 'q3 = {"choice": "a"}'}


@pytest.fixture(scope="module")
def nbgrader(tmp_path_factory):
    """A function that runs nbgrader in a course folder."""
    place = tmp_path_factory.mktemp("nbgrader")
    venv = place / "venv"
    try:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True, capture_output=True, timeout=120)
        pip = [venv / "bin" / "pip", "install", "-q", "nbgrader>=0.9.5,<0.10"]
        subprocess.run(pip, check=True, capture_output=True, text=True, timeout=400)
    except (subprocess.SubprocessError, OSError) as e:
        pytest.skip(f"nbgrader cannot be installed here: {str(getattr(e, 'stderr', e))[-300:]}")
    keep = ("LANG", "TMPDIR", "SSL_CERT_FILE")
    env = {k: v for k, v in os.environ.items() if k in keep} | {
        "PATH": f"{venv / 'bin'}:/usr/bin:/bin",  # nbgrader calls alembic by its name
        "PYTHONPATH": str(Path(cowlab.__file__).parents[1]), "HOME": str(place), "JUPYTER_PREFER_ENV_PATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip

    def run(course: Path, *args: str) -> str:
        done = subprocess.run(["nbgrader", *args], cwd=course, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stderr

    return run


def test_points_come_through(nbgrader, tmp_path):
    """generate_assignment changes no source of ours, autograde runs our checks, and the gradebook has our points."""
    form = ROOT / "exercises" / f"{NAME}.ipynb"
    (tmp_path / "nbgrader_config.py").write_text(CONFIG)
    source = tmp_path / "source" / "ex" / form.name
    source.parent.mkdir(parents=True)
    source.write_bytes(form.read_bytes())
    nbgrader(tmp_path, "generate_assignment", "ex")
    released = read_notebook(tmp_path / "release" / "ex" / form.name)
    assert ["".join(c["source"]) for c in released["cells"]] == [
        "".join(c["source"]) for c in read_notebook(form)["cells"]]  # fmt: skip
    _, known = known_answers(ROOT / "tests" / "solutions" / form.name)
    alice = {k.of: k.answer for k in reversed(known) if k.name == "the reference"}
    for student, answers in {"alice": alice, "bob": alice | BOB, "carol": {}}.items():
        notebook = json.loads(json.dumps(released))
        for cell in notebook["cells"]:
            cell["source"] = answers.get(cell["metadata"]["nbgrader"]["grade_id"], cell["source"])
        path = tmp_path / "submitted" / student / "ex" / form.name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(notebook))
    nbgrader(tmp_path, "autograde", "ex")
    nbgrader(tmp_path, "export")
    with open(tmp_path / "grades.csv", newline="") as file:
        rows = {r["student_id"]: (float(r["score"]), float(r["max_score"])) for r in csv.DictReader(file)}
    most = exercise(form).points
    assert rows == {"alice": (most, most), "bob": (4.5, most), "carol": (0.0, most)}


def test_feedback_goes_back_through_the_exchange(nbgrader, tmp_path):
    """Handed out, fetched, submitted and collected by nbgrader, graded by cowlab; nbgrader brings its page back."""
    course, student = tmp_path / "course", tmp_path / "student"
    form = ROOT / "exercises" / f"{NAME}.ipynb"
    (course / "source" / "ex").mkdir(parents=True)
    student.mkdir()
    (tmp_path / "exchange").mkdir()
    (tmp_path / "exchange").chmod(0o777)
    for folder in (course, student):
        (folder / "nbgrader_config.py").write_text(f"{CONFIG}c.Exchange.root = {str(tmp_path / 'exchange')!r}\n")
    (course / "source" / "ex" / form.name).write_bytes(form.read_bytes())
    nbgrader(course, "generate_assignment", "ex")
    nbgrader(course, "release_assignment", "ex")
    nbgrader(student, "fetch_assignment", "ex")
    nbgrader(student, "submit", "ex")
    nbgrader(course, "collect", "ex")
    words = ["grade", "submitted", "--csv", "marks.csv", "--html", "feedback", "--no-nbval"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "cowlab.cli", *words], cwd=course, env=env, check=True, capture_output=True)
    (page,) = course.glob(f"feedback/*/ex/{NAME}.html")
    nbgrader(course, "release_feedback", "ex")
    nbgrader(student, "fetch_feedback", "ex")
    (fetched,) = student.glob(f"ex/feedback/*/{NAME}.html")
    assert fetched.read_text() == page.read_text()
    assert "0 of 3" in fetched.read_text()
