import gzip
import hashlib
import io
import os
import re
import tarfile
import zipfile
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from d2lrnn.data import datasets as corpora
from d2lrnn.data.archives import read_texts
from d2lrnn.data.datasets import load_corpus, load_text
from d2lrnn.data.files import BASE_URL
from d2lrnn.data.texts import MAX_CORPUS, CorpusError, CorpusNotFoundError, decode
from d2lrnn.data.vocabulary import EOS, Vocab

REAL_DATA = os.environ.get("D2LRNN_DATA")
PTB_TEXTS = {"ptb.train.txt": " a b a \n b a \n", "ptb.valid.txt": " a \n b b\n", "ptb.test.txt": " b a \n"}


@pytest.fixture(autouse=True)
def alone(offline):
    """Keep the tests off the user's folders and off the network."""


@pytest.fixture
def real_data():
    if not REAL_DATA:
        pytest.skip("D2LRNN_DATA does not name a folder with the real corpora")

    def folder_with(filename):
        if not (Path(REAL_DATA) / filename).is_file():
            pytest.skip(f"the folder D2LRNN_DATA={REAL_DATA} has no {filename}")
        return REAL_DATA

    return folder_with


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def zipped(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return stream.getvalue()


def tarred(members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return stream.getvalue()


def publish(monkeypatch, name, content):
    """Let a hand-made file pass for what was published."""
    named = corpora.CORPORA[name]
    source = replace(named.source, sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(corpora.CORPORA, name, replace(named, source=source))


# The real corpora


def test_sample_ships_with_the_project():
    corpus = load_corpus("sample")
    text = corpus.vocab.decode(corpus.train)
    assert corpus.name == "sample"
    assert corpus.vocab_size == len(set(text))
    assert "\n" not in text and "分开" in text
    start = load_corpus("sample", max_tokens=100)
    assert start.vocab.decode(start.train) == text[:100]
    assert start.vocab_size == len(set(text[:100]))


DATA = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize(("name", "parts"), [("lyrics_zh.txt", 1), ("couplets_zh.txt", 2), ("pairs_en_zh.txt", 0)])
def test_a_text_that_ships_is_what_its_page_says(name, parts):
    content, page = (DATA / name).read_bytes(), (DATA / "README.md").read_text(encoding="utf-8")
    text, about = content.decode(), page.split(f"## `{name}`\n")[1].split("\n## ")[0]
    lines = text.splitlines()
    for said in (
        f"| {len(text):,} including newlines |",
        f"| {len(set(text) - set(chr(10)))}, plus the newline |",
        f"| Lines | {len(lines)} |",
        f"| Bytes | {len(content)} |",
        "| Licence | CC0-1.0.",
        f"`{hashlib.sha256(content).hexdigest()}`",
    ):
        assert said in about
    if parts == 1:
        assert len(text) >= 12_000 and len(set(lines)) > 0.7 * len(lines)
    elif parts == 2:
        assert f"| Poems | {len(lines) // parts} |" in about
    else:
        assert f"| Source sentences | {len({line.partition(chr(9))[0] for line in lines})} |" in about


def test_the_sample_of_couplets_is_couplets():
    corpus = load_corpus("sample_couplets")
    lines = corpus.vocab.decode(corpus.train).splitlines()
    assert len(lines) == len(set(lines)) == 200
    assert all(re.fullmatch(r"\w{5}，\w{5}。", line) for line in lines)


def test_the_samples_have_no_line_of_the_real_corpora(real_data):
    def pieces(text, separator):
        return {piece for piece in re.split(separator, text) if len(piece) > 4}

    with zipfile.ZipFile(Path(real_data("jaychou_lyrics.txt.zip")) / "jaychou_lyrics.txt.zip") as archive:
        lyrics = archive.read("jaychou_lyrics.txt").decode()
    couplets = (Path(real_data("tang_couplets.txt")) / "tang_couplets.txt").read_text(encoding="utf-8")
    for name, others, separator in (
        ("lyrics_zh.txt", lyrics, r"\s*\n\s*"),
        ("couplets_zh.txt", couplets, r"\W+"),
    ):
        own, others = pieces((DATA / name).read_text(encoding="utf-8"), separator), pieces(others, separator)
        assert len(own) >= 400 and len(others) > 500 and not own & others


def test_jaychou_has_the_counts_of_the_book(real_data):
    folder = real_data("jaychou_lyrics.txt.zip")
    corpus = load_corpus("jaychou", folder)
    assert (len(corpus.train), corpus.vocab_size) == (10_000, 1_027)
    assert corpus.vocab.decode(corpus.train[:6]) == "想要有直升机"
    counts = Counter(corpus.train.tolist())
    assert [counts[i] for i in range(1_027)] == sorted(counts.values(), reverse=True)
    whole = corpora.load_data_jay_lyrics(None, folder)
    assert (len(whole.train), whole.vocab_size) == (63_282, 2_582)
    assert whole.vocab.decode(whole.train[:10_000]) == corpus.vocab.decode(corpus.train)
    assert len(load_corpus("jaychou", folder, max_tokens=20_000).train) == 20_000


def test_ptb_has_the_published_counts(real_data):
    corpus = load_corpus("ptb", real_data("ptb.zip"))
    assert [len(corpus.split(name)) for name in ("train", "valid", "test")] == [929_589, 73_760, 82_430]
    assert corpus.vocab_size == 10_000
    assert corpus.vocab.idx_to_token[:3] == ("the", "<unk>", EOS)
    assert corpus.train.tolist().count(corpus.vocab.token_to_idx[EOS]) == 42_068


def test_time_machine_has_the_counts_of_the_book(real_data):
    folder = real_data("timemachine.txt")
    corpus = load_corpus("timemachine", folder)
    assert (len(corpus.train), corpus.vocab_size) == (173_428, 27)
    assert corpus.vocab.decode(corpus.train[:33]) == "the time machine by h g wells i t"
    words = corpora.load_data_time_machine(None, folder, level="word")
    assert (len(words.train), words.vocab_size) == (32_775, 4_579)


# Reading


def test_lyrics_are_one_line_with_spaces_and_are_cut_before_the_vocabulary_is_made(tmp_path):
    write(tmp_path / "jaychou_lyrics.txt", "甲乙\n乙\r\n丙丁")
    corpus = load_corpus("jaychou", tmp_path, max_tokens=6)
    assert corpus.vocab.idx_to_token == (" ", "乙", "丙", "甲")
    assert corpus.train.tolist() == [3, 1, 0, 1, 0, 2]
    assert corpora.load_data_jay_lyrics(data_dir=tmp_path).vocab.decode([0, 1]) == " 乙"
    assert len(corpora.load_data_jay_lyrics(None, tmp_path).train) == 7


def test_jaychou_keeps_10000_characters_unless_told_otherwise(tmp_path):
    write(tmp_path / "jaychou_lyrics.txt", "甲" * 10_001)
    assert len(load_corpus("jaychou", tmp_path).train) == 10_000
    assert len(corpora.load_data_jay_lyrics(data_dir=tmp_path).train) == 10_000
    assert len(load_corpus("jaychou", tmp_path, max_tokens=20_000).train) == 10_001


def test_time_machine_is_lower_case_with_single_spaces(tmp_path, monkeypatch):
    content = b"The Time-Machine,\n  by H.G. \n\n1895"
    write(tmp_path / "timemachine.txt", content)
    publish(monkeypatch, "timemachine", content)
    corpus = load_corpus("timemachine", tmp_path)
    assert corpus.vocab.decode(corpus.train) == "the time machine by h g "
    words = corpora.load_data_time_machine(4, tmp_path, "word")
    assert words.vocab == Vocab("the time machine by", "word")
    assert words.train.tolist() == [2, 3, 1, 0]


@pytest.mark.parametrize(
    "files",
    [
        {"ptb.zip": zipped({"ptb/": "", **{f"ptb/{name}": text for name, text in PTB_TEXTS.items()}})},
        {
            "simple-examples.tgz": tarred(
                {
                    "./simple-examples/data/ptb.char.train.txt": "a _ b",
                    **{f"./simple-examples/data/{name}": text for name, text in PTB_TEXTS.items()},
                }
            )
        },
        PTB_TEXTS,
        {f"ptb/{name}": text for name, text in PTB_TEXTS.items()},
        {f"simple-examples/data/{name}": text.replace("\n", "\r\n") for name, text in PTB_TEXTS.items()},
        {name: text.rstrip("\n") for name, text in PTB_TEXTS.items()},
        {f"data/{name}": text for name, text in PTB_TEXTS.items()},
    ],
    ids=["zip", "tgz", "folder", "ptb", "simple-examples with CRLF", "no last line end", "simple-examples itself"],
)
def test_ptb_reads_the_same_from_every_form(files, tmp_path, monkeypatch):
    for name, content in files.items():
        write(tmp_path / name, content)
    if "ptb.zip" in files:
        publish(monkeypatch, "ptb", files["ptb.zip"])
    before = sorted(tmp_path.rglob("*"))
    corpus = load_corpus("ptb", tmp_path)
    assert corpus.vocab.idx_to_token == ("a", EOS, "b")
    assert corpus.train.tolist() == [0, 2, 0, 1, 2, 0, 1]
    assert corpus.valid.tolist() == [0, 1, 2, 2, 1]
    assert corpus.test.tolist() == [2, 0, 1]
    assert sorted(tmp_path.rglob("*")) == before, "nothing may be unpacked"


def test_max_tokens_cuts_each_split_of_ptb_but_not_the_vocabulary(tmp_path):
    for name, text in PTB_TEXTS.items():
        write(tmp_path / name, text)
    corpus = load_corpus("ptb", tmp_path, max_tokens=1)
    assert corpus.vocab.idx_to_token == ("a", EOS, "b")
    assert [corpus.split(name).tolist() for name in ("train", "valid", "test")] == [[0], [0], [2]]


def test_ptb_splits_must_belong_together(tmp_path):
    for name, text in PTB_TEXTS.items():
        write(tmp_path / name, text.replace("b", "c") if name == "ptb.test.txt" else text)
    with pytest.raises(
        CorpusError, match="another split does not fit ptb.train.txt: ptb.test.txt: unknown word 'c' in line 1"
    ):
        load_corpus("ptb", tmp_path)


def test_own_words_in_a_split_of_ptb_are_told_with_file_and_line(tmp_path):
    for name, text in PTB_TEXTS.items():
        write(tmp_path / name, text + ("a\n\nb frog b\n" if name == "ptb.valid.txt" else ""))
    with pytest.raises(CorpusError) as caught:
        load_corpus("ptb", tmp_path)
    message = "another split does not fit ptb.train.txt: ptb.valid.txt: unknown word 'frog' in line 5: expected"
    assert str(caught.value).startswith(message)


def test_a_users_text(tmp_path):
    path = write(tmp_path / "mine.txt", "\ufeffab\r\nb \n")
    corpus = load_corpus(path)
    assert corpus.name == "mine.txt"
    assert corpus.vocab.idx_to_token == (" ", "b", "a")
    assert corpus.train.tolist() == [2, 1, 0, 1, 0, 0]
    assert load_corpus(str(path), max_tokens=2).train.tolist() == [0, 1]
    words = load_text(path, "word")
    assert words.vocab.idx_to_token == ("ab", "b")
    assert words.train.tolist() == [0, 1]


# What is wrong with a file


def test_a_text_by_lines_and_in_pairs(tmp_path):
    path = tmp_path / "my.txt"
    path.write_bytes(b" one \r\n\r\ntwo\rthree")
    lines = load_corpus(path, lines=True)
    assert lines.vocab.decode(lines.train) == "one\ntwo\nthree\n"
    assert [load_text(path, max_tokens=n, lines=True).train.size for n in (4, 7, 8, 13, 14, 99)] == [4, 4, 8, 8, 14, 14]
    with pytest.raises(CorpusError, match="my.txt has no line within its first 3 characters: take more"):
        load_text(path, max_tokens=3, lines=True)
    with pytest.raises(ValueError, match="lines are of characters: found the level 'bigram'"):
        load_corpus(path, level="bigram", lines=True)
    pairs = load_corpus(path, level="bigram")
    assert pairs.vocab.decode(pairs.train) == " one   two three"[:16]
    assert len(pairs.train) == 8 and len(load_corpus(path, level="bigram", max_tokens=3).train) == 3
    held = load_corpus(path, lines=True, held_out=0.35)
    assert [held.vocab.decode(held.split(name)) for name in ("train", "valid", "test")] == ["one\n", "two\n", "three\n"]


def test_what_a_corpus_cannot_be_asked_for(tmp_path):
    for name, options in (("ptb", {"level": "char"}), ("couplets", {"level": "bigram"})):
        with pytest.raises(ValueError, match=f"{name} has no tokens of level"):
            load_corpus(name, tmp_path, **options)
    for name in ("ptb", "timemachine"):
        with pytest.raises(ValueError, match=f"{name} has no lines"):
            load_corpus(name, tmp_path, lines=True)


def test_couplets_are_published_under_another_name(tmp_path):
    with pytest.raises(CorpusNotFoundError) as caught:
        load_corpus("couplets")
    tried, to_do = str(caught.value).split("\n")
    assert tried.startswith("tang_couplets.txt is not in ")
    assert to_do.startswith("Get https://raw.githubusercontent.com/Yunpneg/Tensorflow_CharForLSTM/")
    assert "/data/poetry.txt elsewhere, and save it as tang_couplets.txt in " in to_do
    write(tmp_path / "tang_couplets.txt", "甲乙，丙丁。\n")
    with pytest.raises(CorpusError, match="tang_couplets.txt has the SHA-256 .* a text of your own is named by"):
        load_corpus("couplets", tmp_path)
    assert load_corpus(tmp_path / "tang_couplets.txt").vocab_size == 7


def test_couplets_are_lines(tmp_path, unverified):
    unverified("couplets")
    (tmp_path / "tang_couplets.txt").write_text("甲乙，丙丁。\n戊己，庚辛。\n")
    corpus = load_corpus("couplets", tmp_path)
    assert corpus.vocab.decode(corpus.train) == "甲乙，丙丁。\n戊己，庚辛。\n"
    assert len(load_corpus("couplets", tmp_path, max_tokens=13).train) == 7


def test_couplets_have_their_counts(real_data):
    corpus = load_corpus("couplets", real_data("tang_couplets.txt"), held_out=0.05)
    lines = [corpus.vocab.decode(ids).count("\n") for ids in (corpus.train, corpus.valid, corpus.test)]
    assert (lines, sum(lines), corpus.vocab_size) == ([65262, 3626, 3626], 72_514, 5387)


def test_a_text_in_gb18030_is_refused_with_the_place_and_the_remedy(tmp_path):
    path = write(tmp_path / "lyrics.txt", "love 分开".encode("gb18030"))
    with pytest.raises(
        CorpusError, match=r"lyrics.txt is not UTF-8: byte 0xb7 at offset 5, in line 1; .*iconv -f GB18030"
    ):
        load_text(path)
    path = write(tmp_path / "lyrics.txt", b"\xef\xbb\xbfab\xff")
    with pytest.raises(CorpusError, match="byte 0xff at offset 5"):
        load_text(path)


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b" \n\n"])
def test_an_empty_file_is_refused(tmp_path, content):
    with pytest.raises(CorpusError, match="mine.txt is empty"):
        load_corpus(write(tmp_path / "mine.txt", content))


def test_a_text_beyond_all_measure_is_refused(tmp_path):
    assert decode(io.BytesIO(b"a" * 20), "mine.txt", 20) == "a" * 20
    with pytest.raises(CorpusError, match="mine.txt has more than 20 bytes"):
        decode(io.BytesIO(b"a" * 21), "mine.txt", 20)
    archive = write(tmp_path / "simple-examples.tgz", tarred({**PTB_TEXTS, "ptb.valid.txt": "a " * 1000}))
    assert read_texts(archive, ["ptb.train.txt"], 20) == [PTB_TEXTS["ptb.train.txt"]]
    with pytest.raises(CorpusError, match="simple-examples.tgz: ptb.valid.txt has more than 20 bytes"):
        read_texts(archive, [*PTB_TEXTS], 20)
    huge = write(tmp_path / "huge.txt", "a")
    os.truncate(huge, MAX_CORPUS + 1)  # it has a hole, so it takes no place on the disk
    with pytest.raises(CorpusError, match="huge.txt has more than 8,589,934,592 bytes"):
        load_text(huge)


def test_a_folder_is_not_a_text(tmp_path):
    with pytest.raises(CorpusError, match="is a folder: expected a text file"):
        load_corpus(tmp_path)


def test_a_wrong_checksum_is_told_with_both(tmp_path):
    content = zipped({"jaychou_lyrics.txt": "甲乙"})
    write(tmp_path / "jaychou_lyrics.txt.zip", content)
    with pytest.raises(CorpusError) as caught:
        load_corpus("jaychou", tmp_path)
    assert not isinstance(caught.value, CorpusNotFoundError)
    found = hashlib.sha256(content).hexdigest()
    assert f"has the SHA-256 {found}, expected {corpora.CORPORA['jaychou'].source.sha256}: it may be truncated" in str(
        caught.value
    )
    assert BASE_URL + "jaychou_lyrics.txt.zip" in str(caught.value)


def test_a_truncated_zip_is_refused(tmp_path, monkeypatch):
    content = zipped({"jaychou_lyrics.txt": "甲乙" * 100})[:-30]
    write(tmp_path / "jaychou_lyrics.txt.zip", content)
    with pytest.raises(CorpusError, match="it may be truncated"):
        load_corpus("jaychou", tmp_path)
    publish(monkeypatch, "jaychou", content)
    with pytest.raises(CorpusError, match="jaychou_lyrics.txt.zip cannot be read or is damaged .*not a zip file"):
        load_corpus("jaychou", tmp_path)


def test_a_damaged_tgz_is_refused_wherever_it_ends_or_breaks(tmp_path):
    whole = tarred(PTB_TEXTS)
    longer = gzip.decompress(tarred({**PTB_TEXTS, "ptb.train.txt": "a b\n" * 100_000}))
    packer = zlib.compressobj(wbits=31)
    broken = packer.compress(longer[:200_000]) + packer.flush(zlib.Z_FULL_FLUSH) + b"\xff" * 40  # no such block
    for damaged in [whole[:length] for length in range(0, len(whole) - 20, 10)] + [broken]:
        write(tmp_path / "simple-examples.tgz", damaged)
        with pytest.raises(CorpusError, match="simple-examples.tgz (cannot be read or is damaged|is damaged or lacks)"):
            load_corpus("ptb", tmp_path)


@pytest.mark.parametrize("form", ["simple-examples.tgz", "ptb.train.txt"])
def test_a_missing_part_is_named(tmp_path, form):
    parts = {name: text for name, text in PTB_TEXTS.items() if name != "ptb.valid.txt"}
    for name, content in parts.items():
        write(tmp_path / name, content)
    if form.endswith("tgz"):
        write(tmp_path / form, tarred(parts))
    with pytest.raises(CorpusError, match=f"{form} is damaged or lacks ptb.valid.txt: expected ptb.train.txt, ptb.va"):
        load_corpus("ptb", tmp_path)


@pytest.mark.parametrize("max_tokens", [0, -1, 1.5, "10"])
@pytest.mark.parametrize("name", ["sample", "jaychou", "ptb"])
def test_max_tokens_must_be_a_positive_whole_number(tmp_path, name, max_tokens):
    write(tmp_path / "jaychou_lyrics.txt", "甲乙")
    for part, text in PTB_TEXTS.items():
        write(tmp_path / part, text)
    with pytest.raises(ValueError, match=f"^max_tokens is {max_tokens!r}: expected a whole number, at least 1$"):
        load_corpus(name, tmp_path, max_tokens)


def test_an_unknown_name_gets_the_names_and_a_guess(tmp_path):
    names = "sample, sample_couplets, jaychou, ptb, timemachine, couplets, or the path of a UTF-8 text file"
    message = f"'jaychow' is neither a corpus nor a file: expected one of {names}; did you mean jaychou.$"
    with pytest.raises(CorpusNotFoundError, match=message):
        load_corpus("jaychow")
    with pytest.raises(CorpusNotFoundError, match="absent.txt' is neither a corpus nor a file.*text file$"):
        load_corpus(tmp_path / "absent.txt")
