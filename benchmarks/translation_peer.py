"""The translators of d2lrnn in PyTorch: do they translate as well, and how long does a training step take?

    .venv/bin/python benchmarks/translation_peer.py check translate-en-zh
    .venv/bin/python benchmarks/translation_peer.py train translate-en-zh --seed 1
    .venv/bin/python benchmarks/translation_peer.py speed translate-en-zh --threads 1

PyTorch has to be installed beside d2lrnn.  Both models have the same sizes, sentence pairs, batches in the same order,
first parameters, optimiser, schedule, clipping and places of dropout.  Only the numbers that dropout draws differ.

``check`` takes steps without dropout and prints how far the losses, and the gradients' norms, of the two are apart.

``train`` trains in PyTorch.  After each epoch, and for the test, the parameters are copied into the translator on
Gluon, which measures perplexity, BLEU and chrF: the two compute the same, as ``check`` and the tests show.  The log is
written like that of a run of d2lrnn.  Where the training stands is kept in runs/ after each epoch; the same command
goes on from there.

``speed`` times training steps on the first batches of an epoch.  The two have a process each and take turns, and each
turn is on all of these batches, which both have seen before.  So what either makes for a batch of new sizes is not
timed: the 298 batches of translate-en-zh have 128 different sizes in the first epoch, and 15 new ones in the second.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy
import torch
from speed.environment import ROOT, describe, worker_environment
from speed.neighbours import Neighbours, cpu_seconds
from speed.torch_translator import TorchTraining, TorchTranslator, to_torch
from speed.workers import WorkerProcess

import d2lrnn
from d2lrnn.config.model import Dropout
from d2lrnn.config.presets import CONFIGS
from d2lrnn.data.pair_sets import load_pairs
from d2lrnn.evaluation.losses import perplexity
from d2lrnn.models.parameters import numbers_of, set_values
from d2lrnn.runs.log import machine
from d2lrnn.runs.translator import form_of
from d2lrnn.runs.whole_file import whole_file
from d2lrnn.training.loop import Training
from d2lrnn.training.optimisers import learning_rate
from d2lrnn.training.seeds import seed_batch, set_seed
from d2lrnn.training.translation import Translation

NUM_CHECKED = 20  # steps
LSTM = {"weight_ih": "i2h_weight", "weight_hh": "h2h_weight", "bias_ih": "i2h_bias", "bias_hh": "h2h_bias"}
NAMES = {  # of the parameters, in PyTorch and on Gluon
    "source_embedding.weight": "encoder.embedding.weight",
    **{f"encoder.{name}_l0": f"encoder.rnn._unfused.0.l_cell.{ours}" for name, ours in LSTM.items()},
    **{f"encoder.{name}_l0_reverse": f"encoder.rnn._unfused.0.r_cell.{ours}" for name, ours in LSTM.items()},
    **{f"bridge_H.{name}": f"bridge.0.{name}" for name in ("weight", "bias")},
    **{f"bridge_C.{name}": f"bridge.1.{name}" for name in ("weight", "bias")},
    "target_embedding.weight": "decoder.embedding.weight",
    **{f"decoder.{name}_l0": f"decoder.rnn._unfused.0.{ours}" for name, ours in LSTM.items()},
    "query.weight": "decoder.attention.query.weight",
    **{f"dense.{name}": f"decoder.dense.{name}" for name in ("weight", "bias")},
}
COMBINE, PARTS = "combine.weight", ("decoder.of_context.weight", "decoder.of_hidden.weight")  # parts side by side


def task_of(name: str, seed: int, dropout: float | None = None) -> Translation:
    """Return the task of a named configuration with a model on Gluon; ``dropout`` takes the place of its own."""
    named = CONFIGS[name]
    config = dataclasses.replace(named.training, seed=seed)
    data = load_pairs(named.corpus, form=form_of(named.translation, config.num_steps, named.model.share))
    given = {} if dropout is None else {"dropout": Dropout.of(dropout)}
    model_config = dataclasses.replace(named.model, num_outputs=len(data.target), **given)
    set_seed(seed)
    return Translation(d2lrnn.build_model(model_config, len(data.source)), data, config, named.translation)


def sizes_of(name: str, task: Translation) -> dict:
    """Return what a :class:`TorchTranslator` takes of a configuration and its data."""
    config = CONFIGS[name].model
    sizes = {"embed_size": config.embed_size, "num_hiddens": config.num_hiddens, "dropout": config.dropout.inputs}
    return {"vocab_size": len(task.data.source), "num_outputs": len(task.data.target), **sizes}


def into_torch(model, theirs: TorchTranslator) -> None:
    """Copy the parameters of a translator on Gluon."""
    values = numbers_of(model.parameters())
    found = {name: values[ours] for name, ours in NAMES.items()}
    found[COMBINE] = numpy.concatenate([values[part] for part in PARTS], axis=1)
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in found.items()})


def into_gluon(parameters: dict, model) -> None:
    """Copy the parameters of a :class:`TorchTranslator`, its ``state_dict``."""
    values = {NAMES[name]: tensor.numpy() for name, tensor in parameters.items() if name != COMBINE}
    combine = parameters[COMBINE].numpy()
    width = combine.shape[1] - combine.shape[0]  # of a context
    values |= dict(zip(PARTS, (combine[:, :width], combine[:, width:])))
    for name, param in model.parameters().items():
        set_values(param, values[name])


def arrays_of(batch: tuple) -> tuple:
    """Return X, Y_in, Y_out and weights of a batch as NumPy."""
    X, counted, *rest = batch
    assert counted is None, "the model in PyTorch has no mask for padded sources"
    return tuple(array.asnumpy() for array in (X, *rest))


def check(args: argparse.Namespace) -> None:
    """Take the same steps by both, without dropout."""
    task = task_of(args.config, args.seed, dropout=0.0)
    config = task.config
    ours = Training(task.model, config, task.objective)
    theirs = TorchTraining(TorchTranslator({**sizes_of(args.config, task), "dropout": 0.0}), config.theta)
    into_torch(task.model, theirs.model)
    seed_batch(config.seed, 1, 0)
    differences = numpy.zeros((NUM_CHECKED, 2))
    for i, batch in zip(range(NUM_CHECKED), task.batches()):
        X, Y_in, Y_out, _ = arrays_of(batch)
        step = ours.step(batch, None, config.lr)
        expected = theirs.step(*map(to_torch, (X, Y_in, Y_out)), config.lr)
        found = float(step.loss), step.norm
        differences[i] = [abs(one / other - 1) for one, other in zip(found, expected)]
        print(f"step {i + 1}: loss {found[0]:.7f} and {expected[0]:.7f}, norm {found[1]:.6f} and {expected[1]:.6f}")
    largest = differences.max(axis=0)
    print(f"largest relative differences in {NUM_CHECKED} steps: loss {largest[0]:.1e}, gradient norm {largest[1]:.1e}")


def train(args: argparse.Namespace) -> None:
    """Train in PyTorch; write the log after each epoch."""
    task = task_of(args.config, args.seed)
    kept = args.kept or ROOT / "runs" / f"{args.config}-{args.seed}-torch.pt"
    training = TorchTraining(TorchTranslator(sizes_of(args.config, task)), task.config.theta)
    into_torch(task.model, training.model)
    entries, best = [head(args, task)], {}
    if kept.exists():
        found = torch.load(kept)
        training.model.load_state_dict(found["model"])
        training.optimizer.load_state_dict(found["optimizer"])
        training.steps = found["steps"]
        entries, best = [json.loads(line) for line in found["log"].splitlines()], found["best"]
        print(f"going on after epoch {len(entries) - 1}, which {kept} holds")
    for epoch in range(len(entries), task.config.num_epochs + 1):
        entry = train_epoch(task, training, epoch)
        parameters = {name: tensor.clone() for name, tensor in training.model.state_dict().items()}
        into_gluon(parameters, task.model)
        entry["valid_perplexity"] = task.validation(lambda: None)
        if not best or entry["valid_perplexity"] <= best["valid_perplexity"]:
            best = {"epoch": epoch, "valid_perplexity": entry["valid_perplexity"], "parameters": parameters}
        entries.append(entry)
        log = "".join(json.dumps(entry) + "\n" for entry in entries)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(kept) as file:
            optimizer = {"optimizer": training.optimizer.state_dict(), "steps": training.steps}
            torch.save({"model": parameters, **optimizer, "log": log, "best": best}, file)
        write(args.log, entries)
        print(json.dumps(entry), flush=True)
    into_gluon(best["parameters"], task.model)
    tested = task.test(task.model)
    entries.append({"event": "test", **tested, **task.tested_with, "of_epoch": best["epoch"]})
    write(args.log, entries)
    print(json.dumps(entries[-1]))


def head(args: argparse.Namespace, task: Translation) -> dict:
    """Return the first line of the log."""
    return {
        "event": "begin",
        "command": shlex.join(["python", *sys.argv]),
        "measure": task.objective.measure,
        "less_is_better": True,
        "model": sizes_of(args.config, task),
        "training": dataclasses.asdict(task.config),
        "corpus": task.data.name,
        "machine": {**machine(), "torch": torch.__version__, "torch_threads": torch.get_num_threads()},
    }


def train_epoch(task: Translation, training: TorchTraining, epoch: int) -> dict:
    """Train for an epoch on the batches that a run of d2lrnn has in it, and return its entry for the log."""
    config = task.config
    seed_batch(config.seed, epoch, 0)
    torch.manual_seed(config.seed * 1000 + epoch)
    batches = task.batches()
    loss_sum, tokens, norms, seconds, lr = 0.0, 0, [], 0.0, 0.0
    for i, batch in enumerate(batches):
        X, Y_in, Y_out, weights = arrays_of(batch)
        ids, count = [to_torch(array) for array in (X, Y_in, Y_out)], int(weights.sum())
        start = time.perf_counter()
        lr = learning_rate(config, epoch, i / batches.num_batches)
        loss, norm = training.step(*ids, lr)
        seconds += time.perf_counter() - start
        loss_sum, tokens = loss_sum + loss * count, tokens + count
        norms.append(norm)
    return {
        "event": "epoch",
        "epoch": epoch,
        "perplexity": perplexity(loss_sum, tokens),
        "lr": lr,
        "grad_norm": statistics.fmean(norms),
        "tokens_per_second": tokens / seconds,
        "seconds": seconds,
    }


def write(path: Path, entries: list[dict]) -> None:
    """Write a log."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write("".join(json.dumps(entry) + "\n" for entry in entries).encode())


def speed(args: argparse.Namespace) -> None:
    """Time the steps of both in turns; print milliseconds, and those of the CPU, for 1,000 tokens of the target."""
    task = task_of(args.config, args.seed)
    seed_batch(args.seed, 1, 0)
    batches = [arrays_of(batch) for batch in task.batches()][: args.steps]
    tokens = numpy.array([weights.sum() for *_, weights in batches])
    training = {"theta": task.config.theta, "lr": task.config.lr}
    environment = worker_environment(args.threads)
    environment["PYTHONPATH"] = str(ROOT)
    workers = {family: WorkerProcess(family, sys.executable, environment) for family in ("ours", "torch")}
    found: dict[str, list[tuple[float, float]]] = {family: [] for family in workers}
    neighbours = Neighbours()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "batches.npz"
        numpy.savez(file, *(array for batch in batches for array in batch))
        params = {"config": args.config, **sizes_of(args.config, task), **training, "batches": str(file)}
        for family, worker in workers.items():
            worker.ask("prepare", implementation=family, task="translation", params=params, warm_up=len(batches))
    print(json.dumps(describe(args.threads)), flush=True)
    print("milliseconds for 1,000 tokens of the target:")
    place = 0
    for i in range(args.rounds):
        neighbours.share(worker.process.pid for worker in workers.values())
        place += 1  # the first step of a turn is not timed
        timed, all_of_turn = (
            tokens[numpy.arange(first, place + len(batches)) % len(batches)].sum() for first in (place, place - 1)
        )
        for family in list(workers)[:: -1 if i % 2 else 1]:  # the two take turns in being first
            begin = cpu_seconds(workers[family].process.pid)
            times = workers[family].ask("round", implementation=family, count=len(batches))
            used = cpu_seconds(workers[family].process.pid) - begin
            found[family].append((1e3 * sum(times) / timed, 1e6 * used / all_of_turn))
        place += len(batches)
        share = neighbours.share(worker.process.pid for worker in workers.values())
        print(f"round {i + 1}: {in_words(*(found[family][-1:] for family in workers))}", end="; ")
        print(f"others used {share or 0:.0%} of the machine", flush=True)
    print(f"{args.config}, threads: {args.threads}, rounds of {len(batches)} steps, medians of {args.rounds}: ", end="")
    print(in_words(*found.values()))
    for worker in workers.values():
        worker.stop()


def in_words(ours: list[tuple[float, float]], theirs: list[tuple[float, float]]) -> str:
    """Return the medians of times and CPU times, and their ratios, as a text."""
    parts = []
    for name, one, other in zip(("", "of the CPU "), zip(*ours), zip(*theirs)):
        medians = statistics.median(one), statistics.median(other)
        parts.append(f"ours {medians[0]:.1f}, PyTorch {medians[1]:.1f} ms {name}(ratio {medians[0] / medians[1]:.3f})")
    return ", ".join(parts)


def main() -> None:
    """Check, train or time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["check", "train", "speed"])
    parser.add_argument("config", choices=["translate-en-zh", "translate-zh-en"])
    parser.add_argument("--seed", type=int, default=1, help="of the batches and first parameters (%(default)s)")
    parser.add_argument("--log", type=Path, help="of train (a file in runs/)")
    parser.add_argument("--kept", type=Path, help="where train stands (a file in runs/)")
    parser.add_argument("--threads", type=int, default=1, help="of each process of speed (%(default)s)")
    parser.add_argument("--rounds", type=int, default=8, help="turns of each in speed (%(default)s)")
    parser.add_argument("--steps", type=int, default=100, help="of a turn in speed (%(default)s)")
    args = parser.parse_args()
    args.log = args.log or Path("runs") / f"{args.config}-{args.seed}-torch.jsonl"
    {"check": check, "train": train, "speed": speed}[args.what](args)


if __name__ == "__main__":
    main()
