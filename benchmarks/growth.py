"""What a large text costs: time and memory to load it, to learn from it, and to go on for long.

    .venv/bin/python benchmarks/growth.py load 20 200 1000
    .venv/bin/python benchmarks/growth.py corpus 1 10 100
    .venv/bin/python benchmarks/growth.py shape
    .venv/bin/python benchmarks/growth.py steps
    .venv/bin/python benchmarks/growth.py resume

``load`` makes texts of so many million bytes, loads each in a fresh process, and removes them again.  Their characters
are drawn by Zipf's law from 6,000 Chinese ones, a twentieth of them are line ends.  The time is that of
``load_corpus``; the file lies in the system's memory, since it was just written.  The peak is the largest resident
memory of the process less what it had before.

``corpus`` takes steps on corpora of so many million ids, ``shape`` on batches of other sizes, ``steps`` thousands of
them; the model is a GRU on Gluon with 64 hidden units and a vocabulary of 1,000.  Each time is the least of three
rounds, in turn over the cases.

``resume`` is the memory of Penn Treebank medium before and after the 49 batches that a resumed training reads at most.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VOCAB_SIZE = 1000
CASES = {  # of load: what the text consists of, and the other arguments of load_corpus
    "characters": ("zh", {}),
    "characters, a tenth held out": ("zh", {"held_out": 0.1}),
    "lines": ("zh", {"lines": True}),
    "characters, ids in a file": ("zh", {}),
    "a million different characters": ("all", {}),
    "pairs of characters": ("zh", {"level": "bigram"}),
    "words": ("words", {"level": "word"}),
}


def write_text(path: Path, kind: str, size: int) -> None:
    """Write a text of about ``size`` bytes, drawn with one seed."""
    import numpy

    draw, count = numpy.random.default_rng(1), 2**18
    shares = 1 / numpy.arange(1, 6001)
    ends = numpy.cumsum(shares / shares.sum())
    with path.open("wb") as file:
        while file.tell() < size:
            if kind == "words":
                text = " ".join(f"w{number}" for number in draw.zipf(1.3, count // 4) % 200_000) + "\n"
            else:
                if kind == "zh":
                    points = 0x4E00 + numpy.minimum(ends.searchsorted(draw.random(count)), 5999)
                else:
                    points = draw.integers(32, 0x110000, count)
                    points[(points >= 0xD800) & (points < 0xE000)] = 32
                points[draw.random(count) < 0.05] = ord("\n")
                text = points.astype("<u4").tobytes().decode("utf-32-le")
            file.write(text.encode())


def resident() -> int:
    """Return how many bytes of this process are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def load_once(path: str, case: str) -> None:
    """Load a text, and print what it took."""
    from d2lrnn.data import kept_numbers
    from d2lrnn.data.datasets import load_corpus

    if case.endswith("in a file"):
        kept_numbers.memory = lambda: 0
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    corpus = load_corpus(path, **CASES[case][1])
    seconds = time.perf_counter() - start
    peak = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    splits = [ids for ids in (corpus.train, corpus.valid, corpus.test) if ids is not None]
    tokens = sum(map(len, splits))
    print(json.dumps({"seconds": seconds, "peak": peak, "tokens": tokens, "different": corpus.vocab_size}))


def load(sizes: list[int]) -> None:
    """Print a table of the time and memory that texts take."""
    print("MB of text  what is read                          tokens  different  seconds  peak MB  bytes a token")
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            for kind in dict.fromkeys(kind for kind, _ in CASES.values()):
                path = Path(folder, "text")
                cases = [case for case in CASES if CASES[case][0] == kind and (size <= 200 or CASES[case][1] == {})]
                if size > 200 and kind != "zh":
                    continue
                write_text(path, kind, size * 10**6)
                for case in cases:
                    command = [sys.executable, __file__, "load-once", str(path), case]
                    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
                    found = json.loads(subprocess.check_output(command, text=True, env=environment))
                    print(
                        f"{size:10,}  {case:31} {found['tokens']:12,} {found['different']:10,} {found['seconds']:8.1f} "
                        f"{found['peak'] / 1e6:8.0f} {found['peak'] / found['tokens']:14.1f}",
                        flush=True,
                    )
                path.unlink()


class Steps:
    """A training of a small model, of which steps can be timed."""

    def __init__(self, size: int, batch_size: int, num_steps: int) -> None:
        import numpy

        import d2lrnn

        config = d2lrnn.TrainConfig(batch_size=batch_size, num_steps=num_steps, verbose=False)
        model = d2lrnn.build_model(d2lrnn.ModelConfig(kind="gluon", cell="gru", num_hiddens=64), VOCAB_SIZE)
        self._training = d2lrnn.Training(model, config, d2lrnn.NextToken(VOCAB_SIZE))
        ids = numpy.random.default_rng(1).integers(0, VOCAB_SIZE, size, dtype=numpy.int32)
        ids.setflags(write=False)
        self._make = lambda: d2lrnn.data_iter_random(ids, batch_size, num_steps)
        self.tokens, self._batches = batch_size * num_steps, self._make()
        self.take(5)

    def take(self, count: int) -> float:
        """Take steps, and return the microseconds of each token."""
        from d2lrnn._runtime import mx

        start = time.perf_counter()
        for _ in range(count):
            batch = next(self._batches, None)
            if batch is None:
                self._batches = self._make()
                batch = next(self._batches)
            self._training.step(batch, None)
        mx.npx.waitall()
        return 1e6 * (time.perf_counter() - start) / count / self.tokens


def compare(cases: dict[str, Steps], count: int) -> None:
    """Print the time of a token in each case: the least of three rounds, in turn over the cases."""
    found = {name: [] for name in cases}
    for _ in range(3):
        for name, steps in cases.items():
            found[name].append(steps.take(count))
    for name, times in found.items():
        print(f"{name:40} {min(times):8.2f} us a token {min(times) * cases[name].tokens / 1e3:8.1f} ms a step")


def grow() -> None:
    """Print the memory of a training after more and more steps."""
    steps, taken = Steps(10**6, 16, 20), 5
    for wanted in (100, 1000, 3000, 10_000):
        steps.take(wanted - taken)
        taken = wanted
        print(f"after {taken:6,} steps: {resident() / 1e6:8.1f} MB resident", flush=True)


def resume() -> None:
    """Print the memory of Penn Treebank medium around what a training that is resumed reads without a step."""
    import numpy

    import d2lrnn
    from d2lrnn._runtime import mx
    from d2lrnn.config.presets import CONFIGS
    from d2lrnn.training.loop import SEGMENT

    config, vocab_size = CONFIGS["medium"], 10_000
    model = d2lrnn.build_model(config.model, vocab_size)
    training = d2lrnn.Training(model, config.training, d2lrnn.NextToken(vocab_size))
    shape = config.training.batch_size, config.training.num_steps
    ids = mx.np.array(numpy.random.default_rng(1).integers(0, vocab_size, shape), dtype="int32")

    def step() -> None:
        training.step((ids, ids), None)

    def read() -> None:
        training.devices.read(training.objective, (ids, ids))

    for what, call, count in (("steps", step, 5), ("batches read", read, SEGMENT - 1), ("more steps", step, 5)):
        for _ in range(count):
            call()
        mx.npx.waitall()
        print(f"after {count:2} {what + ':':14} {resident() / 1e6:8.1f} MB resident", flush=True)


def main() -> None:
    """Read the arguments, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("load", "corpus", "shape", "steps", "resume", "load-once"))
    parser.add_argument("more", nargs="*", help="sizes: of load in MB of text, of corpus in millions of ids")
    args = parser.parse_args()
    if args.what == "load-once":
        return load_once(*args.more)
    if args.what == "load":
        return load([int(size) for size in args.more] or [20, 200])
    if args.what == "corpus":
        sizes = [int(size) for size in args.more] or [1, 10, 100]
        return compare({f"{size:,} million ids": Steps(size * 10**6, 32, 35) for size in sizes}, 20)
    if args.what == "shape":
        shapes = [(32, num_steps) for num_steps in (5, 35, 70, 140)] + [(size, 35) for size in (8, 16, 64, 128)]
        return compare({f"batch_size {b}, num_steps {t}": Steps(10**6, b, t) for b, t in shapes}, 10)
    return grow() if args.what == "steps" else resume()


if __name__ == "__main__":
    main()
