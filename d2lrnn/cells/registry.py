"""The table of all cells with their steps, and the one function that adds a cell."""

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
    """Add a cell of your own to the table; ``Stack``, ``ModelConfig`` and ``UnrolledLayer`` then know its name.

    A name stands for one cell as long as Python runs, since compiled graphs and models remember cells by name.
    Checkpoints do so too: add your cell before you load one.  ``chapters/another_cell.py`` adds a cell step by step.

    Args:
        name: a word of letters, digits and _, which no other cell has.
        cell: its two steps and its declaration.

    Raises:
        D2lrnnError: if another cell has the name, if the name is no such word, or if the cell is no :class:`Cell`.
    """
    if not isinstance(cell, Cell):
        raise D2lrnnError(f"cell {name!r}: expected a Cell, found a {type(cell).__name__}")
    if not isinstance(name, str) or not name.isidentifier():
        raise D2lrnnError(f"the cell's name is {name!r}: expected a word of letters, digits and _")
    if name in CELLS:
        raise D2lrnnError(f"there is a cell {name!r} already: expected another name than {', '.join(CELLS)}")
    CELLS[name] = cell
