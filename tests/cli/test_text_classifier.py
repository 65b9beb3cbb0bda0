"""A classifier of texts on the command line: train, go on, evaluate, show, classify; what is no use is one line."""

import dataclasses
import io
import json
import re
import sys
from types import SimpleNamespace

import forks
import numpy
import pytest
from pictures import assert_drawn

from d2lrnn import nearest_words
from d2lrnn.cli import main as cli
from d2lrnn.data.labelled_texts import Texts
from d2lrnn.evaluation.classes import class_probabilities
from d2lrnn.evaluation.scores import confusion_matrix
from d2lrnn.plotting.classes import plot_confusion
from d2lrnn.runs.checkpoint import BEST, LAST, save_checkpoint
from d2lrnn.runs.classifier import ClassifierRun
from d2lrnn.runs.log import LOG, read_log
from d2lrnn.runs.trained import load_run

FEW = "--num-hiddens 6 --embed-size 5 --batch-size 16 --lr 0.05".split()
COLUMNS = ["--text-column", "text", "--label-column", "kind"]
TRAIN = ["train", "--corpus", "lines.csv", *COLUMNS, "--level", "word", *FEW]


def write_lines(path, count=120):
    """Write a file of texts: "sun" or "moon" after a random number of other words says the kind, one of ten lies."""
    draw = numpy.random.RandomState(7)
    lines = ["text,kind"]
    for i in range(count):
        words = [f"w{draw.randint(12)}" for _ in range(draw.randint(1, 9))] + [("sun", "moon")[i % 2]] + ["so"]
        lines.append(f"{' '.join(words)},{('day', 'night')[(i % 2) ^ (i % 20 == 19)]}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a file of texts, and in "run" a classifier that has learnt them for a few epochs."""
    folder = tmp_path_factory.mktemp("texts")
    write_lines(folder / "lines.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.main([*TRAIN, "--num-epochs", "6", "--out", "run"]) == 0
    return folder


@pytest.fixture(autouse=True)
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


def test_train_says_what_it_learns_and_measures_the_test(run, tmp_path):
    out = run(*TRAIN, "--num-epochs", 2, "--out", tmp_path / "new").splitlines()
    assert out[0] == "lines.csv: 98 examples of 2 classes; in validation 11; for the test 11"
    last = load_run(tmp_path / "new", LAST)
    vocab = last.vocabularies["text"]
    numbers = re.fullmatch(
        r"(\d+) different words; in validation (\d+) of (\d+), in the test (\d+) of (\d+) are not among them and read "
        r"as <unk>",
        out[1],
    )
    assert int(numbers[1]) == len(vocab) and vocab.level == "word" and "<unk>" in vocab
    assert out[2].startswith("gluon lstm, 1 x 6 hidden units, ")
    assert re.match(r"epoch 2, accuracy 0\.\d{4}, in validation [01]\.\d{4}, .* examples/s, ", out[4])
    assert re.match(r"test     accuracy [01]\.\d{4}, of epoch [12], the best in validation$", out[-2])
    assert out[-1].endswith(f"show {tmp_path / 'new'} --what misread")
    assert (last.task, last.corpus) == ("classification", "lines.csv")
    assert last.data == {"text_column": "text", "label_column": "kind"} and last.origin["held_out"] == 0.1
    assert last.vocabularies["labels"].idx_to_token == ("day", "night")
    shape = last.shape
    assert (shape.head, shape.embed_size, shape.input_size, shape.num_outputs) == ("mean", 5, None, 2)


def test_it_learns(folder):
    (log,) = [entry for entry in read_log(folder / "run" / LOG) if entry["event"] == "test"]
    assert log["accuracy"] > 0.8  # at most one in ten lies


@pytest.mark.parametrize(
    "options",
    ["--kind scratch --head state --cell gru", "--embed-size none --head output --num-layers 2", "--level char"],
    ids=["scratch", "one-hot", "characters"],
)
def test_heads_kinds_and_levels_are_settings(run, tmp_path, options):
    sizes = ["--num-hiddens", "4", "--batch-size", "32", "--num-epochs", 1, "--out", tmp_path / "new"]
    run("train", "--corpus", "lines.csv", *COLUMNS, "--level", "word", *options.split(), *sizes)
    best = load_run(tmp_path / "new")
    given = dict(zip(options.split()[::2], options.split()[1::2]))
    assert best.shape.kind == given.get("--kind", "gluon") and best.shape.head == given.get("--head", "mean")
    assert best.vocabularies["text"].level == given.get("--level", "word")
    assert (best.shape.embed_size is None) == ("--kind" in given or "--embed-size" in given)


def test_vectors_of_a_file_are_what_the_embedding_begins_with(run, folder, tmp_path):
    (tmp_path / "v.txt").write_text("sun 1 0 0.5\nmoon -1 0.25 0\n")
    out = run(
        *TRAIN[:-6], "--vectors", tmp_path / "v.txt", "--freeze-vectors", "--num-epochs", 1, "--out", tmp_path / "n"
    )
    assert "frozen" in out and "vectors  " in out
    best = load_run(tmp_path / "n")
    table, vocab = best.parameters["embedding.weight"], best.vocabularies["text"]
    assert table[vocab.token_to_idx["sun"]].tolist() == [1, 0, 0.5] and best.shape.freeze_embedding
    assert "--embed-size" in FEW and len(TRAIN[-6:]) == 6


def test_a_run_goes_on_with_the_same_texts_and_no_others(run, complaint, folder, tmp_path):
    new, moved = tmp_path / "new", tmp_path / "moved.csv"
    moved.write_text((folder / "lines.csv").read_text())
    whole = run(*TRAIN, "--num-epochs", 2, "--out", new)
    out = run("train", "--resume", new, "--num-epochs", 3, "--lr-schedule", "constant", "--corpus", moved)
    assert out.splitlines()[:3] == [line.replace("lines.csv", "moved.csv") for line in whole.splitlines()[:3]]
    assert "\nepoch 3, " in out
    assert load_run(new, LAST).origin["given"] == str(moved)
    moved.write_text(moved.read_text().replace("w1 ", "w2 ", 1))
    line = complaint("train", "--resume", new, "--num-epochs", 4)
    assert "the examples of moved.csv are not those that the run began with: they have the SHA-256 " in line
    assert "are not those that the run began with" in complaint("evaluate", new)
    moved.unlink()
    assert "the run's texts are not at" in complaint("evaluate", new)
    first = run("evaluate", new, "--corpus", "lines.csv").splitlines()[0]
    assert first.startswith("lines.csv, test: accuracy ") and run("evaluate", new).startswith(first)
    assert [load_run(new, name).origin["given"] for name in (BEST, LAST)] == [str(folder / "lines.csv")] * 2


def predicted(folder, split="test"):
    opened = ClassifierRun.open(folder / "run")
    examples = opened.data().split(split)[1]
    return opened, examples, class_probabilities(opened.model, examples.batches(3))


def test_evaluate_and_the_confusion_matrix_count_the_same(run, folder):
    opened, test, found = predicted(folder)
    right = int((found.argmax(axis=1) == test.labels).sum())
    line, unknown, speed = run("evaluate", "run").splitlines()
    assert line == f"lines.csv, test: accuracy {100 * right / 11:.2f} %, {right} of 11 examples"
    assert unknown == f"{sum(test.unknown)} of {test.lengths.sum()} words unknown" and speed.endswith(" examples/s")
    assert run("evaluate", "run", "--split", "train").startswith("lines.csv, train: accuracy ")
    assert run("show", "run", "--what", "confusion") == "picture  run/confusion.png\n"
    matrix = confusion_matrix(found.argmax(axis=1), test.labels, 2)
    title = f"run: {11 - right} of 11 taken for another class (lines.csv, test)"
    assert_drawn(folder / "run" / "confusion.png", plot_confusion, matrix, opened.classes, title=title)


def test_misread_texts_are_listed_the_surest_first(run, folder, tmp_path, monkeypatch):
    opened, test, found = predicted(folder)
    told = 1 - found.argmax(axis=1)
    monkeypatch.setattr("d2lrnn.cli.classes.class_probabilities", lambda model, batches: 1 - found)
    wrong = [i for i in range(11) if told[i] != test.labels[i]]
    wrong.sort(key=lambda i: -(1 - found[i]).max())
    first, *lines = run("show", "run", "--what", "misread", "--count", 2).splitlines()
    assert wrong[2:] and first == f"run: 2 of the {len(wrong)} misread of 11 (lines.csv, test)"
    for i, line in zip(wrong, lines):
        share = f"taken for {opened.classes[told[i]]} ({100 * (1 - found[i]).max():.0f} %)"
        assert line == f"row {test.numbers[i]}: {opened.classes[test.labels[i]]}, {share}: {test.texts[i]}"
    rows = (folder / "lines.csv").read_text().splitlines()
    assert rows[test.numbers[wrong[0]] - 1].startswith(test.texts[wrong[0]])


def test_classify_gives_the_probabilities_of_the_model(run, folder):
    opened = ClassifierRun.open(folder / "run")
    given = ["w1 sun so", "never heard sun", " w2\n moon\tso "]
    out = run("classify", "run", *given).splitlines()
    found = class_probabilities(
        opened.model, Texts(["w1 sun so", "? ? sun", "w2 moon so"], [0] * 3, opened.vocab).batches(1)
    )
    for line, text, unknown, shares in zip(out, ("w1 sun so", "never heard sun", r"w2  moon\tso"), (0, 2, 0), found):
        order = numpy.argsort(-shares)
        shown = ", ".join(f"{opened.classes[k]} {100 * shares[k]:.1f} %" for k in order)
        caution = f"; {unknown} of its 3 words unknown" if unknown else ""
        assert line == f"{text}: {shown}{caution}"
    assert run("classify", "run", "sun", "--count", 1).count("%") == 1
    (line,) = run("classify", "run", "sun " * 30).splitlines()
    assert line.startswith("sun " * 15 + "...: ")


def from_stdin(monkeypatch, text, terminal=False):
    stream = io.BytesIO(text.encode())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream, isatty=lambda: terminal))


def test_without_texts_the_lines_of_standard_input_are_read(run, monkeypatch, complaint):
    from_stdin(monkeypatch, "w1 sun so\r\n\n  moon new\n" + "w3 sun\n" * 150)
    out = run("classify", "run").splitlines()
    assert len(out) == 152 and out[0] == run("classify", "run", "w1 sun so").strip()
    assert out[1] == run("classify", "run", "moon new").strip() and "; 1 of its 2 words unknown" in out[1]
    from_stdin(monkeypatch, "", terminal=True)
    assert "no text is given: expected texts, or lines of standard input" in complaint("classify", "run")
    from_stdin(monkeypatch, " \n")
    assert "standard input is empty: expected text" in complaint("classify", "run")
    monkeypatch.setattr(sys, "stdin", None)
    assert "no text is given" in complaint("classify", "run")


def test_a_bad_text_is_a_line_and_the_others_are_read(capsys):
    assert cli.main(["classify", "run", " ", "sun", "w1 " * 401, "\x1b[31m sun"]) == 1
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert first == "d2lrnn: a text is empty: expected at least one character that is not white space"
    assert "w1 ...: the text has 401 words, and num_steps is 400: expected no more; shorten it, or train" in second
    assert out.startswith("sun: ") and out.count("\n") == 2 and "\x1b" not in out


def test_words_that_are_alike(run, folder):
    opened = ClassifierRun.open(folder / "run")
    expected = nearest_words("sun", opened.model, opened.vocab, 3)
    found = [line.split() for line in run("words", "run", "--near", "sun", "--count", 3).splitlines()]
    assert found == [[f"{cosine:.4f}", word] for word, cosine in expected]


BEGIN = [*TRAIN, "--out", "never"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "--label-column", "kind"], "--corpus and --text-column not given: expected --corpus FILE.csv --tex"),
        (["train", "--text-column", "text", "--corpus", "lines.csv"], "--label-column not given: expected --corpus"),
        (["train", "--config", "texts", "--out", "never"], "--corpus and --text-column and --label-column not given"),
        (["train", "--config", "texts", "--corpus", "no.csv", *COLUMNS], "no.csv"),
        ([*BEGIN, "--label-column", "sort"], "lines.csv has no column 'sort': expected one of text, kind"),
        ([*BEGIN, "--label-column", "text"], "the column 'text' is to hold texts and labels: expected two columns"),
        ([*BEGIN, "--level", "bigram"], "a text to classify has no tokens of level 'bigram': expected char or word"),
        ([*BEGIN, "--held-out", 0.5], "held_out is 0.5: expected a share above 0 and at most 0.4"),
        ([*BEGIN, "--num-steps", 5], "the text has 10 words, and num_steps is 5: expected no more; shorten it"),
        ([*BEGIN, "--prefix", "a"], "--prefix given, but a classifier of texts has no use for it: leave it"),
        ([*BEGIN, "--column", "a"], "--column given, but a classifier of texts has no use for it"),
        ([*BEGIN, "--shift", 1], "--shift given, but a classifier of texts has no use for it"),
        ([*BEGIN, "--data-dir", "."], "--data-dir given, but a classifier of texts has no use for it"),
        ([*BEGIN, "--num-outputs", 3], "--num-outputs 3: there are 2 classes, and each is an output: leave it out"),
        ([*BEGIN, "--batch-size", 99], "batch_size is 99, and there are 98 texts: expected no more than these"),
        ([*BEGIN, "--kind", "fast"], "the models from scratch have no embedding and no dropout: use kind 'gluon'"),
        ([*BEGIN, "--freeze-vectors"], "--freeze-vectors is for vectors from a file: name it, --vectors FILE"),
        (
            ["train", "--config", "digits", *COLUMNS],
            "--text-column, --label-column given, but a classifier of images has no use for them",
        ),
        (
            ["train", "--config", "lyrics", *COLUMNS],
            "--text-column, --label-column given, but a language model has no use for them",
        ),
        (
            ["train", "--config", "series", *COLUMNS],
            "--text-column, --label-column given, but a forecaster has no use for them",
        ),
        (["train", "--resume", "run", "--level", "char"], "--level cannot be changed where a run goes on"),
        (["train", "--resume", "run", "--text-column", "a"], "--text-column cannot be changed where a run goes on"),
        (["train", "--resume", "run", "--num-steps", 500], "--num-steps cannot be changed where a run goes on"),
        (["evaluate", "run", "--data-dir", "."], "--data-dir given, but the texts of run are in a file: name it"),
        (["evaluate", "run", "--text", "lines.csv"], "--text given, but run holds a classifier"),
        (["show", "run", "--what", "misread", "--out", "a.png"], "--out given, but misread texts are printed"),
        (["show", "run"], "is of the task classification"),
        (["words", "run", "--near", "rain"], "unknown word 'rain'"),
    ],
)
def test_what_is_no_use_is_said_in_a_line(complaint, folder, arguments, expected):
    assert expected in complaint(*arguments)
    assert not (folder / "never").exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (dict(data={}), "does not say which columns of its file it was trained on: train again"),
        (dict(data={"text_column": 3}), "data.text_column is 3: expected a text"),
        (dict(origin={}), "does not say which examples it was trained on: train again"),
    ],
    ids=["no columns", "a number", "no origin"],
)
def test_a_made_up_checkpoint_is_a_line(complaint, folder, tmp_path, change, expected):
    save_checkpoint(tmp_path / LAST, dataclasses.replace(load_run(folder / "run", LAST), **change))
    for command in (["evaluate", tmp_path / LAST], ["train", "--resume", tmp_path]):
        assert expected in complaint(*command)


def test_a_run_killed_again_and_again_ends_with_the_same_numbers(folder, tmp_path, seed):
    settings = [*TRAIN, "--cell", "gru_reset_after", "--num-epochs", "4", "--averaging", "1"][1:]
    result = forks.run("killed_forecast.py", tmp_path, seed % 2**32, 3, *settings)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["positions"][-1] > [1, 0]
    assert (tmp_path / "whole" / BEST).read_bytes() == (tmp_path / "killed" / BEST).read_bytes()
    one, other = (load_run(tmp_path / name, LAST) for name in ("whole", "killed"))
    for arrays, others in ((one.parameters, other.parameters), (one.training.arrays, other.training.arrays)):
        assert arrays.keys() == others.keys()
        assert not [key for key in arrays if arrays[key].tobytes() != others[key].tobytes()]
    shares = [[{k: e[k] for k in e if "second" not in k} for e in r.training.history.epochs] for r in (one, other)]
    assert shares[0] == shares[1]


def test_a_classifier_of_texts_goes_to_other_formats_and_back(run, folder, tmp_path):
    out = run("export", "run", "--to", "safetensors", "--out", tmp_path / "model.safetensors").splitlines()
    assert re.search(r" parameters, \d+ tokens, 2 classes$", out[1])
    assert "the classes and the settings are equal" in out[2]
    out = run("import", tmp_path / "model.safetensors", "--out", tmp_path / "new").splitlines()
    assert out[0].endswith(" tokens, 2 classes of level word") and out[-1].endswith(f"classify {tmp_path / 'new'} TEXT")
    for text in ("w1 sun so", "w3 w4 moon"):
        assert run("classify", tmp_path / "new", text) == run("classify", "run", text)
    first = run("evaluate", "run").splitlines()[0]
    assert run("evaluate", tmp_path / "new").splitlines()[0] == first  # in the folder of the file, whose name is known
    out = run("export", "run", "--to", "onnx", "--out", tmp_path / "model.onnx").splitlines()
    assert float(re.search(r"its logits differ from the model's by (\S+) of the largest one$", out[2])[1]) < 1e-5
