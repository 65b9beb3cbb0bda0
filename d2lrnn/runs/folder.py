"""A folder holds a training run: the best model, where the training stands, its log and its picture."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import math
import os
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from d2lrnn.errors import naming
from d2lrnn.runs.agreement import check_best, check_log
from d2lrnn.runs.checkpoint import BEST, LAST, Checkpoint, load_checkpoint, save_checkpoint
from d2lrnn.runs.log import LOG, RunError, epoch_entry, machine, read_log
from d2lrnn.runs.whole_file import remove_parts, whole_file
from d2lrnn.training.history import Position
from d2lrnn.training.loop import SEGMENT, Training
from d2lrnn.training.progress import say


@dataclass(frozen=True)
class Pace:
    """How often a run can be halted, and how often it is saved."""

    segment: int = SEGMENT  # batches between two places where the run can be halted within an epoch
    period: float = 60.0  # the least number of seconds between two savings
    largest_share: float = 0.02  # the largest share of the time that saving may take, above 0


USUAL_PACE = Pace()


class RunFolder:
    """Keeps a training run on disk while it goes on.

    Call :meth:`begin`, give :meth:`keep` to :meth:`Training.run` as ``on_segment``, and call :meth:`finish`.

    The best model and the last position are saved at the first place where the run can halt, then every minute (less
    often if saving would take more than 2 % of the time), and at the end.  The folder is locked: no other object can be
    made of it until this object or its process is gone.

    Args:
        folder: where the files are; made if it is not there.
        training: the training to keep.
        about: what is known of the model and its text beside the parameters (:meth:`Checkpoint.about`).
        pace: how often the run is saved.

    Attributes:
        kept: the position that was written last, or from which the run went on; None: there is none yet.

    Raises:
        FileError: if the folder cannot be made.
        RunError: if another process is training there.
    """

    def __init__(self, folder: Path, training: Training, about: Checkpoint, pace: Pace = USUAL_PACE) -> None:
        self.folder, self._training, self._pace = folder, training, pace
        # Where a run goes on, ``about`` is the loaded checkpoint: its parameters and position are soon outdated.
        self._about = dataclasses.replace(about, parameters={}, training=None, reached={}, path=None)
        self._valid = training.history.valid_measure  # the name of the measure in validation
        self._sign = 1 if training.objective.less_is_better else -1
        self._best: Checkpoint | None = None  # a new best model that is still to be written
        self._has_best = False  # whether there is a best model, written or not
        self._to_beat = math.inf  # sign * the best measure in validation: for a new best model it must not be larger
        self._saved, self._pause = time.monotonic(), 0.0  # no pause: the run is saved where it can first be halted
        self.kept: Position | None = None
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock()

    def _lock(self) -> None:
        """Keep other processes out; the lock ends with this process, even with one that is killed."""
        with naming(self.folder):
            descriptor = os.open(self.folder, os.O_RDONLY)
        weakref.finalize(self, os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"another process is training in {self.folder}: wait until it ends, or name another folder (--out)"
            ) from None
        except OSError:  # a file system without locks
            pass

    def begin(self, command: str) -> None:
        """Write the head of the log, or for a restored training the entry that it goes on.

        The log then tells of the epochs that the training knows of, and of no later one.

        Args:
            command: the command line, for the log.

        Raises:
            FileError: if the log cannot be read or written.
            RunError, CheckpointError: if there is a log or a best model that cannot be read as such, or is of another
                run.
        """
        history, resumed = self._training.history, self._training.update.steps > 0
        best: dict[str, Any] = {}
        done, model_config = len(history.epochs), self._about.model_config
        entries = read_log(self.folder / LOG) if resumed and (self.folder / LOG).exists() else []
        if resumed:
            check_log(self.folder, entries, self._about, history)
            best = self._find_best(entries)
            self.kept = dataclasses.replace(self._training.position)
        event = {
            "event": "resume" if resumed else "begin",
            "command": command,
            "measure": history.measure,
            "less_is_better": history.less_is_better,
            "model": None if model_config is None else dataclasses.asdict(model_config),
            "training": dataclasses.asdict(self._training.config),
            "corpus": self._about.corpus,
            "machine": machine(),
        }
        if best.get("epoch", 0) > done:  # its own line is left out
            event["best"] = best
        repeated = {"test"} if self._training.over else set()  # the test follows at once, and is logged again
        entries = [entry for entry in entries if entry.get("epoch", 0) <= done and entry.get("event") not in repeated]
        logged = {entry.get("epoch") for entry in entries}
        entries += [epoch_entry(history, epoch) for epoch in range(1, done + 1) if epoch not in logged]
        lines = "".join(json.dumps(entry) + "\n" for entry in [*entries, event])
        for name in (BEST, LAST, LOG):
            remove_parts(self.folder / name)
        with whole_file(self.folder / LOG) as file:
            file.write(lines.encode())

    def _find_best(self, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Take the best model that the folder holds as the one to beat, and return what it reached, or {}.

        It may be of a later epoch than the position.  If it is missing, that is said.
        """
        history, path = self._training.history, self.folder / BEST
        if path.exists():
            best = load_checkpoint(path)
            check_best(self.folder, best, self._about, history, entries)
            self._has_best = True
            if self._valid in best.reached:
                self._to_beat = self._sign * best.reached[self._valid]
            return best.reached
        if history.valid:
            say(
                self._training.config,
                f"{path} is missing, the best model, of epoch {history.best_epoch}: put it back and resume again, or "
                "the best model from here on is kept",
            )
        return {}

    def log(self, **entry: Any) -> None:
        """Add a line to the log."""
        path = self.folder / LOG
        with naming(path), open(path, "a") as file:
            file.write(json.dumps(entry) + "\n")

    def keep(self) -> None:
        """Log an epoch that is over, note a new best model, and save if it is time; called where the run can halt."""
        history = self._training.history
        if self._training.position.batch == 0:
            epoch = len(history.epochs)
            self.log(**epoch_entry(history, epoch))
            found = self._sign * history.valid[-1] if history.valid else -math.inf
            if history.best_epoch == epoch and found <= self._to_beat:
                self._note_best()
        if time.monotonic() - self._saved > self._pause:
            self.save()

    def save(self) -> None:
        """Write a new best model, if there is one, and the position; call it only where the training can halt."""
        start = time.monotonic()
        self._save_best()
        save_checkpoint(self.folder / LAST, self._checkpoint(training=self._training.snapshot()))
        self.kept = dataclasses.replace(self._training.position)
        self._saved = time.monotonic()
        self._pause = max(self._pace.period, (self._saved - start) / self._pace.largest_share)

    def finish(self, diverged: bool = False) -> Path | None:
        """Write what is still to be written, and return the file of the best model; None if there is no best model.

        If the run was stopped, last.d2lrnn is the position of the last save.  model.d2lrnn is the best model by
        validation; without validation it is the newest, and after divergence the newest of a finished epoch.
        """
        history = self._training.history
        newest = not self._has_best or (history.stopped and not history.valid)
        if newest and not diverged:
            self._note_best()
        if not history.stopped:
            self.save()
        self._save_best()
        return self.folder / BEST if self._has_best else None

    def _note_best(self) -> None:
        history = self._training.history
        reached: dict[str, Any] = {"epoch": len(history.epochs)}
        measures = history.epochs[-1] if history.epochs else {}
        if self._valid in measures and self._training.position.batch == 0:
            reached[self._valid] = measures[self._valid]
            self._to_beat = self._sign * measures[self._valid]
        with self._training.average.in_place():
            self._best, self._has_best = self._checkpoint(reached=reached), True

    def _save_best(self) -> None:
        if self._best is not None:
            save_checkpoint(self.folder / BEST, self._best)
            self._best = None

    def _checkpoint(self, **more: Any) -> Checkpoint:
        return self._about.with_parameters(self._training.model, train_config=self._training.config, **more)
