"""The command ``show``: draw what a trained model does."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

from d2lrnn.checks import check_whole
from d2lrnn.cli.classes import PICTURES as CLASSIFIER_PICTURES
from d2lrnn.cli.options import option_of
from d2lrnn.config.fields import settings_in
from d2lrnn.data.vocabulary import tokenize
from d2lrnn.errors import D2lrnnError
from d2lrnn.paths import PathLike
from d2lrnn.plotting.inspection import embedding_map, gate_activations, next_token_probabilities
from d2lrnn.plotting.pictures import plot_embedding, plot_gates, plot_next
from d2lrnn.runs.classifier import ClassifierRun
from d2lrnn.runs.trained import TrainedRun, folder_of

NUM_PREDS = 30  # tokens that the model writes for a picture of its gates where no text is given

REMEDY = "say what the model is to read, --prefix TEXT"  # the end of the error where there is no prefix

# Which pictures have a use for an option.
USES = {
    "prefix": ("next", "gates"),
    "layer": ("gates",),
    "count": ("next", "gates", "embedding", "misread"),
    "data_dir": ("confusion", "misread"),
}


@dataclass(frozen=True)
class PictureRequest:
    """Which picture of a trained model to draw.

    Raises:
        D2lrnnError: for an option that this picture has no use for; if ``count`` is no whole number of at least 1.
    """

    run: Path  # a folder that `train` wrote, or a checkpoint in it
    what: str = "next"  # one of PICTURES; of a classifier, one of CLASSIFIER_PICTURES
    prefix: str | None = None  # next, gates: what the model reads; None: as PICTURES' functions say
    count: int | None = None  # tokens, hidden units of gates, misread examples; None: the default of their function
    layer: int | None = None  # gates: of which layer, from 0; None: the first
    out: Path | None = None  # the picture's file; None: beside the checkpoint
    data_dir: PathLike | None = None  # of a classifier of images: the folder to look for them in first
    ctx: str = "auto"  # the device

    def __post_init__(self) -> None:
        for name, what in USES.items():
            if getattr(self, name) is not None and self.what not in what:
                option = option_of(name)
                raise D2lrnnError(f"{option} given, but a picture of {self.what} has no use for it: leave it out")
        if self.count is not None:
            check_whole("count", self.count, most=math.inf)

    @classmethod
    def read(cls, args: argparse.Namespace) -> PictureRequest:
        """Return what the arguments of the command ask for."""
        return cls(**settings_in(cls, vars(args)))

    @property
    def path(self) -> Path:
        """The picture's file."""
        return self.out or folder_of(self.run) / f"{self.what}.png"

    @property
    def counts(self) -> tuple[int, ...]:
        """``count`` as the last argument of the function that counts tokens or hidden units; empty: its default."""
        return () if self.count is None else (self.count,)


def show(args: argparse.Namespace) -> int:
    """Draw the picture that the arguments ask for and return the exit status."""
    request = PictureRequest.read(args)
    if request.what in CLASSIFIER_PICTURES:
        if not CLASSIFIER_PICTURES[request.what](request, ClassifierRun.open(request.run, request.ctx)):
            return 0
    else:
        PICTURES[request.what](request, TrainedRun.open(request.run, request.ctx))
    print(f"picture  {request.path}")
    return 0


def _show_next(request: PictureRequest, run: TrainedRun) -> None:
    """Draw which tokens may follow the prefix; without one, the first prefix of the training."""
    prefix, _ = run.greedy_beginning(request.prefix, REMEDY)
    probabilities = next_token_probabilities(prefix, run.model, run.vocab, *request.counts)
    shown = prefix if len(prefix) <= 16 else f"... {prefix[-16:]}"  # or the title would be cut off
    plot_next(probabilities, request.path, f"{run.name}: what follows {shown!r}")


def _show_gates(request: PictureRequest, run: TrainedRun) -> None:
    """Draw the gates over the prefix; without one, over the training's first prefix and what the model adds to it."""
    (text, sampling), layer = run.greedy_beginning(request.prefix, REMEDY), request.layer or 0
    if request.prefix is None:
        text = run.generate([text], NUM_PREDS, sampling)[0].text
    gates = gate_activations(text, run.model, run.vocab, layer)
    title = f"{run.name}: gates of the {run.checkpoint.shape.cell}, layer {layer}"
    plot_gates(gates, tokenize(text, run.vocab.level), request.path, title, *request.counts)


def _show_embedding(request: PictureRequest, run: TrainedRun) -> None:
    """Draw a map of the most frequent tokens."""
    embedding = embedding_map(run.model, run.vocab, *request.counts)
    what = "embedding" if run.checkpoint.shape.embed_size else "input weights"
    title = f"{run.name}: {what} of the {len(embedding.tokens)} most frequent tokens"
    plot_embedding(embedding, request.path, title)


PICTURES = {"next": _show_next, "gates": _show_gates, "embedding": _show_embedding}
