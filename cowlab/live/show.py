"""What a live result looks like: a table in a notebook, aligned lines everywhere else, from the same rows."""

from html import escape

__all__ = ["Shown", "html_table", "text_table"]


class Shown:
    """Displays its ``table()`` under its ``title``: ``str()`` and text/plain are the same words as text/html."""

    title = ""
    header: tuple[str, ...] = ()

    def table(self) -> list[tuple[str, ...]]:
        raise NotImplementedError

    def notes(self) -> list[str]:
        """Sentences below the table."""
        return []

    def __str__(self) -> str:
        return "\n".join([*text_table(self.table(), self.header), *self.notes()])

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, include=None, exclude=None):
        notes = "".join(f"<p>{escape(n)}</p>" for n in self.notes())
        return {"text/html": html_table(self.title, self.table(), self.header) + notes, "text/plain": str(self)}


def text_table(rows: list[tuple[str, ...]], header: tuple[str, ...] = ()) -> list[str]:
    """Columns two spaces apart; the last one is as long as it is."""
    lines = [*([header] if header else []), *rows]
    widths = [max(len(line[i]) for line in lines if len(line) > i) for i in range(max(map(len, lines)) - 1)]
    padded = [[cell.ljust(w) for cell, w in zip(line[:-1], widths, strict=False)] for line in lines]
    return ["  ".join([*cells, line[-1]]).rstrip() for cells, line in zip(padded, lines, strict=True)]


def html_table(title: str, rows: list[tuple[str, ...]], header: tuple[str, ...] = ()) -> str:
    """A plain table: it survives an untrusted notebook and nbconvert. The first cell of a row is its header."""
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in header)
    body = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(first)}</th>'
        + "".join(f'<td style="text-align:left">{escape(c)}</td>' for c in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f"<table><caption>{escape(title)}</caption>"
        + (f"<thead><tr>{head}</tr></thead>" if head else "")
        + f"<tbody>{body}</tbody></table>"
    )
