"""What the kernel lets us do: each thing that the steps need, tried once in a process of its own."""

import contextlib
import errno
import os
import signal
from functools import cache

from . import calls
from .cage import Cage, write
from .kit import BASE, STRIDE, Kit, ended, is_huge, make_file, open_direct

__all__ = ["facilities", "zero_frames"]

PRESENT, SWAPPED, EXCLUSIVE = 1 << 63, 1 << 62, 1 << 56  # Documentation/admin-guide/mm/pagemap.rst


def facilities(kit: Kit) -> dict:
    """Each thing that the steps need, tried once in a process of its own: name -> "" or the error's name."""
    found = {}
    for name in TRIALS:
        r, w = os.pipe()
        try:
            pid = os.fork()
        except OSError as e:
            os.close(r)
            os.close(w)
            return {"fork": errno.errorcode.get(e.errno, str(e.errno))}
        if pid == 0:
            answer = ""
            try:
                calls.prctl(calls.PR_SET_PDEATHSIG, signal.SIGKILL)
                answer = TRIALS[name](kit) or ""
            except OSError as e:
                answer = errno.errorcode.get(e.errno, str(e.errno))
            except BaseException as e:
                answer = type(e).__name__
            os.write(w, answer.encode())
            os._exit(0)
        os.close(w)
        with open(r, "rb") as f:
            answer = f.read().decode()
        status = ended(os.waitpid(pid, 0)[1])
        found[name] = answer if status == "exit 0" else status
    return found | {"frames": frames_visible()}


def try_pages(_kit) -> None:
    calls.map_page(BASE, calls.PAGE, True, False, -1)
    calls.store8(BASE, 7)


def try_fork(kit) -> None:
    calls.number("clone")
    os.close(os.pidfd_open(os.getpid()))


def try_vmsplice(kit) -> str:
    try_pages(kit)
    r, w = os.pipe()
    calls.splice_in(w, BASE)
    calls.tee(r, kit.scratch[1])
    return "" if os.read(kit.scratch[0], 8) == (7).to_bytes(8, "little") else "EIO"


def try_io_uring(kit) -> str:
    try_pages(kit)
    ring = calls.Ring()
    ring.register(BASE)
    ring.transfer(calls.WRITE_FIXED, kit.scratch[1], BASE)
    return "" if os.read(kit.scratch[0], 8) == (7).to_bytes(8, "little") else "EIO"


def try_process_vm_readv(kit) -> str:
    try_pages(kit)
    return "" if calls.read_self(BASE) == 7 else "EIO"


def try_odirect(kit) -> None:
    try_pages(kit)
    calls.write_from(open_direct(), BASE)


def try_futex(kit) -> str:
    try_pages(kit)
    try:
        calls.futex_wait(BASE)
    except OSError as e:
        return "" if e.errno == errno.EAGAIN else errno.errorcode[e.errno]
    return "EIO"


def entry_of(at: int) -> int:
    fd = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.pread(fd, 8, at // calls.PAGE * 8)
    finally:
        os.close(fd)
    if len(data) != 8:
        raise OSError(errno.EIO, "")
    return int.from_bytes(data, "little")


def try_pagemap(kit) -> str:
    try_pages(kit)
    entry = entry_of(BASE)
    return "" if entry & PRESENT and entry & EXCLUSIVE else "no bits"


def try_ptrace(kit) -> str:
    try_pages(kit)
    with open("/proc/self/mem", "rb", 0) as f:
        f.seek(BASE)
        return "" if f.read(8) == (7).to_bytes(8, "little") else "EIO"


def try_clear_refs(kit) -> str:
    try_pages(kit)
    with open("/proc/self/clear_refs", "wb", 0) as f:
        f.write(b"4")
    before = entry_of(BASE)
    calls.store8(BASE, 8)
    return "" if not before & 1 << 55 and entry_of(BASE) & 1 << 55 else "no soft-dirty bit"


def try_pageout(kit) -> str:
    try_pages(kit)
    calls.advise(BASE, calls.PAGE, "pageout")
    return "" if entry_of(BASE) & SWAPPED else "no swap"


def try_reclaim(kit) -> str:
    with open("/proc/swaps", encoding="utf-8", errors="replace") as f:
        if len(f.readlines()) < 2:
            return "no swap"
    cage = Cage()
    try:
        cage.add(os.getpid())
        try_pages(kit)
        for _ in range(8):
            cage.squeeze()
            if entry_of(BASE) & SWAPPED:
                return ""
        return "no swap"
    finally:
        above = os.path.dirname(cage.path)
        write(f"{above}/cgroup.procs", str(os.getpid()).encode())  # a cgroup with a process cannot be removed
        cage.remove()


def try_memfd(kit) -> None:
    fd = make_file(7, ["file"])
    calls.map_page(BASE, calls.PAGE, True, False, fd)
    if calls.load8(BASE) != 7:
        raise OSError(errno.EIO, "")


def try_huge(kit) -> str:
    calls.map_page(BASE, calls.PMD, True, False, -1)
    calls.advise(BASE, calls.PMD, "hugepage")
    calls.store8(BASE, 7)
    with open("/proc/self/smaps", encoding="utf-8", errors="replace") as f:
        return "" if is_huge(f.read(), BASE) else "no huge page"


TRIALS = {
    "fork": try_fork, "pagemap": try_pagemap, "vmsplice": try_vmsplice, "io_uring": try_io_uring,
    "process_vm_readv": try_process_vm_readv, "ptrace": try_ptrace, "odirect": try_odirect,
    "futex_wait": try_futex, "clear_refs": try_clear_refs, "pageout": try_pageout, "reclaim": try_reclaim,
    "file": try_memfd, "huge": try_huge,
}  # fmt: skip


@cache
def zero_frames() -> dict[str, int]:
    """The frame numbers of the zero page and of the huge zero page, as far as they are shown."""
    found = {}
    for name, length in (("zero", calls.PAGE), ("huge", calls.PMD)):
        at = BASE + STRIDE * 1000
        with contextlib.suppress(OSError):
            calls.map_page(at, length, True, False, -1)
            try:
                calls.advise(at, length, "hugepage" if name == "huge" else "nohugepage")
                calls.load8(at)
                found[name] = entry_of(at) & (1 << 55) - 1
            finally:
                calls.unmap(at, length)
    return found


def frames_visible() -> str:
    zero = zero_frames()
    return "" if zero.get("zero") else "EPERM" if "zero" in zero else "ENOENT"
