"""A translator on the command line: train, go on, evaluate; what is no use is one line."""

import dataclasses
import json
import re

import forks
import pytest

from d2lrnn.cli import main as cli
from d2lrnn.config.translation import NEWER_SETTINGS
from d2lrnn.data.files import fetch
from d2lrnn.data.pair_sets import PAIR_SETS
from d2lrnn.runs.checkpoint import BEST, LAST, save_checkpoint
from d2lrnn.runs.log import LOG, read_log
from d2lrnn.runs.trained import load_run
from d2lrnn.runs.translator import TranslatorRun
from d2lrnn.training.translation import perplexity_of_pairs, scores_of_translations

FEW = "--num-hiddens 8 --embed-size 6 --batch-size 16 --lr 0.02".split()
TRAIN = ["train", "--corpus", "sample_pairs", *FEW]
OWN = ["train", "--config", "translate-en-zh", "--corpus", "pairs.txt", *FEW]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a file of pairs, and in "run" a translator that has learnt it for a few epochs."""
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "pairs.txt").write_text(fetch(PAIR_SETS["sample_pairs"].source).read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        more = ["--num-hiddens", "24", "--embed-size", "16", "--batch-size", "8", "--num-epochs", "20"]
        assert cli.main([*OWN, *more, "--pred-period", "20", "--out", "run"]) == 0
    return folder


@pytest.fixture(autouse=True)
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


def test_train_says_what_it_learns_and_measures_the_test(run, tmp_path):
    new = tmp_path / "new"
    out = run(*TRAIN, "--num-epochs", 1, "--out", new).splitlines()
    opened = TranslatorRun.open(new)
    data = opened.pairs()
    assert out[0] == (
        f"sample_pairs: {len(data.train)} sentence pairs; in validation {len(data.valid)}; for the test "
        f"{len(data.test)}"
    )
    assert out[1] == (
        f"{len(data.source)} tokens of level word are translated into {len(data.target)} of level char; others become "
        "<unk>"
    )
    assert re.match(r"gluon lstm, 1 x 8 hidden units, [\d,]+ parameters, on \S+; attention general$", out[2])
    assert re.match(r"epoch 1, perplexity \d+\.\d\d, in validation \d+\.\d\d, .* tokens/s, ", out[3])
    shown = data.valid.sentences()[:3]
    assert [line.startswith(f" - {sentence.text} -> ") for line, sentence in zip(out[4:7], shown)] == [True] * 3
    scores = r"test     perplexity (\S+), bleu (\S+), chrf (\S+), of epoch 1, the best in validation$"
    numbers = re.match(scores, out[-2])
    assert out[-1].endswith(f"translate {new} TEXT")
    (log,) = [entry for entry in read_log(new / LOG) if entry["event"] == "test"]
    assert [f"{log['perplexity']:.2f}", f"{log['bleu']:.4f}", f"{log['chrf']:.4f}"] == [*numbers.groups()]
    assert log["bleu_signature"].startswith("BLEU|nrefs:") and "|tok:zh|" in log["bleu_signature"]
    last = load_run(new, LAST)
    assert (last.task, last.corpus, last.origin["given"]) == ("translation", "sample_pairs", "sample_pairs")
    assert [*last.vocabularies] == ["source", "target"] and "data_dir" not in last.origin
    shape = last.shape
    assert (shape.head, shape.attention, shape.bidirectional) == ("translation", "general", True)
    assert shape.num_outputs == len(data.target)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--attention none --bidirectional no", {"attention": None, "bidirectional": False}),
        ("--attention dot", {"attention": "dot", "bidirectional": False}),
        ("--kind scratch --embed-size none --cell gru --attention additive", {"kind": "scratch", "embed_size": None}),
        ("--share --source-level char --embed-size 8 --tie-weights", {"share": True, "bidirectional": False}),
        ("--batching buckets --reverse-source --label-smoothing 0.1 --min-count 1", {}),
        ("--sampled-softmax 20 --scheduled-sampling 0.5 --batching lengths", {}),
    ],
    ids=["no attention", "dot", "scratch", "share", "buckets", "sampled"],
)
def test_settings(run, tmp_path, options, expected):
    run(*TRAIN, *options.split(), "--num-epochs", 1, "--batch-size", 50, "--out", tmp_path / "new")
    opened = TranslatorRun.open(tmp_path / "new")
    assert {name: getattr(opened.checkpoint.shape, name) for name in expected} == expected
    shared = opened.source.idx_to_token == opened.target.idx_to_token
    assert shared == ("--share" in options) and opened.source.level == ("char" if shared else "word")
    if "buckets" in options:
        plan = opened.plan
        assert (plan.batching, plan.reverse_source, plan.label_smoothing, plan.min_count) == ("buckets", True, 0.1, 1)
        assert "<unk>" in opened.source and len(opened.source) > len(TranslatorRun.open("run").source)
    sampled = 20 if "--sampled-softmax" in options else 0
    assert (opened.plan.sampled_softmax, opened.plan.scheduled_sampling) == (sampled, sampled / 40)
    assert run("evaluate", tmp_path / "new").startswith("sample_pairs, test: perplexity ")


def test_the_other_direction_swaps_the_columns(run, folder, tmp_path):
    run("train", "--config", "translate-zh-en", *TRAIN[1:], "--num-epochs", 1, "--out", tmp_path / "new")
    there, back = TranslatorRun.open("run"), TranslatorRun.open(tmp_path / "new")
    assert (back.source.idx_to_token, back.source.level) != (there.source.idx_to_token, there.source.level)
    assert (back.source.level, back.target.level) == ("char", "word") and back.plan.swap
    out = run("evaluate", tmp_path / "new")
    assert "|case:lc|" in out and "|tok:13a|" in out  # words are in small letters


def test_it_learns(folder):
    """The sentences of the test are made of words that the training has; a few words and forms are right at once."""
    (log,) = [entry for entry in read_log(folder / "run" / LOG) if entry["event"] == "test"]
    assert log["perplexity"] < 15 and log["bleu"] > 5  # at random 68 and 0


def test_a_text_is_read_by_the_vocabulary_of_the_source(folder):
    opened = TranslatorRun.open("run")
    ids, unknown = opened.read("The  zebra sees the\u00a0MOON.")
    assert [opened.source.idx_to_token[i] for i in ids] == ["the", "<unk>", "sees", "the", "moon", "."]
    assert unknown == ["zebra"]


def test_evaluate_prints_the_scores_and_those_by_length(run, folder):
    opened = TranslatorRun.open("run")
    data = opened.pairs()
    found = perplexity_of_pairs(opened.model, data.test, opened.checkpoint.train_config, opened.plan)
    scores = scores_of_translations(opened.model, data.test, data.target, opened.plan)
    first, bleu, chrf, *ranges, speed = run("evaluate", "run").splitlines()
    assert first == f"pairs.txt, test: perplexity {found:.2f} over {len(data.test)} sentence pairs"
    assert bleu == f"BLEU {scores.bleu.value:.2f}  {scores.bleu.signature}"
    assert chrf == f"chrF {scores.chrf.value:.2f}  {scores.chrf.signature}"
    assert len(ranges) == len(scores.by_length) and speed.endswith(" sentences/s")
    assert sum(int(line.split(", ")[-1].split()[0]) for line in ranges) == len(data.test.sentences())
    row = scores.by_length[0]
    how = f"BLEU {row.bleu:.2f}, chrF {row.chrf:.2f}, {row.sentences} sentences"
    assert ranges[0] == f"{row.least} to {row.most} tokens: {how}" and row.bleu > 0
    assert run("evaluate", "run", "--split", "valid").startswith("pairs.txt, valid: perplexity ")


def test_other_pairs_than_those_of_the_training_can_be_measured(run, complaint, folder, tmp_path):
    opened, own = TranslatorRun.open("run"), tmp_path / "own.txt"
    own.write_text("The moon sees a xyzzy.\t月亮看见了什么？\nA cat.\t一只猫。\n", encoding="utf-8")
    examples = opened.examples(own)
    assert [opened.source.idx_to_token[i] for i in examples.sources[1]] == ["a", "cat", "."]
    assert examples.pairs[1].target == "一只猫。" and len(examples) == 2
    found = perplexity_of_pairs(opened.model, examples, opened.checkpoint.train_config, opened.plan)
    score = scores_of_translations(opened.model, examples, opened.target, opened.plan).chrf
    lines = run("evaluate", "run", "--text", own).splitlines()
    assert lines[0] == f"own.txt: perplexity {found:.2f} over 2 sentence pairs"
    assert lines[2] == f"chrF {score.value:.2f}  {score.signature}"
    opened.plan = dataclasses.replace(opened.plan, swap=True)
    assert opened.examples(own).pairs[1].source == "一只猫。"
    own.write_text("A cat.\n", encoding="utf-8")
    assert "own.txt, row 1 has no tab ('A cat.')" in complaint("evaluate", "run", "--text", own)


def test_a_run_goes_on_with_the_same_pairs_and_no_others(run, complaint, folder, tmp_path):
    new, moved = tmp_path / "new", tmp_path / "moved.txt"
    moved.write_text((folder / "pairs.txt").read_text())
    whole = run(*OWN, "--num-epochs", 1, "--out", new)
    out = run("train", "--resume", new, "--num-epochs", 2, "--lr-schedule", "constant", "--corpus", moved)
    assert out.splitlines()[:3] == [line.replace("pairs.txt", "moved.txt") for line in whole.splitlines()[:3]]
    assert "\nepoch 2, " in out and load_run(new, LAST).origin["given"] == str(moved)
    moved.write_text(moved.read_text().replace("moon", "sun", 1))
    line = complaint("train", "--resume", new, "--num-epochs", 4)
    assert "the sentence pairs of moved.txt are not those that the run began with: they have the SHA-256 " in line
    assert "are not those that the run began with" in complaint("evaluate", new)
    moved.unlink()
    assert "the run's sentence pairs are not at" in complaint("evaluate", new)
    first = run("evaluate", new, "--corpus", "pairs.txt").splitlines()[0]
    assert first.startswith("pairs.txt, test: perplexity ") and run("evaluate", new).startswith(first)
    assert [load_run(new, name).origin["given"] for name in (BEST, LAST)] == [str(folder / "pairs.txt")] * 2


BEGIN = [*TRAIN, "--out", "never"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([*OWN, "--corpus", "no.txt", "--out", "never"], "'no.txt' names no sentence pairs and is no file"),
        ([*BEGIN, "--level", "char"], "--level given, but a translator has no use for it: leave it out, or give --sou"),
        ([*BEGIN, "--held-out", 0.1], "leave it out; a tenth of the sentences, 1,000 at most, is always held out for"),
        ([*BEGIN, "--prefix", "a"], "--prefix given, but a translator has no use for it"),
        ([*BEGIN, "--max-tokens", 9], "--max-tokens given, but a translator has no use for it"),
        ([*BEGIN, "--head", "mean"], "--head given, but a translator has no use for it"),
        ([*BEGIN, "--horizon", 2], "--horizon given, but a translator has no use for it"),
        ([*BEGIN, "--vectors", "v.txt"], "--vectors given, but a translator has no use for it"),
        ([*BEGIN, "--num-outputs", 3], "--num-outputs 3: there are"),
        ([*BEGIN, "--num-steps", 2], "sample_pairs has no pair for the training of at most 2 tokens a side"),
        ([*BEGIN, "--min-count", 0], "min_count is 0: expected"),
        ([*BEGIN, "--label-smoothing", 1], "label_smoothing is 1"),
        ([*BEGIN, "--sampled-softmax", 5000], "sampled_softmax is 5,000, and the target has "),
        ([*BEGIN, "--sampled-softmax", 9, "--label-smoothing", 0.1], "expected one of them to be 0"),
        (
            [*BEGIN, "--sampled-softmax", 9, "--kind", "scratch", "--embed-size", "none"],
            "TranslatorScratch has no outputs_and_rows()",
        ),
        ([*BEGIN, "--share"], "expected the same level where both sides have one vocabulary"),
        ([*BEGIN, "--share", "--bidirectional"], "leave share or bidirectional out"),
        ([*BEGIN, "--kind", "fast"], "the models from scratch have no embedding and no dropout"),
        ([*BEGIN, "--tie-weights"], "tie_weights needs an output layer of the embedding's shape"),
        (["train", "--corpus", "sample", "--attention", "dot"], "--attention given, but a language model has no use"),
        (["train", "--corpus", "sample", "--share"], "--share given, but a language model has no use"),
        (
            ["train", "--config", "digits", "--attention", "none"],
            "--attention given, but a classifier of images",
        ),
        (["train", "--config", "texts", "--batching", "buckets"], "--batching given, but a classifier of texts has no"),
        (
            ["train", "--corpus", "sample", "--sampled-softmax", 9],
            "--sampled-softmax given, but a language model has",
        ),
        (["train", "--config", "series", "--min-count", 2], "--min-count given, but a forecaster has no use for it"),
        (["train", "--resume", "run", "--attention", "none"], "the model cannot be changed where a run goes on"),
        (["train", "--resume", "run", "--min-count", 1], "--min-count cannot be changed where a translator goes on"),
        (["train", "--resume", "run", "--source-level", "none"], "--source-level cannot be changed where a translator"),
        (["train", "--resume", "run", "--season", "none"], "--season given, but a translator has no use for it"),
        (["train", "--resume", "run", "--scheduled-sampling", 1], "--scheduled-sampling cannot be changed where a tra"),
        (["train", "--resume", "run", "--num-steps", 9], "--num-steps cannot be changed where a translator goes on"),
        (["train", "--resume", "run", "--corpus", "sample_pairs", "--prefix", "a"], "--prefix given, but a translator"),
        (["evaluate", "run", "--text", "pairs.txt", "--cache"], "--cache given, but run holds a translator"),
        (["evaluate", "run", "--text", "no.txt"], "no.txt"),
        (
            ["evaluate", "run", "--text", "pairs.txt", "--corpus", "pairs.txt"],
            "--corpus given with --text, which needs no corpus: leave it out\n",
        ),
        (["evaluate", "run", "--corpus", "no.txt"], "no.txt"),
        (["export", "run", "--to", "onnx"], "a translator cannot be written as an ONNX graph yet: write a safetensors"),
        (["words", "run", "--near", "moon"], "is of the task translation"),
        (["show", "run"], "is of the task translation"),
        (["classify", "run", "a"], "is of the task translation: expected a classifier"),
        (["forecast", "run"], "is of the task translation: expected a forecaster"),
        (
            ["sample", "run"],
            "is of the task translation: expected a language model, which writes; with a tran",
        ),
    ],
)
def test_what_is_no_use_is_said_in_a_line(complaint, folder, arguments, expected):
    assert expected in complaint(*arguments)
    assert not (folder / "never").exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (dict(data={}), "data.plan is missing"),
        (dict(data={"plan": {"min_count": 2}}), "data.plan."),
        (dict(origin={}), "does not say which sentence pairs it was trained on: train again"),
        (dict(vocabularies={}), "expected the vocabularies 'source' and 'target', each with <pad>"),
    ],
    ids=["no plan", "half a plan", "no origin", "no vocabulary"],
)
def test_a_made_up_checkpoint_is_a_line(complaint, folder, tmp_path, change, expected):
    save_checkpoint(tmp_path / LAST, dataclasses.replace(load_run(folder / "run", LAST), **change))
    for command in (["evaluate", tmp_path / LAST], ["train", "--resume", tmp_path]):
        assert expected in complaint(*command)


def test_a_checkpoint_from_before_there_were_some_settings(folder, tmp_path):
    checkpoint = load_run(folder / "run")
    plan = {name: value for name, value in checkpoint.data["plan"].items() if name not in NEWER_SETTINGS}
    assert len(plan) == len(checkpoint.data["plan"]) - 2
    save_checkpoint(tmp_path / BEST, dataclasses.replace(checkpoint, data={"plan": plan}))
    assert TranslatorRun.open(tmp_path / BEST).plan == TranslatorRun.open(folder / "run").plan


def test_a_run_killed_again_and_again_ends_with_the_same_numbers(folder, tmp_path, seed):
    settings = [*TRAIN, "--dropout", "0.3", "--num-epochs", "4", "--averaging", "1", "--batch-size", "8"][1:]
    settings += ["--sampled-softmax", "20", "--scheduled-sampling", "0.5"]
    result = forks.run("killed_forecast.py", tmp_path, seed % 2**32, 3, *settings)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["positions"][-1] > [1, 0]
    assert (tmp_path / "whole" / BEST).read_bytes() == (tmp_path / "killed" / BEST).read_bytes()
    one, other = (load_run(tmp_path / name, LAST) for name in ("whole", "killed"))
    for arrays, others in ((one.parameters, other.parameters), (one.training.arrays, other.training.arrays)):
        assert arrays.keys() == others.keys()
        assert not [key for key in arrays if arrays[key].tobytes() != others[key].tobytes()]
    shares = [[{k: e[k] for k in e if "second" not in k} for e in r.training.history.epochs] for r in (one, other)]
    assert shares[0] == shares[1] and one.training.history.samples == other.training.history.samples
