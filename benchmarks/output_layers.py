"""Time the two output layers of a forecaster: a dense layer at each step, and one over all steps.

The sizes are those of the configuration "series": 50 windows of 20 steps, 100 hidden units, 1 output; then more
outputs. Forward and backward are timed together. The variants take turns, so that their ratios are right on a busy
machine too:

    .venv/bin/python benchmarks/output_layers.py
"""

import statistics
import time

import numpy

from d2lrnn._runtime import mx
from d2lrnn.models.step_outputs import dense_at_each_step, dense_over_all_steps

BATCH_SIZE, NUM_STEPS, NUM_HIDDENS = 50, 20, 100
WAYS = {"at each step": dense_at_each_step, "over all steps": dense_over_all_steps}


def seconds(way, steps, outputs, params):
    """Return how long one forward and backward pass takes."""
    begin = time.perf_counter()
    with mx.autograd.record():
        loss = (way(steps if way is dense_at_each_step else outputs, *params) ** 2).mean()
    loss.backward()
    mx.nd.waitall()
    return time.perf_counter() - begin


def main():
    """Print a table of medians."""
    print(f"{'outputs':>8}" + "".join(f"{name:>18}" for name in WAYS) + f"{'ratio':>8}")
    for num_outputs in (1, 10, 100):
        draw = numpy.random.default_rng(1)
        shapes = [(BATCH_SIZE, NUM_STEPS, NUM_HIDDENS), (NUM_HIDDENS, num_outputs), (num_outputs,)]
        outputs, *params = [mx.np.array(draw.normal(0, 0.1, shape), dtype="float32") for shape in shapes]
        steps = [outputs[:, t].copy() for t in range(NUM_STEPS)]
        for array in (outputs, *params, *steps):
            array.attach_grad()
        times = {name: [] for name in WAYS}
        for _ in range(210):
            for name, way in WAYS.items():
                times[name].append(seconds(way, steps, outputs, params))
        each, once = (1e3 * statistics.median(found[10:]) for found in times.values())
        print(f"{num_outputs:8}{each:15.2f} ms{once:15.2f} ms{each / once:8.1f}")


if __name__ == "__main__":
    main()
