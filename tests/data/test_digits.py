"""The images of digits: their files, their splits, their batches."""

import gzip
import hashlib

import numpy
import pytest
from made_digits import drawn, idx, write_digits

import d2lrnn
from d2lrnn import CorpusError, CorpusNotFoundError, D2lrnnError
from d2lrnn.data import digits
from d2lrnn.data.digits import Images, at_hand, load_digits, read_idx, shifted
from d2lrnn.data.examples import Labelled


@pytest.fixture
def folder(tmp_path, offline, monkeypatch):
    """A folder with the files of 100 images for the test, and of none for training."""
    monkeypatch.setattr(digits, "SOURCES", write_digits(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def both(tmp_path, offline, monkeypatch):
    """A folder with the files of 100 images for the test, and of 240 for training."""
    monkeypatch.setattr(digits, "SOURCES", write_digits(tmp_path / "both", many=240))
    return tmp_path / "both"


def packed(path, data):
    path.write_bytes(gzip.compress(data))
    return path


def test_an_idx_file_is_read_as_it_is(tmp_path):
    array = numpy.arange(24, dtype=numpy.uint8).reshape(2, 3, 4)
    assert (read_idx(packed(tmp_path / "a.gz", idx(array))) == array).all()
    by_hand = bytes.fromhex("00 00 08 02 00 00 00 02 00 00 00 03 05 06 07 08 09 ff")
    assert read_idx(packed(tmp_path / "b.gz", by_hand)).tolist() == [[5, 6, 7], [8, 9, 255]]


GOOD = idx(numpy.zeros((2, 3), numpy.uint8))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", r"begins, unpacked, with the bytes \(none\): expected an IDX file of unsigned bytes"),
        (b"PK\3\4" + GOOD, "with the bytes 50 4b 03 04: expected an IDX file"),
        (b"\0\0\x0d\1" + GOOD[4:], "with the bytes 00 00 0d 01: expected an IDX file of unsigned bytes"),
        (b"\0\0\x08\0" + GOOD[4:], "with the bytes 00 00 08 00: expected an IDX file"),
        (b"\0\0\x08\xff" + GOOD[4:], "with the bytes 00 00 08 ff: expected an IDX file"),
        (GOOD[:7], r"says that it holds 1 bytes, \(\), and holds 0: is it cut off\?"),
        (GOOD[:-1], r"says that it holds 6 bytes, \(2, 3\), and holds 5: is it cut off\?"),
        (GOOD + b"x", r"says that it holds 6 bytes, \(2, 3\), and holds more"),
        (b"\0\0\x08\4" + b"\xff" * 16, "says that it holds 340,.* bytes: expected at most 268,435,456"),
    ],
)
def test_a_file_that_is_no_idx_file(tmp_path, data, complaint):
    path = packed(tmp_path / "x.gz", data)
    with pytest.raises(CorpusError, match=complaint) as caught:
        read_idx(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("change", [lambda data: b"no gzip", lambda data: data[:-9], lambda data: data[:-8] + bytes(8)])
def test_a_file_that_is_not_packed_well(tmp_path, change):
    path = packed(tmp_path / "x.gz", GOOD)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(CorpusError, match="cannot be read or is damaged"):
        read_idx(path)


def test_the_splits_are_a_fixed_permutation(folder):
    data = load_digits("digits", folder)
    pixels, labels = drawn(100, seed=100)
    order = numpy.random.RandomState(1998).permutation(100)
    for split, rows in ((data.test, order[:15]), (data.valid, order[15:25]), (data.train, order[25:])):
        assert (split.pixels == pixels[rows]).all() and (split.labels == labels[rows]).all()
    assert (data.name, data.classes, [len(part) for part in (data.train, data.valid, data.test)]) == (
        "digits",
        tuple("0123456789"),
        [75, 10, 15],
    )


def test_the_permutation_of_the_ten_thousand_is_that_of_any_numpy():
    """NumPy promises that RandomState keeps its numbers."""
    order = numpy.random.RandomState(1998).permutation(10_000)
    assert hashlib.sha256(order.astype("<i4").tobytes()).hexdigest()[:16] == "68bb42e73894c413"


def test_with_the_images_for_training_all_others_are_for_the_test(both):
    assert at_hand(both) == "mnist"
    data = load_digits("mnist", both)
    pixels, labels = drawn(240, seed=240)
    assert (data.train.pixels == pixels[:220]).all() and (data.valid.labels == labels[220:]).all()
    assert (data.test.pixels == drawn(100, seed=100)[0]).all()


def test_without_them_or_with_half_of_them_the_ten_thousand_are_divided(folder, both):
    assert at_hand(folder) == "digits"
    (both / "train-labels-idx1-ubyte.gz").unlink()
    assert at_hand(both) == "digits"


def test_a_file_that_is_another_edition_is_refused(folder):
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"other")
    with pytest.raises(CorpusError, match="has the SHA-256 .*, expected "):
        load_digits("digits", folder)


def test_files_that_are_nowhere(offline, tmp_path):
    with pytest.raises(CorpusNotFoundError, match="t10k-images-idx3-ubyte.gz is not in .* and cannot be downloaded"):
        load_digits("digits", tmp_path)
    with pytest.raises(D2lrnnError, match="there are no images called 'emnist': expected one of digits, mnist"):
        load_digits("emnist", tmp_path)


def test_the_real_images(real_data):
    data = load_digits("digits", real_data)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [7_500, 1_000, 1_500]
    together = numpy.concatenate([data.train.labels, data.valid.labels, data.test.labels])
    known = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]  # of each digit in the published 10,000
    assert numpy.bincount(together).tolist() == known


def test_batches_for_training_are_in_random_order_and_full():
    images = Images(*drawn(23))
    d2lrnn.set_seed(1)
    batches = images.batches(5, training=True)
    assert batches.num_batches == 4
    batches = list(batches)
    assert [X.shape for X, _ in batches] == [(5, 28, 28)] * 4 and batches[0][0].dtype == numpy.float32
    seen = numpy.concatenate([labels.asnumpy() for _, labels in batches])
    d2lrnn.set_seed(1)
    order = numpy.random.permutation(23)
    assert seen.tolist() == images.labels[order[:20]].tolist()
    assert (batches[0][0].asnumpy() == images.pixels[order[:5]].astype("float32") / 255).all()


def test_batches_for_a_test_are_all_images_in_their_order_unmoved():
    images = Images(*drawn(23), shift=3)
    batches = images.batches(5)
    assert batches.num_batches == 5
    X, labels = (numpy.concatenate([part.asnumpy() for part in parts]) for parts in zip(*batches))
    assert (X == images.pixels.astype("float32") / 255).all() and (labels == images.labels).all()


def test_images_are_moved_by_every_distance_and_nothing_else():
    pixels = numpy.zeros((2000, 28, 28), numpy.uint8)
    pixels[:, 10, 20] = 9
    d2lrnn.set_seed(5)
    moved = shifted(pixels, 2)
    assert (moved.sum(axis=(1, 2)) == 9).all()
    _, rows, columns = numpy.nonzero(moved)
    found = set(zip((rows - 10).tolist(), (columns - 20).tolist()))
    assert found == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}
    assert shifted(pixels, 0) is pixels
    at_the_edge = numpy.zeros((200, 28, 28), numpy.uint8)
    at_the_edge[:, 0, 0] = 9
    assert set(shifted(at_the_edge, 1).sum(axis=(1, 2)).tolist()) == {0, 9}  # what moves out is gone


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Images(numpy.zeros((2, 28, 27)), numpy.zeros(2)), r"the images have shape \(2, 28, 27\), the labels"),
        (lambda: Images(numpy.zeros((2, 28, 28)), numpy.zeros(3)), r"the labels \(3,\): expected \(n, 28, 28\) and"),
        (lambda: Images(numpy.zeros((1, 28, 28)), numpy.array([10])), "there is the label 10: expected digits, 0 to 9"),
        (lambda: Images(*drawn(3), shift=15), "shift is 15: expected a whole number, at least 0 and at most 14"),
        (lambda: Images(*drawn(3)).batches(0), "batch_size is 0: expected a whole number"),
        (lambda: Images(*drawn(3)).batches(4, training=True), "batch_size is 4, and there are 3 images"),
        (lambda: Labelled("x", ("a",), Images(*drawn(3))).split("test"), "x has no split 'test': expected train"),
    ],
)
def test_images_that_do_not_go_together(make, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        make()
