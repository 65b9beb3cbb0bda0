"""Encoder and decoder from scratch: a source is read, and the target is written from what the encoder leaves."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.cells.registry import CELLS
from d2lrnn.checks import check_parameters, check_whole
from d2lrnn.data.batches import check_batch
from d2lrnn.data.lines import check_counted
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.attention import attend, attention_shapes
from d2lrnn.models.inputs import Ids
from d2lrnn.models.stack import Layers, Stack, new_parameter, output_layer
from d2lrnn.nd_arrays import takes_nd

np = mx.np


class TranslatorScratch:
    """The twin from scratch of :class:`d2lrnn.models.gluon.translator.Translator`: one equation a line.

    The encoder reads the source, and its last state is the decoder's first.  The decoder reads the target and gives the
    logits of each next id.  With attention, each output H of the decoder looks at the encoder's outputs, which give it
    a context C, and is replaced before the output layer (Luong, Pham and Manning 2015, arXiv 1508.04025)::

        H = tanh([C, H] W_c)

    Args:
        stack: the layers of the encoder, and ``num_outputs``, the size of the target's vocabulary.  The decoder has the
            same layers in one direction.
        num_hiddens: hidden units of each layer and direction.
        vocab_size: the size of the source's vocabulary.
        attention: a name in :data:`d2lrnn.config.model.ATTENTIONS`; None: the decoder sees the encoder's state alone.
        share: whether the decoder's layers are the encoder's.
        ctx: the device of the parameters.

    Raises:
        D2lrnnError: as for :func:`translator_shapes`.
    """

    def __init__(
        self,
        stack: Stack,
        num_hiddens: int,
        vocab_size: int,
        attention: str | None = None,
        share: bool = False,
        ctx: ContextLike = None,
    ) -> None:
        self.stack, self.attention, self.share, self.ctx = stack, attention, share, as_ctx(ctx)
        self.num_hiddens, self.vocab_size = check_whole("num_hiddens", num_hiddens), vocab_size
        self.num_outputs = check_whole("num_outputs", stack.num_outputs)
        shapes = translator_shapes(stack, num_hiddens, vocab_size, attention, share)
        check_parameters(shapes.values())
        params = _layer_parameters("encoder.", self.encoder, vocab_size, num_hiddens, self.ctx)
        if not share:
            params |= _layer_parameters("decoder.", self.decoder, self.num_outputs, num_hiddens, self.ctx)
        self._names = list(shapes)
        self.params = [
            params[name] if name in params else new_parameter(name.split(".")[-1], shape, self.ctx)
            for name, shape in shapes.items()
        ]

    def __copy__(self):
        """Return an independent model: one that shared its parameters would be trained with the original."""
        return copy.deepcopy(self)

    @property
    def encoder(self) -> Layers:
        """The layers that read the source."""
        return self.stack.layers

    @property
    def decoder(self) -> Layers:
        """The layers that read the target."""
        return replace(self.stack.layers, bidirectional=False)

    @property
    def bidirectional(self) -> bool:
        """Whether the encoder reads the source from both ends."""
        return self.stack.bidirectional

    def parameters(self) -> dict[str, Any]:
        """Return the parameters by the names of :func:`translator_shapes`, arrays with gradients."""
        return dict(zip(self._names, self.params))

    def begin_state(self, batch_size: int, ctx: ContextLike = None) -> tuple:
        """Return the encoder's zero state for a batch, on ``ctx`` or else where the parameters are."""
        state = self.encoder.init_state(batch_size, self.num_hiddens, ctx or self.ctx)
        return tuple(array.astype(self.params[0].dtype, copy=False) for array in state)

    def encode(self, X, counted=None) -> tuple:
        """Read a source, and return the memory from which the target is decoded.

        Arguments are those of :meth:`d2lrnn.models.gluon.translator.Translator.encode`.

        Returns:
            the decoder's first state, arrays (batch_size, width); and with attention the encoder's outputs
            (source steps, batch_size, width) and the mask of the padding (source steps, batch_size, 1).
        """
        return self._encode(X, self.begin_state(len(X)), counted)[0]

    @takes_nd
    def decode(self, Y_in, memory: tuple) -> tuple:
        """Compute logits; arguments and results are those of :class:`d2lrnn.models.gluon.translator.Decoder`."""
        attends = self.attention is not None
        state, seen = (memory[:-2], memory[-2:]) if attends else (memory, ())
        check_batch(Y_in, self.num_outputs, state)
        prefix = "encoder." if self.share else "decoder."
        params = self.parameters()
        layers = [params[prefix + name] for name in self.decoder.param_names]
        outputs, state = self.decoder(Ids(Y_in.T, self.num_outputs), state, layers)
        weights = None
        if attends:
            outputs, weights = self._look(outputs, *seen)
        logits = output_layer(outputs, params["decoder.W_hq"], params["decoder.b_q"])
        return np.concatenate(logits, axis=0), weights, (*state, *seen)

    @takes_nd
    def __call__(self, X, state: tuple, counted, Y_in) -> tuple:
        """Compute logits; arguments and results are those of :class:`d2lrnn.models.gluon.translator.Translator`."""
        memory, state = self._encode(X, state, counted)
        return self.decode(Y_in, memory)[0], state

    @takes_nd
    def _encode(self, X, state: tuple, counted) -> tuple[tuple, tuple]:
        """Return the memory, and the encoder's last state."""
        check_batch(X, self.vocab_size, state)
        counted = check_counted(counted, X.shape, state[0].dtype)
        params = self.params[: len(self.encoder.param_names)]
        outputs, state = self.encoder(Ids(X.T, self.vocab_size), state, params, counted)
        first = self._bridge(state) if self.bidirectional else state
        if self.attention is None:
            return first, state
        S = np.stack(outputs)  # (source steps, batch_size, width)
        mask = np.ones_like(S[:, :, :1]) if counted is None else np.expand_dims(counted.T, 2)
        return (*first, S, mask), state

    def _bridge(self, state: tuple) -> tuple:
        """Turn the state of an encoder with two directions into the decoder's first state."""
        params, num_states = self.parameters(), CELLS[self.stack.cell].num_states
        first: list = []
        for layer in range(self.stack.num_layers):
            left, right = (state[(2 * layer + side) * num_states :][:num_states] for side in (0, 1))
            for H_left, H_right in zip(left, right):
                W, b = (params[f"bridge.{letter}_{len(first)}"] for letter in "Wb")
                first.append(np.tanh(np.dot(np.concatenate([H_left, H_right], axis=1), W) + b))
        return tuple(first)

    def _look(self, outputs: Sequence, S, mask) -> tuple[list, Any]:
        """Return the decoder's outputs after attention, and the weights (target steps, batch_size, source steps)."""
        names = attention_shapes(self.attention or "", self.decoder.width(self.num_hiddens), S.shape[2])
        params = self.parameters()
        of_score, W_c = [params[f"decoder.{name}"] for name in names], params["decoder.W_c"]
        new_outputs, all_weights = [], []
        for H in outputs:
            C, weights = attend(self.attention or "", H, S, mask, of_score)
            new_outputs.append(np.tanh(np.dot(np.concatenate([C, H], axis=1), W_c)))
            all_weights.append(weights.T)
        return new_outputs, np.stack(all_weights)


def _layer_parameters(prefix: str, layers: Layers, num_inputs: int, num_hiddens: int, ctx: ContextLike) -> dict:
    params = layers.get_params(num_inputs, num_hiddens, ctx)
    return {prefix + name: param for name, param in zip(layers.param_names, params)}


def translator_shapes(
    stack: Stack, num_hiddens: int, vocab_size: int, attention: str | None = None, share: bool = False
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters of a :class:`TranslatorScratch`, by name; nothing is made.

    ``encoder.`` and ``decoder.`` stand before the names of :attr:`Layers.param_names`.  ``bridge.W_0`` and
    ``bridge.b_0`` make the first array of the decoder's state.  ``decoder.W_c`` is of the context and the output, and
    the parameters of :func:`d2lrnn.models.attention.attention_shapes` stand before it.

    Raises:
        D2lrnnError: for sizes that are none; for ``share`` with two vocabularies or with two directions; for attention
            that does not fit the widths.
    """
    encoder, decoder = stack.layers, replace(stack.layers, bidirectional=False)
    num_outputs, width = check_whole("num_outputs", stack.num_outputs), decoder.width(num_hiddens)
    shapes = _named("encoder.", encoder, vocab_size, num_hiddens)
    if share:
        check_share(vocab_size, num_outputs, stack.bidirectional)
    if stack.bidirectional:
        widths = CELLS[stack.cell].state_widths(num_hiddens, stack.num_projections) * stack.num_layers
        for i, n in enumerate(widths):
            shapes |= {f"bridge.W_{i}": (2 * n, n), f"bridge.b_{i}": (n,)}
    if not share:
        shapes |= _named("decoder.", decoder, num_outputs, num_hiddens)
    if attention is not None:
        key_size = encoder.width(num_hiddens)
        own = attention_shapes(attention, width, key_size) | {"W_c": (key_size + width, width)}
        shapes |= {f"decoder.{name}": shape for name, shape in own.items()}
    return {**shapes, "decoder.W_hq": (width, num_outputs), "decoder.b_q": (num_outputs,)}


def _named(prefix: str, layers: Layers, num_inputs: int, num_hiddens: int) -> dict[str, tuple[int, ...]]:
    shapes = layers.param_shapes(num_inputs, num_hiddens)
    return {prefix + name: shape for name, shape in zip(layers.param_names, shapes)}


def check_share(vocab_size: int, num_outputs: int, bidirectional: bool = False) -> None:
    """Check that an encoder and a decoder can have one set of weights.

    Raises:
        D2lrnnError: for two vocabularies of different sizes, or an encoder that reads from both ends.
    """
    if vocab_size != num_outputs:
        raise D2lrnnError(
            f"share gives source and target one vocabulary, and the source's has {vocab_size} entries, the target's "
            f"{num_outputs}: expected the same"
        )
    if bidirectional:
        raise D2lrnnError("share lets the decoder read by the encoder's layers, which must not read from the end")
