"""cowlab beside SPIN and rumur: equal counts first, then times, interleaved.

    python tests/bench/compare.py [--rounds 5] [--json FILE] [--counts] [CASE ...]

Times, by the clock and of CPU (which other load sways less), are of whole processes: for SPIN `spin -a`, gcc and pan,
for rumur `rumur`, gcc and the checker, for cowlab the command. Rounds are interleaved, medians are compared, and
every peer has the flags that serve it best in the case.
Counts are compared with `--full`, and where symmetry is compared with what the peer reduces: SPIN's states with
renaming by hand are the orbits of cowlab's, expanded. A peer that is not installed has a row that says so.
"""

import argparse
import json
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

from cowlab import kernel
from cowlab.explore import explore
from cowlab.explore.islands import Islands
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


def run(command, folder, timeout=600):
    """stdout of a command that must succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout)
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


def cowlab(size, *options):
    """The command, in a process of its own, as JSON."""
    command = [
        sys.executable, "-c", "import sys; from cowlab.cli import main; sys.exit(main())",  # as the script `cowlab`
        "explore", "--json", "--kernel", size.kernel, "--processes",
        str(size.processes), "--pages", str(size.pages), "--steps", ",".join(size.steps), *options,
    ]  # fmt: skip
    return json.loads(run(command, None))


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
            mine = explore(kernel(size.kernel), size.processes, size.pages, size.steps, go_on=True)
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
    "proof-2x2": Case(
        "proof, 2 x 2, v6.1 with pins, by projection", Size("v6.1", 2, 2, PIN), ("--project",),
        {"SPIN -O0, renaming by hand": ("spin", {"optimise": "-O0", "renaming": True, "hashing": 20}),
         "SPIN -O2, renaming by hand": ("spin", {"renaming": True, "hashing": 20})},
        {"SPIN -O2, renaming by hand": 20}, {"SPIN -O2, renaming by hand": 35},
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
    "4x1-gup": Case("verdict, 4 x 1, v6.1 with references", Size("v6.1", 4, 1, GUP), (), {}, {}, {}),
    "4x1-v5.7": Case("verdict, 4 x 1, v5.7, whole space", Size("v5.7", 4, 1, GUP), ("--go-on",), {}, {}, {}),
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
    times: dict[str, list[tuple[float, float]]] = {"cowlab": []}
    said, missing = {}, []
    for _ in range(rounds):
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


def rates():
    """Growth per process with symmetry, and the raw rate without it beside pan's."""
    found = {}
    for name, steps in (("v5.7", GUP), ("v6.1", PIN)):
        states = [explore(kernel(name), n, 1, steps, go_on=True).states for n in (2, 3, 4)]
        found[name] = {"states": states, "growth": [b / a for a, b in pairwise(states)]}
    size, big = Size("v5.7", 2, 1, GUP), Size("v6.1", 3, 2, DRY)
    mine = explore(kernel(size.kernel), size.processes, size.pages, size.steps, full=True, go_on=True)
    walked = product(automaton(Space(kernel(big.kernel), 3, 2, parse_steps(big.steps)), "leak"), 2, symmetric=False)
    found["states/s"] = {"cowlab --full": mine.states / mine.seconds, "product": walked.states / walked.seconds}
    if installed("spin"):
        for name, at, renaming in (("pan, plain", Size("v6.1", 2, 2, DRY), False), ("pan, renaming", big, True)):
            with tempfile.TemporaryDirectory() as folder:
                spin(at, folder, renaming=renaming)
                times = [timed(run, ["./pan", "-m20000000", "-w20", "-E", "-c0"], folder) for _ in range(3)]
            states = pan_counts(times[0][1])[0]
            found["states/s"][name] = states / statistics.median(cpu for (_, cpu), _ in times)
            found.setdefault("states", {})[name] = states
        found["states"] |= {"product": walked.states}
        found["--full / pan"] = found["states/s"]["cowlab --full"] / found["states/s"]["pan, plain"]
        found["product / pan, renaming"] = found["states/s"]["product"] / found["states/s"]["pan, renaming"]
        found["product / pan, plain"] = found["states/s"]["product"] / found["states/s"]["pan, plain"]
    return found


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


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--counts", action="store_true", help="compare the counts, and stop")
    args = parser.parse_args(arguments)
    if unknown := set(args.cases) - set(CASES):
        parser.error(f"unknown case {min(unknown)!r}; choose from {', '.join(CASES)}")
    equal = True
    for size, what in EQUAL if args.counts or not args.cases else ():
        found = counts(size, what)
        same = "not installed" if found is None else "equal" if found[0] == found[1] else "DIFFER"
        equal &= same != "DIFFER"
        print(
            f"{size.kernel} {size.processes} x {size.pages} {','.join(size.steps)} {what}: {same} {found or ''}",
            flush=True,
        )
    if args.counts:
        return 0 if equal else 1
    rows = []
    for name in args.cases or CASES:
        rows.append(measure(CASES[name], args.rounds))
        print(table(rows[-1:]).splitlines()[-max(1, len(rows[-1]["ratio"])) :], file=sys.stderr, flush=True)
    about = machine()
    result = {"machine": about, "rows": rows} | ({} if args.cases else {"rates": rates()})
    print(f"\n{about['date']}, {about['cpu']}, {about['versions']}\n\n{table(rows)}")
    if "rates" in result:
        print("\n" + json.dumps(result["rates"], indent=1))
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
