"""The widgets, as far as Python sees them; tests/test_ui_browser.py drives them."""

import json
import re
from importlib.resources import files
from itertools import pairwise

import pytest

from cowlab.litmus import LitmusError, catalogue, judge, load, parse, run
from cowlab.mm import KERNELS, kernel
from cowlab.ui import executions, levels, player, scheduler, side_by_side
from cowlab.ui.game import game
from cowlab.view import compare, scene_svg, scene_text, scenes
from cowlab.view.svg import layout


@pytest.fixture
def trace():
    return judge(load("child-reads-parent-secret"), kernel("v5.7")).witness


def test_frames_are_sent_once(trace):
    """The state that goes to the browser has every frame, and moving sends the number of the step alone."""
    player = trace.player()
    assert shown(player, "text", "lines", "\n") == [scene_text(s) for s in scenes(trace)]
    assert shown(player, "svg", "parts", "") == [scene_svg(s, style=False) for s in scenes(trace)]
    assert [s["stop"] for s in player.steps] == [False, False, False, False, True]
    sent = []
    player.observe(lambda change: sent.append(change["name"]))
    player.at = 3
    assert sent == ["at"]
    assert set(player.get_state("at")) == {"at"}
    assert size(player) < 25_000


def shown(widget, what, where, joined, panel=0):
    """What the browser puts together for each step."""
    return [joined.join(getattr(widget, where)[n] for n in f[what]) for f in widget.panels[panel]["frames"]]


def size(widget) -> int:
    """Bytes that go to the browser, script and style left out."""
    return len(json.dumps({k: v for k, v in widget.get_state().items() if not k.startswith("_")}))


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
    player = trace.player()
    frames = player.panels[0]["frames"]
    assert (player.steps[-1]["place"], player.steps[-1]["action"]) == ("step 4 of 4", "P: write x new")
    assert frames[-1]["says"] == ["do_wp_page reuses the page, because mapcount is 1."]
    assert frames[0]["says"] == ["The start: P.x holds old."]


def test_what_a_step_says():
    """Of five events the one that copied; all five stand in order below, and those that the generation decides say by
    which rule; an error that the call returned is said too."""
    frames = player("child-reads-parent-secret", "v5.8", "P C C P").panels[0]["frames"]
    assert frames[2]["says"] == ["do_wp_page copies, because mapcount is 2."]
    assert [said.split()[0] for said, _ in frames[2]["events"]] == [
        "gup_pte_range", "should_force_cow_break", "follow_page_pte", "do_wp_page", "follow_page_pte",
    ]  # fmt: skip
    assert [bool(decides) for _, decides in frames[2]["events"]] == [True, True, False, False, False]
    assert "Here break_cow, but take_as_is on v5.7" in frames[2]["events"][1][1]
    gone = parse("litmus t\ninit\n  P: x = old\nP\nmunmap x\ngup x -> r\nexists P.r == EFAULT")
    assert player(gone, "v5.7", "P P").panels[0]["frames"][2]["says"][-1] == "It returns EFAULT."


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
    """The scripts and the style ask nothing of the network, and do not start by themselves."""
    read = {f.name: f.read_text() for f in files("cowlab.ui").iterdir() if f.name.endswith((".js", ".css"))}
    script, style = read["common.js"] + read["player.js"], read["player.css"]
    assert set(read) >= {"common.js", "player.js", "game.js", "player.css"}
    assert not re.search(r"https?://|\bimport\b|fetch\(|eval\(|@import|url\(", "".join(read.values()))
    assert "prefers-reduced-motion" in style
    for needed in ('"aria-live": "polite"', 'type: "range"', "data-lm-suppress-shortcuts", "stopPropagation"):
        assert needed in script


# Start, anchor, and what is no widget


def test_start_and_anchor(trace):
    """A step to begin with; an anchor gives every step of the static form an id that a link finds."""
    assert player(trace, start=3).at == 3
    assert 'id="' not in player(trace).html()
    html = player(trace, anchor="leak").html()
    assert re.findall(r'id="(leak-\d)"', html) == [f"leak-{n}" for n in range(1, 5)]
    with pytest.raises(LitmusError, match="'No Good' is no anchor"):
        player(trace, anchor="No Good")


def test_a_test_is_played_by_its_witness(trace):
    """Without a schedule the execution that satisfies the condition, or the first one if there is none."""
    assert player("child-reads-parent-secret").trace.steps == trace.steps
    assert player("child-reads-parent-secret", "v5.8").trace.steps[1] == "P: write x new"


def test_without_anywidget(monkeypatch, trace):
    """The static form is what is left."""
    monkeypatch.setattr("cowlab.ui._widget", lambda name: None)
    assert player(trace) is trace
    for shown in (side_by_side("child-reads-parent-secret", "P C C P"), scheduler()):
        assert set(shown._repr_mimebundle_()) == {"text/html", "text/plain"}


LONG = "litmus long\ninit\n  P: x = old\n  P: y = old\n  P: z untouched\nP | C | D\n" + "\n".join(
    ["fork C | vmsplice x -> pipe | io_uring y -> buf", "fork D | read z | write z 1",
     *["write x a | write x b | read y"] * 2, *["write y 1 | write x 7 | write x c"] * 9, "exists P.x == a"]
)  # fmt: skip


@pytest.mark.parametrize("on", ["v5.8", "v6.1"])
def test_forty_steps_fit(on):
    """What goes to the browser for 40 steps of three processes with three pages is less than 300 kB."""
    test = parse(LONG)
    order = " ".join(["P", "P", *[p for p, actions in test.columns.items() for _ in actions][2:]])
    t = run(test, kernel(on), order)
    assert len(t) >= 39
    assert size(t.player()) < 300_000
    assert size(side_by_side(test, order, [on, "v5.7"])) < 300_000


def test_a_few_hundred_states_fit():
    """The widest graph that is not folded goes to the browser in less than 300 kB."""
    w = executions("a-crowd-of-four", "v5.7")
    assert len(w.nodes) == 279
    assert size(w) < 300_000
    assert w.svg.count("data-node") == 279


# Side by side


def test_the_same_places_on_all_kernels():
    """Both pictures have the same boxes in the same places at every step."""
    c = compare("child-reads-parent-secret", "P C C P", ["v5.7", "v5.8", "v6.1"])
    assert len({str(layout(s)) for place in c.scenes for s in place}) == 1
    w = side_by_side("child-reads-parent-secret", "P C C P", ["v5.7", "v5.8", "v6.1"])
    assert [p["name"] for p in w.panels] == ["v5.7", "v5.8", "v6.1"]
    assert shown(w, "svg", "parts", "", 1)[4] == scene_svg(c.scenes[4][1], style=False, marks=c.differs[4])


def test_the_first_difference():
    """Where the pictures differ first; what differs; and the rule that makes it."""
    c = compare("child-reads-parent-secret", "P C C P")
    assert (c.first, c.names(1), c.names(2)) == (2, [], ["C.x", "frame 0", "frame 1", "C.pipe"])
    assert [line.split("?")[0] for line in c.rules] == [
        "The rule that differs, internal_get_user_pages_fast(): which entries may be taken without a lock",
        "The rule that differs, __get_user_pages(): does a read lookup break COW",
    ]
    assert "v5.7: any_present; v5.8: only_writable" in c.rules[0]
    late = compare("child-reads-parent-secret", "P C C P", ["v5.7", "v5.9"])
    assert late.first == 4
    assert len(late.rules) == 1
    assert "v5.7: sole_mapper" in late.rules[0]
    assert "v5.9: sole_reference" in late.rules[0]


@pytest.mark.parametrize("name", ["first-writer-copies", "child-reads-parent-secret", "read-pin-follows-its-process"])
def test_first_is_where_states_part(name):
    """On every pair of neighbouring kernels: before the first difference what everybody would read is the same."""
    rows = list(KERNELS)
    for a, b in pairwise(rows):
        v = judge(load(name), kernel(a))
        order = [s.partition(":")[0] for s in v.finals[0].trace.steps]
        c = compare(name, " ".join(order), [a, b])
        until = c.first if c.first is not None else len(c.places)
        for n in range(until):
            one, two = (t.moments[at].state for t, at in zip(c.traces, c.places[n], strict=True))
            assert len({s.summary for s in c.scenes[n]}) == 1
            assert len(one.refs) == len(two.refs)
        assert (c.rules != ()) is (c.first is not None)


def test_equal_kernels_do_not_differ():
    c = compare("child-reads-parent-secret", "P P C C", ["v5.7", "v5.9"])
    assert (c.first, c.why) == (None, ("v5.7 and v5.9 do not differ in this schedule.",))
    assert side_by_side("child-reads-parent-secret", "P P C C", ["v5.7", "v5.9"]).first == -1


def test_a_process_that_cannot_move_there():
    """A step that only one kernel takes is left out on the other, and that is said."""
    text = "litmus t\ninit\n  P: x = old\nP\nuffd_wp x\ngup x -> r\nload r\nexists P.r == old"
    c = compare(parse(text), "P P P", ["v5.7", "v5.8"])
    assert (c.first, c.places) == (2, ((0, 0), (1, 1), (2, 2), (3, 2)))
    assert c.scenes[2][1].processes[0].status == "BLOCKED"
    assert "on v5.8: It cannot move here." in c.text
    w = side_by_side(parse(text), "P P P", ["v5.7", "v5.8"])
    assert w.panels[1]["frames"][3]["says"] == ["It cannot move here."]


def test_bad_comparisons():
    """One kernel, an unknown kernel, or a schedule that the first kernel cannot take: one clear message."""
    with pytest.raises(LitmusError, match="nothing to compare"):
        compare("child-reads-parent-secret", "P C C P", ["v5.7"])
    with pytest.raises(ValueError, match=r"unknown kernel 'v5\.77'"):
        compare("child-reads-parent-secret", "P C C P", ["v5.7", "v5.77"])
    with pytest.raises(LitmusError, match="C cannot move: it has not been forked yet"):
        compare("child-reads-parent-secret", "C P C P")


def test_comparison_twins():
    """The words have every step, every kernel and every difference that the pictures have, in at most 100 columns."""
    c = compare("child-reads-parent-secret", "P C C P")
    text, html = c.text, c.html("pair")
    assert str(c) == str(side_by_side("child-reads-parent-secret", "P C C P")) == text
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("on v5.7:") == text.count("on v5.8:") == 5
    assert html.count("<img") == 1 + 1 + 2 * 3
    assert re.findall(r'id="(pair-\d)"', html) == [f"pair-{n}" for n in range(5)]
    assert not re.search(r"<(script|style|svg)\b", html)


# You are the scheduler


@pytest.mark.parametrize("on", ["v5.7", "v5.8", "v6.1"])
def test_the_explorer_is_right(on):
    """On many tests of the catalogue: a game can be won exactly if the verdict says so; the fewest moves are those of
    the shortest winning execution; and a position is lost exactly if no execution from it wins."""
    for name in list(catalogue())[::5]:
        g = game(name, on)
        v = g.board.verdict
        wins = [f for f in v.finals if f.satisfies is g.board.bad]
        assert (g.optimum is None) is (not wins)
        assert g.board.wins == sum(f.count for f in wins)
        if wins:
            assert g.optimum <= min(len(f.trace) - 1 for f in wins)
            end = g.finish()
            assert end.won
            assert len(end.moves) == g.optimum
            assert v.test.condition.holds(end.trace.values, {}) is g.board.bad or " is" in v.test.condition.text


def test_every_play_of_the_story():
    """All plays, one by one: the game and a walk over schedules agree on who wins and on what is still open."""

    def plays(g):
        if not g.options:
            yield g
        for o in g.options:
            yield from plays(g.move(o.column))

    start = game("child-reads-parent-secret")
    ends = list(plays(start))
    assert [" ".join(g.moves) for g in ends if g.won] == ["P C C P"]
    assert len(ends) == start.board.verdict.executions
    for end in ends:
        for n in range(len(end.moves) + 1):
            at = start
            for proc in end.moves[:n]:
                at = at.move(proc)
            assert (at.left is not None) is any(e.won and e.moves[:n] == at.moves for e in ends)
            assert at.left is None or at.left == 4 - n
            assert at.trace.steps == end.trace.steps[:n]


def test_moves():
    """An illegal move names the legal ones; undo takes one back; nobody moves in a finished game."""
    g = game("child-reads-parent-secret")
    with pytest.raises(LitmusError, match=r"C cannot move here\n  legal here: P"):
        g.move("C")
    assert g.move("P").undo().moves == ()
    assert g.undo().moves == ()
    over = g.finish()
    assert (over.over, over.won, over.best(), over.options) == (True, True, None, ())
    with pytest.raises(LitmusError, match="the game is over"):
        over.move("P")


def test_no_play_wins_on_v5_8():
    g = game("child-reads-parent-secret", "v5.8")
    assert g.optimum is None
    assert g.move("P").standing == "No play wins on v5.8: all 3 executions were tried, none reaches it."


@pytest.mark.parametrize(("test", "goal", "until", "optimum"), [
    ("child-reads-parent-secret", None, "end", 4), ("child-reads-parent-secret", "C.pipe == old", "end", 4),
    ("child-reads-parent-secret", "C.pipe == old", "first", 2), ("child-reads-parent-secret", "P.x == old", "first", 0),
    ("child-reads-parent-secret", "P.x == old", "end", None),
    ("litmus mine\ninit\n  P: x = old\nP\nwrite x new\nforall P.x == old", None, "end", 1),
])  # fmt: skip
def test_goals(test, goal, until, optimum):
    """The condition, an expression of one's own, at the end or at any moment; of forall, that it fails."""
    assert game(test, "v5.7", goal, until).optimum == optimum


def test_bad_goals():
    with pytest.raises(LitmusError, match=r"C has no 'pip'; did you mean 'pipe'\?"):
        game("child-reads-parent-secret", goal="C.pip == old")
    with pytest.raises(LitmusError, match="unknown until='never'"):
        game("child-reads-parent-secret", until="never")


def test_levels():
    """Each can be won and can be lost; the easiest comes first; the catalogue has many."""
    found = levels("v5.7")
    assert len(found) >= 40
    assert found == sorted(found, key=lambda row: (row[1], -row[2] / row[3], row[0]))
    assert all(0 < wins < executions for _, _, wins, executions in found)
    assert "child-reads-parent-secret" not in [row[0] for row in levels("v5.8", ["child-reads-parent-secret"])]


def test_places_stay_in_a_game():
    """Whatever is played, every box has the place that it has in every other position."""
    g = game("child-reads-parent-secret")
    seen = {str(layout(g.scene))}
    for order in ("PPCC", "PCPC", "PCCP"):
        at = g
        for proc in order:
            at = at.move(proc)
            seen.add(str(layout(at.scene)))
    assert len(seen) == 1


def told(widget, **message):
    widget._receive(widget, message, [])
    return widget.view


def test_the_widget_of_the_game():
    """Messages move, take back, hint and start over; what comes back is the next view. Nonsense changes nothing."""
    w = scheduler(tests=["second-writer-reuses"])
    assert (w.view["standing"], w.view["moves"], w.levels) == ("", [], [
        "child-reads-parent-secret", "second-writer-reuses"])  # fmt: skip
    assert [[s["next"] for s in c["steps"]] for c in w.view["columns"]] == [[True, False], [False, False]]
    assert "A shortest way starts with P: fork C. 4 moves to go." in told(w, do="hint")["hint"]
    assert told(w, do="move", what="P")["standing"] == "It can still be reached from here."
    view = told(w, do="move", what="P")
    assert view["shut"]
    assert view["says"] == ["do_wp_page copies, because mapcount is 2."]
    assert "cannot be reached any more" in view["standing"]
    assert told(w, do="hint")["hint"] == "Take 1 move back: from there it takes 3 more moves."
    assert told(w, do="undo")["count"] == "2 moves made, 1 move taken back."
    for proc in ("C", "C", "P"):
        view = told(w, do="move", what=proc)
    assert (view["won"], view["standing"]) == (True, "Reached: C.pipe == new.")
    assert told(w, do="hint")["hint"] == ""
    assert view["count"] == "5 moves made, 1 move taken back. The fewest is 4."
    for nonsense in ({}, {"do": "move", "what": "Z"}, {"do": "kernel", "what": "v9"}, {"do": "level", "what": "no"}):
        assert told(w, **nonsense)["moves"] == ["P", "C", "C", "P"]
    assert told(w, do="restart")["moves"] == []
    assert told(w, do="kernel", what="v5.8")["kernel"] == "v5.8"
    assert told(w, do="hint")["hint"].startswith("No play wins on v5.8: all 3 executions were tried")
    assert told(w, do="move", what="P")["standing"].startswith("No play wins on v5.8")
    assert told(w, do="hint")["hint"] == "There is none, whoever moves."
    assert told(w, do="level", what="second-writer-reuses")["level"] == "second-writer-reuses"
    assert w.view["kernel"] == "v5.8"


def test_one_s_own_test_is_a_level():
    """The text of a test, with a goal and a row of one's own."""
    from dataclasses import replace

    mine = replace(kernel("v5.7"), name="mine", reuse=kernel("v5.9").reuse)
    text = "litmus mine\ninit\n  P: x = old\nP | C\nfork C | vmsplice x -> r\nwrite x new | munmap x\nexists C.r == new"
    w = scheduler(text, mine)
    assert (w.kernels[-1], w.game.optimum) == ("mine", None)
    assert told(w, do="kernel", what="v5.7")["kernel"] == "v5.7"
    assert w.game.optimum == 4
    assert told(w, do="kernel", what="mine")["kernel"] == "mine"
    assert w.game.optimum is None


def test_the_game_on_paper():
    """Goal, programs, picture and who can move; what the explorer knows is folded; no script."""
    html, text = game("child-reads-parent-secret").html(), str(game("child-reads-parent-secret"))
    assert "write x new    | munmap x" in html
    assert html.index("Goal: C.pipe == new") < html.index("<img") < html.index("Can the goal still be reached?")
    assert "A shortest play" in html
    assert "A shortest play" not in game("child-reads-parent-secret", "v5.8").html()
    assert not re.search(r"<(script|style|svg)\b", html)
    assert "Who can move: P (fork C)" in text
    assert len(html) < 60_000
