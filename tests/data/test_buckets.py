"""Batches of sentence pairs: what is in them, that no pair is lost, and that chance comes from one seed."""

from collections import Counter

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2lrnn import D2lrnnError, ModelConfig, build_model, set_seed
from d2lrnn._runtime import mx
from d2lrnn.data.buckets import PairBatching, buckets_for, data_iter_pairs, data_iter_sources
from d2lrnn.data.pairs import PairExamples


def examples(*sides):
    """Return examples of pairs of ids."""
    arrays = [[numpy.array(side, dtype=numpy.int32) for side in pair] for pair in sides]
    return PairExamples(tuple(sides), tuple(pair[0] for pair in arrays), tuple(pair[1] for pair in arrays))


def as_lists(batches):
    return [[None if array is None else array.asnumpy().tolist() for array in batch] for batch in batches]


THREE = examples(([4, 5], [6, 7, 8]), ([5], [4]), ([6, 4], [9]))


def test_a_batch_by_hand():
    first, second = as_lists(data_iter_pairs(THREE, PairBatching(batch_size=4)))
    assert first == [[[5]], None, [[1, 4]], [[4, 2]], [[1.0, 1.0]]]
    X, counted, Y_in, Y_out, weights = second
    assert X == [[6, 4], [4, 5]] and counted is None  # the shorter target comes first
    assert Y_in == [[1, 9, 0, 0], [1, 6, 7, 8]] and Y_out == [[9, 2, 0, 0], [6, 7, 8, 2]]
    assert weights == [[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]


def test_a_bucket_by_hand():
    batching = PairBatching(batch_size=4, how="buckets", buckets=((3, 2), (3, 5)))
    first, second = as_lists(data_iter_pairs(THREE, batching))
    assert first[:2] == [[[0, 0, 5], [0, 6, 4]], [[0.0, 0.0, 1.0], [0.0, 1.0, 1.0]]]
    assert first[2:] == [[[1, 4], [1, 9]], [[4, 2], [9, 2]], [[1.0, 1.0], [1.0, 1.0]]]
    assert second[:2] == [[[0, 4, 5]], [[0.0, 1.0, 1.0]]]
    assert second[2:] == [[[1, 6, 7, 8, 0]], [[6, 7, 8, 2, 0]], [[1.0, 1.0, 1.0, 1.0, 0.0]]]


@pytest.mark.parametrize("how", ["lengths", "buckets"])
def test_sources_from_their_ends(how):
    batching = PairBatching(how=how, buckets=((3, 9),), reverse_source=True)
    sources = [row[-2:] for batch in as_lists(data_iter_pairs(THREE, batching)) for row in batch[0]]
    assert sorted(sources) == sorted([[0, 5], [5, 4], [4, 6]] if how == "buckets" else [[5], [5, 4], [4, 6]])


def test_pairs_that_fit_into_no_bucket_have_one_of_their_own():
    batching = PairBatching(how="buckets", buckets=((1, 2),))
    (first, second) = as_lists(data_iter_pairs(THREE, batching))
    assert first[0] == [[5]] and first[1] is None  # where no source is padded there is no mask
    assert second[0] == [[4, 5], [6, 4]] and second[1] is None
    assert second[3] == [[6, 7, 8, 2], [9, 2, 0, 0]]


some_pairs = st.lists(
    st.tuples(st.lists(st.integers(3, 11), min_size=1, max_size=6), st.lists(st.integers(3, 11), max_size=6)),
    min_size=1,
    max_size=30,
)


@given(some_pairs, st.integers(1, 7), st.sampled_from(["lengths", "buckets"]), st.booleans(), st.booleans())
def test_each_pair_is_in_one_batch_whichever_way(pairs, batch_size, how, training, reverse):
    batching = PairBatching(batch_size, how, reverse_source=reverse)
    batches = data_iter_pairs(examples(*pairs), batching, training=training)
    found, count = Counter(), 0
    for X, counted, Y_in, Y_out, weights in batches:
        count += 1
        assert X.dtype == Y_in.dtype == Y_out.dtype == numpy.int32 and weights.dtype == numpy.float32
        assert 1 <= len(X) <= batch_size and Y_in.shape == Y_out.shape == weights.shape
        assert counted is None or (how == "buckets" and counted.shape == X.shape and counted.dtype == numpy.float32)
        X, Y_in, Y_out, weights = (array.asnumpy() for array in (X, Y_in, Y_out, weights))
        kept = numpy.ones_like(X) if counted is None else counted.asnumpy()
        assert (X[kept == 0] == 0).all() and (numpy.diff(kept, axis=1) >= 0).all()  # in front
        assert (Y_out[weights == 0] == 0).all() and (numpy.diff(weights, axis=1) <= 0).all()  # behind
        for x, keep, y_in, y_out, weight in zip(X, kept, Y_in, Y_out, weights):
            source, target = x[keep == 1].tolist(), y_out[weight == 1].tolist()
            assert target.pop() == 2 and y_in[: len(target) + 1].tolist() == [1, *target]
            assert not y_in[len(target) + 1 :].any()
            found[tuple(source[::-1] if reverse else source), tuple(target)] += 1
    assert found == Counter((tuple(source), tuple(target)) for source, target in pairs)
    assert count == batches.num_batches


@pytest.mark.parametrize("how", ["lengths", "buckets"])
def test_chance_is_that_of_the_seed(how):
    draw = numpy.random.RandomState(1)
    many = examples(*[([4] * draw.randint(1, 5), [5] * draw.randint(0, 9) + [6 + i % 6]) for i in range(60)])
    batching = PairBatching(4, how)

    def epoch(seed, training=True):
        set_seed(seed)
        return as_lists(data_iter_pairs(many, batching, training=training))

    assert epoch(1) == epoch(1) != epoch(2)
    assert epoch(1, training=False) == epoch(2, training=False) != epoch(1)
    set_seed(3)
    two = [as_lists(data_iter_pairs(many, batching, training=True)) for _ in range(2)]
    assert two[0] != two[1]  # each epoch has an order of its own


def test_batches_of_a_length_are_about_as_large():
    pairs = examples(*[([4, 4], [5] * (i % 7)) for i in range(65)], ([4], [5]))
    assert [len(batch[0]) for batch in data_iter_pairs(pairs, PairBatching(32))] == [1, 22, 22, 21]


def test_neighbours_in_length_share_a_batch_of_the_training():
    pairs = examples(*[([4], [5] * (i % 10)) for i in range(80)])
    padded = sum(batch[4].size for batch in data_iter_pairs(pairs, PairBatching(10), training=True))
    words = sum(i % 10 + 1 for i in range(80))
    assert words < padded < 1.3 * words  # without sorting nearly 80 x 10


def test_buckets_hold_a_half_then_three_quarters_and_the_last_one_all():
    pairs = examples(*[([4] * (i + 1), [5] * (2 * i)) for i in range(16)])
    assert buckets_for(pairs) == ((8, 15), (12, 23), (14, 27), (15, 29), (16, 31))
    assert buckets_for(pairs, 2) == ((8, 15), (16, 31)) and buckets_for(pairs, 1) == ((16, 31),)
    assert buckets_for(examples(*[([4], [5])] * 9)) == ((1, 2),)


def test_sentences_to_be_translated():
    sources = [numpy.array(ids, dtype=numpy.int32) for ids in ([4, 5], [6], [7, 8], [9, 9, 4], [4, 6])]
    found = [(rows.tolist(), X.asnumpy().tolist()) for rows, X in data_iter_sources(sources, 2)]
    assert found == [([1], [[6]]), ([0, 2], [[4, 5], [7, 8]]), ([4], [[4, 6]]), ([3], [[9, 9, 4]])]
    turned = data_iter_sources(sources, 9, reverse_source=True)
    assert [X.asnumpy().tolist() for _, X in turned] == [[[6]], [[5, 4], [8, 7], [6, 4]], [[4, 9, 9]]]
    assert data_iter_sources(sources, 2).num_batches == 4 and list(data_iter_sources([], 2)) == []
    with pytest.raises(D2lrnnError, match="sentence 2 has no tokens: expected at least one"):
        data_iter_sources([sources[0], sources[0][:0]], 2)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"batch_size": 0}, "batch_size is 0: expected a whole number, at least 1"),
        ({"how": "bucket"}, "unknown batches 'bucket': expected one of lengths, buckets"),
        ({"buckets": (5,)}, "a bucket is 5: expected two sizes, of source and target"),
        ({"buckets": ((5, 1),)}, "the target size of a bucket is 1: expected a whole number, at least 2"),
        ({"buckets": ((0, 5),)}, "the source size of a bucket is 0: expected a whole number, at least 1"),
        ({"buckets": ((5, 10), (4, 12))}, "the source size of a bucket is 4: expected a whole number, at least 5"),
    ],
)
def test_batching_that_cannot_be(values, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        PairBatching(**values)


def test_examples_that_make_no_batch():
    with pytest.raises(D2lrnnError, match="there are no sentence pairs: expected at least one"):
        data_iter_pairs(examples(), PairBatching())
    with pytest.raises(D2lrnnError, match="pair 2 has a source without tokens: expected at least one"):
        data_iter_pairs(examples(([4], [5]), ([], [5])), PairBatching())


def loss_of(model, batches):
    """Return the mean loss of a word of batches."""
    total = count = 0.0
    for X, counted, Y_in, Y_out, weights in batches:
        logits, _ = model(X, model.begin_state(len(X)), counted, Y_in)
        log_probs = mx.npx.log_softmax(logits).asnumpy().reshape(*Y_out.T.shape, -1).swapaxes(0, 1)
        picked = numpy.take_along_axis(log_probs, Y_out.asnumpy()[..., None], axis=2)[..., 0]
        total, count = total - float((picked * weights.asnumpy()).sum()), count + float(weights.asnumpy().sum())
    return total / count


@pytest.mark.parametrize("attention", [None, "general"])
def test_both_ways_give_the_same_loss(attention):
    settings = {"cell": "lstm", "num_hiddens": 6, "num_outputs": 12, "init_scale": 0.7}
    model = build_model(ModelConfig(head="translation", attention=attention, **settings), 12)
    draw = numpy.random.RandomState(5)
    pairs = examples(
        *[[draw.randint(3, 12, 1 + draw.randint(6)), draw.randint(3, 12, draw.randint(7))] for _ in range(9)]
    )
    ways = [("lengths", ()), ("buckets", ()), ("buckets", ((7, 9),)), ("buckets", ((3, 5), (9, 12)))]
    found = [loss_of(model, data_iter_pairs(pairs, PairBatching(4, how, sizes))) for how, sizes in ways]
    assert found == pytest.approx([found[0]] * 4, abs=1e-6) and found[0] > 1
