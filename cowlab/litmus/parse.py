"""The text of a litmus test -> :class:`Test`. The format is described in the README; errors carry their place."""

import errno
import re
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from ..mm import GRAMMAR, KERNEL_THREADS, Action
from .condition import Condition, Token, canonical, parse_condition
from .errors import LitmusError, nearest

__all__ = ["Test", "parse", "parse_init", "parse_steps", "read"]

MAX_PROCESSES, MAX_PAGES, MAX_STEPS, MAX_BYTES = 8, 16, 1000, 1 << 20
ATTRIBUTES = ("ro", "shared", "file", "huge", "hugepte")
RESERVED = {
    "init", "zero", "unmapped", "nopage", "frame", "revoked", "fault", "SIGSEGV", "BLOCKED",
    "is", "isnt", "and", "or", "not", *errno.errorcode.values(),
}  # fmt: skip
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_VALUE = re.compile(rf"{_NAME.pattern}|-?[0-9]+")
_TOKEN = re.compile(r"->|/\\|\\/|==|!=|[()~|:=]|[^\s()~|:=/\\!]+|\S")
_IN_CONDITION = re.compile(r"/\\|\\/|==|!=|[()~]|[^\s()~=!/\\]+|\S")


@dataclass(frozen=True, slots=True)
class Test:
    """One litmus test. ``columns`` maps each process to its program; ``pages`` maps each page to (initial
    value or None, attributes); ``processes`` names all that can exist, the first one first."""

    name: str
    description: str
    pages: dict[str, tuple[str | None, frozenset[str]]]
    columns: dict[str, tuple[Action, ...]]
    condition: Condition | None
    processes: tuple[str, ...]
    text: str = ""
    threads: dict[str, str] = field(default_factory=dict)  # columns `T of P`: T -> P

    __test__ = False  # not a pytest class

    def __hash__(self) -> int:
        return hash((self.name, self.text))

    def __repr__(self) -> str:
        steps = sum(map(len, self.columns.values()))
        return f"<litmus test {self.name}: {len(self.processes)} processes, {len(self.pages)} pages, {steps} steps>"


def read(path: str | Path) -> Test:
    """Read a test from a file. Raises LitmusError (also for a file that is missing, empty or binary)."""
    try:
        with open(path, "rb") as f:
            data = f.read(MAX_BYTES + 4).removeprefix(b"\xef\xbb\xbf")  # a byte order mark; and never /dev/zero
    except OSError as e:
        error = LitmusError(f"cannot be read: {e.strerror}", "give the path of a .litmus file, or a catalogue name")
        error.file = str(path)
        raise error from None
    try:
        return parse(data.decode("utf-8", "replace" if len(data) > MAX_BYTES else "strict"), str(path))
    except UnicodeDecodeError as e:
        before = data[: e.start].decode().split("\n")
        text = data.split(b"\n")[len(before) - 1].decode("utf-8", "replace")
        error = LitmusError(f"byte 0x{data[e.start]:02x} is not UTF-8", "a litmus test is plain text")
        raise error.at(str(path), len(before), len(before[-1]) + 1, text) from None


def parse(text: str, file: str = "litmus test") -> Test:
    """Parse the text of a test.

    >>> t = parse('''litmus demo
    ... init
    ...   P: x = old
    ... P       | C
    ... fork C  | write x new
    ... exists P.x == old''')
    >>> t
    <litmus test demo: 2 processes, 1 pages, 2 steps>
    >>> try:
    ...     parse("litmus demo\\ninit\\n  P: x = old\\nP\\nwrit x 1\\nexists P.x == 1")
    ... except LitmusError as e:
    ...     print(str(e).partition("  legal")[0])
    litmus test:5:1: unknown step 'writ'; did you mean 'write'?
      writ x 1
      ^
    <BLANKLINE>
    """
    lines = re.split(r"\r\n|\n|\r", text.removeprefix("\ufeff"))  # as an editor counts them
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        error = LitmusError("the test is larger than 1 MiB", "the limit is 1 MiB of text")
        raise error.at(file, len(lines), len(lines[-1]) + 1, "")
    try:
        return _Reader(lines, text).test()
    except LitmusError as error:
        token = getattr(error, "token", None) or Token("", max(1, len(lines)), 1)
        shown = lines[token.line - 1] if token.line <= len(lines) else ""
        raise error.at(file, token.line, token.column, shown) from None


def _fail(token: Token, what: str, remedy: str = "", legal=()):
    error = LitmusError(what, remedy, legal=legal)
    error.token = token
    raise error


def _tokens(line: str, number: int, pattern=_TOKEN) -> list[Token]:
    return [Token(m[0], number, m.start() + 1) for m in pattern.finditer(line.split("#", 1)[0])]


class _Reader:
    """Walks the lines once, from top to bottom."""

    def __init__(self, lines: list[str], text: str):
        self.text = text
        self.threads: dict[str, str] = {}
        self.lines = deque((n, line) for n, line in enumerate(lines, 1) if line.split("#", 1)[0].strip())
        self.last = Token("", *((self.lines[-1][0], len(self.lines[-1][1].rstrip()) + 1) if self.lines else (1, 1)))

    def test(self) -> Test:
        name, description = self.head()
        pages, first = self.init()
        columns, header = self.columns(pages, first)
        names = _Names(pages, columns, self.threads)
        actions = {p: tuple(names.action(p, tokens) for tokens in rows) for p, rows in columns.items()}
        processes = names.check_forks(header)
        if not self.lines:
            _fail(self.last, "the condition is missing", "end with `exists EXPR`, `~exists EXPR` or `forall EXPR`")
        tokens = [t for n, line in self.lines for t in _tokens(line, n, _IN_CONDITION)]
        condition = parse_condition(tokens, lambda token, identity: names.check_operand(token, identity, processes))
        return Test(name, description, pages, actions, condition, processes, self.text, self.threads)

    def head(self) -> tuple[str, str]:
        if not self.lines:
            _fail(Token("", 1, 1), "the test is empty", "it starts with `litmus NAME`")
        number, line = self.lines.popleft()
        word, *rest = _tokens(line, number)
        if word.text != "litmus" or len(rest) != 1:
            _fail(
                word if word.text != "litmus" else (rest or [word])[-1], "a test starts with `litmus NAME`", "one word"
            )
        _check_name(rest[0], "test", reserved=())
        description = []
        while self.lines and self.lines[0][1].split("#", 1)[0].strip() != "init":
            number, line = self.lines[0]
            if not line[0].isspace():
                _fail(_tokens(line, number)[0], "expected `init`", "indent the description by a space or more")
            description.append(self.lines.popleft()[1].split("#", 1)[0].strip())
        if not self.lines:
            _fail(self.last, "`init` is missing", "say `init`, then one mapping a line, such as `P: x = old`")
        self.lines.popleft()
        return rest[0].text, " ".join(description)

    def init(self):
        pages: dict[str, tuple[str | None, frozenset[str]]] = {}
        first = None
        while self.lines:
            number, line = self.lines[0]
            tokens = _tokens(line, number)
            if len(tokens) < 2 or tokens[1].text != ":":
                if "=" in line and not first:
                    _fail(tokens[0], "expected a mapping", "such as `P: x = old`")
                break
            self.lines.popleft()
            proc, page, value, attributes = _init_line(tokens)
            if first and proc.text != first.text:
                _fail(
                    proc,
                    f"{proc.text} does not exist at the start",
                    f"{first.text} maps every page before the first step",
                )
            if page.text in pages:
                _fail(page, f"page {page.text} is mapped twice", "each page once")
            first = first or proc
            pages[page.text] = (value, attributes)
            if len(pages) > MAX_PAGES:
                _fail(page, f"more than {MAX_PAGES} pages", f"the limit is {MAX_PAGES} pages")
        if not pages:
            _fail(self.last if not self.lines else _tokens(self.lines[0][1], self.lines[0][0])[0],
                  "`init` maps no page", "one mapping a line, such as `P: x = old`")  # fmt: skip
        return pages, first

    def columns(self, pages, first):
        if not self.lines:
            _fail(
                self.last, "the columns are missing", "a header row of process names, such as `P | C`, then their steps"
            )
        number, line = self.lines.popleft()
        header = []
        for cell in _cells(line, number):
            if len(cell) == 3 and cell[1].text == "of":  # `T of P`: another thread of the process P
                if cell[2].text not in [h.text for h in header if h.text not in self.threads]:
                    _fail(
                        cell[2],
                        f"no process {cell[2].text!r} left of this column",
                        "a thread stands right of its process",
                    )
                self.threads[cell[0].text] = cell[2].text
                cell = cell[:1]
            if len(cell) != 1:
                _fail(
                    cell[1] if cell else Token("", number, 1), "expected one process name a column", "such as `P | C`"
                )
            _check_name(cell[0], "process")
            if cell[0].text in [h.text for h in header]:
                _fail(cell[0], f"{cell[0].text} has two columns", "one column a process")
            if len(header) == MAX_PROCESSES:
                _fail(cell[0], f"more than {MAX_PROCESSES} processes", f"the limit is {MAX_PROCESSES} processes")
            header.append(cell[0])
        if header[0].text != first.text:
            _fail(header[0], f"the first column is {header[0].text}, but {first.text} maps the pages",
                  f"the first column's process exists at the start: put {first.text} first")  # fmt: skip
        for thread in header:
            if thread.text in KERNEL_THREADS and thread is header[0]:
                _fail(thread, f"{thread.text} is a thread of the kernel and maps no pages", "a process comes first")
        columns: dict[str, list[list[Token]]] = {h.text: [] for h in header}
        while self.lines:
            number, line = self.lines[0]
            if "-" in line and not line.split("#", 1)[0].strip(" \t|+:-"):
                self.lines.popleft()
                continue
            if line.lstrip()[0] == "~" or _tokens(line, number)[0].text in ("exists", "forall"):
                break
            self.lines.popleft()
            cells = _cells(line, number)
            if len(cells) > len(header):
                extra = [t for t in _tokens(line, number) if t.text == "|"][len(header) - 1]
                _fail(extra, f"{len(cells)} cells in a row of {len(header)} columns", "one cell a column")
            for proc, cell in zip(columns, cells, strict=False):
                if cell:
                    columns[proc].append(cell)
            if sum(map(len, columns.values())) > MAX_STEPS:
                _fail(_tokens(line, number)[0], f"more than {MAX_STEPS} steps", f"the limit is {MAX_STEPS:,} steps")
        return columns, header


def _cells(line: str, number: int) -> list[list[Token]]:
    cells: list[list[Token]] = [[]]
    for token in _tokens(line, number):
        if token.text == "|":
            cells.append([])
        else:
            cells[-1].append(token)
    return cells


def _init_line(tokens: list[Token]):
    proc, _, *rest = tokens
    _check_name(proc, "process")
    if not rest:
        _fail(proc, "a mapping without a page", "such as `P: x = old`")
    page, *rest = rest
    _check_name(page, "page")
    if not rest or rest[0].text not in ("=", "untouched"):
        _fail(
            rest[0] if rest else page, "expected `= VALUE` or `untouched`", "such as `P: x = old`", ("=", "untouched")
        )
    value = None
    if rest.pop(0).text == "=":
        if not rest:
            _fail(page, "the value is missing", "such as `P: x = old`")
        value = _check_value(rest.pop(0))
    seen: set[str] = set()
    for token in rest:
        if token.text not in ATTRIBUTES:
            _fail(token, f"unknown attribute {token.text!r}", nearest(token.text, ATTRIBUTES), ATTRIBUTES)
        if token.text in seen:
            _fail(token, f"{token.text} twice", "each attribute once")
        other = {"huge": {"hugepte", "file", "shared"}, "hugepte": {"huge", "file", "shared"}}
        clash = [word for word in seen if word in other.get(token.text, ()) or token.text in other.get(word, ())]
        if clash:
            _fail(token, f"{token.text} and {clash[0]} exclude each other", "a THP is private anonymous memory")
        seen.add(token.text)
    return proc, page, value, frozenset(seen)


def _check_name(token: Token, kind: str, reserved=RESERVED) -> str:
    if not _NAME.fullmatch(token.text):
        _fail(
            token, f"{token.text!r} is no name of a {kind}", "letters, digits, _ and -, not starting with a digit or -"
        )
    if token.text in reserved:
        _fail(token, f"{token.text!r} is reserved", f"choose another name for the {kind}")
    return token.text


def _check_value(token: Token) -> str:
    if not _VALUE.fullmatch(token.text):
        _fail(token, f"{token.text!r} is no value", "a word such as `old`, or a decimal integer")
    if token.text in RESERVED:
        _fail(token, f"{token.text!r} is reserved", "choose another value")
    return canonical(token.text)


class _Names:
    """What each process may name, and who forks whom. Keeps the first error's place."""

    def __init__(self, pages, columns, threads=None):
        self.pages, self.columns, self.threads = pages, columns, threads or {}
        self.refs: dict[str, dict[str, str]] = {}  # process -> reference -> the step that took it
        self.regs: dict[str, dict[str, str]] = {}
        self.forks: dict[str, tuple[str, Token]] = {}  # child -> (parent, where)
        self.exited: dict[str, Token] = {}

    def action(self, column: str, tokens: list[Token]) -> Action:
        op, *rest = tokens
        proc = self.threads.get(column, column)
        thread_of = column if column in self.threads else ""
        if op.text not in GRAMMAR:
            _fail(op, f"unknown step {op.text!r}", nearest(op.text, GRAMMAR), GRAMMAR)
        thread = next((t for t, step in KERNEL_THREADS.items() if step == op.text), None)
        if proc in KERNEL_THREADS and op.text != KERNEL_THREADS[proc]:
            _fail(op, f"{proc} does not {op.text}", f"it takes only `{KERNEL_THREADS[proc]}` steps")
        if thread and proc != thread:
            _fail(op, f"`{op.text}` is a step of the kernel", f"put it in a column `{thread}`")
        if proc in self.exited:
            _fail(op, f"{proc} has exited in line {self.exited[proc].line}", "a dead process takes no steps")
        if op.text == "exit":
            self.exited[proc] = op
        fields: dict[str, str] = {}
        options: list[str] = []
        usage = f"`{op.text} {GRAMMAR[op.text]}`".replace(" `", "`")
        spec = re.findall(r"\[[^]]*\]|-> \w+|\S+", GRAMMAR[op.text])
        legal_options = [s[1:-1] for s in spec if s.startswith("[") and "->" not in s]
        for part in spec:
            if part.startswith("[") and "->" not in part:
                continue
            arrow, kind = "->" in part, part.strip("[]").replace("-> ", "")
            if part.startswith("[") and not (rest and rest[0].text == "->"):
                continue
            if arrow:
                if not rest or rest[0].text != "->":
                    _fail(rest[0] if rest else _after(tokens), "expected `->`", usage)
                rest.pop(0)
            if not rest:
                _fail(_after(tokens), f"{op.text}: {kind} is missing", usage)
            token = rest.pop(0)
            fields.update(self.argument(proc, op, token, kind, arrow))
        for token in rest:
            if token.text not in legal_options:
                _fail(token, f"{token.text!r} after the end of {op.text}", usage, legal_options)
            if token.text in options:
                _fail(token, f"{token.text} twice", usage)
            options.append(token.text)
        return Action(
            proc, op.text, options=tuple(o for o in legal_options if o in options), thread=thread_of, **fields
        )

    def argument(self, proc: str, op: Token, token: Token, kind: str, arrow: bool) -> dict[str, str]:
        if kind in ("PAGE", "PAGE2"):
            if token.text not in self.pages:
                _fail(token, f"{token.text!r} is no page", nearest(token.text, self.pages), self.pages)
            return {"page" if kind == "PAGE" else "arg": token.text}
        if kind == "VALUE":
            return {"arg": _check_value(token)}
        if kind == "PROC":
            _check_name(token, "process", RESERVED | set(KERNEL_THREADS))
            if token.text in self.forks:
                parent, where = self.forks[token.text]
                _fail(
                    token, f"{token.text} is forked twice, first by {parent} in line {where.line}", "one fork a process"
                )
            if token.text == next(iter(self.columns)):
                _fail(token, f"{token.text} exists at the start", "fork another name")
            self.forks[token.text] = (proc, token)
            return {"arg": token.text}
        refs, regs = self.refs.setdefault(proc, {}), self.regs.setdefault(proc, {})
        if kind == "REF" and not arrow:
            if token.text not in refs:
                other = [p for p, names in self.refs.items() if token.text in names]
                remedy = (
                    f"only {other[0]}, which took it, may name it"
                    if other
                    else "take it first, as in `vmsplice x -> r`"
                )
                _fail(token, f"{proc} has no reference {token.text!r} here", remedy, refs)
            return {"ref": token.text}
        if kind in ("REF", "REG"):
            _check_name(token, "reference" if kind == "REF" else "register")
            taken = {**dict.fromkeys(self.pages, "a page"), **dict.fromkeys(refs, "a reference")}
            if kind == "REF":
                taken |= dict.fromkeys(regs, "a register")
            if token.text in taken:
                _fail(token, f"{token.text!r} is already {taken[token.text]} of {proc}", "choose a new name")
            (refs if kind == "REF" else regs)[token.text] = op.text
            return {kind.lower(): token.text}
        if token.text not in kind.split("|"):
            later = nearest(token.text, kind.split("|"))
            _fail(token, f"{op.text}: {token.text!r} is not {kind.replace('|', ' or ')}", later, kind.split("|"))
        return {"arg": token.text}

    def check_forks(self, header: list[Token]) -> tuple[str, ...]:
        """Every column but the first is forked by a process that can exist."""
        reached = [header[0].text]
        for proc in reached:
            reached += [child for child, (parent, _) in self.forks.items() if parent == proc]
        for token in header:
            if token.text not in (*reached, *KERNEL_THREADS, *self.threads):
                how = f"add `fork {token.text}` to an earlier column"
                if token.text in self.forks:
                    how = f"its parent {self.forks[token.text][0]} is never forked either"
                _fail(token, f"{token.text} is never forked", how)
        if len(reached) > MAX_PROCESSES:
            _fail(self.forks[reached[MAX_PROCESSES]][1], f"more than {MAX_PROCESSES} processes",
                  f"the limit is {MAX_PROCESSES} processes")  # fmt: skip
        return tuple(reached)

    def check_operand(self, token: Token, identity: bool, processes: tuple[str, ...]) -> None:
        """Raises where the operand can exist in no execution, or cannot have a frame after ``is``."""
        proc, dot, name = token.text.partition(".")
        if not dot:
            if identity:
                _fail(token, f"{token.text!r} has no frame", "`is` compares references, pages and perf registers")
            if not _VALUE.fullmatch(token.text):
                _fail(token, f"{token.text!r} is no operand", "such as C.pipe, P.x, a word or an integer")
            return
        if proc == "init":
            if name not in self.pages:
                _fail(token, f"init has no page {name!r}", nearest(name, self.pages), self.pages)
            if not identity:
                _fail(token, f"{token.text} is a frame, not a value", "use it with `is` or `isnt`")
            return
        if proc not in processes:
            _fail(token, f"no process {proc!r} in this test", nearest(proc, processes), processes)
        refs, regs = self.refs.get(proc, {}), self.regs.get(proc, {})
        legal = [*self.pages, *refs, *regs, "fault"]
        if name not in legal:
            _fail(token, f"{proc} has no {name!r}", nearest(name, legal), [f"{proc}.{n}" for n in legal])
        if identity and (name == "fault" or (name in regs and regs[name] != "perf")):
            _fail(token, f"{token.text} has no frame", "`is` compares references, pages and perf registers")


def _after(tokens: list[Token]) -> Token:
    return Token("", tokens[-1].line, tokens[-1].column + len(tokens[-1].text))


def parse_init(lines: list[str]) -> tuple[str, dict[str, tuple[str | None, frozenset[str]]]]:
    """The ``init`` of an observation: (first process, pages). Raises LitmusError with the place in it."""
    reader = _Reader([], "")
    reader.lines = deque(enumerate(lines, 1))
    pages, first = reader.init()
    if reader.lines:
        number, line = reader.lines[0]
        _fail(Token(line, number, 1), f"{line!r} is no mapping", "such as `P: x = old`")
    return first.text, pages


def parse_steps(lines: list[str], first: str, pages) -> tuple[Action, ...]:
    """The ``steps`` of an observation, such as ``P: write x new``, in the order in which they happened."""
    names, actions, known = _Names(pages, {first: ()}), [], [first]
    for number, line in enumerate(lines, 1):
        tokens = _tokens(line, number)
        if len(tokens) < 3 or tokens[1].text != ":":
            _fail(Token(line, number, 1), f"{line!r} is no step", "such as `P: write x new`")
        if tokens[0].text not in (*known, *KERNEL_THREADS):
            _fail(tokens[0], f"no process {tokens[0].text!r} yet", "it must be forked first", known)
        actions.append(names.action(tokens[0].text, tokens[2:]))
        known += [actions[-1].arg] if actions[-1].op == "fork" else []
    return tuple(actions)
