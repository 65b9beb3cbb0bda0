"""Recurrent layers on Gluon: one layer of any cell, or several with dropout between them."""

from __future__ import annotations

from d2lrnn._runtime import mx
from d2lrnn.checks import check_whole
from d2lrnn.config.fields import MAX_LAYERS
from d2lrnn.config.model import Dropout
from d2lrnn.data.lines import check_counted
from d2lrnn.models.gluon.equations import run_equations
from d2lrnn.models.gluon.facts import (
    FUSED_CELLS,
    check_layer_sizes,
    check_state_of,
    gluon_cell,
    is_fused,
    name_in_layer,
    shapes_by_kind,
)
from d2lrnn.models.gluon.graphs import StepGraphs
from d2lrnn.models.gluon.unrolled import Identity, UnrolledLayer
from d2lrnn.nd_arrays import takes_nd

rnn, nn = mx.gluon.rnn, mx.gluon.nn


def rnn_layer(
    cell: str, num_hiddens: int, input_size: int = 0, bidirectional: bool = False, num_projections: int | None = None
):
    """Return one recurrent layer of a cell: a fused layer of ``gluon.rnn`` if Gluon has one, else an unrolled layer.

    Gluon has fused layers for ``rnn`` (with tanh, as in the book), ``rnn_relu``, ``lstm`` and its own GRU.  Gluon's GRU
    is the reset-after form, that of :func:`d2lrnn.models.scratch.gru_reset_after`; for the book's form, make
    ``UnrolledLayer("gru", num_hiddens)``.

    Args:
        cell: a name in ``CELLS``; ``gru`` means ``gru_reset_after``.
        num_hiddens: hidden units in each direction.
        input_size: size of the inputs; 0 lets Gluon find out at the first call.
        bidirectional: whether a second direction reads from the end.
        num_projections: width of a projected cell's hidden state.

    Raises:
        D2lrnnError: for an unknown cell, or a ``num_projections`` that does not fit it.
    """
    cell = gluon_cell(cell)
    check_layer_sizes(cell, num_hiddens, input_size, num_projections, bidirectional)
    if cell not in FUSED_CELLS:
        return UnrolledLayer(cell, num_hiddens, input_size, num_projections, bidirectional)
    options = {"input_size": input_size, "bidirectional": bidirectional}
    if cell == "rnn":
        return rnn.RNN(num_hiddens, activation="tanh", **options)  # Gluon's default is relu
    if cell == "rnn_relu":
        return rnn.RNN(num_hiddens, activation="relu", h2h_weight_initializer=Identity(), **options)
    return (rnn.LSTM if cell == "lstm" else rnn.GRU)(num_hiddens, **options)


def layer_shapes(
    cell: str, num_hiddens: int, input_size: int, bidirectional: bool = False, num_projections: int | None = None
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters of :func:`rnn_layer`, by the names in the layer; no layer is made.

    Arguments are those of :func:`rnn_layer`, but the size of the inputs has to be known.
    """
    cell = gluon_cell(cell)
    shapes = shapes_by_kind(cell, input_size, num_hiddens, num_projections, fused=cell in FUSED_CELLS)
    return {
        name_in_layer(cell, kind, direction, bidirectional): shape
        for direction in ("lr" if bidirectional else "l")
        for kind, shape in shapes.items()
    }


class RecurrentStack(StepGraphs):
    """Several layers of :func:`rnn_layer`, with dropout between them that works on the CPU too.

    The ``dropout=`` of Gluon's own layers does nothing on the CPU.  With ``dropout=0``, the numbers are those of
    a fused layer with as many ``num_layers``.

    Args:
        cell: as for :func:`rnn_layer`.
        num_hiddens: hidden units of each layer and direction.
        num_layers: how many layers.
        bidirectional: whether each layer reads from both ends.
        dropout: the share of each layer's outputs that is dropped before the next layer; or a :class:`Dropout`, of
            which only ``hidden`` and ``locked`` count here.
        input_size: size of the first layer's inputs; 0 lets Gluon find out at the first call.
        num_projections: width of a projected cell's hidden state.
    """

    COUNTED = 2

    def __init__(
        self,
        cell: str,
        num_hiddens: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float | Dropout = 0.0,
        input_size: int = 0,
        num_projections: int | None = None,
    ) -> None:
        super().__init__()
        check_whole("num_layers", num_layers, most=MAX_LAYERS)
        self.num_directions = 2 if bidirectional else 1
        with self.name_scope():
            self.layers = nn.HybridSequential()
            for layer in range(num_layers):
                size = (num_projections or num_hiddens) * self.num_directions if layer else input_size
                self.layers.add(rnn_layer(cell, num_hiddens, size, bidirectional, num_projections))
        self.dropout = Dropout.of(dropout)

    @property
    def unrolls(self) -> bool:
        """Whether some layer is unrolled, so that a graph serves only one number of steps."""
        return any(isinstance(layer, UnrolledLayer) for layer in self.layers)

    def begin_state(self, batch_size: int, **options) -> list:
        """Return the zero state, layer by layer ``H``, or ``H, C``, each (num_directions, batch_size, width)."""
        check_state_of(self.layers, batch_size)
        return [array for layer in self.layers for array in layer.begin_state(batch_size=batch_size, **options)]

    @takes_nd
    def __call__(self, X, state, counted=None):
        """Pass inputs through all layers.

        Args:
            X: inputs (num_steps, batch_size, num_inputs).
            state: of :meth:`begin_state`, or as the last call returned it.
            counted: 1 for a token, 0 for padding, (batch_size, num_steps); None: there is no padding.

        Returns:
            the last layer's outputs (num_steps, batch_size, num_directions * width), 0 at padding; and the new state.
        """
        if isinstance(X, mx.nd.NDArray):
            counted = check_counted(counted, (X.shape[1], X.shape[0]), X.dtype)
        return super().__call__(X, state, counted)

    def hybrid_forward(self, F, X, state, counted=None):
        """Compute what :meth:`__call__` documents."""
        return self.run(F, X, state, [unpadded(F, layer, counted) for layer in self.layers])

    def run(self, F, X, state, layers: list) -> tuple:
        """Pass inputs and state through ``layers``, functions that compute what the stack's layers compute."""
        new_state: list = []
        per_layer = len(state) // len(layers)
        for i, layer in enumerate(layers):
            X = drop(F, X, self.dropout.hidden, self.dropout.locked) if i else X
            X, last = layer(X, list(state[i * per_layer : (i + 1) * per_layer]))
            new_state += last
        return X, new_state


def unpadded(F, layer, counted, weight_dropout: float = 0.0, values: list | None = None):
    """Return a function of inputs and state that computes a layer and leaves padding out; without padding, the layer.

    ``weight_dropout`` and ``values``, as for :func:`run_equations`, are for fused layers; an :class:`UnrolledLayer` has
    its own.
    """

    def run(X, state: list) -> tuple:
        if is_fused(layer):
            return run_equations(F, layer, X, state, counted, weight_dropout, values)
        return layer(X, state, counted)

    return layer if counted is None else run


def drop(F, X, rate: float, locked: bool = False):
    """Drop a share of X (num_steps, batch_size, ...) in training and scale up the rest; locked: alike at all steps."""
    return F.npx.dropout(X, p=rate, axes=(0,) if locked else ()) if rate else X
