"""The command ``classify``: say of which class images or texts are."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy

from d2lrnn.checks import check_whole
from d2lrnn.cli.classes import beginning
from d2lrnn.cli.options import as_text
from d2lrnn.cli.streams import complain
from d2lrnn.config.fields import settings_in
from d2lrnn.data.digits import Images
from d2lrnn.data.ids import load_lines
from d2lrnn.data.images import read_digit
from d2lrnn.data.labelled_texts import UNITS, Texts, as_line, too_long
from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.classes import class_probabilities, likeliest
from d2lrnn.paths import user_path
from d2lrnn.runs.classifier import ClassifierRun
from d2lrnn.visible import in_a_line

AT_ONCE = 100  # texts that the model reads together


@dataclass(frozen=True)
class ClassifyRequest:
    """Which images or texts a classifier is to read.

    Raises:
        D2lrnnError: if ``count`` is no whole number of at least 1.
    """

    run: Path  # a folder that `train` wrote, or a checkpoint in it
    given: tuple[str, ...]  # PNG files, or texts
    count: int = 3  # classes to print
    ctx: str = "auto"  # the device

    def __post_init__(self) -> None:
        check_whole("count", self.count)

    @classmethod
    def read(cls, args: argparse.Namespace) -> ClassifyRequest:
        """Return what the arguments of the command ask for."""
        return cls(**{**settings_in(cls, vars(args)), "given": tuple(args.given)})


def classify(args: argparse.Namespace) -> int:
    """Print the likeliest classes of each image or text; return the exit status, 1 if something cannot be read."""
    request = ClassifyRequest.read(args)
    run = ClassifierRun.open(request.run, request.ctx)
    return _classify_texts(request, run) if run.reads_texts else _classify_images(request, run)


def _classify_images(request: ClassifyRequest, run: ClassifierRun) -> int:
    run.check_reads_images()
    if not request.given:
        raise D2lrnnError("no image is given: expected PNG files")
    failed = False
    for given in request.given:
        try:
            path = user_path(given)
            image = Images(read_digit(path)[None], numpy.zeros(1, numpy.int32))
        except D2lrnnError as error:
            complain(str(error))
            failed = True
            continue
        (probabilities,) = class_probabilities(run.model, image.batches(1, request.ctx))
        print(f"{in_a_line(str(path))}: {_in_words(probabilities, run.classes, request.count)}")
    return int(failed)


def _classify_texts(request: ClassifyRequest, run: ClassifierRun) -> int:
    given, failed = iter(_texts(request, run)), False
    while several := list(islice(given, AT_ONCE)):
        good = []
        for text in several:
            try:
                good.append(_checked(text, run))
            except D2lrnnError as error:
                complain(in_a_line(str(error)))
                failed = True
        if good:
            examples = Texts(good, [0] * len(good), run.vocab)
            _print_texts(examples, class_probabilities(run.model, examples.batches(AT_ONCE, request.ctx)), request, run)
    return int(failed)


def _texts(request: ClassifyRequest, run: ClassifierRun) -> Iterable[str]:
    """Return the texts to read: those that are given, or the lines of standard input."""
    if request.given:
        return map(as_text, request.given)
    if sys.stdin is None or sys.stdin.isatty():
        raise D2lrnnError("no text is given: expected texts, or lines of standard input")
    return _lines(run)


def _lines(run: ClassifierRun) -> Iterator[str]:
    return (line.text for line in load_lines(sys.stdin.buffer, run.vocab))


def _checked(text: str, run: ClassifierRun) -> str:
    """Return a text as the model reads it."""
    line, level = as_line(text), run.vocab.level
    most = run.checkpoint.train_config.num_steps
    count = len(line) if level == "char" else len(line.split())
    if not line:
        raise D2lrnnError("a text is empty: expected at least one character that is not white space")
    if count > most:
        raise D2lrnnError(f"{beginning(line)}: {too_long(count, level, most)}")
    return line


def _print_texts(examples: Texts, found: numpy.ndarray, request: ClassifyRequest, run: ClassifierRun) -> None:
    units = UNITS[run.vocab.level]
    for text, probabilities, unknown, length in zip(examples.texts, found, examples.unknown, examples.lengths):
        caution = f"; {unknown} of its {length} {units} unknown" if unknown else ""
        print(in_a_line(f"{beginning(text)}: {_in_words(probabilities, run.classes, request.count)}{caution}"))


def _in_words(probabilities: numpy.ndarray, classes: tuple[str, ...], count: int) -> str:
    """Return the likeliest classes with their probabilities: ``7 99.8 %, 2 0.1 %, 9 0.1 %``."""
    return ", ".join(f"{classes[i]} {100 * share:.1f} %" for i, share in likeliest(probabilities, count))
