"""The same models on Gluon: on its fused recurrent layers (d2l-zh v1, section 6.5), or on unrolled ones."""

from __future__ import annotations

import warnings

import numpy

from d2lrnn._runtime import mx
from d2lrnn.cells.compiled import dot
from d2lrnn.config.model import Dropout
from d2lrnn.data.batches import check_batch
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.gluon.fused import Packed
from d2lrnn.models.gluon.layers import RecurrentStack, drop
from d2lrnn.models.gluon.unrolled import StepGraphs, UnrolledLayer

nn = mx.gluon.nn


class RNNModel(StepGraphs):
    """A language model on a recurrent layer of Gluon, with the protocol that training and decoding speak.

    Hybridised when made; ``model.hybridize(False)`` runs it step by step.  Dropout acts on what enters and leaves
    the recurrent layers, never from one time step to the next (Zaremba et al. 2014, arXiv 1409.2329); a
    :class:`Dropout` can lock its masks over time, and drop words and weights too.

    Args:
        rnn_layer: a layer of ``gluon.rnn``, an :class:`UnrolledLayer`, or a :class:`RecurrentStack`, which brings its
            own dropout between layers.
        vocab_size: the size of the vocabulary.
        embed_size: the width of a learnt embedding of the ids; None feeds them as one-hot vectors, as the book does.
        dropout: the share of the embedding and of the last layer's outputs that is dropped in training, or what to
            drop in all places but between layers.
        num_outputs: the size of the output layer; None takes the vocabulary's.
        tie_weights: whether the output layer's weight is the embedding's (Press and Wolf 2017, arXiv 1608.05859).

    Raises:
        FusedLayerError: if the layer has an option that MXNet ignores on the CPU.
        ValueError: if the layer was made for inputs of another size, or the weights cannot be tied.
    """

    TIME_AXIS = 1

    def __init__(
        self,
        rnn_layer,
        vocab_size: int,
        embed_size: int | None = None,
        dropout: float | Dropout = 0.0,
        num_outputs: int | None = None,
        tie_weights: bool = False,
    ) -> None:
        super().__init__()
        self.vocab_size, self.num_outputs = vocab_size, num_outputs or vocab_size
        self.dropout = Dropout.of(dropout)
        with self.name_scope():
            self.embedding = nn.Embedding(vocab_size, embed_size) if embed_size else None
            self.rnn = rnn_layer
            last = self.layers[-1]
            width = (last._projection_size or last._hidden_size) * last._dir
            if tie_weights and (embed_size, self.num_outputs) != (width, vocab_size):
                raise D2lrnnError(
                    f"the weights cannot be tied: the embedding is {vocab_size} x {embed_size}, the output layer "
                    f"{self.num_outputs} x {width}; expected the same"
                )
            if not embed_size and self.dropout.words:
                raise D2lrnnError("dropout of words is of the embedding: set embed_size")
            shared = {"params": self.embedding.params} if tie_weights and self.embedding is not None else {}
            self.dense = nn.Dense(self.num_outputs, flatten=False, in_units=width, **shared)
        self._packed: dict = {}  # the fused layers' parameters, by layer
        for layer in self.layers:
            if isinstance(layer, UnrolledLayer):
                layer.weight_dropout = self.dropout.weights or layer.weight_dropout
            else:
                self._packed[layer] = Packed(layer, self.dropout.weights)
        _set_input_size(self.layers[0], embed_size or vocab_size)
        self._seen: list = []  # the arrays of all parameters at the last call
        self.hybridize(static_alloc=True, static_shape=True)  # the graph keeps its memory between steps

    @property
    def layers(self) -> list:
        """The layers, the first one first."""
        return list(self.rnn.layers) if isinstance(self.rnn, RecurrentStack) else [self.rnn]

    @property
    def unrolls(self) -> bool:
        """Whether a layer's graph is of a fixed number of steps."""
        return any(layer not in self._packed for layer in self.layers)

    @property
    def bidirectional(self) -> bool:
        """Whether outputs depend on later inputs."""
        return self.layers[0]._dir == 2

    def begin_state(self, batch_size: int, ctx: ContextLike = None) -> tuple:
        """Return the zero state for a batch, on ``ctx`` or else where the parameters are."""
        weight = next(iter(self.collect_params().values()))
        device = as_ctx(ctx) if ctx is not None else weight.list_ctx()[0]
        return tuple(self.rnn.begin_state(batch_size=batch_size, ctx=device, dtype=weight.dtype))

    def __call__(self, X, state: tuple) -> tuple:
        """Compute logits.

        Args:
            X: ids of shape (batch_size, num_steps).
            state: of :meth:`begin_state`, or as the last call returned it.

        Returns:
            logits of shape (num_steps * batch_size, num_outputs), all of the first step first; and the new state.

        Raises:
            ValueError: as :func:`d2lrnn.data.batches.check_batch`.
        """
        logits, _, state = self.with_outputs(X, state)
        return logits, state

    def with_outputs(self, X, state: tuple) -> tuple:
        """Compute logits as :meth:`__call__`, and what they are computed from.

        Returns:
            logits of shape (num_steps * batch_size, num_outputs); the last layer's outputs after dropout, of shape
            (num_steps * batch_size, num_directions * width); and the new state.
        """
        check_batch(X, self.vocab_size, state)
        self._look_for_new_memory()
        whole = [packed.array(X.ctx) for packed in self._packed.values()]
        with warnings.catch_warnings():  # what Gluon says of the views, since the graph reads the whole
            warnings.filterwarnings("ignore", "Parameter .* is not used by any computation")
            logits, outputs, state = super().__call__(X, list(state), whole)
        return logits, outputs, tuple(state)

    def _look_for_new_memory(self) -> None:
        """Begin anew if a parameter was given other arrays, as ``initialize`` and ``grad_req`` do.

        A graph with static_shape would go on writing gradients to the old ones.
        """
        if not _same(self._seen, self._memory()):
            with mx.autograd.pause():
                for packed in self._packed.values():
                    packed.pack()
            self._clear_cached_op()
            self._seen = self._memory()

    def _memory(self) -> list:
        params = self.collect_params().values()
        return [array for param in params for array in (*param.list_data(), *(param._grad or ()))]

    def hybrid_forward(self, F, X, state, params):
        """Compute what :meth:`with_outputs` documents."""
        ids = F.np.transpose(X)  # (num_steps, batch_size)
        inputs = self._one_hot(F, ids) if self.embedding is None else self._embed(F, ids)
        fused = {layer: packed.bind(F, whole) for (layer, packed), whole in zip(self._packed.items(), params)}
        layers = [fused.get(layer, layer) for layer in self.layers]
        if isinstance(self.rnn, RecurrentStack):
            outputs, state = self.rnn.run(F, inputs, state, layers)
        else:
            outputs, state = layers[0](inputs, list(state))  # (num_steps, batch_size, ...)
        outputs = drop(F, outputs, self.dropout.outputs, self.dropout.locked)
        outputs = F.npx.reshape(outputs, (-5, -2))  # (num_steps * batch_size, ...): here it copies little
        return self._logits(F, outputs), outputs, state

    def _logits(self, F, outputs):
        """Return what the output layer makes of outputs; see :func:`d2lrnn.cells.compiled.dot` for a frozen weight."""
        if self.dense.weight.grad_req != "null":
            return self.dense(outputs)
        params = self.dense.weight, self.dense.bias
        weight, bias = (param.var() if F is mx.sym else param.data(outputs.ctx) for param in params)
        return dot(F, outputs, weight, bias, self.num_outputs, frozen=True)

    def _one_hot(self, F, ids):
        """Return the ids as one-hot vectors (num_steps, batch_size, vocab_size), of the precision of the parameters."""
        return F.npx.one_hot(ids, self.vocab_size, dtype=numpy.dtype(self.dense.weight.dtype).name)

    def _embed(self, F, ids):
        """Return the ids embedded, (num_steps, batch_size, embed_size), with words and numbers dropped."""
        if self.dropout.words:
            ids = F.BlockGrad(ids.as_nd_ndarray()).as_np_ndarray()  # or the two look-ups would ask for its gradient
        inputs = self.embedding(ids)
        if self.dropout.words:
            kept = drop(F, F.np.ones((self.vocab_size, 1)), self.dropout.words)  # one number for each word
            inputs = inputs * F.npx.embedding(ids, kept, input_dim=self.vocab_size, output_dim=1)
        return drop(F, inputs, self.dropout.inputs, self.dropout.locked)


def _same(these: list, those: list) -> bool:
    return len(these) == len(those) and all(one is other for one, other in zip(these, those))


def _set_input_size(layer, size: int) -> None:
    """Tell a layer its input size, so that Gluon need not wait for the first call to make the parameters."""
    if layer._input_size not in (0, size):
        raise D2lrnnError(
            f"the {type(layer).__name__} was made for inputs of size {layer._input_size}, but the model's are {size}"
        )
    for direction in "lr"[: layer._dir]:
        weight = getattr(layer, f"{direction}0_i2h_weight")
        weight.shape = (weight.shape[0], size)
