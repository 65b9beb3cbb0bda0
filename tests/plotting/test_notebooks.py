"""Pictures in a notebook, where a kernel runs the cells one after the other."""

import nbformat
from nbclient import NotebookClient


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
