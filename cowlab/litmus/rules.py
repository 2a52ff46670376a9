"""What a kernel's row says in words: what each field asks, and the law and the source of each answer.

The questions stand beside the fields of :class:`cowlab.mm.Kernel`, the laws in the docstrings of the functions.
"""

import re
from functools import cache
from importlib.resources import files

from ..mm import KERNELS, gup

__all__ = ["PLAIN", "asks", "said", "word"]

FLAGS = sorted((bit, name) for name, bit in vars(gup).items() if name.startswith("FOLL_"))
PLAIN = {  # where an answer that is no function comes from, if it is not that of v5.7
    "exclusive": "6c287605fd56, v5.19",
    "copies_whole_huge": "do_huge_pmd_wp_page(), 3917c80280c9, v5.8",
    "allocates_huge_for_zero": "do_huge_pmd_wp_page(), 3917c80280c9, v5.8; do_huge_zero_wp_pmd(), v6.13",
    "split_keeps_dirty": "__split_huge_pmd_locked(), seen on 6.12, inferred for v6.1",
    "copy_frees_swap_cache": "wp_page_copy(), seen on 5.15.100",
    "keeps_pinned": "shrink_page_list(), feb889fb40fa, v5.11, and in 5.10.y",
    "clear_refs_flushes": "clear_soft_dirty(), 5.10.223",
    "clear_refs_keeps_pinned": "clear_soft_dirty(), 5.10.223",
    "userptr": "drivers/gpu/drm/i915/gem, 2170ecfa7688, v5.8",
    "odirect": "iov_iter_extract_pages(), v6.5",
    "rdma_read_only": "ib_umem_get(), v6.2",
    "uffd_continue": "mfill_atomic_install_pte(), v5.16",
    "io_uring_files": "io_sqe_buffer_register()",
}


@cache
def asks() -> dict[str, str]:
    """Field -> the kernel function, and what it decides there, from the comments beside the fields in mm/kernels.py.

    >>> asks()["fork_copies"]
    'copy_present_pte(): does the child get a copy at once?'
    """
    text = files(__package__.rpartition(".")[0]).joinpath("mm", "kernels.py").read_text("utf-8")
    questions, subject = {}, ""
    for name, comment in re.findall(r"^    (\w+): [^#\n]+#\s*(.+)$", text, re.M):
        subject = comment.split()[0] if not comment.startswith("...") else subject
        questions[name] = comment.replace("...", subject)
    return questions


def word(rule) -> str:
    """An answer as a word: the name of a function, FOLL_* flags, True or False.

    >>> word(gup.break_cow), word(gup.FOLL_PIN | gup.FOLL_WRITE), word(True)
    ('break_cow', 'FOLL_WRITE | FOLL_PIN', 'True')
    """
    if type(rule) is int:  # the one kind of number in a row
        return " | ".join(name for bit, name in FLAGS if rule & bit)
    return rule.__name__ if callable(rule) else str(rule)


def said(name: str, rule) -> tuple[str, str]:
    """The law and the source of an answer: of a function, the first sentence of its docstring, and its `Source:`."""
    if not callable(rule):
        return "", PLAIN[name] if rule != getattr(KERNELS["v5.7"], name) else ""
    text = " ".join((rule.__doc__ or "").split())
    found = re.search(r"Source: (.+?)\.(?= |$)", text)
    law = re.match(r"(?!Source: ).+?[.](?= |$)", text)
    return law[0] if law else "", found[1] if found else ""
