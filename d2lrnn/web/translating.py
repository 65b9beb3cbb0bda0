"""Translates what a page asks for: an event for each sentence, with what was looked at."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy

from d2lrnn.checks import listed
from d2lrnn.config.generation import Decoding
from d2lrnn.data.sentences import normalised, pieces_of, tokens_of
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.translation import Translated, translate_in_steps
from d2lrnn.runs.translator import TranslatorRun
from d2lrnn.visible import in_a_line
from d2lrnn.web.player import UNITS
from d2lrnn.web.translation_request import (
    LABELS,
    MAX_BODY,
    MAX_LINE,
    MAX_LINES,
    MAX_TEXT,
    MAX_WIDTH,
    TranslationRequest,
)


class TranslatingPlayer:
    """Translates what pages ask for.

    Args:
        run: the trained run whose model translates.
    """

    page = "translate.html"
    labels: ClassVar[Mapping[str, str]] = LABELS
    max_body = MAX_BODY

    def __init__(self, run: TranslatorRun) -> None:
        self.run, self.model = run, run.model
        self.attention = run.checkpoint.shape.attention

    def values(self) -> dict[str, Any]:
        """Return what the page shows of the model, and what it offers."""
        source, target = self.run.source, self.run.target
        return {
            "player": self,
            "labels": LABELS,
            "limits": {"text": MAX_TEXT, "lines": MAX_LINES, "width": MAX_WIDTH},
            "sizes": [f"{len(vocab):,} {UNITS[vocab.level]}" for vocab in (source, target)],
            "usual": Decoding(),
        }

    def read(self, body: bytes) -> TranslationRequest:
        """Return what a page asks for (:meth:`TranslationRequest.read`)."""
        return TranslationRequest.read(body)

    def write(self, request: TranslationRequest) -> Iterator[dict[str, Any] | None]:
        """Translate, and yield events; whoever stops iterating stops the translating.

        The first event has the ``sources``: of each sentence the ``pieces`` that its tokens are shown as, and the
        places of the tokens that are ``unknown``, with their ``names`` in words.  Blank lines are left out.  An event
        for each sentence follows: its ``row``, the ``pieces`` of its translation, the places of tokens that were
        ``copied``, whether it was ``cut``, and ``looks``: for each token of the translation, how many hundredths of the
        attention went to each token of the sentence; None without attention.

        Between the events there is a None for each token that was found: time to serve others.

        Raises:
            D2lrnnError: by the call, not by the iterator, for a text without a sentence, a sentence that is too long,
                and ``copy_unknown`` without attention.
        """
        if request.decoding.copy_unknown and not self.attention:
            raise D2lrnnError("copy_unknown copies the word that is looked at, and this model has no attention")
        lines, level = [], self.run.source.level
        for number, line in enumerate(request.lines, 1):
            tokens = tokens_of(normalised(line), level)
            if len(tokens) > MAX_LINE:
                raise D2lrnnError(f"line {number} has {len(tokens):,} tokens: expected at most {MAX_LINE}; divide it")
            if tokens:
                lines.append((line, tokens))
        if not lines:
            raise D2lrnnError("the text is empty: expected a sentence to translate")
        return self._events(lines, replace(request.decoding, with_weights=bool(self.attention)))

    def _events(
        self, lines: Sequence[tuple[str, Sequence[str]]], decoding: Decoding
    ) -> Generator[dict[str, Any] | None, None, None]:
        run = self.run
        yield {"sources": [self._source(tokens) for _, tokens in lines]}
        for row, (line, _) in enumerate(lines):
            steps = translate_in_steps(self.model, [line], run.source, run.target, decoding, run.plan.reverse_source)
            (found,) = yield from steps
            yield {"row": row, **self._translation(found)}

    def _source(self, tokens: Sequence[str]) -> dict[str, Any]:
        unknown = [i for i, token in enumerate(tokens) if token not in self.run.source]
        names = listed([*dict.fromkeys(tokens[i] for i in unknown)])
        return {"pieces": _shown(tokens, self.run.source.level), "unknown": unknown, "names": in_a_line(names)}

    def _translation(self, found: Translated) -> dict[str, Any]:
        weights = found.weights
        return {
            "pieces": _shown(found.tokens, self.run.target.level),
            "copied": found.copied,
            "cut": not found.complete,
            "looks": None if weights is None else numpy.rint(100 * weights).astype(int).tolist(),
        }


def _shown(tokens: Sequence[str], level: str) -> list[str]:
    """Return the pieces of a sentence, in which nothing acts unseen."""
    return [in_a_line(piece) for piece in pieces_of(tokens, level)]
