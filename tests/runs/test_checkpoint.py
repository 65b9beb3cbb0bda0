import hashlib
import io
import json
import math
import os
import random
import re
import textwrap

import numpy
import pytest

from d2lrnn._runtime import mx
from d2lrnn.config.model import ModelConfig
from d2lrnn.config.training import TrainConfig
from d2lrnn.data.corpus import Corpus
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.generation.greedy import predict
from d2lrnn.models.build import build_model
from d2lrnn.models.parameters import named_parameters
from d2lrnn.runs import checkpoint as checkpoint_file
from d2lrnn.runs.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint

CONFIGS = [
    ModelConfig("scratch", "rnn", 5),
    ModelConfig("scratch", "lstm", 5, num_layers=2),
    ModelConfig("scratch", "gru", 3, bidirectional=True, num_outputs=4),
    ModelConfig("gluon", "gru", 5),
    ModelConfig("gluon", "lstm", 5, num_layers=2, embed_size=3, dropout=0.2),
]
TRAINED = TrainConfig(num_epochs=3, lr=0.1, theta=math.inf, prefixes=("the", "quick"), seed=7)


def by_numpy_alone():
    """Return the names that the recipe in the docstring makes of the file model.d2lrnn in the current folder."""
    recipe = re.search(r"::\n\n(.*?)\n\n``", checkpoint_file.__doc__, re.DOTALL)[1]
    names = {"hashlib": hashlib, "io": io, "json": json, "numpy": numpy}
    exec(textwrap.dedent(recipe), names)
    return names


def some_model(config, corpus):
    """Make a model whose parameters are all different from 0, and large enough for various predictions."""
    model = build_model(config, corpus.vocab_size)
    for param in named_parameters(model).values():
        values = mx.np.random.uniform(-1, 1, size=param.shape)
        param.set_data(values) if isinstance(param, mx.gluon.Parameter) else param.__setitem__(slice(None), values)
    return model


def numbers(model):
    """Return what a model makes of some ids, and its state after them."""
    X = mx.np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]], dtype="int32")
    logits, state = model(X, model.begin_state(2))
    return [array.asnumpy() for array in (logits, *state)]


def contents(path):
    """Return the arrays of a checkpoint file."""
    with numpy.load(io.BytesIO(path.read_bytes().split(b"\n", 2)[2])) as archive:
        return dict(archive)


def write(path, body):
    """Write a file that is a checkpoint but for its body, with the body's right checksum."""
    path.write_bytes(b"d2lrnn checkpoint 3\n" + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


def write_arrays(path, arrays):
    body = io.BytesIO()
    numpy.savez(body, **arrays)
    write(path, body.getvalue())


@pytest.fixture
def saved(tmp_path, tiny_corpus):
    """The file of a small model."""
    config = ModelConfig("scratch", "rnn", 2)
    model = some_model(config, tiny_corpus)
    return save_checkpoint(tmp_path / "model.d2lrnn", Checkpoint.of(model, config, TRAINED, tiny_corpus))


# What is kept


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.kind}-{config.num_layers}-{config.cell}")
def test_a_model_comes_back_bit_for_bit(tmp_path, tiny_corpus, config):
    model = some_model(config, tiny_corpus)
    before = Checkpoint.of(model, config, TRAINED, tiny_corpus)
    after = load_checkpoint(save_checkpoint(tmp_path / "new" / "folder" / "model.d2lrnn", before))
    assert (after.model_config, after.train_config, after.corpus) == (config, TRAINED, "tiny")
    assert after.vocab == tiny_corpus.vocab
    assert list(after.parameters) == list(named_parameters(model))
    for name, values in after.parameters.items():
        assert values.dtype == numpy.float32
        assert values.tobytes() == before.parameters[name].tobytes()
    twin = after.build_model()
    for mine, its in zip(numbers(model), numbers(twin)):
        assert numpy.abs(mine).max() > 0
        assert mine.tobytes() == its.tobytes()
    if not config.bidirectional:
        text = predict("the", 10, model, tiny_corpus.vocab)
        assert predict("the", 10, twin, after.vocab) == text


@pytest.mark.parametrize("config", CONFIGS[1::3], ids=["scratch", "gluon"])
def test_numpy_alone_reads_the_file_and_computes_the_same(tmp_path, tiny_corpus, config, monkeypatch):
    """By the recipe in the docstring, and by the names, shapes and order of gates that it tells: two layers of LSTM."""
    model = some_model(config, tiny_corpus)
    save_checkpoint(tmp_path / "model.d2lrnn", Checkpoint.of(model, config, TRAINED, tiny_corpus))
    monkeypatch.chdir(tmp_path)
    names = by_numpy_alone()
    p, about = names["parameters"], names["about"]
    assert names["tokens"] == list(tiny_corpus.vocab.idx_to_token) and about["vocabularies"]["text"]["level"] == "char"
    assert about["model_config"]["num_hiddens"] == 5 and about["train_config"]["prefixes"] == ["the", "quick"]
    assert about["corpus"] == "tiny" and about["reached"] == {} and about["training"] is None
    ids = [3, 1, 4, 1, 5]
    X = p["embedding.weight"][ids] if "embedding.weight" in p else numpy.eye(tiny_corpus.vocab_size)[ids]
    for layer in range(2):
        H = C = numpy.zeros(5)
        outputs = []
        for x in X:
            if config.kind == "gluon":
                i2h, h2h = (f"rnn.layers.{layer}._unfused.0.{name}" for name in ("i2h", "h2h"))
                both = p[f"{i2h}_weight"] @ x + p[f"{i2h}_bias"] + p[f"{h2h}_weight"] @ H + p[f"{h2h}_bias"]
                i, f, c, o = both.reshape(4, 5)
            else:
                W = {gate: [p[f"l{layer}.{name}{gate}"] for name in ("W_x", "W_h", "b_")] for gate in "ifco"}
                i, f, c, o = (x @ W_x + H @ W_h + b for W_x, W_h, b in W.values())
            C = C / (1 + numpy.exp(-f)) + numpy.tanh(c) / (1 + numpy.exp(-i))
            H = numpy.tanh(C) / (1 + numpy.exp(-o))
            outputs.append(H)
        X = numpy.stack(outputs)
    expected = X @ p["dense.weight"].T + p["dense.bias"] if config.kind == "gluon" else X @ p["W_hq"] + p["b_q"]
    found, _ = model(mx.np.array([ids], dtype="int32"), model.begin_state(1))
    assert numpy.abs(found.asnumpy() - expected).max() <= 1e-5 * numpy.abs(expected).max()


@pytest.mark.parametrize("cell", ["lstm", "lstm_peephole_projected"])
def test_the_docstring_names_every_parameter(cell, tiny_corpus):
    described = checkpoint_file.__doc__
    projected = {"num_projections": 2} if "projected" in cell else {}
    for layers in (1, 2):
        model = build_model(ModelConfig("gluon", cell, 5, layers, True, 3, **projected), tiny_corpus.vocab_size)
        for name in named_parameters(model):
            place, _, last = name.rpartition(".")
            steps = [step for step in place.split(".") if not step.isdigit()]
            assert all(re.search(rf"[`.]{step}\.", described) for step in steps), name
            assert re.sub("^[lr]0_", "", last) in described, name


def test_names_do_not_depend_on_the_models_made_before(tmp_path, tiny_corpus):
    config = CONFIGS[-1]
    first, _, third = (some_model(config, tiny_corpus) for _ in range(3))
    assert first.collect_params().keys() != third.collect_params().keys()  # Gluon's own names do
    assert named_parameters(first).keys() == named_parameters(third).keys()
    saved = save_checkpoint(tmp_path / "model.d2lrnn", Checkpoint.of(third, config, TRAINED, tiny_corpus))
    assert numbers(load_checkpoint(saved).build_model())[0].tobytes() == numbers(third)[0].tobytes()


@pytest.mark.parametrize("level", ["char", "word"])
def test_the_vocabulary_keeps_its_order(tmp_path, level):
    vocab = Vocab.from_list(["z", "不", "\n", "😀", '"', "<eos>", "a", "\\", "é"], level)
    corpus, config = Corpus("c", vocab, numpy.arange(9)), ModelConfig("scratch", "rnn", 2)
    checkpoint = Checkpoint.of(build_model(config, 9), config, TRAINED, corpus)
    after = load_checkpoint(save_checkpoint(tmp_path / "model.d2lrnn", checkpoint)).vocab
    assert after.idx_to_token == vocab.idx_to_token
    assert after.level == level
    assert after.encode(["<eos>", "z"]).tolist() == [5, 0]


def test_a_checkpoint_does_not_change_with_the_model(tiny_corpus):
    model = some_model(CONFIGS[0], tiny_corpus)
    checkpoint = Checkpoint.of(model, CONFIGS[0], TRAINED, tiny_corpus)
    before = checkpoint.parameters["W_xh"].copy()
    model.params[0] += 1
    assert (checkpoint.parameters["W_xh"] == before).all()


def test_a_model_on_the_gpu_comes_back_on_the_cpu(needs_gpu, tmp_path, tiny_corpus):
    model = build_model(CONFIGS[-1], tiny_corpus.vocab_size, needs_gpu)
    path = save_checkpoint(tmp_path / "m", Checkpoint.of(model, CONFIGS[-1], TRAINED, tiny_corpus))
    twin = load_checkpoint(path).build_model("cpu")
    for name, param in named_parameters(twin).items():
        assert param.list_ctx() == [mx.cpu()]
        assert (param.data().asnumpy() == named_parameters(model)[name].data().asnumpy()).all()


def test_parameters_may_have_any_name(tmp_path):
    """A model of one's own may call its parameters as the file calls something else."""
    names = ["file", "meta.json", "training/state.0", "parameters/W", "W q"]
    arrays = {name: numpy.full(2, float(i), "float32") for i, name in enumerate(names)}
    kept = Checkpoint(None, {}, TRAINED, "made up", arrays)
    found = load_checkpoint(save_checkpoint(tmp_path / "model.d2lrnn", kept)).parameters
    assert list(found) == names and all((found[name] == arrays[name]).all() for name in names)


# What is refused


def test_a_file_cut_off_anywhere_is_refused(saved):
    whole = saved.read_bytes()
    for length in [*range(120), *range(120, len(whole), 97), len(whole) - 1]:
        saved.write_bytes(whole[:length])
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(saved)
        assert str(saved) in str(caught.value)


def test_a_file_with_a_changed_byte_is_refused(saved, seed):
    whole, generator = saved.read_bytes(), random.Random(seed)
    for _ in range(200):
        position = generator.randrange(len(whole))
        changed = bytearray(whole)
        changed[position] ^= generator.randrange(1, 256)
        saved.write_bytes(changed)
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(saved)
        assert str(saved) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"d2lrnn", b"PK\x03\x04", "不分开\n".encode(), b"\x80\x04."])
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(
        CheckpointError, match="foreign is not a d2lrnn checkpoint: expected it to begin with 'd2lrnn c"
    ):
        load_checkpoint(path)


@pytest.mark.parametrize("version", ["1", "21", "next"])
def test_another_format_version_is_refused(saved, version):
    saved.write_bytes(saved.read_bytes().replace(b"checkpoint 3\n", f"checkpoint {version}\n".encode(), 1))
    with pytest.raises(CheckpointError, match=f"has format version '{version}', this d2lrnn reads '2' and '3'"):
        load_checkpoint(saved)


def edit(meta, *keys, value=None):
    """Set, or for None delete, what is at the end of the keys."""
    *keys, last = keys
    for key in keys:
        meta = meta[key]
    meta.update({last: value}) if value is not None else meta.pop(last)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("vocabularies",), None, "vocabularies"),
        (("vocabularies", "text", "tokens"), ["a", "a"], "the token 'a' is there twice"),
        (("vocabularies", "text", "tokens"), [], r"vocabularies.text.tokens is \[\]: expected a list of at least 1"),
        (("vocabularies", "text", "tokens"), [1, 2], r"vocabularies.text.tokens\[0\] is 1: expected a text"),
        (
            ("vocabularies", "text", "level"),
            "line",
            "vocabularies.text.level is 'line': expected one of char, word, bigram",
        ),
        (("model_config", "cell"), ["lstm"], r"unknown cell \['lstm'\]: expected one of"),
        (("model_config", "kind"), "onnx", "unknown kind 'onnx'"),
        (("model_config", "num_layers"), 0, "num_layers is 0"),
        (("model_config", "num_hiddens"), "8", "num_hiddens|'<' not supported"),
        (("model_config", "heads"), 8, "heads"),
        (("train_config", "lr"), -1, "lr is -1"),
        (("train_config", "prefixes"), 3, "train_config.prefixes is 3: expected a list"),
        (("corpus",), None, "corpus"),
    ],
)
def test_an_edited_description_is_refused_although_its_checksum_is_right(saved, keys, value, message):
    arrays = contents(saved)
    meta = json.loads(str(arrays["meta.json"]))
    edit(meta, *keys, value=value)
    write_arrays(saved, {**arrays, "meta.json": numpy.array(json.dumps(meta))})
    with pytest.raises(CheckpointError, match=f"model.d2lrnn: .*contents are not what they should be: .*({message})"):
        load_checkpoint(saved)


@pytest.mark.parametrize("body", [b"", b"PK\x05\x06", b"\x93NUMPY", b"\x80\x04K\x01."])
def test_a_body_that_is_no_archive_is_refused(saved, body):
    write(saved, body)
    with pytest.raises(CheckpointError, match="is damaged: after 0 arrays comes neither another one nor"):
        load_checkpoint(saved)


def test_a_single_array_in_place_of_the_archive_is_refused(saved):
    body = io.BytesIO()
    numpy.save(body, numpy.arange(3))
    write(saved, body.getvalue())
    with pytest.raises(CheckpointError, match="is damaged: after 0 arrays comes neither another one nor"):
        load_checkpoint(saved)


class Trap:
    """Leaves a mark where it is unpickled."""

    sprung = False

    def __reduce__(self):
        return setattr, (Trap, "sprung", True)


def test_nothing_is_unpickled(saved):
    write_arrays(saved, {**contents(saved), "parameters/W_xh": numpy.array([Trap()], dtype=object)})
    with pytest.raises(CheckpointError, match="model.d2lrnn .*'parameters/W_xh' is not one of numbers: .*O'"):
        load_checkpoint(saved)
    assert not Trap.sprung


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda p: p.pop("b_h"), "b_h"),
        (lambda p: p.update(W_xh=p["W_xh"].T), "W_xh"),
        (lambda p: p.update(b_q=p["b_q"][:-1], W_hq=p["W_hq"][:, :-1]), "W_hq, b_q"),
        (lambda p: p.update(W_hh=p["W_hh"].astype("float64")), "W_hh"),
        (lambda p: p.update(W_hh=p["W_hh"].astype("int32")), "W_hh"),
        (lambda p: p.update(W_xz=p["W_xh"]), "W_xz"),
    ],
    ids=["missing", "transposed", "too small", "float64", "int32", "superfluous"],
)
def test_parameters_that_do_not_fit_are_refused_by_name(saved, change, names):
    arrays, prefix = contents(saved), "parameters/"
    parameters = {name.removeprefix(prefix): arrays.pop(name) for name in list(arrays) if name.startswith(prefix)}
    change(parameters)
    write_arrays(saved, {**arrays, **{prefix + name: array for name, array in parameters.items()}})
    with pytest.raises(CheckpointError, match=f"the parameters {names} do not fit the model (scratch|fast|gluon) "):
        load_checkpoint(saved)


def test_a_description_of_another_model_is_refused(saved):
    arrays = contents(saved)
    meta = json.loads(str(arrays["meta.json"]))
    meta["model_config"]["num_hiddens"] = 3
    write_arrays(saved, {**arrays, "meta.json": numpy.array(json.dumps(meta))})
    with pytest.raises(CheckpointError, match="W_hh, W_hq, W_xh, b_h do not fit .* rnn, 1 x 3 hidden units"):
        load_checkpoint(saved)


# What happens to the file


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("no space left on device"), KeyboardInterrupt()], ids=repr)
def test_an_interrupted_write_leaves_the_old_file(saved, monkeypatch, step, error):
    def fail(*args):
        raise error

    checkpoint, before = load_checkpoint(saved), saved.read_bytes()
    checkpoint.parameters["W_xh"][:] = 0
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        save_checkpoint(saved, checkpoint)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_a_new_file_replaces_the_old_one_whole(saved):
    checkpoint = load_checkpoint(saved)
    checkpoint.parameters["W_xh"][:] = 0
    save_checkpoint(saved, checkpoint)
    assert not load_checkpoint(saved).parameters["W_xh"].any()
    assert os.listdir(saved.parent) == [saved.name]


def test_the_same_model_gives_the_same_file(saved, tmp_path):
    again = save_checkpoint(tmp_path / "again", load_checkpoint(saved))
    assert again.read_bytes() == saved.read_bytes()
