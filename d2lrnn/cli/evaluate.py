"""The command ``evaluate``: measure a language model's perplexity on a split or a text, or a classifier's accuracy."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy

from d2lrnn.checks import check_whole
from d2lrnn.cli.each_line import evaluate_each_line
from d2lrnn.cli.options import option_of
from d2lrnn.config.evaluation import Cache, Dynamic
from d2lrnn.config.fields import MAX_STEPS, settings_in
from d2lrnn.config.presets import CLASSIFICATION, FORECASTING, TRANSLATION
from d2lrnn.data.corpus import Corpus
from d2lrnn.data.ids import load_ids
from d2lrnn.data.texts import Readable
from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.adaptive import evaluate_adaptively
from d2lrnn.evaluation.losses import bits_per_character, check_finite, format_perplexity
from d2lrnn.paths import PathLike
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.classifier import ClassifierRun
from d2lrnn.runs.forecaster import ForecasterRun
from d2lrnn.runs.origin import reload_corpus, remember_place
from d2lrnn.runs.trained import TrainedRun, load_run
from d2lrnn.runs.translator import TranslatorRun
from d2lrnn.training.forecasting import forecast_table
from d2lrnn.training.language_model import line_end, perplexity_on

# Fields of a request that a translator has no use for; a classifier has none for any of these.
OF_TOKENS = ("each_line", "max_tokens", "num_lines", "cache", "dynamic")
OF_TEXTS = ("text", *OF_TOKENS)


@dataclass(frozen=True)
class EvaluationRequest:
    """What a trained model is measured on, and how.

    Raises:
        D2lrnnError: for fields that do not go together, and for numbers that cannot be, such as fewer than two tokens.
    """

    run: Path  # a folder that `train` wrote, or a checkpoint in it
    ctx: str = "auto"  # the device
    split: str | None = None  # of the corpus: train, valid or test; None: the last of them that it has
    text: Path | None = None  # a text file to measure on; "-": standard input; None: the corpus
    each_line: bool = False  # measure each line of the text by itself
    corpus: str | None = None  # the corpus's name or file; None: as in training
    data_dir: PathLike | None = None  # the folder to look in first
    max_tokens: int | None = None  # measure on so many tokens at most; None: all
    num_lines: int | None = None  # carry the state through so many lines; 0: through all; None: as in training
    cache: Cache | None = None  # mix in a neural cache
    dynamic: Dynamic | None = None  # let the model learn from what it has just predicted

    def __post_init__(self) -> None:
        if self.max_tokens is not None:
            check_whole("max_tokens", self.max_tokens, 2, math.inf)
        if self.num_lines is not None:
            check_whole("num_lines", self.num_lines, 0, MAX_STEPS)
        if self.each_line:
            self._check_each_line()
        if self.text is not None and self.split is not None:
            raise D2lrnnError("--split given with --text, which is measured whole: expected one of them")

    def _check_each_line(self) -> None:
        if self.text is None:
            raise D2lrnnError("--each-line given without --text: expected a file whose lines are measured")
        for name in ("cache", "dynamic", "max_tokens", "num_lines"):
            if getattr(self, name) is not None:
                raise D2lrnnError(
                    f"--each-line given with {option_of(name)}: each line is measured whole and by itself, so leave "
                    f"{option_of(name)} out"
                )

    def refuse_corpus(self, otherwise: str = "") -> None:
        """Refuse the place of a corpus where a text is measured; ``otherwise`` says what needs the corpus all the same.

        Raises:
            D2lrnnError: with the options that are given.
        """
        needless = [option_of(name) for name in ("corpus", "data_dir") if getattr(self, name) is not None]
        if self.text is not None and needless:
            them = "it" if len(needless) == 1 else "them"
            given = " and ".join(needless)
            raise D2lrnnError(f"{given} given with --text, which needs no corpus{otherwise}: leave {them} out")

    @property
    def source(self) -> Readable:
        """What ``text`` names: a file, or the stream of standard input."""
        if str(self.text) != "-":
            return self.text  # type: ignore[return-value]
        if sys.stdin is None:
            raise D2lrnnError("--text - given, but standard input is closed: expected a file, or an open input")
        return sys.stdin.buffer

    @classmethod
    def read(cls, args: argparse.Namespace) -> EvaluationRequest:
        """Return what the arguments of the command ask for.

        Raises:
            D2lrnnError: as the records; also for ``--cache-...`` without ``--cache``, ``--dynamic-...`` likewise.
        """
        adaptations = {"cache": _adaptation_from(args, "cache", Cache)}
        adaptations["dynamic"] = _adaptation_from(args, "dynamic", Dynamic)
        return cls(**{**settings_in(cls, vars(args)), **adaptations})


def _adaptation_from(args: argparse.Namespace, flag: str, kind: type) -> Any:
    """Return the ``Cache`` or ``Dynamic`` that the arguments describe; None without ``--cache`` or ``--dynamic``."""
    given = {name: value for name, value in vars(args).items() if name.startswith(f"{flag}_")}
    if not getattr(args, flag):
        if given:
            raise D2lrnnError(f"{', '.join(map(option_of, given))} given without --{flag}: expected both or neither")
        return None
    try:
        return kind(**{name[len(flag) + 1 :]: value for name, value in given.items()})
    except D2lrnnError as error:
        raise D2lrnnError(f"--{flag}: {error}") from None


def evaluate(args: argparse.Namespace) -> int:
    """Measure a run as its task asks for, print what is found, and return the exit status."""
    request = EvaluationRequest.read(args)
    adaptations = request.cache, request.dynamic
    checkpoint = load_run(request.run)
    if checkpoint.task == CLASSIFICATION:
        return _evaluate_classifier(request, checkpoint)
    if checkpoint.task == FORECASTING:
        return _evaluate_forecaster(request, checkpoint)
    if checkpoint.task == TRANSLATION:
        return _evaluate_translator(request, checkpoint)
    run = TrainedRun(request.run, checkpoint, request.ctx)
    if request.dynamic is None:
        request.refuse_corpus(" but for --dynamic")
    if request.each_line:
        return evaluate_each_line(run, request.source)
    num_lines = run.num_lines if request.num_lines is None else request.num_lines
    name, ids, train_ids = _read(request, run)
    start = time.perf_counter()
    if num_lines:
        found, count = _by_lines(request, run, ids, num_lines)
    else:
        ids = ids[: request.max_tokens]
        if len(ids) < 2:
            raise D2lrnnError(f"{name}: found {len(ids)} token: expected two or more, since the first is only read")
        _check_windows(request.dynamic, train_ids)
        with _token_bar() as progress:
            found = evaluate_adaptively(run.model, ids, *adaptations, train_ids, progress=progress)
        count = len(ids) - 1
    check_finite(found)
    print(f"{name}{_how(*adaptations)}: perplexity {format_perplexity(found)} over {count:,} tokens")
    level = run.vocab.level
    if level != "word":
        print(f"{bits_per_character(found, level):.3f} bits per character")
    print(f"{count / (time.perf_counter() - start):,.0f} tokens/s")
    return 0


def _refuse(request: EvaluationRequest, names: Iterable[str], what: str, data: str, fitting: str) -> None:
    """Refuse arguments that a run of another task than a language model's has no use for.

    Args:
        request: what is asked for.
        names: of those that must not be given.
        what: the run holds, such as "a classifier".
        data: that it is measured on a split of.
        fitting: the options that may be given.

    Raises:
        D2lrnnError: with the options that are given.
    """
    needless = [name for name in names if getattr(request, name) not in (None, False)]
    if needless:
        raise D2lrnnError(
            f"{', '.join(map(option_of, needless))} given, but {request.run} holds {what}, which is measured on a "
            f"split of its {data}: leave out what is not {fitting}"
        )


def _evaluate_classifier(request: EvaluationRequest, checkpoint: Checkpoint) -> int:
    """Measure and print the accuracy of a classifier; return the exit status."""
    from d2lrnn.cli.classes import evaluate_classes

    _refuse(request, OF_TEXTS, "a classifier", "examples", "--split, --data-dir, --corpus or --ctx")
    run = ClassifierRun(request.run, checkpoint, request.ctx)
    return evaluate_classes(run, request.split, request.data_dir, request.corpus)


def _evaluate_forecaster(request: EvaluationRequest, checkpoint: Checkpoint) -> int:
    """Measure a forecaster and the baselines on a split, print a table, and return the exit status."""
    names = ("text", "each_line", "data_dir", "max_tokens", "num_lines", "cache", "dynamic")
    _refuse(request, names, "a forecaster", "series", "--split, --corpus or --ctx")
    run, split = ForecasterRun(request.run, checkpoint, request.ctx), request.split or "test"
    source = run.source(request.corpus)
    task = run.task(source)
    count = len(task.windows(split).X)
    print(f"{source.name}, {split}: {count:,} windows of {task.config.num_steps} steps, {run.plan.horizon} ahead")
    print(forecast_table(task.compare(run.model, split), run.columns))
    return 0


def _evaluate_translator(request: EvaluationRequest, checkpoint: Checkpoint) -> int:
    """Measure and print the perplexity and the scores of a translator; return the exit status."""
    from d2lrnn.cli.translations import evaluate_translations

    _refuse(request, OF_TOKENS, "a translator", "sentence pairs", "--split, --text, --data-dir, --corpus or --ctx")
    request.refuse_corpus()
    run = TranslatorRun(request.run, checkpoint, request.ctx)
    if request.text is not None:
        return evaluate_translations(run, _name_of(request), run.examples(request.source))
    name, examples = (data := run.pairs(request.data_dir, request.corpus)).split(request.split)
    return evaluate_translations(run, f"{data.name}, {name}", examples)


def _read(request: EvaluationRequest, run: TrainedRun) -> tuple[str, Any, Any]:
    """Return the name and the ids of the text to measure on, and the ids of the training text; None: not loaded."""
    checkpoint, train_ids = run.checkpoint, None
    if request.text is None:
        corpus = reload_corpus(checkpoint, request.data_dir, request.corpus)
        remember_place(checkpoint, corpus, request.data_dir, request.corpus)
        split = request.split or _last_split(corpus)
        return f"{corpus.name}, {split}", corpus.split(split), corpus.train
    lines = checkpoint.origin.get("lines", run.num_lines > 0)
    ids, unknown = load_ids(
        request.source, run.vocab, lines, None if lines else request.max_tokens, checkpoint.origin.get("given", "")
    )
    name = _name_of(request)
    if unknown:
        name += f", {unknown:,} of its words unknown"
    if request.dynamic is not None:
        train_ids = reload_corpus(checkpoint, request.data_dir, request.corpus).train
    return name, ids, train_ids


def _check_windows(dynamic: Dynamic | None, train_ids: Any) -> None:
    """Refuse windows of dynamic evaluation that are longer than the training text, whose gradients are read first."""
    if dynamic is not None and dynamic.lr and len(train_ids) <= dynamic.num_steps:
        raise D2lrnnError(
            f"--dynamic-num-steps is {dynamic.num_steps:,}, and the training text has {len(train_ids):,} tokens: "
            "expected windows that are shorter than the text"
        )


def _name_of(request: EvaluationRequest) -> str:
    """Return what the text to measure on is called."""
    return "standard input" if request.text is None or str(request.text) == "-" else request.text.name


def _last_split(corpus: Corpus) -> str:
    return next(split for split in ("test", "valid", "train") if getattr(corpus, split) is not None)


def _by_lines(request: EvaluationRequest, run: TrainedRun, ids: Any, num_lines: int) -> tuple[float, int]:
    """Return the perplexity of whole lines of at most ``--max-tokens`` tokens together, and the number of tokens."""
    if request.cache or request.dynamic:
        raise D2lrnnError("lines are read one by one, with nothing to adapt to: leave --cache and --dynamic out")
    if request.max_tokens is not None and request.max_tokens < len(ids):
        ends = numpy.flatnonzero(ids[: request.max_tokens] == line_end(run.vocab))
        if not len(ends):
            raise D2lrnnError(f"max_tokens is {request.max_tokens}: expected at least the tokens of the first line")
        ids = ids[: ends[-1] + 1]
    config = replace(run.checkpoint.train_config, batches="lines", num_lines=num_lines)
    return perplexity_on(run.model, ids, run.vocab, config), len(ids)


def _how(cache: Cache | None, dynamic: Dynamic | None) -> str:
    """Return the words that say how the model adapts; an empty text if it does not adapt."""
    adapted = [
        f"{what} ({', '.join(f'{name} {value}' for name, value in vars(adaptation).items())})"
        for what, adaptation in (("a cache", cache), ("dynamic evaluation", dynamic))
        if adaptation is not None
    ]
    return f", with {' and '.join(adapted)}" if adapted else ""


@contextlib.contextmanager
def _token_bar() -> Iterator[Callable[[int, int], None]]:
    """Show the progress in a terminal; yield a function to call with the number of tokens done and of all tokens."""
    from tqdm.auto import tqdm

    with tqdm(unit=" tokens", unit_scale=True, leave=False, disable=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int) -> None:
            if done < bar.n:  # the training text is done, the text to measure on begins
                bar.reset()
            bar.total = total
            bar.update(done - bar.n)

        yield progress
