"""The arguments of ``sample``."""

from __future__ import annotations

import argparse

from d2lrnn.cli.options import add_ctx, add_data_dir, add_run, add_settings, as_text
from d2lrnn.config.fields import FORM_NAMES
from d2lrnn.config.generation import Sampling


def add(commands) -> None:
    """Add the command and its arguments to the command line."""
    sample = commands.add_parser(
        "sample",
        help="let a trained model continue a text",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Continue a text with a model that `train` wrote: always with the likeliest next token; or, with\n"
        '--num-samples or any option below "how it chooses", by chance or by beam search. In a form, each line\n'
        "ends where it must. Control characters in a text are shown as \\x1b; a file gets them as they are.",
        epilog="for example:\n"
        "  python -m d2lrnn sample runs/lyrics --num-samples 5                       # five texts by chance\n"
        "  python -m d2lrnn sample runs/lyrics --temperature 0.7 --top-p 0.9         # safer than chance alone\n"
        "  python -m d2lrnn sample runs/small --stop '<eos>' --beam-width 8          # the likeliest line\n"
        "  python -m d2lrnn sample runs/lyrics --acrostic 我们分开 --num-samples 3   # lines that begin so\n"
        "  python -m d2lrnn sample runs/lyrics --num-samples 5 --novelty             # what is copied, and how much\n",
    )
    add_run(sample)
    sample.add_argument(
        "--prefix", action="append", type=as_text, metavar="TEXT", help="what to start from (as in training)"
    )
    sample.add_argument("--pred-len", type=int, metavar="N", help="tokens to add (100)")
    sample.add_argument("--num-samples", type=int, metavar="N", help="texts from each prefix, by chance (1)")
    sample.add_argument(
        "--stop", type=as_text, default=argparse.SUPPRESS, metavar="TOKEN", help="a text ends before this token (none)"
    )
    sample.add_argument(
        "--without",
        action="append",
        type=as_text,
        default=argparse.SUPPRESS,
        metavar="TOKEN",
        help="never write this, such as '<unk>'; may be repeated (all is written)",
    )
    sample.add_argument("--log-probs", action="store_true", help="show how likely the model holds each token")
    add_ctx(sample)
    add_settings(sample, Sampling(), given_only=True)
    _add_forms(sample)
    _add_novelty(sample)


def _add_forms(sample) -> None:
    forms = sample.add_argument_group("forms, of which --prefix gives the first characters")
    forms.add_argument("--form", choices=FORM_NAMES, help="two or four lines of five characters, or of seven")
    forms.add_argument(
        "--acrostic", action="append", type=as_text, metavar="TEXT", help="a line for each of these characters"
    )
    forms.add_argument(
        "--line-length",
        type=int,
        metavar="N",
        help="characters of an acrostic's line, without --form (5 in couplets, else 7)",
    )
    forms.add_argument("--skip-unknown", action="store_true", help="place characters that the model has never seen")


def _add_novelty(sample) -> None:
    copies = sample.add_argument_group("what is copied from the corpus")
    copies.add_argument(
        "--novelty",
        action="store_true",
        help="mark copies 【so】, and say how much is copied and how varied the texts are",
    )
    copies.add_argument(
        "--ngram", type=int, metavar="N", help="count n-grams of so many tokens (4; 16 for letters of an alphabet)"
    )
    copies.add_argument(
        "--min-copy", type=int, metavar="N", help="mark spans of so many tokens or more (8; 32 for such letters)"
    )
    copies.add_argument("--corpus", metavar="NAME", help="if it is in another place than in training")
    add_data_dir(copies)
