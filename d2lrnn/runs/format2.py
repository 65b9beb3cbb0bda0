"""Checkpoints of format 2, which have one vocabulary, and a history in columns whose measure is the perplexity."""

from __future__ import annotations

from typing import Any

from d2lrnn.training.history import History


def upgraded(meta: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON of a checkpoint of format 2 as one of format 3."""
    meta = {**meta, "vocabularies": {"text": meta["vocab"]}}
    if meta["training"] is not None:
        history, position = dict(meta["training"]["history"]), dict(meta["training"]["position"])
        samples, stopped = history.pop("samples"), history.pop("stopped")
        history = {**vars(History.from_columns(history)), "samples": samples, "stopped": stopped}
        position["count"] = position.pop("num_tokens")
        meta["training"] = {**meta["training"], "history": history, "position": position}
    return meta
