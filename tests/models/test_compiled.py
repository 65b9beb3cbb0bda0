"""The fast models from scratch against the plain ones, and the two ways to feed the plain ones."""

import gc
import sys

import numpy
import pytest
from parity import (
    NUM_HIDDENS,
    VOCAB_SIZE,
    assert_close,
    projections,
    random_ids,
    run_with_gradients,
    scratch_state,
    twenty_losses,
)

import d2lrnn
from d2lrnn import ModelConfig, build_model, copy_parameters
from d2lrnn._runtime import mx
from d2lrnn.cells.registry import CELLS
from d2lrnn.models.compiled import keep_graphs
from d2lrnn.models.stack import output_layer, unroll

np = mx.np
every_cell = pytest.mark.parametrize("cell", CELLS)


def make_pair(cell, num_layers=1, bidirectional=False, **options):
    """Return a plain and a fast model with the same parameters, large enough that every gate is at work."""
    d2lrnn.set_seed(3)
    options.update(num_hiddens=NUM_HIDDENS, **projections(cell))
    shape = dict(cell=cell, num_layers=num_layers, bidirectional=bidirectional, **options)
    plain, fast = (build_model(ModelConfig(kind, **shape), VOCAB_SIZE) for kind in ("scratch", "fast"))
    for param in plain.params:
        param[:] = np.random.normal(0, 0.4, param.shape)
    copy_parameters(plain, fast)
    return plain, fast


@every_cell
@pytest.mark.parametrize("num_layers, bidirectional", [(1, False), (2, False), (1, True), (3, True)])
def test_logits_states_and_gradients_agree(cell, num_layers, bidirectional):
    plain, fast = make_pair(cell, num_layers, bidirectional)
    X = random_ids()
    _, state = plain(X[:, :2], plain.begin_state(len(X)))  # so that the state says something
    expected, expected_state, expected_gradients = run_with_gradients(plain, X, state)
    found, found_state, gradients = run_with_gradients(fast, X, state)
    assert_close(found, expected)
    for one, other in zip(scratch_state(found_state), scratch_state(expected_state)):
        assert_close(one, other)
    assert list(gradients) == list(expected_gradients)
    for name, gradient in expected_gradients.items():
        assert_close(gradients[name], gradient)
        assert numpy.abs(gradient).max() > 0


@every_cell
def test_sequences_of_other_lengths_and_batches(cell):
    plain, fast = make_pair(cell)
    for rows, steps in ((4, 6), (4, 1), (2, 3), (1, 1), (4, 6), (3, 5)):
        X = random_ids(rows)[:, :steps]
        expected, _ = plain(X, plain.begin_state(rows))
        found, _ = fast(X, fast.begin_state(rows))
        assert_close(found.asnumpy(), expected.asnumpy())


@every_cell
def test_twenty_training_steps_stay_together(cell):
    models = make_pair(cell)
    for model in models:
        for param in model.params:
            param *= 0.25
    plain, fast = twenty_losses(models)
    assert plain[-1] < plain[0] - 0.5
    assert abs(plain - fast).max() < 1e-4


@pytest.mark.parametrize("steps", [3, 8])
def test_two_models_of_one_shape_share_a_graph_and_nothing_else(steps):
    (_, one), (_, two) = make_pair("lstm"), make_pair("lstm")
    for param in two.params:
        param[:] = param * 0.5
    X = np.array(numpy.random.default_rng(1).integers(0, VOCAB_SIZE, (4, steps)), dtype="int32")
    with mx.autograd.record():
        first, second = one(X, one.begin_state(4))[0], two(X, two.begin_state(4))[0]
        loss = d2lrnn.cross_entropy(first, X) + d2lrnn.cross_entropy(second, X)
    loss.backward()
    for model in (one, two):
        together = [param.grad.asnumpy() for param in model.params]
        with mx.autograd.record():
            loss = d2lrnn.cross_entropy(model(X, model.begin_state(4))[0], X)
        loss.backward()
        for gradient, param in zip(together, model.params):
            assert_close(gradient, param.grad.asnumpy())


def test_ids_and_states_are_checked():
    _, fast = make_pair("gru")
    with pytest.raises(ValueError, match="19"):
        fast(np.array([[19]], dtype="int32"), fast.begin_state(1))
    with pytest.raises(ValueError, match="axes of X swapped"):
        fast(random_ids(), fast.begin_state(3))


def test_no_embedding_and_no_dropout():
    for options in ({"embed_size": 4}, {"dropout": 0.5}):
        with pytest.raises(ValueError, match="from scratch"):
            ModelConfig("fast", **options)


@every_cell
def test_products_of_all_steps_are_those_of_each(cell):
    """One-hot matrices that know their ids, a plain list of them, the equations on one after another; and the model."""
    plain, _ = make_pair(cell)
    X = random_ids()
    results = []
    for way in ("look-up", "all at once", "one by one", "model"):
        with mx.autograd.record():
            inputs, state = d2lrnn.to_onehot(X, VOCAB_SIZE), plain.begin_state(len(X))
            if way == "one by one":
                *params, W_hq, b_q = plain.params
                hidden, state = unroll(CELLS[cell].step, list(inputs), state, params)
                outputs = [np.dot(H, W_hq) + b_q for H in hidden]
            elif way == "model":
                logits, state = plain(X, state)
                outputs = list(logits.reshape(X.shape[1], len(X), -1))
            else:
                outputs, state = plain.stack(inputs if way == "look-up" else list(inputs), state, plain.params)
            loss = sum(((t + 1) * Y * Y).sum() for t, Y in enumerate(outputs))
        loss.backward()
        arrays = [*outputs, *state, *(param.grad for param in plain.params)]
        results.append([array.asnumpy() for array in arrays])
    for found in results[1:]:
        for array, expected in zip(found, results[0]):
            assert_close(array, expected)


def test_the_output_layer_of_one_step():
    H, W, b = np.ones((2, 3)), np.ones((3, 4)), np.arange(4)
    (Y,) = output_layer([H], W, b)
    assert Y.tolist() == [[3, 4, 5, 6]] * 2


def test_the_graphs_that_were_used_last_are_kept():
    class Graph:
        def __init__(self, name):
            self.name, self.forgotten = name, False

        def forget(self):
            self.forgotten = True

    graph_for = keep_graphs(Graph, limit=2)
    first, second = graph_for("first"), graph_for("second")
    assert graph_for("first") is first
    third = graph_for("third")
    assert [graph.forgotten for graph in (first, second, third)] == [False, True, False]
    assert graph_for("first") is first and graph_for("second") is not second


def test_a_graph_that_is_dropped_gives_its_memory_back_at_once():
    """Gluon's blocks refer to themselves: without ``forget``, the memory waits for Python's collector of garbage."""

    class Double(mx.gluon.HybridBlock):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor
            self.forget()

        def forget(self):
            self.hybridize(static_alloc=True, static_shape=True)

        def hybrid_forward(self, F, X):
            return X * self.factor

    graph_for = keep_graphs(Double, limit=1)
    assert graph_for(2)(np.ones((2,))).tolist() == [2, 2]
    compiled = graph_for(2)._cached_op
    gc.disable()
    try:
        graph_for(3)
        assert sys.getrefcount(compiled) == 2  # this test's own name, and the argument
    finally:
        gc.enable()
