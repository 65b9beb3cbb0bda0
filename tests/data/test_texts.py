"""What is read from files: which bytes are a text, which characters end its lines, and how much of it is read."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import subprocess
import tarfile
import tracemalloc
import unicodedata
import zipfile

import pytest

from d2lrnn import D2lrnnError, Vocab, predict
from d2lrnn.data import texts
from d2lrnn.data.archives import MAX_HEADERS, read_texts
from d2lrnn.data.characters import with_line_feeds
from d2lrnn.data.datasets import load_corpus, load_text
from d2lrnn.data.ids import load_ids, load_lines
from d2lrnn.data.kept_numbers import KeptNumbers
from d2lrnn.data.texts import CorpusError, decode
from d2lrnn.data.vocabulary import UnknownTokenError

TRADITIONAL = "雨下整夜，我的愛溢出就像雨水。\n窗臺的蝴蝶，像詩裡紛飛的美麗章節。\n"
SIMPLIFIED = "雨下整夜，我的爱溢出就像雨水。\n窗台的蝴蝶，像诗里纷飞的美丽章节。\n"
FRENCH = "Où es-tu allé, mon ami ? L'été s'en va et la forêt se tait, déjà.\n"
GERMAN = "Über den Wäldern schläft der müde Wind, und größer wächst die Nacht.\n"
JAPANESE = "雨の中を歩いて、古い歌を思い出していた。\n"
KOREAN = "비가 내리는 밤에 우리는 노래를 부른다.\n"
RUSSIAN = "Мороз и солнце; день чудесный! Ещё ты дремлешь, друг прелестный.\n"
ENGLISH = "It was a dark night.\nThe rain fell.\n"


@pytest.fixture(autouse=True)
def alone(offline):
    """Keep the tests off the user's folders and off the network."""


def written(path, content):
    path.write_bytes(content)
    return path


def zipped(text):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.txt", text)
    return stream.getvalue()


def tarred(text, mode):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        info = tarfile.TarInfo("a.txt")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    return stream.getvalue()


# Bytes that are not UTF-8


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        (TRADITIONAL, "big5", "BIG5"),
        ("不分開\n", "big5", "BIG5"),
        (SIMPLIFIED, "gbk", "GB18030"),
        (TRADITIONAL, "gb18030", "GB18030"),
        ("想要有直升机", "gb18030", "GB18030"),
        ("I love you 我爱你 oh my baby", "gb18030", "GB18030"),
        (ENGLISH * 5000 + SIMPLIFIED, "gb18030", "GB18030"),
        (SIMPLIFIED * 9000, "gb18030", "GB18030"),
        (FRENCH, "latin-1", "WINDOWS-1252"),
        ("Il a été\n", "latin-1", "WINDOWS-1252"),
        ("caf\xe9", "latin-1", "WINDOWS-1252"),
        (GERMAN, "cp1252", "WINDOWS-1252"),
        ("“Où es-tu ?” – L’été s’en va.\n", "cp1252", "WINDOWS-1252"),
        (JAPANESE, "shift_jis", "CP932"),
        (JAPANESE, "euc_jp", "EUC-JP"),
        (KOREAN, "euc_kr", "CP949"),
        (RUSSIAN, "cp1251", "WINDOWS-1251"),
        (RUSSIAN, "koi8-r", "KOI8-R"),
        (ENGLISH, "utf-16", "UTF-16"),
        (SIMPLIFIED, "utf-16", "UTF-16"),
        (SIMPLIFIED, "utf-32", "UTF-32"),
        (ENGLISH, "utf-16-le", "UTF-16LE"),
        (ENGLISH, "utf-16-be", "UTF-16BE"),
        (SIMPLIFIED, "utf-16-le", "UTF-16LE"),
        (TRADITIONAL, "utf-16-be", "UTF-16BE"),
    ],
)
def test_a_text_in_another_encoding_is_told_which_and_how_to_convert_it(tmp_path, text, encoding, name):
    path = written(tmp_path / "a song.txt", text.encode(encoding))
    for read in (load_text, lambda path: load_ids(path, Vocab("ab"))):
        with pytest.raises(CorpusError) as caught:
            read(path)
        assert str(caught.value).endswith(f": convert it with `iconv -f {name} -t UTF-8 < '{path}' > new.txt`")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (
            zipped("a"),
            "it is a zip archive (as are .docx, .odt and .epub): expected UTF-8 text; get the text by `unzip",
        ),
        (gzip.compress(b"some text"), "it is a gzip archive: expected UTF-8 text; get the text by `gunzip < "),
        (tarred(b"some text", "w:gz"), "it is a gzipped tar archive: expected UTF-8 text; get the text by `tar -xzf"),
        (tarred(b"some text", "w:"), "it is a tar archive: expected UTF-8 text; get the text by `tar -xf"),
        (bz2.compress(b"some text"), "it is a bzip2 archive: expected UTF-8 text; get the text by `bunzip2 < "),
        (b"%PDF-1.4\n% all in ASCII\n", "it is a PDF document: expected UTF-8 text; get the text by `pdftotext"),
        (b"\x89PNG\r\n\x1a\n\0\0", "it is a picture (PNG): expected UTF-8 text"),
        (b"\xff\xd8\xff\xe0", "it is a picture (JPEG): expected UTF-8 text"),
        (b"d2lrnn checkpoint 3\n", "it is a model that d2lrnn wrote: expected UTF-8 text"),
        (bytes(range(256)) * 30, "it is no text in an encoding that d2lrnn knows: expected UTF-8 text"),
        (bytes(range(128, 256)) * 30, "it is no text in an encoding that d2lrnn knows: expected UTF-8 text"),
        (
            "一二\n三\0四".encode(),
            "has the character NUL, first in line 2: expected text; if it is one, drop them with",
        ),
        (
            SIMPLIFIED.encode() * 3 + b"\xff\n" + SIMPLIFIED.encode(),
            "byte 0xff at offset 294, in line 7; the rest is: mend this place, or drop such bytes with `iconv -c",
        ),
        (SIMPLIFIED.encode()[:-2], "byte 0xe3 at offset 94, in line 2; the rest is: mend this place"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_is_no_text_is_told_what_it_is(tmp_path, content, what):
    path = written(tmp_path / "file", content)
    with pytest.raises(CorpusError) as caught:
        load_corpus(path)
    assert str(caught.value).startswith(str(path)) and what in str(caught.value)


@pytest.mark.parametrize(
    ("content", "tool"),
    [
        (TRADITIONAL.encode("big5"), "iconv"),
        (ENGLISH.encode("utf-16-le"), "iconv"),
        (TRADITIONAL.encode() + b"\xff", "iconv"),
        (TRADITIONAL.encode() + b"\0", "tr"),
        (gzip.compress(TRADITIONAL.encode()), "gunzip"),
        (bz2.compress(TRADITIONAL.encode()), "bunzip2"),
        (lzma.compress(TRADITIONAL.encode()), "unxz"),
    ],
    ids=["Big5", "UTF-16", "a wrong byte", "NUL", "gzip", "bzip2", "xz"],
)
@pytest.mark.parametrize("name", ["it's.txt", "-dash.txt"])
def test_the_command_that_is_named_makes_a_text_of_the_file(tmp_path, monkeypatch, name, content, tool):
    """The file's name has no ending that says what it is, has a quotation mark, or begins like an option."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    monkeypatch.chdir(tmp_path)
    written(tmp_path / name, content)
    with pytest.raises(CorpusError) as caught:
        load_corpus(name)
    subprocess.run(["bash", "-c", str(caught.value).split("`")[1]], check=True)
    assert (tmp_path / "new.txt").read_text("utf-8") in (TRADITIONAL, ENGLISH)


def test_what_is_no_file_is_not_named_in_a_command(tmp_path):
    with pytest.raises(CorpusError) as caught:
        load_ids(io.BytesIO(FRENCH.encode("latin-1")), Vocab("ab"))
    assert str(caught.value).startswith("standard input is not UTF-8: byte 0xf9 at offset 1, in line 1; it seems to be")
    assert str(caught.value).endswith("`iconv -f WINDOWS-1252 -t UTF-8 < old.txt > new.txt`")
    for split in ("train", "test"):
        written(tmp_path / f"ptb.{split}.txt", b"a b")
    bad = written(tmp_path / "ptb.valid.txt", FRENCH.encode("latin-1"))
    with pytest.raises(CorpusError) as caught:
        load_corpus("ptb", data_dir=tmp_path)
    assert str(caught.value).startswith(f"{bad} is not UTF-8: byte 0xf9")
    assert str(caught.value).endswith(f"`iconv -f WINDOWS-1252 -t UTF-8 < {bad} > new.txt`")


# What is no regular file


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "folder is a folder: expected a text file"),
        ("pipe", "pipe is a pipe: expected a text file (evaluate reads standard input where it is named -)"),
        ("/dev/ptmx", "/dev/ptmx is a device: expected a text file"),
        ("endless", "endless is a device: expected a text file"),
        ("circle", "circle cannot be read or is damaged (Too many levels of symbolic links)"),
        ("dangling", "dangling cannot be read or is damaged (No such file or directory)"),
    ],
)
def test_only_regular_files_are_read(tmp_path, name, message):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for link, target in (("endless", "/dev/zero"), ("circle", "circle"), ("dangling", "nowhere")):
        (tmp_path / link).symlink_to(target)
    vocab = Vocab("ab")
    for read in (
        load_corpus,
        load_text,
        lambda path: load_ids(path, vocab),
        lambda path: next(load_lines(path, vocab)),
    ):
        with pytest.raises(CorpusError) as caught:
            read(tmp_path / name)
        assert message in str(caught.value)


def header(name, size, kind):
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_a_tar_archive_with_a_name_without_end_takes_no_memory(tmp_path, kind):
    path = tmp_path / "simple-examples.tgz"
    with gzip.open(path, "wb") as file:
        file.write(header("././@LongLink", 2**32, kind))
        for _ in range(2 * MAX_HEADERS // 2**20):
            file.write(bytes(2**20))
    tracemalloc.start()
    try:
        with pytest.raises(CorpusError, match="simple-examples.tgz has more than 16,777,216 bytes of names"):
            read_texts(path, ["ptb.train.txt"])
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_a_tar_archive_that_unpacks_to_too_much_is_refused_before_it_does(tmp_path):
    path = tmp_path / "simple-examples.tgz"
    with gzip.open(path, "wb") as file:
        file.write(header("large", 2**33, tarfile.REGTYPE))
    with pytest.raises(CorpusError, match="simple-examples.tgz has more than 1,073,741,824 bytes, unpacked"):
        read_texts(path, ["ptb.train.txt"])


# Line ends

ENDS = {"LF": "\n", "CR LF": "\r\n", "CR": "\r", "VT": "\v", "NEL": "\x85", "LS": "\u2028", "PS": "\u2029"}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
@pytest.mark.parametrize(
    "options", [{}, {"lines": True}, {"level": "word"}, {"level": "bigram"}, {"lines": True, "max_tokens": 5}], ids=str
)
def test_every_line_end_is_read_as_one(tmp_path, monkeypatch, end, options):
    monkeypatch.setattr(texts, "PIECE", 4)  # so that pieces end within line ends and characters
    same = load_text(written(tmp_path / "a.txt", "甲乙丙\n\n丁甲 \n乙\n丙".encode()), **options)
    other = load_text(written(tmp_path / "b.txt", "甲乙丙\n\n丁甲 \n乙\n丙".replace("\n", end).encode()), **options)
    assert other.vocab == same.vocab and other.train.tolist() == same.train.tolist()
    if "max_tokens" not in options:
        ids, _ = load_ids(tmp_path / "b.txt", same.vocab, options.get("lines", False))
        assert ids.tolist() == same.train.tolist()


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_every_corpus_of_the_table_reads_line_ends_alike(tmp_path, end, unverified):
    unverified("couplets")
    for name, member in (("couplets", "tang_couplets.txt"), ("jaychou", "jaychou_lyrics.txt")):
        written(tmp_path / member, f"甲乙{end}丙丁{end}".encode())
        kept = "\n" if name == "couplets" else " "
        corpus = load_corpus(name, tmp_path)
        assert corpus.vocab.decode(corpus.train) == f"甲乙{kept}丙丁{kept}"
    for split in ("train", "valid", "test"):
        written(tmp_path / f"ptb.{split}.txt", f"a b{end}b{end}".encode())
    corpus = load_corpus("ptb", tmp_path)
    assert corpus.vocab.decode(corpus.valid) == "a b <eos> b <eos>"


def test_a_mark_in_the_middle_is_no_character_and_a_new_page_is_a_space():
    assert with_line_feeds("\ufeffone\r\n\ufefftwo\fthree") == "one\ntwo three"
    assert with_line_feeds("one\r\r\ntwo\n\rthree") == "one\n\ntwo\n\nthree"


def test_line_ends_in_a_prefix_are_read_as_in_the_corpus(tmp_path):
    corpus = load_text(written(tmp_path / "a.txt", b"one\ntwo\nten\n"))
    assert corpus.vocab.encode("one\r\ntwo").tolist() == corpus.vocab.encode("one two").tolist()
    with pytest.raises(UnknownTokenError, match=r"unknown character 'z' \(U\+007A\) at position 4: expected"):
        corpus.vocab.encode("one\r\nz")
    lines = Vocab("one\ntwo\n")
    assert lines.decode(lines.encode("two\rone")) == "two\none"


def test_a_model_continues_a_prefix_of_two_lines(tmp_path):
    from tiny import tiny_model

    vocab = load_text(written(tmp_path / "a.txt", b"one\ntwo\nten\n")).vocab
    model = tiny_model(len(vocab), kind="scratch", cell="rnn")
    assert predict("one\ntwo", 5, model, vocab) == predict("one two", 5, model, vocab)


# How much of a file is read


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 7, 64])
@pytest.mark.parametrize("level", ["char", "word", "bigram", "lines"])
def test_a_beginning_is_what_the_whole_text_begins_with(tmp_path, monkeypatch, piece, level):
    content = " 甲乙 丙\r\n\r\n  \r丁 ab c\n" * 3
    options = {"lines": True} if level == "lines" else {"level": level}
    path = written(tmp_path / "a.txt", content.encode())
    whole = load_text(path, **options)
    tokens = [whole.vocab.idx_to_token[i] for i in whole.train]
    monkeypatch.setattr(texts, "PIECE", piece)
    for n in range(6, len(tokens) + 3):
        corpus = load_text(path, max_tokens=n, **options)
        found = [corpus.vocab.idx_to_token[i] for i in corpus.train]
        kept = "".join(tokens[:n]).rfind("\n") + 1 if level == "lines" else n
        assert found == tokens[:kept]


def test_a_large_text_is_read_only_as_far_as_it_is_kept(tmp_path):
    path = tmp_path / "large.txt"
    with open(path, "wb") as file:
        for _ in range(30):
            file.write("雨下整夜，我的爱溢出就像雨水。\n".encode() * 20_000)
    os.truncate(path, texts.MAX_CORPUS + 1)  # what follows are NULs, which would be refused
    tracemalloc.start()
    try:
        for options in ({}, {"level": "word"}, {"lines": True}):
            assert 900 < len(load_text(path, max_tokens=1000, **options).train) <= 1000
        assert len(load_ids(path, load_text(path, max_tokens=1000).vocab, max_tokens=700)[0]) == 700
        assert next(load_lines(path, load_text(path, max_tokens=1000).vocab)).text == "雨下整夜，我的爱溢出就像雨水。"
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_a_text_of_characters_takes_no_list_of_them():
    text = "雨下整夜，我的爱溢出就像雨水。\n" * 150_000
    tracemalloc.start()
    try:
        Vocab(text)
        assert tracemalloc.get_traced_memory()[1] < 2**22  # a list has 19 million bytes of pointers alone
    finally:
        tracemalloc.stop()


def test_a_text_that_does_not_fit_into_the_memory_is_told_so(tmp_path, monkeypatch):
    def add(*_):
        raise MemoryError

    monkeypatch.setattr(KeptNumbers, "add", add)
    with pytest.raises(CorpusError, match="a.txt does not fit into the memory: keep less of it, --max-tokens"):
        load_text(written(tmp_path / "a.txt", b"text"))


def test_white_space_alone_is_no_text():
    with pytest.raises(CorpusError, match="a.txt is empty: expected text"):
        decode(io.BytesIO(b" \n\f\n"), "a.txt")
    with pytest.raises(CorpusError, match="a.txt begins with 9 characters of white space: expected text"):
        decode(io.BytesIO(b" " * 9), "a.txt", until=lambda piece: True)


# Texts in the vocabulary of a model


@pytest.mark.parametrize(
    ("level", "text", "message"),
    [
        ("char", "ab\nba\n\nabz", "in line 4: expected only what is among the 3 tokens"),
        ("word", "ab\nba\n\nab z", "unknown word 'z' in line 4"),
        ("bigram", "abab\r\nab\n\nzz", ""),
        ("lines", "ab\n\n  \n z\n", "unknown character 'z' (U+007A) in line 4"),
    ],
)
def test_an_unknown_token_is_told_with_its_file_and_line(tmp_path, level, text, message):
    known = {"char": Vocab("ab "), "word": Vocab("ab ba", "word"), "lines": Vocab("ab\n")}
    vocab = known.get(level) or Vocab(["ab", " a", "b ", "a"], "bigram")
    path = written(tmp_path / "a.txt", text.encode())
    for read in (lambda: load_ids(path, vocab, level == "lines"), lambda: list(load_lines(path, vocab))):
        with pytest.raises(UnknownTokenError) as caught:
            read()
        assert str(caught.value).startswith(f"{path}: unknown ") and "in line " in str(caught.value)
        if level != "bigram":
            assert message in str(caught.value)


def test_a_text_in_another_unicode_form_is_told_so():
    composed, decomposed = (unicodedata.normalize(form, "déjà été") for form in ("NFC", "NFD"))
    with pytest.raises(UnknownTokenError, match="unknown character .* in the Unicode form NFC: .*uconv -x any-nfc"):
        Vocab(composed).encode(decomposed)
    with pytest.raises(
        UnknownTokenError, match="which is in the Unicode form NFD: convert the text to it, `uconv -x any-nfd`"
    ):
        Vocab(decomposed).encode(composed)
    with pytest.raises(UnknownTokenError, match="Unicode form NFC"):
        Vocab(composed, "word").encode(decomposed)
    with pytest.raises(UnknownTokenError) as caught:
        Vocab(composed).encode("xyz")
    assert "Unicode" not in str(caught.value)


def test_the_lines_of_a_file(tmp_path, monkeypatch):
    path = written(tmp_path / "a.txt", "甲乙\r\n\n 乙 \n甲".encode())
    for piece in (1, 4, 2**20):
        monkeypatch.setattr(texts, "PIECE", piece)
        found = [(line.number, line.text, line.ids.tolist()) for line in load_lines(path, Vocab.from_list("甲乙"))]
        assert found == [(1, "甲乙", [0, 1]), (3, "乙", [1]), (4, "甲", [0])]
    words = Vocab.from_list(["the", "<unk>", "<eos>"], "word")
    found = [(line.ids.tolist(), line.unknown) for line in load_lines(written(path, b"the cat\nthe"), words)]
    assert found == [([0, 1], 1), ([0], 0)]
    letters = Vocab("time mach")
    assert [line.ids.tolist() for line in load_lines(written(path, b"TIME, mach\n1895\n"), letters, "timemachine")] == [
        letters.encode("time mach").tolist()
    ]
    with pytest.raises(D2lrnnError, match="a.txt is empty: expected text"):
        list(load_lines(written(path, b" \n\n"), letters))


def test_a_text_is_read_as_the_corpus_of_the_table_was(tmp_path):
    path = written(tmp_path / "a.txt", b"The Time-Machine,\n  by H.G. 1895")
    vocab = Vocab("the time machine by h g ")
    assert vocab.decode(load_ids(path, vocab, corpus="timemachine")[0]) == "the time machine by h g "
    assert vocab.decode(load_ids(path, vocab, corpus="timemachine", max_tokens=8)[0]) == "the time"
    kept = Vocab("ab\n")  # made in Python of a text with its line ends
    assert kept.decode(load_ids(written(path, b"a\r\n\r\nb"), kept)[0]) == "a\n\nb"
