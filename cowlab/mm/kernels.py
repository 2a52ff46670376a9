"""The kernel generations as data: one row each, and a row differs from its parent by what its commits changed.
A version is an alias of a mechanism: stable kernels carry some of these rules as backports."""

from collections.abc import Callable as Rule  # a plain function, named for what it decides
from dataclasses import dataclass, replace

from . import fault, fork, gup
from .callers import LONGTERM_PIN
from .gup import FOLL_FORCE, FOLL_GET, FOLL_LONGTERM, FOLL_PIN, after_forced_cow


@dataclass(frozen=True, slots=True)
class Kernel:
    """The rules of one generation: those of v5.7, where a row does not say otherwise."""

    name: str
    about: str
    commits: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()  # releases that show this mechanism; of two rows alike the measured one
    reuse: Rule = fault.sole_mapper  # do_wp_page(): may the writer take the page over?
    reuse_ksm: Rule = fault.sole_ksm_reference  # do_wp_page(): and a KSM page?
    reuse_huge: Rule = fault.sole_mapper  # do_huge_pmd_wp_page(): and a THP mapped by a PMD?
    swap_in: Rule = fault.sole_swap_user  # do_swap_page(): whose is a page that comes back?
    fork_copies: Rule = fork.share  # copy_present_pte(): does the child get a copy at once?
    force_cow_break: Rule = gup.take_as_is  # __get_user_pages(): does a read lookup break COW?
    after_break: Rule = gup.remember_cow  # faultin_page(): what is remembered, when the entry stays read-only?
    fast_walk: Rule = gup.any_present  # internal_get_user_pages_fast(): which entries may be taken without a lock?
    follow_write: Rule = after_forced_cow  # can_follow_write_pte(): is a read-only entry good enough for FOLL_WRITE?
    must_unshare: Rule = gup.never_unshare  # gup_must_unshare(): does a pin ask for a page of its own?
    mprotect_writable: Rule = fault.never  # can_change_pte_writable(): does mprotect set the write bit by itself?
    exclusive: bool = False  # PageAnonExclusive is kept
    copies_whole_huge: bool = True  # do_huge_pmd_wp_page() copies 2 MiB; else it splits the PMD and copies 4 KiB
    allocates_huge_for_zero: bool = True  # ... and replaces the huge zero page by a THP; else it splits it too
    split_keeps_dirty: bool = False  # __split_huge_pmd_locked() carries the dirty bit over
    copy_frees_swap_cache: bool = False  # wp_page_copy() takes the page it leaves out of the swap cache
    keeps_pinned: bool = False  # shrink_page_list() leaves pinned pages alone
    clear_refs_flushes: bool = False  # clear_refs flushes the TLB of what it write-protects
    clear_refs_keeps_pinned: bool = False  # ... and leaves pinned pages writable
    userptr: int = FOLL_GET  # FOLL_GET or FOLL_PIN: how i915 userptr takes its pages
    odirect: int = FOLL_GET  # the same for O_DIRECT
    rdma_read_only: int = LONGTERM_PIN | FOLL_FORCE  # the flags for a read-only RDMA region
    uffd_continue: bool = False  # UFFDIO_CONTINUE on shmem
    io_uring_files: bool = False  # fixed buffers may lie in mappings with a file (tmpfs, shmem)


# fmt: off
V5_7 = Kernel("v5.7", "the writer takes a page over when nobody else maps it; references do not count",
    aliases=("5.7", "5.4.0", "5.6.4"))
V5_8 = replace(V5_7, name="v5.8", about="COW is broken when the reference is taken",
    commits=("17839856fd", "2170ecfa7688", "3917c80280c9"), copies_whole_huge=False, allocates_huge_for_zero=False,
    aliases=("5.8", "5.8.1", "5.8.18", "5.7.6", "5.7.14", "5.4.195"), userptr=FOLL_PIN,
    force_cow_break=gup.break_cow, fast_walk=gup.only_writable, follow_write=gup.after_cow)
V5_9 = replace(V5_7, name="v5.9", about="any extra reference makes the writer copy; fork copies pinned pages at once",
    commits=("09854ba94c6a", "a308c71bf1e6", "70e806e4e645"), aliases=("5.9", "5.9.1"),
    reuse=fault.sole_reference, reuse_ksm=fault.never_reuse_ksm, fork_copies=fork.copy_if_maybe_pinned,
    userptr=FOLL_PIN, io_uring_files=True, copies_whole_huge=False, allocates_huge_for_zero=False)
V5_10 = replace(V5_9, name="v5.10", commits=("feb889fb40fa",), aliases=("5.10", "5.10.223", "5.15", "5.15.100"),
    about="as v5.9; pinned pages are kept from reclaim, and fork copies no page-cache page", keeps_pinned=True,
    fork_copies=fork.copy_if_maybe_pinned_anon, clear_refs_flushes=True, clear_refs_keeps_pinned=True,
    copy_frees_swap_cache=True)
V5_18 = replace(V5_10, name="v5.18", about="as v5.10, and the reference count decides for swap-in and huge pages too",
    commits=("53a05ad9f21d", "c145e0b47c77", "3bff7e3f1f16"), aliases=("5.18", "5.18.12"),
    reuse=fault.sole_reference_but_swap_cache, reuse_huge=fault.sole_reference_but_swap_cache, uffd_continue=True,
    swap_in=fault.sole_swap_reference, fork_copies=fork.copy_if_maybe_pinned)
V5_19 = replace(V5_18, name="v5.19", commits=("6c287605fd56", "c89357e27f20", "a7f226604170"), aliases=("5.19", "6.0"),
    about="a bit on the page says whose it is; a read pin of a shared page unshares it first", exclusive=True,
    reuse=fault.exclusive_or_sole_reference, reuse_huge=fault.exclusive_or_sole_reference,
    swap_in=fault.exclusive_or_sole_swap_reference, fork_copies=fork.copy_exclusive_if_maybe_pinned,
    must_unshare=gup.unshare_if_pinned)
V6_1 = replace(V5_19, name="v6.1", about="as v5.19; FOLL_COW is gone, mprotect maps dirty exclusive pages writable",
    commits=("5535be309971", "64fe24a3e05e"), aliases=("6.1", "6.1.192"),
    follow_write=gup.exclusive_if_forced, mprotect_writable=fault.if_exclusive_and_dirty, split_keeps_dirty=True)
V6_12 = replace(V6_1, name="v6.12", about="as v6.1; a long-term pin also leaves the zero page and the page cache",
    commits=("8d6a0ac09a16", "84209e87c696"), aliases=("6.12", "6.12.101"),
    must_unshare=gup.unshare_if_pinned_longterm, mprotect_writable=fault.if_exclusive,
    swap_in=fault.writable_if_exclusive, odirect=FOLL_PIN, rdma_read_only=FOLL_PIN | FOLL_LONGTERM)
V6_18 = replace(V6_12, name="v6.18", about="as v6.12, and parts of large folios are reused again",
    commits=("1da190f4d0a6",), aliases=("6.18", "6.18.44"),
    reuse=fault.exclusive_or_only_mm, allocates_huge_for_zero=True)
KERNELS = {k.name: k for k in (V5_7, V5_8, V5_9, V5_10, V5_18, V5_19, V6_1, V6_12, V6_18)}

V4_8 = replace(V5_7, name="v4.8", about="the rules before Dirty COW was fixed",
    commits=("19be0eaffa3a",), aliases=("4.8",), after_break=gup.forget_write, follow_write=gup.writable)
SPARE = replace(V5_8, name="spare-zero-page", about="C13: COW is broken early, but the zero page is spared",
    commits=(), aliases=(), force_cow_break=gup.break_cow_by_flag, follow_write=gup.after_cow_or_zero)
BREAK = replace(V5_8, name="break-cow-flag", about="C14: an internal FOLL_BREAK_COW, which is no write to userfaultfd",
    commits=(), aliases=(), force_cow_break=gup.break_cow_by_flag)
ASK = replace(V5_8, name="caller-flag", about="C16: COW is broken early for callers that ask",
    commits=(), aliases=(), force_cow_break=gup.break_cow_if_asked, fast_walk=gup.only_writable_if_asked)
ROADS = {k.name: k for k in (V4_8, SPARE, BREAK, ASK)}  # before, and not taken: found by name only
# fmt: on


def kernel(name: str) -> Kernel:
    """The row with this name or alias. Raises ValueError, which names the legal choices."""
    names = {n: k for k in (KERNELS | ROADS).values() for n in (k.name, *k.aliases)}
    if name in names:
        return names[name]
    from difflib import get_close_matches  # slow to load

    hint = "".join(f" (did you mean {near!r}?)" for near in get_close_matches(name, names, 1, 0.5))
    raise ValueError(f"unknown kernel {name!r}{hint}; choose one of {', '.join(KERNELS | ROADS)}")
