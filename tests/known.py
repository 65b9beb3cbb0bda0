"""Models of which is known beforehand what they say: of a token's probabilities, or in validation."""

import math
import time

import numpy

from d2lrnn._runtime import mx


class Wrapped:
    """A model that does as another one does; what it is made of, only the other one knows."""

    def __init__(self, model):
        self.model, self.parameters, self.begin_state = model, model.parameters, model.begin_state
        self.vocab_size, self.bidirectional, self.calls = model.vocab_size, model.bidirectional, 0

    def __call__(self, X, state):
        self.calls += 1
        return self.model(X, state)


class Scaled(Wrapped):
    """A model whose logits are multiplied by a number, which ``scale`` tells of each call, from 1."""

    def __init__(self, model, scale):
        super().__init__(model)
        self.scale = scale

    def __call__(self, X, state):
        logits, state = super().__call__(X, state)
        return logits * mx.np.array(self.scale(self.calls)), state


class Failing(Scaled):
    """A model whose logits are NaN from one call on."""

    def __init__(self, model, good_calls):
        super().__init__(model, lambda call: 1.0 if call <= good_calls else math.nan)


def round_and_round(vocab_size, count, first=0):
    """Return ids each of which is the one before plus 1, and after the last of the vocabulary comes 0."""
    return (numpy.arange(first, first + count) % vocab_size).astype("int32")


class Told(Wrapped):
    """A model that learns as another one does, and whose perplexity in validation is what the test says.

    Validation must be on the ids of :func:`round_and_round`.

    Args:
        model: what is trained.
        answers: the perplexity of each epoch, above 1, ``inf`` and NaN too; an exception is raised.
        watch: called at the beginning of each validation.
    """

    def __init__(self, model, answers, watch=lambda: None):
        super().__init__(model)
        self.answers, self.watch, self.has_learnt, self.answer = iter(answers), watch, False, None

    def __call__(self, X, state):
        if mx.autograd.is_recording():
            self.has_learnt = True
            return super().__call__(X, state)
        if self.has_learnt:
            self.answer = next(self.answers)
            if isinstance(self.answer, BaseException):
                raise self.answer
            self.has_learnt = False
            self.watch()
        following = (X.asnumpy().T.reshape(-1) + 1) % self.vocab_size
        # Of p = 1 + (n - 1) e^x, x are the logits of the n - 1 wrong tokens where that of the right one is 0.
        wrong = (self.answer - 1) / (self.vocab_size - 1)
        logits = numpy.full((following.size, self.vocab_size), 1e6 if wrong == math.inf else math.log(wrong), "float32")
        logits[numpy.arange(following.size), following] = 0
        return mx.np.array(logits), state


# Models with known probabilities

# By the last token: five rows of probabilities, all different and none near another.
CHAIN = numpy.array(
    [
        [0.05, 0.50, 0.20, 0.15, 0.10],
        [0.30, 0.08, 0.02, 0.44, 0.16],
        [0.26, 0.03, 0.11, 0.19, 0.41],
        [0.07, 0.21, 0.55, 0.04, 0.13],
        [0.01, 0.34, 0.09, 0.48, 0.08],
    ]
)


class Known:
    """A model whose logits are rows of a table: which row, the state tells, made of all ids so far."""

    bidirectional = False

    def __init__(self, table, remember=0):
        """With ``remember`` 0 the row is the last id; else it depends on everything before it too."""
        self.table, self.remember, self.vocab_size = numpy.asarray(table, "float32"), remember, len(table[0])

    def begin_state(self, batch_size, ctx=None):
        return (mx.np.zeros((batch_size, 1)),)

    def __call__(self, X, state):
        code, logits = state[0].asnumpy()[:, 0].astype(int), []
        for ids in X.asnumpy().T:
            code = self.next(code, ids)
            logits.append(self.table[code])
        return mx.np.array(numpy.concatenate(logits)), (mx.np.array(code[:, None], dtype="float32"),)

    def next(self, code, ids):
        return (code * self.remember + ids) % len(self.table)

    def logits(self, ids, penalty=1.0):
        """Return the logits of what follows ids, one after another, those of ids made worse."""
        code = 0
        for i in ids:
            code = self.next(code, i)
        logits = self.table[code].tolist()
        return [x if i not in ids else x / penalty if x > 0 else x * penalty for i, x in enumerate(logits)]

    def log_probs(self, ids, penalty=1.0):
        """Return the logarithms of the probabilities that these logits stand for."""
        logits = self.logits(ids, penalty)
        return [x - math.log(sum(math.exp(other) for other in logits)) for x in logits]


def chain(probabilities=CHAIN):
    with numpy.errstate(divide="ignore"):
        return Known(numpy.log(probabilities))


def random_model(seed, vocab_size=4):
    return Known(numpy.random.default_rng(seed).normal(0, 1.5, (97, vocab_size)), remember=7)


class Counting(Known):
    """Counts how often it is asked, and notes what for."""

    def __init__(self, table):
        super().__init__(table, remember=7)
        self.read = []

    def __call__(self, X, state):
        self.read.append(X.asnumpy()[:, 0].tolist())
        return super().__call__(X, state)


class Slow(Known):
    """A model that takes its time, and counts how often it is asked; with a gate it waits to be let through."""

    def __init__(self, seconds=0.003, gate=None, vocab_size=11):
        super().__init__(random_model(3, vocab_size).table, remember=7)
        self.seconds, self.gate, self.calls = seconds, gate, 0

    def __call__(self, X, state):
        if self.gate:
            assert self.gate.acquire(timeout=60)
        time.sleep(self.seconds)
        self.calls += 1
        return super().__call__(X, state)
