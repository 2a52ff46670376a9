"""Decks: made of the lessons and nothing else, whole in one file, and fit for a screen of 1280 by 720 and for paper."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from browser import find_chromium, new_page

from cowlab import slides
from cowlab.cli import main
from cowlab.litmus.errors import LitmusError

LESSONS = slides.lessons()
TAUGHT = [name for name in LESSONS if not name.startswith("00-")]
COUNT = itertools.count()
EACH = pytest.mark.parametrize("name", TAUGHT)


def notebook(name):
    return nbformat.reads(LESSONS[name].decode(), as_version=4)


def cell(kind, text, outputs=None):
    id = f"cell-{next(COUNT)}"
    metadata = {"slideshow": {"slide_type": kind}} if kind else {}
    if outputs is None:
        return nbformat.v4.new_markdown_cell(text, id=id, metadata=metadata)
    return nbformat.v4.new_code_cell(text, id=id, metadata=metadata, outputs=outputs)


def shown(*cells):
    """The slides of these cells, each as the words on it."""
    made = slides.slides_of(nbformat.v4.new_notebook(cells=list(cells)))
    words = [re.sub(r"<[^>]+>", " ", re.sub(r"</?span[^>]*>", "", "".join(s.parts))) for s in made]
    return [" ".join(w.split()) for w in words]


def asked(id):
    return nbformat.v4.new_output("display_data", {"text/plain": f"Question {id}\n...", "text/html": "<p>...</p>"})


SAID = [nbformat.v4.new_output("stream", name="stdout", text="one < two\n")]
PLACES = [
    ("two slides", [cell("slide", "one"), cell("slide", "two")], ["one", "two"]),
    ("a subslide is a slide", [cell("slide", "one"), cell("subslide", "two")], ["one", "two"]),
    ("a fragment stays on its slide", [cell("slide", "one"), cell("fragment", "two")], ["one two"]),
    ("so does what says nothing", [cell("slide", "one"), cell("-", "two"), cell("", "three")], ["one two three"]),
    ("skipped", [cell("slide", "one"), cell("skip", "two"), cell("fragment", "three")], ["one three"]),
    ("notes are not shown", [cell("slide", "one"), cell("notes", "two")], ["one"]),
    ("nothing before the first slide", [cell("-", "zero"), cell("slide", "one")], ["one"]),
    ("code and what it printed", [cell("slide", "f(1)", outputs=SAID)], ["f(1) one &lt; two"]),
    ("links are words", [cell("slide", "see [there](05.ipynb)")], ["see there"]),
]


@pytest.mark.parametrize(("cells", "words"), [row[1:] for row in PLACES], ids=[row[0] for row in PLACES])
def test_a_cell_goes_where_its_metadata_says(cells, words):
    """The slide types of nbconvert and RISE, with their meaning."""
    assert shown(*cells) == words


def test_notes_are_the_speakers():
    """What a notebook folds away as speaker notes, the deck gives to the speaker, without the fold."""
    note = "<details><summary>Speaker notes</summary>\n\nAsk *first*.\n\n</details>"
    made = slides.slides_of(nbformat.v4.new_notebook(cells=[cell("slide", "one"), cell("notes", note)]))
    assert [re.sub(r"\s", "", "".join(s.notes)) for s in made] == ["<p>Ask<em>first</em>.</p>"]


def test_a_question_has_a_slide_to_itself():
    """Neither code nor another question stands beside it; the cell that only asks shows no code."""
    two = [asked("05-first-writer"), asked("05-secret")]
    made = slides.slides_of(nbformat.v4.new_notebook(cells=[cell("slide", "f()", outputs=SAID + two)]))
    assert ["reveal-answer" in "".join(s.parts) for s in made] == [False, True, True]
    assert shown(cell("slide", "# Exit"), cell("fragment", "ask()", outputs=two))[0].startswith("Exit After the fork")
    assert "ask" not in shown(cell("slide", "ask()", outputs=two[:1]))[0]


@EACH
class TestEveryDeck:
    def test_is_a_lecture(self, name):
        """15 to 25 slides for 45 minutes; speaker notes; two questions for the room, each with an answer to reveal."""
        made = slides.slides_of(notebook(name))
        assert 15 <= len(made) <= 25
        assert any(s.notes for s in made)
        assert "".join(p for s in made for p in s.parts).count("reveal-answer") >= 2

    def test_has_no_second_source(self, name):
        """Every heading of a cell that is not skipped or the speaker's is in the deck, in order, and no other one."""
        kept = [
            c.source
            for c in notebook(name).cells
            if c.cell_type == "markdown" and c.metadata["slideshow"]["slide_type"] not in ("skip", "notes")
        ]
        headings = [h for text in kept for h in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
        page = re.sub(r"<aside.*?</aside>", "", slides.deck(notebook(name), name).html, flags=re.DOTALL)
        found = re.findall(r"<h[1-6]>(.*?)</h[1-6]>", page)
        assert [re.sub(r"<[^>]+>|&\w+;|\W", "", h) for h in found] == [re.sub(r"\W", "", h) for h in headings]

    def test_needs_nothing_else(self, name):
        """One file: no address to load from, whatever the network."""
        page = slides.deck(notebook(name), name).html
        body = page[page.index("<body>") : page.index("</section>\n</div>")]
        assert (
            re.findall(r'<(?:link|iframe|base|object)\b|<a\b|<script[^>]*\bsrc|(?:src|href)="(?!data:)[^"]*', body)
            == []
        )
        assert re.findall(r"@import|url\((?!data:)[^)]*\)", page[: page.index("</style>")]) == []
        assert re.findall(r"<script[^>]*\bsrc=", page) == []

    def test_a_player_becomes_a_film(self, name):
        """Every step of a trace that the lesson plays is in the deck as a picture with an alternative text."""
        for c in notebook(name).cells:
            if c.cell_type == "code" and re.search(r"\.player\([^()]*\)\s*$", c.source):
                if c.metadata["slideshow"]["slide_type"] == "skip":
                    continue
                stored = "".join("".join(o.get("data", {}).get("text/html", "")) for o in c.outputs)
                kept = "".join(slides._code(c))
                assert stored.count("<img") == kept.count("<img") >= 2
                assert re.findall(r"<img(?![^>]*\balt=)[^>]*>", kept) == []


# The command

BAD = [
    (["slides", "5"], "no lesson '5'"),
    (["slides", "05-eitherway"], "did you mean '05-either-way'?"),
    (["slides", "nowhere.ipynb"], "cannot read nowhere.ipynb"),
    (["slides", "bad.ipynb"], "bad.ipynb is no notebook"),
    (["slides", "05", "-o", "bad.ipynb"], "cannot write"),
    (["slides", "none.ipynb"], "has no slides"),
]


@pytest.mark.parametrize(("argv", "message"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input(argv, message, tmp_path, monkeypatch, capsys):
    """One message on stderr, exit status 2, no traceback."""
    monkeypatch.chdir(tmp_path)
    Path("bad.ipynb").write_text("not JSON")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell("", "plain")]), "none.ipynb")
    assert main(argv) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.startswith("cowlab: ")
    assert said.out == ""


def test_without_chromium(tmp_path, monkeypatch, capsys):
    """--pdf says what is missing and what to do, before anything is written."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["slides", "05", "-o", str(tmp_path / "decks"), "--pdf"]) == 2
    assert "no Chromium on PATH" in capsys.readouterr().err
    assert not (tmp_path / "decks").exists()


def test_a_browser_that_cannot_print(tmp_path):
    """A message that names the page and the reason, and no PDF of an earlier day left behind."""
    page, pdf = tmp_path / "a.html", tmp_path / "a.pdf"
    page.write_text("<p>")
    pdf.write_text("old")
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho 'cannot open display' >&2\nexit 1\n")
    broken.chmod(0o755)
    if os.name != "posix":
        pytest.skip("a shell script stands in for the browser")
    with pytest.raises(LitmusError, match=r"could not print a\.html: cannot open display"):
        slides.print_pdf(page, pdf, str(broken))
    assert not pdf.exists()


def test_writes_what_it_says(tmp_path, capsys):
    """--json: one document, a row for each deck; the files are there, and two runs write the same bytes."""
    assert main(["slides", "05", "07-the-fix", "05", "-o", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["lesson"] for row in rows] == ["05-either-way", "07-the-fix"]
    for row in rows:
        page = Path(row["html"]).read_text("utf-8")
        assert page.count("<section ") == row["slides"]
        assert page == slides.deck(notebook(row["lesson"]), row["lesson"]).html


def test_is_light_to_name():
    """`cowlab slides --help` loads neither nbconvert nor nbformat."""
    script = "import sys, cowlab.slides; print({'nbconvert', 'nbformat', 'pygments'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# In the browser, from file://, with the network off

QUICK = [pytest.param(n, marks=[] if n == "05-either-way" else [pytest.mark.full]) for n in TAUGHT]


@pytest.fixture
def opened(browser, tmp_path):
    """A function that opens the deck of a lesson; every request and error of the page is noted."""
    pages = []

    def open_deck(name, query=""):
        page = new_page(browser, width=1280, height=720, offline=True)
        page.trouble = []
        page.on("request", lambda r: r.url.startswith(("file:", "data:")) or page.trouble.append(r.url))
        page.on("requestfailed", lambda r: page.trouble.append(f"failed: {r.url[:80]}"))
        page.on("pageerror", lambda e: page.trouble.append(str(e)))
        page.on("console", lambda m: m.type == "error" and page.trouble.append(m.text))
        file = tmp_path / f"{name}.html"
        file.write_text(slides.deck(notebook(name), name).html, "utf-8")
        page.goto(file.as_uri() + query)
        if not query:
            page.wait_for_function("window.Reveal && Reveal.isReady()")
        pages.append(page)
        return page

    yield open_deck
    for page in pages:
        page.context.close()


OVERFLOW = """() => {
  const section = Reveal.getCurrentSlide();
  const out = [...section.querySelectorAll('*')].filter((e) => {
    const box = e.getBoundingClientRect();
    const seen = box.width && !e.closest('aside, .film figure:not(.shown)');
    return seen && (box.right > 1281 || box.bottom > 721 || box.left < -1 || box.top < -1);
  });
  return [section.dataset.cell, section.scrollHeight > 720, section.scrollWidth > 1280, out.map((e) => e.tagName)];
}"""


@pytest.mark.parametrize("name", QUICK)
def test_fits_the_screen(opened, name):
    """From file:// offline: no failed request, and on no slide, before or after its last key press, does anything
    reach beyond 1280 by 720. No text is set smaller than can be read from the back."""
    page = opened(name)
    total = page.evaluate("Reveal.getTotalSlides()")
    assert total == slides.deck(notebook(name), name).slides
    for n in range(total):
        page.evaluate("(n) => { const {h, v} = Reveal.getIndices(Reveal.getSlides()[n]); Reveal.slide(h, v, -1); }", n)
        while True:
            cell_id, *over = page.evaluate(OVERFLOW)
            assert over == [False, False, []], cell_id
            if not page.evaluate("Reveal.availableFragments().next"):
                break
            page.evaluate("Reveal.nextFragment()")
        assert page.evaluate("parseFloat(getComputedStyle(Reveal.getCurrentSlide()).fontSize)") >= 17, cell_id
    assert page.locator(".slide-number").inner_text().split() == [str(total), "/", str(total)]
    assert page.trouble == []


def test_a_film_steps(opened):
    """By the key that turns the slides, by its buttons, and by its slider; one frame is seen at a time."""
    page = opened("05-either-way")
    page.evaluate(
        """() => { const s = document.querySelector('[data-cell=leak]'), {h, v} = Reveal.getIndices(s);
                   Reveal.slide(h, v, -1); }"""
    )
    film = page.locator("[data-cell=leak] .film")
    frames, place = film.locator("figure"), film.locator("output")
    assert frames.count() == 5

    def seen():
        return [n for n in range(5) if frames.nth(n).is_visible()]

    assert (seen(), place.inner_text()) == ([0], "0 of 4")
    page.keyboard.press("ArrowRight")
    assert (seen(), place.inner_text()) == ([1], "1 of 4")
    film.get_by_role("button", name="Next").click()
    assert seen() == [2]
    film.get_by_label("Step").focus()
    page.keyboard.press("End")
    assert (seen(), place.inner_text()) == ([4], "4 of 4")
    film.get_by_role("button", name="Previous").click()
    assert seen() == [3]
    film.get_by_label("Step").focus()
    page.keyboard.press("Home")
    assert seen() == [0]
    assert page.trouble == []


def test_a_question_keeps_its_answer(opened):
    """What is right, why, and what the others believe, is seen after the button, and not before."""
    page = opened("05-either-way")
    page.evaluate(
        """() => { const s = document.querySelector('[data-cell=predict-secret]'), {h, v} = Reveal.getIndices(s);
                   Reveal.slide(h, v, -1); Reveal.nextFragment(); }"""
    )
    question = page.locator("[data-cell=predict-secret] .question")
    assert not question.locator(".answer").is_visible()
    assert not question.locator(".belief").first.is_visible()
    question.get_by_role("button", name="Reveal the answer").click()
    assert question.locator(".answer").is_visible()
    assert question.locator(".belief").all_inner_texts() == [
        "M9: the writer always copies, so the direction is fixed", "M6: a reference keeps my data (it keeps the frame)",
        "M10: it takes threads or a race", "right",
    ]  # fmt: skip


def test_the_speaker_sees_notes(opened):
    """Key S opens a window with the notes of the slide, from file:// too."""
    page = opened("05-either-way")
    with page.context.expect_page() as popup:
        page.keyboard.press("s")
    notes = popup.value.locator(".speaker-controls-notes .value")
    notes.get_by_text("Ask the room before anything is shown").wait_for()


@pytest.mark.parametrize("name", QUICK)
def test_on_paper(browser, name, tmp_path):
    """As many pages as slides; on each, all of it."""
    pdf = tmp_path / f"{name}.pdf"
    page = tmp_path / f"{name}.html"
    made = slides.deck(notebook(name), name)
    page.write_text(made.html, "utf-8")
    assert slides.print_pdf(page, pdf, find_chromium()) == made.slides
    view = new_page(browser, width=1280, height=720, offline=True)
    view.goto(page.as_uri() + "?print-pdf")
    view.wait_for_selector("html.print-pdf")
    cut = "[...document.querySelectorAll('section')].filter((s) => s.scrollHeight > 720).map((s) => s.dataset.cell)"
    assert view.evaluate(cut) == []
    view.context.close()
