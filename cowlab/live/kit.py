"""What the helper has made before it forks, and every actor inherits: pipes, rings, files, and where the pages are."""

import contextlib
import os
import signal

from . import calls

__all__ = ["PROCESSES", "Kit", "Trouble", "address", "ended", "is_huge", "make_file", "open_direct"]

PROCESSES = 8
BASE, STRIDE = 0x1000000000, 4 << 20  # where page 0 is, and how far on the next one


def address(page: int) -> int:
    return BASE + STRIDE * page


class Trouble(Exception):
    """The run cannot be judged, and why: nothing about copy-on-write is known from it."""


class Kit:
    """What the helper has made before the fork, and every actor inherits."""

    def __init__(self):
        self.channels = [(*os.pipe(), *os.pipe()) for _ in range(PROCESSES)]  # command (r, w), answer (r, w)
        self.scratch = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.pipes: list[tuple[int, int]] = []
        self.rings: list[calls.Ring] = []
        self.disk = -1  # a nameless file for O_DIRECT

    def reserve(self, program: dict) -> None:
        """Enough pipes and rings for the references of this program."""
        kinds = [kind for kind, _ in program["refs"]]
        while len(self.pipes) < kinds.count("vmsplice"):
            self.pipes.append(os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
        while len(self.rings) < kinds.count("io_uring"):
            self.rings.append(calls.Ring())
        if "odirect" in kinds and self.disk < 0:
            self.disk = open_direct()

    def empty(self, program: dict) -> None:
        """Let every reference go."""
        for kind, at in program["refs"]:
            self.put(kind, at)

    def put(self, kind: str, at: int) -> None:
        if kind == "vmsplice":
            with contextlib.suppress(BlockingIOError):
                while os.read(self.pipes[at][0], 1 << 16):
                    pass
        elif kind == "io_uring":
            with contextlib.suppress(OSError):  # ENXIO: nothing is registered
                self.rings[at].unregister()

    def load(self, kind: str, at: int, page: int) -> int:
        """What the holder reads there: through the pipe or the ring, and through no page table."""
        if kind == "vmsplice":
            calls.tee(self.pipes[at][0], self.scratch[1])
        else:
            self.rings[at].transfer(calls.WRITE_FIXED, self.scratch[1], address(page))
        return int.from_bytes(os.read(self.scratch[0], 8), "little")

    def store(self, at: int, page: int, value: int) -> None:
        os.write(self.scratch[1], value.to_bytes(8, "little"))
        self.rings[at].transfer(calls.READ_FIXED, self.scratch[0], address(page))


def open_direct() -> int:
    """A file without a name on a file system that can O_DIRECT, or an OSError."""
    error = None
    for folder in dict.fromkeys((os.environ.get("TMPDIR", "/tmp"), "/var/tmp", os.path.expanduser("~"), ".")):
        try:
            return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC, 0o600)
        except OSError as e:
            error = e
    raise error


def make_file(value: int | None, attributes: list[str]) -> int:
    """A file of one page in the page cache, if the mapping has one: memfd_create(2), so it never has a name."""
    if not set(attributes) & {"file", "shared"}:
        return -1
    fd = os.memfd_create("cowlab", os.MFD_CLOEXEC)
    os.ftruncate(fd, calls.PAGE)
    if value is not None and "file" in attributes:
        os.pwrite(fd, value.to_bytes(8, "little"), 0)
    return fd


def is_huge(smaps: str, at: int) -> bool:
    """Does a PMD map the page at this address?"""
    mine = f"\n{smaps}".partition(f"\n{at:x}-")[2].partition("AnonHugePages:")[2]
    return mine.split(None, 1)[:1] not in ([], ["0"])


def ended(status: int) -> str:
    number = os.waitstatus_to_exitcode(status)
    return signal.Signals(-number).name if number < 0 else f"exit {number}"
