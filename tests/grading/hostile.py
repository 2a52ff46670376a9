"""Submissions that want points they have not earned, or want to break the grader. Data only; the tests are in
test_grade_hostile.py.

Code kinds are in hostile-code.txt. A file kind makes a file of bytes, or something that is no file.
"""

import gzip
import io
import json
import os
import re
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
CODE: dict[str, str] = {}
ALSO_SPOILS, SLOW = set(), set()
for _kind in re.split(r"^=== ", (HERE / "hostile-code.txt").read_text("utf-8"), flags=re.MULTILINE)[1:]:
    _head, _, _source = _kind.partition("\n")
    _name, *_flags = _head.split(" | ")
    CODE[_name] = _source.strip("\n")
    ALSO_SPOILS |= {_name} if "spoils" in _flags else set()
    SLOW |= {_name} if "slow" in _flags else set()
CODE["a null byte"] = "q1 = 'P'\0"
CODE["a hundred thousand parentheses"] = "q1 = " + "(" * 49000 + ")" * 49000


def fill(text: str, places: dict[str, str]) -> str:
    """A kind's source with the test's paths in it: {name} as it is, {name!r} quoted."""
    for name, value in places.items():
        text = text.replace(f"{{{name}!r}}", repr(value)).replace(f"{{{name}}}", str(value))
    return text


# Files. Each gets the honest notebook (as data: q1 wrong, q2 right) and makes something at a path.


def _json(change):
    def make(notebook, path: Path, places):
        changed = change(notebook)
        path.write_text(json.dumps(notebook if changed is None else changed), "utf-8")

    return make


def _bytes(data):
    return lambda notebook, path, places: path.write_bytes(data(notebook) if callable(data) else data)


def _cell(notebook, id):
    return next(c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == id)


def _text(notebook) -> bytes:
    return json.dumps(notebook).encode()


def _zip(notebook) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("../../05-either-way.ipynb", bytes(1 << 24))
    return out.getvalue()


def _outputs(notebook, text: str, times: int):
    output = {"output_type": "stream", "name": "stdout", "text": text}
    notebook["cells"][1]["outputs"] = [output] * times


def _all_sources(notebook, value):
    for c in notebook["cells"]:
        c["source"] = value


FILES = {
    "an empty file": _bytes(b""),
    "not JSON": _bytes(b"PK\x03\x04 hello"),
    "cut off": _bytes(lambda n: _text(n)[:-200]),
    "not UTF-8": _bytes(lambda n: _text(n).replace(b"advisory", b"advi\xff\xfeory")),
    "UTF-16": _bytes(lambda n: json.dumps(n).encode("utf-16")),
    "a zip archive": _bytes(_zip),
    "a gzip bomb": _bytes(lambda n: gzip.compress(bytes(1 << 26))),
    "a list": _bytes(b"[1, 2, 3]"),
    "a number": _bytes(b"4"),
    "a thousand thousand brackets": _bytes(b"[" * 10**6),
    "a deep dict": _bytes(b'{"nbformat": 4, "cells": ' + b'{"a":' * 10**5 + b"1" + b"}" * 10**5 + b"}"),
    "a number of a million digits": _bytes(b'{"nbformat": ' + b"4" * 10**6 + b"}"),
    "16 MB of small lists": _bytes(b'{"nbformat": 4, "cells": [' + b"[]," * 4_000_000 + b"[]]}"),
    "format 3": _json(lambda n: {"nbformat": 3, "worksheets": [{"cells": n["cells"]}]}),
    "a format that is text": _json(lambda n: n | {"nbformat": "4"}),
    "a format that is True": _json(lambda n: n | {"nbformat": True}),
    "no cells": _json(lambda n: {"nbformat": 4}),
    "cells that are no dicts": _json(lambda n: n | {"cells": [1, None, "q1"]}),
    "ten thousand cells": _json(lambda n: n | {"cells": n["cells"] + [n["cells"][1]] * 10_000}),
    "a hundred megabytes of output": _json(lambda n: _outputs(n, "x" * (1 << 20), 101)),
    "ten megabytes of output": _json(lambda n: _outputs(n, "x" * (1 << 20), 10)),
    "two answer cells": _json(lambda n: n["cells"].append(_cell(n, "q2"))),
    "no answer cell": _json(lambda n: n["cells"].remove(_cell(n, "q2"))),
    "an answer in a text cell": _json(lambda n: _cell(n, "q2").update(cell_type="markdown")),
    "an answer that is no text": _json(lambda n: _cell(n, "q2").update(source=[["q2"], {"a": 1}])),
    "an answer without a source": _json(lambda n: _cell(n, "q2").pop("source")),
    "an endless answer": _json(lambda n: _cell(n, "q2").update(source="#" * 10**6)),
    "all metadata of the wrong type": _json(lambda n: [c.update(metadata=[1]) for c in n["cells"]] and None),
    "grade_ids of the wrong type": _json(
        lambda n: [c["metadata"]["nbgrader"].update(grade_id=["q1", {}]) for c in n["cells"]] and None
    ),
    "a name that climbs": _json(lambda n: n["metadata"]["cowlab"].update(exercise="../solutions/05-either-way")),
    "a name that is a list": _json(lambda n: n["metadata"]["cowlab"].update(exercise=["counts"])),
    "checks deleted": _json(lambda n: n["cells"].remove(_cell(n, "q1_check"))),
    "checks that say yes": _json(
        lambda n: _cell(n, "q1_check").update(
            source="2.0", outputs=[{"output_type": "execute_result", "data": {"text/plain": "2.0"}, "metadata": {}}]
        )
    ),
    "a setup that says yes": _json(
        lambda n: _cell(n, "setup").update(
            source="import cowlab.course.check as c\nc.check_schedule = lambda *a, **k: c.Advice((), 1.0)"
        )
    ),
    "points of its own": _json(lambda n: _cell(n, "q1_check")["metadata"]["nbgrader"].update(points=1000)),
    "a call of its own": _json(lambda n: _cell(n, "q1")["metadata"]["cowlab"].update(call="'P C C P'", parts=1)),
    "nbval tags": _json(
        lambda n: [c["metadata"].update(tags=["nbval-skip", "raises-exception"]) for c in n["cells"]] and None
    ),
    "a link to another submission": lambda n, path, places: path.symlink_to(places["other"]),
    "a link to the source": lambda n, path, places: path.symlink_to(places["source"]),
    "a link to nothing": lambda n, path, places: path.symlink_to("/nonexistent"),
    "a link to /dev/zero": lambda n, path, places: path.symlink_to("/dev/zero"),
    "a pipe": lambda n, path, places: os.mkfifo(path),
    "a folder": lambda n, path, places: path.mkdir(),
}
# These files are fine but for what they try: q2 is right in them.
STILL_RIGHT = {
    "ten megabytes of output", "a name that climbs", "a name that is a list", "checks deleted", "checks that say yes",
    "a setup that says yes", "points of its own", "a call of its own", "nbval tags",
}  # fmt: skip
NAMES = [
    "=cmd().ipynb", "<b>.ipynb", "a\nb.ipynb", "\x1b[31m.ipynb", "'; rm -rf .ipynb", "\udcff.ipynb",
    "x" * 200 + ".ipynb",
]  # fmt: skip
