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
from d2lrnn.exchange import export_onnx, export_safetensors
from d2lrnn.exchange.pytorch import NAMES
from d2lrnn.runs.checkpoint import Checkpoint
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
    load, steps, save, back, _ = blocks()
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
    program = blocks()[-1]
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


def test_the_page_names_what_a_file_holds(folder):
    """The tables and the sentence on metadata; a name of a layer stands there with _l0."""
    text = PAGE.read_text()
    for name in NAMES.values():
        assert f"`rnn.{name}_l0`" in text
    for name in load_file(folder / FILE):
        assert f"`{name}`" in text
    with safe_open(folder / FILE, "numpy") as file:
        metadata = file.metadata()
    assert all(f"`{name}`" in text for name in metadata.keys() - {"format"})
    assert json.loads(metadata["module"]) == {
        "class": "LSTM",
        "input_size": len(VOCAB),
        "hidden_size": 16,
        "num_layers": 1,
        "bidirectional": False,
    }
