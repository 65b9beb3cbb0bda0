import math
import re

import numpy
import pytest
from lessons import number_after, samples, section, table
from mxnet import autograd, np

import d2lrnn


@pytest.mark.parametrize("corpus", ["sample", "jaychou"])
def test_lesson(run, corpus, request):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    text, names = run("rnn_scratch", "--corpus", corpus, pictures=["rnn_scratch"])
    lesson = names["lesson"]
    vocab_size = lesson.corpus.vocab_size

    # What is written by hand is the module's: the same bits, or the same up to rounding.
    assert "[[1. 0. 0. 0. 0.]\n [0. 0. 1. 0. 0.]]\n" in text
    assert number_after(text, "to_onehot: difference") == number_after(text, "from the same seed: difference") == 0
    assert number_after(text, "the state differs by") == 0
    assert number_after(text, "the outputs by") < 1e-8
    assert number_after(text, "of the largest gradient, the difference is") < 1e-6
    assert text.count("the same text as by d2lrnn.predict") == len(lesson.training.prefixes)
    assert "another text" not in text

    # Perplexity: "certain and right 1", "all tokens equally likely the size of the vocabulary", "wrong: above that".
    found = {
        name: float(number.replace(",", ""))
        for name, number in re.findall(r"^(.+?) +perplexity +(\S+), loss", text, re.M)
    }
    assert found["certain and right"] == pytest.approx(1, abs=0.005)
    assert found["all tokens equally likely"] == vocab_size
    assert found["the new model"] == pytest.approx(vocab_size, rel=0.01)
    assert found["certain and wrong"] > 10 * vocab_size
    assert all(float(gap) < 1e-6 for gap in re.findall(r"cross_entropy: (\S+) apart", text))

    # Clipping to 0.01.
    norms = re.findall(r"^norm (\S+), clipped to (\S+)$", text, re.M)
    assert len(norms) == 2 and all(float(before) > 0.01 == float(after) for before, after in norms)

    # The loop by hand is that of train_and_predict, and it learns.
    assert number_after(text, "largest relative difference") < 1e-5
    assert names["perplexities"][2] < names["perplexities"][0] < 1.1 * vocab_size

    # Three ways of detaching: the same gradients, unless the graph is kept.
    gaps = re.findall(r"^  (\w+) +difference (\S+)$", text, re.M)
    assert [name for name, _ in gaps] == ["rebound", "unassigned", "not_at_all"] * 2
    dropped, kept = [float(gap) for _, gap in gaps[:3]], [float(gap) for _, gap in gaps[3:]]
    assert dropped == [0, 0, 0]
    assert kept[0] == 0 and kept[1] == kept[2] > 1e-3 * number_after(text, "retain_graph=True), largest gradient")
    assert "not_at_all  MXNetError: The any container is empty\n" in text
    assert re.search(r"^rebound +a gradient of 0\.\d+$", text, re.M)

    # "Their curves lie on one another", and the models write pieces of lines.
    rows = table(text, "model        epochs")
    assert list(rows) == ["random", "consecutive", "gluon"]
    perplexities = {name: names["histories"][name]["perplexity"] for name in rows}
    assert numpy.allclose(perplexities["consecutive"], perplexities["gluon"], rtol=1e-3)
    assert all(row[1] < 6 for row in rows.values())
    for title in ("Training with random sampling", "Training with consecutive sampling", "Gluon beside it"):
        written = samples(section(text, title), lesson.training.prefixes[0])
        assert len(written) == 4
        assert d2lrnn.novelty(written[-1], lesson.corpus).longest_length >= 6, written
        assert len(set(written[0])) < len(set(written[-1])), "few characters at first"


def test_a_state_that_the_loss_depends_on_need_not_be_detached_in_any_model():
    """The loop's detach changes no gradient, for scratch, compiled and Gluon models of all cells."""
    X = np.array([[1, 2, 3], [4, 5, 6]], dtype="int32")
    for cell in ("rnn", "gru", "lstm"):
        for kind in ("scratch", "fast", "gluon"):
            model = d2lrnn.build_model(d2lrnn.ModelConfig(cell=cell, kind=kind, num_hiddens=4), 7)
            gradients = []
            for detached in (True, False):
                state = model.begin_state(2)
                for _ in range(3):
                    state = tuple(s.detach() for s in state) if detached else state
                    with autograd.record():
                        logits, state = model(X, state)
                        loss = d2lrnn.cross_entropy(logits, X)
                    loss.backward()
                gradients.append(d2lrnn.read_parameters(model, gradients=True))
            for name, gradient in gradients[0].items():
                assert (gradient == gradients[1][name]).all(), (cell, kind, name)
            assert math.sqrt(sum((gradient**2).sum() for gradient in gradients[0].values())) > 0.1
