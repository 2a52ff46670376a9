"""What real kernels did, replayed on the model: every recorded execution, compared value by value.

A line of an observation file is an outcome (``observed``), a probe from inside the kernel after every step
(``after``), or neither (then it is only run). Formats: the README's section on observations.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ..mm import FREED, KERNELS, PINNED, ZERO_PAGE, Pte, Swp, kernel
from .errors import LitmusError
from .parse import parse_init, parse_steps
from .run import Moment, Trace
from .shared import Runs

__all__ = ["Pair", "Report", "each", "replay", "shipped"]

UNSEEN = ("vmsplice", "io_uring")  # the probe sees no reference that sits in a pipe or a ring
BIAS = {"5.6.4": 1}  # before v5.7 a FOLL_PIN added one to the reference count, like a FOLL_GET


@dataclass
class Report:
    """What came of a replay; counts are of (observation, kernel) pairs, ``observations`` of lines."""

    observations: int = 0
    judged: int = 0
    mismatches: list[dict[str, Any]] = field(default_factory=list)
    unsupported: list[dict[str, str]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        out = {
            "observations": self.observations, "judged": self.judged,
            "mismatches": self.mismatches, "unsupported": self.unsupported,
        }  # fmt: skip
        return out | ({"runs": self.runs} if self.runs else {})

    def __str__(self) -> str:
        lines = [
            f"{m['id']} {m['kernel']} step {m['step']} {m['key']}: observed {m['observed']}, predicted {m['predicted']}"
            for m in self.mismatches
        ]
        for r in self.runs:
            lines.append(f"{r['id']} {r['kernel']}: {r['values']} frames {r['frames']} copies {r['copies']}")
        reasons: dict[str, int] = {}
        for u in self.unsupported:
            reasons[u["reason"]] = reasons.get(u["reason"], 0) + 1
        lines += [f"unsupported: {n} ({reason})" for reason, n in sorted(reasons.items())]
        mismatched = len({(m["id"], m["kernel"]) for m in self.mismatches})
        return "\n".join([*lines, f"{self.observations} observations, {self.judged} judged, {mismatched} mismatches"])


def shipped() -> list[Path]:
    """The observation files that come with cowlab."""
    return sorted(Path(__file__).parent.parent.joinpath("data").glob("*.jsonl"))


def replay(paths: Iterable[str | Path], kernels: Iterable[str] = (), watch: Callable = iter) -> Report:
    """Replay every line of the files. ``kernels`` (releases or rows) narrows it down; a name that nothing
    answers to raises ValueError. A malformed line raises LitmusError with its number. The lines pass through
    ``watch``, a progress bar, say."""
    report = Report()
    for line, name, pairs in watch(each(paths, kernels)):
        report.observations += 1
        for p in pairs:
            if p.reason:
                report.unsupported.append({"id": name, "kernel": p.kernel, "reason": p.reason})
            elif not _judges(line):
                report.runs.append(_run_json(name, p.trace))
            else:
                report.judged += 1
                keys = ("id", "kernel", "step", "key", "observed", "predicted")
                report.mismatches += [dict(zip(keys, (name, p.kernel, *d), strict=True)) for d in p.differences]
    return report


class Pair(NamedTuple):
    """One line on one kernel (a release; a row, where the line is only run). ``reason``: why it judges nothing.
    ``differences``: (step, key, observed, predicted), none where model and kernel agree."""

    kernel: str
    trace: Trace | None
    reason: str = ""
    differences: tuple[tuple, ...] = ()


def each(paths: Iterable[str | Path], kernels: Iterable[str] = ()) -> Iterator[tuple[dict, str, list[Pair]]]:
    """Every line of the files, in order: (the line, its name, what came of it on each kernel). Raises as
    :func:`replay` does."""
    wanted = tuple(kernels)
    for name in wanted:
        kernel(name)
    count, replaying = 0, _Replaying(wanted)
    for path in paths:
        for number, text, line in _lines(path):
            count += 1
            name = str(line.get("id", f"line {count}"))
            try:
                pairs = list(replaying.pairs(line, name))
            except LitmusError as e:
                raise _malformed(path, number, text, e.what, e.remedy) from None
            except (KeyError, TypeError, AttributeError, IndexError, ValueError) as e:
                what = f"{type(e).__name__} {e}" if not isinstance(e, KeyError) else f"the key {e} is missing"
                raise _malformed(path, number, text, f"malformed observation: {what}", "") from None
            yield line, name, pairs


def _lines(path: str | Path) -> Iterator[tuple[int, str, dict]]:
    try:
        data = Path(path).read_bytes()
    except OSError as e:
        error = LitmusError(f"cannot be read: {e.strerror}", "give the path of a .jsonl file")
        error.file = str(path)
        raise error from None
    for number, raw in enumerate(data.split(b"\n"), 1):
        if not raw.strip():
            continue
        text = raw.decode("utf-8", "replace")
        try:
            line = json.loads(text)
        except ValueError as e:
            column = getattr(e, "colno", 1)
            raise _malformed(
                path, number, text, f"not JSON: {getattr(e, 'msg', e)}", "one object a line", column
            ) from None
        if (
            not isinstance(line, dict)
            or not isinstance(line.get("init"), list)
            or not isinstance(line.get("steps"), list)
        ):
            raise _malformed(path, number, text, "no observation", "an object with the lists `init` and `steps`")
        yield number, text, line


def _malformed(path, number: int, text: str, what: str, remedy: str, column: int = 1) -> LitmusError:
    return LitmusError(what, remedy).at(str(path), number, column, text)


def _judges(line: dict) -> bool:
    return "after" in line or "observed" in line


class _Replaying:
    """One line after the other, on the wanted kernels. Lines that begin with the same machine share what runs
    alike; what was shared is forgotten every few thousand lines, so that memory does not grow with the file."""

    REMEMBERED = 5000  # lines

    def __init__(self, wanted: tuple[str, ...]):
        self.wanted = wanted
        self.row = cache(kernel)
        self.runs: dict[tuple[str, ...], Runs] = {}
        self.lines = 0

    def pairs(self, line: dict, name: str) -> Iterator[Pair]:
        outside, trace = _unwritten(line), None
        self.lines += 1
        if self.lines % self.REMEMBERED == 0:
            self.runs.clear()
        if not outside:
            init = tuple(line["init"])
            if init not in self.runs:
                self.runs[init] = Runs(*parse_init(line["init"]))
            runs = self.runs[init]
            actions = parse_steps(line["steps"], runs.first, runs.pages)
            taken = _reclaimed_of(actions, line["after"]) if "after" in line else {}
            steps = [taken.get(n, a) for n, a in enumerate(actions)]

            @cache
            def trace(row):
                return runs.trace(row, steps, name)

        if not _judges(line):
            for row in dict.fromkeys(self.row(w) for w in self.wanted or KERNELS):
                yield Pair(row.name, None, outside) if outside else Pair(row.name, trace(row))
            return
        silent = {*line.get("unstable", ()), *line.get("skipped", ())}
        inside = "after" in line
        for releases, outcome in (
            [([line["kernel"]], line)] if inside else [(o["kernels"], o) for o in line["observed"]]
        ):
            found: dict[tuple, tuple] = {}  # kernels that go through the same states differ in the same way
            for release in releases:
                if release in silent or not self.wants(release):
                    continue
                try:
                    row, reason = self.row(release), outside
                except ValueError:
                    reason = f"no row stands for the release {release}"
                if reason:
                    yield Pair(release, None, reason)
                    continue
                t = trace(row)
                states = tuple([id(m.state) for m in t.moments])
                if states not in found:
                    seen = _probe(t, actions, line["after"], release) if inside else _outcome(t, outcome)
                    found[states] = tuple(seen)
                yield Pair(release, t, "", found[states])

    def wants(self, release: str) -> bool:
        if not self.wanted or release in self.wanted:
            return True
        try:
            return self.row(release).name in self.wanted
        except ValueError:
            return False


def _unwritten(line: dict) -> str:
    """A value seen in a page although no step put it there: the record has lost a step, and judges nothing."""
    words = {w for text in (*line["init"], *line["steps"]) for w in text.split()} | {"0", "zero"}
    for after in line.get("after", ()):
        for pte in after["ptes"].values():
            if isinstance(pte, dict) and "value" in pte and pte["value"] not in words:
                return f"the record shows the value {pte['value']}, which none of its steps wrote"
    return ""


def _reclaimed_of(actions, after: list[dict]) -> dict[int, Any]:
    """The in-kernel probe reclaims one frame. Where processes have different frames at the page, the record
    shows whose it was: step number -> the action that says so."""
    out = {}
    for n, (a, seen) in enumerate(zip(actions, after, strict=False)):
        if a.op == "reclaim":
            at = {k.partition(".")[0]: v for k, v in seen["ptes"].items() if k.partition(".")[2] == a.page}
            swapped = [proc for proc, v in at.items() if isinstance(v, dict) and "swap" in v]
            if swapped and any(isinstance(v, dict) and "frame" in v for v in at.values()):
                out[n] = a._replace(arg=swapped[0])
    return out


def _run_json(name: str, t: Trace) -> dict[str, Any]:
    steps = [
        {
            "step": str(m.action),
            "why": "; ".join(map(str, m.why)),
            "frames": replace(t, moments=t.moments[: n + 1]).frames,
        }
        for n, m in enumerate(t.moments)
        if m.action
    ]
    return {
        "id": name,
        "kernel": t.kernel.name,
        "values": t.values,
        "frames": t.frames,
        "copies": t.copies,
        "trace": steps,
    }


def _outcome(t: Trace, outcome: dict) -> Iterator[tuple]:
    """Final values, and the frame numbers of pages: a mapped page without a number has no frame."""
    last = len(t.moments) - 1
    for key in sorted({*t.values, *outcome["values"]}):
        if t.values.get(key) != outcome["values"].get(key):
            yield last, f"values.{key}", outcome["values"].get(key), t.values.get(key)
    if "frames" not in outcome:
        return
    given = outcome["frames"]
    reclaimed = any(m.action and m.action.op == "reclaim" for m in t.moments)
    unnumbered = reclaimed and not any(isinstance(n, int) for n in given.values())  # then compare what is given
    pages = {f"{p.name}.{page}" for p in t.final.procs for page in t.final.pages}
    predicted = {name: n for name, n in t.frames.items() if name in pages}
    for key in sorted(given if unnumbered else {*predicted, *given}):
        if predicted.get(key) != given.get(key):
            yield last, f"frames.{key}", given.get(key), predicted.get(key)


def _probe(t: Trace, actions, after: list[dict], release: str) -> Iterator[tuple]:
    """Page tables, counts, held references and results after every step. Letters stand for frames: equal
    letters are equal frames, within a step and from step to step while the frame lives."""
    letters: dict[str, int] = {}
    unseen, emptied = {(a.proc, a.ref) for a in actions if a.op in UNSEEN}, set()
    if len(after) != len(actions):
        raise ValueError(f"{len(after)} entries in `after` for {len(actions)} steps")
    for step, (action, seen) in enumerate(zip(actions, after, strict=True), 1):
        moment = t.moments[min(step, len(t.moments) - 1)]
        skip = seen.get("not_judged", ())
        s = moment.state
        if action.op == "load" and s.ref(action.proc, action.ref):
            emptied |= {(action.proc, action.ref)} & unseen  # the probe's load is read(2), which empties the pipe
        letters = {letter: f for letter, f in letters.items() if s.frames[f] is not FREED}
        found = _seen(moment, action, unseen, BIAS.get(release, PINNED))
        for group in ("ptes", "held", "counts", "result"):
            if group not in seen or group in skip:
                continue
            observed = seen[group]
            if group == "result":
                if observed.startswith("reclaimed="):
                    continue
                if observed != found["result"]:
                    yield step, "result", observed, found["result"]
                continue
            for key in sorted(observed):
                if group == "counts":
                    frame = letters.get(key)
                    gone = sum(s.ref(*r).frame == frame for r in emptied)
                    predicted = None if frame is None else found["counts"](frame, gone)
                else:
                    predicted = found[group].get(key)
                yield from _compare(step, f"{group}.{key}", observed[key], predicted, letters, skip)
            if group != "counts":
                for key in sorted(set(found[group]) - set(observed)):
                    yield step, f"{group}.{key}", None, _plain(found[group][key])


def _seen(moment: Moment, action, unseen, bias: int) -> dict[str, Any]:
    s = moment.state
    ptes: dict[str, Any] = {}
    for p in s.procs:
        for page, t in zip(s.pages, p.mm.ptes if p.mm else (), strict=False):
            frame = s.frames[t.frame] if isinstance(t, Pte) else None
            if isinstance(t, Swp):
                ptes[f"{p.name}.{page}"] = {"swap": True, "exclusive": t.exclusive}
                continue
            ptes[f"{p.name}.{page}"] = t and {
                "frame": t.frame, "writable": t.write, "dirty": t.dirty, "exclusive": frame.exclusive,
                "file": not frame.anon and t.frame != ZERO_PAGE, "value": frame.value,
                "huge": t.huge, "ksm": frame.ksm, "swapcache": s.slot_of(t.frame) is not None,
            }  # fmt: skip
    held = {
        f"{r.proc}.{r.name}": {"frame": r.frame, "value": s.frames[r.frame].value}
        for r in s.refs
        if r.frame is not None and (r.proc, r.name) not in unseen
    }
    result = "0" if moment.result == "zero" else moment.result
    return {
        "ptes": ptes, "held": held, "result": result,
        "counts": lambda f, gone: {"refcount": s.refcount(f, bias) - gone, "mapcount": s.mapcount(f)},
    }  # fmt: skip


def _compare(
    step: int, key: str, observed: Any, predicted: Any, letters: dict[str, int], skip: Iterable[str]
) -> Iterator[tuple]:
    if not isinstance(observed, dict) or not isinstance(predicted, dict):
        if (None if observed == "none" else observed) != predicted:
            yield step, key, observed, _plain(predicted)
        return
    for name, value in predicted.items():
        got = observed.get(name, False)
        if name == "frame":
            if got == "Z":
                same = value == ZERO_PAGE
            else:
                same = letters.setdefault(got, value) == value and list(letters.values()).count(value) == 1
        elif name == "value":
            same = ("zero" if got == "0" else got) == value
        else:
            same = got == value
        if not same and name not in skip:
            yield step, f"{key}.{name}", got, value


def _plain(predicted: Any) -> Any:
    return "none" if predicted is None else predicted
