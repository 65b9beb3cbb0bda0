"""Accepts connections, no more than there is room for; the oldest one without a request is closed to make room."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Iterator
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

MAX_CONNECTIONS = 100  # a browser opens six

LEAST_CONNECTIONS = 8  # more than are answered at a time, so that one can always make room

PAUSE = 0.5  # seconds without a new connection, where this machine has no room for one and none can be closed


def room_for_connections() -> int:
    """Return how many connections may be open: a quarter of the files that this process may have open, at most 100.

    Python, MXNet and the page's own files need the rest.  A file that cannot be opened would be an error of the page.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(LEAST_CONNECTIONS, min(MAX_CONNECTIONS, files // 4))


class Connections:
    """The connections of a server that are open.

    Args:
        http: the server that answers on them.
        most: how many may be open.
    """

    def __init__(self, http: HTTPServer, most: int) -> None:
        self._http, self._most = http, most
        self._open: dict[IOStream, None] = {}  # in the order in which they were accepted
        self._answered: set[IOStream] = set()

    def __len__(self) -> int:
        return len(self._open)

    async def accept(self, listening: socket.socket) -> None:
        """Accept connections until this task is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except ConnectionError:  # the client is gone already
                continue
            except OSError:  # there is no room in this process or in this machine
                if not self._make_room(len(self._open) - 1):
                    await asyncio.sleep(PAUSE)
                continue
            if self._make_room(self._most - 1):
                self.add(IOStream(connection), address)
            else:
                connection.close()

    def add(self, stream: IOStream, address: Any) -> None:
        """Let the server answer on a connection."""
        self._open[stream] = None
        self._http.handle_stream(stream, address)

    @contextlib.contextmanager
    def answering(self, stream: IOStream) -> Iterator[None]:
        """Keep a connection open while its request is being answered."""
        self._answered.add(stream)
        try:
            yield
        finally:
            self._answered.discard(stream)

    def _make_room(self, most: int) -> bool:
        """Close connections, the oldest first, until at most so many are open; return whether that was possible."""
        self._open = {stream: None for stream in self._open if not stream.closed()}
        for stream in [stream for stream in self._open if stream not in self._answered]:
            if len(self._open) <= most:
                break
            stream.close()
            del self._open[stream]
        return 0 <= most and len(self._open) <= most
