"""The arguments of ``words``."""

from __future__ import annotations

import argparse

from d2lrnn.cli.options import add_ctx, add_run, as_text


def add(commands) -> None:
    """Add the command and its arguments to the command line."""
    words = commands.add_parser(
        "words",
        help="print the words whose vectors are nearest to a word's, or that complete an analogy",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Print the words, or other tokens, whose vectors in a trained model point nearly the same way:\n"
        "the cosine and the word, the nearest first. A map of the words: show RUN --what embedding.",
        epilog="for example:\n"
        "  python -m d2lrnn words runs/small --near king                   # words like king\n"
        "  python -m d2lrnn words runs/small --analogy man king woman      # man is to king as woman is to ...",
    )
    add_run(words)
    asked = words.add_mutually_exclusive_group(required=True)
    asked.add_argument("--near", type=as_text, metavar="WORD", help="the words nearest to this one")
    asked.add_argument(
        "--analogy", type=as_text, nargs=3, metavar=("A", "B", "C"), help="the words nearest to B - A + C"
    )
    words.add_argument("--count", type=int, default=10, metavar="N", help="how many words (%(default)s)")
    add_ctx(words)
