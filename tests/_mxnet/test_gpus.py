"""What the NVIDIA driver says of its cards, and which of them MXNet's wheels have machine code for."""

import shutil

import pytest
from drivers import CARDS, StandIn, compiled

from d2lrnn._mxnet.gpus import (
    CODE,
    Driver,
    DriverError,
    Gpu,
    NoDriverError,
    ask_driver,
    has_code,
    in_words,
    installed_build,
    no_code,
)


def capability_of(text):
    major, minor = text.split(".")
    return int(major), int(minor)


@pytest.fixture(params=["in Python", "compiled"])
def driver(request, tmp_path):
    """Return a function that makes a driver with cards of these compute capabilities."""
    if request.param == "in Python":
        return StandIn
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc to make a library with")
    return lambda *capabilities, **options: str(compiled(tmp_path, *capabilities, **options))


@pytest.mark.parametrize("cards", [("9.0",), ("8.6", "10.0"), tuple(CARDS), ()], ids=" ".join)
def test_the_driver_is_asked_for_every_card(driver, cards):
    expected = tuple(Gpu(CARDS[card], capability_of(card)) for card in cards)
    assert ask_driver(driver(*cards)) == Driver((12, 4), expected)


def test_a_driver_without_a_device_lists_none(driver):
    assert ask_driver(driver("8.6", init=100)) == Driver((12, 4), ())


@pytest.mark.parametrize("status", [3, 999])
def test_a_driver_that_does_not_answer(driver, status):
    with pytest.raises(DriverError, match=f"^the NVIDIA driver answers cuInit with error {status}$"):
        ask_driver(driver("8.6", init=status))


def test_no_driver_and_a_library_that_is_none(tmp_path):
    with pytest.raises(NoDriverError, match="^no NVIDIA driver is installed .*nowhere.so.1"):
        ask_driver("libnowhere.so.1")
    with pytest.raises(DriverError, match="^the NVIDIA driver has no function cuDriverGetVersion$"):
        ask_driver(object())


@pytest.mark.parametrize(
    ("build", "fit"),
    [
        ("cu102", {"5.2", "7.5"}),
        ("cu110", {"5.2", "7.5", "8.0", "8.6", "8.9"}),
        ("cu112", {"5.2", "7.5", "8.0", "8.6", "8.9"}),
        ("cu117", {"5.2", "7.5", "8.0", "8.6", "8.9"}),
    ],
)
def test_which_cards_a_wheel_has_code_for(build, fit):
    assert {card for card in CARDS if has_code(build, capability_of(card))} == fit


def test_older_code_runs_on_newer_cards_of_the_same_kind_alone():
    assert has_code("cu102", (3, 7)) and not has_code("cu102", (2, 1)) and not has_code("cu117", (3, 7))
    assert not has_code("cu102", (8, 0)) and not has_code("cu117", (12, 0))
    assert set(CODE) == {"cu102", "cu110", "cu112", "cu117"}


def test_the_sentence_says_what_is_there_and_what_would_fit():
    h100 = Gpu("NVIDIA H100", (9, 0))
    assert no_code(1, h100, "cu117") == (
        "gpu:1 (NVIDIA H100, compute capability 9.0) cannot be used: mxnet-cu117 1.9.1 has machine code for compute "
        "capability 5.0, 6.0, 7.0, 8.0 and 8.6 alone"
    )
    assert no_code(0, None, "cu110").startswith("gpu:0 cannot be used: mxnet-cu110 1.9.1 has machine code for ")
    assert no_code(0, h100, None).endswith("9.0) cannot be used: this build of MXNet has no machine code for it")
    assert in_words([(8, 9)]) == "8.9"


@pytest.mark.parametrize(
    ("packages", "build"),
    [
        ([], None),
        (["mxnet-1.9.1"], None),
        (["mxnet_cu117-1.9.1", "numpy-1.26.4"], "cu117"),
        (["mxnet_cu110-1.9.1", "mxnet-1.9.1"], "cu110"),
        (["mxnet_cu110-1.9.1", "mxnet_cu117-1.9.1"], None),
        (["mxnet_cu110-1.8.0"], None),
        (["mxnet_cu118-1.9.1"], None),
    ],
)
def test_which_wheel_is_installed(tmp_path, packages, build):
    for package in packages:
        name, version = package.split("-")
        (tmp_path / f"{package}.dist-info").mkdir()
        about = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
        (tmp_path / f"{package}.dist-info" / "METADATA").write_text(about)
    assert installed_build([str(tmp_path)]) == build
    assert installed_build() is None or installed_build() in CODE
