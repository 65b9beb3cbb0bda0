"""A lesson opened as a notebook, as a reader does it: a kernel runs its cells one after the other."""

from pathlib import Path

import jupytext
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
