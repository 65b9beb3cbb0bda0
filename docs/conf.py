"""Sphinx's settings for the book. ``make book`` builds it, in English and in Chinese; the Makefile has the commands."""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS / "_ext"), str(ROOT)]

import lessons  # noqa: E402

from d2lrnn.version import VERSION  # noqa: E402

project = "d2lrnn"
author = copyright = "the authors of d2lrnn"
release = version = VERSION

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "api_pages",
    "chinese",
    "command_help",
    "comments",
    "formulas",
    "lessons",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

# The two languages. Make gives the Chinese book by `-D language=zh_CN`.
language = "en"
locale_dirs = ["locale"]
gettext_compact = False  # one catalogue for each page
gettext_uuid = gettext_location = False  # so that a catalogue changes only where its page changes
figure_language_filename = "{root}.{language}{ext}"  # rnn.svg has the translation rnn.zh_CN.svg

# The pages are in MyST, a Markdown with directives.
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

# The lessons: run once, then taken from the cache as long as nothing changes that they depend on.
nb_execution_mode = "cache"
nb_execution_cache_path = str(lessons.cache_folder(lessons.CACHES))
nb_execution_timeout = 3 * 3600  # of one cell, in seconds: a full training may take an hour
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_output_stderr = "remove"
nb_ipywidgets_js = {}  # nothing is loaded from the network
nb_merge_streams = True

# The catalogues have the messages of the pages alone: no lesson is run, no docstring is read.
if tags.has("messages"):  # noqa: F821
    nb_execution_mode = "off"
    exclude_patterns.append("api/[!i]*")
    suppress_warnings = ["toc.excluded"]

# The API reference.
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_rtype = False
add_module_names = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

html_theme = "sphinx_book_theme"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_favicon = "_static/icon.svg"
html_copy_source = False
html_context = {"default_mode": "auto"}  # light or dark, as the browser is set
html_theme_options = {
    "logo": {"text": "d2lrnn"},
    "footer_content_items": ["copyright"],
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "article_header_end": ["language", "article-header-buttons"],
}
