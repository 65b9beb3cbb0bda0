"""The command ``compare``: train a model from scratch and its twin on Gluon side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from d2lrnn.cli.from_arguments import config_from, load_corpus_from, prefixes_from
from d2lrnn.config.model import ModelConfig
from d2lrnn.config.training import TrainConfig
from d2lrnn.device import as_ctx
from d2lrnn.paths import make_folder
from d2lrnn.plotting.pictures import plot_comparison
from d2lrnn.training.comparison import compare, comparison_table, largest_difference
from d2lrnn.training.history import History


def compare_kinds(args: argparse.Namespace) -> int:
    """Train a model from scratch and its twin on Gluon, print and draw both, and return the exit status."""
    corpus = load_corpus_from(args)
    config = config_from(args, TrainConfig, prefixes=prefixes_from(args, corpus))
    model_config = config_from(args, ModelConfig)
    make_folder(args.out)
    histories = compare(model_config, corpus, config, as_ctx(args.ctx))
    return report_comparison(histories, args.out / f"compare_{args.cell}.png", f"{args.cell} on {corpus.name}")


def report_comparison(histories: dict[str, History], picture: Path, title: str) -> int:
    """Print and draw runs side by side; return the exit status: 130 if a run was stopped, else 0."""
    print(f"\n{comparison_table(histories)}")
    finished = [history for history in histories.values() if history.epochs]
    if len(histories) == 2 and len(finished) == 2:
        difference = f"largest relative difference in perplexity: {largest_difference(*finished):.1e}"
        print(difference)
        title += f"; {difference}"
    if finished:
        plot_comparison(histories, picture, title)
        print(f"picture  {picture}")
    return 130 if any(history.stopped for history in histories.values()) else 0
