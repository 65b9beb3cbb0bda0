"""The command ``words``: print which words are alike by a model's vectors, and what completes an analogy."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from d2lrnn.config.fields import settings_in
from d2lrnn.config.presets import CLASSIFICATION
from d2lrnn.plotting.words import analogy, nearest_words
from d2lrnn.runs.classifier import ClassifierRun
from d2lrnn.runs.trained import TrainedRun, load_run
from d2lrnn.visible import in_a_line


@dataclass(frozen=True)
class WordsRequest:
    """Which words of a trained model to print; either ``near`` or ``analogy`` is given."""

    run: Path  # a folder that `train` wrote, or a checkpoint in it
    near: str | None = None  # the word whose neighbours are asked for
    analogy: Sequence[str] = ()  # A, B, C: A is to B as C is to the words asked for
    count: int = 10  # words
    ctx: str = "auto"  # the device


def words(args: argparse.Namespace) -> int:
    """Print the words that the arguments ask for and return the exit status."""
    request = WordsRequest(**settings_in(WordsRequest, vars(args)))
    checkpoint = load_run(request.run)
    kind = ClassifierRun if checkpoint.task == CLASSIFICATION else TrainedRun
    run = kind(request.run, checkpoint, request.ctx)
    if request.near is not None:
        found = nearest_words(request.near, run.model, run.vocab, request.count)
    else:
        a, b, c = request.analogy
        found = analogy(a, b, c, run.model, run.vocab, request.count)
    for token, cosine in found:
        print(f"{cosine:7.4f}  {in_a_line(token)}")
    return 0
