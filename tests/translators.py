"""Tiny translators that have learnt nothing, for tests of what is done with one."""

from dataclasses import asdict
from pathlib import Path

from tiny import quiet

from d2lrnn import ModelConfig, Vocab, build_model, set_seed
from d2lrnn.config.translation import TranslationConfig
from d2lrnn.data.sentences import SPECIAL
from d2lrnn.models.parameters import get_values, set_values
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.translator import TranslatorRun
from d2lrnn.web.translating import TranslatingPlayer

SOURCE = Vocab.from_list([*SPECIAL, *"i see a bird fish . ?".split()], "word")
TARGET = Vocab.from_list([*SPECIAL, *"我看见一只鸟。"], "char")


def translator_checkpoint(attention="general", reverse_source=False, end=-2):
    """Return a translator's checkpoint.

    Args:
        attention: of the model; None: it has none.
        reverse_source: whether it reads sentences from their end.
        end: the bias of `<eos>`: the larger, the sooner a translation ends.
    """
    sizes = {"cell": "lstm", "num_hiddens": 6, "num_outputs": len(TARGET), "init_scale": 2.0}
    config = ModelConfig(head="translation", attention=attention, **sizes)
    set_seed(5)
    model = build_model(config, len(SOURCE))
    bias = get_values(model.decoder.dense.bias).asnumpy().copy()
    bias[SPECIAL.index("<eos>")] = end
    set_values(model.decoder.dense.bias, bias)
    plan = asdict(TranslationConfig("word", "char", reverse_source=reverse_source))
    about = Checkpoint(
        config, {"source": SOURCE, "target": TARGET}, quiet(), "mine", task="translation", data={"plan": plan}
    )
    return about.with_parameters(model)


def translating(*arguments, **options):
    """Return a player with the model of :func:`translator_checkpoint`."""
    return TranslatingPlayer(TranslatorRun(Path("run/model.d2lrnn"), translator_checkpoint(*arguments, **options)))
