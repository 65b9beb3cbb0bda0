"""Arguments of one task are refused where another begins or goes on."""

import pytest

from d2lrnn.cli import main as cli

TEXT, DIGITS, SERIES = ["--corpus", "sample"], ["--config", "digits"], ["--config", "series"]


@pytest.mark.parametrize(
    ("task", "arguments", "given"),
    [
        (TEXT, ["--head", "mean"], "--head given, but a language model has no use for it"),
        (TEXT, ["--shift", "1"], "--shift given, but a language model has no use for it"),
        (TEXT, ["--horizon", "2"], "--horizon given, but a language model has no use for it"),
        (TEXT, ["--time-column", "t"], "--time-column given, but a language model has no use for it"),
        (DIGITS, ["--horizon", "2"], "--horizon given, but a classifier of images has no use for it"),
        (DIGITS, ["--vectors", "v.txt"], "--vectors given, but a classifier of images has no use for it"),
        (
            DIGITS,
            ["--prefix", "a", "--num-steps", "5"],
            "--prefix, --num-steps given, but a classifier of images has no use for them",
        ),
        (SERIES, ["--shift", "1"], "--shift given, but a forecaster has no use for it"),
        (SERIES, ["--freeze-vectors"], "--freeze-vectors given, but a forecaster has no use for it"),
        (SERIES, ["--embed-size", "5"], "--embed-size given, but a forecaster has no use for it"),
    ],
)
def test_an_argument_of_another_task_is_refused(tmp_path, capsys, task, arguments, given):
    assert cli.main(["train", *task, *arguments, "--out", str(tmp_path / "run")]) == 1
    found = capsys.readouterr()
    assert given in found.err and found.out == ""
    assert not (tmp_path / "run").exists()
