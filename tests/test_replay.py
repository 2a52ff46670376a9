"""What real kernels did: every recorded execution agrees, and a falsified one is found. design/litmus.md 6."""

import json
from collections import Counter
from copy import deepcopy
from dataclasses import fields, replace
from itertools import combinations
from pathlib import Path

import pytest
from machine import ALL, ROOT, play

from cowlab import KERNELS, kernel, litmus
from cowlab.litmus import LitmusError
from cowlab.litmus.replay import replay, shipped

DATA = {p.stem: p for p in shipped()}
LINES = {name: [json.loads(line) for line in path.open()] for name, path in DATA.items()}
JUDGED = {  # file: lines, and how many of them each row is judged by, counted in the data
    "observations": (4181, dict.fromkeys(["v5.7", "v5.8", "v5.10", "v5.18", "v6.1", "v6.12", "v6.18"], 4181)),
    "hand": (66, {"v5.7": 65, "v5.8": 65, "v5.10": 66, "v5.18": 62, "v6.1": 66, "v6.12": 66, "v6.18": 52}),
    "huge": (1131, dict.fromkeys(["v5.7", "v5.8", "v5.10", "v5.18", "v6.1", "v6.12", "v6.18"], 1131)),
    "reclaim": (175, {"v5.7": 174, "v5.8": 174, "v5.10": 174, "v5.18": 173, "v6.1": 174, "v6.12": 174}),
    "probe": (330, {"v5.7": 83, "v5.8": 83, "v5.9": 81, "v6.12": 83}),
}
DAMAGED = {("S1e", "5.6.4")}  # a record that lost a step: see _unwritten in replay.py


def outcomes(line):
    """(release, group) of every kernel that judges in this line."""
    if "after" in line:
        return [(line["kernel"], 0)]
    silent = {*line.get("unstable", ()), *line.get("skipped", ())}
    return [(k, i) for i, o in enumerate(line.get("observed", ())) for k in o["kernels"] if k not in silent]


@pytest.fixture(scope="module", params=JUDGED)
def report(request):
    return request.param, replay([DATA[request.param]])


def test_the_shipped_files_agree(report):
    """No mismatch on any kernel; only the damaged record judges nothing."""
    name, found = report
    assert found.mismatches == []
    unsupported = {(u["id"], u["kernel"]) for u in found.unsupported}
    assert unsupported <= (DAMAGED if name == "probe" else set())
    assert found.observations == JUDGED[name][0]
    assert found.judged == sum(JUDGED[name][1].values()) - len(unsupported)
    assert found.runs == []
    assert str(found).endswith(f"{found.observations} observations, {found.judged} judged, 0 mismatches")


@pytest.mark.parametrize("name", JUDGED)
def test_the_data_are_all_there(name):
    """Lines and judges of each row, counted without the code that replays them."""
    lines, judges = JUDGED[name]
    assert len(LINES[name]) == lines
    assert Counter(kernel(k).name for line in LINES[name] for k, _ in outcomes(line)) == judges


def test_every_file_ships():
    """The files of facts/ that the contract names are the ones in the package."""
    assert set(DATA) == set(JUDGED)


def test_four_behaviours():
    """At 4 KiB pages without swap: {v5.7}, {v5.8}, {v5.9, v5.10, v5.18}, {v5.19 and later}. Twice: in what the
    kernels did, and in what the model says that the rows do."""
    apart = set()
    for line in LINES["observations"]:
        for (a, i), (b, j) in combinations(outcomes(line), 2):
            if i != j:
                apart |= {(kernel(a).name, kernel(b).name), (kernel(b).name, kernel(a).name)}
    seen = {kernel(k).name for line in LINES["observations"] for k, _ in outcomes(line)}
    classes = {frozenset(b for b in seen if (a, b) not in apart) for a in seen}
    assert classes == {frozenset(c.split()) for c in ("v5.7", "v5.8", "v5.10 v5.18", "v6.1 v6.12 v6.18")}

    said = {name: [] for name in ALL.split()}
    for line in LINES["observations"][::7]:
        for name, story in said.items():
            trace = litmus.Trace(KERNELS[name], play(name, "; ".join(line["init"]), "; ".join(line["steps"])))
            story.append((trace.values, trace.frames))
    classes = {frozenset(b for b in said if said[b] == said[a]) for a in said}
    assert classes == {frozenset(c.split()) for c in ("v5.7", "v5.8", "v5.9 v5.10 v5.18", "v5.19 v6.1 v6.12 v6.18")}


# A replay that cannot fail shows nothing


OBSERVED = next(
    x for x in LINES["observations"] if {"P.x", "C.x"} <= set(x["observed"][0]["frames"]) and len(x["observed"]) > 2
)
PROBED = next(x for x in LINES["probe"] if x["id"] == "S1" and x["kernel"] == "5.6.4")


def written(tmp_path, *lines):
    path = tmp_path / "some.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_a_wrong_value_is_found(tmp_path):
    """Exactly that key, on exactly the kernels of that group."""
    line = deepcopy(OBSERVED)
    group = line["observed"][0]
    truth, group["values"]["P.x"] = group["values"]["P.x"], "wrong"
    found = replay([written(tmp_path, line)])
    last = len(line["steps"])
    assert found.mismatches == [
        {"id": line["id"], "kernel": k, "step": last, "key": "values.P.x", "observed": "wrong", "predicted": truth}
        for k in group["kernels"]
    ]
    assert f"{line['id']} {group['kernels'][0]} step {last} values.P.x: observed wrong, predicted {truth}" in str(found)
    assert str(found).endswith(f"1 observations, {found.judged} judged, {len(group['kernels'])} mismatches")


FALSE = {  # what is falsified in an outcome -> the key that is reported, observed
    "another frame": (lambda o: o["frames"].update({"P.x": 9}), "frames.P.x", 9),
    "a frame that is missing": (lambda o: o["frames"].pop("P.x"), "frames.P.x", None),
    "a frame that is not there": (lambda o: o["frames"].update({"P.z": 0}), "frames.P.z", 0),
    "a value that is missing": (lambda o: o["values"].pop("C.x"), "values.C.x", None),
    "a value that is not there": (lambda o: o["values"].update({"P.ghost": "boo"}), "values.P.ghost", "boo"),
}


@pytest.mark.parametrize("case", FALSE)
def test_a_false_outcome_is_found(case, tmp_path):
    """Values and frames are compared strictly: absence is evidence too."""
    change, key, observed = FALSE[case]
    line = deepcopy(OBSERVED)
    change(line["observed"][1])
    found = replay([written(tmp_path, line)]).mismatches
    assert [(m["key"], m["observed"], m["kernel"]) for m in found] == [
        (key, observed, k) for k in line["observed"][1]["kernels"]
    ]


def probe(step, **changes):
    def change(line):
        for key, value in changes.items():
            group, _, name = key.partition("_")
            at = line["after"][step - 1][group]
            for word in name.split("__")[:-1]:
                at = at[word.replace("_", ".")]
            at[name.split("__")[-1]] = value

    return change


PROBES = {  # S1 on 5.6.4: P: write x 100; P: fork C; C: gup_fast x -> r0; C: munmap x; P: write x 101
    "writable": (probe(2, ptes_P_x__writable=True), (2, "ptes.P.x.writable", True, False)),
    "dirty": (probe(1, ptes_P_x__dirty=False), (1, "ptes.P.x.dirty", False, True)),
    "exclusive": (probe(1, ptes_P_x__exclusive=True), (1, "ptes.P.x.exclusive", True, False)),
    "the value in a page": (probe(3, ptes_C_x__value="101"), (3, "ptes.C.x.value", "101", "100")),
    "another frame": (probe(5, ptes_P_x__frame="B"), (5, "ptes.P.x.frame", "B", 1)),
    "an entry that is none": (lambda x: x["after"][2]["ptes"].update({"C.x": "none"}), (3, "ptes.C.x", "none", None)),
    "an entry that is missing": (lambda x: x["after"][2]["ptes"].pop("C.x"), (3, "ptes.C.x", None, None)),
    "refcount": (probe(3, counts_A__refcount=2), (3, "counts.A.refcount", 2, 3)),
    "mapcount": (probe(4, counts_A__mapcount=2), (4, "counts.A.mapcount", 2, 1)),
    "the held value": (probe(5, held_C_r0__value="100"), (5, "held.C.r0.value", "100", "101")),
    "the held frame": (probe(5, held_C_r0__frame="B"), (5, "held.C.r0.frame", "B", 1)),
    "a reference that is missing": (lambda x: x["after"][4]["held"].clear(), (5, "held.C.r0", None, None)),
    "the result": (lambda x: x["after"][2].update(result="ret=0"), (3, "result", "ret=0", "ret=1")),
}


@pytest.mark.parametrize("case", PROBES)
def test_a_false_probe_is_found(case, tmp_path):
    """Every key of a probe is compared, after every step, and the report says which and where."""
    change, (step, key, observed, predicted) = PROBES[case]
    line = deepcopy(PROBED)
    change(line)
    assert replay([written(tmp_path, PROBED)]).mismatches == []
    found, *more = replay([written(tmp_path, line)]).mismatches
    assert len(more) <= (case == "another frame"), "and nothing else is reported, but for the same frame twice"
    assert (found["id"], found["kernel"], found["step"], found["key"], found["observed"]) == (
        "S1",
        "5.6.4",
        step,
        key,
        observed,
    )
    assert predicted is None or found["predicted"] == predicted


def test_not_judged_is_not_judged(tmp_path):
    """Keys that depend on I/O timing are left alone, and only those of that step."""
    line = deepcopy(PROBED)
    line["after"][2]["counts"]["A"]["refcount"] = 77
    line["after"][2]["not_judged"] = ["counts"]
    assert replay([written(tmp_path, line)]).mismatches == []


def test_letters_are_frames(tmp_path):
    """Only which letters are equal counts: renamed throughout, the probe still agrees."""
    text = json.dumps(PROBED).replace('"A"', '"Q"')
    assert replay([written(tmp_path, text)]).mismatches == []


def test_a_pin_adds_one_on_5_6(tmp_path):
    """FOLL_PIN counted 1 in v5.6 and 1024 since: the same row, another number (facts/kernel.md, TRAP 3)."""
    pins = [x for x in LINES["probe"] if any(" pin " in f" {s} " for s in x["steps"])]
    assert {x["kernel"] for x in pins} >= {"5.6.4", "5.8.1"}
    assert replay([written(tmp_path, *pins)]).mismatches == []


# What is judged


NARROWED = [  # (--kernel, how many of the seven releases of OBSERVED are judged)
    ((), 7), (("5.8.18",), 1), (("v5.8",), 1), (("v6.12", "6.12.101"), 1), (("v5.9",), 0), (("v5.7", "v6.1"), 2),
        (("5.10.223",), 1),
]  # fmt: skip


@pytest.mark.parametrize(("names", "judged"), NARROWED)
def test_narrowing(names, judged, tmp_path):
    """A release or a row; `kernel` in the output is the release of the line."""
    path = written(tmp_path, OBSERVED)
    assert replay([path], names).judged == judged
    line = deepcopy(OBSERVED)
    for o in line["observed"]:
        o["values"]["P.x"] = "wrong"
    kernels = {m["kernel"] for m in replay([written(tmp_path, line)], names).mismatches}
    assert len(kernels) == judged
    assert kernels <= {k for k, _ in outcomes(line)}


def test_an_unknown_kernel():
    with pytest.raises(ValueError, match=r"unknown kernel 'v9\.9'"):
        replay([DATA["hand"]], ["v9.9"])


def test_unstable_and_skipped_kernels_do_not_judge(tmp_path):
    """They gave different outcomes in repeated runs, or could not run it."""
    for key in ("unstable", "skipped"):
        line = deepcopy(OBSERVED)
        line[key] = ["5.4.0"]
        for o in line["observed"]:
            if "5.4.0" in o["kernels"]:
                o["values"]["P.x"] = "wrong"
                o["kernels"] = ["5.4.0"]
        assert "5.4.0" not in {m["kernel"] for m in replay([written(tmp_path, line)]).mismatches}


def test_a_release_that_no_row_stands_for(tmp_path):
    """It is listed as unsupported, with the reason; the others judge."""
    line = deepcopy(OBSERVED)
    line["observed"].append({"kernels": ["2.6.32"], "values": {}, "frames": {}})
    found = replay([written(tmp_path, line)])
    assert found.judged == 7
    assert [(u["kernel"], "2.6.32" in u["reason"]) for u in found.unsupported] == [("2.6.32", True)]


def test_a_line_that_is_only_run(tmp_path):
    """Without `observed` or `after` it is run on every named row, and shown step by step."""
    line = {"id": "mine", "init": ["P: x = old"], "steps": ["P: fork C", "P: write x new"]}
    path = written(tmp_path, line)
    assert [r["kernel"] for r in replay([path]).runs] == list(KERNELS)
    (run,) = replay([path], ["v5.8"]).as_json()["runs"]
    trace = run.pop("trace")
    assert run == {
        "id": "mine",
        "kernel": "v5.8",
        "values": {"C.x": "old", "P.x": "new"},
        "frames": {"C.x": 0, "P.x": 1},
        "copies": 1,
    }
    assert [t["step"] for t in trace] == line["steps"]
    assert [t["frames"] for t in trace] == [{"C.x": 0, "P.x": 0}, {"C.x": 0, "P.x": 1}]
    assert "mapcount 2" in trace[1]["why"]
    assert replay([path]).judged == 0
    assert len(replay([written(tmp_path, line, line)], ["5.8.1"]).runs) == 2


GOOD = json.dumps({"id": "a", "init": ["P: x = old"], "steps": ["P: read x"], "observed": []})
MALFORMED = {  # a third line -> what is said about it
    "no JSON": ("{", "not JSON"),
    "a list": ("[]", "no observation"),
    "no init": ('{"steps": []}', "no observation"),
    "init is a word": ('{"init": "P: x = old", "steps": []}', "no observation"),
    "steps of numbers": ('{"init": ["P: x = old"], "steps": [1], "observed": []}', "malformed observation"),
    "an unknown step": ('{"init": ["P: x = old"], "steps": ["P: frob x"], "observed": []}', "unknown step 'frob'"),
    "no process": ('{"init": ["P: x = old"], "steps": ["C: read x"], "observed": []}', "no process 'C' yet"),
    "no page": ('{"init": ["P: x = old"], "steps": ["P: read y"], "observed": []}', "'y' is no page"),
    "not a step": ('{"init": ["P: x = old"], "steps": ["read x"], "observed": []}', "is no step"),
    "a bad mapping": ('{"init": ["P: x"], "steps": [], "observed": []}', "expected `= VALUE` or `untouched`"),
    "no mapping": ('{"init": [], "steps": [], "observed": []}', "maps no page"),
    "an outcome without values": ('{"init": ["P: x = old"], "steps": [], "observed": [{"kernels": ["5.4.0"]}]}',
        "'values' is missing"),
    "an outcome without kernels": ('{"init": ["P: x = old"], "steps": [], "observed": [{"values": {}}]}',
        "'kernels' is missing"),
    "a probe without a kernel": ('{"init": ["P: x = old"], "steps": [], "after": []}', "'kernel' is missing"),
    "too few entries": ('{"init": ["P: x = old"], "steps": ["P: read x"], "after": [], "kernel": "5.6.4"}',
        "0 entries in `after` for 1 steps"),
    "not UTF-8": (b"\xff\xfe".decode("latin-1"), "not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(case, tmp_path):
    """The line's number, and what is wrong with it; blank lines count and mean nothing."""
    text, message = MALFORMED[case]
    path = written(tmp_path, GOOD, "", text)
    with pytest.raises(LitmusError) as e:
        replay([path])
    assert str(e.value).startswith(f"{path}:3:")
    assert message in str(e.value)


def test_missing_file(tmp_path):
    with pytest.raises(LitmusError, match="cannot be read"):
        replay([tmp_path / "none.jsonl"])


# Every field of a row is needed


RULES = [f.name for f in fields(kernel("v5.7")) if f.name not in ("name", "about", "commits", "aliases")]
SILENT = {  # fields that no outcome shows by itself, and where they are tested instead
    **dict.fromkeys(("userptr", "odirect", "rdma_read_only"), "test_callers.py"),
    **dict.fromkeys(("reuse_ksm", "allocates_huge_for_zero", "uffd_continue"), "test_reclaim.py"),
}  # fmt: skip


def noticed(row, mutant, monkeypatch):
    """What first tells the mutant from the row: a test of the catalogue, or a recorded execution."""
    for path in litmus.catalogue().values():
        test = litmus.read(path)
        if sum(map(len, test.columns.values())) < 10 and finals(test, row) != finals(test, mutant):
            return True
    monkeypatch.setitem(KERNELS, row.name, mutant)
    return any(replay([DATA[name]], [row.name]).mismatches for name in ("hand", "probe", "reclaim", "huge"))


def finals(test, row):
    return [f.as_json() for f in litmus.judge(test, row).finals]


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule not in SILENT])
def test_each_field_is_tested(rule, monkeypatch):
    """A row with one field as it was in v5.7 is found out, by a test of the catalogue or a recorded execution."""
    old = getattr(KERNELS["v5.7"], rule)
    rows = [KERNELS[name] for name in ALL.split() if getattr(KERNELS[name], rule) != old]
    assert rows or rule == "after_break", "a field in which the rows do not differ"
    found = any(noticed(row, replace(row, **{rule: old}), monkeypatch) for row in rows)
    assert found or not rows, f"nothing notices {rule}"


def test_the_facts_are_the_data():
    """No line is judged by a file that is not the package's."""
    assert all(Path(p).is_relative_to(ROOT / "cowlab") for p in shipped())
