"""A class run: many submissions, some at a time, from where an earlier run was broken off."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .box import Limits
from .classroom import reseeded
from .journal import Journal, contents, fingerprint
from .marking import grade_found, line, read
from .notebook import Exercise, Submission

__all__ = ["Stop", "Work", "locally", "run_class"]

GRACE = 0.5  # seconds between two looks at what is being graded


@dataclass(frozen=True)
class Work:
    """What a class is graded against, and how: ``given`` are the exercises. ``by`` says what validates, with its
    version, or is empty if nbval does not run."""

    given: dict[str, Exercise]
    limits: Limits
    by: str = ""

    def read(self, path: str, seed: int | None) -> tuple[Exercise | None, Submission]:
        """The exercise that a submission is of, with the problems of this seed, and what it answers. With None as a
        seed it was handed out to nobody, and is refused."""
        if seed is None:
            return None, Submission({}, {}, "belongs to nobody on the roster")
        exercise, found = read(path, self.given)
        return exercise and reseeded(exercise, seed), found

    def grade(self, path: str, seed: int | None) -> dict[str, Any]:
        """One submission."""
        return grade_found(path, *self.read(path, seed), self.limits, bool(self.by))

    def key(self, path: str, seed: int | None) -> str:
        """The fingerprint of a submission and of all that its marks hang on: the one exercise that it is of, and what
        the others are called."""
        data = contents(path)
        asked = None if data is None else self.read(path, seed)[0]
        return fingerprint(path, data, repr(asked), sorted(self.given), repr(self.limits), self.by, seed is None)


Graders = Callable[[Iterable[str]], Iterator[tuple[str, dict[str, Any]]]]  # paths -> (path, result), as they are done


def run_class(
    paths: Sequence[str],
    key_of: Callable[[str], str],
    graders: Graders,
    journal: Path | None = None,
    watch: Callable = lambda each, total, before: each,
) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """(path, result, was it in the journal) of each path: first those that were, then the others as ``graders`` have
    done them. Each is in the journal before it comes out. A run that came to its end leaves the journal sorted.
    ``watch(each, total, before)`` passes on what graders do, where ``before`` of the total were in the journal."""
    with Journal(journal) as kept:
        left, before = {}, 0
        for path in dict.fromkeys(paths):
            key = key_of(path)
            if key in kept.known:
                before += 1
                yield path, kept.known[key] | {"submission": line(path)}, True
            else:
                left[path] = key
        done = 0
        for path, result in watch(graders(left), len(left) + before, before):
            if key_of(path) == left[path]:  # it was not changed meanwhile
                kept.add(left[path], result)
            done += 1
            yield path, result, False
        if done == len(left):
            kept.sort()


def locally(
    grade_one: Callable[[str], dict[str, Any]], jobs: int = 1, stop: Callable[[], bool] = lambda: False, tell=None
) -> Graders:
    """Graders that have ``jobs`` submissions graded at a time on this machine. Once ``stop()`` is true they begin no
    other one. ``tell`` is told now and then what is being graded."""

    def graded(paths):
        queue, running = iter(paths), {}
        with ThreadPoolExecutor(jobs) as pool:  # the work is done in processes of their own
            while True:
                while len(running) < jobs and not stop() and (path := next(queue, None)) is not None:
                    running[pool.submit(grade_one, path)] = path
                if not running:
                    return
                if tell:
                    tell(list(running.values()))
                for future in wait(running, GRACE, FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()

    return graded


class Stop:
    """While this is entered, Ctrl-C makes it true, and says so; a second one ends the program at once. Processes that
    isolate a learner's code end by themselves when the program does."""

    def __init__(self):
        self.asked, self.before = False, None

    def __call__(self) -> bool:
        return self.asked

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGINT, self.heard)
        return self

    def __exit__(self, *_):
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)

    def heard(self, *_):
        if self.asked:
            os._exit(130)
        self.asked = True
        with contextlib.suppress(OSError, ValueError):
            text = "\ncowlab: stopping when those that are being graded are done; Ctrl-C again: now\n"
            os.write(sys.stderr.fileno(), text.encode())
