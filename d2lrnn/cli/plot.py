"""The command ``plot``: draw the perplexity of runs, epoch by epoch."""

from __future__ import annotations

import argparse

from d2lrnn.plotting.pictures import plot_history
from d2lrnn.runs.log import read_history
from d2lrnn.runs.trained import name_of


def plot(args: argparse.Namespace) -> int:
    """Draw the perplexity of runs and return the exit status."""
    names = [name_of(run) for run in args.runs]
    histories = {name if names.count(name) == 1 else str(run): read_history(run) for name, run in zip(names, args.runs)}
    plot_history(histories, args.out, ", ".join(histories))
    print(f"picture  {args.out}")
    return 0
