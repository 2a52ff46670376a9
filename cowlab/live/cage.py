"""Memory pressure on demand: a cgroup of our own, whose pages the kernel is told to reclaim. It needs root, or a
delegated memory controller, and swap.
"""

import contextlib
import errno
import os

__all__ = ["Cage", "write"]

ROOTS = {  # where a cgroup is made -> the file that reclaims, and what is written to it
    "/sys/fs/cgroup": ("memory.reclaim", b"64M"),  # cgroup v2, Linux 5.19
    "/sys/fs/cgroup/memory": ("memory.force_empty", b"0"),  # cgroup v1
}


class Cage:
    """A cgroup. Raises OSError where none can be made."""

    def __init__(self):
        remove_stale()
        self.path, error = "", OSError(errno.ENOENT, "no memory cgroup")
        for root, (name, self.order) in ROOTS.items():
            path = f"{root}/cowlab-{os.getpid()}"
            try:
                os.mkdir(path)
            except OSError as e:
                error = e
                continue
            if os.path.exists(f"{path}/{name}"):
                self.path, self.file = path, f"{path}/{name}"
                return
            os.rmdir(path)
        raise error

    def add(self, pid: int) -> None:
        """The process, and all that it forks, is charged here for what it touches."""
        write(f"{self.path}/cgroup.procs", str(pid).encode())

    def squeeze(self) -> None:
        """Reclaim what can be reclaimed."""
        with contextlib.suppress(OSError):  # EAGAIN: less than was asked for; EBUSY: not everything
            write(self.file, self.order)

    def remove(self) -> None:
        """Once all its processes are gone."""
        with contextlib.suppress(OSError):
            os.rmdir(self.path)


def remove_stale() -> None:
    """A cgroup outlives a helper that was killed with SIGKILL, and stands empty: the next one removes it."""
    for root in ROOTS:
        with contextlib.suppress(OSError):
            for name in os.listdir(root):
                pid = name.removeprefix("cowlab-")
                if pid != name and pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
                    os.rmdir(f"{root}/{name}")


def write(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
