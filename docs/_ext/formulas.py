"""Formulas without the network: the book carries MathJax in one file, whose glyphs are drawings and need no font."""

import importlib.util
from pathlib import Path

from sphinx.util.fileutil import copy_asset

FILE = "tex-svg-full.js"  # "full": with TeX's extensions, which the smaller file would fetch one by one


def copy_mathjax(app, error):
    """Copy MathJax into a book of HTML."""
    if error is None and app.builder.format == "html":
        package = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent
        copy_asset(str(package / "static" / "mathjax" / FILE), str(Path(app.outdir) / "_static"))


def setup(app):
    """Point Sphinx to the copy. MathJax's menu is off, since it would fetch more files."""
    app.config.mathjax_path = FILE
    app.config.mathjax3_config = {"options": {"enableMenu": False}}
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
