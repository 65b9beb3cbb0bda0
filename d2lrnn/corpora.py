"""The data sets: find the file, verify it, read it, and turn it into ids and a vocabulary.

A file is looked for in the folder that the user names (the argument ``data_dir``, then the environment
variable ``D2LRNN_DATA``), in the project's ``data/`` and in the cache; what is in none of them is downloaded.
What was published has a checksum and is verified wherever it lies.  Archives are read in memory.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Union

from d2lrnn.config import CORPUS_NAMES
from d2lrnn.text import EOS, Corpus, UnknownTokenError, Vocab, tokenize

PathLike = Union[str, "os.PathLike[str]"]

BOOK_CHARS = 10_000  # the book trains on the first 10,000 characters of the lyrics
BASE_URL = "https://d2l-data.s3-accelerate.amazonaws.com/"  # of the book's data sets
MAX_BYTES = 2**28  # of one text (PTB: 5 MB, text8: 100 MB); a list of its characters takes eight times that


class CorpusError(ValueError):
    """A corpus is there but is not what it should be."""


class CorpusNotFoundError(CorpusError, FileNotFoundError):
    """A corpus is in none of the folders and could not be downloaded."""


@dataclass(frozen=True)
class Source:
    """The file that a corpus comes from."""

    filename: str  # under this name it is published below BASE_URL
    sha256: str | None = None  # None: not published, so neither verified nor downloaded
    alternatives: tuple[str, ...] = ()  # other forms that a user may have, as paths in a folder; not verified


SAMPLE = Source("lyrics_zh.txt")
JAYCHOU = Source(
    "jaychou_lyrics.txt.zip",
    "3cfedd7d174111cdad5a27eaffaa6a2432a2842cf2590a03dd8a97610ea07043",
    ("jaychou_lyrics.txt",),
)
PTB = Source(
    "ptb.zip",
    "310d8f602882a5716613815ed75596e5764ea84ed04c5630eebaaf2b943ec5aa",
    ("simple-examples.tgz", "ptb.train.txt", "ptb/ptb.train.txt", "simple-examples/data/ptb.train.txt"),
)
TIME_MACHINE = Source("timemachine.txt", "8424dbd9532ac81f7e5f0b6add90e6952baea29158309d7d1bf3884f4e12c516")


def load_corpus(name: PathLike, data_dir: PathLike | None = None, max_tokens: int | None = None) -> Corpus:
    """Load a corpus by its name, or a text file of the user's as characters.

    Args:
        name: one of ``CORPUS_NAMES``, or the path of a UTF-8 text file.
        data_dir: the folder to look in first.
        max_tokens: keep at most so many tokens; None means all, but for ``"jaychou"`` the book's 10,000.

    Raises:
        CorpusError: if the corpus or file is missing (CorpusNotFoundError) or is not what it should be.
    """
    if name == "sample":
        return load_data_lyrics_sample(max_tokens, data_dir)
    if name == "jaychou":
        return load_data_jay_lyrics(BOOK_CHARS if max_tokens is None else max_tokens, data_dir)
    if name == "ptb":
        return load_data_ptb(data_dir, max_tokens)
    if name == "timemachine":
        return load_data_time_machine(max_tokens, data_dir)
    if Path(name).exists():
        return load_text(name, max_tokens=max_tokens)
    nearest = difflib.get_close_matches(str(name), CORPUS_NAMES, 1)
    raise CorpusNotFoundError(
        f"{str(name)!r} is neither a corpus nor a file: expected one of {', '.join(CORPUS_NAMES)}, or the "
        f"path of a UTF-8 text file{f'; did you mean {nearest[0]}?' if nearest else ''}"
    )


def load_data_lyrics_sample(max_chars: int | None = None, data_dir: PathLike | None = None) -> Corpus:
    """Load the Chinese lyrics that ship with d2lrnn, as characters; a line end becomes a space.

    Args:
        max_chars: keep at most so many characters; the vocabulary is theirs.
        data_dir: the folder to look in first.

    Raises:
        CorpusError: if the file is missing (CorpusNotFoundError) or is not UTF-8 text.
    """
    text = _read_texts(fetch(SAMPLE, data_dir), [SAMPLE.filename])[0]
    return _corpus("sample", text, "char", max_chars)


def load_data_jay_lyrics(max_chars: int | None = BOOK_CHARS, data_dir: PathLike | None = None) -> Corpus:
    """Load the book's Jay Chou lyrics, as characters; a line end becomes a space (d2l-zh v1, section 6.3).

    Args:
        max_chars: keep at most so many characters; the vocabulary is theirs (1,027 for the book's 10,000).
            None keeps all 63,282.
        data_dir: the folder to look in first, for ``jaychou_lyrics.txt.zip`` or ``jaychou_lyrics.txt``.

    Raises:
        CorpusError: if the file is missing (CorpusNotFoundError), damaged or not UTF-8 text.
    """
    text = _read_texts(fetch(JAYCHOU, data_dir), ["jaychou_lyrics.txt"])[0]
    return _corpus("jaychou", text, "char", max_chars)


def load_data_time_machine(
    max_tokens: int | None = None, data_dir: PathLike | None = None, level: str = "char"
) -> Corpus:
    """Load *The Time Machine* in lower case, with one space for every run of anything but letters.

    This is d2l 1.0, section 9.2: 173,428 characters, 27 of them distinct, or 32,775 words.  (Earlier editions
    clean line by line and so glue a line's last word to the next one's first: 170,580 characters.)

    Args:
        max_tokens: keep at most so many tokens; the vocabulary is theirs.
        data_dir: the folder to look in first, for ``timemachine.txt``.
        level: ``"char"`` or ``"word"``.

    Raises:
        CorpusError: if the file is missing (CorpusNotFoundError) or damaged.
    """
    text = _read_texts(fetch(TIME_MACHINE, data_dir), [TIME_MACHINE.filename])[0]
    return _corpus("timemachine", re.sub("[^A-Za-z]+", " ", text).lower(), level, max_tokens)


def load_data_ptb(data_dir: PathLike | None = None, max_tokens: int | None = None) -> Corpus:
    """Load the Penn Treebank as Mikolov et al. (2010) prepared it: words, and ``<eos>`` at each line end.

    Training, validation and test have 929,589, 73,760 and 82,430 tokens; the vocabulary is training's 10,000.

    Args:
        data_dir: the folder to look in first, for ``ptb.zip``, for Mikolov's ``simple-examples.tgz``, or for
            ``ptb.train.txt``, ``ptb.valid.txt`` and ``ptb.test.txt``, there or in its ``ptb/`` or
            ``simple-examples/data/``.
        max_tokens: keep at most so many tokens of each split; the vocabulary is still that of all.

    Raises:
        CorpusError: if the files are missing (CorpusNotFoundError), damaged or do not belong together.
    """
    path = fetch(PTB, data_dir)
    texts = _read_texts(path, ["ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"])
    tokens = [tokenize((text.removesuffix("\n") + "\n").replace("\n", f" {EOS} "), "word") for text in texts]
    vocab = Vocab(tokens[0], "word")
    _check_max(max_tokens)
    try:
        return Corpus("ptb", vocab, *(vocab.encode(words[:max_tokens]) for words in tokens))
    except UnknownTokenError as error:
        raise CorpusError(f"in {path}, another split does not fit ptb.train.txt: {error}") from error


def load_text(path: PathLike, level: str = "char", max_tokens: int | None = None) -> Corpus:
    r"""Load any UTF-8 text file, with or without a byte order mark; the corpus gets the file's name.

    Args:
        path: the file.
        level: ``"char"``: characters, where a line end (``\n``, ``\r\n`` or ``\r``) becomes a space;
            ``"word"``: what white space separates, line ends included.
        max_tokens: keep at most so many tokens; the vocabulary is theirs.

    Raises:
        CorpusError: if the file cannot be read, is empty, or is not UTF-8 text.
    """
    path = Path(path)
    with _reading(path), path.open("rb") as stream:
        return _corpus(path.name, _decode(stream, str(path)), level, max_tokens)


def fetch(source: Source, data_dir: PathLike | None = None, timeout: float = 10.0) -> Path:
    """Find a corpus's file, or download it into the cache.

    Args:
        source: the file.
        data_dir: the folder to look in first; ``D2LRNN_DATA``, the project's ``data/`` and the cache follow.
        timeout: seconds to wait for the server to answer, and then for each piece of the file.

    Returns:
        the path of the file, or of one of its alternatives.

    Raises:
        CorpusError: if it is nowhere (CorpusNotFoundError) or has another checksum than was published.
    """
    folders = _folders(data_dir)
    for folder in folders:
        with _reading(folder):
            for path in (folder / name for name in (source.filename, *source.alternatives)):
                if path.is_file():
                    return _verified(path, source)
    missing = f"{source.filename} is not in {', '.join(map(str, folders))}"
    if source.sha256 is None:
        raise CorpusNotFoundError(f"{missing}: it is part of d2lrnn, so install d2lrnn again")
    import pooch  # not above, where every import of d2lrnn would wait for it

    url, cache = BASE_URL + source.filename, pooch.os_cache("d2lrnn")
    pooch.get_logger().setLevel("WARNING")  # the progress bar says that it downloads
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=timeout)
    try:
        return Path(pooch.retrieve(url, source.sha256, source.filename, cache, downloader=downloader))
    except (OSError, ValueError) as error:
        raise CorpusNotFoundError(
            f"{missing} or {cache}, and downloading {url} failed ({type(error).__name__}: {error}); get it "
            "elsewhere, put it into a folder and name that folder by --data-dir, data_dir= or D2LRNN_DATA"
        ) from error


def _folders(data_dir: PathLike | None) -> list[Path]:
    folders = []
    for what, named in (("data_dir", data_dir), ("D2LRNN_DATA", os.environ.get("D2LRNN_DATA"))):
        if named:
            folders.append(Path(named).expanduser())
            if not folders[-1].is_dir():
                raise CorpusNotFoundError(f"{what} names {named}: expected a folder that is there")
    package = Path(__file__).parent
    installed = package / "data"  # where the wheel puts it
    return [*folders, installed if installed.is_dir() else package.parent / "data"]


def _verified(path: Path, source: Source) -> Path:
    if path.name == source.filename and source.sha256:
        import pooch

        found = pooch.file_hash(str(path))
        if found != source.sha256:
            raise CorpusError(
                f"{path} has the SHA-256 {found}, expected {source.sha256}: it may be truncated or another "
                f"edition; replace it by {BASE_URL}{source.filename}, or remove it to have that downloaded"
            )
    return path


def _read_texts(path: Path, names: list[str]) -> list[str]:
    """Read the texts of these names from an archive, or from the folder that ``path`` is in."""
    members: dict[str, Callable]
    with _reading(path), ExitStack() as stack:
        if path.suffix == ".zip":
            archive = stack.enter_context(zipfile.ZipFile(path))
            members = {name: partial(archive.open, name) for name in archive.namelist()}
        elif path.suffix == ".tgz":
            tar = stack.enter_context(tarfile.open(path, "r:gz"))
            members = {info.name: partial(tar.extractfile, info) for info in tar if info.isfile()}
        else:
            siblings = {name: path.with_name(name) for name in names}
            members = {name: partial(file.open, "rb") for name, file in siblings.items() if file.is_file()}
        members = {PurePosixPath(name).name: open_member for name, open_member in members.items()}
        missing = [name for name in names if name not in members]
        if missing:
            raise CorpusError(f"{path} is damaged or lacks {', '.join(missing)}: expected {', '.join(names)}")
        return [_decode(stack.enter_context(members[name]()), f"{path}: {name}") for name in names]


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what can go wrong in reading a file or an archive into a CorpusError."""
    try:
        yield
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise CorpusError(f"{path} cannot be read or is damaged ({error!r})") from error


def _decode(stream: IO[bytes], what: str) -> str:
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise CorpusError(f"{what} has more than {MAX_BYTES:,} bytes: expected less; cut it into parts")
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{what} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}; Chinese texts are "
            "often in GB18030 or GBK: convert them with `iconv -f GB18030 -t UTF-8 old.txt > new.txt`"
        ) from error
    if not text.strip():
        raise CorpusError(f"{what} is empty: expected text")
    return text


def _corpus(name: str, text: str, level: str, max_tokens: int | None) -> Corpus:
    """Make a corpus of a text without splits, whose line ends become spaces."""
    _check_max(max_tokens)
    text = text.replace("\r\n", "\n").replace("\n", " ").replace("\r", " ")
    tokens = tokenize(text, level)[:max_tokens]
    vocab = Vocab(tokens, level)
    return Corpus(name, vocab, vocab.encode(tokens))


def _check_max(max_tokens: int | None) -> None:
    if max_tokens is not None and (not isinstance(max_tokens, int) or max_tokens < 1):
        raise ValueError(f"found {max_tokens!r} as the most tokens to keep: expected a positive whole number")
