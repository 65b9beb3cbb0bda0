"""Which epoch is the best, where some epochs have validation, all or none."""

import pytest

from d2lrnn import History, Objective, Outcome, TrainConfig, Training
from d2lrnn._runtime import mx


def history_of(*valid, less_is_better=True):
    """Return a history of epochs with these measures in validation; None: without."""
    epochs = [{"error": 9.0} | ({} if value is None else {"valid_error": value}) for value in valid]
    return History(epochs, measure="error", less_is_better=less_is_better)


@pytest.mark.parametrize(
    "valid, lowest, highest",
    [
        ((), 0, 0),
        ((None, None), 2, 2),
        ((3.0, 2.0, 4.0), 2, 3),
        ((2.0, 2.0, 2.0), 1, 1),  # of equal ones the first
        ((None, 3.0, None, 2.0, None), 4, 2),
    ],
)
def test_the_best_epoch(valid, lowest, highest):
    assert history_of(*valid).best_epoch == lowest
    assert history_of(*valid, less_is_better=False).best_epoch == highest


class Error(Objective):
    measure = "error"

    def loss(self, model, batch, state):
        return Outcome(((model.weight - batch[0]) ** 2).mean(), ())


class Constant:
    """A model of one weight."""

    def __init__(self):
        self.weight = mx.np.zeros((1,))
        self.weight.attach_grad()

    def parameters(self):
        return {"weight": self.weight}


@pytest.mark.parametrize("patience, epochs", [(0, 9), (2, 6), (3, 8), (4, 8), (5, 9)])
def test_patience_is_counted_in_epochs_where_every_other_one_is_validated(patience, epochs):
    """The best of the validated epochs 2, 4, 6, 8 is epoch 4."""
    errors = {2: 3.0, 4: 1.0, 6: 2.0, 8: 2.0}

    def measure(epoch, history):
        if epoch in errors:
            history.epochs[-1]["valid_error"] = errors[epoch]

    config = TrainConfig(num_epochs=9, lr=0.1, patience=patience, verbose=False)
    history = Training(Constant(), config, Error()).run(lambda: [(mx.np.ones((2,)),)], measure)
    assert len(history.epochs) == epochs and history.best_epoch == 4
