"""Predict, then look: recorded before anything is shown, and met with the execution."""

import json
import re

import pytest
from widgets import mount

from cowlab.course import answers, forget, progress
from cowlab.course.predict import ENTRIES, predict
from cowlab.litmus import LitmusError, load, parse, run
from cowlab.mm import kernel

CELLS = ["P.x entry", "frame 0 mapcount", "frame 0 refcount", "C.pipe frame"]
RIGHT = {"P.x entry": "read-only", "frame 0 mapcount": "1", "frame 0 refcount": "2", "C.pipe frame": "0"}


@pytest.fixture(autouse=True)
def _blank():
    forget()
    yield
    progress._file = None
    forget()


@pytest.fixture
def asked():
    return predict("t-story", run(load("child-reads-parent-secret"), kernel("v5.7"), "P C C P"), 3, CELLS)


def test_the_table_does_not_tell(asked):
    """On paper and in what goes to the browser the asked cells are empty; the others have what the engine has."""
    assert repr(asked).count("____") == asked.html().count("____") == len(CELLS)
    assert re.search(r"C\.x +unmapped +none", repr(asked))
    state = json.dumps(form(asked)[1].get_state()["rows"])
    assert "mapcount" in state
    assert not re.search(r'"text": "(read-only|1|2)"', state)
    assert asked.truth.items() >= RIGHT.items()


def form(asked):
    """What is displayed live: the box, and the form in it."""
    from cowlab.course.widget import show_table

    box = show_table(asked, asked._repr_mimebundle_())
    return box, box.children[0]


def test_recorded_before_it_is_shown(asked, monkeypatch):
    """When the reply is there the answer is on record, and the player stands open at the step."""
    from cowlab.ui import Player

    monkeypatch.setattr("IPython.display.display", lambda data, raw: None)
    box, table = form(asked)
    assert answers() == []
    table._receive(table, {"answer": {**RIGHT, "frame 0 mapcount": "2", "C.pipe frame": ""}}, [])
    (given,) = answers()
    assert (given.question, given.right) == ("t-story", False)
    assert given.choice == "P.x entry = read-only; frame 0 mapcount = 2; frame 0 refcount = 2; C.pipe frame = ?"
    assert isinstance(box.children[1], Player)
    assert box.children[1].at == 3
    assert table.marks == {"P.x entry": True, "frame 0 mapcount": False, "frame 0 refcount": True}
    assert table.said[:3] == ["Recorded: 2 of 4 are so.", "Not so: frame 0 mapcount.", "Left open: C.pipe frame."]
    table._receive(table, {"answer": RIGHT}, [])
    assert table.said[0] == "Recorded too, after your first answer. Yes, all of it is so."
    assert [a.right for a in answers()] == [False, True]


@pytest.mark.parametrize(("given", "right", "choice"), [
    (RIGHT, True, None), ({**RIGHT, "C.pipe frame": " Frame 0 ", "P.x entry": "READ-ONLY"}, True, None),
    ({**RIGHT, "frame 0 refcount": 2}, True, None), ({}, False, "?"), ({"frame 0 mapcount": ""}, False, "?"),
    ({**RIGHT, "C.pipe frame": "none"}, False, None),
])  # fmt: skip
def test_answers(asked, given, right, choice):
    """Typed by hand or in a cell, as numbers or as words; nothing at all is "I do not know"."""
    looked = asked.answer(given)
    assert (looked.right, answers()[0].right) == (right, right)
    assert choice in (None, answers()[0].choice)
    assert "read-only" not in " ".join(looked.said)


def test_bad_cells(asked):
    """A cell, or a step, that there is not: the legal ones, and the nearest."""
    with pytest.raises(LitmusError, match=r"'frame 0 mapcuont' was not asked; did you mean 'frame 0 mapcount'\?"):
        asked.answer({"frame 0 mapcuont": "1"})
    bad = [(9, CELLS, "no step 9"), (0, CELLS, "no step 0"), (3, ["P.y entry"], "no cell 'P.y entry'")]
    for step, cells, said in [*bad, (3, [], "nothing is asked")]:
        with pytest.raises(LitmusError, match=said):
            predict("t", asked.trace, step, cells)
    assert answers() == []


def test_entries_do_not_give_swap_away():
    """With swap in the machine every entry can be chosen to be in it."""
    text = "litmus t\ninit\n  P: x = old\n  P: y = old\nP | kswapd\nread y | reclaim x\nexists P.x == old"
    asked = predict("t", run(parse(text), kernel("v5.7"), "P kswapd"), 2, ["P.x entry", "P.y entry"])
    assert asked.truth["P.x entry"] in asked.entries
    assert set(asked.entries) > set(ENTRIES)
    assert asked.truth["P.y entry"] == "writable"


def test_the_table_by_keyboard(browser, asked, monkeypatch):
    """Filled in and recorded with the keyboard alone; each cell has a name; what is not so is said and marked."""
    monkeypatch.setattr("IPython.display.display", lambda data, raw: None)
    _, table = form(asked)
    page = mount(browser, table)
    page.get_by_role("button", name="Record my prediction").click()
    page.get_by_role("status").get_by_text("Nothing is recorded yet").wait_for()
    page.get_by_role("combobox", name="P.x: entry").focus()
    for keys in (["r"], ["Tab", "3"], ["Tab", "2"], ["Tab", "0"], ["Enter"]):
        for key in keys:
            page.keyboard.press(key)
    page.get_by_role("status").get_by_text("Recorded: 3 of 4 are so.").wait_for()
    wrong = page.get_by_role("textbox", name="frame 0: mapcount")
    assert wrong.get_attribute("aria-invalid") == "true"
    assert page.get_by_text("✗ not so").count() == 1
    assert page.get_by_text("✓ so").count() == 3
    wrong.fill("1")
    assert page.get_by_text("✗ not so").count() == 0
    assert [a.right for a in answers()] == [False]
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe().run(page)
    assert [(v["id"], v["nodes"][0]["html"]) for v in axe.response["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert (page.errors, page.strangers) == ([], [])
