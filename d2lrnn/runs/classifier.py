"""A trained classifier: its name, its checkpoint, its model, its classes and its data."""

from __future__ import annotations

import os
from typing import Any

from d2lrnn.config.presets import CLASSIFICATION
from d2lrnn.data.digits import SIZE, load_digits
from d2lrnn.data.examples import Labelled
from d2lrnn.data.labelled_rows import LabelledRows, LabelledTexts, divide_texts, read_labelled_rows
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.device import ContextLike
from d2lrnn.paths import PathLike, is_there, user_path
from d2lrnn.runs.checkpoint import TEXT, Checkpoint
from d2lrnn.runs.log import RunError
from d2lrnn.runs.origin import keep_origin, place_of
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
    return {**origin, "data_dir": place_of(data_dir)} if data_dir else origin


def origin_of_rows(rows: LabelledRows, path: PathLike, held_out: float) -> dict[str, Any]:
    """Return how a checkpoint finds its file of texts again, and a SHA-256 to tell it from others."""
    return {"given": place_of(path), "sha256": rows.digest(), "held_out": held_out}


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

    @property
    def reads_texts(self) -> bool:
        """Whether the model reads texts; else it reads images."""
        return self.checkpoint.shape.input_size is None

    @property
    def vocab(self) -> Vocab:
        """The vocabulary of the texts.

        Raises:
            RunError: if the model reads no texts.
        """
        if not self.reads_texts or TEXT not in self.checkpoint.vocabularies:
            raise RunError(f"{self.path} holds a model that reads no texts: expected one of `train --label-column`")
        return self.checkpoint.vocab

    def check_reads_images(self) -> None:
        """Refuse a model that reads no images.

        Raises:
            RunError: in that case.
        """
        if self.checkpoint.shape.input_size != SIZE:
            raise RunError(f"{self.path} holds a model that reads no images: expected one of `train --config digits`")

    def data(self, data_dir: PathLike | None = None, corpus: PathLike | None = None) -> Labelled:
        """Load the examples that the run was trained, validated and tested on; keep where they are now.

        Args:
            data_dir: of images, the folder to look in first; None: as in training, if that folder is still there.
            corpus: of texts, the new place of their file; None: as in training.

        Raises:
            CorpusError: if they are missing or damaged.
            RunError: if they are not those that the run began with, or an argument is of the other kind of examples.
        """
        if self.reads_texts:
            if data_dir is not None:
                raise RunError(f"--data-dir given, but the texts of {self.path} are in a file: name it, --corpus FILE")
            return self.texts(corpus)
        if corpus is not None:
            raise RunError(f"--corpus given, but {self.path} keeps to its images: leave it out")
        origin = self._origin
        if data_dir is None and os.path.isdir(origin.get("data_dir", "")):
            data_dir = origin["data_dir"]
        data = load_digits(origin["given"], data_dir, self.checkpoint.data.get("shift", 0))
        found = data.train.digest()
        self._check_digest(data.name, found)
        if data_dir is not None:
            self._keep_place(data_dir=place_of(data_dir))
        return data

    def texts(self, corpus: PathLike | None = None) -> LabelledTexts:
        """Load the texts of the run; the argument and the errors are those of :meth:`data`."""
        origin, vocab = self._origin, self.vocab
        columns = [
            self.checkpoint.data[name] for name in ("text_column", "label_column") if name in self.checkpoint.data
        ]
        if len(columns) < 2:
            raise RunError(f"{self.path} does not say which columns of its file it was trained on: train again")
        place = place_of(origin["given"] if corpus is None else corpus)
        if corpus is None and not is_there(user_path(place)):
            raise RunError(f"the run's texts are not at {place} any more: name their new place, --corpus FILE")
        rows = read_labelled_rows(place, *columns)
        self._check_digest(rows.name, rows.digest())
        self._keep_place(given=place)
        longest = self.checkpoint.train_config.num_steps
        return divide_texts(rows, vocab.level, origin.get("held_out") or 0.1, longest, vocab, self.classes)

    def _keep_place(self, **place: str) -> None:
        """Keep a new place of the same examples in the run's files."""
        self.checkpoint = keep_origin(self.checkpoint, {**self._origin, **place})

    @property
    def _origin(self) -> dict[str, Any]:
        """How the examples were found."""
        if "given" not in self.checkpoint.origin:
            raise RunError(f"{self.path} does not say which examples it was trained on: train again")
        return self.checkpoint.origin

    def _check_digest(self, name: str, found: str) -> None:
        """Refuse other examples than those that the run began with."""
        expected = self._origin["sha256"]
        if found != expected:
            raise RunError(
                f"the examples of {name} are not those that the run began with: they have the SHA-256 {found}, "
                f"expected {expected}; put the old ones back, or train a new run"
            )
