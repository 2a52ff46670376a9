"""The condition of a test: ``exists``, ``~exists`` or ``forall`` over an expression about the final state.

Grammar, from loose to tight: ``A or B`` (also ``\\/``), ``A and B`` (``/\\``), ``not A`` (``~``), parentheses,
and the atoms ``A == B``, ``A != B``, ``A is B``, ``A isnt B``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .errors import LitmusError

__all__ = ["Condition", "Token", "canonical", "parse_condition"]

QUANTIFIERS = ("exists", "~exists", "forall")
MAX_DEPTH = 50  # of parentheses and negations; far below what Python's stack would take
_NAMES = {"/\\": "and", "\\/": "or", "~": "not"}


class Token(NamedTuple):
    """A word of the text, and where it stands (counting from 1)."""

    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Condition:
    """``holds(values, frames)``: values maps ``P.x`` to what it reads, frames maps it to a frame number.

    >>> c = parse_condition([Token(t, 1, 1) for t in "exists C.r == new".split()], lambda token, is_: None)
    >>> c.quantifier, c.holds({"C.r": "new"}, {}), c.holds({}, {})
    ('exists', True, False)
    """

    quantifier: str
    text: str
    holds: Callable[[Mapping[str, str], Mapping[str, int]], bool]

    def passes(self, positive: int, negative: int) -> bool:
        """``exists`` is not Never, ``~exists`` is Never, ``forall`` is Always."""
        return {"exists": positive > 0, "~exists": positive == 0, "forall": negative == 0}[self.quantifier]


def parse_condition(tokens: list[Token], check: Callable[[Token, bool], None]) -> Condition:
    """``check(token, is_identity)`` raises where an operand can exist in no execution."""
    quantifier = tokens.pop(0)
    if quantifier.text == "~" and tokens and tokens[0].text == "exists":
        quantifier = quantifier._replace(text="~" + tokens.pop(0).text)
    if quantifier.text not in QUANTIFIERS:
        raise _error(quantifier, f"{quantifier.text!r} is no quantifier", "", QUANTIFIERS)
    end = Token("the end of the condition", quantifier.line, quantifier.column + len(quantifier.text))
    if tokens:
        end = end._replace(line=tokens[-1].line, column=tokens[-1].column + len(tokens[-1].text))
    text = " ".join(t.text for t in tokens).replace("( ", "(").replace(" )", ")")
    parser = _Parser(tokens, check, end)
    holds = parser.either()
    if parser.tokens:
        left = parser.tokens[-1]
        remedy = "one condition a test" if left.text in QUANTIFIERS else "join two expressions with `and` or `or`"
        raise _error(left, f"{left.text!r} after the end of the condition", remedy)
    return Condition(quantifier.text, text, holds)


class _Parser:
    def __init__(self, tokens, check, end):
        self.tokens, self.check, self.end, self.depth = tokens[::-1], check, end, 0

    def peek(self) -> str:
        return _NAMES.get(self.tokens[-1].text, self.tokens[-1].text) if self.tokens else ""

    def pop(self) -> Token:
        return self.tokens.pop() if self.tokens else self.end

    def either(self):
        return self.joined("or", self.both, any)

    def both(self):
        return self.joined("and", self.negated, all)

    def joined(self, word, part, combine):
        parts = [part()]
        while self.peek() == word:
            self.pop()
            parts.append(part())
        return parts[0] if len(parts) == 1 else lambda v, f: combine(p(v, f) for p in parts)

    def deeper(self, token: Token) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _error(token, f"nested more than {MAX_DEPTH} deep", f"the limit is {MAX_DEPTH} levels")

    def negated(self):
        if self.peek() == "not":
            self.deeper(self.pop())
            inner = self.negated()
            self.depth -= 1
            return lambda v, f: not inner(v, f)
        if self.peek() == "(":
            self.deeper(self.pop())
            inner = self.either()
            self.depth -= 1
            closing = self.pop()
            if closing.text != ")":
                raise _error(closing, f"expected `)`, found {closing.text!r}", "")
            return inner
        return self.atom()

    def atom(self):
        left, relation, right = self.pop(), self.pop(), self.pop()
        legal = ("==", "!=", "is", "isnt")
        if left is self.end or left.text in (")", *legal, "and", "or"):
            raise _error(left, f"expected an operand, found {left.text!r}", "such as C.pipe == new")
        if relation.text not in legal:
            raise _error(relation, f"expected a comparison, found {relation.text!r}", "", legal)
        if right is self.end or right.text in ("(", ")", "~", *legal, *_NAMES, "and", "or", "not"):
            raise _error(right, f"expected an operand, found {right.text!r}", "such as C.pipe == new")
        identity = relation.text.startswith("is")
        for operand in (left, right):
            self.check(operand, identity)
        a, b, positive = left.text, right.text, relation.text in ("==", "is")
        if identity:
            return lambda v, f: (f.get(a) is not None and f.get(a) == f.get(b)) == positive
        return lambda v, f: _equal(a, b, v) == positive


def canonical(value: str) -> str:
    """Integers are equal when their numbers are: no leading zeros, no minus before zero.

    >>> canonical("007"), canonical("-0"), canonical("old")
    ('7', '0', 'old')
    """
    number = re.fullmatch(r"(-?)0*([0-9]+)", value)
    return value if number is None else number[2] if number[2] == "0" else number[1] + number[2]


def _equal(a: str, b: str, values: Mapping[str, str]) -> bool:
    left, right = (values.get(x) if "." in x else canonical(x) for x in (a, b))
    return left is not None and left == right


def _error(token: Token, what: str, remedy: str, legal=()) -> LitmusError:
    error = LitmusError(what, remedy, legal=legal)
    error.token = token
    return error
