"""Driving JupyterLab in Chromium. A test reads:

def test_something(browser, jupyter_lab):
    page = new_page(browser)
    strangers = off_host(page)
    open_notebook(page, jupyter_lab, "notebooks/05-either-way.ipynb")
    run_all(page)
    ...
    assert strangers == []

`jupyter_lab.folder` is the course on disk. Everything cowlab ships there is trusted; a notebook that a test writes
there itself is not, which is how to see what an untrusted one shows.
"""

import shutil
from urllib.parse import quote, urlsplit

from serving import Lab

__all__ = ["LAUNCH_FLAGS", "find_chromium", "new_page", "off_host", "open_notebook", "run_all", "wait_idle"]

LAUNCH_FLAGS = [
    "--no-sandbox",  # root in a container has no other way
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--disable-features=MediaRouter,OptimizationHints,Translate",
]


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def new_page(browser, *, width: int = 1400, height: int = 6000, **options):
    """A page with its own cookies and storage. It is tall because JupyterLab leaves out what is not in view.

    Options are Playwright's: `color_scheme="dark"`, `reduced_motion="reduce"`, ...
    """
    page = browser.new_context(viewport={"width": width, "height": height}, **options).new_page()
    page.set_default_timeout(60_000)
    return page


def off_host(page) -> list[str]:
    """A list that grows with every request to another machine. A lesson makes none: assert that it is empty."""
    seen: list[str] = []

    def note(request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            seen.append(request.url)

    page.on("request", note)
    page.on("websocket", note)
    return seen


def open_notebook(page, lab: Lab, path: str, *, kernel: bool = True) -> None:
    """Open `path` (relative to the served folder, with slashes) and return when a new kernel can take its cells.

    With `kernel=False` return as soon as the cells are there.
    """
    lab.end_kernels()  # else it would be the kernel, and the variables, of the test before
    page.goto(f"{lab.url}/lab/tree/{quote(path)}?reset&token={lab.token}")
    page.wait_for_function(
        """path => {
            const panel = window.jupyterapp?.shell.currentWidget;
            return panel?.context?.isReady && panel.context.path === path && panel.content.widgets.length > 0;
        }""",
        arg=path,
    )
    if kernel:
        page.wait_for_function("window.jupyterapp.shell.currentWidget.sessionContext.isReady")
        wait_idle(page)
        page.wait_for_timeout(2000)  # `?reset` may swap the kernel after the first idle: cells sent before are lost
        wait_idle(page)


def wait_idle(page) -> None:
    """Return when the kernel of the notebook in front has nothing left to do."""
    page.wait_for_function(
        "window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'", timeout=120_000
    )


def run_all(page) -> None:
    """Run every cell of the notebook in front, and return when the last one is done; AssertionError if one raised."""
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => null)")
    wait_idle(page)
    errors = page.evaluate(
        """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
            .filter(cell => cell.type === 'code')
            .flatMap(cell => cell.outputs.toJSON())
            .filter(output => output.output_type === 'error')
            .map(output => output.ename + ': ' + output.evalue)"""
    )
    assert errors == [], f"cells raised: {errors}"
