"""The rubric: how an answer is judged. Plain functions over plain data, the same for a learner's advisory check and for
marks.

Each returns :class:`cowlab.course.check.Advice`: a score from 0 to 1, what is said about it, an execution to step
through, the misconceptions that the answer shows, and the hint that fits. Each recomputes what is right with the
engine: no key is stored, and nothing that is said gives it away.

==================  ===================================================================================
the answer is       the check is
==================  ===================================================================================
a schedule          ``check_schedule(test, "P P C", "v5.7", shortest=True)``
a litmus test       ``check_test(text, leaks_on="v5.7", not_on="v5.8", without=("munmap",))``
choices             ``check_choice({"choice": "a"}, trace, choice={"a": ("C.pipe == new", "M9", "Move 4: …"), …})``
a table             ``check_table(rows, expected, trace)``
a Kernel row        ``check_kernel({"reuse": "sole_reference"}, "v5.7", "v5.8", tests)``
an invariant        ``check_invariant("C.pipe != new", test, good=("v5.8",), bad=("v5.7",))``
a predicate         ``check_predicate(values, accept=[…], reject=[…])``
==================  ===================================================================================
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from ..course.check import Advice, check_schedule, listed
from ..litmus import LitmusError, Test, Trace, catalogue, judge, load, parse
from ..litmus.condition import Token, parse_condition
from ..litmus.run import final_values, frame_of
from ..litmus.verdict import initial_frames
from ..mm import CALLERS, KERNELS, Kernel, kernel
from ..mm.kernels import ROADS

__all__ = [
    "Advice", "check_choice", "check_invariant", "check_kernel", "check_predicate", "check_schedule", "check_table",
    "check_test", "marks", "row",
]  # fmt: skip

UNSURE = "?"
WORDS = ("mprotect", "madvise")  # steps whose argument is no name
TRACE = 20_000  # letters of a trace that a report keeps


# A litmus test


def check_test(
    text: str, leaks_on: str = "v5.7", not_on: str = "v5.8", without: tuple[str, ...] = ("munmap",)
) -> Advice:
    """Is ``text`` a litmus test in which one process's reference ends up with what another one wrote, in a private
    mapping, on one kernel and not on the other, and without these steps? Half for a leak on both, and half for a test
    that stands in the catalogue already.

    >>> check_test(load("child-reads-parent-secret").text)
    This one is to do without munmap. How else does a process stop mapping a page?
    """
    if not isinstance(text, str) or not text.strip():
        return Advice(("A litmus test is text. Start from the one in the lesson.",))
    try:
        test = parse(text, "your test")
        problem, believes = _not_a_leak(test, without)
        if problem:
            return Advice((problem,), believes=believes, hint=2)
        old, new = judge(test, kernel(leaks_on)), judge(test, kernel(not_on))
    except LitmusError as e:
        return Advice((f"Not a litmus test yet: {e}",))
    if not old.positive:
        last = old.finals[-1].trace
        return Advice((
            f"It parses. On {leaks_on} no order makes `{test.condition.text}` hold ({old.executions} tried).",
            f"Here is one of them: `{'; '.join(last.steps)}`. Look at the write: who maps the frame just then?",
        ), 0.0, last, ("M9",) if last.copies else (), 2)  # fmt: skip
    if new.positive:
        return Advice((
            f"Right so far: it leaks on {leaks_on}, in {old.positive} of {old.executions} executions.",
            f"But it leaks on {not_on} too: `{'; '.join(new.witness.steps)}`. When is the reference taken "
            f"there, and of what?",
        ), 0.5, new.witness, ("M12",) if _taken_before_fork(new.witness) else (), 3)  # fmt: skip
    known = next((name for name in catalogue() if _shape(load(name)) == _shape(test)), None)
    if known:
        return Advice((
            f"Right: {leaks_on}: {old.verdict}, {not_on}: {new.verdict}.",
            f"But that is {known} of the catalogue under other names. Find one of your own: with other steps.",
        ), 0.5, old.witness, (), 1)  # fmt: skip
    return Advice((
        f"Yes. {leaks_on}: {old.verdict} ({old.positive} of {old.executions}). {not_on}: {new.verdict}.",
        f"First order that leaks: `{'; '.join(old.witness.steps)}`.",
    ), 1.0, old.witness)  # fmt: skip


def _not_a_leak(test: Test, without: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Why the condition does not speak of one process's reference and another one's write, or an empty string; and
    what somebody believes who writes that."""
    used = sorted({a.op for program in test.columns.values() for a in program} & set(without))
    if used:
        words = listed([f"`{op}`" for op in used])
        how = "Who else takes a reference" if used[0] in CALLERS else "How else does a process stop mapping a page"
        return f"This one is to do without {words}. {how}?", ()
    m = re.fullmatch(r"(\S+)\.(\S+) == (\S+)", test.condition.text)
    if test.condition.quantifier != "exists" or not m:
        form = "The condition should have the form `exists C.pipe == new`: what a process's reference holds at the end."
        return form, ()
    proc, name, value = m.groups()
    taken = next((a for a in test.columns.get(proc, ()) if a.ref == name and a.page), None)
    if taken is None:
        return f"`{proc}.{name}` is no reference that {proc} takes. Steps such as `vmsplice x -> pipe` take one.", ()
    if "shared" in test.pages[taken.page][1]:
        shared = f"`{taken.page}` is shared, so everybody is meant to see it. The question is about a private mapping."
        return shared, ("M8",)
    steps = [a for program in test.columns.values() for a in program]
    writers = {a.proc for a in steps if a.op in ("write", "store") and a.arg == value}
    if value in {v for v, _ in test.pages.values()} or not writers or proc in writers:
        return f"`{value}` should be something that another process than {proc} writes, and not there at the start.", ()
    return "", ()


def _taken_before_fork(trace: Trace) -> bool:
    ops = [(m.action.op, bool(m.action.ref and m.action.page)) for m in trace.moments[1:]]
    taken = next((n for n, (_, takes) in enumerate(ops) if takes), len(ops))
    return any(op == "fork" for op, _ in ops[taken:])


def _shape(test: Test) -> tuple:
    """What is left of a test when its names are: two tests of one shape are one test."""
    names: dict[str, int] = {}

    def number(word: str):
        return names.setdefault(word, len(names)) if word else ""

    pages = tuple((number(p), number(v or ""), tuple(sorted(attrs))) for p, (v, attrs) in test.pages.items())
    columns = [
        tuple(
            (a.op, a.arg if a.op in WORDS else number(a.arg), *map(number, (a.proc, a.page, a.ref, a.reg)), a.options)
            for a in program
        )
        for program in test.columns.values()
    ]
    return pages, tuple(columns)


# Choices


def check_choice(answer: Mapping[str, str], trace: Trace, **questions: Mapping[str, tuple]) -> Advice:
    """Choices about one execution: of each question the letter whose claim holds at its end.

    A question maps a letter to ``(claim, misconception, look)``. The claim is a final-state expression, a function of
    the trace that says whether it is so, or True or False; exactly one of a question holds, or ValueError is raised.
    (In a notebook take a function: True and False can be read.) The misconception is what somebody believes who takes
    the claim for true and is wrong; ``look`` says where in the execution to look. Nothing of this tells which letter is
    right: the engine does.

    >>> from cowlab import run
    >>> trace = run(load("takeover-after-exec"), kernel("v5.7"), "P C C P")
    >>> pipe = {"a": ("C.pipe == old", "M9", "Move 4: no copy."), "b": ("C.pipe == new", "M7", "Move 3.")}
    >>> check_choice({"pipe": "a"}, trace, pipe=pipe)
    pipe: that is not what happens. Step through P C C P on v5.7. Move 4: no copy.
    >>> check_choice({"pipe": "b"}, trace, pipe=pipe).score
    1.0
    """
    if not isinstance(answer, Mapping):
        return Advice((f"The answer is a dict with {listed([repr(key) for key in questions], 'and')}.",))
    said, right, believes, wrong = [], 0, [], False
    for key, claims in questions.items():
        true = [letter for letter, (claim, _, _) in claims.items() if _holds(claim, trace)]
        if len(true) != 1:
            raise ValueError(f"{key}: exactly one claim should hold at the end of the execution; {true or 'none'} do")
        given = answer.get(key, UNSURE)
        given = given.strip().lower() if isinstance(given, str) else given
        if given == UNSURE or given == "":
            said.append(f"{key}: nothing chosen yet.")
        elif not isinstance(given, str) or given not in claims:
            said.append(f"{key}: {str(given)[:40]!r} is none of {', '.join(claims)} and {UNSURE}.")
        elif given == true[0]:
            said.append(f"{key}: yes.")
            right += 1
        else:
            _, about, look = claims[given]
            order = " ".join(m.action.proc for m in trace.moments[1:])
            said.append(f"{key}: that is not what happens. Step through {order} on {trace.kernel.name}. {look}")
            believes.append(about)
            wrong = True
    return Advice(
        tuple(said), right / len(questions), trace if wrong else None, tuple(dict.fromkeys(filter(None, believes)))
    )


def _holds(claim: str | bool | Callable[[Trace], bool], trace: Trace) -> bool:
    if not isinstance(claim, str):
        return bool(claim(trace) if callable(claim) else claim)
    words = [Token(w, 1, 1) for w in re.findall(r"[()~]|[^\s()~]+", f"exists {claim}")]
    frames = frame_of(trace.final) | initial_frames(trace.moments[0].state)
    return parse_condition(words, lambda token, identity: None).holds(final_values(trace.final), frames)


# Tables


def check_table(
    rows: Sequence[Sequence[Any]],
    expected: Sequence[Sequence[Any]],
    trace: Trace | None = None,
    columns: Sequence[str] = (),
    believes: Mapping[str, Sequence[Sequence[Any]]] | None = None,
) -> Advice:
    """A table filled in. ``expected`` is computed by the engine where the check is written; each row that is right
    counts the same. Row n is about the machine after move n of ``trace``. ``believes`` has, of a misconception, the
    table that follows from it.

    >>> check_table([[1, 1], [2, 2]], [[1, 1], [2, 3]], columns=("mapcount", "refcount"))
    1 of 2 rows right.
    Row 2, refcount: not so.
    """
    shape = f"a list of {len(expected)} rows with {len(expected[0])} values each"
    if not isinstance(rows, list | tuple) or not all(isinstance(r, list | tuple) for r in rows):
        return Advice((f"The answer is {shape}.",))
    right = [n < len(rows) and _same(rows[n], wanted) for n, wanted in enumerate(expected)]
    said, score = [f"{sum(right)} of {len(expected)} rows right."], sum(right) / len(expected)
    if len(rows) != len(expected):
        said.append(f"The table should be {shape}; yours has {len(rows)}.")
    if all(right):
        return Advice(tuple(said), score)
    n = right.index(False)
    wrong = [
        c for c, wanted in enumerate(expected[n])
        if n >= len(rows) or c >= len(rows[n]) or not _same(rows[n][c : c + 1], [wanted])
    ]  # fmt: skip
    names = listed([columns[c] if c < len(columns) else f"column {c + 1}" for c in wrong], "and")
    where = f" Step to move {n + 1} and count." if trace is not None else ""
    said.append(f"Row {n + 1}{names and f', {names}'}: not so.{where}")
    shows = tuple(
        m for m, table in (believes or {}).items()
        if any(not ok and k < len(rows) and _same(rows[k], table[k]) for k, ok in enumerate(right))
    )  # fmt: skip
    return Advice(tuple(said), score, _until(trace, n + 1), shows, 2 if score else 1)


def _same(given: Sequence[Any], wanted: Sequence[Any]) -> bool:
    """Equal, and of equal types: 1 is not True."""
    return [(type(v), v) for v in given] == [(type(v), v) for v in wanted]


def _until(trace: Trace | None, moves: int) -> Trace | None:
    return trace and replace(trace, moments=trace.moments[: moves + 1])


# Rows of the table of kernels


def row(base: str, changes: Mapping[str, Any]) -> Kernel:
    """The row ``base`` with these fields changed; a rule is named by its function. Raises LitmusError, which names the
    legal choices: the answers that some kernel of the catalogue gives.

    >>> row("v5.7", {"reuse": "sole_reference"}).reuse.__name__
    'sole_reference'
    """
    legal = {f.name: {} for f in fields(Kernel) if f.name not in ("name", "about", "commits", "aliases")}
    for k in (*KERNELS.values(), *ROADS.values()):
        for name, values in legal.items():
            values[_word(getattr(k, name))] = getattr(k, name)
    new = {}
    for name, word in changes.items():
        if name not in legal:
            raise LitmusError(f"a kernel has no field {name!r}", legal=legal)
        if str(word) not in legal[name]:
            raise LitmusError(f"{name} cannot be {str(word)!r}", legal=legal[name])
        new[name] = legal[name][str(word)]
    return replace(kernel(base), name="yours", about="yours", commits=(), aliases=(), **new)


def _word(value: Any) -> str:
    return getattr(value, "__name__", str(value))


def check_kernel(changes: Mapping[str, Any], base: str, like: str, tests: Sequence[str | Test]) -> Advice:
    """Fields of ``base`` changed so that its verdicts become those of ``like``. What counts is behaviour: of the tests
    in which the two differ, how many come out as on ``like``, less those that did not differ and now do.

    >>> check_kernel({"reuse": "sole_reference"}, "v5.7", "v5.9", ["child-reads-parent-secret"]).score
    1.0
    """
    if not isinstance(changes, Mapping):
        return Advice(("The answer is a dict: field -> rule.",))
    try:
        mine = row(base, changes)
    except LitmusError as e:
        return Advice((str(e),))
    if not changes:
        return Advice((f"Nothing is changed yet: that is {base}.",))
    loaded = [load(t) if isinstance(t, str) else t for t in tests]
    before, wanted, now = ([judge(t, k) for t in loaded] for k in (kernel(base), kernel(like), mine))
    flips = [b.verdict != w.verdict for b, w in zip(before, wanted, strict=True)]
    good = [w.verdict == n.verdict for w, n in zip(wanted, now, strict=True)]
    done = sum(f and g for f, g in zip(flips, good, strict=True))
    broken = sum(not f and not g for f, g in zip(flips, good, strict=True))
    said = [f"{done} of the {sum(flips)} tests that should change their verdict come out as on {like}."]
    if broken:
        said.append(f"{broken} others change, and should not.")
    score = max(0, done - broken) / sum(flips)
    if all(good):
        return Advice(tuple(said), score)
    worst = good.index(False)
    said.append(f"{loaded[worst].name}: {now[worst].verdict} with your rules, and not so on {like}.")
    trace = now[worst].witness or now[worst].finals[0].trace
    return Advice(tuple(said), score, trace, (), 2 if score else 1)


# Invariants and predicates


def check_invariant(
    text: str,
    test: Test | str,
    good: Sequence[str],
    bad: Sequence[str],
    believes: Mapping[str, str] | None = None,
) -> Advice:
    """A final-state expression that holds at every end of ``test`` on the good kernels, and not on the bad ones. Each
    kernel that is told right counts the same; what accepts all or rejects all tells none apart. ``believes`` has, of a
    misconception, the invariant that follows from it: whoever accepts the same kernels shows it.

    >>> check_invariant("C.pipe != new", "child-reads-parent-secret", good=("v5.8", "v5.9"), bad=("v5.7",)).score
    1.0
    """
    test = load(test) if isinstance(test, str) else test
    if not isinstance(text, str) or not text.strip():
        return Advice(("An invariant is text: an expression about the final state, such as `P.x == new`.",))
    end = test.text.rindex(re.findall(r"^\s*~?\s*(?:exists|forall)\b", test.text, re.MULTILINE)[-1])

    def tried(claim: str) -> dict[str, Any]:
        asked = parse(f"{test.text[:end]}\nforall {' '.join(claim.split())}", "your invariant")
        return {name: judge(asked, kernel(name)) for name in (*good, *bad)}

    try:
        verdicts = tried(text)
    except LitmusError as e:
        return Advice((f"Not an expression yet: {e.what}" + (f"; {e.remedy}" if e.remedy else ""),))
    accepts = {name: v.passes for name, v in verdicts.items()}
    says = {name: [f.trace for f in v.finals if not f.satisfies] for name, v in verdicts.items()}
    advice = _told_apart(accepts, good, bad, lambda name: next(iter(says[name]), verdicts[name].finals[0].trace))
    shows = (m for m, claim in (believes or {}).items() if accepts == {n: v.passes for n, v in tried(claim).items()})
    return advice if advice.ok else replace(advice, believes=tuple(shows))


def check_predicate(
    values: Sequence[bool] | Callable[[Any], bool], accept: Sequence[Any], reject: Sequence[Any]
) -> Advice:
    """A predicate that is true of ``accept`` and false of ``reject``. The grader hands in what it returned in the
    isolated process, for all of ``[*accept, *reject]`` in order (``call`` in the metadata is to say so); in a notebook
    the function itself may be handed in, and is called here."""
    cases = [*accept, *reject]
    if callable(values):
        values = [bool(values(case)) for case in cases]
    right_shape = isinstance(values, list | tuple) and len(values) == len(cases)
    if not right_shape or not all(isinstance(v, bool) for v in values):
        return Advice((f"A predicate says True or False of each of the {len(cases)} cases.",))
    names = [f"case {n}" for n in range(1, len(cases) + 1)]
    accepts = dict(zip(names, values, strict=True))
    return _told_apart(accepts, names[: len(accept)], names[len(accept) :], lambda name: None)


def _told_apart(accepts: Mapping[str, bool], good: Sequence[str], bad: Sequence[str], trace) -> Advice:
    right = [name for name in good if accepts[name]] + [name for name in bad if not accepts[name]]
    if len(set(accepts.values())) == 1:
        what = "accepts" if accepts[good[0]] else "rejects"
        return Advice((f"It {what} everything, and so tells nothing apart.",), 0.0, trace(bad[0]))
    said = [f"{len(right)} of {len(accepts)} told right."]
    wrong = next((name for name in (*good, *bad) if name not in right), None)
    if wrong is None:
        return Advice(tuple(said), 1.0)
    said.append(f"It {'accepts' if accepts[wrong] else 'rejects'} {wrong}. Here is an execution to judge by eye.")
    return Advice(tuple(said), len(right) / len(accepts), trace(wrong), (), 2)


# For the grader


def marks(advice: Advice) -> dict[str, Any]:
    """Advice as plain data."""
    t = advice.trace
    schedule = t and t.steps and {
        "test": t.name, "kernel": t.kernel.name, "order": " ".join(m.action.proc for m in t.moments[1:]),
        "steps": t.steps, "text": t.text()[:TRACE],
    }  # fmt: skip
    lost = advice.score < 1
    return {
        "score": float(advice.score), "said": list(advice.said), "believes": list(advice.believes) if lost else [],
        "hint": advice.hint if lost else 0, "schedule": schedule or None if lost else None,
    }  # fmt: skip
