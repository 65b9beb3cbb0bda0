"""A classifier on the command line: train, go on, evaluate, classify, show; what is no use to it is one line."""

import dataclasses
import re
import shutil

import numpy
import pytest
from made_digits import drawn, write_digits
from pictures import assert_drawn
from PIL import Image

from d2lrnn.cli import main as cli
from d2lrnn.data import digits
from d2lrnn.evaluation.classes import class_probabilities
from d2lrnn.evaluation.scores import confusion_matrix
from d2lrnn.plotting.classes import plot_confusion
from d2lrnn.runs.checkpoint import BEST, LAST, save_checkpoint
from d2lrnn.runs.classifier import ClassifierRun, label_vocab
from d2lrnn.runs.trained import load_run

SMALL = "--num-hiddens 8 --num-layers 1 --batch-size 15 --lr 0.02".split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the images of a test, and in "run" a classifier that has learnt them for a few epochs."""
    folder = tmp_path_factory.mktemp("digits")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digits, "SOURCES", write_digits(folder / "data", 200))
        patch.chdir(folder)
        assert cli.main(["train", "--config", "digits", *SMALL, "--num-epochs", "3", "--out", "run", *HERE]) == 0
    return folder


HERE = ["--data-dir", "data"]


@pytest.fixture(autouse=True)
def inside(folder, offline, monkeypatch):
    """Let the command run in the folder, with its images as the published ones."""
    monkeypatch.setattr(digits, "SOURCES", write_digits(folder / "data", 200))
    monkeypatch.chdir(folder)


def test_train_says_what_it_learns_and_measures_the_test(run, tmp_path):
    out = run("train", "--corpus", "digits", *SMALL, "--num-epochs", 2, "--out", tmp_path / "new", *HERE).splitlines()
    first = "digits: 150 examples of 10 classes; in validation 20; for the test 30; moved by up to 2 pixels in training"
    assert out[0] == first
    assert out[1].startswith("gluon lstm, 1 x 8 hidden units, ")
    assert re.match(r"epoch 2, accuracy 0\.\d{4}, in validation [01]\.\d{4}, .* examples/s, ", out[3])
    assert re.match(r"test     accuracy [01]\.\d{4}, of epoch [12], the best in validation$", out[-2])
    assert out[-1].endswith(f"show {tmp_path / 'new'} --what misread")
    last = load_run(tmp_path / "new", LAST)
    assert (last.task, last.corpus, last.data) == ("classification", "digits", {"shift": 2})
    assert last.vocabularies["labels"].idx_to_token == tuple("0123456789") and last.shape.input_size == 28


@pytest.mark.parametrize("head", ["state", "output"])
@pytest.mark.parametrize("kind", ["gluon", "scratch"])
def test_every_head_and_kind_is_a_setting(run, tmp_path, head, kind):
    options = ["--head", head, "--kind", kind, "--shift", 0, "--num-epochs", 1, "--out", tmp_path / "new"]
    out = run("train", "--config", "digits", *SMALL, *options, *HERE)
    assert "moved" not in out
    shape = load_run(tmp_path / "new").shape
    assert (shape.head, shape.kind, shape.num_outputs, shape.bidirectional) == (head, kind, 10, True)


def test_a_run_goes_on_with_the_same_images(run, tmp_path):
    new = tmp_path / "new"
    whole = run("train", "--config", "digits", *SMALL, "--num-epochs", 2, "--out", tmp_path / "whole", *HERE)
    run("train", "--config", "digits", *SMALL, "--num-epochs", 2, "--out", new, *HERE)
    assert run("train", "--resume", new).splitlines()[2].startswith("nothing is left to do after 2 epochs")
    out = run("train", "--resume", new, "--num-epochs", 3, "--lr-schedule", "constant")
    assert out.splitlines()[:2] == whole.splitlines()[:2] and "\nepoch 3, " in out


def test_a_folder_that_was_moved_is_named_once(run, folder, tmp_path):
    """By evaluate, by show or by train, and both files of the run know it then."""
    copy, line = tmp_path / "run", run("evaluate", "run").splitlines()[0]
    shutil.copytree(folder / "run", copy)
    commands = [["evaluate", copy], ["show", copy, "--what", "confusion"], ["train", "--resume", copy]]
    for i, command in enumerate(commands):
        place = tmp_path / f"data-{i}"
        shutil.copytree(folder / "data", place)
        run(*command, "--data-dir", place)
        assert [load_run(copy, name).origin["data_dir"] for name in (BEST, LAST)] == [str(place)] * 2
    assert run("evaluate", copy).splitlines()[0] == line


def test_with_the_images_for_training_the_same_command_takes_them(run, tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "SOURCES", write_digits(tmp_path / "all", 200, many=120))
    many = ["--data-dir", tmp_path / "all"]
    out = run("train", "--config", "digits", *SMALL, "--num-epochs", 1, "--out", tmp_path / "new", *many)
    assert out.startswith("mnist: 110 examples of 10 classes; in validation 10; for the test 200; moved")
    assert run("evaluate", tmp_path / "new").startswith("mnist, test: accuracy ")
    few = run("train", "--corpus", "digits", *SMALL, "--num-epochs", 1, "--out", tmp_path / "few", *many)
    assert few.startswith("digits: 150 examples")


def test_evaluate_and_the_confusion_matrix_count_the_same(run, folder):
    opened = ClassifierRun.open(folder / "run")
    test = opened.data().test
    predicted = class_probabilities(opened.model, test.batches(30)).argmax(axis=1)
    right = int((predicted == test.labels).sum())
    line, speed = run("evaluate", "run").splitlines()
    assert line == f"digits, test: accuracy {100 * right / 30:.2f} %, {right} of 30 examples"
    assert speed.endswith(" examples/s")
    assert run("evaluate", "run", "--split", "train", *HERE).startswith("digits, train: accuracy ")
    assert run("show", "run", "--what", "confusion") == "picture  run/confusion.png\n"
    matrix = confusion_matrix(predicted, test.labels, 10)
    title = f"run: {30 - right} of 30 taken for another class (digits, test)"
    assert_drawn(folder / "run" / "confusion.png", plot_confusion, matrix, opened.classes, title=title)
    assert run("show", "run", "--what", "misread", "--count", 2) == "picture  run/misread.png\n"


def test_classify_gives_the_probabilities_of_the_model(run, folder, tmp_path):
    pixels, labels = drawn(3, seed=9)
    for i, image in enumerate(pixels):
        Image.fromarray(image if i else 255 - image).save(tmp_path / f"{i}.png")
    out = run("classify", "run", *(tmp_path / f"{i}.png" for i in range(3)))
    found = class_probabilities(ClassifierRun.open(folder / "run").model, digits.Images(pixels, labels).batches(3))
    for i, line in enumerate(out.splitlines()):
        order = numpy.argsort(-found[i], kind="stable")[:3]
        shown = ", ".join(f"{k} {100 * found[i, k]:.1f} %" for k in order)
        assert line == f"{tmp_path / f'{i}.png'}: {shown}"
    (one,) = run("classify", "run", tmp_path / "1.png", "--count", 1).splitlines()
    assert one.count("%") == 1


def test_a_bad_file_is_a_line_and_the_others_are_read(folder, tmp_path, capsys):
    Image.fromarray(drawn(1)[0][0]).save(tmp_path / "good.png")
    (tmp_path / "bad\x1b[31m.png").write_text("no image")
    names = ["bad\x1b[31m.png", "good.png", "nothing.png"]
    assert cli.main(["classify", "run", *(str(tmp_path / name) for name in names)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"{tmp_path / 'good.png'}: ") and out.count("\n") == 1
    first, second = err.splitlines()
    assert "is no PNG file: it begins with the bytes 6e 6f" in first and "\x1b" not in err
    assert "nothing.png" in second and "No such file" in second


TRAIN = ["train", "--config", "digits", "--out", "never", *HERE]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([*TRAIN, "--prefix", "a"], "--prefix given, but a classifier of images has no use for it: leave it out"),
        (
            [*TRAIN, "--num-steps", 5, "--level", "word"],
            "--level, --num-steps given, but a classifier of images has no use for them",
        ),
        ([*TRAIN, "--corpus", "ptb"], "--corpus ptb: a classifier of images learns digits or mnist, not a text"),
        ([*TRAIN, "--num-outputs", 9], "--num-outputs 9: there are 10 classes, and each is an output: leave it out"),
        ([*TRAIN, "--shift", 15], "shift is 15: expected a whole number, at least 0 and at most 14"),
        ([*TRAIN, "--embed-size", 4], "an embedding is of ids, and input_size says that the model reads numbers"),
        ([*TRAIN, "--tie-weights"], "tie_weights needs an output layer of the embedding's shape"),
        ([*TRAIN, "--kind", "fast"], "kind 'fast' has language models alone"),
        ([*TRAIN, "--batch-size", 151], "batch_size is 151, and there are 150 images"),
        (["train", "--shift", 1, "--out", "never"], "--shift given, but a language model has no use for it"),
        (["train", "--head", "mean", "--out", "never"], "--head given, but a language model has no use for it"),
        (["train", "--resume", "run", "--shift", 1], "--shift cannot be changed where a run goes on"),
        (["train", "--resume", "run", "--corpus", "mnist"], "--corpus cannot be changed where a run goes on"),
        (["train", "--resume", "run", "--head", "state"], "the model cannot be changed where a run goes on"),
        (["sample", "run"], "run/model.d2lrnn is of the task classification: expected a language model, which writes"),
        (["play", "run"], "is of the task classification: expected a language model"),
        (["show", "run"], "is of the task classification: .* `show --what confusion` or `misread`"),
        (["show", "run", "--what", "confusion", "--count", 3], "--count given, but a picture of confusion has no use"),
        (["show", "run", "--what", "misread", "--count", 0], "count is 0: expected a whole number, at least 1"),
        (["show", "run", "--what", "misread", "--prefix", "a"], "--prefix given, but a picture of misread has no use"),
        (["show", "run", "--data-dir", "data"], "--data-dir given, but a picture of next has no use for it"),
        (["evaluate", "run", "--max-tokens", 9], "--max-tokens given, but run holds a classifier"),
        (
            ["evaluate", "run", "--text", "a.txt", "--each-line"],
            "--text, --each-line given, but run holds a",
        ),
        (["evaluate", "run", "--dynamic"], "--dynamic given, but run holds a classifier"),
        (["classify", "run", "a.png", "--count", 0], "count is 0: expected a whole number, at least 1"),
        (["classify", "nothing", "a.png"], "nothing is not there: expected a folder that `train` wrote"),
    ],
)
def test_what_is_no_use_is_said_in_a_line(complaint, arguments, expected):
    assert re.search(expected, complaint(*arguments))


def test_other_images_than_a_run_began_with_are_refused(complaint, tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "SOURCES", write_digits(tmp_path / "data", 100))
    line = complaint("evaluate", "run", "--data-dir", tmp_path / "data")
    assert "the examples of digits are not those that the run began with: they have the SHA-256 " in line


def test_a_language_model_is_no_classifier(complaint, tmp_path):
    (tmp_path / "rain.txt").write_text("the rain in spain " * 9)
    tiny = "--num-hiddens 4 --batch-size 2 --num-steps 5 --num-epochs 1 --pred-len 2".split()
    assert cli.main(["train", "--corpus", str(tmp_path / "rain.txt"), *tiny, "--out", str(tmp_path / "rain")]) == 0
    for command in (["classify", tmp_path / "rain", "a.png"], ["show", tmp_path / "rain", "--what", "confusion"]):
        assert "is of the task language_model: expected a classifier, such as `train --config" in complaint(*command)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (dict(data={"shift": -1}), "data.shift"),
        (dict(data={"shfit": 1}), "data"),
        (dict(data={"shift": 99}), "shift is 99: expected a whole number, at least 0 and at most 14"),
        (dict(origin={}), "does not say which examples it was trained on: train again"),
        (dict(origin={"given": "ptb", "sha256": "0"}), "there are no images called 'ptb': expected one of digits, mni"),
        (dict(vocabularies={}), "is of the task classification: expected a classifier"),
        (dict(vocabularies={"labels": label_vocab(("a", "b"))}), "has 2 classes, and a model with 10 outputs"),
        (dict(model_config=None), "no configuration describes the model"),
    ],
)
def test_a_made_up_checkpoint_is_a_line(complaint, folder, tmp_path, change, expected):
    made_up = dataclasses.replace(load_run(folder / "run", LAST), **change)
    save_checkpoint(tmp_path / LAST, made_up)
    for command in (["evaluate", tmp_path / LAST], ["train", "--resume", tmp_path]):
        assert expected in complaint(*command)
