"""``train`` for a classifier of texts: the rows of a CSV file, their vocabulary, their classes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from d2lrnn.cli.from_arguments import changed, changed_training
from d2lrnn.cli.options import option_of
from d2lrnn.cli.tasks.classes import OF_LANGUAGE_MODELS, given_model, prepared, sizes
from d2lrnn.cli.tasks.prepared import OF_SERIES, OF_TRANSLATORS, Prepared, refuse, refuse_changes
from d2lrnn.cli.tasks.word_vectors import FirstVectors
from d2lrnn.config.presets import NamedConfig
from d2lrnn.data.labelled_rows import LabelledTexts, divide_texts, read_labelled_rows
from d2lrnn.data.labelled_texts import UNITS, Texts
from d2lrnn.device import as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.build import build_model
from d2lrnn.paths import user_path
from d2lrnn.runs.checkpoint import TEXT, Checkpoint
from d2lrnn.runs.classifier import LABELS, ClassifierRun, label_vocab, origin_of_rows
from d2lrnn.training.classification import Classification
from d2lrnn.training.seeds import set_seed

# Arguments of other tasks and of other data.
OF_OTHERS = ("shift", "data_dir", *OF_LANGUAGE_MODELS, *OF_SERIES, *OF_TRANSLATORS)

WHO = "a classifier of texts"


def begin(args: argparse.Namespace, named: NamedConfig) -> Prepared:
    """Read the texts and make the model that the arguments and a named configuration describe."""
    refuse(args, OF_OTHERS, WHO)
    missing = [option_of(name) for name in ("corpus", "text_column", "label_column") if getattr(args, name) is None]
    if missing:
        raise D2lrnnError(
            f"{' and '.join(missing)} not given: expected --corpus FILE.csv --text-column NAME --label-column NAME"
        )
    config = changed_training(named.training, args)
    rows = read_labelled_rows(user_path(args.corpus), args.text_column, args.label_column)
    held_out = named.held_out if args.held_out is None else args.held_out
    data = divide_texts(rows, args.level or "char", held_out, config.num_steps)
    first = FirstVectors.read(args, data.vocab)
    model_config = first.fit(changed(named.model, _given_model(args, data)))
    set_seed(config.seed)
    model = build_model(model_config, len(data.vocab), as_ctx(args.ctx))
    first.put_into(model)
    about = Checkpoint(
        model_config,
        {TEXT: data.vocab, LABELS: label_vocab(data.classes)},
        config,
        data.name,
        origin=origin_of_rows(rows, args.corpus, held_out),
        task=named.task,
        data={"text_column": args.text_column, "label_column": args.label_column},
    )
    return _prepared(data, Classification(model, data, config), about, args.imports, first.lines)


def go_on(args: argparse.Namespace, checkpoint: Checkpoint) -> Prepared:
    """Read the texts and the model of a run."""
    refuse(args, OF_OTHERS, WHO)
    refuse_changes(args, ("text_column", "label_column", "level", "held_out", "num_steps"))
    run = ClassifierRun(args.resume, checkpoint, args.ctx)
    data = run.texts(args.corpus)
    config = changed_training(checkpoint.train_config, args)
    return _prepared(data, Classification(run.model, data, config), run.checkpoint, args.imports)


def _given_model(args: argparse.Namespace, data: LabelledTexts) -> dict[str, Any]:
    """Return the settings of the model that the arguments hold, and those that follow from them."""
    given = given_model(args, len(data.classes))
    if given.get("kind", "gluon") != "gluon":  # only Gluon's models have an embedding
        given = {"embed_size": None, **given}
    return given


def _prepared(
    data: LabelledTexts,
    task: Classification,
    about: Checkpoint,
    imports: Sequence[str],
    about_vectors: Sequence[str] = (),
) -> Prepared:
    lines = [*(f"caution  {remark}" for remark in data.remarks), f"{data.name}: {sizes(data)}"]
    units, parts = UNITS[data.vocab.level], {"in validation": data.valid, "in the test": data.test}
    unknown = ", ".join(f"{name} {_unknown(part)}" for name, part in parts.items() if part is not None)
    lines.append(f"{len(data.vocab):,} different {units}; {unknown} are not among them and read as <unk>")
    return prepared(task, about, imports, [*lines, *about_vectors])


def _unknown(texts: Texts) -> str:
    """Return how many tokens of texts are unknown."""
    return f"{sum(texts.unknown):,} of {int(texts.lengths.sum()):,}"
