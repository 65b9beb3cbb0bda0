"""What the command `evaluate` does: a trained model's perplexity on a split of its corpus, adapting to it or not."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy

from d2lrnn.checks import check_whole
from d2lrnn.config.evaluation import Cache, Dynamic
from d2lrnn.data.datasets import load_ids
from d2lrnn.device import as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.adaptive import evaluate_adaptively
from d2lrnn.evaluation.losses import bits_per_character, format_perplexity
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.origin import reload_corpus
from d2lrnn.runs.trained import load_run
from d2lrnn.training.language_model import line_end, perplexity_on


def evaluate(args: argparse.Namespace) -> int:
    """Measure and print a perplexity; return the exit status."""
    adaptations = _adaptation_from(args, "cache", Cache), _adaptation_from(args, "dynamic", Dynamic)
    checkpoint = load_run(args.run)
    if args.max_tokens is not None:
        check_whole("max_tokens", args.max_tokens, 2)
    num_lines = checkpoint.train_config.lines_per_row if args.num_lines is None else args.num_lines
    what, ids, train_ids = _read(args, checkpoint, num_lines > 0)
    start = time.perf_counter()
    if num_lines:
        found, count = _by_lines(args, checkpoint, ids, num_lines)
    else:
        ids = ids[: args.max_tokens]
        with _token_bar() as progress:
            model = checkpoint.build_model(as_ctx(args.ctx))
            found = evaluate_adaptively(model, ids, *adaptations, train_ids, progress=progress)
        count = len(ids) - 1
    print(f"{what}{_how(*adaptations)}: perplexity {format_perplexity(found)} over {count:,} tokens")
    level = checkpoint.vocab.level
    if level != "word":
        print(f"{bits_per_character(found, level):.3f} bits per character")
    print(f"{count / (time.perf_counter() - start):,.0f} tokens/s")
    return 0


def _read(args: argparse.Namespace, checkpoint: Checkpoint, lines: bool) -> tuple[str, Any, Any]:
    """Return what is measured, its name and its ids; and, if they are needed or there, the ids of the training."""
    if args.text is None:
        corpus, split = reload_corpus(checkpoint, args.data_dir, args.corpus), args.split or "test"
        return f"{corpus.name}, {split}", corpus.split(split), corpus.train
    if args.split is not None:
        raise D2lrnnError("--split given with --text, which is measured whole: expected one of them")
    if not args.dynamic and (args.corpus or args.data_dir):
        raise D2lrnnError(
            "--corpus or --data-dir given with --text, which needs no corpus but for --dynamic: leave it out"
        )
    ids, unknown = load_ids(args.text, checkpoint.vocab, lines, None if lines else args.max_tokens)
    name = f"{args.text.name}, {unknown:,} of its words unknown" if unknown else args.text.name
    train_ids = reload_corpus(checkpoint, args.data_dir, args.corpus).train if args.dynamic else None
    return name, ids, train_ids


def _by_lines(args: argparse.Namespace, checkpoint: Checkpoint, ids: Any, num_lines: int) -> tuple[float, int]:
    """Return the perplexity and the number of tokens, whole lines of which there are at most ``--max-tokens``."""
    if args.cache or args.dynamic:
        raise D2lrnnError("lines are read one by one, with nothing to adapt to: leave --cache and --dynamic out")
    if args.max_tokens is not None and args.max_tokens < len(ids):
        ends = numpy.flatnonzero(ids[: args.max_tokens] == line_end(checkpoint.vocab))
        if not len(ends):
            raise D2lrnnError(f"max_tokens is {args.max_tokens}: expected at least the tokens of the first line")
        ids = ids[: ends[-1] + 1]
    config = replace(checkpoint.train_config, batches="lines", num_lines=num_lines)
    return perplexity_on(checkpoint.build_model(as_ctx(args.ctx)), ids, checkpoint.vocab, config), len(ids)


def _how(cache: Cache | None, dynamic: Dynamic | None) -> str:
    """Return how a model adapts, for the line with the perplexity; nothing if it does not."""
    adapted = [
        f"{what} ({', '.join(f'{name} {value}' for name, value in vars(adaptation).items())})"
        for what, adaptation in (("a cache", cache), ("dynamic evaluation", dynamic))
        if adaptation is not None
    ]
    return f", with {' and '.join(adapted)}" if adapted else ""


def _adaptation_from(args: argparse.Namespace, flag: str, kind: type) -> Any:
    """Return the ``Cache`` or ``Dynamic`` that the arguments describe; None without ``--cache`` or ``--dynamic``."""
    given = {name: value for name, value in vars(args).items() if name.startswith(f"{flag}_")}
    if not getattr(args, flag):
        if given:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise D2lrnnError(f"{options} given without --{flag}: expected both or neither")
        return None
    try:
        return kind(**{name[len(flag) + 1 :]: value for name, value in given.items()})
    except D2lrnnError as error:
        raise D2lrnnError(f"--{flag}: {error}") from None


@contextlib.contextmanager
def _token_bar() -> Iterator[Callable[[int, int], None]]:
    """Show how many tokens are done, in a terminal; yields what is to be called with these and with all."""
    from tqdm.auto import tqdm

    with tqdm(unit=" tokens", unit_scale=True, leave=False, disable=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int) -> None:
            if done < bar.n:  # the training text is read, the one that is measured begins
                bar.reset()
            bar.total = total
            bar.update(done - bar.n)

        yield progress
