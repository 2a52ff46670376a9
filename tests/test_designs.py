"""The design space: what is judged, that sharing changes nothing, and what the table says. Lesson 09."""

import json
import random

import pytest
from test_catalogue import EXPECTED, ROWS

from cowlab import KERNELS, designs, kernel, litmus
from cowlab.cli import main
from cowlab.litmus.diff import LABELS
from cowlab.litmus.parse import parse_init, parse_steps
from cowlab.litmus.run import run_actions
from cowlab.mm import ROADS, boot

LETTERS = {"N": "Never", "S": "Sometimes", "A": "Always"}


def test_the_tests_are_what_they_are_said_to_be():
    """Isolation: never, and v5.7 leaks. Coherence: always, and some kernel fails. Regression: the verdict of v5.7."""
    for kind, tests in designs.TESTS.items():
        for name, wanted in tests.items():
            said = {row: LETTERS[letter] for row, letter in zip(ROWS, EXPECTED[name], strict=True) if letter != "?"}
            assert any(verdict != wanted for verdict in said.values()), name
            assert wanted == {"isolation": "Never", "coherence": "Always", "regression": said["v5.7"]}[kind], name
            if kind == "isolation":
                assert said["v5.7"] != wanted, name
                assert said["v6.18"] == wanted, name


@pytest.mark.parametrize("name", ROWS)
def test_history_is_judged_by_the_facts(name):
    """The failures of a kernel of history are those of the catalogue's table, which comes from measurements."""
    found = designs.assess(KERNELS[name])
    for kind, tests in designs.TESTS.items():
        expected = {t for t, wanted in tests.items() if LETTERS[EXPECTED[t][ROWS.index(name)]] != wanted}
        assert set(found.fails[kind]) == expected


def test_every_combination():
    """The designs are the product of the answers, each once, and nothing else sets them apart."""
    rows = designs.enumerate_designs()
    size = 1
    for options in designs.POLICY.values():
        size *= len(options)
    answers = [tuple(designs.answers(row).values()) for row in rows]
    assert len(rows) == len(set(answers)) == len({row.name for row in rows}) == size
    fields = {f for options in designs.POLICY.values() for answer in options.values() for f in answer} | {"exclusive"}
    for row in random.Random(5).sample(rows, 50):
        others = set(type(row).__slots__) - fields - set(LABELS)
        assert all(getattr(row, f) == getattr(designs.OTHERWISE, f) for f in others)


def test_history_is_in_the_table():
    """Every kernel's answers, and those of the roads not taken, are among the designs, or a later rule's refinement."""
    named = {
        n
        for row in designs.enumerate_designs()
        for n in designs.history().get(tuple(designs.answers(row).values()), ())
    }
    assert named >= {*KERNELS, *ROADS} - {"v6.18"}, "v6.18's exclusive_or_only_mm differs for large folios only"


def test_shared_judging_is_judging():
    """What is remembered by answers is what a litmus test says on that very row, and what a workload costs there."""
    rows = random.Random(17839856).sample(designs.enumerate_designs(), 12)
    for row in rows:
        found = designs.assess(row)
        for kind, tests in designs.TESTS.items():
            for name in random.Random(row.name).sample(sorted(tests), 4):
                assert (litmus.judge(litmus.load(name), row).verdict != tests[name]) == (name in found.fails[kind])
        for name, w in designs.WORKLOADS.items():
            first, pages = parse_init(list(w.init))
            trace = run_actions(boot(row, first, pages), row, parse_steps(list(w.steps), first, pages))
            assert trace.copies == found.copies[name]


PRICES = {  # pages filled: shell, database, vmsplice, rdma, userptr
    "v5.7": (6, 2, 0, 0, 2), "v5.8": (6, 4, 4, 0, 3), "v5.9": (8, 2, 0, 2, 2), "v5.19": (6, 2, 0, 2, 2),
    "v6.12": (6, 4, 0, 2, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", PRICES)
def test_prices(name):
    """v5.8 pays for every lookup, v5.9 for the swap cache and at fork, v6.12 for the pins of O_DIRECT."""
    assert designs.assess(kernel(name)).columns[3:] == PRICES[name]


def test_a_learners_row():
    """Any Kernel can be assessed; a row with a rule of its own gets that rule's name as its answer."""

    def never_reuse(s, frame):
        return False, "never"

    row = designs.replace(kernel("v5.7"), name="mine", reuse=never_reuse)
    found = designs.assess(row)
    assert found.answers["reuse"] == "never_reuse"
    assert found.like == ()
    assert found.copies["shell"] > designs.assess(kernel("v5.7")).copies["shell"]
    assert len(found.fails["isolation"]) < len(designs.assess(kernel("v5.7")).fails["isolation"])


def test_pareto():
    """The front: nobody on it is beaten, and everybody else is, or is alike in every column."""
    rows = [designs.assess(row) for row in (KERNELS | ROADS).values()]
    front = designs.pareto(rows)
    assert not any(a.beats(b) for a in rows for b in front)
    assert all(any(a.beats(r) or a.columns == r.columns for a in front) for r in rows)


@pytest.mark.full
def test_nothing_is_best_in_every_column(capsys):
    """The table of lesson 09: thousands of designs, a front, and no design that wins everywhere."""
    assert main(["designs", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    designs_, front = {d["name"]: d for d in said["designs"]}, said["pareto"]
    assert set(front) <= set(designs_)
    assert len(front) > 5
    assert [r["name"] for r in said["history"]] == [*KERNELS, *ROADS]

    def columns(d):
        return [
            *(len(d["fails"][k]) for k in designs.TESTS),
            *(d["copies"][w] + d["zeros"][w] for w in designs.WORKLOADS),
        ]

    best = [min(column) for column in zip(*map(columns, designs_.values()), strict=True)]
    assert all(columns(d) != best for d in designs_.values())
    assert main(["designs"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[-1] == "Designs that are best in every column: 0."
    assert all(f"\n{name} " in text for name in [*KERNELS, *ROADS])
