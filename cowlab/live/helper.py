"""The helper process: it makes the processes of a test, and lets them take one step at a time.

Started by :mod:`.session` as ``python -I -S``, so nothing of the learner's is loaded here. One JSON object a line
comes in on stdin and one goes out on stdout; when stdin ends the helper ends, and its actors die with it.

Who holds what: the *helper* makes the pipes, the rings and the files beforehand, so that a reference survives the
process that took it. An *actor* is forked afresh for every run and owns nothing but its page tables. Every actor
is a child of the helper (:func:`.calls.fork_sibling`), so the helper sees how each one ends, and none is left over.
"""

import contextlib
import errno
import gc
import json
import os
import resource
import select
import signal
import sys
from functools import cache

from . import calls

__all__ = ["main"]

BASE, STRIDE = 0x1000000000, 4 << 20  # where page 0 is, and how far on the next one
PROCESSES = 8
FINISH, INIT = 0xFFFF, 0xFFFE  # commands besides the number of a step
PATIENCE = 2_000  # ms in which a step has to be over; nothing that an actor is asked to do takes a thousandth of it
PRESENT, SWAPPED, EXCLUSIVE = 1 << 63, 1 << 62, 1 << 56  # Documentation/admin-guide/mm/pagemap.rst
REFERENCES = {"vmsplice", "io_uring", "odirect"}


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


# An actor


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


# The helper


class Actor:
    """What the helper knows of a process it has made."""

    def __init__(self, pid: int):
        self.pid, self.pidfd, self.pagemap, self.alive = pid, os.pidfd_open(pid), -1, True
        self.look_again()

    def look_again(self) -> None:
        """pagemap belongs to an mm, and execve(2) makes a new one."""
        self.close_pagemap()
        with contextlib.suppress(OSError):
            self.pagemap = os.open(f"/proc/{self.pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)

    def close_pagemap(self) -> None:
        if self.pagemap >= 0:
            os.close(self.pagemap)
        self.pagemap = -1

    def reap(self) -> int:
        """Wait until it is gone, mappings and all: the status of waitpid(2)."""
        _, status = os.waitpid(self.pid, 0)
        self.alive = False
        self.close_pagemap()
        os.close(self.pidfd)
        return status

    def entry(self, page: int) -> int | None:
        if self.pagemap < 0:
            return None
        data = os.pread(self.pagemap, 8, address(page) // calls.PAGE * 8)
        return int.from_bytes(data, "little") if len(data) == 8 else None


class Run:
    """One schedule, from the first fork to the last reading."""

    def __init__(self, kit: Kit, program: dict):
        self.kit, self.program = kit, program
        self.names = program["processes"]
        self.actors: dict[int, Actor] = {}
        self.held: dict[int, str] = {}  # reference -> "" or the error's name
        self.regs: dict[str, str] = {}
        self.faults: dict[int, str] = {}
        self.seen: list[dict[str, int | None]] = []
        self.results: list[str | None] = []

    def go(self) -> dict:
        kit, program = self.kit, self.program
        kit.reserve(program)
        program["files"] = [make_file(value, attributes) for value, attributes in program["pages"]]
        try:
            try:
                pid = os.fork()
            except OSError as e:
                raise Trouble(f"fork: {errno.errorcode.get(e.errno, e.errno)}") from None
            if pid == 0:
                act(kit, program, 0)
            self.actors[0] = Actor(pid)
            if (answer := self.ask(0, INIT)).startswith("!"):
                raise Trouble(f"init: {answer[1:]}")
            self.check_huge()
            self.look()
            for n, step in enumerate(program["steps"]):
                self.results.append(self.step(n, step))
                self.look()
            return self.finish()
        finally:
            for actor in self.actors.values():
                if actor.alive:
                    os.kill(actor.pid, signal.SIGKILL)
                    actor.reap()
            kit.empty(program)
            for fd in program["files"]:
                if fd >= 0:
                    os.close(fd)
            drain_channels(kit)

    def ask(self, who: int, command: int) -> str | None:
        """One command, one answer; None: the process died of it."""
        os.write(self.kit.channels[who][1], command.to_bytes(2, "little"))
        answers, actor = self.kit.channels[who][2], self.actors[who]
        ready = poll(answers, actor.pidfd)
        if answers not in ready:
            if not ready:
                raise Trouble(f"a step took longer than {PATIENCE // 1000} s")
            self.faults[who] = ended(actor.reap())
            return None
        return os.read(answers, 1 << 16).decode().rstrip("\n")

    def step(self, n: int, step: dict) -> str | None:
        who, op, ref = step["proc"], step["op"], step["ref"]
        if who not in self.actors or not self.actors[who].alive:
            return None
        if op in ("put", "load", "store") and self.held.get(ref, "not held"):
            return None  # a reference that failed, or was put
        answer = self.ask(who, n)
        if op == "exit":
            self.faults.pop(who)
            return None
        if answer is None:
            return self.faults[who]
        error = answer[1:] if answer.startswith("!") else ""
        if op == "fork":
            if error:
                raise Trouble(f"fork: {error}")
            self.actors[step["arg"]] = Actor(int(answer))
            return None
        elif op == "exec":
            if error:
                raise Trouble(f"execve: {error}")
            self.actors[who].look_again()
        elif op in REFERENCES:
            self.held[ref] = error
        elif op == "put":
            del self.held[ref]
        if step["reg"] and (answer or op == "futex_wait"):
            self.regs[f"{self.names[who]}.{step['reg']}"] = error or answer
        return error or answer or None

    def look(self) -> None:
        """What pagemap says of every page of every live process."""
        self.seen.append({
            f"{self.names[who]}.{page}": actor.entry(page)
            for who, actor in sorted(self.actors.items()) if actor.alive for page in range(len(self.program["pages"]))
        })  # fmt: skip

    def check_huge(self) -> None:
        """Was there a huge page to be had? Only smaps says so without privilege."""
        wanted = [n for n, (value, attributes) in enumerate(self.program["pages"]) if "huge" in attributes and value]
        if not wanted:
            return
        with open(f"/proc/{self.actors[0].pid}/smaps") as f:
            text = f.read()
        if not all(is_huge(text, address(n)) for n in wanted):
            raise Trouble("no huge page was to be had")

    def finish(self) -> dict:
        values: dict[str, int | str] = {}
        for ref, error in self.held.items():
            kind, at = self.program["refs"][ref]
            if kind != "odirect" or error:
                values[self.program["ref_names"][ref]] = error or self.kit.load(kind, at, self.program["ref_pages"][ref])
        for who, actor in self.actors.items():
            if not actor.alive:
                continue
            answer = self.ask(who, FINISH)
            if answer is None or answer.startswith("!"):
                raise Trouble(f"{self.names[who]} could not be read at the end: {answer or self.faults[who]}")
            for page, value in enumerate(json.loads(answer)):
                values[f"{self.names[who]}.{page}"] = "unmapped" if value is None else value
        values |= {f"{self.names[who]}.fault": fault for who, fault in self.faults.items()}
        return {"values": values, "regs": self.regs, "seen": self.seen, "results": self.results}


def is_huge(smaps: str, at: int) -> bool:
    """Does a PMD map the page at this address?"""
    mine = f"\n{smaps}".partition(f"\n{at:x}-")[2].partition("AnonHugePages:")[2]
    return mine.split(None, 1)[:1] not in ([], ["0"])


def poll(*fds: int) -> list[int]:
    """Which of the descriptors are readable; none when patience is over."""
    watcher = select.poll()
    for fd in fds:
        watcher.register(fd, select.POLLIN)
    return [fd for fd, _ in watcher.poll(PATIENCE)]


def ended(status: int) -> str:
    number = os.waitstatus_to_exitcode(status)
    return signal.Signals(-number).name if number < 0 else f"exit {number}"


def drain_channels(kit: Kit) -> None:
    """Nothing that one run said may be heard in the next."""
    for command, _, answer, _ in kit.channels:
        for fd in (command, answer):
            while select.select([fd], [], [], 0)[0]:
                os.read(fd, 1 << 16)


def make_file(value: int | None, attributes: list[str]) -> int:
    """A file of one page in the page cache, if the mapping has one: memfd_create(2), so it never has a name."""
    if not set(attributes) & {"file", "shared"}:
        return -1
    fd = os.memfd_create("cowlab", os.MFD_CLOEXEC)
    os.ftruncate(fd, calls.PAGE)
    if value is not None and "file" in attributes:
        os.pwrite(fd, value.to_bytes(8, "little"), 0)
    return fd


# What the kernel lets us do


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


def try_memfd(kit) -> None:
    fd = make_file(7, ["file"])
    calls.map_page(BASE, calls.PAGE, True, False, fd)
    if calls.load8(BASE) != 7:
        raise OSError(errno.EIO, "")


def try_huge(kit) -> str:
    calls.map_page(BASE, calls.PMD, True, False, -1)
    calls.advise(BASE, calls.PMD, "hugepage")
    calls.store8(BASE, 7)
    with open("/proc/self/smaps") as f:
        return "" if is_huge(f.read(), BASE) else "no huge page"


TRIALS = {
    "fork": try_fork, "pagemap": try_pagemap, "vmsplice": try_vmsplice, "io_uring": try_io_uring,
    "process_vm_readv": try_process_vm_readv, "ptrace": try_ptrace, "odirect": try_odirect,
    "futex_wait": try_futex, "clear_refs": try_clear_refs, "pageout": try_pageout, "file": try_memfd,
    "huge": try_huge,
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


# Start and stop


def prepare() -> None:
    """Small, quiet, and on one CPU: LRU batches are per CPU, and a write fault drains only its own.

    SIGTERM, which also comes when the parent dies, unwinds the run: its actors are killed and waited for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    calls.prctl(calls.PR_SET_PDEATHSIG, signal.SIGTERM)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    gc.disable()
    gc.freeze()


def main() -> None:
    """Serve until stdin ends. With a number as the last argument: go on after an execve(2)."""
    if sys.argv[-1].isdigit():
        resume(int(sys.argv[-1]))
    prepare()
    kit, helper = Kit(), os.getpid()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if request.get("ask") == "facilities":
            reply = {"facilities": facilities(kit), "zero": zero_frames(), "helper": helper}
        else:
            request["helper"] = helper
            try:
                reply = Run(kit, request).go()
            except Trouble as e:
                reply = {"trouble": str(e)}
            except OSError as e:
                reply = {"trouble": f"{errno.errorcode.get(e.errno, e.errno)}: {e.strerror}"}
        sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n")
        sys.stdout.buffer.flush()
