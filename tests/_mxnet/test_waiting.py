"""How OpenMP's threads wait: when they are told to sleep, and that they do."""

import ctypes
import os
import subprocess
import sys
import threading

import pytest

from d2lrnn._mxnet.waiting import MISSING, QUIET, VARIABLES, IdleTeam, Watch

needs_two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="on one core libgomp never spins")


class Team:
    """A stand-in that knows whether it has ended."""

    def __init__(self):
        self.ended = False

    def end(self):
        self.ended = True


class Excess:
    """Neighbours that leave so many cores missing, one number a look."""

    def __init__(self, *missing):
        self.missing = list(missing)

    def excess(self, threads):
        assert threads == 4
        return self.missing.pop(0)


def looks(*missing):
    """Return after each look whether the threads sleep."""
    teams = []

    def make():
        teams.append(Team())
        return teams[-1]

    watch, asleep = Watch(Excess(*missing), 4, make), []
    for _ in missing:
        watch.look()
        asleep.append(watch.team is not None)
        assert [team.ended for team in teams] == [True] * (len(teams) - asleep[-1]) + [False] * asleep[-1]
    return asleep


def test_threads_sleep_at_once_and_spin_after_some_quiet():
    assert looks(0.0, MISSING / 2, MISSING, 1.0) == [False, False, True, True]
    assert looks(1.0, *[0.0] * QUIET) == [True] * QUIET + [False]
    assert looks(1.0, *[0.0] * (QUIET - 1), 1.0, *[0.0] * QUIET) == [True] * (2 * QUIET) + [False]


def python(program, **variables):
    environment = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, "OMP_NUM_THREADS")}
    result = subprocess.run(
        [sys.executable, "-c", program], env={**environment, **variables}, capture_output=True, text=True
    )
    assert result.stderr == ""
    return result.stdout


WATCHED = """
import threading, d2lrnn
from d2lrnn._runtime import mx
mx.np.ones((2, 2)).wait_to_read()
from d2lrnn._runtime import few_threads
import contextlib
watched = 'd2lrnn watch' in [thread.name for thread in threading.enumerate()]
assert watched == (few_threads is not contextlib.nullcontext)
print(watched)
"""


@pytest.mark.parametrize(
    ("variables", "watched"),
    [
        ({"OMP_NUM_THREADS": "2"}, True),
        ({"OMP_NUM_THREADS": "1"}, False),
        ({"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}, False),
        ({"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": "1000"}, False),
    ],
)
def test_what_the_user_has_set_is_kept(variables, watched):
    assert python(WATCHED, **variables) == f"{watched}\n"


# How often the thread of MXNet's team that is not MXNet's worker goes to sleep, in 15 products with pauses in between.
SLEEPS = """
import ctypes, os, time, d2lrnn
from d2lrnn._mxnet.waiting import IdleTeam
from d2lrnn._runtime import mx
def tasks(): return set(os.listdir('/proc/self/task'))
def slept(task):
    with open(f'/proc/self/task/{task}/status') as file:
        return int(next(line for line in file if line.startswith('voluntary')).split()[1])
X = mx.np.ones((64, 64))
def products():
    for _ in range(15):
        mx.npx.fully_connected(X, X, no_bias=True, num_hidden=64).wait_to_read()
        mx.np.tanh(mx.np.ones((300, 1000))).wait_to_read()
        time.sleep(0.002)
X.wait_to_read()
before = tasks()
products()
(worker,) = tasks() - before
first = slept(worker); products(); spinning = slept(worker) - first
gomp = ctypes.CDLL('libgomp.so.1')
team = IdleTeam(gomp, 2)
first = slept(worker); products(); sleeping = slept(worker) - first
team.end()
products()  # the thread may be asleep still
first = slept(worker); products(); again = slept(worker) - first
print(spinning, sleeping, again)
"""


@needs_two_cores
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="there is no /proc to read the threads' sleeps from")
def test_an_idle_team_makes_the_threads_sleep_and_its_end_makes_them_spin():
    # So many turns of the waiting loop take minutes.  A variable is set, so there is no watch.
    spinning, sleeping, again = map(int, python(SLEEPS, OMP_NUM_THREADS="2", GOMP_SPINCOUNT="30000000000").split())
    assert (spinning, again) == (0, 0)
    assert sleeping >= 15


@needs_two_cores
def test_a_team_that_has_ended_leaves_no_thread():
    gomp = ctypes.CDLL("libgomp.so.1")
    before = threading.active_count()
    team = IdleTeam(gomp, 2)
    assert threading.active_count() == before + 1
    team.end()
    assert threading.active_count() == before
