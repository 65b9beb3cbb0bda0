"""What a user can get wrong at the door is one line and status 1; a defect keeps its traceback."""

import os
import shutil
import subprocess
import sys

import numpy
import pytest
from safetensors.numpy import load_file, save_file
from tiny import SONG as LYRICS
from tiny import save_model

from d2lrnn import D2lrnnError, export_safetensors, load_corpus
from d2lrnn.cli import main as cli
from d2lrnn.cli import sample as sample_command
from d2lrnn.errors import FileError, naming
from d2lrnn.runs.whole_file import whole_file

SMALL = "--max-tokens 150 --num-hiddens 4 --batch-size 2 --num-steps 5 --pred-len 2 --num-epochs 1".split()
LONG, NUL, NOBODY = "a" * 5000, "a\0b", "~nosuchuser/x"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run, its corpus, and paths that are not what they should be."""
    folder = tmp_path_factory.mktemp("door")
    (folder / "lyrics.txt").write_text(LYRICS, encoding="utf-8")
    save_model(
        folder / "run" / "model.d2lrnn", load_corpus(folder / "lyrics.txt"), ("雨下",), str(folder / "lyrics.txt")
    )
    (folder / "run" / "log.jsonl").write_text('{"event": "epoch", "epoch": 1, "perplexity": 9.0, "grad_norm": 1.0}\n')
    export_safetensors(folder / "run", folder / "model.safetensors")
    save_file(load_file(folder / "model.safetensors"), folder / "plain.safetensors")
    (folder / "empty").mkdir()
    (folder / "folders" / "model.d2lrnn").mkdir(parents=True)
    (folder / "folders" / "log.jsonl").mkdir()
    (folder / "circle").symlink_to("circle")
    return folder


@pytest.fixture
def complaint(folder, offline, monkeypatch, complaint):
    """Run a command in the folder, which must fail with one line; returns the line."""
    monkeypatch.chdir(folder)
    return complaint


PATHS = {
    "run": [
        *(("sample",), ("evaluate",), ("show",), ("play",), ("plot",), ("train", "--resume")),
        ("export", "--to", "safetensors"),
    ],
    "out": [
        ("train", "--corpus", "lyrics.txt", *SMALL, "--overwrite", "--out"),
        ("compare", "--corpus", "lyrics.txt", *SMALL, "--out"),
        ("show", "run", "--out"),
        ("plot", "run", "--out"),
        ("export", "run", "--to", "safetensors", "--out"),
        ("import", "model.safetensors", "--out"),
    ],
    "file": [
        ("import", "--out", "new"),
        ("import", "plain.safetensors", "--out", "new", "--vocabulary"),
    ],
    "text": [("evaluate", "run", "--text")],
    "corpus": [
        ("train", *SMALL, "--out", "new", "--corpus"),
        ("compare", *SMALL, "--corpus"),
        ("evaluate", "run", "--corpus"),
        ("sample", "run", "--novelty", "--corpus"),
        ("play", "run", "--port", "0", "--corpus"),
    ],
    "data-dir": [
        ("train", *SMALL, "--out", "new", "--corpus", "sample", "--data-dir"),
        ("compare", *SMALL, "--data-dir"),
        ("evaluate", "run", "--corpus", "sample", "--data-dir"),
        ("sample", "run", "--novelty", "--corpus", "sample", "--data-dir"),
    ],
}
BAD_PATHS = {
    "run": [LONG, NUL, NOBODY, "circle", "empty", "folders", "lyrics.txt", "lyrics.txt/x", "/dev/null"],
    "out": [LONG, NUL, "circle/x/y.png", "lyrics.txt/x.png", "/proc/nowhere/x.png"],
    "file": [LONG, NUL, NOBODY, "circle", "empty", "missing", "lyrics.txt", "lyrics.txt/x", "/dev/null"],
    "text": [LONG, NUL, NOBODY, "circle", "empty", "missing", "lyrics.txt/x", "/proc/self/mem"],
    "corpus": [LONG, NUL, NOBODY, "circle", "empty", "missing", "lyrics.txt/x", "/proc/self/mem"],
    "data-dir": [LONG, NUL, NOBODY, "circle", "lyrics.txt", "missing", "lyrics.txt/x"],
}


@pytest.mark.parametrize(
    ("command", "path"),
    [(command, path) for what, commands in PATHS.items() for command in commands for path in BAD_PATHS[what]],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else repr(value[:14]),
)
def test_a_path_that_cannot_be_used(complaint, command, path):
    line = complaint(*command, path)
    if path == LONG:
        assert "File name too long" in line
    elif path == NUL and command[0] in ("train", "compare") and "--resume" not in command and "--out" in command[-1:]:
        assert "a path cannot hold the character NUL" in line


@pytest.mark.parametrize(
    ("command", "end"),
    [
        (("train", "--corpus", "lyrics.txt", *SMALL, "--out"), ""),
        (("compare", "--corpus", "lyrics.txt", *SMALL, "--out"), ""),
        (("export", "run", "--to", "safetensors", "--out"), "/x"),
        (("export", "run", "--to", "onnx", "--out"), "/x"),
        (("import", "model.safetensors", "--out"), ""),
        (("plot", "run", "--out"), "/x.png"),
    ],
)
@pytest.mark.parametrize("between", ["", "/new/er"])
def test_a_file_in_the_place_of_a_folder_is_named(complaint, command, end, between):
    assert (
        complaint(*command, f"lyrics.txt{between}{end}")
        == "d2lrnn: [Errno 20] a file, expected a folder: 'lyrics.txt'\n"
    )


@pytest.mark.parametrize("path", [LONG + ".png", NUL + ".png", NUL + ".svg", "circle/x.png", "empty", "run.docx"])
@pytest.mark.parametrize("command", [("show", "run"), ("show", "run", "--what", "embedding")])
def test_a_picture_that_cannot_be_written(complaint, command, path):
    complaint(*command, "--out", path)


def test_a_picture_that_needs_tex(complaint, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert "x.pgf: this format needs TeX: 'xelatex' not found" in complaint("show", "run", "--out", "x.pgf")


def test_a_run_is_not_given_up_where_a_folder_has_the_name_of_its_file(complaint):
    line = complaint("train", "--corpus", "lyrics.txt", *SMALL, "--out", "folders", "--overwrite")
    assert "folders/model.d2lrnn" in line


def test_the_environment_names_a_folder_too(complaint, monkeypatch):
    for path in (LONG, NOBODY):
        monkeypatch.setenv("D2LRNN_DATA", path)
        complaint("train", *SMALL, "--out", "new", "--corpus", "sample")


def test_what_one_may_not_read_or_write(folder, tmp_path):
    """root may do all, so its right to is taken from the process."""
    bounds = ["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
    limited = ["setpriv", *bounds] if os.geteuid() == 0 else []
    if limited and not shutil.which("setpriv"):
        pytest.skip("root without setpriv may read and write everything")
    shutil.copytree(folder / "run", tmp_path / "locked" / "run")
    (tmp_path / "secret.txt").write_text("abc")
    (tmp_path / "read_only").mkdir()
    train = ["train", "--corpus", str(folder / "lyrics.txt"), *SMALL]
    commands = [
        *([*command, "locked/run"] for command in PATHS["run"]),
        [*train, "--out", "locked/new"],
        [*train, "--out", "read_only/new"],
        [*train, "--out", "read_only"],
        ["compare", "--corpus", str(folder / "lyrics.txt"), *SMALL, "--out", "read_only/new"],
        ["train", *SMALL, "--corpus", "secret.txt", "--out", "new"],
        ["train", *SMALL, "--corpus", "sample", "--data-dir", "locked", "--out", "new"],
        ["evaluate", str(folder / "run"), "--text", "secret.txt"],
        ["evaluate", str(folder / "run"), "--text", "locked/text.txt"],
        ["sample", str(folder / "run"), "--novelty", "--corpus", "secret.txt"],
        ["show", str(folder / "run"), "--out", "locked/x.png"],
        ["plot", str(folder / "run"), "--out", "read_only/x.png"],
        ["export", str(folder / "run"), "--to", "safetensors", "--out", "read_only/x.safetensors"],
        ["import", str(folder / "model.safetensors"), "--out", "read_only/new"],
        ["import", str(folder / "plain.safetensors"), "--out", "new", "--vocabulary", "secret.txt"],
    ]
    code = f"from d2lrnn.cli.main import main; print([main(command) for command in {commands}])"
    places = (tmp_path / "locked", tmp_path / "secret.txt", tmp_path / "read_only")
    try:
        for path, mode in zip(places, (0, 0, 0o555)):
            path.chmod(mode)
        found = subprocess.run(
            [*limited, sys.executable, "-c", code],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    finally:
        for path in places:
            path.chmod(0o777)
    assert "Traceback" not in found.stderr
    assert found.stdout.splitlines()[-1] == str([1] * len(commands))
    lines = found.stderr.splitlines()
    assert len(lines) == len(commands)
    assert [line for line in lines if not (line.startswith("d2lrnn: ") and "Permission denied" in line)] == []


@pytest.mark.parametrize(
    "host", ["nonsense..host", "300.1.1.1", "::zz", "a" * 300, "a\0b", "é" * 70, "..", "*", "a b", ""]
)
def test_a_host_that_is_none(complaint, host):
    line = complaint("play", "run", "--port", "0", "--host", host)
    assert line.startswith("d2lrnn: there can be no page at ") and "or another --host" in line


BIG, HUGE = 2**62, int("9" * 400)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["play", "run", "--port", BIG], f"port is {BIG}: expected 0 to 65535"),
        (["play", "run", "--port", -1], "port is -1: expected 0 to 65535"),
        (["sample", "run", "--seed", -1], "seed is -1: expected a whole number, at least 0"),
        (
            ["sample", "run", "--num-samples", BIG],
            f"num_samples is {BIG}: expected a whole number, at least 1 and at most 1,000,000",
        ),
        (["sample", "run", "--pred-len", HUGE, "--seed", 1], "at least 0 and at most 1,000,000"),
        (
            ["sample", "run", "--beam-width", BIG],
            f"beam_width is {BIG}: expected a whole number, at least 0 and at most 1,000",
        ),
        (
            ["sample", "run", "--acrostic", "雨", "--line-length", BIG],
            f"a line is {BIG}: expected a whole number, at least 1 and at most 10,000",
        ),
        (
            ["sample", "run", "--acrostic", "雨", "--line-length", HUGE],
            "digits: expected a whole number, at least 1 and at most 10,000",
        ),
        (
            ["train", "--corpus", "lyrics.txt", *SMALL, "--out", "new", "--seed", BIG],
            f"seed is {BIG}: expected a whole",
        ),
        (["train", "--corpus", "lyrics.txt", *SMALL, "--out", "new", "--num-hiddens", BIG], f"num_hiddens is {BIG}"),
        (
            ["train", "--corpus", "lyrics.txt", *SMALL, "--out", "new", "--num-hiddens", HUGE],
            "num_hiddens is a number of about 401 digits",
        ),
        (["train", "--corpus", "lyrics.txt", *SMALL, "--out", "new", "--embed-size", BIG], f"embed_size is {BIG}"),
        (
            ["train", "--corpus", "lyrics.txt", *SMALL, "--out", "new", "--batch-size", BIG],
            f"batch_size is {BIG}: expected a",
        ),
        (["evaluate", "run", "--split", "train", "--num-lines", BIG], "num_lines"),
        (
            ["show", "run", "--what", "gates", "--layer", BIG],
            f"layer is {BIG}: expected 0 to 0",
        ),
        (["sample", "run", "--ctx", f"cpu:{BIG}"], f"unknown device 'cpu:{BIG}': expected cpu, gpu"),
    ],
    ids=lambda value: " ".join(str(text)[:14] for text in value) if isinstance(value, list) else "",
)
def test_numbers_that_are_too_large_or_small(complaint, arguments, expected):
    assert expected in complaint(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["sample", "run", "--top-k", HUGE, "--pred-len", 1],
        ["sample", "run", "--seed", HUGE, "--pred-len", 1],
        ["sample", "run", "--novelty", "--ngram", HUGE, "--min-copy", HUGE, "--pred-len", 1],
        ["evaluate", "run", "--split", "train", "--max-tokens", HUGE],
        ["show", "run", "--count", HUGE, "--out", "count.png"],
    ],
    ids=lambda value: " ".join(str(text)[:9] for text in value),
)
def test_numbers_that_may_be_as_large_as_one_likes(folder, monkeypatch, arguments):
    monkeypatch.chdir(folder)
    assert cli.main([str(argument) for argument in arguments]) == 0


def test_too_little_memory_is_said_in_a_line(complaint, monkeypatch):
    def write(*arguments):
        return numpy.empty(2**55)

    monkeypatch.setattr(sample_command, "_write", write)
    assert "there is not the memory for this, ask for less: Unable to allocate" in complaint("sample", "run")


# Defects


def divide(*arguments):
    return 1 // 0


def convert(*arguments):
    return int("no number")


def add(*arguments):
    return numpy.zeros(2) + numpy.zeros(3)


def forget(*arguments):
    return open("/nowhere/a_file_of_ours")


@pytest.mark.parametrize(
    ("defect", "kind", "message"),
    [
        (divide, ZeroDivisionError, "integer division"),
        (convert, ValueError, "invalid literal for int"),
        (add, ValueError, "operands could not be broadcast"),
        (forget, FileNotFoundError, "a_file_of_ours"),
    ],
)
def test_a_defect_keeps_its_traceback(folder, monkeypatch, defect, kind, message):
    monkeypatch.setattr(sample_command, "_write", defect)
    with pytest.raises(kind, match=message) as caught:
        cli.main(["sample", str(folder / "run")])
    assert not isinstance(caught.value, D2lrnnError)
    assert defect.__name__ in [entry.name for entry in caught.traceback]


def test_a_value_error_is_no_fault_of_the_path():
    with pytest.raises(ValueError, match="a defect") as caught, naming("a path"):
        raise ValueError("a defect")
    assert not isinstance(caught.value, D2lrnnError)
    with pytest.raises(D2lrnnError, match="the first one"), naming(NUL):
        raise D2lrnnError("the first one")


def test_a_file_whose_name_is_too_long_is_named(tmp_path):
    with pytest.raises(FileError, match="File name too long"), whole_file(tmp_path / LONG):
        pass


# What reads the output

LOST = "d2lrnn: standard output is lost ({}): the rest of the output is not shown\n"


def run_in_shell(command, folder):
    """Run a shell's command line in which d2lrnn is ``$D2LRNN``; returns what bash does."""
    environment = {**os.environ, "D2LRNN": f"{sys.executable} -m d2lrnn", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=folder, env=environment, timeout=120
    )


def test_a_reader_that_ends_ends_the_command_with_one_line(folder):
    command = "$D2LRNN sample run --num-samples 3000 --pred-len 60 | head -c 3; exit ${PIPESTATUS[0]}"
    found = run_in_shell(command, folder)
    assert (found.returncode, found.stdout, found.stderr) == (1, "雨", LOST.format("Broken pipe"))


def test_a_full_disk_under_the_output_is_said_in_one_line(folder):
    found = run_in_shell("$D2LRNN sample run --pred-len 3 > /dev/full", folder)
    assert (found.returncode, found.stderr) == (1, LOST.format("No space left on device"))


def test_a_traceback_reaches_the_terminal(folder):
    defect = "import d2lrnn.cli.sample as s; s._write = lambda *a: 1 // 0"
    main = "import sys; from d2lrnn.cli.main import main; sys.exit(main(['sample', 'run']))"
    found = subprocess.run(
        [sys.executable, "-c", f"{defect}\n{main}"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert found.returncode == 1 and found.stderr.startswith("Traceback") and "ZeroDivisionError" in found.stderr
