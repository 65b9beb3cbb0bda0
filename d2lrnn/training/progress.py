"""What a training run says while it goes on: a bar in a terminal or a notebook, lines in a log file."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

from d2lrnn._launch import in_notebook
from d2lrnn.config.training import TrainConfig
from d2lrnn.training.history import History, Position
from d2lrnn.training.objective import Objective, format_measure
from d2lrnn.visible import visible

LINE_PERIOD = 60.0  # seconds between the lines of a log file within an epoch


def say(config: TrainConfig, line: str) -> None:
    """Print a line as it can be shown (:func:`d2lrnn.visible.visible`), without disturbing the bar.

    Where there is no standard output, as in a daemon, nothing is printed.
    """
    if config.verbose and sys.stdout is not None:
        from tqdm.auto import tqdm  # not above, where every import of d2lrnn would wait for it

        tqdm.write(visible(line))


class ProgressBar:
    """tqdm's bar over the epochs, for a terminal or a notebook; a log file gets a line a minute instead.

    Args:
        config: of the training; without ``verbose`` nothing is shown.
        objective: of the training; its measure is shown.
        period: seconds between the lines of a log file within an epoch.
    """

    def __init__(self, config: TrainConfig, objective: Objective, period: float = LINE_PERIOD) -> None:
        from tqdm.auto import tqdm

        # A daemon, or a program without a console, has no standard error.
        in_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._config, self._objective, self._has_bar = config, objective, in_terminal or in_notebook()
        self._period = 1 if self._has_bar else period
        self._bar: Any = tqdm(
            total=config.num_epochs,
            unit="epoch",
            leave=False,
            # Where there may be a bar, the environment variable TQDM_DISABLE decides.
            **({} if config.verbose and self._has_bar else {"disable": True}),
            bar_format="{percentage:3.0f}%|{bar}| {desc}",
        )
        self._start: tuple[float, float] | None = None  # the time of the first call of show(), and the epochs done then
        self._shown = time.perf_counter()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    def show(self, history: History, position: Position, num_batches: int) -> None:
        """Show where a training stands; ``num_batches`` is the number of batches in an epoch, 0 if unknown."""
        now = time.perf_counter()
        done = position.epoch - 1 + (position.batch / num_batches if num_batches else 0)
        self._start = self._start or (now, done)
        if now - self._shown < self._period:
            return
        self._shown = now
        speed = (now - self._start[0]) / (done - self._start[1]) if done > self._start[1] else math.nan
        line = f"epoch {position.epoch}" + (f", {position.batch / num_batches:.0%}" if num_batches else "")
        name, unit = self._objective.measure, self._objective.unit
        found = self._objective.value(position.loss_sum, position.score_sum, position.count)
        line += f": {name} {format_measure(name, found)}"
        if history.valid:
            line += f", in validation {format_measure(name, history.valid[-1])}"
        line += f", {position.count / position.seconds:,.0f} {unit}/s"
        if speed > 0:
            line += f", {_duration(speed * (self._config.num_epochs - done))} left"
        if self._has_bar:
            self._bar.n = round(done, 3)
            self._bar.set_description_str(line)
        else:
            say(self._config, line)


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
