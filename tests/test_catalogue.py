"""The catalogue of litmus tests against what is known of real kernels.

EXPECTED comes from the facts: recorded outcomes (cowlab/data), the kernel's own selftest, and rules read in
kernel source. It is never changed to please the model: where they disagree, one of the two has a bug to find.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import chain, pairwise, takewhile
from typing import NamedTuple

import pytest

from cowlab import litmus
from cowlab.litmus.parse import parse_init, parse_steps
from cowlab.litmus.run import frame_of
from cowlab.mm import KERNELS, Action, kernel

ROWS = ("v5.7", "v5.8", "v5.9", "v5.10", "v5.18", "v5.19", "v6.1", "v6.12", "v6.18")
WORDS = {"N": "Never", "S": "Sometimes", "A": "Always"}

# Test -> one letter a row, in the order of ROWS; ? where no fact decides. Behind it: where the truth comes from.
#
# hand, probe, observations: the data files, with the ids of the deciding lines. hand and observations measured
# 5.4.0, 5.8.18, 5.10.223, 5.18.12, 6.1.192, 6.12.101 and 6.18.44, and probe 5.6.4, 5.8.1, 5.9.1 and 6.12; v5.9
# and v5.19 were otherwise seen on 5.9.1 and 5.19.0 by hand, outside the data. selftest: the kernel's own
# selftests/mm/cow.c, run on the seven. "all schedules": the data hold every order of the test, so that nothing is
# concluded. Orders that nobody recorded, and rows marked "rule", follow from the kernel function that is named:
#   reuse_swap_page()      to v5.8: a sole mapper reuses the page, references do not count
#   page_count             v5.9: only the sole reference reuses it (09854ba94c6a)
#   exclusive              v5.19: an exclusive page is reused; else page_count (6c287605fd56)
#   force break            v5.8: a lookup with FOLL_GET or FOLL_PIN writes first in a COW mapping (17839856fd)
#   unshare                v5.19: a read pin of a page that is not exclusive unshares (a7f226604170)
#   early copy             v5.9: fork copies a pinned page for the child (70e806e4e645)
EXPECTED = {
    "a-crowd-of-four": "SNNNNNNNN",  # rule: reuse_swap_page(), force break, page_count; hand S1, S3-thenPwrites
    "after-exec-nothing-to-take": "AAAAAAAAA",  # rule: execve() leaves no mapping, __get_user_pages() says EFAULT
    "both-pin-both-in-sync": "NANNNAAAA",  # probe S13d; the rows between: force break, page_count, unshare
    "both-take-both-in-sync": "NANNNNNNN",  # probe S13; observations e0229, e0234, e0462, r0627: 5 of 6 schedules
    "broken-cow-is-shared-by-the-next-fork": "SSNNNNNNN",  # rule: as hand S5c-before, one generation down
    "child-reads-parent-secret": "SNNNNNNNN",  # hand S1; selftest "vmsplice() + unmap in child"
    "copy-after-mprotect-and-back": "AAAAAAAAA",  # selftest "Basic COW ... mprotect() optimization", pass on all
    "debugger-write-takes-over": "SNNNNNNNN",  # hand S20-child
    "device-data-reaches-the-child": "AAAAAAAAA",  # hand S5 and probe S5b: after P's write the held page is C's
    "device-data-reaches-the-parent": "NNAAAAAAA",  # hand S12-read
    "dontfork-keeps-the-buffer": "AAAAAAAAA",  # hand S21-uring
    "either-way-holder-keeps-its-page": "SANNNNNNN",  # hand S2-thenCwrites, S3-thenPwrites (values tell the frame)
    "either-way-other-takes-the-page": "SNNNNNNNN",  # hand S2-thenCwrites, S3-thenPwrites (values tell the frame)
    "fallback-finds-a-lone-owner": "AANNNAAAA",  # probe S11c (5.6.4, 5.8.1, 5.9.1, 6.12); hand S14; 5.19: mprotect
    "fallback-in-a-shared-mapping": "AAAAAAAAA",  # rule: should_force_cow_break() is false, do_wp_page() is not asked
    "fast-only-never-faults": "AAAAAAAAA",  # probe S11b for the fast-only one; a write lookup always breaks COW
    "fast-only-still-leaks": "SSNNNNNNN",  # probe S1b
    "fast-read-follows-its-process": "SANNNNNNN",  # hand S5d-after (child alive), probe S11e (child gone)
    "file-page-copied-for-a-reader": "ANAAAAAAA",  # hand S18-vmsplice (writable), probe S14b (read-only)
    "file-page-holder-misses-the-write": "NANNNNNNN",  # hand S9
    "file-page-is-never-taken-over": "NNNNNNNNN",  # rule: do_wp_page() reuses anonymous pages only
    "file-page-under-a-longterm-pin": "NANNNNNAA",  # probe S9e (5.6.4, 5.8.1, 5.9.1, 6.12); 84209e87c696 is v6.2
    "first-writer-copies": "AAAAAAAAA",  # hand S11a; selftest "Basic COW after fork()", pass on all
    "fixed-buffer-lost-after-mprotect": "AANNNAAAA",  # hand S12-mprotect; selftest "R/O-mapping ...": p p - F F - p p p
    "fixed-buffer-refused-too-late": "AA?NNNNNN",  # hand S12-file; nobody looked on 5.9
    "fixed-buffer-survives-fork": "SSAAAAAAA",  # hand S12-PthenC, S12-Cfirst: all schedules; probe S12, S12b; selftest
    "force-needs-a-private-mapping": "AAAAAAAAA",  # rule: check_vma_flags(); probe S14c for the forced one
    "forced-write-breaks-cow": "AAAAAAAAA",  # probe S14c
    "get-breaks-cow": "NANNNNNNN",  # hand S16-vmsplice; probe S1, S1c, S1e
    "grandchild-reads-the-secret": "SNNNNNNNN",  # rule: as hand S1 once the one between has exited
    "no-notifier-wrong-side": "SSNNNNNNN",  # probe S3b and S13b: fast-only is as before the fix on 5.8.1
    "only-the-pinned-page-is-copied-at-fork": "NNAAAAAAA",  # probe S5d for the pinned page, S20 for the other
    "own-copy-stays-read-only": "NANNNNNNN",  # probe S14: frames and entries after the lookup
    "own-copy-writable-after-mprotect": "NANNNNNNN",  # rule: force break, page_count, exclusive (no FOLL_PIN)
    "page-follows-another-process": "SNNNNNNNN",  # hand S1: the holder is on P's frame; the rest is its contents
    "parent-reads-child-secret": "SNNNNNNNN",  # hand S5c-after; selftest FAIL on 5.4.0 alone
    "perf-answer-goes-stale": "SSSSSSSSS",  # probe S7 (the order that copies), hand S11b (the one that does not)
    "perf-breaks-nothing": "AAAAAAAAA",  # probe S7: after the lookup both entries still show one frame
    "perf-finds-no-zero-page": "AAAAAAAAA",  # probe S7z
    "pin-breaks-cow": "NANNNAAAA",  # probe S1d; the rows between: force break, unshare
    "pin-kept-when-the-child-exits": "SSAAAAAAA",  # probe S6d (child first), S5d (parent first)
    "read-only-mapping-leaks-too": "SNNNNNNNN",  # probe S14; the rows between: page_count
    "read-pin-follows-its-process": "SANNNAAAA",  # probe S2d, S3d; the rows between: page_count, unshare
    "reference-before-fork-leaks": "SSNNNNNNN",  # hand S5b-Pfirst, S5b-Cfirst, probe S5, S5c: all schedules
    "reference-before-fork-unmapped-after": "SSNNNNNNN",  # hand S5c-before; selftest FAIL on 5.4.0 and 5.8.18 alone
    "reference-lost-after-mprotect": "AANNNAAAA",  # hand S14-after; 5.9.1 and 5.19.0 by vmsplice(); probe S24
    "reference-lost-when-the-child-exits": "SSNNNNNNN",  # hand S6-exit, S5-exit: all schedules
    "released-pin-is-shared-again": "AAAAAAAAA",  # probe S12c
    "second-writer-reuses": "AAAAAAAAA",  # hand S11b; probe S20
    "shared-page-changes-under-a-pin": "AAAAAAAAA",  # probe S10d
    "shared-page-changes-under-the-holder": "SSSSSSSSS",  # hand S10-fork, probe S10: the held value follows P's write
    "takeover-after-dontneed": "SNNNNNNNN",  # observations r0053; zap_pte_range() as for munmap
    "takeover-after-exec": "SNNNNNNNN",  # rule: exec_mmap() as for exit, hand S1-exit
    "takeover-after-exit": "SNNNNNNNN",  # hand S1-exit
    "takeover-after-munmap": "SNNNNNNNN",  # hand S1; selftest "vmsplice() + unmap in child"
    "takeover-after-own-write": "SNNNNNNNN",  # hand S3-thenPwrites, S2-thenCwrites
    "takeover-with-mprotect-and-back": "SNNNNNNNN",  # hand S1-mprotect; selftest, FAIL on 5.4.0 alone
    "two-pages-two-secrets": "SNNNNNNNN",  # hand S1, twice: pages are independent
    "userptr-looks-up-again": "AAAAAAAAA",  # rule: dup_mmap() notifies; a write lookup breaks COW
    "userptr-read-only-never-wrong": "AAAAAAAAA",  # rule: wp_page_copy() notifies, reuse does not move the page
    "userptr-read-only-stays-bound": "SSNNNAAAA",  # rule: probe S3b as for fast-only, S3d as for the pin of v5.9, v5.19
    "zero-page-holder-misses-the-write": "NANNNNNNN",  # hand S8
    "zero-page-stays-shared": "ANAAAAAAA",  # hand S17-vmsplice, S8-read
    "zero-page-under-a-longterm-pin": "NANNNNNAA",  # probe S8e (5.6.4, 5.8.1, 5.9.1, 6.12); 8d6a0ac09a16 is v6.2
    "zygote-exits-and-shields-no-more": "SNNNNNNNN",  # rule: hand S1, once the third mapper is gone
    "zygote-shields-its-children": "NNNNNNNNN",  # rule: mapcount and page_count are 2 or more when App writes
}

# Claims of the commit that no test can show with what the engine knows so far, and why.
NOT_YET = {
    5: "memory pressure: needs `reclaim`",
    14: "FOLL_BREAK_COW is a road not taken: needs a kernel row of its own",
    16: "a flag for callers is a road not taken: needs a kernel row of its own",
    17: "says how small the change is: compare the rows v5.7 and v5.8 of KERNELS",
    19: "says whose problem it is: no kernel can answer that",
}


@cache
def test_of(name: str) -> litmus.Test:
    return litmus.load(name)


test_of.__test__ = False


@cache
def verdict(name: str, row: str) -> litmus.Verdict:
    return litmus.judge(test_of(name), kernel(row))


every_test = pytest.mark.parametrize("name", sorted(litmus.catalogue()))


def test_the_table_is_complete():
    """Every test of the catalogue has a row here, every row a test, and the letters stand for kernels that exist."""
    assert set(EXPECTED) == set(litmus.catalogue())
    assert len(EXPECTED) >= 24
    assert set(ROWS) <= set(KERNELS)
    assert all(re.fullmatch(f"[NSA?]{{{len(ROWS)}}}", letters) for letters in EXPECTED.values())


@every_test
def test_a_test_is_named_after_its_file_and_says_what_it_shows(name):
    """A file holds the test of its name, in kebab-case, described in two to four sentences with a claim or a source."""
    t = test_of(name)
    assert t.name == name
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", name)
    if name != "child-reads-parent-secret":  # the example of the format, which is kept as it is
        assert re.search(r"\bClaims? C\d|\bSource: ", t.description)
        assert len(re.findall(r"[.?:](?= |$)", t.description)) >= 2
        assert len(t.description) < 600


@every_test
def test_the_model_agrees_with_the_facts(name):
    """On every kernel the verdict of the model is the one that real kernels, or their source, give."""
    facts, wanted = EXPECTED[name], {row: verdict(name, row).verdict[0] for row in ROWS}
    model = "".join("?" if fact == "?" else wanted[row] for row, fact in zip(ROWS, facts, strict=True))
    differ = [row for row, m, f in zip(ROWS, model, facts, strict=True) if m != f]
    assert model == facts, "\n\n".join(str(verdict(name, row)) for row in differ)


@every_test
def test_counts_add_up(name):
    """Every execution ends in exactly one final, and counts as positive or negative. No step of the catalogue can
    keep a process from finishing its column on one kernel alone, so all kernels have as many executions."""
    for row in ROWS:
        v = verdict(name, row)
        assert sum(f.count for f in v.finals) == v.executions == v.positive + v.negative
        assert all(f.count > 0 for f in v.finals)
        assert v.executions == verdict(name, ROWS[0]).executions


@pytest.mark.parametrize("claim", range(1, 21))
def test_every_claim_is_shown_or_excused(claim):
    """Each of the claims C1 to C20 is cited by a test, or stands in NOT_YET with the reason; not both."""
    citing = [name for name in litmus.catalogue() if re.search(rf"\bC{claim}\b", test_of(name).description)]
    assert bool(citing) != (claim in NOT_YET), citing


def test_the_catalogue_tells_the_generations_apart():
    """The verdicts show at least the four behaviours that were measured, and each row differs from its parent's
    mechanism somewhere: v5.8, v5.9, v5.19 and v6.12 change a verdict."""
    columns = {
        row: "".join(letters[i] for letters in EXPECTED.values() if "?" not in letters) for i, row in enumerate(ROWS)
    }
    for older, newer in pairwise(ROWS):
        assert (columns[older] != columns[newer]) == (newer in ("v5.8", "v5.9", "v5.19", "v6.12")), newer


def test_sources_exist():
    """Every scenario of hand.jsonl or probe.jsonl that a description names is in that file."""
    known = {file: {line["id"] for line in lines(file)} for file in ("hand.jsonl", "probe.jsonl")}
    for name in litmus.catalogue():
        for file, cited in re.findall(r"(\w+\.jsonl) ((?:S\d[\w-]*(?:, | and )?)+)", test_of(name).description):
            assert set(re.split(", | and ", cited)) - {""} <= known[file], name


# -- Recorded executions ---------------------------------------------------------------------------------


class Line(NamedTuple):
    """One recorded execution: what ran, and how it ended on each release. Of probe.jsonl every beginning counts."""

    id: str
    first: str
    pages: dict[str, tuple[str | None, frozenset[str]]]
    steps: tuple[Action, ...]
    ends: tuple[tuple[str, dict, dict, dict], ...]  # (release, values, frames, frames at the start)


class Record(NamedTuple):
    """A recorded execution that is a schedule of a test, in the test's own names."""

    id: str
    order: tuple[str, ...]
    row: str
    values: dict[str, str]
    frames: dict[str, object]  # what stands behind the pages (and, from probe.jsonl, behind references)
    initial: dict[str, object]  # init.PAGE


@cache
def lines(file: str) -> tuple[dict, ...]:
    return tuple(map(json.loads, files("cowlab").joinpath("data", file).read_text().splitlines()))


@cache
def recorded_lines() -> tuple[Line, ...]:
    """All lines of the data files whose steps the engine knows."""
    data = ("hand", "observations", "probe")
    return tuple(chain.from_iterable(_read(f, line) for f in data for line in lines(f"{f}.jsonl")))


def _read(file: str, line: dict) -> Iterator[Line]:
    known = list(takewhile(lambda text: not text.startswith(("kswapd", "ksmd")), line["steps"]))
    try:
        first, pages = parse_init(line["init"])
        steps = parse_steps(known, first, pages)
    except litmus.LitmusError:  # huge pages and other things of a later version
        return
    if file != "probe":
        mapped = [p for p, (value, attributes) in pages.items() if value and "file" not in attributes]
        start = {f"{first}.{p}": number for number, p in enumerate(mapped)}
        ends = [
            (release, o["values"], o["frames"], start)
            for o in line["observed"] for release in o["kernels"] if release not in line["unstable"]
        ]  # fmt: skip
        if len(known) == len(line["steps"]):
            yield Line(line["id"], first, pages, steps, tuple(ends))
        return
    after = [_moment(moment) for moment in line["after"]]
    begun = [(0, pages)]
    (page, (value, attributes)), *others = pages.items()
    if value is None and not others and steps[0].op == "write":  # the probe writes the first value as a step
        begun = [(1, {page: (steps[0].arg, attributes)})]
        if [(a.op, a.arg) for a in steps[1:2]] == [("mprotect", "ro")]:
            begun.append((2, {page: (steps[0].arg, attributes | {"ro"})}))
    for before, there in begun:
        start = after[before - 1][1] if before else {}
        for n in range(before, len(steps)):
            yield Line(line["id"], first, there, steps[before : n + 1], ((line["kernel"], *after[n], start),))


def _moment(after: dict) -> tuple[dict[str, str], dict[str, str]]:
    """(values, frames) as an observation has them."""
    present = {n: e for n, e in after["ptes"].items() if isinstance(e, dict) and "frame" in e} | after["held"]
    return {n: e["value"] for n, e in present.items()}, {n: e["frame"] for n, e in present.items()}


def rename(test: litmus.Test, line: Line) -> tuple[tuple[str, ...], dict[str, str], dict[str, str]] | None:
    """If the steps of this line are a schedule of the test: (order, its names -> the test's, its values -> the
    test's); else None. Pages that no step touches are left out."""
    used = {a.page for a in line.steps if a.page}
    pages = {p: v for p, v in line.pages.items() if p in used or len(line.pages) == len(test.pages)}
    if len(line.steps) != sum(map(len, test.columns.values())) or len(pages) != len(test.pages):
        return None
    names, values = {line.first: test.processes[0]}, {"zero": "zero", "0": "zero"}
    for (mine, (value, attributes)), (theirs, wanted) in zip(pages.items(), test.pages.items(), strict=True):
        if (value is None, attributes) != (wanted[0] is None, wanted[1]):
            return None
        names[mine] = theirs
        values |= {} if value is None else {value: wanted[0]}
    at, order = dict.fromkeys(test.columns, 0), []
    for a in line.steps:
        proc = names[a.proc]
        if at.get(proc, 0) >= len(test.columns.get(proc, ())):
            return None
        wanted = test.columns[proc][at[proc]]
        if _shape(a) != _shape(wanted) or names.get(a.page, "") != wanted.page:
            return None
        at[proc] += 1
        order.append(proc)
        known = values if a.op in ("write", "store") else names if a.op == "fork" else {a.arg: a.arg}
        if known.setdefault(a.arg, wanted.arg) != wanted.arg:
            return None
        if a.ref and names.setdefault(f"{a.proc}.{a.ref}", f"{proc}.{wanted.ref}") != f"{proc}.{wanted.ref}":
            return None
    distinct = len(set(values.values())) == len(values) - 1  # "zero" and "0" are one value
    return (tuple(order), names, values) if distinct else None


def _shape(a: Action):
    """vmsplice() is get_user_pages_fast() for reading."""
    return "gup_fast" if a.op == "vmsplice" else a.op, a.options, bool(a.ref), bool(a.reg)


@cache
def recorded(name: str) -> tuple[Record, ...]:
    """Every recorded execution that is a schedule of this test."""
    found, test = [], test_of(name)
    for line in recorded_lines():
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
            found.append(Record(line.id, order, kernel(release).name, translated, ours(frames), initial))
    return tuple(found)


def agrees(final: litmus.Final, record: Record) -> bool:
    """Same values; the same names share a frame, and the same still have the initial one; as far as the record
    goes, except that a page with a value and no frame has none."""
    trace = final.trace
    start = {n.replace(trace.final.procs[0].name, "init"): f for n, f in frame_of(trace.moments[0].state).items()}
    model = trace.frames | {n: trace.numbers[f] for n, f in start.items()}
    recorded = record.frames | record.initial
    if any(trace.values.get(n) != value for n, value in record.values.items()) or not recorded.keys() <= model.keys():
        return False
    pages = {n for n in record.values if n.partition(".")[2] in trace.final.pages}
    if any(n in model and n not in recorded for n in pages):
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
        if len(held) == verdict(name, row).executions:
            assert letter == ("S" if len(seen) == 2 else "A" if True in seen else "N"), (row, held)


def test_records_reach_far():
    """The two tests above are not empty: 30 tests of the catalogue ran on real kernels in some order, and 10 of
    them in every order on at least four kernels."""
    ran = [name for name in EXPECTED if recorded(name)]
    complete = [
        name for name in EXPECTED
        if sum(len(held) == verdict(name, row).executions for row, held in outcomes(name).items()) >= 4
    ]  # fmt: skip
    assert len(ran) >= 30, sorted(set(EXPECTED) - set(ran))
    assert len(complete) >= 10, complete
