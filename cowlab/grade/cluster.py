"""The same class run on a Dask cluster: past one machine.

A task is the answers of one submission, which are read here: no folder needs to be shared. Each worker runs them in
the same isolation as here, and needs the same cowlab, which is checked. What a worker has in hand when it dies goes to
another one. Who can reach a scheduler can run anything on its workers: let nobody but yourself reach it.
"""

import contextlib
import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import Any

from ..litmus.errors import LitmusError
from .box import Limits
from .journal import code
from .marking import grade_found, line
from .notebook import Exercise, Submission
from .run import GRACE, Graders, Work

__all__ = ["connected", "on_cluster"]

ANSWERS = 10  # seconds for the scheduler to answer in
WORKERS = 30  # and to have a worker again, when the last one has gone
AHEAD = 2  # submissions on their way, beyond those that are being graded
AGAIN = "what is in the journal is not lost: give the same command again when it is back"


@contextlib.contextmanager
def connected(address: str):
    """A client of the scheduler there. Raises LitmusError if there is none, or no Dask here."""
    try:
        from distributed import Client
    except ImportError:
        raise LitmusError("Dask is missing", "install it with: pip install 'cowlab[dask]'") from None
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("distributed"):  # each has a level of its own; what matters is said below, in one message
            logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        if not address.strip():  # Dask would start a cluster of its own
            raise ValueError("no address")
        client = Client(address, timeout=ANSWERS, set_as_default=False)
    except (OSError, ValueError, ImportError) as e:
        why = line(str(e), 200) or type(e).__name__
        remedy = "give the address that `dask scheduler` prints, such as tcp://10.0.0.1:8786"
        raise LitmusError(f"no Dask scheduler answers at {address} ({why})", remedy) from None
    try:
        yield client
    finally:
        client.close(timeout=1)


def on_cluster(
    client, work: Work, seed: Callable[[str], int | None], stop: Callable[[], bool] = lambda: False, tell=None
) -> Graders:
    """Graders as :func:`.run.locally`'s: as many at a time as the cluster's workers have threads."""
    from distributed import wait

    def graded(paths):
        queue, running, seen = iter(paths), {}, time.monotonic()
        while True:
            threads = sum(client.nthreads().values())
            seen = time.monotonic() if threads else seen
            if time.monotonic() - seen > WORKERS:
                raise LitmusError("the cluster has no workers", f"start some with `dask worker`; {AGAIN}")
            while len(running) < threads + AHEAD and not stop() and (path := next(queue, None)) is not None:
                exercise, found = work.read(path, seed(path))
                if found.refused or exercise is None:
                    yield path, grade_found(path, exercise, found, work.limits)  # nothing of it is to be run
                else:
                    sent = path, exercise, found, work.limits, work.by, code()
                    running[client.submit(grade_sent, *sent, pure=False)] = path
            if not running:
                return
            if tell:
                tell(list(running.values()))
            try:
                with client.as_current():
                    done = wait(list(running), GRACE, "FIRST_COMPLETED").done
            except TimeoutError:
                continue
            for future in done:
                path = running[future]
                try:
                    result = _result(future, lambda path=path: work.grade(path, seed(path)))
                except TimeoutError:
                    continue  # it went with its worker, and is made again
                del running[future]
                future.release()  # else it would be made again when its worker dies
                yield path, result

    def watched(paths):
        try:
            yield from graded(paths)
        except (OSError, CancelledError):
            raise LitmusError("the Dask scheduler does not answer any more", AGAIN) from None

    return watched


def grade_sent(
    path: str, exercise: Exercise, found: Submission, limits: Limits, by: str, wanted: str
) -> dict[str, Any]:
    """In a worker: the result of a submission; or ``cannot``: why this worker grades nothing."""
    if code() != wanted:
        return {"cannot": "a worker has another cowlab, or another Python, than this machine"}
    try:
        result = grade_found(path, exercise, found, replace(limits, python=sys.executable), bool(by))
    except (LitmusError, OSError) as e:
        return {"cannot": f"a worker cannot grade: {line(str(e))}"}
    if result["validated"] not in ("", by):
        return {"cannot": f"a worker has {result['validated']}, and this machine has {by}"}
    return result


def _result(future, here: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What came out of a task. Where workers died of it again and again, it is graded here."""
    from distributed.scheduler import KilledWorker

    try:
        result = future.result(timeout=5)
    except KilledWorker:
        return here()
    except (ImportError, AttributeError) as e:
        result = {"cannot": f"a worker cannot grade: {line(str(e))}"}
    if "cannot" in result:
        raise LitmusError(result["cannot"], "install the same cowlab[grade,dask] for each worker as here")
    return result
