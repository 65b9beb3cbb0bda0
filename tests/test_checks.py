"""The memory that a process can have."""

import math

import numpy
import pytest

from d2lrnn import checks
from d2lrnn.errors import D2lrnnError


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/", {"memory.max": "1073741824"}, [1073741824]),
        ("0::/a/b", {"a/b/memory.max": "max", "a/memory.max": "5000", "memory.max": "9000"}, [5000, 9000]),
        ("3:cpu:/\n2:memory:/a\n0::/", {"memory/a/memory.limit_in_bytes": "7000"}, [7000]),
        ("", {}, []),
    ],
)
def test_the_limits_of_control_groups(groups, files, expected, tmp_path):
    (tmp_path / "processes").write_text(groups)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert list(checks.container_limits(tmp_path / "processes", tmp_path)) == expected
    assert list(checks.container_limits(tmp_path / "none", tmp_path)) == []


def test_ulimit_bounds_the_memory(monkeypatch):
    monkeypatch.setattr(checks.resource, "getrlimit", lambda kind: (1 << 20, -1))
    assert checks.memory() == 0  # Python alone has mapped more
    monkeypatch.setattr(checks.resource, "getrlimit", lambda kind: (1 << 50, -1))
    monkeypatch.setattr(checks, "_physical_memory", lambda: 1 << 60)
    assert (1 << 50) - (1 << 40) < checks.memory() < 1 << 50
    monkeypatch.setattr(checks.resource, "getrlimit", lambda kind: (-1, -1))  # unlimited
    assert checks.memory() == 1 << 60


def test_what_does_not_fit_is_said(monkeypatch):
    monkeypatch.setattr(checks, "memory", lambda: 3 << 29)
    checks.check_numbers("a book", 3 << 27, "write less")
    with pytest.raises(D2lrnnError, match="^a book would take 2.0 GiB of memory, and there are 1.5 GiB: write less$"):
        checks.check_numbers("a book", 1 << 29, "write less")
    with pytest.raises(D2lrnnError, match="^a book would take 2.0 GiB of memory, and there are 1.5 GiB: write less$"):
        checks.check_memory("a book", 1 << 31, "write less")
    with pytest.raises(D2lrnnError, match="^a book cannot be made: MXNet counts to 2,147,483,647 here; write less$"):
        checks.check_numbers("a book", 1 << 31, "write less", size=0)


def test_float32_begins_where_numpy_says():
    assert checks.LEAST_NORMAL == numpy.finfo("float32").tiny


@pytest.mark.parametrize("value", [0, 7, numpy.int8(7), numpy.uint64(7), 2**31 - 1])
def test_a_whole_number_becomes_an_int(value):
    found = checks.check_whole("n", value, 0)
    assert found == value and type(found) is int


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (-1, "-1"),
        (2**31, "2147483648"),
        (10**30, "1" + "0" * 30),
        (10**1000, "a number of about 1,001 digits"),
        (True, "True"),
        (numpy.bool_(True), "True"),
        (1.0, "1.0"),
        (numpy.float64(1), "1.0"),
        ("3", "'3'"),
        (None, "None"),
        ([1] * 99, "[" + "1, " * 26 + "1..."),
        (math.nan, "nan"),
        (numpy.array(3), "array(3)"),
    ],
)
def test_what_is_no_whole_number_is_said(value, found):
    with pytest.raises(D2lrnnError) as caught:
        checks.check_whole("n", value, 0)
    assert str(caught.value) == f"n is {found}: expected a whole number, at least 0 and at most 2,147,483,647"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0.0),
        (3, 3.0),
        (0.1, 0.1),
        (numpy.float64(0.1), 0.1),
        (numpy.float32(0.5), 0.5),
        (1e38, 1e38),
        (1e-40, 0.0),
        (5e-324, 0.0),
        (2.0**-126, 2.0**-126),
    ],
)
def test_a_number_becomes_a_float_that_float32_can_hold(value, expected):
    found = checks.check_number("x", value)
    assert found == expected and type(found) is float


@pytest.mark.parametrize(
    ("value", "limits", "complaint"),
    [
        (-1, {}, "x is -1: expected a number, at least 0 and at most 1e+38"),
        (math.nan, {}, "x is nan: expected a number, at least 0 and at most 1e+38"),
        (math.inf, {}, "x is inf: expected a number, at least 0 and at most 1e+38"),
        (10**400, {}, "x is a number of about 401 digits: expected a number, at least 0 and at most 1e+38"),
        (True, {}, "x is True: expected a number, at least 0 and at most 1e+38"),
        ("3", {}, "x is '3': expected a number, at least 0 and at most 1e+38"),
        (1e-40, {"above": 0}, "x is 1e-40, which float32 holds as 0: expected a number, above 0 and at most 1e+38"),
        (
            1 - 1e-9,
            {"below": 1},
            "x is 0.999999999, which float32 holds as 1: expected a number, at least 0 and below 1",
        ),
        (1, {"below": 1}, "x is 1: expected a number, at least 0 and below 1"),
    ],
)
def test_what_is_no_number_of_the_range_is_said(value, limits, complaint):
    with pytest.raises(D2lrnnError) as caught:
        checks.check_number("x", value, **limits)
    assert str(caught.value) == complaint


def test_infinity_is_a_number_where_it_has_a_meaning():
    assert checks.check_number("theta", math.inf, above=0, most=math.inf) == math.inf
