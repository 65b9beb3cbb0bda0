"""PyTorch's names and layouts of a model's numbers: the parts encoder, rnn and decoder, as ``torch.nn`` has them.

PyTorch's own example word_language_model calls its parts so.  ``encoder.weight`` is the embedding, ``rnn.weight_ih_l0``
and its like belong to ``nn.RNN``, ``nn.GRU`` or ``nn.LSTM``, ``decoder.weight`` and ``decoder.bias`` to the output
layer.  A matrix of PyTorch has a row for each number that comes out, so each is the transpose of the book's.  The gates
of a layer stand below one another: r, z, n of a GRU, and i, f, g, o of an LSTM, whose g is the book's c.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy

from d2lrnn.cells.declaration import cell_named
from d2lrnn.checks import shortened, shown
from d2lrnn.config.model import ModelConfig
from d2lrnn.errors import D2lrnnError
from d2lrnn.exchange.answers import ExchangeError
from d2lrnn.exchange.contents import Contents
from d2lrnn.models.stack import Stack

ENCODER, DECODER, DECODER_BIAS = "encoder.weight", "decoder.weight", "decoder.bias"
RNN = "rnn."  # stands before the names of the recurrent layers' parameters

# PyTorch's name for each kind of a cell's parameters.  torch.nn has no peepholes: weight_ch is a name of ours, for the
# vectors from the memory (PyTorch's c) to the gates i, f and o.
NAMES = {
    "W_x": "weight_ih",
    "W_h": "weight_hh",
    "b_": "bias_ih",
    "c_": "bias_hh",
    "w_c": "weight_ch",
    "W_m": "weight_hr",
}

# The class of torch.nn that computes a cell, and what it is told beside its sizes.  torch.nn lacks the other cells.
MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("RNN", {"nonlinearity": "tanh"}),
    "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
    "gru_reset_after": ("GRU", {}),
    "lstm": ("LSTM", {}),
    "lstm_projected": ("LSTM", {}),
}

# The cell that a layer of torch.nn has, by the number of its gates, whether it has peepholes and whether it projects.
USUAL_CELLS = {
    (1, False, False): "rnn",
    (3, False, False): "gru_reset_after",
    (4, False, False): "lstm",
    (4, True, False): "lstm_peephole",
    (4, False, True): "lstm_projected",
    (4, True, True): "lstm_peephole_projected",
}


@dataclass(frozen=True)
class Shape:
    """What the names and shapes of a model's tensors tell of it."""

    stack: Stack
    num_hiddens: int
    inputs: int  # how many different ids the model reads, or how many numbers at each step
    embed_size: int | None  # None: the first layer reads one-hot vectors, or numbers
    num_outputs: int

    @property
    def num_inputs(self) -> int:
        """The width of what the first layer reads."""
        return self.embed_size or self.inputs


def tensors_of(contents: Contents) -> dict[str, numpy.ndarray]:
    """Return a model's numbers under PyTorch's names.

    The bias ``bias_hh`` of a cell that has one bias a gate is 0, since torch.nn's layers have it.  Tied weights stand
    in the encoder and in the decoder.
    """
    tensors = {} if contents.embedding is None else {ENCODER: contents.embedding}
    tensors |= layer_tensors(contents.stack, contents.num_hiddens, contents.values)
    tensors[DECODER], tensors[DECODER_BIAS] = contents.values["W_hq"].T, contents.values["b_q"]
    return {name: numpy.ascontiguousarray(array) for name, array in tensors.items()}


def layer_tensors(stack: Stack, num_hiddens: int, values: Mapping[str, numpy.ndarray]) -> dict[str, numpy.ndarray]:
    """Return the numbers of recurrent layers under PyTorch's names, as :func:`tensors_of` says."""
    tensors, second = {}, f"{stack.prefixes[0]}c_{cell_named(stack.cell).gates[0]}" in values
    for prefix, _, kind, gates, name in _layout(stack):
        if kind == "c_" and not second:
            tensors[name] = numpy.zeros(len(gates) * num_hiddens, "float32")
        else:
            tensors[name] = numpy.concatenate([values[f"{prefix}{kind}{gate}"].T for gate in gates])
    return tensors


def values_of(tensors: Mapping[str, numpy.ndarray], stack: Stack) -> dict[str, numpy.ndarray]:
    """Return the numbers of tensors, which :func:`tensors_of` would make, under the book's names.

    Second biases that are all 0 are left out, unless they are the cell's own.
    """
    values = {"W_hq": tensors[DECODER].T, "b_q": tensors[DECODER_BIAS], **layer_values(tensors, stack)}
    return {name: numpy.ascontiguousarray(array) for name, array in values.items()}


def layer_values(tensors: Mapping[str, numpy.ndarray], stack: Stack) -> dict[str, numpy.ndarray]:
    """Return the numbers of recurrent layers under the book's names, as :func:`values_of` says."""
    values: dict[str, numpy.ndarray] = {}
    second = cell_named(stack.cell).num_biases == 2
    second = second or any(tensors[name].any() for _, _, kind, _, name in _layout(stack) if kind == "c_")
    for prefix, _, kind, gates, name in _layout(stack):
        if kind != "c_" or second:
            parts = tensors[name].reshape(len(gates), -1, *tensors[name].shape[1:])
            values |= {f"{prefix}{kind}{gate}": part.T for gate, part in zip(gates, parts)}
    return values


def module_of(shape: Shape) -> dict[str, Any] | None:
    """Return the class of torch.nn that computes the recurrent layers, and its arguments; None: there is no such class.

    For example, ``{"class": "LSTM", "input_size": 1193, "hidden_size": 256, "num_layers": 1, ...}``.
    """
    if shape.stack.cell not in MODULES:
        return None
    name, options = MODULES[shape.stack.cell]
    sizes = {"input_size": shape.num_inputs, "hidden_size": shape.num_hiddens, "num_layers": shape.stack.num_layers}
    options = {**options, "bidirectional": shape.stack.bidirectional}
    projected = {"proj_size": shape.stack.num_projections} if shape.stack.num_projections else {}
    return {"class": name, **sizes, **options, **projected}


def shape_of(contents: Contents) -> Shape:
    """Return the shape of a model."""
    inputs, embed_size = contents.num_inputs, None
    if contents.embedding is not None:
        inputs, embed_size = contents.embedding.shape
    return Shape(contents.stack, contents.num_hiddens, inputs, embed_size, contents.num_outputs)


def shape_from(shapes: Mapping[str, tuple[int, ...]], cell: str | None = None) -> Shape:
    """Return what the names and shapes of tensors tell of a model.

    Args:
        shapes: by name.
        cell: the model's; None: the one that torch.nn computes for tensors of such shapes.

    Raises:
        ExchangeError: if they are not those of a model as :func:`tensors_of` writes it.
    """
    for name in (f"{RNN}weight_ih_l0", f"{RNN}weight_hh_l0", DECODER, DECODER_BIAS):
        if name not in shapes:
            raise ExchangeError(f"there is no tensor {name}; {_expected(shapes)}")
    for name in (f"{RNN}weight_ih_l0", f"{RNN}weight_hh_l0", f"{RNN}weight_hr_l0", ENCODER, DECODER):
        if name in shapes and (len(shapes[name]) != 2 or 0 in shapes[name]):
            raise ExchangeError(f"{name} has the shape {_shown(shapes[name])}: expected a matrix")
    (rows, columns), (_, width) = shapes[f"{RNN}weight_ih_l0"], shapes[f"{RNN}weight_hh_l0"]
    projected = f"{RNN}weight_hr_l0" in shapes
    num_hiddens = shapes[f"{RNN}weight_hr_l0"][1] if projected else width
    layers = [int(found[1]) for found in map(re.compile(rf"{RNN}weight_ih_l(\d{{1,3}})").fullmatch, shapes) if found]
    cell = cell or _usual_cell(rows, num_hiddens, f"{RNN}weight_ch_l0" in shapes, projected)
    inputs, embed_size = shapes.get(ENCODER, (columns, None))
    try:
        config = ModelConfig(
            kind="gluon" if embed_size else "scratch",
            cell=cell,
            num_hiddens=num_hiddens,
            num_layers=max(layers) + 1,
            bidirectional=f"{RNN}weight_ih_l0_reverse" in shapes,
            embed_size=embed_size,
            num_projections=width if projected else None,
        )
    except D2lrnnError as error:
        raise ExchangeError(f"the tensors describe no model: {error}") from error
    stack = Stack(cell, config.num_layers, config.bidirectional, num_projections=config.num_projections)
    shape = Shape(stack, num_hiddens, inputs, embed_size, shapes[DECODER][0])
    _check(shapes, shape)
    return shape


class _Tensor(NamedTuple):
    """A tensor of the recurrent layers."""

    prefix: str  # of the layer and direction in the book's names, such as "l0.reverse."
    layer: int
    kind: str  # of parameter, a key of NAMES
    gates: str  # the letters of the gates that stand below one another
    name: str  # PyTorch's


def _layout(stack: Stack) -> Iterator[_Tensor]:
    """Yield the tensors of the recurrent layers."""
    cell = cell_named(stack.cell)
    kinds = {**cell.kinds, "c_": cell.stacked}
    for i, prefix in enumerate(stack.prefixes):
        layer, reverse = divmod(i, stack.num_directions)
        for kind, name in NAMES.items():
            if kind in kinds:
                yield _Tensor(prefix, layer, kind, kinds[kind], f"{RNN}{name}_l{layer}{'_reverse' * reverse}")


def shapes_for(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors of a model, by name."""
    stack, cell = shape.stack, cell_named(shape.stack.cell)
    width = stack.layers.width(shape.num_hiddens)
    shapes: dict[str, tuple[int, ...]] = {}
    for _, layer, kind, gates, name in _layout(stack):
        num_inputs = width if layer else shape.num_inputs
        *rest, columns = cell.param_shape(kind, num_inputs, shape.num_hiddens, stack.num_projections)
        shapes[name] = (len(gates) * columns, *rest)
    shapes |= {DECODER: (shape.num_outputs, width), DECODER_BIAS: (shape.num_outputs,)}
    return shapes if shape.embed_size is None else {**shapes, ENCODER: (shape.inputs, shape.embed_size)}


def _check(found: Mapping[str, tuple[int, ...]], shape: Shape) -> None:
    """Check that tensors are those of a model of a shape; ``found`` has their shapes by name."""
    expected = shapes_for(shape)
    missing = [name for name in expected if name not in found]
    if missing:
        without = "; where a layer was made with bias=False, give it biases of 0" if "bias" in missing[0] else ""
        raise ExchangeError(f"there is no tensor {missing[0]}; {_expected(found)}{without}")
    for name in found:
        if name not in expected:
            what = f"the tensor {shown(name)} is no part of a model of the cell {shape.stack.cell}"
            raise ExchangeError(f"{what}; {_expected(found)}")
    for name in expected:
        if found[name] != expected[name]:
            raise ExchangeError(
                f"{name} has the shape {_shown(found[name])}: expected {expected[name]}, for the cell "
                f"{shape.stack.cell} and {shape.num_hiddens:,} hidden units"
            )


def _usual_cell(num_rows: int, num_hiddens: int, peepholes: bool, projected: bool) -> str:
    """Return the cell of a layer whose ``weight_ih`` has so many rows for its hidden units."""
    cell = USUAL_CELLS.get((num_rows // num_hiddens, peepholes, projected)) if num_rows % num_hiddens == 0 else None
    if cell is None:
        raise ExchangeError(
            f"{RNN}weight_ih_l0 has {num_rows:,} rows for {num_hiddens:,} hidden units{', peepholes' * peepholes}"
            f"{', a projection' * projected}: expected as many (an RNN), 3 times (a GRU) or 4 times as many (an LSTM)"
        )
    return cell


def _expected(found: Mapping[str, Any]) -> str:
    """Return the end of an error about a tensor's name."""
    names = ", ".join(map(shortened, sorted(found)[:8])) + (" and more" if len(found) > 8 else "")
    return (
        f"found {names or 'none'}; expected the names of a module with the parts encoder (nn.Embedding, or none), rnn "
        "(nn.RNN, nn.GRU or nn.LSTM) and decoder (nn.Linear)"
    )


def _shown(shape: tuple[int, ...]) -> str:
    return shortened(str(tuple(shape)))
