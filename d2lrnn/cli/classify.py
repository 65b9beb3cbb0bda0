"""The command ``classify``: say which digits images show."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy

from d2lrnn.checks import check_whole
from d2lrnn.cli.streams import complain
from d2lrnn.config.fields import settings_in
from d2lrnn.data.digits import Images
from d2lrnn.data.images import read_digit
from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.classes import class_probabilities, likeliest
from d2lrnn.runs.classifier import ClassifierRun
from d2lrnn.visible import in_a_line


@dataclass(frozen=True)
class ClassifyRequest:
    """Which images a classifier is to read.

    Raises:
        D2lrnnError: if ``count`` is no whole number of at least 1.
    """

    run: Path  # a folder that `train` wrote, or a checkpoint in it
    images: tuple[Path, ...]  # PNG files
    count: int = 3  # classes to print
    ctx: str = "auto"  # the device

    def __post_init__(self) -> None:
        check_whole("count", self.count)

    @classmethod
    def read(cls, args: argparse.Namespace) -> ClassifyRequest:
        """Return what the arguments of the command ask for."""
        return cls(**{**settings_in(cls, vars(args)), "images": tuple(args.images)})


def classify(args: argparse.Namespace) -> int:
    """Print the likeliest classes of each image; return the exit status, 1 if an image cannot be read."""
    request = ClassifyRequest.read(args)
    run = ClassifierRun.open(request.run, request.ctx)
    run.check_reads_images()
    failed = False
    for path in request.images:
        try:
            image = Images(read_digit(path)[None], numpy.zeros(1, numpy.int32))
        except D2lrnnError as error:
            complain(str(error))
            failed = True
            continue
        (probabilities,) = class_probabilities(run.model, image.batches(1, request.ctx))
        print(f"{in_a_line(str(path))}: {_in_words(probabilities, run.classes, request.count)}")
    return int(failed)


def _in_words(probabilities: numpy.ndarray, classes: tuple[str, ...], count: int) -> str:
    """Return the likeliest classes with their probabilities: ``7 99.8 %, 2 0.1 %, 9 0.1 %``."""
    return ", ".join(f"{classes[i]} {100 * share:.1f} %" for i, share in likeliest(probabilities, count))
