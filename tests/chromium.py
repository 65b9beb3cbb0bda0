"""Debian's headless Chromium and its driver, for tests of pages."""

import contextlib
import os
import shutil

import pytest

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: make dev does it")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_chromium = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no Chromium here: apt-get install chromium chromium-driver"
)
OPTIONS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --no-proxy-server"
).split()


@contextlib.contextmanager
def open_chromium(profile, *options, logs=("browser",)):
    """Start a browser that keeps its files in the folder ``profile``, and the logs named; yields its driver."""
    chrome = webdriver.ChromeOptions()
    chrome.binary_location = CHROMIUM
    chrome.set_capability("goog:loggingPrefs", dict.fromkeys(logs, "ALL"))
    for option in (*OPTIONS, f"--user-data-dir={profile}", *options):
        chrome.add_argument(option)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            patch.delenv(name)
        driver = webdriver.Chrome(chrome, webdriver.ChromeService(DRIVER))
        yield driver
        driver.quit()
