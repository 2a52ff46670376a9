"""Who calls get_user_pages(), and how: one table for the model, the lessons and the tests."""

from typing import NamedTuple

from .gup import FOLL_FORCE, FOLL_GET, FOLL_LONGTERM, FOLL_PIN, FOLL_WRITE, get_user_pages, get_user_pages_fast


class Caller(NamedTuple):
    """``entry``: slow, fast, only (fast-only), or only-slow (fast-only, then a worker takes the slow path).
    ``cares``: does it matter to this caller which side of a COW it gets?"""

    args: str
    entry: str
    flags: int  # of a lookup without options; userptr adds the FOLL_GET or FOLL_PIN of the kernel's row
    lasts: str
    cares: str
    source: str


LONGTERM_PIN = FOLL_PIN | FOLL_WRITE | FOLL_LONGTERM
CALLERS = {
    "gup": Caller("PAGE -> REF [write] [force]", "slow", FOLL_GET, "until put", "", "get_user_pages()"),
    "gup_fast": Caller("PAGE -> REF [write]", "fast", FOLL_GET, "until put", "", "get_user_pages_fast()"),
    "gup_fast_only": Caller("PAGE -> REF [write]", "only", FOLL_GET, "until put", "", "__get_user_pages_fast()"),
    "pin": Caller("PAGE -> REF [write] [longterm] [slow]", "fast", FOLL_PIN, "until put", "", "pin_user_pages_fast()"),
    "vmsplice": Caller("PAGE -> REF", "fast", FOLL_GET, "while the pipe holds it", "yes", "iter_to_pipe(), v5.8"),
    "io_uring": Caller("PAGE -> REF", "slow", LONGTERM_PIN, "until unregistered", "yes", "io_sqe_buffer_register()"),
    "userptr": Caller("PAGE -> REF [ro]", "only-slow", FOLL_WRITE, "until invalidated", "perhaps", "i915 userptr"),
    "odirect": Caller("PAGE -> REF", "fast", 0, "one I/O", "mildly", "iov_iter_get_pages(), iov_iter_extract_pages()"),
    "process_vm_readv": Caller("PAGE [-> REG]", "slow", FOLL_PIN, "one call", "no", "process_vm_rw_single_vec()"),
    "perf": Caller("PAGE -> REG", "only", FOLL_GET, "a moment", "no", "perf_virt_to_phys(), v5.8"),
}  # fmt: skip
OPTIONS = {"write": FOLL_WRITE, "force": FOLL_FORCE, "longterm": FOLL_LONGTERM}


def flags_of(k, op: str, options: tuple[str, ...] = ()) -> int:
    """The FOLL_* flags with which the caller asks on kernel ``k``."""
    flags = CALLERS[op].flags | sum(OPTIONS.get(o, 0) for o in options)
    if op == "userptr":
        return k.userptr | (0 if "ro" in options else flags)
    return k.odirect if op == "odirect" else flags


def look_up(s, k, proc: str, page: int, op: str, options: tuple[str, ...] = ()):
    """What the caller does to find its page: (state, frame or None, error, why)."""
    entry, flags = "slow" if "slow" in options else CALLERS[op].entry, flags_of(k, op, options)
    if entry == "slow":
        return get_user_pages(s, k, proc, page, flags)
    s, frame, error, why = get_user_pages_fast(s, k, proc, page, flags, only=entry.startswith("only"))
    if error == "nopage" and entry == "only-slow":
        s, frame, error, slow = get_user_pages(s, k, proc, page, flags)
        why += slow
    return s, frame, error, why
