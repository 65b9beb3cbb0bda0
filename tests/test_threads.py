"""All that d2lrnn does, it does in any thread, and in several at once."""

import copy
import ctypes
import functools
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy
import pytest
from tiny import FOX_CORPUS, quiet, rain, save_model, tiny_model

import d2lrnn
from d2lrnn import Sampling, load_checkpoint
from d2lrnn._runtime import mx
from d2lrnn.models.parameters import named_parameters, numbers_of

CORPUS = rain(times=8)
THREADS = 4


def in_threads(function, count=THREADS):
    """Return what a function returns in each of several threads that begin together."""
    start = threading.Barrier(count)

    def wait_and_call():
        start.wait()
        return function()

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(wait_and_call) for _ in range(count)]]


def in_thread(function):
    return in_threads(function, 1)[0]


# np mode


def np_mode():
    return mx.util.is_np_array(), mx.util.is_np_shape(), mx.nd.ones((2,)).as_np_ndarray().sum().shape


def test_np_mode_holds_in_every_thread():
    on = True, True, ()
    assert in_threads(np_mode) == [on] * THREADS
    scalar = mx.np.ones((3,)).sum()
    assert in_thread(lambda: scalar.shape) == ()  # the first thing that the thread does


def test_reset_np_is_for_the_thread_that_calls_it():
    def reset():
        mx.npx.reset_np()
        dense = mx.gluon.nn.Dense(2)
        dense.initialize()
        return mx.util.is_np_array(), mx.util.is_np_shape(), type(dense(mx.nd.ones((1, 2))))

    try:
        assert in_thread(reset) == (False, False, mx.nd.NDArray)
        assert np_mode() == in_thread(np_mode) == (True, True, ())
    finally:
        in_thread(lambda: mx.util.set_np_shape(2))  # as importing d2lrnn left it


def test_every_thread_leaves_openmp_to_the_engine():
    """As for the importing thread: a second team of OpenMP's would slow every later operator down."""

    numbers = mx.np.ones((2,))

    def threads(copy_numbers):
        copy_numbers()
        return ctypes.CDLL("libgomp.so.1").omp_get_max_threads()

    for copy_numbers in (numbers.asnumpy, lambda: mx.np.array([1.0, 2.0]), lambda: float(numbers[0])):
        assert in_threads(functools.partial(threads, copy_numbers)) == [1] * THREADS


@pytest.mark.parametrize("program", ["import d2lrnn", "import numpy; numpy.bool = numpy.bool_; import mxnet, d2lrnn"])
def test_d2lrnn_may_be_imported_in_another_thread(program):
    program = f"""
import threading
def begin():
    {program}
thread = threading.Thread(target=begin); thread.start(); thread.join()
import d2lrnn
vocab = d2lrnn.Vocab("abcabc")
for kind in ("scratch", "fast", "gluon"):
    d2lrnn.set_seed(1)
    model = d2lrnn.build_model(d2lrnn.ModelConfig(kind, "lstm", 4, 2), len(vocab))
    print(len(d2lrnn.predict("a", 5, model, vocab)), end=" ")
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("6 6 6 ", 0), done.stderr


# Names


def test_layers_of_two_threads_can_be_one_model():
    layers = in_threads(lambda: [mx.gluon.rnn.LSTM(4) for _ in range(20)])
    prefixes = [layer.prefix for made in layers for layer in made]
    assert len(set(prefixes)) == 20 * THREADS
    model = mx.gluon.nn.Sequential()
    model.add(*(made[0] for made in layers))
    assert len(model.collect_params().keys()) == 4 * THREADS


# One model, many threads

KINDS = {
    "scratch": {"kind": "scratch", "cell": "gru"},
    "fast": {"kind": "fast", "cell": "lstm"},
    "fused": {"kind": "gluon", "cell": "lstm", "num_layers": 2},
    "unrolled": {"kind": "gluon", "cell": "lstm_peephole", "num_layers": 2},
    "embedded": {"kind": "gluon", "cell": "gru", "embed_size": 5, "dropout": 0.5},
}
kinds = pytest.mark.parametrize("settings", KINDS.values(), ids=list(KINDS))
widths = iter(range(11, 1000))  # each test has a shape of its own, for which nothing is compiled yet


def new_model(settings, num_hiddens):
    return tiny_model(CORPUS.vocab_size, **settings, num_hiddens=num_hiddens, init_scale=1.0)


def perplexities(model):
    """Evaluate with several numbers of steps, so that threads need different graphs of one model."""
    ids, end = CORPUS.train[:60], CORPUS.vocab.token_to_idx[" "]
    found = [d2lrnn.evaluate(model, ids, 2, num_steps) for num_steps in (3, 7, 4)]
    return [*found, d2lrnn.evaluate_lines(model, ids, end)]


def texts(model):
    wild = d2lrnn.generate(["the "] * 3, 20, model, CORPUS.vocab, Sampling(1.0, seed=1))
    searched = d2lrnn.generate(["the "], 8, model, CORPUS.vocab, Sampling(beam_width=3))
    return d2lrnn.predict("the ", 30, model, CORPUS.vocab), [sample.text for sample in (*wild, *searched)]


@kinds
@pytest.mark.parametrize("ask", [perplexities, texts])
def test_the_first_calls_of_four_threads_give_what_one_thread_gives(settings, ask):
    num_hiddens = next(widths)
    model = new_model(settings, num_hiddens)
    found = in_threads(lambda: ask(model))
    assert found == [ask(new_model(settings, num_hiddens))] * THREADS
    assert ask(model) == found[0]  # the model is not spoilt for this thread


def test_different_questions_to_one_model_at_once():
    model = new_model(KINDS["unrolled"], next(widths))
    expected = [texts(model), perplexities(model)]
    asked = iter([texts, perplexities] * 2)
    found = in_threads(lambda: next(asked)(model))
    assert sorted(map(str, found)) == sorted(map(str, expected * 2))


def test_a_hybrid_block_of_the_users_own_compiles_once():
    class Own(mx.gluon.nn.HybridBlock):
        calls = 0

        def __init__(self):
            super().__init__()
            with self.name_scope():
                self.dense = mx.gluon.nn.Dense(3, in_units=2)

        def hybrid_forward(self, F, x):
            self.calls += 1
            for _ in range(200):
                x = F.npx.relu(self.dense(x)[:, :2] + 1)
            return x

    block, X = Own(), mx.np.ones((1, 2))
    block.initialize()
    eager = block(X).asnumpy()
    block.calls = 0
    block.hybridize()
    for found in in_threads(lambda: block(X).asnumpy()):
        assert (found == eager).all()
    assert block.calls == 1


# Training


def trained(model, **settings):
    """Train and write; return history and parameters."""
    config = quiet(num_epochs=2, prefixes=("the ",), pred_len=5, seed=4, **settings)
    history = d2lrnn.train_and_predict(model, CORPUS, config)
    return history.perplexity, history.samples, numbers_of(named_parameters(model))


def assert_equal(found, expected):
    assert found[:-1] == expected[:-1]
    for name, values in expected[-1].items():
        numpy.testing.assert_array_equal(found[-1][name], values)


@kinds
def test_training_in_another_thread_gives_the_same_numbers(settings):
    def build_and_train():
        return trained(new_model(settings, 8), batches="random")

    assert_equal(in_thread(build_and_train), build_and_train())


def test_two_models_are_trained_in_two_threads_at_once():
    """Consecutive batches without dropout: what draws no random numbers, which are those of the whole process."""
    models = [new_model(KINDS[name], 9) for name in ("fast", "unrolled")]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(partial(trained, batches="consecutive"), copy.deepcopy(models)))
    for one, model in zip(found, models):
        assert_equal(one, trained(model, batches="consecutive"))


def test_a_checkpoint_is_loaded_in_another_thread(tmp_path):
    path = save_model(tmp_path / "model.d2lrnn", FOX_CORPUS, ("the ",))

    def load_and_write():
        return d2lrnn.predict("the ", 10, load_checkpoint(path).build_model(), FOX_CORPUS.vocab)

    assert in_thread(load_and_write) == load_and_write()
