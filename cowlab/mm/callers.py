"""Who calls get_user_pages(), and how: one table for the model, the lessons and the tests."""

from typing import NamedTuple

from . import gup
from .gup import FOLL_ASK_BREAK, FOLL_FORCE, FOLL_GET, FOLL_LONGTERM, FOLL_PIN, FOLL_WRITE


class Caller(NamedTuple):
    args: str  # in a litmus test; REF is held until `put`, without one the lookup is over at once
    entry: str  # slow, fast, only (fast-only), only-slow (fast-only, then the slow path)
    flags: int | str  # a str is the field of the kernel's row that has them
    lasts: str
    cares: str  # does it matter to this caller which side of a COW it gets?
    source: str


LONGTERM_PIN = FOLL_PIN | FOLL_WRITE | FOLL_LONGTERM
CALLERS = {
    "gup": Caller("PAGE -> REF [write] [force]", "slow", FOLL_GET, "until put", "-", "get_user_pages()"),
    "gup_fast": Caller("PAGE -> REF [write]", "fast", FOLL_GET, "until put", "-", "get_user_pages_fast()"),
    "gup_fast_only": Caller("PAGE -> REF [write]", "only", FOLL_GET, "until put", "-", "__get_user_pages_fast()"),
    "pin": Caller("PAGE -> REF [write] [longterm] [slow]", "fast", FOLL_PIN, "until put", "-", "pin_user_pages_fast()"),
    "vmsplice": Caller("PAGE -> REF", "fast", FOLL_GET, "while the pipe holds it", "yes", "iter_to_pipe(), v5.8"),
    "io_uring": Caller("PAGE -> REF", "slow", LONGTERM_PIN, "until unregistered", "yes", "io_sqe_buffer_register()"),
    "odirect": Caller("PAGE -> REF", "fast", "odirect", "one I/O", "mildly", "iov_iter_get_pages(), v5.8"),
    "rdma": Caller("PAGE -> REF [ro]", "fast", LONGTERM_PIN, "until deregistered", "yes", "ib_umem_get(), v5.8"),
    "userptr": Caller("PAGE -> REF [ro]", "only-slow", "userptr", "until invalidated", "perhaps", "i915 userptr, v5.8"),
    "kvm": Caller("PAGE -> REF [write]", "only-slow", FOLL_GET, "until invalidated", "no", "hva_to_pfn(), v5.8"),
    "process_vm_readv": Caller("PAGE [-> REG]", "slow", FOLL_PIN, "one call", "no", "process_vm_rw_single_vec(), v5.6"),
    "ptrace": Caller("PAGE [-> REG]", "slow", FOLL_GET | FOLL_FORCE, "one call", "no", "__access_remote_vm(), v5.8"),
    "uprobe": Caller("PAGE [-> REG]", "slow", FOLL_GET | FOLL_FORCE, "one call", "no", "uprobe_write_opcode(), v5.8"),
    "futex_wait": Caller("PAGE -> REG", "fast", FOLL_GET | FOLL_WRITE, "one call", "depends", "get_futex_key(), v5.8"),
    "perf": Caller("PAGE -> REG", "only", FOLL_GET, "a moment", "no", "perf_virt_to_phys(), v5.8"),
}  # fmt: skip
OPTIONS = {"write": FOLL_WRITE, "force": FOLL_FORCE, "longterm": FOLL_LONGTERM}
MIRRORS = ("userptr", "kvm")  # a device's own page table, told by an mmu notifier when the owner's changes


def flags_of(k, op: str, options: tuple[str, ...] = ()) -> int:
    """The FOLL_* flags with which the caller asks on kernel ``k``; FOLL_ASK_BREAK means something on one road."""
    flags = "rdma_read_only" if op == "rdma" and "ro" in options else CALLERS[op].flags
    flags = (getattr(k, flags) if isinstance(flags, str) else flags) | sum(OPTIONS.get(o, 0) for o in options)
    flags |= FOLL_WRITE if op == "userptr" and "ro" not in options else 0
    return flags | (FOLL_ASK_BREAK if CALLERS[op].cares == "yes" else 0)


def look_up(s, k, proc: str, page: int, op: str, options: tuple[str, ...] = ()):
    """What the caller does to find its page: (state, frame or None, error, why)."""
    entry, flags, why = "slow" if "slow" in options else CALLERS[op].entry, flags_of(k, op, options), ()
    if entry != "slow":
        s, frame, error, why = gup.get_user_pages_fast(s, k, proc, page, flags, only=entry.startswith("only"))
        if error != "nopage" or entry == "only":
            return s, frame, error, why
    s, frame, error, slow = gup.get_user_pages(s, k, proc, page, flags)
    return s, frame, error, why + slow


def gpu_mem_total(s) -> list[tuple[int, int, int]]:
    """What the tracepoint gpu_mem_total would report: (gpu id, pid, bytes), pid 0 for the whole GPU. The model
    has one GPU, and a process's pid is its place in order of creation. Source: drivers/gpu/trace, v5.7."""
    held = [r.proc for r in s.refs if r.mirror and r.frame is not None and r.counted]
    used = [(0, pid, 4096 * held.count(p.name)) for pid, p in enumerate(s.procs, 1) if p.name in held]
    return [(0, 0, 4096 * len(held)), *used]
