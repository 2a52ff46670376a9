"""What a question is, and where all of them are."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from pkgutil import iter_modules
from random import Random
from typing import Any

__all__ = ["HINTS", "QUESTIONS", "Choice", "Question", "Schedule", "UnknownQuestion"]


@dataclass(frozen=True)
class Schedule:
    """One execution that settles something. ``test`` is a name in the catalogue, or the text of a litmus test;
    at the end of ``schedule`` on ``kernel`` its condition's expression holds (or with ``holds=False`` does not).
    ``look`` says where to look: one short sentence."""

    test: str
    schedule: str
    look: str
    kernel: str = "v5.7"
    holds: bool = True

    def load(self):
        """The litmus test."""
        from ..litmus import load, parse

        return parse(self.test) if self.test.startswith("litmus ") else load(self.test)

    def trace(self):
        """The execution itself, as a :class:`cowlab.Trace`."""
        from ..litmus import run
        from ..mm import kernel

        return run(self.load(), kernel(self.kernel), self.schedule)


@dataclass(frozen=True)
class Choice:
    """A possible answer. The right one says ``because``; a wrong one says which misconception it ``believes``, and
    is refuted by that one's schedule or by its own."""

    text: str
    because: str = ""
    believes: str = ""
    refuted_by: Schedule | None = None

    @property
    def right(self) -> bool:
        return not self.believes

    @property
    def refutation(self) -> Schedule | None:
        from .misconceptions import MISCONCEPTIONS

        return self.refuted_by or (MISCONCEPTIONS[self.believes].refutation if self.believes else None)


@dataclass(frozen=True)
class Question:
    """``prompt`` and the texts may mark code with backticks. ``setting`` is shown as it stands, above the choices.
    ``shows``, if there is one, is the schedule that comes with the right answer. ``again`` draws the same question
    about another machine; its answers come from the engine."""

    id: str
    prompt: str
    choices: tuple[Choice, ...]
    hints: tuple[str, str, str]
    setting: str = ""
    shows: Schedule | None = None
    again: Callable[[Random], "Question"] | None = None

    def seeded(self, seed: int) -> "Question":
        """The question as this seed has it: about another machine if it can be, its choices in another order. The same
        seed gives the same question everywhere."""
        rng = Random(seed)
        q = self.again(rng) if self.again else self
        return replace(q, id=f"{self.id}#{seed}", choices=tuple(rng.sample(q.choices, len(q.choices))), again=None)

    @property
    def letters(self) -> str:
        return "abcdefgh"[: len(self.choices)]

    @property
    def right(self) -> str:
        return next(letter for letter, c in zip(self.letters, self.choices, strict=True) if c.right)


class UnknownQuestion(KeyError):
    """One line that names the legal choices; in a notebook, without a traceback."""

    def __str__(self) -> str:
        return self.args[0]

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class _Bank(Mapping):
    """What all lessonNN modules of this folder have under one name, by id, in order. Read when first asked for.
    ``"02-frames#7"`` is the question ``02-frames`` as seed 7 has it."""

    def __init__(self, name: str, pairs: Callable[[Any], Iterable[tuple[str, Any]]]):
        self._name, self._pairs = name, pairs

    @cached_property
    def _all(self) -> dict[str, Any]:
        names = sorted(m.name for m in iter_modules(import_module(__package__).__path__) if m.name.startswith("lesson"))
        modules = [import_module(f"{__package__}.{name}") for name in names]
        pairs = [pair for m in modules for pair in self._pairs(getattr(m, self._name, ()))]
        assert len(dict(pairs)) == len(pairs), f"the same id twice in {self._name}"
        return dict(pairs)

    def __getitem__(self, id: str):
        plain, _, seed = str(id).partition("#")
        if seed.isascii() and seed.isdigit() and isinstance(self._all.get(plain), Question):
            return self._all[plain].seeded(int(seed))
        if id not in self._all:
            from ..litmus.errors import nearest

            near = nearest(str(id), self._all)
            raise UnknownQuestion(f"no question {id!r}{near and f' ({near})'}; there are {', '.join(self)}")
        return self._all[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


QUESTIONS: Mapping[str, Question] = _Bank("QUESTIONS", lambda questions: ((q.id, q) for q in questions))
# Of tasks that have no choices: id -> three hints.
HINTS: Mapping[str, tuple[str, str, str]] = _Bank("HINTS", lambda hints: dict(hints).items())
