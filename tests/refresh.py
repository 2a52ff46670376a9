"""Run the lessons again and store what they print: python tests/refresh.py [NOTEBOOK...].

Needed after the wording of a trace or a verdict changes. Widget views and their state are left out, so that the
static form stands in every stored output; everything else in the file stays as it is.
"""

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

LESSONS = Path(__file__).parent.parent / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"


def refresh(path: Path) -> bool:
    """Execute one notebook in place; True if its text changed. Raises CellExecutionError where a cell fails."""
    before = path.read_text("utf-8")
    notebook = nbformat.reads(before, as_version=4)
    metadata = notebook.metadata.copy()
    with tempfile.TemporaryDirectory() as folder:  # no cell may depend on where it runs
        NotebookClient(notebook, timeout=60, kernel_name="python3", store_widget_state=False).execute(cwd=folder)
    notebook.metadata = metadata
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = stored(cell.outputs)
    nbformat.validate(notebook)
    after = nbformat.writes(notebook) + "\n"
    path.write_text(after, "utf-8")
    return after != before


def stored(outputs: list) -> list:
    """Outputs as they are kept: streams joined, no widget views."""
    kept: list = []
    for output in outputs:
        if WIDGET in output.get("data", {}):
            continue
        if "metadata" in output:
            output.metadata = nbformat.from_dict({})
        if kept and output.output_type == kept[-1].output_type == "stream" and output.name == kept[-1].name:
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


if __name__ == "__main__":
    for notebook in map(Path, sys.argv[1:]) if sys.argv[1:] else sorted(LESSONS.glob("*.ipynb")):
        print(notebook.name, "changed" if refresh(notebook) else "as it was")
