"""`%load_ext cowlab`: litmus tests in cells."""

import sys

import pytest
from IPython.core.error import UsageError

import cowlab
from cowlab import kernel, load
from cowlab.magic import Judged, litmus
from cowlab.view import verdict_table

NAME = "child-reads-parent-secret"
TEST = load(NAME).text


@pytest.fixture(scope="module")
def shell():
    """IPython with the extension loaded, as a notebook does it."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "cowlab")
    return shell


def test_a_cell_is_judged_as_the_file_is(shell):
    """The magic says what verdict_table(), judge() and the catalogue say; nothing is computed twice."""
    judged = shell.run_cell_magic("litmus", "v5.7 v5.8", TEST)
    assert str(judged.table) == str(verdict_table([NAME], ["v5.7", "v5.8"]))
    assert [v.as_json() for v in judged.verdicts] == [
        cowlab.judge(load(NAME), kernel(k)).as_json() for k in ("v5.7", "v5.8")
    ]
    assert repr(judged) == f"<{NAME}: Sometimes on v5.7, Never on v5.8>"
    assert judged.test.text == TEST


@pytest.mark.parametrize(
    ("kernels", "names"),
    [
        ("", list(cowlab.KERNELS)),
        ("v5.8", ["v5.8"]),
        ("v5.8 v5.7", ["v5.8", "v5.7"]),
        ("5.8.18 v5.8", ["v5.8"]),
        ("  v6.1  ", ["v6.1"]),
    ],
)
def test_kernels_are_arguments(shell, kernels, names):
    """Rows in the order in which they were named, releases by their row, each once; none is every one."""
    judged = shell.run_cell_magic("litmus", kernels, TEST)
    assert [v.kernel.name for v in judged.verdicts] == names


def test_what_is_shown_is_what_happened_somewhere():
    """Graph and player are of the first kernel on which the condition can hold, and else of the first."""
    both = litmus("v5.8 v5.7", TEST)
    assert (both.chosen.kernel.name, both.trace.values["C.pipe"]) == ("v5.7", "new")
    none = litmus("v5.8 v5.9", TEST)
    assert (none.chosen.kernel.name, none.trace.kernel.name) == ("v5.8", "v5.8")


def test_a_cell_shows_table_graph_and_player(monkeypatch):
    """Four things are displayed: the table, the kernel's name, the graph and the player, each with its words."""
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *things, **kw: shown.extend(things))
    judged = litmus("v5.7 v5.8", TEST)
    judged._ipython_display_()
    table, said, graph, player = shown
    assert "Sometimes" in table._repr_mimebundle_()["text/html"]
    assert "on v5.7" in said["text/plain"]
    assert graph == judged.diagram()
    assert repr(player) == f"Player({NAME} on v5.7, 5 frames)"
    for twin in (str(judged.table), str(judged.diagram()), judged.trace.text()):
        assert twin in str(judged)


def test_without_widgets_the_trace_stands_for_the_player(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *things, **kw: shown.extend(things))
    monkeypatch.setitem(sys.modules, "anywidget", None)
    for name in [n for n in sys.modules if n.startswith("cowlab.ui.")]:
        monkeypatch.delitem(sys.modules, name)
    judged = litmus("v5.7", TEST)
    judged._ipython_display_()
    assert shown[-1] == judged.trace


def test_a_schedule_is_one_execution(shell):
    judged = shell.run_cell_magic("litmus", 'v5.7 --schedule "P C C P"', TEST)
    assert [v.executions for v in judged.verdicts] == [1]
    assert judged.trace.values["C.pipe"] == "new"


def test_the_result_can_be_kept(shell):
    shell.run_cell_magic("litmus", "v5.7 --to kept", TEST)
    assert isinstance(shell.user_ns["kept"], Judged)


def test_a_line_judges_a_test_of_the_catalogue(shell):
    assert repr(shell.run_line_magic("litmus", f"{NAME} v5.8")) == f"<{NAME}: Never on v5.8>"


WRONG = [  # (line of the magic, cell, place, token under the caret, words)
    ("v5.7", TEST.replace("munmap", "unmap"), "cell:10:18", "unmap x", "did you mean 'munmap'?"),
    ("v5.7", TEST.replace("C.pipe ==", "C.pip =="), "cell:12:8", "C.pip", "C.pipe"),
    ("v5.7", "", "cell:1:1", "", "the test is empty"),
    ("v5.7 v5.88", TEST, "cell:1:15", "v5.88", "unknown kernel 'v5.88'"),
    ("5.7 v5.7x  v6.1", TEST, "cell:1:14", "v5.7x", "choose one of v5.7"),
    ('v5.7 --schedule "P C P P"', TEST, "cell:1:33", 'P"', "place 4"),
    ('v5.7 --schedule "C"', TEST, "cell:1:27", 'C"', "C cannot move"),
    ('v5.7 --schedule "P X"', TEST, "cell:1:29", 'X"', "no column 'X'"),
    ("no-such-test v5.7", None, "cell:1:9", "no-such-test", "no such test in the catalogue"),
]


@pytest.mark.parametrize(("line", "cell", "place", "token", "words"), WRONG, ids=[f"{w[2]} {w[3]}" for w in WRONG])
def test_an_error_points_at_the_token(line, cell, place, token, words):
    """One message: the place in the cell as the editor counts it, the line, a caret under the token."""
    with pytest.raises(UsageError) as raised:
        litmus(line, cell)
    first, shown, caret = str(raised.value).split("\n")[:3]
    assert first.startswith(f"{place}: ")
    assert words in str(raised.value)
    assert shown[caret.index("^") :].startswith(token)


@pytest.mark.parametrize(
    ("line", "words"),
    [("--schedul", "expected one argument"), ("--nothing", "--nothing"), ("v5.7 --to 5x", "5x")],
)
def test_a_wrong_option_is_said(line, words):
    with pytest.raises(UsageError, match=words):
        litmus(line, TEST)


def test_in_a_notebook_there_is_no_traceback(shell, capsys):
    """IPython prints the message alone; empty lines above the magic count; the run has failed all the same."""
    bad = TEST.replace("munmap", "unmap")
    done = shell.run_cell("\n\n%%litmus v5.7\n" + bad, store_history=True)
    said = capsys.readouterr()
    assert isinstance(done.error_in_exec, UsageError)
    assert "Traceback" not in said.err + said.out
    assert "cell:12:18: unknown step 'unmap'" in said.err
    shell.run_cell("%%litmus v5.8\n" + bad, store_history=False)
    assert "cell:10:18: " in capsys.readouterr().err


def test_the_extension_costs_nothing_until_it_is_loaded():
    """`import cowlab` names the hook and loads no IPython (tests/test_house.py looks at sys.modules)."""
    assert cowlab.load_ipython_extension.__module__ == "cowlab"
