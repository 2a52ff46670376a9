"""Plain data: the only thing that leaves a learner's process. JSON values of exactly the built-in types.

An object of a subclass could answer every comparison with True; a plain value cannot answer anything.
"""

import json
from typing import Any

__all__ = ["NotPlain", "dumps", "loads", "plain"]

DEPTH = 20  # of nested lists and dicts
ITEMS = 10_000
TEXT = 100_000  # letters of one string
NUMBER = 10**18
UNUSABLE = {int: "too large a number", float: "not a finite number", str: "text that is too long, or broken"}


class NotPlain(ValueError):
    """Why a value is no plain data, in one line."""


def plain(value: Any) -> Any:
    """A copy of ``value`` out of None, bool, int, float, str, list and dict alone (a tuple becomes a list).
    Raises NotPlain for any other type, for subclasses of these, and beyond the limits above.

    >>> plain({"choice": "c", "rows": [(1, 2)]})
    {'choice': 'c', 'rows': [[1, 2]]}
    """
    left = ITEMS

    def copy(v, depth):
        nonlocal left
        left -= 1
        kind = type(v)
        if depth > DEPTH or left < 0:
            raise NotPlain(f"more than {DEPTH} levels deep" if depth > DEPTH else f"more than {ITEMS:,} items")
        if v is None or kind is bool:
            return v
        if kind is int and -NUMBER <= v <= NUMBER:
            return v
        if kind is float and v - v == 0:  # neither infinite nor NaN
            return v
        if kind is str and len(v) <= TEXT and not any("\ud800" <= c <= "\udfff" for c in v):
            return v
        if kind is list or kind is tuple:
            return [copy(item, depth + 1) for item in v]
        if kind is dict:
            for key in v:
                if type(key) is not str:
                    raise NotPlain("a dict whose keys are not all text")
            return {copy(key, depth): copy(item, depth + 1) for key, item in v.items()}
        if kind in (int, float, str):
            raise NotPlain(UNUSABLE[kind])
        only = "only text, numbers, True, False, None, lists and dicts count"
        raise NotPlain(f"of type {str(kind.__name__)[:60]}; {only}")

    return copy(value, 0)


def dumps(value: Any) -> str:
    """One line of ASCII."""
    return json.dumps(plain(value))


def loads(line: bytes | str) -> Any:
    """What one line says, whoever wrote it. Raises NotPlain."""
    try:
        value = json.loads(line, parse_constant=_no)
    except (ValueError, RecursionError, MemoryError) as e:
        raise NotPlain(f"not JSON ({type(e).__name__})") from None
    return plain(value)


def _no(word: str):
    raise ValueError(word)
