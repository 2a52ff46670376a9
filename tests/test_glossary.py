"""The glossary, the reading list and the vote sheets: tables about the course, tied to the course by tests."""

import json
import re

import pytest
from machine import ROOT

from cowlab.course import MISCONCEPTIONS, QUESTIONS
from cowlab.course.glossary import READING, TERMS, glossary
from cowlab.course.votes import vote_sheet

GUIDE = json.loads((ROOT / "notebooks" / "instructor-guide.ipynb").read_text("utf-8"))
ENGINE = "".join(p.read_text("utf-8") for p in (ROOT / "cowlab" / "mm").glob("*.py"))


@pytest.mark.parametrize("term", TERMS, ids=lambda t: t.term)
def test_a_term_is_one_sentence_with_a_source(term):
    """It says where the kernel has the thing, and since when; or that the word is this course's own."""
    assert re.fullmatch(r"[A-Z0-9][^.]*(\.\d[^.]*)*\.", term.sentence), "one sentence"
    assert re.search(r"v\d\.\d+|[0-9a-f]{12}|\.[chy]\b|CVE-|cowlab", term.source)
    assert re.fullmatch(r"0[1-9]|1[01]", term.lesson)


def test_terms_are_in_order_and_once():
    names = [t.term.lower() for t in TERMS]
    assert names == sorted(set(names))


@pytest.mark.parametrize("word", ["pin", "PIN", " pin ", "frame", "zero page"])
def test_a_word_is_found(word):
    assert any(word.strip().lower() in t.term.lower() for t in glossary(word).terms)


def test_a_word_that_is_not_there_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'mapcount'"):
        glossary("mapcont")


def test_both_forms_say_the_same():
    """Every term, its sentence and its source stand in the table and in the text."""
    bundle = glossary()._repr_mimebundle_()
    text = " ".join(bundle["text/plain"].split())
    for t in TERMS:
        assert t.sentence.replace("`", "") in text
        assert t.source in text
        assert f"(lesson {t.lesson})" in text
    assert bundle["text/html"].count("<tr>") == len(TERMS) + 1


def test_commits_are_the_engines():
    """Every commit of the glossary and of the reading list is one that the engine names, as a row's or a rule's source.
    (One renamed a function, and changed no rule.)"""
    named = {c for t in TERMS for c in re.findall(r"\b[0-9a-f]{10,40}\b", t.source)}
    named |= {c for _, where in READING for c in re.findall(r"\b[0-9a-f]{10,40}\b", where)}
    assert len(named) >= 10
    assert {c[:10] for c in named if c[:10] not in ENGINE} <= {"376a34efa4"}


def test_the_reading_list_has_full_titles():
    assert len({title for title, _ in READING}) == len(READING)
    assert all(len(title) > 10 and where for title, where in READING)
    assert "17839856fd" in READING[0][1]


LESSONS = sorted({q[:2] for q in QUESTIONS})


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_vote_sheet_has_two_votes_or_more(lesson):
    """With every choice of every question, and what who takes it believes."""
    sheet = vote_sheet(lesson)
    assert len(sheet.questions) >= 2
    for form in (repr(sheet), sheet.html()):
        for q in sheet.questions:
            assert q.id in form
            assert sum(c.right for c in q.choices) == 1
        beliefs = [c.believes for q in sheet.questions for c in q.choices if c.believes]
        assert all(f"{b}: {MISCONCEPTIONS[b].belief}" in form.replace("&#x27;", "'") for b in beliefs)
    assert not any("-ex" in q.id for q in sheet.questions)
    assert len(vote_sheet(lesson, exits=True).questions) >= len(sheet.questions) + 2


def test_an_unknown_lesson_names_the_others():
    with pytest.raises(ValueError, match="choose one of 0"):
        vote_sheet("77")


def test_the_guide_has_a_goal_for_every_lesson():
    """Goals 00 to 11, once each; and every lesson it tells to take is one."""
    text = "\n".join("".join(c["source"]) for c in GUIDE["cells"])
    goals = text[text.index("## Goals") : text.index("## Assigning")]
    assert re.findall(r"^\| (\d\d) \|", goals, re.MULTILINE) == [f"{n:02}" for n in range(12)]
    there = {p.name[:2] for p in (ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb")}
    assert there <= {f"{n:02}" for n in range(12)}


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("[01][0-9]-*.ipynb")), ids=lambda p: p.stem)
def test_every_lesson_links_the_glossary(path):
    assert "](glossary.ipynb)" in path.read_text("utf-8")
