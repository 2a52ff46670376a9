"""How long one waits every day: for the command line, for `import cowlab`, and for the first lesson in JupyterLab.

    python tests/bench/everyday.py [--rounds N] [--lab-rounds N] [--json FILE]

A round tries each command once, in turn, so that other load falls on all of them; the table has medians, and the range.
A round of JupyterLab is `cowlab lab` as after an installation (an empty HOME, no lessons yet) and Chromium with an
empty profile. Its clock starts with the command. The lesson is opened as soon as the address has been printed; it is
*visible* when its heading is, *executed* when its first code cell has run, and the player is *ready* when its slider,
which the kernel made, has moved the picture.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from browser import LAUNCH_FLAGS, find_chromium, new_page
from serving import COWLAB, serve, stop

ROOT = Path(__file__).parents[2]
LESSON = "notebooks/02-fork-shares.ipynb"
PLAYER = "player"  # the id of the lesson's first cell with a player
EMPTY = "python -c pass"
COMMANDS = {
    EMPTY: (sys.executable, "-c", "pass"),
    "python -c 'import cowlab'": (sys.executable, "-c", "import cowlab"),
    "cowlab --help": (*COWLAB, "--help"),
    "cowlab lab --help": (*COWLAB, "lab", "--help"),
    "cowlab litmus child-reads-parent-secret": (*COWLAB, "litmus", "child-reads-parent-secret"),
}
RUN = """async ([first, last]) => {
    const panel = window.jupyterapp.shell.currentWidget;
    for (let n = first; n <= last; n++) {
        panel.content.activeCellIndex = n;
        await window.jupyterapp.commands.execute("notebook:run-cell");
    }
}"""
CODE = """() => window.jupyterapp.shell.currentWidget.content.widgets
    .map((cell, n) => [cell.model.type, cell.model.id, n]).filter(([type]) => type === "code")"""
READY = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


def seconds(command: tuple[str, ...], folder: str) -> tuple[float, float]:
    """One run: from start to end, and of it on a CPU (which other load hardly changes). Raises CalledProcessError."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    began, before = time.perf_counter(), os.times()
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    took, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return took, cpu


def lab(browser, home: Path) -> dict[str, float]:
    """One round of JupyterLab: what had happened -> seconds since the command."""
    names = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
    environment = os.environ | dict.fromkeys(names, str(home)) | {"PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    running = serve(home / "cow-lessons", "--test-hooks", env=environment, log=home / "log.txt")
    then = {"JupyterLab answers": time.perf_counter() - began}
    page = new_page(browser, height=4000)
    try:
        page.goto(f"{running.url}/lab/tree/{LESSON}?token={running.token}")
        page.locator(".jp-Notebook h1").first.wait_for()
        then["lesson visible"] = time.perf_counter() - began
        page.wait_for_function(READY, polling=50)
        then["its kernel idle"] = time.perf_counter() - began
        code = page.evaluate(CODE)
        first, last = code[0][2], next(n for _, id, n in code if id == PLAYER)
        page.evaluate(RUN, [first, first])
        then["first cell executed"] = time.perf_counter() - began
        page.evaluate(RUN, [first + 1, last])
        slider = page.locator(".cowlab-player input[type=range]").first
        slider.wait_for()
        slider.press("ArrowRight")
        page.wait_for_function("document.querySelector('.cowlab-player input[type=range]').value === '1'", polling=20)
        then["player ready"] = time.perf_counter() - began
    finally:
        page.context.close()
        stop(running.process)
    return then


def measure(rounds: int, lab_rounds: int) -> dict[str, list[float]]:
    """What was timed -> the seconds of each round."""
    found: dict[str, list[float]] = {}

    def note(times: dict[str, float]) -> None:
        for name, took in times.items():
            found.setdefault(name, []).append(took)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for n in range(rounds + 1):  # the first round only warms the files' cache
            times = {name: seconds(command, folder) for name, command in COMMANDS.items()}
            note({name: took for name, (took, _) in times.items()} if n else {})
            note({f"{name}, CPU": cpu for name, (_, cpu) in times.items()} if n else {})
            print(f"\rcommands, round {n} of {rounds}", end="", file=sys.stderr, flush=True)
    for cpu in ("", ", CPU"):
        added = zip(found["cowlab --help" + cpu], found[EMPTY + cpu], strict=True)
        found[f"cowlab --help, more than {EMPTY}{cpu}"] = [a - b for a, b in added]
    if lab_rounds and find_chromium():
        from playwright.sync_api import sync_playwright

        with sync_playwright() as driver:
            for n in range(lab_rounds):
                browser = driver.chromium.launch(executable_path=find_chromium(), args=LAUNCH_FLAGS)
                with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
                    note(lab(browser, Path(home)))
                browser.close()
                print(f"\rJupyterLab, round {n + 1} of {lab_rounds}", end="", file=sys.stderr, flush=True)
    print("\r" + " " * 40, end="\r", file=sys.stderr, flush=True)
    return found


def about() -> dict[str, str]:
    """Where and when, as far as figures depend on it."""
    info = Path("/proc/cpuinfo")
    names = [line.partition(": ")[2] for line in info.read_text("utf-8").splitlines() if line.startswith("model name")]
    chromium = find_chromium()
    said = subprocess.run([chromium, "--version"], capture_output=True, encoding="utf-8") if chromium else None
    return {
        "date": date.today().isoformat(),
        "cpu": f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores",
        "load": " ".join(f"{n:.1f}" for n in os.getloadavg()),
        "python": platform.python_version(),
        "jupyterlab": metadata.version("jupyterlab"),
        "chromium": said.stdout.strip() if said else "none",
    }


def table(found: dict[str, list[float]]) -> str:
    """Medians and ranges, as Markdown."""
    lines = ["| | median | from | to |", "|---|--:|--:|--:|"]
    for name, times in found.items():
        digits = 1 if statistics.median(times) > 1 else 3
        middle, low, high = (f"{n:.{digits}f} s" for n in (statistics.median(times), min(times), max(times)))
        lines.append(f"| {name} | {middle} | {low} | {high} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21, metavar="N", help="of the commands (default: 21)")
    parser.add_argument("--lab-rounds", type=int, default=5, metavar="N", help="of JupyterLab (default: 5; 0: none)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's seconds")
    args = parser.parse_args(arguments)
    if args.rounds < 1 or args.lab_rounds < 0:
        parser.error("at least one round of the commands, and none or more of JupyterLab")
    where = about()
    found = measure(args.rounds, args.lab_rounds)
    print(", ".join(f"{name} {value}" for name, value in where.items()), table(found), sep="\n\n")
    if args.json:
        args.json.write_text(json.dumps({"about": where, "seconds": found}, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
