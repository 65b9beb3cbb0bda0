"""From a model to texts that vary: by chance or by beam search, under rules, with the probability of each token."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy

from d2lrnn._runtime import mx
from d2lrnn.config import Sampling
from d2lrnn.decoding import encode_prefixes, writer_of
from d2lrnn.models import LanguageModel
from d2lrnn.text import UnknownTokenError, Vocab

# From the row of a text and the ids written of it so far, without its prefix, to which tokens may come next.
Mask = Callable[[int, Sequence[int]], Optional[numpy.ndarray]]


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


def generate(
    prefixes: Sequence[str],
    num_preds: int,
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
        UnknownTokenError: if the vocabulary does not have the stop token.
        ValueError: for a mask that leaves no token, or logits that are not numbers.
    """
    sampling = sampling or Sampling()
    rules = _Rules(sampling, vocab, mask)
    lines = [_Line(i, row.tolist()) for i, row in enumerate(encode_prefixes(prefixes, num_preds, model, vocab))]
    writer = writer_of(model)
    if sampling.beam_width:
        lines = [_search(writer, line, num_preds, rules) for line in lines]
    else:
        _draw_all(writer, lines, num_preds, rules)
    return [Sample(vocab.decode(li.tokens), tuple(li.ids), tuple(li.log_probs), li.stopped) for li in lines]


def log_softmax(logits: numpy.ndarray) -> numpy.ndarray:
    """Return the natural logarithms of the probabilities (rows, vocab_size) that logits stand for.

    Raises:
        ValueError: for a row with NaN or infinity, or with nothing but minus infinity.
    """
    largest = logits.max(axis=1, keepdims=True)
    if not numpy.isfinite(largest).all():
        raise ValueError("the model's logits hold NaN or infinity: did it diverge in training?")
    shifted = logits - largest
    return shifted - numpy.log(numpy.exp(shifted).sum(axis=1, keepdims=True))


def penalised(logits: numpy.ndarray, seen: numpy.ndarray, penalty: float) -> numpy.ndarray:
    """Make the tokens that are there already less likely (Keskar et al. 2019, arXiv 1909.05858, section 4.1).

    The paper divides their logits by the penalty, which helps those below 0; these are multiplied by it, as most
    implementations do.

    Args:
        logits: the model's, (rows, vocab_size).
        seen: which tokens are in a row's text, prefix included; boolean, of the same shape.
        penalty: above 1 it penalises, 1 changes nothing.
    """
    return numpy.where(seen, numpy.where(logits > 0, logits / penalty, logits * penalty), logits)


def distribution(scores: numpy.ndarray, sampling: Sampling) -> numpy.ndarray:
    """Return the probabilities by which the next token is drawn: after temperature, then top_k, then top_p.

    Args:
        scores: logits or log-probabilities (rows, vocab_size) in float64; minus infinity for what may not come.
        sampling: its ``temperature``, ``top_k`` and ``top_p``.

    Returns:
        probabilities (rows, vocab_size), each row's sum 1; 0 for what was cut off.  Among tokens that are equally
        likely, those with the smaller ids are kept.
    """
    shifted = scores - scores.max(axis=1, keepdims=True)
    if sampling.temperature == 0:
        return numpy.eye(scores.shape[1])[shifted.argmax(axis=1)]
    if sampling.temperature != 1:
        with numpy.errstate(over="ignore"):  # to minus infinity, as it should
            shifted = shifted / sampling.temperature
    p = numpy.exp(shifted)
    if sampling.top_k or sampling.top_p < 1:
        p = numpy.where(_likeliest(p, sampling), p, 0)
    return p / p.sum(axis=1, keepdims=True)


def _likeliest(p: numpy.ndarray, sampling: Sampling) -> numpy.ndarray:
    """Return where top_k and top_p let p (rows, vocab_size) be; the sum of a row need not be 1."""
    ordered = -numpy.sort(-p, axis=1)
    count = numpy.full((len(p), 1), min(sampling.top_k or p.shape[1], p.shape[1]))
    if sampling.top_p < 1:
        together = ordered.cumsum(axis=1)
        enough = sampling.top_p * numpy.take_along_axis(together, count - 1, axis=1)
        count = numpy.minimum(count, 1 + (together < enough).sum(axis=1, keepdims=True))
    least = numpy.take_along_axis(ordered, count - 1, axis=1)
    above, level = p > least, p == least
    return above | level & (level.cumsum(axis=1) <= count - above.sum(axis=1, keepdims=True))


def draw(p: numpy.ndarray, uniforms: numpy.ndarray) -> numpy.ndarray:
    """Return a token of each row of probabilities (rows, vocab_size), for one number in [0, 1) each.

    The inverse of the distribution function: the token at which the sum of probabilities, in the order of the ids,
    passes the number.
    """
    sums = p.cumsum(axis=1)
    return (sums <= uniforms[:, None] * sums[:, -1:]).sum(axis=1)


class _Line:
    """A text that is being written."""

    def __init__(self, row: int, prefix: list[int]) -> None:
        self.row, self.tokens, self.start = row, prefix, len(prefix)
        self.log_probs: list[float] = []
        self.stopped = False
        self.score = 0.0  # what a beam search ranks by, before the length penalty

    @property
    def ids(self) -> list[int]:
        """What has been written, without the prefix."""
        return self.tokens[self.start :]

    def add(self, token: int, log_prob: float, stop: int | None) -> None:
        """Write a token, or end at it."""
        if token == stop:
            self.stopped = True
        else:
            self.tokens.append(token)
            self.log_probs.append(log_prob)

    def followed_by(self, token: int, log_prob: float, score: float, stop: int | None) -> _Line:
        """Return a copy with one more token."""
        line = copy.copy(self)
        line.tokens, line.log_probs, line.score = list(self.tokens), list(self.log_probs), score
        line.add(token, log_prob, stop)
        return line


class _Rules:
    """What may come next in each text, and how likely it is."""

    def __init__(self, sampling: Sampling, vocab: Vocab, mask: Mask | None) -> None:
        self.sampling, self._mask, self.stop = sampling, mask, None
        if sampling.stop is not None:
            if sampling.stop not in vocab:
                raise UnknownTokenError(
                    f"stop is {sampling.stop!r}: expected one of the {len(vocab):,} tokens of the vocabulary"
                )
            self.stop = vocab.token_to_idx[sampling.stop]

    def apply(self, logits: numpy.ndarray, lines: Sequence[_Line]) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Return log-probabilities (rows, vocab_size): the model's own, and those after penalty and mask."""
        logits = logits.astype("float64")
        own = scores = log_softmax(logits)
        if self.sampling.repetition_penalty != 1:
            seen = numpy.zeros(logits.shape, dtype=bool)
            for row, line in zip(seen, lines):
                row[line.tokens] = True
            scores = log_softmax(penalised(logits, seen, self.sampling.repetition_penalty))
        if self._mask is not None:
            scores = numpy.stack([self._masked(row, line, self._mask) for row, line in zip(scores, lines)])
        return own, scores

    def _masked(self, scores: numpy.ndarray, line: _Line, mask: Mask) -> numpy.ndarray:
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


def _draw_all(writer, lines: list[_Line], num_preds: int, rules: _Rules) -> None:
    """Write all lines to their ends, each token by chance."""
    sampling, state, t = rules.sampling, writer.begin_state(len(lines)), 0
    chances = [numpy.random.default_rng(sampling.seed + line.row) for line in lines]
    going = lines if num_preds else []
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
        going = [line for line in going if not line.stopped and len(line.log_probs) < num_preds]


def _search(writer, line: _Line, num_preds: int, rules: _Rules) -> _Line:
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
    ended: list[_Line] = []

    def rank(line: _Line) -> float:
        return line.score / max(len(line.ids) + line.stopped, 1) ** alpha

    for _ in range(num_preds):
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
        if ended and beam and max(map(rank, ended)) >= max(li.score for li in beam) / num_preds**alpha:
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
