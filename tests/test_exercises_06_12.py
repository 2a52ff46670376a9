"""Exercises 05 to 12 and their rubric: what seeds draw is equally hard, budgets are measured, the capstone stands."""

import json
import re
from functools import cache
from xml.etree import ElementTree

import pytest
from machine import ROOT

from cowlab import designs, judge, kernel, load, parse
from cowlab.grade import later, problems, rubric, search
from cowlab.grade.design_rubric import check_design, check_report, check_row, check_separates, within
from cowlab.grade.difficulty import ALONE, TAKERS, measured, schedules, told
from cowlab.grade.notebook import exercise, read_notebook, source
from cowlab.grade.problems import _callers
from cowlab.grade.release import FULL, known_answers
from cowlab.grade.standing import standing
from cowlab.litmus import catalogue
from cowlab.mm import KERNELS, ROADS, replace

MINE = sorted(p for p in ROOT.glob("tests/solutions/*.ipynb") if "05" <= p.stem[:2] <= "12")
CAPSTONE = ROOT / "tests" / "solutions" / "12-design-your-own.ipynb"


def name(path):
    return path.stem


def role(cell):
    return cell["metadata"].get("nbgrader", {})


def test_there_are_eight():
    assert [p.stem[:2] for p in MINE] == ["05", "06", "07", "08", "09", "10", "11", "12"]


@pytest.mark.parametrize("path", MINE, ids=name)
def test_setup_cells_print_nothing(path, capsys):
    """What learners are handed out runs as it stands, and shows nothing."""
    space = {"display": lambda *shown: None}
    for cell in read_notebook(ROOT / "exercises" / path.name)["cells"]:
        if cell["cell_type"] == "code" and not role(cell).get("grade"):
            exec(source(cell), space)
    assert capsys.readouterr().out == ""


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
    mine = standing(reference(), "v5.8")
    assert str(mine).endswith("Nothing in this table beats yours.")
    assert re.search(r"^\* yours", str(mine), re.MULTILINE)
    assert "Yours is beaten by break-cow-flag" in str(standing({"keeps_pinned": True}, "v5.8"))
    assert "Yours is beaten by break-cow-flag" in str(standing({}, "v5.8"))
    assert str(standing(7, "v5.8")) == "The answer is a dict: field -> rule."
    assert "cannot be 'no'" in str(standing({"reuse": "no"}, "v5.8"))


def test_the_picture_of_the_front_says_what_the_table_says():
    """Each row has its place by pages and by tests lost; every name is there, and a title and words for those who do
    not see it. A row that is none has no picture."""
    mine = standing(reference(), "v5.8")
    picture = ElementTree.fromstring(mine.svg())
    space = "{http://www.w3.org/2000/svg}"
    texts = [t for t in picture.iter(f"{space}text") if t.text]
    assert picture.get("role") == "img"
    assert mine.verdict in picture.find(f"{space}desc").text
    assert {n.strip("* ") for t in texts for n in t.text.split(",")} >= {*KERNELS, *ROADS, "yours"}
    at = next(t for t in texts if t.get("font-weight"))
    newest = next(t for t in texts if "v6.12" in t.text)
    assert at.text == "* yours"
    assert float(at.get("x")) < float(newest.get("x"))  # fewer pages
    assert float(at.get("y")) == float(newest.get("y"))  # as many tests lost
    assert mine._repr_mimebundle_()["text/plain"] == str(mine)
    assert "text/html" not in standing(7, "v5.8")._repr_mimebundle_()


@pytest.mark.full
def test_designs_of_the_front_stand_beside_it():
    front = designs.pareto(designs.table())
    mine = standing(reference(), "v5.8", front)
    assert all(a.kernel.name in str(mine) for a in front)
    assert "a design of the front" in mine.svg()


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
        zip(("gup", "io_uring", "kvm", "perf"), _callers(("gup", "io_uring", "kvm", "perf"), leak, "v5.7"), strict=True)
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


# Seeds: equally hard


SEEDS = range(24)
OLDER, NEWER = ("v5.9", "v5.10", "v5.18"), ("v5.19", "v6.1", "v6.12")
DRAWN = [problems.longer, problems.avoid, problems.isolation, problems.coherence, problems.verdicts, problems.lookups,
         problems.six, problems.left_out, later.budget, later.caller, later.report, later.sandbox,
         later.capstone]  # fmt: skip


def different(draw):
    """What the seeds draw, each once."""
    return list({said(found): found for found in map(draw, SEEDS)}.values())


def said(drawn):
    return getattr(drawn, "text", repr(drawn))


def alike(found):
    """The same length, and numbers of solutions at most a factor of two apart."""
    assert len({hard.shortest for hard in found}) == 1, found
    counts = [hard.solutions for hard in found]
    assert 0 < max(counts) <= 2 * min(counts), found


@pytest.mark.parametrize("path", MINE, ids=name)
def test_every_question_says_how_it_is_measured(path):
    """And every exercise takes a seed."""
    cells = read_notebook(path)["cells"]
    for q in exercise(path).questions:
        cell = next(c for c in cells if role(c).get("grade_id") == q.id)
        assert cell["metadata"]["cowlab"]["difficulty"].startswith("measure."), q.id
    assert sum(source(c).splitlines().count("SEED = 0") for c in cells) == 1


@pytest.mark.parametrize("draw", DRAWN, ids=lambda f: f.__name__)
def test_neighbours_get_different_problems(draw):
    """The same seed draws the same, and of 24 seeds at least four are different; what is no seed is refused."""
    assert [said(draw(s)) for s in SEEDS] == [said(draw(s)) for s in SEEDS]
    assert len(different(draw)) >= 4
    with pytest.raises(ValueError, match="is no seed"):
        draw(-1)


def test_schedules_invariants_and_reports_are_equally_hard():
    """05, 06 and 11: as many moves, atoms or steps, and about as many solutions."""
    alike([schedules(test) for test in different(problems.longer)])
    for draw in (problems.isolation, problems.coherence):
        alike([search.invariant(c.test, c.good, c.bad) for c in different(draw)])
    found = []
    for report in later.REPORTS:

        def right(text, report=report):
            return check_report({"test": text, "verdicts": {}}, report.steps, report.seen).score > 0

        found.append(search.litmus_tests(right, *told(report.steps)))
    alike(found)


@pytest.mark.full
def test_rows_are_equally_hard():
    """07 and 11: as many changes, in about as many ways."""
    own = {problems.COMES_BACK.name: problems.COMES_BACK}
    alike([search.rows("v5.7", wanted, own) for wanted in different(problems.verdicts)])
    alike([search.rows("v5.7", wanted) for wanted in different(later.sandbox)])


@pytest.mark.full
def test_designs_are_equally_hard():
    """09 and 12: as many of the six questions answered otherwise, in about as many ways."""
    for draw in (later.budget, later.capstone):
        alike([search.design(b.base, lambda found, b=b: within(found, **b.limits)) for b in different(draw)])


@cache
def right_leaks(leaks_on, not_on):
    """The tests of four of TAKERS' steps that earn all, whatever steps they use."""
    tests = search._tests(TAKERS, "exists C.pipe == new", 4)
    return [text for text in tests if rubric.check_test(text, leaks_on, not_on, ()).ok]


@pytest.mark.full
@pytest.mark.parametrize(
    ("draw", "kernels"), [(problems.avoid, ("v5.7", "v5.8")), (problems.left_out, ("v5.8", "v5.9"))], ids=["05", "08"]
)
def test_leaks_are_equally_hard(draw, kernels):
    """Whatever is not to occur, a test of four steps does, and none of three."""
    counts = [
        sum(not any(re.search(rf"\b{step}\b", text) for step in avoided) for text in right_leaks(*kernels))
        for avoided in different(draw)
    ]
    assert 0 < max(counts) <= 2 * min(counts), counts
    shorter = search._tests(TAKERS, "exists C.pipe == new", 3)
    assert not any(rubric.check_test(text, *kernels, ()).ok for text in shorter)


@pytest.mark.full
def test_tests_that_separate_are_equally_hard():
    """10: by whatever caller, four steps."""
    found = []
    for caller in different(later.caller):

        def right(text, caller=caller):
            return check_separates(text, OLDER, NEWER, (caller,), ("fork", "pin")).ok

        found.append(search.litmus_tests(right, {"P": [*ALONE, f"{caller} x -> r"]}, "forall P.r == new"))
    alike(found)


def test_tables_are_equally_hard():
    """07 and 08: of five lookups two leak on the half backport; of six callers two hold, two are told, two let go."""
    new = kernel("v5.8")
    half = replace(kernel("v5.7"), force_cow_break=new.force_cow_break, follow_write=new.follow_write)
    for seed in SEEDS:
        five = [parse(problems.LOOKUP.format(step)) for step in problems.lookups(seed)]
        assert sum(judge(test, half).positive > 0 for test in five) == 2
        rows = _callers(problems.six(seed), problems.OLDER, "v5.8")
        assert sorted(page for _, page, _ in rows) == ["held", "held", "let go", "let go", "told", "told"]
        assert sum(leak == "yes" for *_, leak in rows) == 2


@pytest.mark.full
@pytest.mark.parametrize("path", [p for p in MINE if p.stem[:2] in ("06", "07", "11")], ids=name)
def test_the_self_test_can_print_how_hard_it_is(path):
    found = measured(path)
    assert set(found) == {q.id for q in exercise(path).questions}
    assert all(hard.solutions for hard in found.values())
