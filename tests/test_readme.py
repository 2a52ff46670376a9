"""The README says what is so."""

import doctest
import json
import re
import shlex
from pathlib import Path

import pytest
from picture import PICTURE, SAYS, picture

from cowlab import cli

README = Path(__file__).parent.parent / "README.md"
CONSOLE = re.findall(r"```console\n\$ (.*)\n((?:.*\n)*?)```", README.read_text("utf-8"))


@pytest.mark.parametrize(("command", "printed"), CONSOLE, ids=[c for c, _ in CONSOLE])
def test_a_command_in_the_readme_prints_what_stands_below_it(command, printed, capsys):
    """Every console block shows the real output."""
    program, *arguments = shlex.split(command)
    assert program == "cowlab"
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out == printed


def test_the_python_example_prints_what_stands_below_it():
    """The README's Python session is a doctest."""
    failed, tried = doctest.testfile(str(README), module_relative=False)
    assert tried >= 3
    assert failed == 0


def test_the_litmus_test_in_the_readme_is_the_one_in_the_catalogue():
    """The reader sees the file that runs."""
    shown = re.search(r"```\n(litmus (?:.*\n)*?)```", README.read_text("utf-8"))[1]
    assert shown == (README.parent / "cowlab/litmus/catalogue/child-reads-parent-secret.litmus").read_text()


def test_the_recording_in_the_readme_is_one(tmp_path, capsys):
    """The JSON that shows the format of a recording is judged, on each of its kernels, and agrees."""
    (shown,) = re.findall(r"```json\n(.*?)```", README.read_text("utf-8"), re.S)
    file = tmp_path / "one.jsonl"
    file.write_text(json.dumps(line := json.loads(shown)) + "\n", "utf-8")
    assert cli.main(["replay", str(file)]) == 0
    pairs = sum(len(o["kernels"]) for o in line["observed"])
    assert capsys.readouterr().out == f"1 observations, {pairs} judged, 0 mismatches\n"


NAMED = re.findall(r"`(tests/[\w./-]+|cowlab/[\w./-]+|notebooks/[\w./-]+|\.[\w./-]+/[\w]*)`", README.read_text("utf-8"))


@pytest.mark.parametrize("name", sorted({n for n in NAMED if "N" not in n}))
def test_files_that_the_readme_names_are_there(name):
    assert (README.parent / name).exists()


SHELL = re.findall(r"```sh\n(.*?)```", README.read_text("utf-8"), re.S)
LINES = [line.partition("#")[0] for block in SHELL for line in block.splitlines()]
INLINE = re.findall(r"`(cowlab [a-z]+(?: [^`]*)?)`", README.read_text("utf-8"))
CALLS = [c for x in [*LINES, *INLINE] for c in re.split(r" && |\$\(", x.replace("\n", " ")) if c.startswith("cowlab ")]


@pytest.mark.parametrize("line", sorted({c.strip() for c in CALLS}))
def test_commands_in_the_readme_are_understood(line):
    """What the README tells you to type names a command, and its options are options of it."""
    _, name, *words = line.split()
    known = cli._parser(name)._subparsers._group_actions[0].choices[name]._option_string_actions
    assert [w for w in words if re.match(r"--?[a-z]", w) and w not in known] == []


def test_the_picture_in_the_readme_is_what_the_engine_draws():
    """The stepped picture is up to date (python tests/picture.py writes it), and says in words what it shows."""
    assert PICTURE.read_text("utf-8") == picture()
    assert f"![{SAYS}](.readme/leak.svg)" in README.read_text("utf-8")


def test_links_in_the_readme_lead_somewhere():
    """Every relative link names a file of the repository."""
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text("utf-8")):
        assert (README.parent / target).exists(), target


def test_the_commands_that_ci_runs_are_the_readmes():
    """.ci/run calls exactly the test command that the README gives."""
    command = 'pip install -e ".[test]" && pytest'
    assert command in README.read_text("utf-8")
    assert command in (README.parent / ".ci" / "run").read_text()
