"""A trained model as an ONNX graph for any batch and any number of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy

from d2lrnn.exchange.contents import Contents
from d2lrnn.exchange.onnx_layers import STATES, Layer, Nodes, add_layer


def make_graph(contents: Contents) -> Any:
    """Return the ``GraphProto`` of a model.

    Its inputs are ``ids`` (batch_size, num_steps) and the state in PyTorch's layout: ``h`` (num_layers *
    num_directions, batch_size, width of H) and, where the cell has a memory, ``c`` (num_layers * num_directions,
    batch_size, num_hiddens).  Its outputs are ``logits`` (batch_size, num_steps, num_outputs), which is what users of
    ONNX expect where the ids are (batch_size, num_steps), and the new state as ``new_h`` and ``new_c``.
    """
    from onnx.helper import make_graph as graph_of

    nodes, layers = Nodes(), [Layer(contents, i) for i in range(contents.stack.num_layers)]
    table, weights = _table(contents, layers[0])
    ids = nodes.node("ids_by_step", "Transpose", "ids", perm=[1, 0])  # (num_steps, batch_size)
    X = nodes.node("l0.X", "Gather", nodes.constant("table", table), ids)  # (num_steps, batch_size, num_inputs)
    new_states = []
    for layer, state in zip(layers, _state_by_layer(nodes, contents)):
        X, new = add_layer(nodes, layer, X, layer.weights("W_x") if layer.number else weights, state)
        new_states.append(new)
    outputs = nodes.node("outputs", "Transpose", X, perm=[1, 0, 2])  # (batch_size, num_steps, width)
    if contents.tied:
        weight = nodes.node("W_hq", "Transpose", "table", perm=[1, 0])
    else:
        weight = nodes.constant("W_hq", contents.values["W_hq"])
    products = nodes.node("products", "MatMul", outputs, weight)
    nodes.node("logits", "Add", products, nodes.constant("b_q", contents.values["b_q"]))
    for name, rows in zip(STATES, zip(*new_states)):
        nodes.node(f"new_{name}", "Concat", *rows, axis=0)
    return graph_of(nodes.nodes, "d2lrnn", *_signature(contents, layers[0].widths), nodes.constants)


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

    rows = len(contents.stack.prefixes)
    inputs, outputs = (
        [info(f"{new}{name}", rows, "batch_size", width) for name, width in zip(STATES, widths)] for new in ("", "new_")
    )
    ids = info("ids", "batch_size", "num_steps", kind=TensorProto.INT64)
    return [ids, *inputs], [info("logits", "batch_size", "num_steps", contents.num_outputs), *outputs]
