"""Rows that a batch uses stand for a whole embedding in a step: the numbers are those of steps without them."""

import copy

import numpy
import pytest
from tiny import quiet, tiny_model, training_of

import d2lrnn
from d2lrnn import NextToken, Outcome, Training
from d2lrnn._runtime import mx
from d2lrnn.config.model import Dropout
from d2lrnn.models.gluon import used_rows
from d2lrnn.models.parameters import numbers_of, set_values
from d2lrnn.training.devices import Devices
from d2lrnn.training.optimisers import make_update

VOCAB_SIZE = 64
SHAPE = (3, 5)  # of a batch; 15 ids are less than half of the vocabulary
SIZES = {"embed_size": 4, "dropout": 0.3, "init_scale": 0.5}


def whole(patch):
    """Let embeddings stand for themselves."""
    patch.setattr(used_rows, "LEAST_SIZE", 2**60)


@pytest.fixture(autouse=True)
def rows(monkeypatch):
    """Let rows stand for small embeddings too."""
    monkeypatch.setattr(used_rows, "LEAST_SIZE", 0)


def batch_of(number, shape=SHAPE):
    X = numpy.random.default_rng(number).integers(0, VOCAB_SIZE, (shape[0], shape[1] + 1))
    return tuple(mx.np.array(ids, dtype="int32") for ids in (X[:, :-1], X[:, 1:]))


def make(settings=SIZES, dtype="float32", objective=None, **config):
    """Return a training from its beginning."""
    model = tiny_model(VOCAB_SIZE, kind="gluon", **settings)
    model.cast(dtype)
    return Training(model, quiet(**{"lr": 1.0, "theta": 1e9, **config}), objective or NextToken(VOCAB_SIZE))


def numbers_after(training, num_steps=20, shapes=(SHAPE,), then=lambda number, training: None):
    """Take steps; return losses, norms, and after each step all parameters and gradients."""
    d2lrnn.set_seed(4)
    found, state = [], None
    for i in range(num_steps):
        shape = shapes[i % len(shapes)]
        step = training.step(batch_of(i, shape), state if len(shapes) == 1 else None)
        state = step.state
        arrays = [*numbers_of(training.params).values(), *numbers_of(training.params, gradients=True).values()]
        found.append([numpy.array([step.loss.item(), step.norm]), *arrays])
        then(i, training)
    return found


def used(training):
    """Return whether rows stood for the embedding in the last step."""
    return any(array.shape == (15, 4) for array in training.stand_ins.instead_of(training.params.values()))


def check_same(found, wanted, rtol=0.0):
    for arrays, others in zip(found, wanted):
        for array, other in zip(arrays, others):
            numpy.testing.assert_allclose(array, other, rtol=rtol, atol=0.01 * rtol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("settings", [{"cell": "lstm", "num_layers": 2}, {"cell": "gru"}])
def test_steps_are_those_of_the_whole_embedding_to_the_bit(settings, dtype, monkeypatch):
    training = make({**SIZES, **settings}, dtype)
    found = numbers_after(training)
    assert used(training)
    whole(monkeypatch)
    training = make({**SIZES, **settings}, dtype)
    check_same(found, numbers_after(training))
    assert not used(training)


def test_a_clipped_step_differs_by_the_rounding_of_the_norm(monkeypatch):
    found = numbers_after(make(theta=0.05))
    assert all(arrays[0][1] > 0.05 for arrays in found)
    whole(monkeypatch)
    check_same(found, numbers_after(make(theta=0.05)), rtol=1e-6)


def test_rows_that_no_batch_used_stay_to_the_bit():
    training = make()
    before = training.model.embedding.weight.data().asnumpy()
    numbers_after(training, 2)
    ids = numpy.unique([batch_of(i)[0].asnumpy() for i in range(2)])
    same = (training.model.embedding.weight.data().asnumpy() == before).all(axis=1)
    assert sorted(set(range(VOCAB_SIZE)) - set(ids)) == numpy.flatnonzero(same).tolist()


def test_batches_of_several_shapes_and_steps_without_rows_between_them(monkeypatch):
    def others(number, training):
        """Write the gradient of the whole embedding, by a loss of one's own."""
        if number % 3 == 1:
            with mx.autograd.record():
                loss = (
                    (training.model.embedding.weight.data() ** 2).sum()
                    if number % 2
                    else training.model(batch_of(number)[0], training.model.begin_state(3))[0].sum()
                )
            loss.backward()

    shapes = [(3, 5), (3, 5), (2, 7), (8, 5)]  # 40 ids are more than half of the vocabulary
    found = numbers_after(make(), 12, shapes, others)
    whole(monkeypatch)
    check_same(found, numbers_after(make(), 12, shapes, others))


class Decaying(NextToken):
    """Reads the embedding twice as rows, and once as a whole."""

    def loss(self, model, batch, state):
        outcome = super().loss(model, batch, state)
        other = super().loss(model, (batch[1], batch[0]), None).loss
        return Outcome(outcome.loss + other + 0.1 * (model.embedding.weight.data() ** 2).sum(), outcome.state)


def test_a_loss_that_reads_the_embedding_in_other_ways_too(monkeypatch):
    training = make(objective=Decaying(VOCAB_SIZE), dtype="float64")
    found = numbers_after(training)
    assert training.model.encoder._rows.values is not None and not used(training)
    whole(monkeypatch)
    check_same(found, numbers_after(make(objective=Decaying(VOCAB_SIZE), dtype="float64")), rtol=1e-12)


class ReadingTwice(NextToken):
    """In every second batch, lets the model read the batch once more than the loss depends on, and this first."""

    def __init__(self, vocab_size):
        super().__init__(vocab_size)
        self.batches = 0

    def loss(self, model, batch, state):
        self.batches += 1
        if self.batches % 2 == 0:
            model(batch[0], self.begin(model, batch))
        return super().loss(model, batch, state)


def test_rows_that_the_loss_does_not_depend_on_have_no_gradient(monkeypatch):
    found = numbers_after(make(objective=ReadingTwice(VOCAB_SIZE)), 4)
    whole(monkeypatch)
    check_same(found, numbers_after(make(objective=ReadingTwice(VOCAB_SIZE)), 4))


@pytest.mark.parametrize("last", [1, 2])
def test_a_step_after_one_that_was_interrupted_where_gradients_are_written(last, monkeypatch):
    """The gradient of rows is written by two calls: the rows of the batch before are set to 0, then come the new."""
    write, calls = used_rows._write, []

    def interrupted(*args):
        write(*args)
        calls.append(args)
        if len(calls) == last:
            raise KeyboardInterrupt

    training = make()
    numbers_after(training, 1)
    monkeypatch.setattr(used_rows, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        training.step(batch_of(1), None)
    monkeypatch.setattr(used_rows, "_write", write)
    training.step(batch_of(2), None)
    gradient = training.model.embedding.weight.grad().asnumpy()
    assert sorted(set(batch_of(2)[0].asnumpy().ravel())) == numpy.flatnonzero(gradient.any(axis=1)).tolist()


class Halving(NextToken):
    """Halves the gradients that backward has written."""

    def backward(self, model, batch, state, share=None):
        outcome = super().backward(model, batch, state, share)
        for param in model.parameters().values():
            param.grad()[:] = param.grad() / 2
        return outcome


def test_a_backward_that_changes_gradients(monkeypatch):
    found = numbers_after(make(objective=Halving(VOCAB_SIZE)), 4)
    whole(monkeypatch)
    check_same(found, numbers_after(make(objective=Halving(VOCAB_SIZE)), 4))


def test_an_update_that_is_changed_between_two_steps(monkeypatch):
    def change(number, training):
        if number == 1:
            training.update.weight_decay = 0.1
        if number == 3:
            training.update = make_update(training.params.values(), "adam")

    found = numbers_after(make(lr=0.01), 6, then=change)
    whole(monkeypatch)
    check_same(found, numbers_after(make(lr=0.01), 6, then=change))


@pytest.mark.parametrize(
    ("settings", "config"),
    [
        (SIZES, {"optimizer": "adam", "lr": 0.01}),
        (SIZES, {"weight_decay": 0.1}),
        ({**SIZES, "num_hiddens": 4, "tie_weights": True}, {}),
        ({**SIZES, "dropout": Dropout(words=0.2)}, {}),
    ],
)
def test_embeddings_that_no_rows_stand_for(settings, config, monkeypatch):
    training = make(settings, **config)
    found = numbers_after(training, 5)
    assert not used(training)
    whole(monkeypatch)
    check_same(found, numbers_after(make(settings, **config), 5))


def test_an_embedding_that_is_frozen_or_adds_gradients_up():
    for grad_req in ("null", "add"):
        model = tiny_model(VOCAB_SIZE, kind="gluon", **SIZES)
        model.embedding.weight.grad_req = grad_req
        training = training_of(model, quiet())
        numbers_after(training, 2)
        assert not used(training)


def test_several_devices_have_whole_embeddings():
    model = tiny_model(VOCAB_SIZE, kind="gluon", **SIZES)
    training = training_of(model, quiet(), devices=Devices(model, [mx.cpu(0), mx.cpu(1)]))
    numbers_after(training, 1)
    assert not used(training)


def test_a_model_that_has_moved_to_another_device_learns_there(monkeypatch):
    def train():
        training = make()
        numbers_after(training, 2)
        training.model.collect_params().reset_ctx(mx.cpu(1))
        again = training_of(training.model, training.config)
        step = again.step(tuple(array.as_in_ctx(mx.cpu(1)) for array in batch_of(2)), None)
        assert step.loss.ctx == mx.cpu(1)
        return list(numbers_of(again.params).values())

    found = train()
    whole(monkeypatch)
    check_same([found], [train()])


def test_a_copy_of_a_trained_model_learns_as_the_model_does():
    training = make()
    numbers_after(training, 3)
    other = training_of(copy.deepcopy(training.model), training.config)
    check_same(numbers_after(training, 3), numbers_after(other, 3))


def test_a_run_that_is_halted_goes_on_to_the_bit():
    """The run is halted within a segment, so the batch before is read again for its random numbers."""

    def begin():
        model = tiny_model(VOCAB_SIZE, kind="gluon", **SIZES)
        return training_of(model, quiet(lr=1.0, theta=0.3, num_epochs=2), segment=4)

    def run(training, halted_at=None):
        def batches():
            for i in range(9):
                if i == halted_at:
                    training.halt()
                yield batch_of(i)

        training.run(batches)
        return [*numbers_of(training.params).values(), *training.history.trained]

    whole_run, half, again = begin(), begin(), begin()
    wanted = run(whole_run)
    run(half, halted_at=5)
    assert (half.position.epoch, half.position.batch) == (1, 6)
    for name, values in numbers_of(half.params).items():
        set_values(again.params[name], values)
    again.restore(half.snapshot())
    check_same([run(again)], [wanted])
    assert used(again)
