"""What every model promises; checks of whether a model and a vocabulary fit what is asked of them."""

from __future__ import annotations

from typing import Any, Protocol

from d2lrnn.checks import MAX_COMPUTED, check_numbers, check_whole
from d2lrnn.config.fields import MAX_STEPS
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.device import ContextLike
from d2lrnn.errors import D2lrnnError


class Model(Protocol):
    """What training needs of a model: inputs come in, outputs and a new state go out.

    Any object that has these three members can be trained, clipped and updated.  Nothing else is asked for.  The inputs
    are what the task's objective hands over, ids (batch_size, num_steps) for a language model.  An objective whose
    batches hold padding also needs a model that takes ``counted``, (batch_size, num_steps), 1 for a token and 0 for
    padding, as the third argument of the call; all models of d2lrnn do.
    """

    def begin_state(self, batch_size: int, ctx: ContextLike = None) -> tuple:
        """Return the zero state for a batch: at least one array; the last axis but one of each is the batch.

        Args:
            batch_size: rows of the batch.
            ctx: the device; None: the device of the parameters.
        """

    def __call__(self, X: Any, state: tuple) -> tuple:
        """Return the outputs for the inputs, and the new state, shaped as the old one."""

    def parameters(self) -> dict[str, Any]:
        """Return all parameters by name: MXNet arrays with gradients, or Gluon parameters.

        A checkpoint stores the parameters under these names, so the names must not depend on how many models were made
        before.  A parameter that is used in two places, such as a tied weight, comes once.
        """


class LanguageModel(Model, Protocol):
    """What training, evaluation and writing need of a language model; its outputs are logits.

    Three more members are optional.  ``num_outputs`` is the size of the output layer, if that is not ``vocab_size``.
    ``with_outputs(X, state)`` returns the logits, the outputs (num_steps * batch_size, width) that the logits are
    computed from, and the new state; a neural cache needs this method.  ``unrolls`` says whether the model compiles a
    graph for each number of steps, so that batches should have few different numbers of them.
    """

    vocab_size: int
    bidirectional: bool  # whether an output depends on later inputs

    def __call__(self, X: Any, state: tuple) -> tuple:
        """Turn ids (batch_size, num_steps) into logits (num_steps * batch_size, vocab_size) and the new state.

        The logits of the first step come first, for all rows of the batch.
        """


def num_outputs_of(model: LanguageModel) -> int:
    """Return the size of a model's output layer."""
    return getattr(model, "num_outputs", model.vocab_size)


def wants_few_lengths(model: Model) -> bool:
    """Return whether a model compiles a graph for each number of steps, each with memory of its own."""
    return getattr(model, "unrolls", False)


def shows_outputs(model: Model) -> bool:
    """Return whether a model has the optional ``with_outputs``."""
    return hasattr(model, "with_outputs")


def check_batch_size(model: LanguageModel, batch_size: int, num_steps: int, copies: int = 2) -> None:
    """Check that memory can hold what a model computes for a batch, before anything is computed.

    Args:
        model: what is to compute.
        batch_size: rows of the batch.
        num_steps: tokens of a row.
        copies: arrays of the logits' size: by default these and their softmax; 4 where gradients are taken.

    Raises:
        D2lrnnError: if a size is no whole number of at least 1, or memory cannot hold the logits.
    """
    check_whole("batch_size", batch_size)
    check_whole("num_steps", num_steps, most=MAX_STEPS)
    width = max(num_outputs_of(model), model.vocab_size)  # one-hot vectors are as large as logits
    what = f"a batch of {batch_size:,} x {num_steps:,} tokens, with {width:,} logits each,"
    remedy = "make batch_size or num_steps smaller"
    check_numbers(what, batch_size * num_steps * width, remedy, 4 * copies, MAX_COMPUTED)


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
    """Refuse a vocabulary of another size than the model's, and a model that does not predict its own vocabulary.

    Raises:
        D2lrnnError: with the two sizes that differ.
    """
    outputs = num_outputs_of(model)
    if outputs != model.vocab_size:
        raise D2lrnnError(f"the model has {outputs} outputs for {model.vocab_size} tokens: it is no language model")
    check_vocab_size(model, vocab)


def check_vocab_size(model: Any, vocab: Vocab) -> None:
    """Refuse a vocabulary of another size than that which a model reads.

    Raises:
        D2lrnnError: with the two sizes; for a model that reads numbers.
    """
    if model.vocab_size is None:
        raise D2lrnnError("the model reads numbers: expected one that reads the ids of a vocabulary")
    if len(vocab) != model.vocab_size:
        raise D2lrnnError(f"the vocabulary has {len(vocab)} entries, the model was made for {model.vocab_size}")
