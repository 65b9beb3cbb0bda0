"""The command ``translate``: sentences in another language, and a picture of what the model looks at."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from d2lrnn.checks import listed
from d2lrnn.cli.options import as_text
from d2lrnn.cli.streams import complain
from d2lrnn.config.fields import settings_in
from d2lrnn.config.generation import Decoding
from d2lrnn.data.ids import numbered_lines
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.translation import Translated, check_sentence, check_source, translate_texts
from d2lrnn.plotting.attention import plot_attention
from d2lrnn.runs.translator import TranslatorRun
from d2lrnn.visible import in_a_line

AT_ONCE = 1_000  # lines that are read before they are translated; those of one length are decoded together


@dataclass(frozen=True)
class TranslateRequest:
    """What a translator is to translate, and how.

    Raises:
        D2lrnnError: for settings that cannot be, and for a picture of more than one sentence.
    """

    run: Path  # a folder that `train` wrote, or a checkpoint in it
    texts: tuple[str, ...] = ()  # sentences; empty: the lines of standard input
    decoding: Decoding = Decoding()
    attention: Path | None = None  # a file to draw into what was looked at; None: no picture
    ctx: str = "auto"  # the device

    def __post_init__(self) -> None:
        if self.attention is not None and len(self.texts) != 1:
            raise D2lrnnError(
                f"--attention draws what is looked at for one sentence, and there are {len(self.texts)}: expected "
                "translate RUN 'a sentence' --attention FILE"
            )

    @classmethod
    def read(cls, args: argparse.Namespace) -> TranslateRequest:
        """Return what the arguments of the command ask for."""
        decoding = Decoding(**settings_in(Decoding, vars(args)), with_weights=args.attention is not None)
        texts = tuple(map(as_text, args.texts))
        return cls(**{**settings_in(cls, vars(args)), "texts": texts, "decoding": decoding})


class Given(NamedTuple):
    """A sentence to translate; a blank one has a blank translation."""

    where: str  # the words by which a message names it
    text: str
    problem: str = ""  # why it cannot be translated


def translate(args: argparse.Namespace) -> int:
    """Print the translation of each sentence; return the exit status, 1 if one cannot be translated."""
    request = TranslateRequest.read(args)
    run = TranslatorRun.open(request.run, request.ctx)
    given, failed = _checked(request, run), False
    while several := list(islice(given, AT_ONCE)):
        failed |= _translate(several, request, run)
    return int(failed)


def _sentences(request: TranslateRequest) -> Iterable[tuple[str, str]]:
    """Return the sentences, each with the words by which a message names it."""
    if request.texts:
        return _given(request.texts)
    if sys.stdin is None or sys.stdin.isatty():
        raise D2lrnnError("no text is given: expected sentences, or lines of standard input")
    return _lines()


def _given(texts: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for number, text in enumerate(texts, 1):
        yield "" if len(texts) == 1 else f"text {number}: ", text


def _lines() -> Iterator[tuple[str, str]]:
    for number, text in numbered_lines(sys.stdin.buffer):
        yield f"line {number}: ", text


def _checked(request: TranslateRequest, run: TranslatorRun) -> Iterator[Given]:
    """Yield the sentences; one that cannot be translated is dropped at once, for it may have megabytes."""
    for where, text in _sentences(request):
        text = text.strip()
        try:
            if request.texts or text:
                check_source(run.read(check_sentence(text)).ids)
        except D2lrnnError as error:
            yield Given(where, "", str(error))
        else:
            yield Given(where, text)


def _translate(several: list[Given], request: TranslateRequest, run: TranslatorRun) -> bool:
    """Print the translations of some sentences; return whether one of them cannot be translated."""
    for one in several:
        if one.problem:
            complain(in_a_line(one.where + one.problem))
    failed = any(one.problem for one in several)
    texts = [one.text for one in several]
    found = translate_texts(run.model, texts, run.source, run.target, request.decoding, run.plan.reverse_source)
    for given, translated in zip(several, found):
        print(in_a_line(translated.text))
        for remark in _remarks(translated):
            complain(in_a_line(given.where + remark))
    if request.attention is not None and not failed:
        plot_attention(found[0], request.attention, f"{run.name}: what is looked at")
        print(f"picture  {request.attention}", file=sys.stderr)
    return failed


def _remarks(one: Translated) -> Iterator[str]:
    """Yield what is to be said of a translation."""
    if one.unknown:
        yield f"unknown to the model: {listed(one.unknown)}"
    if not one.complete:
        yield f"the translation was cut after {len(one.tokens)} tokens, which --max-ratio allows"
