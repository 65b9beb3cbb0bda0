"""A trained run: its name, its checkpoint, its model, how texts go to that model and how it writes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from d2lrnn.config.generation import Sampling
from d2lrnn.config.presets import CLASSIFICATION, FORECASTING, LANGUAGE_MODEL, TRANSLATION
from d2lrnn.data.vocabulary import LINE_END
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import naming
from d2lrnn.generation.prefixes import as_lines
from d2lrnn.generation.sampling import Counts, Sample, Written, generate, stream
from d2lrnn.generation.search import Mask
from d2lrnn.models.protocol import check_causal, check_vocab
from d2lrnn.paths import PathLike, is_there, user_path
from d2lrnn.runs.checkpoint import BEST, LAST, Checkpoint, load_checkpoint
from d2lrnn.runs.log import RunError

AnyRun = TypeVar("AnyRun", bound="Run")

# What a user can do with a run of another task.
OTHER_COMMANDS = {
    CLASSIFICATION: "with a classifier go `classify`, `evaluate`, `export`, and `show --what confusion` or `misread`",
    FORECASTING: "with a forecaster go `forecast`, `evaluate` and `export`",
    TRANSLATION: "with a translator go `translate`, `play` and `evaluate`",
}


def name_of(run: PathLike) -> str:
    """Return the name of a run's folder; ``run`` is this folder or a file in it."""
    run = user_path(run)
    with naming(run):
        path = Path(os.path.realpath(run))  # Path.resolve() raises RuntimeError where links go round in a circle
        return path.name if run.is_dir() else path.parent.name


def folder_of(run: PathLike) -> Path:
    """Return the folder of a run; ``run`` is this folder or a file in it."""
    run = user_path(run)
    with naming(run):
        return run if run.is_dir() else run.parent


def load_run(run: PathLike, name: str = BEST) -> Checkpoint:
    """Load a checkpoint of a run.

    Args:
        run: the run's folder, or a checkpoint file.
        name: the checkpoint's file name in the folder.

    Raises:
        RunError: if there is no such file.
        CheckpointError: if the file is damaged or made up.
        FileError: if the file cannot be read.
    """
    run = user_path(run)
    with naming(run):
        path = run / name if run.is_dir() else run
        only_model = name == LAST and run.is_dir() and (run / BEST).exists()
    if not is_there(path):
        if only_model:
            raise RunError(
                f"{run} holds a model but no {LAST}, where its training would go on: an imported model has none"
            )
        raise RunError(f"{path} is not there: expected a folder that `train` wrote, or a checkpoint in it")
    return load_checkpoint(path)


class Run:
    """A run that a training left; derive from it for each task.

    Args:
        path: the run's folder, or a checkpoint file.
        checkpoint: of the run.
        ctx: the device for the model, as for :func:`d2lrnn.device.as_ctx`.

    Attributes:
        path, checkpoint: as given.
        name: the run's, which is its folder's.

    Raises:
        RunError: if the run is of another task.
    """

    TASK = LANGUAGE_MODEL  # what the run is about
    EXPECTED = ""  # what a run of another task is told

    def __init__(self, path: PathLike, checkpoint: Checkpoint, ctx: ContextLike = None) -> None:
        self.path, self.checkpoint, self._ctx = user_path(path), checkpoint, ctx
        self.name = name_of(path)
        if checkpoint.task != self.TASK:
            raise self.of_another_task()

    def of_another_task(self) -> RunError:
        """Return the error of a run that is of another task."""
        where = self.checkpoint.path or self.path
        return RunError(f"{where} is of the task {self.checkpoint.task}: expected {self.EXPECTED}")

    @classmethod
    def open(cls: type[AnyRun], path: PathLike, ctx: ContextLike = None) -> AnyRun:
        """Open the run in a folder, or the run of a checkpoint file.

        Raises:
            RunError, CheckpointError, FileError: as :func:`load_run`.
        """
        return cls(path, load_run(path), ctx)

    @cached_property
    def model(self) -> Any:
        """The model with the checkpoint's parameters, built when it is first asked for.

        Raises:
            DeviceError: if the device is not there.
            CheckpointError: if the parameters do not fit the model that the checkpoint describes.
        """
        return self.checkpoint.build_model(as_ctx(self._ctx))


class TrainedRun(Run):
    """A language model that a training left, ready to read and to write.

    Texts go to the model as they did in its training.  A model that was trained on whole lines reads a line end before
    each text.  If a model was trained on single lines, its texts end at the next line end.

    Args:
        path: the run's folder, or a checkpoint file.
        checkpoint: of the run.
        ctx: the device for the model, as for :func:`d2lrnn.device.as_ctx`.

    Attributes:
        path, checkpoint: as given.
        name: the run's, which is its folder's.
        vocab: the vocabulary of the training.

    Raises:
        RunError: if the run is of another task than a language model's.
    """

    EXPECTED = "a language model, which writes"

    def __init__(self, path: PathLike, checkpoint: Checkpoint, ctx: ContextLike = None) -> None:
        super().__init__(path, checkpoint, ctx)
        self.vocab = checkpoint.vocab

    def of_another_task(self) -> RunError:
        """Return the error of a run that is of another task, with the commands for it."""
        return RunError(f"{super().of_another_task()}; {OTHER_COMMANDS.get(self.checkpoint.task, 'see --help')}")

    @property
    def num_lines(self) -> int:
        """How many whole lines a row of the training had; 0: rows were windows of the text."""
        return self.checkpoint.train_config.lines_per_row

    @property
    def first_text(self) -> str:
        """The beginning to suggest to a user: the training's first prefix without line ends, or an empty text."""
        return next(iter(self.checkpoint.train_config.prefixes), "").strip(LINE_END)

    def check_writes(self) -> None:
        """Refuse a model that cannot write.

        Raises:
            LooksAheadError: for a bidirectional model.
            D2lrnnError: for a model whose outputs are not the vocabulary's tokens.
        """
        check_causal(self.model)
        check_vocab(self.model, self.vocab)

    def beginnings(self, given: Sequence[str] = (), remedy: str = "say what to start from") -> list[str]:
        """Return the given texts, or, if there are none, the training's prefixes, each once.

        Args:
            given: the texts to begin with; empty: the training's prefixes.
            remedy: what the error tells the user to do.

        Raises:
            RunError: if no text is given and the training had no prefixes.
        """
        found = list(given) or list(dict.fromkeys(self.checkpoint.train_config.prefixes))
        if not found:
            raise RunError(f"{self.path} was trained without prefixes: {remedy}")
        return found

    def as_read(self, texts: Sequence[str], sampling: Sampling) -> tuple[list[str], Sampling]:
        """Return texts as the model is to read them, and the settings to continue them with.

        Texts that this method has returned come back unchanged.

        Raises:
            UnknownTokenError: in a run of lines, for a token that the vocabulary lacks, with its position in the given
                text.
        """
        if not self.num_lines:
            return list(texts), sampling
        for text in dict.fromkeys(texts):
            self.vocab.encode(text)
        return as_lines(texts, sampling, self.num_lines)

    def greedy_beginning(self, text: str | None = None, remedy: str = "say what to read") -> tuple[str, Sampling]:
        """Return what the model reads first, and the settings by which it then writes the likeliest tokens.

        Args:
            text: the text to begin with; None: the training's first prefix.
            remedy: as for :meth:`beginnings`.

        Raises:
            RunError, UnknownTokenError: as :meth:`beginnings` and :meth:`as_read`.
        """
        first = self.beginnings(() if text is None else (text,), remedy)[0]
        (first,), sampling = self.as_read([first], Sampling(temperature=0.0))
        return first, sampling

    def generate(
        self, texts: Sequence[str], num_preds: Counts, sampling: Sampling | None = None, mask: Mask | None = None
    ) -> list[Sample]:
        """Continue texts by :func:`d2lrnn.generation.sampling.generate`, read as in training (:meth:`as_read`)."""
        starts, sampling = self.as_read(texts, sampling or Sampling())
        return generate(starts, num_preds, self.model, self.vocab, sampling, mask)

    def stream(
        self, texts: Sequence[str], num_preds: Counts, sampling: Sampling | None = None, mask: Mask | None = None
    ) -> Iterator[Written]:
        """Continue texts by :func:`d2lrnn.generation.sampling.stream`, read as in training (:meth:`as_read`)."""
        starts, sampling = self.as_read(texts, sampling or Sampling())
        return stream(starts, num_preds, self.model, self.vocab, sampling, mask)
