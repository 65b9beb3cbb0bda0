import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2lrnn._runtime import mx
from d2lrnn.data.batches import (
    CorpusTooShortError,
    check_batch,
    data_iter_consecutive,
    data_iter_random,
    data_iter_varied,
)

SAMPLERS = pytest.mark.parametrize("sampler", [data_iter_random, data_iter_consecutive, data_iter_varied])


@st.composite
def cuts(draw):
    """Return a batch_size, a num_steps and a length that is enough for at least one batch of either sampler."""
    batch_size, num_steps = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    return batch_size, num_steps, batch_size * (num_steps + 1) + draw(st.integers(0, 60))


def as_lists(batches):
    return [(X.asnumpy().tolist(), Y.asnumpy().tolist()) for X, Y in batches]


def windows(ids, starts, num_steps):
    """Cut X and Y character by character."""
    X = [[ids[start + step] for step in range(num_steps)] for start in starts]
    Y = [[ids[start + step + 1] for step in range(num_steps)] for start in starts]
    return X, Y


def naive_random(ids, batch_size, num_steps, order):
    batches = []
    while len(order) >= batch_size:
        batches.append(windows(ids, [i * num_steps for i in order[:batch_size]], num_steps))
        order = order[batch_size:]
    return batches


def naive_consecutive(ids, batch_size, num_steps):
    batches = []
    row_length = len(ids) // batch_size
    start = 0
    while start + num_steps + 1 <= row_length:  # Y needs one more
        batches.append(windows(ids, [row * row_length + start for row in range(batch_size)], num_steps))
        start += num_steps
    return batches


@given(st.data(), cuts())
def test_consecutive_batches_are_those_of_a_plain_loop(data, cut):
    batch_size, num_steps, length = cut
    ids = data.draw(st.lists(st.integers(0, 2**31 - 1), min_size=length, max_size=length))
    assert as_lists(data_iter_consecutive(ids, batch_size, num_steps)) == naive_consecutive(ids, batch_size, num_steps)


@given(st.data(), cuts())
def test_random_batches_are_those_of_a_plain_loop(data, cut):
    batch_size, num_steps, length = cut
    ids = data.draw(st.lists(st.integers(0, 2**31 - 1), min_size=length, max_size=length))
    numpy.random.seed(7)
    order = numpy.random.permutation((length - 1) // num_steps).tolist()
    numpy.random.seed(7)
    assert as_lists(data_iter_random(ids, batch_size, num_steps)) == naive_random(ids, batch_size, num_steps, order)


@given(cuts())
def test_consecutive_batches_continue_each_row_to_its_end(cut):
    batch_size, num_steps, length = cut
    batches = as_lists(data_iter_consecutive(range(length), batch_size, num_steps))
    row_length = length // batch_size
    read = len(batches) * num_steps
    assert row_length - 1 - num_steps < read <= row_length - 1  # the remainder is less than a batch
    for row in range(batch_size):
        positions = [i for X, _ in batches for i in X[row]]
        assert positions == list(range(row * row_length, row * row_length + read))
    for X, Y in batches:
        assert (numpy.array(Y) == numpy.array(X) + 1).all()


@st.composite
def varied_cuts(draw):
    """Return what :func:`cuts` does, with a num_steps that is long enough to vary, or just not."""
    batch_size, num_steps = draw(st.integers(1, 5)), draw(st.integers(1, 25))
    return batch_size, num_steps, batch_size * (num_steps + 1) + draw(st.integers(0, 300))


@given(varied_cuts(), st.integers(0, 2**32 - 1))
def test_varied_batches_continue_each_row_to_its_end(cut, seed):
    batch_size, num_steps, length = cut
    numpy.random.seed(seed)
    batches = as_lists(data_iter_varied(range(length), batch_size, num_steps))
    row_length, spread = length // batch_size, num_steps // 6
    lengths = [len(X[0]) for X, _ in batches]
    assert all(num_steps - spread <= n <= num_steps + spread for n in lengths)
    read = sum(lengths)
    assert row_length - 1 - (num_steps + spread) < read <= row_length - 1  # the remainder is less than a long batch
    for row in range(batch_size):
        positions = [i for X, _ in batches for i in X[row]]
        assert positions == list(range(row * row_length, row * row_length + read))
    for X, Y in batches:
        assert (numpy.array(Y) == numpy.array(X) + 1).all()


def test_all_lengths_of_varied_batches_come_equally_often():
    numpy.random.seed(5)
    lengths = [len(X[0]) for X, _ in as_lists(data_iter_varied(range(42_000), 1, 20))]
    counts = numpy.bincount(lengths)
    assert counts[:17].sum() == 0 and len(counts) == 24  # 20, give or take 3
    assert abs(counts[17:] - 300).max() < 5 * 300**0.5
    assert numpy.mean(lengths) == pytest.approx(20, abs=0.2)
    assert abs(numpy.corrcoef(lengths[1:], lengths[:-1])[0, 1]) < 0.1  # nor does one tell the next


def test_short_windows_do_not_vary():
    assert as_lists(data_iter_varied(range(99), 2, 5)) == as_lists(data_iter_consecutive(range(99), 2, 5))


def test_the_lengths_of_varied_batches_are_the_seeds():
    def lengths(seed):
        numpy.random.seed(seed)
        return [[len(X[0]) for X, _ in as_lists(data_iter_varied(range(2000), 1, 12))] for _ in range(2)]

    first, second = lengths(0)
    assert lengths(0) == [first, second]
    assert first != second  # each epoch has its own
    assert lengths(1)[0] != first


@SAMPLERS
@given(varied_cuts(), st.integers(0, 2**32 - 1))
def test_the_batches_are_as_many_as_they_say(sampler, cut, seed):
    numpy.random.seed(seed)
    batches = sampler(range(cut[2]), cut[0], cut[1])
    said = batches.num_batches
    assert said == len(list(batches)) == batches.num_batches > 0  # they do not count down


@given(cuts())
def test_random_batches_visit_every_window_at_most_once(cut):
    batch_size, num_steps, length = cut
    batches = as_lists(data_iter_random(range(length), batch_size, num_steps))
    starts = [row[0] for X, _ in batches for row in X]
    num_windows = (length - 1) // num_steps
    assert len(starts) == len(set(starts)) == num_windows // batch_size * batch_size
    assert set(starts) <= set(range(0, num_windows * num_steps, num_steps))
    if num_windows % batch_size == 0:
        assert sorted(i for X, _ in batches for row in X for i in row) == list(range(num_windows * num_steps))
    for X, Y in batches:
        assert (numpy.array(Y) == numpy.array(X) + 1).all()
        assert all(row == list(range(row[0], row[0] + num_steps)) for row in X)


def test_the_order_of_random_batches_is_the_seeds():
    def order(seed):
        numpy.random.seed(seed)
        epochs = [data_iter_random(range(601), 10, 3) for _ in range(2)]
        return [[row[0] for X, _ in as_lists(epoch) for row in X] for epoch in epochs]

    first, second = order(0)
    assert order(0) == [first, second]
    assert first != second  # each epoch has its own
    assert order(1)[0] != first
    assert sorted(first) == sorted(second) == list(range(0, 600, 3))


def test_the_books_example():
    batches = as_lists(data_iter_consecutive(range(30), batch_size=2, num_steps=6))
    assert [X for X, _ in batches] == [
        [[0, 1, 2, 3, 4, 5], [15, 16, 17, 18, 19, 20]],
        [[6, 7, 8, 9, 10, 11], [21, 22, 23, 24, 25, 26]],
    ]
    assert len(as_lists(data_iter_random(range(30), batch_size=2, num_steps=6))) == 2


@SAMPLERS
@pytest.mark.parametrize(
    "ids",
    [
        range(30),
        numpy.arange(30),
        numpy.arange(30, dtype="uint8"),
        numpy.arange(60)[::2] // 2,
        mx.np.arange(30),  # float32
        mx.np.arange(30, dtype="int64"),
        mx.nd.arange(30),
    ],
    ids=["range", "numpy", "uint8", "strided", "float32", "int64", "nd"],
)
def test_all_kinds_of_arrays_give_the_same_int32_batches_on_ctx(sampler, ids):
    numpy.random.seed(3)
    expected = as_lists(sampler(list(range(30)), 2, 6))
    numpy.random.seed(3)
    batches = list(sampler(ids, 2, 6, mx.cpu(1)))
    assert as_lists(batches) == expected
    assert {array.dtype for batch in batches for array in batch} == {numpy.dtype("int32")}
    assert {array.ctx for batch in batches for array in batch} == {mx.cpu(1)}


def test_batches_are_copies():
    ids = numpy.arange(30, dtype="int32")
    X, _ = next(data_iter_consecutive(ids, 2, 6))
    X[:] = 99
    assert ids.tolist() == list(range(30))


# What is refused, at the call and not first where a batch is taken


@pytest.mark.parametrize(
    ("sampler", "needed"), [(data_iter_random, 13), (data_iter_consecutive, 15), (data_iter_varied, 15)]
)
def test_a_corpus_too_short_for_a_batch(sampler, needed):
    with pytest.raises(CorpusTooShortError) as caught:
        sampler(range(needed - 1), 3, 4)
    assert str(caught.value) == (
        f"the corpus has {needed - 1} ids; one batch of batch_size 3 x num_steps 4 needs {needed}: "
        "take a longer corpus, or a smaller batch_size or num_steps"
    )
    assert len(list(sampler(range(needed), 3, 4))) == 1
    with pytest.raises(CorpusTooShortError, match="the corpus has 0 ids"):
        sampler([], 3, 4)


def test_a_corpus_of_one_varied_batch_gives_it_whatever_length_is_drawn():
    for seed in range(20):
        numpy.random.seed(seed)
        ((X, Y),) = data_iter_varied(range(3 * 25), 3, 24)
        assert 20 <= X.shape[1] <= 24 and X.shape == Y.shape
    with pytest.raises(CorpusTooShortError, match="the corpus has 74 ids; .* needs 75: "):
        data_iter_varied(range(74), 3, 24)


@SAMPLERS
@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 1, -3] * 10, "corpus_indices has the id -3 at position 2: expected 0 to "),
        ([0, 2**31] * 10, "corpus_indices has the id 2147483648 at position 1: expected 0 to "),
        ([[0, 1]] * 10, r"corpus_indices has shape \(10, 2\): expected one dimension"),
        (numpy.arange(30.0), "corpus_indices has dtype float64: expected whole numbers"),
        (mx.np.arange(30) / 2, "corpus_indices has dtype float32: expected whole numbers"),
        (mx.np.arange(30) + 2**24, "corpus_indices has dtype float32: .*floats round above 2"),
        (mx.np.array([float("nan")] * 30), "corpus_indices has dtype float32: expected whole numbers"),
        (mx.np.arange(30) - 5, "corpus_indices has the id -5 at position 0"),
        ("abc" * 10, "corpus_indices has dtype <U30: expected whole numbers"),
    ],
)
def test_what_are_no_ids(sampler, ids, message):
    with pytest.raises(ValueError, match=message):
        sampler(ids, 2, 3)


@SAMPLERS
@pytest.mark.parametrize("size", [0, -1, 2.0, True, "2", None])
def test_sizes_that_are_not_positive_whole_numbers(sampler, size):
    with pytest.raises(
        ValueError, match=f"^batch_size is {size!r}: expected a whole number, at least 1 and at most 2,147,483,647$"
    ):
        sampler(range(30), size, 3)
    with pytest.raises(
        ValueError, match=f"^num_steps is {size!r}: expected a whole number, at least 1 and at most 2,147,483,647$"
    ):
        sampler(range(30), 2, size)


@SAMPLERS
def test_an_unknown_device(sampler):
    with pytest.raises(ValueError, match="unknown device 'tpu'"):
        sampler(range(30), 2, 3, "tpu")


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float16", "float32", "float64"])
def test_a_batch_of_ids_passes(dtype):
    check_batch(mx.np.array([[0, 1, 2], [3, 4, 9]], dtype=dtype), 10, [mx.np.zeros((1, 2, 5)), mx.np.zeros((2, 5))])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (mx.np.array([[0, 1], [10, 3]]), r"X has the id 10 at position 1, 0: expected 0 to 9"),
        (mx.np.array([[0, 1], [2, -1]]), r"X has the id -1 at position 1, 1: expected 0 to 9"),
        (mx.np.array([[0, 1], [2, 0.5]]), "X has dtype float32: expected whole numbers"),
        (mx.np.array([[0, 1], [2, float("nan")]]), "X has dtype float32: expected whole numbers"),
        (mx.np.array([[0, 1], [2, float("inf")]]), "X has dtype float32: expected whole numbers"),
        (mx.np.array([[0, 2048]], dtype="float16"), "X has dtype float16: expected whole numbers"),
        (mx.np.array([0, 1]), r"X has shape \(2,\): expected \(batch_size, num_steps\)"),
        (mx.np.zeros((1, 2, 3)), r"X has shape \(1, 2, 3\): expected \(batch_size, num_steps\)"),
        (mx.np.zeros((0, 3)), r"X has shape \(0, 3\): expected \(batch_size, num_steps\), neither of them 0"),
    ],
)
def test_a_batch_that_mxnet_would_misread_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        check_batch(X, 10)


def test_a_state_for_another_batch_is_refused():
    X = mx.np.zeros((2, 3), dtype="int32")
    with pytest.raises(ValueError, match="the state is for a batch of 3: are the axes of X swapped"):
        check_batch(X, 10, [mx.np.zeros((3, 5))])
