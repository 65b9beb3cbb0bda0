"""Train with the book's settings, and print the last perplexity of each model with a figure to hold it against.

The book's settings: the first 10,000 characters of the lyrics, 256 hidden units, 35 steps, batches of 32, learning
rate 100, gradients clipped to 0.01; 250 epochs of the RNN, 160 of the GRU and the LSTM.  The log gets a line for every
finished run, and a run that is in the log is not done again.  So the command can be stopped and started again:

    D2LRNN_DATA=folder/with/the/lyrics .venv/bin/python benchmarks/book_figures.py

What the book's own code reaches with the LSTM is in benchmarks/results/book_lstm_peer.txt.
"""

import argparse
import json
import os
import platform
import statistics
from pathlib import Path

import d2lrnn

# kind and cell: epochs, and a guide, a rough figure to hold the median against; the program does not compare the two
CASES = {
    ("scratch", "rnn"): (250, 1.9),
    ("gluon", "rnn"): (250, 1.9),
    ("scratch", "gru"): (160, 2.0),
    ("scratch", "gru_reset_after"): (160, 1.6),
    ("gluon", "gru"): (160, 1.6),
    ("scratch", "lstm"): (160, 4.0),
    ("gluon", "lstm"): (160, 4.0),
}


def run(kind: str, cell: str, seed: int, corpus: d2lrnn.Corpus) -> dict:
    """Train one model and return its line for the log."""
    d2lrnn.set_seed(seed)
    model = d2lrnn.build_model(d2lrnn.ModelConfig(kind, cell), corpus.vocab_size)
    config = d2lrnn.TrainConfig(num_epochs=CASES[kind, cell][0], seed=seed, verbose=False)
    history = d2lrnn.train_and_predict(model, corpus, config)
    return {
        "kind": kind,
        "cell": cell,
        "seed": seed,
        "epochs": len(history.perplexity),
        "perplexity": round(history.perplexity[-1], 4),
        "seconds": round(sum(history.seconds), 1),
        "perplexity_at": {e: round(history.perplexity[e - 1], 2) for e in range(40, len(history.perplexity) + 1, 40)},
        "python": platform.python_version(),
        "threads": os.environ["OMP_NUM_THREADS"],
    }


def main() -> None:
    """Do the runs that are not in the log yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--log", type=Path, default=Path(__file__).parent / "results" / "book_figures.jsonl")
    args = parser.parse_args()
    corpus = d2lrnn.load_data_jay_lyrics()
    args.log.parent.mkdir(exist_ok=True)
    rows = [json.loads(line) for line in args.log.read_text().splitlines()] if args.log.exists() else []
    done = {(row["kind"], row["cell"], row["seed"]) for row in rows}
    for seed in args.seeds:
        for kind, cell in CASES:
            if (kind, cell, seed) not in done:
                rows.append(run(kind, cell, seed, corpus))
                with args.log.open("a") as log:
                    log.write(json.dumps(rows[-1]) + "\n")
    print(f"{len(rows)} runs, {len(done)} of them read from {args.log}")
    print("model                    epochs  perplexity of each seed       median    guide")
    for (kind, cell), (epochs, guide) in CASES.items():
        found = [row["perplexity"] for row in rows if (row["kind"], row["cell"]) == (kind, cell)]
        each = "  ".join(f"{p:.2f}" for p in found)
        print(f"{kind:8}{cell:16} {epochs:6}  {each:28}  {statistics.median(found):6.2f}  {guide:7.1f}")


if __name__ == "__main__":
    main()
