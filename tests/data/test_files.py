import contextlib
import gc
import hashlib
import logging
import os
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pooch
import pytest

from d2lrnn.data.corpora import CORPORA
from d2lrnn.data.datasets import load_corpus, load_data_time_machine
from d2lrnn.data.files import Limits, Source, fetch, locate
from d2lrnn.data.texts import MAX_BYTES, CorpusError, CorpusNotFoundError

CONTENT = b"The first line\nThe second\n" * 100
SOURCE = Source("first_lines.txt", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture(autouse=True)
def cache(offline):
    """The folder that is the cache."""
    return offline


@pytest.fixture
def package(tmp_path):
    """The folder of d2lrnn in an empty checkout."""
    folder = tmp_path / "checkout" / "d2lrnn"
    folder.mkdir(parents=True)
    return folder


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# Finding


def test_folders_are_searched_in_order(tmp_path, monkeypatch, package, cache):
    content = b"the same everywhere"
    source = Source("text.txt", hashlib.sha256(content).hexdigest())
    monkeypatch.setenv("D2LRNN_DATA", str(tmp_path / "environment"))
    folders = [
        tmp_path / "argument",
        tmp_path / "environment",
        package / "shipped",
        package.parent / "data",
        cache,
    ]
    for folder in folders:
        write(folder / "text.txt", content)
    for folder in folders[:3]:
        assert fetch(source, tmp_path / "argument", package=package) == folder / "text.txt"
        assert locate(source, tmp_path / "argument", package) == folder / "text.txt"
        (folder / "text.txt").unlink()
    (package / "shipped").rmdir()
    for folder in folders[3:]:
        assert fetch(source, tmp_path / "argument", package=package) == folder / "text.txt"
        assert locate(source, tmp_path / "argument", package) == folder / "text.txt"
        (folder / "text.txt").unlink()
    with pytest.raises(CorpusNotFoundError):
        fetch(source, tmp_path / "argument", package=package)
    assert locate(source, tmp_path / "argument", package) is None


def test_what_would_be_downloaded_is_told_without_a_download(server, cache, package):
    assert locate(server.source, package=package) is None
    write(cache / server.source.filename, "damaged, so it would be downloaded again")
    assert locate(server.source, package=package) is None
    assert server.requests == []
    with pytest.raises(CorpusNotFoundError, match="lyrics_zh.txt is not in .*: .* install d2lrnn again"):
        locate(CORPORA["sample"].source, package=package)


def test_an_alternative_in_an_earlier_folder_goes_before_the_original_in_a_later_one(tmp_path, monkeypatch):
    write(tmp_path / "environment" / "jaychou_lyrics.txt.zip", "not looked at")
    write(tmp_path / "argument" / "jaychou_lyrics.txt", "甲")
    monkeypatch.setenv("D2LRNN_DATA", str(tmp_path / "environment"))
    corpus = load_corpus("jaychou", tmp_path / "argument")
    assert corpus.vocab.decode(corpus.train) == "甲"


@pytest.mark.parametrize("named", ["absent", "a file"])
def test_a_named_folder_must_be_there(tmp_path, monkeypatch, named):
    write(tmp_path / "a file", "")
    with pytest.raises(CorpusNotFoundError, match=f"data_dir names .*{named}: expected a folder that is there"):
        load_corpus("sample", tmp_path / named)
    monkeypatch.setenv("D2LRNN_DATA", str(tmp_path / named))
    with pytest.raises(FileNotFoundError, match=f"D2LRNN_DATA names .*{named}: expected a folder that is there"):
        load_corpus("sample")


def test_what_is_missing_without_a_network_is_told_with_all_that_helps(tmp_path, monkeypatch, package, cache):
    folders = [tmp_path / "argument", tmp_path / "environment"]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setenv("D2LRNN_DATA", str(folders[1]))
    with pytest.raises(CorpusNotFoundError) as caught:
        fetch(CORPORA["ptb"].source, folders[0], package=package)
    message = str(caught.value)
    for part in (
        "ptb.zip is not in ",
        f" is not in {folders[0]} or {folders[1]} or {package.parent / 'data'} or {cache}, and cannot be downloaded",
        " (no way to d2l-data.s3-accelerate.amazonaws.com).\nGet https://d2l-data.s3-accelerate.amazonaws.com/ptb.zip ",
        f"elsewhere, and save it as ptb.zip in {cache}, or in a folder that you name by --data-dir, ",
    ):
        assert part in message
    assert [len(line.replace(str(tmp_path), "")) < 240 for line in message.split("\n")] == [True, True]
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, FileNotFoundError)
    assert list(cache.rglob("*")) == []


def test_a_lost_sample_asks_for_a_new_installation(package):
    with pytest.raises(CorpusNotFoundError, match="lyrics_zh.txt is not in .*checkout/data: .* install d2lrnn again"):
        fetch(CORPORA["sample"].source, package=package)


# Downloading


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT in the way that ``server.behaviour`` says."""

    def do_GET(self):
        server = self.server
        server.requests.append(self.path)
        if server.behaviour == "silent":
            server.over.wait(20)
            return
        self.send_response(404 if server.behaviour == "missing" else 200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if server.behaviour == "dripping":
            with contextlib.suppress(ConnectionError):
                for byte in CONTENT:
                    self.wfile.write(bytes([byte]))
                    if server.over.wait(0.05):
                        break
        elif server.behaviour == "wrong":
            self.wfile.write(CONTENT[::-1])
        elif server.behaviour == "right":
            self.wfile.write(CONTENT)
        else:
            self.wfile.write(CONTENT[:100])
            if server.behaviour == "stalled":
                server.over.wait(20)
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    """Serve on this machine what the loaders believe to come from the book's server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.behaviour, server.requests, server.over = "right", [], threading.Event()
    server.source = replace(SOURCE, base_url=f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setitem(
        CORPORA, "timemachine", replace(CORPORA["timemachine"], source=server.source, members=("first_lines.txt",))
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()
    thread.join()
    gc.collect()  # so that what pooch leaves open after a 404 warns in the test that asked for it


def test_a_file_of_which_only_the_sha_1_is_published_is_verified_by_it(server, tmp_path, cache, package):
    source = replace(server.source, sha256=None, sha1=hashlib.sha1(CONTENT).hexdigest())
    assert locate(source, package=package) is None
    assert fetch(source, package=package) == cache / "first_lines.txt" == locate(source, package=package)
    write(tmp_path / "named" / "first_lines.txt", CONTENT)
    assert fetch(source, tmp_path / "named", package=package) == tmp_path / "named" / "first_lines.txt"
    write(tmp_path / "named" / "first_lines.txt", CONTENT[1:])
    found = hashlib.sha1(CONTENT[1:]).hexdigest()
    with pytest.raises(CorpusError, match=f"has the SHA-1 {found}, expected {source.sha1}: it may be truncated or"):
        fetch(source, tmp_path / "named", package=package)
    server.behaviour = "wrong"
    (cache / "first_lines.txt").unlink()
    with pytest.raises(CorpusNotFoundError, match="cannot be downloaded .*hash"):
        fetch(source, package=package)


def test_what_is_in_no_folder_is_downloaded_once_and_quietly(server, cache, capfd, caplog, monkeypatch):
    monkeypatch.setattr(pooch.get_logger(), "handlers", [caplog.handler])
    pooch.get_logger().setLevel(logging.INFO)
    path = fetch(server.source)
    assert path == cache / "first_lines.txt"
    assert path.read_bytes() == CONTENT
    assert fetch(server.source) == path
    assert server.requests == ["/first_lines.txt"]
    assert list(cache.iterdir()) == [path]
    assert (caplog.records, capfd.readouterr()) == ([], ("", ""))


def test_a_file_is_saved_under_the_name_that_folders_know_it_by(server, cache):
    source = replace(server.source, filename="couplets.txt", published_as="first_lines.txt")
    assert fetch(source) == cache / "couplets.txt"
    assert server.requests == ["/first_lines.txt"]


def test_a_loader_downloads_what_it_needs(server):
    corpus = load_data_time_machine(41)
    assert server.requests == ["/first_lines.txt"]
    assert corpus.vocab.decode(corpus.train) == "the first line the second the first line "


def test_a_damaged_file_in_the_cache_is_downloaded_again(server, cache):
    write(cache / "first_lines.txt", CONTENT[:50])
    assert fetch(server.source).read_bytes() == CONTENT
    assert server.requests == ["/first_lines.txt"]


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("truncated", r"IncompleteRead|does not match the known hash"),
        ("missing", "404 Client Error"),
        ("silent", "timed out"),
        ("stalled", "timed out"),
        ("wrong", "does not match the known hash"),
    ],
)
def test_a_failed_download_is_told_and_leaves_nothing_behind(server, cache, behaviour, reason):
    server.behaviour = behaviour
    with pytest.raises(CorpusNotFoundError, match=reason) as caught:
        fetch(server.source, limits=Limits(answer=0.3))
    assert f"\nGet {server.source.base_url}first_lines.txt elsewhere" in str(caught.value)
    assert server.requests == ["/first_lines.txt"]
    assert list(cache.rglob("*")) == []


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize(
    ("behaviour", "limits", "reason"),
    [
        ("dripping", Limits(in_all=0.3), "it took more than 0.3 seconds"),
        ("right", Limits(max_bytes=1000), "it has more than 1,000 bytes, which is not what was published"),
    ],
)
def test_a_download_has_limits(server, cache, behaviour, limits, reason):
    server.behaviour = behaviour
    with pytest.raises(CorpusNotFoundError) as caught:
        fetch(server.source, limits=limits)
    assert f"cannot be downloaded ({reason}).\nGet" in str(caught.value)
    assert list(cache.rglob("*")) == []


def test_a_file_too_large_to_be_the_published_one_is_not_read(tmp_path):
    write(tmp_path / SOURCE.filename, "a")
    os.truncate(tmp_path / SOURCE.filename, MAX_BYTES + 1)  # a hole, which takes no place on the disk
    with pytest.raises(CorpusError, match="first_lines.txt has more than 268,435,456 bytes, which is not what was pub"):
        fetch(SOURCE, tmp_path)


def test_an_interrupted_download_leaves_nothing_behind(server, cache, monkeypatch):
    def interrupt(self, url, output_file, pooch):
        output_file.write(CONTENT[:50])
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(server.source)
    assert list(cache.rglob("*")) == []


def test_a_cache_that_cannot_be_made_is_told(server, cache):
    cache.parent.write_bytes(b"a file where a folder should be")
    with pytest.raises(CorpusNotFoundError, match="downloaded .*(Not a directory|File exists)"):
        load_corpus("timemachine")
