"""Which run the arguments of ``train`` begin; imports neither MXNet nor NumPy."""

from __future__ import annotations

import argparse
from pathlib import Path

from d2lrnn.config.fields import DIGIT_SETS, PAIR_NAMES


def config_of(args: argparse.Namespace) -> str:
    """Return the name of the configuration that a run begins with: as asked for, or one that is for these data."""
    if args.config:
        return args.config
    if args.label_column or args.text_column:
        return "texts"
    if args.column:
        return "series"
    if args.corpus in PAIR_NAMES:
        return "translate-en-zh"
    return "digits" if args.corpus in DIGIT_SETS else "lyrics"


def folder_of(args: argparse.Namespace) -> Path:
    """Return the folder that a run begins to write to: as asked for, or one with the configuration's name."""
    return args.out or Path("runs") / config_of(args)
