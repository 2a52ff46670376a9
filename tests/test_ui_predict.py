"""Predict, then look: recorded before anything is shown, and met with the execution."""

import json
import re
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import permutations

import pytest
from widgets import mount

from cowlab.course import answers, forget, progress
from cowlab.course.expected import elsewhere, everything, order
from cowlab.course.predict import ENTRIES, predict
from cowlab.litmus import LitmusError, load, parse, run
from cowlab.mm import KERNELS, kernel
from cowlab.view import scenes

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
    decides = "Step 3, C: munmap x, decides it. Until then it was as you typed."
    assert table.said[:2] == ["Recorded: 2 of 4 are so.", f"Not so: frame 0 mapcount. {decides}"]
    assert table.said[2] == "Left open: C.pipe frame."
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


@pytest.mark.parametrize(("given", "at", "said"), [
    ({"P.x entry": "writable"}, 1, "Step 1, P: fork C, decides it. Until then it was as you typed."),
    ({"P.x entry": "writable", "frame 0 mapcount": "2"}, 1, "Below stands step 1, P: fork C. Step on to step 3."),
    ({"frame 0 mapcount": "2"}, 3, "Look at step 3, C: munmap x, and at the reason that the kernel has."),
    ({"C.pipe frame": "1"}, 2, "Step 2, C: vmsplice x -> pipe, decides it. What you typed would be so on v5.8, in"),
    ({"frame 0 refcount": "7"}, 3, "would be so in no order of these steps, and in this order on none of 9 kernels."),
])  # fmt: skip
def test_a_wrong_cell_opens_the_step_that_decides_it(asked, monkeypatch, given, at, said):
    """The player stands at the last step that changed the cell, the first such step of several wrong cells; where
    another kernel or another order has what was typed, that execution stands below."""
    monkeypatch.setattr("IPython.display.display", lambda data, raw: None)
    box, table = form(asked)
    table._receive(table, {"answer": {**RIGHT, **given}}, [])
    assert box.children[1].at == at
    assert box.children[1].trace is asked.trace
    assert said in " ".join(table.said)
    others = [child for child in box.children[2:] if hasattr(child, "trace")]
    assert [(o.trace.kernel.name, o.at) for o in others] == [("v5.8", 3)] * ("v5.8" in said)


def test_no_step_decides(asked):
    """What is as at the start is decided there, and the start is what is shown; without another test nothing is said of
    other kernels."""
    p = predict("t", replace(asked.trace, name="mine"), 4, ["P.x frame", "frame 0 pins"])
    looked = p.answer({"P.x frame": "5", "frame 0 pins": "0"})
    assert looked.step == 0
    assert looked.said[1] == (
        "Not so: P.x frame. No step changes it: it is as at the start. What you typed would be so in no order of these "
        "steps."
    )
    assert "start" in repr(looked)


MANY = """litmus many
init
  P: x = old
  P: y = filed file
  P: z = also file
P | C
fork C | vmsplice x -> pipe
read y -> r | read z -> s
write x new | munmap x
exists P.x == old"""


@pytest.mark.parametrize("on", ["v5.7", *(pytest.param(k, marks=pytest.mark.full) for k in ("v5.8", "v6.1"))])
def test_elsewhere_is_so(on):
    """Whatever is typed: an execution that is said to have it has it, and where none is said to, none has: not one of
    all interleavings, and not the same one on another kernel."""
    test, found = parse(MANY), Counter()
    trace = run(test, kernel(on), "P C P C P C")
    orders = set(permutations("PPPCCC"))
    everywhere = [t for order in orders if (t := attempt(test, kernel(on), order))]
    everywhere += [t for row in KERNELS if (t := attempt(test, kernel(row), "PCPCPC"))]
    seen = [everything(t.show().scene) for t in everywhere]
    moments = [everything(s) for s in scenes(trace)]
    kinds = defaultdict(lambda: {"nonsense"})  # what can be typed into a cell of this kind
    for cell, value in (pair for values in (*seen, *moments) for pair in values.items()):
        kinds[cell.split()[-1]].add(value)
    for cell, truth in moments[-1].items():
        for typed in kinds[cell.split()[-1]] - {truth}:
            e = elsewhere(trace, 6, cell, typed, test)
            if e.trace is None:
                assert not any(values.get(cell) == typed for values in (*seen, *moments)), (cell, typed)
                assert "in no order of these steps, and in this order on none of 9 kernels" in e.said
            elif e.trace is trace:
                assert moments[e.step - 1][cell] == typed != moments[e.step].get(cell)
            else:
                assert everything(e.trace.show(e.step).scene)[cell] == typed
                assert e.trace == attempt(test, e.trace.kernel, order(e.trace))
            found[e.said.partition("so")[2].split()[0] if e.trace else "nowhere"] += 1
    assert min(found[kind] for kind in ("until", "in", "nowhere")) > 0, found


def attempt(test, row, order):
    """The execution, if the schedule is one."""
    try:
        return run(test, row, list(order))
    except LitmusError:
        return None


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
