"""The table of named corpora: where each comes from, and the forms in which it can be loaded."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from d2lrnn.config.fields import CORPUS_NAMES, table_of
from d2lrnn.data.characters import LINE_END, without_blank_lines
from d2lrnn.data.files import Source
from d2lrnn.data.vocabulary import EOS

BOOK_CHARS = 10_000  # the book trains on the first 10,000 characters of the lyrics
BOOK_PREFIXES = ("分开", "不分开")  # what the book's samples start from


def letters_alone(text: str) -> str:
    """Return a text in lower case, with one space for each run of characters that are not letters from a to z."""
    return re.sub("[^A-Za-z]+", " ", text).lower()


def ends_as_words(text: str) -> str:
    """Return a text with the word ``<eos>`` in place of each line end, and one at the end of the text."""
    return (text.removesuffix(LINE_END) + LINE_END).replace(LINE_END, f" {EOS} ")


def lines_as_spaces(text: str) -> str:
    """Return a text with a space in place of each line end."""
    return text.replace(LINE_END, " ")


def cleaning(lines: bool) -> Callable[[str], str]:
    """Return what is done to any text before it is split into tokens: what happens to its line ends."""
    return without_blank_lines if lines else lines_as_spaces


@dataclass(frozen=True)
class NamedCorpus:
    """Where a named corpus comes from, and the forms in which it can be loaded."""

    source: Source
    members: tuple[str, ...]  # files of the source: the text, or those for training, validation and test
    clean: Callable[[str], str] | None = None  # applied to a text before it is split into tokens; None: cleaning()
    level: str = "char"  # of its tokens, unless another is asked for
    other_levels: bool = True  # whether another level may be asked for
    lines: str = "asked"  # whether line ends are kept: "never", "always", or if "asked" for
    max_tokens: int | None = None  # the most that load_corpus keeps unless told otherwise; None: all
    prefixes: tuple[str, ...] = ()  # what samples start from when nobody says; (): the first tokens of the text

    def cleaning(self, lines: bool) -> Callable[[str], str]:
        """Return what is done to a text before it is split into tokens.

        Args:
            lines: whether line ends are kept; False where the corpus never keeps them.
        """
        return self.clean or cleaning(lines or self.lines == "always")

    @property
    def has_splits(self) -> bool:
        """Whether it comes with texts for validation and test."""
        return len(self.members) > 1


# The one table of corpora, in the order of CORPUS_NAMES in config/fields.py, where --help reads the names.
CORPORA = table_of(
    CORPUS_NAMES,
    {
        "sample": NamedCorpus(
            Source("lyrics_zh.txt", elsewhere="it is part of d2lrnn, so install d2lrnn again"),
            ("lyrics_zh.txt",),
            prefixes=BOOK_PREFIXES,
        ),
        "sample_couplets": NamedCorpus(
            Source("couplets_zh.txt", elsewhere="it is part of d2lrnn, so install d2lrnn again"),
            ("couplets_zh.txt",),
            other_levels=False,
            lines="always",
        ),
        "jaychou": NamedCorpus(
            Source(
                "jaychou_lyrics.txt.zip",
                "3cfedd7d174111cdad5a27eaffaa6a2432a2842cf2590a03dd8a97610ea07043",
                ("jaychou_lyrics.txt",),
            ),
            ("jaychou_lyrics.txt",),
            max_tokens=BOOK_CHARS,
            prefixes=BOOK_PREFIXES,
        ),
        "ptb": NamedCorpus(
            Source(
                "ptb.zip",
                "310d8f602882a5716613815ed75596e5764ea84ed04c5630eebaaf2b943ec5aa",
                (
                    *("simple-examples.tgz", "ptb.train.txt", "ptb/ptb.train.txt"),
                    *("simple-examples/data/ptb.train.txt", "data/ptb.train.txt"),
                ),
            ),
            ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"),
            clean=ends_as_words,
            level="word",
            other_levels=False,
            lines="never",
            prefixes=("the company", "it is"),
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
                "4ad5a42539f9581ca9af578cc2f14bc4face356ebd7995e60df8593507e1cc93",
                base_url="https://raw.githubusercontent.com/Yunpneg/Tensorflow_CharForLSTM/"
                "9b93ca6107deb74ed9a31b2a1aa6077c29da04b5/data/",
                published_as="poetry.txt",
            ),
            ("tang_couplets.txt",),
            other_levels=False,
            lines="always",
        ),
    },
)
