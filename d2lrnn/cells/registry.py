"""The table of all cells with their steps, and the one way to add another."""

from __future__ import annotations

from dataclasses import replace

from d2lrnn.cells import compiled, steps
from d2lrnn.cells.declaration import CELLS as CELLS
from d2lrnn.cells.declaration import Cell
from d2lrnn.errors import D2lrnnError

# The steps of a cell of the book are named after it: rnn has steps.rnn_step and compiled.rnn_step.
for _name, _cell in list(CELLS.items()):
    _step = f"{_name}_step"
    CELLS[_name] = replace(_cell, step=getattr(steps, _step), compiled_step=getattr(compiled, _step))


def add_cell(name: str, cell: Cell) -> None:
    """Make a cell of yours known by a name: to ``Stack``, ``ModelConfig``, ``UnrolledLayer`` and all that uses them.

    A name stands for one cell as long as Python runs, since compiled graphs and models remember it.  Checkpoints know
    cells by name: add yours before you load one.  ``chapters/another_cell.py`` goes through it step by step.

    Args:
        name: a name that no cell has.
        cell: its two steps and what they need.

    Raises:
        ValueError: if the name is taken, or none; if the cell is no :class:`Cell`.
    """
    if not isinstance(cell, Cell):
        raise D2lrnnError(f"cell {name!r}: expected a Cell, found a {type(cell).__name__}")
    if not isinstance(name, str) or not name.isidentifier():
        raise D2lrnnError(f"the cell's name is {name!r}: expected a word of letters, digits and _")
    if name in CELLS:
        raise D2lrnnError(f"there is a cell {name!r} already: expected another name than {', '.join(CELLS)}")
    CELLS[name] = cell
