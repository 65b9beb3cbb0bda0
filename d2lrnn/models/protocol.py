"""What every language model promises, and the checks of what one was given."""

from __future__ import annotations

from typing import Any, Protocol

from d2lrnn.data.vocabulary import Vocab
from d2lrnn.device import ContextLike
from d2lrnn.errors import D2lrnnError


class LanguageModel(Protocol):
    """What training and decoding need of a model; ids come in, logits and a new state go out."""

    vocab_size: int
    bidirectional: bool

    def begin_state(self, batch_size: int, ctx: ContextLike = None) -> tuple:
        """Return the zero state for a batch."""

    def __call__(self, X: Any, state: tuple) -> tuple:
        """Turn ids (batch_size, num_steps) into logits (num_steps * batch_size, vocab_size) and the new state."""


class LooksAheadError(D2lrnnError):
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
        raise D2lrnnError(f"the model has {outputs} outputs for {model.vocab_size} tokens: it is no language model")
    if len(vocab) != model.vocab_size:
        raise D2lrnnError(f"the vocabulary has {len(vocab)} entries, the model was made for {model.vocab_size}")
