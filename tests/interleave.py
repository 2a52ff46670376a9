"""An independent oracle: every interleaving one by one, no state ever merged, no renaming, no graph.

It knows the contract (design/litmus.md 1 and 4) and mm.step, and nothing of cowlab.explore.
"""

from math import factorial, prod

from cowlab.mm import KERNEL_THREADS, boot, step


def executions(test, kernel):
    """Every complete execution as (schedule, states), leftmost column first: the order of the contract."""
    start = boot(kernel, test.processes[0], test.pages)
    columns = list(test.columns.items())

    def walk(at, schedule, states):
        moved = False
        for i, (name, program) in enumerate(columns):
            if at[i] < len(program) and may_move(states[-1], program[at[i]]):
                moved = True
                after = step(states[-1], kernel, program[at[i]]).state
                yield from walk((*at[:i], at[i] + 1, *at[i + 1 :]), (*schedule, name), (*states, after))
        if not moved:
            yield schedule, states

    yield from walk((0,) * len(columns), (), (start,))


def may_move(state, action):
    """Whoever lives and is not blocked; the kernel's own threads always do. A thread lives with its process."""
    alive = [p.name for p in state.procs if p.mm is not None and p.fault is None]
    return action.op in KERNEL_THREADS.values() or action.proc in alive


def final(test, states):
    """What makes two executions end alike: values, who shares a frame, and who has which initial frame."""
    start, last = states[0], states[-1]
    values, frames = {}, {}
    for p in last.procs:
        for name, value, frame in p.regs:
            values[f"{p.name}.{name}"] = value
            frames[f"{p.name}.{name}"] = frame
        for i, page in enumerate(last.pages if p.mm else ()):
            values[f"{p.name}.{page}"] = last.would_read(p.name, i)
            frames[f"{p.name}.{page}"] = getattr(p.mm.ptes[i], "frame", None)
        if p.fault:
            values[f"{p.name}.fault"] = p.fault
    for r in last.refs:
        values[f"{r.proc}.{r.name}"] = r.error if r.frame is None else last.frames[r.frame].value
        frames[f"{r.proc}.{r.name}"] = r.frame
    frames = {name: frame for name, frame in frames.items() if frame is not None}
    initial = {}
    for i, page in enumerate(start.pages):
        vma, pte = start.at(test.processes[0], i)
        initial[f"init.{page}"] = pte.frame if pte else None if vma.file is None else start.files[vma.file]
    initial = {name: frame for name, frame in initial.items() if frame is not None}
    together = frozenset(frozenset(n for n in frames if frames[n] == f) for f in set(frames.values()))
    still = frozenset((n, page) for n in frames for page in initial if frames[n] == initial[page])
    key = tuple(sorted(values.items())), frozenset(s for s in together if len(s) > 1), still
    return key, test.condition.holds(values, frames | initial)


def histogram(test, kernel):
    """{ending: [count, satisfies, first schedule]}, in the order in which the endings are first met."""
    found = {}
    for schedule, states in executions(test, kernel):
        key, holds = final(test, states)
        found.setdefault(key, [0, holds, schedule])[0] += 1
    return found


def multinomial(*counts):
    """The number of ways to interleave columns of these lengths."""
    return factorial(sum(counts)) // prod(map(factorial, counts))
