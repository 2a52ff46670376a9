"""The command line: what it prints, and its exit status. design/litmus.md 4 and 6."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from machine import ALL, ROOT

from cowlab import kernel, litmus
from cowlab.cli import main

EXAMPLE = "child-reads-parent-secret"
OBSERVATION = {"id": "a", "init": ["P: x = old"], "steps": ["P: write x new"]}


@pytest.fixture
def cowlab(capsys):
    """cowlab("litmus", ...) -> (exit status, stdout, stderr)"""

    def run(*args):
        try:
            status = main([str(a) for a in args])
        except SystemExit as e:
            status = e.code
        return (status, *capsys.readouterr())

    return run


def written(path: Path, *lines) -> Path:
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return path


def test_json(cowlab):
    """One document: a list, one object per test and kernel, in the order in which they were named."""
    status, out, err = cowlab(
        "litmus", EXAMPLE, "takeover-after-exit", "--kernel", "v5.7", "--kernel", "5.8.18", "--json"
    )
    said = json.loads(out)
    assert (status, err) == (0, "")
    assert [(v["test"], v["kernel"]) for v in said] == [
        (t, k) for t in (EXAMPLE, "takeover-after-exit") for k in ("v5.7", "v5.8")
    ]
    assert said[0] == litmus.judge(litmus.load(EXAMPLE), kernel("v5.7")).as_json()
    assert set(said[0]) == {
        "test", "kernel", "quantifier", "condition", "verdict", "passes", "executions", "positive", "negative",
        "distinct_states", "finals",
    }  # fmt: skip


def test_no_kernel_is_every_kernel(cowlab):
    """Without --kernel: all of the catalogue, oldest first; named twice, a kernel is judged once."""
    _, out, _ = cowlab("litmus", EXAMPLE, "--json")
    assert [v["kernel"] for v in json.loads(out)] == ALL.split()
    _, out, _ = cowlab("litmus", EXAMPLE, "--json", "--kernel", "v5.8", "--kernel", "5.8")
    assert [v["kernel"] for v in json.loads(out)] == ["v5.8"]


def test_text(cowlab):
    """Per kernel the histogram of final states, then the observation as herd7 says it."""
    status, out, err = cowlab("litmus", EXAMPLE, "--kernel", "v5.7")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[-1] == f"Observation {EXAMPLE} Sometimes 1 2"
    assert any("2" in x and "C.pipe=old C.x=unmapped P.x=new" in x for x in lines)
    assert any("1" in x and "C.pipe=new C.x=unmapped P.x=new" in x for x in lines)
    assert "P: fork C; C: vmsplice x -> pipe; C: munmap x; P: write x new" in out
    observations = [x for x in cowlab("litmus", EXAMPLE)[1].splitlines() if x.startswith("Observation")]
    assert observations == [
        f"Observation {EXAMPLE} {'Sometimes 1 2' if k == 'v5.7' else 'Never 0 3'}" for k in ALL.split()
    ]


def test_exit_status_is_about_the_input(cowlab, tmp_path):
    """0 when every file could be judged, whatever the verdicts; 2 when one could not, and the others still are."""
    assert cowlab("litmus", EXAMPLE, "--kernel", "v5.8")[0] == 0, "does not pass there, and is judged"
    bad = written(tmp_path / "bad.litmus", "litmus\n")
    status, out, err = cowlab("litmus", bad, EXAMPLE, "--kernel", "v5.7", "--json")
    assert status == 2
    assert [v["test"] for v in json.loads(out)] == [EXAMPLE]
    assert err.startswith(f"{bad}:1:1: ")


def test_schedule(cowlab):
    """The one execution, with its steps and reasons; the JSON has one final."""
    status, out, _ = cowlab("litmus", EXAMPLE, "--kernel", "v5.7", "--schedule", "P C C P")
    assert status == 0
    assert [x for x in ("P: fork C", "C: munmap x", "do_wp_page reuses the page: mapcount 1") if x not in out] == []
    _, out, _ = cowlab("litmus", EXAMPLE, "--kernel", "v5.7", "--schedule", "P C C P", "--json")
    (said,) = json.loads(out)
    assert (said["executions"], len(said["finals"]), said["verdict"]) == (1, 1, "Always")
    for schedule, words in [
        ("P C", "after place 2: P can still move"),
        ("C", "place 1: C cannot move"),
        ("", "after place 0"),
    ]:
        status, out, err = cowlab("litmus", EXAMPLE, "--kernel", "v5.7", "--schedule", schedule)
        assert (status, out) == (2, "")
        assert err.startswith(EXAMPLE + ": ")
        assert words in err


def test_list(cowlab):
    """Every test of the catalogue, and what it is about."""
    status, out, _ = cowlab("litmus", "--list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(litmus.catalogue())


WRONG = [  # (arguments, what stderr says)
    ((), "the following arguments are required: COMMAND"),
    (("litmsu",), "unknown command 'litmsu'; did you mean 'litmus'?"),
    (("litmus",), "no test"),
    (("litmus", "no-such-test"), "no such test in the catalogue"),
    (("litmus", "/no/such.litmus"), "cannot be read"),
    (("litmus", "/"), "cannot be read"),
    (("litmus", EXAMPLE, "--kernel", "v5.6"), "unknown kernel 'v5.6'"),
    (("litmus", EXAMPLE, "--kernle", "v5.7"), "unrecognized arguments: --kernle"),
    (("replay", "/no/such.jsonl"), "cannot be read"),
    (("replay", "--kernel", "v5.6"), "unknown kernel 'v5.6'"),
]


@pytest.mark.parametrize(("args", "words"), WRONG, ids=[" ".join(w[0]) for w in WRONG])
def test_wrong_arguments(args, words, cowlab):
    """One message, exit status 2, nothing on stdout."""
    status, out, err = cowlab(*args)
    assert (status, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) <= 3
    assert "Traceback" not in err


def test_replay(cowlab, tmp_path):
    """0 when all agree, 1 when anything mismatched, 2 for a malformed line; the count stands last."""
    right = {
        **OBSERVATION,
        "observed": [{"kernels": ["5.4.0", "6.1.192"], "values": {"P.x": "new"}, "frames": {"P.x": 0}}],
    }
    wrong = {**right, "id": "b", "observed": [{"kernels": ["5.4.0"], "values": {"P.x": "old"}, "frames": {"P.x": 0}}]}
    assert cowlab("replay", written(tmp_path / "r", right)) == (0, "1 observations, 2 judged, 0 mismatches\n", "")
    status, out, _ = cowlab("replay", written(tmp_path / "w", right, wrong))
    assert status == 1
    assert out.splitlines()[0].split()[:2] == ["b", "5.4.0"]
    assert "values.P.x" in out
    assert out.splitlines()[-1] == "2 observations, 3 judged, 1 mismatches"
    status, out, err = cowlab("replay", written(tmp_path / "m", right, "{\n"))
    assert (status, out) == (2, "")
    assert err.startswith(f"{tmp_path / 'm'}:2:")


def test_replay_json(cowlab, tmp_path):
    """The document of the contract; `runs` is there for lines that are only run."""
    right = {**OBSERVATION, "observed": [{"kernels": ["5.4.0"], "values": {"P.x": "other"}, "frames": {"P.x": 0}}]}
    path = written(tmp_path / "w", right)
    assert json.loads(cowlab("replay", path, "--json")[1]) == {
        "observations": 1, "judged": 1, "unsupported": [],
        "mismatches": [{"id": "a", "kernel": "5.4.0", "step": 1, "key": "values.P.x", "observed": "other",
            "predicted": "new"}],
    }  # fmt: skip
    assert json.loads(cowlab("replay", path, "--kernel", "v6.1", "--json")[1])["judged"] == 0
    status, out, _ = cowlab("replay", written(tmp_path / "n", OBSERVATION), "--kernel", "v5.7", "--json")
    said = json.loads(out)
    assert (status, said["judged"], [r["kernel"] for r in said["runs"]]) == (0, 0, ["v5.7"])
    assert set(said["runs"][0]) == {"id", "kernel", "values", "frames", "copies", "trace"}
    assert set(said["runs"][0]["trace"][0]) == {"step", "why", "frames"}


def shell(*args, **kwargs):
    env = {**os.environ, "PYTHONPATH": str(Path(litmus.__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-m", "cowlab.cli", *args], capture_output=True, text=True, env=env, cwd=ROOT, **kwargs
    )


def test_from_the_shell():
    """The module runs; the example's verdict is the last line."""
    done = shell("litmus", EXAMPLE, "--kernel", "v5.8")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"Observation {EXAMPLE} Never 0 3"


def test_a_reader_that_goes_away():
    """`cowlab litmus ... | head -1` leaves no traceback."""
    args = f"{sys.executable} -m cowlab.cli litmus {' '.join(list(litmus.catalogue())[:20])} | head -1"
    env = {**os.environ, "PYTHONPATH": str(Path(litmus.__file__).parents[2])}
    done = subprocess.run(["sh", "-c", args], capture_output=True, text=True, env=env)
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_an_ascii_terminal():
    """Messages with letters that the terminal does not have are still messages."""
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(litmus.__file__).parents[2]),
        "PYTHONIOENCODING": "ascii",
        "LC_ALL": "C",
    }
    done = subprocess.run(
        [sys.executable, "-m", "cowlab.cli", "litmus", "über.litmus"], capture_output=True, text=True, env=env
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
