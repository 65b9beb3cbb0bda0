"""The benchmarks beside the peers: they compute the same, and the pages have the figures of the sittings."""

import importlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
TINY = {
    "vocab_size": 11,
    "num_hiddens": 5,
    "num_layers": 2,
    "num_steps": 4,
    "batch_size": 3,
    "dropout": 0.0,
    "theta": 0.05,
    "lr": 3.0,
}


@pytest.fixture
def speed(monkeypatch):
    """Import a module of benchmarks/speed by its name."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return lambda name: importlib.import_module(f"speed.{name}")


def first_losses(speed, module, params):
    """The losses of six steps of an implementation."""
    work = speed(module).prepare("ours gluon", "training", params)
    return [work.run() for _ in range(6)]


@pytest.fixture(scope="module")
def losses_of_jax():
    """The same of JAX for every case, computed by its own environment: JAX needs NumPy 2, and MXNet NumPy 1."""
    python = ROOT / "benchmarks" / ".venv-jax" / "bin" / "python"
    if not python.exists():
        pytest.skip("benchmarks/.venv-jax, which make bench makes, is not there")
    program = (
        "import json, sys\nfrom speed.jax_peer import prepare\nfound = []\n"
        "for params in json.loads(sys.argv[1]):\n"
        "    work = prepare('jax', 'training', params)\n    found.append([work.run() for _ in range(6)])\n"
        "print(json.dumps(found))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "benchmarks"), "PJRT_NPROC": "1"}
    command = [str(python), "-c", program, json.dumps(list(CASES.values()))]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return dict(zip(CASES, json.loads(found)))


CASES = {
    f"{cell}, {'one-hot' if embed_size is None else 'embedding'}": {**TINY, "cell": cell, "embed_size": embed_size}
    for cell in ("rnn", "gru", "lstm")
    for embed_size in (None, 6)
}


@pytest.mark.parametrize("case", CASES)
def test_pytorch_has_our_losses(speed, case):
    pytest.importorskip("torch")
    expected = first_losses(speed, "ours", CASES[case])
    assert first_losses(speed, "torch_peer", CASES[case]) == pytest.approx(expected, rel=1e-5)
    assert expected[-1] < 0.999 * expected[0]


@pytest.mark.parametrize("case", CASES)
def test_jax_has_our_losses(speed, losses_of_jax, case):
    assert losses_of_jax[case] == pytest.approx(first_losses(speed, "ours", CASES[case]), rel=1e-5)


def sitting(cpu, ours, torch, date="2026-01-02 03:04 +0000"):
    """A sitting of one case and one round."""
    times = {"ours fast": [ours], "ours gluon": [2 * ours], "torch": [torch]}
    case = {"group": "lyrics", "name": "lstm one-hot", "unit": "ms", "flops": 1e9, "rounds": [{"times": times}]}
    return {"environment": {"cpu": cpu, "date": date}, "cases": {"lyrics/lstm one-hot": case}}


@pytest.mark.parametrize(
    ("cpu", "name", "file"),
    [
        ("AMD EPYC", "AMD EPYC", "speed_amd_epyc.json"),
        ("Intel(R) Xeon(R) Processor, family 6 model 207", "Intel Xeon", "speed_intel_xeon.json"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz, family 6 model 79", "Intel Xeon", "speed_intel_xeon.json"),
        ("AMD EPYC 7B13, family 25 model 1", "AMD EPYC 7B13", "speed_amd_epyc_7b13.json"),
    ],
)
def test_a_sitting_is_kept_by_its_processor(speed, cpu, name, file):
    results = sitting(cpu, 10, 20)
    assert speed("sittings").processor(results) == name
    assert speed("sittings").path_of(results, Path("there")) == Path("there") / file


class QuickSitting:
    """Finds the same times in every case."""

    def __init__(self, *_):
        pass

    def hello(self):
        return {}

    def run(self, case, result):
        result["rounds"].append({"times": {"ours fast": [7.0]}})

    def stop(self):
        pass


def test_cases_are_measured_again_within_a_sitting(speed, monkeypatch, tmp_path):
    command, cases = speed("command"), speed("cases").all_cases()
    monkeypatch.setattr(command, "Sitting", QuickSitting)
    monkeypatch.setattr(command, "make_peers", dict)
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    first, second = (case for case in cases if case.key in ("lyrics/rnn one-hot", "lyrics/gru one-hot"))
    options = speed("sitting").Options()
    whole = command.measure([first, second], options, 2, tmp_path, again=False)
    monkeypatch.setattr(
        QuickSitting, "run", lambda self, case, result: result["rounds"].append({"times": {"jax": [9]}})
    )
    command.measure([second], options, 2, tmp_path, again=True)
    (found,) = speed("sittings").read_sittings(tmp_path)
    assert found["environment"] == whole["environment"]
    assert [each["cases"] for each in found["again"]] == [[second.key]]
    assert found["cases"][first.key]["rounds"] == [{"times": {"ours fast": [7.0]}}]
    assert found["cases"][second.key]["rounds"] == [{"times": {"jax": [9]}}]


def test_the_worse_processor_is_quoted(speed, tmp_path):
    sittings = [sitting("AMD EPYC", 10, 20), sitting("Intel(R) Xeon(R) Processor, family 6 model 207", 30, 45)]
    page = tmp_path / "page.md"
    page.write_text("Before.\n\n| a training step, ms | old |\n|---|---|\n| old | 1 |\n\nAfter.\n")
    speed("quoted").put_into(page, sittings)
    assert page.read_text().splitlines() == [
        "Before.",
        "",
        "| a training step, ms | on | from scratch | compiled (`fast`) | on Gluon | book, scratch | book, Gluon "
        "| plain Gluon | PyTorch | JAX | times as fast as PyTorch | times as fast as JAX |",
        f"|{' --- |' * 12}",
        "| lyrics, lstm, one-hot | Intel Xeon |  | 30.0 | 60.0 |  |  |  | 45.0 |  | 1.50 |  |",
        "",
        "After.",
    ]


def test_the_processors_stand_side_by_side(speed):
    sittings = [sitting("AMD EPYC", 10, 20), sitting("Intel(R) Xeon(R) Processor, family 6 model 207", 30, 45)]
    report = speed("report")
    times, ratios = report.tables(sittings, report.cases_of(sittings, "lyrics"))
    assert times.splitlines()[0].count("2026-01-02") == 2
    assert "| lstm one-hot | ours fast | 10.0 | 10.0 to 10.0 | 30.0 | 30.0 to 30.0 |" in times
    assert "|  | torch | 20.0 | 20.0 to 20.0 | 45.0 | 45.0 to 45.0 |" in times
    assert "| lstm one-hot | ours fast | 2.00 | 1.50 |" in ratios


def test_the_pages_have_the_figures_of_the_sittings(speed):
    sittings = speed("sittings").read_sittings(RESULTS)
    assert (RESULTS / "speed.md").read_text() == speed("report").markdown(sittings), "benchmarks/speed.py --redraw"
    page = (ROOT / "docs" / "results.md").read_text()
    for title, lines in speed("quoted").tables(sittings).items():
        assert re.search(re.escape("\n".join(["", *lines, ""])), page), f"benchmarks/speed.py --redraw: {title}"


@pytest.mark.parametrize(
    ("page", "row", "count"),
    [
        ("README.md", r"\[speed\]", 1),
        ("README.zh.md", r"\[速度\]", 1),
        ("docs/results.md", "(?:a training step of|characters written a second,)", 4),
    ],
)
def test_summaries_quote_what_the_tables_of_the_results_quote(speed, page, row, count):
    quoted = speed("quoted").tables(speed("sittings").read_sittings(RESULTS))
    figures = {cell.strip() for lines in quoted.values() for line in lines for cell in line.split("|")}
    found = re.findall(rf"^\| {row}[^|]*\|(.*)\|$", (ROOT / page).read_text(), re.MULTILINE)
    assert len(found) == count
    for cells in found:
        numbers = re.findall(r"\d[\d,.]*\d", cells)
        assert numbers and {*numbers} <= figures
