"""Symmetry is no semantics: what it merges behaves alike, and nothing is lost or added. Orbits, columns, products."""

import random
from collections import Counter
from itertools import permutations
from math import factorial

import pytest
from bench import compare
from machine import ALL

from cowlab import KERNELS, kernel
from cowlab.explore import explore
from cowlab.explore.free import _alone, _machines, _replay, _whole, search
from cowlab.explore.islands import Islands, _with_names, islands_of
from cowlab.explore.product import product
from cowlab.explore.space import NAMES, NEVER, STEPS, Space, parse_steps
from cowlab.explore.symmetry import renamed
from cowlab.explore.tables import automaton
from cowlab.mm import ROADS

VOCABULARIES = {
    "gup": compare.GUP, "pin": compare.PIN, "mprotect": ("write", "fork", "exit", "mprotect", "pin", "put"),
    "madvise": ("write", "read", "fork", "exit", "madvise dontneed", "madvise pageout", "gup", "put"),
    "watch": ("write", "fork", "exit", "clear_refs", "gup", "put"),
    "gpu": ("write", "fork", "exit", "munmap", "userptr", "put", "reclaim"),
}  # fmt: skip


def reached(space):
    """Every machine of the space up to renaming of frames, stepped whole, no symmetry of processes used."""
    start = renamed(space.start, 1)
    seen, frontier = {start}, [start]
    while frontier:
        s = frontier.pop()
        new = {renamed(space.apply(s, a), 1) for a in space.actions(s)} - seen
        seen |= new
        frontier += new
    return seen


def machines(islands):
    """Every machine of the reduced run."""
    first = islands.machine(islands.space.start)
    seen, frontier = {first}, [first]
    while frontier:
        new = set(islands.successors(frontier.pop())[1]) - seen
        seen |= new
        frontier += new
    return seen


def orbit(islands, machine):
    """All machines that the reduced one stands for: its islands side by side, its processes named in every way."""
    sizes = [islands.sizes[i] for i in machine]
    for names in permutations(NAMES[: islands.space.processes], sum(sizes)):
        left, procs, frames, slots, refs, pages = list(names), [], None, [], [], None
        for i in machine:
            s = islands.states[i]
            own = {p.name: left.pop(0) for p in s.procs}
            s = _with_names(s, own)
            pages = s.pages
            if frames is None:
                frames = [s.frames[0]]
            shift, slot_shift = len(frames) - 1, len(slots)
            s = _shifted(s, shift, slot_shift)
            procs += s.procs
            frames += s.frames[1:]
            slots += s.slots
            refs += s.refs
        if frames is None:
            start = islands.space.start
            yield renamed(start.but(procs=(), refs=(), slots=()), 1)
            return
        whole = islands.space.start.but(
            tuple(procs), tuple(frames), tuple(slots), tuple(sorted(refs, key=lambda r: (r.proc, r.name)))
        )
        assert whole.pages == pages
        yield renamed(whole, 1)


def _shifted(s, frames, slots):
    """The island with its frames and slots counted on from those of others."""
    from cowlab.mm import Swp, replace

    def f(n):
        return n + frames if n else n

    def entry(t):
        return replace(t, slot=t.slot + slots) if isinstance(t, Swp) else t and replace(t, frame=f(t.frame))

    procs = tuple(replace(p, mm=replace(p.mm, ptes=tuple(map(entry, p.mm.ptes)))) for p in s.procs)
    refs = tuple(replace(r, frame=f(r.frame)) for r in s.refs)
    return s.but(procs, slots=tuple(replace(x, frame=f(x.frame)) for x in s.slots), refs=refs)


@pytest.mark.parametrize("name", ALL.split())
@pytest.mark.parametrize(
    "steps", [pytest.param(v, marks=() if v in ("gup", "pin") else pytest.mark.full) for v in VOCABULARIES]
)
def test_the_orbits_are_the_unreduced_run(steps, name):
    """Expanded to all names, the machines of the reduced run are those that the engine reaches, state for state.
    Every vocabulary has `exit`: without it the first process never goes, and not every name can be had."""
    space = Space(kernel(name), 2, 1, parse_steps(VOCABULARIES[steps]))
    islands = Islands(space, "leak")
    expanded = [s for machine in machines(islands) for s in set(orbit(islands, machine))]
    assert len(expanded) == len(set(expanded))
    assert set(expanded) == reached(space)


@pytest.mark.full
@pytest.mark.parametrize(("name", "steps"), [("v5.7", compare.GUP), ("v6.1", compare.DRY)])
def test_the_orbits_of_three(name, steps):
    """The same for three processes."""
    space = Space(kernel(name), 3, 1, parse_steps(steps))
    islands = Islands(space, "leak")
    expanded = {s for machine in machines(islands) for s in orbit(islands, machine)}
    assert expanded == reached(space)


@pytest.mark.parametrize("name", ["v5.7", pytest.param("v6.1", marks=pytest.mark.full)])
def test_the_orbits_of_two_pages(name):
    """With two pages, each machine of the reduced run stands for itself and its mirror image."""
    space = Space(kernel(name), 2, 2, parse_steps("write,fork,exit,pin,put,munmap"))
    islands = Islands(space, None)
    mirrored = {m for s in reached(space) for m in [islands.machine(s)]}
    assert mirrored == machines(islands)


def lone(islands):
    """Every island of the run that puts none beside another, in the order in which they are met."""
    found = list(islands.machine(islands.space.start))
    known = set(found)
    for i in found:  # which grows
        new = [j for j in dict.fromkeys(islands.alone(i)[1]) if j not in known]
        known.update(new)
        found += new
    return found


@pytest.mark.parametrize("name", ALL.split())
@pytest.mark.parametrize(
    "steps", [pytest.param(v, marks=() if v in ("gup", "pin") else pytest.mark.full) for v in VOCABULARIES]
)
def test_one_island_stands_for_all(steps, name):
    """Put side by side as machines have them or each by itself, the islands are the same ones: nothing is lost, and
    nothing is added where every process may leave (every vocabulary has `exit`)."""
    islands = Islands(Space(kernel(name), 2, 1, parse_steps(VOCABULARIES[steps])), "leak")
    assert set(lone(islands)) == {i for machine in machines(islands) for i in machine}


@pytest.mark.parametrize(
    ("name", "processes", "pages", "steps"),
    [
        ("v6.1", 3, 1, compare.PIN), ("v5.7", 2, 2, ("write", "fork", "exit", "gup", "put")),
        pytest.param("v5.7", 3, 1, compare.GUP, marks=pytest.mark.full),
        pytest.param("v6.1", 4, 1, compare.PIN, marks=pytest.mark.full),
        pytest.param("v6.1", 2, 2, compare.PIN, marks=pytest.mark.full),
    ],
)  # fmt: skip
def test_one_island_stands_for_all_of_more(name, processes, pages, steps):
    """The same for more processes, and for two pages, where an island and its mirror image are one."""
    islands = Islands(Space(kernel(name), processes, pages, parse_steps(steps)), "leak")
    assert set(lone(islands)) == {islands.least([i])[0] for machine in machines(islands) for i in machine}


WITHOUT_EXIT = {"v6.1": "write,munmap,fork,reclaim,gup", "v5.7": "write,fork,gup,munmap", "v5.9": "write,read,fork,pin"}


@pytest.mark.parametrize(
    ("name", "steps"), [("v5.7", ",".join(compare.GUP)), ("v6.1", ",".join(compare.PIN)), *WITHOUT_EXIT.items()]
)
def test_an_island_is_never_nearer_in_a_machine(name, steps):
    """Take every island in turn as what shall never be. The way to it alone is no longer than the way of whole
    machines, if there is any; it is as long where the replay succeeds, and there are islands where it does not,
    because others take the room for a fork."""
    space = Space(kernel(name), 2, 1, parse_steps(steps))
    islands = Islands(space, None)
    alone, whole = _alone(islands), _machines(islands)
    blocked = 0
    for target in lone(islands):
        way = search(alone._replace(bad=lambda i: i == target)).path  # noqa: B023
        in_machines = search(whole._replace(bad=lambda m: target in m)).path  # noqa: B023
        assert in_machines is None or len(way) <= len(in_machines)
        if _replay(space, space, alone, way) is None:
            blocked += 1
        else:
            assert len(way) == len(in_machines)
    assert blocked


@pytest.mark.parametrize(("steps", "verdicts"), [(WITHOUT_EXIT["v6.1"], {"holds"}), (compare.PIN, {"violated"})])
def test_where_others_take_the_room_machines_decide(steps, verdicts, monkeypatch):
    """What an island reaches alone, but no machine of two processes that cannot exit, is no violation; where somebody
    must exit first, the witness has that step."""
    space = Space(kernel("v6.1"), 2, 1, parse_steps(steps))
    islands = Islands(space, None)
    alone, found, longer = _alone(islands), [], 0
    for target in lone(islands):
        way = search(alone._replace(bad=lambda i: i == target)).path  # noqa: B023
        if _replay(space, space, alone, way) is None:
            bad = islands.states[target]
            monkeypatch.setattr("cowlab.explore.islands.violates", lambda s, never: s == bad)  # noqa: B023
            found.append(explore(kernel("v6.1"), steps=steps))
            whole = explore(kernel("v6.1"), steps=steps, machines=True)
            assert (found[-1].verdict, found[-1].shortest) == (whole.verdict, whole.shortest)
            longer += len(whole.shortest or ()) > len(way) - 1
    assert {f.verdict for f in found} == verdicts
    assert {f.merged for f in found} == {"up to symmetry"}
    assert longer or verdicts == {"holds"}


@pytest.mark.full
def test_random_vocabularies():
    """Whatever the steps, the kernel and the property: the verdict and the length of a witness are those of whole
    machines."""
    rows, rnd = list((KERNELS | ROADS).values()), random.Random(17839856)
    some = [*STEPS, "pin", "mprotect", "madvise", "clear_refs", "userptr", "exec", "uffd_wp"]
    for _ in range(80):
        steps = [*rnd.sample(some, rnd.randint(3, 7)), "fork", rnd.choice(("gup", "pin", "userptr"))]
        row, never, processes = rnd.choice(rows), rnd.choice(list(NEVER)), rnd.choice((1, 2, 2, 3))
        one, all_ = (
            explore(row, processes, 1, steps, never, machines=whole, max_states=2000) for whole in (False, True)
        )
        if all_.verdict != "undecided":
            assert (one.verdict, len(one.shortest or ())) == (all_.verdict, len(all_.shortest or ())), (row, steps)


def test_orbits_are_counted_by_automorphisms():
    """N! / (dead! and what leaves the machine as it is): the number of machines behind a reduced one."""
    islands = Islands(Space(kernel("v5.7"), 3, 1, parse_steps("write,fork,exit,gup,put")), None)
    for machine in machines(islands):
        ways = factorial(3) // factorial(3 - sum(islands.sizes[i] for i in machine))
        for i, n in Counter(machine).items():
            ways //= factorial(n) * islands.automorphisms[i] ** n
        assert ways == len(set(orbit(islands, machine)))


@pytest.mark.parametrize("name", ALL.split())
def test_nothing_crosses_the_water(name):
    """A step does to the island of its process what it does to that island alone, and nothing to the others."""
    space = Space(kernel(name), 3, 1, parse_steps("write,read,munmap,fork,pin,put"))
    seen = sorted(reached(Space(kernel(name), 3, 1, parse_steps("write,fork,pin,munmap"))), key=repr)[::7]
    assert any(len(islands_of(s)) > 1 for s in seen)
    for s in seen:
        for a in space.actions(s):
            parts = islands_of(s)
            mine = next(p for p in parts if a.proc in {q.name for q in p.procs})
            alone = Counter(renamed(p, 1) for p in islands_of(space.apply(mine, a)))
            others = Counter(renamed(p, 1) for p in parts if p is not mine)
            assert Counter(renamed(p, 1) for p in islands_of(space.apply(s, a))) == alone + others


@pytest.mark.parametrize("never", ["leak", "leak-after-fork", "stale"])
@pytest.mark.parametrize("name", ["v5.7", "v6.1", *(pytest.param(n, marks=pytest.mark.full) for n in ("v5.8", "v5.9"))])
def test_one_page_stands_for_all(name, never):
    """The projection, one page, two pages and the product say the same, and as short."""
    steps = "write,fork,exit,pin,put,reclaim"
    found = [
        explore(kernel(name), pages=1, steps=steps, never=never),
        explore(kernel(name), pages=2, steps=steps, never=never, project=True),
        explore(kernel(name), pages=2, steps=steps, never=never),
    ]
    assert len({(f.verdict, len(f.shortest or ())) for f in found}) == 1


def test_the_hand_elsewhere_is_seen():
    """Why a column is more than a machine with one page: MMF_HAS_PINNED may come from a pin on another page, and
    then fork copies where it would have shared."""
    one = explore(kernel("v6.1"), pages=1, steps=compare.PIN, machines=True)
    column = explore(kernel("v6.1"), pages=2, steps=compare.PIN, project=True, machines=True)
    assert (one.states, column.states) == (358, 705)


def test_merge_keeps_the_names():
    """KSM chooses by the processes' names and crosses islands: no machine is split, and only frames are renamed."""
    found = explore(kernel("v6.1"), 2, 1, "write,fork,merge,reclaim,read", go_on=True)
    space = Space(kernel("v6.1"), 2, 1, parse_steps("write,fork,merge,reclaim,read"))
    assert found.states == search(_whole(space, "leak", False), True).states == len(reached(space))


PRODUCTS = {("v6.1", compare.DRY): (7342, 77370, None), ("v5.7", compare.GUP): (30154, 491942, 4)}


@pytest.mark.parametrize("size", PRODUCTS, ids=lambda s: s[0])
def test_the_product_is_the_space_of_two_pages(size):
    """Columns of the automaton side by side are exactly the machines of two pages, frames renamed."""
    pytest.importorskip("numpy", reason="no numpy; get it with: pip install -e '.[test]'")
    space = Space(kernel(size[0]), 2, 2, parse_steps(size[1]))
    table = automaton(space, "leak")
    found = product(table, 2, symmetric=False, go_on=True)
    assert (found.states, found.transitions, found.depth) == PRODUCTS[size]
    if size[0] == "v6.1":
        assert found.states == len(reached(space))
    assert product(table, 2, go_on=True).states < found.states
    assert explore(kernel(size[0]), 2, 2, size[1], product=True).verdict == ("violated" if found.depth else "holds")


@pytest.mark.full
def test_the_product_of_three():
    """1,096,988 machines of three processes and two pages: SPIN with renaming by hand counts as many."""
    pytest.importorskip("numpy")
    table = automaton(Space(kernel("v6.1"), 3, 2, parse_steps(compare.DRY)), "leak")
    found = product(table, 2, symmetric=False)
    assert (found.states, found.transitions) == (1_096_988, 18_049_305)
