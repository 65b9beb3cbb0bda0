"""The book's package d2lzh 1.0.0 with cells from the book's equations, and plain Gluon; all in MXNet's nd mode."""

from __future__ import annotations

import numpy

numpy.bool = numpy.bool_  # MXNet 1.9.1 reads it, NumPy 1.24 removed it

import d2lzh  # noqa: E402
import mxnet as mx  # noqa: E402
from mxnet import autograd, gluon, init, nd  # noqa: E402
from mxnet.gluon import loss as gloss  # noqa: E402
from mxnet.gluon import nn, rnn  # noqa: E402

from speed.work import SkippedError, Work, alphabet, prefixes, zipf_batch  # noqa: E402

PACKAGES = ("d2lzh", "mxnet", "numpy")
CTX = mx.cpu()
WRITTEN_OF_MANY = 2  # prefixes measured where there are many: the book writes them one after another

wait = nd.waitall


# The cells are in the book's text, not in its package. Here they are written from its equations (d2l-zh v1, sections
# 6.4, 6.7, 6.8) with the operators that the text uses: a product for each weight, a step at a time, nothing fused.


def rnn_step(X, state, params):
    """Take one step of equation 6.4.1."""
    W_xh, W_hh, b_h = params
    H = nd.tanh(nd.dot(X, W_xh) + nd.dot(state[0], W_hh) + b_h)
    return H, (H,)


def gru_step(X, state, params):
    """Take one step of equations 6.7.1 to 6.7.3."""
    W_xz, W_hz, b_z, W_xr, W_hr, b_r, W_xh, W_hh, b_h = params
    (H,) = state
    Z = nd.sigmoid(nd.dot(X, W_xz) + nd.dot(H, W_hz) + b_z)
    R = nd.sigmoid(nd.dot(X, W_xr) + nd.dot(H, W_hr) + b_r)
    H_tilda = nd.tanh(nd.dot(X, W_xh) + nd.dot(R * H, W_hh) + b_h)
    H = Z * H + (1 - Z) * H_tilda
    return H, (H,)


def lstm_step(X, state, params):
    """Take one step of equations 6.8.1 to 6.8.4."""
    W_xi, W_hi, b_i, W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c = params
    H, C = state
    I = nd.sigmoid(nd.dot(X, W_xi) + nd.dot(H, W_hi) + b_i)
    F = nd.sigmoid(nd.dot(X, W_xf) + nd.dot(H, W_hf) + b_f)
    O = nd.sigmoid(nd.dot(X, W_xo) + nd.dot(H, W_ho) + b_o)
    C_tilda = nd.tanh(nd.dot(X, W_xc) + nd.dot(H, W_hc) + b_c)
    C = F * C + I * C_tilda
    H = O * nd.tanh(C)
    return H, (H, C)


def language_model(step):
    """Return the function that d2lzh's loops call: (inputs, state, params) -> (outputs, state)."""

    def forward(inputs, state, params):
        *weights, W_hq, b_q = params
        outputs = []
        for X in inputs:
            H, state = step(X, state, weights)
            outputs.append(nd.dot(H, W_hq) + b_q)
        return outputs, state

    return forward


CELLS = {"rnn": (rnn_step, 1, 1), "gru": (gru_step, 3, 1), "lstm": (lstm_step, 4, 2)}  # gates, arrays in the state


def new_params(cell: str, vocab_size: int, num_hiddens: int) -> list:
    """Return parameters with gradients: of each gate the weights of X and H and the bias, then the output layer's."""
    shapes = [(vocab_size, num_hiddens), (num_hiddens, num_hiddens), (num_hiddens,)] * CELLS[cell][1]
    shapes += [(num_hiddens, vocab_size), (vocab_size,)]
    params = [nd.random.normal(scale=0.01, shape=s, ctx=CTX) if len(s) > 1 else nd.zeros(s, ctx=CTX) for s in shapes]
    for param in params:
        param.attach_grad()
    return params


def prepare(implementation: str, task: str, params: dict) -> Work:
    """Make the work of one case."""
    mx.random.seed(0)
    works = {
        ("book scratch", "training"): _book_scratch_training,
        ("book gluon", "training"): _book_gluon_training,
        ("plain gluon", "training"): _plain_gluon_training,
        ("book scratch", "generation"): _book_scratch_generation,
        ("book gluon", "generation"): _book_gluon_generation,
    }
    if (implementation, task) not in works:
        raise SkippedError(f"{implementation} has no {task}")
    return works[implementation, task](params)


def _book_scratch_training(params: dict) -> Work:
    """Do what a step of d2lzh.train_and_predict_rnn does, by d2lzh's functions."""
    step, _, num_states = CELLS[params["cell"]]
    model, vocab_size = language_model(step), params["vocab_size"]
    weights = new_params(params["cell"], vocab_size, params["num_hiddens"])
    loss = gloss.SoftmaxCrossEntropyLoss()
    X, Y = (nd.array(ids, ctx=CTX) for ids in zipf_batch(params))
    state = tuple(nd.zeros((params["batch_size"], params["num_hiddens"]), ctx=CTX) for _ in range(num_states))

    def run() -> float:
        nonlocal state
        state = tuple(s.detach() for s in state)
        with autograd.record():
            outputs, state = model(d2lzh.to_onehot(X, vocab_size), state, weights)
            mean = loss(nd.concat(*outputs, dim=0), Y.T.reshape((-1,))).mean()
        mean.backward()
        d2lzh.grad_clipping(weights, params["theta"], CTX)
        d2lzh.sgd(weights, params["lr"], 1)
        return float(mean.asscalar())

    return Work(run)


def _book_model(params: dict):
    layer = {"rnn": rnn.RNN, "gru": rnn.GRU, "lstm": rnn.LSTM}[params["cell"]](params["num_hiddens"])
    model = d2lzh.RNNModel(layer, params["vocab_size"])
    model.initialize(ctx=CTX, force_reinit=True, init=init.Normal(0.01))
    return model


def _book_gluon_training(params: dict) -> Work:
    """Do what a step of d2lzh.train_and_predict_rnn_gluon does, by d2lzh's functions."""
    model, loss = _book_model(params), gloss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(model.collect_params(), "sgd", {"learning_rate": params["lr"], "momentum": 0, "wd": 0})
    X, Y = (nd.array(ids, ctx=CTX) for ids in zipf_batch(params))
    state = model.begin_state(batch_size=params["batch_size"], ctx=CTX)

    def run() -> float:
        nonlocal state
        state = [s.detach() for s in state]
        with autograd.record():
            logits, state = model(X, state)
            mean = loss(logits, Y.T.reshape((-1,))).mean()
        mean.backward()
        d2lzh.grad_clipping([p.data() for p in model.collect_params().values()], params["theta"], CTX)
        trainer.step(1)
        return float(mean.asscalar())

    return Work(run)


class PlainModel(gluon.HybridBlock):
    """An embedding, a fused LSTM of several layers and a dense layer; ids (num_steps, batch_size) come in."""

    def __init__(self, params: dict) -> None:
        super().__init__()
        size, vocab_size = params["num_hiddens"], params["vocab_size"]
        with self.name_scope():
            self.embedding = nn.Embedding(vocab_size, params["embed_size"])
            # The dropout between the layers does nothing on the CPU (MXNet 1.9.1), so this one does a little less.
            layers, drop = params["num_layers"], params["dropout"]
            self.rnn = rnn.LSTM(size, layers, dropout=drop, input_size=params["embed_size"])
            self.drop = nn.Dropout(drop)
            self.dense = nn.Dense(vocab_size, flatten=False, in_units=size)

    def hybrid_forward(self, F, ids, state):
        """Compute logits (num_steps, batch_size, vocab_size)."""
        outputs, state = self.rnn(self.drop(self.embedding(ids)), state)
        return self.dense(self.drop(outputs)), state


def _plain_gluon_training(params: dict) -> Work:
    model, loss = PlainModel(params), gloss.SoftmaxCrossEntropyLoss()
    model.initialize(init.Normal(0.01), ctx=CTX)
    model.hybridize()
    loss.hybridize()
    trainer = gluon.Trainer(model.collect_params(), "sgd", {"learning_rate": params["lr"]})
    X, Y = (nd.array(ids.T, ctx=CTX, dtype="int32") for ids in zipf_batch(params))
    state = model.rnn.begin_state(batch_size=params["batch_size"], ctx=CTX)

    def run() -> float:
        nonlocal state
        state = [s.detach() for s in state]
        with autograd.record():
            logits, state = model(X, state)
            mean = loss(logits.reshape((-3, 0)), Y.reshape((-1,))).mean()
        mean.backward()
        gradients = [p.grad(CTX) for p in model.collect_params().values()]
        gluon.utils.clip_global_norm(gradients, params["theta"])
        trainer.step(1)
        return float(mean.asscalar())

    return Work(run)


def _one_after_another(params: dict, write) -> Work:
    texts = prefixes(params["num_prefixes"], params["vocab_size"])
    measured = texts[:WRITTEN_OF_MANY]
    return Work(lambda: [write(text) for text in measured], len(texts) / len(measured))


def _book_scratch_generation(params: dict) -> Work:
    step, _, num_states = CELLS[params["cell"]]
    model, vocab_size, num_hiddens = language_model(step), params["vocab_size"], params["num_hiddens"]
    weights = new_params(params["cell"], vocab_size, num_hiddens)
    letters = alphabet(vocab_size)
    index = {letter: i for i, letter in enumerate(letters)}

    def init_state(batch_size, num_hiddens, ctx):
        return tuple(nd.zeros((batch_size, num_hiddens), ctx=ctx) for _ in range(num_states))

    def write(text: str) -> str:
        num_chars = params["num_preds"]
        return d2lzh.predict_rnn(
            text, num_chars, model, weights, init_state, num_hiddens, vocab_size, CTX, letters, index
        )

    return _one_after_another(params, write)


def _book_gluon_generation(params: dict) -> Work:
    model, letters = _book_model(params), alphabet(params["vocab_size"])
    index = {letter: i for i, letter in enumerate(letters)}

    def write(text: str) -> str:
        return d2lzh.predict_rnn_gluon(text, params["num_preds"], model, params["vocab_size"], CTX, letters, index)

    return _one_after_another(params, write)
