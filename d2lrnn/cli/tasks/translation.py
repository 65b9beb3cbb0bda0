"""``train`` for a translator: the sentence pairs, a vocabulary for each side."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from d2lrnn.cli.from_arguments import changed, changed_training, given_in
from d2lrnn.cli.shell import argument, command
from d2lrnn.cli.tasks.classes import OF_LANGUAGE_MODELS
from d2lrnn.cli.tasks.prepared import OF_CLASSIFIERS, OF_SERIES, OF_VECTORS, Prepared, described, refuse, refuse_changes
from d2lrnn.config.fields import settings_in
from d2lrnn.config.model import Dropout, ModelConfig
from d2lrnn.config.presets import NamedConfig
from d2lrnn.config.translation import TRANSLATION_SETTINGS, TranslationConfig
from d2lrnn.data.pair_sets import load_pairs
from d2lrnn.data.pairs import PairsCorpus
from d2lrnn.device import as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.build import build_model
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.contents import SOURCE, TARGET
from d2lrnn.runs.translator import TranslatorRun, form_of, origin_of_pairs
from d2lrnn.training.seeds import set_seed
from d2lrnn.training.translation import Translation

# Arguments of other tasks.
OF_OTHERS = (*OF_LANGUAGE_MODELS, *OF_CLASSIFIERS, *OF_SERIES, *OF_VECTORS)

WHO = "a translator"


def begin(args: argparse.Namespace, named: NamedConfig) -> Prepared:
    """Load the sentence pairs and make the model that the arguments and a named configuration describe."""
    _refuse(args)
    plan = TranslationConfig(**{**vars(named.translation), **settings_in(TranslationConfig, vars(args))})
    given, config = _given_model(args), changed_training(named.training, args)
    model_config = changed(named.model, given)
    corpus = named.corpus if args.corpus is None else args.corpus
    data = load_pairs(corpus, args.data_dir, form_of(plan, config.num_steps, model_config.share))
    num_outputs = len(data.target)
    if given.get("num_outputs", num_outputs) != num_outputs:
        raise D2lrnnError(
            f"--num-outputs {given['num_outputs']}: there are {num_outputs} different tokens to write, and each is an "
            "output: leave it out"
        )
    model_config = dataclasses.replace(model_config, num_outputs=num_outputs)
    set_seed(config.seed)
    model = build_model(model_config, len(data.source), as_ctx(args.ctx))
    about = Checkpoint(
        model_config,
        {SOURCE: data.source, TARGET: data.target},
        config,
        data.name,
        origin=origin_of_pairs(data, corpus, args.data_dir),
        task=named.task,
        data={"plan": dataclasses.asdict(plan)},
    )
    return _prepared(Translation(model, data, config, plan), about, args.imports)


def go_on(args: argparse.Namespace, checkpoint: Checkpoint) -> Prepared:
    """Load the sentence pairs and the model of a run."""
    _refuse(args)
    refuse_changes(args, (*TRANSLATION_SETTINGS, "num_steps"), WHO)
    run = TranslatorRun(args.resume, checkpoint, args.ctx)
    data = run.pairs(args.data_dir, args.corpus)
    config = changed_training(checkpoint.train_config, args)
    return _prepared(Translation(run.model, data, config, run.plan), run.checkpoint, args.imports)


def _refuse(args: argparse.Namespace) -> None:
    """Refuse arguments that a translator has no use for."""
    refuse(args, ["level"], WHO, ", or give --source-level or --target-level")
    refuse(args, ["held_out"], WHO, "; a tenth of the sentences, 1,000 at most, is always held out for the test")
    refuse(args, OF_OTHERS, WHO)


def _given_model(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the model that the arguments hold, and those that follow from them."""
    given = given_in(args, ModelConfig)
    if given.get("attention") == "none":
        given["attention"] = None
    if given.get("share") or given.get("attention") == "dot":  # neither goes with an encoder from both ends
        given = {"bidirectional": False, **given}
    if given.get("kind", "gluon") != "gluon":  # only Gluon's models have an embedding and dropout
        given = {"embed_size": None, **Dropout().flat, **given}
    return given


def _prepared(task: Translation, about: Checkpoint, imports: Sequence[str]) -> Prepared:
    data = task.data

    def next_command(folder: Path) -> str:
        return f"let it translate:  {command('translate', argument(folder), imports=imports)} TEXT"

    looks = about.shape.attention
    lines = [
        f"{data.name}: {_sizes(data)}",
        f"{len(data.source):,} tokens of level {data.source.level} are translated into {len(data.target):,} of level "
        f"{data.target.level}; others become <unk>",
        f"{described(about, task.model)}; {f'attention {looks}' if looks else 'no attention'}",
    ]
    return Prepared(task, about, lines, next_command)


def _sizes(data: PairsCorpus) -> str:
    """Return how many sentence pairs there are."""
    found = [f"{len(data.train):,} sentence pair{'' if len(data.train) == 1 else 's'}"]
    found += [f"{data.left_out:,} more are too long"] if data.left_out else []
    found += [f"in validation {len(data.valid):,}"] if data.valid is not None else []
    found += [f"for the test {len(data.test):,}"] if data.test is not None else []
    return "; ".join(found)
