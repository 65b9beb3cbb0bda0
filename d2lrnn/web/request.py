"""What a page may ask a model to write, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass

from d2lrnn.checks import check_whole
from d2lrnn.config.fields import FORM_NAMES, check_text
from d2lrnn.config.generation import Sampling
from d2lrnn.errors import D2lrnnError
from d2lrnn.web.reading import check_length, object_in, request_in

MAX_PREFIX = 500  # characters: while a model reads them, no other client gets an answer

MAX_HEADS = 100  # characters of an acrostic, each a line: 849 characters in the form of the longest lines

MAX_TOKENS = 2000  # of a text: a page with a mark on each is still quick

MAX_SAMPLES = 16  # texts side by side

MAX_BODY = 16 * 1024  # bytes: twice as many as the longest request has if every character is escaped

# The fields of Sampling that a page may set.  Beam search is not among them: it finds a whole text before it gives back
# the first token, and would hold the server's only thread that long.
CHOICES = ("temperature", "top_k", "top_p", "repetition_penalty", "seed")

# What the page calls the fields; its errors too.
LABELS = {
    "prefix": "Begin with",
    "acrostic": "Lines begin with",
    "form": "Form",
    "skip_unknown": "Place characters that the model has never seen",
    "pred_len": "Length",
    "num_samples": "Samples",
    "temperature": "Temperature",
    "top_p": "Top-p",
    "repetition_penalty": "Repetition penalty",
    "top_k": "Top-k",
    "seed": "Seed",
}


@dataclass(frozen=True)
class WritingRequest:
    """What a page asks a model to write.

    Raises:
        D2lrnnError: for a field of another type, or for more than a page may ask for.
    """

    prefix: str = ""  # what a text begins with
    acrostic: str | None = None  # the characters that its lines begin with, in place of a prefix; None: no acrostic
    form: str | None = None  # one of FORM_NAMES; None: in an acrostic the form that suits the vocabulary, else none
    skip_unknown: bool = False  # in a form: place characters that the model has never seen
    pred_len: int = 100  # tokens after the prefix; a form ends where it must
    num_samples: int = 1
    sampling: Sampling = Sampling()

    def __post_init__(self) -> None:
        check_length("prefix", self.prefix, MAX_PREFIX)
        if self.acrostic is not None:
            check_length("acrostic", self.acrostic, MAX_HEADS)
        if self.form is not None and self.form not in FORM_NAMES:
            raise D2lrnnError(f"form is {self.form!r}: expected one of {', '.join(FORM_NAMES)}, or none")
        if not isinstance(self.skip_unknown, bool):
            raise D2lrnnError(f"skip_unknown is {self.skip_unknown!r}: expected true or false")
        check_whole("pred_len", self.pred_len, most=MAX_TOKENS)
        check_whole("num_samples", self.num_samples, most=MAX_SAMPLES)
        if self.num_samples > 1 and not self.sampling.by_chance:
            raise D2lrnnError(
                f"num_samples is {self.num_samples}, but these settings leave nothing to chance: expected 1, or a "
                "temperature above 0 and another top_k than 1"
            )

    @property
    def about(self) -> str:
        """The field of the text that is asked about."""
        return "prefix" if self.acrostic is None else "acrostic"

    @classmethod
    def read(cls, body: bytes) -> WritingRequest:
        """Return what a JSON object asks for: fields of this class, and those of ``Sampling`` that ``CHOICES`` names.

        Raises:
            D2lrnnError: if the body is no JSON object or has another field; also as the two classes.
        """
        return request_in(body, cls, CHOICES, sampling=Sampling)


def texts_in(body: bytes) -> list[str]:
    """Return the texts of a JSON object ``{"texts": [...]}``.

    Raises:
        D2lrnnError: if the body is no such object, or has more texts than a page can ask for.
    """
    values = object_in(body)
    texts = values.get("texts")
    if len(values) != 1 or not isinstance(texts, list) or len(texts) > MAX_SAMPLES:
        raise D2lrnnError(f"expected a list of texts, at most {MAX_SAMPLES}, and nothing else")
    for text in texts:
        check_text("a text", text)
    return texts
