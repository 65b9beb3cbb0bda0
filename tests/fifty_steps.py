"""A worker of the tests: it takes the same fifty steps in float32 and in float64, and writes what they gave.

    fifty_steps.py FOLDER [OTHER]

The first worker writes FOLDER/float32.npz and FOLDER/float64.npz: the loss of each step, the parameters after the last
one, and where the training stood after half of the steps.  With OTHER, the folder of another job, both trainings then
begin anew where that one stood, and the losses from there on are written too.
"""

import itertools
import sys
from pathlib import Path

import numpy
from tiny import quiet, rain, tiny_model, training_of

from d2lrnn.cluster.report import report_rank, report_ready
from d2lrnn.data import data_iter_consecutive
from d2lrnn.models.parameters import named_parameters, numbers_of, set_values
from d2lrnn.training.devices import Devices
from d2lrnn.training.snapshot import Snapshot
from d2lrnn.training.workers import Workers

STEPS = 50
CORPUS = rain(60)
CONFIG = quiet(batches="consecutive", optimizer="adam", lr=0.01, theta=1.0)


def training(dtype, workers=None, contexts=()):
    """Return a training by Adam of a model from scratch, whose state is carried."""
    model = tiny_model(CORPUS.vocab_size, kind="scratch", cell="lstm", init_scale=0.3)
    model.params = [param.astype(dtype) for param in model.params]
    for param in model.params:
        param.attach_grad()
    begin = model.begin_state
    model.begin_state = lambda *args: tuple(array.astype(dtype) for array in begin(*args))
    return training_of(model, CONFIG, devices=Devices(model, contexts, workers))


def losses(training, begin=0, then=lambda step: None):
    """Take the steps that are left, and return their losses; ``then`` is called after each step."""
    batches, found = itertools.cycle(list(data_iter_consecutive(CORPUS.train, 7, 6))), []
    for number, batch in enumerate(itertools.islice(batches, begin, STEPS), begin + 1):
        step = training.step(batch, training.carried)
        training.carried = step.state
        found.append(float(step.loss))
        then(number)
    return found


def main(folder, other=None):
    """Train, write what it gave, and go on from another job."""
    report_ready()
    workers = Workers()
    report_rank(workers.rank)
    for dtype in ("float32", "float64"):
        one, half = training(dtype, workers), {}

        def keep(number, one=one, half=half):
            if number == STEPS // 2:
                one.devices.gather(one.carried)
                half.update(one.snapshot().arrays)
                half.update({f"param.{name}": values for name, values in numbers_of(one.params).items()})

        found = {"losses": losses(one, then=keep)}
        found.update({f"last.{name}": values for name, values in numbers_of(one.params).items()})
        if other is not None:
            found["resumed"] = losses(resumed(Path(other) / f"{dtype}.npz", dtype, workers), STEPS // 2)
        if workers.rank == 0:
            numpy.savez(Path(folder) / f"{dtype}.npz", **found, **{f"half.{name}": half[name] for name in half})


def resumed(path, dtype, workers):
    """Return a training that stands where another job stood after half of its steps."""
    with numpy.load(path) as file:
        half = {name.partition(".")[2]: file[name] for name in file if name.startswith("half.")}
    model = training(dtype).model
    for name, param in named_parameters(model).items():
        set_values(param, half[f"param.{name}"])
    again = training_of(model, CONFIG, devices=Devices(model, workers=workers))
    arrays = {name: values for name, values in half.items() if not name.startswith("param.")}
    again.restore(Snapshot(again.history, again.position, STEPS // 2, 0, arrays))
    return again


if __name__ == "__main__":
    main(*sys.argv[1:])
