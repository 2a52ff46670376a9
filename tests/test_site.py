"""`cowlab site`: the course in a page, with nothing asked of another host."""

import base64
import functools
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from browser import LAUNCH_FLAGS, find_chromium, new_page, off_host
from conftest import NO_CHROMIUM

from cowlab import lab, site
from cowlab.cli import main
from cowlab.site import content, pyodide, tools
from cowlab.view import inpage


def source(cell) -> str:
    return "".join(cell["source"])


# What is refused, and when it asks


def asked(monkeypatch, answer: str | None):
    """stdin is a terminal on which somebody types ``answer``; None: nobody is there."""
    stdin = io.StringIO(f"{answer}\n")
    stdin.isatty = lambda: answer is not None
    monkeypatch.setattr(sys, "stdin", stdin)


@pytest.fixture
def no_build(monkeypatch):
    """A build that is noted and not done."""
    built = []
    monkeypatch.setattr(
        site, "build", lambda folder, say: built.append(folder) or {"folder": "x", "files": 0, "bytes": 0}
    )
    monkeypatch.setattr(tools, "missing", list)
    return built


@pytest.mark.parametrize(
    ("answer", "options", "status", "builds"),
    [("y", [], 0, True), ("yes", [], 0, True), ("", [], 1, False), ("n", [], 1, False), (None, [], 2, False),
     (None, ["--yes"], 0, True), ("n", ["--yes"], 0, True)],
)  # fmt: skip
def test_it_asks_before_it_downloads(answer, options, status, builds, no_build, monkeypatch, tmp_path, capsys):
    """Nothing is fetched unless somebody says yes, and the question says how much it is."""
    asked(monkeypatch, answer)
    assert main(["site", "-o", str(tmp_path / "new"), *options]) == status
    assert bool(no_build) == builds
    said = capsys.readouterr().err
    assert (re.search(r"downloads about \d+ MB", said) is not None) == (not options)
    assert not (tmp_path / "new").exists()


def test_it_writes_over_nothing_of_yours(no_build, tmp_path, capsys):
    """A folder with other files is refused, and a file; an empty folder and a site made earlier are not."""
    mine, old, empty = tmp_path / "mine", tmp_path / "old", tmp_path / "empty"
    for folder in (mine, old, empty):
        folder.mkdir()
    (mine / "thesis.txt").write_text("mine")
    (old / site.MARK).write_text("{}")
    for folder, status in ((mine, 2), (mine / "thesis.txt", 2), (old, 0), (empty, 0)):
        assert main(["site", "-o", str(folder), "--yes"]) == status, folder
    assert (mine / "thesis.txt").read_text() == "mine"
    assert "has other files in it" in capsys.readouterr().err


def test_what_is_missing_is_named_with_its_remedy(monkeypatch, tmp_path, capsys):
    """Without npm, pip or JupyterLite there is one message, and no traceback."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
    assert main(["site", "-o", str(tmp_path / "new"), "--yes"]) == 2
    said = capsys.readouterr().err
    for remedy in ("pip install 'cowlab[site]'", "npm", "ensurepip"):
        assert remedy in said
    assert "Traceback" not in said


def test_a_program_that_fails_is_quoted(tmp_path):
    with pytest.raises(tools.Refusal, match=r"(?s)fetching failed \(exit status 3\).*no route"):
        tools.call(
            [sys.executable, "-c", "import sys; sys.exit(print('no route', file=sys.stderr) or 3)"],
            "fetching",
            tmp_path,
        )


# What goes into it


def test_notebooks_are_the_lessons_with_a_word_on_top():
    """Every file of the course is there; a notebook has one cell more and the kernel's name there, and nothing else."""
    ready, upstream = content.notebooks(), lab.upstream()
    assert list(ready) == list(upstream)
    for name in (n for n in ready if n.endswith(".ipynb")):
        there, here = json.loads(ready[name]), json.loads(upstream[name])
        assert there["cells"][1:] == here["cells"]
        assert "fork()" in source(there["cells"][0])
        assert there["metadata"].pop("kernelspec")["name"] == "python"
        assert here["metadata"].pop("kernelspec")["name"] == "python3"
        assert there["metadata"] == here["metadata"]


def test_the_wheel_is_the_running_cowlab(tmp_path):
    """It has every file of the package that a page can use, true digests, the same bytes each time, and it works."""
    wheel = content.make_wheel(tmp_path)
    assert (
        hashlib.sha256(wheel.read_bytes()).digest()
        == hashlib.sha256(content.make_wheel(tmp_path).read_bytes()).digest()
    )
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        for line in packed.read(next(n for n in names if n.endswith("RECORD"))).decode().splitlines():
            name, digest, size = line.rsplit(",", 2)
            if digest:
                data = packed.read(name)
                assert digest == "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip(
                    "="
                )
                assert int(size) == len(data)
        packed.extractall(tmp_path / "unpacked")
    modules = {
        p.relative_to(lab.PACKAGE.parent).as_posix() for p in lab.PACKAGE.rglob("*.py") if "_lessons" not in p.parts
    }
    assert modules <= set(names)
    assert not [n for n in names if "__pycache__" in n or "_lessons" in n]
    code = """if True:
        import sys; sys.path.insert(0, "."); import cowlab
        print(cowlab.judge(cowlab.load("takeover-after-exit"), cowlab.kernel("v5.7")).verdict)"""
    command = [sys.executable, "-I", "-c", code]
    said = subprocess.run(command, cwd=tmp_path / "unpacked", capture_output=True, text=True)
    assert said.stdout.strip() == "Sometimes", said.stderr


def test_lessons_import_nothing_that_the_site_lacks():
    """Every module that a lesson imports is cowlab's, the standard library's, or in the runtime."""
    there = {"cowlab", "IPython"} | {n.replace("-", "_") for n in (*pyodide.LESSONS, *pyodide.KERNEL)}
    for name, data in content.notebooks().items():
        if name.startswith("notebooks/") and name.endswith(".ipynb"):
            for cell in json.loads(data)["cells"]:
                if cell["cell_type"] == "code":
                    wanted = set(re.findall(r"^\s*(?:from|import)\s+(\w+)", source(cell), re.M))
                    assert wanted <= there | set(sys.stdlib_module_names), (name, cell["id"])


def test_the_lock_file_names_what_is_needed(tmp_path):
    """A package's needs are followed to the end; of two versions of a wheel the higher one is taken."""
    known = {"a": {"depends": ["b_b"]}, "b-b": {"depends": ["c"]}, "c": {"depends": ["a"]}, "d": {"depends": []}}
    assert pyodide._closure(["a"], known) == {"a", "b-b", "c"}
    with pytest.raises(tools.Refusal, match="does not know e"):
        pyodide._closure(["e"], known)
    wheels = [tmp_path / f"x_y-{v}-py3-none-any.whl" for v in ("3.6.999", "10.0", "4.0.999")]
    assert pyodide._newest(wheels) == {"x-y": wheels[1]}


def test_on_a_machine_the_page_does_not_draw():
    assert inpage.renderer() is None


# In Chromium


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A site built as a user does; what the command printed as JSON. Skipped where nothing can be fetched."""
    if lacks := tools.missing():
        pytest.skip(lacks[0])
    folder = tmp_path_factory.mktemp("site") / "public"
    command = [sys.executable, "-m", "cowlab.cli", "site", "-o", str(folder), "--yes", "--json"]
    env = {**os.environ, "PYTHONPATH": str(lab.PACKAGE.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode and re.search(r"fetching \S+ with (npm|pip) failed", done.stderr):
        pytest.skip(f"no package registry in reach: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def served(built):
    """The address of the site, on loopback. The served copy has JupyterLab's handle for tests switched on."""
    config = Path(built["folder"]) / "jupyter-lite.json"
    settings = json.loads(config.read_text("utf-8"))
    settings["jupyter-config-data"]["exposeAppInBrowser"] = True
    config.write_text(json.dumps(settings), "utf-8")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=built["folder"]))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def offline(served):
    """Chromium to which no other host exists: workers and service workers, too, find nobody."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright")
    if find_chromium() is None:
        pytest.fail(NO_CHROMIUM)
    rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=find_chromium(), args=[*LAUNCH_FLAGS, rules])
        yield running
        running.close()


NOTEBOOK = "window.jupyterapp.shell.currentWidget"
IDLE = f"{NOTEBOOK}.sessionContext.session?.kernel?.status === 'idle'"


def outputs(page) -> dict[str, list]:
    """Cell id -> its outputs, as JupyterLab has them."""
    return page.evaluate(
        f"() => Object.fromEntries([...{NOTEBOOK}.content.model.cells]"
        ".filter(cell => cell.type === 'code').map(cell => [cell.id, cell.outputs.toJSON()]))"
    )


def words(kept: list) -> str:
    """What outputs say in words: streams, and the text form of everything shown, but for live views."""
    said = []
    for output in kept:
        data = output.get("data", {})
        if "application/vnd.jupyter.widget-view+json" not in data:
            said.append("".join(output.get("text", data.get("text/plain", ""))))
    return "".join(said)


@pytest.mark.full
@pytest.mark.parametrize("lesson", ["01-your-machine", "02-fork-shares", "05-either-way", "07-the-fix"])
def test_a_lesson_in_the_browser(lesson, offline, served):
    """Run from top to bottom in Pyodide with no network, a lesson says what it says on a machine, word for word, and
    its player steps."""
    page = new_page(offline)
    strangers, path = off_host(page), f"notebooks/{lesson}.ipynb"
    page.goto(f"{served}/lab/index.html?path={path}")
    page.wait_for_function(
        f"path => {{ const w = window.jupyterapp && {NOTEBOOK};"
        "return w?.context?.isReady && w.context.path === path && w.content.widgets.length > 0; }",
        arg=path,
    )
    page.wait_for_function(IDLE, timeout=180_000)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs').then(() => null)")
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => null)")
    page.wait_for_function(IDLE, timeout=180_000)
    made = outputs(page)
    assert [o for kept in made.values() for o in kept if o["output_type"] == "error" or o.get("name") == "stderr"] == []
    for cell in json.loads(content.notebooks()[path])["cells"]:
        if cell["cell_type"] == "code" and "nbval-ignore-output" not in cell["metadata"].get("tags", []):
            assert words(made[cell["id"]]) == words(cell["outputs"]), cell["id"]
    if lesson == "01-your-machine":
        assert "a page in a web browser" in str(made), "the live kernel is out of reach, and that is said"
        assert "ecorded" in str(made)
    else:
        step(page)
    if lesson == "05-either-way":
        same_drawing(made)
    assert strangers == []


def step(page) -> None:
    """The first player that has steps: Home, then Next. The place moves on by one, and the picture is another."""
    player = page.locator(".cowlab-player:has(input[type=range]:not([max='0']))").first
    place, picture = player.locator(".cowlab-place"), player.locator("svg").first
    player.locator("input[type=range]").press("Home")
    page.wait_for_function("e => /start/.test(e.innerText)", arg=place.element_handle())
    drawn = picture.evaluate("e => e.outerHTML")
    player.get_by_role("button", name="Next", exact=True).click()
    page.wait_for_function("e => /step 1 /.test(e.innerText)", arg=place.element_handle())
    assert picture.evaluate("e => e.outerHTML") != drawn


def same_drawing(made) -> None:
    """Graphviz in the page draws the bytes that it draws here."""
    import cowlab

    here = cowlab.judge(cowlab.load("child-reads-parent-secret"), cowlab.kernel("v5.7")).diagram()
    (drawn,) = [o["data"] for o in made["diagram"] if "data" in o]
    assert "".join(drawn["text/html"]) == here._repr_mimebundle_()["text/html"]


@pytest.mark.full
def test_the_front_page_opens_the_index(offline, served):
    page = new_page(offline)
    page.goto(f"{served}/")
    page.wait_for_function(f"() => window.jupyterapp && {NOTEBOOK}?.context?.path === '{site.INDEX}'")


@pytest.mark.full
def test_what_was_built(built):
    """The size stays within reason, every notebook is there, and the lock file points at files that lie beside it."""
    folder = Path(built["folder"])
    assert 25e6 < built["bytes"] < 60e6
    assert built["notebooks"] == sorted(lab.upstream())
    runtime = folder / "static" / "pyodide"
    lock = json.loads((runtime / "pyodide-lock.json").read_text("utf-8"))["packages"]
    for entry in lock.values():
        assert hashlib.sha256((runtime / entry["file_name"]).read_bytes()).hexdigest() == entry["sha256"]
        assert set(entry["depends"]) <= set(lock)
    config = (folder / "jupyter-lite.json").read_text("utf-8")
    assert "./static/pyodide/pyodide.mjs" in config
    assert not re.search(r'"(?:pyodideUrl|pipliteUrls|\w*[uU]rl)": "https?://', config)
