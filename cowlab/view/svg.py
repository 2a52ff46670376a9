"""A scene as SVG in fixed columns: processes and their page tables | frames | references and devices.

Boxes keep their place over a trace, because every scene of a trace has the same places. No ids, scripts,
fonts or patterns, so that any number of pictures can stand in one page; the same bytes everywhere. Every
colour goes with a shape or a word: read-only is dashed, pinned has a pin, changed has a thick edge, freed
is hatched.
"""

from collections.abc import Collection
from html import escape
from typing import NamedTuple

from .scene import Entry, Frame, Holder, Process, Scene
from .words import short

__all__ = ["STYLE", "Box", "layout", "scene_parts", "scene_svg"]

SANS = "system-ui,'Segoe UI',Helvetica,Arial,sans-serif"
MONO = "ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace"
HUES = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#7a5c00", "#3a7ca5", "#555", "#000")  # Okabe-Ito, then darker
STYLE = (
    f".cow{{font:12px {SANS};fill:#1b1f24}}"
    ".cow .m{font-family:" + MONO + "}.cow .b{font-weight:600}.cow .g{fill:#57606a}"
    ".cow .e{text-anchor:end}.cow .c{text-anchor:middle}"
    ".cow .card{fill:#fff;stroke:#d0d7de}.cow .proc{fill:#f6f8fa;stroke:#d0d7de}"
    ".cow .box{fill:#fff;stroke:#57606a;stroke-width:1.5}.cow .ro{stroke-dasharray:6 4}"
    ".cow .off{fill:none;stroke:#8c959f;stroke-dasharray:2 4}.cow .new{fill:#fff8d6;stroke:#1b1f24;stroke-width:3}"
    ".cow .hatch{stroke:#afb8c1;stroke-width:1;fill:none}"
    ".cow .bad{fill:#b34700}.cow .hatch.bad{stroke:#d55e00;fill:none}"
    ".cow .edge{fill:none;stroke-width:2}.cow .hold{stroke:#57606a}.cow .tip{stroke:none}"
    ".cow .thick{stroke-width:3.5}.cow .rule{stroke:#d0d7de}"
)
DASH = {"writable": "", "read-only": "6 4", "reference": "2 3", "pin": "2 3", "cache": "10 3 2 3", "none": "1 6"}
LEGEND = {
    "writable": "writable entry", "read-only": "read-only entry", "reference": "reference", "pin": "pin",
    "cache": "cache", "none": "no reference",
}  # fmt: skip

MARGIN, TOP, GAP = 16, 82, 14
PROC_W, FRAME_W, HOLD_W = 220, 190, 148
GAP1, GAP2 = 76, 64  # where the arrows run; no box stands there
HEAD, ENTRY_H, REG_H, FRAME_H, HOLD_H = 32, 48, 24, 92, 50


class Box(NamedTuple):
    x: float
    y: float
    w: float
    h: float

    @property
    def right(self) -> float:
        return self.x + self.w

    @property
    def bottom(self) -> float:
        return self.y + self.h

    @property
    def middle(self) -> float:
        return self.y + self.h / 2


class Layout(NamedTuple):
    """Where everything stands: ``boxes`` by the kind and the name of a thing. The same for a whole trace."""

    boxes: dict[tuple[str, str], Box]
    width: float
    height: float


def layout(s: Scene) -> Layout:
    heights = [HEAD + len(p.entries) * (ENTRY_H + 6) + len(p.registers) * REG_H + 6 for p in s.processes]
    columns = (
        (heights, MARGIN, PROC_W),
        ([FRAME_H] * len(s.frames), MARGIN + PROC_W + GAP1, FRAME_W),
        ([HOLD_H] * len(s.holders), MARGIN + PROC_W + GAP1 + FRAME_W + GAP2, HOLD_W),
    )
    totals = [sum(hs) + GAP * (len(hs) - 1) for hs, _, _ in columns]
    tallest, stacks = max(totals), []
    for (hs, x, w), total in zip(columns, totals, strict=True):
        y, stack = TOP + (tallest - total) / 2, []
        for h in hs:
            stack.append(Box(x, y, w, h))
            y += h + GAP
        stacks.append(stack)
    boxes = {}
    for p, box in zip(s.processes, stacks[0], strict=True):
        boxes["process", p.name] = box
        y = box.y + HEAD
        for i, _ in enumerate(p.entries):
            boxes["entry", f"{p.name}.{i}"] = Box(box.x + 8, y, box.w - 16, ENTRY_H)
            y += ENTRY_H + 6
        for r in p.registers:
            boxes["register", f"{p.name}.{r.name}"] = Box(box.x + 8, y, box.w - 16, REG_H)
            y += REG_H
    boxes |= {("frame", f.label): box for f, box in zip(s.frames, stacks[1], strict=True)}
    boxes |= {("holder", h.name): box for h, box in zip(s.holders, stacks[2], strict=True)}
    width = columns[2][1] + HOLD_W + MARGIN if s.holders else columns[1][1] + FRAME_W + MARGIN
    return Layout(boxes, width, TOP + tallest + 44)


def scene_svg(s: Scene, style: bool = True, marks: Collection[tuple[str, str]] = ()) -> str:
    """One moment as an SVG document. ``style=False`` leaves STYLE out, for a page that has it already. ``marks`` are
    keys of Layout.boxes that get a ring and a sign: what differs from another picture."""
    return "".join(scene_parts(s, style, marks))


def scene_parts(s: Scene, style: bool = True, marks: Collection[tuple[str, str]] = ()) -> list[str]:
    """The same document in pieces, most of which are equal from moment to moment."""
    at = layout(s)
    w, h = _n(at.width), _n(at.height)
    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" class="cow" role="img" '
        f'viewBox="0 0 {w} {h}" width="{w}" height="{h}">',
        f"<title>{escape(s.title)}</title><desc>{escape(f'{s.caption} {s.summary}')}</desc>",
        f"<style>{STYLE}</style>" if style else "",
        f'<rect class="card" x=".5" y=".5" width="{_n(at.width - 1)}" height="{_n(at.height - 1)}" rx="10"/>',
        _header(s, at),
    ]
    for n, p in enumerate(s.processes):
        if p.there:
            out.append(_process(p, at, HUES[n % len(HUES)]))
    out += [_frame(f, at.boxes["frame", f.label]) for f in s.frames if f.there]
    out += [_holder(h, at.boxes["holder", h.name]) for h in s.holders if h.there]
    out += _edges(s, at)
    out += [_ring(at.boxes[key]) for key in at.boxes if key in marks]
    out += [_legend(s, at), _differs(at) if marks else "", "</svg>"]
    return [part for part in out if part]


def _ring(b: Box) -> str:
    """Around a box that differs: a double line, and the sign in its corner."""
    ring = f'x="{_n(b.x - 4)}" y="{_n(b.y - 4)}" width="{_n(b.w + 8)}" height="{_n(b.h + 8)}" rx="9"'
    return (
        f'<rect class="ring" {ring} fill="none" stroke="#aa4499" stroke-width="2.5"/>'
        f'<rect class="ring" {ring} fill="none" stroke="#fff" stroke-width=".8"/>{_sign(b.x, b.y)}'
    )


def _sign(x: float, y: float) -> str:
    sign = _text(x, y + 4.5, "\u2260", "b c", 13)
    return f'<circle cx="{_n(x)}" cy="{_n(y)}" r="8" fill="#aa4499"/>' + sign.replace(
        "<text", '<text style="fill:#fff"'
    )


def _differs(at: Layout) -> str:
    """The word for the sign, at the right of the legend."""
    x, y = at.width - MARGIN - 50, at.height - 21
    return _sign(x, y) + _text(x + 14, y + 4, "differs", "g", 11)


def _n(x: float) -> str:
    """A number in as few characters as it needs."""
    return f"{x:.1f}".rstrip("0").rstrip(".")


def _text(x: float, y: float, words: str, cls: str = "", size: int = 0, more: str = "") -> str:
    if not words:
        return ""
    attributes = (f' class="{cls}"' if cls else "") + (f' font-size="{size}"' if size else "") + more
    return f'<text x="{_n(x)}" y="{_n(y)}"{attributes}>{escape(words, quote=False)}</text>'


def _rect(b: Box, cls: str, r: int = 5) -> str:
    return f'<rect class="{cls}" x="{_n(b.x)}" y="{_n(b.y)}" width="{_n(b.w)}" height="{_n(b.h)}" rx="{r}"/>'


def _header(s: Scene, at: Layout) -> str:
    x1, x2, x3 = MARGIN, MARGIN + PROC_W + GAP1, MARGIN + PROC_W + GAP1 + FRAME_W + GAP2
    return "".join([
        _text(MARGIN, 30, short(s.action, int((at.width - 190) / 10.4)), "m b", 17),
        _text(at.width - MARGIN, 30, f"{s.kernel}, {s.place}", "g e", 13),
        f'<path class="rule" d="M{MARGIN} 44H{_n(at.width - MARGIN)}"/>',
        _text(x1, 68, "processes and page tables", "g"),
        _text(x2, 68, "frames", "g"),
        _text(x3, 68, "references", "g") if s.holders else "",
    ])  # fmt: skip


def _process(p: Process, at: Layout, hue: str) -> str:
    box = at.boxes["process", p.name]
    out = [_rect(box, "off" if p.status == "exited" else "proc", 8)]
    out.append(f'<rect x="{_n(box.x + 8)}" y="{_n(box.y + 9)}" width="5" height="15" rx="2.5" fill="{hue}"/>')
    out.append(_text(box.x + 20, box.y + 22, short(p.name, 9), "m b", 16))
    about = {"exited": "exited", "SIGSEGV": "killed: SIGSEGV", "BLOCKED": "blocked for ever"}.get(p.status, "")
    if about:
        out.append(_text(box.right - 14, box.y + 21, about, "e b" + " bad" * (p.status != "exited")))
    elif p.moves:
        out.append(_text(box.right - 14, box.y + 21, "moves", "e b"))
        out.append(f'<path d="M{_n(box.right - 71)} {_n(box.y + 12)}l9 5-9 5z" fill="{hue}"/>')
    out += [_entry(e, at.boxes["entry", f"{p.name}.{i}"]) for i, e in enumerate(p.entries) if e.there]
    for r in p.registers:
        if r.there:
            b = at.boxes["register", f"{p.name}.{r.name}"]
            if r.changed:
                out.append(_rect(Box(b.x, b.y + 1, b.w, b.h - 3), "new"))
            words = f"{short(r.name, 8)} = {short(r.value, 10)}"
            out.append(_text(b.x + 10, b.y + 17, words, "m", 13) + _text(b.right - 10, b.y + 17, "register", "g e", 11))
    return "".join(out)


def _entry(e: Entry, b: Box) -> str:
    cls = "off" if e.frame is None else "box" if e.write else "box ro"
    out = [_rect(b, cls + " new" * e.changed)]
    if not e.mapping:
        name = _text(b.x + 10, b.middle + 5, short(e.page, 9), "m g", 15)
        return "".join([*out, name, _text(b.right - 10, b.middle + 5, "unmapped", "g e", 13)])
    out.append(_text(b.x + 10, b.y + 21, short(e.page, 9), "m b", 15))
    out.append(_text(b.right - 10, b.y + 21, e.access, "e g" if e.frame is None else "e b", 13))
    mapping, notes = " ".join(e.mapping), " ".join([*e.notes, *["+511"] * (e.tails is not None)])
    size = 0 if len(mapping) + len(notes) < 26 else 10 if len(mapping) + len(notes) < 32 else 8
    out.append(_text(b.x + 10, b.y + 39, mapping, "g", size))
    if notes:
        out.append(_text(b.right - 10, b.y + 39, notes, "g e", size))
    return "".join(out)


def _frame(f: Frame, b: Box) -> str:
    gone, numbered = f.state != "allocated", f.label == "Z" or f.label.isdigit()
    title = f.title if numbered else f"{short(f.label, 6)}'s page"
    out = [_rect(b, ("off" if gone else "box") + " new" * f.changed, 7)]
    if gone:
        out.append(_hatch(b, f.state == "junk"))
        out.append(_plate(Box(b.x + 8, b.y + 8, 7.2 * len(title) + 8, 18)) + _text(b.x + 12, b.y + 21, title, "g"))
        words, cls = ("junk, still named", "b c bad") if f.state == "junk" else ("freed", "b c g")
        w = 8.6 * len(words) + 12
        out.append(_plate(Box(b.x + b.w / 2 - w / 2, b.middle, w, 24)))
        return "".join([*out, _text(b.x + b.w / 2, b.middle + 17, words, cls, 14)])
    out.append(_text(b.x + 12, b.y + 21, title, "b"))
    out.append(_text(b.right - 12, b.y + 21, ", ".join(w for w in f.flags if w != "anon"), "g e", 11))
    out.append(_text(b.x + b.w / 2, b.y + 48, short(f.value, 14), "m b c", 19))
    if f.mapcount is None:
        return "".join([*out, _text(b.x + b.w / 2, b.y + 80, "not counted", "g c", 11)])
    for x, count, word in ((36, f.mapcount, "mapcount"), (101, f.refcount, "refcount"), (157, f.pins, "pins")):
        out.append(_text(b.x + x, b.y + 70, str(count), "m b c", 14) + _text(b.x + x, b.y + 84, word, "g c", 11))
    if f.pins:
        out.append(_pin(b.x + 138, b.y + 59))
    return "".join(out)


def _plate(b: Box) -> str:
    """White behind a text that stands on hatching."""
    return f'<rect x="{_n(b.x)}" y="{_n(b.y)}" width="{_n(b.w)}" height="{_n(b.h)}" rx="4" fill="#fff"/>'


def _holder(h: Holder, b: Box) -> str:
    cls = "off" if h.frame is None else "box" if h.counted else "box ro"
    out = [_rect(b, cls + " new" * h.changed, 14 if h.counted else 5)]
    gone, name = h.gone if h.state != "stored" else f"holds {short(h.value, 6)}", h.name.removeprefix("cache of ")
    out.append(_text(b.x + 13, b.y + 21, short(h.kind, 14), "g" if gone else "b", 13))
    out.append(_text(b.x + 13, b.y + 39, short(name, 9 if gone or h.pin else 16), "m g" if gone else "m"))
    if gone:
        cls, size = "e b" + " bad" * (h.state == "failed"), 0 if len(gone) < 8 else 10
        out.append(_text(b.right - 12, b.y + 39, gone, cls, size))
    elif h.pin:
        out.append(_text(b.right - 12, b.y + 39, "pinned", "e", 11) + _pin(b.right - 22, b.y + 10))
    return "".join(out)


def _pin(x: float, y: float) -> str:
    """A drawing pin, 8 by 13."""
    return f'<path d="M{_n(x)} {_n(y)}h8l-1.5 2v3l2.5 3h-4.3v5h-1.4v-5h-4.3l2.5-3v-3z" fill="#1b1f24"/>'


def _hatch(b: Box, junk: bool) -> str:
    """Slanted lines that end at the box's edges."""
    lines, step = [], 9 if junk else 14
    for start in range(step, int(b.w + b.h), step):  # the line x + y = start, inside the box
        x1, x2 = max(0, start - b.h + 2), min(b.w - 2, start)
        if x2 - x1 > 4:
            lines.append(f"M{_n(b.x + x1 + 1)} {_n(b.y + start - x1 - 1)}L{_n(b.x + x2)} {_n(b.y + start - x2)}")
    return f'<path class="hatch{" bad" if junk else ""}" d="{"".join(lines)}"/>'


def _edges(s: Scene, at: Layout):
    """Arrows into a frame: from page table entries on its left, from references on its right, spread out
    in the order in which they come, so that they do not meet before the tip."""
    left: dict[str, list] = {}
    right: dict[str, list] = {}
    for n, p in enumerate(s.processes):
        for i, e in enumerate(p.entries):
            if e.frame is not None:
                kind = "writable" if e.write else "read-only"
                source = (at.boxes["entry", f"{p.name}.{i}"], kind, HUES[n % len(HUES)], e.changed)
                left.setdefault(e.frame, []).append(source)
    for h in s.holders:
        if h.frame is not None:
            right.setdefault(h.frame, []).append((at.boxes["holder", h.name], h.edge, "", h.changed))
    for side, ends in ((1, left), (-1, right)):
        for label, sources in ends.items():
            frame = at.boxes["frame", label]
            gap = min(16, (frame.h - 20) / len(sources))
            for k, (box, kind, hue, changed) in enumerate(sources):
                y = frame.middle + (k - (len(sources) - 1) / 2) * gap
                start = (box.right if side > 0 else box.x, box.middle)
                yield _edge(start, (frame.x if side > 0 else frame.right, y), side, kind, hue, changed)


def _edge(start, end, side: int, kind: str, hue: str, changed: bool) -> str:
    (x1, y1), (x2, y2) = start, end
    tip = x2 - side * 9
    bend = (tip - x1) / 2
    d = f"M{_n(x1)} {_n(y1)}C{_n(x1 + bend)} {_n(y1)} {_n(tip - bend)} {_n(y2)} {_n(tip)} {_n(y2)}"
    dash = f' stroke-dasharray="{DASH[kind]}"' if DASH[kind] else ""
    stroke, fill = (f' stroke="{hue}"', f' fill="{hue}"') if hue else ("", ' fill="#57606a"')
    cls = "edge" + ("" if hue else " hold") + (" thick" if changed or kind == "pin" else "")
    arrow = f'<path class="tip"{fill} d="M{_n(x2 - side)} {_n(y2)}l{-side * 10}-5v10z"/>'
    if kind == "none":
        ring = f'cx="{_n(x2 - side * 5)}" cy="{_n(y2)}" r="3.5"'
        arrow = f'<circle class="hold" {ring} fill="#fff" stroke-width="1.5"/>'
    return f'<path class="{cls}"{stroke}{dash} d="{d}"/>{arrow}'


def _legend(s: Scene, at: Layout) -> str:
    x, y, out = MARGIN, at.height - 17, []
    for kind, words in LEGEND.items():
        if kind in s.edges:
            dash = f' stroke-dasharray="{DASH[kind]}"' if DASH[kind] else ""
            thick = " thick" if kind == "pin" else ""
            out.append(f'<path class="edge hold{thick}"{dash} d="M{_n(x)} {_n(y - 4)}h28"/>')
            out.append(_text(x + 34, y, words, "g", 11))
            x += 34 + 6.4 * len(words) + 14
    if s.last:
        out.append(f'<rect class="box new" x="{_n(x)}" y="{_n(y - 10)}" width="16" height="11" rx="2"/>')
        out.append(_text(x + 23, y, "changed", "g", 11))
    return "".join(out)
