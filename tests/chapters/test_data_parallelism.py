import re
from functools import partial

import numpy
import pytest
from lessons import number_after, section, table
from mxnet import cpu

import d2lrnn

LOSSES = 1e-6  # the largest relative difference of 50 losses


@pytest.mark.parametrize("corpus", ["sample", "ptb"])
def test_lesson(run, corpus, request):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    text, names = run("data_parallelism", "--corpus", corpus, pictures=["data_parallelism"])
    losses = names["losses"]

    # "an odd number of rows"; the weights
    rows = re.findall(r"^on cpu\((\d)\): (\d+) rows, the weight (\S+)$", section(text, "A batch in two parts"), re.M)
    assert [(int(i), int(count)) for i, count, _ in rows] == [(0, 4), (1, 5)]
    assert [float(weight) for *_, weight in rows] == pytest.approx([4 / 9, 5 / 9], abs=1e-4)

    # "The gradients on the two devices differ"; "Their weighted sum is the gradient of the whole batch"
    printed = section(text, "Two copies of the parameters")
    shown = {
        name: numpy.array(numbers.split(), float)
        for name, numbers in re.findall(r"^(on cpu\(\d\)|weighted sum|of the whole batch) {2,}(.*)$", printed, re.M)
    }
    first, second, added, whole = shown.values()
    assert abs(first - second).max() > 1e-3
    assert added == pytest.approx((4 * first + 5 * second) / 9, abs=2e-8) and added == pytest.approx(whole, abs=3e-8)
    assert number_after(printed, "over all parameters") < 1e-7 < 0.01 < number_after(printed, "largest number is")
    assert number_after(printed, "their weighted sum") == pytest.approx(
        number_after(printed, "of the whole batch"), 1e-6
    )

    # The gradient of a bias of the output layer is known: the mean probability less the share of the tokens.
    batch = next(names["batches"]())[1].asnumpy().reshape(-1).astype(int)
    shares = numpy.bincount(batch, minlength=names["vocab_size"])[:5] / batch.size
    assert whole == pytest.approx(1 / names["vocab_size"] - shares, abs=2e-5)

    assert "this is the sum by hand: difference 0\n" in section(text, "The sum by a KVStore")

    # "the clipped parts have the norm theta each. Their weighted sum is shorter"
    clip, theta = section(text, "One clip"), names["theta"]
    assert number_after(clip, "of the sum") > theta and number_after(clip, "norms:") > theta
    once, each = (names["norm"](names[name]) for name in ("once", "each"))
    assert once == pytest.approx(theta, rel=1e-6) and each < 0.95 * theta
    assert number_after(clip, "after clipping: once") == pytest.approx(once, abs=1e-6)
    assert number_after(clip, "the two is") < 0.99995

    # "The losses of fifty steps are those of one device"; they learn; the copies are equal; so is the state
    steps = section(text, "Fifty steps")
    assert len(losses[1]) == 50 and losses[1][-1] < losses[1][0] - 0.2
    assert losses[2] == pytest.approx(losses[1], rel=LOSSES)
    assert number_after(steps, "difference in 50 steps:") < LOSSES
    assert "the two copies after 50 steps: difference 0\n" in steps
    assert "states (4, 64) and (5, 64)" in steps and number_after(steps, "on one device: difference") < 1e-4
    assert abs(names["joined"].asnumpy()).max() > 0.1

    # "this is Training(..., devices=...)", and with one device too
    module = section(text, "The module")
    assert number_after(module, "largest relative difference") < (LOSSES if corpus == "sample" else 1e-5)
    assert number_after(module, "the parameters after 50 steps") < 1e-4
    assert losses[1] == pytest.approx(trained_on_one(names), rel=LOSSES if corpus == "sample" else 1e-5)

    # "the first device has fewer tokens"; by rows it is wrong, by tokens right
    counted = section(text, "Rows of different lengths")
    fewer, more = map(int, re.search(r"^counted tokens: (\d+) and (\d+) of", counted, re.M).groups())
    assert fewer < more / 2 and fewer + more == names["lengths"].sum() < names["X"].size
    off = names["off"]
    assert off["by rows"] > 0.1 and off["by counted tokens"] < 1e-5 and off["Devices"] < 1e-5

    # "bit for bit"
    layers = section(text, "Layers on devices")
    assert re.findall(r"^layer (\d), .*: on (.*)$", layers, re.M) == [("1", "cpu(0)"), ("2", "cpu(1)"), ("3", "cpu(0)")]
    assert "the losses of five steps: difference 0; the parameters after them: 0\n" in layers

    # The formula; the bound; more bandwidth, more speed
    cost, speed_ups, T, P = section(text, "What it costs"), names["speed_ups"], names["T"], names["P"]
    assert P == sum(param.data().size for param in d2lrnn.named_parameters(names["stack"]).values())
    assert number_after(cost, "parameters:") == pytest.approx(4 * P / 1e6, abs=0.006)
    bandwidths = table("\n".join(f"at {line.strip()}" for line in cost.splitlines()), "at Gbit/s")
    assert list(map(float, (name.split()[1] for name in bandwidths))) == [100, 10, 1]
    for name, (exchange, *found, bound) in bandwidths.items():
        seconds = 64 * P / (1e9 * float(name.split()[1]))
        assert exchange == pytest.approx(1000 * seconds, abs=0.006)
        assert found == pytest.approx([T / (T / N + seconds) for N in (2, 4, 8)], abs=0.006)
        assert max(found) < bound + 0.06 and bound == pytest.approx(T / seconds, rel=0.01, abs=0.06)
    curves = list(speed_ups.values())
    assert all(a[N] > b[N] for a, b in zip(curves, curves[1:]) for N in range(2, 17))

    if corpus == "sample":
        first_and_second_solution(names)


def trained_on_one(names):
    """Return the losses of fifty steps of the module on one device."""
    model = d2lrnn.build_model(d2lrnn.ModelConfig("scratch", "rnn", 64), names["vocab_size"], cpu(0))
    for source, target in zip(names["params"], model.params):
        source.copyto(target)
    training = d2lrnn.Training(model, names["config"], d2lrnn.NextToken(names["vocab_size"]))

    def step(X, Y, state):
        done = training.step((X, Y), state)
        return float(done.loss), done.state

    return names["fifty_steps"](step, None)[0]


def first_and_second_solution(names):
    """Three contexts; and parameters that are averaged after a step of each device."""
    copy_to, params, train_batch, config = (names[name] for name in ("copy_to", "params", "train_batch", "config"))
    X, Y = next(names["batches"]())
    three = [cpu(0), cpu(1), cpu(2)]
    copies = [copy_to(params, ctx) for ctx in three]
    step = partial(train_batch, names["new_store"](params), copies)
    found, _ = names["fifty_steps"](step, names["zero_states"](X, three))
    assert found == pytest.approx(names["losses"][1], rel=LOSSES)

    # Averaged after steps without clipping: the step of one device; with clipping: the step by `each`.
    W = params[0].asnumpy()
    for theta, expected in ((numpy.inf, names["added"]), (config.theta, names["each"])):
        grads = [names["clipped"](part, theta) for part in names["on_each"]]
        stepped = [W - config.lr * part[0].asnumpy() for part in grads]
        mean = sum(weight * one for weight, one in zip(names["weights"], stepped))
        assert mean == pytest.approx(W - config.lr * expected[0].asnumpy(), abs=1e-6)
