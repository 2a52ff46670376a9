"""The ways to cowlab, each from nothing: python tests/paths.py [--cold] [PATH ...]

Every path runs as on a new machine: an empty HOME, empty caches, and a PATH that holds Python, uv and a shell, and no
dot, node or git. A path ends when JupyterLab has answered with the lessons, or when the command has printed what it
must; its seconds are printed. With --cold the caches are emptied before each path, not only before the first.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

__all__ = ["PATHS", "Machine", "find_python", "find_uv"]

ROOT = Path(__file__).resolve().parent.parent
KEPT = re.compile(r"(?i)(pip|uv|ssl|requests|curl)_.*|.*_proxy|lang|lc_.*|systemroot")  # how the network is reached
VENV = "Scripts" if os.name == "nt" else "bin"


def find_uv() -> str | None:
    """uv on PATH, or the one that the test extra installs."""
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        return shutil.which("uv")


def find_python(version: str) -> str | None:
    """A Python of this version that is on the machine already: uv looks where it knows, we look into pyenv's folder."""
    uv = find_uv()
    ask = [uv, "python", "find", "--no-project", "--no-python-downloads", version]
    done = subprocess.run(ask, capture_output=True, text=True) if uv else None
    if done and done.returncode == 0 and "shims" not in done.stdout:
        return done.stdout.strip()
    versions = Path.home() / ".pyenv" / "versions"
    return next((str(p) for p in sorted(versions.glob(f"{version}.*/bin/python{version}"))), None)


class Machine:
    """A new machine in a folder: ``clone`` is a copy of the sources, ``work`` where commands run."""

    def __init__(self, folder: Path):
        self.folder, self.home, self.work, self.clone = folder, folder / "home", folder / "work", folder / "clone"
        self.bin = folder / "bin"
        for path in (self.home, self.work, self.bin):
            path.mkdir(parents=True)
        tools = {"python3": Path(sys.executable).resolve(), "uv": find_uv()}
        tools |= {name: shutil.which(name) for name in ("sh", "dirname", "realpath")}  # what installed scripts call
        for name, target in tools.items():
            if target and os.name == "posix":
                (self.bin / name).symlink_to(target)
        for name in _sources():
            (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.clone / name)
        kept = {k: v for k, v in os.environ.items() if KEPT.fullmatch(k) and "CACHE" not in k}
        self.env = kept | {"HOME": str(self.home), "PATH": str(self.bin), "UV_PYTHON_DOWNLOADS": "never"}

    def run(self, *command, cwd: Path | None = None) -> str:
        """The stdout of a command; AssertionError with all it said when it fails."""
        done = subprocess.run(
            [str(c) for c in command], cwd=cwd or self.work, env=self.env, capture_output=True, text=True,
            encoding="utf-8", errors="replace",
        )  # fmt: skip
        assert done.returncode == 0, (
            f"{command}: exit status {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
        return done.stdout

    def opens(self, *command, cwd: Path | None = None) -> Path:
        """Run `... cowlab lab` until JupyterLab serves the index; Ctrl-C; the folder with the lessons."""
        log = self.folder / "lab.txt"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [str(c) for c in command], cwd=cwd or self.work, env=self.env, stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, preexec_fn=_hear_ctrl_c if os.name == "posix" else None, start_new_session=True,
            )  # fmt: skip
        try:
            while not (at := re.search(r"^JupyterLab: (http://[^/]+)/\S*token=(\w+)", log.read_text(), re.M)):
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            address = f"{at[1]}/api/contents/notebooks/00-index.ipynb?content=0&token={at[2]}"
            while not _answers(address):
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        return Path(re.search(r"^Lessons: +(\S+)", log.read_text(), re.M)[1])

    def wheel(self) -> Path:
        """The wheel of the sources, built once."""
        return self._built("wheel", "*.whl")

    def sdist(self) -> Path:
        return self._built("sdist", "*.tar.gz")

    def _built(self, kind: str, pattern: str) -> Path:
        folder = self.folder / kind
        if not folder.exists():
            self.run("uv", "build", "--quiet", f"--{kind}", "--out-dir", folder, self.clone)
        return next(folder.glob(pattern))


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=60) as reply:
            return reply.status == 200
    except urllib.error.HTTPError:
        raise
    except OSError:  # the address is printed a moment before somebody listens
        return False


def _hear_ctrl_c() -> None:
    """A shell that starts us in the background has told its children to ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _sources() -> list[str]:
    """The files of the working tree that belong to it, by git; or, without git, all but what tools leave behind."""
    git = shutil.which("git")
    ask = [git, "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(ask, capture_output=True, text=True) if git else None
    if done and done.returncode == 0:
        return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]
    left = re.compile(r"(^|/)(\.git|\.venv|__pycache__|dist|\.\w+_cache|\.hypothesis)(/|$)")
    names = (p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*") if p.is_file())
    return [name for name in names if not left.search(name)]


# The paths. Each takes a machine and returns the folder in which the lessons are, or nothing.


def pip_install(m: Machine) -> Path:
    """The README's first command in a new virtual environment."""
    m.run("python3", "-m", "venv", m.work / "venv")
    m.run(m.work / "venv" / VENV / "python", "-m", "pip", "install", "-q", ".", cwd=m.clone)
    return m.opens(m.work / "venv" / VENV / "cowlab", "lab", "--no-browser")


def pip_tests(m: Machine) -> None:
    """The README's second command, up to some tests of the engine: all of them would take minutes."""
    m.run("python3", "-m", "venv", m.work / "tested")
    m.run(m.work / "tested" / VENV / "python", "-m", "pip", "install", "-q", "-e", ".[test]", cwd=m.clone)
    said = m.run(m.work / "tested" / VENV / "pytest", "-q", "tests/test_state.py", "tests/test_step.py", cwd=m.clone)
    assert re.search(r"\d+ passed", said)


def uv_run(m: Machine) -> Path:
    """`uv run cowlab lab` in a clone: uv makes the environment."""
    return m.opens("uv", "run", "--quiet", "cowlab", "lab", "--no-browser", cwd=m.clone)


def uv_tests(m: Machine) -> None:
    """`uv run pytest` in a clone, up to some tests of the engine."""
    said = m.run("uv", "run", "--quiet", "pytest", "-q", "tests/test_state.py", "tests/test_step.py", cwd=m.clone)
    assert re.search(r"\d+ passed", said)


def uvx(m: Machine) -> Path:
    """The wheel alone, without a clone: `uvx --from WHEEL cowlab lab`."""
    return m.opens("uv", "tool", "run", "--quiet", "--from", m.wheel(), "cowlab", "lab", "--no-browser")


def pipx(m: Machine) -> Path:
    """The wheel alone: `pipx run --spec WHEEL cowlab lab`, with a pipx that uv fetches."""
    run = ["uv", "tool", "run", "--quiet", "pipx", "run", "--spec", m.wheel()]
    return m.opens(*run, "cowlab", "lab", m.work / "by-pipx", "--no-browser")


PATHS = {f.__name__: f for f in (pip_install, pip_tests, uv_run, uv_tests, uvx, pipx)}


def main(words: list[str]) -> int:
    cold, names = "--cold" in words, [w for w in words if w != "--cold"] or list(PATHS)
    for name in names:
        if name not in PATHS:
            print(f"paths.py: unknown path {name!r}; choose one of {', '.join(PATHS)}", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        machine = Machine(Path(folder, "machine"))
        for name in names:
            if cold:
                shutil.rmtree(machine.home)
                machine.home.mkdir()
            if "wheel" in (PATHS[name].__doc__ or ""):
                machine.wheel()
            began = time.monotonic()
            lessons = PATHS[name](machine)
            where = f", lessons in {lessons.name}" if lessons else ""
            print(f"{name:<12} {time.monotonic() - began:6.1f} s{where}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
