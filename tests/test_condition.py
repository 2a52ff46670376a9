"""Final-state expressions: what holds, and what binds tighter. design/litmus.md 3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cowlab.litmus import LitmusError, parse

TEST = """litmus t
init
  P: x = old
  P: y = old
P               | C
fork C          | vmsplice x -> pipe
perf x -> n     | read x -> seen
read y -> a     | perf x -> n

exists {}
"""
VALUES = {"P.x": "new", "P.y": "7", "P.n": "frame", "P.a": "old", "C.x": "unmapped", "C.pipe": "old", "C.n": "nopage",
          "P.fault": "SIGSEGV"}  # fmt: skip
FRAMES = {"P.x": 2, "P.y": 3, "P.n": 1, "C.pipe": 1, "init.x": 1, "init.y": 3}

HOLDS = [
    # values
    ("P.x == new", True), ("P.x == old", False), ("P.x != old", True), ("P.x != new", False),
    ("new == P.x", True), ("P.a == C.pipe", True), ("old == old", True), ("old == new", False), ("P.x == P.y", False),
    ("C.x == unmapped", True), ("C.n == nopage", True), ("P.n == frame", True), ("P.fault == SIGSEGV", True),
    # integers are numbers
    ("P.y == 7", True), ("P.y == 007", True), ("7 == 07", True), ("-0 == 0", True), ("P.y == -7", False),
    # what does not exist in this execution equals nothing, itself included
    ("C.seen == old", False), ("C.seen != old", True), ("C.seen == C.seen", False), ("C.fault == SIGSEGV", False),
    ("C.y != old", True), ("not C.seen == old", True),
    # frames
    ("C.pipe is init.x", True), ("P.x is init.x", False), ("P.x isnt init.x", True), ("P.y is init.y", True),
    ("P.n is C.pipe", True), ("P.n is P.x", False), ("P.n isnt P.x", True),
    # `is` is false when either has no frame, and `isnt` is its negation
    ("C.x is P.x", False), ("C.x isnt P.x", True), ("C.x is C.x", False), ("C.n is P.n", False), ("C.n isnt P.n", True),
    # connectives: not, then and, then or
    ("P.x == new and P.y == 7", True), ("P.x == new and P.y == 8", False), ("P.x == old or P.y == 7", True),
    ("P.x == new or P.y == 8 and P.a == new", True), ("(P.x == new or P.y == 8) and P.a == new", False),
    ("P.x == new and P.y == 8 or P.a == old", True), ("P.x == new and (P.y == 8 or P.a == new)", False),
    ("not P.x == new or P.y == 7", True), ("not (P.x == new or P.y == 7)", False), ("not not P.x == new", True),
    ("not P.x == old and P.y == 7", True), ("((P.x == new))", True),
    # herd's signs
    (r"P.x == new /\ P.y == 7", True), (r"P.x == old \/ P.y == 7", True), ("~P.x == old", True), ("~ (P.x == new)",
        False),
    (r"P.x == new /\ ~(P.y == 8 \/ P.a == new)", True), ("P.x==new", True), ("(P.x==new)/\\(P.y==7)", True),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "truth"), HOLDS)
def test_holds(expression, truth):
    """The expression, in a final state with VALUES and FRAMES."""
    assert parse(TEST.format(expression)).condition.holds(VALUES, FRAMES) == truth


QUANTIFIERS = [  # (words, quantifier, passes when (some, all, none) of the executions satisfy the expression)
    ("exists", "exists", (True, True, False)),
    ("~exists", "~exists", (False, False, True)),
    ("~ exists", "~exists", (False, False, True)),
    ("forall", "forall", (False, True, False)),
]


@pytest.mark.parametrize(("words", "quantifier", "passes"), QUANTIFIERS)
def test_quantifier(words, quantifier, passes):
    """`exists` is not Never, `~exists` is Never, `forall` is Always."""
    condition = parse(TEST.format("P.x == new").replace("exists", words)).condition
    assert condition.quantifier == quantifier
    assert (condition.passes(1, 2), condition.passes(3, 0), condition.passes(0, 3)) == passes


TEXTS = [
    ("P.x==new", "P.x == new"),
    ("( P.x == new  )", "(P.x == new)"),
    ("not P.x  == new # really", "not P.x == new"),
]


@pytest.mark.parametrize(("written", "shown"), TEXTS)
def test_text(written, shown):
    """The condition is shown as it was written, spaces aside."""
    assert parse(TEST.format(written)).condition.text == shown


ATOMS = {"P.x == new": True, "P.x == old": False, "C.pipe is init.x": True, "C.seen == old": False}
EXPRESSIONS = st.recursive(
    st.sampled_from(sorted(ATOMS)).map(lambda a: (a, ATOMS[a])),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: (f"({p[0][0]} and {p[1][0]})", p[0][1] and p[1][1])),
        st.tuples(inner, inner).map(lambda p: (f"({p[0][0]} \\/ {p[1][0]})", p[0][1] or p[1][1])),
        inner.map(lambda p: (f"not ({p[0]})", not p[1])),
    ),
    max_leaves=12,
)


@given(EXPRESSIONS)
def test_any_expression(pair):
    """A tree of connectives has the truth value that Python gives it."""
    text, truth = pair
    assert parse(TEST.format(text)).condition.holds(VALUES, FRAMES) == truth


def test_long_chains():
    """Thousands of atoms are no deeper than two."""
    assert parse(TEST.format(" or ".join(["P.x == old"] * 5000 + ["P.x == new"]))).condition.holds(VALUES, FRAMES)


CAN_EXIST = [  # operands that may exist in some execution are no error
    "P.fault == SIGSEGV", "C.fault == SIGSEGV", "C.y == old", "C.pipe == EFAULT", "P.x == P.x", "P.n is C.n",
        "a-b == 1",
]  # fmt: skip
CANNOT = [
    "D.x == old",
    "C.a == old",
    "P.pipe == old",
    "init.z is P.x",
    "init.x == old",
    "P.z == old",
    "P. == old",
    ".x == old",
]


@pytest.mark.parametrize("expression", CAN_EXIST)
def test_operand_that_may_exist(expression):
    assert parse(TEST.format(expression)).condition.text == expression


@pytest.mark.parametrize("expression", CANNOT)
def test_operand_that_cannot_exist(expression):
    """An operand that can exist in no execution is an error in the text."""
    with pytest.raises(LitmusError):
        parse(TEST.format(expression))
