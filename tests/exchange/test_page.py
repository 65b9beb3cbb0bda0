"""The page on exchange: its programs run as they are printed, and its tables name what the files hold."""

import json
import os
import re
import subprocess
import sys
from functools import partial

import numpy
import onnxruntime
import pytest
from in_pytorch import FILE, PAGE, blocks, varied
from safetensors import safe_open
from safetensors.numpy import load_file
from tiny import tiny_model

from d2lrnn import Corpus, ModelConfig, TrainConfig, Vocab, load_checkpoint, save_checkpoint
from d2lrnn._runtime import mx
from d2lrnn.config.forecasting import ForecastConfig
from d2lrnn.data.scaling import Scaling
from d2lrnn.data.series import generated_series
from d2lrnn.evaluation.classes import class_probabilities
from d2lrnn.exchange import export_onnx, export_safetensors
from d2lrnn.exchange.pytorch import NAMES
from d2lrnn.generation.forecasts import next_values
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.classifier import label_vocab
from d2lrnn.runs.forecaster import data_of
from d2lrnn.runs.trained import TrainedRun

VOCAB = Vocab.from_list("分开不了我们的爱 ")
CORPUS = Corpus("sample", VOCAB, VOCAB.encode("分开"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the run that the page is about, but for how well it is trained, and its export."""
    folder = tmp_path_factory.mktemp("page")
    config = ModelConfig(num_hiddens=16, init_scale=0.8)
    model = varied(tiny_model(len(VOCAB), num_hiddens=16, init_scale=0.8))
    save_checkpoint(folder / "runs/sample/model.d2lrnn", Checkpoint.of(model, config, TrainConfig(), CORPUS))
    export_safetensors(folder / "runs/sample", folder / FILE)
    return folder


def test_the_programs_run_as_printed(folder, monkeypatch, capsys):
    """One after the other in a Python without d2lrnn: load, write, define the other cells' steps, save."""
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    load, steps, save, back = blocks()[:4]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    code = f"{load}\n{steps}\n{save}\nassert 'd2lrnn' not in __import__('sys').modules"
    found = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    run = TrainedRun.open(folder / "runs/sample")
    (written,) = run.generate(["分开"], 50, run.greedy_beginning("分开")[1])
    assert found.stdout == f"{written.text}\n" and len(set(written.text)) > 3
    saved, exported = load_file(folder / "torch.safetensors"), load_file(folder / FILE)
    assert saved.keys() == exported.keys() and all(numpy.array_equal(saved[name], exported[name]) for name in saved)
    monkeypatch.chdir(folder)
    exec(back, {})
    scratch = load_checkpoint(folder / "runs/torch/model.d2lrnn")
    assert capsys.readouterr().out == f"lstm 16 {' '.join(scratch.parameters)}\n"
    assert (scratch.shape, scratch.vocab) == (ModelConfig("scratch", num_hiddens=16), VOCAB)


def test_the_program_for_onnxruntime_runs_as_printed(folder, monkeypatch, capsys):
    """It needs NumPy and onnxruntime alone, and prints what the model writes."""
    program = blocks()[4]
    assert set(re.findall(r"^(?:import|from) (\w+)", program, re.MULTILINE)) == {"json", "numpy", "onnxruntime"}
    export_onnx(folder / "runs/sample", folder / "runs/sample/model.onnx")
    monkeypatch.chdir(folder)
    one_thread = onnxruntime.SessionOptions()
    one_thread.intra_op_num_threads = 1
    monkeypatch.setattr(onnxruntime, "InferenceSession", partial(onnxruntime.InferenceSession, sess_options=one_thread))
    exec(program, {})
    run = TrainedRun.open(folder / "runs/sample")
    (written,) = run.generate(["分开"], 50, run.greedy_beginning("分开")[1])
    assert capsys.readouterr().out == f"{written.text}\n" and len(set(written.text)) > 3


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    """A folder with the files of a classifier of images and of a forecaster, and what both answer on the page."""
    folder = tmp_path_factory.mktemp("sequences")
    digits = {"input_size": 28, "head": "mean", "num_outputs": 10, "bidirectional": True, "init_scale": 0.5}
    series = {"input_size": 1, "head": "steps", "num_outputs": 2, "init_scale": 0.5}
    scaling, labels = Scaling((0.5,), (2.0,)), label_vocab(tuple("0123456789"))
    models = {name: tiny_model(None, **settings) for name, settings in (("digits", digits), ("series", series))}
    about = {
        "digits": ({"labels": labels}, {"task": "classification"}),
        "series": ({}, {"task": "forecasting", "data": data_of(["value"], None, ForecastConfig(2), scaling)}),
    }
    for name, settings in (("digits", digits), ("series", series)):
        vocabularies, more = about[name]
        config = ModelConfig(num_hiddens=8, **settings)
        checkpoint = Checkpoint(config, vocabularies, TrainConfig(), name, **more).with_parameters(models[name])
        export_safetensors(checkpoint, folder / f"runs/{name}/model.safetensors")
        export_onnx(checkpoint, folder / f"runs/{name}/model.onnx")
    image = numpy.zeros((1, 28, 28), "float32")
    image[0, 4:24, 13:15] = 1
    shares = class_probabilities(models["digits"], [(mx.np.array(image), None)])[0]
    window = scaling.apply(generated_series(numpy.arange(20) / 10)[:, None]).astype("float32")
    following = scaling.undo(next_values(models["series"], window[None])[0], window[-1])
    return folder, (str(shares.argmax()), f"{100 * shares.max():.1f} %"), following[:, 0]


def values_of(line):
    return [float(value) for value in line.strip("[]").split(", ")]


def test_the_programs_for_classifiers_and_forecasters_run_as_printed(sequences, monkeypatch, capsys):
    """In PyTorch, then in onnxruntime: the same class with the same probability, and the same next two values."""
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    folder, (label, share), following = sequences
    functions, digits, series, program = blocks()[5:9]
    monkeypatch.chdir(folder)
    names = {}
    exec(functions + digits, names)
    assert capsys.readouterr().out == f"{label} {share}\n"
    exec(series, names)
    assert values_of(capsys.readouterr().out.strip()) == pytest.approx(following, abs=6e-4)
    assert set(re.findall(r"^(?:import|from) (\w+)", program, re.MULTILINE)) == {"json", "numpy", "onnxruntime"}
    exec(program, {})
    first, second = capsys.readouterr().out.splitlines()
    assert first == label and values_of(second) == pytest.approx(following, abs=6e-4)


def test_the_page_names_what_a_file_holds(folder, sequences):
    """The tables and the sentence on metadata; a name of a layer stands there with _l0."""
    text = PAGE.read_text()
    for name in NAMES.values():
        assert f"`rnn.{name}_l0`" in text
    for name in load_file(folder / FILE):
        assert f"`{name}`" in text
    with safe_open(folder / FILE, "numpy") as file:
        metadata = file.metadata()
    named = set(metadata)
    for name in ("digits", "series"):
        session = onnxruntime.InferenceSession(sequences[0] / f"runs/{name}/model.onnx")
        named |= session.get_modelmeta().custom_metadata_map.keys()
        named |= {array.name for array in (*session.get_inputs(), *session.get_outputs())}
    assert all(f"`{name}`" in text for name in named - {"format"})
    assert json.loads(metadata["module"]) == {
        "class": "LSTM",
        "input_size": len(VOCAB),
        "hidden_size": 16,
        "num_layers": 1,
        "bidirectional": False,
    }
