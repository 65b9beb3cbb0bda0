"""The arguments of ``evaluate``."""

from __future__ import annotations

import argparse

from d2lrnn.cli.options import PathText, add_ctx, add_data_dir, add_run, add_settings
from d2lrnn.config.evaluation import Cache, Dynamic


def add(commands) -> None:
    """Add the command and its arguments to the command line."""
    evaluate = commands.add_parser(
        "evaluate",
        help="measure a trained model: perplexity, accuracy, errors or BLEU",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measure the perplexity on a split of the corpus. Every token counts once; the state is carried\n"
        "through the whole text, or through as many lines as in training. Of a classifier, measure the accuracy; of a\n"
        "translator, measure BLEU and chrF too, also for sources of different lengths.",
        epilog="each line by itself, a row for each, tabs between the columns:\n"
        "  python -m d2lrnn evaluate runs/small --text my.txt --each-line   # for cut -f, awk, pandas\n"
        "The columns, named in the first row: the line's number in the file; the tokens predicted; the words that the\n"
        "model does not know; the sum of the natural logarithms of the tokens' probabilities; the perplexity, - where\n"
        "nothing is predicted; the line. Blank lines are left out. Each line is read with a fresh state, after what\n"
        "stood for a line end in training: the line end (which is predicted after the line too), <eos> (likewise), or\n"
        "a space. Where words or pairs have none of these, the line's first token is read and not predicted.",
    )
    add_run(evaluate)
    evaluate.add_argument(
        "--split", choices=("train", "valid", "test"), help="of the corpus (test, or the last that it has)"
    )
    evaluate.add_argument(
        "--text",
        type=PathText,
        metavar="FILE",
        help="measure on all of this UTF-8 text file instead, - is standard input; it needs no corpus; for a "
        "translator, a file of sentence pairs",
    )
    evaluate.add_argument("--each-line", action="store_true", help="print a row for each line of --text, see below")
    evaluate.add_argument("--cache", action="store_true", help="mix in a neural cache of recent words")
    evaluate.add_argument("--dynamic", action="store_true", help="let the model learn from what it has just predicted")
    add_settings(evaluate, Cache(), given_only=True, prefix="cache_")
    add_settings(evaluate, Dynamic(), given_only=True, prefix="dynamic_")
    add_data_dir(evaluate)
    evaluate.add_argument(
        "--corpus", metavar="NAME", help="if other than in training; it must have the same vocabulary"
    )
    evaluate.add_argument("--max-tokens", type=int, metavar="N", help="measure on so many tokens (all)")
    evaluate.add_argument(
        "--num-lines",
        type=int,
        metavar="N",
        help="carry the state through so many lines; 0: through all (as in training)",
    )
    add_ctx(evaluate)
