import re

import numpy
import pytest
from lessons import number_after, section, table

PICTURES = ["attention", "attention_reversed", "attention_sentence"]

# Characters of the shipped pairs, and the words that they translate.
WORDS = {
    **{"船": "boat", "鱼": "fish", "灯": "lamp", "鸟": "bird", "猫": "cat", "河": "river", "月": "moon", "歌": "song"},
    **{"渔": "fisherman", "画": "painter", "红": "red", "白": "white", "旧": "old", "老": "old"},
}


@pytest.mark.parametrize("data", ["sample_pairs", "cmn"])
def test_lesson(run, data, request):
    args = []
    if data == "cmn":
        request.getfixturevalue("real_data")
        args = ["--data", "cmn"]
    text, names = run("attention", *args, pictures=PICTURES)
    lengths, right, toy = (names[name] for name in ("lengths", "right", "toy"))

    # "The longer the row, the less of it comes out right", and with attention "the length matters much less".
    assert all(
        pair.target == pair.source[::-1] and len(set(pair.source)) == len(pair.source) for pair in toy.train.pairs
    )
    without, with_attention = ([right[name][length] for length in lengths] for name in ("without", "with"))
    assert without == sorted(without, reverse=True) and without[0] > 2 * without[-1]
    assert min(with_attention) > 0.75 and with_attention[-1] > 3 * without[-1]
    perplexities = {name: history.valid[-1] for name, history in names["histories"].items()}
    rows = table(section(text, "With attention beside without"), "attention  parameters")
    assert {name: row[1] for name, row in rows.items()} == pytest.approx(perplexities, abs=0.01)
    assert rows["with"][0] > rows["without"][0] and perplexities["with"] < perplexities["without"] / 2

    # Queries and keys: from the mean of all values to the value of one key.
    answers = re.findall(r"weights ([\d. ]+), answer (\S+)$", section(text, "Queries, keys and values"), re.MULTILINE)
    by_hand = [numpy.exp([0, 0, strength, 0]) for strength in (0, 1, 3, 10)]
    assert [float(answer) for _, answer in answers] == [
        pytest.approx(weights @ [10, 20, 30, 40] / weights.sum(), abs=0.01) for weights in by_hand
    ]
    assert answers[0][1] == "25.00" and answers[-1][1] == "30.00"

    # The scores, one pair of vectors at a time.
    h, s = names["outputs"][0][3].asnumpy(), names["S"][5, 3].asnumpy()
    (W_a,), (W_q, W_k, w_v) = (
        [array.asnumpy() for array in names["score_params"][kind]] for kind in ("general", "additive")
    )
    expected = {"dot": h @ s[: len(h)], "general": h @ W_a @ s, "additive": w_v @ numpy.tanh(W_q.T @ h + W_k.T @ s)}
    for kind, score in expected.items():
        assert names["scores"][kind][5, 3].item() == pytest.approx(score, rel=1e-4, abs=1e-5)

    # Padding has no weight, and a row alone has the weights that it has when padded.
    padding = section(text, "A softmax that leaves padding out")
    assert number_after(padding, "the largest weight of padding is") == 0
    assert number_after(padding, "the sums differ from 1 by") < 1e-6 > number_after(padding, "they differ by")
    assert number_after(padding, "without the mask, padding has") > 0.05
    row, length = map(int, re.search(r"^row (\d+) has (\d+) tokens", padding, re.MULTILINE).groups())
    assert length == min(lengths) and names["counted"][row].sum().item() == length
    assert names["alpha_alone"].shape == (length, 1)

    # By hand: the same as from scratch, on Gluon up to rounding.
    context = section(text, "The context")
    gaps = re.findall(
        r"^(\w+) +C .*C differs by (\S+), the weights by (\S+); Gluon: (\S+), weights (\S+)$", context, re.M
    )
    assert [kind for kind, *_ in gaps] == ["dot", "general", "additive"]
    for _, *by_scratch, gluon, its_weights in gaps:
        assert list(map(float, by_scratch)) == [0, 0] and 0 <= float(its_weights) < 1e-5 > float(gluon)
    assert number_after(context, "model from scratch: difference") == 0
    assert number_after(context, "from its twin on Gluon") < 1e-4

    # The diagonal.
    looks = section(text, "Where it looks")
    assert number_after(looks, "letters:") == pytest.approx(100 * names["share"], abs=0.06)
    share, weight, chance = (float(names[name]) for name in ("share", "weight", "chance"))
    assert share > 0.9 and weight > 0.75 > 0.3 > chance

    # Unknown characters are copied, "abc雨def" too.
    unknown = section(text, "Words that the model does not know")
    assert "abc雨def becomes " in unknown and "with copies fed雨cba; unknown: 雨" in unknown
    assert names["shares"]["without copies"] == 0 and names["shares"]["with copies"] > 0.5

    # Sentences: what is shown is of the data; a beam finds likelier translations.
    greedy, beam, new = names["greedy"], names["beam"], names["new"]
    assert len(greedy) == len(beam) == len(new) and names["shown"] in greedy
    total = [sum(one.log_prob for one in found) for found in (greedy, beam)]
    assert total[0] < total[1] and names["likelier"]
    assert sum(b.log_prob < a.log_prob - 1e-4 for a, b in zip(greedy, beam)) < len(names["likelier"])  # "seldom"
    for one in greedy:
        assert numpy.allclose(one.weights.sum(axis=1), 1, atol=1e-5) and one.weights.shape == (
            len(one.tokens),
            len(one.source),
        )
    if data == "sample_pairs":
        looked = [
            one.source[weights.argmax()] == WORDS[token]
            for one in greedy
            for token, weights in zip(one.tokens, one.weights)
            if token in WORDS and WORDS[token] in one.source
        ]
        assert len(looked) > 20 and numpy.mean(looked) > 0.6  # "most characters look at the word that they translate"

    # The cost, by counting.
    B, T = names["X"].shape
    steps, n = names["Y_in"].shape[1], names["lesson"].model.num_hiddens
    costs = section(text, "What it costs")
    assert names["all_weights"].size == steps * B * T and names["pairs"].shape == (steps, T, B, n)
    assert f"{steps * B * T:,} numbers" in costs and f"{steps * B * T * n:,}\n" in costs
    megabytes = [float(line.split()[-1]) for line in costs[costs.index("source  target") :].splitlines()[1:5]]
    assert megabytes == pytest.approx([4 * T * T * 64 * 256 / 1e6 for T in (12, 25, 50, 100)], abs=0.05)
