"""Attention on Gluon: the outputs of an encoder that each step of a decoder looks at."""

from __future__ import annotations

from d2lrnn._runtime import mx
from d2lrnn.models.attention import OUT, check_attention

nn = mx.gluon.nn


class Attention(mx.gluon.HybridBlock):
    """Looks at all outputs of an encoder, for all steps of a decoder at once.

    For each output h of the decoder, the outputs s of the encoder are scored, a softmax over the source's steps turns
    the scores into weights, and the context is the weighted sum of the outputs s.  The scores are::

        "additive"    v . tanh(W_q h + W_k s)     Bahdanau, Cho and Bengio 2015, arXiv 1409.0473
        "dot"         h . s                       Luong, Pham and Manning 2015, arXiv 1508.04025
        "general"     h . W s                     the same

    The weights ``W_q`` and ``W_k``, or the transposed ``W``, are those of the blocks ``query`` and ``key``.  The block
    ``score`` has v.

    Args:
        kind: a name in :data:`d2lrnn.config.model.ATTENTIONS`.
        query_size: the width of the decoder's outputs.
        key_size: the width of the encoder's outputs.

    Raises:
        D2lrnnError: for an unknown kind; for "dot" with two widths.
    """

    def __init__(self, kind: str, query_size: int, key_size: int) -> None:
        super().__init__()
        check_attention(kind, query_size, key_size)
        self.kind, self.query_size, self.key_size = kind, query_size, key_size
        with self.name_scope():
            if kind == "general":
                self.query = _product(key_size, query_size)
            elif kind == "additive":
                self.query, self.key = _product(query_size, query_size), _product(query_size, key_size)
                self.score = _product(1, query_size)

    def hybrid_forward(self, F, H, S, mask):
        """Return what is looked at, and how much.

        Args:
            F: MXNet's module for arrays or for symbols.
            H: the decoder's outputs (target steps, batch_size, query_size).
            S: the encoder's outputs (source steps, batch_size, key_size), finite at padding too.
            mask: 1 for a token of the source, 0 for padding, (source steps, batch_size, 1).

        Returns:
            the contexts (target steps, batch_size, key_size); and the weights (target steps, batch_size, source steps),
            0 at padding, whose sum is 1.  Only a row that is all padding has equal weights there.
        """
        rows = F.np.swapaxes(S, 0, 1)  # (batch_size, source steps, key_size)
        scores = self._additive(F, H, S) if self.kind == "additive" else self._products(F, H, rows)
        absent = F.np.transpose(mask, axes=(1, 2, 0)) - 1  # (batch_size, 1, source steps): -1 for padding
        weights = F.npx.softmax(scores + absent * OUT, axis=-1)  # (batch_size, target steps, source steps)
        contexts = F.npx.batch_dot(weights, rows)
        return F.np.swapaxes(contexts, 0, 1), F.np.swapaxes(weights, 0, 1)

    def _products(self, F, H, rows):
        """Return the scores (batch_size, target steps, source steps) as products."""
        queries = self.query(H) if self.kind == "general" else H
        return F.npx.batch_dot(F.np.swapaxes(queries, 0, 1), rows, transpose_b=True)

    def _additive(self, F, H, S):
        """Return the scores (batch_size, target steps, source steps) as sums of both sides.

        Each side is looked up for all pairs of steps.  np's broadcasting computes the same, but the gradient, sums over
        one axis, takes six times as long (12 x 8 steps of 64 x 256 numbers, one thread: 38 ms in place of 7).
        """
        target, source = (F.npx.arange_like(array, axis=0) for array in (H, S))
        target, source = F.np.expand_dims(target, 1), F.np.expand_dims(source, 0)
        target, source = target + F.np.zeros_like(source), F.np.zeros_like(target) + source  # (target, source steps)
        # Each step of one side as one row, (steps, batch_size * query_size).
        queries, keys = (F.npx.reshape(array, (-2, -1)) for array in (self.query(H), self.key(S)))
        sums = F.np.take(queries, target, axis=0) + F.np.take(keys, source, axis=0)
        sums = F.npx.reshape(sums, (-2, -2, -6, -1, self.query_size))
        scores = self.score(F.npx.activation(sums, act_type="tanh"))  # (target, source steps, batch_size, 1)
        return F.np.transpose(F.np.squeeze(scores, axis=3), axes=(2, 0, 1))


def _product(units: int, in_units: int):
    """Return a block that multiplies the last axis by a matrix."""
    return nn.Dense(units, use_bias=False, flatten=False, in_units=in_units)
