"""What a page may ask a translator for, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass

from d2lrnn.checks import check_whole
from d2lrnn.config.generation import Decoding
from d2lrnn.data.characters import with_line_feeds
from d2lrnn.errors import D2lrnnError
from d2lrnn.web.reading import check_length, request_in

MAX_TEXT = 2_000  # characters

MAX_LINES = 50  # one sentence each

MAX_LINE = 200  # tokens: other clients wait while a model reads them, and for each token of the translation

MAX_WIDTH = 10  # hypotheses of a beam

MAX_BODY = 32 * 1024  # bytes: 12 for a character, where each is escaped as the two halves of a surrogate pair

CHOICES = ("beam_width", "length_penalty", "copy_unknown")  # the fields of Decoding that a page may set

# What the page calls the fields; its errors too.
LABELS = {
    "text": "Sentences",
    "beam_width": "Beam width",
    "length_penalty": "Length penalty",
    "copy_unknown": "Copy words of the sentence where the model has none",
}


@dataclass(frozen=True)
class TranslationRequest:
    """What a page asks a translator for.

    Raises:
        D2lrnnError: for a field of another type, or for more than a page may ask for.
    """

    text: str = ""  # sentences, one a line
    decoding: Decoding = Decoding()

    def __post_init__(self) -> None:
        check_length("text", self.text, MAX_TEXT)
        if len(self.lines) > MAX_LINES:
            raise D2lrnnError(f"text has {len(self.lines):,} lines: expected at most {MAX_LINES}, with a sentence each")
        check_whole("beam_width", self.decoding.beam_width, most=MAX_WIDTH)

    @property
    def lines(self) -> list[str]:
        """The lines of the text, blank ones too."""
        return with_line_feeds(self.text).split("\n")

    @property
    def about(self) -> str:
        """The field of the text that is asked about."""
        return "text"

    @classmethod
    def read(cls, body: bytes) -> TranslationRequest:
        """Return what a JSON object asks for: its text, and the fields of ``Decoding`` that ``CHOICES`` names.

        Raises:
            D2lrnnError: if the body is no JSON object or has another field; also as the two classes.
        """
        return request_in(body, cls, CHOICES, decoding=Decoding)
