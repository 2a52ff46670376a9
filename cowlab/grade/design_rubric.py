"""The rubric of whole designs: rows that are to keep sets of tests, tests that tell rows apart, and reports as tests.

As in :mod:`.rubric`: plain functions from plain data to :class:`Advice`; what is right is recomputed by the engine.

==========================  ==========================================================================
the answer is               the check is
==========================  ==========================================================================
a row for given verdicts    ``check_row({"reuse": "sole_reference"}, "v5.7", {"child-reads-…": "Never"})``
a design within a budget    ``check_design(changes, "v5.8", coherence=3, pages=12)``
a test that tells apart     ``check_separates(text, ("v5.9", "v5.10"), ("v5.19", "v6.1"))``
a report and its verdicts   ``check_report({"test": text, "verdicts": {…}}, ("io_uring", "fork"), {…})``
==========================  ==========================================================================
"""

from collections.abc import Mapping, Sequence
from typing import Any

from .. import designs
from ..course.check import Advice, listed
from ..litmus import LitmusError, Test, Trace, Verdict, catalogue, judge, load, parse
from ..mm import Kernel, kernel
from .rubric import _shape, row

__all__ = ["check_design", "check_report", "check_row", "check_separates", "within"]

# What somebody believes whose design leaves this test broken: it is the execution that refutes the belief.
SHOWS = {
    "child-reads-parent-secret": "M7",
    "reference-before-fork-leaks": "M12",
    "reference-lost-after-mprotect": "M13",
}
DESIGNED = SHOWS | {
    "zero-page-stays-shared": "M14",
    "file-page-copied-for-a-reader": "M14",
    "pin-kept-when-the-child-exits": "M8",
}


# Rows


def check_row(
    changes: Mapping[str, Any],
    base: str,
    wanted: Mapping[str, str],
    *,
    tests: Mapping[str, Test] | None = None,
    lean: bool = False,
    believes: Mapping[str, str] = SHOWS,
) -> Advice:
    """Fields of ``base`` changed so that each test has the wanted verdict. What counts is behaviour: of the verdicts
    that are not there yet, how many come out; less those that were, and are lost. With ``lean`` a row in which a
    change could be left out earns half. ``tests``: those of the names that the catalogue does not have. ``believes``:
    test -> the misconception of whoever gets it wrong.

    >>> check_row({"reuse": "sole_reference"}, "v5.7", {"child-reads-parent-secret": "Never"}).score
    1.0
    """
    mine, problem = _changed(changes, base)
    if problem:
        return problem
    asked = {name: (tests or {}).get(name) or load(name) for name in wanted}
    before, now = ({n: judge(t, k) for n, t in asked.items()} for k in (kernel(base), mine))
    missing = [n for n, verdict in wanted.items() if before[n].verdict != verdict]
    done = [n for n in missing if now[n].verdict == wanted[n]]
    lost = [n for n in wanted if n not in missing and now[n].verdict != wanted[n]]
    said = [f"{len(done)} of the {len(missing)} verdicts that are to change come out as they should."]
    if lost:
        said.append(f"{len(lost)} that should stay have changed too.")
    score = max(0, len(done) - len(lost)) / len(missing)
    if wrong := [n for n in wanted if now[n].verdict != wanted[n]]:
        said.append(f"{wrong[0]}: {now[wrong[0]].verdict} with your rules.")
        shows = tuple(dict.fromkeys(believes[n] for n in wrong if n in believes))
        return Advice(tuple(said), score, _trace(now[wrong[0]]), shows, 2 if score else 1)
    spare = lean and any(_keeps(changes, field, base, asked, wanted) for field in changes)
    if spare:
        said.append("But one of your changes makes no difference to any of these tests. Which one can go?")
        return Advice(tuple(said), 0.5, None, (), 3)
    return Advice(tuple(said), 1.0)


def _keeps(changes: Mapping[str, Any], field: str, base: str, asked: Mapping, wanted: Mapping[str, str]) -> bool:
    """Are all the wanted verdicts there without this change?"""
    rest = row(base, {f: rule for f, rule in changes.items() if f != field})
    return all(judge(asked[name], rest).verdict == verdict for name, verdict in wanted.items())


def _changed(changes: Mapping[str, Any], base: str) -> tuple[Kernel, None] | tuple[None, Advice]:
    """The row, or what is wrong with the answer."""
    if not isinstance(changes, Mapping):
        return None, Advice(("The answer is a dict: field -> rule.",))
    if not changes:
        return None, Advice((f"Nothing is changed yet: that is {base}.",))
    try:
        return row(base, changes), None
    except LitmusError as e:
        return None, Advice((str(e),))


def _trace(verdict: Verdict) -> Trace:
    """An execution that shows why the test does not pass; where none does, the witness or any."""
    bad = [f.trace for f in verdict.finals if f.satisfies != (verdict.test.condition.quantifier == "forall")]
    return bad[0] if bad else verdict.witness or verdict.finals[0].trace


# Designs


def check_design(
    changes: Mapping[str, Any],
    base: str,
    *,
    coherence: int,
    pages: int,
    regression: int = 0,
    also: Sequence[str] = (),
    workloads: Sequence[str] = tuple(designs.WORKLOADS),
    without: Sequence[str] = (),
) -> Advice:
    """A design: fields of ``base`` changed, assessed by :mod:`cowlab.designs`. A design that fails one test of
    isolation earns nothing. Else a quarter each for that, for at most ``coherence`` and ``regression`` failures, and
    for at most so many ``pages`` in these workloads. ``also`` are more tests that are to come out as on v5.7, counted
    as regressions; ``without``: rules that may not be used.

    >>> check_design({"reuse": "sole_reference"}, "v5.7", coherence=9, pages=11).score
    0.0
    """
    mine, problem = _changed(changes, base)
    if problem:
        return problem
    if used := sorted({str(rule) for rule in changes.values()} & set(without)):
        return Advice((f"`{used[0]}` may not be used here. Which other rule answers the same question?",), hint=1)
    found = designs.assess(mine)
    fails, filled = _counted(found, also, workloads)
    legal = {"coherence": coherence, "regression": regression}
    lost = fails["isolation"]  # of a design that leaks, the rest is not told
    failed = lost or tuple(n for names in fails.values() for n in names)
    believes = tuple(dict.fromkeys(DESIGNED[n] for n in failed if n in DESIGNED))
    if lost:
        said = (f"It leaks: {len(lost)} of {len(designs.TESTS['isolation'])} tests of isolation are lost. One is "
                f"{lost[0]}.", "A design that leaks earns nothing, whatever else it is good for.")  # fmt: skip
        return Advice(said, 0.0, _trace(judge(load(lost[0]), mine)), believes, 1)
    said, worst = ["isolation: every test kept."], None
    for kind, most in legal.items():
        names, good = fails[kind], len(fails[kind]) <= most
        example = "" if good else f", such as {names[0]}"
        said.append(f"{kind}: {len(names)} lost{example}; allowed {most}.")
        worst = worst or (None if good else names[-1])
    spent = [f"{w} {found.copies[w] + found.zeros[w]}" for w in workloads]
    said.append(f"pages: {filled} ({', '.join(spent)}); allowed {pages}.")
    score = (1 + sum(len(fails[kind]) <= most for kind, most in legal.items()) + (filled <= pages)) / 4
    trace = _trace(judge(load(worst), mine)) if worst else None
    return Advice(tuple(said), score, trace, believes, 3 if filled > pages else 2)


def within(
    found: designs.Assessment,
    *,
    coherence: int,
    pages: int,
    regression: int = 0,
    also: Sequence[str] = (),
    workloads: Sequence[str] = tuple(designs.WORKLOADS),
    without: Sequence[str] = (),
) -> bool:
    """Would this design earn all of :func:`check_design`? The limits are its."""
    if set(found.answers.values()) & set(without) or found.fails["isolation"]:
        return False
    if len(found.fails["coherence"]) > coherence or len(found.fails["regression"]) > regression:
        return False
    fails, filled = _counted(found, also, workloads)
    return filled <= pages and len(fails["regression"]) <= regression


def _counted(found: designs.Assessment, also: Sequence[str], workloads: Sequence[str]) -> tuple[dict, int]:
    """The tests that fail, of each kind, with those of ``also``; and the pages filled in these workloads."""
    fails, old = dict(found.fails), kernel("v5.7")
    fails["regression"] += tuple(n for n in also if judge(load(n), found.kernel).verdict != judge(load(n), old).verdict)
    return fails, sum(found.copies[w] + found.zeros[w] for w in workloads)


# Tests


def check_separates(
    text: str, one: Sequence[str], other: Sequence[str], steps: Sequence[str] = (), without: Sequence[str] = ()
) -> Advice:
    """A litmus test with one verdict on all kernels of ``one`` and another on all of ``other``. Half if it tells the
    first of each apart but is not the same within a group; half if it stands in the catalogue already. ``steps`` have
    to occur in it, and those of ``without`` must not.

    >>> check_separates(load("reference-lost-after-mprotect").text, ["v5.9"], ["v5.19"]).score
    0.5
    """
    test, problem = _parsed(text)
    if problem:
        return problem
    used = {a.op for program in test.columns.values() for a in program}
    found = {name: judge(test, kernel(name)) for name in (*one, *other)}
    a, b = found[one[0]], found[other[0]]
    if a.verdict == b.verdict:
        return Advice((f"It parses. {one[0]}: {a.verdict}, {other[0]}: {b.verdict}. So it tells them not apart.",
                       "Here is one of its executions. Which of the two kernels would do something else, and when?"),
                      0.0, b.finals[-1].trace, ("M12",) if _before_fork(test) else (), 1)  # fmt: skip
    if missing := [f"`{op}`" for op in steps if op not in used]:
        return Advice((f"Right: {one[0]}: {a.verdict}, {other[0]}: {b.verdict}.",
                       f"But {listed(missing, 'and')} should occur in it."), 0.5, None, (), 2)  # fmt: skip
    if barred := [f"`{op}`" for op in without if op in used]:
        return Advice((f"Right: {one[0]}: {a.verdict}, {other[0]}: {b.verdict}.",
                       f"But {listed(barred, 'and')} must not occur in it."), 0.5, None, (), 2)  # fmt: skip
    known = next((name for name in catalogue() if _shape(load(name)) == _shape(test)), None)
    if known:
        return Advice((f"Right: {one[0]}: {a.verdict}, {other[0]}: {b.verdict}.", f"But that is {known} of the "
                       "catalogue under other names. Find one of your own: with other steps."),
                      0.5, a.finals[0].trace, (), 3)  # fmt: skip
    odd = [n for group in (one, other) for n in group if found[n].verdict != found[group[0]].verdict]
    if odd:
        return Advice((f"Right so far: {one[0]}: {a.verdict}, {other[0]}: {b.verdict}.",
                       f"But {odd[0]}: {found[odd[0]].verdict}. So it is about something else that changed as well."),
                      0.5, found[odd[0]].finals[0].trace, ("M18",), 2)  # fmt: skip
    return Advice((f"Yes. {listed(one, 'and')}: {a.verdict}. {listed(other, 'and')}: {b.verdict}.",), 1.0)


def _parsed(text: str) -> tuple[Test, None] | tuple[None, Advice]:
    if not isinstance(text, str) or not text.strip():
        return None, Advice(("A litmus test is text. Start from one in the lesson.",))
    try:
        test = parse(text, "your test")
        judge(test, kernel("v5.7"))
        return test, None
    except LitmusError as e:
        return None, Advice((f"Not a litmus test yet: {e}",))


def _before_fork(test: Test) -> bool:
    """Does somebody take a reference and fork afterwards?"""
    for program in test.columns.values():
        taken = next((n for n, a in enumerate(program) if a.ref and a.page), len(program))
        if any(a.op == "fork" for a in program[taken:]):
            return True
    return False


def check_report(answer: Mapping[str, Any], steps: Sequence[str], seen: Mapping[str, str]) -> Advice:
    """A report as a litmus test, and the verdicts that its author expects. ``steps`` must occur in it, and ``seen`` is
    what the report itself says: kernel -> verdict. Half for a test that shows what was seen, and half for verdicts that
    are right for it on every kernel that the answer names, at least those of ``seen`` and one more."""
    if not isinstance(answer, Mapping) or set(answer) != {"test", "verdicts"}:
        return Advice(("The answer is a dict with 'test' and 'verdicts'.",))
    test, problem = _parsed(answer["test"])
    if problem:
        return problem
    used = {a.op for program in test.columns.values() for a in program}
    if missing := [f"`{op}`" for op in steps if op not in used]:
        return Advice((f"The report speaks of {listed(missing, 'and')} as well.",))
    found = {name: judge(test, kernel(name)) for name in seen}
    off = next((n for n, verdict in seen.items() if found[n].verdict != verdict), None)
    if off:
        said = f"It parses, and is about the right steps. On {off} it says {found[off].verdict}; the report does not."
        return Advice((said, "Step through this order. Is it one that the report speaks of?"), 0.0,
                      found[off].finals[0].trace, (), 2)  # fmt: skip
    said, given = ["The test shows what the report says."], answer["verdicts"]
    if not isinstance(given, Mapping) or not set(seen) < set(given):
        return Advice((*said, f"`verdicts` should name {listed(list(seen), 'and')} and at least one kernel more."), 0.5)
    try:
        wrong = [n for n, verdict in given.items() if judge(test, kernel(str(n))).verdict != verdict]
    except ValueError as e:
        return Advice((*said, str(e)), 0.5)
    if wrong:
        shows = _trace(judge(test, kernel(str(wrong[0]))))
        return Advice((*said, f"Your verdict for {wrong[0]} is not what the model finds."), 0.5, shows, ("M18",), 3)
    return Advice((*said, f"So are your verdicts on {listed([str(n) for n in given], 'and')}."), 1.0)
