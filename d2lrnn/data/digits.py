"""Handwritten digits: the images of MNIST as sequences of 28 rows of 28 pixels (LeCun, Cortes and Burges 1998).

The files are found, downloaded and verified as those of corpora are (:mod:`d2lrnn.data.files`).
"""

from __future__ import annotations

import gzip
import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import numpy

from d2lrnn._runtime import mx
from d2lrnn.checks import check_whole
from d2lrnn.config.fields import DIGIT_SETS
from d2lrnn.data.batches import Batches
from d2lrnn.data.examples import Labelled
from d2lrnn.data.files import Source, fetch, locate
from d2lrnn.data.texts import CorpusError, opened, reading
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.paths import PathLike

SIZE = 28  # rows of an image, and pixels of a row

CLASSES = tuple("0123456789")

MAX_SHIFT = SIZE // 2  # pixels; farther, and nothing of a digit would be left

BASE_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"

_SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
SOURCES = {name: Source(name, sha256, base_url=BASE_URL) for name, sha256 in _SHA256.items()}

_MANY = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
_FEW = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")

SPLIT_SEED = 1998  # of the permutation by which the 10,000 are divided; NumPy's RandomState keeps to its numbers
TEST_SHARE, VALID_SHARE = 15, 10  # hundredths of the 10,000: 1,500 and 1,000; the other 7,500 are for training
MANY_PER_VALID = 12  # of the 60,000 the last twelfth, 5,000, is for validation

MAX_IDX = 2**28  # bytes of an IDX file, unpacked (the 60,000 images: 47 million)


def read_idx(path: Path, max_bytes: int = MAX_IDX) -> numpy.ndarray:
    """Read a gzipped IDX file of unsigned bytes.

    The file is two bytes of zeros, the code 8 for unsigned bytes, the number of axes, the length of each axis in four
    bytes, the first byte the highest, and the numbers.

    Raises:
        CorpusError: if the file cannot be read, is damaged, is no such file, or has more than ``max_bytes`` unpacked.
    """
    with opened(path) as file, reading(path), gzip.open(file) as stream:
        begin = stream.read(4)
        if len(begin) < 4 or begin[:3] != b"\0\0\x08" or not 1 <= begin[3] <= 4:
            raise CorpusError(
                f"{path} begins, unpacked, with the bytes {begin.hex(' ') or '(none)'}: expected an IDX file of "
                "unsigned bytes, which begins with 00 00 08 and the number of axes"
            )
        sizes = stream.read(4 * begin[3])
        shape = tuple(int(size) for size in numpy.frombuffer(sizes[: len(sizes) // 4 * 4], ">u4"))
        expected = math.prod(shape)
        if expected > max_bytes:
            raise CorpusError(f"{path} says that it holds {expected:,} bytes: expected at most {max_bytes:,}")
        body = stream.read(expected + 1)
    if len(shape) < begin[3] or len(body) != expected:
        more = "more" if len(body) > expected else f"{len(body):,}"
        raise CorpusError(f"{path} says that it holds {expected:,} bytes, {shape}, and holds {more}: is it cut off?")
    return numpy.frombuffer(body, numpy.uint8).reshape(shape)


class Images:
    """Images of digits with their labels: labelled examples as :class:`d2lrnn.data.examples.Examples` describes them.

    X is float32 of shape (batch_size, 28, 28): the rows of an image are the steps of a sequence, from 0 for the
    background to 1 for ink.

    Args:
        pixels: bytes of shape (number of images, 28, 28).
        labels: the digits, of shape (number of images,).
        shift: in training, each image is moved by up to so many pixels up or down, and to the left or the right; what
            moves in is background.

    Raises:
        D2lrnnError: if pixels and labels are not such arrays, or ``shift`` is not between 0 and 14.
    """

    def __init__(self, pixels: numpy.ndarray, labels: numpy.ndarray, shift: int = 0) -> None:
        if pixels.ndim != 3 or pixels.shape[1:] != (SIZE, SIZE) or labels.shape != pixels.shape[:1]:
            raise D2lrnnError(
                f"the images have shape {pixels.shape}, the labels {labels.shape}: expected (n, {SIZE}, {SIZE}) and "
                "(n,)"
            )
        if len(labels) and labels.max() >= len(CLASSES):
            raise D2lrnnError(f"there is the label {labels.max()}: expected digits, 0 to {len(CLASSES) - 1}")
        self.pixels, self.labels = pixels, labels.astype(numpy.int32)
        self.shift = check_whole("shift", shift, 0, MAX_SHIFT)

    def __len__(self) -> int:
        return len(self.labels)

    def digest(self) -> str:
        """Return the SHA-256 of pixels and labels."""
        return hashlib.sha256(self.pixels.tobytes() + self.labels.tobytes()).hexdigest()

    def batches(self, batch_size: int, ctx: ContextLike = None, training: bool = False) -> Batches:
        """Return the images in batches; arguments and errors are those of ``Examples.batches``."""
        check_whole("batch_size", batch_size)
        ctx, count = as_ctx(ctx), len(self)
        num_batches = count // batch_size if training else -(-count // batch_size)
        if training and not num_batches:
            raise D2lrnnError(f"batch_size is {batch_size}, and there are {count} images: expected no more than these")

        def batches() -> Iterator:
            order = numpy.random.permutation(count) if training else numpy.arange(count)
            for i in range(num_batches):
                rows = order[i * batch_size : (i + 1) * batch_size]
                pixels = shifted(self.pixels[rows], self.shift) if training else self.pixels[rows]
                X = mx.np.array(pixels.astype(numpy.float32) / 255, ctx=ctx)
                yield X, mx.np.array(self.labels[rows], dtype=numpy.int32, ctx=ctx)

        return Batches(batches(), num_batches)


def shifted(pixels: numpy.ndarray, shift: int) -> numpy.ndarray:
    """Return images (n, 28, 28), each moved at random by up to ``shift`` pixels along both axes."""
    if not shift:
        return pixels
    padded = numpy.pad(pixels, ((0, 0), (shift, shift), (shift, shift)))
    down, right = numpy.random.randint(0, 2 * shift + 1, (2, len(pixels), 1))
    rows, columns = down + numpy.arange(SIZE), right + numpy.arange(SIZE)
    return padded[numpy.arange(len(pixels))[:, None, None], rows[:, :, None], columns[:, None, :]]


def at_hand(data_dir: PathLike | None = None) -> str:
    """Return the largest of the ``DIGIT_SETS`` of which nothing has to be downloaded; if none is here, "digits".

    Raises:
        CorpusError: if a file is there and is not the published one.
    """
    return "mnist" if all(locate(source, data_dir) for source in SOURCES.values()) else "digits"


def load_digits(name: str = "digits", data_dir: PathLike | None = None, shift: int = 0) -> Labelled:
    """Load the images of digits, divided for training, validation and test.

    "digits": 7,500, 1,000 and 1,500 of the 10,000 images that MNIST has for the test, by a fixed permutation:
    ``numpy.random.RandomState(1998).permutation(10_000)``, whose first 1,500 are for the test and whose next 1,000 are
    for validation.  "mnist": 55,000 and the last 5,000 of the 60,000 images that it has for training, and the 10,000.

    Args:
        name: one of ``DIGIT_SETS``.
        data_dir: the folder to look in first; ``D2LRNN_DATA``, the project's ``data/``, the cache and a download
            follow.
        shift: as for :class:`Images`, in training only.

    Raises:
        CorpusError: if a file is nowhere and cannot be downloaded, or is not the published one.
        D2lrnnError: for another name, and as :class:`Images`.
    """
    if name not in DIGIT_SETS:
        raise D2lrnnError(f"there are no images called {name!r}: expected one of {', '.join(DIGIT_SETS)}")
    few = _read(_FEW, data_dir)
    count = len(few[1])
    if name == "mnist":
        many = _read(_MANY, data_dir)
        valid_begin = len(many[1]) - len(many[1]) // MANY_PER_VALID
        order = numpy.arange(len(many[1]))
        train, valid, test = _rows(many, order[:valid_begin], shift), _rows(many, order[valid_begin:]), Images(*few)
    else:
        order = numpy.random.RandomState(SPLIT_SEED).permutation(count)
        ends = (count * TEST_SHARE // 100, count * (TEST_SHARE + VALID_SHARE) // 100)
        test_rows, valid_rows, train_rows = numpy.split(order, ends)
        train, valid, test = _rows(few, train_rows, shift), _rows(few, valid_rows), _rows(few, test_rows)
    return Labelled(name, CLASSES, train, valid, test)


def _read(files: tuple[str, str], data_dir: PathLike | None) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return the pixels and the labels that two files hold."""
    pixels, labels = (read_idx(fetch(SOURCES[file], data_dir)) for file in files)
    return pixels, labels


def _rows(images: tuple[numpy.ndarray, numpy.ndarray], rows: numpy.ndarray, shift: int = 0) -> Images:
    pixels, labels = images
    return Images(pixels[rows], labels[rows], shift)
