"""How the tests write down a machine: its steps in a line, and what is seen after each of them.

    seen = play("v5.7", "P: x = 100", "P: fork C; C: gup_fast x -> r; C: munmap x; P: write x 101")
    check(seen, "A(2,2) P.x=A:R C.x=A:R; A(3,2) C.r@A; A(2,1); A(2,1) P.x=A:W C.r==101")

One cell a step. The words of a cell, where A, B, D are frames, each letter bound where it is first met:

    A(3,2)      page_count 3, map count 2
    P.x=A       the entry of page x in P points at A; `P.x=none`: no entry; `P.x=Z`: the zero page; `P.x=S`: in swap
    P.x=A:WDE   ... and is W writable or R read-only, D dirty or C clean, H a PMD or T a PTE; the page is E exclusive
                or S not, K of KSM
    C.r@A       the reference (or the perf register) r of C has the frame A; `C.r@Z`
    C.r==101    what a load through it finds, or the error that it holds; also registers, pages, P.fault
    ret=1       what the step returned; ret=EFAULT
"""

import re
from pathlib import Path

from cowlab import KERNELS, kernel
from cowlab.litmus.parse import parse_init, parse_steps
from cowlab.litmus.run import final_values, frame_of, run_actions
from cowlab.mm import ZERO_PAGE, Swp, boot

ROOT = Path(__file__).parent.parent
G0, G1, G2A, G2B, G3A = "v5.7", "v5.8", "v5.9 v5.10", "v5.18", "v5.19 v6.1"
G3B = "v6.12 v6.18"
G2, G3 = f"{G2A} {G2B}", f"{G3A} {G3B}"
ALL = f"{G0} {G1} {G2} {G3}"  # facts/kernel.md 0.2, as rows of the catalogue
GET = "gup x -> r | gup_fast x -> r | vmsplice x -> r"  # three ways to FOLL_GET a page for reading
WORD = re.compile(
    r"(?P<frame>[A-Z])\((?P<refs>\d+),(?P<maps>\d+)\)|(?P<name>\w+\.\w+)(?P<what>==|=|@)(?P<to>\w+)(:(?P<flags>\w+))?|ret=(?P<ret>\w+)"
)


def play(name, init, steps):
    """The moments of one execution: after init, then after each step. ``init`` and ``steps`` are joined by `;`."""
    first, pages = parse_init(split(init))
    row = KERNELS[name] if name in KERNELS else kernel(name)
    return run_actions(boot(row, first, pages), row, parse_steps(split(steps), first, pages)).moments


def split(text, by=";"):
    return [part.strip() for part in text.split(by)]


def check(moments, cells):
    """The last moments are as the cells say (an empty cell says nothing). Frames' letters are kept."""
    cells, letters = split(cells), {}
    assert len(cells) < len(moments), f"{len(cells)} cells for {len(moments) - 1} steps"
    for cell, moment in zip(cells, moments[-len(cells) :], strict=True):
        for word in sorted(cell.split(), key=lambda w: "(" in w):  # counts last: their letters may be bound beside them
            problem = differs(word, moment, letters)
            assert problem is None, f"after `{moment.action}`: {word}, but {problem}; {'; '.join(map(str, moment.why))}"


def differs(word, moment, letters):
    """What is seen instead of ``word``, or None."""
    said, s = WORD.fullmatch(word), moment.state
    assert said, f"what does {word!r} mean?"
    if said["frame"]:
        frame = letters[said["frame"]]
        seen = s.refcount(frame), s.mapcount(frame)
        return None if seen == (int(said["refs"]), int(said["maps"])) else f"({seen[0]},{seen[1]})"
    if said["ret"]:
        return None if moment.result in (word, said["ret"]) else moment.result
    if said["what"] == "==":
        seen = final_values(s).get(said["name"])
        return None if seen == said["to"] else seen
    proc, name = said["name"].split(".")
    entry = s.at(proc, s.pages.index(name))[1] if said["what"] == "=" and s.proc(proc).mm else None
    if said["to"] == "S":
        return None if isinstance(entry, Swp) else f"{entry}"
    if isinstance(entry, Swp):
        return "a swap entry"
    seen = frame_of(s).get(said["name"])
    if said["to"] in ("none", "Z"):
        return None if seen == (None if said["to"] == "none" else ZERO_PAGE) else f"frame {seen}"
    if seen is None or seen == ZERO_PAGE or letters.setdefault(said["to"], seen) != seen:
        return f"{ {v: k for k, v in letters.items()}.get(seen, f'frame {seen}') }"
    if list(letters.values()).count(seen) > 1:
        return f"{said['to']} is another letter's frame"
    if said["flags"]:
        frame = s.frames[seen]
        have = {"W" if entry.write else "R", "D" if entry.dirty else "C", "H" if entry.huge else "T"}
        have |= {"E" if frame.exclusive else "S"} | ({"K"} if frame.ksm else set())
        return None if set(said["flags"]) <= have else "".join(sorted(have))
    return None


def deciders(field, function):
    """The mainline rows in which this function answers this question."""
    names = [name for name in ALL.split() if getattr(KERNELS[name], field).__name__ == function]
    assert names, f"no row has {field}={function}"
    return names


def rows(table):
    """A table as (id, cells): one for each scenario, kernel and way to take a page.

    {name: (init, steps with TAKE, [(kernels, takes joined by |, cells), ...])}
    """
    for name, (init, steps, lines) in table.items():
        for kernels, takes, cells in lines:
            for take in split(takes, "|"):
                for row in kernels.split():
                    yield f"{name} {row} {take}".strip(), (row, init, steps.replace("TAKE", take), cells)
