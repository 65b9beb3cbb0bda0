"""Text as it may be shown: a terminal obeys control characters, and a reader cannot see them."""

from __future__ import annotations

import re

# What is replaced: the control characters (C0 but for tab and line end, DEL, C1), by which a terminal moves its cursor
# or changes the clipboard; the controls of direction, which show a text in another order than it has; line and
# paragraph separators, which end a line for some programs only; and halves of surrogate pairs, which no output can
# encode.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""Return a text that can be shown in a terminal: each character that acts unseen is written as Python writes it.

    For example, ESC becomes ``\x1b``, and the override of direction ``\u202e``.  Tabs and line ends stay.
    """
    return _HIDDEN.sub(lambda found: _escaped(found[0]), text)


def in_a_line(text: str) -> str:
    r"""Return what :func:`visible` does, with tabs and line ends as ``\t`` and ``\n``."""
    return visible(text).replace("\t", r"\t").replace("\n", r"\n")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
