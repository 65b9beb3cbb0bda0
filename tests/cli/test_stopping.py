"""The command ``train``, stopped by signals and errors, goes on with the same numbers; nothing is lost on the way."""

import contextlib
import functools
import importlib
import os
import shutil
import signal
import sys
import time
from types import SimpleNamespace

import pytest
from tiny import ALWAYS, no_number

from d2lrnn._runtime import mx
from d2lrnn.cli import main as cli
from d2lrnn.cli import train as train_command
from d2lrnn.errors import D2lrnnError
from d2lrnn.runs.checkpoint import BEST, LAST, PICTURE
from d2lrnn.runs.folder import Pace
from d2lrnn.runs.log import LOG, read_history, read_log
from d2lrnn.runs.trained import load_run
from d2lrnn.training import language_model
from d2lrnn.training.optimisers import SGD

SETTINGS = "--corpus rain --kind scratch --cell failing --num-hiddens 8 --batch-size 16 --num-steps 10 --optimizer sgd "
SETTINGS = [*(SETTINGS + "--lr 1 --pred-len 3 --pred-period 1 --prefix the --num-epochs 2").split()]
OFTEN = Pace(segment=4)  # a run that is saved after the first four batches, and then a minute later only
BATCHES = 13  # of an epoch
SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "terminated"}


@pytest.fixture(autouse=True)
def usual_handlers():
    """Python's own handlers, whatever the tests were started by: a shell's background job ignores SIGINT."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == [
        signal.default_int_handler,
        signal.SIG_DFL,
        signal.SIG_DFL,
    ]
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def here(rain_files, failing_cell, tmp_path, capsys):
    """A command line; a run below the test's folder to begin and to go on with; a whole run to hold it against."""

    def run(*arguments, pace=OFTEN):
        status = cli.main([*map(str, arguments)], **({"pace": pace} if arguments[0] == "train" else {}))
        return status, *capsys.readouterr()

    folder = tmp_path / "run"
    return SimpleNamespace(
        run=run,
        folder=folder,
        fail=failing_cell.fail,
        begin=lambda *more, **options: run("train", *SETTINGS, "--out", folder, *more, **options),
        go_on=lambda *more: run("train", "--resume", folder, *more),
        position=lambda: (lambda p: (p.epoch, p.batch))(load_run(folder, LAST).training.position),
        resume=f"-m d2lrnn train --resume {folder}  # epoch ",
    )


def numbers_of(folder):
    """Return all that a run has left but for its clock."""
    last, clocks = load_run(folder, LAST), {"seconds", "tokens_per_second"}
    log = [entry for entry in read_log(folder / LOG) if entry["event"] in ("epoch", "test")]
    log = [{name: value for name, value in entry.items() if name not in clocks} for entry in log]
    arrays = {name: array.tobytes() for name, array in {**last.parameters, **last.training.arrays}.items()}
    return log, arrays, last.training.history.samples, (folder / BEST).read_bytes()


WHOLE = []  # the numbers of a run that was never stopped, once it has been needed


@pytest.fixture
def same_as_whole(here, tmp_path):
    """Check that the run goes on to the numbers of one that was never stopped."""

    def check(but_for_the_best=False):
        if not WHOLE:
            assert here.run("train", *SETTINGS, "--out", tmp_path / "whole")[0] == 0
            WHOLE.append(numbers_of(tmp_path / "whole"))
        assert here.go_on()[0] == 0
        found, expected = numbers_of(here.folder), WHOLE[0]
        if but_for_the_best:
            (*log, _), *found, _ = found
            (*expected_log, _), *expected, _ = expected
            assert log == expected_log
        assert found == expected

    return check


def sending(*numbers):
    """Return what lets a batch, as it is computed, meet signals."""

    def send(H):
        for number in numbers:
            signal.raise_signal(number)
        return H

    return send


def raising(error):
    """Return what raises an exception; it takes anything."""

    def fail(*arguments, **options):
        raise error

    return fail


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_stops_after_the_present_batch(here, same_as_whole, number):
    here.fail(sending(number), batch=BATCHES + 11)
    status, out, err = here.begin()
    assert (status, err) == (128 + number, "")
    assert f"\n{SIGNALS[number]} after 1 of 2 epochs; the model keeps what it has learnt\n" in out
    assert out.endswith(f"{here.resume}2, after 11 batches\n")
    assert here.position() == (2, 11)
    same_as_whole()


def test_the_second_ctrl_c_ends_it_at_once_and_says_what_is_lost(here, same_as_whole):
    here.fail(sending(signal.SIGINT, signal.SIGINT), batch=11)
    status, out, err = here.begin()
    assert (status, err) == (130, "d2lrnn: interrupted\n")
    assert out.endswith(
        f"{here.resume}1, after 4 batches; what was learnt since then, up to epoch 1, batch 10, is lost\n"
    )
    assert here.position() == (1, 4)
    same_as_whole()


def test_a_signal_that_is_ignored_stays_ignored(here):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    here.fail(sending(signal.SIGINT), batch=11)
    status, out, err = here.begin()
    assert (status, err) == (0, "") and "interrupted" not in out
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_before_the_first_step_there_is_nothing_to_keep(here, monkeypatch):
    task = language_model.LanguageModelling
    train = task.train
    monkeypatch.setattr(task, "train", lambda *a: sending(signal.SIGTERM)(a) and train(*a))
    status, out, err = here.begin()
    assert (status, err) == (143, "")
    assert out.endswith("no position is kept: the run was stopped before there was anything to keep\n")
    assert list(files_in(here.folder)) == [LOG]


@pytest.fixture
def pressed_in_validation(monkeypatch):
    """Ctrl-C comes in the validation of the first epoch."""
    evaluate, calls = language_model.evaluate, []

    def meeting(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            signal.raise_signal(signal.SIGINT)
        return evaluate(*arguments)

    monkeypatch.setattr(language_model, "evaluate", meeting)


def test_validation_is_broken_off(here, pressed_in_validation, same_as_whole):
    status, out, _ = here.begin()
    assert status == 130 and "\nepoch 1, " not in out
    assert out.endswith(f"{here.resume}1, after {BATCHES} batches\n")
    assert [entry["event"] for entry in read_log(here.folder / LOG)] == ["begin"]
    assert load_run(here.folder, LAST).training.history.epochs == [] and not (here.folder / PICTURE).exists()
    same_as_whole()


@pytest.mark.parametrize(
    "how", [sending(signal.SIGINT), raising(KeyboardInterrupt())], ids=["a signal", "an exception"]
)
def test_what_stops_in_the_samples_leaves_log_and_picture_alike(here, monkeypatch, same_as_whole, how):
    """The samples of the second epoch end with their second token, and the run goes on before the first."""
    stream, calls, drawn = language_model.stream, [], []

    def meeting(*arguments):
        calls.append(0)
        for token in stream(*arguments):
            calls[-1] += 1
            if len(calls) == 2 and calls[-1] == 2:
                how(None)
            yield token

    with monkeypatch.context() as patch:
        patch.setattr(language_model, "stream", meeting)
        patch.setattr(train_command, "plot_history", lambda histories, *more: drawn.extend(histories.values()))
        status, out, _ = here.begin()
    assert status == 130 and calls == [3, 2]
    epochs = read_history(here.folder).epochs
    assert drawn[0].epochs == epochs == load_run(here.folder, LAST).training.history.epochs
    assert len(epochs) == 1
    same_as_whole()


ERRORS = {
    "a line": (MemoryError(), "d2lrnn: there is not the memory for this, ask for less: "),
    "MXNet's line": (
        mx.MXNetError("std::bad_alloc"),
        "d2lrnn: MXNet has not the memory, take a smaller model or batch",
    ),
    "MXNet's": (mx.MXNetError("a defect"), None),
    "the system's": (OSError(5, "Input/output error", "corpus.txt"), None),
    "a defect": (ZeroDivisionError(), None),
}


@pytest.mark.parametrize("name", ERRORS)
def test_whatever_ends_a_training_the_position_is_kept_first(here, capsys, same_as_whole, name):
    error, line = ERRORS[name]
    here.fail(raising(error), batch=11)
    if line is None:
        with pytest.raises(type(error)):
            here.begin()
        out = capsys.readouterr().out
    else:
        status, out, err = here.begin()
        assert status == 1 and err.startswith(line)
    assert out.endswith(f"{here.resume}1, after 10 batches\n")
    assert here.position() == (1, 10)
    same_as_whole()


def test_in_the_middle_of_an_update_there_is_no_position(here, monkeypatch, same_as_whole):
    update, steps = SGD.__call__, []

    def halfway(self, *arguments):
        steps.append(update(self, *arguments))
        if len(steps) == 11:
            raise MemoryError

    monkeypatch.setattr(SGD, "__call__", halfway)
    status, out, _ = here.begin()
    assert status == 1
    assert out.endswith(
        f"{here.resume}1, after 4 batches; what was learnt since then, up to epoch 1, batch 10, is lost\n"
    )
    assert here.position() == (1, 4)
    same_as_whole()


# A run in the place of another one


OLD = {}  # the files of the run that the next fixture puts into a folder, once it has been needed


@pytest.fixture
def old(here):
    """The files of a run that stands in the folder already, of three epochs, by their names."""
    if not OLD:
        assert here.begin("--num-epochs", 3, "--seed", 5)[0] == 0
        OLD.update(files_in(here.folder))
    write_files(here.folder, OLD)
    return dict(OLD)


def write_files(folder, files):
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def files_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_new_run_with_nothing_to_keep_leaves_the_old_one(here, old):
    here.fail(no_number, batch=1)
    status, _, err = here.begin("--overwrite")
    assert status == 1 and "the gradient's norm became nan in epoch 1, batch 1" in err
    assert files_in(here.folder) == old


def test_a_new_run_takes_the_place_of_the_old_one_when_it_is_first_saved(here, old):
    seen = []
    here.fail(lambda H: seen.append(files_in(here.folder)) or H, batch=4)
    assert here.begin("--overwrite")[0] == 0
    assert seen == [old]
    here.fail(sending(signal.SIGINT), batch=6)
    assert here.begin("--overwrite", "--seed", 6)[0] == 130
    assert files_in(here.folder).keys() == {BEST, LAST, LOG}  # and no picture of the old run
    assert [entry["training"]["seed"] for entry in read_log(here.folder / LOG)] == [6]


NEW = "--seed 6 --num-epochs 1 --num-steps 25".split()  # an epoch of five batches


class KilledError(BaseException):
    """Ends the process in the test's eyes: nothing is mended after it."""


class Killing:
    """Lets a process be killed in its ``moment``-th writing: before that, the calls are counted and done."""

    def __init__(self, monkeypatch):
        self.calls, self.moment = 0, 0
        for name in ("replace", "unlink", "fsync"):
            monkeypatch.setattr(os, name, functools.partial(self, getattr(os, name)))

    def __call__(self, function, *arguments, **options):
        self.calls += 1
        if self.calls == self.moment:
            raise KilledError
        return function(*arguments, **options)


@pytest.mark.parametrize("epoch_is_over", [False, True])
def test_a_kill_at_any_moment_leaves_files_of_one_run_only(here, old, monkeypatch, epoch_is_over):
    pace = Pace(segment=1000 if epoch_is_over else 4)
    monkeypatch.setattr(train_command.RunFolder, "rescue", lambda run: None)  # a killed process does not
    killing, seen, status = Killing(monkeypatch), set(), None
    while status is None:
        shutil.rmtree(here.folder)
        write_files(here.folder, old)
        killing.calls, moment = 0, killing.moment + 1
        killing.moment = moment
        with contextlib.suppress(KilledError):
            status, _, _ = here.begin("--overwrite", *NEW, pace=pace)
        killing.moment = 0
        found = {name: content for name, content in files_in(here.folder).items() if not name.endswith(".part")}
        kept = {name for name, content in found.items() if content == old.get(name)}
        assert LAST in found and (not kept or kept == found.keys())
        seen.add((bool(kept), frozenset(found)))
        seeds = {load_run(here.folder, name).train_config.seed for name in found.keys() & {BEST, LAST}}
        if LOG in found:
            seeds |= {entry["training"]["seed"] for entry in read_log(here.folder / LOG) if "training" in entry}
        assert seeds == {5 if kept else 6}
        if (bool(kept), frozenset(found)) not in seen:
            assert here.go_on("--num-epochs", 3)[0] == 0
            assert len(read_history(here.folder).epochs) == 3 and (here.folder / BEST).exists()
        killing.moment = moment
    all_of_it = frozenset({BEST, LAST, LOG, PICTURE})
    halfway = {(True, all_of_it), (True, frozenset({LAST})), (False, frozenset({LAST})), (False, all_of_it)}
    assert status == 0 and seen >= halfway


# What is removed while the run goes on


def test_a_folder_that_is_removed_is_made_again(here, same_as_whole):
    here.fail(lambda H: shutil.rmtree(here.folder) or H, batch=BATCHES + 11)
    status, out, err = here.begin(pace=ALWAYS)
    assert (status, err) == (0, "")
    line = next(line for line in out.splitlines() if "was removed" in line)
    assert line == (
        f"{here.folder} was removed or renamed while the run goes on: made again, but the best model so far is lost, "
        "and the present one stands for it; leave the folder of a run alone until the run ends"
    )
    assert load_run(here.folder).reached["epoch"] == 2
    same_as_whole(but_for_the_best=True)


def test_a_folder_that_is_renamed_is_made_again_and_locked(here, tmp_path):
    here.fail(lambda H: (here.folder.rename(tmp_path / "renamed"), H)[1], batch=BATCHES + 11)
    assert here.begin("--num-epochs", 3)[0] == 0
    assert load_run(here.folder, LAST).training.position.epoch == 4
    assert load_run(tmp_path / "renamed", LAST).training.position.epoch < 4


@pytest.mark.parametrize("name", [BEST, LOG])
def test_a_file_that_is_removed_is_made_again(here, name):
    here.fail(lambda H: (here.folder / name).unlink() or H, batch=BATCHES + 11)
    status, out, err = here.begin(pace=ALWAYS)
    assert (status, err) == (0, "") and out.count("was removed or renamed") == 1
    assert f"\n{here.folder / name} was removed or renamed while the run goes on: made again" in out
    assert ("the best model so far is lost" in out) is (name == BEST)
    assert len(read_history(here.folder).epochs) == 2
    assert load_run(here.folder).reached["epoch"] == 2


# Every other command


class Interrupted:
    """Is interrupted when it is removed, as MXNet's arrays may be."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("name", ["sample", "evaluate", "compare", "plot", "show"])
def test_an_interrupt_that_python_drops_ends_every_command(here, monkeypatch, name):
    def work(args):
        Interrupted()
        for _ in range(1000):
            time.sleep(0.01)
        return 0

    command = importlib.import_module(f"d2lrnn.cli.{name}")
    monkeypatch.setattr(command, cli.COMMANDS[name], work)
    words = [name] if name == "compare" else [name, "run"]
    assert here.run(*words) == (130, "", "d2lrnn: interrupted\n")


def test_an_interrupt_within_the_imports_is_answered_after_them(here, monkeypatch):
    imported = importlib.import_module

    def interrupted(name):
        signal.raise_signal(signal.SIGINT)
        return imported(name)

    monkeypatch.setattr(importlib, "import_module", interrupted)
    assert here.run("sample", "run") == (130, "", "d2lrnn: interrupted\n")


@pytest.mark.parametrize("before", [signal.default_int_handler, signal.SIG_IGN])
def test_an_interrupt_after_the_command_ends_the_process_without_a_traceback(here, monkeypatch, before):
    monkeypatch.setattr(sys, "argv", ["d2lrnn", "plot", str(here.folder / "none")])
    signal.signal(signal.SIGINT, before)
    assert cli.program() == 1
    assert signal.getsignal(signal.SIGINT) is (signal.SIG_IGN if before is signal.SIG_IGN else signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize(
    ("error", "status"),
    [(D2lrnnError("a mistake"), 2), (TypeError("a defect"), 1), (KeyboardInterrupt(), 130)],
    ids=str,
)
def test_how_a_worker_of_a_job_ends(here, monkeypatch, error, status):
    """A mistake would come again; a defect may not."""

    def work(args):
        raise error

    monkeypatch.setattr(importlib.import_module("d2lrnn.cli.sample"), "sample", work)
    monkeypatch.setattr(sys, "argv", ["d2lrnn", "sample", "run"])
    monkeypatch.setenv("DMLC_ROLE", "worker")
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit) as ended:
        cli.program()
    assert ended.value.code == status


def test_no_memory_for_a_thread_is_a_sentence(here, monkeypatch):
    def work(args):
        raise mx.MXNetError("Traceback\nMXNetError: Resource temporarily unavailable")

    monkeypatch.setattr(importlib.import_module("d2lrnn.cli.sample"), "sample", work)
    status, _, err = here.run("sample", "run")
    assert (status, err) == (
        1,
        "d2lrnn: MXNet has not the memory, take a smaller model or batch: Resource temporarily unavailable\n",
    )
