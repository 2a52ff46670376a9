"""What lessons 06, 08 and 09 say in words, held against the engine. What they compute is compared by nbval."""

import json
import re
from pathlib import Path

import pytest

from cowlab import KERNELS, catalogue, judge, kernel, parse
from cowlab.explore import explore
from cowlab.explore.space import NEVER
from cowlab.mm import CALLERS, ROADS
from cowlab.mm.callers import MIRRORS

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
NAMES = ("06-every-order", "08-who-does-not-care", "09-the-price")


def cells(name: str) -> dict[str, dict]:
    return {c["id"]: c for c in json.loads((NOTEBOOKS / f"{name}.ipynb").read_text("utf-8"))["cells"]}


def text(cell: dict) -> str:
    return "".join(cell["source"])


def printed(cell: dict) -> str:
    return "".join("".join(o.get("text", "")) for o in cell["outputs"])


def first_words(cell: dict) -> list[str]:
    return [line.split()[0] for line in printed(cell).splitlines()[1:] if line.strip()]


CARES = cells("08-who-does-not-care")


@pytest.mark.parametrize("cell", ["callers", "all-callers"])
def test_lesson_08_has_every_caller(cell):
    """Both tables of the lesson list the callers of the engine's table, all of them and in its order."""
    assert first_words(CARES[cell]) == list(CALLERS)


def groups() -> dict[str, set[str]]:
    """Why it is safe -> the callers that the lesson names there."""
    rows = [
        line.strip("|").split("|") for line in text(CARES["explain-callers"]).splitlines() if line.startswith("| *")
    ]
    return {row[0].strip(" *_").partition(".")[0]: set(re.findall(r"`(\w+)`", row[1])) for row in rows}


def test_lesson_08_sorts_every_caller():
    """Each caller that is not a bare entry point is given a reason why it is safe, or is said to have none."""
    bare = {"gup", "gup_fast", "gup_fast_only", "pin"}
    assert set().union(*groups().values()) == set(CALLERS) - bare


def looked_at(op: str, rest: str = "", options: str = ""):
    return parse(f"litmus t\ninit\n  P: x = old\n\nP | C\nfork C | {op} x -> r{options}\n{rest}")


@pytest.mark.parametrize("name", KERNELS)
def test_lesson_08_gives_the_right_reasons(name):
    """Who writes breaks COW on every kernel; who lets go holds nothing afterwards; who is told ends with `revoked`."""
    k, said = kernel(name), groups()
    for op in said["It writes"]:
        assert judge(looked_at(op, "exists C.x isnt P.x"), k).verdict == "Always", op
    for op in said["It lets go at once"]:
        assert not any(f.trace.final.refs for f in judge(looked_at(op, "exists C.x is P.x"), k).finals), op
    for op in said["It is told"]:
        assert judge(looked_at(op, " | munmap x\nexists C.r == revoked"), k).verdict == "Always", op
    assert said["It is told"] == set(MIRRORS)


def test_lesson_08_has_the_setting():
    """gpu_mem_total, perf's address that was right when asked, and the comment in i915."""
    words = "\n".join(map(text, CARES.values()))
    assert "gpu_mem_total" in words
    assert "may or may not care" in words
    asked = re.findall(
        r"(\d+) answers; right when given: (\d+); still right at the end: (\d+)", printed(CARES["right-when-asked"])
    )
    assert len(asked) == len(KERNELS)
    assert all(given == right > still for given, right, still in asked)


def test_lesson_06_explores_what_it_says():
    """What the last explanation says of each kernel is what free exploration finds; and locks forbid the safe order."""
    said = [line.split()[:3] for line in printed(cells("06-every-order")["free"]).splitlines() if line.startswith("v")]
    assert {name for name, _, _ in said} == {"v5.7", "v5.8", "v5.9", "v5.18", "v6.1"}
    for name, never, verdict in said:
        assert explore(kernel(name), never=never).verdict == verdict
    assert ["v5.8", "leak-after-fork", "holds"] in said
    assert printed(cells("06-every-order")["lock"]).split()[4:6] == ["allowed", "safe"]


def test_lesson_09_meets_the_roads():
    """C13, C14 and C16 are each a row of the engine, named in the lesson beside their number."""
    words = " ".join("\n".join(map(text, cells("09-the-price").values())).split())
    for claim in ("C13", "C14", "C16"):
        road = next(name for name, row in ROADS.items() if row.about.startswith(claim))
        assert re.search(rf"\*\*{road}\*\* \[{claim}\]", words)


def test_lesson_09_reports_one_number():
    """+2158 % and -95.6 % are one ratio, seen from both sides."""
    assert round(100 / (1 + 2158 / 100) - 100, 1) == -95.6
    words = "\n".join(map(text, cells("09-the-price").values()))
    assert "+2158 %" in words
    assert "95.6 %" in words


def test_lesson_09_compares_twenty_designs():
    """Twenty rows, of which none is best in every column; two break nothing, and both of them leak."""
    table = [re.findall(r"\s(\d+)(?=\s|$)", line) for line in printed(cells("09-the-price")["corner"]).splitlines()[1:]]
    table = [tuple(map(int, row)) for row in table if row]
    assert len(table) == 20
    assert tuple(map(min, zip(*table, strict=True))) not in table
    harmless = [row for row in table if row[2] == 0]
    assert len(harmless) == 2
    assert all(isolation for isolation, *_ in harmless)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_those_of_the_package(name):
    """Litmus tests that a lesson names in backticks are in the catalogue, and commits in the engine or its tests."""
    words = "\n".join(text(c) for c in cells(name).values() if c["cell_type"] == "markdown")
    slugs = set(re.findall(r"`([a-z]+(?:-[a-z]+){2,})`", words)) - set(ROADS) - set(NEVER)
    assert slugs <= set(catalogue()), slugs - set(catalogue())
    root = NOTEBOOKS.parent / "cowlab"
    sources = [p for folder in ("mm", "litmus") for p in (root / folder).rglob("*") if p.suffix in (".py", ".litmus")]
    known = set(re.findall(r"[0-9a-f]{10,12}", "\n".join(p.read_text("utf-8") for p in sources)))
    renamed = {"376a34efa4ee"}  # the new name of the fast-only function: no rule of the model
    assert set(re.findall(r"\b(?=[a-f]*\d)[0-9a-f]{10,12}\b", words)) - renamed <= known
