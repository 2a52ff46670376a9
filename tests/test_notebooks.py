"""What every lesson and exercise owes its reader, whoever wrote it. nbval runs the lessons; this looks at the files."""

import json
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
LESSONS = sorted(ROOT.glob("notebooks/*.ipynb"))
EXERCISES = sorted(ROOT.glob("exercises/*.ipynb"))
TAUGHT = [p for p in LESSONS if re.match(r"(?!00)\d\d-", p.name)]
NOT_COMPARED = re.compile(r"\.(player|diagram|to_dot)\([^()]*\)\s*$")  # a cell that ends in a widget or a DOT drawing
LIVE = re.compile(r"^(?!#).*\blive\.\w+\(", re.MULTILINE)  # a cell that runs on the machine itself
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LIMIT = 400_000  # bytes of a lesson with its outputs: it must open at once, and be pleasant to keep in git
CELL_LIMIT = 120_000


def load(path: Path):
    return json.loads(path.read_text("utf-8"))


def source(cell) -> str:
    return "".join(cell["source"])


def code(notebook):
    return [c for c in notebook["cells"] if c["cell_type"] == "code"]


def tags(cell):
    return cell["metadata"].get("tags", [])


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_there_are_notebooks():
    assert {"00-index.ipynb", "05-either-way.ipynb"} <= {p.name for p in LESSONS}
    assert EXERCISES


@pytest.mark.parametrize("path", LESSONS + EXERCISES, ids=name)
class TestEveryNotebook:
    def test_is_valid(self, path):
        """nbformat 4.5 with ids that mean something, for the kernel that every Jupyter has."""
        nbformat.validate(nbformat.read(path, as_version=nbformat.NO_CONVERT))
        notebook = load(path)
        assert (notebook["nbformat"], notebook["nbformat_minor"]) >= (4, 5)
        assert notebook["metadata"]["kernelspec"] == KERNEL
        ids = [c["id"] for c in notebook["cells"]]
        assert len(set(ids)) == len(ids)
        assert all(re.fullmatch(r"[a-z][a-z0-9-]*", i) for i in ids)
        assert not [i for i in ids if re.fullmatch(r"[0-9a-f]{6,}|[0-9a-f-]{30,}", i)], "a name, not a random number"

    def test_says_nothing_of_the_machine_it_was_made_on(self, path):
        text = path.read_text("utf-8")
        assert not re.search(r"/(work|root|home|tmp|Users)/\w", text)
        assert not re.search(r"0x[0-9a-f]{6,}", text), "the address of an object"

    def test_keeps_no_widget_state(self, path):
        """Without its state a stored view shows an error instead of the static form."""
        assert "application/vnd.jupyter.widget" not in path.read_text("utf-8")
        assert "widgets" not in load(path)["metadata"]

    def test_keeps_no_error(self, path):
        outputs = [o for c in code(load(path)) for o in c["outputs"]]
        assert not [o["ename"] for o in outputs if o["output_type"] == "error"]
        assert not [o["text"] for o in outputs if o["output_type"] == "stream" and o["name"] == "stderr"]

    def test_links_lead_somewhere(self, path):
        """A lesson that is not there yet is named without a link."""
        for cell in load(path)["cells"]:
            for target in re.findall(r"\]\(([^)#]+)[^)]*\)", source(cell)) if cell["cell_type"] == "markdown" else ():
                assert target.startswith("https://") or (path.parent / target).exists(), target

    def test_pictures_have_words(self, path):
        for cell in code(load(path)):
            for output in cell["outputs"]:
                html = "".join(output.get("data", {}).get("text/html", ""))
                assert all(re.search(r'\balt="[^"]{10,}"', img) for img in re.findall(r"<img[^>]*>", html))
                assert "data" not in output or output["data"].get("text/plain")
                assert "image/svg+xml" not in output.get("data", {}), "an untrusted notebook does not show it"


@pytest.mark.parametrize("path", LESSONS, ids=name)
class TestEveryLesson:
    def test_has_been_run_from_top_to_bottom(self, path):
        """nbval compares no cell without an execution count, and says nothing of it."""
        assert [c["execution_count"] for c in code(load(path))] == [*range(1, len(code(load(path))) + 1)]

    def test_is_small(self, path):
        assert path.stat().st_size < LIMIT
        for cell in code(load(path)):
            assert len(json.dumps(cell["outputs"])) < CELL_LIMIT, cell["id"]

    def test_nbval_compares_all_it_can(self, path):
        """Only a drawing, a widget or the machine itself is left out; nothing is skipped."""
        for cell in code(load(path)):
            assert set(tags(cell)) <= {"nbval-ignore-output"}
            assert "NBVAL" not in source(cell)


@pytest.mark.parametrize("path", TAUGHT, ids=name)
class TestEveryTaughtLesson:
    def test_is_short(self, path):
        cells = code(load(path))
        assert len(cells) <= 12
        for cell in cells:
            assert len(source(cell).splitlines()) < 12, cell["id"]
            assert max(map(len, source(cell).splitlines())) <= 110, cell["id"]

    def test_a_drawing_has_a_twin(self, path):
        """A cell that nbval leaves out shows a drawing or a widget, and the next code cell prints it in words. Of a
        question the words are in the cell itself; and no file can say what the reader's own kernel will do."""
        cells = code(load(path))
        for cell, following in zip(cells, [*cells[1:], {"source": ""}], strict=True):
            asks = re.search(r"\bask\([^()]*\)+\s*$", source(cell))
            if "nbval-ignore-output" not in tags(cell):
                assert not NOT_COMPARED.search(source(cell)), f"{cell['id']}: nbval would compare a drawing"
            elif not asks and not LIVE.search(source(cell)):
                assert "<img" in json.dumps(cell["outputs"]), f"{cell['id']}: why is it left out?"
                assert "print(" in source(following), f"{cell['id']}: the next cell prints no twin"

    def test_has_the_rhythm(self, path):
        """A question in the title; predict, observe, explain, a twist, an exit ticket, and what comes next."""
        texts = [source(c) for c in load(path)["cells"] if c["cell_type"] == "markdown"]
        assert re.match(r"# \d\d · .+\?(\n|$)", texts[0])
        headings = "\n".join(re.findall(r"^#+ .*$", "\n".join(texts), re.MULTILINE)).lower()
        places = [headings.find(word) for word in ("predict", "observe", "explain", "twist", "exit ticket")]
        assert -1 not in places, headings
        assert places == sorted(places), headings
        assert "next" in texts[-1].lower()

    def test_cites_claims_and_asks_the_four_questions(self, path):
        text = "\n".join(source(c) for c in load(path)["cells"]).lower()
        assert len(set(re.findall(r"\bc(?:1?\d|20)\b", text))) >= 3
        assert "17839856fd" in text
        assert all(re.search(f"who {verb}", text) for verb in ("maps", "holds", "writes", "decides"))

    def test_can_become_slides(self, path):
        """Every cell says where it goes in a deck; there are speaker notes."""
        kinds = [c["metadata"].get("slideshow", {}).get("slide_type") for c in load(path)["cells"]]
        assert set(kinds) <= {"slide", "subslide", "fragment", "skip", "notes", "-"}, kinds
        assert kinds[0] == "slide"
        assert "notes" in kinds

    def test_asks_before_it_tells(self, path):
        """There are two questions to predict, and two to recall."""
        assert len(re.findall(r"\bask\(", "\n".join(map(source, code(load(path)))))) >= 4


@pytest.mark.parametrize("path", EXERCISES, ids=name)
class TestEveryExercise:
    def test_is_the_students_form(self, path):
        for cell in code(load(path)):
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
            assert not re.search(r"(BEGIN|END) (SOLUTION|HIDDEN)", source(cell))

    def test_has_nbgrader_metadata(self, path):
        """Schema 3, unique ids, one check with points for each solution; what to call and three hints beside it."""
        cells = load(path)["cells"]
        marks = [c["metadata"]["nbgrader"] for c in cells]
        ids = [m["grade_id"] for m in marks]
        assert len(set(ids)) == len(ids)
        assert all(re.fullmatch(r"[a-zA-Z0-9_\-]+", i) for i in ids)
        for cell, m in zip(cells, marks, strict=True):
            assert m["schema_version"] == 3
            assert "checksum" not in m
            assert m["locked"] is not m["solution"]
            assert ("points" in m) is m["grade"]
            assert cell["cell_type"] == "code" or not (m["solution"] or m["grade"])
            if m["solution"]:
                assert cell["metadata"]["cowlab"]["call"] == m["grade_id"]
                assert len(cell["metadata"]["cowlab"]["hints"]) == 3
        solutions = [m["grade_id"] for m in marks if m["solution"]]
        assert [m["grade_id"] for m in marks if m["grade"]] == [f"{s}_check" for s in solutions]

    def test_says_that_its_checks_are_advisory(self, path):
        assert "advisory" in source(load(path)["cells"][0])

    def test_hints_are_the_packages(self, path):
        """What `hint()` says in a notebook and what stands in its metadata is the same."""
        from cowlab.course import QUESTIONS
        from cowlab.course.bank import HINTS

        known = {tuple(h) for h in HINTS.values()} | {q.hints for q in QUESTIONS.values()}
        for cell in load(path)["cells"]:
            if "cowlab" in cell["metadata"]:
                assert tuple(cell["metadata"]["cowlab"]["hints"]) in known
