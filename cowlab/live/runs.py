"""One schedule on the live kernel: what goes to the helper, and what comes back as an :class:`Outcome`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..mm import Action
from .reach import Reach
from .session import Session

__all__ = ["Outcome", "Spoiled", "execute"]

PRESENT, SWAPPED, FILE, EXCLUSIVE = 1 << 63, 1 << 62, 1 << 61, 1 << 56  # Documentation/admin-guide/mm/pagemap.rst
FRAME = (1 << 55) - 1
Pages = dict[str, tuple[str | None, frozenset[str]]]


class Spoiled(RuntimeError):
    """A run that says nothing about copy-on-write: fork failed, there was no huge page, a step hung."""


@dataclass(frozen=True)
class Outcome:
    """How one schedule ended on the live kernel, in the words of design/litmus.md, sections 4 and 6.

    ``frames`` is None where frame numbers are not shown, and where the schedule pages out: then they do not say
    whether a frame is the same as before. It has the pages only, as nobody can see a reference's.
    ``bits[n]`` has, after n steps, for each page of each live process ``exclusive`` (mapped once, pagemap bit 56),
    ``file`` (bit 61), ``present`` and ``swapped``; it is empty where there is no pagemap.
    """

    values: dict[str, str]
    frames: dict[str, int | str] | None
    bits: list[dict[str, dict[str, bool]]] = field(default_factory=list)
    results: list[str | None] = field(default_factory=list)
    looks: list[dict[str, int | str]] = field(default_factory=list)  # ``frames`` after every step

    @property
    def key(self) -> tuple:
        """Two schedules end in the same final when this is equal."""
        return tuple(self.values.items()), None if self.frames is None else tuple(self.frames.items())

    def as_json(self) -> dict[str, Any]:
        return {"values": self.values} | ({} if self.frames is None else {"frames": self.frames})


def execute(live: Session, here: Reach, first: str, pages: Pages, actions: Sequence[Action]) -> Outcome:
    """Run the steps in this order with real processes. Raises Spoiled or Unreachable."""
    program, names = _program(first, pages, actions)
    reply = live.ask(program)
    if "trouble" in reply:
        raise Spoiled(reply["trouble"])
    words = {pattern: name for name, pattern in names.items()} | {0: "zero"}
    page_names = list(pages)

    def word(value: int | str) -> str:
        if isinstance(value, str) and not value.isdigit():
            return value  # an errno, or unmapped
        return words.get(int(value), f"{int(value):#x}")

    def rename(name: str) -> str:
        proc, _, at = name.partition(".")
        return f"{proc}.{page_names[int(at)]}" if at.isdigit() else name

    values = {rename(name): word(value) for name, value in (reply["values"] | reply["regs"]).items()}
    seen = [{rename(name): entry for name, entry in look.items()} for look in reply["seen"]]
    looks = _numbers(seen, here, pages) if here.frames else []
    swapped = any(a.arg == "pageout" or a.op == "reclaim" for a in actions)
    bits = [{name: _bits(entry) for name, entry in look.items() if entry is not None} for look in seen]
    results = [r if r is None else word(r) for r in reply["results"]]
    frames = looks[-1] if here.frames and not swapped else None
    return Outcome(dict(sorted(values.items())), frames, bits if here.bits else [], results, looks)


def _program(first: str, pages: Pages, actions: Sequence[Action]) -> tuple[dict, dict[str, int]]:
    """Names become numbers; each value a pattern of its own, none of them zero."""
    procs = [first, *(a.arg for a in actions if a.op == "fork")]
    page_names, names, refs, ref_names, ref_pages, steps = list(pages), {}, [], [], [], []
    counts = {"vmsplice": 0, "io_uring": 0, "odirect": 0}

    def pattern(value: str) -> int:
        return names.setdefault(value, 0x5EED_0000_0000_0000 | (len(names) + 1) * 0x01_0101)

    for a in actions:
        name, at = f"{a.proc}.{a.ref}" if a.ref else None, page_names.index(a.page) if a.page else 0
        if a.op in counts:
            refs.append((a.op, counts[a.op]))
            counts[a.op] += 1
            ref_names.append(name)
            ref_pages.append(at)
        ref = ref_names.index(name) if name in ref_names else None
        arg = (
            procs.index(a.arg)
            if a.op == "fork"
            else pattern(a.arg)
            if a.op in ("write", "store", "filewrite")
            else a.arg
        )
        at = ref_pages[ref] if a.op in ("load", "store", "put") and ref is not None else at
        steps.append(
            {
                "proc": -1 if a.op == "reclaim" else procs.index(a.proc),
                "op": a.op,
                "page": at,
                "arg": arg,
                "ref": ref,
                "reg": a.reg,
            }
        )
    return {
        "processes": procs, "pages": [(v and pattern(v), sorted(attributes)) for v, attributes in pages.values()],
        "huge": [bool(attributes & {"huge", "hugepte"}) for _, attributes in pages.values()], "steps": steps,
        "refs": refs, "ref_names": ref_names, "ref_pages": ref_pages,
    }, names  # fmt: skip


def _bits(entry: int) -> dict[str, bool]:
    return {
        "exclusive": bool(entry & EXCLUSIVE), "file": bool(entry & FILE), "present": bool(entry & PRESENT),
        "swapped": bool(entry & SWAPPED),
    }  # fmt: skip


def _numbers(seen: list[dict[str, int | None]], here: Reach, pages: Pages) -> list[dict[str, int | str]]:
    """After every step, the frames by first appearance in a live mapping, as section 4 numbers them.

    A physical frame is handed out again soon after it was freed. Without swap, an anonymous page that is mapped
    nowhere cannot come back, so one that vanished and is there again is a new frame; a page of the page cache keeps
    its number.
    """
    zero, numbers, ids, count, looks = set(here.zero.values()), {}, {}, 0, []
    for look in seen:
        here_now, before = {}, ids
        for name, entry in look.items():
            if not entry or not entry & PRESENT:
                continue
            pfn = entry & FRAME
            if _is_zero(pfn, zero, here, pages[name.partition(".")[2]][1]):
                continue
            if pfn not in here_now:
                known = before.get(pfn) if pfn in before else numbers.get(pfn) if entry & FILE else None
                if known is None:
                    known, count = count, count + 1
                here_now[pfn] = numbers[pfn] = known
        ids = here_now
        frames = {}
        for name, entry in look.items():
            if entry and entry & SWAPPED:
                frames[name] = "S"
            elif entry and entry & PRESENT:
                frames[name] = ids.get(entry & FRAME, "Z")
        looks.append(dict(sorted(frames.items())))
    return looks


def _is_zero(pfn: int, zero: set[int], here: Reach, attributes: frozenset[str]) -> bool:
    """The zero page; or, in a mapping for huge pages, a part of the huge zero page."""
    if pfn in zero:
        return True
    huge = here.zero.get("huge")
    return huge is not None and bool(attributes & {"huge", "hugepte"}) and 0 <= pfn - huge < 512
