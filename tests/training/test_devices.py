"""Several devices compute what one computes: MXNet's CPU contexts stand for them."""

import itertools

import numpy
import pytest
from tiny import quiet, rain, tiny_model, training_of

import d2lrnn
from d2lrnn import D2lrnnError, ModelConfig, NextTargetToken, NextToken, Training, build_model
from d2lrnn._runtime import mx
from d2lrnn.config.model import Dropout
from d2lrnn.data import PairForm, data_iter_consecutive, data_iter_lines, data_iter_random, load_pairs
from d2lrnn.data.buckets import PairBatching, data_iter_pairs
from d2lrnn.device import DeviceError, as_contexts
from d2lrnn.models.parameters import get_values, named_parameters, numbers_of, replica_of
from d2lrnn.training.classification import SequenceClass
from d2lrnn.training.devices import Devices
from d2lrnn.training.forecasting import NextValues

np = mx.np

CORPUS = rain(60)
STEPS = 50


def contexts(count):
    return [mx.cpu(i) for i in range(count)]


def repeated(batches, count=STEPS):
    d2lrnn.set_seed(1)  # the order of random batches
    return list(itertools.islice(itertools.cycle(list(batches)), count))


def losses(training, batches):
    """Return the loss of each step, and the parameters after the last one."""
    found, state = [], None
    for batch in batches:
        step = training.step(batch, state)
        state = step.state if training.config.carries_state else None
        found.append(float(step.loss))
    return numpy.array(found), numbers_of(named_parameters(training.model))


def check_same(make, batches, count, tolerance=1e-6):
    """Check that ``make(devices of a model)`` trains alike on one context and on ``count``."""
    (one, first), (several, last) = (losses(make(contexts(n)), batches) for n in (1, count))
    assert one[0] != pytest.approx(one[-1], rel=1e-3)  # the model has changed
    assert several == pytest.approx(one, rel=tolerance)
    for name, values in first.items():
        assert last[name] == pytest.approx(values, rel=tolerance, abs=10 * tolerance), name


VOCAB = CORPUS.vocab_size
SGD = {"optimizer": "sgd", "lr": 0.5, "theta": 1.0}
ADAM = {"optimizer": "adam", "lr": 0.01, "theta": 1.0}
MODELS = {
    "gluon": {"kind": "gluon", "cell": "lstm", "embed_size": 6},
    "tied": {"kind": "gluon", "cell": "gru", "embed_size": 8, "tie_weights": True},
    "one_hot": {"kind": "gluon", "cell": "rnn"},
    "unrolled": {"kind": "gluon", "cell": "lstm_peephole", "embed_size": 6},
    "two_layers": {"kind": "gluon", "cell": "lstm", "embed_size": 6, "num_layers": 2},
    "scratch": {"kind": "scratch", "cell": "gru"},
    "fast": {"kind": "fast", "cell": "lstm"},
}


def language_model(settings, **config):
    """Return a function that makes the training of a language model on some devices."""

    def make(devices):
        model = tiny_model(VOCAB, init_scale=0.3, **settings)
        return training_of(model, quiet(**config), devices=Devices(model, devices))

    return make


@pytest.mark.parametrize("name", MODELS)
def test_several_devices_train_as_one(name):
    # Each model once; two and three devices, and both optimisers, in turn.
    place = list(MODELS).index(name)
    config, count = (SGD, ADAM)[place // 2 % 2], 2 + place % 2
    batches = repeated(data_iter_consecutive(CORPUS.train, 7, 6))
    check_same(language_model(MODELS[name], batches="consecutive", **config), batches, count)


def test_rows_of_different_lengths_count_by_their_tokens():
    lines = d2lrnn.Vocab("ab\n" * 3 + "c" * 9)
    ids = lines.encode("ab\nabcabcabc\na\ncab\n" * 9)
    batches = repeated(data_iter_lines(ids, 5, lines.token_to_idx["\n"], 1, 10))
    assert {batch[2].sum().item() for batch in batches} != {batches[0][2].size}

    def make(devices):
        model = tiny_model(len(lines), kind="gluon", cell="lstm", embed_size=6, init_scale=0.3)
        return Training(model, quiet(**SGD), NextToken(len(lines)), devices=Devices(model, devices))

    check_same(make, batches, 3)


def test_sum_over_steps_is_of_the_whole_batch():
    batches = repeated(data_iter_random(CORPUS.train, 6, 6))
    settings = {"optimizer": "sgd", "lr": 0.1, "theta": 5.0, "sum_over_steps": True, "weight_decay": 0.01}
    check_same(language_model(MODELS["gluon"], batches="random", **settings), batches, 2)


def classifier(devices):
    config = ModelConfig(num_hiddens=8, head="mean", input_size=3, num_outputs=4, init_scale=0.3)
    return of_task(config, None, SequenceClass(), devices)


def forecaster(devices):
    config = ModelConfig(num_hiddens=8, head="steps", input_size=3, num_outputs=3, init_scale=0.3)
    return of_task(config, None, NextValues(), devices)


def of_task(config, vocab_size, objective, devices, **settings):
    d2lrnn.set_seed(1)
    model = build_model(config, vocab_size)
    return Training(model, quiet(**{**ADAM, **settings}), objective, devices=Devices(model, devices))


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("make", [classifier, forecaster])
def test_other_objectives(make, count):
    draw = numpy.random.RandomState(0)
    X = draw.normal(size=(4, 8, 5, 3)).astype("float32")
    answers = draw.randint(0, 4, (4, 8)) if make is classifier else draw.normal(size=X.shape).astype("float32")
    batches = repeated([(np.array(x), np.array(y, dtype=y.dtype)) for x, y in zip(X, answers)])
    check_same(make, batches, count)
    scores = [float(make(contexts(n)).step(batches[0], None).score) for n in (1, count)]
    assert scores[1] == pytest.approx(scores[0], rel=1e-6)


def test_translators():
    data = load_pairs("sample_pairs", form=PairForm(max_tokens=30))
    config = ModelConfig(
        **{"num_hiddens": 8, "embed_size": 6, "init_scale": 0.3, "bidirectional": True, "attention": "general"},
        head="translation",
        num_outputs=len(data.target),
    )
    batches = repeated(data_iter_pairs(data.train, PairBatching(8, "buckets")), 20)
    assert any(batch[1] is not None for batch in batches)  # sources with padding
    check_same(
        lambda devices: of_task(config, len(data.source), NextTargetToken(len(data.target)), devices), batches, 2
    )


@pytest.mark.parametrize("count", [2, 3])
def test_in_float64_to_1e_12(count):
    batches = repeated(data_iter_random(CORPUS.train, 7, 6))

    def make(devices):
        model = tiny_model(VOCAB, kind="scratch", cell="lstm", init_scale=0.3)
        model.params = [param.astype("float64") for param in model.params]
        for param in model.params:
            param.attach_grad()
        begin = model.begin_state
        model.begin_state = lambda *args: tuple(array.astype("float64") for array in begin(*args))
        return training_of(model, quiet(batches="random", **SGD), devices=Devices(model, devices))

    check_same(make, batches, count, 1e-12)


def test_fewer_rows_than_devices():
    batches = repeated(data_iter_random(CORPUS.train, 2, 6), 10)
    check_same(language_model(MODELS["gluon"], batches="random", **ADAM), batches, 3)


def test_more_rows_after_fewer_rows_than_devices():
    batches = [next(data_iter_random(CORPUS.train, rows, 6)) for rows in (2, 6, 1, 6)]
    check_same(language_model(MODELS["gluon"], batches="random", **SGD), batches * 3, 3)


def test_dropout_of_weights_and_averaging_train_on_several_devices():
    model = tiny_model(VOCAB, kind="gluon", cell="lstm", embed_size=6, dropout=Dropout(weights=0.3, inputs=0.2))
    training = training_of(model, quiet(batches="random", **SGD), devices=Devices(model, contexts(2)))
    training.average.start()
    batches = repeated(data_iter_random(CORPUS.train, 8, 6))
    begin, mean = float(training.step(batches[0], None).loss), 0.0
    values = []
    for batch in batches[1:]:
        last = float(training.step(batch, None).loss)
        training.average.add()
        values.append(get_values(training.params["dense.bias"]).asnumpy())
    assert last < begin
    mean = training.average.arrays[list(training.params).index("dense.bias")].asnumpy()
    first = values[0]  # the average begins with the parameters before the second step
    assert numpy.abs(mean - numpy.mean(values, axis=0)).max() < numpy.abs(first - values[-1]).max()
    for replica in training.devices.models[1:]:
        for name, values in numbers_of(named_parameters(replica)).items():
            assert (values == numbers_of(named_parameters(model))[name]).all()


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "lstm_peephole"])
def test_layers_on_devices_give_the_numbers_of_one_device(cell, padded, count):
    batches = repeated(data_iter_consecutive(CORPUS.train, 4, 6), 10)
    if padded:
        counted = numpy.ones((4, 6), "float32")
        counted[1::2, 4:] = 0
        batches = [(*batch, np.array(counted)) for batch in batches]
    found = []
    for devices in ([], contexts(count)):
        model = tiny_model(VOCAB, kind="gluon", cell=cell, num_layers=3, embed_size=8, tie_weights=True, init_scale=0.3)
        if devices:
            model.place(devices)
            used = {str(param.list_ctx()[0]) for param in model.collect_params().values()}
            assert used == set(map(str, devices))
        found.append(losses(training_of(model, quiet(batches="consecutive", **ADAM)), batches))
    assert (found[0][0] == found[1][0]).all()
    assert all((values == found[1][1][name]).all() for name, values in found[0][1].items())


def test_a_replica_shares_nothing_with_the_model():
    for kind in ("scratch", "fast", "gluon"):
        model = tiny_model(VOCAB, kind=kind)
        replica = replica_of(model, mx.cpu(1))
        before = numbers_of(named_parameters(model))
        for name, param in named_parameters(replica).items():
            assert get_values(param).ctx == mx.cpu(1)
            assert (get_values(param).asnumpy() == before[name]).all()
            get_values(param)[:] = 7
        assert all((values == before[name]).all() for name, values in numbers_of(named_parameters(model)).items())


def test_what_cannot_be_divided():
    model = tiny_model(VOCAB, kind="gluon", num_layers=2)
    with pytest.raises(D2lrnnError, match=r"the devices are cpu\(1\): expected different ones, and first cpu\(0\)"):
        Devices(model, [mx.cpu(1)])
    with pytest.raises(D2lrnnError, match="at most as many devices as layers"):
        model.place(contexts(3))

    class Users:
        def parameters(self):
            return {"w": model.collect_params().values().__iter__().__next__()}

    with pytest.raises(D2lrnnError, match="a Users cannot be copied to another device"):
        Devices(Users(), contexts(2))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cpu:0,cpu:0", "comes twice"),
        ("cpu:0,auto", "auto is one device"),
        ("cpu:0,tpu", "unknown device 'tpu'"),
        ("cpu:0,", "unknown device ''"),
        ("gpu:0,gpu:1", "gpu:0"),
    ],
)
def test_devices_that_cannot_be_read(text, complaint):
    with pytest.raises(DeviceError, match=complaint):
        as_contexts(text)


def test_devices_as_the_user_writes_them():
    assert as_contexts("cpu:1, CPU") == [mx.cpu(1), mx.cpu(0)] and as_contexts(None) == [mx.cpu()]
