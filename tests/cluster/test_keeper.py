"""The keeper of a process, and what it tells."""

import os
import selectors
import signal
import sys

import pytest

from d2lrnn.cluster.job import Member
from d2lrnn.cluster.kept import Kept
from d2lrnn.cluster.output import JobOutput
from d2lrnn.cluster.report import report_met, report_ready

WORKER = Member("worker", 1)


@pytest.fixture
def kept(processes):
    """Return a function that lets a keeper start a Python program, and one that returns all that it then tells."""
    all_kept = []

    def start(program, lease=None, **checkpoint):
        kept = Kept(WORKER, None, 0)
        all_kept.append(kept)
        read(kept, until="hello")
        command = [sys.executable, "-I", "-S", "-c", program]
        kept.start(
            {
                "command": command,
                "variables": {"D2LRNN_MARK": os.environ["D2LRNN_MARK"]},
                "lease": lease,
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
        selector.register(kept.pipes["messages"], selectors.EVENT_READ)
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


def test_signals_of_the_terminal_do_not_end_a_keeper(kept):
    keeper = kept("import os, signal\nfor n in (1, 2, 15): os.kill(os.getppid(), n)\nprint(signal.getsignal(15))")
    assert text(read(keeper, until="ended"), "out") == b"0\n"


def test_a_process_reports_to_its_keeper(monkeypatch):
    end, descriptor = os.pipe()
    monkeypatch.delenv("D2LRNN_KEEPER_FD", raising=False)
    report_ready()  # nowhere
    monkeypatch.setenv("D2LRNN_KEEPER_FD", str(descriptor))
    report_ready()
    report_met()
    os.close(descriptor)
    with open(end, "rb") as pipe:
        assert pipe.read() == b"ready\nmet\n"


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


def test_lines_of_others_stand_after_their_names(capsys):
    output, first, lab = JobOutput(), Member("worker", 0), Member("server", 1, "lab2")

    def note(member, event, text=""):
        output.note(member, {"event": event, "text": text.encode().decode("latin-1")})

    note(first, "out", "loss 1\rloss 2")
    note(first, "err", "half a line")
    note(WORKER, "out", "not shown\n")
    note(WORKER, "err", "one\ntw")
    note(lab, "err", "\x1b[2J\nrest")
    note(WORKER, "err", "o\n")
    note(lab, "ended")
    out, err = capsys.readouterr()
    assert out == "loss 1\rloss 2"
    assert err == "half a lineworker 1: one\nserver 1 on lab2: \\x1b[2J\nworker 1: two\nserver 1 on lab2: rest\n"


def test_a_character_may_come_in_two_parts(capsys):
    output = JobOutput()
    for byte in "我们".encode():
        output.note(Member("worker", 0), {"event": "out", "text": chr(byte)})
    assert capsys.readouterr().out == "我们"
