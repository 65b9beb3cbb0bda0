"""What ``train``, ``sample`` and ``compare`` do with their arguments."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from pathlib import Path
from typing import Any

from d2lrnn import _runtime  # noqa: F401 (before NumPy, so that a Python which can have neither is told why)
from d2lrnn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from d2lrnn.comparison import compare, comparison_table, largest_difference, plot_comparison
from d2lrnn.config import QUICK_MODEL, ModelConfig, TrainConfig
from d2lrnn.corpora import load_corpus
from d2lrnn.decoding import predict
from d2lrnn.device import as_ctx
from d2lrnn.models import build_model
from d2lrnn.plotting import plot_history
from d2lrnn.text import Corpus, tokenize
from d2lrnn.training import History, TrainingDivergedError, set_seed, train_and_predict

CHECKPOINT_NAME = "model.d2lrnn"
# What samples start from when no --prefix is given; for other corpora, their own first tokens.
PREFIXES = {"sample": ("分开", "不分开"), "jaychou": ("分开", "不分开"), "ptb": ("the company", "it is")}


def config_from(args: argparse.Namespace, kind: type, **fixed: Any) -> Any:
    """Make a ``ModelConfig`` or ``TrainConfig`` of the arguments of the same names; ``fixed`` overrides them."""
    names = {field.name for field in dataclasses.fields(kind)}
    return kind(**{**{name: value for name, value in vars(args).items() if name in names}, **fixed})


def load_corpus_from(args: argparse.Namespace) -> Corpus:
    """Load the corpus that the arguments name."""
    return load_corpus(args.corpus, args.data_dir, args.max_tokens)


def prefixes_from(args: argparse.Namespace, corpus: Corpus) -> tuple[str, ...]:
    """Return what samples start from: ``--prefix``, or else what suits the corpus."""
    if args.prefix:
        return tuple(args.prefix)
    vocab = corpus.vocab
    usual = PREFIXES.get(corpus.name, ())
    known = tuple(text for text in usual if all(token in vocab for token in tokenize(text, vocab.level)))
    return known or (vocab.decode(corpus.train[:4]),)


def _train(args: argparse.Namespace) -> int:
    corpus = load_corpus_from(args)
    config = config_from(args, TrainConfig, prefixes=prefixes_from(args, corpus))
    embed_size = args.embed_size
    if embed_size is None and args.kind == "gluon":
        embed_size = QUICK_MODEL.embed_size
    model_config = config_from(args, ModelConfig, embed_size=embed_size)
    set_seed(args.seed)
    ctx = as_ctx(args.ctx)
    model = build_model(model_config, corpus.vocab_size, ctx)
    print(
        f"{corpus.name}: {len(corpus.train):,} tokens, {corpus.vocab_size:,} different ones\n"
        f"{args.kind} {args.cell}, {args.num_layers} x {args.num_hiddens} hidden units, on {ctx}"
    )
    args.out.mkdir(parents=True, exist_ok=True)  # before the training, which would be lost
    failure = ""
    try:
        history = train_and_predict(model, corpus, config)
    except TrainingDivergedError as error:
        history, failure = error.history, str(error)
    saved = save_checkpoint(args.out / CHECKPOINT_NAME, Checkpoint.of(model, model_config, config, corpus))
    print(f"model    {saved}")
    if history.perplexity:
        plot_history({model_config.cell: history}, args.out / "loss.png", f"{model_config.cell} on {corpus.name}")
        print(f"picture  {args.out / 'loss.png'}")
    print(f"let it write:  {_python()} -m d2lrnn sample {args.out} --prefix {shlex.quote(config.prefixes[0])}")
    if failure:
        print(f"d2lrnn: {failure}", file=sys.stderr)
        return 1
    return 130 if history.stopped else 0


def _python() -> str:
    """Return what to call this Python by, seen from here: ``.venv/bin/python``, or just ``python``."""
    here, python = Path.cwd(), Path(sys.executable)
    return str(python.relative_to(here)) if here in python.parents else "python"


def _sample(args: argparse.Namespace) -> int:
    path = args.run / CHECKPOINT_NAME if args.run.is_dir() else args.run
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: expected a folder that `train` wrote, or the model's file")
    checkpoint = load_checkpoint(path)
    model = checkpoint.build_model(as_ctx(args.ctx))
    prefixes = args.prefix or checkpoint.train_config.prefixes
    if not prefixes:
        raise ValueError(f"{path} was trained without prefixes: say what to start from, --prefix TEXT")
    for prefix in prefixes:
        print(predict(prefix, args.pred_len, model, checkpoint.vocab))
    return 0


def _compare(args: argparse.Namespace) -> int:
    corpus = load_corpus_from(args)
    config = config_from(args, TrainConfig, prefixes=prefixes_from(args, corpus))
    model_config = config_from(args, ModelConfig)
    args.out.mkdir(parents=True, exist_ok=True)
    histories = compare(model_config, corpus, config, as_ctx(args.ctx))
    return report_comparison(histories, args.out / f"compare_{args.cell}.png", f"{args.cell} on {corpus.name}")


def report_comparison(histories: dict[str, History], picture: Path, title: str) -> int:
    """Print the table of runs side by side, draw them, and return the exit status."""
    print(f"\n{comparison_table(histories)}")
    finished = [history for history in histories.values() if history.perplexity]
    if len(histories) == 2 and len(finished) == 2:
        print(f"largest relative difference in perplexity: {largest_difference(*finished):.1e}")
    if finished:
        plot_comparison(histories, picture, title)
        print(f"picture  {picture}")
    return 130 if any(history.stopped for history in histories.values()) else 0


COMMANDS = {"train": _train, "sample": _sample, "compare": _compare}


def run(args: argparse.Namespace) -> int:
    """Run the command that the arguments name; return its exit status: 0, 1 after an error, 130 after Ctrl-C."""
    try:
        return COMMANDS[args.command](args)
    except (ValueError, OSError, TrainingDivergedError) as error:
        # What the user can mend; every other exception is a defect of d2lrnn.
        print(f"d2lrnn: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("d2lrnn: interrupted", file=sys.stderr)
        return 130
