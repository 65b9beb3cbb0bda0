"""Forecasters on the command line: train, go on, evaluate, forecast, and one line for what is wrong."""

import csv
import dataclasses
import datetime
import io
import math
import re

import numpy
import pytest

from d2lrnn import load_checkpoint, save_checkpoint
from d2lrnn.cli.main import main
from d2lrnn.cli.tasks import forecasting
from d2lrnn.config.presets import CONFIGS
from d2lrnn.data.scaling import Scaling
from d2lrnn.runs import BEST, LAST
from d2lrnn.runs.forecaster import ForecasterRun

FEW = "--num-hiddens 4 --num-steps 5 --batch-size 20 --num-epochs 2".split()


class FewWindows(forecasting.GeneratedSeries):
    """The generated series with fewer windows an epoch."""

    def __init__(self, noise=0.0):
        super().__init__(noise, windows_per_epoch=100)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a file of 100 days of two columns."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{2000 + i},{math.sin(i) + 3},{math.cos(i) + i / 50 + 1}" for i in range(100)]
    (tmp_path / "waves.csv").write_text("\n".join(["day,x,y", *rows]) + "\n")
    return tmp_path


@pytest.fixture
def printed(capsys):
    """Run a command, which must succeed; returns what it prints."""

    def call(*arguments):
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 0
        return capsys.readouterr().out

    return call


def table(text):
    """Return a table of CSV as numbers by the names of its columns."""
    header, *rows = csv.reader(io.StringIO(text))
    return dict(zip(header, numpy.array(rows, dtype="float64").T))


def test_from_a_file_to_a_forecast_and_back(folder, printed):
    train = ["train", "--corpus", "waves.csv", "--column", "x", "--time-column", "day", *FEW, "--out", "run"]
    out = printed(*train)
    assert out.startswith("waves.csv: x; 80 rows for training, 10 each for validation and test; 1 ahead\n")
    assert "test     MAE " in out and out.rstrip().endswith("forecast run --steps 24")
    best = load_checkpoint("run/model.d2lrnn")
    assert best.task == "forecasting" and best.vocabularies == {} and best.origin["held_out"] == 0.1
    x = numpy.sin(numpy.arange(100)) + 3
    assert best.data["mean"] == [pytest.approx(x[:80].mean())] and best.data["std"] == [pytest.approx(x[:80].std())]
    measured = printed("evaluate", "run").splitlines()
    assert measured[0] == "waves.csv, test: 10 windows of 5 steps, 1 ahead"
    assert [line.split()[0] for line in measured[1:]] == ["x", "network", "naive", "seasonal", "linear"]
    scores = [float(value) for value in re.findall(r"(?:MAE|RMSE|MASE) ([\d.]+)", out)]
    assert scores == [pytest.approx(float(value), rel=1e-3) for value in measured[2].split()[1:]]
    errors = numpy.abs(numpy.diff(x))[89:]
    assert float(measured[3].split()[1]) == pytest.approx(errors.mean(), rel=1e-3)  # naive
    assert float(measured[3].split()[3]) == pytest.approx(
        errors.mean() / numpy.abs(numpy.diff(x[:80])).mean(), abs=1e-4
    )
    found = table(printed("forecast", "run", "--steps", "4", "--paths", "50"))
    assert list(found) == ["step", "day", "x", "x_low", "x_high"] and found["step"].tolist() == [1, 2, 3, 4]
    assert found["day"].tolist() == [2100, 2101, 2102, 2103]
    assert (found["x_low"] < found["x_high"]).all()
    with open("waves.csv", "a") as file:
        file.write("2100,3,3\n")
    newer = table(printed("forecast", "run", "--steps", "4", "--corpus", "waves.csv", "--intervals", "none"))
    assert (
        list(newer) == ["step", "day", "x"] and newer["day"][0] == 2101 and newer["x"].tolist() != found["x"].tolist()
    )


def test_a_run_that_does_not_say_what_it_held_out_is_measured(folder, printed):
    printed("train", "--corpus", "waves.csv", "--column", "x", *FEW, "--out", "run")
    run = ForecasterRun.open("run", "cpu")
    del run.checkpoint.origin["held_out"]
    run.source("waves.csv")
    assert run.checkpoint.origin["held_out"] == 0.1


def test_several_columns_and_steps_at_once(folder, printed):
    printed(
        *("train", "--corpus", "waves.csv", "--column", "x", "--column", "y", "--horizon", "3", "--difference"),
        *("--loss", "absolute", "--cell", "gru", "--dropout", "0.2", "--input-dropout", "0", *FEW, "--out", "run"),
    )
    run = ForecasterRun.open("run", "cpu")
    assert (run.columns, run.plan.horizon, run.plan.loss, run.scaling.difference) == (("x", "y"), 3, "absolute", True)
    assert run.checkpoint.shape.num_outputs == 6
    lines = printed("evaluate", "run", "--split", "valid").splitlines()
    assert len(lines) == 11 and lines[6].split()[0] == "y"
    for how in ("residuals", "dropout"):
        text = printed(
            "forecast", "run", "--steps", "7", "--intervals", how, "--paths", "40", "--picture", f"{how}.png"
        )
        assert list(table(text)) == ["step", "x", "x_low", "x_high", "y", "y_low", "y_high"]
        assert (folder / f"{how}.png").read_bytes().startswith(b"\x89PNG")
        assert text == printed("forecast", "run", "--steps", "7", "--intervals", how, "--paths", "40")
    before = numpy.genfromtxt("waves.csv", delimiter=",", skip_header=1)[:, 1:]
    found = table(printed("forecast", "run", "--steps", "1", "--intervals", "none"))
    assert abs(found["y"][0] - before[-1, 1]) < 3  # a difference to the last value


def test_a_run_goes_on_and_cannot_change_its_series(folder, printed, complaint):
    printed("train", "--corpus", "waves.csv", "--column", "x", *FEW, "--out", "run")
    out = printed("train", "--resume", "run", "--num-epochs", "3")
    assert "going on in epoch 3 of 3" in out
    assert len(load_checkpoint("run/last.d2lrnn").training.history.epochs) == 3
    (folder / "moved.csv").write_text((folder / "waves.csv").read_text())
    (folder / "waves.csv").unlink()
    assert "the run's series is not at " in complaint("evaluate", "run")
    printed("train", "--resume", "run", "--num-epochs", "4", "--corpus", "moved.csv")
    assert "\nx " in printed("evaluate", "run")  # both files of the run know the new place
    assert "epoch 5" in printed("train", "--resume", "run", "--num-epochs", "5")
    for command in (["evaluate", "run"], ["forecast", "run", "--steps", "2", "--paths", "5"]):
        place, new = (folder / name for name in ("moved.csv", "again.csv"))
        place.rename(new)
        assert f"the run's series is not at {place} any more" in complaint(*command)
        out = printed(*command, "--corpus", "again.csv")
        assert printed(*command) == out
        printed("train", "--resume", "run", "--num-epochs", "5")
        new.rename(place)
        printed(*command, "--corpus", "moved.csv")
    assert "--num-steps cannot be changed" in complaint("train", "--resume", "run", "--num-steps", "6")
    other = "x\n" + "\n".join(map(str, range(100)))
    (folder / "other.csv").write_text(other)
    before = load_checkpoint("run/model.d2lrnn").origin
    printed("forecast", "run", "--corpus", "other.csv", "--steps", "2", "--intervals", "none")
    assert load_checkpoint("run/model.d2lrnn").origin == before  # other values are no new place
    (folder / "moved.csv").write_text(other)
    assert "are not those that the run began with" in complaint("train", "--resume", "run", "--num-epochs", "5")
    for option in ("--horizon 2", "--column y", "--held-out 0.2", "--difference", "--time-column x"):
        line = complaint("train", "--resume", "run", *option.split())
        assert line.startswith(f"d2lrnn: {option.split()[0]} cannot be changed where a run goes on")


def test_dates_go_on_where_they_are_evenly_apart(folder, printed, capsys):
    first = datetime.date(2024, 1, 1)
    for name, days in (("even", range(40)), ("uneven", [*range(38), 40, 41])):
        rows = [f"{first + datetime.timedelta(i)},{math.sin(i)}" for i in days]
        (folder / f"{name}.csv").write_text("\n".join(["the date,x", *rows]) + "\n")
    given = ["--column", "x", "--time-column", "the date", *FEW, "--batch-size", "5", "--num-epochs", "1"]
    printed("train", "--corpus", "even.csv", *given, "--out", "run")
    forecast = ["forecast", "run", "--steps", "3", "--intervals", "none"]
    dates = {"end": ["2024-02-10", "2024-02-11", "2024-02-12"], "test": ["2024-02-06", "2024-02-07", "2024-02-08"]}
    for begin, expected in dates.items():
        header, *rows = csv.reader(io.StringIO(printed(*forecast, "--begin", begin)))
        assert header == ["step", "the date", "x"] and [row[1] for row in rows] == expected
    assert printed(*forecast, "--begin", "zeros").startswith("step,x\n")
    assert printed(*forecast, "--begin", "begin", "--corpus", "uneven.csv").startswith("step,the date,x\n1,2024-01-06,")
    capsys.readouterr()
    assert main([*forecast, "--corpus", "uneven.csv"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("step,x\n1,")
    assert err == "the times in column 'the date' are not evenly apart, so the steps have numbers and no times\n"


def test_the_generated_series_and_a_new_one(folder, printed, monkeypatch):
    monkeypatch.setattr(forecasting, "GeneratedSeries", FewWindows)
    out = printed("train", "--config", "series", *FEW, "--num-epochs", "1", "--out", "run")
    assert out.startswith("wave: value; noise 0.5, 100 new windows an epoch; 1 ahead\n")
    new = table(printed("forecast", "run", "--begin", "zeros", "--steps", "30", "--intervals", "none"))
    assert len(new["value"]) == 30 and numpy.isfinite(new["value"]).all()
    for begin in ("begin", "test", "end"):
        printed("forecast", "run", "--begin", begin, "--steps", "3", "--paths", "20", "--picture", f"{begin}.svg")
        svg = (folder / f"{begin}.svg").read_text()
        assert "<svg" in svg


def test_the_configuration_is_of_the_generated_series():
    named = CONFIGS["series"]
    assert (named.task, named.model.head, named.model.input_size) == ("forecasting", "steps", 1)
    assert named.forecast.noise == 0.5 and named.training.batches == "random"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a short series and a run of it."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "s.csv").write_text("x,y\n" + "\n".join(f"{math.sin(i)},{i % 7 + 1}" for i in range(60)))
    train = ["train", "--corpus", str(folder / "s.csv"), "--column", "x", *FEW, "--batch-size", "5"]
    assert main([*train, "--out", str(folder / "run")]) == 0
    return folder


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            "train --column x --out new",
            "--column given, but the generated series has no use for it: leave it out, or name a",
        ),
        (
            "train --config series --held-out 0.2 --out new",
            "--held-out given, but the generated series has no use for it",
        ),
        ("train --config series --corpus s.csv --out new", "no column is named: expected the columns to learn"),
        ("train --config series --prefix a --out new", "--prefix given, but a forecaster has no use for it"),
        ("train --config series --embed-size 4 --out new", "--embed-size given, but a forecaster has no use for it"),
        ("train --config series --target-level none --out new", "--target-level given, but a forecaster has no use"),
        ("train --resume run --season none", "--season cannot be changed where a run goes on"),
        ("train --config series --logarithm --noise 0 --out new", "--logarithm given, but the generated series has"),
        ("train --config series --logarithm --out new", "--logarithm given, but the generated series has values below"),
        ("train --config series --num-steps 400 --out new", "the generated series has 300 values, and windows of 401"),
        (
            "train --corpus s.csv --column x --noise 1 --out new",
            "--noise given, but a series from a file has no use for it",
        ),
        ("train --corpus s.csv --column z --out new", "s.csv has no column 'z': expected one of x, y"),
        ("train --corpus s.csv --column x --column x --out new", "the column 'x' is named twice"),
        (
            "train --corpus s.csv --column y --time-column x --out new",
            "s.csv, row 5, column 'x': '0.1411200080598672'",
        ),
        ("train --corpus s.csv --column x --logarithm --out new", "s.csv, row 2, column 'x': 0 has no logarithm"),
        ("train --corpus s.csv --column x --held-out 0.45 --out new", "held_out is 0.45: expected a share above 0 and"),
        ("train --corpus s.csv --column x --num-steps 60 --out new", "s.csv has 60 rows of values, 48 of them for"),
        (
            "train --corpus s.csv --column x --batch-size 64 --out new",
            "s.csv has 28 windows for training, 1 apart",
        ),
        ("train --corpus s.csv --column x --bidirectional --out new", "--bidirectional given, but a forecaster"),
        ("train --corpus s.csv --column x --num-lines 2 --out new", "--num-lines given, but a forecaster"),
        ("train --config lyrics --column x --horizon 2 --out new", "--column, --horizon given, but a language model"),
        (
            "train --config digits --horizon 2 --out new",
            "--horizon given, but a classifier of images has no use for it",
        ),
        ("train --config series --vectors s.csv --out new", "--vectors given, but a forecaster has no use for it"),
        ("train --corpus none.csv --column x --out new", "none.csv"),
        ("forecast run --steps 0", "steps is 0: expected a whole number, at least 1"),
        ("forecast run --level 1", "level is 1.0: expected a number, above 0 and below 1"),
        ("forecast run --paths 1", "paths is 1: expected a whole number, at least 2"),
        ("forecast run --intervals none --paths 9 --seed 1", "--paths, --seed given with --intervals none, which"),
        ("forecast run --intervals dropout", "run was trained without dropout, which --intervals dropout needs"),
        ("forecast run --corpus none.csv", "none.csv"),
        ("forecast none", "none is not there"),
        ("evaluate run --text s.csv", "--text given, but run holds a forecaster, which is measured on a split"),
        (
            "sample run --prefix a",
            "is of the task forecasting: expected a language model, which writes",
        ),
        ("play run --port 0", "is of the task forecasting: expected a language model"),
        ("show run", "is of the task forecasting: expected a language model"),
    ],
)
def test_one_line_for_what_is_wrong(made, monkeypatch, complaint, arguments, expected):
    monkeypatch.chdir(made)
    line = complaint(*arguments.split())
    assert expected in line
    assert not (made / "new").exists()


def test_a_run_of_a_text_is_no_forecaster(folder, complaint, printed):
    (folder / "a.txt").write_text("the rain in spain " * 20)
    printed("train", "--corpus", "a.txt", *FEW, "--batch-size", "4", "--out", "text")
    assert "is of the task language_model: expected a forecaster, such as" in complaint("forecast", "text")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"mean": []}, "data.mean is []: expected a list of at least 1"),
        ({"std": [-1.0]}, "data.std[0] is -1.0: expected a finite number, at least 0"),
        ({"columns": ["x", "y"]}, "what it says of its series does not fit its model"),
        ({"std": [0.0]}, "what it says of its series does not fit its model"),
        ({"plan": {}}, "data.plan.horizon is missing"),
        ({"time_column": 3}, "data.time_column is 3: expected a text"),
        ({"more": 1}, "data.more is unknown"),
    ],
)
def test_a_made_up_checkpoint_is_refused(made, tmp_path, complaint, change, expected):
    best = load_checkpoint(made / "run" / BEST)
    save_checkpoint(tmp_path / BEST, dataclasses.replace(best, data={**best.data, **change}))
    assert expected in complaint("forecast", tmp_path)


def test_a_plan_that_cannot_be_is_refused(made, tmp_path, complaint):
    best = load_checkpoint(made / "run" / LAST)
    plan = {**best.data["plan"], "horizon": "2"}
    save_checkpoint(tmp_path / BEST, dataclasses.replace(best, training=None, data={**best.data, "plan": plan}))
    assert "data.plan: horizon is '2': expected a whole number" in complaint("forecast", tmp_path)


def test_the_scale_of_a_checkpoint_is_that_of_its_training(made):
    run = ForecasterRun.open(made / "run", "cpu")
    assert run.scaling == Scaling.fit(run.source().training_values(0), ("x",))
