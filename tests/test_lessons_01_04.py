"""Lessons 01 to 04: questions that can be asked for ever, and the table of counts."""

import pytest

from cowlab import judge, kernel
from cowlab.course import MISCONCEPTIONS, QUESTIONS, answer, ask, check_counts, counts_table, forget
from cowlab.course.bank import UnknownQuestion

SEEDS = range(12)
DRAWN = [q.id for q in QUESTIONS.values() if q.again]


@pytest.fixture(autouse=True)
def _blank():
    forget()
    yield
    forget()


# -- Seeds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", QUESTIONS)
def test_every_question_can_be_asked_again(id):
    """A seed gives the same question every time, well formed, and known to answer() by its id."""
    for seed in (0, 7):
        q = ask(id, seed=seed).question
        assert q == QUESTIONS[f"{id}#{seed}"]
        assert sum(c.right for c in q.choices) == 1
        assert 3 <= len({c.text for c in q.choices}) == len(q.choices) <= 5
        assert "Yes." in repr(answer(q.id, q.right))


def test_the_right_answer_wanders():
    """Asked often enough, a question has its right answer in every place that there is."""
    for id in QUESTIONS:
        places = {QUESTIONS[f"{id}#{seed}"].right for seed in range(60)}
        assert places >= set(QUESTIONS[id].letters[:3]), id


@pytest.mark.parametrize("id", DRAWN)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_drawn_question_is_refuted_by_its_own_story(id, seed):
    """Every wrong answer names a belief, and has an execution that ends as it says."""
    q = QUESTIONS[f"{id}#{seed}"]
    for choice in q.choices:
        if not choice.right:
            s = choice.refutation
            assert choice.believes in MISCONCEPTIONS
            assert judge(s.load(), kernel(s.kernel), s.schedule).positive == 1


@pytest.mark.parametrize("id", DRAWN)
def test_drawn_questions_differ(id):
    assert len({QUESTIONS[f"{id}#{seed}"].setting for seed in SEEDS}) > len(SEEDS) // 2


@pytest.mark.parametrize("seed", [-1, "7", 1.5, None])
def test_a_seed_is_a_whole_number(seed):
    """None asks the question itself; what is no seed gets one line."""
    if seed is None:
        assert ask("01-bits", seed=seed).question is QUESTIONS["01-bits"]
    else:
        with pytest.raises(UnknownQuestion, match=r"no seed; give a whole number, 0 or more"):
            ask("01-bits", seed=seed)


def tally(steps):
    """Who maps the first frame after each step, told without the engine: the writer leaves it if others are there."""
    mapping, writable, copies, rows = {"P"}, {"P"}, 0, []
    own = {}  # process -> the frame that it went to; these are only counted
    for step in steps:
        who, op, *rest = step.replace(":", "").split()
        if op == "fork":
            child = rest[0]
            if who in mapping:
                mapping, writable = mapping | {child}, set()
            else:
                own[child] = own[who]
        elif op == "write":
            if who in mapping:
                if len(mapping) > 1 and who not in writable:
                    mapping, copies = mapping - {who}, copies + 1
                    own[who] = object()
                else:
                    writable = {who}
            elif sum(f is own[who] for f in own.values()) > 1:
                own[who], copies = object(), copies + 1
        elif op == "exit":
            mapping = mapping - {who}
            own.pop(who, None)
        rows.append((mapping, dict(own), copies))
    return rows


@pytest.mark.parametrize("seed", SEEDS)
def test_drawn_answers_are_right(seed):
    """The engine's answers are those of a tally by hand."""
    q = QUESTIONS[f"02-exit-family#{seed}"]
    mapping = tally(q.setting.splitlines())[-1][0]
    words = q.choices[q.letters.index(q.right)].text
    assert {p for p in "PCD" if f"{p}'s" in words} == mapping, q.setting
    q = QUESTIONS[f"03-exit-copies#{seed}"]
    copies = ("None.", "One.", "Two.", "Three.", "Four.")[tally(q.setting.splitlines())[-1][2]]
    assert q.choices[q.letters.index(q.right)].text == copies, q.setting
    q = QUESTIONS[f"01-exit-bits#{seed}"]
    bits = []
    for mapping, own, _ in tally(q.setting.splitlines()):
        shared = len(mapping) if "P" in mapping else sum(f is own["P"] for f in own.values())
        bits.append(str(int(shared == 1)))
    assert q.choices[q.letters.index(q.right)].text == " ".join(bits) + ".", q.setting


# -- The table of counts --------------------------------------------------------------------------------


def counted(steps):
    """(mapcount, refcount, pins) of the first frame after each step, without the engine."""
    mapping, writable, held, names, rows = {"P"}, {"P"}, {}, {"P"}, []
    for step in steps:
        who, op, *rest = step.replace(":", "").split()
        if op == "fork":
            mapping, writable = (mapping | {rest[0]}, set()) if who in mapping else (mapping, writable)
            names.add(rest[0])
        elif op in ("vmsplice", "pin") and who in mapping:
            held[who, rest[-1]] = 1024 if op == "pin" else 1
        elif op == "put":
            held.pop((who, rest[0]), None)
        elif op == "write" and who in mapping:
            if who in writable or len(mapping) == 1:
                writable = {who}
            else:
                mapping = mapping - {who}
        elif op in ("munmap", "exit"):
            mapping = mapping - {who}
        rows.append((len(mapping), len(mapping) + sum(held.values()), sum(n == 1024 for n in held.values())))
    return rows


@pytest.mark.parametrize("seed", range(25))
def test_the_table_is_right_and_worth_filling_in(seed):
    """Six rows that a tally by hand gives too; the two counts part somewhere; the right rows score 1."""
    table = counts_table(seed)
    assert table.rows == counted(table.story.steps)
    assert any(m != r for m, r, _ in table.rows)
    assert repr(table) == repr(counts_table(seed))
    assert not any(str(row) in repr(table) for row in table.rows if row != (2, 2, 0))
    assert check_counts(table.rows, seed).ok


def test_a_wrong_row_is_named_and_stepped_to():
    """Everything that is right counts; the moves that are shown end with the first row that is not."""
    rows = counts_table(1).rows
    for n in range(6):
        wrong = [*rows[:n], (rows[n][0], rows[n][1] + 1, rows[n][2]), *rows[n + 1 :]]
        advice = check_counts(wrong, 1)
        assert advice.score == 5 / 6
        assert f"Row {n + 1}, {counts_table(1).story.steps[n]}: the refcount is not" in repr(advice)
        assert len(advice.trace.moments) == n + 2


@pytest.mark.parametrize("rows", [None, [], "no", [(1, 1, 0)] * 5, [(1, 1)] * 6, [(1, 1, "0")] * 6, [(True, 1, 0)] * 6])
def test_what_is_no_table_scores_nothing(rows):
    advice = check_counts(rows, 0)
    assert advice.score == 0
    assert "list of 6 rows, each (mapcount, refcount, pins)" in repr(advice)


@pytest.mark.parametrize("seed", [-1, "a", True])
def test_the_table_wants_a_seed(seed):
    with pytest.raises(ValueError, match="whole number"):
        counts_table(seed)
