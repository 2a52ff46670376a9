"""The words of the course, in one table: a term, one sentence, where the kernel has it, and the lesson that brings it.

``glossary()`` shows all of them, ``glossary("pin")`` those that a word occurs in. ``READING`` has the full titles of
what lessons send a reader to.
"""

from dataclasses import dataclass
from html import escape
from textwrap import fill

from .ask import markup, plain

__all__ = ["READING", "TERMS", "Glossary", "Term", "glossary"]


@dataclass(frozen=True)
class Term:
    """``source`` is a function, a flag or a file of the kernel, with a version or a commit; or ``cowlab``, where the
    word is this course's own. ``lesson`` is the number of the one that brings it."""

    term: str
    sentence: str
    source: str
    lesson: str


TERMS = tuple(Term(*row) for row in (
    ("anonymous page", "A page that belongs to processes and to no file.", "PageAnon(), include/linux/page-flags.h, "
    "v5.7",
     "03"),
    ("backport", "A commit of a newer kernel, taken over into an older release series: 5.4.195 has the rules of v5.8.",
     "stable releases; 17839856fd in 5.4.y and 5.7.y", "07"),
    ("break COW", "Give a process a page of its own, so that it shares no longer.", "do_wp_page(), mm/memory.c, v5.7",
     "03"),
    ("copy-on-write, COW", "Share a page until somebody writes to it, and copy it only then.",
     "is_cow_mapping(), v5.7; do_wp_page(), mm/memory.c, v5.7", "02"),
    ("entry, PTE", "One line of a process's page table: which frame a page is in, and whether it may be written.",
     "pte_t; pte_write(), v5.7", "02"),
    ("exclusive", "Said of an anonymous page that belongs to one process alone; since v5.19 the kernel keeps a bit "
    "for it.",
     "PageAnonExclusive(), 6c287605fd56, v5.19", "10"),
    ("execution", "One order in which all the moves of a litmus test happen.", "cowlab", "05"),
    ("fast walk, lockless walk", "The first half of a fast lookup: it reads the page table without a lock, and sees "
     "entries but no mapping.", "gup_pte_range(), mm/gup.c, v5.7", "07"),
    ("fast-only", "A lookup that is the lockless walk and nothing else: it never faults, and so breaks nothing.",
     "__get_user_pages_fast(), mm/gup.c, v5.7; get_user_pages_fast_only() since 376a34efa4ee, v5.8", "08"),
    ("fault", "The processor stops at a load or a store that the entry does not allow, and asks the kernel.",
     "handle_mm_fault(), mm/memory.c, v5.7", "03"),
    ("FOLL_COW", "The note \"I had a COW\" that a slow lookup leaves for its next round; gone since v6.0.",
     "faultin_page(), mm/gup.c, 19be0eaffa3a to 5535be309971", "07"),
    ("FOLL_FORCE", "Look a page up for writing although the mapping is read-only, as a debugger must.",
     "check_vma_flags(), mm/gup.c, v5.7", "07"),
    ("FOLL_GET", "The flag of a plain reference: the page is kept, and nobody can tell it from any other hold.",
     "try_grab_page(), mm/gup.c, v5.7", "04"),
    ("FOLL_LONGTERM", "The flag of a pin that may last for ever.", "pin_user_pages(), mm/gup.c, v5.7", "08"),
    ("FOLL_PIN", "The flag of a pin: a hold that can be told from others, because it counts 1024.",
     "try_grab_page(), mm/gup.c, v5.7", "04"),
    ("frame", "4 KiB of real memory.", "struct page, include/linux/mm_types.h, v5.7", "02"),
    ("generation", "A set of rules that several releases share; a row of cowlab's table.",
     "cowlab/mm/kernels.py", "07"),
    ("get_user_pages(), GUP", "Finds the frames behind a process's addresses and takes a hold on each.",
     "get_user_pages(), mm/gup.c, v5.7", "04"),
    ("huge page, THP", "2 MiB that one entry of a higher table maps.", "do_huge_pmd_wp_page(), mm/huge_memory.c, v5.7",
     "10"),
    ("i915 userptr", "A GPU buffer made of a process's own pages: the GPU's table points at the same frames.",
     "i915_gem_userptr_get_pages(), drivers/gpu/drm/i915, v5.8", "08"),
    ("KSM", "A kernel thread that finds equal pages and lets their owners share one.", "mm/ksm.c, v5.7", "08"),
    ("leak", "A reference reads what another process wrote for itself.", "CVE-2020-29374", "05"),
    ("litmus test", "A small program for several processes with one question about how it can end.", "cowlab", "05"),
    ("lookup", "One call of get_user_pages() or of a relative.", "mm/gup.c, v5.7", "05"),
    ("mapcount", "How many entries point at a frame.", "page_mapcount(), include/linux/mm.h, v5.7", "04"),
    ("MMU notifier", "A call that tells a driver that an entry is about to change.",
     "mmu_notifier_invalidate_range_start(), v5.7", "08"),
    ("page cache", "The pages of files that the kernel keeps in memory; a private mapping copies them, and never takes "
     "one over.", "wp_page_copy(), mm/memory.c, v5.7", "05"),
    ("pin", "A hold for a device that reads or writes the page by itself; fork() copies a pinned page for the child.",
     "pin_user_pages(), v5.6; page_maybe_dma_pinned() in copy_present_page(), 70e806e4e645, v5.9", "10"),
    ("private mapping", "Memory whose writes are the process's own affair; the kind that is copied on write.",
     "MAP_PRIVATE; VM_SHARED is not set, v5.7", "02"),
    ("reclaim", "The kernel takes a page away from its processes to get memory back.",
     "shrink_page_list(), mm/vmscan.c, v5.7", "05"),
    ("refcount", "How many holds of any kind there are on a frame: entries, references, the kernel's own.",
     "page_count(), include/linux/page_ref.h, v5.7", "04"),
    ("reference", "A hold on a frame that goes through no page table: a pipe's, a driver's.", "get_page(), v5.7", "04"),
    ("reuse", "The writer keeps the page, and its entry is made writable: a COW fault that copies nothing.",
     "wp_page_reuse(), mm/memory.c, v5.7", "03"),
    ("shared mapping", "Memory in which every process sees the others' writes; there is no COW in it.",
     "MAP_SHARED; do_shared_fault(), mm/memory.c, v5.7", "05"),
    ("slow path", "The second half of a lookup: with the lock, it looks, lets the kernel fault the page in, and looks "
     "again.", "__get_user_pages(), mm/gup.c, v5.7", "07"),
    ("stale", "Said of a reference that no longer follows its process, which has moved to a copy.", "cowlab", "10"),
    ("swap entry", "What stands in the page table in place of a page that is on disk; it counts as a user of the page.",
     "reuse_swap_page(), mm/swapfile.c, v5.7", "05"),
    ("take over", "To become the only owner of a frame that others still hold.", "reuse_swap_page(), v5.7", "05"),
    ("unshare", "Break COW for a lookup that only reads, without pretending to write.",
     "FAULT_FLAG_UNSHARE, gup_must_unshare(), a7f226604170, v5.19", "10"),
    ("userfaultfd", "Lets one thread handle another's faults; a read lookup that is treated as a write confuses it.",
     "handle_userfault(), fs/userfaultfd.c, v5.8", "09"),
    ("vmsplice()", "Puts pages of a process into a pipe without copying them.", "fs/splice.c, v5.7", "05"),
    ("witness", "An execution that shows that something can happen.", "cowlab", "06"),
    ("zero page", "The one page of zeros that all untouched memory shares when it is read.",
     "do_anonymous_page(), mm/memory.c, v5.7", "09"),
))  # fmt: skip

READING = (
    ("gup: document and work around 'COW can break either way' issue", "Linus Torvalds, June 2020, Linux v5.8; "
     "17839856fd588f4ab6b789f482ed3ffd7c403e1f. The message of this commit is what the claims C1 to C20 number"),
    ("Project Zero issue 2045", "Jann Horn, 2020; the report behind CVE-2020-29374"),
    ("Patching until the COWs come home, parts 1 and 2", "Vlastimil Babka, LWN.net articles 849638 and 849876, March "
     "2021"),
    ("mm/gup: Allow real explicit breaking of COW", "Peter Xu, August 2020: the road of a flag of its own"),
    ("mm: do_wp_page() simplification", "Linus Torvalds, Linux v5.9; 09854ba94c6a"),
    ("mm/gup: Remove enfornced COW mechanism", "Peter Xu, Linux v5.9; a308c71bf1e6. The title is spelled so"),
    ("mm: Do early cow for pinned pages during fork() for ptes", "Peter Xu, Linux v5.9; 70e806e4e645"),
    ("mm: remember exclusively mapped anonymous pages with PG_anon_exclusive", "David Hildenbrand, Linux v5.19; "
     "6c287605fd56"),
    ("mm/gup: trigger FAULT_FLAG_UNSHARE when R/O-pinning a possibly shared anonymous page", "David Hildenbrand, Linux "
     "v5.19; a7f226604170"),
    ("mm/gup: fix FOLL_FORCE COW security issue and remove FOLL_COW", "David Hildenbrand, Linux v6.0; 5535be309971, "
     "CVE-2022-2590"),
    ("pin_user_pages() and related calls", "John Hubbard, Documentation/core-api/pin_user_pages.rst in the kernel"),
    ("tools/testing/selftests/mm/cow.c", "the kernel's own tests of all this"),
)  # fmt: skip


@dataclass(frozen=True, repr=False)
class Glossary:
    """Some of the terms, as a table and as words."""

    terms: tuple[Term, ...]

    def __repr__(self) -> str:
        parts = []
        for t in self.terms:
            said = fill(plain(t.sentence), 92, initial_indent="    ", subsequent_indent="    ")
            parts.append(f"{t.term}  (lesson {t.lesson})\n{said}\n    [{t.source}]")
        return "\n".join(parts)

    def html(self) -> str:
        left = ' style="text-align:left"'
        head = "".join(f"<th{left}>{h}</th>" for h in ("term", "in one sentence", "in the kernel", "lesson"))
        rows = "".join(
            f"<tr><th{left}>{escape(t.term)}</th><td{left}>{markup(t.sentence)}</td><td{left}>{escape(t.source)}</td>"
            f"<td{left}>{t.lesson}</td></tr>"
            for t in self.terms
        )
        return f"<table><caption>Glossary</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": repr(self), "text/html": self.html()}


def glossary(word: str = "") -> Glossary:
    """The terms that ``word`` occurs in, or all of them. ValueError names the nearest word.

    >>> glossary("mapcount")
    mapcount  (lesson 04)
        How many entries point at a frame.
        [page_mapcount(), include/linux/mm.h, v5.7]
    """
    wanted = word.strip().lower()
    found = tuple(t for t in TERMS if wanted in t.term.lower())
    if found:
        return Glossary(found)
    from ..litmus.errors import nearest

    near = nearest(wanted, [part.strip().lower() for t in TERMS for part in t.term.split(",")])
    raise ValueError(f"no term {word!r} in the glossary; {near or 'glossary() shows all of them'}")
