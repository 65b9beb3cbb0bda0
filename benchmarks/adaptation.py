"""Search for a run's best settings of the neural cache and of dynamic evaluation, on its validation text.

The search changes one setting at a time.  It begins with the defaults, tries both neighbours of each setting, takes a
neighbour with a lower perplexity, and ends when no neighbour is better.  It does so three times: for the cache alone,
for dynamic evaluation alone, and for both together, beginning with the two results.  The log gets a line for every
perplexity, and what is in the log is not measured again.  So the command can be stopped and started again:

    D2LRNN_DATA=folder/with/the/text .venv/bin/python benchmarks/adaptation.py runs/d2lrnn
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import d2lrnn
from d2lrnn.runs.origin import reload_corpus
from d2lrnn.runs.trained import load_run

LADDERS = {
    "window": (250, 500, 1000, 2000, 4000),
    "theta": (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.9, 1.3),
    "share": (0.05, 0.1, 0.15, 0.2, 0.25, 0.3),
    "lr": (5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3),
    "decay": (5e-5, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2),
    "eps": (2e-5, 5e-5, 2e-4, 5e-4, 2e-3),
}


class Search:
    """Measures the perplexity of settings on one text, and remembers every result."""

    def __init__(self, run: Path, num_tokens: int, log: Path) -> None:
        checkpoint = load_run(run)
        corpus = reload_corpus(checkpoint)
        self.model, self.log = checkpoint.build_model(d2lrnn.try_gpu()), log
        self.ids, self.train_ids, self.squares = corpus.valid[:num_tokens], corpus.train, None
        lines = log.read_text().splitlines() if log.exists() else []
        self.known = {key(row["settings"]): row["perplexity"] for row in map(json.loads, lines)}

    def perplexity(self, settings: dict) -> float:
        """Return the perplexity with a cache, dynamic evaluation or both; take it from the log if it is there."""
        if key(settings) not in self.known:
            if settings.get("dynamic") and self.squares is None:
                self.squares = d2lrnn.mean_squared_gradients(self.model, self.train_ids, settings["dynamic"])
            found = d2lrnn.evaluate_adaptively(self.model, self.ids, train_ids=self.squares, **settings)
            row = {"settings": {name: vars(value) for name, value in settings.items()}, "perplexity": found}
            with self.log.open("a") as log:
                log.write(json.dumps({**row, "tokens": len(self.ids)}) + "\n")
            print(f"{found:8.2f}  {row['settings']}", flush=True)
            self.known[key(row["settings"])] = found
        return self.known[key(settings)]

    def climb(self, fields: dict, **settings) -> dict:
        """Return settings that no change of one field by one step on its ladder would improve."""
        best, start = self.perplexity(settings), None
        while best != start:
            start = best
            for field, name in fields.items():
                for step in (1, -1):
                    while other := neighbour(settings[name], field, step):
                        if (found := self.perplexity({**settings, name: other})) >= best:
                            break
                        settings[name], best = other, found
        return settings


def neighbour(adaptation, field: str, step: int):
    """Return the same cache or dynamic evaluation one step along a ladder, None at its end."""
    ladder = LADDERS[field]
    place = ladder.index(getattr(adaptation, field)) + step
    return replace(adaptation, **{field: ladder[place]}) if 0 <= place < len(ladder) else None


def key(settings: dict) -> str:
    """Return a text that is the same for equal settings, whether they are objects or were read from the log."""
    return json.dumps({name: s if isinstance(s, dict) else vars(s) for name, s in settings.items()}, sort_keys=True)


def main() -> None:
    """Search, then print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--num-tokens", type=int, default=15_000, help="first tokens of the validation text to use")
    parser.add_argument("--log", type=Path, help="file to write to (benchmarks/results/adaptation_RUN.jsonl)")
    args = parser.parse_args()
    log = args.log or Path(__file__).parent / "results" / f"adaptation_{args.run.name}.jsonl"
    search = Search(args.run, args.num_tokens, log)
    search.perplexity({})
    cache = search.climb({"window": "cache", "share": "cache", "theta": "cache"}, cache=d2lrnn.Cache())
    dynamic = search.climb({"lr": "dynamic", "decay": "dynamic", "eps": "dynamic"}, dynamic=d2lrnn.Dynamic())
    both = search.climb({"share": "cache", "theta": "cache", "lr": "dynamic"}, **cache, **dynamic)
    for settings in (cache, dynamic, both):
        print(f"{search.perplexity(settings):8.2f}  {settings}")


if __name__ == "__main__":
    main()
