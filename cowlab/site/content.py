"""What the site holds of cowlab: its wheel, and the notebooks with a word about the browser on top."""

import base64
import hashlib
import json
import zipfile
from pathlib import Path

from .. import __version__, lab

__all__ = ["make_wheel", "notebooks"]

LEFT_OUT = ("_lessons", "_deck", "_jupyter", "__pycache__")  # needed where there is a machine
HERE = """**In your browser.** Python runs inside this page. Nothing was installed, nothing is sent anywhere, and your
changes stay in this browser: download a notebook (*File > Download*) to keep it. The model, the pictures and the
questions are all here. Your own kernel is not, since a page cannot call `fork()`: where a lesson would run on it, it
shows what real kernels were recorded to do. The first cell takes some seconds, until Python has loaded."""


def notebooks() -> dict[str, bytes]:
    """Name -> content of everything that `cowlab lab` would deliver, made ready for JupyterLite."""
    return {name: _ready(data) if name.endswith(".ipynb") else data for name, data in lab.upstream().items()}


def _ready(data: bytes) -> bytes:
    """The kernel under the name it has there, and the cell HERE on top. Other cells stay as they are."""
    notebook = json.loads(data)
    notebook["metadata"]["kernelspec"] = {"name": "python", "display_name": "Python (Pyodide)", "language": "python"}
    word = {"cell_type": "markdown", "id": "in-the-browser", "metadata": {}, "source": HERE.splitlines(keepends=True)}
    notebook["cells"].insert(0, word)
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def make_wheel(folder: Path) -> Path:
    """A wheel of the cowlab that is running, be it a clone or an installed one, without what a page cannot use.

    Made by hand, since an installed cowlab has no sources to build from: a wheel is a zip with a list of digests.
    """
    info = f"cowlab-{__version__}.dist-info"
    files = {
        f"cowlab/{path.relative_to(lab.PACKAGE).as_posix()}": path.read_bytes()
        for path in sorted(lab.PACKAGE.rglob("*"))
        if path.is_file() and not set(path.relative_to(lab.PACKAGE).parts) & set(LEFT_OUT)
    }
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: cowlab\nVersion: {__version__}\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: cowlab\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
    wheel = folder / f"cowlab-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)  # no clock: the same bytes each time
    return wheel


def _record(files: dict[str, bytes], own: str) -> bytes:
    lines = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(data)}\n")
    return "".join([*lines, f"{own},,\n"]).encode()
