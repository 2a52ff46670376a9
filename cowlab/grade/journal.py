"""Results on disk, so that a run that was broken off goes on where it was, and nothing is graded twice.

A result is kept under a digest of all that it hangs on: the submission, the exercises, the limits, and the code that
graded it. Whatever of this changes, the submission is graded again.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import platform
import stat
from functools import cache
from pathlib import Path
from typing import Any

from ..litmus.errors import LitmusError
from .notebook import MEGABYTES

__all__ = ["Journal", "code", "contents", "fingerprint"]

CODE = (".py", ".litmus", ".json", ".jsonl")
BEGINS = b'{"of": "'


def contents(path: str | Path) -> bytes | None:
    """What stands in a submission; None if it is no regular file, cannot be read, or is larger than any that is
    graded: grading refuses it without a look."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    with os.fdopen(fd, "rb") as file:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode) or about.st_size > MEGABYTES << 20:
            return None
        return file.read((MEGABYTES << 20) + 1)


def fingerprint(path: str | Path, data: bytes | None, *circumstances: Any) -> str:
    """Of a submission, and of all that its marks hang on. An empty string if it is not to be read: there is nothing
    to save by keeping that."""
    if data is None:
        return ""
    told = json.dumps([os.path.abspath(path), code(), *circumstances], sort_keys=True, default=repr).encode()
    return hashlib.sha256(told + b"\0" + data).hexdigest()


@cache
def code() -> str:
    """A digest of cowlab's own code and data, and of Python's version: what judges."""
    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(platform.python_version().encode())
    for path in sorted(package.rglob("*")):
        if path.suffix in CODE and "_lessons" not in path.parts and path.is_file():
            data = path.read_bytes()
            digest.update(f"{path.relative_to(package)}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


class Journal:
    """Results by fingerprint, one JSON line each, on disk as soon as there is one. ``known`` is what stood there.

    A line that was cut off by ``kill -9``, or by a full disk, is not there. One run at a time writes to a journal.
    Every grading is a line of its own, and stays one: what is there twice was graded twice.
    Raises LitmusError: what is wrong with the file."""

    def __init__(self, path: Path | None):
        self.path, self.known = path and path.resolve(), {}
        if path is None:
            return
        try:
            self.file = _locked(self.path)
            for line in self.file.read().splitlines():
                if entry := _entry(line):
                    self.known[entry["of"]] = entry["result"]
        except OSError as e:
            raise _unusable(path, e) from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.path:
            self.file.close()

    def add(self, key: str, result: dict[str, Any]) -> None:
        """Keep a result. It is on the disk when this returns."""
        if self.path is None or not key:
            return
        line = json.dumps({"of": key, "submission": result.get("submission", ""), "result": result}).encode()
        try:
            self.file.write(b"\n" + line + b"\n")  # a line that was cut off before is ended first
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError as e:
            raise _unusable(self.path, e) from None

    def sort(self) -> None:
        """The lines in order of submissions: the same whoever was done first. All or nothing of it happens."""
        if self.path is None:
            return
        self.file.seek(0)
        entries = [e for e in map(_entry, self.file.read().splitlines()) if e]
        entries.sort(key=lambda e: (e.get("submission", ""), e["of"]))
        new = self.path.with_name(f".{self.path.name}.new")
        try:
            with open(new, "wb") as file:
                file.writelines(json.dumps(e).encode() + b"\n" for e in entries)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, self.path)
        except OSError as e:
            raise _unusable(self.path, e) from None


def _locked(path: Path):
    """The journal, open for reading and appending. Nobody else has it open this way; the lock goes with the process."""
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o666), "a+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise LitmusError(
                f"{path}: another run writes to this journal", "wait for it, or give another one"
            ) from None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                break
        file.close()  # a run that has just ended has sorted it into a new file
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no file")
    file.seek(0)
    first = file.read(1 << 16).lstrip(b"\n").partition(b"\n")[0]
    if not BEGINS.startswith(first[: len(BEGINS)]):
        file.close()
        raise LitmusError(f"{path} is no journal of cowlab", "give a new file, or one that --journal has made")
    file.seek(0)
    return file


def _entry(line: bytes) -> dict[str, Any] | None:
    """A line of a journal; None if it is empty, or was cut off."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(entry, dict) and isinstance(entry.get("of"), str) and isinstance(entry.get("result"), dict)
    return entry if whole else None


def _unusable(path: Path, e: OSError) -> LitmusError:
    return LitmusError(f"{path}: no place for a journal ({e.strerror or e})", "keep it elsewhere with --journal FILE")
