import re

import numpy
import pytest
from lessons import number_after, samples, section, table

import d2lrnn


def sigmoid(x):
    return 1 / (1 + numpy.exp(-x))


def perplexity_of(params, X, Y, reset_first):
    """The perplexity of a batch by the equations of one of the two forms, in float64."""
    p = {name: array.astype("float64") for name, array in params.items()}
    H, nats = numpy.zeros((len(X), len(p["W_hh"]))), []
    for x, y in zip(X.T, Y.T):
        Z = sigmoid(p["W_xz"][x] + H @ p["W_hz"] + p["b_z"])
        R = sigmoid(p["W_xr"][x] + H @ p["W_hr"] + p["b_r"])
        memory = (R * H) @ p["W_hh"] if reset_first else R * (H @ p["W_hh"])
        H = Z * H + (1 - Z) * numpy.tanh(p["W_xh"][x] + memory + p["b_h"])
        logits = H @ p["W_hq"] + p["b_q"]
        nats.append(numpy.log(numpy.exp(logits).sum(axis=1)) - logits[numpy.arange(len(y)), y])
    return numpy.exp(numpy.mean(nats))


@pytest.mark.parametrize("corpus", ["sample", "jaychou", "ptb"])
def test_lesson(run, corpus, request):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    few_epochs = ["--num-epochs", "2"] * (corpus == "ptb")
    text, names = run("gru", "--corpus", corpus, *few_epochs, pictures=["gru_gradient", "gru"])
    lesson = names["lesson"]

    # "half open"; with the reset gate at 0 both candidates are the same, with an open one they differ most
    low, high = re.search(r"both gates lie between (0\.\d+) and (0\.\d+)", text).groups()
    assert 0.4 < float(low) < 0.5 < float(high) < 0.6
    candidates = [
        number_after(text, f"reset gate {gate:11}: after two different states the candidates differ by")
        for gate in ("all 0", "as computed", "all 1")
    ]
    assert candidates[0] == 0 < candidates[1] < candidates[2]

    # "the state stays as it is"; the further the update gate is open, the more is left of the difference
    rows = re.findall(r"update gate (\S+) *: (\S+) apart before 10 steps, (\S+) after them; H has moved by (\S+)", text)
    assert [float(gate) for gate, *_ in rows] == [1, 0.9, 0.5, 0]
    before, after = ([float(row[column]) for row in rows] for column in (1, 2))
    assert after[0] == before[0] and float(rows[0][3]) == 0
    assert after[0] > after[1] > after[2] > after[3] and float(rows[1][3]) > 0.1

    # "in every digit", "in the last digit"
    assert number_after(text, "this is d2lrnn.gru: H differs by") == 0
    assert number_after(text, "the outputs by") < 1e-8

    # "leave different states", "makes no difference", "gaps make no difference"
    differences = [float(found) for found in re.findall(r"^\S+ +and \S+ *: the states differ by (\S+)$", text, re.M)]
    assert differences[0] > 0.01 and differences[1:] == [0, 0]

    # "each step multiplies the gradient by about z"; "far less than in the plain network"
    norms = table(text, "steps back")
    assert norms == {name: [float(f"{norm:.0e}") for norm in by.values()] for name, by in names["norms"].items()}
    for bias in (0, 2, 5):
        by_distance = names["norms"][f"GRU, b_z = {bias}"]
        assert (by_distance[35] / by_distance[1]) ** (1 / 34) == pytest.approx(sigmoid(bias), rel=0.05)
    at_ten = [by_distance[10] for by_distance in names["norms"].values()]
    assert at_ten[0] < 1e-4 * at_ten[1] and at_ten == sorted(at_ten)
    assert names["norms"]["plain RNN"][35] < 1e-20 and names["norms"]["GRU, b_z = 5"][35] > 1

    # "the two forms differ little, with larger weights much more"; "differ by rounding alone"
    forms = re.findall(r"the two forms differ by (\S+), Gluon's form and Gluon by (\S+); H reaches (\S+)", text)
    (large, large_gluon, large_H), (small, small_gluon, small_H) = (map(float, row) for row in forms)
    assert large / large_H > 30 * small / small_H > 0
    assert large_gluon < 1e-5 * large_H and small_gluon < 1e-5 * small_H

    # Training.  "nearly the same", "Neither is ahead all the time", "whole lines of the text it has learnt"
    book, gluon = names["histories"].values()
    assert book.perplexity[0] == pytest.approx(gluon.perplexity[0], rel=0.05)
    assert names["history"].perplexity[0] != gluon.perplexity[0]
    if corpus != "ptb":
        ahead = [a < b for a, b in zip(book.perplexity, gluon.perplexity)]
        assert set(ahead) == {True, False}
        assert max(book.perplexity[-1], gluon.perplexity[-1]) < 1.5
        learnt = lesson.corpus.vocab.decode(lesson.corpus.train)
        written = samples(text, lesson.training.prefixes[0])
        assert len(written) == 6 and written[2][2:10] in learnt

    # Both perplexities are those of the equations.
    wrong = section(text, "Trained weights in the wrong form")
    assert "copy_parameters: the source has cell 'gru', the target cell 'gru_reset_after': " in wrong
    params = d2lrnn.read_parameters(names["model"])
    X, Y = names["X"].asnumpy(), names["Y"].asnumpy()
    right = number_after(wrong, "the book's form, learnt  perplexity")
    other = number_after(wrong, "Gluon's form, wrong      perplexity")
    assert right == pytest.approx(perplexity_of(params, X, Y, reset_first=True), rel=1e-3)
    assert other == pytest.approx(perplexity_of(params, X, Y, reset_first=False), rel=1e-3)
    if corpus != "ptb":
        assert other > 1.3 * right
        assert re.findall(r"^  Gluon's form, wrong      '", wrong, re.M) and wrong.count("after '") == 2
