"""What a page may ask of a translator, and the events that it gets; the translator's page as clients meet it."""

import contextlib
import itertools
import json
import re

import pytest
from pages import eventually, serving
from requests_of_pages import answer, asking
from translators import SOURCE, TARGET, translating, translator_checkpoint

from d2lrnn import D2lrnnError, Decoding, translate_texts
from d2lrnn.cli import main as cli
from d2lrnn.runs.checkpoint import save_checkpoint
from d2lrnn.web.server import MAX_WRITING, PageServer
from d2lrnn.web.translating import TranslatingPlayer
from d2lrnn.web.translation_request import (
    LABELS,
    MAX_BODY,
    MAX_LINE,
    MAX_LINES,
    MAX_TEXT,
    MAX_WIDTH,
    TranslationRequest,
)

TEXT = "I see a bird.\n\n  \u200b\na xyzzy?"


def found_by(player, texts, **settings):
    """Return what the module finds; its attention too, if the model has some."""
    decoding = Decoding(**settings, with_weights=bool(player.attention))
    reverse_source = player.run.plan.reverse_source
    return translate_texts(player.model, texts, SOURCE, TARGET, decoding, reverse_source)


# Events


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (("general", False), {}),
        (("general", True), {"beam_width": 1}),
        (("general", False), {"copy_unknown": True, "beam_width": 3, "length_penalty": 0.5}),
        ((None, True), {"beam_width": 2}),
    ],
)
def test_the_events_tell_what_the_module_finds(model, settings):
    player = translating(*model)
    events = list(player.write(TranslationRequest(TEXT, Decoding(**settings))))
    found = found_by(player, ["I see a bird.", "a xyzzy?"], **settings)
    first, *rest = [event for event in events if event is not None]
    assert first == {
        "sources": [
            {"pieces": ["i", " see", " a", " bird", "."], "unknown": [], "names": ""},
            {"pieces": ["a", " xyzzy", "?"], "unknown": [1], "names": "xyzzy"},
        ]
    }
    assert [event["row"] for event in rest] == [0, 1]
    for event, one in zip(rest, found):
        assert "".join(event["pieces"]) == one.text and len(event["pieces"]) == len(one.tokens) > 3
        assert (event["copied"], event["cut"]) == (one.copied, not one.complete)
        if model[0] is None:
            assert event["looks"] is None
        else:
            assert event["looks"] == [[round(100 * float(weight)) for weight in row] for row in one.weights]
            assert all(97 <= sum(row) <= 103 for row in event["looks"])
    assert any(one.copied for one in found) == settings.get("copy_unknown", False)
    assert json.loads(json.dumps(rest)) == [{**event, "copied": list(event["copied"])} for event in rest]


def test_others_get_their_turn_after_each_token():
    player = translating()
    events = list(player.write(TranslationRequest("see a bird\na fish")))
    places = [i for i, event in enumerate(events) if event is not None]
    _, first, second = (events[i] for i in places)
    for event, begin, end in ((first, places[0], places[1]), (second, places[1], places[2])):
        assert end - begin > 2 * len(event["pieces"])  # tokens are found, and then looked at once more


def test_what_acts_unseen_is_shown():
    events = player_events = [event for event in translating().write(TranslationRequest("a\u202eb \x1b[31m \0 \ufeff"))]
    (source,) = next(event for event in player_events if event)["sources"]
    assert "".join(source["pieces"]) == "a\\u202eb [31m" and "\u202e" not in json.dumps(events, ensure_ascii=False)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a\r\nb\rc\u2028d\x85e\vf", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"]]),
        ("<unk> <eos>", [["<", " unk", " >", " <", " eos", " >"]]),
        ("你好 see مرحبا 🦉", [["你", "好", "see", " مرحبا", " 🦉"]]),
        ("a" * MAX_TEXT, [["a" * MAX_TEXT]]),
        ("a " * MAX_LINE, [["a", *[" a"] * (MAX_LINE - 1)]]),
        ("e\u0301\u0301", [["é\u0301"]]),
    ],
)
def test_odd_sentences_are_translated(text, pieces):
    events = [event for event in translating(end=9).write(TranslationRequest(text, Decoding(beam_width=1))) if event]
    assert [source["pieces"] for source in events[0]["sources"]] == pieces
    assert len(events) == 1 + len(pieces)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the text is empty: expected a sentence to translate"),
        (" \n\t\n\u200b\n\0", "the text is empty: expected a sentence"),
        ("a\n" + "a " * (MAX_LINE + 1), "line 2 has 201 tokens: expected at most 200; divide it"),
    ],
)
def test_what_is_no_sentence_is_refused_by_the_call(text, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        translating().write(TranslationRequest(text))


# Requests


def test_a_request_is_read_from_json():
    assert TranslationRequest.read(b"{}") == TranslationRequest() == TranslationRequest("", Decoding())
    chosen = {"beam_width": MAX_WIDTH, "length_penalty": 0.5, "copy_unknown": True}
    found = TranslationRequest.read(json.dumps({"text": "a\n" * (MAX_LINES - 1), **chosen}).encode())
    assert found == TranslationRequest("a\n" * (MAX_LINES - 1), Decoding(**chosen)) and len(found.lines) == MAX_LINES
    assert len(json.dumps({"text": "\U0001f989" * MAX_TEXT, **chosen})) < MAX_BODY


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "the request cannot be read as JSON: Expecting value"),
        (b"\xff", "the request cannot be read as JSON: 'utf-8' codec"),
        (b"[" * 9000, "the request cannot be read as JSON: maximum recursion"),
        (b"[]", "the request cannot be read: expected a JSON object"),
        (b'{"text": ["a"]}', r"text is \['a'\], of type list: expected a text"),
        (b'{"text": null}', "text is None, of type NoneType: expected a text"),
        (b'{"text": "\\ud800"}', r"text is '\\ud800': '\\ud800' is half of a character"),
        (json.dumps({"text": "a" * (MAX_TEXT + 1)}).encode(), "text has 2,001 characters: expected at most 2,000"),
        (json.dumps({"text": "\n" * MAX_LINES}).encode(), "text has 51 lines: expected at most 50, with a sentence"),
        (b'{"beam_width": 11}', "beam_width is 11: expected a whole number, at least 1 and at most 10"),
        (b'{"beam_width": 0}', "beam_width is 0: expected a whole number, at least 1"),
        (b'{"beam_width": "5"}', "beam_width is '5': expected a whole number"),
        (b'{"beam_width": 1234567890123456789}', "found a number of 19 digits: expected at most 18"),
        (b'{"length_penalty": -1}', "length_penalty is -1: expected a number, at least 0 and at most 10"),
        (b'{"length_penalty": NaN}', "length_penalty is nan: expected a number"),
        (b'{"copy_unknown": 1}', "copy_unknown is 1: expected true or false"),
        (b'{"max_ratio": 50}', "there is nothing called 'max_ratio' to ask for"),
        (b'{"with_weights": true}', "there is nothing called 'with_weights' to ask for"),
        (b'{"decoding": {}}', "there is nothing called 'decoding' to ask for"),
        (b'{"prefix": "a"}', "there is nothing called 'prefix' to ask for"),
    ],
)
def test_what_cannot_be_asked_for(body, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        TranslationRequest.read(body)


# The page, over a real connection


@pytest.fixture(scope="module")
def server():
    with serving(translating()) as server:
        yield server


def test_the_page_and_its_files(server):
    with asking(server, method="GET", path="/") as response:
        page = response.read().decode()
    assert [label for label in LABELS.values() if label not in page] == []
    assert "<h1>lstm on mine</h1>" in page and "general attention" in page and "11 words → 11 characters" in page
    assert not re.search(r"style=|\son\w+=|<script>|https?:", page)  # nothing that the policy would refuse
    files = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert files == ["icon.svg", "page.css", "translate.css", "translate.js"]
    for name in files:
        with asking(server, method="GET", path=f"/{name}") as response:
            assert response.status == 200 and "innerHTML" not in response.read().decode()


def test_a_model_without_attention_says_so():
    with serving(translating(None)) as server:
        with asking(server, method="GET", path="/") as response:
            page = response.read().decode()
        assert "This model has no attention: " in page and "copy_unknown" not in page and "Point at" not in page
        message = "“Copy words of the sentence where the model has none” copies the word that is looked at, and this"
        status, found = answer(server, {"text": "a bird", "copy_unknown": True})
    assert status == 400 and found == f"{message} model has no attention"


def test_a_request_is_answered_with_the_events_of_the_player(server):
    wish = {"text": "I see a bird\n<b>a fish</b>", "beam_width": 2}
    events = [event for event in server.player.write(TranslationRequest.read(json.dumps(wish).encode())) if event]
    assert answer(server, wish) == (200, json.loads(json.dumps([*events, {"done": True}])))


@pytest.mark.parametrize(
    ("status", "message", "request_of"),
    [
        (400, "“Sentences” is empty: expected a sentence to translate", {"wish": {}}),
        (400, "“Sentences” has 2,001 characters: expected", {"wish": {"text": "a" * 2001}}),
        (400, "“Sentences”: line 1 has 201 tokens: expected at most 200", {"wish": {"text": "a " * 201}}),
        (400, "“Beam width” is 1.5: expected a whole number", {"wish": {"text": "a", "beam_width": 1.5}}),
        (400, "“Length penalty” is 11: expected a number", {"wish": {"text": "a", "length_penalty": 11}}),
        (413, "the request has 32,769 bytes: expected at most 32,768", {"wish": b" " * (MAX_BODY + 1)}),
        (415, "expected the type application/json", {"wish": "text=a", "Content_Type": "text/plain"}),
        (403, "this is not evil.example", {"wish": {"text": "a"}, "Host": "evil.example"}),
        (404, "there is no /copies here", {"path": "/copies", "wish": {"texts": []}}),
    ],
)
def test_a_refusal_says_why(server, capfd, status, message, request_of):
    found = answer(server, **request_of)
    assert found[0] == status and found[1].startswith(message)
    assert capfd.readouterr() == ("", "")


def test_others_are_served_while_a_sentence_is_translated():
    player, ended = translating(), []

    def endless(request):
        try:
            yield {"sources": []}
            yield from itertools.repeat(None)
        finally:
            ended.append(request)

    usual, player.write = player.write, endless
    with serving(player) as server:
        with contextlib.ExitStack() as stack:
            for _ in range(MAX_WRITING - 1):
                assert stack.enter_context(asking(server, {"text": "a bird"})).readline() == b'{"sources": []}\n'
            with asking(server, method="GET", path="/") as response:
                assert response.status == 200
            player.write = usual
            assert answer(server, {"text": "a fish"})[1][-1] == {"done": True}
            assert server.writing == MAX_WRITING - 1 and not ended
        eventually(lambda: server.writing == 0)  # whoever is gone is not translated for, though nothing is sent to it
    assert len(ended) == MAX_WRITING - 1


# The command


def test_play_serves_the_page_of_a_translator(tmp_path, monkeypatch, capsys):
    save_checkpoint(tmp_path / "model.d2lrnn", translator_checkpoint())
    served = []

    async def serve(self, listening, stop):
        served.append(self.player)
        listening.close()

    monkeypatch.setattr(PageServer, "serve", serve)
    assert cli.main(["play", str(tmp_path), "--port", "0"]) == 130
    assert [type(player) for player in served] == [TranslatingPlayer]
    out, err = capsys.readouterr()
    assert (
        re.fullmatch(r"page     http://127\.0\.0\.1:\d+/   \(Ctrl-C ends it\)\n", out)
        and err == "d2lrnn: interrupted\n"
    )
    for option in ("--corpus", "--data-dir"):
        assert cli.main(["play", str(tmp_path), "--port", "0", option, "elsewhere"]) == 1
        message = f"d2lrnn: {option} given, but {tmp_path} holds a translator, whose page needs no sentence pairs"
        assert capsys.readouterr().err.startswith(message)
    assert len(served) == 1
