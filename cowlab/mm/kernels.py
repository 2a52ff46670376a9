"""The kernel generations as data: one row each, and a row differs from its parent by what its commits changed.

A version is an alias of a mechanism: stable kernels carry some of these rules as backports.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches

from . import fault, fork, gup, reclaim
from .callers import LONGTERM_PIN
from .gup import FOLL_FORCE, FOLL_GET, FOLL_LONGTERM, FOLL_PIN


@dataclass(frozen=True, slots=True)
class Kernel:
    """The rules of one generation. Each callable is a plain function, named for what it decides."""

    name: str
    about: str
    commits: tuple[str, ...]
    aliases: tuple[str, ...]  # releases that show this mechanism; of two rows alike the measured one
    reuse: Callable  # do_wp_page(): may the writer take the page over?
    reuse_ksm: Callable  # do_wp_page(): and a KSM page?
    reuse_huge: Callable  # do_huge_pmd_wp_page(): and a THP mapped by a PMD?
    swap_in: Callable  # do_swap_page(): whose is a page that comes back?
    fork_copies: Callable  # copy_present_pte(): does the child get a copy at once?
    force_cow_break: Callable  # __get_user_pages(): does a read lookup break COW?
    after_break: Callable  # faultin_page(): what is remembered, when the entry stays read-only?
    fast_walk: Callable  # internal_get_user_pages_fast(): which entries may be taken without a lock?
    follow_write: Callable  # can_follow_write_pte(): is a read-only entry good enough for FOLL_WRITE?
    must_unshare: Callable  # gup_must_unshare(): does a pin ask for a page of its own?
    mprotect_writable: Callable  # can_change_pte_writable(): does mprotect set the write bit by itself?
    exclusive: bool  # PageAnonExclusive is kept
    copies_whole_huge: bool  # do_huge_pmd_wp_page() copies 2 MiB; else it splits the PMD and copies 4 KiB
    allocates_huge_for_zero: bool  # ... and replaces the huge zero page by a THP; else it splits it too
    split_keeps_dirty: bool  # __split_huge_pmd_locked() carries the dirty bit over
    copy_frees_swap_cache: bool  # wp_page_copy() takes the page it leaves out of the swap cache
    keeps_pinned: bool  # shrink_page_list() leaves pinned pages alone
    clear_refs_flushes: bool  # clear_refs flushes the TLB of what it write-protects
    clear_refs_keeps_pinned: bool  # ... and leaves pinned pages writable
    userptr: int  # FOLL_GET or FOLL_PIN: how i915 userptr takes its pages
    odirect: int  # the same for O_DIRECT
    rdma_read_only: int  # the flags for a read-only RDMA region
    uffd_continue: bool  # UFFDIO_CONTINUE on shmem
    io_uring_files: bool  # fixed buffers may lie in mappings with a file (tmpfs, shmem)


V5_7 = Kernel(
    "v5.7", "the writer takes a page over when nobody else maps it; references do not count",
    (), ("5.7", "5.4.0", "5.6.4"),
    reuse=fault.sole_mapper, reuse_ksm=fault.sole_ksm_reference, reuse_huge=fault.sole_mapper,
    swap_in=reclaim.sole_swap_user, fork_copies=fork.share, force_cow_break=gup.take_as_is, fast_walk=gup.any_present,
    after_break=gup.remember_cow, follow_write=gup.after_forced_cow, must_unshare=gup.never_unshare, mprotect_writable=fault.never,
    exclusive=False, copies_whole_huge=True, allocates_huge_for_zero=True, split_keeps_dirty=False,
    copy_frees_swap_cache=False, keeps_pinned=False, clear_refs_flushes=False, clear_refs_keeps_pinned=False,
    userptr=FOLL_GET, odirect=FOLL_GET, rdma_read_only=LONGTERM_PIN | FOLL_FORCE, uffd_continue=False, io_uring_files=False,
)  # fmt: skip
V5_8 = replace(
    V5_7, name="v5.8", about="COW is broken when the reference is taken", commits=("17839856fd", "2170ecfa7688"),
    aliases=("5.8", "5.8.1", "5.8.18", "5.7.6", "5.7.14", "5.4.195"),
    force_cow_break=gup.break_cow, fast_walk=gup.only_writable, follow_write=gup.after_cow, userptr=FOLL_PIN,
    copies_whole_huge=False, allocates_huge_for_zero=False,
)  # fmt: skip
V5_9 = replace(
    V5_7, name="v5.9", about="any extra reference makes the writer copy; fork copies pinned pages at once",
    commits=("09854ba94c6a", "a308c71bf1e6", "70e806e4e645"), aliases=("5.9", "5.9.1"),
    reuse=fault.sole_reference, reuse_ksm=fault.never_reuse_ksm, fork_copies=fork.copy_if_maybe_pinned,
    userptr=FOLL_PIN, io_uring_files=True, copies_whole_huge=False, allocates_huge_for_zero=False,
)  # fmt: skip
V5_10 = replace(
    V5_9, name="v5.10", about="as v5.9; pinned pages are kept from reclaim, and fork copies no page-cache page",
    commits=("feb889fb40fa",), aliases=("5.10", "5.10.223", "5.15", "5.15.100"),
    fork_copies=fork.copy_if_maybe_pinned_anon, keeps_pinned=True, clear_refs_flushes=True, clear_refs_keeps_pinned=True,
)  # fmt: skip
V5_18 = replace(
    V5_10, name="v5.18", about="as v5.10, and the reference count decides for swap-in and huge pages too",
    commits=("53a05ad9f21d", "c145e0b47c77", "3bff7e3f1f16"), aliases=("5.18", "5.18.12"),
    reuse=fault.sole_reference_but_swap_cache, reuse_huge=fault.sole_reference_but_swap_cache,
    uffd_continue=True,
    swap_in=reclaim.sole_swap_reference, fork_copies=fork.copy_if_maybe_pinned, copy_frees_swap_cache=True,
)  # fmt: skip
V5_19 = replace(
    V5_18, name="v5.19", about="a bit on the page says whose it is; a read pin of a shared page unshares it first",
    commits=("6c287605fd56", "c89357e27f20", "a7f226604170"), aliases=("5.19", "6.0"), exclusive=True,
    reuse=fault.exclusive_or_sole_reference, reuse_huge=fault.exclusive_or_sole_reference,
    swap_in=reclaim.exclusive_or_sole_swap_reference, fork_copies=fork.copy_exclusive_if_maybe_pinned,
    must_unshare=gup.unshare_if_pinned,
)  # fmt: skip
V6_1 = replace(
    V5_19, name="v6.1", about="as v5.19; FOLL_COW is gone, mprotect maps dirty exclusive pages writable",
    commits=("5535be309971", "64fe24a3e05e"), aliases=("6.1", "6.1.192"),
    follow_write=gup.exclusive_if_forced, mprotect_writable=fault.if_exclusive_and_dirty, split_keeps_dirty=True,
)  # fmt: skip
V6_12 = replace(
    V6_1, name="v6.12", about="as v6.1; a long-term pin also leaves the zero page and the page cache",
    commits=("8d6a0ac09a16", "84209e87c696"), aliases=("6.12", "6.12.101"),
    must_unshare=gup.unshare_if_pinned_longterm, mprotect_writable=fault.if_exclusive,
    swap_in=reclaim.writable_if_exclusive, odirect=FOLL_PIN, rdma_read_only=FOLL_PIN | FOLL_LONGTERM,
)  # fmt: skip
V6_18 = replace(
    V6_12, name="v6.18", about="as v6.12, and parts of large folios are reused again",
    commits=("1da190f4d0a6",), aliases=("6.18", "6.18.44"),
    reuse=fault.exclusive_or_only_mm,
)  # fmt: skip

KERNELS = {k.name: k for k in (V5_7, V5_8, V5_9, V5_10, V5_18, V5_19, V6_1, V6_12, V6_18)}

V4_8 = replace(
    V5_7, name="v4.8", about="the rules before Dirty COW was fixed", commits=("19be0eaffa3a",), aliases=("4.8",),
    after_break=gup.forget_write, follow_write=gup.writable,
)  # fmt: skip
SPARE = replace(
    V5_8, name="spare-zero-page", about="C13: COW is broken early, but the zero page is spared",
    commits=(), aliases=(), force_cow_break=gup.break_cow_by_flag, follow_write=gup.after_cow_or_zero,
)  # fmt: skip
BREAK = replace(
    V5_8, name="break-cow-flag", about="C14: an internal FOLL_BREAK_COW, which is no write to userfaultfd",
    commits=(), aliases=(), force_cow_break=gup.break_cow_by_flag,
)  # fmt: skip
ASK = replace(
    V5_8, name="caller-flag", about="C16: COW is broken early for callers that ask",
    commits=(), aliases=(), force_cow_break=gup.break_cow_if_asked, fast_walk=gup.only_writable_if_asked,
)  # fmt: skip
ROADS = {k.name: k for k in (V4_8, SPARE, BREAK, ASK)}  # before, and not taken: found by name only


def kernel(name: str) -> Kernel:
    """The row with this name or alias. Raises ValueError, which names the legal choices.

    >>> kernel("5.8.18").name
    'v5.8'
    """
    rows = KERNELS | ROADS
    names = {n: k for k in rows.values() for n in (k.name, *k.aliases)}
    if name in names:
        return names[name]
    near = get_close_matches(name, names, 1, 0.5)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"unknown kernel {name!r}{hint}; choose one of {', '.join(rows)}")
