"""Layers of one cell from scratch, in one direction or in both, and the output layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from d2lrnn._runtime import mx
from d2lrnn.cells.declaration import Cell, check_projections
from d2lrnn.cells.registry import CELLS
from d2lrnn.cells.steps import dot
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.inputs import Inputs

np = mx.np


def unroll(step: Callable, inputs: Sequence, state: tuple, params: Sequence):
    """Run one cell over all time steps.

    Args:
        step: one step of the cell, such as :func:`lstm_step`.
        inputs: num_steps matrices (batch_size, num_inputs), or :class:`Inputs`.
        state: the state before the first step.
        params: the cell's parameters.

    Returns:
        num_steps hidden states (batch_size, num_hiddens), and the state after the last step.
    """
    params, outputs = _biases_as_rows(params, len(state[0])), []
    for X in inputs:
        H, state = step(X, state, params)
        outputs.append(H)
    return outputs, state


def _biases_as_rows(params: Sequence, batch_size: int) -> list:
    """Repeat each bias for all rows of a batch, once for all steps: no step's gradient is then a sum over rows."""
    return [np.broadcast_to(p, (batch_size, len(p))) if p.ndim == 1 else p for p in params]


def output_layer(outputs: Sequence, W_hq, b_q) -> list:
    """Return the logits of each time step, num_steps matrices (batch_size, num_outputs) (equation 6.4.2)."""
    (b_q,) = _biases_as_rows([b_q], len(outputs[0]))
    return [dot(H, W_hq) + b_q for H in Inputs(outputs)]


@dataclass(frozen=True)
class Stack:
    """Several layers of one cell, each in one direction or in both, and the output layer (sections 6.9 and 6.10).

    A stack has what :class:`RNNModelScratch` asks for: ``get_params``, ``init_state``, and it can be called as
    :func:`rnn` can.  Parameters and states are flat: layer by layer, in a layer the direction from the left first.
    """

    cell: str  # a name in CELLS
    num_layers: int = 1
    bidirectional: bool = False  # a second direction reads the text from its end
    num_outputs: int | None = None  # size of the output layer; None: the vocabulary's
    num_projections: int | None = None  # width of a projected cell's hidden state, below num_hiddens

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise D2lrnnError(f"unknown cell {self.cell!r}: expected one of {', '.join(CELLS)}")
        if self.num_layers < 1:
            raise D2lrnnError(f"num_layers is {self.num_layers}: expected at least 1")
        check_projections(self.cell, self.num_projections)

    @property
    def num_directions(self) -> int:
        """1, or 2 for a bidirectional stack."""
        return 2 if self.bidirectional else 1

    @property
    def prefixes(self) -> list[str]:
        """What stands before the parameters' names, of each layer and direction: nothing, ``l1.``, ``l1.reverse.``."""
        return [
            (f"l{layer}." if self.num_layers > 1 else "") + ("reverse." if direction else "")
            for layer in range(self.num_layers)
            for direction in range(self.num_directions)
        ]

    @property
    def param_names(self) -> list[str]:
        """The parameters' names, in order: those of the cell after each prefix, then ``W_hq`` and ``b_q``."""
        return [prefix + name for prefix in self.prefixes for name in CELLS[self.cell].param_names] + [
            "W_hq",
            "b_q",
        ]

    def param_shapes(self, vocab_size: int, num_hiddens: int) -> list[tuple[int, ...]]:
        """Return the parameters' shapes, in order."""
        check_projections(self.cell, self.num_projections, num_hiddens)
        cell, num_inputs = CELLS[self.cell], vocab_size
        shapes: list[tuple[int, ...]] = []
        for _ in range(self.num_layers):
            sizes = (num_inputs, num_hiddens, self.num_projections)
            shapes += [cell.param_shape(name, *sizes) for name in cell.param_names * self.num_directions]
            num_inputs = (self.num_projections or num_hiddens) * self.num_directions
        num_outputs = self.num_outputs or vocab_size
        return [*shapes, (num_inputs, num_outputs), (num_outputs,)]

    def get_params(self, vocab_size: int, num_hiddens: int, ctx: ContextLike = None) -> list:
        """Return new parameters with gradients: weights N(0, 0.01²), or the identity (``Cell.identity``); biases 0."""
        cell, params = CELLS[self.cell], []
        identity = {prefix + "W_h" + gate for prefix in self.prefixes for gate in cell.gates if cell.identity}
        for name, shape in zip(self.param_names, self.param_shapes(vocab_size, num_hiddens)):
            if name.split(".")[-1].startswith(("b_", "c_")):
                values = np.zeros(shape)
            elif name in identity:
                values = np.eye(num_hiddens)
            else:
                values = np.random.normal(scale=0.01, size=shape)
            param = values.as_in_ctx(as_ctx(ctx))
            param.attach_grad()
            params.append(param)
        return params

    def init_state(self, batch_size: int, num_hiddens: int, ctx: ContextLike = None) -> tuple:
        """Return the zero state: of each layer and direction in turn ``H``, or ``H, C`` for the LSTM."""
        widths = CELLS[self.cell].state_widths(num_hiddens, self.num_projections) * len(self.prefixes)
        return tuple(np.zeros((batch_size, width), ctx=as_ctx(ctx)) for width in widths)

    def __call__(self, inputs: Sequence, state: tuple, params: Sequence):
        """Compute logits and the new state; arguments and results as for :func:`rnn`."""
        cell = CELLS[self.cell]
        *params, W_hq, b_q = params
        new_state: tuple = ()
        for _ in range(self.num_layers):
            steps = list(Inputs(inputs))
            from_left, state, params, last = _run(cell, steps, state, params)
            new_state += last
            if self.bidirectional:
                from_right, state, params, last = _run(cell, steps[::-1], state, params)
                new_state += last
                inputs = [np.concatenate(pair, axis=1) for pair in zip(from_left, from_right[::-1])]
            else:
                inputs = from_left
        return output_layer(inputs, W_hq, b_q), new_state


def _run(cell: Cell, inputs: Sequence, state: tuple, params: Sequence):
    """Unroll one layer in one direction; return outputs, the states and parameters left over, and its last state."""
    num_params = len(cell.param_names)
    outputs, last = unroll(cell.step, inputs, state[: cell.num_states], params[:num_params])
    return outputs, state[cell.num_states :], params[num_params:], last
