"""How the times of a series go on, written as they are in its file."""

import pytest

from d2lrnn.data.times import times_after

EVEN = {
    "whole numbers": (["2000", "2001", "2002"], ["2003", "2004"]),
    "decimals": (["0.8", "0.9", "1.0"], ["1.1", "1.2"]),
    "days": (["2024-02-27", "2024-02-28"], ["2024-02-29", "2024-03-01"]),
    "weeks": (["2023-12-18", "2023-12-25"], ["2024-01-01", "2024-01-08"]),
    "hours": (["2024-05-31 22:00", "2024-05-31 23:00"], ["2024-06-01 00:00", "2024-06-01 01:00"]),
    "seconds in UTC": (
        ["2024-05-31T23:59:58Z", "2024-05-31T23:59:59Z"],
        ["2024-06-01T00:00:00Z", "2024-06-01T00:00:01Z"],
    ),
    "milliseconds": (
        ["2024-05-31 00:00:00.000", "2024-05-31 00:00:00.500"],
        ["2024-05-31 00:00:01.000", "2024-05-31 00:00:01.500"],
    ),
    "a time zone": (
        ["2024-05-31 22:00+02:00", "2024-05-31 22:30+02:00"],
        ["2024-05-31 23:00+02:00", "2024-05-31 23:30+02:00"],
    ),
    "months": (["2023-10-01", "2023-11-01", "2023-12-01"], ["2024-01-01", "2024-02-01"]),
    "three long months": (["2024-07-01", "2024-08-01", "2024-09-01"], ["2024-10-01", "2024-11-01"]),
    "ends of months": (["2023-11-30", "2023-12-31"], ["2024-01-31", "2024-02-29"]),
    "quarters": (["2024-03-15", "2024-06-15"], ["2024-09-15", "2024-12-15"]),
    "years": (["2023-02-28", "2024-02-28"], ["2025-02-28", "2026-02-28"]),
    "the last day that all months have": (["2023-11-29", "2023-12-29"], ["2024-01-29", "2024-02-29"]),
}


@pytest.mark.parametrize(("times", "expected"), EVEN.values(), ids=EVEN)
def test_times_that_are_evenly_apart_go_on(times, expected):
    assert times_after(times, 2) == expected


UNEVEN = {
    "one time": ["2024-01-01"],
    "numbers": ["1", "2", "4"],
    "rounded numbers": ["0.33", "0.67", "1"],
    "days of trade": ["2024-05-30", "2024-05-31", "2024-06-03"],
    "months, one of them missing": ["2024-01-01", "2024-02-01", "2024-04-01"],
    "months at other times of day": ["2024-01-01 10:00", "2024-02-01 11:00", "2024-03-01 10:00"],
    "the end of the calendar": ["9999-12-30", "9999-12-31"],
}


@pytest.mark.parametrize("times", UNEVEN.values(), ids=UNEVEN)
def test_other_times_do_not(times):
    assert times_after(times, 2) is None
