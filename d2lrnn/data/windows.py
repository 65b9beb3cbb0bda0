"""From series to windows for training, validation and test, and to batches.

A window holds ``num_steps`` values that a model reads, and the ``horizon`` values after them.  The targets of a step
are the next ``horizon`` values after this step: the window moved on by one, by two and so on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Union

import numpy

from d2lrnn._runtime import mx
from d2lrnn.checks import check_numbers, check_whole, shown
from d2lrnn.data.batches import Batches
from d2lrnn.data.scaling import Scaling
from d2lrnn.data.series import RESOLUTION, T_MAX, Series, SeriesError, generated_series
from d2lrnn.data.times import times_after
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError

SPLITS = ("train", "valid", "test")

# Of a split, so many windows and so many numbers are measured at most: of more windows, as many at equal distances.
MOST_WINDOWS, MOST_NUMBERS = {"train": 20_000, "valid": 4_000, "test": 4_000}, 20_000_000


@dataclass(frozen=True)
class Windows:
    """Windows whose continuation is known."""

    values: numpy.ndarray  # (count, num_steps + horizon, num_columns) in the unit of the series
    scaled: numpy.ndarray  # the same as a model reads them, float32
    num_steps: int

    @property
    def X(self) -> numpy.ndarray:
        """The values that are read, (count, num_steps, num_columns)."""
        return self.values[:, : self.num_steps]

    @property
    def Y(self) -> numpy.ndarray:
        """The values to be forecast, (count, horizon, num_columns)."""
        return self.values[:, self.num_steps :]

    @classmethod
    def of(cls, raw: numpy.ndarray, num_steps: int, scaling: Scaling) -> Windows:
        """Return the windows of values (count, lost + num_steps + horizon, num_columns)."""
        return cls(raw[:, scaling.lost :], scaling.apply(raw).astype(numpy.float32), num_steps)


def inputs_and_targets(scaled: numpy.ndarray, num_steps: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return what a model reads, and what it is to answer at each step.

    For example, of a window 1 2 3 4 5 with ``num_steps`` 3 the inputs are 1 2 3, and the targets 2 3, 3 4 and 4 5.

    Args:
        scaled: windows (count, num_steps + horizon, num_columns).
        num_steps: how many values are read.

    Returns:
        the inputs (count, num_steps, num_columns) and the targets (count, num_steps, horizon * num_columns), of which
        the next values of all columns come first.
    """
    horizon = scaled.shape[1] - num_steps
    targets = [scaled[:, k : k + num_steps] for k in range(1, horizon + 1)]
    return scaled[:, :num_steps], numpy.concatenate(targets, axis=2)


def _most(split: str, size: int) -> int:
    """Return how many windows of a split are measured at most, each of ``size`` numbers."""
    return max(min(MOST_WINDOWS[split], MOST_NUMBERS // size), 1)


class GeneratedSeries:
    """Windows of :func:`d2lrnn.data.series.generated_series` at random places, with noise, as many as are asked for.

    Without noise each value is an exact linear function of the six before it, and a linear autoregression makes no
    error.  With noise there is something to learn.

    Args:
        noise: the standard deviation of the normal noise that is added to each value.
        windows_per_epoch: how many windows are drawn anew for each epoch.
    """

    name, columns, max_steps = "wave", ("value",), round(T_MAX / RESOLUTION)

    def __init__(self, noise: float = 0.0, windows_per_epoch: int = 5000) -> None:
        self.noise, self.windows_per_epoch = noise, windows_per_epoch

    def training_values(self, length: int) -> numpy.ndarray:
        """Return windows (count, length, 1) to find the scale by, always the same."""
        return self.part("train", length, 1)

    def part(self, split: str, length: int, horizon: int) -> numpy.ndarray:
        """Return windows (count, length, 1) of a split, always the same; each split has places and noise of its own."""
        draw = numpy.random.RandomState(1 + SPLITS.index(split))
        return self._at(self._places(_most(split, length), length, draw), length, draw)

    def epoch(self, length: int, stride: int, in_order: bool) -> tuple[int, Callable]:
        """Return how many windows an epoch has, and a function from a slice of them to their values.

        They come from NumPy's global generator; with ``in_order`` they go from left to right.
        """
        places = self._places(self.windows_per_epoch, length, numpy.random)
        places = numpy.sort(places) if in_order else places
        return len(places), lambda some: self._at(places[some], length, numpy.random)

    def cut(self, where: str, length: int, after: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Return the values (length, 1) at a place, and those after them, at most ``after``, as far as they are known.

        Args:
            where: ``"end"``, after which nothing is known; ``"begin"``; or ``"test"``, t = 12.2 as in the book.
            length: of the first part.
            after: of the second part.
        """
        self._check(length)
        begin = {"begin": 0.0, "test": 12.2, "end": T_MAX - (length - 1) * RESOLUTION}[where]
        known = max(round((T_MAX - begin) / RESOLUTION) + 1 - length, 0)
        whole = self._at(numpy.array([begin]), length + min(after, known), numpy.random.RandomState(9))[0]
        return whole[:length], whole[length:]

    def _places(self, count: int, length: int, draw) -> numpy.ndarray:
        self._check(length)
        return draw.uniform(0, T_MAX - (length - 1) * RESOLUTION, count)

    def _at(self, places: numpy.ndarray, length: int, draw) -> numpy.ndarray:
        values = generated_series(places[:, None] + RESOLUTION * numpy.arange(length))
        return (values + self.noise * draw.normal(size=values.shape))[:, :, None]

    def _check(self, length: int) -> None:
        if length > self.max_steps:
            raise SeriesError(
                f"the generated series has {self.max_steps} values, and windows of {length} are asked for: make "
                "num_steps or the horizon smaller"
            )


class RecordedSeries:
    """Windows of a series that was read from a file: the first part for training, the next for validation and test.

    A window belongs to the part that the values to be forecast are in.  What is read may come before that part.

    Args:
        series: the values.
        held_out: the share of the values that is held out for the test, and as much for validation.

    Raises:
        D2lrnnError: for another share than one above 0 and at most 0.4.
    """

    def __init__(self, series: Series, held_out: float = 0.1) -> None:
        if not 0 < held_out <= 0.4:
            raise D2lrnnError(f"held_out is {shown(held_out)}: expected a share above 0 and at most 0.4")
        self.series, self.name, self.columns = series, series.name, series.columns
        length = len(series.values)
        held = math.ceil(held_out * length)
        train = max(length - 2 * held, 0)
        self._bounds = {"train": (0, train), "valid": (train, length - held), "test": (length - held, length)}

    def check(self, num_steps: int, horizon: int, scaling: Scaling) -> None:
        """Refuse a series that is too short for a window in each part, or whose values have no logarithm.

        Raises:
            SeriesError: with the rows that there are and that are needed, or the row of the value.
        """
        (_, train), (begin, end) = self._bounds["train"], self._bounds["test"]
        needed = scaling.lost + num_steps + horizon
        if train < needed or end - begin < horizon:
            raise SeriesError(
                f"{self.name} has {end} rows of values, {train} of them for training and {end - begin} each for "
                f"validation and test: with num_steps {num_steps} and horizon {horizon}, {needed} are needed for "
                f"training and {horizon} each for the others; take a longer series, or fewer steps"
            )
        rows, columns = numpy.nonzero(self.series.values <= 0)
        if scaling.logarithm and len(rows):
            number = self.series.rows[rows[0]] if self.series.rows else int(rows[0]) + 1
            value, name = self.series.values[rows[0], columns[0]], self.columns[columns[0]]
            raise SeriesError(
                f"{self.name}, row {number}, column {shown(name)}: {value:g} has no logarithm: expected numbers above "
                "0, or leave --logarithm out"
            )

    def training_values(self, length: int) -> numpy.ndarray:
        """Return the values of the training (num_training, num_columns), whatever the ``length`` of windows."""
        return self.series.values[: self._bounds["train"][1]]

    def part(self, split: str, length: int, horizon: int) -> numpy.ndarray:
        """Return windows (count, length, num_columns) whose last ``horizon`` values are in a split."""
        begin, end = self._bounds[split]
        starts = numpy.arange(max(begin + horizon - length, 0), end - length + 1)
        most = _most(split, length * len(self.columns))
        if len(starts) > most:
            starts = starts[numpy.linspace(0, len(starts) - 1, most).round().astype(int)]
        return self._at(starts, length)

    def epoch(self, length: int, stride: int, in_order: bool) -> tuple[int, Callable]:
        """Return how many windows an epoch has, and a function from a slice of them to their values.

        They begin ``stride`` values apart, and come in order or in a random one.
        """
        starts = numpy.arange(0, self._bounds["train"][1] - length + 1, stride)
        starts = starts if in_order else numpy.random.permutation(starts)
        return len(starts), lambda some: self._at(starts[some], length)

    def cut(self, where: str, length: int, after: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Return the values (length, num_columns) at a place, and those after them, at most ``after``, as far as known.

        Args:
            where: ``"end"``, after which nothing is known; ``"begin"``; or ``"test"``, just before the test begins.
            length: of the first part.
            after: of the second part.
        """
        values = self.series.values
        if len(values) < length:
            raise SeriesError(f"{self.name} has {len(values)} rows of values: expected at least {length}")
        end = self._end_of_cut(where, length)
        return values[end - length : end], values[end : end + after]

    def times_after_cut(self, where: str, length: int, count: int) -> list[str] | None:
        """Return the times of ``count`` rows after the first part of :meth:`cut`; arguments are those of this method.

        None: the series has no times, or some are not known, since the others are not evenly apart.
        """
        times, end = self.series.times, self._end_of_cut(where, length)
        needed = max(end + count - len(times), 0)
        following = times_after(times, needed) if needed else []
        return None if following is None else [*times[end : end + count], *following]

    def _end_of_cut(self, where: str, length: int) -> int:
        """Return how many rows there are up to the end of the first part of :meth:`cut`."""
        ends = {"begin": length, "test": max(self._bounds["test"][0], length), "end": len(self.series.values)}
        return ends[where]

    def _at(self, starts: numpy.ndarray, length: int) -> numpy.ndarray:
        return self.series.values[starts[:, None] + numpy.arange(length)]


SeriesSource = Union[GeneratedSeries, RecordedSeries]


def windows_of(source: SeriesSource, split: str, num_steps: int, horizon: int, scaling: Scaling) -> Windows:
    """Return the windows of a split, always the same."""
    return Windows.of(source.part(split, scaling.lost + num_steps + horizon, horizon), num_steps, scaling)


def data_iter_series(
    source: SeriesSource,
    scaling: Scaling,
    shape: tuple[int, int, int],
    stride: int = 1,
    in_order: bool = False,
    ctx: ContextLike = None,
) -> Batches:
    """Yield minibatches ``X, Y`` of a series' training, as :func:`inputs_and_targets` cuts them, in float32.

    Windows at the end of the epoch that do not fill a batch are left out.

    Args:
        source: the series.
        scaling: how its values become numbers.
        shape: batch_size, num_steps and horizon.
        stride: how far one window is moved on from another.
        in_order: whether windows come in order; else in a random one, from NumPy's global generator.
        ctx: the device of the batches.

    Raises:
        SeriesError: if there are fewer windows than rows of a batch.
    """
    batch_size, num_steps, horizon = (
        check_whole(name, size) for name, size in zip(("batch_size", "num_steps", "horizon"), shape)
    )
    check_whole("stride", stride)
    count, values_of = source.epoch(scaling.lost + num_steps + horizon, stride, in_order)
    if count < batch_size:
        raise SeriesError(
            f"{source.name} has {count} windows for training, {stride} apart, and a batch has {batch_size}: take a "
            "longer series, or a smaller batch_size, num_steps or stride"
        )
    check_numbers(
        f"a batch of {batch_size} windows of {num_steps} steps",
        batch_size * num_steps * horizon * len(source.columns),
        "make batch_size, num_steps or the horizon smaller",
    )
    ctx = as_ctx(ctx)

    def batches() -> Iterator:
        for begin in range(0, count - batch_size + 1, batch_size):
            scaled = scaling.apply(values_of(slice(begin, begin + batch_size)))
            yield tuple(to_numbers(array, ctx) for array in inputs_and_targets(scaled, num_steps))

    return Batches(batches(), count // batch_size)


def to_numbers(array: numpy.ndarray, ctx: mx.Context) -> mx.np.ndarray:
    """Return numbers as a float32 array on a device."""
    return mx.np.array(array, dtype=numpy.float32, ctx=ctx)
