import re

import numpy
import pytest
from lessons import CHAPTERS, number_after, section

import d2lrnn

FIRST = {  # tokens with which the corpora begin
    "sample": ["雨", "从", "午"],
    "jaychou": ["想", "要", "有"],
    "ptb": ["aer", "banknote", "berlitz"],
}


@pytest.mark.parametrize("corpus", FIRST)
def test_lesson(run, corpus, request):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    text, names = run("language_model_data", "--corpus", corpus)
    given = d2lrnn.load_corpus(corpus, max_tokens=10_000)

    # "a line end becomes a space", the vocabulary
    assert "27 characters: '雨从午后下到傍晚 屋檐挂起一排水帘 你站在小街的那边 '" in text
    assert f"the first 40: {str(FIRST[corpus])[:-1]}, " in text
    found = [given.vocab.idx_to_token[i] for i in given.train]
    counts = numpy.unique(found, return_counts=True)[1]
    assert number_after(section(text, "A vocabulary"), "vocab_size") == len(counts)
    times = [found.count(token) for token in names["idx_to_token"][:50]]
    assert times == sorted(counts, reverse=True)[:50]
    assert "this is d2lrnn.Vocab: the same tokens True, the ids differ by 0\n" in text
    assert re.search(r"^a stranger: unknown (character|word) '☃'.* at position 0", text, re.MULTILINE)
    assert f"corpus_indices (10000,) of int32, the first: {given.train[:12].tolist()}" in text
    X, Y = re.findall(r"^[XY]  (\[.*\])$", section(text, "Examples and labels"), re.MULTILINE)
    assert (X, Y) == (str(found[:6]), str(found[1:7]))

    # The samplers on 0 to 29: all windows, and rows that go on.
    for title, expected in (("Random sampling", {0, 6, 12, 18}), ("Consecutive sampling", [0, 15, 6, 21])):
        rows = re.findall(r"^batch .  (.{17})   (.{17})$", section(text, title), re.MULTILINE)
        parts = [[[int(number) for number in part.split()] for part in row] for row in rows]
        assert len(parts) == 4
        for x, y in parts:
            assert x == list(range(x[0], x[0] + 6)) and y == [i + 1 for i in x]
        starts = [x[0] for x, _ in parts]
        assert (set(starts) if title == "Random sampling" else starts) == expected

    # "the two functions are the module's", "do not join"
    for module in ("data_iter_random", "data_iter_consecutive"):
        assert f"this is d2lrnn.{module}: 8 and 8 batches, difference 0\n" in text
    assert "what the module checks: the corpus has 30 ids; one batch of batch_size 6 x num_steps 6 needs 37" in text
    assert re.findall(r"together they stand in the text: (.*)$", text, re.MULTILINE) == ["False", "True"]

    # "the same in every digit"; "from step 7 on"
    gaps = {
        name: [float(gap) for gap in re.search(rf"^{name} +([\d. ]+)$", text, re.MULTILINE)[1].split()]
        for name in ("carried", "from zeros")
    }
    assert gaps["carried"] == [0] * 12
    assert gaps["from zeros"][:6] == [0] * 6 and gaps["from zeros"][6] > 0.1 and min(gaps["from zeros"][6:]) > 0

    # What is left out.
    rows = re.findall(
        r"^ +(\d+) +(\d+) +(\d+) +([\d.]+)% +(\d+) +([\d.]+)%$", section(text, "What is left out"), re.MULTILINE
    )
    assert len(rows) == 4
    for row in rows:
        batch_size, num_steps, random, share, consecutive, other = map(float, row)
        assert random == (9_999 // num_steps) // batch_size
        assert consecutive == (10_000 // batch_size - 1) // num_steps
        for number, percent in ((random, share), (consecutive, other)):
            assert percent == pytest.approx(number * batch_size * num_steps / 100, abs=0.06)


def test_the_first_solution(capsys):
    solution = (CHAPTERS / "language_model_data.py").read_text(encoding="utf-8").split("Solution 1</summary>")[1]
    code = re.search(r"```python\n(.*?)# ```", solution, re.DOTALL)[1].replace("\n# ", "\n").removeprefix("# ")
    samplers = {sampler.__name__: sampler for sampler in (d2lrnn.data_iter_random, d2lrnn.data_iter_consecutive)}
    exec(code, {**samplers, "my_seq": numpy.arange(30)})
    assert capsys.readouterr().out.splitlines() == [
        "data_iter_random: examples without [24, 25, 26, 27, 28, 29]",
        "data_iter_random: labels without [0, 25, 26, 27, 28, 29]",
        "data_iter_consecutive: examples without [12, 13, 14, 27, 28, 29]",
        "data_iter_consecutive: labels without [0, 13, 14, 15, 28, 29]",
    ]
