"""Tasks that are no language models train through the one loop, are kept, killed and resumed."""

import functools

import forks
import numpy
import pytest
from tiny import ALWAYS
from two_tasks import Classifier, Forecaster, accuracy, series_with_labels, task, waves

from d2lrnn import Checkpoint, CheckpointError, Objective, Outcome, TrainConfig, Training, load_checkpoint
from d2lrnn._runtime import mx
from d2lrnn.runs import BEST, LAST, LOG, RunFolder, read_history, read_log
from d2lrnn.training.history import report_line


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a function for the folders of two runs of a task: nobody has killed the first, the second often."""

    @functools.cache
    def of(name):
        folder = tmp_path_factory.mktemp(name)
        # The places of the kills are counted from where the run goes on: within an epoch, and where one ends.
        kills = [folder / "whole", "0", folder / "killed", *"3860"]
        result = forks.run("two_tasks.py", name, *kills)
        assert (result.returncode, result.stderr) == (0, "")
        return folder / "whole", folder / "killed"

    return of


@pytest.mark.parametrize("name", ["classify", "forecast"])
def test_a_task_killed_and_resumed_has_the_numbers_of_one_that_was_not(name, finished):
    folders = finished(name)
    logs = [[entry for entry in read_log(folder / LOG) if entry["event"] == "epoch"] for folder in folders]
    clocks = ("seconds", "series_per_second", "steps_per_second")
    whole, killed = ([{k: v for k, v in e.items() if k not in clocks} for e in log] for log in logs)
    assert whole == killed and len(whole) == 6
    assert sum(entry["event"] == "resume" for entry in read_log(folders[1] / LOG)) == 3
    for file in (BEST, LAST):
        one, other = (load_checkpoint(folder / file) for folder in folders)
        assert one.parameters.keys() == other.parameters.keys()
        assert all((one.parameters[key] == other.parameters[key]).all() for key in one.parameters)
        assert one.reached == other.reached


def test_the_classifier_is_told_by_its_accuracy(finished):
    history, best = read_history(finished("classify")[0]), load_checkpoint(finished("classify")[0] / BEST)
    assert (history.measure, history.less_is_better) == ("accuracy", False)
    assert history.trained[0] < history.trained[-1] and history.trained[-1] > 0.9
    assert best.reached == {"epoch": history.best_epoch, "valid_accuracy": max(history.valid)}
    model = best.fill(Classifier())
    assert accuracy(model, *series_with_labels(200, seed=4)) == max(history.valid) > 0.9
    line = report_line(6, history)
    assert line.startswith(f"epoch 6, accuracy {history.trained[-1]:.4f}, in validation {history.valid[-1]:.4f}, grad")
    assert " series/s, " in line


def test_a_classifier_stopped_in_its_first_epoch_gets_its_best_model_later(tmp_path):
    """Of the model that is kept where a run is stopped, no accuracy in validation is known."""

    def go_on(on_segment):
        model, objective, config, make_batches, measure = task("classify")
        training = Training(model, config, objective, segment=3)
        if (tmp_path / LAST).exists():
            last = load_checkpoint(tmp_path / LAST)
            last.fill(model)
            training.restore(last.training)
        run = RunFolder(tmp_path, training, Checkpoint(None, {}, config, "noise"), ALWAYS)
        run.begin("a test")
        history = training.run(make_batches, measure, lambda: on_segment(run))
        return history, load_checkpoint(run.finish()).reached

    def stop(run):
        run.keep()
        raise KeyboardInterrupt

    history, reached = go_on(stop)
    assert history.stopped and reached == {"epoch": 0}
    history, reached = go_on(RunFolder.keep)
    assert reached == {"epoch": history.best_epoch, "valid_accuracy": max(history.valid)}


def test_the_forecaster_beats_the_last_value(tmp_path):
    model, objective, config, make_batches, _ = task("forecast")
    history = Training(model, config, objective).run(make_batches)
    naive = numpy.mean([((X - Y) ** 2).mean().item() for X, Y in waves()])
    assert history.trained[-1] == pytest.approx(history["error"][-1]) and history.trained[-1] < naive / 2
    assert history["steps_per_second"][0] > 0


def test_the_first_error_is_numpys():
    """The measure of an epoch is the mean over all that was counted, each batch with the parameters as they were."""
    model, objective, config, _, _ = task("forecast")
    (X, Y), before = waves()[0], {name: param.asnumpy().copy() for name, param in model.parameters().items()}
    history = Training(model, config, objective).run(lambda: [(X, Y)])
    H, errors = numpy.zeros((4, 8)), []
    for x, y in zip(X.asnumpy().T, Y.asnumpy().T):
        H = numpy.tanh(x[:, None] @ before["W_xh"] + H @ before["W_hh"] + before["b_h"])
        errors.append(((H @ before["W_hq"] + before["b_q"])[:, 0] - y) ** 2)
    assert history.trained[0] == pytest.approx(numpy.mean(errors), rel=1e-5)


def test_a_loss_that_is_no_number_ends_the_run():
    model, objective, config, _, _ = task("forecast")
    X, Y = waves()[0]
    with pytest.raises(ArithmeticError, match="norm became nan in epoch 1, batch 1"):
        Training(model, config, objective).run(lambda: [(X, mx.np.full(Y.shape, numpy.nan))])


def test_a_measure_in_validation_that_is_no_number_ends_the_run():
    model, objective, config, make_batches, _ = task("classify")

    def measure(epoch, history):
        history.epochs[-1]["valid_accuracy"] = 0.5 if epoch == 1 else float("nan")

    with pytest.raises(ArithmeticError, match="the accuracy in validation became NaN in epoch 2: training stopped"):
        Training(model, config, objective).run(make_batches, measure)


def test_a_model_that_no_configuration_describes_must_be_made_by_hand(finished):
    last = load_checkpoint(finished("forecast")[0] / LAST)
    with pytest.raises(CheckpointError, match="no configuration describes the model: make it and call fill"):
        last.build_model()
    with pytest.raises(CheckpointError, match="there is no vocabulary 'text', found none"):
        last.vocab  # noqa: B018
    with pytest.raises(CheckpointError, match="do not fit the model Classifier"):
        last.fill(Classifier())
    assert (last.fill(Forecaster()).params["W_hq"].asnumpy() == last.parameters["W_hq"]).all()


def test_a_snapshot_of_another_task_is_refused(finished):
    model, objective, config, _, _ = task("classify")
    with pytest.raises(ValueError, match="judged by its error, expected accuracy: it is of another task"):
        Training(model, config, objective).restore(load_checkpoint(finished("forecast")[0] / LAST).training)


class Line:
    """A model of one weight, without a zero state."""

    def __init__(self):
        self.weight = mx.np.ones((1,))
        self.weight.attach_grad()

    def parameters(self):
        return {"weight": self.weight}


class Distance(Objective):
    def loss(self, model, batch, state):
        assert state is None
        outputs = model.weight * batch[0]
        return Outcome((outputs**2).mean(), (outputs,))  # a state that no batch goes on from


def test_a_run_that_carries_no_state_keeps_none():
    config = TrainConfig(num_epochs=1, batches="random", lr=0.1, theta=1.0, verbose=False)
    batches, snapshots = [(mx.np.full((rows,), 2.0),) for rows in (3, 2, 3)], []
    whole = Training(Line(), config, Distance(), segment=1)
    whole.run(lambda: batches, on_segment=lambda: snapshots.append((whole.snapshot(), whole.model.weight.copy())))
    snapshot, weight = snapshots[0]
    assert snapshot.position.batch == 1 and snapshot.arrays == {}
    halted = Training(Line(), config, Distance(), segment=1)
    halted.model.weight[:] = weight
    halted.restore(snapshot)
    assert halted.run(lambda: batches).trained == whole.history.trained
    assert halted.model.weight.item() == whole.model.weight.item() < weight.item() < 1
