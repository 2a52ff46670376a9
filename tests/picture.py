"""The README's stepped picture: python tests/picture.py writes it; a test compares it with what is drawn now."""

import re
from pathlib import Path

from cowlab import kernel, load, run
from cowlab.view import scene_svg, scenes

PICTURE = Path(__file__).parents[1] / ".readme" / "leak.svg"
SECONDS = 3  # for each step
SAYS = "child-reads-parent-secret on v5.7, step by step: fork, vmsplice, munmap, and P's write, which C's pipe holds."


def picture() -> str:
    """One SVG that shows the steps in turn; without motion, the last."""
    trace = run(load("child-reads-parent-secret"), kernel("v5.7"), "P C C P")
    steps = [scene_svg(scene) for scene in scenes(trace)]
    width, height = 730, max(int(re.search(r'height="(\d+)"', step)[1]) for step in steps)
    n, style = len(steps), re.search(r"<style>.*?</style>", steps[0], re.S)[0]
    frames = [re.sub(r"<style>.*?</style>|<title>.*?</title>|<desc>.*?</desc>", "", s, flags=re.S) for s in steps]
    shown = f"@keyframes s{{0%,{100 / n - 0.01:.2f}%{{visibility:visible}}{100 / n:.2f}%,100%{{visibility:hidden}}}}"
    motion = "".join(
        f".s{i}{{animation:s {n * SECONDS}s step-end infinite;animation-delay:{i * SECONDS}s}}" for i in range(n)
    )
    hidden = ",".join(f".s{i}" for i in range(n))
    still = f"@media (prefers-reduced-motion:reduce){{{hidden}{{animation:none}}.s{n - 1}{{visibility:visible}}}}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}"><title>{SAYS}</title>{style}<style>{hidden}{{visibility:hidden}}{shown}{motion}{still}</style>'
        + "".join(f'<g class="s{i}">{frame}</g>' for i, frame in enumerate(frames))
        + "</svg>\n"
    )


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(), "utf-8")
