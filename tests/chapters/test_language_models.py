import math
import re
from collections import Counter

import numpy
import pytest
from lessons import number_after, section, table

import d2lrnn


@pytest.mark.parametrize("corpus", ["sample", "jaychou", "ptb"])
def test_lesson(run, corpus, request):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    text, names = run("language_models", "--corpus", corpus, pictures=["ngram_perplexity", "zipf"])
    given = d2lrnn.load_corpus(corpus, max_tokens=10_000)
    ids, size = given.train, given.vocab_size
    train, test = ids[:9000], ids[9000:]
    assert number_after(text, "training text:") == 9000 and number_after(text, "held-out text:") == 1000

    # Relative frequencies.
    frequencies = section(text, "Relative frequencies")
    token, n = re.search(r"^'(\S+)' comes ([\d,]+) times", frequencies, re.MULTILINE).groups()
    one = given.vocab.token_to_idx[token]
    places = numpy.flatnonzero(train == one)
    assert len(places) == int(n.replace(",", "")) == (train == one).sum()
    after = Counter(given.vocab.idx_to_token[i] for i in numpy.append(train, train[0])[places + 1])
    assert f"of {len(after)} different tokens" in frequencies
    assert f"the probabilities of all {len(after)} add up to 1\n" in frequencies
    for follower, times, share in re.findall(r"^  '(.+)' +(\d+) times: P = .* = (\S+)$", frequencies, re.MULTILINE):
        assert after[follower] == int(times) and float(share) == pytest.approx(int(times) / len(places), abs=6e-5)
    known = [int(times.replace(",", "")) for times in re.findall(r"^n\(.*\) = ([\d,]+)$", frequencies, re.MULTILINE)]
    assert len(known) == 8 and known == sorted(known, reverse=True) and known[2] > 0 == known[-1]

    # "the same probability", "prefer what they have read"
    products = [float(product) for product in re.findall(r"^  n = \d: .* = (\S+)$", text, re.MULTILINE)]
    assert len(products) == 6 and products[0] == products[3] > 0
    assert products[1] > products[4] and products[2] > products[5]

    # Perplexity.
    assert number_after(text, "equally likely:") == size
    rows = re.findall(r"^(\d) +([\d,.]+) +(inf) +([\d.]+)%$", text, re.MULTILINE)
    assert [int(n) for n, *_ in rows] == [1, 2, 3, 4, 5]
    perplexities = [float(value.replace(",", "")) for _, value, _, _ in rows]
    shares = numpy.bincount(train) / len(train)
    shares = shares[shares > 0]
    assert perplexities[0] == pytest.approx(math.exp(-(shares * numpy.log(shares)).sum()), abs=0.006)
    assert perplexities == sorted(perplexities, reverse=True) and perplexities[-1] < 1.2
    assert all(float(one[3]) > float(other[3]) for one, other in zip(rows, rows[1:]))

    # Smoothing: the probabilities after a context add up to 1, be it known or not; the perplexity by matrices.
    for probability in (names["laplace"], names["interpolated"]):
        for context in ((), (names["train"][0],), tuple(names["train"][3:0:-1])):
            total = sum(probability((*context, token)) for token in given.vocab.idx_to_token)
            assert total == pytest.approx(1)
    held_out = table(text, "n      ")
    if corpus != "ptb":  # whose matrix would have 100 million numbers
        pairs = numpy.zeros((size, size))
        numpy.add.at(pairs, (train, numpy.append(train[1:], train[0])), 1)
        single = (pairs.sum(axis=1) + 1) / (len(train) + size)
        double = (pairs + 20 * single) / (pairs.sum(axis=1, keepdims=True) + 20)
        chosen = [single[test[0]], *double[test[:-1], test[1:]]]
        expected = math.exp(-numpy.log(chosen).mean())
        assert held_out["with shorter contexts"][1] == pytest.approx(expected, abs=0.06)
    one, two, *more = held_out["Laplace"]
    assert min(more) > two
    assert held_out["with shorter contexts"][0] == one > held_out["with shorter contexts"][1]

    # "the model recites"
    certain = [int(share) for share in re.findall(r"^n = \d, +(\d+)% of the contexts", text, re.MULTILINE)]
    copies = [int(length) for length in re.findall(r"^  the longest copy has (\d+) tokens", text, re.MULTILINE)]
    assert len(certain) == len(copies) == 4
    assert certain == sorted(certain) and certain[-1] > 90
    assert copies == sorted(copies) and copies[0] < 5 and copies[-1] > 15

    # How many n-grams there are, and Zipf's law.
    contexts = section(text, "How many contexts there are")
    for n, possible, found, once in re.findall(r"^(\d) +(\S+) +([\d,]+) +(\d+)%$", contexts, re.MULTILINE):
        ring = numpy.append(train, train[: int(n) - 1])
        times = Counter(zip(*(ring[i : i + len(train)].tolist() for i in range(int(n)))))
        assert float(possible) == pytest.approx(size ** int(n), rel=0.01)
        assert int(found.replace(",", "")) == len(times)
        assert int(once) == pytest.approx(100 * sum(n == 1 for n in times.values()) / len(times), abs=0.51)
    alphas = [float(alpha) for alpha in re.findall(r" alpha ([\d.]+);", text)]
    assert len(alphas) == 3 and 1.3 > alphas[0] > 0.8 and alphas == sorted(alphas, reverse=True)
