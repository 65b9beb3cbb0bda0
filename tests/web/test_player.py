"""What a page may ask of a model, and the events that it gets: those of the streams, with what is copied."""

import json
import re

import pytest
from known import Counting, Known, random_model
from pages import LETTERS, LYRICS, SETTINGS, VERSE, player_of

from d2lrnn import (
    FORMS,
    LooksAheadError,
    ModelConfig,
    Sampling,
    UnknownTokenError,
    Vocab,
    acrostic,
    build_model,
    compose,
    generate,
    marked,
    novelty,
    usual_form,
)
from d2lrnn.web.request import MAX_HEADS, MAX_PREFIX, MAX_SAMPLES, MAX_TOKENS, WritingRequest


def texts_of(events):
    """Return the texts that events tell of, prefix included."""
    first, *rest = events
    texts = [first["prefix"]] * first["rows"]
    for event in rest:
        if "text" in event:
            texts[event["row"]] += event["text"]
    return texts


def check_against(events, samples, begin):
    """Check the events of each token against finished texts, of which so many characters are the prefix."""
    assert texts_of(events) == [sample.text for sample in samples]
    for row, sample in enumerate(samples):
        tokens = [event for event in events if event.get("row") == row and "text" in event]
        assert "".join(event["text"] for event in tokens) == sample.text[begin:]
        logs = [event["p"] for event in tokens]
        assert logs == pytest.approx([2.718281828459045**p for p in sample.log_probs], rel=1e-3)


# Events


def test_a_text_is_what_generate_writes():
    player = player_of(LYRICS)
    wish = WritingRequest("春风", pred_len=30, num_samples=3, sampling=SETTINGS)
    events = list(player.write(wish))
    assert events[0] == {"prefix": "春风", "rows": 3}
    assert [event["row"] for event in events[1:8]] == [0, 1, 2, 0, 1, 2, 0]
    assert {tuple(event) for event in events[1:]} == {("row", "text", "p")}
    check_against(events, generate(["春风"] * 3, 30, player.model, LYRICS, SETTINGS), 2)


def test_words_are_joined_by_spaces():
    vocab = Vocab.from_list("the fox jumps over a dog".split(), "word")
    player = player_of(vocab)
    events = list(player.write(WritingRequest("  the   fox ", pred_len=5, sampling=SETTINGS)))
    assert events[0]["prefix"] == "the fox"
    check_against(events, generate(["the fox"], 5, player.model, vocab, SETTINGS), len("the fox"))
    assert all(re.fullmatch(r" \w+", event["text"]) for event in events[1:])
    assert (player.forms, player.verse) == ((), False)


def test_verse_is_what_compose_and_acrostic_write():
    player = player_of(VERSE)
    assert (player.forms, player.verse) == (tuple(FORMS), True)
    for wish, samples in (
        (
            WritingRequest("春，风", form="quatrain", num_samples=2),
            compose(["春风"] * 2, FORMS["quatrain"], player.model, VERSE),
        ),
        (WritingRequest(acrostic="月夜山"), acrostic(["月夜山"], usual_form(VERSE), player.model, VERSE)),
        (WritingRequest(acrostic="月", form="couplet7"), acrostic(["月"], FORMS["couplet7"], player.model, VERSE)),
    ):
        check_against(list(player.write(wish)), samples, 0)


def test_lyrics_in_a_form_are_shown_line_by_line():
    player = player_of(LYRICS)
    assert (player.forms, player.verse) == ((), True)
    (text,) = texts_of(player.write(WritingRequest(acrostic="月夜")))
    (sample,) = acrostic(["月夜"], usual_form(LYRICS), player.model, LYRICS)
    assert text == sample.text.replace(" ", "\n") and text.count("\n") == 1


def test_a_character_that_is_placed_tells_what_the_model_read():
    player = player_of(VERSE)
    wish = WritingRequest(acrostic="春龘", skip_unknown=True, sampling=SETTINGS)
    (sample,) = acrostic(["春龘"], usual_form(VERSE), player.model, VERSE, SETTINGS, skip_unknown=True)
    events = list(player.write(wish))
    check_against(events, [sample], 0)
    assert [event["read"] for event in events if "read" in event] == [VERSE.idx_to_token[sample.ids[6]]]
    assert [event["text"] for event in events if "read" in event] == ["龘"]
    with pytest.raises(UnknownTokenError, match="unknown character '龘'"):
        player.write(WritingRequest(acrostic="春龘"))


@pytest.mark.parametrize("prefix", ["春风花月夜山水去来迟春", "山"])
def test_copies_are_what_the_module_finds(prefix):
    corpus = f"{LETTERS}{LETTERS[::-1]}" * 2
    player = player_of(Vocab.from_list(LETTERS), corpus)
    events = list(player.write(WritingRequest(prefix, pred_len=20, num_samples=2, sampling=SETTINGS)))
    found = [event for event in events if "spans" in event]
    assert events[-2:] == found and [event["row"] for event in found] == [0, 1]
    for event, text in zip(found, texts_of(events)):
        expected = novelty(text, corpus, 4, 8)
        assert event["spans"] == list(expected.spans)
        assert (event["ngrams"], event["tokens"]) == (expected.copied_ngrams, expected.copied_tokens)
        assert (event["longest"], event["copy"]) == (expected.longest_length, expected.longest)
        assert bool(expected.spans) == (len(prefix) > 8)


def test_spans_of_words_and_pairs_count_characters():
    words = "the quick brown fox jumps over the lazy dog and runs away".split()
    copied = " ".join(words[:9])
    for vocab, prefix in (
        (Vocab(words, "word"), f"away away {copied} and"),
        (Vocab(["春风", "花月", "夜山", "水去", "来迟"], "bigram"), f"来迟{LETTERS}"),
    ):
        text = " ".join(words) if vocab.level == "word" else LETTERS
        player = player_of(vocab, text)
        *_, event = player.write(WritingRequest(prefix, pred_len=1, sampling=Sampling(seed=1)))
        (span, *_) = event["spans"]
        assert span[0] == prefix.index(text[:3]) and prefix[slice(*span)] in text
        shown = texts_of(player.write(WritingRequest(prefix, pred_len=1, sampling=Sampling(seed=1))))[0]
        level = "word" if vocab.level == "word" else "char"
        expected = marked(shown, novelty(shown, player.index, 4, 8).spans, level)
        for begin, end in reversed(event["spans"]):
            shown = f"{shown[:begin]}【{shown[begin:end]}】{shown[end:]}"
        assert shown == expected != prefix


def test_a_text_too_short_for_n_grams_has_no_share_of_them():
    *_, event = player_of(LYRICS, LETTERS).write(WritingRequest("春", pred_len=1))
    assert event["ngrams"] is None and event["tokens"] == 0
    assert json.loads(json.dumps(event)) == {**event, "spans": []}


def test_nothing_is_written_that_is_not_asked_for():
    model = Counting(random_model(3, len(LYRICS)).table)
    events = player_of(LYRICS, LETTERS, model=model).write(WritingRequest("春", pred_len=500))
    assert model.read == []
    for _ in range(4):
        next(events)
    assert len(model.read) == 3
    events.close()
    assert list(events) == [] and len(model.read) == 3


@pytest.mark.parametrize(("num_lines", "stop"), [(1, "\n"), (2, None)])
def test_a_model_of_lines_begins_one_and_a_single_one_ends_where_it_ends(num_lines, stop):
    player = player_of(VERSE, prefixes=("\n", "\n"), num_lines=num_lines)
    assert player.run.first_text == ""
    for prefix in ("", "春"):
        events = list(player.write(WritingRequest(prefix, pred_len=20)))
        assert events[0]["prefix"] == prefix
        (sample,) = generate(["\n" + prefix], 20, player.model, VERSE, Sampling(stop=stop))
        assert texts_of(events) == [sample.text[1:]]


def test_without_a_prefix_there_is_nothing_to_begin_with():
    with pytest.raises(ValueError, match="the prefix is empty"):
        player_of(LYRICS).write(WritingRequest(""))
    assert player_of(LYRICS, prefixes=()).run.first_text == ""
    assert player_of(LYRICS, prefixes=("春风", "月")).run.first_text == "春风"


def test_a_model_that_cannot_write_is_refused():
    config = ModelConfig("scratch", "gru", 8, bidirectional=True)
    with pytest.raises(LooksAheadError):
        player_of(LYRICS, model=build_model(config, len(LYRICS)))
    with pytest.raises(ValueError, match="the vocabulary has 11 entries"):
        player_of(LYRICS, model=Known([[0.0]]))


# Wishes


def test_a_wish_is_read_from_json():
    assert WritingRequest.read(b"{}") == WritingRequest() == WritingRequest("", None, None, False, 100, 1, Sampling())
    values = {
        "acrostic": "春",
        "form": "couplet",
        "skip_unknown": True,
        "num_samples": 2,
        "pred_len": 7,
        "prefix": "山",
    }
    chosen = {"temperature": 0.5, "top_k": 3, "top_p": 0.5, "repetition_penalty": 2, "seed": 4}
    assert WritingRequest.read(json.dumps({**values, **chosen}).encode()) == WritingRequest(
        **values, sampling=Sampling(**chosen)
    )
    greedy = WritingRequest.read(b'{"temperature": 0}')
    assert greedy.sampling == Sampling(temperature=0)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("", "the request cannot be read as JSON: Expecting value"),
        ("\udcff", "the request cannot be read as JSON: 'utf-8' codec"),
        ("[" * 9000, "the request cannot be read as JSON: maximum recursion"),
        ("[1]", "the request cannot be read: expected a JSON object"),
        ('{"seed": 1234567890123456789}', "found a number of 19 digits: expected at most 18"),
        ('{"temperatur": 1}', "there is nothing called 'temperatur' to ask for"),
        ('{"beam_width": 3}', "there is nothing called 'beam_width' to ask for"),
        ('{"stop": "。"}', "there is nothing called 'stop' to ask for"),
        ('{"sampling": {}}', "there is nothing called 'sampling' to ask for"),
        ('{"prefix": 5}', "prefix is 5, of type int: expected a text"),
        ('{"acrostic": ["a"]}', r"acrostic is \['a'\], of type list: expected a text"),
        (json.dumps({"prefix": "春" * (MAX_PREFIX + 1)}), "prefix has 501 characters: expected at most 500"),
        (json.dumps({"acrostic": "春" * (MAX_HEADS + 1)}), "acrostic has 101 characters: expected at most 100"),
        ('{"form": "sonnet"}', "form is 'sonnet': expected one of couplet, quatrain, couplet7, quatrain7, or none"),
        ('{"form": []}', r"form is \[\]: expected one of couplet"),
        ('{"skip_unknown": 1}', "skip_unknown is 1: expected true or false"),
        ('{"pred_len": 0}', "pred_len is 0: expected a whole number, at least 1"),
        (
            f'{{"pred_len": {MAX_TOKENS + 1}}}',
            "pred_len is 2001: expected a whole number, at least 1 and at most 2,000",
        ),
        ('{"num_samples": true}', "num_samples is True: expected a whole number"),
        (
            f'{{"num_samples": {MAX_SAMPLES + 1}}}',
            "num_samples is 17: expected a whole number, at least 1 and at most 16",
        ),
        ('{"num_samples": 2, "temperature": 0}', "num_samples is 2, but these settings leave nothing to chance"),
        ('{"temperature": NaN}', "temperature is nan: expected a number, at least 0"),
        ('{"temperature": 0, "top_k": 3}', "temperature 0 takes the likeliest token whatever top_k and top_p are"),
        ('{"top_p": 0}', "top_p is 0: expected a number, above 0 and at most 1"),
        ('{"top_k": 2.5}', "top_k is 2.5: expected a whole number"),
        ('{"seed": null}', "seed is None: expected a whole number"),
    ],
)
def test_what_cannot_be_wished_for(body, complaint):
    with pytest.raises(ValueError, match=complaint):
        WritingRequest.read(body.encode(errors="surrogateescape"))


def test_the_most_that_can_be_wished_for():
    assert (
        WritingRequest("春" * MAX_PREFIX, "春" * MAX_HEADS, None, False, MAX_TOKENS, MAX_SAMPLES).pred_len == MAX_TOKENS
    )
