"""Verdicts over all schedules: exact counts, first witnesses, the JSON of the contract. design/litmus.md 1 and 4."""

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from interleave import histogram, multinomial
from machine import ALL, ROOT

from cowlab import KERNELS, kernel, litmus
from cowlab.litmus import LitmusError, judge, parse, run

EXAMPLE = litmus.load("child-reads-parent-secret")
P_FIRST = ["P: fork C", "P: write x new", "C: vmsplice x -> pipe", "C: munmap x"]
VALUES = {"C.pipe": "old", "C.x": "unmapped", "P.x": "new"}

# design/litmus.md section 4, to the letter
CONTRACT = json.loads("""
{"test": "child-reads-parent-secret", "kernel": "v5.7", "quantifier": "exists", "condition": "C.pipe == new",
 "verdict": "Sometimes", "passes": true, "executions": 3, "positive": 1, "negative": 2, "distinct_states": 8,
 "finals": [
  {"count": 2, "satisfies": false, "values": {"C.pipe": "old", "C.x": "unmapped", "P.x": "new"}, "frames": {"C.pipe": 0, "P.x": 1}, "copies": 1,
   "witness": ["P: fork C", "P: write x new", "C: vmsplice x -> pipe", "C: munmap x"]},
  {"count": 1, "satisfies": true, "values": {"C.pipe": "new", "C.x": "unmapped", "P.x": "new"}, "frames": {"C.pipe": 0, "P.x": 0}, "copies": 0,
   "witness": ["P: fork C", "C: vmsplice x -> pipe", "C: munmap x", "P: write x new"]}]}
""")  # noqa: E501
NEVER = {  # what the text below it says: count and frames of each final; `copies` is 1 in each
    "v5.8": [(1, {"C.pipe": 0, "P.x": 1}), (2, {"C.pipe": 1, "P.x": 0})],
    **{name: [(3, {"C.pipe": 0, "P.x": 1})] for name in ALL.split()[2:]},
}


def test_the_example_on_v5_7():
    """Exactly the document of the contract, keys in its order."""
    said = judge(EXAMPLE, kernel("v5.7")).as_json()
    assert said == CONTRACT
    assert json.dumps(said) == json.dumps(CONTRACT)


@pytest.mark.parametrize("name", NEVER)
def test_the_example_later(name):
    """Never; the first witness has the parent write first, and one page is copied on every kernel."""
    said = judge(EXAMPLE, kernel(name)).as_json()
    assert (said["verdict"], said["passes"], said["executions"], said["positive"], said["negative"]) == (
        "Never",
        False,
        3,
        0,
        3,
    )
    assert [(f["count"], f["frames"]) for f in said["finals"]] == list(NEVER[name])
    assert [(f["copies"], f["satisfies"], f["values"]) for f in said["finals"]] == [(1, False, VALUES)] * len(
        NEVER[name]
    )
    assert said["finals"][0]["witness"] == P_FIRST


def litmus_test(init, rows, condition="exists P.x == nothing"):
    init = "\n".join("  " + line for line in init.split("; "))
    return parse(f"litmus t\ninit\n{init}\n{rows}\n{condition}")


ENDS = {  # (test, kernel, what every final has for values), the details of sections 1 to 4
    "what is left of a dead column vanishes": (
        "P: x = old ro", "P | C\nfork C | write x new\n| gup x -> r\n| read x -> a", [{"C.fault": "SIGSEGV",
            "P.x": "old"}]),
    "and the column that its dead parent never forked": (
        "P: x = old ro", "P | C | D\nfork C | write x new | read x -> a\n| fork D |", [{"C.fault": "SIGSEGV",
            "P.x": "old"}]),
    "and the column below that": (
        "P: x = old ro", "P | C | D | E\nfork C | write x 1 | fork E | read x\n| fork D", [{"C.fault": "SIGSEGV",
            "P.x": "old"}]),
    "exit leaves the references": ("P: x = old", "P\ngup x -> r\nexit", [{"P.r": "old"}]),
    "exec leaves the process": ("P: x = old", "P\ngup x -> r\nread x -> a\nexec", [{"P.a": "old", "P.r": "old",
        "P.x": "unmapped"}]),
    "a failed reference keeps its error": (
        "P: x = old", "P\nmunmap x\ngup x -> r\nput r\nstore r new", [{"P.r": "EFAULT", "P.x": "unmapped"}]),
    "a reference that was put is gone": ("P: x = old", "P\ngup x -> r\nput r", [{"P.x": "old"}]),
    "a fast-only lookup may return nothing": ("P: x untouched", "P\ngup_fast_only x -> r", [{"P.r": "nopage",
        "P.x": "zero"}]),
    "a register holds the last value": ("P: x = old", "P\nread x -> a\nwrite x 1\nread x -> a", [{"P.a": "1",
        "P.x": "1"}]),
    "perf tells a frame or nothing": (
        "P: x = old; P: y untouched", "P\nperf x -> n\nperf y -> m", [{"P.m": "nopage", "P.n": "frame", "P.x": "old",
            "P.y": "zero"}]),
    "a process without a column lives": ("P: x = old", "P\nfork C\nwrite x new", [{"C.x": "old", "P.x": "new"}]),
    "no step at all": ("P: x = old", "P", [{"P.x": "old"}]),
    "a column of nothing": ("P: x = old", "P | C\nfork C", [{"C.x": "old", "P.x": "old"}]),
    "registers outlive their process": ("P: x = old", "P\nread x -> a\nmunmap x\nread x", [{"P.a": "old",
        "P.fault": "SIGSEGV"}]),
    "the GPU was told": ("P: x = old", "P\nuserptr x -> g\nmunmap x", [{"P.g": "revoked", "P.x": "unmapped"}]),
    "what each reads": (
        "P: x = old file; P: y = 7 shared; P: z untouched", "P\nread x -> a", [{"P.a": "old", "P.x": "old",
            "P.y": "7", "P.z": "zero"}]),
    "two finals, by the order of the writes": (
        "P: x = 0 shared", "P | C\nfork C | write x 2\nwrite x 1", [{"C.x": "2", "P.x": "2"}, {"C.x": "1",
            "P.x": "1"}]),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDS)
@pytest.mark.parametrize("name", ["v5.7", "v5.8", "v5.10", "v6.1"])
def test_final_values(case, name):
    """`values` has the pages of every live process, every reference held or failed, every register, every fault."""
    init, rows, expected = ENDS[case]
    verdict = judge(litmus_test(init, rows), kernel(name))
    assert [f.as_json()["values"] for f in verdict.finals] == expected


FRAMES = [  # (init, rows, kernel, frames of the first final): first appearance in a live mapping, then references
    ("P: x = 1; P: y = 2", "P\nread x", "v5.7", {"P.x": 0, "P.y": 1}),
    ("P: x untouched; P: y = 2", "P\nwrite x 1", "v5.7", {"P.x": 1, "P.y": 0}),
    ("P: x untouched; P: y untouched", "P\nread x", "v5.7", {"P.x": "Z"}),
    ("P: x untouched", "P\ngup x -> r\nwrite x 1", "v5.7", {"P.r": "Z", "P.x": 0}),
    ("P: x untouched", "P\ngup x -> r\nwrite x 1", "v5.8", {"P.r": 0, "P.x": 0}),
    ("P: x = 1", "P\nfork C\nwrite x 2", "v5.7", {"C.x": 0, "P.x": 1}),
    ("P: x = 1", "P\nmadvise x dontneed\nwrite x 2", "v5.7", {"P.x": 1}),  # handed out again: a new number
    ("P: x = 1", "P\nmunmap x", "v5.7", {}),
    ("P: x = 1 file", "P\nmunmap x", "v5.7", {}),
    ("P: x = 1 file", "P\nread x\nwrite x 2", "v5.7", {"P.x": 1}),
    ("P: x = 1 file", "P\nwrite x 2", "v5.7", {"P.x": 0}),  # the page cache's page was never mapped
    ("P: x = 1 file", "P\nvmsplice x -> r\nwrite x 2", "v5.7", {"P.r": 0, "P.x": 1}),
    ("P: x = 1", "P\nperf x -> n\nfork C\nwrite x 2", "v5.7", {"C.x": 0, "P.n": 0, "P.x": 1}),
    ("P: x = 1", "P\nperf x -> n\nmunmap x", "v5.7", {"P.n": 0}),  # stale, and still the number of that time
    ("P: x = 1; P: y = 2", "P\nfork C\nwrite y 3\nwrite x 4", "v5.7", {"C.x": 0, "C.y": 1, "P.x": 3, "P.y": 2}),
    ("P: x = 1", "P\nmunmap x\ngup x -> r", "v5.7", {}),
]


@pytest.mark.parametrize(("init", "rows", "name", "frames"), FRAMES)
def test_frame_numbers(init, rows, name, frames):
    """0, 1, ... by first appearance in a live mapping; `Z` is the zero page; what has no frame is absent."""
    assert judge(litmus_test(init, rows), kernel(name)).finals[0].as_json()["frames"] == frames


COPIES = [  # (init, rows, copies on v5.7, v5.8, v5.9, v6.12)
    ("P: x = 1", "P\nwrite x 2", "0 0 0 0"),
    ("P: x untouched", "P\nread x\nwrite x 2", "0 0 0 0"),  # zero-filling is no copy
    ("P: x untouched", "P\npin x -> r longterm", "0 0 0 0"),
    ("P: x = 1", "P\nfork C\nwrite x 2", "1 1 1 1"),  # a write fault
    ("P: x = 1 file", "P\nwrite x 2", "1 1 1 1"),  # out of the page cache
    ("P: x = 1 file", "P\nread x\nwrite x 2", "1 1 1 1"),
    ("P: x = 1 file", "P\npin x -> r longterm", "0 1 0 1"),
    ("P: x = 1", "P\npin x -> r\nfork C", "0 0 1 1"),  # early, at fork
    ("P: x = 1", "P\nfork C\npin x -> r", "0 1 0 1"),  # the unshare copy; the forced break
    ("P: x = 1", "P\nfork C\ngup x -> r", "0 1 0 0"),
    ("P: x = 1 shared", "P\nfork C\npin x -> r\nwrite x 2", "0 0 0 0"),
]


@pytest.mark.parametrize(("init", "rows", "copies"), COPIES)
def test_copies(init, rows, copies):
    """Frames filled from another frame."""
    test = litmus_test(init, rows)
    assert (
        " ".join(str(judge(test, kernel(n)).finals[0].as_json()["copies"]) for n in ("v5.7", "v5.8", "v5.9", "v6.12"))
        == copies
    )


SCHEDULES = [  # (schedule of the example, what is wrong with it)
    ("P C C P", None),
    ("P P C C", None),
    ("P C P", "after place 3: C can still move; its next step is `munmap x`"),
    ("", "after place 0: P can still move; its next step is `fork C`"),
    ("P", "after place 1: P can still move"),
    ("C P P C", "place 1: C cannot move: it has not been forked yet"),
    ("P P C C C", "place 5: C cannot move: its column is used up"),
    ("P P P C C", "place 3: P cannot move: its column is used up"),
    ("P P C C P", "place 5: P cannot move"),
    ("P P D C", "place 3: child-reads-parent-secret has no column 'D'"),
]


@pytest.mark.parametrize(("schedule", "problem"), SCHEDULES)
def test_schedule(schedule, problem):
    """It uses up every column that can still move, or it is said where it goes wrong, and who could move there."""
    if problem is None:
        verdict = judge(EXAMPLE, kernel("v5.7"), schedule)
        assert (verdict.executions, len(verdict.finals), verdict.distinct_states) == (1, 1, 5)
        assert [s.split(":")[0] for s in verdict.finals[0].trace.steps] == schedule.split()
        assert run(EXAMPLE, kernel("v5.7"), schedule.split()).values == verdict.finals[0].trace.values
        return
    with pytest.raises(LitmusError) as e:
        judge(EXAMPLE, kernel("v5.7"), schedule)
    assert problem in str(e.value)


def test_a_schedule_of_the_dead():
    """A dead process's steps need not be named, and must not be."""
    test = litmus_test("P: x = old ro", "P | C\nfork C | write x new\nread x | read x")
    assert judge(test, kernel("v5.7"), "P C P").executions == 1
    with pytest.raises(LitmusError, match="place 3: C cannot move: it is dead"):
        judge(test, kernel("v5.7"), "P C C P")


def test_every_schedule_of_the_finals_is_a_schedule():
    """A witness, as a schedule, ends in the final whose witness it is."""
    for name in ALL.split():
        for final in judge(EXAMPLE, kernel(name)).finals:
            order = " ".join(step.partition(":")[0] for step in final.trace.steps)
            (alone,) = judge(EXAMPLE, kernel(name), order).finals
            assert alone.as_json() | {"count": 0} == final.as_json() | {"count": 0}


# Counts

MILLIONS = """litmus millions
init
  P: x = 0
  P: y = 0
P           | C                | D
fork C      | vmsplice x -> c  | vmsplice y -> d
fork D      | write y 1        | read x
write x 1   | read x           | write y 2
write y 3   | put c            | put d
read x      | write x 4        | write x 5
read y      | munmap y         | read y
write x 6
write y 7
exists C.x == 6
"""


def test_millions_of_schedules():
    """More than seventeen million executions of a few thousand states: judged at once, and counted to the last one.

    Without the forks it would be the multinomial coefficient. C may start after the first step of P and D after the
    second; so j steps of C come between them, for j = 0 to 6.
    """
    test = parse(MILLIONS)
    verdict = judge(test, kernel("v5.7"))
    assert verdict.executions == sum(multinomial(6, 6 - j, 6) for j in range(7))
    assert verdict.executions > 17_153_136 == multinomial(6, 6, 6)
    assert verdict.distinct_states < 20_000
    assert sum(f.count for f in verdict.finals) == verdict.positive + verdict.negative == verdict.executions


def test_two_columns_are_a_binomial_coefficient():
    """After the fork nothing orders two columns."""
    for n, m in [(1, 1), (3, 4), (8, 8), (12, 12)]:
        test = litmus_test("P: x = 0", "P | C\nfork C |\n" + "read x |\n" * n + "| read x\n" * m)
        assert judge(test, kernel("v6.1")).executions == multinomial(n, m)


# The oracle


def agrees(test, row):
    """judge() and the oracle, which merges nothing, tell the same."""
    expected, verdict = histogram(test, row), judge(test, row)
    assert [f.count for f in verdict.finals] == [count for count, _, _ in expected.values()]
    assert [f.satisfies for f in verdict.finals] == [holds for _, holds, _ in expected.values()]
    assert [tuple(s.partition(":")[0] for s in f.trace.steps) for f in verdict.finals] == [
        w for _, _, w in expected.values()
    ]
    assert [f.trace.values for f in verdict.finals] == [dict(key[0]) for key in expected]
    for final in verdict.finals:
        shown = final.as_json()
        assert set(shown["values"]) >= set(shown["frames"])
        assert run(test, row, [s.partition(":")[0] for s in shown["witness"]]).frames == shown["frames"]


OPS = ["read x", "read x -> a", "write x {}", "munmap x", "mprotect x ro", "mprotect x rw", "madvise x dontneed",
    "exec", "exit",
       "gup x -> {}", "gup_fast x -> {} write", "pin x -> {}", "vmsplice x -> {}", "userptr x -> {} ro", "perf x -> n",
       "gup_fast_only x -> {}", "store {} 9", "put {}", "write y {}", "read y"]  # fmt: skip


@st.composite
def small_tests(draw):
    """Two or three columns of up to four steps, each forked somewhere."""
    init = draw(st.sampled_from(["P: x = 0", "P: x untouched", "P: x = 0 file", "P: x = 0 shared", "P: x = 0 ro"]))
    names = draw(st.sampled_from([["P", "C"], ["P", "C", "D"]]))
    columns = {}
    for column, name in enumerate(names):
        program, refs, gone = [], [], False
        for i in range(draw(st.integers(1, 4 if len(names) == 2 else 3))):
            op = draw(st.sampled_from(OPS))
            if op.startswith(("store", "put")):
                if not refs:
                    continue
                op = op.format(draw(st.sampled_from(refs)))
            elif "-> {}" in op:
                refs.append(f"r{i}")
            program.append(op.format(refs[-1] if "-> {}" in op else f"{column}{i}"))
            gone = op == "exit"
            if gone:
                break
        columns[name] = program
    for child in names[1:]:
        parent = columns[draw(st.sampled_from(names[: names.index(child)]))]
        parent.insert(draw(st.integers(0, len(parent) - (parent[-1:] == ["exit"]))), f"fork {child}")
    height = max(map(len, columns.values()))
    table = "\n".join(" | ".join(c[i] if i < len(c) else "" for c in columns.values()) for i in range(height))
    condition = draw(
        st.sampled_from(
            ["exists P.x is C.x", "exists P.x == 10", "forall C.x isnt init.x", "~exists C.fault == SIGSEGV"]
        )
    )
    return litmus_test(f"{init}; P: y = 1", f"{' | '.join(names)}\n{table}", condition)


def size(test):
    return multinomial(*(len(p) for p in test.columns.values()))


@settings(max_examples=120, deadline=None)
@given(small_tests(), st.sampled_from(ALL.split()))
def test_oracle_on_random_tests(test, name):
    """Every interleaving one by one: the same counts, finals, witnesses and order."""
    assume(size(test) < 2000)
    agrees(test, KERNELS[name])


@pytest.mark.parametrize("path", litmus.catalogue().values(), ids=litmus.catalogue())
def test_oracle_on_the_catalogue(path):
    """The same for every test that ships, as far as its executions can be walked one by one."""
    test = litmus.read(path)
    if size(test) >= 2000:
        pytest.skip(f"{size(test):,} interleavings are too many to walk")
    for name in ("v5.7", "v5.8", "v6.1") if size(test) < 100 else ("v5.8",):
        agrees(test, KERNELS[name])


@pytest.mark.full
@pytest.mark.parametrize("name", ALL.split())
def test_oracle_on_the_catalogue_everywhere(name):
    """... and on every kernel."""
    for test in map(litmus.read, litmus.catalogue().values()):
        if size(test) < 20_000:
            agrees(test, KERNELS[name])


@pytest.mark.full
@settings(max_examples=3000, deadline=None)
@given(small_tests(), st.sampled_from(ALL.split()))
def test_oracle_at_length(test, name):
    assume(size(test) < 2000)
    agrees(test, KERNELS[name])


@pytest.mark.parametrize("name", ALL.split())
def test_the_catalogue_adds_up(name):
    """Counts add up to executions, verdict and passes say what the counts say, and no two finals are alike."""
    for path in litmus.catalogue().values():
        said = judge(litmus.read(path), KERNELS[name]).as_json()
        assert sum(f["count"] for f in said["finals"]) == said["executions"] == said["positive"] + said["negative"]
        assert said["positive"] == sum(f["count"] for f in said["finals"] if f["satisfies"])
        assert said["verdict"] == ("Never" if not said["positive"] else "Sometimes" if said["negative"] else "Always")
        passes = {
            "exists": said["verdict"] != "Never",
            "~exists": said["verdict"] == "Never",
            "forall": said["verdict"] == "Always",
        }
        assert said["passes"] == passes[said["quantifier"]]
        assert len({json.dumps([f["values"], f["witness"]]) for f in said["finals"]}) == len(said["finals"])


def test_the_readme_and_the_contract_have_the_same_example():
    """The file in the catalogue is the one of the contract, word for word."""
    text = (ROOT / "cowlab/litmus/catalogue/child-reads-parent-secret.litmus").read_text()
    assert (
        text
        == """litmus child-reads-parent-secret
  The child keeps a page that it no longer maps, and reads what the parent writes there next.

init
  P: x = old

P              | C
fork C         | vmsplice x -> pipe
write x new    | munmap x

exists C.pipe == new
"""
    )
