"""Find a run's best neural cache and dynamic evaluation: one setting at a time, up and down, on its validation text.

Begins with the defaults, tries both neighbours of each setting, moves where the perplexity falls, and ends when no
neighbour is better: the cache alone, dynamic evaluation alone, then both, from where each of them ended.  Every
perplexity is a line of the log, and what is in the log is not measured again: it can be stopped and started:

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
    """Measures settings on one text, and remembers what it has measured."""

    def __init__(self, run: Path, num_tokens: int, log: Path) -> None:
        checkpoint = load_run(run)
        corpus = reload_corpus(checkpoint)
        self.model, self.log = checkpoint.build_model(d2lrnn.try_gpu()), log
        self.ids, self.train_ids, self.squares = corpus.valid[:num_tokens], corpus.train, None
        lines = log.read_text().splitlines() if log.exists() else []
        self.known = {key(row["settings"]): row["perplexity"] for row in map(json.loads, lines)}

    def perplexity(self, settings: dict) -> float:
        """Return the perplexity with a cache, dynamic evaluation or both, from the log if it is there."""
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
        """Return the settings from which no single step on the ladder of a field leads to a lower perplexity."""
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
    """Return what tells settings from others, whether they are objects or come from the log."""
    return json.dumps({name: s if isinstance(s, dict) else vars(s) for name, s in settings.items()}, sort_keys=True)


def main() -> None:
    """Search, then print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--num-tokens", type=int, default=15_000, help="of the validation text, its first")
    parser.add_argument("--log", type=Path, help="benchmarks/results/adaptation_RUN.jsonl, if it is not given")
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
