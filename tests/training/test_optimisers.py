"""Updates, learning rates, averages, and losses summed over steps, each against arithmetic by hand."""

import contextlib
import dataclasses
import itertools
from functools import partial

import numpy
import pytest
import tiny
from known import Told, round_and_round
from tiny import RAIN, rain, tiny_model, training_of

import d2lrnn
from d2lrnn import CONFIGS, Corpus, NextToken, TrainConfig, Training
from d2lrnn._runtime import mx
from d2lrnn.evaluation.losses import token_losses
from d2lrnn.models.parameters import get_values, set_values
from d2lrnn.training.optimisers import Average, learning_rate, make_update

SHAPES = [(3, 4), (5,)]


def arrays(values):
    params = [mx.np.array(value, dtype="float32") for value in values]
    for param in params:
        param.attach_grad()
    return params


def gluon(values):
    params = [mx.gluon.Parameter(f"p{i}", shape=value.shape) for i, value in enumerate(values)]
    for param, value in zip(params, values):
        param.initialize()
        param.set_data(mx.np.array(value, dtype="float32"))
    return params


all_kinds = pytest.mark.parametrize("make_params", [arrays, gluon])


def set_gradients(params, gradients):
    for param, gradient in zip(params, gradients):
        grad = param.grad() if isinstance(param, mx.gluon.Parameter) else param.grad
        grad[:] = mx.np.array(gradient, dtype="float32")


def assert_values(params, expected, rtol=1e-5):
    for param, value in zip(params, expected):
        numpy.testing.assert_allclose(get_values(param).asnumpy(), value, rtol=rtol, atol=1e-7)


def some_steps(count, seed=2):
    """Return parameters of two shapes; and learning rate, scale and gradients of each step."""
    rng = numpy.random.default_rng(seed)
    begin = [rng.normal(0, 1, shape) for shape in SHAPES]
    steps = [(0.01 * (1 + i % 3), 0.5 + i % 2, [rng.normal(0, 1, shape) for shape in SHAPES]) for i in range(count)]
    return begin, steps


class AdamByThePaper:
    """Algorithm 1 of Kingma and Ba (2015), with the decay of algorithm 2 of Loshchilov and Hutter (2019)."""

    def __init__(self, weight_decay=0.0):
        self.weight_decay, self.t, self.m, self.v = weight_decay, 0, 0.0, 0.0

    def __call__(self, theta, alpha, g):
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * g
        self.v = 0.999 * self.v + 0.001 * g**2
        m_hat, v_hat = self.m / (1 - 0.9**self.t), self.v / (1 - 0.999**self.t)
        return theta - alpha * (m_hat / (numpy.sqrt(v_hat) + 1e-8) + self.weight_decay * theta)


class TestUpdates:
    @all_kinds
    @pytest.mark.parametrize("weight_decay", [0.0, 0.7])
    def test_sgd(self, make_params, weight_decay):
        expected, steps = some_steps(3)
        params = make_params(expected)
        update = make_update(params, "sgd", weight_decay)
        for lr, scale, gradients in steps:
            set_gradients(params, gradients)
            update(lr, scale)
            expected = [w - lr * (scale * g + weight_decay * w) for w, g in zip(expected, gradients)]
            assert_values(params, expected)
        assert update.steps == 3 and update.memory == {}

    @all_kinds
    @pytest.mark.parametrize("weight_decay", [0.0, 0.7])
    def test_adam(self, make_params, weight_decay):
        expected, steps = some_steps(20)
        params, by_hand = make_params(expected), [AdamByThePaper(weight_decay) for _ in SHAPES]
        update = make_update(params, "adam", weight_decay)
        for lr, scale, gradients in steps:
            set_gradients(params, gradients)
            update(lr, scale)
            expected = [adam(w, lr, scale * g) for adam, w, g in zip(by_hand, expected, gradients)]
            assert_values(params, expected)
        assert update.steps == 20 and list(update.memory) == ["mean", "variance"]
        for name, wanted in (("mean", "m"), ("variance", "v")):
            for found, adam in zip(update.memory[name], by_hand):
                numpy.testing.assert_allclose(found.asnumpy(), getattr(adam, wanted), rtol=1e-4, atol=1e-7)

    @pytest.mark.parametrize("weight_decay", [0.0, 0.7])
    def test_adam_is_pytorchs(self, weight_decay):
        torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
        begin, steps = some_steps(20)
        params, theirs = arrays(begin), [torch.nn.Parameter(torch.tensor(w, dtype=torch.float32)) for w in begin]
        update, optimizer = make_update(params, "adam", weight_decay), torch.optim.AdamW(theirs, 1, weight_decay=0)
        optimizer.param_groups[0]["weight_decay"] = weight_decay
        for lr, scale, gradients in steps:
            set_gradients(params, gradients)
            update(lr, scale)
            for param, gradient in zip(theirs, gradients):
                param.grad = torch.tensor(scale * gradient, dtype=torch.float32)
            optimizer.param_groups[0]["lr"] = lr
            optimizer.step()
        assert_values(params, [param.detach().numpy() for param in theirs])

    @pytest.mark.parametrize("optimizer", ["sgd", "adam"])
    def test_frozen_parameters_are_left_alone(self, optimizer):
        begin, steps = some_steps(2)
        free, frozen = gluon(begin)
        frozen.grad_req = "null"
        update, average = make_update([free, frozen], optimizer, 0.5), Average([free, frozen])
        average.start()
        for lr, scale, gradients in steps:
            set_gradients([free], gradients)
            update(lr, scale)
            average.add()
        assert (frozen.data().asnumpy() == begin[1].astype("float32")).all()
        assert (free.data().asnumpy() != begin[0].astype("float32")).all()
        assert all(len(memory) == 1 for memory in [*update.memory.values(), average.arrays])


# Each epoch's learning rate by the TensorFlow tutorial: lr_decay ** max(i + 1 - max_epoch, 0), i from 0.
SMALL = [1, 1, 1, 1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256, 1 / 512]
MEDIUM = [1, 1, 1, 1, 1, 1, 0.8, 0.64, 0.512, 0.4096, 0.32768]
LARGE = [1] * 14 + [1 / 1.15, 1 / 1.3225, 1 / 1.520875]


class TestLearningRate:
    @pytest.mark.parametrize("name, table, last", [("small", SMALL, 1 / 512), ("medium", MEDIUM, 0.8**33)])
    def test_decay_is_the_tutorials(self, name, table, last):
        self.check(name, table, last)

    def test_decay_of_the_large_one(self):
        self.check("large", LARGE, 1.15**-41)

    def check(self, name, table, last):
        config = CONFIGS[name].training
        for share in (0, 0.5):  # an epoch has one rate
            found = [learning_rate(config, epoch, share) for epoch in range(1, config.num_epochs + 1)]
            assert found[: len(table)] == pytest.approx(table, rel=1e-12)
            assert found[-1] == pytest.approx(last, rel=1e-12)

    def test_constant(self):
        config = TrainConfig(lr=7.0, lr_decay=0.5, constant_epochs=2)
        assert {learning_rate(config, epoch, share) for epoch in (1, 2, 3, 50) for share in (0, 0.9)} == {7.0}

    def test_one_cycle(self):
        config = TrainConfig(lr=2.0, lr_schedule="one-cycle", warm_up=0.25, num_epochs=4)
        table = {
            (1, 0): 0.02,
            (1, 0.5): 1.01,
            (2, 0): 2.0,
            (2, 0.5): 5 / 3,
            (3, 0): 4 / 3,
            (4, 0): 2 / 3,
            (4, 0.75): 1 / 6,
        }
        found = {place: learning_rate(config, *place) for place in table}
        assert found == pytest.approx(table, rel=1e-12)

    @pytest.mark.parametrize("warm_up", [0.0, 0.1, 0.6])
    def test_one_cycle_rises_and_falls_without_a_jump(self, warm_up):
        config = TrainConfig(lr=3.0, lr_schedule="one-cycle", warm_up=warm_up, num_epochs=5)
        found = numpy.array([learning_rate(config, epoch, i / 200) for epoch in range(1, 6) for i in range(200)])
        change = numpy.diff(found)
        top = round(warm_up * 1000)
        assert (change[:top] > 0).all() and (change[top:] < 0).all()
        assert found[top] == pytest.approx(3.0) and 0 < found[-1] < 0.01 and 0 < found[0]
        assert abs(change[:top]).max(initial=0) < 3.1 / max(top, 1) and abs(change[top:]).max() < 3.1 / (1000 - top)

    @pytest.mark.parametrize("schedule", ["constant", "decay", "one-cycle"])
    def test_a_run_takes_its_steps_by_it(self, schedule):
        config = quiet(num_epochs=3, lr=0.5, lr_schedule=schedule, lr_decay=0.5, warm_up=0.4)
        used = []

        class Watched(Training):
            def step(self, batch, state, lr=None):
                used.append(lr)
                return super().step(batch, state, lr)

        training = Watched(make(), config, NextToken(CORPUS.vocab_size))
        history = d2lrnn.train_and_predict(training.model, CORPUS, config, training)
        count = len(used) // 3
        assert used == [learning_rate(config, epoch, i / count) for epoch in (1, 2, 3) for i in range(count)]
        assert history.lr == pytest.approx(used[count - 1 :: count])


CORPUS = rain(times=4, valid=RAIN[:30])
quiet = partial(tiny.quiet, num_epochs=2, num_steps=9)
make = partial(tiny_model, CORPUS.vocab_size, init_scale=0.5)


def values(model):
    return [get_values(param).asnumpy().copy() for param in d2lrnn.named_parameters(model).values()]


@all_kinds
class TestAverage:
    def points(self, make_params):
        """Return parameters, and what they are to be at each of five steps."""
        rng = numpy.random.default_rng(4)
        points = [[rng.normal(0, 1, shape).astype("float32") for shape in SHAPES] for _ in range(5)]
        return make_params(points[0]), points

    def averaged(self, make_params):
        """Return parameters that stand at the last point, the average over all of them, and the points."""
        params, points = self.points(make_params)
        average = Average(params)
        average.start()
        for point in points[1:]:
            self.move(params, point)
            average.add()
        return params, average, points

    def move(self, params, point):
        for param, value in zip(params, point):
            set_values(param, value)

    def test_it_is_the_mean_over_the_steps_since_it_began(self, make_params):
        params, average, points = self.averaged(make_params)
        mean = [numpy.mean(point, axis=0) for point in zip(*points)]
        assert average.steps == 5
        for found, wanted in zip(average.arrays, mean):
            numpy.testing.assert_allclose(found.asnumpy(), wanted, rtol=1e-5, atol=1e-7)
        assert_values(params, points[-1], rtol=0)

    def test_it_takes_the_parameters_place_for_a_while(self, make_params):
        params, average, points = self.averaged(make_params)
        mean = [array.asnumpy() for array in average.arrays]
        for failing in (False, True):
            with contextlib.suppress(KeyError), average.in_place():
                assert_values(params, mean, rtol=0)
                if failing:
                    raise KeyError
            assert_values(params, points[-1], rtol=0)
            assert all((array.asnumpy() == wanted).all() for array, wanted in zip(average.arrays, mean))
        self.move(params, points[0])
        average.add()
        assert average.steps == 6
        expected = [numpy.mean([*each, each[0]], axis=0) for each in zip(*points)]
        for found, wanted in zip(average.arrays, expected):
            numpy.testing.assert_allclose(found.asnumpy(), wanted, rtol=1e-5, atol=1e-7)

    def test_before_it_begins_the_parameters_stay(self, make_params):
        params, points = self.points(make_params)
        average = Average(params)
        with average.in_place():
            assert_values(params, points[0], rtol=0)
            self.move(params, points[1])
        assert_values(params, points[1], rtol=0)
        assert average.steps == 0 and average.arrays == []


@pytest.mark.parametrize("kind", ["scratch", "fast", "gluon"])
def test_a_model_computes_with_its_average(kind):
    """On Gluon the parameters are views of an array that the graph reads: the mean must reach it, and leave it."""
    model, twin = make(kind=kind), make(kind=kind)
    X = mx.np.array([[1, 2, 3]], dtype="int32")

    def logits(model):
        return model(X, model.begin_state(1))[0].asnumpy()

    average, params = Average(d2lrnn.named_parameters(model).values()), d2lrnn.named_parameters(model).values()
    begin = logits(model)
    average.start()
    for param in params:
        set_values(param, 3 * get_values(param).asnumpy())
    average.add()
    moved = logits(model)
    for param in d2lrnn.named_parameters(twin).values():
        set_values(param, 2 * get_values(param).asnumpy())
    with average.in_place():
        numpy.testing.assert_allclose(logits(model), logits(twin), atol=1e-6)
    assert (logits(model) == moved).all() and abs(moved - begin).max() > 0.1


def test_a_run_goes_back_to_where_it_had_not_begun_to_average():
    training = training_of(make(kind="gluon"), quiet())
    early = training.snapshot()
    training.average.start()
    later, mean = training.snapshot(), [array.asnumpy() for array in training.average.arrays]
    training.restore(early)
    assert (training.average.steps, training.average.arrays) == (0, [])
    training.restore(later)
    with pytest.raises(d2lrnn.D2lrnnError, match="of another model or optimizer than sgd"):
        training.restore(dataclasses.replace(early, arrays={"mean.dense.bias": mean[-1]}))
    assert training.average.steps == 1
    assert all((array.asnumpy() == wanted).all() for array, wanted in zip(training.average.arrays, mean))


class TestSumOverSteps:
    """The loss of the TensorFlow tutorial: summed over the time steps, averaged over the rows of the batch."""

    @pytest.mark.parametrize("kind", ["scratch", "fast", "gluon"])
    @pytest.mark.parametrize("optimizer, lr", [("sgd", 0.3), ("adam", 0.01)])
    @pytest.mark.parametrize("bites", [True, False])
    def test_a_step_is_one_on_the_summed_loss(self, kind, optimizer, lr, bites):
        model, twin, theta = make(kind=kind), make(kind=kind), 0.5 if bites else 100.0
        step = training_of(model, quiet(lr=lr, theta=theta, optimizer=optimizer, sum_over_steps=True)).step
        params, state, twin_state = list(d2lrnn.named_parameters(twin).values()), None, twin.begin_state(3)
        adam = make_update(params, "adam")
        ids = numpy.random.default_rng(5).integers(0, CORPUS.vocab_size, (3, 30)).astype("int32")
        for begin, end in ((0, 9), (9, 13), (13, 22), (22, 26)):  # windows of 9 and of 4 steps
            X, Y = mx.np.array(ids[:, begin:end]), mx.np.array(ids[:, begin + 1 : end + 1])
            loss, norm, state, _ = step((X, Y), state)
            with mx.autograd.record():
                logits, twin_state = twin(X, tuple(s.detach() for s in twin_state))
                losses = token_losses(logits, Y).reshape(-1, 3)  # (num_steps, batch_size)
                summed = losses.sum(axis=0).mean()
            summed.backward()
            gradients = [(p.grad() if kind == "gluon" else p.grad).asnumpy().astype("float64") for p in params]
            length = sum((g**2).sum() for g in gradients) ** 0.5
            assert (length > theta) == bites and length > 0.6
            clip = theta / length if bites else 1.0
            if optimizer == "sgd":
                for param, gradient in zip(params, gradients):
                    set_values(param, (get_values(param).asnumpy() - lr * clip * gradient).astype("float32"))
            else:
                set_gradients(params, [clip * gradient for gradient in gradients])
                adam(lr)
            assert loss.item() * (end - begin) == pytest.approx(summed.item(), rel=1e-6)
            assert norm == pytest.approx(length, rel=1e-5)
        for found, expected in zip(values(model), values(twin)):
            numpy.testing.assert_allclose(found, expected, atol=1e-6 if optimizer == "sgd" else 1e-5)


TUTORIAL = {  # as ptb_word_lm.py has them; keep_prob is the share that is not dropped
    "small": {"init_scale": 0.1, "hidden_size": 200, "keep_prob": 1.0, "max_grad_norm": 5, "num_steps": 20},
    "medium": {"init_scale": 0.05, "hidden_size": 650, "keep_prob": 0.5, "max_grad_norm": 5, "num_steps": 35},
    "large": {"init_scale": 0.04, "hidden_size": 1500, "keep_prob": 0.35, "max_grad_norm": 10, "num_steps": 35},
}
EPOCHS = {"small": (4, 13, 0.5), "medium": (6, 39, 0.8), "large": (14, 55, 1 / 1.15)}


def test_poetry_is_what_keras_examples_do():
    named = CONFIGS["poetry"]
    shape = d2lrnn.ModelConfig(embed_size=128, num_hiddens=128, num_layers=2, dropout=0.5)
    assert (named.corpus, named.model, named.held_out) == ("couplets", shape, 0.05)
    training = named.training
    assert (training.optimizer, training.lr, training.lr_schedule) == ("adam", 1e-3, "constant")
    assert (training.lines_per_row, training.batch_size, training.pred_period) == (1, 64, 1) and training.patience > 0


@pytest.mark.parametrize("name", TUTORIAL)
def test_the_named_configurations_are_the_tutorials(name):
    wanted, (max_epoch, max_max_epoch, lr_decay) = TUTORIAL[name], EPOCHS[name]
    model, training = CONFIGS[name].model, CONFIGS[name].training
    assert (CONFIGS[name].corpus, model.kind, model.cell, model.num_layers) == ("ptb", "gluon", "lstm", 2)
    assert model.num_hiddens == model.embed_size == wanted["hidden_size"]
    assert model.init_scale == wanted["init_scale"] and not model.tie_weights and model.num_outputs is None
    assert model.dropout == d2lrnn.Dropout.of(1 - wanted["keep_prob"])
    assert (training.batch_size, training.lr, training.optimizer) == (20, 1.0, "sgd")
    assert (training.num_steps, training.theta) == (wanted["num_steps"], wanted["max_grad_norm"])
    assert (training.lr_schedule, training.constant_epochs) == ("decay", max_epoch)
    assert (training.num_epochs, training.lr_decay) == (max_max_epoch, lr_decay)
    assert training.sum_over_steps and training.weight_decay == training.averaging == 0
    assert training.batches == "consecutive"
    assert learning_rate(training, 1, 0) == 1
    last = lr_decay ** (max_max_epoch - max_epoch)
    assert learning_rate(training, max_max_epoch, 0) == pytest.approx(last, rel=1e-12)


@pytest.mark.parametrize("optimizer, least", [("sgd", 2.0**-124), ("adam", 2.0**-121)])
def test_a_learning_rate_too_small_for_float32_changes_nothing(optimizer, least):
    """MXNet's operators refuse it; a rate that float32 just holds with all digits still moves a parameter.

    For Adam this goes for the rate, 0.32 of it in the first step, times the mean of the gradients, 0.1.
    """
    for lr, moved in ((least, True), (1.07e-38, False), (5e-324, False), (0.0, False)):
        param = mx.np.zeros(3)
        param.attach_grad()
        param.grad[:] = 1.0
        update = make_update([param], optimizer)
        update(lr)
        assert (param.asnumpy() != 0).all() == moved, lr
        update(1.0, scale=1e-40)
        assert numpy.isfinite(param.asnumpy()).all()


def test_a_run_whose_learning_rate_has_fallen_to_nothing_goes_on():
    """Halved in each epoch it is below float32's numbers after 126 epochs, and is 0 from then on."""
    config = quiet(num_epochs=140, lr_schedule="decay", lr_decay=0.5, batch_size=2, num_steps=60)
    history = d2lrnn.train_and_predict(make(), CORPUS, config)
    assert len(history.epochs) == 140 and history.perplexity[-1] == history.perplexity[-2]
    assert history.lr[-1] < 2.0**-126


class TestAveraging:
    """NT-ASGD, with a validation that says what the test wants."""

    def train(self, found, **options):
        """Return what validation saw in each epoch, the parameters after each step, the model and its history."""
        seen, walked, model = [], [], make()

        class Watched(Training):
            def step(self, *args):
                result = super().step(*args)
                walked.append(values(model))
                return result

        told = Told(model, found, lambda: seen.append(values(model)))
        config = quiet(num_epochs=len(found), lr=0.5, theta=1.0, **options)
        training = Watched(told, config, NextToken(CORPUS.vocab_size))
        corpus = Corpus("rain", CORPUS.vocab, CORPUS.train, valid=round_and_round(CORPUS.vocab_size, 30))
        return seen, walked, model, d2lrnn.train_and_predict(told, corpus, config, training)

    ANSWERS = [9.0, 8.0, 8.5, 8.2, 8.3, 7.0]  # the second is the best for long; averaging begins but once

    def test_it_begins_where_the_authors_code_begins(self):
        """Validation v is compared before it enters the log: ``len(log) > n and v > min(log[:-n])``."""
        rng = numpy.random.default_rng(5)
        curves = [[8, 9, 9, 9, 9, 9, 7.9, 8.1], [8, 7.5, 9, 9, 9, 9, 7.4, 7.6], [3, 2, 1], [1, 2, 3]]
        curves += (numpy.linspace(9, 7, 12) + rng.normal(0, 0.5, (100, 12))).tolist()
        begun, model = [], make()
        for curve, patience in itertools.product(curves, (1, 2, 5)):
            training, log, expected = training_of(model, quiet(averaging=patience)), [], None
            for epoch, v in enumerate(curve, 1):
                if expected is None and len(log) > patience and v > min(log[:-patience]):
                    expected = epoch
                log.append(v)
                training.history.epochs.append({"valid_perplexity": v})
                training._maybe_average()
                assert (training.average.steps > 0) == (expected is not None)
            begun.append(expected)
        assert begun[2] == begun[5] == 8 and begun[6:9] == [None] * 3 and begun[9] == 3
        assert len({*begun}) > 6

    def test_it_begins_when_validation_is_worse_than_before(self):
        raw, walked, twin, _ = self.train(self.ANSWERS)
        per_epoch = len(walked) // 6
        assert per_epoch == 4
        seen, steps, model, history = self.train(self.ANSWERS, averaging=1)
        assert history.valid_perplexity == pytest.approx(self.ANSWERS, rel=1e-5)
        for epoch in (1, 2, 3, 4):  # not before the fourth is over
            assert all((a == b).all() for a, b in zip(seen[epoch - 1], raw[epoch - 1]))
        for epoch in (5, 6):  # the mean over all steps since the last of epoch 4, that one too
            taken = walked[4 * per_epoch - 1 : epoch * per_epoch]
            for found, points, last in zip(seen[epoch - 1], zip(*taken), raw[epoch - 1]):
                numpy.testing.assert_allclose(found, numpy.mean(points, axis=0), atol=1e-6)
                assert (found != last).any()
        for found, expected in zip(steps, walked):  # training goes on with the parameters themselves
            assert all((a == b).all() for a, b in zip(found, expected))
        assert all((a == b).all() for a, b in zip(values(model), values(twin)))

    @pytest.mark.parametrize(
        "averaging, answers",
        [(0, [1.5, 2.0, 3.0, 4.0]), (2, [4.0, 3.0, 2.0, 1.5]), (2, [4.0, 5.0, 3.0, 6.0]), (3, [1.5, 2.0, 3.0, 4.0])],
    )
    def test_it_does_not_begin_before(self, averaging, answers):
        seen, walked, _, _ = self.train(answers, averaging=averaging)
        for epoch, found in enumerate(seen, 1):
            assert all((a == b).all() for a, b in zip(found, walked[4 * epoch - 1]))

    def test_it_says_from_which_epoch_on(self, capsys):
        self.train(self.ANSWERS, averaging=1, verbose=True, pred_period=100)
        assert "from epoch 5 on, the parameters are averaged\n" in capsys.readouterr().out
