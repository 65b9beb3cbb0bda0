"""The vocabulary of a model that was trained elsewhere: from a file of JSON, or from a run."""

from __future__ import annotations

from typing import Any

from d2lrnn.checks import shown
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.errors import D2lrnnError, naming
from d2lrnn.exchange.answers import ExchangeError
from d2lrnn.paths import PathLike, user_path
from d2lrnn.runs.schema import parse
from d2lrnn.runs.trained import load_run
from d2lrnn.runs.whole_file import open_file

MAX_JSON = 2**28  # bytes of a vocabulary's file


def read_vocabulary(path: PathLike, level: str | None = None) -> Vocab:
    """Return the vocabulary in a file of JSON, or that of a run.

    Args:
        path: a JSON file, see :func:`vocabulary_from`; a folder that ``train`` wrote, or a checkpoint.
        level: as for :func:`vocabulary_from`; not for a run, which tells it.

    Raises:
        FileError: if the file cannot be read.
        ExchangeError: if it holds no vocabulary.
        RunError, CheckpointError: as :func:`d2lrnn.runs.trained.load_run`.
    """
    path = user_path(path)
    with naming(path):
        is_folder = path.is_dir()
    if is_folder or path.suffix == ".d2lrnn":
        vocab = load_run(path).vocab
        if level not in (None, vocab.level):
            raise ExchangeError(f"{path} has a vocabulary of level {vocab.level!r}: expected {level!r}")
        return vocab
    with open_file(path) as file, naming(path):
        content = file.read(MAX_JSON + 1)
    if len(content) > MAX_JSON:
        raise ExchangeError(f"{path} has over {MAX_JSON:,} bytes: expected a vocabulary")
    try:
        return vocabulary_from(parse(content.decode()), level)
    except UnicodeDecodeError:
        raise ExchangeError(f"{path} is not UTF-8: expected a vocabulary as JSON") from None
    except D2lrnnError as error:
        raise ExchangeError(f"{path} holds no vocabulary: {error}") from error


def vocabulary_from(value: Any, level: str | None = None) -> Vocab:
    """Return the vocabulary that JSON describes.

    Args:
        value: a list of tokens in the order of their ids; or an object of tokens with their ids; or an object of such a
            list as ``tokens`` and a ``level``.
        level: how a text is split into tokens; None: as the object says, or else ``char``, if each token is a
            character.

    Raises:
        ExchangeError: if it is none of these, or nothing says how a text is split into tokens.
        D2lrnnError: as :meth:`Vocab.from_list`.
    """
    if isinstance(value, dict) and isinstance(value.get("tokens"), list):
        level = level or value.get("level")
        value = value["tokens"]
    elif isinstance(value, dict):
        value = _by_id(value)
    if not isinstance(value, list):
        raise ExchangeError(f"it is {shown(value)}: expected a list of tokens, or an object of tokens and their ids")
    vocab = Vocab.from_list(value, "char" if level is None else level)
    for token in value:
        try:
            token.encode()
        except UnicodeEncodeError:
            raise ExchangeError(f"the token {shown(token)} is half of a character") from None
        if level is None and len(token) != 1:
            raise ExchangeError(
                f"the token {shown(token)} is not one character: say how texts are split into tokens, --level word, "
                "--level bigram or --level char"
            )
    return vocab


def _by_id(ids: dict[str, Any]) -> list[str]:
    """Return tokens in the order of their ids."""
    tokens: dict[int, str] = {}
    for token, i in ids.items():
        if isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < len(ids) or i in tokens:
            raise ExchangeError(
                f"the token {shown(token)} has the id {shown(i)}: expected each of the ids 0 to {len(ids) - 1:,} once"
            )
        tokens[i] = token
    return [tokens[i] for i in range(len(ids))]
