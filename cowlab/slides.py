"""`cowlab slides`: lecture decks out of the lessons, one HTML file each, that need no network; and PDF by Chromium.

There is no second source. A cell's slide metadata, which nbconvert and RISE read too, says where it goes: `slide` and
`subslide` begin a slide, `fragment` appears at a key press, `notes` is for the speaker, `skip` is left out, and
anything else follows on. What the lesson stored as the output of a cell is what the deck shows. Three things are added:
a question gets its answer to reveal (from `cowlab.course`), the steps of a trace become a film strip, and each
slide is set as large as fits (`_deck/deck.js`).

nbconvert renders the text and the code. Its own slides template is not used: it loads seven scripts from the network.
reveal.js 5.2.1 lies in `_deck`, with its licence.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from .litmus.errors import LitmusError, nearest
from .terminal import progress, say

__all__ = ["Deck", "Slide", "add_parser", "deck", "lessons", "print_pdf", "run", "slides_of"]

FOLDER = "cow-decks"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
NO_BROWSER = (
    f"no Chromium on PATH to print with (looked for {', '.join(BROWSERS)}); on Debian: apt-get install chromium"
)
PATIENCE = 120  # seconds for one PDF
ASKS = '<div class="question">'


class Slide(NamedTuple):
    """HTML of what is shown, part by part, and of what only the speaker sees."""

    id: str  # of the cell that begins it
    parts: list[str]
    notes: list[str]


class Deck(NamedTuple):
    """A finished deck: the lesson's file name without its ending, the title, the page, and how many slides it has."""

    name: str
    title: str
    html: str
    slides: int


# The command


def add_parser(commands):
    """Describe `cowlab slides` to argparse."""
    parser = commands.add_parser(
        "slides",
        help="make lecture decks of the lessons",
        description="Write one self-contained HTML deck for each lesson. It opens without a network.",
        epilog="example: cowlab slides 05 07 -o decks --pdf",
    )
    parser.add_argument("lessons", nargs="*", metavar="LESSON", help="05, 05-either-way, or a notebook (default: all)")
    parser.add_argument("-o", "--output", metavar="DIR", default=FOLDER, help=f"where to (default: ./{FOLDER})")
    parser.add_argument("--pdf", action="store_true", help="print each deck to PDF too, by Chromium")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)
    return parser


def run(args) -> int:
    """Write the decks. Raises LitmusError for an unknown lesson, or a folder or a PDF that cannot be written."""
    known = lessons()
    chosen = [_find(name, known) for name in args.lessons] or [n for n in known if not n.startswith("00-")]
    browser = _browser() if args.pdf else None
    folder = Path(args.output)
    done = []
    chosen = list(dict.fromkeys(chosen))
    for name in progress(chosen, len(chosen), "decks"):
        made = deck(_read(name, known), Path(name).stem)
        page = folder / f"{made.name}.html"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            page.write_text(made.html, "utf-8")
        except OSError as e:
            raise LitmusError(f"cannot write {page}: {e.strerror or e}", "name a folder of your own with -o") from None
        row = {"lesson": made.name, "html": str(page), "slides": made.slides}
        if browser:
            row |= {"pdf": str(page.with_suffix(".pdf")), "pages": print_pdf(page, page.with_suffix(".pdf"), browser)}
        if not args.json:
            pdf = f"; {row['pdf']}, {row['pages']} pages" if browser else ""
            say(f"{page}: {made.slides} slides{pdf}")
        done.append(row)
    if args.json:
        print(json.dumps(done, indent=1))
    return 0


def lessons() -> dict[str, bytes]:
    """Every notebook of the course by its name without ending: those of the clone, or those that were installed."""
    from .lab import Refusal, upstream

    try:
        found = upstream()
    except Refusal as e:
        raise LitmusError(str(e)) from None
    notebooks = {n: text for n, text in found.items() if re.fullmatch(r"notebooks/\d\d-[^/]+\.ipynb", n)}
    return {Path(n).stem: text for n, text in sorted(notebooks.items())}


def _find(word: str, known: Mapping[str, bytes]) -> str:
    """The name of a lesson, or the path of a notebook of one's own."""
    if word.endswith(".ipynb"):
        return word
    found = [n for n in known if word in (n, n[:2])]
    if not found:
        raise LitmusError(f"no lesson {word!r}", nearest(word, known) or "choose one of the legal names", legal=known)
    return found[0]


def _read(name: str, known: Mapping[str, bytes]):
    import nbformat

    try:
        text = known[name] if name in known else Path(name).read_bytes()
        return nbformat.reads(text.decode("utf-8"), as_version=4)
    except OSError as e:
        raise LitmusError(f"cannot read {name}: {e.strerror or e}") from None
    except (ValueError, AttributeError, nbformat.ValidationError):
        raise LitmusError(f"{name} is no notebook", "give a lesson's number or an .ipynb file") from None


# The deck


def deck(notebook, name: str) -> Deck:
    """Make a deck of a notebook (an nbformat 4 node). LitmusError if its metadata makes no slide."""
    slides = slides_of(notebook)
    if not slides:
        raise LitmusError(f"{name} has no slides", 'set slide_type to "slide" in the slideshow metadata of a cell')
    named = re.search(r"^# (.+)$", notebook.cells[0].source, re.MULTILINE)
    title = named[1] if named else name
    heading, sections = "", []
    for slide in slides:
        found = re.findall(r"<h[1-3]>(.*?)</h[1-3]>", "".join(slide.parts))
        sections.append(_section(slide, "" if found else heading))
        heading = found[-1] if found else heading
    return Deck(name, title, _page(title, "\n".join(sections)), len(slides))


def slides_of(notebook) -> list[Slide]:
    """The slides that the cells' metadata ask for, in order."""
    slides: list[Slide] = []
    for cell in notebook.cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "-")
        if kind == "skip" or (kind != "slide" and not slides):
            continue
        if kind == "notes":
            slides[-1].notes.append(_markdown(re.sub(r"</?details>|<summary>.*?</summary>", "", cell.source)))
            continue
        blocks = [_markdown(cell.source)] if cell.cell_type == "markdown" else _code(cell)
        if kind in ("slide", "subslide"):
            slides.append(Slide(cell.id, [], []))
        for block in blocks:
            if ASKS in block and any(ASKS in part or '<div class="code">' in part for part in slides[-1].parts):
                slides.append(Slide(f"{cell.id}-{len(slides)}", [], []))  # a question wants the room to itself
            shown = f'<div class="fragment">{block}</div>' if kind == "fragment" and slides[-1].parts else block
            slides[-1].parts.append(shown)
    return slides


def _section(slide: Slide, continues: str) -> str:
    """A slide without a heading of its own repeats, smaller, the one that it continues."""
    running = f'<p class="running">{continues}</p>' if continues else ""
    notes = f'<aside class="notes">{"".join(slide.notes)}</aside>' if slide.notes else ""
    return f'<section data-cell="{escape(slide.id)}">{running}{"".join(slide.parts)}{notes}</section>'


def _markdown(text: str) -> str:
    """Markdown as HTML. Links become plain words: a deck travels alone."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    html = MarkdownWithMath(renderer=IPythonRenderer(escape=False, exclude_anchor_links=True)).render(text)
    return re.sub(r"</?a\b[^>]*>", "", html)


def _code(cell) -> list[str]:
    """The blocks of a code cell: its source and its outputs. Of a cell that only asks, the questions alone."""
    outputs = [_output(o) for o in cell.get("outputs", ())]
    questions = [o for o in outputs if ASKS in o]
    others = "".join(o for o in outputs if ASKS not in o)
    if questions and not others:
        return questions
    code = f'<div class="code">{_highlighted(cell.source)}</div>'
    return [f'<div class="cell">{code}<div class="outputs">{others}</div></div>', *questions]


def _highlighted(source: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return highlight(source, PythonLexer(), HtmlFormatter(nowrap=False))


def _output(output) -> str:
    """One stored output: a question with its answer, HTML without its words (the picture has an alt text), or text."""
    if output.output_type == "stream":
        return _pre(output.text)
    data = output.get("data", {})
    text = data.get("text/plain", "")
    question = re.match(r"Question (\S+)\n", text)
    if question:
        return _question(question[1]) or _pre(text)
    html = data.get("text/html")
    if html is None:
        return _pre(text) if text else ""
    words = r"<details><summary>[^<]*\bwords</summary><pre>.*?</pre></details>"
    clean = re.sub(rf"<!--.*?-->|<style>.*?</style>|{words}", "", html, flags=re.DOTALL)
    return f'<div class="output">{clean}</div>'


def _pre(text: str) -> str:
    return f'<pre class="text">{escape(text.rstrip(), quote=False)}</pre>'


def _question(id: str) -> str:
    """A question for the room: vote, then reveal which answer is right, why, and what each other one believes."""
    from .course import MISCONCEPTIONS, QUESTIONS
    from .course.ask import markup

    if id not in QUESTIONS:
        return ""
    q = QUESTIONS[id]
    rows = []
    for letter, choice in zip(q.letters, q.choices, strict=True):
        belief = f"{choice.believes}: {markup(MISCONCEPTIONS[choice.believes].belief)}" if choice.believes else "right"
        rows.append(
            f'<li class="{"right" if choice.right else "wrong"}"><b>{letter}</b> <span>{markup(choice.text)}</span>'
            f'<small class="belief">{belief}</small></li>'
        )
    because = next(c.because for c in q.choices if c.right)
    setting = f"<pre>{escape(q.setting)}</pre>" if q.setting else ""
    return (
        f'{ASKS}<p class="prompt">{markup(q.prompt)}</p>{setting}<ul class="choices">{"".join(rows)}</ul>'
        '<p><button type="button" class="reveal-answer">Reveal the answer</button></p>'
        f'<p class="answer fragment"><b>{q.right}.</b> {markup(because)}</p></div>'
    )


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<div class="reveal">
<div class="slides">
{sections}
</div>
</div>
{scripts}
</body>
</html>
"""


def _page(title: str, sections: str) -> str:
    from pygments.formatters import HtmlFormatter

    asset = files(__package__).joinpath("_deck")
    read = {n: asset.joinpath(n).read_text("utf-8") for n in
            ("reveal.css", "deck.css", "reveal.js", "notes.js", "deck.js")}  # fmt: skip
    style = read["reveal.css"] + HtmlFormatter().get_style_defs(".highlight") + read["deck.css"]
    scripts = "\n".join(f"<script>{read[n]}</script>" for n in ("reveal.js", "notes.js", "deck.js"))
    return PAGE.format(title=escape(title), style=style, sections=sections, scripts=scripts)


# Paper


def _browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise LitmusError(NO_BROWSER, "or leave --pdf out")
    return found


def print_pdf(page: Path, pdf: Path, browser: str) -> int:
    """Print a deck, one page a slide, and return the number of pages. LitmusError if the browser could not."""
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            browser, "--headless", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}",
            *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),  # root in a container
            "--disable-background-networking", "--virtual-time-budget=20000", "--no-pdf-header-footer",
            f"--print-to-pdf={pdf.resolve()}", f"{page.resolve().as_uri()}?print-pdf",
        ]  # fmt: skip
        pdf.unlink(missing_ok=True)
        try:
            said = subprocess.run(
                command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=PATIENCE,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
            why = (said.stderr.strip().splitlines() or [f"exit status {said.returncode}"])[-1]
        except subprocess.TimeoutExpired:
            why = f"not ready after {PATIENCE} seconds"
        except OSError as e:
            why = str(e.strerror or e)
    if not pdf.is_file():
        raise LitmusError(f"{browser} could not print {page.name}: {why}", "or leave --pdf out")
    return len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes()))
