import re

import numpy
import pytest
from lessons import number_after, section, table
from mxnet import autograd, np

import d2lrnn

PLACES = ["inputs", "hidden", "outputs", "words", "weights"]


@pytest.mark.parametrize("corpus", ["sample", "jaychou"])
def test_lesson(run, corpus, request):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    text, names = run("dropout", "--corpus", corpus, pictures=["dropout_masks", "dropout"])

    # "The mean of a number is then what it was"; numbers are 0 or enlarged.
    by_hand = section(text, "A mask and a division")
    assert len(re.findall(r"^dropout\(H, 0.5\) ", by_hand, re.M)) == 3
    mean = re.search(r"^the mean of 100,000 +\[(.*)\]$", by_hand, re.M)[1].split()
    numpy.testing.assert_allclose([float(number) for number in mean], [0.5, -1, 2, 4, -3, 6], rtol=0.03)
    assert number_after(by_hand, "the mask:") == pytest.approx(0.5, abs=0.03)
    assert number_after(by_hand, "the rest") == 2
    assert number_after(by_hand, "its mean") == pytest.approx(1, abs=0.05)
    assert "M * H is npx.dropout(H): difference 0\n" in text
    assert "out of training nothing is dropped: difference 0\n" in text

    # "the model is what was computed by hand with the mask, up to the rounding of float32"
    places = section(text, "Five places")
    rows = re.findall(r"^(\w+) +\(.*\) +(\S+) +(\S+) +(\S+)$", places, re.M)
    assert [name for name, *_ in rows] == PLACES
    for _, *gaps in rows:
        same, without, evaluated = map(float, gaps)
        assert same < 2e-6 and evaluated < 2e-6 and without > 0.1

    # Locked masks; "a new mask at each step leaves little of a memory"
    over_time = section(text, "A new mask for each step, or one for all")
    assert number_after(over_time, "the masks of two time steps differ by") == 0
    assert number_after(over_time, "for all steps the difference is") < 2e-6
    left = re.findall(r"^after +(\d+) steps  new masks (\S+), by the formula (\S+); locked (\S+)$", over_time, re.M)
    assert [int(steps) for steps, *_ in left] == [1, 5, 35]
    for steps, new, formula, locked in left:
        assert float(formula) == pytest.approx(0.8 ** int(steps), abs=1e-4)
        assert float(new) == pytest.approx(float(formula), abs=0.01) and float(locked) == pytest.approx(0.8, abs=0.01)

    # "the perplexity in training falls fastest, and on the held-out text it ends highest"; the third column
    histories = names["histories"]
    trained = table(text, "dropout    training  the same")
    assert list(trained) == list(histories) == ["none", "new masks", "locked"]
    for name, (in_training, learnt, lowest, epoch, last) in trained.items():
        valid = histories[name].valid
        assert lowest == pytest.approx(min(valid), abs=0.06) and valid[int(epoch) - 1] == min(valid)
        assert last == pytest.approx(valid[-1], abs=0.06)
        assert name == "none" or in_training / learnt > max(1.03, trained["none"][0] / trained["none"][1])
        assert name == "none" or (in_training > 1.5 * trained["none"][0] and last < 0.95 * trained["none"][4])

    # "the same number each time"; dropping, it is worse, and different each time
    evaluation = section(text, "Evaluation must not drop")
    once, twice, difference = re.search(r"evaluated twice: (\S+) and (\S+), difference (\S+)", evaluation).groups()
    assert (once, difference) == (twice, "0")
    dropping = names["dropping"]
    assert len(set(dropping)) == 5 and min(dropping) > 1.03 * float(once)
    assert number_after(evaluation, "at best,") == pytest.approx(max(dropping) / float(once), abs=0.01)

    # "A mean of many masks is better than a single mask"
    averages = section(text, "An average over masks")
    single, *means = (
        number_after(averages, words)
        for words in ("a single mask: perplexity", *(f"of {n:2} masks:     perplexity" for n in (2, 5, 20)))
    )
    assert single > max(means) and means[2] < 0.9 * single
    model, X = names["model"], names["X"]
    plain = d2lrnn.evaluate(model, numpy.append(X.asnumpy()[0], names["Y"].asnumpy()[0, -1]))
    assert number_after(averages, "nothing dropped:       perplexity") == pytest.approx(plain, rel=1e-3)
    spread = re.findall(r"^ *\d+  '.'.* (0\.\d+) +(0\.\d+) +(0\.\d+)$", averages, re.M)
    assert len(spread) == 5 and max(float(deviation) for *_, deviation in spread) > 0.005

    if corpus == "sample":
        fourth_solution(names)


def fourth_solution(names):
    """A dropped weight has no gradient."""
    settings = names["replace"](names["settings"], num_hiddens=32, dropout=d2lrnn.Dropout(weights=0.5))
    model = d2lrnn.build_model(settings, names["vocab_size"], names["ctx"])
    X = np.array(names["corpus"].train[:60].reshape(3, 20), dtype="int32")
    with autograd.record():
        logits, _ = model(X, model.begin_state(3))
        loss = d2lrnn.cross_entropy(logits, X)
    loss.backward()
    zeros = (model.layers[0].l0_h2h_weight.grad().asnumpy() == 0).mean()
    assert zeros == pytest.approx(0.5, abs=0.05)
