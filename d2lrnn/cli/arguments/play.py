"""The arguments of ``play``."""

from __future__ import annotations

import argparse

from d2lrnn.cli.options import add_ctx, add_data_dir, add_run


def add(commands) -> None:
    """Add the command and its arguments to the command line."""
    play = commands.add_parser(
        "play",
        help="open a page on which a trained model writes or translates",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Serve a page for the browser. On the page of a language model, the model writes while you look\n"
        "on; the page shows how likely each character was and marks what is copied from the corpus. The page of\n"
        "a translator translates what you type, and shows what the model looks at for each word. Only this\n"
        "machine can open the page, unless --host says otherwise.",
    )
    add_run(play)
    play.add_argument("--host", default="127.0.0.1", help="the address at which the page can be reached (%(default)s)")
    play.add_argument("--port", type=int, default=8000, metavar="N", help="0: any that is free (%(default)s)")
    play.add_argument(
        "--corpus", metavar="NAME", help="of a language model, if it is in another place than in training"
    )
    add_data_dir(play)
    add_ctx(play)
