import re

import numpy
import pytest
from lessons import number_after, section, table

import d2lrnn

REDUCED = ["--num-epochs", "2", "--num-hiddens", "16", "--pred-len", "20"]  # 10,000 words take long


@pytest.mark.parametrize("corpus", ["sample", "jaychou", "ptb"])
def test_lesson(run, corpus, request):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    pictures = ["decoding_temperature", "decoding_strategies"]
    text, names = run("decoding_strategies", "--corpus", corpus, *REDUCED * (corpus == "ptb"), pictures=pictures)
    vocab, prefix, num_preds = names["vocab"], names["prefix"], names["num_preds"]

    # What is written by hand is what the module writes.
    assert text.count("writes the same: True") == 2 and text.count("finds the same: True") == 3
    assert "False" not in text
    assert ("d2lrnn.acrostic writes the same ten texts: True" in text) == (corpus != "ptb")
    assert number_after(text, "this is d2lrnn.generation.distribution: difference") < 1e-15
    gaps = re.search(r"differences from the module: (\S+), (\S+)$", text, re.MULTILINE).groups()
    assert max(map(float, gaps)) < 1e-15

    # The choice of one step: the perplexity and the share of unlikely tokens grow with the temperature.
    choices = re.findall(
        r"^(temperature \S+|top-k 10|nucleus 0.9) +([\d,]+) +([\d.]+) +(0\.\d+)   ", text, re.MULTILINE
    )
    kept = {name: int(count.replace(",", "")) for name, count, *_ in choices}
    perplexities, shares = ([float(choice[i]) for choice in choices[:3]] for i in (2, 3))
    assert 1 <= perplexities[0] < perplexities[1] < perplexities[2] < len(vocab)
    assert shares[0] < shares[1] < shares[2]
    assert (kept["temperature 1"], kept["top-k 10"]) == (len(vocab), 10)
    p = sorted(names["by_temperature"]["temperature 1"], reverse=True)
    assert sum(p[: kept["nucleus 0.9"]]) >= 0.9 > sum(p[: kept["nucleus 0.9"] - 1])
    for name, T in (("temperature 0.5", 0.5), ("temperature 1.5", 1.5)):
        expected = names["by_temperature"]["temperature 1"] ** (1 / T)
        numpy.testing.assert_allclose(names["by_temperature"][name], expected / expected.sum(), rtol=1e-9)

    # Beam search: width 1 is greedy search, a beam of 8 often finds a likelier text; log p is that of the text.
    found = re.findall(r"^width (\d), log p +(-[\d.]+): (.*)$", text, re.MULTILINE)
    assert [width for width, *_ in found] == ["1", "2", "8"]
    for _, log_p, written in found:
        ids = vocab.encode(written if vocab.level == "word" else written[-20 - len(prefix) :]).tolist()
        assert float(log_p) == pytest.approx(sum(log_probs(names, ids)[-20:]), abs=1e-3)
    assert names["greedy"].startswith(found[0][2]) and float(found[0][1]) <= float(found[2][1])
    assert corpus != "sample" or float(found[0][1]) < float(found[2][1])

    # The table: likely texts are copied, or circles; the others lie between.
    rows = table(text, "strategy  ")
    assert list(rows) == list(names["strategies"]) and len(rows) == 8
    log_p, once, twice, copied = zip(*rows.values())
    greedy, penalty, beam, cool, plain, hot, top_k, nucleus = log_p
    assert min(greedy, beam) > cool > plain > hot and max(greedy, beam) > max(top_k, nucleus)
    assert min(top_k, nucleus) > plain
    greedy, penalty, beam, cool, plain, hot, top_k, nucleus = copied
    assert min(greedy, beam) >= cool >= plain >= hot and min(greedy, beam) >= max(top_k, nucleus) and hot <= 0.3 * plain
    if corpus != "ptb":
        assert min(greedy, beam) > 0.8 and min(top_k, nucleus) > plain > hot
    ids = vocab.encode(names["greedy"]).tolist()
    pairs = list(zip(ids, ids[1:]))
    assert rows["greedy"] == pytest.approx(
        [
            numpy.mean(log_probs(names, ids)[-num_preds:]),
            len(set(ids)) / len(ids),
            len(set(pairs)) / len(pairs),
            d2lrnn.novelty(names["greedy"], names["lesson"].corpus).copied_tokens,
        ],
        abs=6e-4,
    )

    # The likeliest line: the length penalty favours longer lines, which are less likely.
    lines = re.findall(r"^ +(\d+) +(\d\.\d) +(\d+) +(-[\d.]+) +(-[\d.]+)   ", text, re.MULTILINE)
    assert [(int(width), float(alpha)) for width, alpha, *_ in lines] == [
        *((1, 0), (4, 0), (16, 0)),
        *((16, 0.5), (16, 1), (16, 2)),
    ]
    counts, log_ps = [int(line[2]) for line in lines[2:]], [float(line[3]) for line in lines[2:]]
    assert counts == sorted(counts) and log_ps == sorted(log_ps, reverse=True)
    for _, _, count, log_p, per_token in lines:
        assert float(per_token) == pytest.approx(float(log_p) / int(count), abs=0.006)

    # The acrostic: the heads and the line ends are where the rule wants them, and the model did not expect the heads.
    acrostic = section(text, "Rules: an acrostic")
    heads, others = (number_after(acrostic, f"log p of {what} ") for what in ("heads", "others"))
    assert heads < others and (corpus == "ptb" or number_after(acrostic, "log p of line ends ") < others)
    for sample in names["samples"]:
        lines = [
            [vocab.idx_to_token[i] for i in sample.ids[start : start + 8]] for start in range(0, len(sample.ids), 8)
        ]
        assert [line[0] for line in lines] == [vocab.idx_to_token[i] for i in names["heads"]]
        assert [line[7] for line in lines[:-1]] == [names["line_end"]] * (len(lines) - 1)
        assert all(token.isalnum() for line in lines for token in line[:7])


def log_probs(names, ids):
    """Return the log-probability of each token after the first, by one pass of the model over the whole text."""
    X = d2lrnn._runtime.mx.np.array([ids[:-1]], dtype="int32")
    logits, _ = names["model"](X, names["model"].begin_state(1))
    logits = logits.asnumpy().astype("float64")
    shifted = logits - logits.max(axis=1, keepdims=True)
    return (shifted - numpy.log(numpy.exp(shifted).sum(axis=1, keepdims=True)))[range(len(ids) - 1), ids[1:]]
