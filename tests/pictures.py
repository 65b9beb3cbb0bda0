"""What stands in a picture: the colours of its pixels, and whether it is the picture of certain numbers."""

import numpy
from matplotlib.colors import to_rgb
from matplotlib.image import imread


def pixels(picture, colour):
    """Return how many pixels of a picture, a file or an array, have a colour."""
    array = picture if isinstance(picture, numpy.ndarray) else imread(picture)
    return int((numpy.abs(array[..., :3] - to_rgb(colour)).max(axis=-1) < 0.02).sum())


def assert_drawn(picture, plot, *arguments, title):
    """Check that a PNG file is what a function of d2lrnn.plotting draws of these arguments, pixel by pixel."""
    again = picture.with_name("drawn again.png")
    plot(*arguments, path=again, title=title)
    numpy.testing.assert_array_equal(imread(picture), imread(again))
    again.unlink()
