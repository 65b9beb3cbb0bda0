"""Files of sentence pairs, their splits and their ids."""

import hashlib
import io
import re
import zipfile
from dataclasses import replace

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2lrnn import CorpusError, CorpusNotFoundError, D2lrnnError
from d2lrnn.config import PAIR_NAMES
from d2lrnn.data.files import fetch
from d2lrnn.data.pair_files import MAX_CHARACTERS, Pair, PairsError, read_pairs
from d2lrnn.data.pair_sets import PAIR_SETS, load_pairs
from d2lrnn.data.pairs import PairForm, corpus_of_pairs, divided, encode_sentence, unknown_tokens
from d2lrnn.data.sentences import SPECIAL

GOOD = "Hi.\t你好。\nHi.\t嗨。\nRun!\t跑！\n"


def read(text):
    return read_pairs(io.BytesIO(text if isinstance(text, bytes) else text.encode()))


def made(count, repeated=1):
    """Return pairs of made-up sentences, each source sentence in two forms and with some translations."""
    sources = [f"Word {chr(97 + i % 26)}{i} here ." for i in range(count)]
    return [
        Pair(source if k % 2 else source.upper(), f"{i} {k}", 1 + i * repeated + k)
        for i, source in enumerate(sources)
        for k in range(repeated)
    ]


# Reading


def test_pairs_of_a_file():
    assert read(GOOD) == [Pair("Hi.", "你好。", 1), Pair("Hi.", "嗨。", 2), Pair("Run!", "跑！", 3)]


def test_further_columns_blank_rows_and_other_line_ends():
    text = "\ufeffGo.\u202f\t\xa0Va\u202f!\tCC-BY 2.0 (France) Attribution: #1 (CK)\r\n\r\n \t \r\nHi.\tSalut.\tx\ty"
    assert read(text) == [Pair("Go.", "Va !", 1), Pair("Hi.", "Salut.", 4)]


WRONG = {
    "no tab": (GOOD + "Stop.\n", "row 4 has no tab ('Stop.'): expected a sentence, a tab and its translation"),
    "commas": (GOOD + "Stop.,停。\n", "row 4 has no tab ('Stop.,停。'): are commas between its columns? Expected tabs"),
    "semicolons": (GOOD + '"No";"不"\n', 'row 4 has no tab (\'"No";"不"\'): are semicolons between its columns? Ex'),
    "bars": (GOOD + "Stop. ||| 停。\n", "row 4 has no tab ('Stop. ||| 停。'): are ||| between its columns?"),
    "spaces": (GOOD + "Stop.    停。\n", "row 4 has no tab ('Stop.    停。'): are spaces between its columns?"),
    "no sentence": (GOOD + "\t停。\n", "row 4 has an empty sentence: expected a sentence, a tab and its translation"),
    "no translation": (GOOD + "Stop.\t\n", "row 4 has an empty translation: expected a sentence"),
    "white space": (GOOD + "Stop.\t\u3000\u200b\tx\n", "row 4 has an empty translation"),
    "too long": (GOOD + f"{'a ' * 600}\t停。\n", "row 4 has a sentence of 1,199 characters: expected at most 1,000"),
    "a long translation": (GOOD + f"Stop.\t{'停' * 1001}\n", "row 4 has a translation of 1,001 characters"),
    "several": (GOOD + "a\nb\tc\nd\n\n\tf\n", "row 4 has no tab ('a'): expected a sentence, a tab and its"),
    "numbers": ("1276\tHi.\t4\t嗨。\n1277\tRun.\t9\t跑。\n", "has numbers in its first column: expected a sentence"),
    "nothing": ("", "is empty: expected text"),
    "blank rows": (" \n\n", "is empty: expected text"),
    "Latin-1": (GOOD.encode() + "Café.\tx\n".encode("latin-1"), "is not UTF-8: byte 0xe9 at offset 40, in line 4"),
    "GBK": ("他看见一条船。\t他说。\n".encode("gbk") * 9, "byte 0xcb at offset 0, in line 1; it seems to be GB18030"),
    "UTF-16": (GOOD.encode("utf-16"), "is not UTF-8: it seems to be UTF-16"),
    "NUL": (GOOD + "Stop\0.\t停。\n", "has the character NUL, first in line 4"),
    "an archive": (b"PK\3\4" + bytes(60), "is not UTF-8: it is a zip archive"),
    "a line end within a row": (GOOD + "Stop\u2028now.\t停。\n", "row 4 has no tab ('Stop')"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_wrong_gets_one_sentence(name):
    text, complaint = WRONG[name]
    with pytest.raises(CorpusError) as caught:
        read(text)
    assert complaint in str(caught.value) and str(caught.value).startswith("standard input")
    assert "\n" not in str(caught.value) and "\t" not in str(caught.value)


def test_other_wrong_rows_are_named_too():
    with pytest.raises(PairsError, match=r"^standard input, row 1 .*; wrong too: row 2$"):
        read("a\nb\nc\td\n")
    with pytest.raises(PairsError, match=r"row 1 has no tab .*; wrong too: row 2, 4, 5, 6, 7 and 2 more$"):
        read("a\nb\nc\td\n" + "e\n" * 6)


def test_what_a_row_has_is_shown_and_not_acted_on():
    with pytest.raises(PairsError) as caught:
        read("\x1b[31mStop\u202e" + "x" * 500)
    assert "\x1b" not in str(caught.value) and "\u202e" not in str(caught.value) and len(str(caught.value)) < 250


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_row_is_a_pair_or_an_error(source, target):
    try:
        pairs = read(f"{source}\t{target}\n".encode("utf-8", "surrogatepass"))
    except CorpusError:
        return
    assert all(pair.source and pair.target and len(pair.source) <= MAX_CHARACTERS for pair in pairs)


# Splits


@pytest.mark.parametrize(("count", "held_out"), [(9, 0), (57, 5), (2000, 200), (12_000, 1_000)])
def test_a_tenth_of_the_source_sentences_is_held_out_and_a_thousand_at_most(count, held_out):
    train, valid, test = divided(made(count))
    assert [len(train), len(valid), len(test)] == [count - 2 * held_out, held_out, held_out]


def test_the_division_is_a_fixed_permutation():
    pairs = made(30, repeated=2)
    order = numpy.random.RandomState(2014).permutation(30).tolist()
    train, valid, test = divided(pairs, 4)
    assert {(pair.row - 1) // 2 for pair in test} == set(order[:4]) and len(test) == 8
    assert {(pair.row - 1) // 2 for pair in valid} == set(order[4:8]) and len(valid) == 8
    assert [pair for pair in pairs if pair in train] == train and len(train) == 44
    assert divided(pairs, 4) == (train, valid, test)


few_sources = st.lists(st.sampled_from(["hi", "Hi", "H i", "HI", "a", "b", "b ", "c", "d", "e"]), min_size=6)


@given(few_sources, st.integers(0, 2))
def test_no_source_sentence_is_in_two_splits(sources, held_out):
    pairs = [Pair(source, str(i), i) for i, source in enumerate(sources)]
    different = {source.lower().replace(" ", "") for source in sources}
    if 2 * held_out >= len(different):
        with pytest.raises(D2lrnnError, match=f"has {len(different)} different source sentences, and twice {held_out}"):
            divided(pairs, held_out)
        return
    splits = [{pair.source.lower().replace(" ", "") for pair in split} for split in divided(pairs, held_out)]
    assert not splits[0] & splits[1] | splits[0] & splits[2] | splits[1] & splits[2]
    assert [len(split) for split in splits] == [len(different) - 2 * held_out, held_out, held_out]
    assert sum(len(split) for split in divided(pairs, held_out)) == len(pairs)


def test_the_division_does_not_hang_on_levels_or_lengths():
    pairs = made(50, repeated=2)
    forms = [PairForm(("word", "word")), PairForm(("char", "char"), min_count=9), PairForm(max_tokens=12)]
    first, *others = [corpus_of_pairs("made", pairs, form) for form in forms]
    for other in others:
        assert other.test.pairs == first.test.pairs and other.valid.pairs == first.valid.pairs
    swapped = corpus_of_pairs("made", pairs, PairForm(swap=True))
    assert swapped.test.pairs != first.test.pairs  # there the other column has the source sentences


# Ids


def test_ids_and_vocabularies_of_the_training_alone():
    pairs = [Pair("A b.", "甲乙"), Pair("a c.", "甲丙"), Pair("a b c", "甲乙")]
    corpus = corpus_of_pairs("abc", pairs, PairForm(held_out=0))
    assert corpus.source.idx_to_token == (*SPECIAL, "a", ".", "b", "c") and corpus.source.level == "word"
    assert corpus.target.idx_to_token == (*SPECIAL, "甲", "乙") and corpus.target.level == "char"
    assert [ids.tolist() for ids in corpus.train.sources] == [[4, 6, 5], [4, 7, 5], [4, 6, 7]]
    assert [ids.tolist() for ids in corpus.train.targets] == [[4, 5], [4, 3], [4, 5]]  # 3: <unk>, since 丙 comes once
    assert corpus.valid is None and corpus.test is None and corpus.split() == ("train", corpus.train)
    assert all(ids.dtype == numpy.int32 for ids in corpus.train.sources + corpus.train.targets)
    held = corpus_of_pairs("made", made(40), PairForm(min_count=1))
    seen = {token for pair in held.train.pairs for token in pair.source.lower().split()}
    assert set(held.source.idx_to_token) == {*SPECIAL, *seen}
    assert any(3 in ids for ids in held.test.sources) and not any(3 in ids for ids in held.train.sources)


def test_two_sides_with_one_vocabulary():
    pairs = [Pair("a b", "b c"), Pair("a", "c c")]
    corpus = corpus_of_pairs("abc", pairs, PairForm(min_count=1, held_out=0, one_vocab=True))
    assert corpus.source == corpus.target and corpus.source.idx_to_token == (*SPECIAL, "c", "a", "b")
    with pytest.raises(D2lrnnError, match="source has tokens of level 'word', the target of level 'char': expected"):
        corpus_of_pairs("abc", pairs, PairForm(("word", "char"), held_out=0, one_vocab=True))


def test_pairs_that_are_too_long_are_left_out_of_the_training_alone():
    pairs = [Pair("a " * (i % 5 + 1), "b") for i in range(5)] + made(40)
    corpus = corpus_of_pairs("made", pairs, PairForm(max_tokens=4, held_out=10))
    whole = corpus_of_pairs("made", pairs, PairForm(held_out=10))
    assert corpus.left_out == len(whole.train) - len(corpus.train) > 0 == whole.left_out
    assert max(map(len, corpus.train.sources)) == 4 and corpus.test.pairs == whole.test.pairs
    with pytest.raises(D2lrnnError, match="abc has no pair for .* at most 1 tokens a side: .* is --num-steps"):
        corpus_of_pairs("abc", [Pair("a b", "c")], PairForm(max_tokens=1))


def test_all_translations_of_a_sentence_are_kept():
    pairs = [Pair("Hi.", "甲"), Pair("Go.", "丙"), Pair("hi .", "乙"), Pair("Hi.", "甲")]
    sentences = corpus_of_pairs("abc", pairs, PairForm(held_out=0)).train.sentences()
    assert [(sentence.text, sentence.references) for sentence in sentences] == [("Hi.", ("甲", "乙")), ("Go.", ("丙",))]
    assert sentences[0].ids.tolist() == encode_sentence("Hi.", corpus_of_pairs("abc", pairs).source).tolist()


def test_a_sentence_that_was_never_seen_has_ids_and_what_is_unknown_in_it_is_told():
    vocab = corpus_of_pairs("abc", [Pair("Hi there, Tom.", "x")], PairForm(min_count=1)).source
    assert vocab.idx_to_token[4:7] == (",", ".", "hi")
    assert encode_sentence(" HI,\u202fMary Mary .", vocab).tolist() == [6, 4, 3, 3, 5]
    assert unknown_tokens("Mary, hi! Mary!", vocab) == ["mary", "!"]
    assert encode_sentence(" ", vocab).tolist() == unknown_tokens("", vocab) == []
    assert encode_sentence("<unk> <bos>", vocab).tolist() == [3] * 6  # nobody can write a special token


def test_the_digest_tells_pairs_vocabularies_and_splits_apart():
    pairs = made(40)
    forms = [PairForm(), PairForm(min_count=1), PairForm(swap=True), PairForm(("char", None)), PairForm(held_out=3)]
    digests = [corpus_of_pairs("made", pairs, form).digest() for form in forms]
    digests.append(corpus_of_pairs("made", [*pairs[1:], Pair("x", "y")]).digest())
    assert len(set(digests)) == 6 and digests[0] == corpus_of_pairs("another name", pairs).digest()


def test_splits_by_name():
    corpus = corpus_of_pairs("made", made(40))
    assert corpus.split() == ("test", corpus.test) and corpus.split("valid") == ("valid", corpus.valid)
    with pytest.raises(D2lrnnError, match="made has no split 'tset': expected train, valid, test"):
        corpus.split("tset")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"levels": ("bigram", None)}, "the level of a side is 'bigram': expected one of word, char"),
        ({"min_count": 0}, "min_count is 0: expected a whole number, at least 1"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"held_out": -1}, "held_out is -1: expected a whole number, at least 0"),
    ],
)
def test_forms_that_cannot_be(values, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        PairForm(**values)


# Pairs with a name, and the user's


def test_the_pairs_that_ship():
    corpus = load_pairs("sample_pairs")
    assert [len(corpus.train.sentences()), len(corpus.valid.sentences()), len(corpus.test.sentences())] == [92, 11, 11]
    assert (corpus.source.level, corpus.target.level) == ("word", "char")
    assert any(len(sentence.references) == 2 for sentence in corpus.test.sentences())
    swapped = load_pairs("sample_pairs", form=PairForm(swap=True))
    assert (swapped.source.level, swapped.target.level) == ("char", "word")
    assert swapped.train.pairs[0].target == "The fisherman sees a red boat."


def test_the_pairs_that_ship_are_no_pairs_of_tatoeba(real_data):
    shipped = fetch(PAIR_SETS["sample_pairs"].source)
    own, others = read_pairs(shipped), read_pairs(real_data / "cmn.txt")
    assert not {pair.source for pair in own} & {pair.source for pair in others}
    assert not {pair.target for pair in own} & {pair.target for pair in others} and len(others) == 20_133


def test_cmn_has_what_we_tell_of_it(real_data):
    corpus = load_pairs("cmn", real_data)
    assert [len(corpus.train), len(corpus.valid), len(corpus.test)] == [18_083, 1_022, 1_028]
    assert len(corpus.valid.sentences()) == len(corpus.test.sentences()) == 1_000
    assert (len(corpus.source), len(corpus.target)) == (3_531, 2_680)


def test_the_books_french_is_read_from_its_archive(tmp_path, offline, monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("fra-eng/_about.txt", "about")
        archive.writestr("fra-eng/fra.txt", "Go.\tVa\u202f!\nHi.\tSalut !\n" * 2)
    named = PAIR_SETS["fra-eng"]
    source = replace(named.source, sha1=hashlib.sha1(packed.getvalue()).hexdigest())
    (tmp_path / "fra-eng.zip").write_bytes(packed.getvalue())
    with pytest.raises(CorpusError, match="fra-eng.zip has the SHA-1 .*, expected 94646ad1522d915e7b0f"):
        load_pairs("fra-eng", tmp_path)
    monkeypatch.setitem(PAIR_SETS, "fra-eng", replace(named, source=source))
    assert load_pairs("fra-eng", tmp_path).target.idx_to_token == (*SPECIAL, "!", "salut", "va")
    (tmp_path / "fra-eng.zip").unlink()
    with pytest.raises(CorpusNotFoundError, match="https://d2l-data.s3-accelerate.amazonaws.com/fra-eng.zip elsewhere"):
        load_pairs("fra-eng", tmp_path)
    (tmp_path / "fra-eng").mkdir()
    (tmp_path / "fra-eng" / "fra.txt").write_text("Hi.\tSalut !\n" * 2)
    assert load_pairs("fra-eng", tmp_path).target.idx_to_token == (*SPECIAL, "!", "salut")


def test_a_file_of_the_user(tmp_path):
    path = tmp_path / "mine.tsv"
    path.write_text(GOOD, encoding="utf-8")
    corpus = load_pairs(path)
    assert (corpus.name, len(corpus.train), corpus.valid) == ("mine.tsv", 3, None)
    assert (corpus.source.level, corpus.target.level) == ("word", "char")
    for name in ("cnm", tmp_path / "none.txt"):
        complaint = f"{str(name)!r} names no sentence pairs and is no file: expected one of {', '.join(PAIR_NAMES)}, "
        with pytest.raises(CorpusNotFoundError, match=re.escape(complaint)):
            load_pairs(name)
    with pytest.raises(CorpusNotFoundError, match=r"did you mean cmn\?$"):
        load_pairs("cnm")
    with pytest.raises(CorpusError, match=f"{tmp_path} is a folder: expected a text file"):
        load_pairs(tmp_path)
