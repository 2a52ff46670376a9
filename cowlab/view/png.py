"""SVG to PNG, where something on the machine can: nothing of it is a dependency."""

import shutil
import subprocess
import tempfile
from pathlib import Path

__all__ = ["png"]

SCALE = 2  # pixels of the PNG to one of the SVG: it is read on projectors


def png(svg: str) -> bytes | None:
    """By the first of these that is there: the Python packages resvg_py or cairosvg, rsvg-convert, Chromium. None where
    there is none."""
    for way in (_resvg, _cairosvg, _rsvg, _chromium):
        try:
            made = way(svg)
        except Exception:  # not installed, or broken: the next one
            continue
        if made and made.startswith(b"\x89PNG"):
            return made
    return None


def _resvg(svg: str) -> bytes:
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=SCALE))


def _cairosvg(svg: str) -> bytes:
    import cairosvg

    return cairosvg.svg2png(svg.encode(), scale=SCALE)


def _rsvg(svg: str) -> bytes | None:
    program = shutil.which("rsvg-convert")
    return (
        program
        and subprocess.run(
            [program, "--zoom", str(SCALE)], input=svg.encode(), capture_output=True, check=True, timeout=60
        ).stdout
    )


def _chromium(svg: str) -> bytes | None:
    """A headless browser takes a picture of a page that is as large as the drawing."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        return None
    width, height = (_pixels(svg, name) for name in ("width", "height"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page, made = Path(folder, "page.html"), Path(folder, "made.png")
        page.write_text(f"<!doctype html><style>body{{margin:0}}svg{{display:block}}</style>{svg}", "utf-8")
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
        ]
        options += [f"--force-device-scale-factor={SCALE}", f"--window-size={width},{height}", f"--screenshot={made}"]
        subprocess.run([program, *options, page.as_uri()], capture_output=True, check=True, timeout=60)
        return made.read_bytes()


def _pixels(svg: str, name: str) -> int:
    size = svg.split(f' {name}="', 1)[1].split('"', 1)[0]
    return round(float(size.removesuffix("pt")) * (4 / 3 if size.endswith("pt") else 1) + 0.5)
