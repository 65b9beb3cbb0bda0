"""The compiled writer of a model: made once, made anew where a parameter has changed, gone with the model."""

import gc
import tempfile
import threading
import weakref

import numpy
import pytest

import d2lrnn
from d2lrnn import ModelConfig, Sampling, TrainConfig, Vocab, build_model, generate, predict, predict_batch
from d2lrnn._runtime import mx
from d2lrnn.generation import greedy, sampling, writers
from d2lrnn.generation.parameter_copy import ParameterCopy
from d2lrnn.generation.writers import ProtocolWriter, greedy_writer, writer_of
from d2lrnn.models.parameters import get_values, named_parameters, set_values
from d2lrnn.models.stack import Stack
from d2lrnn.training.optimisers import Average

VOCAB = Vocab.from_list("abcdefghij")
CONFIGS = {
    "gluon": ModelConfig(num_hiddens=12, num_layers=2, embed_size=5, init_scale=1.5),
    "tied": ModelConfig(num_hiddens=12, embed_size=12, tie_weights=True, init_scale=1.5),
    "unrolled": ModelConfig(cell="lstm_peephole", num_hiddens=12, init_scale=1.5),
    "scratch": ModelConfig("scratch", "gru", 12, init_scale=1.5),
    "fast": ModelConfig("fast", "lstm_peephole", 12, init_scale=1.5),
}


def make(name="gluon"):
    return build_model(CONFIGS[name], len(VOCAB))


@pytest.fixture
def made(monkeypatch):
    """Count how often a writer is made, by model."""
    models = []

    def counted(model):
        models.append(model)
        return greedy_writer(model)

    monkeypatch.setattr(writers, "greedy_writer", counted)
    return models


def logits_of(writer):
    """Return the logits of three steps in a row, as bytes."""
    state, ids, found = writer.begin_state(2), mx.np.array([1, 7], dtype="int32"), []
    for _ in range(3):
        logits, state = writer.logits(ids, state)
        found.append(logits.asnumpy().tobytes())
    return found


def data_of(model, name=None):
    """Return the array of a model's parameter of this name, or of its first one."""
    params = named_parameters(model)
    return get_values(params[name or next(iter(params))])


@pytest.mark.parametrize("name", CONFIGS)
def test_a_writer_is_made_once_for_all_that_a_model_writes(name, made):
    model = make(name)
    expected = logits_of(greedy_writer(model))
    texts = [predict("ab", 9, model, VOCAB)] + [predict_batch(["ab", "c"], 9, model, VOCAB)[0] for _ in range(3)]
    samples = [generate(["ab"], 9, model, VOCAB, Sampling(seed=3))[0].text for _ in range(3)]
    beam = generate(["ab"], 9, model, VOCAB, Sampling(beam_width=3))
    assert beam == generate(["ab"], 9, model, VOCAB, Sampling(beam_width=3))
    assert len(set(texts)) == len(set(samples)) == 1
    assert made == [model]
    assert logits_of(writer_of(model)) == expected  # to the bit, after all this


def test_each_model_has_its_own(made):
    models = [make(), make()]
    for _ in range(3):
        for model in models:
            predict("a", 3, model, VOCAB)
    assert made == models


def test_a_model_without_known_equations_keeps_none(made):
    class Own(type(make("scratch"))):
        pass

    model = Own(10, 4, None, d2lrnn.get_rnn_params, d2lrnn.init_rnn_state, d2lrnn.rnn)
    assert isinstance(writer_of(model), ProtocolWriter) and not made


def in_place(model):
    data_of(model)[:] += 1


def one_number(model):
    data_of(model)[-1] += 0.5


def another_zero(model):
    data_of(model)[:] = -get_values(next(iter(named_parameters(model).values())))


def a_nan(model):
    data_of(model)[:] = numpy.nan


def as_nd(model):
    data_of(model).as_nd_ndarray()[:] = 0.25


def out_of_an_operator(model):
    mx.nd.sgd_update(*[data_of(model).as_nd_ndarray()] * 2, out=data_of(model).as_nd_ndarray(), lr=0.5)


def values_set(model):
    param = next(iter(named_parameters(model).values()))
    set_values(param, numpy.full(param.shape, 0.1, "float32"))


def copied(model):
    shape = {"scratch": "gru", "fast": "lstm_peephole"}
    source = build_model(ModelConfig("scratch", shape[name_of(model)], 12, init_scale=1.5), len(VOCAB))
    d2lrnn.copy_parameters(source, model)


def trained(model):
    corpus = d2lrnn.Corpus("letters", VOCAB, VOCAB.encode("abcdefghij" * 10))
    config = TrainConfig(num_epochs=1, batch_size=2, num_steps=5, prefixes=(), verbose=False, lr=0.5)
    d2lrnn.train_and_predict(model, corpus, config)


def dynamically_evaluated(model):
    ids = VOCAB.encode("abcdefghij" * 4)
    d2lrnn.evaluate_adaptively(model, ids, dynamic=d2lrnn.Dynamic(gradient_tokens=20), train_ids=ids)


def last_array_replaced(model):
    model.params[-1] = model.params[-1] + 1


def set_data(model):
    param = next(iter(named_parameters(model).values()))
    param.set_data(mx.np.zeros(param.shape))


def initialised(model):
    model.initialize(mx.init.Normal(0.5), force_reinit=True)


def cast(model):
    model.cast("float64")


def loaded(model):
    with tempfile.NamedTemporaryFile(suffix=".params") as file:
        make().save_parameters(file.name)
        model.load_parameters(file.name)


def name_of(model):
    return next(name for name in ("scratch", "fast") if CONFIGS[name].cell == model.stack.cell)


CHANGES = [
    *((change, name) for name in CONFIGS for change in (in_place, one_number, another_zero, a_nan, as_nd)),
    *((change, name) for name in CONFIGS for change in (out_of_an_operator, values_set, trained)),
    *((change, name) for name in ("scratch", "fast") for change in (copied, last_array_replaced)),
    *((change, "gluon") for change in (set_data, initialised, cast, loaded)),
]


@pytest.mark.parametrize(("change", "name"), CHANGES, ids=lambda value: getattr(value, "__name__", value))
def test_a_change_of_a_parameter_makes_it_anew(change, name, made):
    model = make(name)
    before = writer_of(model)
    assert writer_of(model) is before
    change(model)
    after, count = writer_of(model), len(made)
    assert after is not before
    if change is not cast:  # which writes in float64, with a state in float32: as it always has
        assert logits_of(after) == logits_of(greedy_writer(model))
    assert writer_of(model) is after and len(made) == count


@pytest.mark.parametrize("name", CONFIGS)
def test_any_number_of_any_parameter_counts(name):
    model = make(name)
    for param_name, param in named_parameters(model).items():
        copy, data = ParameterCopy(model), get_values(param)
        assert copy.equals(model)
        flat = data.reshape(-1)
        place = int(numpy.random.randint(flat.size))
        numbers = data.asnumpy()
        numbers.reshape(-1)[place] = numpy.nextafter(numbers.reshape(-1)[place], numpy.float32(9))  # the last bit
        data[:] = mx.np.array(numbers)
        assert not copy.equals(model), param_name
        assert ParameterCopy(model).equals(model)


def test_a_swap_of_averages_is_noticed_there_and_back(made):
    model = make()
    average = Average(model.collect_params().values())
    average.start()
    in_place(model)
    average.add()
    plain = predict("ab", 9, model, VOCAB)
    with average.in_place():
        averaged = logits_of(writer_of(model))
        assert averaged == logits_of(greedy_writer(model))
    assert predict("ab", 9, model, VOCAB) == plain
    assert averaged != logits_of(writer_of(model)) == logits_of(greedy_writer(model))
    assert len(made) == 3


def test_what_puts_all_back_leaves_the_writer(made):
    model = make()
    before = writer_of(model)
    dynamically_evaluated(model)
    assert writer_of(model) is before


def test_another_cell_with_the_same_parameters_is_noticed():
    model = build_model(ModelConfig("scratch", "rnn", 12, init_scale=1.5), len(VOCAB))
    before = logits_of(writer_of(model))
    model.forward_fn = Stack("rnn_relu")
    assert before != logits_of(writer_of(model)) == logits_of(greedy_writer(model))


def test_another_device_is_noticed():
    model = make()
    before = writer_of(model)
    model.collect_params().reset_ctx(mx.cpu(1))
    after = writer_of(model)
    assert after is not before and after.begin_state(1)[0].ctx == mx.cpu(1)
    with pytest.raises(d2lrnn.D2lrnnError, match="ctx is cpu, but the model's parameters are on"):
        writer_of(model, "cpu")


@pytest.mark.parametrize("name", CONFIGS)
def test_a_writer_goes_on_with_the_parameters_that_it_was_made_of(name):
    model = make(name)
    writer = writer_of(model)
    expected = logits_of(writer)
    for param in named_parameters(model).values():
        get_values(param)[:] = 0
    assert logits_of(writer) == expected


@pytest.mark.parametrize("name", CONFIGS)
def test_it_is_freed_with_the_model(name):
    gc.collect()
    before = len(writers._kept)
    model = make(name)
    predict("ab", 3, model, VOCAB)
    seen = weakref.ref(model), weakref.ref(writer_of(model))
    assert len(writers._kept) == before + 1 and seen[1]() is not None
    del model
    gc.collect()
    assert [ref() for ref in seen] == [None, None] and len(writers._kept) == before


def test_a_failure_to_make_one_leaves_none_behind(monkeypatch):
    model = make()
    predict("a", 1, model, VOCAB)
    in_place(model)
    with monkeypatch.context() as patch:
        patch.setattr(writers, "greedy_writer", lambda model: 1 // 0)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                writer_of(model)
    assert logits_of(writer_of(model)) == logits_of(greedy_writer(model))


def test_two_threads_have_one_writer_and_write_what_one_would(made):
    model, found, begin = make(), {}, threading.Barrier(4)
    expected = [generate(["ab"], 40, build_like(model), VOCAB, Sampling(seed=seed)) for seed in range(4)]
    made.clear()

    def write(seed):
        begin.wait(60)
        found[seed] = generate(["ab"], 40, model, VOCAB, Sampling(seed=seed))

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [found[seed] for seed in range(4)] == expected
    assert made == [model]


def build_like(model):
    """Return another model with the same numbers."""
    other = make()
    loaded_from = named_parameters(model)
    for name, param in named_parameters(other).items():
        param.set_data(loaded_from[name].data())
    return other


def test_all_that_writes_asks_for_the_kept_writer():
    assert greedy.writer_of is sampling.writer_of is writers.writer_of
