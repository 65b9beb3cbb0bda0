"""What is told of GPUs, with stand-ins for the driver."""

import pytest
from drivers import CARDS, StandIn

from d2lrnn.diagnosis.finding import NOTE, OK, Finding
from d2lrnn.diagnosis.gpus import gpus

INSTALL = "run `pip uninstall mxnet` and then `pip install -r requirements-gpu.txt`"


@pytest.fixture
def told(tmp_path):
    """Return a function that returns the driver's finding, and those of the GPUs."""

    def examine(build, *capabilities, on_cpu=False, **options):
        driver, *cards = gpus(build, on_cpu, StandIn(*capabilities, **options), tmp_path)
        return driver, cards

    return examine


def test_without_a_driver_there_is_nothing_to_do(tmp_path):
    for on_cpu in (True, False):
        found = [*gpus(None, on_cpu, "libnowhere.so.1", tmp_path)]
        assert found == [Finding(OK, "GPU", "none: no NVIDIA driver is installed")]


def test_a_driver_that_does_not_answer_is_noted(told):
    driver, cards = told("cu117", "8.6", init=999)
    assert driver == Finding(
        NOTE, "GPU", "the NVIDIA driver answers cuInit with error 999", "see whether `nvidia-smi` lists the GPUs"
    )
    assert cards == []


@pytest.mark.parametrize(
    ("capabilities", "options", "listed"),
    [((), {}, "no GPUs"), (("8.6",), {"init": 100}, "no GPUs"), (("8.6",), {}, "1 GPU")],
)
def test_the_driver_is_told(told, tmp_path, capabilities, options, listed):
    driver, cards = told("cu117", *capabilities, **options)
    assert driver == Finding(OK, "GPU", f"NVIDIA driver for CUDA 12.4, which lists {listed}")
    assert len(cards) == (listed == "1 GPU")
    (tmp_path / "module" / "nvidia").mkdir(parents=True)
    (tmp_path / "module" / "nvidia" / "version").write_text("535.104.05\n")
    assert told("cu117")[0].found == "NVIDIA driver 535.104.05 for CUDA 12.4, which lists no GPUs"


def test_a_driver_that_is_too_old_is_noted(tmp_path):
    class Old(StandIn):
        def cuDriverGetVersion(self, version):
            version._obj.value = 11020
            return 0

    assert [finding.state for finding in gpus("cu112", False, Old("8.6"), tmp_path)] == [OK, OK]
    driver, _ = gpus("cu117", False, Old("8.6"), tmp_path)
    assert driver.found.endswith("lists 1 GPU; mxnet-cu117 was made for CUDA 11.7")
    assert (driver.state, driver.remedy) == (NOTE, "update the driver")


def test_each_gpu_is_told_with_what_mxnet_can_do(told):
    _, (good, bad) = told("cu117", "8.9", "9.0")
    assert good == Finding(OK, "gpu:0", f"{CARDS['8.9']}, compute capability 8.9; mxnet-cu117 has machine code for it")
    assert bad.state == NOTE and bad.found.startswith(
        f"gpu:1 ({CARDS['9.0']}, compute capability 9.0) cannot be used: "
    )
    assert bad.remedy == "--ctx auto takes another GPU or the CPU"


def test_the_cpu_build_is_told_which_wheel_would_fit(told):
    _, cards = told(None, "5.2", "8.6", "10.0", on_cpu=True)
    assert [card.state for card in cards] == [NOTE] * 3
    assert [card.remedy for card in cards] == [INSTALL, INSTALL, ""]
    assert cards[1].found.endswith("capability 8.6; MXNet's CPU build does not use it, mxnet-cu117 can")
    assert cards[2].found.endswith("10.0; no wheel of MXNet 1.9.1 has machine code for it: the CPU is used")


def test_a_card_that_only_an_older_wheel_fits(told, monkeypatch):
    monkeypatch.setitem(CARDS, "3.5", "NVIDIA Tesla K40")
    _, (card,) = told(None, "3.5", on_cpu=True)
    assert card.found.endswith("mxnet-cu102 can") and card.remedy == "install mxnet-cu102==1.9.1 in its place"


def test_of_another_build_the_test_tells(told):
    _, (card,) = told(None, "9.0")
    assert card.state == OK and card.found.endswith("whether this build of MXNet can use it, its test tells")
