"""Commands as they are printed: a user pastes them, and they do what is said."""

import argparse
import shlex
import sys
from pathlib import Path

import pytest

from d2lrnn.cli import main as cli
from d2lrnn.cli import train
from d2lrnn.cli.parser import make_parser
from d2lrnn.cli.shell import argument, command, option
from d2lrnn.runs.log import LOG, read_log

SMALL = "--num-hiddens 4 --embed-size 4 --batch-size 2 --num-steps 5 --num-epochs 1 --pred-len 3".split()


@pytest.mark.parametrize("text", ["我们", "the company", "-one", "--one", "-1", "it's", "a\nb", "$HOME", "--prefix=a"])
def test_what_is_printed_is_read_as_it_was_meant(text):
    printed = command("sample", argument(Path(text)), *option("--prefix", text), imports=["a.py", "my b.py"])
    assert printed.endswith(" --import a.py --import 'my b.py'")
    args = make_parser().parse_args(shlex.split(printed)[3:])
    assert (args.run, args.prefix) == (Path(text), [text])


def test_the_examples_of_the_help_can_be_pasted():
    parser = make_parser()
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    texts = [parser.epilog, *(command.epilog for command in commands.choices.values())]
    lines = [line for text in texts if text for line in text.splitlines() if line.startswith("  python")]
    assert len(lines) == 15
    for line in lines:
        assert parser.parse_args(shlex.split(line, comments=True)[3:])


def test_the_python_is_named_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for python, name in ((".venv/bin/python3", ".venv/bin/python3"), ("my env/bin/python", "'my env/bin/python'")):
        monkeypatch.setattr(sys, "executable", f"{tmp_path}/{python}")
        assert command("train") == f"{name} -m d2lrnn train"
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3.12")
    assert command("train") == "python -m d2lrnn train"


def test_the_next_command_can_be_pasted(tmp_path, capsys, monkeypatch):
    """Both the folder and the text, whose first tokens are the prefix, begin like an option."""
    monkeypatch.chdir(tmp_path)
    Path("my.txt").write_text("-one two three four. " * 20)
    arguments = ["train", "--corpus", "my.txt", *SMALL, "--out=-run"]
    assert cli.main(arguments) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert cli.main(shlex.split(line.removeprefix("let it write:"))[3:]) == 0
    assert capsys.readouterr().out.startswith("-one")
    assert read_log(Path("-run") / LOG)[0]["command"] == shlex.join(["python", "-m", "d2lrnn", *arguments])


def test_without_a_prefix_no_command_is_printed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train, "prefixes_from", lambda args, corpus: ())
    (tmp_path / "my.txt").write_text("one two three four. " * 20)
    assert cli.main(["train", "--corpus", str(tmp_path / "my.txt"), *SMALL, "--out", str(tmp_path / "run")]) == 0
    assert "let it write" not in capsys.readouterr().out
