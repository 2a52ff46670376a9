"""The house rules of design/architecture.md, as far as a test can hold them."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from machine import ROOT

import cowlab

PACKAGE = Path(cowlab.__file__).parent
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if "_lessons" not in p.parts)
ENGINE = sorted((PACKAGE / "mm").glob("*.py"))
# From the ground up; each may import what stands left of it. `lab`, `slides` and `cli` are on top.
STOREYS = [
    "mm", "explore", "litmus", "terminal", "designs", "live", "view", "ui", "course", "magic", "grade", "lab", "slides",
    "site", "doctor", "commands", "manual", "cli",
]  # fmt: skip
UPWARD = {"text", "show", "player", "diagram", "_repr_mimebundle_"}  # asked for its picture, and not before


def name(path):
    return str(path.relative_to(PACKAGE))


def storey(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """(storey or foreign module, line, function or None) of each import in the file."""
    tree = ast.parse(path.read_text())
    inside = {n: f.name for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    here = path.relative_to(PACKAGE.parent).with_suffix("").parts
    package = here[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            targets = [[*base, alias.name] for alias in node.names] if base == ["cowlab"] else [base]
        else:
            continue
        for target in targets:
            if target[0] == "cowlab":
                yield (target[1] if len(target) > 1 else ""), node.lineno, inside.get(node)
            else:
                yield f"foreign:{target[0]}", node.lineno, inside.get(node)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_run_downward(path):
    """A storey imports its own and those below it; the engine nothing else but the standard library."""
    mine = storey(path)
    if mine in ("__init__", "__main__"):
        return
    assert mine in STOREYS or mine.startswith("_"), f"{mine} has no place in the order"
    for target, line, function in imports(path):
        if target.startswith("foreign:"):
            foreign = target.removeprefix("foreign:")
            lazily = (mine, foreign) == ("explore", "numpy") and function is not None
            assert mine not in ("mm", "explore", "litmus") or foreign in sys.stdlib_module_names or lazily, (
                f"line {line}: {foreign}"
            )
        elif target in STOREYS and mine in STOREYS and not (mine == "litmus" and function in UPWARD):
            assert STOREYS.index(target) <= STOREYS.index(mine), (
                f"line {line}: {mine} imports {target}, which stands above it"
            )


QUIET = [
    "IPython",
    "ipywidgets",
    "anywidget",
    "graphviz",
    "numpy",
    "jupyterlab",
    "nbformat",
    "wasmtime",
    "traitlets",
    "jinja2",
    "hypothesis",
    "pytest",
    "argcomplete",
    "tqdm",
]


def loaded(code):
    """What `import` of these modules loads, in a fresh interpreter."""
    path = str(PACKAGE.parent)
    script = f"import sys; sys.path.insert(0, {path!r}); {code}; print(*sorted(sys.modules))"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


@pytest.mark.parametrize(
    "code", ["import cowlab", "import cowlab.mm, cowlab.litmus, cowlab.explore", "import cowlab.cli"]
)
def test_import_is_light(code):
    """`import cowlab` loads no notebook machinery and no number cruncher."""
    assert loaded(code) & set(QUIET) == set()


def test_the_engine_stands_alone():
    """cowlab.mm loads nothing of cowlab above it, and none of the modules that do I/O, draw numbers or call others."""
    modules = {m for path in ENGINE for m, _, _ in imports(path) if m.startswith("foreign:")}
    assert modules <= {"foreign:collections", "foreign:dataclasses", "foreign:difflib", "foreign:typing",
        "foreign:enum",
                       "foreign:functools", "foreign:itertools", "foreign:operator", "foreign:__future__"}  # fmt: skip


FORBIDDEN = {"print", "open", "input", "exec", "eval", "setattr", "delattr", "globals", "breakpoint", "__import__"}


@pytest.mark.parametrize("path", ENGINE, ids=name)
def test_the_engine_is_pure(path):
    """Nothing in the engine prints, reads, logs, mutates or keeps state between calls."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN, f"line {node.lineno}: {node.func.id}()"
        assert not isinstance(node, ast.Global | ast.Nonlocal), f"line {node.lineno}"
        if isinstance(node, ast.Assign | ast.AugAssign | ast.Delete):
            targets = node.targets if hasattr(node, "targets") else [node.target]
            assert not any(isinstance(t, ast.Attribute) for t in targets), (
                f"line {node.lineno}: assigns to an attribute"
            )


@pytest.mark.parametrize("path", ENGINE, ids=name)
def test_the_engine_is_short(path):
    """A module of the engine can be read in one sitting."""
    assert len(path.read_text().splitlines()) <= 250


def test_the_engine_is_small():
    """The whole engine reads in one sitting."""
    assert sum(len(path.read_text().splitlines()) for path in ENGINE) <= 1200


def public(path):
    """Public functions and classes at the top of a module."""
    tree = ast.parse(path.read_text())
    return [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")]


SPOKEN = [p for p in MODULES if storey(p) in ("mm", "explore", "litmus")]
BARE = {  # their names say all that there is to say
    "never", "take_as_is", "any_present", "never_unshare", "only_writable_if_asked", "madvise", "munmap",
    "mm_set_has_pinned", "reclaim_frame", "Frame", "Pte", "Swp", "Slot", "Vma", "Mm", "Proc", "Ref", "State", "Caller",
    "Stepped",
}  # fmt: skip


@pytest.mark.parametrize("path", SPOKEN, ids=name)
def test_docstrings(path):
    """Every module, and every public function and class of the lower storeys, says what it is."""
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert [n.name for n in public(path) if not ast.get_docstring(n) and n.name not in BARE] == []


@pytest.mark.parametrize("package", ["mm", "litmus", "explore.schedules", "explore.symmetry", "explore", "designs"])
def test_all(package):
    """`__all__` names what there is, without duplicates."""
    module = __import__(f"cowlab.{package}", fromlist=["__all__"])
    assert len(module.__all__) == len(set(module.__all__))
    assert [n for n in module.__all__ if not hasattr(module, n)] == []


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff(command):
    """The linter and the formatter have nothing to say."""
    ruff = shutil.which("ruff") or shutil.which("ruff", path=str(Path(sys.executable).parent))
    if ruff is None:
        pytest.skip("no ruff; get it with: pip install -e '.[test]'")
    done = subprocess.run(
        [ruff, *command, "--no-cache", str(ROOT / "cowlab"), str(ROOT / "tests")],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


# The repository

TOP = {"pyproject.toml", "README.md", "cowlab", "notebooks", "exercises", "tests"}
REGISTRIES = (
    r"https?://[\w.-]*(?:pypi\.org|pythonhosted|npmjs|artifactory|nexus|jfrog|registry)[\w.-]*|index-url|extra-index"
)


@pytest.fixture(scope="module")
def tracked():
    """The files of the clone."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not in a clone")
    done = subprocess.run([git, "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"git: {done.stderr.strip()}")
    return [f for f in done.stdout.split("\0") if f]


def test_the_top_level(tracked):
    """Nothing at the top but what design/architecture.md lists, and dot files."""
    assert {f.split("/")[0] for f in tracked if not f.startswith(".")} <= TOP


def test_no_lock_file(tracked):
    """No lock file and no registry address is committed: versions are bounded in pyproject.toml."""
    assert [
        f for f in tracked if re.search(r"(\.lock|-lock\.(json|yaml)|\.lockb|requirements.*\.txt|Pipfile)$", f)
    ] == []
    for f in tracked:
        if (
            f.endswith((".py", ".toml", ".md", ".cfg", ".ini", ".yml", ".yaml", ".json", ".ipynb", ".txt"))
            or "/" not in f
        ):
            text = (ROOT / f).read_text(errors="replace") if (ROOT / f).is_file() else ""
            assert not re.findall(REGISTRIES, text) or f == "tests/test_house.py", f


def test_every_dependency_is_bounded():
    """From below, so that it works, and from above, so that it will."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(r for rs in project["optional-dependencies"].values() for r in rs)]
    assert [r for r in wanted if ">=" not in r or "<" not in r] == []
    assert (project["requires-python"], project["license"]) == (">=3.11", "MIT")
