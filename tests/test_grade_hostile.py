"""Nobody gains a point, stops the run, or leaves anything behind. Quick: without a kernel. Full: the whole way, with
nbval in a kernel as well."""

import hashlib
import json
import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest
from grading.hostile import ALSO_SPOILS, CODE, FILES, NAMES, SLOW, STILL_RIGHT, fill
from machine import ROOT

import cowlab
from cowlab.grade import box
from cowlab.grade.box import Cell, Limits, run_cells
from cowlab.grade.marking import grade
from cowlab.grade.notebook import exercise, read_notebook
from cowlab.grade.release import student_form
from cowlab.grade.report import as_csv, as_html, as_text, write_html
from cowlab.litmus import LitmusError

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/ns"), reason="the grader needs Linux")
SOURCE = ROOT / "tests" / "grading" / "counts.ipynb"
PACKAGE = Path(cowlab.__file__).parent
MARK = "cowlab-was-here"
FULL = os.environ.get("CI", "").lower() in ("1", "true", "yes")  # as in conftest.py
QUICK = Limits(seconds=3 if FULL else 1.5, megabytes=512)  # the full tier may run on a busy machine
READS = (
    "reads ",
    "runs the solution",
    "looks for",
    "changes the",
    "deletes",
    "leaves",
    "calls home",
    "kills",
    "stops its",
)


def isolation() -> str:
    try:
        return run_cells([Cell("a", "1", "1")], Limits()).isolation
    except LitmusError as e:
        return f"none: {e}"


@pytest.fixture(scope="module")
def in_force():
    """What this machine can do. Where it is no more than limits, same-user attacks are left out, and that is said."""
    found = isolation()
    assert not found.startswith("none"), found
    return found


@pytest.fixture(scope="module")
def asked():
    return {"counts": exercise(SOURCE)}


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A teacher's machine: a source with solutions, another one's submission, a home with a secret."""
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()
    scratch = Path(tempfile.mkdtemp(prefix="cowlab-test-"))  # pytest's own folder is closed to other users
    (home / "secret").write_text("P C C P")
    source = work / "counts-source.ipynb"
    source.write_bytes(SOURCE.read_bytes())
    other = work / "other-counts.ipynb"
    other.write_text(json.dumps(submission('q1 = "P C C P"')))
    monkeypatch.setenv("COWLAB_SECRET", "P C C P")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    scratch.chmod(0o711)
    yield {
        "source": str(source), "other": str(other), "home": str(home), "work": str(work), "scratch": str(scratch),
        "package": str(PACKAGE), "mark": MARK, "port": 9,
    }  # fmt: skip
    monkeypatch.undo()
    shutil.rmtree(scratch)


def submission(q1: str) -> dict:
    """An honest notebook, with q2 right and this in the cell of q1."""
    notebook = student_form(read_notebook(SOURCE), "counts")
    for cell in notebook["cells"]:
        id = cell["metadata"]["nbgrader"]["grade_id"]
        if id == "q1":
            cell["source"] = q1
        if id == "q2":
            cell["source"] = "q2 = [[2, 2], [2, 3], [1, 2], [1, 2]]"
    return notebook


def contents(*folders) -> dict[str, tuple]:
    """Every path below, with its kind, mode and digest."""
    found = {}
    for folder in map(Path, folders):
        for path in [folder, *sorted(folder.rglob("*"))]:
            data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            found[str(path)] = (path.lstat().st_mode, hashlib.sha256(data).hexdigest())
    return found


def processes_of(scratch: str) -> list[str]:
    """Processes that were started with this scratch directory in their environment, or stand in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                told = (entry / "environ").read_bytes() + os.fsencode(os.readlink(entry / "cwd"))
            except OSError:
                continue
            if os.fsencode(scratch) in told:
                found.append(entry.name)
    return found


def judge(world, asked, path, nbval=False):
    """Grade one file; look that nothing but the report is new in the world; the result."""
    ours = world["home"], world["work"], PACKAGE / "grade" / "plain.py"
    before = contents(*ours)
    result = grade(path, asked, QUICK, nbval)
    assert contents(*ours) == before
    assert os.listdir(world["scratch"]) == []
    assert processes_of(world["scratch"]) == []
    for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run", os.getcwd()):
        assert not os.path.exists(f"{folder}/{MARK}")
    assert result["doubt"] == ""
    for written in (as_text([result]), as_csv([result]), as_html(result), json.dumps(result)):
        assert "P C C P" not in written.replace("step through: P C C P on v5.7", "").replace(
            "<code>P C C P</code>", "").replace('"order": "P C C P"', "")  # fmt: skip
        assert "\x1b" not in written
        assert "<script" not in written.lower() or "<script" not in as_html(result).lower()
    return result


def code_kind(world, asked, name, in_force, nbval=False):
    """One code kind from file to marks."""
    if not ("namespaces" in in_force or "Landlock" in in_force) and name.startswith(READS):
        pytest.skip(f"isolation here is no more than: {in_force}; a process of the same user can do this")
    server = socket.create_server(("127.0.0.1", 0))
    server.setblocking(False)
    with server:
        places = world | {"port": server.getsockname()[1]}
        path = Path(world["work"], "counts-hostile.ipynb")
        path.write_text(json.dumps(submission(fill(CODE[name], places))), "utf-8")
        result = judge(world, asked, path, nbval)
        with pytest.raises(BlockingIOError):
            server.accept()
    q1, q2 = result["questions"]
    assert result["problem"] == ""
    assert q1["points"] == 0, result
    assert q1["problem"] or q1["said"]
    assert q2["points"] == 4 or name in ALSO_SPOILS, result
    assert (result["of"], q2["of"]) == (6, 4)


def file_kind(world, asked, name, nbval=False):
    path = Path(world["work"], "counts-hostile.ipynb")
    FILES[name](submission('q1 = "P"'), path, world)
    result = judge(world, asked, path, nbval)
    assert result["points"] == (4 if name in STILL_RIGHT else 0), result
    assert name in STILL_RIGHT or result["problem"] or any(q["problem"] for q in result["questions"])


def test_there_are_many_kinds():
    assert len(CODE) + len(FILES) >= 120


@pytest.mark.parametrize("name", CODE)
def test_hostile_code(world, asked, in_force, name):
    """q1 earns nothing, q2 what it deserves; files, processes and sockets are as before. (Those that only wait for
    their time-out in another way are in the full tier.)"""
    if name in SLOW and not FULL:
        pytest.skip("full tier only: set CI=true")
    code_kind(world, asked, name, in_force, nbval=FULL)


@pytest.mark.parametrize("name", FILES)
def test_hostile_files(world, asked, name):
    """What is no notebook earns nothing and says why; what only looks different earns what it deserves."""
    file_kind(world, asked, name, nbval=FULL)


@pytest.mark.parametrize("only", ["landlock", "limits"])
@pytest.mark.parametrize("name", ["an honest one", "a daemon", "loops", "kills its parent", "leaves files about"])
def test_the_other_rungs(world, asked, only, name):
    """Where there are no namespaces, Landlock and limits keep what they promise."""
    limits = Limits(seconds=1.5, megabytes=512, only=only, python=_python_for_others())
    try:
        run_cells([Cell("a", "1", "1")], limits)
    except LitmusError as e:
        pytest.skip(str(e))
    if only == "limits" and name.startswith(READS):
        pytest.skip("limits alone promise nothing about files, and about processes of the same user")
    text = 'q1 = "P"' if name == "an honest one" else fill(CODE[name], world)
    path = Path(world["work"], "counts-hostile.ipynb")
    path.write_text(json.dumps(submission(text)), "utf-8")
    result = grade(path, asked, limits, nbval=False)
    assert [q["points"] for q in result["questions"]] == [0, 4], result
    assert os.listdir(world["scratch"]) == []
    assert processes_of(world["scratch"]) == []
    assert not any(os.path.exists(f"{f}/{MARK}") for f in ("/tmp", "/var/tmp", "/dev/shm", world["home"]))
    assert ("Landlock" in result["isolation"]) is (only == "landlock")


def _python_for_others() -> str:
    """A Python that an unprivileged user can run, if this is root, who becomes one."""
    import sys

    if os.geteuid() != 0:
        return sys.executable
    return next((p for p in ("/usr/bin/python3", "/usr/local/bin/python3") if os.path.exists(p)), sys.executable)


NO_NAMESPACES = """\
import sys
sys.path.insert(0, {root!r})
from cowlab.grade import cage, launch

def refused(scratch):
    raise cage.CannotIsolate("unshare: Operation not permitted")

cage.by_namespaces = refused
sys.exit(launch.main())
"""


def test_required_isolation_is_required(tmp_path, monkeypatch):
    """Where namespaces are refused, a run that insists on them does not start, and says what failed; any other takes
    the next rung, and says which."""
    launch = tmp_path / "launch.py"
    launch.write_text(NO_NAMESPACES.format(root=str(PACKAGE.parent)))
    monkeypatch.setattr(box, "LAUNCH", launch)
    cells, python = [Cell("a", "1", "1")], _python_for_others()
    with pytest.raises(LitmusError, match=r"namespaces: unshare: Operation not permitted; .*without --require-isol"):
        run_cells(cells, Limits(isolation="namespaces", python=python))
    found = run_cells(cells, Limits(isolation="limits", python=python))
    assert found.values == {"a": 1}
    assert "namespaces" not in found.isolation
    assert found.isolation.endswith("limits")


def test_a_class_run_goes_on(world, asked):
    """Many kinds together in one folder: each is in the report, and the honest one has its points."""
    folder = Path(world["work"], "class")
    folder.mkdir()
    kinds = [*list(FILES)[:20:4], "a link to another submission", "a pipe", "a folder"]
    for n, kind in enumerate(kinds):
        FILES[kind](submission('q1 = "P"'), folder / f"{n:02}-counts.ipynb", world)
    for name in NAMES:
        (folder / name).write_text(json.dumps(submission('q1 = "P"')))
    (folder / "zz-loop").symlink_to(folder)
    (folder / "zzz-honest-counts.ipynb").write_text(json.dumps(submission('q1 = "P C C P"')))
    from cowlab.grade.command import submissions

    found = list(submissions(str(folder)))
    assert len(found) == len(kinds) + len(NAMES)  # one more is honest, and the folder is no submission
    results = [grade(path, asked, QUICK, nbval=False) for path in found]
    honest = [r for r in results if r["submission"].endswith("zzz-honest-counts.ipynb")]
    assert [r["points"] for r in honest] == [6]
    assert max(r["points"] for r in results if r not in honest) <= 4
    pages = write_html(results, Path(world["work"], "pages"))
    assert len({p.name for p in pages}) == len(results)
    assert all(p.parent == pages[0].parent and p.name.isascii() for p in pages)
    rows = as_csv(results).splitlines()
    assert not [r for r in rows if r.startswith(("=", "+", "@"))]
