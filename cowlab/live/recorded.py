"""Where the live kernel is out of reach: what real kernels did, recorded, with their releases.

An execution is found again whatever its processes, pages, references and values are called.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from ..litmus.replay import shipped
from ..mm import KERNEL_THREADS, KERNELS

__all__ = ["canonical", "find", "probed", "releases"]


@cache
def releases() -> tuple[str, ...]:
    """The releases that were recorded, oldest rules first."""
    seen = {release for line in _lines() for outcome in line.get("observed", ()) for release in outcome["kernels"]}
    order = {alias: n for n, alias in enumerate(a for k in KERNELS.values() for a in k.aliases)}
    return tuple(sorted(seen, key=lambda r: order.get(r, len(order))))


def find(init: Sequence[str], steps: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Release -> {"id", "values", "frames"} of the recorded execution with these steps, in the caller's own names;
    empty if none was recorded.

    >>> found = find(["P: x = old"], ["P: fork C", "C: vmsplice x -> pipe", "C: munmap x", "P: write x new"])
    >>> found["5.4.0"]["values"]["C.pipe"], found["6.1.192"]["values"]["C.pipe"]
    ('new', 'old')
    """
    key, names = canonical(init, steps)
    line = _index().get(key)
    if line is None:
        return {}
    _, theirs = canonical(line["init"], line["steps"])
    back = {mine: name for name, mine in names.items()}
    to_ours = {name: back[mine] for name, mine in theirs.items()}
    found = {}
    for outcome in line["observed"]:
        values = {_rename(n, to_ours): to_ours.get(f"={v}", f"={v}")[1:] for n, v in outcome["values"].items()}
        frames = {_rename(n, to_ours): v for n, v in outcome.get("frames", {}).items()}
        for release in outcome["kernels"]:
            if release not in (*line.get("unstable", ()), *line.get("skipped", ())):
                found[release] = {"id": line["id"], "values": values, "frames": frames}
    return {r: found[r] for r in releases() if r in found}


def probed(release: str, init: Sequence[str], steps: Sequence[str]) -> list[dict[str, Any]] | None:
    """What a probe inside the kernel saw after each of the steps, from a recording that begins with them; the format
    is that of ``after`` in design/litmus.md, section 6. None if there is no such recording.

    >>> after = probed("6.12", ["P: x untouched"], ["P: write x old", "P: fork C"])
    >>> after[0]["counts"], after[1]["counts"]
    ({'A': {'refcount': 1, 'mapcount': 1}}, {'A': {'refcount': 2, 'mapcount': 2}})
    """
    wanted, names = canonical(init, steps)
    back = {mine: name for name, mine in names.items()}
    for line in _lines():
        if "after" in line and line["kernel"] == release:
            key, theirs = canonical(line["init"], line["steps"][: len(steps)])
            if key == wanted:
                ours = {name: back[mine] for name, mine in theirs.items()}
                return [
                    after | {"ptes": {_rename(n, ours): pte for n, pte in after["ptes"].items()}}
                    for after in line["after"][: len(steps)]
                ]
    return None


def canonical(init: Iterable[str], steps: Iterable[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The execution with every name replaced by its kind and its place, and what was replaced by what: processes
    ``@P``, pages and references ``.x`` (a reference with its process, ``P.r``), values ``=v``."""
    names: dict[str, str] = {}

    def new(name: str, kind: str) -> str:
        return names.setdefault(name, f"{kind}{sum(v.startswith(kind) for v in names.values())}")

    out, pages = [], set()
    for line in init:
        proc, page, *rest = line.replace(":", " ", 1).split()
        pages.add(page)
        words = [new(f"@{proc}", "@"), new(f".{page}", ".")]
        if rest[0] == "=":
            words += ["=", new(f"={rest[1]}", "="), *rest[2:]]
        else:
            words += rest
        out.append(" ".join(words))
    for line in steps:
        proc, op, *rest = line.replace(":", " ", 1).split()
        words = [proc if proc in KERNEL_THREADS else new(f"@{proc}", "@"), op]
        for n, word in enumerate(rest):
            if word in pages:
                words.append(new(f".{word}", "."))
            elif op == "fork":
                words.append(new(f"@{word}", "@"))
            elif (n and rest[n - 1] == "->") or (op in ("put", "load", "store") and n == 0):
                words.append(new(f"{proc}.{word}", "&"))
            elif op in ("write", "store", "filewrite"):
                words.append(new(f"={word}", "="))
            else:
                words.append(word)
        out.append(" ".join(words))
    return tuple(out), names


def _rename(name: str, to_ours: dict[str, str]) -> str:
    proc, _, what = name.partition(".")
    mine = to_ours[f"@{proc}"][1:]
    ref = to_ours.get(name)
    return ref or f"{mine}.{to_ours.get(f'.{what}', f'.{what}')[1:]}"


@cache
def _index() -> dict[tuple[str, ...], dict]:
    return {canonical(line["init"], line["steps"])[0]: line for line in reversed(_lines()) if line.get("observed")}


@cache
def _lines() -> list[dict]:
    return [json.loads(text) for path in shipped() for text in path.read_text("utf-8").splitlines() if text.strip()]
