"""The command ``train``: train a model, or go on with a run."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import math
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from d2lrnn.cli.from_arguments import changed, given_in, prefixes_from
from d2lrnn.cli.options import option_of
from d2lrnn.cli.shell import argument, command, joined, option
from d2lrnn.cli.streams import complain, lasting_output
from d2lrnn.config.model import ModelConfig
from d2lrnn.config.presets import CONFIGS, NamedConfig
from d2lrnn.config.training import TrainConfig
from d2lrnn.data.corpora import CORPORA
from d2lrnn.data.corpus import Corpus
from d2lrnn.data.datasets import load_corpus
from d2lrnn.data.vocabulary import LINE_END
from d2lrnn.device import as_ctx
from d2lrnn.errors import D2lrnnError, naming
from d2lrnn.evaluation.losses import check_finite, format_perplexity
from d2lrnn.interrupts import on_first
from d2lrnn.models.build import build_model
from d2lrnn.models.parameters import named_parameters
from d2lrnn.plotting.pictures import plot_history
from d2lrnn.runs.agreement import check_position
from d2lrnn.runs.checkpoint import BEST, LAST, PICTURE, Checkpoint
from d2lrnn.runs.folder import USUAL_PACE, Pace, RunFolder
from d2lrnn.runs.log import RunError
from d2lrnn.runs.origin import check_origin, origin_of, reload_corpus, remember_place
from d2lrnn.runs.trained import load_run
from d2lrnn.training.divergence import TrainingDivergedError
from d2lrnn.training.history import Position
from d2lrnn.training.language_model import batches_for, perplexity_on, train_and_predict
from d2lrnn.training.loop import Training
from d2lrnn.training.objective import NextToken
from d2lrnn.training.seeds import set_seed
from d2lrnn.visible import in_a_line

# The settings that decide which batches an epoch has.
BATCH_SETTINGS = ("batch_size", "num_steps", "num_lines", "use_random_iter", "vary_steps", "seed")

# The settings that only one learning rate schedule reads, with this schedule.
SCHEDULES = {"constant_epochs": "decay", "lr_decay": "decay", "warm_up": "one-cycle"}

# The signals that stop a training.  SIGHUP comes when a terminal or a connection is closed.
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def train(args: argparse.Namespace, pace: Pace = USUAL_PACE) -> int:
    """Train a model, or go on with a run, and return the exit status.

    The first Ctrl-C, SIGTERM or SIGHUP stops the training after the present batch and keeps the position; a second one
    ends it at once.  Whatever else ends the training, the position is kept first, if that is possible.
    """
    with lasting_output("the training goes on without it, and the log in the run's folder tells of it"):
        return _go_on(args, pace) if args.resume else _begin(args, pace)


def _begin(args: argparse.Namespace, pace: Pace) -> int:
    name = args.config or "lyrics"
    named = CONFIGS[name]
    given, folder = named.corpus if args.corpus is None else args.corpus, args.out or Path("runs") / name
    with naming(folder):
        present = [file for file in (LAST, BEST) if (folder / file).exists()]
    if present and not args.overwrite:
        go_on = f"go on with it ({_resume(folder)}), " if LAST in present else ""
        raise RunError(f"{folder} holds a run already: {go_on}name another folder (--out), or give it up (--overwrite)")
    model_config = changed(named.model, _given_model(args, named.model))
    config = _changed(named.training, args)
    options = _corpus_options(args, named, config)
    corpus = load_corpus(given, args.data_dir, **options)
    config = dataclasses.replace(config, prefixes=prefixes_from(args, corpus))
    set_seed(config.seed)
    ctx = as_ctx(args.ctx)
    model = build_model(model_config, corpus.vocab_size, ctx)
    training = Training(model, config, NextToken(corpus.vocab_size), pace.segment)
    batches_for(model, corpus, config)  # before the folder is touched: this raises if something does not fit
    origin = origin_of(corpus, given, options, args.data_dir)
    run = RunFolder(folder, training, Checkpoint.about(model_config, config, corpus, origin), pace)
    with contextlib.closing(run):
        _describe(model, model_config, corpus, ctx)
        return _carry_out(args, run, training, corpus)


def _corpus_options(args: argparse.Namespace, named: NamedConfig, training: TrainConfig) -> dict[str, Any]:
    """Return the arguments of :func:`load_corpus`, except the corpus and its folder."""
    options = {"max_tokens": args.max_tokens, "level": args.level, "held_out": args.held_out}
    if options["max_tokens"] is None and args.corpus in (None, named.corpus):
        options["max_tokens"] = named.max_tokens
    if options["held_out"] is None:
        comes_with_splits = args.corpus in CORPORA and CORPORA[args.corpus].has_splits
        options["held_out"] = 0.0 if comes_with_splits else named.held_out
    return {**options, "lines": training.batches == "lines"}


def _changed(config: TrainConfig, args: argparse.Namespace) -> TrainConfig:
    """Return a training's configuration with the settings that the arguments hold; refuse those of another schedule."""
    new = changed(config, args)
    for name in given_in(args, TrainConfig).keys() & SCHEDULES.keys():
        if new.lr_schedule != SCHEDULES[name]:
            raise D2lrnnError(
                f"{option_of(name)} is for --lr-schedule {SCHEDULES[name]}, and this one is "
                f"{new.lr_schedule}: leave it out, or give the other schedule too"
            )
    return new


def _given_model(args: argparse.Namespace, defaults: ModelConfig) -> dict[str, Any]:
    """Return the settings of the model that the arguments hold, and those that follow from them."""
    given = given_in(args, ModelConfig)
    if given.get("kind", "gluon") != "gluon" and "embed_size" not in given:
        given["embed_size"] = None  # which only Gluon's models have
    if defaults.embed_size == defaults.num_hiddens and "num_hiddens" in given and "embed_size" not in given:
        given["embed_size"] = given["num_hiddens"]
    return given


def _go_on(args: argparse.Namespace, pace: Pace) -> int:
    for what in ("config", "out", "max_tokens", "level", "held_out"):
        if getattr(args, what) is not None:
            raise RunError(f"{option_of(what)} cannot be changed where a run goes on")
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
    corpus = reload_corpus(checkpoint, args.data_dir, args.corpus)
    check_origin(checkpoint, corpus)
    about = remember_place(checkpoint, corpus, args.data_dir, args.corpus)
    config = _changed(checkpoint.train_config, args)
    if args.prefix:
        config = dataclasses.replace(config, prefixes=tuple(args.prefix))
    ctx = as_ctx(args.ctx)
    model = checkpoint.build_model(ctx)
    training = Training(model, config, NextToken(corpus.vocab_size), pace.segment)
    try:
        training.restore(checkpoint.training)
    except D2lrnnError as error:
        raise RunError(f"{checkpoint.path}: {error}") from error
    num_batches = batches_for(model, corpus, config).num_batches
    if not _changes_of_batches(config, checkpoint.train_config) and config.batches != "varied":
        check_position(checkpoint, num_batches)
    run = RunFolder(folder, training, about, pace)
    with contextlib.closing(run):
        _describe(model, checkpoint.shape, corpus, ctx)
        _settle_position(training, checkpoint.train_config)
        return _carry_out(args, run, training, corpus)


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


def _describe(model: Any, config: ModelConfig, corpus: Corpus, ctx: Any) -> None:
    """Print the sizes of the corpus and the model, and what a user should know of the corpus."""
    if corpus.remark:
        print(f"caution  {corpus.remark}")
    size = sum(math.prod(param.shape) for param in named_parameters(model).values())
    held_out = "" if corpus.valid is None else f"; in validation {len(corpus.valid):,}"
    print(
        f"{corpus.name}: {len(corpus.train):,} tokens, {corpus.vocab_size:,} different ones{held_out}\n"
        f"{config}, {size:,} parameters, on {ctx}"
    )


def _carry_out(args: argparse.Namespace, run: RunFolder, training: Training, corpus: Corpus) -> int:
    """Train, keep the run in its folder, draw it, measure it, and return the exit status."""
    model: Any = training.model
    config, failure = training.config, ""
    signals: list[int] = []  # those that asked the training to stop
    run.begin(shlex.join(["python", "-m", "d2lrnn", *args.argv]))

    def halt(number: int) -> None:
        signals.append(number)
        training.halt("interrupted" if number == signal.SIGINT else "terminated")

    with on_first(halt, *STOPPING):
        try:
            train_and_predict(model, corpus, config, training, run.keep)
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
    _show_results(run, training, corpus, best_model)
    if corpus.test is not None and not stopped:
        _measure_test(run, training, corpus)
    if best_model is not None and config.prefixes:
        prefix = [] if LINE_END in config.prefixes[0] else option("--prefix", config.prefixes[0])
        print(f"let it write:  {command('sample', argument(run.folder), *prefix, imports=args.imports)}")
    if failure:
        complain(failure)
        return 1
    if stopped:
        _say_where_to_go_on(run, training, args.imports)
    return 128 + (signals[0] if signals else signal.SIGINT) if stopped else 0


def _show_results(run: RunFolder, training: Training, corpus: Corpus, best_model: Path | None) -> None:
    """Print where the best model is, and draw the epochs that are over."""
    history = training.finished
    if best_model is not None:
        print(f"model    {best_model}")
    if history.epochs:
        title = f"run {run.folder.name}, corpus {corpus.name}"
        plot_history({run.folder.name: history}, run.folder / PICTURE, title)
        print(f"picture  {run.folder / PICTURE}")


def _measure_test(run: RunFolder, training: Training, corpus: Corpus) -> None:
    """Print and log the perplexity of the best model on the corpus's test split."""
    model: Any = training.model
    best = load_run(run.folder)
    found = perplexity_on(best.build_model(model.begin_state(1)[0].ctx), corpus.test, corpus.vocab, training.config)
    check_finite(found)
    epoch = best.reached.get("epoch", training.history.best_epoch)
    run.log(event="test", perplexity=found, of_epoch=epoch)
    reached, valid = best.reached.get(training.history.valid_measure), training.history.valid
    what = "the best that is kept" if reached and valid and reached > min(valid) else "the best in validation"
    print(f"test     perplexity {format_perplexity(found)}, of epoch {epoch}, {what}")


def _say_where_to_go_on(run: RunFolder, training: Training, imports: Sequence[str]) -> None:
    """Print the command that goes on with a run that was stopped, and what of the run is lost."""
    kept, reached = run.kept, training.position
    if kept is None:
        print("no position is kept: the run was stopped before there was anything to keep")
        return
    where = f"epoch {kept.epoch}, after {kept.batch} batches"
    if (kept.epoch, kept.batch) != (reached.epoch, reached.batch):
        where += f"; what was learnt since then, up to epoch {reached.epoch}, batch {reached.batch}, is lost"
    resume = command("train", *option("--resume", argument(run.folder)), imports=imports)
    print(f"go on with it: {resume}  # {where}")


def _resume(folder: Path) -> str:
    """Return the option that goes on with the run in a folder."""
    return joined(option("--resume", argument(folder)), in_a_line)
