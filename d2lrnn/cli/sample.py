"""The command ``sample``: let a trained model write, in forms too; say how likely the texts are and what they copy."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from d2lrnn.checks import check_whole
from d2lrnn.cli.options import option_of
from d2lrnn.cli.output import text_output
from d2lrnn.config.fields import MAX_PRED_LEN, settings_in
from d2lrnn.config.generation import Sampling
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.forms import FORMS, usual_form
from d2lrnn.generation.originality import CopyIndex, distinct, marked, novelty, usual_lengths
from d2lrnn.generation.sampling import Sample
from d2lrnn.generation.verse import acrostic, compose
from d2lrnn.paths import PathLike
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.origin import reload_corpus, remember_place
from d2lrnn.runs.trained import TrainedRun

PRED_LEN = 100  # tokens to add, if the user does not say how many

MAX_SAMPLES = 1_000_000  # texts from one beginning; whether memory holds them depends on the model

# Options that are refused unless one of the options beside them is given too.
NEEDS = {
    "skip_unknown": ("acrostic", "form"),
    "line_length": ("acrostic",),
    **dict.fromkeys(("ngram", "min_copy", "data_dir", "corpus"), ("novelty",)),
}

# Pairs of options that contradict each other, and why: the first option settles what the second one would say.
CLASHES = {
    ("acrostic", "prefix"): "it begins with its first head",
    ("acrostic", "pred_len"): "it ends with its last line",
    ("form", "pred_len"): "it ends with its last line",
    ("form", "line_length"): "it settles how long lines are",
}


@dataclass(frozen=True)
class CopiesRequest:
    """Which copies from the corpus to mark and to count.

    Raises:
        D2lrnnError: for a length that is no whole number of at least 1.
    """

    ngram: int | None = None  # tokens of the n-grams that are counted; None: what suits the vocabulary
    min_copy: int | None = None  # the fewest tokens of a copy that is marked; None: what suits the vocabulary
    corpus: str | None = None  # the corpus's name or file; None: as in training
    data_dir: PathLike | None = None  # the folder to look in first

    def __post_init__(self) -> None:
        for name in ("ngram", "min_copy"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), most=math.inf)


@dataclass(frozen=True)
class SampleRequest:
    """What a trained model is to write, and what to print beside the texts.

    Raises:
        D2lrnnError: if ``num_samples`` or ``pred_len`` is no whole number, or above a million.
    """

    run: Path  # a folder that `train` wrote, or a checkpoint in it
    ctx: str = "auto"  # the device
    prefixes: tuple[str, ...] = ()  # what texts begin with; empty: the training's prefixes, or nothing in a form
    acrostics: tuple[str, ...] = ()  # the characters that the lines of each text begin with; empty: no acrostic
    form: str | None = None  # one of FORM_NAMES; None: in an acrostic what suits the vocabulary, else none
    line_length: int | None = None  # characters of an acrostic's lines; None: what suits the vocabulary
    skip_unknown: bool = False  # in a form: place characters that the model has never seen
    pred_len: int = PRED_LEN  # tokens to add; a form ends where it must
    num_samples: int = 1  # texts from each beginning
    sampling: Sampling = Sampling(temperature=0.0)  # how the next token is found
    log_probs: bool = False  # say how likely each token was
    copies: CopiesRequest | None = None  # mark copies and count them; None: do not look for them

    def __post_init__(self) -> None:
        check_whole("num_samples", self.num_samples, most=MAX_SAMPLES)
        check_whole("pred_len", self.pred_len, 0, MAX_PRED_LEN)

    @classmethod
    def read(cls, args: argparse.Namespace) -> SampleRequest:
        """Return what the arguments of the command ask for.

        Raises:
            D2lrnnError: for options that do not go together, and as the records.
        """
        _check_combination(args)
        return cls(
            run=args.run,
            ctx=args.ctx,
            prefixes=tuple(args.prefix or ()),
            acrostics=tuple(args.acrostic or ()),
            form=args.form,
            line_length=args.line_length,
            skip_unknown=args.skip_unknown,
            pred_len=PRED_LEN if args.pred_len is None else args.pred_len,
            num_samples=1 if args.num_samples is None else args.num_samples,
            sampling=_sampling_from(settings_in(Sampling, vars(args)), args.num_samples),
            log_probs=args.log_probs,
            copies=CopiesRequest(**settings_in(CopiesRequest, vars(args))) if args.novelty else None,
        )

    @property
    def is_verse(self) -> bool:
        """Whether texts are written in a form."""
        return bool(self.acrostics or self.form)


def _check_combination(args: argparse.Namespace) -> None:
    given = {name for name, value in vars(args).items() if value is not None and value is not False}
    for name, others in NEEDS.items():
        if name in given and not given.intersection(others):
            raise D2lrnnError(
                f"{option_of(name)} given without {' or '.join(map(option_of, others))}: expected both or none"
            )
    for (name, needless), why in CLASHES.items():
        if {name, needless} <= given:
            raise D2lrnnError(
                f"{option_of(name)} given with {option_of(needless)}: {why}, so leave {option_of(needless)} out"
            )


def _sampling_from(given: dict[str, Any], num_samples: int | None) -> Sampling:
    """Return how to write: by chance with the given settings; greedily if neither these nor samples were asked for."""
    given = {**given, "without": tuple(given.get("without", ()))}
    if num_samples is None and not given.keys() - {"stop", "without"}:
        given["temperature"] = 0.0
    sampling = Sampling(**given)
    needless = {"num-samples": (num_samples or 1) > 1, "seed": "seed" in given}
    if not sampling.by_chance and any(needless.values()):
        options = " and ".join(f"--{name}" for name, present in needless.items() if present)
        raise D2lrnnError(f"{options} given, but these settings leave nothing to chance")
    return sampling


def sample(args: argparse.Namespace) -> int:
    """Write and print texts and what to print beside them; return the exit status."""
    request = SampleRequest.read(args)
    run = TrainedRun.open(request.run, request.ctx)
    copies = _Copies(request.copies, run.checkpoint) if request.copies else None
    samples = _write(request, run)
    texts = [_shown(found.text, request.is_verse) for found in samples]
    blocks = []
    for found, text in zip(samples, texts):
        lines = copies.lines_of(text) if copies else [text]
        blocks.append("\n".join(lines + (_log_probs_of(found, run.vocab) if request.log_probs else [])))
    out = text_output()
    print(("\n\n" if any("\n" in text for text in texts) else "\n").join(blocks), file=out)
    if copies and len(samples) > 1:
        print(_variety_of(samples, run.vocab), file=out)
    return 0


def _write(request: SampleRequest, run: TrainedRun) -> list[Sample]:
    """Write all texts that a request asks for."""
    model, vocab, sampling = run.model, run.vocab, request.sampling
    form = FORMS[request.form] if request.form else usual_form(vocab, request.line_length)
    given = request.acrostics or request.prefixes or (("",) if request.form else ())
    begin = run.beginnings(given, "say what to start from, --prefix TEXT")
    texts = [text for text in begin for _ in range(request.num_samples)]
    if request.acrostics:
        return acrostic(texts, form, model, vocab, sampling, request.skip_unknown)
    if request.form:
        return compose(texts, form, model, vocab, sampling, request.skip_unknown)
    return run.generate(texts, request.pred_len, sampling)


def _shown(text: str, is_verse: bool) -> str:
    """Return a text as it is printed: verse line by line, any text without line ends before and after it."""
    return (text.replace(" ", "\n") if is_verse else text).strip("\n")


def _log_probs_of(found: Sample, vocab: Vocab) -> list[str]:
    """Return the lines that tell how likely a text is: first all of it, then each of its tokens."""
    tokens = [f"{vocab.idx_to_token[i]!r} {p:.2f}" for i, p in zip(found.ids, found.log_probs)]
    per_token = f", {found.log_prob / len(tokens):.3f} per token" if tokens else ""
    lines = [f"  log-probability {found.log_prob:.3f}{per_token}"]
    return lines + ["  " + "  ".join(tokens[i : i + 8]) for i in range(0, len(tokens), 8)]


class _Copies:
    """Finds what texts copy from the corpus that the model was trained on."""

    def __init__(self, request: CopiesRequest, checkpoint: Checkpoint) -> None:
        n, min_length = usual_lengths(checkpoint.vocab)
        self._n = n if request.ngram is None else request.ngram
        self._min_length = min_length if request.min_copy is None else request.min_copy
        corpus = reload_corpus(checkpoint, request.data_dir, request.corpus)
        remember_place(checkpoint, corpus, request.data_dir, request.corpus)
        self._index, self._name = CopyIndex(corpus), corpus.name

    def lines_of(self, text: str) -> list[str]:
        """Return a text with its copies marked, and a line that tells how much is copied."""
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
