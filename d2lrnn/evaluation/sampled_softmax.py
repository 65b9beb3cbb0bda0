"""Sampled softmax: the cross-entropy over a large vocabulary, estimated from a few of its tokens."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy

from d2lrnn._runtime import mx
from d2lrnn.checks import check_whole
from d2lrnn.errors import D2lrnnError
from d2lrnn.nd_arrays import takes_nd

OUT = 1e30  # taken off a logit that does not count: a softmax makes exactly 0 of what is so far below


def log_uniform(vocab_size: int) -> numpy.ndarray:
    """Return the log-uniform distribution over ranks, (vocab_size,); 0 is the rank of the most frequent token.

    It is ``P(k) = (log(k + 2) - log(k + 1)) / log(vocab_size + 1)``, about Zipf's law of how often words come.
    """
    edges = numpy.log(numpy.arange(1, check_whole("vocab_size", vocab_size) + 2))
    return numpy.diff(edges) / edges[-1]


class Drawn(NamedTuple):
    """The candidates of a batch, each once."""

    ids: numpy.ndarray  # (count,), int32
    expected: numpy.ndarray  # (count,), how often each of them is drawn in a batch, on average: at most 1


class Candidates:
    """Draws the tokens with which the right ones of a batch are compared, from NumPy's global generator.

    A draw has ``count`` different tokens.  A token of the rank k is one of them with the probability min(1, c P(k)):
    P is :func:`log_uniform`, and c is such that these probabilities have the sum ``count``.  So the most frequent
    tokens are in every draw.  The probabilities are exact, since the draw is a systematic one (Madow 1949): they lie
    side by side on a line of the length ``count``, and every token is drawn on whose part a point falls of those that
    have the distance 1 from another, behind a random beginning.

    (TensorFlow's ``log_uniform_candidate_sampler`` draws until there are ``count`` different tokens.  How often a token
    comes on average then has no simple form, and is approximated.)

    Args:
        vocab_size: the number of tokens.
        count: how many are drawn; ``vocab_size``: all of them, each time.
        first: the id of the most frequent token, which has the rank 0; the ids behind it follow in their order, and
            those before it are the last ones.  In a translator's vocabulary this is ``<eos>``: ``<pad>`` and ``<bos>``
            are never to be predicted.

    Attributes:
        expected: how often each id is drawn in a batch, on average, (vocab_size,).

    Raises:
        D2lrnnError: for a count above the size of the vocabulary, or numbers that are none.
    """

    def __init__(self, vocab_size: int, count: int, first: int = 0) -> None:
        self.count = check_whole("count", count, most=check_whole("vocab_size", vocab_size))
        self.first = check_whole("first", first, 0, vocab_size - 1)
        P, ranks = log_uniform(vocab_size), numpy.arange(vocab_size)
        rest = P[::-1].cumsum()[::-1]  # the sum of P from each rank on
        certain = (count - ranks) * P >= rest
        sure = vocab_size if certain.all() else int(certain.argmin())  # so many ranks have the probability 1
        by_rank = numpy.ones(vocab_size)
        by_rank[sure:] = (count - sure) * P[sure:] / rest[sure : sure + 1]
        self._ends = by_rank.cumsum()
        self._ends[-1] = count
        self.expected = numpy.roll(by_rank, first)

    def draw(self) -> Drawn:
        """Return the candidates of a batch."""
        ranks = self._ends.searchsorted(numpy.arange(self.count) + numpy.random.random(), side="right")
        ids = ((ranks + self.first) % len(self.expected)).astype(numpy.int32)
        return Drawn(ids, self.expected[ids])


def needed_ids(drawn: Drawn, Y) -> numpy.ndarray:
    """Return the ids whose logits :func:`sampled_losses` needs: the candidates, and then the right ones.

    Args:
        drawn: the candidates.
        Y: the ids to predict, (batch_size, num_steps).

    Returns:
        int32, (count + num_steps * batch_size,), on the device of Y.
    """
    return mx.np.array(numpy.concatenate([drawn.ids, _right(Y)]), dtype="int32", ctx=Y.ctx)


@takes_nd
def sampled_losses(outputs, weight, bias, Y, drawn: Drawn):
    """Return an estimate of the cross-entropy of each token in nats, of shape (num_steps * batch_size,).

    With o for the logits, y for the right token and E(k) for how often the token k is drawn on average, the loss is::

        log( exp(o_y) + sum of exp(o_k - log E(k)) over the candidates k other than y ) - o_y

    On average over all draws, the sum in the large brackets is the sum of exp(o_k) over the whole vocabulary, so its
    gradient is right on average too.  Its logarithm is a little too small on average.  A candidate that is the right
    token (an accidental hit) does not count, since the right token is there already.  If all tokens are candidates,
    this is the cross-entropy itself.  Gradients do not reach tokens that were not drawn.

    The source is Jean et al. (2015, arXiv 1412.2007).  TensorFlow's ``sampled_softmax_loss`` takes log E(y) off the
    logit of the right token too, as if it had been drawn.  It is always there, though, so here its logit stays as it
    is: else the sum would not be right on average.

    Args:
        outputs: what the output layer reads, (num_steps * batch_size, width), those of the first step first.
        weight: the output layer's weights of :func:`needed_ids`, (count + num_steps * batch_size, width).
        bias: likewise, (count + num_steps * batch_size,).
        Y: the ids to predict, (batch_size, num_steps).
        drawn: the candidates.

    Raises:
        D2lrnnError: for weights or biases of another number of ids.
    """
    count, right = len(drawn.ids), _right(Y)
    expected = count + right.size
    if not len(weight) == len(bias) == expected or len(outputs) != right.size:
        raise D2lrnnError(
            f"there are {len(outputs)} outputs, {len(weight)} rows of the weight and {len(bias)} of the bias: expected "
            f"{right.size} outputs, one for each id of Y, and the rows of these and of {count} candidates, {expected}"
        )
    options = {"dtype": outputs.dtype, "ctx": outputs.ctx}
    hits = mx.np.array(_hits(drawn.ids, right), dtype="int32", ctx=outputs.ctx)
    log_expected = mx.np.array(numpy.log(drawn.expected), **options)
    return _compiled(count, numpy.dtype(outputs.dtype).name)(outputs, weight, bias, hits, log_expected)


def _right(Y) -> numpy.ndarray:
    """Return the ids to predict in the order of the outputs."""
    return Y.asnumpy().T.reshape(-1)


def _hits(ids: numpy.ndarray, right: numpy.ndarray) -> numpy.ndarray:
    """Return which candidate each right token is; -1: none."""
    order = ids.argsort()
    places = order[ids.searchsorted(right, sorter=order).clip(max=len(ids) - 1)]
    return numpy.where(ids[places] == right, places, -1)


class _SampledLosses(mx.gluon.HybridBlock):
    """The equation of :func:`sampled_losses`, for a number of candidates."""

    def __init__(self, count: int, dtype: str) -> None:
        super().__init__()
        self._count, self._dtype = count, dtype

    def hybrid_forward(self, F, outputs, weight, bias, hits, log_expected):
        """Compute the losses; ``hits`` are those of :func:`_hits`."""
        count = self._count
        of_candidates = (F.npx.slice(array, begin=(0,), end=(count,)) for array in (weight, bias))
        of_right = (F.npx.slice(array, begin=(count,), end=(None,)) for array in (weight, bias))
        W, b = of_candidates
        logits = F.npx.fully_connected(outputs, W, b - log_expected, num_hidden=count, flatten=False)
        logits = logits + F.npx.one_hot(hits, count, on_value=-OUT, off_value=0, dtype=self._dtype)
        W, b = of_right
        right = F.np.expand_dims((outputs * W).sum(axis=1) + b, 1)
        # nd's concat, on 768 x 512 logits and one thread: a loss with its gradient takes 25 ms, with np's 37.
        logits = F.concat(right.as_nd_ndarray(), logits.as_nd_ndarray(), dim=1).as_np_ndarray()
        return -F.npx.reshape(F.npx.slice(F.npx.log_softmax(logits), begin=(None, 0), end=(None, 1)), (-1,))


@functools.cache
def _compiled(count: int, dtype: str) -> _SampledLosses:
    losses = _SampledLosses(count, dtype)
    losses.hybridize(static_alloc=True, static_shape=True)  # as the loss in losses.py
    return losses
