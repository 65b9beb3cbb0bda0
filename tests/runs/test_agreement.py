"""The files in a run's folder are all of one run, or the run does not go on."""

import json
import shutil
from dataclasses import replace

import pytest
from tiny import ALWAYS, quiet, rain, training_of

from d2lrnn import Checkpoint, ModelConfig, build_model, load_checkpoint, set_seed, train_and_predict
from d2lrnn.runs import BEST, LAST, LOG, RunFolder, read_log
from d2lrnn.runs.agreement import check_position
from d2lrnn.runs.checkpoint import save_checkpoint
from d2lrnn.runs.log import RunError

CORPUS = rain(12, "the rain in spain")
CONFIG = ModelConfig("scratch", "rnn", 3)
ORIGIN = {"given": "sample", "sha256": "1" * 64}


def train(folder, num_epochs=3, config=CONFIG, origin=ORIGIN, seed=3, corpus=CORPUS):
    """Leave a run of some epochs in a folder."""
    set_seed(seed)
    settings = quiet(num_epochs=num_epochs, lr=1.0, theta=1.0, seed=seed)
    training = training_of(build_model(config, corpus.vocab_size), settings)
    run = RunFolder(folder, training, Checkpoint.about(config, settings, corpus, origin), ALWAYS)
    run.begin("a test")
    train_and_predict(training.model, corpus, settings, training, run.keep)
    run.finish()
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run of three epochs; do not change it."""
    return train(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of the folder of a run of three epochs."""
    return shutil.copytree(finished, tmp_path / "run")


def resume(folder, num_epochs=4, verbose=False):
    """Go on with the run in a folder, and return its history."""
    last = load_checkpoint(folder / LAST)
    settings = replace(last.train_config, num_epochs=num_epochs, verbose=verbose, pred_period=100)
    training = training_of(last.build_model(), settings)
    training.restore(last.training)
    run = RunFolder(folder, training, last, ALWAYS)
    run.begin("a test")
    history = train_and_predict(training.model, CORPUS, settings, training, run.keep)
    run.finish()
    return history


def refusal(folder):
    """Return why the run in a folder does not go on; nothing in the folder may change by it."""
    before = {path: path.read_bytes() for path in folder.iterdir()}
    try:
        resume(folder)
    except RunError as error:  # not pytest.raises, which would keep the traceback, and with it the lock
        assert {path: path.read_bytes() for path in folder.iterdir()} == before
        return str(error)
    raise AssertionError("the run went on")


def edit_best(folder, **fields):
    save_checkpoint(folder / BEST, replace(load_checkpoint(folder / BEST), **fields))


def edit_log(folder, edit):
    """Write the lines of a log anew as ``edit`` changes their list in place."""
    entries = read_log(folder / LOG)
    edit(entries)
    (folder / LOG).write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def foreign(tmp_path, name, target, **options):
    """Put a file of another run in place of one in a folder."""
    shutil.copy(train(tmp_path / "other", **options) / name, target / name)


LATER = {"epoch": 77, "valid_perplexity": 1.5}
BESTS = {
    "another size": (
        lambda folder, tmp: foreign(tmp, BEST, folder, config=replace(CONFIG, num_hiddens=4)),
        "it is of another model: num_hiddens 4, not 3",
    ),
    "another text": (
        lambda folder, tmp: foreign(tmp, BEST, folder, origin={**ORIGIN, "sha256": "2" * 64}),
        "it was trained on another text, rain",
    ),
    "another vocabulary": (
        lambda folder, tmp: foreign(tmp, BEST, folder, corpus=_turned()),
        "its vocabulary is another one",
    ),
    "another seed": (lambda folder, tmp: foreign(tmp, BEST, folder, seed=4), "its valid_perplexity in epoch 3 is"),
    "a later epoch": (
        lambda folder, tmp: edit_best(folder, reached=LATER),
        "it is of epoch 77, and last.d2lrnn stands after epoch 3",
    ),
    "another measure": (
        lambda folder, tmp: edit_best(folder, reached={"epoch": 1, "valid_accuracy": 0.5}),
        "it was judged by valid_accuracy, not by valid_perplexity",
    ),
}


def _turned():
    """Return a corpus with the same tokens in another order."""
    vocab = type(CORPUS.vocab).from_list(CORPUS.vocab.idx_to_token[::-1])
    return replace(CORPUS, vocab=vocab)


@pytest.mark.parametrize("name", BESTS)
def test_a_best_model_of_another_run_is_refused_and_changes_nothing(folder, tmp_path, name):
    put, reason = BESTS[name]
    put(folder, tmp_path)
    message = refusal(folder)
    assert message.startswith(f"{folder / BEST} is not of the run of {LAST}: {reason}")
    assert message.endswith("; move it to another folder, and resume again")
    (folder / BEST).rename(tmp_path / BEST)  # what the error says to do
    assert len(resume(folder).epochs) == 4


LOGS = {
    "two runs": (lambda entries: entries.extend(dict(entry) for entry in list(entries)), "two runs begin in it"),
    "another model": (
        lambda entries: entries[0]["model"].update(cell="gru", num_hiddens=8),
        "it is of another model: cell gru, not rnn; num_hiddens 8, not 3",
    ),
    "no model": (lambda entries: entries[0].update(model=["gru"]), "it is of another model"),
    "another measure": (lambda entries: entries[0].update(measure="error"), "its run was judged by error, not by perp"),
    "another history": (
        lambda entries: entries[2].update(perplexity=9.0),
        "its perplexity of epoch 2 is 9.0, and ",
    ),
    "another validation": (
        lambda entries: entries[3].update(valid_perplexity=None),
        "its valid_perplexity of epoch 3 is None, and that in last.d2lrnn is",
    ),
}


@pytest.mark.parametrize("name", LOGS)
def test_a_log_of_another_run_is_refused_and_changes_nothing(folder, tmp_path, name):
    edit, reason = LOGS[name]
    edit_log(folder, edit)
    message = refusal(folder)
    assert message.startswith(f"{folder / LOG} is not of the run of {LAST}: {reason}")
    assert message.endswith("; move it to another folder (a log is made anew), and resume again")
    (folder / LOG).rename(tmp_path / LOG)
    resume(folder)
    assert [entry["event"] for entry in read_log(folder / LOG)] == ["epoch"] * 3 + ["resume", "epoch"]


def test_a_missing_best_model_is_told(folder, capsys):
    epoch = load_checkpoint(folder / LAST).training.history.best_epoch
    (folder / BEST).unlink()
    resume(folder, verbose=True)
    line = f"{folder / BEST} is missing, the best model, of epoch {epoch}: put it back and resume again, or the best"
    assert line in capsys.readouterr().out
    assert load_checkpoint(folder / BEST).reached["epoch"] == 4


def test_a_best_model_that_is_later_than_the_position_is_known_by_the_log(finished, folder):
    """A kill between the two savings leaves such files, and so does another one before the epoch is over again."""
    later = train(folder.with_name("later"), num_epochs=5)
    best = load_checkpoint(later / BEST)
    assert best.reached["epoch"] == 5
    for name in (BEST, LOG):
        shutil.copy(later / name, folder / name)
    last = load_checkpoint(folder / LAST)
    for _ in range(2):
        training = training_of(last.build_model(), replace(last.train_config, num_epochs=5))
        training.restore(last.training)
        RunFolder(folder, training, last, ALWAYS).begin("a test")
        entries = read_log(folder / LOG)
        assert [entry["epoch"] for entry in entries if entry["event"] == "epoch"] == [1, 2, 3]
        assert entries[-1]["best"] == best.reached
    assert resume(folder, 5).epochs[-1]["valid_perplexity"] == best.reached["valid_perplexity"]


def test_a_position_after_more_batches_than_an_epoch_has_is_refused(folder):
    last = load_checkpoint(folder / LAST)
    position = replace(last.training.position, batch=27)
    at = replace(last, training=replace(last.training, position=position))
    check_position(at, 27)
    with pytest.raises(RunError, match=f"{folder / LAST} stands after 27 batches of an epoch: expected at most 26"):
        check_position(at, 26)
