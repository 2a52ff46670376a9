"""What runs on Linux alone stays in its place, text names its encoding, and the rest runs without what POSIX has."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cowlab
from cowlab import lab

MODULES = [p for p in sorted(lab.PACKAGE.rglob("*.py")) if "_lessons" not in p.parts]
# live/ makes processes; these isolate and read what strangers hand in. All ask sys.platform first, or who calls them.
LINUX = ("live/", "grade/box.py", "grade/cage.py", "grade/classroom.py", "grade/journal.py", "grade/launch.py")
FOREIGN = {"crypt", "fcntl", "grp", "posix", "pty", "pwd", "resource", "spwd", "syslog", "termios", "tty"}
OS = """O_CLOEXEC O_DIRECT O_NOFOLLOW O_NONBLOCK O_PATH O_TMPFILE WIFEXITED WIFSIGNALED WNOHANG chown chroot fork
forkpty getegid geteuid getgid getpgid getpgrp getuid killpg mkfifo mount nice openpty pidfd_open posix_spawn setegid
seteuid setgid setpgid setresgid setresuid setsid setuid statvfs sysconf uname unshare wait wait3 wait4"""
OS = set(OS.split())
SIGNALS = {"SIGABRT", "SIGBREAK", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM"}  # that Windows has
PATHS = {"abspath", "basename", "dirname", "exists", "expanduser", "isdir", "isfile", "join", "split", "splitext"}


def name(path: Path) -> str:
    return path.relative_to(lab.PACKAGE).as_posix()


ELSEWHERE = [p for p in MODULES if not name(p).startswith(LINUX)]


def asked_for(tree: ast.AST) -> set[str]:
    """Names that a hasattr() or getattr() of the module asks for before it uses them."""
    calls = [
        n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") in ("hasattr", "getattr")
    ]
    return {a.value for call in calls for a in call.args if isinstance(a, ast.Constant)}


@pytest.mark.parametrize("path", ELSEWHERE, ids=name)
def test_posix_stays_in_its_place(path):
    """Outside live/ and the isolation of graded code nothing imports, or uses unasked, what only POSIX has."""
    tree = ast.parse(path.read_text("utf-8"))
    asked = asked_for(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name in FOREIGN]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found += [node.module] if node.module in FOREIGN else []
            found += [a.name for a in node.names if node.module == "os" and a.name in OS]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr not in asked:
            module, attribute = node.value.id, node.attr
            found += [f"os.{attribute}"] if module == "os" and attribute in OS else []
            posix = attribute.startswith("SIG") and attribute not in SIGNALS | {"SIG_DFL", "SIG_IGN"}
            found += [f"signal.{attribute}"] if module == "signal" and posix else []
        elif isinstance(node, ast.keyword) and node.arg in ("preexec_fn", "pass_fds"):
            found += [node.arg]
    assert found == []


@pytest.mark.parametrize("path", [p for p in ELSEWHERE if not name(p).startswith("grade/")], ids=name)
def test_paths_are_pathlibs(path):
    """Outside of those, and of grade/, where a stranger chose the names, files are named by pathlib, which knows both
    kinds of slash."""
    used = [
        f"line {n.lineno}: os.path.{n.attr}"
        for n in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Attribute)
        and (getattr(n.value.value, "id", ""), n.value.attr) == ("os", "path") and n.attr in PATHS
    ]  # fmt: skip
    assert used == []


def unnamed(node: ast.Call) -> bool:
    """Does this call read or write text in whatever encoding the machine has?"""
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    owner = getattr(getattr(node.func, "value", None), "id", "")
    keywords = {k.arg: k.value for k in node.keywords}
    if "encoding" in keywords or None in keywords:
        return False
    if called in ("run", "Popen", "check_output") and owner == "subprocess":
        return bool({"text", "universal_newlines"} & set(keywords))
    said = [a.value for a in [*node.args, keywords.get("mode")] if isinstance(a, ast.Constant)]
    if called in ("read_text", "write_text"):
        return not {"utf-8", "ascii"} & set(said)
    if called in ("open", "fdopen") and (called, owner) != ("open", "os") and owner not in ("tarfile", "webbrowser"):
        return not any("b" in m for m in said if isinstance(m, str) and set(m) <= set("rwaxbt+"))
    return False


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_text_names_its_encoding(path):
    """Every file, and every program's output, that is read or written as text is so in an encoding that is named."""
    calls = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
    assert [f"line {n.lineno}" for n in calls if unnamed(n)] == []


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("open(p)", True),
        ("open(p, 'w')", True),
        ("open(p, 'rb')", False),
        ("open(p, mode='wb')", False),
        ("open(p, encoding='utf-8')", False),
        ("path.open('a')", True),
        ("path.read_text()", True),
        ("path.read_text('utf-8')", False),
        ("path.write_text(t)", True),
        ("path.write_text(t, 'utf-8')", False),
        ("subprocess.run(c, text=True)", True),
        ("subprocess.run(c, text=True, encoding='utf-8')", False),
        ("subprocess.run(c)", False),
        ("os.fdopen(fd, 'rb')", False),
        ("os.open(p, 0)", False),
        ("tarfile.open(p)", False),
    ],
)
def test_the_scan_sees_what_it_is_for(code, wrong):
    assert unnamed(ast.parse(code).body[0].value) == wrong


# A machine that lacks what Windows lacks. os.name stays: pathlib and subprocess would turn to calls that are not here.
WITHOUT = f"""if True:
    import json, os, signal, sys
    import asyncio, hypothesis, nbconvert, socket, subprocess, tempfile, tqdm, wasmtime  # these know a real Windows
    for module in {sorted(FOREIGN - {"posix"})}:
        sys.modules[module] = None
    for name in {sorted(OS - {"WNOHANG"})}:
        vars(os).pop(name, None)
    for name in [n for n in vars(signal) if n.startswith("SIG") and n[3:4].isalpha()]:
        if name not in {sorted(SIGNALS)}:
            vars(signal).pop(name)
    sys.stdout.reconfigure(encoding="cp1252")  # what a console of Windows may speak
    sys.stderr.reconfigure(encoding="cp1252")
    from cowlab.cli import main
    try:
        status = main(sys.argv[1:])
    except SystemExit as e:
        status = e.code
    sys.exit(status)"""
COMMANDS = [  # (arguments, exit status, on stdout or stderr)
    ("--help", 0, "Start with"),
    ("litmus child-reads-parent-secret --kernel v5.7", 0, "Sometimes 1 2"),
    ("litmus child-reads-parent-secret --live", 1, "out of reach"),
    ("diff v5.7 v5.8", 0, "force_cow_break"),
    ("explore --kernel v5.7", 0, "leak"),
    ("draw child-reads-parent-secret -o x.svg", 0, "x.svg"),
    ("draw child-reads-parent-secret -o x.txt", 0, "x.txt"),
    ("slides 05 -o decks", 0, "05-either-way.html"),
    ("probe", 0, "Windows"),
    ("fuzz --minutes 0.1", 2, "out of reach"),
    ("grade .", 2, "needs Linux"),
]


def without(tmp_path, system: str, arguments: str):
    """A command on a machine without POSIX; ``system`` is what sys.platform says there."""
    code = WITHOUT.replace("from cowlab.cli", f"sys.platform = {system!r}; from cowlab.cli", 1)
    env = {**os.environ, "PYTHONPATH": str(Path(cowlab.__file__).parents[1])}
    return subprocess.run([sys.executable, "-c", code, *arguments.split()], cwd=tmp_path, env=env, capture_output=True)


@pytest.mark.full
@pytest.mark.parametrize(("arguments", "status", "words"), COMMANDS, ids=[c[0] for c in COMMANDS])
def test_without_posix(arguments, status, words, tmp_path):
    """On a machine that has nothing of POSIX each command does its work, or says in a line that it cannot here."""
    done = without(tmp_path, "win32", arguments)
    said = (done.stdout + done.stderr).decode("cp1252")
    assert "Traceback" not in said
    assert (done.returncode, words in said) == (status, True), said
