"""Find, fetch and verify the files of corpora.

A file is looked for in the folder that the user names (the argument ``data_dir``, then the environment
variable ``D2LRNN_DATA``), in the project's ``data/`` and in the cache.  A file that is in none of them is downloaded.
A published file has a checksum and is verified wherever it lies, before anything is read from it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from d2lrnn.data.texts import MAX_BYTES, CorpusError, CorpusNotFoundError, reading
from d2lrnn.errors import D2lrnnError
from d2lrnn.paths import PathLike, user_path

PACKAGE = Path(__file__).parents[1]

BASE_URL = "https://d2l-data.s3-accelerate.amazonaws.com/"  # of the book's data sets

MAX_DOWNLOAD = 2**26  # bytes (PTB: 2 MB)


@dataclass(frozen=True)
class Source:
    """The file that a corpus comes from."""

    filename: str  # its name in a folder and in the cache
    sha256: str | None = None  # None, and no sha1 either: not published, so neither verified nor downloaded
    alternatives: tuple[str, ...] = ()  # other forms that a user may have, as paths in a folder; not verified
    elsewhere: str = ""  # what the user can do if the file is missing and is not published
    base_url: str = BASE_URL  # of the server that publishes the file
    published_as: str = ""  # the file's name below base_url; "": the filename
    sha1: str | None = None  # of a file of which the book publishes this alone

    @property
    def url(self) -> str:
        """Where the file is published."""
        return self.base_url + (self.published_as or self.filename)

    @property
    def checksum(self) -> tuple[str, str] | None:
        """The published checksum's kind, as hashlib calls it, and the checksum; None: the file is not published."""
        if self.sha256 is not None:
            return "sha256", self.sha256
        return None if self.sha1 is None else ("sha1", self.sha1)


@dataclass(frozen=True)
class Limits:
    """How long a download may take, and how large it may be."""

    answer: float = 10.0  # seconds to wait for the server to answer, and then for each piece of the file
    in_all: float = 600.0  # seconds for the whole file
    max_bytes: int = MAX_DOWNLOAD


USUAL_LIMITS = Limits()


def fetch(
    source: Source, data_dir: PathLike | None = None, limits: Limits = USUAL_LIMITS, package: Path = PACKAGE
) -> Path:
    """Find a corpus's file, or download it into the cache.

    Args:
        source: the file.
        data_dir: the folder to look in first; ``D2LRNN_DATA``, the project's ``data/`` and the cache follow.
        limits: of a download.
        package: the folder of d2lrnn; the project's ``data/`` lies beside it, or as ``shipped`` in it.

    Returns:
        the path of the file, or of one of its alternatives.

    Raises:
        CorpusError: if the file is nowhere (CorpusNotFoundError) or its checksum is not the published one.
    """
    folders = _folders(data_dir, package)
    path = _found(source, folders)
    if path is not None:
        return path
    import pooch  # here, so that importing d2lrnn does not wait for pooch

    cache = pooch.os_cache("d2lrnn")
    pooch.get_logger().setLevel("WARNING")  # the progress bar shows the download
    try:
        known = ":".join(source.checksum or ())
        return Path(pooch.retrieve(source.url, known, source.filename, cache, downloader=_Downloader(limits)))
    except (OSError, ValueError) as error:
        reason = str(error) if isinstance(error, D2lrnnError) else _reason(error)
        searched = " or ".join(map(str, (*folders, cache)))
        raise CorpusNotFoundError(
            f"{source.filename} is not in {searched}, and cannot be downloaded ({reason}).",
            f"Get {source.url} elsewhere, and save it as {source.filename} in {cache}, or in a folder that you name by "
            "--data-dir, data_dir= or D2LRNN_DATA.",
        ) from error


def locate(source: Source, data_dir: PathLike | None = None, package: Path = PACKAGE) -> Path | None:
    """Return the path that :func:`fetch` would return without a download; None where it would download the file.

    Arguments and errors are those of :func:`fetch`; nothing is downloaded.
    """
    path = _found(source, _folders(data_dir, package))
    if path is not None:
        return path
    import pooch

    cached = Path(pooch.os_cache("d2lrnn")) / source.filename
    with reading(cached):
        return cached if cached.is_file() and _is_published(cached, source) else None


def _found(source: Source, folders: list[Path]) -> Path | None:
    """Return the file in the first of the folders that has it; None where it has to be downloaded."""
    for folder in folders:
        with reading(folder):
            for path in (folder / name for name in (source.filename, *source.alternatives)):
                if path.is_file():
                    return _verified(path, source)
    if source.checksum is None:
        searched = ", ".join(map(str, folders))
        raise CorpusNotFoundError(f"{source.filename} is not in {searched}: {source.elsewhere}")
    return None


def _reason(error: BaseException) -> str:
    """Return in a few words why a download failed: what the system says, if there is such an error in the chain."""
    chain: list[BaseException] = [error]
    while chain[-1].__cause__ or chain[-1].__context__:
        chain.append(chain[-1].__cause__ or chain[-1].__context__)  # type: ignore[arg-type]
    by_the_system = [found.strerror for found in chain if isinstance(found, OSError) and found.strerror]
    if by_the_system:
        reason = str(by_the_system[-1])
    else:  # a message with "Pool(" shows objects of urllib3; that of the innermost error is plainer
        reason = str(chain[-1] if "Pool(" in str(error) else error)
    return reason if len(reason) <= 200 else f"{reason[:200]} ..."


class _Downloader:
    """Downloads a file within limits, by pooch."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        import pooch as library

        limits = self._limits
        responses: list[Any] = []
        over = f"it took more than {limits.in_all:g} seconds"

        def end() -> None:  # a server may send a few bytes now and then, so that no piece is late
            for response in responses:
                with suppress(OSError, ValueError):  # the response is over
                    response.raw.shutdown()

        def remember(response: Any, **_: Any) -> None:
            responses.append(response)

        start, timer = time.monotonic(), threading.Timer(limits.in_all, end)
        shows = sys.stderr is not None and sys.stderr.isatty()
        download = library.HTTPDownloader(progressbar=shows, timeout=limits.answer, hooks={"response": remember})
        timer.daemon = True
        timer.start()
        try:
            with open(output_file, "w+b") as file:
                download(url, _Limited(file, limits.max_bytes), pooch)
        except OSError as error:
            if time.monotonic() - start >= limits.in_all:
                raise CorpusError(over) from error
            raise
        finally:
            timer.cancel()


class _Limited:
    """A file to which only so many bytes can be written."""

    def __init__(self, file: IO[bytes], max_bytes: int) -> None:
        self._file, self._max_bytes, self.flush = file, max_bytes, file.flush

    def write(self, data: bytes) -> int:
        if self._file.tell() + len(data) > self._max_bytes:
            raise CorpusError(f"it has more than {self._max_bytes:,} bytes, which is not what was published")
        return self._file.write(data)


def _folders(data_dir: PathLike | None, package: Path) -> list[Path]:
    folders = []
    for what, named in (("data_dir", data_dir), ("D2LRNN_DATA", os.environ.get("D2LRNN_DATA"))):
        if named:
            folder = user_path(named)
            with reading(folder):
                found = folder.is_dir()
            if not found:
                raise CorpusNotFoundError(f"{what} names {named}: expected a folder that is there")
            folders.append(folder)
    installed = package / "shipped"  # where the wheel puts data/
    return [*folders, installed if installed.is_dir() else package.parent / "data"]


def _is_published(path: Path, source: Source) -> bool:
    """Return whether a file has the published checksum."""
    return source.checksum is not None and _checksum(path, source.checksum[0]) == source.checksum[1]


def _checksum(path: Path, kind: str) -> str:
    import pooch

    return pooch.file_hash(str(path), alg=kind)


def _verified(path: Path, source: Source) -> Path:
    if path.name == source.filename and source.checksum:
        kind, expected = source.checksum
        with reading(path):
            if path.stat().st_size > MAX_BYTES:
                raise CorpusError(f"{path} has more than {MAX_BYTES:,} bytes, which is not what was published")
            found = _checksum(path, kind)
        if found != expected:
            raise CorpusError(
                f"{path} has the {kind.upper().replace('SHA', 'SHA-')} {found}, expected {expected}: it may be "
                f"truncated or another edition; replace it by {source.url}, or remove it to have that downloaded; a "
                "text of your own is named by its path"
            )
    return path
