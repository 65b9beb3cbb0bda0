"""Signals that ask a training to stop, and interrupts that Python drops."""

import signal
import threading
import time

import pytest
from tiny import quiet, rain, tiny_model, training_of

import d2lrnn
from d2lrnn.interrupts import none_dropped, on_first

CORPUS = rain(times=4)


@pytest.fixture(autouse=True)
def usual_handlers():
    """Python's own handlers, whatever the tests were started by: a shell's background job ignores SIGINT."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_first_signal_acts_and_the_second_does_what_it_did_before():
    seen = []
    with on_first(seen.append, signal.SIGINT, signal.SIGTERM):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert seen == [signal.SIGTERM, signal.SIGINT]
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert seen == [signal.SIGTERM, signal.SIGINT]


def test_the_earlier_handlers_are_put_back():
    with pytest.raises(ZeroDivisionError), on_first(print, signal.SIGINT, signal.SIGTERM):
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with on_first(pytest.fail, signal.SIGINT):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_of_two_blocks_the_outer_one_hears_the_signal():
    outer = []
    with on_first(outer.append, signal.SIGINT), on_first(pytest.fail, signal.SIGINT):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert outer == [signal.SIGINT]


def test_in_another_thread_nothing_changes():
    found = []

    def look():
        with on_first(print, signal.SIGINT), none_dropped():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


class Interrupted:
    """Is interrupted when it is removed, as MXNet's arrays may be."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_that_python_drops_is_raised_again():
    with pytest.raises(KeyboardInterrupt), none_dropped():
        Interrupted()
        for _ in range(1000):
            time.sleep(0.01)
        pytest.fail("nobody was interrupted")
    with pytest.raises(KeyboardInterrupt), none_dropped():
        Interrupted()  # the block ends before the interrupt comes again


class Pressing(d2lrnn.Training):
    """A training in whose batch of this number, counted from its beginning, Ctrl-C is pressed so many times."""

    batch, times, steps = 6, 1, 0

    def step(self, *arguments):
        self.steps += 1
        for _ in range(self.times if self.steps == self.batch else 0):
            signal.raise_signal(signal.SIGINT)
        return super().step(*arguments)


def pressing(**options):
    """Return a training of three epochs of eight batches, and its model."""
    model = tiny_model(CORPUS.vocab_size)
    training = Pressing(model, quiet(**options), d2lrnn.NextToken(CORPUS.vocab_size), segment=50)
    return training, model


def test_ctrl_c_stops_after_the_present_batch_and_the_same_training_goes_on():
    training, model = pressing()
    history = d2lrnn.train_and_predict(model, CORPUS, training.config, training)
    assert history.stopped == "interrupted after 0 of 3 epochs" and training.position.batch == 6
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    history = d2lrnn.train_and_predict(model, CORPUS, training.config, training)
    assert history.stopped == "" and training.steps == 3 * 8
    twin = tiny_model(CORPUS.vocab_size)
    whole = d2lrnn.train_and_predict(twin, CORPUS, training.config, training_of(twin, training.config))
    assert history.perplexity == whole.perplexity


def test_the_second_ctrl_c_ends_it_at_once():
    training, model = pressing()
    training.times = 2
    with pytest.raises(KeyboardInterrupt):
        d2lrnn.train_and_predict(model, CORPUS, training.config, training)
    assert training.position.batch == 5 and training.is_whole


def test_ctrl_c_in_the_very_last_batch_is_told():
    training, model = pressing()
    training.batch = 3 * 8
    history = d2lrnn.train_and_predict(model, CORPUS, training.config, training)
    assert history.stopped == "interrupted after 2 of 3 epochs" and training.position.batch == 8
    history = d2lrnn.train_and_predict(model, CORPUS, training.config, training)
    assert history.stopped == "" and len(history.epochs) == 3


def test_who_watches_a_training_can_end_it():
    training, model = pressing()
    training.times = 0

    def enough(epoch, history):
        if epoch == 2:
            training.halt("told to end")

    batches = lambda: d2lrnn.data_iter_consecutive(CORPUS.train, 4, 5)  # noqa: E731
    history = training.run(batches, enough)
    assert history.stopped == "told to end after 2 of 3 epochs" and training.position.epoch == 3
