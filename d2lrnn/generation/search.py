"""What may come next in a text, and how it is found: by chance, or by beam search."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Optional

import numpy

from d2lrnn._runtime import mx
from d2lrnn.config.generation import Sampling
from d2lrnn.data.vocabulary import UnknownTokenError, Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.distributions import distribution, draw, log_softmax, penalised

# From the row of a text and the ids written of it so far, without its prefix, to which tokens may come next.
Mask = Callable[[int, Sequence[int]], Optional[numpy.ndarray]]

Event = tuple[int, int, float]  # of a token: the row, its id, its log-probability


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
            raise D2lrnnError("without has all tokens of the vocabulary: expected at least one to be left")

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
            raise D2lrnnError(
                f"the mask is an array {allowed.shape} of {allowed.dtype}: expected {scores.shape} of bool, or None"
            )
        scores = numpy.where(allowed, scores, -numpy.inf)
        if scores.max() == -numpy.inf:
            raise D2lrnnError(
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
