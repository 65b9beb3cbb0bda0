"""The page of a translator in a browser: what is looked at, what is not known, hostile sentences."""

import itertools
import re

import pytest
from chromium import needs_chromium, webdriver
from pages import eventually
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from translators import translating

from d2lrnn.web.translation_request import TranslationRequest

pytestmark = needs_chromium


def put(browser, text):
    """Write a text into the field, also one that a keyboard cannot type."""
    browser.driver.execute_script("document.querySelector('#text').value = arguments[0]", text)


def events_of(player, text):
    return [event for event in player.write(TranslationRequest(text)) if event]


def shades(browser, selector):
    """Return how strong the background of each piece is."""
    colours = browser.driver.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map(one => getComputedStyle(one).backgroundColor)",
        selector,
    )
    found = []
    for colour in colours:
        numbers = [float(number) for number in re.findall(r"[\d.]+", colour)]
        assert numbers in ([0, 0, 0, 0], [180, 64, 12, numbers[-1]])
        found.append(numbers[3])
    return found


def strengths(weights):
    return [pytest.approx(0.1 + 0.5 * weight / 100, abs=0.006) if weight else 0 for weight in weights]


def test_pointing_at_a_piece_darkens_what_it_looks_at(page):
    player = translating()
    text = "I see a bird.\na fish?"
    _, *found = events_of(player, text)
    browser = page(player)
    put(browser, text)
    browser.one("#text").send_keys(webdriver.Keys.CONTROL, webdriver.Keys.ENTER)
    eventually(lambda: browser.text("#status") == "Translated: 2 sentences.")
    assert browser.texts() == ["i see a bird.", *["".join(found[0]["pieces"])], "a fish?", "".join(found[1]["pieces"])]
    source, target = (
        "#texts > li:first-child > .sentence [data-tip]",
        "#texts > li:first-child > .translation [data-tip]",
    )
    looks, tokens = found[0]["looks"], "i see a bird .".split()
    assert not any(shades(browser, source) + shades(browser, target))
    for j in (0, 3):
        browser.hover(browser.all(target)[j])
        assert shades(browser, source) == strengths(looks[j]) and not any(shades(browser, target))
        first = max(range(5), key=lambda i: looks[j][i])
        tip = browser.text("#tip").replace("\u2068", "").replace("\u2069", "")
        assert tip.startswith(f"looked at: {tokens[first]} {looks[j][first]} %")
        assert browser.one("#tip").is_displayed() and browser.one("#tip").rect["y"] > browser.all(target)[j].rect["y"]
    browser.hover(browser.all(source)[3])
    assert shades(browser, target) == strengths([row[3] for row in looks]) and not any(shades(browser, source))
    assert len(set(shades(browser, target))) > 3
    browser.hover(browser.one("h1"))
    assert not any(shades(browser, source) + shades(browser, target)) and not browser.one("#tip").is_displayed()
    browser.all(target)[1].click()  # as a tap does, it gives the piece the focus
    browser.keys(webdriver.Keys.ARROW_RIGHT)
    active = browser.driver.switch_to.active_element
    assert active == browser.all(target)[2] and active.get_attribute("aria-describedby") == "tip"
    assert shades(browser, source) == strengths(looks[2])
    browser.keys(webdriver.Keys.TAB)
    assert browser.driver.switch_to.active_element == browser.all("#texts > li:nth-child(2) .sentence [data-tip]")[0]
    assert not any(shades(browser, source))


def test_a_tap_shows_what_is_looked_at(page, looks):
    player = translating()
    (_, found) = events_of(player, "see a bird")
    browser = page(player)
    looks(400, "light")
    put(browser, "see a bird")
    assert browser.send() == "Translated: 1 sentence."
    for j in (0, 2):
        finger = ActionBuilder(browser.driver, mouse=PointerInput("touch", "finger"))
        finger.pointer_action.move_to(browser.all(".translation [data-tip]")[j]).pointer_down().pointer_up()
        finger.perform()
        eventually(lambda j=j: shades(browser, ".sentence [data-tip]") == strengths(found["looks"][j]))
    browser.one("h1").click()
    eventually(lambda: not any(shades(browser, ".sentence [data-tip]")))


def test_what_is_unknown_copied_or_cut_is_said(page):
    browser = page(translating())
    put(browser, "see xyzzy and plugh\na bird")
    browser.one("[name=copy_unknown]").click()
    assert browser.send() == "Translated: 2 sentences."
    assert [piece.text for piece in browser.all("#texts .unknown")] == ["xyzzy", "and", "plugh"]
    assert "Unknown to the model: xyzzy, and, plugh." in browser.text("#texts > li:first-child")
    copies = browser.all("#texts .copied")
    assert copies and {piece.text for piece in copies} <= set("see xyzzy and plugh a bird".split())
    cut = [event["cut"] for event in events_of(browser.server.player, "see xyzzy and plugh")[1:]]
    assert any("was cut after" in remark.text for remark in browser.all("#texts .remark")) or not any(cut)


def test_a_translation_that_was_cut_says_so(page):
    browser = page(translating(end=-50))
    put(browser, "a bird")
    browser.send()
    assert browser.text(".remark") == "The translation was cut after 16 tokens: the model came to no end."
    browser = page(translating(end=50))
    put(browser, "a bird")
    browser.send()
    assert browser.text(".remark") == "The model wrote nothing." and browser.texts()[1] == ""


def test_without_attention_there_is_nothing_to_point_at(page):
    browser = page(translating(None))
    put(browser, "a bird")
    assert browser.send() == "Translated: 1 sentence."
    assert not browser.all("[data-tip]") and not browser.all("[name=copy_unknown]")
    assert "This model has no attention" in browser.text(".legend") and browser.texts()[1]
    browser.hover(browser.all(".translation .piece")[0])
    assert not any(shades(browser, ".sentence .piece"))


HOSTILE = """<script>alert(1)</script><img src=x onerror=alert(2)>
مرحبا a bird שלום fish
\u202eabc\u2066 \x00\x1b[2J 🦉👩\u200d🚀 e\u0301\u0301\u0301
{long} &lt;b&gt; <unk> <eos> <pad>"""


def test_hostile_sentences_are_shown_as_text(page, looks):
    browser = page(translating(end=2))
    text = HOSTILE.replace("{long}", "donaudampfschiff" * 40)
    for width, scheme in ((400, "dark"), (1400, "light")):
        looks(width, scheme)
        put(browser, text)
        assert browser.send() == "Translated: 4 sentences."
        assert browser.driver.execute_script("return document.scrollingElement.scrollWidth") <= width
        assert not browser.all("#texts script, #texts img, #texts b")
        first, _, second, _, third, _, fourth, _ = browser.texts()
        assert first.startswith("< script > alert (1) < / script > < img src = x")
        assert (
            second == "مرحبا a bird שלום fish" and third.startswith("\\u202eabc\\u2066 [2j 🦉") and "<b" not in fourth
        )
        directions = [line.value_of_css_property("direction") for line in browser.all("#texts .sentence")]
        assert directions == ["ltr", "rtl", "ltr", "ltr"]
        for piece in browser.all("#texts > li:last-child [data-tip]")[:2]:
            browser.hover(piece)
            assert 0 <= browser.one("#tip").rect["x"] <= width - browser.one("#tip").rect["width"]
    browser.driver.execute_script("document.querySelectorAll('#texts .sentence [tabindex=\"0\"]')[1].focus()")
    browser.keys(webdriver.Keys.ARROW_LEFT)  # to the left is forwards
    assert browser.driver.switch_to.active_element.text == "a"


def test_what_is_wrong_is_said_beside_the_form_and_stop_stops(page):
    browser = page(translating())
    assert browser.send() == "“Sentences” is empty: expected a sentence to translate"
    assert browser.driver.switch_to.active_element == browser.one("[aria-invalid]") == browser.one("#text")
    put(browser, "a " * 201)
    assert browser.send() == "“Sentences”: line 1 has 201 tokens: expected at most 200; divide it"
    put(browser, "a bird")
    browser.put(beam_width=11)
    assert browser.send() == "“Beam width” is 11: expected a whole number, at least 1 and at most 10"
    browser.put(beam_width=1)
    assert browser.send() == "Translated: 1 sentence." and not browser.all("[aria-invalid]")
    source = {"pieces": ["a", " bird"], "unknown": [], "names": ""}
    browser.server.player.write = lambda request: itertools.chain([{"sources": [source]}], itertools.repeat(None))
    browser.one("#start").click()
    eventually(lambda: browser.all(".writing"))
    assert browser.text("#status") == "Translating …"
    browser.one("#stop").click()
    eventually(lambda: browser.text("#status") == "Stopped." and browser.server.writing == 0)
    assert not browser.all(".writing")
