"""The class report: what an instructor reads, whoever handed in what; offline, accessible, printable."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import new_page, off_host

from cowlab.course.misconceptions import MISCONCEPTIONS
from cowlab.grade.overview import as_overview
from cowlab.grade.report import as_csv, write_html

EVIL = [
    "<script>alert(1)</script>",
    "'\"><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "&lt;b&gt;",
    "a b/../../c",
]
BOX = "namespaces (mount, pid, net, ipc, uts), a root of its own, limits"


def question(id, points, of=2, believes=(), problem=""):
    return {
        "id": id, "points": points, "of": of, "score": points / of, "said": [], "believes": list(believes), "hint": "",
        "schedule": None, "problem": problem,
    }  # fmt: skip


def result(name, *questions, exercise="05-either-way", problem="", doubt="", isolation=BOX, student=None):
    found = {
        "submission": name, "exercise": exercise, "points": sum(q["points"] for q in questions),
        "of": sum(q["of"] for q in questions), "problem": problem, "isolation": isolation if not problem else "",
        "validated": "" if problem else "nbval 0.11.0", "doubt": doubt, "questions": list(questions),
    }  # fmt: skip
    return found | ({} if student is None else {"student": student})


def a_class(number=24):
    """Two exercises, full marks to none, beliefs, a doubt, files that could not be read."""
    found = []
    for n in range(number):
        exercise = "04-three-counts" if n % 3 else "05-either-way"
        q1 = question("q1", n % 5 / 2, believes=["M9"] * (n % 4 == 1))
        q2 = question(
            "q2", n % 3 * 2, 4, ["M5", "M9"] if n % 3 == 1 else [], "NameError: name 'x' is not defined" * (n % 3 == 0)
        )
        doubt = "q1: the rubric gives 2 of 2 parts, nbval 1" * (n == 7)
        found.append(
            result(f"in/s{n:02}/{exercise}.ipynb", q1, q2, exercise=exercise, doubt=doubt, student=f"s{n // 2:02}")
        )
    found.append(
        result("in/s90/05.ipynb", exercise="", problem="is not a notebook: not JSON, or cut off", student="s90")
    )
    return found


def page_of(results, **more):
    return as_overview(results, [f"{n}.html" for n in range(len(results))], **more)


class Tables(HTMLParser):
    """caption -> rows of (tag, text)."""

    def __init__(self, text):
        super().__init__()
        self.found, self.rows, self.cell = {}, [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td", "caption"):
            self.cell = ""
            self.scope = dict(attrs).get("scope")

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data

    def handle_endtag(self, tag):
        if tag == "caption":
            self.rows = self.found[self.cell] = []
        elif tag in ("th", "td"):
            self.rows[-1].append((tag, self.scope, self.cell))
        if tag in ("th", "td", "caption"):
            self.cell = None


def rows_of(text, caption):
    tables = Tables(text).found
    name = next(c for c in tables if c.startswith(caption))
    return [[cell for _, _, cell in row] for row in tables[name]]


def test_a_column_a_question_and_a_misconception():
    """And a row a submission, with its points and its note."""
    head, *rows = rows_of(page_of(a_class()), "04-three-counts: marks (q1 of 2, q2 of 4")
    assert head == ["Student", "Submission", "Points", "q1", "q2", "M5", "M9", "Note"]
    assert len(rows) == 16
    assert rows[0] == ["s00", "in/s01/04-three-counts.ipynb", "2.5 of 6", "0.5", "2", "1", "2", ""]
    assert [row[-1] for row in rows if row[-1]] == ["q1: the rubric gives 2 of 2 parts, nbval 1"]


def test_how_the_class_did():
    """The distribution counts every submission once, the questions' means are means, beliefs are counted by
    submission, students' points are added up."""
    text = page_of(a_class(), missing=["s91"])
    counts = [int(row[1]) for row in rows_of(text, "04-three-counts: distribution")[1:]]
    assert (len(counts), sum(counts)) == (11, 16)
    q1 = rows_of(text, "04-three-counts: questions")[1]
    assert q1[:6] == ["q1", "2", "50 %", "3", "10", "3"]
    beliefs = {row[0]: row[2] for row in rows_of(text, "Misconceptions that answers show")[1:]}
    assert beliefs == {"M5": "8", "M9": "12"}
    students = rows_of(text, "Points of each student")
    assert students[0] == ["Student", "04-three-counts", "05-either-way", "Sum"]
    assert students[1] == ["s00", "2.5", "0", "2.5"]
    assert "On the roster, and nothing handed in (1): s91." in text


def test_what_a_person_should_look_at():
    text = page_of(a_class())
    rows = rows_of(text, "Files that could not be read, and marks in doubt")
    assert [row[:2] for row in rows[1:]] == [
        ["in/s07/04-three-counts.ipynb", "in doubt"], ["in/s90/05.ipynb", "could not be graded"]]  # fmt: skip
    assert "All files could be read" in page_of(a_class()[:3])
    assert rows_of(text, "Isolation in force")[1:] == [[BOX, "24"], ["none: nothing of it was run", "1"]]


@pytest.mark.parametrize("evil", EVIL)
def test_hostile_text_stays_text(evil):
    """Whoever chose a name, a folder or a message: it is shown, and nothing of it is markup or an address."""
    r = result(evil, question("q1", 0, problem=evil), exercise=evil, doubt=evil, student=evil)
    text = as_overview([r, result(evil, problem=evil, exercise="")], [evil, "b.html"], [evil], [evil])
    assert not re.search(r"<(script|img|b)\b", text)
    assert not re.search(r"href='(?!#|[\w%./@+-]+')", text)
    assert evil in "".join(c for row in rows_of(text, f"{evil}: marks") for c in row)
    assert "href='javascript:" not in text


def test_it_needs_nothing_else():
    """One file: no script, no address of another host, no file beside it but the linked pages."""
    text = page_of(a_class())
    assert not re.search(r"<script|<link|https?:|@import|url\(|src=", text)
    assert set(re.findall(r"href='([^'#]+)'", text)) == {f"{n}.html" for n in range(25)}
    for anchor in re.findall(r"href='#([^']+)'", text):
        assert f"id='{anchor}'" in text


def test_every_table_has_its_words():
    """A caption; a scope for each heading; a number beside each bar."""
    text = page_of(a_class())
    assert text.count("<table>") == text.count("<caption>") == len(Tables(text).found) >= 9
    for rows in Tables(text).found.values():
        assert {scope for tag, scope, _ in rows[0] if tag == "th"} == {"col"}
        assert {row[0][:2] for row in rows[1:]} <= {("th", "row")}
        assert len({len(row) for row in rows}) == 1
    assert text.count("<svg aria-hidden='true'") == text.count("<svg")


def test_an_empty_class():
    assert "0 submissions." in page_of([])


def test_pages_stand_where_the_submissions_do(tmp_path):
    """Below one folder, under harmless names, no two the same, and none in the place of the class report."""
    names = ["anna/05.ipynb", "anna/ex/05.ipynb", "../../up.ipynb", "/etc/x.ipynb", "a<b>/c d.ipynb", "index.ipynb",
             "ANNA/05.ipynb", "..ipynb", "x" * 300 + "/y.ipynb"]  # fmt: skip
    pages = write_html([result(n, question("q1", 1)) for n in names], tmp_path, names)
    found = [p.relative_to(tmp_path).as_posix() for p in pages]
    assert found[:2] == ["anna/05.html", "anna/ex/05.html"]
    assert found[4:7] == ["a-b-/c-d.html", "index-2.html", "ANNA/05-2.html"]
    assert len({f.casefold() for f in found}) == len(names)
    for page in pages:
        assert Path(page).resolve().is_relative_to(tmp_path.resolve())
        assert page.is_file()


def test_columns_are_in_order():
    """Exercise by exercise, whoever comes first; with a roster the first column is the student."""
    assert "of,04-three-counts q1,04-three-counts q2,05-either-way q1,05-either-way q2,M5,M9" in as_csv(a_class())
    assert as_csv(a_class()).splitlines()[0].startswith("student,submission,exercise,points,of,")
    assert as_csv([result("a")]).splitlines()[0].startswith("submission,exercise,points,of,")


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.full)])
def test_axe_finds_nothing(browser, theme, tmp_path):
    """In both themes, wide and narrow; nothing is asked of another machine; only tables scroll sideways."""
    sync = pytest.importorskip("axe_playwright_python.sync_playwright")
    (tmp_path / "index.html").write_text(
        page_of(a_class(), missing=["s91", "s92"], about=["It had 10 seconds."]), "utf-8"
    )
    for width in (1280, 400):
        page = new_page(browser, width=width, height=900, color_scheme=theme)
        strangers = off_host(page)
        page.goto((tmp_path / "index.html").as_uri())
        found = sync.Axe().run(page).response["violations"]
        assert [(v["id"], v["impact"], v["nodes"][0]["html"], v["nodes"][0]["failureSummary"]) for v in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert strangers == []
    assert {m for m in MISCONCEPTIONS if f">{m}<" in page.content()} == {"M5", "M9"}


def test_it_prints(browser, tmp_path):
    """On paper nothing is cut off: no table is wider than the sheet."""
    (tmp_path / "index.html").write_text(page_of(a_class()), "utf-8")
    page = new_page(browser, width=794, height=1123)
    page.goto((tmp_path / "index.html").as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("Math.max(...[...document.querySelectorAll('table')].map(t => t.offsetWidth))") <= 794
    assert page.pdf(format="A4")[:5] == b"%PDF-"
