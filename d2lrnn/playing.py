"""What the page to play with may ask of a model, and what it is told: an event for each token as it is written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from d2lrnn.checkpoint import Checkpoint
from d2lrnn.config import FORM_NAMES, Sampling, check_whole, settings_in
from d2lrnn.decoding import check_causal, check_vocab
from d2lrnn.forms import FORMS, Form, stream_acrostic, stream_composed, usual_form
from d2lrnn.originality import CopyIndex, novelty, token_places, usual_lengths
from d2lrnn.sampling import Written, as_lines, stream
from d2lrnn.text import Corpus

MAX_PREFIX = 500  # characters: a model reads them in one go, in which nobody else gets an answer
MAX_HEADS = 100  # lines of an acrostic, 900 characters of the longest form
MAX_TOKENS = 2000  # of a text: a page that marks every character is still quick
MAX_SAMPLES = 16  # texts side by side, more than anyone compares
# A beam search knows no token of a text before it knows all, so that nobody else would get an answer meanwhile.
CHOICES = ("temperature", "top_k", "top_p", "repetition_penalty", "seed")
UNITS = {"char": "characters", "word": "words", "bigram": "pairs of characters"}


@dataclass(frozen=True)
class Wish:
    """What a page asks a model to write.

    Raises:
        ValueError: for what is no such text or number, or more than a page may ask for.
    """

    prefix: str = ""  # what a text begins with
    acrostic: str | None = None  # what its lines begin with, in place of a prefix; None: no acrostic
    form: str | None = None  # one of FORM_NAMES; None: in an acrostic what suits the vocabulary, else none
    skip_unknown: bool = False  # in a form: place characters that the model has never seen
    pred_len: int = 100  # tokens after the prefix; a form ends where it must
    num_samples: int = 1
    sampling: Sampling = Sampling()

    def __post_init__(self) -> None:
        _check_text("prefix", self.prefix, MAX_PREFIX)
        if self.acrostic is not None:
            _check_text("acrostic", self.acrostic, MAX_HEADS)
        if self.form is not None and self.form not in FORM_NAMES:
            raise ValueError(f"form is {self.form!r}: expected one of {', '.join(FORM_NAMES)}, or none")
        if not isinstance(self.skip_unknown, bool):
            raise ValueError(f"skip_unknown is {self.skip_unknown!r}: expected true or false")
        for name, most in (("pred_len", MAX_TOKENS), ("num_samples", MAX_SAMPLES)):
            value = getattr(self, name)
            check_whole(name, value)
            if value > most:
                raise ValueError(f"{name} is {value}: expected at most {most}")
        if self.num_samples > 1 and not self.sampling.by_chance:
            raise ValueError(
                f"num_samples is {self.num_samples}, but these settings leave nothing to chance: expected 1, or a "
                "temperature above 0 and another top_k than 1"
            )

    @classmethod
    def read(cls, body: bytes) -> Wish:
        """Return what a JSON object asks for: fields of this class, and those of ``Sampling`` that ``CHOICES`` names.

        Raises:
            ValueError: if it is no such object; also as the classes themselves.
        """
        try:
            values = json.loads(body, parse_int=_whole)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the request is not the JSON of a wish: {error}") from None
        if not isinstance(values, dict):
            raise ValueError("the request is not the JSON of a wish: expected an object")
        chosen = {name: value for name, value in values.items() if name in CHOICES}
        rest = {name: value for name, value in values.items() if name not in CHOICES}
        strange = sorted(rest.keys() - settings_in(cls, rest).keys() | rest.keys() & {"sampling"})
        if strange:
            raise ValueError(f"there is nothing called {strange[0][:50]!r} to ask for")
        return cls(**rest, sampling=Sampling(**chosen))


def _check_text(name: str, text: Any, most: int) -> None:
    if not isinstance(text, str):
        raise ValueError(f"{name} is no text: expected one of at most {most} characters")
    if len(text) > most:
        raise ValueError(f"{name} has {len(text):,} characters: expected at most {most}")


def _whole(digits: str) -> int:
    """Read a whole number that a float can hold too."""
    if len(digits) > 18:
        raise ValueError(f"found a number of {len(digits)} digits: expected at most 18")
    return int(digits)


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
        except ValueError:
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
        starts, sampling, num_lines = [wish.prefix] * count, wish.sampling, self.checkpoint.train_config.num_lines
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
