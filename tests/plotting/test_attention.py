"""The picture of what a translator looks at: its numbers, its tokens."""

import numpy
import pytest
from matplotlib.image import imread

from d2lrnn import D2lrnnError, Translated, plot_attention

WEIGHTS = numpy.array([[0.25, 0.5, 0.25], [1, 0, 0]])


def translated(source, tokens, weights=WEIGHTS):
    return Translated("".join(tokens), tuple(tokens), source=tuple(source), weights=weights)


def test_a_row_is_a_token_of_the_translation(tmp_path):
    figure = plot_attention(translated(["a", "$b$", "bird"], "一鸟"), tmp_path / "a.png", "One")
    (panel,) = figure.axes
    assert (panel.images[0].get_array() == WEIGHTS).all() and panel.images[0].get_clim() == (0, 1)
    assert [label.get_text() for label in panel.get_xticklabels()] == ["a", r"$b$", "bird"]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["一", "鸟"]
    assert imread(tmp_path / "a.png").ndim == 3


@pytest.mark.parametrize(
    ("one", "complaint"),
    [
        (translated("abc", "一鸟", None), "the translation has no weights of attention: ask for them"),
        (translated("abc", "", numpy.zeros((0, 3))), "the translation is empty: there is nothing to draw"),
        (
            translated("a" * 81, "一", numpy.zeros((1, 81))),
            "the source has 81 tokens and the translation 1",
        ),
    ],
)
def test_what_cannot_be_drawn(one, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        plot_attention(one)
