"""Series of numbers over time: one that a formula gives, and those in the columns of a CSV file."""

from __future__ import annotations

import datetime
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from d2lrnn.checks import shown
from d2lrnn.data.tables import Table, TableError
from d2lrnn.data.texts import Readable
from d2lrnn.data.times import as_date
from d2lrnn.errors import D2lrnnError

MISSING = ("", "na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "#n/a")  # cells that hold no value

LARGEST = 1e30  # of a value: the square of its scaled neighbours is still a number of float32

T_MAX, RESOLUTION = 30.0, 0.1  # where the generated series ends, and the time between two of its values


class SeriesError(TableError):
    """A file holds no series that can be learnt; the message names the row, of which the first is the header's."""


@dataclass(frozen=True)
class Series:
    """Values of one or several columns, a row for each time."""

    name: str
    columns: tuple[str, ...]
    values: numpy.ndarray  # float64 (length, num_columns)
    rows: tuple[int, ...] = ()  # the number of each row in its file; (): there is no file
    times: tuple[str, ...] = ()  # of each row, as the file has it; (): no column of times was named

    def digest(self) -> str:
        """Return the SHA-256 of columns and values, by which a run tells its series from another."""
        names = "\n".join(self.columns).encode()
        return hashlib.sha256(names + b"\0" + numpy.ascontiguousarray(self.values, dtype="<f8").tobytes()).hexdigest()


def generated_series(t):
    """Return ``t sin(t) / 3 + 2 sin(5 t)``, the series of Géron (2017), chapter 14, at the times ``t``."""
    return t * numpy.sin(t) / 3 + 2 * numpy.sin(5 * t)


def read_series(source: Readable, columns: Sequence[str], time_column: str | None = None) -> Series:
    """Read columns of a CSV file in UTF-8, whose first row names its columns and whose cells have commas between.

    Blank rows are left out.  Rows are counted as a spreadsheet counts them: the header is row 1.

    Args:
        source: the file, or a stream of bytes.
        columns: the columns to read, by name.
        time_column: the column with the times, numbers or dates as 2024-05-31 or 2024-05-31 18:00, each later than the
            one before; None: the rows are in order, at equal distances.

    Raises:
        TableError: for a file that is no such table, with the row's number where one row is wrong; SeriesError: for
            cells that are no values or no times.
        CorpusError: for a file that cannot be read, or is no UTF-8 text.
    """
    table = Table(source)
    what, names = table.what, _checked_names(columns, time_column)
    if all(_is_number(cell) for cell in table.header):
        raise SeriesError(f"{what}, row 1 holds numbers: expected the names of the columns in it")
    places = [table.place(name) for name in names]
    time_place = None if time_column is None else table.place(time_column)
    values, numbers, last = [], [], None
    times: list[str] = []
    for number, cells in table.rows():
        if time_place is not None:
            last = _Time.read(cells[time_place], f"{what}, row {number}, column {shown(time_column)}", number, last)
            times.append(last.text)
        values.append(
            [_number(cells[i], f"{what}, row {number}, column {shown(name)}") for i, name in zip(places, names)]
        )
        numbers.append(number)
    if not values:
        raise SeriesError(f"{what} has a header and no other row: expected values")
    return Series(table.name, tuple(names), numpy.array(values), tuple(numbers), tuple(times))


def _checked_names(columns: Sequence[str], time_column: str | None) -> list[str]:
    names = [columns] if isinstance(columns, str) else [*columns]
    if not names:
        raise D2lrnnError("no column is named: expected the columns to learn, --column NAME")
    for i, name in enumerate(names):
        if name in names[:i]:
            raise D2lrnnError(f"the column {shown(name)} is named twice: expected each once")
    if time_column in names:
        raise D2lrnnError(f"the column {shown(time_column)} is to hold times and values: expected two columns")
    return names


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, where: str) -> float:
    """Return the value of a cell."""
    text = cell.strip()
    if text.lower() in MISSING:
        found = f" ({shown(text)})" if text else ""
        raise SeriesError(f"{where}: the value is missing{found}; fill it in, or leave such rows out of the file")
    try:
        value = float(text)
        if "_" in text:  # which Python reads as 1_000
            raise ValueError
    except ValueError:
        advice = "; write numbers with a point and without signs of thousands, percent or currency"
        is_marked = any(sign in text for sign in ",%$€£¥' _") and any(c.isdigit() for c in text)
        raise SeriesError(f"{where}: {shown(text)} is no number{advice if is_marked else ''}") from None
    if not abs(value) <= LARGEST:
        raise SeriesError(f"{where}: {shown(text)}: expected a number between -{LARGEST:g} and {LARGEST:g}")
    return value


@dataclass(frozen=True)
class _Time:
    """A time in a file: a number, or a date."""

    text: str
    value: float | datetime.datetime
    row: int

    @classmethod
    def read(cls, cell: str, where: str, row: int, before: _Time | None) -> _Time:
        """Read a time, and refuse one that does not come after the one before."""
        text = cell.strip()
        if text.lower() in MISSING:
            raise SeriesError(f"{where}: the time is missing")
        time = cls(text, _number_or_date(text, where), row)
        if before is None:
            return time
        try:
            is_later, is_equal = time.value > before.value, time.value == before.value  # type: ignore[operator]
        except TypeError:  # a number and a date, or one of two dates has a time zone
            raise SeriesError(
                f"{where}: {shown(text)} cannot be compared with {shown(before.text)} in row {before.row}: expected "
                "times of one kind"
            ) from None
        if is_equal:
            raise SeriesError(f"{where}: {shown(text)} is the time of row {before.row} too: expected each time once")
        if not is_later:
            raise SeriesError(
                f"{where}: {shown(text)} comes after {shown(before.text)} in row {before.row}: expected times in "
                "order, the earliest first; sort the file"
            )
        return time


def _number_or_date(text: str, where: str) -> float | datetime.datetime:
    try:
        value = float(text)
    except ValueError:
        pass
    else:
        if not math.isfinite(value):
            raise SeriesError(f"{where}: {shown(text)} is no time")
        return value
    try:
        return as_date(text)
    except ValueError:
        raise SeriesError(
            f"{where}: {shown(text)} is no time: expected a number, or a date such as 2024-05-31 or 2024-05-31 18:00"
        ) from None
