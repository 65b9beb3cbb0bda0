"""The command ``play``: a page in the browser on which a trained model writes."""

from __future__ import annotations

import argparse
import asyncio
import signal

from d2lrnn.data.corpus import Corpus
from d2lrnn.device import as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.origin import reload_corpus
from d2lrnn.runs.trained import load_run, name_of
from d2lrnn.web.player import Player


def play(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C, which ends it as it ends every command."""
    from d2lrnn.web.server import PageServer, address_of, hosts_of, open_socket  # brings Tornado

    checkpoint = load_run(args.run)
    model = checkpoint.build_model(as_ctx(args.ctx))
    player = Player(name_of(args.run), checkpoint, model, _corpus_for(args, checkpoint))
    listening = open_socket(args.host, args.port)
    hosts = hosts_of(args.host, listening)
    if hosts is None:
        print("caution  whoever can reach this machine can open the page and let the model write")
    print(f"page     {address_of(args.host, listening)}   (Ctrl-C ends it)")

    async def serve() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
        await PageServer(player, hosts).serve(listening, stop)

    asyncio.run(serve())
    raise KeyboardInterrupt


def _corpus_for(args: argparse.Namespace, checkpoint: Checkpoint) -> Corpus | None:
    """Return what the model was trained on, or say that copies are not marked; what is named must be there."""
    try:
        return reload_corpus(checkpoint, args.data_dir, args.corpus)
    except D2lrnnError as error:
        if args.corpus or args.data_dir:
            raise
        print(f"copies   are not marked: {error}")
        return None
