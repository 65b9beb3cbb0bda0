"""The arguments of ``compare``."""

from __future__ import annotations

import argparse
from pathlib import Path

from d2lrnn.cli.options import CHAPTER_MODEL, CHAPTER_TRAINING, PathText, add_data_arguments, add_settings
from d2lrnn.config.model import ModelConfig
from d2lrnn.config.training import TrainConfig


def add(commands) -> None:
    """Add the command and its arguments to the command line."""
    against = commands.add_parser(
        "compare",
        help="train a model from scratch and its Gluon twin from the same parameters",
        description="Train a model from scratch and its twin on Gluon; print and draw both side by side. The defaults\n"
        "are the book's settings. A gru is in Gluon's form: see the GRU chapter.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_data_arguments(against)
    add_settings(against, ModelConfig(), CHAPTER_MODEL)
    add_settings(against, TrainConfig(), CHAPTER_TRAINING)
    against.add_argument(
        "--out", type=PathText, default=Path("runs"), metavar="DIR", help="folder for the picture (%(default)s)"
    )
