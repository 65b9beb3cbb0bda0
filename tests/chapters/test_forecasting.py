import re

import pytest
from lessons import number_after, section, table

PICTURES = [f"forecasting_{part}" for part in ("series", "training", "ahead", "paths", "made_up")]


@pytest.fixture
def lesson(run):
    """The lesson, run quickly."""
    return run("forecasting", pictures=PICTURES)


def test_lesson(lesson):
    text, names = lesson
    noise, scaling = names["noise"], names["scaling"]

    # The series: the module's; without noise six values forecast the next.
    series = section(text, "The series")
    assert number_after(series, "generated_series: difference") == 0
    assert number_after(series, "with an error of at most") < 1e-9

    # Windows: by hand and of the module; in order and at random.
    windows = section(text, "Windows")
    assert "reads [1 2 3 4], 1 ahead the labels are [[2], [3], [4], [5]]" in windows
    assert "reads [1 2 3 4], 2 ahead the labels are [[2, 3], [3, 4], [4, 5], [5, 6]]" in windows
    assert number_after(windows, "inputs_and_targets: difference") == 0
    in_order, at_random = (
        re.search(rf"^{way}: +windows from (.*) \.\.\.$", windows, re.M)[1].split() for way in ("in order", "at random")
    )
    assert in_order == [*map(str, range(8))] and at_random != sorted(at_random, key=int)

    # The scale: of the training alone, whatever comes later.
    scale = section(text, "A scale that knows nothing of what comes later")
    assert number_after(scale, "this is d2lrnn.Scaling: difference") == 0
    deviation = number_after(scale, ", deviation")
    assert number_after(scale, "deviation of the training") == deviation
    assert number_after(scale, "of the whole series") > 5 * number_after(scale, "in place of")

    # Two output layers: equal.
    layers = section(text, "Two output layers")
    assert number_after(layers, "(20, 20, 1): difference") < 1e-5
    assert (
        number_after(layers, "dense_at_each_step: difference")
        == 0
        == number_after(layers, "dense_over_all_steps: difference")
    )

    # Training: the module's loss; the error falls, not below the noise.
    training = section(text, "Training")
    assert number_after(training, "NextValues: difference") < 1e-7
    valid = names["history"].valid
    assert number_after(training, "the noise alone makes") == pytest.approx((noise / scaling.std[0]) ** 2, abs=1e-4)
    assert names["floor"] < valid[-1] < 0.8 * valid[0] and number_after(
        training, "\nerror in validation"
    ) == pytest.approx(valid[-1], abs=1e-4)

    # Against the baselines, by hand and by the module.
    better = section(text, "Is it better than no network?")
    network, naive, seasonal, linear = table(better, "      ").values()
    for name in ("naive", "seasonal_naive", "LinearAutoregression", "scores_of"):
        assert number_after(better, f"this is d2lrnn.{name}: difference") < 1e-9
    assert noise < linear[1] < network[1] < min(naive[1], seasonal[1])  # with --quick, as the lesson says
    assert naive[2] == pytest.approx(1, abs=0.02)

    # Further ahead.
    assert number_after(text, "d2lrnn.rollout: difference") < 1e-6
    ahead = table(section(text, "Further ahead"), "RMSE, steps ahead ")
    assert list(ahead) == list(names["rmse"])
    rollout, at_once, last, _ = ahead.values()
    assert min(rollout[2:]) > 1.3 * rollout[0] and last == sorted(last)
    assert all(soon < late for soon, late in zip(at_once[2:], rollout[2:])) and rollout[3] < last[3]

    # Bounds.
    sure = section(text, "How sure is a forecast?")
    assert number_after(sure, "; ") == pytest.approx(90, abs=2)
    assert number_after(sure, "30 steps ahead") > number_after(sure, "1 step ahead")

    # Made up.
    made_up = section(text, "A series of its own")
    ranges = re.findall(r"^from .*: values from (\S+) to ([^;]+);", made_up, re.MULTILINE)
    assert len(ranges) == 2 and all(-13 < float(low) < float(high) < 13 for low, high in ranges)  # of the series
