"""A lesson opened as a notebook, as a reader does it: a kernel runs its cells one after the other."""

from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

CHAPTERS = Path(__file__).parent.parent / "chapters"


def test_a_lesson_is_a_notebook(tmp_path):
    notebook = jupytext.read(CHAPTERS / "rnn_concise.py")
    last = notebook.cells[-1]
    assert last.source.endswith("main()")
    last.source = last.source.replace("main()", f"main({['--quick', '--out', str(tmp_path)]})")
    client = NotebookClient(
        notebook, timeout=250, kernel_name="python3", resources={"metadata": {"path": str(CHAPTERS)}}
    )
    client.execute()
    assert not [output for cell in notebook.cells[:-1] if cell.cell_type == "code" for output in cell.outputs]
    kinds = [output.get("name", output.output_type) for output in last.outputs]
    assert "stderr" not in kinds and "error" not in kinds
    printed = "".join(output.text for output in last.outputs if output.get("name") == "stdout")
    assert "what each writes after" in printed and "it/s" not in printed  # no bar among the text
    shown = [output.data for output in last.outputs if output.output_type == "display_data"]
    assert sum("image/png" in data for data in shown) == len(list(tmp_path.glob("*.png"))) == 1


def pictures(cell):
    """Return what of a cell's output is a picture, and check that there is nothing else."""
    assert all("image/png" in output.data for output in cell.outputs)
    return [output.data["image/png"] for output in cell.outputs]


def test_a_picture_is_shown_below_the_cell_that_draws_it_once():
    sources = [
        "import d2lrnn\nruns = {'run': d2lrnn.History(epochs=[{'perplexity': 9.0, 'grad_norm': 1.0}])}",
        "d2lrnn.plot_history(runs)",
        "figure = d2lrnn.plot_history(runs)\nassert type(figure).__name__ == 'Figure'",
        "figure",
        "import matplotlib.pyplot\nfor _ in range(2):\n    figure = d2lrnn.plot_next([('a', 0.5)])\nfigure",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, timeout=250, kernel_name="python3").execute()
    assert [len(pictures(cell)) for cell in notebook.cells] == [0, 1, 1, 1, 2]
    assert pictures(notebook.cells[2]) == pictures(notebook.cells[3])
