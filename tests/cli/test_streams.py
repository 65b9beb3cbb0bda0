"""Standard output and standard error that are missing or lost, and a current folder that is gone."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import SONG, save_model

from d2lrnn import load_corpus
from d2lrnn.cli import main as cli
from d2lrnn.cli import streams
from d2lrnn.cli.shell import command
from d2lrnn.runs.checkpoint import LAST
from d2lrnn.runs.log import read_history
from d2lrnn.runs.trained import load_run

SMALL = "--max-tokens 150 --num-hiddens 4 --batch-size 2 --num-steps 5 --pred-len 2 --num-epochs 2".split()
LOST = "the training goes on without it, and the log in the run's folder tells of it"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a corpus, and a run of it."""
    (tmp_path / "lyrics.txt").write_text(SONG, encoding="utf-8")
    corpus = load_corpus(tmp_path / "lyrics.txt")
    save_model(tmp_path / "run" / "model.d2lrnn", corpus, ("雨下",), str(tmp_path / "lyrics.txt"))
    (tmp_path / "run" / "log.jsonl").write_text('{"event": "epoch", "epoch": 1, "perplexity": 9.0, "grad_norm": 1.0}\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


TRAIN = ["train", "--corpus", "lyrics.txt", *SMALL, "--out", "new"]
COMMANDS = {
    "train": TRAIN,
    "sample": ["sample", "run", "--pred-len", "3"],
    "evaluate": ["evaluate", "run", "--split", "train"],
    "show": ["show", "run", "--out", "picture.png"],
    "plot": ["plot", "run", "--out", "picture.png"],
    "compare": ["compare", "--corpus", "lyrics.txt", *SMALL, "--out", "compared"],
}


def lost_output(how):
    """Return a stream to which nothing can be written: a pipe that nobody reads, or a full disk."""
    if how == "full":
        number = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, number = os.pipe()
        os.close(reader)
    return open(number, "w", buffering=1, encoding="utf-8")


REASONS = {"pipe": "Broken pipe", "full": "No space left on device"}


@pytest.mark.parametrize("how", REASONS)
def test_train_goes_on_without_its_output(folder, monkeypatch, capsys, how):
    with lost_output(how) as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert cli.main(TRAIN) == 0
        assert sys.stdout is output
    assert capsys.readouterr().err == f"d2lrnn: standard output is lost ({REASONS[how]}): {LOST}\n"
    assert load_run(folder / "new", LAST).training.position.epoch == 3
    assert len(read_history(folder / "new").epochs) == 2 and (folder / "new" / "loss.png").exists()


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "train"])
def test_every_other_command_ends_with_a_line(folder, monkeypatch, capsys, name):
    with lost_output("pipe") as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert cli.main(COMMANDS[name]) == 1
    said = "d2lrnn: standard output is lost (Broken pipe): the rest of the output is not shown\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_works_without_standard_output_and_error(folder, monkeypatch, name):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert cli.main(COMMANDS[name]) == 0
    assert sys.stdout is None and sys.stderr is None


def test_a_wrong_option_without_standard_error_is_status_2(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "--colour", "red"])
    assert stop.value.code == 2


def test_a_training_in_python_needs_neither_stream(monkeypatch):
    import d2lrnn

    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    corpus = d2lrnn.load_corpus("sample", max_tokens=300)
    model = d2lrnn.build_model(d2lrnn.ModelConfig(num_hiddens=4), corpus.vocab_size)
    config = d2lrnn.TrainConfig(num_epochs=1, batch_size=2, num_steps=5, pred_len=2)
    assert len(d2lrnn.train_and_predict(model, corpus, config).perplexity) == 1


def test_a_shell_that_closes_standard_error_loses_no_run(folder):
    """No file that is written gets the number of standard error, to which MXNet writes."""
    words = f"{sys.executable} -m d2lrnn {' '.join(TRAIN)} --overwrite"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for redirection in ("2>&-", ">&- 2>&- <&-", "2>/dev/full"):  # a new run, and two in its place
        command = ["bash", "-c", f"{words} {redirection}"]
        assert subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode == 0
        assert load_run(folder / "new", LAST).training.position.epoch == 3


def test_an_error_that_nobody_can_read_is_a_status_all_the_same(folder, monkeypatch):
    with lost_output("full") as output:
        monkeypatch.setattr(sys, "stderr", output)
        assert cli.main(["sample", "nowhere"]) == 1


def test_missing_descriptors_are_taken_by_nothing_else(monkeypatch):
    opened, closed = iter([0, 2, 5]), []
    monkeypatch.setattr(os, "open", lambda *arguments: next(opened))
    monkeypatch.setattr(os, "close", closed.append)
    streams._occupy()
    assert closed == [5]


def test_an_output_is_lost_once(capsys):
    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError(32, "Broken pipe")

    output = streams.LastingOutput(Broken(), "all is well")
    assert [output.write("雨下") for _ in range(3)] == [2, 2, 2]
    output.writelines(["雨", "下"])
    output.flush()
    assert capsys.readouterr().err == "d2lrnn: standard output is lost (Broken pipe): all is well\n"
    assert output.isatty() is False and output.getvalue() == ""


def test_a_current_folder_that_is_gone(folder, tmp_path_factory, monkeypatch, capsys):
    gone = tmp_path_factory.mktemp("gone")
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(FileNotFoundError):
        Path.cwd()
    assert command("sample", "run") == f"{sys.executable} -m d2lrnn sample run"
    words = [str(folder / word) if word in ("lyrics.txt", "new") else word for word in TRAIN]
    assert cli.main(words) == 0
    out, err = capsys.readouterr()
    assert f"let it write:  {sys.executable} -m d2lrnn sample {folder / 'new'} --prefix " in out and err == ""
    assert cli.main(["train", "--corpus", str(folder / "lyrics.txt"), *SMALL, "--out", "new"]) == 1
    assert capsys.readouterr().err.startswith("d2lrnn: [Errno 2] No such file or directory: 'new")
