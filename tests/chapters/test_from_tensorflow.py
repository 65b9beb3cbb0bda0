import re

import numpy
import pytest
from lessons import number_after, section
from mxnet import np

import d2lrnn

ROUNDING = 5e-6  # of float32, for numbers up to 10, after ten steps


def sigmoid(x):
    return 1 / (1 + numpy.exp(-x))


def gaps_of(text, words):
    """Return all numbers after some words."""
    return [float(number) for number in re.findall(rf"{re.escape(words)} (\d[\d.]*(?:e[-+]\d+)?)", text)]


@pytest.mark.parametrize("corpus", ["sample", "jaychou"])
def test_lesson(run, corpus, request):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    text, names = run("from_tensorflow", "--corpus", corpus)
    vocab_size = names["vocab_size"]

    # "This is the plain recurrent network of the book"; "computes the same"
    by_hand = section(text, "Two steps by hand")
    gaps = [number_after(by_hand, words) for words in ("Y0 differs by", "Y1 by", "Y1 and the new state by")]
    assert max(gaps) < ROUNDING and number_after(by_hand, "Y1 from the kernel differs by") < ROUNDING
    assert "Y0 (4, 5), Y1 (4, 5)\n" in by_hand and "kernel (8, 5): rows" in by_hand

    # "no new graph is needed", "Both layers compute the same"
    rows = re.findall(r"^(\d+) +\(\1, 4, 5\) +(\S+) +(\d+) +(\d+)$", section(text, "A list of steps, or a loop"), re.M)
    assert [row[0] for row in rows] == ["2", "5", "20", "2"] and max(float(row[1]) for row in rows) < ROUNDING
    assert [row[2:] for row in rows] == [("1", "1"), ("1", "2"), ("1", "3"), ("1", "3")]

    # "the shape that was expected, but other numbers"; the three kinds "compute the same"
    layout = section(text, "Steps first, or rows first")
    assert re.search(r"^turned, .*: \(4, 2, 5\)\nnot turned: +\(4, 2, 5\)", layout, re.M)
    assert number_after(layout, "the numbers differ by") > 0.05 and "LSTM was made with layout='NTC'" in layout
    assert "X (32, 35); as a list for static_rnn: 35 steps, each (32,)\n" in layout
    largest = number_after(layout, "the largest logit of the model from scratch:")
    kinds = re.findall(rf"^(\w+) +logits \(1120, {vocab_size}\), difference from scratch (\S+)$", layout, re.M)
    assert [kind for kind, _ in kinds] == ["scratch", "fast", "gluon"] and largest > 0.5
    assert max(float(gap) for _, gap in kinds) < 1e-5

    # "layer by layer"; "one array H for all its layers"
    states = section(text, "The state: a tuple, or side by side")
    assert f"\nLayers          {[(4, 5)] * 4}\n" in states
    assert f"\ngluon.rnn.LSTM  {[(2, 4, 5)] * 2}\nRecurrentStack  {[(1, 4, 5)] * 4}\n" in states
    assert "side by side (4, 20), fused [(2, 4, 5), (2, 4, 5)]\n" in states
    assert "there and back, the states differ by 0\n" in states

    check_lstm(section(text, "The order of the gates, and a bias that is not stored"), names)

    # "GRUCell is the GRU of the book"
    grus = section(text, "Which of the two GRUs")
    assert number_after(grus, "gru              differs from GRUCell by") < ROUNDING
    assert number_after(grus, "gru_reset_after  differs from GRUCell by") > 0.05

    peepholes = section(text, "Peepholes and projections")
    assert max(number_after(peepholes, words) for words in ("'): H differs by", ", C by")) < ROUNDING
    assert number_after(peepholes, "without peepholes: H differs by") > 0.05

    # "After the end of a row its outputs are 0"; "what it computes alone"; "changes nothing, whatever it is"
    padded = section(text, "Sequences of different lengths")
    assert "[[1 1 1 1 1 1]\n [1 1 0 0 0 0]\n [1 1 1 1 0 0]\n [1 0 0 0 0 0]]\n" in padded
    assert "outputs (6, 4, 5); the largest number at padding is 0\n" in padded
    gaps = gaps_of(padded, "alone, outputs differ by") + gaps_of(padded, ", H by")
    assert len(gaps) == 8 and max(gaps) < ROUNDING
    assert gaps_of(padded, "H and the last valid output by") == [0] * 4
    assert "other padding: the results differ by 0\n" in padded
    assert number_after(padded, "with use_sequence_length, the largest number at padding is") > 0.05
    assert "LSTM was made with use_sequence_length; it is ignored on the CPU" in padded

    # "The outputs are equal. But the gradient of a shared weight is the sum"
    shared = section(text, "Layers on layers, and a cell in two places")
    sizes = re.findall(r"^(copies|shared): (\d+) numbers to learn, loss (\S+)$", shared, re.M)
    assert [size for _, size, _ in sizes] == ["110", "55"] and sizes[0][2] == sizes[1][2]
    assert "the outputs differ by 0\n" in shared
    assert number_after(shared, "up to") < ROUNDING < float(abs(names["shared"][1].grad).max())

    both = section(text, "Two directions")
    assert "joined (4, 10) at each step; output_fw (6, 4, 5), output_bw (6, 4, 5)\n" in both
    assert "layer of its own: differs by 0\n" in both and "reads from the end: by 0\n" in both
    assert "bidirectional=False: W_xh of the upper layer (5, 5)\n" in both
    assert "bidirectional=True: W_xh of the upper layer (10, 5)\n" in both

    wrapped = section(text, "What is wrapped around a cell")
    assert "(32, 35) ids become (35, 32, 16); look-up and product differ by 0\n" in wrapped
    norms = section(text, "The norm of all gradients")
    norm = number_after(norms, ", norm")
    assert number_after(norms, "grad_clipping returns") == pytest.approx(norm, rel=1e-3) and norm > 0
    assert number_after(norms, "the gradients differ by") < 1e-5

    # The table: each line fits, and ran.
    lines = section(text, "Old names and new names").split("TensorFlow 1  ")[1].splitlines()[1:]
    shown = [tuple(re.split(" {2,}", line.strip(), maxsplit=1)) for line in lines if line]
    assert shown == [(old.strip(), new) for old, new in names["TABLE"]] and len(shown) > 20
    assert max(map(len, lines)) <= 100


def check_lstm(text, names):
    """Check the step by hand against NumPy, the converted parameters, and the exercise that converts them back."""
    kernel, bias = (names[name].asnumpy().astype("float64") for name in ("kernel", "bias"))
    c = h = numpy.zeros((4, 5))
    for x in names["inputs"].asnumpy():
        z = numpy.hstack([x, h]) @ kernel + bias
        i, j, f, o = (z[:, begin : begin + 5] for begin in range(0, 20, 5))
        c = c * sigmoid(f + 1) + sigmoid(i) * numpy.tanh(j)
        h = numpy.tanh(c) * sigmoid(o)
    for name in ("scratch_state", "fused_state"):
        for found, expected in zip(names[name], (h, c)):
            numpy.testing.assert_allclose(found.asnumpy().reshape(4, 5), expected, rtol=0, atol=ROUNDING)
    gaps = re.findall(r"^H differs by (\S+), C by (\S+)$", text, re.M)
    assert len(gaps) == 2 and max(float(gap) for pair in gaps for gap in pair) < ROUNDING
    assert number_after(text, "without the 1 of the forget gate: H differs by") > 0.05
    assert f"from scratch: {', '.join(d2lrnn.CELLS['lstm'].param_names)}\n" in text
    assert f"l0_i2h_bias [{' '.join('0' * 5 + '1' * 5 + '0' * 10)}]\nb_f         [1 1 1 1 1]\n" in text

    # Solutions 1 and 2.
    fused = names["fused"]
    weights = numpy.vstack([param.data().asnumpy().T for param in (fused.l0_i2h_weight, fused.l0_h2h_weight)])
    sums = fused.l0_i2h_bias.data().asnumpy() + fused.l0_h2h_bias.data().asnumpy()
    order = numpy.concatenate([numpy.arange(5 * block, 5 * block + 5) for block in (0, 2, 1, 3)])
    numpy.testing.assert_array_equal(weights[:, order], names["kernel"].asnumpy())
    sums[5:10] -= 1
    numpy.testing.assert_allclose(sums[order], names["bias"].asnumpy(), atol=ROUNDING)
    assert (round(sigmoid(1), 3), round(sigmoid(1) ** 28, 5)) == (0.731, 0.00016)
    assert round(0.5**28, 9) == 4e-9 and round((2 * sigmoid(1)) ** 28, -4) == 40_000


def test_the_hidden_states_of_all_layers_side_by_side():
    """Solution 4."""
    stack = d2lrnn.RecurrentStack("lstm", 5, 3, input_size=2)
    stack.initialize()
    outputs, state = stack(np.random.normal(size=(6, 4, 2)), stack.begin_state(4))
    joined = np.concatenate([H[0] for H in state[::2]], axis=1).asnumpy()
    assert joined.shape == (4, 3 * 5)
    numpy.testing.assert_array_equal(joined[:, -5:], outputs[-1].asnumpy())
