"""What the Chinese book needs beside its catalogues, and the switch between the languages on every page."""

import re

from docutils import nodes
from sphinx.errors import ConfigError
from sphinx.search.zh import SearchChinese
from sphinx.transforms import SphinxTransform

LANGUAGES = {"en": "English", "zh_CN": "中文"}
TITLES = {"en": "Dive into Recurrent Networks", "zh_CN": "动手学循环神经网络"}
HAN = "[\u3400-\u9fff]"

# The same as `split` below for what the reader types into the search field.
SPLITTER = """
function splitQuery(query) {
  const pieces = [];
  for (const run of query.match(/[\\u3400-\\u9fff]+|[a-zA-Z0-9_]+/g) || []) {
    if (run.length < 2 || !/[\\u3400-\\u9fff]/.test(run)) pieces.push(run);
    else for (let i = 0; i + 1 < run.length; i++) pieces.push(run.slice(i, i + 2));
  }
  return pieces;
}
"""


class SearchPairs(SearchChinese):
    """Search Chinese by pairs of characters: 长短期 is found where 长短 and 短期 are.

    Sphinx's own search cuts the pages into words of a dictionary, but not what the reader types; it finds no term
    that is longer than a word of the dictionary, such as 长短期记忆.
    """

    js_splitter_code = SPLITTER

    def init(self, options):
        """Keep the words of letters in a set; looking them up in Sphinx's list takes a third of the book's time."""
        super().init(options)
        self.latin_terms = set()

    def split(self, text):
        """Return words of letters, characters, and pairs of neighbouring characters."""
        words = self.latin1_letters.findall(text)
        self.latin_terms.update(words)
        for run in re.findall(f"{HAN}+", text):
            words += [*run, *(run[i : i + 2] for i in range(len(run) - 1))]
        return words

    def stem(self, word):
        """Return the stem of an English word, and a Chinese one as it is."""
        return word if re.match(HAN, word) else super().stem(word)

    def word_filter(self, word):
        """Leave out single letters, but no Chinese character."""
        return len(word) > 1 or re.match(HAN, word) is not None


class LeaveAlone(SphinxTransform):
    """Keep out of the catalogues what needs no translation: formulas without words, and what lessons print.

    A paragraph that is nothing but a picture is kept out too. The picture's description is a message of its own.
    """

    default_priority = 5  # before Sphinx looks for messages

    def apply(self, **kwargs):
        """Mark the nodes."""
        for node in self.document.findall(nodes.TextElement):
            if (
                isinstance(node, nodes.math_block)
                and not re.search(r"\\text|\\mbox", node.astext())
                or isinstance(node, nodes.paragraph)
                and len(node.children) == 1
                and isinstance(node[0], nodes.image)
            ):
                node["translatable"] = False
        for output in self.document.findall(
            lambda node: isinstance(node, nodes.container) and "cell_output" in node["classes"]
        ):
            for node in output.findall(nodes.TextElement):
                node["translatable"] = False


def translate_solutions(app, doctree, docname):
    """Name the solutions, which are folded away by raw HTML, in the book's language."""
    if app.config.language == "zh_CN":
        for node in doctree.findall(nodes.raw):
            text = re.sub(r"<summary>Solution\b", "<summary>解答", node.astext())
            node.children = [nodes.Text(text)]


def set_title(app, config):
    """Set the book's title, which the browser shows behind that of a page."""
    if config.language not in TITLES:
        raise ConfigError(f"there is no book in {config.language!r}: expected one of {', '.join(TITLES)}")
    config.html_title = TITLES[config.language]


def add_switch(app, pagename, templatename, context, doctree):
    """Give the page's template the address of the same page in the other language."""
    (other,) = (code for code in LANGUAGES if code != app.config.language)
    up = "../" * (pagename.count("/") + 1)
    context["other_language"] = {"code": other, "name": LANGUAGES[other], "page": f"{up}{other}/{pagename}.html"}


def setup(app):
    """Connect all this to Sphinx."""
    app.add_search_language(SearchPairs)
    app.add_transform(LeaveAlone)
    app.connect("config-inited", set_title)
    app.connect("doctree-resolved", translate_solutions)
    app.connect("html-page-context", add_switch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
