"""HTML that survives everywhere: an untrusted notebook, GitHub and nbconvert drop scripts, styles and inline SVG; an
<img> with a data: address, <details> and tables stay."""

from base64 import b64encode
from collections.abc import Iterable
from html import escape

__all__ = ["TWIN", "details", "html_and_text", "image", "paragraphs", "pre", "table"]

TWIN = "cowlab-words"


def image(svg: str | bytes, alt: str, width: float, fit: bool = True) -> str:
    """``fit``: made smaller where the page is narrower; else it is scrolled to and fro."""
    data = b64encode(svg if isinstance(svg, bytes) else svg.encode()).decode()
    return (
        f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(alt)}" width="{width:.0f}" '
        f'style="max-width:{"100%" if fit else "none"};height:auto">'
    )


def details(summary: str, inside: str, kind: str = "") -> str:
    """Folded. On paper the static forms of widgets (ui.shown) unfold, but for the ``kind`` TWIN: words that say what
    pictures there say too."""
    name = f' class="{kind}"' if kind else ""
    return f"<details{name}><summary>{escape(summary)}</summary>{inside}</details>"


def pre(text: str) -> str:
    """Words that stand in columns. Pages made by nbconvert give <pre> the letters of prose, but not <code>."""
    return f"<pre><code>{escape(text, quote=False)}</code></pre>"


def paragraphs(lines: Iterable[str]) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def table(caption: str, head: Iterable[str], rows: Iterable[tuple[str, Iterable[str]]]) -> str:
    """``rows``: (heading of the row as text, cells as HTML)."""
    left = ' style="text-align:left;padding:.3em .25em"'  # narrow, so that nine kernels fit on a sheet of paper
    top = "".join(f'<th scope="col"{left}>{escape(h)}</th>' for h in head)
    body = "".join(
        f'<tr><th scope="row"{left}>{escape(name)}</th>{"".join(f"<td{left}>{c}</td>" for c in cells)}</tr>'
        for name, cells in rows
    )
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def html_and_text(html: str, text: str) -> dict[str, str]:
    """Both forms. JupyterLab shows the first line of an output that is folded: let it be readable."""
    title = text.partition("\n")[0].replace("--", "- -")
    return {"text/html": f"<!-- {title} -->\n{html}", "text/plain": text}
