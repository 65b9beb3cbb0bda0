"""Who writes for the page, with a model of known probabilities; the page's server in a thread of its own."""

import asyncio
import contextlib
import threading
import time
from pathlib import Path

from known import random_model

from d2lrnn import Corpus, ModelConfig, Sampling, TrainConfig, Vocab
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.trained import TrainedRun
from d2lrnn.web.address import hosts_of, open_socket
from d2lrnn.web.player import Player
from d2lrnn.web.server import PageServer

LETTERS = "春风花月夜山水去来迟"
VERSE, LYRICS = Vocab.from_list(f"，。\n{LETTERS}"), Vocab.from_list(f" {LETTERS}")
SETTINGS = Sampling(temperature=0.8, top_k=7, top_p=0.9, repetition_penalty=1.2, seed=5)


def player_of(vocab, text=None, prefixes=("春",), model=None, num_lines=0):
    """Return who writes with a model of known probabilities; copies are looked for if there is a text."""
    training = TrainConfig.from_dict({"prefixes": prefixes, "num_lines": num_lines})
    checkpoint = Checkpoint(ModelConfig("scratch", "gru", 8), {"text": vocab}, training, "poems")
    corpus = None if text is None else Corpus("poems", vocab, vocab.encode(text))
    run = TrainedRun(Path("run/model.d2lrnn"), checkpoint)
    run.model = model or random_model(3, len(vocab))
    return Player(run, corpus)


@contextlib.contextmanager
def serving(player, open_to_all=False, **options):
    """Serve a player's page in another thread; yields the server, its port in ``port``."""
    listening, ready, loops = open_socket("127.0.0.1", 0), threading.Event(), []
    server = PageServer(player, None if open_to_all else hosts_of("127.0.0.1", listening), **options)
    server.port = listening.getsockname()[1]

    async def serve():
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))
        ready.set()
        await server.serve(listening, stop)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(60)
    try:
        yield server
    finally:
        loop, stop = loops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        assert not thread.is_alive()


def eventually(condition):
    """Wait until something holds."""
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to this")
