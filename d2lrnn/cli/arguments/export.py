"""The arguments of ``export``."""

from __future__ import annotations

import argparse

from d2lrnn.cli.options import PathText, add_run


def add(commands) -> None:
    """Add the command and its arguments to the command line."""
    export = commands.add_parser(
        "export",
        help="write a trained model as an ONNX or a safetensors file, for programs without MXNet",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Write a trained model in a format of other frameworks, with its settings and its vocabulary, or\n"
        "its classes, or the scale of its series.\n"
        "onnx: a graph that onnxruntime runs: a language model's goes from ids and a state to logits and a new\n"
        "state, a classifier's from sequences to logits, a forecaster's from windows to the next values; a\n"
        "translator has none yet.\n"
        "safetensors: the numbers under PyTorch's names, which ten lines of PyTorch load.\n"
        "The file is then read back and held against the model.",
        epilog="for example:\n"
        "  python -m d2lrnn export runs/lyrics --to onnx                            # runs/lyrics/model.onnx\n"
        "  python -m d2lrnn export runs/lyrics --to safetensors --out my.safetensors",
    )
    add_run(export)
    export.add_argument("--to", choices=("onnx", "safetensors"), required=True, help="the format")
    export.add_argument(
        "--out", type=PathText, metavar="FILE", help="the file to write (model.onnx or model.safetensors in RUN)"
    )
    export.add_argument("--overwrite", action="store_true", help="write over a file that is there")
