"""The memory that a process can have."""

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
    assert checks.memory.__wrapped__() == 1 << 20
    monkeypatch.setattr(checks.resource, "getrlimit", lambda kind: (-1, -1))  # unlimited
    assert checks.memory.__wrapped__() > 1 << 20


def test_what_does_not_fit_is_said(monkeypatch):
    monkeypatch.setattr(checks, "memory", lambda: 3 << 29)
    checks.check_memory("a book", 3 << 29, "write less")
    with pytest.raises(D2lrnnError, match="^a book would take 2.0 GiB of memory, and there are 1.5: write less$"):
        checks.check_memory("a book", 1 << 31, "write less")
