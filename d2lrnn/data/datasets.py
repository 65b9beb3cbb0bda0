"""Load a corpus, one of the table or a text file, as ids and a vocabulary."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from contextlib import closing

import numpy

from d2lrnn.book_names import refuse_batches
from d2lrnn.data.archives import read_texts
from d2lrnn.data.characters import LINE_END, numbers_of_lines, without_blank_lines
from d2lrnn.data.corpora import BOOK_CHARS, CORPORA, cleaning
from d2lrnn.data.corpus import Corpus
from d2lrnn.data.files import fetch
from d2lrnn.data.ids import encode_text
from d2lrnn.data.numbering import Numbering, in_whole_lines, in_whole_tokens
from d2lrnn.data.texts import (
    MAX_CORPUS,
    CorpusError,
    CorpusNotFoundError,
    beginning,
    check_max_tokens,
    check_size,
    opened,
    pieces,
    reading,
    until_tokens,
)
from d2lrnn.data.vocabulary import UnknownTokenError, Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.paths import PathLike, is_there, user_path


def load_corpus(
    name: PathLike,
    data_dir: PathLike | None = None,
    max_tokens: int | None = None,
    level: str | None = None,
    lines: bool = False,
    held_out: float = 0.0,
) -> Corpus:
    """Load a corpus by its name, or a text file of the user's.

    Args:
        name: one of ``CORPUS_NAMES``, or the path of a UTF-8 text file.
        data_dir: the folder to look in first.
        max_tokens: keep at most so many tokens; None: all, but of ``"jaychou"`` the book's 10,000.
        level: of the tokens, ``"char"``, ``"word"`` or ``"bigram"``; None: words of the Penn Treebank, characters of
            all else.
        lines: keep line ends, for training on whole lines; else line ends become spaces.  Couplets always keep them.
        held_out: the share of the text that becomes ``test``, and as much before it ``valid``; must be 0 for the Penn
            Treebank, which comes in splits.

    Raises:
        CorpusError: if the corpus or file is missing (CorpusNotFoundError) or is not what it should be.
        FileError: for a path that the file system cannot have, or that may not be looked at.
        D2lrnnError: for a level, lines, or a held_out that the corpus cannot have.
    """
    named = CORPORA.get(str(name)) if isinstance(name, str) else None
    if named is not None:
        if level not in (None, named.level) and not named.other_levels:
            raise D2lrnnError(f"{name} has no tokens of level {level!r}: leave the level out")
        if lines and named.lines == "never":
            raise D2lrnnError(f"{name} has no lines: expected another corpus, or a text file")
        limit = named.max_tokens if max_tokens is None else max_tokens
        corpus = _load_named(str(name), data_dir, limit, level, lines)
    elif is_there(user_path(name)):
        corpus = load_text(name, level or "char", max_tokens, lines)
    else:
        if str(name) == "-":
            raise CorpusError(
                "a corpus cannot come from standard input, since it is read again when the run goes on or is measured: "
                "write it to a file, and name that"
            )
        nearest = difflib.get_close_matches(str(name), CORPORA, 1)
        raise CorpusNotFoundError(
            f"{str(name)!r} is neither a corpus nor a file: expected one of {', '.join(CORPORA)}, or the "
            f"path of a UTF-8 text file{f'; did you mean {nearest[0]}?' if nearest else ''}"
        )
    return corpus.hold_out(held_out)


def _load_named(
    name: str, data_dir: PathLike | None, max_tokens: int | None, level: str | None = None, lines: bool = False
) -> Corpus:
    """Load a corpus of the table; ``max_tokens`` None keeps all of it."""
    named = CORPORA[name]
    check_max_tokens(max_tokens)
    path = fetch(named.source, data_dir)
    with reading(path):
        texts = read_texts(path, list(named.members))
        level, clean = level or named.level, named.cleaning(lines)
        if named.has_splits:
            return _corpus_of_splits(name, texts, level, max_tokens, clean)
        return _corpus(name, texts[:1], level, max_tokens, clean)


def _corpus_of_splits(
    name: str, texts: list[str], level: str, max_tokens: int | None, clean: Callable[[str], str]
) -> Corpus:
    """Make a corpus of texts for training, validation and test, with the vocabulary of the first."""
    members = CORPORA[name].members
    vocab = Vocab(clean(texts[0]), level)
    try:
        train, valid, test = (encode_text(*part, vocab, clean, max_tokens) for part in zip(texts, members))
    except UnknownTokenError as error:
        raise CorpusError(f"another split does not fit {members[0]}: {error}") from error
    return Corpus(name, vocab, train, valid, test)


def load_data_lyrics_sample(
    max_chars: int | None = None, data_dir: PathLike | None = None, level: str = "char", lines: bool = False
) -> Corpus:
    """Load the Chinese lyrics that ship with d2lrnn; a line end becomes a space.

    Args:
        max_chars: keep at most so many characters, or tokens of another level; the vocabulary is of the kept ones.
        data_dir: the folder to look in first.
        level: of the tokens.
        lines: keep line ends.

    Raises:
        CorpusError: if the file is missing (CorpusNotFoundError) or is not UTF-8 text.
    """
    return _load_named("sample", data_dir, max_chars, level, lines)


def load_data_jay_lyrics(
    max_chars: int | None = BOOK_CHARS, data_dir: PathLike | None = None, level: str = "char", lines: bool = False
) -> Corpus:
    """Load the book's Jay Chou lyrics; a line end becomes a space (d2l-zh v1, section 6.3).

    Args:
        max_chars: keep at most so many characters; the vocabulary is of the kept ones (1,027 for the book's 10,000).
            None keeps all 63,282.
        data_dir: the folder to look in first, for ``jaychou_lyrics.txt.zip`` or ``jaychou_lyrics.txt``.
        level: of the tokens.
        lines: keep line ends.

    Raises:
        CorpusError: if the file is missing (CorpusNotFoundError), damaged or not UTF-8 text.
    """
    return _load_named("jaychou", data_dir, max_chars, level, lines)


def load_data_couplets(max_chars: int | None = None, data_dir: PathLike | None = None) -> Corpus:
    """Load couplets of Tang poems; a line is two times five characters with their punctuation and a line end.

    Args:
        max_chars: keep at most so many characters, in whole lines; the vocabulary is of the kept ones.
        data_dir: the folder to look in first, for ``tang_couplets.txt``.

    Raises:
        CorpusError: if the file is missing (CorpusNotFoundError) or damaged.
    """
    return _load_named("couplets", data_dir, max_chars)


@refuse_batches
def load_data_time_machine(
    max_tokens: int | None = None, data_dir: PathLike | None = None, level: str = "char"
) -> Corpus:
    """Load *The Time Machine* in lower case, with one space for each run of characters that are not letters.

    This is d2l 1.0, section 9.2: 173,428 characters, 27 of them distinct, or 32,775 words.  (Earlier editions
    clean line by line and so glue a line's last word to the next one's first: 170,580 characters.)

    Args:
        max_tokens: keep at most so many tokens; the vocabulary is of the kept ones.
        data_dir: the folder to look in first, for ``timemachine.txt``.
        level: ``"char"``, ``"word"`` or ``"bigram"``.

    Raises:
        CorpusError: if the file is missing (CorpusNotFoundError) or damaged.
    """
    return _load_named("timemachine", data_dir, max_tokens, level)


def load_data_ptb(data_dir: PathLike | None = None, max_tokens: int | None = None) -> Corpus:
    """Load the Penn Treebank as Mikolov et al. (2010) prepared it: words, and ``<eos>`` at each line end.

    Training, validation and test have 929,589, 73,760 and 82,430 tokens; the vocabulary has the training text's 10,000.

    Args:
        data_dir: the folder to look in first, for ``ptb.zip``, for Mikolov's ``simple-examples.tgz``, or for
            ``ptb.train.txt``, ``ptb.valid.txt`` and ``ptb.test.txt``.  These three may also lie in the folder's
            ``ptb/`` or ``simple-examples/data/``.
        max_tokens: keep at most so many tokens of each split; the vocabulary is still that of the whole training text.

    Raises:
        CorpusError: if the files are missing (CorpusNotFoundError), damaged or do not belong together.
    """
    return _load_named("ptb", data_dir, max_tokens)


def load_text(path: PathLike, level: str = "char", max_tokens: int | None = None, lines: bool = False) -> Corpus:
    r"""Load any UTF-8 text file; the corpus gets the file's name.

    Line ends are read as :func:`d2lrnn.data.characters.with_line_feeds` says, in the corpora of the table too.

    Args:
        path: the file.
        level: ``"char"``: characters, where a line end becomes a space; ``"word"``: what white space separates, line
            ends included; ``"bigram"``: pairs of characters, of which the line end is one, read as a space.
        max_tokens: keep at most so many tokens; the vocabulary is of the kept ones, and no more of the file is read.
        lines: keep line ends; empty lines, and spaces around the others, are left out.

    Raises:
        CorpusError: if the file cannot be read, is empty, or is not UTF-8 text.
        D2lrnnError: for lines with another level than characters.
    """
    path = user_path(path)
    check_max_tokens(max_tokens)
    with reading(path), opened(path) as stream:
        if max_tokens is None:
            check_size(stream, str(path), MAX_CORPUS)
        parts = pieces(stream, str(path), MAX_CORPUS)
        parts = beginning(parts, str(path), until_tokens(max_tokens, level, lines))
        return _corpus(path.name, parts, level, max_tokens, cleaning(lines))


def _corpus(name: str, parts: Iterable[str], level: str, max_tokens: int | None, clean: Callable[[str], str]) -> Corpus:
    """Make a corpus without splits from a text that comes in parts."""
    if clean is cleaning(lines=True):
        return _corpus_of_lines(name, parts, level, max_tokens)
    with closing(Numbering(level, max_tokens)) as numbering:
        for part in in_whole_tokens(map(clean, parts), level):
            numbering.add(part)
        return Corpus(name, *numbering.finish())


def _corpus_of_lines(name: str, parts: Iterable[str], level: str, max_tokens: int | None) -> Corpus:
    """Make a corpus of the lines of a text, without the empty ones."""
    if level != "char":
        raise D2lrnnError(f"lines are of characters: found the level {level!r}")
    line_numbers, before = [], 0
    with closing(Numbering(level, max_tokens, whole_lines=True)) as numbering:
        for part in in_whole_lines(parts):
            numbering.add(without_blank_lines(part))
            line_numbers.append(numpy.array(numbers_of_lines(part), numpy.int64) + before)
            before += part.count(LINE_END)
        if not numbering.num_tokens:
            raise CorpusError(f"{name} has no line within its first {max_tokens:,} characters: take more")
        return Corpus(name, *numbering.finish(), line_numbers=numpy.concatenate(line_numbers))
