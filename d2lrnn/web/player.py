"""Writes what a page asks for: an event for each token as it is written, then what the texts copy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from d2lrnn.config.generation import Sampling
from d2lrnn.data.corpus import Corpus
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.forms import FORMS, Form, usual_form
from d2lrnn.generation.originality import CopyIndex, novelty, token_places, usual_lengths
from d2lrnn.generation.sampling import Written
from d2lrnn.generation.verse import stream_acrostic, stream_composed
from d2lrnn.runs.trained import TrainedRun
from d2lrnn.web.request import LABELS, MAX_BODY, MAX_SAMPLES, MAX_TOKENS, WritingRequest

UNITS = {"char": "characters", "word": "words", "bigram": "pairs of characters"}


class Player:
    """Writes what pages ask for.

    Args:
        run: the trained run whose model writes.
        corpus: the corpus that the model was trained on, so that copies can be marked; None: they are not marked.

    Raises:
        LooksAheadError, D2lrnnError: as :meth:`TrainedRun.check_writes`.
    """

    page = "write.html"
    labels: ClassVar[Mapping[str, str]] = LABELS
    max_body = MAX_BODY

    def __init__(self, run: TrainedRun, corpus: Corpus | None = None) -> None:
        run.check_writes()
        self.run, self.model, self.vocab = run, run.model, run.vocab
        self.ngram, self.min_copy = usual_lengths(self.vocab)
        self.source = None if corpus is None else corpus.name
        self.index = None if corpus is None else CopyIndex(corpus)
        self.forms = tuple(name for name, form in FORMS.items() if self._can_write(form))
        self.verse = self._can_write(usual_form(self.vocab))  # whether acrostics can be written

    def _can_write(self, form: Form) -> bool:
        try:
            form.mask(self.vocab)
            form.before(self.vocab)
        except D2lrnnError:
            return False
        return True

    def values(self) -> dict[str, Any]:
        """Return what the page shows of the model, and what it offers."""
        return {
            "player": self,
            "forms": {
                name: f"{name}: {len(FORMS[name].lengths)} lines of {FORMS[name].lengths[0]}" for name in self.forms
            },
            "labels": LABELS,
            "limits": {"samples": MAX_SAMPLES, "tokens": MAX_TOKENS},
            "units": UNITS[self.vocab.level],
            "usual": Sampling(),
            "defaults": WritingRequest(),
        }

    def read(self, body: bytes) -> WritingRequest:
        """Return what a page asks for (:meth:`WritingRequest.read`)."""
        return WritingRequest.read(body)

    def write(self, request: WritingRequest) -> Iterator[dict[str, Any]]:
        """Write, and yield events, each as soon as it is known; whoever stops iterating stops the writing.

        The first event has the ``prefix`` and the number of ``rows``.  An event for each token follows: its ``row``,
        the ``text`` by which the row grows, and the model's own probability ``p``.  If the text is a character that
        the vocabulary lacks, ``read`` is the stand-in that the model read, and ``p`` is the probability of the
        stand-in.

        If the player has a corpus, an event for each row comes last and tells what the text copies: ``spans`` as
        ``(begin, end)`` in characters, prefix included; the copied share of ``ngrams`` and of ``tokens``, None if the
        text has none; the number of tokens of the ``longest`` copy, and this ``copy`` itself.

        Raises:
            D2lrnnError, UnknownTokenError: by the call, not by the iterator, as :func:`d2lrnn.stream`,
                :func:`d2lrnn.stream_composed` and :func:`d2lrnn.stream_acrostic`.
        """
        prefix, written = self._begin(request)
        return self._events(request, prefix, written)

    def _begin(self, request: WritingRequest) -> tuple[str, Iterator[Written]]:
        """Return the prefix as the page shows it, and the stream of tokens."""
        model, vocab, count, sampling = self.model, self.vocab, request.num_samples, request.sampling
        form, skip = FORMS[request.form] if request.form else usual_form(vocab), request.skip_unknown
        if request.acrostic is not None:
            return "", stream_acrostic([request.acrostic] * count, form, model, vocab, sampling, skip)
        if request.form:
            return "", stream_composed([request.prefix] * count, form, model, vocab, sampling, skip)
        shown = vocab.decode(vocab.encode(request.prefix))
        return shown, self.run.stream([request.prefix] * count, request.pred_len, sampling)

    def _events(self, request: WritingRequest, prefix: str, written: Iterator[Written]) -> Iterator[dict[str, Any]]:
        texts, verse = [prefix] * request.num_samples, request.acrostic is not None or request.form is not None
        yield {"prefix": prefix, "rows": len(texts)}
        for token in written:
            text = token.text.replace(" ", "\n") if verse else token.text
            event = {"row": token.row, "text": text, "p": float(f"{math.exp(token.log_prob):.4g}")}
            read = self.vocab.idx_to_token[token.id]
            if verse and token.text != read:
                event["read"] = read
            texts[token.row] += text
            yield event
        yield from self.copies(texts)

    def copies(self, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield an event for each text, which tells what it copies, as :meth:`write` does; none without a corpus."""
        if self.index is not None:
            for row, text in enumerate(texts):
                yield {"row": row, **self._copies(text, self.index)}

    def _copies(self, text: str, index: CopyIndex) -> dict[str, Any]:
        found, places = novelty(text, index, self.ngram, self.min_copy), token_places(text, index.level)
        return {
            "spans": [(places[begin][0], places[end - 1][1]) for begin, end in found.spans],
            "ngrams": None if math.isnan(found.copied_ngrams) else found.copied_ngrams,
            "tokens": None if math.isnan(found.copied_tokens) else found.copied_tokens,
            "longest": found.longest_length,
            "copy": found.longest,
        }
