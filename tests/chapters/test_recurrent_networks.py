import math
import re

import numpy
import pytest
from lessons import number_after, section


@pytest.mark.parametrize("corpus", ["sample", "jaychou"])
def test_lesson(run, corpus, request):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    pictures = ["with_and_without_a_state", "trace_of_the_first_token"]
    text, names = run("recurrent_networks", "--corpus", corpus, pictures=pictures)

    # The same outputs without a state, others with one.
    stateless = section(text, "A network without a hidden state")
    assert number_after(stateless, "and after 秋 differ by") == 0
    assert number_after(section(text, "A network with a hidden state"), "and after 秋 differ by") >= 0.01
    assert number_after(text, "H differs by") < 1e-6 > number_after(text, "the outputs by")

    # One product in place of two, in NumPy too.
    A, B, W_xa, W_ha = (names[name].asnumpy() for name in ("A", "B", "W_xa", "W_ha"))
    expected = numpy.hstack([A, B]) @ numpy.vstack([W_xa, W_ha])
    assert numpy.allclose(names["two"].asnumpy(), expected, atol=1e-5)
    assert numpy.allclose(names["one"].asnumpy(), expected, atol=1e-5)
    assert number_after(text, "largest difference") < 2e-6

    # The table of sizes.
    size, h = names["vocab_size"], names["h"]
    rows = re.findall(r"^ +(\d+) +(\S+) +(\S+) +(\S+)$", text, re.MULTILINE)
    sizes = [[float(number.replace(",", "")) for number in row] for row in rows]
    assert [row[0] for row in sizes] == [1, 2, 5, 35]
    for n, contexts, perceptron, recurrent in sizes:
        assert contexts == pytest.approx(float(size ** int(n)), rel=0.01)
        assert perceptron == (n * size + 1) * h + (h + 1) * size
        assert recurrent == (size + h + 1) * h + (h + 1) * size

    # The losses of the steps, their mean, and the perplexity of a new network.
    steps = re.findall(r"^step \d: read '(.)', label '(.)', probability (\S+), loss (\S+)$", text, re.MULTILINE)
    assert "".join(read for read, *_ in steps) == names["text"][:-1]
    assert "".join(label for _, label, *_ in steps) == names["text"][1:]
    for _, _, probability, loss in steps:
        assert -math.log(float(probability)) == pytest.approx(float(loss), abs=0.01)
    mean = number_after(text, "mean loss")
    assert numpy.mean([float(loss) for *_, loss in steps]) == pytest.approx(mean, abs=0.001)
    assert number_after(text, "d2lrnn.cross_entropy:") == pytest.approx(mean, abs=1e-4)
    assert number_after(text, "d2lrnn.perplexity:") == pytest.approx(8, rel=0.1)

    # "Stop at a half", "all rise towards 1", and the bound.
    learnt = re.findall(r"label '(.)': probability (\S+) without a state, (\S+) with", text)
    halves = {"来", "走", "，", "。"}
    assert len(learnt) == 9
    for label, without, with_state in learnt:
        assert float(without) == pytest.approx(0.5, abs=0.03) if label in halves else float(without) > 0.95
        assert float(with_state) > 0.95
    assert 2 ** (4 / 9) < names["without"][-1] < 1.4
    assert 1 < names["with_state"][-1] < 1.05

    # A state as the whole past: right to the last digit, or to the precision of the number.
    past = re.search(r"the 20 digits, the latest first: +(\S+)$", text, re.MULTILINE)[1]
    found = dict(((bits, n), state) for bits, n, state in re.findall(r"of (\d+) bits after +(\d+) digits: (\S+)", text))
    assert found["64", "6"] == found["32", "6"] == "8.28172"
    right = {bits: _common_prefix(found[bits, "20"], past) - 1 for bits in ("64", "32")}  # without the point
    assert 6 <= right["32"] <= 9 < 14 <= right["64"] < 20

    # What is left of the first token: small weights lose it, large ones keep it.
    lost, kept = names["traces"].values()
    assert lost[2] == pytest.approx(0.01 * math.sqrt(h), rel=0.5)
    assert all(lost[t + 1] < lost[t] for t in range(1, 7)) and lost[8] < 1e-5
    assert min(kept.values()) > 0.1


def _common_prefix(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
