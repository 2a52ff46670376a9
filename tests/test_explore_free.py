"""Free exploration: verdicts, counts, witnesses, bounds, and the command. design/litmus.md 7.

Counts are pinned. SPIN and rumur, where they are installed, agree with them (tests/bench, and the full tier below).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pytest
from bench import compare
from machine import ALL, ROOT
from mutants import EQUIVALENT, mutants

from cowlab import KERNELS, kernel
from cowlab.cli import main
from cowlab.explore import explore
from cowlab.explore.space import NEVER, STEPS, Space, parse_steps, violates
from cowlab.litmus.rules import word
from cowlab.litmus.shared import Asked
from cowlab.mm import ROADS

GUP, PIN = compare.GUP, compare.PIN
L, A, T = "leak", "leak-after-fork", "stale"

# kernel -> property -> the length of a shortest violation, 0 where it holds: two processes, one page.
# facts/performance.md 0 has 4 for leak and 3 for stale; leak-after-fork is what v5.8 ended. That v5.9 and v5.10 leak
# by way of swap is takeover-of-a-swap-entry and pinned-page-taken-over-in-swap of the catalogue, measured.
EXPECTED = {
    "gup": {
        "v5.7": (4, 4, 3), "v5.8": (4, 0, 3), "v5.9": (5, 5, 3), "v5.10": (5, 5, 3), "v5.18": (0, 0, 3),
        "v5.19": (0, 0, 3), "v6.1": (0, 0, 3), "v6.12": (0, 0, 3), "v6.18": (0, 0, 3),
    },
    "pin": {
        "v5.7": (4, 4, 3), "v5.8": (4, 0, 3), "v5.9": (5, 5, 3), "v5.10": (5, 5, 3), "v5.18": (0, 0, 3),
        "v5.19": (0, 0, 0), "v6.1": (0, 0, 0), "v6.12": (0, 0, 0), "v6.18": (0, 0, 0),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", ALL.split())
@pytest.mark.parametrize("hold", EXPECTED)
def test_verdicts(hold, name):
    """What each generation promises to whoever holds a page, whatever anybody does: shortest violations, or none."""
    steps = {"gup": GUP, "pin": PIN}[hold]
    found = [explore(kernel(name), steps=steps, never=never) for never in (L, A, T)]
    assert tuple(len(f.shortest or ()) for f in found) == EXPECTED[hold][name]
    assert [f.verdict for f in found] == ["violated" if f.shortest else "holds" for f in found]


COUNTS = {  # (kernel, processes, pages, steps): states and transitions of the whole space, islands and machines
    ("v5.7", 2, 1, GUP): ((87, 835), (183, 1762)), ("v5.8", 2, 1, GUP): ((62, 575), (157, 1491)),
    ("v6.1", 2, 1, PIN): ((45, 364), (358, 3456)), ("v5.7", 3, 1, GUP): ((929, 13621), (3104, 45097)),
    ("v6.1", 3, 1, PIN): ((63, 682), (4611, 66078)), ("v6.1", 4, 1, PIN): ((84, 1177), (45411, 867193)),
    ("v6.1", 2, 2, compare.DRY): ((229, 2450), (1899, 19996)),
}  # fmt: skip


@pytest.mark.parametrize("size", COUNTS, ids=lambda s: f"{s[0]} {s[1]}x{s[2]} {s[3][5 if len(s[3]) > 6 else 4]}")
def test_counts(size):
    """The exact size of the space up to symmetry: one island for all, and whole machines."""
    name, processes, pages, steps = size
    found = [explore(kernel(name), processes, pages, steps, machines=whole, go_on=True) for whole in (False, True)]
    assert tuple((f.states, f.transitions) for f in found) == COUNTS[size]


def test_growth():
    """On v6.1 with pins every process more adds a few islands; of machines there are ten times as many."""
    states = [explore(kernel("v6.1"), n, steps=PIN).states for n in range(1, 7)]
    assert states == [14, 45, 63, 84, 108, 135]


FULL = {("v5.8", GUP): (2110, 20864), ("v6.1", PIN): (2013, 19705)}


@pytest.mark.parametrize("size", FULL, ids=lambda s: s[0])
def test_full_counts(size):
    """Without any reduction: frames and swap slots are handed out lowest number first, as SPIN's model does."""
    found = explore(kernel(size[0]), steps=size[1], full=True, go_on=True)
    assert (found.states, found.transitions) == FULL[size]


@pytest.mark.parametrize("way", [{}, {"full": True}, {"pages": 2}, {"pages": 2, "project": True}], ids=str)
@pytest.mark.parametrize("never", NEVER)
def test_the_witness_is_an_execution(never, way):
    """Each step is legal where it stands, is taken by the engine, and only the last one leads to the violation."""
    found = explore(kernel("v5.7"), never=never, **way)
    space = Space(kernel("v5.7"), 2, way.get("pages", 1), parse_steps(STEPS), never == A)
    assert len(found.actions) == len(found.witness) - 1 == len(found.shortest)
    s = space.start
    for a, after in zip(found.actions, found.witness[1:], strict=True):
        assert not violates(s, never)
        assert a in list(space.actions(s))
        s = space.renumbered(space.apply(s, a), s)
        assert s == after
    assert violates(s, never)


def test_the_first_leak_is_the_story():
    """On v5.7 a reference taken after the fork leaks, and the witness says who did what."""
    assert explore(kernel("v5.7"), never=A).shortest == [
        "P: fork C", "P: gup x -> r", "P: write x data", "C: write x data",
    ]  # fmt: skip


def test_a_bound_never_says_holds():
    """Beyond --max-states or --max-memory nothing is claimed; a violation that was met before is one."""
    k = kernel("v6.1")
    for machines, size in ((False, 45), (True, 358)):
        for bound in (1, 10, size - 1):
            found = explore(k, steps=PIN, machines=machines, max_states=bound)
            assert (found.verdict, found.shortest) == ("undecided", None)
            assert f"more than {bound}" in found.why
        assert explore(k, steps=PIN, machines=machines, max_states=size).verdict == "holds"
        assert explore(k, 4, steps=PIN, machines=machines, max_memory=1).verdict == "undecided"
    assert explore(kernel("v5.7"), max_states=60).verdict == "violated"
    assert explore(kernel("v5.7"), max_states=5).verdict == "undecided"


def test_progress():
    """States, frontier, transitions, seconds and memory, and they only grow."""
    seen = []
    explore(kernel("v6.1"), 3, progress=seen.append)
    assert len(seen) >= 10
    assert all(a.states <= b.states and a.transitions < b.transitions for a, b in pairwise(seen))
    assert all(p.frontier > 0 and p.memory > 1 for p in seen)


BAD = {
    ("--never", "leaks"): "unknown property 'leaks'; choose one of leak, leak-after-fork, stale",
    ("--steps", "wrte"): "unknown step 'wrte'; did you mean 'write'?",
    ("--steps", "gup_start"): "no step of free exploration 'gup_start'",
    ("--steps", ","): "no steps; choose from",
    ("--steps", "gup sideways"): "`gup` takes no 'sideways' here; it takes write, force",
    ("--processes", "9"): "9 processes; from 1 to 8 can be explored",
    ("--pages", "0"): "0 pages; from 1 to 16 can be explored",
    ("--processes", "two"): "invalid int value: 'two'",
    ("--kernel", "v5.6"): "unknown kernel 'v5.6'",
    ("--product",): "one page has no product",
    ("--pages", "2", "--project", "--steps", "write,merge"): "`merge` moves a frame from page to page",
    ("--pages", "2", "--product", "--steps", "write,merge"): "`merge` moves a frame from page to page",
}


@pytest.mark.parametrize("options", BAD, ids=" ".join)
def test_bad_input(options, capsys):
    """One message, exit status 2, nothing on stdout."""
    try:
        status = main(["explore", "--kernel", "v5.7", *options])
    except SystemExit as e:
        status = e.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert BAD[options] in err
    assert len(err.splitlines()) == 1


def test_json(capsys):
    """The document of the contract."""
    assert main(["explore", "--kernel", "5.8.1", "--steps", "write,fork,gup,munmap", "--never", L, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {k: said[k] for k in ("kernel", "processes", "pages", "steps", "never", "verdict")} == {
        "kernel": "v5.8", "processes": 2, "pages": 1, "steps": ["write", "fork", "gup", "munmap"], "never": L,
        "verdict": "violated",
    }  # fmt: skip
    assert set(said) == {
        "kernel", "processes", "pages", "steps", "never", "verdict", "states", "transitions", "shortest", "seconds"
    }  # fmt: skip
    assert len(said["shortest"]) == 4


def test_text(capsys):
    """The witness step by step, the counts, and one line that a script can read."""
    assert main(["explore", "--kernel", "v5.7"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["1", "P:", "gup", "x", "->", "r"]
    assert lines[-1] == "Exploration leak v5.7 violated in 4 steps"
    assert main(["explore", "--kernel", "v6.1", "--steps", ",".join(PIN)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Exploration leak v6.1 holds"


def test_ctrl_c_prints_what_is_known():
    """The counts so far, `undecided`, and the exit status of an interrupt; progress shows on stderr meanwhile."""
    command = [sys.executable, "-m", "cowlab.cli", "explore", "--kernel", "v6.1", "--processes", "6", "--json"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    ) as running:  # fmt: skip
        line = running.stderr.readline()
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=60)
    assert all(word in line for word in ("states, frontier", "states/s", "MiB"))
    said = json.loads(out)
    assert (said["verdict"], said["why"], running.returncode) == ("undecided", "interrupted", 130)
    assert said["states"] > 0


def test_mprotect_and_madvise_stand_for_all_that_they_ask():
    """A step alone is every variant; with words it is that one."""
    assert [a.arg for a in parse_steps("mprotect, madvise")] == ["ro", "rw", "dontneed", "dontfork", "pageout"]
    assert [(a.op, a.arg, a.options) for a in parse_steps(["gup write", "mprotect ro", "madvise pageout"])] == [
        ("gup", "", ("write",)), ("mprotect", "ro", ()), ("madvise", "pageout", ()),
    ]  # fmt: skip


@pytest.mark.parametrize("steps", ["write,fork,mprotect,pin,put", "write,fork,madvise dontneed,gup,put",
                                   "write,fork,exit,merge", "write,fork,userptr,put,exec,process_vm_readv",
                                   "write,fork,uffd_wp,gup,put"])  # fmt: skip
def test_other_steps(steps):
    """Any step of the grammar can be listed; the space stays finite and the answer is the unreduced one."""
    for name in ("v5.7", "v5.8", "v6.1"):
        reduced = explore(kernel(name), 2, 1 + ("merge" in steps), steps, max_states=20000)
        assert reduced.verdict != "undecided"
        full = explore(kernel(name), 2, 1 + ("merge" in steps), steps, full=True, max_states=2000)
        if full.verdict != "undecided":
            assert full.verdict == reduced.verdict
            assert len(full.shortest or ()) == len(reduced.shortest or ())
            assert full.states >= reduced.states


# -- Peers ------------------------------------------------------------------------------------------------


@pytest.mark.full
@pytest.mark.parametrize(
    ("size", "what"),
    compare.EQUAL,
    ids=[f"{s.kernel} {s.processes}x{s.pages} {s.steps[-3]} {w}" for s, w in compare.EQUAL],
)
def test_peers_count_the_same(size, what):
    """SPIN and rumur, on models written by hand, count exactly as many states and transitions."""
    found = compare.counts(size, what)
    if found is None:
        pytest.skip(
            f"no {'rumur' if what == 'rumur' else 'spin'} and gcc; get them with: apt-get install spin rumur gcc"
        )
    assert found[0] == found[1]


def test_a_missing_peer_has_a_row_that_says_so(monkeypatch):
    """Nothing is left out silently."""
    monkeypatch.setattr(compare, "installed", lambda program: False)
    row = compare.measure(compare.CASES["leak"]._replace(size=compare.Size("v5.7", 2, 1, GUP)), 1)
    assert row["not installed"] == sorted(compare.CASES["leak"].peers)
    assert "not installed" in compare.table([row])
    assert compare.counts(*compare.EQUAL[0]) is None


def test_the_comparison_compares():
    """The generators are models of what they say: the rules differ where the kernels do."""
    texts = {compare.promela(k, 2, 1, GUP) for k in ("v5.7", "v5.8", "v6.1")}
    texts |= {compare.murphi(k, 2, GUP) for k in ("v5.7", "v5.8", "v6.1")}
    assert len(texts) == 6
    if shutil.which("spin"):
        mine, its = compare.counts(compare.Size("v5.7", 2, 1, ("write", "fork", "gup", "munmap")), "plain")
        assert mine == its


# -- A wrong row is noticed -------------------------------------------------------------------------------

EVERYTHING = (  # vocabularies that together ask for what exploration can ask
    ("write,read,munmap,fork,exit,gup,put,reclaim", 1), ("write,read,fork,exit,pin,put,reclaim", 1),
    ("write,fork,gup write force,mprotect,put", 1), ("write,read,fork,mprotect,pin,put", 1),
    ("write,fork,gup_fast,put,munmap", 1), ("write,read,fork,vmsplice,put,madvise dontneed", 1),
    ("write,fork,merge", 2), ("write,read,pin,put,clear_refs,mprotect,reclaim", 1),
    ("write,fork,odirect,put,reclaim", 1), ("write,fork,userptr,put,reclaim", 1), ("write,fork,rdma ro,put,munmap", 1),
    ("write,read,fork,io_uring,put,madvise dontneed,clear_refs", 1),
    ("write,read,fork,pin longterm,put,madvise dontneed", 1),
    ("write,fork,uffd_wp,gup,put", 1), ("uffd_wp,gup,put", 1),
)  # fmt: skip
BEYOND = {  # fields that no step of free exploration asks for: it has no files, no huge pages and no turns of threads
    "reuse_huge", "copies_whole_huge", "allocates_huge_for_zero", "split_keeps_dirty", "uffd_continue",
    "io_uring_files",
}  # fmt: skip


def counted(k, steps, pages):
    f = explore(k, 2, pages, steps, go_on=True)
    return f.verdict, f.states, f.transitions


DETOUR = "the walk that refuses a read-only entry makes a detour, and the slow path then takes the same page"
ALONE = "a page that nobody else has is reused or copied and freed: up to renaming that is the same machine"
TURNS = "only another thread between two turns of the slow path can tell (Dirty COW); free exploration has no turns"
FILES = "only pages of the page cache, or a thousand references, tell; free exploration has neither"
WRITES = "on v5.8 every lookup that keeps the page has FOLL_WRITE already"
FORCED = "after a forced break the page is both exclusive and dirty; only a file (CVE-2022-2590) tells the two apart"
LARGE = "large folios only"
SILENT = {  # (rows, field, values): why exploration cannot notice; verdicts and unit tests do (test_mutants.py)
    ("v5.7 v5.9 v5.10 v5.18 v5.19 v6.1 v6.12 v6.18", "fast_walk", "only_writable only_writable_if_asked"): DETOUR,
    ("caller-flag", "fast_walk", "only_writable"): DETOUR,
    ("v5.7 v5.8", "reuse_ksm", "never_reuse_ksm"): ALONE,
    ("v5.9 v5.10 v5.18 v5.19 v6.1 v6.12 v6.18", "reuse_ksm", "sole_ksm_reference"): ALONE,
    ("v5.7 v5.8 v5.9 v5.10 v5.18 v5.19 v6.1 v6.12 v6.18", "after_break", "forget_write"): TURNS,
    ("v5.8", "must_unshare", "unshare_if_pinned unshare_if_pinned_longterm"): WRITES,
    ("v5.8", "rdma_read_only", "FOLL_LONGTERM | FOLL_PIN"): WRITES,
    ("v5.9 v5.10", "reuse", "sole_reference_but_swap_cache exclusive_or_sole_reference exclusive_or_only_mm"): ALONE,
    ("v5.18", "reuse", "sole_reference"): ALONE, ("v5.18 v5.19 v6.1 v6.12", "reuse", "exclusive_or_only_mm"): LARGE,
    ("v6.18", "reuse", "exclusive_or_sole_reference"): LARGE,
    ("v5.9 v5.18", "fork_copies", "copy_if_maybe_pinned_anon"): FILES,
    ("v5.10", "fork_copies", "copy_if_maybe_pinned"): FILES,
    ("v5.19 v6.1 v6.12 v6.18", "fork_copies", "copy_if_maybe_pinned copy_if_maybe_pinned_anon"): FILES,
    ("v5.19", "follow_write", "exclusive_if_forced"): FORCED,
    ("v6.1 v6.12 v6.18", "follow_write", "after_forced_cow after_cow after_cow_or_zero"): FORCED,
}  # fmt: skip


def silent(name):
    """(field, value) of the mutants of a row that no vocabulary notices. Only those that ask for the field can."""
    row, own = (KERNELS | ROADS)[name], []
    for steps, pages in EVERYTHING:
        asked = Asked(row)
        own.append((steps, pages, counted(asked, steps, pages), set(asked.answers)))
    return {
        (m.field, word(m.value))
        for m in mutants([name])
        if m.field not in BEYOND
        and not any(m.field in asked and counted(m.kernel, *size) != said for *size, said, asked in own)
    }


@pytest.mark.full
@pytest.mark.parametrize("name", [*KERNELS, *ROADS])
def test_a_wrong_row_changes_a_verdict_or_a_count(name):
    """Each field of the row is given each other value; what nothing notices is explained, and what is explained is
    really not noticed. Of a road, the fields by which it left the road."""
    equivalent = {(f, v) for f, values, rows, _ in EQUIVALENT if name in rows.split() for v in values.split()}
    listed = {
        (f, v)
        for rows, f, values in SILENT
        if name in rows.split()
        for v in ([values] if "|" in values else values.split())  # flags are one value
    }
    found = silent(name)
    assert found - equivalent == listed - equivalent
    assert not listed & equivalent
