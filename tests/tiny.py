"""What many tests share: small trainings, and histories made by hand."""

import math

from d2lrnn import History, NextToken, Training
from d2lrnn.runs.folder import Pace

ALWAYS = Pace(segment=3, period=0, largest_share=math.inf)  # a run that can halt often, and is saved wherever it can


def training_of(model, config, **options):
    """Return the training of a language model from its beginning."""
    return Training(model, config, NextToken(model.vocab_size), **options)


def history_of(*columns, **more):
    """Return a history by columns: perplexity, gradient norm, tokens per second, seconds; more by name."""
    names = ("perplexity", "grad_norm", "tokens_per_second", "seconds")
    fields = {name: more.pop(name) for name in ("samples", "stopped") if name in more}
    return History.from_columns({**dict(zip(names, columns)), **more}, **fields)
