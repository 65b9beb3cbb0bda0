"""The arguments of ``import``."""

from __future__ import annotations

import argparse

from d2lrnn.cli.options import PathText
from d2lrnn.config.fields import LEVELS
from d2lrnn.config.model import KINDS


def add(commands) -> None:
    """Add the command and its arguments to the command line."""
    imported = commands.add_parser(
        "import",
        help="make a run of a safetensors file, such as a model that was trained in PyTorch",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Make a run of a safetensors file that `export` has written, or of one from PyTorch whose tensors\n"
        "are called encoder.weight, rnn.weight_ih_l0 and so on, decoder.weight and decoder.bias. The run can\n"
        "write, be measured and be drawn; it holds no training that could go on.",
        epilog="for example:\n"
        "  python -m d2lrnn import model.safetensors --out runs/imported\n"
        "  python -m d2lrnn import torch.safetensors --vocabulary tokens.json --kind scratch --out runs/torch",
    )
    imported.add_argument("file", type=PathText, metavar="FILE", help="the safetensors file")
    imported.add_argument("--out", type=PathText, metavar="RUN", required=True, help="the folder for the run")
    imported.add_argument("--kind", choices=KINDS, help="of the model here (as the file says, or else gluon)")
    imported.add_argument(
        "--cell",
        metavar="CELL",
        help="such as rnn_relu (as the file says, or else what torch.nn computes)",
    )
    imported.add_argument(
        "--vocabulary",
        type=PathText,
        metavar="FILE",
        help="JSON, a list of tokens by id or an object of tokens and their ids; or a run with the same vocabulary (as "
        "the file says)",
    )
    imported.add_argument("--level", choices=LEVELS, help="how a text is split into tokens (as the vocabulary says)")
    imported.add_argument("--overwrite", action="store_true", help="give up a run that is in the folder")
