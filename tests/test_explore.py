"""All schedules of anything that steps: this storey knows no COW. The toys here know none either."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interleave import multinomial

from cowlab.explore.schedules import TooManyStates, explore


def same(state):
    return state


def always(state, column):
    return True


def add(state, action):
    return state + action


def note(state, action):
    return (*state, action)


@pytest.mark.parametrize(
    "lengths", [(1,), (3,), (1, 1), (2, 3), (3, 3, 3), (6, 6, 6), (10, 10, 10), (5, 4, 3, 2, 1), (0, 2, 0)]
)
def test_counts_are_multinomial_coefficients(lengths):
    """Columns that never wait interleave in (n1 + n2 + ...)! / (n1! n2! ...) ways, and the graph is a grid."""
    graph = explore(0, [[1] * n for n in lengths], add, always, same)
    (ending,) = graph.endings(same).values()
    assert ending.count == graph.executions()[0] == multinomial(*lengths)
    assert len(graph.nodes) == len({n for n, _ in graph.nodes})
    size = 1
    for n in lengths:
        size *= n + 1
    assert len(graph.nodes) == size
    assert ending.witness == [column for column, n in enumerate(lengths) for _ in range(n)], "the leftmost moves first"


def test_seventeen_million():
    """Three scripts of six operations: 17,153,136 schedules, 343 nodes."""
    graph = explore(0, [[1] * 6] * 3, add, always, same)
    assert (graph.executions()[0], len(graph.nodes)) == (17_153_136, 343)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), max_size=4), min_size=1, max_size=3), st.integers(1, 5))
def test_endings(programs, modulus):
    """Endings come in the order of their first execution, with that execution and all that end alike."""

    def interleavings(left):
        if not any(left):
            yield ()
        for column, program in enumerate(left):
            if program:
                rest = [p[1:] if c == column else p for c, p in enumerate(left)]
                yield from ((column, *more) for more in interleavings(rest))

    def run(order):
        at, state = [0] * len(programs), 1
        for column in order:
            state = step(state, programs[column][at[column]])
            at[column] += 1
        return state

    def step(state, action):
        return (state * (action + 2) + action) % (7 * modulus)

    def label(state):
        return state % modulus

    expected = {}
    for order in interleavings(programs):
        expected.setdefault(label(run(order)), [0, list(order)])[0] += 1
    found = explore(1, programs, step, always, same).endings(label)
    assert [(k, e.count, e.witness) for k, e in found.items()] == [(k, *e) for k, e in expected.items()]


def test_a_column_that_waits():
    """False: not yet. The second column may start once the first has done two steps."""
    graph = explore((), ["aab", "xy"], note, lambda s, column: column == 0 or s.count("a") == 2, same)
    endings = graph.endings(same)
    assert ["".join(e) for e in endings] == ["aabxy", "aaxby", "aaxyb"]
    assert [e.witness for e in endings.values()] == [[0, 0, 0, 1, 1], [0, 0, 1, 0, 1], [0, 0, 1, 1, 0]]


def test_a_column_that_vanishes():
    """None: never again. What is left of the column is gone, and executions end without it."""
    graph = explore((), ["abc", "xy"], note, lambda s, column: None if column == 0 and "x" in s else True, same)
    assert ["".join(e) for e in graph.endings(same)] == ["abcxy", "abxy", "axy", "xy"]


def test_a_deadlock_is_an_end():
    """A column that waits for ever does not keep the others from ending."""
    graph = explore((), ["ab", "x"], note, lambda s, column: column == 0, same)
    assert ["".join(e) for e in graph.endings(same)] == ["ab"]


def test_states_that_count_as_the_same():
    """`key` gives a state that stands for all like it: here only the set of what happened counts."""
    plain = explore((), ["abc", "xyz"], note, always, same)
    merged = explore((), ["abc", "xyz"], note, always, lambda s: tuple(sorted(s)))
    assert plain.executions()[0] == merged.executions()[0] == multinomial(3, 3)
    assert (len(merged.nodes), len(merged.endings(same))) == (16, 1)
    assert (len(plain.nodes), len(plain.endings(same))) == (69, 20)


def test_edges_are_leftmost_first():
    """`edges[i]` lists (column, successor) from left to right; node 0 is the start."""
    graph = explore(0, [[1], [2], [4]], add, always, same)
    assert graph.nodes[0] == ((0, 0, 0), 0)
    assert [column for column, _ in graph.edges[0]] == [0, 1, 2]
    assert [graph.nodes[j] for _, j in graph.edges[0]] == [((1, 0, 0), 1), ((0, 1, 0), 2), ((0, 0, 1), 4)]


def test_the_bound():
    """A graph beyond its bound raises: nothing is said about what was not reached."""
    assert len(explore(0, [[1] * 9] * 2, add, always, same, bound=100).nodes) == 100
    with pytest.raises(TooManyStates, match="more than 99 states"):
        explore(0, [[1] * 9] * 2, add, always, same, bound=99)
