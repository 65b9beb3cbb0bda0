"""``train`` for a classifier of images: the images, their classes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from d2lrnn.cli.from_arguments import changed, changed_training
from d2lrnn.cli.tasks.classes import OF_LANGUAGE_MODELS, given_model, prepared, sizes
from d2lrnn.cli.tasks.prepared import (
    OF_LABELLED_TEXTS,
    OF_SERIES,
    OF_TRANSLATORS,
    OF_VECTORS,
    Prepared,
    refuse,
    refuse_changes,
)
from d2lrnn.config.fields import DIGIT_SETS
from d2lrnn.config.presets import NamedConfig
from d2lrnn.data.digits import SIZE, at_hand, load_digits
from d2lrnn.device import as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.build import build_model
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.classifier import LABELS, ClassifierRun, label_vocab, origin_of_examples
from d2lrnn.training.classification import Classification
from d2lrnn.training.seeds import set_seed

# Arguments that are of texts or of series.
OF_OTHERS = (
    *("level", "held_out"),
    *OF_LANGUAGE_MODELS,
    "num_steps",
    *OF_LABELLED_TEXTS,
    *OF_VECTORS,
    *OF_SERIES,
    *OF_TRANSLATORS,
)

WHO = "a classifier of images"


def begin(args: argparse.Namespace, named: NamedConfig) -> Prepared:
    """Load the images and make the model that the arguments and a named configuration describe."""
    refuse(args, OF_OTHERS, WHO)
    name = at_hand(args.data_dir) if args.corpus is None else args.corpus
    if name not in DIGIT_SETS:
        raise D2lrnnError(f"--corpus {name}: a classifier of images learns {' or '.join(DIGIT_SETS)}, not a text")
    shift = named.shift if args.shift is None else args.shift
    data = load_digits(name, args.data_dir, shift)
    model_config = changed(named.model, {**given_model(args, len(data.classes)), "input_size": SIZE})
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
    refuse(args, OF_OTHERS, WHO)
    refuse_changes(args, ("corpus", "shift"))
    run = ClassifierRun(args.resume, checkpoint, args.ctx)
    data = run.data(args.data_dir)
    config = changed_training(checkpoint.train_config, args)
    return _prepared(Classification(run.model, data, config), run.checkpoint, args.imports)


def _prepared(task: Classification, about: Checkpoint, imports: Sequence[str]) -> Prepared:
    moved = about.data.get("shift")
    how = f"; moved by up to {moved} pixels in training" if moved else ""
    return prepared(task, about, imports, [f"{task.data.name}: {sizes(task.data)}{how}"])
