"""The command ``show``: a picture of what a trained model does."""

from __future__ import annotations

import argparse
from pathlib import Path

from d2lrnn.config.generation import Sampling
from d2lrnn.data.vocabulary import tokenize
from d2lrnn.device import as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.prefixes import as_lines
from d2lrnn.generation.sampling import generate
from d2lrnn.plotting.inspection import embedding_map, gate_activations, next_token_probabilities
from d2lrnn.plotting.pictures import plot_embedding, plot_gates, plot_next
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.trained import load_run, name_of

NUM_PREDS = 30  # tokens that the model writes for a picture of its gates where no text is given


def show(args: argparse.Namespace) -> int:
    """Draw the picture that the arguments ask for and return the exit status."""
    for option, what in (("prefix", ("next", "gates")), ("layer", ("gates",))):
        if getattr(args, option) is not None and args.what not in what:
            raise D2lrnnError(f"--{option} given, but a picture of {args.what} has no use for it: leave it out")
    checkpoint = load_run(args.run)
    model = checkpoint.build_model(as_ctx(args.ctx))
    path = args.out or (args.run if args.run.is_dir() else args.run.parent) / f"{args.what}.png"
    PICTURES[args.what](args, checkpoint, model, path)
    print(f"picture  {path}")
    return 0


def _show_next(args: argparse.Namespace, checkpoint: Checkpoint, model, path: Path) -> None:
    prefix, _ = _beginning(args, checkpoint)
    probabilities = next_token_probabilities(prefix, model, checkpoint.vocab, *_count(args))
    shown = prefix if len(prefix) <= 16 else f"... {prefix[-16:]}"  # or the title would be cut off
    plot_next(probabilities, path, f"{name_of(args.run)}: what follows {shown!r}")


def _show_gates(args: argparse.Namespace, checkpoint: Checkpoint, model, path: Path) -> None:
    (text, sampling), layer = _beginning(args, checkpoint), args.layer or 0
    if args.prefix is None:
        text = generate([text], NUM_PREDS, model, checkpoint.vocab, sampling)[0].text
    gates = gate_activations(text, model, checkpoint.vocab, layer)
    title = f"{name_of(args.run)}: gates of the {checkpoint.shape.cell}, layer {layer}"
    plot_gates(gates, tokenize(text, checkpoint.vocab.level), path, title, *_count(args))


def _show_embedding(args: argparse.Namespace, checkpoint: Checkpoint, model, path: Path) -> None:
    embedding = embedding_map(model, checkpoint.vocab, *_count(args))
    what = "embedding" if checkpoint.shape.embed_size else "input weights"
    title = f"{name_of(args.run)}: {what} of the {len(embedding.tokens)} most frequent tokens"
    plot_embedding(embedding, path, title)


def _count(args: argparse.Namespace) -> tuple[int, ...]:
    """Return the last argument of what counts tokens or hidden units, or leave it to them."""
    return () if args.count is None else (args.count,)


def _beginning(args: argparse.Namespace, checkpoint: Checkpoint) -> tuple[str, Sampling]:
    """Return what the model is to read first, and how it writes on: always with the likeliest token."""
    prefixes = checkpoint.train_config.prefixes if args.prefix is None else (args.prefix,)
    if not prefixes:
        raise D2lrnnError(f"{args.run} was trained without prefixes: say what the model is to read, --prefix TEXT")
    sampling, num_lines = Sampling(temperature=0.0), checkpoint.train_config.lines_per_row
    if not num_lines:
        return prefixes[0], sampling
    (prefix,), sampling = as_lines(prefixes[:1], sampling, num_lines)
    return prefix, sampling


PICTURES = {"next": _show_next, "gates": _show_gates, "embedding": _show_embedding}
