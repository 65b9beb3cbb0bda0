"""The cross-entropy of a batch in nats, and perplexity, which is the exponential of its mean."""

from __future__ import annotations

import functools
import math
import numbers

from d2lrnn._runtime import mx
from d2lrnn.checks import check_number, check_whole, shown
from d2lrnn.data.batches import check_batch
from d2lrnn.errors import D2lrnnError
from d2lrnn.nd_arrays import takes_nd


@functools.cache
def _compiled_loss():
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    # A compiled graph that keeps its memory takes 11 ms on 700 x 10,000 logits; with memory from the system, 22 ms.
    loss.hybridize(static_alloc=True, static_shape=True)
    return loss


@takes_nd
def cross_entropy(logits, Y, counted=None):
    """Return the mean cross-entropy of a batch in nats, an array of shape ().

    Args:
        logits: as a model returns them, of shape (num_steps * batch_size, num_outputs).
        Y: the ids to predict, of shape (batch_size, num_steps).
        counted: 1 for an id that counts, 0 for padding, of the shape of Y; None: all ids count.

    Raises:
        D2lrnnError: for ids outside 0 .. num_outputs - 1, which MXNet would clip in silence; if there are not as many
            ids as rows of logits.
    """
    return mean_loss(token_losses(logits, Y), counted)


@takes_nd
def token_losses(logits, Y):
    """Return the cross-entropy of each token in nats, of shape (num_steps * batch_size,).

    Arguments and errors are those of :func:`cross_entropy`.
    """
    return _compiled_loss()(logits, _labels(logits, Y))


def _labels(logits, Y):
    """Return the ids to predict in the order of the rows of logits."""
    check_batch(Y, logits.shape[1])
    if Y.size != logits.shape[0]:
        raise D2lrnnError(f"Y has shape {Y.shape}, {Y.size} ids, but there are {logits.shape[0]} rows of logits")
    return Y.T.reshape(-1)


def loss_and_gradient(logits, Y) -> tuple:
    """Return the cross-entropy of a batch, as :func:`cross_entropy` does, and the gradient of its sum by the logits.

    The gradient is the softmax, less 1 at each id of Y.  So one operator makes it, where autograd takes three: 1.4 ms
    in place of 3.7 for 400 x 10,000 on two cores of an Intel Xeon (Sapphire Rapids, 2026-11-28).  With the gradient
    g, ``logits.backward(g)`` writes the parameters' gradients, ``Y.size`` times those of the mean.

    Arguments and errors are those of :func:`cross_entropy`.

    Returns:
        the mean of the tokens' losses in nats, an array of shape (), from which no gradient flows; and an array of the
        shape of logits.  The mean is infinite if a token's loss is above 87 nats: float32 has no such probability.
    """
    with mx.autograd.pause():
        # The places are counted in the labels' type, and uint8 counts to 255 alone.
        labels = _labels(logits, Y).as_nd_ndarray().astype("int32", copy=False)
        gradient = mx.nd.softmax(logits.as_nd_ndarray())
        found = mx.nd.pick(gradient, labels)
        loss = -mx.nd.log(found).mean()
        places = mx.nd.stack(mx.nd.arange(len(labels), dtype=labels.dtype, ctx=labels.ctx), labels)
        mx.nd._internal._scatter_set_nd(gradient, found - 1, places, shape=gradient.shape, out=gradient)
    return loss.as_np_ndarray().reshape(()), gradient.as_np_ndarray()


def spread_losses(logits, Y, counted=None):
    """Return what it costs in nats, on average, that a prediction is spread over all ids alike instead of being Y.

    It is the mean over the ids of -log p, less -log p of the right one.  With label smoothing, the loss is the
    cross-entropy plus a share of this number, an array of shape ().  Arguments are those of :func:`cross_entropy`.
    """
    more = mx.npx.pick(logits, Y.T.reshape(-1)) - logits.mean(axis=1)  # log of the softmax's sum cancels out
    return mean_loss(more, counted)


def mean_loss(losses, counted=None):
    """Return the mean of the losses of the tokens that count, an array of shape ().

    Args:
        losses: of shape (num_steps * batch_size,), those of the first step first.
        counted: 1 for a token that counts, 0 for padding, (batch_size, num_steps); None: all tokens count.
    """
    if counted is None:
        return losses.mean()
    weights = counted.astype(losses.dtype).T.reshape(-1)
    return (losses * weights).sum() / weights.sum()


def perplexity(loss_sum: float, num_tokens: int) -> float:
    """Return the exponential of ``loss_sum / num_tokens``, with the loss in nats; infinite if too large for a float.

    Raises:
        D2lrnnError: if there is no token.
    """
    check_whole("num_tokens", num_tokens, most=math.inf)
    if not isinstance(loss_sum, numbers.Real):
        raise D2lrnnError(f"loss_sum is {shown(loss_sum)}: expected a number of nats")
    try:
        return math.exp(loss_sum / num_tokens)
    except OverflowError:
        return math.inf


def check_finite(perplexity: float) -> float:
    """Return a perplexity that is a finite number.

    Raises:
        D2lrnnError: for NaN and infinity, which a model gives whose weights are NaN or far too large.
    """
    if not math.isfinite(perplexity):
        raise D2lrnnError(
            f"the perplexity is {perplexity}, so the model's weights are no numbers or far too large: did it diverge "
            "in training? Take another checkpoint, or train again with less lr"
        )
    return perplexity


def format_perplexity(value: float) -> str:
    """Return a perplexity as text: ``123.46``; from 100,000 on with a power of ten, ``1.23e+05``."""
    return f"{value:.2f}" if value < 1e5 else f"{value:.3g}"


def bits_per_character(perplexity: float, level: str) -> float:
    """Return a perplexity in bits per character of the text.

    Args:
        perplexity: for each token.
        level: ``"char"``, where the result is log2 of the perplexity, or ``"bigram"``, where it is half of that.

    Raises:
        D2lrnnError: for another level; words, for example, have different lengths.
    """
    if level not in ("char", "bigram"):
        raise D2lrnnError(f"bits per character are of characters or pairs of them: found the level {level!r}")
    return math.log2(check_number("perplexity", perplexity, above=0, most=math.inf)) / (2 if level == "bigram" else 1)
