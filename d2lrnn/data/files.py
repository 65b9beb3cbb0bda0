"""Find, verify and read the files of corpora.

A file is looked for in the folder that the user names (the argument ``data_dir``, then the environment
variable ``D2LRNN_DATA``), in the project's ``data/`` and in the cache.  A file that is in none of them is downloaded.
A published file has a checksum and is verified wherever it lies.  Archives are read in memory.
"""

from __future__ import annotations

import os
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

from d2lrnn.errors import D2lrnnError

PathLike = Union[str, "os.PathLike[str]"]

PACKAGE = Path(__file__).parents[1]

BASE_URL = "https://d2l-data.s3-accelerate.amazonaws.com/"  # of the book's data sets

MAX_BYTES = 2**28  # of one text (PTB: 5 MB, text8: 100 MB); a list of its characters takes eight times that


class CorpusError(D2lrnnError):
    """A corpus cannot be used: its file is missing, damaged or not what it should be."""


class CorpusNotFoundError(CorpusError, FileNotFoundError):
    """A corpus is in none of the folders and could not be downloaded."""


@dataclass(frozen=True)
class Source:
    """The file that a corpus comes from."""

    filename: str  # the name under which the file is published below base_url
    sha256: str | None = None  # None: not published, so neither verified nor downloaded
    alternatives: tuple[str, ...] = ()  # other forms that a user may have, as paths in a folder; not verified
    elsewhere: str = ""  # what the user can do if the file is missing and cannot be downloaded
    base_url: str = BASE_URL  # of the server that publishes the file


def fetch(source: Source, data_dir: PathLike | None = None, timeout: float = 10.0, package: Path = PACKAGE) -> Path:
    """Find a corpus's file, or download it into the cache.

    Args:
        source: the file.
        data_dir: the folder to look in first; ``D2LRNN_DATA``, the project's ``data/`` and the cache follow.
        timeout: seconds to wait for the server to answer, and then for each piece of the file.
        package: the folder of d2lrnn; the project's ``data/`` lies beside it, or as ``shipped`` in it.

    Returns:
        the path of the file, or of one of its alternatives.

    Raises:
        CorpusError: if the file is nowhere (CorpusNotFoundError) or its checksum is not the published one.
    """
    folders = _folders(data_dir, package)
    for folder in folders:
        with reading(folder):
            for path in (folder / name for name in (source.filename, *source.alternatives)):
                if path.is_file():
                    return _verified(path, source)
    others = f" (or {', '.join(source.alternatives)})" if source.alternatives else ""
    missing = f"{source.filename}{others} is not in {', '.join(map(str, folders))}"
    if source.sha256 is None:
        raise CorpusNotFoundError(f"{missing}: {source.elsewhere}")
    import pooch  # here, so that importing d2lrnn does not wait for pooch

    url, cache = source.base_url + source.filename, pooch.os_cache("d2lrnn")
    pooch.get_logger().setLevel("WARNING")  # the progress bar shows the download
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr is not None and sys.stderr.isatty(), timeout=timeout)
    try:
        return Path(pooch.retrieve(url, source.sha256, source.filename, cache, downloader=downloader))
    except (OSError, ValueError) as error:
        raise CorpusNotFoundError(
            f"{missing} or {cache}, and downloading {url} failed ({type(error).__name__}: {error}); get it "
            "elsewhere, put it into a folder and name that folder by --data-dir, data_dir= or D2LRNN_DATA"
        ) from error


def _folders(data_dir: PathLike | None, package: Path) -> list[Path]:
    folders = []
    for what, named in (("data_dir", data_dir), ("D2LRNN_DATA", os.environ.get("D2LRNN_DATA"))):
        if named:
            folder = Path(os.path.expanduser(named))  # leaves ~name as it is if there is no such user
            with reading(folder):
                found = folder.is_dir()
            if not found:
                raise CorpusNotFoundError(f"{what} names {named}: expected a folder that is there")
            folders.append(folder)
    installed = package / "shipped"  # where the wheel puts data/
    return [*folders, installed if installed.is_dir() else package.parent / "data"]


def _verified(path: Path, source: Source) -> Path:
    if path.name == source.filename and source.sha256:
        import pooch

        found = pooch.file_hash(str(path))
        if found != source.sha256:
            raise CorpusError(
                f"{path} has the SHA-256 {found}, expected {source.sha256}: it may be truncated or another "
                f"edition; replace it by {source.base_url}{source.filename}, or remove it to have that downloaded"
            )
    return path


def read_texts(path: Path, names: list[str], max_bytes: int = MAX_BYTES) -> list[str]:
    """Read the texts called ``names`` from the archive ``path``, or from the folder of the file ``path``.

    Each text may have ``max_bytes`` at most.
    """
    members: dict[str, Callable]
    with reading(path), ExitStack() as stack:
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
        return [decode(stack.enter_context(members[name]()), f"{path}: {name}", max_bytes) for name in names]


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the errors of reading a file or an archive into a CorpusError."""
    try:
        yield
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise CorpusError(f"{path} cannot be read or is damaged ({error!r})") from error
    except ValueError as error:
        if isinstance(error, D2lrnnError) or "\0" not in str(path):
            raise
        raise CorpusError(f"{str(path)!r} cannot be read: a path cannot hold the character NUL") from error


def decode(stream: IO[bytes], what: str, max_bytes: int = MAX_BYTES) -> str:
    """Return the UTF-8 text of a stream, of at most ``max_bytes``; a CorpusError calls the stream ``what``."""
    data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise CorpusError(f"{what} has more than {max_bytes:,} bytes: expected less; cut it into parts")
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
