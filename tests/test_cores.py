"""The cores of this process, by its affinity and by made-up limits of containers."""

import os

import pytest

from d2lrnn.cores import container_cores, cores_by_affinity, usable_cores


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return str(folder)


@pytest.mark.parametrize(
    ("files", "limit", "usable"),
    [
        ({}, None, 8),
        ({"cpu.max": "max 100000\n"}, None, 8),
        ({"cpu.max": "200000 100000\n"}, 2, 2),
        ({"cpu.max": "150000 100000\n"}, 1.5, 2),
        ({"cpu.max": "5000 100000\n"}, 0.05, 1),
        ({"cpu.max": "9900000 100000\n"}, 99, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None, 8),
        ({"cpu/cpu.cfs_quota_us": "350000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3.5, 4),
        ({"cpu/cpu.cfs_quota_us": "350000\n"}, None, 8),
        ({"cpu.max": ""}, None, 8),
        ({"cpu.max": "0 0"}, None, 8),
        ({"cpu.max": "two of them"}, None, 8),
    ],
)
def test_a_containers_limit(eight_cores, tmp_path, files, limit, usable):
    folder = write(tmp_path, files)
    assert (container_cores(folder), usable_cores(folder)) == (limit, usable)


def test_where_there_is_no_folder_of_limits(eight_cores, tmp_path):
    assert usable_cores(str(tmp_path / "none")) == cores_by_affinity() == 8


def test_a_system_without_affinity_has_its_cores(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert usable_cores(str(tmp_path)) == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores(str(tmp_path)) == 1
