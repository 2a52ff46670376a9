"""The text format, and what is said about every way to get it wrong. design/litmus.md 1 and 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from machine import ROOT

from cowlab import litmus
from cowlab.litmus import LitmusError, parse, read
from cowlab.mm import GRAMMAR

HERE = Path(litmus.__file__).parents[2]  # of the package that is tested
EXAMPLE = (ROOT / "cowlab/litmus/catalogue/child-reads-parent-secret.litmus").read_text()
HEAD = "litmus t\ninit\n  P: x = old\n"  # three lines; the columns start in line 4
END = "exists P.x == old\n"


def body(rows, end=END):
    return f"{HEAD}{rows}\n{end}"


def many(n, line):
    return "\n".join(line.format(i) for i in range(n))


ERRORS = {  # name: (text with the token that the caret is under in ‹ ›, what is said, what would be right)
    # the head
    "empty file": ("‹›", "the test is empty", "litmus NAME"),
    "only blank lines and comments": ("‹›\n# hm\n  \n", "the test is empty", "litmus NAME"),
    "another first word": ("‹test› t\n", "starts with `litmus NAME`", ""),
    "no name": ("‹litmus›\ninit\n", "starts with `litmus NAME`", ""),
    "two names": ("litmus t ‹u›\n", "starts with `litmus NAME`", "one word"),
    "a name with a digit first": ("litmus ‹1t›\n", "is no name of a test", "letters, digits, _ and -"),
    "a unicode name": ("litmus ‹über›\n", "is no name of a test", "letters, digits, _ and -"),
    "description not indented": ("litmus t\n‹Some› text\ninit\n", "expected `init`", "indent the description"),
    "no init": ("litmus t\n  A text.‹›\n", "`init` is missing", "init"),
    # init
    "init without a page": ("litmus t\ninit‹›\n", "`init` maps no page", "P: x = old"),
    "a mapping without a colon": ("litmus t\ninit\n  ‹P› x = old\n", "expected a mapping", "P: x = old"),
    "a mapping without a value": ("litmus t\ninit\n  P: ‹x› =\n", "the value is missing", "P: x = old"),
    "neither = nor untouched": ("litmus t\ninit\n  P: x ‹touched›\n", "expected `= VALUE` or `untouched`",
        "legal here: =, untouched"),
    "unknown attribute": ("litmus t\ninit\n  P: x = old ‹fil›\n", "unknown attribute 'fil'", "did you mean 'file'?"),
    "attribute twice": ("litmus t\ninit\n  P: x = old ro ‹ro›\n", "ro twice", "each attribute once"),
    "page twice": ("litmus t\ninit\n  P: x = old\n  P: ‹x› = old\n", "page x is mapped twice", "each page once"),
    "another process maps": ("litmus t\ninit\n  P: x = old\n  ‹C›: y = old\n", "C does not exist at the start",
        "P maps every page"),
    "reserved page": ("litmus t\ninit\n  P: ‹fault› = old\n", "'fault' is reserved", "another name"),
    "reserved value": ("litmus t\ninit\n  P: x = ‹zero›\n", "'zero' is reserved", "another value"),
    "errno as a value": ("litmus t\ninit\n  P: x = ‹EFAULT›\n", "'EFAULT' is reserved", "another value"),
    "no value": ("litmus t\ninit\n  P: x = ‹1a›\n", "'1a' is no value", "decimal integer"),
    "hexadecimal": ("litmus t\ninit\n  P: x = ‹0x1f›\n", "'0x1f' is no value", "decimal integer"),
    "17 pages": (f"litmus t\ninit\n{many(16, '  P: p{} = old')}\n  P: ‹q› = old\n", "more than 16 pages",
        "the limit is 16 pages"),
    # columns
    "no columns": (f"{HEAD.rstrip()}‹›\n", "the columns are missing", "P | C"),
    "first column is another": (f"{HEAD}‹C› | P\n", "the first column is C, but P maps the pages", "put P first"),
    "two words in the header": (f"{HEAD}P ‹Q› | C\n", "expected one process name a column", "P | C"),
    "column twice": (f"{HEAD}P | C | ‹C›\n", "C has two columns", "one column a process"),
    "reserved process": (f"{HEAD}P | ‹init›\n", "'init' is reserved", "another name"),
    "nine columns": (f"{HEAD}P | {' | '.join(f'C{i}' for i in range(7))} | ‹D›\n", "more than 8 processes",
        "the limit is 8 processes"),
    "nine processes": (body(f"P\n{many(7, 'fork C{}')}\nfork ‹D›"), "more than 8 processes",
        "the limit is 8 processes"),
    "1001 steps": (body("P\n" + "read x\n" * 1000 + "‹read› x"), "more than 1000 steps", "the limit is 1,000 steps"),
    "too many cells": (body("P | C\nfork C | read x ‹|› read x"), "3 cells in a row of 2 columns", "one cell a column"),
    "never forked": (body("P | ‹C›\nread x | read x"), "C is never forked", "add `fork C`"),
    "forked by one who never is": (body("P | ‹C› | D\nread x | fork D | fork C"), "C is never forked",
        "never forked either"),
    "two forks of one process": (body("P | C\nfork C\nfork ‹C›"), "C is forked twice, first by P in line 5",
        "one fork a process"),
    "fork of the first": (body("P | C\nfork C | fork ‹P›"), "P exists at the start", "another name"),
    "fork of a kernel thread": (body("P\nfork ‹kswapd›"), "'kswapd' is reserved", "another name"),
    "step after exit": (body("P\nexit\n‹read› x"), "P has exited in line 5", "takes no steps"),
    # steps
    "unknown step": (body("P\n‹writ› x new"), "unknown step 'writ'", "did you mean 'write'?"),
    "unknown step, nothing near": (body("P\n‹frobnicate› x"), "unknown step 'frobnicate'", "legal here: read, write"),
    "a step in capitals": (body("P\n‹Write› x new"), "unknown step 'Write'", "did you mean 'write'?"),
    "unknown page": (body("P\nwrite ‹z› new"), "'z' is no page", "legal here: x"),
    "value missing": (body("P\nwrite x‹›"), "VALUE is missing", "`write PAGE VALUE`"),
    "page missing": (body("P\nread‹›"), "PAGE is missing", "`read PAGE [-> REG]`"),
    "one word too many": (body("P\nwrite x new ‹old›"), "'old' after the end of write", "`write PAGE VALUE`"),
    "no arrow": (body("P\ngup x ‹r›"), "expected `->`", "`gup PAGE -> REF [write] [force]`"),
    "nothing after the arrow": (body("P\ngup x ->‹›"), "REF is missing", "`gup PAGE -> REF [write] [force]`"),
    "unknown option": (body("P\ngup x -> r ‹longterm›"), "'longterm' after the end of gup", "legal here: write, force"),
    "option twice": (body("P\ngup x -> r write ‹write›"), "write twice", ""),
    "bad protection": (body("P\nmprotect x ‹wr›"), "'wr' is not ro or rw", "legal here: ro, rw"),
    "bad advice": (body("P\nmadvise x ‹dontned›"), "'dontned' is not", "did you mean 'dontneed'?"),
    "reference used before": (body("P\nput ‹r›\ngup x -> r"), "P has no reference 'r' here", "take it first"),
    "another's reference": (body("P | C\ngup x -> r | put ‹r›\nfork C"), "C has no reference 'r' here",
        "only P, which took it"),
    "reference taken twice": (body("P\ngup x -> r\nput r\ngup x -> ‹r›"), "'r' is already a reference of P",
        "a new name"),
    "reference named as a page": (body("P\ngup x -> ‹x›"), "'x' is already a page of P", "a new name"),
    "register named as a reference": (body("P\ngup x -> r\nread x -> ‹r›"), "'r' is already a reference of P",
        "a new name"),
    "reference named as a register": (body("P\nread x -> a\ngup x -> ‹a›"), "'a' is already a register of P",
        "a new name"),
    "reserved reference": (body("P\ngup x -> ‹nopage›"), "'nopage' is reserved", "another name"),
    "reserved written value": (body("P\nwrite x ‹SIGSEGV›"), "'SIGSEGV' is reserved", "another value"),
    "tabs before the token": (body("P | C\n\tfork C\t|\t‹writ› x 1"), "unknown step 'writ'", "did you mean 'write'?"),
    # the condition
    "no condition": (f"{HEAD}P\nread x‹›\n", "the condition is missing", "exists EXPR"),
    "empty condition": (body("P\nread x", "exists‹›"), "expected an operand", "C.pipe == new"),
    "no such process": (body("P\nread x", "exists ‹Q.x› == old"), "no process 'Q'", "legal here: P"),
    "no such name": (body("P\nread x", "exists ‹P.pip› == old"), "P has no 'pip'", "legal here: P.x, P.fault"),
    "another's register": (body("P | C\nfork C | read x -> a", "exists ‹P.a› == old"), "P has no 'a'",
        "legal here: P.x"),
    "init as a value": (body("P\nread x", "exists ‹init.x› == old"), "is a frame, not a value", "`is` or `isnt`"),
    "init of no page": (body("P\nread x", "exists P.x is ‹init.z›"), "init has no page 'z'", "legal here: x"),
    "a value as a frame": (body("P\nread x", "exists P.x is ‹old›"), "'old' has no frame", "`is` compares"),
    "a register as a frame": (body("P\nread x -> a", "exists ‹P.a› is P.x"), "P.a has no frame", "perf registers"),
    "a fault as a frame": (body("P\nread x", "exists ‹P.fault› is P.x"), "P.fault has no frame", "`is` compares"),
    "no comparison": (body("P\nread x", "exists P.x ‹=› old"), "expected a comparison, found '='",
        "legal here: ==, !=, is, isnt"),
    "half an atom": (body("P\nread x", "exists P.x ==‹›"), "expected an operand", ""),
    "open parenthesis": (body("P\nread x", "exists (P.x == old‹›"), "expected `)`", ""),
    "closing parenthesis": (body("P\nread x", "exists P.x == old‹)›"), "')' after the end of the condition", ""),
    "nothing after and": (body("P\nread x", "exists P.x == old and‹›"), "expected an operand", ""),
    "garbage after the condition": (body("P\nread x", "exists P.x == old\n‹garbage›"), "'garbage' after the end",
        "`and` or `or`"),
    "two conditions": (body("P\nread x", "exists P.x == old\n‹exists› P.x == new"), "'exists' after the end",
        "one condition a test"),
    "a condition nested too deep": (body("P\nread x", f"exists {'(' * 50}‹(›P.x == old{')' * 51}"),
        "nested more than 50 deep", "the limit is 50 levels"),
    "not not not": (body("P\nread x", f"exists {'not ' * 50}‹not› P.x == old"), "nested more than 50 deep",
        "the limit is 50 levels"),
}  # fmt: skip


def marked(text):
    """(the text without its mark, the line and the column where ‹ was)"""
    at = text.index("‹")
    before = text[:at]
    return text.replace("‹", "").replace("›", ""), before.count("\n") + 1, at - before.rfind("\n")


@pytest.mark.parametrize("case", ERRORS)
def test_error(case):
    """One message: where, what is wrong, what would be right; the line, and a caret under the token."""
    text, line, column = marked(ERRORS[case][0])
    with pytest.raises(LitmusError) as e:
        parse(text, "a.litmus")
    message = str(e.value)
    assert message.startswith(f"a.litmus:{line}:{column}: {e.value.what}")
    assert ERRORS[case][1] in message
    assert ERRORS[case][2] in message
    shown = message.split("\n")[1:3]
    if column <= 80 and text.split("\n")[line - 1].strip():  # a longer line is cut before its token
        assert shown[0].strip()
        assert shown[1] == " " * (column + 1) + "^"


SAME = {  # what does not matter
    "CRLF": EXAMPLE.replace("\n", "\r\n"),
    "a byte order mark": "\ufeff" + EXAMPLE,
    "no newline at the end": EXAMPLE.rstrip(),
    "blank lines": EXAMPLE.replace("\n", "\n\n"),
    "comments": EXAMPLE.replace("\n", " # why not\n") + "# the end\n",
    "a form feed in a comment": EXAMPLE.replace("\n", " # a page\x0c and a line\u2028 more\n"),
    "tabs": EXAMPLE.replace(" | ", "\t|\t").replace("  P:", "\tP:"),
    "a rule of dashes": EXAMPLE.replace("fork C ", "---|---\nfork C "),
    "an empty row": EXAMPLE.replace("fork C ", " | \nfork C "),
    "a condition on two lines": EXAMPLE.replace("C.pipe ==", "C.pipe\n  =="),
    "rows do not line up in time": EXAMPLE.replace("fork C         | vm",
        "               | vm").replace("write x new", "fork C         |\nwrite x new"),
}  # fmt: skip


@pytest.mark.parametrize("case", SAME)
def test_same_test(case):
    """Line ends, blank lines, comments, spaces and rules mean nothing."""
    test, plain = parse(SAME[case]), parse(EXAMPLE)
    assert (test.name, test.pages, test.columns, test.processes) == (
        plain.name,
        plain.pages,
        plain.columns,
        plain.processes,
    )
    assert (test.condition.quantifier, test.condition.text) == (plain.condition.quantifier, plain.condition.text)


def test_parsed_example():
    """The example of design/litmus.md section 1."""
    test = parse(EXAMPLE)
    assert test.name == "child-reads-parent-secret"
    assert (
        test.description
        == "The child keeps a page that it no longer maps, and reads what the parent writes there next."
    )
    assert test.pages == {"x": ("old", frozenset())}
    assert {p: [str(a) for a in program] for p, program in test.columns.items()} == {
        "P": ["P: fork C", "P: write x new"], "C": ["C: vmsplice x -> pipe", "C: munmap x"],
    }  # fmt: skip
    assert (test.processes, test.condition.quantifier, test.condition.text) == (("P", "C"), "exists", "C.pipe == new")


LEGAL = {  # texts that are right, and what comes of them
    "a process forked without a column": (body("P\nfork C"), lambda t: t.processes == ("P", "C")),
    "numbers are numbers": (body("P\nwrite x 007\nwrite x -0"), lambda t: [a.arg for a in t.columns["P"]] == ["7",
        "0"]),
    "a name is taken by process": (body("P | C\nfork C | gup x -> r\ngup x -> r"), lambda t: len(t.columns["C"]) == 1),
    "a register is used again": (body("P\nread x -> a\nread x -> a"), lambda t: len(t.columns["P"]) == 2),
    "a page may be called as a process": (HEAD.replace("x", "P") + "P\nfork C\nread P\nexists C.P == old",
        lambda t: "P" in t.pages),
    "hyphens and underscores": (HEAD + "P | the-child_1\nfork the-child_1\nexists the-child_1.x == o-l_d2",
        lambda t: True),
    "eight processes, sixteen pages": (
        f"litmus t\ninit\n{many(16, '  P: p{} = old')}\nP\n{many(7, 'fork C{}')}\nexists P.p1 == 1",
            lambda t: len(t.processes) == 8),
    "1000 steps": (body("P\n" + "read x\n" * 1000), lambda t: len(t.columns["P"]) == 1000),
    "a huge number": (body("P\nwrite x " + "9" * 6000), lambda t: len(t.columns["P"][0].arg) == 6000),
    "no steps at all": (body("P"), lambda t: t.columns == {"P": ()}),
    "every option": (body("P\npin x -> r write longterm slow"), lambda t: t.columns["P"][0].options == ("write",
        "longterm", "slow")),
    "options in any order": (body("P\ngup x -> r force write"), lambda t: set(t.columns["P"][0].options) == {"write",
        "force"}),
}  # fmt: skip


@pytest.mark.parametrize("case", LEGAL)
def test_legal(case):
    """What the format allows, at its limits."""
    text, holds = LEGAL[case]
    assert holds(parse(text))


FILES = {  # bytes of a file, and the place and the words of the message
    "missing": (None, "", "cannot be read"),
    "empty": (b"", ":1:1", "the test is empty"),
    "zeros": (b"\0" * 100, ":1:1", "starts with `litmus NAME`"),
    "an executable": (b"\x7fELF\x02\x01\x01\n\xd0\xff", ":2:1", "byte 0xd0 is not UTF-8"),
    "UTF-16": (b"\xff\xfel\0i\0", ":1:1", "byte 0xff is not UTF-8"),
    "Latin-1": ("litmus t\n  Bück Dich \n".encode("latin-1"), ":2:4", "byte 0xfc is not UTF-8"),
    "after a byte order mark": (b"\xef\xbb\xbflitmus t\n  h\xc3\xa9llo \xff", ":2:9", "byte 0xff is not UTF-8"),
    "too large": (b"litmus t\n# " + b"a" * (1 << 20), ":2:", "the limit is 1 MiB"),
    "too large and binary": (b"\xff" * (2 << 20), ":1:", "the limit is 1 MiB"),
}


@pytest.mark.parametrize("case", FILES)
def test_file(case, tmp_path):
    """A file that is no test is named, with the place of what is wrong in it."""
    data, place, words = FILES[case]
    path = tmp_path / "a.litmus"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(LitmusError) as e:
        read(path)
    assert str(e.value).startswith(f"{path}{place}")
    assert words in str(e.value)


def test_a_file_of_exactly_the_limit(tmp_path):
    """1 MiB is allowed, a byte more is not; a byte order mark is not counted."""
    path = tmp_path / "a.litmus"
    path.write_bytes(b"\xef\xbb\xbf" + EXAMPLE.encode() + b"#" * ((1 << 20) - len(EXAMPLE)))
    assert read(path).name == "child-reads-parent-secret"


def test_a_directory(tmp_path):
    with pytest.raises(LitmusError, match="cannot be read"):
        read(tmp_path)


def test_an_unknown_name():
    """A word that is neither a file nor in the catalogue is said to be so, with the nearest that is."""
    with pytest.raises(LitmusError, match="did you mean 'child-reads-parent-secret'"):
        litmus.load("child-reads-parents-secret")


@pytest.mark.parametrize("line", ["-" * 300_000 + "x", "a" * 900_000, "x|" * 50_000, "(" * 50_000, "=" * 50_000])
def test_a_very_long_line(line):
    """It is refused at once, in a message that fits a screen."""
    for text in (body(f"P\n{line}"), f"{HEAD}{line}\n", body("P\nread x", f"exists {line}")):
        with pytest.raises(LitmusError) as e:
            parse(text)
        assert len(str(e.value)) < 2000


def test_control_characters_are_not_printed():
    """A message does not drive the terminal."""
    with pytest.raises(LitmusError) as e:
        parse(body("P\nwri\x1b[31mte x 1\a"))
    assert "\x1b" not in str(e.value)
    assert "\a" not in str(e.value)


@pytest.mark.parametrize("case", ["empty", "an executable", "too large"])
def test_no_traceback(case, tmp_path):
    """From the shell: exit status 2, one message with a place, no traceback."""
    path = tmp_path / "bad.litmus"
    path.write_bytes(FILES[case][0])
    assert_refused(path)


def assert_refused(path):
    command = [sys.executable, "-m", "cowlab.cli", "litmus", path]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(HERE)}
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"{path}:")
    assert "Traceback" not in done.stderr
    assert sum(line.startswith(str(path)) for line in done.stderr.splitlines()) == 1


# What nobody thought of

CATALOGUE = [p.read_text() for p in litmus.catalogue().values()]
WORDS = [
    *GRAMMAR,
    *[
        "litmus",
        "init",
        "exists",
        "~exists",
        "forall",
        "and",
        "or",
        "not",
        "is",
        "isnt",
        "==",
        "!=",
        "(",
        ")",
        "|",
        "->",
        ":",
        "=",
        "x",
        "P",
        "C",
        "r",
        "#",
        "zero",
        "fault",
        "ro",
        "file",
    ],
    "\n",
    "  ",
]


def only_litmus_error(text):
    error = None
    try:
        assert parse(text).columns
    except LitmusError as e:
        error = e
    if error:
        assert str(error).startswith(f"litmus test:{error.line}:{error.column}: ")
        assert 1 <= error.line <= text.count("\n") + text.count("\r") + 1
        assert error.column >= 1


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map(" ".join)))
@example("litmus t\ninit\n P: x = 1\nP\nwrite x \ud800\nexists P.x == 1")
@example("\x85litmus\x1ct")
def test_any_text(text):
    """parse() returns a test or raises LitmusError with a place; nothing else."""
    only_litmus_error(text)


@st.composite
def mutated(draw):
    """A test of the catalogue with a few places broken: letters, words or lines, taken out, put in, or swapped."""
    text = draw(st.sampled_from(CATALOGUE))
    for _ in range(draw(st.integers(1, 4))):
        unit = draw(st.sampled_from(["", " ", "\n"]))
        parts = list(text) if not unit else text.split(unit)
        i, j = (draw(st.integers(0, max(0, len(parts) - 1))) for _ in range(2))
        how = draw(st.sampled_from(["cut", "put", "swap", "twice"]))
        if not parts:
            continue
        if how == "cut":
            del parts[i]
        elif how == "put":
            parts.insert(i, draw(st.one_of(st.sampled_from(WORDS), st.text(max_size=3))))
        elif how == "swap":
            parts[i], parts[j] = parts[j], parts[i]
        else:
            parts.insert(i, parts[j])
        text = unit.join(parts)
    return text


@settings(max_examples=300, deadline=None)
@given(mutated())
def test_mutated_tests(text):
    """The same for texts that were tests a moment ago; and what parses, runs."""
    only_litmus_error(text)


@pytest.mark.full
@settings(max_examples=20_000, deadline=None)
@given(st.one_of(st.text(), mutated()))
def test_any_text_at_length(text):
    """The same, many times over."""
    only_litmus_error(text)


@pytest.mark.full
@pytest.mark.parametrize("case", ERRORS)
def test_no_traceback_for_any_error(case, tmp_path):
    """Every error of the table, from the shell."""
    path = tmp_path / "bad.litmus"
    path.write_text(marked(ERRORS[case][0])[0])
    assert_refused(path)
