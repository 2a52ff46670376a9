"""Nothing is left behind: no process, no file, no descriptor, however a run ends."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest

from cowlab import live
from cowlab.litmus.parse import parse_init, parse_steps
from cowlab.live.reach import reach
from cowlab.live.runs import execute
from cowlab.live.session import Session, Unreachable, session, stop

MARK = "COWLAB_TEST_RUN"  # in the environment of everything that a run starts
INIT = ["P: x = old", "P: y = 1 file", "P: z untouched"]
STEPS = ["P: vmsplice x -> r", "P: io_uring x -> s", "P: fork C", "C: fork D", "C: write x new", "D: write y 2",
         "P: odirect z -> t", "P: put t", "D: exec", "C: munmap x", "C: read x", "P: exit"]  # fmt: skip
LOOP = """
import sys
from cowlab.litmus.parse import parse_init, parse_steps
from cowlab.live.reach import reach
from cowlab.live.runs import execute
from cowlab.live.session import Session
live = Session()
here = reach(live)
first, pages = parse_init({init!r})
actions = parse_steps({steps!r}, first, pages)
print("ready", flush=True)
while True:
    execute(live, here, first, pages, actions)
"""


@pytest.fixture(autouse=True)
def marked(monkeypatch):
    """Whatever this test starts can be told from everything else. What of it is still there at the end is a leak."""
    stop()
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    try:
        with Session() as s:
            reach(s)
    except Unreachable as e:
        pytest.skip(f"the live kernel is out of reach: {e}")
    if not Path("/proc/self/environ").exists():
        pytest.skip("without /proc nobody can count processes")
    yield mark
    stop()
    assert survivors(mark) == []


def survivors(mark, patience=10.0):
    """Processes that carry the mark (zombies have no environment: those of ours are our children), after a while."""
    end = time.monotonic() + patience
    while (left := marked_processes(mark)) and time.monotonic() < end:
        time.sleep(0.01)
    return left


def marked_processes(mark):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                    found.append(f"{entry.name} {(entry / 'cmdline').read_bytes()[:80]}")
                elif (
                    f"PPid:\t{os.getpid()}\n" in (entry / "status").read_text()
                    and "\nState:\tZ" in (entry / "status").read_text()
                ):
                    found.append(f"zombie {entry.name}")
    return found


def descriptors():
    return sorted(os.readlink(f"/proc/self/fd/{fd}").split(":")[0] for fd in os.listdir("/proc/self/fd")
                  if os.path.lexists(f"/proc/self/fd/{fd}"))  # fmt: skip


def one_run(s, here):
    first, pages = parse_init(INIT)
    return execute(s, here, first, pages, parse_steps(STEPS, first, pages))


def for_ever(s, here):
    while True:
        one_run(s, here)


def interrupted(rng):
    """A run that Ctrl-C hits at a random moment, if it is not over by then."""

    def ctrl_c(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, ctrl_c)
    try:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.001, 0.12))
        try:
            with Session() as s:
                for _ in range(5):
                    one_run(s, reach(s))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return False


def killed(rng, how=signal.SIGKILL):
    """A process that runs schedules, killed at a random moment."""
    script = LOOP.format(init=INIT, steps=STEPS)
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=env,
        preexec_fn=lambda: signal.signal(how, signal.SIG_DFL) if how != signal.SIGKILL else None,  # under nohup
    )  # fmt: skip
    try:
        if rng.random() < 0.7:
            child.stdout.readline()
        time.sleep(rng.uniform(0, 0.1))
    finally:
        child.send_signal(how)
        child.wait()
        child.stdout.close()


@pytest.mark.parametrize("runs", [100, pytest.param(1000, marks=pytest.mark.full)])
def test_many_runs_leave_nothing(marked, runs, monkeypatch, tmp_path):
    """A third interrupted or killed at random points: no process, no file, no descriptor stays."""
    rng = random.Random(runs)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    fds, stopped = Counter(descriptors()), 0
    with Session() as s:
        here = reach(s)
        known = one_run(s, here).values
        for n in range(runs):
            if n % 6 == 0:
                stopped += interrupted(rng)
            elif n % 6 == 3:
                killed(rng)
            else:
                assert one_run(s, here).values == known
    assert stopped > runs / 12
    assert survivors(marked) == []
    assert not Counter(descriptors()) - fds  # others' may be closed meanwhile, as garbage
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_the_helper_ends_with_its_parent(marked, how):
    """However the parent goes, the helper and its actors go too."""
    for seed in range(3):
        killed(random.Random(seed), how)
        assert survivors(marked) == []


def test_the_helper_killed(marked):
    """kill -9 of the helper takes its actors along, and the next run has a new one."""
    for delay in (0, 0.002, 0.01, 0.03):
        with Session() as s:
            here = reach(s)
            with (
                subprocess.Popen(["sh", "-c", f"sleep {delay}; kill -9 {s.helper.pid}"]),
                pytest.raises(Unreachable, match="ended by itself"),
            ):
                for_ever(s, here)
    assert survivors(marked) == []
    assert live.run("child-reads-parent-secret").reachable
    with session() as s:
        os.kill(s.helper.pid, signal.SIGKILL)
        s.helper.wait()
    assert live.run("child-reads-parent-secret").reachable


def test_an_interrupt_in_the_middle(marked, monkeypatch):
    """Ctrl-C in a run stops the helper; the run after that works."""
    with session() as s:
        first = s.helper.pid
    monkeypatch.setattr("cowlab.live.session.json.loads", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        live.run("child-reads-parent-secret")
    monkeypatch.undo()
    assert live.run("child-reads-parent-secret").reachable
    with session() as s:
        assert s.helper.pid != first or s.helper.poll() is None


def test_descriptors_do_not_grow(marked):
    """Neither here nor in the helper."""
    with Session() as s:
        here = reach(s)
        one_run(s, here)
        counts = []
        for _ in range(3):
            for _ in range(20):
                one_run(s, here)
            counts.append((len(os.listdir("/proc/self/fd")), len(os.listdir(f"/proc/{s.helper.pid}/fd"))))
    assert len(set(counts)) == 1, counts


def test_every_actor_is_waited_for(marked):
    """Between runs the helper has no children, not even dead ones."""
    with Session() as s:
        here = reach(s)
        for _ in range(5):
            one_run(s, here)
            assert Path(f"/proc/{s.helper.pid}/task/{s.helper.pid}/children").read_text().split() == []


def test_after_fork_the_child_has_a_helper_of_its_own(marked):
    """A process that was forked (multiprocessing) does not talk to its parent's helper, nor stop it."""
    with session() as s:
        mine = s.helper.pid
        pid = os.fork()
        if pid == 0:
            status = 1
            with contextlib.suppress(BaseException), session() as other:
                status = 0 if other.helper.pid != mine and live.run("child-reads-parent-secret").reachable else 2
            stop()
            os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert s.usable
    assert live.run("child-reads-parent-secret").reachable
