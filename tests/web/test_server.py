"""The page's server as its clients meet it, over a real connection; and the command that starts it."""

import asyncio
import contextlib
import errno
import http.client
import io
import itertools
import json
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy
import pytest
from known import Known, Slow
from pages import LETTERS, LYRICS, SETTINGS, VERSE, eventually, player_of, serving
from requests_of_pages import answer, asking
from tiny import save_model
from tornado.iostream import IOStream

from d2lrnn import D2lrnnError, ModelConfig, Sampling, TrainConfig, Vocab, build_model, generate, load_corpus
from d2lrnn.cli import main as cli
from d2lrnn.generation import writers
from d2lrnn.generation.writers import greedy_writer as writers_greedy
from d2lrnn.runs.checkpoint import Checkpoint, save_checkpoint
from d2lrnn.web import connections
from d2lrnn.web import server as page_server
from d2lrnn.web.address import address_of, hosts_of, open_socket
from d2lrnn.web.player import Player
from d2lrnn.web.request import LABELS, MAX_BODY, MAX_TOKENS, WritingRequest
from d2lrnn.web.server import MAX_TEXTS, MAX_WRITING

LONG = {"prefix": "春", "pred_len": MAX_TOKENS}


@pytest.fixture(scope="module")
def server():
    with serving(player_of(LYRICS, LETTERS, prefixes=("春风",))) as server:
        yield server


# The page


def test_the_page_and_its_files(server):
    with asking(server, method="GET", path="/") as response:
        page = response.read().decode()
        assert (response.status, response.headers["Content-Type"]) == (200, "text/html; charset=UTF-8")
        policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';") and "unsafe" not in policy
    assert "gru, 1 × 8 units, scratch" in page and "11 different characters" in page and 'value="春风"' in page
    assert not re.search(r"style=|\son\w+=|<script>|https?:", page)  # nothing that the policy would refuse
    files = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert files == ["icon.svg", "page.css", "write.css", "write.js"]
    kinds = {"svg": "image/svg+xml", "css": "text/css", "js": "text/javascript"}
    for name in (*files, "page.js"):
        kind = kinds[name.partition(".")[2]]
        with asking(server, method="GET", path=f"/{name}") as response:
            assert (response.status, response.headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert not re.search(r"(?<!xmlns=\")https?://|innerHTML", response.read().decode())


@pytest.mark.parametrize(
    ("player", "shown", "hidden"),
    [
        (player_of(VERSE, LETTERS), ['value="acrostic"', "quatrain7: 4 lines of 7", "from poems"], ["was not found"]),
        (player_of(LYRICS), ['value="acrostic"', "was not found"], ["quatrain", "from poems:"]),
        (player_of(Vocab("the fox", "word"), "the fox"), ["2 different words", "4"], ["acrostic", "quatrain"]),
        (player_of(LYRICS, prefixes=('"><script>',)), ["&quot;&gt;&lt;script&gt;"], ["<script>"]),
    ],
)
def test_the_page_offers_what_the_model_can_do(player, shown, hidden):
    with serving(player) as server, asking(server, method="GET", path="/") as response:
        page = response.read().decode()
    assert [text for text in shown if text not in page] == []
    assert [text for text in hidden if text in page] == []


# Streams


def test_a_wish_is_answered_with_the_events_of_the_player(server):
    wish = {"prefix": "春", "pred_len": 20, "num_samples": 3, "seed": 8, "temperature": 0.7}
    events = [
        json.loads(json.dumps(event)) for event in server.player.write(WritingRequest.read(json.dumps(wish).encode()))
    ]
    assert answer(server, wish) == (200, [*events, {"done": True}])
    assert len(events) == 1 + 3 * 20 + 3
    with asking(server, wish, Content_Type="Application/JSON; charset=utf-8") as response:
        assert response.headers["Content-Type"] == "application/x-ndjson; charset=utf-8"
        assert response.readline() == b'{"prefix": "\\u6625", "rows": 3}\n'


def test_what_a_stopped_text_copies_can_be_asked_for(server):
    texts = [LETTERS * 2, "春", ""]
    events = list(server.player.copies(texts))
    assert [event["row"] for event in events] == [0, 1, 2] and events[0]["longest"] >= len(LETTERS)
    assert answer(server, {"texts": texts}, path="/copies") == (200, json.loads(json.dumps(events)))
    assert answer(server, {"texts": []}, path="/copies") == (200, [])
    with serving(player_of(LYRICS)) as without_corpus:
        assert answer(without_corpus, {"texts": texts}, path="/copies") == (200, [])


def test_each_token_is_sent_as_soon_as_it_is_written():
    model = Slow(0, threading.Semaphore(0))
    with serving(player_of(LYRICS, model=model)) as server, asking(server, {"prefix": "春", "pred_len": 3}) as response:
        assert "rows" in json.loads(response.readline())
        for calls in range(3):
            assert model.calls == calls
            model.gate.release()
            assert "text" in json.loads(response.readline())
        assert json.loads(response.readline()) == {"done": True}
        assert response.read() == b""


def test_a_request_that_is_dropped_stops_its_writing():
    model = Slow(0.001)
    with serving(player_of(LYRICS, LETTERS, model=model)) as server:
        with asking(server, {**LONG, "num_samples": 4}) as response:
            for _ in range(20):
                response.readline()
            assert server.writing == 1
        eventually(lambda: server.writing == 0)
        calls = model.calls
        assert calls < MAX_TOKENS / 4
        assert answer(server, {"prefix": "春", "pred_len": 1})[0] == 200
        assert model.calls == calls + 1


def test_two_clients_take_turns():
    model = Slow()
    player = player_of(LYRICS, model=model)
    with serving(player) as server, asking(server, LONG) as long:
        begun = [json.loads(long.readline()) for _ in range(10)]
        status, events = answer(server, {"prefix": "山水", "pred_len": 30, "seed": 5, **choices(SETTINGS)})
        assert status == 200 and server.writing == 1  # the long one is still being written
        begun += [json.loads(long.readline()) for _ in range(10)]
    model.seconds = 0
    (short,) = generate(["山水"], 30, model, LYRICS, SETTINGS)
    assert "山水" + "".join(event.get("text", "") for event in events) == short.text
    (expected,) = generate(["春"], 19, model, LYRICS)
    assert "春" + "".join(event.get("text", "") for event in begun) == expected.text


def choices(sampling):
    return {name: getattr(sampling, name) for name in ("temperature", "top_k", "top_p", "repetition_penalty")}


def test_no_more_are_written_for_at_a_time_than_there_are_places():
    with serving(player_of(LYRICS, model=Slow())) as server:
        with contextlib.ExitStack() as stack:
            for _ in range(MAX_WRITING):
                stack.enter_context(asking(server, LONG)).readline()
            status, message = answer(server, LONG)
            assert (status, message) == (429, "4 others are being answered: try again when one of them is done")
            with asking(server, method="GET", path="/") as response:
                assert response.status == 200
        eventually(lambda: server.writing == 0)
        assert answer(server, {"prefix": "春", "pred_len": 1})[0] == 200


def test_what_is_refused_leaves_no_place_taken(server):
    for _ in range(2 * MAX_WRITING):
        assert answer(server, {"prefix": ""})[0] == 400
    assert server.writing == 0
    assert answer(server, {"prefix": "春", "pred_len": 1})[0] == 200


class Endless(Player):
    """Writes for ever, and more at a time than buffers hold."""

    closed = False

    def __init__(self):
        pass

    def write(self, wish):
        try:
            yield from itertools.repeat({"text": "x" * 1_000_000})
        finally:
            self.closed = True


def test_a_client_that_takes_nothing_loses_its_place():
    player = Endless()
    with serving(player, patience=0.1) as server, asking(server, {}) as response:
        eventually(lambda: player.closed and server.writing == 0)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            response.read()


def test_what_is_being_written_ends_with_the_server():
    model = Slow()
    with serving(player_of(LYRICS, model=model)) as server:
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        body = json.dumps(LONG).encode()
        connection.sendall(head_of(len(body)) + body)
        eventually(lambda: model.calls > 5)
    with connection:
        while connection.recv(65536):
            pass
    assert model.calls < MAX_TOKENS / 4


# What is refused


@pytest.mark.parametrize(
    ("status", "message", "request_of"),
    [
        (400, "“Begin with”: unknown character '☃' (U+2603) at position 1: expected", {"wish": {"prefix": "春☃"}}),
        (400, "“Begin with” is empty: expected at least one character", {"wish": {}}),
        (
            400,
            "“Length” is 2001: expected a whole number, at least 1 and at most 2,000",
            {"wish": {**LONG, "pred_len": 2001}},
        ),
        (400, "“Top-p” is 2: expected a number, above 0 and at most 1", {"wish": {"top_p": 2}}),
        (400, "“Form” needs '，' or ',' or '､': expected one of them", {"wish": {"prefix": "春", "form": "couplet"}}),
        (400, "“Lines begin with”: there is no character in '，'", {"wish": {"acrostic": "，"}}),
        (400, "“Lines begin with”: unknown character '龘' (U+9F98) at position 0", {"wish": {"acrostic": "龘"}}),
        (
            400,
            "“Temperature” 0 takes the likeliest token whatever “Top-k” and “Top-p” are: leave them out",
            {"wish": {"temperature": 0, "top_k": 3}},
        ),
        (
            400,
            "“Samples” is 3, but these settings leave nothing to chance: expected 1, or a temperature above 0 and "
            "another “Top-k” than 1",
            {"wish": {"num_samples": 3, "top_k": 1}},
        ),
        (400, "“Begin with” is '春\\ud800': '\\ud800' is half of a character", {"wish": {"prefix": "春\ud800"}}),
        (
            400,
            "“Lines begin with” is '\\udce9': '\\udce9' is half of a",
            {"wish": {"acrostic": "\udce9", "skip_unknown": True}},
        ),
        (400, "“Form” is '\\ud800': expected one of couplet", {"wish": {"form": "\ud800"}}),
        (400, "there is nothing called '\\ud800' to ask for", {"wish": {"\ud800": 1}}),
        (400, "400 Bad Request", {"wish": b"x", "Content_Type": "multipart/form-data"}),
        (
            400,
            "a text is '\\ud800': '\\ud800' is half of a character",
            {"path": "/copies", "wish": {"texts": ["\ud800"]}},
        ),
        (400, "a text is 1, of type int: expected a text", {"path": "/copies", "wish": {"texts": [1]}}),
        (400, "expected a list of texts, at most 16, and nothing else", {"path": "/copies", "wish": {"texts": "a"}}),
        (400, "expected a list of texts, at most 16, and", {"path": "/copies", "wish": {"texts": ["a"] * 17}}),
        (400, "the request cannot be read: expected a JSON object", {"path": "/copies", "wish": []}),
        (
            413,
            f"the request has {MAX_TEXTS + 1:,} bytes: expected at most {MAX_TEXTS:,}",
            {"path": "/copies", "wish": b" " * (MAX_TEXTS + 1)},
        ),
        (415, "expected the type application/json", {"path": "/copies", "wish": "", "Content_Type": "text/plain"}),
        (403, "this is not evil.example", {"path": "/copies", "wish": {"texts": []}, "Host": "evil.example"}),
        (400, "the request cannot be read as JSON", {"wish": "prefix=春".encode()}),
        (
            413,
            f"the request has {MAX_BODY + 1:,} bytes: expected at most {MAX_BODY:,}",
            {"wish": b" " * (MAX_BODY + 1)},
        ),
        (415, "expected the type application/json", {"wish": {"prefix": "春"}, "Content_Type": "text/plain"}),
        (415, "expected the type application/json", {"wish": "", "Content_Type": ""}),
        (403, "this is not evil.example: expected 127.0.0.1 or [::1] or localhost", {"Host": "evil.example"}),
        (403, "this is not evil.example", {"method": "GET", "path": "/", "Host": "evil.example:80"}),
        (
            403,
            "this is not localhost.evil.example",
            {"method": "GET", "path": "/page.js", "Host": "localhost.evil.example"},
        ),
        (403, "this is not evil.example", {"method": "GET", "path": "/none", "Host": "evil.example"}),
        (404, "there is no /page.html here", {"method": "GET", "path": "/page.html"}),
        (404, "there is no /../server.py here", {"method": "GET", "path": "/../server.py"}),
        (405, "405 Method Not Allowed", {"method": "GET"}),
        (405, "405 Method Not Allowed", {"method": "OPTIONS"}),
    ],
)
def test_a_refusal_says_why(server, capfd, status, message, request_of):
    found = answer(server, **request_of)
    assert found[0] == status and found[1].startswith(message)
    assert capfd.readouterr() == ("", "")  # nor does the terminal fill with what clients get wrong


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"prefix": "春☃"}, "prefix"),
        ({"acrostic": "春☃"}, "acrostic"),
        ({"prefix": "春", "seed": -1}, "seed"),
        ({"prefix": "春", "top_k": 1.5}, "top_k"),
        ({"prefix": "春", "pred_len": 0}, "pred_len"),
        ({"prefix": "春" * 501}, "prefix"),
        ({"x": 1}, None),
    ],
)
def test_a_refusal_names_the_field_that_is_meant(server, wish, field):
    with asking(server, wish) as response:
        found = json.loads(response.read())
    assert (response.status, found.get("field")) == (400, field)
    assert field is None or f"“{LABELS[field]}”" in found["error"]


def test_every_label_is_on_the_page():
    with serving(player_of(VERSE, LETTERS)) as server, asking(server, method="GET", path="/") as response:
        page = response.read().decode()
    assert [label for label in LABELS.values() if label not in page] == []
    assert "<h1>gru on poems</h1>" in page and "<title>gru on poems (run) – d2lrnn</title>" in page


# Who is meant


def raw(server, *lines):
    """Send the lines of a request's head, and return the status and the rest of the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall("".join(f"{line}\r\n" for line in (*lines, "Connection: close", "")).encode("latin-1"))
        found = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = found.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (403, ["GET / HTTP/1.0"]),
        (403, ["GET /page.js HTTP/1.0", "X-Forwarded-Host: localhost"]),
        (403, ["GET / HTTP/1.0", "Host:"]),
        (403, ["GET / HTTP/1.1", "Host:"]),
        (403, ["GET / HTTP/1.1", "Host:  "]),
        (400, ["GET / HTTP/1.1"]),
        (400, ["GET / HTTP/1.1", "Host: localhost", "Host: evil.example"]),
        (400, ["GET / HTTP/1.0", "Host: evil.example", "Host: localhost"]),
        (400, ["GET / HTTP/1.1", "Host: localhost, evil.example"]),
        (400, ["GET / HTTP/1.1", "Host: evil.example@localhost"]),
        (403, ["GET http://localhost/ HTTP/1.1", "Host: evil.example"]),
        (404, ["GET http://evil.example/ HTTP/1.1", "Host: localhost"]),
        (404, ["GET //evil.example/ HTTP/1.1", "Host: localhost"]),
        (403, ["GET / HTTP/1.1", "Host: evil.example", "X-Forwarded-Host: localhost", "Forwarded: host=localhost"]),
        (403, ["GET / HTTP/1.1", "Host: :80"]),
        (403, ["GET / HTTP/1.1", "Host: localhost:80:80"]),
        (403, ["GET / HTTP/1.1", "Host: localhost."]),
        (403, ["GET / HTTP/1.1", "Host: ::1"]),
        (403, ["GET / HTTP/1.1", "Host: [::ffff:1.2.3.4]"]),
        (400, ["GET / HTTP/1.1", "Host: loc\xe9"]),
        (200, ["GET / HTTP/1.0", "Host: localhost"]),
        (200, ["GET / HTTP/1.1", "Host: [::1]:80"]),
    ],
)
def test_only_a_request_that_names_this_host_is_answered(server, capfd, status, lines):
    """Else another site could let its name point to this machine, and read what the page says."""
    found, body = raw(server, *lines)
    assert found == status and (b"<h1>" in body) == (status == 200)
    assert capfd.readouterr() == ("", "")


def test_a_host_that_is_not_named(server):
    expected = "the request names no host: expected 127.0.0.1 or [::1] or localhost"
    assert json.loads(raw(server, "GET / HTTP/1.0")[1]) == {"error": expected}


# Connections


def half_requests(server, count, stack):
    """Open connections that each send half of a request's head; returns them."""
    found = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(count)]
    for connection in found:
        stack.enter_context(connection)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: local")
    return found


def is_closed(connection):
    """Return whether the server has closed a connection; it resets one on which there is something to read."""
    try:
        return connection.recv(10) == b""
    except ConnectionResetError:
        return True


def test_whoever_waits_longest_makes_room():
    """All but those whose requests are being answered: half requests, and connections that are kept."""
    with serving(player_of(LYRICS, model=Slow()), most=8) as server, contextlib.ExitStack() as stack:
        response = stack.enter_context(asking(server, LONG))
        response.readline()
        halves = half_requests(server, 40, stack)
        for _ in range(3):
            with asking(server, method="GET", path="/") as page:
                assert page.status == 200 and b"<h1>" in page.read()
        assert all(map(is_closed, halves[:30]))
        assert len(server.connections) <= 8 and server.writing == 1
        assert "text" in json.loads(response.readline())
        halves[-1].sendall(b"host\r\n\r\n")  # the youngest is still open
        assert halves[-1].recv(15) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: local",
        b"POST /write HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{",
    ],
)
def test_a_request_that_is_not_finished_in_time_is_dropped(capfd, begun):
    with serving(player_of(LYRICS), patience=0.1) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(begun)
            assert is_closed(connection)
    assert capfd.readouterr() == ("", "")


def test_there_is_room_for_a_quarter_of_the_files(monkeypatch):
    for files, expected in ((64, 16), (1024, 100), (20, 8), (resource.RLIM_INFINITY, 100)):
        monkeypatch.setattr(resource, "getrlimit", lambda what, files=files: (files, files))
        assert connections.room_for_connections() == expected


@pytest.mark.parametrize("failing", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ECONNABORTED])
def test_where_this_machine_has_no_room(failing, monkeypatch, caplog):
    """The oldest connection makes room; without one, the server waits, and is not busy with failing."""
    calls, open_now = [], []

    async def run():
        loop = asyncio.get_running_loop()

        async def sock_accept(listening):
            calls.append(len(held))
            if len(calls) < 6:
                raise OSError(failing, "no room")
            await asyncio.Event().wait()

        monkeypatch.setattr(loop, "sock_accept", sock_accept)
        monkeypatch.setattr(connections, "PAUSE", 0)
        held = connections.Connections(SimpleNamespace(handle_stream=lambda stream, address: None), 8)
        pairs = [socket.socketpair() for _ in range(3)]
        for ours, _ in pairs:
            held.add(IOStream(ours), None)
        task = asyncio.create_task(held.accept(None))
        while len(calls) < 6:
            await asyncio.sleep(0)
        task.cancel()
        open_now.append(len(held))
        for pair in pairs:
            for end in pair:
                end.close()

    asyncio.run(run())
    assert (calls, open_now) == (([3] * 6, [3]) if failing == errno.ECONNABORTED else ([3, 2, 1, 0, 0, 0], [0]))
    assert caplog.text == ""


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:9999", "[::1]:8000"])
def test_names_that_this_machine_goes_by(server, host):
    with asking(server, method="GET", path="/", Host=host) as response:
        assert response.status == 200


def test_where_others_may_call_the_name_does_not_matter():
    with serving(player_of(LYRICS), open_to_all=True) as server:
        with asking(server, method="GET", path="/", Host="poet.example") as response:
            assert response.status == 200


def test_a_body_without_end_is_not_waited_for(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head_of(2**21))
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def head_of(length):
    """Return the head of a request with a body of so many bytes."""
    kind = "Content-Type: application/json"
    return f"POST /write HTTP/1.1\r\nHost: localhost\r\n{kind}\r\nContent-Length: {length}\r\n\r\n".encode()


def test_a_defect_is_told_in_the_terminal_alone(caplog):
    class Defective(Slow):
        def __call__(self, X, state):
            raise ZeroDivisionError("the secret of the model")

    with serving(player_of(LYRICS, model=Defective())) as server:
        status, events = answer(server, {"prefix": "春"})
        assert (status, events[1:]) == (200, [{"error": page_server.DEFECT}])
        assert "secret of the model" in caplog.text and "Traceback" in caplog.text
        caplog.clear()
        server.player.write = lambda wish: 1 / 0
        assert answer(server, {"prefix": "春"}) == (500, page_server.DEFECT)
        assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("defect", [lambda: int("no number"), lambda: numpy.zeros(2) + numpy.zeros(3)])
def test_a_plain_value_error_is_a_defect_too(caplog, defect):
    model = Slow()
    model.next = lambda code, ids: defect()
    with serving(player_of(LYRICS, model=model)) as server:
        status, events = answer(server, {"prefix": "春"})
        assert (status, events[1:]) == (200, [{"error": page_server.DEFECT}])
        assert "ValueError" in caplog.text and "Traceback" in caplog.text
        caplog.clear()
        server.player.write = lambda request: defect()
        assert answer(server, {"prefix": "春"}) == (500, page_server.DEFECT)
        assert "ValueError" in caplog.text and "Traceback" in caplog.text
        caplog.clear()

        def refuse(request):
            raise D2lrnnError("found this: expected that")

        server.player.write = refuse
        assert answer(server, {"prefix": "春"}) == (400, "“Begin with”: found this: expected that")
        assert caplog.text == ""


def test_a_page_has_its_writer_made_once(monkeypatch):
    made = []
    monkeypatch.setattr(writers, "greedy_writer", lambda model: made.append(model) or writers_greedy(model))
    model = build_model(ModelConfig(num_hiddens=8, init_scale=1.0), len(LYRICS))
    with serving(player_of(LYRICS, model=model)) as server:
        wish = {"prefix": "春", "pred_len": 10, "seed": 4}
        answers = [answer(server, wish) for _ in range(5)]
        assert answer(server, {"acrostic": "春山"})[0] == 200
    assert made == [model]
    assert all(found == answers[0] for found in answers)
    (sample,) = generate(["春"], 10, model, LYRICS, Sampling(seed=4))
    assert "春" + "".join(event.get("text", "") for event in answers[0][1]) == sample.text


def test_what_only_writing_can_tell_comes_as_an_event(caplog):
    model = Known([[float("nan")] * len(LYRICS)] * len(LYRICS))
    with serving(player_of(LYRICS, model=model)) as server:
        _, events = answer(server, {"prefix": "春"})
    assert events[1:] == [{"error": "the model's logits hold NaN or infinity: did it diverge in training?"}]
    assert caplog.text == ""


# Where it listens


@pytest.mark.parametrize(
    ("host", "address", "names"),
    [
        ("127.0.0.1", r"http://127\.0\.0\.1:\d+/", {"localhost", "127.0.0.1", "[::1]"}),
        ("LocalHost", r"http://LocalHost:\d+/", {"localhost", "127.0.0.1", "[::1]"}),
        ("127.0.0.2", r"http://127\.0\.0\.2:\d+/", {"localhost", "127.0.0.1", "[::1]", "127.0.0.2"}),
        ("0.0.0.0", r"http://0\.0\.0\.0:\d+/", None),
    ],
)
def test_addresses_and_the_names_that_they_go_by(host, address, names):
    with open_socket(host, 0) as listening:
        assert re.fullmatch(address, address_of(host, listening))
        assert hosts_of(host, listening) == names


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6 here")
def test_addresses_of_ipv6():
    try:
        listening = open_socket("::1", 0)
    except ValueError as error:
        pytest.skip(str(error))
    with listening:
        assert re.fullmatch(r"http://\[::1\]:\d+/", address_of("::1", listening))
        assert hosts_of("::1", listening) == {"localhost", "127.0.0.1", "[::1]"}


# The command


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with a model whose corpus is a file."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "poems.txt").write_text(LETTERS * 9, encoding="utf-8")
    save_model(folder / "poems" / "model.d2lrnn", load_corpus(folder / "poems.txt"), ("春",), str(folder / "poems.txt"))
    return folder / "poems"


@contextlib.contextmanager
def playing(*arguments, **options):
    """Start the command; yields the process, the lines that it printed, and its port."""
    command = [sys.executable, "-m", "d2lrnn", "play", *map(str, arguments), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options) as process:
        try:
            lines = [process.stdout.readline()]
            while lines[-1] and not lines[-1].startswith("page"):
                lines.append(process.stdout.readline())
            yield process, lines, int(re.search(r":(\d+)/", lines[-1])[1])
        finally:
            process.kill()


def test_play_prints_its_address_and_ctrl_c_ends_it_while_it_writes(run):
    with playing(run) as (process, lines, port):
        assert lines == [f"page     http://127.0.0.1:{port}/   (Ctrl-C ends it)\n"]
        server = SimpleNamespace(port=port)
        *_, copies, done = answer(server, {"prefix": LETTERS, "pred_len": 1})[1]
        assert copies["longest"] >= len(LETTERS) and done == {"done": True}
        with asking(server, {**LONG, "num_samples": 16}) as response:
            response.readline()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "d2lrnn: interrupted\n")


def test_play_says_once_what_is_not_as_usual(run, tmp_path):
    (tmp_path / "model.d2lrnn").write_bytes((run / "model.d2lrnn").read_bytes())
    text = run.parent / "poems.txt"
    text.rename(run.parent / "away.txt")
    try:
        with playing(tmp_path, "--host", "0.0.0.0") as (_, lines, port):
            assert lines[0].startswith("copies   are not marked: ") and "poems.txt any more" in lines[0]
            assert lines[1].startswith("caution  whoever can reach this machine") and len(lines) == 3
            with asking(SimpleNamespace(port=port), method="GET", path="/", Host="poet") as response:
                assert "was not found" in response.read().decode()
    finally:
        (run.parent / "away.txt").rename(text)


def test_play_serves_where_few_files_may_be_open(run):
    """A hundred half requests neither fill the terminal nor keep the page from others."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with playing(run, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))) as (
        process,
        _,
        port,
    ):
        server = SimpleNamespace(port=port)
        with contextlib.ExitStack() as stack:
            half_requests(server, 100, stack)
            for path in ("/", "/page.js", "/page.css"):
                with asking(server, method="GET", path=path) as response:
                    assert response.status == 200 and response.read()
            assert answer(server, {"prefix": "春", "pred_len": 5})[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "d2lrnn: interrupted\n")


def test_ctrl_c_ends_play_from_the_moment_it_has_printed_its_address(run, monkeypatch):
    """Also where Ctrl-C was ignored before, as in a background job of a shell."""
    printed = []

    class Pressing(io.StringIO):
        def write(self, text):
            printed.append(text)
            if text.startswith("page "):
                signal.raise_signal(signal.SIGINT)
            return len(text)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    monkeypatch.setattr(sys, "stdout", Pressing())
    try:
        assert cli.main(["play", str(run), "--port", "0"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert re.fullmatch(r"page     http://127.0.0.1:\d+/   \(Ctrl-C ends it\)\n", "".join(printed))


def is_listening(port):
    with socket.socket() as connection:
        return not connection.connect_ex(("127.0.0.1", port))


def test_play_in_a_notebook(run, capsys):
    """There an event loop runs already, in the very thread that the command runs in."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = []

    def ask():
        server = SimpleNamespace(port=port)
        try:
            eventually(lambda: is_listening(port))
            found.extend(answer(server, {"prefix": text, "pred_len": 5}) for text in ("春", "风花"))
        finally:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    async def cell():
        return cli.main(["play", str(run), "--port", str(port)])

    loop, thread = asyncio.new_event_loop(), threading.Thread(target=ask)
    thread.start()
    with contextlib.closing(loop):
        assert loop.run_until_complete(cell()) == 130
    thread.join()
    assert [status for status, _ in found] == [200, 200] and len(found[0][1]) == 1 + 5 + 1 + 1
    out, err = capsys.readouterr()
    assert (out, err) == (
        f"page     http://127.0.0.1:{port}/   (interrupt this cell to end it)\n",
        "d2lrnn: interrupted\n",
    )
    assert not is_listening(port)


def failed(capsys, *arguments):
    capsys.readouterr()
    assert cli.main(["play", *map(str, arguments)]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("d2lrnn: ") and err.count("\n") == 1
    return err


def test_what_cannot_be_played_is_said_in_a_line(capsys, run, tmp_path):
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    with taken:
        line = failed(capsys, run, "--port", port)
    assert f"there can be no page at 127.0.0.1, port {port} (another program listens there): choose another" in line
    assert "port is 65536: expected 0 to 65535" in failed(capsys, run, "--port", 65536)
    assert "choose another --port, 0 for any that is free, or another --host" in failed(
        capsys, run, "--host", "192.0.2.1"
    )
    assert "is not there: expected a folder" in failed(capsys, tmp_path)
    assert "is neither a corpus nor a file" in failed(capsys, run, "--corpus", "nowhere.txt")
    assert "unknown device 'abacus'" in failed(capsys, run, "--ctx", "abacus")
    config = ModelConfig("scratch", "gru", 4, bidirectional=True)
    corpus = load_corpus(run.parent / "poems.txt")
    both = Checkpoint.of(build_model(config, corpus.vocab_size), config, TrainConfig(prefixes=("春",)), corpus)
    save_checkpoint(tmp_path / "model.d2lrnn", both)
    assert "a bidirectional model cannot be a left-to-right language model" in failed(capsys, tmp_path)
