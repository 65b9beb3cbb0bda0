"""The page in a browser, with real clicks and keys: headless Chromium and its driver, as Debian packs them."""

import re

from browser import Browser
from chromium import needs_chromium, webdriver
from known import Slow
from pages import LETTERS, LYRICS, VERSE, eventually, player_of, serving

from d2lrnn import Sampling, Vocab, acrostic, compose, generate, novelty, usual_form
from d2lrnn.generation.forms import FORMS
from d2lrnn.web.request import MAX_TOKENS

pytestmark = needs_chromium


def shown(p):
    """Return a probability as JavaScript's toPrecision(2) writes it."""
    digits = f"{float(f'{p:.4g}'):.1e}"
    mantissa, exponent = digits.split("e")
    return f"{float(digits):.{1 - int(exponent)}f}" if int(exponent) >= -6 else f"{mantissa}e{int(exponent)}"


# Texts


def test_it_writes_and_tells_how_likely_each_character_was(page):
    player = player_of(LYRICS, LETTERS, prefixes=("春风",))
    browser = page(player)
    assert browser.text("h1") == "gru on poems" and browser.one("#prefix").get_property("value") == "春风"
    browser.put(prefix="山水", pred_len=40)
    assert browser.send() == "Written: 40 characters."
    seed = int(browser.one("#seed").get_property("value"))
    (sample,) = generate(["山水"], 40, player.model, LYRICS, Sampling(seed=seed))
    assert browser.texts() == [sample.text]
    pieces = browser.all("#texts [data-tip]")
    assert [piece.get_property("textContent") for piece in pieces] == list(sample.text[2:])
    likely = [2.718281828459045**p for p in sample.log_probs]
    for piece, p in zip(pieces, likely):
        step = 1 + sum(p >= bound for bound in (0.01, 0.05, 0.2, 0.5))
        assert f"p{step}" in piece.get_attribute("class").split()
    assert not browser.one("#tip").is_displayed()
    for i in (0, 7, 39):
        browser.hover(pieces[i])
        assert browser.one("#tip").is_displayed() and browser.text("#tip") == f"p = {shown(likely[i])}"
    browser.hover(browser.one("h1"))
    assert not browser.one("#tip").is_displayed()


def test_the_keys_go_along_a_text(page):
    player = player_of(LYRICS)
    browser = page(player)
    browser.put(prefix="山", pred_len=5, num_samples=2)
    browser.one("#prefix").send_keys("水\n")  # the Enter key writes
    eventually(lambda: browser.text("#status") == "Written: 10 characters.")
    first, *rest = browser.all("#texts [data-tip]")
    browser.driver.execute_script("arguments[0].focus()", browser.one("#seed"))
    assert [piece.get_property("tabIndex") for piece in rest] == [-1, -1, -1, -1, 0, -1, -1, -1, -1]
    first.click()
    keys = webdriver.Keys
    for key, expected in ((keys.ARROW_RIGHT, rest[0]), (keys.ARROW_RIGHT, rest[1]), (keys.ARROW_LEFT, rest[0])):
        browser.keys(key)
        assert browser.driver.switch_to.active_element == expected
        assert browser.text("#tip") == expected.get_attribute("data-tip")
    browser.keys(keys.TAB)
    assert browser.driver.switch_to.active_element == rest[4]  # the next text


def test_the_settings_choose(page):
    player = player_of(LYRICS)
    browser = page(player)
    keys = webdriver.Keys
    browser.put(prefix="春", pred_len=30, num_samples=3, seed=7, top_k=5)  # who names a seed wants that one
    browser.one("#temperature").send_keys(keys.HOME, *[keys.ARROW_RIGHT] * 16)
    browser.one("#top_p").send_keys(keys.ARROW_LEFT)
    browser.one("#repetition_penalty").send_keys(keys.ARROW_RIGHT, keys.ARROW_RIGHT)
    assert [output.text for output in browser.all("output")] == ["0.80", "0.95", "1.10"]
    sampling = Sampling(temperature=0.8, top_k=5, top_p=0.95, repetition_penalty=1.1, seed=7)
    samples = generate(["春"] * 3, 30, player.model, LYRICS, sampling)
    for _ in range(2):  # the same seed, the same texts
        assert browser.send() == "Written: 90 characters."
        assert browser.texts() == [sample.text for sample in samples]
    browser.one("#new-seed").click()
    browser.send()
    assert browser.one("#seed").get_property("value") != "7" and browser.texts() != [sample.text for sample in samples]


def test_it_streams_and_stop_stops_it(page):
    model = Slow(0.01)
    browser = page(player_of(LYRICS, LETTERS, model=model))
    assert browser.one("#start").is_enabled() and not browser.one("#stop").is_enabled()
    browser.put(pred_len=MAX_TOKENS)
    browser.one("#start").click()
    for count in (5, 10, 20):
        eventually(lambda count=count: len(browser.texts() and browser.texts()[0]) > count)
        assert model.calls < MAX_TOKENS
    assert not browser.one("#start").is_enabled()
    assert browser.text("#status") == "Writing …"
    browser.one("#stop").click()
    eventually(lambda: browser.text("#status") == "Stopped.")
    eventually(lambda: browser.server.writing == 0)
    assert model.calls < MAX_TOKENS / 2
    assert 20 < len(browser.texts()[0]) <= model.calls + 1
    assert browser.one("#start").is_enabled() and not browser.one("#stop").is_enabled()
    eventually(lambda: browser.all(".copies") and not browser.all(".writing"))
    assert browser.text("#error") == ""
    browser.put(pred_len=3)
    assert browser.send() == "Written: 3 characters."
    browser.put(pred_len=MAX_TOKENS)
    browser.one("#start").click()
    browser.keys(webdriver.Keys.ESCAPE)
    eventually(lambda: browser.text("#status") == "Stopped.")


def test_what_is_copied_is_marked(page):
    corpus = LETTERS * 2 + LETTERS[::-1]
    browser = page(player_of(LYRICS, corpus))
    browser.put(prefix=LETTERS, pred_len=30)
    browser.send()
    (text,) = browser.texts()
    found = novelty(text, corpus, 4, 8)
    assert found.spans[0][0] == 0
    copied = browser.joined("#texts .copied")
    assert copied == "".join(text[begin:end] for begin, end in found.spans) != text
    ngrams, tokens = (f"{100 * share:.1f} %" for share in (found.copied_ngrams, found.copied_tokens))
    longest = f"{found.longest_length} characters, “{found.longest}”"
    assert browser.text(".copies") == f"Longest copy: {longest} · copied: {ngrams} of 4-grams, {tokens} of characters"
    assert "from poems: 8 characters or more in a row" in browser.text(".legend")


def test_what_a_stopped_text_copies_is_marked_too(page):
    model, corpus = Slow(0.01), LETTERS * 2 + LETTERS[::-1]
    browser = page(player_of(LYRICS, corpus, model=model))
    browser.put(prefix=LETTERS, pred_len=MAX_TOKENS, num_samples=2)
    browser.one("#start").click()
    eventually(lambda: len(browser.texts()) == 2 and len(browser.texts()[1]) > 15)
    browser.one("#stop").click()
    eventually(lambda: len(browser.all(".copies")) == 2 and not browser.all(".writing"))
    assert browser.text("#status") == "Stopped." and browser.text("#error") == ""
    found = [novelty(text, corpus, 4, 8) for text in browser.texts()]
    assert all(result.spans[0][0] == 0 for result in found)
    copied = "".join(text[begin:end] for text, result in zip(browser.texts(), found) for begin, end in result.spans)
    assert browser.joined("#texts .copied") == copied
    begin = browser.all(".copies")[1].text.split(" ·")[0]
    assert begin == f"Longest copy: {found[1].longest_length} characters, “{found[1].longest}”"


def test_a_stopped_text_of_a_model_without_its_corpus_has_no_marks(page):
    browser = page(player_of(LYRICS, model=Slow(0.01)))
    browser.put(pred_len=MAX_TOKENS)
    browser.one("#start").click()
    eventually(lambda: browser.texts() and len(browser.texts()[0]) > 5)
    browser.one("#stop").click()
    eventually(lambda: browser.one("#start").is_enabled())
    assert browser.text("#status") == "Stopped." and not browser.all(".copies") and browser.text("#error") == ""


def test_words_stand_apart(page):
    words = "the fox jumps over a lazy dog".split()
    player = player_of(Vocab.from_list(words, "word"), " ".join(words))
    browser = page(player)
    browser.put(prefix="the fox jumps over a lazy dog the fox", pred_len=12)
    assert browser.send() == "Written: 12 words."
    (text,) = browser.texts()
    assert len(text.split()) == 21 and set(text.split()) <= set(words) and "  " not in text
    assert len(browser.all("#texts [data-tip]")) == 12
    assert "1 × 8 units" in browser.text(".facts") and not browser.all("[name=mode]")


def test_pairs_of_characters_are_counted_and_marked_one_by_one(page):
    pairs = [LETTERS[i : i + 2] for i in range(0, 10, 2)]
    browser = page(player_of(Vocab.from_list(pairs, "bigram"), LETTERS))
    browser.put(prefix=f"{pairs[-1]}{LETTERS}", pred_len=3)
    assert browser.send() == "Written: 6 characters."
    assert len(browser.all("#texts [data-tip]")) == 6 and browser.joined("#texts .copied").startswith(LETTERS)


def test_an_event_may_come_in_several_pieces(page):
    player = player_of(LYRICS)
    events = [{"prefix": "", "rows": 1}, {"row": 0, "text": "春", "p": 0.5, "more": "x" * 4_000_000}]
    player.write = lambda wish: iter(events)
    browser = page(player)
    assert browser.send() == "Written: 1 character." and browser.texts() == ["春"]


# Forms


def test_lines_of_an_acrostic_begin_with_its_heads(page):
    player = player_of(LYRICS, LETTERS)
    browser = page(player)
    browser.one("label:has([value=acrostic])").click()
    assert not browser.one("#prefix").is_displayed() and not browser.one("#pred_len").is_displayed()
    browser.put(acrostic="山水月", num_samples=2)
    assert browser.send() == "Written: 46 characters."
    assert all([line[0] for line in text.split("\n")] == list("山水月") for text in browser.texts())
    assert browser.joined("#texts .head") == "山水月" * 2
    seed = int(browser.one("#seed").get_property("value"))
    samples = acrostic(["山水月"] * 2, usual_form(LYRICS), player.model, LYRICS, Sampling(seed=seed))
    assert browser.texts() == [sample.text.replace(" ", "\n") for sample in samples]
    browser.put(acrostic="山龘月")
    assert browser.send().startswith("“Lines begin with”: unknown character '龘' (U+9F98) at position 1")
    browser.one("[name=skip_unknown]").click()
    assert browser.send() == "Written: 46 characters."
    assert [text.split("\n")[1][0] for text in browser.texts()] == ["龘", "龘"]
    browser.hover(browser.all("#texts .head")[1])
    assert re.fullmatch(r"p = [\d.e-]+, of .: the model does not know 龘", browser.text("#tip"))


def test_couplets_and_poems(page):
    player = player_of(VERSE, prefixes=("\n",), num_lines=2)
    browser = page(player)
    browser.one("label:has([value=verse])").click()
    browser.put(prefix="春风")
    browser.one("#form option[value=quatrain]").click()
    browser.send()
    seed = int(browser.one("#seed").get_property("value"))
    (sample,) = compose(["春风"], FORMS["quatrain"], player.model, VERSE, Sampling(seed=seed))
    assert browser.texts() == [sample.text] and sample.text.count("\n") == 1
    browser.one("label:has([value=acrostic])").click()
    browser.put(acrostic="月夜山")
    browser.send()
    assert browser.joined("#texts .head") == "月夜山"
    browser.one("label:has([value=text])").click()
    browser.put(prefix="", pred_len=9)
    assert browser.send() == "Written: 9 characters."  # such a model can begin a line


# What goes wrong


def test_what_is_wrong_is_said_beside_the_form(page):
    browser = page(player_of(LYRICS))
    browser.put(prefix="春☃")
    assert browser.send().startswith(
        "“Begin with”: unknown character '☃' (U+2603) at position 1: expected only what is among the 11"
    )
    assert browser.one("#error").is_displayed() and browser.texts() == []
    assert browser.driver.switch_to.active_element == browser.one("[aria-invalid]") == browser.one("#prefix")
    browser.put(prefix="春", top_k=-3)
    assert browser.send() == "“Top-k” is -3: expected a whole number, at least 0"
    assert browser.driver.switch_to.active_element == browser.one("[aria-invalid]") == browser.one("#top_k")
    browser.one("#top_k").clear()
    browser.put(num_samples=17)
    assert browser.send() == "“Samples” is 17: expected a whole number, at least 1 and at most 16"
    browser.one("#num_samples").clear()
    browser.one("#num_samples").send_keys("--")
    assert browser.send() == "“Samples” is no number"
    browser.put(num_samples=1, pred_len=4)
    assert browser.send() == "Written: 4 characters."
    assert not browser.one("#error").is_displayed() and not browser.all("[aria-invalid]")


def test_a_defect_ends_a_text_with_a_sentence(page, caplog):
    model = Slow(0)
    model.next = lambda code, ids: 1 // 0
    browser = page(player_of(LYRICS, model=model))
    assert browser.send() == "something went wrong inside d2lrnn: the terminal that it runs in says what"
    assert "ZeroDivisionError" in caplog.text


def test_a_server_that_is_gone_is_missed(driver):
    with serving(player_of(LYRICS)) as server:
        driver.get(f"http://127.0.0.1:{server.port}/")
    browser = Browser(driver)
    assert browser.send() == "d2lrnn does not answer: does it still run in its terminal?"
    driver.get_log("browser")


# How it looks


def test_it_fits_a_phone_and_the_dark(page, looks):
    browser = page(player_of(LYRICS, LETTERS))
    driver, seen = browser.driver, set()
    for width, scheme in ((360, "dark"), (360, "light"), (1200, "dark")):
        looks(width, scheme)
        browser.put(prefix="春", pred_len=200)
        assert browser.send() == "Written: 200 characters."
        assert driver.execute_script("return document.scrollingElement.scrollWidth") <= width
        assert browser.one("#texts").is_displayed() and browser.one("#texts").rect["width"] > 300
        seen.add((scheme, browser.one("body").value_of_css_property("background-color")))
    assert len(seen) == len(dict(seen)) == len(set(dict(seen).values())) == 2
