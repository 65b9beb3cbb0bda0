"""The book's first edition in mxnet.nd: what its code hands to d2lrnn, and what it gets back."""

import inspect
import re

import numpy
import pytest

import d2lrnn
from d2lrnn import cells
from d2lrnn._runtime import mx
from d2lrnn.models import output_layer, set_values, unroll
from d2lrnn.nd_arrays import as_nd, as_np, has_nd, is_nd, takes_nd
from d2lrnn.training import gradient_norm

nd, np, autograd = mx.nd, mx.np, mx.autograd
VOCAB_SIZE, NUM_HIDDENS, BATCH_SIZE, NUM_STEPS = 30, 5, 2, 6
CELLS = {
    "rnn": (d2lrnn.rnn, d2lrnn.get_rnn_params, 1),
    "gru": (d2lrnn.gru, d2lrnn.get_gru_params, 1),
    "gru_reset_after": (d2lrnn.gru_reset_after, d2lrnn.get_gru_reset_after_params, 1),
    "lstm": (d2lrnn.lstm, d2lrnn.get_lstm_params, 2),
}


def params_of(get_params, make):
    """Return the same parameters at each call, made by ``make`` and with gradients."""
    d2lrnn.set_seed(3)
    params = [make(10 * param.asnumpy()) for param in get_params(VOCAB_SIZE, NUM_HIDDENS)]
    for param in params:
        param.attach_grad()
    return params


def numbers(arrays):
    return [array.asnumpy().tolist() for array in arrays]


def numbers_in(text):
    return [int(number) for number in re.findall(r"\d+", text)]


def step_in_nd(cell, X, Y, by_hand):
    """Take one training step as the notes write it; return all its numbers."""
    function, get_params, num_states = CELLS[cell]
    params, ctx = params_of(get_params, nd.array), mx.cpu()
    state = tuple(nd.zeros((BATCH_SIZE, NUM_HIDDENS), ctx=ctx) for _ in range(num_states))
    with autograd.record():
        inputs = [nd.one_hot(x, VOCAB_SIZE) for x in X.T] if by_hand else d2lrnn.to_onehot(X, VOCAB_SIZE)
        assert all(map(is_nd, inputs))
        outputs, state = function(inputs, state, params)
        outputs = nd.concat(*outputs, dim=0)
        y = Y.T.reshape((-1,))
        loss = -nd.pick(nd.log_softmax(outputs), y).mean()
    loss.backward()
    norm = d2lrnn.grad_clipping(params, 0.01, ctx)
    clipped = numbers(param.grad for param in params)
    d2lrnn.sgd(params, 10, 1)
    assert all(map(is_nd, [*state, norm, *params]))
    return numbers([outputs, *state, norm, *params]), clipped


def step_in_np(cell, X, Y, by_hand):
    """Take the same step in mxnet.np."""
    function, get_params, num_states = CELLS[cell]
    params = params_of(get_params, np.array)
    state = tuple(np.zeros((BATCH_SIZE, NUM_HIDDENS)) for _ in range(num_states))
    with autograd.record():
        inputs = [mx.npx.one_hot(x, VOCAB_SIZE) for x in X.T] if by_hand else d2lrnn.to_onehot(X, VOCAB_SIZE)
        outputs, state = function(inputs, state, params)
        outputs = np.concatenate(outputs, axis=0)
        loss = -mx.npx.pick(mx.npx.log_softmax(outputs), Y.T.reshape(-1)).mean()
    loss.backward()
    norm = d2lrnn.grad_clipping(params, 0.01)
    clipped = numbers(param.grad for param in params)
    d2lrnn.sgd(params, 10, 1)
    assert not any(map(is_nd, [outputs, *state, norm, *params]))
    return numbers([outputs, *state, norm, *params]), clipped


@pytest.mark.parametrize("sampler", [d2lrnn.data_iter_random, d2lrnn.data_iter_consecutive])
def test_both_samplers_printed_on_range_30(sampler, capsys):
    for X, Y in sampler(list(range(30)), batch_size=2, num_steps=6):
        print("X: ", X, "\nY:", Y, "\n")
    printed = capsys.readouterr().out.split("X: ")[1:]  # a text for each batch
    X, Y = zip(*[[numbers_in(part) for part in batch.split("Y:")] for batch in printed])
    assert Y == tuple([i + 1 for i in x] for x in X)
    rows = [row[begin : begin + 6] for row in X for begin in (0, 6)]
    starts = [0, 15, 6, 21] if sampler is d2lrnn.data_iter_consecutive else [0, 6, 12, 18]
    assert [row[0] for row in (rows if starts[1] == 15 else sorted(rows))] == starts
    assert all(row == list(range(row[0], row[0] + 6)) for row in rows)


@pytest.mark.parametrize("by_hand", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_training_step_in_nd_has_the_numbers_of_the_same_step_in_np(cell, by_hand):
    X, Y = next(d2lrnn.data_iter_consecutive(list(range(30)), BATCH_SIZE, NUM_STEPS))
    expected, clipped = step_in_np(cell, X, Y, by_hand)
    found = step_in_nd(cell, X.as_nd_ndarray(), Y.as_nd_ndarray(), by_hand)
    assert found == (expected, clipped)
    norm = expected[1 + CELLS[cell][2]]
    assert norm[0] > 0.01  # so that clipping had something to do
    squares = sum((numpy.array(grad) ** 2).sum() for grad in clipped)
    assert squares**0.5 == pytest.approx(0.01, rel=1e-5)


def test_batches_of_np_and_parameters_of_nd_go_together():
    """The samplers give np arrays, which the notes hand on beside parameters of their own."""
    X, Y = next(d2lrnn.data_iter_random(list(range(30)), BATCH_SIZE, NUM_STEPS))
    params = params_of(d2lrnn.get_gru_params, nd.array)
    with autograd.record():
        outputs, _ = d2lrnn.gru(d2lrnn.to_onehot(X, VOCAB_SIZE), d2lrnn.init_gru_state(2, NUM_HIDDENS), params)
        loss = d2lrnn.cross_entropy(nd.concat(*outputs, dim=0), Y)
    loss.backward()
    assert is_nd(loss) and loss.asscalar() == pytest.approx(numpy.log(30), abs=0.2)
    assert all((param.grad.asnumpy() != 0).any() for param in params)


def test_nd_and_np_are_one_array():
    a = nd.array([[1, 2], [3, 4]])
    a.attach_grad()
    b = as_np(a)
    b[0, 0] = 7
    assert a[0, 0].asscalar() == 7
    with autograd.record():
        (as_np(as_nd(np.tanh(b) * b)) * 2).sum().backward()
    assert (a.grad.asnumpy() == b.grad.asnumpy()).all() and (a.grad.asnumpy() != 0).all()


def test_what_is_changed_and_what_stays():
    a, text = nd.ones(2), "text"
    changed = as_np([a, (a, {"a": a}), text, 3, None])
    assert not has_nd(changed) and has_nd([3, (text, {"a": a})])
    assert changed[2:] == [text, 3, None] and type(changed[1]) is tuple
    onehot = d2lrnn.to_onehot(np.array([[1, 0]], dtype="int32"), 2)
    assert type(as_nd(onehot)) is type(onehot) and as_nd(onehot).ids is onehot.ids
    assert not has_nd(onehot)  # which stays as it was


def test_a_function_keeps_its_name_its_help_and_its_arguments():
    assert d2lrnn.lstm.__name__ == "lstm" and "F = sigmoid(X W_xf + H W_hf + b_f)" in d2lrnn.lstm.__doc__
    assert list(inspect.signature(d2lrnn.lstm).parameters) == ["inputs", "state", "params"]
    same = object()
    assert takes_nd(lambda value: value)(same) is same


def test_a_row_of_ids_as_the_notes_hand_it_to_predict():
    (row,) = d2lrnn.to_onehot(nd.array([2]), 4)
    assert is_nd(row) and numbers([row]) == [[[0, 0, 1, 0]]]
    with pytest.raises(d2lrnn.D2lrnnError, match="id 4 at position 0, 1: expected 0 to 3"):
        d2lrnn.to_onehot(nd.array([2, 4]), 4)


MODELS = {
    "scratch": lambda: d2lrnn.build_model(d2lrnn.ModelConfig(kind="scratch", cell="gru", num_hiddens=4), VOCAB_SIZE),
    "fast": lambda: d2lrnn.build_model(d2lrnn.ModelConfig(kind="fast", cell="lstm", num_hiddens=4), VOCAB_SIZE),
    "gluon": lambda: d2lrnn.build_model(d2lrnn.ModelConfig(kind="gluon", cell="lstm", num_hiddens=4), VOCAB_SIZE),
    "unrolled": lambda: d2lrnn.build_model(d2lrnn.ModelConfig(kind="gluon", cell="gru", num_hiddens=4), VOCAB_SIZE),
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_takes_nd(kind):
    model = MODELS[kind]()
    X, Y = next(d2lrnn.data_iter_consecutive(list(range(30)), BATCH_SIZE, NUM_STEPS))
    expected, expected_state = model(X, model.begin_state(BATCH_SIZE))
    with autograd.record():
        found, state = model(X.as_nd_ndarray(), model.begin_state(BATCH_SIZE))
        loss = d2lrnn.cross_entropy(found, Y)
    loss.backward()
    assert all(map(is_nd, [found, *state, loss]))
    assert numbers([found, *state]) == numbers([expected, *expected_state])
    assert all(d2lrnn.models.get_gradient(p).asnumpy().any() for p in d2lrnn.named_parameters(model).values())
    found, state = model(X.as_nd_ndarray(), state)  # an nd state goes on
    expected, _ = model(X, expected_state)
    assert numbers([found]) == numbers([expected])


@pytest.mark.parametrize("own", [False, True], ids=["rnn of d2lrnn", "rnn of the notes"])
def test_a_model_of_functions_in_nd_trains_as_one_in_np(own):
    """The parameters, the state and the equations may be the reader's, written as in the notes."""

    def get_params(vocab_size, num_hiddens, ctx):
        return params_of(d2lrnn.get_rnn_params, nd.array)

    def init_state(batch_size, num_hiddens, ctx):
        return (nd.zeros((batch_size, num_hiddens), ctx=ctx),)

    def rnn(inputs, state, params):
        W_xh, W_hh, b_h, W_hq, b_q = params
        (H,) = state
        outputs = []
        for X in inputs:
            H = nd.tanh(nd.dot(X, W_xh) + nd.dot(H, W_hh) + b_h)
            outputs.append(nd.dot(H, W_hq) + b_q)
        return outputs, (H,)

    ids = numpy.arange(121) % VOCAB_SIZE
    vocab = d2lrnn.Vocab.from_list([chr(97 + i) for i in range(VOCAB_SIZE)])
    corpus = d2lrnn.Corpus("numbers", vocab, ids)
    config = d2lrnn.TrainConfig(num_epochs=3, batch_size=2, num_steps=6, lr=10.0, prefixes=("a",), pred_len=3,
                                verbose=False)  # fmt: skip
    histories = []
    for make, function in ((np.array, d2lrnn.rnn), (nd.array, rnn if own else d2lrnn.rnn)):
        arguments = (get_params, init_state) if make is nd.array else (
            lambda *sizes: params_of(d2lrnn.get_rnn_params, np.array), d2lrnn.init_rnn_state)  # fmt: skip
        model = d2lrnn.RNNModelScratch(VOCAB_SIZE, NUM_HIDDENS, mx.cpu(), *arguments, function)
        before = numbers(model.params)
        histories.append(d2lrnn.train_and_predict(model, corpus, config).trained)
        assert before != numbers(model.params)
    assert histories[1] == (pytest.approx(histories[0], rel=1e-5) if own else histories[0])


class InNd:
    """A language model of a reader's own, whose parameters and outputs are nd arrays."""

    vocab_size, bidirectional = VOCAB_SIZE, False

    def __init__(self, make):
        self.make, self.params = make, params_of(d2lrnn.get_rnn_params, make)

    def begin_state(self, batch_size, ctx=None):
        return (self.make(numpy.zeros((batch_size, NUM_HIDDENS), "float32")),)

    def parameters(self):
        return dict(zip("abcde", self.params))

    def __call__(self, X, state, counted=None):
        outputs, state = d2lrnn.rnn(d2lrnn.to_onehot(X, VOCAB_SIZE), state, self.params)
        return nd.concat(*outputs, dim=0) if is_nd(outputs[0]) else np.concatenate(outputs, axis=0), state


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_model_in_nd_does_all_that_one_in_np_does(optimizer):
    ids = numpy.arange(121) % VOCAB_SIZE
    vocab = d2lrnn.Vocab.from_list([chr(97 + i) for i in range(VOCAB_SIZE)])
    config = d2lrnn.TrainConfig(num_epochs=3, batch_size=2, num_steps=6, lr=0.1, optimizer=optimizer, averaging=1,
                                prefixes=("a",), pred_len=3, verbose=False)  # fmt: skip
    dynamic, found = d2lrnn.Dynamic(gradient_tokens=50), []
    for make in (np.array, nd.array):
        model = InNd(make)
        history = d2lrnn.train_and_predict(model, d2lrnn.Corpus("numbers", vocab, ids, ids[:50]), config)
        texts = [d2lrnn.predict("a", 5, model, vocab), d2lrnn.generate(["b"], 5, model, vocab)[0].text]
        perplexities = [
            d2lrnn.evaluate(model, ids[:40]),
            d2lrnn.evaluate_adaptively(model, ids[:40], dynamic=dynamic, train_ids=ids),
        ]
        set_values(model.params[0], numpy.ones((VOCAB_SIZE, NUM_HIDDENS), "float32"))
        assert (model.params[0].asnumpy() == 1).all()
        found.append((history.trained, history.valid, history.samples, texts, perplexities))
    assert found[0] == found[1]


def test_batches_in_nd_train_a_model():
    def batches(form):
        return [tuple(map(form, batch)) for batch in d2lrnn.data_iter_consecutive(list(range(30)), 2, 6)]

    config = d2lrnn.TrainConfig(num_epochs=2, batch_size=2, num_steps=6, lr=1.0, verbose=False)
    found = []
    for form in (as_np, as_nd):
        d2lrnn.set_seed(1)
        found.append([d2lrnn.train(make(), lambda: batches(form), config).trained for make in MODELS.values()])  # noqa: B023
    assert found[0] == found[1]


def test_layers_and_stacks_take_nd():
    X = nd.random.normal(shape=(3, 2, 4))
    layer, layers, stack = d2lrnn.UnrolledLayer("gru", 5, 4), d2lrnn.RecurrentStack("lstm", 5, 2), d2lrnn.Layers("rnn")
    for block in (layer, layers):
        block.initialize()
        outputs, state = block(X, block.begin_state(2))
        assert all(map(is_nd, [outputs, *state])) and outputs.shape == (3, 2, 5)
    outputs, state = stack(list(X), stack.init_state(2, 5), stack.get_params(4, 5))
    assert all(map(is_nd, [*outputs, *state]))


def test_ids_may_be_nd_everywhere():
    model, ids = MODELS["scratch"](), [1, 2, 3, 4, 5]
    assert d2lrnn.evaluate(model, nd.array(ids)) == d2lrnn.evaluate(model, np.array(ids)) == d2lrnn.evaluate(model, ids)
    vocab = d2lrnn.Vocab.from_list("abcdef")
    assert vocab.decode(nd.array(ids)) == vocab.decode(np.array(ids)) == "bcdef"
    with pytest.raises(d2lrnn.D2lrnnError, match="ids has dtype float32: expected whole numbers"):
        vocab.decode(nd.array([0.5]))


def test_an_array_of_gradients_in_nd_is_asked_for_its_gradient():
    for function in (
        lambda params: d2lrnn.grad_clipping(params, 1),
        gradient_norm,
        lambda params: d2lrnn.sgd(params, 1, 1),
    ):
        with pytest.raises(d2lrnn.D2lrnnError, match=r"shape \(2,\) has no gradient: call its attach_grad"):
            function([nd.ones(2)])


WHAT_TO_WRITE = (
    r"an array of shape \(2, \d\) is of mxnet.nd: expected one of mxnet.np; "
    r"write array.as_np_ndarray\(\), which shares its memory and its gradient"
)


@pytest.mark.parametrize("where", ["X", "state", "params"])
def test_a_function_that_takes_no_nd_says_what_to_write(where):
    args = {"X": np.ones((2, 2)), "state": (np.ones((2, 2)),), "params": [np.ones((2, 2)), np.ones((2, 2)), np.ones(2)]}
    args[where] = as_nd(args[where])
    for function in (
        lambda: cells.rnn_step(**args),
        lambda: d2lrnn.CELLS["rnn_relu"].step(**args),
        lambda: unroll(cells.rnn_step, [args["X"]], args["state"], args["params"]),
    ):
        with pytest.raises(d2lrnn.D2lrnnError, match=WHAT_TO_WRITE):
            function()
    if where == "params":
        with pytest.raises(d2lrnn.D2lrnnError, match=WHAT_TO_WRITE):
            output_layer([args["X"]], args["params"][0], np.ones(2))
