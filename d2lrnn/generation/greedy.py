"""The likeliest text: always the likeliest next token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from d2lrnn._runtime import few_threads, mx
from d2lrnn.checks import check_whole
from d2lrnn.config.fields import MAX_PRED_LEN
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.device import ContextLike
from d2lrnn.generation.prefixes import check_room, encode_prefixes
from d2lrnn.generation.writers import writer_of
from d2lrnn.models.protocol import LanguageModel

np = mx.np


def predict(prefix: str, num_preds: int, model: LanguageModel, vocab: Vocab, ctx: ContextLike = None) -> str:
    """Continue a prefix, always with the likeliest next token (greedy search; d2l-zh v1, section 6.4.4).

    Args:
        prefix: the text to start from.
        num_preds: how many tokens to add: characters, or words if the vocabulary is one of words.
        model: a language model, from scratch or on Gluon.
        vocab: the vocabulary that the model was trained with.
        ctx: the device of the model; None: the one that its parameters are on.

    Returns:
        the prefix and what follows.

    Raises:
        D2lrnnError: for an empty prefix, a negative ``num_preds``, a vocabulary of another size.
        UnknownTokenError: for a character or word of the prefix that the vocabulary does not have.
        LooksAheadError: for a bidirectional model.
    """
    return predict_batch([prefix], num_preds, model, vocab, ctx)[0]


def predict_batch(
    prefixes: Sequence[str], num_preds: int, model: LanguageModel, vocab: Vocab, ctx: ContextLike = None
) -> list[str]:
    """Continue many prefixes at once, each as :func:`predict` would; they may differ in length.

    A pass for all prefixes takes little longer than a pass for one: 64 are written at ten times the speed of one.

    Args:
        prefixes: the texts to start from, at least one.
        num_preds: how many tokens to add to each.
        model: as for :func:`predict`.
        vocab: as for :func:`predict`.
        ctx: as for :func:`predict`.

    Returns:
        for each prefix, in order, the prefix and what follows.

    Raises:
        D2lrnnError, UnknownTokenError, LooksAheadError: as :func:`predict`; also if ``prefixes`` is empty or one text.
    """
    num_preds = check_whole("num_preds", num_preds, 0, MAX_PRED_LEN)
    rows = encode_prefixes(prefixes, model, vocab)
    check_room(model, len(rows), len(rows) * (max(map(len, rows)) + num_preds), size=3 * 4)  # three arrays of float32
    with few_threads():
        written = _write(writer_of(model, ctx), rows, num_preds)
    return [vocab.decode([*map(int, row), *ids]) for row, ids in zip(rows, written)]


def _write(writer, rows: list, num_preds: int) -> list[list[int]]:
    """Return the ids that follow each row, each the likeliest; the device is waited for once, at the end."""
    state = writer.begin_state(len(rows))
    longest = max(len(row) for row in rows)
    given = numpy.zeros((longest, len(rows)), dtype="int32")  # (num_steps, batch_size)
    for i, row in enumerate(rows):
        given[: len(row), i] = row
    lengths = numpy.array([len(row) for row in rows])
    inputs, lasts = [np.array(ids, dtype="int32", ctx=state[0].ctx) for ids in given], None
    columns = []  # for each t, what follows the ids 0 to t of each row, (batch_size,)
    for t in range(longest):
        # A row whose prefix has ended goes on with what it wrote.
        ended = np.array(lengths <= t, ctx=state[0].ctx) if (lengths <= t).any() else None
        ids = inputs[t] if ended is None else np.where(ended, lasts, inputs[t])
        lasts, state = writer.step(ids, state)
        columns.append(lasts)
    columns += writer.write(lasts, state, num_preds - 1)
    table = np.stack(columns, axis=1).asnumpy()  # (batch_size, num_steps)
    return [[int(i) for i in row[n - 1 : n - 1 + num_preds]] for row, n in zip(table, lengths)]
