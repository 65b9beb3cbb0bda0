"""What is shown: no character of a text acts on the terminal that shows it."""

import io
import os
import re
import sys
import unicodedata

import pytest
from tiny import quiet, save_model, tiny_model

from d2lrnn import Corpus, D2lrnnError, FileError, Vocab, load_corpus, train_and_predict
from d2lrnn.cli import main as cli
from d2lrnn.cli.output import text_output, visible_output
from d2lrnn.cli.streams import present
from d2lrnn.errors import naming
from d2lrnn.training.comparison import train_side_by_side
from d2lrnn.visible import in_a_line, visible


def test_what_acts_unseen_is_written_as_python_writes_it():
    clipboard = "\x1b]52;c;cm0=\x07"  # puts a text of one's choice into the clipboard
    assert visible(f"月{clipboard}\x7f\x9b2J\r\u202egnp.exe\u2066\u2028\udce9") == (
        r"月\x1b]52;c;cm0=\x07\x7f\x9b2J\r\u202egnp.exe\u2066\u2028\udce9"
    )
    assert visible("a\tb\nc") == "a\tb\nc" and in_a_line("a\tb\nc\x1b") == r"a\tb\nc\x1b"
    assert visible(visible(clipboard)) == visible(clipboard)


def test_these_characters_are_replaced_and_no_others():
    replaced = {code for code in range(sys.maxunicode + 1) if visible(chr(code)) != chr(code)}
    controls = {code for code in range(160) if unicodedata.category(chr(code)) == "Cc"} - {ord("\t"), ord("\n")}
    assert len(controls) == 63
    kinds = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # of Unicode's annex 9
    directions = {code for code in range(sys.maxunicode + 1) if unicodedata.bidirectional(chr(code)) in kinds}
    assert len(directions) == 9
    assert replaced == controls | directions | {0x2028, 0x2029} | set(range(0xD800, 0xE000))


@pytest.mark.parametrize("kind", [D2lrnnError, FileError])
def test_an_error_is_one_line_that_can_be_seen(kind):
    error = kind("a\x1b[2J\nb")
    assert str(error) == r"a\x1b[2J\nb" and error.args == ("a\x1b[2J\nb",)


def test_a_file_error_names_the_file_so_that_it_can_be_seen(tmp_path):
    with pytest.raises(FileError) as found, naming(tmp_path / "a\x1b"):
        (tmp_path / "a\x1b").read_text()
    assert str(found.value).endswith(r"a\x1b'") and "\x1b" not in str(found.value)


def test_a_path_that_the_encoding_of_paths_lacks():
    with pytest.raises(FileError, match=r"paths are in utf-8 here, which has no '\\ud800'"), naming("a\ud800"):
        open("a\ud800")
    with pytest.raises(UnicodeEncodeError), naming("a"):
        "\ud800".encode()


def test_what_training_prints_can_be_seen(capsys):
    """In Python and in notebooks too, where no command line stands between."""
    text = "\x1b0 \x1b1 \x1b2 " * 40
    vocab = Vocab(text, "word")
    corpus = Corpus("escapes", vocab, vocab.encode(text))
    config = quiet(num_epochs=1, verbose=True, prefixes=("\x1b0",), pred_len=3, pred_period=1)
    train_and_predict(tiny_model(corpus.vocab_size), corpus, config)
    train_side_by_side({"a\x1b": tiny_model(corpus.vocab_size)}, corpus, config)
    out = capsys.readouterr().out
    assert out.count(r" - \x1b0 \x1b") == 2 and r"training a\x1b" in out and "\x1b" not in out


class Bytes(io.TextIOWrapper):
    """A standard output of some encoding, whose bytes can be looked at."""

    def __init__(self, encoding, errors="strict"):
        super().__init__(io.BytesIO(), encoding=encoding, errors=errors)

    @property
    def bytes(self):
        self.flush()
        return self.buffer.getvalue()


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("utf-8", "é月\\x1b\\udce9\n"), ("latin-1", "é?\\x1b\\udce9\n"), ("ascii", "??\\x1b\\udce9\n")],
)
def test_the_output_of_commands_in_any_encoding(monkeypatch, encoding, expected):
    stream = Bytes(encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    with visible_output():
        print("é月\x1b\udce9")
        sys.stdout.writelines(["\x07", "\t\n"])
        assert sys.stdout.isatty() is False and sys.stdout.encoding == encoding
    assert sys.stdout is stream
    assert stream.bytes == (expected + "\\x07\t\n").encode(encoding)


def test_no_standard_output(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with present(), visible_output():
        print("to nobody", file=text_output())
        assert sys.stdout.encoding == "utf-8"
    assert sys.stdout is None


def test_a_file_gets_the_texts_as_they_are(monkeypatch, tmp_path):
    with open(tmp_path / "text.txt", "w+") as file:
        monkeypatch.setattr(sys, "stdout", file)
        with visible_output():
            print("\x1b", file=text_output())
            print("\x1b")
        file.seek(0)
        assert file.read() == "\x1b\n\\x1b\n"


def test_a_pipe_may_end_in_a_terminal(monkeypatch):
    reading, writing = os.pipe()
    with open(reading) as end, open(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with visible_output():
            print("\x1b", file=text_output())
        assert end.readline() == "\\x1b\n"


def test_what_is_no_file_of_the_system(monkeypatch):
    """Such as the output of a notebook."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with visible_output():
        print("\x1b", file=text_output())
    assert sys.stdout.getvalue() == "\\x1b\n"


def test_what_a_model_writes_can_be_seen(tmp_path, capsys, monkeypatch):
    """From the corpus to the terminal; in a file the text is as the model wrote it."""
    (tmp_path / "poem\x1b.txt").write_text("\x1b]52;c;x\x07" * 30)
    given = str(tmp_path / "poem\x1b.txt")
    save_model(tmp_path / "run\x9b" / "model.d2lrnn", load_corpus(given), ("\x1b]",), given)
    arguments = ["sample", str(tmp_path / "run\x9b"), "--pred-len", "5"]
    assert cli.main([*arguments, "--novelty", "--log-probs"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(r"\x1b]") and r"copied from poem\x1b" in out and not re.search("[\x07\x1b\x9b]", out + err)
    assert cli.main([*arguments, "--prefix", "\x9b"]) == 1
    assert r"unknown character '\x9b' (U+009B)" in capsys.readouterr().err
    assert cli.main(["sample", str(tmp_path / "none\x1b")]) == 1
    assert rf"{tmp_path}/none\x1b is not there" in capsys.readouterr().err
    with open(tmp_path / "text.txt", "w+") as file, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", file)
        assert cli.main(arguments) == 0
        file.seek(0)
        assert file.read().startswith("\x1b]") and visible("\x1b]") in out
