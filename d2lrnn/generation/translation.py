"""From a translator to translations: many sources at once, greedily or by beam search, and what was looked at."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy

from d2lrnn._runtime import few_threads, mx
from d2lrnn.config.generation import Decoding, Sampling
from d2lrnn.data.pairs import encode_sentence
from d2lrnn.data.sentences import normalised, sentence_of, tokens_of
from d2lrnn.data.vocabulary import BOS, EOS, PAD, UNK, Vocab, check_ids
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.prefixes import check_room
from d2lrnn.generation.search import Draft, Rules, draw_all, finished, search_in_steps

np = mx.np

MAX_SOURCE = 1_000  # tokens of a source; the pairs that translators learn from have tens

MAX_CHARACTERS = 50_000  # of a sentence: to split a longer one into tokens would only take time and memory

# What is decoded at once, at most: hypotheses, and hypotheses times the source's tokens that each of them looks at.
MAX_ROWS, MAX_LOOKS = 320, 20_000

_USUAL = Decoding()


@dataclass(frozen=True, eq=False)
class Translated:
    """A translation, how likely it is, and what the model looked at."""

    text: str
    tokens: tuple[str, ...]  # without <eos>
    log_prob: float = 0.0  # natural logarithm of the model's own probability, of the tokens and <eos>
    score: float = 0.0  # by which it was ranked: log_prob / length ** length_penalty; the length counts <eos>
    complete: bool = True  # whether it came to <eos>; else it was cut at Decoding.limit
    source: tuple[str, ...] = ()  # the tokens that were read, words in lower case
    unknown: tuple[str, ...] = ()  # those of them that the vocabulary lacks, each once
    copied: tuple[int, ...] = ()  # places of tokens that stand for an <unk>, copied from the source
    weights: numpy.ndarray | None = None  # of the attention, by with_weights: (tokens, source tokens)


def translate(
    model: Any,
    sources: Sequence[Any],
    target: Vocab,
    decoding: Decoding = _USUAL,
    reverse_source: bool = False,
    words: Sequence[Sequence[str]] | None = None,
) -> list[Translated]:
    """Translate sources, those of one length at once.  A translation does not depend on the other sources.

    ``<pad>`` and ``<bos>`` are never written, and ``<unk>`` only to be replaced by a word of the source.

    Args:
        model: a translator, from scratch or on Gluon.
        sources: ids of each source, without ``<bos>`` and ``<eos>``.  An empty source has an empty translation.
        target: the vocabulary of the translations.
        decoding: how they are found.
        reverse_source: whether the model reads sources from their end, as in its training.
        words: the tokens of each source, for ``copy_unknown``.

    Returns:
        the translations, in the order of the sources.

    Raises:
        D2lrnnError: for ids that are no ids of the source, a vocabulary of another size than the model's, a source of
            more than 1,000 tokens, logits that are not numbers; for ``copy_unknown`` without words; for this and
            ``with_weights`` without attention.
        UnknownTokenError: if the vocabulary lacks ``<pad>``, ``<bos>``, ``<eos>`` or ``<unk>``.
    """
    return finished(_in_steps(model, sources, target, decoding, reverse_source, words))


def _in_steps(
    model: Any,
    sources: Sequence[Any],
    target: Vocab,
    decoding: Decoding,
    reverse_source: bool,
    words: Sequence[Sequence[str]] | None,
) -> Generator[None, None, list[Translated]]:
    """Translate as :func:`translate`, and pause after each token."""
    if len(target) != model.num_outputs:
        raise D2lrnnError(f"the vocabulary has {len(target)} entries, the model was made for {model.num_outputs}")
    rows = [check_source(check_ids(ids, model.vocab_size, f"source {i}")) for i, ids in enumerate(sources)]
    if decoding.copy_unknown and words is None:
        raise D2lrnnError("copy_unknown copies words of the sources: say what they are, by the argument words")
    rules = _rules(decoding, target)
    found = [Translated("", ())] * len(rows)
    with few_threads():
        for places in _batches(rows, decoding.beam_width):
            X = numpy.stack([rows[place] for place in places])
            read = X[:, ::-1] if reverse_source else X
            drafts, weights = yield from _decoded(model, read, target, decoding, rules)
            for i, (place, draft) in enumerate(zip(places, drafts)):
                own = None if weights is None else weights[: len(draft.ids), i, :: -1 if reverse_source else 1]
                given = words[place] if decoding.copy_unknown and words else ()
                found[place] = _translation(draft, own, given, target, decoding)
    return found


def translate_texts(
    model: Any,
    texts: Sequence[str],
    source: Vocab,
    target: Vocab,
    decoding: Decoding = _USUAL,
    reverse_source: bool = False,
) -> list[Translated]:
    """Translate sentences; arguments, results and errors are those of :func:`translate`.

    Args:
        model: as for :func:`translate`.
        texts: the sentences, in any form; words that are copied keep their capital letters.
        source: the vocabulary of the sentences; words that it lacks are read as ``<unk>``.
        target: as for :func:`translate`.
        decoding: as for :func:`translate`.
        reverse_source: as for :func:`translate`.
    """
    return finished(translate_in_steps(model, texts, source, target, decoding, reverse_source))


def translate_in_steps(
    model: Any,
    texts: Sequence[str],
    source: Vocab,
    target: Vocab,
    decoding: Decoding = _USUAL,
    reverse_source: bool = False,
) -> Generator[None, None, list[Translated]]:
    """Translate as :func:`translate_texts`, and pause after each token, so that a thread can serve others meanwhile.

    Returns:
        a generator; what it returns at last are the translations.  The generator raises the errors, not the call.
    """
    words = [tuple(tokens_of(normalised(text), source.level)) for text in texts]
    ids = [encode_sentence(text, source) for text in texts]
    written = [tokens_of(normalised(text), source.level, lower=False) for text in texts]
    found = yield from _in_steps(model, ids, target, decoding, reverse_source, written)
    unknown = [tuple(dict.fromkeys(token for token in row if token not in source)) for row in words]
    return [replace(one, source=row, unknown=lacks) for one, row, lacks in zip(found, words, unknown)]


def check_sentence(text: str) -> str:
    """Return a text that may be split into tokens, or refuse one that can be no sentence.

    Raises:
        D2lrnnError: in that case.
    """
    if len(text) > MAX_CHARACTERS:
        raise D2lrnnError(
            f"the text has {len(text):,} characters: expected a sentence, of at most {MAX_SOURCE:,} tokens; divide the "
            "text"
        )
    return text


def check_source(ids: numpy.ndarray) -> numpy.ndarray:
    """Return the ids of a source, or refuse one that is too long.

    Raises:
        D2lrnnError: in that case; for ids that are not in a row.
    """
    if ids.ndim != 1 and ids.size:
        raise D2lrnnError(f"the ids of a source have shape {ids.shape}: expected one dimension")
    if ids.size > MAX_SOURCE:
        raise D2lrnnError(
            f"the text has {ids.size:,} tokens: expected a sentence, of at most {MAX_SOURCE:,}; divide the text"
        )
    return ids


def _rules(decoding: Decoding, target: Vocab) -> Rules:
    """Return what may be written, and how it is searched."""
    never = (PAD, BOS) if decoding.copy_unknown else (PAD, BOS, UNK)
    if decoding.beam_width == 1:
        return Rules(Sampling(temperature=0, stop=EOS, without=never), target, None)
    width, alpha = decoding.beam_width, decoding.length_penalty
    return Rules(Sampling(beam_width=width, length_penalty=alpha, stop=EOS, without=never), target, None)


def _batches(rows: Sequence[numpy.ndarray], width: int) -> Iterator[list[int]]:
    """Yield the places of rows that are decoded at once: they are equally long, and none is empty."""
    by_length: dict[int, list[int]] = {}
    for place, ids in enumerate(rows):
        by_length.setdefault(len(ids), []).append(place)
    for length, places in sorted(by_length.items()):
        if length:
            size = max(min(MAX_ROWS, MAX_LOOKS // length) // width, 1)
            yield from (places[begin : begin + size] for begin in range(0, len(places), size))


def _decoded(
    model: Any, X: numpy.ndarray, target: Vocab, decoding: Decoding, rules: Rules
) -> Generator[None, None, tuple[list[Draft], numpy.ndarray | None]]:
    """Find translations of sources (batch_size, source steps), and what was looked at if that is asked for."""
    limit = decoding.limit(X.shape[1])
    check_room(model, len(X) * decoding.beam_width, len(X) * decoding.beam_width * limit)
    memory = model.encode(np.array(X, dtype="int32", ctx=model.begin_state(1)[0].ctx))
    drafts = [Draft(row, [target.token_to_idx[BOS]], limit) for row in range(len(X))]
    writer = TranslatorWriter(model, memory)
    if rules.sampling.beam_width:
        drafts = yield from search_in_steps(writer, drafts, rules)
    else:
        for _ in draw_all(writer, drafts, rules):
            yield
    looks = decoding.copy_unknown or decoding.with_weights
    return drafts, (yield from _looked_at(model, memory, drafts)) if looks else None


def _translation(
    draft: Draft, weights: numpy.ndarray | None, words: Sequence[str], target: Vocab, decoding: Decoding
) -> Translated:
    """Return what was written as a translation, with copies of ``words``, if there are any, in place of ``<unk>``."""
    tokens = [target.idx_to_token[i] for i in (draft.ids[:-1] if draft.stopped else draft.ids)]
    if weights is not None:
        weights = weights[: len(tokens)]
        copies = {
            i: int(weights[i].argmax()) for i, token in enumerate(tokens) if token == UNK
        }  # place: that of a word
        # Characters that stand for one word are one copy of it.
        kept = [i for i in range(len(tokens)) if i not in copies or copies.get(i - 1) != copies[i]]
        copied = tuple(place for place, i in enumerate(kept) if i in copies)
        tokens, weights = [words[copies[i]] if i in copies else tokens[i] for i in kept], weights[kept]
    else:
        copied = ()
    log_prob = sum(draft.log_probs)
    return Translated(
        sentence_of(tokens, target.level),
        tuple(tokens),
        log_prob,
        log_prob / len(draft.ids) ** decoding.length_penalty,
        draft.stopped,
        copied=copied,
        weights=weights if decoding.with_weights else None,
    )


class TranslatorWriter:
    """Writes translations of sources that were read, by calling the translator; the search asks nothing else of it.

    The fused layers of a decoder take 1 to 2 ms for a token (one core, LSTM of 256), so a sentence takes tens of them.

    Args:
        model: the translator.
        memory: what its ``encode`` returned.
    """

    def __init__(self, model: Any, memory: Sequence) -> None:
        self._model, self._memory = model, memory

    def begin_state(self, batch_size: int) -> list:
        """Return the memory, with each source as often, side by side, as it takes to fill the batch."""
        num_sources = self._memory[0].shape[-2]
        if batch_size == num_sources:
            return list(self._memory)
        rows = numpy.repeat(numpy.arange(num_sources), batch_size // num_sources)
        index = np.array(rows, dtype="int32", ctx=self._memory[0].ctx)
        return [np.take(array, index, axis=-2) for array in self._memory]

    def logits(self, ids, state: list) -> tuple:
        """Return the logits (batch_size, vocab_size) of what follows ``ids`` (batch_size,), and the new state."""
        logits, _, memory = self._model.decode(np.expand_dims(ids, 1), tuple(state))
        return logits, list(memory)


def _looked_at(model: Any, memory: tuple, drafts: Sequence[Draft]) -> Generator[None, None, numpy.ndarray]:
    """Find the weights of the attention when drafts were written, (target steps, drafts, source steps).

    The decoder reads the drafts once more, which costs less than to keep the weights of all hypotheses of a search.

    Raises:
        D2lrnnError: if the model has no attention.
    """
    found, ctx = [], memory[0].ctx
    for t in range(max(len(draft.ids) for draft in drafts)):
        ids = [[draft.tokens[min(t, len(draft.tokens) - 1)]] for draft in drafts]
        _, weights, memory = model.decode(np.array(ids, dtype="int32", ctx=ctx), memory)
        if weights is None:
            raise D2lrnnError("this translator has no attention, so nothing says which word of the source it looks at")
        found.append(weights)
        yield
    return np.concatenate(found).asnumpy()
