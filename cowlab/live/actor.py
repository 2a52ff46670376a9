"""One process of a test: it takes one step at a time, on command, and owns nothing but its page tables."""

import errno
import json
import os
import signal
import sys

from . import calls
from .kit import Kit, address

__all__ = ["FINISH", "INIT", "act", "resume"]

FINISH, INIT = 0xFFFF, 0xFFFE  # commands besides the number of a step


def act(kit: Kit, program: dict, me: int) -> None:
    """Take commands until the helper kills this process. Never returns."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        calls.prctl(calls.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == program["helper"]:  # else the helper had died before the line above
            obey(kit, program, me)
    finally:
        os._exit(1)


def obey(kit: Kit, program: dict, me: int) -> None:
    command, answer = kit.channels[me][0], kit.channels[me][3]
    while data := os.read(command, 2):
        n = int.from_bytes(data, "little")
        try:
            if n == INIT:
                result = set_up(program)
            elif n == FINISH:
                result = json.dumps([calls.load8(address(p)) if calls.mapped(address(p)) else None
                                     for p in range(len(program["pages"]))])  # fmt: skip
            else:
                result = take(kit, program, me, program["steps"][n])
        except OSError as e:
            result = f"!{errno.errorcode.get(e.errno, e.errno)}"
        os.write(answer, (result or "").encode() + b"\n")


def set_up(program: dict) -> str:
    """The mappings of the test, in the order of its init, each touched as it says."""
    for number, (value, attributes) in enumerate(program["pages"]):
        at, has = address(number), set(attributes)
        huge = bool(has & {"huge", "hugepte"})
        calls.map_page(at, calls.PMD if huge else calls.PAGE, True, "shared" in has, program["files"][number])
        calls.advise(at, calls.PMD if huge else calls.PAGE, "hugepage" if huge else "nohugepage")
        if value is not None and "file" not in has:
            calls.store8(at, value)
        if "hugepte" in has:  # protecting another 4 KiB of it splits the PMD, and leaves the compound page whole
            calls.protect(at + calls.PAGE, calls.PAGE, False)
            calls.protect(at + calls.PAGE, calls.PAGE, True)
        if "ro" in has:
            calls.protect(at, calls.PMD if huge else calls.PAGE, False)
    return ""


def take(kit: Kit, program: dict, me: int, step: dict) -> str:
    """One step; the answer is what the model calls its result."""
    op, page = step["op"], step["page"]
    at, length = address(page), calls.PMD if program["huge"][page] else calls.PAGE
    kind, where = program["refs"][step["ref"]] if step["ref"] is not None else ("", 0)
    if op in ("read", "write"):
        calls.prctl(calls.PR_SET_DUMPABLE, 0)  # a bad address is part of the test: no core, no crash reporter
        if op == "write":
            calls.store8(at, step["arg"])
        value = calls.load8(at) if op == "read" else None
        calls.prctl(calls.PR_SET_DUMPABLE, 1)
        return "" if value is None else str(value)
    if op == "fork":
        if child := calls.fork_sibling():
            return str(child)
        act(kit, program, step["arg"])
    elif op == "exec":
        exec_again(kit, program, me)
    elif op == "exit":
        os._exit(0)
    elif op == "munmap":
        calls.unmap(at, length)
    elif op == "mprotect":
        calls.protect(at, length, step["arg"] == "rw")
    elif op == "madvise":
        calls.advise(at, length, step["arg"])
    elif op == "vmsplice":
        calls.splice_in(kit.pipes[where][1], at)
    elif op == "io_uring":
        kit.rings[where].register(at)
    elif op == "odirect":
        calls.write_from(kit.disk, at)
    elif op == "process_vm_readv":
        return str(calls.read_self(at))
    elif op == "ptrace":
        memory = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return str(int.from_bytes(os.pread(memory, 8, at), "little"))
        except OSError:  # EIO stands for the EFAULT of the lookup
            raise OSError(errno.EFAULT, "") from None
        finally:
            os.close(memory)
    elif op == "futex_wait":
        calls.futex_wait(at)
    elif op == "put":
        kit.put(kind, where)
    elif op == "load":
        return str(kit.load(kind, where, page))
    elif op == "store":
        kit.store(where, page, step["arg"])
    elif op == "filewrite":
        if not calls.mapped(at):
            raise OSError(errno.ENOMEM, "")
        if program["files"][page] < 0:
            raise OSError(errno.EBADF, "")
        os.pwrite(program["files"][page], step["arg"].to_bytes(8, "little"), 0)
    elif op == "clear_refs":
        with open("/proc/self/clear_refs", "wb", 0) as f:
            f.write(b"4")
    return ""


def exec_again(kit: Kit, program: dict, me: int) -> None:
    """A real execve(2): the same program starts anew, with the same descriptors and none of the mappings."""
    state = os.memfd_create("cowlab", 0)
    kept = {
        "me": me, "program": program, "channels": kit.channels, "scratch": kit.scratch, "pipes": kit.pipes,
        "rings": [(ring.fd, ring.layout) for ring in kit.rings], "disk": kit.disk,
    }  # fmt: skip
    os.write(state, json.dumps(kept).encode())
    pipes = [fd for fds in (kit.scratch, *kit.channels, *kit.pipes) for fd in fds]
    for fd in [*pipes, *(ring.fd for ring in kit.rings), *program["files"], kit.disk]:
        if fd >= 0:
            os.set_inheritable(fd, True)
    os.execv(sys.executable, [*sys.orig_argv[:-1], str(state)])


def resume(state: int) -> None:
    """The other side of :func:`exec_again`."""
    os.lseek(state, 0, os.SEEK_SET)
    with open(state, "rb") as f:
        kept = json.load(f)
    kit, me = Kit.__new__(Kit), kept["me"]
    kit.channels, kit.scratch, kit.pipes, kit.disk = (kept[name] for name in ("channels", "scratch", "pipes", "disk"))
    kit.rings = [calls.Ring(fd, layout) for fd, layout in kept["rings"]]
    os.write(kit.channels[me][3], b"\n")
    act(kit, kept["program"], me)
