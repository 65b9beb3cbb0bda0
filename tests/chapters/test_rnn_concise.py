import re

import d2l.mxnet
import numpy
import pytest
from lessons import number_after, samples, section, table


@pytest.fixture
def laps(monkeypatch):
    """The seconds that d2l's timer has measured."""
    laps = []

    class Timer(d2l.mxnet.Timer):
        def stop(self):
            laps.append(super().stop())
            return laps[-1]

    monkeypatch.setattr(d2l.mxnet, "Timer", Timer)
    return laps


@pytest.mark.parametrize("corpus", ["sample", "jaychou"])
def test_lesson(run, corpus, request, laps):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    text, names = run("rnn_concise", "--corpus", corpus, pictures=["rnn_concise"], script=True)
    assert "a list of 1 array of shape (1, 2, 64)" in text
    assert number_after(text, "the last of Y and the state: difference") == 0
    assert number_after(text, "without activation: the smallest hidden state is") == 0
    assert -1 < number_after(text, "with tanh:          the smallest hidden state is") < 0

    # The class by hand is the module's, and so is the loop.
    assert number_after(text, "this is d2lrnn.RNNModel: the logits differ by") == 0
    assert number_after(text, "the state by") == 0
    by_hand = [float(value) for value in re.findall(r"^epoch \d, perplexity (\S+)$", text, re.MULTILINE)]
    assert len(by_hand) == 3 and by_hand[2] < by_hand[0] < names["vocab_size"]
    assert number_after(text, "largest relative difference to the loop by hand:") < 1e-5

    # The twins compute the same, and train the same.
    for name in ("logits", "H", "gradient of W_hh"):
        gap, size = re.search(rf"^{name} +largest difference (\S+), largest number (\S+)$", text, re.MULTILINE).groups()
        assert 0 < float(gap) < 1e-5 * float(size)
    assert number_after(text, "largest relative difference in perplexity:") < 1e-3
    rows = table(text, "model    epochs")
    assert rows["gluon"][1] == pytest.approx(rows["scratch"][1], rel=1e-3) and rows["gluon"][1] < 1.5
    written = samples(text, names["lesson"].training.prefixes[0])
    assert len(written) == 6 and written[0] == written[3]  # "the two write the same at first"
    if corpus == "sample":  # the model writes what it has learnt by heart
        assert written[2][2:12] in names["lesson"].corpus.vocab.decode(names["lesson"].corpus.train)

    # The timer is the book's.
    times = section(text, "What the fused operator saves")
    assert len(laps) == 20
    for name, part in (("scratch", laps[:10]), ("gluon", laps[10:])):
        assert number_after(times, f"\n{name:8}") == pytest.approx(1000 * numpy.mean(part), abs=0.0051)
