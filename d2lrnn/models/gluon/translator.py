"""Encoder and decoder on Gluon: a source is read, and the target is written from what the encoder leaves."""

from __future__ import annotations

import copy
from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.checks import check_parameters, check_whole
from d2lrnn.data.batches import check_batch
from d2lrnn.data.lines import check_counted
from d2lrnn.device import ContextLike
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.gluon.attention import Attention
from d2lrnn.models.gluon.bridge import Bridge
from d2lrnn.models.gluon.encoder import Encoder
from d2lrnn.models.gluon.facts import facts_of, names_of, value_of
from d2lrnn.models.gluon.heads import WithHead
from d2lrnn.nd_arrays import takes_nd

nn = mx.gluon.nn


class Decoder(WithHead):
    """Predicts the next id of a target at each step, from the ids before it and from what an encoder left of a source.

    It is a language model whose first state is the encoder's last.  With attention, the logits come from the output h
    of each step and from the context c that h has looked up (Luong, Pham and Manning 2015, arXiv 1508.04025, without
    input feeding)::

        h~ = tanh(W_c [c; h])

    so the recurrent layers run over all steps of the target before anything is looked up.  ``W_c`` is the weights of
    the blocks ``of_context`` and ``of_hidden`` side by side.

    Args:
        encoder: reads the ids of the target, from the left.
        num_outputs: the size of the target's vocabulary.
        attention: a name in :data:`d2lrnn.config.model.ATTENTIONS`; None: the decoder sees the first state alone.
        key_size: the width of the outputs that are looked at, with attention.
        tie_weights: whether the output layer's weight is the embedding of the target.

    Raises:
        D2lrnnError: if ``encoder`` reads from both ends, the attention does not fit, or the weights cannot be tied.
    """

    def __init__(
        self,
        encoder: Encoder,
        num_outputs: int,
        attention: str | None = None,
        key_size: int | None = None,
        tie_weights: bool = False,
    ) -> None:
        super().__init__(encoder)
        self.num_outputs, width = check_whole("num_outputs", num_outputs), encoder.width
        if encoder.bidirectional:
            raise D2lrnnError("a decoder cannot read from the end, which is not written yet: leave bidirectional out")
        shared: dict[str, Any] = {}
        if tie_weights:
            found = None if encoder.embedding is None else encoder.embedding.weight.shape
            if encoder.embedding is None or found != (num_outputs, width):
                raise D2lrnnError(
                    f"the weights cannot be tied: the embedding is {found}, the output layer {(num_outputs, width)}: "
                    "expected the same"
                )
            shared["params"] = encoder.embedding.params
        with self.name_scope():
            self.attention = None
            if attention is not None:
                key_size = width if key_size is None else key_size
                self.attention = Attention(attention, width, key_size)
                options = {"use_bias": False, "flatten": False}
                self.of_context = nn.Dense(width, in_units=key_size, **options)
                self.of_hidden = nn.Dense(width, in_units=width, **options)
            self.dense = nn.Dense(num_outputs, flatten=False, in_units=width, **shared)
        check_parameters(param.shape for param in self.collect_params().values())
        self.hybridize(static_alloc=True, static_shape=True)

    @takes_nd
    def __call__(self, Y_in, memory: tuple) -> tuple:
        """Compute logits.

        Args:
            Y_in: ids of the target, (batch_size, target steps).
            memory: as :meth:`Translator.encode` returns it, or as the last call returned it.

        Returns:
            logits of shape (target steps * batch_size, num_outputs), those of the first step first; the weights of the
            attention, (target steps, batch_size, source steps), or None; and the memory after the last step.

        Raises:
            D2lrnnError: as for :meth:`Encoder.__call__`; for a memory of another decoder.
        """
        state, seen = self._parts(memory)
        logits, *weights, state = self.run(Y_in, state, None, *seen)
        return logits, weights[0] if weights else None, (*state, *seen)

    @takes_nd
    def outputs_and_rows(self, Y_in, memory: tuple, ids) -> tuple:
        """Return what the logits of some ids alone are computed from; see :meth:`Translator.outputs_and_rows`."""
        state, seen = self._parts(memory)
        outputs, weight, bias, *_ = self.run(Y_in, state, None, *(seen or (None, None)), ids)
        return outputs, weight, bias

    def hybrid_forward(self, F, X, state, params=None, counted=None, S=None, mask=None, ids=None):
        """Return logits, the weights of the attention if there is one, and the state, as :meth:`__call__` says.

        With ``ids``, the three arrays of :meth:`outputs_and_rows` stand in the place of the logits.
        """
        H, state = self.encoder.encode(F, X, state, params, counted)  # (target steps, batch_size, width)
        if self.attention is None:
            return (*self._answers(F, H, ids), state)
        contexts, weights = self.attention(H, S, mask)
        # One product of both side by side would need np.concatenate: 3.3 ms for 12 x 64 x 512 numbers on one thread.
        H = F.npx.activation(self.of_context(contexts) + self.of_hidden(H), act_type="tanh")
        return (*self._answers(F, H, ids), weights, state)

    def _answers(self, F, H, ids) -> tuple:
        """Return the logits of outputs (target steps, batch_size, width); with ids, what theirs are computed from."""
        H = F.npx.reshape(H, (-5, -2))  # (target steps * batch_size, width)
        if ids is None:
            return (self.dense(H),)
        # One look-up of all rows: each look-up has a gradient of its own as large as the weight.
        ctx = None if F is mx.sym else H.ctx
        params = (value_of(F, param, ctx) for param in (self.dense.weight, self.dense.bias))
        return (H, *(F.np.take(param, ids, axis=0, mode="clip") for param in params))

    def _parts(self, memory: tuple) -> tuple[tuple, tuple]:
        """Return the state in a memory, and what attention looks at: the encoder's outputs and the mask, or nothing."""
        count = len(memory) - (0 if self.attention is None else 2)
        expected = len(self.encoder.state_sizes)
        if count != expected:
            more = "" if self.attention is None else ", then the encoder's outputs and the mask"
            raise D2lrnnError(f"the memory has {len(memory)} arrays: expected {expected} of the decoder's state{more}")
        return tuple(memory[:count]), tuple(memory[count:])


class Translator(mx.gluon.Block):
    """An encoder of a source and a decoder of a target; see :class:`d2lrnn.models.protocol.Model`.

    The encoder, the bridge and the decoder are compiled each on its own, so translators may share an encoder: from one
    language into two, they are ``Translator(encoder, one)`` and ``Translator(encoder, other)``.

    Args:
        encoder: of the source.  If it reads from both ends, a :class:`Bridge` makes the decoder's first state.
        decoder: of the target, of the encoder's cell and sizes.  Its own encoder may be the encoder of the source: then
            both languages share the embedding and the layers (``embedding_tied_rnn_seq2seq`` in TensorFlow).

    Attributes:
        encoder, decoder: as above.
        bridge: a :class:`Bridge`, or None.

    Raises:
        D2lrnnError: if the encoder's state cannot become the decoder's, or its outputs are not those that the decoder
            looks at.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        _check_states(encoder, decoder.encoder)
        key_size = decoder.attention.key_size if decoder.attention is not None else encoder.width
        if key_size != encoder.width:
            raise D2lrnnError(f"the decoder looks at outputs of width {key_size}, the encoder's have {encoder.width}")
        with self.name_scope():
            self.bridge = Bridge([width for _, width in encoder.state_sizes]) if encoder.bidirectional else None
        self.decoder = decoder
        if decoder.encoder is encoder:
            encoder.one_array = True

    def __copy__(self):
        """Return an independent model: one that shared its parameters would be trained with the original."""
        return copy.deepcopy(self)

    @property
    def vocab_size(self) -> int | None:
        """The size of the source's vocabulary."""
        return self.encoder.vocab_size

    @property
    def num_outputs(self) -> int:
        """The size of the target's vocabulary."""
        return self.decoder.num_outputs

    @property
    def bidirectional(self) -> bool:
        """Whether the encoder reads the source from both ends."""
        return self.encoder.bidirectional

    @property
    def unrolls(self) -> bool:
        """Whether some layer is unrolled, so that a graph serves only one number of steps."""
        return self.encoder.unrolls or self.decoder.unrolls

    def parameters(self) -> dict[str, Any]:
        """Return the Gluon parameters by name, each once."""
        return names_of(self)

    def begin_state(self, batch_size: int, ctx: ContextLike = None) -> tuple:
        """Return the encoder's zero state for a batch, on ``ctx`` or else where the parameters are."""
        return self.encoder.begin_state(batch_size, ctx)

    def encode(self, X, counted=None) -> tuple:
        """Read a source, and return the memory from which the target is decoded.

        Args:
            X: ids of the source, (batch_size, source steps).
            counted: 1 for an id, 0 for padding, of the shape of X; None: there is no padding.  Padding changes nothing,
                whatever ids stand there.

        Returns:
            the decoder's first state, arrays (1, batch_size, width); and for a decoder with attention the encoder's
            outputs (source steps, batch_size, width) and the mask of the padding (source steps, batch_size, 1).  The
            batch is the last axis but one of each array.

        Raises:
            D2lrnnError: as for :meth:`Encoder.__call__`.
        """
        return self._encode(X, self.begin_state(len(X)), counted)[0]

    def decode(self, Y_in, memory: tuple) -> tuple:
        """Compute logits, weights of the attention and the new memory; see :meth:`Decoder.__call__`."""
        return self.decoder(Y_in, memory)

    @takes_nd
    def __call__(self, X, state: tuple, counted, Y_in) -> tuple:
        """Compute the logits of the next ids of a target, all of whose ids before are given (teacher forcing).

        Padding behind the target needs no mask: no step that counts reads it, and the loss leaves it out.

        Args:
            X: ids of the source, (batch_size, source steps).
            state: of :meth:`begin_state`.
            counted: 1 for an id of the source, 0 for padding; None: there is no padding.
            Y_in: ids of the target, (batch_size, target steps).

        Returns:
            logits of shape (target steps * batch_size, num_outputs), those of the first step first; and the encoder's
            state after the source.
        """
        memory, state = self._encode(X, state, counted)
        return self.decoder(Y_in, memory)[0], state

    @takes_nd
    def outputs_and_rows(self, X, state: tuple, counted, Y_in, ids) -> tuple:
        """Return what the logits of some ids are computed from, for a loss that needs no others.

        The logits are ``outputs @ weight.T + bias``.  Gradients flow into all three.

        Args:
            X: as for :meth:`__call__`, and so are ``state``, ``counted`` and ``Y_in``.
            state: see there.
            counted: see there.
            Y_in: see there.
            ids: of the target's vocabulary, (count,); an id may come more than once.

        Returns:
            the outputs that the output layer reads, (target steps * batch_size, width), those of the first step first;
            and of the output layer the rows of the weight, (count, width), and of the bias, (count,).

        Raises:
            D2lrnnError: as for :meth:`__call__`; for ids outside the vocabulary.
        """
        check_batch(ids.reshape(1, -1), self.num_outputs)
        memory, _ = self._encode(X, state, counted)
        return self.decoder.outputs_and_rows(Y_in, memory, ids)

    @takes_nd
    def _encode(self, X, state: tuple, counted) -> tuple[tuple, tuple]:
        """Return the memory, and the encoder's last state."""
        outputs, state = self.encoder(X, state, counted)
        first = state if self.bridge is None else self.bridge(*state)
        if self.decoder.attention is None:
            return tuple(first), state
        if counted is None:
            mask = mx.np.ones((*outputs.shape[:2], 1), dtype=outputs.dtype, ctx=outputs.ctx)
        else:
            mask = mx.np.expand_dims(check_counted(counted, X.shape, outputs.dtype).T, 2)
        return (*first, outputs, mask), state


def _check_states(encoder: Encoder, reader: Encoder) -> None:
    """Check that what an encoder leaves can be the first state of a decoder, whose own encoder is ``reader``.

    Raises:
        D2lrnnError: if the two differ in cell, layers or sizes; for two layers in one that read from both ends.
    """
    cells = [facts_of(part.layers[0]).cell for part in (encoder, reader)]
    directions = 2 if encoder.bidirectional else 1
    found = [(count // directions, width) for count, width in encoder.state_sizes]
    if found != reader.state_sizes or cells[0] != cells[1]:
        has = [f"{cell} with layers and widths {sizes}" for cell, sizes in zip(cells, (found, reader.state_sizes))]
        raise D2lrnnError(f"the encoder's state is of {has[0]}, the decoder's of {has[1]}: expected the same")
    if encoder.bidirectional and any(count > 1 for count, _ in found):
        raise D2lrnnError("several layers in one, from both ends: expected a RecurrentStack, which has each on its own")
