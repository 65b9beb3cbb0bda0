"""`sample` as a user calls it: forms, and what is copied, on models of random parameters."""

import re

import pytest
from tiny import SONG as LYRICS
from tiny import save_model

from d2lrnn import (
    Corpus,
    Form,
    Sampling,
    Vocab,
    acrostic,
    distinct,
    generate,
    load_corpus,
    marked,
    novelty,
    usual_lengths,
)
from d2lrnn.cli import main as cli
from d2lrnn.runs.checkpoint import load_checkpoint

TIME = "the time traveller for so it will be convenient to speak of him was expounding " * 9
VERSE = "春风花月夜，山水去来迟。\n花月春山水，夜来风去迟。\n"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with the models of lyrics and of a novel, whose corpora are files, and of verse."""
    folder = tmp_path_factory.mktemp("runs")
    for name, text in (("lyrics", LYRICS), ("novel", TIME)):
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
        corpus = load_corpus(folder / f"{name}.txt")
        save_model(folder / name, corpus, (text[:3],), str(folder / f"{name}.txt"))
    vocab = Vocab(VERSE)
    save_model(folder / "verse", Corpus("verse", vocab, vocab.encode(VERSE)), ("\n",))
    return folder


@pytest.fixture
def sample(capsys, runs):
    """Let a model write as a user does; returns what is printed, or the line that says why nothing is."""

    def run(name, *arguments):
        capsys.readouterr()
        status = cli.main(["sample", str(runs / name), *map(str, arguments)])
        out, err = capsys.readouterr()
        assert bool(out) == (status == 0) and bool(err) == (status == 1)
        return out or err

    return run


def restored(runs, name):
    checkpoint = load_checkpoint(runs / name)
    return checkpoint.build_model(), checkpoint.vocab


LETTER = "[春风花月夜山水去来迟]"
LINES = f"{LETTER}{{5}}，{LETTER}{{5}}。"


# Forms


def test_a_model_of_verse_just_writes(sample, runs):
    model, vocab = restored(runs, "verse")
    expected = generate(["\n"] * 3, 40, model, vocab, Sampling(seed=1))
    out = sample("verse", "--num-samples", 3, "--seed", 1, "--pred-len", 40)
    assert "\n" in expected[0].text.strip("\n")
    assert out == "\n\n".join(found.text.strip("\n") for found in expected) + "\n"
    (greedy,) = generate(["\n"], 100, model, vocab, Sampling(temperature=0))
    assert sample("verse") == greedy.text.strip("\n") + "\n"


def test_forms_by_name(sample):
    assert re.fullmatch(f"{LINES}\n", sample("verse", "--form", "couplet"))
    assert re.fullmatch(
        f"{LINES}\n{LINES}\n\n{LINES}\n{LINES}\n",
        sample("verse", "--form", "quatrain", "--seed", 3, "--num-samples", 2),
    )
    seven = LINES.replace("5", "7")
    assert re.fullmatch(f"{seven}\n", sample("verse", "--form", "couplet7"))
    out = sample("verse", "--form", "couplet", "--prefix", "春风花月夜", "--prefix", "山", "--beam-width", 3)
    assert re.fullmatch(f"(?=春风花月夜，){LINES}\n(?=山){LINES}\n", out)


def test_an_acrostic_of_verse(sample, runs):
    model, vocab = restored(runs, "verse")
    form = Form((5, 5), ("，", "。\n"))
    expected = acrostic(["春，夜 山"] * 2, form, model, vocab, Sampling(temperature=0.7, seed=2))
    options = ["--acrostic", "春夜山", "--num-samples", 2, "--temperature", 0.7, "--seed", 2]
    assert sample("verse", *options) == f"{expected[0].text}\n\n{expected[1].text}\n"
    assert re.fullmatch(
        f"春{LETTER}{{6}}，夜{LETTER}{{6}}。\n", sample("verse", "--acrostic", "春夜", "--form", "couplet7")
    )
    assert re.fullmatch(
        f"春{LETTER}{{2}}，夜{LETTER}{{2}}。\n", sample("verse", "--acrostic", "春夜", "--line-length", 3)
    )
    out = sample("verse", "--acrostic", "春", "--acrostic", "夜山")
    assert re.fullmatch(f"春{LETTER}{{4}}。\n夜{LETTER}{{4}}，山{LETTER}{{4}}。\n", out)


def test_an_acrostic_of_lyrics_is_printed_line_by_line(sample):
    out = sample("lyrics", "--acrostic", "我们分", "--num-samples", 2)
    assert re.fullmatch("\n\n".join(["我[^ \n]{6}\n们[^ \n]{6}\n分[^ \n]{6}"] * 2) + "\n", out)
    out = sample("lyrics", "--acrostic", "我们", "--acrostic", "分", "--line-length", 3)
    assert re.fullmatch("我..\n们..\n\n分..\n", out)


def test_characters_that_the_model_has_never_seen(sample):
    complaint = "d2lrnn: unknown character '龘' (U+9F98) at position 1: expected only what is among the 13 tokens"
    assert sample("verse", "--acrostic", "春龘").startswith(complaint)
    assert re.fullmatch(
        f"春{LETTER}{{4}}，龘{LETTER}{{4}}。\n", sample("verse", "--acrostic", "春龘", "--skip-unknown")
    )
    assert "unknown character '龘'" in sample("verse", "--form", "couplet", "--prefix", "龘")
    assert re.fullmatch(
        f"龘{LETTER}{{4}}，{LETTER}{{5}}。\n", sample("verse", "--form", "couplet", "--prefix", "龘", "--skip-unknown")
    )


# What is copied


@pytest.mark.parametrize(
    ("name", "options", "n", "min_length"),
    [
        ("lyrics", [], 4, 8),
        ("lyrics", ["--min-copy", 2], 4, 2),
        ("lyrics", ["--ngram", 2, "--min-copy", 1], 2, 1),
        ("novel", [], 16, 32),
        ("novel", ["--ngram", 1, "--min-copy", 3], 1, 3),
    ],
)
def test_novelty_tells_what_the_module_finds(sample, runs, name, options, n, min_length):
    model, vocab = restored(runs, name)
    prefix = {"lyrics": LYRICS, "novel": TIME}[name][:40]  # a copy, however little the model writes by itself
    found = generate([prefix] * 3, 30, model, vocab, Sampling())
    lines = sample(name, "--prefix", prefix, "--num-samples", 3, "--pred-len", 30, "--novelty", *options).splitlines()
    corpus = load_corpus(runs / f"{name}.txt")
    for text, told, one in zip(lines[::2], lines[1::2], found):
        copied = novelty(one.text, corpus, n, min_length)
        assert copied.spans and copied.longest_length >= 40
        assert text == marked(one.text, copied.spans, "char")
        assert told == (
            f"  copied from {name}.txt: {copied.copied_ngrams:.1%} of {n}-grams, {copied.copied_tokens:.1%} of "
            f"characters in spans of {min_length} or more; longest span {copied.longest_length}, {copied.longest!r}"
        )
    written = [one.text[40:] for one in found]
    assert lines[6:] == [f"3 texts: distinct-1 {distinct(written, 1):.1%}, distinct-2 {distinct(written, 2):.1%}"]


def test_novelty_of_one_text_of_verse_line_by_line_and_of_nothing(sample, runs):
    text, told, *rest = sample("lyrics", "--prefix", "雨下着 我们不", "--pred-len", 0, "--novelty").splitlines()
    assert (text, rest) == ("雨下着 我们不", [])
    assert told.endswith("100.0% of 4-grams, 0.0% of characters in spans of 8 or more; longest span 7, '雨下着 我们不'")
    out = sample("lyrics", "--acrostic", "我分", "--line-length", 1, "--novelty", "--min-copy", 1, "--log-probs")
    assert out.startswith("【我】【\n分】\n  copied from lyrics.txt: - of 4-grams, 100.0% of characters in spans of 1")
    assert re.search(r"\n  log-probability -\d+\.\d+, -\d+\.\d+ per token\n  '我' -\d", out)
    out = sample("lyrics", "--prefix", "雨", "--pred-len", 1, "--novelty", "--num-samples", 2)
    assert out.endswith("distinct-2 -\n")


def test_novelty_looks_where_the_corpus_is(sample, runs, tmp_path):
    (tmp_path / "moved.txt").write_text(LYRICS, encoding="utf-8")
    out = sample("lyrics", "--novelty", "--corpus", tmp_path / "moved.txt", "--pred-len", 3)
    assert "copied from moved.txt: " in out
    assert "data_dir names nowhere" in sample("lyrics", "--novelty", "--data-dir", "nowhere", "--corpus", "sample")
    (tmp_path / "other.txt").write_text(TIME, encoding="utf-8")
    assert "is not the one that the model" in sample("lyrics", "--novelty", "--corpus", tmp_path / "other.txt")


@pytest.mark.parametrize(
    ("vocab", "expected"),
    [
        (Vocab("春风花月夜abc，. \n"), (4, 8)),
        (Vocab("春风abc，。、；"), (16, 32)),
        (Vocab("分a，。\n"), (16, 32)),
        (Vocab("the time", "word"), (4, 8)),
    ],
)
def test_what_counts_as_a_copy_by_the_kind_of_text(vocab, expected):
    assert usual_lengths(vocab) == expected


# What makes no sense


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            ["--acrostic", "春", "--prefix", "山"],
            "--acrostic given with --prefix: it begins with its first head, so leave",
        ),
        (
            ["--acrostic", "春", "--pred-len", 5],
            "--acrostic given with --pred-len: it ends with its last line, so leave",
        ),
        (["--form", "couplet", "--pred-len", 5], "--form given with --pred-len: it ends with its last line, so leave"),
        (
            ["--form", "couplet", "--acrostic", "春", "--line-length", 5],
            "--form given with --line-length: it settles how",
        ),
        (["--skip-unknown"], "--skip-unknown given without --acrostic or --form: expected both or none"),
        (["--line-length", 5], "--line-length given without --acrostic: expected both or none"),
        (["--ngram", 0], "--ngram given without --novelty: expected both or none"),
        (["--min-copy", 5], "--min-copy given without --novelty"),
        (["--corpus", "sample"], "--corpus given without --novelty"),
        (["--data-dir", "."], "--data-dir given without --novelty"),
        (["--novelty", "--ngram", 0], "ngram is 0: expected a whole number, at least 1"),
        (["--novelty", "--min-copy", -1], "min_copy is -1: expected a whole number, at least 1"),
        (["--acrostic", "春", "--stop", "。"], "stop is '。': a form ends where it must"),
        (["--acrostic", "，"], "there is no character in '，': expected one for each line"),
        (["--acrostic", "春", "--line-length", 0], "the length of a line is 0"),
        (
            ["--form", "couplet", "--prefix", "春风花月夜山水去来迟春"],
            "11 characters: expected at most 10, as the form",
        ),
        (["--form", "couplet", "--num-samples", 2, "--top-k", 1], "--num-samples given, but these settings leave"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_line(sample, options, complaint):
    line = sample("verse", *options)
    assert line.startswith("d2lrnn: ") and complaint in line and line.count("\n") == 1


def test_a_form_of_verse_is_not_for_lyrics(sample):
    assert "the form needs '，' or ',' or '､': expected one of them among the 15" in sample(
        "lyrics", "--form", "couplet"
    )


def test_tokens_that_are_never_written(runs, sample):
    model, vocab = restored(runs, "novel")
    rare = vocab.idx_to_token[:3]
    options = [text for token in rare for text in ("--without", token)]
    (expected,) = generate([TIME[:3]], 100, model, vocab, Sampling(temperature=0, without=tuple(rare)))
    assert sample("novel", *options) == f"{expected.text}\n"
    assert not set(rare) & {vocab.idx_to_token[i] for i in expected.ids}
    assert "without is '龘': expected one of the" in sample("novel", "--without", "龘")


@pytest.mark.parametrize("num_lines", [1, 2])
def test_a_model_of_lines_reads_a_line_end_before_each_text_and_a_single_line_ends_with_one(runs, sample, num_lines):
    (runs / "lines.txt").write_text(VERSE, encoding="utf-8")
    corpus = load_corpus(runs / "lines.txt", lines=True)
    save_model(runs / "lines", corpus, ("\n",) * 3, str(runs / "lines.txt"), batches="lines", num_lines=num_lines)
    model, vocab = restored(runs, "lines")
    sampling = Sampling(seed=3, stop="\n" if num_lines == 1 else None)
    expected = [found.text.strip("\n") for found in generate(["\n春"] * 3, 12, model, vocab, sampling)]
    found = sample("lines", "--prefix", "春", "--pred-len", 12, "--num-samples", 3, "--seed", 3)
    assert found.strip("\n").replace("\n\n", "\n") == "\n".join(expected).replace("\n\n", "\n")
    assert sample("lines", "--pred-len", 5).strip("\n") in {  # the prefixes are one and the same: so is the text
        generate(["\n"], 5, model, vocab, Sampling(0, stop=sampling.stop))[0].text.strip("\n")
    }
    (endless,) = generate(["\n"], 5, model, vocab, Sampling(0, without=("\n",)))
    assert sample("lines", "--pred-len", 5, "--without", "\n").strip("\n") == endless.text.strip("\n")
    assert "copied from lines.txt" in sample("lines", "--form", "couplet", "--novelty")
