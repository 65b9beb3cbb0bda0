import re

import numpy
import pytest
from lessons import number_after, section, table

from d2lrnn.evaluation import Candidates

PICTURES = ["sampled_softmax_gradient", "sampled_softmax_training"]


@pytest.mark.parametrize("data", ["sample_pairs", "cmn"], ids=["sample", "cmn"])
def test_lesson(run, data, request):
    if data == "cmn":
        request.getfixturevalue("real_data")
    text, names = run("sampled_softmax", "--data", data, pictures=PICTURES)
    vocab_size, n, full, logits, Y = (names[name] for name in ("vocab_size", "n", "full", "logits", "Y"))

    # By hand it is what the module computes.
    assert number_after(section(text, "What is dear"), "this is d2lrnn's cross-entropy: difference") < 2e-5
    drawing = section(text, "Candidates")
    assert number_after(drawing, "this is d2lrnn.evaluation.log_uniform: difference") < 1e-15
    assert "this is d2lrnn.evaluation.Candidates: the same candidates" in drawing
    assert number_after(drawing, "E differs by") < 1e-13
    assert names["often"] == pytest.approx(names["E_of_ranks"], abs=0.05)
    hits = section(text, "Accidental hits")
    assert number_after(hits, "this is d2lrnn.evaluation.sampled_losses: difference") < 2e-5
    assert number_after(hits, "it is the full loss: difference") < 1e-5
    assert number_after(section(text, "The gradient, on average"), "by autograd: difference") < 1e-5

    # "On average over the draws, the right side is the left side. Without the correction it is too small."
    exact, sums, plain = names["exps"].sum(), names["corrected"], names["plain"]
    assert abs(sums.mean() - exact) < 4 * sums.std() / len(sums) ** 0.5 and plain.mean() < exact
    counted, alone, double = (losses.mean() for losses in (full, names["losses"], numpy.array(names["twice"])))
    assert double > alone and abs(alone - counted) < abs(double - alone) + 1
    assert 0 < number_after(hits, f"{n} candidates hit") <= len(Y)

    # The mean gradient comes nearer with the draws, and with the candidates.
    distances = list(names["distances"].values())
    assert all(found[-1] < found[0] / 2 for found in distances)
    assert distances[0][-1] > distances[1][-1] > distances[2][-1]
    rows = re.search(r"rows with a gradient: (\d+) of", text)[1]
    assert int(rows) == len({*names["drawn"].ids.tolist(), *Y.tolist()}) < vocab_size

    # Both learn; the shape of the table alone for the times.
    learnt = table(text, "perplexity        in training")
    assert list(learnt) == ["full", "sampled"]
    assert all(last < first and last < vocab_size / 2 for _, first, last in learnt.values())
    assert learnt["full"][2] < learnt["sampled"][2]  # "more slowly"
    saved = section(text, "What it saves")
    assert list(names["times"]) == [1000, 8000] and "full ms  sampled ms" in saved

    # The solutions: uniform candidates spread more for most tokens; the loss is too small, by less and less.
    log_uniform, uniform, gaps = [], [], []
    for i in range(0, len(Y), max(len(Y) // 40, 1)):
        exps = numpy.exp(logits[i].astype("float64"))
        drawn = [numpy.random.permutation(vocab_size)[:n] for _ in range(100)]
        uniform.append(numpy.std([exps[ids].sum() * vocab_size / n for ids in drawn]))
        log_uniform.append(numpy.std([(exps[ids] / names["E"][ids]).sum() for ids in names["draws"][:100]]))
    assert numpy.mean(numpy.array(uniform) > log_uniform) > 0.5
    for size in (max(n // 4, 2), 2 * n):
        candidates, found = Candidates(vocab_size, size, first=2), []
        for _ in range(40):
            ids = candidates.draw().ids
            found.append(
                numpy.mean([names["sampled_loss"](logits[i], Y[i], ids, candidates.expected) for i in range(40)])
            )
        gaps.append(full[:40].mean() - numpy.mean(found))
    assert gaps[0] > gaps[1] > -0.02
