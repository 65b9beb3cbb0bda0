"""From ids or numbers to the outputs of recurrent layers: the first part of every model on Gluon, whatever its head."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy

from d2lrnn._mxnet.threads import GRAPH_LOCK
from d2lrnn._runtime import mx
from d2lrnn.checks import check_parameters, check_whole
from d2lrnn.config.model import Dropout
from d2lrnn.data.batches import check_inputs, check_inputs_of
from d2lrnn.data.lines import check_counted
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.gluon.facts import (
    check_state_of,
    facts_of,
    is_fused,
    parameters_by_kind,
    set_input_size,
    state_sizes_of,
)
from d2lrnn.models.gluon.fused import Packed
from d2lrnn.models.gluon.graphs import WatchfulGraphs, one_hot_width, with_one_hot_width
from d2lrnn.models.gluon.layers import RecurrentStack, drop, unpadded
from d2lrnn.models.gluon.stand_ins import parted, rows_instead
from d2lrnn.models.gluon.used_ids import LEAST_VOCAB_SIZE, used_ids
from d2lrnn.models.gluon.used_rows import UsedRows
from d2lrnn.nd_arrays import takes_nd

nn = mx.gluon.nn


class Encoder(WatchfulGraphs):
    """Turns ids, or numbers, into the outputs of recurrent layers, at each time step.

    The block is hybridised when it is made.  Dropout acts on what enters and leaves the recurrent layers, never from
    one time step to the next (Zaremba et al. 2014, arXiv 1409.2329).  A :class:`Dropout` can also lock its masks over
    time, and drop words and weights.

    Args:
        rnn_layer: a layer of ``gluon.rnn``, an :class:`UnrolledLayer`, or a :class:`RecurrentStack`, which has its own
            dropout between layers.
        vocab_size: the size of the vocabulary; None: the inputs are no ids but numbers.
        embed_size: the width of a learnt embedding of the ids; None feeds them as one-hot vectors, as the book does.
        dropout: the share of the embedding and of the last layer's outputs that is dropped in training; or a
            :class:`Dropout`, whose ``hidden`` does not count here.
        input_size: how many numbers each step has, where the inputs are numbers; one of ``vocab_size`` and
            ``input_size`` is None.

    Attributes:
        one_array: whether fused layers read their parameters as one array with padding too.  False is faster with
            padding.  True is needed where one loss needs two calls, one of them without padding: of a gradient of the
            one array and those of its parts, which lie in the same memory, only the last would be left.

    Raises:
        FusedLayerError: if the layer has an option that MXNet ignores on the CPU.
        D2lrnnError: if the layer was made for inputs of another size, or words are to be dropped without an embedding.
    """

    TIME_AXIS = 1
    COUNTED = 3
    one_array = False

    def __init__(
        self,
        rnn_layer,
        vocab_size: int | None,
        embed_size: int | None = None,
        dropout: float | Dropout = 0.0,
        input_size: int | None = None,
    ) -> None:
        super().__init__()
        inputs = check_inputs(vocab_size, input_size)
        if embed_size is not None:
            check_whole("embed_size", embed_size, 0)
            check_parameters([(inputs, embed_size)])
        self.vocab_size, self.input_size, self.dropout = vocab_size, input_size, Dropout.of(dropout)
        if not embed_size and self.dropout.words:
            raise D2lrnnError("dropout of words is of the embedding: set embed_size")
        with self.name_scope():
            self.embedding = nn.Embedding(inputs, embed_size) if embed_size else None
            self.rnn = rnn_layer
        self._rows = UsedRows(self.embedding.weight) if self.embedding else None
        self._packed: dict = {}  # by fused layer: its parameters in one array
        self._places: list[mx.Context] = []  # the device of each layer; empty: all are where the embedding is
        for layer in self.layers:
            if is_fused(layer):
                self._packed[layer] = Packed(layer, self.dropout.weights)
            else:
                layer.weight_dropout = self.dropout.weights or layer.weight_dropout
        set_input_size(self.layers[0], embed_size or inputs)
        check_parameters(param.shape for param in self.collect_params().values())
        self.hybridize(static_alloc=True, static_shape=True)  # the graph keeps its memory between steps

    @property
    def layers(self) -> list:
        """The layers, the first one first."""
        return list(self.rnn.layers) if isinstance(self.rnn, RecurrentStack) else [self.rnn]

    @property
    def width(self) -> int:
        """The last axis of the outputs: num_directions * width of H."""
        return facts_of(self.layers[-1]).width

    @property
    def num_hiddens(self) -> int:
        """Hidden units of each direction of the first layer."""
        return facts_of(self.layers[0]).num_hiddens

    @property
    def bidirectional(self) -> bool:
        """Whether outputs depend on later inputs."""
        return facts_of(self.layers[0]).num_directions == 2

    @property
    def unrolls(self) -> bool:
        """Whether some layer is unrolled, so that a graph serves only one number of steps."""
        return any(layer not in self._packed for layer in self.layers)

    @property
    def state_sizes(self) -> list[tuple[int, int]]:
        """The first axis, which counts layers and directions, and the last axis of each array of the state."""
        return state_sizes_of(self.layers)

    def place(self, contexts: Sequence[mx.Context]) -> None:
        """Put the layers on devices, in order and as many on each as on the others, but for one.

        What is not a recurrent layer stays on the first device, and so do inputs, outputs and state.  MXNet compiles no
        graph over several devices, so whoever calls this takes care that ``hybridize`` is off for all but the layers.

        Args:
            contexts: the devices; the first is that of the parameters.

        Raises:
            D2lrnnError: if there are more devices than layers.
        """
        layers, own = self.layers, next(iter(self.collect_params().values())).list_ctx()[0]
        if not 0 < len(contexts) <= len(layers) or contexts[0] != own:
            raise D2lrnnError(
                f"{len(layers)} layers were to be placed on {', '.join(map(str, contexts)) or 'no device'}: expected "
                f"at most as many devices as layers, and first {own}, which the model is on"
            )
        self._places = [contexts[i * len(contexts) // len(layers)] for i in range(len(layers))]
        for layer, ctx in zip(layers, self._places):
            layer.collect_params().reset_ctx(ctx)
            layer.hybridize(static_alloc=True, static_shape=True)

    def begin_state(self, batch_size: int, ctx: ContextLike = None) -> tuple:
        """Return the zero state for a batch, on ``ctx`` or else where the parameters are."""
        check_state_of(self.layers, batch_size)
        weight = next(iter(self.collect_params().values()))
        device = as_ctx(ctx) if ctx is not None else weight.list_ctx()[0]
        return tuple(self.rnn.begin_state(batch_size=batch_size, ctx=device, dtype=weight.dtype))

    @takes_nd
    def __call__(self, X, state: tuple, counted=None) -> tuple:
        """Compute the outputs of the last layer.

        In the graph of another block, which has to be derived from :class:`StepGraphs`, all arguments are symbols.

        Args:
            X: ids of shape (batch_size, num_steps), or numbers of shape (batch_size, num_steps, input_size).
            state: of :meth:`begin_state`, or as the last call returned it.
            counted: 1 for a token, 0 for padding, (batch_size, num_steps); None: there is no padding.  Padding changes
                no output, no state and no gradient, whatever stands there.

        Returns:
            outputs of shape (num_steps, batch_size, width), after dropout, 0 at padding; and the new state.

        Raises:
            D2lrnnError: as for :func:`d2lrnn.data.batches.check_inputs_of`; if ``counted`` has another shape than X.
        """
        if not isinstance(X, mx.nd.NDArray):
            outputs, state = super().__call__(X, list(state), None, counted)
            return outputs, tuple(state)
        counted = self.check(X, state, counted)
        with GRAPH_LOCK:
            self.look_for_new_memory()
            outputs, state = self.call_graph(super().__call__, X, state, counted)
        return outputs, tuple(state)

    def check(self, X, state: tuple, counted):
        """Refuse a batch with the errors of :meth:`__call__`; return ``counted`` in the state's precision, or None."""
        check_inputs_of(X, self.vocab_size, self.input_size, state)
        return check_counted(counted, X.shape[:2], state[0].dtype)

    def call_graph(self, call, X, state: tuple, counted):
        """Call a graph that :meth:`encode` is part of; ``call`` takes ``X, state, params, counted``."""
        places = dict(zip(self.layers, self._places))
        params: list | None = None
        width = None
        if self.one_array or counted is None:
            params = [packed.array(places.get(layer, X.ctx)) for layer, packed in self._packed.items()]
            if self._looks_up:
                X, used = used_ids(X, self.vocab_size or 0)
                params[0], width = [*self._packed[self.layers[0]].halves(X.ctx), used], used.size
        if self._rows and not (self._places or self.dropout.words):
            X, params = rows_instead(self._rows, X, params)
        with warnings.catch_warnings(), with_one_hot_width(width):
            # The graph reads packed arrays; Gluon warns of parameters left out.
            warnings.filterwarnings("ignore", "Parameter .* is not used by any computation")
            return call(X, list(state), params, counted)

    @property
    def _looks_up(self) -> bool:
        """Whether this call's one-hot vectors are to be as wide as the number of different ids (:func:`used_ids`)."""
        return (
            self.embedding is None
            and (self.vocab_size or 0) >= LEAST_VOCAB_SIZE
            and mx.autograd.is_recording()
            and self.layers[0] in self._packed
            and not (self.bidirectional or self.one_array or self._places or self.dropout.weights)
        )

    def repack(self) -> None:
        """Put the parameters of each fused layer together."""
        with mx.autograd.pause():
            for packed in self._packed.values():
                packed.pack()

    def hybrid_forward(self, F, X, state, params=None, counted=None):
        """Compute what :meth:`__call__` documents."""
        return self.encode(F, X, state, params, counted)

    def encode(self, F, X, state, params=None, counted=None) -> tuple:
        """Return outputs (num_steps, batch_size, width) and state, for arrays or in the graph of a block.

        Args:
            F: MXNet's module for arrays or for symbols.
            X: ids (batch_size, num_steps), or numbers (batch_size, num_steps, input_size).
            state: before the first step.
            params: the packed parameters of each fused layer, as :meth:`call_graph` passes them.  None, in a graph: the
                layers' own parameters, which the graph then puts together at each call.
            counted: as for :meth:`__call__`.
        """
        rows, params = parted(params) if self._rows else ([], params)
        inputs = self._numbers(F, X) if self.input_size else self._of_ids(F, F.np.transpose(X), rows)
        layers, own = self._functions(F, params, counted), None if F is mx.sym else X.ctx
        if self._places:
            layers = [_at(ctx, own, layer) for ctx, layer in zip(self._places, layers)]
        if isinstance(self.rnn, RecurrentStack):
            outputs, state = self.rnn.run(F, inputs, state, layers)
        else:
            outputs, state = layers[0](inputs, list(state))  # (num_steps, batch_size, ...)
        outputs = outputs.as_in_ctx(own) if self._places else outputs
        return drop(F, outputs, self.dropout.outputs, self.dropout.locked), state

    def _functions(self, F, params, counted) -> list:
        """Return the layers as functions of inputs and state; those that are not fused are such functions already."""
        arrays = params or [None] * len(self._packed)
        if counted is not None:
            items = zip(self._packed.items(), params or [])
            parts = {layer: packed.parts(F, array) for (layer, packed), array in items}
            counts = [counted.as_in_ctx(ctx) for ctx in self._places] or [counted] * len(self.layers)
            drops = self.dropout.weights
            return [unpadded(F, layer, each, drops, parts.get(layer)) for layer, each in zip(self.layers, counts)]
        fused = {layer: packed.bind(F, array) for (layer, packed), array in zip(self._packed.items(), arrays)}
        return [fused.get(layer, layer) for layer in self.layers]

    def _numbers(self, F, X):
        """Return numbers as (num_steps, batch_size, input_size), after dropout."""
        return drop(F, F.np.transpose(X, axes=(1, 0, 2)), self.dropout.inputs, self.dropout.locked)

    def _of_ids(self, F, ids, rows):
        """Return ids (num_steps, batch_size) as vectors."""
        return self._one_hot(F, ids) if self.embedding is None else self._embed(F, ids, rows)

    def _one_hot(self, F, ids):
        """Return the ids as one-hot vectors (num_steps, batch_size, vocab_size) in the precision of the parameters."""
        weight = parameters_by_kind(self.layers[0])[0]["W_x"]
        width = one_hot_width() or self.vocab_size
        return F.npx.one_hot(ids, width, dtype=numpy.dtype(weight.dtype).name)

    def _embed(self, F, ids, rows):
        """Return the embedded ids (num_steps, batch_size, embed_size), after dropout of words and of numbers."""
        if self.dropout.words:
            # Without BlockGrad, MXNet wants a gradient of the ids, because two look-ups read them.
            ids = F.BlockGrad(ids.as_nd_ndarray()).as_np_ndarray()
        inputs = F.np.take(rows[0], ids, axis=0, mode="clip") if rows else self.embedding(ids)
        if self.dropout.words:
            kept = drop(F, F.np.ones((self.vocab_size, 1)), self.dropout.words)  # one number for each word
            inputs = inputs * F.npx.embedding(ids, kept, input_dim=self.vocab_size, output_dim=1)
        return drop(F, inputs, self.dropout.inputs, self.dropout.locked)


def _at(ctx: mx.Context, own: mx.Context, layer: Callable) -> Callable:
    """Return a layer, a function of inputs and state, that computes on ``ctx`` and gives the new state to ``own``."""

    def run(X, state: list) -> tuple:
        outputs, state = layer(X.as_in_ctx(ctx), [array.as_in_ctx(ctx) for array in state])
        return outputs, [array.as_in_ctx(own) for array in state]

    return run
