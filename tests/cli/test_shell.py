"""Commands as they are printed: a user pastes them, and they do what is said."""

import argparse
import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from d2lrnn.cli import main as cli
from d2lrnn.cli.options import PathText, as_text
from d2lrnn.cli.parser import make_parser
from d2lrnn.cli.shell import argument, command, joined, option
from d2lrnn.cli.tasks import language_model
from d2lrnn.errors import D2lrnnError
from d2lrnn.paths import user_path
from d2lrnn.runs.log import LOG, read_log
from d2lrnn.visible import in_a_line, visible

SMALL = "--num-hiddens 4 --embed-size 4 --batch-size 2 --num-steps 5 --num-epochs 1 --pred-len 3".split()


@pytest.mark.parametrize("text", ["我们", "the company", "-one", "--one", "-1", "it's", "a\nb", "$HOME", "--prefix=a"])
def test_what_is_printed_is_read_as_it_was_meant(text):
    printed = command("sample", argument(Path(text)), *option("--prefix", text), imports=["a.py", "my b.py"])
    assert printed.endswith(" --import a.py --import 'my b.py'")
    args = make_parser().parse_args(shlex.split(printed)[3:])
    assert (args.run, args.prefix) == (Path(text), [text])


# What every option of text takes by =, and what printed commands give again.
NASTY = ["--", "-x", "----", "-1", "--help", "--prefix=a", "=", "", " ", "a b", "'", '"', "\\", "\n", "a\nb\t"]
NASTY += ["$(x)", "`x`", "*", "!", "#", "~", "~nobody/x", "我们"]
NASTY += ["\x1b[2J", "\x07'\\x", "\u202eexe", "\udce9", "é\udc80"]


def text_options():
    """Yield each option that takes any text: its command, its name, where its value goes, what it makes of a text."""
    (commands,) = (action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction))
    for name, parser in commands.choices.items():
        for action in parser._actions:
            kinds = {None: str, as_text: str, PathText: user_path}
            if action.option_strings and action.nargs is None and not action.choices and action.type in kinds:
                yield name, action.option_strings[0], action.dest, kinds[action.type]


OPTIONS = list(text_options())


def test_there_are_options_of_text():
    found = {(name, text) for name, text, *_ in OPTIONS}
    assert {("train", "--prefix"), ("sample", "--without"), ("sample", "--stop"), ("play", "--host")} <= found
    assert {("train", "--out"), ("train", "--import"), ("show", "--prefix"), ("evaluate", "--corpus")} <= found


@pytest.mark.parametrize(("name", "text", "dest", "kind"), OPTIONS, ids=lambda value: getattr(value, "__name__", value))
def test_every_option_takes_every_text(name, text, dest, kind):
    needed = {
        "train": [],
        "compare": [],
        "doctor": [],
        "launch": [],
        "export": ["r", "--to", "onnx"],
        "import": ["r", "--out", "o"],
    }
    needed |= {"classify": ["r", "a.png"], "words": ["r", "--near", "a"]}
    parser, run = make_parser(), needed.get(name, ["r"])
    for value in NASTY:
        for words in ([f"{text}={value}"], option(text, value)):
            try:
                expected = kind(value)
            except D2lrnnError:  # an empty path, or the home folder of a user who is not there
                kind_of_error, match = (D2lrnnError, "there is no home folder ~nobody") if value else (SystemExit, "2")
                with pytest.raises(kind_of_error, match=match):
                    parser.parse_args([name, *run, *words])
            else:
                assert vars(parser.parse_args([name, *run, *words]))[dest] in (expected, [expected])


def words_of(printed):
    """Return the words of a command as bash reads them."""
    found = subprocess.run(["bash", "-c", f"printf '%s\\0' {printed}"], capture_output=True, check=True).stdout
    return list(map(os.fsdecode, found.split(b"\0")[:-1]))


def test_what_is_printed_can_be_pasted_whatever_the_values_are():
    meant = [["sample", argument(Path(text)), *option("--prefix", text), *option("--import", text)] for text in NASTY]
    lines, in_errors = [joined(words) for words in meant], [joined(words, in_a_line) for words in meant]
    assert [visible(line) for line in lines] == lines and [in_a_line(line) for line in in_errors] == in_errors
    words = [word for line in meant for word in line]
    assert words_of(" ".join(lines)) == words_of(" ".join(in_errors)) == words
    parser = make_parser()
    for text, line, words in zip(NASTY, lines, meant):
        if visible(text) == text:
            assert shlex.split(line) == words
        args = parser.parse_args(words)
        assert (Path.cwd() / args.run, args.prefix, args.imports) == (Path.cwd() / text, [text], [text])


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk"])
def test_what_the_output_cannot_encode_can_be_pasted_too(monkeypatch, encoding):
    meant = ["--prefix=我们", "d\xe9j\xe0 é", "it's 我", "\udce9我"]
    with io.TextIOWrapper(io.BytesIO(), encoding) as output:
        monkeypatch.setattr(sys, "stdout", output)
        line = joined(meant)
    assert line.encode(encoding).decode(encoding) == line
    monkeypatch.undo()
    assert words_of(line) == meant


def test_what_no_command_line_can_hold_is_shown():
    assert joined(["a", "\ud800'"]) == r"""a '\ud800'"'"''"""


@pytest.mark.parametrize("name", ["-x", "--", "--prefix"])
def test_folders_that_are_named_like_options(name):
    parser = make_parser()
    for words in (["./" + name], ["--", name]):
        assert parser.parse_args(["sample", *words]).run == Path(name)
        assert parser.parse_args(["plot", *words, "b"]).runs == [Path(name), Path("b")]


def test_a_value_that_is_taken_for_an_option_is_told_how_to_be_written(capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args(["sample", "r", "--prefix", "----"])
    assert "--prefix: expected one argument; a value that begins with - needs =, as in" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        make_parser().parse_args(["sample", "r", "a\x1b\n"])
    assert r"unrecognized arguments: a\x1b\n (all options: --help)" in capsys.readouterr().err


def test_the_examples_of_the_help_can_be_pasted():
    parser = make_parser()
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    texts = [parser.epilog, *(command.epilog for command in commands.choices.values())]
    lines = [line for text in texts if text for line in text.splitlines() if line.startswith("  python")]
    assert len(lines) == 39
    for line in lines:
        assert parser.parse_args(shlex.split(line.split(" | ")[0], comments=True)[3:])


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
    monkeypatch.setattr(language_model, "prefixes_from", lambda args, corpus: ())
    (tmp_path / "my.txt").write_text("one two three four. " * 20)
    assert cli.main(["train", "--corpus", str(tmp_path / "my.txt"), *SMALL, "--out", str(tmp_path / "run")]) == 0
    assert "let it write" not in capsys.readouterr().out
