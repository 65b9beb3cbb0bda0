"""The command line: ``python -m d2lrnn train | evaluate | sample | compare | plot | show | play``."""

from __future__ import annotations

import argparse
from pathlib import Path

from d2lrnn.cli.options import (
    CHAPTER_MODEL,
    CHAPTER_TRAINING,
    Parser,
    PathText,
    add_ctx,
    add_data_arguments,
    add_data_dir,
    add_imports,
    add_settings,
    as_text,
)
from d2lrnn.config.evaluation import Cache, Dynamic
from d2lrnn.config.fields import FORM_NAMES
from d2lrnn.config.generation import Sampling
from d2lrnn.config.model import ModelConfig
from d2lrnn.config.presets import CONFIGS
from d2lrnn.config.training import TrainConfig
from d2lrnn.version import VERSION


def make_parser() -> Parser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="python -m d2lrnn",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Recurrent networks of Dive into Deep Learning: train one on text, measure it, let it write,\n"
        "compare one from scratch with its twin on Gluon.",
        epilog="a first round:\n"
        "  python -m d2lrnn train                                 # the lyrics that ship with d2lrnn, one minute\n"
        "  python -m d2lrnn sample runs/lyrics --prefix 我们      # let it write\n"
        "  python -m d2lrnn play runs/lyrics                      # the same on a page in the browser\n"
        "  python -m d2lrnn compare --cell gru --num-epochs 20    # from scratch against Gluon\n"
        "  python -m d2lrnn train --corpus my.txt --out runs/my   # your own text\n"
        "  python -m d2lrnn train --config small                  # Penn Treebank, as the TensorFlow tutorial does",
    )
    parser.add_argument("--version", action="version", version=f"d2lrnn {VERSION}")
    add_imports(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(commands)
    _add_evaluate(commands)
    _add_sample(commands)
    _add_compare(commands)
    _add_plot(commands)
    _add_show(commands)
    _add_play(commands)
    for command in commands.choices.values():
        add_imports(command)
    return parser


def _add_train(commands) -> None:
    configs = "\n".join(f"  {name:8} on {config.corpus}: {config.summary}" for name, config in CONFIGS.items())
    train = commands.add_parser(
        "train",
        help="train a model, or go on with one; writes the model, its log and its loss curve",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a language model; writes DIR/model.d2lrnn, the best so far, for `sample` and `evaluate`;\n"
        "DIR/last.d2lrnn, for --resume; DIR/log.jsonl and DIR/loss.png.",
        epilog=f"configurations (an option changes one setting; the defaults shown above are those of lyrics):\n"
        f"{configs}\n\nwith the book's settings:\n"
        "  python -m d2lrnn train --cell gru --embed-size none --optimizer sgd --lr 100 --theta 0.01 --num-epochs 160",
    )
    train.add_argument("--config", choices=tuple(CONFIGS), help="what to begin with (lyrics)")
    train.add_argument(
        "--resume",
        type=PathText,
        metavar="RUN",
        help="go on with the run in this folder; settings of its training may change",
    )
    train.add_argument(
        "--out", type=PathText, metavar="DIR", help="folder to write to (runs/ and the configuration's name)"
    )
    train.add_argument("--overwrite", action="store_true", help="write to the folder although it holds a run")
    add_data_arguments(train, None)
    add_settings(train, CONFIGS["lyrics"].model, given_only=True)
    add_settings(train, CONFIGS["lyrics"].training, given_only=True)


def _add_run(parser) -> None:
    parser.add_argument("run", type=PathText, metavar="RUN", help="a folder that `train` wrote, or a checkpoint in it")


def _add_evaluate(commands) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="measure a trained model's perplexity",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measure the perplexity on a split of the corpus. Every token counts once; the state is carried\n"
        "through the whole text, or through as many lines as in training.",
        epilog="each line by itself, a row for each, tabs between the columns:\n"
        "  python -m d2lrnn evaluate runs/small --text my.txt --each-line   # for cut -f, awk, pandas\n"
        "The columns, named in the first row: the line's number in the file; the tokens predicted; the words that the\n"
        "model does not know; the sum of the natural logarithms of the tokens' probabilities; the perplexity, - where\n"
        "nothing is predicted; the line. Blank lines are left out. Each line is read with a fresh state, after what\n"
        "stood for a line end in training: the line end (which is predicted after the line too), <eos> (likewise), or\n"
        "a space. Where words or pairs have none of these, the line's first token is read and not predicted.",
    )
    _add_run(evaluate)
    evaluate.add_argument(
        "--split", choices=("train", "valid", "test"), help="of the corpus (test, or the last that it has)"
    )
    evaluate.add_argument(
        "--text",
        type=PathText,
        metavar="FILE",
        help="measure on all of this UTF-8 text file instead, - is standard input; it needs no corpus",
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


def _add_sample(commands) -> None:
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
    _add_run(sample)
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


def _add_compare(commands) -> None:
    against = commands.add_parser(
        "compare",
        help="train a model from scratch and its Gluon twin from the same parameters",
        description="Train a model from scratch and its twin on Gluon; print and draw both side by side. The defaults\n"
        "are the book's settings. A gru is in Gluon's form: see the GRU chapter.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_data_arguments(against)
    add_settings(against, ModelConfig(), CHAPTER_MODEL)
    add_settings(against, TrainConfig(), CHAPTER_TRAINING)
    against.add_argument(
        "--out", type=PathText, default=Path("runs"), metavar="DIR", help="folder for the picture (%(default)s)"
    )


def _add_plot(commands) -> None:
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


def _add_show(commands) -> None:
    show = commands.add_parser(
        "show",
        help="draw what a trained model does",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Draw what a trained model expects next, how far its gates open while it reads a text, or a map\n"
        "of the tokens by their embedding.",
        epilog="for example:\n"
        "  python -m d2lrnn show runs/lyrics --prefix 我们                  # what may come next\n"
        "  python -m d2lrnn show runs/lyrics --what gates                   # over what the model writes itself\n"
        "  python -m d2lrnn show runs/lyrics --what embedding --count 200   # a map of 200 characters",
    )
    _add_run(show)
    show.add_argument(
        "--what", choices=("next", "gates", "embedding"), default="next", help="which picture (%(default)s)"
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
        help="how many tokens; of gates, how many hidden units (next: 10; gates: 12; embedding: 100)",
    )
    show.add_argument("--layer", type=int, metavar="N", help="gates: of which layer, from 0 (0)")
    show.add_argument("--out", type=PathText, metavar="FILE", help=".png, .svg or .pdf (RUN/next.png and so on)")
    add_ctx(show)


def _add_play(commands) -> None:
    play = commands.add_parser(
        "play",
        help="open a page on which a trained model writes",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Serve a page for the browser, on which the model writes while you look on. The page shows how\n"
        "likely each character was and marks what is copied from the corpus. Only this machine can open the\n"
        "page, unless --host says otherwise.",
    )
    _add_run(play)
    play.add_argument("--host", default="127.0.0.1", help="the address at which the page can be reached (%(default)s)")
    play.add_argument("--port", type=int, default=8000, metavar="N", help="0: any that is free (%(default)s)")
    play.add_argument("--corpus", metavar="NAME", help="if it is in another place than in training")
    add_data_dir(play)
    add_ctx(play)
