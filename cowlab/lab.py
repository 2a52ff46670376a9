"""`cowlab lab`: put the lessons into a folder of the learner's, and open JupyterLab on the index.

Nothing a learner wrote is ever overwritten (see `deliver`). A clone is opened where it is, without copying.
Nothing but the standard library and :mod:`.terminal` is imported here; JupyterLab is loaded when it is started.
"""

import argparse
import contextlib
import errno
import hashlib
import importlib.util
import json
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

from .terminal import waiting

__all__ = ["Delivered", "Refusal", "add_parser", "clone", "deliver", "run", "upstream"]

PACKAGE = Path(__file__).resolve().parent
PARTS = ("notebooks", "exercises")
INDEX = "notebooks/00-index.ipynb"
FOLDER = "cow-lessons"
MANIFEST = ".cowlab.json"
ABOUT = "What cowlab put here, so that it can tell its own files from the ones you changed. Safe to delete."


class Refusal(Exception):
    """What the user must know, in one line: there is no traceback, and the exit status is 2."""


class Delivered(NamedTuple):
    """What `deliver` did. Every name is relative to the folder."""

    written: list[str]  # new, or an untouched older edition replaced
    beside: dict[str, str]  # the learner's file -> the new edition that now lies next to it
    official: list[str]  # all files that are, byte for byte, what cowlab ships


# The command


def add_parser(subparsers) -> argparse.ArgumentParser:
    """Describe `cowlab lab` to argparse. What stands after `--` is kept, unread, in `args.rest`."""
    parser = subparsers.add_parser(
        "lab",
        help="open the course in JupyterLab",
        usage="cowlab lab [-h] [--no-browser] [--port N] [DIR] [-- OPTION ...]",
        description="Copy the lessons to a folder and open JupyterLab on their index. "
        "Files you changed are left alone; a newer edition of one arrives beside it as NAME.new.ipynb.",
        epilog="Options after -- go to `jupyter lab` as they are.",
    )
    parser.add_argument(
        "folder", metavar="DIR", nargs="?", help=f"where your copy is (default: ./{FOLDER}; in a clone, the clone)"
    )
    parser.add_argument("--no-browser", dest="browser", action="store_false", help="print the address, open nothing")
    parser.add_argument("--port", metavar="N", help="serve on this port, or not at all (default: a free one from 8888)")
    parser.add_argument("--test-hooks", dest="hooks", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)
    parser.parse_known_args = _splitting_at_dashes(parser.parse_known_args)  # argparse would take the rest for DIR
    return parser


def _splitting_at_dashes(parse: Callable) -> Callable:
    def parse_known_args(args=None, namespace=None):
        words = list(sys.argv[1:] if args is None else args)
        cut = words.index("--") if "--" in words else len(words)
        namespace, unknown = parse(words[:cut], namespace)
        namespace.rest = words[cut + 1 :]
        return namespace, unknown

    return parse_known_args


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C and return 0, or say in one line on stderr why not and return 2."""
    try:
        port = None if args.port is None else _free_port(args.port)
        if importlib.util.find_spec("jupyterlab") is None:
            raise Refusal(f"JupyterLab is missing; install it with: {sys.executable} -m pip install jupyterlab")
        root, notebooks = _prepare(args.folder)
        _trust(notebooks)
        with waiting("starting JupyterLab"):
            server = _server(root, port, browser=args.browser, hooks=args.hooks, rest=args.rest)
    except (Refusal, OSError) as problem:
        reason = problem if isinstance(problem, Refusal) else f"JupyterLab cannot use its own folders: {problem}"
        print(f"cowlab lab: {reason}", file=sys.stderr)
        return 2
    print(f"JupyterLab: {server.public_url}\nCtrl-C stops it.", flush=True)
    threading.Thread(target=_warm_up, daemon=True).start()
    server.start()
    return 0


def _warm_up() -> None:
    """Compile Graphviz once, so that the first drawing of the first lesson does not wait for it."""
    with contextlib.suppress(Exception):
        from .view.render import renderer

        renderer()


def _free_port(text: str) -> int:
    """The port that `text` names, or a Refusal: not a port, not ours to use, or taken."""
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise Refusal(f"the port must be a number from 1 to 65535, not {text!r}")
    port = int(text)
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):  # both are "localhost"
        try:
            with socket.socket(family) as probe:
                if os.name == "posix":  # as the server does: a port that was free a second ago is free
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Refusal(f"port {port} is taken; name another, or leave --port out to get a free one") from None
            if error.errno == errno.EACCES:
                raise Refusal(f"port {port} is not open to you; name one from 1024 to 65535") from None
            # anything else: this machine has no such address (no IPv6, say), so the server will not use it
    return port


def _prepare(name: str | None) -> tuple[Path, list[Path]]:
    """The folder to serve, filled, and the notebooks in it that cowlab vouches for."""
    here = clone()
    if here is not None and name is None:
        print(f"Lessons:    {here / PARTS[0]} (this clone's own)", flush=True)
        return here, [here / name for name, text in upstream().items() if _same(here / name, text)]
    folder = Path(name or FOLDER)
    try:
        folder = folder.absolute()
        if folder.exists() and not folder.is_dir():
            raise Refusal(f"{folder} is a file; name a folder")
        done = deliver(upstream(), folder)
    except OSError as error:
        raise Refusal(f"cannot write the lessons to {folder}: {error.strerror or error}") from None
    print(f"Lessons:    {folder} ({len(done.written)} files written)" if done.written else f"Lessons:    {folder}")
    for mine, theirs in done.beside.items():
        print(f"  {mine} is yours and stays as it is; the new edition is {theirs}")
    sys.stdout.flush()
    return folder, [folder / file for file in done.official]


# The files


def clone() -> Path | None:
    """The source tree this package runs from, or else the one it was called in, or None."""
    return next((tree for tree in (PACKAGE.parent, Path.cwd()) if _is_source(tree)), None)


def _is_source(tree: Path) -> bool:
    try:
        return 'name = "cowlab"' in (tree / "pyproject.toml").read_text("utf-8") and (tree / INDEX).is_file()
    except (OSError, UnicodeDecodeError):
        return False


def _same(file: Path, text: bytes) -> bool:
    return file.is_file() and file.read_bytes() == text


def upstream() -> dict[str, bytes]:
    """Every file of the course, by its name with slashes: `notebooks/00-index.ipynb` and so on."""
    root = PACKAGE.parent if _is_source(PACKAGE.parent) else resources.files("cowlab").joinpath("_lessons")
    found = {name: file.read_bytes() for part in PARTS for name, file in _walk(root.joinpath(part), part)}
    if INDEX not in found:
        raise Refusal("the lessons are missing from this installation; install cowlab again")
    return found


def _walk(folder: Traversable, prefix: str) -> Iterable[tuple[str, Traversable]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name) if folder.is_dir() else ():
        if item.name.startswith(".") or item.name == "__pycache__":
            continue
        name = f"{prefix}/{item.name}"
        if item.is_dir():
            yield from _walk(item, name)
        else:
            yield name, item


def deliver(files: Mapping[str, bytes], folder: Path) -> Delivered:
    """Bring `folder` up to date with `files`, never writing over what a learner wrote. OSError when it cannot.

    A file that is missing is written. One that is still what an earlier delivery wrote is replaced. Any other is
    the learner's: it is left alone, and an edition not delivered before is put beside it as NAME.new.ipynb.
    The manifest remembers the digest of what was delivered last. Without it every file that differs is the learner's.
    """
    given = _read_manifest(folder)
    written, beside, official = [], {}, []
    for name, content in files.items():
        edition, present = _digest(content), _digest_of(folder / name)
        if present in (None, given.get(name)) and present != edition:
            _write(folder / name, content)
            written.append(name)
        elif present != edition and given.get(name) != edition:
            beside[name] = _put_beside(folder, name, content, given)
        given[name] = edition
        official += [name] if _digest_of(folder / name) == edition else []
    official += beside.values()
    manifest = {"about": ABOUT, "files": dict(sorted(given.items()))}
    _write(folder / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
    return Delivered(written, beside, official)


def _put_beside(folder: Path, name: str, content: bytes, given: dict[str, str]) -> str:
    """Write to NAME.new.ipynb, or NAME.new2.ipynb and so on if a learner worked in that one too; return the name."""
    stem, dot, suffix = name.rpartition(".")
    edition = _digest(content)
    number = 1
    while True:
        other = f"{stem}.new{number if number > 1 else ''}{dot}{suffix}"
        if (present := _digest_of(folder / other)) in (None, edition, given.get(other)):
            break
        number += 1
    if present != edition:
        _write(folder / other, content)
    given[other] = edition
    return other


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest_of(path: Path) -> str | None:
    try:
        return _digest(path.read_bytes())
    except FileNotFoundError:
        return None


def _read_manifest(folder: Path) -> dict[str, str]:
    """Digests by name. A manifest that is absent or damaged counts as empty: then nothing is replaced."""
    try:
        files = json.loads((folder / MANIFEST).read_bytes())["files"]
        return {name: digest for name, digest in files.items() if isinstance(digest, str)}
    except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _write(path: Path, content: bytes) -> None:
    """Write all of it or nothing: a full disk must not leave half a notebook."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


# JupyterLab


def _trust(notebooks: Iterable[Path]) -> None:
    """Do what `jupyter trust` does. Only files that are cowlab's own byte for byte come here, never a stranger's."""
    from nbformat import read, sign

    notary = sign.NotebookNotary()
    for path in notebooks:
        if path.suffix == ".ipynb":
            try:
                notary.sign(read(path, as_version=4))
            except ValueError:  # half-written in a clone: it stays untrusted, and JupyterLab says what is wrong with it
                continue
    notary.store.close()


def _server(root: Path, port: int | None, *, browser: bool, hooks: bool, rest: list[str]):
    """JupyterLab's server application, ready to start in this process."""
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # the kernel python3 is this Python, not the user's other one
    settings = [str(PACKAGE / "_jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]  # no pop-up asking about news
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, settings))
    from jupyterlab.labapp import LabApp

    options = [
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url=/lab/tree/{INDEX}",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--ServerApp.log_level=WARN",
        "--LabApp.log_level=WARN",
        "--ServerApp.answer_yes=True",  # one Ctrl-C is enough
    ]
    options += [] if browser else ["--no-browser"]
    options += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"] if port else []
    options += ["--expose-app-in-browser"] if hooks else []
    options += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # in a container, say
    return LabApp.initialize_server(argv=options + rest)
