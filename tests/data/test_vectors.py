"""Word vectors from files of GloVe and word2vec: what is read is what the file says, and a bad file is refused."""

import gzip
import io
import os
import re
import tracemalloc
import zipfile
from fractions import Fraction

import numpy
import pytest

from d2lrnn import D2lrnnError, Vocab, read_vectors
from d2lrnn.data import vectors as reading
from d2lrnn.data.vector_files import MAX_LINE, VectorsError

VOCAB = Vocab.from_list(["the", "king", "queen", "3", "château"], "word")
GLOVE = "the 0.1 -2.5e-3 7\nfrog 1 1 1\nking 4 5 6\n3 .5 -1. 1e2\nchâteau 0 -0 1e-30\n"
EXPECTED = numpy.array(
    [["0.1", "-2.5e-3", "7"], ["4", "5", "6"], ["0"] * 3, ["0.5", "-1", "100"], ["0", "-0", "1e-30"]], "float32"
)
FOUND = [True, True, False, True, True]
BINARY = b"2 3\nthe " + numpy.array([0.1, 0.2, 0.3], "<f4").tobytes() + b"\nking " + numpy.ones(3, "<f4").tobytes()


@pytest.fixture
def file(tmp_path):
    """Write a file of vectors; return its path."""

    def write(content, name="vectors.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def zipped(**texts):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(f"{name}.txt", text)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        GLOVE,
        GLOVE.rstrip("\n"),
        GLOVE.replace("\n", "\r\n"),
        GLOVE.replace(" ", "\t"),
        GLOVE.replace("\n", " \n"),  # as word2vec writes lines
        "5 3\n" + GLOVE,
        "5 3\r\n" + GLOVE.replace("\n", " \r\n"),
        "\ufeff" + GLOVE,
        "\n" + GLOVE.replace("\n", "\n\n"),
        GLOVE + ". . . 9 9 9\n",  # GloVe has words with spaces
        gzip.compress(GLOVE.encode()),
        zipped(a=GLOVE),
    ],
    ids=[
        *("glove", "no end", "crlf", "tabs", "spaces", "header", "header crlf", "bom", "blank lines", "dots"),
        *("gzip", "zip"),
    ],
)
def test_what_is_read_is_what_the_file_says(file, content):
    found = read_vectors(file(content), VOCAB)
    assert found.values.dtype == numpy.float32 and found.values.tobytes() == EXPECTED.tobytes()
    assert found.found.tolist() == FOUND and found.size == 3
    assert found.remarks == []
    text = str(found)
    assert text.startswith("3 numbers each for 4 of 5 words from ") and text.endswith("; without: 'queen'")


def test_one_file_of_an_archive_is_named_as_in_a_folder(file):
    path = file(zipped(small="the 1\n", large="the 1 2\n"), "glove.zip")
    assert read_vectors(path / "large.txt", VOCAB).values[0].tolist() == [1, 2]
    with pytest.raises(VectorsError, match=r"holds 2 files: name one of them, such as .*glove.zip/small.txt \(small"):
        read_vectors(path, VOCAB)
    with pytest.raises(VectorsError, match="has no file huge.txt: expected a text file .*, found small.txt, large.txt"):
        read_vectors(path / "huge.txt", VOCAB)


def test_characters_may_be_spaces_and_tabs(file):
    vocab = Vocab(" \tab")
    found = read_vectors(file("  1 2\na 3 4\n\t 5 6\nb 7 8\n"), vocab)
    rows = {token: found.values[i].tolist() for token, i in vocab.token_to_idx.items()}
    assert rows == {" ": [1, 2], "a": [3, 4], "\t": [5, 6], "b": [7, 8]}


@pytest.mark.parametrize(
    ("content", "size", "promised"),
    [
        ("2 3\nthe 1 2 3\nking 4 5 6\n", 3, 2),
        ("3 2\nthe 1\nking 4\n", 1, None),  # the word "3" has the vector 2
        ("2 1\nthe 1\nking 4\n", 1, 2),
        ("3 1 2\nthe 1 2\nking 4 5\n", 2, None),
        ("2\t3 \nthe 1 2 3\nking 4 5 6\n", 3, 2),
    ],
)
def test_the_first_line_of_word2vec_is_told_apart_from_a_word(file, content, size, promised):
    found = read_vectors(file(content), VOCAB)
    assert (found.size, found.promised) == (size, promised)
    assert found.found[3] == (promised is None) and found.found[:2].all()


def test_each_number_is_the_nearest_float32(file):
    """Numbers of every magnitude, and numbers beside the middle of two float32, against exact fractions."""
    draw = numpy.random.default_rng(4)
    texts = [
        f"{x:.{digits}g}" for digits in (4, 9, 17) for x in draw.normal(size=50) * 10.0 ** draw.integers(-44, 38, 50)
    ]
    for x in numpy.abs(draw.normal(size=30)).astype("float32"):
        middle = (Fraction(float(x)) + Fraction(float(numpy.nextafter(x, numpy.float32(9))))) / 2
        digits = str(middle.numerator * 10**60 // middle.denominator).zfill(61)
        decimal = f"{digits[:-60]}.{digits[-60:]}"  # exact: a middle has fewer digits
        texts += [decimal, decimal + "1", decimal[:-1] if decimal[-1] != "0" else decimal + "0001"]
    found = reading.nearest_float32([text.encode() for text in texts])
    for text, single in zip(texts, found):
        exact = Fraction(text)
        own = abs(Fraction(float(single)) - exact)
        for other in numpy.nextafter(single, numpy.float32([-numpy.inf, numpy.inf])):
            if numpy.isfinite(other):
                away = abs(Fraction(float(other)) - exact)
                assert own < away or (own == away and not single.view("int32") & 1), text
    twice_rounded = numpy.array([float(text) for text in texts]).astype("float32")
    assert (found != twice_rounded).any()  # so the test can tell


def test_malformed_lines_are_left_out_and_told_by_their_numbers(file):
    lines = [f"w{i} 1 2" for i in range(1, 21)]
    lines[2], lines[4], lines[6] = "king 1", "queen 1 x", "w7 1 2 3"
    lines[8], lines[10] = "the 5 6", "the 7 8"
    found = read_vectors(file("\n".join(lines)), VOCAB)
    assert [number for number, _ in found.malformed] == [3, 5, 7, 11]
    assert found.values[0].tolist() == [5, 6] and found.found.tolist() == [True, False, False, False, False]
    (remark,) = found.remarks
    assert (
        "4 of 20 lines are left out (line 3: the count of its numbers is 1, expected 2; line 5: 'x' is no n" in remark
    )
    assert "; line 7: the count of its numbers is 3, expected 2; " in remark
    assert "line 11: the word 'the' is there already, in line 9)" in remark


def test_a_line_of_a_word_that_is_not_utf8_is_left_out(file):
    found = read_vectors(file(b"the 1 2\ncaf\xe9 1 2\nking 3 4\n"), VOCAB)
    assert found.malformed == ((2, r"the word b'caf\xe9' is not UTF-8"),) and found.found[1]


def test_a_file_that_was_cut_off_is_told_by_its_first_line(file):
    (remark,) = read_vectors(file("5 2\nthe 1 2\nking 3 4\n"), VOCAB).remarks
    assert remark.endswith("has 2 words, and its first line promises 5: was it cut off?")


BAD = {
    "empty": (b"", "is empty: expected lines of a word and its numbers"),
    "blank": (b"\n \n\n", "is empty"),
    "first line alone": (b"2 3\n", "has no vectors after its first line"),
    "no numbers": (b"a plain text\nof two lines\n", "line 1 is 'a plain text': expected a word and its numbers"),
    "one word": (b"the\nking\n", "line 1 is 'the': expected a word and its numbers"),
    "wrong width": (
        b"the 1 2\nking 1\nqueen 1 2 3\n",
        r"2 of the first 3 lines .* line 2 \(the count of its numbers is 1, ex",
    ),
    "width not as promised": (
        b"2 3\nthe 1 2\nking 1 2\n",
        r"line 2 \(.* is 2, expected 3\): expected a word and its numbers, 3, in",
    ),
    "NaN": (b"the 1 nan\nking nan nan\nfox 1 2", "2 of the first 3 .*'nan' is no finite number of float32"),
    "infinite": (b"the 1 inf\n", "'inf' is no finite number of float32"),
    "too large": (b"the 1 1e39\n", "'1e39' is no finite number of float32"),
    "no number": (b"frog 1 2\nthe x 1\nking 1 y\n", r"line 2 \('x' is no number\)"),
    "underscore": (b"frog 1 2\nthe 1_0 2\nking 1_0 2\n", r"line 2 \('1_0' is no number\)"),
    "duplicates": (b"the 1 2\n" * 5, r"4 of the first 5 lines .*line 2 \(the word 'the' is there already, in line 1\)"),
    "not UTF-8": ("été 1 2\nthé 1 2\nà 1 2\n".encode("latin-1"), r"the word b'\\xe9t\\xe9' is not UTF-8"),
    "UTF-16": (GLOVE.encode("utf-16"), "it seems to be UTF-16: convert it with `iconv -f UTF-16"),
    "UTF-16 without a mark": (GLOVE.encode("utf-16-le"), "has the character NUL: it seems to be UTF-16"),
    "word2vec's binary": (BINARY, "is a binary of word2vec: expected its text form, which gensim writes"),
    "word2vec's binary, gzipped": (gzip.compress(BINARY), "is a binary of word2vec"),
    "fastText's binary": (b"\xba\x16\x4f\x2f" + bytes(50), "is a binary model of fastText, whose text file ends in"),
    "pickle": (b"\x80\x04\x95" + bytes(50), "is a Python pickle, as gensim's own files are: expected text"),
    "NumPy": (b"\x93NUMPY\x01" + bytes(50), "is an array of NumPy's: expected text"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "is an HDF5 file: expected text"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(50), r"is no text of vectors: it is a picture \(PNG\)"),
    "bzip2": (b"BZh91AY&SY" + bytes(50), "it is a bzip2 archive: expected UTF-8 text; get the text by `bunzip2"),
    "gzip cut off": (gzip.compress(GLOVE.encode() * 50)[:-20], "is damaged or cut off .*: take another copy"),
    "gzip damaged": (gzip.compress(GLOVE.encode())[:20] + b"\0" * 40, "is damaged or cut off"),
    "zip damaged": (zipped(a=GLOVE)[:60], "is damaged or cut off"),
    "zip of nothing": (zipped(), "has no file in it: expected a text file of vectors, found none"),
    "other words": (b"frog 1 2\ntoad 1 2\n", "has none of the vocabulary's 5 tokens, such as 'the', 'king', 'queen'"),
    "long line": (b"the 1 2\n" + b"king " + b"1 " * MAX_LINE, "line 2 has more than 1,048,576 bytes"),
    "width of millions": (b"1 9000000000\nthe 1 2\n", "line 1 says that each word has more than 524,288 numbers, for"),
    "width of 5,000 digits": (b"1 " + b"9" * 5000 + b"\nthe 1 2\n", "each word has more than 524,288 numbers, for"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_refused_in_one_line(file, kind):
    content, reason = BAD[kind]
    path = file(content, "bad.txt")
    with pytest.raises(D2lrnnError) as caught:
        read_vectors(path, VOCAB)
    message = str(caught.value)
    assert re.search(reason, message) and "\n" not in message and len(message) < 500
    assert str(path) in message


def test_what_is_no_file_is_refused(tmp_path, file):
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path, "is a folder: expected a text file of word vectors"),
        (tmp_path / "pipe", "is a pipe: expected a text file of word vectors"),
        ("/dev/null", "is a device: expected"),
        (tmp_path / "nothing.txt", "No such file or directory"),
        (file(GLOVE) / "glove.txt", "is no zip archive: expected one, of which glove.txt is a file"),
    ):
        with pytest.raises(D2lrnnError, match=reason):
            read_vectors(path, VOCAB)


def test_an_archive_with_a_password_is_refused(file):
    content = bytearray(zipped(a=GLOVE))
    content[6] |= 1  # the flag of encryption, in the member's header and in the list of members
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(VectorsError, match="cannot be unpacked here .*encrypted.*: unpack it, and name the text file"):
        read_vectors(file(bytes(content)), VOCAB)


@pytest.mark.parametrize(
    ("bad", "of", "found"),
    [(10, 100, ""), (11, 100, "11 of the first 100"), (25, 2500, ""), (26, 2500, "25 of .* 2,499")],
)
def test_a_file_with_too_many_malformed_lines_is_refused(file, bad, of, found):
    """They stand at the end; the file is refused where they become too many."""
    lines = ["the 1 2", *(f"w{i} 1 2" for i in range(of - bad - 1)), *(f"w{i} 1" for i in range(bad))]
    path = file("\n".join(lines))
    if found:
        with pytest.raises(VectorsError, match=f"{found} lines are malformed"):
            read_vectors(path, VOCAB)
    else:
        assert len(read_vectors(path, VOCAB).malformed) == bad


def test_words_that_are_missing_share_the_mean(file):
    found = read_vectors(file(GLOVE), VOCAB)
    table = found.table("shared")
    assert table[FOUND].tobytes() == EXPECTED[FOUND].tobytes()
    numpy.testing.assert_array_equal(table[2], EXPECTED[FOUND].astype("float64").mean(axis=0).astype("float32"))


def test_or_get_random_vectors_of_the_same_scale(file):
    draw = numpy.random.default_rng(2)
    known, names = draw.normal(0.5, 2, (20, 50)), [f"w{i}" for i in range(2000)]
    lines = [f"{name} {' '.join(map(repr, vector))}" for name, vector in zip(names, known)]
    found = read_vectors(file("\n".join(lines)), Vocab.from_list(names, "word"))
    numpy.random.seed(6)
    table = found.table()
    numpy.random.seed(6)
    assert table.tobytes() == found.table("random").tobytes()
    numpy.testing.assert_array_equal(table[:20], known.astype("float32"))
    scale = (known**2).mean() ** 0.5
    assert table[20:].std() == pytest.approx(scale, rel=0.01)  # of 99,000 numbers
    assert abs(table[20:].mean()) < 5 * scale / 99_000**0.5
    assert len({row.tobytes() for row in table}) == 2000
    with pytest.raises(D2lrnnError, match="unknown is 'zero': expected one of random, shared"):
        found.table("zero")


def test_only_the_vocabulary_is_kept_while_a_large_file_is_read(file):
    path = file("the 1 2 3\n" + "".join(f"w{i} 1.5 2.5 3.5\n" for i in range(60_000)))
    tracemalloc.start()
    try:
        found = read_vectors(path, VOCAB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.num_lines == 60_001 and peak < path.stat().st_size / 2
