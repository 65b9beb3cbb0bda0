"""The command line: ``python -m d2lrnn train | sample | compare``."""

from __future__ import annotations

import argparse
import dataclasses
import io
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from d2lrnn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from d2lrnn.comparison import compare, comparison_table, largest_difference, plot_comparison
from d2lrnn.corpora import CORPUS_NAMES, load_corpus
from d2lrnn.decoding import predict
from d2lrnn.device import as_ctx
from d2lrnn.models import ModelConfig, build_model
from d2lrnn.optimisation import OPTIMIZERS
from d2lrnn.plotting import plot_history
from d2lrnn.text import Corpus, tokenize
from d2lrnn.training import (
    History,
    TrainConfig,
    TrainingDivergedError,
    set_seed,
    train_and_predict,
)

CELL_CHOICES = ("rnn", "gru", "lstm")
CHECKPOINT_NAME = "model.d2lrnn"
# What samples start from when no --prefix is given; for other corpora, their own first tokens.
PREFIXES = {"sample": ("分开", "不分开"), "jaychou": ("分开", "不分开"), "ptb": ("the company", "it is")}

# What `train` does unless told otherwise: the lyrics by heart in about a minute on two cores.
QUICK_MODEL = ModelConfig(embed_size=128)
QUICK_TRAINING = TrainConfig(num_epochs=100, optimizer="adam", lr=5e-3, theta=1.0, pred_period=20)


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that every training command and chapter has: corpus, device, seed, prefixes."""
    group = parser.add_argument_group("data and device")
    names = ", ".join(CORPUS_NAMES)
    group.add_argument(
        "--corpus", default="sample", metavar="NAME", help=f"{names}, or a UTF-8 text file (%(default)s)"
    )
    group.add_argument("--data-dir", metavar="DIR", help="look for the corpus here before D2LRNN_DATA and data/")
    group.add_argument(
        "--max-tokens", type=int, metavar="N", help="keep so many tokens (all; jaychou: the book's 10000)"
    )
    group.add_argument("--ctx", default="auto", help="cpu, gpu, gpu:1, or auto: a GPU if there is one (%(default)s)")
    group.add_argument("--seed", type=int, default=0, help="of parameters, order of batches and dropout (%(default)s)")
    group.add_argument("--prefix", action="append", metavar="TEXT", help="let samples start from this; may be repeated")


def add_model_arguments(parser: argparse.ArgumentParser, defaults: ModelConfig) -> None:
    """Add the arguments that describe a model."""
    group = parser.add_argument_group("model")
    group.add_argument("--cell", choices=CELL_CHOICES, default=defaults.cell, help="recurrent layer (%(default)s)")
    group.add_argument("--num-hiddens", type=int, default=defaults.num_hiddens, help="hidden units (%(default)s)")
    group.add_argument("--num-layers", type=int, default=defaults.num_layers, help="stacked layers (%(default)s)")


def add_training_arguments(parser: argparse.ArgumentParser, defaults: TrainConfig) -> None:
    """Add the arguments that describe the training."""
    group = parser.add_argument_group("training")
    group.add_argument("--num-epochs", type=int, default=defaults.num_epochs, help="passes over the text (%(default)s)")
    group.add_argument("--batch-size", type=int, default=defaults.batch_size, help="rows of a batch (%(default)s)")
    group.add_argument("--num-steps", type=int, default=defaults.num_steps, help="length of a window (%(default)s)")
    group.add_argument(
        "--optimizer", choices=OPTIMIZERS, default=defaults.optimizer, help="sgd is the book's (%(default)s)"
    )
    group.add_argument("--lr", type=float, default=defaults.lr, help="learning rate (%(default)s)")
    group.add_argument("--theta", type=float, default=defaults.theta, help="clip gradients to this norm (%(default)s)")
    group.add_argument(
        "--use-random-iter",
        action="store_true",
        default=defaults.use_random_iter,
        help="random windows; else consecutive ones with the state carried",
    )
    group.add_argument(
        "--pred-period", type=int, default=defaults.pred_period, help="epochs between reports (%(default)s)"
    )
    group.add_argument("--pred-len", type=int, default=defaults.pred_len, help="tokens in a sample (%(default)s)")


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


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="python -m d2lrnn",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Recurrent networks of Dive into Deep Learning: train one on text, let it write, "
        "hold the one from scratch against Gluon's.",
        epilog="a first round:\n"
        "  python -m d2lrnn train                                   the lyrics that ship with d2lrnn, one minute\n"
        "  python -m d2lrnn sample runs/model --prefix 我们         let it write\n"
        "  python -m d2lrnn compare --cell gru --num-epochs 20      from scratch against Gluon\n"
        "  python -m d2lrnn train --corpus my.txt --out runs/my     your own text",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(commands)
    _add_sample(commands)
    _add_compare(commands)
    return parser


def _add_train(commands) -> None:
    train = commands.add_parser(
        "train",
        help="train a model; writes the model and its loss curve",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a language model; writes DIR/model.d2lrnn, for `sample`, and DIR/loss.png.\n"
        "Unless told otherwise it learns the lyrics that ship with d2lrnn by heart, in about a minute on two cores.",
        epilog="with the book's settings:\n"
        "  python -m d2lrnn train --cell gru --embed-size 0 --optimizer sgd --lr 100 --theta 0.01 --num-epochs 160",
    )
    add_data_arguments(train)
    add_model_arguments(train, QUICK_MODEL)
    train.add_argument(
        "--kind", choices=("gluon", "scratch"), default="gluon", help="fused layers or the book's equations"
    )
    train.add_argument("--embed-size", type=int, metavar="N", help=f"0: one-hot; gluon only ({QUICK_MODEL.embed_size})")
    train.add_argument("--dropout", type=float, default=0.0, help="gluon only (%(default)s)")
    add_training_arguments(train, QUICK_TRAINING)
    train.add_argument(
        "--out", type=Path, default=Path("runs/model"), metavar="DIR", help="folder to write to (%(default)s)"
    )
    train.set_defaults(run_command=_train)


def _add_sample(commands) -> None:
    sample = commands.add_parser(
        "sample",
        help="let a trained model continue a text",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Continue a text with what `train` wrote, always with the likeliest next token.",
    )
    sample.add_argument("run", type=Path, metavar="RUN", help="a folder that `train` wrote, or the model's file")
    sample.add_argument("--prefix", action="append", metavar="TEXT", help="what to start from (as in training)")
    sample.add_argument("--pred-len", type=int, default=100, metavar="N", help="tokens to add (%(default)s)")
    sample.add_argument("--ctx", default="auto", help="cpu, gpu, gpu:1 or auto (%(default)s)")
    sample.set_defaults(run_command=_sample)


def _add_compare(commands) -> None:
    against = commands.add_parser(
        "compare",
        help="train a model from scratch and its Gluon twin from the same parameters",
        description="The book's settings unless told otherwise. A gru is in Gluon's form: see the GRU chapter.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_data_arguments(against)
    add_model_arguments(against, ModelConfig())
    add_training_arguments(against, TrainConfig())
    against.add_argument(
        "--out", type=Path, default=Path("runs"), metavar="DIR", help="folder for the picture (%(default)s)"
    )
    against.set_defaults(run_command=_compare)


def prepare_stdout() -> None:
    """Let a log file get each line at once, and a terminal without Chinese question marks in its place."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="replace")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 after an error, 130 after Ctrl-C."""
    prepare_stdout()
    args = make_parser().parse_args(argv)
    try:
        return args.run_command(args)
    except (ValueError, OSError, TrainingDivergedError) as error:
        # What the user can mend; every other exception is a defect of d2lrnn.
        print(f"d2lrnn: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("d2lrnn: interrupted", file=sys.stderr)
        return 130
