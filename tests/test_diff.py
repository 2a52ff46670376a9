"""`cowlab.litmus.diff`: what sets two kernels apart."""

import json
from dataclasses import replace

import pytest
from test_kernels import HISTORY

from cowlab import KERNELS, kernel, litmus
from cowlab.cli import main
from cowlab.litmus.diff import LABELS, asks, diff, differing_fields, flips
from cowlab.litmus.rules import PLAIN, word

ROWS = {  # (a, b): rules in which they differ, among others; and rules in which they do not
    ("v5.7", "v5.8"): ("force_cow_break fast_walk follow_write userptr", "reuse fork_copies must_unshare exclusive"),
    ("v5.8", "v5.7"): ("force_cow_break fast_walk follow_write userptr", "reuse fork_copies must_unshare exclusive"),
    ("v5.7", "v5.9"): ("reuse fork_copies userptr", "force_cow_break fast_walk follow_write must_unshare"),
    ("v5.19", "v6.1"): ("follow_write mprotect_writable", "reuse force_cow_break fast_walk exclusive"),
}
FIX = {  # v5.7 -> v5.8: commit -> the fields that it changed
    "17839856fd": ["force_cow_break", "fast_walk", "follow_write"],
    "2170ecfa7688": ["userptr"],
    "3917c80280c9": ["copies_whole_huge", "allocates_huge_for_zero"],
}


def catalogue():
    return [litmus.load(name) for name in litmus.catalogue()]


@pytest.mark.parametrize(("pair", "rules"), ROWS.items(), ids=lambda v: " ".join(v) if len(v[0]) < 9 else "")
def test_the_fields_that_differ(pair, rules):
    """Only rules are named, in the order of the row, and both ways round they are the same."""
    differ, same = (r.split() for r in rules)
    found = [c.field for c in differing_fields(*map(kernel, pair))]
    assert [f for f in found if f in differ] == differ
    assert not {*same, *LABELS} & {*found}


def test_a_row_does_not_differ_from_itself():
    tests = [litmus.load("child-reads-parent-secret")]
    assert not any(differing_fields(k, k) or flips(k, k, tests) for k in KERNELS.values())


def test_the_fix_is_three_rules_of_one_commit():
    """v5.7 -> v5.8 changed what 17839856fd changed, and what neighbouring commits of the release did: of those,
    userptr's flag decides no verdict, and the huge pages' only verdicts about huge pages."""
    old, new = kernel("v5.7"), kernel("v5.8")
    found = diff(old, new, catalogue())
    assert found.commits == FIX
    assert {c.field for c in found.fields} == {field for fields in FIX.values() for field in fields}
    assert "child-reads-parent-secret" in {f.test for f in found.flips}
    fixed = replace(old, **{field: getattr(new, field) for field in FIX["17839856fd"]})
    neighbours = [f.test for f in flips(fixed, new, catalogue())]
    assert all("huge" in str(litmus.load(name).pages) for name in neighbours)
    huge = replace(fixed, **{field: getattr(new, field) for field in FIX["3917c80280c9"]})
    assert flips(huge, new, catalogue()) == []


@pytest.mark.parametrize(("name", "parent", "changes"), HISTORY, ids=[h[0] for h in HISTORY])
def test_the_history_is_what_diff_says(name, parent, changes):
    """The commits of the row are in the diff, and no field cites a commit of the row that changed other fields (but
    reuse_huge, whose answers are functions that came in with reuse)."""
    found = diff(kernel(parent), kernel(name), ())
    assert set(found.commits) >= set(kernel(name).commits) - set(kernel(parent).commits)
    for commit, fields in found.commits.items():
        if commit in kernel(name).commits and changes.get(commit):
            assert set(fields) - {"reuse_huge"} <= set(changes[commit].split()), commit


def test_flips_are_the_verdicts_that_differ():
    """Leaving out what the first row was not asked for leaves out nothing."""
    a, b = kernel("v5.10"), kernel("v5.18")
    tests = catalogue()
    differ = [(t.name, x, y) for t in tests if (x := litmus.judge(t, a).verdict) != (y := litmus.judge(t, b).verdict)]
    assert [tuple(f) for f in flips(a, b, tests)] == differ
    assert [(f.test, f.after, f.before) for f in flips(b, a, tests)] == differ


def test_labels_are_fields():
    assert all(hasattr(kernel("v5.7"), label) for label in LABELS)


def test_every_field_says_what_it_asks():
    """The question stands beside the field; an answer that is no function has its source in PLAIN."""
    row = kernel("v5.7")
    rules = [f for f in row.__dataclass_fields__ if f not in LABELS]
    assert all(len(asks()[f]) > 10 and "..." not in asks()[f] for f in rules)
    assert set(PLAIN) == {f for f in rules if not callable(getattr(row, f))}


def test_every_answer_says_where_it_comes_from():
    """Of two answers to a question, one cites the kernel at least: its commit, its function or its version."""
    for a in KERNELS.values():
        for b in KERNELS.values():
            assert all(any(c.sources) for c in differing_fields(a, b)), (a.name, b.name)


def run(capsys, *arguments):
    status = main(["diff", *arguments])
    return status, capsys.readouterr().out


def test_json(capsys):
    """The document of `cowlab diff A B --json`, the road C16 taken for A and a release for B."""
    status, text = run(capsys, "caller-flag", "5.8.18", "--json")
    found = json.loads(text)
    assert (status, found["a"], found["b"]) == (0, "caller-flag", "v5.8")
    assert list(found) == ["a", "b", "fields", "commits", "flips"]
    assert [f["field"] for f in found["fields"]] == ["force_cow_break", "fast_walk"]
    assert found["fields"][0] == {
        "field": "force_cow_break", "asks": "__get_user_pages(): does a read lookup break COW?",
        "a": "break_cow_if_asked", "b": "break_cow",
        "source_a": "named in the message of 17839856fd; never written",
        "source_b": "should_force_cow_break(), 17839856fd",
    }  # fmt: skip
    assert "17839856fd" in found["commits"]
    assert {"test": "get-breaks-cow", "a": "Never", "b": "Always"} in found["flips"]


def test_text(capsys):
    """Both answers with their laws and sources, the commits with their fields, the flips."""
    _, text = run(capsys, "v5.7", "v5.8")
    for part in (
        "force_cow_break  -- __get_user_pages(): does a read lookup break COW?",
        "  v5.7     take_as_is\n",
        "  v5.8     break_cow: Yes, if the page itself is wanted",
        "[should_force_cow_break(), 17839856fd]",
        "  2170ecfa7688  userptr\n",
        "child-reads-parent-secret                    Sometimes -> Never",
    ):
        assert part in text


def test_nothing_differs(capsys):
    status, text = run(capsys, "v5.8", "5.4.195")
    assert status == 0
    assert "0 verdicts of the catalogue flip" in text
    assert json.loads(run(capsys, "v6.1", "v6.1", "--json")[1]) == {
        "a": "v6.1", "b": "v6.1", "fields": [], "commits": [], "flips": [],
    }  # fmt: skip


@pytest.mark.parametrize("arguments", [("v5.7", "v5.6"), ("banana", "v5.7"), ("v5.7",), ("v5.7", "v5.8", "v5.9")])
def test_bad_names(arguments, capsys):
    """One message, with the legal names where a name is wrong; exit status 2."""
    with pytest.raises(SystemExit) as e:
        main(["diff", *arguments])
    said = capsys.readouterr().err
    assert e.value.code == 2
    assert said.count("\n") == 1
    if len(arguments) == 2:
        assert all(name in said for name in (*KERNELS, "spare-zero-page"))


def test_words():
    assert [word(x) for x in (False, kernel("v6.12").rdma_read_only, kernel("v5.8").reuse)] == [
        "False", "FOLL_LONGTERM | FOLL_PIN", "sole_mapper",
    ]  # fmt: skip
