"""A folder holds a training run: the best model, where the training stands, its log and its picture."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from d2lrnn._runtime import give_back_memory
from d2lrnn.errors import naming
from d2lrnn.paths import PathLike, make_folder, user_path
from d2lrnn.runs.agreement import check_best, check_log
from d2lrnn.runs.checkpoint import BEST, LAST, PICTURE, Checkpoint, load_checkpoint, save_checkpoint
from d2lrnn.runs.lock import FolderLock
from d2lrnn.runs.log import LOG, epoch_entry, machine, read_log
from d2lrnn.runs.whole_file import remove_parts, whole_file
from d2lrnn.training.history import Position
from d2lrnn.training.loop import SEGMENT, Training
from d2lrnn.training.progress import say


@dataclass(frozen=True)
class Pace:
    """How often a run is saved."""

    segment: int = SEGMENT  # batches of an epoch between two places where the run may be saved
    period: float = 60.0  # the least number of seconds between two savings
    largest_share: float = 0.02  # the largest share of the time that saving may take, above 0


USUAL_PACE = Pace()


class RunFolder:
    """Keeps a training run on disk while it goes on.

    Call :meth:`begin`, give :meth:`keep` to :meth:`Training.run` as ``on_segment``, and call :meth:`finish`, or
    :meth:`rescue` if an exception has ended the training.

    The best model and the last position are saved after the first segment, then every minute (less often if saving
    would take more than 2 % of the time), and at the end.  A run that stands in the folder already is given up when the
    new run is first saved, and at no moment are there files of both.  Files that are removed while the run goes on are
    made again at the next saving, and it is said.  The folder is locked: no other object can be made of it until
    :meth:`close` is called, or this object or its process is gone.

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

    def __init__(self, folder: PathLike, training: Training, about: Checkpoint, pace: Pace = USUAL_PACE) -> None:
        self.folder, self._training, self._pace = user_path(folder), training, pace
        # Where a run goes on, ``about`` is the loaded checkpoint: its parameters and position are soon outdated.
        self._about = dataclasses.replace(about, parameters={}, training=None, reached={}, path=None)
        self._valid = training.history.valid_measure  # the name of the measure in validation
        self._sign = 1 if training.objective.less_is_better else -1
        self._best: Checkpoint | None = None  # a new best model that is still to be written
        self._has_best = False  # whether there is a best model, written or not
        self._to_beat = math.inf  # sign * the best measure in validation: for a new best model it must not be larger
        self._noted = self._logged = 0  # how many epochs were compared with the best one; how many are in the log
        self._head: dict[str, Any] = {}  # the log's line about this process
        self._unwritten: list[dict] | None = None  # the log's lines as long as the folder holds another run
        self._saved, self._pause = time.monotonic(), 0.0  # no pause: the run is saved after its first segment
        self.kept: Position | None = None
        self._lock = self._enter()

    def _enter(self) -> FolderLock:
        make_folder(self.folder)
        return FolderLock(self.folder)

    def close(self) -> None:
        """Let others train in the folder."""
        self._lock.release()

    def begin(self, command: str) -> None:
        """Write the head of the log, or for a restored training the entry that it goes on.

        The log then tells of the epochs that the training knows of, and of no later one.  If the folder holds another
        run, nothing is written yet.

        Args:
            command: the command line, for the log.

        Raises:
            FileError: if the log cannot be read or written.
            RunError, CheckpointError: if there is a log or a best model that cannot be read as such, or is of another
                run.
        """
        history, resumed = self._training.finished, self._training.update.steps > 0
        best: dict[str, Any] = {}
        model_config = self._about.model_config
        entries = read_log(self.folder / LOG) if resumed and (self.folder / LOG).exists() else []
        if resumed:
            check_log(self.folder, entries, self._about, history)
            best = self._find_best(entries)
            self.kept = dataclasses.replace(self._training.position)
        self._head = {
            "event": "resume" if resumed else "begin",
            "command": command,
            "measure": history.measure,
            "less_is_better": history.less_is_better,
            "model": None if model_config is None else dataclasses.asdict(model_config),
            "training": dataclasses.asdict(self._training.config),
            "corpus": self._about.corpus,
            "machine": machine(),
        }
        self._noted = self._logged = done = len(history.epochs)
        if best.get("epoch", 0) > done:  # its own line is left out
            self._head["best"] = best
        repeated = {"test"} if self._training.over else set()  # the test follows at once, and is logged again
        entries = [entry for entry in entries if entry.get("epoch", 0) <= done and entry.get("event") not in repeated]
        logged = {entry.get("epoch") for entry in entries}
        entries += [epoch_entry(history, epoch) for epoch in range(1, done + 1) if epoch not in logged]
        for name in (BEST, LAST, LOG):
            remove_parts(self.folder / name)
        if not resumed and any((self.folder / name).exists() for name in (BEST, LAST)):
            self._unwritten = [self._head]
        else:
            self._write_log([*entries, self._head])

    def _find_best(self, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Take the best model that the folder holds as the one to beat, and return what it reached, or {}.

        It may be of a later epoch than the position.  If it is missing, that is said.
        """
        history, path = self._training.finished, self.folder / BEST
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
        if self._unwritten is not None:
            self._unwritten.append(entry)
            return
        path = self.folder / LOG
        with naming(path), open(path, "a") as file:
            file.write(json.dumps(entry) + "\n")

    def _write_log(self, entries: Sequence[dict]) -> None:
        with whole_file(self.folder / LOG) as file:
            file.write("".join(json.dumps(entry) + "\n" for entry in entries).encode())

    def keep(self) -> None:
        """Log an epoch that is over, note a new best model, and save if it is time; called after each segment."""
        self._note_epoch()
        if time.monotonic() - self._saved > self._pause:
            self.save()

    def save(self) -> None:
        """Write a new best model, if there is one, and the position; call it only between two batches."""
        start = time.monotonic()
        last = self._checkpoint(training=self._training.snapshot())
        if self._unwritten is None:
            self._make_again()
            self._save_best()  # first, or a kill in between would leave a position from which it is never found again
            save_checkpoint(self.folder / LAST, last)
        else:
            self._replace_other_run(last)
        del last
        give_back_memory()
        self.kept = dataclasses.replace(self._training.position)
        self._saved = time.monotonic()
        self._pause = max(self._pace.period, (self._saved - start) / self._pace.largest_share)

    def rescue(self) -> None:
        """Keep what the run has reached, if that is possible, after an exception has ended the training."""
        if not self._training.is_whole or not self._training.update.steps:
            return
        try:
            self._note_epoch()
            self.save()
        except Exception:  # as on a full disk: the exception that has ended the training is the one to tell
            return

    def finish(self, diverged: bool = False) -> Path | None:
        """Write what is still to be written, and return the file of the best model; None if there is no best model.

        model.d2lrnn is the best model by validation; without validation it is the newest, and after divergence the
        newest of a finished epoch.  Before the first step there is nothing to keep, and another run in the folder is
        left as it is.
        """
        training = self._training
        keeps_position = training.is_whole and not diverged
        if not training.update.steps or (self._unwritten is not None and not keeps_position):
            return None
        newest = not self._has_best or (training.history.stopped and not training.history.valid)
        if newest and not diverged:
            self._note_best()
        if keeps_position:
            self.save()
        else:
            self._save_best()
        return self.folder / BEST if self._has_best else None

    def _note_epoch(self) -> None:
        """Note a new best model and log the epoch, if one is over; what fails is done when this is called again."""
        history = self._training.finished
        epoch = len(history.epochs)
        if self._noted < epoch:
            found = self._sign * history.valid[-1] if history.valid else -math.inf
            if found < self._to_beat or (found == self._to_beat and history.best_epoch == epoch):
                self._note_best()
            self._noted = epoch
        if self._logged < epoch:
            self._make_again()
            self.log(**epoch_entry(history, epoch))
            self._logged = epoch

    def _note_best(self) -> None:
        history = self._training.finished
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

    def _replace_other_run(self, last: Checkpoint) -> None:
        """Let this run take the place of another one; a kill at any point leaves files of one of them only."""
        new = {name: found for name, found in ((LAST, last), (BEST, self._best)) if found is not None}
        beside = {name: self.folder / f"{name}.new.part" for name in new}
        for name, checkpoint in new.items():
            save_checkpoint(beside[name], checkpoint)
        # From the other run's position alone that run can go on, and from this run's position alone this one.
        for name in (PICTURE, BEST, LOG):
            with naming(self.folder / name):
                (self.folder / name).unlink(missing_ok=True)
        for name, path in beside.items():
            with naming(self.folder / name):
                os.replace(path, self.folder / name)
        self._write_log(self._unwritten or [])
        self._best, self._unwritten = None, None

    def _make_again(self) -> None:
        """Make the folder, the log and the best model again, if they were removed while the run went on, and say so."""
        if self._unwritten is not None or not self._head:
            return
        lost = [self.folder] if self._lock.is_lost else []  # what to name
        if lost:
            self._lock.release()
            self._lock = self._enter()
        if not (self.folder / LOG).exists():
            lost = lost or [self.folder / LOG]
            history = self._training.finished
            self._write_log([self._head, *(epoch_entry(history, epoch) for epoch in range(1, self._logged + 1))])
        best = ""
        if self._has_best and self._best is None and not (self.folder / BEST).exists():
            best = ", but the best model so far is lost, and the present one stands for it"
            lost = lost or [self.folder / BEST]
            self._to_beat = math.inf  # of the epochs that are left the best one will be kept
            self._note_best()
        if lost:
            say(
                self._training.config,
                f"{lost[0]} was removed or renamed while the run goes on: made again{best}; "
                "leave the folder of a run alone until the run ends",
            )

    def _checkpoint(self, **more: Any) -> Checkpoint:
        return self._about.with_parameters(self._training.model, train_config=self._training.config, **more)
