"""Every way to cowlab, from nothing (tests/paths.py does the work), and what the wheel holds."""

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import paths
import pytest

import cowlab
from cowlab import lab

LIMIT = 3_000_000  # bytes of the wheel
PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")

SYMLINKS = pytest.mark.skipif(os.name != "posix", reason="the machine is a folder of symlinks")


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A new machine with empty caches, shared by the tests of this module. Skipped without uv or an index."""
    if paths.find_uv() is None:
        pytest.skip("no uv; get it with: pip install uv")
    made = paths.Machine(tmp_path_factory.mktemp("paths") / "machine")
    try:
        made.wheel()
    except AssertionError as e:
        if re.search(r"(?i)failed to fetch|connect|timed out|dns error", str(e)):
            pytest.skip(f"no package index in reach: {str(e).strip().splitlines()[-1]}")
        raise
    return made


def contents(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


@pytest.mark.full
@SYMLINKS
def test_the_wheel_has_what_a_learner_needs_and_no_more(machine):
    """Under 3 MB: all modules, the catalogue, the data, the licence, the lessons; no solutions and no tests."""
    files = contents(machine.wheel())
    assert machine.wheel().stat().st_size < LIMIT
    code = {p.relative_to(lab.PACKAGE.parent).as_posix() for p in lab.PACKAGE.rglob("*") if p.is_file()}
    code = {n for n in code if "__pycache__" not in n and "_lessons" not in n}
    assert code <= set(files)
    lessons = {
        n.removeprefix("cowlab/_lessons/"): data for n, data in files.items() if n.startswith("cowlab/_lessons/")
    }
    assert {name: lessons.get(name) for name in lab.upstream()} == lab.upstream()
    assert not [n for n in files if re.search(r"(^|/)(tests?|solutions?|__pycache__)/|solution", n)]


@pytest.mark.full
@SYMLINKS
def test_the_sdist_builds_the_same_wheel(machine, tmp_path):
    """From the sdist alone comes the wheel that comes from the clone, file for file and byte for byte."""
    with tarfile.open(machine.sdist()) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    machine.run("uv", "build", "--quiet", "--wheel", "--out-dir", tmp_path / "again", source)
    (wheel,) = (tmp_path / "again").glob("*.whl")
    assert wheel.name == machine.wheel().name
    assert contents(wheel) == contents(machine.wheel())


@pytest.mark.full
@SYMLINKS
@pytest.mark.parametrize("path", [p for p in paths.PATHS if p != "pip_tests"])  # that one is what .ci/run does
def test_a_path_to_the_first_lesson(path, machine):
    """On a machine with Python, uv and a shell, and nothing else, the command of the README ends at the lessons."""
    lessons = paths.PATHS[path](machine)
    if lessons and lessons.name != "notebooks":  # a copy, not the clone's own
        assert {f.relative_to(lessons).as_posix() for f in lessons.rglob("*.ipynb")} == {
            name for name in lab.upstream() if name.endswith(".ipynb")
        }


@pytest.mark.full
@SYMLINKS
@pytest.mark.parametrize("version", PYTHONS)
def test_a_python(version, machine, tmp_path):
    """The wheel installs on this Python, agrees with every recorded execution there, and its doctor finds all well."""
    python = paths.find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    machine.run("uv", "venv", "--quiet", "--python", python, tmp_path / "venv")
    install = ["uv", "pip", "install", "--quiet", "--python", tmp_path / "venv", machine.wheel()]
    machine.run(*install)
    command = tmp_path / "venv" / paths.VENV / "cowlab"
    said = machine.run(command, "replay", "--json")
    assert json.loads(said)["mismatches"] == []
    doctor = json.loads(machine.run(command, "doctor", "--json"))
    assert doctor["ok"]
    assert doctor["checks"][0]["found"].startswith(version)


# What a clone's tests can say without building anything


def test_the_script_refuses_what_it_does_not_know(capsys):
    assert paths.main(["no-such-path"]) == 2
    assert "choose one of pip_install" in capsys.readouterr().err


def test_nothing_at_import_or_run_time_needs_the_network(tmp_path):
    """With every socket refused, cowlab imports, judges, draws and replays."""
    code = """if True:
        import socket, sys
        def refused(*args, **kwargs):
            raise AssertionError("the network was asked")
        socket.socket.connect = socket.create_connection = socket.getaddrinfo = refused
        from cowlab.cli import main
        assert main(["litmus", "child-reads-parent-secret", "--kernel", "v5.7"]) == 0
        assert main(["diff", "v5.7", "v5.8"]) == 0
        assert main(["draw", "child-reads-parent-secret", "--what", "executions", "-o", "x.svg"]) == 0"""
    env = {**os.environ, "PYTHONPATH": str(Path(cowlab.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.svg").stat().st_size > 1000


# Elsewhere


def test_binder_opens_the_index():
    """Binder's files: a Python that cowlab wants, a script that a shell understands, and an index that is there."""
    binder = paths.ROOT / ".binder"
    version = re.fullmatch(r"python-3\.(\d+)\n", (binder / "runtime.txt").read_text("utf-8"))
    assert int(version[1]) >= 11
    script = binder / "postBuild"
    assert subprocess.run(["sh", "-n", str(script)]).returncode == 0
    assert os.name != "posix" or os.access(script, os.X_OK)
    (index,) = re.findall(r'"/lab/tree/([^"]+)"', script.read_text("utf-8"))
    assert (paths.ROOT / index).is_file()


def test_the_devcontainer_opens_the_index():
    container = json.loads((paths.ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    for name in container["customizations"]["codespaces"]["openFiles"]:
        assert (paths.ROOT / name).is_file()
    assert ".[test]" in container["postCreateCommand"]


@pytest.mark.full
@SYMLINKS
def test_binder_builds(machine):
    """What Binder runs, run here in a new environment: the server then opens the index by itself."""
    prefix = machine.work / "binder"
    machine.run("uv", "venv", "--quiet", "--seed", prefix)
    env = {"NB_PYTHON_PREFIX": str(prefix), "PATH": f"{prefix / paths.VENV}:/usr/bin:/bin"}
    done = subprocess.run(["bash", ".binder/postBuild"], cwd=machine.clone, env=machine.env | env, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    ask = [prefix / paths.VENV / "jupyter", "server", "--show-config-json"]
    config = json.loads(machine.run(*ask, cwd=machine.clone))
    assert config["ServerApp"]["default_url"] == "/lab/tree/notebooks/00-index.ipynb"
