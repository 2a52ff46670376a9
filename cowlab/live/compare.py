"""The live outcome of a schedule, held against every outcome that the model allows for it.

A page may sit in a per-CPU LRU batch, whose reference nobody sees; so one schedule may end in several ways.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ..litmus.run import Moment, Trace, ready
from ..mm import ZERO_PAGE, Action, Kernel, Pte, Ref, State, Swp, boot, replace, step
from .runs import Outcome, Pages

__all__ = ["AGAIN", "KNOWN", "Difference", "allowed", "bits_of", "differences", "explained", "judge_outcome", "passing"]


class Difference(NamedTuple):
    """One thing that the live kernel and the model disagree on, after ``step`` steps."""

    step: int
    key: str
    live: object
    model: object

    def __str__(self) -> str:
        return f"after step {self.step}, {self.key}: live {self.live}, model {self.model}"


LRU = "(lru_activate)"  # who holds a hidden reference of the second kind


def allowed(kernel: Kernel, first: str, pages: Pages, actions: Iterable[Action], hidden: bool = True) -> list[Trace]:
    """Every execution of this one schedule. ``moments[n]`` is the machine after n steps; a step of a dead process
    leaves it as it was. With ``hidden`` the kernel may, before any step, drain its LRU batches, which hold new pages
    (the model's own hidden references) and pages that were looked up more than once: mark_page_accessed() puts such
    a page on its way to the active list, and wp_can_reuse_anon_folio() does not drain for it, as it is on the LRU.
    """
    start = boot(kernel, first, pages, hidden)
    ways = {start: {(): (Moment(None, start),)}}
    looks: dict[int, set[int]] = {}
    for n, a in enumerate(actions):
        onward: dict[State, dict[tuple[int, ...], tuple[Moment, ...]]] = {}
        for here, histories in ways.items():
            for s in dict.fromkeys((here, _drained(here))) if hidden else (here,):
                moment = Moment(a, *step(s, kernel, a)) if ready(s, a.proc, {}) else Moment(a, s)
                for state in _activated(moment, n, looks) if hidden else (moment.state,):
                    for order, moments in histories.items():
                        seen = _seen(state, order)
                        onward.setdefault(state, {}).setdefault(seen, (*moments, moment._replace(state=state)))
        ways = onward
    traces = (moments for histories in ways.values() for moments in histories.values())
    return [Trace(kernel, (*m[:-1], m[-1]._replace(state=_without(m[-1].state)))) for m in traces]


def _drained(s: State) -> State:
    """lru_add_drain(): no batch holds anything."""
    return _without(s.drained())


def _without(s: State) -> State:
    refs = tuple(r for r in s.refs if r.proc != LRU)
    return s if refs == s.refs else replace(s, refs=refs).swept()


def _activated(moment: Moment, n: int, looks: dict[int, set[int]]) -> list[State]:
    """The states that step ``n`` may leave: where it looked up an anonymous page for the second time, a batch may
    hold that page now. ``looks`` has the steps that looked a frame up, in any execution of the schedule."""
    s, a = moment.state, moment.action
    if not any(w.did == "takes the page" for w in moment.why) or s.proc(a.proc).mm is None:
        return [s]
    pte = s.at(a.proc, s.pages.index(a.page))[1]
    if not isinstance(pte, Pte) or not s.frames[pte.frame].anon:
        return [s]
    looks.setdefault(pte.frame, set()).add(n)
    held = any(r.proc == LRU and r.frame == pte.frame for r in s.refs)
    if len(looks[pte.frame]) < 2 or held:
        return [s]
    return [s, s.with_ref(Ref(LRU, f"f{pte.frame}", s.pages.index(a.page), pte.frame))]


def _seen(s: State, before: tuple[int, ...]) -> tuple[int, ...]:
    """The frames in the order in which they appeared in a live mapping."""
    entries = (t.frame for p in s.procs if p.mm for t in p.mm.ptes if isinstance(t, Pte))
    return tuple(dict.fromkeys((*before, *(f for f in entries if f != ZERO_PAGE))))


def bits_of(s: State) -> dict[str, dict[str, bool]]:
    """What pagemap would show of the state. Left out: ``exclusive`` of huge pages, whose parts are counted by rules of
    their own, and of the zero pages; and ``file`` of the huge zero page (to pagemap it is no anonymous page)."""
    found = {}
    for p in s.procs:
        for page, t in zip(s.pages, p.mm.ptes if p.mm else (), strict=False):
            bits = {"present": isinstance(t, Pte), "swapped": isinstance(t, Swp)}
            frame = s.frames[t.frame] if isinstance(t, Pte) and t.frame != ZERO_PAGE else None
            if frame:
                bits["file"] = not frame.anon
            if frame and not frame.huge:
                bits["exclusive"] = s.mapcount(t.frame) == 1
            found[f"{p.name}.{page}"] = bits
    return found


def differences(live: Outcome, model: Trace) -> list[Difference]:
    """Values, frame numbers and pagemap bits, as far as they were seen. Where a page may have been in swap the numbers
    of the frames say nothing (a freed one may come back under its old number): then, who shares one with whom."""
    last, found = len(model.moments) - 1, []
    for name in sorted({*live.values, *model.values}):
        if live.values.get(name) != model.values.get(name):
            found.append(Difference(last, f"values.{name}", live.values.get(name), model.values.get(name)))
    if live.looks:
        pages = {f"{p.name}.{page}" for p in model.final.procs for page in model.final.pages}
        seen, predicted = live.looks[-1], {name: n for name, n in model.frames.items() if name in pages}
        if live.frames is None:
            seen, predicted = _shared(seen), _shared(predicted)
        for name in sorted({*seen, *predicted}):
            if seen.get(name) != predicted.get(name):
                found.append(Difference(last, f"frames.{name}", seen.get(name), predicted.get(name)))
    for n, (seen, moment) in enumerate(zip(live.bits, model.moments, strict=False)):
        for name, bits in bits_of(moment.state).items():
            for bit, value in bits.items():
                if name in seen and seen[name][bit] != value:
                    found.append(Difference(n, f"{name} {bit}", seen[name][bit], value))
    return found


def _shared(frames: dict[str, int | str]) -> dict[str, str]:
    """Every name with those that share its frame."""
    return {n: " ".join(m for m in sorted(frames) if frames[m] == f) if isinstance(f, int) else f
            for n, f in frames.items()}  # fmt: skip


KNOWN = (
    "a large folio that three mm's have mapped: from v6.15 on it keeps account of two "
    '(folio_add_return_large_mapcount(), include/linux/rmap.h), and stays "maybe mapped shared" when the third is '
    "left alone with it; the model counts all of them"
)


def explained(model: Trace) -> str:
    """Why the model is known to err on this execution; empty if it is not."""

    def mappers(s: State, frame: int) -> set[str]:
        tails = {p.name for p in s.procs if p.mm and frame in p.mm.tails}
        return tails | {proc for proc, _, _ in s.entries(frame)}

    states = [m.state for m in model.moments]
    crowded = any(f.huge and len(mappers(s, i)) > 2 for s in states for i, f in enumerate(s.frames))
    return KNOWN if crowded else ""


AGAIN = 4  # more runs of a schedule that ended as the model does not allow


def passing(differs: Callable[[], bool]) -> bool:
    """Whether that does not come back in AGAIN more runs. The kernel's own threads hold a reference to any page for a
    moment (damon_get_folio(), isolate_migratepages_block()), and a writer that meets one copies. So we infer; nobody
    saw the thread. It is rare, and it is told, but it is not taken for the rule of this kernel."""
    return not any(differs() for _ in range(AGAIN))


def judge_outcome(live: Outcome, ways: Sequence[Trace]) -> tuple[Trace, list[Difference]]:
    """The allowed execution that comes nearest, and what still differs from it: nothing, if the model allows this."""
    return min(((t, differences(live, t)) for t in ways), key=lambda pair: len(pair[1]))
