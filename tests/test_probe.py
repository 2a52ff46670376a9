"""`cowlab probe`: which generation a kernel shows, what it hides and why. Refusals are made by the real kernel, with
seccomp, mount namespaces, other users and limits, in a process of their own."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import cowlab
from cowlab import live
from cowlab.cli import main
from cowlab.litmus.parse import parse_init, parse_steps
from cowlab.live.compare import allowed
from cowlab.live.generation import EXPERIMENTS, INSTEAD, Probe, generation
from cowlab.live.reach import NEEDS, WHAT, Reach, machine, reach
from cowlab.live.session import Unreachable, session

ROOT = Path(cowlab.__file__).parent.parent


@pytest.fixture
def reachable():
    try:
        with session() as s:
            return reach(s)
    except Unreachable as e:
        pytest.skip(f"the live kernel is out of reach: {e}")


# The generation, by experiment


def test_the_probe(reachable, capsys):
    """Ten lines; JSON says the same; some row of the model allows everything that was seen."""
    found = live.probe()
    assert found.rows, "this kernel behaves like no row of the model"
    assert found.row in found.rows
    assert len(str(found).splitlines()) == 10
    assert main(["probe"]) == 0
    text = capsys.readouterr().out
    assert main(["probe", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["generation"] in text
    assert document["reachable"]
    assert set(document["missing"]) <= set(WHAT)
    assert {e["question"] for e in document["experiments"]} == set(EXPERIMENTS)
    assert all(document["generation"] in e["rows"] for e in document["experiments"] if "skipped" not in e)
    with session() as s:
        assert generation(s).name == found.row


def outcomes(row):
    """What a kernel that is this row would show in each experiment: everything that the model allows."""
    for init, steps in EXPERIMENTS.values():
        first, pages = parse_init([init])
        actions = parse_steps(steps.split("; "), first, pages)
        yield {json.dumps([t.values, t.frames]) for t in allowed(row, first, pages, actions)}


def test_the_experiments_tell_the_generations_apart():
    """Every two rows that real kernels told apart differ in some experiment, and without swap most still do."""
    shown = {name: list(outcomes(row)) for name, row in cowlab.KERNELS.items()}
    alike = {(a, b) for a in shown for b in shown if a < b
             and all(x & y for x, y in zip(shown[a], shown[b], strict=True))}  # fmt: skip
    assert alike == {("v5.19", "v6.1")}  # only inside the kernel do they differ


def test_experiments_are_few_and_short():
    """Each needs only what --live can do, one page, and at most five steps."""
    for init, steps in EXPERIMENTS.values():
        first, pages = parse_init([init])
        actions = parse_steps(steps.split("; "), first, pages)
        assert {a.op for a in actions} <= set(NEEDS)
        assert (len(pages), len(actions) <= 5) == (1, True)


@pytest.mark.parametrize(("release", "row"), [
    ("5.4.0-42-generic", "v5.7"), ("5.8.18", "v5.8"), ("5.15.100", "v5.10"), ("6.0.1", "v5.19"), ("6.1.192", "v6.1"),
    ("6.12.0-rc3", "v6.12"), ("7.2.1", "v6.18"),
])  # fmt: skip
def test_the_version_string_is_only_a_tie_breaker(release, row):
    """Of the rows that behaviour leaves, the one whose name the release suggests; else the newest."""
    about = {"system": "Linux", "release": release, "processor": "x86_64"}
    every = tuple(cowlab.KERNELS)
    if row != "v5.7":
        assert Probe(about, every).row == row
    assert Probe(about, ("v5.8",)).row == "v5.8"
    assert Probe(about).row is None
    backport = str(Probe(about | {"release": "5.4.195"}, ("v5.8",)))
    assert "5.4.195" in backport
    assert "backports" in backport


def test_a_kernel_like_none():
    """Says so, and names the nearest row and what it fails."""
    from cowlab.live.generation import Experiment

    done = (Experiment("does A?", "P: x = old", ("P: exit",), ("v5.7", "v5.8")),
            Experiment("does B?", "P: x = old", ("P: exit",), ("v6.1",)))  # fmt: skip
    text = str(Probe({"system": "Linux", "release": "9.9", "processor": "p"}, (), done))
    assert "none that cowlab knows; nearest is v5.7, which fails: does B?" in text


# What is missing, and why: each gets its sentence


SENTENCES = {
    ("vmsplice", "ENOSYS"): ("the kernel has no such system call", "lessons take references on the model only"),
    ("vmsplice", "EPERM"): ("not permitted (seccomp, as", "lessons take references on the model only"),
    ("io_uring", "ENOSYS"): ("no such system call", "pins are shown on the model, and as recorded"),
    ("io_uring", "EPERM"): ("not permitted (seccomp", "pins are shown on the model, and as recorded"),
    ("pagemap", "ENOENT"): ("there is no /proc", "lesson 01 shows the recorded bits"),
    ("pagemap", "EACCES"): ("not permitted, or /proc is closed", "lesson 01 shows the recorded bits"),
    ("frames", "EPERM"): ("only to CAP_SYS_ADMIN", "lessons number frames from the model, and show the bit"),
    ("pageout", "no swap"): ("there is no swap", "swap is shown on the model"),
    ("clear_refs", "no soft-dirty bit"): ("CONFIG_MEM_SOFT_DIRTY", "soft-dirty tracking is shown on the model"),
    ("huge", "no huge page"): ("switched off, or none was free", "huge pages are shown on the model"),
}  # fmt: skip


@pytest.mark.parametrize(("facility", "error"), SENTENCES)
def test_each_refusal_has_its_sentence(facility, error):
    """What is missing, what stands behind it, and what the lessons do instead; in text and in JSON."""
    every = dict.fromkeys(WHAT, "")
    here = reach(SimpleNamespace(about={"facilities": every | {facility: error}, "zero": {}}))
    found = Probe({"system": "Linux", "release": "6.1", "processor": "p"}, ("v6.1",), (), here)
    why, instead = SENTENCES[facility, error]
    assert why in here.missing[facility]
    assert why in str(found)
    assert instead in str(found)
    assert found.as_json()["instead"][facility] == INSTEAD[facility]
    assert not set(here.steps) & {step for step, need in NEEDS.items() if need == facility}


def test_fork_failing_is_out_of_reach():
    """Without a process nothing can be run: one sentence."""
    with pytest.raises(Unreachable, match="no process can be forked here: EAGAIN"):
        reach(SimpleNamespace(about={"facilities": {"fork": "EAGAIN"}, "zero": {}}))


@pytest.mark.parametrize(("platform", "said"), [("darwin", "macOS"), ("win32", "Windows"), ("freebsd14", "freebsd14")])
def test_not_linux(monkeypatch, platform, said):
    """The probe says what this is, and which releases were recorded."""
    live.stop()
    monkeypatch.setattr(sys, "platform", platform)
    found = live.probe()
    assert found.reason == f"the live steps are Linux system calls, and this is {said}"
    assert found.row is None
    assert "recorded observations of the releases 5.4.0" in str(found)
    assert found.as_json()["reachable"] is False


@pytest.mark.parametrize(("files", "said"), [
    ({"/proc/version": "Linux version 5.15.90.1-microsoft-standard-WSL2 (gcc)"}, "WSL 2"),
    ({"/proc/version": "Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016"}, "gVisor"),
    ({"/proc/self/status": "Name: x\nSeccomp:\t2\n"}, "a seccomp filter is on"),
])  # fmt: skip
def test_layers_in_between(monkeypatch, files, said):
    """WSL, gVisor and seccomp show in what the machine calls itself."""
    if not sys.platform.startswith("linux"):
        pytest.skip("what is read there is Linux's")
    monkeypatch.setattr("cowlab.live.reach._read", lambda path: files.get(path, ""))
    machine.cache_clear()
    try:
        assert said in machine().values()
    finally:
        machine.cache_clear()


# Refused by the kernel itself

CAGE = '''
import ctypes, errno, json, os, platform, resource, struct, sys
libc = ctypes.CDLL(None, use_errno=True)

def checked(result):
    if result:
        sys.exit(f"skip: {os.strerror(ctypes.get_errno())}")

def deny(number, *calls):
    """seccomp: these system calls fail with this errno, in this process and all that it starts."""
    code = [(0x20, 0, 0, 0)]  # load the number of the call
    for call in calls:
        code += [(0x15, 0, 1, call), (0x06, 0, 0, 0x50000 | number)]
    code.append((0x06, 0, 0, 0x7FFF0000))
    raw = b"".join(struct.pack("HBBI", *c) for c in code)
    buffer = ctypes.create_string_buffer(raw)
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer)))
    checked(libc.prctl(38, 1, 0, 0, 0))
    checked(libc.prctl(22, 2, program, 0, 0))

def proc(kind):
    """A /proc of our own: the real one, or an empty tmpfs."""
    checked(libc.unshare(0x20000))
    checked(libc.mount(b"none", b"/", None, 0x44000, None))
    checked(libc.mount(kind, b"/proc", kind, 0, None))

def become(user):
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)

X86 = platform.machine() == "x86_64"
VMSPLICE, READV, CLONES = (278, 310, (56, 57, 58, 435)) if X86 else (75, 270, (220, 435))
'''
ASK = """
from cowlab import live
probe, cow = live.probe(), live.watch_cow()
tallies = {name: live.run(name) for name in ("first-writer-copies", "child-reads-parent-secret")} if RUN else {}
print(json.dumps({"probe": probe.as_json(), "text": str(probe), "cow": cow.as_json(), "of": cow.of("P.x"),
                  "tallies": {name: t.as_json() for name, t in tallies.items()}}))
"""


def caged(how, run=True, python=sys.executable):
    """The answers of a process that has done ``how`` to itself before it asks."""
    if not sys.platform.startswith("linux"):
        pytest.skip("seccomp, namespaces and users of Linux")
    script = f"{CAGE}\n{how}\nRUN = {run}\n{ASK}"
    env = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([python, "-c", script], capture_output=True, text=True, env=env, cwd="/", timeout=120)
    if done.returncode and done.stderr.startswith("skip: "):
        pytest.skip(f"cannot be arranged here: {done.stderr[6:].strip()}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("error", ["ENOSYS", "EPERM"])
@pytest.mark.parametrize("what", ["vmsplice", "io_uring"])
def test_system_calls_that_seccomp_refuses(reachable, what, error):
    """The probe names them; tests without them run; tests with them are refused with the reason."""
    calls = {"vmsplice": "VMSPLICE", "io_uring": "425, 426, 427"}[what]
    seen = caged(f"deny(errno.{error}, {calls})", run=False)
    assert seen["probe"]["missing"][what].startswith(error)
    assert what not in seen["probe"]["steps"]
    assert "a seccomp filter is on" in seen["text"] or not os.access("/proc/self/status", os.R_OK)
    assert seen["probe"]["generation"] in seen["probe"]["rows"]


def test_no_fork(reachable):
    """The helper cannot be started: everything still answers, in one sentence, with recordings."""
    seen = caged("deny(errno.EAGAIN, *CLONES)")
    reason = "the helper process cannot be started (Resource temporarily unavailable)"
    assert seen["probe"]["reason"] == reason
    assert (seen["cow"]["reason"], seen["cow"]["recorded"], seen["of"]) == (reason, "6.12", [1, 0, 1])
    assert seen["tallies"]["child-reads-parent-secret"]["recorded"]["5.4.0"]["values"]["C.pipe"] == "new"


def outsider():
    """An interpreter that any user may run."""
    for python in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin")):
        if python and all(os.stat(p).st_mode & 0o005 == 0o005 for p in Path(os.path.realpath(python)).parents):
            done = subprocess.run([python, "-c", "import sys; print(sys.version_info >= (3, 11))"],
                                  capture_output=True, text=True)  # fmt: skip
            if done.stdout.strip() == "True":
                return python
    return pytest.skip("no Python that any user may run")


def as_root():
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    if any(not p.stat().st_mode & 0o005 for p in ROOT.parents):
        pytest.skip("other users may not read this folder")


def test_as_nobody_everything_but_frame_numbers_works(reachable):
    """No root: bits, references, verdicts and the generation are the same; frame numbers are gone, and `reclaim`,
    which needs a cgroup and swap."""
    as_root()
    seen = caged('proc(b"proc")\nbecome(65534)', python=outsider())
    mine = live.probe().as_json()
    assert seen["probe"]["missing"].keys() - {"frames", "reclaim"} == mine["missing"].keys() - {"frames", "reclaim"}
    assert "only to CAP_SYS_ADMIN" in seen["probe"]["missing"]["frames"]
    assert seen["probe"]["generation"] == mine["generation"]
    assert set(seen["probe"]["steps"]) - {"reclaim"} == set(mine["steps"]) - {"reclaim"}
    assert seen["cow"]["frames"] == []
    assert (seen["of"], seen["cow"]["recorded"]) == ([1, 0, 1], "")
    for name, tally in seen["tallies"].items():
        known = live.run(name)
        assert (tally["verdict"], tally["positive"], tally["violations"]) == (known.verdict, known.positive, [])
        assert all("frames" not in final for final in tally["finals"])


def test_without_proc(reachable):
    """No /proc: values are still compared; bits and frames are not there, and lesson 01 shows the recorded bits."""
    as_root()
    seen = caged('proc(b"tmpfs")')
    assert seen["probe"]["missing"]["pagemap"].startswith("ENOENT: there is no /proc")
    assert (seen["probe"]["bits"], seen["probe"]["frames"]) == (False, False)
    assert (seen["cow"]["recorded"], seen["of"]) == ("6.12", [1, 0, 1])
    assert seen["tallies"]["child-reads-parent-secret"]["agrees"]
    assert seen["tallies"]["child-reads-parent-secret"]["live"]


def test_no_more_processes(reachable):
    """The helper runs, but may not fork: one sentence."""
    as_root()
    seen = caged("become(54321)\nresource.setrlimit(resource.RLIMIT_NPROC, (2, 2))", python=outsider())
    assert "no process can be forked here: EAGAIN" in seen["probe"]["reason"]
    assert seen["of"] == [1, 0, 1]


def test_bad_options(capsys):
    """A message, and exit status 2."""
    for words, said in ((["fuzz", "--minutes", "soon"], "'soon' is no number of minutes"), (["fuzz", "--minutes", "-1"],
                        "no number of minutes"), (["probe", "--jsno"], "unrecognized arguments")):  # fmt: skip
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 2
        assert said in capsys.readouterr().err


def test_reach_is_data():
    """Every facility that a step needs has a name for people, and nothing is named twice."""
    assert set(filter(None, NEEDS.values())) <= set(WHAT)
    assert set(INSTEAD) <= set(WHAT)
    assert Reach().steps == tuple(NEEDS)
    assert not re.search("root", " ".join(INSTEAD.values()))
