"""Sentences as a translator reads and writes them: brought to one form, split into tokens, and put together again.

Tokens of level "char" are the characters of a sentence.  Tokens of level "word" are in lower case; a sign of
punctuation is a token of its own, and so is a Chinese, Japanese or Thai character, since these scripts have no spaces
between words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from d2lrnn.config.fields import SENTENCE_LEVELS
from d2lrnn.data.characters import WITHOUT_SPACES
from d2lrnn.data.vocabulary import BOS, EOS, PAD, UNK, Vocab
from d2lrnn.errors import D2lrnnError

SPECIAL = (PAD, BOS, EOS, UNK)  # the first tokens of a translator's vocabulary

# Characters that nobody sees: they allow or forbid a line break.
_WITHOUT_WIDTH = re.compile("[\u00ad\u200b\u2060\ufeff]")

_SPACES = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")

_APOSTROPHE = re.compile(r"(?<=[^\W\d_])\u2019(?=[^\W\d_])")

# What stands within a word or a number, as in don't, well-known, p.m, 3.14 and 10:30; and what stands apart.
_INNER, _APART = r"(?<=\w)['.-](?=\w)|(?<=\d)[,:](?=\d)", rf"[^\w\s]|{WITHOUT_SPACES}"
_TOKENS = re.compile(f"({_INNER})|({_APART})")

# Signs between which and the word before, or the word behind, there is no space; a straight quotation mark is now the
# one, now the other.
_CLOSING, _OPENING = frozenset(",.!?;:%)]}'…»”’"), frozenset("([{$£€¿¡#“‘«")

_FULL_WIDTH = re.compile(f"{WITHOUT_SPACES}|[\u3000-\u303f\uff00-\uffef]")


def normalised(text: str) -> str:
    """Return a sentence in the one form in which it is read, whichever way it was typed.

    Characters are in the Unicode form NFC: an accent is part of its letter.  (NFKC would also replace the comma, the
    question mark and other signs of Chinese by those of English, which a Chinese reader would miss in a translation.)
    Characters without width are left out.  Each run of white space, which the no-break spaces of French are too, or of
    control characters becomes one space; at the ends there is none.  A typographic apostrophe within a word becomes a
    straight one, for the two are one word.
    """
    text = _SPACES.sub(" ", _WITHOUT_WIDTH.sub("", unicodedata.normalize("NFC", text))).strip(" ")
    return _APOSTROPHE.sub("'", text)


def tokens_of(sentence: str, level: str, lower: bool = True) -> list[str]:
    """Split a sentence, as :func:`normalised` returns it, into tokens; without ``lower``, words keep capital letters.

    For example::

        >>> tokens_of("I don't know, Tom.", "word")
        ['i', "don't", 'know', ',', 'tom', '.']

    Raises:
        D2lrnnError: for another level than "word" and "char".
    """
    check_sentence_level(level)
    if level == "char":
        return list(sentence)
    return _TOKENS.sub(_apart, sentence.lower() if lower else sentence).split()


def sentence_of(tokens: Sequence[str], level: str) -> str:
    """Put a sentence together; but for spaces and capital letters, the inverse of :func:`tokens_of`.

    Characters are written as they come; words among them, which were copied from a source, have a space between them.
    Between words there is a space, but none before a comma or another sign that closes, none after an opening bracket,
    and none at a Chinese character.

    Raises:
        D2lrnnError: for another level than "word" and "char".
    """
    return "".join(pieces_of(tokens, level))


def pieces_of(tokens: Sequence[str], level: str) -> list[str]:
    """Return what each token adds to the sentence that :func:`sentence_of` puts together.

    That is the token, after a space where one stands before it.

    Raises:
        D2lrnnError: for another level than "word" and "char".
    """
    check_sentence_level(level)
    if level == "char":
        words = [len(token) > 1 for token in tokens]
        return [" " * (word and before) + token for token, word, before in zip(tokens, words, (False, *words))]
    pieces: list[str] = []
    quoted, glued = False, True  # whether a quotation mark is open; whether no space stands before the next token
    for token in tokens:
        full = bool(_FULL_WIDTH.match(token))
        closes = full or token in _CLOSING or (token == '"' and quoted)
        pieces.append(token if glued or closes else f" {token}")
        glued = full or token in _OPENING or (token == '"' and not quoted)
        quoted ^= token == '"'
    return pieces


def text_of_ids(ids: Sequence[int], vocab: Vocab) -> str:
    """Return the sentence that ids of a translator's vocabulary stand for, up to ``<eos>``, without ``<pad>``.

    ``<unk>`` is written as it is.
    """
    tokens = [vocab.idx_to_token[i] for i in ids]
    tokens = tokens[: tokens.index(EOS)] if EOS in tokens else tokens
    return sentence_of([token for token in tokens if token not in (PAD, BOS)], vocab.level)


def seeming_level(text: str) -> str:
    """Return "char" for a text of which most is written without spaces between words, such as Chinese; else "word"."""
    return "char" if 2 * len(re.findall(WITHOUT_SPACES, text)) > len(re.findall(r"\w", text)) else "word"


def check_sentence_level(level: str) -> str:
    """Return the level of a side's tokens, or refuse it."""
    if level not in SENTENCE_LEVELS:
        raise D2lrnnError(f"the level of a side is {level!r}: expected one of {', '.join(SENTENCE_LEVELS)}")
    return level


def _apart(found: re.Match[str]) -> str:
    """Return a sign with spaces around it, if it stands apart; an accent or vowel sign belongs to its letter."""
    sign = found[0]
    if found[1] or unicodedata.category(sign) in ("Mn", "Mc", "Me", "Cf"):
        return sign
    return f" {sign} "
