"""A folder holds a training run: the best model, where the training stands, its log and its picture."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from d2lrnn.config import CORPUS_NAMES, ModelConfig
from d2lrnn.corpora import load_corpus
from d2lrnn.history import History
from d2lrnn.loop import Training
from d2lrnn.text import Corpus

BEST, LAST, LOG, PICTURE = "model.d2lrnn", "last.d2lrnn", "log.jsonl", "loss.png"
CORPUS_OPTIONS = ("max_tokens", "level", "lines", "held_out")  # of load_corpus, which the checkpoint keeps
PERIOD = 60  # seconds between two savings
LARGEST_SHARE = 0.02  # of the time that saving may take


class RunError(ValueError):
    """A folder holds no run, or another one than is asked for."""


def name_of(run: Path) -> str:
    """Return what to call a run, of which its folder or a file in it is given."""
    return run.resolve().name if run.is_dir() else run.resolve().parent.name


def load_run(run: Path, name: str = BEST) -> Checkpoint:
    """Load a checkpoint of a run: from its folder the one of this name, or the file itself.

    Raises:
        RunError: if there is none.
        CheckpointError: if it is damaged.
    """
    path = run / name if run.is_dir() else run
    if not path.is_file():
        raise RunError(f"{path} is not there: expected a folder that `train` wrote, or a checkpoint in it")
    return load_checkpoint(path)


def origin_of(corpus: Corpus, given: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint says of a corpus, so that it can be found again and told from another.

    Args:
        corpus: as it was loaded.
        given: its name or file.
        options: what else :func:`load_corpus` was given, those of ``CORPUS_OPTIONS``.
    """
    given = given if given in CORPUS_NAMES else str(Path(given).resolve())
    return {"given": given, **options, "sha256": hashlib.sha256(corpus.train.tobytes()).hexdigest()}


def reload_corpus(checkpoint: Checkpoint, data_dir: str | None = None, given: str | None = None) -> Corpus:
    """Load the corpus that a run was trained on, or another of the same vocabulary.

    Args:
        checkpoint: of the run.
        data_dir: the folder to look in first.
        given: another corpus or file, or the same in a new place; None: as in training.

    Raises:
        CorpusError: if it is missing or damaged.
        RunError: if its vocabulary is not the model's.
    """
    origin = checkpoint.origin
    if given is None and not origin:
        raise RunError(f"the checkpoint does not say where its corpus {checkpoint.corpus} was found: name it, --corpus")
    options = {name: origin[name] for name in CORPUS_OPTIONS if name in origin}
    corpus = load_corpus(given or origin["given"], data_dir, **options)
    if corpus.vocab != checkpoint.vocab:
        raise RunError(
            f"the vocabulary of {corpus.name} ({len(corpus.vocab):,} tokens) is not the one that the model was trained "
            f"with ({checkpoint.corpus}, {len(checkpoint.vocab):,} tokens): expected the same tokens in the same order"
        )
    return corpus


def check_origin(checkpoint: Checkpoint, corpus: Corpus) -> None:
    """Refuse to go on with another text than a run began with.

    Raises:
        RunError: with both digests.
    """
    expected, found = checkpoint.origin.get("sha256"), hashlib.sha256(corpus.train.tobytes()).hexdigest()
    if expected != found:
        raise RunError(
            f"the text of {corpus.name} is not the one that the run began with: its ids have the SHA-256 {found}, "
            f"expected {expected}"
        )


class RunFolder:
    """Keeps a training run on disk while it goes on; hand :meth:`keep` to its ``run``.

    The best model and the last position are written where the run can first be halted, then every minute, or as seldom
    as is needed for saving to take no more than a fiftieth of the time, and at the end.

    Args:
        folder: where; made if need be.
        training: what is to be kept.
        model_config: of its model.
        corpus: what it is trained on.
        origin: of the corpus, by :func:`origin_of`.

    Raises:
        OSError: if the folder cannot be made.
    """

    def __init__(
        self, folder: Path, training: Training, model_config: ModelConfig, corpus: Corpus, origin: dict[str, Any]
    ) -> None:
        self.folder, self._training, self._model_config = folder, training, model_config
        self._corpus, self._origin = corpus, origin
        self._best: Checkpoint | None = None  # still to be written
        self._has_best = False  # whether one was seen at all
        self._least = math.inf  # the perplexity in validation that a new one must not exceed
        self._saved, self._pause = time.monotonic(), 0.0  # so the first place to halt at is kept at once
        folder.mkdir(parents=True, exist_ok=True)

    def begin(self, command: str) -> None:
        """Write the log's head, or where a restored training goes on; epochs it does not know of leave the log."""
        history, resumed = self._training.history, self._training.update.steps > 0
        done = len(history.perplexity)
        if resumed and (self.folder / BEST).exists():  # it may be of a later epoch than the position
            self._has_best = True
            self._least = load_checkpoint(self.folder / BEST).reached.get("valid_perplexity", math.inf)
        event = {
            "event": "resume" if resumed else "begin",
            "command": command,
            "model": dataclasses.asdict(self._model_config),
            "training": dataclasses.asdict(self._training.config),
            "corpus": self._corpus.name,
            "machine": machine(),
        }
        entries = read_log(self.folder / LOG) if resumed and (self.folder / LOG).exists() else []
        entries = [entry for entry in entries if entry.get("epoch", 0) <= done]
        logged = {entry.get("epoch") for entry in entries}
        entries += [epoch_entry(history, epoch) for epoch in range(1, done + 1) if epoch not in logged]
        lines = "".join(json.dumps(entry) + "\n" for entry in [*entries, event])
        for left in self.folder.glob("*.part"):  # by a run that was killed while it wrote
            left.unlink()
        beside = self.folder / f"{LOG}.part"
        beside.write_text(lines)
        os.replace(beside, self.folder / LOG)

    def log(self, **entry: Any) -> None:
        """Add a line to the log."""
        with open(self.folder / LOG, "a") as file:
            file.write(json.dumps(entry) + "\n")

    def keep(self) -> None:
        """Keep what the training has reached; to be called wherever it can be halted."""
        history = self._training.history
        if self._training.position.batch == 0:
            epoch = len(history.perplexity)
            self.log(**epoch_entry(history, epoch))
            found = history.valid_perplexity[-1] if history.valid_perplexity else -math.inf
            if history.best_epoch == epoch and found <= self._least:
                self._note_best()
        if time.monotonic() - self._saved > self._pause:
            self.save()

    def save(self) -> None:
        """Write the best model, if it is a new one, and the position, which must be one where the training can halt."""
        start = time.monotonic()
        self._save_best()
        save_checkpoint(self.folder / LAST, self._checkpoint(training=self._training.snapshot()))
        self._saved = time.monotonic()
        self._pause = max(PERIOD, (self._saved - start) / LARGEST_SHARE)

    def finish(self, diverged: bool = False) -> Path:
        """Write what is still to be written; return the file of the best model.

        A run that was stopped halts where it was saved last, but its model is the best, or without validation the
        newest; where it diverged, the newest one of an epoch that was finished.
        """
        history = self._training.history
        if not self._has_best or (history.stopped and not diverged and not history.valid_perplexity):
            self._note_best()
        if not history.stopped:
            self.save()
        self._save_best()
        return self.folder / BEST

    def _note_best(self) -> None:
        history = self._training.history
        reached: dict[str, Any] = {"epoch": len(history.perplexity)}
        if history.valid_perplexity and self._training.position.batch == 0:
            self._least = reached["valid_perplexity"] = history.valid_perplexity[-1]
        with self._training.average.in_place():
            self._best, self._has_best = self._checkpoint(reached=reached), True

    def _save_best(self) -> None:
        if self._best is not None:
            save_checkpoint(self.folder / BEST, self._best)
            self._best = None

    def _checkpoint(self, **more: Any) -> Checkpoint:
        model, config = self._training.model, self._training.config
        return Checkpoint.of(model, self._model_config, config, self._corpus, origin=self._origin, **more)


def epoch_entry(history: History, epoch: int) -> dict[str, Any]:
    """Return a log's line for an epoch, from 1."""
    entry = {"event": "epoch", "epoch": epoch}
    for name in ("perplexity", "valid_perplexity", "lr", "grad_norm", "tokens_per_second", "seconds"):
        values = getattr(history, name)
        if len(values) >= epoch:
            entry[name] = values[epoch - 1]
    return entry


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read a run's log; a last line that a kill cut short is left out.

    Raises:
        RunError: if it is not there, or no such log.
    """
    if not path.is_file():
        raise RunError(f"{path} is not there: expected a folder that `train` wrote, or its {LOG}")
    entries = []
    lines = path.read_text(errors="replace").split("\n")
    for number, line in enumerate(lines, 1):
        if not line:  # behind the last line end
            continue
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict):
                raise ValueError
        except ValueError:
            if number == len(lines):
                break
            raise RunError(f"{path}, line {number} is not a line of a run's log: {line[:50]!r}") from None
        entries.append(entry)
    return entries


def read_history(run: Path) -> History:
    """Return what a run's log tells of its epochs.

    Raises:
        RunError: as :func:`read_log`; also if no epoch is over.
    """
    path = run / LOG if run.is_dir() else run
    history = History()
    for entry in read_log(path):
        if entry.get("event") == "epoch":
            for name, values in vars(history).items():
                if isinstance(values, list) and isinstance(entry.get(name), (int, float)):
                    values.append(entry[name])
    if not history.perplexity:
        raise RunError(f"{path} tells of no epoch yet: wait until the first one is over")
    return history


def machine() -> dict[str, Any]:
    """Return what a log says of the machine and the software."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
        "python": platform.python_version(),
        "mxnet": mx.__version__,
        "commit": _commit(),
    }


def _commit() -> str:
    """Return the commit of the checkout that d2lrnn is run from, with "-dirty" if files differ; "" for none."""
    package = Path(__file__).parent
    command = ["git", "-C", str(package), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    if not (package.parent / ".git").exists():
        return ""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
