"""Time the output layer of a translator with all tokens of a vocabulary and with 512 drawn ones, and weigh its memory.

A step is the output layer, the loss, the gradients and the update by Adam, for 64 targets of 12 tokens and 256 hidden
units. Each size and way has a process of its own. The memory is the most that the process has during the steps, beyond
the layer, its gradient and Adam's two means, which both ways have:

    .venv/bin/python benchmarks/sampled_softmax.py
"""

import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy

BATCH_SIZE, NUM_STEPS, NUM_HIDDENS, COUNT = 64, 12, 256, 512
VOCAB_SIZES, WAYS = (1_000, 10_000, 50_000), ("full", "sampled")
STEPS, WARM_UP = 25, 5


def resident(what: str) -> float:
    """Return a line of this process's memory in MB: VmRSS, what it has now, or VmHWM, the most it has had."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024


def measure(vocab_size: int, way: str) -> dict:
    """Take the steps, and return the medians of their times in ms and the memory in MB."""
    from d2lrnn._runtime import mx
    from d2lrnn.evaluation import Candidates, cross_entropy, log_uniform, needed_ids, sampled_losses
    from d2lrnn.training import make_update

    class OutputLayer(mx.gluon.nn.Dense):
        """All logits; or, with ids, rows of the weight and the bias, as the decoder of a translator gives them."""

        def hybrid_forward(self, F, x, ids=None, weight=None, bias=None):
            if ids is None:
                return super().hybrid_forward(F, x, weight, bias)
            return [F.np.take(array, ids, axis=0, mode="clip") for array in (weight, bias)]

    draw = numpy.random.default_rng(1)
    rows = BATCH_SIZE * NUM_STEPS
    outputs = mx.np.array(draw.normal(0, 0.5, (rows, NUM_HIDDENS)), dtype="float32")
    outputs.attach_grad()
    targets = draw.choice(vocab_size, (STEPS, BATCH_SIZE, NUM_STEPS), p=log_uniform(vocab_size))
    layer = OutputLayer(vocab_size, flatten=False, in_units=NUM_HIDDENS)
    layer.initialize(mx.init.Normal(0.05))
    layer.hybridize(static_alloc=True, static_shape=True)
    update = make_update(layer.collect_params(), "adam")
    candidates, times = Candidates(vocab_size, COUNT), {"gradient": [], "update": []}
    numpy.random.seed(1)
    update(0.0)  # all arrays are there
    mx.nd.waitall()
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    before = resident("VmRSS")
    for target in targets:
        begin = time.perf_counter()
        Y = mx.np.array(target, dtype="int32")
        with mx.autograd.record():
            if way == "full":
                loss = cross_entropy(layer(outputs), Y)
            else:
                drawn = candidates.draw()
                loss = sampled_losses(outputs, *layer(outputs, needed_ids(drawn, Y)), Y, drawn).mean()
        loss.backward()
        mx.nd.waitall()
        middle = time.perf_counter()
        update(1e-3)
        mx.nd.waitall()
        times["gradient"].append(middle - begin)
        times["update"].append(time.perf_counter() - middle)
    found = {name: 1e3 * statistics.median(values[WARM_UP:]) for name, values in times.items()}
    return {**found, "memory": resident("VmHWM") - before}


def main() -> None:
    """Print a table, with a row for each size of the vocabulary and each way."""
    print(f"{'words':>8}{'softmax':>10}{'gradient':>14}{'update':>14}{'step':>14}{'memory':>12}")
    for vocab_size in VOCAB_SIZES:
        for way in WAYS:
            command = [sys.executable, __file__, str(vocab_size), way]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            numbers = (found["gradient"], found["update"], found["gradient"] + found["update"])
            shown = "".join(f"{number:11.1f} ms" for number in numbers)
            print(f"{vocab_size:8,}{way:>10}{shown}{found['memory']:9.0f} MB", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(int(sys.argv[1]), sys.argv[2])))
    else:
        main()
