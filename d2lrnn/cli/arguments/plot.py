"""The arguments of ``plot``."""

from __future__ import annotations

from pathlib import Path

from d2lrnn.cli.options import PathText


def add(commands) -> None:
    """Add the command and its arguments to the command line."""
    plot = commands.add_parser(
        "plot",
        help="draw the perplexity of one run or several",
        description="Draw training and validation perplexity, epoch by epoch, from the logs of runs.",
    )
    plot.add_argument(
        "runs", type=PathText, nargs="+", metavar="RUN", help="a folder that `train` wrote, or a log.jsonl"
    )
    plot.add_argument(
        "--out", type=PathText, default=Path("runs/plot.png"), metavar="FILE", help=".png, .svg or .pdf (%(default)s)"
    )
