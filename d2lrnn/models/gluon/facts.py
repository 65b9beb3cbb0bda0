"""Facts about Gluon's layers and parameters; the one file that reads their private attributes.

A layer is here a fused layer of ``gluon.rnn`` or an :class:`d2lrnn.models.gluon.unrolled.UnrolledLayer`, whose
attributes are public.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from d2lrnn._runtime import mx
from d2lrnn.cells.declaration import cell_named
from d2lrnn.checks import check_parameters, check_state, check_whole
from d2lrnn.errors import D2lrnnError

# Gluon's name of each kind of a cell's parameters; Gluon has no peepholes, so c2h_weight is a name of ours.
GLUON_NAMES = {
    "W_x": "i2h_weight",
    "W_h": "h2h_weight",
    "w_c": "c2h_weight",
    "b_": "i2h_bias",
    "c_": "h2h_bias",
    "W_m": "h2r_weight",
}
FUSED_CELLS = ("rnn", "rnn_relu", "gru_reset_after", "lstm")  # names in CELLS for which Gluon has a fused layer


class LayerFacts(NamedTuple):
    """The shape of a layer."""

    cell: str  # a name in CELLS
    num_hiddens: int  # of each direction
    num_projections: int | None  # width of a projected hidden state
    num_layers: int  # a fused layer may hold several
    num_directions: int
    input_size: int  # 0: not known yet

    @property
    def width(self) -> int:
        """The last axis of the outputs."""
        return (self.num_projections or self.num_hiddens) * self.num_directions


def gluon_cell(cell: str) -> str:
    """Return the name in CELLS of the cell that Gluon computes when asked for ``cell``; its ``gru`` is reset-after."""
    return "gru_reset_after" if cell == "gru" else cell


def is_fused(layer) -> bool:
    """Return whether a layer is a fused layer of ``gluon.rnn``."""
    return hasattr(layer, "_mode")


def shapes_by_kind(
    cell: str, input_size: int, num_hiddens: int, num_projections: int | None = None, fused: bool = False
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each kind of parameter in one direction of a layer, all gates in one array.

    Args:
        cell: a name in ``CELLS``.
        input_size: size of the inputs.
        num_hiddens: hidden units of the direction.
        num_projections: width of a projected cell's hidden state.
        fused: whether the layer is a fused one, which has two biases whatever the cell has.

    Returns:
        shapes by ``W_x``, ``W_h`` and so on, in the layer's order.
    """
    record = cell_named(cell)
    kinds = record.kinds | ({"c_": record.stacked} if fused else {})
    shapes = {}
    for kind, letters in kinds.items():
        *rest, columns = record.param_shape(kind, input_size, num_hiddens, num_projections)
        shapes[kind] = (len(letters) * columns, *rest)
    return shapes


def check_layer_sizes(
    cell: str, num_hiddens: int, input_size: int, num_projections: int | None, bidirectional: bool
) -> None:
    """Check that a layer of these sizes can be made; ``input_size`` 0 is not known yet.

    Raises:
        D2lrnnError: for an unknown cell, a size that is no whole number, a ``num_projections`` that does not fit the
            cell, or more parameters than memory can hold.
    """
    record = cell_named(cell)
    check_whole("num_hiddens", num_hiddens)
    check_whole("input_size", input_size, 0)
    record.check_projections(cell, num_projections, num_hiddens)
    shapes = shapes_by_kind(cell, input_size, num_hiddens, num_projections, fused=cell in FUSED_CELLS)
    check_parameters([*shapes.values()] * (2 if bidirectional else 1))


def name_in_layer(cell: str, kind: str, direction: str, bidirectional: bool) -> str:
    """Return what :func:`names_of` calls a parameter of a layer of :func:`d2lrnn.models.gluon.layers.rnn_layer`.

    Args:
        cell: a name in ``CELLS``; Gluon has names of its own for the parameters of the fused layers.
        kind: a key of ``GLUON_NAMES``.
        direction: ``l``, or ``r`` for the direction from the right.
        bidirectional: whether the layer has both directions.
    """
    if cell not in FUSED_CELLS:
        return f"{direction}0_{GLUON_NAMES[kind]}"
    return f"_unfused.0.{f'{direction}_cell.' * bidirectional}{GLUON_NAMES[kind]}"


def facts_of(layer) -> LayerFacts:
    """Return the shape of a layer."""
    if not is_fused(layer):
        sizes = layer.num_hiddens, layer.num_projections
        return LayerFacts(layer.cell, *sizes, layer.num_layers, layer.num_directions, layer.input_size)
    cell = "rnn" if layer._mode == "rnn_tanh" else gluon_cell(layer._mode)
    sizes = layer._hidden_size, layer._projection_size
    return LayerFacts(cell, *sizes, layer._num_layers, layer._dir, layer._input_size)


def state_sizes_of(layers: Iterable) -> list[tuple[int, int]]:
    """Return the first and the last axis of each array of the state of layers; the axis between them is the batch."""
    sizes = []
    for facts in map(facts_of, layers):
        widths = cell_named(facts.cell).state_widths(facts.num_hiddens, facts.num_projections)
        sizes += [(facts.num_layers * facts.num_directions, width) for width in widths]
    return sizes


def check_state_of(layers: Iterable, batch_size: int) -> None:
    """Check that memory can hold the state of layers for a batch.

    Raises:
        D2lrnnError: if it cannot, or ``batch_size`` is no whole number of at least 1.
    """
    check_state(batch_size, [width for count, width in state_sizes_of(layers) for _ in range(count)])


def ignored_options(layer) -> dict[str, bool]:
    """Return by name whether those options of a fused layer are set that MXNet ignores or gets wrong on the CPU."""
    clips = layer._lstm_state_clip_min is not None or layer._lstm_state_clip_max is not None
    return {
        "dropout": bool(layer._dropout),
        "lstm_state_clip_min/max": clips,
        "use_sequence_length": bool(layer._use_sequence_length),
        "projection_size": bool(layer._projection_size),
        "layout='NTC'": layer._layout != "TNC",
    }


def operator_options(layer) -> dict[str, Any]:
    """Return the options with which ``npx.rnn`` computes what a fused layer computes."""
    return {
        "state_size": layer._hidden_size,
        "num_layers": layer._num_layers,
        "p": layer._dropout,
        "mode": layer._mode,
        "bidirectional": layer._dir == 2,
    }


def parameters_by_kind(layer) -> list[dict[str, Any]]:
    """Return the Gluon parameters of each layer and direction by kind: ``W_x``, ``W_h``, ``b_`` and so on."""
    found, facts = [], facts_of(layer)
    for i in range(facts.num_layers):
        for direction in "lr"[: facts.num_directions]:
            params = {kind: getattr(layer, f"{direction}{i}_{name}", None) for kind, name in GLUON_NAMES.items()}
            found.append({kind: param for kind, param in params.items() if param is not None})
    return found


def set_input_size(layer, size: int) -> None:
    """Tell a layer the size of its inputs, so that Gluon can make the parameters before the first call.

    Raises:
        D2lrnnError: if the layer was made for inputs of another size.
    """
    facts = facts_of(layer)
    if facts.input_size not in (0, size):
        raise D2lrnnError(
            f"the {type(layer).__name__} was made for inputs of size {facts.input_size}, but the model's are {size}"
        )
    for params in parameters_by_kind(layer)[: facts.num_directions]:
        weight = params["W_x"]
        weight.shape = (weight.shape[0], size)


def value_of(F, param, ctx: mx.Context | None):
    """Return a parameter as a symbol, where F is MXNet's module for symbols, or else as its array on a device."""
    return param.var() if F is mx.sym else param.data(ctx)


def finish(params: Iterable, size: int) -> None:
    """Make those parameters of a layer that wait for the size of its inputs, which is given here."""
    for param in params:
        if param._deferred_init:
            param.shape = tuple(length if length > 0 else size for length in param.shape)
            param._finish_deferred_init()


def is_frozen(param) -> bool:
    """Return whether a Gluon parameter has no gradient."""
    return param.grad_req == "null"


def is_tied_to_gradient(param) -> bool:
    """Return whether backward will find the gradient of a Gluon parameter that is not frozen.

    A parameter that waits for the size of its inputs counts as tied: Gluon makes its gradient with its array.
    """
    if param._data is None:
        return bool(param._deferred_init)
    return all(array.grad is not None for array in param._data)


def names_of(block) -> dict[str, Any]:
    """Return a block's parameters by name; names do not depend on how many blocks were made before.

    A parameter that is used in two places, such as a tied weight, comes once.
    """
    names: dict[Any, str] = {}
    for name, param in block._collect_params_with_prefix().items():
        names.setdefault(param, name)
    return {name: param for param, name in names.items()}


def single_parameters(block) -> list:
    """Return those parameters of a block that stand in one place, such as no tied weight does."""
    found = list(block._collect_params_with_prefix().values())
    return [param for param in found if sum(param is other for other in found) == 1]


def memory_of(params: Iterable) -> list:
    """Return all arrays in which Gluon parameters keep their values and gradients, on all devices."""
    return [array for param in params for array in (*param.list_data(), *(param._grad or ()))]


def move(param, place: int, data, grad) -> None:
    """Let a parameter keep its values and its gradient in other arrays, on its device number ``place`` (from 0)."""
    param._data[place] = data
    if not is_frozen(param):
        param._grad[place] = grad
        mx.autograd.mark_variables([data], [grad], param.grad_req)  # for calls of the layer without the encoder


def has_new_gradient(array) -> bool:
    """Return whether backward has written an array's gradient since :func:`note_gradient`."""
    return array._fresh_grad


def note_gradient(array) -> None:
    """Take note of the gradient that is there, so that :func:`has_new_gradient` tells of the next one."""
    array._fresh_grad = False


def expect_gradient(param, ctx: mx.Context) -> None:
    """Tell ``gluon.Trainer`` that the gradient in a parameter's array will be a new one; it refuses old gradients."""
    if not is_frozen(param):
        param.data(ctx)._fresh_grad = True
