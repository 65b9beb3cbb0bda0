import re
from collections import Counter

import numpy
import pytest
from lessons import number_after, section
from mxnet import np

import d2lrnn
from d2lrnn.data import PairForm, load_pairs, tokens_of

PICTURES = ["machine_translation_data"]


@pytest.mark.parametrize("data", ["sample_pairs", "cmn"], ids=["sample", "cmn"])
def test_lesson(run, data, request):
    if data == "cmn":
        request.getfixturevalue("real_data")
    text, names = run("machine_translation_data", *["--data", "cmn"] * (data == "cmn"), pictures=PICTURES)
    corpus, pairs = names["corpus"], names["pairs"]
    assert f"data {data}; on cpu(0)\n" in text and f"{20133 if data == 'cmn' else 120:,} pairs\n" in text

    # Rows by hand and by the module; the wrong one is named.
    rows = section(text, "From rows to pairs")
    assert "'How are\\N{NO-BREAK SPACE}you?' becomes 'How are you?'\n" in rows
    assert names["rows"] == [("How are you?", "你好吗？"), ("I don't know.", "我不知道。"), ("A café", "咖啡馆")]
    assert "this is d2lrnn.data.read_pairs: the same pairs\n" in rows
    assert re.search(r"^a row without a tab: rows\.txt, row 4 has no tab", rows, re.M)

    # Tokens: they differ where "a sign stands within a word or a number", and only there.
    tokens = section(text, "Tokens on both sides")
    same, all_of = re.search(r"tokens_of splits (\S+) of (\S+) sources as above", tokens).groups()
    assert all_of == f"{len(pairs):,}" and len(names["other"]) == len(pairs) - int(same.replace(",", ""))
    assert (len(names["other"]) > 0) == (data == "cmn")
    assert all(re.search(r"\w['.,:-]\w", sentence) for sentence in names["other"])
    assert int(re.search(r": (\S+) of \S+ sources come back", tokens)[1].replace(",", "")) > 0.95 * len(pairs)

    # The split: by hand the same; by sentence no tested sentence is known, by row some are.
    split = section(text, "The split is by sentence")
    assert split.count("by hand: the same pairs") == 3 and "other pairs" not in split
    known = names["known"]
    assert known["by sentence"] == 0 < 0.01 < known["by row"]
    assert max(len(sentence.references) for sentence in corpus.train.sentences()) >= 2

    # The vocabulary, and the shares of unknown tokens against those that the module's ids have.
    vocabulary, unknown = section(text, "The vocabulary"), names["unknown"]
    assert vocabulary.count("by hand the same\n") == 2 and "by hand others" not in vocabulary
    for name in ("source", "target"):
        sizes, shares, _ = zip(*(unknown[name, count] for count in (1, 2, 3, 5, 10)))
        assert shares[0] == 0 and list(shares) == sorted(shares) and list(sizes) == sorted(sizes, reverse=True)
    if data == "sample_pairs":
        given = load_pairs(data, form=PairForm(min_count=3))
        for name, vocab, column in (("source", given.source, "sources"), ("target", given.target, "targets")):
            size, *shares = unknown[name, 3]
            assert size == len(vocab)
            for share, part in zip(shares, (given.train, given.valid)):
                assert share == pytest.approx(numpy.mean(numpy.concatenate(getattr(part, column)) == 3))

    # "pairs whose sources are alike in length go well together"
    lengths = section(text, "How long the sentences are")
    assert number_after(lengths, "the correlation of both lengths is") > 0.6
    words = Counter(len(tokens_of(pair.source, "word")) for pair in corpus.train.pairs)
    assert Counter(names["lengths"][:, 0].tolist()) == words

    # The batch by hand is the module's, read from either end.
    batch = section(text, "Padding by hand")
    assert batch.count("this is d2lrnn.data.data_iter_pairs: difference 0\n") == 2
    assert re.search(r"^   (<pad> )+\w", batch, re.M) and re.search(r"^   <bos> .* <pad>$", batch, re.M)
    assert re.search(r"<eos>( <pad>)+$", batch, re.M)
    Y_in, Y_out, weights = (names[name].asnumpy() for name in ("Y_in", "Y_out", "weights"))
    assert (Y_in[:, 1:] == Y_out[:, :-1])[weights[:, 1:] > 0].all() and (Y_in[:, 0] == 1).all()
    assert 0 < weights.sum() < weights.size and weights.sum() == sum(len(ids) + 1 for ids in names["few"].targets)

    # The loss, and what padding does to it.
    loss = section(text, "The loss and its weights")
    assert number_after(loss, "this is d2lrnn.NextTargetToken: difference") < 1e-6
    mean, over_all = (number_after(loss, words) for words in ("the loss is", "a mean over all places would be"))
    assert mean == pytest.approx(numpy.log(len(corpus.target)), rel=0.1) and abs(mean - over_all) > 1e-3
    assert number_after(loss, "the largest gradient of a logit at padding is") == 0
    padding = section(text, "Padding changes nothing")
    changes = [float(found) for found in re.findall(r"^other ids .*: the logits change by (\S+)$", padding, re.M)]
    assert changes[:2] == [0, 0] and changes[2] > 0.01
    assert number_after(padding, "without padding: the logits differ by") < 1e-6

    # Fourth solution: with the mask, padding of the sources behind gives the same loss.
    X, counted = names["X"].asnumpy(), names["counted"].asnumpy()
    behind = numpy.argsort(-counted, axis=1, kind="stable")
    moved = (np.array(numpy.take_along_axis(array, behind, axis=1), dtype=array.dtype) for array in (X, counted))
    outcome = names["objective"].loss(
        names["model"], (*moved, *(names[name] for name in ("Y_in", "Y_out", "weights"))), None
    )
    assert float(outcome.loss) == pytest.approx(mean, abs=1e-4) and (behind[:, 0] > 0).any()

    # Both ways: the same loss to 1e-6; equal lengths pad no source, and buckets less than one size.
    both, ways = section(text, "Two ways to make minibatches"), names["ways"]
    for end in ("", ", reversed"):
        assert number_after(both, f"the largest difference of the three losses{end}:") < 1e-6
        one, buckets, equal = (ways[f"{name}{end}"] for name in ("one size", "buckets", "equal lengths"))
        assert max(abs(one[0] - equal[0]), abs(buckets[0] - equal[0])) < 1e-6
        assert one[2] == 1 < buckets[2] < equal[2] and equal[3] == 0 < buckets[3] < one[3] and equal[4] < one[4]
    plain, reverse, unmasked = (ways[name][0] for name in ("buckets", "buckets, reversed", "buckets, no mask"))
    assert abs(plain - reverse) > 1e-5 < abs(plain - unmasked)
    assert isinstance(names["model"], d2lrnn.models.Translator)


def test_solutions():
    in_characters = load_pairs("sample_pairs", form=PairForm(levels=("char", "char")))
    in_words = load_pairs("sample_pairs")
    means = [numpy.mean([len(ids) for ids in corpus.train.sources]) for corpus in (in_characters, in_words)]
    assert means == [pytest.approx(30.9, abs=0.05), pytest.approx(7.5, abs=0.05)]
    assert (len(in_characters.source), len(in_words.source)) == (35, 62)
