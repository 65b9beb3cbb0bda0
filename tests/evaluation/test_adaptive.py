import argparse
import dataclasses
import math
import re

import numpy
import pytest

from d2lrnn._runtime import mx
from d2lrnn.cli import main as cli
from d2lrnn.config.evaluation import Cache, Dynamic
from d2lrnn.config.model import Dropout, ModelConfig
from d2lrnn.config.training import TrainConfig
from d2lrnn.data.datasets import load_corpus
from d2lrnn.data.ids import load_ids
from d2lrnn.data.vocabulary import UnknownTokenError, Vocab
from d2lrnn.evaluation import adaptive
from d2lrnn.evaluation.adaptive import evaluate_adaptively, mean_squared_gradients, token_losses_adaptively
from d2lrnn.evaluation.losses import perplexity
from d2lrnn.evaluation.texts import evaluate
from d2lrnn.models.build import build_model
from d2lrnn.models.parameters import get_values, named_parameters, set_values
from d2lrnn.models.protocol import LooksAheadError
from d2lrnn.models.scratch import RNNModelScratch
from d2lrnn.models.stack import Stack
from d2lrnn.runs.checkpoint import Checkpoint, save_checkpoint
from d2lrnn.runs.origin import origin_of

VOCAB_SIZE, LENGTH = 9, 53
DROPOUT = {"dropout": Dropout(0.5, 0.5, 0.5, words=0.3, weights=0.3, locked=True)}
CONFIGS = {
    "scratch": ModelConfig(kind="scratch", cell="gru", num_hiddens=6, init_scale=0.8),
    "fast": ModelConfig(kind="fast", cell="lstm", num_hiddens=6, init_scale=0.8),
    "gru": ModelConfig(cell="gru", num_hiddens=6, embed_size=5, init_scale=0.8, **DROPOUT),
    "tied lstm": ModelConfig(num_layers=2, num_hiddens=6, embed_size=6, tie_weights=True, init_scale=0.8, **DROPOUT),
}
ON_GLUON = ("gru", "tied lstm")
CACHE = Cache(window=20, theta=1.5, share=0.3)
DYNAMIC = Dynamic(lr=0.02, decay=0.05, num_steps=5, eps=1e-3, gradient_tokens=30)


@pytest.fixture
def ids():
    """A text to evaluate on."""
    return numpy.random.randint(0, VOCAB_SIZE, LENGTH).astype("int32")


@pytest.fixture
def train_ids():
    """A text to collect gradients on."""
    return numpy.random.randint(0, VOCAB_SIZE, 44).astype("int32")


def make(name, **settings):
    return build_model(dataclasses.replace(CONFIGS[name], **settings), VOCAB_SIZE)


def twin_of(model, name):
    """Return the same model without dropout and not compiled."""
    plain = {field.name: field.default for field in dataclasses.fields(ModelConfig) if "dropout" in field.name}
    settings = dataclasses.replace(CONFIGS[name], **plain)
    settings = dataclasses.replace(settings, kind="scratch") if settings.kind == "fast" else settings
    twin = build_model(settings, VOCAB_SIZE)
    if settings.kind == "gluon":
        twin.hybridize(False)
    for param, source in zip(named_parameters(twin).values(), named_parameters(model).values()):
        set_values(param, get_values(source))
    return twin


def values_of(model):
    return {name: get_values(param).asnumpy() for name, param in named_parameters(model).items()}


def equal(these, those):
    return all((array == those[name]).all() for name, array in these.items())


def softmax(logits):
    p = numpy.exp(logits.asnumpy().astype("float64"))
    return p / p.sum(axis=1, keepdims=True)


# as without


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("num_steps", [4, 7, 100])
def test_without_cache_and_learning_it_is_evaluate(ids, name, num_steps):
    model = make(name)
    expected = evaluate(model, ids, num_steps=num_steps)
    assert evaluate_adaptively(model, ids, num_steps=num_steps) == pytest.approx(expected, rel=1e-6)
    without = {"dynamic": Dynamic(lr=0.0)} if name not in ON_GLUON else {"cache": Cache(share=0.0), "dynamic": None}
    assert evaluate_adaptively(model, ids, num_steps=num_steps, **without) == pytest.approx(expected, rel=1e-6)


def test_the_perplexity_is_that_of_the_token_losses(ids, train_ids):
    model = make("gru")
    losses = token_losses_adaptively(model, ids, CACHE, DYNAMIC, train_ids)
    assert losses.shape == (LENGTH - 1,)
    assert evaluate_adaptively(model, ids, CACHE, DYNAMIC, train_ids) == perplexity(losses.sum(), LENGTH - 1)


# the cache


def reference_cache(p_model, h, ids, cache):
    """Return p(w) at each position, (len(ids) - 1, vocab_size), word by word and position by position."""
    p = p_model.copy()
    for t in range(len(p)):
        remembered = range(max(t - cache.window, 0), t)
        if remembered:
            total = sum(numpy.exp(cache.theta * h[t] @ h[i]) for i in remembered)
            for w in range(VOCAB_SIZE):
                of_w = sum(numpy.exp(cache.theta * h[t] @ h[i]) for i in remembered if ids[i + 1] == w)
                p[t, w] = (1 - cache.share) * p_model[t, w] + cache.share * of_w / total
    return p


def losses_of(p, ids):
    """Return the losses of a text, of p(w) at each position."""
    numpy.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    return -numpy.log(p[numpy.arange(len(ids) - 1), ids[1:]])


@pytest.mark.parametrize("name", ON_GLUON)
@pytest.mark.parametrize("window", [1, 3, 20, 200])
def test_the_cache_is_the_equation(ids, name, window):
    model, cache = make(name), Cache(window, theta=1.5, share=0.3)
    logits, outputs, _ = model.with_outputs(mx.np.array(ids[None, :-1], dtype="int32"), model.begin_state(1))
    p_model, h = softmax(logits), outputs.asnumpy().astype("float64")
    expected = losses_of(reference_cache(p_model, h, ids, cache), ids)
    for num_steps in (4, 7, 26, 100):
        found = token_losses_adaptively(model, ids, cache, num_steps=num_steps)
        numpy.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


def test_a_large_theta_does_not_overflow(ids):
    losses = token_losses_adaptively(make("gru"), ids, Cache(theta=1e6, share=0.5))
    assert numpy.isfinite(losses).all()


def test_the_cache_helps_where_a_text_repeats_itself():
    model, repeated = make("gru", init_scale=0.1), numpy.tile([3, 1, 4, 1, 5], 20)
    plain = evaluate(model, repeated)
    assert evaluate_adaptively(model, repeated, Cache(share=0.5)) < 0.8 * plain
    assert evaluate_adaptively(model, repeated, Cache(share=0.0)) == pytest.approx(plain, rel=1e-6)


# dynamic evaluation


def gradients_of(model, X, Y, state):
    """Return p(w), the last layer's outputs, gradients by name, and the state after a window."""
    params, outputs = named_parameters(model), mx.np.zeros((len(Y), 0))
    X, state = mx.np.array(X[None], dtype="int32"), tuple(s.detach() for s in state)
    with mx.autograd.record():
        if hasattr(model, "with_outputs"):
            logits, outputs, state = model.with_outputs(X, state)
        else:
            logits, state = model(X, state)
        loss = -mx.npx.pick(mx.npx.log_softmax(logits), mx.np.array(Y)).mean()
    loss.backward()
    grads = {name: param.grad if isinstance(param, mx.np.ndarray) else param.grad() for name, param in params.items()}
    grads = {name: grad.asnumpy().astype("float64") for name, grad in grads.items()}
    return softmax(logits), outputs.asnumpy().astype("float64"), grads, state


def reference_dynamic(model, ids, train_ids, dynamic):
    """Return p(w) and the last layer's outputs at each position, and the mean squared gradients."""
    state, n = model.begin_state(1), dynamic.num_steps
    squares, origins = [], values_of(model)
    for begin in range(0, min(dynamic.gradient_tokens, len(train_ids) - 1) - n + 1, n):
        X, Y = train_ids[begin : begin + n], train_ids[begin + 1 : begin + n + 1]
        _, _, grads, state = gradients_of(model, X, Y, state)
        squares.append({name: grad**2 for name, grad in grads.items()})
    squares = {name: sum(square[name] for square in squares) / len(squares) for name in squares[0]}
    mean = numpy.concatenate([numpy.sqrt(square).reshape(-1) for square in squares.values()]).mean()
    p_model, h, state = [], [], model.begin_state(1)
    for begin in range(0, len(ids) - 1, n):
        X, Y = ids[begin : begin + n][: len(ids) - 1 - begin], ids[begin + 1 : begin + n + 1]
        p, outputs, grads, state = gradients_of(model, X, Y, state)
        p_model.append(p)
        h.append(outputs)
        for name, param in named_parameters(model).items():
            theta, rms = get_values(param).asnumpy().astype("float64"), numpy.sqrt(squares[name])
            pull = numpy.minimum(dynamic.decay * rms / mean, 1) * (origins[name] - theta)
            set_values(param, (theta - dynamic.lr * grads[name] / (rms + dynamic.eps) + pull).astype("float32"))
    return numpy.concatenate(p_model), numpy.concatenate(h), squares


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    "dynamic",
    [DYNAMIC, dataclasses.replace(DYNAMIC, decay=0, num_steps=4), dataclasses.replace(DYNAMIC, decay=2.0, num_steps=8)],
)
def test_dynamic_evaluation_is_the_equation(ids, train_ids, name, dynamic):
    model = make(name)
    p, h, squares = reference_dynamic(twin_of(model, name), ids, train_ids, dynamic)
    for key, square in mean_squared_gradients(model, train_ids, dynamic).items():
        numpy.testing.assert_allclose(square.asnumpy(), squares[key], rtol=1e-3, atol=1e-9)
    found = token_losses_adaptively(model, ids, None, dynamic, train_ids)
    numpy.testing.assert_allclose(found, losses_of(p, ids), rtol=2e-4, atol=2e-5)
    if name in ON_GLUON:
        both = token_losses_adaptively(model, ids, CACHE, dynamic, train_ids)
        numpy.testing.assert_allclose(both, losses_of(reference_cache(p, h, ids, CACHE), ids), rtol=2e-4, atol=2e-5)
    plain = token_losses_adaptively(model, ids, num_steps=dynamic.num_steps)
    numpy.testing.assert_allclose(found[: dynamic.num_steps], plain[: dynamic.num_steps], rtol=1e-5)  # scored first
    assert (found != plain)[dynamic.num_steps :].mean() > 0.9  # all but those that are equal by chance
    assert abs(found - plain).max() > 0.02


def test_a_step_by_hand():
    weight = mx.np.array([1.0, 2.0])
    weight.attach_grad()
    dynamic = Dynamic(lr=0.1, decay=0.3, eps=1.0)
    learner = adaptive._Learner({"w": weight}, {"w": mx.np.array([4.0, 16.0])}, dynamic)  # RMSnorm: 2/3, 4/3
    weight.grad[:] = mx.np.array([0.5, -1.0])
    learner.step()
    numpy.testing.assert_allclose(weight.asnumpy(), [1 - 0.05 / 3, 2 + 0.1 / 5], rtol=1e-6)
    weight.grad[:] = 0
    learner.step()  # back by 0.2 and 0.4 of the way
    numpy.testing.assert_allclose(weight.asnumpy(), [1 - 0.8 * 0.05 / 3, 2 + 0.6 * 0.1 / 5], rtol=1e-6)
    for _ in range(60):
        learner.step()
    numpy.testing.assert_allclose(weight.asnumpy(), [1, 2], rtol=1e-6)


def test_learning_helps_where_a_text_repeats_itself(train_ids):
    model, repeated = make("tied lstm"), numpy.tile([3, 1, 4, 1, 5], 40)
    dynamic = Dynamic(lr=0.2, decay=0.01, eps=0.2)
    assert evaluate_adaptively(model, repeated, None, dynamic, train_ids) < 0.9 * evaluate(model, repeated)


def test_mean_squared_gradients_serve_again(ids, train_ids):
    model = make("gru")
    squares = mean_squared_gradients(model, train_ids, DYNAMIC)
    expected = token_losses_adaptively(model, ids, CACHE, DYNAMIC, train_ids)
    assert (token_losses_adaptively(model, ids, CACHE, DYNAMIC, squares) == expected).all()
    assert (token_losses_adaptively(model, ids, CACHE, DYNAMIC, train_ids[:31]) == expected).all()  # gradient_tokens
    assert (token_losses_adaptively(model, ids, CACHE, DYNAMIC, train_ids[:30]) != expected).any()


def test_frozen_parameters_do_not_learn(ids, train_ids):
    model, seen = make("gru"), []
    model.embedding.weight.grad_req = "null"
    before = values_of(model)
    token_losses_adaptively(
        model, ids, None, DYNAMIC, train_ids, progress=lambda done, total: seen.append(values_of(model))
    )
    changed = {name for name in before if not (seen[-1][name] == before[name]).all()}
    assert changed == set(before) - {"embedding.weight"}


# what both must keep to


@pytest.mark.parametrize(("cache", "dynamic"), [(CACHE, None), (None, DYNAMIC), (CACHE, DYNAMIC)])
def test_a_token_changes_no_prediction_of_itself_or_before(ids, train_ids, cache, dynamic):
    model = make("tied lstm")
    squares = mean_squared_gradients(model, train_ids, DYNAMIC)

    def losses(token, t):
        return token_losses_adaptively(model, [*ids[:t], token, *ids[t + 1 :]], cache, dynamic, squares, num_steps=5)

    expected = losses(ids[0], 0)
    for t in (1, 5, 6, LENGTH - 1):  # what the first and last positions of windows predict
        changed = [losses(token, t) for token in range(VOCAB_SIZE)]
        for found in changed:
            assert (found[: t - 1] == expected[: t - 1]).all()
        assert sum(numpy.exp(-found[t - 1]) for found in changed) == pytest.approx(1, rel=1e-5)
        for losses_there in numpy.transpose(changed)[t - 1 : t + 1]:
            assert len(set(losses_there)) > 1


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("name", ["scratch", "tied lstm"])
def test_the_parameters_come_back(ids, train_ids, name, error):
    model, seen = make(name), []
    before, plain = values_of(model), evaluate(model, ids)

    def progress(done, total):
        seen.append(equal(values_of(model), before))
        if done == 35 and error is not None:
            raise error

    if error is None:
        evaluate_adaptively(model, ids, None, DYNAMIC, train_ids, progress=progress)
    else:
        with pytest.raises(error):
            evaluate_adaptively(model, ids, None, DYNAMIC, train_ids, progress=progress)
    assert seen == [True] * 6 + [False] * (11 if error is None else 7)  # windows of train_ids, then of ids
    assert equal(values_of(model), before)
    assert evaluate(model, ids) == plain


class Watched(RNNModelScratch):
    """A model of the protocol that notes what it is given."""

    def __call__(self, X, state):
        self.shapes.add(X.shape)
        return super().__call__(X, state)


def test_all_windows_are_of_one_shape(ids, train_ids):
    stack = Stack("rnn")
    model = Watched(VOCAB_SIZE, 4, None, stack.get_params, stack.init_state, stack)
    model.shapes = set()
    evaluate_adaptively(model, ids, None, DYNAMIC, train_ids)
    assert model.shapes == {(1, DYNAMIC.num_steps)}


def test_progress_counts_the_tokens_of_both_texts(ids, train_ids):
    calls = []
    evaluate_adaptively(make("gru"), ids, None, DYNAMIC, train_ids, progress=lambda *call: calls.append(call))
    assert calls == [(done, 30) for done in range(5, 31, 5)] + [(min(done, 52), 52) for done in range(5, 56, 5)]


# errors


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: Cache(window=0), "window is 0: expected a whole number, at least 1"),
        (lambda: Cache(window=2.5), "window is 2.5: expected a whole number"),
        (lambda: Cache(theta=-1), "theta is -1: expected a number, at least 0"),
        (lambda: Cache(theta=float("inf")), "theta is inf"),
        (lambda: Cache(share=1), "share is 1: expected a number, at least 0 and below 1"),
        (lambda: Dynamic(lr=-1.0), "lr is -1.0"),
        (lambda: Dynamic(lr="1"), "lr is '1'"),
        (lambda: Dynamic(decay=float("nan")), "decay is nan"),
        (lambda: Dynamic(num_steps=True), "num_steps is True"),
        (lambda: Dynamic(eps=0), "eps is 0: expected a number, above 0 and at most 1e+06"),
        (lambda: Dynamic(num_steps=9, gradient_tokens=8), "gradient_tokens is 8: expected a whole number, at least 9"),
    ],
)
def test_wrong_settings(make_it, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make_it()


def test_what_cannot_be_evaluated(ids, train_ids):
    model, scratch = make("gru"), make("scratch")
    for arguments, message in [
        ((scratch, ids, CACHE), "RNNModelScratch has no with_outputs(): expected a model on Gluon"),
        ((model, ids, None, DYNAMIC), "train_ids is None"),
        ((model, ids, None, DYNAMIC, train_ids[:5]), "train_ids has shape (5,): expected one dimension, at least 6"),
        ((model, ids, None, DYNAMIC, [*train_ids, VOCAB_SIZE]), "train_ids has the id 9 at position 44"),
        ((model, [*ids, -1]), "ids has the id -1 at position 53"),
        ((model, ids[:1]), "ids has shape (1,): expected one dimension, at least 2"),
        ((model, ids, None, None, None, 0), "num_steps is 0: expected a whole number, at least 1"),
        ((model, ids, None, DYNAMIC, mean_squared_gradients(scratch, ids, DYNAMIC)), "expected those of the model"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            evaluate_adaptively(*arguments)
    with pytest.raises(LooksAheadError):
        evaluate_adaptively(build_model(ModelConfig(num_hiddens=2, bidirectional=True), VOCAB_SIZE), ids)


def test_learning_too_fast_is_said(ids, train_ids):
    model = make("gru")
    before = values_of(model)
    with pytest.raises(ValueError, match=r"infinite within \d+ tokens .*: expected a smaller lr \(--dynamic-lr\)"):
        evaluate_adaptively(model, ids, None, Dynamic(lr=1e38, num_steps=4, gradient_tokens=20), train_ids)
    assert equal(values_of(model), before)


def test_a_model_that_cannot_learn(ids, train_ids):
    for grad_req in ("null", "add"):
        model = make("gru")
        model.collect_params().setattr("grad_req", grad_req)
        with pytest.raises(ValueError, match="grad_req 'write'"):
            evaluate_adaptively(model, ids, None, DYNAMIC, train_ids)


# the command


@pytest.fixture
def run(tmp_path):
    """A checkpoint, its model and its corpus."""
    path = tmp_path / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog, " * 5)
    corpus = load_corpus(path)
    settings = dataclasses.replace(CONFIGS["gru"], num_outputs=None)
    model = build_model(settings, corpus.vocab_size)
    origin = origin_of(corpus, str(path), {"max_tokens": None})
    checkpoint = Checkpoint.of(model, settings, TrainConfig(), corpus, origin=origin)
    return save_checkpoint(tmp_path / "model.d2lrnn", checkpoint), model, corpus


def test_the_command_measures_any_text(run, tmp_path, capsys):
    path, model, corpus = run
    (tmp_path / "text.txt").unlink()  # it needs no corpus
    (tmp_path / "mine.txt").write_bytes(b"the lazy fox\r\njumps")
    assert cli.main(["evaluate", str(path), "--text", str(tmp_path / "mine.txt")]) == 0
    found = evaluate(model, corpus.vocab.encode("the lazy fox jumps"))
    assert capsys.readouterr().out.startswith(f"mine.txt: perplexity {found:.2f} over 17 tokens\n")
    for arguments, complaint in (
        (["--split", "test"], "--split given with --text"),
        (["--corpus", "sample"], "given with --text, which needs no corpus but for --dynamic"),
    ):
        assert cli.main(["evaluate", str(path), "--text", str(tmp_path / "mine.txt"), *arguments]) == 1
        assert complaint in capsys.readouterr().err
    (tmp_path / "mine.txt").write_text("the Fox")
    assert cli.main(["evaluate", str(path), "--text", str(tmp_path / "mine.txt")]) == 1
    assert "unknown character 'F' (U+0046) in line 1" in capsys.readouterr().err


def test_words_that_a_treebank_model_lacks(tmp_path):
    vocab = Vocab("the <unk> <unk> sat <eos>", "word")
    (tmp_path / "mine.txt").write_text("the cat sat\nthe dog\n")
    ids, unknown = load_ids(tmp_path / "mine.txt", vocab)
    assert (vocab.decode(ids), unknown) == ("the <unk> sat <eos> the <unk> <eos>", 2)
    with pytest.raises(UnknownTokenError, match="unknown word 'cat' in line 1, and 1 other"):
        load_ids(tmp_path / "mine.txt", Vocab("the sat", "word"))
    lines = Vocab("the cat sat\nog d")
    assert lines.decode(load_ids(tmp_path / "mine.txt", lines, lines=True)[0]) == "the cat sat\nthe dog\n"


def test_the_command_measures_with_both(run, capsys):
    path, model, corpus = run
    options = "--cache --cache-window 50 --cache-theta 2 --dynamic --dynamic-lr 0.01 --dynamic-num-steps 5".split()
    assert cli.main(["evaluate", str(path), "--split", "train", *options]) == 0
    out, err = capsys.readouterr()
    dynamic = Dynamic(lr=0.01, num_steps=5)
    found = evaluate_adaptively(model, corpus.train, Cache(50, 2.0), dynamic, corpus.train)
    settings = "lr 0.01, decay 0.005, num_steps 5, eps 0.0005, gradient_tokens 20000"
    adapted = f"a cache (window 50, theta 2.0, share 0.1) and dynamic evaluation ({settings})"
    assert out.splitlines()[0] == f"text.txt, train, with {adapted}: perplexity {found:.2f} over 224 tokens"
    assert out.splitlines()[1] == f"{math.log2(found):.3f} bits per character"
    assert re.fullmatch(r"[\d,]+ tokens/s", out.splitlines()[2])
    assert err == ""
    assert cli.main(["evaluate", str(path), "--split", "train"]) == 0
    plain = f"text.txt, train: perplexity {evaluate(model, corpus.train):.2f} over 224 tokens"
    assert capsys.readouterr().out.splitlines()[0] == plain


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--cache-window 5 --cache-theta 1", "--cache-window, --cache-theta given without --cache"),
        ("--cache --dynamic-num-steps 5", "--dynamic-num-steps given without --dynamic"),
        ("--cache --cache-share 2", "--cache: share is 2.0: expected a number, at least 0 and below 1"),
        (
            "--dynamic --dynamic-num-steps 300",
            "--dynamic-num-steps is 300, and the training text has 225 tokens: expected windows that are shorter",
        ),
    ],
)
def test_the_command_says_what_is_wrong(run, capsys, options, message):
    assert cli.main(["evaluate", str(run[0]), "--split", "train", *options.split()]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"d2lrnn: {message}")


def test_the_help_shows_the_defaults():
    (commands,) = (action for action in cli.make_parser()._actions if isinstance(action, argparse._SubParsersAction))
    helps = {action.dest: action.help for action in commands.choices["evaluate"]._actions}
    for flag, kind in (("cache", Cache), ("dynamic", Dynamic)):
        for field in dataclasses.fields(kind):
            assert helps[f"{flag}_{field.name}"].endswith(f"({field.default})")
