"""Differential fuzzing: schedules that Hypothesis makes, the live kernel against the model."""

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cowlab
from cowlab.cli import main
from cowlab.litmus.parse import parse_init, parse_steps
from cowlab.litmus.replay import replay
from cowlab.live import fuzz as module
from cowlab.live.fuzz import Known, Passing, _units, compare, fuzz, programs
from cowlab.live.generation import generation
from cowlab.live.reach import NEEDS, Reach, reach
from cowlab.live.runs import Spoiled, execute
from cowlab.live.session import Unreachable, session


@pytest.fixture
def live():
    """(session, what can be done here, the row of this kernel)."""
    try:
        with session() as s:
            yield s, reach(s), generation(s)
    except Unreachable as e:
        pytest.skip(f"the live kernel is out of reach: {e}")


@pytest.mark.parametrize("count", [300, pytest.param(4000, marks=pytest.mark.full)])
def test_the_model_allows_what_the_live_kernel_does(live, count):
    """Values, frames as far as they show, and pagemap bits, after every step; or the shortest schedule that differs."""
    s, here, row = live
    assert row, "this kernel behaves like no row of the model"
    judged = passing = 0

    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(programs(here))
    def check(program):
        nonlocal judged, passing
        try:
            assert compare(s, here, row, *program) is None
            judged += 1
        except (Spoiled, Known):
            pass
        except Passing:
            passing += 1

    check()
    assert judged > count // 2
    assert passing <= 1 + count // 1000  # what is only seen once is rare


@settings(deadline=None, database=None)
@given(programs(Reach()))
def test_whatever_is_drawn_is_a_schedule(program):
    """It parses, and every row of the model can run it."""
    init, steps = program
    first, pages = parse_init(list(init))
    assert len(parse_steps(list(steps), first, pages)) == len(steps)


@settings(deadline=None, database=None)
@given(st.data())
def test_what_is_not_here_is_not_drawn(data):
    """A facility that is missing appears in no schedule."""
    facility = data.draw(st.sampled_from(sorted(filter(None, {*NEEDS.values(), "pageout", "huge", "file"}))))
    init, steps = data.draw(programs(Reach({facility: "gone"})))
    first, pages = parse_init(list(init))
    actions = parse_steps(list(steps), first, pages)
    assert all(NEEDS[a.op] != facility and a.arg != facility for a in actions)
    words = {"huge": {"huge", "hugepte"}, "file": {"file", "shared"}}.get(facility, set())
    assert not words & set(" ".join(init).split())


def test_the_vocabulary_is_all_of_it():
    """Every step that --live knows is drawn sooner or later, as are all kinds of pages."""
    seen, kinds = set(), set()

    @settings(max_examples=600, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(programs(Reach()))
    def draw(program):
        init, steps = program
        seen.update(step.split(": ")[1].split()[0] for step in steps)
        kinds.update(line.split(" ", 2)[2] for line in init)

    draw()
    assert seen == set(NEEDS)
    assert kinds == set(module.KINDS)


# A disagreement, made by taking this kernel for another


@pytest.fixture
def taken_for(live, monkeypatch):
    """The row of another generation, and fuzz() made to believe in it."""
    _, _, row = live
    other = "v5.7" if row.name != "v5.7" else "v5.9"
    monkeypatch.setattr(module, "generation", lambda _: cowlab.kernel(other))
    return other


def test_a_disagreement_is_shrunk_and_can_be_replayed(taken_for, tmp_path, capsys):
    """To a schedule from which nothing can be left out, in the format that `cowlab replay` reads; exit status 1."""
    path = tmp_path / "found.jsonl"
    seed, found = 0, []
    while not found and seed < 5:
        report, seed = fuzz(1, seed=seed, file=path, most=200), seed + 1
        found = report.disagreements
    found = found[0]
    assert len(found.steps) <= 5, found
    with session() as s:
        here, row = reach(s), cowlab.kernel(taken_for)
        for n, size in _units(found.steps):
            with contextlib.suppress(cowlab.LitmusError, Known, Passing, Spoiled):
                assert compare(s, here, row, found.init, found.steps[:n] + found.steps[n + size :]) is None, found
    first, *_ = path.read_text().splitlines()
    path.write_text(first)
    line = json.loads(first)
    assert line["observed"][0]["kernels"] == [taken_for]
    assert line["release"]
    assert replay([path]).mismatches
    assert main(["replay", str(path)]) == 1
    assert "1 observations, 1 judged, 1 mismatches" in capsys.readouterr().out
    assert str(found) in str(report)


@pytest.mark.parametrize("odd", [1, 2, 10_000], ids=["once", "twice", "always"])
def test_what_does_not_come_back_is_told_apart(live, monkeypatch, capsys, odd):
    """One run that no other run of the schedule confirms is printed and no disagreement; one that comes back is one."""
    runs = 0

    def strange(*args):
        nonlocal runs
        runs += 1
        outcome = execute(*args)
        return replace(outcome, values=outcome.values | {"P.x": "strange"}) if runs <= odd else outcome

    monkeypatch.setattr(module, "execute", strange)
    report = fuzz(1, seed=3, most=20)
    found = report.passing if odd == 1 else report.disagreements
    assert [bool(report.passing), bool(report.disagreements)] == [odd == 1, odd > 1]
    assert "values.P.x: live strange" in str(report)
    assert ("Seen once, and not in 4 more runs" in str(report)) == (odd == 1)
    assert report.as_json()["passing" if odd == 1 else "disagreements"][0]["differences"] == [
        str(d) for d in found[0].differences
    ]


def test_resuming(live, tmp_path):
    """The rounds have seeds of their own: a file goes on where it was left, and its count adds up."""
    path = tmp_path / "fuzz.jsonl"
    first = fuzz(1, file=path, most=20)
    assert (first.seed, first.earlier, first.schedules >= 20) == (1, 0, True)
    second = fuzz(1, file=path, most=20)
    assert (second.seed, second.earlier) == (2, first.schedules)
    assert json.loads((tmp_path / "fuzz.state.json").read_text())["schedules"] == first.schedules + second.schedules
    assert fuzz(1, seed=7, file=path, most=5).seed == 8
    (tmp_path / "fuzz.state.json").write_text("[]")
    with pytest.raises(cowlab.LitmusError, match="not the state of a fuzzing session"):
        fuzz(1, file=path, most=5)


def test_command(live, tmp_path, capsys, monkeypatch):
    """Text and JSON; 0 without a disagreement; a file that cannot be written is bad input."""
    assert main(["fuzz", "--minutes", "0.01", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["disagreements"] == []
    assert document["schedules"] > 0
    assert main(["fuzz", "--minutes", "0.01", "-o", str(tmp_path / "a.jsonl")]) == 0
    assert "0 disagreements" in capsys.readouterr().out
    assert main(["fuzz", "--minutes", "0.01", "-o", str(tmp_path / "no" / "a.jsonl")]) == 2
    assert "name a file that can be written" in capsys.readouterr().err
    monkeypatch.setattr("cowlab.live.session.Session.__init__", unreachable)
    from cowlab.live.session import stop

    stop()
    assert main(["fuzz", "--minutes", "0.01"]) == 2
    assert "fuzz: the live kernel is out of reach: no" in capsys.readouterr().err


def unreachable(self):
    raise Unreachable("no")


def test_an_interrupt_is_worth_a_report(live, monkeypatch):
    """Ctrl-C: what was found so far is told, and the round is begun again when resumed."""

    def stop(report):
        if report.schedules == 10:
            raise KeyboardInterrupt

    report = fuzz(1, seed=3, tick=stop)
    assert (report.schedules, report.seed) == (10, 3)


def test_without_hypothesis(monkeypatch):
    """One sentence, which says how to get it."""
    monkeypatch.setitem(__import__("sys").modules, "hypothesis", None)
    with pytest.raises(cowlab.LitmusError, match="fuzz needs Hypothesis"):
        fuzz(1)
