"""How well a language model predicts a text: perplexity, with the state carried all the way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy

from d2lrnn._runtime import mx
from d2lrnn.decoding import check_causal
from d2lrnn.models import LanguageModel
from d2lrnn.optimisation import perplexity, token_losses
from d2lrnn.text import check_ids


def evaluate(model: LanguageModel, ids, batch_size: int = 1, num_steps: int = 35) -> float:
    """Return a model's perplexity on a text; every token but the first is predicted, each once.

    The text is cut into ``batch_size`` rows, each of which begins with the zero state, and the state is carried all
    along a row: with one row all through the text, as in the published figures.  More rows are faster and come out a
    little higher, by what the first words of each row lack.

    Args:
        model: a language model, from scratch or on Gluon.
        ids: the text, whole numbers in one dimension, at least two.
        batch_size: rows.
        num_steps: tokens of a row in one call of the model; the result does not depend on it.

    Raises:
        LooksAheadError: for a bidirectional model.
        ValueError: if the ids do not fit the model or are fewer than two, or a size is not a positive whole number.
    """
    check_causal(model)
    for name, value in (("batch_size", batch_size), ("num_steps", num_steps)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} is {value!r}: expected a whole number, at least 1")
    ids = check_ids(ids, model.vocab_size)
    if ids.ndim != 1 or ids.size < 2:
        raise ValueError(f"ids has shape {ids.shape}: expected one dimension, at least two tokens")
    state = model.begin_state(batch_size)
    loss_sum, ctx = 0.0, state[0].ctx
    for X, Y, counted in windows(ids, batch_size, num_steps):
        logits, state = model(mx.np.array(X, dtype="int32", ctx=ctx), state)
        losses = token_losses(logits, mx.np.array(Y, dtype="int32", ctx=ctx)).asnumpy()
        loss_sum += losses[counted.T.reshape(-1)].sum(dtype="float64")
    return perplexity(loss_sum, ids.size - 1)


def windows(ids: numpy.ndarray, batch_size: int, num_steps: int) -> Iterator[tuple[numpy.ndarray, ...]]:
    """Yield ``X, Y, counted``, each of shape (batch_size, num_steps); where not counted, a row has ended."""
    length = -(-(ids.size - 1) // batch_size)  # of a row, rounded up
    width = -(-length // num_steps) * num_steps
    X, Y, counted = (numpy.zeros((batch_size, width), dtype) for dtype in ("int32", "int32", bool))
    for row in range(batch_size):
        part = ids[row * length : (row + 1) * length + 1]
        n = max(part.size - 1, 0)
        X[row, :n], Y[row, :n], counted[row, :n] = part[:n], part[1 : n + 1], True
    for begin in range(0, width, num_steps):
        window = slice(begin, begin + num_steps)
        yield X[:, window], Y[:, window], counted[:, window]
