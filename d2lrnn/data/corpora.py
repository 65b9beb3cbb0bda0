"""The corpora that have a name: one table of where each comes from and what it can be asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from d2lrnn.config.fields import CORPUS_NAMES, table_of
from d2lrnn.data.files import Source
from d2lrnn.data.vocabulary import EOS

BOOK_CHARS = 10_000  # the book trains on the first 10,000 characters of the lyrics


def letters_alone(text: str) -> str:
    """Return a text in lower case, with one space for every run of anything but letters of the alphabet."""
    return re.sub("[^A-Za-z]+", " ", text).lower()


def ends_as_words(text: str) -> str:
    """Return a text with ``<eos>``, as a word of its own, for each line end, and one at the end."""
    return (text.removesuffix("\n") + "\n").replace("\n", f" {EOS} ")


@dataclass(frozen=True)
class NamedCorpus:
    """Where a corpus with a name comes from, and what it can be asked for."""

    source: Source
    members: tuple[str, ...]  # its text, as a file of the source; or those for training, validation and test
    clean: Callable[[str], str] | None = None  # what is done to a text first
    level: str = "char"  # of its tokens, if no other is asked for
    other_levels: bool = True  # whether another may be asked for
    lines: str = "asked"  # whether it has line ends: "never", "always", or where they are "asked" for
    max_tokens: int | None = None  # what load_corpus keeps if it is not told; None: all

    @property
    def has_splits(self) -> bool:
        """Whether it comes with texts for validation and test."""
        return len(self.members) > 1


# The one table of corpora, in the order of CORPUS_NAMES in config/fields.py, where --help reads the names.
CORPORA = table_of(
    CORPUS_NAMES,
    {
        "sample": NamedCorpus(
            Source("lyrics_zh.txt", elsewhere="it is part of d2lrnn, so install d2lrnn again"), ("lyrics_zh.txt",)
        ),
        "jaychou": NamedCorpus(
            Source(
                "jaychou_lyrics.txt.zip",
                "3cfedd7d174111cdad5a27eaffaa6a2432a2842cf2590a03dd8a97610ea07043",
                ("jaychou_lyrics.txt",),
            ),
            ("jaychou_lyrics.txt",),
            max_tokens=BOOK_CHARS,
        ),
        "ptb": NamedCorpus(
            Source(
                "ptb.zip",
                "310d8f602882a5716613815ed75596e5764ea84ed04c5630eebaaf2b943ec5aa",
                ("simple-examples.tgz", "ptb.train.txt", "ptb/ptb.train.txt", "simple-examples/data/ptb.train.txt"),
            ),
            ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"),
            clean=ends_as_words,
            level="word",
            other_levels=False,
            lines="never",
        ),
        "timemachine": NamedCorpus(
            Source("timemachine.txt", "8424dbd9532ac81f7e5f0b6add90e6952baea29158309d7d1bf3884f4e12c516"),
            ("timemachine.txt",),
            clean=letters_alone,
            lines="never",
        ),
        "couplets": NamedCorpus(
            Source(
                "tang_couplets.txt",
                elsewhere="name the folder that it is in by --data-dir, data_dir= or D2LRNN_DATA, or name, as the "
                "corpus, a file of your own with one poem a line",
            ),
            ("tang_couplets.txt",),
            other_levels=False,
            lines="always",
        ),
    },
)
