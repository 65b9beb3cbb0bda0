"""The directive ``command-help``: what a command prints for ``--help``, taken from the program itself."""

import os

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from d2lrnn.cli.parser import make_parser

WIDTH = "80"  # columns, as many as a page has room for


class CommandHelp(SphinxDirective):
    """Show the help of the command named, or of the whole program if none is named."""

    optional_arguments = 1

    def run(self):
        """Return the help as it stands on a terminal."""
        parser = make_parser()
        if self.arguments:
            (commands,) = (group for group in parser._subparsers._group_actions if group.choices)
            parser = commands.choices[self.arguments[0]]
        kept = os.environ.get("COLUMNS")
        os.environ["COLUMNS"] = WIDTH
        try:
            text = parser.format_help()
        finally:
            del os.environ["COLUMNS"]
            if kept is not None:
                os.environ["COLUMNS"] = kept
        block = nodes.literal_block(text, text, language="text")
        self.set_source_info(block)
        return [block]


def setup(app):
    """Add the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
