"""The command ``train``: train a model, or go on with a run."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import os
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from d2lrnn.cli.beginning import config_of, folder_of
from d2lrnn.cli.devices import DeviceRequest
from d2lrnn.cli.from_arguments import given_in
from d2lrnn.cli.shell import argument, command, joined, option
from d2lrnn.cli.streams import complain, lasting_output
from d2lrnn.cli.tasks.prepared import Prepared, refuse_changes
from d2lrnn.cluster.job import GO_ON
from d2lrnn.config.model import ModelConfig
from d2lrnn.config.presets import CONFIGS
from d2lrnn.config.run_files import BEST, LAST, PICTURE
from d2lrnn.config.training import TrainConfig
from d2lrnn.errors import D2lrnnError, naming
from d2lrnn.interrupts import on_first
from d2lrnn.plotting.pictures import plot_history
from d2lrnn.runs.agreement import check_position
from d2lrnn.runs.folder import USUAL_PACE, Pace, RunFolder
from d2lrnn.runs.log import RunError
from d2lrnn.runs.trained import load_run
from d2lrnn.training.divergence import TrainingDivergedError
from d2lrnn.training.history import Position
from d2lrnn.training.loop import Training
from d2lrnn.training.objective import format_measure
from d2lrnn.training.task import Task
from d2lrnn.visible import in_a_line

# The settings that decide which batches an epoch has.
BATCH_SETTINGS = ("batch_size", "num_steps", "num_lines", "use_random_iter", "vary_steps", "seed")

# The signals that stop a training.  SIGHUP comes when a terminal or a connection is closed.
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def train(args: argparse.Namespace, pace: Pace = USUAL_PACE) -> int:
    """Train a model, or go on with a run, and return the exit status.

    The first Ctrl-C, SIGTERM or SIGHUP stops the training after the present batch and keeps the position; a second one
    ends it at once.  Whatever else ends the training, the position is kept first, if that is possible.
    """
    where = DeviceRequest.read(args)
    with lasting_output("the training goes on without it, and the log in the run's folder tells of it"), where.voice():
        return _go_on(args, where, pace) if args.resume else _begin(args, where, pace)


def _begin(args: argparse.Namespace, where: DeviceRequest, pace: Pace) -> int:
    name, folder = config_of(args), folder_of(args)
    with naming(folder):
        present = [file for file in (LAST, BEST) if (folder / file).exists()]
    if present and not args.overwrite:
        go_on = f"go on with it ({_resume(folder)}), " if LAST in present else ""
        raise RunError(f"{folder} holds a run already: {go_on}name another folder (--out), or give it up (--overwrite)")
    # Before the folder is touched: something may not fit.
    prepared = _task(CONFIGS[name].task).begin(args, CONFIGS[name])
    if args.vectors is not None and getattr(prepared.task.model, "embedding", None) is None:
        raise D2lrnnError("--vectors is for models that read words or characters, and this one reads numbers")
    training = _training(prepared.task, where, pace)
    if not training.devices.is_first:
        return _follow(training, prepared.task)
    run = RunFolder(folder, training, prepared.about, pace)
    with contextlib.closing(run):
        print("\n".join(prepared.lines))
        return _carry_out(args, run, training, prepared)


def _task(name: str) -> Any:
    """Return the file of :mod:`d2lrnn.cli.tasks` that prepares a task, with its functions ``begin`` and ``go_on``."""
    return importlib.import_module(f"d2lrnn.cli.tasks.{name}")


def _training(task: Task, where: DeviceRequest, pace: Pace) -> Training:
    """Return the training of a task, on its devices; a worker that is not the first says nothing."""
    devices = where.devices(task.model)
    if not devices.is_first:
        task.config = dataclasses.replace(task.config, verbose=False)
    return Training(task.model, task.config, task.objective, pace.segment, devices=devices)


def _follow(training: Training, task: Task) -> int:
    """Train as a worker that is not the first, and return the exit status; the first one tells what happens."""
    signals: list[int] = []

    def halt(number: int) -> None:
        signals.append(number)
        training.halt()

    with on_first(halt, *STOPPING):
        try:
            task.train(training)
        except TrainingDivergedError:
            return 1
    return 128 + (signals[0] if signals else signal.SIGINT) if training.history.stopped else 0


def _go_on(args: argparse.Namespace, where: DeviceRequest, pace: Pace) -> int:
    refuse_changes(args, ("config", "out", "vectors", "freeze_vectors", "unknown_vectors"))
    if given_in(args, ModelConfig) or args.overwrite:
        raise RunError("the model cannot be changed where a run goes on: leave out its settings, and --overwrite")
    with naming(args.resume):
        is_file = args.resume.is_file()
    if is_file and args.resume.name != LAST:
        raise RunError(f"--resume {args.resume}: expected the folder of a run, or {LAST} in it, where it is to go on")
    checkpoint = load_run(args.resume, LAST)
    folder = args.resume if args.resume.is_dir() else args.resume.parent
    if checkpoint.training is None:
        raise RunError(f"{args.resume} holds a model but no position to go on from: that is in {LAST}")
    prepared = _task(checkpoint.task).go_on(args, checkpoint)
    task = prepared.task
    training = _training(task, where, pace)
    try:
        training.restore(checkpoint.training)
    except D2lrnnError as error:
        raise RunError(f"{checkpoint.path}: {error}") from error
    if not _changes_of_batches(task.config, checkpoint.train_config) and task.config.batches != "varied":
        check_position(checkpoint, task.batches().num_batches)
    if not training.devices.is_first:
        _settle_position(training, checkpoint.train_config)
        return _follow(training, task)
    run = RunFolder(folder, training, prepared.about, pace)
    with contextlib.closing(run):
        print("\n".join(prepared.lines))
        _settle_position(training, checkpoint.train_config)
        return _carry_out(args, run, training, prepared)


def _changes_of_batches(config: TrainConfig, before: TrainConfig) -> list[str]:
    """Return the names of the settings that have changed and decide which batches an epoch has."""
    return [name for name in BATCH_SETTINGS if config.flat[name] != before.flat[name]]


def _settle_position(training: Training, before: TrainConfig) -> None:
    """Begin the epoch anew if its batches have changed, and say where the run goes on."""
    config, epoch = training.config, training.position.epoch
    changes = _changes_of_batches(config, before)
    if changes and training.position.batch:
        training.position, training.carried = Position(epoch), None
        print(f"another {' and '.join(changes)}: epoch {epoch} of {config.num_epochs} begins anew")
    elif training.over:
        print(f"nothing is left to do after {epoch - 1} epochs: ask for more, --num-epochs")
    else:
        print(f"going on in epoch {epoch} of {config.num_epochs}, after {training.position.batch} batches of it")


def _carry_out(args: argparse.Namespace, run: RunFolder, training: Training, prepared: Prepared) -> int:
    """Train, keep the run in its folder, draw it, measure it, and return the exit status."""
    task, failure = prepared.task, ""
    signals: list[int] = []  # those that asked the training to stop
    run.begin(shlex.join(["python", "-m", "d2lrnn", *args.argv]))

    def halt(number: int) -> None:
        signals.append(number)
        training.halt("interrupted" if number == signal.SIGINT else "terminated")

    with on_first(halt, *STOPPING):
        try:
            task.train(training, run.keep)
        except TrainingDivergedError as error:
            failure = str(error)
            if run.kept:
                failure += f"; {run.folder / LAST} is the last position kept: go on with {_resume(run.folder)} --lr ..."
        except BaseException as error:
            if not isinstance(error, KeyboardInterrupt):  # the second Ctrl-C, which ends the training at once
                run.rescue()
            _say_where_to_go_on(run, training, args.imports)
            raise
        best_model = run.finish(bool(failure))
    stopped = training.history.stopped or signals
    _show_results(run, training, prepared.about.corpus, best_model)
    if task.tests and not stopped:
        _measure_test(run, training, task)
    if best_model is not None and (hint := prepared.next_command(run.folder)):
        print(hint)
    if failure:
        complain(failure)
        return 1
    if stopped:
        _say_where_to_go_on(run, training, args.imports)
    return 128 + (signals[0] if signals else signal.SIGINT) if stopped else 0


def _show_results(run: RunFolder, training: Training, corpus: str, best_model: Path | None) -> None:
    """Print where the best model is, and draw the epochs that are over."""
    history = training.finished
    if best_model is not None:
        print(f"model    {best_model}")
    if history.epochs:
        title = f"run {run.folder.name}, corpus {corpus}"
        plot_history({run.folder.name: history}, run.folder / PICTURE, title)
        print(f"picture  {run.folder / PICTURE}")


def _measure_test(run: RunFolder, training: Training, task: Task) -> None:
    """Print and log the measure of the best model on the data for the test."""
    best = load_run(run.folder)
    found = task.test(best.build_model(task.model.begin_state(1)[0].ctx))
    epoch = best.reached.get("epoch", training.history.best_epoch)
    run.log(event="test", **found, **task.tested_with, of_epoch=epoch)
    history = training.history
    sign = 1 if history.less_is_better else -1
    reached, known = best.reached.get(history.valid_measure), [sign * value for value in history.valid]
    is_worse = reached is not None and known and sign * reached > min(known)
    what = "the best that is kept" if is_worse else "the best in validation"
    measures = ", ".join(f"{name} {format_measure(name, value)}" for name, value in found.items())
    print(f"test     {measures}, of epoch {epoch}, {what}")


def _say_where_to_go_on(run: RunFolder, training: Training, imports: Sequence[str]) -> None:
    """Print the command that goes on with a run that was stopped, and what of the run is lost."""
    kept, reached = run.kept, training.position
    if kept is None:
        print("no position is kept: the run was stopped before there was anything to keep")
        return
    where = f"epoch {kept.epoch}, after {kept.batch} batches"
    if (kept.epoch, kept.batch) != (reached.epoch, reached.batch):
        where += f"; what was learnt since then, up to epoch {reached.epoch}, batch {reached.batch}, is lost"
    alone = command("train", *option("--resume", argument(run.folder)), imports=imports)
    resume = os.environ.get(GO_ON) or alone
    print(f"go on with it: {resume}  # {where}")


def _resume(folder: Path) -> str:
    """Return the option that goes on with the run in a folder."""
    return joined(option("--resume", argument(folder)), in_a_line)
