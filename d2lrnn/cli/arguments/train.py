"""The arguments of ``train``."""

from __future__ import annotations

import argparse

from d2lrnn.cli.options import PathText, add_data_arguments, add_settings, as_text
from d2lrnn.config.fields import PAIR_NAMES
from d2lrnn.config.model import ATTENTIONS, HEADS
from d2lrnn.config.presets import CONFIGS


def add(commands) -> None:
    """Add the command and its arguments to the command line."""
    configs = "\n".join(f"  {name:8} on {config.corpus}: {config.summary}" for name, config in CONFIGS.items())
    train = commands.add_parser(
        "train",
        help="train a model, or go on with one; writes the model, its log and its loss curve",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a language model, a classifier, a forecaster or a translator; writes DIR/model.d2lrnn,\n"
        "the best so far, for `sample`, `classify`, `forecast`, `translate` and `evaluate`; DIR/last.d2lrnn, for\n"
        "--resume; DIR/log.jsonl and DIR/loss.png.",
        epilog=f"configurations (an option changes one setting; the defaults shown above are those of lyrics):\n"
        f"{configs}\n\nwith the book's settings:\n"
        "  python -m d2lrnn train --cell gru --embed-size none --optimizer sgd --lr 100 --theta 0.01 --num-epochs 160",
    )
    train.add_argument("--config", choices=tuple(CONFIGS), help="what to begin with (lyrics)")
    train.add_argument(
        "--resume",
        type=PathText,
        metavar="RUN",
        help="go on with the run in this folder; settings of its training may change",
    )
    train.add_argument(
        "--out", type=PathText, metavar="DIR", help="folder to write to (runs/ and the configuration's name)"
    )
    train.add_argument("--overwrite", action="store_true", help="write to the folder although it holds a run")
    add_data_arguments(train, None)
    _add_vectors(train)
    add_settings(train, CONFIGS["lyrics"].model, given_only=True)
    add_settings(train, CONFIGS["lyrics"].training, given_only=True)
    _add_devices(train)
    _add_classification(train)
    _add_forecasting(train)
    _add_translation(train)


def _add_devices(train: argparse.ArgumentParser) -> None:
    """Add the arguments of a training on several devices."""
    group = train.add_argument_group("several devices, such as --ctx gpu:0,gpu:1, which divides each batch's rows")
    group.add_argument(
        "--layers-on", type=as_text, metavar="DEVICES", help="place the recurrent layers in turn on gpu:0,gpu:1 or more"
    )
    group.add_argument(
        "--compression",
        type=float,
        metavar="T",
        help="in a job of `launch`: send each number of a gradient as 0, T or -T, in two bits; the rest is sent later",
    )


def _add_classification(train: argparse.ArgumentParser) -> None:
    """Add the arguments of a classifier's training."""
    group = train.add_argument_group("classifier, such as --config digits or --config texts")
    group.add_argument(
        "--head",
        choices=HEADS[1:4],
        default=argparse.SUPPRESS,
        help="what the class is read from: the last state, the last output, or the mean over time (mean)",
    )
    group.add_argument(
        "--text-column", type=as_text, metavar="NAME", help="classify the texts of this column of --corpus FILE.csv"
    )
    group.add_argument(
        "--label-column", type=as_text, metavar="NAME", help="the column with the names of their classes"
    )
    group.add_argument(
        "--shift", type=int, metavar="N", help="in training, move images by up to N pixels up, down, left, right (2)"
    )


def _add_vectors(train: argparse.ArgumentParser) -> None:
    """Add the arguments of an embedding that begins with vectors from a file."""
    group = train.add_argument_group("word vectors")
    group.add_argument(
        "--vectors",
        type=PathText,
        metavar="FILE",
        help="the embedding begins with the vectors of this text file of GloVe or word2vec; embed_size follows from it",
    )
    group.add_argument(
        "--freeze-vectors", action="store_true", default=None, help="training leaves the embedding as it is"
    )
    group.add_argument(
        "--unknown-vectors",
        choices=("random", "shared"),
        help="what the words get that the file lacks: vectors of their own, or their mean for all (random)",
    )


def _add_forecasting(train: argparse.ArgumentParser) -> None:
    """Add the arguments of a forecaster's training."""
    add_settings(train, CONFIGS["series"].forecast, given_only=True)
    group = train.add_argument_group("series, such as --corpus FILE.csv --column NAME")
    group.add_argument(
        "--column",
        action="append",
        type=as_text,
        metavar="NAME",
        help="forecast this column of the CSV file; may be repeated, and all columns are then read and forecast",
    )
    group.add_argument(
        "--time-column", type=as_text, metavar="NAME", help="the column with the times, which must be in order"
    )


def _add_translation(train: argparse.ArgumentParser) -> None:
    """Add the arguments of a translator's training."""
    add_settings(train, CONFIGS["translate-en-zh"].translation, given_only=True)
    group = train.add_argument_group(
        "translator, such as --config translate-en-zh",
        f"--corpus is {', '.join(PAIR_NAMES)}, or a UTF-8 file with a sentence, a tab and its translation in each "
        "line, which translate-zh-en translates into the sentence. Pairs with more than --num-steps tokens on a side "
        "are left out of the training.",
    )
    group.add_argument(
        "--attention",
        choices=("none", *ATTENTIONS),
        default=argparse.SUPPRESS,
        help="how the decoder looks at the encoder's outputs (general)",
    )
    group.add_argument(
        "--share",
        action="store_true",
        default=argparse.SUPPRESS,
        help="one embedding and one set of recurrent layers for both sides, which then have one vocabulary",
    )
