import argparse
import dataclasses
import io
import os
import re
import signal
import subprocess
import sys

import numpy
import pytest
from matplotlib.image import imread
from pictures import assert_drawn, pixels
from tiny import ctrl_c, infinite_gradient, no_number

from d2lrnn._runtime import mx
from d2lrnn.cli import from_arguments, options
from d2lrnn.cli import main as cli
from d2lrnn.cli.tasks import language_model
from d2lrnn.config.forecasting import ForecastConfig
from d2lrnn.config.generation import Sampling
from d2lrnn.config.model import Dropout, ModelConfig
from d2lrnn.config.presets import CONFIGS
from d2lrnn.config.training import TrainConfig
from d2lrnn.config.translation import TranslationConfig
from d2lrnn.generation.greedy import predict
from d2lrnn.generation.sampling import generate
from d2lrnn.plotting.figures import COLOURS
from d2lrnn.plotting.pictures import plot_history
from d2lrnn.runs.checkpoint import load_checkpoint
from d2lrnn.runs.log import read_history

SMALL = "--max-tokens 1500 --num-hiddens 8 --batch-size 8 --num-steps 10 --pred-len 12".split()
FAILING = ["--kind", "scratch", "--cell", "failing"]


@pytest.fixture
def d2lrnn(capsys):
    """Run the command line as a user does, in this process: returns exit status, standard output and error."""

    def run(*arguments):
        capsys.readouterr()
        status = cli.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a trained model."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    assert cli.main(["train", *SMALL, "--num-epochs", "2", "--embed-size", "4", "--out", str(folder)]) == 0
    return folder


def failed(result):
    """Check that a command failed as it should, and return what it complains of."""
    status, _, err = result
    (line,) = err.splitlines()
    assert status == 1
    assert line.startswith("d2lrnn: ")
    return line


def check_picture(folder):
    """Check that the picture of a run on the sample shows the numbers of its log."""
    history, title = read_history(folder), f"run {folder.name}, corpus sample"
    assert history.epochs
    assert_drawn(folder / "loss.png", plot_history, {folder.name: history}, title=title)


# train


@pytest.mark.parametrize("kind", ["gluon", "scratch"])
def test_train_writes_model_and_picture_and_says_what_it_reached(d2lrnn, tmp_path, kind):
    command = [
        "train",
        *SMALL,
        "--kind",
        kind,
        "--num-epochs",
        3,
        "--pred-period",
        2,
        "--prefix",
        "雨",
        "--prefix",
        "你",
    ]
    status, out, err = d2lrnn(*command, "--out", tmp_path / "new" / "run")
    assert (status, err) == (0, "")
    checkpoint = load_checkpoint(tmp_path / "new" / "run" / "model.d2lrnn")
    assert (checkpoint.corpus, checkpoint.model_config.kind) == ("sample", kind)
    assert checkpoint.model_config.embed_size == (128 if kind == "gluon" else None)
    assert checkpoint.train_config.prefixes == ("雨", "你")
    assert f"sample: 1,500 tokens, {len(checkpoint.vocab)} different ones" in out
    reports = re.findall(r"epoch (\d+), perplexity ([\d.]+), gradient norm [\d.]+, [\d,]+ tokens/s, [\d.]+ s\n", out)
    assert [int(epoch) for epoch, _ in reports] == [2, 3]
    assert len(checkpoint.vocab) > float(reports[0][1]) > float(reports[1][1]) > 1
    samples = re.findall(r"^ - (.*)", out, re.MULTILINE)
    model = checkpoint.build_model()
    assert samples[2:] == [predict(prefix, 12, model, checkpoint.vocab) for prefix in ("雨", "你")]
    check_picture(tmp_path / "new" / "run")


def test_the_same_seed_gives_the_same_file(d2lrnn, tmp_path):
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        d2lrnn("train", *SMALL, "--num-epochs", 2, "--dropout", 0.5, "--seed", seed, "--out", tmp_path / folder)
    a, b, c = ((tmp_path / folder / "model.d2lrnn").read_bytes() for folder in "abc")
    assert a == b != c


def test_a_pipe_gets_no_progress_bar(d2lrnn, tmp_path):
    _, out, err = d2lrnn("train", *SMALL, "--num-epochs", 3, "--out", tmp_path)
    assert err == ""
    assert not re.search("[\r\b\x1b█]", out)


def test_a_corpus_too_short_for_the_usual_prefixes_brings_its_own(d2lrnn, tmp_path):
    text = tmp_path / "sample"  # by this name, other prefixes would be expected of it
    text.write_text("abcd" * 100)
    status, out, _ = d2lrnn("train", "--corpus", text, *SMALL, "--num-epochs", 1, "--out", tmp_path / "run")
    assert status == 0
    assert " - abcd" in out and "--prefix abcd\n" in out


def test_a_terminal_without_chinese_loses_no_run(monkeypatch, tmp_path):
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    assert cli.main(["train", *SMALL, "--num-epochs", "1", "--prefix", "雨", "--out", str(tmp_path)]) == 0
    assert b"\n - ?" in ascii_only.buffer.getvalue()
    load_checkpoint(tmp_path / "model.d2lrnn")


def test_ctrl_c_saves_what_was_learnt(tmp_path):
    command = [sys.executable, "-m", "d2lrnn", "train", *SMALL, "--num-epochs", "1000000", "--pred-period", "1"]
    process = subprocess.Popen(
        [*command, "--prefix", "雨", "--out", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )
    try:
        for line in process.stdout:
            if line.startswith("epoch 3, "):  # it comes at once, and not when some buffer is full
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=100)
    finally:
        process.kill()
    assert (process.returncode, err) == (130, "")
    assert re.search(r"interrupted after \d+ of 1000000 epochs; the model keeps what it has learnt", out)
    assert f"model    {tmp_path / 'model.d2lrnn'}" in out
    assert f"-m d2lrnn train --resume {tmp_path}  # epoch " in out
    assert (tmp_path / "last.d2lrnn").exists()
    for panel in numpy.array_split(imread(tmp_path / "loss.png"), 2, axis=1):
        assert pixels(panel, COLOURS[0]) > 100  # a curve, or the points of two epochs
    checkpoint = load_checkpoint(tmp_path / "model.d2lrnn")
    assert abs(checkpoint.build_model().dense.bias.data()).max() > 0  # which begins at 0


def test_a_run_that_diverges_keeps_its_model_and_fails(d2lrnn, tmp_path, failing_cell):
    failing_cell.fail(no_number, batch=20)  # of 18 an epoch
    status, out, err = d2lrnn("train", *SMALL, *FAILING, "--num-epochs", 3, "--out", tmp_path)
    line = failed((status, out, err))
    assert "the gradient's norm became nan in epoch 2, batch 2: training stopped" in line
    assert "try a smaller lr" in line
    assert f"model    {tmp_path / 'model.d2lrnn'}" in out
    load_checkpoint(tmp_path / "model.d2lrnn").build_model()
    check_picture(tmp_path)


# sample


def test_sample_writes_what_predict_does(d2lrnn, trained):
    checkpoint = load_checkpoint(trained / "model.d2lrnn")
    model = checkpoint.build_model()
    expected = [predict(prefix, 20, model, checkpoint.vocab) for prefix in ("分开", "不分开", "雨")]
    status, out, err = d2lrnn("sample", trained, "--pred-len", 20)  # from the prefixes of the training
    assert (status, out.splitlines(), err) == (0, expected[:2], "")
    _, out, _ = d2lrnn("sample", trained / "model.d2lrnn", "--prefix", "雨", "--prefix", "分开", "--pred-len", 20)
    assert out.splitlines() == [expected[2], expected[0]]


@pytest.mark.parametrize(
    ("options", "settings", "count"),
    [
        (["--num-samples", 3], {}, 3),
        (["--seed", 5], {"seed": 5}, 1),
        (["--temperature", 0.5, "--top-p", 0.9, "--num-samples", 2], {"temperature": 0.5, "top_p": 0.9}, 2),
        (["--top-k", 4, "--repetition-penalty", 1.5], {"top_k": 4, "repetition_penalty": 1.5}, 1),
        (["--stop", "我"], {"temperature": 0, "stop": "我"}, 1),
        (["--stop", "我", "--seed", 9], {"stop": "我", "seed": 9}, 1),
        (
            ["--beam-width", 3, "--length-penalty", 0.7, "--stop", " "],
            {"beam_width": 3, "length_penalty": 0.7, "stop": " "},
            1,
        ),
        (["--log-probs"], {"temperature": 0}, 1),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_sample_writes_what_generate_does(d2lrnn, trained, options, settings, count):
    checkpoint = load_checkpoint(trained / "model.d2lrnn")
    prefixes = [prefix for prefix in ("雨", "分开") for _ in range(count)]
    samples = generate(prefixes, 12, checkpoint.build_model(), checkpoint.vocab, Sampling(**settings))
    status, out, err = d2lrnn("sample", trained, "--prefix", "雨", "--prefix", "分开", "--pred-len", 12, *options)
    assert (status, err) == (0, "")
    assert [line for line in out.splitlines() if line[:2] != "  "] == [sample.text for sample in samples]


def test_sample_tells_how_likely_each_token_is(d2lrnn, trained):
    checkpoint = load_checkpoint(trained / "model.d2lrnn")
    vocab = checkpoint.vocab
    (sample,) = generate(["雨"], 12, checkpoint.build_model(), vocab, Sampling(seed=2))
    _, out, _ = d2lrnn("sample", trained, "--prefix", "雨", "--pred-len", 12, "--seed", 2, "--log-probs")
    text, total, *tokens = out.splitlines()
    assert text == sample.text
    assert total == f"  log-probability {sample.log_prob:.3f}, {sample.log_prob / 12:.3f} per token"
    found = re.findall(r"'(.)' (-\d+\.\d\d)(?:  |$)", "\n".join(tokens), re.MULTILINE)
    assert found == [(vocab.idx_to_token[i], f"{p:.2f}") for i, p in zip(sample.ids, sample.log_probs)]
    assert [line.count("'") for line in tokens] == [16, 8]
    _, out, _ = d2lrnn("sample", trained, "--prefix", "雨", "--pred-len", 0, "--log-probs")
    assert out == "雨\n  log-probability 0.000\n"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--temperature", -1], "temperature is -1.0: expected a number, at least 0"),
        (["--temperature", 0, "--top-k", 3], "temperature 0 takes the likeliest token whatever top_k and top_p are"),
        (["--beam-width", 2, "--top-p", 0.5], "beam search leaves nothing to chance"),
        (["--length-penalty", 1], "length_penalty compares texts of different length"),
        (["--stop", "雨水"], "stop is '雨水': expected one of the"),
        (["--num-samples", 0], "num_samples is 0: expected a whole number, at least 1"),
        (["--num-samples", 2, "--temperature", 0], "--num-samples given, but these settings leave nothing to chance"),
        (["--seed", 1, "--num-samples", 2, "--beam-width", 2], "--num-samples and --seed given, but these"),
        (["--seed", 1, "--top-k", 1], "--seed given, but these settings leave nothing to chance"),
        (["--pred-len", -1, "--seed", 1], "pred_len is -1: expected a whole number, at least 0"),
    ],
)
def test_what_cannot_be_sampled_is_said_in_a_line(d2lrnn, trained, options, complaint):
    assert complaint in failed(d2lrnn("sample", trained, *options))


# compare


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_compare_shows_that_both_compute_the_same(d2lrnn, tmp_path, cell):
    status, out, err = d2lrnn("compare", "--cell", cell, *SMALL, "--num-epochs", 3, "--out", tmp_path)
    assert (status, err) == (0, "")
    rows = re.findall(r"^(scratch|gluon) +(\d+) +([\d.]+) +([\d,]+) +[\d.]+$", out, re.MULTILINE)
    assert [(name, epochs) for name, epochs, *_ in rows] == [("scratch", "3"), ("gluon", "3")]
    scratch, gluon = (float(perplexity) for _, _, perplexity, _ in rows)
    assert scratch == pytest.approx(gluon, rel=1e-3)
    assert 1 < scratch < 1000
    assert all(int(speed.replace(",", "")) > 0 for *_, speed in rows)
    difference = float(re.search(r"largest relative difference in perplexity: (\S+)", out)[1])
    assert difference < 1e-3
    picture = tmp_path / f"compare_{cell}.png"
    assert pixels(picture, COLOURS[0]) > 500 and pixels(picture, COLOURS[1]) > 500  # a curve of each


def test_compare_shows_what_there_is_after_ctrl_c(d2lrnn, tmp_path, failing_cell):
    failing_cell.fail(ctrl_c, batch=40)  # of 18 an epoch
    status, out, _ = d2lrnn("compare", *SMALL, "--cell", "failing", "--num-epochs", 3, "--out", tmp_path)
    assert status == 130
    assert "interrupted after 2 of 3 epochs" in out
    assert re.findall(r"^(scratch|gluon) +(\d+)", out, re.MULTILINE) == [("scratch", "2")]


def test_compare_ends_where_a_run_diverges(d2lrnn, tmp_path, failing_cell):
    failing_cell.fail(infinite_gradient, batch=3)
    result = d2lrnn("compare", *SMALL, "--cell", "failing", "--num-epochs", 2, "--out", tmp_path)
    assert "the gradient's norm became inf in epoch 1, batch 3: training stopped" in failed(result)


# What a user gets wrong


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--corpus", "smaple"], "'smaple' is neither a corpus nor a file: .*; did you mean sample?"),
        (["--corpus", "nowhere/poems.txt"], "'nowhere/poems.txt' is neither a corpus nor a file"),
        (["--data-dir", "nowhere"], "data_dir names nowhere: expected a folder that is there"),
        (["--max-tokens", "0"], "max_tokens is 0: expected a whole number, at least 1"),
        (["--max-tokens", "87"], "the corpus has 87 ids; one batch of batch_size 8 x num_steps 10 needs"),
        (["--prefix", "☃"], r"unknown character '☃' \(U\+2603\) at position 0"),
        (["--prefix", ""], "the prefix is empty: expected at least one character"),
        (["--ctx", "gpu"], "gpu:0 was asked for, but this is MXNet's CPU build: .*requirements-gpu.txt"),
        (["--ctx", "tpu"], "unknown device 'tpu': expected cpu, gpu"),
        (["--kind", "scratch", "--embed-size", "8"], "the models from scratch have no embedding and no dropout"),
        (["--kind", "scratch", "--dropout", "0.5"], "the models from scratch have no embedding and no dropout"),
        (["--dropout", "1"], "dropout is 1.0: expected a number, at least 0 and below 1"),
        (["--num-hiddens", "0"], "num_hiddens is 0: expected a whole number, at least 1"),
        (["--num-epochs", "0"], "num_epochs is 0: expected a whole number, at least 1"),
        (["--lr", "nan"], "lr is nan: expected a number, above 0 and"),
        (
            ["--tie-weights"],
            "tie_weights needs an output layer of the embedding's shape: expected embed_size = num_hid",
        ),
        (["--vary-steps", "--use-random-iter"], "three ways to make batches: choose one"),
        (["--lr-decay", "0"], "lr_decay is 0.0: expected a number, above 0 and at most 1"),
        (["--warm-up", "1"], "warm_up is 1.0: expected a number, at least 0 and below 1"),
        (["--weight-decay", "-1"], "weight_decay is -1.0: expected a number, at least 0"),
        (["--weight-decay", "0.5", "--lr", "2"], "weight_decay is 0.5: expected below 1 / lr, which is 0.5"),
        (["--init-scale", "-1"], "init_scale is -1.0: expected a number, above 0"),
        (["--word-dropout", "1"], "dropout of words is 1.0: expected a number, at least 0 and below 1"),
        (["--kind", "fast", "--locked-dropout"], "the models from scratch have no embedding and no dropout"),
        (["--pred-len", "-1"], "pred_len is -1: expected a whole number, at least 0"),
        (["--seed", "-1"], "seed is -1: expected a whole number, at least 0 and at most 4,294,967,295"),
    ],
)
def test_what_cannot_be_trained_is_said_in_a_line(d2lrnn, tmp_path, monkeypatch, arguments, complaint):
    monkeypatch.setattr(mx.npx, "num_gpus", lambda: 0)
    result = d2lrnn("train", *SMALL, "--num-epochs", 1, "--out", tmp_path / "run", *arguments)
    assert re.search(complaint, failed(result))
    assert not (tmp_path / "run" / "model.d2lrnn").exists()


def test_a_place_that_cannot_be_written_to_is_told_before_the_training(d2lrnn, tmp_path):
    (tmp_path / "file").touch()
    for command in ("train", "compare"):
        status, out, err = d2lrnn(command, *SMALL, "--num-epochs", 1, "--out", tmp_path / "file")
        assert str(tmp_path / "file") in failed((status, out, err))
        assert "epoch 1" not in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--corpus", "nothing"], "'nothing' is neither a corpus nor a file"),
        (["--batch-size", "1500"], "the corpus has 1500 ids; one batch of batch_size 1500"),
    ],
)
def test_what_cannot_be_compared_is_said_in_a_line(d2lrnn, tmp_path, arguments, complaint):
    result = d2lrnn("compare", *SMALL, "--num-epochs", 2, "--out", tmp_path, *arguments)
    assert re.search(complaint, failed(result))


def test_what_cannot_write_is_said_in_a_line(d2lrnn, tmp_path, trained):
    assert f"{tmp_path / 'model.d2lrnn'} is not there: expected a folder" in failed(d2lrnn("sample", tmp_path))
    assert f"{tmp_path / 'none'} is not there: expected a folder" in failed(d2lrnn("sample", tmp_path / "none"))
    assert "unknown character '☃' (U+2603)" in failed(d2lrnn("sample", trained, "--prefix", "☃"))
    assert "pred_len is -5: expected a whole number, at least 0" in failed(d2lrnn("sample", trained, "--pred-len", -5))
    assert "unknown device 'abacus'" in failed(d2lrnn("sample", trained, "--ctx", "abacus"))
    damaged = tmp_path / "damaged"
    content = (trained / "model.d2lrnn").read_bytes()
    damaged.write_bytes(content[:-100])
    assert f"{damaged} is damaged: the sizes of its arrays do not add up" in failed(d2lrnn("sample", damaged))
    middle = content.index(b"PK\1\2") - 1  # the last byte of the last array
    damaged.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    assert f"{damaged} is damaged: its SHA-256 is" in failed(d2lrnn("sample", damaged))
    damaged.write_text("a poem")
    assert f"{damaged} is not a d2lrnn checkpoint" in failed(d2lrnn("sample", damaged))


def test_a_defect_keeps_its_traceback(failing_cell, tmp_path):
    failing_cell.fail(lambda H: 1 / 0, batch=1)
    with pytest.raises(ZeroDivisionError):
        cli.main(["train", *SMALL, *FAILING, "--out", str(tmp_path)])


# Configurations


def settings_of(folder):
    checkpoint = load_checkpoint(folder / "model.d2lrnn")
    return {**checkpoint.model_config.flat, **checkpoint.train_config.flat}


def test_every_setting_of_a_configuration_has_an_option_and_each_option_its_setting():
    texts = {bool: "yes", int: "3", float: "0.125"}
    about = {field.name: field.metadata for kind in (ModelConfig, TrainConfig) for field in dataclasses.fields(kind)}
    about |= {name: field.metadata for name, field in options.FLAT.items()}
    settings = {**ModelConfig().flat, **TrainConfig().flat}.keys() - {"prefixes", "verbose", "input_size", "head"}
    settings -= {"freeze_embedding", "attention", "share"}  # --freeze-vectors; the others are held in test_translator
    assert {"dropout", "locked_dropout", "use_random_iter", "num_lines"} <= settings and "batches" not in settings
    for name in settings:
        kind = about[name]["kind"]
        text = next(iter(about[name]["choices"])) if kind is str else texts[kind]
        args = cli.make_parser().parse_args(["train", f"--{name.replace('_', '-')}", text])
        found = {option: value for option, value in vars(args).items() if option == name}
        assert found == {name: {"yes": True, "3": 3, "0.125": 0.125}.get(text, text)}
        if about[name]["none"]:
            args = cli.make_parser().parse_args(["train", f"--{name.replace('_', '-')}", "none"])
            assert getattr(args, name) is None


@pytest.mark.parametrize(
    ("config", "arguments", "expected"),
    [
        ("songs", "--dropout 0.3", Dropout(0.3, 0.3, 0.3, 0.2, 0.5, True)),
        ("songs", "--dropout 0.3 --input-dropout 0.1 --locked-dropout no", Dropout(0.3, 0.1, 0.3, 0.2, 0.5)),
        ("d2lrnn", "--dropout 0.2", Dropout(0.2, 0.45, 0.45, 0.1, 0.3, True)),
        ("d2lrnn", "--input-dropout none --word-dropout 0", Dropout(0.3, 0.3, 0.45, 0.0, 0.3, True)),
        ("lyrics", "--output-dropout 0.5", Dropout(outputs=0.5)),
    ],
)
def test_dropout_is_that_of_the_configuration_but_for_what_is_given(config, arguments, expected):
    args = cli.make_parser().parse_args(["train", "--config", config, *arguments.split()])
    assert from_arguments.changed(CONFIGS[config].model, args).dropout == expected


@pytest.mark.parametrize(
    "arguments", ["--dropout 0.5 --input-dropout 0.5", "--word-dropout 0.1", "--input-dropout 0.2"]
)
def test_dropout_of_an_embedding_is_refused_where_there_is_none(arguments):
    args = cli.make_parser().parse_args(["train", "--embed-size", "none", *arguments.split()])
    with pytest.raises(ValueError, match="input_dropout and word_dropout are of the embedding: set embed_size"):
        from_arguments.changed(CONFIGS["lyrics"].model, args)


@pytest.mark.parametrize(
    ("config", "arguments", "batches", "num_lines"),
    [
        ("poems", "", "lines", 4),
        ("poems", "--num-lines 2", "lines", 2),
        ("poems", "--num-lines 0", "consecutive", 1),
        ("poems", "--num-lines 0 --use-random-iter", "random", 1),
        ("d2lrnn", "--vary-steps no --num-lines 1", "lines", 1),
        ("songs", "--vary-steps", "varied", 1),
        ("songs", "--use-random-iter no", "consecutive", 1),
    ],
)
def test_batches_are_those_of_the_configuration_but_for_what_is_given(config, arguments, batches, num_lines):
    args = cli.make_parser().parse_args(["train", "--config", config, *arguments.split()])
    found = from_arguments.changed(CONFIGS[config].training, args)
    assert (found.batches, found.num_lines) == (batches, num_lines)


@pytest.mark.parametrize(
    ("config", "arguments"), [("d2lrnn", "--use-random-iter"), ("poems", "--vary-steps"), ("d2lrnn", "--num-lines 1")]
)
def test_two_ways_to_make_batches_are_refused(config, arguments):
    args = cli.make_parser().parse_args(["train", "--config", config, *arguments.split()])
    with pytest.raises(ValueError, match="are three ways to make batches: choose one"):
        from_arguments.changed(CONFIGS[config].training, args)


def test_settings_that_are_given_replace_those_of_the_configuration(d2lrnn, tmp_path):
    status, out, _ = d2lrnn(
        *"train --config small --corpus sample --max-tokens 1500 --num-hiddens 6 --num-epochs 1".split(),
        *"--locked-dropout --lr-decay 0.25 --tie-weights no --init-scale none --prefix 雨 --out".split(),
        tmp_path,
    )
    assert status == 0 and "gluon lstm, 2 x 6 hidden units" in out
    found, small = settings_of(tmp_path), CONFIGS["small"]
    given = {"num_hiddens": 6, "embed_size": 6, "num_epochs": 1, "locked_dropout": True, "lr_decay": 0.25}
    given |= {"init_scale": None, "prefixes": ("雨",)}
    assert found == {**small.model.flat, **small.training.flat, **given}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--num-hidden", "3"], "unrecognized arguments: --num-hidden 3; the nearest are --num-hiddens"),
        (["--keep_prob", "0.5"], "--keep_prob 0.5; the nearest are --dropout, which is 1 - keep_prob"),
        (["--max-grad-norm=5"], "--max-grad-norm=5; the nearest are --theta"),
        (["--dropuot=0.5"], "unrecognized arguments: --dropuot=0.5; the nearest are --dropout"),
        (["--zzz"], "unrecognized arguments: --zzz (all options: --help)\n"),
        (["--config", "huge"], "argument --config: invalid choice: 'huge'"),
        (["--tie-weights", "maybe"], "argument --tie-weights: expected yes or no, found 'maybe'"),
        (["--embed-size", "many"], "argument --embed-size: invalid int or none value: 'many'"),
        (["--num-epochs", "2.5"], "argument --num-epochs: invalid int value: '2.5'"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest(capsys, arguments, complaint):
    with pytest.raises(SystemExit) as caught:
        cli.main(["train", *arguments])
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


# --help


def test_an_option_whose_default_is_none_reads_none(capsys):
    fields = [field for kind in (ForecastConfig, TranslationConfig) for field in dataclasses.fields(kind)]
    names = [field.name for field in fields if field.metadata["none"] and "help" in field.metadata]
    assert {"season", "source_level"} <= set(names)
    for name in names:
        args = cli.make_parser().parse_args(["train", f"--{name.replace('_', '-')}", "none"])
        assert vars(args)[name] is None
    assert cli.make_parser().parse_args(["train", "--source-level", "char"]).source_level == "char"
    with pytest.raises(SystemExit):
        cli.make_parser().parse_args(["train", "--source-level", "line"])
    assert "--source-level: expected none or one of word, char, found 'line' (" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("classify runs/a --count 1 one two", {"given": ["one", "two"], "count": 1}),
        ("classify runs/a one --count 1", {"given": ["one"], "count": 1}),
        ("classify --count 1 runs/a one", {"given": ["one"], "count": 1}),
        ("classify runs/a --count 1", {"given": (), "count": 1}),
        ("translate runs/a --beam-width 3 --copy-unknown -- -x", {"texts": ["-x"], "beam_width": 3}),
    ],
)
def test_options_stand_before_or_after_texts(arguments, given):
    found = vars(cli.make_parser().parse_args(arguments.split()))
    assert {name: found[name] for name in given} == given


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ([], ["train", "sample", "compare", "python -m d2lrnn compare --cell gru"]),
        (["train"], ["--corpus NAME", "timemachine, couplets, or a UTF-8 text file", "--theta", "(0.005)"]),
        (["sample"], ["RUN", "--prefix TEXT", "--pred-len N", "(100)", "--top-p X", "--stop TOKEN", "by beam search"]),
        (["compare"], ["A gru is in Gluon's form", "{rnn,rnn_relu,gru,gru_reset_after,lstm,", "(100.0)"]),
    ],
)
def test_help_teaches(capsys, arguments, shown):
    with pytest.raises(SystemExit) as caught:
        cli.main([*arguments, "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert caught.value.code == 0
    assert not [text for text in shown if text not in out]


def test_every_option_is_explained():
    parsers = next(action for action in cli.make_parser()._actions if isinstance(action, argparse._SubParsersAction))
    expected = {
        *"train evaluate sample classify forecast translate compare plot show words play".split(),
        *"export import launch doctor".split(),
    }
    assert set(parsers.choices) == set(cli.COMMANDS) == expected
    for parser in parsers.choices.values():
        assert not [action.dest for action in parser._actions if not action.help]


def test_the_options_have_the_defaults_of_the_configurations():
    args = cli.make_parser().parse_args(["compare"])
    assert from_arguments.config_from(args, TrainConfig) == TrainConfig()
    assert not vars(cli.make_parser().parse_args(["train"])).keys() & TrainConfig().flat.keys()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"max_tokens": 63_282, "held_out": 0.1}),
        (["--corpus", "jaychou"], {"max_tokens": 63_282, "held_out": 0.1}),
        (["--corpus", "sample"], {"max_tokens": None, "held_out": 0.1}),  # the number is of its own corpus
        (["--corpus", "ptb"], {"max_tokens": None, "held_out": 0.0}),  # which has splits
        (["--max-tokens", "500", "--held-out", "0"], {"max_tokens": 500, "held_out": 0.0}),
        (["--level", "bigram"], {"max_tokens": 63_282, "held_out": 0.1, "level": "bigram"}),
        (["--num-lines", "2"], {"max_tokens": 63_282, "held_out": 0.1, "lines": True}),
    ],
)
def test_a_named_configuration_knows_what_to_load(arguments, expected):
    args = cli.make_parser().parse_args(["train", "--config", "songs", *arguments])
    training = from_arguments.changed(TrainConfig(), args)
    found = language_model.corpus_options(args, CONFIGS["songs"], training)
    assert found == {"level": None, "lines": False, **expected}
