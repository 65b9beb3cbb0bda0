"""Show where the time of a training step goes, operator by operator.

    .venv/bin/python benchmarks/profile_step.py fast-lstm     # or scratch-lstm, gluon-lstm, ptb-small

The program sets MXNET_EXEC_BULK_EXEC_TRAIN=0.  Otherwise MXNet would report bulks of operators and not single ones.
"""

import argparse
import os
import re
import tempfile
from pathlib import Path

os.environ["MXNET_EXEC_BULK_EXEC_TRAIN"] = "0"

import numpy

import d2lrnn
from d2lrnn._runtime import mx

STEPS = 10
CASES = {  # model, vocabulary, batch, steps
    "scratch-lstm": (d2lrnn.ModelConfig("scratch", "lstm"), 1027, 32, 35),
    "fast-lstm": (d2lrnn.ModelConfig("fast", "lstm"), 1027, 32, 35),
    "gluon-lstm": (d2lrnn.ModelConfig("gluon", "lstm", embed_size=256), 1027, 32, 35),
    "ptb-small": (d2lrnn.ModelConfig("gluon", "lstm", 200, 2, embed_size=200), 10000, 20, 20),
}


def main() -> None:
    """Print the operators of one case, the longest first, in milliseconds a step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=CASES)
    case = parser.parse_args().case
    config, vocab_size, batch_size, num_steps = CASES[case]
    d2lrnn.set_seed(0)
    model = d2lrnn.build_model(config, vocab_size)
    step = d2lrnn.Training(
        model, d2lrnn.TrainConfig(batch_size=batch_size, num_steps=num_steps), d2lrnn.NextToken(model.vocab_size)
    ).step
    ids = numpy.random.default_rng(0).zipf(1.2, (batch_size, num_steps + 1)) % vocab_size
    X, Y = (mx.np.array(half, dtype="int32") for half in (ids[:, :-1], ids[:, 1:]))
    state = None
    for i in range(2 * STEPS):
        if i == STEPS:
            mx.npx.waitall()
            # Not /dev/null: MXNet removes the file and makes it anew, which root may do with any file.
            unread = Path(tempfile.gettempdir()) / "d2lrnn-profile.json"
            mx.profiler.set_config(profile_imperative=True, aggregate_stats=True, filename=str(unread))
            mx.profiler.set_state("run")
        loss, _, state, _ = step((X, Y), state)
        loss.item()
    mx.npx.waitall()
    mx.profiler.set_state("stop")
    table = mx.profiler.dumps(sort_by="total").split("operator\n")[-1]
    found = re.findall(r"^(\w+) +(\d+) +([\d.]+)", table, flags=re.MULTILINE)
    busy = [(name, int(count), float(total)) for name, count, total in found if not name.startswith(("Wait", "Delete"))]
    whole = sum(total for *_, total in busy) / STEPS
    print(f"{case}, {os.environ['OMP_NUM_THREADS']} threads: {whole:.1f} ms a step in operators")
    print(f"{'operator':32} calls a step   ms a step")
    for name, count, total in busy[:16]:
        print(f"{name:32} {count / STEPS:12.0f}   {total / STEPS:9.2f}")


if __name__ == "__main__":
    main()
