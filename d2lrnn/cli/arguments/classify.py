"""The arguments of ``classify``."""

from __future__ import annotations

import argparse

from d2lrnn.cli.options import add_ctx, add_run


def add(commands) -> None:
    """Add the command and its arguments to the command line."""
    classify = commands.add_parser(
        "classify",
        help="say of which class images or texts are",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Say the likeliest classes of each image or text with their probabilities.\n\n"
        "A classifier of images reads PNG files. An image of 28 x 28 pixels is taken as it is; of another, the digit\n"
        "is cut out, scaled and centred as MNIST's are. Dark digits on bright paper are inverted.\n\n"
        "A classifier of texts reads the texts that are given, or without one the lines of standard input. Words, or\n"
        "characters, that its vocabulary lacks are counted.\n\n"
        "What cannot be read gets a line of its own, and the exit status is then 1.",
        epilog="for example:\n  python -m d2lrnn classify runs/digits seven.png my/*.png\n"
        "  python -m d2lrnn classify runs/texts 'is this a question?'\n"
        "  python -m d2lrnn classify runs/texts < lines.txt",
    )
    add_run(classify)
    classify.add_argument("given", nargs="*", default=(), metavar="IMAGE|TEXT", help="a PNG file, or a text")
    classify.add_argument("--count", type=int, default=3, metavar="N", help="how many classes (%(default)s)")
    add_ctx(classify)
