"""What ``train`` does alike for all classifiers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from d2lrnn.cli.from_arguments import given_in
from d2lrnn.cli.shell import argument, command
from d2lrnn.cli.tasks.prepared import Prepared, described
from d2lrnn.config.model import Dropout, ModelConfig
from d2lrnn.data.examples import Labelled
from d2lrnn.errors import D2lrnnError
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.training.classification import Classification

# Arguments of language models alone.
OF_LANGUAGE_MODELS = (
    *("max_tokens", "prefix", "num_lines", "use_random_iter", "vary_steps", "sum_over_steps"),
    *("pred_len", "pred_temperature"),
)


def given_model(args: argparse.Namespace, num_classes: int) -> dict[str, Any]:
    """Return the settings of the model that the arguments hold, and those that follow from them.

    Raises:
        D2lrnnError: for another number of outputs than there are classes.
    """
    given = given_in(args, ModelConfig)
    if given.get("num_outputs", num_classes) != num_classes:
        raise D2lrnnError(
            f"--num-outputs {given['num_outputs']}: there are {num_classes} classes, and each is an output: leave it "
            "out"
        )
    if given.get("kind", "gluon") != "gluon":  # only Gluon's models have dropout
        given = {**Dropout().flat, **given}
    return {**given, "num_outputs": num_classes}


def prepared(task: Classification, about: Checkpoint, imports: Sequence[str], lines: Sequence[str]) -> Prepared:
    """Return the task with what its user is to know; ``lines`` are about its data."""

    def next_command(folder: Path) -> str:
        shown = command("show", argument(folder), "--what", "misread", imports=imports)
        return f"what it takes for something else:  {shown}"

    return Prepared(task, about, [*lines, described(about, task.model)], next_command)


def sizes(data: Labelled) -> str:
    """Return how many examples there are."""
    found = [f"{len(data.train):,} examples of {len(data.classes):,} classes"]
    found += [f"in validation {len(data.valid):,}"] if data.valid is not None else []
    found += [f"for the test {len(data.test):,}"] if data.test is not None else []
    return "; ".join(found)
