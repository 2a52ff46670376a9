"""`cowlab lab`: what it writes, what it never touches, what it refuses, and that it serves."""

import json
import os
import socket
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest
from browser import new_page, off_host, open_notebook
from serving import COWLAB, stop

from cowlab import lab

NAME = "notebooks/05.ipynb"
BESIDE = "notebooks/05.new.ipynb"
SECOND = "notebooks/05.new2.ipynb"
LOST, BROKEN = "the manifest is deleted", "the manifest is damaged"


def tree(folder: Path) -> dict[str, str]:
    """Every file but the manifest, with its text."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != lab.MANIFEST)
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def deliver(folder: Path, edition: str) -> lab.Delivered:
    return lab.deliver({NAME: edition.encode()}, folder)


# Each row tells what happens in turn. "v1" is a delivery of that edition; {name: text} is the learner writing (None:
# deleting). Then what lies in the folder.
STORIES = [
    ("nothing there", ["v1"], {NAME: "v1"}),
    ("delivered twice", ["v1", "v1"], {NAME: "v1"}),
    ("untouched, and a new edition", ["v1", "v2"], {NAME: "v2"}),
    ("untouched, two editions later", ["v1", "v2", "v3"], {NAME: "v3"}),
    ("untouched, and an older edition", ["v2", "v1"], {NAME: "v1"}),
    ("changed, no new edition", ["v1", {NAME: "mine"}, "v1"], {NAME: "mine"}),
    ("changed, and a new edition", ["v1", {NAME: "mine"}, "v2"], {NAME: "mine", BESIDE: "v2"}),
    ("the same again", ["v1", {NAME: "mine"}, "v2", "v2"], {NAME: "mine", BESIDE: "v2"}),
    ("the new one thrown away", ["v1", {NAME: "mine"}, "v2", {BESIDE: None}, "v2"], {NAME: "mine"}),
    ("then a newer one", ["v1", {NAME: "mine"}, "v2", "v3"], {NAME: "mine", BESIDE: "v3"}),
    (
        "the new one was worked in too",
        ["v1", {NAME: "mine"}, "v2", {BESIDE: "mine 2"}, "v3"],
        {NAME: "mine", BESIDE: "mine 2", SECOND: "v3"},
    ),
    (
        "the new one taken over the old",
        ["v1", {NAME: "mine"}, "v2", {NAME: "v2", BESIDE: None}, "v3"],
        {NAME: "v3"},
    ),
    ("changed, then put back", ["v1", {NAME: "mine"}, {NAME: "v1"}, "v2"], {NAME: "v2"}),
    ("changed to what the new edition says", ["v1", {NAME: "v2"}, "v2"], {NAME: "v2"}),
    ("deleted", ["v1", {NAME: None}, "v1"], {NAME: "v1"}),
    ("emptied is a change", ["v1", {NAME: ""}, "v2"], {NAME: "", BESIDE: "v2"}),
    ("a file of the same name was there first", [{NAME: "mine"}, "v1"], {NAME: "mine", BESIDE: "v1"}),
    ("and the name beside it too", [{NAME: "mine", BESIDE: "too"}, "v1"], {NAME: "mine", BESIDE: "too", SECOND: "v1"}),
    ("another file of the learner's", [{"notebooks/notes": "mine"}, "v1"], {"notebooks/notes": "mine", NAME: "v1"}),
    ("no manifest, same edition", ["v1", LOST, "v1"], {NAME: "v1"}),
    ("no manifest: it may be the learner's", ["v1", LOST, "v2"], {NAME: "v1", BESIDE: "v2"}),
    ("no manifest, changed", ["v1", {NAME: "mine"}, LOST, "v1"], {NAME: "mine", BESIDE: "v1"}),
    ("damaged manifest counts as none", ["v1", {NAME: "mine"}, BROKEN, "v1"], {NAME: "mine", BESIDE: "v1"}),
    ("and is mended", ["v1", BROKEN, "v1", "v2"], {NAME: "v2"}),
]


@pytest.mark.parametrize(("events", "expected"), [row[1:] for row in STORIES], ids=[row[0] for row in STORIES])
def test_stories(tmp_path, events, expected):
    """A learner's file is never overwritten; an untouched one follows the editions; a new edition is never lost."""
    for event in events:
        if event == LOST:
            (tmp_path / lab.MANIFEST).unlink()
        elif event == BROKEN:
            (tmp_path / lab.MANIFEST).write_bytes(b'{"files": {"notebooks/05')
        elif isinstance(event, str):
            deliver(tmp_path, event)
        else:
            for name, text in event.items():
                (tmp_path / name).parent.mkdir(exist_ok=True)
                (tmp_path / name).unlink(missing_ok=True) if text is None else (tmp_path / name).write_text(text)
    assert tree(tmp_path) == expected


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b"{}",
        b'{"files": 3}',
        b'{"files": {"notebooks/05.ipynb": 7}}',
        b"[" * 99999,
    ],
)
def test_damaged_manifest(tmp_path, damage):
    """Whatever stands in the manifest, the learner's file is safe and the next manifest is whole."""
    deliver(tmp_path, "v1")
    (tmp_path / NAME).write_text("mine")
    (tmp_path / lab.MANIFEST).write_bytes(damage)
    deliver(tmp_path, "v2")
    assert tree(tmp_path) == {NAME: "mine", BESIDE: "v2"}
    assert set(json.loads((tmp_path / lab.MANIFEST).read_text())["files"]) == {NAME, BESIDE}


def test_only_our_own_bytes_are_trusted(tmp_path):
    """`official`, which is what gets trusted, names exactly the files that hold what cowlab ships."""
    assert deliver(tmp_path, "v1").official == [NAME]
    (tmp_path / NAME).write_text("mine")
    assert deliver(tmp_path, "v1").official == []
    done = deliver(tmp_path, "v2")
    assert (done.written, done.beside, done.official) == ([], {NAME: BESIDE}, [BESIDE])


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    """A write that fails half-way (a full disk) leaves the old file whole and nothing else."""
    deliver(tmp_path, "v1")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        deliver(tmp_path, "v2")
    assert tree(tmp_path) == {NAME: "v1"}


def test_upstream_is_the_course():
    """The course is notebooks/ and exercises/, its index among them, without what an editor or Python left there."""
    names = lab.upstream()
    assert lab.INDEX in names
    assert {name.split("/")[0] for name in names} <= set(lab.PARTS)
    assert not [name for name in names if "/." in name or "__pycache__" in name]


def test_import_is_light():
    """Importing `cowlab.lab` loads no package but cowlab and the standard library."""
    code = (
        "import sys; before = set(sys.modules); import cowlab.lab; "
        "print({n.split('.')[0] for n in set(sys.modules) - before} - sys.stdlib_module_names - {'cowlab'})"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


# The command line


def parse(*words: str):
    parser = ArgumentParser()
    lab.add_parser(parser.add_subparsers())
    return parser.parse_args(["lab", *words])


@pytest.mark.parametrize(
    ("words", "folder", "browser", "port", "rest"),
    [
        ([], None, True, None, []),
        (["here"], "here", True, None, []),
        (["--no-browser", "here"], "here", False, None, []),
        (["here", "--no-browser", "--port", "9000"], "here", False, "9000", []),
        (["--", "--debug"], None, True, None, ["--debug"]),
        (["here", "--", "--debug", "--", "x"], "here", True, None, ["--debug", "--", "x"]),
        (["--port=9000", "--"], None, True, "9000", []),
    ],
)
def test_parser(words, folder, browser, port, rest):
    """What stands after `--` is JupyterLab's; all before it is ours, in any order."""
    args = parse(*words)
    assert (args.folder, args.browser, args.port, args.rest) == (folder, browser, port, rest)


def refused(capsys, *words: str) -> str:
    """The one line that `cowlab lab` prints when it will not start."""
    assert lab.run(parse(*words)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("cowlab lab: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("port", ["0", "65536", "-1", "80a", "", "8.0", "1e3", "99999999999999999999", "٣٣٣٣"])
def test_not_a_port(capsys, tmp_path, port):
    """A port that is none is refused with the legal range, before anything is written."""
    assert "a number from 1 to 65535" in refused(capsys, str(tmp_path / "new"), f"--port={port}")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])
def test_port_taken(capsys, tmp_path, host):
    """A port that someone serves is refused, not silently exchanged for another, and nothing is written."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as other:
        try:
            other.bind((host, 0))
        except OSError:
            pytest.skip(f"this machine has no address {host}")
        other.listen()
        port = other.getsockname()[1]
        assert f"port {port} is taken" in refused(capsys, str(tmp_path / "new"), "--port", str(port))
    assert not (tmp_path / "new").exists()


def test_a_file_is_no_folder(capsys, tmp_path):
    """A DIR that is a file is refused, and the file is left as it was."""
    (tmp_path / "notes").write_text("mine")
    assert "is a file" in refused(capsys, str(tmp_path / "notes"))
    assert "cannot write" in refused(capsys, str(tmp_path / "notes" / "below"))
    assert (tmp_path / "notes").read_text() == "mine"


@pytest.mark.skipif(
    not Path("/sys/kernel").is_dir(), reason="needs Linux, whose /sys takes no new folder even from root"
)
def test_folder_cannot_be_made(capsys):
    """A folder that cannot be made is refused by name, with the system's own reason."""
    message = refused(capsys, "/sys/kernel/cow-lessons")
    assert "cannot write the lessons to /sys/kernel/cow-lessons: " in message
    assert any(reason in message for reason in ("not permitted", "denied", "Read-only"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_folder_cannot_be_written(capsys, tmp_path):
    """Nor is a folder that is there but takes no files."""
    tmp_path.chmod(0o500)
    try:
        assert "Permission denied" in refused(capsys, str(tmp_path))
    finally:
        tmp_path.chmod(0o700)


def test_jupyter_has_no_home(tmp_path):
    """Where Jupyter may not keep its own files (keys, run-time data), that is said in one line too."""
    (tmp_path / "file").touch()
    home = {"JUPYTER_DATA_DIR": str(tmp_path / "file" / "data")}
    command = [*COWLAB, "lab", str(tmp_path / "new"), "--no-browser"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=os.environ | home)
    assert done.returncode == 2
    assert done.stderr.startswith("cowlab lab: JupyterLab cannot use its own folders: ")
    assert done.stderr.count("\n") == 1


def test_no_jupyterlab(capsys, tmp_path, monkeypatch):
    """Without JupyterLab the message says how to install it into this very Python."""
    monkeypatch.setitem(sys.modules, "jupyterlab", None)
    assert f"{sys.executable} -m pip install jupyterlab" in refused(capsys, str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_no_lessons(capsys, tmp_path, monkeypatch):
    """A package without its lessons is refused; no empty folder is made."""
    monkeypatch.setattr(lab, "PACKAGE", tmp_path / "site-packages" / "cowlab")
    monkeypatch.setattr(lab.resources, "files", lambda _: tmp_path / "site-packages")
    assert "the lessons are missing" in refused(capsys, str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_clone_is_known_from_inside(tmp_path, monkeypatch):
    """Called in a clone, an installed package opens the clone's lessons; a folder that only looks a bit like one
    is no clone."""
    monkeypatch.setattr(lab, "PACKAGE", tmp_path / "site-packages" / "cowlab")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00-index.ipynb").write_text("{}")
    monkeypatch.chdir(tmp_path)
    for project, found in (("", None), ('name = "other"', None), ('name = "cowlab"', tmp_path)):
        (tmp_path / "pyproject.toml").write_text(project)
        assert lab.clone() == found


def test_through_the_command():
    """`cowlab lab` refuses in the shell as it does here: one line on stderr, exit status 2."""
    done = subprocess.run([*COWLAB, "lab", "--port", "no"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "cowlab lab: the port must be a number from 1 to 65535, not 'no'\n"


# Serving


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as SIGINT")
def test_serves_the_lessons(start_lab, jupyter_home, tmp_path):
    """The lessons are listed and trusted, the index is what opens, the kernel is this Python, and Ctrl-C ends it."""
    folder = tmp_path / "a folder"
    served = start_lab(folder)
    assert f"Lessons:    {folder}" in served.said()
    assert f"/lab/tree/{lab.INDEX}" in served.said()

    listed = {item["path"] for item in served.api("contents/notebooks?content=1")["content"]}
    assert listed == {"/".join(name.split("/")[:2]) for name in lab.upstream() if name.startswith("notebooks/")}
    index = served.api(f"contents/{lab.INDEX}?content=1")["content"]
    assert all(cell["metadata"].get("trusted", True) for cell in index["cells"])

    kernel = served.api("kernelspecs")["kernelspecs"]["python3"]["spec"]["argv"][0]
    assert kernel in ("python", "python3", sys.executable)  # a bare name stands for the server's own Python
    assert stop(served.process) == 0
    assert "Traceback" not in served.said()


def test_a_stranger_is_not_trusted(jupyter_lab):
    """A notebook that somebody else put into the folder does not become trusted by being there."""
    stranger = jupyter_lab.folder / "notebooks" / "stranger.ipynb"
    notebook = json.loads((jupyter_lab.folder / lab.INDEX).read_text())
    notebook["cells"].append(
        {"cell_type": "code", "id": "x", "source": "", "metadata": {}, "execution_count": 1, "outputs": [HTML]}
    )
    stranger.write_text(json.dumps(notebook))
    try:
        cells = jupyter_lab.api("contents/notebooks/stranger.ipynb?content=1")["content"]["cells"]
    finally:
        stranger.unlink()
    assert cells[-1]["metadata"]["trusted"] is False


def test_opens_quietly(browser, jupyter_lab):
    """The index opens with its kernel; nothing asks about news or updates, and no other machine is contacted."""
    page = new_page(browser)
    strangers = off_host(page)
    open_notebook(page, jupyter_lab, lab.INDEX)
    assert page.locator(".jp-Dialog, .Toastify__toast").all_inner_texts() == []
    assert strangers == []


HTML = {"output_type": "display_data", "data": {"text/html": "<script>1</script>"}, "metadata": {}}
