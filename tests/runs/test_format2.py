"""Checkpoints of format 2, written by commit 77ec49d: they load, and their runs go on with its numbers."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import training_of

import d2lrnn
from d2lrnn import load_checkpoint, load_corpus
from d2lrnn.runs import LAST, RunFolder, read_history
from d2lrnn.runs.checkpoint import save_checkpoint

FOLDER = Path(__file__).with_name("format2")
# What that commit's log says of epoch 3 of each run: training, validation.
NEXT = {"varied": (121.26356303940412, 209.04916287236), "lines": (159.12171823214769, None)}


def corpus_of(name):
    options = {"varied": {"max_tokens": 600, "held_out": 0.2}, "lines": {"max_tokens": 500, "lines": True}}[name]
    return load_corpus("sample", **options)


def test_what_they_hold():
    last, corpus = load_checkpoint(FOLDER / "varied.d2lrnn"), corpus_of("varied")
    assert last.vocab == corpus.vocab and list(last.vocabularies) == ["text"]
    history, position = last.training.history, last.training.position
    assert history.perplexity == [217.4824806300647, 172.79760177213223]
    assert history.valid_perplexity == [211.41475310654246, 186.62017354754045]
    assert history.samples[0][:2] == (1, "我") and history.measure == "perplexity" and history.best_epoch == 2
    assert (position.epoch, position.batch, position.count) == (3, 0, 0)
    assert d2lrnn.evaluate(last.build_model(), corpus.valid, 4, 12) == pytest.approx(history.valid[-1], rel=1e-5)


@pytest.mark.parametrize("name", NEXT)
def test_their_runs_go_on(name, tmp_path):
    last = load_checkpoint(FOLDER / f"{name}.d2lrnn")
    config = replace(last.train_config, num_epochs=3, verbose=False, prefixes=())
    training = training_of(last.build_model(), config)
    training.restore(last.training)
    history = d2lrnn.train_and_predict(training.model, corpus_of(name), config, training)
    trained, valid = NEXT[name]
    assert history.perplexity[-1] == pytest.approx(trained, rel=1e-4)
    assert history.valid_perplexity[2:] == ([] if valid is None else [pytest.approx(valid, rel=1e-4)])


@pytest.mark.parametrize("name", NEXT)
def test_written_again_they_are_of_the_new_format_and_say_the_same(name, tmp_path):
    old = load_checkpoint(FOLDER / f"{name}.d2lrnn")
    new = load_checkpoint(save_checkpoint(tmp_path / "new.d2lrnn", old))
    assert (tmp_path / "new.d2lrnn").read_bytes().startswith(b"d2lrnn checkpoint 3\n")
    assert (new.model_config, new.train_config, new.vocab) == (old.model_config, old.train_config, old.vocab)
    assert new.training.facts() == old.training.facts()
    for one, other in ((new.parameters, old.parameters), (new.training.arrays, old.training.arrays)):
        assert one.keys() == other.keys() and all((one[key] == other[key]).all() for key in one)


def test_a_run_halted_within_an_epoch_goes_on_in_its_folder(tmp_path):
    """It is from scratch, by Adam, with averaging begun and the state carried; its best model is of epoch 4."""
    folder = shutil.copytree(FOLDER / "halted", tmp_path / "run")
    last, corpus = load_checkpoint(folder / LAST), load_corpus("sample", max_tokens=250, held_out=0.2)
    position, steps = last.training.position, last.training.average_steps
    assert (position.epoch, position.batch, position.count, steps) == (8, 3, 96, 12)
    training = training_of(last.build_model(), last.train_config, segment=3)
    training.restore(last.training)
    run = RunFolder(folder, training, last)
    run.begin("a test")
    history = d2lrnn.train_and_predict(training.model, corpus, last.train_config, training, run.keep)
    assert history.perplexity[-1] == pytest.approx(30.69792281603509, rel=1e-4)
    assert history.valid[-1] == pytest.approx(117.3569166779139, rel=1e-4)
    assert [epoch for epoch, _, _ in history.samples] == [2, 4, 6, 8]
    best = load_checkpoint(run.finish())
    assert best.training is None and best.reached == {"epoch": 4, "valid_perplexity": min(history.valid)}
    assert d2lrnn.evaluate(best.build_model(), corpus.valid, 4, 8) == pytest.approx(min(history.valid), rel=1e-5)
    assert read_history(folder).epochs == history.epochs
