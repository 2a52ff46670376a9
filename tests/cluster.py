"""A Dask cluster of real processes, on this machine and reached from nowhere else.

with cluster(folder, 2) as (address, (scheduler, *workers)): ...
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = ["--host", "127.0.0.1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]


@contextmanager
def cluster(folder: Path, number: int) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """The scheduler's address; and the processes: itself, and ``number`` workers of one thread each. All end with the
    block."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    file, started = folder / "scheduler.json", []

    def dask(*words: str) -> subprocess.Popen:
        log = open(folder / f"dask-{len(started)}.log", "wb")  # noqa: SIM115
        process = subprocess.Popen([sys.executable, "-m", "dask", *words], cwd=folder, env=env, stdout=log, stderr=log)
        log.close()
        started.append(process)
        return process

    try:
        dask("scheduler", *LOOPBACK, "--port", "0", "--scheduler-file", str(file))
        address = _address(file, started[0], folder)
        worker = ["worker", address, *LOOPBACK, "--nthreads", "1", "--no-nanny", "--memory-limit", "0"]
        worker += ["--local-directory", str(folder)]
        for n in range(number):
            dask(*worker, "--name", f"worker-{n}")
        yield address, started
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def _address(file: Path, scheduler: subprocess.Popen, folder: Path) -> str:
    for _ in range(600):
        if scheduler.poll() is not None:
            break
        try:
            return json.loads(file.read_text())["address"]
        except (OSError, ValueError):
            time.sleep(0.1)
    raise RuntimeError(f"no scheduler: {(folder / 'dask-0.log').read_text()[-2000:]}")
