"""`cowlab draw`: every drawing into every kind of file; and the same graph whatever draws it."""

import re
import shutil
from html import unescape
from xml.dom import minidom

import pytest

from cowlab.cli import main
from cowlab.litmus import judge, load
from cowlab.mm import kernel
from cowlab.ui.draw import WHAT, drawing
from cowlab.view import family, who_shares
from cowlab.view import png as png_module
from cowlab.view.path import call_paths
from cowlab.view.png import png
from cowlab.view.render import _dot, _pygraphviz, _wasm, render

STORY = "child-reads-parent-secret"
ONE = ["--schedule", "P C C P"]
ROWS = {  # options: what stands in the file
    "--what executions": "state 8, BAD END of 1 execution",
    "--what deciding": "group 1, start",
    "--what family": "C, forked by P first of all",
    "--what state --schedule": "step 4 of 4",
    "--what sharing --schedule": "frame 0, new, is shared by:",
    "--what path --step 4 --schedule": "1. do_wp_page reuses the page: mapcount 1  (decides)",
}


def draw(*words, capsys=None):
    """(status, what was said on stderr) of a command."""
    try:
        status = main(["draw", *words])
    except SystemExit as e:
        status = e.code
    return status, capsys.readouterr().err if capsys else ""


@pytest.mark.parametrize("options", ROWS)
@pytest.mark.parametrize("ending", [".svg", ".dot", ".txt"])
def test_every_drawing(options, ending, tmp_path):
    """SVG is well-formed, DOT is a digraph, and the words say what is drawn."""
    words = options.split() + (["P C C P"] if options.endswith("--schedule") else [])
    file = tmp_path / f"out{ending}"
    assert draw(STORY, *words, "-o", str(file))[0] == 0
    made = file.read_text("utf-8")
    if ending == ".svg":
        minidom.parseString(made)
    elif ending == ".dot":
        assert "digraph" in made
    else:
        assert ROWS[options] in made


def test_what_follows_from_the_options(tmp_path):
    """Without a schedule all executions; with one its last moment, and as text all of it, or the moment asked for."""
    files = {name: tmp_path / name for name in ("all.txt", "story.txt", "two.txt", "end.svg", "both.html", "both.txt")}
    assert draw(STORY, "-o", str(files["all.txt"]))[0] == 0
    assert draw(STORY, *ONE, "-o", str(files["story.txt"]))[0] == 0
    assert draw(STORY, *ONE, "--step", "2", "-o", str(files["two.txt"]))[0] == 0
    assert draw(STORY, *ONE, "--kernel", "v5.8", "-o", str(files["end.svg"]))[0] == 0
    for name in ("both.html", "both.txt"):
        words = ["--what", "compare", "--kernel", "v5.7", "--kernel", "v5.8"]
        assert draw(STORY, *ONE, *words, "-o", str(files[name]))[0] == 0
    made = {name: file.read_text("utf-8") for name, file in files.items()}
    assert made["all.txt"].startswith(f"All executions of {STORY} on v5.7")
    assert made["story.txt"].count("step ") == 4
    assert "step 2 of 4" in made["two.txt"].splitlines()[0]
    assert "step 1" not in made["two.txt"]
    assert "v5.8, step 4 of 4" in made["end.svg"]
    assert made["both.html"].count("<img") == 8
    assert "The first difference is at step 2" in made["both.txt"]


@pytest.mark.parametrize(("words", "said"), [
    ([STORY, "-o", "x.jpg"], r"cannot write 'x\.jpg': choose a name that ends in \.svg, \.txt, \.dot, \.png"),
    (["nope", "-o", "x.svg"], "nope: no such file"),
    ([STORY, "--kernel", "v9", "-o", "x.svg"], "unknown kernel 'v9'"),
    ([STORY, "--schedule", "P P", "-o", "x.svg"], "C can still move"),
    ([STORY, *ONE, "--step", "9", "-o", "x.svg"], r"no step 9; choose 0 \(the start\) to 4"),
    ([STORY, "--what", "state", "-o", "x.svg"], "state is about one execution"),
    ([STORY, "--what", "path", *ONE, "-o", "x.svg"], "path is about one step"),
    ([STORY, "--what", "stat", "-o", "x.svg"], "unknown 'stat'; did you mean 'state'"),
    ([STORY, "--kernel", "v5.7", "--kernel", "v5.8", "-o", "x.svg"], "drawn on one kernel, not on 2"),
    ([STORY, "--what", "compare", *ONE, "-o", "x.txt"], "1 kernel is nothing to compare"),
    ([STORY, "-o", "no/such/folder/x.svg"], "cannot write no/such/folder/x.svg"),
])  # fmt: skip
def test_bad_input(words, said, tmp_path, monkeypatch, capsys):
    """One message on stderr, exit status 2, no file."""
    monkeypatch.chdir(tmp_path)
    status, told = draw(*words, capsys=capsys)
    assert status == 2
    assert re.search(said, told)
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []


def test_unknown_drawing():
    from cowlab.litmus import LitmusError

    with pytest.raises(LitmusError, match="unknown drawing 'tree'"):
        drawing(load(STORY), [kernel("v5.7")], "tree")
    assert set(WHAT) >= {"state", "executions", "family"}


# PNG


def test_png(tmp_path):
    """Twice as many pixels as the picture has; of a drawing by graphviz too. Where nothing can, an error says so."""
    image = pytest.importorskip("PIL.Image")
    picture = judge(load(STORY), kernel("v5.7")).witness.show(2)
    if png(picture.svg) is None:
        pytest.skip("nothing here makes a PNG of an SVG")
    drawn = image.open(picture.save(tmp_path / "a.png"))
    width, height = (float(re.search(rf' {name}="([\d.]+)', picture.svg)[1]) for name in ("width", "height"))
    assert abs(drawn.width - 2 * width) <= 2
    assert abs(drawn.height - 2 * height) <= 2
    assert len(drawn.convert("RGB").getcolors(1 << 24)) > 20, "it is not blank"
    assert image.open(family(STORY).save(tmp_path / "b.png")).width > 100


def test_no_png(tmp_path, monkeypatch):
    for way in ("_resvg", "_cairosvg", "_rsvg", "_chromium"):
        monkeypatch.setattr(png_module, way, lambda svg: 1 / 0)
    with pytest.raises(ValueError, match=r"nothing here can draw 'a\.png': choose a name that ends in \.svg, \.txt"):
        judge(load(STORY), kernel("v5.7")).witness.show(2).save(tmp_path / "a.png")


# The same graph, whatever draws it

GRAPHS = {
    "executions": lambda: judge(load(STORY), kernel("v5.8")).diagram(),
    "folded": lambda: judge(load("a-crowd-of-four"), kernel("v5.7")).diagram().fold(),
    "big": lambda: judge(load("a-crowd-of-four"), kernel("v5.7")).diagram(),
    "paths": lambda: call_paths([judge(load(STORY), kernel(k)).finals[-1].trace for k in ("v5.7", "v5.8")], 2),
    "sharing": lambda: who_shares(judge(load(STORY), kernel("v5.7")).witness, 2),
    "family": lambda: family("a-crowd-of-four"),
    "state": lambda: judge(load(STORY), kernel("v5.7")).witness.show(2),
}


def parts(svg: str):
    """What a drawing by graphviz shows: its nodes, its edges, and all its labels."""
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.S)
    titles = {kind: sorted(unescape(t) for t in re.findall(rf'class="{kind}">\s*<title>(.*?)</title>', svg, re.S))
              for kind in ("node", "edge", "cluster")}  # fmt: skip
    return titles, sorted(unescape(t).strip() for t in re.findall(r"<text[^>]*>(.*?)</text>", svg, re.S))


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
@pytest.mark.parametrize("other", [_dot, _pygraphviz], ids=["dot", "pygraphviz"])
def test_with_dot_and_without(graph, other):
    """Nodes, edges and labels are those that Graphviz in WebAssembly draws, which needs no dot."""
    if other is _dot and not shutil.which("dot"):
        pytest.skip("no dot on PATH; get it with: apt-get install graphviz")
    if other is _pygraphviz:
        pytest.importorskip("pygraphviz", reason="no pygraphviz; get it with: pip install 'cowlab[dot]'")
    source = graph().to_dot().source
    assert parts(other()(source, "svg").decode()) == parts(_wasm()(source, "svg").decode())


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_every_node_and_edge_is_drawn(graph):
    """What the DOT source names is what the drawing has: no more, no less."""
    source = graph().to_dot().source
    (drawn, labels), name = parts(render(source, slim=False).decode()), r'("(?:[^"\\]|\\.)*"|\w+)'
    body = [line for line in source.splitlines() if line.startswith("\t") and "invis" not in line]
    found = [m[1].strip('"') for line in body if (m := re.match(rf"\t+{name} \[", line)) and m[1] not in KEYWORDS]
    pairs = [m.groups() for line in body if (m := re.match(rf"\t+{name} -> {name}( |$)", line))]
    assert set(drawn["node"]) == set(found)
    assert set(drawn["edge"]) == {f"{a}->{b}".replace('"', "") for a, b, _ in pairs}
    assert labels


KEYWORDS = ("node", "edge", "graph")
