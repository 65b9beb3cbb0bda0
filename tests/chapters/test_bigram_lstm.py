import math
import re
import sys
from collections import Counter

import pytest
from lessons import CHAPTERS, number_after, run_cells, section, table

import d2lrnn


@pytest.mark.parametrize("corpus", ["licence", "timemachine"])
def test_lesson(run, corpus, request):
    if corpus != "licence":
        request.getfixturevalue("real_data")
    given = ["--corpus", corpus] if corpus != "licence" else []  # with --quick the licence is the default
    text, names = run("bigram_lstm", *given, pictures=["bigram_lstm"])
    assert ("corpus LICENSE: 8,000 tokens" in text) == (corpus == "licence")

    # The text by frequency alone: fewer bits per character as pairs.
    length, frequencies = len(names["text"]), []
    for level, size in (("char", 1), ("bigram", 2)):
        num_tokens = round(length // size * 0.8)
        tokens = [names["text"][i : i + size] for i in range(0, num_tokens * size, size)]
        shares = [tokens.count(token) / len(tokens) for token in sorted(set(tokens))]
        bits = -sum(share * math.log2(share) for share in shares)
        assert re.search(rf"^{level} +{num_tokens:,} tokens to learn from", text, re.MULTILINE)
        assert f"by frequency alone {bits:.2f} bits a token, {bits / size:.2f} bits per character" in text
        frequencies.append(bits / size)
    assert frequencies[1] < frequencies[0]
    occurring = {names["text"][i : i + 2] for i in range(0, length, 2)}
    assert f"pairs, {len(occurring):,} occur" in text

    # Look-up, four products in one, dropout.
    assert number_after(text, "largest difference over 500 tokens:") == 0
    rows, different = re.search(r"^(\d+) of the \d+ rows have a gradient; .* have (\d+) different", text, re.M).groups()
    assert rows == different
    assert all(number_after(text, f"gate {gate}: largest difference") < 1e-4 for gate in "ifco")
    zeros, mean = re.search(r"^share of zeros (\S+), mean (\S+)$", text, re.MULTILINE).groups()
    assert float(zeros) == pytest.approx(0.3, abs=0.01) and float(mean) == pytest.approx(1, abs=0.02)
    masks = re.findall(r"^after +(\d+) masks (\S+) of the units are left, by the formula (\S+)$", text, re.MULTILINE)
    assert [count for count, *_ in masks] == ["1", "2", "5", "10"]
    for count, left, formula in masks:
        assert float(formula) == pytest.approx(0.7 ** int(count), abs=1e-4)
        assert float(left) == pytest.approx(0.7 ** int(count), abs=0.01)

    # The model by hand, and when dropout acts.
    gap, size = re.search(r"this is the model: difference (\S+), largest number (\S+)$", text, re.MULTILINE).groups()
    assert float(gap) < 1e-5 * float(size)
    assert number_after(text, "outside of training differ by") == 0 < number_after(text, "two calls in training by")

    # Both learn; pairs keep a wider gap between training and validation, and a wider one still without dropout.
    rows = table(section(text, "Characters against pairs"), "bits per character ")
    assert list(rows) == list(names["runs"]) == ["characters", "pairs", "pairs, no dropout"]
    gaps = []
    for name, (size, trained, valid, test, _) in rows.items():
        history, length = names["histories"][name], 1 if name == "characters" else 2
        assert trained == pytest.approx(math.log2(history.perplexity[-1]) / length, abs=6e-4)
        assert valid == pytest.approx(math.log2(history.valid_perplexity[-1]) / length, abs=6e-4)
        assert max(valid, test) < min(frequencies) - 0.3 and size == sum(
            math.prod(param.shape) for param in names["models"][name].parameters().values()
        )
        gaps.append(valid - trained)
    assert gaps[0] + 0.1 < gaps[1] and gaps[1] + 0.1 < gaps[2]


def test_the_third_solution(real_data):
    """How many triples, pairs and letters of the text to learn from are different, and how many come once."""
    given = d2lrnn.load_corpus("timemachine")
    text = " ".join(given.vocab.decode(given.train).lower().split())
    vocab = d2lrnn.Vocab(text[: len(text) // 2 * 2], "char")
    corpus = d2lrnn.Corpus("even", vocab, vocab.encode(text[: len(text) // 2 * 2])).hold_out(0.1)
    train, found = vocab.decode(corpus.train), {}
    for size in (1, 2, 3):
        times = Counter(train[i : i + size] for i in range(0, len(train) // size * size, size)).values()
        found[size] = len(times), round(100 * sum(n == 1 for n in times) / len(times))
    assert found == {1: (27, 0), 2: (444, 8), 3: (2916, 22)}


def test_most_pairs_of_chinese_characters_come_once(run):
    """What the last exercise asks for."""
    few = ["--max-tokens", "14000", "--num-epochs", "1", "--num-hiddens", "4", "--batch-size", "200"]
    text, names = run("bigram_lstm", "--corpus", "sample", *few, pictures=["bigram_lstm"])
    pairs = [names["text"][i : i + 2] for i in range(0, len(names["text"]), 2)]
    assert names["pairs"] == len(set(pairs)) == pytest.approx(4000, abs=200)
    assert sum(pairs.count(pair) == 1 for pair in set(pairs)) > 0.6 * names["pairs"]
    assert math.log2(names["pairs"]) / 2 == pytest.approx(6, abs=0.1)
    assert math.log2(names["letters"]) == pytest.approx(10, abs=0.3)


def test_without_the_network_two_lines_say_what_to_do(monkeypatch, offline):
    monkeypatch.setattr(sys, "path", [str(CHAPTERS), *sys.path])
    monkeypatch.setattr(sys, "argv", ["bigram_lstm.py"])
    with pytest.raises(SystemExit) as stop:
        run_cells("bigram_lstm")
    found, to_do = str(stop.value.code).splitlines()
    assert "timemachine.txt is not in" in found and "save" in to_do
