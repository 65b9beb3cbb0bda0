import gc
import os
import secrets
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pooch
import pytest
from hypothesis import settings
from tiny import FOX_NAMED, FailingCell, write_fox

# The models of the tests are tiny: threads that wait for one another by spinning, as OpenMP's do by default, take
# forty times as long where another program has the second core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import d2lrnn
from d2lrnn import device
from d2lrnn._runtime import mx
from d2lrnn.data.corpora import CORPORA

# As in docs/_ext/lessons.py: jsonschema, which nbformat imports, would build the grammars of RFC 3987 for 3 seconds.
sys.modules.setdefault("rfc3987_syntax", None)

settings.register_profile("d2lrnn", deadline=None, print_blob=True)  # how long an example takes is not a property
settings.load_profile("d2lrnn")


def pytest_collection_finish():
    """Let the garbage collector of Python pass over what is there before the first test: MXNet and the tests."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items):
    """Keep tests in one process of pytest-xdist that share what is dear: the book, or the fixtures of a module."""
    for item in items:
        if group := group_of(item):
            item.add_marker(pytest.mark.xdist_group(group))


def group_of(item):
    """Return the name of a test's group for pytest-xdist, or None.

    The process that makes the book tests the lessons as they stand in the book, too.
    """
    folder = item.path.parent.name
    if folder == "book":
        return "book"
    if folder == "chapters" and "run" in item.fixturenames:
        alone = "[" in item.name and not item.name.endswith(("[sample]", "[licence]", "[drawn]"))
        return None if alone else "book"
    shared = [fixture for found in item._fixtureinfo.name2fixturedefs.values() for fixture in found]
    return f"{folder}/{item.path.stem}" if any(fixture.scope == "module" for fixture in shared) else None


@pytest.fixture(autouse=True)
def seed():
    """Seed Python, NumPy and MXNet anew for each test; pytest shows the line only of a test that fails."""
    seed = int(os.environ.get("D2LRNN_TEST_SEED") or secrets.randbelow(2**31))
    print(f"D2LRNN_TEST_SEED={seed} in the environment runs this test with the same random numbers")
    d2lrnn.set_seed(seed)
    return seed


@pytest.fixture
def real_data():
    """The folder with the real corpora, as a user would name it."""
    folder = os.environ.get("D2LRNN_DATA")
    if not folder:
        pytest.skip("D2LRNN_DATA does not name a folder with the real corpora")
    return Path(folder)


@pytest.fixture
def unverified(monkeypatch):
    """Return a function that lets a named corpus be read from a file of the test's own."""

    def let(name):
        named = CORPORA[name]
        monkeypatch.setitem(CORPORA, name, replace(named, source=replace(named.source, sha256=None)))

    return let


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Keep a test off the network and off the user's folders; the folder that is the cache of downloads."""
    getaddrinfo = socket.getaddrinfo

    def this_machine_only(host, *args, **kwargs):
        if host != "127.0.0.1":
            raise socket.gaierror(f"no way to {host}")
        return getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", this_machine_only)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("D2LRNN_DATA", raising=False)
    return tmp_path / "cache" / "d2lrnn"


@pytest.fixture
def needs_gpu():
    """The first GPU, which MXNet can use."""
    if 0 not in device.usable_gpus():
        pytest.skip("MXNet sees no GPU that it can use")
    return mx.gpu(0)


@pytest.fixture
def only_here():
    """Cells that the test adds are gone afterwards."""
    kept = dict(d2lrnn.CELLS)
    yield
    d2lrnn.CELLS.clear()
    d2lrnn.CELLS.update(kept)


@pytest.fixture
def failing_cell(only_here):
    """The cell "failing", which a test can let fail: ``--kind scratch --cell failing``."""
    cell = FailingCell()
    d2lrnn.add_cell("failing", d2lrnn.Cell(cell.step, d2lrnn.CELLS["rnn"].compiled_step, "h"))
    return cell


@pytest.fixture
def rain_files(tmp_path, monkeypatch):
    """The folder of the files of the corpus "rain", which the commands know by this name while the test lasts."""
    folder = tmp_path / "data of rain"
    write_fox(folder)
    monkeypatch.setitem(CORPORA, "rain", FOX_NAMED)
    monkeypatch.setenv("D2LRNN_DATA", str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_corpus():
    """810 characters, 28 of them different, that a small model learns by heart in seconds."""
    text = "the quick brown fox jumps over the lazy dog, " * 18
    vocab = d2lrnn.Vocab(text)
    return d2lrnn.Corpus("tiny", vocab, vocab.encode(text))
