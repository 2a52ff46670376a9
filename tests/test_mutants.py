"""Every field of every kernel's row is needed: changed to any other legal value, it makes some test fail."""

from collections import Counter

import mutants
import pytest

from cowlab import KERNELS
from cowlab.litmus.rules import word
from cowlab.mm import ROADS

RECORDS = ("observations", "hand", "huge", "reclaim", "probe")


@pytest.fixture(scope="module")
def found() -> mutants.Hunt:
    return mutants.hunt(everything=False)


def test_every_mutant_is_killed_or_explained(found):
    """No survivor without the kernel function that makes it one with its row, or the reason why nobody can see it."""
    assert [str(m) for m in found.survivors if not mutants.explained(m)] == []


def test_every_explanation_is_needed(found):
    """EQUIVALENT names mutants that exist, and none that something kills."""
    survive = {(m.row, m.field, word(m.value)) for m in found.survivors}
    said = [
        (row, field, name)
        for field, names, rows, _ in mutants.EQUIVALENT
        for row in rows.split()
        for name in names.split()
    ]
    assert len(said) == len(set(said))
    assert set(said) == survive


def test_every_row_and_field_has_mutants():
    """All fields of the catalogue's rows, all values that any row has; of a road, the fields in which it left."""
    count = Counter((m.row, m.field) for m in mutants.mutants())
    fields = {f for _, f in count}
    assert {row for row, _ in count} == {*KERNELS, *ROADS}
    assert all(count[row, field] >= 1 for row in KERNELS for field in fields)
    assert fields.isdisjoint(mutants.LABELS)
    for m in mutants.mutants():
        row = mutants.row_of(m.row)
        assert getattr(row, m.field) != m.value
        assert type(getattr(row, m.field)) is type(m.value)


def test_a_third_by_real_kernels(found):
    """What real kernels did kills a good part by itself; the rest are the rows and fields that nobody measured."""
    killers = Counter(by.split()[0] for by in found.killed.values())
    assert sum(n for sort, n in killers.items() if sort in RECORDS) >= 150


@pytest.mark.parametrize(
    "mutant", [("v5.8", "force_cow_break"), ("v5.10", "reuse"), ("v6.1", "exclusive"), ("v6.18", "reuse")], ids=" ".join
)
def test_the_fields_of_the_story_are_killed_by_real_kernels(mutant, found):
    """The rules that the course is about rest on measurement alone."""
    killers = {by.split()[0] for m, by in found.killed.items() if (m.row, m.field) == mutant}
    assert killers <= set(RECORDS)


@pytest.mark.full
def test_the_first_records_are_enough(found):
    """No other recorded execution kills what those in FIRST leave alive; and every one of them is in the data."""
    by_records = mutants.Hunt.of(m for m in mutants.mutants() if not found.killed.get(m, "litmus").startswith(RECORDS))
    assert by_records.show(mutants.observations(but=mutants.FIRST)).killed == {}


def test_first_is_in_the_data():
    assert {w.id.partition(" on ")[0] for w in mutants.observations(mutants.FIRST)} == set(mutants.FIRST)
