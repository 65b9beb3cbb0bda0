"""From a model to texts that vary: by chance or by beam search, under rules, with the probability of each token."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Optional, Union

import numpy

from d2lrnn._runtime import mx
from d2lrnn.config import Sampling
from d2lrnn.decoding import encode_prefixes, writer_of
from d2lrnn.distributions import distribution, draw, log_softmax, penalised
from d2lrnn.models import LanguageModel
from d2lrnn.text import LINE_END, UnknownTokenError, Vocab

# From the row of a text and the ids written of it so far, without its prefix, to which tokens may come next.
Mask = Callable[[int, Sequence[int]], Optional[numpy.ndarray]]
Counts = Union[int, Sequence[int]]
Event = tuple[int, int, float]  # of a token: the row, its id, its log-probability


@dataclass(frozen=True)
class Sample:
    """A text that a model wrote, and how likely each of its tokens was."""

    text: str  # the prefix and what follows
    ids: tuple[int, ...]  # what follows, without the stop token
    log_probs: tuple[float, ...]  # of each of them: natural logarithms of the model's own probabilities
    stopped: bool  # whether it came to the stop token; else it has all the tokens that were asked for

    @property
    def log_prob(self) -> float:
        """Of all that follows the prefix together."""
        return sum(self.log_probs)


def as_lines(prefixes: Sequence[str], sampling: Sampling, num_lines: int) -> tuple[list[str], Sampling]:
    """Return prefixes and settings for a model that was trained on rows of so many whole lines.

    It has read a line end before each row; and where a row is a line, it knows of nothing behind the next line end.
    """
    stop = LINE_END if num_lines == 1 and sampling.stop is None else sampling.stop
    return [LINE_END + text.removeprefix(LINE_END) for text in prefixes], replace(sampling, stop=stop)


@dataclass(frozen=True)
class Written:
    """A token that a model has just written."""

    row: int  # of the text: its prefix's position
    id: int
    text: str  # what the text grows by: the token, after a space if it is a word; nothing if the text stops
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

    Chance is repeatable: row i takes one number of ``numpy.random.default_rng(seed + i)`` for each token, whatever the
    other rows do.  So row i is what a call with this prefix alone and the seed ``seed + i`` writes.  (The logits of
    batches of different sizes may differ in their last bits, 1e-7 of their size; a number within that of the border
    between two tokens would choose the other one.)

    Args:
        prefixes: the texts to start from, at least one.
        num_preds: how many tokens to add to each, at most: characters, or words if the vocabulary is one of words.
            Either one number for all of them or a list, one for each.
        model: a language model, from scratch or on Gluon.
        vocab: the vocabulary it was trained with.
        sampling: how the next token is found; None is ``Sampling()``, chance at temperature 1.
        mask: is called with the row, which is the prefix's position, and the ids written so far, without the prefix;
            returns a boolean array (vocab_size,) of the tokens that may come next, or None for all.  The tokens that
            it leaves share the probability as if there were no others; a beam search compares whole texts by the
            model's probabilities, not shared out anew.

    Returns:
        of each prefix, in order, the text and its log-probabilities.  They are the model's own, before penalty, mask,
        temperature, top_k and top_p, which only choose.

    Raises:
        ValueError, UnknownTokenError, LooksAheadError: as :func:`d2lrnn.decoding.predict_batch`.
        UnknownTokenError: if the vocabulary does not have the stop token, or one of ``without``.
        ValueError: for a mask that leaves no token, or logits that are not numbers.
    """
    written = stream(prefixes, num_preds, model, vocab, sampling, mask)
    return [_sample(prefix, row, vocab) for prefix, row in zip(prefixes, by_row(written, len(prefixes)))]


def stream(
    prefixes: Sequence[str],
    num_preds: Counts,
    model: LanguageModel,
    vocab: Vocab,
    sampling: Sampling | None = None,
    mask: Mask | None = None,
) -> Iterator[Written]:
    """Write what :func:`generate` does, and yield each token as soon as it is written.

    Nothing is computed before it is asked for, so who stops iterating stops the writing.  The rows take turns; one
    that has ended is left out.  A beam search knows no token of a text before it knows all: it yields one row after
    another, each when its search is over.

    Args:
        prefixes: as for :func:`generate`, and so all the others.
        num_preds: how many tokens to add to each.
        model: a language model.
        vocab: its vocabulary.
        sampling: how the next token is found.
        mask: which tokens may come next.

    Returns:
        an iterator.  A row's prefix and the ``text`` of its tokens, joined, are the text of its :class:`Sample`.

    Raises:
        ValueError, UnknownTokenError, LooksAheadError: as :func:`generate`, and what the arguments can tell at once.
    """
    sampling = sampling or Sampling()
    rules = Rules(sampling, vocab, mask)
    counts = list(num_preds) if isinstance(num_preds, Sequence) else [num_preds] * len(prefixes)
    rows = encode_prefixes(prefixes, min(counts, default=0), model, vocab)
    if len(counts) != len(rows):
        raise ValueError(f"num_preds has {len(counts)} numbers for {len(rows)} prefixes: expected one each, or one")
    lines = [Draft(i, row.tolist(), count) for i, (row, count) in enumerate(zip(rows, counts))]
    write = search_all if sampling.beam_width else draw_all
    return _told(write(writer_of(model), lines, rules), vocab, rules.stop)


def by_row(written: Iterable[Written], num_rows: int) -> list[list[Written]]:
    """Wait for all tokens and return those of each row."""
    rows: list[list[Written]] = [[] for _ in range(num_rows)]
    for token in written:
        rows[token.row].append(token)
    return rows


def _told(events: Iterator[Event], vocab: Vocab, stop: int | None) -> Iterator[Written]:
    before = " " if vocab.level == "word" else ""
    for row, token, log_prob in events:
        stopped = token == stop
        yield Written(row, token, "" if stopped else before + vocab.idx_to_token[token], log_prob, stopped)


def _sample(prefix: str, written: Sequence[Written], vocab: Vocab) -> Sample:
    """Collect what was written after a prefix."""
    tokens = [token for token in written if not token.stopped]
    ids = tuple(token.id for token in tokens)
    text = vocab.decode([*vocab.encode(prefix).tolist(), *ids])
    return Sample(text, ids, tuple(token.log_prob for token in tokens), len(tokens) < len(written))


class Draft:
    """A text that is being written."""

    def __init__(self, row: int, prefix: list[int], num_preds: int) -> None:
        self.row, self.tokens, self.start, self.num_preds = row, prefix, len(prefix), num_preds
        self.log_probs: list[float] = []
        self.stopped = False
        self.score = 0.0  # what a beam search ranks by, before the length penalty

    @property
    def ids(self) -> list[int]:
        """What has been written, without the prefix, but with the stop token."""
        return self.tokens[self.start :]

    def add(self, token: int, log_prob: float, stop: int | None) -> None:
        """Write a token, and end if it is the stop token."""
        self.tokens.append(token)
        self.log_probs.append(log_prob)
        self.stopped = token == stop

    def followed_by(self, token: int, log_prob: float, score: float, stop: int | None) -> Draft:
        """Return a copy with one more token."""
        line = copy.copy(self)
        line.tokens, line.log_probs, line.score = list(self.tokens), list(self.log_probs), score
        line.add(token, log_prob, stop)
        return line


class Rules:
    """What may come next in each text, and how likely it is."""

    def __init__(self, sampling: Sampling, vocab: Vocab, mask: Mask | None) -> None:
        self.sampling, self._mask = sampling, mask
        self.stop = None if sampling.stop is None else id_of(sampling.stop, vocab, "stop")
        self._never = [id_of(token, vocab, "without") for token in sampling.without]
        if len(set(self._never)) == len(vocab):
            raise ValueError("without has all tokens of the vocabulary: expected at least one to be left")

    def apply(self, logits: numpy.ndarray, lines: Sequence[Draft]) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Return log-probabilities (rows, vocab_size): the model's own, and those after all that rules them."""
        logits = logits.astype("float64")
        own = scores = log_softmax(logits)
        if self.sampling.repetition_penalty != 1:
            seen = numpy.zeros(logits.shape, dtype=bool)
            for row, line in zip(seen, lines):
                row[line.tokens] = True
            scores = log_softmax(penalised(logits, seen, self.sampling.repetition_penalty))
        if self._never:
            scores = scores.copy()
            scores[:, self._never] = -numpy.inf
        if self._mask is not None:
            scores = numpy.stack([self._masked(row, line, self._mask) for row, line in zip(scores, lines)])
        return own, scores

    def _masked(self, scores: numpy.ndarray, line: Draft, mask: Mask) -> numpy.ndarray:
        allowed = mask(line.row, line.ids)
        if allowed is None:
            return scores
        allowed = numpy.asarray(allowed)
        if allowed.dtype != bool or allowed.shape != scores.shape:
            raise ValueError(
                f"the mask is an array {allowed.shape} of {allowed.dtype}: expected {scores.shape} of bool, or None"
            )
        scores = numpy.where(allowed, scores, -numpy.inf)
        if scores.max() == -numpy.inf:
            raise ValueError(
                f"the mask leaves nothing to choose as token {len(line.ids)} of row {line.row}: expected at least one "
                "token that the model gives a probability above 0"
            )
        return scores


def id_of(token: str, vocab: Vocab, name: str) -> int:
    """Return a token's id, or refuse one that the vocabulary lacks; ``name`` is the setting it was given as."""
    if token not in vocab:
        raise UnknownTokenError(f"{name} is {token!r}: expected one of the {len(vocab):,} tokens of the vocabulary")
    return vocab.token_to_idx[token]


def draw_all(writer, lines: list[Draft], rules: Rules) -> Iterator[Event]:
    """Write all lines to their ends, each token by chance."""
    sampling, state, t = rules.sampling, writer.begin_state(len(lines)), 0
    chances = [numpy.random.default_rng(sampling.seed + line.row) for line in lines]
    going = [line for line in lines if line.num_preds]
    while going:
        # A line that has ended stays in the batch, so that no other batch size has to be compiled.
        ids = [line.tokens[t] if t < len(line.tokens) else 0 for line in lines]
        logits, state = writer.logits(_to_mx(ids, state), state)
        t += 1
        due = [line for line in going if len(line.tokens) == t]  # the others are still in their prefix
        if not due:
            continue
        own, scores = rules.apply(logits.asnumpy()[[line.row for line in due]], due)
        if sampling.by_chance:
            tokens = draw(distribution(scores, sampling), numpy.array([chances[line.row].random() for line in due]))
        else:
            tokens = scores.argmax(axis=1)
        for line, token, log_prob in zip(due, tokens.tolist(), own[range(len(due)), tokens].tolist()):
            line.add(token, log_prob, rules.stop)
            yield line.row, token, log_prob
        going = [line for line in going if not line.stopped and len(line.log_probs) < line.num_preds]


def search_all(writer, lines: list[Draft], rules: Rules) -> Iterator[Event]:
    """Find the likeliest texts, one after the other."""
    for line in lines:
        found = _search(writer, line, rules)
        yield from ((line.row, token, log_prob) for token, log_prob in zip(found.ids, found.log_probs))


def _search(writer, line: Draft, rules: Rules) -> Draft:
    """Return the likeliest text that a beam search finds (d2l, section 10.8).

    A hypothesis that comes to the stop token leaves the beam, which is one narrower from then on (Sutskever, Vinyals
    and Le 2014, arXiv 1409.3215).  So the beam of width 1 is greedy search.  The stop token counts: its probability in
    the score, and itself in the length.
    """
    width, alpha = rules.sampling.beam_width, rules.sampling.length_penalty
    state = writer.begin_state(width)
    for token in line.tokens[:-1]:
        _, state = writer.logits(_to_mx([token] * width, state), state)
    beam, parents = [line], [0] * width
    ended: list[Draft] = []

    def rank(line: Draft) -> float:
        return line.score / max(len(line.ids), 1) ** alpha

    for _ in range(line.num_preds):
        lasts = [beam[i].tokens[-1] if i < len(beam) else 0 for i in range(width)]
        logits, state = writer.logits(_to_mx(lasts, state), _gather(state, parents))
        own, scores = rules.apply(logits.asnumpy()[: len(beam)], beam)
        scores = scores + numpy.array([[hypothesis.score] for hypothesis in beam])
        found = _best(scores, width - len(ended))
        grown = [beam[i].followed_by(j, float(own[i, j]), float(scores[i, j]), rules.stop) for i, j in found]
        ended += [hypothesis for hypothesis in grown if hypothesis.stopped]
        beam = [hypothesis for hypothesis in grown if not hypothesis.stopped]
        parents = [i for (i, _), hypothesis in zip(found, grown) if not hypothesis.stopped]
        parents += [0] * (width - len(parents))
        # However they go on, scores do not rise, and no text is longer than num_preds.
        if ended and beam and max(map(rank, ended)) >= max(li.score for li in beam) / line.num_preds**alpha:
            beam = []
        if not beam:
            break
    return max(ended + beam, key=rank)


def _best(scores: numpy.ndarray, count: int) -> list[tuple[int, int]]:
    """Return where the largest scores are, the largest first; among equal ones the first; none that are infinite."""
    flat = scores.reshape(-1)
    count = min(count, flat.size)
    least = numpy.partition(flat, -count)[-count]
    places = numpy.flatnonzero((flat >= least) & (flat > -numpy.inf))
    places = places[numpy.argsort(-flat[places], kind="stable")][:count]
    return [divmod(place, scores.shape[1]) for place in places.tolist()]


def _to_mx(ids: list[int], state: list):
    return mx.np.array(ids, dtype="int32", ctx=state[0].ctx)


def _gather(state: list, rows: list[int]) -> list:
    """Return the state of some rows; the last axis but one of its arrays is the batch."""
    if rows == list(range(len(rows))):
        return state
    index = _to_mx(rows, state)
    return [mx.np.take(array, index, axis=-2) for array in state]
