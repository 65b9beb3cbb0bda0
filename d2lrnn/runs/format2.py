"""Checkpoints of format 2, which have one vocabulary, and a history in columns whose measure is the perplexity."""

from __future__ import annotations

from typing import Any

from d2lrnn.runs.contents import COMMON, POSITION_FIELDS, REACHED, SAMPLES, STEPS, VOCABULARY
from d2lrnn.runs.schema import any_number, list_of, or_none, record, text
from d2lrnn.training.history import History

HISTORY = record({"samples": SAMPLES, "stopped": text}, others=list_of(any_number))

POSITION = record({("num_tokens" if name == "count" else name): check for name, check in POSITION_FIELDS.items()})

META = record(
    {**COMMON, "vocab": VOCABULARY, "training": or_none(record({"history": HISTORY, "position": POSITION, **STEPS}))},
    REACHED,
)


def upgraded(meta: Any) -> dict[str, Any]:
    """Return the JSON of a checkpoint of format 2 as one of format 3.

    Raises:
        MismatchError: if it is not what it should be.
    """
    META(meta)
    meta = {**meta, "vocabularies": {"text": meta["vocab"]}}
    del meta["vocab"]
    if meta["training"] is not None:
        history, position = dict(meta["training"]["history"]), dict(meta["training"]["position"])
        samples, stopped = history.pop("samples"), history.pop("stopped")
        history = {**vars(History.from_columns(history)), "samples": samples, "stopped": stopped}
        position["count"] = position.pop("num_tokens")
        meta["training"] = {**meta["training"], "history": history, "position": {**position, "score_sum": 0.0}}
    return meta
