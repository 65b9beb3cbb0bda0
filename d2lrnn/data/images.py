"""From a PNG file to an image as those of MNIST are: 28 rows of 28 pixels, bright ink, the digit in the middle."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy

from d2lrnn.data.digits import SIZE
from d2lrnn.errors import D2lrnnError, naming
from d2lrnn.paths import PathLike, kind_of, user_path

SIGNATURE = b"\x89PNG\r\n\x1a\n"  # the first bytes of a PNG file; after it and 8 more come width and height

MAX_PIXELS = 2**24  # of a file (a photograph of 12 megapixels: 0.7 of it)
MAX_FILE = 2**26  # bytes

BOX = 20  # pixels: the larger side of a digit in MNIST, of which the image has 28

FAINT = 0.2  # of the strongest ink; what has less is not part of the digit when its borders are looked for


class ImageError(D2lrnnError):
    """A file is not an image that can be read; the message names it."""


def read_digit(path: PathLike) -> numpy.ndarray:
    """Read a PNG file as the image of a digit.

    Where the border is brighter than half of the range, the image is inverted: a bright border is paper.  An image of
    28 x 28 pixels is then taken as it is.  Of any other, the digit is cut out, scaled to 20 pixels on its larger side
    and placed with its centre of mass in the middle, as LeCun et al. have made MNIST, and its strongest ink becomes
    255.  Colours become grey; what is transparent shows white, or black where all would be white.

    Returns:
        bytes of shape (28, 28), 0 for the background.

    Raises:
        ImageError: if the file is no PNG file, is damaged or too large, or all of one colour.
        FileError: if the file cannot be read.
    """
    path = user_path(path)
    grey = _read_grey(path)
    border = numpy.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    low, high = float(grey.min()), float(grey.max())
    if numpy.median(border) > (low + high) / 2:
        grey, low, high = 255 - grey, 255 - high, 255 - low
    if grey.shape == (SIZE, SIZE):
        return numpy.rint(grey).astype(numpy.uint8)
    return _centred((grey - low) / (high - low))


def _read_grey(path: Path) -> numpy.ndarray:
    """Return a file's pixels from 0 for black to 255 for white, float64 of shape (height, width)."""
    from PIL import Image

    with naming(path):
        kind = kind_of(path)
        if kind:
            raise ImageError(f"{path} is {kind}: expected a PNG file")
        size = path.stat().st_size
        if size > MAX_FILE:
            raise ImageError(f"{path} has {size:,} bytes: expected a PNG file of at most {MAX_FILE:,}")
        data = path.read_bytes()
    _check_head(path, data)
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            grey = _as_grey(image)
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error and others
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{path} is damaged ({reason}): is it cut off?") from error
    if _is_flat(grey):
        raise ImageError(f"{path} is all of one colour: expected a digit on a background")
    return grey


def _check_head(path: Path, data: bytes) -> None:
    """Refuse a file that is no PNG file, or says that it has too many pixels; nothing is unpacked.

    Raises:
        ImageError: in these cases.
    """
    if not data:
        raise ImageError(f"{path} is empty: expected a PNG file")
    if not data.startswith(SIGNATURE):
        raise ImageError(f"{path} is no PNG file: it begins with the bytes {data[:8].hex(' ')}")
    if len(data) < 24:
        raise ImageError(f"{path} is damaged: it has {len(data)} bytes, which is less than the head of a PNG file")
    width, height = struct.unpack(">II", data[16:24])
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{path} has {width:,} x {height:,} pixels: expected at most {MAX_PIXELS:,} in all, so make it smaller"
        )


def _as_grey(image) -> numpy.ndarray:
    """Return the pixels of an image of any kind, from 0 to 255."""
    if image.mode.startswith("I"):  # 16 bits a pixel
        return numpy.asarray(image, numpy.float64) / 257
    if "A" not in image.getbands() and "transparency" not in image.info:
        return numpy.asarray(image.convert("L"), numpy.float64)
    rgba = image.convert("RGBA")
    colour = numpy.asarray(rgba.convert("RGB").convert("L"), numpy.float64)
    opaque = numpy.asarray(rgba.getchannel("A"), numpy.float64) / 255
    on_white = opaque * colour + (1 - opaque) * 255
    return opaque * colour if _is_flat(on_white) else on_white


def _is_flat(grey: numpy.ndarray) -> bool:
    """Return whether no two pixels differ by a step of 255."""
    return bool(grey.max() - grey.min() < 1)


def _centred(ink: numpy.ndarray) -> numpy.ndarray:
    """Return ink of any size, 0 to 1, as MNIST has it."""
    from PIL import Image

    strong = ink > FAINT
    rows, columns = (numpy.flatnonzero(strong.any(axis=axis)) for axis in (1, 0))
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = BOX / max(cut.shape)
    height, width = (max(1, round(scale * side)) for side in cut.shape)
    resized = Image.fromarray(cut.astype(numpy.float32)).resize((width, height), Image.Resampling.BOX)
    digit = numpy.asarray(resized)
    digit = digit / digit.max()
    down, right = (_begin(digit.sum(axis=axis)) for axis in (1, 0))
    canvas = numpy.zeros((SIZE, SIZE), numpy.uint8)
    canvas[down : down + height, right : right + width] = numpy.rint(255 * digit)
    return canvas


def _begin(sums: numpy.ndarray) -> int:
    """Return where a digit begins along an axis so that its centre of mass is in the middle, and all of it is there."""
    centre = (sums * (numpy.arange(len(sums)) + 0.5)).sum() / sums.sum()
    return min(max(round(SIZE / 2 - centre), 0), SIZE - len(sums))
