"""What is dropped, where and for how long; weights that are tied; parameters that begin within a scale."""

import numpy
import pytest
from known import Wrapped
from tiny import tiny_model, training_of

import d2lrnn
from d2lrnn import Dropout, ModelConfig, RecurrentStack, RNNModel, TrainConfig, build_model
from d2lrnn._runtime import mx
from d2lrnn.generation import greedy as decoding
from d2lrnn.generation.writers import greedy_writer
from d2lrnn.models.parameters import get_values, set_values
from d2lrnn.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from d2lrnn.training.gradients import gradient_norm

VOCAB_SIZE, SIZE, ROWS, STEPS, RATE = 11, 8, 5, 7, 0.3
X = mx.np.array(numpy.random.default_rng(1).integers(0, VOCAB_SIZE, (ROWS, STEPS)), dtype="int32")
MANY = mx.np.arange(2000, dtype="int32").reshape(50, 40)  # each word once


def see_through(dropout, num_layers=2, vocab_size=VOCAB_SIZE):
    """Return an RNN that passes each number through: embedded as 1, one tanh a layer, nothing from step to step."""
    stack = RecurrentStack("rnn", SIZE, num_layers, dropout=dropout)
    model = RNNModel(stack, vocab_size, SIZE, dropout)
    model.initialize(mx.init.Zero())
    model.embedding.weight.set_data(mx.np.ones((vocab_size, SIZE)))
    for layer in model.layers:
        layer.l0_i2h_weight.set_data(mx.np.eye(SIZE))
    return model


def outputs(model, X=X):
    """Return the outputs of a call in training, (num_steps, batch_size, num_hiddens)."""
    with mx.autograd.train_mode():
        found = model.with_outputs(X, model.begin_state(X.shape[0]))[1]
    return found.asnumpy().reshape(X.shape[1], X.shape[0], -1)


def mask(model, X=X):
    return outputs(model, X) != 0


def kept(x):
    return x / (1 - RATE)


tanh = numpy.tanh
# What a 1 that is kept becomes: the place where it is scaled up tells where it was dropped.
PLACES = {
    "inputs": lambda x: tanh(tanh(kept(x))),
    "hidden": lambda x: tanh(kept(tanh(x))),
    "outputs": lambda x: kept(tanh(tanh(x))),
    "words": lambda x: tanh(tanh(kept(x))),
}
places = pytest.mark.parametrize("place", PLACES)
masks_of_numbers = pytest.mark.parametrize("place", ["inputs", "hidden", "outputs"])
compiled = pytest.mark.parametrize("compiled", [True, False])


@places
@compiled
@pytest.mark.parametrize("locked", [False, True])
def test_what_is_kept_is_scaled_up_where_it_was_dropped(place, compiled, locked):
    model = see_through(Dropout(**{place: RATE}, locked=locked), vocab_size=2000)
    model.hybridize(compiled)
    found = outputs(model, MANY)
    assert 0 < (found == 0).mean() < 1
    numpy.testing.assert_allclose(found[found != 0], PLACES[place](1.0), rtol=1e-6)


@places
@pytest.mark.parametrize("locked", [False, True])
def test_gradients_pass_where_numbers_passed_and_nowhere_else(place, locked):
    model = see_through(Dropout(**{place: RATE}, locked=locked))
    with mx.autograd.record():
        found = model.with_outputs(X, model.begin_state(ROWS))[1]
        total = found.sum()
    total.backward()
    slope = (PLACES[place](1 + 1e-6) - PLACES[place](1 - 1e-6)) / 2e-6
    passed, expected = found.asnumpy().reshape(STEPS, ROWS, SIZE) != 0, numpy.zeros((VOCAB_SIZE, SIZE))
    numpy.add.at(expected, X.asnumpy().T, passed * slope)
    numpy.testing.assert_allclose(model.embedding.weight.grad().asnumpy(), expected, rtol=1e-4)


class TestMasks:
    @compiled
    @masks_of_numbers
    def test_locked_ones_are_alike_at_all_time_steps(self, place, compiled):
        model = see_through(Dropout(**{place: 0.5}, locked=True))
        model.hybridize(compiled)
        first, second = mask(model), mask(model)
        assert (first == first[0]).all() and (second == second[0]).all()
        assert (first[0] != second[0]).any()
        assert len({row.tobytes() for row in first[0]}) > 1
        assert len({column.tobytes() for column in first[0].T}) > 1

    @masks_of_numbers
    def test_locked_ones_fit_batches_of_other_lengths(self, place):
        """A compiled graph is one for each shape; a mask of another call's would be no new one."""
        model = see_through(Dropout(**{place: 0.5}, locked=True))
        model.hybridize(static_alloc=True, static_shape=True)
        ids, seen = numpy.random.default_rng(2).integers(0, VOCAB_SIZE, (ROWS + 2, 20)), set()
        for rows, steps in ((ROWS, 7), (ROWS, 4), (ROWS, 9), (ROWS, 7), (ROWS + 2, 7), (ROWS, 4)):
            found = mask(model, mx.np.array(ids[:rows, :steps], dtype="int32"))
            assert found.shape == (steps, rows, SIZE) and (found == found[0]).all()
            assert 0.05 < found[0].mean() < 0.95  # of 40 numbers: else once in 10^8
            seen.add(found[0].tobytes())
        assert len(seen) == 6

    @compiled
    @masks_of_numbers
    def test_others_differ_from_step_to_step(self, place, compiled):
        model = see_through(Dropout(**{place: 0.5}))
        model.hybridize(compiled)
        first, second = mask(model), mask(model)
        assert len({step.tobytes() for step in first}) == STEPS and (first != second).any()
        for axis in (1, 2):
            assert (first != first.take([0], axis)).any()

    @places
    def test_as_many_are_dropped_as_was_asked_for(self, place):
        model = see_through(Dropout(**{place: RATE}), vocab_size=2000)
        numbers = 2000 if place == "words" else 2000 * SIZE
        assert abs((~mask(model, MANY)).mean() - RATE) < 6 * (RATE * (1 - RATE) / numbers) ** 0.5

    @masks_of_numbers
    def test_locked_ones_drop_as_many(self, place):
        model = see_through(Dropout(**{place: RATE}, locked=True))
        share = (~mask(model, mx.np.zeros((2000, 2), dtype="int32"))).mean()
        assert abs(share - RATE) < 6 * (RATE * (1 - RATE) / 2000 / SIZE) ** 0.5

    @pytest.mark.parametrize("locked", [False, True])
    def test_the_mean_stays(self, locked):
        model, plain = (see_through(Dropout(outputs=r, locked=locked), vocab_size=2000) for r in (RATE, 0))
        table = mx.np.random.uniform(0.5, 1.5, (2000, SIZE))
        for each in (model, plain):
            each.embedding.weight.set_data(table)
        ids = MANY.reshape(1000, 2)
        assert outputs(model, ids).mean() == pytest.approx(outputs(plain, ids).mean(), rel=0.05)

    def test_there_is_one_between_each_two_layers_and_they_differ(self):
        alone, stacked = see_through(Dropout(hidden=0.9), num_layers=1), see_through(Dropout(hidden=RATE), num_layers=3)
        numpy.testing.assert_allclose(outputs(alone), tanh(1), rtol=1e-6)
        found = outputs(stacked, mx.np.zeros((50, 40), dtype="int32"))
        numpy.testing.assert_allclose(found[found != 0], tanh(kept(tanh(kept(tanh(1))))), rtol=1e-6)
        assert (found != 0).mean() == pytest.approx((1 - RATE) ** 2, abs=0.03)

    @compiled
    def test_a_stack_by_itself_drops_between_its_layers(self, compiled):
        stack = see_through(Dropout(hidden=RATE, inputs=0.5, outputs=0.5, locked=True)).rnn
        stack.hybridize(compiled)
        ones = mx.np.ones((STEPS, 40, SIZE))
        with mx.autograd.train_mode():
            found = stack(ones, stack.begin_state(40))[0].asnumpy()
        assert (found == found[0]).all() and (found == 0).any()
        numpy.testing.assert_allclose(found[found != 0], PLACES["hidden"](1), rtol=1e-6)
        numpy.testing.assert_allclose(stack(ones, stack.begin_state(40))[0].asnumpy(), tanh(tanh(1)), rtol=1e-6)

    def test_a_single_rate_is_for_inputs_layers_and_outputs_anew_at_each_step(self):
        assert Dropout.of(RATE) == Dropout(hidden=RATE, inputs=RATE, outputs=RATE)
        assert Dropout.of(0) == Dropout() and Dropout.of(Dropout(words=0.1)) == Dropout(words=0.1)
        found = outputs(see_through(RATE), mx.np.zeros((50, 40), dtype="int32"))
        numpy.testing.assert_allclose(found[found != 0], kept(tanh(kept(tanh(kept(1))))), rtol=1e-6)
        assert (found != 0).mean() == pytest.approx((1 - RATE) ** 3, abs=0.03)
        assert (found[0] != found[1]).any()


class TestWordDropout:
    def test_all_occurrences_of_a_word_go_together_with_all_their_numbers(self):
        model, calls = see_through(Dropout(words=0.5)), []
        for _ in range(6):
            found = mask(model)
            words = {}
            for word, passed in zip(X.asnumpy().T.reshape(-1), found.reshape(-1, SIZE)):
                words.setdefault(int(word), set()).update(passed.tolist())
            assert all(len(passed) == 1 for passed in words.values())
            calls.append(tuple(words[word].pop() for word in sorted(words)))
        assert len(set(calls)) > 1 and any(len(set(call)) == 2 for call in calls)

    def test_it_comes_on_top_of_the_dropout_of_inputs(self):
        model = see_through(Dropout(words=RATE, inputs=RATE), vocab_size=2000)
        found = outputs(model, MANY)
        numpy.testing.assert_allclose(found[found != 0], tanh(tanh(kept(kept(1)))), rtol=1e-6)
        words = (found != 0).any(axis=2)  # with 8 numbers, those of a kept word are hardly ever all dropped
        assert words.mean() == pytest.approx(1 - RATE, abs=0.06)
        assert (found[words] != 0).mean() == pytest.approx(1 - RATE, abs=0.03)


def make(cell="lstm", seed=3, **options):
    config = {"num_layers": 2, "embed_size": SIZE, "init_scale": 0.5, **options}
    return tiny_model(VOCAB_SIZE, seed, cell=cell, **config)


def numbers(model, gradients=False):
    params = d2lrnn.named_parameters(model).items()
    return {name: (p.grad() if gradients else p.data()).asnumpy().copy() for name, p in params}


def backward(model):
    """Return the logits of a call in training, and the gradients of its loss."""
    with mx.autograd.record():
        logits, _ = model(X, model.begin_state(ROWS))
        loss = d2lrnn.cross_entropy(logits, X)
    loss.backward()
    return logits.asnumpy(), numbers(model, gradients=True)


class TestWeightDropout:
    @pytest.mark.parametrize(
        "options",
        [
            {"cell": "rnn"},
            {"cell": "gru"},
            {"cell": "lstm"},
            {"num_layers": 1},
            {"bidirectional": True},
            {"cell": "lstm_peephole_projected", "num_projections": 5, "bidirectional": True},
        ],
        ids=str,
    )
    @compiled
    def test_it_is_a_model_whose_hidden_to_hidden_weights_are_zero_here_and_there(self, options, compiled):
        """One mask for all time steps, in each layer and direction: a twin with the masked weights agrees."""
        model, twin = make(**options, dropout=Dropout(weights=RATE)), make(**options)
        model.hybridize(compiled)
        before, seen = numbers(model), []
        for _ in range(2):
            logits, gradients = backward(model)
            masks = {name: gradients[name] != 0 for name in gradients if name.endswith("h2h_weight")}
            scales = {name: kept(passed).astype("float32") for name, passed in masks.items()}
            for name, param in d2lrnn.named_parameters(twin).items():
                set_values(param, before[name] * scales.get(name, 1))
            expected, twin_gradients = backward(twin)
            numpy.testing.assert_allclose(logits, expected, atol=1e-6)
            for name, gradient in gradients.items():
                numpy.testing.assert_allclose(gradient, twin_gradients[name] * scales.get(name, 1), atol=1e-6)
                assert name in masks or (gradient != 0).all()
            assert all(not found.all() and found.any() for found in masks.values())
            assert len({found.tobytes() for found in masks.values()}) == len(masks)
            seen.append(masks)
        assert all((seen[0][name] != seen[1][name]).any() for name in masks)
        assert len(masks) == options.get("num_layers", 2) * (2 if "bidirectional" in options else 1)

    def test_the_parameters_stay_and_are_still_views_of_what_is_computed(self):
        model, plain = make(dropout=Dropout(weights=RATE)), make()
        before = numbers(model)
        backward(model)
        for name, array in numbers(model).items():
            assert (array == before[name]).all()
        for each in (model, plain):
            each.layers[1].l0_h2h_weight.data()[:] *= 2
        found, expected = (each(X, each.begin_state(ROWS))[0].asnumpy() for each in (model, plain))
        assert (found == expected).all()

    def test_as_many_are_dropped_as_was_asked_for(self):
        model = make(num_hiddens=40, num_layers=1, dropout=Dropout(weights=RATE))
        backward(model)
        dropped = model.layers[0].l0_h2h_weight.grad().asnumpy() == 0
        assert dropped.shape == (160, 40)
        assert abs(dropped.mean() - RATE) < 6 * (RATE * (1 - RATE) / dropped.size) ** 0.5

    def test_a_step_leaves_a_dropped_weight_alone(self):
        model = make(dropout=Dropout(weights=0.5))
        before = numbers(model)
        training_of(model, TrainConfig(lr=1.0, theta=1e9, verbose=False)).step((X, X), None)
        after, gradients = numbers(model), numbers(model, gradients=True)
        for name, gradient in gradients.items():
            numpy.testing.assert_allclose(after[name], before[name] - gradient / X.size, atol=1e-7)
            if name.endswith("h2h_weight"):
                assert 0.2 < (after[name] == before[name]).mean() < 0.8


ALL = {
    "dropout": 0.5,
    "input_dropout": 0.4,
    "output_dropout": 0.3,
    "word_dropout": 0.2,
    "weight_dropout": 0.1,
}


class TestSettings:
    def test_each_has_its_place_and_a_single_rate_stands_in_where_none_is_given(self):
        found = ModelConfig.from_dict({"embed_size": 8, **ALL, "locked_dropout": True})
        assert found.dropout == Dropout(0.5, 0.4, 0.3, 0.2, 0.1, True)
        assert ModelConfig(dropout=0.5).dropout == Dropout.of(0.5) == Dropout(0.5, 0.5, 0.5)
        zero = ModelConfig.from_dict({"dropout": 0.5, "input_dropout": 0, "output_dropout": 0}).dropout
        assert zero == Dropout(hidden=0.5)

    @pytest.mark.parametrize("layers", [1, 2])
    def test_they_reach_the_model(self, layers):
        expected = Dropout(0.5, 0.4, 0.3, 0.2, 0.1, True)
        model = make(num_layers=layers, dropout=expected)
        assert model.dropout == expected and (layers == 1 or model.rnn.dropout == expected)

    @compiled
    @pytest.mark.parametrize("locked", [False, True])
    @pytest.mark.parametrize("options", [{}, {"num_layers": 1}, {"cell": "gru", "tie_weights": True}], ids=str)
    def test_in_evaluation_nothing_drops(self, options, locked, compiled):
        plain, dropping = make(**options), make(**options, dropout=Dropout.of_flat({**ALL, "locked_dropout": locked}))
        dropping.hybridize(compiled)
        plain.hybridize(compiled)
        backward(dropping)  # the graph of training must not serve evaluation
        expected = plain(X, plain.begin_state(ROWS))
        found = dropping(X, dropping.begin_state(ROWS))
        for one, other in zip([found[0], *found[1]], [expected[0], *expected[1]]):
            assert (one.asnumpy() == other.asnumpy()).all()
        assert (backward(dropping)[0] != expected[0].asnumpy()).any()

    @pytest.mark.parametrize("name, called", [("dropout", "dropout"), *((n, n[:-8]) for n in list(ALL)[1:])])
    @pytest.mark.parametrize("rate", [-0.1, 1, float("nan")])
    def test_rates_are_shares(self, name, called, rate):
        where = {"input": "inputs", "output": "outputs", "word": "words", "weight": "weights"}.get(called)
        message = f"^dropout of {where} is {rate}: " if where else f"^dropout is {rate}: "
        with pytest.raises(ValueError, match=message):
            ModelConfig.from_dict({name: rate})

    @pytest.mark.parametrize("option", [*({name: 0.1} for name in ALL), {"locked_dropout": True}], ids=str)
    @pytest.mark.parametrize("kind", ["scratch", "fast"])
    def test_from_scratch_there_are_none(self, kind, option):
        with pytest.raises(ValueError, match="no embedding and no dropout: use kind 'gluon'"):
            ModelConfig.from_dict({"kind": kind, **option})


class TestTiedWeights:
    @pytest.fixture
    def model(self):
        return make(tie_weights=True)

    @pytest.fixture
    def untied(self, model):
        """The same numbers, without the tie."""
        untied, values = make(seed=4), numbers(model)
        values["dense.weight"] = values["embedding.weight"]
        for name, param in d2lrnn.named_parameters(untied).items():
            set_values(param, values[name])
        return untied

    @compiled
    def test_the_gradient_is_the_sum_of_both_uses(self, model, untied, compiled):
        model.hybridize(compiled)
        (found, gradients), (logits, expected) = backward(model), backward(untied)
        numpy.testing.assert_allclose(found, logits, atol=1e-6)
        both = expected.pop("dense.weight")
        assert abs(both).max() > 1e-3 and abs(expected["embedding.weight"]).max() > 1e-3
        expected["embedding.weight"] += both
        assert list(gradients) == list(expected)
        for name, gradient in gradients.items():
            numpy.testing.assert_allclose(gradient, expected[name], atol=1e-6)

    def test_a_tied_weight_is_one_parameter(self, model, untied):
        names = [*d2lrnn.named_parameters(untied)]
        names.remove("dense.weight")
        assert [*d2lrnn.named_parameters(model)] == names
        assert model.dense.weight is model.embedding.weight
        _, gradients = backward(model)
        expected = sum((gradient.astype("float64") ** 2).sum() for gradient in gradients.values()) ** 0.5
        assert gradient_norm(model.collect_params()).item() == pytest.approx(expected, rel=1e-6)
        _, norm, _, _ = training_of(model, TrainConfig(lr=1e-30)).step((X, X), None)
        assert norm == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize("optimizer", ["sgd", "adam"])
    def test_a_step_moves_it_once(self, model, optimizer):
        weight = numbers(model)["embedding.weight"]
        training_of(model, TrainConfig(lr=0.1, theta=1e9, optimizer=optimizer)).step((X, X), None)
        gradient = numbers(model, gradients=True)["embedding.weight"] / X.size  # it is that of the losses' sum
        moved = (weight - numbers(model)["embedding.weight"])[abs(gradient) > 1e-4]
        gradient = gradient[abs(gradient) > 1e-4]
        assert gradient.size > weight.size / 2
        expected = gradient if optimizer == "sgd" else numpy.sign(gradient)  # so is Adam's first step
        numpy.testing.assert_allclose(moved, 0.1 * expected, rtol=1e-2, atol=1e-6)

    def test_it_stays_tied_in_a_checkpoint(self, model, tmp_path):
        tokens = d2lrnn.Vocab("abcdefghijk")
        corpus = d2lrnn.Corpus("letters", tokens, [0, 1, 2])
        options = {"embed_size": SIZE, "tie_weights": True, "init_scale": 0.5}
        config = ModelConfig(num_hiddens=SIZE, num_layers=2, **options, dropout=Dropout(0.5, 0.4, 0.3, 0.2, 0.1, True))
        saved = Checkpoint.of(model, config, TrainConfig(), corpus)
        assert "dense.weight" not in saved.parameters and "embedding.weight" in saved.parameters
        loaded = load_checkpoint(save_checkpoint(tmp_path / "tied", saved))
        copy = loaded.build_model()
        assert loaded.model_config == config and copy.dense.weight is copy.embedding.weight
        before, after = (each(X, each.begin_state(ROWS))[0].asnumpy() for each in (model, copy))
        assert (before == after).all()

    def test_it_writes_what_the_protocol_writes(self):
        model, letters = make(tie_weights=True, init_scale=2.0), "abcdefghijk"  # so large that texts go on changing
        prefixes, vocab = [one + other for one in letters for other in letters], d2lrnn.Vocab(letters)
        fast = decoding.predict_batch(prefixes, 12, model, vocab)
        by_the_model = Wrapped(model)
        assert greedy_writer(model) is not None and greedy_writer(by_the_model) is None
        assert fast == decoding.predict_batch(prefixes, 12, by_the_model, vocab)
        assert len({text[2:] for text in fast}) > 8

    @pytest.mark.parametrize(
        "options",
        [{"embed_size": SIZE + 1}, {"embed_size": None}, {"bidirectional": True}, {"num_outputs": 3}],
        ids=str,
    )
    def test_sizes_that_cannot_be_tied_are_refused(self, options):
        config = {"num_hiddens": SIZE, "embed_size": SIZE, "tie_weights": True, **options}
        with pytest.raises(ValueError, match="tie_weights needs an output layer of the embedding's shape"):
            ModelConfig(**config)
        layer = d2lrnn.rnn_layer("lstm", SIZE, bidirectional=options.get("bidirectional", False))
        with pytest.raises(ValueError, match="the weights cannot be tied: the embedding is 11 x"):
            RNNModel(layer, VOCAB_SIZE, config["embed_size"], num_outputs=options.get("num_outputs"), tie_weights=True)

    def test_from_scratch_there_is_nothing_to_tie(self):
        with pytest.raises(ValueError, match="no embedding and no dropout"):
            ModelConfig("scratch", num_hiddens=SIZE, tie_weights=True)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "scratch"},
        {"kind": "fast", "cell": "gru"},
        {"kind": "gluon"},
        {"kind": "gluon", "embed_size": 24, "tie_weights": True, "cell": "rnn"},
    ],
    ids=str,
)
def test_parameters_begin_spread_over_the_scale(options):
    d2lrnn.set_seed(1)
    config = ModelConfig(num_hiddens=24, num_layers=2, init_scale=0.04, **options)
    model, again = build_model(config, 30), build_model(config, 30)
    for name, param in d2lrnn.named_parameters(model).items():
        found = get_values(param).asnumpy().reshape(-1)
        other = get_values(d2lrnn.named_parameters(again)[name]).asnumpy().reshape(-1)
        assert abs(found).max() <= numpy.float32(0.04) and (found != other).any()
        assert found.min() < -0.02 and found.max() > 0.02  # the shortest have 24
        if found.size >= 500:
            quartiles = numpy.quantile(found, [0, 0.25, 0.5, 0.75, 1])
            numpy.testing.assert_allclose(quartiles, [-0.04, -0.02, 0, 0.02, 0.04], atol=0.008)


@pytest.mark.parametrize("scale", [0, -0.1, float("nan"), 1e39])
def test_scales_that_are_none(scale):
    with pytest.raises(ValueError, match=f"^init_scale is {scale}: ".replace("+", r"\+")):
        ModelConfig(init_scale=scale)


@pytest.mark.parametrize("options", [{"word_dropout": 0.1}, {"input_dropout": 0.1}])
def test_dropout_of_an_embedding_that_is_not_there_is_refused(options):
    with pytest.raises(ValueError, match="of the embedding: set embed_size"):
        ModelConfig.from_dict(options)
    with pytest.raises(ValueError, match="of the embedding: set embed_size"):
        ModelConfig(dropout=Dropout.of_flat(options))
    with pytest.raises(ValueError, match="of the embedding: set embed_size"):  # asked for by itself, though alike
        ModelConfig.from_dict({**options, "dropout": 0.1})
    with pytest.raises(ValueError, match="of the embedding: set embed_size"):
        d2lrnn.RNNModel(d2lrnn.rnn_layer("lstm", 4), 5, dropout=Dropout(words=0.1))
