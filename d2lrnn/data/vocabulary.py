"""Turn text into ids and back: tokens, and the vocabulary."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy

from d2lrnn.checks import shown
from d2lrnn.config.fields import LEVELS
from d2lrnn.data.characters import LINE_END as LINE_END
from d2lrnn.data.characters import in_other_form, with_line_feeds
from d2lrnn.data.checked_ids import check_ids as check_ids
from d2lrnn.data.code_points import characters_by_frequency, look_up
from d2lrnn.errors import D2lrnnError

PAD, BOS = "<pad>", "<bos>"  # fill up the rows of a batch; begin a sentence that a translator writes
EOS = "<eos>"  # ends such a sentence, and a line of a word-level corpus
UNK = "<unk>"  # stands for rare words of the Penn Treebank, and for rare tokens of sentences that are translated

LONG = 2**14  # characters of a text from which on a table of all code points takes less time than a dictionary

_TOKEN_NAMES = {"char": "character", "word": "word", "bigram": "pair of characters"}


class UnknownTokenError(D2lrnnError):
    """A text has a token that the vocabulary lacks.

    Attributes:
        position: of the first such token among the text's tokens, from 0; None where the error is not about a text.
    """

    position: int | None = None


def tokenize(text: str, level: str = "char") -> list[str]:
    """Split a text into its characters, into pairs of characters, or into words at white space.

    Args:
        text: what to split.
        level: ``"char"``, ``"word"`` or ``"bigram"``: pairs that do not overlap; a last odd character stands alone.

    Raises:
        D2lrnnError: for any other level.
    """
    check_level(level)
    if level == "bigram":
        return [text[i : i + 2] for i in range(0, len(text), 2)]
    return list(text) if level == "char" else text.split()


class Vocab:
    """The numbering of a text's tokens: most frequent first, equally frequent ones by code point.

    So the same text gives the same ids in every process.  No token for unknown words is added; the Penn Treebank's
    text has one itself, ``<unk>``.

    Args:
        tokens: the tokens to count, or a text to split into them.
        level: ``"char"``, ``"word"`` or ``"bigram"``, as :func:`tokenize` explains.

    Attributes:
        idx_to_token: the tokens by id.
        token_to_idx: the ids by token.
        level: as given.

    Raises:
        D2lrnnError: if there are no tokens, a token is not a string, or the level is unknown.
    """

    idx_to_token: tuple[str, ...]
    token_to_idx: dict[str, int]
    level: str

    def __init__(self, tokens: str | Iterable[str], level: str = "char") -> None:
        if not isinstance(tokens, Iterable):
            raise D2lrnnError(f"tokens is {shown(tokens)}: expected a text, or a list of texts")
        if isinstance(tokens, str) and level == "char":  # a list of its characters would take thirty times its memory
            return self._number(characters_by_frequency(tokens), level)
        tokens = tokenize(tokens, level) if isinstance(tokens, str) else list(tokens)
        _check_strings(tokens)
        self._number(_by_frequency(Counter(tokens)), level)

    @classmethod
    def from_list(cls, idx_to_token: Iterable[str], level: str = "char") -> Vocab:
        """Return the vocabulary that gives these tokens the ids 0, 1, ... in the order given.

        Raises:
            D2lrnnError: if there are no tokens, a token is not a string or comes twice, or the level is unknown.
        """
        vocab = cls.__new__(cls)
        vocab._number(idx_to_token, level)
        return vocab

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], level: str, special: Sequence[str], min_count: int = 1) -> Vocab:
        """Return the vocabulary of tokens that were counted, without those that come less often than ``min_count``.

        The ``special`` tokens come first, in their order.  Errors are those of :meth:`from_list`.
        """
        often = _by_frequency({token: count for token, count in counts.items() if count >= min_count})
        return cls.from_list([*special, *often], level)

    def _number(self, tokens: Iterable[str], level: str) -> None:
        check_level(level)
        self.idx_to_token = tuple(tokens)
        if not self.idx_to_token:
            raise D2lrnnError("there are no tokens: expected at least one to make a vocabulary of")
        _check_strings(self.idx_to_token)
        self.token_to_idx = {token: i for i, token in enumerate(self.idx_to_token)}
        if len(self.token_to_idx) < len(self.idx_to_token):
            token = next(token for i, token in enumerate(self.idx_to_token) if self.token_to_idx[token] != i)
            raise D2lrnnError(f"the token {token!r} is there twice: expected every token once")
        self.level = level

    def encode(self, text: str | Iterable[str]) -> numpy.ndarray:
        r"""Turn a text, or tokens, into ids.

        A text's line ends are read as in the corpus: as ``\n`` if the vocabulary has it, else as spaces.

        Returns:
            an int32 array with one id for each token.

        Raises:
            UnknownTokenError: if the vocabulary lacks a token.
            D2lrnnError: if a token is not a string.
        """
        tokens = self._tokens(text) if isinstance(text, str) else list(text)
        ids = self._ids(tokens)
        if ids is None and isinstance(text, str):
            tokens = self._tokens(self.as_read(text))
            ids = self._ids(tokens)
        if ids is not None:
            return ids
        _check_strings(tokens)
        error = UnknownTokenError(self.explain_unknown(tokens))
        error.position = next(i for i, token in enumerate(tokens) if token not in self)
        raise error

    def _tokens(self, text: str) -> Sequence[str]:
        return text if self.level == "char" else tokenize(text, self.level)

    def _ids(self, tokens: Sequence[str]) -> numpy.ndarray | None:
        """Return the ids of tokens, or of a text's characters; None: there is something unknown among them."""
        if isinstance(tokens, str) and len(tokens) >= LONG:
            ids = look_up(tokens, self.token_to_idx)
            return None if (ids < 0).any() else ids
        try:
            return numpy.fromiter(map(self.token_to_idx.__getitem__, tokens), numpy.int32, len(tokens))
        except (KeyError, TypeError):  # TypeError: a token that cannot even be looked up, such as a list
            return None

    def as_read(self, text: str) -> str:
        r"""Return a text with its line ends as in the corpus: ``\n`` if the vocabulary has it, else spaces."""
        text = with_line_feeds(text)
        return text if LINE_END in self or self.level == "word" else text.replace(LINE_END, " ")

    def decode(self, ids: Any) -> str:
        """Turn a row of ids into text; words are joined by a space.

        Raises:
            D2lrnnError: if the ids are not whole numbers in range (see :func:`check_ids`) in one dimension.
        """
        row = check_ids(ids, len(self))
        if row.ndim != 1:
            raise D2lrnnError(f"ids has shape {row.shape}: expected one dimension, the ids of a text in a row")
        return (" " if self.level == "word" else "").join(self.idx_to_token[i] for i in row.tolist())

    def explain_unknown(self, tokens: Sequence[str], where: str | None = None) -> str:
        """Return the error message about the unknown ones among ``tokens``, of which there is at least one.

        Args:
            tokens: of a text.
            where: the place of the first unknown one in words; None: its position among the tokens.
        """
        position, token = next((i, token) for i, token in enumerate(tokens) if token not in self)
        message = f"unknown {_TOKEN_NAMES[self.level]} {token!r}"
        if self.level == "char" and len(token) == 1:
            message += f" (U+{ord(token):04X})"
        if self.level == "bigram" and len(token) == 1:
            message = f"the character {token!r} has no partner"
        message += f" at position {position}" if where is None else f" {where}"
        unknown = {token for token in tokens if token not in self}
        others = len(unknown) - 1
        if others:
            message += f", and {others} other unknown one{'s' if others > 1 else ''} after it"
        message += f": expected only what is among the {len(self):,} tokens of the vocabulary"
        form = self._better_form(tokens, len(unknown))
        if form:
            return (
                f"{message}, which is in the Unicode form {form}: convert the text to it, `uconv -x any-{form.lower()}`"
            )
        nearest = difflib.get_close_matches(token, self.idx_to_token) if self.level == "word" else []
        if nearest:
            message += f", where the nearest are {', '.join(map(repr, nearest))}"
        if UNK in self:
            message += f"; write {UNK} in its place"
        return message

    def _better_form(self, tokens: Sequence[str], num_unknown: int) -> str | None:
        """Return the Unicode form in which a text has fewer different tokens that are unknown; None: there is none."""
        text = (" " if self.level == "word" else "").join(tokens)
        forms = in_other_form(text)
        found = {
            form: len({token for token in self._tokens(other) if token not in self}) for form, other in forms.items()
        }
        best = min(found, key=lambda form: found[form], default=None)
        return best if best is not None and found[best] < num_unknown else None

    def __getattr__(self, name: str) -> Any:
        """Say what a name of d2l 0.17's vocabulary is called here."""
        answers = {
            "to_tokens": "vocab.decode(ids) is their text, and vocab.idx_to_token[i] the token of one id",
            "token_freqs": "collections.Counter(tokens).most_common() has them",
            "unk": "an unknown token is an UnknownTokenError, unless the text itself has <unk>",
        }
        more = f", a name of the book: {answers[name]}" if name in answers else ""
        raise AttributeError(f"a Vocab has no {name}{more}")

    def __getitem__(self, tokens: Any) -> Any:
        """Say how ids are looked up, which d2l 0.17 does in brackets."""
        raise D2lrnnError(
            f"vocab[{tokens!r}] is not how ids are looked up here: vocab.encode(tokens) has those of a text or of "
            "tokens, and vocab.token_to_idx[token] that of one"
        )

    __iter__ = None  # or Python would try vocab[0], vocab[1] and so on

    def __len__(self) -> int:
        return len(self.idx_to_token)

    def __contains__(self, token: object) -> bool:
        return token in self.token_to_idx

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocab):
            return NotImplemented
        return (self.level, self.idx_to_token) == (other.level, other.idx_to_token)

    def __hash__(self) -> int:
        return hash((self.level, self.idx_to_token))

    def __repr__(self) -> str:
        first = ", ".join(map(repr, self.idx_to_token[:5])) + (", ..." if len(self) > 5 else "")
        return f"Vocab({len(self):,} tokens of level {self.level!r}: {first})"


def _by_frequency(counts: Mapping[str, int]) -> list[str]:
    return sorted(counts, key=lambda token: (-counts[token], token))


def check_level(level: str) -> None:
    """Raise a D2lrnnError if there is no such level."""
    if level not in LEVELS:
        raise D2lrnnError(f"unknown level {shown(level)}: expected one of {', '.join(LEVELS)}")


def _check_strings(tokens: Iterable) -> None:
    for token in tokens:
        if not isinstance(token, str):
            raise D2lrnnError(f"expected strings as tokens, found {shown(token)} of type {type(token).__name__}")
