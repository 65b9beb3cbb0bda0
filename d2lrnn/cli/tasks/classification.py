"""``train`` for a classifier: the images, their classes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from d2lrnn.cli.from_arguments import changed, changed_training, given_in
from d2lrnn.cli.options import option_of
from d2lrnn.cli.shell import argument, command
from d2lrnn.cli.tasks.prepared import OF_SERIES, OF_VECTORS, Prepared, described, refuse
from d2lrnn.config.model import Dropout, ModelConfig
from d2lrnn.config.presets import NamedConfig
from d2lrnn.data.digits import DIGIT_SETS, SIZE, at_hand, load_digits
from d2lrnn.data.examples import Labelled
from d2lrnn.device import as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.build import build_model
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.classifier import LABELS, ClassifierRun, label_vocab, origin_of_examples
from d2lrnn.runs.log import RunError
from d2lrnn.training.classification import Classification
from d2lrnn.training.seeds import set_seed

# Arguments that are of texts or of series.
OF_TEXTS = (
    *("max_tokens", "level", "held_out", "prefix", "num_steps", "num_lines", "use_random_iter", "vary_steps"),
    *("sum_over_steps", "pred_len", "pred_temperature"),
    *OF_SERIES,
)


def begin(args: argparse.Namespace, named: NamedConfig) -> Prepared:
    """Load the images and make the model that the arguments and a named configuration describe."""
    refuse(args, (*OF_TEXTS, *OF_VECTORS, *OF_SERIES), "an image is read whole, row by row")
    name = at_hand(args.data_dir) if args.corpus is None else args.corpus
    if name not in DIGIT_SETS:
        raise D2lrnnError(f"--corpus {name}: a classifier of images learns {' or '.join(DIGIT_SETS)}, not a text")
    shift = named.shift if args.shift is None else args.shift
    data = load_digits(name, args.data_dir, shift)
    model_config = changed(named.model, _given_model(args, len(data.classes)))
    config = changed_training(named.training, args)
    set_seed(config.seed)
    model = build_model(model_config, None, as_ctx(args.ctx))
    about = Checkpoint(
        model_config,
        {LABELS: label_vocab(data.classes)},
        config,
        data.name,
        origin=origin_of_examples(data, name, args.data_dir),
        task=named.task,
        data={"shift": shift},
    )
    return _prepared(Classification(model, data, config), about, args.imports)


def go_on(args: argparse.Namespace, checkpoint: Checkpoint) -> Prepared:
    """Load the images and the model of a run."""
    refuse(args, (*OF_TEXTS, *OF_VECTORS, *OF_SERIES), "an image is read whole, row by row")
    for what in ("corpus", "shift"):
        if getattr(args, what) is not None:
            raise RunError(f"{option_of(what)} cannot be changed where a run goes on")
    run = ClassifierRun(args.resume, checkpoint, args.ctx)
    data = run.data(args.data_dir)
    config = changed_training(checkpoint.train_config, args)
    return _prepared(Classification(run.model, data, config), checkpoint, args.imports)


def _prepared(task: Classification, about: Checkpoint, imports: Sequence[str]) -> Prepared:
    def next_command(folder: Path) -> str:
        shown = command("show", argument(folder), "--what", "misread", imports=imports)
        return f"what it takes for something else:  {shown}"

    return Prepared(task, about, [_about_data(task.data, about), described(about, task.model)], next_command)


def _about_data(data: Labelled, about: Checkpoint) -> str:
    sizes = [f"{len(data.train):,} examples of {len(data.classes)} classes"]
    sizes += [f"in validation {len(data.valid):,}"] if data.valid is not None else []
    sizes += [f"for the test {len(data.test):,}"] if data.test is not None else []
    moved = about.data.get("shift")
    sizes += [f"moved by up to {moved} pixels in training"] if moved else []
    return f"{data.name}: {'; '.join(sizes)}"


def _given_model(args: argparse.Namespace, num_classes: int) -> dict[str, Any]:
    """Return the settings of the model that the arguments hold, and those that follow from them.

    Raises:
        D2lrnnError: for another number of outputs than there are classes.
    """
    given = given_in(args, ModelConfig)
    if given.get("num_outputs", num_classes) != num_classes:
        raise D2lrnnError(
            f"--num-outputs {given['num_outputs']}: there are {num_classes} classes, and each is an output: leave it "
            "out"
        )
    if given.get("kind", "gluon") != "gluon":  # only Gluon's models have dropout
        given = {**Dropout().flat, **given}
    return {**given, "num_outputs": num_classes, "input_size": SIZE}
