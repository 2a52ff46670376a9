"""Two tiers and one browser.

Quick: plain `pytest`. Full: the same with CI=true in the environment; it adds the tests marked `full`.
A browser test asks for the fixture `browser`. Without Chromium it is skipped, and says how to get it; in the full
tier a browser test that is skipped, for whatever reason, has failed.
"""

import os
from pathlib import Path

import pytest
from browser import LAUNCH_FLAGS, find_chromium
from serving import Lab, serve, stop

collect_ignore_glob = ["solutions/*.ipynb", "grading/*.ipynb"]  # sources of exercises: wrong answers and all
FULL = os.environ.get("CI", "").lower() in ("1", "true", "yes")
NO_CHROMIUM = "no Chromium on PATH; get it with: apt-get install chromium"


def pytest_report_header():
    return f"cowlab: {'full tier (CI is set)' if FULL else 'quick tier (CI=true runs everything)'}"


def pytest_collection_modifyitems(items):
    if not FULL:
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="full tier only: set CI=true"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if FULL and report.skipped and not hasattr(report, "wasxfail") and "browser" in getattr(item, "fixturenames", ()):
        report.outcome = "failed"
        report.longrepr = f"a browser test must not be skipped when CI is set: {report.longrepr}"
    return report


# The browser


@pytest.fixture(scope="module")
def browser():
    """Chromium, headless, driven by Playwright; the tests ask it for `new_page(...)`.

    One per module, so that Playwright's event loop is gone before nbval starts kernels in this process.
    """
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no playwright; get it with: pip install -e '.[test]'"
    )
    chromium = find_chromium()
    if chromium is None:
        pytest.skip(NO_CHROMIUM)
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=LAUNCH_FLAGS)
        yield running
        running.close()


# JupyterLab


@pytest.fixture(scope="session")
def jupyter_home(tmp_path_factory) -> dict[str, str]:
    """An environment in which Jupyter finds none of the user's settings, trust or kernels."""
    home = tmp_path_factory.mktemp("home")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "XDG_", "IPYTHON"))}
    folders = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    for variable, name in folders.items():
        (home / name).mkdir()
        env[variable] = str(home / name)
    return env | {"HOME": str(home), "USERPROFILE": str(home), "IPYTHONDIR": str(home / "ipython")}


@pytest.fixture(scope="session")
def start_lab(jupyter_home, tmp_path_factory):
    """A function that runs `cowlab lab FOLDER` and returns a `Lab`. All are stopped when the tests are over."""
    running = []

    def start(folder: Path, *options: str) -> Lab:
        lab = serve(folder, *options, env=jupyter_home, log=tmp_path_factory.mktemp("log") / "lab.txt")
        running.append(lab)
        return lab

    yield start
    for lab in running:
        stop(lab.process)


@pytest.fixture(scope="session")
def jupyter_lab(start_lab, tmp_path_factory) -> Lab:
    """JupyterLab on a fresh copy of the course, with the hooks that `browser.py` needs. Shared by all tests."""
    return start_lab(tmp_path_factory.mktemp("course") / "cow-lessons", "--test-hooks")
