"""Pictures of a classifier: the numbers of a confusion matrix, the images that were misread."""

import numpy
import pytest
from matplotlib.image import imread

from d2lrnn import D2lrnnError, plot_confusion, plot_misread


def test_a_confusion_matrix_shows_each_number_that_is_not_0(tmp_path):
    matrix = numpy.array([[1200, 3, 0], [0, 7, 0], [2, 0, 9]])
    figure = plot_confusion(matrix, ["a", "$b$", "c"], tmp_path / "a.png", "Three")
    (panel,) = figure.axes
    found = {tuple(map(round, text.get_position())): text.get_text() for text in panel.texts}
    assert found == {(0, 0): "1,200", (1, 0): "3", (1, 1): "7", (0, 2): "2", (2, 2): "9"}  # (column, row)
    assert [label.get_text() for label in panel.get_xticklabels()] == ["a", r"$b$", "c"]
    assert panel.images[0].get_array().tolist() == [[0, 3, 0], [0, 0, 0], [2, 0, 0]]
    assert imread(tmp_path / "a.png").ndim == 3


def test_misread_images_have_their_captions():
    images = numpy.arange(7 * 28 * 28, dtype=numpy.uint8).reshape(7, 28, 28)
    figure = plot_misread(images, [f"caption {i}" for i in range(7)])
    (panel,) = figure.axes
    assert [text.get_text() for text in panel.texts] == [f"caption {i}" for i in range(7)]
    assert len(panel.images) == 7
    for drawn, image in zip(panel.images, images):
        assert (drawn.get_array() == 255 - image).all()
    corners = [tuple(drawn.get_extent()[::3]) for drawn in panel.images]
    assert len(set(corners)) == 7 and corners[6][0] == 0  # the seventh begins a row


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: plot_confusion(numpy.zeros((2, 3), int), ["a", "b"]), r"the matrix has shape \(2, 3\) for 2 classes"),
        (lambda: plot_confusion(numpy.zeros((41, 41), int), ["a"] * 41), "for each of at most 40"),
        (lambda: plot_misread(numpy.zeros((0, 28, 28)), []), "there are 0 images and 0 captions"),
        (lambda: plot_misread(numpy.zeros((2, 28, 28)), ["a"]), "there are 2 images and 1 captions: expected one for"),
    ],
)
def test_what_cannot_be_drawn(call, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        call()
