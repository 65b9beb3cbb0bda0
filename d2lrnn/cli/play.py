"""The command ``play``: serve a page for the browser, on which a trained model writes or translates."""

from __future__ import annotations

import argparse
import asyncio
import queue
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from d2lrnn._runtime import mx
from d2lrnn.cli.options import option_of
from d2lrnn.config.fields import settings_in
from d2lrnn.config.presets import TRANSLATION
from d2lrnn.data.corpus import Corpus
from d2lrnn.errors import D2lrnnError
from d2lrnn.paths import PathLike
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.origin import reload_corpus, remember_place
from d2lrnn.runs.trained import TrainedRun, load_run
from d2lrnn.runs.translator import TranslatorRun
from d2lrnn.web.address import address_of, hosts_of, open_socket
from d2lrnn.web.player import Player
from d2lrnn.web.protocol import AnyPlayer
from d2lrnn.web.server import PageServer
from d2lrnn.web.translating import TranslatingPlayer


@dataclass(frozen=True)
class PageRequest:
    """Which run's page to serve, and where.

    ``open_socket`` checks the host and the port, since it finds out what this machine can do.
    """

    run: Path  # a folder that `train` wrote, or a checkpoint in it
    host: str = "127.0.0.1"  # where the page can be reached
    port: int = 8000  # 0: any that is free
    corpus: str | None = None  # the corpus's name or file; None: as in training; copies are not marked without it
    data_dir: PathLike | None = None  # the folder to look in first
    ctx: str = "auto"  # the device

    @classmethod
    def read(cls, args: argparse.Namespace) -> PageRequest:
        """Return what the arguments of the command ask for."""
        return cls(**settings_in(cls, vars(args)))


def play(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C, then raise KeyboardInterrupt, as every command does."""
    request = PageRequest.read(args)
    checkpoint = load_run(request.run)
    player = (_translating if checkpoint.task == TRANSLATION else _writing)(request, checkpoint)
    listening = open_socket(request.host, request.port)
    hosts = hosts_of(request.host, listening)
    if hosts is None:
        print("caution  whoever can reach this machine can open the page and use the model")
    in_loop = _is_in_event_loop()
    how = "interrupt this cell to end it" if in_loop else "Ctrl-C ends it"
    ready = f"page     {address_of(request.host, listening)}   ({how})"
    (_serve_beside if in_loop else _serve)(PageServer(player, hosts), listening, ready)
    raise KeyboardInterrupt


def _writing(request: PageRequest, checkpoint: Checkpoint) -> AnyPlayer:
    """Return the player of a language model."""
    run = TrainedRun(request.run, checkpoint, request.ctx)
    run.check_writes()  # before the corpus is loaded
    return Player(run, _corpus_for(request, checkpoint))


def _translating(request: PageRequest, checkpoint: Checkpoint) -> AnyPlayer:
    """Return the player of a translator.

    Raises:
        D2lrnnError: if the place of a corpus is given.
    """
    needless = [option_of(name) for name in ("corpus", "data_dir") if getattr(request, name) is not None]
    if needless:
        raise D2lrnnError(
            f"{', '.join(needless)} given, but {request.run} holds a translator, whose page needs no sentence pairs: "
            "leave it out"
        )
    return TranslatingPlayer(TranslatorRun(request.run, checkpoint, request.ctx))


def _is_in_event_loop() -> bool:
    """Return whether an event loop runs in this thread, as it does in a notebook: there can be no second one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _serve(server: PageServer, listening: socket.socket, ready: str) -> None:
    """Serve until Ctrl-C; print ``ready`` once Ctrl-C is heeded, also where it was ignored before."""

    async def serve() -> None:
        stop = asyncio.Event()
        if threading.current_thread() is threading.main_thread():  # Python gives no other thread the signal
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
        print(ready)
        await server.serve(listening, stop)

    asyncio.run(serve())


def _serve_beside(server: PageServer, listening: socket.socket, ready: str) -> None:
    """Serve in a thread of its own until this thread is interrupted; print ``ready`` once an interrupt is heeded."""
    begun: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = queue.SimpleQueue()

    async def serve() -> None:
        stop = asyncio.Event()
        begun.put((asyncio.get_running_loop(), stop))
        await server.serve(listening, stop)

    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(mx.util.use_np(asyncio.run), serve())  # MXNet keeps np mode for each thread
        try:
            print(ready)
            served.result()
        except KeyboardInterrupt:
            loop, stop = begun.get()
            loop.call_soon_threadsafe(stop.set)
            raise


def _corpus_for(request: PageRequest, checkpoint: Checkpoint) -> Corpus | None:
    """Return the corpus of the training; if none was named and it is not there, say that copies are not marked."""
    try:
        corpus = reload_corpus(checkpoint, request.data_dir, request.corpus)
        remember_place(checkpoint, corpus, request.data_dir, request.corpus)
        return corpus
    except D2lrnnError as error:
        if request.corpus is not None or request.data_dir is not None:
            raise
        print(f"copies   are not marked: {error}")
        return None
