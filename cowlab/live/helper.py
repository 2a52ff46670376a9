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
import time

from . import calls
from .actor import FINISH, INIT, act, resume
from .cage import Cage
from .kit import Kit, Trouble, address, ended, is_huge, make_file
from .trials import facilities, zero_frames

__all__ = ["main"]

PAGEOUTS = 8  # times to ask again
SQUEEZES = 8  # rounds of memory pressure: a page that was just used is given a second chance
PATIENCE = 20_000  # ms in which a step has to be over; nothing that an actor is asked to do takes a hundredth of it
REFERENCES = {"vmsplice", "io_uring", "odirect"}
PRESENT, FRAME = 1 << 63, (1 << 55) - 1  # Documentation/admin-guide/mm/pagemap.rst


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
        self.pinned: dict[int, int] = {}  # fixed buffer -> frame number, as far as it is shown
        self.cage: Cage | None = None  # where there is memory pressure

    def go(self) -> dict:
        kit, program = self.kit, self.program
        kit.reserve(program)
        program["files"] = [make_file(value, attributes) for value, attributes in program["pages"]]
        try:
            if any(step["op"] == "reclaim" for step in program["steps"]):
                self.cage = Cage()
            try:
                pid = os.fork()
            except OSError as e:
                raise Trouble(f"fork: {errno.errorcode.get(e.errno, e.errno)}") from None
            if pid == 0:
                act(kit, program, 0)
            self.actors[0] = Actor(pid)
            if self.cage:
                self.cage.add(pid)
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
            if self.cage:
                self.cage.remove()

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
        if op == "reclaim":
            return self.reclaim(step["page"])
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
        if op == "exec":
            if error:
                raise Trouble(f"execve: {error}")
            self.actors[who].look_again()
        elif op in REFERENCES:
            self.held[ref] = error
            if op == "io_uring" and not error:
                self.pinned[ref] = (self.actors[who].entry(step["page"]) or 0) & FRAME
        elif op == "put":
            del self.held[ref]
            self.pinned.pop(ref, None)
        elif step["arg"] == "pageout":
            self.page_out_again(n, step)
        if step["reg"] and (answer or op == "futex_wait"):
            self.regs[f"{self.names[who]}.{step['reg']}"] = error or answer
        return error or answer or None

    def page_out_again(self, n: int, step: dict) -> None:
        """madvise(MADV_PAGEOUT) passes over a page that is just being written to swap; a moment later it does not."""
        for _ in range(PAGEOUTS):
            if not (self.actors[step["proc"]].entry(step["page"]) or 0) & PRESENT:
                return
            time.sleep(0.002)
            self.ask(step["proc"], n)

    def reclaim(self, page: int) -> None:
        """Press until no process has the page, but for what a fixed buffer pins."""
        for _ in range(SQUEEZES):
            self.cage.squeeze()
            entries = [actor.entry(page) or 0 for actor in self.actors.values() if actor.alive]
            if not [e for e in entries if e & PRESENT and e & FRAME not in self.pinned.values()]:
                return
        raise Trouble("memory pressure did not take the page")

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
        with open(f"/proc/{self.actors[0].pid}/smaps", encoding="utf-8", errors="replace") as f:
            text = f.read()
        if not all(is_huge(text, address(n)) for n in wanted):
            raise Trouble("no huge page was to be had")

    def finish(self) -> dict:
        values: dict[str, int | str] = {}
        for ref, error in self.held.items():
            kind, at = self.program["refs"][ref]
            if kind != "odirect" or error:
                page = self.program["ref_pages"][ref]
                values[self.program["ref_names"][ref]] = error or self.kit.load(kind, at, page)
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


def poll(*fds: int) -> list[int]:
    """Which of the descriptors are readable; none when patience is over."""
    watcher = select.poll()
    for fd in fds:
        watcher.register(fd, select.POLLIN)
    return [fd for fd, _ in watcher.poll(PATIENCE)]


def drain_channels(kit: Kit) -> None:
    """Nothing that one run said may be heard in the next."""
    for command, _, answer, _ in kit.channels:
        for fd in (command, answer):
            while select.select([fd], [], [], 0)[0]:
                os.read(fd, 1 << 16)


def prepare() -> None:
    """Small, quiet, and on one CPU: LRU batches are per CPU, and a write fault drains only its own.

    SIGTERM, which also comes when the parent dies, unwinds the run: its actors are killed and waited for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, terminated)
    calls.prctl(calls.PR_SET_PDEATHSIG, signal.SIGTERM)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    gc.disable()
    gc.freeze()


def terminated(*_) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: nothing may break into the clean-up
    sys.exit(0)


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
