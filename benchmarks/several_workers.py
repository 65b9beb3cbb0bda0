"""Several workers on this machine: the time of a step, the bytes that each worker sends and gets, and what follows.

    .venv/bin/python benchmarks/several_workers.py small medium large d2lrnn
    .venv/bin/python benchmarks/several_workers.py --learn
    .venv/bin/python benchmarks/several_workers.py --rounding

Each job trains a configuration of the Penn Treebank tutorial on made-up words of the same vocabulary, with 1, 2 and 4
workers, and with 2 workers and 2-bit compression.  All of its processes share this machine's cores, so more workers are
not faster here.  The bytes are those that pass the loopback device during the steps, which all processes of a job use
and which should be idle otherwise, for each step and worker.  Beside them stands what the KVStore has to carry: each
parameter once to the servers and once back, 4 bytes each way.

The last table is a model on paper, checked by the bytes above.  With N workers and as many servers on N machines, a
step takes a N-th of the time of one process on this machine, and then the time in which a machine sends and gets its
bytes, as a worker and as a server, at 1, 10 and 100 Gbit/s.  The two do not overlap in this model, and the latency of
the network is left out.

With --learn, one process, two workers, and two workers with several thresholds of compression take the first steps of
the configuration small on the real Penn Treebank, always from the same seed.  The table has what they have learnt.

With --rounding, one process takes the first of these steps, then one with two contexts, which give what two workers
give, bit for bit, and then one whose first parameters are changed by a ten-millionth.  The table has how far the losses
are from those of the first.

With --keep FILE, what has been measured is kept there, and is not measured again when the program is started again.
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
STEPS, WARM_UP = {"small": 20, "medium": 20, "large": 6, "d2lrnn": 8}, 2
LEARNT = 500  # steps of --learn
THRESHOLDS = (0.0001, 0.001, 0.01)  # of --learn
AFTER = (10, 20, 30, 40, 50)  # steps of --rounding
VOCAB_SIZE = 10_000
COMPRESSION = 0.001
SPEEDS = (1, 10, 100)  # Gbit/s
COUNTS = (2, 4, 8)  # workers of the model on paper


def loopback() -> int:
    """Return how many bytes the loopback device has received."""
    return int(re.search(r"^\s*lo:\s*(\d+)", Path("/proc/net/dev").read_text(), re.MULTILINE)[1])


def training_of(name: str, compression: float | None, contexts: tuple = ()):
    """Return the training of a configuration, as a worker of a job, or alone."""
    import d2lrnn
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
    devices = Devices(model, contexts, workers)
    return d2lrnn.Training(model, config.training, d2lrnn.NextToken(VOCAB_SIZE), devices=devices)


def take_steps(name: str, compression: float | None) -> dict:
    """Take steps on made-up words, and return what they have taken; nothing if this worker is not the first."""
    import numpy

    from d2lrnn._runtime import mx

    training = training_of(name, compression)
    shape = (training.config.batch_size, training.config.num_steps)
    ids = numpy.random.default_rng(1).zipf(1.2, (2, *shape)) % VOCAB_SIZE
    X, Y = (mx.np.array(half, dtype="int32") for half in ids)
    for step in range(WARM_UP + STEPS[name]):
        if step == WARM_UP:
            mx.npx.waitall()
            start, bytes_before = time.perf_counter(), loopback()
        training.step((X, Y), training.carried)
    mx.npx.waitall()
    seconds, num_bytes = time.perf_counter() - start, loopback() - bytes_before
    count = sum(param.data().size for param in training.params.values())
    if not training.devices.is_first:
        return {}
    return {"ms": 1000 * seconds / STEPS[name], "bytes": num_bytes / STEPS[name], "parameters": count}


def first_losses(training, count: int) -> list[float]:
    """Take the first steps on the Penn Treebank, and return the loss of each."""
    import d2lrnn

    config, state, losses = training.config, None, []
    batches = d2lrnn.data_iter_consecutive(d2lrnn.load_data_ptb().train, config.batch_size, config.num_steps)
    for batch, _ in zip(batches, range(count)):
        loss, _, state, _ = training.step(batch, state)
        losses.append(float(loss))
    return losses


def learn(name: str, compression: float | None) -> dict:
    """Take the first steps on the Penn Treebank, and return what they give; nothing if this worker is not the first."""
    import d2lrnn
    from d2lrnn.training.language_model import perplexity_on

    training, corpus = training_of(name, compression), d2lrnn.load_data_ptb()
    config, losses = training.config, first_losses(training, LEARNT)
    if not training.devices.is_first:
        return {}
    perplexity = perplexity_on(training.model, corpus.valid, corpus.vocab, config, config.batch_size)
    return {"loss": sum(losses[-100:]) / 100, "perplexity": perplexity}


def measure(name: str, count: int, compression: float | None = None, learns: bool = False) -> dict:
    """Return what a job of so many workers measures; 0: one process without servers."""
    from d2lrnn.cluster import Job, run_job

    with tempfile.TemporaryDirectory() as folder:
        result = str(Path(folder) / "result.json")
        more = ["--learn"] * learns + ([] if compression is None else ["--compression", str(compression)])
        command = (sys.executable, __file__, name, "--result", result, *more)
        environment = {**os.environ, "PYTHONPATH": str(BENCHMARKS.parent)}
        if count:
            server = (sys.executable, "-c", "import d2lrnn._runtime")
            run_job(Job(command, server, count, start_timeout=120.0, environment=environment), lambda line: None, print)
        else:
            os.spawnve(os.P_WAIT, sys.executable, command, environment)
        return json.loads(Path(result).read_text())


class Kept:
    """What has been measured, in a file, a line of JSON for each job; None: it is not kept."""

    def __init__(self, file: Path | None) -> None:
        self.file, self._found = file, {}
        for line in file.read_text().splitlines() if file and file.exists() else ():
            key, found = json.loads(line)
            self._found[tuple(key)] = found

    def measure(self, *job) -> dict:
        """Return what a job measures, or has measured."""
        if job not in self._found:
            self._found[job] = measure(*job)
            if self.file:
                with self.file.open("a") as lines:
                    print(json.dumps([job, self._found[job]]), file=lines)
        return self._found[job]


def report(names: list[str], kept: Kept) -> None:
    """Measure the configurations, and print the tables."""
    alone = {}
    print("configuration  workers  compressed   ms a step   MB a step and worker   to carry")
    for name in names:
        for count, compression in ((0, None), (1, None), (2, None), (4, None), (2, COMPRESSION)):
            found = kept.measure(name, count, compression)
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


def report_learning(kept: Kept) -> None:
    """Let one process and two workers learn, and print the table."""
    print(f"Penn Treebank small, {LEARNT} steps, seed 1")
    print("workers  threshold   loss of the last 100 steps   perplexity in validation")
    for count, compression in ((0, None), (2, None), *((2, threshold) for threshold in THRESHOLDS)):
        found = kept.measure("small", count, compression, True)
        who = str(count) if count else "alone"
        print(
            f"{who:>7} {'' if compression is None else f'{compression:g}':>10} {found['loss']:28.4f} "
            f"{found['perplexity']:26.1f}",
            flush=True,
        )


def report_rounding() -> None:
    """Print how far rounding, and a tiny change of the start, move the losses of the first steps."""
    import numpy

    from d2lrnn._runtime import mx
    from d2lrnn.models.parameters import get_values

    def change(training) -> None:
        signs = numpy.random.default_rng(5)
        for param in training.params.values():
            values = get_values(param)
            changed = values.asnumpy() * (1 + 1e-7 * signs.choice([-1, 1], values.shape))
            values[:] = mx.np.array(changed.astype("float32"))

    found = {}
    for name, contexts, prepare in (
        ("one process", (), lambda training: None),
        ("two contexts", (mx.cpu(0), mx.cpu(1)), lambda training: None),
        ("another start", (), change),
    ):
        training = training_of("small", None, contexts)
        prepare(training)
        found[name] = numpy.array(first_losses(training, AFTER[-1] + 1))
    print("Penn Treebank small, seed 1: difference of the loss to that of one process\n")
    print("after steps   " + "".join(f"{step:>10}" for step in AFTER))
    for name in ("two contexts", "another start"):
        differences = numpy.abs(found[name] - found["one process"])
        print(f"{name:14}" + "".join(f"{differences[step]:10.1e}" for step in AFTER))


def main() -> None:
    """Read the arguments, and report; or be a worker."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(STEPS))
    parser.add_argument("--learn", action="store_true", help="what compression costs, instead of times and bytes")
    parser.add_argument("--rounding", action="store_true", help="what rounding does, instead of times and bytes")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="where to keep what has been measured")
    parser.add_argument("--result", help=argparse.SUPPRESS)
    parser.add_argument("--compression", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not set(args.names) <= set(STEPS):
        parser.error(f"expected names among {', '.join(STEPS)}")
    if args.result:
        found = (learn if args.learn else take_steps)(args.names[0], args.compression)
        if found:
            Path(args.result).write_text(json.dumps(found))
        return
    kept = Kept(args.keep)
    if args.names:
        report(args.names, kept)
    if args.learn:
        report_learning(kept)
    if args.rounding:
        report_rounding()


if __name__ == "__main__":
    main()
