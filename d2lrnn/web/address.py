"""Where the page listens, and the names that it goes by."""

from __future__ import annotations

import errno
import ipaddress
import socket

from d2lrnn.errors import D2lrnnError


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
        where = f"{host if host and host.isprintable() else repr(host)}, port {port}"
        raise D2lrnnError(
            f"there can be no page at {where} ({'another program listens there' if taken else reason}): choose another "
            "--port, 0 for any that is free" + ("" if taken else ", or another --host")
        ) from None
    found.setblocking(False)
    return found


def _check_host(host: str) -> None:
    """Raise a UnicodeError for a text that can be no host's name.

    A socket would take an empty one for all addresses of this machine.  For NUL or an odd letter it would raise a
    TypeError and stay open.
    """
    if not host:
        raise UnicodeError("a host's name cannot be empty")
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
