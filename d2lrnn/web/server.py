"""Serves the page: one thread serves all clients, and no client is trusted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Collection, Generator, Iterator
from pathlib import Path
from typing import Any, cast

from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream, StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler

from d2lrnn.errors import D2lrnnError
from d2lrnn.web.connections import Connections, room_for_connections
from d2lrnn.web.player import Player
from d2lrnn.web.protocol import AnyPlayer
from d2lrnn.web.reading import by_label
from d2lrnn.web.request import texts_in

FOLDER = Path(__file__).with_name("static")

FILES = {
    **{f"{name}.css": "text/css" for name in ("page", "write", "translate")},
    **{f"{name}.js": "text/javascript" for name in ("page", "write", "translate")},
    "icon.svg": "image/svg+xml",
}

MAX_WRITING = 4  # requests for texts that are answered at a time: they share one thread

MAX_TEXTS = 512 * 1024  # bytes of texts whose copies are asked for: more than a page can have written

DEFECT = "something went wrong inside d2lrnn: the terminal that it runs in says what"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",  # another run may be served at this address next
}


class _RefusedError(HTTPError):
    """A request is refused; ``message`` says why, and ``field`` which field of the form is meant, if one is."""

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(status)
        self.message, self.field = message, field


class _Handler(RequestHandler):
    """Refuses requests that were meant for another host, and sends errors as JSON."""

    def initialize(self, server: PageServer) -> None:
        self.server = server

    def set_default_headers(self) -> None:
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        # Another site may let its name point to this machine (DNS rebinding); the browser then still sends that name.
        hosts, host = self.server.hosts, self.request.host_name
        if hosts is None:
            return
        expected = f"expected {' or '.join(sorted(hosts))}"
        if not self.request.headers.get("Host"):  # Tornado takes 127.0.0.1 for granted where HTTP/1.0 leaves it out
            raise _RefusedError(403, f"the request names no host: {expected}")
        if host not in hosts:
            raise _RefusedError(403, f"this is not {host[:100]}: {expected}")

    def write_error(self, status_code: int, **more: Any) -> None:
        error = more.get("exc_info", (None, None))[1]
        if isinstance(error, _RefusedError):
            self.finish({"error": error.message, **({"field": error.field} if error.field else {})})
        else:
            self.finish({"error": DEFECT if status_code >= 500 else f"{status_code} {self._reason}"})

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """Tell in the terminal of defects alone, not of what clients get wrong."""
        if not isinstance(error, HTTPError):
            super().log_exception(kind, error, trace)

    def body_of(self, most: int) -> bytes:
        """Return the body of a request of JSON with at most so many bytes."""
        # A page of another site can send a form or text unasked, but not this type.
        if self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            raise _RefusedError(415, "expected the type application/json")
        if len(self.request.body) > most:
            raise _RefusedError(413, f"the request has {len(self.request.body):,} bytes: expected at most {most:,}")
        return self.request.body

    @property
    def stream(self) -> IOStream:
        """What the request came by."""
        return cast(HTTP1Connection, self.request.connection).stream


class _Missing(_Handler):
    def prepare(self) -> None:
        super().prepare()
        raise _RefusedError(404, f"there is no {self.request.path[:100]} here")


class _Page(_Handler):
    def get(self) -> None:
        player = self.server.player
        self.render(player.page, **player.values())


class _File(_Handler):
    def get(self, name: str) -> None:
        self.set_header("Content-Type", f"{FILES[name]}; charset=utf-8")
        self.finish((FOLDER / name).read_bytes())


class _Write(_Handler):
    """Answers a request with a line of JSON for each event, and stops writing as soon as nobody reads."""

    async def post(self) -> None:
        player, request = self.server.player, None
        body = self.body_of(player.max_body)
        with self.server.place(self.stream):
            try:
                request = player.read(body)
                events = player.write(request)
            except D2lrnnError as error:
                about = None if request is None else request.about
                raise _RefusedError(400, *by_label(str(error), player.labels, about)) from None
            self.set_header("Content-Type", "application/x-ndjson; charset=utf-8")
            with contextlib.closing(_to_the_end(events)) as sent:
                try:
                    await self._send_all(sent)
                except StreamClosedError:
                    pass
                except asyncio.TimeoutError:
                    self.detach().close()

    async def _send_all(self, events: Iterator[dict[str, Any] | None]) -> None:
        for event in events:
            if event is not None:
                self.write(json.dumps(event) + "\n")
                await asyncio.wait_for(self.flush(), self.server.patience)
            # The other requests get their turn; and Tornado notices if this client is gone, so that flush raises.
            await asyncio.sleep(0)
            if self.stream.closed():
                raise StreamClosedError


class _Copies(_Handler):
    """Tells what finished or stopped texts copy, with a line of JSON for each text."""

    async def post(self) -> None:
        body = self.body_of(MAX_TEXTS)
        with self.server.connections.answering(self.stream):
            try:
                texts = texts_in(body)
            except D2lrnnError as error:
                raise _RefusedError(400, str(error)) from None
            self.set_header("Content-Type", "application/x-ndjson; charset=utf-8")
            for event in cast(Player, self.server.player).copies(texts):
                self.write(json.dumps(event) + "\n")
                await asyncio.sleep(0)


def _to_the_end(events: Iterator[dict[str, Any] | None]) -> Generator[dict[str, Any] | None, None, None]:
    """Yield events, and at last an event that says that all is done, or what went wrong."""
    try:
        yield from events
        yield {"done": True}
    except D2lrnnError as error:  # an error that shows only in writing, such as logits that are not numbers
        yield {"error": str(error)}
    except Exception:
        logging.getLogger(__name__).exception("a defect of d2lrnn, met while it wrote for a page")
        yield {"error": DEFECT}


class PageServer:
    """Serves a player's page.

    Args:
        player: who answers what the page asks for.
        hosts: the names in a request's Host that are answered; None: any name, so that other machines can call.
        patience: seconds for a client to begin a request, to send the head of one and its body, and to take each event.
            A client that takes longer is cut off, or it would keep its place for ever.
        most: how many connections may be open; None: as many as there is room for (:func:`room_for_connections`).
    """

    def __init__(
        self, player: AnyPlayer, hosts: Collection[str] | None, patience: float = 30, most: int | None = None
    ) -> None:
        self.player, self.hosts, self.patience = player, hosts, patience
        self.writing = 0  # requests for texts that are being answered
        options = {"server": self}
        handlers: list[tuple] = [
            ("/", _Page, options),
            ("/write", _Write, options),
            (f"/({'|'.join(FILES)})", _File, options),
        ]
        if isinstance(player, Player):
            handlers.append(("/copies", _Copies, options))
        application = Application(
            handlers,
            default_handler_class=_Missing,
            default_handler_args=options,
            template_path=str(FOLDER),
            log_function=lambda handler: None,
        )
        self.http = HTTPServer(
            application,
            max_body_size=2**20,
            max_header_size=2**14,
            idle_connection_timeout=patience,
            body_timeout=patience,
        )
        self.connections = Connections(self.http, room_for_connections() if most is None else most)

    @contextlib.contextmanager
    def place(self, stream: IOStream) -> Iterator[None]:
        """Hold one of the ``MAX_WRITING`` places, and the connection open; refuse the request if all are taken."""
        if self.writing >= MAX_WRITING:
            raise _RefusedError(429, f"{MAX_WRITING} others are being answered: try again when one of them is done")
        self.writing += 1
        try:
            with self.connections.answering(stream):
                yield
        finally:
            self.writing -= 1

    async def serve(self, listening: socket.socket, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set, then end all texts that are being written."""
        accepting = asyncio.create_task(self.connections.accept(listening))
        await stop.wait()
        accepting.cancel()
        listening.close()
        await self.http.close_all_connections()
