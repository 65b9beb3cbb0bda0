"""Language models on Gluon: with its fused recurrent layers (d2l-zh v1, section 6.5), or with unrolled layers."""

from __future__ import annotations

from d2lrnn._runtime import mx
from d2lrnn.cells.compiled import dot
from d2lrnn.checks import check_parameters, check_whole
from d2lrnn.config.model import Dropout
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.gluon.encoder import Encoder
from d2lrnn.models.gluon.facts import is_frozen, value_of
from d2lrnn.models.gluon.heads import WithHead

nn = mx.gluon.nn
WITH_OUTPUTS: list = []  # an argument of a graph that has no array; the graph is compiled for it being there


class RNNModel(WithHead):
    """A language model on Gluon, an :class:`Encoder` and an output layer.

    See :class:`d2lrnn.models.protocol.LanguageModel`.  The model is hybridised when it is made;
    ``model.hybridize(False)`` lets it run one operator after another.

    Args:
        rnn_layer: as for :class:`Encoder`, and so are ``vocab_size``, ``embed_size`` and ``dropout``.
        vocab_size: the size of the vocabulary.
        embed_size: the width of a learnt embedding; None: one-hot vectors.
        dropout: what is dropped in training.
        num_outputs: the size of the output layer; None takes the vocabulary's.
        tie_weights: whether the output layer's weight is the embedding's (Press and Wolf 2017, arXiv 1608.05859).

    Raises:
        FusedLayerError: if the layer has an option that MXNet ignores on the CPU.
        D2lrnnError: if the layer was made for inputs of another size, or the weights cannot be tied.
    """

    def __init__(
        self,
        rnn_layer,
        vocab_size: int,
        embed_size: int | None = None,
        dropout: float | Dropout = 0.0,
        num_outputs: int | None = None,
        tie_weights: bool = False,
    ) -> None:
        super().__init__(Encoder(rnn_layer, vocab_size, embed_size, dropout))
        if num_outputs is not None:
            check_whole("num_outputs", num_outputs)
        self.num_outputs, width = num_outputs or vocab_size, self.encoder.width
        if tie_weights and (embed_size, self.num_outputs) != (width, vocab_size):
            raise D2lrnnError(
                f"the weights cannot be tied: the embedding is {vocab_size} x {embed_size}, the output layer "
                f"{self.num_outputs} x {width}; expected the same"
            )
        shared = {"params": self.embedding.params} if tie_weights else {}
        with self.name_scope():
            self.dense = nn.Dense(self.num_outputs, flatten=False, in_units=width, **shared)
        check_parameters(param.shape for param in self.collect_params().values())
        self.hybridize(static_alloc=True, static_shape=True)  # the graph keeps its memory between steps

    def __call__(self, X, state: tuple, counted=None) -> tuple:
        """Compute logits.

        Args:
            X: ids of shape (batch_size, num_steps).
            state: of :meth:`begin_state`, or as the last call returned it.
            counted: 1 for a token, 0 for padding, of the shape of X; None: there is no padding.  Where one loss needs
                several calls, all of them have ``counted`` or none has it: :class:`Encoder`, ``one_array``, says why.

        Returns:
            logits of shape (num_steps * batch_size, num_outputs), those of the first step first; and the new state.
            At padding, the logits are the output layer's bias.

        Raises:
            D2lrnnError: as for :meth:`Encoder.__call__`.
        """
        logits, state = self.run(X, state, counted)
        return logits, tuple(state)

    def with_outputs(self, X, state: tuple, counted=None) -> tuple:
        """Compute logits as :meth:`__call__` does, and return the outputs that they are computed from too.

        Returns:
            logits of shape (num_steps * batch_size, num_outputs); the last layer's outputs after dropout, of shape
            (num_steps * batch_size, num_directions * width); and the new state.
        """
        logits, outputs, state = self.run(X, state, counted, WITH_OUTPUTS)
        return logits, outputs, tuple(state)

    def hybrid_forward(self, F, X, state, params=None, counted=None, asked=None):
        """Compute what :meth:`__call__` documents, or :meth:`with_outputs` if ``asked`` is given.

        Outputs that are returned and not used cost time in training: MXNet adds zeros to their gradient.
        """
        outputs, state = self.encoder.encode(F, X, state, params, counted)
        outputs = F.npx.reshape(outputs, (-5, -2))  # (num_steps * batch_size, width); logits would be a larger copy
        logits = self._logits(F, outputs)
        return (logits, state) if asked is None else (logits, outputs, state)

    def _logits(self, F, outputs):
        """Return the logits of outputs; for a frozen weight by :func:`d2lrnn.cells.compiled.dot`, which says why."""
        if not is_frozen(self.dense.weight):
            return self.dense(outputs)
        ctx = None if F is mx.sym else outputs.ctx
        weight, bias = (value_of(F, param, ctx) for param in (self.dense.weight, self.dense.bias))
        return dot(F, outputs, weight, bias, self.num_outputs, frozen=True)
