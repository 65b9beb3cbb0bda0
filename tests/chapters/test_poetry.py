import re

import numpy
import pytest
from lessons import number_after, section

import d2lrnn
from d2lrnn.data import rows_of_lines


@pytest.mark.parametrize("corpus", ["sample_couplets", "couplets"])
def test_lesson(run, corpus, request):
    if corpus != "sample_couplets":
        request.getfixturevalue("real_data")
    text, names = run("poetry", "--corpus", corpus, pictures=["poetry_training", "poetry_places"])
    given = d2lrnn.load_corpus(corpus, max_tokens=2600)
    lines = given.vocab.decode(given.train).splitlines(keepends=True)
    assert len(lines) == 200 and f"160 lines to learn from; the first two:\n  {lines[0]!r}\n  {lines[1]!r}\n" in text

    # Rows: each label is the next input, the padding is masked.
    rows = re.findall(r"^X     (\S+)\nY     (\S+)\nmask  ([01]+)$", text, re.MULTILINE)
    expected = [f"{lines[0].strip()}↵", f"{lines[1][:6]}↵", f"{lines[2][:2]}↵"]
    assert len(rows) == 3
    for (x, y, mask), line in zip(rows, expected):
        assert y == line.ljust(13, "↵") and x == f"↵{y[:-1]}" and mask == ("1" * len(line)).ljust(13, "0")
    assert number_after(text, "this is d2lrnn.data.pad_lines: difference") == 0

    # The loss: the padding makes no difference, unless it is counted.
    loss = number_after(text, "the loss  ")
    assert number_after(text, "with other labels as padding") == loss
    assert abs(number_after(text, "with the padding counted") - loss) > 0.01
    assert number_after(text, "this is d2lrnn.cross_entropy: difference") == 0
    logits, Y, counted = (names[name].asnumpy().astype("float64") for name in ("logits", "labels", "m"))
    nats = numpy.log(numpy.exp(logits).sum(axis=1)) - logits[numpy.arange(Y.size), Y.T.reshape(-1).astype(int)]
    assert loss == pytest.approx((nats * counted.T.reshape(-1)).sum() / counted.sum(), abs=2e-6)

    # "begins after a few epochs": the validation is lowest early, then rises.
    training, valid = names["history"].perplexity, names["history"].valid_perplexity
    assert numpy.argmin(valid) < 10 and valid[-1] > 1.5 * min(valid) and training[-1] < 20 < training[0]
    assert number_after(text, "at its lowest") == pytest.approx(min(valid), abs=0.06)

    # "the comma, the full stop and the line end are nearly certain"; "the first character is the hardest"
    rows = re.findall(r"^lines that were .*?((?: +\d+\.\d\d)+)$", text, re.MULTILINE)
    read, held_out = (numpy.array(row.split(), dtype=float) for row in rows)
    marks, characters = [5, 11, 12], [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert max(read[marks]) < 0.3 and max(held_out[marks]) < 1.2
    assert read.argmax() == 0
    assert (read < held_out)[characters].all() and held_out[characters].mean() > numpy.log2(given.vocab_size)
    assert number_after(text, "a character by chance") == pytest.approx(numpy.log2(given.vocab_size), abs=0.006)
    test = rows_of_lines(names["corpus"].test, names["end"])
    by_place = numpy.log2(number_after(text, "in the test")) * 13  # all of these lines are equally long
    assert held_out.sum() == pytest.approx(by_place, rel=1e-3) and {len(line) for line in test} == {13}

    # "with the mask each text has the form"
    verse = section(text, "Verse by a mask")
    written = re.search(r"^written by hand: (.*)$", verse, re.MULTILINE)[1]
    assert names["has_form"](written) and "this is d2lrnn.compose: True\n" in verse
    allowed = re.search(r"what the form allows: ([\d. ]+)$", verse, re.MULTILINE)[1].split()
    assert len(allowed) == 12 and numpy.median([float(p) for p in allowed]) > 0.9
    alone, masked = (int(number_after(verse, f"\n{name:7}")) for name in ("alone", "masked"))
    assert 2 <= alone < 60 and masked == 100
    assert re.search(r"^seven characters: \w{7}，\w{7}。$", verse, re.MULTILINE)

    # Acrostics.
    heads, *verses = re.findall(r"^(.).{4}，(.).{4}。\n(.).{4}，(.).{4}。$", section(text, "Acrostics"), re.MULTILINE)
    assert "this is d2lrnn.acrostic: True\n" in text and len(verses) == 1
    assert "".join(heads) == names["heads"] and "".join(verses[0]) == f"{names['heads'][:3]}龘"
    assert f"{names['heads'][:3]}龘: unknown character '龘' (U+9F98) at position 3" in text

    # "at a low temperature the model repeats itself, and what it knows by heart"
    rows = re.findall(r"^ +\d\.\d +(\d+) of 100 +([\d.]+)   ", text, re.MULTILINE)
    copied, varied = ([float(row[i]) for row in rows] for i in (0, 1))
    assert len(rows) == 4 and copied == sorted(copied, reverse=True) and varied == sorted(varied)
    assert copied[0] > 50 and copied[-1] < 40


def test_other_poems_than_couplets(run, tmp_path):
    """Lines of seven characters, as some file of the reader's may have them."""
    order = numpy.random.RandomState(1)
    letters = [chr(0x4E00 + i) for i in range(60)]
    lines = ["{}，{}。".format(*("".join(order.choice(letters, 7)) for _ in range(2))) for _ in range(150)]
    (tmp_path / "poems.txt").write_text("\n".join(lines), encoding="utf-8")
    options = ["--max-tokens", "2550", "--num-epochs", "10"]
    text, names = run(
        "poetry", "--corpus", str(tmp_path / "poems.txt"), *options, pictures=["poetry_training", "poetry_places"]
    )
    assert f"120 lines to learn from; the first two:\n  {lines[0] + chr(10)!r}" in text
    assert len(names["bits"]["lines that were read"]) == 17  # places
    assert number_after(text, "\nmasked ") == 100


def test_a_corpus_without_the_marks_is_refused_before_training(run):
    with pytest.raises(SystemExit, match="the form needs '，'"):
        run("poetry", "--corpus", "sample")
