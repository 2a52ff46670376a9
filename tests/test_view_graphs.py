"""Graphs: big ones are folded by outcome, deciding events are found by asking the engine, and small ones say who
shares what and who forked whom."""

import re

import pytest

from cowlab.litmus import catalogue, judge, load, parse, run
from cowlab.mm import KERNELS, kernel, replace, step
from cowlab.view import executions, family, who_shares
from cowlab.view.decide import between, decisions
from cowlab.view.executions import FULL, LIMIT, Executions, fold
from cowlab.view.path import call_paths

STORY, CROWD = "child-reads-parent-secret", "a-crowd-of-four"


def diagram(name, on="v5.7"):
    return judge(load(name), kernel(on)).diagram()


# Folding


@pytest.mark.parametrize("name", [STORY, CROWD, "grandchild-reads-the-secret", "two-pages-two-secrets"])
@pytest.mark.parametrize("on", ["v5.7", "v5.8", "v6.1"])
def test_a_fold_keeps_the_ends(name, on):
    """Every state is in one group; the groups of ends have the same executions, good and bad, as before; and only
    groups with another future are joined by a step."""
    x = Executions.of(judge(load(name), kernel(on)))
    f = fold(x)
    assert sum(int(label[0].split()[0].replace(",", "")) for label in f.labels) == len(x.labels)
    for bad in (True, False):
        assert sum(e.count for e in f.ends if e and e.bad is bad) == sum(e.count for e in x.ends if e and e.bad is bad)
    assert len(f.labels) <= min(FULL, len(x.labels))
    assert all(j != i for i, out in enumerate(f.steps) for _, _, j in out)
    assert f.way == x.way
    assert f.folded.startswith(f"Folded: {len(x.labels)} state")


def test_what_is_left_of_the_story():
    """Folded, the story has one place where it is decided: P's write before C's munmap, or after it."""
    f = diagram(STORY).fold()
    assert [(words, how) for words, how, _ in f.executions.steps[0]] == [
        ("P: write x new", "copy"),
        ("C: munmap x", ""),
    ]
    assert f.executions.labels[0] == ("3 states", "still open: 1 bad outcome and 1 good outcome")
    assert repr(f) == f"<diagram of {STORY} on v5.7: 5 groups>"
    assert "  C: munmap x -> group 3  (bold)" in f.text


def test_too_many_states_are_folded():
    """Beyond the limit a diagram is folded by itself, says so in the drawing and in the words, and is drawn."""
    d = diagram(CROWD, "v5.8")
    assert len(Executions.of(d.executions.verdict).labels) == 369 > LIMIT
    assert "369 states are too many to draw" in " ".join(d.text.split())
    assert "369 states are too many" in d.to_dot().source
    assert d.svg.count("group ") >= 10
    assert "<img" in d._repr_mimebundle_()["text/html"]


def test_a_few_hundred_states_are_terse():
    """Up to the limit every state has its box; beyond FULL with its number alone, and the words have the rest."""
    d = diagram(CROWD)
    assert FULL < len(d.executions.labels) <= LIMIT
    assert not d.executions.folded
    assert len(re.findall(r"^\ts\d+ \[", d.to_dot().source, re.M)) == 279
    assert "init.x" not in d.to_dot().source
    assert d.text.count("init.x holds") >= 279


def test_a_page_shows_many_states_folded_first():
    """Stored, more states than a page is wide for: first the folded graph, which fits, then all, to be scrolled; the
    words are of all."""
    diagram = judge(load(CROWD), kernel("v5.7")).diagram()
    data = diagram._repr_mimebundle_()
    first, whole = re.findall(r"<img[^>]*>", data["text/html"])
    assert f'alt="{diagram.fold().alt}"' in first
    assert "max-width:100%" in first
    assert f'alt="{diagram.alt}"' in whole
    assert "max-width:none" in whole
    assert data["text/plain"] == diagram.text
    assert str(len(diagram.executions.labels)) in data["text/html"].split("<summary>")[1]
    few = judge(load(STORY), kernel("v5.7")).diagram()._repr_mimebundle_()["text/html"]
    assert few.count("<img") == 1


def test_very_many_outcomes_are_folded_to_good_and_bad(monkeypatch):
    """Where even the groups by outcome are too many, three kinds of future are left."""
    monkeypatch.setattr(executions, "FULL", 10)
    f = fold(diagram(CROWD).executions)
    assert len(f.labels) <= 5
    assert {label[-1] for label, end in zip(f.labels, f.ends, strict=True) if not end} <= {
        "still open: 1 bad outcome and 1 good outcome", "still open: 1 bad outcome", "still open: 1 good outcome",
    }  # fmt: skip


def test_one_schedule_is_not_folded():
    d = judge(load(STORY), kernel("v5.7"), "P C C P").diagram()
    assert d.fold().executions is d.executions


@pytest.mark.parametrize("name", [STORY, CROWD, "first-writer-copies"])
def test_the_bold_way(name):
    """It leads from the start to a bad end along steps of the graph, and no execution gets to one in fewer."""
    d = diagram(name)
    x, at = d.executions, 0
    if not any(e and e.bad for e in x.ends):
        assert (x.way, x.bold) == ((), frozenset())
        return
    for words in x.way:
        n = next(n for n, (w, _, _) in enumerate(x.steps[at]) if w == words and (at, n) in x.bold)
        at = x.steps[at][n][2]
    assert x.ends[at].bad
    assert len(x.way) == len(x.bold) == min(len(f.trace) - 1 for f in x.verdict.finals if f.satisfies)
    assert d.text.count("(bold)") == d.to_dot().source.count("penwidth=5") == len(x.bold)


# Which event decides


def test_what_decides_flips():
    """An event that is said to decide: with one of the other answers that it names, the step does something else."""
    seen = set()
    for name in list(catalogue())[::7]:
        for on in ("v5.7", "v5.8", "v5.9", "v6.12"):
            t = judge(load(name), kernel(on)).finals[0].trace
            for n in range(1, len(t)):
                before, m = t.moments[n - 1].state, t.moments[n]
                for d in decisions(before, t.kernel, m):
                    assert 0 <= d.event < len(m.why)
                    assert d.flips is bool(d.others)
                    if d.flips:
                        seen.add(d.field)
                        row = KERNELS[d.others[0][1][0]]
                        other = step(before, replace(t.kernel, **{d.field: getattr(row, d.field)}), m.action)
                        assert (other.why, other.state) != (m.why, m.state)
                        mine, theirs = ([(w.fn, w.did) for w in why[: d.event]] for why in (m.why, other.why))
                        assert mine == theirs
    assert seen >= {"reuse", "fast_walk", "force_cow_break", "fork_copies"}


@pytest.mark.parametrize(("on", "move", "fields"), [
    ("v5.7", 1, []), ("v5.7", 2, ["fast_walk"]), ("v5.7", 3, []), ("v5.7", 4, ["reuse"]),
    ("v5.8", 2, ["fast_walk", "force_cow_break"]), ("v5.8", 4, []), ("v5.9", 4, ["reuse"]), ("v6.1", 4, ["reuse"]),
])  # fmt: skip
def test_the_deciding_rules_of_the_story(on, move, fields):
    t = run(load(STORY), kernel(on), "P C C P")
    found = decisions(t.moments[move - 1].state, t.kernel, t.moments[move])
    assert [d.field for d in found if d.flips] == fields


def test_between():
    """The rules by which a step goes otherwise on one other kernel; none where both do the same."""
    t = run(load(STORY), kernel("v5.7"), "P C C P")
    found = [
        between(t.moments[n - 1].state, t.kernel, t.moments[n], kernel(b))
        for n, b in ((2, "v5.8"), (2, "v5.9"), (4, "v5.9"), (1, "v6.1"))
    ]
    assert found == [["fast_walk"], [], ["reuse"], []]


def test_the_deciding_function_is_bold():
    """In the drawing thick and marked, in the words marked: the same events."""
    paths = call_paths([run(load(STORY), kernel(k), "P C C P") for k in ("v5.7", "v5.8")], 2)
    assert paths.decides == (frozenset({0}), frozenset({0, 1}))
    assert paths.text.count("(decides)") == paths.to_dot().source.count("DECIDES") == 3


# Who shares what, who forked whom


def test_who_shares():
    """The lines are the entries and references of the scene; a frame is shared if two have it."""
    t = run(load(STORY), kernel("v5.7"), "P C C P")
    for n in range(len(t)):
        s = who_shares(t, n)
        assert {(who, frame) for who, frame, _, _ in s.links} == {
            *((e.name.split(".")[0], e.frame) for e in s.scene.mapped),
            *((f"{h.name} ({h.kind})", h.frame) for h in s.scene.holders if h.there and h.frame),
        }
    assert [who_shares(t, n).shared for n in range(5)] == [[], ["0"], ["0"], ["0"], ["0"]]
    assert [who_shares(run(load(STORY), kernel("v5.8"), "P C C P"), n).shared for n in (2, 4)] == [["1"], []]
    with pytest.raises(IndexError, match="no step 9"):
        who_shares(t, 9)


def test_one_process_with_two_pages_of_one_frame():
    """Sharing with oneself, the zero page, is told by page; a dead process has no box."""
    pages = "  P: x untouched\n  P: y untouched\n"
    text = f"litmus t\ninit\n{pages}P | C\nread x | read y\nfork C | exit\nread y |\nexists P.x == 0"
    t = run(parse(text), kernel("v5.7"), "P P C P C")
    assert "zero page, zero" in str(who_shares(t, 3))
    assert not re.search(r"^C", str(who_shares(t)), re.M)


@pytest.mark.parametrize("name", [STORY, CROWD, "grandchild-reads-the-secret", "unmapped-between-two-turns"])
def test_family(name):
    """Every process and thread has one line and one box, every fork one edge; a child stands below its parent."""
    test = load(name)
    f = family(test)
    source, text = f.to_dot().source, str(f)
    forks = [a for actions in test.columns.values() for a in actions if a.op == "fork"]
    assert source.count("fork, ") == len(forks) == text.count("forked by")
    for proc in {*test.processes, *test.columns}:
        assert re.search(rf"^ *{proc}\b", text, re.M)
        assert re.search(rf"^\t{proc} \[", source, re.M)
    for a in forks:
        assert f"{a.proc} -> {a.arg}" in source
        indent = {m[2]: len(m[1]) for m in re.finditer(r"^( *)(\w+)", text, re.M)}
        assert indent[a.arg] == indent[a.proc] + 2


@pytest.mark.parametrize("shown", [family(CROWD), who_shares(judge(load(STORY), kernel("v5.7")).witness)], ids=str)
def test_untrusted_graphs(shown):
    data = shown._repr_mimebundle_()
    assert re.search(r'<img[^>]* alt="[^"]{20,}"', data["text/html"])
    assert data["text/plain"] == shown.text
    assert not re.search(r"<(script|style|svg)\b", data["text/html"])
