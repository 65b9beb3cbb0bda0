"""How texts begin: prefixes as ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from d2lrnn.checks import MAX_COMPUTED, check_memory, check_numbers, shown
from d2lrnn.config.generation import Sampling
from d2lrnn.data.vocabulary import LINE_END, Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.protocol import LanguageModel, check_causal, check_vocab, num_outputs_of


def encode_prefix(prefix: str, vocab: Vocab):
    """Turn a prefix into ids.

    Raises:
        D2lrnnError: for an empty prefix: a model cannot predict the first token of a text from nothing.
        UnknownTokenError: for a character or word that the vocabulary does not have.
    """
    if not isinstance(prefix, Iterable):
        raise D2lrnnError(f"the prefix is {shown(prefix)}: expected a text")
    ids = vocab.encode(prefix)
    if not len(ids):
        raise D2lrnnError("the prefix is empty: expected at least one character (or word) to start from")
    return ids


def encode_prefixes(prefixes: Sequence[str], model: LanguageModel, vocab: Vocab) -> list:
    """Turn prefixes into rows of ids, and refuse what the model cannot continue.

    Raises:
        D2lrnnError, UnknownTokenError, LooksAheadError: as :func:`predict_batch`.
    """
    check_causal(model)
    check_vocab(model, vocab)
    if not isinstance(prefixes, Sequence) or isinstance(prefixes, str) or not len(prefixes):
        raise D2lrnnError(f"prefixes is {shown(prefixes)}: expected a list of texts, at least one")
    return [encode_prefix(prefix, vocab) for prefix in prefixes]


def check_room(model: LanguageModel, num_rows: int, num_tokens: int, size: int = 10 * 8) -> None:
    """Check that memory can hold texts and what a model computes for one token of each.

    Args:
        model: the model that is to write.
        num_rows: texts that are written at once.
        num_tokens: of all texts together.
        size: bytes for each of the model's outputs, in all arrays that are computed from the logits; by default those
            of sampling and of a beam search, ten arrays of float64.

    Raises:
        D2lrnnError: if it cannot.
    """
    what, remedy = f"{num_rows:,} texts at once, {num_tokens:,} tokens in all,", "write fewer or shorter ones"
    state, num_outputs = sum(array.size for array in model.begin_state(1)), num_outputs_of(model)
    check_numbers(what, num_rows * max(num_outputs, state), remedy, most=MAX_COMPUTED)
    # Of a token: entries of lists, and a number each.  Of a state: the old and the new, and what a step computes.
    check_memory(what, num_rows * (size * num_outputs + 8 * 4 * state) + 200 * num_tokens, remedy)


def as_lines(prefixes: Sequence[str], sampling: Sampling, num_lines: int) -> tuple[list[str], Sampling]:
    """Return prefixes and settings for a model that was trained on rows of ``num_lines`` whole lines.

    In training, a line end came before each row, so each prefix gets one.  A row of one line ended at its line end, so
    a text ends there too, unless the settings name another end or forbid line ends.
    """
    if num_lines == 1 and sampling.stop is None and LINE_END not in sampling.without:
        sampling = replace(sampling, stop=LINE_END)
    return [LINE_END + text.removeprefix(LINE_END) for text in prefixes], sampling
