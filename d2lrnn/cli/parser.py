"""The command line: ``python -m d2lrnn train | evaluate | sample | compare | plot | show | play | export | ...``."""

from __future__ import annotations

import argparse

from d2lrnn.cli.arguments import (
    classify,
    compare,
    doctor,
    evaluate,
    export,
    forecast,
    import_model,
    launch,
    play,
    plot,
    sample,
    show,
    train,
    translate,
    words,
)
from d2lrnn.cli.options import Parser, add_imports
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
        "  python -m d2lrnn train --config small                  # Penn Treebank, as the TensorFlow tutorial does\n"
        "  python -m d2lrnn train --config digits                 # a classifier of handwritten digits\n"
        "  python -m d2lrnn train --config series                 # a forecaster of a series\n"
        "  python -m d2lrnn export runs/lyrics --to safetensors   # for PyTorch\n"
        "  python -m d2lrnn doctor                                # what this machine can do, and what is wrong",
    )
    parser.add_argument("--version", action="version", version=f"d2lrnn {VERSION}")
    add_imports(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for arguments in (
        *(train, evaluate, sample, classify, forecast, translate, compare, plot, show, words, play),
        *(export, import_model, launch, doctor),
    ):
        arguments.add(commands)
    for command in commands.choices.values():
        add_imports(command)
    return parser
