"""The arguments of ``show``."""

from __future__ import annotations

import argparse

from d2lrnn.cli.options import PathText, add_ctx, add_data_dir, add_run, as_text


def add(commands) -> None:
    """Add the command and its arguments to the command line."""
    show = commands.add_parser(
        "show",
        help="draw what a trained model does",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Draw what a trained model expects next, how far its gates open while it reads a text, or a map\n"
        "of the tokens by their embedding; of a classifier, which classes it takes for which (confusion), or the\n"
        "images that it misreads (misread).",
        epilog="for example:\n"
        "  python -m d2lrnn show runs/lyrics --prefix 我们                  # what may come next\n"
        "  python -m d2lrnn show runs/lyrics --what gates                   # over what the model writes itself\n"
        "  python -m d2lrnn show runs/lyrics --what embedding --count 200   # a map of 200 characters\n"
        "  python -m d2lrnn show runs/digits --what misread                 # the digits that it misreads",
    )
    add_run(show)
    show.add_argument(
        "--what",
        choices=("next", "gates", "embedding", "confusion", "misread"),
        default="next",
        help="which picture (%(default)s)",
    )
    show.add_argument(
        "--prefix",
        type=as_text,
        metavar="TEXT",
        help="next, gates: what the model reads (the first prefix of the training; gates: and 30 tokens after it)",
    )
    show.add_argument(
        "--count",
        type=int,
        metavar="N",
        help="how many tokens; of gates, hidden units (next: 10; gates: 12; embedding: 100); of misread, images (30)",
    )
    show.add_argument("--layer", type=int, metavar="N", help="gates: of which layer, from 0 (0)")
    show.add_argument("--out", type=PathText, metavar="FILE", help=".png, .svg or .pdf (RUN/next.png and so on)")
    add_data_dir(show)
    add_ctx(show)
