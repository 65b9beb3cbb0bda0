"""The names and arguments of the book's other editions, and what they are called in d2lrnn.

Names that d2lrnn shares with the book are not here.  "v1" is d2l-zh v1, chapter 6; "0.17" is d2l 0.17, chapter 8;
"1.0" is d2l 1.0, chapter 9.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from d2lrnn.errors import D2lrnnError

Function = TypeVar("Function", bound=Callable)

_SCRATCH = "RNNModelScratch(vocab_size, num_hiddens, ctx, get_rnn_params, init_rnn_state, rnn)"
_GLUON = "RNNModel(rnn_layer('rnn', num_hiddens), vocab_size)"
_TRAIN = (
    "train_and_predict(model, corpus, TrainConfig(num_epochs=num_epochs, num_steps=num_steps, lr=lr, "
    "theta=clipping_theta, batch_size=batch_size, batches='random', pred_period=pred_period, pred_len=pred_len, "
    "prefixes=prefixes)), where batches may also be 'consecutive'"
)
_D2L = "it is in the book's own package, which comes with d2lrnn: from d2l import mxnet as d2l"

# By the book's name: what to write in d2lrnn.
ANSWERS = {
    # v1
    "predict_rnn": f"predict(prefix, num_chars, model, corpus.vocab), with model = {_SCRATCH}",
    "predict_rnn_gluon": "predict(prefix, num_chars, model, corpus.vocab)",
    "train_and_predict_rnn": f"{_TRAIN}, with model = {_SCRATCH}",
    "train_and_predict_rnn_gluon": f"{_TRAIN}, with model = {_GLUON}",
    "get_params": "get_rnn_params(vocab_size, num_hiddens, ctx), or get_gru_params, get_lstm_params",
    # 0.17, and before it
    "predict_ch8": "predict(prefix, num_preds, net, vocab)",
    "train_ch8": "train_and_predict(net, corpus, TrainConfig(lr=lr, num_epochs=num_epochs, batches='random')), where "
    "batches may also be 'consecutive'; or train(net, make_batches, config), for batches of your own",
    "train_epoch_ch8": "train(net, make_batches, TrainConfig(lr=lr, num_epochs=1))",
    "seq_data_iter_random": "data_iter_random(corpus.train, batch_size, num_steps)",
    "seq_data_iter_sequential": "data_iter_consecutive(corpus.train, batch_size, num_steps)",
    "seq_data_iter_consecutive": "data_iter_consecutive(corpus.train, batch_size, num_steps)",
    "SeqDataLoader": "data_iter_random(corpus.train, batch_size, num_steps), or data_iter_consecutive, called anew for "
    "each epoch",
    "read_time_machine": "load_data_time_machine(), whose text is corpus.vocab.decode(corpus.train)",
    "load_corpus_time_machine": "load_data_time_machine(max_tokens), whose ids are corpus.train, with corpus.vocab",
    "tokenize": "data.tokenize(text, level='word'), or Vocab(text, level='word'), which does it itself",
    "count_corpus": "Vocab(tokens), which counts the tokens itself",
    # 1.0
    "TimeMachine": "load_data_time_machine(), with data_iter_random(corpus.train, batch_size, num_steps)",
    "Trainer": "train_and_predict(model, corpus, TrainConfig(num_epochs=max_epochs, theta=gradient_clip_val))",
    "RNNLMScratch": _SCRATCH,
    "RNNLM": _GLUON,
    "RNNScratch": "rnn(inputs, state, params), or, without the output layer, Layers('rnn')",
    "GRUScratch": "gru(inputs, state, params), or, without the output layer, Layers('gru')",
    "LSTMScratch": "lstm(inputs, state, params), or, without the output layer, Layers('lstm')",
    "StackedRNNScratch": "Layers('rnn', num_layers=num_layers)",
    "BiRNNScratch": "Layers('rnn', bidirectional=True)",
    "RNN": "rnn_layer('rnn', num_hiddens)",
    "GRU": "rnn_layer('gru', num_hiddens), or UnrolledLayer('gru', num_hiddens) for the book's equations",
    "LSTM": "rnn_layer('lstm', num_hiddens)",
    "BiRNN": "rnn_layer('rnn', num_hiddens, bidirectional=True)",
    # of all editions
    "Animator": _D2L,
    "Timer": _D2L,
    "plot": _D2L,
}


def answer(name: str) -> str | None:
    """Return the sentence that says what a name of the book is called in d2lrnn; None: the book has no such name."""
    if name not in ANSWERS:
        return None
    advice = ANSWERS[name] if ANSWERS[name] is _D2L else f"write d2lrnn.{ANSWERS[name]}"
    return f"d2lrnn has nothing called {name}, a name of the book: {advice}"


def refuse_batches(load: Function) -> Function:
    """Return a function that loads a corpus and refuses the book's ``batch_size`` and ``num_steps``.

    In d2l 0.17 ``load_data_time_machine(32, 35)`` makes batches too, and returns them with a vocabulary.
    """

    @functools.wraps(load)
    def checked(*args: Any, **options: Any) -> Any:
        of_the_book = {"batch_size", "num_steps", "use_random_iter"} & set(options)
        if of_the_book or len(args) > 1 and isinstance(args[1], int):
            found = ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in options.items())])
            raise D2lrnnError(
                f"{load.__name__}({found}) has the book's batch_size and num_steps: write corpus = {load.__name__}(), "
                "then d2lrnn.data_iter_random(corpus.train, batch_size, num_steps), or data_iter_consecutive; the "
                "vocabulary is corpus.vocab"
            )
        return load(*args, **options)

    return cast(Function, checked)
