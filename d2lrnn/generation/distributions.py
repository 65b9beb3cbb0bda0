"""From logits to a token: log-probabilities, the repetition penalty, what is cut off, and the draw."""

from __future__ import annotations

import numpy

from d2lrnn.config.generation import Sampling
from d2lrnn.errors import D2lrnnError


def log_softmax(logits: numpy.ndarray) -> numpy.ndarray:
    """Return the natural logarithms of the probabilities (rows, vocab_size) that logits stand for.

    Raises:
        ValueError: for a row with NaN or infinity, or with nothing but minus infinity.
    """
    largest = logits.max(axis=1, keepdims=True)
    if not numpy.isfinite(largest).all():
        raise D2lrnnError("the model's logits hold NaN or infinity: did it diverge in training?")
    shifted = logits - largest
    return shifted - numpy.log(numpy.exp(shifted).sum(axis=1, keepdims=True))


def penalised(logits: numpy.ndarray, seen: numpy.ndarray, penalty: float) -> numpy.ndarray:
    """Make the tokens that are there already less likely (Keskar et al. 2019, arXiv 1909.05858, section 4.1).

    The paper divides their logits by the penalty, which helps those below 0; these are multiplied by it, as most
    implementations do.

    Args:
        logits: the model's, (rows, vocab_size).
        seen: which tokens are in a row's text, prefix included; boolean, of the same shape.
        penalty: above 1 it penalises, 1 changes nothing.
    """
    return numpy.where(seen, numpy.where(logits > 0, logits / penalty, logits * penalty), logits)


def distribution(scores: numpy.ndarray, sampling: Sampling) -> numpy.ndarray:
    """Return the probabilities by which the next token is drawn: after temperature, then top_k, then top_p.

    Args:
        scores: logits or log-probabilities (rows, vocab_size) in float64; minus infinity for what may not come.
        sampling: its ``temperature``, ``top_k`` and ``top_p``.

    Returns:
        probabilities (rows, vocab_size), each row's sum 1; 0 for what was cut off.  Among tokens that are equally
        likely, those with the smaller ids are kept.
    """
    shifted = scores - scores.max(axis=1, keepdims=True)
    if sampling.temperature == 0:
        return numpy.eye(scores.shape[1])[shifted.argmax(axis=1)]
    if sampling.temperature != 1:
        with numpy.errstate(over="ignore"):  # to minus infinity, as it should
            shifted = shifted / sampling.temperature
    p = numpy.exp(shifted)
    if sampling.top_k or sampling.top_p < 1:
        p = numpy.where(_likeliest(p, sampling), p, 0)
    return p / p.sum(axis=1, keepdims=True)


def _likeliest(p: numpy.ndarray, sampling: Sampling) -> numpy.ndarray:
    """Return where top_k and top_p let p (rows, vocab_size) be; the sum of a row need not be 1."""
    ordered = -numpy.sort(-p, axis=1)
    count = numpy.full((len(p), 1), min(sampling.top_k or p.shape[1], p.shape[1]))
    if sampling.top_p < 1:
        together = ordered.cumsum(axis=1)
        enough = sampling.top_p * numpy.take_along_axis(together, count - 1, axis=1)
        count = numpy.minimum(count, 1 + (together < enough).sum(axis=1, keepdims=True))
    least = numpy.take_along_axis(ordered, count - 1, axis=1)
    above, level = p > least, p == least
    return above | level & (level.cumsum(axis=1) <= count - above.sum(axis=1, keepdims=True))


def draw(p: numpy.ndarray, uniforms: numpy.ndarray) -> numpy.ndarray:
    """Return a token of each row of probabilities (rows, vocab_size), for one number in [0, 1) each.

    The inverse of the distribution function: the token at which the sum of probabilities, in the order of the ids,
    passes the number.
    """
    sums = p.cumsum(axis=1)
    return (sums <= uniforms[:, None] * sums[:, -1:]).sum(axis=1)
