"""Continue prefixes by chance or by beam search, under rules, with the model's probability of each token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Union

from d2lrnn._runtime import few_threads
from d2lrnn.checks import check_whole
from d2lrnn.config.fields import MAX_PRED_LEN
from d2lrnn.config.generation import Sampling
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.prefixes import check_room, encode_prefixes
from d2lrnn.generation.search import Draft, Event, Mask, Rules, draw_all, search_all
from d2lrnn.generation.writers import writer_of
from d2lrnn.models.protocol import LanguageModel

Counts = Union[int, Sequence[int]]  # tokens to add: one number for all prefixes, or one for each


@dataclass(frozen=True)
class Sample:
    """A text that a model wrote, and how likely each of its tokens was."""

    text: str  # the prefix and what follows
    ids: tuple[int, ...]  # of the tokens after the prefix, without the stop token
    log_probs: tuple[float, ...]  # for each of these ids: natural logarithm of the model's own probability
    stopped: bool  # whether the text came to the stop token; else it has all the tokens that were asked for

    @property
    def log_prob(self) -> float:
        """The log-probability of all that follows the prefix: the sum of ``log_probs``."""
        return sum(self.log_probs)


@dataclass(frozen=True)
class Written:
    """An event of a stream: one token, as it is written."""

    row: int  # the text's: the position of its prefix among the prefixes
    id: int
    text: str  # what the text grows by: the token, after a space if it is a word; nothing for the stop token
    log_prob: float  # natural logarithm of the model's own probability
    stopped: bool  # whether it is the stop token, at which the text ends


def generate(
    prefixes: Sequence[str],
    num_preds: Counts,
    model: LanguageModel,
    vocab: Vocab,
    sampling: Sampling | None = None,
    mask: Mask | None = None,
) -> list[Sample]:
    """Continue prefixes, all in one batch; repeat a prefix for several samples of it.

    Chance is repeatable.  Row i draws one number from ``numpy.random.default_rng(seed + i)`` for each token, whatever
    the other rows do.  So a call with this prefix alone and the seed ``seed + i`` writes the same text.  (With one
    exception: logits may differ by 1e-7 of their size between batches of different sizes.  A number that falls so close
    to the border between two tokens may choose the other one.)

    Args:
        prefixes: the texts to start from, at least one.
        num_preds: how many tokens to add to each, at most (characters, or words if the vocabulary is one of words):
            one number for all prefixes, or a list with one for each.
        model: a language model, from scratch or on Gluon.
        vocab: the vocabulary that the model was trained with.
        sampling: how the next token is found; None is ``Sampling()``, chance at temperature 1.
        mask: which tokens may come next.  It is called with a row, the position of the row's prefix, and with the ids
            written so far, without the prefix.  It returns a boolean array (vocab_size,), or None for all tokens.
            Sampling shares the whole probability among the tokens that are left; a beam search ranks texts by the
            model's own probabilities.

    Returns:
        for each prefix, in order, the text and its log-probabilities.  These are the model's own, before penalty, mask,
        temperature, top_k and top_p, which only choose the tokens.

    Raises:
        D2lrnnError, UnknownTokenError, LooksAheadError: as :func:`d2lrnn.generation.greedy.predict_batch`.
        UnknownTokenError: if the vocabulary does not have the stop token, or one of ``without``.
        D2lrnnError: for a mask that leaves no token, or logits that are not numbers.
    """
    written = stream(prefixes, num_preds, model, vocab, sampling, mask)
    return [_sample_of(prefix, row, vocab) for prefix, row in zip(prefixes, tokens_by_row(written, len(prefixes)))]


def stream(
    prefixes: Sequence[str],
    num_preds: Counts,
    model: LanguageModel,
    vocab: Vocab,
    sampling: Sampling | None = None,
    mask: Mask | None = None,
) -> Iterator[Written]:
    """Write what :func:`generate` does, with its arguments and errors, and yield each token as soon as it is written.

    Each token is computed when the iterator is asked for it, so whoever stops iterating stops the writing.  The rows
    take turns; a row that has ended is left out.  A beam search knows a text's first token only when the whole text is
    found: it yields one row after another, each when its search is over.

    Returns:
        an iterator.  A row's prefix and the ``text`` of its tokens, joined, are the text of its :class:`Sample`.  The
        call raises the errors in the arguments, not the iterator.
    """
    sampling = sampling or Sampling()
    rules = Rules(sampling, vocab, mask)
    rows = encode_prefixes(prefixes, model, vocab)
    given = num_preds if isinstance(num_preds, (list, tuple)) else [num_preds] * len(rows)
    counts = [check_whole("num_preds", count, 0, MAX_PRED_LEN) for count in given]
    if len(counts) != len(rows):
        raise D2lrnnError(f"num_preds has {len(counts)} numbers for {len(rows)} prefixes: expected one each, or one")
    width = sampling.beam_width
    num_tokens = width * max(map(sum, zip(map(len, rows), counts))) if width else sum(map(len, rows)) + sum(counts)
    check_room(model, width or len(rows), num_tokens)
    drafts = [Draft(i, row.tolist(), count) for i, (row, count) in enumerate(zip(rows, counts))]
    write = search_all if sampling.beam_width else draw_all
    return _as_written(write(writer_of(model), drafts, rules), vocab, rules.stop)


def tokens_by_row(written: Iterable[Written], num_rows: int) -> list[list[Written]]:
    """Wait for all tokens and return those of each row."""
    rows: list[list[Written]] = [[] for _ in range(num_rows)]
    for token in written:
        rows[token.row].append(token)
    return rows


def _as_written(events: Iterator[Event], vocab: Vocab, stop: int | None) -> Iterator[Written]:
    """Add to each event what its text grows by, and whether it is the stop token."""
    before = " " if vocab.level == "word" else ""
    with few_threads():
        for row, token, log_prob in events:
            stopped = token == stop
            yield Written(row, token, "" if stopped else before + vocab.idx_to_token[token], log_prob, stopped)


def _sample_of(prefix: str, written: Sequence[Written], vocab: Vocab) -> Sample:
    """Collect what was written after a prefix."""
    tokens = [token for token in written if not token.stopped]
    ids = tuple(token.id for token in tokens)
    text = vocab.decode([*vocab.encode(prefix).tolist(), *ids])
    return Sample(text, ids, tuple(token.log_prob for token in tokens), len(tokens) < len(written))
