"""Safetensors files: there and back nothing changes, and what is no such model is refused in a sentence."""

import json
import math
import os
import struct
import sys
from dataclasses import replace

import numpy
import pytest
from parity import projections
from safetensors import safe_open
from safetensors.numpy import load_file, save
from tiny import tiny_model

import d2lrnn
from d2lrnn import Corpus, Dropout, ModelConfig, TrainConfig, Vocab, load_checkpoint, save_checkpoint
from d2lrnn.exchange import ExchangeError, contents_of, export_safetensors, import_safetensors, read_safetensors
from d2lrnn.exchange.contents import contents_of_model
from d2lrnn.exchange.run_folder import changes_for, checkpoint_of
from d2lrnn.exchange.safetensors_file import write_safetensors
from d2lrnn.exchange.vocabularies import read_vocabulary
from d2lrnn.models.parameters import get_values, named_parameters, set_values
from d2lrnn.models.twins import read_parameters
from d2lrnn.runs.checkpoint import Checkpoint

TOKENS = list("abcdefg")
VOCAB = Vocab.from_list(TOKENS)
CORPUS = Corpus("letters", VOCAB, VOCAB.encode("abc"))
TRAINING = TrainConfig(num_epochs=3, theta=math.inf, prefixes=("ab", "c"), batches="lines", num_lines=4)
REACHED = {"epoch": 2, "valid_perplexity": math.inf}
SHAPES = [
    {"kind": kind, "cell": cell, "num_layers": layers, "bidirectional": both, **projections(cell)}
    for kind in ("scratch", "fast", "gluon")
    for cell in d2lrnn.CELLS
    for layers, both in ((1, False), (2, True))
]
EMBEDDED = [
    {"embed_size": 6, "dropout": Dropout(0.1, 0.2, 0.3, words=0.1, locked=True)},
    {"cell": "gru", "num_layers": 2, "embed_size": 8, "tie_weights": True},
    {"cell": "lstm_peephole_projected", "num_projections": 5, "embed_size": 5, "tie_weights": True},
    {"cell": "rnn", "bidirectional": True, "num_outputs": 3, "init_scale": 0.5},
]


def trained(settings, **more):
    """Return the checkpoint of a model; all its numbers are by chance, second biases too."""
    config = ModelConfig(**{"num_hiddens": 8, **settings})
    model = tiny_model(len(VOCAB), **{"init_scale": 0.5, **settings})
    return Checkpoint.of(model, config, TRAINING, CORPUS, reached=REACHED, **more)


@pytest.mark.parametrize("settings", [*SHAPES, *EMBEDDED], ids=lambda settings: " ".join(map(str, settings.values())))
def test_there_and_back_nothing_changes(settings, tmp_path):
    first = trained(settings)
    path = export_safetensors(first, tmp_path / "model.safetensors")
    second = load_checkpoint(import_safetensors(path, tmp_path / "run"))
    assert {name: array.tobytes() for name, array in first.parameters.items()} == {
        name: array.tobytes() for name, array in second.parameters.items()
    }
    assert replace(second, parameters={}, path=None) == replace(first, parameters={})
    assert changes_for(read_safetensors(path), second.shape) == []


def test_the_corpus_is_found_again_where_it_has_a_name_and_no_path_is_told(tmp_path):
    origin = {"given": "sample", "max_tokens": 100, "lines": False, "held_out": 0.0, "sha256": "0" * 64}
    here = {"data_dir": "/home/somebody"}
    for given, kept in ((origin, origin), ({**origin, **here}, origin), ({**origin, "given": "/home/my.txt"}, {})):
        path = export_safetensors(trained({}, origin=given), tmp_path / "model.safetensors", overwrite=True)
        assert load_checkpoint(import_safetensors(path, tmp_path / "run", overwrite=True)).origin == kept
        assert b"/home" not in path.read_bytes()


def test_a_run_is_written_from_its_folder_or_its_file(tmp_path):
    save_checkpoint(tmp_path / "run" / "model.d2lrnn", trained({"cell": "gru", "kind": "scratch"}))
    first, second = (
        export_safetensors(tmp_path / run, tmp_path / out)
        for run, out in (("run", "a.safetensors"), ("run/model.d2lrnn", "folder/b.safetensors"))
    )
    found, others = load_file(first), load_file(second)
    assert found.keys() == others.keys() and all(numpy.array_equal(found[name], others[name]) for name in found)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "folder", "run"]


@pytest.mark.parametrize("settings", [SHAPES[-3], EMBEDDED[0]], ids=["peephole", "embedding"])
def test_a_model_from_gluon_computes_the_same_from_scratch(settings, tmp_path):
    """The biases are added up, and the embedding becomes part of the first weights."""
    first = trained({**settings, "kind": "gluon"})
    contents = read_safetensors(export_safetensors(first, tmp_path / "model.safetensors"))
    ids = numpy.random.default_rng(2).integers(0, len(VOCAB), (2, 9))
    expected = logits(first.build_model(), ids)
    for kind in ("scratch", "fast"):
        second = checkpoint_of(contents, kind)
        assert second.shape.kind == kind and second.shape.embed_size is None
        found = logits(second.build_model(), ids)
        assert abs(found - expected).max() <= 1e-5 * abs(expected).max()
    changes = changes_for(contents, second.shape)
    assert len(changes) == 2 * ("embed_size" in settings)


def logits(model, ids):
    return model(d2lrnn._runtime.mx.np.array(ids, dtype="int32"), model.begin_state(len(ids)))[0].asnumpy()


def test_what_cannot_be_described_is_refused_with_its_name(monkeypatch):
    step = d2lrnn.CELLS["rnn"]
    monkeypatch.setitem(d2lrnn.CELLS, "mine", step)
    for kind in ("scratch", "gluon"):
        with pytest.raises(ExchangeError, match="the cell 'mine' is one that add_cell has added"):
            contents_of(trained({"kind": kind, "cell": "mine"}))

    class MyModel(d2lrnn.RNNModel):
        pass

    layer = d2lrnn.rnn_layer("lstm", 3)
    with pytest.raises(ExchangeError, match="the equations of this MyModel are not known here"):
        contents_of_model(MyModel(layer, len(VOCAB)), VOCAB)
    mine = d2lrnn.RNNModelScratch(7, 3, None, d2lrnn.get_rnn_params, d2lrnn.init_rnn_state, lambda *given: None)
    with pytest.raises(ExchangeError, match="the equations of this RNNModelScratch are not known here"):
        contents_of_model(mine, VOCAB)
    with pytest.raises(d2lrnn.CheckpointError, match="no configuration describes the model"):
        contents_of(replace(trained({}), model_config=None))


@pytest.mark.parametrize("name", ["dense.weight", "embedding.weight"])
def test_a_model_without_numbers_is_not_written(name, tmp_path):
    model = tiny_model(len(VOCAB), embed_size=4)
    values = get_values(named_parameters(model)[name]).asnumpy()
    values[0, 0] = numpy.nan
    set_values(named_parameters(model)[name], values)
    broken = Checkpoint.of(model, ModelConfig(num_hiddens=8, embed_size=4), TRAINING, CORPUS)
    with pytest.raises(ExchangeError, match="has numbers that are not finite, so the model cannot compute"):
        export_safetensors(broken, tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_disk_that_keeps_something_else_is_noticed(monkeypatch, tmp_path):
    from d2lrnn.exchange import safetensors_file

    contents = contents_of(trained({}))
    other = contents_of_model(tiny_model(len(VOCAB), seed=4), VOCAB, contents.settings)
    monkeypatch.setattr(safetensors_file, "read_safetensors", lambda path: other)
    with pytest.raises(ExchangeError, match=r"model.safetensors does not hold what was written to it"):
        write_safetensors(contents, tmp_path / "model.safetensors")


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for call in (
        lambda: export_safetensors(trained({}), tmp_path / "model.safetensors"),
        lambda: read_safetensors(tmp_path / "model.safetensors"),
    ):
        with pytest.raises(ExchangeError, match="is not installed, which these files need: run `pip install safetens"):
            call()


@pytest.mark.parametrize(
    ("content", "level", "expected"),
    [
        (["b", "a"], None, Vocab.from_list("ba")),
        ({"b": 0, "a": 1}, None, Vocab.from_list("ba")),
        ({"tokens": ["the", "a"], "level": "word"}, None, Vocab.from_list(["the", "a"], "word")),
        ({"tokens": 1, "level": 0}, "word", Vocab.from_list(["level", "tokens"], "word")),
        (["the", "a"], "word", Vocab.from_list(["the", "a"], "word")),
        (["<pad>", "a"], "char", Vocab.from_list(["<pad>", "a"])),
    ],
)
def test_a_vocabulary_is_read_from_json(content, level, expected, tmp_path):
    path = tmp_path / "tokens.json"
    path.write_text(json.dumps(content))
    assert read_vocabulary(path, level) == expected


def test_a_vocabulary_is_read_from_a_run(tmp_path):
    path = save_checkpoint(tmp_path / "run" / "model.d2lrnn", trained({}))
    assert read_vocabulary(path) == read_vocabulary(path.parent, "char") == VOCAB
    with pytest.raises(ExchangeError, match="has a vocabulary of level 'char': expected 'word'"):
        read_vocabulary(path, "word")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[", "holds no vocabulary: it is no JSON"),
        (b"\xff", "is not UTF-8: expected a vocabulary as JSON"),
        (b"[" * 100_000, "holds no vocabulary: it is nested too deeply"),
        (b"3", "holds no vocabulary: it is 3: expected a list of tokens, or an object of tokens and their ids"),
        (b"[]", "there are no tokens"),
        (b"[1]", "expected strings as tokens, found 1"),
        (b'["a", "a"]', "the token 'a' is there twice"),
        (b'["ab"]', "the token 'ab' is not one character: say how texts are split into tokens, --level word"),
        (b'["\\ud800"]', "the token '\\\\ud800' is half of a character"),
        (b'{"a": 0, "b": 0}', "the token 'b' has the id 0: expected each of the ids 0 to 1 once"),
        (b'{"a": 7}', "the token 'a' has the id 7: expected each of the ids 0 to 0 once"),
        (b'{"a": true}', "the token 'a' has the id True"),
        (b'{"tokens": ["a"], "level": "page"}', "unknown level 'page'"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else "",
)
def test_a_file_that_holds_no_vocabulary(content, expected, tmp_path):
    path = tmp_path / "tokens.json"
    path.write_bytes(content)
    with pytest.raises(ExchangeError, match=expected) as found:
        read_vocabulary(path)
    assert str(found.value).startswith(str(path)) and "\n" not in str(found.value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The tensors and the metadata of a file that can be read."""
    model = tiny_model(len(VOCAB), kind="gluon", cell="lstm", embed_size=4, num_layers=2)
    path = write_safetensors(contents_of_model(model, VOCAB), tmp_path_factory.mktemp("whole") / "model.safetensors")
    with safe_open(path, "numpy") as file:
        return load_file(path), file.metadata()


GONE = object()


def with_tensors(**changes):
    """Return a change of a file's tensors; names have _ in place of a point after rnn, encoder, decoder."""

    def change(tensors, metadata):
        for name, value in changes.items():
            name = name.replace("_", ".", 1)
            if value is GONE:
                del tensors[name]
            else:
                tensors[name] = value(tensors.get(name)) if callable(value) else value

    return change


def with_metadata(**changes):
    def change(tensors, metadata):
        metadata.update({name: value for name, value in changes.items() if value is not GONE})
        for name, value in changes.items():
            if value is GONE:
                del metadata[name]

    return change


def both(first, second):
    def change(tensors, metadata):
        first(tensors, metadata)
        second(tensors, metadata)

    return change


def of(*shape):
    return numpy.ones(shape, "float32")


def with_nan(array):
    return numpy.where(numpy.arange(array.size).reshape(array.shape) == 1, numpy.float32("nan"), array)


def everything_renamed(tensors, metadata):
    for name in list(tensors):
        tensors[name.replace("rnn.", "lstm.")] = tensors.pop(name)


def settings(**values):
    return with_metadata(settings=json.dumps(values))


BROKEN = {
    "no recurrent layer": (
        everything_renamed,
        "there is no tensor rnn.weight_ih_l0; found decoder.bias, .*; expected the",
    ),
    "no bias": (
        with_tensors(rnn_bias_hh_l1=GONE),
        "there is no tensor rnn.bias_hh_l1; .* bias=False, give it biases of 0",
    ),
    "no decoder": (with_tensors(decoder_weight=GONE), "there is no tensor decoder.weight"),
    "a layer is missing": (with_tensors(rnn_weight_ih_l7=of(32, 8)), "there is no tensor rnn.weight_ih_l2"),
    "a tensor too many": (
        with_tensors(norm_weight=of(3)),
        "the tensor 'norm.weight' is no part of a model",
    ),
    "a name that acts on a terminal": (with_tensors(**{"x_\x1b[2J": of(3)}), r"the tensor 'x.\\x1b\[2J' is no part"),
    "a projection": (
        both(with_tensors(rnn_weight_hr_l0=of(8, 32)), with_metadata(cell=GONE)),
        "has 32 rows for 32 hidden units, a projection: expected as",
    ),
    "a projection of no projected cell": (
        with_tensors(rnn_weight_hr_l0=of(8, 32)),
        "the tensors describe no model: num_projections is 8 for cell 'lstm'",
    ),
    "another width": (
        with_tensors(rnn_weight_hh_l1=of(32, 7)),
        r"weight_hh_l1 has the shape \(32, 7\): expected \(32, 8\)",
    ),
    "another decoder": (
        with_tensors(decoder_weight=of(7, 9)),
        r"decoder.weight has the shape \(7, 9\): expected \(7, 8\)",
    ),
    "a vector": (with_tensors(rnn_weight_ih_l0=of(32)), r"rnn.weight_ih_l0 has the shape \(32,\): expected a matrix"),
    "nothing in it": (with_tensors(rnn_weight_hh_l0=of(32, 0)), r"has the shape \(32, 0\): expected a matrix"),
    "a strange number of gates": (
        both(with_tensors(rnn_weight_ih_l0=of(16, 4)), with_metadata(cell=GONE)),
        "has 16 rows for 8 hidden units: expected as many",
    ),
    "half a gate": (
        both(with_tensors(rnn_weight_ih_l0=of(12, 4)), with_metadata(cell=GONE)),
        "has 12 rows for 8 hidden units",
    ),
    "too many layers": (with_tensors(rnn_weight_ih_l999=of(1, 1)), "num_layers is 1000: expected a whole number"),
    "half precision": (
        with_tensors(decoder_bias=lambda b: b.astype("float16")),
        "is of type F16: expected F32; in PyTorch",
    ),
    "double precision": (with_tensors(decoder_bias=lambda b: b.astype("float64")), "is of type F64: expected F32"),
    "whole numbers": (with_tensors(decoder_bias=lambda b: b.astype("int32")), "is of type I32: expected F32"),
    "NaN": (with_tensors(encoder_weight=with_nan), "encoder.weight has numbers that are not finite"),
    "infinite": (with_tensors(rnn_bias_ih_l0=lambda b: b / 0), "rnn.bias_ih_l0 has numbers that are not finite"),
    "no vocabulary": (with_metadata(vocabulary=GONE), "its metadata has no vocabulary: name a JSON file"),
    "vocabulary no JSON": (with_metadata(vocabulary="a b"), "the vocabulary in its metadata: it is no JSON"),
    "a token too few": (
        with_metadata(vocabulary='["a"]'),
        "vocabulary has 1 tokens, and the model reads 7 different ones",
    ),
    "a token twice": (with_metadata(vocabulary=json.dumps(["a"] * 7)), "the token 'a' is there twice"),
    "no such level": (with_metadata(level="page"), "unknown level 'page'"),
    "no such cell": (with_metadata(cell="qru"), "its metadata has the cell 'qru': expected one of rnn, rnn_relu"),
    "another cell": (
        with_metadata(cell="gru"),
        r"weight_ih_l0 has the shape \(32, 4\): expected \(24, 4\), for the cell gru",
    ),
    "a cell that projects": (
        with_metadata(cell="lstm_projected"),
        "the tensors describe no model: num_projections is None",
    ),
    "settings no JSON": (with_metadata(settings="{"), "the settings in its metadata: it is no JSON"),
    "settings a list": (
        with_metadata(settings="[]"),
        r"the settings in its metadata: it is \[\]: expected named fields",
    ),
    "outputs of no vocabulary": (
        with_tensors(decoder_weight=of(9, 8), decoder_bias=of(9)),
        "decoder.weight has 9 rows: expected 7, one for each token",
    ),
    "a strange setting": (settings(model_config={"colour": 3}), "the model's settings: .* have no setting colour"),
    "a strange kind": (settings(model_config={"kind": "cloud"}), "the model's settings: unknown kind 'cloud'"),
    "a strange training": (
        settings(train_config={"lr": "fast"}),
        "the model's settings: lr is 'fast': expected a number",
    ),
    "a training that is none": (settings(train_config=[]), r"the settings in its metadata: train_config is \[\]"),
    "a strange corpus": (settings(corpus=3), "the model's settings: corpus is 3: expected a path"),
    "a strange origin": (settings(origin={"given": "x"}), "the model's settings: origin.sha256 is missing"),
    "a strange score": (settings(reached={"epoch": -1}), "the model's settings: reached.epoch is -1"),
}


@pytest.mark.parametrize(("change", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_holds_no_model(change, expected, whole, tmp_path):
    tensors, metadata = map(dict, whole)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        change(tensors, metadata)
    path = tmp_path / "broken.safetensors"
    path.write_bytes(save(tensors, metadata))
    with pytest.raises(ExchangeError, match=expected) as found:
        import_safetensors(path, tmp_path / "run")
    assert "\n" not in str(found.value) and "\x1b" not in str(found.value)
    assert [place.name for place in tmp_path.iterdir()] == ["broken.safetensors"]


def header(content):
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(content)) + content


ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "header too small"),
        (b"d2lrnn checkpoint 3\n" + b"0" * 64, "header too large"),
        (struct.pack("<Q", 2**63) + b"{}", "header too large"),
        (header(b"no JSON at all"), "invalid JSON in header"),
        (header(b"\xff\xff"), "invalid UTF-8 in header"),
        (header({"a": ONE}), "not fully covered"),
        (header({"a": ONE}) + bytes(9), "not fully covered"),
        (header({"a": {**ONE, "shape": [2**62, 8]}}) + bytes(8), "overflow"),
        (header({"a": ONE, "b": ONE}) + bytes(8), "invalid offset"),
        (header({"__metadata__": {"cell": 3}}), "invalid type: integer"),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else "",
)
def test_a_file_that_is_no_safetensors_file(content, expected, tmp_path):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(ExchangeError, match=expected) as found:
        read_safetensors(path)
    assert str(found.value).startswith(f"{path} is no whole safetensors file: ") and "\n" not in str(found.value)


def test_a_file_that_is_cut_off_anywhere_is_refused(whole, tmp_path):
    content = save(*whole)
    path = tmp_path / "cut.safetensors"
    for length in [0, 1, 7, 8, 9, *range(10, len(content), 997), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ExchangeError):
            read_safetensors(path)


@pytest.mark.timeout(20)
def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in ("pipe", "missing", "."):
        with pytest.raises(d2lrnn.FileError):
            read_safetensors(tmp_path / place)
    with pytest.raises(d2lrnn.FileError, match="a pipe, expected a file"):
        read_vocabulary(tmp_path / "pipe")


def test_a_kind_that_cannot_be(tmp_path):
    path = export_safetensors(trained({"kind": "scratch", "cell": "gru"}), tmp_path / "model.safetensors")
    with pytest.raises(ExchangeError, match="there is no layer on Gluon for the cell gru"):
        import_safetensors(path, tmp_path / "run", kind="gluon")
    with pytest.raises(ExchangeError, match="unknown kind 'cloud': expected one of scratch, fast, gluon"):
        import_safetensors(path, tmp_path / "run", kind="cloud")
    with pytest.raises(ExchangeError, match="there is no cell 'qru': expected one of rnn"):
        import_safetensors(path, tmp_path / "run", cell="qru")


def test_a_file_of_our_own_needs_no_settings(whole, tmp_path):
    """As a file from PyTorch has none: the kind is then gluon, but scratch for the book's GRU."""
    for cell, kind in (("lstm", "gluon"), ("gru", "scratch")):
        contents = contents_of_model(tiny_model(len(VOCAB), kind=kind, cell=cell), VOCAB)
        found = checkpoint_of(replace(contents, settings={}))
        assert (found.shape.kind, found.shape.cell, found.corpus, found.train_config) == (kind, cell, "", TrainConfig())
        values = read_parameters(found.build_model())
        assert all(numpy.array_equal(values[name], array) for name, array in contents.values.items())
