"""The objective and the task of a forecaster: by hand, in PyTorch, against baselines, killed and resumed."""

import json

import forks
import numpy
import pytest
from parity import assert_close

from d2lrnn import D2lrnnError, LooksAheadError, ModelConfig, TrainConfig, Training, build_model, set_seed
from d2lrnn._runtime import mx
from d2lrnn.config import ForecastConfig
from d2lrnn.data.scaling import Scaling
from d2lrnn.data.series import Series
from d2lrnn.data.windows import GeneratedSeries, RecordedSeries
from d2lrnn.generation.forecasts import next_values
from d2lrnn.models.parameters import numbers_of
from d2lrnn.runs import BEST, LAST, LOG, load_checkpoint, read_log
from d2lrnn.training.forecasting import Forecasting, NextValues, forecast_table

np = mx.np


class Echo:
    """A model that answers each value by itself, doubled, for one column and a horizon of 1."""

    bidirectional = False

    def begin_state(self, batch_size, ctx=None):
        return (np.zeros((batch_size, 1), ctx=ctx or mx.cpu()),)

    def parameters(self):
        return {}

    def __call__(self, X, state):
        return 2 * X, state


def test_the_objective_by_hand():
    X, Y = np.array([[[1.0], [2.0]], [[3.0], [4.0]]]), np.array([[[2.0], [3.0]], [[5.0], [11.0]]])  # off by 0 1 1 -3
    for loss, mean, last in (("squared", 11 / 4, (1 + 9) / 2), ("absolute", 5 / 4, (1 + 3) / 2)):
        objective = NextValues(loss)
        found = objective.loss(Echo(), (X, Y), None)
        assert float(found.loss) == mean and found.state == ()
        assert objective.value(0.0, float(found.score), objective.count((X, Y))) == last
    with pytest.raises(D2lrnnError, match=r"the outputs have shape \(2, 2, 1\), Y \(2, 2, 2\)"):
        objective.loss(Echo(), (X, np.zeros((2, 2, 2))), None)
    with pytest.raises(D2lrnnError, match="unknown loss 'cubed'"):
        NextValues("cubed")


def made(length=120, columns=1, plan=None, **settings):
    """Return the task of a small forecaster on noisy waves from a file."""
    draw = numpy.random.default_rng(1)
    t = numpy.arange(length)[:, None]
    values = 5 + numpy.sin(0.5 * t + numpy.arange(columns)) + draw.normal(0, 0.05, (length, columns))
    source = RecordedSeries(Series("waves.csv", ("x", "y")[:columns], values))
    plan = plan or ForecastConfig()
    scaling = Scaling.fit(source.training_values(0), source.columns, plan.logarithm, plan.difference)
    config = TrainConfig(
        **{
            **dict(num_epochs=4, batch_size=8, num_steps=6, batches="random", optimizer="adam", lr=0.02, theta=1.0),
            **settings,
        },
        verbose=False,
    )
    set_seed(2)
    shape = dict(num_hiddens=8, init_scale=0.3, head="steps", num_outputs=columns * plan.horizon, input_size=columns)
    return Forecasting(build_model(ModelConfig(**shape), None), source, scaling, config, plan)


@pytest.mark.parametrize(("columns", "horizon"), [(1, 1), (2, 3)])
def test_validation_and_test_by_hand(columns, horizon):
    task = made(columns=columns, plan=ForecastConfig(horizon=horizon))
    valid, test = task.windows("valid"), task.windows("test")
    calls = []
    found = next_values(task.model, valid.scaled[:, :6])
    assert found.shape == (len(valid.X), horizon, columns)
    outputs = task.model(np.array(valid.scaled[:, :6]), task.model.begin_state(len(valid.X)))[0].asnumpy()[:, -1]
    assert numpy.allclose(found[:, 0], outputs[:, :columns]) and numpy.allclose(found[:, -1], outputs[:, -columns:])
    expected = ((found - valid.scaled[:, 6:]) ** 2).mean()
    assert task.validation(lambda: calls.append(1)) == pytest.approx(expected) and calls == [1]
    forecasts = next_values(task.model, test.scaled[:, :6]) * task.scaling.std + task.scaling.mean
    errors = numpy.abs(forecasts - test.Y).mean(axis=(0, 1))
    scales = numpy.abs(numpy.diff(task.source.training_values(0), axis=0)).mean(axis=0)
    scores = task.test(task.model)
    assert scores["MASE"] == pytest.approx((errors / scales).mean(), rel=1e-6)
    if columns == 1:
        assert scores["MAE"] == pytest.approx(errors[0], rel=1e-6)
        assert scores["RMSE"] == pytest.approx(((forecasts - test.Y) ** 2).mean() ** 0.5, rel=1e-6)


def test_it_learns_and_is_held_against_the_baselines():
    task = made(length=300, num_epochs=12)
    history = task.train()
    assert history.valid[-1] < history.valid[0] / 4 and history.measure == "error"
    assert history["windows_per_second"][0] > 0
    found = task.compare(task.model)
    names = list(found)
    assert names[:2] == ["network", "naive"] and names[2] == "seasonal naive, 2 steps"
    assert names[3].startswith("linear autoregression, order ")
    assert found["network"][0].mase < found["naive"][0].mase
    table = forecast_table(found, ("x",)).splitlines()
    assert table[0].split() == ["x", "MAE", "RMSE", "MASE"] and len(table) == 5
    assert float(table[2].split()[-1]) == pytest.approx(found["naive"][0].mase, abs=1e-4)


@pytest.mark.parametrize("way", ["difference", "logarithm", "both"])
def test_forecasts_of_differences_and_logarithms_are_in_the_unit_of_the_series(way):
    plan = ForecastConfig(difference=way != "logarithm", logarithm=way != "difference", horizon=2)
    task = made(length=300, plan=plan, num_epochs=12)
    task.train()
    forecasts, windows = task.forecasts(task.model, task.windows("test")), task.windows("test")
    assert numpy.abs(forecasts - windows.Y).mean() < 0.5 * numpy.abs(windows.X[:, -1:] - windows.Y).mean()


def test_a_task_that_cannot_be():
    with pytest.raises(D2lrnnError, match="batches are 'lines': expected 'random' or 'consecutive'"):
        made(batches="lines")
    with pytest.raises(D2lrnnError, match="waves.csv has 20 rows of values, 16 of them for training"):
        made(length=20, num_steps=16)
    task = made()
    model = build_model(ModelConfig(num_hiddens=4, bidirectional=True, head="steps", num_outputs=1, input_size=1), None)
    with pytest.raises(LooksAheadError):
        Forecasting(model, task.source, task.scaling, task.config, task.plan)


def test_windows_in_order_are_a_way_to_train_too():
    task = made(batches="consecutive", num_epochs=2)
    history = task.train(Training(task.model, task.config, task.objective))
    assert len(history.epochs) == 2 and history.valid[1] < history.valid[0]


@pytest.mark.parametrize("loss", ["squared", "absolute"])
def test_pytorch_computes_the_same_loss_and_gradients(loss):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    task = made(columns=2, plan=ForecastConfig(horizon=3, loss=loss))
    X, Y = next(task.batches())
    with mx.autograd.record():
        found = task.objective.loss(task.model, (X, Y), None)
    found.loss.backward()
    values, gradients = (numbers_of(task.model.parameters(), flag) for flag in (False, True))
    rnn, dense = torch.nn.LSTM(2, 8, batch_first=True), torch.nn.Linear(8, 6)
    theirs = {
        f"rnn._unfused.0.{source}2h_{kind}": getattr(rnn, f"{kind}_{source}h_l0")
        for source in "ih"
        for kind in ("weight", "bias")
    }
    theirs |= {"dense.weight": dense.weight, "dense.bias": dense.bias}
    assert theirs.keys() == values.keys()
    for name, param in theirs.items():
        param.data = torch.tensor(values[name])
    outputs = dense(rnn(torch.tensor(X.asnumpy()))[0])
    criterion = torch.nn.MSELoss() if loss == "squared" else torch.nn.L1Loss()
    expected = criterion(outputs, torch.tensor(Y.asnumpy()))
    expected.backward()
    assert float(found.loss) == pytest.approx(expected.item(), rel=1e-5)
    for name, param in theirs.items():
        assert_close(gradients[name], param.grad.numpy(), 1e-5)


def test_a_forecaster_killed_and_resumed_has_the_numbers_of_one_that_was_not(tmp_path, seed):
    settings = "--config series --num-hiddens 4 --num-steps 5 --batch-size 500 --num-epochs 6 --dropout 0.2".split()
    result = forks.run("killed_forecast.py", tmp_path, seed % 2**32, 4, *settings, "--input-dropout", "0")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["positions"][-1] > [1, 0]
    logs = [read_log(tmp_path / folder / LOG) for folder in ("whole", "killed")]
    clocks = {"seconds", "windows_per_second"}
    whole, killed = (
        [{k: v for k, v in entry.items() if k not in clocks} for entry in log if entry["event"] in ("epoch", "test")]
        for log in logs
    )
    assert whole == killed and len(whole) == 7 and whole[-1].keys() >= {"MAE", "RMSE", "MASE"}
    assert (tmp_path / "whole" / BEST).read_bytes() == (tmp_path / "killed" / BEST).read_bytes()
    one, other = (load_checkpoint(tmp_path / folder / LAST) for folder in ("whole", "killed"))
    for arrays, others in ((one.parameters, other.parameters), (one.training.arrays, other.training.arrays)):
        assert arrays.keys() == others.keys()
        assert not [name for name in arrays if arrays[name].tobytes() != others[name].tobytes()]


def test_the_generated_series_is_exact_for_an_autoregression_only_without_noise():
    """Its values follow a recurrence of order 6: a network has something to win only where there is noise."""
    for noise, best in ((0.0, 1e-6), (0.5, None)):
        source = GeneratedSeries(noise)
        scaling = Scaling.fit(source.training_values(11), source.columns)
        config = TrainConfig(num_steps=10, batches="random", verbose=False)
        model = build_model(ModelConfig(num_hiddens=2, head="steps", num_outputs=1, input_size=1), None)
        found = Forecasting(model, source, scaling, config, ForecastConfig(noise=noise)).compare(model)
        (linear,) = (scores[0] for name, scores in found.items() if name.startswith("linear"))
        assert linear.rmse < best if best else linear.rmse > noise
