"""The version of d2lrnn; pyproject.toml reads it here, so that --version needs no installed package."""

VERSION = "0.1.0"
