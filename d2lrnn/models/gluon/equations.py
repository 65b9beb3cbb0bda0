"""The equations of a Gluon layer, unrolled, on the layer's parameters: for cells that Gluon lacks, and for padding."""

from __future__ import annotations

from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.cells.compiled import Weights, clear_padding, dot
from d2lrnn.cells.registry import CELLS
from d2lrnn.models.gluon.facts import LayerFacts, facts_of, finish, is_frozen, parameters_by_kind, value_of
from d2lrnn.models.gluon.graphs import num_steps_of


def run_equations(
    F, layer, X, state: list, counted=None, weight_dropout: float = 0.0, values: list | None = None
) -> tuple:
    """Compute what a layer computes, by the equations of its cell.

    A fused layer cannot skip padding: MXNet ignores ``use_sequence_length`` on the CPU.  For padding, the equations
    replace the fused layer, on the same parameters and with the same gradients.

    Args:
        F: MXNet's module for arrays or for symbols.
        layer: a fused layer, or an :class:`UnrolledLayer`.
        X: inputs (num_steps, batch_size, num_inputs).
        state: arrays (num_layers * num_directions, batch_size, width).
        counted: 1 for a token, 0 for padding, (batch_size, num_steps); None: there is no padding.
        weight_dropout: the share of the hidden-to-hidden weights that is dropped in training.
        values: of the parameters of each layer and direction by kind, where they are not read from the layer.

    Returns:
        outputs (num_steps, batch_size, num_directions * width of H), 0 at padding; and the new state.
    """
    facts, num_steps, last = facts_of(layer), num_steps_of(X), []
    counted = None if counted is None else F.np.transpose(counted)  # (num_steps, batch_size)
    by_kind = parameters_by_kind(layer)
    params = zip(by_kind, values or [None] * len(by_kind))
    for level in range(facts.num_layers):
        X, outputs = clear_padding(F, X, counted), []  # (num_steps, batch_size, num_inputs of this level)
        for direction in range(facts.num_directions):
            products, weights = _products(F, facts, *next(params), X, weight_dropout)
            i = level * facts.num_directions + direction
            begin = [F.np.squeeze(F.npx.slice(array, begin=(i,), end=(i + 1,)), axis=0) for array in state]
            H, end = weights.unroll(products, begin, num_steps, bool(direction), counted)
            outputs.append(H)
            last.append(end)
        X = outputs[0] if len(outputs) == 1 else F.np.concatenate(outputs, axis=2)
    return X, [F.np.stack(arrays, axis=0) for arrays in zip(*last)]


def _products(
    F, facts: LayerFacts, params: dict[str, Any], values: dict[str, Any] | None, X, weight_dropout: float
) -> tuple:
    """Return the products of the inputs and one direction's ``W_x`` for all steps, and the direction's weights.

    ``values`` are the parameters' values; None: those that they have.

    Returns:
        (num_steps, batch_size, gates * num_hiddens); and the :class:`Weights`, which a step reads beside the products.
    """
    ctx = None
    if F is not mx.sym:
        ctx = X.ctx
        finish(params.values(), X.shape[2])
    p = values or {kind: value_of(F, param, ctx) for kind, param in params.items()}
    frozen = {kind for kind, param in params.items() if is_frozen(param)}
    bias = p["b_"] if "c_" in p else None  # a single bias belongs to the product with the state
    products = dot(F, X, p["W_x"], bias, len(CELLS[facts.cell].gates) * facts.num_hiddens, "W_x" in frozen)
    weights = _weights(F, facts, p, weight_dropout)
    weights.frozen = "W_h" in frozen
    return products, weights


def _weights(F, facts: LayerFacts, p: dict[str, Any], weight_dropout: float) -> Weights:
    """Return the :class:`Weights` of one direction, from its parameters by kind."""
    cell, n, W_h = CELLS[facts.cell], facts.num_hiddens, p["W_h"]
    bias = p["c_"] if "c_" in p else p["b_"]
    if weight_dropout:
        W_h = F.npx.dropout(W_h, p=weight_dropout)

    def rows(array, gates: str, stacked: str):
        begin = stacked.index(gates) * n
        return array if gates == stacked else F.npx.slice(array, begin=(begin,), end=(begin + len(gates) * n,))

    arrays = [rows(array, gates, cell.stacked) for gates in cell.products for array in (W_h, bias)]
    arrays += [rows(p["w_c"], gate, cell.peepholes) for gate in cell.peepholes]
    return Weights(F, cell, n, facts.num_projections, [*arrays, p.get("W_m")])
