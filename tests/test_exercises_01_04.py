"""Exercises 01 to 04: what their seeds draw is solvable and equally hard. (That known answers earn what they should,
and that nothing tells the key, is tested for all in test_exercises and test_grade.)"""

import re

import pytest
from machine import ROOT

from cowlab import kernel
from cowlab.course import counts_table
from cowlab.course.check import _Road
from cowlab.grade import difficulty, rubric, seeds
from cowlab.grade.notebook import exercise, read_notebook, source

NAMES = ["01-your-machine", "02-fork-shares", "03-the-write-fault", "04-three-counts"]
SEEDS = range(24)


def source_of(name):
    return ROOT / "tests" / "solutions" / f"{name}.ipynb"


def names_of(name, seed=0):
    """The names that the setup cells of an exercise make, for this seed."""
    names = {"display": lambda *shown: None}
    for kind, cell in exercise(source_of(name)).cells:
        if kind == "setup":
            exec(re.sub(r"^SEED = 0$", f"SEED = {seed}", cell, flags=re.MULTILINE), names)
    return names


def played(allowed, length):
    """All plays of so many moves, one by one: the slow way to what `seeds.solutions` counts."""
    plays = [[]]
    for _ in range(length):
        plays = [[*p, a] for p in plays for a in allowed if not isinstance(seeds._play([*p, a], allowed), str)]
    return plays


# Difficulty


@pytest.mark.parametrize("name", NAMES)
def test_the_difficulty_of_every_question_is_measured(name):
    """It is a number of moves and of solutions that the engine counted; nothing is left to judgement."""
    found = difficulty.measured(source_of(name))
    assert set(found) == {q.id for q in exercise(source_of(name)).questions}
    for hard in found.values():
        assert hard.shortest > 2
        assert 0 < hard.solutions < (hard.tries or 2)


def test_solutions_are_counted_right():
    """One by one, and with states merged: the same number."""
    for seed in (0, 1):
        wanted = seeds.bits(seed)
        right = [p for p in played(seeds.DANCERS, 5) if seeds.check_bits(p, wanted).ok]
        assert len(right) == difficulty.moves(seeds.DANCERS, 5, seeds.bits_seen, wanted).solutions
    wanted = seeds.numbers(0)
    right = [p for p in played(seeds.HOLDERS, 4) if seeds.check_numbers(p, wanted).ok]
    assert len(right) == difficulty.moves(seeds.HOLDERS, 4, seeds.numbers_seen, wanted).solutions
    assert not [p for p in played(seeds.HOLDERS, 3) if seeds.check_numbers(p, wanted).score]


def test_shortest_schedules_are_counted_right():
    """Each schedule of the shortest length, move by move, with no two states merged."""

    def roads(road, left):
        if not left:
            yield road
        for proc in road.test.columns if left else ():
            if road.next_of(proc):
                further = _Road(road.test, road.kernel)
                further.moments, further.at = [*road.moments], {**road.at}
                further.move(proc)
                yield from roads(further, left - 1)

    for name, which in (("02-fork-shares", "partners"), ("03-the-write-fault", "inherits")):
        start = _Road(names_of(name)[which], kernel("v5.7"))
        hard = difficulty.schedules(start.test)
        ends = [road.holds() for road in roads(start, hard.shortest)]
        assert (len(ends), sum(ends)) == (hard.tries, hard.solutions)
        assert not any(road.holds() for road in roads(start, hard.shortest - 1))
        assert start.moves_left() == hard.shortest


# Seeds


def hardness(name, seed):
    names = names_of(name, seed) | {"measure": difficulty}
    cells = {c["metadata"]["nbgrader"]["grade_id"]: c for c in read_notebook(source_of(name))["cells"]
             if "nbgrader" in c["metadata"]}  # fmt: skip
    return {q.id: eval(cells[q.id]["metadata"]["cowlab"]["difficulty"], names)
            for q in exercise(source_of(name)).questions}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_neighbours_get_equally_hard_problems(name):
    """Of one question the length is the same for every seed (for programs to follow: within two moves), and the
    numbers of solutions are at most a factor of two apart."""
    every = [hardness(name, seed) for seed in SEEDS]
    for q in every[0]:
        lengths, counts = {h[q].shortest for h in every}, {h[q].solutions for h in every}
        assert max(lengths) - min(lengths) <= (2 if (name, q) == (NAMES[0], "q1") else 0), lengths
        assert max(counts) <= 2 * min(counts), counts


def test_a_seed_is_a_problem_and_another_seed_another_one():
    draws = (seeds.bits, seeds.cards, seeds.numbers, seeds.family, seeds.programs, seeds.counts)
    for draw in draws:
        assert [draw(s) for s in SEEDS] == [draw(s) for s in SEEDS]
        assert len({draw(s) for s in SEEDS}) > 3
    for bad in (-1, "7", True, 1.5):
        with pytest.raises(ValueError, match="is no seed; give a whole number"):
            seeds.bits(bad)


def test_every_seed_can_be_solved():
    """Some answer earns all, by the check that learners have; what they are handed out is none."""
    dances, holds = played(seeds.DANCERS, 5), played(seeds.HOLDERS, 4)
    for wanted in {seeds.bits(s) for s in SEEDS}:
        assert any(seeds.check_bits("\n".join(p), wanted).ok for p in dances)
    for wanted in {seeds.numbers(s) for s in SEEDS}:
        assert any(seeds.check_numbers(p, wanted).ok for p in holds)
    for seed in SEEDS:
        stories, drawn = seeds._programs(seed), seeds._family(seed)
        letters = [next(a for a, end in seeds.ENDS.items() if end == seeds._bits_of(s)) for s in stories]
        assert len(set(letters)) >= 3
        assert seeds.check_programs(letters, seed).ok
        assert seeds.check_family(drawn.rows, seed).ok
        assert seeds.check_counts(seeds._counts(seed).rows, seed).ok
        five = seeds.cards(seed)
        assert not seeds.check_cards(list(five), five).ok, "the cards lie in the right order"


# What is drawn


def test_a_picture_gives_away_no_more_than_it_should():
    """One of the three values of each row is drawn, each in one row."""
    for seed in SEEDS:
        drawn = seeds._family(seed)
        assert sorted(drawn.given) == [0, 1, 2]
        cells = [line.split()[1:] for line in repr(drawn).splitlines()[-3:]]
        assert [row.count("_") for row in cells] == [2, 2, 2]


# What is asked is what is judged


CLAIMS = [("01-your-machine", "q3", "choices", "reasons"), ("02-fork-shares", "q3", "choices", "reasons"),
          ("03-the-write-fault", "q2", "copies", "last"), ("04-three-counts", "q3", "choices", "reasons")]  # fmt: skip


@pytest.mark.parametrize(("name", "question", "first", "second"), CLAIMS, ids=NAMES)
def test_letters_are_those_of_the_claims(name, question, first, second):
    """And of each question exactly one claim holds; whoever takes a wrong one is told which belief that is."""
    names = names_of(name)
    cells = {c["id"]: source(c) for c in read_notebook(source_of(name))["cells"]}
    lists = re.findall(r"((?:^\* \*\*\w\*\*:.*\n?)+)", cells[f"{question}-text"], re.MULTILINE)
    for text, claims in zip(lists, (names[first], names[second]), strict=True):
        assert re.findall(r"^\* \*\*(\w)\*\*:", text, re.MULTILINE) == list(claims)
        right = [rubric._holds(claim, names["execution"]) for claim, _, _ in claims.values()]
        assert right.count(True) == 1
        assert all(belief for _, belief, _ in claims.values())
        order = re.findall(r"^([PCD]): (.+)$", cells[f"{question}-text"], re.MULTILINE)
        assert [f"{p}: {does}" for p, does in order] == names["execution"].steps


def test_the_table_of_04_is_not_the_lessons():
    """`counts_table(SEED)`, which lesson 04 shows, has the numbers in it; the exercise draws other moves."""
    assert not [s for s in SEEDS if counts_table(s).story == seeds._counts(s).story]


def test_programs_are_told_in_words():
    """Each move in a sentence that names who makes it; nothing of it can be handed to the explorer as it stands."""
    for seed in SEEDS:
        for line, story in zip(seeds.programs(seed).splitlines(), seeds._programs(seed), strict=True):
            told = line.partition("  ")[2].rstrip(".").split(". ")
            assert [text[0] for text in told] == [step[0] for step in story.steps]
            assert ":" not in line


BAD = [
    (7, "one move in each line"), ("P: fork E", "is none of those that may be made"), ("C: exit", "C is not there"),
    ("P: fork C\nC: munmap x\nC: read x", "C does not map x"),
    ("P: fork C\nP: fork D\nC: fork D", "a process D already"),
    ("", "No moves yet"),
]  # fmt: skip


@pytest.mark.parametrize(("moves", "said"), BAD)
def test_bad_moves_are_explained(moves, said):
    assert said in repr(seeds.check_bits(moves, seeds.bits(0)))
