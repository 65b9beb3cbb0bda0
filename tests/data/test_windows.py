"""Windows of series: what is learnt, what is held out, and that nothing of the future is known."""

import numpy
import pytest

from d2lrnn import D2lrnnError, set_seed
from d2lrnn.data.scaling import Scaling
from d2lrnn.data.series import Series, generated_series
from d2lrnn.data.windows import GeneratedSeries, RecordedSeries, data_iter_series, inputs_and_targets, windows_of

PLAIN = Scaling((0.0,), (1.0,))


def recorded(values, held_out=0.2):
    """Return a series of one column, or of as many as ``values`` has."""
    values = numpy.asarray(values, dtype="float64")
    values = values[:, None] if values.ndim == 1 else values
    names = ("x", "y")[: values.shape[1]]
    return RecordedSeries(Series("made.csv", names, values, tuple(range(2, len(values) + 2))), held_out)


@pytest.mark.parametrize(("logarithm", "difference"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_values_come_back_from_the_scale(logarithm, difference):
    values = numpy.random.default_rng(1).uniform(1, 5, (3, 20, 2))
    scaling = Scaling.fit(values, ["x", "y"], bool(logarithm), bool(difference))
    scaled = scaling.apply(values)
    assert numpy.abs(scaled.mean(axis=(0, 1))).max() < 1e-12 and numpy.allclose(scaled.std(axis=(0, 1)), 1)
    later = scaled[:, 10 - scaling.lost :]  # of the values from the tenth on
    assert numpy.allclose(scaling.undo(later, values[:, 9]), values[:, 10:], rtol=1e-12)


def test_a_scale_by_hand():
    scaling = Scaling.fit(numpy.array([[1.0], [4.0], [2.0]]), ["x"], difference=True)  # differences 3 and -2
    assert (scaling.mean, scaling.std) == ((0.5,), (2.5,))
    assert scaling.apply(numpy.array([[1.0], [4.0], [2.0]])).tolist() == [[1.0], [-1.0]]
    assert scaling.undo(numpy.array([[1.0], [1.0]]), numpy.array([10.0])).tolist() == [[13.0], [16.0]]


@pytest.mark.parametrize(("difference", "values"), [(False, [3, 3, 3]), (True, [1, 2, 3]), (False, [0, 0])])
def test_a_column_that_never_changes(difference, values):
    what = "the differences of the column 'close' never change" if difference else "the column 'close' never changes"
    with pytest.raises(D2lrnnError, match=f"{what} in the training"):
        Scaling.fit(numpy.array(values, dtype="float64")[:, None], ["close"], difference=difference)


def test_inputs_and_targets_by_hand():
    X, Y = inputs_and_targets(numpy.arange(1, 6)[None, :, None], 3)
    assert X[0, :, 0].tolist() == [1, 2, 3] and Y[0].tolist() == [[2, 3], [3, 4], [4, 5]]
    both = numpy.stack([numpy.arange(1, 6), numpy.arange(10, 60, 10)], axis=1)[None]
    X, Y = inputs_and_targets(both, 3)
    assert Y[0].tolist() == [[2, 20, 3, 30], [3, 30, 4, 40], [4, 40, 5, 50]]


def test_the_parts_follow_one_another_and_what_is_forecast_is_in_one_alone():
    source = recorded(numpy.arange(50))  # 30 for training, 10 for validation, 10 for the test
    for horizon in (1, 3):
        parts = {split: windows_of(source, split, 4, horizon, PLAIN) for split in ("train", "valid", "test")}
        for split, (first, last) in {"train": (4, 29), "valid": (30, 39), "test": (40, 49)}.items():
            windows = parts[split]
            assert windows.Y.min() == first and windows.Y.max() == last
            assert (windows.X[:, -1] + 1 == windows.Y[:, 0]).all() and windows.X.shape[1:] == (4, 1)
            assert len(windows.X) == last - first + 2 - horizon
            assert (windows.values == windows.scaled).all()


def test_what_is_read_before_differences():
    source = recorded(numpy.arange(50) ** 2)
    scaling = Scaling((0.0,), (1.0,), difference=True)
    windows = windows_of(source, "test", 4, 2, scaling)
    assert windows.Y[0, :, 0].tolist() == [1600, 1681] and windows.X[0, :, 0].tolist() == [1296, 1369, 1444, 1521]
    assert windows.scaled[0, :, 0].tolist() == [71, 73, 75, 77, 79, 81]  # the differences to the value before each


@pytest.mark.parametrize("difference", [False, True])
def test_nothing_of_the_future_is_known(difference):
    """Whatever comes after the training changes neither its scale nor its batches."""
    draw = numpy.random.default_rng(2)
    values = draw.normal(size=60)
    changed = numpy.concatenate([values[:36], 1e6 * draw.normal(size=24)])
    seen = []
    for each in (values, changed):
        source = recorded(each)
        scaling = Scaling.fit(source.training_values(8), ["x"], difference=difference)
        set_seed(5)
        batches = [[a.asnumpy() for a in batch] for batch in data_iter_series(source, scaling, (4, 6, 2))]
        seen.append((scaling, numpy.array([X for X, _ in batches]), numpy.array([Y for _, Y in batches])))
    (scaling, X, Y), (other_scaling, other_X, other_Y) = seen
    assert scaling == other_scaling
    assert (X == other_X).all() and (Y == other_Y).all()
    assert len(X) == (36 - int(difference) - 8 + 1) // 4


def test_windows_in_order_and_at_random():
    source = recorded(numpy.arange(50))
    in_order = data_iter_series(source, PLAIN, (3, 4, 1), in_order=True)
    assert in_order.num_batches == 26 // 3
    begins = [X[:, 0, 0].tolist() for X, _ in in_order]
    assert begins[:2] == [[0, 1, 2], [3, 4, 5]] and len(begins) == 8
    apart = [X[:, 0, 0].tolist() for X, _ in data_iter_series(source, PLAIN, (3, 4, 1), stride=4, in_order=True)]
    assert apart == [[0, 4, 8], [12, 16, 20]]
    drawn = numpy.concatenate([X[:, 0, 0].asnumpy() for X, _ in data_iter_series(source, PLAIN, (2, 4, 1))])
    assert sorted(drawn) == list(range(26)) and list(drawn) != sorted(drawn)
    for X, Y in data_iter_series(source, PLAIN, (2, 4, 1)):
        assert ((X + 1) == Y).all() and X.dtype == numpy.float32


def test_the_windows_of_the_generated_series():
    source = GeneratedSeries(0.0, windows_per_epoch=6)
    scaling = Scaling.fit(source.training_values(8), source.columns)
    set_seed(1)
    batches = list(data_iter_series(source, PLAIN, (3, 5, 2)))
    places = numpy.random.RandomState(1)
    places.seed(1)
    X, Y = (array.asnumpy() for array in batches[0])
    assert len(batches) == 2 and X.shape == (3, 5, 1) and Y.shape == (3, 5, 2)
    begins = numpy.random.RandomState(1).uniform(0, 30 - 0.6, 6)[:3]
    assert numpy.allclose(X[:, :, 0], generated_series(begins[:, None] + 0.1 * numpy.arange(5)), atol=1e-6)
    assert numpy.allclose(Y[:, -1], generated_series(begins[:, None] + 0.1 * numpy.arange(5, 7)), atol=1e-6)
    set_seed(1)
    again = next(iter(data_iter_series(source, PLAIN, (3, 5, 2), in_order=True)))[0].asnumpy()
    assert numpy.allclose(again[0, 0, 0], generated_series(numpy.random.RandomState(1).uniform(0, 29.4, 6).min()))
    valid, test = (windows_of(source, split, 5, 2, scaling).values for split in ("valid", "test"))
    assert (valid[0] != test[0]).all() and (valid == windows_of(source, "valid", 5, 2, scaling).values).all()


def test_the_noise_of_the_generated_series():
    noisy, plain = (GeneratedSeries(noise).part("test", 50, 1) for noise in (0.5, 0.0))
    assert numpy.abs(noisy - plain).max() > 1 and (noisy - plain).std() == pytest.approx(0.5, rel=0.01)


def test_what_is_cut_out():
    source = recorded(numpy.arange(50))
    for where, first, known in (("begin", 0, 5), ("test", 36, 5), ("end", 46, 0)):
        window, after = source.cut(where, 4, 5)
        assert window[:, 0].tolist() == list(range(first, first + 4))
        assert after[:, 0].tolist() == list(range(first + 4, first + 4 + known))
    window, after = GeneratedSeries().cut("test", 20, 3)
    assert numpy.allclose(window[:, 0], generated_series(12.2 + 0.1 * numpy.arange(20)))
    assert numpy.allclose(after[:, 0], generated_series(14.2 + 0.1 * numpy.arange(3)))
    assert len(GeneratedSeries().cut("end", 20, 3)[1]) == 0


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: recorded(numpy.arange(9), 0.5), "held_out is 0.5: expected a share above 0 and at most 0.4"),
        (lambda: recorded(numpy.arange(9), 0), "held_out is 0: expected"),
        (
            lambda: recorded(numpy.arange(9)).check(4, 2, PLAIN),
            "made.csv has 9 rows of values, 5 of them for training and 2 each for validation and test: with num_steps "
            "4 and horizon 2, 6 are needed",
        ),
        (lambda: recorded(numpy.arange(50)).check(4, 11, PLAIN), "and 11 each for the others; take a longer series"),
        (
            lambda: recorded([[1, 2], [3, 4], [5, 0]] * 9).check(2, 1, Scaling((0.0,) * 2, (1.0,) * 2, logarithm=True)),
            "made.csv, row 4, column 'y': 0 has no logarithm: expected numbers above 0, or leave --logarithm out",
        ),
        (
            lambda: data_iter_series(recorded(numpy.arange(50)), PLAIN, (32, 4, 1)),
            "made.csv has 26 windows for training, 1 apart, and a batch has 32: take a longer series, or a smaller",
        ),
        (lambda: data_iter_series(GeneratedSeries(), PLAIN, (8, 300, 1)), "the generated series has 300 values, and"),
        (lambda: data_iter_series(GeneratedSeries(), PLAIN, (8, 30, 1), stride=0), "stride is 0"),
        (lambda: recorded(numpy.arange(3)).cut("end", 4, 0), "made.csv has 3 rows of values: expected at least 4"),
    ],
)
def test_series_that_are_too_short_and_so_on(call, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        call()
