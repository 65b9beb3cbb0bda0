"""Turn text into ids and back: tokens, the vocabulary, and the check that ids are in range."""

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
from d2lrnn.errors import D2lrnnError

PAD, BOS = "<pad>", "<bos>"  # fill up the rows of a batch; begin a sentence that a translator writes
EOS = "<eos>"  # ends such a sentence, and a line of a word-level corpus
UNK = "<unk>"  # stands for rare words of the Penn Treebank, and for rare tokens of sentences that are translated

_TOKEN_NAMES = {"char": "character", "word": "word", "bigram": "pair of characters"}


class UnknownTokenError(D2lrnnError):
    """A text has a token that the vocabulary lacks.

    Attributes:
        position: of the first such token among the text's tokens, from 0; None where the error is not about a text.
    """

    position: int | None = None


def check_ids(ids: Any, vocab_size: int | None, what: str = "ids") -> numpy.ndarray:
    """Return ids as int32, or refuse them before MXNet can clip or round them in silence.

    Args:
        ids: whole numbers, of any shape: a list, a NumPy array or an MXNet array (whole floats, as mxnet.np.arange
            gives them, too).
        vocab_size: ids must be below this; None leaves the vocabulary open.
        what: what to call the ids in an error.

    Returns:
        a contiguous int32 array of the same shape; ``ids`` itself if it is such an array.

    Raises:
        D2lrnnError: for anything but whole numbers, and for ids that are negative or not below vocab_size.
    """
    try:
        array = _from_mxnet(ids) if hasattr(ids, "asnumpy") else numpy.asarray(ids)
    except ValueError as error:  # what NumPy raises for rows of unequal length
        raise D2lrnnError(f"{what} cannot be made an array of whole numbers: {error}") from error
    if array.size == 0 and not isinstance(ids, numpy.ndarray):
        array = array.astype(numpy.int32)  # an empty list, of which NumPy makes an array of floats
    if array.dtype.kind not in "iu":
        raise D2lrnnError(
            f"{what} has dtype {array.dtype}: expected whole numbers, best int32 (floats round above 2**24)"
        )
    limit = 2**31 if vocab_size is None else vocab_size
    outside = (array < 0) | (array >= limit)
    if outside.any():
        position = tuple(int(i) for i in numpy.argwhere(outside)[0])
        raise D2lrnnError(
            f"{what} has the id {array[position]} at position {', '.join(map(str, position)) or 0}: expected "
            f"0 to {limit - 1}, into which MXNet would clip it in silence; is it from another vocabulary?"
        )
    return numpy.asarray(array, dtype=numpy.int32, order="C")


def _from_mxnet(array: Any) -> numpy.ndarray:
    """Return an MXNet array's numbers; floats that are whole and exact become int32."""
    ids = array.asnumpy()
    if ids.dtype.kind == "f":
        exact = min(2**31, 2 ** (numpy.finfo(ids.dtype).nmant + 1))  # from here on, a float may have been rounded
        if (abs(ids) < exact).all() and (ids == numpy.trunc(ids)).all():
            return ids.astype(numpy.int32)
    return ids


def tokenize(text: str, level: str = "char") -> list[str]:
    """Split a text into its characters, into pairs of characters, or into words at white space.

    Args:
        text: what to split.
        level: ``"char"``, ``"word"`` or ``"bigram"``: pairs that do not overlap; a last odd character stands alone.

    Raises:
        D2lrnnError: for any other level.
    """
    _check_level(level)
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
        if not isinstance(tokens, str):
            tokens = list(tokens)
            _check_strings(tokens)
        elif level != "char":  # a text is its characters: a list of them would take thirty times its memory
            tokens = tokenize(tokens, level)
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
        _check_level(level)
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
        try:
            return self._ids(tokens)
        except (KeyError, TypeError):  # TypeError: a token that cannot even be looked up, such as a list
            _check_strings(tokens)
        if isinstance(text, str):
            tokens = self._tokens(self.as_read(text))
            if all(token in self for token in tokens):
                return self._ids(tokens)
        error = UnknownTokenError(self.explain_unknown(tokens))
        error.position = next(i for i, token in enumerate(tokens) if token not in self)
        raise error

    def _tokens(self, text: str) -> Sequence[str]:
        return text if self.level == "char" else tokenize(text, self.level)

    def _ids(self, tokens: Sequence[str]) -> numpy.ndarray:
        return numpy.fromiter(map(self.token_to_idx.__getitem__, tokens), numpy.int32, len(tokens))

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


def _check_level(level: str) -> None:
    if level not in LEVELS:
        raise D2lrnnError(f"unknown level {shown(level)}: expected one of {', '.join(LEVELS)}")


def _check_strings(tokens: Iterable) -> None:
    for token in tokens:
        if not isinstance(token, str):
            raise D2lrnnError(f"expected strings as tokens, found {shown(token)} of type {type(token).__name__}")
