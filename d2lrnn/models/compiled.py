"""The models from scratch made fast: look-up in place of one-hot, gates side by side, one compiled graph.

They compute the same numbers from the same parameters as the models of :mod:`d2lrnn.models.scratch`.
``chapters/the_same_numbers_faster.py`` goes from there to here in steps and shows what each step gains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from d2lrnn._mxnet.threads import GRAPH_LOCK
from d2lrnn._runtime import mx
from d2lrnn.cells.compiled import Weights, clear_padding, dot
from d2lrnn.cells.registry import CELLS
from d2lrnn.data.batches import check_batch
from d2lrnn.data.lines import check_counted
from d2lrnn.device import ContextLike
from d2lrnn.models.scratch import RNNModelScratch
from d2lrnn.models.stack import Stack
from d2lrnn.nd_arrays import takes_nd


def side_by_side(F, stack: Stack, params: Sequence, n: int) -> list:
    """Put the weights of each layer's gates side by side.

    Args:
        F: MXNet's module for arrays or for symbols.
        stack: the layers.
        params: their parameters, in the book's order.
        n: hidden units of each layer and direction.

    Returns:
        one list for each layer and direction: ``W_x`` (num_inputs, gates * n); ``b``, only for a cell with two biases;
        then the ``arrays`` of :class:`d2lrnn.cells.compiled.Weights`.  Finally the list of ``W_hq``, transposed, and
        ``b_q``.
    """
    cell, layers, remaining = CELLS[stack.cell], [], iter(params)

    def together(arrays: list):
        return F.np.concatenate(arrays, axis=0)

    for _ in stack.prefixes:
        p = {name: next(remaining) for name in cell.param_names}
        W_x = F.np.stack([p["W_x" + gate] for gate in cell.stacked], axis=1)  # much faster than np.concatenate
        layer = [F.np.reshape(W_x, (-1, len(cell.gates) * n))]  # from (num_inputs, gates, n)
        bias = "b_"
        if cell.num_biases == 2:
            layer.append(together([p["b_" + gate] for gate in cell.stacked]))
            bias = "c_"
        for gates in cell.products:
            layer.append(together([F.np.transpose(p["W_h" + gate]) for gate in gates]))
            layer.append(together([p[bias + gate] for gate in gates]))
        layer += [p["w_c" + gate] for gate in cell.peepholes]
        layer += [F.np.transpose(p["W_mr"])] if cell.projected else []
        layers.append(layer)
    W_hq, b_q = remaining
    return [*layers, [F.np.transpose(W_hq), b_q]]


class StackGraph(mx.gluon.HybridBlock):
    """Base of the compiled graphs: computes a stack for the inputs of all steps."""

    def __init__(self, stack: Stack, vocab_size: int, num_hiddens: int, num_steps: int) -> None:
        super().__init__()
        self.stack, self.vocab_size, self.n, self.num_steps = stack, vocab_size, num_hiddens, num_steps
        self.forget()

    def forget(self) -> None:
        """Give the memory of the compiled graph back; the next call compiles it anew."""
        self.hybridize(static_alloc=True, static_shape=True)

    def run(self, F, ids, state, weights, num_steps: int, counted=None):
        """Compute logits and the new state.

        Args:
            F: MXNet's module for arrays or for symbols.
            ids: (num_steps, batch_size).
            state: before the first step.
            weights: of each layer and direction, and of the output layer, as :func:`side_by_side` returns them.
            num_steps: the number of steps.
            counted: as for :meth:`encode`.

        Returns:
            logits (num_steps * batch_size, num_outputs), and the new state.
        """
        *layers, output = weights
        outputs, state = self.encode(F, ids, state, layers, num_steps, counted)
        return self.output(F, outputs, *output), state

    def encode(self, F, ids, state, layers: Sequence, num_steps: int, counted=None) -> tuple:
        """Return the last layer's outputs (num_steps, batch_size, num_directions * width of H), and the new state.

        ``counted`` is 1 for a token and 0 for padding, (num_steps, batch_size); None: there is no padding.
        """
        stack, cell = self.stack, CELLS[self.stack.cell]
        state, weights, inputs = iter(state), iter(layers), None
        new_state: list = []
        for _ in range(stack.num_layers):
            outputs = []
            for direction in range(stack.num_directions):
                W_x, *rest = next(weights)
                X = self._multiply(F, ids, inputs, W_x, rest.pop(0) if cell.num_biases == 2 else None, counted)
                layer = Weights(F, cell, self.n, stack.num_projections, rest)
                begin = tuple(islice(state, cell.num_states))
                H, last = layer.unroll(X, begin, num_steps, bool(direction), counted)
                outputs.append(H)
                new_state += last
            inputs = outputs[0] if len(outputs) == 1 else F.np.concatenate(outputs, axis=2)
        return inputs, new_state

    def output(self, F, outputs, W_hq, b_q):
        """Return the logits (num_steps * batch_size, num_outputs) of outputs (num_steps, batch_size, width)."""
        outputs = F.npx.reshape(outputs, (-5, -2))  # (num_steps * batch_size, width)
        return dot(F, outputs, W_hq, b_q, self.stack.num_outputs or self.vocab_size)

    def _multiply(self, F, ids, inputs, W_x, b, counted):
        """Return the products of a layer's inputs and ``W_x``, plus ``b`` if there is one.

        The first layer has no ``inputs`` and reads ``ids``.  Padding is read as a vector of zeros.

        Returns:
            (num_steps, batch_size, gates * num_hiddens).
        """
        width = len(CELLS[self.stack.cell].gates) * self.n
        if inputs is not None:
            return dot(F, inputs, F.np.transpose(W_x), b, width)  # at padding, inputs are 0 already
        # A one-hot vector times a matrix is a row of the matrix.
        products = F.npx.embedding(ids, W_x, input_dim=self.vocab_size, output_dim=width)
        products = clear_padding(F, products, counted)
        if b is None:
            return products
        # b is looked up for each id too: adding it by np's broadcasting costs a fifth of a step.
        return products + F.npx.embedding(F.np.zeros_like(ids), F.np.expand_dims(b, 0), input_dim=1, output_dim=width)


def keep_graphs(make: Callable[..., StackGraph], limit: int) -> Callable[..., Any]:
    """Return a function that makes a graph for its arguments, and keeps those graphs that were asked for last.

    Graphs hold no parameters, so models of one shape share them.  Compiling takes a fraction of a second.
    ``functools.lru_cache`` would do, but a graph that it drops keeps its memory, tens of megabytes, until Python looks
    for garbage: blocks of Gluon's refer to themselves.

    Args:
        make: makes a graph of arguments that can be compared.
        limit: how many graphs are kept.
    """
    graphs: dict[tuple, StackGraph] = {}  # the one that was asked for last stands last

    def graph_for(*shape: Any) -> StackGraph:
        with GRAPH_LOCK:
            graph = graphs.pop(shape) if shape in graphs else make(*shape)
            graphs[shape] = graph
            if len(graphs) > limit:
                graphs.pop(next(iter(graphs))).forget()
        return graph

    return graph_for


class _Forward(StackGraph):
    """From ids, state and the book's parameters to logits and state, over a fixed number of steps.

    A compiled graph cannot take other arguments later: each graph always gets ``counted``, or never.
    """

    def hybrid_forward(self, F, X, state, params, counted=None):
        """Return logits (num_steps * batch_size, num_outputs) and the list of the new state's arrays."""
        # Without BlockGrad, MXNet wants a gradient of the ids where two directions look the same ids up.
        ids = F.BlockGrad(F.np.transpose(X).as_nd_ndarray()).as_np_ndarray()  # (num_steps, batch_size)
        weights = side_by_side(F, self.stack, params, self.n)
        counted = None if counted is None else F.np.transpose(counted)
        return self.run(F, ids, state, weights, self.num_steps, counted)


_forward = keep_graphs(_Forward, limit=32)  # enough for all lengths of varied batches with num_steps up to 95
_padded_forward = keep_graphs(_Forward, limit=32)


class FastRNNModel(RNNModelScratch):
    """An :class:`RNNModelScratch` whose stack is one compiled graph: the same numbers from the same parameters.

    A graph is compiled for each number of steps, one with padding and one without, so use sequences of few lengths, as
    ``unrolls`` says.  The graphs of the last 32 lengths are kept.

    Args:
        vocab_size: the size of the vocabulary.
        num_hiddens: hidden units of each layer and direction.
        ctx: the device of the parameters.
        stack: the layers.
    """

    unrolls = True

    def __init__(self, vocab_size: int, num_hiddens: int, ctx: ContextLike, stack: Stack) -> None:
        super().__init__(vocab_size, num_hiddens, ctx, stack.get_params, stack.init_state, stack)

    @takes_nd
    def __call__(self, X, state: tuple, counted=None) -> tuple:
        """Compute logits; arguments, results and errors as for :class:`d2lrnn.models.scratch.RNNModelScratch`."""
        check_batch(X, self.vocab_size, state)
        counted = check_counted(counted, X.shape, state[0].dtype)
        graphs = _forward if counted is None else _padded_forward  # a graph always gets ``counted``, or never
        graph = graphs(self.stack, self.vocab_size, self.num_hiddens, X.shape[1])
        logits, new_state = graph(X, list(state), self.params, *([] if counted is None else [counted]))
        return logits, tuple(new_state)
