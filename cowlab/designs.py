"""The design space: every combination of the rules for copy-on-write, judged and priced.

    >>> from cowlab import designs, kernel
    >>> fixed = designs.assess(kernel("v5.8"))
    >>> fixed.fails["isolation"]  # what one process can still learn of another
    ('broken-cow-is-shared-by-the-next-fork', 'fast-only-leaks-after-own-write', 'fast-only-still-leaks', \
'reference-before-fork-leaks', 'reference-before-fork-unmapped-after')
    >>> fixed.copies["shell"], fixed.zeros["vmsplice"]
    (6, 4)

A design is a :class:`cowlab.mm.Kernel`: a row like those of history. ``POLICY`` lists the questions that designs
answer differently, ``enumerate_designs()`` every combination of answers that any row gives, ``assess(row)`` judges one
row (history's or a learner's own) on ``TESTS`` and prices it on ``WORKLOADS``, ``table()`` does so for all, and
``pareto(rows)`` keeps those that no other row beats. `cowlab designs` prints the table behind lesson 09.

A test of isolation asks whether a process can see what another one writes, one of coherence whether a reference shows
its own process's writes; a regression is a verdict of v5.7 that a fix has changed for the worse. The price of a
workload is the pages that the kernel fills: copies, and pages of zeros where the zero page would have done.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, NamedTuple

from . import litmus
from .litmus.parse import parse_init, parse_steps
from .litmus.rules import word
from .litmus.run import run_actions
from .litmus.shared import Asked
from .litmus.verdict import verdict_alone
from .mm import KERNELS, ROADS, Kernel, boot, fault, fork, gup, replace, step

__all__ = [
    "POLICY", "TESTS", "WORKLOADS", "Assessment", "add_parser", "assess", "enumerate_designs", "history", "pareto",
    "table",
]  # fmt: skip

AS_IS = {"force_cow_break": gup.take_as_is, "follow_write": gup.after_forced_cow}
BREAK = {"force_cow_break": gup.break_cow, "follow_write": gup.after_cow}
FLAG = {"force_cow_break": gup.break_cow_by_flag, "follow_write": gup.after_cow}
SPARE = {"force_cow_break": gup.break_cow_by_flag, "follow_write": gup.after_cow_or_zero}
ASK = {"force_cow_break": gup.break_cow_if_asked, "follow_write": gup.after_cow}

# Question -> {answer: fields}. What a lookup breaks decides what it may follow afterwards, and a rule that asks
# for PageAnonExclusive needs the bit kept: such fields go with their answers.
POLICY: dict[str, dict[str, dict[str, Any]]] = {
    "reuse": {
        word(rule): {"reuse": rule, "reuse_ksm": ksm}
        for rule, ksm in (
            (fault.sole_mapper, fault.sole_ksm_reference),
            (fault.sole_reference, fault.never_reuse_ksm),
            (fault.sole_reference_but_swap_cache, fault.never_reuse_ksm),
            (fault.exclusive_or_sole_reference, fault.never_reuse_ksm),
        )
    },
    "slow lookup": {
        "take_as_is": AS_IS, "break_cow": BREAK, "break_cow_by_flag": FLAG, "break_but_zero_page": SPARE,
        "break_cow_if_asked": ASK,
    },
    "fast lookup": {
        word(rule): {"fast_walk": rule} for rule in (gup.any_present, gup.only_writable, gup.only_writable_if_asked)
    },
    "fork": {
        word(rule): {"fork_copies": rule}
        for rule in (
            fork.share, fork.copy_if_maybe_pinned, fork.copy_if_maybe_pinned_anon, fork.copy_exclusive_if_maybe_pinned
        )
    },
    "swap-in": {
        word(rule): {"swap_in": rule}
        for rule in (
            fault.sole_swap_user, fault.sole_swap_reference, fault.exclusive_or_sole_swap_reference,
            fault.writable_if_exclusive,
        )
    },
    "unshare": {
        word(rule): {"must_unshare": rule}
        for rule in (gup.never_unshare, gup.unshare_if_pinned, gup.unshare_if_pinned_longterm)
    },
}  # fmt: skip
NEEDS_EXCLUSIVE = {
    "exclusive_or_sole_reference", "copy_exclusive_if_maybe_pinned", "exclusive_or_sole_swap_reference",
    "writable_if_exclusive", "unshare_if_pinned", "unshare_if_pinned_longterm",
}  # fmt: skip

# Kind -> {test of the catalogue: the verdict that is wanted}
TESTS: dict[str, dict[str, str]] = {
    "isolation": dict.fromkeys(
        (
            "broken-cow-is-shared-by-the-next-fork", "child-reads-parent-secret", "debugger-write-takes-over",
            "fast-only-leaks-after-own-write", "fast-only-still-leaks", "grandchild-reads-the-secret",
            "own-write-drops-the-swap-entry", "pageout-before-fork-leaks", "pageout-of-the-victim-leaks",
            "parent-reads-child-secret", "pinned-page-taken-over", "pinned-page-taken-over-in-swap",
            "read-only-mapping-leaks-too", "reference-before-fork-leaks", "reference-before-fork-unmapped-after",
            "swapped-page-read-by-the-holder", "takeover-after-dontneed", "takeover-after-exec", "takeover-after-exit",
            "takeover-after-own-write", "takeover-of-a-swap-entry", "two-pages-two-secrets",
            "zygote-exits-and-shields-no-more",
        ),
        "Never",
    ),
    "coherence": dict.fromkeys(
        (
            "both-pin-both-in-sync", "both-take-both-in-sync", "cow-selftest-read-only-pin-exclusive",
            "cow-selftest-read-only-pin-once-shared", "cow-selftest-read-only-pin-shared",
            "device-data-reaches-the-parent", "fast-read-follows-its-process", "file-page-under-a-longterm-pin",
            "fixed-buffer-lost-after-mprotect", "fixed-buffer-survives-fork", "pin-kept-when-the-child-exits",
            "rdma-survives-fork", "read-pin-follows-its-process", "reference-after-swap-in",
            "reference-kept-through-swap", "reference-lost-after-mprotect", "reference-lost-when-the-child-exits",
            "zero-page-under-a-longterm-pin",
        ),
        "Always",
    ),
    "regression": dict.fromkeys(
        (
            "break-survives-dontneed", "breakpoint-copies-the-text-page", "file-change-missed-after-a-lookup",
            "file-page-copied-for-a-reader", "file-page-holder-sees-the-file", "forced-write-leaves-a-reference",
            "futex-on-a-read-only-file-mapping", "kvm-read-fault-allocates", "lookup-of-a-tracked-page",
            "peek-at-zeros-and-at-a-file", "swapped-in-page-copied-for-nothing", "unsharing-is-no-write",
            "zero-page-stays-shared",
        ),
        "Always",
    )
    | dict.fromkeys(
        ("debugger-peek-changes-its-target", "monitor-waits-for-itself", "peek-at-a-write-protected-page"), "Never"
    ),
}  # fmt: skip


class Workload(NamedTuple):
    """One execution, by one program that is usual, and what is priced in it."""

    about: str
    init: tuple[str, ...]
    steps: tuple[str, ...]


def _times(n: int, *steps: str) -> tuple[str, ...]:
    return tuple(step.replace("#", str(i)) for i in range(n) for step in steps)


WORKLOADS = {
    "shell": Workload(
        "fork and exec, three times, the parent writing before and after; then memory pressure, a look and a write",
        ("P: x = 1", "P: y = 1"),
        (*_times(3, "P: fork C#", "P: write x 2", "C#: write y 2", "C#: exec", "P: write y 3"),
         *_times(2, "kswapd: reclaim x", "P: read x", "P: write x 4")),
    ),
    "database": Workload(
        "a child writes a snapshot of a hot and a cold page out with O_DIRECT while the parent goes on; twice",
        ("P: hot = 1", "P: cold = 1"),
        _times(2, "P: fork C#", "C#: odirect cold -> a", "C#: odirect hot -> b", "P: write hot 2", "C#: put a",
               "C#: put b", "C#: exit", "P: write hot 3", "P: write cold 3"),
    ),
    "vmsplice": Workload(
        "vmsplice() of memory never written, which is the zero page; the pipe is read and filled again",
        ("P: x untouched", "P: y untouched"),
        ("P: read x", "P: read y", *_times(2, "P: vmsplice x -> a#", "P: vmsplice y -> b#", "P: put a#", "P: put b#",
                                           "P: madvise x dontneed", "P: madvise y dontneed", "P: read x", "P: read y")),
    ),
    "rdma": Workload(
        "a registered region, and a process that runs two helpers by fork and exec before it writes there",
        ("P: x = 1",),
        ("P: rdma x -> mr", *_times(2, "P: fork C#", "C#: exec"), "P: write x 2"),
    ),
    "userptr": Workload(
        "a GPU that reads a mapped file and a buffer; a fork revokes the buffer, which is looked up again and written",
        ("P: texture = 1 file", "P: buffer = 1"),
        ("P: userptr texture -> t ro", *_times(2, "P: userptr buffer -> a# ro", "P: fork C#",
                                               "P: userptr buffer -> b# ro", "P: write buffer 2", "C#: exit",
                                               "P: write buffer 3", "P: put a#", "P: put b#")),
    ),
}  # fmt: skip
# What designs do not answer is answered as on v5.7, and callers ask as they do today: some for pins
OTHERWISE = replace(
    KERNELS["v5.7"],
    **{caller: getattr(KERNELS["v6.18"], caller) for caller in ("userptr", "odirect", "rdma_read_only")},
)


@dataclass(frozen=True)
class Assessment:
    """What a row is worth. ``fails``: kind -> the tests without the wanted verdict; ``copies`` and ``zeros``:
    workload -> pages copied, pages of zeros filled; ``like``: the rows of history with the same answers."""

    kernel: Kernel
    fails: dict[str, tuple[str, ...]]
    copies: dict[str, int]
    zeros: dict[str, int]
    like: tuple[str, ...] = ()

    @property
    def answers(self) -> dict[str, str]:
        """Question -> the row's answer."""
        return answers(self.kernel)

    @property
    def columns(self) -> tuple[int, ...]:
        """What is compared, less being better: tests that fail, of each kind; pages filled, by each workload."""
        return (*(len(f) for f in self.fails.values()), *(self.copies[w] + self.zeros[w] for w in WORKLOADS))

    def beats(self, other: "Assessment") -> bool:
        """Nowhere worse, and somewhere better."""
        mine, yours = self.columns, other.columns
        return mine != yours and all(a <= b for a, b in zip(mine, yours, strict=True))

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.kernel.name, "answers": self.answers, "like": list(self.like),
            "fails": {kind: list(names) for kind, names in self.fails.items()},
            "copies": self.copies, "zeros": self.zeros,
        }  # fmt: skip


def answers(row: Kernel) -> dict[str, str]:
    """Question -> the answer of a row, in a word; the rule's own name where no design gives that answer."""
    found = {}
    for question, options in POLICY.items():
        first = next(iter(next(iter(options.values()))))  # the field that the question is about
        rule = getattr(row, first)
        named = [a for a, fields in options.items() if fields[first] == rule]
        if question == "slow lookup" and len(named) > 1:  # two answers that differ in what may be followed
            named = [a for a in named if options[a]["follow_write"] == row.follow_write] or named
        found[question] = named[0] if named else word(rule)
    return found


def enumerate_designs() -> list[Kernel]:
    """Every combination of answers, as rows that differ from ``OTHERWISE`` in these. Named d0001, ..."""
    found = []
    for choice in product(*(options.items() for options in POLICY.values())):
        changes: dict[str, Any] = {"exclusive": any(answer in NEEDS_EXCLUSIVE for answer, _ in choice)}
        for _, fields in choice:
            changes |= fields
        about = ", ".join(answer for answer, _ in choice)
        found.append(replace(OTHERWISE, name=f"d{len(found) + 1:04}", about=about, commits=(), aliases=(), **changes))
    return found


@cache
def history() -> dict[tuple[str, ...], tuple[str, ...]]:
    """Answers -> the rows of history, and the roads not taken, that give them."""
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for name, row in (KERNELS | ROADS).items():
        key = tuple(answers(row).values())
        found[key] = (*found.get(key, ()), name)
    return found


def assess(row: Kernel) -> Assessment:
    """Judge and price one row: one of history, one of ``enumerate_designs()``, or a learner's own."""
    fails = {
        kind: tuple(name for name, wanted in tests.items() if _verdict(name)(row) != wanted)
        for kind, tests in TESTS.items()
    }
    priced = {name: _price(name)(row) for name in WORKLOADS}
    like = history().get(tuple(answers(row).values()), ())
    return Assessment(row, fails, {n: p[0] for n, p in priced.items()}, {n: p[1] for n, p in priced.items()}, like)


def table(watch: Callable[[list[Kernel]], Iterable[Kernel]] = iter) -> list[Assessment]:
    """Every design, assessed. ``watch`` hands the rows on one by one, and may show how far it is."""
    return [assess(row) for row in watch(enumerate_designs())]


def pareto(rows: Iterable[Assessment]) -> list[Assessment]:
    """Those that no other row beats in ``columns``: of rows alike in all columns, the first."""
    first: dict[tuple[int, ...], Assessment] = {}
    for row in rows:
        first.setdefault(row.columns, row)
    return [row for row in first.values() if not any(other.beats(row) for other in first.values())]


class _Answered:
    """What ``run`` finds on a row, remembered by the answers that it asked for: two rows with the same answers to
    the same questions have the same outcome, and what is asked next depends on the answers so far alone."""

    def __init__(self, run: Callable[[Any], Any]):
        self.run, self.tree = run, {}

    def __call__(self, row: Kernel) -> Any:
        node = self.tree
        while "asks" in node:
            node = node["then"].setdefault(getattr(row, node["asks"]), {})
        if "found" not in node:
            asked = Asked(row)
            found, node = self.run(asked), self.tree
            for field, answer in asked.answers.items():
                node["asks"] = field
                node = node.setdefault("then", {}).setdefault(answer, {})
            node["found"] = found
        return node["found"]


@cache
def _verdict(name: str) -> _Answered:
    """Rows that differ somewhere share the steps in which they do not."""
    test, steps = litmus.load(name), {}

    def take(s, row, a):
        if (s, a) not in steps:
            steps[s, a] = _Answered(lambda row: step(s, row, a))
        return steps[s, a](row)

    return _Answered(lambda row: verdict_alone(test, row, take))


@cache
def _price(name: str) -> _Answered:
    """Copies, and pages of zeros filled where the zero page was mapped."""
    first, pages = parse_init(list(WORKLOADS[name].init))
    steps = parse_steps(list(WORKLOADS[name].steps), first, pages)

    def price(row):
        why = [w for m in run_actions(boot(row, first, pages), row, steps).moments for w in m.why]
        return sum(w.copied for w in why), sum(w.did.endswith("of zeros") for w in why)

    return _Answered(price)


# -- The command -------------------------------------------------------------------------------------------


def add_parser(commands):
    """Describe `cowlab designs` to argparse."""
    p = commands.add_parser(
        "designs",
        help="every design of copy-on-write, judged and priced",
        description="Every combination of the rules for reuse, lookups, fork, swap-in and unsharing: which tests of "
        "isolation, coherence and regression it fails, and how many pages it fills in each workload.",
    )
    p.add_argument("--json", action="store_true", help="print one JSON document, with every design in it")
    p.set_defaults(run=_run)
    return p


def _run(args) -> int:
    import json

    from .terminal import progress

    rows = table(lambda rows: progress(rows, len(rows), "designs"))
    past, front = [assess(row) for row in (KERNELS | ROADS).values()], pareto(rows)
    if args.json:
        about = {name: w._asdict() for name, w in WORKLOADS.items()}
        document = {
            "policy": {q: list(options) for q, options in POLICY.items()}, "tests": TESTS, "workloads": about,
            "history": [r.as_json() for r in past], "pareto": [r.kernel.name for r in front],
            "designs": [r.as_json() for r in rows],
        }  # fmt: skip
        print(json.dumps(document, indent=1))
    else:
        print(_text(rows, past, front))
    return 0


def _text(rows: list[Assessment], past: list[Assessment], front: list[Assessment]) -> str:
    columns = [*TESTS, *WORKLOADS]
    wide = max(len(r.kernel.name) for r in [*past, *rows])

    def line(r: Assessment, more: str = "") -> str:
        counts = "".join(f"{n:>{len(c) + 2}}" for c, n in zip(columns, r.columns, strict=True))
        return f"{r.kernel.name:<{wide}}{counts}{more}".rstrip()

    head = " " * wide + "".join(f"  {c}" for c in columns)
    alike: dict[tuple[int, ...], int] = {}
    for r in rows:
        alike[r.columns] = alike.get(r.columns, 0) + 1
    lines = [
        f"{len(rows):,} designs. Tests that fail, and pages filled by each workload (less is better):",
        "", "History, and the roads not taken, as they are:", head, *map(line, past),
        "", f"The {len(front)} that no other design beats:", head,
    ]  # fmt: skip
    for r in front:
        lines += [line(r, f"  {', '.join(r.like)}"), " " * wide + f"  {', '.join(r.answers.values())}"]
        if alike[r.columns] > 1:
            lines[-1] += f"; {alike[r.columns] - 1:,} more alike"
    best = [min(r.columns[i] for r in rows) for i in range(len(columns))]
    all_best = sum(list(r.columns) == best for r in rows)
    lines += ["", f"Designs that are best in every column: {all_best}."]
    return "\n".join(lines)
