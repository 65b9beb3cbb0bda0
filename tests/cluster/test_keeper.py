"""The keeper of a process, and what it tells."""

import os
import selectors
import signal
import sys
import time
from types import SimpleNamespace

import pytest

from d2lrnn.cluster import report
from d2lrnn.cluster.job import Member
from d2lrnn.cluster.kept import Kept
from d2lrnn.cluster.output import JobOutput
from d2lrnn.cluster.report import report_rank, report_ready, report_waits

WORKER = Member("worker", 1)


@pytest.fixture
def kept(processes):
    """Return a function that lets a keeper start a Python program, and one that returns all that it then tells."""
    all_kept = []

    def start(program, lease=None, standstill=60.0, **checkpoint):
        kept = Kept(WORKER, None, 0)
        all_kept.append(kept)
        read(kept, until="hello")
        command = [sys.executable, "-I", "-S", "-c", program]
        kept.start(
            {
                "command": command,
                "variables": {"D2LRNN_MARK": os.environ["D2LRNN_MARK"]},
                "lease": lease,
                "standstill": standstill,
                "checkpoint": checkpoint or None,
            }
        )
        return kept

    yield start
    for kept in all_kept:
        kept.leave()
        assert kept.end(20.0) == 0
        kept.close()


def read(kept, until):
    """Return the messages of a keeper, up to one of this event."""
    messages = []
    with selectors.DefaultSelector() as selector:
        selector.register(kept.sources["messages"], selectors.EVENT_READ)
        while not messages or messages[-1]["event"] != until:
            selector.select()
            messages += kept.read("messages")
    return messages


def text(messages, stream):
    return "".join(message["text"] for message in messages if message["event"] == stream).encode("latin-1")


def test_a_keeper_tells_what_its_process_prints_and_how_it_ends(kept):
    program = "import os, sys; os.write(1, b'\\xe6\\x88\\x91\\xff'); os.write(2, b'oh'); sys.exit(7)"
    messages = read(kept(program), until="ended")
    assert (text(messages, "out"), text(messages, "err")) == ("我".encode() + b"\xff", b"oh")
    assert messages[-1] == {"event": "ended", "status": 7}


def test_all_of_a_long_output_comes(kept):
    messages = read(kept("import os; print('x' * 3_000_000)"), until="ended")
    assert text(messages, "out") == b"x" * 3_000_000 + b"\n"


def test_a_process_has_nothing_to_read_and_a_session_of_its_own(kept):
    messages = read(kept("import os, sys; print([sys.stdin.read(), os.getsid(0) == os.getpid()])"), until="ended")
    assert text(messages, "out") == b"['', True]\n"


def test_what_a_process_leaves_behind_is_ended_with_it(kept):
    """The child of the process holds its pipes open, and would for a minute."""
    program = "import subprocess, sys; subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])"
    assert read(kept(program), until="ended")[-1]["status"] == 0


@pytest.mark.parametrize(("order", "number"), [(b"t", signal.SIGTERM), (b"k", signal.SIGKILL)])
def test_orders(kept, order, number):
    keeper = kept("import time; print(1, flush=True); time.sleep(60)")
    read(keeper, until="out")
    keeper.order(order)
    assert read(keeper, until="ended")[-1]["status"] == -number


def test_a_process_ends_when_the_launcher_is_silent(kept):
    """As on a host whose connection is lost."""
    assert read(kept("import time; time.sleep(60)", lease=0.2), until="ended")[-1]["status"] == -signal.SIGTERM


def test_a_process_that_is_stopped_is_told_of(kept):
    keeper = kept("import os, time; print(os.getpid(), flush=True); time.sleep(60)", standstill=0.1)
    pid = int(text(read(keeper, until="out"), "out"))
    os.kill(pid, signal.SIGSTOP)
    assert read(keeper, until="stopped")[-1]["signal"] == signal.SIGSTOP
    assert keeper.failure == "worker 1 was stopped by signal 19 (SIGSTOP) and does not go on"


def test_a_process_that_is_stopped_gets_the_order_to_end(kept):
    program = """\
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
os.kill(os.getpid(), signal.SIGSTOP)
signal.pause()
"""
    keeper = kept(program, standstill=0.0)
    read(keeper, until="stopped")
    keeper.order(b"t")
    assert read(keeper, until="ended")[-1]["status"] == 5


def test_signals_of_the_terminal_do_not_end_a_keeper(kept):
    keeper = kept("import os, signal\nfor n in (1, 2, 15): os.kill(os.getppid(), n)\nprint(signal.getsignal(15))")
    assert text(read(keeper, until="ended"), "out") == b"0\n"


def test_a_process_reports_to_its_keeper(monkeypatch):
    end, descriptor = os.pipe()
    monkeypatch.delenv("D2LRNN_KEEPER_FD", raising=False)
    report_ready()  # nowhere
    monkeypatch.setenv("D2LRNN_KEEPER_FD", str(descriptor))
    report_ready()
    report_rank(3)
    os.close(descriptor)
    with open(end, "rb") as pipe:
        assert pipe.read() == b"ready\nrank 3\n"


def test_a_worker_tells_that_it_waits_and_that_it_goes_on(monkeypatch):
    """Each wait is told once, and the end of it before another one."""
    end, descriptor = os.pipe()
    looks = [None, 10, 10, 10, 20, 20, None, None, 60, None]  # since when it waits; not yet for long
    at_exit = []
    monkeypatch.setenv("D2LRNN_KEEPER_FD", str(descriptor))
    monkeypatch.setattr(report, "LOOK", 0.0)
    monkeypatch.setattr(report, "time", SimpleNamespace(monotonic=lambda: 50.0))
    monkeypatch.setattr(report, "atexit", SimpleNamespace(register=at_exit.append))
    report_waits(lambda: looks.pop(0) if looks else None)
    while looks:
        time.sleep(0.001)
    at_exit[0]()
    os.close(descriptor)
    with open(end, "rb") as pipe:
        assert pipe.read() == b"waits\ngoes-on\n" * 2


@pytest.mark.parametrize(
    ("mark", "command", "printed"),
    [
        ("same", ["begin"], "begins"),
        ("other", ["go on"], "goes on"),
        (None, ["go on"], "goes on"),
        (None, None, "begins"),
    ],
)
def test_which_command_a_keeper_starts(kept, tmp_path, mark, command, printed):
    file = tmp_path / "last"
    file.touch()
    found = [file.stat().st_mtime_ns, file.stat().st_ino]
    marks = {"same": found, "other": [1, 2], None: None}
    command = command and [sys.executable, "-I", "-S", "-c", "print('goes on')"]
    messages = read(kept("print('begins')", file=str(file), command=command, mark=marks[mark]), until="ended")
    assert text(messages, "out").decode() == f"{printed}\n"
    (started,) = (message for message in messages if message["event"] == "started")
    assert (started["goes_on"], started["mark"]) == (printed == "goes on", found)


def printed(output, kept, event, text=""):
    """Let an output note what a process has printed, which comes with a character for each byte."""
    output.note(kept, {"event": event, "text": text.encode().decode("latin-1")})


class Printing:
    """What an output has to know of a process."""

    def __init__(self, *member, rank=None):
        self.member, self.rank = Member(*member), rank


def test_lines_of_others_stand_after_their_names(capsys):
    output, server = JobOutput(), Printing("server", 1, "lab2")
    first, second = Printing("worker", 0, rank=1), Printing("worker", 1, rank=0)
    printed(output, second, "out", "loss 1\rloss 2")
    printed(output, second, "err", "half a line")
    printed(output, first, "out", "not shown\n")
    printed(output, first, "err", "one\ntw")
    printed(output, server, "err", "\x1b[2J\nrest")
    printed(output, first, "err", "o\n")
    printed(output, server, "ended")
    out, err = capsys.readouterr()
    assert out == "loss 1\rloss 2"
    assert err == "half a lineworker 0: one\nserver 1 on lab2: \\x1b[2J\nworker 0: two\nserver 1 on lab2: rest\n"


def test_what_rank_0_has_printed_is_shown_once_it_is_known(capsys):
    output, workers = JobOutput(), [Printing("worker", 0), Printing("worker", 1)]
    for worker in workers:
        printed(output, worker, "out", f"{worker.member.name} is ready\n")
        printed(output, worker, "err", f"{worker.member.number}: half")
    assert capsys.readouterr() == ("", "")
    workers[0].rank, workers[1].rank = 1, 0
    for worker in workers:
        printed(output, worker, "report")
    assert capsys.readouterr() == ("worker 1 is ready\n", "worker 1: 1: half\n")
    printed(output, workers[0], "ended")
    assert capsys.readouterr() == ("", "worker 0: 0: half\n")


def test_a_character_may_come_in_two_parts(capsys):
    output, worker = JobOutput(), Printing("worker", 0, rank=0)
    for byte in "我们".encode():
        output.note(worker, {"event": "out", "text": chr(byte)})
    assert capsys.readouterr().out == "我们"
