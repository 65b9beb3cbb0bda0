"""The book in headless Chromium: no page complains, asks for anything off this machine, or is wider than a window."""

import functools
import importlib
import json
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest
from chromium import needs_chromium, open_chromium
from pages import eventually

pytestmark = needs_chromium

WIDE, NARROW = 1400, 400  # pixels
SET = """
const done = arguments[0];
const formulas = window.MathJax ? MathJax.startup.promise : Promise.resolve();
formulas.then(() => requestAnimationFrame(() => done([
  document.querySelectorAll(".math").length, document.querySelectorAll("mjx-container").length,
  document.querySelectorAll("[data-mjx-error]").length])));
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def address(book):
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=book.html))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(60)


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    profile = tmp_path_factory.mktemp("chromium")
    with open_chromium(profile, f"--window-size={WIDE},1000", logs=("browser", "performance")) as driver:
        yield driver


def asked(driver):
    """Return the addresses that the browser has asked for since the last time."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    requests = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [request["request"]["url"] for request in requests]


def set_width(driver, width):
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def overhang(driver):
    """Return how many pixels of the page are to the right of the window."""
    return driver.execute_script(
        "const page = document.documentElement; return Math.max(0, page.scrollWidth - page.clientWidth)"
    )


@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_every_page_opens(address, driver, language, pages):
    wrong, widths = [], [WIDE, NARROW]
    for name in sorted(pages):
        driver.get(f"{address}/{language}/{name.as_posix()}")
        formulas, drawn, faulty = driver.execute_async_script(SET)
        if (formulas, 0) != (drawn, faulty):
            wrong.append((name, f"{formulas} formulas, {drawn} drawn, {faulty} faulty"))
        for width in widths:
            set_width(driver, width)
            if overhang(driver):
                wrong.append((name, f"{overhang(driver)} pixels too wide for {width}"))
        widths.reverse()  # the next page opens as wide as the window is now: it is laid out twice, not three times
        said = [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        away = [url for url in asked(driver) if not url.startswith((f"{address}/", "data:", "chrome:"))]
        wrong += [(name, what) for what in said + away]
    assert wrong == []


def search(driver, place, words):
    """Type words into the search of a book; returns the pages found, best first."""
    driver.get(f"{place}/search.html?q={quote(words)}")
    eventually(lambda: driver.find_element("css selector", "#search-results .search-summary").text)
    links = [link.get_property("href") for link in driver.find_elements("css selector", "#search-results li > a")]
    return [link[len(place) + 1 :].partition(".html")[0] for link in links]


@pytest.mark.parametrize("local", [False, True], ids=["served", "from a folder"])
@pytest.mark.parametrize(
    ("language", "words", "page"),
    [
        ("en", "reset gate", "lessons/gru"),
        ("en", "data_iter_consecutive", "api/data"),
        ("zh_CN", "门控", "lessons/gru"),
        ("zh_CN", "长短期记忆", "lessons/lstm"),
        ("zh_CN", "遗忘门", "lessons/lstm"),
        ("zh_CN", "RNNModelScratch", "api/models"),
    ],
)
def test_search_finds(book, address, driver, language, words, page, local):
    place = f"{book.html.as_uri() if local else address}/{language}"
    assert page in search(driver, place, words)


def test_what_is_typed_is_cut_as_the_pages_are(clone, address, driver):
    sys.path.insert(0, str(clone.folder / "docs" / "_ext"))
    try:
        chinese = importlib.import_module("chinese")
    finally:
        sys.path.pop(0)
    text = "长短期记忆(LSTM)有3个门, 见 h_t; GRU2 的门"
    driver.get(f"{address}/zh_CN/search.html")
    typed = driver.execute_script("return splitQuery(arguments[0])", text)
    assert typed == "长短 短期 期记 记忆 LSTM 有 3 个门 见 h_t GRU2 的门".split()
    assert set(typed) <= set(chinese.SearchPairs({}).split(text))
