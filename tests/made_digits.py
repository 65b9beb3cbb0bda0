"""Files as those of MNIST, of digits that a test draws itself: figures of a seven-segment display, with noise."""

import gzip
import hashlib

import numpy

from d2lrnn.data.digits import SOURCES
from d2lrnn.data.files import Source

# The segments of each digit: above, upper left, upper right, middle, lower left, lower right, below.
SEGMENTS = "1110111 0010010 1011101 1011011 0111010 1101011 1101111 1010010 1111111 1111011".split()
PLACES = [
    *((slice(4, 6), slice(9, 19)), (slice(4, 14), slice(9, 11)), (slice(4, 14), slice(17, 19))),
    (slice(13, 15), slice(9, 19)),
    *((slice(14, 24), slice(9, 11)), (slice(14, 24), slice(17, 19)), (slice(22, 24), slice(9, 19))),
]


def drawn(count, seed=0):
    """Return images (count, 28, 28) of digits and their labels, as bytes; each digit comes as often as another."""
    draw = numpy.random.default_rng(seed)
    labels = (numpy.arange(count) % 10).astype(numpy.uint8)
    pixels = numpy.zeros((count, 28, 28), numpy.uint8)
    for image, label in zip(pixels, labels):
        for shown, place in zip(SEGMENTS[label], PLACES):
            if shown == "1":
                image[place] = draw.integers(120, 256, image[place].shape)
    return pixels, labels


def idx(array):
    """Return an array of bytes as the contents of an IDX file, before it is packed."""
    head = bytes([0, 0, 8, array.ndim]) + numpy.array(array.shape, ">u4").tobytes()
    return head + array.astype(numpy.uint8).tobytes()


def write_digits(folder, count=100, many=0):
    """Write the files of ``count`` images for the test, and of ``many`` for training if there are any.

    Returns:
        what ``SOURCES`` of d2lrnn.data.digits must say of these files, to be put there by the test.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sources = dict(SOURCES)
    for begin, number in (("t10k", count), ("train", many)):
        if number:
            pixels, labels = drawn(number, seed=number)
            for name, array in ((f"{begin}-images-idx3-ubyte.gz", pixels), (f"{begin}-labels-idx1-ubyte.gz", labels)):
                data = gzip.compress(idx(array), 1, mtime=0)
                (folder / name).write_bytes(data)
                sources[name] = Source(name, hashlib.sha256(data).hexdigest())
    return sources
