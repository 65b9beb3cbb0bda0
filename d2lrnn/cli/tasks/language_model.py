"""``train`` for a language model: corpus, vocabulary, prefixes."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from d2lrnn.cli.from_arguments import changed, changed_training, given_in, prefixes_from
from d2lrnn.cli.shell import argument, command, option
from d2lrnn.cli.tasks.prepared import (
    OF_CLASSIFIERS,
    OF_SERIES,
    OF_TRANSLATORS,
    Prepared,
    described,
    refuse,
    refuse_changes,
)
from d2lrnn.cli.tasks.word_vectors import FirstVectors
from d2lrnn.config.model import ModelConfig
from d2lrnn.config.presets import NamedConfig
from d2lrnn.config.training import TrainConfig
from d2lrnn.data.corpora import CORPORA
from d2lrnn.data.corpus import Corpus
from d2lrnn.data.datasets import load_corpus
from d2lrnn.data.kept_numbers import folder, is_mapped
from d2lrnn.data.vocabulary import LINE_END
from d2lrnn.device import as_ctx
from d2lrnn.models.build import build_model
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.origin import check_origin, origin_of, reload_corpus, remember_place
from d2lrnn.training.language_model import LanguageModelling
from d2lrnn.training.seeds import set_seed

OF_OTHERS = (*OF_CLASSIFIERS, *OF_SERIES, *OF_TRANSLATORS)  # arguments of other tasks


def begin(args: argparse.Namespace, named: NamedConfig) -> Prepared:
    """Load the corpus and make the model that the arguments and a named configuration describe."""
    refuse(args, OF_OTHERS, "a language model")
    given = named.corpus if args.corpus is None else args.corpus
    model_config = changed(named.model, _given_model(args, named.model))
    config = changed_training(named.training, args)
    options = corpus_options(args, named, config)
    corpus = load_corpus(given, args.data_dir, **options)
    config = dataclasses.replace(config, prefixes=prefixes_from(args, corpus))
    first = FirstVectors.read(args, corpus.vocab)
    model_config = first.fit(model_config)
    set_seed(config.seed)
    model = build_model(model_config, corpus.vocab_size, as_ctx(args.ctx))
    first.put_into(model)
    task = LanguageModelling(model, corpus, config)
    about = Checkpoint.about(model_config, config, corpus, origin_of(corpus, given, options, args.data_dir))
    return _prepared(task, about, args.imports, first.lines)


def go_on(args: argparse.Namespace, checkpoint: Checkpoint) -> Prepared:
    """Load the corpus and the model of a run."""
    refuse(args, OF_OTHERS, "a language model")
    refuse_changes(args, ("max_tokens", "level", "held_out"))
    corpus = reload_corpus(checkpoint, args.data_dir, args.corpus)
    check_origin(checkpoint, corpus)
    about = remember_place(checkpoint, corpus, args.data_dir, args.corpus)
    config = changed_training(checkpoint.train_config, args)
    if args.prefix:
        config = dataclasses.replace(config, prefixes=tuple(args.prefix))
    model = checkpoint.build_model(as_ctx(args.ctx))
    return _prepared(LanguageModelling(model, corpus, config), about, args.imports)


def _prepared(
    task: LanguageModelling, about: Checkpoint, imports: Sequence[str], about_vectors: Sequence[str] = ()
) -> Prepared:
    corpus, prefixes = task.corpus, task.config.prefixes

    def next_command(folder: Path) -> str:
        if not prefixes:
            return ""
        prefix = [] if LINE_END in prefixes[0] else option("--prefix", prefixes[0])
        return f"let it write:  {command('sample', argument(folder), *prefix, imports=imports)}"

    lines = [*_about_corpus(corpus), *about_vectors, described(about, task.model)]
    return Prepared(task, about, lines, next_command)


def _about_corpus(corpus: Corpus) -> list[str]:
    """Return lines about the corpus: what a user should know of it, and its sizes."""
    caution = [f"caution  {corpus.remark}"] if corpus.remark else []
    held_out = "" if corpus.valid is None else f"; in validation {len(corpus.valid):,}"
    size = f"{corpus.name}: {len(corpus.train):,} tokens, {corpus.vocab_size:,} different ones{held_out}"
    if is_mapped(corpus.train):
        size += f"; memory would not hold its ids, so they are a file in {folder()} while this runs"
    return [*caution, size]


def corpus_options(args: argparse.Namespace, named: NamedConfig, training: TrainConfig) -> dict[str, Any]:
    """Return the arguments of :func:`load_corpus`, except the corpus and its folder."""
    options = {"max_tokens": args.max_tokens, "level": args.level, "held_out": args.held_out}
    if options["max_tokens"] is None and args.corpus in (None, named.corpus):
        options["max_tokens"] = named.max_tokens
    if options["held_out"] is None:
        comes_with_splits = args.corpus in CORPORA and CORPORA[args.corpus].has_splits
        options["held_out"] = 0.0 if comes_with_splits else named.held_out
    return {**options, "lines": training.batches == "lines"}


def _given_model(args: argparse.Namespace, defaults: ModelConfig) -> dict[str, Any]:
    """Return the settings of the model that the arguments hold, and those that follow from them."""
    given = given_in(args, ModelConfig)
    if given.get("kind", "gluon") != "gluon" and "embed_size" not in given:
        given["embed_size"] = None  # which only Gluon's models have
    if defaults.embed_size == defaults.num_hiddens and "num_hiddens" in given and "embed_size" not in given:
        given["embed_size"] = given["num_hiddens"]
    return given
