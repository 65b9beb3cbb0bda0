"""The table of all cells, and the one way to add another."""

from __future__ import annotations

from d2lrnn.cells import compiled
from d2lrnn.cells.declaration import CELL_NAMES, PROJECTED_CELLS, Cell
from d2lrnn.cells.steps import (
    gru_reset_after_step,
    gru_step,
    lstm_peephole_projected_step,
    lstm_peephole_step,
    lstm_projected_step,
    lstm_step,
    rnn_relu_step,
    rnn_step,
)
from d2lrnn.errors import D2lrnnError

CELLS = {
    "rnn": Cell(rnn_step, compiled.rnn_step, "h"),
    "rnn_relu": Cell(rnn_relu_step, compiled.rnn_relu_step, "h", identity=True),
    "gru": Cell(gru_step, compiled.gru_step, "zrh", ("rz", "h")),
    "gru_reset_after": Cell(gru_reset_after_step, compiled.gru_reset_after_step, "zrh", ("rzh",), num_biases=2),
    "lstm": Cell(lstm_step, compiled.lstm_step, "ifoc", ("ifco",), num_states=2),
    "lstm_peephole": Cell(lstm_peephole_step, compiled.lstm_peephole_step, "ifoc", ("ifco",), 2, peepholes="ifo"),
    "lstm_projected": Cell(lstm_projected_step, compiled.lstm_projected_step, "ifoc", ("ifco",), 2, projected=True),
    "lstm_peephole_projected": Cell(
        lstm_peephole_projected_step,
        compiled.lstm_peephole_projected_step,
        "ifoc",
        ("ifco",),
        num_states=2,
        peepholes="ifo",
        projected=True,
    ),
}


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
    CELL_NAMES.append(name)
    if cell.projected:
        PROJECTED_CELLS.append(name)
