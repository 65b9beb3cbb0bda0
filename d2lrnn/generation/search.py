"""Which tokens may come next in a text, and how one is chosen: by chance, or by beam search."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Optional, TypeVar

import numpy

from d2lrnn._runtime import mx
from d2lrnn.config.generation import Sampling
from d2lrnn.data.vocabulary import UnknownTokenError, Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.distributions import distribution, draw, log_softmax, penalised

# A mask is called with the row of a text and the ids written of it so far, without its prefix.  It returns a boolean
# array (vocab_size,) of the tokens that may come next, or None for all.
Mask = Callable[[int, Sequence[int]], Optional[numpy.ndarray]]

Event = tuple[int, int, float]  # (row, id, log-probability) of a token, as it is written

Found = TypeVar("Found")


class Draft:
    """A text that is being written: a row of a batch, or a hypothesis of a beam search.

    Args:
        row: the text's position among the prefixes.
        prefix: the ids that it starts from.
        num_preds: how many tokens to write, at most.
    """

    def __init__(self, row: int, prefix: list[int], num_preds: int) -> None:
        self.row, self.tokens, self.start, self.num_preds = row, prefix, len(prefix), num_preds
        self.log_probs: list[float] = []  # of the tokens written: the model's own
        self.stopped = False
        self.score = 0.0  # the log-probability by which a beam search ranks, before the length penalty

    @property
    def ids(self) -> list[int]:
        """The ids written so far: without the prefix, with the stop token."""
        return self.tokens[self.start :]

    def add(self, token: int, log_prob: float, stop: int | None) -> None:
        """Write a token; the stop token ends the text."""
        self.tokens.append(token)
        self.log_probs.append(log_prob)
        self.stopped = token == stop

    def followed_by(self, token: int, log_prob: float, score: float, stop: int | None) -> Draft:
        """Return a copy with one more token."""
        longer = copy.copy(self)
        longer.tokens, longer.log_probs, longer.score = list(self.tokens), list(self.log_probs), score
        longer.add(token, log_prob, stop)
        return longer


class Rules:
    """Which tokens may come next in each text, and how likely each of them is.

    Args:
        sampling: the repetition penalty, the stop token, and the tokens that are never written.
        vocab: the model's.
        mask: which tokens may come next; None: all.

    Raises:
        UnknownTokenError: if the vocabulary lacks the stop token, or one of ``without``.
        D2lrnnError: if ``without`` leaves no token.
    """

    def __init__(self, sampling: Sampling, vocab: Vocab, mask: Mask | None) -> None:
        self.sampling, self._mask = sampling, mask
        self.stop = None if sampling.stop is None else id_of(sampling.stop, vocab, "stop")
        self._never = [id_of(token, vocab, "without") for token in sampling.without]
        if len(set(self._never)) == len(vocab):
            raise D2lrnnError("without has all tokens of the vocabulary: expected at least one to be left")

    def apply(self, logits: numpy.ndarray, drafts: Sequence[Draft]) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Return two arrays (rows, vocab_size) of log-probabilities of what follows each draft.

        The first array has the model's own.  The second has those after repetition penalty, ``without`` and mask.

        Raises:
            D2lrnnError: for logits that are not numbers, and for a mask of another shape or type, or one that leaves
                no token.
        """
        logits = logits.astype("float64")
        own = scores = log_softmax(logits)
        if self.sampling.repetition_penalty != 1:
            seen = numpy.zeros(logits.shape, dtype=bool)
            for row, draft in zip(seen, drafts):
                row[draft.tokens] = True
            scores = log_softmax(penalised(logits, seen, self.sampling.repetition_penalty))
        if self._never:
            scores = scores.copy()
            scores[:, self._never] = -numpy.inf
        if self._mask is not None:
            scores = numpy.stack([self._masked(row, draft, self._mask) for row, draft in zip(scores, drafts)])
        return own, scores

    def _masked(self, scores: numpy.ndarray, draft: Draft, mask: Mask) -> numpy.ndarray:
        allowed = mask(draft.row, draft.ids)
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
                f"the mask leaves nothing to choose as token {len(draft.ids)} of row {draft.row}: expected at least "
                "one token that the model gives a probability above 0"
            )
        return scores


def id_of(token: str, vocab: Vocab, name: str) -> int:
    """Return a token's id, or refuse one that the vocabulary lacks; ``name`` is the setting it was given as."""
    if token not in vocab:
        raise UnknownTokenError(f"{name} is {token!r}: expected one of the {len(vocab):,} tokens of the vocabulary")
    return vocab.token_to_idx[token]


def draw_all(writer, drafts: list[Draft], rules: Rules) -> Iterator[Event]:
    """Write all drafts to their ends, each token by chance, or the likeliest where nothing is left to chance."""
    sampling, state, t = rules.sampling, writer.begin_state(len(drafts)), 0
    generators = [numpy.random.default_rng(sampling.seed + draft.row) for draft in drafts]
    going = [draft for draft in drafts if draft.num_preds]
    while going:
        # A draft that has ended stays in the batch, so that no other batch size has to be compiled.
        ids = [draft.tokens[t] if t < len(draft.tokens) else 0 for draft in drafts]
        logits, state = writer.logits(_to_mx(ids, state), state)  # logits: (batch_size, vocab_size)
        t += 1
        due = [draft for draft in going if len(draft.tokens) == t]  # the model still reads the others' prefixes
        if not due:
            continue
        own, scores = rules.apply(logits.asnumpy()[[draft.row for draft in due]], due)
        if sampling.by_chance:
            uniforms = numpy.array([generators[draft.row].random() for draft in due])
            tokens = draw(distribution(scores, sampling), uniforms)
        else:
            tokens = scores.argmax(axis=1)
        for draft, token, log_prob in zip(due, tokens.tolist(), own[range(len(due)), tokens].tolist()):
            draft.add(token, log_prob, rules.stop)
            yield draft.row, token, log_prob
        going = [draft for draft in going if not draft.stopped and len(draft.log_probs) < draft.num_preds]


def search_all(writer, drafts: list[Draft], rules: Rules) -> Iterator[Event]:
    """Write all drafts by beam search, one after the other."""
    for draft in drafts:
        (found,) = search_together(writer, [draft], rules)
        yield from ((draft.row, token, log_prob) for token, log_prob in zip(found.ids, found.log_probs))


def search_together(writer, drafts: Sequence[Draft], rules: Rules) -> list[Draft]:
    """Return the likeliest text that a beam search finds for each draft; all are searched in one batch.

    Args:
        writer: its batch has ``beam_width`` rows for each draft, those of the first draft first.
        drafts: with prefixes of one length.
        rules: of all texts.
    """
    return finished(search_in_steps(writer, drafts, rules))


def search_in_steps(writer, drafts: Sequence[Draft], rules: Rules) -> Generator[None, None, list[Draft]]:
    """Search as :func:`search_together`, and pause after each token, so that a thread can serve others meanwhile."""
    width = rules.sampling.beam_width
    state = writer.begin_state(width * len(drafts))
    for tokens in zip(*(draft.tokens[:-1] for draft in drafts)):
        _, state = writer.logits(_to_mx(numpy.repeat(tokens, width).tolist(), state), state)
    beams = [_Beam(draft, rules) for draft in drafts]
    while any(beam.goes_on for beam in beams):
        # A beam whose search is over stays in the batch, so that no other batch size has to be compiled.
        lasts = [token for beam in beams for token in beam.lasts()]
        parents = [width * i + parent for i, beam in enumerate(beams) for parent in beam.parents]
        logits, state = writer.logits(_to_mx(lasts, state), _gather(state, parents))
        for beam, rows in zip(beams, numpy.split(logits.asnumpy(), len(beams))):
            if beam.goes_on:
                beam.grow(rows)
        yield
    return [beam.best() for beam in beams]


def finished(steps: Generator[Any, None, Found]) -> Found:
    """Go all steps of a computation that pauses between them, and return what it has found."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


class _Beam:
    """The hypotheses of one text in a beam search (d2l, section 10.8).

    When a hypothesis comes to the stop token it leaves the beam, which is narrower by one from then on (Sutskever,
    Vinyals and Le 2014, arXiv 1409.3215).  So a beam of width 1 is greedy search.  The stop token counts as a token of
    the text: its probability is part of the score, and the length includes it.
    """

    def __init__(self, draft: Draft, rules: Rules) -> None:
        self._rules, self._width, self._num_preds = rules, rules.sampling.beam_width, draft.num_preds
        self._beam, self._ended = [draft], list[Draft]()
        self.parents = [0] * self._width  # which row's state each row goes on from

    @property
    def goes_on(self) -> bool:
        """Whether a better text may still be found."""
        return bool(self._beam) and len(self._beam[0].ids) < self._num_preds

    def lasts(self) -> list[int]:
        """Return the last token of each row; rows without a hypothesis have the token 0."""
        return [self._beam[i].tokens[-1] if i < len(self._beam) else 0 for i in range(self._width)]

    def grow(self, logits: numpy.ndarray) -> None:
        """Go one token further, by the logits (width, vocab_size) of what follows."""
        beam, stop = self._beam, self._rules.stop
        own, scores = self._rules.apply(logits[: len(beam)], beam)
        scores = scores + numpy.array([[hypothesis.score] for hypothesis in beam])
        found = _best(scores, self._width - len(self._ended))
        grown = [beam[i].followed_by(j, float(own[i, j]), float(scores[i, j]), stop) for i, j in found]
        self._ended += [hypothesis for hypothesis in grown if hypothesis.stopped]
        self._beam = [hypothesis for hypothesis in grown if not hypothesis.stopped]
        parents = [i for (i, _), hypothesis in zip(found, grown) if not hypothesis.stopped]
        self.parents = parents + [0] * (self._width - len(parents))
        if self._ended and self._beam and max(map(self._rank, self._ended)) >= self._best_rank_to_come():
            self._beam = []

    def best(self) -> Draft:
        """Return the best text that was found."""
        return max(self._ended + self._beam, key=self._rank)

    def _rank(self, hypothesis: Draft) -> float:
        return hypothesis.score / max(len(hypothesis.ids), 1) ** self._rules.sampling.length_penalty

    def _best_rank_to_come(self) -> float:
        """Return the best rank that a hypothesis of the beam can still reach.

        A score never rises, and no text is longer than ``num_preds``.
        """
        return max(one.score for one in self._beam) / self._num_preds**self._rules.sampling.length_penalty


def _best(scores: numpy.ndarray, count: int) -> list[tuple[int, int]]:
    """Return the places (row, token) of the ``count`` largest scores, the largest first.

    Equal scores keep their order.  Minus infinity is left out.
    """
    flat = scores.reshape(-1)
    count = min(count, flat.size)
    smallest = numpy.partition(flat, -count)[-count]
    places = numpy.flatnonzero((flat >= smallest) & (flat > -numpy.inf))
    places = places[numpy.argsort(-flat[places], kind="stable")][:count]
    return [divmod(place, scores.shape[1]) for place in places.tolist()]


def _to_mx(ids: list[int], state: list):
    return mx.np.array(ids, dtype="int32", ctx=state[0].ctx)


def _gather(state: list, rows: list[int]) -> list:
    """Return the state of the given rows, in this order; the batch is the last axis but one of a state's arrays."""
    if rows == list(range(len(rows))):
        return state
    index = _to_mx(rows, state)
    return [mx.np.take(array, index, axis=-2) for array in state]
