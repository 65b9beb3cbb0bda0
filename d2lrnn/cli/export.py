"""The command ``export``: write a trained model in another framework's format, and hold the file against the model."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from d2lrnn.config.fields import settings_in
from d2lrnn.exchange.contents import Contents, contents_of
from d2lrnn.exchange.exports import check_free
from d2lrnn.runs.trained import TrainedRun, folder_of


@dataclass(frozen=True)
class ExportRequest:
    """Which run to write, in which format, and where to."""

    run: Path  # a folder that `train` wrote, or a checkpoint in it
    to: str  # onnx or safetensors
    out: Path | None = None  # the file to write; None: beside the checkpoint
    overwrite: bool = False  # write over a file that is there

    @classmethod
    def read(cls, args: argparse.Namespace) -> ExportRequest:
        """Return what the arguments of the command ask for."""
        return cls(**settings_in(cls, vars(args)))

    @property
    def path(self) -> Path:
        """The file to write."""
        return self.out or folder_of(self.run) / f"model.{self.to}"


def export(args: argparse.Namespace) -> int:
    """Write a model, say how the file was checked, and return the exit status."""
    request = ExportRequest.read(args)
    run = TrainedRun.open(request.run, "cpu")
    path, contents = check_free(request.path, request.overwrite), contents_of(run)
    checked = (_export_onnx if request.to == "onnx" else _export_safetensors)(contents, path, run)
    size = sum(array.size for array in contents.values.values())
    if contents.embedding is not None and not contents.tied:
        size += contents.embedding.size
    print(f"file     {path}")
    print(f"model    {run.checkpoint.shape}, {size:,} parameters, {len(contents.vocab):,} tokens")
    print(f"checked  {checked}")
    return 0


def _export_safetensors(contents: Contents, path: Path, run: TrainedRun) -> str:
    from d2lrnn.exchange.safetensors_file import write_safetensors

    write_safetensors(contents, path)
    return "read back; all numbers, the vocabulary and the settings are equal"


def _export_onnx(contents: Contents, path: Path, run: TrainedRun) -> str:
    from d2lrnn.exchange.onnx_file import write_onnx

    written = write_onnx(contents, path, run.model)
    if written.difference is None:
        return "by onnx's checker; to run the graph and hold it against the model too, `pip install onnxruntime`"
    return f"run by onnxruntime; its logits differ from the model's by {written.difference:.0e} of the largest one"
