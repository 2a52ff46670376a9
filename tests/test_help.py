"""`cowlab --help` teaches; shells complete; colours and bars are for terminals."""

import io
import json
import os
import re
import shlex
import subprocess
import sys

import pytest

from cowlab import __version__, cli, designs, manual, terminal
from cowlab.litmus import LitmusError, catalogue
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


def test_the_tables_of_commands_agree():
    """A command stands in one group, has a module, and says of itself the line that the front page shows for it."""
    names = [n for members in manual.GROUPS.values() for n in members]
    assert len(names) == len(set(names))
    assert set(names) == set(cli.HOMES) == set(COMMANDS)
    subparsers = next(a for a in cli._parser()._actions if a.dest == "command")
    assert {a.dest: a.help for a in subparsers._choices_actions} == manual.lines()


def modules(*arguments):
    """What `cowlab ARGUMENTS` has loaded when it ends, in a fresh interpreter."""
    code = "import sys; from cowlab.cli import main\ntry: main(sys.argv[1:])\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    return done.stdout.splitlines()[-1].split()


ALWAYS = {"cowlab", "cowlab.cli", "cowlab.manual", "cowlab.terminal"}


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (["--help"], []),
        (["--version"], []),
        (["lab", "--help"], ["cowlab.lab"]),
        (["completion", "--help"], []),
        (["doctor", "--help"], ["cowlab.doctor"]),
        (["grade", "--help"], ["cowlab.grade", "cowlab.litmus", "cowlab.mm", "cowlab.explore"]),
        (["explore", "--help"], ["cowlab.explore", "cowlab.mm"]),
    ],
    ids=" ".join,
)
def test_a_command_loads_its_own_and_no_other(arguments, more):
    """The front page loads none of the commands, and a command none but itself and what stands below it."""
    loaded = [m for m in modules(*arguments) if m.startswith("cowlab")]
    assert set(loaded) >= ALWAYS
    assert [m for m in loaded if m not in ALWAYS and ".".join(m.split(".")[:2]) not in more] == []


def test_version(capsys):
    with pytest.raises(SystemExit) as done:
        cli.main(["--version"])
    assert (done.value.code, capsys.readouterr().out) == (0, f"cowlab {__version__}\n")
    asked = subprocess.run([sys.executable, "-m", "cowlab", "--version"], capture_output=True, text=True)
    assert asked.stdout == f"cowlab {__version__}\n"


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
        ("cowlab rel", {"release"}),
        ("cowlab slides --pd", {"--pdf"}),
        ("cowlab grade --require-isolation name", {"namespaces"}),
    ],
)
def test_tab(line, words):
    """Commands, options, kernels and the tests of the catalogue complete; all that is offered exists."""
    assert completed(line) == words
    options = {o for parser in COMMANDS.values() for o in parser._option_string_actions} | {"namespaces"}
    assert words & {*KERNELS, "v4.8", *catalogue(), *COMMANDS, *options} == words


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


LINE = json.dumps(
    {"id": "a", "init": ["P: x = old"], "steps": ["P: fork C", "P: write x new"],
     "observed": [{"kernels": ["5.4.0"], "values": {"P.x": "new"}, "frames": {"P.x": 0}}]}
)  # fmt: skip
SLOW = [  # (arguments, what the sign of life says)
    ("litmus child-reads-parent-secret takeover-after-exit", "judging"),
    ("litmus child-reads-parent-secret no-such-test", "no-such-test: no such file"),
    ("diff v5.7 v5.8", "judging"),
    ("designs", "designs"),
    ("replay one.jsonl", "replaying"),
    ("conformance --markdown", "replaying"),
    ("explore --kernel v5.7 --full --go-on --max-states 500", "states/s"),
    ("slides 02 05", "decks"),
    ("draw child-reads-parent-secret -o x.svg", "drawing"),
    ("probe", "asking the kernel"),
    ("litmus child-reads-parent-secret --live", "running"),
    ("fuzz --minutes 0.02", "fuzz"),
    ("doctor", "checking"),
]


@pytest.fixture
def small(monkeypatch, tmp_path):
    """The same work, less of it, in a folder of one's own; and a sign of life at once."""
    rows = designs.enumerate_designs()[:5]
    (tmp_path / "one.jsonl").write_text(LINE + "\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(designs, "enumerate_designs", lambda: rows)
    for module in ("conformance", "replay"):
        monkeypatch.setattr(f"cowlab.litmus.{module}.shipped", lambda: [tmp_path / "one.jsonl"])
    monkeypatch.setattr(terminal, "DELAY", 0)
    monkeypatch.setattr("cowlab.explore.command.FIRST", 0)


@pytest.mark.full
@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize(("arguments", "words"), SLOW, ids=[a for a, _ in SLOW])
def test_what_takes_long_shows_a_sign_of_life(arguments, words, is_terminal, small, monkeypatch, capsys):
    """On a terminal a bar, or a line with the seconds, comes and goes on stderr, without a colour; in a file there
    is nothing of it. What stands on stdout is the same."""
    if arguments.startswith("fuzz"):
        pytest.importorskip("hypothesis")
    stream = Stream(is_terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    status = cli.main(arguments.split())
    shown = stream.getvalue()
    if status and "out of reach" in shown:
        pytest.skip("no live kernel here")
    assert (words in shown) == (is_terminal or words in ("states/s", "no-such-test: no such file"))
    assert "\x1b[3" not in shown
    if is_terminal:
        assert shown.rpartition("\r")[2].strip() == "", "gone at the end"
    assert words + ":" not in capsys.readouterr().out


@pytest.mark.parametrize(("is_terminal", "shows"), [(True, True), (False, False)])
def test_waiting_for_another_program(is_terminal, shows, monkeypatch, tmp_path):
    """`cowlab site` and its like wait for npm or pip: the terminal sees for what, and how long; then no more of it."""
    from cowlab.site.tools import call

    monkeypatch.setattr(terminal, "DELAY", 0)
    monkeypatch.setattr(sys, "stderr", Stream(is_terminal))
    call([sys.executable, "-c", "pass"], "fetching", tmp_path)
    assert ("fetching: 0 s" in sys.stderr.getvalue()) == shows
    assert sys.stderr.getvalue().rpartition("\r")[2].strip() == ""


def test_a_message_comes_after_its_bar(small, monkeypatch):
    """An error in the middle of the work: the bar goes, then the message stands on a line of its own."""

    def fail(row):
        raise LitmusError("broken on purpose")

    monkeypatch.setattr(designs, "assess", fail)
    monkeypatch.setattr(sys, "stderr", Stream(True))
    assert cli.main(["designs"]) == 2
    assert "designs:" in sys.stderr.getvalue()
    assert sys.stderr.getvalue().rpartition("\r")[2] == "cowlab: broken on purpose\n"


def test_a_line_goes_above_the_bar(monkeypatch, capsys):
    """say() prints the line whole, bar or no bar."""
    monkeypatch.setattr(terminal, "DELAY", 0)
    monkeypatch.setattr(sys, "stderr", Stream(True))
    for n in terminal.progress(range(3), 3, "counting"):
        terminal.say(f"line {n}")
    assert capsys.readouterr().out == "line 0\nline 1\nline 2\n"
