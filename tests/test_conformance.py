"""How far the model was judged by real kernels: the table of `cowlab conformance`, and the one in the README."""

import json
import re
from collections import Counter

import pytest
from machine import ROOT

from cowlab import KERNELS, kernel
from cowlab.cli import main
from cowlab.litmus.conformance import FAMILIES, SCOPES, conformance, family
from cowlab.litmus.parse import parse_init, parse_steps
from cowlab.litmus.replay import shipped
from cowlab.litmus.run import run_actions
from cowlab.litmus.shared import Asked, Runs
from cowlab.mm import boot

LINES = {path.stem: [json.loads(text) for text in path.open()] for path in shipped()}
FOUR = "4 KiB pages without swap"
ALIKE = {  # where, and which releases no datum tells apart; facts/real-kernels.md says the same of each file
    ("outcomes", FOUR): "5.4.0 | 5.8.18 | 5.10.223 5.18.12 | 6.1.192 6.12.101 6.18.44",
    ("outcomes", "huge pages"): "5.4.0 | 5.8.18 | 5.10.223 | 5.18.12 | 6.1.192 6.12.101 | 6.18.44",
    ("outcomes", "swap"): "5.4.0 | 5.8.18 | 5.10.223 | 5.18.12 | 6.1.192 6.12.101",
    ("outcomes", "all of it"): "5.4.0 | 5.8.18 | 5.10.223 | 5.18.12 | 6.1.192 6.12.101 | 6.18.44",
    ("probe", FOUR): "5.6.4 | 5.8.1 | 5.9.1 | 6.12",
    ("probe", "all of it"): "5.6.4 | 5.8.1 | 5.9.1 | 6.12",
}


@pytest.fixture(scope="module")
def found():
    return conformance()


def test_the_numbers_add_up(found):
    """Every pair of a line and a kernel is in one cell, but for the silent and the damaged; none mismatches."""
    pairs = Counter()
    for lines in LINES.values():
        for line in lines:
            outcomes = [line["kernel"]] if "after" in line else [k for o in line["observed"] for k in o["kernels"]]
            silent = {*line.get("unstable", ()), *line.get("skipped", ())}
            pairs.update((k, "probe" if "after" in line else "outcomes") for k in outcomes if k not in silent)
    pairs.subtract((u["kernel"], "probe") for u in found.unsupported)
    judged = Counter()
    for (release, how, _), (n, _) in found.cells.items():
        judged[release, how] += n
    assert judged == pairs
    assert not any(wrong for _, wrong in found.cells.values())


@pytest.mark.parametrize("where", ALIKE, ids=" ".join)
def test_what_no_datum_tells_apart(where, found):
    """The groups are computed from what kernels did, and the model has no part in it."""
    how, scope = where
    assert " | ".join(" ".join(group) for group in found.alike[how][scope]) == ALIKE[where]


def test_it_is_honest(found):
    """What judges nothing is said: one damaged record, the silent pairs, and the row that nobody measured."""
    assert [(u["id"], u["kernel"]) for u in found.unsupported] == [("S1e", "5.6.4")]
    silent = {
        key: sum(len(line.get(key, ())) for lines in LINES.values() for line in lines)
        for key in ("unstable", "skipped")
    }
    assert sorted(found.silent.values()) == sorted(silent.values())
    assert found.unjudged == ["v5.19"]
    notes = " ".join(found.notes())
    assert all(word in notes for word in ("S1e on 5.6.4", "v5.19", "0 mismatched", *FAMILIES))


FAMILY = {  # init | steps -> family; the last one of the table that the observation touches
    "P: x = old | P: vmsplice x -> r; P: write x new": "base page",
    "P: x untouched | P: write x 1; P: vmsplice x -> r": "base page",
    "P: x untouched | P: read x": "untouched",
    "P: x untouched | P: vmsplice x -> r; P: write x 1": "untouched",
    "P: x = old shared | P: fork C; C: write x new": "shared",
    "P: x = old file shared | P: read x": "file",
    "P: x = old; P: y = 1 file | P: write x new": "base page",
    "P: x = old; P: y = 1 file | P: write x new; P: read y": "file",
    "P: x = old file | P: io_uring x -> r": "callers",
    "P: x = old | P: odirect x -> r; P: clear_refs": "soft-dirty etc.",
    "P: x = old; P: y = old | ksmd: merge x y": "soft-dirty etc.",
    "P: x = old hugepte | P: io_uring x -> r": "huge",
    "P: x untouched huge | P: read x": "huge",
    "P: x = old huge | kswapd: reclaim x": "swap",
    "P: x = old | P: madvise x pageout": "swap",
    "P: x = old | P: madvise x dontneed": "base page",
}


@pytest.mark.parametrize("case", FAMILY)
def test_family(case):
    """An observation counts once."""
    init, steps = ([part.strip() for part in half.split(";")] for half in case.split("|"))
    assert family({"init": init, "steps": steps}) == FAMILY[case]
    parse_steps(steps, *parse_init(init))


def test_scopes_are_families():
    assert {f for scope in SCOPES.values() for f in scope} == set(FAMILIES)
    assert set(SCOPES[FOUR]).isdisjoint(["huge", "swap"])


def test_a_mismatch_is_counted_and_shown(tmp_path, capsys, monkeypatch):
    """In its own cell, in the text, and in the exit status."""
    line = next(x for x in LINES["hand"] if x["id"] == "S1")
    wrong = json.loads(json.dumps(line))
    wrong["observed"][0]["values"]["P.x"] = "wrong"
    path = tmp_path / "some.jsonl"
    path.write_text("\n".join(map(json.dumps, (line, wrong))))
    found = conformance([path])
    assert found.cells["5.4.0", "outcomes", "base page"] == [2, 1]
    assert found.cells["5.8.18", "outcomes", "base page"] == [2, 0]
    assert "2 (1 wrong)" in str(found)
    assert "| 2 (1 wrong) |" in found.markdown()
    assert "14 pairs of an observation and a kernel were judged, 1 mismatched." in str(found)
    monkeypatch.setattr("cowlab.litmus.conformance.shipped", lambda: [path])
    assert main(["conformance"]) == 1
    assert "2 (1 wrong)" in capsys.readouterr().out


def test_command(found, capsys, monkeypatch):
    """Text, JSON and Markdown say the same; exit status 0."""
    monkeypatch.setattr("cowlab.litmus.conformance.conformance", lambda **_: found)
    printed = {}
    for form in ((), ("--json",), ("--markdown",)):
        assert main(["conformance", *form]) == 0
        printed["".join(form)] = capsys.readouterr().out
    document = json.loads(printed["--json"])
    assert list(document) == ["kernels", "families", "alike", "unjudged", "silent", "unsupported", "live"]
    for entry in document["kernels"]:
        assert entry["row"] == kernel(entry["release"]).name
        for how in {"outcomes", "probe"} & set(entry):
            numbers = [entry[how].get(name, {"judged": 0})["judged"] for name in FAMILIES]
            cells = [str(n or "-") for n in (*numbers, sum(numbers))]
            assert re.search(rf"^{entry['release']} +{entry['row']} +{' +'.join(cells)}$", printed[""], re.M)
            assert f"| {' | '.join([entry['release'], entry['row'], *cells])} |" in printed["--markdown"]


def test_the_readme_has_the_table(found):
    """What stands between the markers in the README is what `cowlab conformance --markdown` prints."""
    readme = ROOT / "README.md"
    block = re.search(r"<!-- conformance -->\n(.*?)<!-- /conformance -->", readme.read_text(), re.S)
    if block is None:
        pytest.skip("README.md has no markers <!-- conformance --> and <!-- /conformance --> yet")
    assert block[1].strip() == found.markdown(), "run: cowlab conformance --markdown"


# What runs alike is run once


@pytest.mark.parametrize("file", LINES)
def test_shared_runs_are_the_same_runs(file):
    """On every row, whatever ran before on the others, an execution has the states, results and reasons that it has
    when it is run by itself."""
    for line in LINES[file][:: max(1, len(LINES[file]) // 60)]:
        first, pages = parse_init(line["init"])
        actions, runs = parse_steps(line["steps"], first, pages), Runs(first, pages)
        for row in [*KERNELS.values(), *reversed(KERNELS.values())]:
            alone = run_actions(boot(row, first, pages), row, actions)
            assert runs.trace(row, actions).moments == alone.moments, (line["id"], row.name)


def test_asked():
    """A row that answered alike would have taken the same steps; one that was not asked says nothing."""
    first, pages = parse_init(["P: x = old"])
    asked = Asked(kernel("v5.7"))
    run_actions(boot(asked, first, pages), asked, parse_steps(["P: fork C", "P: write x new"], first, pages))
    assert {"reuse", "fork_copies"} <= set(asked.answers)
    assert "swap_in" not in asked.answers
    assert asked.alike(kernel("v5.7"))
    assert not asked.alike(kernel("v5.9"))
