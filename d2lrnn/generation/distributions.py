"""From logits to a token: log-probabilities, repetition penalty, temperature, top_k, top_p, and the draw."""

from __future__ import annotations

import numpy

from d2lrnn.config.generation import Sampling
from d2lrnn.errors import D2lrnnError


def log_softmax(logits: numpy.ndarray) -> numpy.ndarray:
    """Return the natural logarithms of the softmax of logits; both are (rows, vocab_size).

    Raises:
        D2lrnnError: for a row with NaN or infinity, or with nothing but minus infinity.
    """
    largest = logits.max(axis=1, keepdims=True)  # (rows, 1)
    if not numpy.isfinite(largest).all():
        raise D2lrnnError("the model's logits hold NaN or infinity: did it diverge in training?")
    shifted = logits - largest
    return shifted - numpy.log(numpy.exp(shifted).sum(axis=1, keepdims=True))


def penalised(logits: numpy.ndarray, seen: numpy.ndarray, penalty: float) -> numpy.ndarray:
    """Return logits with the tokens that a text has already made less likely (Keskar et al. 2019, section 4.1).

    The paper (arXiv 1909.05858) divides the logits of these tokens by the penalty, which makes tokens with a logit
    below 0 more likely.  Here, as in most implementations, a logit below 0 is multiplied by the penalty.

    Args:
        logits: the model's, (rows, vocab_size).
        seen: which tokens are in a row's text, prefix included; boolean, (rows, vocab_size).
        penalty: above 1 the tokens become less likely; 1 changes nothing.
    """
    return numpy.where(seen, numpy.where(logits > 0, logits / penalty, logits * penalty), logits)


def distribution(scores: numpy.ndarray, sampling: Sampling) -> numpy.ndarray:
    """Return the probabilities by which the next token is drawn: after temperature, then top_k, then top_p.

    Args:
        scores: logits or log-probabilities (rows, vocab_size) in float64; minus infinity for tokens that may not come.
        sampling: its ``temperature``, ``top_k`` and ``top_p``.

    Returns:
        probabilities (rows, vocab_size), each row's sum 1; 0 for tokens that were cut off.  Among tokens that are
        equally likely, those with the smaller ids are kept.
    """
    shifted = scores - scores.max(axis=1, keepdims=True)
    if sampling.temperature == 0:
        return numpy.eye(scores.shape[1])[shifted.argmax(axis=1)]
    if sampling.temperature != 1:
        with numpy.errstate(over="ignore"):  # overflow gives minus infinity, which is probability 0
            shifted = shifted / sampling.temperature
    p = numpy.exp(shifted)
    if sampling.top_k or sampling.top_p < 1:
        p = numpy.where(_likeliest(p, sampling), p, 0)
    return p / p.sum(axis=1, keepdims=True)


def _likeliest(p: numpy.ndarray, sampling: Sampling) -> numpy.ndarray:
    """Return which of p (rows, vocab_size) top_k and top_p keep, as booleans; the sum of a row need not be 1."""
    ordered = -numpy.sort(-p, axis=1)
    count = numpy.full((len(p), 1), min(sampling.top_k or p.shape[1], p.shape[1]))  # tokens kept of each row, (rows, 1)
    if sampling.top_p < 1:
        sums = ordered.cumsum(axis=1)
        enough = sampling.top_p * numpy.take_along_axis(sums, count - 1, axis=1)
        count = numpy.minimum(count, 1 + (sums < enough).sum(axis=1, keepdims=True))
    smallest = numpy.take_along_axis(ordered, count - 1, axis=1)  # the smallest probability that is kept, (rows, 1)
    above, equal = p > smallest, p == smallest
    return above | equal & (equal.cumsum(axis=1) <= count - above.sum(axis=1, keepdims=True))


def draw(p: numpy.ndarray, uniforms: numpy.ndarray) -> numpy.ndarray:
    """Return a token for each row of probabilities, drawn by the inverse of the row's distribution function.

    The token is the first, in the order of ids, at which the sum of probabilities is above the row's number.

    Args:
        p: probabilities, (rows, vocab_size).
        uniforms: a number in [0, 1) for each row, (rows,).

    Returns:
        ids, (rows,).
    """
    sums = p.cumsum(axis=1)
    return (sums <= uniforms[:, None] * sums[:, -1:]).sum(axis=1)
