import re

import numpy
import pytest
from lessons import number_after, section, table

import d2lrnn


@pytest.mark.parametrize("corpus", ["sample", "jaychou"])
def test_lesson(run, corpus, request):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    text, names = run("bi_rnn", "--corpus", corpus, pictures=["bi_rnn"])

    # By hand, the module's, Gluon's.
    assert number_after(text, "the forward state differs by") == number_after(text, "the backward state by") == 0
    assert number_after(text, "the outputs by") < 1e-7
    gaps = re.search(r"Gluon's layer: the states differ by (\S+), the outputs by (\S+)$", text, re.MULTILINE).groups()
    assert all(float(gap) < 1e-6 for gap in gaps)
    check_by_numpy(names)

    # Two directions look ahead: the loss says nothing, and at the last step there is nothing to copy.
    changes = re.findall(r"^(?:one|two) directions? +largest change of .* the last step: (\S+)$", text, re.MULTILINE)
    assert float(changes[0]) == 0 < float(changes[1])
    rows = table(text, "perplexity       in training")
    (_, one, one_last), (trained, two, two_last) = rows["one direction"], rows["two directions"]
    assert max(trained, two) < one / 3 and two < one / 8
    assert two_last > 8 * two and two_last > 0.7 * one_last and 0.5 < one_last / one < 2
    assert "a bidirectional model cannot be a left-to-right language model" in text

    # The task: both sides together restore more than either, and either more than none.
    shares = dict(
        re.findall(r"^(most frequent|from .*?)  +.*?([\d.]+)%$", section(text, "Three readers"), re.MULTILINE)
    )
    frequent, left, right, both = (float(share) for share in shares.values())
    assert frequent < min(left, right) and both > 1.2 * max(left, right)
    for name, curve in names["shares"].items():
        assert 100 * curve[-1] == pytest.approx(float(shares[name]), abs=0.06)
        assert len(curve) == len(names["perplexities"][name]) == names["config"].num_epochs
    if corpus == "sample":  # "more hidden units do not help a network in one direction"
        model, _, wide = names["train_reader"](False, 1, num_hiddens=104)
        count = {
            name: sum(p.data().size for p in d2lrnn.named_parameters(m).values())
            for name, m in [*names["models"].items(), ("wide", model)]
        }
        assert count["wide"] > 0.97 * count["from both ends"] > 1.5 * count["from the left"]
        assert wide[-1] < 0.8 * names["shares"]["from both ends"][-1]
    true, damaged, lost = names["true"], names["damaged"], names["lost"]
    assert (damaged[lost] == 256).all() and (damaged[~lost] == true[~lost]).all() and 0.1 < lost.mean() < 0.2
    assert bytes(names["test_data"].tolist()).decode() == names["text"][names["cut"] :]
    lines = re.findall(r"^(true|damaged|from .*?)  +(\S.*)$", text.split("Here is what each of them")[1], re.MULTILINE)
    assert lines[0][1] == names["text"][names["cut"] :][:40].strip()
    readable = [sum(a == b for a, b in zip(lines[0][1], line)) for _, line in lines]
    assert readable[0] > readable[-1] > readable[1]


def check_by_numpy(names):
    """Check the lesson's bidirectional network against NumPy, step by step."""
    W_xh_f, W_hh_f, b_f, W_xh_b, W_hh_b, b_b, W_hq, b_q = (param.asnumpy() for param in names["params"])
    steps = [step.asnumpy() for step in names["inputs"]]
    states = {}
    for direction, (W_xh, W_hh, b) in {1: (W_xh_f, W_hh_f, b_f), -1: (W_xh_b, W_hh_b, b_b)}.items():
        H, states[direction] = numpy.zeros((len(steps[0]), len(W_hh))), []
        for step in steps[::direction]:
            H = numpy.tanh(step @ W_xh + H @ W_hh + b)
            states[direction].append(H)
    for t, outputs in enumerate(names["outputs"]):
        H = numpy.concatenate([states[1][t], states[-1][len(steps) - 1 - t]], axis=1)
        assert outputs.asnumpy() == pytest.approx(H @ W_hq + b_q, abs=1e-7)


def test_a_training_that_diverges_ends_the_lesson_with_a_line(run):
    with pytest.raises(SystemExit, match="became (nan|inf) in epoch 1.*try a finite theta or a smaller lr"):
        run("bi_rnn", "--optimizer", "sgd", "--lr", "1e38", "--theta", "inf")
