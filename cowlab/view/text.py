"""A scene in words: the canonical twin of every picture. At most 100 columns, the same bytes everywhere."""

from textwrap import fill

from .scene import Entry, Frame, Holder, Register, Scene
from .words import short

__all__ = ["WIDTH", "scene_text", "trace_text"]

WIDTH = 100


def scene_text(s: Scene) -> str:
    """One moment: the step and why, then processes with their pages, frames with their counts, and what
    else holds a frame. ``changed`` at the end of a line marks what the step changed."""
    return "\n".join([s.title, *_body(s)])


def trace_text(drawn: tuple[Scene, ...]) -> str:
    """Every moment of a trace, one below the other."""
    parts = ["\n".join([f"{s.place}", *_body(s)]) for s in drawn]
    return "\n\n".join([f"{drawn[0].name or 'a run'} on {drawn[0].kernel}", *parts])


def _body(s: Scene) -> list[str]:
    said = [s.action, *s.events] if s.step else [s.caption]
    lines = [fill(line, WIDTH, initial_indent="  " * (n > 0), subsequent_indent="    ") for n, line in enumerate(said)]
    for p in s.processes:
        if not p.there:
            continue
        about = [p.status or "", "moves" if p.moves else "", "changed" if p.changed else ""]
        lines.append(", ".join(["process " + short(p.name, 20), *filter(None, about)]))
        lines += _aligned([_entry(e) for e in p.entries if e.there])
        lines += _aligned([_register(r) for r in p.registers if r.there])
    frames, holders = [f for f in s.frames if f.there], [h for h in s.holders if h.there]
    if frames:
        lines += ["frames", *_aligned([_frame(f) for f in frames])]
    if holders:
        lines += ["references", *_aligned([_holder(h, s) for h in holders])]
    return lines


def _mark(thing) -> str:
    return "changed" if thing.changed else ""


def _entry(e: Entry) -> tuple[str, ...]:
    name = f"page {short(e.page, 12)}"
    if not e.mapping:
        return (name, "unmapped", "", "", "", _mark(e))
    where = f"frame {e.frame}" if e.frame else e.access
    notes = [e.access] * (e.frame is not None) + [*e.notes, *["and 511 more parts"] * (e.tails is not None)]
    return (name, " ".join(e.mapping), where, ", ".join(notes), f"reads {short(e.reads, 14)}", _mark(e))


def _register(r: Register) -> tuple[str, ...]:
    return (f"register {short(r.name, 12)}", f"= {short(r.value, 16)}", _mark(r))


def _frame(f: Frame) -> tuple[str, ...]:
    name = short(f.title if f.label != "Z" else "frame Z", 12)
    if f.state != "allocated":
        return (name, "junk", "freed" if f.state == "freed" else "freed, still named", "", "", "", _mark(f))
    if f.mapcount is None:
        return (name, f.value, "not counted", "", "", "the zero page", _mark(f))
    pins = f"pins {f.pins}" + (" (x1024)" if f.pins and "THP" not in f.flags else "")
    counts = (f"mapcount {f.mapcount}", f"refcount {f.refcount}", pins)
    return (name, short(f.value, 10), *counts, ", ".join(f.flags), _mark(f))


def _holder(h: Holder, s: Scene) -> tuple[str, ...]:
    name = short(h.name, 20)
    if h.frame is None:
        return (name, h.kind, h.gone, f"holds {short(h.value, 14)}" if h.value else "", _mark(h))
    frame = next(f for f in s.frames if f.label == h.frame)
    where = f"frame {frame.label}" if frame.label.isdigit() or frame.label == "Z" else short(frame.title, 22)
    what = "no reference" if not h.counted else f"reads {short(frame.value, 14)}"
    return (name, h.kind + (", pinned" if h.pin and h.kind != "pin" else ""), where, what, _mark(h))


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    cells = (("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True) if w)) for row in rows)
    return [f"  {line.rstrip()}" for line in cells]
