"""Sampled softmax: candidates as often as they are expected, losses by hand, on average the full softmax."""

import math

import numpy
import pytest

from d2lrnn import D2lrnnError, cross_entropy
from d2lrnn._runtime import mx
from d2lrnn.evaluation import Candidates, Drawn, log_uniform, needed_ids, sampled_losses, token_losses

np = mx.np
VOCAB_SIZE, WIDTH = 12, 3


def test_the_log_uniform_distribution():
    expected = [(math.log(k + 2) - math.log(k + 1)) / math.log(8) for k in range(7)]
    assert log_uniform(7) == pytest.approx(expected) and log_uniform(7).sum() == pytest.approx(1)


def test_how_often_a_token_is_expected():
    """Of three tokens with P = 1/2, log4(3/2), log4(4/3), two are drawn: the first always, one of the others."""
    second, third = math.log(3 / 2) / math.log(2), math.log(4 / 3) / math.log(2)
    assert Candidates(3, 2).expected == pytest.approx([1, second, third])
    assert Candidates(3, 2, first=1).expected == pytest.approx([third, 1, second])
    assert Candidates(3, 1).expected == pytest.approx(log_uniform(3))
    assert (Candidates(9, 9).expected == 1).all()
    for count in (1, 5, 11):
        expected = Candidates(VOCAB_SIZE, count).expected
        free = expected[expected < 1]
        assert expected.sum() == pytest.approx(count) and expected.max() <= 1
        assert free == pytest.approx(log_uniform(VOCAB_SIZE)[-len(free) :] * free[-1] / log_uniform(VOCAB_SIZE)[-1])


def test_the_candidates_are_drawn_as_often_as_they_are_expected():
    """One candidate of each draw, chosen at random, is an independent sample of ``expected / count``: chi-square."""
    numpy.random.seed(4)
    candidates, num_draws = Candidates(50, 8, first=2), 4000
    draws = numpy.array([candidates.draw().ids for _ in range(num_draws)])
    assert all(len(set(row)) == 8 for row in draws.tolist())
    assert (draws == 2).any(axis=1).all() and candidates.expected[2] == 1
    found = numpy.bincount(draws[numpy.arange(num_draws), numpy.random.randint(0, 8, num_draws)], minlength=50)
    wanted = candidates.expected / 8 * num_draws
    assert wanted.min() > 20
    chi_square = ((found - wanted) ** 2 / wanted).sum()
    assert chi_square < 49 + 4 * math.sqrt(2 * 49)  # its mean and four standard deviations
    even = num_draws / 50
    assert ((found - even) ** 2 / even).sum() > 49 + 40 * math.sqrt(2 * 49)


def test_numpys_global_generator_draws():
    candidates = Candidates(50, 8)
    numpy.random.seed(7)
    drawn = [candidates.draw() for _ in range(3)]
    numpy.random.seed(7)
    assert all((candidates.draw().ids == one.ids).all() for one in drawn)
    assert (drawn[0].expected == candidates.expected[drawn[0].ids]).all()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((5, 6), "count is 6: expected a whole number, at least 1 and at most 5"),
        ((5, 0), "count is 0"),
        ((0, 1), "vocab_size is 0"),
        ((5, 2, 5), "first is 5"),
    ],
)
def test_candidates_that_cannot_be(arguments, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        Candidates(*arguments)


def made_up(dtype="float64"):
    """Outputs of two steps of three rows, an output layer, and the ids to predict."""
    draw = numpy.random.default_rng(3)
    shapes = [(6, WIDTH), (VOCAB_SIZE, WIDTH), (VOCAB_SIZE,)]
    arrays = [np.array(draw.normal(size=shape), dtype=dtype) for shape in shapes]
    for array in arrays:
        array.attach_grad()
    return arrays, np.array([[0, 5], [5, 11], [7, 1]], dtype="int32")


def losses_of(arrays, Y, drawn):
    outputs, weight, bias = arrays
    ids = needed_ids(drawn, Y)
    return sampled_losses(outputs, rows(weight, ids), rows(bias, ids), Y, drawn)


def rows(array, ids):
    return np.take(array, ids, axis=0)


def reference(arrays, Y, drawn):
    """Return the losses and the gradients of their mean, one token and one candidate after another."""
    outputs, weight, bias = (array.asnumpy().astype("float64") for array in arrays)
    losses, gradients = [], [numpy.zeros_like(array) for array in (outputs, weight, bias)]
    for i, y in enumerate(Y.asnumpy().T.reshape(-1)):
        others = [(k, expected) for k, expected in zip(drawn.ids, drawn.expected) if k != y]
        terms = {k: numpy.exp(weight[k] @ outputs[i] + bias[k]) / expected for k, expected in [(y, 1), *others]}
        total = sum(terms.values())
        losses.append(-numpy.log(terms[y] / total))
        for k, term in terms.items():
            error = (term / total - (k == y)) / Y.size
            gradients[0][i] += error * weight[k]
            gradients[1][k] += error * outputs[i]
            gradients[2][k] += error
    return numpy.array(losses), gradients


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 6e-6)])
def test_losses_and_gradients_are_those_of_a_loop(dtype, tolerance):
    """In float32, oneDNN's log_softmax is itself off by up to 5e-6."""
    arrays, Y = made_up(dtype)
    numpy.random.seed(2)
    for drawn in [Candidates(VOCAB_SIZE, count).draw() for count in (5, 1, 9)]:
        with mx.autograd.record():
            losses = losses_of(arrays, Y, drawn)
            loss = losses.mean()
        loss.backward()
        expected, gradients = reference(arrays, Y, drawn)
        assert numpy.abs(losses.asnumpy() - expected).max() < tolerance
        for array, gradient in zip(arrays, gradients):
            assert numpy.abs(array.grad.asnumpy() - gradient).max() < tolerance


def test_with_all_tokens_it_is_the_full_softmax():
    arrays, Y = made_up()
    outputs, weight, bias = arrays
    with mx.autograd.record():
        full = cross_entropy(np.dot(outputs, weight.T) + bias, Y)
    full.backward()
    gradients = [array.grad.asnumpy().copy() for array in arrays]
    with mx.autograd.record():
        losses = losses_of(arrays, Y, Candidates(VOCAB_SIZE, VOCAB_SIZE, first=2).draw())
        loss = losses.mean()
    loss.backward()
    expected = token_losses(np.dot(outputs, weight.T) + bias, Y)
    assert numpy.abs(losses.asnumpy() - expected.asnumpy()).max() < 1e-14
    assert max(numpy.abs(array.grad.asnumpy() - other).max() for array, other in zip(arrays, gradients)) < 1e-14


def test_an_accidental_hit_does_not_count():
    """A candidate that is the right token changes nothing, however large its logit is as a candidate's."""
    arrays, _ = made_up()
    outputs, weight, bias = (array[:1] if i == 0 else array for i, array in enumerate(arrays))
    Y = np.array([[5]], dtype="int32")
    without = Drawn(numpy.array([2, 9]), numpy.array([0.5, 0.25]))
    hit = Drawn(numpy.array([2, 5, 9]), numpy.array([0.5, 1e-9, 0.25]))
    losses = [losses_of((outputs, weight, bias), Y, drawn).item() for drawn in (without, hit)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    only = Drawn(numpy.array([5]), numpy.array([0.5]))
    assert losses_of((outputs, weight, bias), Y, only).item() == 0


def averages(num_draws, corrected=True):
    """Return the mean of exp(loss) and of its gradients over draws, their standard errors, and what is right."""
    arrays, Y = made_up()
    outputs, weight, bias = arrays
    candidates, found = Candidates(VOCAB_SIZE, 5), []

    def numbers(losses):
        with mx.autograd.record():
            values = np.exp(losses())
        values.backward()
        return numpy.concatenate([values.asnumpy(), *(array.grad.asnumpy().reshape(-1) for array in arrays)])

    for _ in range(num_draws):
        drawn = candidates.draw()
        drawn = drawn if corrected else Drawn(drawn.ids, numpy.ones(len(drawn.ids)))
        found.append(numbers(lambda drawn=drawn: losses_of(arrays, Y, drawn)))
    full = numbers(lambda: token_losses(np.dot(outputs, weight.T) + bias, Y))
    return numpy.mean(found, axis=0), numpy.std(found, axis=0) / math.sqrt(num_draws), full


def test_on_average_the_sum_and_its_gradients_are_those_of_the_full_softmax():
    """The exponential of the loss is the sum over the vocabulary, divided by exp(o_y).

    None of the 72 means is more than 4 standard errors off, and the errors are small enough to show what is wrong.
    """
    numpy.random.seed(6)
    mean, error, full = averages(200)
    assert (numpy.abs(mean - full) < 4 * error + 1e-12).all()
    assert error.max() < 0.05 * numpy.abs(full).max()
    mean, error, full = averages(60, corrected=False)
    assert (numpy.abs(mean - full) > 8 * error).mean() > 0.5


def test_the_loss_tends_to_the_full_one_with_more_candidates():
    """Its logarithm is too small on average, by less and less."""
    arrays, Y = made_up()
    outputs, weight, bias = arrays
    full = cross_entropy(np.dot(outputs, weight.T) + bias, Y).item()
    numpy.random.seed(8)
    gaps = []
    for count in (2, 5, 11):
        candidates = Candidates(VOCAB_SIZE, count)
        gaps.append(full - numpy.mean([losses_of(arrays, Y, candidates.draw()).mean().item() for _ in range(50)]))
    assert gaps[0] > 2 * gaps[1] > 4 * abs(gaps[2])


def test_rows_of_other_ids_are_refused():
    arrays, Y = made_up()
    outputs, weight, bias = arrays
    drawn = Candidates(VOCAB_SIZE, 4).draw()
    ids = needed_ids(drawn, Y)
    assert ids.shape == (10,) and (ids[4:].asnumpy() == [0, 5, 7, 5, 11, 1]).all()
    for given in (
        (outputs, weight, bias),
        (outputs[:5], rows(weight, ids), rows(bias, ids)),
        (outputs, rows(weight, ids), bias),
    ):
        with pytest.raises(
            D2lrnnError, match="expected 6 outputs, one for each id of Y, and the rows of these and of 4"
        ):
            sampled_losses(*given, Y, drawn)
