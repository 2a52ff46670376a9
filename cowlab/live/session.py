"""The helper process, seen from outside: started when first needed, asked one schedule at a time, always stopped.

It lives in a process tree of its own, never inside the Jupyter kernel. An interrupt in the middle of a run stops
the tree, and the next run starts a new one.
"""

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

__all__ = ["Session", "Unreachable", "session", "stop"]

ROOT = Path(__file__).resolve().parents[2]
# The helper needs cowlab.live.helper and nothing else of cowlab: two bare packages stand in for the real ones.
BOOT = """
import sys, types
for name, path in (("cowlab", {root!r} + "/cowlab"), ("cowlab.live", {root!r} + "/cowlab/live")):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
from cowlab.live.helper import main
main()
"""
NOT_LINUX = "the live steps are Linux system calls, and this is {system}"


class Unreachable(RuntimeError):
    """The live kernel is out of reach; ``str()`` is one sentence that says why."""


class Session:
    """One helper process. ``with Session() as s: s.ask({...})``; it is not for two threads at a time."""

    def __init__(self):
        if not sys.platform.startswith("linux"):
            names = {"darwin": "macOS", "win32": "Windows", "emscripten": "a page in a web browser"}
            system = names.get(sys.platform, sys.platform)
            raise Unreachable(NOT_LINUX.format(system=system))
        self.owner, self.helper = os.getpid(), None
        command = [sys.executable, "-I", "-S", "-c", BOOT.format(root=str(ROOT)), "serve"]
        try:
            self.helper = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
            self.about = self.ask({"ask": "facilities"})
        except OSError as e:
            self.close()
            raise Unreachable(f"the helper process cannot be started ({e.strerror or e})") from None
        except BaseException:
            self.close()
            raise

    def ask(self, request: dict) -> dict:
        """One request, one reply. Raises Unreachable when the helper is gone; an interrupt stops the helper."""
        try:
            self.helper.stdin.write(json.dumps(request).encode() + b"\n")
            self.helper.stdin.flush()
            line = self.helper.stdout.readline()
        except BrokenPipeError:
            line = b""
        except BaseException:
            self.close()
            raise
        if not line.endswith(b"\n"):
            self.close()
            raise Unreachable(f"the helper process ended by itself (status {self.helper.returncode})")
        return json.loads(line)

    @property
    def usable(self) -> bool:
        return self.owner == os.getpid() and self.helper is not None and self.helper.poll() is None

    def close(self) -> None:
        """Stop the helper and wait until it and its actors are gone. Safe to call twice, and after a fork."""
        helper = self.helper
        if helper is None:
            return
        for end in (helper.stdin, helper.stdout):
            with contextlib.suppress(OSError):  # what is left in the buffer has no reader
                end.close()
        if self.owner != os.getpid():
            return
        helper.terminate()
        try:
            helper.wait(5)
        except BaseException as e:
            helper.kill()
            helper.wait()
            if not isinstance(e, subprocess.TimeoutExpired):
                raise

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_):
        self.close()


_lock = threading.RLock()
_shared: Session | None = None


@contextlib.contextmanager
def session():
    """The session that all callers of this process share, one at a time. Raises Unreachable."""
    global _shared
    with _lock:
        if _shared is None or not _shared.usable:
            stop()
            _shared = Session()
        yield _shared


def stop() -> None:
    """Stop the shared helper, if there is one."""
    global _shared
    with _lock:
        if _shared is not None:
            _shared.close()
        _shared = None


atexit.register(stop)
