"""The grader on honest answers: right ones earn full marks, half-right ones half, and nothing tells the key."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from machine import ROOT

import cowlab
from cowlab import kernel, load, run
from cowlab.course.check import ADVISORY, Advice, _Road, check_schedule
from cowlab.grade import marking, rubric
from cowlab.grade.box import Cell, Limits, run_cells
from cowlab.grade.marking import grade, grade_answers
from cowlab.grade.notebook import Submission, exercise, exercises, read_notebook, source
from cowlab.grade.plain import NotPlain, loads, plain
from cowlab.grade.release import EMPTY, FULL, known_answers, release, self_test, student_form
from cowlab.grade.report import as_csv, as_html, as_text
from cowlab.grade.validate import check_notebook, junit
from cowlab.litmus import LitmusError, catalogue

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the grader needs Linux")
SOLUTIONS = sorted(ROOT.glob("tests/solutions/*.ipynb"))
SOURCES = [*SOLUTIONS, *sorted(ROOT.glob("tests/grading/*.ipynb"))]
EXERCISES = sorted(ROOT.glob("exercises/*.ipynb"))
COUNTS = ROOT / "tests" / "grading" / "counts.ipynb"
QUICK = Limits(seconds=5)
# Of the others test_exercises_*.py tries a right and a wrong answer; all of them in full
QUICKLY = ("05-either-way", "counts", "rules")
SLOW = [pytest.mark.full]


def name(path):
    return path.stem


def named(stem, paths):
    return next(p for p in paths if p.stem == stem)


def known_of(path):
    asked, known = known_answers(path)
    return asked, {q.id: [k for k in known if k.of == q.id] for q in asked.questions}


# Sources, and what learners get of them


@linux
@pytest.mark.parametrize("path", [pytest.param(p, marks=SLOW[: p.stem not in QUICKLY]) for p in SOURCES], ids=name)
def test_known_answers_earn_what_their_author_says(path):
    """The reference earns all, nothing and the handed-out form none, and each known answer what stands beside it; what
    is said of an answer that does not earn all has the reference not in it."""
    rows = self_test(path, QUICK, nbval=False)
    assert {r["name"]: r["wrong"] for r in rows if r["wrong"]} == {}
    assert {r["name"] for r in rows} >= {FULL, EMPTY, "as handed out"}
    for key in keys(path):
        assert not [r["name"] for r in rows if r["earned"] < 1 and key in squeezed(r["said"])]


@pytest.mark.full
@linux
@pytest.mark.parametrize("path", SOLUTIONS[:1], ids=name)
def test_nbval_agrees_on_every_known_answer(path):
    """The whole way, with a kernel for each set of answers."""
    assert {r["name"]: r["wrong"] for r in self_test(path, Limits()) if r["wrong"]} == {}


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_there_are_right_and_wrong_answers_to_try(path):
    """Of each question at least two right ones written differently (the schedule of a puzzle may have one form only),
    and three that earn less."""
    _, known = known_of(path)
    for answers in known.values():
        assert len({squeezed(k.answer) for k in answers if k.score == 1}) >= 2
        assert len([k for k in answers if k.score < 1 and k.name not in (EMPTY, "as handed out")]) >= 3


@pytest.mark.parametrize("path", EXERCISES, ids=name)
def test_an_exercise_is_the_learners_form_of_its_source(path, tmp_path):
    """Byte for byte: `cowlab release` makes it."""
    made = release(ROOT / "tests" / "solutions" / path.name, tmp_path)
    assert made.read_bytes() == path.read_bytes()


def test_every_source_is_released():
    assert [p.name for p in SOLUTIONS] == [p.name for p in EXERCISES] == [f"{name}.ipynb" for name in exercises()]


def test_the_learners_form_keeps_only_what_is_theirs():
    """No solution, no known answer, no output, no other metadata; what is handed out stays."""
    notebook = read_notebook(COUNTS)
    notebook["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "P C C P"}]
    notebook["cells"][1]["metadata"]["tags"] = ["nbval-skip"]
    notebook["metadata"]["widgets"] = {}
    form = student_form(notebook, "counts")
    text = json.dumps(form)
    assert not re.search(r"SOLUTION|known|stream|q1 = ..P C C P|tags|widgets", text)
    assert {k: v for c in form["cells"] for k, v in c.items() if k in ("outputs", "execution_count")} == {
        "outputs": [], "execution_count": None}  # fmt: skip
    assert [source(c) for c in form["cells"] if c["id"] == "q1"] == ['q1 = ""  # your answer']


def edit(change):
    notebook = read_notebook(COUNTS)
    cells = {c["metadata"].get("nbgrader", {}).get("grade_id", c["id"]): c for c in notebook["cells"]}
    change(notebook, cells)
    return notebook


BROKEN = [
    (lambda n, c: c["q1"]["metadata"]["nbgrader"].update(grade_id="q 1"), "should be a Python name"),
    (lambda n, c: c["q1"]["metadata"]["nbgrader"].update(grade_id="setup"), "two cells have the grade_id setup"),
    (lambda n, c: n["cells"].remove(c["q2_check"]), "its check cell q2_check is missing"),
    (lambda n, c: n["cells"].remove(c["q2"]), "no solution cell q2 comes before it"),
    (lambda n, c: c["q1_check"]["metadata"]["nbgrader"].update(points=0), "points is 0; it should be a number above 0"),
    (lambda n, c: c["q1"]["metadata"]["cowlab"].pop("parts"), "parts is None; it should say in how many equal parts"),
    (lambda n, c: c["q1"]["metadata"]["cowlab"].update(hints=["one"]), "hints should be a list of three texts"),
    (lambda n, c: c["q1"]["metadata"]["cowlab"].update(call="q1 ="), "call and check cell should be Python"),
    (lambda n, c: c["q1"].update(source="q1 = 1"), "q1 has no solution; put it between ### BEGIN SOLUTION"),
    (lambda n, c: c["setup"].update(source="### END SOLUTION"), "setup: ### END without its other half"),
    (lambda n, c: n["cells"][-1]["metadata"]["cowlab"]["known"].update(of="q7"), "of should be one of q1, q2"),
    (lambda n, c: n["cells"][-1]["metadata"]["cowlab"]["known"].update(score=0.3), "come in 4 parts"),
    (lambda n, c: n["cells"][-1]["metadata"]["cowlab"]["known"].update(score=7), "a number from 0 to 1"),
    (lambda n, c: n["cells"][-1]["metadata"]["cowlab"]["known"].update(believes=["M99"]), "out of M1 to M20"),
    (lambda n, c: n.update(cells=n["cells"][:1]), "it asks nothing"),
    (lambda n, c: n.update(nbformat=3), "format 3"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN, ids=[m for _, m in BROKEN])
def test_a_broken_source_is_refused_in_one_message(tmp_path, change, message):
    path = tmp_path / "counts.ipynb"
    path.write_text(json.dumps(edit(change)))
    (tmp_path / "out").mkdir()
    with pytest.raises(LitmusError, match=re.escape(message)) as e:
        release(path, tmp_path / "out")
    assert str(e.value).startswith(str(path))
    assert "\n" not in str(e.value)


def test_release_does_not_write_over_its_source(tmp_path):
    path = tmp_path / "counts.ipynb"
    path.write_bytes(COUNTS.read_bytes())
    with pytest.raises(LitmusError, match="is the source itself"):
        release(path, tmp_path)
    with pytest.raises(LitmusError, match="is no folder"):
        release(path, tmp_path / "nowhere")


# Nothing tells the key


def squeezed(text: str) -> str:
    return " ".join(text.split())


def keys(path) -> list[str]:
    """What stands in the right answers of a source: the values, and the code. (A field or a rule of a kernel's row is
    a word that everybody may say.)"""
    _, known = known_of(path)
    right = [k for answers in known.values() for k in answers if k.score == 1]
    regions = [squeezed(r) for k in right for r in re.findall(r"### BEGIN SOLUTION\n(.*?)### END", k.answer, re.DOTALL)]
    texts = [squeezed(t) for r in regions for t in re.findall(r'"([^"]*)"', r)]
    return [t for t in [*regions, *texts] if len(t) > 7 and not t.isidentifier()]


def in_the_wheel():
    """Every text file that pyproject.toml puts into the wheel."""
    for folder in ("cowlab", "notebooks", "exercises"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in (".py", ".ipynb", ".litmus", ".jsonl", ".json", ".css", ".js", ".md"):
                yield path


@pytest.mark.parametrize("path", SOLUTIONS, ids=name)
def test_no_file_of_the_wheel_reveals_an_answer(path):
    """Neither an answer, nor a solution's marks, nor a known answer stands in what learners install."""
    wanted = keys(path)
    assert wanted
    for file in in_the_wheel():
        text = squeezed(file.read_text("utf-8", "replace").replace("\\n", " ").replace('\\"', '"'))
        assert not [key for key in wanted if key in text], file
        if file.suffix == ".ipynb":
            assert "BEGIN SOLUTION" not in text
            assert '"known"' not in text


def test_the_wheel_has_no_tests():
    import tomllib

    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["cowlab"]
    assert not [f for f in wheel["force-include"] if f.startswith("tests")]


def test_no_test_of_the_catalogue_is_an_answer():
    """A question that asks for a test of one's own is not answered by one that ships with cowlab."""
    assert {name: a.score for name in catalogue() if (a := rubric.check_test(load(name).text)).score > 0.5} == {}


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_what_nbval_validates_reveals_nothing(path):
    """Its stored outputs are the points and True, and its cells are those that learners have."""
    asked = exercise(path)
    notebook, _ = check_notebook(asked)
    outputs = {o["data"]["text/plain"] for c in notebook["cells"] for o in c["outputs"]}
    assert outputs == {"True", *(repr(float(q.points)) for q in asked.questions)}
    assert not [key for key in keys(path) if key in squeezed(json.dumps(notebook).replace("\\n", " "))]
    assert all(c["execution_count"] for c in notebook["cells"])


def test_claims_tell_their_letters_and_not_which_is_right():
    """The letters of the text are those of the claims, and of each question exactly one claim holds."""
    asked = exercise(ROOT / "exercises" / "05-either-way.ipynb")
    names = {"display": lambda shown: None}
    for kind, cell in asked.cells:
        if kind == "setup":
            exec(cell, names)
    text = "".join(source(c) for c in read_notebook(named("05-either-way", EXERCISES))["cells"] if c["id"] == "q3-text")
    first, second = text.split("**Why?**")
    for letters, claims in ((first, names["choices"]), (second, names["reasons"])):
        assert re.findall(r"^\* \*\*(\w)\*\*:", letters, re.MULTILINE) == list(claims)
        assert sum(rubric._holds(claim, names["execution"]) for claim, _, _ in claims.values()) == 1


def test_the_schedule_is_a_shortest_one():
    """The explorer finds none shorter than the reference."""
    names = {}
    cells = read_notebook(named("05-either-way", EXERCISES))["cells"]
    exec("\n".join(source(c) for c in cells if c["id"] in ("setup", "q1-test")), names)
    _, known = known_of(named("05-either-way", SOLUTIONS))
    reference = re.findall(r'"([PCD ]+)"', known["q1"][0].answer)[-1]
    assert _Road(names["longer"], kernel("v5.7")).moves_left() == len(reference.split())
    assert _Road(names["longer"], kernel("v5.8")).moves_left() is None


def test_a_check_in_a_notebook_is_advisory_and_says_so():
    """It runs in the learner's process, and prints what it is worth; the grader's reasons do not."""
    for path in EXERCISES:
        checks = [source(c) for c in read_notebook(path)["cells"] if c["metadata"]["nbgrader"]["grade"]]
        assert all("display(advice.advisory())" in text for text in checks)
    advice = check_schedule("child-reads-parent-secret", "P")
    assert repr(advice.advisory()).endswith(ADVISORY)
    assert ADVISORY not in str(rubric.marks(advice))


# Plain data, and the rubric on any of it

JUNK = [
    None, True, 0, -1.5, 10**12, "", " ", "P", "\n" * 50, "x" * 1000, [], [[]], [None], ["P"], [[1, 2]], {}, {"a": 1},
    {"choice": None}, {"choice": ["c"]}, {"": {}}, {"reuse": []}, {"reuse": {"a": 1}}, [[1], 2], "forall",
    "exists C.x ==", "~" * 60 + "C.pipe == new", "litmus", "litmus x\ninit\n",
]  # fmt: skip
CLAIMS = {"a": ("C.pipe == new", "M9", ""), "b": ("C.pipe == old", "M6", "")}
CHECKS = {
    "schedule": lambda v: check_schedule("child-reads-parent-secret", v, shortest=True),
    "test": rubric.check_test,
    "choice": lambda v: rubric.check_choice(v, run(load("child-reads-parent-secret"), kernel("v5.7"), "P C C P"),
                                            choice=CLAIMS),
    "table": lambda v: rubric.check_table(v, [[1, 3], [2, 3]], believes={"M5": [[1, 1], [2, 2]]}),
    "kernel": lambda v: rubric.check_kernel(v, "v5.7", "v5.8", ["child-reads-parent-secret"]),
    "invariant": lambda v: rubric.check_invariant(v, "child-reads-parent-secret", ["v5.8"], ["v5.7"]),
    "predicate": lambda v: rubric.check_predicate(v, [1], [2]),
}  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_judges_any_plain_data(check):
    """Whatever the answer is, the check says something, in plain data, and gives it nothing."""
    for junk in JUNK:
        advice = CHECKS[check](junk)
        assert isinstance(advice, Advice)
        assert advice.score == 0, junk
        assert advice.said
        assert plain(rubric.marks(advice)) == rubric.marks(advice)


class Text(str):
    __slots__ = ()


NOT_PLAIN = [
    Text("P"), [Text("P")], {Text("a"): 1}, {1: 2}, b"P", {1}, 1j, object(), float("nan"), 10**19, "\ud800",
    "x" * 100_001, [0] * 10_000, type("I", (int,), {})(1),
]  # fmt: skip


@pytest.mark.parametrize("value", NOT_PLAIN, ids=lambda v: type(v).__name__)
def test_only_plain_data_comes_out(value):
    with pytest.raises(NotPlain):
        plain(value)


def test_plain_data_comes_out_as_it_is():
    value = {"a": [None, True, 1, 1.5, "P C"], "b": {}}
    assert plain(value) == value == loads(json.dumps(value))
    assert plain((1, (2,))) == [1, [2]]
    for line in (b"[" * 30, b"[" * 10**6, b"NaN", b"{", b"\xff", b"9" * 10**5, b"1e999"):
        with pytest.raises(NotPlain):
            loads(line)


def test_a_claim_that_is_not_one_of_a_kind_is_the_authors_mistake():
    trace = run(load("child-reads-parent-secret"), kernel("v5.7"), "P C C P")
    with pytest.raises(ValueError, match="exactly one claim should hold"):
        rubric.check_choice({}, trace, choice={"a": ("C.pipe == new", "", ""), "b": (True, "", "")})


# One submission, from file to report


def handed_in(tmp_path, **answers):
    """The counts exercise with these answers; q2 is right unless it is among them."""
    notebook = student_form(read_notebook(COUNTS), "counts")
    answers = {"q2": "q2 = [[2, 2], [2, 3], [1, 2], [1, 2]]"} | answers
    for cell in notebook["cells"]:
        cell["source"] = answers.get(cell["metadata"]["nbgrader"]["grade_id"], cell["source"])
    path = tmp_path / "counts-alice.ipynb"
    path.write_text(json.dumps(notebook))
    return path


@linux
@pytest.mark.parametrize(("q2", "points"), [("q2 = [[2, 2], [2, 3], [1, 2], [1, 2]]", 4), ("q2 = [[2, 2], [2, 3]]", 2)])
def test_nbval_gives_the_points(tmp_path, q2, points):
    """Right answers earn full marks, half-right ones half; nbval says the same as the rubric."""
    path = handed_in(tmp_path, q1='q1 = "P C C P"', q2=q2)
    result = grade(path, {"counts": exercise(COUNTS)}, Limits())
    assert (result["points"], result["of"], result["doubt"]) == (2 + points, 6, "")
    assert result["validated"].startswith("nbval ")
    assert [q["points"] for q in result["questions"]] == [2, points]


@linux
def test_a_lost_point_has_a_reason(tmp_path):
    """What was said, the misconception, a schedule to step through, a hint: in words, in CSV, in HTML."""
    path = handed_in(tmp_path, q1='q1 = "P P C C"', q2="q2 = [[2, 2], [2, 2], [1, 1], [1, 1]]")
    result = grade(path, {"counts": exercise(COUNTS)}, QUICK, nbval=False)
    q1, q2 = result["questions"]
    assert (q1["believes"], q1["schedule"]["order"], q1["hint"]) == (["M9"], "P P C C", "Count who maps the frame.")
    assert (q2["points"], q2["believes"], q2["schedule"]["order"]) == (1, ["M5"], "P C")
    assert result["validated"] == ""
    text = as_text([result])
    assert "M9: the writer always copies" in text
    assert "step through: P P C C on v5.7" in text
    assert "not validated by nbval" in text
    assert as_csv([result]).splitlines()[0].startswith("submission,exercise,points,of,counts q1,counts q2,M5,M9,")
    assert "<b>M9</b>" in as_html(result)
    assert "do_wp_page copies" in as_html(result)


@linux
def test_what_is_only_in_other_cells_is_not_there(tmp_path):
    """Only the answer cells are run."""
    result = grade(handed_in(tmp_path, q1="q1 = my_helper()"), {"counts": exercise(COUNTS)}, QUICK, nbval=False)
    assert "NameError: name 'my_helper' is not defined" in result["questions"][0]["problem"]


@linux
def test_a_cell_costs_what_it_costs_and_no_other():
    """One that dies is left out, and the rest is run again without it."""
    cells = [Cell("a", "x = 1", "x"), Cell("b", "import os; os._exit(5)", "1"), Cell("c", "y = x + 1", "y"),
             Cell("d", "1 / 0", "1"), Cell("e", "z = [x, y]", "z")]  # fmt: skip
    found = run_cells(cells, QUICK)
    assert found.values == {"a": 1, "c": 2, "e": [1, 2]}
    assert found.problems["b"].endswith("before the answer was out (exit status 5)")
    assert found.problems["d"] == "ZeroDivisionError: division by zero"


@linux
@pytest.mark.parametrize(
    ("opinion", "points"),
    [
        (None, 0),  # nbval did not finish
        ({"q1": (False, 0), "q2": (False, 0)}, 0),
        ({"q1": (True, 1), "q2": (False, 3)}, 4),
        ({"q1": (False, 2), "q2": (True, 4)}, 6),  # every part has passed, the check cell as a whole has not
    ],
)
def test_where_the_two_opinions_differ_nobody_gains(monkeypatch, opinion, points):
    """The lower one counts, and a person is asked to look."""
    monkeypatch.setattr(marking, "validate", lambda exercise, answers, limits: opinion)
    asked = exercise(COUNTS)
    answers = {"q1": 'q1 = "P C C P"', "q2": "q2 = [[2, 2], [2, 3], [1, 2], [1, 2]]"}
    graded = grade_answers(asked, Submission(answers, {}), QUICK)
    assert graded.doubt.startswith("q1: the rubric gives 2 of 2 parts")
    assert sum(q["points"] for q in graded.questions) == points


MEANING = [("", 0), ("q1", 0), ("q1", 1), ("q1", 2)]


def suite(*cases):
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"


def case(n, inside=""):
    return f'<testcase classname="check.ipynb" name="Cell {n}">{inside}</testcase>'


@pytest.mark.parametrize(
    ("text", "points"),
    [
        (suite(*map(case, range(4))), {"q1": (True, 2)}),
        (suite(case(0), case(1, "<failure/>"), case(2), case(3, "<failure/>")), {"q1": (False, 1)}),
        (suite(case(0), case(1, "<skipped/>"), case(2, "<skipped/>"), case(3, "<error/>")), {"q1": (False, 0)}),
        (suite(case(0), case(1), case(2), case(2), case(3)), {"q1": (True, 1)}),
        (suite(*map(case, range(3))), None),
        (suite(*map(case, range(5))), None),
        (suite(case("x")), None),
        ("<testsuites>", None),
        ("", None),
    ],
    ids=["all", "some", "none is passed", "twice", "too few", "too many", "no number", "cut off", "empty"],
)
def test_junit_becomes_points(text, points):
    """Skipped, failed, missing and doubled cells have not passed; what does not fit the notebook counts as nothing."""
    assert junit(text, MEANING) == points


# The command


def cowlab_(*args, cwd=ROOT):
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(cowlab.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "cowlab.cli", *map(str, args)], capture_output=True, text=True, cwd=cwd, env=env
    )


@linux
def test_grade_on_the_command_line(tmp_path):
    path = handed_in(tmp_path, q1='q1 = "P C C P"')
    done = cowlab_("grade", tmp_path, "--exercise", COUNTS, "--no-nbval", "--json", "--csv", tmp_path / "m.csv",
                   "--html", tmp_path / "pages")  # fmt: skip
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert (result["submission"], result["points"], result["exercise"]) == (str(path), 6, "counts")
    assert (tmp_path / "m.csv").read_text().splitlines()[1].startswith(f"{path},counts,6,6,2,4,")
    assert sorted(p.name for p in (tmp_path / "pages").iterdir()) == ["counts-alice.html", "index.html"]


@linux
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["grade", "nowhere.ipynb"], "nowhere.ipynb: no such file or folder; give a submission"),
        (["grade", "exercises", "--time", "0"], "'0' is no time; give seconds, from 0.1 to 3600"),
        (["grade", "exercises", "--time", "nan"], "'nan' is no time"),
        (["grade", "exercises", "--memory", "lots"], "'lots' is no amount of memory; give megabytes, 256 or more"),
        (["grade", "exercises", "--require-isolation", "vm"], "vm"),
        (["grade", "exercises", "--exercise", "README.md"], "README.md: is not a notebook"),
        (["grade", "exercises", "--exercise", "notebooks/00-index.ipynb"], "a code cell has the grade_id None"),
        (["grade", "exercises", "--no-nbval", "--csv", "nowhere/marks.csv"], "nowhere is no folder"),
        (["grade", "--self-test", "exercises/05-either-way.ipynb"], "q1 has no solution"),
        (["release", "nowhere.ipynb"], "nowhere.ipynb: cannot be read"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_bad_usage_is_one_message(args, message):
    done = cowlab_(*args)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@linux
def test_a_failed_self_test_says_what_is_wrong(tmp_path):
    """A known answer that does not earn what its author says: exit status 1, and the row."""
    path = tmp_path / "counts.ipynb"
    path.write_text(json.dumps(edit(lambda n, c: n["cells"][-1]["metadata"]["cowlab"]["known"].update(score=1))))
    done = cowlab_("grade", "--self-test", "--no-nbval", path)
    assert done.returncode == 1
    assert "WRONG: earns 0, should earn 1" in done.stdout
