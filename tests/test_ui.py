"""The player, as far as Python sees it; a browser drives it in the test of the lessons."""

import json
import re
from importlib.resources import files

import pytest

from cowlab.litmus import judge, load
from cowlab.mm import kernel
from cowlab.view import scene_text, scenes


@pytest.fixture
def trace():
    return judge(load("child-reads-parent-secret"), kernel("v5.7")).witness


def test_frames_are_sent_once(trace):
    """The state that goes to the browser has every frame, and moving sends the number of the step alone."""
    player = trace.player()
    assert [f["text"] for f in player.frames] == [scene_text(s) for s in scenes(trace)]
    assert [f["stop"] for f in player.frames] == [False, False, False, False, True]
    sent = []
    player.observe(lambda change: sent.append(change["name"]))
    player.at = 3
    assert sent == ["at"]
    assert set(player.get_state("at")) == {"at"}
    assert len(json.dumps(player.frames)) < 25_000


@pytest.mark.parametrize(("asked", "shown"), [(0, 0), (3, 3), (-1, 4), (99, 4), (-99, 0)])
def test_at_is_clamped(trace, asked, shown):
    """A step beyond the end is the end; -1 counts from the end, as in show()."""
    player = trace.player(at=asked)
    assert player.at == shown
    player.at = 1
    player.at = asked
    assert player.at == shown


def test_caption(trace):
    """A frame says the step, and what the kernel did in it, in order."""
    last = trace.player().frames[-1]
    assert (last["place"], last["action"]) == ("step 4 of 4", "P: write x new")
    assert last["events"] == ["do_wp_page reuses the page, because mapcount is 1."]
    assert trace.player().frames[0]["events"] == ["The start: P.x holds old."]


def test_repr(trace):
    """Short and the same everywhere: nbval compares it."""
    assert repr(trace.player()) == "Player(child-reads-parent-secret on v5.7, 5 frames)"


def test_one_output_has_it_all(trace):
    """The bundle has the live view, the static form and words."""
    data, _ = trace.player()._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    assert data["text/html"].count("<img") == 5


def test_displayed_twice(trace, monkeypatch):
    """Displayed, the static form comes first, then the live view; only the live one names a model."""
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    trace.player()._ipython_display_()
    assert [set(data) for data in shown] == [
        {"text/html", "text/plain"},
        {"application/vnd.jupyter.widget-view+json", "text/plain"},
    ]
    assert shown[0]["text/plain"] == trace.text()
    assert not re.search(r"<script|<svg", shown[0]["text/html"])


def test_script_is_local():
    """The script and the style ask nothing of the network, and do not start by themselves."""
    script, style = (files("cowlab.ui").joinpath(name).read_text() for name in ("player.js", "player.css"))
    assert not re.search(r"https?://|\bimport\b|fetch\(|eval\(|@import|url\(", script + style)
    assert "prefers-reduced-motion" in style
    for needed in ('"aria-live": "polite"', 'type: "range"', "data-lm-suppress-shortcuts", "stopPropagation"):
        assert needed in script
