"""Run ``python -m d2lrnn``."""

import sys

from d2lrnn.cli.main import program

if __name__ == "__main__":
    sys.exit(program())
