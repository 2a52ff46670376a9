"""`cowlab site`: the whole course as a static site. JupyterLite runs it in the reader's browser; nothing is installed.

The site asks nothing of another host: Pyodide, cowlab and every other wheel lie inside it. Building it fetches, with
npm and pip, and says so first. What a page cannot do (fork) is said on top of every notebook.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

__all__ = ["add_parser", "build", "run"]

MARK = "cowlab-site.json"  # in a folder that this command made, and so may replace
INDEX = "notebooks/00-index.ipynb"
EXTENSIONS = ("@jupyterlite/pyodide-kernel-extension", "@jupyter-widgets/jupyterlab-manager", "anywidget")
KERNEL = EXTENSIONS[0] + ":kernel"
QUIET = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
# JupyterLite reads the element with its configuration out of this page too, and refuses to start without it.
FRONT = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>cowlab</title>
<meta http-equiv="refresh" content="0; url=lab/index.html?path={index}">
<script id="jupyter-config-data" type="application/json" data-jupyter-lite-root=".">{{}}</script></head>
<body><p><a href="lab/index.html?path={index}">Open the course</a></p></body>
</html>
"""


def add_parser(commands) -> argparse.ArgumentParser:
    """Describe `cowlab site` to argparse."""
    from .pyodide import DOWNLOAD

    parser = commands.add_parser(
        "site",
        help="the course as a web site that runs in the browser",
        description=f"Build a JupyterLite site with the whole course. It downloads about {DOWNLOAD}, after asking. "
        "The site is static and asks nothing of another host: any web server will do.",
        epilog="example: cowlab site -o public && python -m http.server -d public",
    )
    parser.add_argument("-o", "--output", metavar="DIR", required=True, type=Path, help="where to write the site")
    parser.add_argument("-y", "--yes", action="store_true", help="download without asking")
    parser.add_argument("--json", action="store_true", help="print one JSON document when done")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Build, and say where and how large; or say in one message on stderr why not, and return 2 (1: not agreed)."""
    from .pyodide import DOWNLOAD
    from .tools import Refusal, missing

    try:
        if lacks := missing():
            raise Refusal("\n  ".join(lacks))
        folder = _writable(args.output)
        if not args.yes and not _agreed(f"This downloads about {DOWNLOAD} and writes about 40 MB to {folder}. Go on?"):
            print("cowlab site: nothing was downloaded", file=sys.stderr)
            return 1
        began = time.monotonic()
        done = build(folder, lambda what: print(f"cowlab site: {what}", file=sys.stderr, flush=True))
    except (Refusal, OSError) as problem:
        print(f"cowlab site: {problem}", file=sys.stderr)
        return 2
    done["seconds"] = round(time.monotonic() - began, 1)
    if args.json:
        print(json.dumps(done, indent=1))
    else:
        print(f"{done['folder']}: {done['files']} files, {done['bytes'] / 1e6:.0f} MB, in {done['seconds']:.0f} s")
        print(f"Look at it with: {Path(sys.executable).name} -m http.server --bind 127.0.0.1 -d {done['folder']}")
    return 0


def _writable(folder: Path) -> Path:
    """The folder, if it is new, empty, or a site made earlier."""
    from .tools import Refusal

    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise Refusal(f"{folder} is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise Refusal(f"{folder} has other files in it; name a new folder, or one that this command made")
    return folder


def _agreed(question: str) -> bool:
    from .tools import Refusal

    if not sys.stdin.isatty():
        raise Refusal(f"{question} Nobody is there to ask; say --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def build(folder: Path, say=lambda what: None) -> dict:
    """Write the site to ``folder``, replacing an earlier one; what was made, as plain data. Raises Refusal, OSError.

    All of it is built aside and moved at the end: a build that fails leaves an earlier site as it was.
    """
    from .. import __version__
    from .content import make_wheel, notebooks
    from .pyodide import make_runtime, pyodide_version

    with tempfile.TemporaryDirectory(prefix="cowlab-site-", ignore_cleanup_errors=True) as scratch:
        lite, fetched = Path(scratch, "lite"), Path(scratch, "fetched")
        fetched.mkdir()
        extensions = [_extension(name) for name in EXTENSIONS]
        say("fetching Pyodide and the wheels (1 of 2)")
        packages = make_runtime(lite / "static" / "pyodide", extensions[0], make_wheel, fetched)
        for name, content in (files := notebooks()).items():
            _write(lite / "contents" / name, content)
        _configure(lite, extensions, packages)
        say("building the site with JupyterLite (2 of 2)")
        made = _jupyter_lite(lite)
        made.joinpath("index.html").write_text(FRONT.format(index=INDEX), "utf-8")
        mark = {"cowlab": __version__, "pyodide": pyodide_version(), "notebooks": sorted(files), "packages": packages}
        made.joinpath(MARK).write_text(json.dumps(mark, indent=1) + "\n", "utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, folder)
    written = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return {"folder": str(folder), "files": len(written), "bytes": sum(written), **mark}


def _extension(name: str) -> Path:
    """Where the JupyterLab extension is installed. Refusal when it is not."""
    from jupyter_core.paths import jupyter_path

    from .tools import Refusal

    for folder in jupyter_path("labextensions"):
        if Path(folder, name, "package.json").is_file():
            return Path(folder, name)
    raise Refusal(f"the JupyterLab extension {name} is not installed; install it with: pip install 'cowlab[site]'")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _configure(lite: Path, extensions: list[Path], packages: list[str]) -> None:
    """JupyterLite's two files: how to build, and what the page reads when it starts."""
    ours = [str(path) for path in extensions]  # and no extension that this machine happens to have besides
    how = {"federated_extensions": ours, "ignore_sys_prefix": ["federated_extensions"], "apps": ["lab"]}
    how |= {"contents": ["contents"], "no_sourcemaps": True, "no_unused_shared_packages": True, "output_dir": "site"}
    _write(lite / "jupyter_lite_config.json", json.dumps({"LiteBuildConfig": how}).encode())
    kernel = {"disablePyPIFallback": True, "loadPyodideOptions": {"packages": packages}}
    page = {"appName": "cowlab", "litePluginSettings": {KERNEL: kernel}}
    page = {"jupyter-lite-schema-version": 0, "jupyter-config-data": page}
    _write(lite / "jupyter-lite.json", json.dumps(page).encode())
    _write(lite / "overrides.json", json.dumps(QUIET).encode())


def _jupyter_lite(lite: Path) -> Path:
    """Run JupyterLite's builder in a process of its own; the folder it made."""
    from ..terminal import waiting
    from .tools import Refusal

    command = [sys.executable, "-m", "jupyterlite_core", "build", "--lite-dir", str(lite)]
    with waiting("JupyterLite"):
        done = subprocess.run(command, cwd=lite, capture_output=True, text=True, encoding="utf-8", errors="replace")
    if done.returncode or not (lite / "site" / "lab" / "index.html").is_file():
        raise Refusal("JupyterLite failed: " + "\n  ".join((done.stdout + done.stderr).strip().splitlines()[-8:]))
    return lite / "site"
