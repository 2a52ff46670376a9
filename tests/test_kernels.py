"""The generations: data, and nothing but data. facts/kernel.md 0.2; design/litmus.md 6."""

import ast
import re
from dataclasses import fields

import pytest
import test_fault
import test_fork
import test_gup
import test_reclaim
from machine import ALL, ROOT

from cowlab import KERNELS, kernel

LABELS = {"name", "about", "commits", "aliases"}
RULES = [f.name for f in fields(kernel("v5.7")) if f.name not in LABELS]
HISTORY = [  # (row, the row it came from, what its commits changed)
    ("v5.8", "v5.7", {
        "17839856fd": "force_cow_break fast_walk follow_write",
        "2170ecfa7688": "userptr",
        "3917c80280c9": "copies_whole_huge allocates_huge_for_zero",
    }),
    ("v5.9", "v5.7", {
        "09854ba94c6a": "reuse reuse_ksm",
        "70e806e4e645": "fork_copies",
        "a308c71bf1e6": "",  # it removed what 17839856fd had added
        "v5.8": "userptr copies_whole_huge allocates_huge_for_zero",  # these stayed
        "fixed buffers": "io_uring_files",
    }),
    ("v5.10", "v5.9", {
        "feb889fb40fa": "keeps_pinned",
        "5.10.223": "fork_copies clear_refs_flushes clear_refs_keeps_pinned",
        "seen on 5.15.100": "copy_frees_swap_cache",
    }),
    ("v5.18", "v5.10", {
        "53a05ad9f21d": "reuse",
        "c145e0b47c77": "swap_in",
        "3bff7e3f1f16": "reuse_huge",
        "mainline again": "fork_copies",
        "v5.16, from memory": "uffd_continue",
    }),
    ("v5.19", "v5.18", {
        "6c287605fd56": "exclusive reuse reuse_huge swap_in fork_copies",
        "a7f226604170": "must_unshare",
        "c89357e27f20": "",
    }),
    ("v6.1", "v5.19", {
        "5535be309971": "follow_write",
        "64fe24a3e05e": "mprotect_writable",
        "seen on 6.1.192": "split_keeps_dirty",
    }),
    ("v6.12", "v6.1", {
        "8d6a0ac09a16": "must_unshare",
        "84209e87c696": "rdma_read_only",
        "seen on 6.12": "mprotect_writable swap_in odirect",
    }),
    ("v6.18", "v6.12", {"1da190f4d0a6": "reuse", "do_huge_zero_wp_pmd(), v6.13": "allocates_huge_for_zero"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "parent", "changes"), HISTORY, ids=[h[0] for h in HISTORY])
def test_a_row_is_its_parent_and_its_commits(name, parent, changes):
    """A row differs from its parent in what its commits changed, and in nothing else."""
    row, old = KERNELS[name], KERNELS[parent]
    assert {f for f in RULES if getattr(row, f) != getattr(old, f)} == {
        f for words in changes.values() for f in words.split()
    }
    assert set(row.commits) <= set(changes), "each commit of the row is in the table above"


def test_every_row_has_a_history():
    """v5.7 stands at the beginning; all the others come from an earlier row."""
    assert [h[0] for h in HISTORY] == ALL.split()[1:]
    assert set(ALL.split()) <= set(KERNELS)
    assert all(k.name == name for name, k in KERNELS.items())


RELEASES = {  # design/litmus.md 6, and the traps of facts/kernel.md
    "v5.7": "5.4.0 5.6.4", "v5.8": "5.8.1 5.8.18 5.7.6 5.4.195", "v5.9": "5.9.1", "v5.10": "5.10.223 5.15.100",
    "v5.18": "5.18.12", "v5.19": "5.19", "v6.1": "6.1.192", "v6.12": "6.12 6.12.101", "v6.18": "6.18.44",
}  # fmt: skip


@pytest.mark.parametrize("name", RELEASES)
def test_a_version_is_an_alias_of_a_mechanism(name):
    """A release stands for the generation whose mechanism it shows, back-ports included."""
    assert [kernel(r).name for r in (name, *RELEASES[name].split())] == [name] * (1 + len(RELEASES[name].split()))


def test_aliases_are_unique():
    """No two rows answer to one name, and a row carries its commits with it."""
    names = [n for k in KERNELS.values() for n in (k.name, *k.aliases)]
    assert len(names) == len(set(names))
    assert all(k.about and len(k.about) < 100 for k in KERNELS.values())
    assert all(re.fullmatch("[0-9a-f]{10,40}", c) for k in KERNELS.values() for c in k.commits)


@pytest.mark.parametrize(
    ("wrong", "near"), [("v5.6", "v5."), ("5.8.19", "5.8.1"), ("v6.2", "v6.1"), ("banana", ""), ("", "")]
)
def test_unknown_kernel(wrong, near):
    """The message names the legal choices, and the nearest."""
    with pytest.raises(ValueError, match="unknown kernel") as e:
        kernel(wrong)
    assert repr(wrong) in str(e.value)
    assert all(name in str(e.value) for name in KERNELS)
    assert ("did you mean" in str(e.value)) == bool(near)
    assert near in str(e.value)


def test_every_rule_has_a_table():
    """Each decision function that a row names has its table in test_fault, test_gup, test_fork or test_reclaim."""
    tables = {"fork_copies": test_fork.DECIDES, **test_gup.DECIDES, **test_reclaim.DECIDES, **test_fault.DECIDES}
    rows = [KERNELS[name] for name in ALL.split()]
    answers = {(rule, getattr(row, rule).__name__) for row in rows for rule in RULES if callable(getattr(row, rule))}
    assert answers <= {(rule, answer) for rule, table in tables.items() for answer in table}


@pytest.mark.parametrize("path", sorted((ROOT / "cowlab").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_code_asks_for_a_version(path):
    """`if version >= ...` is forbidden: what differs between kernels is a field of the row."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            sides += [e for side in sides if isinstance(side, ast.Tuple | ast.List | ast.Set) for e in side.elts]
            words = [n.value for n in sides if isinstance(n, ast.Constant) and isinstance(n.value, str)]
            assert not [w for w in words if re.match(r"v?\d+\.\d+", w)], f"line {node.lineno}: compares with a version"
            asked = [n for n in sides if isinstance(n, ast.Attribute) and n.attr in ("name", "aliases")]
            kernels = [n for n in asked if isinstance(n.value, ast.Name) and n.value.id in ("k", "kernel", "row")]
            assert not kernels or "mm" not in path.parts, f"line {node.lineno}: asks a kernel for its name"
        if isinstance(node, ast.Name) and re.fullmatch(r"V\d+_\d+", node.id):
            assert path.name == "kernels.py", f"line {node.lineno}: {node.id} is named outside kernels.py"
