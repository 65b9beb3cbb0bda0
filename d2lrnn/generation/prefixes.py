"""How texts begin: prefixes as ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from d2lrnn.config.generation import Sampling
from d2lrnn.data.vocabulary import LINE_END, Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.protocol import LanguageModel, check_causal, check_vocab


def encode_prefix(prefix: str, vocab: Vocab):
    """Turn a prefix into ids.

    Raises:
        D2lrnnError: for an empty prefix: a model cannot predict the first token of a text from nothing.
        UnknownTokenError: for a character or word that the vocabulary does not have.
    """
    ids = vocab.encode(prefix)
    if not len(ids):
        raise D2lrnnError("the prefix is empty: expected at least one character (or word) to start from")
    return ids


def encode_prefixes(prefixes: Sequence[str], num_preds: int, model: LanguageModel, vocab: Vocab) -> list:
    """Turn prefixes into rows of ids, and refuse what the model cannot continue.

    Raises:
        D2lrnnError, UnknownTokenError, LooksAheadError: as :func:`predict_batch`.
    """
    check_causal(model)
    check_vocab(model, vocab)
    if num_preds < 0:
        raise D2lrnnError(f"num_preds is {num_preds}: expected 0 or more")
    if isinstance(prefixes, str) or not len(prefixes):
        raise D2lrnnError(f"prefixes is {prefixes!r}: expected a list of texts, at least one")
    return [encode_prefix(prefix, vocab) for prefix in prefixes]


def as_lines(prefixes: Sequence[str], sampling: Sampling, num_lines: int) -> tuple[list[str], Sampling]:
    """Return prefixes and settings for a model that was trained on rows of ``num_lines`` whole lines.

    In training, a line end came before each row, so each prefix gets one.  A row of one line ended at its line end, so
    a text ends there too.
    """
    stop = LINE_END if num_lines == 1 and sampling.stop is None else sampling.stop
    return [LINE_END + text.removeprefix(LINE_END) for text in prefixes], replace(sampling, stop=stop)
