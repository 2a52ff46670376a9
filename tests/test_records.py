"""The catalogue against recorded executions: two independent views of the same kernels must agree.

Where a real kernel ran a schedule of a test, the model's execution of that schedule ends as the kernel's did, and
the table EXPECTED says no more than what was seen. No fact is written down here: it is all in cowlab/data.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import NamedTuple

from test_catalogue import EXPECTED, ROWS, every_test, lines, test_of, verdict

from cowlab import litmus
from cowlab.litmus.parse import parse_init, parse_steps
from cowlab.litmus.run import frame_of
from cowlab.mm import Action, kernel

PAGEOUT = ("madvise", "pageout")


class Line(NamedTuple):
    """One recorded execution: what ran, and how it ended on each release. Of probe.jsonl every beginning counts."""

    id: str
    first: str
    pages: dict[str, tuple[str | None, frozenset[str]]]
    steps: tuple[Action, ...]
    ends: tuple[tuple[str, dict, dict, dict], ...]  # (release, values, frames, frames at the start)
    numbered: bool = True  # False: the line numbers no frames


class Record(NamedTuple):
    """A recorded execution that is a schedule of a test, in the test's own names."""

    id: str
    order: tuple[str, ...]
    row: str
    values: dict[str, str]
    frames: dict[str, object]  # what stands behind the pages (and, from probe.jsonl, behind references)
    initial: dict[str, object]  # init.PAGE
    numbered: bool


@cache
def recorded_lines() -> dict[tuple, list[Line]]:
    """All lines of the data files, by the shapes of their steps."""
    data = ("hand", "huge", "observations", "probe", "reclaim")
    found: dict[tuple, list[Line]] = {}
    for line in chain.from_iterable(_read(f, line) for f in data for line in lines(f"{f}.jsonl")):
        found.setdefault(_shapes(line.steps), []).append(line)
    return found


def _shapes(steps) -> tuple:
    return tuple(sorted(map(repr, map(_shape, steps))))


def _shape(a: Action):
    """vmsplice() is get_user_pages_fast() for reading; reclaim may be what MADV_PAGEOUT does. Into which register
    a value is read, if any, changes nothing."""
    if (a.op, a.arg) == PAGEOUT:
        return "reclaim", (), False
    return "gup_fast" if a.op == "vmsplice" else a.op, a.options, bool(a.ref)


def _read(file: str, line: dict) -> Iterator[Line]:
    first, pages = parse_init(line["init"])
    steps = parse_steps(line["steps"], first, pages)
    after = [_moment(moment) for moment in line.get("after", ())]
    numbered = any(isinstance(n, int) for o in line.get("observed", ()) for n in o["frames"].values())
    numbered |= "kswapd" not in {a.proc for a in steps}
    begun = [(0, pages)]
    (page, (value, attributes)), *others = pages.items()
    anonymous = not attributes & {"file", "shared", "ro"}
    if ((file == "probe" and value is None) or anonymous) and not others and steps[0].op == "write":
        begun.append((1, {page: (steps[0].arg, attributes)}))  # the first value may as well be written before
        if [(a.op, a.arg) for a in steps[1:2]] == [("mprotect", "ro")]:
            begun.append((2, {page: (steps[0].arg, attributes | {"ro"})}))
    for before, there in begun:
        mapped = [p for p, (value, attributes) in there.items() if value and "file" not in attributes]
        start = {f"{first}.{p}": number for number, p in enumerate(mapped)}
        if file != "probe":
            ends = [
                (release, o["values"], o["frames"], start)
                for o in line["observed"] for release in o["kernels"] if release not in line["unstable"]
            ]  # fmt: skip
            yield Line(line["id"], first, there, steps[before:], tuple(ends), numbered)
            continue
        start = after[before - 1][1] if before else {}
        for n in range(before, len(steps)):
            if _reclaims_one_of_several(steps[n], line["after"][n]):
                break
            if steps[n].op == "reclaim":  # a frame that nobody held may come back under its old letter
                start = {}
            yield Line(line["id"], first, there, steps[before : n + 1], ((line["kernel"], *after[n], start),))


def _moment(after: dict) -> tuple[dict[str, str], dict[str, str]]:
    """(values, frames) as an observation has them."""
    present = {n: e for n, e in after["ptes"].items() if isinstance(e, dict) and "frame" in e} | after["held"]
    return {n: e["value"] for n, e in present.items()}, {n: e["frame"] for n, e in present.items()}


def _reclaims_one_of_several(a: Action, after: dict) -> bool:
    """The probe reclaims one frame, a litmus test all that stand at the page."""
    there = [e for n, e in after["ptes"].items() if n.endswith(f".{a.page}") and isinstance(e, dict)]
    return a.op == "reclaim" and any("frame" in e for e in there) and any("swap" in e for e in there)


def rename(test: litmus.Test, line: Line) -> tuple[tuple[str, ...], dict[str, str], dict[str, str]] | None:
    """If the steps of this line are a schedule of the test: (order, its names -> the test's, its values -> the
    test's); else None. Pages that no step touches are left out."""
    used = {a.page for a in line.steps if a.page}
    pages = {p: v for p, v in line.pages.items() if p in used or len(line.pages) == len(test.pages)}
    if len(pages) != len(test.pages):
        return None
    names, values = {line.first: test.processes[0], "kswapd": "kswapd"}, {"zero": "zero", "0": "zero"}
    for (mine, (value, attributes)), (theirs, wanted) in zip(pages.items(), test.pages.items(), strict=True):
        if (value is None, attributes) != (wanted[0] is None, wanted[1]):
            return None
        names[mine] = theirs
        values |= {} if value is None else {value: wanted[0]}
    at, order = dict.fromkeys(test.columns, 0), []
    mapping = {names[line.first]}  # the processes that may map a page
    for a in line.steps:
        proc = names[a.proc]
        if proc == "kswapd" and proc not in test.columns and len(mapping) == 1:
            (proc,) = mapping  # nobody else maps the page, so MADV_PAGEOUT does the same
        if at.get(proc, 0) >= len(test.columns.get(proc, ())):
            return None
        wanted = test.columns[proc][at[proc]]
        if _shape(a) != _shape(wanted) or names.get(a.page, "") != wanted.page:
            return None
        at[proc] += 1
        order.append(proc)
        if a.op != "reclaim":
            known = values if a.op in ("write", "store", "filewrite") else names if a.op == "fork" else {a.arg: a.arg}
            if known.setdefault(a.arg, wanted.arg) != wanted.arg:
                return None
        if a.ref and names.setdefault(f"{a.proc}.{a.ref}", f"{proc}.{wanted.ref}") != f"{proc}.{wanted.ref}":
            return None
        if (
            a.reg
            and wanted.reg
            and names.setdefault(f"{a.proc}.{a.reg}", f"{proc}.{wanted.reg}") != f"{proc}.{wanted.reg}"
        ):
            return None
        mapping |= {wanted.arg} if a.op == "fork" else set()
        mapping -= {proc} if a.op in ("munmap", "exit", "exec") and len(test.pages) == 1 else set()
    distinct = len(set(values.values())) == len(values) - 1  # "zero" and "0" are one value
    return (tuple(order), names, values) if distinct else None


@cache
def recorded(name: str) -> tuple[Record, ...]:
    """Every recorded execution that is a schedule of this test."""
    found, test = [], test_of(name)
    for line in recorded_lines().get(_shapes(chain.from_iterable(test.columns.values())), ()):
        renaming = rename(test, line)
        if renaming is None:
            continue
        order, names, values = renaming

        def ours(entries, names=names):
            split = {n: n.partition(".")[::2] for n in entries}
            names = names | {n: f"{names[p]}.{names[page]}" for n, (p, page) in split.items() if page in names}
            return {names[n]: entries[n] for n in entries if n in names}

        for release, ended, frames, start in line.ends:
            initial = {f"init.{n.partition('.')[2]}": frame for n, frame in ours(start).items()}
            translated = {n: values.get(v, v) for n, v in ours(ended).items()}
            row = kernel(release).name
            found.append(Record(line.id, order, row, translated, ours(frames), initial, line.numbered))
    return tuple(found)


def agrees(final: litmus.Final, record: Record) -> bool:
    """Same values; the same names share a frame, and the same still have the initial one; as far as the record
    goes, except that a page with a value and no frame has none (if the line numbers frames at all)."""
    trace = final.trace
    start = {n.replace(trace.final.procs[0].name, "init"): f for n, f in frame_of(trace.moments[0].state).items()}
    model = trace.frames | {n: trace.numbers[f] for n, f in start.items()}
    recorded = record.frames | record.initial
    if any(trace.values.get(n) != value for n, value in record.values.items()) or not recorded.keys() <= model.keys():
        return False
    pages = {n for n in record.values if n.partition(".")[2] in trace.final.pages}
    if record.numbered and any(n in model and n not in recorded for n in pages):
        return False
    return all((model[a] == model[b]) == (recorded[a] == recorded[b]) for a in recorded for b in recorded)


@every_test
def test_recorded_executions_are_among_the_finals(name):
    """Two independent views agree: where a real kernel ran a schedule of this test, the model's execution of that
    schedule ends as the kernel's did, and that end is one of the finals of the verdict."""
    for r in recorded(name):
        one = litmus.judge(test_of(name), kernel(r.row), " ".join(r.order))
        assert agrees(one.finals[0], r), (r, str(one))
        assert any(agrees(f, r) and f.satisfies == one.finals[0].satisfies for f in verdict(name, r.row).finals), r


def decided(name: str, r: Record) -> bool | None:
    """Does the condition hold in this record? None where the record does not say."""
    condition = test_of(name).condition
    by_identity = {o.strip("()") for pair in re.findall(r"(\S+) isn?t? (\S+)", condition.text) for o in pair}
    by_value = set(re.findall(r"[A-Za-z_]\w*\.\w+", condition.text)) - by_identity
    frames = r.frames | r.initial
    known = by_identity <= frames.keys() and by_value <= r.values.keys()
    return condition.holds(r.values, frames) if known else None


@cache
def outcomes(name: str) -> dict[str, dict[tuple[str, ...], bool]]:
    """Row -> schedule -> whether the condition held, where the records say so."""
    found: dict[str, dict[tuple[str, ...], bool]] = {}
    for r in recorded(name):
        holds = decided(name, r)
        if holds is not None:
            assert found.setdefault(r.row, {}).setdefault(r.order, holds) == holds, f"two records differ: {r}"
    return found


@every_test
def test_the_table_agrees_with_the_records(name):
    """Without any model: where a condition can be read off recorded executions, Never means that none of them
    satisfied it and Always that all did; where every schedule was recorded, they give the verdict itself."""
    for row, held in outcomes(name).items():
        letter, seen = EXPECTED[name][ROWS.index(row)], set(held.values())
        assert not (letter == "N" and True in seen), (row, held)
        assert not (letter == "A" and False in seen), (row, held)
        if letter != "?" and len(held) == verdict(name, row).executions:
            assert letter == ("S" if len(seen) == 2 else "A" if True in seen else "N"), (row, held)


def test_records_reach_far():
    """The two tests above are not empty: many tests of the catalogue ran on real kernels in some order, and a
    third of those in every order on at least four kernels; with swap and with huge pages too."""
    ran = {name for name in EXPECTED if recorded(name)}
    complete = [
        name for name in EXPECTED
        if sum(len(held) == verdict(name, row).executions for row, held in outcomes(name).items()) >= 4
    ]  # fmt: skip
    assert len(ran) >= 70, sorted(set(EXPECTED) - ran)
    assert len(complete) >= 25, complete
    files = {name: {r.id[:2] for r in recorded(name)} for name in ran}
    assert sum(bool({"SW", "we", "w0"} & ids) for ids in files.values()) >= 10
    assert sum(bool({"hr", "he"} & ids) for ids in files.values()) >= 8
