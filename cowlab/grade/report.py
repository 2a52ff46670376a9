"""What graded submissions look like: a table in words, CSV for a spreadsheet, one HTML page each."""

import csv
import io
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from ..course.ask import markup, plain
from ..course.misconceptions import MISCONCEPTIONS

__all__ = ["ADVICE", "as_csv", "as_html", "as_text", "write_html"]

ADVICE = "Isolation is a process with limits; a real exam wants a container around it."


def as_text(results: Sequence[dict[str, Any]]) -> str:
    blocks = []
    for r in results:
        name = f"  ({r['exercise']})" if r["exercise"] else ""
        lines = [f"{r['submission']}  {r['points']:g} of {r['of']:g} points{name}"]
        if r["problem"]:
            lines.append(f"  {r['problem']}")
        for q in r["questions"] if not r["problem"] else ():
            lines.append(f"  {q['id']}  {q['points']:g} of {q['of']:g}" + (f"  {q['problem']}" if q["problem"] else ""))
            lines += [f"      {said}" for text in q["said"] for said in plain(text).splitlines()]
            if q["points"] < q["of"]:
                lines += [f"      {m}: {MISCONCEPTIONS[m].belief}" for m in q["believes"]]
                if q["schedule"]:
                    lines.append(f"      step through: {_stepped(q['schedule'])}")
                if q["hint"]:
                    lines.append(f"      hint: {plain(q['hint'])}")
        if r["doubt"]:
            lines.append(f"  for a person to look at: {r['doubt']}")
        blocks.append("\n".join(lines))
    in_force = sorted({r["isolation"] for r in results if r["isolation"]})
    validated = sorted({r["validated"] for r in results if r["validated"]})
    said = [f"isolation: {'; '.join(in_force)}"] if in_force else []
    said += [f"validated by {', '.join(validated)}" if validated else "not validated by nbval"] if in_force else []
    return "\n\n".join([*blocks, *(["\n".join(said)] if said else [])])


def _stepped(s: dict[str, Any]) -> str:
    return f"{s['order']} on {s['kernel']} ({'; '.join(s['steps'])})"


def as_csv(results: Sequence[dict[str, Any]]) -> str:
    """One row a submission; one column a question, and one a misconception (how many questions show it). Who it is
    comes first, where results have a ``student``."""
    by_exercise = sorted(results, key=lambda r: r["exercise"])
    ids = list(dict.fromkeys(f"{r['exercise']} {q['id']}" for r in by_exercise for q in r["questions"]))
    shown = {m for r in results for q in r["questions"] for m in q["believes"]}
    beliefs = [m for m in MISCONCEPTIONS if m in shown]
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    who = ["student"] if any("student" in r for r in results) else []
    rows.writerow([*who, "submission", "exercise", "points", "of", *ids, *beliefs, "isolation", "problem"])
    for r in results:
        points = {f"{r['exercise']} {q['id']}": f"{q['points']:g}" for q in r["questions"]}
        counts = [sum(m in q["believes"] for q in r["questions"]) for m in beliefs]
        problem = "; ".join(filter(None, [r["problem"], r["doubt"]])) or "; ".join(
            f"{q['id']}: {q['problem']}" for q in r["questions"] if q["problem"]
        )
        row = [r.get("student", "")] * len(who) + [r["submission"], r["exercise"], f"{r['points']:g}", f"{r['of']:g}"]
        rows.writerow(map(_cell, [*row, *(points.get(id, "") for id in ids), *counts, r["isolation"], problem]))
    return out.getvalue()


def _cell(value) -> str:
    """A spreadsheet would run what starts like a formula."""
    text = str(value)
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t") else text


STYLE = """
:root { color-scheme: light dark; }
body { max-width: 46em; margin: 2em auto; padding: 0 1em; font: 1em/1.5 system-ui, sans-serif; }
section { border-top: 1px solid; padding-top: .5em; margin-top: 1.5em; }
pre { overflow-x: auto; padding: .5em .8em; border: 1px solid; }
.lost { font-weight: 600; }
"""


def as_html(r: dict[str, Any]) -> str:
    """One submission as a page that needs nothing else."""
    body = [f"<h1>{escape(r['exercise'] or 'Not graded')}</h1>"]
    body.append(f"<p>{escape(r['submission'])}: <b>{r['points']:g} of {r['of']:g} points</b></p>")
    body += [f"<p class='lost'>{escape(text)}</p>" for text in (r["problem"], r["doubt"]) if text]
    for q in r["questions"] if not r["problem"] else ():
        body.append(f"<section><h2>{escape(q['id'])}: {q['points']:g} of {q['of']:g}</h2>")
        body += [f"<p class='lost'>{escape(q['problem'])}</p>"] * bool(q["problem"])
        body += [f"<p>{'<br>'.join(markup(text).splitlines())}</p>" for text in q["said"]]
        if q["points"] < q["of"]:
            body += [f"<p><b>{m}</b>, a common belief: {escape(MISCONCEPTIONS[m].belief)}.</p>" for m in q["believes"]]
            if s := q["schedule"]:
                body.append(f"<p>Step through <code>{escape(s['order'])}</code> on {escape(s['kernel'])}:</p>")
                moves = f"<pre>{escape(s['text'])}</pre>"
                body.append(f"<details><summary>the execution, move by move</summary>{moves}</details>")
            body += [f"<p>Hint: {markup(q['hint'])}</p>"] * bool(q["hint"])
        body.append("</section>")
    foot = f"Isolation: {r['isolation']}. {ADVICE}" if r["isolation"] else ADVICE
    title = escape(f"{r['exercise']} {r['points']:g}/{r['of']:g}")
    return (
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
        f"<meta name='viewport' content='width=device-width'><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body) + f"\n<footer><p><small>{escape(foot)}</small></p></footer>\n</body></html>\n"
    )  # fmt: skip


def write_html(results: Sequence[dict[str, Any]], folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """A page for each submission. ``names`` are their paths, and say where below ``folder`` each page comes to stand;
    else pages are numbered. Of somebody else's name only what is harmless is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    pages, taken = [], {"index.html"}  # that is the class report
    for n, r in enumerate(results, 1):
        stem = re.sub(r"[^A-Za-z0-9]+", "-", Path(r["submission"]).stem).strip("-")[:60]
        page = folder / (_mirrored(names[n - 1], taken) if names else f"{n:03}{stem and '-'}{stem}.html")
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(as_html(r), "utf-8")
        pages.append(page)
    return pages


def _mirrored(name: str, taken: set[str]) -> str:
    """Where the page of ``anna/05-either-way.ipynb`` stands: in ``anna/05-either-way.html``. No two are the same."""
    parts = Path(name).with_suffix("").parts
    stem = "/".join(re.sub(r"[^A-Za-z0-9_.@+-]+", "-", part).strip(".")[:80] or "-" for part in parts)
    page, n = f"{stem}.html", 2
    while page.casefold() in taken:
        page, n = f"{stem}-{n}.html", n + 1
    taken.add(page.casefold())
    return page
