"""The command ``translate``: sentences, lines and hostile input become translations or lines that say what is wrong."""

import io
import sys
from types import SimpleNamespace

import pytest
from matplotlib.image import imread
from translators import SOURCE, TARGET, translator_checkpoint

from d2lrnn import translate_texts
from d2lrnn.cli import main as cli
from d2lrnn.config.generation import Decoding
from d2lrnn.runs.checkpoint import save_checkpoint
from d2lrnn.runs.translator import TranslatorRun


def write_run(path, attention="general", reverse_source=False):
    """Write the run of a translator that has learnt nothing."""
    save_checkpoint(path / "model.d2lrnn", translator_checkpoint(attention, reverse_source))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translators")
    write_run(folder / "run")
    write_run(folder / "plain", None, reverse_source=True)
    return folder


@pytest.fixture(autouse=True)
def there(folder, monkeypatch):
    monkeypatch.chdir(folder)


@pytest.fixture
def run(capsys):
    def call(*arguments, status=0):
        capsys.readouterr()
        assert cli.main(["translate", *map(str, arguments)]) == status
        return capsys.readouterr()

    return call


def from_stdin(monkeypatch, data, terminal=False):
    data = data if isinstance(data, bytes) else data.encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: terminal))


def texts_of(name, texts, decoding=None):
    opened = TranslatorRun.open(name)
    reverse_source = opened.plan.reverse_source
    found = translate_texts(opened.model, texts, SOURCE, TARGET, decoding or Decoding(), reverse_source)
    return [one.text for one in found]


def test_sentences_are_translated(run):
    texts = ["I see a bird.", "a fish?", "A BIRD"]
    for name in ("run", "plain"):
        out, err = run(name, *texts)
        assert out.splitlines() == texts_of(name, texts) and "unknown" not in err
    settings = {"beam_width": 1, "length_penalty": 0.5, "max_ratio": 0.2}
    options = [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", value)]
    out, err = run("run", *texts, *options)
    assert out.splitlines() == texts_of("run", texts, Decoding(**settings)) != texts_of("run", texts)
    assert "d2lrnn: text 1: the translation was cut after 11 tokens, which --max-ratio allows\n" in err


def test_unknown_words_are_named_and_copied(run):
    out, err = run("run", "I see xyzzy and \x1b[31m plugh.")
    assert out == texts_of("run", ["I see xyzzy and [31m plugh."])[0] + "\n"
    assert err.startswith("d2lrnn: unknown to the model: xyzzy, and, [, 31m, plugh\n")
    names = [f"word{i}" for i in range(12)]
    assert f"unknown to the model: {', '.join(names[:10])} and 2 more\n" in run("run", " ".join(names)).err
    (expected,) = texts_of("run", ["I see xyzzy"], Decoding(copy_unknown=True))
    assert run("run", "I see xyzzy", "--copy-unknown").out == expected + "\n"


def test_lines_of_standard_input(run, monkeypatch, complaint):
    from_stdin(monkeypatch, "\ufeffa bird\r\n\n \nI see xyzzy\n" + "see " * 1001 + "\n\u200b\na fish")
    out, err = run("run", status=1)
    found = texts_of("run", ["a bird", "I see xyzzy", "a fish"])
    assert out.split("\n") == [found[0], "", "", found[1], "", "", found[2], ""]
    lines = [line for line in err.splitlines() if "was cut" not in line]
    assert lines[0].startswith("d2lrnn: line 5: the text has 1,001 tokens: expected a sentence")
    assert lines[1] == "d2lrnn: line 6: the text is empty: expected a sentence to translate"
    assert lines[2] == "d2lrnn: line 4: unknown to the model: xyzzy"
    for data, message in [
        ("", "standard input is empty: expected text"),
        (b"a bird\n\xff\xfe\xfa\n", "standard input is not UTF-8"),
        (b"a\0bird\n", "standard input has the character NUL"),
    ]:
        from_stdin(monkeypatch, data)
        assert message in complaint("translate", "run")
    from_stdin(monkeypatch, "", terminal=True)
    assert "no text is given: expected sentences, or lines of standard input" in complaint("translate", "run")
    monkeypatch.setattr(sys, "stdin", None)
    assert "no text is given" in complaint("translate", "run")


def test_hostile_sentences_have_a_line_each(run):
    texts = ["", " ", "\udcff", "🦉" * 50, "你好 see مرحبا", "\u202ea\u2066", "-5", "a" * 9_000, "a " * 9_000]
    out, err = run("run", *texts, "--beam-width", 1, status=1)
    assert out.count("\n") == len(texts) and "\u202e" not in out + err
    assert "text 1: the text is empty" in err and "text 2: the text is empty" in err
    assert "text 9: the text has 9,000 tokens" in err and max(map(len, err.splitlines())) < 200


def test_special_tokens_are_words_like_others(run):
    """Typed as text, they are no tokens of the model's own; the vocabulary of words has no such entry."""
    text = "I <unk> see <eos> a <pad> bird <bos>"
    out, err = run("run", text)
    assert out == texts_of("run", [text])[0] + "\n"
    assert err.startswith("d2lrnn: unknown to the model: <, unk, >, eos, pad, bos\n")
    assert out != texts_of("run", ["I see a bird"])[0] + "\n"


def test_endless_lines_are_refused_before_they_are_split(run, monkeypatch, tmp_path):
    """Lines of megabytes do not stay in memory until a thousand of them are there."""
    megabytes = "x y " * 400_000
    from_stdin(monkeypatch, f"a bird\n{megabytes}\n{' ' * 10**6}\n" + f"{megabytes}\n" * 2 + "\n" * 3_000 + "a fish")
    monkeypatch.setattr(TranslatorRun, "read", lambda self, text, read=TranslatorRun.read: read(self, text[:100]))
    out, err = run("run", status=1)
    found = texts_of("run", ["a bird", "a fish"])
    assert out.split("\n") == [found[0], *[""] * 3_004, found[1], ""]
    refused = [line for line in err.splitlines() if "was cut" not in line]
    message = "the text has 1,599,999 characters: expected a sentence, of at most 1,000 tokens; divide the text"
    assert refused == [f"d2lrnn: line {number}: {message}" for number in (2, 4, 5)]


def test_what_is_looked_at_is_drawn(run, folder, complaint):
    assert "picture  looked-at.png\n" in run("run", "a bird.", "--attention", "looked-at.png").err
    assert imread(folder / "looked-at.png").ndim == 3
    several = "--attention draws what is looked at for one sentence, and there are 2: expected"
    assert several in complaint("translate", "run", "a", "bird", "--attention", "never.png")
    for more in (["--attention", "never.png"], ["--copy-unknown"]):
        assert "this translator has no attention" in complaint("translate", "plain", "bird", *more)
    assert not (folder / "never.png").exists()


def test_other_runs_are_refused(folder, complaint):
    assert "a translator, such as `train --config translate-en-zh` makes" in TranslatorRun.EXPECTED
    assert "with a translator go `translate`, `play` and `evaluate`" in complaint("sample", "run")
    assert "is of the task translation: expected a classifier" in complaint("classify", "run", "a bird")
    assert "is not there" in complaint("translate", "nothing", "a bird")
    assert "beam_width" in complaint("translate", "run", "a bird", "--beam-width", 0)
