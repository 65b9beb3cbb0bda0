"""A classifier and a forecaster, each with an objective of its own, and a program that trains them: no test itself.

``python two_tasks.py TASK FOLDER KILL ...`` begins or goes on with a run in a folder, saves it wherever it can halt,
and kills it at place KILL of these; 0: the run goes on to the end. Each KILL is for a process of its own, one after
the other: a fork, since importing MXNet takes longer than the run. Another FOLDER KILL ... may follow.
"""

import os
import signal
import sys
from pathlib import Path

import numpy
from tiny import ALWAYS

import d2lrnn
from d2lrnn import Checkpoint, Objective, Outcome, TrainConfig, Training, load_checkpoint, rnn_layer
from d2lrnn._runtime import mx
from d2lrnn.cells import rnn_step
from d2lrnn.runs import LAST, RunFolder

np, gluon = mx.np, mx.gluon


class Classifier(gluon.Block):
    """Says of a series (batch_size, num_steps, 2) which of two classes it is of, by the last state of an LSTM."""

    def __init__(self):
        super().__init__()
        self.rnn, self.dense = rnn_layer("lstm", 8, 2), gluon.nn.Dense(2, in_units=8)
        self.initialize(mx.init.Xavier())

    def parameters(self):
        return self._collect_params_with_prefix()

    def begin_state(self, batch_size, ctx=None):
        return tuple(self.rnn.begin_state(batch_size=batch_size, ctx=ctx))

    def forward(self, X, state):
        outputs, state = self.rnn(X.swapaxes(0, 1), list(state))  # (num_steps, batch_size, 8)
        return self.dense(outputs[-1]), tuple(state)


class Classification(Objective):
    measure, less_is_better, unit = "accuracy", False, "series"

    def loss(self, model, batch, state):
        X, labels = batch
        logits, _ = model(X, self.begin(model, batch))
        right = (logits.argmax(axis=1).astype("int32") == labels).sum()
        return Outcome(gluon.loss.SoftmaxCrossEntropyLoss()(logits, labels).mean(), (), right)

    def value(self, loss_sum, score_sum, count):
        return score_sum / count


class Forecaster:
    """Says of a series (batch_size, num_steps) what comes next at each step, by the book's cell."""

    def __init__(self):
        shapes = {"W_xh": (1, 8), "W_hh": (8, 8), "b_h": (8,), "W_hq": (8, 1), "b_q": (1,)}
        self.params = {name: np.random.normal(scale=0.3, size=shape) for name, shape in shapes.items()}
        for param in self.params.values():
            param.attach_grad()

    def parameters(self):
        return self.params

    def begin_state(self, batch_size, ctx=None):
        return (np.zeros((batch_size, 8), ctx=ctx or mx.cpu()),)

    def __call__(self, X, state):
        *cell, W_hq, b_q = self.params.values()
        outputs = []
        for x in X.T:  # of one step (batch_size,)
            H, state = rnn_step(x.reshape(-1, 1), state, cell)
            outputs.append(np.dot(H, W_hq) + b_q)
        return np.concatenate(outputs, axis=1), state  # (batch_size, num_steps)


class Forecasting(Objective):
    measure, unit = "error", "steps"

    def loss(self, model, batch, state):
        X, Y = batch
        forecast, state = model(X, self.begin(model, batch) if state is None else state)
        return Outcome(((forecast - Y) ** 2).mean(), state)

    def count(self, batch):
        return batch[1].size


def series_with_labels(count, seed):
    """Return series of noise, and of each whether its sum is above 0."""
    X = numpy.random.default_rng(seed).normal(size=(count, 6, 2)).astype("float32")
    return X, (X.sum(axis=(1, 2)) > 0).astype("int32")


def batches_of(X, labels, size=16):
    order = numpy.random.permutation(len(X))
    rows = [order[i : i + size] for i in range(0, len(X), size)]
    return [(np.array(X[r]), np.array(labels[r], dtype="int32")) for r in rows]


def waves():
    """Return consecutive windows (4, 10) of four sine waves, and the same moved on by one step."""
    values = numpy.sin(0.4 * numpy.arange(101) + numpy.arange(4)[:, None]).astype("float32")
    return [(np.array(values[:, i : i + 10]), np.array(values[:, i + 1 : i + 11])) for i in range(0, 100, 10)]


def accuracy(model, X, labels):
    logits, _ = model(np.array(X), model.begin_state(len(X)))
    return float((logits.argmax(axis=1).asnumpy() == labels).mean())


def task(name):
    """Return model, objective, configuration, what makes an epoch's batches, and what measures after each epoch."""
    d2lrnn.set_seed(1)
    config = TrainConfig(num_epochs=6, optimizer="adam", lr=0.02, theta=1.0, seed=1, averaging=2, verbose=False)
    if name == "forecast":
        return Forecaster(), Forecasting(), config, waves, None
    model, (X, labels) = Classifier(), series_with_labels(256, seed=3)
    held_out = series_with_labels(200, seed=4)

    def measure(epoch, history):
        history.epochs[-1]["valid_accuracy"] = accuracy(model, *held_out)

    return model, Classification(), config, lambda: batches_of(X, labels), measure


def main(name, folder, kill):
    model, objective, config, make_batches, measure = task(name)
    training = Training(model, config, objective, segment=3)
    if (folder / LAST).exists():
        last = load_checkpoint(folder / LAST)
        last.fill(model)
        training.restore(last.training)
    run, places = RunFolder(folder, training, Checkpoint(None, {}, config, name), ALWAYS), iter(range(1, 1000))
    run.begin("a test")

    def halt():
        run.keep()
        if next(places) == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    training.run(make_batches, measure, halt)
    run.finish()


def fork(name, folder, kill):
    """Do this in a child, and check how it ends."""
    child = os.fork()
    if not child:
        try:
            main(name, folder, kill)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status != (signal.SIGKILL if kill else 0):
        raise SystemExit(f"the run that was to be killed at place {kill} ended with status {status}")


if __name__ == "__main__":
    out = Path()
    for argument in sys.argv[2:]:
        if argument.isdigit():
            fork(sys.argv[1], out, int(argument))
        else:
            out = Path(argument)
