"""The class report: one page for an instructor, out of all results. It needs nothing else: no network, no script.

What a bar shows stands beside it as a number; nothing is said by colour.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from statistics import mean, median
from typing import Any
from urllib.parse import quote

from ..course.misconceptions import MISCONCEPTIONS
from .report import ADVICE

__all__ = ["as_overview"]

STEPS = 10  # of the distribution; full marks are a step of their own
NOTE = 160  # letters of a note in a table; the submission's own page has the rest
STYLE = """
:root { color-scheme: light dark; background: #fff; color: #111; }
a { color: #00419e; }
@media screen and (prefers-color-scheme: dark) { :root { background: #111; color: #eee; } a { color: #9cc9ff; } }
body { max-width: 75em; margin: 2em auto; padding: 0 1em; font: 1em/1.5 system-ui, sans-serif; }
h2 { border-top: 1px solid; padding-top: .6em; margin-top: 2em; }
.wide { overflow-x: auto; margin: 1em 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .3em 0; }
th, td { padding: .2em .7em .2em 0; border-bottom: 1px solid #8888; text-align: left; vertical-align: top; }
thead th, thead td { border-bottom: 2px solid; vertical-align: bottom; }
tbody th { font-weight: inherit; overflow-wrap: anywhere; min-width: 8em; }
.n { text-align: right; white-space: nowrap; padding-left: .5em; }
.note { min-width: 16em; overflow-wrap: anywhere; }
svg { display: block; width: 12em; height: 1.1em; margin-top: .2em; }
rect { fill: currentColor; }
rect.all { fill: none; stroke: currentColor; stroke-opacity: .4; }
abbr { text-decoration: none; }
@media print {
  body { max-width: none; margin: 0; padding: 0; font-size: 8.5pt; }
  .wide { overflow: visible; }
  h2, h3, caption { break-after: avoid; }
  tr { break-inside: avoid; }
  a { color: inherit; text-decoration: none; }
}
"""


def as_overview(
    results: Sequence[dict[str, Any]], pages: Sequence[str], missing: Sequence[str] = (), about: Sequence[str] = ()
) -> str:
    """The page. ``pages`` are the addresses of the submissions' own pages, relative to this one; ``missing`` are
    students of whom there is nothing; ``about`` are sentences on how it was graded."""
    names = sorted({r["exercise"] for r in results if r["exercise"]})
    linked = list(zip(results, pages, strict=True))
    title = f"Class report: {names[0]}" if len(names) == 1 else "Class report"
    body = [f"<header><h1>{escape(title)}</h1>{_contents(names)}</header>", "<main>", _summary(results, missing)]
    body.append(_trouble(linked))
    if len(names) > 1 and any("student" in r for r in results):
        body.append(_by_student(results, names))
    for n, name in enumerate(names):
        body.append(_exercise(f"exercise-{n}", name, [(r, page) for r, page in linked if r["exercise"] == name]))
    body += [_misconceptions(results), _isolation(results, about), "</main>"]
    return (
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>"
        f"<meta name='viewport' content='width=device-width'><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body) + "\n</body></html>\n"
    )  # fmt: skip


def _contents(names: Sequence[str]) -> str:
    places = [("summary", "Summary"), ("look", "To look at")]
    places += [(f"exercise-{n}", name) for n, name in enumerate(names)]
    places += [("beliefs", "Misconceptions"), ("isolation", "How it was graded")]
    links = " · ".join(f"<a href='#{id}'>{escape(name)}</a>" for id, name in places)
    return f"<nav aria-label='Contents'><p>{links}</p></nav>"


def _summary(results, missing) -> str:
    shares = [r["points"] / r["of"] for r in results if r["of"]]
    said = [f"{len(results)} {_plural('submission', len(results))}."]
    if shares:
        said.append(f"Mean {_percent(mean(shares))} of the points, median {_percent(median(shares))}.")
        full = sum(share == 1 for share in shares)
        said.append(f"Full marks: {full}. No points: {sum(share == 0 for share in shares)}.")
    if refused := sum(bool(r["problem"]) for r in results):
        said.append(f"Could not be graded: {refused}.")
    if doubts := sum(bool(r["doubt"]) for r in results):
        said.append(f"For a person to look at: {doubts}.")
    text = f"<h2 id='summary'>Summary</h2><p>{' '.join(said)}</p>"
    if missing:
        text += f"<p>On the roster, and nothing handed in ({len(missing)}): {escape(', '.join(missing))}.</p>"
    return text


def _trouble(linked) -> str:
    """Files that could not be read, and marks in doubt."""
    rows = [
        [_link(r, page), "could not be graded" if r["problem"] else "in doubt", escape(r["problem"] or r["doubt"])]
        for r, page in linked
        if r["problem"] or r["doubt"]
    ]
    text = "<h2 id='look'>To look at</h2>"
    if not rows:
        return text + "<p>All files could be read, and no marks are in doubt.</p>"
    heads = [("File", ""), ("What", ""), ("Why", "note")]
    return text + _table("Files that could not be read, and marks in doubt", heads, rows)


def _by_student(results, names) -> str:
    sums: dict[str, Counter] = {}
    for r in results:
        points = sums.setdefault(r.get("student") or "(nobody on the roster)", Counter())
        points[r["exercise"]] = max(points[r["exercise"]], r["points"])
    rows = [
        [escape(id), *(f"{points[name]:g}" if name in points else "-" for name in names), f"{points.total():g}"]
        for id, points in sorted(sums.items())
    ]
    heads = [("Student", ""), *((name, "n") for name in names), ("Sum", "n")]
    said = "Points of each student (-: nothing handed in; of several submissions the best)"
    return "<h2 id='students'>Students</h2>" + _table(said, heads, rows)


def _exercise(id: str, name: str, linked) -> str:
    results = [r for r, _ in linked]
    return (
        f"<h2 id='{id}'>{escape(name)}</h2>"
        + _distribution(name, results)
        + _questions(name, results)
        + _marks(name, linked)
    )


def _distribution(name: str, results) -> str:
    steps = Counter(int(r["points"] / r["of"] * STEPS + 1e-9) for r in results if r["of"])
    most = max(steps.values(), default=1)
    labels = [f"{100 * n // STEPS} to {100 * (n + 1) // STEPS - 1} %" for n in range(STEPS)] + ["100 %"]
    rows = [[label, str(steps[n]), _bar(steps[n], most)] for n, label in reversed(list(enumerate(labels)))]
    heads = [("Share of the points", ""), ("Submissions", "n"), ("", "bar")]
    return _table(f"{name}: distribution", heads, rows)


def _questions(name: str, results) -> str:
    rows = []
    for id in dict.fromkeys(q["id"] for r in results for q in r["questions"]):
        all_of = [q for r in results for q in r["questions"] if q["id"] == id]
        score = mean(q["points"] / q["of"] for q in all_of)
        full, none = sum(q["points"] == q["of"] for q in all_of), sum(q["points"] == 0 for q in all_of)
        rows.append([escape(id), f"{all_of[0]['of']:g}", _percent(score), str(full), str(len(all_of) - full - none),
                     str(none), _bar(score, 1)])  # fmt: skip
    heads = [("Question", ""), *((head, "n") for head in ("Of", "Mean", "Full marks", "Some", "None")), ("", "bar")]
    return _table(f"{name}: questions", heads, rows)


def _marks(name: str, linked) -> str:
    """One row a submission, one column a question and a misconception."""
    results = [r for r, _ in linked]
    questions = {q["id"]: q["of"] for r in results for q in r["questions"]}
    beliefs = _shown(results)
    who = any("student" in r for r in results)
    heads = [("Student", "")] * who + [("Submission", ""), ("Points", "n"), *((id, "n") for id in questions)]
    heads += [(m, "n") for m in beliefs] + [("Note", "note")]
    rows = []
    for r, page in linked:
        points = {q["id"]: f"{q['points']:g}" for q in r["questions"]}
        counts = Counter(m for q in r["questions"] for m in q["believes"])
        problems = [f"{q['id']}: {q['problem']}" for q in r["questions"] if q["problem"]]
        note = r["problem"] or r["doubt"] or "; ".join(problems)
        note = note if len(note) <= NOTE else note[: NOTE - 1] + "…"
        row = [escape(r.get("student") or "-")] * who + [_link(r, page), f"{r['points']:g} of {r['of']:g}"]
        row += [points.get(id, "-") for id in questions] + [str(counts[m] or "") for m in beliefs] + [escape(note)]
        rows.append(row)
    said = f"{name}: marks ({', '.join(f'{id} of {of:g}' for id, of in questions.items())}"
    said += "; below a misconception: in how many answers it shows)" if beliefs else ")"
    return _table(said, heads, rows)


def _misconceptions(results) -> str:
    text, rows = "<h2 id='beliefs'>Misconceptions</h2>", []
    for m in _shown(results):
        of = [r for r in results if any(m in q["believes"] for q in r["questions"])]
        where = sorted({f"{r['exercise']} {q['id']}" for r in of for q in r["questions"] if m in q["believes"]})
        about = MISCONCEPTIONS[m]
        rows.append([m, escape(about.belief), str(len(of)), _bar(len(of), len(results)), escape(", ".join(where)),
                     escape(about.lesson)])  # fmt: skip
    if not rows:
        return text + "<p>No answer shows one that is known.</p>"
    heads = [("Code", ""), ("What somebody seems to believe", "note"), ("Submissions", "n"), ("", "bar"),
             ("Where", "note"), ("Lesson", "")]  # fmt: skip
    return text + _table("Misconceptions that answers show, by number of submissions", heads, rows)


def _isolation(results, about) -> str:
    counts = Counter(r["isolation"] or "none: nothing of it was run" for r in results)
    none = "not validated: there was nothing to validate, or --no-nbval was given"
    by = Counter(r["validated"] or none for r in results)
    rows = [[escape(kind), str(n)] for kind, n in sorted(counts.items())]
    text = "<h2 id='isolation'>How it was graded</h2>"
    text += _table("Isolation in force", [("Isolation", "note"), ("Submissions", "n")], rows)
    rows = [[escape(kind), str(n)] for kind, n in sorted(by.items())]
    text += _table("Second opinion", [("Validated by", "note"), ("Submissions", "n")], rows)
    return text + "".join(f"<p>{escape(sentence)}</p>" for sentence in [*about, ADVICE])


# Pieces


def _shown(results) -> list[str]:
    seen = {m for r in results for q in r["questions"] for m in q["believes"]}
    return [m for m in MISCONCEPTIONS if m in seen]


def _link(r, page: str) -> str:
    return f"<a href='{quote(page)}'>{escape(r['submission'])}</a>"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _plural(word: str, n: int) -> str:
    return word if n == 1 else f"{word}s"


def _bar(value: float, most: float) -> str:
    """Decoration: the number stands beside it."""
    width, at = 200 * value / most if most else 0, "x='1' y='1' height='14'"
    return (
        "<svg aria-hidden='true' viewBox='0 0 202 16' preserveAspectRatio='none'>"
        f"<rect class='all' {at} width='200'/><rect {at} width='{width:.1f}'/></svg>"
    )


def _table(caption: str, heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells are HTML already, and whose first column names the row."""
    head = "".join(_head(name, kind) for name, kind in heads)
    lines = [
        f"<tr><th scope='row'>{row[0]}</th>"
        + "".join(f"<td class='{kind}'>{cell}</td>" if kind else f"<td>{cell}</td>"
                  for cell, (_, kind) in zip(row[1:], heads[1:], strict=True)) + "</tr>"
        for row in rows
    ]  # fmt: skip
    return (
        f"<div class='wide' role='region' tabindex='0' aria-label='{escape(caption, quote=True)}'><table>"
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>\n<tbody>\n"
        + "\n".join(lines) + "\n</tbody></table></div>"
    )  # fmt: skip


def _head(name: str, kind: str) -> str:
    if kind == "bar":
        return "<td></td>"  # a picture of the column before
    text = escape(name)
    if name in MISCONCEPTIONS:
        text = f"<abbr title='{escape(MISCONCEPTIONS[name].belief, quote=True)}'>{text}</abbr>"
    return f"<th scope='col' class='{kind}'>{text}</th>" if kind else f"<th scope='col'>{text}</th>"
