"""What the tests of the pages share.  Selenium is imported late: only tests in a browser are skipped without it."""

import contextlib

import pytest
from pages import serving


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    from chromium import open_chromium

    with open_chromium(tmp_path_factory.mktemp("chromium"), "--window-size=1200,900") as driver:
        yield driver


@pytest.fixture
def page(driver):
    """Open the page of a player; it must not give the browser anything to complain of."""
    from browser import Browser

    with contextlib.ExitStack() as stack:

        def open_page(player):
            server = stack.enter_context(serving(player))
            driver.get(f"http://127.0.0.1:{server.port}/")
            browser = Browser(driver)
            browser.server = server
            return browser

        yield open_page
        assert Browser(driver).complaints() == []
        asked = driver.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
        assert not [address for address in asked if not address.startswith("http://127.0.0.1:")]
        driver.get("about:blank")


@pytest.fixture
def looks(driver):
    """Set the width of the window and the colours that the user likes, until the test ends."""

    def look(width, scheme):
        size = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 700}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        driver.refresh()

    yield look
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
