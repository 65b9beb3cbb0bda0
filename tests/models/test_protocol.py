"""What the protocol asks for is all that is asked for: a model with nothing else is trained, read and written with."""

import numpy
import pytest

import d2lrnn
from d2lrnn import Dynamic, ModelConfig, TrainConfig, build_model
from d2lrnn._runtime import mx
from d2lrnn.models import named_parameters, trainable_parameters
from d2lrnn.models.parameters import (
    data_and_grad,
    device_of,
    freeze,
    get_gradient,
    get_values,
    is_overwritten,
    trainable,
)
from d2lrnn.models.protocol import num_outputs_of, shows_outputs
from d2lrnn.training.gradients import gradient_norm

CONFIG = TrainConfig(num_epochs=3, batch_size=4, num_steps=7, lr=1.0, theta=1.0, verbose=False)


class Bare:
    """What the protocol says of a language model, and nothing else."""

    __slots__ = ("_model", "bidirectional", "vocab_size")

    def __init__(self, model):
        self._model, self.vocab_size, self.bidirectional = model, model.vocab_size, model.bidirectional

    def begin_state(self, batch_size, ctx=None):
        return self._model.begin_state(batch_size, ctx)

    def __call__(self, X, state):
        return self._model(X, state)

    def parameters(self):
        return self._model.parameters()


@pytest.fixture(params=["scratch", "gluon"])
def pair(request, tiny_corpus):
    """A model and the bare one around another with the same parameters."""
    models = []
    for _ in range(2):
        d2lrnn.set_seed(4)
        models.append(build_model(ModelConfig(request.param, "lstm", 16), tiny_corpus.vocab_size))
    return models[0], Bare(models[1])


def test_it_does_all_that_the_model_in_it_does(pair, tiny_corpus):
    vocab, ids, found = tiny_corpus.vocab, tiny_corpus.train, []
    for model in pair:
        history = d2lrnn.train_and_predict(model, tiny_corpus, CONFIG)
        dynamic = Dynamic(num_steps=5)
        found.append(
            {
                "training": history.perplexity,
                "clipped": float(d2lrnn.grad_clipping(model, 0.1)),
                "norm": float(gradient_norm(model)),
                "evaluated": d2lrnn.evaluate(model, ids[:200], 2, 9),
                "adapted": d2lrnn.evaluate_adaptively(model, ids[:60], dynamic=dynamic, train_ids=ids[:100]),
                "likeliest": d2lrnn.predict("the ", 20, model, vocab),
                "drawn": [one.text for one in d2lrnn.generate(["the ", "q"], 20, model, vocab)],
            }
        )
        d2lrnn.sgd(model, 1.0, 1)
        found[-1]["updated"] = [get_values(param).asnumpy().tolist() for param in model.parameters().values()]
    assert found[0] == found[1] and found[0]["training"][-1] < found[0]["training"][0]


def test_adam_weight_decay_averaging_and_validation(pair, tiny_corpus):
    corpus = d2lrnn.Corpus("tiny", tiny_corpus.vocab, tiny_corpus.train[:400], valid=tiny_corpus.train[400:500])
    config = TrainConfig(
        num_epochs=3, batch_size=4, num_steps=7, lr=0.01, optimizer="adam", weight_decay=0.1, averaging=1, verbose=False
    )
    histories = [d2lrnn.train_and_predict(model, corpus, config) for model in pair]
    assert histories[0].perplexity == histories[1].perplexity
    assert histories[0].valid_perplexity == histories[1].valid_perplexity


def test_a_cache_says_what_it_lacks(pair):
    with pytest.raises(ValueError, match=r"Bare has no with_outputs\(\)"):
        d2lrnn.evaluate_adaptively(pair[1], [1, 2, 3], cache=d2lrnn.Cache())
    assert not shows_outputs(pair[1]) and num_outputs_of(pair[1]) == pair[1].vocab_size


class TestParametersByName:
    def test_equations_of_the_users_are_numbered(self):
        model = d2lrnn.RNNModelScratch(3, 4, None, d2lrnn.get_rnn_params, d2lrnn.init_rnn_state, lambda *_: None)
        assert list(model.parameters()) == [f"params.{i}" for i in range(5)]
        assert all(a is b for a, b in zip(model.parameters().values(), model.params))

    @pytest.mark.parametrize("kind", ["scratch", "fast"])
    def test_from_scratch_they_are_the_books(self, kind):
        model = build_model(ModelConfig(kind, "gru", 4, 2), 5)
        assert list(model.parameters()) == model.stack.param_names == list(named_parameters(model))

    def test_a_tied_one_comes_once_and_names_do_not_count_models(self):
        config = ModelConfig("gluon", "lstm", 4, embed_size=4, tie_weights=True)
        names = [list(build_model(config, 5).parameters()) for _ in range(2)]
        fused = [f"rnn._unfused.0.{source}_{kind}" for kind in ("weight", "bias") for source in ("i2h", "h2h")]
        assert names[0] == names[1] and sorted(names[0]) == sorted(["embedding.weight", *fused, "dense.bias"])

    def test_any_gluon_block_has_them(self):
        block = mx.gluon.nn.Dense(2, in_units=3)
        block.initialize()
        assert named_parameters(block) == {"weight": block.weight, "bias": block.bias}
        block.weight.grad_req = "null"
        assert list(trainable_parameters(block)) == ["bias"] and trainable(block) == [block.bias]

    def test_what_has_none_is_refused(self):
        with pytest.raises(ValueError, match=r"a dict has no method parameters\(\): expected a model that keeps"):
            named_parameters({})


def test_an_array_and_a_gluon_parameter_are_asked_alike():
    param = mx.gluon.Parameter("weight", shape=(2, 3))
    param.initialize(mx.init.One())
    array = mx.np.ones((2, 3))
    array.attach_grad()
    for one in (param, array):
        with mx.autograd.record():
            loss = (get_values(one) * mx.np.arange(6).reshape(2, 3)).sum()
        loss.backward()
        assert get_gradient(one).asnumpy().tolist() == [[0, 1, 2], [3, 4, 5]] and is_overwritten(one)
        assert [part.shape for part in data_and_grad(one, None)] == [(2, 3)] * 2 and device_of(one) == mx.cpu()
    freeze(param)
    assert trainable([param, array]) == [array] and not is_overwritten(param)
    with pytest.raises(ValueError, match=r"an array of shape \(2,\) has no gradient: call its attach_grad"):
        get_gradient(mx.np.ones(2))
    assert numpy.isfinite(get_values(param).asnumpy()).all()
