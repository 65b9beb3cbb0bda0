"""The loop and its parts: clipping, the update, the loss, what is carried from batch to batch, and how runs end."""

import math
from functools import partial

import numpy
import pytest
from known import Failing, Scaled, Told, Wrapped, round_and_round
from tiny import history_of, quiet, rain, tiny_model, training_of

import d2lrnn
from d2lrnn import Corpus, ModelConfig, NextToken, TrainConfig, Vocab, build_model, grad_clipping, sgd
from d2lrnn._runtime import mx
from d2lrnn.models.parameters import get_values
from d2lrnn.training.gradients import gradient_norm
from d2lrnn.training.history import report_line
from d2lrnn.training.loop import Training
from d2lrnn.training.optimisers import make_update

CORPUS = rain(times=8)
make = partial(tiny_model, CORPUS.vocab_size, seed=1, cell="gru", num_hiddens=16)


def arrays_with_gradients(*gradients):
    arrays = []
    for gradient in gradients:
        array = mx.np.ones(numpy.shape(gradient))
        array.attach_grad()
        array.grad[:] = mx.np.array(gradient)
        arrays.append(array)
    return arrays


def gluon_with_gradients(*gradients):
    params = []
    for i, gradient in enumerate(gradients):
        param = mx.gluon.Parameter(f"p{i}", shape=numpy.shape(gradient))
        param.initialize(mx.init.One())
        param.grad()[:] = mx.np.array(gradient)
        params.append(param)
    return params


def grads(params):
    return [(p.grad() if isinstance(p, mx.gluon.Parameter) else p.grad).asnumpy().tolist() for p in params]


def values(model):
    return [v.copy() for v in d2lrnn.read_parameters(model).values()]


@pytest.mark.parametrize("make_params", [arrays_with_gradients, gluon_with_gradients])
class TestGradClipping:
    def test_long_gradients_are_scaled_to_theta(self, make_params):
        params = make_params([[3.0, 0.0], [0.0, 4.0]], [12.0])  # global norm 13
        norm = grad_clipping(params, 6.5)
        assert isinstance(norm, mx.np.ndarray) and norm.item() == 13
        assert grads(params) == [[[1.5, 0.0], [0.0, 2.0]], [6.0]]

    def test_short_gradients_stay(self, make_params):
        params = make_params([[0.3]], [0.4, 0.0])
        assert grad_clipping(params, 1).item() == pytest.approx(0.5)
        assert grads(params) == [[[numpy.float32(0.3)]], [numpy.float32(0.4), 0.0]]

    def test_no_gradient_at_all_and_no_limit(self, make_params):
        params = make_params([0.0, 0.0])
        assert grad_clipping(params, 1e-2).item() == 0 and grads(params) == [[0.0, 0.0]]
        params = make_params([3.0, 4.0])
        assert grad_clipping(params, math.inf).item() == 5 and grads(params) == [[3.0, 4.0]]

    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    def test_a_norm_that_is_no_number_leaves_the_parameters_alone(self, make_params, bad):
        params = make_params([[1.0, bad]], [2.0, 3.0])
        assert not math.isfinite(grad_clipping(params, 1e-2).item())
        sgd(params, 100, 1)
        for param in params:
            data = param.data() if isinstance(param, mx.gluon.Parameter) else param
            assert (data.asnumpy() == 1).all()

    def test_the_host_does_not_wait(self, make_params, monkeypatch):
        params = make_params([3.0, 4.0])

        def wait(*arguments):
            raise AssertionError("the host waits")

        with monkeypatch.context() as patch:
            for kind, names in ((mx.nd.NDArray, "asnumpy asscalar wait_to_read"), (mx.np.ndarray, "asnumpy item")):
                for name in names.split():
                    patch.setattr(kind, name, wait)
            patch.setattr(mx.nd, "waitall", wait)
            norm = grad_clipping(params, 1)
        assert norm.item() == 5

    def test_errors(self, make_params):
        for theta in (0, -1, math.nan):
            with pytest.raises(ValueError, match="theta is"):
                grad_clipping(make_params([1.0]), theta)
        with pytest.raises(ValueError, match="no gradients"):
            grad_clipping([], 1)
        with pytest.raises(ValueError, match=r"shape \(3,\) has no gradient: call its attach_grad"):
            grad_clipping([mx.np.ones(3)], 1)


@pytest.mark.parametrize("kind", ["scratch", "gluon"])
def test_a_model_stands_for_its_parameters(kind):
    model = d2lrnn.build_model(d2lrnn.ModelConfig(kind, num_hiddens=4), 5)
    X = mx.np.array([[1, 2]], dtype="int32")
    with mx.autograd.record():
        loss = d2lrnn.cross_entropy(model(X, model.begin_state(1))[0], X)
    loss.backward()
    params = list(d2lrnn.named_parameters(model).values())
    before, norm = grads(params), grad_clipping(model, 1e-3).item()
    assert norm > 1e-3 and grad_clipping(params, 1).item() == pytest.approx(1e-3)
    values = [get_values(param).asnumpy() for param in params]
    sgd(model, 2.0, 1)
    for param, value, grad in zip(params, values, before):
        expected = value - 2.0 * numpy.array(grad, "float32") * (1e-3 / norm)
        numpy.testing.assert_allclose(get_values(param).asnumpy(), expected, atol=1e-6)


def test_the_report_tells_a_learning_rate_that_changes():
    history = history_of([9.0], [0.5], [1000.0], [2.0], lr=[1.0], valid_perplexity=[8.0])
    assert (
        report_line(1, history)
        == "epoch 1, perplexity 9.00, in validation 8.00, gradient norm 0.500, 1,000 tokens/s, 2.0 s"
    )
    history.epochs.append({**history.epochs[0], "lr": 0.123456})
    assert ", in validation 8.00, lr 0.123, gradient norm" in report_line(2, history)


def test_sgd():
    for params in (arrays_with_gradients([2.0, -4.0]), gluon_with_gradients([2.0, -4.0])):
        sgd(params, 0.5, 4)
        data = params[0] if isinstance(params[0], mx.np.ndarray) else params[0].data()
        assert data.asnumpy().tolist() == [0.75, 1.5]


def test_a_dictionary_of_parameters_will_do():
    (param,) = gluon_with_gradients([3.0, 4.0])
    assert grad_clipping({"w": param}, 1).item() == 5
    sgd({"w": param}, 1, 1)
    numpy.testing.assert_allclose(param.data().asnumpy(), [0.4, 0.2], rtol=1e-6)


def test_frozen_parameters_are_passed_over():
    free, frozen = gluon_with_gradients([3.0], [4.0])
    frozen.grad_req = "null"
    assert grad_clipping([free, frozen], 10).item() == 3
    sgd([free, frozen], 1, 1)
    assert [p.data().item() for p in (free, frozen)] == [-2, 1]


def test_parameters_stay_frozen_or_free_during_a_training():
    model = make(kind="gluon", embed_size=4)
    X, Y = mx.np.zeros((2, 3), dtype="int32"), mx.np.ones((2, 3), dtype="int32")
    config, weight = quiet(num_epochs=9), model.embedding.weight

    def run(training):
        try:
            training.run(lambda: [(X, Y)], lambda epoch, history: training.halt())
        except d2lrnn.D2lrnnError as error:
            return str(error)
        return ""

    free = training_of(model, config)
    assert run(free) == ""
    weight.grad_req = "null"
    changed = "the parameter embedding.weight was {} (grad_req) after the training was made: make a new Training of "
    assert run(free) == changed.format("frozen") + "the model"
    frozen, before = training_of(model, config), weight.data().asnumpy()
    assert run(frozen) == "" and (weight.data().asnumpy() == before).all()
    weight.grad_req = "write"
    assert run(frozen) == changed.format("unfrozen") + "the model"
    assert run(training_of(model, config)) == "" and (weight.data().asnumpy() != before).any()
    assert run(free) == ""


def test_gradient_norm():
    for make_params in (arrays_with_gradients, gluon_with_gradients):
        norm = gradient_norm(make_params([[3.0, 0.0], [0.0, 4.0]], [12.0]))
        assert isinstance(norm, mx.np.ndarray) and norm.shape == (1,) and norm.item() == 13
    with pytest.raises(ValueError, match="no gradients"):
        gradient_norm([])


@pytest.mark.parametrize("optimizer, lr, theta", [("sgd", 10.0, 0.01), ("sgd", 1.0, 1e9), ("adam", 0.01, 0.01)])
@pytest.mark.parametrize("kind", ["scratch", "fast", "gluon"])
def test_a_step_is_gradient_clipping_update(kind, optimizer, lr, theta):
    """The loop clips by the update's scale; that is what clipping the gradients and then updating comes to."""
    model, twin = make(kind=kind), make(kind=kind)
    step = training_of(model, quiet(optimizer=optimizer, lr=lr, theta=theta)).step
    params = list(d2lrnn.named_parameters(twin).values())
    update = make_update(params, optimizer)
    ids = mx.np.array(CORPUS.train[:33], dtype="int32")
    X, Y, state, twin_state = ids[:32].reshape(4, 8), ids[1:].reshape(4, 8), None, twin.begin_state(4)
    for _ in range(3):
        loss, norm, state, _ = step((X, Y), state)
        with mx.autograd.record():
            logits, twin_state = twin(X, tuple(s.detach() for s in twin_state))
            expected = d2lrnn.cross_entropy(logits, Y)
        expected.backward()
        assert norm == pytest.approx(grad_clipping(params, theta).item(), rel=1e-5)
        update(lr)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for found, wanted in zip(values(model), values(twin)):
        numpy.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_perplexity():
    assert d2lrnn.perplexity(10 * math.log(7), 10) == pytest.approx(7)
    assert d2lrnn.perplexity(1e6, 1) == math.inf
    with pytest.raises(ValueError, match="num_tokens is 0"):
        d2lrnn.perplexity(1.0, 0)


@pytest.mark.parametrize("kind", ["scratch", "gluon"])
class TestWhatIsCarried:
    """With a learning rate too small to move anything, an epoch only measures."""

    def measured(self, model, **options):
        return d2lrnn.train_and_predict(model, CORPUS, quiet(num_epochs=1, lr=1e-30, **options)).perplexity[0]

    def expected(self, model, X, Y):
        logits, _ = model(mx.np.array(X, dtype="int32"), model.begin_state(len(X)))
        return math.exp(d2lrnn.cross_entropy(logits, mx.np.array(Y, dtype="int32")).item())

    def test_consecutive_batches_continue_the_state(self, kind):
        model = make(kind=kind)
        for array in values(model):
            assert numpy.isfinite(array).all()
        boost(model)
        row = len(CORPUS.train) // 4
        rows = CORPUS.train[: 4 * row].reshape(4, row)
        used = (row - 1) // 5 * 5
        whole = self.expected(model, rows[:, :used], rows[:, 1 : used + 1])
        assert self.measured(model) == pytest.approx(whole, rel=1e-5)

    def test_random_windows_begin_afresh(self, kind):
        model = make(kind=kind)
        boost(model)
        count = (len(CORPUS.train) - 1) // 5
        assert count % 7 == 0  # so that no window is left out
        windows = CORPUS.train[: count * 5].reshape(count, 5)
        targets = CORPUS.train[1 : count * 5 + 1].reshape(count, 5)
        whole = self.expected(model, windows, targets)
        assert self.measured(model, batches="random", batch_size=7) == pytest.approx(whole, rel=1e-5)


def boost(model):
    """Make the weights large enough that the state matters."""
    for name, param in d2lrnn.named_parameters(model).items():
        data = param if isinstance(param, mx.np.ndarray) else param.data()
        data[:] = mx.np.array(numpy.random.default_rng(len(name)).normal(0, 1, data.shape))


@pytest.mark.parametrize("kind", ["scratch", "gluon"])
@pytest.mark.parametrize("optimizer, lr, theta", [("sgd", 2.0, 0.1), ("adam", 0.02, 1.0)])
def test_it_learns_the_text(kind, optimizer, lr, theta):
    model = make(kind=kind)
    config = quiet(
        num_epochs=60, batch_size=11, num_steps=8, optimizer=optimizer, lr=lr, theta=theta,
        prefixes=("the rain",), pred_len=15, pred_period=25,
    )  # fmt: skip
    history = d2lrnn.train_and_predict(model, CORPUS, config)
    assert history.perplexity[0] > 5 > 1.5 > history.perplexity[-1]
    assert [epoch for epoch, _, _ in history.samples] == [25, 50, 60]
    assert history.samples[-1][1:] == ("the rain", d2lrnn.predict("the rain", 15, model, CORPUS.vocab))
    assert len(history.grad_norm) == len(history.seconds) == len(history.tokens_per_second) == 60
    assert history.stopped == ""


@pytest.mark.parametrize("kind", ["scratch", "gluon"])
@pytest.mark.parametrize("random_iter", [False, True])
def test_same_seed_same_numbers(kind, random_iter):
    runs = []
    for seed in (3, 3, 4):
        model = make(kind=kind, seed=seed)
        history = d2lrnn.train_and_predict(
            model, CORPUS, quiet(seed=seed, batches="random" if random_iter else "consecutive", lr=1.0)
        )
        runs.append((history.perplexity, history.grad_norm, [v.tobytes() for v in values(model)]))
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[2][0]


def test_dropout_draws_from_the_seed():
    runs = []
    for seed in (3, 3, 4):
        model = build_model(ModelConfig("gluon", "gru", 16, dropout=0.5), CORPUS.vocab_size)
        boost(model)
        runs.append(d2lrnn.train_and_predict(model, CORPUS, quiet(seed=seed)).perplexity)
    assert runs[0] == runs[1] != runs[2]


def test_a_gradient_that_is_no_number_stops_training_and_keeps_the_last_good_state():
    batches = (len(CORPUS.train) // 4 - 1) // 5
    good, bad = make(kind="scratch"), make(kind="scratch")
    d2lrnn.train_and_predict(good, CORPUS, quiet(num_epochs=2))
    failing = Failing(bad, good_calls=2 * batches)
    with pytest.raises(
        d2lrnn.TrainingDivergedError, match=r"nan in epoch 3, batch 1: .*keeps the last.*smaller lr"
    ) as caught:
        d2lrnn.train_and_predict(failing, CORPUS, quiet(num_epochs=5))
    assert len(caught.value.history.perplexity) == 2 and "epoch 3" in caught.value.history.stopped
    assert all((a == b).all() for a, b in zip(values(good), values(bad)))


def test_adam_does_not_go_on_by_its_momentum():
    batches = (len(CORPUS.train) // 4 - 1) // 5
    good, bad = make(kind="scratch"), make(kind="scratch")
    options = {"optimizer": "adam", "lr": 0.01, "theta": 1.0}
    d2lrnn.train_and_predict(good, CORPUS, quiet(num_epochs=1, **options))
    with pytest.raises(d2lrnn.TrainingDivergedError, match="nan in epoch 2, batch 1"):
        d2lrnn.train_and_predict(Failing(bad, good_calls=batches), CORPUS, quiet(**options))
    assert all((a == b).all() for a, b in zip(values(good), values(bad)))


def test_a_forward_function_of_the_users_own_trains():
    """It multiplies by np.dot, a model of known equations by oneDNN, so the last digits differ."""

    def my_rnn(inputs, state, params):
        return d2lrnn.rnn(inputs, state, params)

    runs = []
    for forward in (d2lrnn.rnn, my_rnn):
        d2lrnn.set_seed(1)
        args = (CORPUS.vocab_size, 8, None, d2lrnn.get_rnn_params, d2lrnn.init_rnn_state, forward)
        model = d2lrnn.RNNModelScratch(*args)
        runs.append(d2lrnn.train_and_predict(model, CORPUS, quiet(num_epochs=1)).perplexity)
    assert runs[0] == pytest.approx(runs[1], rel=1e-7)


def test_a_perplexity_beyond_all_numbers_stops_training():
    """The gradient is finite still: the softmax is certain, and wrong."""
    model = make(kind="scratch", cell="rnn")
    with pytest.raises(d2lrnn.TrainingDivergedError, match="perplexity became inf in epoch") as caught:
        d2lrnn.train_and_predict(model, CORPUS, quiet(lr=1e30, theta=1.0))
    assert all(math.isfinite(p) for p in caught.value.history.perplexity)
    assert all(numpy.isfinite(v).all() for v in values(model))


def test_a_perplexity_that_rises_where_guessing_is_better_stops_training():
    """Logits ever larger, and wrong: beyond the vocabulary's size from the first epoch on."""
    model, config = make(kind="scratch"), quiet(num_epochs=4, lr=1e-9)
    boost(model)
    batches = (len(CORPUS.train) // 4 - 1) // 5
    first = d2lrnn.train_and_predict(Scaled(model, lambda call: 5 * batches / call), CORPUS, config).perplexity
    assert first[0] > CORPUS.vocab_size and first == sorted(first, reverse=True)  # it comes down: no reason to stop
    with pytest.raises(d2lrnn.TrainingDivergedError, match=r"rose from \S+ to \S+ in epoch 2, .* is one of") as caught:
        d2lrnn.train_and_predict(Scaled(model, lambda call: 5 + call / batches), CORPUS, config)
    assert len(caught.value.history.perplexity) == 1
    assert caught.value.history.perplexity[0] > CORPUS.vocab_size
    for gently in ({"lr_schedule": "decay", "lr_decay": 0.5}, {"lr_schedule": "one-cycle", "warm_up": 0}):
        with pytest.raises(d2lrnn.TrainingDivergedError, match=r"in epoch 2"):
            scheduled = quiet(num_epochs=4, lr=1e-9, **gently)
            d2lrnn.train_and_predict(Scaled(model, lambda call: 5 + call / batches), CORPUS, scheduled)
    lowered = quiet(num_epochs=3, lr=1e-9, lr_schedule="decay", constant_epochs=1, lr_decay=0.4)
    risen = d2lrnn.train_and_predict(Scaled(model, lambda call: 5 + call / batches), CORPUS, lowered).perplexity
    assert CORPUS.vocab_size < risen[0] < risen[1] < risen[2]  # a learning rate that was cut gets its chance


@pytest.mark.parametrize("wrong", [1, 5])
def test_a_perplexity_that_rises_from_below_guessing_to_beyond_it_stops_training(wrong):
    """Logits of 0, and wrong ones later: in all of the second epoch, or in its second half."""
    model, batches = make(kind="scratch"), (len(CORPUS.train) // 4 - 1) // 5
    boost(model)
    scaled = Scaled(model, lambda call: 0.0 if call <= batches + (wrong > 1) * batches // 2 else float(wrong))
    with pytest.raises(
        d2lrnn.TrainingDivergedError, match=r"rose from 13.00 to \S+ in epoch 2, .* one of 13"
    ) as caught:
        d2lrnn.train_and_predict(scaled, CORPUS, quiet(num_epochs=4, lr=1e-9))
    assert caught.value.history.perplexity == [pytest.approx(13, rel=1e-4)]


def test_a_run_that_goes_far_beyond_guessing_stops_before_it_is_kept():
    """In the middle of the second epoch, at the first place where it could be halted."""
    model, batches = make(kind="scratch"), (len(CORPUS.train) // 4 - 1) // 5
    boost(model)
    worse = Scaled(model, lambda call: 0.0 if call <= batches + 4 else 50.0)
    training, kept = training_of(worse, quiet(lr=1e-9), segment=2), []

    def keep():
        kept.append((training.position.epoch, training.position.batch))

    with pytest.raises(d2lrnn.TrainingDivergedError, match=r"rose from 13.00 to \S+ in epoch 2"):
        d2lrnn.train_and_predict(training.model, CORPUS, training.config, training, keep)
    assert kept[-1] == (2, 4) and training.position.batch == 6


def test_each_epoch_begins_with_the_zero_state():
    """Nothing is learnt, so with the same state an epoch is as good as the next."""
    model = make(kind="scratch", cell="rnn")
    boost(model)
    found = d2lrnn.train_and_predict(model, CORPUS, quiet(lr=1e-30)).perplexity
    assert found[0] == found[1] == found[2]


def test_dropout_is_another_one_in_each_epoch_and_segment():
    """Nothing is learnt, and all batches are one: what differs is what was dropped."""
    losses = []

    class Noting(Training):
        def step(self, *args):
            result = super().step(*args)
            losses.append(result.loss.item())
            return result

    X = mx.np.array(numpy.arange(20).reshape(4, 5) % CORPUS.vocab_size, dtype="int32")
    d2lrnn.set_seed(1)
    model = build_model(ModelConfig(embed_size=8, num_hiddens=16, dropout=0.5, init_scale=0.5), CORPUS.vocab_size)
    config = quiet(lr=1e-30, batches="random")
    Noting(model, config, NextToken(model.vocab_size), segment=1).run(lambda: [(X, X)] * 3)
    assert len(losses) == len(set(losses)) == 9


class Interrupted(Wrapped):
    """A model that Ctrl-C meets in the validation of the second epoch, once."""

    def __init__(self, model):
        super().__init__(model)
        self.validated, self.learns = 0, False

    def __call__(self, X, state):
        has_learnt, self.learns = self.learns, mx.autograd.is_recording()
        if has_learnt and not self.learns:
            self.validated += 1
            if self.validated == 2:
                raise KeyboardInterrupt
        return super().__call__(X, state)


def test_ctrl_c_in_validation_leaves_nothing_to_do_twice():
    """The same training goes on with the epoch's validation, not with its steps once more."""
    corpus = Corpus("rain", CORPUS.vocab, CORPUS.train, CORPUS.train[:100])
    whole = d2lrnn.train_and_predict(make(), corpus, quiet())
    training = training_of(Interrupted(make()), quiet())
    history = d2lrnn.train_and_predict(training.model, corpus, training.config, training)
    assert (len(history.perplexity), len(history.valid_perplexity)) == (2, 1)
    history = d2lrnn.train_and_predict(training.model, corpus, training.config, training)
    assert history.perplexity == whole.perplexity and history.valid_perplexity == whole.valid_perplexity


def test_ctrl_c_returns_what_was_learnt():
    model, twin = make(), make()

    def interrupt(epoch, history):
        if epoch == 2:
            raise KeyboardInterrupt

    def batches():
        return d2lrnn.data_iter_consecutive(CORPUS.train, 4, 5)

    history = d2lrnn.train(model, batches, quiet(num_epochs=9), interrupt)
    assert len(history.perplexity) == 2 and history.stopped == "interrupted after 2 of 9 epochs"
    d2lrnn.train(twin, batches, quiet(num_epochs=2))
    assert all((a == b).all() for a, b in zip(values(model), values(twin)))
    assert not mx.autograd.is_recording()


def test_what_is_wrong_is_said_before_training():
    model = make()
    for prefix, message in (("", "prefix is empty"), ("rain?", r"unknown character '\?'")):
        with pytest.raises(ValueError, match=message):
            d2lrnn.train_and_predict(model, CORPUS, quiet(prefixes=("the", prefix)))
    with pytest.raises(ValueError, match="vocabulary has 2 entries, the model was made for 13"):
        d2lrnn.train_and_predict(model, Corpus("ab", Vocab("ab"), [0, 1] * 50), quiet())
    with pytest.raises(d2lrnn.CorpusTooShortError, match="has 352 ids.* 100 x num_steps 5 needs 600"):
        d2lrnn.train_and_predict(model, CORPUS, quiet(batch_size=100))
    both = build_model(ModelConfig("scratch", "rnn", 4, bidirectional=True), CORPUS.vocab_size)
    with pytest.raises(d2lrnn.LooksAheadError, match="asked to predict"):
        d2lrnn.train_and_predict(both, CORPUS, quiet())
    with pytest.raises(ValueError, match="gave no batch"):
        d2lrnn.train(model, lambda: [], quiet())


def test_a_bidirectional_model_may_be_trained_on_given_targets():
    """Which letters come before a space: a target that the inputs do not hold."""
    ids = CORPUS.train[CORPUS.train != CORPUS.vocab.token_to_idx[" "]]
    space_follows = (CORPUS.train == CORPUS.vocab.token_to_idx[" "])[1:]
    targets = space_follows[CORPUS.train[:-1] != CORPUS.vocab.token_to_idx[" "]].astype("int32")
    ids = ids[: len(targets)]
    rows = len(ids) // 20
    X, Y = (mx.np.array(a[: rows * 20].reshape(rows, 20), dtype="int32") for a in (ids, targets))
    d2lrnn.set_seed(1)
    model = build_model(ModelConfig("gluon", "gru", 16, bidirectional=True, num_outputs=2), CORPUS.vocab_size)
    config = quiet(num_epochs=40, optimizer="adam", lr=0.02, theta=1.0, batches="random")
    history = d2lrnn.train(model, lambda: [(X, Y)], config)
    assert history.perplexity[0] > 1.5 and history.perplexity[-1] < 1.05


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_epochs": 0}, "num_epochs is 0"),
        ({"num_epochs": 1.5}, "num_epochs is 1.5: expected a whole number"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"lr": 0}, "lr is 0"),
        ({"lr": 1e39}, "lr is 1e[+]39: expected a number, above 0 and at most 1e[+]38"),
        ({"theta": math.nan}, "theta is nan"),
        ({"pred_len": -1}, "pred_len is -1: expected a whole number, at least 0"),
        ({"optimizer": "sdg"}, "unknown optimizer 'sdg': expected one of sgd, adam"),
        ({"prefixes": "分开"}, r"expected several texts, such as \('分开',\)"),
    ],
)
def test_impossible_settings(options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**options)


def test_reports_are_lines_when_nobody_watches(capsys):
    """In a pipe or a log file there is no progress bar, only the report of every pred_period epochs."""
    d2lrnn.train_and_predict(make(), CORPUS, quiet(num_epochs=5, pred_period=2, prefixes=("the",), verbose=True))
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split(",")[0] for line in lines[::2]] == ["epoch 2", "epoch 4", "epoch 5"]
    assert all(line.startswith(" - the") for line in lines[1::2])
    assert err == "" and "\r" not in out


def test_the_history_tells_the_learning_rate_of_each_epochs_last_batch():
    config = quiet(num_epochs=4, lr=1.0, lr_schedule="decay", constant_epochs=2, lr_decay=0.5)
    assert d2lrnn.train_and_predict(make(), CORPUS, config).lr == [1, 1, 0.5, 0.25]
    cycle = quiet(num_epochs=3, lr=1.0, lr_schedule="one-cycle", warm_up=0)
    batches = list(d2lrnn.data_iter_consecutive(CORPUS.train, 4, 5))
    last = 1 - 1 / len(batches)
    found = d2lrnn.train_and_predict(make(), CORPUS, cycle).lr
    assert found == pytest.approx([1 - (epoch + last) / 3 for epoch in range(3)])
    by_epochs = d2lrnn.train(make(), lambda: batches, cycle).lr  # a list does not tell how far the epoch is
    assert by_epochs == pytest.approx([1, 2 / 3, 1 / 3])


def test_averaging_without_validation_is_refused():
    with pytest.raises(ValueError, match="averaging goes by the perplexity in validation, but rain has no such split"):
        d2lrnn.train_and_predict(make(), CORPUS, quiet(averaging=2))
    with pytest.raises(ValueError, match="averaging and patience go by the perplexity"):
        d2lrnn.train_and_predict(make(), CORPUS, quiet(averaging=2, patience=1))


def test_validation_that_is_no_number_ends_the_run():
    corpus = Corpus("rain", CORPUS.vocab, CORPUS.train, valid=round_and_round(CORPUS.vocab_size, 50))
    with pytest.raises(d2lrnn.TrainingDivergedError, match="the perplexity in validation became NaN in epoch 1"):
        d2lrnn.train_and_predict(Told(make(), [math.nan]), corpus, quiet())
