"""`cowlab --help` teaches; shells complete; colours and bars are for terminals."""

import io
import os
import re
import shlex
import subprocess
import sys

import pytest

from cowlab import cli, manual, terminal
from cowlab.litmus import catalogue
from cowlab.mm import KERNELS

COMMANDS = next(a for a in cli._parser()._actions if a.dest == "command").choices


def shown(capsys, *args):
    with pytest.raises(SystemExit) as done:
        cli.main([*args, "--help"])
    assert done.value.code == 0
    return capsys.readouterr().out


def test_the_front_page_has_every_command_once(capsys):
    """Each command stands in one group with a line of its own; no command is left over, no group is empty."""
    page = shown(capsys)
    assert [len(re.findall(rf"^  {name} +\S", page, re.M)) for name in COMMANDS] == [1] * len(COMMANDS)
    assert "\nMore\n" not in page, "name the command in manual.GROUPS"
    for title, names in manual.GROUPS.items():
        assert (f"\n{title}\n" in page) == any(n in COMMANDS for n in names)
    assert max(map(len, page.splitlines())) <= 100


def test_a_group_names_a_command_once():
    names = [n for members in manual.GROUPS.values() for n in members]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example(name, capsys):
    """The help of a command says in a sentence what it is for, and ends with a command to copy."""
    page = shown(capsys, name)
    assert COMMANDS[name].description
    assert re.search(rf'examples?:\s+(eval "\$\()?cowlab {name}\b', page), page


EXAMPLES = [line for lines in manual.EXAMPLES.values() for line in lines] + [line for line, _ in manual.START]


@pytest.mark.parametrize("line", EXAMPLES)
def test_examples_are_understood(line):
    """What the help tells you to type is parsed without complaint."""
    program, command, *rest = shlex.split(line.removeprefix('eval "$(').removesuffix(')"'))
    assert program == "cowlab"
    if command in COMMANDS:
        assert cli._parser().parse_args([command, *rest]).run


def test_an_unknown_command_still_works(capsys):
    """A command that nobody put into a group is listed, under More."""
    parser = manual.Front(prog="cowlab", description="d")
    commands = parser.add_subparsers(dest="command", parser_class=cli._Parser)
    commands.add_parser("newest", help="just written")
    assert "More\n  newest  just written" in parser.format_help()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["completion", "tcsh"], "argument shell: unknown 'tcsh'"),
        (["completion", "bas"], "did you mean 'bash'?"),
        (["litmsu"], "unknown command 'litmsu'; did you mean 'litmus'?"),
    ],
)
def test_a_wrong_word_is_named_for_what_it_is(arguments, message, capsys):
    with pytest.raises(SystemExit) as done:
        cli.main(arguments)
    assert (done.value.code, message in capsys.readouterr().err) == (2, True)


# Completion


@pytest.mark.parametrize("shell", manual.SHELLS)
def test_completion_code(shell, capsys):
    """The code that is printed is about cowlab, and asks nothing of the network."""
    assert cli.main(["completion", shell]) == 0
    code = capsys.readouterr().out
    assert "cowlab" in code
    assert "://" not in re.sub(r"#.*", "", code)


def completed(line: str) -> set[str]:
    """What a shell is told when Tab is pressed at the end of the line."""
    read, write = os.pipe()
    code = "import os, sys; os.dup2(int(sys.argv.pop(1)), 8); from cowlab.cli import main; main()"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_SUPPRESS_SPACE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    asked["_ARGCOMPLETE_IFS"] = "\n"
    subprocess.run(
        [sys.executable, "-c", code, str(write)], env=os.environ | asked, pass_fds=[write], timeout=60,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read) as answer:
        return {word.strip() for word in answer.read().split("\n") if word.strip()}


@pytest.mark.skipif(os.name != "posix", reason="completion answers on a file descriptor")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cowlab lit", {"litmus"}),
        ("cowlab litmus takeover-after-ex", {"takeover-after-exec", "takeover-after-exit"}),
        ("cowlab litmus --kernel v5.1", {"v5.10", "v5.18", "v5.19"}),
        ("cowlab diff v5.7", {"v5.7"}),
        ("cowlab diff v4", {"v4.8"}),
        ("cowlab litmus --sch", {"--schedule"}),
    ],
)
def test_tab(line, words):
    """Commands, options, kernels and the tests of the catalogue complete; all that is offered exists."""
    assert completed(line) == words
    assert words & {*KERNELS, "v4.8", *catalogue(), *COMMANDS, "--schedule"} == words


# Colours and bars


class Stream(io.StringIO):
    encoding = "utf-8"

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.mark.parametrize(
    ("terminal_", "env", "coloured"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colours_are_for_terminals(terminal_, env, coloured, monkeypatch):
    """Escape codes go to a terminal that knows them, and nowhere once NO_COLOR is set (no-color.org: and not empty)."""
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    text = terminal.paint("ok", "good", Stream(terminal_))
    assert ("\x1b[" in text) == coloured
    assert re.sub(r"\x1b\[\d*m", "", text) == "ok"


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
@pytest.mark.parametrize("no_color", [False, True])
def test_on_a_terminal(no_color):
    """A real pseudo-terminal: the front page and a verdict have colours, unless NO_COLOR; the words are the same."""
    import pty

    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM", "FORCE_COLOR")}
    env |= {"TERM": "xterm"} | ({"NO_COLOR": "1"} if no_color else {})
    for arguments in (["--help"], ["litmus", "takeover-after-exit", "--kernel", "v5.7"]):
        command = [sys.executable, "-c", "from cowlab.cli import main; main()", *arguments]
        ours, theirs = pty.openpty()
        with subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, env=env) as running:
            os.close(theirs)
            said = b""
            try:
                while part := os.read(ours, 65536):
                    said += part
            except OSError:  # the other end has closed
                pass
            running.wait(60)
        os.close(ours)
        plain = subprocess.run(command, capture_output=True, env=env, check=True).stdout.decode()
        assert (b"\x1b[" in said) == (not no_color)
        assert re.sub(r"\x1b\[\d*m", "", said.decode()).replace("\r\n", "\n") == plain


def test_a_bar_passes_everything_on(capsys):
    """With or without a bar the things come through, in order; a stderr that is no terminal sees nothing."""
    assert list(terminal.progress(range(5), 5, "counting")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().err == ""


def test_without_tqdm_there_is_no_bar(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert list(terminal.progress(range(3), 3, "counting")) == [0, 1, 2]
