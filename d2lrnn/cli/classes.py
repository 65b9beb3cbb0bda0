"""What ``evaluate`` and ``show`` do with the run of a classifier."""

from __future__ import annotations

import time
from typing import Any

import numpy

from d2lrnn.data.examples import Examples
from d2lrnn.data.labelled_texts import UNITS, Texts
from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.classes import class_probabilities
from d2lrnn.evaluation.scores import accuracy, confusion_matrix
from d2lrnn.plotting.classes import plot_confusion, plot_misread
from d2lrnn.runs.classifier import ClassifierRun
from d2lrnn.visible import in_a_line

AT_ONCE = 100  # examples that the model reads together

MOST_SHOWN = 60  # characters of a text

NUM_MISREAD = 30  # misread examples to show, unless told otherwise


def evaluate_classes(run: ClassifierRun, split: str | None, data_dir: Any = None, corpus: Any = None) -> int:
    """Measure and print a classifier's accuracy on a split of its examples; return the exit status."""
    data = run.data(data_dir, corpus)
    name, examples = data.split(split)
    start = time.perf_counter()
    predicted = _probabilities(run, examples).argmax(axis=1)
    seconds = time.perf_counter() - start
    right = int((predicted == examples.labels).sum())
    found = accuracy(predicted, examples.labels)
    print(f"{data.name}, {name}: accuracy {100 * found:.2f} %, {right:,} of {len(examples):,} examples")
    if isinstance(examples, Texts):
        unknown, tokens = sum(examples.unknown), int(examples.lengths.sum())
        print(f"{unknown:,} of {tokens:,} {UNITS[examples.vocab.level]} unknown")
    print(f"{len(examples) / seconds:,.0f} examples/s")
    return 0


def show_confusion(request: Any, run: ClassifierRun) -> bool:
    """Draw how many examples of each class the model takes for each class; return True."""
    data = run.data(request.data_dir)
    name, examples = data.split()
    predicted = _probabilities(run, examples).argmax(axis=1)
    matrix = confusion_matrix(predicted, examples.labels, len(run.classes))
    wrong = int(matrix.sum() - matrix.trace())
    title = f"{run.name}: {wrong:,} of {len(examples):,} taken for another class ({data.name}, {name})"
    plot_confusion(matrix, run.classes, request.path, title)
    return True


def show_misread(request: Any, run: ClassifierRun) -> bool:
    """Show the examples that the model takes for another class, the surest of its mistakes first.

    Returns:
        whether there is a picture, which is one of images; texts are printed.
    """
    if run.reads_texts and request.out is not None:
        raise D2lrnnError("--out given, but misread texts are printed: leave it out")
    if not run.reads_texts:
        run.check_reads_images()
    count = NUM_MISREAD if request.count is None else request.count
    data = run.data(request.data_dir)
    name, examples = data.split()
    probabilities = _probabilities(run, examples)
    predicted = probabilities.argmax(axis=1)
    wrong = numpy.flatnonzero(predicted != examples.labels)
    if not len(wrong):
        raise D2lrnnError(f"{run.name} takes no example of {data.name}, {name}, for another class: nothing to show")
    surest = wrong[numpy.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")]
    drawn = surest[:count]
    some = "the" if len(drawn) == len(wrong) else f"{len(drawn)} of the"
    title = f"{run.name}: {some} {len(wrong)} misread of {len(examples):,} ({data.name}, {name})"
    if isinstance(examples, Texts):
        print(title)
        for i in drawn:
            share, told = 100 * probabilities[i].max(), run.classes[predicted[i]]
            taken = f"{run.classes[examples.labels[i]]}, taken for {told} ({share:.0f} %)"
            print(in_a_line(f"row {examples.numbers[i]}: {taken}: {beginning(examples.texts[i])}"))
        return False
    captions = [
        f"{run.classes[examples.labels[i]]}, read as {run.classes[predicted[i]]} ({100 * probabilities[i].max():.0f} %)"
        for i in drawn
    ]
    plot_misread(examples.pixels[drawn], captions, request.path, title)  # type: ignore[attr-defined]
    return True


def beginning(text: str) -> str:
    """Return a text, or its beginning with "..." if it is long."""
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _probabilities(run: ClassifierRun, examples: Examples) -> numpy.ndarray:
    ctx = run.model.begin_state(1)[0].ctx
    return class_probabilities(run.model, examples.batches(AT_ONCE, ctx))


PICTURES = {"confusion": show_confusion, "misread": show_misread}
