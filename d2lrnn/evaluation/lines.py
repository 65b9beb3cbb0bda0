"""How likely each line of a text is: a row of its own, with a fresh state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from d2lrnn._runtime import mx
from d2lrnn.data.vocabulary import EOS, LINE_END, Vocab, check_ids
from d2lrnn.evaluation.losses import token_losses
from d2lrnn.models.protocol import LanguageModel, check_causal

ROWS, STEPS = 32, 32  # of a call of the model: one shape, so that one graph is compiled, and little memory is taken


def frame_of_lines(vocab: Vocab) -> tuple[int | None, int | None]:
    r"""Return the token that a line is read after, and the one that ends it and is predicted too, as ids.

    They are what stands for a line end in the model's corpus: ``\n`` in a corpus of lines, ``<eos>`` in the Penn
    Treebank.  Where line ends were read as spaces, a line is read after a space and ends with its last character.  The
    lines of other words or pairs have neither: then a line's first token is read and not predicted.
    """
    for token in (LINE_END, *((EOS,) if vocab.level == "word" else ())):
        if token in vocab:
            return vocab.token_to_idx[token], vocab.token_to_idx[token]
    return (vocab.token_to_idx[" "], None) if vocab.level == "char" and " " in vocab else (None, None)


def log_probs_of_lines(
    model: LanguageModel, lines: Sequence[numpy.ndarray], begin: int | None = None, end: int | None = None
) -> list[tuple[float, int]]:
    """Return the log-probability of each line, and how many tokens are predicted for it.

    Args:
        model: a language model, from scratch or on Gluon.
        lines: the ids of each line's tokens, without its end.
        begin: the id that is read before each line; None: a line's first token is read and not predicted.
        end: the id that ends each line and is predicted too; None: none.

    Returns:
        for each line the sum of the natural logarithms of its tokens' probabilities, and their number; ``(0.0, 0)``
        where nothing is predicted.

    Raises:
        LooksAheadError: for a bidirectional model.
        D2lrnnError: for ids that do not fit the model.
    """
    check_causal(model)
    framed = [
        numpy.array([*([] if begin is None else [begin]), *line, *([] if end is None else [end])], "int32")
        for line in (check_ids(line, model.vocab_size) for line in lines)
    ]
    order = sorted(range(len(framed)), key=lambda i: framed[i].size)  # like lengths: little padding
    found: list[tuple[float, int]] = [(0.0, 0)] * len(framed)
    for first in range(0, len(order), ROWS):
        rows = order[first : first + ROWS]
        for i, loss in zip(rows, _losses(model, [framed[i] for i in rows])):
            found[i] = (0.0 - loss, max(framed[i].size - 1, 0))
    return found


def _losses(model: LanguageModel, rows: Sequence[numpy.ndarray]) -> numpy.ndarray:
    """Return the sum of the losses of each row's tokens but the first, in nats; there are at most ROWS rows."""
    width = -(-max(row.size - 1 for row in rows) // STEPS) * STEPS
    X, Y, counted = (numpy.zeros((ROWS, width), dtype) for dtype in ("int32", "int32", bool))
    for i, row in enumerate(rows):
        n = max(row.size - 1, 0)
        X[i, :n], Y[i, :n], counted[i, :n] = row[:n], row[1:], True
    state, sums = model.begin_state(ROWS), numpy.zeros(ROWS)
    ctx = state[0].ctx
    for begin in range(0, width, STEPS):
        window = slice(begin, begin + STEPS)
        logits, state = model(mx.np.array(X[:, window], dtype="int32", ctx=ctx), state)
        losses = token_losses(logits, mx.np.array(Y[:, window], dtype="int32", ctx=ctx)).asnumpy()
        by_row = losses.reshape(STEPS, ROWS).T.astype("float64")  # (ROWS, STEPS)
        sums += numpy.where(counted[:, window], by_row, 0).sum(axis=1)
    return sums[: len(rows)]
