"""How well a language model predicts a text: its perplexity, with the state carried along each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy

from d2lrnn._runtime import mx
from d2lrnn.checks import check_memory, check_whole
from d2lrnn.data.lines import LineRows, pad_lines
from d2lrnn.data.vocabulary import check_ids
from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.losses import perplexity, token_losses
from d2lrnn.models.protocol import LanguageModel, check_batch_size, check_causal, wants_few_lengths

MOST_STEPS = 1024  # of a call of the model: a line may be of any length, the memory is not


def evaluate(
    model: LanguageModel,
    ids,
    batch_size: int = 1,
    num_steps: int = 35,
    after_each: Callable[[], None] | None = None,
) -> float:
    """Return a model's perplexity on a text; every token but the first is predicted once.

    The text is cut into ``batch_size`` rows.  Each row begins with the zero state, and the state is carried along the
    row.  One row carries the state through the whole text, as in the published figures.  More rows are faster but give
    a slightly higher perplexity: the first words of each row have no context.

    Args:
        model: a language model, from scratch or on Gluon.
        ids: the text, whole numbers in one dimension, at least two.
        batch_size: rows.
        num_steps: tokens of a row in one call of the model; the result does not depend on this number.
        after_each: called after each call of the model, if it is given; what it raises ends the evaluation.

    Raises:
        LooksAheadError: for a bidirectional model.
        D2lrnnError: if the ids do not fit the model or are fewer than two, or a size is not a positive whole number.
    """
    ids = _checked(model, ids)
    check_batch_size(model, batch_size, num_steps)
    state, loss_sum = model.begin_state(batch_size), 0.0
    for window in windows(ids, batch_size, num_steps):
        loss, state = _loss_sum(model, state, *window)
        loss_sum += loss
        if after_each is not None:
            after_each()
    return perplexity(loss_sum, ids.size - 1)


def evaluate_lines(
    model: LanguageModel,
    ids,
    end: int,
    num_lines: int = 1,
    batch_size: int = 64,
    after_each: Callable[[], None] | None = None,
) -> float:
    """Return a model's perplexity on the lines of a text; every token, line ends too, is predicted once.

    A row holds ``num_lines`` lines.  Each row begins with the zero state and the token ``end``, as in
    :func:`d2lrnn.data.lines.data_iter_lines`.

    Args:
        model: a language model, from scratch or on Gluon.
        ids: the text, whole numbers in one dimension, at least two, with ``end`` behind each line.
        end: the id of the line end.
        num_lines: lines of a row, along which the state is carried.
        batch_size: rows in one call of the model; the result does not depend on this number.
        after_each: as for :func:`evaluate`.

    Raises:
        LooksAheadError, D2lrnnError: as for :func:`evaluate`.
    """
    check_whole("end", end, 0)
    check_whole("num_lines", num_lines)
    check_whole("batch_size", batch_size)
    rows = LineRows(_checked(model, ids), end, num_lines)
    order, loss_sum = numpy.argsort(rows.lengths, kind="stable"), 0.0  # like lengths together: little padding
    for i in range(0, len(rows), batch_size):
        batch = pad_lines([rows[j] for j in order[i : i + batch_size]], end, wants_few_lengths(model))
        state = model.begin_state(len(batch[0]))
        for begin in range(0, batch[0].shape[1], MOST_STEPS):
            loss, state = _loss_sum(model, state, *(part[:, begin : begin + MOST_STEPS] for part in batch))
            loss_sum += loss
        if after_each is not None:
            after_each()
    return perplexity(loss_sum, int(rows.lengths.sum()))


def _checked(model: LanguageModel, ids) -> numpy.ndarray:
    """Return the ids of a text as int32; refuse a bidirectional model, and ids that do not fit the model."""
    check_causal(model)
    ids = check_ids(ids, model.vocab_size)
    if ids.ndim != 1 or ids.size < 2:
        raise D2lrnnError(f"ids has shape {ids.shape}: expected one dimension, at least two tokens")
    return ids


def _loss_sum(model: LanguageModel, state: tuple, X, Y, counted) -> tuple[float, tuple]:
    """Return the sum of the losses of those ids of Y that count, in nats, and the state after X."""
    ctx = state[0].ctx
    logits, state = model(mx.np.array(X, dtype="int32", ctx=ctx), state)
    losses = token_losses(logits, mx.np.array(Y, dtype="int32", ctx=ctx)).asnumpy()
    return losses[counted.T.reshape(-1)].sum(dtype="float64"), state


def windows(ids: numpy.ndarray, batch_size: int, num_steps: int) -> Iterator[tuple[numpy.ndarray, ...]]:
    """Yield ``X, Y, counted``, each of shape (batch_size, num_steps); ``counted`` is False where a row has ended."""
    predicted = ids.size - 1
    length = -(-predicted // batch_size)  # ids of a row, rounded up
    what = f"{batch_size:,} rows of {num_steps:,} tokens"
    check_memory(what, 30 * batch_size * num_steps, "make batch_size smaller")
    places = length * numpy.arange(batch_size)[:, None] + numpy.arange(num_steps)  # (batch_size, num_steps)
    for begin in range(0, length, num_steps):
        counted = (places + begin < predicted) & (begin + numpy.arange(num_steps) < length)
        found = numpy.minimum(places + begin, predicted - 1)
        yield numpy.where(counted, ids[found], 0), numpy.where(counted, ids[found + 1], 0), counted
