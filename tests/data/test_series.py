"""Series from CSV files: what is read, and one sentence for each kind of wrong file."""

import io
import math

import numpy
import pytest

from d2lrnn import D2lrnnError
from d2lrnn.data.series import generated_series, read_series

GOOD = "date,close,volume\n2024-05-30,1.5,10\n2024-05-31,-2e-1,20\n\n2024-06-01, 3 ,30\n"


def read(text, columns=("close",), time_column=None):
    return read_series(io.BytesIO(text if isinstance(text, bytes) else text.encode()), columns, time_column)


def test_the_columns_that_are_asked_for():
    series = read(GOOD, ["volume", "close"], "date")
    assert series.columns == ("volume", "close")
    assert series.values.tolist() == [[10.0, 1.5], [20.0, -0.2], [30.0, 3.0]]
    assert series.rows == (2, 3, 5)  # the blank row counts, as in a spreadsheet
    assert read(GOOD, "close").values.shape == (3, 1)


def test_a_byte_order_mark_and_quoted_cells():
    text = '\ufeff"the date","close, in euros"\r\n1,"2"\r\n2,"3"\r\n'
    assert read(text, ["close, in euros"], "the date").values.tolist() == [[2.0], [3.0]]


def test_the_same_values_have_the_same_digest():
    assert read(GOOD).digest() == read(GOOD.replace("1.5", "1.50")).digest()
    assert read(GOOD).digest() != read(GOOD.replace("1.5", "1.51")).digest()
    assert read(GOOD, ["close", "volume"]).digest() != read(GOOD, ["volume", "close"]).digest()


def test_the_formula():
    assert generated_series(0.0) == 0
    assert generated_series(math.pi / 2) == pytest.approx(math.pi / 6 + 2)
    t = numpy.arange(0, 30, 0.1)
    assert (generated_series(t) == t * numpy.sin(t) / 3 + 2 * numpy.sin(5 * t)).all()


def test_without_noise_the_six_values_before_tell_the_next():
    """t sin(t) is a double root e^(i/10) of the recurrence, sin(5 t) a single one e^(i/2)."""
    recurrence = numpy.poly([numpy.exp(s * 0.1j) for s in (1, -1)] * 2 + [numpy.exp(s * 0.5j) for s in (1, -1)]).real
    values = generated_series(numpy.arange(0, 30, 0.1))
    assert numpy.abs(numpy.convolve(values, recurrence, "valid")).max() < 1e-12


@pytest.mark.parametrize("time", ["1,2,10", "1.5,2.5,2.75", "-3,1e1,11", "2024-01-01 08:00,2024-01-01T09,2024-01-02"])
def test_times_in_order(time):
    first, second, third = time.split(",")
    assert len(read(f"t,x\n{first},1\n{second},2\n{third},3\n", ["x"], "t").values) == 3


ROWS = "date,close\n2024-01-02,1\n2024-01-03,2\n"

# By what is wrong, a file and the beginning of the sentence about it.
WRONG = {
    "no value": (ROWS + "2024-01-04,\n", "row 4, column 'close': the value is missing; fill it in, or"),
    "NaN": (ROWS + "2024-01-04,NaN\n", "row 4, column 'close': the value is missing ('NaN'); fill it in"),
    "N/A": (ROWS + "2024-01-04,n/a\n", "row 4, column 'close': the value is missing ('n/a')"),
    "a dash": (ROWS + "2024-01-04,-\n", "row 4, column 'close': the value is missing ('-')"),
    "a word": (ROWS + "2024-01-04,holiday\n", "row 4, column 'close': 'holiday' is no number"),
    "a comma": (ROWS + '2024-01-04,"1,5"\n', "row 4, column 'close': '1,5' is no number; write numbers with a point"),
    "a currency": (ROWS + "2024-01-04,$5\n", "row 4, column 'close': '$5' is no number; write numbers with a point"),
    "percent": (ROWS + "2024-01-04,5 %\n", "row 4, column 'close': '5 %' is no number; write numbers with a point"),
    "thousands": (ROWS + "2024-01-04,1_000\n", "row 4, column 'close': '1_000' is no number; write numbers with a"),
    "infinity": (ROWS + "2024-01-04,inf\n", "row 4, column 'close': 'inf': expected a number between -1e+30 and 1e+30"),
    "too large": (ROWS + "2024-01-04,1e31\n", "row 4, column 'close': '1e31': expected a number between"),
    "a cell too many": (ROWS + "2024-01-04,1,2\n", "row 4 has 3 of 2 cells: expected one for each column of row 1"),
    "a cell too few": (ROWS + "2024-01-04\n", "row 4 has 1 of 2 cells"),
    "a time before": (ROWS + "2024-01-01,3\n", "row 4, column 'date': '2024-01-01' comes after '2024-01-03' in row 3"),
    "a time again": (ROWS + "2024-01-03,3\n", "row 4, column 'date': '2024-01-03' is the time of row 3 too"),
    "no time": (ROWS + ",3\n", "row 4, column 'date': the time is missing"),
    "another date": (ROWS + "4 Jan 2024,3\n", "row 4, column 'date': '4 Jan 2024' is no time: expected a number, or a"),
    "a day too many": (ROWS + "2024-02-30,3\n", "row 4, column 'date': '2024-02-30' is no time"),
    # Python 3.11 and later read these, and the times that follow could not be written in their form.
    "a date without hyphens": (ROWS + "20240104T18:00,3\n", "'20240104T18:00' is no time: expected a number, or"),
    "an hour without a colon": (ROWS + "2024-01-04T1800,3\n", "'2024-01-04T1800' is no time: expected a number, or"),
    "a week": (ROWS + "2024-W01-4,3\n", "'2024-W01-4' is no time: expected a number, or a date such as 2024-05-31"),
    "a tenth of a second": (ROWS + "2024-01-04 18:00:00.5,3\n", "'2024-01-04 18:00:00.5' is no time: expected a num"),
    "an infinite time": (ROWS + "inf,3\n", "row 4, column 'date': 'inf' is no time"),
    "a number as a time": (ROWS + "5,3\n", "row 4, column 'date': '5' cannot be compared with '2024-01-03' in row 3"),
    "a time zone": (
        ROWS + "2024-01-04 00:00+01:00,3\n",
        "row 4, column 'date': '2024-01-04 00:00+01:00' cannot be com",
    ),
    "no rows": ("date,close\n\n", "has a header and no other row: expected values"),
    "no header": ("1,2\n3,4\n", "row 1 holds numbers: expected the names of the columns in it"),
    "semicolons": ("date;close\n1;2\n", "has semicolons between its cells: expected commas, and points in numbers"),
    "tabs": ("date\tclose\n1\t2\n", "has tabs between its cells: expected commas"),
    "no such column": (ROWS.replace("close", "Open"), "has no column 'close': expected one of date, Open"),
    "another case": (
        ROWS.replace("close", "Close"),
        "has no column 'close': expected one of date, Close; is 'Close' me",
    ),
    "the column twice": (ROWS.replace("date", "close"), "has 2 columns of the name 'close': expected one"),
    "no time column": (ROWS.replace("date", "day"), "has no column 'date': expected one of day, close"),
    "an open quotation": (ROWS + '"2024-01-04,3\n', "row 4 is no row of CSV: a quotation mark is not closed"),
    "a stray quotation": (ROWS + '"2024"x,3\n', "row 4 is no row of CSV: ',' expected after '\"'"),
    "a long cell": (ROWS + f"2024-01-04,{'1' * 200_000}\n", "row 4 is no row of CSV: field larger than field limit"),
    "nothing": ("", "is empty: expected text"),
    "white space": (" \n \n", "is empty: expected text"),
    "blank cells": (",\n", "has blank rows alone: expected the names of the columns in the first row"),
    "Latin-1": ("date,close\n1,caf\xe9\n".encode("latin-1"), "is not UTF-8: byte 0xe9 at offset 16, in line 2"),
    "NUL": ("date,close\n1,\0\n", "has the character NUL, first in line 2"),
    "a workbook": (b"PK\3\4" + bytes(60), "is not UTF-8: "),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_wrong_gets_one_sentence(name):
    text, complaint = WRONG[name]
    with pytest.raises(D2lrnnError) as caught:
        read(text, ["close"], "date" if name not in ("semicolons", "tabs", "no header", "the column twice") else None)
    assert complaint in str(caught.value) and str(caught.value).startswith("standard input")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "time_column", "complaint"),
    [
        ([], None, "no column is named: expected the columns to learn, --column NAME"),
        (["close", "volume", "close"], None, "the column 'close' is named twice"),
        (["date"], "date", "the column 'date' is to hold times and values"),
    ],
)
def test_columns_that_cannot_be_asked_for(columns, time_column, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        read(GOOD, columns, time_column)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(D2lrnnError, match="nothing.csv"):
        read_series(tmp_path / "nothing.csv", ["x"])
