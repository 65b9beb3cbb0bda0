"""What the server asks of a player."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol


class AnyRequest(Protocol):
    """What a page asks for."""

    @property
    def about(self) -> str:
        """The field of the text that is asked about; an error that names no field is about it."""


class AnyPlayer(Protocol):
    """Who answers what a page asks for."""

    page: str  # the file of the page, in static/
    labels: ClassVar[Mapping[str, str]]  # what the page calls the fields of a request
    max_body: int  # bytes of a request

    def values(self) -> dict[str, Any]:
        """Return the values that the page's file needs."""

    def read(self, body: bytes) -> AnyRequest:
        """Return the request that a body holds, or raise a D2lrnnError."""

    def write(self, request: Any) -> Iterator[dict[str, Any] | None]:
        """Return the events of an answer, or raise a D2lrnnError; a None among them is time to serve others."""
