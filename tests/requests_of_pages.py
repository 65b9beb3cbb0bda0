"""What a client sends to a page's server, and what comes back."""

import contextlib
import http.client
import json


@contextlib.contextmanager
def asking(server, wish=None, method="POST", path="/write", **headers):
    """Send a request; yields the response, and drops the connection behind it."""
    body = wish if isinstance(wish, (str, bytes, type(None))) else json.dumps(wish)
    kind = {"Content-Type": "application/json"} if method == "POST" else {}
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request(method, path, body, {**kind, **more})
        with connection.getresponse() as response:
            yield response


def answer(*arguments, **options):
    """Return the status and what the JSON of an answer holds: of a stream, a list of its events."""
    with asking(*arguments, **options) as response:
        lines = [json.loads(line) for line in response.read().splitlines()]
        return response.status, lines if response.status == 200 else lines[0]["error"]
