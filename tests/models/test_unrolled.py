"""The Gluon layer for every cell: against Gluon's own layers and the models from scratch, at many lengths."""

from types import MethodType

import numpy
import pytest
from known import Wrapped
from parity import assert_close, make_twins, random_ids, run_with_gradients

import d2lrnn
from d2lrnn import (
    ModelConfig,
    RecurrentStack,
    RNNModel,
    StepGraphs,
    TrainConfig,
    UnrolledLayer,
    build_model,
    copy_parameters,
    rnn_layer,
)
from d2lrnn._runtime import mx
from d2lrnn.generation import greedy as decoding
from d2lrnn.generation.writers import greedy_writer
from d2lrnn.models.parameters import named_parameters
from d2lrnn.models.twins import read_parameters

np = mx.np
SIZE, INPUTS, ROWS = 6, 5, 3


def numbers(*shape):
    return np.array(numpy.random.default_rng(1).normal(0, 1, shape), dtype="float32")


def results(layer, X, state):
    """Return a layer's outputs and new state, and the gradients of a loss in which all of them count, as NumPy."""
    X.attach_grad()
    with mx.autograd.record():
        outputs, new_state = layer(X, state)
        loss = sum((array * (1 + i + numbers(*array.shape))).sum() for i, array in enumerate([outputs, *new_state]))
    loss.backward()
    params = layer.collect_params().values()
    gradients = {p.name.split("_", 1)[1]: p.grad().asnumpy() for p in params if p.grad_req != "null"}
    return [array.asnumpy() for array in (outputs, *new_state, X.grad)], gradients


class Traces:
    """Counts how often a block is made into a graph."""

    def __init__(self, block):
        self.count = 0
        hybrid_forward = block.hybrid_forward

        def counting(block, F, *args, **params):
            self.count += F is mx.symbol
            return hybrid_forward(F, *args, **params)

        block.hybrid_forward = MethodType(counting, block)


@pytest.mark.parametrize("cell", ["rnn", "rnn_relu", "gru_reset_after", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_it_is_gluons_layer_where_gluon_has_one(cell, bidirectional, compiled):
    """Parameters of one name are stacked alike; the cells with one bias lack Gluon's second one."""
    ours, gluons = (make(cell, SIZE, INPUTS, bidirectional=bidirectional) for make in (UnrolledLayer, rnn_layer))
    for layer in (ours, gluons):
        layer.initialize(mx.init.Uniform(0.5))
        layer.hybridize(compiled)
    for name, param in gluons._reg_params.items():
        if name in ours._reg_params:
            param.set_data(np.random.uniform(-0.5, 0.5, param.shape))
            ours._reg_params[name].set_data(param.data())
        else:
            assert name.endswith("h2h_bias")
            param.set_data(np.zeros(param.shape))
    X, state = numbers(4, ROWS, INPUTS), [numbers(1 + bidirectional, ROWS, SIZE)] * (1 + (cell == "lstm"))
    found, gradients = results(ours, X, state)
    expected, gluons_gradients = results(gluons, X, state)
    for one, other in zip(found, expected):
        assert_close(one, other)
    assert set(gradients) == {name for name in gluons_gradients if name in ours._reg_params} and gradients
    for name, gradient in gradients.items():
        assert_close(gradient, gluons_gradients[name])


@pytest.mark.parametrize("cell", ["gru_reset_after", "gru"])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_frozen_weight_leaves_the_gradient_of_its_bias(cell, compiled):
    layer = UnrolledLayer(cell, SIZE, INPUTS)
    layer.initialize(mx.init.Uniform(0.5))
    X, state = numbers(4, ROWS, INPUTS), [numbers(1, ROWS, SIZE)]
    _, expected = results(layer, X, state)
    for frozen in layer._reg_params.values():
        frozen.grad_req = "null"
        layer.hybridize(compiled)
        for param in layer._reg_params.values():
            if param is not frozen:
                param.grad()[:] = 7  # so that what is found is not from before
        _, found = results(layer, X, state)
        assert len(found) == len(expected) - 1
        for name, gradient in found.items():
            assert_close(gradient, expected[name])
        frozen.grad_req = "write"


@pytest.mark.parametrize("compiled", [False, True])
def test_gluon_finds_out_the_input_size(compiled):
    layer = UnrolledLayer("lstm_peephole_projected", SIZE, num_projections=2, bidirectional=True)
    assert repr(layer) == "UnrolledLayer(lstm_peephole_projected, None -> 2, TNC, bidirectional)"
    layer.initialize()
    layer.hybridize(compiled)
    outputs, state = layer(numbers(4, ROWS, INPUTS), layer.begin_state(ROWS))
    assert outputs.shape == (4, ROWS, 4)
    assert [array.shape for array in state] == [(2, ROWS, 2), (2, ROWS, SIZE)]
    shapes = {
        "i2h_weight": (24, 5),
        "h2h_weight": (24, 2),
        "i2h_bias": (24,),
        "c2h_weight": (18,),
        "h2r_weight": (2, 6),
    }
    assert {name: p.shape for name, p in layer._reg_params.items()} == {
        f"{direction}0_{name}": shape for direction in "lr" for name, shape in shapes.items()
    }
    assert repr(layer) == "UnrolledLayer(lstm_peephole_projected, 5 -> 2, TNC, bidirectional)"


class TestLengths:
    """A graph is of one number of steps; there is one for each, and none is made twice."""

    LENGTHS = (5, 2, 7, 5, 1, 2, 7)

    @pytest.mark.parametrize("make", [UnrolledLayer, RecurrentStack])
    def test_of_a_layer_and_of_a_stack(self, make):
        block = make("lstm_peephole", SIZE, input_size=INPUTS)
        block.initialize(mx.init.Normal(0.5))
        calls = [(numbers(steps, rows, INPUTS), rows) for steps, rows in zip(self.LENGTHS, (3, 3, 3, 2, 3, 1, 3))]
        expected = [results(block, X, block.begin_state(rows)) for X, rows in calls]
        block.hybridize(static_alloc=True, static_shape=True)
        traces = Traces(block)
        for (X, rows), (arrays, gradients) in zip(calls, expected):
            found, found_gradients = results(block, X, block.begin_state(rows))
            for one, other in zip(found, arrays):
                assert_close(one, other)
            for name, gradient in gradients.items():
                assert_close(found_gradients[name], gradient)
        assert traces.count == 4
        block.hybridize()
        block(*[numbers(5, ROWS, INPUTS), block.begin_state(ROWS)])
        assert traces.count == 5

    def test_of_a_model(self):
        scratch, gluon = make_twins("lstm_peephole_projected", num_layers=2)
        traces, X = Traces(gluon), random_ids(7)
        for steps, rows in zip((5, 2, 6, 5, 1, 2), (4, 4, 2, 4, 1, 7)):
            ids = X[:rows, :steps]
            expected, _, gradients = run_with_gradients(scratch, ids)
            found, _, gluons_gradients = run_with_gradients(gluon, ids)
            assert_close(found, expected)
            for name, gradient in gradients.items():
                assert_close(gluons_gradients[name], gradient)
        assert traces.count == 4

    def test_two_in_one_backward_pass(self):
        scratch, gluon = make_twins("lstm_peephole")
        X, gradients = random_ids(), []
        for model in (scratch, gluon):
            with mx.autograd.record():
                first, state = model(X[:, :2], model.begin_state(4))
                second, _ = model(X[:, 2:], state)
                loss = d2lrnn.cross_entropy(first, X[:, :2]) + d2lrnn.cross_entropy(second, X[:, 2:])
            loss.backward()
            gradients.append(read_parameters(model, gradients=True))
        for name, gradient in gradients[0].items():
            assert_close(gradients[1][name], gradient)

    def test_training_with_varied_ones_evaluation_and_writing(self, tiny_corpus):
        """Windows of 5 to 7, validation in windows of 6, writing one by one: as from scratch."""
        corpus = d2lrnn.Corpus("tiny", tiny_corpus.vocab, tiny_corpus.train[:300], valid=tiny_corpus.train[300:371])
        config = ModelConfig(cell="lstm_projected", num_hiddens=SIZE, num_projections=3)
        train = TrainConfig(num_epochs=2, batch_size=2, num_steps=6, batches="varied", lr=0.5, theta=1.0, verbose=False)
        histories = d2lrnn.compare(config, corpus, train)
        scratch, gluon = histories.values()
        assert list(histories) == ["scratch", "gluon"] and scratch.perplexity[1] < 0.9 * scratch.perplexity[0]
        numpy.testing.assert_allclose(gluon.perplexity, scratch.perplexity, rtol=1e-4)
        numpy.testing.assert_allclose(gluon.valid_perplexity, scratch.valid_perplexity, rtol=1e-4)

    def test_no_more_graphs_than_the_limit(self):
        layer = UnrolledLayer("lstm_peephole", SIZE, input_size=INPUTS)
        layer.initialize(mx.init.Normal(0.5))
        X, state = numbers(4, ROWS, INPUTS), layer.begin_state(ROWS)
        whole, _ = layer(X, state)
        layer.hybridize()
        layer.LIMIT = 2
        traces = Traces(layer)
        for steps, count in ((1, 1), (2, 2), (1, 2), (3, 3), (1, 3), (2, 4), (1, 4), (3, 5)):
            assert_close(layer(X[:steps], state)[0].asnumpy(), whole[:steps].asnumpy())
            assert traces.count == count
            assert len(layer._graphs) <= 2

    def test_new_memory_reaches_all_graphs(self):
        """Parameters made anew, or frozen and freed again, get the gradients of every length."""
        scratch, gluon = make_twins("lstm_peephole")
        X = random_ids()
        for ids in (X, X[:, :2]):
            gluon(ids, gluon.begin_state(4))
        gluon.initialize(mx.init.Normal(0.4), force_reinit=True)
        weight = gluon.rnn.l0_h2h_weight
        for change in (
            lambda: None,
            lambda: setattr(weight, "grad_req", "null"),
            lambda: setattr(weight, "grad_req", "write"),
        ):
            change()
            copy_parameters(gluon, scratch)
            for ids in (X, X[:, :2]):
                expected, _, gradients = run_with_gradients(scratch, ids)
                found, _, gluons_gradients = run_with_gradients(gluon, ids)
                assert_close(found, expected)
                assert ("W_hi" in gluons_gradients) == (weight.grad_req == "write")
                for name, gradient in gluons_gradients.items():
                    assert_close(gradient, gradients[name])

    def test_a_fused_layer_has_one_graph_for_all(self):
        model = build_model(ModelConfig(num_hiddens=SIZE), 19)
        traces = Traces(model)
        for steps in (5, 2, 5):
            model(random_ids()[:, :steps], model.begin_state(4))
        assert traces.count == 1 and not model.unrolls


class TestInABlockOfTheUsers:
    class Plain(mx.gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.layer = UnrolledLayer("lstm_peephole", SIZE, input_size=INPUTS)

        def hybrid_forward(self, F, X, state):
            return self.layer(X * 2, state)[0]

    class Unrolling(Plain, StepGraphs):
        pass

    def test_one_that_does_not_know_the_length_is_refused(self):
        block = self.Plain()
        block.initialize()
        X, state = numbers(4, ROWS, INPUTS), block.layer.begin_state(ROWS)
        expected = block(X, state).asnumpy()
        block.hybridize()
        with pytest.raises(ValueError, match="derive that block from d2lrnn.StepGraphs"):
            block(X, state)
        block.hybridize(False)
        block.layer.hybridize()
        for steps in (4, 2):
            assert_close(block(X[:steps], state).asnumpy(), expected[:steps])

    def test_one_that_is_derived_from_step_graphs(self):
        block = self.Unrolling()
        block.initialize()
        X, state = numbers(4, ROWS, INPUTS), block.layer.begin_state(ROWS)
        expected = block(X, state).asnumpy()
        block.hybridize()
        for steps in (4, 2, 4):
            assert_close(block(X[:steps], state).asnumpy(), expected[:steps])


@pytest.mark.parametrize(
    ("X", "rows", "complaint"),
    [
        ((4, INPUTS), 4, r"X has shape \(4, 5\): expected \(num_steps, batch_size, num_inputs\)"),
        ((0, ROWS, INPUTS), ROWS, r"X has shape \(0, 3, 5\): .* none of them 0"),
        ((ROWS, 4, INPUTS), ROWS, r"the state has shapes \[\(1, 3, 2\), \(1, 3, 6\)\]: expected \[\(1, 4, 2\), "),
        ((4, ROWS, INPUTS), 1, r"the state has shapes \[\(1, 1, 2\), \(1, 1, 6\)\]: expected \[\(1, 3, 2\), "),
    ],
)
def test_what_would_be_broadcast_is_refused(X, rows, complaint):
    layer = UnrolledLayer("lstm_projected", SIZE, INPUTS, num_projections=2)
    layer.initialize()
    with pytest.raises(ValueError, match=complaint):
        layer(np.ones(X), layer.begin_state(rows))


def test_unknown_cells_are_refused():
    with pytest.raises(ValueError, match="unknown cell 'elman': expected one of rnn, rnn_relu, gru"):
        UnrolledLayer("elman", SIZE)
    with pytest.raises(ValueError, match="num_hiddens is 0: expected a whole number"):
        UnrolledLayer("lstm", 0)


class TestTheBooksGru:
    @pytest.fixture
    def twins(self):
        d2lrnn.set_seed(2)
        scratch = build_model(ModelConfig("scratch", "gru", 8), 5)
        gluon = RNNModel(UnrolledLayer("gru", 8), 5)
        gluon.initialize()
        for param in scratch.params:
            param[:] = np.random.normal(0, 1, param.shape)
        copy_parameters(scratch, gluon)
        return scratch, gluon

    def test_it_has_a_gluon_form(self, twins):
        X = np.array([[0, 3, 2, 4], [1, 1, 4, 0]], dtype="int32")
        found = []
        for model in twins:
            with mx.autograd.record():
                logits, state = model(X, model.begin_state(2))
                loss = d2lrnn.cross_entropy(logits, X)
            loss.backward()
            gradients = read_parameters(model, gradients=True)
            found.append(
                [logits.asnumpy(), state[0].asnumpy().reshape(2, 8), *(gradients[n] for n in sorted(gradients))]
            )
        assert len(found[0]) == len(found[1]) == 13
        for one, other in zip(*found):
            assert_close(one, other)

    def test_which_writes_by_its_own_equations(self, twins):
        vocab, prefixes = d2lrnn.Vocab("abcde"), [a + b for a in "abcde" for b in "abcde"]
        texts = [decoding.predict_batch(prefixes, 9, model, vocab) for model in twins]
        assert greedy_writer(twins[1]) is not None and texts[0] == texts[1] and len(set(texts[0])) == 25
        by_the_model = Wrapped(twins[1])
        assert greedy_writer(by_the_model) is None
        assert decoding.predict_batch(prefixes, 9, by_the_model, vocab) == texts[0]


@pytest.mark.parametrize("num_layers", [1, 2])
def test_relu_begins_with_the_identity(num_layers):
    layers = [*build_model(ModelConfig(cell="rnn_relu", num_hiddens=SIZE, num_layers=num_layers), 19).layers]
    layers.append(UnrolledLayer("rnn_relu", SIZE, INPUTS, bidirectional=True))
    layers[-1].initialize(mx.init.Normal(0.01))
    for layer in layers:
        for name, param in layer._reg_params.items():
            if name.endswith("h2h_weight"):
                assert (param.data().asnumpy() == numpy.eye(SIZE)).all()
            else:
                assert abs(param.data().asnumpy()).max() < 0.06
    named = named_parameters(build_model(ModelConfig(cell="rnn_relu", num_hiddens=SIZE, init_scale=0.1), 19))
    assert abs(named["rnn._unfused.0.h2h_weight"].data().asnumpy()).max() < 0.1
