"""How OpenMP's threads wait for one another: they spin while there is a core for each, and sleep otherwise.

A thread that spins goes on at once when the others are ready.  But if another program has its core meanwhile, all the
others spin until the system gives the core back: training then takes 5 to 150 times as long.  A thread that sleeps
gives its core away at once; waking it takes some microseconds at the end of each operator.

libgomp reads from the environment how long its threads spin, once, when it is loaded.  But it spins briefly whenever it
has more threads than cores.  So a team of threads that has nothing to do, in a thread of ours, makes all others sleep;
the end of that thread makes them spin again.

Milliseconds of a training step, or of a text of 200 characters, with two threads on two cores of an Intel Xeon
(Sapphire Rapids, 2026-11-27), idle and beside one other program that computes; medians of interleaved turns.
*default* is what this file does.  The first three columns: ``benchmarks/waiting.py --rounds 7 --seconds 0.5
--settings default OMP_WAIT_POLICY=passive OMP_NUM_THREADS=1`` (5 rounds for PTB and scratch); the last two, from
another run of 3 rounds (with ``--seconds 0.6``), show that no fixed length of spinning serves both cases.

================== ============ ============ ============ ============== ================
job                default      passive      one thread   GOMP_SPINCOUNT GOMP_SPINCOUNT
                   idle / busy  idle / busy  idle / busy  =1000          =300000
================== ============ ============ ============ ============== ================
shipped job        36 / 60      37 / 61      55 / 57      41 / 76        36 / 1,818
LSTM, compiled     76 / 90      89 / 88      91 / 83      74 / 129       72 / 10,690
LSTM, scratch      291 / 440    304 / 393    359 / 390    -              -
PTB small          62 / 98      66 / 95      106 / 95     67 / 126       61 / 2,228
writing            41 / 57      80 / 82      43 / 54      64 / 221       46 / 246
================== ============ ============ ============ ============== ================

300,000 is libgomp's own number.  While other programs compute, a text is written with one thread
(:mod:`d2lrnn._mxnet.few_threads`): its operators are too small to share.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable

from d2lrnn.neighbours import Neighbours

# With one of these, the user says how the threads wait.  Then nothing is watched.
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
PERIOD = 0.25  # seconds between two looks at the other programs
MISSING = 0.3  # of a core: from here on the threads sleep
QUIET = 4  # looks in a row that find no core missing, after which the threads spin


class IdleTeam:
    """A team of OpenMP threads that does nothing, so that libgomp has more threads than cores.

    Args:
        gomp: the library libgomp.
        num_threads: of the team.
    """

    def __init__(self, gomp: ctypes.CDLL, num_threads: int) -> None:
        self._over, begun = threading.Event(), threading.Event()

        def stay() -> None:
            # The parallel function is free(NULL), which does nothing.  Its team lives as long as this thread.
            nothing = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)
            gomp.GOMP_parallel(nothing, None, ctypes.c_uint(num_threads), ctypes.c_uint(0))
            begun.set()
            self._over.wait()

        self._thread = threading.Thread(target=stay, name="d2lrnn idle team", daemon=True)
        self._thread.start()
        begun.wait()

    def end(self) -> None:
        """End the team."""
        self._over.set()
        self._thread.join()


class Watch:
    """Looks at the other programs from time to time, and lets OpenMP's threads sleep while these need cores.

    Args:
        neighbours: tells how many cores are missing.
        num_threads: of MXNet's team.
        make_team: makes an object with ``end()``; while such an object is there, the threads sleep.

    Attributes:
        team: that object; None: the threads spin.
    """

    def __init__(self, neighbours: Neighbours, num_threads: int, make_team: Callable[[], IdleTeam]) -> None:
        self._neighbours, self._num_threads, self._make_team = neighbours, num_threads, make_team
        self._quiet = 0
        self.team: IdleTeam | None = None

    def look(self) -> None:
        """Look once, and change how the threads wait if that is due."""
        if self._neighbours.excess(self._num_threads) >= MISSING:
            self._quiet = 0
            self.team = self.team or self._make_team()
            return
        self._quiet += 1
        if self.team is not None and self._quiet >= QUIET:
            self.team.end()
            self.team = None

    def run(self, over: threading.Event) -> None:
        """Look every PERIOD seconds until ``over`` is set."""
        while not over.wait(PERIOD):
            self.look()


def start_watch(neighbours: Neighbours, num_threads: int, gomp: ctypes.CDLL) -> Watch:
    """Begin to watch in a thread of its own, after a first look.

    Args:
        neighbours: since the import of MXNet began, so that the first look comes at once.
        num_threads: of MXNet's team.
        gomp: the library libgomp.
    """
    watch = Watch(neighbours, num_threads, lambda: IdleTeam(gomp, num_threads))
    watch.look()
    threading.Thread(target=watch.run, args=(threading.Event(),), name="d2lrnn watch", daemon=True).start()
    return watch
