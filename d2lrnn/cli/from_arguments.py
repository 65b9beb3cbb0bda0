"""What commands and chapters make from their arguments: configurations, corpus, prefixes."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from d2lrnn.cli.options import option_of
from d2lrnn.config.model import ModelConfig
from d2lrnn.config.training import TrainConfig
from d2lrnn.data.corpora import CORPORA
from d2lrnn.data.corpus import Corpus
from d2lrnn.data.datasets import load_corpus
from d2lrnn.data.vocabulary import LINE_END, tokenize
from d2lrnn.errors import D2lrnnError

# The settings that only one learning rate schedule reads, with this schedule.
SCHEDULES = {"constant_epochs": "decay", "lr_decay": "decay", "warm_up": "one-cycle"}

Config = TypeVar("Config", ModelConfig, TrainConfig)


def given_in(args: argparse.Namespace, kind: type[ModelConfig] | type[TrainConfig]) -> dict[str, Any]:
    """Return the settings of a configuration that the arguments hold, named as in its ``flat``."""
    return {name: value for name, value in vars(args).items() if name in kind().flat}


def changed(config: Config, args: argparse.Namespace | Mapping[str, Any]) -> Config:
    """Return a configuration with the settings that the arguments, or a dictionary of settings, hold.

    Raises:
        D2lrnnError: as the class of the configuration.
    """
    given = given_in(args, type(config)) if isinstance(args, argparse.Namespace) else args
    return type(config).from_dict({**config.flat, **given})


def config_from(args: argparse.Namespace, kind: type[Config], **fixed: Any) -> Config:
    """Make a ``ModelConfig`` or ``TrainConfig`` of the arguments of the same names; ``fixed`` fields override them."""
    return dataclasses.replace(changed(kind(), args), **fixed)


def changed_training(config: TrainConfig, args: argparse.Namespace) -> TrainConfig:
    """Return a training's configuration with the settings that the arguments hold; refuse those of another schedule."""
    new = changed(config, args)
    for name in given_in(args, TrainConfig).keys() & SCHEDULES.keys():
        if new.lr_schedule != SCHEDULES[name]:
            raise D2lrnnError(
                f"{option_of(name)} is for --lr-schedule {SCHEDULES[name]}, and this one is "
                f"{new.lr_schedule}: leave it out, or give the other schedule too"
            )
    return new


def load_corpus_from(args: argparse.Namespace, lines: bool = False) -> Corpus:
    """Load the corpus that the arguments name; with ``lines``, as a corpus of lines."""
    return load_corpus(args.corpus, args.data_dir, args.max_tokens, args.level, lines, args.held_out or 0.0)


def prefixes_from(args: argparse.Namespace, corpus: Corpus) -> tuple[str, ...]:
    """Return what samples start from: ``--prefix``, or else what suits the corpus."""
    if args.prefix:
        return tuple(args.prefix)
    vocab = corpus.vocab
    if LINE_END in vocab:
        return (LINE_END,) * 3
    usual = CORPORA[corpus.name].prefixes if corpus.name in CORPORA else ()
    known = tuple(text for text in usual if all(token in vocab for token in tokenize(text, vocab.level)))
    return known or (vocab.decode(corpus.train[:4]),)
