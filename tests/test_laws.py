"""Laws that hold in every generation, for any sequence of steps. Sequences are drawn; the laws are not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machine import ALL

from cowlab import KERNELS
from cowlab.explore.symmetry import renamed
from cowlab.litmus.parse import parse_init, parse_steps
from cowlab.mm import CALLERS, FREED, GRAMMAR, KERNEL_THREADS, PINNED, ZERO_PAGE, Action, Pte, boot, replace, step

MAINLINE = tuple(ALL.split())
EXCLUSIVE = [name for name in MAINLINE if KERNELS[name].exclusive]
PAGES = ["x", "y"]
INITS = ["P: x = 1", "P: x untouched", "P: x = 1 file", "P: x = 1 shared", "P: x = 1 ro", "P: x untouched shared"]
HUGE = ["P: x = 1 huge", "P: x = 1 hugepte", "P: x untouched huge"]
LOOKUPS = [op for op, caller in CALLERS.items() if op != "perf" and "PAGE" in caller.args]
ORDINARY = [
    "read",
    "write",
    "fork",
    "fork",
    "exec",
    "exit",
    "munmap",
    "mprotect",
    "madvise",
    "put",
    "load",
    "store",
    *LOOKUPS,
    "perf",
]
ALL_OPS = [
    *ORDINARY,
    "filewrite",
    "clear_refs",
    "reclaim",
    "reclaim",
    "merge",
    "gup_start",
    "gup_look",
    "gup_fault",
    "uffd_wp",
]
WHO = {op: thread for thread, op in KERNEL_THREADS.items()}


def action_of(s, choice, number):
    """The choice, read as a step that is legal in this state; None if no such step is."""
    op, who, page, what, option = choice
    alive = [p.name for p in s.procs if p.mm and not p.fault]
    if not alive:
        return None
    proc, args = alive[who % len(alive)], GRAMMAR[op]
    named = ({"page": PAGES[page]} if "PAGE" in args else {}) | ({"arg": f"v{number}"} if "VALUE" in args else {})
    if "PAGE2" in args:
        named["arg"] = PAGES[1 - page]
    if args.startswith("REF"):
        mine = [r.name for r in s.refs if r.proc == proc]
        if not mine:
            return None
        named["ref"] = mine[what % len(mine)]
    elif "-> REF" in args:
        named["ref"] = f"r{number}"
    if ("REG" in args and option % 2) or ("-> REG" in args and "[-> REG]" not in args):
        named["reg"] = f"a{number % 3}"
    if op == "fork":
        if len(s.procs) >= 4:
            return None
        named["arg"] = f"C{number}"
    if op == "mprotect":
        named["arg"] = ("ro", "rw")[what % 2]
    if op == "madvise":
        named["arg"] = ("dontneed", "dontfork")[what % 2]
    legal = [w[1:-1] for w in args.split() if w.startswith("[") and w.endswith("]")]
    options = tuple(w for i, w in enumerate(legal) if option >> i & 1)
    return Action(WHO.get(op, proc), op, options=options, **named)


def choices(ops, size=24):
    step_choice = st.tuples(
        st.sampled_from(ops), st.integers(0, 3), st.integers(0, 1), st.integers(0, 3), st.integers(0, 7)
    )
    return st.lists(step_choice, min_size=4, max_size=size)


class Walk(tuple):
    """(kernel, [(state before, action, what step() returned)]): some execution on some kernel."""

    init = ""

    def __repr__(self):
        return f"{self[0].name}: {self.init}; {'; '.join(str(action) for _, action, _ in self[1])}"


@st.composite
def walks(draw, ops=ALL_OPS, kernels=MAINLINE, inits=tuple(INITS + HUGE)):
    k, init = KERNELS[draw(st.sampled_from(kernels))], [draw(st.sampled_from(inits)) for _ in PAGES]
    init[1] = init[1].replace("x", "y", 1)
    first, pages = parse_init(init)
    s, story = boot(k, first, pages), []
    for number, choice in enumerate(draw(choices(ops))):
        action = action_of(s, choice, number)
        if action is not None:
            after = step(s, k, action)
            story.append((s, action, after))
            s = after.state
    walk = Walk((k, story))
    walk.init = "; ".join(init)
    return walk


def ordinary(**kwargs):
    """Walks of 4 KiB pages, without the kernel's own threads."""
    return walks(ops=ORDINARY, inits=tuple(INITS), **kwargs)


def states(walk):
    return [after.state for _, _, after in walk[1]]


def entries(s):
    """(process, page number, mapping, present entry) of every live process."""
    return [
        (p.name, i, v, t)
        for p in s.procs
        if p.mm
        for i, (v, t) in enumerate(zip(p.mm.vmas, p.mm.ptes, strict=True))
        if isinstance(t, Pte)
    ]


def reads(s):
    return {(p.name, i): s.would_read(p.name, i) for p in s.procs if p.mm for i in range(len(s.pages))}


@given(walks())
def test_nobody_has_a_freed_frame(walk):
    """No page table and no reference leads to a frame that was freed, and no mapped page reads as junk."""
    for s in states(walk):
        held = (
            {t.frame for *_, t in entries(s)} | {r.frame for r in s.refs if r.frame is not None} | set(s.files) - {None}
        )
        assert FREED not in {s.frames[f] for f in held}
        assert FREED.value not in reads(s).values()


@given(ordinary())
def test_whatever_nobody_has_is_freed(walk):
    """A frame that is not freed is the zero page, a file's, mapped, or referred to."""
    for s in states(walk):
        held = {ZERO_PAGE, *s.files, *(t.frame for *_, t in entries(s)), *(r.frame for r in s.refs)}
        assert all(f is FREED or f == FREED for i, f in enumerate(s.frames) if i not in held)


@given(walks())
def test_nothing_leaks(walk):
    """When every reference is put and every process has exited, only the zero page and the page cache are left."""
    k, story = walk
    s = story[-1][2].state if story else boot(k, "P", {"x": ("1", frozenset())})
    for r in s.refs:
        if s.proc(r.proc).mm and not s.proc(r.proc).fault:
            s = step(s, k, Action(r.proc, "put", ref=r.name)).state
    for p in s.procs:
        if p.mm:
            s = step(s, k, Action(p.name, "exit")).state
    s = replace(s, refs=()).swept()  # what the dead held: their pipes and devices are closed
    assert [i for i, f in enumerate(s.frames) if f != FREED and i not in (ZERO_PAGE, *s.files)] == []


@given(ordinary())
def test_counts_are_what_is_counted(walk):
    """Map count: entries. Page count: entries, 1 for the page cache, 1 a FOLL_GET, 1024 a FOLL_PIN."""
    for s in states(walk):
        for frame in {t.frame for *_, t in entries(s)} - {ZERO_PAGE}:
            mapped = [t for *_, t in entries(s) if t.frame == frame]
            held = [PINNED if r.pin else int(r.counted) for r in s.refs if r.frame == frame]
            assert s.mapcount(frame) == len(mapped)
            assert s.refcount(frame) == len(mapped) + list(s.files).count(frame) + sum(held)
            assert s.refcount(frame) >= s.mapcount(frame)


@given(walks())
def test_step_is_pure(walk):
    """The same input gives an equal output with an equal hash, and the input is as it was."""
    k, story = walk
    for s, action, after in story:
        shown, value = repr(s), hash(s)
        again = step(s, k, action)
        assert again == after
        assert hash(again.state) == hash(after.state)
        assert (repr(s), hash(s)) == (shown, value)


@given(walks())
def test_every_step_gives_reasons(walk):
    """... and the reasons are words."""
    for _, _, after in walk[1]:
        assert after.why
        assert all(isinstance(x, str) and x for w in after.why for x in w[:3])


@given(walks())
def test_fork_s_two_sides_read_the_same(walk):
    """Right after fork() the child reads what the parent reads, and nobody reads anything new."""
    for s, action, after in walk[1]:
        if action.op == "fork":
            now = reads(after.state)
            for page in range(len(s.pages)):
                mapped = after.state.at(action.arg, page)[0] is not None
                assert now[action.arg, page] == (now[action.proc, page] if mapped else "unmapped")
            assert {key: now[key] for key in reads(s)} == reads(s)


@given(walks())
def test_a_writable_private_page_is_one_process_s(walk):
    """A writable entry of an anonymous page in a private mapping is the only entry, and the page is exclusive where
    that is tracked. A private page-cache page and the zero page are never writable."""
    k, story = walk
    for _, _, after in story:
        s = after.state
        for _, _, vma, pte in entries(s):
            if pte.write and not vma.shared:
                frame = s.frames[pte.frame]
                assert frame.anon
                assert s.mapcount(pte.frame) == 1
                assert frame.exclusive == k.exclusive


@given(walks())
def test_exclusive_is_exclusive(walk):
    """facts/kernel.md 6.1: only anonymous pages, mapped at most once; no KSM page; none where it is not tracked."""
    k, story = walk
    for _, _, after in story:
        s = after.state
        for i, frame in enumerate(s.frames):
            if frame.exclusive:
                assert k.exclusive
                assert frame.anon
                assert not frame.ksm
                assert s.mapcount(i) <= 1


@given(ordinary(kernels=tuple(EXCLUSIVE)))
def test_a_pin_is_taken_on_an_exclusive_page(walk):
    """6.1: from v5.19 on FOLL_PIN finds an exclusive page or one that is not anonymous, and its mm maps that page."""
    for _, action, after in walk[1]:
        ref = after.state.ref(action.proc, action.ref) if action.ref else None
        if action.op in CALLERS and ref and ref.pin and ref.frame is not None:
            frame = after.state.frames[ref.frame]
            assert frame.exclusive or not frame.anon
            assert after.state.at(action.proc, ref.page)[1].frame == ref.frame


@given(ordinary(kernels=tuple(EXCLUSIVE)))
def test_a_pinned_page_stays_with_its_process(walk):
    """6.5: from v5.19 on a pinned anonymous page stays where it is while its process keeps the mapping, through
    forks, writes and mprotect; and no other process can write to it."""
    for s, action, after in walk[1]:
        gone = {("munmap", ""), ("madvise", "dontneed"), ("exec", ""), ("exit", "")}
        for r in s.refs:
            if not (r.pin and r.frame is not None and s.frames[r.frame].anon and s.frames[r.frame].exclusive):
                continue
            pte, held = s.at(r.proc, r.page)[1] if s.proc(r.proc).mm else None, after.state.ref(r.proc, r.name)
            if pte is None or pte.frame != r.frame or not after.state.proc(r.proc).mm or not held or held.frame is None:
                continue
            now = after.state.at(r.proc, r.page)[1]
            left = (action.op, action.arg) in gone and action.proc == r.proc
            assert left or now.frame == r.frame
            assert not any(t.frame == r.frame and p != r.proc for p, _, _, t in entries(after.state))


@given(walks())
def test_shared_mappings_never_copy(walk):
    """In MAP_SHARED there is one page for everybody: each entry points at the page cache's page, and no step
    on such a page copies anything. (C20)"""
    for _, action, after in walk[1]:
        s = after.state
        for _, _, vma, pte in entries(s):
            if vma.shared:
                assert pte.frame == s.files[vma.file]
        mine = next((p.mm for p in s.procs if p.name == action.proc), None)  # None: a kernel thread, or dead
        vma = mine.vmas[s.pages.index(action.page)] if action.page and mine else None
        if vma and vma.shared:
            assert not any(w.copied for w in after.why)


@given(walks())
def test_address_spaces_are_independent(walk):
    """A store to a private mapping is seen by nobody else: what leaks, leaks through references only. (C19)"""
    for s, action, after in walk[1]:
        if action.op == "write" and after.result is None:
            page = s.pages.index(action.page)
            now = reads(after.state)
            assert now[action.proc, page] == action.arg
            if not s.at(action.proc, page)[0].shared:
                others = {key: value for key, value in reads(s).items() if key != (action.proc, page)}
                assert {key: now[key] for key in others} == others


@given(walks())
def test_looking_a_page_up_changes_no_value(walk):
    """A lookup may fault, copy and replace entries; no process reads anything else after it."""
    for s, action, after in walk[1]:
        if action.op in CALLERS and after.result != "SIGSEGV":
            assert reads(after.state) == reads(s)


@given(walks())
def test_no_step_but_a_write_changes_values(walk):
    """Nothing but stores, file writes, and mappings that go away change what a process reads."""
    silent = {
        "read",
        "fork",
        "mprotect",
        "load",
        "put",
        "clear_refs",
        "reclaim",
        "merge",
        "uffd_wp",
        "gup_look",
        "gup_fault",
    }
    for s, action, after in walk[1]:
        if action.op in silent and after.result != "SIGSEGV":
            now = reads(after.state)
            assert {key: now[key] for key in reads(s)} == reads(s)


@given(ordinary())
def test_a_get_of_another_s_page_is_never_writable_by_stealth(walk):
    """A store through a reference changes the frame that it holds, and the entries stay as they are."""
    for s, action, after in walk[1]:
        if action.op in ("load", "store", "put"):
            assert [(p.name, p.mm and p.mm.ptes) for p in s.procs] == [
                (p.name, p.mm and p.mm.ptes) for p in after.state.procs
            ]
        if action.op == "store":
            ref = s.ref(action.proc, action.ref)
            if ref.frame not in (None, ZERO_PAGE):
                assert after.state.frames[ref.frame].value == action.arg


@given(walks())
def test_renaming_frames_changes_nothing(walk):
    """explore.symmetry: a step of a renamed state is the renamed step, so states may be merged under it."""
    k, story = walk
    for s, action, after in story:
        keep = len(story[0][0].frames)
        canonical = renamed(s, keep)
        assert renamed(canonical, keep) == canonical
        again = step(canonical, k, action)
        assert renamed(again.state, keep) == renamed(after.state, keep)
        assert again.result == after.result


@given(ordinary())
def test_an_action_is_its_text(walk):
    """What `str()` of an action says, the parser reads back as the same action."""
    _, story = walk
    if story:
        pages = {"x": ("1", frozenset()), "y": ("1", frozenset())}
        actions = [action for _, action, _ in story]
        assert list(parse_steps([str(a) for a in actions], "P", pages)) == actions


@given(ordinary(kernels=("v5.8",)))
def test_v5_8_breaks_cow_at_the_lookup(walk):
    """C7, C9: after a lookup that was not fast-only, the page of a COW mapping is mapped by its process alone."""
    for _, action, after in walk[1]:
        ref = after.state.ref(action.proc, action.ref) if action.ref else None
        only = action.op in ("gup_fast_only", "userptr", "kvm")  # these try the lockless walk
        if action.op in CALLERS and not only and ref and ref.frame is not None:
            vma, pte = after.state.at(action.proc, ref.page)
            if vma.cow:
                assert pte.frame == ref.frame
                assert after.state.mapcount(ref.frame) == 1
                assert after.state.frames[ref.frame].anon


@pytest.mark.full
@pytest.mark.parametrize("law", [name for name in dir() if name.startswith("test_")])
def test_at_length(law):
    """Every law again, on thousands of walks."""
    settings(max_examples=1500, deadline=None)(globals()[law])()
