"""A run that was trained: its name and its checkpoint."""

from __future__ import annotations

from pathlib import Path

from d2lrnn.runs.checkpoint import BEST, Checkpoint, load_checkpoint
from d2lrnn.runs.log import RunError


def name_of(run: Path) -> str:
    """Return what to call a run, of which its folder or a file in it is given."""
    return run.resolve().name if run.is_dir() else run.resolve().parent.name


def load_run(run: Path, name: str = BEST) -> Checkpoint:
    """Load a checkpoint of a run: from its folder the one of this name, or the file itself.

    Raises:
        RunError: if there is none.
        CheckpointError: if it is damaged.
    """
    path = run / name if run.is_dir() else run
    if not path.is_file():
        raise RunError(f"{path} is not there: expected a folder that `train` wrote, or a checkpoint in it")
    return load_checkpoint(path)
