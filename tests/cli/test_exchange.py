"""The commands ``export`` and ``import``: what they write and print, and what they refuse in one line."""

import json
import re
import sys
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import load_file, save_file
from tiny import RAIN, tiny_model

from d2lrnn import CELLS, Corpus, ModelConfig, TrainConfig, Vocab, load_checkpoint, save_checkpoint
from d2lrnn.cli.main import main
from d2lrnn.config.forecasting import ForecastConfig
from d2lrnn.data.scaling import Scaling
from d2lrnn.data.series import read_series
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.classifier import label_vocab
from d2lrnn.runs.forecaster import data_of, origin_of_series

VOCAB = Vocab(RAIN)
CORPUS = Corpus("rain", VOCAB, VOCAB.encode(RAIN))
SETTINGS = {"embed_size": 8, "tie_weights": True, "init_scale": 0.8}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The folder of a run, below the current folder."""
    monkeypatch.chdir(tmp_path)
    model, config = tiny_model(len(VOCAB), **SETTINGS), ModelConfig(num_hiddens=8, **SETTINGS)
    return save_checkpoint("run/model.d2lrnn", Checkpoint.of(model, config, TrainConfig(prefixes=("the ",)), CORPUS))


@pytest.fixture
def printed(capsys):
    """Run a command, which must succeed; returns what it prints, line by line."""

    def call(*arguments):
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 0
        return capsys.readouterr().out.splitlines()

    return call


def test_there_and_back_on_the_command_line(run, printed):
    assert printed("export", "run", "--to", "safetensors") == [
        "file     run/model.safetensors",
        "model    gluon lstm, 1 x 8 hidden units, 693 parameters, 13 tokens",
        "checked  read back; all numbers, the vocabulary and the settings are equal",
    ]
    first, *lines, last = printed("import", "run/model.safetensors", "--out", "imported")
    assert first == "found    gluon lstm, 1 x 8 hidden units, 13 tokens of level char"
    assert lines == ["model    imported/model.d2lrnn"] and last.endswith("-m d2lrnn sample imported --prefix 'the '")
    assert printed("sample", "imported") == printed("sample", "run")
    assert load_checkpoint("imported/model.d2lrnn").parameters.keys() == load_checkpoint(run).parameters.keys()
    assert sorted(path.name for path in run.parent.parent.iterdir()) == ["imported", "run"]


def test_an_onnx_graph_is_run_and_held_against_the_model(run, printed, complaint, monkeypatch):
    file, model, checked = printed("export", "run", "--to", "onnx", "--out", "out/the.onnx")
    assert (file, model) == (
        "file     out/the.onnx",
        "model    gluon lstm, 1 x 8 hidden units, 693 parameters, 13 tokens",
    )
    found = re.fullmatch(r"checked  run by onnxruntime; its logits differ from the model's by (\S+) of the .*", checked)
    assert float(found[1]) < 1e-5
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert printed("export", "run", "--to", "onnx")[2] == (
        "checked  by onnx's checker; to run the graph and hold it against the model too, `pip install onnxruntime`"
    )
    assert (run.parent / "model.onnx").read_bytes() == (run.parent.parent / "out" / "the.onnx").read_bytes()
    monkeypatch.setitem(sys.modules, "onnx", None)
    line = complaint("export", "run", "--to", "onnx", "--overwrite")
    assert (
        "the package onnx is not installed, which writes ONNX files: run `pip install onnx onnxruntime 'numpy<2'"
        in line
    )


def test_a_model_from_scratch_says_what_it_has_rounded(run, printed):
    printed("export", "run/model.d2lrnn", "--to", "safetensors", "--out", "out/the.safetensors")
    first, *lines, _, _ = printed("import", "out/the.safetensors", "--out", "imported", "--kind", "fast")
    assert first == "found    fast lstm, 1 x 8 hidden units, 13 tokens of level char"
    assert lines == [
        "changed  the embedding has become part of the first layer's W_x",
        "changed  the two biases of each gate have been added up",
    ]
    (run.parent.parent / "text.txt").write_text(RAIN)
    measured = [printed("evaluate", name, "--text", "text.txt")[0] for name in ("run", "imported")]
    assert measured[0] == measured[1] and measured[0].startswith("text.txt: perplexity ")


def test_a_file_of_tensors_and_a_vocabulary_beside_it(run, printed, complaint):
    """As somebody who trained in PyTorch has them."""
    printed("export", "run", "--to", "safetensors")
    save_file(load_file("run/model.safetensors"), "plain.safetensors")
    line = complaint("import", "plain.safetensors", "--out", "new")
    assert "plain.safetensors: its metadata has no vocabulary: name a JSON file with the list of tokens by id" in line
    (run.parent.parent / "tokens.json").write_text(json.dumps(VOCAB.token_to_idx))
    for vocabulary in ("tokens.json", "run", "run/model.d2lrnn"):
        printed("import", "plain.safetensors", "--out", "new", "--vocabulary", vocabulary, "--overwrite")
        found, expected = load_checkpoint("new/model.d2lrnn"), load_checkpoint(run)
        assert found.vocab == expected.vocab and found.shape.tie_weights
        assert all(numpy.array_equal(found.parameters[name], array) for name, array in expected.parameters.items())
    line = complaint("import", "plain.safetensors", "--out", "n", "--vocabulary", "run", "--level", "word")
    assert "run has a vocabulary of level 'char': expected 'word'" in line


def test_an_rnn_may_have_tanh_or_relu(run, printed):
    for cell in ("rnn", "rnn_relu"):
        model = tiny_model(len(VOCAB), cell=cell)
        save_checkpoint("run/model.d2lrnn", Checkpoint.of(model, ModelConfig("gluon", cell, 8), TrainConfig(), CORPUS))
        printed("export", "run", "--to", "safetensors", "--overwrite")
        lines = printed("import", "run/model.safetensors", "--out", "new", "--overwrite")
        assert load_checkpoint("new/model.d2lrnn").shape.cell == cell and "caution" not in " ".join(lines)
        save_file(load_file("run/model.safetensors"), "plain.safetensors")
        given = ("import", "plain.safetensors", "--out", "new", "--overwrite", "--vocabulary", "run")
        caution = "caution  nothing says whether this rnn has tanh or relu; with relu, --cell rnn_relu"
        assert caution in printed(*given)
        assert load_checkpoint("new/model.d2lrnn").shape.cell == "rnn"
        assert caution not in printed(*given, "--cell", cell)
        assert load_checkpoint("new/model.d2lrnn").shape.cell == cell


def test_what_is_there_is_not_written_over(run, printed, complaint):
    printed("export", "run", "--to", "safetensors")
    line = complaint("export", "run", "--to", "safetensors")
    assert "run/model.safetensors is there already: name another file (--out), or write over it (--overwrite)" in line
    printed("export", "run", "--to", "safetensors", "--overwrite")
    before = Path("run/model.d2lrnn").read_bytes()
    for to in ("safetensors", "onnx"):
        line = complaint("export", "run", "--to", to, "--overwrite", "--out", "run/model.d2lrnn")
        assert "run/model.d2lrnn is there already and a checkpoint: name another file (--out)" in line
    assert Path("run/model.d2lrnn").read_bytes() == before
    line = complaint("import", "run/model.safetensors", "--out", "run")
    assert "run holds a run already: name another folder (--out), or give it up (--overwrite)" in line
    assert "run is a folder: expected a file to write" in complaint(
        "export", "run", "--to", "safetensors", "--out", "run"
    )
    for name in ("last.d2lrnn", "log.jsonl", "loss.png", "own.txt"):
        (run.parent / name).touch()
    printed("import", "run/model.safetensors", "--out", "run", "--overwrite")
    assert sorted(path.name for path in run.parent.iterdir()) == ["model.d2lrnn", "model.safetensors", "own.txt"]


def test_what_an_imported_run_lacks_is_said(run, printed, complaint):
    printed("export", "run", "--to", "safetensors")
    save_file(load_file("run/model.safetensors"), "plain.safetensors")
    printed("import", "plain.safetensors", "--out", "new", "--vocabulary", "run")
    line = complaint("train", "--resume", "new")
    assert "new holds a model but no last.d2lrnn, where its training would go on: an imported model has none" in line
    assert "an imported model has no log" in complaint("plot", "new")
    unknown = "the model was imported, and its file does not say on which text it was trained: name a corpus of its voc"
    assert unknown in complaint("evaluate", "new")
    assert unknown in complaint("sample", "new", "--prefix", "the", "--novelty")
    assert "was trained without prefixes: say what to start from, --prefix TEXT" in complaint("sample", "new")
    line = complaint("train", "--corpus", "sample", "--out", "new")
    assert "new holds a run already: name another folder (--out), or give it up (--overwrite)" in line


def test_a_missing_package_is_one_line(run, monkeypatch, complaint):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for arguments in (("export", "run", "--to", "safetensors"), ("import", "run/model.d2lrnn", "--out", "new")):
        assert complaint(*arguments) == (
            "d2lrnn: the package safetensors is not installed, which these files need: run `pip install safetensors`\n"
        )


def test_a_cell_of_the_users_stays_here(run, monkeypatch, complaint):
    monkeypatch.setitem(CELLS, "mine", CELLS["rnn"])
    model, config = tiny_model(len(VOCAB), kind="scratch", cell="mine"), ModelConfig("scratch", "mine", 8)
    save_checkpoint("run/model.d2lrnn", Checkpoint.of(model, config, TrainConfig(), CORPUS))
    line = complaint("export", "run", "--to", "safetensors")
    assert "the cell 'mine' is one that add_cell has added, and no other framework knows its equations" in line


def test_a_classifier_of_images_there_and_back(tmp_path, monkeypatch, printed):
    monkeypatch.chdir(tmp_path)
    settings = {"input_size": 28, "head": "mean", "num_outputs": 10, "init_scale": 0.5}
    origin, labels = {"given": "digits", "sha256": "0" * 64, "data_dir": "/home/me"}, label_vocab(tuple("0123456789"))
    about = {"origin": origin, "task": "classification", "data": {"shift": 2}}
    checkpoint = Checkpoint(
        ModelConfig(num_hiddens=8, **settings), {"labels": labels}, TrainConfig(), "digits", **about
    )
    save_checkpoint("run/model.d2lrnn", checkpoint.with_parameters(tiny_model(None, **settings)))
    described = "model    gluon lstm, 1 x 8 hidden units, 1,306 parameters, 28 numbers a step, 10 classes"
    assert printed("export", "run", "--to", "safetensors")[1:] == [
        described,
        "checked  read back; all numbers, the classes and the settings are equal",
    ]
    _, model, checked = printed("export", "run", "--to", "onnx")
    assert model == described and checked.startswith(
        "checked  run by onnxruntime; its logits differ from the model's by"
    )
    found, place, hint = printed("import", "run/model.safetensors", "--out", "new")
    assert found == "found    gluon lstm, 1 x 8 hidden units, 28 numbers a step, 10 classes"
    assert place == "model    new/model.d2lrnn" and hint.endswith("-m d2lrnn classify new IMAGE.png")
    found = load_checkpoint("new/model.d2lrnn")
    assert (found.task, found.data, found.vocabularies) == ("classification", {"shift": 2}, {"labels": labels})
    assert found.origin == {"given": "digits", "sha256": "0" * 64}


def test_a_forecaster_there_and_back(tmp_path, monkeypatch, printed, complaint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "waves.csv").write_text("x\n" + "\n".join(str(i % 7) for i in range(60)))
    settings = {"input_size": 1, "head": "steps", "num_outputs": 1, "init_scale": 0.5}
    series = read_series("waves.csv", ["x"])
    data = data_of(["x"], None, ForecastConfig(), Scaling((3.0,), (2.0,)))
    about = {"origin": origin_of_series(series, "waves.csv", 0.1), "task": "forecasting", "data": data}
    config, training = ModelConfig(num_hiddens=8, **settings), TrainConfig(num_steps=5)
    checkpoint = Checkpoint(config, {}, training, "waves.csv", **about)
    save_checkpoint("run/model.d2lrnn", checkpoint.with_parameters(tiny_model(None, **settings)))
    _, model, checked = printed("export", "run", "--to", "safetensors")
    assert model == "model    gluon lstm, 1 x 8 hidden units, 361 parameters, 1 column, 1 ahead"
    assert checked == "checked  read back; all numbers, the scale and the settings are equal"
    assert "its forecasts differ from the model's by" in printed("export", "run", "--to", "onnx")[2]
    found, _, hint = printed("import", "run/model.safetensors", "--out", "new")
    assert found == "found    gluon lstm, 1 x 8 hidden units, 1 column, 1 ahead"
    assert hint.endswith("-m d2lrnn forecast new --corpus FILE.csv")
    forecast = ["forecast", "run", "--steps", "3", "--paths", "20"]
    expected = printed(*forecast)
    (tmp_path / "waves.csv").rename("moved.csv")
    forecast[1] = "new"
    assert "the run's series is not at waves.csv any more: name its new place, --corpus FILE" in complaint(*forecast)
    assert printed(*forecast, "--corpus", "moved.csv") == expected == printed(*forecast)
