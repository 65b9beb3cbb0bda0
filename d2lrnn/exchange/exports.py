"""From a trained run to a file of another framework, and from such a file to a run."""

from __future__ import annotations

from pathlib import Path
from typing import Union

from d2lrnn.config.presets import CLASSIFICATION, FORECASTING, LANGUAGE_MODEL, TRANSLATION
from d2lrnn.config.run_files import BEST
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.errors import naming
from d2lrnn.exchange.answers import ExchangeError
from d2lrnn.exchange.contents import contents_of
from d2lrnn.exchange.onnx_file import Exported, write_onnx
from d2lrnn.exchange.run_folder import save_run
from d2lrnn.exchange.safetensors_file import read_safetensors, write_safetensors
from d2lrnn.paths import PathLike, is_there, user_path
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.classifier import ClassifierRun
from d2lrnn.runs.forecaster import ForecasterRun
from d2lrnn.runs.trained import Run, TrainedRun, load_run
from d2lrnn.runs.translator import TranslatorRun

AnyRun = Union[PathLike, Run, Checkpoint]

RUNS: dict[str, type[Run]] = {
    LANGUAGE_MODEL: TrainedRun,
    CLASSIFICATION: ClassifierRun,
    FORECASTING: ForecasterRun,
    TRANSLATION: TranslatorRun,
}


def export_safetensors(run: AnyRun, path: PathLike, overwrite: bool = False) -> Path:
    """Write a trained model under PyTorch's names, as a safetensors file; read the file back and compare.

    The page "A way out of MXNet" has a short program in PyTorch that loads the file and writes on.

    Args:
        run: the run's folder, a checkpoint's path, or one of them as it was loaded.
        path: the file to write.
        overwrite: whether to write over a file that is there.

    Returns:
        the file's path.

    Raises:
        ExchangeError: if the model cannot be described, the file is there, or the package safetensors is not installed.
        RunError, CheckpointError, FileError: as for :func:`opened`.
    """
    path = check_free(path, overwrite)
    return write_safetensors(contents_of(opened(run)), path)


def export_onnx(run: AnyRun, path: PathLike, overwrite: bool = False) -> Exported:
    """Write a trained model as an ONNX graph; where onnxruntime is installed, run the file and compare.

    The page "A way out of MXNet" has a short program with onnxruntime and NumPy that loads the file and writes on.

    Args:
        run: the run's folder, a checkpoint's path, or one of them as it was loaded.
        path: the file to write.
        overwrite: whether to write over a file that is there.

    Returns:
        the file's path and size, and how far what it computes is from what the model computes.

    Raises:
        ExchangeError: if the model cannot be described or is too large for the format, the file is there, or the
            package onnx is not installed.
        RunError, CheckpointError, FileError: as for :func:`opened`.
    """
    path, run = check_free(path, overwrite), opened(run)
    model = run.model if isinstance(run, Run) else run.build_model()
    return write_onnx(contents_of(run), path, model)


def import_safetensors(
    path: PathLike,
    folder: PathLike,
    kind: str | None = None,
    cell: str | None = None,
    vocab: Vocab | None = None,
    overwrite: bool = False,
) -> Path:
    """Make a run of a safetensors file with PyTorch's names, which :func:`export_safetensors` or PyTorch has written.

    Args:
        path: the file.
        folder: for the run.
        kind: of the model here, ``scratch``, ``fast`` or ``gluon``; None: as the file says, or else ``gluon``.
        cell: as for :func:`d2lrnn.exchange.safetensors_file.read_safetensors`.
        vocab: the model's vocabulary; None: it is in the file, or the model reads numbers.
        overwrite: whether to give up a run that is in the folder.

    Returns:
        the path of the run's checkpoint.

    Raises:
        ExchangeError: if the file holds no such model, there is no model of this kind, or the package safetensors is
            not installed.
        RunError: if the folder holds a run.
        FileError: if a file cannot be read or written.
    """
    return save_run(read_safetensors(path, cell, vocab), folder, kind, overwrite)


def opened(run: AnyRun) -> Run | Checkpoint:
    """Return a run of any task, or a checkpoint; if it is a path, what is there is loaded.

    Raises:
        RunError, CheckpointError, FileError: as for :func:`d2lrnn.runs.trained.load_run`; for a run whose model does
            not fit its task.
    """
    return run if isinstance(run, (Run, Checkpoint)) else open_run(run)


def open_run(path: PathLike) -> Run:
    """Open the run of any task in a folder or at a checkpoint, its model on the CPU; errors are those of `opened`."""
    checkpoint = load_run(path)
    return RUNS[checkpoint.task](path, checkpoint, "cpu")


def check_free(path: PathLike, overwrite: bool) -> Path:
    """Return the path of a file to write; refuse one that is there, unless it is to be written over.

    A checkpoint is never written over: it may be the one that is exported.

    Raises:
        ExchangeError: if it is there.
        FileError: if that cannot be found out.
    """
    path = user_path(path)
    with naming(path):
        is_folder = path.is_dir()
    if is_folder:
        raise ExchangeError(f"{path} is a folder: expected a file to write, --out FILE")
    if is_there(path) and path.suffix == Path(BEST).suffix:
        raise ExchangeError(f"{path} is there already and a checkpoint: name another file (--out)")
    if is_there(path) and not overwrite:
        raise ExchangeError(f"{path} is there already: name another file (--out), or write over it (--overwrite)")
    return path
