"""From a model to text."""

from __future__ import annotations

from d2lrnn._runtime import mx
from d2lrnn.device import ContextLike
from d2lrnn.models import LanguageModel
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
    check_causal(model)
    check_vocab(model, vocab)
    if num_preds < 0:
        raise ValueError(f"num_preds is {num_preds}: expected 0 or more")
    ids = [int(i) for i in encode_prefix(prefix, vocab)]
    state = model.begin_state(1, ctx)
    X = np.array([ids], dtype="int32", ctx=state[0].ctx)  # (1, length of the prefix)
    for _ in range(num_preds):
        logits, state = model(X, state)
        X = np.argmax(logits[-1:], axis=1).astype("int32").reshape(1, 1)
        ids.append(int(X.item()))
    return vocab.decode(ids)
