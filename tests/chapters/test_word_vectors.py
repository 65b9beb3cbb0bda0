import re

import numpy
import pytest
from lessons import number_after, section, table

import d2lrnn

# The Penn Treebank needs some text before its words mean something.
ARGS = {"sample": (), "ptb": ("--max-tokens", "200000", "--num-epochs", "1")}


@pytest.mark.parametrize("corpus", ARGS)
def test_lesson(run, corpus, request):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    text, names = run(
        "word_vectors", "--corpus", corpus, *ARGS[corpus], pictures=["word_vectors"], grey=["word_vectors"]
    )
    vocab, counted, learnt, count = (names[name] for name in ("vocab", "counted", "learnt", "count"))
    index = vocab.token_to_idx

    # A row is the product with a one-hot vector; nearest words and analogies by hand are the module's.
    row = section(text, "A row of a matrix")
    assert number_after(row, "rows of E: difference") == number_after(row, "model.embedding(X): difference") == 0
    near = section(text, "How near are two words?")
    assert len(names["probes"]) >= 3 and "nearest_words has others" not in near
    assert number_after(near, "the cosines differ by") < 1e-6
    analogies = section(text, "Analogies")
    assert "this is d2lrnn.analogy: the same tokens" in analogies
    assert number_after(analogies, "cosines differ by") < 1e-6

    # The counts, against a loop over the text; the vectors, against the matrix that they are made of.
    ids, pairs = names["corpus"].train, names["pairs"]
    places = numpy.flatnonzero(ids == index[names["probes"][0]])
    around = [ids[j] for i in places for j in range(max(i - 4, 0), min(i + 5, len(ids))) if j != i]
    expected = numpy.bincount(around, minlength=len(vocab))[:count]
    assert (pairs[index[names["probes"][0]]] == expected).all() and (pairs == pairs.T).all()
    M = names["M"]
    assert (M >= 0).all() and (M[pairs == 0] == 0).all() and M.max() > 1
    numpy.testing.assert_allclose((counted**2).sum(axis=0), numpy.linalg.svd(M)[1][: counted.shape[1]], rtol=1e-6)

    # "closer to random numbers than to the counted ones"
    shares = names["shares"]
    assert list(shares) == ["counted", "learnt", "random numbers"]
    assert shares["counted"] > 0.6 and shares["counted"] > shares["random numbers"] + 0.3
    assert shares["counted"] - shares["learnt"] > shares["learnt"] - shares["random numbers"]

    # The file: what is read is what it says, its spoilt line is named; unknown tokens.
    file = section(text, "Vectors from a file")
    vectors, values = names["vectors"], names["values"]
    assert re.search(rf"^line 3 is left out: the count of its numbers is {vectors.size - 1}, expected", file, re.M)
    assert vectors.found.sum() == count - 1 and not vectors.found[2] and values.shape == (count, vectors.size)
    assert number_after(file, "what is read is what the file says: difference") == 0
    assert len(vectors.malformed) == 1 and (vectors.values[:2] == values[:2]).all()
    lacking = len(vocab) - count + 1
    assert number_after(file, "shared: the") == lacking and " tokens have 1 vector, " in file
    assert number_after(file, "difference from the mean") == 0 and number_after(file, "random:") == lacking
    assert names["scale"] == pytest.approx(names["known_scale"], rel=0.05)

    # "no gradient"; rows of the batch alone; "do not move", "stay where the file put them"
    training = section(text, "Frozen, or trained further")
    for name in ("random", "fine-tuned"):
        rows, tokens = re.search(rf"^{name} +(\S+); the batch has (\S+) different", training, re.M).groups()
        assert rows == tokens
    assert re.search(r"^frozen +no gradient;", training, re.M)
    trained = table(training, "vectors         training")
    assert list(trained) == ["random", "fine-tuned", "frozen"]
    for name, (_, lowest, epoch, moved, others) in trained.items():
        assert others == 0 and (moved > 0.01) == (name != "frozen") and lowest < len(vocab) and epoch >= 1
    assert trained["frozen"][3] == 0 and trained["frozen"][0] > trained["fine-tuned"][0]
    assert 0.9 < trained["fine-tuned"][1] / trained["random"][1] < 1.05  # "gain a few per cent at most"
    assert vectors.vocab is vocab and isinstance(vectors, d2lrnn.WordVectors)

    # The map
    assert number_after(section(text, "A map"), "apart from signs: difference") == 0

    def by_hand(token, vectors):
        found, _ = names["nearest"](vectors[index[token]], vectors, [index[token]])
        return [vocab.idx_to_token[i] for i in found]

    if corpus == "ptb":  # "days, offices, numbers"; "*their* comes first"
        assert "tuesday" in by_hand("monday", counted) and "chairman" in by_hand("president", counted)
        assert "three" in by_hand("two", counted)
        assert names["analogy"]("he", "his", "they", counted)[0][0] == "their"
    else:  # "the characters of one word or one phrase"
        assert "点" in by_hand("雨", counted)[:3] and by_hand("我", counted)[0] == "们"
        assert {"他", "谁", "它", "你", "自"} & set(by_hand("我", learnt)[:5])  # "another pronoun"
    lengths = numpy.linalg.norm(counted, axis=1)  # third solution
    assert lengths[:5].mean() < 0.9 * lengths.mean()
