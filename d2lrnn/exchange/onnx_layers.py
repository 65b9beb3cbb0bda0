"""One recurrent layer in ONNX: by ONNX's operator for the cell, or by a loop over time around the cell's equations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy

from d2lrnn.exchange.contents import Contents


class Operator(NamedTuple):
    """The ONNX operator for a cell, and the order in which it stacks the gates, by the book's letters."""

    name: str
    gates: str
    options: dict[str, Any] = {}
    activation: str | None = None  # None: the operator's own


OPERATORS = {
    "rnn": Operator("RNN", "h"),
    "rnn_relu": Operator("RNN", "h", activation="Relu"),
    "gru": Operator("GRU", "zrh", {"linear_before_reset": 0}),
    "gru_reset_after": Operator("GRU", "zrh", {"linear_before_reset": 1}),
    "lstm": Operator("LSTM", "iofc"),
    "lstm_peephole": Operator("LSTM", "iofc"),
    # ONNX's LSTM projects nothing, so these two are a loop over time, ONNX's Scan.
    "lstm_projected": Operator("Scan", "iofc"),
    "lstm_peephole_projected": Operator("Scan", "iofc"),
}
PEEPHOLES = "iof"  # in the order of ONNX's LSTM
STATES = "hc"  # what the graph calls H and the memory


@dataclass
class Nodes:
    """The nodes of a graph, in the order in which they are computed, and the graph's constants."""

    nodes: list = field(default_factory=list)
    constants: list = field(default_factory=list)

    def constant(self, name: str, array: Any, dtype: str = "float32") -> str:
        """Add an array of numbers; return its name."""
        from onnx.numpy_helper import from_array

        self.constants.append(from_array(numpy.asarray(array, dtype, order="C"), name))
        return name

    def several(self, outputs: Sequence[str], operator: str, *inputs: str, **options: Any) -> Sequence[str]:
        """Add a node of several outputs; return their names."""
        from onnx.helper import make_node

        self.nodes.append(make_node(operator, inputs, outputs, name=outputs[0], **options))
        return outputs

    def node(self, output: str, operator: str, *inputs: str, **options: Any) -> str:
        """Add a node of one output; return its name."""
        return self.several([output], operator, *inputs, **options)[0]


@dataclass(frozen=True)
class Layer:
    """One layer of a model."""

    contents: Contents  # of the model
    number: int  # of the layer, from 0

    @property
    def name(self) -> str:
        """What the names of its arrays in the graph begin with."""
        return f"l{self.number}."

    @property
    def operator(self) -> Operator:
        """What computes the layer."""
        return OPERATORS[self.contents.stack.cell]

    @property
    def prefixes(self) -> list[str]:
        """The prefixes in :class:`Contents` of the layer's directions."""
        directions = self.contents.stack.num_directions
        return self.contents.stack.prefixes[self.number * directions :][:directions]

    @property
    def widths(self) -> list[int]:
        """The last axis of each array in the layer's state."""
        return self.contents.cell.state_widths(self.contents.num_hiddens, self.contents.stack.num_projections)

    def weights(self, kind: str) -> numpy.ndarray:
        """Return the ``W_x`` or ``W_h`` of all gates, (num_directions, num_gates * num_hiddens, number of inputs)."""
        values, gates = self.contents.values, self.operator.gates
        return numpy.stack([numpy.concatenate([values[p + kind + gate].T for gate in gates]) for p in self.prefixes])

    def vectors(self, kind: str, gates: str) -> numpy.ndarray:
        """Return the vectors of a kind of some gates, such as ``b_``, (num_directions, len(gates) * num_hiddens).

        Vectors that the model lacks are 0.
        """
        values, zeros = self.contents.values, numpy.zeros(self.contents.num_hiddens)
        rows = [[values.get(prefix + kind + gate, zeros) for gate in gates] for prefix in self.prefixes]
        return numpy.stack([numpy.concatenate(row) for row in rows])


class Padding(NamedTuple):
    """The names of arrays of a graph that tell which steps of each row count; the first steps of a row do."""

    lengths: str  # how many steps count, (batch_size,), int32
    counted: str  # whether a step counts, (num_steps, batch_size, 1)


def add_layer(
    nodes: Nodes,
    layer: Layer,
    X: str,
    weights: numpy.ndarray,
    state: Sequence[str] = (),
    padding: Padding | None = None,
) -> tuple[str, Sequence]:
    """Add a layer to a graph.

    Args:
        nodes: of the graph.
        layer: what to add.
        X: the name of the inputs, (num_steps, batch_size, num_inputs).
        weights: of the inputs, as :meth:`Layer.weights` returns them.
        state: the names of the layer's states, each (num_directions, batch_size, width); empty: they are zeros.
        padding: which steps count; None: all.

    Returns:
        the name of the outputs, (num_steps, batch_size, num_directions * width of H), 0 at padding; the names of the
        new states.
    """
    add = _add_loops if layer.operator.name == "Scan" else _add_operator
    return add(nodes, layer, X, weights, state, padding)


def _add_operator(
    nodes: Nodes, layer: Layer, X: str, weights: numpy.ndarray, state: Sequence[str], padding: Padding | None
) -> tuple[str, Sequence]:
    operator, contents, name = layer.operator, layer.contents, layer.name
    biases = [layer.vectors(kind, operator.gates) for kind in ("b_", "c_")]  # ONNX has two for each gate, as Gluon has
    inputs = [
        X,
        nodes.constant(f"{name}W", weights),
        nodes.constant(f"{name}R", layer.weights("W_h")),
        nodes.constant(f"{name}B", numpy.concatenate(biases, axis=1)),
        padding.lengths if padding else "",
        *(state or [""] * contents.cell.num_states),
    ]
    if contents.cell.peepholes:
        inputs.append(nodes.constant(f"{name}P", layer.vectors("w_c", PEEPHOLES)))
    directions = contents.stack.num_directions
    options: dict[str, Any] = {**operator.options, "hidden_size": contents.num_hiddens}
    if directions == 2:
        options["direction"] = "bidirectional"
    if operator.activation:
        options["activations"] = [operator.activation] * directions
    new = [f"{name}new_{letter}" for letter in STATES[: contents.cell.num_states]]
    nodes.several([f"{name}Y", *new], operator.name, *inputs, **options)
    # From (num_steps, num_directions, batch_size, num_hiddens) to the directions side by side.
    Y = nodes.node(f"{name}Y_by_row", "Transpose", f"{name}Y", perm=[0, 2, 1, 3])
    shape = nodes.constant(f"{name}shape", [0, 0, directions * contents.num_hiddens], "int64")  # 0: as it is
    return nodes.node(f"{name}outputs", "Reshape", Y, shape), new


def _add_loops(
    nodes: Nodes, layer: Layer, X: str, weights: numpy.ndarray, state: Sequence[str], padding: Padding | None
) -> tuple[str, Sequence]:
    axis = nodes.constant(f"{layer.name}first_axis", [0], "int64")
    found = []  # for each direction the outputs, and the new states as rows of the layer's
    for direction in range(len(layer.prefixes)):
        name, W = f"{layer.name}d{direction}.", weights[direction].T
        begin = _begin_of_loop(nodes, layer, name, direction, X, state)
        Y, *new = _add_loop(nodes, layer, direction, _sums(nodes, layer, direction, X, W), begin, padding)
        found.append([Y, *(nodes.node(f"{array}_row", "Unsqueeze", array, axis) for array in new)])
    outputs, *rows = zip(*found)
    new = [nodes.node(f"{layer.name}new_{letter}", "Concat", *row, axis=0) for letter, row in zip(STATES, rows)]
    return nodes.node(f"{layer.name}outputs", "Concat", *outputs, axis=2), new


def _begin_of_loop(nodes: Nodes, layer: Layer, name: str, direction: int, X: str, state: Sequence[str]) -> list[str]:
    """Add the states of one direction before the loop, (batch_size, width); ``name``: what their names begin with."""
    if state:
        row = nodes.constant(f"{name}row", direction, "int64")
        return [nodes.node(f"{name}{letter}", "Gather", array, row) for letter, array in zip(STATES, state)]
    sizes = nodes.node(f"{name}sizes", "Shape", X)
    batch_size = nodes.node(f"{name}batch_size", "Gather", sizes, nodes.constant(f"{name}1", [1], "int64"))
    begin = []
    for letter, width in zip(STATES, layer.widths):
        last = nodes.constant(f"{name}{letter}.width", [width], "int64")
        shape = nodes.node(f"{name}{letter}.shape", "Concat", batch_size, last, axis=0)
        begin.append(nodes.node(f"{name}{letter}", "ConstantOfShape", shape))
    return begin


def _sums(nodes: Nodes, layer: Layer, direction: int, X: str, W: numpy.ndarray) -> str:
    """Add the products of the inputs and ``W`` (num_inputs, num_gates * num_hiddens), with the biases added.

    They do not depend on the state, so they are made before the loop, for all steps at once.
    """
    name, gates = f"{layer.name}d{direction}.", layer.operator.gates
    biases = layer.vectors("b_", gates) + layer.vectors("c_", gates)
    products = nodes.node(f"{name}XW", "MatMul", X, nodes.constant(f"{name}W", W))
    return nodes.node(f"{name}X", "Add", products, nodes.constant(f"{name}B", biases[direction]))


def _add_loop(
    nodes: Nodes, layer: Layer, direction: int, sums: str, begin: Sequence[str], padding: Padding | None
) -> Sequence[str]:
    """Add a loop over time in one direction, 1 being from the end.

    Args:
        nodes: of the graph.
        layer: what to add.
        direction: of the layer.
        sums: of :func:`_sums`.
        begin: of :func:`_begin_of_loop`.
        padding: which steps count; None: all.

    Returns:
        the names of the outputs (num_steps, batch_size, width of H), of the new H and of the new memory.
    """
    name = f"{layer.name}d{direction}."
    # The step reads these by their names.
    nodes.constant(f"{name}R", layer.weights("W_h")[direction].T)
    nodes.constant(f"{name}W_mr", layer.contents.values[f"{layer.prefixes[direction]}W_mr"])
    for gate in layer.contents.cell.peepholes:
        nodes.constant(f"{name}w_c{gate}", layer.vectors("w_c", gate)[direction])
    last_h, last_c, Y = nodes.several(
        [f"{name}last_h", f"{name}last_c", f"{name}Y"],
        "Scan",
        *begin,
        sums,
        *([padding.counted] if padding else []),
        body=_step(layer, name, padding is not None),
        num_scan_inputs=2 if padding else 1,
        scan_input_directions=[direction] * (2 if padding else 1),
        scan_output_directions=[direction],
    )
    return Y, last_h, last_c


def _step(layer: Layer, prefix: str, padded: bool) -> Any:
    """Return one step of a projected LSTM, a ``GraphProto``; its equations are those of ``d2lrnn.cells.steps``.

    With ``padded``, a row's step that does not count leaves the state as it was; its output is 0.
    """
    from onnx import TensorProto
    from onnx.helper import make_graph, make_tensor_value_info

    step = Nodes()

    def of(operator: str, *inputs: str, name: str = "") -> str:
        return step.node(name or f"{prefix}step.{len(step.nodes)}", operator, *inputs)

    def with_peephole(gate: str, memory: str) -> str:
        if gate not in layer.contents.cell.peepholes:
            return sums[gate]
        return of("Add", sums[gate], of("Mul", memory, f"{prefix}w_c{gate}"))

    X, H, C, counted = (f"{prefix}step.{name}" for name in ("X", "H", "C", "counted"))
    gates = layer.operator.gates
    parts = [f"{prefix}step.{gate}" for gate in gates]
    whole = of("Add", X, of("MatMul", H, f"{prefix}R"))  # (batch_size, num_gates * num_hiddens)
    sums = dict(zip(gates, step.several(parts, "Split", whole, axis=1)))
    I, F = (of("Sigmoid", with_peephole(gate, C)) for gate in "if")
    C_tilda = of("Tanh", sums["c"])
    new_C = of("Add", of("Mul", F, C), of("Mul", I, C_tilda), name=f"{prefix}step.new_C")
    O = of("Sigmoid", with_peephole("o", new_C))
    new_H = of("MatMul", of("Mul", O, of("Tanh", new_C)), f"{prefix}W_mr", name=f"{prefix}step.new_H")
    if padded:
        Y = of("Where", counted, new_H, step.constant(f"{prefix}step.zero", 0.0), name=f"{prefix}step.Y")
        new_H, new_C = of("Where", counted, new_H, H), of("Where", counted, new_C, C)
    else:
        Y = of("Identity", new_H, name=f"{prefix}step.Y")  # a graph cannot return one array twice

    def info(name: str, width: int, kind: int = TensorProto.FLOAT) -> Any:
        return make_tensor_value_info(name, kind, ["batch_size", width])

    narrow, num_hiddens = layer.widths
    arrays = [info(H, narrow), info(C, num_hiddens), info(X, len(gates) * num_hiddens)]
    arrays += [info(counted, 1, TensorProto.BOOL)] if padded else []
    results = [info(new_H, narrow), info(new_C, num_hiddens), info(Y, narrow)]
    return make_graph(step.nodes, f"{prefix}step", arrays, results, step.constants)
