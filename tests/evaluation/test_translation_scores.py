"""BLEU and chrF: numbers that were computed by hand."""

import math
import sys

import pytest

from d2lrnn import D2lrnnError
from d2lrnn.evaluation.translation_scores import bleu, chrf, scores_by_length

# Of the words, pairs, runs of three and of four, 4 of 5, 3 of 4, 2 of 3 and 1 of 2 are in the reference.
FOUR_OF_FIVE = 100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25


def test_bleu_by_hand():
    assert bleu(["a b c d e"], [["a b c d f"]]).value == pytest.approx(FOUR_OF_FIVE)
    assert bleu(["a b c d"], [["a b c d e"]]).value == pytest.approx(100 * math.exp(1 - 5 / 4))  # too short
    assert bleu(["The cat is here, Tom."], [["The cat is here, Tom."]]).value == pytest.approx(100)
    assert bleu([""], [["a b c d"]]).value == bleu(["x"], [["a b c d"]]).value == 0


def test_counts_are_of_the_whole_test():
    found = bleu(["a b c d e", "v w x y z"], [["a b c d f"], ["v w x y z"]])
    assert found.value == pytest.approx(100 * (9 / 10 * 7 / 8 * 5 / 6 * 3 / 4) ** 0.25)


def test_in_chinese_a_character_is_a_word():
    assert bleu(["一二三四五"], [["一二三四六"]], "zh").value == pytest.approx(FOUR_OF_FIVE)
    assert bleu(["一二三四五"], [["一二三四六"]], "char").value == pytest.approx(FOUR_OF_FIVE)
    assert bleu(["一二三四五"], [["一二三四六"]]).value == 0  # one word, and a wrong one


def test_any_of_several_references_will_do():
    assert bleu(["a b c d e"], [["a b c d f", "x b c d e"]]).value == pytest.approx(100)
    several = bleu(["a b c d e", "v w x y z"], [["a b c d f", "x b c d e"], ["v w x y z"]])
    assert several.value == pytest.approx(100) and "nrefs:var|" in several.signature
    assert chrf(["abd", "xyz"], [["abc", "abd"], ["xyz"]]).value == pytest.approx(100)


def test_chrf_by_hand():
    # Of the characters, pairs and runs of three, 2 of 3, 1 of 2 and 0 of 1 are in the reference.
    assert chrf(["abc"], [["abd"]]).value == pytest.approx(100 * (2 / 3 + 1 / 2 + 0) / 3)
    assert chrf(["a b"], [["ab"]]).value == pytest.approx(100)  # spaces do not count


def test_capital_letters_count_unless_they_shall_not():
    assert bleu(["i see a cat"], [["I see a Cat"]]).value < 100
    assert bleu(["i see a cat"], [["I see a Cat"]], lowercase=True).value == pytest.approx(100)
    assert chrf(["i see"], [["I See"]]).value < chrf(["i see"], [["I See"]], lowercase=True).value == pytest.approx(100)


def test_the_signature_says_what_a_score_was_computed_with():
    import sacrebleu

    version = f"version:{sacrebleu.__version__}"
    assert bleu(["a"], [["a"]]).signature == f"BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|{version}"
    found = bleu(["一"], [["一", "二"]], "zh", lowercase=True)
    assert found.signature == f"BLEU|nrefs:2|case:lc|eff:no|tok:zh|smooth:exp|{version}"
    assert chrf(["a"], [["a"]]).signature == f"chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|{version}"


def test_scores_by_the_length_of_the_source():
    translations = ["a b c d e", "v w x y z", "v w x y z", "a b c d e"]
    references = [["a b c d f"], ["v w x y z"], ["v w x y z"], ["a b c d e"]]
    found = scores_by_length(translations, references, [4, 5, 6, 30], ends=(4, 6, 8))
    assert [(scores.least, scores.most, scores.sentences) for scores in found] == [(1, 4, 1), (5, 6, 2), (9, None, 1)]
    assert [scores.bleu for scores in found] == pytest.approx([FOUR_OF_FIVE, 100, 100])
    assert found[0].chrf == pytest.approx(chrf(translations[:1], references[:1]).value)
    usual = scores_by_length(translations, references, [5, 6, 20, 21])
    assert [(scores.least, scores.most) for scores in usual] == [(1, 5), (6, 10), (16, 20), (21, None)]


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: bleu([], []), "there are 0 translations, and references for 0 sentences: expected as many, at least"),
        (lambda: bleu(["a"], [["a"], ["b"]]), "there are 1 translations, and references for 2 sentences"),
        (lambda: bleu(["a", "b"], [["a"], []]), r"the references of sentence 2 are \[\]: expected several texts, or"),
        (lambda: chrf(["a"], ["a"]), "the references of sentence 1 are 'a': expected several texts, or one"),
        (lambda: bleu(["a"], [["a"]], "ja"), "unknown tokenizer 'ja': expected one of 13a, zh, char"),
        (lambda: scores_by_length(["a"], [["a"]], []), "there are 1 translations and 0 lengths: expected as many"),
    ],
)
def test_what_cannot_be_scored(call, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        call()


def test_without_sacrebleu_one_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    for score in (bleu, chrf):
        with pytest.raises(D2lrnnError, match="sacrebleu is not installed, .*: run `pip install sacrebleu`$"):
            score(["a"], [["a"]])
