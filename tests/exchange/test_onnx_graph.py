"""ONNX files: run by onnxruntime, they compute what the models compute."""

import json
import sys
from dataclasses import replace

import numpy
import onnx
import onnxruntime
import pytest
from in_pytorch import varied
from parity import assert_close, projections
from tiny import tiny_model

import d2lrnn
from d2lrnn import Corpus, ModelConfig, TrainConfig, Vocab, build_model, predict_batch
from d2lrnn._runtime import mx
from d2lrnn.exchange import ExchangeError, contents_of, onnx_file
from d2lrnn.exchange.contents import contents_of_model
from d2lrnn.exchange.onnx_file import write_onnx
from d2lrnn.runs.checkpoint import Checkpoint

VOCAB = Vocab.from_list("abcdefghijklmnopqrs")
BOTH_KINDS = [(kind, cell) for kind in ("scratch", "gluon") for cell in d2lrnn.CELLS]


def model_of(vocab=VOCAB, **settings):
    """Return a model whose parameters are large enough that its states matter."""
    return tiny_model(len(vocab), **{"init_scale": 0.5, **projections(settings.get("cell", "")), **settings})


def session_of(path):
    """Load a file into onnxruntime, without threads of its own."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def zeros(session, batch_size):
    """Return the state at the beginning of a text, by name."""
    states = session.get_inputs()[1:]
    return {state.name: numpy.zeros((state.shape[0], batch_size, state.shape[2]), "float32") for state in states}


def read(session, ids, state):
    """Return the logits for ids, and the new state."""
    logits, *new = session.run(None, {"ids": ids, **state})
    return logits, dict(zip(state, new))


def assert_reads_alike(session, model, batch_size, lengths):
    """Hold a file against its model on tokens by chance, in parts of some numbers of steps, with the state carried."""
    generator, vocab_size = numpy.random.default_rng(1), model.vocab_size
    state, others_state = zeros(session, batch_size), model.begin_state(batch_size)
    for num_steps in lengths:
        ids = generator.integers(0, vocab_size, (batch_size, num_steps))
        before = state
        found, state = read(session, ids, before)
        logits, others_state = model(mx.np.array(ids, dtype="int32"), others_state)
        expected = logits.asnumpy().reshape(num_steps, batch_size, -1).transpose(1, 0, 2)
        assert found.shape == expected.shape
        assert_close(found, expected)
    forgetful, _ = read(session, ids, zeros(session, batch_size))
    assert abs(forgetful - found).max() > 1e-3 * abs(found).max()  # so a state that was lost would have been noticed


def written(session, prefixes, num_preds):
    """Return what a file writes after prefixes of one length, always the likeliest token."""
    state, ids = zeros(session, len(prefixes)), numpy.array([VOCAB.encode(prefix) for prefix in prefixes], "int64")
    last = ids
    for _ in range(num_preds):
        logits, state = read(session, last, state)
        last = logits[:, -1:].argmax(axis=2)
        ids = numpy.concatenate([ids, last], axis=1)
    return [VOCAB.decode(row) for row in ids]


@pytest.mark.parametrize("kind, cell", BOTH_KINDS)
def test_a_file_reads_200_steps_as_its_model_does(tmp_path, kind, cell):
    model = model_of(kind=kind, cell=cell, num_layers=2)
    exported = write_onnx(contents_of_model(model, VOCAB), tmp_path / "model.onnx", model)
    assert exported.path == tmp_path / "model.onnx" and exported.size == exported.path.stat().st_size
    assert exported.difference < 1e-5
    session = session_of(exported.path)
    assert_reads_alike(session, model, 3, [7, 1] * 25)
    assert_reads_alike(session, model, 1, [1, 7])


@pytest.mark.parametrize("kind, cell", BOTH_KINDS)
def test_a_file_writes_what_its_model_writes(tmp_path, kind, cell):
    model = varied(model_of(kind=kind, cell=cell))
    session = session_of(write_onnx(contents_of_model(model, VOCAB), tmp_path / "model.onnx").path)
    prefixes = [f"a{letter}" for letter in VOCAB.idx_to_token]
    texts = predict_batch(prefixes, 20, model, VOCAB)
    assert written(session, prefixes, 20) == texts and len({text[2:] for text in texts}) > 1


@pytest.mark.parametrize("kind, cell", BOTH_KINDS)
def test_two_directions(tmp_path, kind, cell):
    """A bidirectional model is no language model for the commands; a checkpoint made in Python holds one."""
    settings = {"kind": kind, "cell": cell, "num_layers": 2, "bidirectional": True, **projections(cell)}
    model, config = model_of(**settings), ModelConfig(num_hiddens=8, **settings)
    corpus = Corpus("letters", VOCAB, VOCAB.encode("abc"))
    contents = contents_of(Checkpoint.of(model, config, TrainConfig(), corpus))
    exported = write_onnx(contents, tmp_path / "model.onnx", model)
    assert exported.difference < 1e-5
    session = session_of(exported.path)
    assert [state.shape[0] for state in session.get_inputs()[1:]] == [4] * d2lrnn.CELLS[contents.stack.cell].num_states
    assert_reads_alike(session, model, 3, [7, 1, 7])


def constants(path):
    """Return the arrays of numbers in a file by name."""
    initializers = onnx.load(str(path)).graph.initializer
    arrays = {array.name: onnx.numpy_helper.to_array(array) for array in initializers}
    return {name: array for name, array in arrays.items() if array.dtype == "float32"}


@pytest.mark.parametrize("cell", ["lstm", "lstm_projected"])
def test_an_embedding_and_a_tied_one(tmp_path, cell):
    for tied in (False, True):
        width = projections(cell).get("num_projections", 8)
        model = model_of(cell=cell, embed_size=width, tie_weights=tied)
        exported = write_onnx(contents_of_model(model, VOCAB), tmp_path / "model.onnx", model)
        assert_reads_alike(session_of(exported.path), model, 2, [7, 1, 7])
        arrays, table = constants(exported.path), model.embedding.weight.data().asnumpy()
        assert (arrays["table"] == table).all()
        assert ("W_hq" in arrays) is not tied  # a tied weight is there once


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell, table", [("rnn", "weights"), ("lstm", "identity"), ("lstm_projected", "identity")])
def test_one_hot_vectors_take_no_more_room_than_the_weights(tmp_path, cell, table, bidirectional):
    """A table of one-hot vectors would be larger than all weights where the vocabulary is large."""
    vocab = Vocab.from_list([f"w{i}" for i in range(30 if table == "identity" else 300)], level="word")
    model = model_of(vocab, kind="scratch", cell=cell, bidirectional=bidirectional)
    contents = contents_of_model(model, vocab)
    exported = write_onnx(contents, tmp_path / "model.onnx", model)
    assert_reads_alike(session_of(exported.path), model, 2, [7, 1, 7])
    arrays = constants(exported.path)
    weights = sum(array.size for name, array in contents.values.items() if "W_x" in name)
    first = [array for name, array in arrays.items() if name == "l0.W" or (name[:3], name[-2:]) == ("l0.", ".W")]
    assert (arrays["table"].shape == (30, 30)) is (table == "identity")
    assert arrays["table"].size + sum(array.size for array in first) <= 2 * weights


def test_the_metadata_tell_what_the_tokens_are_and_what_the_model_is(tmp_path):
    vocab = Vocab.from_list(["分", "开", "\n", '"'])
    model, config = tiny_model(4, cell="gru"), ModelConfig(cell="gru", num_hiddens=8)
    checkpoint = Checkpoint.of(model, config, TrainConfig(theta=numpy.inf), Corpus("two", vocab, vocab.encode("分开")))
    session = session_of(write_onnx(contents_of(checkpoint), tmp_path / "model.onnx").path)
    found = session.get_modelmeta()
    metadata = found.custom_metadata_map
    assert json.loads(metadata["vocabulary"]) == ["分", "开", "\n", '"']
    settings = json.loads(metadata["settings"], parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
    assert (metadata["level"], metadata["cell"]) == ("char", "gru_reset_after")  # which is Gluon's gru
    assert (found.producer_name, settings["version"]) == ("d2lrnn", d2lrnn.__version__)
    assert ModelConfig.from_dict(settings["model_config"]) == config
    assert settings["train_config"]["theta"] == "Infinity" and settings["corpus"] == "two"
    assert "ids (batch_size, num_steps)" in found.description and "new_h" in found.description


def test_the_file_says_what_it_takes_and_gives_in_versions_that_older_runtimes_know(tmp_path):
    path = write_onnx(contents_of_model(model_of(num_layers=2), VOCAB), tmp_path / "model.onnx").path
    onnx.checker.check_model(str(path), full_check=True)
    proto, session = onnx.load(str(path)), session_of(path)
    assert (proto.ir_version, [(opset.domain, opset.version) for opset in proto.opset_import]) == (7, [("", 13)])
    shapes = {array.name: (array.type, array.shape) for array in [*session.get_inputs(), *session.get_outputs()]}
    state = ("tensor(float)", [2, "batch_size", 8])
    assert shapes == {
        "ids": ("tensor(int64)", ["batch_size", "num_steps"]),
        "h": state,
        "c": state,
        "logits": ("tensor(float)", ["batch_size", "num_steps", len(VOCAB)]),
        "new_h": state,
        "new_c": state,
    }


def test_an_id_that_the_vocabulary_lacks_is_refused(tmp_path):
    session = session_of(write_onnx(contents_of_model(model_of(), VOCAB), tmp_path / "model.onnx").path)
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument, match="out of data bounds"):
        read(session, numpy.array([[len(VOCAB)]]), zeros(session, 1))


def test_a_file_that_computes_something_else_is_found_out(tmp_path):
    model, other = (model_of(seed=seed) for seed in (3, 4))
    contents = contents_of_model(model, VOCAB)
    assert write_onnx(contents, tmp_path / "model.onnx", model).difference < 1e-5
    assert write_onnx(contents, tmp_path / "model.onnx", other).difference > 0.1


def test_an_output_layer_of_another_size(tmp_path):
    model = model_of(kind="scratch", cell="gru", num_outputs=5)
    exported = write_onnx(contents_of_model(model, VOCAB), tmp_path / "model.onnx", model)
    assert exported.difference < 1e-5
    assert session_of(exported.path).get_outputs()[0].shape == ["batch_size", "num_steps", 5]


def test_without_onnx_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        ExchangeError, match="the package onnx is not installed.* `pip install onnx onnxruntime 'numpy<2'`"
    ):
        write_onnx(contents_of_model(model_of(), VOCAB), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_onnxruntime_the_file_is_written_and_not_run(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    model = model_of()
    exported = write_onnx(contents_of_model(model, VOCAB), tmp_path / "model.onnx", model)
    assert exported.difference is None and exported.path.is_file()


def test_a_model_that_is_too_large_for_the_format_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    contents, path = contents_of_model(model_of(), VOCAB), tmp_path / "model.onnx"
    before = write_onnx(contents, path).path.read_bytes()
    monkeypatch.setattr(onnx_file, "MAX_BYTES", 1000)
    with pytest.raises(ExchangeError, match="the model's numbers take .* bytes, .* more than 1,000: export it to safe"):
        write_onnx(replace(contents, embedding=numpy.zeros((19, 16), "float32")), path)
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]


def test_a_cell_of_the_users_own_has_no_form_in_onnx(only_here):
    d2lrnn.add_cell("mine", d2lrnn.CELLS["rnn"])
    with pytest.raises(ExchangeError, match="'mine' is one that add_cell has added"):
        contents_of_model(build_model(ModelConfig("scratch", "mine", 8), len(VOCAB)), VOCAB)
