"""Texts with labels from CSV files: what is read, how it is divided, its batches, one sentence for a wrong file."""

import io

import numpy
import pytest

from d2lrnn import D2lrnnError, Vocab
from d2lrnn.data.labelled_rows import divide_texts, read_labelled_rows
from d2lrnn.data.labelled_texts import Texts

GOOD = """id,text,kind
1,good day,hello

2,"so, ""bye""
then ",bye
3, good  night ,bye
4,day,hello
5,hi,hello
6,by,bye
"""


def read(text, columns=("text", "kind")):
    return read_labelled_rows(io.BytesIO(text if isinstance(text, bytes) else text.encode()), *columns)


def many(count, words=("sun", "moon"), kinds=("day", "night")):
    """Return rows whose text is a word and a number, with the kind of the word."""
    lines = [f"{words[i % 2]} {i},{kinds[i % 2]}" for i in range(count)]
    return read("\n".join(["text,kind", *lines]) + "\n")


def test_two_columns_of_a_file():
    rows = read(GOOD)
    assert rows.texts == ("good day", 'so, "bye" then', "good  night", "day", "hi", "by")
    assert rows.labels == ("hello", "bye", "bye", "hello", "hello", "bye")
    assert rows.numbers == (2, 4, 5, 6, 7, 8)  # the blank row counts, and a text of two lines is one row
    assert read("\ufeff" + GOOD.replace("\n", "\r\n")).texts == rows.texts
    assert read("text,kind\na\x1cb,x\n").texts == ("a\x1cb",)


def test_the_digest_is_that_of_texts_and_labels():
    assert read(GOOD).digest() == read(GOOD.replace("1,good day", "9, good day")).digest()
    assert read(GOOD).digest() != read(GOOD.replace("good day", "good days")).digest()
    assert read(GOOD).digest() != read(GOOD.replace("day,hello", "day,bye")).digest()


def test_each_class_is_divided_by_itself():
    rows = many(60)
    data = divide_texts(rows, "word", 0.1)
    assert data.classes == ("day", "night")
    order = [numpy.arange(60)[kind::2] for kind in (0, 1)]
    draw = numpy.random.RandomState(1998)
    drawn = [draw.permutation(rows_of_class) for rows_of_class in order]
    for part, begin, end in ((data.test, 0, 3), (data.valid, 3, 6), (data.train, 6, 30)):
        expected = {int(row) + 2 for rows_of_class in drawn for row in rows_of_class[begin:end]}
        assert set(part.numbers) == expected and len(part) == 2 * (end - begin)
        assert part.labels.tolist() == [(number - 2) % 2 for number in part.numbers]
        assert [rows.texts[number - 2] for number in part.numbers] == list(part.texts)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [48, 6, 6]
    assert len(divide_texts(many(6), held_out=0.4).train) == 2  # of three texts of a class, one each


def test_classes_are_in_the_order_of_their_names_or_numbers():
    for kinds, expected in ((("b", "a"), ("a", "b")), (("10", "9"), ("9", "10")), (("10", "x"), ("10", "x"))):
        assert divide_texts(many(6, kinds=kinds)).classes == expected


def test_the_vocabulary_is_of_the_texts_for_training():
    data = divide_texts(many(60), "word")
    words = {word for text in data.train.texts for word in text.split()}
    assert set(data.vocab.idx_to_token) == words | {"<unk>"} and data.vocab.idx_to_token[-1] == "<unk>"
    assert data.test.unknown == [1] * 6  # the number of each text stands in no other
    unknown = data.vocab.token_to_idx["<unk>"]
    assert all(ids[1] == unknown and data.vocab.idx_to_token[ids[0]] in ("sun", "moon") for ids in data.test.ids)
    characters = divide_texts(many(60)).vocab
    assert set("sunmo 0123456789") <= set(characters.idx_to_token) and "<unk>" in characters
    assert divide_texts(many(60, words=("<unk>", "moon")), "word").vocab.idx_to_token.count("<unk>") == 1


def texts(*lines):
    vocab = Vocab.from_list((*"abcdefgh", "<unk>"))
    return Texts(lines, range(len(lines)), vocab)


def test_batches_in_order_are_padded_and_masked():
    (X, labels, counted), (last, *_) = texts("abc", "a?", "b").batches(2)
    assert X.tolist() == [[0, 1, 2], [0, 8, 0]] and labels.tolist() == [0, 1]
    assert counted.tolist() == [[1, 1, 1], [1, 1, 0]] and last.tolist() == [[1]]
    assert (X.dtype, labels.dtype, counted.dtype) == (numpy.int32, numpy.int32, numpy.float32)


def test_batches_of_training_are_random_and_of_similar_lengths():
    lines = ["ab" * (1 + i % 7) for i in range(45)]
    examples, epochs = texts(*lines), []
    for seed in (1, 1, 2):
        numpy.random.seed(seed)
        batches = list(examples.batches(4, training=True))
        assert len(batches) == examples.batches(4, training=True).num_batches == 11
        seen = [label for _, labels, _ in batches for label in labels.tolist()]
        assert len(set(seen)) == 44
        for X, labels, counted in batches:
            lengths = counted.sum(axis=1).asnumpy()
            assert lengths.tolist() == [len(lines[label]) for label in labels.tolist()]
            assert lengths.max() - lengths.min() <= 4
            assert X.asnumpy()[counted.asnumpy() == 1].max() <= 1  # no letter stands there once
        epochs.append(seen)
    assert epochs[0] == epochs[1] != epochs[2]
    lengths = [len(lines[label]) for label in epochs[0]]
    assert lengths != sorted(lengths)


def test_in_training_a_letter_that_stands_once_is_unknown_half_of_the_time():
    examples = texts(*["ab"] * 3, "ac")
    numpy.random.seed(3)
    seen = [int(i) for _ in range(200) for X, _, _ in examples.batches(4, training=True) for i in X.reshape(-1)]
    counts = numpy.bincount(seen, minlength=9)
    assert counts[0] == 800 and counts[1] == 600 and counts[2] + counts[8] == 200
    assert 70 < counts[2] < 130  # 100 on average, deviation 7
    (X, _, _), *_ = examples.batches(4)
    assert X.tolist() == [[0, 1]] * 3 + [[0, 2]]


def test_remarks():
    assert divide_texts(many(60), "word").remarks == []
    (again,) = divide_texts(read("text,kind\n" + "sun,day\nmoon,night\n" * 10)).remarks
    assert again.startswith("2 of the texts for the test are among those for training too")
    (words,) = divide_texts(many(60, words=("床前明月光疑是", "举头望明月低头")), "word").remarks[:1] or ("",)
    assert words == ""  # the numbers are words, and short
    lines = [f"床前明月光疑是地上霜{chr(0x4E00 + i)},{'ab'[i % 2]}" for i in range(20)]
    (words,) = divide_texts(read("\n".join(["text,kind", *lines])), "word").remarks
    assert "words are what white space parts" in words and "--level char" in words


ROWS = "text,kind\n" + "sun,day\nmoon,night\n" * 3

# By what is wrong, a file and a part of the sentence about it.
WRONG = {
    "no text": (ROWS + ",day\n", "row 8, column 'text': the text is empty; fill it in, or leave such rows out"),
    "a text of spaces": (ROWS + '" \n ",day\n', "row 8, column 'text': the text is empty"),
    "no label": (ROWS + "sun, \n", "row 8, column 'kind': the label is empty"),
    "a cell too few": (ROWS + "sun\n", "row 8 has 1 of 2 cells: expected one for each column of row 1"),
    "a cell too many": (ROWS + "sun, moon,day\n", "row 8 has 3 of 2 cells"),
    "one class": ("text,kind\n" + "sun,day\n" * 5, "all rows have the label 'day': expected at least two classes"),
    "a rare class": (
        ROWS + "fog,dusk\nmist,dusk\n",
        "row 8, column 'kind': 2 of the texts have the label 'dusk': expected at least 3, one each for training",
    ),
    "no text column": (ROWS.replace("text", "texts"), "has no column 'text': expected one of texts, kind; is 'texts'"),
    "no label column": (ROWS.replace("kind", "Kind"), "has no column 'kind': expected one of text, Kind; is 'Kind'"),
    "the column twice": ("text,text,kind\na,b,c\n", "has 2 columns of the name 'text': expected one"),
    "a header alone": ("text,kind\n\n", "has a header and no other row: expected texts and their labels"),
    "an endless text": (ROWS + f"{'sun ' * 21},day\n", "row 8, column 'text': the text has 21 words, and num_steps is"),
    "an endless cell": (ROWS + f"{'s' * 200_000},day\n", "row 8 is no row of CSV: field larger than field limit"),
    "an open quotation": (ROWS + '"sun,day\n', "row 8 is no row of CSV: a quotation mark is not closed"),
    "a stray quotation": (ROWS + '"sun"x,day\n', "row 8 is no row of CSV: ',' expected after '\"'"),
    "semicolons": (ROWS.replace(",", ";"), "has semicolons between its cells: expected commas"),
    "tabs": (ROWS.replace(",", "\t"), "has tabs between its cells: expected commas"),
    "too many classes": (
        "text,kind\n" + "".join(f"a,k{i}\n" * 3 for i in range(1001)),
        "has 1,001 different labels: expected at most 1,000",
    ),
    "nothing": ("", "is empty: expected text"),
    "blank cells": (",\n", "has blank rows alone: expected the names of the columns in the first row"),
    "Latin-1": (ROWS.encode() + "caf\xe9,day\n".encode("latin-1"), "is not UTF-8: byte 0xe9 at offset 70, in line 8"),
    "UTF-16": (ROWS.encode("utf-16"), "it seems to be UTF-16: convert it with `iconv"),
    "NUL": (ROWS + "\0,day\n", "has the character NUL, first in line 8"),
    "a workbook": (b"PK\3\4" + bytes(60), "is not UTF-8: "),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_wrong_gets_one_sentence(name):
    text, complaint = WRONG[name]
    with pytest.raises(D2lrnnError) as caught:
        divide_texts(read(text), "word", max_tokens=20)
    assert complaint in str(caught.value) and str(caught.value).startswith("standard input")
    assert "\n" not in str(caught.value)


def test_what_cannot_be_asked_for():
    for options, complaint in (
        (dict(level="bigram"), "a text to classify has no tokens of level 'bigram': expected char or word"),
        (dict(held_out=0), "held_out is 0: expected a share above 0 and at most 0.4"),
        (dict(classes=("day",)), "row 3, column 'kind': 'night' is none of the 1 classes"),
    ):
        with pytest.raises(D2lrnnError, match=complaint):
            divide_texts(many(60), **options)
    with pytest.raises(D2lrnnError, match="the column 'text' is to hold texts and labels: expected two columns"):
        read(GOOD, ("text", "text"))
    with pytest.raises(D2lrnnError, match="batch_size is 5, and there are 4 texts: expected no more than these"):
        texts(*"abcd").batches(5, training=True)
    with pytest.raises(D2lrnnError, match="a text is empty"):
        texts("a", "")
    with pytest.raises(D2lrnnError, match="unknown character 'x'"):
        Texts(["x"], [0], Vocab("abc"))
