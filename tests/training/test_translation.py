"""The objective of translators, and the task: numbers by hand, batches made two ways, a training, what does not fit."""

import dataclasses
import math
import sys

import numpy
import pytest

import d2lrnn
from d2lrnn import (
    D2lrnnError,
    ModelConfig,
    NextTargetToken,
    TrainConfig,
    Training,
    Translation,
    TranslationConfig,
    Vocab,
    build_model,
)
from d2lrnn._runtime import mx
from d2lrnn.data import PairForm, load_pairs
from d2lrnn.data.buckets import PairBatching, data_iter_pairs
from d2lrnn.data.sentences import SPECIAL
from d2lrnn.training.translation import bleu_tokenizer, perplexity_of_pairs

np = mx.np

DATA = load_pairs("sample_pairs", form=PairForm(max_tokens=30))
SMALL = ModelConfig(
    num_hiddens=16, embed_size=12, init_scale=0.2, head="translation", num_outputs=len(DATA.target), attention="general"
)
CONFIG = TrainConfig(
    num_epochs=2, batch_size=16, batches="random", optimizer="adam", lr=0.01, theta=1.0, verbose=False, seed=1
)
PLAN = TranslationConfig()


def model_of(config=SMALL):
    d2lrnn.set_seed(1)
    return build_model(config, len(DATA.source))


class Answers:
    """Answers logits of four tokens by a table, whatever it reads: at the step t those of row t, for every sentence."""

    def __init__(self, table):
        self.table = numpy.array(table, dtype="float32")  # (target steps, 4)

    def begin_state(self, batch_size, ctx=None):
        return ()

    def __call__(self, X, state, counted, Y_in):
        return np.array(self.table.repeat(len(X), axis=0)), ()


# Probabilities 1/2, 1/4, 1/8, 1/8 at the first step, 1/16, 1/16, 1/8, 3/4 at the second.
TABLE = numpy.log([[4, 2, 1, 1], [1, 1, 2, 12]])
BATCH = (
    *(np.array([[5], [6]], dtype="int32"), None),
    *(np.array([[1, 0], [1, 3]], dtype="int32"), np.array([[2, 0], [3, 2]], dtype="int32")),
    np.array([[1.0, 0.0], [1.0, 1.0]]),
)


def test_the_loss_counts_the_tokens_with_a_weight():
    objective = NextTargetToken(4)
    outcome = objective.loss(Answers(TABLE), BATCH, None)
    assert float(outcome.loss) == pytest.approx(math.log(8), rel=1e-6)  # 1/8 three times; the padding counts nothing
    assert float(outcome.score) == pytest.approx(3 * math.log(8), rel=1e-6)
    assert (outcome.state, objective.count(BATCH)) == ((), 3)
    assert objective.value(99.0, 3 * math.log(8), 3) == pytest.approx(8)
    assert (objective.limit, objective.segment_limit) == (4, 16)


def test_label_smoothing_by_hand():
    """The loss has a share of the mean of -log p over all tokens; the perplexity has none of it."""
    outcome = NextTargetToken(4, 0.1).loss(Answers(TABLE), BATCH, None)
    p = numpy.array([[4, 2, 1, 1], [4, 2, 1, 1], [0.5, 0.5, 1, 6]]) / 8
    expected = numpy.mean([0.9 * math.log(8) - 0.1 * numpy.log(row).mean() for row in p])
    assert float(outcome.loss) == pytest.approx(expected, rel=1e-6)
    assert float(outcome.score) == pytest.approx(3 * math.log(8), rel=1e-6)


def test_arrays_of_different_shapes_are_refused():
    X, counted, Y_in, Y_out, weights = BATCH
    for batch in ((X, counted, Y_in[:, :1], Y_out, weights), (X, counted, Y_in, Y_out, weights[:1])):
        with pytest.raises(D2lrnnError, match=r"Y_in has shape .*, weights \(\d, \d\): expected the same"):
            NextTargetToken(4).loss(Answers(TABLE), batch, None)


@pytest.mark.parametrize("settings", [{}, {"bidirectional": True, "attention": "additive"}, {"kind": "scratch"}])
@pytest.mark.parametrize("reverse", [False, True])
def test_buckets_and_equal_lengths_give_the_same_perplexity(settings, reverse):
    embed = {"embed_size": None} if "kind" in settings else {}
    model = model_of(dataclasses.replace(SMALL, **settings, **embed))
    plan = TranslationConfig(reverse_source=reverse)
    found = perplexity_of_pairs(model, DATA.valid, CONFIG, plan)
    objective, total, count = NextTargetToken(len(DATA.target)), 0.0, 0
    batching = PairBatching(5, "buckets", ((4, 9), (12, 30)), reverse)
    masked = False
    for batch in data_iter_pairs(DATA.valid, batching):
        masked |= batch[1] is not None
        total += float(objective.loss(model, batch, None).score)
        count += objective.count(batch)
    assert masked and count == sum(len(target) + 1 for target in DATA.valid.targets)
    assert found == pytest.approx(math.exp(total / count), rel=1e-6)


@pytest.mark.parametrize(
    "plan", [PLAN, TranslationConfig(batching="buckets", reverse_source=True, label_smoothing=0.1)]
)
def test_a_training_learns_and_shows(plan, capsys):
    config = dataclasses.replace(CONFIG, num_epochs=12, pred_period=12, lr=0.02)
    model = model_of()
    task = Translation(model, DATA, config, plan)
    assert task.validates and task.tests
    before = perplexity_of_pairs(model, DATA.valid, config, plan)
    history = task.train(Training(model, config, task.objective))
    assert (history.measure, len(history.epochs)) == ("perplexity", 12)
    assert history.epochs[-1]["valid_perplexity"] < before / 3
    assert history.epochs[-1]["valid_perplexity"] == pytest.approx(task.validation(lambda: None))
    assert history.epochs[0]["tokens_per_second"] > 0
    sentences = DATA.valid.sentences()[:3]
    assert [sample[:2] for sample in history.samples] == [(12, sentence.text) for sentence in sentences]
    assert all(isinstance(text, str) for _, _, text in history.samples)
    assert capsys.readouterr().out == ""  # it is not verbose


def test_the_test_has_perplexity_and_scores_with_their_signatures():
    task, model = Translation(model_of(), DATA, CONFIG, PLAN), model_of()
    found = task.test(model)
    assert [*found] == ["perplexity", "bleu", "chrf"] and 0 <= found["bleu"] <= 100
    assert found["perplexity"] == perplexity_of_pairs(model, DATA.test, CONFIG, PLAN)
    assert "|tok:zh|" in task.tested_with["bleu_signature"] and "|case:mixed|" in task.tested_with["bleu_signature"]
    assert task.tested_with["chrf_signature"].startswith("chrF2|")


def test_without_sacrebleu_the_test_has_the_perplexity(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    task = Translation(model_of(), DATA, CONFIG, PLAN)
    assert [*task.test(task.model)] == ["perplexity"] and task.tested_with == {}


@pytest.mark.parametrize(
    ("level", "tokens", "expected"),
    [
        ("word", ["我", "你", "他"], "13a"),
        ("char", ["我", "你", "他", "们", "。"], "zh"),
        ("char", [*"abcdefg我"], "char"),
    ],
)
def test_bleu_splits_as_the_script_asks_for(level, tokens, expected):
    assert bleu_tokenizer(Vocab.from_list([*SPECIAL, *tokens], level)) == expected


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model": dataclasses.replace(SMALL, num_outputs=7)}, r"writes 7, the vocabularies of sample_pairs have"),
        (
            {"data": dataclasses.replace(DATA, valid=None), "config": {"patience": 2}},
            "patience goes by the perplexity",
        ),
        ({"config": {"batch_size": 10**9}, "plan": {"batching": "none"}}, "unknown batching 'none'"),
    ],
    ids=["vocabulary", "no validation", "batching"],
)
def test_what_does_not_fit(change, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        plan = TranslationConfig(**change.get("plan", {}))
        config = dataclasses.replace(CONFIG, **change.get("config", {}))
        Translation(model_of(change.get("model", SMALL)), change.get("data", DATA), config, plan)
