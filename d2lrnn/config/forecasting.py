"""What a forecaster is to learn of a series."""

from __future__ import annotations

from dataclasses import dataclass

from d2lrnn.config.fields import MAX_STEPS, check_settings, setting
from d2lrnn.errors import D2lrnnError

LOSSES = ("squared", "absolute")


@dataclass(frozen=True)
class ForecastConfig:
    """How a series is forecast; a checkpoint holds it.

    Raises:
        D2lrnnError: for a value that cannot be.
    """

    horizon: int = setting(1, "how many values are forecast at once", most=MAX_STEPS)
    stride: int = setting(1, "how far one window of the training is moved on from another")
    loss: str = setting("squared", "mean squared or mean absolute error, of scaled values", LOSSES)
    difference: bool = setting(False, "learn the differences to the value before")
    logarithm: bool = setting(False, "learn the logarithms, of values above 0")
    season: int | None = setting(None, "steps of the seasonal baseline, none: the best in training", kind=int)
    noise: float = setting(0.0, "of the generated series: the deviation of the noise", most=1e6)

    def __post_init__(self) -> None:
        check_settings(self)
        if self.logarithm and self.noise:
            raise D2lrnnError("noise is of the generated series, whose values below 0 have no logarithm: leave one out")
