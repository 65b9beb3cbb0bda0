"""A trained model as an ONNX graph for any batch and any number of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy

from d2lrnn.config.presets import CLASSIFICATION, FORECASTING, LANGUAGE_MODEL
from d2lrnn.exchange.contents import Contents
from d2lrnn.exchange.onnx_heads import add_padding, add_summary
from d2lrnn.exchange.onnx_layers import STATES, Layer, Nodes, add_layer


def make_graph(contents: Contents) -> Any:
    """Return the ``GraphProto`` of a model.

    A language model's inputs are ``ids`` (batch_size, num_steps) and the state in PyTorch's layout: ``h`` (num_layers *
    num_directions, batch_size, width of H) and, where the cell has a memory, ``c`` (num_layers * num_directions,
    batch_size, num_hiddens).  Its outputs are ``logits`` (batch_size, num_steps, num_outputs), which is what users of
    ONNX expect where the ids are (batch_size, num_steps), and the new state as ``new_h`` and ``new_c``.

    The other models begin each call with a state of zeros.  They read ``ids``, or ``numbers`` (batch_size, num_steps,
    input_size).  A classifier also takes ``lengths`` (batch_size,), how many of each row's steps are no padding, and
    answers with ``logits`` (batch_size, number of classes).  A forecaster answers with ``forecasts`` (batch_size,
    num_steps, num_outputs).
    """
    from onnx.helper import make_graph as graph_of

    task = contents.answers.task
    nodes, layers = Nodes(), [Layer(contents, i) for i in range(contents.stack.num_layers)]
    X, weights = _inputs(nodes, contents, layers[0])  # (num_steps, batch_size, num_inputs)
    padding = add_padding(nodes, X) if task == CLASSIFICATION else None
    states = _state_by_layer(nodes, contents) if task == LANGUAGE_MODEL else [()] * len(layers)
    new_states: list[Sequence[str]] = []
    for layer, state in zip(layers, states):
        X, new = add_layer(nodes, layer, X, layer.weights("W_x") if layer.number else weights, state, padding)
        new_states.append(new)
    if padding is None:
        read = nodes.node("outputs", "Transpose", X, perm=[1, 0, 2])  # (batch_size, num_steps, width)
    else:
        read = add_summary(nodes, contents, X, new_states[-1][0], padding)  # (batch_size, width)
    if contents.tied:
        weight = nodes.node("W_hq", "Transpose", "table", perm=[1, 0])
    else:
        weight = nodes.constant("W_hq", contents.values["W_hq"])
    products = nodes.node("products", "MatMul", read, weight)
    nodes.node(_name_of_answers(contents), "Add", products, nodes.constant("b_q", contents.values["b_q"]))
    if task == LANGUAGE_MODEL:
        for name, rows in zip(STATES, zip(*new_states)):
            nodes.node(f"new_{name}", "Concat", *rows, axis=0)
    return graph_of(nodes.nodes, "d2lrnn", *_signature(contents, layers[0].widths), nodes.constants)


def _name_of_answers(contents: Contents) -> str:
    return "forecasts" if contents.answers.task == FORECASTING else "logits"


def _inputs(nodes: Nodes, contents: Contents, first: Layer) -> tuple[str, numpy.ndarray]:
    """Add what the first layer reads, (num_steps, batch_size, num_inputs); return its name, and the layer's weights."""
    if contents.vocab is None:
        return nodes.node("l0.X", "Transpose", "numbers", perm=[1, 0, 2]), first.weights("W_x")
    table, weights = _table(contents, first)
    ids = nodes.node("ids_by_step", "Transpose", "ids", perm=[1, 0])  # (num_steps, batch_size)
    return nodes.node("l0.X", "Gather", nodes.constant("table", table), ids), weights


def _table(contents: Contents, first: Layer) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return a vector for each id, (vocab_size, width), and the first layer's weights for such vectors.

    With an embedding, these are its vectors.  Else the vectors are one-hot and the table is an identity, which for a
    large vocabulary would be larger than all else: 400 MB for 10,000 words.  There the table has the rows of the
    weights, which are the products of one-hot vectors and weights, and the identity takes the place of the weights.
    So the identity is never larger than the weights.
    """
    weights = first.weights("W_x")  # (num_directions, num_gates * num_hiddens, num_inputs)
    if contents.embedding is not None:
        return contents.embedding, weights
    directions, rows, vocab_size = weights.shape
    if vocab_size <= directions * rows:
        return numpy.eye(vocab_size), weights
    return weights.reshape(-1, vocab_size).T, numpy.eye(directions * rows).reshape(directions, rows, -1)


def _state_by_layer(nodes: Nodes, contents: Contents) -> list[Sequence[str]]:
    """Return the names of each layer's states, ``h`` or ``h, c``, each (num_directions, batch_size, width)."""
    layers = range(contents.stack.num_layers)
    rows = nodes.constant("rows_of_layers", [contents.stack.num_directions] * len(layers), "int64")
    names = STATES[: contents.cell.num_states]
    pieces = [nodes.several([f"l{i}.{name}" for i in layers], "Split", name, rows, axis=0) for name in names]
    return list(zip(*pieces))


def _signature(contents: Contents, widths: Sequence[int]) -> tuple[list, list]:
    """Return the graph's inputs and outputs; an axis with a name may have any length."""
    from onnx import TensorProto
    from onnx.helper import make_tensor_value_info

    def info(name: str, *shape: Any, kind: int = TensorProto.FLOAT) -> Any:
        return make_tensor_value_info(name, kind, shape)

    sizes, rows, task = ["batch_size", "num_steps"], len(contents.stack.prefixes), contents.answers.task
    if contents.vocab is None:
        read = info("numbers", *sizes, contents.num_inputs)
    else:
        read = info("ids", *sizes, kind=TensorProto.INT64)
    if task == CLASSIFICATION:
        lengths = info("lengths", "batch_size", kind=TensorProto.INT64)
        return [read, lengths], [info("logits", "batch_size", contents.num_outputs)]
    answers = info(_name_of_answers(contents), *sizes, contents.num_outputs)
    if task == FORECASTING:
        return [read], [answers]
    before, after = (
        [info(f"{new}{name}", rows, "batch_size", width) for name, width in zip(STATES, widths)] for new in ("", "new_")
    )
    return [read, *before], [answers, *after]
