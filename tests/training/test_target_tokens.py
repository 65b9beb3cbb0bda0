"""What a translator learns of a batch: a sampled softmax, and its own tokens among the right ones it reads."""

import dataclasses
import math

import numpy
import pytest

import d2lrnn
from d2lrnn import D2lrnnError, ModelConfig, NextTargetToken, TrainConfig, Training, Translation, TranslationConfig
from d2lrnn._runtime import mx
from d2lrnn.data import PairForm, load_pairs
from d2lrnn.data.buckets import EOS_ID, PairBatching, data_iter_pairs
from d2lrnn.evaluation import Candidates
from d2lrnn.models import build_model
from d2lrnn.models.parameters import numbers_of
from d2lrnn.training import SampledTargetToken, with_own_tokens
from d2lrnn.training.translation import perplexity_of_pairs

np = mx.np

DATA = load_pairs("sample_pairs", form=PairForm(max_tokens=30))
SIZE = len(DATA.target)
SMALL = ModelConfig(
    num_hiddens=16, embed_size=12, init_scale=0.2, head="translation", num_outputs=SIZE, attention="general"
)
CONFIG = TrainConfig(
    num_epochs=4, batch_size=16, batches="random", optimizer="adam", lr=0.03, theta=1.0, verbose=False, seed=1
)


def model_of(**settings):
    d2lrnn.set_seed(1)
    return build_model(dataclasses.replace(SMALL, **settings), len(DATA.source))


def batch_of(how="buckets"):
    return next(iter(data_iter_pairs(DATA.train, PairBatching(9, how, ((9, 16),) if how == "buckets" else ()))))


def outcome_of(objective, model, batch):
    with mx.autograd.record():
        outcome = objective.loss(model, batch, None)
    outcome.loss.backward()
    return outcome.loss.item(), float(outcome.score), numbers_of(model.parameters(), gradients=True)


def test_with_all_candidates_it_is_the_full_objective():
    model, batch = model_of(), batch_of()
    sampled = SampledTargetToken(SIZE, SIZE - 1)
    sampled.candidates = Candidates(SIZE, SIZE, EOS_ID)
    (loss, score, gradients), (full, total, wanted) = (
        outcome_of(objective, model, batch) for objective in (sampled, NextTargetToken(SIZE))
    )
    assert (batch[-1].asnumpy() == 0).any()  # padding counts nothing
    assert loss == pytest.approx(full, rel=1e-6) and score == pytest.approx(total, rel=1e-6)
    assert gradients.keys() == wanted.keys()
    for name, gradient in wanted.items():
        assert numpy.abs(gradients[name] - gradient).max() < 2e-6 * max(1, numpy.abs(gradient).max())


def test_all_rows_have_the_same_candidates_and_batches_have_others():
    """Rows of the output layer that were neither drawn nor right get no gradient."""
    model, batch = model_of(), batch_of()
    objective, touched = SampledTargetToken(SIZE, 5), []
    for seed in (3, 4):
        numpy.random.seed(seed)
        gradient = outcome_of(objective, model, batch)[2]["decoder.dense.weight"]
        numpy.random.seed(seed)
        drawn = objective.candidates.draw().ids
        touched.append(set(numpy.flatnonzero(numpy.abs(gradient).sum(axis=1))))
        right = batch[3].asnumpy()[batch[4].asnumpy() == 1]
        assert touched[-1] == {*drawn, *right}
    assert touched[0] != touched[1]


@pytest.mark.parametrize("settings", [{"sampled_softmax": 20}, {"scheduled_sampling": 0.5}])
def test_a_training_learns(settings):
    model, plan = model_of(), TranslationConfig(**settings)
    task = Translation(model, DATA, CONFIG, plan)
    history = task.train(Training(model, CONFIG, task.objective))
    assert history.epochs[-1]["valid_perplexity"] < SIZE / 3
    assert history.epochs[-1]["valid_perplexity"] == perplexity_of_pairs(model, DATA.valid, CONFIG, TranslationConfig())
    assert history.epochs[-1]["perplexity"] < history.epochs[0]["perplexity"] / 2


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (
            {"sampled_softmax": SIZE},
            f"sampled_softmax is {SIZE}, and the target has {SIZE} different tokens: expected few",
        ),
        ({"sampled_softmax": -1}, "sampled_softmax is -1: expected a whole number, at least 0"),
        ({"sampled_softmax": 5, "label_smoothing": 0.1}, "label_smoothing is 0.1, which is of all tokens, and sampled"),
        ({"scheduled_sampling": 1.5}, "scheduled_sampling is 1.5"),
    ],
)
def test_settings_that_cannot_be(settings, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        Translation(model_of(), DATA, CONFIG, TranslationConfig(**settings))


def test_a_model_from_scratch_gives_no_rows():
    model = model_of(kind="scratch", embed_size=None)
    for refused in (
        lambda: Translation(model, DATA, CONFIG, TranslationConfig(sampled_softmax=5)),
        lambda: SampledTargetToken(SIZE, 5).loss(model, batch_of(), None),
    ):
        with pytest.raises(D2lrnnError, match="TranslatorScratch has no outputs_and_rows.*: expected a Translator"):
            refused()


def test_the_share_of_own_tokens_grows_in_a_straight_line():
    objective = NextTargetToken(9, scheduled_sampling=0.6, num_epochs=4)
    shares = []
    for epoch in range(1, 5):
        objective.begin_epoch(epoch)
        shares.append(objective.own_share)
    assert shares == pytest.approx([0, 0.2, 0.4, 0.6])
    one = NextTargetToken(9, scheduled_sampling=0.6, num_epochs=1)
    one.begin_epoch(1)
    assert one.own_share == 0


class Counts:
    """Writes the sum of all that it has read, modulo 10: what it writes depends on its own tokens before."""

    def begin_state(self, batch_size, ctx=None):
        return ()

    def encode(self, X, counted):
        return (X.sum(axis=1).astype("int32"),)

    def decode(self, Y_in, memory):
        (total,) = memory
        total = (total + Y_in[:, 0]) % 10
        return mx.npx.one_hot(total, 10), None, (total,)


def test_own_tokens_step_by_step_by_hand():
    X, Y_in = np.array([[3], [4]], dtype="int32"), np.array([[1, 2, 0, 5], [1, 3, 3, 3]], dtype="int32")
    found = with_own_tokens(Counts(), X, None, Y_in, 1.0).asnumpy()
    # 3 + 1 = 4 is written and read, 4 + 4 = 8, 8 + 8 = 6 modulo 10; 4 + 1 = 5, 5 + 5 = 0, 0 + 0 = 0.
    assert found.tolist() == [[1, 4, 8, 6], [1, 5, 0, 0]] and found.dtype == numpy.int32
    assert with_own_tokens(Counts(), X, None, Y_in, 1e-9).asnumpy().tolist() == Y_in.asnumpy().tolist()
    for seed in range(10):
        numpy.random.seed(seed)
        own = numpy.random.random((2, 4)) < 0.5
        numpy.random.seed(seed)
        found = with_own_tokens(Counts(), X, None, Y_in, 0.5).asnumpy()
        for i, total in enumerate((3, 4)):
            for t, token in enumerate(found[i]):
                assert token == (total if own[i, t] and t else Y_in[i, t].item())
                total = (total + token) % 10


@pytest.mark.parametrize("settings", [{}, {"attention": None}, {"kind": "scratch", "embed_size": None}])
@pytest.mark.parametrize("how", ["lengths", "buckets"])
def test_with_own_tokens_alone_the_decoder_reads_its_greedy_translation(settings, how):
    model, (X, counted, Y_in, *_) = model_of(init_scale=1.0, **settings), batch_of(how)
    found = with_own_tokens(model, X, counted, Y_in, 1.0)
    logits, _ = model(X, model.begin_state(len(X)), counted, found)
    written = logits.argmax(axis=1).asnumpy().reshape(Y_in.shape[::-1]).T
    assert (written[:, :-1] == found.asnumpy()[:, 1:]).all() and (found.asnumpy()[:, 0] == Y_in.asnumpy()[:, 0]).all()
    assert len(set(written.reshape(-1).tolist())) > 3
    assert (counted is None) == (how == "lengths")


def test_gradients_are_those_of_the_tokens_that_were_read():
    model, batch = model_of(init_scale=1.0), batch_of()
    objective = NextTargetToken(SIZE, scheduled_sampling=0.5, num_epochs=2)
    objective.begin_epoch(2)
    numpy.random.seed(5)
    loss, _, gradients = outcome_of(objective, model, batch)
    numpy.random.seed(5)
    X, counted, Y_in, *rest = batch
    mixed = with_own_tokens(model, X, counted, Y_in, 0.5)
    assert 0.2 < (mixed != Y_in).mean().item() < 0.6
    expected, _, wanted = outcome_of(NextTargetToken(SIZE), model, (X, counted, mixed, *rest))
    assert loss == expected and math.isfinite(loss)
    assert all((gradients[name] == gradient).all() for name, gradient in wanted.items())
