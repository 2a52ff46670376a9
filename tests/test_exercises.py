"""All twelve exercises: answers whose marks are known, what can be had without working for it, and nbval."""

import json
import re
from types import ModuleType

import pytest
from machine import ROOT

from cowlab import judge, kernel
from cowlab.course.check import check_schedule
from cowlab.grade import design_rubric, later, problems, rubric, seeds
from cowlab.grade.box import Limits
from cowlab.grade.marking import grade_answers
from cowlab.grade.notebook import Submission, exercise, read_notebook, source
from cowlab.grade.release import EMPTY, FULL, known_answers, self_test, student_form
from cowlab.litmus import catalogue, load
from cowlab.mm import KERNELS, ROADS

SOLUTIONS = sorted(ROOT.glob("tests/solutions/*.ipynb"))
SEEDS = range(20)
GIVEN = ("as handed out", EMPTY)


def name(path):
    return path.stem


def role(cell):
    return cell["metadata"].get("nbgrader", {})


def played(path, seed=0, answers=(), until=""):
    """The names that a notebook has after its cells up to the check ``until``, with these answers in place."""
    space, given = {"display": lambda *shown: None}, dict(answers)
    for cell in read_notebook(path)["cells"]:
        if cell["cell_type"] != "code" or "known" in cell["metadata"].get("cowlab", {}):
            continue
        id, text = role(cell)["grade_id"], source(cell)
        if role(cell)["solution"]:
            text = given.get(id, re.sub(r"### BEGIN SOLUTION\n.*?### END SOLUTION\n?", "", text, flags=re.DOTALL))
        exec(re.sub(r"^SEED = 0$", f"SEED = {seed}", text, flags=re.MULTILINE), space)
        if id == f"{until}_check":
            break
    return space


# Answers whose marks are known


def by_question(path):
    asked, known = known_answers(path)
    return {q.id: [k for k in known if k.of == q.id and k.name not in GIVEN] for q in asked.questions}


def slips(path):
    """The wrong answers that are no belief: something left out, mistyped, or of the wrong kind."""
    cells = [c["metadata"].get("cowlab", {}).get("known", {}) for c in read_notebook(path)["cells"]]
    return {(k["of"], k["name"]) for k in cells if k.get("slip")}


@pytest.mark.parametrize("path", SOLUTIONS, ids=name)
def test_a_right_and_a_wrong_answer_to_each_question(path):
    """The reference earns all; a wrong answer earns what its author says, and shows what its author believes."""
    for q, known in by_question(path).items():
        wrong = next(k for k in known if k.score < 1 and (q, k.name) not in slips(path))
        for k in (known[0], wrong):
            advice = played(path, 0, {q: k.answer}, q)["advice"]
            assert advice.score == pytest.approx(k.score), (q, k.name)
            if k is wrong and k.believes is not None:
                assert set(advice.believes) == set(k.believes), (q, k.name)


@pytest.mark.parametrize("path", SOLUTIONS, ids=name)
def test_known_answers_are_many_and_tied_to_misconceptions(path):
    """Of each question two right ones that differ; and what is wrong stands for a misconception, or is marked as a
    slip. Of each exercise the grader finds the misconception of three, or more, by itself."""
    shown = 0
    for q, known in by_question(path).items():
        assert len({" ".join(k.answer.split()) for k in known if k.score == 1}) >= 2, q
        wrong = [k for k in known if k.score < 1]
        assert len(wrong) >= 3, q
        for k in wrong:
            tied = k.believes or re.search(r"\(M\d+", k.name)
            assert bool(tied) != ((q, k.name) in slips(path)), (q, k.name)
        assert sum((q, k.name) not in slips(path) for k in wrong) >= 2, q
        shown += sum(bool(k.believes) for k in wrong)
    assert shown >= 3


@pytest.mark.parametrize("path", SOLUTIONS, ids=name)
def test_the_learners_form_is_the_source_without_its_answers(path):
    form = json.loads((ROOT / "exercises" / path.name).read_text("utf-8"))
    assert form == student_form(read_notebook(path), path.stem)


@pytest.mark.full
@pytest.mark.parametrize("path", SOLUTIONS[1:4], ids=name)
def test_every_known_answer_through_nbval(path):
    """Right answers pass our check cells in nbval, and wrong ones fail those that they should."""
    assert {r["name"]: r["wrong"] for r in self_test(path, Limits()) if r["wrong"]} == {}


@pytest.mark.full
@pytest.mark.parametrize("path", [p for p in SOLUTIONS if p not in SOLUTIONS[1:4]], ids=name)
def test_a_right_and_a_wrong_submission_through_nbval(path):
    """Of the others, the references in one submission and a wrong answer to each question in another one."""
    asked, known = exercise(path), by_question(path)
    for pick in (lambda ks: ks[0], lambda ks: next(k for k in ks if k.score < 1)):
        chosen = {q: pick(ks) for q, ks in known.items()}
        graded = grade_answers(asked, Submission({q: k.answer for q, k in chosen.items()}, {}), Limits())
        assert graded.doubt == ""
        assert {r["id"]: r["score"] for r in graded.questions} == {
            q: pytest.approx(k.score, abs=1e-6) for q, k in chosen.items()
        }


# What can be had without working for it


def plain(value):
    """Lists and tuples alike; so an answer is found however it is kept."""
    if isinstance(value, list | tuple):
        return tuple(map(plain, value))
    return " ".join(value.split()) if isinstance(value, str) else value


def within_reach(value):
    """A value, and what its public attributes hold."""
    yield value
    if not isinstance(value, ModuleType | type | str | int | list | tuple | dict) and not callable(value):
        for word in dir(value):
            if not word.startswith("_"):
                held = getattr(value, word)
                yield held() if callable(held) and word in ("rows", "text") else held


@pytest.mark.parametrize("path", SOLUTIONS, ids=name)
def test_no_name_of_a_notebook_holds_an_answer(path):
    """When a learner's notebook has run with what is handed out, neither a variable in it, nor an attribute of one, nor
    what a function of ours returns for the seed, is the reference; and no claim is kept as True."""
    refs = {k.of: k.answer for k in known_answers(path)[1] if k.name == FULL}
    space = played(path)
    right = {q: plain(played(path, 0, refs, q)[q]) for q in refs}
    drawn = [f(0) for module in (seeds, problems, later) for n in module.__all__
             if callable(f := getattr(module, n)) and not n.startswith("check") and takes_a_seed(f)]  # fmt: skip
    names = {n: v for n, v in space.items() if not n.startswith("_") and n not in refs}
    held = [plain(v) for value in (*names.values(), *drawn) for v in within_reach(value)]
    for q, answer in right.items():
        assert answer not in [v for v in held if type(v) is type(answer)], q
    claims = [c for v in names.values() if isinstance(v, dict) for c in v.values() if isinstance(c, tuple)]
    assert not [c for c in claims if isinstance(c[0], bool)]


def takes_a_seed(function):
    try:
        return "seed" in function.__code__.co_varnames[: function.__code__.co_argcount]
    except AttributeError:
        return False


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_drawn_for_01_02_and_04_is_text(seed):
    """There is no trace and no table behind it."""
    for draw in (seeds.programs, seeds.family, seeds.counts):
        assert type(draw(seed)) is seeds.Sheet


PROGRAMS = sorted({rubric._shape(problems.longer(s)): s for s in range(60)}.values())  # a seed for each, but for names


@pytest.mark.parametrize(
    "which",
    [("02-fork-shares", "partners", 0), ("03-the-write-fault", "inherits", 0)]
    + [("05-either-way", "longer", seed) for seed in PROGRAMS],
    ids=str,
)
def test_no_execution_that_the_explorer_finds_is_an_answer(which):
    """Of no final state is the first execution a shortest schedule, wherever one stops."""
    exercise, test, seed = which
    assert len(PROGRAMS) == len(problems.LONGER)
    test = played(ROOT / "tests" / "solutions" / f"{exercise}.ipynb", seed, until="none")[test]
    for final in judge(test, kernel("v5.7")).finals:
        order = [m.action.proc for m in final.trace.moments[1:]]
        assert all(check_schedule(test, " ".join(order[:n]), shortest=True).score < 1 for n in range(len(order) + 1))


@pytest.mark.full
def test_no_test_of_the_catalogue_is_an_answer():
    """To 05 and 08, which ask for a leak, 10, which asks for a test that separates, and 11, which has a report."""
    older, newer = ("v5.9", "v5.10", "v5.18"), ("v5.19", "v6.1", "v6.12")
    for test in catalogue():
        text = load(test).text
        ops = {a.op for program in load(test).columns.values() for a in program}
        assert rubric.check_test(text, "v5.7", "v5.8", ()).score < 1, test
        assert rubric.check_test(text, "v5.8", "v5.9", ()).score < 1, test
        for caller in {later.caller(s) for s in SEEDS} & ops:
            assert design_rubric.check_separates(text, older, newer, (caller,), ("fork", "pin")).score < 1, test
        for report in later.REPORTS:
            if set(report.steps) <= ops:
                said = {"test": text, "verdicts": report.seen | {"v6.12": judge(load(test), kernel("v6.12")).verdict}}
                assert design_rubric.check_report(said, report.steps, report.seen).score < 1, test


def taken_over(base, k):
    """The changes that make ``base`` the row ``k``."""
    fields = [f for f in type(k).__slots__ if f not in ("name", "about", "commits", "aliases")]
    values = {f: getattr(k, f) for f in fields if getattr(k, f) != getattr(kernel(base), f)}
    return {f: getattr(v, "__name__", v) for f, v in values.items()}


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.full) for s in range(1, 20, 3))])
def test_no_row_of_history_is_an_answer(seed):
    """Taking a row over as it stands earns less than all: in 07 and 11, which ask for verdicts, and in 09 and 12, which
    have a budget."""
    own, nine, twelve = {problems.COMES_BACK.name: problems.COMES_BACK}, later.budget(seed), later.capstone(seed)
    for k in (KERNELS | ROADS).values():
        row = taken_over("v5.7", k)
        if row:
            assert design_rubric.check_row(row, "v5.7", problems.verdicts(seed), tests=own, lean=True).score < 1, k.name
            assert design_rubric.check_row(row, "v5.7", later.sandbox(seed), lean=True).score < 1, k.name
            assert design_rubric.check_design(row, nine.base, **nine.limits).score < 1, k.name
        if row := taken_over(twelve.base, k):
            assert design_rubric.check_design(row, twelve.base, **twelve.limits).score < 1, k.name
