"""Is a line the first or the second of a couplet?  A recurrent classifier of texts beside three baselines.

The lines are those of the corpus "couplets", five characters each, without punctuation and each once. Half of them are
first lines, so a class alone says nothing. In a poem, the second line of a couplet rhymes, and mostly ends in a level
tone.

The baselines: the commonest class; logistic regression on which characters a line has; and the same on which character
stands at which place, which only lines of one length allow. Their weight decay is the best of four in validation.

    .venv/bin/python benchmarks/labelled_texts.py --data-dir FOLDER --out runs/couplet_lines

The rows, the split and the vocabulary are those of the command that it runs and prints. The results are written to
OUT/labelled_texts.jsonl: a line for each baseline, and the log of the run.
"""

import argparse
import csv
import json
import re
from pathlib import Path

import numpy

from d2lrnn.cli.main import main as d2lrnn
from d2lrnn.data import load_data_couplets
from d2lrnn.runs.classifier import ClassifierRun

COLUMNS = ("line", "place")
NUM_LINES = 60_000
SETTINGS = ("--batch-size", "128", "--num-epochs", "6", "--seed", "1")


def write_lines(path, data_dir):
    """Write a CSV file of lines with their places in their couplets, in random order."""
    corpus = load_data_couplets(data_dir=data_dir)
    couplets = [re.findall(r"\w+", couplet) for couplet in corpus.vocab.decode(corpus.train).split("\n")]
    lines = {}
    for couplet in couplets:
        if [len(line) for line in couplet] == [5, 5]:
            for line, place in zip(couplet, ("first", "second")):
                lines.setdefault(line, place)
    rows = list(lines.items())
    order = numpy.random.RandomState(1).permutation(len(rows))[:NUM_LINES]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *(rows[i] for i in order)])


def features(examples, places):
    """Return the features that each line has: its characters, or its characters at their places."""
    ids = numpy.stack(examples.ids)
    return ids + len(examples.vocab) * numpy.arange(5) if places else ids


def logistic_regression(X, labels, size, decay, steps=300, lr=0.1):
    """Return weights and bias of a logistic regression on features that a line has or has not, by Adam on all lines."""
    weights, memory = numpy.zeros(size + 1), [numpy.zeros(size + 1), numpy.zeros(size + 1)]
    for step in range(1, steps + 1):
        error = 1 / (1 + numpy.exp(-(weights[X].sum(axis=1) + weights[-1]))) - labels
        gradient = numpy.bincount(X.reshape(-1), numpy.repeat(error, X.shape[1]), size + 1) / len(X)
        gradient[-1] = error.mean()
        gradient[:-1] += decay * weights[:-1]
        for i, (beta, value) in enumerate(((0.9, gradient), (0.999, gradient**2))):
            memory[i] = beta * memory[i] + (1 - beta) * value
        mean, square = memory[0] / (1 - 0.9**step), memory[1] / (1 - 0.999**step)
        weights -= lr * mean / (numpy.sqrt(square) + 1e-8)
    return weights


def accuracy(weights, X, labels):
    """Return the share of the lines whose class is the likelier one."""
    return float(((weights[X].sum(axis=1) + weights[-1] > 0) == labels).mean())


def baselines(data):
    """Yield the name and the accuracies of each baseline."""
    majority = numpy.bincount(data.train.labels).argmax()
    yield "the commonest class", *(float((part.labels == majority).mean()) for part in (data.valid, data.test))
    for name, places in (("characters", False), ("characters at their places", True)):
        size = len(data.vocab) * (5 if places else 1)
        train, valid, test = ((features(part, places), part.labels) for part in (data.train, data.valid, data.test))
        found = [logistic_regression(*train, size, decay) for decay in (1e-6, 1e-5, 1e-4, 1e-3)]
        best = max(found, key=lambda weights: accuracy(weights, *valid))
        yield f"logistic regression on {name}", accuracy(best, *valid), accuracy(best, *test)


def main():
    """Write the lines, train, measure the baselines on the same split, and print and keep all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/couplet_lines"))
    args = parser.parse_args()
    file, run = args.out / "lines.csv", args.out / "run"
    write_lines(file, args.data_dir)
    columns = ["--text-column", COLUMNS[0], "--label-column", COLUMNS[1]]
    command = ["train", "--corpus", str(file), *columns, *SETTINGS, "--out", str(run), "--overwrite"]
    print("python -m d2lrnn", *command)
    status = d2lrnn(command)
    results = [
        {"baseline": name, "valid_accuracy": valid, "accuracy": test}
        for name, valid, test in baselines(ClassifierRun.open(run).data())
    ]
    for result in results:
        print(f"{result['baseline']}: validation {result['valid_accuracy']:.4f}, test {result['accuracy']:.4f}")
    lines = [*map(json.dumps, results), *(run / "log.jsonl").read_text().splitlines()]
    (args.out / "labelled_texts.jsonl").write_text("\n".join(lines) + "\n")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
