"""Several workers on this machine: the time of a step, the bytes that each worker sends and gets, and what follows.

    .venv/bin/python benchmarks/several_workers.py small medium

Each job trains a configuration of the Penn Treebank tutorial on made-up words of the same vocabulary, with 1, 2 and 4
workers, and with 2 workers and 2-bit compression.  All of its processes share this machine's cores, so more workers are
not faster here.  The bytes are those that pass the loopback device during the steps, which all processes of a job use
and which should be idle otherwise, for each step and worker.  Beside them stands what the KVStore has to carry: each
parameter once to the servers and once back, 4 bytes each way.

The last table is a model on paper, checked by the bytes above.  With N workers and as many servers on N machines, a
step takes a N-th of the time of one process on this machine, and then the time in which a machine sends and gets its
bytes, as a worker and as a server, at 1, 10 and 100 Gbit/s.  The two do not overlap in this model, and the latency of
the network is left out.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent
STEPS, WARM_UP = 20, 3
VOCAB_SIZE = 10_000
COMPRESSION = 0.001
SPEEDS = (1, 10, 100)  # Gbit/s
COUNTS = (2, 4, 8)  # workers of the model on paper


def loopback() -> int:
    """Return how many bytes the loopback device has received."""
    return int(re.search(r"^\s*lo:\s*(\d+)", Path("/proc/net/dev").read_text(), re.MULTILINE)[1])


def train(name: str, result: str, compression: float | None) -> None:
    """Take steps as a worker of a job, or alone; the first worker writes what it has measured."""
    import numpy

    import d2lrnn
    from d2lrnn._runtime import mx
    from d2lrnn.cluster.report import report_rank, report_ready
    from d2lrnn.config.presets import CONFIGS
    from d2lrnn.training.devices import Devices
    from d2lrnn.training.workers import ROLE, Workers

    workers = None
    if ROLE in os.environ:
        report_ready()
        workers = Workers(compression)
        report_rank(workers.rank)
    config = CONFIGS[name]
    d2lrnn.set_seed(1)
    model = d2lrnn.build_model(config.model, VOCAB_SIZE)
    training = d2lrnn.Training(
        model, config.training, d2lrnn.NextToken(VOCAB_SIZE), devices=Devices(model, workers=workers)
    )
    shape = (config.training.batch_size, config.training.num_steps)
    ids = numpy.random.default_rng(1).zipf(1.2, (2, *shape)) % VOCAB_SIZE
    X, Y = (mx.np.array(half, dtype="int32") for half in ids)
    for step in range(WARM_UP + STEPS):
        if step == WARM_UP:
            mx.npx.waitall()
            start, bytes_before = time.perf_counter(), loopback()
        training.step((X, Y), training.carried)
    mx.npx.waitall()
    seconds = time.perf_counter() - start
    if training.devices.is_first:
        count = sum(param.data().size for param in training.params.values())
        found = {"ms": 1000 * seconds / STEPS, "bytes": (loopback() - bytes_before) / STEPS, "parameters": count}
        Path(result).write_text(json.dumps(found))


def measure(name: str, count: int, compression: float | None = None) -> dict:
    """Return what a job of so many workers measures; 0: one process without servers."""
    from d2lrnn.cluster import Job, run_job

    with tempfile.TemporaryDirectory() as folder:
        result = str(Path(folder) / "result.json")
        more = [] if compression is None else ["--compression", str(compression)]
        command = (sys.executable, __file__, name, "--result", result, *more)
        environment = {**os.environ, "PYTHONPATH": str(BENCHMARKS.parent)}
        if count:
            server = (sys.executable, "-c", "import d2lrnn._runtime")
            run_job(Job(command, server, count, start_timeout=120.0, environment=environment), lambda line: None, print)
        else:
            os.spawnve(os.P_WAIT, sys.executable, command, environment)
        return json.loads(Path(result).read_text())


def report(names: list[str]) -> None:
    """Measure the configurations, and print the tables."""
    alone = {}
    print("configuration  workers  compressed   ms a step   MB a step and worker   to carry")
    for name in names:
        for count, compression in ((0, None), (1, None), (2, None), (4, None), (2, COMPRESSION)):
            found = measure(name, count, compression)
            alone.setdefault(name, found)
            parameters = found["parameters"]
            carried = parameters * (4 if compression is None else 0.25) + parameters * 4 if count else 0
            each = found["bytes"] / max(count, 1)
            who = str(count) if count else "alone"
            print(
                f"{name:13} {who:>8} {'yes' if compression else '':>11} {found['ms']:11.1f} {each / 1e6:22.1f} "
                f"{carried / 1e6:10.1f}",
                flush=True,
            )
    print("\nspeed-up on paper, N machines with a worker and a server each")
    print("configuration  Gbit/s   " + "   ".join(f"N = {n}" for n in COUNTS))
    for name, found in alone.items():
        for speed in SPEEDS:
            gains = []
            for n in COUNTS:
                # A machine sends its gradients to the other servers, and its part of the sums to the other workers.
                sent = 2 * 4 * found["parameters"] * (n - 1) / n
                gains.append(found["ms"] / (found["ms"] / n + 1000 * sent * 8 / (speed * 1e9)))
            print(f"{name:13} {speed:7}   " + "   ".join(f"{gain:5.2f}" for gain in gains))


def main() -> None:
    """Read the arguments, and report; or be a worker."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=("small", "medium", "large", "d2lrnn"))
    parser.add_argument("--result", help=argparse.SUPPRESS)
    parser.add_argument("--compression", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.result:
        train(args.names[0], args.result, args.compression)
    else:
        report(args.names)


if __name__ == "__main__":
    main()
