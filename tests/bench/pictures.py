"""What pictures cost: python tests/bench/pictures.py

Prints, for the story and for a trace of 40 steps with three processes and three pages: milliseconds to draw a state as
SVG, to make all pictures and words of the trace, to make the widget; bytes that go to the browser; and, where there is
Chromium, milliseconds from the slider's move to the painted picture. Medians of many runs. No test asserts them.
"""

import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from browser import LAUNCH_FLAGS, find_chromium
from widgets import mount

from cowlab import kernel, load, parse, run
from cowlab.ui import executions, player, scheduler, side_by_side
from cowlab.view import scene_svg, scene_text, scenes

LONG = (
    """litmus long
init
  P: x = old
  P: y = old
  P: z untouched
P      | C                | D
fork C | vmsplice x -> pipe | io_uring y -> buf
fork D | read z           | write z 1
"""
    + "write x a | write x b | read y\n" * 2
    + "write y 1 | write x 7 | write x c\n" * 9
    + "| write x 8 |\nexists P.x == a\n"
)

# The slider is dragged with the mouse. A step begins when the page hears of it, before the widget does, and is done
# with the first task after the next frame: the picture has been laid out and painted by then.
HEAR = """() => {
  window.took = [];
  document.addEventListener("input", () => {
    const start = performance.now(), channel = new MessageChannel();
    channel.port1.onmessage = () => window.took.push(performance.now() - start);
    requestAnimationFrame(() => channel.port2.postMessage(0));
  }, true);
}"""


def drag(page, steps: int) -> list[float]:
    """Milliseconds of each step while the slider is dragged from its start to its end, sorted."""
    box = page.get_by_role("slider", name="Step").bounding_box()
    page.evaluate(HEAR)
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 8, y)
    page.mouse.down()
    for n in range(1, steps):
        page.mouse.move(box["x"] + 8 + (box["width"] - 16) * n / (steps - 1), y)
        page.wait_for_timeout(30)
    page.mouse.up()
    return sorted(page.evaluate("window.took"))


def median(f, n: int = 30) -> float:
    """Milliseconds of a call."""
    took = []
    for _ in range(n):
        start = time.perf_counter()
        f()
        took.append((time.perf_counter() - start) * 1000)
    return statistics.median(took)


def size(widget) -> int:
    """Bytes that go to the browser, script and style left out."""
    return len(json.dumps({k: v for k, v in widget.get_state().items() if not k.startswith("_")}))


def long_trace(on: str):
    test = parse(LONG)
    order = ["P", "P", *[p for p, actions in test.columns.items() for _ in actions][2:]]
    return run(test, kernel(on), order), test, " ".join(order)


def main() -> None:
    story = run(load("child-reads-parent-secret"), kernel("v5.8"), "P C C P")
    long, test, order = long_trace("v5.8")
    print(f"{'':<28}{'story':>10}{f'{len(long) - 1} steps':>10}")

    def row(name: str, f, unit: str = "ms") -> None:
        print(f"{name:<28}{f(story):>10.2f}{f(long):>10.2f}  {unit}")

    row("a state as SVG", lambda t: max(median(lambda s=s: scene_svg(s), 9) for s in scenes(t)))
    row("a state as words", lambda t: max(median(lambda s=s: scene_text(s), 9) for s in scenes(t)))
    row("all scenes", lambda t: median(lambda: scenes(t)))
    row("all pictures and words", lambda t: median(lambda: [(scene_svg(s), scene_text(s)) for s in scenes(t)]))
    row("the player", lambda t: median(lambda: player(t), 10))
    row("its payload", lambda t: size(player(t)) / 1000, "kB")
    row("side by side, payload", lambda t: size(
        side_by_side(test, order) if t is long else side_by_side("child-reads-parent-secret", "P C C P")) / 1000,
        "kB")  # fmt: skip
    graph = executions("a-crowd-of-four")
    print(f"{f'graph, {graph.count}, payload':<28}{'':>10}{size(graph) / 1000:>10.2f}  kB")
    game = scheduler("child-reads-parent-secret")

    def move_and_back() -> None:
        for message in ({"do": "move", "what": "P"}, {"do": "undo"}):
            game._receive(game, message, [])

    print(f"{'a move in the game, and back':<28}{median(move_and_back):>10.2f}{'':>10}  ms")
    if find_chromium() is None:
        print("no Chromium: the slider was not measured")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_chromium(), args=LAUNCH_FLAGS)
        for name, widget in (
            ("slider to painted frame", player(long)),
            ("... side by side", side_by_side(test, order)),
        ):
            took = drag(mount(browser, widget), len(long))
            print(f"{name:<28}{'':>10}{statistics.median(took):>10.2f}  ms (90 %: {took[int(len(took) * 0.9)]:.2f})")
        browser.close()


if __name__ == "__main__":
    main()
