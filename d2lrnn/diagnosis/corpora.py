"""The corpora and where they lie, and the font for their characters; nothing is downloaded."""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator

from d2lrnn.data.corpora import CORPORA
from d2lrnn.data.files import locate
from d2lrnn.diagnosis.finding import BROKEN, NOTE, OK, Finding, place
from d2lrnn.errors import D2lrnnError
from d2lrnn.paths import PathLike
from d2lrnn.plotting.fonts import legible, packaged_font

CHINESE = "分开"  # what the book's samples begin with


def corpora(data_dir: PathLike | None = None) -> Iterator[Finding]:
    """Yield in which folders the named corpora are found, which are not, and what is wrong with the others.

    Args:
        data_dir: the folder to look in first.
    """
    found: dict[str, list[str]] = {}
    wrong: dict[str, list[str]] = {}
    for name, corpus in CORPORA.items():
        try:
            path = locate(corpus.source, data_dir)
        except D2lrnnError as error:
            wrong.setdefault(str(error), []).append(name)
            continue
        if path is None:
            where = "would be downloaded when first used"
        else:
            verified = corpus.source.sha256 is not None and path.name == corpus.source.filename
            where = f"in {place(path.parent)}{', verified by checksum' * verified}"
        found.setdefault(where, []).append(name)
    for where, names in found.items():
        yield Finding(OK, "corpora", f"{', '.join(names)}: {where}")
    for complaint, names in wrong.items():
        yield Finding(BROKEN, "corpora", f"{', '.join(names)}: {complaint}")


def font() -> Finding:
    """Return which font writes Chinese in pictures; Matplotlib is asked only where none comes with the environment."""
    packaged = packaged_font()
    if packaged is not None and packaged.is_file():
        return Finding(OK, "font", f"Chinese in pictures: {packaged.stem}, or a font that is installed")
    with _no_cache_of_fonts(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        texts, families = legible([CHINESE])
    if texts == [CHINESE]:
        return Finding(OK, "font", f"Chinese in pictures: {families[-1]}")
    return Finding(
        NOTE,
        "font",
        "no font with Chinese: pictures show code points, such as U+6708, in its place",
        "install one (Debian, Ubuntu: apt-get install fonts-noto-cjk)",
    )


@contextlib.contextmanager
def _no_cache_of_fonts() -> Iterator[None]:
    """Let Matplotlib, if it is first imported in this block, write its list of fonts into a folder that is removed."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get("MPLCONFIGDIR")
        os.environ["MPLCONFIGDIR"] = folder
        try:
            yield
        finally:
            del os.environ["MPLCONFIGDIR"]
            if before is not None:
                os.environ["MPLCONFIGDIR"] = before
