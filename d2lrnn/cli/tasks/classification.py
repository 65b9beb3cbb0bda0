"""``train`` for a classifier: whether it is one of images or one of texts."""

from __future__ import annotations

import argparse

from d2lrnn.cli.tasks import images, labelled_texts
from d2lrnn.cli.tasks.prepared import Prepared
from d2lrnn.config.presets import NamedConfig
from d2lrnn.runs.checkpoint import Checkpoint


def begin(args: argparse.Namespace, named: NamedConfig) -> Prepared:
    """Load the examples and make the model that the arguments and a named configuration describe."""
    return (images if named.model.input_size else labelled_texts).begin(args, named)


def go_on(args: argparse.Namespace, checkpoint: Checkpoint) -> Prepared:
    """Load the examples and the model of a run."""
    return (images if checkpoint.shape.input_size else labelled_texts).go_on(args, checkpoint)
