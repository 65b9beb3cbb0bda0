"""A trained classifier: its name, its checkpoint, its model, its classes and its data."""

from __future__ import annotations

import os
from typing import Any

from d2lrnn.config.presets import CLASSIFICATION
from d2lrnn.data.digits import SIZE, load_digits
from d2lrnn.data.examples import Labelled
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.device import ContextLike
from d2lrnn.paths import PathLike, user_path
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.log import RunError
from d2lrnn.runs.trained import Run

ONE_ANSWER = ("state", "output", "mean")  # heads that answer a sequence once

LABELS = "labels"  # what the vocabulary of the classes' names is called


def label_vocab(classes: tuple[str, ...]) -> Vocab:
    """Return the vocabulary that a checkpoint keeps the names of classes in."""
    return Vocab.from_list(classes, "word")


def origin_of_examples(data: Labelled, given: str, data_dir: PathLike | None = None) -> dict[str, Any]:
    """Return what a checkpoint keeps of its examples: how to find them again, and a SHA-256 to tell them from others.

    Args:
        data: as they were loaded.
        given: their name.
        data_dir: the folder to look in first, if one was named.
    """
    origin = {"given": given, "sha256": data.train.digest()}
    return {**origin, "data_dir": os.path.realpath(user_path(data_dir))} if data_dir else origin


class ClassifierRun(Run):
    """A classifier that a training left.

    Args:
        path: the run's folder, or a checkpoint file.
        checkpoint: of the run.
        ctx: the device for the model, as for :func:`d2lrnn.device.as_ctx`.

    Attributes:
        path, checkpoint: as given.
        name: the run's, which is its folder's.

    Raises:
        RunError: if the run is of another task, or its model has not one output for each class.
    """

    TASK = CLASSIFICATION
    EXPECTED = "a classifier, such as `train --config digits` makes"

    def __init__(self, path: PathLike, checkpoint: Checkpoint, ctx: ContextLike = None) -> None:
        super().__init__(path, checkpoint, ctx)
        if LABELS not in checkpoint.vocabularies:
            raise self.of_another_task()
        shape = checkpoint.shape
        if shape.head not in ONE_ANSWER or shape.num_outputs != len(self.classes):
            raise RunError(
                f"{checkpoint.path or self.path} has {len(self.classes)} classes, and a model with {shape.num_outputs} "
                f"outputs and the head {shape.head!r}: expected an output for each class, read once a sequence"
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, by the numbers that stand for them."""
        return self.checkpoint.vocabularies[LABELS].idx_to_token

    def check_reads_images(self) -> None:
        """Refuse a model that reads no images.

        Raises:
            RunError: in that case.
        """
        if self.checkpoint.shape.input_size != SIZE:
            raise RunError(f"{self.path} holds a model that reads no images: expected one of `train --config digits`")

    def data(self, data_dir: PathLike | None = None) -> Labelled:
        """Load the examples that the run was trained, validated and tested on.

        Args:
            data_dir: the folder to look in first; None: as in training, if that folder is still there.

        Raises:
            CorpusError: if they are missing or damaged.
            RunError: if they are not those that the run began with.
        """
        origin = self.checkpoint.origin
        if "given" not in origin:
            raise RunError(f"{self.path} does not say which examples it was trained on: train again")
        if data_dir is None and os.path.isdir(origin.get("data_dir", "")):
            data_dir = origin["data_dir"]
        data = load_digits(origin["given"], data_dir, self.checkpoint.data.get("shift", 0))
        found = data.train.digest()
        if found != origin["sha256"]:
            raise RunError(
                f"the examples of {data.name} are not those that the run began with: they have the SHA-256 {found}, "
                f"expected {origin['sha256']}; put the old ones back, or train a new run"
            )
        return data
