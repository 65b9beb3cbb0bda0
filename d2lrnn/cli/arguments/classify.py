"""The arguments of ``classify``."""

from __future__ import annotations

import argparse

from d2lrnn.cli.options import PathText, add_ctx, add_run


def add(commands) -> None:
    """Add the command and its arguments to the command line."""
    classify = commands.add_parser(
        "classify",
        help="say which digits images show",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Read PNG files and say the likeliest classes of each with their probabilities. An image of\n"
        "28 x 28 pixels is taken as it is; of another, the digit is cut out, scaled and centred as MNIST's are.\n"
        "Dark digits on bright paper are inverted. A file that cannot be read gets a line of its own, and the\n"
        "exit status is then 1.",
        epilog="for example:\n  python -m d2lrnn classify runs/digits seven.png my/*.png",
    )
    add_run(classify)
    classify.add_argument("images", nargs="+", type=PathText, metavar="IMAGE", help="a PNG file")
    classify.add_argument("--count", type=int, default=3, metavar="N", help="how many classes (%(default)s)")
    add_ctx(classify)
