"""What ``evaluate`` and ``show`` do with the run of a classifier."""

from __future__ import annotations

import time
from typing import Any

import numpy

from d2lrnn.checks import check_whole
from d2lrnn.data.examples import Examples
from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.classes import class_probabilities
from d2lrnn.evaluation.scores import accuracy, confusion_matrix
from d2lrnn.plotting.classes import plot_confusion, plot_misread
from d2lrnn.runs.classifier import ClassifierRun

AT_ONCE = 100  # examples that the model reads together

NUM_MISREAD = 30  # misread images to draw, unless told otherwise


def evaluate_classes(run: ClassifierRun, split: str | None, data_dir: Any = None) -> int:
    """Measure and print a classifier's accuracy on a split of its examples; return the exit status."""
    data = run.data(data_dir)
    name, examples = data.split(split)
    start = time.perf_counter()
    predicted = _probabilities(run, examples).argmax(axis=1)
    seconds = time.perf_counter() - start
    right = int((predicted == examples.labels).sum())
    found = accuracy(predicted, examples.labels)
    print(f"{data.name}, {name}: accuracy {100 * found:.2f} %, {right:,} of {len(examples):,} examples")
    print(f"{len(examples) / seconds:,.0f} examples/s")
    return 0


def show_confusion(request: Any, run: ClassifierRun) -> None:
    """Draw how many examples of each class the model takes for each class."""
    data = run.data(request.data_dir)
    name, examples = data.split()
    predicted = _probabilities(run, examples).argmax(axis=1)
    matrix = confusion_matrix(predicted, examples.labels, len(run.classes))
    wrong = int(matrix.sum() - matrix.trace())
    title = f"{run.name}: {wrong:,} of {len(examples):,} taken for another class ({data.name}, {name})"
    plot_confusion(matrix, run.classes, request.path, title)


def show_misread(request: Any, run: ClassifierRun) -> None:
    """Draw the images that the model takes for another class, the surest of its mistakes first."""
    run.check_reads_images()
    count = NUM_MISREAD if request.count is None else check_whole("count", request.count)
    data = run.data(request.data_dir)
    name, examples = data.split()
    probabilities = _probabilities(run, examples)
    predicted = probabilities.argmax(axis=1)
    wrong = numpy.flatnonzero(predicted != examples.labels)
    if not len(wrong):
        raise D2lrnnError(f"{run.name} takes no example of {data.name}, {name}, for another class: nothing to draw")
    surest = wrong[numpy.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")]
    drawn = surest[:count]
    captions = [
        f"{run.classes[examples.labels[i]]}, read as {run.classes[predicted[i]]} ({100 * probabilities[i].max():.0f} %)"
        for i in drawn
    ]
    some = "the" if len(drawn) == len(wrong) else f"{len(drawn)} of the"
    title = f"{run.name}: {some} {len(wrong)} misread of {len(examples):,} ({data.name}, {name})"
    plot_misread(examples.pixels[drawn], captions, request.path, title)  # type: ignore[attr-defined]


def _probabilities(run: ClassifierRun, examples: Examples) -> numpy.ndarray:
    ctx = run.model.begin_state(1)[0].ctx
    return class_probabilities(run.model, examples.batches(AT_ONCE, ctx))


PICTURES = {"confusion": show_confusion, "misread": show_misread}
