"""A Gluon layer for every cell, unrolled over time; some cells ``gluon.rnn`` lacks or gets wrong on the CPU."""

from __future__ import annotations

from d2lrnn._runtime import mx
from d2lrnn.cells.declaration import cell_named
from d2lrnn.cells.registry import CELLS
from d2lrnn.data.lines import check_counted
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.gluon.equations import run_equations
from d2lrnn.models.gluon.facts import GLUON_NAMES, check_layer_sizes, check_state_of, shapes_by_kind
from d2lrnn.models.gluon.graphs import StepGraphs, num_steps_of
from d2lrnn.nd_arrays import takes_nd


class UnrolledLayer(StepGraphs):
    """One layer of any cell in ``CELLS``, called like a layer of ``gluon.rnn``.

    Parameters are stacked as Gluon's: ``l0_i2h_weight`` (gates * num_hiddens, num_inputs), ``l0_h2h_weight``,
    ``l0_i2h_bias``, and ``r0_`` for the direction from the right; ``l0_h2h_bias`` where the cell has two biases,
    ``l0_c2h_weight`` for peepholes, ``l0_h2r_weight`` for a projection.  Gates are in the order of ``Cell.products``.
    If Gluon has a layer for the cell, Gluon's is faster; :func:`d2lrnn.models.gluon.layers.rnn_layer` chooses it.

    Args:
        cell: a name in ``CELLS``.
        num_hiddens: hidden units in each direction.
        input_size: size of the inputs; 0 lets Gluon find out at the first call.
        num_projections: width of a projected cell's hidden state.
        bidirectional: whether a second direction reads from the end.

    Attributes:
        weight_dropout: the share of the hidden-to-hidden weights that is dropped in training, new ones in every call.
        cell, num_hiddens, input_size, num_projections: as above.
        num_layers: 1.
        num_directions: 1, or 2 for a bidirectional layer.

    Raises:
        D2lrnnError: for an unknown cell, a ``num_hiddens`` that is no positive whole number, or a ``num_projections``
            that does not fit the cell.
    """

    def __init__(
        self,
        cell: str,
        num_hiddens: int,
        input_size: int = 0,
        num_projections: int | None = None,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        record = cell_named(cell)
        check_layer_sizes(cell, num_hiddens, input_size, num_projections, bidirectional)
        self.cell, self.weight_dropout = cell, 0.0
        self.num_hiddens, self.num_projections, self.input_size = num_hiddens, num_projections, input_size
        self.num_directions, self.num_layers = 2 if bidirectional else 1, 1
        for direction in "lr"[: self.num_directions]:
            for kind, shape in shapes_by_kind(cell, input_size, num_hiddens, num_projections).items():
                name = f"{direction}0_{GLUON_NAMES[kind]}"
                init = Identity() if kind == "W_h" and record.identity else None
                setattr(self, name, self.params.get(name, shape=shape, init=init, allow_deferred_init=True))

    def __repr__(self) -> str:
        num_inputs, width = self.l0_i2h_weight.shape[1], self.num_projections or self.num_hiddens
        sizes = f"{num_inputs if num_inputs > 0 else None} -> {width}"
        return f"{type(self).__name__}({self.cell}, {sizes}, TNC{', bidirectional' * (self.num_directions == 2)})"

    def begin_state(self, batch_size: int, ctx: ContextLike = None, dtype: str = "float32") -> list:
        """Return the zero state ``H``, or ``H, C``, each of shape (num_directions, batch_size, width)."""
        check_state_of([self], batch_size)
        return [mx.np.zeros(shape, dtype=dtype, ctx=as_ctx(ctx)) for shape in self._state_shapes(batch_size)]

    def _state_shapes(self, batch_size: int) -> list[tuple[int, ...]]:
        widths = CELLS[self.cell].state_widths(self.num_hiddens, self.num_projections)
        return [(self.num_directions, batch_size, width) for width in widths]

    @takes_nd
    def __call__(self, X, state: list, counted=None) -> tuple:
        """Take the cell over all time steps.

        Args:
            X: inputs (num_steps, batch_size, num_inputs).
            state: of :meth:`begin_state`, or as the last call returned it.
            counted: 1 for a token, 0 for padding, (batch_size, num_steps); None: there is no padding.

        Returns:
            outputs (num_steps, batch_size, num_directions * width of H), 0 at padding; and the new state, for each row
            the state after its last token.

        Raises:
            D2lrnnError: if X does not have three axes or is empty; if the state is of another batch size or cell; if
                ``counted`` has another shape; in the graph of a block that is no :class:`StepGraphs`.
        """
        if isinstance(X, mx.nd.NDArray):
            if X.ndim != 3 or X.size == 0:
                raise D2lrnnError(
                    f"X has shape {X.shape}: expected (num_steps, batch_size, num_inputs), none of them 0"
                )
            found, expected = [array.shape for array in state], self._state_shapes(X.shape[1])
            if found != expected:
                raise D2lrnnError(
                    f"the state has shapes {found}: expected {expected}, of the batch size of X {X.shape}"
                )
            counted = check_counted(counted, (X.shape[1], X.shape[0]), X.dtype)
        else:
            num_steps_of(X)  # raises outside StepGraphs
        return super().__call__(X, list(state), counted)

    def hybrid_forward(self, F, X, state, counted=None, **params):
        """Compute what :meth:`__call__` documents."""
        return run_equations(F, self, X, state, counted, self.weight_dropout)


class Identity(mx.init.Initializer):
    """Makes the weights of each gate the identity at first (Le, Jaitly and Hinton 2015, arXiv 1504.00941)."""

    def _init_weight(self, name, array) -> None:
        rows, n = array.shape  # (gates * n, n)
        array[:] = mx.np.tile(mx.np.eye(n), (rows // n, 1))
