"""When a run is lost."""

from __future__ import annotations

from d2lrnn.errors import D2lrnnError
from d2lrnn.training.history import History


class TrainingDivergedError(D2lrnnError, ArithmeticError):
    """The gradient or the perplexity became NaN or infinite, or the perplexity rose beyond that of guessing.

    The model keeps the last parameters that were numbers.

    Attributes:
        history: what was seen until then.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history
