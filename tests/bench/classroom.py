"""How long a class takes: python tests/bench/classroom.py [--size 200] [--json FILE]. Run it on a quiet machine.

A synthetic class, of all exercises: four in ten submissions are right, three wrong (drawn from the known answers of
tests/solutions), one is broken and two are hostile (drawn from tests/grading). It is graded with one job, with two,
with two and `kill -9` in the middle, and by two workers of a Dask cluster. The wall time of each run is printed, and
the tables of marks are compared byte for byte. The exit status is 1 if they differ, or if anything was lost or graded
twice. Leave the source of cowlab alone meanwhile: a change of it is a reason to grade again.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from cluster import cluster  # noqa: E402
from grading.hostile import CODE, FILES, fill  # noqa: E402

from cowlab.grade.journal import Journal, contents  # noqa: E402
from cowlab.grade.notebook import read_notebook  # noqa: E402
from cowlab.grade.release import known_answers, student_form  # noqa: E402

COUNTS = ROOT / "tests" / "grading" / "counts.ipynb"
COMMAND = [sys.executable, "-c", "import sys; from cowlab.cli import main; sys.exit(main())"]
KINDS = ("right", "right", "right", "right", "wrong", "wrong", "wrong", "broken", "hostile", "hostile")


def filled(source: Path, answers: dict[str, str]) -> dict:
    """The learners' form of a source, with these answers."""
    form = student_form(read_notebook(source), source.stem)
    for cell in form["cells"]:
        cell["source"] = answers.get(cell["metadata"].get("nbgrader", {}).get("grade_id"), cell["source"])
    return form


def answers_of(source: Path, n: int, right: bool) -> dict[str, str]:
    """The nth right answer of each question; or, of some, the nth that is not."""
    asked, known = known_answers(source)
    chosen = {}
    for i, q in enumerate(asked.questions):
        fits = [k.answer for k in known if k.of == q.id and (k.score == 1) is (right or bool((n + 1) >> i & 1 == 0))]
        chosen[q.id] = fits[n % len(fits)]
    return chosen


def make(folder: Path, size: int) -> dict[str, int]:
    """A class of this size, one folder a student; how many there are of each kind."""
    world = {name: str(folder.parent / name) for name in ("home", "work", "scratch", "other")}
    for name in ("home", "work", "scratch"):
        Path(world[name]).mkdir()
    Path(world["other"]).write_text(json.dumps(filled(COUNTS, {})))
    places = world | {"source": str(COUNTS), "package": str(ROOT / "cowlab"), "mark": "cowlab-was-here", "port": 9}
    sources = sorted((ROOT / "tests" / "solutions").glob("*.ipynb"))
    files = {name: f for name, f in FILES.items() if name != "a folder"}
    kinds = {"broken": list(files.values()), "hostile": list(CODE.values())}
    number = {kind: sum(KINDS[n % len(KINDS)] == kind for n in range(size)) for kind in dict.fromkeys(KINDS)}
    seen = dict.fromkeys(number, 0)
    right = {"q2": "q2 = [[2, 2], [2, 3], [1, 2], [1, 2]]"}
    for n in range(size):
        kind, source = KINDS[n % len(KINDS)], sources[n % len(sources)]
        if kind in kinds:  # evenly spread over all there are
            chosen = kinds[kind][seen[kind] * len(kinds[kind]) // number[kind]]
            source = COUNTS
        seen[kind] += 1
        path = folder / f"s{n:04}" / source.name
        path.parent.mkdir(parents=True)
        if kind == "broken":
            chosen(filled(COUNTS, right), path, places)
        elif kind == "hostile":
            path.write_text(json.dumps(filled(COUNTS, right | {"q1": fill(chosen, places)})))
        else:
            path.write_text(json.dumps(filled(source, answers_of(source, n // len(KINDS), kind == "right"))))
    return number


def start(work: Path, name: str, *more: str) -> subprocess.Popen:
    words = ["grade", "in", "--csv", f"{name}.csv", "--journal", f"{name}.journal", "--html", f"{name}-html", *more]
    for path in [*sorted((ROOT / "exercises").glob("*.ipynb")), COUNTS]:
        words += ["--exercise", str(path)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([*COMMAND, *words], cwd=work, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def timed(work: Path, name: str, *more: str) -> float:
    """Wall time of a run that came to its end."""
    begun = time.perf_counter()
    run = start(work, name, *more)
    _, said = run.communicate()
    if run.returncode:
        raise SystemExit(f"{name}: exit status {run.returncode}: {said.decode()[-2000:]}")
    return time.perf_counter() - begun


def killed(work: Path, name: str, after: int) -> None:
    """A run that ends by kill -9 as soon as so many results are kept."""
    run, journal = start(work, name, "--jobs", "2"), work / f"{name}.journal"
    while run.poll() is None and (not journal.exists() or journal.read_bytes().count(b'"result"') < after):
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.communicate()


def gradings(work: Path, name: str) -> tuple[int, int]:
    """How many gradings a journal has, and of how many submissions."""
    journal = work / f"{name}.journal"
    lines = [line for line in journal.read_bytes().splitlines() if line.startswith(b'{"of"') and line.endswith(b"}}")]
    with Journal(journal) as kept:
        return len(lines), len(kept.known)


def main(size: int, to: Path | None) -> int:
    from distributed import __version__ as dask

    found: dict = {"size": size, "cores": os.cpu_count(), "python": platform.python_version(), "dask": dask}
    with tempfile.TemporaryDirectory(prefix="cowlab-class-") as folder:
        work = Path(folder)
        work.chmod(0o755)
        begun = time.perf_counter()
        found["kinds"] = make(work / "in", size)
        readable = sum(contents(path) is not None for path in (work / "in").glob("*/*.ipynb"))
        told = ", ".join(f"{n} {kind}" for kind, n in found["kinds"].items())
        print(f"a class of {size}: {told}; {readable} are regular files of a size to be graded", flush=True)
        print(f"{'made':<34}{time.perf_counter() - begun:9.1f} s", flush=True)
        found["runs"] = {}

        def report(name: str, seconds: float, number: int = size):
            found["runs"][name] = {"seconds": round(seconds, 2), "a submission": round(seconds / number, 3)}
            print(f"{name:<34}{seconds:9.1f} s{seconds / number:9.2f} s a submission", flush=True)

        report("two jobs", timed(work, "two", "--jobs", "2"))
        report("again, nothing has changed", timed(work, "two", "--jobs", "2"))
        report("one job", timed(work, "one"))
        begun = time.perf_counter()
        killed(work, "killed", max(1, readable // 2))
        found["before the kill"] = gradings(work, "killed")[0]
        report(
            "two jobs, kill -9 half-way, resumed", time.perf_counter() - begun + timed(work, "killed", "--jobs", "2")
        )
        with ExitStack() as stack:
            address, _ = stack.enter_context(cluster(work, 2))
            report("Dask, two workers", timed(work, "dask", "--scheduler", address))
        found["gradings"] = {name: gradings(work, name) for name in ("one", "two", "killed", "dask")}
        marks = {name: (work / f"{name}.csv").read_text() for name in found["gradings"]}
        reports = {name: (work / f"{name}-html" / "index.html").read_text() for name in marks}
        journals = {name: (work / f"{name}.journal").read_text() for name in marks}
        rows = len(marks["one"].splitlines()) - 1
    wrong = [f"{rows} rows of marks"] * (rows != size)
    for name, (times, submissions) in found["gradings"].items():
        print(f"{name:<34}{times} gradings of {submissions} submissions")
        if not times == submissions == readable:
            wrong.append(f"{name}: {times} gradings of {submissions} submissions; it should be {readable} of each")
        for what, texts in (("marks", marks), ("class report", reports), ("journal", journals)):
            if texts[name] != texts["one"]:
                wrong.append(f"{name}: another {what} than with one job: {differs(texts[name], texts['one'])}")
    found["wrong"] = wrong
    print(
        "\n".join(wrong) or "Marks, class reports and journals are the same, byte for byte. Nothing lost, none twice."
    )
    if to:
        to.write_text(json.dumps(found, indent=1) + "\n")
    return int(bool(wrong))


def differs(text: str, other: str) -> str:
    pairs = zip(text.splitlines(), other.splitlines(), strict=False)
    return next((f"\n  {a[:300]}\n  {b[:300]}" for a, b in pairs if a != b), "in length")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    sys.exit(main(args.size, args.json))
