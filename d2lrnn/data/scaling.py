"""From the values of a series to numbers that a model learns well, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from d2lrnn.checks import shown
from d2lrnn.errors import D2lrnnError


@dataclass(frozen=True)
class Scaling:
    """How values become numbers that a model learns well, and back: logarithms, differences, mean 0 and deviation 1.

    Mean and deviation are those of the training (:meth:`fit`), so that nothing is known of what comes later.
    """

    mean: tuple[float, ...]  # of each column, after logarithms and differences
    std: tuple[float, ...]
    logarithm: bool = False  # of the values
    difference: bool = False  # to the value before, after the logarithm

    @classmethod
    def fit(
        cls, values: numpy.ndarray, names: Sequence[str], logarithm: bool = False, difference: bool = False
    ) -> Scaling:
        """Return the scaling of a training.

        Args:
            values: of the training alone, (..., length, num_columns).
            names: of the columns, for errors.
            logarithm: whether to take logarithms.
            difference: whether to take differences.

        Raises:
            D2lrnnError: for a column that never changes, or whose differences never change.
        """
        raw = cls((0.0,) * len(names), (1.0,) * len(names), logarithm, difference).apply(values)
        flat = raw.reshape(-1, raw.shape[-1])
        mean, std = flat.mean(axis=0), flat.std(axis=0)
        for name, middle, spread in zip(names, mean, std):
            if not spread > 1e-12 * max(abs(middle), 1e-200):
                column = f"the column {shown(name)}"
                what = f"the differences of {column} never change" if difference else f"{column} never changes"
                raise D2lrnnError(f"{what} in the training: there is nothing to learn")
        return cls(tuple(map(float, mean)), tuple(map(float, std)), logarithm, difference)

    @property
    def lost(self) -> int:
        """How many values at the beginning have no scaled number: 1 where differences are taken."""
        return int(self.difference)

    def apply(self, values: numpy.ndarray) -> numpy.ndarray:
        """Return the scaled numbers of values (..., length, num_columns); :attr:`lost` fewer than there are values."""
        found = numpy.log(values) if self.logarithm else numpy.asarray(values, dtype=numpy.float64)
        found = numpy.diff(found, axis=-2) if self.difference else found
        return (found - self.mean) / self.std

    def undo(self, scaled: numpy.ndarray, last: numpy.ndarray) -> numpy.ndarray:
        """Return the values of scaled numbers (..., length, num_columns) that follow a value ``last``.

        ``last`` (..., num_columns) counts only where differences are taken.
        """
        found = numpy.asarray(scaled, dtype=numpy.float64) * self.std + self.mean
        if self.difference:
            last = numpy.log(last) if self.logarithm else numpy.asarray(last, dtype=numpy.float64)
            found = last[..., None, :] + numpy.cumsum(found, axis=-2)
        return numpy.exp(found) if self.logarithm else found
