"""Exercises 06 to 12 and their rubric: one right and one wrong answer of each question here, all of them in full."""

import json
import re

import pytest
from machine import ROOT

from cowlab import designs, kernel, load
from cowlab.grade.box import Limits
from cowlab.grade.design_rubric import callers, check_design, check_report, check_row, check_separates, standing
from cowlab.grade.notebook import read_notebook, source
from cowlab.grade.release import FULL, known_answers, self_test
from cowlab.litmus import catalogue
from cowlab.mm import KERNELS, ROADS

MINE = sorted(p for p in ROOT.glob("tests/solutions/*.ipynb") if "06" <= p.stem[:2] <= "12")
BUDGETS = {
    "09-the-price": ("v5.7", {"coherence": 9, "pages": 11}),
    "12-design-your-own": ("v5.8", {"coherence": 3, "pages": 12}),
}
CAPSTONE = ROOT / "tests" / "solutions" / "12-design-your-own.ipynb"


def name(path):
    return path.stem


def role(cell):
    return cell["metadata"].get("nbgrader", {})


def advice_on(path, of, answer):
    """What the check of a question says of an answer, both run here: quick, and without the isolation."""
    space = {"display": lambda shown: None}
    cells = [c for c in read_notebook(path)["cells"] if c["cell_type"] == "code"]
    for cell in cells:
        if role(cell).get("grade_id") == f"{of}_check":
            exec(answer, space)  # the author's own
            exec(source(cell), space)
            return space["advice"]
        if role(cell).get("locked") and not role(cell).get("grade"):
            exec(source(cell), space)
    raise AssertionError(of)


def right_and_wrong(path):
    asked, known = known_answers(path)
    for q in asked.questions:
        mine = [k for k in known if k.of == q.id]
        yield mine[0]
        yield next(k for k in mine if k.score < 1 and k.believes)


def test_there_are_seven():
    assert [p.stem[:2] for p in MINE] == ["06", "07", "08", "09", "10", "11", "12"]


@pytest.mark.parametrize("path", MINE, ids=name)
def test_a_right_and_a_wrong_answer(path):
    """The reference earns all; a wrong answer earns what its author says, and shows the misconception it is tied to."""
    for k in right_and_wrong(path):
        advice = advice_on(path, k.of, k.answer)
        assert advice.score == pytest.approx(k.score), (k.of, k.name)
        assert k.name == FULL or set(advice.believes) == set(k.believes), (k.of, k.name)


@pytest.mark.full
@pytest.mark.parametrize("path", MINE, ids=name)
def test_every_known_answer(path):
    """In isolation, and through nbval: each known answer earns what its author says."""
    assert {r["name"]: r["wrong"] for r in self_test(path, Limits()) if r["wrong"]} == {}


@pytest.mark.parametrize("path", MINE, ids=name)
def test_each_question_has_answers_tied_to_misconceptions(path):
    """Two right ones that differ beside the reference or with it, three wrong ones, and at least one belief."""
    asked, known = known_answers(path)
    for q in asked.questions:
        mine = [k for k in known if k.of == q.id and k.name not in ("an empty answer", "as handed out")]
        assert len({" ".join(k.answer.split()) for k in mine if k.score == 1}) >= 2, q.id
        assert len([k for k in mine if k.score < 1]) >= 3, q.id
        assert any(k.believes or re.search(r"\(M\d+\)", k.name) for k in mine), q.id
        assert 2 <= len(asked.questions) <= 4


@pytest.mark.parametrize("path", MINE, ids=name)
def test_setup_cells_print_nothing(path, capsys):
    """What learners are handed out runs as it stands, and shows nothing."""
    space = {}
    for cell in read_notebook(ROOT / "exercises" / path.name)["cells"]:
        if cell["cell_type"] == "code" and not role(cell).get("grade"):
            exec(source(cell), space)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("path", "budget"), [(p, BUDGETS[p.stem]) for p in MINE if p.stem in BUDGETS], ids=str)
def test_no_row_of_history_meets_the_budget(path, budget):
    """Taking a row over as it is earns less than full marks: the row's own fields, all of them, over the base."""
    base, limits = budget
    for k in (KERNELS | ROADS).values():
        fields = [f for f in type(k).__slots__ if f not in ("name", "about", "commits", "aliases")]
        values = {f: getattr(k, f) for f in fields if getattr(k, f) != getattr(kernel(base), f)}
        changes = {f: getattr(v, "__name__", v) for f, v in values.items()}
        assert not changes or check_design(changes, base, **limits).score < 1, k.name


def test_the_texts_of_the_budgets_are_measured():
    """09: v5.7 fills 10 pages, and each row of history without a leak more than 11. 12: of the tests of coherence one
    is lost by every row of history."""
    rows = {k.name: designs.assess(k) for k in KERNELS.values()}
    pages = {n: sum(a.columns[len(designs.TESTS) :]) for n, a in rows.items()}
    assert pages["v5.7"] == 10
    assert min(pages[n] for n, a in rows.items() if not a.fails["isolation"]) == 12
    always = set.intersection(*(set(a.fails["coherence"]) for a in rows.values()))
    assert always == {"reference-lost-when-the-child-exits"}
    assert [len(designs.TESTS[kind]) for kind in ("isolation", "coherence", "regression")] == [23, 18, 16]


@pytest.mark.full
def test_what_no_design_keeps():
    """12: no design without a leak and without a regression loses fewer than three tests of coherence."""
    clean = [a for a in designs.table() if not a.fails["isolation"] and not a.fails["regression"]]
    assert min(len(a.fails["coherence"]) for a in clean) == 3


def reference():
    space = {}
    exec(next(k.answer for k in known_answers(CAPSTONE)[1] if k.of == "q1" and k.name == FULL), space)
    return space["q1"]


def test_the_capstone_is_on_the_front():
    """No kernel of history and no road beats the reference, and it is starred; v5.8's own rules are beaten."""
    assert standing(reference(), "v5.8").endswith("Nothing in this table beats yours.")
    assert re.search(r"^\* yours", standing(reference(), "v5.8"), re.MULTILINE)
    assert "Yours is beaten by break-cow-flag" in standing({"keeps_pinned": True}, "v5.8")
    assert standing({}, "v5.8").startswith("Nothing is changed yet")


@pytest.mark.parametrize(
    ("answer", "says"),
    [(7, "is a dict"), ({}, "Nothing is changed"), ({"reuse": "no"}, "cannot be"), ({"nothing": 1}, "has no field")],
)
def test_a_row_that_is_none_earns_nothing(answer, says):
    for advice in (check_row(answer, "v5.7", {"child-reads-parent-secret": "Never"}),
                   check_design(answer, "v5.7", coherence=9, pages=11)):  # fmt: skip
        assert advice.score == 0
        assert says in repr(advice)


def test_a_change_that_is_not_needed_costs_half():
    wanted, enough = {"child-reads-parent-secret": "Never"}, {"reuse": "sole_reference"}
    base = check_row(enough, "v5.7", wanted, lean=True)
    more = check_row(enough | {"keeps_pinned": True}, "v5.7", wanted, lean=True)
    assert (base.score, more.score, more.hint) == (1.0, 0.5, 3)


def test_each_test_of_the_catalogue_separates_by_its_verdicts():
    """Half for those that do, since they are the catalogue's; nothing for those that do not."""
    from cowlab import judge

    for test in list(catalogue())[::9]:
        verdicts = [judge(load(test), kernel(k)).verdict for k in ("v5.9", "v5.19")]
        score = check_separates(load(test).text, ["v5.9"], ["v5.19"]).score
        assert score == (0.5 if verdicts[0] != verdicts[1] else 0), test


def test_a_report_needs_its_steps_and_one_kernel_more():
    test = load("fixed-buffer-survives-fork").text
    seen = {"v5.9": "Always"}
    assert check_report({"test": test, "verdicts": {"v5.9": "Always"}}, ("io_uring",), seen).score == 0.5
    assert check_report({"test": test, "verdicts": seen | {"v5.10": "Always"}}, ("io_uring",), seen).score == 1
    assert check_report({"test": test, "verdicts": seen | {"v5.10": "Never"}}, ("io_uring",), seen).score == 0.5
    assert "`rdma`" in repr(check_report({"test": test, "verdicts": seen}, ("rdma",), seen).said)
    assert check_report("text", ("rdma",), seen).score == 0


def test_callers_are_as_the_table_of_the_model_says():
    """A page is let go at once, or given up when the owner's changes, by those of whom the lesson says so."""
    leak = "litmus m\ninit\n  P: x = old\n\nP | C\nfork C | {0} x -> r\nwrite x new | munmap x\n\nexists C.r == new\n"
    rows = dict(
        zip(("gup", "io_uring", "kvm", "perf"), callers(("gup", "io_uring", "kvm", "perf"), leak, "v5.7"), strict=True)
    )
    assert rows["gup"] == ["data", "held", "yes"]
    assert rows["io_uring"] == ["writes", "held", "no"]
    assert rows["kvm"] == ["data", "told", "no"]
    assert rows["perf"] == ["address", "let go", "no"]


def test_a_wrong_answer_brings_an_execution_and_no_key():
    """A design that leaks is shown an order in which it does; nothing of the reference is said."""
    advice = check_design({"keeps_pinned": True}, "v5.8", coherence=3, pages=12)
    assert advice.trace is not None
    assert not re.search("unshare_if|exclusive", json.dumps(advice.said))
