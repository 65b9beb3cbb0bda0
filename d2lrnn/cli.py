"""The command line: ``python -m d2lrnn train | sample | compare``."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from d2lrnn.config import (
    CORPUS_NAMES,
    KINDS,
    OPTIMIZERS,
    QUICK_MODEL,
    QUICK_TRAINING,
    ModelConfig,
    TrainConfig,
)

CELL_CHOICES = ("rnn", "gru", "lstm")


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that every training command and chapter has: corpus, device, seed, prefixes."""
    group = parser.add_argument_group("data and device")
    names = ", ".join(CORPUS_NAMES)
    group.add_argument(
        "--corpus", default="sample", metavar="NAME", help=f"{names}, or a UTF-8 text file (%(default)s)"
    )
    group.add_argument("--data-dir", metavar="DIR", help="look for the corpus here before D2LRNN_DATA and data/")
    group.add_argument(
        "--max-tokens", type=int, metavar="N", help="keep so many tokens (all; jaychou: the book's 10000)"
    )
    group.add_argument("--ctx", default="auto", help="cpu, gpu, gpu:1, or auto: a GPU if there is one (%(default)s)")
    group.add_argument("--seed", type=int, default=0, help="of parameters, order of batches and dropout (%(default)s)")
    group.add_argument("--prefix", action="append", metavar="TEXT", help="let samples start from this; may be repeated")


def add_model_arguments(parser: argparse.ArgumentParser, defaults: ModelConfig) -> None:
    """Add the arguments that describe a model."""
    group = parser.add_argument_group("model")
    group.add_argument("--cell", choices=CELL_CHOICES, default=defaults.cell, help="recurrent layer (%(default)s)")
    group.add_argument("--num-hiddens", type=int, default=defaults.num_hiddens, help="hidden units (%(default)s)")
    group.add_argument("--num-layers", type=int, default=defaults.num_layers, help="stacked layers (%(default)s)")


def add_training_arguments(parser: argparse.ArgumentParser, defaults: TrainConfig) -> None:
    """Add the arguments that describe the training."""
    group = parser.add_argument_group("training")
    group.add_argument("--num-epochs", type=int, default=defaults.num_epochs, help="passes over the text (%(default)s)")
    group.add_argument("--batch-size", type=int, default=defaults.batch_size, help="rows of a batch (%(default)s)")
    group.add_argument("--num-steps", type=int, default=defaults.num_steps, help="length of a window (%(default)s)")
    group.add_argument(
        "--optimizer", choices=OPTIMIZERS, default=defaults.optimizer, help="sgd is the book's (%(default)s)"
    )
    group.add_argument("--lr", type=float, default=defaults.lr, help="learning rate (%(default)s)")
    group.add_argument("--theta", type=float, default=defaults.theta, help="clip gradients to this norm (%(default)s)")
    group.add_argument(
        "--use-random-iter",
        action="store_true",
        default=defaults.use_random_iter,
        help="random windows; else consecutive ones with the state carried",
    )
    group.add_argument(
        "--pred-period", type=int, default=defaults.pred_period, help="epochs between reports (%(default)s)"
    )
    group.add_argument("--pred-len", type=int, default=defaults.pred_len, help="tokens in a sample (%(default)s)")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="python -m d2lrnn",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Recurrent networks of Dive into Deep Learning: train one on text, let it write, "
        "hold the one from scratch against Gluon's.",
        epilog="a first round:\n"
        "  python -m d2lrnn train                                   the lyrics that ship with d2lrnn, one minute\n"
        "  python -m d2lrnn sample runs/model --prefix 我们         let it write\n"
        "  python -m d2lrnn compare --cell gru --num-epochs 20      from scratch against Gluon\n"
        "  python -m d2lrnn train --corpus my.txt --out runs/my     your own text",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(commands)
    _add_sample(commands)
    _add_compare(commands)
    return parser


def _add_train(commands) -> None:
    train = commands.add_parser(
        "train",
        help="train a model; writes the model and its loss curve",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a language model; writes DIR/model.d2lrnn, for `sample`, and DIR/loss.png.\n"
        "Unless told otherwise it learns the lyrics that ship with d2lrnn by heart, in about a minute on two cores.",
        epilog="with the book's settings:\n"
        "  python -m d2lrnn train --cell gru --embed-size 0 --optimizer sgd --lr 100 --theta 0.01 --num-epochs 160",
    )
    add_data_arguments(train)
    add_model_arguments(train, QUICK_MODEL)
    train.add_argument(
        "--kind",
        choices=KINDS,
        default="gluon",
        help="the book's equations, the same compiled, or Gluon's fused layers (%(default)s)",
    )
    train.add_argument("--embed-size", type=int, metavar="N", help=f"0: one-hot; gluon only ({QUICK_MODEL.embed_size})")
    train.add_argument("--dropout", type=float, default=0.0, help="gluon only (%(default)s)")
    add_training_arguments(train, QUICK_TRAINING)
    train.add_argument(
        "--out", type=Path, default=Path("runs/model"), metavar="DIR", help="folder to write to (%(default)s)"
    )


def _add_sample(commands) -> None:
    sample = commands.add_parser(
        "sample",
        help="let a trained model continue a text",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Continue a text with what `train` wrote, always with the likeliest next token.",
    )
    sample.add_argument("run", type=Path, metavar="RUN", help="a folder that `train` wrote, or the model's file")
    sample.add_argument("--prefix", action="append", metavar="TEXT", help="what to start from (as in training)")
    sample.add_argument("--pred-len", type=int, default=100, metavar="N", help="tokens to add (%(default)s)")
    sample.add_argument("--ctx", default="auto", help="cpu, gpu, gpu:1 or auto (%(default)s)")


def _add_compare(commands) -> None:
    against = commands.add_parser(
        "compare",
        help="train a model from scratch and its Gluon twin from the same parameters",
        description="The book's settings unless told otherwise. A gru is in Gluon's form: see the GRU chapter.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_data_arguments(against)
    add_model_arguments(against, ModelConfig())
    add_training_arguments(against, TrainConfig())
    against.add_argument(
        "--out", type=Path, default=Path("runs"), metavar="DIR", help="folder for the picture (%(default)s)"
    )


def prepare_stdout() -> None:
    """Let a log file get each line at once, and a terminal without Chinese question marks in its place."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="replace")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 after an error, 130 after Ctrl-C."""
    prepare_stdout()
    args = make_parser().parse_args(argv)
    from d2lrnn import commands  # brings MXNet, which neither --help nor a wrong option should wait for

    return commands.run(args)
