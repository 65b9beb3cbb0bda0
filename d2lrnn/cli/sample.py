"""What the command `sample` does: a trained model writes, in forms too; how likely and how new that is."""

from __future__ import annotations

import argparse
import math
from typing import Any

from d2lrnn.checks import check_whole
from d2lrnn.config.fields import settings_in
from d2lrnn.config.generation import Sampling
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.device import as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.forms import FORMS, usual_form
from d2lrnn.generation.originality import CopyIndex, distinct, marked, novelty, usual_lengths
from d2lrnn.generation.prefixes import as_lines
from d2lrnn.generation.sampling import Sample, generate
from d2lrnn.generation.verse import acrostic, compose
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.origin import reload_corpus
from d2lrnn.runs.trained import load_run

PRED_LEN = 100

# Options that mean nothing without one of others; and those that the first one leaves nothing to ask for.
NEEDS = {
    "skip_unknown": ("acrostic", "form"),
    "line_length": ("acrostic",),
    **dict.fromkeys(("ngram", "min_copy", "data_dir", "corpus"), ("novelty",)),
}

CLASHES = {
    ("acrostic", "prefix"): "it begins with its first head",
    ("acrostic", "pred_len"): "it ends with its last line",
    ("form", "pred_len"): "it ends with its last line",
    ("form", "line_length"): "it settles how long lines are",
}


def sample(args: argparse.Namespace) -> int:
    """Write and print texts, and what was asked for beside them; return the exit status."""
    _check_combination(args)
    checkpoint = load_run(args.run)
    vocab = checkpoint.vocab
    copies = _Copies(args, checkpoint) if args.novelty else None
    samples = _write(args, checkpoint)
    texts = [_shown(found.text, args) for found in samples]
    blocks = []
    for found, text in zip(samples, texts):
        lines = copies.lines_of(text) if copies else [text]
        blocks.append("\n".join(lines + (_log_probs_of(found, vocab) if args.log_probs else [])))
    print(("\n\n" if any("\n" in text for text in texts) else "\n").join(blocks))
    if copies and len(samples) > 1:
        print(_variety_of(samples, vocab))
    return 0


def _check_combination(args: argparse.Namespace) -> None:
    given = {name for name, value in vars(args).items() if value is not None and value is not False}
    for name, others in NEEDS.items():
        if name in given and not given.intersection(others):
            raise D2lrnnError(
                f"{_option(name)} given without {' or '.join(map(_option, others))}: expected both or none"
            )
    for (name, needless), why in CLASHES.items():
        if {name, needless} <= given:
            raise D2lrnnError(
                f"{_option(name)} given with {_option(needless)}: {why}, so leave {_option(needless)} out"
            )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _write(args: argparse.Namespace, checkpoint: Checkpoint) -> list[Sample]:
    """Write all texts that the arguments ask for."""
    model, vocab = checkpoint.build_model(as_ctx(args.ctx)), checkpoint.vocab
    sampling = _sampling_from(settings_in(Sampling, vars(args)), args.num_samples)
    form = FORMS[args.form] if args.form else usual_form(vocab, args.line_length)
    begin = args.acrostic or args.prefix or ([""] if args.form else dict.fromkeys(checkpoint.train_config.prefixes))
    if not begin:
        raise D2lrnnError(f"{args.run} was trained without prefixes: say what to start from, --prefix TEXT")
    texts = [text for text in begin for _ in range(args.num_samples or 1)]
    if args.acrostic:
        return acrostic(texts, form, model, vocab, sampling, args.skip_unknown)
    if args.form:
        return compose(texts, form, model, vocab, sampling, args.skip_unknown)
    num_lines = checkpoint.train_config.lines_per_row
    if num_lines:
        for text in begin:
            vocab.encode(text)  # raises, with the position in what the user wrote
        texts, sampling = as_lines(texts, sampling, num_lines)
    return generate(texts, PRED_LEN if args.pred_len is None else args.pred_len, model, vocab, sampling)


def _sampling_from(given: dict[str, Any], num_samples: int | None) -> Sampling:
    """Return the settings that were given; by chance if there are any, or several samples, else greedy."""
    given = {**given, "without": tuple(given.get("without", ()))}
    if num_samples is None and not given.keys() - {"stop", "without"}:
        given["temperature"] = 0.0
    check_whole("num_samples", 1 if num_samples is None else num_samples)
    sampling = Sampling(**given)
    needless = {"num-samples": (num_samples or 1) > 1, "seed": "seed" in given}
    if not sampling.by_chance and any(needless.values()):
        options = " and ".join(f"--{name}" for name, present in needless.items() if present)
        raise D2lrnnError(f"{options} given, but these settings leave nothing to chance")
    return sampling


def _shown(text: str, args: argparse.Namespace) -> str:
    """Return a text as it is printed: verse line by line, and no empty line before or after what has line ends."""
    return (text.replace(" ", "\n") if args.acrostic or args.form else text).strip("\n")


def _log_probs_of(found: Sample, vocab: Vocab) -> list[str]:
    """Return the lines that tell how likely a text is: all of it, then each of its tokens."""
    tokens = [f"{vocab.idx_to_token[i]!r} {p:.2f}" for i, p in zip(found.ids, found.log_probs)]
    per_token = f", {found.log_prob / len(tokens):.3f} per token" if tokens else ""
    lines = [f"  log-probability {found.log_prob:.3f}{per_token}"]
    return lines + ["  " + "  ".join(tokens[i : i + 8]) for i in range(0, len(tokens), 8)]


class _Copies:
    """Tells what texts copy from the corpus that the model was trained on."""

    def __init__(self, args: argparse.Namespace, checkpoint: Checkpoint) -> None:
        n, min_length = usual_lengths(checkpoint.vocab)
        self._n = n if args.ngram is None else args.ngram
        self._min_length = min_length if args.min_copy is None else args.min_copy
        check_whole("ngram", self._n)
        check_whole("min_copy", self._min_length)
        corpus = reload_corpus(checkpoint, args.data_dir, args.corpus)
        self._index, self._name = CopyIndex(corpus), corpus.name

    def lines_of(self, text: str) -> list[str]:
        """Return a text with its copies marked, and a line that tells how much they are."""
        found = novelty(text, self._index, self._n, self._min_length)
        ngrams = f"{_share(found.copied_ngrams)} of {self._n}-grams"
        tokens = f"{_share(found.copied_tokens)} of {'words' if found.level == 'word' else 'characters'}"
        return [
            marked(text, found.spans, found.level),
            f"  copied from {self._name}: {ngrams}, {tokens} in spans of {self._min_length} or more; longest span "
            f"{found.longest_length}, {found.longest!r}",
        ]


def _variety_of(samples: list[Sample], vocab: Vocab) -> str:
    """Return the line that tells how varied several texts are, without their prefixes."""
    texts = [vocab.decode(found.ids) for found in samples]
    shares = ", ".join(f"distinct-{n} {_share(distinct(texts, n, vocab.level))}" for n in (1, 2))
    return f"{len(texts)} texts: {shares}"


def _share(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:.1%}"
