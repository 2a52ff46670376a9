"""The programs that fetch: npm and pip, as the user has configured them. cowlab itself knows no registry."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from ..terminal import waiting

__all__ = ["Refusal", "call", "missing", "npm", "pip"]


class Refusal(Exception):
    """What the user must know, in one line: there is no traceback, and the exit status is 2."""


def missing() -> list[str]:
    """What this machine lacks to build a site, each with its remedy; empty when nothing."""
    lacks = []
    if not all(importlib.util.find_spec(name) for name in ("jupyterlite_core", "jupyterlite_pyodide_kernel")):
        lacks.append("JupyterLite is missing; install it with: pip install 'cowlab[site]'")
    if shutil.which("npm") is None:
        lacks.append("npm is missing, which fetches Pyodide; install Node.js, for instance: apt-get install npm")
    if _pip() is None:
        lacks.append(f"pip is missing, which fetches wheels; install it with: {sys.executable} -m ensurepip")
    return lacks


def _pip() -> list[str] | None:
    """pip of this Python; or, in an environment that uv made without one, uv's."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    uv = shutil.which("uv")
    return [uv, "tool", "run", "pip"] if uv else None


def call(command: list[str], doing: str, folder: Path) -> str:
    """Run a program and return its stdout; Refusal with its last words when it fails."""
    with waiting(doing):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", errors="replace")
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-6:]
        raise Refusal(f"{doing} failed (exit status {done.returncode}): " + "\n  ".join(said))
    return done.stdout


def npm(package: str, version: str, folder: Path) -> Path:
    """Fetch the archive of a package of npm into ``folder``; it is not installed, and runs no script."""
    found = shutil.which("npm") or "npm"
    call(
        [found, "pack", "--silent", "--ignore-scripts", f"{package}@{version}"], f"fetching {package} with npm", folder
    )
    return folder / f"{package}-{version}.tgz"


def pip(pins: list[str], folder: Path) -> list[Path]:
    """Fetch pure wheels of exactly these versions into ``folder``, whatever Python asks."""
    folder.mkdir(parents=True, exist_ok=True)
    pure = ["--no-deps", "--only-binary", ":all:", "--platform", "any", "--implementation", "py", "--abi", "none"]
    options = [*pure, "--python-version", "3.14", "--disable-pip-version-check", "--quiet", "--dest", str(folder)]
    call([*(_pip() or ["pip"]), "download", *options, *pins], "fetching wheels with pip", folder)
    return sorted(folder.glob("*.whl"))
