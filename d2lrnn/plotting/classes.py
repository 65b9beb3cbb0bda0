"""Pictures of what a classifier takes examples for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy

from d2lrnn.errors import D2lrnnError
from d2lrnn.plotting.figures import COLOURS, new_figure, save_figure, show_figure
from d2lrnn.plotting.fonts import legible

MOST_CLASSES = 40  # of a confusion matrix; more could not be read

IMAGES_A_ROW = 6


def plot_confusion(
    matrix: numpy.ndarray, classes: Sequence[str], path: str | Path | None = None, title: str = "Confusion matrix"
):
    """Draw how many examples of each class were taken for each class: a row for the right one, a column for the answer.

    The colour of a mistake shows its share of all mistakes; right answers, on the diagonal, have no colour.

    Args:
        matrix: whole numbers of shape (number of classes, number of classes), as
            :func:`d2lrnn.evaluation.scores.confusion_matrix` returns them.
        classes: their names.
        path: the file to write; None writes none.
        title: above the picture.

    Returns:
        the Matplotlib figure.

    Raises:
        D2lrnnError: if the matrix has another shape, or there are more than 40 classes.
    """
    count = len(classes)
    if matrix.shape != (count, count) or not 0 < count <= MOST_CLASSES:
        raise D2lrnnError(
            f"the matrix has shape {matrix.shape} for {count} classes: expected a row and a column for each of at most "
            f"{MOST_CLASSES}"
        )
    from matplotlib.colors import LinearSegmentedColormap

    side = 1.6 + 0.38 * count
    figure, (panel,) = new_figure(title, size=(max(side, 5.0), side + 0.3))
    mistakes = numpy.where(numpy.eye(count, dtype=bool), 0, matrix)
    colours = LinearSegmentedColormap.from_list("mistakes", ("#ffffff", COLOURS[1]))
    panel.imshow(mistakes, cmap=colours, vmin=0, vmax=max(1, int(mistakes.max())))
    for (i, j), number in numpy.ndenumerate(matrix):
        if number:
            panel.text(j, i, f"{number:,}", ha="center", va="center", fontsize=9, fontweight="bold" if i == j else None)
    names, families = legible(list(classes))
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_ticks(range(count), names, fontfamily=families, parse_math=False)
    panel.tick_params(length=0)
    panel.grid(visible=False)
    panel.set_xlabel("taken for")
    panel.set_ylabel("is")
    return show_figure(save_figure(figure, path))


def plot_misread(
    images: numpy.ndarray, captions: Sequence[str], path: str | Path | None = None, title: str = "Misread"
):
    """Draw images, each with what is said of it.

    Args:
        images: bytes of shape (number of images, height, width), 0 for the background.
        captions: one for each image.
        path: the file to write; None writes none.
        title: above the picture.

    Returns:
        the Matplotlib figure.

    Raises:
        D2lrnnError: if there is no image, or not one caption for each.
    """
    if not len(images) or len(images) != len(captions):
        raise D2lrnnError(f"there are {len(images)} images and {len(captions)} captions: expected one for each image")
    num_columns = min(IMAGES_A_ROW, len(images))
    num_rows = math.ceil(len(images) / num_columns)
    height, width = images.shape[1:]
    across, down = 1.25 * width, 1.4 * height  # from the corner of one image to that of the next
    figure, (panel,) = new_figure(title, size=(max(1.5 * num_columns, 5.5), 0.6 + 1.6 * num_rows))
    texts, families = legible(list(captions))
    for i, (image, text) in enumerate(zip(images, texts)):
        left, top = across * (i % num_columns), down * (i // num_columns)
        panel.imshow(255 - image, cmap="gray", vmin=0, vmax=255, extent=(left, left + width, top + height, top))
        middle = left + width / 2
        panel.text(middle, top - 0.05 * height, text, ha="center", fontsize=8, fontfamily=families, parse_math=False)
    panel.set_xlim(0, across * num_columns - 0.25 * width)
    panel.set_ylim(down * num_rows - 0.25 * height, -0.25 * height)
    panel.set_axis_off()
    return show_figure(save_figure(figure, path))
