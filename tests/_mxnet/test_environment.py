"""What MXNet reads from the environment is checked before MXNet, which ends the process, sees it."""

import pytest
from fresh_python import PRINT_THREADS, only_line, python

from d2lrnn._mxnet.environment import (
    CHOICES,
    NUMBERS,
    SWITCHES,
    UnsupportedPlatformError,
    check_docstrings,
    check_environment,
)


def complaint_about(name, value):
    with pytest.raises(UnsupportedPlatformError) as caught:
        check_environment({name: value})
    return only_line(str(caught.value))


@pytest.mark.parametrize(
    "value", ["all", "0", "-1", "1000000000", "2.5", "0x2", "9" * 20, "4,", ",4", "4,x", "2,0", "٤"]
)
def test_a_number_of_threads_that_cannot_be_is_refused(value):
    assert complaint_about("OMP_NUM_THREADS", value) == (
        f"the environment has OMP_NUM_THREADS={value!r}, which MXNet 1.9.1 cannot use: expected a whole number from 1 "
        "to 1024; correct it, or run `unset OMP_NUM_THREADS`."
    )


@pytest.mark.parametrize(
    ("given", "kept"),
    [("4,2", "4"), (" 4 , 2,1", "4"), (" 3", " 3"), ("+2", "+2"), ("", None), (" ", None)],
)
def test_a_number_of_threads_that_is_clear_is_what_mxnet_reads(given, kept):
    environ = {"OMP_NUM_THREADS": given, "HOME": ""}
    check_environment(environ)
    assert environ == {"HOME": "", **({} if kept is None else {"OMP_NUM_THREADS": kept})}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("MXNET_CPU_WORKER_NTHREADS", "0", "a whole number from 1 to 1024"),  # MXNet waits for ever
        ("MXNET_CPU_PRIORITY_NTHREADS", "1000000000", "a whole number from 1 to 1024"),
        ("MXNET_CPU_TEMP_COPY", "0", "a whole number from 1 to 64"),  # a division by 0
        ("MXNET_EXEC_BULK_EXEC_MAX_NODE_TRAIN", "-1", "a whole number from 0 to 1000000"),
        ("MXNET_USE_MKLDNN_RNN", "no", "a whole number from 0 to 2147483647"),
        ("MXNET_MKLDNN_ENABLED", "yes", "one of 0, 1, false, true"),
        ("MXNET_ENGINE_TYPE", "naiveengine", "one of ThreadedEnginePerDevice, ThreadedEngine, NaiveEngine"),
        ("DMLC_ROLE", "boss", "one of worker, server, scheduler"),
    ],
)
def test_other_values_are_refused_with_what_fits(name, value, expected):
    assert f"{name}={value!r}, which MXNet 1.9.1 cannot use: expected {expected}; correct it" in complaint_about(
        name, value
    )


def test_every_variable_is_checked_and_takes_what_mxnet_takes():
    for name in (*NUMBERS, *CHOICES):
        complaint_about(name, "x")
        check_environment({name: ""})
    for name, (low, high) in NUMBERS.items():
        check_environment({name: str(low)})
        check_environment({name: str(high)})
        complaint_about(name, str(high + 1))
    for name in SWITCHES:
        for value in ("0", "1", "true", "False"):
            check_environment({name: value})
    check_environment({"MXNET_ENGINE_TYPE": "NaiveEngine", "MXNET_OF_NOBODY": "x", "OMP_SCHEDULE": "dynamic,4"})


def test_openmps_list_gives_mxnet_its_first_number():
    result = python("-c", PRINT_THREADS, OMP_NUM_THREADS="3,2")
    assert (result.stdout, result.returncode) == ("3\n", 0)


@pytest.mark.parametrize("arguments", [("-c", "import d2lrnn"), ("-m", "d2lrnn", "train")])
def test_the_user_sees_the_sentence_alone(arguments):
    result = python(*arguments, OMP_NUM_THREADS="all")
    assert only_line(result.stderr).startswith(
        "the environment has OMP_NUM_THREADS='all', which MXNet 1.9.1 cannot use"
    )
    assert (result.returncode, result.stdout) == (1, "")


def test_python_without_docstrings_is_refused_in_a_sentence():
    result = python("-OO", "-c", "import d2lrnn")
    said = (
        "MXNet 1.9.1 cannot be imported by `python -OO`, which drops the docstrings that MXNet needs: use `python -O`"
    )
    assert only_line(result.stderr).startswith(said)
    assert result.returncode == 1
    assert "--num-epochs" in python("-OO", "-m", "d2lrnn", "train", "--help").stdout
    check_docstrings(1)
