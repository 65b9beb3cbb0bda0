"""What many tests share: tiny models, corpora and settings, small trainings, and histories made by hand."""

import math

from d2lrnn import Corpus, History, ModelConfig, NextToken, TrainConfig, Training, Vocab, build_model, set_seed
from d2lrnn._runtime import mx
from d2lrnn.cells.steps import rnn_step
from d2lrnn.data.corpora import NamedCorpus
from d2lrnn.data.files import Source
from d2lrnn.models.parameters import get_values, named_parameters, set_values
from d2lrnn.runs.checkpoint import Checkpoint, save_checkpoint
from d2lrnn.runs.folder import Pace
from d2lrnn.runs.origin import origin_of

ALWAYS = Pace(segment=3, period=0, largest_share=math.inf)  # a run that can halt often, and is saved wherever it can

RAIN = "the rain in spain stays mainly in the plain "  # 44 characters, 13 of them different

SONG = "雨下着 我们不说再见 不分开 分开以后雨又下着 " * 9

# A corpus with splits, which a command finds as "rain" where it stands in the table and D2LRNN_DATA names its folder.
# Its validation is the text read backwards: it soon becomes worse, and averaging begins.
FOX = "the rain in spain stays mainly in the plain, the quick brown fox jumps over the lazy dog. " * 25
FOX_SPLITS = {"train": FOX, "valid": FOX[:300][::-1], "test": FOX[-200:]}
FOX_CORPUS = Corpus("rain", Vocab(FOX), *(Vocab(FOX).encode(text) for text in FOX_SPLITS.values()))
FOX_NAMED = NamedCorpus(
    Source("rain.train.txt", elsewhere="the test has to write it"), tuple(f"rain.{split}.txt" for split in FOX_SPLITS)
)


def write_fox(folder, **texts):
    """Write the files of the corpus "rain" into a folder; other texts than FOX_SPLITS by their splits' names."""
    folder.mkdir(exist_ok=True)
    for split, text in {**FOX_SPLITS, **texts}.items():
        (folder / f"rain.{split}.txt").write_text(text)


def rain(times, valid=None):
    """Return a corpus of RAIN so many times; with a text of its characters for validation, if one is given."""
    vocab = Vocab(RAIN)
    return Corpus("rain", vocab, vocab.encode(RAIN * times), valid=None if valid is None else vocab.encode(valid))


def tiny_model(vocab_size, seed=3, **settings):
    """Return a model with eight hidden units; its state matters where ``init_scale`` is 0.5 or more."""
    set_seed(seed)
    return build_model(ModelConfig(**{"num_hiddens": 8, **settings}), vocab_size)


def quiet(**settings):
    """Return the settings of a training of a few small batches that prints nothing."""
    return TrainConfig(**{"num_epochs": 3, "batch_size": 4, "num_steps": 5, "verbose": False, **settings})


def training_of(model, config, **options):
    """Return the training of a language model from its beginning."""
    return Training(model, config, NextToken(model.vocab_size), **options)


def history_of(*columns, **more):
    """Return a history by columns: perplexity, gradient norm, tokens per second, seconds; more by name."""
    names = ("perplexity", "grad_norm", "tokens_per_second", "seconds")
    fields = {name: more.pop(name) for name in ("samples", "stopped") if name in more}
    return History.from_columns({**dict(zip(names, columns)), **more}, **fields)


class FailingCell:
    """The book's plain cell, which fails in training in the batch that it is told, for one layer from scratch.

    Args:
        num_steps: of a batch.
    """

    def __init__(self, num_steps=10):
        self.num_steps, self.calls, self.last, self.how = num_steps, 0, None, None

    def fail(self, how, batch):
        """Let ``how`` happen once, in so many batches from now: it takes H of the batch's last step and returns H."""
        self.calls, self.last, self.how = 0, batch * self.num_steps, how

    def step(self, X, state, params):
        H, _ = rnn_step(X, state, params)
        if mx.autograd.is_recording():
            self.calls += 1
            if self.calls == self.last:
                H = self.how(H)
        return H, (H,)


def ctrl_c(H):
    raise KeyboardInterrupt


def no_number(H):
    return H * math.nan


def infinite_gradient(H):
    """Return H as it is, with a gradient whose square is beyond the numbers of float32."""
    return H + (H - H.detach()) * 1e30


def save_model(path, corpus, prefixes, given=None, **how):
    """Save a model of wild parameters, so that its texts vary, as a training of the corpus would."""
    set_seed(5)
    model, config = build_model(ModelConfig("scratch", "gru", 8), corpus.vocab_size), ModelConfig("scratch", "gru", 8)
    for param in named_parameters(model).values():
        set_values(param, mx.np.random.normal(0, 1, get_values(param).shape))
    origin = origin_of(corpus, given or corpus.name, {"lines": "batches" in how})
    training = TrainConfig(prefixes=prefixes, **how)
    return save_checkpoint(path, Checkpoint.of(model, config, training, corpus, origin=origin))
