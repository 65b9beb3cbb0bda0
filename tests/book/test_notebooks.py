"""Each lesson as the book has executed it: output stands below the cell that makes it, and nothing else does."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LESSONS = sorted(path.stem for path in (ROOT / "chapters").glob("*.py"))
DRAWS = re.compile(r"\b(?:common\.(?:save_figure|show_picture|compare)|lesson\.picture|plot)\(")


@pytest.fixture
def cells(notebooks, name):
    """The code cells of a lesson."""
    notebook = nbformat.read(notebooks / f"{name}.ipynb", as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def has_picture(cell):
    return any(kind.startswith("image/") for output in cell.outputs for kind in output.get("data", ()))


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_shows_what_it_does_below_the_cell_that_does_it(name, cells):
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"] == []
    assert sum(bool(cell.outputs) for cell in cells) >= len(cells) * 2 / 3
    assert [cell.source for cell in cells if has_picture(cell) != bool(DRAWS.search(cell.source))] == []


def test_the_notebooks_have_what_they_import_and_show(notebooks):
    assert {path.stem for path in notebooks.glob("*.ipynb")} == set(LESSONS)
    assert (notebooks / "common" / "__init__.py").is_file() and (notebooks / "img" / "lstm_gates.svg").is_file()


def test_their_prose_is_in_the_language_that_was_named(notebooks):
    prose = nbformat.read(notebooks / "rnn_scratch.ipynb", as_version=4).cells[0].source
    assert prose.startswith("# 循环神经网络的从零开始实现\n")
