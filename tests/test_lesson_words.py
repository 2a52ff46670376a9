"""What the lessons say in words, held against the engine, the dictionary and the files that they point at; and that
every lesson runs where there is no widget library and no kernel to ask."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cowlab import KERNELS
from cowlab.mm import ROADS

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
LESSONS = [p for p in NOTEBOOKS if re.match(r"(?!00)\d\d-", p.name)]
ENGINE = "\n".join(p.read_text("utf-8") for p in sorted((ROOT / "cowlab" / "mm").glob("*.py")))
ROWS = [*KERNELS.values(), *ROADS.values()]
CLAIMS = range(1, 21)

# Commits cited beside those of the rows, with their titles. This one renamed the function of C10, and changed no rule.
CITED = {
    "376a34efa4ee": "mm/gup: refactor and de-duplicate gup_fast() code",
}
# Releases that are no row's name: when something came, or went, within the time of a row.
DATES = {"v4.8.3", "v5.6", "v5.8-rc1", "v5.17", "v6.2"}
# Kernel functions in which the model has no rule, with the file where the lesson finds them.
OTHER_FUNCTIONS = {
    "access_error": "arch/x86/mm/fault.c",
    "can_follow_write_pmd": "mm/huge_memory.c",
    "get_user_pages_fast_only": "mm/gup.c",
    "hugetlb_cow": "mm/hugetlb.c",
    "hugetlb_wp": "mm/hugetlb.c",
    "i915_gem_userptr_get_pages": "drivers/gpu/drm/i915/gem/i915_gem_userptr.c",
    "maybe_mkwrite": "include/linux/mm.h",
    "pin_user_pages": "mm/gup.c",
    "pte_to_pagemap_entry": "fs/proc/task_mmu.c",
    "try_grab_page": "mm/gup.c",
    "wp_page_reuse": "mm/memory.c",
}
NO_KERNEL_FUNCTIONS = {"execve", "exec", "exit", "fork", "keep", "madvise", "mprotect", "munmap", "process_vm_readv"}
NO_KERNEL_FUNCTIONS |= {"probe", "so_far", "vmsplice", "vote_sheet"}  # system calls, and this package's own


def cells(path: Path, kind: str = "") -> list[str]:
    notebook = json.loads(path.read_text("utf-8"))
    return ["".join(c["source"]) for c in notebook["cells"] if kind in ("", c["cell_type"])]


def asked(path: Path) -> str:
    """The words of a lesson's questions, which stand in the package and not in the notebook."""
    module = ROOT / "cowlab" / "course" / f"lesson{path.name[:2]}.py"
    return module.read_text("utf-8") if path in LESSONS else ""


def words(path: Path) -> str:
    return "\n".join([*cells(path), asked(path)])


# -- Names of the kernel's ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_commits_are_those_of_the_engine(path):
    """Every commit in a notebook is one that a row or a rule of the engine names, or stands above with its title; and
    where the release is said beside it, in brackets, it is the row's."""
    rows = {commit: row.name for row in ROWS for commit in row.commits}
    known = {*rows, *CITED, *re.findall(r"\b[0-9a-f]{10,40}\b", ENGINE)}
    for commit, release in re.findall(r"\b([0-9a-f]{10,40})\b(?:[^()\n]{0,80}\b(v\d+\.\d+)\))?", words(path)):
        if re.search("[a-f]", commit):
            assert any(commit.startswith(k) or k.startswith(commit) for k in known), commit
            assert not (release and commit in rows) or release == rows[commit], (commit, release)


def test_no_citation_is_left_over():
    """The tables above hold nothing that no notebook says, nor what the engine has anyway."""
    said = "\n".join(map(words, NOTEBOOKS))
    assert not [c for c in CITED if c not in said or c in ENGINE]
    assert not [d for d in DATES if d not in said]
    assert not [f for f in OTHER_FUNCTIONS if f"{f}()" not in said or re.search(rf"\b{f}\(\)", ENGINE)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_releases_are_those_of_the_engine(path):
    """Every vX.Y is a row or one of its releases, or a date; every X.Y.Z is a release that a row names."""
    known = {name for row in ROWS for name in (row.name, *row.aliases)}
    for release in re.findall(r"\bv\d+\.\d+(?:\.\d+)?(?:-rc\d+)?", words(path)):
        assert release in known | DATES or release[1:] in known, release
    for release in re.findall(r"(?<![\w.])[456]\.\d+\.\d+\b(?!-)", words(path)):
        assert release in known, release


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_functions_are_those_of_the_engine(path):
    """Every function that a notebook names is one in which the engine has a rule, or is found above."""
    for name in re.findall(r"`(\w+)\(\)`", "\n".join([*cells(path, "markdown"), asked(path)])):
        assert name in OTHER_FUNCTIONS or name in NO_KERNEL_FUNCTIONS or re.search(rf"\b{name}\b", ENGINE), name


# -- The commit, sentence by sentence -----------------------------------------------------------------------


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_claim_is_met_in_a_lesson(claim):
    """By its number, in the text of a lesson. The line that says what the numbers are is not counted."""
    text = "\n".join(cell for path in LESSONS for cell in cells(path, "markdown"))
    assert f"[C{claim}]" in re.sub(r"\[C1\] to \[C20\]", "", text)


def test_no_other_claim_is_cited():
    found = {int(n) for path in NOTEBOOKS for n in re.findall(r"\[C(\d+)\]", words(path))}
    assert found == set(CLAIMS)


# -- Spelling, links, and words that have served their time -------------------------------------------------


def misspelt(texts: dict[str, str], folder: Path) -> str:
    """What codespell finds in these texts, a line for each word. Its few exceptions are in pyproject.toml."""
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    codespell = [sys.executable, "-m", "codespell_lib", "--toml", str(ROOT / "pyproject.toml"), *texts]
    return subprocess.run(codespell, capture_output=True, text=True, cwd=folder).stdout


def test_spelling(tmp_path):
    """Of the notebooks, the exercises, the README, the course's tables and the descriptions of the catalogue."""
    pytest.importorskip("codespell_lib", reason="no codespell; get it with: pip install -e '.[test]'")
    notebooks = (*NOTEBOOKS, *ROOT.glob("exercises/*.ipynb"))
    texts = {f"{p.parent.name}-{p.stem}.txt": "\n".join(cells(p)) for p in notebooks}
    files = (ROOT / "README.md", *ROOT.glob("cowlab/course/*.py"), *ROOT.glob("cowlab/litmus/catalogue/*.litmus"))
    texts |= {p.name: p.read_text("utf-8") for p in files}
    assert len(texts) == len(notebooks) + len(files)
    assert misspelt(texts, tmp_path) == ""
    assert "misstake ==>" in misspelt({"wrong.txt": "a misstake"}, tmp_path), "the tool finds what is wrong"


def anchors(path: Path) -> set[str]:
    """The places in a notebook that a link can lead to: JupyterLab's, which are headings with dashes for spaces."""
    headings = re.findall(r"^#+ +(.*)$", "\n".join(cells(path, "markdown")), re.MULTILINE)
    return {re.sub(r"[`*]", "", heading).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_links(path):
    """A link inside leads to a file that is there, and to a heading of it; one outside has a full address."""
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", "\n".join(cells(path, "markdown")))):
        if not re.match(r"https://[\w.-]+\.\w+(/|$)", target):
            file, _, anchor = target.partition("#")
            there = path.parent / file if file else path
            assert there.is_file(), target
            assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_says_nothing_that_has_to_come_true(path):
    """No word of what is not there yet, and no note to the author."""
    assert not re.search(r"once it is there|on their way|\bTODO\b|\bFIXME\b|\bTBD\b|coming soon", words(path))


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_its_exercise_is_linked(path):
    """If a lesson has an exercise, the lesson leads to it."""
    for exercise in ROOT.glob(f"exercises/{path.name[:3]}*.ipynb"):
        assert f"(../exercises/{exercise.name})" in "\n".join(cells(path, "markdown"))


# -- Without widgets, and without a kernel to ask ------------------------------------------------------------

ALONE = """
import ast, json, sys
for name in ("anywidget", "ipywidgets"):
    sys.modules[name] = None
import cowlab.live.session as s
def refuse(self):
    raise s.Unreachable("refused for a test")
s.Session.__init__ = refuse
def shown(thing):
    return (thing._repr_mimebundle_()["text/plain"] if hasattr(thing, "_repr_mimebundle_") else repr(thing))
names = {"display": lambda *things: print(*map(shown, things), sep="\\n")}
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        body = ast.parse("".join(cell["source"])).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), cell["id"], "exec"), names)
        value = last and eval(compile(ast.Expression(last.value), cell["id"], "eval"), names)
        if value is not None:
            print(shown(value))
"""


def asks_the_kernel(code: str) -> bool:
    """Does a cell call something of `cowlab.live`?"""
    calls = (node.func for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))
    return any(isinstance(f, ast.Attribute) and getattr(f.value, "id", "") == "live" for f in calls)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_runs_without_widgets_and_without_a_live_kernel(path, tmp_path):
    """Every cell runs where there is no widget library, and where the machine refuses; and then it says so."""
    alone = [sys.executable, "-c", ALONE, str(path)]
    done = subprocess.run(alone, capture_output=True, text=True, cwd=tmp_path, encoding="utf-8")
    assert done.returncode == 0, done.stderr[-2000:]
    assert ("refused for a test" in done.stdout) is any(map(asks_the_kernel, cells(path, "code")))
