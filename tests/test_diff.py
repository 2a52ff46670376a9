"""`cowlab.litmus.diff`: what sets two kernels apart."""

from dataclasses import replace

import pytest

from cowlab import KERNELS, kernel, litmus
from cowlab.litmus.diff import LABELS, differing_fields, flips

ROWS = {  # (a, b): rules in which they differ, among others; and rules in which they do not
    ("v5.7", "v5.8"): ("force_cow_break fast_walk follow_write userptr", "reuse fork_copies must_unshare exclusive"),
    ("v5.8", "v5.7"): ("force_cow_break fast_walk follow_write userptr", "reuse fork_copies must_unshare exclusive"),
    ("v5.7", "v5.9"): ("reuse fork_copies userptr", "force_cow_break fast_walk follow_write must_unshare"),
    ("v5.19", "v6.1"): ("follow_write mprotect_writable", "reuse force_cow_break fast_walk exclusive"),
}


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
    """What 17839856fd changed cites it; userptr's field changed with another commit, and decides no verdict."""
    old, new = kernel("v5.7"), kernel("v5.8")
    changed = differing_fields(old, new)
    cited = {c.field: getattr(new, c.field) for c in changed if "17839856fd" in c.source}
    assert list(cited) == ["force_cow_break", "fast_walk", "follow_write"]
    tests = [litmus.load(name) for name in litmus.catalogue()]
    assert flips(replace(old, **cited), new, tests) == []
    assert flips(old, new, tests)


def test_labels_are_fields():
    assert all(hasattr(kernel("v5.7"), label) for label in LABELS)
