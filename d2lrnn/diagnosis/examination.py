"""All that is looked at, in the order in which it is told: machine, environment, MXNet, GPUs, corpora, computing."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from typing import Any

from d2lrnn._mxnet.environment import UnsupportedPlatformError
from d2lrnn._mxnet.gpus import VERSION, installed_build
from d2lrnn.diagnosis import environment, machine
from d2lrnn.diagnosis.finding import BROKEN, NOTE, OK, Finding
from d2lrnn.diagnosis.gpus import gpus
from d2lrnn.interrupts import interrupt_waits
from d2lrnn.paths import PathLike


def examine(data_dir: PathLike | None = None) -> Iterator[Finding]:
    """Yield one finding after another; where MXNet cannot be imported, why, and all that can be told without it.

    Args:
        data_dir: the folder to look for corpora in first.
    """
    environ = dict(os.environ)  # MXNet's import adds to it
    yield machine.system()
    yield machine.processor()
    yield machine.cores()
    yield machine.other_programs()
    yield machine.memory()
    yield environment.version()
    needed = [environment.python(), environment.variables(environ)]
    yield from needed
    yield environment.threads(environ)
    yield from environment.packages()
    mx = None
    if all(finding.state == OK for finding in needed):
        mx, imported = import_mxnet()
        yield from imported
    build = installed_build()
    yield from gpus(build, on_cpu=build is None if mx is None else not _is_for_gpus(mx))
    if mx is None:
        yield Finding(NOTE, "the rest", "corpora, font and computing are not looked at: MXNet cannot be imported")
        return
    with interrupt_waits():
        from d2lrnn.device import usable_gpus
        from d2lrnn.diagnosis.corpora import corpora, font
        from d2lrnn.diagnosis.selftest import self_test
    yield from corpora(data_dir)
    yield font()
    for ctx in (mx.cpu(), *map(mx.gpu, usable_gpus())):
        yield from self_test(ctx)


def import_mxnet() -> tuple[Any, list[Finding]]:
    """Import MXNet; return it, or None, and what is found in the import."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with interrupt_waits():
                from d2lrnn._runtime import mx
        except UnsupportedPlatformError as error:
            return None, [Finding(BROKEN, "MXNet", str(error))]
        except Exception as error:  # whatever a broken installation raises
            reason = (str(error).strip() or repr(error)).splitlines()[0]
            return None, [Finding(BROKEN, "MXNet", f"{type(error).__name__}: {reason}", "make the environment anew")]
    import numpy

    build = installed_build()
    name = f"mxnet-{build}" if build else "a build for GPUs" if _is_for_gpus(mx) else "the CPU build"
    found = f"{mx.__version__}, {name}, with NumPy {numpy.__version__}"
    fits = mx.__version__ == VERSION
    remedy = "" if fits else f"d2lrnn is made for {VERSION}: run `pip install mxnet=={VERSION}`"
    notes = [str(warning.message) for warning in caught if warning.category is RuntimeWarning]
    return mx, [
        Finding(OK if fits else NOTE, "MXNet", found, remedy),
        *(Finding(NOTE, "MXNet", note) for note in notes),
    ]


def _is_for_gpus(mx: Any) -> bool:
    return mx.runtime.Features().is_enabled("CUDA")
