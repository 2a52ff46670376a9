"""Running `cowlab lab` as a user does: in a process of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

__all__ = ["COWLAB", "Lab", "serve", "stop"]

COWLAB = (sys.executable, "-c", "import sys; from cowlab.cli import main; sys.exit(main())")


@dataclass
class Lab:
    """A running `cowlab lab`: `folder` is what it serves; `url` and `token` are how to reach it."""

    folder: Path
    process: subprocess.Popen
    log: Path
    url: str = ""
    token: str = ""

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def answers(self) -> bool:
        """True once the address has been printed and the server behind it replies."""
        printed = re.search(r"^JupyterLab: (http://[^/]+)/\S*[?&]token=(\w+)", self.said(), re.MULTILINE)
        if printed:
            self.url, self.token = printed.groups()
        try:
            return bool(self.url) and "version" in self.api("")
        except (urllib.error.URLError, ConnectionError):
            return False

    def api(self, path: str, method: str = "GET"):
        """What the server replies to /api/`path`: JSON, or None where there is nothing to say."""
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self.url}/api/{path}", headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read() or b"null")

    def end_kernels(self) -> None:
        """Shut every kernel down, so that the next notebook opened begins with a new one."""
        for session in self.api("sessions"):
            self.api(f"sessions/{session['id']}", "DELETE")


def serve(folder: Path, *options: str, env: dict[str, str], log: Path) -> Lab:
    """Run `cowlab lab FOLDER --no-browser` on a free port; return when it answers, AssertionError if it does not."""
    command = [*COWLAB, "lab", str(folder), "--no-browser", "--port", str(free_port()), *options]
    with log.open("wb") as out:
        files = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out}
        process = subprocess.Popen(
            command, cwd=folder.parent, env=env, preexec_fn=_hear_ctrl_c if os.name == "posix" else None, **files
        )
    lab = Lab(folder, process, log)
    deadline = time.monotonic() + 60
    while not lab.answers():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"cowlab lab does not serve; it said:\n{lab.said()}")
        time.sleep(0.1)
    return lab


def _hear_ctrl_c() -> None:
    """A shell that starts the tests in the background has told them to ignore Ctrl-C; `cowlab lab` must not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def stop(process: subprocess.Popen, patience: float = 20) -> int:
    """Press Ctrl-C (on Windows: terminate) and return the exit status; kill what has not ended in time."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
    try:
        return process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
