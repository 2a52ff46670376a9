"""cowlab beside SPIN and rumur: equal counts first, then times, interleaved; and what is measured without a peer.

    python tests/bench/compare.py [--rounds 5] [--json FILE] [--counts] [WHAT ...]

Times, by the clock and of CPU (which other load sways less), are of whole processes: for SPIN `spin -a`, gcc and pan,
for rumur `rumur`, gcc and the checker, for cowlab the command, byte-compiled as pip leaves it. Rounds are interleaved,
medians are compared, and every peer has the flags that serve it best in the case.
Counts are compared with `--full`, and where symmetry is compared with what the peer reduces: SPIN's states with
renaming by hand are the orbits of cowlab's machines, expanded. A peer that is not installed has a row that says so.
The exit status is 1 where a count differs, or a measure is missed that must hold.
"""

import argparse
import atexit
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from functools import cache
from itertools import pairwise
from math import factorial
from pathlib import Path
from typing import NamedTuple

from cowlab import KERNELS, kernel, litmus
from cowlab.explore import explore
from cowlab.explore.islands import Islands, islands_of
from cowlab.explore.product import product
from cowlab.explore.space import Space, parse_steps
from cowlab.explore.tables import automaton

sys.path.insert(0, str(Path(__file__).parent))
from murphi import murphi
from promela import promela

GUP = ("write", "read", "munmap", "fork", "exit", "gup", "put", "reclaim")
PIN = ("write", "read", "munmap", "fork", "exit", "pin", "put", "reclaim")
FEW = ("write", "munmap", "fork", "pin", "put", "reclaim")  # plain SPIN needs minutes for more on two pages
DRY = ("write", "munmap", "fork", "exit", "pin", "put")  # no memory pressure, so that three processes fit


class Size(NamedTuple):
    kernel: str
    processes: int
    pages: int
    steps: tuple[str, ...]


# -- Running ----------------------------------------------------------------------------------------------


def run(command, folder, timeout=600, env=None):
    """stdout of a command that must succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout, env=env)
    assert done.returncode == 0, f"{command}: {done.stdout[-500:]}{done.stderr[-500:]}"
    return done.stdout


def spin(size, folder, optimise="-O2", renaming=False, bfs=False, never="leak", stop=False, hashing=24):
    """spin -a, gcc, pan; returns pan's report. ``stop``: at the first error, with breadth-first search a nearest."""
    Path(folder, "m.pml").write_text(promela(*size, never=never, renaming=renaming))
    run(["spin", "-a", "m.pml"], folder)
    flags = ["-DSAFETY", "-DVECTORSZ=1024", *(["-DBFS"] if bfs else [])]
    run(["gcc", optimise, "-w", *flags, "-o", "pan", "pan.c"], folder)
    return run(["./pan", "-m20000000", f"-w{hashing}", "-E", *([] if stop else ["-c0"])], folder)


def pan_counts(report):
    """(states, transitions); pan counts the start as a transition."""
    states = int(re.search(r"(\d+) states, stored", report)[1])
    return states, int(float(re.search(r"([\d.e+]+) transitions", report)[1])) - 1


def rumur(size, folder, symmetry="heuristic", never="leak"):
    """rumur, gcc, the checker; returns its report. It models one page."""
    Path(folder, "m.m").write_text(murphi(size.kernel, size.processes, size.steps, never))
    flags = ["--symmetry-reduction", symmetry, "--deadlock-detection", "off"]
    run(["rumur", *flags, "-o", "m.c", "m.m"], folder)
    run(["gcc", "-O2", "-w", "-march=native", "-mcx16", "-o", "m", "m.c", "-lpthread"], folder)
    done = subprocess.run(["./m"], cwd=folder, capture_output=True, text=True)  # exit status 1: something was found
    return done.stdout


def rumur_counts(report):
    found = re.search(r"(\d+) states, (\d+) rules fired", report)
    return int(found[1]), int(found[2])


COWLAB = (sys.executable, "-c", "import sys; from cowlab.cli import main; sys.exit(main())")  # as the script `cowlab`


@cache
def compiled():
    """The environment of a cowlab that is byte-compiled, as pip leaves it, wherever it stands."""
    folder = tempfile.mkdtemp(prefix="cowlab-bench-")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": folder}
    for words in (["explore", "--kernel", "v5.7", "--json"], ["litmus", "child-reads-parent-secret", "--json"]):
        run([*COWLAB, *words], None, env=env)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return env


def cowlab(size, *options):
    """The command, in a process of its own, as JSON."""
    words = ["explore", "--json", "--kernel", size.kernel, "--processes", str(size.processes), "--pages",
             str(size.pages), "--steps", ",".join(size.steps), *options]  # fmt: skip
    return json.loads(run([*COWLAB, *words], None, env=compiled()))


def orbits(size):
    """(states, transitions) of cowlab's reduced run, expanded to all names of processes: one page, frames renamed."""
    islands = Islands(Space(kernel(size.kernel), size.processes, size.pages, parse_steps(size.steps)), None)
    first = islands.machine(islands.space.start)
    seen, frontier, states, transitions = {first}, [first], 0, 0
    while frontier:
        machine = frontier.pop()
        alive = sum(islands.sizes[i] for i in machine)
        ways = factorial(size.processes) // factorial(size.processes - alive)
        for i, n in Counter(machine).items():
            ways //= factorial(n) * islands.automorphisms[i] ** n
        steps, found = islands.successors(machine)
        states, transitions = states + ways, transitions + ways * steps
        new = set(found) - seen
        seen |= new
        frontier += new
    return states, transitions


# -- Counts: what must be equal ---------------------------------------------------------------------------

EQUAL = [  # (size, what is compared)
    *[(Size(k, 2, 1, s), what) for k, s in (("v5.7", GUP), ("v5.8", GUP), ("v6.1", PIN)) for what in
      ("plain", "renaming", "rumur")],
    (Size("v6.1", 2, 1, GUP), "renaming"),
    (Size("v5.7", 3, 1, GUP), "renaming"),
    (Size("v6.1", 3, 1, PIN), "renaming"),
    (Size("v6.1", 2, 2, ("write", "fork", "pin", "put")), "plain"),
]  # fmt: skip


def installed(program):
    return shutil.which(program) is not None and shutil.which("gcc") is not None


def counts(size, what):
    """((states, transitions) of cowlab, of the peer), or None where the peer is not installed."""
    if not installed("rumur" if what == "rumur" else "spin"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        if what == "rumur":
            mine = explore(kernel(size.kernel), size.processes, size.pages, size.steps, machines=True, go_on=True)
            return (mine.states, mine.transitions), rumur_counts(rumur(size, folder, "exhaustive", never=""))
        report = spin(size, folder, "-O1", renaming=what == "renaming", never="", hashing=20)
        if what == "renaming":
            return orbits(size), pan_counts(report)
        mine = explore(kernel(size.kernel), size.processes, size.pages, size.steps, full=True, go_on=True)
        return (mine.states, mine.transitions), pan_counts(report)


# -- Times ------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """One row: cowlab's size and options, and the peers as name -> (program, options of the function)."""

    about: str
    size: Size
    options: tuple[str, ...]
    peers: dict[str, tuple[str, dict]]
    must: dict[str, float]
    aim: dict[str, float]


CASES = {
    "leak": Case(
        "shortest leak, 3 processes x 1 page, v5.7", Size("v5.7", 3, 1, GUP), (),
        {"SPIN -O0 -DBFS": ("spin", {"optimise": "-O0", "bfs": True, "stop": True, "hashing": 20}),
         "SPIN -O2 -DBFS": ("spin", {"optimise": "-O2", "bfs": True, "stop": True, "hashing": 20}),
         "rumur": ("rumur", {})},
        {"SPIN -O0 -DBFS": 5, "rumur": 10}, {"SPIN -O0 -DBFS": 10, "rumur": 20},
    ),
    "proof-3x1": Case(
        "proof, 3 x 1, v6.1 with pins", Size("v6.1", 3, 1, PIN), (),
        {"SPIN -O0, renaming by hand": ("spin", {"optimise": "-O0", "renaming": True, "hashing": 20}),
         "SPIN -O2, renaming by hand": ("spin", {"renaming": True, "hashing": 20}),
         "rumur": ("rumur", {})},
        {"SPIN -O0, renaming by hand": 3}, {"SPIN -O0, renaming by hand": 8},
    ),
    "proof-2x2-direct": Case(
        "the same, 2 x 2 without projection to a page", Size("v6.1", 2, 2, PIN), (),
        {"SPIN -O0, renaming by hand": ("spin", {"optimise": "-O0", "renaming": True, "hashing": 20})}, {}, {},
    ),
    "proof-2x2": Case(
        "proof, 2 x 2, v6.1 with pins, by projection", Size("v6.1", 2, 2, PIN), ("--project",),
        {"SPIN -O0, renaming by hand": ("spin", {"optimise": "-O0", "renaming": True, "hashing": 20}),
         "SPIN -O2, renaming by hand": ("spin", {"renaming": True, "hashing": 20})},
        {"SPIN -O0, renaming by hand": 20}, {"SPIN -O0, renaming by hand": 35},
    ),
    "proof-2x2-plain": Case(
        "proof, 2 x 2, v6.1 with pins, no exit and no read, by projection", Size("v6.1", 2, 2, FEW), ("--project",),
        {"SPIN -O2": ("spin", {})},
        {"SPIN -O2": 100}, {"SPIN -O2": 200},
    ),
    "proof-3x2": Case(
        "proof, 3 x 2, v6.1 with pins, no pressure and no read, by the product",
        Size("v6.1", 3, 2, DRY), ("--product",),
        {"SPIN -O2, renaming by hand": ("spin", {"renaming": True})},
        {"SPIN -O2, renaming by hand": 4}, {"SPIN -O2, renaming by hand": 6},
    ),
    "4x1": Case("verdict, 4 x 1, v6.1 with pins", Size("v6.1", 4, 1, PIN), (), {}, {}, {}),
    "5x1": Case("verdict, 5 x 1, v6.1 with pins", Size("v6.1", 5, 1, PIN), (), {}, {}, {}),
    "8x1": Case("verdict, 8 x 1, v6.1 with pins", Size("v6.1", 8, 1, PIN), (), {}, {}, {}),
    "5x1-machines": Case("the same, 5 x 1, whole machines", Size("v6.1", 5, 1, PIN), ("--machines",), {}, {}, {}),
    "4x1-gup": Case("verdict, 4 x 1, v6.1 with references", Size("v6.1", 4, 1, GUP), (), {}, {}, {}),
    "4x1-v5.7": Case("verdict, 4 x 1, v5.7", Size("v5.7", 4, 1, GUP), (), {}, {}, {}),
}  # fmt: skip


@cache
def _peer(program):
    return {"spin": spin, "rumur": rumur}[program]


def timed(function, *args, **options):
    """((seconds, seconds of CPU of the processes that it started), what it returned)."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    found = function(*args, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (time.perf_counter() - began, cpu), found


def measure(case, rounds):
    """Rounds of cowlab and its peers in turn; medians in seconds, ratios to cowlab, and what they counted."""
    compiled()
    times: dict[str, list[tuple[float, float]]] = {"cowlab": []}
    said, missing = {}, []
    for _ in range(rounds if case.peers else min(rounds, 3)):
        seconds, found = timed(cowlab, case.size, *case.options)
        times["cowlab"].append(seconds)
        said["cowlab"] = f"{found['verdict']}, {found['states']:,} states"
        for name, (program, options) in case.peers.items():
            if not installed(program):
                missing.append(name)
                continue
            with tempfile.TemporaryDirectory() as folder:
                seconds, report = timed(_peer(program), case.size, folder, **options)
            times.setdefault(name, []).append(seconds)
            states = (rumur_counts if program == "rumur" else pan_counts)(report)[0]
            said[name] = f"{states:,} states"
    medians = {name: statistics.median(wall for wall, _ in found) for name, found in times.items()}
    cpu = {name: statistics.median(cpu for _, cpu in found) for name, found in times.items()}
    return {
        "case": case.about, "seconds": medians, "cpu": cpu, "rounds": times, "said": said,
        "ratio": {name: medians[name] / medians["cowlab"] for name in medians if name != "cowlab"},
        "cpu ratio": {name: cpu[name] / cpu["cowlab"] for name in cpu if name != "cowlab"},
        "must": case.must, "aim": case.aim, "not installed": sorted(set(missing)),
    }  # fmt: skip


# -- Measures without a peer, and rates -------------------------------------------------------------------


class Measure(NamedTuple):
    """One figure: what, how much, and what it must and shall be; ``most``: it must not be more, else not less."""

    about: str
    value: float
    unit: str = ""
    must: float | None = None
    aim: float | None = None
    most: bool = True

    @property
    def held(self):
        return self.must is None or (self.value <= self.must if self.most else self.value >= self.must)


def growth(_):
    """How many times the states of a whole space, when one process more comes: up to symmetry."""
    for name, steps, must, aim in (("v5.7", GUP, 20, 15), ("v6.1", PIN, 8, 5), ("v6.1", GUP, None, None)):
        for whole in (False, True) if must else (False,):
            found = [explore(kernel(name), n, 1, steps, machines=whole, go_on=True).states for n in (2, 3, 4)]
            listed = f"{'pins' if steps == PIN else 'references'}, {', '.join(f'{n:,}' for n in found)}"
            about = f"growth per process, 2 to 4 x 1, {name}, {listed} {'machines' if whole else 'islands'}"
            yield Measure(about, max(b / a for a, b in pairwise(found)), "x", *((None, None) if whole else (must, aim)))


def rates(rounds):
    """States per second of CPU: the product's, and the raw rate without any reduction, beside pan's."""
    raw, big = Size("v5.7", 2, 1, GUP), Size("v6.1", 3, 2, DRY)
    table = automaton(Space(kernel(big.kernel), 3, 2, parse_steps(big.steps)), "leak")
    mine, product_, pan, renaming = [], [], [], []
    with tempfile.TemporaryDirectory() as plain_folder, tempfile.TemporaryDirectory() as renaming_folder:
        if installed("spin"):
            spin(Size("v6.1", 2, 2, DRY), plain_folder)
            spin(big, renaming_folder, renaming=True)
        for _ in range(min(rounds, 3)):
            began = time.process_time()
            found = explore(kernel(raw.kernel), raw.processes, raw.pages, raw.steps, full=True, go_on=True)
            mine.append(found.states / (time.process_time() - began))
            began = time.process_time()
            walked = product(table, 2, symmetric=False)
            product_.append(walked.states / (time.process_time() - began))
            for folder, to in ((plain_folder, pan), (renaming_folder, renaming)) if installed("spin") else ():
                (_, cpu), report = timed(run, ["./pan", "-m20000000", "-w20", "-E", "-c0"], folder)
                to.append(pan_counts(report)[0] / cpu)
    mine, product_ = statistics.median(mine), statistics.median(product_)
    yield Measure("states per second, cowlab --full, 2 x 1, v5.7", mine)
    yield Measure(f"states per second, product explorer, 3 x 2, v6.1, {walked.states:,} states", product_)
    if not pan:
        yield Measure("states per second, pan: SPIN is not installed", float("nan"))
        return
    pan, renaming = statistics.median(pan), statistics.median(renaming)
    yield Measure("states per second, pan -O2, plain, 2 x 2, v6.1", pan)
    yield Measure("states per second, pan -O2, renaming by hand, 3 x 2, v6.1", renaming)
    yield Measure("product explorer / pan, plain", product_ / pan, "x", 4, 8, most=False)
    yield Measure("product explorer / pan, renaming", product_ / renaming, "x", 4, 8, most=False)
    yield Measure("raw unreduced rate / pan, plain", mine / pan, "x", aim=0.05, most=False)


def answers(rounds):
    """How long an answer takes: a litmus test in a running process, the catalogue and the design space from scratch."""
    slowest, which, pairs = 0.0, "", 0
    for name in litmus.catalogue():
        test = litmus.load(name)
        for row in KERNELS.values():
            times, pairs = [], pairs + 1
            for _ in range(3):
                began = time.perf_counter()
                litmus.judge(test, row)
                times.append(time.perf_counter() - began)
            if statistics.median(times) > slowest:
                slowest, which = statistics.median(times), f"{name} on {row.name}"
    yield Measure(f"a litmus test on one kernel, slowest of {pairs:,}: {which}", 1000 * slowest, "ms", 50)
    for about, words, must in (
        (f"{len(litmus.catalogue())} tests x {len(KERNELS)} kernels, process start included",
         ["litmus", "--json", *litmus.catalogue()], 5),
        ("design space, process start included", ["designs", "--json"], 30),
    ):  # fmt: skip
        times = [timed(run, [*COWLAB, *words], None, env=compiled())[0][0] for _ in range(min(rounds, 3))]
        yield Measure(about, statistics.median(times), "s", must)


def order(_):
    """What partial-order reduction would pay within an island. Among islands it is had: none is put beside another.

    An ample set here is all steps of one process, and must commute with every step of everybody else. Demanding that
    only where they stand, and not of all that may follow, is too little to be sound, so this is the most that it could
    leave out."""
    for size in (Size("v5.7", 3, 1, GUP), Size("v6.1", 3, 1, PIN)):
        islands = Islands(Space(kernel(size.kernel), 3, 1, parse_steps(size.steps)), "leak")
        everything, ample = _lone(islands, False), _lone(islands, True)
        about = f"islands left by ample sets, at best, of {everything:,}, 3 x 1, {size.kernel}"
        yield Measure(about, 100 * ample / everything, "%")


def _lone(islands, ample):
    """How many islands are met, if of some only one process's steps are taken."""
    space = islands.space
    found = list(islands.machine(space.start))
    known = set(found)
    for i in found:  # which grows
        s = islands.states[i]
        after = {a: space.apply(s, a) for a in space.actions(s)}
        for a in (_ample(islands, s, after) if ample and len(s.procs) > 1 else None) or after:
            for part in islands_of(after[a]):
                (j,) = islands.machine(part)
                if j not in known:
                    known.add(j)
                    found.append(j)
    return len(found)


def _ample(islands, s, after):
    """The steps of a process that does something, if they commute with those of all others; or None."""
    space = islands.space

    def commute(a, b):
        ab, ba = after[a], after[b]
        both = b in space.actions(ab) and a in space.actions(ba)
        return both and islands.machine(space.apply(ab, b)) == islands.machine(space.apply(ba, a))

    for p in s.procs:
        mine = [a for a in after if a.proc == p.name]
        others = [b for b in after if b.proc != p.name]
        if any(after[a] != s for a in mine) and all(commute(a, b) for a in mine for b in others):
            return mine
    return None


MEASURES = {"growth": growth, "rates": rates, "answers": answers, "order": order}


# -- The table --------------------------------------------------------------------------------------------


def machine():
    """The date and what it ran on."""
    cpu = next(
        (x.split(":")[1].strip() for x in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in x), ""
    )
    versions = {"python": platform.python_version()}
    for program, option in (("spin", "-V"), ("rumur", "--version"), ("gcc", "-dumpversion")):
        if shutil.which(program):
            done = subprocess.run([program, option], capture_output=True, text=True)
            versions[program] = (done.stdout + done.stderr).strip().splitlines()[0]
    return {"date": date.today().isoformat(), "cpu": cpu, "versions": versions}


def table(rows):
    """The rows as Markdown."""
    lines = ["| case | cowlab | peer | peer, s | ratio | of CPU | must | aim |", "|---|--:|---|--:|--:|--:|--:|--:|"]
    for row in rows:
        mine = f"{row['seconds']['cowlab']:.2f} s ({row['said']['cowlab']})"
        for name in row["ratio"] or [""]:
            if name:
                bounds = [f"{row[k][name]:g}x" if name in row[k] else "" for k in ("must", "aim")]
                rest = [
                    f"{name} ({row['said'][name]})",
                    f"{row['seconds'][name]:.2f}",
                    f"{row['ratio'][name]:.1f}x",
                    f"{row['cpu ratio'][name]:.1f}x",
                    *bounds,
                ]
            else:
                rest = [""] * 6
            lines.append(f"| {row['case']} | {mine} | " + " | ".join(rest) + " |")
        lines += [f"| {row['case']} | {mine} | {name}: not installed | | | | | |" for name in row["not installed"]]
    return "\n".join(lines)


def measures_table(found):
    """The measures as Markdown."""
    lines = ["| measure | value | must | aim |", "|---|--:|--:|--:|"]
    for m in found:
        sign = "at most " if m.most else "at least "
        bounds = ["" if bound is None else f"{sign}{bound:g} {m.unit}" for bound in (m.must, m.aim)]
        lines.append(f"| {m.about} | {m.value:,.{0 if m.value >= 1000 else 3 if m.value < 0.1 else 1}f} {m.unit} | "
                     + " | ".join(bounds) + " |")  # fmt: skip
    return "\n".join(lines)


def main(arguments=None):
    every = [*CASES, *MEASURES]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"of {', '.join(every)} (default: all, and the counts)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="write what was found there, too")
    parser.add_argument("--counts", action="store_true", help="compare the counts, and stop")
    args = parser.parse_args(arguments)
    if unknown := set(args.what) - set(every):
        parser.error(f"unknown {sorted(unknown)[0]!r}; choose from {', '.join(every)}")
    began, equal, missed = time.perf_counter(), [], []
    for size, what in () if args.what else EQUAL:
        found = counts(size, what)
        said = "not installed" if found is None else "equal" if found[0] == found[1] else "DIFFERENT"
        equal.append({"size": size._asdict(), "peer": what, "cowlab": found and found[0], "its": found and found[1]})
        missed += [f"counts of {size} and {what}"] if said == "DIFFERENT" else []
        print(f"{size.kernel} {size.processes}x{size.pages} {','.join(size.steps)}: {what} {found} {said}", flush=True)
    result = {"machine": machine(), "counts": equal, "rows": [], "measures": []}
    wanted = [] if args.counts else args.what or every
    for name in (n for n in CASES if n in wanted):
        result["rows"].append(row := measure(CASES[name], args.rounds))
        missed += [f"{row['case']}: {p}" for p, must in row["must"].items() if row["ratio"].get(p, must) < must]
        print(*table([row]).splitlines()[2:], sep="\n", file=sys.stderr, flush=True)
    found = [m for name in MEASURES if name in wanted for m in MEASURES[name](args.rounds)]
    missed += [m.about for m in found if not m.held]
    result |= {"measures": [m._asdict() for m in found], "missed": missed, "seconds": time.perf_counter() - began}
    about = result["machine"]
    print(f"\n{about['date']}, {about['cpu']}, {about['versions']}, {result['seconds'] / 60:.1f} min\n")
    print(*([table(result["rows"])] if result["rows"] else []), *([measures_table(found)] if found else []), sep="\n\n")
    print("\n" + ("\n".join(f"MISSED: {m}" for m in missed) or "No count differs, and every must holds."))
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
