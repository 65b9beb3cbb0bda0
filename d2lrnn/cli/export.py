"""The command ``export``: write a trained model in another framework's format, and hold the file against the model."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from d2lrnn.config.fields import settings_in
from d2lrnn.config.presets import CLASSIFICATION, FORECASTING, LANGUAGE_MODEL, TRANSLATION
from d2lrnn.exchange.contents import Contents, contents_of
from d2lrnn.exchange.exports import check_free, open_run
from d2lrnn.runs.trained import Run, folder_of

# What of a model of each task is compared, beside its numbers, where a file is read back.
KEPT = {
    LANGUAGE_MODEL: "the vocabulary",
    CLASSIFICATION: "the classes",
    FORECASTING: "the scale",
    TRANSLATION: "the vocabularies",
}


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
    run = open_run(request.run)
    path, contents = check_free(request.path, request.overwrite), contents_of(run)
    checked = (_export_onnx if request.to == "onnx" else _export_safetensors)(contents, path, run)
    print(f"file     {path}")
    print(f"model    {run.checkpoint.shape}, {contents.num_params:,} parameters, {contents.inputs_and_outputs}")
    print(f"checked  {checked}")
    return 0


def _export_safetensors(contents: Contents, path: Path, run: Run) -> str:
    from d2lrnn.exchange.safetensors_file import write_safetensors

    write_safetensors(contents, path)
    return f"read back; all numbers, {KEPT[contents.answers.task]} and the settings are equal"


def _export_onnx(contents: Contents, path: Path, run: Run) -> str:
    from d2lrnn.exchange.onnx_file import write_onnx

    written = write_onnx(contents, path, run.model)
    if written.difference is None:
        return "by onnx's checker; to run the graph and hold it against the model too, `pip install onnxruntime`"
    what = "forecasts" if contents.answers.task == FORECASTING else "logits"
    return f"run by onnxruntime; its {what} differ from the model's by {written.difference:.0e} of the largest one"
