"""Serves the page: one thread serves all clients, and no client is trusted."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import json
import logging
import socket
from collections.abc import Collection, Generator, Iterator
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler

from d2lrnn.config.generation import Sampling
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.forms import FORMS
from d2lrnn.web.player import UNITS, Player
from d2lrnn.web.request import MAX_SAMPLES, MAX_TOKENS, WritingRequest

FOLDER = Path(__file__).with_name("static")

FILES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}

MAX_WRITING = 4  # requests for texts that are answered at a time: they share one thread

MAX_BODY = 16 * 1024  # bytes: twice as many as the longest request has if every character is escaped

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
    """A request is refused; ``message`` says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status)
        self.message = message


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
        if hosts is not None and host not in hosts:
            raise _RefusedError(403, f"this is not {host[:100]}: expected {' or '.join(sorted(hosts))}")

    def write_error(self, status_code: int, **more: Any) -> None:
        error = more.get("exc_info", (None, None))[1]
        message = f"{status_code} {self._reason}"
        if isinstance(error, _RefusedError):
            message = error.message
        elif status_code >= 500:
            message = DEFECT
        self.finish({"error": message})


class _Missing(_Handler):
    def prepare(self) -> None:
        super().prepare()
        raise _RefusedError(404, f"there is no {self.request.path[:100]} here")


class _Page(_Handler):
    def get(self) -> None:
        player = self.server.player
        forms = {name: f"{name}: {len(FORMS[name].lengths)} lines of {FORMS[name].lengths[0]}" for name in player.forms}
        limits = {"samples": MAX_SAMPLES, "tokens": MAX_TOKENS}
        self.render(
            "page.html",
            player=player,
            forms=forms,
            limits=limits,
            units=UNITS[player.vocab.level],
            usual=Sampling(),
            defaults=WritingRequest(),
        )


class _File(_Handler):
    def get(self, name: str) -> None:
        self.set_header("Content-Type", f"{FILES[name]}; charset=utf-8")
        self.finish((FOLDER / name).read_bytes())


class _Write(_Handler):
    """Answers a request with a line of JSON for each event, and stops writing as soon as nobody reads."""

    async def post(self) -> None:
        # A page of another site can send a form or text unasked, but not this type.
        if self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            raise _RefusedError(415, "expected the type application/json")
        if len(self.request.body) > MAX_BODY:
            raise _RefusedError(413, f"the request has {len(self.request.body):,} bytes: expected at most {MAX_BODY:,}")
        with self.server.place():
            try:
                events = self.server.player.write(WritingRequest.read(self.request.body))
            except D2lrnnError as error:
                raise _RefusedError(400, str(error)) from None
            self.set_header("Content-Type", "application/x-ndjson; charset=utf-8")
            with contextlib.closing(_to_the_end(events)) as sent:
                try:
                    await self._send_all(sent)
                except StreamClosedError:
                    pass
                except asyncio.TimeoutError:
                    self.detach().close()

    async def _send_all(self, events: Iterator[dict[str, Any]]) -> None:
        for event in events:
            self.write(json.dumps(event) + "\n")
            await asyncio.wait_for(self.flush(), self.server.patience)
            # The other requests get their turn; and Tornado notices if this client is gone, so that flush raises.
            await asyncio.sleep(0)


def _to_the_end(events: Iterator[dict[str, Any]]) -> Generator[dict[str, Any], None, None]:
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
        player: what writes for the page.
        hosts: the names in a request's Host that are answered; None: any name, so that other machines can call.
        patience: seconds for a client to send a request and to take each event.  A client that takes longer is cut
            off, or it would keep its place for ever.
    """

    def __init__(self, player: Player, hosts: Collection[str] | None, patience: float = 30) -> None:
        self.player, self.hosts, self.patience = player, hosts, patience
        self.writing = 0  # requests for texts that are being answered
        options = {"server": self}
        handlers = [("/", _Page, options), ("/write", _Write, options), (f"/({'|'.join(FILES)})", _File, options)]
        application = Application(
            handlers,
            default_handler_class=_Missing,
            default_handler_args=options,
            template_path=str(FOLDER),
            log_function=lambda handler: None,
        )
        self.http = HTTPServer(
            application, max_body_size=2**20, max_header_size=2**14, idle_connection_timeout=300, body_timeout=patience
        )

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the ``MAX_WRITING`` places; refuse the request if all are taken."""
        if self.writing >= MAX_WRITING:
            raise _RefusedError(429, f"{MAX_WRITING} others are being written for: try again when one of them is done")
        self.writing += 1
        try:
            yield
        finally:
            self.writing -= 1

    async def serve(self, listening: socket.socket, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set, then end all texts that are being written."""
        self.http.add_socket(listening)
        await stop.wait()
        self.http.stop()
        await self.http.close_all_connections()


def open_socket(host: str, port: int) -> socket.socket:
    """Listen at a port of a host; port 0 stands for any that is free.

    Raises:
        D2lrnnError: if the port is out of range, or if this machine cannot listen there.
    """
    if not 0 <= port < 2**16:
        raise D2lrnnError(f"port is {port}: expected 0 to {2**16 - 1}")
    try:
        _check_host(host)
        found = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, UnicodeError) as error:
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        reason = str(getattr(error, "strerror", error)).partition(" (")[0]
        where = f"{host if host.isprintable() else repr(host)}, port {port}"
        raise D2lrnnError(
            f"there can be no page at {where} ({'another program listens there' if taken else reason}): choose another "
            "--port, 0 for any that is free" + ("" if taken else ", or another --host")
        ) from None
    found.setblocking(False)
    return found


def _check_host(host: str) -> None:
    """Raise a UnicodeError for a text that can be no host's name; a socket would raise a TypeError and stay open."""
    if "\0" in host:
        raise UnicodeError("a host's name cannot hold the character NUL")
    if not host.isascii():
        host.encode("idna")


def address_of(host: str, listening: socket.socket) -> str:
    """Return the address of the page."""
    return f"http://{_in_url(host)}:{listening.getsockname()[1]}/"


def hosts_of(host: str, listening: socket.socket) -> set[str] | None:
    """Return the names of the host of a page on loopback; None if other machines can reach the page."""
    if not ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback:
        return None
    return {"localhost", "127.0.0.1", "[::1]", _in_url(host).lower()}


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
