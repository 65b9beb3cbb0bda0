"""What the commands do with their arguments."""

from __future__ import annotations

import argparse
import dataclasses
import math
import shlex
import sys
from pathlib import Path
from typing import Any

from d2lrnn._runtime import mx  # before NumPy, so that a Python which can have neither is told why
from d2lrnn.comparison import compare, comparison_table, largest_difference, plot_comparison
from d2lrnn.config import ModelConfig, TrainConfig, settings_in
from d2lrnn.configs import CONFIGS, NamedConfig
from d2lrnn.corpora import load_corpus
from d2lrnn.device import as_ctx
from d2lrnn.evaluate_command import evaluate
from d2lrnn.history import History, Position
from d2lrnn.loop import Training, TrainingDivergedError, set_seed
from d2lrnn.models import build_model, named_parameters
from d2lrnn.optimisation import format_perplexity
from d2lrnn.play_command import play
from d2lrnn.plotting import plot_history
from d2lrnn.run_log import RunError, read_history
from d2lrnn.runs import (
    BEST,
    LAST,
    PICTURE,
    RunFolder,
    check_origin,
    load_run,
    name_of,
    origin_of,
    reload_corpus,
)
from d2lrnn.sample_command import sample
from d2lrnn.show_command import show
from d2lrnn.text import LINE_END, Corpus, tokenize
from d2lrnn.training import batches_for, perplexity_on, train_and_predict

# What says which batches an epoch has; and the settings that one learning rate schedule alone looks at.
CUTS = ("batch_size", "num_steps", "num_lines", "use_random_iter", "vary_steps", "seed")
SCHEDULED = {"constant_epochs": "decay", "lr_decay": "decay", "warm_up": "one-cycle"}

# What samples start from when no --prefix is given; for other corpora, their own first tokens.
PREFIXES = {"sample": ("分开", "不分开"), "jaychou": ("分开", "不分开"), "ptb": ("the company", "it is")}


def config_from(args: argparse.Namespace, kind: type, **fixed: Any) -> Any:
    """Make a ``ModelConfig`` or ``TrainConfig`` of the arguments of the same names; ``fixed`` overrides them."""
    return kind(**{**settings_in(kind, vars(args)), **fixed})


def load_corpus_from(args: argparse.Namespace, lines: bool = False) -> Corpus:
    """Load the corpus that the arguments name, with its line ends if need be."""
    return load_corpus(args.corpus, args.data_dir, args.max_tokens, args.level, lines, args.held_out or 0.0)


def _corpus_options(args: argparse.Namespace, named: NamedConfig, training: TrainConfig) -> dict[str, Any]:
    """Return what to ask :func:`load_corpus` for, beside the corpus."""
    options = {"max_tokens": args.max_tokens, "level": args.level, "held_out": args.held_out}
    if options["max_tokens"] is None and args.corpus in (None, named.corpus):
        options["max_tokens"] = named.max_tokens
    if options["held_out"] is None:
        options["held_out"] = 0.0 if args.corpus == "ptb" else named.held_out
    return {**options, "lines": training.num_lines > 0}


def prefixes_from(args: argparse.Namespace, corpus: Corpus) -> tuple[str, ...]:
    """Return what samples start from: ``--prefix``, or else what suits the corpus."""
    if args.prefix:
        return tuple(args.prefix)
    vocab = corpus.vocab
    if LINE_END in vocab:
        return (LINE_END,) * 3
    usual = PREFIXES.get(corpus.name, ())
    known = tuple(text for text in usual if all(token in vocab for token in tokenize(text, vocab.level)))
    return known or (vocab.decode(corpus.train[:4]),)


def train(args: argparse.Namespace) -> int:
    """Train a model, or go on with a run, and return the exit status."""
    return _go_on(args) if args.resume else _begin(args)


def _begin(args: argparse.Namespace) -> int:
    name = args.config or "lyrics"
    named = CONFIGS[name]
    given, folder = named.corpus if args.corpus is None else args.corpus, args.out or Path("runs") / name
    if any((folder / file).exists() for file in (LAST, BEST)) and not args.overwrite:
        go_on = f"go on with it (--resume {shlex.quote(str(folder))}), " if (folder / LAST).exists() else ""
        raise RunError(f"{folder} holds a run already: {go_on}name another folder (--out), or give it up (--overwrite)")
    model_config = dataclasses.replace(named.model, **_given_model(args, named.model))
    config = _changed(named.training, args)
    options = _corpus_options(args, named, config)
    corpus = load_corpus(given, args.data_dir, **options)
    config = dataclasses.replace(config, prefixes=prefixes_from(args, corpus))
    set_seed(config.seed)
    ctx = as_ctx(args.ctx)
    model = build_model(model_config, corpus.vocab_size, ctx)
    training = Training(model, config)
    batches_for(model, corpus, config)  # before the folder is touched: this raises if something does not fit
    run = RunFolder(folder, training, model_config, corpus, origin_of(corpus, given, options, args.data_dir))
    for old in (LAST, BEST):
        (folder / old).unlink(missing_ok=True)
    _describe(model, model_config, corpus, ctx)
    return _carry_out(run, training, corpus)


def _changed(config: TrainConfig, args: argparse.Namespace) -> TrainConfig:
    """Return a training with the settings that the arguments hold."""
    given = settings_in(TrainConfig, vars(args))
    changed = dataclasses.replace(config, **given)
    for name in given.keys() & SCHEDULED.keys():
        if changed.lr_schedule != SCHEDULED[name]:
            raise ValueError(
                f"--{name.replace('_', '-')} is for --lr-schedule {SCHEDULED[name]}, and this one is "
                f"{changed.lr_schedule}: leave it out, or give the other schedule too"
            )
    return changed


def _given_model(args: argparse.Namespace, defaults: ModelConfig) -> dict[str, Any]:
    """Return the settings of the model that the arguments hold, and what they entail."""
    given = settings_in(ModelConfig, vars(args))
    if given.get("kind", "gluon") != "gluon" and "embed_size" not in given:
        given["embed_size"] = None  # which only Gluon's models have
    if defaults.embed_size == defaults.num_hiddens and "num_hiddens" in given and "embed_size" not in given:
        given["embed_size"] = given["num_hiddens"]
    return given


def _go_on(args: argparse.Namespace) -> int:
    for what in ("config", "out", "max_tokens", "level", "held_out"):
        if getattr(args, what) is not None:
            raise RunError(f"--{what.replace('_', '-')} cannot be changed where a run goes on")
    if settings_in(ModelConfig, vars(args)) or args.overwrite:
        raise RunError("the model cannot be changed where a run goes on: leave out its settings, and --overwrite")
    if args.resume.is_file() and args.resume.name != LAST:
        raise RunError(f"--resume {args.resume}: expected the folder of a run, or {LAST} in it, where it is to go on")
    checkpoint = load_run(args.resume, LAST)
    folder = args.resume if args.resume.is_dir() else args.resume.parent
    if checkpoint.training is None:
        raise RunError(f"{args.resume} holds a model but no position to go on from: that is in {LAST}")
    corpus = reload_corpus(checkpoint, args.data_dir, args.corpus)
    check_origin(checkpoint, corpus)
    config = _changed(checkpoint.train_config, args)
    if args.prefix:
        config = dataclasses.replace(config, prefixes=tuple(args.prefix))
    ctx = as_ctx(args.ctx)
    model = checkpoint.build_model(ctx)
    training = Training(model, config)
    try:
        training.restore(*checkpoint.training)
    except ValueError as error:
        raise RunError(f"{checkpoint.path}: {error}") from error
    batches_for(model, corpus, config)
    run = RunFolder(folder, training, checkpoint.model_config, corpus, checkpoint.origin)
    _describe(model, checkpoint.model_config, corpus, ctx)
    _settle_position(training, checkpoint.train_config)
    return _carry_out(run, training, corpus)


def _settle_position(training: Training, before: TrainConfig) -> None:
    """Begin the epoch anew if its batches are others now, and say where the run goes on."""
    config, epoch = training.config, training.position.epoch
    cuts = [name for name in CUTS if getattr(config, name) != getattr(before, name)]
    if cuts and training.position.batch:
        training.position, training.carried = Position(epoch), None
        print(f"another {' and '.join(cuts)}: epoch {epoch} of {config.num_epochs} begins anew")
    elif training.over:
        print(f"nothing is left to do after {epoch - 1} epochs: ask for more, --num-epochs")
    else:
        print(f"going on in epoch {epoch} of {config.num_epochs}, after {training.position.batch} batches of it")


def _describe(model: Any, config: ModelConfig, corpus: Corpus, ctx: Any) -> None:
    size = sum(math.prod(param.shape) for param in named_parameters(model).values())
    held_out = "" if corpus.valid is None else f"; in validation {len(corpus.valid):,}"
    print(
        f"{corpus.name}: {len(corpus.train):,} tokens, {corpus.vocab_size:,} different ones{held_out}\n"
        f"{config.kind} {config.cell}, {config.num_layers} x {config.num_hiddens} hidden units, {size:,} parameters, "
        f"on {ctx}"
    )


def _carry_out(run: RunFolder, training: Training, corpus: Corpus) -> int:
    """Train, keep the run in its folder, draw it, measure it, and return the exit status."""
    model, config, failure, folder = training.model, training.config, "", shlex.quote(str(run.folder))
    run.begin(shlex.join(["python", "-m", "d2lrnn", *sys.argv[1:]]))
    try:
        history = train_and_predict(model, corpus, config, training, run.keep)
    except TrainingDivergedError as error:
        history, failure = error.history, str(error)
        if run.kept:
            failure += f"; {run.folder / LAST} is the last position kept: go on with --resume {folder} --lr ..."
    except OSError:
        _say_where_to_go_on(run)
        raise
    best_model = run.finish(bool(failure))
    if best_model is not None:
        print(f"model    {best_model}")
    if history.perplexity:
        title = f"run {run.folder.name}, corpus {corpus.name}"
        plot_history({run.folder.name: history}, run.folder / PICTURE, title)
        print(f"picture  {run.folder / PICTURE}")
    if corpus.test is not None and not history.stopped:
        best = load_run(run.folder)
        found = perplexity_on(best.build_model(model.begin_state(1)[0].ctx), corpus.test, corpus.vocab, config)
        epoch = best.reached.get("epoch", history.best_epoch)
        run.log(event="test", perplexity=found, of_epoch=epoch)
        print(f"test     perplexity {format_perplexity(found)}, of epoch {epoch}, the best in validation")
    if best_model is not None:
        prefix = "" if LINE_END in config.prefixes[0] else f" --prefix {shlex.quote(config.prefixes[0])}"
        print(f"let it write:  {_python()} -m d2lrnn sample {folder}{prefix}")
    if failure:
        print(f"d2lrnn: {failure}", file=sys.stderr)
        return 1
    if history.stopped:
        _say_where_to_go_on(run)
        return 130
    return 0


def _say_where_to_go_on(run: RunFolder) -> None:
    """Print the command that goes on with a run that was stopped, if a position was kept."""
    if run.kept:
        where = f"epoch {run.kept.epoch}, after {run.kept.batch} batches"
        print(f"go on with it: {_python()} -m d2lrnn train --resume {shlex.quote(str(run.folder))}  # {where}")


def _python() -> str:
    """Return what to call this Python by, seen from here: ``.venv/bin/python``, or just ``python``."""
    here, python = Path.cwd(), Path(sys.executable)
    return str(python.relative_to(here)) if here in python.parents else "python"


def plot(args: argparse.Namespace) -> int:
    """Draw the perplexity of runs and return the exit status."""
    names = [name_of(run) for run in args.runs]
    histories = {name if names.count(name) == 1 else str(run): read_history(run) for name, run in zip(names, args.runs)}
    plot_history(histories, args.out, ", ".join(histories))
    print(f"picture  {args.out}")
    return 0


def compare_kinds(args: argparse.Namespace) -> int:
    """Train a model from scratch and its twin on Gluon, show both, and return the exit status."""
    corpus = load_corpus_from(args)
    config = config_from(args, TrainConfig, prefixes=prefixes_from(args, corpus))
    model_config = config_from(args, ModelConfig)
    args.out.mkdir(parents=True, exist_ok=True)
    histories = compare(model_config, corpus, config, as_ctx(args.ctx))
    return report_comparison(histories, args.out / f"compare_{args.cell}.png", f"{args.cell} on {corpus.name}")


def report_comparison(histories: dict[str, History], picture: Path, title: str) -> int:
    """Print the table of runs side by side, draw them, and return the exit status."""
    print(f"\n{comparison_table(histories)}")
    finished = [history for history in histories.values() if history.perplexity]
    if len(histories) == 2 and len(finished) == 2:
        difference = f"largest relative difference in perplexity: {largest_difference(*finished):.1e}"
        print(difference)
        title += f"; {difference}"
    if finished:
        plot_comparison(histories, picture, title)
        print(f"picture  {picture}")
    return 130 if any(history.stopped for history in histories.values()) else 0


COMMANDS = {
    "train": train,
    "evaluate": evaluate,
    "sample": sample,
    "compare": compare_kinds,
    "plot": plot,
    "show": show,
    "play": play,
}


def run(args: argparse.Namespace) -> int:
    """Run the command that the arguments name; return its exit status: 0, 1 after an error, 130 if training stopped."""
    try:
        return COMMANDS[args.command](args)
    except (ValueError, OSError, TrainingDivergedError) as error:
        # What the user can mend; every other exception is a defect of d2lrnn.
        print(f"d2lrnn: {error}", file=sys.stderr)
        return 1
    except mx.MXNetError as error:
        reason = str(error).strip().splitlines()[-1].removeprefix("MXNetError: ")
        if "alloc" not in reason.lower():
            raise
        print(f"d2lrnn: MXNet has not the memory, take a smaller model or batch: {reason}", file=sys.stderr)
        return 1
