"""The widgets where learners meet them: live in JupyterLab, in an untrusted notebook, on a page without a kernel."""

import re

import nbformat
import pytest
from browser import new_page, off_host, open_notebook, run_all
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from widgets import mount

from cowlab.course import predict
from cowlab.litmus import judge, load
from cowlab.mm import kernel
from cowlab.ui import executions, player, scheduler, side_by_side
from cowlab.view import compare, family, who_shares

STORY = "child-reads-parent-secret"
CELLS = {
    "player": f"from cowlab.ui import *\nfrom cowlab.course import predict\nplayer('{STORY}', start=2, anchor='leak')",
    "side by side": f"side_by_side('{STORY}', 'P C C P')",
    "scheduler": f"scheduler('{STORY}')",
    "executions": f"executions('{STORY}')",
    "predict": f"predict('t', player('{STORY}').trace, 3, ['frame 0 mapcount'])",
}
SHOWN = [  # class of the live widget, a word of its static form
    ("cowlab-one", "The whole trace in words"),
    ("cowlab-beside", "side by side on v5.7 and v5.8"),
    ("cowlab-game", "Who moves next?"),
    ("cowlab-executions", "In words"),
    ("cowlab-predict", "Run this cell to answer."),
]


def static():
    """What each of the cells stores."""
    trace = judge(load(STORY), kernel("v5.7")).witness
    crowd = player("a-crowd-of-four")
    for shown in (
        player(trace, anchor="leak"),
        side_by_side(STORY, "P C C P"),
        scheduler(STORY),
        executions(STORY),
        crowd,
    ):
        yield shown.static()
    yield predict("t", trace, 3, ["frame 0 mapcount"])._repr_mimebundle_()
    for shown in (who_shares(trace), family(STORY), compare(STORY, "P C C P")):
        yield shown._repr_mimebundle_()


def notebook(outputs: bool):
    cells = [*map(new_code_cell, CELLS.values()), new_markdown_cell("At [the last step](#leak-4) it is done.")]
    if outputs:
        cells = [new_code_cell("", outputs=[new_output("display_data", data=data)]) for data in static()]
    return new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})


@pytest.mark.full
def test_live_in_jupyterlab(browser, jupyter_lab):
    """Each widget is there and its static form is not; keys typed in it stay in it; a link leads to a step; a move gets
    an answer from the kernel; nothing comes from another machine."""
    nbformat.write(notebook(outputs=False), jupyter_lab.folder / "live.ipynb")
    page = new_page(browser, height=9000)
    strangers = off_host(page)
    open_notebook(page, jupyter_lab, "live.ipynb")
    run_all(page)
    for name, words in SHOWN:
        page.locator(f".{name}").wait_for()
        box = page.locator(".jp-OutputArea", has=page.locator(f".{name}"))
        assert box.get_by_text(words, exact=False).locator("visible=true").count() <= (name == "cowlab-executions")
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    player_ = page.locator(".cowlab-one")
    player_.get_by_role("slider", name="Step").focus()
    for key in ("ArrowRight", "a", "b", "d", "d", "x"):
        page.keyboard.press(key)
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert player_.get_by_role("slider").input_value() == "3"
    page.get_by_role("link", name="the last step").click()
    assert player_.get_by_role("slider").input_value() == "4"
    assert player_.get_by_role("slider").evaluate("e => e === document.activeElement")
    game = page.locator(".cowlab-game")
    game.get_by_role("button", name="P: fork C").click()
    game.get_by_role("status").get_by_text("It can still be reached").wait_for()
    graph = page.locator(".cowlab-executions")
    graph.locator("[data-node='8']").click()
    graph.get_by_text("A shortest way here: P: fork C; C: vmsplice x -> pipe;").wait_for()
    table = page.locator(".cowlab-predict")
    table.get_by_role("textbox", name="frame 0: mapcount").fill("2")
    table.get_by_role("button", name="Record my prediction").click()
    table.get_by_role("status").get_by_text("Not so: frame 0 mapcount.").wait_for()
    output = page.locator(".jp-OutputArea", has=table)
    output.locator(".cowlab-one").wait_for()
    assert output.locator(".cowlab-one").get_by_role("slider").input_value() == "3"
    assert strangers == []


@pytest.mark.full
def test_untrusted(browser, jupyter_lab):
    """A notebook that nobody has run here shows every static form: all pictures load, and nothing complains."""
    nbformat.write(notebook(outputs=True), jupyter_lab.folder / "stored.ipynb")
    page = new_page(browser, height=30_000)
    strangers = off_host(page)
    open_notebook(page, jupyter_lab, "stored.ipynb", kernel=False)
    page.locator(".jp-OutputArea-output img").first.wait_for()
    for _, words in SHOWN:
        page.get_by_text(words).first.wait_for(state="attached")
    assert page.get_by_text(re.compile("Error displaying widget|Loading widget")).count() == 0
    page.get_by_text("Family tree of").first.wait_for(state="attached")
    images = page.locator(".jp-OutputArea-output img")
    assert images.count() >= 20
    assert (
        images.evaluate_all("all => all.filter(i => !i.complete || !i.naturalWidth || i.alt.length < 20).length") == 0
    )
    assert strangers == []


def test_as_a_page(browser):
    """Converted, everything stands without a kernel, wherever it is read: a link leads to its step, which unfolds; on
    paper every step is there, words that repeat the pictures are not, and nothing is wider than the sheet; axe-core
    finds nothing serious."""
    nbconvert = pytest.importorskip("nbconvert")
    html, _ = nbconvert.HTMLExporter(template_name="basic").from_notebook_node(notebook(outputs=True))
    page = mount(browser, before="<a href='#leak-3'>step 3</a>" + html)
    assert page.locator("#leak-3 img").is_visible() is False
    page.get_by_role("link", name="step 3").click()
    assert page.locator("#leak-3 img").is_visible()
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth && i.alt.length > 20)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert page.locator("#leak-4 img").is_visible() is False
    assert page.locator(".cowlab-static .cowlab-words summary").first.is_visible()
    page.emulate_media(media="print")
    assert page.locator("#leak-4 img").is_visible()
    page.set_viewport_size({"width": 700, "height": 1000})
    wide = "[...document.images].filter(i => i.checkVisibility() && i.getBoundingClientRect().right > 700).length"
    assert page.evaluate(wide) == 0
    words = page.locator(".cowlab-static pre:visible")
    assert words.count() > 0, "those of the long trace, which has no room for all its pictures"
    assert words.evaluate_all("all => all.filter(p => p.scrollWidth > p.clientWidth + 1).length") == 0
    assert page.locator(".cowlab-static .cowlab-words summary:visible").count() == 0
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe().run(page)
    serious = [v for v in axe.response["violations"] if v["impact"] in ("serious", "critical")]
    assert [(v["id"], v["nodes"][0]["html"]) for v in serious] == []
    assert page.strangers == []
