"""What this machine lets us do: which steps can be taken here, what can be seen, and why the rest cannot."""

import platform
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ..litmus import LitmusError, Test
from .session import Session, Unreachable, session

__all__ = ["NEEDS", "STEPS", "Reach", "machine", "reach", "refusal"]

# step -> the facility it needs, besides processes
NEEDS = {
    "read": "", "write": "", "fork": "", "exec": "", "exit": "", "munmap": "", "mprotect": "", "madvise": "",
    "put": "", "load": "", "store": "io_uring", "filewrite": "file", "vmsplice": "vmsplice", "io_uring": "io_uring",
    "odirect": "odirect", "process_vm_readv": "process_vm_readv", "ptrace": "ptrace", "futex_wait": "futex_wait",
    "clear_refs": "clear_refs", "reclaim": "reclaim",
}  # fmt: skip
STEPS = tuple(NEEDS)
MEANS = {  # an error's name -> what is behind it
    "ENOSYS": "the kernel has no such system call (too old, built without it, a sandbox such as gVisor, or seccomp)",
    "EPERM": "not permitted (seccomp, as in most containers, or a sysctl)",
    "EACCES": "not permitted, or /proc is closed",
    "ENOENT": "there is no /proc, or no such file in it",
    "EINVAL": "the kernel or the file system does not know it",
    "ENOMEM": "no memory may be locked (ulimit -l)",
    "no swap": "there is no swap",
    "no soft-dirty bit": "the kernel was built without CONFIG_MEM_SOFT_DIRTY",
    "no bits": "pagemap is there, but shows nothing",
    "no huge page": "transparent huge pages are switched off, or none was free",
}
WHAT = {  # a facility -> what it is for
    "vmsplice": "vmsplice(2), references in a pipe",
    "io_uring": "io_uring fixed buffers, pins",
    "process_vm_readv": "process_vm_readv(2)",
    "ptrace": "/proc/self/mem, a debugger's look",
    "odirect": "O_DIRECT",
    "futex_wait": "shared futexes",
    "clear_refs": "soft-dirty tracking",
    "pageout": "madvise pageout",
    "reclaim": "memory pressure (a cgroup of our own, and swap)",
    "file": "memfd_create(2), page-cache pages",
    "huge": "transparent huge pages",
    "pagemap": 'the "exclusively mapped" bit of /proc/self/pagemap',
    "frames": "frame numbers",
}


@dataclass(frozen=True)
class Reach:
    """``missing`` maps a facility to the reason why it is not here; ``zero`` are the zero pages' frame numbers."""

    missing: dict[str, str] = field(default_factory=dict)
    zero: dict[str, int] = field(default_factory=dict)

    @property
    def frames(self) -> bool:
        return "frames" not in self.missing

    @property
    def bits(self) -> bool:
        return "pagemap" not in self.missing

    @property
    def steps(self) -> tuple[str, ...]:
        return tuple(s for s in STEPS if NEEDS[s] not in self.missing)


def reach(live: Session | None = None) -> Reach:
    """What can be done and seen here, by trying. Raises Unreachable where no test can run at all."""
    if live is not None:
        return _reach(live)
    with session() as shared:
        return _reach(shared)


def _reach(live: Session) -> Reach:
    if not hasattr(live, "reach"):
        found = live.about["facilities"]
        if found.get("fork"):
            raise Unreachable(f"no process can be forked here: {found['fork']}, {_means(found['fork'])}")
        missing = {name: f"{error}: {_means(error)}" for name, error in found.items() if error}
        if "pagemap" in missing or found.get("frames"):
            missing["frames"] = missing.get("pagemap") or (
                "the kernel shows them only to CAP_SYS_ADMIN (root outside a container)"
            )
        live.reach = Reach(missing, live.about["zero"])
    return live.reach


def _means(error: str) -> str:
    return MEANS.get(error, "refused")


def refusal(test: Test, here: Reach) -> str:
    """Why the test cannot run here; empty if it can."""
    for proc, program in test.columns.items():
        odirect = ""
        for a in program:
            if a.op not in STEPS:
                return f"user space cannot order `{a.op}`; --live knows {', '.join(STEPS)}"
            if odirect and (a.op, a.ref) != ("put", odirect):
                return "an O_DIRECT write is over before the next step, so --live needs its `put` right after it"
            odirect = a.ref if a.op == "odirect" else ""
            need = "pageout" if a.arg == "pageout" else NEEDS[a.op]
            if need in here.missing:
                return f"`{a.op}` is not to be had here: {here.missing[need]}"
            if a.op == "store" and not any(b.op == "io_uring" and b.ref == a.ref for b in program):
                return "user space can `store` only through an io_uring fixed buffer"
        if odirect:
            return "an O_DIRECT write is over before the next step, so --live needs its `put` right after it"
        if proc in test.threads:
            return "--live runs processes, not threads"
    reclaims = any(a.op == "reclaim" for program in test.columns.values() for a in program)
    if reclaims and (len(test.pages) > 1 or any(attributes for _, attributes in test.pages.values())):
        return "memory pressure takes every page, so --live can `reclaim` where there is one, private and anonymous"
    for name, (value, attributes) in test.pages.items():
        if attributes & {"huge", "hugepte"} and "huge" in here.missing:
            return f"page {name} cannot be huge here: {here.missing['huge']}"
        if attributes & {"file", "shared"} and "file" in here.missing:
            return f"page {name} cannot have a file here: {here.missing['file']}"
        if "hugepte" in attributes and value is None:
            return f"page {name}: user space cannot make an untouched page of a split huge page"
    return ""


def check(test: Test, here: Reach) -> None:
    """Raises LitmusError where :func:`refusal` has something to say."""
    if why := refusal(test, here):
        raise LitmusError(f"{test.name} cannot run on the live kernel: {why}")


@cache
def machine() -> dict[str, str]:
    """What this machine calls itself: system, release, processor and, where one shows, the layer in between."""
    about = {"system": platform.system(), "release": platform.release(), "processor": platform.machine()}
    if sys.platform.startswith("linux"):
        version = _read("/proc/version") + _read("/proc/sys/kernel/osrelease")
        if "icrosoft" in version:
            about["layer"] = "WSL 2" if "WSL2" in version else "WSL"
        elif "Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016" in version:
            about["layer"] = "gVisor"  # the fixed string of runsc, whatever runs below
        elif Path("/.dockerenv").exists() or "docker" in _read("/proc/1/cgroup"):
            about["layer"] = "a container"
        status = _read("/proc/self/status")
        if "\nSeccomp:\t2" in status:
            about["seccomp"] = "a seccomp filter is on"
    return about


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", errors="replace")
    except OSError:
        return ""
