"""The command ``evaluate``: any text that training takes, each line by itself, and what cannot be measured."""

import io
import math
import sys
from types import SimpleNamespace

import numpy
import pytest
from tiny import SONG, save_model, write_fox

from d2lrnn import Dropout, ModelConfig, TrainConfig, Vocab, build_model, load_corpus
from d2lrnn._runtime import mx
from d2lrnn.cli import main as cli
from d2lrnn.data import LINE_END
from d2lrnn.evaluation import frame_of_lines, log_probs_of_lines, texts
from d2lrnn.models.parameters import get_values, named_parameters, set_values
from d2lrnn.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from d2lrnn.runs.origin import origin_of
from d2lrnn.training import language_model

POEMS = "甲乙丙\n\n丁甲 \n乙\n丙丁乙甲\n" * 6
WORDS = "the cat sat\non the mat\n\nthe mat sat\n" * 6


@pytest.fixture(autouse=True)
def alone(offline):
    """Keep the tests off the user's folders and off the network."""


@pytest.fixture
def printed(capsys):
    """Run a command, which must succeed; returns what it printed."""

    def run(*arguments):
        capsys.readouterr()
        assert cli.main([str(argument) for argument in arguments]) == 0
        return capsys.readouterr().out

    return run


def saved(folder, given, **options):
    """Save a run of wild weights, as a training of a corpus would; return its folder and the corpus."""
    corpus = load_corpus(given, **options)
    save_model(folder / "model.d2lrnn", corpus, ())
    checkpoint = load_checkpoint(folder / "model.d2lrnn")
    how = TrainConfig(batches="lines", num_lines=1) if options.get("lines") or given == "couplets" else TrainConfig()
    origin = origin_of(corpus, str(given), {"lines": how.batches == "lines", **options})
    save_checkpoint(
        folder / "model.d2lrnn",
        Checkpoint.of(checkpoint.build_model(), checkpoint.shape, how, corpus, origin=origin),
    )
    return folder, corpus


def written(path, text):
    path.write_bytes(text.encode())
    return path


def first_line(text):
    return text.partition("\n")[0].partition(": ")[2]


# What training accepts, evaluation accepts


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028"], ids=ascii)
@pytest.mark.parametrize(
    "options", [{}, {"level": "word"}, {"level": "bigram"}, {"lines": True}], ids=lambda options: str(options)
)
def test_the_file_of_the_training_is_measured_as_the_corpus_is(tmp_path, printed, options, end):
    text = (WORDS if options.get("level") == "word" else POEMS + "丁").replace("\n", end)
    path = written(tmp_path / "my.txt", "\ufeff" + text)
    run, _ = saved(tmp_path / "run", path, **options)
    expected = first_line(printed("evaluate", run, "--split", "train"))
    assert first_line(printed("evaluate", run, "--text", path)) == expected
    if options.get("lines"):
        windows = first_line(printed("evaluate", run, "--split", "train", "--num-lines", 0))
        assert first_line(printed("evaluate", run, "--text", path, "--num-lines", 0)) == windows != expected


def test_the_files_of_named_corpora_are_measured_as_the_corpora_are(tmp_path, printed, monkeypatch, unverified):
    monkeypatch.setenv("D2LRNN_DATA", str(tmp_path))
    for name in ("timemachine", "couplets"):
        unverified(name)
    written(tmp_path / "timemachine.txt", "The Time-Machine,\n  by H.G. Wells, 1895\n" * 5)
    written(tmp_path / "tang_couplets.txt", "甲乙，丙丁。\n戊己，庚辛。\n")
    for split in ("train", "valid", "test"):
        written(tmp_path / f"ptb.{split}.txt", "the cat <unk>\n sat on the mat\n" * 4)
    for name, file in (("timemachine", "timemachine.txt"), ("couplets", "tang_couplets.txt"), ("ptb", "ptb.train.txt")):
        run, _ = saved(tmp_path / f"run of {name}", name)
        expected = first_line(printed("evaluate", run, "--split", "train"))
        assert first_line(printed("evaluate", run, "--text", tmp_path / file)) == expected


def test_a_line_of_any_length_is_measured_piece_by_piece(tmp_path, printed, monkeypatch):
    monkeypatch.setattr(texts, "MOST_STEPS", 7)
    run, corpus = saved(tmp_path / "run", written(tmp_path / "my.txt", POEMS), lines=True)
    path = written(tmp_path / "long.txt", "甲乙丙丁" * 20 + "\n乙\n")
    model = load_checkpoint(run / "model.d2lrnn").build_model()
    expected = math.exp(
        -sum(by_hand(model, corpus.vocab.encode(row)) for row in ("\n" + "甲乙丙丁" * 20 + "\n", "\n乙\n")) / 83
    )
    found = printed("evaluate", run, "--text", path)
    assert found.startswith(f"long.txt: perplexity {expected:.2f} over 83 tokens")


def test_a_run_without_other_splits_is_measured_on_what_there_is(tmp_path, printed):
    run, _ = saved(tmp_path / "run", written(tmp_path / "my.txt", SONG))
    assert printed("evaluate", run).startswith("my.txt, train: perplexity ")
    write_fox(tmp_path)
    run, _ = saved(tmp_path / "held", tmp_path / "my.txt", held_out=0.1)
    assert printed("evaluate", run).startswith("my.txt, test: perplexity ")


def test_standard_input_is_measured_where_it_is_asked_for(tmp_path, printed, monkeypatch, complaint):
    path = written(tmp_path / "my.txt", SONG)
    run, _ = saved(tmp_path / "run", path)
    expected = first_line(printed("evaluate", run, "--text", path))

    def pipe(content):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))

    pipe(SONG.encode())
    assert printed("evaluate", run, "--text", "-").startswith("standard input: ")
    pipe(SONG.encode())
    assert first_line(printed("evaluate", run, "--text=-")) == expected
    pipe(SONG.encode("gb18030"))
    assert "standard input is not UTF-8: byte 0x" in complaint("evaluate", run, "--text", "-")
    monkeypatch.setattr(sys, "stdin", None)
    assert "standard input is closed" in complaint("evaluate", run, "--text", "-")
    assert "a corpus cannot come from standard input" in complaint("train", "--corpus", "-", "--out", tmp_path / "new")


# Each line by itself


def table(out):
    head, *rows = (line.split("\t") for line in out.splitlines())
    assert head == ["line", "tokens", "unknown", "log_probability", "perplexity", "text"]
    return [
        (int(line), int(tokens), int(unknown), float(log), rest[0], rest[1])
        for line, tokens, unknown, log, *rest in rows
    ]


def by_hand(model, ids):
    """Return the sum of the log-probabilities of each id but the first, one id going in after another."""
    state, total = model.begin_state(1), 0.0
    for now, following in zip(ids[:-1], ids[1:]):
        logits, state = model(mx.np.array([[now]], dtype="int32"), state)
        scores = logits.asnumpy()[0].astype("float64")
        total += scores[following] - scores.max() - math.log(numpy.exp(scores - scores.max()).sum())
    return total


@pytest.mark.parametrize(
    ("options", "text", "rows"),
    [  # the line, what is read before it and with it, the unknown words
        ({}, "甲乙\n\n 丙\r\n甲", [(1, " 甲乙", 0), (3, " 丙", 0), (4, " 甲", 0)]),
        ({"lines": True}, "甲乙\n\n 丙\r\n甲", [(1, "\n甲乙\n", 0), (3, "\n丙\n", 0), (4, "\n甲\n", 0)]),
        ({"level": "word"}, "the mat\ncat", [(1, "the mat", 0), (2, "cat", 0)]),
        ({"level": "bigram"}, "甲乙丙 \n 丁甲\n乙", [(1, "甲乙丙 ", 0), (2, "丁甲", 0), (3, "乙 ", 0)]),
        ("ptb", "the dog\nmat", [(1, "<eos> the <unk> <eos>", 1), (2, "<eos> mat <eos>", 0)]),
    ],
    ids=["characters", "lines", "words", "pairs", "the Penn Treebank"],
)
def test_each_line_has_the_sum_of_its_tokens(tmp_path, printed, monkeypatch, options, text, rows):
    monkeypatch.setenv("D2LRNN_DATA", str(tmp_path))
    if options == "ptb":
        for split in ("train", "valid", "test"):
            written(tmp_path / f"ptb.{split}.txt", "the cat <unk>\n sat on the mat\n" * 4)
        run, corpus = saved(tmp_path / "run", "ptb")
    else:
        content = WORDS if options.get("level") == "word" else "甲乙丙 丁甲乙 甲乙丙 丁甲\n乙 丙丁\n\n" * 5
        run, corpus = saved(tmp_path / "run", written(tmp_path / "my.txt", content), **options)
    model = load_checkpoint(run / "model.d2lrnn").build_model()
    found = table(printed("evaluate", run, "--text", written(tmp_path / "lines.txt", text), "--each-line"))
    assert [(row[0], row[2]) for row in found] == [(number, unknown) for number, _, unknown in rows]
    for (_, count, _, log_prob, perplexity, _), (_, read, _) in zip(found, rows):
        ids = corpus.vocab.encode(read)
        assert count == len(ids) - 1
        assert log_prob == pytest.approx(by_hand(model, ids), abs=1e-4)
        assert (
            perplexity == "-"
            if count == 0
            else float(perplexity) == pytest.approx(math.exp(-log_prob / count), rel=1e-4)
        )


def test_many_lines_each_have_the_score_that_they_have_alone(tmp_path, printed):
    run, corpus = saved(tmp_path / "run", written(tmp_path / "my.txt", POEMS), lines=True)
    lines = [text for i in range(300) for text in ("甲乙丙丁"[i % 4] * (1 + i * 7 % 90), "")]
    found = table(printed("evaluate", run, "--text", written(tmp_path / "lines.txt", "\n".join(lines)), "--each-line"))
    assert [row[0] for row in found] == list(range(1, 601, 2)) and [row[5] for row in found] == lines[::2]
    model = load_checkpoint(run / "model.d2lrnn").build_model()
    for row in found[::37]:
        alone = log_probs_of_lines(model, [corpus.vocab.encode(row[5])], *frame_of_lines(corpus.vocab))
        assert (row[3], row[1]) == (pytest.approx(alone[0][0], abs=1e-3), alone[0][1])


def test_a_table_can_be_cut(tmp_path, printed):
    run, _ = saved(tmp_path / "run", written(tmp_path / "my.txt", "a\tb\n\x1b c\n" * 9), lines=True)
    out = printed("evaluate", run, "--text", tmp_path / "my.txt", "--each-line")
    assert {line.count("\t") for line in out.splitlines()} == {5}
    assert r"a\tb" in out and r"\x1b c" in out


def test_an_unknown_character_is_told_with_its_line(tmp_path, complaint):
    run, _ = saved(tmp_path / "run", written(tmp_path / "my.txt", POEMS), lines=True)
    path = written(tmp_path / "other.txt", "甲\n\n甲戊\n")
    expected = f"d2lrnn: {path}: unknown character '戊' (U+620A) in line 3: expected only what is among the 5 tokens"
    assert complaint("evaluate", run, "--text", path, "--each-line").startswith(expected)
    assert complaint("evaluate", run, "--text", path).startswith(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--each-line"], "--each-line given without --text"),
        (["--each-line", "--text", "my.txt", "--cache"], "--each-line given with --cache"),
        (["--each-line", "--text", "my.txt", "--dynamic"], "--each-line given with --dynamic"),
        (["--each-line", "--text", "my.txt", "--max-tokens", "9"], "--each-line given with --max-tokens"),
        (["--each-line", "--text", "my.txt", "--num-lines", "0"], "--each-line given with --num-lines"),
        (
            ["--text", "my.txt", "--corpus", "my.txt", "--data-dir", "."],
            "--corpus and --data-dir given with --text, which needs no corpus but for --dynamic: leave them out",
        ),
        (["--num-lines", "-1"], "num_lines is -1: expected a whole number, at least 0 and at most 10,000"),
        (["--text", "one.txt"], "one.txt: found 1 token: expected two or more, since the first is only read"),
    ],
)
def test_what_does_not_go_together(tmp_path, complaint, options, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, _ = saved(tmp_path / "run", written(tmp_path / "my.txt", SONG))
    written(tmp_path / "one.txt", "雨")
    assert message in complaint("evaluate", run, *options)


# Weights that are no numbers


@pytest.mark.parametrize("weight", [math.nan, math.inf, 1e38])
@pytest.mark.parametrize(
    "how",
    [[], ["--num-lines", "1"], ["--cache"], ["--dynamic"], ["--text", "my.txt"], ["--text", "my.txt", "--each-line"]],
)
def test_a_perplexity_that_is_no_number_is_an_error(tmp_path, monkeypatch, complaint, weight, how):
    monkeypatch.chdir(tmp_path)
    corpus = load_corpus(written(tmp_path / "my.txt", POEMS), lines="--num-lines" in how)
    config = ModelConfig("gluon", "lstm", 4, dropout=Dropout())
    model = build_model(config, corpus.vocab_size)
    for param in named_parameters(model).values():
        set_values(param, mx.np.full(get_values(param).shape, weight))
    lines = "--num-lines" in how
    training = TrainConfig(batches="lines", num_lines=1) if lines else TrainConfig(num_steps=5)
    origin = origin_of(corpus, "my.txt", {"lines": lines})
    save_checkpoint(tmp_path / "run" / "model.d2lrnn", Checkpoint.of(model, config, training, corpus, origin=origin))
    err = complaint("evaluate", "run", *how)
    assert (
        "the loss became NaN or infinite" in err
        if "--dynamic" in how
        else "so the model's weights are no numbers" in err
    )


def test_the_frame_of_a_line():
    assert frame_of_lines(Vocab("a\n b")) == (Vocab("a\n b").token_to_idx[LINE_END],) * 2
    assert frame_of_lines(Vocab.from_list(["a", "<eos>"], "word")) == (1, 1)
    assert frame_of_lines(Vocab.from_list(["a", " "])) == (1, None)
    assert frame_of_lines(Vocab.from_list(["a", "b"])) == frame_of_lines(Vocab.from_list(["a"], "word")) == (None, None)


def test_a_test_at_the_end_of_a_training_that_is_no_number_is_an_error(tmp_path, monkeypatch, complaint, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "my.txt", SONG)
    monkeypatch.setattr(language_model.LanguageModelling, "validation", lambda *_: 5.0)
    monkeypatch.setattr(language_model, "perplexity_on", lambda *_: math.nan)
    small = "--num-hiddens 4 --batch-size 2 --num-steps 5 --pred-len 2 --num-epochs 1 --held-out 0.1".split()
    err = complaint("train", "--corpus", "my.txt", "--out", "r", *small)
    assert "the perplexity is nan, so the model's weights are no numbers or far too large" in err
    assert (tmp_path / "r" / "model.d2lrnn").is_file()
