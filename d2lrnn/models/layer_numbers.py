"""The numbers of recurrent layers on Gluon under the book's names: read, and written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy

from d2lrnn.cells.declaration import Cell
from d2lrnn.cells.registry import CELLS
from d2lrnn.models.gluon.facts import facts_of, parameters_by_kind
from d2lrnn.models.parameters import freeze, numbers_of, set_values
from d2lrnn.models.stack import Layers


def layers_in(block) -> Layers:
    """Return the layers of a model or an encoder on Gluon, as a record of those from scratch."""
    facts = [facts_of(layer) for layer in block.layers]
    count, first = sum(layer.num_layers for layer in facts), facts[0]
    return Layers(first.cell, count, block.bidirectional, first.num_projections)


def read_layers(block, gradients: bool = False) -> dict[str, numpy.ndarray]:
    """Return the numbers of a block's layers, or their gradients, by the names of :attr:`Layers.param_names`.

    Gluon's second biases ``c_`` are there too.  Frozen parameters have no gradients.
    """
    cell, values = CELLS[layers_in(block).cell], {}
    for prefix, params in _parameters_in(block):
        for kind, whole in numbers_of(params, gradients).items():
            gates = _gates_of(cell, kind)
            parts = whole.reshape(len(gates), -1, *whole.shape[1:])
            values.update({f"{prefix}{kind}{gate}": part.T for gate, part in zip(gates, parts)})
    return values


def write_layers(block, values: Mapping[str, Any]) -> None:
    """Set the parameters of a block's layers to numbers under the book's names, as :func:`read_layers` returns them.

    Second biases ``c_`` of a cell that has one bias a gate are 0 if ``values`` lacks them.  A block that has none gets
    their sum with the first.
    """
    layers, values = layers_in(block), dict(values)
    cell, params_of = CELLS[layers.cell], _parameters_in(block)
    both_given = f"{layers.prefixes[0]}c_{cell.gates[0]}" in values
    if not (both_given and all("c_" in params for _, params in params_of)):
        add_up_biases(layers, values)
    for prefix, params in params_of:
        for kind, param in params.items():
            parts = [values[f"{prefix}{kind}{gate}"].T for gate in _gates_of(cell, kind)]
            set_values(param, numpy.concatenate(parts))


def freeze_second_biases(block) -> None:
    """Let the second biases of a block's layers have no gradient, where the cell has one bias a gate."""
    if CELLS[layers_in(block).cell].num_biases == 1:
        for _, params in _parameters_in(block):
            if "c_" in params:
                freeze(params["c_"])


@numpy.errstate(over="ignore", invalid="ignore")  # who uses the sums says that they are no numbers
def add_up_biases(layers: Layers, values: dict[str, numpy.ndarray]) -> None:
    """Add each gate's second bias, if there is one, to the first and set it to 0, unless the cell itself has both."""
    cell = CELLS[layers.cell]
    if cell.num_biases == 1:
        for prefix in layers.prefixes:
            for gate in cell.gates:
                b, c = f"{prefix}b_{gate}", f"{prefix}c_{gate}"
                values[b], values[c] = values[b] + values[c] if c in values else values[b], 0 * values[b]


def _parameters_in(block) -> list[tuple[str, dict[str, Any]]]:
    """Return the prefix in :class:`Layers` and the parameters by kind of each layer and direction."""
    return list(
        zip(layers_in(block).prefixes, (params for layer in block.layers for params in parameters_by_kind(layer)))
    )


def _gates_of(cell: Cell, kind: str) -> str:
    """Return the gates whose parameters of a kind Gluon stacks; fused layers have second biases ``c_`` for any cell."""
    return cell.stacked if kind == "c_" else cell.kinds[kind]
