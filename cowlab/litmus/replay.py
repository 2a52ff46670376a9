"""What real kernels did, replayed on the model: every recorded execution, compared value by value.

A line of an observation file is an outcome (``observed``), a probe from inside the kernel after every step
(``after``), or neither (then it is only run). Formats: the README's section on observations.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..mm import FREED, KERNELS, PINNED, ZERO_PAGE, Kernel, Pte, Swp, boot, kernel
from .errors import LitmusError
from .parse import parse_init, parse_steps
from .run import Moment, Trace, run_actions

__all__ = ["Report", "replay", "shipped"]

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


def replay(paths: Iterable[str | Path], kernels: Iterable[str] = ()) -> Report:
    """Replay every line of the files. ``kernels`` (releases or rows) narrows it down; a name that nothing
    answers to raises ValueError. A malformed line raises LitmusError with its number."""
    wanted = tuple(kernels)
    for name in wanted:
        kernel(name)
    report = Report()
    for path in paths:
        for number, text, line in _lines(path):
            report.observations += 1
            try:
                _one(line, wanted, report)
            except LitmusError as e:
                raise _malformed(path, number, text, e.what, e.remedy) from None
            except (KeyError, TypeError, AttributeError, IndexError, ValueError) as e:
                what = f"{type(e).__name__} {e}" if not isinstance(e, KeyError) else f"the key {e} is missing"
                raise _malformed(path, number, text, f"malformed observation: {what}", "") from None
    return report


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


def _one(line: dict, wanted: tuple[str, ...], report: Report) -> None:
    name = str(line.get("id", f"line {report.observations}"))
    if "after" in line:
        outcomes = [([line["kernel"]], line["after"])]
    else:
        outcomes = [(o["kernels"], o) for o in line.get("observed", ())]
    only_run = "after" not in line and "observed" not in line
    outside = _unwritten(line)
    actions: tuple = ()
    if not outside:
        first, pages = parse_init(line["init"])
        actions = parse_steps(line["steps"], first, pages)
    if only_run:
        for row in dict.fromkeys(kernel(w) for w in wanted or KERNELS):
            if outside:
                report.unsupported.append({"id": name, "kernel": row.name, "reason": outside})
            else:
                report.runs.append(_run_json(name, _trace(row, first, pages, actions, name)))
        return
    silent = {*line.get("unstable", ()), *line.get("skipped", ())}
    traces: dict[Kernel, Trace] = {}
    for releases, outcome in outcomes:
        for release in releases:
            if release in silent or not _wanted(release, wanted):
                continue
            try:
                row, reason = kernel(release), outside
            except ValueError:
                row, reason = None, f"no row stands for the release {release}"
            if reason:
                report.unsupported.append({"id": name, "kernel": release, "reason": reason})
                continue
            if row not in traces:
                taken = _reclaimed_of(actions, line["after"]) if "after" in line else {}
                traces[row] = _trace(row, first, pages, [taken.get(n, a) for n, a in enumerate(actions)], name)
            report.judged += 1
            differences = (
                _probe(traces[row], actions, outcome, release) if "after" in line else _outcome(traces[row], outcome)
            )
            for step, key, observed, predicted in differences:
                report.mismatches.append(
                    {
                        "id": name,
                        "kernel": release,
                        "step": step,
                        "key": key,
                        "observed": observed,
                        "predicted": predicted,
                    }
                )


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


def _wanted(release: str, wanted: tuple[str, ...]) -> bool:
    if not wanted or release in wanted:
        return True
    try:
        return kernel(release).name in wanted
    except ValueError:
        return False


def _trace(row: Kernel, first: str, pages, actions, name: str) -> Trace:
    return run_actions(boot(row, first, pages), row, actions, name)


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
