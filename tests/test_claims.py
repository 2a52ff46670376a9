"""The commit message, sentence by sentence: C1 to C20 are cited by a test of the catalogue or by one of ours."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from cowlab import kernel, litmus

CLAIMS = range(1, 21)
THE_COMMIT = {"force_cow_break", "fast_walk", "follow_write"}
NEIGHBOURS = {"userptr", "copies_whole_huge", "allocates_huge_for_zero"}  # 2170ecfa7688, 3917c80280c9: v5.8 too


def cited(text: str) -> set[int]:
    """The claims that a text names.

    >>> sorted(cited("Claims C4 and C5, unlike SC6"))
    [4, 5]
    """
    return {int(n) for n in re.findall(r"\bC(\d\d?)\b", text)} & set(CLAIMS)


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_claim_is_cited(claim):
    """By the description of a litmus test, or by the docstring of a test function."""
    tests = [name for name in litmus.catalogue() if claim in cited(litmus.load(name).description)]
    sources = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    functions = [f for text in sources for f in re.findall(r'def (test_\w+)\([^)]*\):\n    """([^"]*)', text)]
    assert tests or any(claim in cited(docstring) for _, docstring in functions)


def test_the_change_is_small():
    """C17: mostly comment, and a minimal early break built on FOLL_WRITE. Of all the fields of a row three changed
    with the commit: the test that forces the break, the write demand of the fast path, and the condition for
    following a write. The rest of what sets v5.8 apart came with other commits."""
    before, after = kernel("v5.7"), kernel("v5.8")
    rules = {f.name for f in fields(before)} - {"name", "about", "commits", "aliases"}
    changed = {name for name in rules if getattr(before, name) != getattr(after, name)}
    assert changed == THE_COMMIT | NEIGHBOURS
    assert len(THE_COMMIT) * 4 < len(rules)


def test_the_change_was_undone():
    """C17, the other end: v5.9 took every one of these rules back, and put another one beside them."""
    for name in THE_COMMIT:
        assert getattr(kernel("v5.9"), name) == getattr(kernel("v5.7"), name)
    assert kernel("v5.9").reuse != kernel("v5.8").reuse
