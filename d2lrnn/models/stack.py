"""Layers of one cell from scratch, in one direction or in both, and the output layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from d2lrnn._runtime import mx
from d2lrnn.cells import compiled
from d2lrnn.cells.declaration import Cell, cell_named
from d2lrnn.cells.registry import CELLS
from d2lrnn.cells.steps import dot
from d2lrnn.cells.weights import Weight
from d2lrnn.checks import check_parameters, check_state, check_whole
from d2lrnn.config.fields import MAX_LAYERS
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.models.inputs import Inputs, StepInput, columns, or_zeros
from d2lrnn.nd_arrays import refuse_nd, takes_nd

np = mx.np


def unroll(step: Callable, inputs: Sequence, state: tuple, params: Sequence, counted: Sequence | None = None):
    """Run one cell over all time steps.

    Args:
        step: one step of the cell, such as :func:`lstm_step`.
        inputs: num_steps matrices (batch_size, num_inputs), or :class:`Inputs` made with the same ``counted``.
        state: the state before the first step.
        params: the cell's parameters.
        counted: num_steps columns (batch_size, 1), 1 for a token, 0 for padding; None: there is no padding.  At
            padding, the state of a row stays as it was.

    Returns:
        num_steps hidden states (batch_size, num_hiddens), 0 at padding; and the state after the last step.
    """
    params, outputs = _biases_as_rows(params, len(state[0])), []
    for t, X in enumerate(inputs):
        if counted is None:
            H, state = step(X, state, params)
        else:
            here = counted[t]  # (batch_size, 1)
            H, new_state = step(X if isinstance(X, StepInput) else or_zeros(here, X), state, params)
            H, state = or_zeros(here, H), tuple(np.where(here, new, old) for new, old in zip(new_state, state))
        outputs.append(H)
    return outputs, state


def _biases_as_rows(params: Sequence, batch_size: int) -> list:
    """Repeat each bias for all rows of a batch, once for all steps, so that no step's gradient is a sum over rows."""
    refuse_nd(*params)
    return [np.broadcast_to(p, (batch_size, len(p))) if p.ndim == 1 else p for p in params]


def output_layer(outputs: Sequence, W_hq, b_q) -> list:
    """Return the logits of each time step, num_steps matrices (batch_size, num_outputs) (equation 6.4.2)."""
    (b_q,) = _biases_as_rows([b_q], len(outputs[0]))
    return [dot(H, W_hq) + b_q for H in Inputs(outputs)]


@dataclass(frozen=True)
class Layers:
    """Several layers of one cell, each in one direction or in both (sections 6.9 and 6.10), without an output layer.

    Parameters and states are flat lists: layer by layer, and in each layer the direction from the left first.

    Raises:
        D2lrnnError: for an unknown cell, a ``num_layers`` below 1, or a ``num_projections`` that does not fit the cell.
    """

    cell: str  # a name in CELLS
    num_layers: int = 1
    bidirectional: bool = False  # a second direction reads the text from its end
    num_projections: int | None = None  # width of a projected cell's hidden state, below num_hiddens

    def __post_init__(self) -> None:
        cell = cell_named(self.cell)
        check_whole("num_layers", self.num_layers, most=MAX_LAYERS)
        cell.check_projections(self.cell, self.num_projections)

    @property
    def num_directions(self) -> int:
        """1, or 2 if the layers read from both ends."""
        return 2 if self.bidirectional else 1

    @property
    def prefixes(self) -> list[str]:
        """The prefixes of the parameters' names, one for each layer and direction.

        Those of two bidirectional layers are ``l0.``, ``l0.reverse.``, ``l1.`` and ``l1.reverse.``; those of a
        single one are ``""`` and ``reverse.``.
        """
        return [
            (f"l{layer}." if self.num_layers > 1 else "") + ("reverse." if direction else "")
            for layer in range(self.num_layers)
            for direction in range(self.num_directions)
        ]

    @property
    def param_names(self) -> list[str]:
        """The parameters' names, in order: for each prefix, the names of the cell's parameters."""
        return [prefix + name for prefix in self.prefixes for name in CELLS[self.cell].param_names]

    def width(self, num_hiddens: int) -> int:
        """Return the width of the outputs, num_directions * width of H."""
        return (self.num_projections or num_hiddens) * self.num_directions

    def param_shapes(self, num_inputs: int, num_hiddens: int) -> list[tuple[int, ...]]:
        """Return the parameters' shapes, in order, for inputs (batch_size, num_inputs)."""
        cell = CELLS[self.cell]
        check_whole("the size of the inputs", num_inputs)
        check_whole("num_hiddens", num_hiddens)
        cell.check_projections(self.cell, self.num_projections, num_hiddens)
        shapes: list[tuple[int, ...]] = []
        for _ in range(self.num_layers):
            sizes = (num_inputs, num_hiddens, self.num_projections)
            shapes += [cell.param_shape(name, *sizes) for name in cell.param_names * self.num_directions]
            num_inputs = self.width(num_hiddens)
        return shapes

    def get_params(self, num_inputs: int, num_hiddens: int, ctx: ContextLike = None) -> list:
        """Return new parameters with gradients: weights N(0, 0.01²), or the identity (``Cell.identity``); biases 0."""
        cell, shapes, params = CELLS[self.cell], self.param_shapes(num_inputs, num_hiddens), []
        check_parameters(shapes)
        identity = {prefix + "W_h" + gate for prefix in self.prefixes for gate in cell.gates if cell.identity}
        for name, shape in zip(self.param_names, shapes):
            new = np.eye(num_hiddens) if name in identity else None
            params.append(new_parameter(name.split(".")[-1], shape, ctx, new))
        return params

    def init_state(self, batch_size: int, num_hiddens: int, ctx: ContextLike = None) -> tuple:
        """Return the zero state, flat: for each layer and direction ``H``, or ``H, C`` for the LSTM."""
        check_whole("num_hiddens", num_hiddens)
        widths = CELLS[self.cell].state_widths(num_hiddens, self.num_projections) * len(self.prefixes)
        check_state(batch_size, widths)
        return tuple(np.zeros((batch_size, width), ctx=as_ctx(ctx)) for width in widths)

    @takes_nd
    def __call__(self, inputs: Sequence, state: tuple, params: Sequence, counted=None):
        """Compute the outputs of the last layer.

        Args:
            inputs: num_steps matrices (batch_size, num_inputs).
            state: from :meth:`init_state` or from the last call.
            params: as :meth:`get_params` returns them.
            counted: 1 for a token, 0 for padding, (batch_size, num_steps); None: there is no padding.  Padding changes
                no output, no state and no gradient, whatever stands there.

        Returns:
            num_steps matrices (batch_size, num_directions * width of H), 0 at padding; and the new state.
        """
        cell, steps_counted = CELLS[self.cell], None if counted is None else columns(counted)
        new_state: tuple = ()
        for _ in range(self.num_layers):
            steps = list(Inputs(inputs, counted))  # num_steps matrices (batch_size, num_inputs)
            from_left, state, params, last = _run(cell, steps, state, params, steps_counted)
            new_state += last
            if self.bidirectional:
                from_end = None if steps_counted is None else steps_counted[::-1]
                from_right, state, params, last = _run(cell, steps[::-1], state, params, from_end)
                new_state += last
                # num_steps matrices (batch_size, 2 * width of H)
                inputs = [np.concatenate(pair, axis=1) for pair in zip(from_left, from_right[::-1])]
            else:
                inputs = from_left
        return inputs, new_state


def _run(cell: Cell, inputs: Sequence, state: tuple, params: Sequence, counted: Sequence | None):
    """Unroll one layer in one direction, on the first of the states and of the parameters.

    Returns:
        the outputs; the states and the parameters that are left for later layers; the layer's last state.
    """
    num_params = len(cell.param_names)
    outputs, last = unroll(cell.step, inputs, state[: cell.num_states], params[:num_params], counted)
    return outputs, state[cell.num_states :], params[num_params:], last


def new_parameter(name: str, shape: tuple[int, ...], ctx: ContextLike, values=None):
    """Return a new parameter with a gradient: of these values; else 0 for a bias ``b_`` or ``c_``, or N(0, 0.01²)."""
    if values is None:
        is_bias = name.startswith(("b_", "c_"))
        values = np.zeros(shape) if is_bias else np.random.normal(scale=0.01, size=shape)
    param = values.as_in_ctx(as_ctx(ctx))
    param.attach_grad()
    return param


@dataclass(frozen=True)
class Stack:
    """Several layers of one cell, each in one direction or in both, and the output layer (sections 6.9 and 6.10).

    :class:`RNNModelScratch` uses its :meth:`get_params` and :meth:`init_state`, and calls it as it calls :func:`rnn`.
    Its parameters are those of its :class:`Layers`, then ``W_hq`` and ``b_q``; its states are those of its layers.
    """

    cell: str  # a name in CELLS
    num_layers: int = 1
    bidirectional: bool = False  # a second direction reads the text from its end
    num_outputs: int | None = None  # size of the output layer; None: the vocabulary's
    num_projections: int | None = None  # width of a projected cell's hidden state, below num_hiddens

    def __post_init__(self) -> None:
        _ = self.layers  # raises for layers that cannot be
        if self.num_outputs is not None:
            check_whole("num_outputs", self.num_outputs)

    @property
    def layers(self) -> Layers:
        """The stack without its output layer."""
        return Layers(self.cell, self.num_layers, self.bidirectional, self.num_projections)

    @property
    def num_directions(self) -> int:
        """1, or 2 for a bidirectional stack."""
        return self.layers.num_directions

    @property
    def prefixes(self) -> list[str]:
        """The prefixes of the parameters' names; see :attr:`Layers.prefixes`."""
        return self.layers.prefixes

    @property
    def param_names(self) -> list[str]:
        """The parameters' names, in order: those of the layers, then ``W_hq`` and ``b_q``."""
        return [*self.layers.param_names, "W_hq", "b_q"]

    def param_shapes(self, vocab_size: int, num_hiddens: int) -> list[tuple[int, ...]]:
        """Return the parameters' shapes, in order."""
        num_outputs = self.num_outputs or vocab_size
        shapes = self.layers.param_shapes(vocab_size, num_hiddens)
        return [*shapes, (self.layers.width(num_hiddens), num_outputs), (num_outputs,)]

    def get_params(self, vocab_size: int, num_hiddens: int, ctx: ContextLike = None) -> list:
        """Return new parameters with gradients: weights N(0, 0.01²), or the identity (``Cell.identity``); biases 0."""
        shapes = self.param_shapes(vocab_size, num_hiddens)
        check_parameters(shapes)
        params, (weight, bias) = self.layers.get_params(vocab_size, num_hiddens, ctx), shapes[-2:]
        return [*params, new_parameter("W_hq", weight, ctx), new_parameter("b_q", bias, ctx)]

    def init_state(self, batch_size: int, num_hiddens: int, ctx: ContextLike = None) -> tuple:
        """Return the zero state, flat: for each layer and direction ``H``, or ``H, C`` for the LSTM."""
        return self.layers.init_state(batch_size, num_hiddens, ctx)

    @takes_nd
    def __call__(self, inputs: Sequence, state: tuple, params: Sequence, counted=None):
        """Compute logits and the new state, as :func:`rnn` does for one layer.

        Args:
            inputs: num_steps matrices (batch_size, vocab_size).
            state: from :meth:`init_state` or from the last call.
            params: as :meth:`get_params` returns them.
            counted: as for :meth:`Layers.__call__`; at padding, the logits are ``b_q``.

        Returns:
            num_steps matrices (batch_size, num_outputs), the logits; and the new state.
        """
        *params, W_hq, b_q = params
        outputs, state = self.layers(inputs, state, params, counted)
        return output_layer(outputs, W_hq, b_q), state

    def logits(self, inputs: Sequence, state: tuple, params: Sequence, counted=None) -> tuple:
        """Compute the same faster, as a model does: all products by oneDNN, and the logits not cut into steps.

        The numbers differ from those of :meth:`__call__`, whose arguments these are, by rounding alone.

        Returns:
            logits (num_steps * batch_size, num_outputs), those of the first step first; and the new state.
        """
        *params, W_hq, b_q = params
        outputs, state = self.layers(inputs, state, [Weight(p) if p.ndim == 2 else p for p in params], counted)
        H, frozen = np.concatenate(outputs, axis=0), W_hq.grad is None  # H: (num_steps * batch_size, width)
        return compiled.dot(mx, H, np.transpose(W_hq), b_q, len(b_q), frozen), state
