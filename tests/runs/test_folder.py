"""Runs that are halted, killed, resumed, and refused."""

import errno
import json
import math
import os
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import forks
import numpy
import pytest
from tiny import ALWAYS, FOX, FOX_NAMED, ctrl_c, no_number, write_fox
from tiny import FOX_CORPUS as CORPUS

import d2lrnn
from d2lrnn import Dropout, ModelConfig, NextToken, TrainConfig, Training
from d2lrnn.cli import main as cli
from d2lrnn.cluster.job import GO_ON
from d2lrnn.data.corpora import CORPORA
from d2lrnn.runs import checkpoint
from d2lrnn.runs.checkpoint import BEST, LAST
from d2lrnn.runs.folder import Pace, RunFolder
from d2lrnn.runs.log import LOG, RunError, read_history, read_log
from d2lrnn.runs.origin import origin_of
from d2lrnn.runs.trained import load_run

REGULARISED = ModelConfig(
    num_hiddens=8,
    num_layers=2,
    embed_size=8,
    tie_weights=True,
    dropout=Dropout(0.2, 0.2, 0.2, words=0.1, weights=0.2, locked=True),
)
SETTINGS = {
    "adam, varied steps, averaged": (
        REGULARISED,
        {"optimizer": "adam", "lr": 0.05, "batches": "varied", "averaging": 1},
    ),
    "sgd with decay": (REGULARISED, {"lr_schedule": "decay", "lr_decay": 0.5, "lr": 1.0, "sum_over_steps": True}),
    "random windows": (ModelConfig(cell="gru", num_hiddens=8, dropout=0.3), {"batches": "random", "lr": 1.0}),
    "from scratch": (ModelConfig("scratch", "lstm", 4), {"lr": 1.0}),
    "compiled": (ModelConfig("fast", "gru", 4), {"lr": 1.0}),
}


class HaltError(Exception):
    """Ends a training where it can be halted."""


def training_by(name, kind=Training, **options):
    model_config, settings = SETTINGS[name]
    fixed = {"num_epochs": 5, "batch_size": 4, "num_steps": 10, "theta": 1.0, "verbose": False, "seed": 3}
    config = TrainConfig(**{**fixed, **settings, **options})
    d2lrnn.set_seed(config.seed)
    return training_again(d2lrnn.build_model(model_config, CORPUS.vocab_size), config, kind)


def training_again(model, config, kind=Training):
    """Return a training that is seeded anew often."""
    return kind(model, config, NextToken(model.vocab_size), segment=4)


def folder_of(training, name, folder):
    """Return the folder that keeps a training with one of the SETTINGS."""
    return RunFolder(folder, training, checkpoint.Checkpoint.about(SETTINGS[name][0], training.config, CORPUS, {}))


def go_on(training, on_segment=None):
    return d2lrnn.train_and_predict(training.model, CORPUS, training.config, training, on_segment)


def numbers_of(training):
    """Return all that tells one training from another, but for its clock."""
    snapshot = training.snapshot()
    facts, arrays = snapshot.facts(), snapshot.arrays
    clocks = {"seconds", "tokens_per_second"}
    epochs = [{name: v for name, v in epoch.items() if name not in clocks} for epoch in facts["history"]["epochs"]]
    history = epochs, facts["history"]["samples"]
    params = {
        name: d2lrnn.models.parameters.get_values(p).asnumpy()
        for name, p in d2lrnn.named_parameters(training.model).items()
    }
    return history, facts["steps"], {name: array.tobytes() for name, array in {**arrays, **params}.items()}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_halted_run_goes_on_with_the_numbers_of_one_that_was_not(name, tmp_path, seed):
    whole = training_by(name, batch_size=16)
    go_on(whole)
    assert len(whole.history.perplexity) == 5
    if "averaged" in name:
        assert whole.average.steps > 0  # or nothing would be tested
    training, halts, generator = training_by(name, batch_size=16), 0, random.Random(seed)
    while True:

        def maybe_halt():
            if generator.random() < 0.5:
                raise HaltError

        try:
            go_on(training, maybe_halt)
            break
        except HaltError:
            halts += 1
            # Through a file, into a new model, as another process would.
            config, model_config = training.config, SETTINGS[name][0]
            kept = checkpoint.Checkpoint.of(training.model, model_config, config, CORPUS, training=training.snapshot())
            loaded = checkpoint.load_checkpoint(checkpoint.save_checkpoint(tmp_path / "last", kept))
            d2lrnn.set_seed(generator.randrange(1000))
            training = training_again(loaded.build_model(), loaded.train_config)
            training.restore(loaded.training)
    assert halts
    assert numbers_of(training) == numbers_of(whole)


class Halting(Training):
    """A training that asks itself to stop in the middle of any batch, by chance."""

    def step(self, *arguments):
        if random.random() < 0.12:
            self.halt()
        return super().step(*arguments)


@pytest.mark.parametrize("name", ["adam, varied steps, averaged", "random windows", "compiled"])
def test_a_run_that_is_asked_to_stop_after_any_batch_goes_on_with_the_same_numbers(name, tmp_path, monkeypatch):
    whole = training_by(name, batch_size=8)
    go_on(whole)
    generator = random.Random(7)  # the loop seeds the module's own
    monkeypatch.setattr(random, "random", generator.random)
    training, batches = training_by(name, kind=Halting, batch_size=8), []
    while go_on(training).stopped:
        batches.append(training.position.batch)
        config, model_config = training.config, SETTINGS[name][0]
        kept = checkpoint.Checkpoint.of(training.model, model_config, config, CORPUS, training=training.snapshot())
        loaded = checkpoint.load_checkpoint(checkpoint.save_checkpoint(tmp_path / "last", kept))
        d2lrnn.set_seed(generator.randrange(1000))
        training = training_again(loaded.build_model(), loaded.train_config, Halting)
        training.restore(loaded.training)
    assert {batch % 4 for batch in batches} == {0, 1, 2, 3}  # at the ends of segments, and within
    assert numbers_of(training) == numbers_of(whole)


KILLED = {
    "regularised": "--num-layers 2 --num-hiddens 8 --embed-size 8 --tie-weights --dropout 0.2 --locked-dropout "
    "--weight-dropout 0.2 --word-dropout 0.1 --vary-steps --optimizer adam --lr 0.05 --weight-decay 0.01 --averaging 1 "
    "--batch-size 16 --num-steps 12 --num-epochs 10 --pred-len 5 --prefix the",
    "from scratch": "--kind scratch --cell gru --num-hiddens 4 --optimizer sgd --lr 1 --theta 0.1 --use-random-iter "
    "--batch-size 16 --num-steps 10 --num-epochs 8 --pred-len 5 --prefix the",
    "a classifier of moved images": "--corpus digits --num-hiddens 4 --batch-size 5 --num-epochs 10 --averaging 1",
}


@pytest.mark.parametrize("name", KILLED)
def test_a_run_killed_twenty_times_ends_with_the_same_numbers(name, tmp_path, seed):
    result = forks.run("killed_run.py", tmp_path, seed % 2**32, 20, *KILLED[name].split())
    assert (result.returncode, result.stderr) == (0, "")
    seen = json.loads(result.stdout)
    print(seen)
    assert seen["killed_in_writing"] >= 6
    assert seen["positions"][-1] > [1, 0]  # it got on between the kills
    whole, killed = ([e for e in read_log(tmp_path / folder / LOG)] for folder in ("whole", "killed"))
    clocks = {"seconds", "tokens_per_second", "examples_per_second"}
    whole, killed = (
        [{k: v for k, v in entry.items() if k not in clocks} for entry in log if entry["event"] in ("epoch", "test")]
        for log in (whole, killed)
    )
    assert whole == killed  # as numbers: JSON keeps every bit of a float
    assert len(whole) > 8
    assert (tmp_path / "whole" / BEST).read_bytes() == (tmp_path / "killed" / BEST).read_bytes()
    one, other = (load_run(tmp_path / folder, LAST) for folder in ("whole", "killed"))
    for arrays, others in ((one.parameters, other.parameters), (one.training.arrays, other.training.arrays)):
        assert arrays.keys() == others.keys()
        assert not [key for key in arrays if arrays[key].tobytes() != others[key].tobytes()]
    assert not list(tmp_path.glob("*/*.part"))


# What a run leaves behind


@pytest.fixture
def here(rain_files):
    """Let there be the corpus "rain", and return a command line."""

    def run(*arguments, pace=OFTEN):
        return cli.main([*map(str, arguments)], **({"pace": pace} if arguments[0] == "train" else {}))

    return run


SIZES = "--corpus rain --num-hiddens 8 --batch-size 4 --num-steps 10 --pred-len 3 --prefix the".split()
SMALL = [*SIZES, "--embed-size", "8"]
FAILING = [*SIZES, "--kind", "scratch", "--cell", "failing"]
OFTEN = Pace(segment=4)  # a run that can halt often
ALWAYS = replace(ALWAYS, segment=4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run of three epochs, which no test may change."""
    folder = tmp_path_factory.mktemp("trained")
    write_fox(folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CORPORA, "rain", FOX_NAMED)
        patch.setenv("D2LRNN_DATA", str(folder / "data"))
        assert cli.main(["train", *SMALL, "--num-epochs", "3", "--out", str(folder / "run")], pace=OFTEN) == 0
    return folder / "run"


@pytest.fixture
def finished(here, trained, tmp_path, capsys):
    """The folder of a run of three epochs, the test's own."""
    folder = shutil.copytree(trained, tmp_path / "run")
    capsys.readouterr()
    return folder


def test_the_best_model_is_kept_beside_the_last_position(finished):
    history = read_history(finished)
    best, last = load_run(finished), load_run(finished, LAST)
    assert (best.training, last.training.position.epoch) == (None, 4)
    assert last.training.history.valid_perplexity == history.valid_perplexity
    found = d2lrnn.evaluate(best.build_model(), CORPUS.valid, 4, 10)
    assert found == min(history.valid_perplexity)
    assert history.valid_perplexity[history.best_epoch - 1] == found


def test_a_finished_run_can_be_given_more_epochs(here, finished, tmp_path):
    before = read_history(finished)
    assert here("train", "--resume", finished, "--num-epochs", 5) == 0
    after = read_history(finished)
    assert after.perplexity[:3] == before.perplexity and len(after.perplexity) == 5
    assert here("train", *SMALL, "--num-epochs", 5, "--out", tmp_path / "at once") == 0
    assert read_history(tmp_path / "at once").perplexity == after.perplexity
    events = [json.loads(line)["event"] for line in (finished / LOG).read_text().splitlines()]
    assert events == ["begin", "epoch", "epoch", "epoch", "test", "resume", "epoch", "epoch", "test"]


def test_the_test_of_a_run_that_is_over_stands_in_the_log_once(here, finished):
    before = (finished / LOG).read_text().splitlines()
    assert here("train", "--resume", finished) == 0
    events = [json.loads(line)["event"] for line in (finished / LOG).read_text().splitlines()]
    assert events == ["begin", "epoch", "epoch", "epoch", "resume", "test"]
    assert before[-1] == (finished / LOG).read_text().splitlines()[-1]


def test_the_best_model_has_the_averaged_parameters(tmp_path):
    training = training_by("sgd with decay")
    training.average.start()
    run = folder_of(training, "sgd with decay", tmp_path / "run")
    run.begin("a test")
    history = go_on(training, run.keep)
    best = load_run(run.finish())
    assert best.reached == {"epoch": history.best_epoch, "valid_perplexity": min(history.valid_perplexity)}
    assert d2lrnn.evaluate(best.build_model(), CORPUS.valid, 4, 10) == best.reached["valid_perplexity"]
    with training.average.in_place():
        averaged = d2lrnn.evaluate(training.model, CORPUS.valid, 4, 10)
    assert averaged == history.valid_perplexity[-1] != d2lrnn.evaluate(training.model, CORPUS.valid, 4, 10)


def test_two_processes_do_not_train_in_one_folder(here, finished, capsys):
    before = {path: path.read_bytes() for path in finished.iterdir()}
    training = training_by("sgd with decay")
    other = folder_of(training, "sgd with decay", finished)
    for arguments in (["--resume", finished], [*SMALL, "--out", finished, "--overwrite"]):
        assert here("train", *arguments) == 1
        assert f"another process is training in {finished}: wait until it ends" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in finished.iterdir()} == before
    del other
    assert here("train", "--resume", finished) == 0


def test_files_of_others_are_left_alone(here, tmp_path):
    (tmp_path / "film.mkv.part").write_text("precious")
    for name in (BEST, LAST, LOG):
        (tmp_path / f"{name}.123.part").write_text("left by a kill")
    assert here("train", *SMALL, "--num-epochs", 1, "--out", tmp_path) == 0
    assert [path.name for path in tmp_path.glob("*.part")] == ["film.mkv.part"]


@pytest.mark.parametrize("name", [LAST, BEST, LOG])
def test_a_full_disk_is_named_and_loses_nothing(here, finished, capsys, monkeypatch, name):
    if name == BEST:
        (finished / BEST).unlink()  # or none may be written
    before, replace = {path: path.read_bytes() for path in finished.iterdir()}, os.replace

    def full(source, target):
        if Path(target).name == name:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    assert here("train", "--resume", finished, "--num-epochs", 5) == 1
    assert f"No space left on device: '{finished / name}'" in capsys.readouterr().err
    changed = {path.name for path in finished.iterdir() if path.read_bytes() != before.get(path)}
    assert changed <= {LAST: {LOG, BEST}, BEST: {LOG, LAST}, LOG: set()}[name]  # what could be written still
    assert load_run(finished, LAST).training


@pytest.mark.parametrize("of_a_job", [False, True])
def test_where_a_stopped_run_goes_on_is_said(here, failing_cell, tmp_path, capsys, monkeypatch, of_a_job):
    folder = tmp_path / "run"
    if of_a_job:
        monkeypatch.setenv(GO_ON, "d2lrnn launch -- train --resume run")
    failing_cell.fail(ctrl_c, batch=31)
    assert here("train", *FAILING, "--num-epochs", 1, "--out", folder) == 130
    position = load_run(folder, LAST).training.position
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("go on with it: "))
    how = "d2lrnn launch -- train --resume run" if of_a_job else f"train --resume {folder}"
    assert line.endswith(f"{how}  # epoch 1, after 30 batches")
    assert position.batch == 30


def test_a_run_that_diverges_before_an_epoch_is_over_leaves_no_model(here, failing_cell, tmp_path, capsys):
    failing_cell.fail(no_number, batch=1)
    assert here("train", *FAILING, "--num-epochs", 2, "--out", tmp_path / "run") == 1
    captured = capsys.readouterr()
    assert "the gradient's norm became nan in epoch 1, batch 1: training stopped" in captured.err
    assert "let it write" not in captured.out and "model " not in captured.out and "go on" not in captured.out
    assert [path.name for path in (tmp_path / "run").iterdir()] == [LOG]


def test_the_folder_of_the_data_is_remembered(tmp_path, capsys):
    """The corpus `sample` is one with a vocabulary of its own there."""
    data, folder = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    (data / "lyrics_zh.txt").write_text("the quick brown fox " * 40)
    sizes = [*SMALL, "--corpus", "sample", "--num-epochs", "1"]
    assert cli.main(["train", *sizes, "--data-dir", str(data), "--out", str(folder)]) == 0
    for command in (["train", "--num-epochs", "2", "--resume"], ["evaluate", "--split", "train"]):
        assert cli.main([*command, str(folder)]) == 0
    data.rename(tmp_path / "elsewhere")
    capsys.readouterr()
    assert cli.main(["evaluate", str(folder), "--split", "train"]) == 1
    assert "the vocabulary of sample (1,193 tokens) is not the one" in capsys.readouterr().err
    again = ["evaluate", str(folder), "--split", "train", "--data-dir", str(tmp_path / "elsewhere")]
    assert cli.main(again) == 0


def test_a_run_is_not_overwritten_unless_asked(here, finished, capsys):
    before = (finished / LAST).read_bytes()
    assert here("train", *SMALL, "--num-epochs", 1, "--out", finished) == 1
    assert f"{finished} holds a run already: go on with it (--resume {finished})" in capsys.readouterr().err
    assert (finished / LAST).read_bytes() == before
    assert here("train", *SMALL, "--num-epochs", 1, "--out", finished, "--overwrite") == 0
    assert len(read_history(finished).perplexity) == 1
    (finished / LAST).unlink()  # a trained model alone is no less dear
    before = (finished / BEST).read_bytes()
    assert here("train", *SMALL, "--num-epochs", 1, "--out", finished) == 1
    assert f"{finished} holds a run already: name another folder (--out)" in capsys.readouterr().err
    assert (finished / BEST).read_bytes() == before


def test_a_diverging_run_keeps_its_last_good_position(here, failing_cell, tmp_path, capsys):
    failing_cell.fail(no_number, batch=101)
    folder = tmp_path / "run"
    assert here("train", *FAILING, "--num-epochs", 9, "--out", folder, pace=ALWAYS) == 1
    captured = capsys.readouterr()
    assert f"{folder / LAST} is the last position kept: go on with --resume {folder} --lr" in captured.err
    assert "go on" not in captured.out  # as it was, it would diverge again
    last = load_run(folder, LAST)
    assert all(numpy.isfinite(array).all() for array in {**last.parameters, **last.training.arrays}.values())
    assert last.training.update_steps in range(96, 101)
    training = training_again(last.build_model(), replace(last.train_config, lr=1e-3, num_epochs=3))
    training.restore(last.training)
    assert math.isfinite(go_on(training).perplexity[-1])


@pytest.mark.parametrize(("option", "value"), [("num_steps", 20), ("batch_size", 2), ("seed", 7)])
def test_an_epoch_begins_anew_with_other_batches(here, failing_cell, tmp_path, capsys, option, value):
    folder = tmp_path / "run"
    failing_cell.fail(ctrl_c, batch=31)
    assert here("train", *FAILING, "--num-epochs", 1, "--out", folder, pace=ALWAYS) == 130
    assert load_run(folder, LAST).training.position.batch == 30
    capsys.readouterr()
    assert here("train", "--resume", folder, f"--{option.replace('_', '-')}", value) == 0
    assert f"another {option}: epoch 1 of 1 begins anew" in capsys.readouterr().out
    sizes = {"batch_size": 4, "num_steps": 10, option: value}
    batches = d2lrnn.data_iter_consecutive(CORPUS.train, sizes["batch_size"], sizes["num_steps"])
    (entry,) = [entry for entry in read_log(folder / LOG) if entry["event"] == "epoch"]
    read = entry["tokens_per_second"] * entry["seconds"]
    assert read == pytest.approx(batches.num_batches * sizes["batch_size"] * sizes["num_steps"])


def test_a_diverging_run_without_validation_keeps_its_last_epoch(here, failing_cell, tmp_path):
    (tmp_path / "rain.txt").write_text(FOX)
    arguments = ["train", *FAILING, "--corpus", tmp_path / "rain.txt", "--held-out", 0]
    batches = d2lrnn.data_iter_consecutive(CORPUS.train, 4, 10).num_batches
    assert here(*arguments, "--num-epochs", 2, "--out", tmp_path / "two", pace=ALWAYS) == 0
    failing_cell.fail(no_number, batch=2 * batches + 11)
    assert here(*arguments, "--num-epochs", 9, "--out", tmp_path / "nine", pace=ALWAYS) == 1
    two, nine = load_run(tmp_path / "two"), load_run(tmp_path / "nine")
    assert nine.reached == two.reached == {"epoch": 2}
    assert all((nine.parameters[name] == array).all() for name, array in two.parameters.items())


def test_an_older_position_does_not_replace_a_better_model(here, rain_files, tmp_path, capsys):
    write_fox(rain_files, valid=FOX[:300])  # which becomes better in each epoch
    folder = tmp_path / "run"
    assert here("train", *SMALL, "--num-epochs", 1, "--out", folder) == 0
    early = (folder / LAST).read_bytes()
    assert here("train", "--resume", folder, "--num-epochs", 4) == 0
    best, before = load_run(folder), (folder / BEST).read_bytes()
    assert best.reached["epoch"] > 1 and best.reached["valid_perplexity"] == min(read_history(folder).valid_perplexity)
    (folder / LAST).write_bytes(early)
    capsys.readouterr()
    assert here("train", "--resume", folder, "--num-epochs", 2, "--lr", 1e-6) == 0
    history = read_history(folder)
    assert history.valid_perplexity[0] > history.valid_perplexity[1] > best.reached["valid_perplexity"]
    assert (folder / BEST).read_bytes() == before
    assert f", of epoch {best.reached['epoch']}, the best in validation" in capsys.readouterr().out


def test_a_position_without_its_best_model_gives_one(here, finished, tmp_path, capsys):
    (finished / BEST).unlink()
    assert here("train", "--resume", finished) == 0
    assert "nothing is left to do after 3 epochs: ask for more, --num-epochs" in capsys.readouterr().out
    last, best = load_run(finished, LAST), load_run(finished)
    assert all((best.parameters[name] == array).all() for name, array in last.parameters.items())
    assert best.reached == {"epoch": 3, "valid_perplexity": read_history(finished).valid_perplexity[-1]}


def test_a_best_model_that_was_lost_is_told_of_and_the_one_that_is_kept_is_not_called_the_best(here, finished, capsys):
    best = read_history(finished).best_epoch
    (finished / BEST).unlink()
    assert here("train", "--resume", finished, "--num-epochs", 4) == 0  # which is worse in validation again
    output = capsys.readouterr().out
    assert f"{finished / BEST} is missing, the best model, of epoch {best}: put it back and resume again" in output
    assert ", of epoch 4, the best that is kept\n" in output


def test_saving_takes_no_more_than_its_share_of_the_time(tmp_path, monkeypatch):
    now, saved = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def replace(source, target, replace=os.replace):
        now[0] += 30.0  # a disk that takes half a minute
        saved.append((Path(target).name, now[0]))
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace)
    training = training_by("sgd with decay")
    folder = folder_of(training, "sgd with decay", tmp_path)

    def keep():
        now[0] += 10.0
        training.position.batch = 1
        folder.keep()

    for _ in range(400):
        keep()
    times = [saved_at for name, saved_at in saved if name == LAST]
    assert times[0] == pytest.approx(40.0)  # the first place to halt at, and the saving
    assert all(1500 <= after - before <= 1550 for before, after in zip(times, times[1:]))


# What is refused


def test_damaged_checkpoints_are_refused_and_change_nothing(here, finished, capsys, seed):
    whole, generator = (finished / LAST).read_bytes(), random.Random(seed)
    before = {path: path.read_bytes() for path in finished.iterdir() if path.name != LAST}
    damaged = [whole[: generator.randrange(len(whole))] for _ in range(100)]
    for _ in range(150):
        changed = bytearray(whole)
        for _ in range(generator.choice([1, 1, 2, 8])):
            changed[generator.randrange(len(changed))] ^= generator.randrange(1, 256)
        damaged.append(bytes(changed))
    for content in damaged:
        if content == whole:
            continue
        (finished / LAST).write_bytes(content)
        assert here("train", "--resume", finished, "--num-epochs", 9) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith(f"d2lrnn: {finished / LAST} ")
        assert captured.err.count("\n") == 1
    assert {path: path.read_bytes() for path in finished.iterdir() if path.name != LAST} == before


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda facts, arrays: facts.pop("position"), "training.position is missing"),
        (lambda facts, arrays: facts["position"].update(chapter=3), "training.position.chapter is unknown: expected "),
        (lambda facts, arrays: facts["steps"].update(update="many"), "training.steps.update is 'many': expected a w"),
        (lambda facts, arrays: facts["position"].update(batch="3"), "training.position.batch is '3': expected a whole"),
        (lambda facts, arrays: facts["history"].update(perplexity=[3.0]), "training.history.perplexity is unknown"),
        (lambda facts, arrays: facts["history"].update(measure="accuracy"), "history.epochs[0].accuracy is missing"),
        (
            lambda facts, arrays: arrays.update({"state.0": numpy.zeros((1, 4, 9), "float32")}),
            "the training's arrays state.0 do not fit the model",
        ),
        (
            lambda facts, arrays: arrays.pop("mean.dense.bias"),
            "the training's arrays mean and variance are not of the same parameters",
        ),
        (lambda facts, arrays: arrays.update({"mean.x": numpy.zeros(3)}), "the training's arrays mean.x do not fit"),
        (
            lambda facts, arrays: arrays.update({"mean.dense.bias": numpy.zeros(3)}),
            "the training's arrays mean.dense.bias do not fit",
        ),
        (
            lambda facts, arrays: [arrays.pop(f"{kind}.dense.bias") for kind in ("mean", "variance")],
            "the run's memory is of another model or optimizer",
        ),
    ],
)
def test_an_edited_position_is_refused_and_changes_nothing(here, finished, capsys, edit, message):
    last = load_run(finished, LAST)
    facts, arrays = last.training.facts(), last.training.arrays
    edit(facts, arrays)
    edited = SimpleNamespace(facts=lambda: facts, arrays=arrays)
    checkpoint.save_checkpoint(finished / LAST, replace(last, training=edited))
    before = {path: path.read_bytes() for path in finished.iterdir()}
    assert here("train", "--resume", finished, "--num-epochs", 9) == 1
    error = capsys.readouterr().err
    assert message in error and error.startswith(f"d2lrnn: {finished / LAST}: ")
    assert {path: path.read_bytes() for path in finished.iterdir()} == before


def test_another_text_is_refused(here, finished, rain_files, capsys):
    write_fox(rain_files, train=FOX[::-1])
    assert here("train", "--resume", finished) == 1
    assert (
        "the text of rain is not the one that the run began with: its ids have the SHA-256" in capsys.readouterr().err
    )


@pytest.mark.parametrize("command", [("train", "--resume"), ("evaluate",)])
def test_a_vocabulary_that_does_not_fit_is_refused(here, finished, rain_files, capsys, command):
    write_fox(rain_files, train=FOX.replace("z", "e") + "z" * 500)  # the same characters, in another order
    assert len(d2lrnn.load_corpus("rain").vocab) == len(CORPUS.vocab)
    assert here(*command, finished) == 1
    assert "the vocabulary of rain (" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-hiddens", "9"], "the model cannot be changed where a run goes on"),
        (["--overwrite"], "the model cannot be changed where a run goes on: leave out its settings, and --overwrite"),
        (["--config", "lyrics"], "--config cannot be changed where a run goes on"),
        (["--warm-up", "0.3"], "--warm-up is for --lr-schedule one-cycle, and this one is constant: leave it out"),
        (["--out", "elsewhere"], "--out cannot be changed where a run goes on"),
        (["--max-tokens", "5"], "--max-tokens cannot be changed where a run goes on"),
        (["--optimizer", "sgd"], "the run's memory is of another model or optimizer than sgd"),
    ],
)
def test_what_cannot_be_changed_is_refused(here, finished, capsys, arguments, message):
    assert here("train", "--resume", finished, *arguments) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--lr-decay", "--constant-epochs"])
def test_a_setting_of_another_schedule_is_refused(here, tmp_path, capsys, option):
    arguments = ["train", *SMALL, "--num-epochs", 1, "--out", tmp_path / "run", option, 1]
    assert here(*arguments) == 1
    assert f"{option} is for --lr-schedule decay, and this one is constant" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert here(*arguments, "--lr-schedule", "decay") == 0


def test_a_model_too_large_is_refused_in_a_line(here, tmp_path, capsys):
    assert here("train", *SMALL, "--num-hiddens", 10**8, "--embed-size", 8, "--out", tmp_path / "run") == 1
    error = capsys.readouterr().err
    assert error.startswith("d2lrnn: a model of 40,000,006,900,000,261 parameters cannot be made: MXNet counts to ")
    assert error.count("\n") == 1 and not (tmp_path / "run").exists()


def test_commands_that_are_printed_can_be_pasted(here, tmp_path, capsys):
    assert here("train", *SMALL, "--num-epochs", 1, "--out", tmp_path / "my run") == 0
    assert f"sample '{tmp_path / 'my run'}' --prefix the" in capsys.readouterr().out


def test_a_model_without_a_position_cannot_go_on(here, finished, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    shutil.copy(finished / BEST, tmp_path / "other" / LAST)
    for folder in (tmp_path / "other", tmp_path / "nowhere", tmp_path):
        assert here("train", "--resume", folder) == 1
    errors = capsys.readouterr().err.splitlines()
    for file in (finished / BEST, shutil.copy(finished / LAST, tmp_path / "copy.d2lrnn")):
        assert here("train", "--resume", file) == 1
        assert f"--resume {file}: expected the folder of a run, or last.d2lrnn in it" in capsys.readouterr().err
    assert "holds a model but no position to go on from" in errors[0]
    assert all("is not there: expected a folder that `train` wrote" in error for error in errors[1:])


# Logs


def test_a_log_cut_short_is_read_and_another_file_is_refused(finished, tmp_path):
    whole = (finished / LOG).read_text()
    (finished / LOG).write_text(whole + '{"event": "epo')
    assert len(read_history(finished).perplexity) == 3
    for content, message in (
        ("", "tells of no epoch yet"),
        ("a poem\nof two lines\n", "line 1 is not a line of a run's log: 'a poem'"),
        ("[1]\n", "line 1 is not a line of a run's log"),
        ('{"event": "epoch", "epoch": "one"}\n', "line 1 is not a line of a run's log"),
    ):
        (tmp_path / "log").write_text(content)
        with pytest.raises(RunError, match=message):
            read_history(tmp_path / "log")
    with pytest.raises(RunError, match="is not there"):
        read_history(tmp_path)


def test_plot_draws_runs_together(here, finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "b" / "run")
    assert here("plot", finished, tmp_path / "b" / "run", "--out", tmp_path / "new" / "both.png") == 0
    assert (tmp_path / "new" / "both.png").read_bytes().startswith(b"\x89PNG")
    assert here("plot", tmp_path, "--out", tmp_path / "none.png") == 1
    assert not (tmp_path / "none.png").exists()
    for out in (finished, tmp_path / "none"):
        assert here("plot", finished, "--out", out) == 1
        assert f"{out}: expected the name of a file that ends in .png, .svg or .pdf" in capsys.readouterr().err
    assert not list(tmp_path.glob("run.*")) and not list(tmp_path.glob("none*"))


def test_evaluate_measures_the_best_model(here, finished, capsys):
    assert here("evaluate", finished, "--split", "valid") == 0
    found = d2lrnn.evaluate(load_run(finished).build_model(), CORPUS.valid)
    assert f"perplexity {found:.2f} over {len(CORPUS.valid) - 1:,} tokens" in capsys.readouterr().out
    assert here("evaluate", finished, "--split", "valid", "--max-tokens", 50) == 0
    found = d2lrnn.evaluate(load_run(finished).build_model(), CORPUS.valid[:50])
    assert f"perplexity {found:.2f} over 49 tokens" in capsys.readouterr().out
    assert here("evaluate", finished, "--max-tokens", -1) == 1
    assert "max_tokens is -1: expected a whole number, at least 2" in capsys.readouterr().err


def test_the_origin_tells_texts_apart(tmp_path, monkeypatch):
    (tmp_path / "my.txt").write_text("x")
    one = origin_of(CORPUS, str(tmp_path / "my.txt"), {})
    assert Path(one["given"]).is_absolute()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ptb").mkdir()  # a name of the module's means its corpus all the same
    assert origin_of(CORPUS, "ptb", {"max_tokens": 5}) == {"given": "ptb", "max_tokens": 5, "sha256": one["sha256"]}
