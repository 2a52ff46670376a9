"""Every misconception is refuted by an execution on which model and real kernel agree, or says why not."""

import json
import re

import pytest

from cowlab import kernel
from cowlab.course import MISCONCEPTIONS
from cowlab.litmus import run
from cowlab.litmus.replay import each, shipped
from cowlab.mm import GRAMMAR

FIXED = {*GRAMMAR, *(w for args in GRAMMAR.values() for w in re.findall(r"\b[a-z]\w*\b", args))}
FIXED |= {"x", "y", "P", "C", "D", "E", "kswapd", "ksmd", "untouched", "shared", "file", "huge", "hugepte"}


def anonymous(lines):
    """The same steps with values and references numbered in the order in which they come."""
    names: dict[str, str] = {}

    def numbered(m):
        return m[0] if m[0] in FIXED else names.setdefault(m[0], f"#{len(names)}")

    return tuple(re.sub(r"[\w-]*\w", numbered, line) for line in lines)


def refuting(m):
    """(init and steps without names, the row) of a misconception's schedule."""
    test, s = m.refutation.load(), m.refutation
    init = [f"{test.processes[0]}: {line}" for line in re.findall(r"^ +\w+: (.*)$", test.text, re.MULTILINE)]
    return anonymous([*init, *run(test, kernel(s.kernel), s.schedule).steps]), kernel(s.kernel).name


def recorded():
    """{init and steps: the rows whose real kernel the model agrees with}. The probe begins with an untouched page and
    writes to it, and has looked after every step: it records each beginning as well."""
    found: dict[tuple, set[str]] = {}
    for line, _, pairs in each([f for f in shipped() if f.name in ("hand.jsonl", "huge.jsonl", "probe.jsonl")]):
        init, steps = line["init"], line["steps"]
        if "after" in line and steps[0].startswith("P: write x ") and init == ["P: x untouched"]:
            init, steps = [f"P: x = {steps[0].split()[-1]}"], steps[1:]
        agreed = {kernel(p.kernel).name for p in pairs if not p.reason and not p.differences}
        for n in range(1, len(steps)) if "after" in line else ():
            found.setdefault(anonymous([*init, *steps[:n]]), set()).update(agreed)
        found.setdefault(anonymous([*init, *steps]), set()).update(agreed)
    return found


@pytest.fixture(scope="module")
def records():
    return recorded()


@pytest.mark.parametrize("m", MISCONCEPTIONS.values(), ids=MISCONCEPTIONS)
def test_refuted_by_a_real_kernel_too(m, records):
    """The refuting steps were recorded, on a kernel with the rules that the schedule names, and the model agrees; or
    there is no such recording, and the misconception says why."""
    steps, row = refuting(m)
    assert (row in records.get(steps, ())) is not bool(m.model_only), (json.dumps(steps), records.get(steps))


def test_only_what_nothing_records_is_the_models_alone():
    """perf's answer and a GPU's page table."""
    assert [m.id for m in MISCONCEPTIONS.values() if m.model_only] == ["M16", "M17"]
