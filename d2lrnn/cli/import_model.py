"""The command ``import``: make a run of a safetensors file, such as a model that was trained in PyTorch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from d2lrnn.cli.shell import argument, command, option
from d2lrnn.config.fields import settings_in
from d2lrnn.config.presets import CLASSIFICATION, FORECASTING, LANGUAGE_MODEL, TRANSLATION
from d2lrnn.data.digits import SIZE
from d2lrnn.exchange.contents import Contents
from d2lrnn.exchange.run_folder import changes_for, save_run
from d2lrnn.exchange.safetensors_file import read_safetensors
from d2lrnn.exchange.vocabularies import read_vocabulary
from d2lrnn.runs.checkpoint import Checkpoint, load_checkpoint


@dataclass(frozen=True)
class ImportRequest:
    """Which file to make a run of, and what the file does not say."""

    file: Path  # of safetensors
    out: Path  # the run's folder
    kind: str | None = None  # scratch, fast or gluon; None: as the file says, or else gluon
    cell: str | None = None  # None: as the file says, or else what torch.nn computes
    vocabulary: Path | None = None  # a JSON file, or a run; None: it is in the file
    level: str | None = None  # of the vocabulary; None: as the vocabulary says
    overwrite: bool = False  # give up a run that is in the folder

    @classmethod
    def read(cls, args: argparse.Namespace) -> ImportRequest:
        """Return what the arguments of the command ask for."""
        return cls(**settings_in(cls, vars(args)))


def import_model(args: argparse.Namespace) -> int:
    """Make a run of a file, say what was found and changed, and return the exit status."""
    request = ImportRequest.read(args)
    vocab = None if request.vocabulary is None else read_vocabulary(request.vocabulary, request.level)
    contents = read_safetensors(request.file, request.cell, vocab, request.level)
    path = save_run(contents, request.out, request.kind, request.overwrite)
    checkpoint = load_checkpoint(path)
    config = checkpoint.shape
    says_levels = contents.vocab is None or checkpoint.task == TRANSLATION
    level = "" if says_levels or contents.vocab is None else f" of level {contents.vocab.level}"
    print(f"found    {config}, {contents.inputs_and_outputs}{level}")
    if _is_guessed(contents, request):
        print("caution  nothing says whether this rnn has tanh or relu; with relu, --cell rnn_relu")
    for change in changes_for(contents, config):
        print(f"changed  {change}")
    print(f"model    {path}")
    if hint := _next_command(checkpoint, request.out, args.imports):
        print(hint)
    return 0


def _next_command(checkpoint: Checkpoint, folder: Path, imports: Sequence[str]) -> str:
    """Return the line that says what to do with a run; "": nothing can be said without knowing its data."""
    config = checkpoint.shape
    if checkpoint.task == CLASSIFICATION and config.input_size in (None, SIZE):
        example = "TEXT" if config.input_size is None else "IMAGE.png"
        return f"let it read:  {command('classify', argument(folder), example, imports=imports)}"
    if checkpoint.task == FORECASTING:
        corpus = option("--corpus", "FILE.csv") if checkpoint.origin else []
        return f"let it forecast:  {command('forecast', argument(folder), *corpus, imports=imports)}"
    if checkpoint.task == TRANSLATION:
        return f"let it translate:  {command('translate', argument(folder), imports=imports)} TEXT"
    if checkpoint.task != LANGUAGE_MODEL or config.bidirectional or config.num_outputs is not None:
        return ""
    prefixes = [text for text in checkpoint.train_config.prefixes if text.strip()]
    prefix = prefixes[0] if prefixes else checkpoint.vocab.idx_to_token[0]
    words = [argument(folder), *option("--prefix", prefix)]
    return f"let it write:  {command('sample', *words, imports=imports)}"


def _is_guessed(contents: Contents, request: ImportRequest) -> bool:
    """Return whether the cell is an rnn only because torch.nn.RNN has tanh unless it is told otherwise."""
    return contents.stack.cell == "rnn" and not request.cell and "version" not in contents.settings
