"""What the page to play with may ask of a model, and what it is told: an event for each token as it is written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from d2lrnn.data.corpus import Corpus
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.forms import FORMS, Form, usual_form
from d2lrnn.generation.originality import CopyIndex, novelty, token_places, usual_lengths
from d2lrnn.generation.prefixes import as_lines
from d2lrnn.generation.sampling import Written, stream
from d2lrnn.generation.verse import stream_acrostic, stream_composed
from d2lrnn.models.protocol import check_causal, check_vocab
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.web.request import Wish

UNITS = {"char": "characters", "word": "words", "bigram": "pairs of characters"}


class Player:
    """Writes what pages ask for.

    Args:
        run: what to call the run.
        checkpoint: of the run.
        model: as the checkpoint builds it.
        corpus: what it was trained on, so that copies can be marked; None: they are not.

    Raises:
        LooksAheadError, ValueError: if the model is none that writes.
    """

    def __init__(self, run: str, checkpoint: Checkpoint, model: Any, corpus: Corpus | None = None) -> None:
        check_causal(model)
        check_vocab(model, checkpoint.vocab)
        self.run, self.checkpoint, self.model, self.vocab = run, checkpoint, model, checkpoint.vocab
        self.ngram, self.min_copy = usual_lengths(self.vocab)
        self.source = None if corpus is None else corpus.name
        self.index = None if corpus is None else CopyIndex(corpus)
        self.forms = tuple(name for name, form in FORMS.items() if self._can_write(form))
        self.verse = self._can_write(usual_form(self.vocab))  # whether acrostics can be written

    @property
    def prefix(self) -> str:
        """What to begin with if a user does not say: the training's first prefix, but for line ends."""
        return next(iter(self.checkpoint.train_config.prefixes), "").strip("\n")

    def _can_write(self, form: Form) -> bool:
        try:
            form.mask(self.vocab)
            form.before(self.vocab)
        except D2lrnnError:
            return False
        return True

    def write(self, wish: Wish) -> Iterator[dict[str, Any]]:
        """Write, and yield events, each as soon as it is known; who stops iterating stops the writing.

        The first one has the ``prefix`` and the number of ``rows``.  Then there is one for each token: its ``row``,
        the ``text`` by which it grows, the model's own probability ``p``; and, where a character was placed that is
        unknown, what the model ``read`` in its place, of which ``p`` tells.  In the end there is one for each row that
        tells what it copies, if the corpus is there: ``spans`` of characters, prefix included; the share of ``ngrams``
        and of ``tokens`` in spans, None if it has none; the tokens of the ``longest`` copy and its ``copy``.

        Raises:
            ValueError, UnknownTokenError: as :func:`d2lrnn.stream`, :func:`d2lrnn.stream_composed` and
                :func:`d2lrnn.stream_acrostic`, and what the wish can tell at once.
        """
        prefix, written = self._begin(wish)
        return self._events(wish, prefix, written)

    def _begin(self, wish: Wish) -> tuple[str, Iterator[Written]]:
        """Return the prefix as it is shown, and what will be written."""
        model, vocab, count = self.model, self.vocab, wish.num_samples
        form = FORMS[wish.form] if wish.form else usual_form(vocab)
        if wish.acrostic is not None:
            return "", stream_acrostic([wish.acrostic] * count, form, model, vocab, wish.sampling, wish.skip_unknown)
        if wish.form:
            return "", stream_composed([wish.prefix] * count, form, model, vocab, wish.sampling, wish.skip_unknown)
        shown = vocab.decode(vocab.encode(wish.prefix))  # raises, with the position in what the user wrote
        starts, sampling, num_lines = [wish.prefix] * count, wish.sampling, self.checkpoint.train_config.lines_per_row
        if num_lines:
            starts, sampling = as_lines(starts, sampling, num_lines)
        written = stream(starts, wish.pred_len, model, vocab, sampling)
        return shown, written

    def _events(self, wish: Wish, prefix: str, written: Iterator[Written]) -> Iterator[dict[str, Any]]:
        texts, verse = [prefix] * wish.num_samples, wish.acrostic is not None or wish.form is not None
        yield {"prefix": prefix, "rows": len(texts)}
        for token in written:
            text = token.text.replace(" ", "\n") if verse else token.text
            event = {"row": token.row, "text": text, "p": float(f"{math.exp(token.log_prob):.4g}")}
            read = self.vocab.idx_to_token[token.id]
            if verse and token.text != read:
                event["read"] = read
            texts[token.row] += text
            yield event
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
