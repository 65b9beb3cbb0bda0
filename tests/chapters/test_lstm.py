import math
import re

import pytest
from lessons import number_after, samples, section, table

import d2lrnn


@pytest.mark.parametrize("corpus", ["sample", "jaychou", "ptb"])
def test_lesson(run, corpus, request):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    text, names = run(
        "lstm", "--corpus", corpus, *["--num-epochs", "2"] * (corpus == "ptb"), pictures=["lstm_gradient", "lstm"]
    )

    # "half open", "between -1 and 1", "the same in every digit"
    gates = section(text, "Input gate, forget gate and output gate")
    assert all(abs(float(gate) - 0.5) < 0.01 for gate in re.findall(r"0\.\d{3,}", gates))
    assert number_after(text, "H differs by") == number_after(text, "C by") == 0
    assert number_after(text, "the outputs by") < 1e-8

    # What is left of the memory, by the formula and by hand.
    lines = re.findall(
        r"b_f = +(\d+): the gate is \S+ after 10 steps (\S+) is left and (\S+) of the gradient; by the formula (\S+)",
        text,
    )
    assert [int(b_f) for b_f, *_ in lines] == [0, 2, 5, 10]
    for b_f, *values in lines:
        expected = (1 / (1 + math.exp(-int(b_f)))) ** 10
        assert [float(value) for value in values] == [pytest.approx(expected, rel=0.01)] * 3

    # The gradient in the network at its start: by b_f, and in the plain network.
    norms = names["norms"]
    far = max(next(iter(norms.values())))
    by_bias = [curve[far] / curve[1] for name, curve in norms.items() if "plain" not in name]
    plain = [curve[far] / curve[1] for name, curve in norms.items() if "plain" in name]
    assert len(plain) == 1 and plain[0] < by_bias[0] < by_bias[-1] and by_bias[-1] > 0.1

    # The twins compute the same, before training and in the training.
    for name in ("logits", "H", "C"):
        gap, size = re.search(rf"^{name} +largest difference (\S+), largest number (\S+)$", text, re.MULTILINE).groups()
        assert 0 < float(gap) < 1e-5 * float(size)
    assert number_after(text, "largest relative difference in perplexity:") < 1e-3
    perplexities = {name: row[1] for name, row in table(text, "model ").items()}
    assert perplexities["scratch"] == pytest.approx(perplexities["gluon"], rel=1e-3)

    # "then whole lines": the last sample stands in the corpus.
    lesson = names["lesson"]
    if corpus != "ptb":
        assert perplexities["gluon"] < 2
        written = samples(text, lesson.training.prefixes[0])
        assert len(written) == 6
        corpus_text = lesson.corpus.vocab.decode(lesson.corpus.train)
        assert written[2][2:12] in corpus_text
    assert isinstance(names["model"], d2lrnn.RNNModelScratch) and len(names["params"]) == 14
