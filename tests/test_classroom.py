"""Seeds by roster, and class runs: as many at a time as one likes, the same marks; nothing graded twice."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from machine import ROOT

from cowlab.grade import classroom
from cowlab.grade.box import Limits
from cowlab.grade.classroom import reseeded, roster, run_class, seed_of, student_of
from cowlab.grade.marking import grade
from cowlab.grade.notebook import exercise, read_notebook, source
from cowlab.litmus import LitmusError

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the grader needs Linux")
COMMAND = [sys.executable, "-c", "import sys; from cowlab.cli import main; sys.exit(main())"]
SOURCE = ROOT / "tests" / "solutions" / "04-three-counts.ipynb"
FORM = ROOT / "exercises" / "04-three-counts.ipynb"
EITHER = ROOT / "exercises" / "05-either-way.ipynb"


def command(*words):
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, env=env, timeout=120)


def filled(form, q1):
    notebook = read_notebook(form)
    for cell in notebook["cells"]:
        if cell["metadata"]["nbgrader"]["grade_id"] == "q1":
            cell["source"] = q1
    return notebook


def handed_in(folder, number, q1='q1 = "P C"'):
    folder.mkdir(exist_ok=True)
    for n in range(number):
        (folder / f"05-either-way-s{n}.ipynb").write_text(json.dumps(filled(EITHER, q1)))
    return folder


# Seeds


def test_each_student_gets_a_problem_of_their_own_and_is_graded_on_it(tmp_path):
    """Whatever the file says: the seed is the roster's, and a neighbour's answers do not earn what one's own do."""
    (tmp_path / "roster.csv").write_text("id,name\nanna,A\nbert,B\n")
    done = command("release", SOURCE, "--to", tmp_path, "--students", tmp_path / "roster.csv")
    assert (done.returncode, done.stderr) == (0, "")
    answers = {}
    for id in ("anna", "bert"):
        form = tmp_path / id / SOURCE.name
        assert f"SEED = {seed_of(id)}" in "\n".join(source(c) for c in read_notebook(form)["cells"])
        answers[id] = f"q1 = {classroom_table(id)}"
    assert answers["anna"] != answers["bert"]
    for id, other in (("anna", "bert"), ("bert", "anna")):
        own = reseeded(exercise(FORM), seed_of(id))
        marks = {}
        for whose in (id, other):
            path = tmp_path / f"{whose}.ipynb"
            path.write_text(json.dumps(filled(tmp_path / other / SOURCE.name, answers[whose])))
            marks[whose] = grade(path, {own.name: own}, Limits(), nbval=False)["questions"][0]["points"]
        assert marks[id] == 6 > marks[other]


def classroom_table(id):
    from cowlab.course import counts_table

    return [list(row) for row in counts_table(seed_of(id)).rows]


@linux
def test_the_command_grades_by_the_roster(tmp_path):
    """And what belongs to nobody is in the report, with no points."""
    (tmp_path / "roster.csv").write_text("id\nanna\n")
    (tmp_path / "in" / "anna").mkdir(parents=True)
    text = json.dumps(filled(FORM, f"q1 = {classroom_table('anna')}"))
    (tmp_path / "in" / "anna" / FORM.name).write_text(text)
    (tmp_path / "in" / f"{FORM.stem}-carl.ipynb").write_text(text)
    done = command("grade", tmp_path / "in", "--exercise", FORM, "--students", tmp_path / "roster.csv", "--no-nbval",
                   "--json")  # fmt: skip
    found = {r["submission"].rpartition("/")[2]: r for r in json.loads(done.stdout)}
    assert found[FORM.name]["points"] == 6
    assert "belongs to nobody" in found[f"{FORM.stem}-carl.ipynb"]["problem"]


@pytest.mark.parametrize(
    ("path", "id"),
    [("anna/05.ipynb", "anna"), ("x/05-either-way-anna.ipynb", "anna"), ("x/05-anna.b.ipynb", "anna.b"),
     ("bert/05-anna.ipynb", "bert"), ("x/05-joanna.ipynb", ""), ("anna.ipynb", "anna")],
)  # fmt: skip
def test_whose_it_is(path, id):
    assert student_of(path, ["anna", "bert", "anna.b"]) == id


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "no ids"), ("id\n", "no ids"), ("id\nanna\nanna\n", "line 3: anna stands in line 2 already"),
     ("id\n../x\n", "line 2: '../x' cannot be an id"), ("id\n..\n", "cannot be an id"), (b"\xff\xfe", "no roster")],
)  # fmt: skip
def test_a_bad_roster_is_refused_in_one_message(tmp_path, text, said):
    file = tmp_path / "r.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(LitmusError, match=said):
        roster(file)


def test_what_takes_no_seed_says_so(tmp_path):
    done = command("release", ROOT / "tests" / "solutions" / "05-either-way.ipynb", "--to", tmp_path, "--seed", 3)
    assert done.returncode == 2
    assert "takes no seed" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


# Class runs


def test_results_come_in_order_and_nothing_is_graded_twice(tmp_path):
    """However many at a time; a key that has changed is graded again, and so is a line that was cut off."""
    graded, journal = [], tmp_path / "j"
    keys = {p: p for p in "abcdef"}

    def one(path):
        graded.append(path)
        time.sleep(0.01 * (path < "c"))
        return {"submission": path}

    def again(jobs):
        graded.clear()
        assert [r["submission"] for r, _ in run_class(list(keys), one, keys.get, jobs, journal)] == list(keys)
        return sorted(graded)

    assert again(3) == list("abcdef")
    assert again(1) == []
    keys["c"] = "changed"
    assert again(2) == ["c"]
    lines = journal.read_bytes()
    journal.write_bytes(lines[: lines.rindex(b'"result"')])
    assert again(2) == ["c"]
    assert again(2) == []
    keys["a"] = ""  # not to be read: never kept
    assert again(1) == again(1) == ["a"]


@linux
def test_marks_are_the_same_for_one_job_and_for_two(tmp_path):
    folder = handed_in(tmp_path / "in", 3)
    (folder / "broken.ipynb").write_text("{")
    texts = []
    for jobs in (1, 2):
        done = command("grade", folder, "--exercise", EITHER, "--no-nbval", "--jobs", jobs, "--csv", tmp_path / "m.csv")
        assert done.returncode == 0, done.stderr
        texts.append((tmp_path / "m.csv").read_bytes())
    assert texts[0] == texts[1]


@linux
@pytest.mark.full
def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path):
    """kill -9 in the middle: what is in the journal is not graded again, the rest is, and the marks are those of a run
    that was left alone."""
    folder, journal = handed_in(tmp_path / "in", 8), tmp_path / "journal"
    words = ["grade", folder, "--exercise", EITHER, "--no-nbval", "--jobs", "2"]
    run = subprocess.Popen([*COMMAND, *map(str, words), "--journal", str(journal)], env=os.environ |
                           {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    while run.poll() is None and (not journal.exists() or journal.read_bytes().count(b"result") < 3):
        time.sleep(0.02)
    run.kill()
    run.wait()
    before = len(classroom.Journal(journal).known)
    assert 3 <= before < 8
    resumed = command(*words, "--journal", journal, "--csv", tmp_path / "a.csv")
    assert resumed.stderr.count("(graded before)") == before
    assert len(classroom.Journal(journal).known) == 8
    command(*words, "--csv", tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    shutil.rmtree(folder)
