"""Load sentence pairs, those of a table or a file of the user's."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from d2lrnn.config.fields import PAIR_NAMES, table_of
from d2lrnn.data.archives import read_texts
from d2lrnn.data.files import Source, fetch
from d2lrnn.data.pair_files import pairs_in, read_pairs
from d2lrnn.data.pairs import PairForm, PairsCorpus, corpus_of_pairs
from d2lrnn.data.texts import CorpusNotFoundError, reading
from d2lrnn.paths import PathLike, is_there, user_path


@dataclass(frozen=True)
class NamedPairs:
    """Where sentence pairs with a name come from, and what their columns are."""

    source: Source
    member: str  # the file of the source that holds them
    levels: tuple[str, str]  # of the tokens of the two columns, unless others are asked for


# The one table of sentence pairs, in the order of PAIR_NAMES in config/fields.py.
PAIR_SETS = table_of(
    PAIR_NAMES,
    {
        "sample_pairs": NamedPairs(
            Source("pairs_en_zh.txt", elsewhere="it is part of d2lrnn, so install d2lrnn again"),
            "pairs_en_zh.txt",
            ("word", "char"),
        ),
        "cmn": NamedPairs(
            Source(
                "cmn.txt",
                "74bd3c04dfe0ec75aaaf165597b2a83c6a733d34f46b184fc21ca6b552c268d3",
                base_url="https://raw.githubusercontent.com/pjgao/seq2seq_keras/"
                "bf16416aabfb288f9de5234fc465b676a8da4570/data/",
            ),
            "cmn.txt",
            ("word", "char"),
        ),
        "fra-eng": NamedPairs(
            Source(
                "fra-eng.zip",
                alternatives=("fra.txt", "fra-eng/fra.txt"),
                sha1="94646ad1522d915e7b0f9296181140edcf86a4f5",
            ),
            "fra.txt",
            ("word", "word"),
        ),
    },
)

_USUAL = PairForm()


def load_pairs(name: PathLike, data_dir: PathLike | None = None, form: PairForm = _USUAL) -> PairsCorpus:
    """Load sentence pairs by their name, or a file of the user's.

    A file is read as :func:`d2lrnn.data.pair_files.read_pairs` says.

    The source sentences are divided by a fixed permutation of them all.  So no source sentence is in two splits,
    whatever the levels, and two models of the same pairs are tested on the same sentences.  The vocabularies are of the
    training alone.

    Args:
        name: one of ``PAIR_NAMES``, or the path of a file.
        data_dir: the folder to look in first, for the pairs with a name.
        form: how the pairs become ids.

    Raises:
        CorpusNotFoundError: if there is neither such a name nor such a file.
        PairsError: if a row of the file is no pair.
        CorpusError: if the file cannot be read, or is not the published one.
        D2lrnnError: if the form does not fit the pairs.
    """
    named = PAIR_SETS.get(str(name)) if isinstance(name, str) else None
    if named is not None:
        path = fetch(named.source, data_dir)
        with reading(path):
            pairs = pairs_in(read_texts(path, [named.member])[0], str(path))
        return corpus_of_pairs(str(name), pairs, form, named.levels)
    if not is_there(user_path(name)):
        nearest = difflib.get_close_matches(str(name), PAIR_SETS, 1)
        raise CorpusNotFoundError(
            f"{str(name)!r} names no sentence pairs and is no file: expected one of {', '.join(PAIR_SETS)}, or the "
            f"path of a UTF-8 file with tabs{f'; did you mean {nearest[0]}?' if nearest else ''}"
        )
    return corpus_of_pairs(user_path(name).name, read_pairs(name), form)
