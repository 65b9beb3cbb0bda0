"""A Gluon layer for every cell, unrolled over time: what ``gluon.rnn`` lacks, or gets wrong on the CPU."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.cells.compiled import Weights, dot
from d2lrnn.cells.declaration import check_projections
from d2lrnn.cells.registry import CELLS
from d2lrnn.checks import check_whole
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError

# What Gluon calls each kind of a cell's parameters; the peepholes' name is ours.
GLUON_NAMES = {
    "W_x": "i2h_weight",
    "W_h": "h2h_weight",
    "w_c": "c2h_weight",
    "b_": "i2h_bias",
    "c_": "h2h_bias",
    "W_m": "h2r_weight",
}

_num_steps: ContextVar[int | None] = ContextVar("num_steps", default=None)  # of the call that is under way


class StepGraphs(mx.gluon.HybridBlock):
    """A hybrid block that may hold an :class:`UnrolledLayer`: it compiles a graph for each number of time steps.

    An unrolled graph is of a fixed number of steps, and MXNet would run it on longer inputs and leave their end out.
    Each graph keeps its memory, so give it sequences of few lengths.
    """

    TIME_AXIS = 0  # of the first argument
    LIMIT = 32  # graphs that are kept: as many lengths as vary_steps has where num_steps is at most 95

    def __init__(self) -> None:
        super().__init__()
        self._graphs: dict[int | None, tuple] = {}  # by the number of steps, the one used last at the end

    @property
    def unrolls(self) -> bool:
        """Whether the graph depends on the number of steps."""
        return True

    def __call__(self, X, *args):
        """Call the block; for arrays, with the graph of their number of time steps."""
        if not isinstance(X, mx.nd.NDArray):  # a symbol: the block becomes part of another one's graph
            return super().__call__(X, *args)
        token = _num_steps.set(X.shape[self.TIME_AXIS])
        try:
            return super().__call__(X, *args)
        finally:
            _num_steps.reset(token)

    def _call_cached_op(self, *args):
        if not self.unrolls:
            return super()._call_cached_op(*args)
        num_steps = _num_steps.get()
        graph = self._graphs.pop(num_steps, ((), None, []))
        self._cached_graph, self._cached_op, self._cached_op_args = graph
        results = super()._call_cached_op(*args)
        self._graphs[num_steps] = self._cached_graph, self._cached_op, self._cached_op_args
        if len(self._graphs) > self.LIMIT:
            del self._graphs[next(iter(self._graphs))]
        return results

    def _clear_cached_op(self) -> None:
        super()._clear_cached_op()
        self._graphs.clear()


class UnrolledLayer(StepGraphs):
    """One layer of any cell of ``CELLS``, called as a layer of ``gluon.rnn`` is.

    Parameters are stacked as Gluon's: ``l0_i2h_weight`` (gates * num_hiddens, num_inputs), ``l0_h2h_weight``,
    ``l0_i2h_bias``, and ``r0_`` for the direction from the right; ``l0_h2h_bias`` where the cell has two biases,
    ``l0_c2h_weight`` for peepholes, ``l0_h2r_weight`` for a projection.  Gates are in the order of ``Cell.products``.
    Where Gluon has a layer for a cell, that one is faster: :func:`d2lrnn.models.gluon.layers.rnn_layer` chooses.

    Args:
        cell: a name in ``CELLS``.
        num_hiddens: hidden units in each direction.
        input_size: size of the inputs; 0 lets Gluon find out at the first call.
        num_projections: width of a projected cell's hidden state.
        bidirectional: whether a second direction reads from the end.

    Attributes:
        weight_dropout: the share of the hidden-to-hidden weights that is dropped in training, other ones in every call.

    Raises:
        ValueError: for an unknown cell, or a ``num_projections`` that does not fit it.
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
        if cell not in CELLS:
            raise D2lrnnError(f"unknown cell {cell!r}: expected one of {', '.join(CELLS)}")
        check_whole("num_hiddens", num_hiddens)
        check_projections(cell, num_projections, num_hiddens)
        self.cell, self.weight_dropout = cell, 0.0
        # Named as in gluon.rnn, so that who reads those layers can read these.
        self._hidden_size, self._projection_size, self._input_size = num_hiddens, num_projections, input_size
        self._dir, self._num_layers = 2 if bidirectional else 1, 1
        record = CELLS[cell]
        for direction in "lr"[: self._dir]:
            for kind, letters in record.kinds.items():
                *rest, columns = record.param_shape(kind, input_size, num_hiddens, num_projections)
                name = f"{direction}0_{GLUON_NAMES[kind]}"
                init = Identity() if kind == "W_h" and record.identity else None
                shape = (len(letters) * columns, *rest)
                setattr(self, name, self.params.get(name, shape=shape, init=init, allow_deferred_init=True))

    def __repr__(self) -> str:
        known, width = self.l0_i2h_weight.shape[1], self._projection_size or self._hidden_size
        sizes = f"{known if known > 0 else None} -> {width}"
        return f"{type(self).__name__}({self.cell}, {sizes}, TNC{', bidirectional' * (self._dir == 2)})"

    def begin_state(self, batch_size: int, ctx: ContextLike = None, dtype: str = "float32") -> list:
        """Return zeros (num_directions, batch_size, width of each): ``H``, or ``H, C``."""
        return [mx.np.zeros(shape, dtype=dtype, ctx=as_ctx(ctx)) for shape in self._state_shapes(batch_size)]

    def _state_shapes(self, batch_size: int) -> list[tuple[int, ...]]:
        widths = CELLS[self.cell].state_widths(self._hidden_size, self._projection_size)
        return [(self._dir, batch_size, width) for width in widths]

    def __call__(self, X, state: list) -> tuple:
        """Take the cell over all time steps.

        Args:
            X: inputs (num_steps, batch_size, num_inputs).
            state: of :meth:`begin_state`, or as the last call returned it.

        Returns:
            outputs (num_steps, batch_size, num_directions * width of H), and the new state.

        Raises:
            ValueError: for a state of another batch size or cell; in the graph of a block that is no
                :class:`StepGraphs`.
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
        elif _num_steps.get() is None:
            raise D2lrnnError(
                "an UnrolledLayer has become part of a hybridised block that does not know the number of time steps: "
                "derive that block from d2lrnn.StepGraphs, or hybridise the layer alone"
            )
        return super().__call__(X, list(state))

    def hybrid_forward(self, F, X, state, **params):
        """Compute what :meth:`__call__` documents."""
        num_steps = X.shape[0] if isinstance(X, mx.nd.NDArray) else _num_steps.get()
        outputs, last = [], []
        for k, direction in enumerate("lr"[: self._dir]):
            p = {kind: params.get(f"{direction}0_{name}") for kind, name in GLUON_NAMES.items()}
            size = len(CELLS[self.cell].gates) * self._hidden_size
            bias = None if p["c_"] is None else p["b_"]  # a single one is in the product with the state
            products = dot(F, X, p["W_x"], bias, size, self._is_frozen(direction, "W_x"))
            begin = [F.np.squeeze(F.npx.slice(array, begin=(k,), end=(k + 1,)), axis=0) for array in state]
            H, end = self._weights(F, direction, p).unroll(products, begin, num_steps, reverse=direction == "r")
            outputs.append(H)
            last.append(end)
        new_state = [F.np.stack(arrays, axis=0) for arrays in zip(*last)]
        return outputs[0] if len(outputs) == 1 else F.np.concatenate(outputs, axis=2), new_state

    def _is_frozen(self, direction: str, kind: str) -> bool:
        return getattr(self, f"{direction}0_{GLUON_NAMES[kind]}").grad_req == "null"

    def _weights(self, F, direction: str, p: dict[str, Any]) -> Weights:
        """Return what a step reads beside its inputs, from a direction's parameters by kind."""
        cell, n, W_h = CELLS[self.cell], self._hidden_size, p["W_h"]
        bias = p["b_"] if p["c_"] is None else p["c_"]
        if self.weight_dropout:
            W_h = F.npx.dropout(W_h, p=self.weight_dropout)

        def rows(array, gates: str, stacked: str):
            begin = stacked.index(gates) * n
            return array if gates == stacked else F.npx.slice(array, begin=(begin,), end=(begin + len(gates) * n,))

        arrays = [rows(array, gates, cell.stacked) for gates in cell.products for array in (W_h, bias)]
        arrays += [rows(p["w_c"], gate, cell.peepholes) for gate in cell.peepholes]
        weights = Weights(F, cell, n, self._projection_size, [*arrays, p["W_m"]])
        weights.frozen = self._is_frozen(direction, "W_h")
        return weights


class Identity(mx.init.Initializer):
    """Begins the weights of each gate as the identity (Le, Jaitly and Hinton 2015, arXiv 1504.00941)."""

    def _init_weight(self, name, array) -> None:
        rows, n = array.shape  # (gates * n, n)
        array[:] = mx.np.tile(mx.np.eye(n), (rows // n, 1))
