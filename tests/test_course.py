"""Questions are data, so the tests are about all of them; and what follows an answer is what the engine does."""

import json
import re
import subprocess
import sys
from html import unescape

import pytest
from browser import new_page, open_notebook, run_all

from cowlab import course, judge, kernel
from cowlab.course import MISCONCEPTIONS, QUESTIONS, answer, answers, ask, forget, hint, keep, progress, so_far
from cowlab.course.bank import HINTS, UnknownQuestion
from cowlab.litmus import parse

CHOICES = [(q, letter, c) for q in QUESTIONS.values() for letter, c in zip(q.letters, q.choices, strict=True)]
WRONG = [row for row in CHOICES if not row[2].right]
SCHEDULES = {
    **{f"{q.id}-{letter}": c.refutation for q, letter, c in WRONG if c.refutation},
    **{f"{q.id}-shows": q.shows for q in QUESTIONS.values() if q.shows},
    **{m.id: m.refutation for m in MISCONCEPTIONS.values() if m.refutation},
}


@pytest.fixture(autouse=True)
def _blank():
    """Each test starts with no answers and closed hints."""
    forget()
    yield
    progress._file = None
    forget()


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_ends_as_it_says(name):
    """Every execution that a learner is given to step through is a possible one, and shows what it is given for."""
    s = SCHEDULES[name]
    verdict = judge(s.load(), kernel(s.kernel), s.schedule)
    assert (verdict.positive == 1) is s.holds, verdict
    moves = [int(n) for n in re.findall(r"[Mm]ove (\d+)", s.look)]
    assert all(1 <= n <= len(s.schedule.split()) for n in moves), f"{s.look!r} names a move that is not there"


@pytest.mark.parametrize("q", QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_is_well_formed(q):
    """One right answer that says why; every other one a known belief, and an execution that refutes it; three hints."""
    assert re.fullmatch(r"\d\d-[a-z0-9-]+", q.id)
    assert sum(c.right for c in q.choices) == 1
    assert 3 <= len(q.choices) <= 5
    assert len(set(q.hints)) == 3
    for c in q.choices:
        assert bool(c.because) is c.right
        if not c.right:
            assert c.believes in MISCONCEPTIONS, c.believes
            assert c.refutation is not None, f"{c.text!r} ({c.believes}) has nothing that refutes it"
    assert len({c.text for c in q.choices}) == len(q.choices)


def test_misconceptions_are_all_there():
    """M1 to M20. One that no execution settles says which lesson takes it up."""
    assert list(MISCONCEPTIONS) == [f"M{n}" for n in range(1, 21)]
    assert all(re.fullmatch(r"(0[1-9]|1[01])-[a-z-]+", m.lesson) for m in MISCONCEPTIONS.values())


@pytest.mark.parametrize("id", QUESTIONS)
def test_a_question_on_paper_gives_nothing_away(id):
    """The stored forms list all choices, and "I do not know", and neither a reason nor a mark of the right one."""
    q, shown = QUESTIONS[id], ask(id)
    for form, unsure in ((repr(shown), "?) I do not know"), (shown.html(), "<li><b>?</b>: I do not know</li>")):
        assert unsure in form
        assert form.count("<li>") in (0, len(q.choices) + 1)
        said = words(unescape(re.sub(r"<[^>]+>", "", form)))
        assert all(words(c.text) in said for c in q.choices)
        assert not any(words(c.because) in said for c in q.choices if c.because)
    assert repr(shown) == repr(ask(id))
    assert ask(id)._repr_mimebundle_()["text/html"] == shown.html()


def words(text: str) -> str:
    return " ".join(text.replace("`", "").split())


def test_right_answers_are_spread():
    """The place of the right answer says nothing about it."""
    assert len({q.right for q in QUESTIONS.values()}) >= 3


@pytest.mark.parametrize(("q", "letter", "choice"), WRONG, ids=[f"{q.id}-{letter}" for q, letter, _ in WRONG])
def test_a_wrong_answer_meets_a_schedule(q, letter, choice):
    """It is recorded, and answered with an execution, not with the right answer."""
    reply = answer(q.id, letter)
    assert [(a.question, a.choice, a.right) for a in answers()] == [(q.id, letter, False)]
    assert reply.schedule is choice.refutation
    assert reply.schedule.look.replace("`", "") in repr(reply)
    right = q.choices[q.letters.index(q.right)]
    assert right.because.replace("`", "") not in repr(reply)
    assert right.text.replace("`", "") not in repr(reply)


def test_not_knowing_is_an_answer():
    reply = answer("05-secret", "?")
    assert answers() == [("05-secret", "?", False, 0)]
    assert reply.schedule is None
    assert repr(reply).startswith("Recorded: I do not know.")


def test_the_first_answer_stays_the_prediction():
    q = QUESTIONS["05-secret"]
    answer(q.id, "a")
    assert "after your first answer" in repr(answer(q.id, q.right))
    assert [a.choice for a in answers()] == ["a", q.right]
    assert progress.first_answer(q.id).choice == "a"


@pytest.mark.parametrize("choice", ["z", "", "ab", 7])
def test_nonsense_is_not_recorded(choice):
    assert "Nothing is recorded" in repr(answer("05-secret", choice))
    assert answers() == []


def test_an_unknown_question_names_the_others():
    with pytest.raises(UnknownQuestion, match=r"did you mean '05-secret'.*05-first-writer") as e:
        ask("05-secrets")
    assert e.value._render_traceback_() == [str(e.value)]


@pytest.mark.parametrize("id", [*QUESTIONS, *HINTS])
def test_one_hint_at_a_time(id):
    """Each call opens one more rung; the last one stays the last."""
    rungs = HINTS[id] if id in HINTS else QUESTIONS[id].hints
    assert len(rungs) == 3
    for n in (1, 2, 3, 3):
        assert hint(id).opened == rungs[:n]


def test_keep_writes_a_file_that_can_be_read_and_deleted(tmp_path):
    file = tmp_path / "my-answers.json"
    answer("05-secret", "a")
    assert keep(file) == file
    answer("05-secret", "?")
    assert [a["choice"] for a in json.loads(file.read_text())] == ["a", "?"]
    progress._given.clear()
    keep(file)
    assert [a.choice for a in answers()] == ["a", "?"]
    forget()
    assert json.loads(file.read_text()) == []
    file.write_text('{"a": 1}')
    with pytest.raises(ValueError, match="no file of answers"):
        keep(file)


def test_so_far_counts_by_lesson(tmp_path):
    """From the file and from memory, first answers only, and whatever the seed."""
    file = tmp_path / "my-answers.json"
    assert so_far(file) == f"No answers are kept yet. Call keep() in a lesson, and they are written to {file}."
    keep(file)
    right = QUESTIONS["05-secret"].right
    for id, choice in (("05-secret", right), ("05-secret", "a"), ("05-first-writer", "?"), ("02-exit-family#3", "?")):
        answer(id, choice)
    progress._file = None  # as in another notebook, which keeps nothing
    progress._given.clear()
    answer("07-exit-shared", "?")
    counts = [(line[7:9], *re.findall(r"\b\d+\b", line.partition(":")[2])) for line in so_far(file).splitlines()]
    total = {n: str(sum(id.startswith(n) for id in QUESTIONS)) for n in ("02", "05", "07")}
    assert counts == [("02", "1", total["02"], "0"), ("05", "2", total["05"], "1"), ("07", "1", total["07"], "0")]
    file.write_text("[1]")
    with pytest.raises(ValueError, match="no file of answers"):
        so_far(file)


# -- The form -------------------------------------------------------------------------------------------


def test_the_form_records_first_and_then_shows():
    """When the reply is there, the answer is on record. Nothing that gives it away goes to the browser before."""
    from cowlab.course.widget import QuestionForm

    q, seen = QUESTIONS["05-secret"], []
    form = QuestionForm(q, lambda reply: seen.append((reply, answers())))
    assert [letter for letter, _ in form.choices] == [*q.letters, "?"]
    assert not any(words(c.because) in words(str(form.get_state())) for c in q.choices if c.because)
    assert form.said == ""
    form._receive(form, {"answer": "a"}, [])
    assert [a.choice for a in seen[0][1]] == ["a"]
    assert "Recorded: a." in form.said
    form._receive(form, {"hint": True}, [])
    assert [words(h) for h in form.hints] == [words(q.hints[0])]


def test_a_wrong_answer_in_the_form_brings_the_player(monkeypatch):
    """And "I do not know" takes it away. The static form goes out first, and without a live view in it."""
    from cowlab.course.widget import show_form
    from cowlab.ui import Player

    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    box = show_form(QUESTIONS["05-secret"], ask("05-secret")._repr_mimebundle_())
    live = "application/vnd.jupyter.widget-view+json"
    assert [sorted(data) for data in shown] == [["text/html", "text/plain"], [live]]
    form = box.children[0]
    form._receive(form, {"answer": "a"}, [])
    assert isinstance(box.children[1], Player)
    form._receive(form, {"answer": "?"}, [])
    assert box.children == (form,)


def test_without_widgets_the_list_remains(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    monkeypatch.setitem(sys.modules, "cowlab.course.widget", None)
    ask("05-secret")._ipython_display_()
    answer("05-secret", "a")._ipython_display_()
    course.check_schedule("child-reads-parent-secret", "P")._ipython_display_()
    assert [sorted(data) for data in shown] == [["text/html", "text/plain"]] * 3
    assert all("<img" in data["text/html"] for data in shown[1:])


def test_the_form_in_a_browser(browser, jupyter_lab):
    """By keyboard and by name, as a screen reader has it: choose, record, be told, see the player; keys stay in it."""
    page = new_page(browser)
    open_notebook(page, jupyter_lab, "notebooks/05-either-way.ipynb")
    run_all(page)
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    group = page.get_by_role("group", name="C puts the page into a pipe")
    form = page.locator("form.cowlab-ask", has=group)
    form.get_by_role("button", name="Record my answer").click()
    form.get_by_role("status").get_by_text("choose one of the answers first").wait_for()
    form.get_by_role("radio", name="a) No. P writes").focus()
    for key in ("ArrowDown", "a", "d", "d", "Enter"):  # in JupyterLab's command mode these add and delete cells
        page.keyboard.press(key)
    form.get_by_role("status").get_by_text("Recorded: b.").wait_for()
    assert form.get_by_role("radio", name="b) No. The pipe holds a reference").is_checked()
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    output = page.locator(".jp-OutputArea-child", has=form)
    output.get_by_role("slider").wait_for()
    assert page.get_by_text("Run this cell to answer.").locator("visible=true").count() == 0
    form.get_by_text("Yes, in plain order").click()
    form.get_by_role("button", name="Record my answer").click()
    form.get_by_role("status").get_by_text("Recorded too, after your first answer: d. Yes.").wait_for()
    assert output.get_by_role("slider").count() == 0


def test_importing_the_course_loads_no_widgets():
    code = "import sys, cowlab.course as c; c.ask('05-secret'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"anywidget", "ipywidgets", "IPython", "graphviz", "traitlets"} & set(loaded)


def test_a_lone_advice_agrees_with_the_verdict():
    """A whole schedule scores 1 exactly when the verdict counts it, on every schedule of a test."""
    test = parse("litmus t\ninit\n  P: x = old\nP | C\nfork C | vmsplice x -> r\nwrite x new | exit\nexists C.r == new")
    for schedule in ("P P C C", "P C P C", "P C C P"):
        assert course.check_schedule(test, schedule).ok == (judge(test, kernel("v5.7"), schedule).positive == 1)
