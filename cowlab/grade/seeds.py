"""What a seed draws for an exercise, and the checks of what is drawn.

Every seed is another problem, and of one kind all are equally hard: what is drawn is a choice among problems that the
engine has measured (:mod:`.difficulty`), with the same number of moves, and with numbers of solutions at most a factor
of two apart. The rules are those of v5.7, and there is one page, x, which P has alone at the start.

>>> bits(0) == bits(0), len(bits(0))
(True, 5)
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import permutations
from random import Random

from ..course import table
from ..course.check import Advice, listed
from ..course.story import Story, believers, draw
from ..litmus import Moment, Trace, parse
from ..litmus.run import ready
from ..mm import Action, State, boot, kernel, step
from .rubric import check_choice, check_table

__all__ = [
    "Sheet", "bits", "cards", "check_bits", "check_cards", "check_counts", "check_family", "check_numbers",
    "check_programs", "counts", "family", "numbers", "programs", "solutions",
]  # fmt: skip

RULES = "v5.7"
FORKS = ("P: fork C", "P: fork D", "C: fork D")
DANCERS = (*FORKS, *(f"{p}: {does}" for does in ("read x", "write x mine", "munmap x", "exit") for p in "CD"))
HOLDERS = ("P: fork C", *(
    f"{p}: {does}" for p in "PC" for does in (
        "write x new", "munmap x", "vmsplice x -> pipe", "pin x -> card", "put pipe", "put card", "exit")
))  # fmt: skip


class Sheet(str):
    """Text that a notebook shows as it stands."""

    def __repr__(self) -> str:
        return str(self)


def _rng(seed: int) -> Random:
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"{seed!r} is no seed; give a whole number, 0 or more")
    return Random(seed)


# Moves written one by one, and what they lead to


@cache
def _action(text: str) -> Action:
    """One move as the engine takes it. Raises LitmusError."""
    who, _, does = text.partition(": ")
    before = [] if who == "P" else [f"P: fork {who}"]
    if does.startswith("put "):
        before.append(f"{who}: {'pin' if does == 'put card' else 'vmsplice'} x -> {does[4:]}")
    return parse(Story((*before, text)).text()).columns[who][-1]


@cache
def _start() -> State:
    test = parse(Story(("P: read x",)).text())
    return boot(kernel(RULES), test.processes[0], test.pages)


def _cannot(s: State, a: Action) -> str:
    """Why this move cannot be made now, or would be in vain; an empty string if it can."""
    if not ready(s, a.proc, {}):
        return f"{a.proc} is not there"
    if a.op == "fork" and any(p.name == a.arg for p in s.procs):
        return f"there was a process {a.arg} already"
    if a.page and s.at(a.proc, 0)[0] is None:
        return f"{a.proc} does not map x"
    held = any(r.proc == a.proc and r.name == a.ref for r in s.refs)
    if a.op == "put" and not held:
        return f"{a.proc} holds no {a.ref}"
    return f"{a.proc} has its {a.ref} already" if a.op != "put" and a.ref and held else ""


def lines(moves: str | Sequence[str]) -> list[str]:
    """Moves, from a text with one in each line or from a list of texts. Raises ValueError."""
    if isinstance(moves, str):
        moves = [line for line in moves[:4000].splitlines() if line.strip()]
    if not isinstance(moves, list | tuple) or not all(isinstance(m, str) for m in moves):
        raise ValueError("The answer is a text with one move in each line, such as `P: fork C`.")
    return [" ".join(text.split()) for text in moves[:40]]


def _play(moves: str | Sequence[str], allowed: Sequence[str]) -> Trace | str:
    """The execution; or why there is none."""
    try:
        moves = lines(moves)
    except ValueError as e:
        return str(e)
    done = [Moment(None, _start())]
    for n, words in enumerate(moves, 1):
        if words not in allowed:
            return (
                f"Move {n}, `{words[:40]}`, is none of those that may be made: {listed([f'`{a}`' for a in allowed])}."
            )
        if why := _cannot(done[-1].state, _action(words)):
            return f"Move {n}, `{words}`, cannot be made: {why}."
        done.append(Moment(_action(words), *step(done[-1].state, kernel(RULES), _action(words))))
    return Trace(kernel(RULES), tuple(done), "yours")


def solutions(allowed: Iterable[str], moves: int, seen: Callable[[tuple, State], tuple]) -> list[Counter]:
    """Of 1, 2, ... moves out of ``allowed``: what was ``seen`` along the way -> in how many ways. ``seen`` gets what
    it said before (at first an empty tuple) and the state after the move."""
    actions, now, found = [_action(a) for a in allowed], Counter({(_start(), ()): 1}), []
    for _ in range(moves):
        after, said = Counter(), Counter()
        for (s, before), ways in now.items():
            for a in actions:
                if not _cannot(s, a):
                    s2 = step(s, kernel(RULES), a).state
                    after[s2, seen(before, s2)] += ways
        for (_, what), ways in after.items():
            said[what] += ways
        now = after
        found.append(said)
    return found


# Exercise 01: the bits after four little programs


PROGRAMS = {  # how P's bit and C's bit are in the end -> programs, after "P: fork C"
    "a": (("C: fork D",), ("P: vmsplice x -> pipe", "C: read x"), ("C: fork D", "D: exit"), ("C: vmsplice x -> pipe",)),
    "b": (("C: vmsplice x -> pipe", "C: write x mine"), ("P: vmsplice x -> pipe", "P: write x new"),
          ("C: read x", "P: write x new")),
    "c": (("C: exec",), ("C: vmsplice x -> pipe", "C: exit"), ("C: write x mine", "C: munmap x")),
    "d": (("C: fork D", "C: exit"), ("C: fork D", "C: exec"), ("C: fork D", "C: munmap x")),
}  # fmt: skip
BELIEFS = {"a": "M3", "b": "M1", "c": "M2", "d": "M2"}


SAID = {"fork": "forks", "write": "writes to", "read": "reads", "munmap": "unmaps", "exit": "exits",
        "exec": "calls execve()"}  # fmt: skip


def programs(seed: int = 0) -> Sheet:
    """Four little programs of two or three moves, in words. At least three ways to end are among theirs."""
    told = (". ".join(map(_in_words, story.steps)) for story in _programs(seed))
    return Sheet("\n".join(f"{n}.  {text}." for n, text in enumerate(told, 1)))


def _in_words(move: str) -> str:
    who, op, *rest = move.replace(":", "").split()
    return f"{who} puts x into a pipe" if op == "vmsplice" else " ".join([who, SAID[op], *rest[:1]])


def _programs(seed: int) -> tuple[Story, ...]:
    rng = _rng(seed)
    kinds = ["b", "c", "d", rng.choice("abcd")]
    drawn = {kind: rng.sample(PROGRAMS[kind], 2) for kind in PROGRAMS}
    return tuple(Story(("P: fork C", *drawn[kind].pop())) for kind in rng.sample(kinds, 4))


def _bits_of(story: Story) -> tuple[int, int | None]:
    """P's bit in the end, and C's; None where C has no page x any more."""
    s = story.trace.final
    found = []
    for who in "PC":
        pte = s.at(who, 0)[1] if who in story.alive else None
        found.append(None if pte is None else int(s.mapcount(pte.frame) == 1))
    return found[0], found[1]


ENDS = {"a": (0, 0), "b": (1, 1), "c": (1, None), "d": (0, None)}


def check_programs(answer: Sequence[str], seed: int = 0) -> Advice:
    """A letter for each program of this seed; each counts the same."""
    stories = _programs(seed)
    if not isinstance(answer, list | tuple) or len(answer) != len(stories):
        return Advice((f"The answer is a list of {len(stories)} letters.",))
    said, believes, trace, right = [], [], None, 0.0
    for n, (letter, story) in enumerate(zip(answer, stories, strict=True), 1):
        look = "Count the entries that point at P's frame in the end, and then those at C's, if C has one."
        claims = {name: (_bits_of(story) == end, BELIEFS[name], look) for name, end in ENDS.items()}
        advice = check_choice({"it": letter}, story.trace, it=claims)
        said.append(advice.said[0].replace("it:", f"Program {n}:", 1))
        believes += advice.believes
        trace, right = trace or advice.trace, right + advice.score
    return Advice(tuple(said), right / len(stories), trace, tuple(dict.fromkeys(believes)), 2 if right else 1)


# Exercise 01: moves that make P's bit go as it should


def bits_seen(before: tuple, s: State) -> tuple:
    """P's bit after each move."""
    return (*before, int(s.mapcount(s.at("P", 0)[1].frame) == 1))


@cache
def _bits_to_draw() -> tuple[tuple[int, ...], ...]:
    return tuple(sorted(bits for bits, ways in solutions(DANCERS, 5, bits_seen)[-1].items() if 16 <= ways <= 31))


def bits(seed: int = 0) -> tuple[int, ...]:
    """P's bit after each of five moves that are to be found; 16 to 31 solutions."""
    return _rng(seed).choice(_bits_to_draw())


def check_bits(moves: str | Sequence[str], target: Sequence[int]) -> Advice:
    """Moves after which P's bit is as wanted; half if it is so up to the last move but one."""
    trace = _play(moves, DANCERS)
    if isinstance(trace, str):
        return Advice((trace,))
    seen: tuple = ()
    for m in trace.moments[1:]:
        seen = bits_seen(seen, m.state)
    if not seen:
        return Advice(("No moves yet.",))
    good = next((n for n, (a, b) in enumerate(zip(seen, target, strict=False)) if a != b), min(len(seen), len(target)))
    said = [f"P's bit after your moves: {' '.join(map(str, seen))}. Wanted: {' '.join(map(str, target))}."]
    if seen == tuple(target):
        return Advice((*said, "Yes."), 1.0, trace)
    if len(seen) != len(target):
        said.append(f"{len(target)} moves are wanted; yours are {len(seen)}.")
    if good < min(len(seen), len(target)):
        said.append(f"Step to move {good + 1}: how many entries point at P's frame?")
    score = 0.5 if good >= len(target) - 1 else 0.0
    believes = [m for m, bits in _believed(trace.steps).items() if bits == tuple(target)]
    return Advice(tuple(said), score, trace, tuple(believes[:1]), 2)


def _believed(moves: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """P's bit after these moves, as somebody has it who believes that a store to a read-only entry changes nothing
    (M3), or that P keeps a frame of its own from the fork on (M1)."""
    mapping, unmoved = {"P"}, []
    for text in moves:
        who, op, *rest = text.replace(":", "").split()
        if op == "fork" and who in mapping:
            mapping.add(rest[0])
        elif op in ("exit", "munmap"):
            mapping.discard(who)
        unmoved.append(int(mapping == {"P"}))
    return {"M3": tuple(unmoved), "M1": (1,) * len(unmoved)}


# Exercise 02: a half-drawn state after two forks


@dataclass(frozen=True, repr=False)
class Family:
    """``rows``: of P, C and D the frame, its mapcount, and "rw" or "ro", in the end. Displays with one value a row."""

    story: Story
    given: tuple[int, ...]  # which of the three values of each row is drawn

    @property
    def rows(self) -> list[list]:
        t, found = self.story.trace, []
        for who in "PCD":
            _, pte = t.final.at(who, 0)
            found.append([t.numbers[pte.frame], t.final.mapcount(pte.frame), "rw" if pte.write else "ro"])
        return found

    def __repr__(self) -> str:
        steps = [f"  {n}  {text}" for n, text in enumerate(self.story.steps, 1)]
        lines = ["P has x in frame 0, writable, alone. Rules of v5.7. Then:", *steps, "", "in the end:"]
        lines.append("         frame  mapcount  entry")
        for who, row, given in zip("PCD", self.rows, self.given, strict=True):
            cells = [str(v) if n == given else "_" for n, v in enumerate(row)]
            lines.append(f"    {who}.x  {cells[0]:^5}  {cells[1]:^8}  {cells[2]:^5}")
        return "\n".join(lines)


def family(seed: int = 0) -> Sheet:
    """Two forks and three writes, and what is drawn of the state after them. All three processes stay, two writes
    copy, and none takes a frame over."""
    return Sheet(repr(_family(seed)))


def _family(seed: int) -> Family:
    rng = _rng(seed)

    def fits(story: Story) -> bool:
        why = [w for m in story.trace.moments for w in m.why]
        forks = sum(": fork" in text for text in story.steps)
        frames = {row[0] for row in Family(story, (0, 0, 0)).rows} if len(story.alive) == 3 else ()
        reuses = any(w.did.startswith("reuses") for w in why)
        return len(story.alive) == 3 and forks == 2 and story.trace.copies == 2 and not reuses and len(frames) > 1

    return Family(draw(rng, 5, fits), tuple(rng.sample(range(3), 3)))


def check_family(rows: Sequence[Sequence], seed: int = 0) -> Advice:
    """The three rows of this seed; each counts the same."""
    drawn = _family(seed)
    left = len(believers(drawn.story)["M2"])  # so many entries stay at frame 0, if the original is P's
    believes = {
        "M1": [[n, 1, "rw"] for n in range(3)], "M3": [[0, 3, "ro"]] * 3,
        "M2": [[0, left, "rw"], *[[0, left, "ro"]] * 2],
    }  # fmt: skip
    advice = check_table(rows, drawn.rows, None, ("frame", "mapcount", "entry"), believes)
    advice = replace(advice, believes=advice.believes[:1])
    if advice.ok:
        return replace(advice, trace=drawn.story.trace)
    look = f"Step through {drawn.story.schedule} on {RULES}, and say of each move what it does to the entries."
    return replace(advice, said=(*advice.said, look), trace=drawn.story.trace)


# Exercise 03: five cards, one copy


LAST = tuple(f"{p}: {does}" for p in "CD" for does in ("exit", "munmap x"))


def _decided(trace: Trace) -> tuple[int, int]:
    """How many faults copied, and how many took the frame over."""
    why = [w for m in trace.moments for w in m.why]
    return trace.copies, sum(w.did.startswith("reuses") for w in why)


@cache
def orders(five: tuple[str, ...]) -> tuple[int, int]:
    """In how many orders the cards can be laid, and in how many of them one copies and one takes over."""
    played = [t for order in permutations(five) if isinstance(t := _play(order, five), Trace)]
    return len(played), sum(_decided(t) == (1, 1) for t in played)


@cache
def _hands() -> tuple[tuple[str, ...], ...]:
    """Hands of two forks, two writes and one way to leave, with 20 orders, of which 6 are right."""
    writes = [("P: write x new", f"{p}: write x mine") for p in "CD"]
    hands = [("P: fork C", fork, *two, last) for fork in FORKS[1:] for two in writes for last in LAST]
    return tuple(h for h in hands if orders(h) == (20, 6))


def cards(seed: int = 0) -> tuple[str, ...]:
    """Five moves in no order that is of use."""
    rng = _rng(seed)
    hand = rng.choice(_hands())
    shuffled = rng.sample(hand, 5)
    return tuple(shuffled if isinstance(_play(shuffled, hand), str) else sorted(hand))


def check_cards(order: str | Sequence[str], five: Sequence[str]) -> Advice:
    """All five, in an order in which one write copies and the other one faults and takes over. Half if one copies and
    the other one does not, but without asking."""
    trace = _play(order, five)
    if isinstance(trace, str):
        return Advice((trace,))
    laid = trace.steps
    if sorted(laid) != sorted(five):
        left = listed([f"`{card}`" for card in five if card not in laid], "and")
        return Advice((f"Each card once. Missing: {left or 'none, so one is laid twice'}.",), 0.0, trace)
    copies, taken = _decided(trace)
    said = [f"Copies: {copies}. Takeovers: {taken}. Wanted: one of each."]
    if (copies, taken) == (1, 1):
        return Advice((*said, "Yes."), 1.0, trace)
    writes = [n for n, m in enumerate(trace.moments) if m.action and m.action.op == "write"]
    free = [n for n in writes if not any(w.fn == "do_wp_page" for w in trace.moments[n].why)]
    if copies == 1:
        said.append(f"Move {free[0]} is a write without a fault. Why was nobody asked?" if free else "")
        return Advice(tuple(filter(None, said)), 0.5, trace, ("M4",), 3)
    first = writes[-1] if copies > 1 else writes[0]
    said.append(f"Step to move {first}: how many entries point at the writer's frame just before it?")
    return Advice(tuple(said), 0.0, trace, ("M4",) if copies > 1 else (), 2)


# Exercise 04: a table of six rows


def counts(seed: int = 0) -> Sheet:
    """Six moves of P and C. (Not those of lesson 04's table of this seed.)"""
    moves = [f"{n}  {text}" for n, text in enumerate(_counts(seed).story.steps, 1)]
    return Sheet("\n".join(["Frame 0 holds x at the start: mapcount 1, refcount 1, pins 0.", *moves]))


def _counts(seed: int) -> table.CountsTable:
    _rng(seed)  # or it is no seed
    rng = Random(f"exercise 04, {seed}")
    for _ in range(table.TRIES):
        story = table._draw(rng)
        drawn = story and table.CountsTable(seed, story)
        if drawn and table._worth_it(drawn) and [list(row) for row in drawn.rows] not in _miscounted(drawn).values():
            return drawn
    raise AssertionError("no table fits")


def check_counts(rows: Sequence[Sequence[int]], seed: int = 0) -> Advice:
    """mapcount, refcount and pins after each of the six moves of this seed; each row counts the same."""
    drawn = _counts(seed)
    names = ("mapcount", "refcount", "pins")
    return check_table(rows, drawn.rows, drawn.story.trace, names, _miscounted(drawn))


def _miscounted(drawn: table.CountsTable) -> dict[str, list]:
    """The rows of somebody for whom both counts are one number (M5), a fork adds no entry (M1),
    or a frame that is held is left by whoever writes to it (M6)."""
    rows = [(1, 1, 0), *drawn.rows]
    steps, gone, kept = drawn.story.steps, 0, []
    for n, text in enumerate(steps, 1):
        m, r, p = rows[n]
        gone += gone == 0 and ": write" in text and m == 1 < r and rows[n - 1][0] == 1
        kept.append([m - gone, r - gone, p])
    return {
        "M5": [[m, m, p] for m, _, p in drawn.rows],
        "M1": [[*rows[n - 1]] if ": fork" in text else [*rows[n]] for n, text in enumerate(steps, 1)],
        "M6": kept,
    }


# Exercise 04: numbers to be reached


def numbers_seen(_before: tuple, s: State) -> tuple[int, int, int]:
    """mapcount, refcount and pins of the frame that x is in at the start."""
    frame = _start().at("P", 0)[1].frame
    return s.mapcount(frame), s.refcount(frame), s.pins(frame)


@cache
def _numbers_to_draw() -> tuple[tuple[int, int, int], ...]:
    found = solutions(HOLDERS, 4, numbers_seen)
    sooner = {what for level in found[:3] for what in level}
    return tuple(sorted(what for what, ways in found[3].items() if what not in sooner and 20 <= ways <= 40))


def numbers(seed: int = 0) -> tuple[int, int, int]:
    """mapcount, refcount and pins that four moves can bring about, and fewer cannot; 20 to 40 solutions."""
    return _rng(seed).choice(_numbers_to_draw())


def check_numbers(moves: str | Sequence[str], target: Sequence[int]) -> Advice:
    """Moves after which frame 0 has these numbers; half for more moves than it takes."""
    trace = _play(moves, HOLDERS)
    if isinstance(trace, str):
        return Advice((trace,))
    if len(trace) == 1:
        return Advice(("No moves yet.",))
    got = numbers_seen((), trace.final)
    names = ("mapcount", "refcount", "pins")
    said = ["In the end frame 0 has " + ", ".join(f"{n} {v}" for n, v in zip(names, got, strict=True)) + "."]
    if got != tuple(target):
        off = listed([n for n, a, b in zip(names, got, target, strict=True) if a != b], "and")
        said.append(f"Not so yet: {off}. Step through your moves, and say what each of them adds to which number.")
        together = got[2] == target[2] and (got[0] == target[0]) != (got[1] == target[1])
        believes = ("M5",) if together else ()  # the one is right, and the other was to come along
        return Advice(tuple(said), 0.0, trace, believes, 2)
    level = next(n for n, found in enumerate(solutions(HOLDERS, 4, numbers_seen), 1) if tuple(target) in found)
    if len(trace) - 1 > level:
        return Advice((*said, "Yes; and it takes fewer moves."), 0.5, trace, (), 3)
    return Advice((*said, "Yes, and in as few moves as possible."), 1.0, trace)
