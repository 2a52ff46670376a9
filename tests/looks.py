"""Pictures of every widget, to be looked at: python tests/looks.py FOLDER

Writes PNGs into FOLDER: each widget live in JupyterLab (light, dark, and as a deuteranope sees it) on a wide and on a
narrow window, its static form in an untrusted notebook and in a page made by nbconvert, and that page as sheets of
paper. What can be measured is in tests/test_ui_browser.py: nothing overlaps, is cut off, or jumps.
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from browser import LAUNCH_FLAGS, find_chromium, new_page, open_notebook, run_all
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from refresh import stored as kept
from serving import serve, stop
from test_view import CROWD, STORY

FIRST = f"""from cowlab import *
from cowlab.ui import *
from cowlab.course import ask, predict
from cowlab.view import call_paths, compare, family, verdict_table, who_shares
crowd = parse({CROWD!r})
test = load({STORY!r})
story = run(test, kernel("v5.7"), "P C C P")
"""
SHOWN = {  # name of the picture -> the cell, which a notebook displays
    "player": f"player({STORY!r}, 'v5.8', 'P C C P', start=2, anchor='leak')",
    "player-crowd": "player(judge(crowd, kernel('v5.19')).finals[-1].trace, start=9)",
    "beside-two": f"side_by_side({STORY!r}, 'P C C P', start=2)",
    "beside-three": f"side_by_side({STORY!r}, 'P C C P', ['v5.7', 'v5.8', 'v6.1'], start=4)",
    "scheduler": f"scheduler({STORY!r}, tests='catalogue')",
    "executions": f"executions({STORY!r})",
    "executions-many": "executions(crowd, 'v5.7')",
    "executions-folded": "executions(crowd, 'v5.7', fold=True)",
    "ask": "ask('05-first-writer')",
    "predict": "predict('looks', story, 3, ['P.x entry', 'frame 0 mapcount', 'frame 0 refcount', 'C.pipe frame'])",
    "call-path": "call_paths([run(test, kernel(k), 'P C C P') for k in ('v5.7', 'v5.8')], 2)",
    "family": "family(crowd)",
    "diagram-many": "judge(crowd, kernel('v5.7')).diagram()",
    "shares": "who_shares(story)",
    "trace": "story",
    "verdicts": f"verdict_table([{STORY!r}, 'second-writer-reuses'])",
}
WIDTHS = (1280, 700)


def notebook():
    cells = [new_code_cell(FIRST)]
    cells += [new_code_cell(source, id=name) for name, source in SHOWN.items()]
    cells += [new_markdown_cell("[the last step](#leak-4)")]
    return new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})


def use(page) -> None:
    """Bring the widgets to a state worth looking at: a wrong answer, a wrong cell, two moves, a bad end."""
    game = page.locator(".cowlab-game")
    for move in ("P: fork C", "P: write x new"):
        game.get_by_role("button", name=move).click()
        game.get_by_role("button", name=f"{move}, move").wait_for()
    game.get_by_role("button", name="Show the next move").click()
    page.locator(".cowlab-executions").first.locator("[data-node='8']").click()
    form = page.locator(".cowlab-ask")
    form.get_by_role("radio").first.check()
    form.get_by_role("button", name="Record my answer").click()
    table = page.locator(".cowlab-predict")
    table.get_by_role("combobox").select_option("writable")
    for name, typed in (("frame 0: mapcount", "2"), ("frame 0: refcount", "2"), ("C.pipe: frame", "1")):
        table.get_by_role("textbox", name=name).fill(typed)
    table.get_by_role("button", name="Record my prediction").click()
    table.get_by_text("Not so").first.wait_for()
    page.wait_for_timeout(1500)


def shoot(page, folder: Path, name: str) -> None:
    """The output of each cell as a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for cell in SHOWN:
        n = list(SHOWN).index(cell) + 1
        page.locator(".jp-Notebook .jp-Cell").nth(n).locator(".jp-OutputArea").first.screenshot(
            path=folder / f"{cell}-{name}.png"
        )


def live(browser, lab, folder: Path) -> None:
    nbformat.write(notebook(), lab.folder / "looks.ipynb")
    for width in WIDTHS:
        page = new_page(browser, width=width, height=16_000)
        open_notebook(page, lab, "looks.ipynb")
        page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        run_all(page)
        use(page)
        for theme in ("Light", "Dark"):
            page.evaluate("t => window.jupyterapp.commands.execute('apputils:change-theme', {theme: t}).then(() => 0)",
                          f"JupyterLab {theme}")  # fmt: skip
            page.wait_for_timeout(1500)
            shoot(page, folder, f"{theme.lower()}-{width}")
            seen = page.context.new_cdp_session(page)
            if width == WIDTHS[0]:
                seen.send("Emulation.setEmulatedVisionDeficiency", {"type": "deuteranopia"})
                shoot(page, folder, f"deuteranopia-{theme.lower()}-{width}")
                seen.send("Emulation.setEmulatedVisionDeficiency", {"type": "none"})
        page.context.close()


def stored(browser, lab, folder: Path) -> None:
    """The executed notebook as somebody has it who has not run it: untrusted, converted, printed."""
    from nbclient import NotebookClient
    from nbconvert import HTMLExporter

    done = NotebookClient(notebook(), timeout=300).execute()
    for cell in done.cells:
        if cell.cell_type == "code":
            cell.outputs = kept(cell.outputs)
    nbformat.write(done, lab.folder / "stored.ipynb")
    for width in WIDTHS:
        page = new_page(browser, width=width, height=30_000)
        open_notebook(page, lab, "stored.ipynb", kernel=False)
        page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        page.wait_for_timeout(3000)
        shoot(page, folder, f"untrusted-{width}")
        page.context.close()
    html = HTMLExporter().from_notebook_node(done)[0]
    (folder / "page.html").write_text(html, "utf-8")
    for width in WIDTHS:
        page = new_page(browser, width=width, height=1000)
        page.route("http*://**", lambda route: route.abort())
        page.goto((folder / "page.html").as_uri())
        for n, cell in enumerate(SHOWN):
            outputs = page.locator(".jp-Cell.jp-CodeCell").nth(n + 1).locator(".jp-Cell-outputWrapper")
            outputs.screenshot(path=folder / f"{cell}-nbconvert-{width}.png")
        if width == WIDTHS[0]:
            page.pdf(path=folder / "page.pdf", format="A4", print_background=False)
        page.context.close()
    sheets(folder)


def sheets(folder: Path) -> None:
    """The sheets of page.pdf as PNGs, where pypdfium2 is installed."""
    try:
        import pypdfium2
    except ImportError:
        print("no pypdfium2: look at page.pdf itself")
        return
    for n, sheet in enumerate(pypdfium2.PdfDocument(folder / "page.pdf"), 1):
        sheet.render(scale=1.2).to_pil().save(folder / f"print-{n:02}.png")


def main() -> None:
    from playwright.sync_api import sync_playwright

    if len(sys.argv) != 2:
        sys.exit(__doc__.splitlines()[0])
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home, sync_playwright() as driver:
        env = os.environ | dict.fromkeys(("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"), home)
        lab = serve(Path(home) / "cow-lessons", "--test-hooks", env=env, log=Path(home) / "log.txt")
        browser = driver.chromium.launch(executable_path=find_chromium(), args=LAUNCH_FLAGS)
        try:
            live(browser, lab, folder)
            stored(browser, lab, folder)
        finally:
            browser.close()
            stop(lab.process)


if __name__ == "__main__":
    main()
