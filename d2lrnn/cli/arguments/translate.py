"""The arguments of ``translate``."""

from __future__ import annotations

import argparse

from d2lrnn.cli.options import PathText, add_ctx, add_run, add_settings
from d2lrnn.config.generation import Decoding


def add(commands) -> None:
    """Add the command and its arguments to the command line."""
    translate = commands.add_parser(
        "translate",
        help="translate sentences",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Translate the sentences that are given, or without one the lines of standard input. Each has a\n"
        "line of its own in the output; that of a blank line is blank. Words that the model does not know are\n"
        "named on standard error. A sentence that cannot be translated gets a line there too, and the exit\n"
        "status is then 1.",
        epilog="for example:\n"
        "  python -m d2lrnn translate runs/translate-en-zh 'How are you?'\n"
        "  python -m d2lrnn translate runs/translate-en-zh < english.txt > chinese.txt\n"
        "  python -m d2lrnn translate runs/translate-en-zh 'How are you?' --attention looked-at.png",
    )
    add_run(translate)
    translate.add_argument("texts", nargs="*", default=(), metavar="TEXT", help="a sentence")
    translate.add_argument(
        "--attention", type=PathText, metavar="FILE", help="draw what the model looks at, of one sentence"
    )
    add_ctx(translate)
    add_settings(translate, Decoding(), given_only=True)
