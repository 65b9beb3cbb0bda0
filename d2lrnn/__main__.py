"""Run ``python -m d2lrnn``."""

import platform
import sys

from d2lrnn._mxnet.environment import UnsupportedPlatformError
from d2lrnn._mxnet.installation import SUPPORTED_PYTHONS, check_python

if __name__ == "__main__":
    if sys.version_info < SUPPORTED_PYTHONS[0]:  # on which the command line cannot even say what is wrong
        try:
            check_python(sys.version_info[:2], platform.machine(), sys.maxsize > 2**32)
        except UnsupportedPlatformError as error:
            sys.exit(str(error))
    from d2lrnn.cli.main import program

    sys.exit(program())
