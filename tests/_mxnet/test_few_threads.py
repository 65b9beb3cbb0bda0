"""One thread for small operators while other programs need cores."""

import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from d2lrnn._mxnet.few_threads import FewThreads


def recorded(busy):
    """Return the context, its watch, and the list of the numbers of threads that are set."""
    watch, counts = SimpleNamespace(team=object() if busy else None), []
    return FewThreads(watch, counts.append, 4), watch, counts


def test_nothing_is_set_while_there_is_a_core_for_each_thread():
    few, _, counts = recorded(busy=False)
    with few():
        pass
    assert counts == []


def test_the_number_comes_back_after_an_error_too():
    few, watch, counts = recorded(busy=True)
    with pytest.raises(KeyError), few():
        assert counts == [1]
        watch.team = None  # the others are done meanwhile
        raise KeyError
    assert counts == [1, 4]


def test_two_within_together_count_once():
    few, _, counts = recorded(busy=True)
    inside, leave = threading.Event(), threading.Event()

    def other():
        with few():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    with few():
        assert counts == [1]
    assert counts == [1]
    leave.set()
    thread.join()
    assert counts == [1, 4]
    with few(), few():
        assert counts == [1, 4, 1]
    assert counts == [1, 4, 1, 4]


# The number that MXNet's worker has, as a function of the engine's sees it; then a text with one thread and with two.
WORKER = """
import ctypes, os, numpy, d2lrnn
from d2lrnn._mxnet import few_threads
from d2lrnn._runtime import mx
gomp = ctypes.CDLL('libgomp.so.1')
threads, seen = few_threads.WorkerThreads(mx, gomp), []
look = few_threads.WorkerThreads(mx, gomp)
look._function = few_threads._FUNCTION(lambda context, count: seen.append(gomp.omp_get_max_threads()))
vocab = d2lrnn.Vocab.from_list([chr(i) for i in range(97, 123)])
d2lrnn.set_seed(1)
model = d2lrnn.build_model(d2lrnn.ModelConfig(num_hiddens=32, init_scale=0.5), len(vocab))
X = mx.np.random.normal(size=(64, 64))
texts, products = set(), []
for count in (1, 2, 1):
    threads.set(count)
    look.set(1)
    texts.add(d2lrnn.predict('abc', 50, model, vocab))
    products.append(mx.npx.fully_connected(X, X, no_bias=True, num_hidden=64).asnumpy())
    if hasattr(os, 'fork') and count == 2:
        child = os.fork()
        if not child:
            os._exit(int(mx.np.ones((3,)).sum()) + 4)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert numpy.array_equal(products[0], products[1])
print(seen, len(texts))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only Linux has this libgomp")
def test_the_worker_has_the_number_and_writes_the_same():
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    result = subprocess.run([sys.executable, "-c", WORKER], env=environment, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("[1, 2, 1] 1\n", "")
