"""The parts of a classifier's ONNX graph that a language model lacks: padding by lengths, and one vector a sequence."""

from __future__ import annotations

from d2lrnn.exchange.contents import Contents
from d2lrnn.exchange.onnx_layers import Nodes, Padding


def add_padding(nodes: Nodes, X: str) -> Padding:
    """Add which steps count, from the graph's input ``lengths`` (batch_size,).

    Args:
        nodes: of the graph.
        X: the name of the inputs, (num_steps, batch_size, num_inputs).
    """
    from onnx import TensorProto

    lengths = nodes.node("lengths_of_rows", "Cast", "lengths", to=TensorProto.INT32)  # as ONNX's layers take them
    zero, one = (nodes.constant(f"number_{value}", value, "int64") for value in (0, 1))
    axis_0, axis_1, axis_2 = (nodes.constant(f"axis_{axis}", [axis], "int64") for axis in range(3))
    num_steps = nodes.node("num_steps", "Gather", nodes.node("sizes", "Shape", X), zero)
    step = nodes.node("step", "Unsqueeze", nodes.node("steps", "Range", zero, num_steps, one), axis_1)  # (num_steps, 1)
    length = nodes.node("length", "Unsqueeze", "lengths", axis_0)  # (1, batch_size)
    counted = nodes.node("counts", "Less", step, length)  # (num_steps, batch_size)
    return Padding(lengths, nodes.node("counted", "Unsqueeze", counted, axis_2))


def add_summary(nodes: Nodes, contents: Contents, outputs: str, last_h: str, padding: Padding) -> str:
    """Add the vector of a sequence that a classifier's output layer reads; return its name, (batch_size, width).

    Args:
        nodes: of the graph.
        contents: of the model.
        outputs: the name of the last layer's outputs, (num_steps, batch_size, width).
        last_h: the name of its last hidden states, (num_directions, batch_size, width of H).
        padding: of :func:`add_padding`.
    """
    from onnx import TensorProto

    if contents.answers.head == "state":
        rows = nodes.node("last_h", "Transpose", last_h, perm=[1, 0, 2])
        shape = nodes.constant("shape_of_summary", [0, -1], "int64")  # the directions side by side; 0: as it is
        return nodes.node("summary", "Reshape", rows, shape)
    counts = padding.counted
    if contents.answers.head == "output":
        last_step = nodes.node("last_step", "Sub", "length", "number_1")
        counts = nodes.node("is_last", "Unsqueeze", nodes.node("last", "Equal", "step", last_step), "axis_2")
    weights = nodes.node("weights", "Cast", counts, to=TensorProto.FLOAT)  # (num_steps, batch_size, 1)
    total = nodes.node("total", "ReduceSum", nodes.node("weighted", "Mul", outputs, weights), "axis_0", keepdims=0)
    if contents.answers.head == "output":
        return total
    count = nodes.node(
        "count", "Cast", nodes.node("length_of_row", "Unsqueeze", "lengths", "axis_1"), to=TensorProto.FLOAT
    )
    return nodes.node("summary", "Div", total, count)
