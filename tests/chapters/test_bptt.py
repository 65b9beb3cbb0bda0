import math
import re

import numpy
import pytest
from lessons import number_after, section


@pytest.mark.parametrize("corpus", ["sample", "jaychou"])
def test_lesson(run, corpus, request):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    text, names = run("bptt", "--corpus", corpus, pictures=["bptt_states", "bptt_training"])

    # Each formula gives autograd's gradient, up to rounding.
    gaps = re.findall(r"^dL/d(\S+) .*?(?:difference )?(\d\.\de[-+]\d\d)\b.*$", text, re.MULTILINE)
    assert [name for name, _ in gaps] == ["o_t", "W_qh", "h_T", "h_t", *3 * ["h_t"], "W_hx", "W_hh"]
    assert all(float(gap) < 2e-5 for _, gap in gaps)
    assert number_after(text, "largest relative difference from autograd") < 2e-5

    # By the largest eigenvalue: below 1 the gradient vanishes, above 1 it explodes, near its modulus at each step.
    book, by_formula = re.search(r"rho = (\S+), 0\.01 times the root of h = (\S+)", text).groups()
    assert float(book) == pytest.approx(float(by_formula), rel=0.2)
    rows = re.findall(r"^ +(\d\.\d) +(\S+e\S+) +(\S+e\S+) +(\d\.\d\d)$", section(text, "Vanishing and exploding"), re.M)
    assert [row[0] for row in rows] == ["0.5", "0.9", "1.0", "1.1", "1.5"]
    for rho, last, first, factor in (map(float, row) for row in rows):
        assert factor == pytest.approx(rho, rel=0.06)
        assert (first < last / 10) if rho < 1 else (first > 3 * last) if rho > 1 else 0.05 < first / last < 20
    # The tanh takes its part.
    for linear, squashed in zip(names["linear"].values(), names["squashed"].values()):
        assert squashed[0] / squashed[-1] < linear[0] / linear[-1]
    share = [float(value) for value in re.findall(r"mean of 1 - tanh\^2 (\S+)", text)]
    assert all(0 < value < 1 for value in share) and share == sorted(share, reverse=True)

    # Truncation: the error falls with the pieces' length and grows with rho.
    rows = re.findall(r"^ +(\d\.\d)((?: +\d\.\d{3} +\d\.\d\d){6})$", section(text, "Truncated backpropagation"), re.M)
    errors = numpy.array([[float(value) for value in row.split()[::2]] for _, row in rows])
    assert [rho for rho, _ in rows] == ["0.5", "0.9", "1.1"]
    assert (numpy.diff(errors, axis=1) < 0).all() and (errors[:, -1] == 0).all()
    assert (numpy.diff(errors[:, :-1], axis=0) > 0).all()

    # Clipping, batch by batch.
    runs = list(names["runs"].values())
    clipped, *_ = runs
    (losses, norms, _), jumped = clipped, runs[1:3]
    guess = numpy.log(names["lesson"].corpus.vocab_size)
    assert len({run[1][0] for run in runs}) == 1 and len(losses) == len(norms) > 50
    assert min(norms) > names["config"].theta and losses[-1] < losses[0]
    assert all(losses[-1] < run[0][-1] for run in runs[1:])
    assert max(jumped[0][1]) > 100 * norms[0] and numpy.mean(jumped[0][1][-10:]) < max(jumped[0][1]) / 10
    for run_losses, run_norms, _ in jumped:
        assert max(run_norms) > 20 * norms[0] and len(run_norms) == len(norms)
        assert numpy.isfinite(run_losses).all() and min(run_losses[-5:]) > 3 * guess
    ended_losses, ended_norms, _ = names["train_by_batch"](1e38, math.inf)
    assert len(ended_losses) == len(ended_norms) < 5 and not numpy.isfinite(ended_losses[-1] + ended_norms[-1])
    first = [next(i for i, norm in enumerate(run[1]) if norm > 1) for run in jumped]
    assert first[0] < 5 and first[0] < first[1]  # a smaller learning rate puts it off
    states = dict(re.findall(r"^(before training|lr .*?)  +([\d.]+ +\d+)%$", text, re.MULTILINE))
    rho, saturated = numpy.array([[float(value) for value in row.split()] for row in states.values()]).T
    assert len(states) == 5 and rho[0] < rho[1:].min()
    assert saturated[[0, 1]].max() < 10 and saturated[[2, 3]].min() > 80
    by_hand, by_module = re.search(r"epoch 1: (\S+) by hand, (\S+) by the module's loop", text).groups()
    assert float(by_hand) == pytest.approx(float(by_module), rel=1e-5)
    assert re.search(r"^the perplexity (rose|became) .*: try a finite theta or a smaller lr$", text, re.MULTILINE)
