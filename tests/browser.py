"""What a user does with a page, and sees of it."""

from chromium import webdriver
from pages import eventually


class Browser:
    """What a user does with the page, and sees of it."""

    def __init__(self, driver):
        self.driver = driver

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        (element,) = self.all(selector)
        return element

    def text(self, selector):
        return self.one(selector).get_property("textContent")

    def texts(self):
        return [line.get_property("textContent") for line in self.all("#texts .text")]

    def joined(self, selector):
        return "".join(element.get_property("textContent") for element in self.all(selector))

    def put(self, **values):
        for name, value in values.items():
            field = self.one(f"[name={name}]")
            field.clear()
            field.send_keys(str(value))

    def send(self):
        """Press the button and wait until all is written, or it is said why not; returns the status or the error."""
        self.one("#start").click()
        eventually(lambda: self.one("#start").is_enabled())
        return self.text("#error") or self.text("#status")

    def hover(self, element):
        webdriver.ActionChains(self.driver).move_to_element(element).perform()

    def keys(self, *keys):
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def complaints(self):
        """Return what the browser complains of, such as a breach of the policy, but for answers that refuse."""
        return [
            entry for entry in self.driver.get_log("browser") if "the server responded with" not in entry["message"]
        ]
