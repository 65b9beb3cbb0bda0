"""What is told of Python, packages, threads and variables."""

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest

import d2lrnn
from d2lrnn.diagnosis import environment
from d2lrnn.diagnosis.finding import BROKEN, NOTE, OK

PROJECT = (Path(d2lrnn.__file__).parents[1] / "pyproject.toml").read_text()


def test_this_python_fits():
    finding = environment.python()
    assert finding.state == OK and "3.9 to 3.12 fit" in finding.found
    assert finding.found.startswith(".".join(map(str, sys.version_info[:3])))


def test_another_python_is_broken_and_told_what_fits(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    finding = environment.python()
    assert finding.state == BROKEN and finding.found.startswith("d2lrnn needs Python 3.9 to 3.12, ")


def test_d2lrnn_is_told_with_its_place():
    finding = environment.version()
    assert finding.state == OK and re.fullmatch(r"\d+\.\d+\.\d+ in \S+/d2lrnn", finding.found)


# The packages


def asked_for(beginning):
    """Return the packages that a list of pyproject.toml asks for, in all Pythons."""
    lines = PROJECT[PROJECT.index(f"\n{beginning} = [\n") :].splitlines()[2:]
    found = [re.match(r' +"([\w-]+)([^"]*)"', line) for line in lines[: lines.index("]")]]
    return [match[1] for match in found if match and ";" not in match[2]]


def test_the_packages_are_those_of_pyproject():
    needed = {*environment.NEEDED, *environment.PAGE}
    assert {*asked_for("dependencies")} - {"mxnet", "numpy"} == needed
    assert asked_for("exchange") == [*environment.EXCHANGE] and asked_for("book") == [*environment.BOOK]


def without(*missing):
    def version_of(name):
        if name in missing:
            raise importlib.metadata.PackageNotFoundError(name)
        return "7.1"

    return version_of


def test_all_packages_with_their_versions():
    findings = [*environment.packages(without())]
    assert [finding.what for finding in findings] == ["packages", "for play", "for export", "for book"]
    assert {(finding.state, finding.remedy) for finding in findings} == {(OK, "")}
    assert findings[1].found == "tornado 7.1" and findings[0].found.startswith("d2l 7.1, ipython 7.1, matplotlib 7.1")


def test_what_is_missing_and_how_it_is_installed():
    packages, play, export, book = environment.packages(without("d2l", "tornado", *environment.EXCHANGE, "sphinx"))
    assert packages.state == play.state == BROKEN and export.state == book.state == NOTE
    assert packages.found.endswith("; not installed: d2l") and "requirements.txt" in packages.remedy
    assert play.found == "not installed: tornado" and "requirements.txt" in play.remedy
    assert export.found == "not installed: onnx, onnxruntime, safetensors" and "d2lrnn[exchange]" in export.remedy
    assert "make book" in book.remedy


# The threads and the variables


@pytest.mark.parametrize(
    ("environ", "state", "found", "remedy"),
    [
        ({}, OK, "MXNet takes 4; they spin, but sleep while other programs need a core", ""),
        ({"OMP_NUM_THREADS": ""}, OK, "MXNet takes 4; they spin, .*", ""),
        ({"OMP_NUM_THREADS": "2,1"}, OK, "MXNet takes 2 on 4 cores, as OMP_NUM_THREADS says; they spin, .*", ""),
        ({"OMP_NUM_THREADS": "9"}, NOTE, "MXNet takes 9 on 4 cores, as OMP_NUM_THREADS says", "unset OMP_NUM_THREADS"),
        ({"OMP_NUM_THREADS": "all"}, NOTE, "how many MXNet would take is not known", "correct OMP_NUM_THREADS"),
        (
            {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "7"},
            NOTE,
            "MXNet takes 4; they wait by OMP_WAIT_POLICY=passive and GOMP_SPINCOUNT=7, whatever other programs do",
            "without OMP_WAIT_POLICY and GOMP_SPINCOUNT d2lrnn chooses what is faster",
        ),
    ],
)
def test_the_threads(monkeypatch, environ, state, found, remedy):
    monkeypatch.setattr(environment, "usable_cores", lambda: 4)
    finding = environment.threads(environ)
    assert (finding.state, finding.remedy) == (state, remedy) and re.fullmatch(found, finding.found), finding.found


def test_variables_are_told_that_matter():
    environ = {
        **{"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": "5", "CUDA_VISIBLE_DEVICES": "1", "D2LRNN_DATA": "/a\x1b\n"},
        **{"LD_LIBRARY_PATH": "/" + "x" * 60, "LANG": "C", "PYTHONPATH": ""},
        **{"HOME": "/home/poet", "PASSWORD": "secret", "OMPUTER": "x", "MY_MXNET_KEY": "secret"},
    }
    finding = environment.variables(environ)
    assert finding.state == OK and finding.found == (
        rf"CUDA_VISIBLE_DEVICES=1 D2LRNN_DATA=/a\x1b\n GOMP_SPINCOUNT=5 LANG=C LD_LIBRARY_PATH=/{'x' * 39}... "
        "OMP_NUM_THREADS=2 PYTHONPATH="
    )
    assert environment.variables({"HOME": "/"}).found == "none is set that changes anything"


def test_a_variable_that_mxnet_cannot_read_is_broken():
    finding = environment.variables({"OMP_NUM_THREADS": "all"})
    assert finding.state == BROKEN and finding.found.startswith("the environment has OMP_NUM_THREADS='all', ")
    assert finding.found.endswith("run `unset OMP_NUM_THREADS`.")
