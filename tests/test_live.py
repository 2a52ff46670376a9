"""The live kernel: schedules of litmus tests as real processes, held against the model and against the recordings."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from interleave import executions

import cowlab
from cowlab import live
from cowlab.cli import main
from cowlab.litmus.parse import parse_init, parse_steps
from cowlab.litmus.replay import replay, shipped
from cowlab.litmus.verdict import judge
from cowlab.live.compare import KNOWN, allowed, explained, judge_outcome
from cowlab.live.reach import STEPS, reach, refusal
from cowlab.live.recorded import canonical, find, probed, releases
from cowlab.live.runs import execute
from cowlab.live.session import Unreachable, session
from cowlab.live.tally import orders


@pytest.fixture
def here():
    """What can be done here; without a live kernel there is nothing to test."""
    try:
        with session() as s:
            return reach(s)
    except Unreachable as e:
        pytest.skip(f"the live kernel is out of reach: {e}")


def play(here, init, steps):
    """Run one schedule, given as text; what the live kernel did, and what the model of its generation allows."""
    first, pages = parse_init(init)
    actions = parse_steps(steps, first, pages)
    with session() as s:
        from cowlab.live.generation import generation

        row = generation(s)
        assert row, "this kernel behaves like no row of the model"
        outcome = execute(s, here, first, pages, actions)
    return outcome, allowed(row, first, pages, actions)


def split(text):
    return [part.strip() for part in text.split(";")]


# What the kernel does, whatever its generation: (init, steps, what is read at the end)
SURE = {
    "a private page is private": ("P: x = old", "P: fork C; C: write x new", "P.x=old C.x=new"),
    "a shared page is shared": ("P: x = old shared", "P: fork C; C: write x new", "P.x=new C.x=new"),
    "memory never written": ("P: x untouched", "P: read x -> r", "P.x=zero P.r=zero"),
    "a register outlives its process": ("P: x = old", "P: fork C; C: read x -> r; C: exit", "P.x=old C.r=old"),
    "a pipe outlives its process": ("P: x = old", "P: vmsplice x -> r; P: exit", "P.r=old"),
    "a fixed buffer outlives its process": ("P: x = old", "P: io_uring x -> r; P: exit", "P.r=old"),
    "loading consumes nothing": ("P: x = old", "P: vmsplice x -> r; P: load r -> a; P: load r -> b",
                                 "P.x=old P.r=old P.a=old P.b=old"),
    "a reference that was put is gone": ("P: x = old", "P: vmsplice x -> r; P: put r", "P.x=old"),
    "a device writes": ("P: x = old", "P: io_uring x -> r; P: store r data", "P.x=data P.r=data"),
    "a pipe shows what is written later": ("P: x = old", "P: vmsplice x -> r; P: write x new", "P.x=new P.r=new"),
    "unmapped": ("P: x = old", "P: munmap x; P: vmsplice x -> r; P: io_uring x -> s",
                 "P.x=unmapped P.r=EFAULT P.s=EFAULT"),
    "dontneed forgets": ("P: x = old", "P: madvise x dontneed", "P.x=zero"),
    "dontneed re-reads a file": ("P: x = old file", "P: write x new; P: madvise x dontneed", "P.x=old"),
    "dontfork": ("P: x = old", "P: madvise x dontfork; P: fork C", "P.x=old C.x=unmapped"),
    "a bad read": ("P: x = old", "P: fork C; C: munmap x; C: read x; C: write x lost", "P.x=old C.fault=SIGSEGV"),
    "a bad write": ("P: x = old ro", "P: write x new", "P.fault=SIGSEGV"),
    "mprotect there and back": ("P: x = old", "P: mprotect x ro; P: mprotect x rw; P: write x new", "P.x=new"),
    "execve leaves the references": ("P: x = old", "P: vmsplice x -> r; P: exec; P: load r -> a",
                                     "P.x=unmapped P.r=old P.a=old"),
    "execve takes the mappings": ("P: x = old", "P: exec; P: fork C; C: read x", "P.x=unmapped C.fault=SIGSEGV"),
    "write(2) to the file": ("P: x = old file", "P: read x; P: filewrite x new", "P.x=new"),
    "write(2) to no file": ("P: x = old", "P: filewrite x new", "P.x=old"),
    "reading oneself": ("P: x = old", "P: process_vm_readv x -> a; P: ptrace x -> b", "P.x=old P.a=old P.b=old"),
    "O_DIRECT": ("P: x = old", "P: odirect x -> r; P: put r; P: write x new", "P.x=new"),
    "a futex": ("P: x = old", "P: futex_wait x -> a; P: munmap x; P: futex_wait x -> b",
                "P.x=unmapped P.a=EAGAIN P.b=EFAULT"),
    "a split huge page": ("P: x = old hugepte", "P: fork C; P: write x new", "P.x=new C.x=old"),
    "a huge page": ("P: x = old huge", "P: fork C; C: munmap x; P: write x new", "P.x=new C.x=unmapped"),
}  # fmt: skip


@pytest.mark.parametrize("name", SURE)
def test_every_step_is_the_real_one(here, name):
    """What every generation does, this kernel does; and the model of its generation allows frames and bits too."""
    init, steps, expected = SURE[name]
    first, pages = parse_init(split(init))
    missing = {op for _, op, *_ in parse_steps(split(steps), first, pages)} & (set(STEPS) - set(here.steps))
    if missing or ("huge" in init and "huge" in here.missing):
        pytest.skip(f"not here: {missing or 'huge pages'}")
    outcome, ways = play(here, split(init), split(steps))
    assert outcome.values == dict(cell.split("=") for cell in expected.split())
    assert judge_outcome(outcome, ways)[1] == []


def test_steps_are_those_of_the_table():
    """Every step that --live knows is taken in the table above, or needs what few machines have."""
    taken = {step.split(": ")[1].split()[0] for _, steps, _ in SURE.values() for step in split(steps)}
    assert taken == set(STEPS) - {"clear_refs", "reclaim"}


def test_a_process_that_died_is_seen_dead_at_once(here):
    """SIGSEGV kills for real, and its page tables are gone before the next step looks."""
    steps = ["P: fork C", "C: munmap x", "C: read x", "P: write x new"]
    outcome, _ = play(here, ["P: x = old"], steps)
    assert outcome.results == [None, None, "SIGSEGV", None]
    if here.bits:
        assert [look["P.x"]["exclusive"] for look in outcome.bits] == [True, False, True, True, True]
        assert [("C.x" in look) for look in outcome.bits] == [False, True, True, False, False]


# The catalogue


QUICK = [
    "child-reads-parent-secret", "parent-reads-child-secret", "a-crowd-of-four", "first-writer-copies",
    "fixed-buffer-survives-fork", "page-follows-another-process", "grandchild-reads-the-secret",
    "takeover-after-exec", "file-page-holder-sees-the-file", "peek-changes-its-target",
]  # fmt: skip


def agrees(name):
    try:
        tally = live.run(name)
    except cowlab.LitmusError as e:
        pytest.skip(e.what.partition(" on the live kernel: ")[2])
    assert tally.violations == (), "\n".join(map(str, tally.violations))
    if tally.spoiled:
        pytest.skip("; ".join(tally.spoiled))
    assert tally.runs == len(list(orders(tally.model, live_limit(), random.Random(0))))
    assert sum(f.count for f in tally.finals) == tally.runs
    assert tally.sampled or tally.known or tally.verdict == tally.model.verdict


def live_limit():
    from cowlab.live.tally import LIMIT

    return LIMIT


@pytest.mark.parametrize("name", QUICK)
def test_the_model_agrees_with_the_live_kernel(here, name):
    """Every schedule of the test ends as the model allows, and the verdict is the same word."""
    agrees(name)


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(set(cowlab.catalogue()) - set(QUICK)))
def test_the_catalogue_agrees(here, name):
    """The same for every test that user space can express here."""
    agrees(name)


def test_every_test_of_the_catalogue_is_run_or_refused(here):
    """With a reason; most of what only the kernel itself can order is named as such."""
    why = {name: refusal(cowlab.load(name), here) for name in cowlab.catalogue()}
    assert sum(not reason for reason in why.values()) >= 20
    assert "--live knows read, write, fork" in why["dirty-cow"]
    assert "`put` right after it" in why["odirect-in-flight-over-fork"]


# Against the recordings: no model in between


def recorded_lines():
    """The recorded executions that a live kernel can take, with the outcome of each release."""
    for path in shipped():
        for text in path.read_text().splitlines():
            line = json.loads(text)
            if line.get("observed") and not line.get("unstable") and "reclaim" not in str(line["steps"]):
                yield line


@pytest.mark.parametrize("count", [80, pytest.param(1500, marks=pytest.mark.full)], ids=["a-few", "many"])
def test_the_live_kernel_does_what_was_recorded(here, count):
    """A kernel that behaves like a recorded release ends the same schedules with the same values and frames."""
    row = live.probe().row
    lines = [line for line in recorded_lines() if "odirect" not in str(line) or ": put" in str(line)]
    judged = 0
    for line in random.Random(4).sample(lines, len(lines)):
        outcomes = [o for o in line["observed"] if any(cowlab.kernel(k).name == row for k in o["kernels"])]
        first, pages = parse_init(line["init"])
        actions = parse_steps(line["steps"], first, pages)
        ops = {a.op for a in actions} | ({"pageout"} if "pageout" in str(line["steps"]) else set())
        huge = "huge" in here.missing and "huge" in str(line["init"])
        inflight = any(a.op == "odirect" for a in actions)
        if len(outcomes) != 1 or not ops <= set(here.steps) or huge or inflight or "pageout" in ops:
            continue
        ways = allowed(cowlab.kernel(row), first, pages, actions)
        if len({json.dumps([t.values, t.frames]) for t in ways}) > 1:
            continue  # the recordings were taken with the LRU batches drained
        with session() as s:
            outcome = execute(s, here, first, pages, actions)
        assert outcome.values == outcomes[0]["values"], line["id"]
        if outcome.frames is not None:
            assert outcome.frames == outcomes[0]["frames"], line["id"]
        judged += 1
        if judged == count:
            return
    if not judged:
        pytest.skip(f"nothing was recorded of {row}")


# Swap


@pytest.fixture
def swap(tmp_path):
    """A swap file of our own, switched off at the end whatever happens; only root can have one."""
    tools = [shutil.which(tool, path="/usr/sbin:/sbin:/usr/bin:/bin") for tool in ("mkswap", "swapon", "swapoff")]
    if not hasattr(os, "geteuid") or os.geteuid() or None in tools:
        pytest.skip("only root can switch on a swap file, with mkswap and swapon")
    mkswap, swapon, swapoff = tools
    path = tmp_path / "swap"
    path.touch(0o600)
    with path.open("r+b") as f:
        os.posix_fallocate(f.fileno(), 0, 128 << 20)
    subprocess.run([mkswap, path], check=True, capture_output=True)
    live.stop()
    if subprocess.run([swapon, path], capture_output=True).returncode:
        pytest.skip("this file system or kernel has no swap files")
    try:
        yield
    finally:
        live.stop()
        subprocess.run([swapoff, path], check=True)
        path.unlink()


@pytest.mark.full
def test_with_swap(swap, capsys):
    """Pages that were swapped out, by madvise and by memory pressure, come back as the model says; then fuzzing."""
    with session() as s:
        here = reach(s)
    assert "pageout" not in here.missing
    names = [n for n, path in cowlab.catalogue().items() if re.search("pageout|reclaim", path.read_text())]
    runnable = [n for n in names if not refusal(cowlab.load(n), here)]
    assert len(runnable) >= 10
    judged = 0
    for name in runnable:
        tally = live.run(name)
        assert tally.violations == (), "\n".join(map(str, tally.violations))
        judged += tally.runs > sum(tally.spoiled.values())
    assert judged >= 10
    assert {"v5.10", "v5.18"} & set(live.probe().rows) != {"v5.10", "v5.18"}
    assert main(["fuzz", "--minutes", "0.3", "--seed", "41"]) == 0, capsys.readouterr().out


# Violations


def wrong_row(monkeypatch, row):
    """Let the live kernel be taken for another generation."""
    monkeypatch.setattr("cowlab.live.tally.generation", lambda _: cowlab.kernel(row))


def another(row):
    """A row whose verdicts on child-reads-parent-secret differ in frames or values."""
    return "v5.8" if cowlab.kernel(row).name != "v5.8" else "v5.7"


def test_a_violation_is_reported(here, monkeypatch, tmp_path, capsys):
    """With the schedule, both outcomes, and a line that `cowlab replay` finds to be a mismatch on that row."""
    wrong = another(live.probe().row)
    if not here.frames:
        wrong = "v5.7"
    wrong_row(monkeypatch, wrong)
    tally = live.run("child-reads-parent-secret")
    assert tally.violations
    assert not tally.agrees
    first = tally.violations[0]
    text = str(first)
    assert text.startswith(f'MODEL VIOLATION child-reads-parent-secret, schedule "{" ".join(first.schedule)}"')
    for part in ("\n  live   C.pipe=", "\n  model  C.pipe=", "\n  differs ", f"--kernel {wrong} --hidden", "--live"):
        assert part in text
    path = tmp_path / "violation.jsonl"
    path.write_text(json.dumps(first.as_json()["observation"]) + "\n")
    report = replay([path])
    assert report.judged == 1
    assert [m["kernel"] for m in report.mismatches]
    assert main(["litmus", "child-reads-parent-secret", "--live"]) == 1
    assert "VIOLATED" in capsys.readouterr().out


@pytest.mark.parametrize("odd", [1, 2], ids=["once", "twice"])
def test_a_run_that_does_not_come_back_is_not_counted(here, monkeypatch, odd):
    """It is told, with its schedule, and no run is tallied for it; one that comes back is a violation."""
    runs = 0

    def strange(*args):
        nonlocal runs
        runs += 1
        outcome = execute(*args)
        return replace(outcome, values=outcome.values | {"P.x": "strange"}) if runs <= odd else outcome

    monkeypatch.setattr("cowlab.live.tally.execute", strange)
    tally = live.run("child-reads-parent-secret")
    assert (len(tally.once), len(tally.violations)) == ((1, 0) if odd == 1 else (0, 1))
    assert tally.agrees == (odd == 1)
    assert sum(f.count for f in tally.finals) == tally.runs - len(tally.once)
    assert ("left the model once" in str(tally)) == (odd == 1)
    assert len(tally.as_json()["once"]) == len(tally.once)


def test_a_huge_page_of_three_is_known(here):
    """Where the model is known to err it is said, and not taken for news; where it is not, nothing is explained."""
    crowd = ["P: fork C", "P: fork D", "P: exit", "C: exit", "D: write x new"]
    for init, steps, known in ((["P: x = old hugepte"], crowd, KNOWN), (["P: x = old"], crowd, ""),
                               (["P: x = old hugepte"], crowd[:1], "")):  # fmt: skip
        first, pages = parse_init(init)
        trace = allowed(cowlab.kernel("v6.18"), first, pages, parse_steps(steps, first, pages))[0]
        assert explained(trace) == known


# Hidden references


def test_a_batch_may_hold_a_page_that_was_looked_up_twice(here):
    """mark_page_accessed() twice: then the page may be on its way to the active list, and the writer may copy."""
    steps = split("P: process_vm_readv x -> a; P: fork C; C: write x mine; P: ptrace x -> b; P: write x new")
    first, pages = parse_init(["P: x = old"])
    ways = allowed(cowlab.kernel("v6.18"), first, pages, parse_steps(steps, first, pages))
    assert {t.frames["P.x"] for t in ways} == {0, 2}
    once = [s for s in steps if "readv" not in s]
    assert {
        t.frames["P.x"] for t in allowed(cowlab.kernel("v6.18"), first, pages, parse_steps(once, first, pages))
    } == {0}


def test_allowed_is_judge_with_one_schedule():
    """Without lookups, the ways of all schedules together end as `judge(..., hidden=True)` says."""
    for name in ("child-reads-parent-secret", "first-writer-copies"):
        test = cowlab.load(name)
        for row in ("v5.7", "v5.9", "v6.18"):
            kernel = cowlab.kernel(row)
            mine = set()
            for schedule, _ in executions(test, kernel):
                at = dict.fromkeys(test.columns, 0)
                actions = []
                for proc in schedule:
                    actions.append(test.columns[proc][at[proc]])
                    at[proc] += 1
                for t in allowed(kernel, test.processes[0], test.pages, actions):
                    mine.add(json.dumps(t.values))
            verdict = judge(test, kernel, hidden=True)
            assert mine == {json.dumps(f.trace.values) for f in verdict.finals}


# Schedules


def test_all_schedules_are_run(here):
    """The schedules of --live are the executions of the model, in column order."""
    for name in ("child-reads-parent-secret", "first-writer-copies", "dontfork-keeps-the-buffer"):
        test, kernel = cowlab.load(name), cowlab.kernel("v6.18")
        mine = list(orders(judge(test, kernel), 10**6, random.Random(0)))
        assert mine == [schedule for schedule, _ in executions(test, kernel)]


def test_many_schedules_are_sampled(here):
    """And the result says so; equal seeds draw the same ones."""
    tally = live.run("child-reads-parent-secret", limit=2, seed=3)
    assert tally.sampled
    assert "a random sample of 2 of 3 schedules" in str(tally)
    assert tally.runs == sum(f.count for f in tally.finals) == 2
    model = judge(cowlab.load("a-crowd-of-four"), cowlab.kernel("v6.18"))
    drawn = [list(orders(model, 5, random.Random(seed))) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(order) == sum(map(len, model.test.columns.values())) for order in drawn[0])


ODIRECT = """litmus o
init
  P: x = old
P               | C
fork C          | write x mine
odirect x -> io |
put io          |
exists P.x == old"""


def test_nothing_comes_between_an_odirect_and_its_put(here):
    """The kernel has finished the I/O before anybody takes a step."""
    test = cowlab.parse(ODIRECT)
    drawn = list(orders(judge(test, cowlab.kernel("v6.18")), 100, random.Random(0)))
    assert drawn == [("P", "P", "P", "C"), ("P", "C", "P", "P")]
    assert live.run(ODIRECT).runs == 2
    assert all(o[1:3] == ("P", "P") or o[2:] == ("P", "P")
               for o in orders(judge(test, cowlab.kernel("v6.18")), 2, random.Random(0)))  # fmt: skip


# The command and the displays


def test_command(here, capsys):
    """Text and JSON say the same; one schedule can be named; a refused step is bad input that names the legal ones."""
    assert main(["litmus", "child-reads-parent-secret", "--live"]) == 0
    text = capsys.readouterr().out
    assert main(["litmus", "child-reads-parent-secret", "--live", "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    word = f"Observation child-reads-parent-secret {document['verdict']} {document['positive']} {document['negative']}"
    assert word in text
    assert document["live"]
    assert document["executions"] == document["runs"] == 3
    assert document["agrees"]
    assert main(["litmus", "child-reads-parent-secret", "--live", "--schedule", "P C C P", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["runs"], one["finals"][0]["schedule"]) == (1, "P C C P")
    assert main(["litmus", "dirty-cow", "--live"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "user space cannot order `gup_start`; --live knows read, write" in said.err
    assert main(["litmus", "child-reads-parent-secret", "--live", "--schedule", "C"]) == 2
    assert "it has not been forked yet" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["litmus", "child-reads-parent-secret", "--live", "--kernel", "v5.7"])
    assert stop.value.code == 2
    assert "no --kernel, no --hidden" in capsys.readouterr().err


def test_watch_cow(here):
    """1 after the write, 0 after fork, 1 after the copy; twice in a row; and the model agrees."""
    if not here.bits:
        pytest.skip(f"no pagemap: {here.missing['pagemap']}")
    for _ in range(2):
        seen = live.watch_cow()
        assert seen.of("P.x") == [1, 0, 1]
        assert seen.of("C.x") == [None, 0, 1]
        assert "agrees" in str(seen)
        assert (not seen.recorded, not seen.reason) == (True, True)
    assert [bool(row) for row in seen.frames] == [here.frames] * (3 if here.frames else 0)
    assert live.watch(["P: fork C", "C: exit", "P: write x new"]).of("P.x") == [1, 0, 1, 1]
    with pytest.raises(cowlab.LitmusError, match="unknown step"):
        live.watch(["P: frok C"])


@pytest.mark.parametrize("make", [live.probe, live.watch_cow, lambda: live.run("child-reads-parent-secret")])
def test_displays_say_the_same(make):
    """Every cell of the table in the notebook stands in the text, and the JSON is JSON."""
    shown = make()
    bundle = shown._repr_mimebundle_()
    assert bundle["text/plain"] == str(shown) == repr(shown)
    cells = re.findall(r"<t[dh](?: [^>]*)?>(.*?)</t[dh]>", bundle["text/html"])
    assert cells
    unescape = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&#x27;": "'", "&amp;": "&"}
    for cell in cells:
        for sign, plain in unescape.items():
            cell = cell.replace(sign, plain)
        assert cell in str(shown)
    assert json.loads(json.dumps(shown.as_json()))
    assert "<script" not in bundle["text/html"]


# Out of reach: the recordings


@pytest.fixture
def no_kernel(monkeypatch):
    """A machine that is no Linux."""
    live.stop()
    monkeypatch.setattr(sys, "platform", "darwin")
    yield
    live.stop()


def test_out_of_reach_the_recordings_are_shown(no_kernel, capsys):
    """Each says so in one sentence, and shows what recorded kernels did, with the release."""
    reason = "the live steps are Linux system calls, and this is macOS"
    tally = live.run("child-reads-parent-secret")
    assert (tally.reachable, tally.reason) == (False, reason)
    assert tally.recorded["5.4.0"]["values"]["C.pipe"] == "new"
    assert tally.recorded["6.18.44"]["values"]["C.pipe"] == "old"
    assert "5.4.0" in str(tally)
    assert reason in str(tally)
    assert tally.as_json()["recorded"]
    seen = live.watch_cow()
    assert (seen.of("P.x"), seen.of("C.x"), seen.recorded, seen.reason) == ([1, 0, 1], [None, 0, 1], "6.12", reason)
    assert "Recorded on Linux 6.12" in str(seen)
    assert main(["litmus", "child-reads-parent-secret", "--live"]) == 1
    assert reason in capsys.readouterr().out
    with pytest.raises(Unreachable, match="nothing like it was recorded"):
        live.watch(["P: exec"])


def test_a_test_of_which_nothing_was_recorded(no_kernel):
    """Says that the model's verdicts are what there is."""
    assert "Nothing like it was recorded" in str(live.run("dirty-cow"))


def test_recordings_are_found_under_other_names():
    """Whatever the processes, pages, references and values are called."""
    steps = ["me: fork you", "you: vmsplice page -> hold", "you: munmap page", "me: write page 7"]
    found = find(["me: page = 3"], steps)
    assert tuple(found) == releases()[: len(found)]
    assert found["5.4.0"]["values"] == {"you.hold": "7", "you.page": "unmapped", "me.page": "7"}
    assert found["5.4.0"]["frames"] == {"me.page": 0}
    assert find(["P: x = old"], ["P: exec"]) == {}
    assert probed("6.12", ["P: x untouched"], ["P: exec"]) is None


def test_every_recording_finds_itself():
    """And one that has the same steps says the same of every release that both have."""
    lines = list(recorded_lines())
    for line in random.Random(1).sample(lines, 300):
        found = find(line["init"], line["steps"])
        for outcome in line["observed"]:
            for release in outcome["kernels"]:
                if release in found:
                    assert found[release]["values"] == outcome["values"], line["id"]
        key, names = canonical(line["init"], line["steps"])
        assert len(names) == len(set(names.values()))
        assert key
