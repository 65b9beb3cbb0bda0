"""From a model to text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from d2lrnn._runtime import mx
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.fast import GreedyWriter
from d2lrnn.models import LanguageModel, greedy_writer
from d2lrnn.text import Vocab

np = mx.np


class LooksAheadError(ValueError):
    """A bidirectional model was used as a left-to-right language model."""


def check_causal(model: LanguageModel) -> None:
    """Refuse a model whose output at one step depends on later inputs.

    Raises:
        LooksAheadError: for a bidirectional model.
    """
    if model.bidirectional:
        raise LooksAheadError(
            "a bidirectional model cannot be a left-to-right language model: its second direction reads the very "
            "characters it is asked to predict, so its perplexity in training means nothing and it has nothing to "
            "read when it writes; use it where the whole input is given, as in tagging (d2lrnn.train)"
        )


def check_vocab(model: LanguageModel, vocab: Vocab) -> None:
    """Refuse a vocabulary that is not of the model's size, and a model that does not predict a vocabulary.

    Raises:
        ValueError: with both sizes.
    """
    outputs = getattr(model, "num_outputs", model.vocab_size)
    if outputs != model.vocab_size:
        raise ValueError(f"the model has {outputs} outputs for {model.vocab_size} tokens: it is no language model")
    if len(vocab) != model.vocab_size:
        raise ValueError(f"the vocabulary has {len(vocab)} entries, the model was made for {model.vocab_size}")


def encode_prefix(prefix: str, vocab: Vocab):
    """Turn a prefix into ids.

    Raises:
        ValueError: for an empty prefix, since the first character of all cannot be predicted from nothing.
        UnknownTokenError: for a character or word that the vocabulary does not have.
    """
    ids = vocab.encode(prefix)
    if not len(ids):
        raise ValueError("the prefix is empty: expected at least one character (or word) to start from")
    return ids


def predict(prefix: str, num_preds: int, model: LanguageModel, vocab: Vocab, ctx: ContextLike = None) -> str:
    """Continue a prefix, always with the likeliest next token (greedy search; d2l-zh v1, section 6.4.4).

    Args:
        prefix: the text to start from.
        num_preds: how many tokens to add: characters, or words if the vocabulary is one of words.
        model: a language model, from scratch or on Gluon.
        vocab: the vocabulary it was trained with.
        ctx: the device of the model; None takes the model's own.

    Returns:
        the prefix and what follows.

    Raises:
        ValueError: for an empty prefix, a negative ``num_preds``, a vocabulary of another size.
        UnknownTokenError: for a character or word of the prefix that the vocabulary does not have.
        LooksAheadError: for a bidirectional model.
    """
    return predict_batch([prefix], num_preds, model, vocab, ctx)[0]


def predict_batch(
    prefixes: Sequence[str], num_preds: int, model: LanguageModel, vocab: Vocab, ctx: ContextLike = None
) -> list[str]:
    """Continue many prefixes at once, each as :func:`predict` would; they may differ in length.

    One pass for all costs little more than one for a single prefix: 64 are written at ten times the speed of one.

    Args:
        prefixes: the texts to start from, at least one.
        num_preds: how many tokens to add to each.
        model: as for :func:`predict`.
        vocab: as for :func:`predict`.
        ctx: as for :func:`predict`.

    Returns:
        of each prefix, in order, the prefix and what follows.

    Raises:
        ValueError, UnknownTokenError, LooksAheadError: as :func:`predict`; also if ``prefixes`` is empty or a text.
    """
    rows = encode_prefixes(prefixes, num_preds, model, vocab)
    written = _write(writer_of(model, ctx), rows, num_preds)
    return [vocab.decode([*map(int, row), *ids]) for row, ids in zip(rows, written)]


def encode_prefixes(prefixes: Sequence[str], num_preds: int, model: LanguageModel, vocab: Vocab) -> list:
    """Turn prefixes into rows of ids, once it is certain that the model can continue them.

    Raises:
        ValueError, UnknownTokenError, LooksAheadError: as :func:`predict_batch`.
    """
    check_causal(model)
    check_vocab(model, vocab)
    if num_preds < 0:
        raise ValueError(f"num_preds is {num_preds}: expected 0 or more")
    if isinstance(prefixes, str) or not len(prefixes):
        raise ValueError(f"prefixes is {prefixes!r}: expected a list of texts, at least one")
    return [encode_prefix(prefix, vocab) for prefix in prefixes]


def writer_of(model: LanguageModel, ctx: ContextLike = None) -> GreedyWriter | ProtocolWriter:
    """Return what writes one token after another with a model: its equations compiled, or else the model itself.

    Raises:
        ValueError: if ``ctx`` is not where the parameters of a model whose equations are known are.
    """
    writer = greedy_writer(model)
    if writer is None:
        return ProtocolWriter(model, ctx)
    own = model.begin_state(1)[0].ctx
    if ctx is not None and as_ctx(ctx) != own:
        raise ValueError(
            f"ctx is {ctx}, but the model's parameters are on {own}: leave ctx out, or make the model there"
        )
    return writer


def _write(writer, rows: list, num_preds: int) -> list[list[int]]:
    """Return the ids that follow each row, each the likeliest; the device is waited for once, at the end."""
    state = writer.begin_state(len(rows))
    longest = max(len(row) for row in rows)
    given = numpy.zeros((longest, len(rows)), dtype="int32")  # (num_steps, batch_size)
    for i, row in enumerate(rows):
        given[: len(row), i] = row
    lengths = numpy.array([len(row) for row in rows])
    inputs, lasts = [np.array(ids, dtype="int32", ctx=state[0].ctx) for ids in given], None
    columns = []  # what follows the first id of each row, the second, ...
    for t in range(longest):
        # A row whose prefix has ended goes on with what it wrote.
        ended = np.array(lengths <= t, ctx=state[0].ctx) if (lengths <= t).any() else None
        ids = inputs[t] if ended is None else np.where(ended, lasts, inputs[t])
        lasts, state = writer.step(ids, state)
        columns.append(lasts)
    columns += writer.write(lasts, state, num_preds - 1)
    table = np.stack(columns, axis=1).asnumpy()  # (batch_size, num_steps)
    return [[int(i) for i in row[n - 1 : n - 1 + num_preds]] for row, n in zip(table, lengths)]


class ProtocolWriter:
    """Does for any language model what :class:`d2lrnn.fast.GreedyWriter` does for those it knows."""

    def __init__(self, model: LanguageModel, ctx: ContextLike) -> None:
        self._model, self._ctx = model, ctx

    def begin_state(self, batch_size: int) -> list:
        """Return the zero state for a batch."""
        return list(self._model.begin_state(batch_size, self._ctx))

    def logits(self, ids, state: list) -> tuple:
        """Return the logits (batch_size, vocab_size) of what follows ``ids`` (batch_size,), and the new state."""
        logits, new_state = self._model(ids.reshape(-1, 1), tuple(state))
        return logits, list(new_state)

    def step(self, ids, state: list) -> tuple:
        """Return the id that follows each of ``ids`` (batch_size,), and the new state."""
        logits, state = self.logits(ids, state)
        return np.argmax(logits, axis=1).astype("int32"), state

    def write(self, ids, state: list, num_preds: int) -> list:
        """Return the ``num_preds`` ids that follow, arrays (batch_size,)."""
        written = []
        for _ in range(num_preds):
            ids, state = self.step(ids, state)
            written.append(ids)
        return written
