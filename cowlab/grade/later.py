"""What a seed draws for exercises 09 to 12: budgets, a caller, reports, and verdicts.

As in :mod:`.problems`: of one question all seeds are equally hard, and seed 0 draws the first of each list.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from .problems import Wanted, _pick

__all__ = ["SHOWS", "Budget", "Report", "budget", "caller", "capstone", "report", "sandbox"]


# Exercises 09 and 12: a design within a budget


EVERY = ("shell", "database", "vmsplice", "rdma", "userptr")


@dataclass(frozen=True)
class Budget:
    """Where a design begins, and what it may cost. All but ``base`` are arguments of
    :func:`.design_rubric.check_design`."""

    base: str
    coherence: int
    pages: int
    workloads: tuple[str, ...] = EVERY
    without: tuple[str, ...] = ()

    @property
    def limits(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "base"}

    def __repr__(self) -> str:
        rows = {
            "begin with": self.base, "isolation, may fail": "0", "regression, may fail": "0",
            "coherence, may fail": f"{self.coherence} at most", "pages, together": f"{self.pages} at most",
            "workloads that count": ", ".join(self.workloads),
            "rules not to be used": ", ".join(self.without) or "none",
        }  # fmt: skip
        return "\n".join(f"{name:<22}{value}" for name, value in rows.items())


MACHINES = (  # workloads, and the pages that v5.7 fills in them and one more
    (EVERY, 11), (("shell", "database", "rdma"), 9), (("shell", "vmsplice", "rdma"), 7),
    (("shell", "rdma", "userptr"), 9), (("database", "rdma", "userptr"), 5),
)  # fmt: skip
REVIEWED = (  # rules that somebody has objected to; what is left has a solution
    "unshare_if_pinned_longterm", "unshare_if_pinned", "exclusive_or_sole_swap_reference", "writable_if_exclusive",
)  # fmt: skip
CAPSTONES = (
    (EVERY, 12), (("shell", "database", "rdma"), 10), (("database", "rdma", "userptr"), 6),
    (("shell", "database", "userptr"), 10), (("database", "vmsplice", "rdma"), 4),
)  # fmt: skip
BEGINNINGS = ("v5.8", "spare-zero-page", "break-cow-flag", "caller-flag")
SWAPS = ("writable_if_exclusive", "exclusive_or_sole_swap_reference")
FORKS = ("copy_if_maybe_pinned", "copy_if_maybe_pinned_anon", "copy_exclusive_if_maybe_pinned")


def budget(seed: int = 0) -> Budget:
    """09: v5.7, with a page more than it fills itself, and with a rule that may not be used."""
    (workloads, pages), rule = _pick(seed, [*product(MACHINES, REVIEWED)])
    return Budget("v5.7", 9, pages, workloads, (rule,))


def capstone(seed: int = 0) -> Budget:
    """12: v5.8, or a road not taken, with fewer pages than any kernel needs that loses as few tests; and without two
    rules, one for swap-in and one for fork."""
    base, (workloads, pages), swap, fork = _pick(seed, [*product(BEGINNINGS, CAPSTONES, SWAPS, FORKS)])
    return Budget(base, 3, pages, workloads, (swap, fork))


# Exercise 10: by whom the reference is taken


CALLERS = ("odirect", "gup", "gup_fast_only", "gup_fast", "vmsplice")


def caller(seed: int = 0) -> str:
    """The caller that takes the reference in a test of one's own."""
    return _pick(seed, CALLERS)


# Exercise 11: reports, and verdicts


@dataclass(frozen=True)
class Report:
    """What somebody reports. ``steps`` are those that it speaks of, and ``seen`` says on which kernel what should be
    true was so Always, Sometimes or Never."""

    text: str
    steps: tuple[str, ...]
    seen: dict[str, str]

    def __repr__(self) -> str:
        return self.text


def report(seed: int = 0) -> Report:
    """A report of a reference that shows the wrong data. Each takes a test of four steps."""
    return _pick(seed, REPORTS)


def sandbox(seed: int = 0) -> Wanted:
    """Verdicts to be brought about on v5.7: pins kept over a fork, pins for reading, zeros under a pin that lasts, and
    plain references as they were."""
    fork, pin, zeros = _pick(seed, [*product(_FORKED, _PINNED, _ZEROS)])
    wanted = dict.fromkeys((*fork, pin), "Always") | {"zero-page-under-a-longterm-pin": zeros}
    return Wanted(wanted | {"zero-page-stays-shared": "Always", "child-reads-parent-secret": "Sometimes"})


_FORKED = (
    ("museum-gvisor-pin-over-fork", "pin-kept-when-the-child-exits"), ("rdma-survives-fork", "museum-gpu-that-pins"),
    ("fixed-buffer-survives-fork", "device-data-reaches-the-parent"),
)  # fmt: skip
_PINNED = ("read-pin-follows-its-process", "both-pin-both-in-sync")
_ZEROS = ("Never", "Always")
# What somebody believes whose row leaves this test otherwise
SHOWS = {name: "M8" for names in _FORKED for name in names} | dict.fromkeys(_PINNED, "M7") | {
    "zero-page-stays-shared": "M14", "child-reads-parent-secret": "M13",
}  # fmt: skip


def _told(text: str) -> str:
    """A report as it stands here, in lines that fit a page."""
    return "\n".join(line.strip() for line in text.strip().splitlines())


_OLD = {"v5.8": "Sometimes", "v5.9": "Always"}
REPORTS: Sequence[Report] = (
    Report(_told("""
        Our storage server registers a buffer with io_uring once, at the start. Then it starts a helper with fork() and
        execve(), fills the buffer, and submits. On machines with the rules of v5.8 the disk sometimes gets the old
        contents. We looked for a race for weeks. It depends on whether the helper has reached execve() when the server
        fills the buffer. Since we moved to the rules of v5.9 it has not happened once.
        """), ("io_uring", "fork", "exec"), _OLD),
    Report(_told("""
        Our solver registers a region with the RDMA adapter. Then it forks a child that writes a log line and exits, and
        the solver fills the region. With the rules of v5.8 the peer sometimes receives what was there before. If the
        child has exited by the time we fill the region, all is well. With the rules of v5.9 all is well always.
        """), ("rdma", "fork", "exit"), _OLD),
    Report(_told("""
        A camera driver pins a page of the viewer's (pin). The viewer forks a worker, and draws into the page. The
        worker unmaps the page as soon as it runs. With the rules of v5.8 the camera sometimes shows the page without
        what was drawn: always when we draw before the worker has come to unmap it. With the rules of v5.9 never.
        """), ("pin", "fork", "munmap"), _OLD),
    Report(_told("""
        A cache pins its index for a card (pin), forks a helper, and updates the index. The helper drops the page with
        MADV_DONTNEED, which is all that it does. With the rules of v5.8 the card sometimes works on the old index. A
        slow helper is worse than a quick one. With the rules of v5.9 we have not seen it.
        """), ("pin", "fork", "madvise"), _OLD),
    Report(_told("""
        A web server forks a helper. The helper puts a page into a pipe by vmsplice(), and calls execve(). The server
        then writes a session key to that page. With the rules of v5.7 the key can sometimes be read from the pipe; it
        depends on who comes first. With the rules of v5.8 it never can.
        """), ("vmsplice", "fork", "exec"), {"v5.7": "Sometimes", "v5.8": "Always"}),
    Report(_told("""
        A screen grabber runs in a child: it takes a page by gup_fast_only, keeps it, and exits; its driver goes on
        holding the page. The parent then writes what nobody else should see. With the rules of v5.8 the grabber
        sometimes has it: when the child was quick. With the rules of v5.9 it never does.
        """), ("gup_fast_only", "fork", "exit"), _OLD),
)  # fmt: skip
