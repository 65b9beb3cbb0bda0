"""From PNG files of any kind to images as those of MNIST; what is no such file is one line."""

import os
import struct
import zlib

import numpy
import pytest
from made_digits import drawn
from PIL import Image

from d2lrnn import FileError, read_digit
from d2lrnn.data import images
from d2lrnn.data.images import ImageError

DIGIT = drawn(8)[0][7]  # a seven on a dark background


def save(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def large(array, times=10):
    """Return a picture in which each pixel is a square of so many."""
    return numpy.kron(array, numpy.ones((times, times), array.dtype))


def test_an_image_of_its_size_is_taken_as_it_is(tmp_path):
    assert (read_digit(save(tmp_path / "a.png", DIGIT)) == DIGIT).all()


def test_a_bright_background_is_inverted(tmp_path):
    assert (read_digit(save(tmp_path / "a.png", 255 - DIGIT)) == DIGIT).all()


KINDS = {
    "colour": lambda: Image.fromarray(DIGIT).convert("RGB"),
    "palette": lambda: Image.fromarray(DIGIT).convert("P"),
    "16 bits": lambda: Image.fromarray(DIGIT.astype("uint16") * 257),
    "grey with alpha": lambda: Image.fromarray(DIGIT).convert("LA"),
    "colour with alpha": lambda: Image.fromarray(DIGIT).convert("RGBA"),
    "white on nothing": lambda: Image.merge("LA", [Image.new("L", (28, 28), 255), Image.fromarray(DIGIT)]),
    "black on nothing": lambda: Image.merge("LA", [Image.new("L", (28, 28), 0), Image.fromarray(DIGIT)]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_pixels_shows_the_same(tmp_path, kind):
    KINDS[kind]().save(tmp_path / "a.png")
    assert (read_digit(tmp_path / "a.png") == DIGIT).all()


def test_one_bit_a_pixel_and_a_transparent_colour(tmp_path):
    Image.fromarray(DIGIT > 0).save(tmp_path / "bits.png")
    assert (read_digit(tmp_path / "bits.png") == 255 * (DIGIT > 0)).all()
    save(tmp_path / "clear.png", numpy.where(DIGIT > 0, 0, 90).astype("uint8"), transparency=90)
    assert (read_digit(tmp_path / "clear.png") == 255 * (DIGIT > 0)).all()


@pytest.mark.parametrize("invert", [False, True])
def test_a_larger_image_is_cut_out_scaled_and_centred(tmp_path, invert):
    """A bar 40 wide and 200 high, anywhere on a page: 4 x 20 pixels in the middle, of full strength."""
    page = numpy.zeros((600, 400), numpy.uint8)
    page[30:230, 310:350] = 140
    found = read_digit(save(tmp_path / "a.png", 255 - page if invert else page))
    expected = numpy.zeros((28, 28), numpy.uint8)
    expected[4:24, 12:16] = 255
    assert (found == expected).all()


def test_the_centre_of_mass_is_in_the_middle(tmp_path):
    page = numpy.zeros((100, 100), numpy.uint8)
    page[10:90, 10:30] = page[70:90, 10:90] = 255  # an L of 80 x 80: 20 x 20 pixels
    found = read_digit(save(tmp_path / "a.png", page)).astype(float)
    middle = (numpy.arange(28) + 0.5) @ found.sum(axis=1) / found.sum()
    assert abs(middle - 14) <= 0.5 and found[found > 0].size == 20 * 5 + 15 * 5
    rows = numpy.flatnonzero(found.any(axis=1))
    assert rows[-1] - rows[0] == 19


@pytest.mark.parametrize("shape", [(3, 5), (1, 40), (2000, 2), (28, 29)])
def test_images_of_any_shape(tmp_path, shape):
    page = numpy.zeros(shape, numpy.uint8)
    page.flat[page.size // 2] = 255
    found = read_digit(save(tmp_path / "a.png", page))
    assert found.shape == (28, 28) and found.max() == 255


def test_a_larger_copy_is_nearly_the_same(tmp_path):
    """The seven is 20 pixels high, so only its place may change."""
    found = read_digit(save(tmp_path / "a.png", large(DIGIT)))
    rows, columns = (numpy.flatnonzero(found.any(axis=axis)) for axis in (1, 0))
    cut = found[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert (cut == numpy.rint(DIGIT[4:24, 9:19] * (255.0 / DIGIT.max()))).all()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, body=b"", bits=8, colour=0):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def whole():
    return png(28, 28, b"".join(b"\0" + row.tobytes() for row in DIGIT))


FILES = {
    "empty": (b"", "is empty: expected a PNG file"),
    "text": (b"seven\n", "is no PNG file: it begins with the bytes 73 65 76 65 6e 0a"),
    "jpeg": (b"\xff\xd8\xff\xe0\0\x10JFIF", "is no PNG file: it begins with the bytes ff d8 ff e0"),
    "gif": (b"GIF89a" + bytes(20), "is no PNG file: it begins with the bytes 47 49 46 38"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is no PNG file"),
    "zip": (b"PK\3\4" + bytes(30), "is no PNG file"),
    "signature alone": (b"\x89PNG\r\n\x1a\n", "is damaged"),
    "head cut off": (whole()[:20], "is damaged"),
    "body cut off": (whole()[:60], "is damaged .*: is it cut off"),
    "tail cut off": (png(28, 28, b"\0" * 200), "is damaged .*: is it cut off"),
    "a bit flipped": (whole()[:50] + bytes([whole()[50] ^ 16]) + whole()[51:], "is damaged"),
    "no width": (png(0, 28), "is damaged"),
    "unknown depth": (png(28, 28, bits=3), "is damaged"),
    "huge": (png(50_000, 50_000), "has 50,000 x 50,000 pixels: expected at most 16,777,216 in all"),
    "long": (png(2**31 - 1, 1), "has 2,147,483,647 x 1 pixels"),
    "one colour": (png(28, 28, b"\0" * 29 * 28), "is all of one colour: expected a digit on a background"),
    "one pixel": (png(1, 1, b"\0\7"), "is all of one colour"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_good_image(tmp_path, name):
    data, complaint = FILES[name]
    path = tmp_path / f"{name}.png"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=complaint) as caught:
        read_digit(path)
    assert str(caught.value).startswith(f"{path} ") and "\n" not in str(caught.value)


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileError, match="No such file"):
        read_digit(tmp_path / "nothing.png")
    with pytest.raises(ImageError, match="is a folder: expected a PNG file"):
        read_digit(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="is a pipe: expected a PNG file"):
        read_digit(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="is a device: expected a PNG file"):
        read_digit("/dev/zero")
    (tmp_path / "circle.png").symlink_to("circle.png")
    with pytest.raises(FileError, match="symbolic links"):
        read_digit(tmp_path / "circle.png")


def test_a_file_of_too_many_bytes_is_not_read(tmp_path):
    path = save(tmp_path / "a.png", DIGIT)
    os.truncate(path, images.MAX_FILE + 1)
    with pytest.raises(ImageError, match="has 67,108,865 bytes: expected a PNG file of at most 67,108,864"):
        read_digit(path)


def test_everything_transparent_is_one_colour(tmp_path):
    Image.new("RGBA", (28, 28), (200, 10, 10, 0)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="is all of one colour"):
        read_digit(tmp_path / "a.png")
