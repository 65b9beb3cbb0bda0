"""Attention from scratch, one equation a line: one step of a decoder looks at all outputs of an encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from d2lrnn._runtime import mx
from d2lrnn.checks import check_whole
from d2lrnn.config.model import ATTENTIONS
from d2lrnn.errors import D2lrnnError

np, npx = mx.np, mx.npx

OUT = 1e30  # taken off the scores of padding: float32 holds it, and a softmax makes exactly 0 of what is so far below

# Each score is a function of H, the decoder's output (batch_size, n), and S, the encoder's outputs
# (num_steps, batch_size, m).  It returns the scores (num_steps, batch_size).


def additive_score(H, S, W_q, W_k, w_v):
    """Compare by a layer with tanh (Bahdanau, Cho and Bengio 2015, arXiv 1409.0473)."""
    return np.dot(np.tanh(np.dot(H, W_q) + np.dot(S, W_k)), w_v)


def dot_score(H, S):
    """Compare by the dot product, for which both have one width (Luong, Pham and Manning 2015, arXiv 1508.04025)."""
    return (H * S).sum(axis=2)


def general_score(H, S, W_a):
    """Compare by the dot product after a matrix (Luong, Pham and Manning 2015, arXiv 1508.04025)."""
    return (np.dot(H, W_a) * S).sum(axis=2)


SCORES: dict[str, Callable] = {"additive": additive_score, "dot": dot_score, "general": general_score}


def attention_shapes(kind: str, query_size: int, key_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters of a score, by name.

    Args:
        kind: a name in :data:`d2lrnn.config.model.ATTENTIONS`.
        query_size: the width of the decoder's outputs.
        key_size: the width of the encoder's outputs.

    Raises:
        D2lrnnError: as for :func:`check_attention`.
    """
    check_attention(kind, query_size, key_size)
    if kind == "additive":
        return {"W_q": (query_size, query_size), "W_k": (key_size, query_size), "w_v": (query_size,)}
    return {"W_a": (query_size, key_size)} if kind == "general" else {}


def attend(kind: str, H, S, mask, params: Sequence) -> tuple:
    """Look at all outputs of an encoder for one step of a decoder.

    Args:
        kind: a name in :data:`d2lrnn.config.model.ATTENTIONS`.
        H: the decoder's output (batch_size, n).
        S: the encoder's outputs (num_steps, batch_size, m), finite at padding too.
        mask: 1 for a token of the source, 0 for padding, (num_steps, batch_size, 1).
        params: of the score, as :func:`attention_shapes` names them.

    Returns:
        the context (batch_size, m), a weighted sum of S over its steps; and the weights (num_steps, batch_size), 0 at
        padding, whose sum is 1.
    """
    scores = SCORES[kind](H, S, *params)
    weights = npx.softmax(scores + (mask[:, :, 0] - 1) * OUT, axis=0)
    context = (np.expand_dims(weights, 2) * S).sum(axis=0)
    return context, weights


def check_attention(kind: str, query_size: int, key_size: int) -> None:
    """Check that a decoder's outputs can be compared with an encoder's.

    Raises:
        D2lrnnError: for an unknown kind, a size that is no whole number, or "dot" with two sizes.
    """
    if kind not in ATTENTIONS:
        raise D2lrnnError(f"attention is {kind!r}: expected one of {', '.join(ATTENTIONS)}")
    check_whole("query_size", query_size)
    check_whole("key_size", key_size)
    if kind == "dot" and query_size != key_size:
        raise D2lrnnError(
            f"attention 'dot' multiplies outputs of one width, and the decoder's have {query_size} numbers, the "
            f"encoder's {key_size}: use 'general' or 'additive'"
        )
