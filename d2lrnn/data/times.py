"""The times of a series: whether they are evenly apart, and how they go on."""

from __future__ import annotations

import calendar
import datetime
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

# What datetime.fromisoformat of Python 3.9 reads.  From Python 3.11 on it reads 20240531T1800 and 2024-W22-5 too, which
# :func:`_written_as` could not write again.
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(.\d\d(:\d\d(:\d\d(\.\d{3}(\d{3})?)?)?)?([+-]\d\d:\d\d(:\d\d(\.\d{6})?)?)?)?", re.ASCII
)


def times_after(times: Sequence[str], count: int) -> list[str] | None:
    """Return the times that follow the last of a series, written as it is.

    For example, after ``["2024-01-31", "2024-02-29", "2024-03-31"]`` come ``2024-04-30`` and ``2024-05-31``.

    Args:
        times: at least two numbers or dates as :func:`d2lrnn.data.series.read_series` reads them, the earliest first.
        count: how many times to return.

    Returns:
        the times; None if those of the series are not evenly apart: by the same number, the same time, or the same
        number of months; or if a calendar does not reach so far.
    """
    if len(times) < 2:
        return None
    try:
        numbers = [Decimal(text) for text in times]
    except InvalidOperation:
        return _dates_after(times, count)
    step = numbers[1] - numbers[0]
    if any(after - before != step for before, after in zip(numbers, numbers[1:])):
        return None
    return [format(numbers[-1] + k * step, "f") for k in range(1, count + 1)]


def _dates_after(times: Sequence[str], count: int) -> list[str] | None:
    dates = [as_date(text) for text in times]
    step = _months_apart(dates) or _time_apart(dates)
    if step is None:
        return None
    try:
        return [_written_as(times[-1], step(k)) for k in range(1, count + 1)]
    except (OverflowError, ValueError):  # after the year 9999
        return None


def as_date(text: str) -> datetime.datetime:
    """Return the date that a text in ISO 8601 names, with hyphens and colons; ``Z`` at its end is UTC.

    Raises:
        ValueError: if it names none.
    """
    date = text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text
    if not _DATE.fullmatch(date):
        raise ValueError(f"{text!r} is no date")
    return datetime.datetime.fromisoformat(date)


def _time_apart(dates: Sequence[datetime.datetime]) -> Callable[[int], Any] | None:
    """Return a function from k to the k-th date that follows; None if the dates are not the same time apart."""
    step = dates[1] - dates[0]
    if any(after - before != step for before, after in zip(dates, dates[1:])):
        return None
    return lambda k: dates[-1] + k * step


def _months_apart(dates: Sequence[datetime.datetime]) -> Callable[[int], Any] | None:
    """Return a function as :func:`_time_apart` does; None if the dates are not the same number of months apart.

    They are if all have the same day of the month, or all are the last day of theirs.
    """
    months = [12 * date.year + date.month - 1 for date in dates]
    step, ends = months[1] - months[0], all(date.day == _days_of(date.year, date.month) for date in dates)
    is_even = step > 0 and all(after - before == step for before, after in zip(months, months[1:]))
    same_day = ends or len({date.day for date in dates}) == 1
    if not is_even or not same_day or len({date.timetz() for date in dates}) > 1:
        return None

    def following(k: int) -> datetime.datetime:
        year, month = divmod(months[-1] + k * step, 12)
        last_day = _days_of(year, month + 1)
        return dates[-1].replace(year=year, month=month + 1, day=last_day if ends else min(dates[-1].day, last_day))

    return following


def _days_of(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _written_as(text: str, date: datetime.datetime) -> str:
    """Return a date in the form of a text: without a time, or with as many parts of the time."""
    time = text[11:].rstrip("Zz").replace("-", "+").partition("+")[0]
    if not time:
        return date.date().isoformat()
    fraction = len(time.partition(".")[2])
    parts = ("hours", "minutes", "seconds")[min(time.count(":"), 2)]
    timespec = "milliseconds" if fraction == 3 else "microseconds" if fraction else parts
    found = date.isoformat(sep=text[10], timespec=timespec)
    return found.removesuffix("+00:00") + text[-1] if text[-1] in "Zz" else found
